/* The store on a real server: the contract of every store, and what is this one's own.
   store HOST_OR_PATH PORT PASSWORD, with the user mcpsess that may do what mcpsess_redis.h documents, and no more. */

#include "examples/posix_transport.h"

#include <stdlib.h>

#include "store_contract.h"

#define SLOTS 8

MCPSESS_REDIS_STORAGE(wire, SLOTS, MCPSESS_REDIS_STORE_TX(CONTRACT_VALUE_MAX), 512);

static struct {
    store_rig rig; /* first: a rig is its server */
    mcpsess_redis redis;
    mcpsess_redis_store store;
    sock sock, admin_sock;
    mcpsess_redis admin;
    const char *host, *port, *password;
    mcpsess_wait_hook hook;
    bool resp2;
    uint8_t tracking;
} t;

MCPSESS_REDIS_STORAGE(admin_wire, 2, 4096, 4096);

static uint64_t now(void) {
    return t.hook.now_ms(t.hook.user);
}

/* A command of the server's owner, on a connection of its own. */
static mcpsess_str admin(const char *a, const char *b, const char *c, const char *d) {
    static char room[4096];
    const mcpsess_str argv[4] = {mcpsess_str_z(a), mcpsess_str_z(b), mcpsess_str_z(c), mcpsess_str_z(d)};
    mcpsess_wait_hook hook = sock_wait_hook(&t.admin_sock);
    mcpsess_buf reply;
    mcpsess_buf_init(&reply, room, sizeof room);
    CHECK_EQ(mcpsess_redis_call(&t.admin, argv, d ? 4u : c ? 3u : b ? 2u : 1u, &reply, &hook), MCPSESS_OK);
    return mcpsess_redis_text(mcpsess_buf_str(&reply));
}

static void admin_open(void) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    sock_init(&t.admin_sock, t.host, t.port);
    d.transport = sock_transport(&t.admin_sock);
    d.slots = 2;
    d.tx_bytes = d.rx_bytes = 4096;
    d.tracking = MCPSESS_REDIS_TRACK_OFF;
    CHECK_EQ(mcpsess_redis_init(&t.admin, &d, admin_wire.bytes, sizeof admin_wire.bytes), MCPSESS_OK);
}

