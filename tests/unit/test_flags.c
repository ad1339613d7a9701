/* memstore's flags: the contract of flags and leases, and what only this store promises */

#include "flag_contract.h"

#define LEASES 3u

static mcpsess_memstore ram;
static mcpsess_store store;
static mcpsess_flag_request q;
static uint64_t now;
static char out_mem[64];
static mcpsess_buf out;

static int lock_depth;
static bool misuse; /* locked twice, or called back while locked */

static void take(void *user) {
    if (user != &lock_depth || lock_depth++ != 0) misuse = true;
}

static void release(void *user) {
    if (user != &lock_depth || --lock_depth != 0) misuse = true;
}

static mcpsess_memstore_desc desc_of(uint16_t leases, uint16_t flags, uint16_t flag_max) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    d.records = 1;
    d.leases = leases;
    d.value_max = 15; /* nothing ends where the next thing may begin */
    d.flags = flags;
    d.flag_max = flag_max;
    d.lock.lock = take;
    d.lock.unlock = release;
    d.lock.user = &lock_depth;
    return d;
}

static void make_of(const mcpsess_memstore_desc *d) {
    uint64_t bytes = MCPSESS_MEMSTORE_BYTES(d->records, d->leases, d->value_max);
    if (d->flags != 0) bytes += MCPSESS_MEMSTORE_FLAG_BYTES(d->flags, d->flag_max);
    if (d->logs != 0) bytes += MCPSESS_MEMSTORE_LOG_BYTES(d->logs, d->log_bytes);
    CHECK_EQ(mcpsess_memstore_bytes(d), bytes);
    CHECK_EQ(mcpsess_memstore_init(&ram, d, arena(bytes), (size_t)bytes), MCPSESS_OK);
    store = mcpsess_memstore_store(&ram);
    now = 0;
    misuse = false;
}

static void make(uint16_t leases, uint16_t flags, uint16_t flag_max) {
    mcpsess_memstore_desc d = desc_of(leases, flags, flag_max);
    make_of(&d);
}

static void sound(void) {
    CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_OK);
    CHECK(arena_intact());
    CHECK(!misuse && lock_depth == 0);
}

static int ask(uint8_t kind, const char *key, const char *token, mcpsess_str data) {
    int rc;
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = mcpsess_str_z(key);
    q.request.value = mcpsess_str_z(token);
    q.request.expect = MCPSESS_STR("f");
    q.request.ttl_ms = 10;
    q.data = data;
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    rc = store.cls->submit(store.self, &q.request, now);
    CHECK_EQ(rc, q.request.rc);
    return rc;
}

static int set(const char *key, const char *token, const char *data) {
    return ask(MCPSESS_FLAG_SET, key, token, mcpsess_str_z(data));
}

static int get(const char *key) {
    return ask(MCPSESS_FLAG_GET, key, "", mcpsess_str_of(NULL, 0));
}

static int claim(const char *key, const char *token) {
    return ask(MCPSESS_FLAG_CLAIM, key, token, mcpsess_str_of(NULL, 0));
}

static int clear(const char *key, uint8_t mode) {
    memset(&q, 0, sizeof q);
    q.request.kind = MCPSESS_FLAG_CLEAR;
    q.request.key = mcpsess_str_z(key);
    q.request.mode = mode;
    return store.cls->submit(store.self, &q.request, now);
}

TEST(flags_desc_out_of_range_is_refused) {
    mcpsess_memstore_desc d = desc_of(1, 65535u, 8);
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    d = desc_of(1, 1, 65535u);
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    d = desc_of(1, 1, 65534u);
    CHECK(mcpsess_memstore_bytes(&d) != 0 || sizeof(size_t) < 4);
    d = desc_of(1, 65534u, 0);
    CHECK(mcpsess_memstore_bytes(&d) != 0 || sizeof(size_t) < 4);
}

TEST(flags_storage_is_as_long_as_its_macros_say) {
    MCPSESS_MEMSTORE_FLAG_STORAGE(flags, 1, 1, 15, 2, 9);
    MCPSESS_MEMSTORE_ALL_STORAGE(all, 1, 1, 15, 1, 65, 2, 9);
    mcpsess_memstore_desc d = desc_of(1, 2, 9);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, flags.bytes, sizeof flags.bytes), MCPSESS_OK);
    d.logs = 1;
    d.log_bytes = 65;
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, all.bytes, sizeof all.bytes), MCPSESS_OK);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, all.bytes, mcpsess_memstore_bytes(&d) - 1u), MCPSESS_E_NOMEM);
}

TEST(flags_and_logs_lie_side_by_side) {
    mcpsess_memstore_desc d = desc_of(1, 3, 9);
    mcpsess_log_request l;
    unsigned n;
    d.logs = 1;
    d.log_bytes = 65;
    make_of(&d);
    for (n = 0; n < 2; n++) {
        CHECK_EQ(set("a", "", "12345678"), MCPSESS_OK);
        CHECK_EQ(set("b", "", "12345678"), MCPSESS_OK);
        CHECK_EQ(set("c", "", "12345678"), MCPSESS_OK);
        CHECK_EQ(claim("d", "token"), MCPSESS_OK);
        memset(&l, 0, sizeof l);
        l.request.kind = MCPSESS_LOG_OPEN;
        l.request.key = MCPSESS_STR("s");
        l.request.value = MCPSESS_STR("token");
        l.request.ttl_ms = 10;
        CHECK_EQ(store.cls->submit(store.self, &l.request, now), MCPSESS_OK);
        sound();
    }
}

