/* The store on a real server: the contract of every store, and what is this one's own.
     store HOST_OR_PATH PORT PASSWORD            all of it, as the user mcpsess; without a password as nobody
     store HOST_OR_PATH PORT PASSWORD may USER   a bit of everything, as another user, or with a password alone; says on
                                                 stderr what it may not
     store HOST_OR_PATH PORT PASSWORD loading    waits for a server that is loading its data
     store script N, store digest N              of the store's scripts, from 0; status 1: there is none */

#include "owner.h"

#include "store_contract.h"

#define SLOTS 8
#define VALUE_MAX 20000u
#define PLENTY 60000u /* ms; no test takes so long */

MCPSESS_REDIS_STORAGE(wire, SLOTS, MCPSESS_REDIS_STORE_TX(VALUE_MAX), 512);

static struct {
    store_rig rig;
    mcpsess_redis redis;
    mcpsess_redis_store store;
    sock sock;
    mcpsess_wait_hook hook;
    const char *host, *port, *user, *password;
    uint64_t ahead_ms; /* of the real clock: time that was let go by */
    bool resp2;
    bool patient;
    bool tracks; /* the server can, by its own account */
    uint8_t tracking;
    uint16_t db;
} t;

static uint64_t now(void) {
    return t.hook.now_ms(t.hook.user) + t.ahead_ms;
}

static unsigned refused_loading;

static void hook_log(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)user, (void)level, (void)key;
    if (item == MCPSESS_REDIS_ITEM_SERVER_ERROR && number == (uint64_t)-MCPSESS_REDIS_E_LOADING) refused_loading++;
}