static void reset(store_rig *rig) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    (void)admin("FLUSHALL", NULL, NULL, NULL);
    mcpsess_redis_close(&t.redis);
    sock_init(&t.sock, t.host, t.port);
    t.hook = sock_wait_hook(&t.sock);
    d.transport = sock_transport(&t.sock);
    d.slots = SLOTS;
    d.tx_bytes = MCPSESS_REDIS_STORE_TX(CONTRACT_VALUE_MAX);
    d.rx_bytes = 512;
    d.user = MCPSESS_STR("mcpsess");
    d.password = mcpsess_str_z(t.password);
    d.name = MCPSESS_STR("contract");
    d.resp2 = t.resp2;
    d.tracking = t.tracking;
    CHECK_EQ(mcpsess_redis_init(&t.redis, &d, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    sd.redis = &t.redis;
    CHECK_EQ(mcpsess_redis_store_init(&t.store, &sd), MCPSESS_OK);
    rig->store = mcpsess_redis_store_store(&t.store);
    rig->now_ms = now();
}

static void wait_ms(uint64_t ms) {
    struct timespec time;
    time.tv_sec = (time_t)(ms / 1000);
    time.tv_nsec = (long)(ms % 1000) * 1000000;
    nanosleep(&time, NULL);
}

static void pass(store_rig *rig, uint64_t ms) {
    uint64_t end_ms = now() + ms + 2; /* what was asked for came to the server a little later */
    while (now() < end_ms) {
        wait_ms(end_ms - now() < 100 ? end_ms - now() : 100);
        rig->store.cls->poll(rig->store.self, now());
    }
    rig->now_ms = now();
}

static void idle(store_rig *rig) {
    uint64_t due_ms = rig->store.cls->next_due(rig->store.self, rig->now_ms);
    (void)t.hook.wait(t.hook.user, rig->store.cls->want(rig->store.self), due_ms);
    rig->now_ms = now();
}

/* -- one request after the other -- */

static mcpsess_request q;
static char heard[4][MCPSESS_ID_MAX + 1];
static unsigned hearings;

static void changed(void *user, mcpsess_str key) {
    (void)user;
    if (hearings < 4) {
        memcpy(heard[hearings], key.ptr, key.len);
        heard[hearings][key.len] = '\0';
    }
    hearings++;
}

static const mcpsess_listener listener = {changed, NULL};

static int ask(uint8_t kind, const char *key, mcpsess_str value, uint64_t ttl_ms) {
    memset(&q, 0, sizeof q);
    q.kind = kind;
    q.key = mcpsess_str_z(key);
    q.value = value;
    q.ttl_ms = ttl_ms;
    t.rig.store.cls->submit(t.rig.store.self, &q, t.rig.now_ms);
    while (q.rc == MCPSESS_PENDING) {
        t.rig.store.cls->poll(t.rig.store.self, t.rig.now_ms);
        if (q.rc == MCPSESS_PENDING) idle(&t.rig);
    }
    return q.rc;
}

/* Everything that has been told until now. */
static void listen_for(unsigned ms) {
    uint64_t end_ms = now() + ms;
    while (now() < end_ms) {
        (void)mcpsess_redis_hear(&t.redis, now());
        wait_ms(1);
    }
}

TEST(keys_are_escaped_and_share_a_slot) {
    reset(&t.rig);
    CHECK_EQ(ask(MCPSESS_PUT, "a{b}c%d", MCPSESS_STR("v"), 60000), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "a{b}c%d", MCPSESS_STR("token"), 60000), MCPSESS_OK);
    CHECK_STR(admin("GET", "mcpsess:r:{a%7Bb%7Dc%25d}", NULL, NULL), "v");
    CHECK_STR(admin("GET", "mcpsess:l:{a%7Bb%7Dc%25d}", NULL, NULL), "token");
    CHECK_STR(admin("EXISTS", "mcpsess:f:{a%7Bb%7Dc%25d}", NULL, NULL), "1");
}

TEST(fences_grow_even_when_all_keys_are_lost) {
    uint64_t fence;
    reset(&t.rig);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", MCPSESS_STR("a"), 60000), MCPSESS_OK);
    fence = q.fence;
    CHECK(fence > UINT64_C(1600000000000000));
    CHECK(q.left_ms <= 60000 - 60000 / 128 - 2 && q.left_ms > 58000);
    (void)admin("FLUSHALL", NULL, NULL, NULL);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", MCPSESS_STR("b"), 60000), MCPSESS_OK);
    CHECK(q.fence > fence);
    (void)admin("SET", "mcpsess:f:{k}", "8000000000000000", NULL); /* a server whose clock was ahead */
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", MCPSESS_STR("a"), 0), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", MCPSESS_STR("b"), 0), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", MCPSESS_STR("c"), 60000), MCPSESS_OK);
    CHECK_EQ(q.fence, UINT64_C(8000000000000001));
}

TEST(changes_made_elsewhere_are_told) {
    reset(&t.rig);
    t.rig.store.cls->listen(t.rig.store.self, &listener);
    CHECK_EQ(ask(MCPSESS_PUT, "a%b", MCPSESS_STR("v"), 60000), MCPSESS_OK);
    listen_for(30);
    hearings = 0;
    (void)admin("SET", "mcpsess:r:{a%25b}", "w", NULL);
    listen_for(30);
    CHECK_EQ(hearings, 1);
    CHECK(strcmp(heard[0], "a%b") == 0);
    CHECK_EQ(ask(MCPSESS_TOUCH, "a%b", mcpsess_str_of(NULL, 0), 0), MCPSESS_OK);
    (void)admin("DEL", "mcpsess:r:{a%25b}", NULL, NULL);
    listen_for(30);
    CHECK_EQ(hearings, 2);
    (void)admin("FLUSHALL", NULL, NULL, NULL);
    listen_for(30);
    CHECK_EQ(hearings, 3);
    CHECK_EQ(heard[2][0], '\0');
}

