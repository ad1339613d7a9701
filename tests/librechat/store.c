/* The store on a real server: the contract of every store that has flags and leases, as a user that may do what the
   manual says.
     store SOCKET PASSWORD           the contract; without a password as nobody
     store SOCKET PASSWORD cluster   that a cluster takes it with a tag in the prefix alone
     store script N, store digest N  of the store's scripts, from 0; status 1: there is none */

#include "tests/redis/owner.h"

#include "flag_contract.h"

#define SLOTS 8

MCPSESS_REDIS_STORAGE(wire, SLOTS, MCPSESS_LIBRECHAT_STORE_TX, 256);

static struct {
    flag_rig rig;
    mcpsess_redis redis;
    mcpsess_librechat_store store;
    sock sock;
    mcpsess_wait_hook hook;
    const char *path, *user, *password;
    uint64_t ahead_ms; /* of the real clock: time that was let go by */
    mcpsess_librechat_store_desc desc;
    uint8_t tracking;
    int (*send)(void *user, const void *bytes, size_t len);
    bool meddles; /* sets the flag as soon as a claim goes out once more */
} t;

static uint64_t now(void) {
    return t.hook.now_ms(t.hook.user) + t.ahead_ms;
}

#define SPACE "MCP::ServersRegistry::PrivateServersLoadStatus:"
#define FLAG SPACE "USER_PRIVATE_SERVERS_LOADED::u"
#define LEASE SPACE "USER_PRIVATE_SERVERS_LOAD_LOCK::u"
#define FENCE "mcpsess:librechat:u"

static int meddling_send(void *user, const void *bytes, size_t len) {
    if (t.meddles && t.store.stats.again == 1) {
        t.meddles = false;
        (void)ADMIN("SET", FLAG, "{\"value\":true}");
    }
    return t.send(user, bytes, len);
}

static void make(void) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    d.slots = SLOTS;
    d.tx_bytes = MCPSESS_LIBRECHAT_STORE_TX;
    d.rx_bytes = 256;
    d.user = mcpsess_str_z(t.user);
    d.password = mcpsess_str_z(t.password);
    d.tracking = t.tracking;
    mcpsess_redis_close(&t.redis);
    sock_init(&t.sock, t.path, NULL);
    t.hook = sock_wait_hook(&t.sock);
    d.transport = sock_transport(&t.sock);
    t.send = d.transport.send;
    d.transport.send = meddling_send;
    CHECK_EQ(mcpsess_redis_init(&t.redis, &d, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    t.desc.redis = &t.redis;
    CHECK_EQ(mcpsess_librechat_store_init(&t.store, &t.desc), MCPSESS_OK);
    t.rig.base.store = mcpsess_librechat_store_store(&t.store);
    t.rig.base.now_ms = now();
}

static void reset(store_rig *rig) {
    (void)rig;
    (void)ADMIN("FLUSHALL");
    make();
}

static void pass(store_rig *rig, uint64_t ms) {
    static const char age[] = AGING("local v=redis.call('GET',k):gsub('\"expires\":(%d+)',function(e)\n"
                                    "return string.format('\"expires\":%.0f',e-ARGV[1]) end)\n"
                                    "redis.call('SET',k,v,'KEEPTTL')\n");
    owner_ages(age, ms);
    t.ahead_ms += ms;
    rig->now_ms = now();
}

static void idle(store_rig *rig) {
    wait_for(&rig->store, &t.hook, rig->now_ms, t.ahead_ms);
    rig->now_ms = now();
}

static mcpsess_flag_request q;

static int ask(uint8_t kind, const char *token) {
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = MCPSESS_STR("u");
    q.request.value = mcpsess_str_z(token);
    q.request.ttl_ms = t.rig.base.unit_ms;
    t.rig.base.store.cls->submit(t.rig.base.store.self, &q.request, t.rig.base.now_ms);
    while (q.request.rc == MCPSESS_PENDING) {
        t.rig.base.store.cls->poll(t.rig.base.store.self, t.rig.base.now_ms);
        if (q.request.rc == MCPSESS_PENDING) idle(&t.rig.base);
    }
    return q.request.rc;
}

/* -- what only this layout has -- */

static bool is_number(mcpsess_str s, size_t digits) {
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') n++;
    return n == digits;
}

TEST(librechat_a_lease_begins_as_theirs_does) {
    mcpsess_str text;
    make();
    (void)ADMIN("FLUSHALL");
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "\n:%"), MCPSESS_OK);
    text = ADMIN("GET", LEASE);
    CHECK(text.len == 17 && is_number(text, 13) && memcmp(text.ptr + 13, ":\n:%", 4) == 0);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, ":%"), MCPSESS_BUSY);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "\n:%"), MCPSESS_OK);
    (void)ADMIN("SET", LEASE, "1700000000000", "PX", "5000"); /* theirs has no token, so it is nobody's of us */
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "1700000000000"), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "1"), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_FLAG_SET, "1700000000000"), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "1"), MCPSESS_BUSY);
    CHECK(q.request.left_ms <= 5000 && q.request.left_ms > 0);
}

