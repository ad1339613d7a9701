/* Three gateways' worth of session tables on one real server, each with a local tier and a connection of its own: how
   seldom an unchanged session is asked for, how soon a change made elsewhere is seen, and that none is lost when all
   change one at the same time. Real time, in short TTLs.
     coherence HOST_OR_PATH PORT PASSWORD        as the user mcpsess; without a password as nobody */

#include "owner.h"

#define REPLICAS 3u
#define SLOTS 4
#define RECORD 128u
#define TTL_MS 1000u
#define IDLE_MS 120u  /* until a PING */
#define REPLY_MS 150u /* until a silent server is given up */
#define MAX_LAG_MS 5u /* served without listening */
#define SOON_MS 250u  /* a push and a request take far less; a busy machine may not */

MCPSESS_REDIS_STORAGE(wires[REPLICAS], SLOTS, MCPSESS_REDIS_STORE_TX(RECORD), 1024);
MCPSESS_SESSION_STORAGE(tables[REPLICAS], 4, RECORD, 2, RECORD);

typedef struct replica {
    mcpsess_sessions sessions;
    mcpsess_redis redis;
    mcpsess_redis_store store;
    sock sock;
    mcpsess_wait_hook hook;
    bool half_open; /* the connection's other end is gone, and nobody said so */
} replica;

static struct {
    replica at[REPLICAS];
    const char *host, *port, *password;
    uint32_t ttl_ms;
    uint8_t tracking;
    bool resp2;
    bool told; /* of changes, on such connections */
} t;

static const mcpsess_str id = LIT("one");
static const mcpsess_principal nobody; /* the session is bound to none */
static char room[RECORD];

static uint64_t now(void) {
    return t.at[0].hook.now_ms(t.at[0].hook.user);
}

/* -- a connection that may be half open -- */

static int way_open(void *user) {
    replica *r = (replica *)user;
    mcpsess_redis_transport real = sock_transport(&r->sock);
    r->half_open = false;
    return real.open(real.user);
}

static int way_send(void *user, const void *bytes, size_t len) {
    replica *r = (replica *)user;
    mcpsess_redis_transport real = sock_transport(&r->sock);
    return r->half_open ? (int)len : real.send(real.user, bytes, len);
}

static int way_recv(void *user, void *bytes, size_t len) {
    replica *r = (replica *)user;
    mcpsess_redis_transport real = sock_transport(&r->sock);
    return r->half_open ? 0 : real.recv(real.user, bytes, len);
}

static void way_close(void *user) {
    replica *r = (replica *)user;
    mcpsess_redis_transport real = sock_transport(&r->sock);
    real.close(real.user);
}

/* -- replicas -- */

static void make_replica(unsigned n) {
    static const mcpsess_redis_transport way = {way_open, way_send, way_recv, way_close, NULL};
    replica *r = &t.at[n];
    mcpsess_redis_desc rd = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    mcpsess_session_desc d = mcpsess_session_desc_default();
    mcpsess_redis_close(&r->redis);
    sock_init(&r->sock, t.host, t.port);
    r->hook = sock_wait_hook(&r->sock);
    rd.transport = way;
    rd.transport.user = r;
    rd.slots = SLOTS;
    rd.tx_bytes = MCPSESS_REDIS_STORE_TX(RECORD);
    rd.rx_bytes = 1024;
    if (t.password[0] != '\0') rd.user = MCPSESS_STR("mcpsess");
    rd.password = mcpsess_str_z(t.password);
    rd.tracking = t.tracking;
    rd.resp2 = t.resp2;
    rd.idle_ms = IDLE_MS;
    rd.reply_timeout_ms = REPLY_MS;
    CHECK_EQ(mcpsess_redis_init(&r->redis, &rd, wires[n].bytes, sizeof wires[n].bytes), MCPSESS_OK);
    sd.redis = &r->redis;
    CHECK_EQ(mcpsess_redis_store_init(&r->store, &sd), MCPSESS_OK);
    d.store = mcpsess_redis_store_store(&r->store);
    d.capacity = 4;
    d.slot_max = d.record_max = RECORD;
    d.lanes = 2;
    d.ttl_ms = t.ttl_ms;
    d.max_lag_ms = MAX_LAG_MS;
    d.revalidate_ms = 50;
    CHECK_EQ(mcpsess_session_init(&r->sessions, &d, tables[n].bytes, sizeof tables[n].bytes), MCPSESS_OK);
}