static void make(void) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    mcpsess_redis_close(&t.redis);
    sock_init(&t.sock, t.host, t.port);
    t.hook = sock_wait_hook(&t.sock);
    d.transport = sock_transport(&t.sock);
    d.slots = SLOTS;
    d.tx_bytes = MCPSESS_REDIS_STORE_TX(VALUE_MAX);
    d.rx_bytes = 512;
    d.user = mcpsess_str_z(t.user);
    d.password = mcpsess_str_z(t.password);
    d.name = MCPSESS_STR("contract");
    d.resp2 = t.resp2;
    d.tracking = t.tracking;
    d.db = t.db;
    d.patient = t.patient;
    d.log.log = hook_log;
    CHECK_EQ(mcpsess_redis_init(&t.redis, &d, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    sd.redis = &t.redis;
    CHECK_EQ(mcpsess_redis_store_init(&t.store, &sd), MCPSESS_OK);
    t.rig.store = mcpsess_redis_store_store(&t.store);
    t.rig.now_ms = now();
}

static void reset(store_rig *rig) {
    (void)rig;
    (void)ADMIN("FLUSHALL");
    make();
}

static void pass(store_rig *rig, uint64_t ms) {
    owner_ages(AGING(""), ms);
    t.ahead_ms += ms;
    rig->now_ms = now();
}

static void idle(store_rig *rig) {
    wait_for(&rig->store, &t.hook, rig->now_ms, t.ahead_ms);
    rig->now_ms = now();
}

/* -- one request after the other -- */

static mcpsess_request q;
static char value_mem[VALUE_MAX];
static mcpsess_buf out;
static char heard[MCPSESS_ID_MAX];
static size_t heard_len;
static unsigned hearings;

static void changed(void *user, mcpsess_str key) {
    (void)user;
    hearings++;
    heard_len = key.len;
    if (key.len != 0) memcpy(heard, key.ptr, key.len);
}

static const mcpsess_listener listener = {changed, NULL};

static int run(void) {
    t.rig.now_ms = now();
    t.rig.store.cls->submit(t.rig.store.self, &q, t.rig.now_ms);
    while (q.rc == MCPSESS_PENDING) {
        t.rig.store.cls->poll(t.rig.store.self, t.rig.now_ms);
        if (q.rc == MCPSESS_PENDING) idle(&t.rig);
    }
    return q.rc;
}

static void request(uint8_t kind, const char *key, uint64_t ttl_ms) {
    memset(&q, 0, sizeof q);
    q.kind = kind;
    q.key = mcpsess_str_z(key);
    q.ttl_ms = ttl_ms;
}

static int ask(uint8_t kind, const char *key, const char *value, uint64_t ttl_ms) {
    request(kind, key, ttl_ms);
    q.value = mcpsess_str_z(value);
    return run();
}

static int put(uint8_t mode, const char *key, const char *expect, const char *value, uint64_t ttl_ms) {
    request(MCPSESS_PUT, key, ttl_ms);
    q.mode = mode;
    q.value = mcpsess_str_z(value);
    q.expect = mcpsess_str_z(expect);
    return run();
}

static int get(const char *key, uint64_t ttl_ms, size_t room) {
    request(MCPSESS_GET, key, ttl_ms);
    mcpsess_buf_init(&out, value_mem, room);
    q.out = &out;
    return run();
}

static int look(const char *key) {
    return ask(MCPSESS_GET, key, "", 0);
}

/* Everything that the server has said by now is heard before this is answered. */
static void sync(void) {
    CHECK_EQ(look("nothing"), MCPSESS_MISS);
}

/* -- as others see it -- */

TEST(others_see_escaped_keys_and_raw_values) {
    reset(&t.rig);
    request(MCPSESS_PUT, "", PLENTY);
    q.key = MCPSESS_STR("a{b}c%d\n\0\xff");
    q.value = MCPSESS_STR("v\0\r\n\xff");
    CHECK_EQ(run(), MCPSESS_OK);
    CHECK(q.left_ms <= PLENTY && q.left_ms > PLENTY - 5000); /* the server's clock may go on within a script */
    CHECK_STR(ADMIN("GET", "mcpsess:r:{a%7Bb%7Dc%25d%0A%00%FF}"), "v\0\r\n\xff");
    CHECK(NUMBER("PTTL", "mcpsess:r:{a%7Bb%7Dc%25d%0A%00%FF}") > (int64_t)PLENTY - 5000);
    CHECK_EQ(ask(MCPSESS_PUT, "k", "v", 0), MCPSESS_OK);
    CHECK_EQ(NUMBER("PTTL", "mcpsess:r:{k}"), -1);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", "token", PLENTY), MCPSESS_OK);
    CHECK_STR(ADMIN("GET", "mcpsess:l:{k}"), "token");
    CHECK(NUMBER("GET", "mcpsess:f:{k}") == (int64_t)q.fence);
    CHECK_EQ(NUMBER("DBSIZE"), 4);
}

/* The slot of a key in a cluster: CRC-16/XMODEM of what is between the first { and the next }. */
static unsigned slot_of(mcpsess_str key) {
    size_t n = 0, end;
    unsigned crc = 0, bit;
    while (n < key.len && key.ptr[n] != '{') n++;
    for (end = n + 1; end < key.len && key.ptr[end] != '}';) end++;
    if (end < key.len && end > n + 1) key = mcpsess_str_of(key.ptr + n + 1, end - n - 1);
    for (n = 0; n < key.len; n++) {
        crc ^= (unsigned)(unsigned char)key.ptr[n] << 8;
        for (bit = 0; bit < 8; bit++) crc = (crc << 1 ^ ((crc & 0x8000u) != 0 ? 0x1021u : 0u)) & 0xFFFFu;
    }
    return crc % 16384u;
}

TEST(ids_choose_their_own_slot_and_no_other) {
    static const mcpsess_str ids[] = {LIT("plain"),   LIT("{plain}"), LIT("x{plain}"), LIT("}{plain}"),
                                      LIT("{}plain"), LIT("{"),       LIT("}"),        LIT("{}")};
    unsigned n, slots[COUNT_OF(ids)];
    char key[64], *end;
    CHECK_EQ(slot_of(MCPSESS_STR("123456789")), 0x31C3 % 16384); /* the check value of the CRC */
    for (n = 0; n < COUNT_OF(ids); n++) {
        unsigned m;
        reset(&t.rig);
        request(MCPSESS_PUT, "", PLENTY);
        q.key = ids[n];
        CHECK_EQ(run(), MCPSESS_OK);
        q.kind = MCPSESS_LEASE_ACQUIRE;
        q.value = MCPSESS_STR("token");
        CHECK_EQ(run(), MCPSESS_OK);
        CHECK_EQ(NUMBER("DBSIZE"), 3);
        memset(key, 0, sizeof key);
        memcpy(key, ADMIN("RANDOMKEY").ptr, 8);
        CHECK(memcmp(key, "mcpsess:", 8) == 0);
        for (m = 0; m < 3; m++) { /* record, lease, fence */
            static const char spaces[] = "rlf";
            unsigned slot;
            mcpsess_str name;
            char pattern[16];
            snprintf(pattern, sizeof pattern, "mcpsess:%c:*", spaces[m]);
            name = ADMIN("EVAL", "return redis.call('KEYS',ARGV[1])[1]", "0", pattern);
            slot = slot_of(name);
            if (m == 0) slots[n] = slot;
            CHECK_EQ(slot, slots[n]);
            end = (char *)memchr(name.ptr, '}', name.len); /* the braces hold all of the id, so all of it counts */
            CHECK(end == name.ptr + name.len - 1);
        }
        for (m = 0; m < n; m++) CHECK(slots[m] != slots[n]);
    }
}

TEST(a_request_is_one_command) {
    char *at;
    uint32_t commands;
    reset(&t.rig);
    sync();
    (void)ADMIN("CONFIG", "RESETSTAT");
    commands = t.redis.stats.commands;
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", "", "a", PLENTY), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_CAS, "k", "a", "b", PLENTY), MCPSESS_OK);
    CHECK_EQ(get("k", 10 * PLENTY, 10), MCPSESS_OK); /* slides */
    CHECK_EQ(get("k", 10 * PLENTY, 0), MCPSESS_E_TOOBIG);
    CHECK_EQ(ask(MCPSESS_TOUCH, "k", "", PLENTY), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_DEL_EQUAL, "k", "", 0), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_DEL, "k", "", 0), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", "token", PLENTY), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k", "token", PLENTY), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", "token", 0), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_SWEEP, "", "", 0), MCPSESS_OK);
    CHECK_EQ(t.redis.stats.commands - commands, 10);
    at = strstr(ADMIN("INFO", "commandstats").ptr, "cmdstat_evalsha:calls=");
    CHECK(at != NULL && strtol(at + sizeof "cmdstat_evalsha:calls=" - 1, NULL, 10) == 10);
    CHECK_EQ(t.store.stats.refreshed, 1);
}