TEST(librechat_fences_grow_though_the_clock_does_not) {
    uint64_t before;
    make();
    (void)ADMIN("FLUSHALL");
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "a"), MCPSESS_OK);
    before = q.request.fence;
    (void)ADMIN("SET", FENCE, "9007199254740000"); /* by a clock that was ahead */
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "a"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "b"), MCPSESS_OK);
    CHECK_EQ(q.request.fence, INT64_C(9007199254740001));
    CHECK_EQ(NUMBER("PTTL", FENCE) > 50 * (int64_t)t.rig.base.unit_ms, true);
    (void)ADMIN("DEL", FENCE, LEASE); /* and though the key was lost */
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "c"), MCPSESS_OK);
    CHECK(q.request.fence > before);
}

TEST(librechat_keys_of_another_type_are_left_alone) {
    make();
    (void)ADMIN("FLUSHALL");
    (void)ADMIN("LPUSH", FLAG, "x");
    CHECK_EQ(ask(MCPSESS_FLAG_GET, ""), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "a"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(ask(MCPSESS_FLAG_SET, ""), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(ask(MCPSESS_FLAG_CLEAR, ""), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(NUMBER("LLEN", FLAG), 1);
    (void)ADMIN("FLUSHALL");
    (void)ADMIN("LPUSH", LEASE, "x");
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "a"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "a"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(ask(MCPSESS_FLAG_SET, "a"), MCPSESS_REDIS_E_WRONGTYPE);
    (void)ADMIN("FLUSHALL");
    (void)ADMIN("LPUSH", FENCE, "x");
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "a"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(NUMBER("EXISTS", LEASE), 0);
}

/* The lease is taken past a flag that does not count, only if that is still the one. */
TEST(librechat_a_flag_set_meanwhile_stops_a_claim) {
    make();
    (void)ADMIN("FLUSHALL");
    (void)ADMIN("SET", FLAG, "{\"value\":false}");
    t.meddles = true;
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "a"), MCPSESS_EXISTS);
    CHECK_EQ(t.store.stats.again, 1);
    CHECK_EQ(NUMBER("EXISTS", LEASE), 0);
    (void)ADMIN("SET", FLAG, "{\"value\":false}");
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "a"), MCPSESS_OK);
    CHECK_EQ(t.store.stats.again, 2);
}

TEST(librechat_a_value_that_is_too_long_is_no_flag) {
    char value[MCPSESS_LIBRECHAT_FLAG_MAX + 2u] = "{\"value\":true}";
    make();
    (void)ADMIN("FLUSHALL");
    memset(value + 14, ' ', MCPSESS_LIBRECHAT_FLAG_MAX - 14u);
    (void)ADMIN("SET", FLAG, value);
    CHECK_EQ(ask(MCPSESS_FLAG_GET, ""), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "a"), MCPSESS_EXISTS);
    value[MCPSESS_LIBRECHAT_FLAG_MAX] = ' ';
    (void)ADMIN("SET", FLAG, value);
    CHECK_EQ(ask(MCPSESS_FLAG_GET, ""), MCPSESS_E_FORMAT);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "a"), MCPSESS_E_FORMAT);
    CHECK_EQ(NUMBER("EXISTS", LEASE), 0);
    CHECK_EQ(ask(MCPSESS_FLAG_SET, ""), MCPSESS_OK); /* which is how one gets rid of it */
    CHECK_EQ(ask(MCPSESS_FLAG_GET, ""), MCPSESS_OK);
}

/* -- flights over it -- */

MCPSESS_FLIGHT_STORAGE(lanes, 2, 0);
static mcpsess_flights flights;
static mcpsess_op load, loader;
static unsigned loads;

static mcpsess_op *loads_at_once(void *user, const mcpsess_flight_job *job, uint64_t now_ms) {
    (void)user;
    (void)now_ms;
    CHECK(mcpsess_str_eq(job->key, MCPSESS_STR("u")) && job->fence != 0);
    loads++;
    mcpsess_op_init(&loader, 0);
    (void)mcpsess_op_end(&loader, MCPSESS_OK);
    return &loader;
}

static void start_flights(void) {
    mcpsess_flight_desc d = mcpsess_flight_desc_default();
    make();
    (void)ADMIN("FLUSHALL");
    d.store = t.rig.base.store;
    d.lanes = 2;
    d.load = loads_at_once;
    d.random = sock_random;
    CHECK_EQ(mcpsess_flight_init(&flights, &d, lanes.bytes, sizeof lanes.bytes), MCPSESS_OK);
    mcpsess_op_init(&load, 5000);
    loads = 0;
}

static int begin_load(void) {
    return mcpsess_flight_load(&flights, &load, MCPSESS_STR("u"), MCPSESS_STR(""), NULL, t.hook.now_ms(t.hook.user));
}

/* Steps it until it has asked and waits. */
static void wait_begins(int rc) {
    while (rc == MCPSESS_PENDING && flights.i.lanes[0].held_until_ms == 0) {
        uint64_t due_ms = mcpsess_next_due(&load, t.hook.now_ms(t.hook.user));
        (void)t.hook.wait(t.hook.user, mcpsess_want(&load), due_ms);
        rc = mcpsess_poll(&load, t.hook.now_ms(t.hook.user));
    }
    CHECK_EQ(rc, MCPSESS_PENDING);
}