/* Asked of the server, not concluded from its version. */
static bool has_command(const char *name) {
    (void)ADMIN("COMMAND", "INFO", name);
    return strncmp(said, "*1\r\n*", 5) == 0 && said[5] != '-'; /* an array of one array, and not of a null */
}

static void start(void) {
    unsigned n;
    (void)ADMIN("FLUSHALL");
    for (n = 0; n < REPLICAS; n++) make_replica(n);
}

/* The session as it is with this backend. */
static mcpsess_str record(const char *backend) {
    static char bytes[RECORD];
    mcpsess_record r;
    mcpsess_buf b;
    memset(&r, 0, sizeof r);
    r.id = id;
    r.state = MCPSESS_STATE_ACTIVE;
    r.backend = mcpsess_str_z(backend);
    mcpsess_buf_init(&b, bytes, sizeof bytes);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    return mcpsess_buf_str(&b);
}

/* Loads at a replica, waiting.  -> what load answers; *backend is the session's */
static int load(unsigned n, mcpsess_str *backend) {
    replica *r = &t.at[n];
    mcpsess_record found;
    mcpsess_op op;
    mcpsess_buf out;
    int rc;
    memset(&op, 0, sizeof op);
    mcpsess_buf_init(&out, room, sizeof room);
    mcpsess_op_init(&op, 0);
    rc = mcpsess_wait(&op, mcpsess_session_load(&r->sessions, &op, id, &nobody, &out, now()), &r->hook);
    if (rc == MCPSESS_OK && CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&out), &found), MCPSESS_OK))
        *backend = found.backend;
    return rc;
}

static bool loads(unsigned n, const char *backend) {
    mcpsess_str found = {NULL, 0};
    return load(n, &found) == MCPSESS_OK && mcpsess_str_eq(found, mcpsess_str_z(backend));
}

static int write_at(unsigned n, const char *backend) {
    replica *r = &t.at[n];
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    if (backend == NULL) return mcpsess_wait(&op, mcpsess_session_del(&r->sessions, &op, id, &nobody, now()), &r->hook);
    return mcpsess_wait(&op, mcpsess_session_store(&r->sessions, &op, record(backend), now()), &r->hook);
}

/* Nothing is loaded for a while: only what an event loop does. */
static void rest(uint32_t ms) {
    uint64_t until_ms = now() + ms;
    unsigned n;
    while (now() < until_ms) {
        for (n = 0; n < REPLICAS; n++) (void)mcpsess_redis_poll(&t.at[n].redis, now());
        (void)poll(NULL, 0, 1);
    }
}

static void warm(void) {
    unsigned n;
    start();
    CHECK_EQ(write_at(0, "a"), MCPSESS_OK);
    for (n = 0; n < REPLICAS; n++) CHECK(loads(n, "a"));
    rest(20);
    for (n = 0; n < REPLICAS; n++) CHECK(loads(n, "a"));
}

static void forget_counts(void) {
    unsigned n;
    for (n = 0; n < REPLICAS; n++) memset(&t.at[n].sessions.stats, 0, sizeof t.at[n].sessions.stats);
}

/* -- an unchanged session -- */

TEST(an_unchanged_session_is_hit_without_a_round_trip) {
    uint32_t turns = 0, hits = 0, requests = 0, most = 0, refreshed;
    uint64_t until_ms;
    unsigned n;
    warm();
    forget_counts();
    refreshed = 0;
    for (n = 0; n < REPLICAS; n++) refreshed -= t.at[n].store.stats.refreshed;
    until_ms = now() + UINT64_C(10) * TTL_MS;
    for (n = 0; now() < until_ms; n = (n + 1) % REPLICAS) {
        CHECK(loads(n, "a"));
        turns++;
        (void)poll(NULL, 0, 1);
    }
    for (n = 0; n < REPLICAS; n++) {
        const mcpsess_session_stats *s = &t.at[n].sessions.stats;
        hits += s->local_hits;
        requests += s->requests;
        refreshed += t.at[n].store.stats.refreshed;
        if (s->invalidated > most) most = s->invalidated;
    }
    tap_note("loads", turns);
    tap_note("hits without a round trip", hits);
    tap_note("refreshes in ten TTLs", refreshed);
    tap_note("invalidations in ten TTLs, of the replica that had most", most);
    CHECK_EQ(hits + requests, turns);
    CHECK(refreshed >= 10); /* it lives on */
    CHECK(refreshed <= 20);
    CHECK(most <= 20);
    if (!t.told) return; /* asks each revalidate_ms */
    CHECK(most >= 10);
    CHECK((uint64_t)hits * 100 >= (uint64_t)turns * 95);
}