TEST(a_value_of_many_pieces_and_one_that_does_not_fit) {
    static char longest[VALUE_MAX];
    uint64_t received;
    unsigned n;
    for (n = 0; n < VALUE_MAX; n++) longest[n] = (char)(n * 7u + n / 256u);
    reset(&t.rig);
    request(MCPSESS_PUT, "k", PLENTY);
    q.value = mcpsess_str_of(longest, VALUE_MAX);
    CHECK_EQ(run(), MCPSESS_OK);
    CHECK_EQ(get("k", 0, VALUE_MAX), MCPSESS_OK);
    CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_str_of(longest, VALUE_MAX)));
    pass(&t.rig, PLENTY / 2 + 1000);
    received = t.redis.stats.bytes_received;
    CHECK_EQ(get("k", PLENTY, VALUE_MAX - 1u), MCPSESS_E_TOOBIG);
    CHECK_EQ(q.need, VALUE_MAX);
    CHECK(t.redis.stats.bytes_received - received < 100); /* it stayed where it is */
    CHECK_EQ(look("k"), MCPSESS_OK);
    CHECK(q.left_ms < PLENTY / 2);                /* and an error changes nothing */
    q.value = mcpsess_str_of(longest, VALUE_MAX); /* compared byte by byte, to the last */
    q.expect = mcpsess_str_of(longest, VALUE_MAX);
    q.kind = MCPSESS_PUT;
    q.mode = MCPSESS_PUT_CAS;
    CHECK_EQ(run(), MCPSESS_OK);
    longest[VALUE_MAX - 1u] ^= 1;
    CHECK_EQ(run(), MCPSESS_LOST);
}

TEST(time_really_passes) {
    reset(&t.rig);
    CHECK_EQ(ask(MCPSESS_PUT, "k", "v", 40), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", "a", 40), MCPSESS_OK);
    while (look("k") == MCPSESS_OK) continue;
    CHECK_EQ(q.rc, MCPSESS_MISS);
    while (ask(MCPSESS_LEASE_ACQUIRE, "k", "b", PLENTY) == MCPSESS_BUSY) CHECK(q.left_ms <= 40);
    CHECK_EQ(q.rc, MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k", "a", PLENTY), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", "a", 0), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", "b", 0), MCPSESS_OK);
}

/* -- leases -- */

static uint64_t acquired(const char *token, uint64_t ttl_ms) {
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", token, ttl_ms), MCPSESS_OK);
    return q.fence;
}

TEST(a_stale_holder_cannot_release_or_extend) {
    uint64_t fence;
    reset(&t.rig);
    fence = acquired("a", PLENTY);
    pass(&t.rig, PLENTY);
    CHECK(acquired("b", PLENTY) > fence);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", "a", 0), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k", "a", PLENTY), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", "a", PLENTY), MCPSESS_BUSY);
    CHECK_STR(ADMIN("GET", "mcpsess:l:{k}"), "b");
}