TEST(librechat_a_flight_loads_once_and_leaves_their_flag) {
    mcpsess_str flag;
    start_flights();
    CHECK_EQ(mcpsess_wait(&load, begin_load(), &t.hook), MCPSESS_OK);
    CHECK_EQ(mcpsess_wait(&load, begin_load(), &t.hook), MCPSESS_OK);
    CHECK_EQ(loads, 1);
    flag = ADMIN("GET", FLAG);
    CHECK(flag.len == 38 && memcmp(flag.ptr, "{\"value\":true,\"expires\":", 24) == 0);
    CHECK_EQ(NUMBER("EXISTS", LEASE), 0);
    CHECK(NUMBER("PTTL", FLAG) > 3590000 && NUMBER("PTTL", FLAG) <= 3600000);
}

TEST(librechat_a_flight_waits_for_what_they_load) {
    start_flights();
    (void)ADMIN("SET", LEASE, "1700000000000", "PX", "30000", "NX");
    wait_begins(begin_load());
    (void)ADMIN("SET", FLAG, "{\"value\":true,\"expires\":9700003600000}", "PX", "3600000");
    (void)ADMIN("UNLINK", LEASE);
    CHECK_EQ(mcpsess_wait(&load, MCPSESS_PENDING, &t.hook), MCPSESS_OK);
    CHECK_EQ(loads, 0);
}

TEST(librechat_a_flight_takes_over_when_their_holder_died) {
    start_flights();
    (void)ADMIN("SET", LEASE, "1700000000000", "PX", "100", "NX");
    wait_begins(begin_load());
    CHECK_EQ(mcpsess_wait(&load, MCPSESS_PENDING, &t.hook), MCPSESS_OK);
    CHECK_EQ(loads, 1);
    CHECK_EQ(flights.stats.taken_over, 1);
}

/* -- in a cluster -- */

static void cluster(mcpsess_str prefix, int want) {
    t.desc.prefix = prefix;
    make();
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "a"), want);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "a"), want);
    CHECK_EQ(ask(MCPSESS_FLAG_SET, "a"), want);
    CHECK_EQ(ask(MCPSESS_FLAG_GET, ""), want);
    CHECK_EQ(ask(MCPSESS_FLAG_CLEAR, ""), want);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "a"), want);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "a"), want);
}

static int in_a_cluster(void) {
    tap_begin("cluster");
    cluster(MCPSESS_STR(""), MCPSESS_REDIS_E_CROSSSLOT);
    cluster(MCPSESS_STR("lc"), MCPSESS_REDIS_E_CROSSSLOT);
    cluster(MCPSESS_STR("{mcp}"), MCPSESS_OK);
    tap_end();
    return tap_finish();
}

static int print_script(const char *what, unsigned n) {
    const mcpsess_redis_script *script;
    t.path = t.user = t.password = "";
    make();
    if (n >= t.store.i.module.script_count) return 1;
    script = &t.store.i.module.scripts[n];
    fputs(strcmp(what, "script") == 0 ? script->text : script->sha1, stdout);
    return 0;
}

static void contract(mcpsess_str prefix, uint8_t tracking) {
    t.desc.prefix = prefix;
    t.tracking = tracking;
    flag_contract(&t.rig);
    lease_contract(&t.rig.base, true);
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 4) return 2;
    if (argv[2][0] >= '0' && argv[2][0] <= '9') return print_script(argv[1], (unsigned)atoi(argv[2]));
    t.path = argv[1];
    t.password = argv[2];
    t.user = argv[2][0] != '\0' ? "mcpsess" : "";
    t.rig.base.unit_ms = 10000;
    t.rig.base.closes = t.rig.base.leases = t.rig.fingerprints = t.rig.fences = true;
    t.rig.base.reset = reset;
    t.rig.base.pass = pass;
    t.rig.base.idle = idle;
    port_init();
    if (argc == 4) return in_a_cluster();
    tap_begin("connects");
    owner_open(t.path, NULL, "");
    t.rig.tells = server_tracks();
    tap_end();
    contract(MCPSESS_STR("lc"), MCPSESS_REDIS_TRACK_PREFIXES);
    contract(MCPSESS_STR(""), MCPSESS_REDIS_TRACK_KEYS);
    RUN(librechat_a_lease_begins_as_theirs_does);
    RUN(librechat_fences_grow_though_the_clock_does_not);
    RUN(librechat_keys_of_another_type_are_left_alone);
    RUN(librechat_a_flag_set_meanwhile_stops_a_claim);
    RUN(librechat_a_value_that_is_too_long_is_no_flag);
    RUN(librechat_a_flight_loads_once_and_leaves_their_flag);
    RUN(librechat_a_flight_waits_for_what_they_load);
    RUN(librechat_a_flight_takes_over_when_their_holder_died);
    mcpsess_redis_close(&t.redis);
    return tap_finish();
}