/* -- a session that changes -- */

/* How long until a replica sees it, from the moment its writer was answered; at most SOON_MS. */
static void soon(unsigned n, const char *backend) {
    uint64_t from_ms = now(), took_ms;
    for (took_ms = 0; took_ms <= SOON_MS; took_ms = now() - from_ms) {
        mcpsess_str found;
        if (backend != NULL ? loads(n, backend) : load(n, &found) == MCPSESS_MISS) break;
    }
    CHECK(took_ms <= SOON_MS);
}

TEST(a_change_at_one_is_seen_by_the_others) {
    unsigned n;
    warm();
    CHECK_EQ(write_at(1, "b"), MCPSESS_OK);
    for (n = 0; n < REPLICAS; n++) soon(n, "b");
    CHECK_EQ(write_at(2, "c"), MCPSESS_OK);
    for (n = 0; n < REPLICAS; n++) soon(n, "c");
    CHECK_EQ(write_at(0, NULL), MCPSESS_OK);
    for (n = 0; n < REPLICAS; n++) soon(n, NULL);
}

/* The push is there before the load: so the very first one must know. */
TEST(what_was_pushed_before_is_never_overlooked) {
    static const char *const backends[] = {"x", "y"};
    unsigned round, n;
    warm();
    for (round = 0; round < 50; round++) {
        const char *backend = backends[round % 2];
        CHECK_EQ(write_at(round % REPLICAS, backend), MCPSESS_OK);
        (void)poll(NULL, 0, (int)MAX_LAG_MS + 3);
        for (n = 0; n < REPLICAS; n++) CHECK(loads(n, backend));
    }
}

/* -- somebody who knows nothing of us -- */

#define KEY "mcpsess:r:{one}"

/* After what was done since warm(): each replica asks again, and finds it so. */
static void asked_again(const char *backend) {
    unsigned n;
    for (n = 0; n < REPLICAS; n++) {
        uint64_t from_ms = now();
        soon(n, backend); /* which it may have found before the push was there */
        while (t.told && t.at[n].sessions.stats.requests == 0 && now() - from_ms <= SOON_MS) soon(n, backend);
        CHECK(!t.told || t.at[n].sessions.stats.requests >= 1);
    }
}

static void known(void) {
    warm();
    forget_counts();
}

TEST(foreign_writes_are_seen) {
    known();
    (void)ADMIN("RENAME", KEY, "other");
    CHECK_EQ(write_at(0, "b"), MCPSESS_OK);
    asked_again("b");
    forget_counts();
    (void)ADMIN("RENAME", "other", KEY);
    asked_again("a");
}

TEST(foreign_refreshes_cost_a_request) {
    known();
    (void)ADMIN("PEXPIRE", KEY, "4000");
    asked_again("a");
    if (!has_command("GETEX")) return;
    forget_counts();
    (void)ADMIN("GETEX", KEY, "PX", "5000");
    asked_again("a");
}

TEST(foreign_removals_are_seen) {
    known();
    (void)ADMIN("DEL", KEY);
    asked_again(NULL);
    known();
    (void)ADMIN("PEXPIRE", KEY, "-1");
    asked_again(NULL);
    known();
    (void)ADMIN("RENAME", KEY, "other");
    asked_again(NULL);
    known();
    (void)ADMIN("FLUSHALL");
    asked_again(NULL);
}