TEST(a_lease_is_valid_for_less_than_its_ttl) {
    reset(&t.rig);
    (void)acquired("a", PLENTY);
    CHECK(q.left_ms <= PLENTY - PLENTY / 128 - 2 && q.left_ms > PLENTY - PLENTY / 128 - 2 - 5000);
    CHECK(NUMBER("PTTL", "mcpsess:l:{k}") >= (int64_t)q.left_ms); /* we let go before the server does */
}

TEST(fences_grow_when_all_keys_are_lost) {
    uint64_t fence, first;
    unsigned n;
    reset(&t.rig);
    first = fence = acquired("a", PLENTY);
    CHECK(fence > UINT64_C(1600000000000000)); /* the clock in microseconds */
    for (n = 0; n < 20; n++) {
        uint64_t next;
        (void)ADMIN("FLUSHALL");
        next = acquired(n % 2 == 0 ? "b" : "a", PLENTY);
        CHECK(next > fence);
        fence = next;
    }
    CHECK(fence < first + 60000000u);
}

TEST(fences_grow_when_the_clock_goes_back) {
    reset(&t.rig);
    (void)acquired("a", PLENTY);
    (void)ADMIN("SET", "mcpsess:f:{k}", "8000000000000000"); /* by a clock that was ahead */
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", "a", 0), MCPSESS_OK);
    CHECK(acquired("b", PLENTY) == UINT64_C(8000000000000001));
    CHECK_STR(ADMIN("GET", "mcpsess:f:{k}"), "8000000000000001"); /* no exponent, no lost digit */
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", "b", 0), MCPSESS_OK);
    CHECK(acquired("b", PLENTY) == UINT64_C(8000000000000002));
    CHECK(acquired("b", PLENTY) == UINT64_C(8000000000000002));
}

TEST(a_fence_outlives_its_lease_a_hundred_times) {
    uint64_t fence;
    reset(&t.rig);
    fence = acquired("a", 1000);
    CHECK(NUMBER("PTTL", "mcpsess:f:{k}") > 90000);
    (void)ADMIN("PEXPIRE", "mcpsess:f:{k}", "2000");
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k", "a", PLENTY), MCPSESS_OK); /* for ever, if it likes */
    CHECK(q.fence == fence);
    CHECK(NUMBER("PTTL", "mcpsess:f:{k}") > 99 * (int64_t)PLENTY);
    (void)ADMIN("DEL", "mcpsess:f:{k}"); /* evicted */
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k", "a", PLENTY), MCPSESS_OK);
    CHECK(q.fence > fence);
    fence = q.fence;
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k", "a", MCPSESS_NEVER), MCPSESS_OK);
    CHECK(q.fence == fence);
    CHECK(NUMBER("PTTL", "mcpsess:l:{k}") > INT64_C(35184372000000));
    CHECK(NUMBER("PTTL", "mcpsess:f:{k}") > INT64_C(3518437200000000));
}

/* -- changes -- */

static void not_heard(void) {
    sync();
    hearings = 0;
}

/* Somebody writes the record, and somebody else's. */
static void told_of(const char *id) {
    char key[64];
    snprintf(key, sizeof key, "mcpsess:r:{%s}", id);
    not_heard();
    (void)ADMIN("SET", "other", "w");
    (void)ADMIN("SET", key, "w", "PX", "60000");
    sync();
    CHECK_EQ(hearings, 1);
    CHECK(mcpsess_str_eq(mcpsess_str_of(heard, heard_len), mcpsess_str_z(id)));
}

static void begin_listening(void) {
    reset(&t.rig);
    t.rig.store.cls->listen(t.rig.store.self, MCPSESS_OF_RECORDS, &listener);
    sync();
}

TEST(others_writes_are_told_after_each_kind_of_write) {
    begin_listening();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", "", "v", PLENTY), MCPSESS_OK);
    told_of("k");
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", "", "v", 0), MCPSESS_OK);
    told_of("k");
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", "", "v", PLENTY), MCPSESS_OK);
    told_of("k");
    CHECK_EQ(put(MCPSESS_PUT_CAS, "k", "w", "x", PLENTY), MCPSESS_OK);
    told_of("k");
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "l", "", "v", PLENTY), MCPSESS_OK);
    told_of("l");
}