TEST(flags_without_room_for_any_are_unsupported) {
    make(1, 0, 0);
    CHECK_EQ(set("k", "", ""), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(get("k"), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(claim("k", "a"), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(clear("k", 1), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", "a", mcpsess_str_of(NULL, 0)), MCPSESS_OK);
    sound();
}

TEST(flags_without_leases_are_set_by_anybody_only) {
    make(0, 1, 8);
    CHECK_EQ(claim("k", "a"), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(set("k", "a", ""), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(get("k"), MCPSESS_MISS);
    CHECK_EQ(set("k", "", "one"), MCPSESS_OK);
    CHECK_EQ(get("k"), MCPSESS_OK);
    CHECK_EQ(clear("k", 1), MCPSESS_OK);
    sound();
}

TEST(flags_larger_than_the_bound_are_refused) {
    make(1, 1, 5);
    CHECK_EQ(claim("k", "a"), MCPSESS_OK);
    CHECK_EQ(set("k", "a", "12345"), MCPSESS_E_TOOBIG);
    CHECK_EQ(get("k"), MCPSESS_BUSY);
    CHECK_EQ(set("k", "a", "1234"), MCPSESS_OK); /* the lease was not lost by it */
    CHECK_EQ(get("k"), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "1234");
    sound();
    make(1, 1, 0);
    CHECK_EQ(set("k", "", ""), MCPSESS_E_TOOBIG); /* not even the fingerprint */
    sound();
}

TEST(flags_full_drop_the_one_used_least_recently) {
    make(1, 2, 8);
    CHECK_EQ(set("a", "", "1"), MCPSESS_OK);
    CHECK_EQ(set("b", "", "2"), MCPSESS_OK);
    CHECK_EQ(set("b", "", "3"), MCPSESS_OK); /* takes no more room */
    CHECK_EQ(get("a"), MCPSESS_OK);
    CHECK_EQ(ram.stats.flags_evicted, 0);
    CHECK_EQ(set("c", "", "4"), MCPSESS_OK);
    CHECK_EQ(ram.stats.flags_evicted, 1);
    CHECK_EQ(get("b"), MCPSESS_MISS);
    CHECK_EQ(get("a"), MCPSESS_OK);
    CHECK_EQ(claim("a", "t"), MCPSESS_EXISTS); /* which is use as well */
    CHECK_EQ(claim("b", "t"), MCPSESS_OK);     /* a lost flag costs a load */
    CHECK_EQ(set("b", "t", "5"), MCPSESS_OK);
    CHECK_EQ(get("c"), MCPSESS_MISS);
    sound();
}

TEST(flags_leases_are_never_dropped) {
    make(2, 1, 8);
    CHECK_EQ(claim("a", "t"), MCPSESS_OK);
    CHECK_EQ(claim("b", "t"), MCPSESS_OK);
    CHECK_EQ(claim("c", "t"), MCPSESS_E_FULL);
    CHECK_EQ(ram.stats.refused, 1);
    CHECK_EQ(set("c", "", ""), MCPSESS_OK);
    CHECK_EQ(claim("c", "t"), MCPSESS_EXISTS);
    now = 10;
    CHECK_EQ(claim("c", "t"), MCPSESS_OK);
    sound();
}

TEST(flags_are_looked_at_without_a_token) {
    make(1, 1, 8);
    CHECK_EQ(claim("k", "a"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k", "a", mcpsess_str_of(NULL, 0)), MCPSESS_BUSY); /* even by who has it */
    CHECK_EQ(q.request.fence, 0);
}

TEST(flags_of_all_time) {
    make(1, 1, 8);
    memset(&q, 0, sizeof q);
    q.request.kind = MCPSESS_FLAG_SET;
    q.request.key = MCPSESS_STR("k");
    q.request.expect = MCPSESS_STR("f");
    q.request.ttl_ms = MCPSESS_NEVER;
    CHECK_EQ(store.cls->submit(store.self, &q.request, 5), MCPSESS_OK);
    now = UINT64_MAX - 1u;
    CHECK_EQ(get("k"), MCPSESS_OK);
    CHECK(q.request.left_ms == MCPSESS_NEVER);
}

TEST(flags_are_swept_and_counted) {
    make(LEASES, 4, 8);
    CHECK_EQ(set("a", "", ""), MCPSESS_OK);
    CHECK_EQ(set("b", "", ""), MCPSESS_OK);
    CHECK_EQ(claim("c", "t"), MCPSESS_OK);
    now = 5;
    CHECK_EQ(set("d", "", ""), MCPSESS_OK);
    now = 10;
    CHECK_EQ(get("a"), MCPSESS_MISS);
    CHECK_EQ(ram.stats.expired, 1);
    memset(&q, 0, sizeof q);
    q.request.kind = MCPSESS_SWEEP;
    CHECK_EQ(store.cls->submit(store.self, &q.request, now), MCPSESS_OK);
    CHECK_EQ(q.request.count, 2);
    CHECK_EQ(ram.stats.expired, 3);
    CHECK_EQ(ram.stats.requests, 6);
    CHECK_EQ(get("d"), MCPSESS_OK);
    sound();
}

/* ---- who is told ---- */

static unsigned calls;
static size_t told_len;

static void changed(void *user, mcpsess_str key) {
    if (user != &calls || lock_depth != 0) misuse = true;
    calls++;
    told_len = key.len;
}

static const mcpsess_listener listener = {changed, &calls};

static bool told(void) {
    bool once = calls == 1 && told_len == 1;
    calls = 0;
    return once;
}

TEST(flags_tell_of_what_a_waiter_waits_for) {
    make(LEASES, 2, 8);
    calls = 0;
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    CHECK_EQ(set("k", "", ""), MCPSESS_OK);
    CHECK(told());
    CHECK_EQ(clear("k", 0), MCPSESS_OK);
    CHECK(told());
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k", "a", mcpsess_str_of(NULL, 0)), MCPSESS_OK);
    CHECK_EQ(calls, 0);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", "a", mcpsess_str_of(NULL, 0)), MCPSESS_OK);
    CHECK(told());
    CHECK_EQ(claim("k", "a"), MCPSESS_OK);
    CHECK_EQ(clear("k", 1), MCPSESS_OK);
    CHECK(told());
    CHECK_EQ(claim("k", "a"), MCPSESS_OK);
    CHECK_EQ(set("k", "a", ""), MCPSESS_OK);
    CHECK(told());
    store.cls->close(store.self);
    CHECK(calls == 1 && told_len == 0);
    sound();
}

/* Or who waits would wake itself. */
TEST(flags_tell_of_nothing_else) {
    make(LEASES, 2, 8);
    calls = 0;
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    CHECK_EQ(get("k"), MCPSESS_MISS);
    CHECK_EQ(clear("k", 1), MCPSESS_MISS);
    CHECK_EQ(claim("k", "a"), MCPSESS_OK);
    CHECK_EQ(claim("k", "b"), MCPSESS_BUSY);
    CHECK_EQ(get("k"), MCPSESS_BUSY);
    CHECK_EQ(set("k", "b", ""), MCPSESS_LOST);
    CHECK_EQ(set("k", "", "123456789"), MCPSESS_E_TOOBIG);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k", "a", mcpsess_str_of(NULL, 0)), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, "k", "b", mcpsess_str_of(NULL, 0)), MCPSESS_LOST);
    CHECK_EQ(calls, 0);
}

TEST(flags_and_logs_have_a_listener_each) {
    static const mcpsess_listener another = {changed, NULL};
    make(1, 1, 8);
    calls = 0;
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, &another), MCPSESS_E_STATE);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &another), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(set("k", "", ""), MCPSESS_OK);
    CHECK(told());
    sound();
}

TEST(flags_check_sees_overwritten_memory) {
    unsigned n;
    for (n = 0; n < 3; n++) {
        mcpsess_i_lru_node *node;
        make(1, 2, 40);
        CHECK_EQ(set("k", "", "data"), MCPSESS_OK);
        sound();
        node = &ram.i.flags.i.nodes[ram.i.flags.i.newest];
        if (n == 0) node->value_len = 0;
        if (n == 1) node->value_len = 1; /* "d": a fingerprint longer than the value */
        if (n == 2) ram.i.flags.i.len = 2;
        if (!CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_E_CORRUPT)) tap_note("case", (int64_t)n);
    }
}

/* ---- the contract ---- */

static void rig_reset(store_rig *rig) {
    make(LEASES, 4, FLAG_CONTRACT_MAX);
    rig->store = store;
    rig->now_ms = 0;
}

static void rig_pass(store_rig *rig, uint64_t ms) {
    sound();
    rig->now_ms += ms;
}

static flag_rig contract_rig = {
    {{NULL, NULL}, 0, 10, true, true, true, true, rig_reset, rig_pass, NULL}, true, true, true, true, true};

void test_flags(void) {
    RUN(flags_desc_out_of_range_is_refused);
    RUN(flags_storage_is_as_long_as_its_macros_say);
    RUN(flags_and_logs_lie_side_by_side);
    RUN(flags_without_room_for_any_are_unsupported);
    RUN(flags_without_leases_are_set_by_anybody_only);
    RUN(flags_larger_than_the_bound_are_refused);
    RUN(flags_full_drop_the_one_used_least_recently);
    RUN(flags_leases_are_never_dropped);
    RUN(flags_are_looked_at_without_a_token);
    RUN(flags_of_all_time);
    RUN(flags_are_swept_and_counted);
    RUN(flags_tell_of_what_a_waiter_waits_for);
    RUN(flags_tell_of_nothing_else);
    RUN(flags_and_logs_have_a_listener_each);
    RUN(flags_check_sees_overwritten_memory);
    flag_contract(&contract_rig);
    lease_contract(&contract_rig.base, true);
}