TEST(after_a_lost_connection_nothing_is_trusted) {
    unsigned n;
    known();
    (void)ADMIN("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    asked_again("a");
    CHECK_EQ(t.at[1].redis.stats.disconnects, 1);
    rest(20);
    forget_counts();
    for (n = 0; n < 6; n++) { /* a refresh may be due, whose push comes back */
        CHECK(loads(1, "a"));
        rest(5);
    }
    CHECK(!t.told || t.at[1].sessions.stats.local_hits >= 1);
}

TEST(lost_scripts_are_of_no_concern) {
    known();
    (void)ADMIN("SCRIPT", "FLUSH");
    (void)ADMIN("PEXPIRE", KEY, "5000");
    asked_again("a");
    CHECK_EQ(write_at(2, "b"), MCPSESS_OK);
    asked_again("b");
}

/* -- a connection whose other end is gone -- */

TEST(a_half_open_connection_is_trusted_for_its_stated_time) {
    uint64_t cut_ms, last_old_ms;
    mcpsess_str found = {NULL, 0};
    warm();
    cut_ms = last_old_ms = now();
    t.at[1].half_open = true;
    CHECK_EQ(write_at(0, "b"), MCPSESS_OK);
    (void)ADMIN("PEXPIRE", KEY, "60000"); /* however slow this machine is */
    while (now() - cut_ms < 5000) {
        uint64_t asked_ms = now();
        CHECK_EQ(load(1, &found), MCPSESS_OK);
        if (mcpsess_str_eq(found, MCPSESS_STR("b"))) break;
        last_old_ms = asked_ms;
        (void)poll(NULL, 0, 1);
    }
    CHECK_STR(found, "b");
    tap_note("ms that the old one was served", (int64_t)(last_old_ms - cut_ms));
    CHECK(last_old_ms - cut_ms <= IDLE_MS + REPLY_MS + MAX_LAG_MS);
    CHECK(now() - cut_ms <= IDLE_MS + REPLY_MS + SOON_MS);
}

/* -- changes by compare-and-set -- */

#define ROUNDS 200u

static const mcpsess_backends names = {LIT("ids"), LIT("s.")};

/* What a replica is at: it counts in a pair that all share, and in one of its own. */
typedef struct counter {
    mcpsess_merge_op m;
    mcpsess_merge how;
    char mem[MCPSESS_MERGE_BYTES(RECORD)];
    mcpsess_str own;
    uint32_t done; /* as far as it was told */
    uint32_t left; /* to count */
    int rc;
} counter;

static counter counters[REPLICAS];

static uint64_t number_in(mcpsess_str bytes, mcpsess_str key) {
    mcpsess_record r;
    mcpsess_str text;
    uint64_t n = 0;
    CHECK_EQ(mcpsess_record_decode(bytes, &r), MCPSESS_OK);
    if (mcpsess_record_get(&r, key, &text) == MCPSESS_OK)
        CHECK_EQ(mcpsess_u64_decode(text, UINT32_MAX, &n), MCPSESS_OK);
    return n;
}

static int add_one(mcpsess_buf *to, mcpsess_str key) {
    char digits[24];
    mcpsess_buf b;
    mcpsess_buf_init(&b, digits, sizeof digits);
    mcpsess_buf_put_u64(&b, number_in(mcpsess_buf_str(to), key) + 1);
    return mcpsess_record_put(to, key, mcpsess_buf_str(&b));
}

static int count(void *user, mcpsess_buf *bytes) {
    const counter *c = (const counter *)user;
    int rc;
    if (number_in(mcpsess_buf_str(bytes), c->own) > c->done) return MCPSESS_END; /* it was done before */
    rc = add_one(bytes, c->own);
    return rc == MCPSESS_OK ? add_one(bytes, MCPSESS_STR("n")) : rc;
}

static int begin_count(unsigned n) {
    static const char keys[] = "xyz";
    counter *c = &counters[n];
    mcpsess_op_init(&c->m.op, 2000);
    c->how.merge = count;
    c->how.user = c;
    c->how.repeats = true;
    c->own = mcpsess_str_of(keys + n, 1);
    return mcpsess_session_merge(&t.at[n].sessions, &c->m, id, &nobody, &c->how, c->mem, sizeof c->mem, now());
}

/* One turn of all replicas. -> is there more to do? */
static bool count_turn(void) {
    bool more = false;
    unsigned n;
    for (n = 0; n < REPLICAS; n++) {
        counter *c = &counters[n];
        if (c->rc == MCPSESS_PENDING) c->rc = mcpsess_poll(&c->m.op, now());
        if (c->rc == MCPSESS_PENDING) {
            more = true;
            continue;
        }
        if (c->left == 0) continue;
        if (c->rc == MCPSESS_OK || c->rc == MCPSESS_END) {
            c->done++;
            c->left--;
        } else if (c->rc != MCPSESS_E_IO && c->rc != MCPSESS_E_UNKNOWN && c->rc != MCPSESS_E_TIMEOUT) { /* try again */
            CHECK_EQ(c->rc, MCPSESS_OK);
            c->left = 0;
        }
        if (c->left == 0) continue;
        c->rc = begin_count(n);
        more = true;
    }
    return more;
}

static void begin_counting(uint32_t each) {
    unsigned n;
    memset(counters, 0, sizeof counters);
    for (n = 0; n < REPLICAS; n++) {
        counters[n].left = each;
        counters[n].rc = begin_count(n);
    }
}

/* the record at the server */
static mcpsess_str stored(void) {
    return ADMIN("GET", KEY);
}

static uint32_t conflicts(void) {
    uint32_t sum = 0;
    unsigned n;
    for (n = 0; n < REPLICAS; n++) sum += t.at[n].sessions.stats.conflicts;
    return sum;
}

static void known_for_long(void) {
    t.ttl_ms = 60000;
    known();
    t.ttl_ms = TTL_MS;
}

TEST(a_merge_of_a_known_session_is_one_request) {
    unsigned n;
    known_for_long();
    counters[0].left = 1;
    CHECK_EQ(mcpsess_wait(&counters[0].m.op, begin_count(0), &t.at[0].hook), MCPSESS_OK);
    CHECK(!t.told || t.at[0].sessions.stats.requests == 1);
    CHECK_EQ(number_in(stored(), MCPSESS_STR("n")), 1);
    for (n = 1; n <= 20; n++) {
        counters[0].done = n;
        CHECK_EQ(mcpsess_wait(&counters[0].m.op, begin_count(0), &t.at[0].hook), MCPSESS_OK);
    }
    tap_note("requests for 20 more of them, one after the other", (int64_t)t.at[0].sessions.stats.requests - 1);
    CHECK_EQ(number_in(stored(), MCPSESS_STR("n")), 21);
}

TEST(merges_of_all_at_the_same_time_lose_nothing) {
    known_for_long();
    begin_counting(ROUNDS);
    while (count_turn()) continue;
    CHECK_EQ(number_in(stored(), MCPSESS_STR("n")), REPLICAS * ROUNDS);
    CHECK_EQ(number_in(stored(), MCPSESS_STR("x")), ROUNDS);
    tap_note("counted", REPLICAS * ROUNDS);
    tap_note("conflicts on the way", conflicts());
    CHECK(conflicts() > 0);
}

TEST(merges_lose_nothing_with_their_connections) {
    uint64_t kill_ms;
    uint32_t unsure = 0;
    unsigned n, kills = 30;
    known_for_long();
    begin_counting(ROUNDS);
    kill_ms = now() + 2;
    while (count_turn()) {
        if (kills == 0 || now() < kill_ms) continue;
        (void)ADMIN("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        kill_ms = now() + 25;
        kills--;
    }
    for (n = 0; n < REPLICAS; n++) unsure += t.at[n].store.stats.read_backs;
    tap_note("writes that had to be looked up", unsure);
    CHECK_EQ(number_in(stored(), MCPSESS_STR("n")), REPLICAS * ROUNDS);
    for (n = 0; n < REPLICAS; n++) CHECK_EQ(number_in(stored(), counters[n].own), ROUNDS);
}

static int begin_expiring(unsigned n, const char *backend) {
    counter *c = &counters[n];
    mcpsess_op_init(&c->m.op, 0);
    return mcpsess_session_backend_expired(&t.at[n].sessions, &c->m, id, &nobody, &names, mcpsess_str_z(backend),
                                           c->mem, sizeof c->mem, now());
}

static void both(int a, int b) {
    while (a == MCPSESS_PENDING || b == MCPSESS_PENDING) {
        if (a == MCPSESS_PENDING) a = mcpsess_poll(&counters[0].m.op, now());
        if (b == MCPSESS_PENDING) b = mcpsess_poll(&counters[1].m.op, now());
    }
    CHECK_EQ(a, MCPSESS_OK);
    CHECK_EQ(b, MCPSESS_OK);
}

/* a session with a list of backends, known to all */
static void store_list(const char *list) {
    mcpsess_buf b;
    mcpsess_op op;
    mcpsess_str found;
    unsigned n;
    mcpsess_buf_init(&b, room, sizeof room);
    mcpsess_buf_put(&b, record(""));
    CHECK_EQ(mcpsess_record_put(&b, names.list, mcpsess_str_z(list)), MCPSESS_OK);
    mcpsess_op_init(&op, 0);
    CHECK_EQ(
        mcpsess_wait(&op, mcpsess_session_store(&t.at[2].sessions, &op, mcpsess_buf_str(&b), now()), &t.at[2].hook),
        MCPSESS_OK);
    for (n = 0; n < REPLICAS; n++) CHECK_EQ(load(n, &found), MCPSESS_OK);
}

TEST(two_that_expire_two_backends_lose_neither) {
    unsigned round;
    mcpsess_record r;
    mcpsess_str list;
    known_for_long();
    for (round = 0; round < 50; round++) {
        store_list("a,b,c");
        both(begin_expiring(0, "a"), begin_expiring(1, "b"));
        CHECK_EQ(mcpsess_record_decode(stored(), &r), MCPSESS_OK);
        CHECK_EQ(mcpsess_record_get(&r, names.list, &list), MCPSESS_OK);
        CHECK_STR(list, "c");
    }
}

TEST(what_ends_meanwhile_does_not_come_back) {
    unsigned round;
    known_for_long();
    for (round = 0; round < 50; round++) {
        mcpsess_op op;
        int a, b;
        store_list("a,b");
        mcpsess_op_init(&op, 0);
        if (round % 2 == 0) {
            a = begin_expiring(0, "a");
            b = mcpsess_session_del(&t.at[1].sessions, &op, id, &nobody, now());
        } else {
            b = mcpsess_session_del(&t.at[1].sessions, &op, id, &nobody, now());
            a = begin_expiring(0, "a");
        }
        while (a == MCPSESS_PENDING || b == MCPSESS_PENDING) {
            if (a == MCPSESS_PENDING) a = mcpsess_poll(&counters[0].m.op, now());
            if (b == MCPSESS_PENDING) b = mcpsess_poll(&op, now());
        }
        CHECK_EQ(a, MCPSESS_OK);
        CHECK_EQ(b, MCPSESS_OK);
        CHECK_EQ(NUMBER("EXISTS", KEY), 0);
    }
}

static void all(void) {
    RUN(an_unchanged_session_is_hit_without_a_round_trip);
    RUN(a_change_at_one_is_seen_by_the_others);
    if (t.told) RUN(what_was_pushed_before_is_never_overlooked);
    RUN(foreign_writes_are_seen);
    RUN(foreign_refreshes_cost_a_request);
    RUN(foreign_removals_are_seen);
    RUN(after_a_lost_connection_nothing_is_trusted);
    RUN(lost_scripts_are_of_no_concern);
    RUN(a_half_open_connection_is_trusted_for_its_stated_time);
    RUN(a_merge_of_a_known_session_is_one_request);
    RUN(merges_of_all_at_the_same_time_lose_nothing);
    RUN(merges_lose_nothing_with_their_connections);
    RUN(two_that_expire_two_backends_lose_neither);
    RUN(what_ends_meanwhile_does_not_come_back);
}

int main(int argc, char **argv) {
    bool tracks;
    int mode;
    if (argc != 4) return 2;
    t.host = argv[1];
    t.port = argv[2];
    t.password = argv[3];
    t.ttl_ms = TTL_MS;
    port_init();
    tap_begin("connects");
    owner_open(t.host, t.port, "");
    tracks = server_tracks();
    tap_note("the server tracks", tracks);
    tap_end();
    for (mode = 0; mode < 3; mode++) {
        t.resp2 = mode == 2;
        t.tracking = mode == 1 ? MCPSESS_REDIS_TRACK_PREFIXES : MCPSESS_REDIS_TRACK_KEYS;
        t.told = tracks && !t.resp2;
        tap_note("RESP2", t.resp2);
        tap_note("tracking", t.tracking);
        all();
    }
    return tap_finish();
}