TEST(others_writes_are_told_after_each_kind_of_read) {
    begin_listening();
    CHECK_EQ(get("k", PLENTY, 10), MCPSESS_MISS);
    told_of("k");
    CHECK_EQ(get("k", 0, 10), MCPSESS_OK);
    told_of("k");
    CHECK_EQ(get("k", 0, 0), MCPSESS_E_TOOBIG);
    told_of("k");
    CHECK_EQ(get("k", 3 * PLENTY, 10), MCPSESS_OK);
    CHECK(q.left_ms > 2 * PLENTY);
    told_of("k");
    CHECK_EQ(ask(MCPSESS_TOUCH, "k", "", 3 * PLENTY), MCPSESS_OK);
    told_of("k");
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", "", "v", PLENTY), MCPSESS_EXISTS);
    told_of("k");
    CHECK_EQ(t.store.stats.refreshed, 2);
}

TEST(removals_and_expiries_are_told) {
    begin_listening();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", "", "v", PLENTY), MCPSESS_OK);
    not_heard();
    (void)ADMIN("DEL", "mcpsess:r:{k}");
    sync();
    CHECK_EQ(hearings, 1);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", "", "v", PLENTY), MCPSESS_OK);
    not_heard();
    (void)ADMIN("PEXPIRE", "mcpsess:r:{k}", "-1");
    sync();
    CHECK_EQ(hearings, 1);
    not_heard();
    (void)ADMIN("FLUSHALL");
    sync();
    CHECK_EQ(hearings, 1);
    CHECK_EQ(heard_len, 0); /* any */
}

TEST(only_a_refresh_is_a_write) {
    unsigned n;
    begin_listening();
    (void)ADMIN("SET", "mcpsess:r:{k}", "v", "PX", "20000");
    not_heard();
    CHECK_EQ(get("k", PLENTY, 10), MCPSESS_OK);
    sync();
    CHECK_EQ(hearings, 1); /* our own: the copy is to be confirmed */
    CHECK_EQ(heard_len, 1);
    for (n = 0; n < 3; n++) {
        CHECK_EQ(get("k", PLENTY, 10), MCPSESS_OK);
        CHECK_EQ(ask(MCPSESS_TOUCH, "k", "", PLENTY), MCPSESS_OK);
    }
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", "", "x", PLENTY), MCPSESS_EXISTS);
    CHECK_EQ(put(MCPSESS_PUT_CAS, "k", "no", "x", PLENTY), MCPSESS_LOST);
    CHECK_EQ(get("k", 9 * PLENTY, 0), MCPSESS_E_TOOBIG);
    request(MCPSESS_GET, "k", 9 * PLENTY);
    q.guarded = true;
    q.owner = principal("issuer", "somebody");
    CHECK_EQ(run(), MCPSESS_MISS);
    CHECK_EQ(t.store.stats.foreign, 1);
    sync();
    CHECK_EQ(hearings, 1); /* and that quietens down */
    told_of("k");
}

TEST(hear_takes_in_what_was_told) {
    uint64_t until;
    begin_listening();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "a%b", "", "v", PLENTY), MCPSESS_OK);
    not_heard();
    CHECK_EQ(t.rig.store.cls->hear(t.rig.store.self, now()), MCPSESS_OK);
    CHECK_EQ(hearings, 0);
    (void)ADMIN("SET", "mcpsess:r:{a%25b}", "w");
    until = now() + 5000;
    while (hearings == 0 && now() < until) (void)t.rig.store.cls->hear(t.rig.store.self, now());
    CHECK_EQ(hearings, 1);
    CHECK(mcpsess_str_eq(mcpsess_str_of(heard, heard_len), MCPSESS_STR("a%b")));
    CHECK_EQ(t.rig.store.cls->hear(t.rig.store.self, now()), MCPSESS_OK);
}

TEST(without_pushes_nothing_is_said_to_be_heard) {
    reset(&t.rig);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", "", "v", PLENTY), MCPSESS_OK);
    CHECK_EQ(t.rig.store.cls->hear(t.rig.store.self, now()), MCPSESS_STALE);
}

/* -- trouble -- */