TEST(a_read_that_slides_hears_of_itself_and_then_of_others) {
    reset(&t.rig);
    t.rig.store.cls->listen(t.rig.store.self, &listener);
    CHECK_EQ(ask(MCPSESS_TOUCH, "k", mcpsess_str_of(NULL, 0), 0), MCPSESS_MISS); /* connects, which tells as well */
    (void)admin("SET", "mcpsess:r:{k}", "v", NULL);
    (void)admin("PEXPIRE", "mcpsess:r:{k}", "20000", NULL);
    listen_for(30);
    hearings = 0;
    CHECK_EQ(ask(MCPSESS_TOUCH, "k", mcpsess_str_of(NULL, 0), 60000), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 60000);
    listen_for(30);
    CHECK_EQ(hearings, 1); /* to be confirmed: from then on the server tells again */
    CHECK_EQ(ask(MCPSESS_TOUCH, "k", mcpsess_str_of(NULL, 0), 60000), MCPSESS_OK);
    listen_for(30);
    CHECK_EQ(hearings, 1); /* a read that does not slide writes nothing */
    (void)admin("SET", "mcpsess:r:{k}", "w", NULL);
    listen_for(30);
    CHECK_EQ(hearings, 2);
}

TEST(scripts_that_are_flushed_come_back_in_order) {
    static mcpsess_request many[SLOTS];
    unsigned n, done = 0;
    reset(&t.rig);
    CHECK_EQ(ask(MCPSESS_PUT, "k", MCPSESS_STR("0"), 60000), MCPSESS_OK);
    (void)admin("SCRIPT", "FLUSH", NULL, NULL);
    memset(many, 0, sizeof many);
    for (n = 0; n < SLOTS; n++) { /* each expects what the one before it wrote */
        static const char digits[] = "0123456789";
        many[n].kind = MCPSESS_PUT;
        many[n].mode = MCPSESS_PUT_CAS;
        many[n].key = MCPSESS_STR("k");
        many[n].expect = mcpsess_str_of(digits + n, 1);
        many[n].value = mcpsess_str_of(digits + n + 1, 1);
        CHECK_EQ(t.rig.store.cls->submit(t.rig.store.self, &many[n], t.rig.now_ms), MCPSESS_PENDING);
    }
    while (done < SLOTS) {
        t.rig.store.cls->poll(t.rig.store.self, t.rig.now_ms);
        for (done = 0; done < SLOTS && many[done].rc != MCPSESS_PENDING;) done++;
        if (done < SLOTS) idle(&t.rig);
    }
    for (n = 0; n < SLOTS; n++) CHECK_EQ(many[n].rc, MCPSESS_OK);
    CHECK_EQ(t.redis.stats.reloads, 1);
    CHECK_STR(admin("GET", "mcpsess:r:{k}", NULL, NULL), "8");
}

int main(int argc, char **argv) {
    int mode;
    if (argc != 4) return 2;
    t.host = argv[1];
    t.port = argv[2];
    t.password = argv[3];
    port_init();
    t.rig.unit_ms = 20; /* a busy machine is late */
    t.rig.leases = t.rig.closes = true;
    t.rig.reset = reset;
    t.rig.pass = pass;
    t.rig.idle = idle;
    tap_begin("connects");
    admin_open();
    tap_end();
    for (mode = 0; mode < 3; mode++) {
        t.resp2 = mode == 2;
        t.tracking = mode == 0 ? MCPSESS_REDIS_TRACK_KEYS : MCPSESS_REDIS_TRACK_PREFIXES;
        tap_note("RESP2", t.resp2);
        tap_note("tracking", t.tracking);
        if (mode != 1) store_contract(&t.rig);
        RUN(keys_are_escaped_and_share_a_slot);
        RUN(fences_grow_even_when_all_keys_are_lost);
        RUN(scripts_that_are_flushed_come_back_in_order);
        if (t.resp2) continue;
        RUN(changes_made_elsewhere_are_told);
        RUN(a_read_that_slides_hears_of_itself_and_then_of_others);
    }
    return tap_finish();
}