TEST(errors_inside_scripts_have_their_codes) {
    reset(&t.rig);
    (void)ADMIN("LPUSH", "mcpsess:r:{k}", "v");
    (void)ADMIN("LPUSH", "mcpsess:l:{k}", "v");
    CHECK_EQ(look("k"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(ask(MCPSESS_PUT, "k", "v", PLENTY), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(ask(MCPSESS_DEL, "k", "", 0), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", "a", PLENTY), MCPSESS_REDIS_E_WRONGTYPE);
    (void)ADMIN("LPUSH", "mcpsess:f:{l}", "v");
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "l", "a", PLENTY), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(NUMBER("EXISTS", "mcpsess:l:{l}"), 0); /* no lease without a fence */
    (void)ADMIN("CONFIG", "SET", "maxmemory", "1");
    CHECK_EQ(ask(MCPSESS_PUT, "m", "v", PLENTY), MCPSESS_REDIS_E_OOM);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "m", "a", PLENTY), MCPSESS_REDIS_E_OOM);
    CHECK_EQ(look("m"), MCPSESS_MISS); /* reads go on */
    (void)ADMIN("CONFIG", "SET", "maxmemory", "0");
    CHECK_EQ(t.redis.stats.disconnects, 0);
}

TEST(scripts_that_are_flushed_come_back_in_order) {
    static mcpsess_request many[SLOTS];
    unsigned n, done = 0;
    reset(&t.rig);
    CHECK_EQ(ask(MCPSESS_PUT, "k", "0", PLENTY), MCPSESS_OK);
    (void)ADMIN("SCRIPT", "FLUSH");
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
    CHECK_STR(ADMIN("GET", "mcpsess:r:{k}"), "8");
}

TEST(a_server_that_is_busy_with_a_script_says_so) {
    static const mcpsess_str endless[] = {LIT("EVAL"), LIT("while true do end"), LIT("0")};
    mcpsess_wait_hook hook = sock_wait_hook(&owner.sock);
    uint64_t until_ms = now() + 5000;
    char room[16];
    mcpsess_buf reply;
    mcpsess_redis_op op;
    reset(&t.rig);
    sync();
    (void)ADMIN("CONFIG", "SET", "lua-time-limit", "20");
    mcpsess_buf_init(&reply, room, sizeof room);
    mcpsess_op_init(&op.op, 0);
    CHECK_EQ(mcpsess_redis_cmd(&owner.redis, &op, endless, COUNT_OF(endless), &reply, hook.now_ms(hook.user)),
             MCPSESS_PENDING); /* and sent */
    while (look("k") == MCPSESS_MISS && now() < until_ms) continue;
    CHECK_EQ(q.rc, MCPSESS_REDIS_E_BUSY);
    CHECK_EQ(ask(MCPSESS_PUT, "k", "v", PLENTY), MCPSESS_REDIS_E_BUSY);
    CHECK_EQ(mcpsess_redis_reset(&owner.redis, hook.now_ms(hook.user)), MCPSESS_OK); /* whoever kills it is another */
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_E_UNKNOWN);
    (void)ADMIN("SCRIPT", "KILL");
    while (look("k") == MCPSESS_REDIS_E_BUSY && now() < until_ms) continue;
    CHECK_EQ(q.rc, MCPSESS_MISS);
    CHECK_EQ(t.redis.stats.disconnects, 0);
}

/* What an event loop does, until a count has come so far; at most 5 s. */
static void rest_until(const uint32_t *count, uint32_t times) {
    uint64_t until_ms = now() + 5000;
    while (*count < times && now() < until_ms) {
        (void)t.hook.wait(t.hook.user, mcpsess_redis_want(&t.redis), now() + 20 - t.ahead_ms);
        (void)mcpsess_redis_poll(&t.redis, now());
    }
    CHECK_EQ(*count, times);
}

TEST(a_server_that_became_a_replica_is_left) {
    mcpsess_str text;
    reset(&t.rig);
    CHECK_EQ(ask(MCPSESS_PUT, "k", "v", PLENTY), MCPSESS_OK);
    if (ADMIN_RC(&text, "REPLICAOF", "127.0.0.1", "1") != MCPSESS_OK) return; /* not in a cluster */
    CHECK_EQ(look("k"), MCPSESS_OK);
    CHECK_EQ(t.redis.stats.disconnects, 0); /* who only reads may stay */
    CHECK_EQ(ask(MCPSESS_PUT, "k", "w", PLENTY), MCPSESS_REDIS_E_READONLY);
    rest_until(&t.redis.stats.disconnects, 1);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", "a", PLENTY), MCPSESS_REDIS_E_READONLY);
    rest_until(&t.redis.stats.disconnects, 2);
    (void)ADMIN("CONFIG", "SET", "replica-serve-stale-data", "no");
    (void)look("k"); /* where SCRIPT LOAD is refused as well, the connection is not even made */
    CHECK(q.rc == MCPSESS_REDIS_E_MASTERDOWN || q.rc == MCPSESS_E_IO);
    (void)ADMIN("REPLICAOF", "NO", "ONE");
    (void)ADMIN("CONFIG", "SET", "replica-serve-stale-data", "yes");
    rest_until(&t.redis.stats.connects, q.rc == MCPSESS_E_IO ? 3 : 4);
    CHECK_EQ(ask(MCPSESS_PUT, "k", "w", PLENTY), MCPSESS_OK);
    CHECK_STR(ADMIN("GET", "mcpsess:r:{k}"), "w");
}

TEST(a_server_that_hangs_up_on_the_idle_is_connected_again) {
    mcpsess_str text;
    reset(&t.rig);
    sync();
    (void)ADMIN("CONFIG", "SET", "timeout", "1");
    rest_until(&t.redis.stats.disconnects, 1);
    (void)ADMIN_RC(&text, "CONFIG", "SET", "timeout", "0"); /* its own connection may be ended as well */
    (void)ADMIN("CONFIG", "SET", "timeout", "0");
    sync();
    CHECK_EQ(t.redis.stats.connects, 2);
}

TEST(a_server_that_is_full_is_asked_again) {
    reset(&t.rig);
    (void)ADMIN("CONFIG", "SET", "maxclients", "1"); /* the admin */
    CHECK_EQ(look("k"), MCPSESS_E_IO);
    (void)ADMIN("CONFIG", "SET", "maxclients", "1000");
    rest_until(&t.redis.stats.connects, 1);
    CHECK_EQ(look("k"), MCPSESS_MISS);
}

/* A server that may remember few keys tells of those that it gives up: they count as changed. */
TEST(keys_that_the_server_forgets_to_track_are_told) {
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
    uint64_t until_ms;
    unsigned n;
    begin_listening();
    (void)ADMIN("CONFIG", "SET", "tracking-table-max-keys", "2");
    not_heard();
    for (n = 0; n < COUNT_OF(ids); n++) CHECK_EQ(look(ids[n]), MCPSESS_MISS);
    until_ms = now() + 5000;
    while (hearings < COUNT_OF(ids) - 2 && now() < until_ms) sync();
    CHECK(hearings >= COUNT_OF(ids) - 2);
    (void)ADMIN("CONFIG", "SET", "tracking-table-max-keys", "1000000");
    CHECK_EQ(look("k"), MCPSESS_MISS);
    told_of("k");
}

TEST(digests_are_those_of_the_server) {
    unsigned n;
    CHECK(t.store.i.modules[MCPSESS_OF_RECORDS].script_count > 0);
    for (n = 0; n < t.store.i.modules[MCPSESS_OF_RECORDS].script_count; n++) {
        const mcpsess_redis_script *script = &t.store.i.modules[MCPSESS_OF_RECORDS].scripts[n];
        CHECK_EQ(strlen(script->text), script->len);
        CHECK(mcpsess_str_eq(ADMIN("SCRIPT", "LOAD", script->text), mcpsess_str_z(script->sha1)));
    }
}

static void own_tests(void) {
    RUN(others_see_escaped_keys_and_raw_values);
    RUN(ids_choose_their_own_slot_and_no_other);
    RUN(a_request_is_one_command);
    RUN(a_value_of_many_pieces_and_one_that_does_not_fit);
    RUN(time_really_passes);
    RUN(a_stale_holder_cannot_release_or_extend);
    RUN(a_lease_is_valid_for_less_than_its_ttl);
    RUN(fences_grow_when_all_keys_are_lost);
    RUN(fences_grow_when_the_clock_goes_back);
    RUN(a_fence_outlives_its_lease_a_hundred_times);
    RUN(errors_inside_scripts_have_their_codes);
    RUN(a_server_that_is_busy_with_a_script_says_so);
    RUN(a_server_that_is_full_is_asked_again);
    RUN(a_server_that_became_a_replica_is_left);
    RUN(a_server_that_hangs_up_on_the_idle_is_connected_again);
    RUN(scripts_that_are_flushed_come_back_in_order);
    RUN(digests_are_those_of_the_server);
    if (t.resp2 || !t.tracks) {
        RUN(without_pushes_nothing_is_said_to_be_heard);
        return;
    }
    RUN(others_writes_are_told_after_each_kind_of_write);
    RUN(others_writes_are_told_after_each_kind_of_read);
    RUN(removals_and_expiries_are_told);
    RUN(only_a_refresh_is_a_write);
    RUN(hear_takes_in_what_was_told);
    if (t.tracking == MCPSESS_REDIS_TRACK_KEYS) RUN(keys_that_the_server_forgets_to_track_are_told);
}

/* -- permissions -- */

static unsigned refusals;

static void may(bool ok, const char *what) {
    if (ok) return;
    refusals++;
    fprintf(stderr, "%s: %s %.96s\n", what, mcpsess_redis_code_name(q.rc), mcpsess_redis_error(&t.redis).ptr);
}

/* Everything that the engine and the store ever send. */
static void everything(void) {
    uint64_t until;
    make();
    may(ask(MCPSESS_PUT, "k", "v", 1000) == MCPSESS_OK, "put");
    may(get("k", PLENTY, 10) == MCPSESS_OK && q.left_ms > PLENTY - 5000, "get that refreshes");
    may(ask(MCPSESS_DEL, "k", "", 0) == MCPSESS_OK, "del");
    may(ask(MCPSESS_LEASE_ACQUIRE, "k", "a", PLENTY) == MCPSESS_OK, "acquire");
    may(ask(MCPSESS_LEASE_RELEASE, "k", "a", 0) == MCPSESS_OK, "release");
    t.ahead_ms += 20000; /* a PING is due */
    for (until = now() + 3000; t.redis.stats.pings == 0 && now() < until;) {
        if (mcpsess_redis_poll(&t.redis, now()) < 0) break;
    }
    (void)look("k");
    may(t.redis.stats.pings != 0, "ping");
    may(mcpsess_redis_wall_ms(&t.redis, now()) != 0, "time");
    if (!t.resp2 && t.tracks) may(t.rig.store.cls->hear(t.rig.store.self, now()) == MCPSESS_OK, "hear");
    may(t.redis.stats.server_errors == (t.resp2 || t.tracks ? 0 : 1), "errors"); /* who knows HELLO knows tracking */
    may(t.redis.stats.connects == 1 && t.redis.stats.disconnects == 0, "connects");
}

static int permissions(const char *user) {
    t.user = user;
    t.db = 1;
    t.tracking = MCPSESS_REDIS_TRACK_KEYS;
    owner_open(t.host, t.port, t.user[0] == '\0' ? t.password : "");
    t.tracks = server_tracks();
    everything();
    t.resp2 = true;
    everything();
    return refusals == 0 ? 0 : 1;
}

/* The handshake is refused until the server is ready; who may wait is answered then. */
static int loading(void) {
    t.patient = true;
    make();
    request(MCPSESS_GET, "k", 0);
    q.deadline_ms = now() + 60000;
    CHECK_EQ(run(), MCPSESS_MISS);
    fprintf(stderr, "refused %u times, %u attempts failed\n", refused_loading, t.redis.stats.connect_failures);
    return q.rc == MCPSESS_MISS && refused_loading > 0 && t.redis.stats.connect_failures >= refused_loading ? 0 : 1;
}

static int print_script(const char *what, unsigned n) {
    const mcpsess_redis_script *script;
    t.host = t.port = t.user = t.password = "";
    make();
    if (n >= t.store.i.modules[MCPSESS_OF_RECORDS].script_count) return 1;
    script = &t.store.i.modules[MCPSESS_OF_RECORDS].scripts[n];
    fputs(strcmp(what, "script") == 0 ? script->text : script->sha1, stdout);
    return 0;
}

int main(int argc, char **argv) {
    int mode;
    if (argc == 3) return print_script(argv[1], (unsigned)atoi(argv[2]));
    if (argc < 4 || argc > 6) return 2;
    t.host = argv[1];
    t.port = argv[2];
    t.user = argv[3][0] != '\0' ? "mcpsess" : "";
    t.password = argv[3];
    t.rig.unit_ms = 10000;
    t.rig.leases = t.rig.closes = true;
    t.rig.reset = reset;
    t.rig.pass = pass;
    t.rig.idle = idle;
    if (argc == 5) return loading();
    if (argc == 6) return permissions(argv[5]);
    port_init();
    tap_begin("connects");
    owner_open(t.host, t.port, t.user[0] == '\0' ? t.password : "");
    t.tracks = server_tracks();
    tap_note("the server tracks", t.tracks);
    tap_end();
    for (mode = 0; mode < 3; mode++) {
        t.resp2 = mode == 2;
        t.tracking = mode == 1 ? MCPSESS_REDIS_TRACK_PREFIXES : MCPSESS_REDIS_TRACK_KEYS;
        tap_note("RESP2", t.resp2);
        tap_note("tracking", t.tracking);
        store_contract(&t.rig);
        own_tests();
    }
    return tap_finish();
}
