/* memstore's logs: what only this store promises */

#include "test_util.h"

static mcpsess_memstore ram;
static mcpsess_store store;
static mcpsess_log_request q;
static mcpsess_log_limits limits;
static uint64_t now;
static char out_mem[256];
static mcpsess_buf out;

static int lock_depth;
static uint32_t locks;
static bool misuse; /* locked twice, or called back while locked */

static void take(void *user) {
    if (user != &lock_depth || lock_depth++ != 0) misuse = true;
    locks++;
}

static void release(void *user) {
    if (user != &lock_depth || --lock_depth != 0) misuse = true;
}

static struct {
    unsigned calls;
    int level, item;
    uint64_t number;
    size_t key_len;
} logged;

static void log_hook(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    if (user != &logged || lock_depth != 0) misuse = true;
    logged.calls++;
    logged.level = level;
    logged.item = item;
    logged.number = number;
    logged.key_len = key.len;
}

static bool was_logged(int level, int item, uint64_t number, size_t key_len) {
    bool right = logged.calls == 1 && logged.level == level && logged.item == item && logged.number == number &&
                 logged.key_len == key_len;
    logged.calls = 0;
    return right;
}

static mcpsess_memstore_desc desc_of(uint16_t logs, uint32_t log_bytes) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    d.records = 1;
    d.leases = 1;
    d.value_max = 15; /* nothing ends where the next thing may begin */
    d.logs = logs;
    d.log_bytes = log_bytes;
    d.lock.lock = take;
    d.lock.unlock = release;
    d.lock.user = &lock_depth;
    d.log.log = log_hook;
    d.log.user = &logged;
    return d;
}

static void make_of(const mcpsess_memstore_desc *d) {
    uint64_t bytes =
        MCPSESS_MEMSTORE_BYTES(d->records, d->leases, d->value_max) + MCPSESS_MEMSTORE_LOG_BYTES(d->logs, d->log_bytes);
    CHECK_EQ(mcpsess_memstore_bytes(d), bytes);
    CHECK_EQ(mcpsess_memstore_init(&ram, d, arena(bytes), (size_t)bytes), MCPSESS_OK);
    store = mcpsess_memstore_store(&ram);
    memset(&limits, 0, sizeof limits);
    memset(&logged, 0, sizeof logged);
    now = 0;
}

static void make(uint16_t logs, uint32_t log_bytes) {
    mcpsess_memstore_desc d = desc_of(logs, log_bytes);
    make_of(&d);
}

static void sound(void) {
    CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_OK);
    CHECK(arena_intact());
    CHECK(!misuse && lock_depth == 0);
}

/* who writes a log */
typedef struct hand {
    const char *session, *stream;
    uint64_t writer, epoch, last;
} hand;

static void request(uint8_t kind, const hand *h) {
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = mcpsess_str_z(h->session);
    q.request.ttl_ms = 100;
    q.log.stream = mcpsess_str_z(h->stream);
    q.log.writer = h->writer;
    q.log.epoch = h->epoch;
    q.log.sequence = h->last;
    q.log.limits = &limits;
}

static int submit(void) {
    int rc = store.cls->submit(store.self, &q.request, now);
    CHECK_EQ(rc, q.request.rc);
    return rc;
}

static int open_log(hand *h, const char *session, const char *stream, bool anew) {
    int rc;
    memset(h, 0, sizeof *h);
    h->session = session;
    h->stream = stream;
    request(MCPSESS_LOG_OPEN, h);
    q.request.value = MCPSESS_STR("token");
    q.log.fresh = anew;
    rc = submit();
    h->writer = q.log.writer;
    h->epoch = q.log.epoch;
    h->last = q.log.last;
    return rc;
}

static int append(hand *h, const char *data) {
    int rc;
    request(MCPSESS_LOG_APPEND, h);
    q.log.confirmed = h->last;
    q.log.sequence = h->last + 1;
    q.log.event.data = mcpsess_str_z(data);
    rc = submit();
    if (rc == MCPSESS_OK) h->last++;
    return rc;
}

static int set(const hand *h, bool streaming, bool done) {
    request(MCPSESS_LOG_SET, h);
    q.log.streaming = streaming;
    q.log.done = done;
    return submit();
}

static int range(const hand *h, uint64_t after, uint64_t ttl_ms) {
    request(MCPSESS_LOG_RANGE, h);
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    q.request.ttl_ms = ttl_ms;
    q.log.sequence = after;
    return submit();
}

static int state(const hand *h) {
    request(MCPSESS_LOG_STATE, h);
    return submit();
}

static int del(const hand *h) {
    request(MCPSESS_LOG_DEL, h);
    return submit();
}

/* ---- init ---- */

TEST(memlog_desc_out_of_range_is_refused) {
    mcpsess_memstore_desc d = desc_of(65535u, 64);
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    d = desc_of(1, 63);
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    d = desc_of(1, UINT32_C(0x80000000));
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    d = desc_of(1, 64);
    CHECK(mcpsess_memstore_bytes(&d) != 0);
    d.fence_base = UINT64_C(1) << 62;
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    d.fence_base--;
    CHECK(mcpsess_memstore_bytes(&d) != 0);
    if (SIZE_MAX > UINT32_MAX) { /* the largest there are */
        d = desc_of(65534u, INT32_MAX);
        CHECK_EQ(mcpsess_memstore_bytes(&d),
                 MCPSESS_MEMSTORE_BYTES(1, 1, 15) + MCPSESS_MEMSTORE_LOG_BYTES(65534u, INT32_MAX));
    }
    d = desc_of(0, 0); /* without logs none of these matter */
    d.fence_base = UINT64_MAX;
    CHECK_EQ(mcpsess_memstore_bytes(&d), MCPSESS_MEMSTORE_BYTES(1, 1, 15));
}

TEST(memlog_storage_is_as_long_as_its_macro_says) {
    MCPSESS_MEMSTORE_LOG_STORAGE(mem, 1, 0, 16, 2, 64);
    mcpsess_memstore_desc d = desc_of(2, 64);
    hand h;
    d.leases = 0;
    d.value_max = 16;
    CHECK_EQ(mcpsess_memstore_bytes(&d), MCPSESS_MEMSTORE_BYTES(1, 0, 16) + MCPSESS_MEMSTORE_LOG_BYTES(2, 64));
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem.bytes, sizeof mem.bytes), MCPSESS_OK);
    store = mcpsess_memstore_store(&ram);
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem.bytes, mcpsess_memstore_bytes(&d) - 1u), MCPSESS_E_NOMEM);
}

TEST(memlog_without_logs_supports_none) {
    mcpsess_memstore_desc d = desc_of(0, 0);
    hand h = {"s", "1", 1, 1, 0};
    uint64_t bytes = mcpsess_memstore_bytes(&d);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, arena(bytes), (size_t)bytes), MCPSESS_OK);
    store = mcpsess_memstore_store(&ram);
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(append(&h, "x"), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(set(&h, true, true), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(range(&h, 0, 0), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(state(&h), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(del(&h), MCPSESS_E_UNSUPPORTED);
    sound();
}

/* ---- a full table ---- */

TEST(memlog_full_refuses_while_all_are_in_use) {
    hand a, b, c;
    make(2, 64);
    CHECK_EQ(open_log(&a, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(open_log(&b, "s", "2", false), MCPSESS_OK);
    CHECK_EQ(open_log(&c, "s", "3", false), MCPSESS_E_FULL);
    CHECK(was_logged(MCPSESS_LOG_WARN, MCPSESS_ITEM_STORE_FULL, 2, 1));
    CHECK_EQ(ram.stats.refused, 1);
    CHECK_EQ(open_log(&b, "s", "2", true), MCPSESS_OK); /* what is there may be written */
    CHECK_EQ(append(&a, "x"), MCPSESS_OK);
    CHECK_EQ(del(&a), MCPSESS_OK);
    CHECK_EQ(open_log(&c, "s", "3", false), MCPSESS_OK);
    CHECK_EQ(ram.stats.logs_evicted, 0);
    sound();
}

TEST(memlog_full_drops_what_has_expired_before_what_is_complete) {
    hand a, b, c;
    make(2, 64);
    CHECK_EQ(open_log(&a, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(set(&a, true, true), MCPSESS_OK);
    limits.log_ttl_ms = limits.event_ttl_ms = 50;
    CHECK_EQ(open_log(&b, "s", "2", false), MCPSESS_OK);
    limits.log_ttl_ms = 1000;
    now = 50;
    CHECK_EQ(open_log(&c, "s", "3", false), MCPSESS_OK);
    CHECK(ram.stats.logs_evicted == 0 && ram.stats.expired == 1 && logged.calls == 0);
    CHECK_EQ(state(&a), MCPSESS_OK);
    sound();
}

TEST(memlog_full_drops_the_complete_one_used_least_recently) {
    hand h[5];
    char data[] = "1";
    unsigned n;
    make(4, 64);
    for (n = 0; n < 4; n++) {
        data[0] = (char)('1' + (int)n);
        CHECK_EQ(open_log(&h[n], data, "", false), MCPSESS_OK); /* the session's name is read only now */
        h[n].session = n == 0 ? "1" : n == 1 ? "2" : n == 2 ? "3" : "4";
        CHECK_EQ(append(&h[n], "x"), MCPSESS_OK);
        if (n != 0) CHECK_EQ(set(&h[n], true, true), MCPSESS_OK); /* the first, oldest one is in use */
    }
    CHECK_EQ(range(&h[1], 0, 1), MCPSESS_OK); /* a replay that keeps it alive is a use of it */
    CHECK_EQ(range(&h[2], 0, 0), MCPSESS_OK); /* a look is not */
    CHECK_EQ(state(&h[2]), MCPSESS_OK);
    CHECK_EQ(open_log(&h[4], "5", "", false), MCPSESS_OK);
    CHECK(was_logged(MCPSESS_LOG_INFO, MCPSESS_ITEM_EVICTED, 1, 0));
    CHECK_EQ(ram.stats.logs_evicted, 1);
    CHECK_EQ(state(&h[2]), MCPSESS_MISS);
    CHECK_EQ(range(&h[0], 0, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
    CHECK_EQ(state(&h[1]), MCPSESS_OK);
    CHECK_EQ(state(&h[3]), MCPSESS_OK);
    CHECK_EQ(open_log(&h[2], "3", "", false), MCPSESS_OK);
    CHECK_EQ(state(&h[3]), MCPSESS_MISS);
    CHECK_EQ(ram.stats.logs_evicted, 2);
    sound();
}

/* ---- bounds ---- */

TEST(memlog_ring_bounds_what_limits_do_not) {
    hand a, b;
    make(2, 64); /* 64 = two entries of 12 + 20 */
    CHECK_EQ(open_log(&a, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(open_log(&b, "s", "2", false), MCPSESS_OK);
    CHECK_EQ(append(&a, "12345678901234"), MCPSESS_OK);
    CHECK_EQ(append(&b, "b"), MCPSESS_OK);
    CHECK_EQ(append(&a, "22345678901234"), MCPSESS_OK);
    CHECK_EQ(range(&a, 0, 0), MCPSESS_OK);
    CHECK_EQ(logged.calls, 0);
    CHECK_EQ(append(&a, "32345678901234"), MCPSESS_OK);
    CHECK(was_logged(MCPSESS_LOG_INFO, MCPSESS_ITEM_EVENTS_DROPPED, 1, 1));
    CHECK_EQ(range(&a, 0, 0), MCPSESS_GAP);
    CHECK_EQ(range(&a, 1, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 2);
    CHECK_EQ(append(&a, "1234567890123456789012345678901234567890123456"), MCPSESS_OK); /* 12 + 52: all of it */
    CHECK(was_logged(MCPSESS_LOG_INFO, MCPSESS_ITEM_EVENTS_DROPPED, 2, 1));
    CHECK_EQ(append(&a, "12345678901234567890123456789012345678901234567"), MCPSESS_E_TOOBIG);
    CHECK_EQ(q.request.need, 53);
    CHECK_EQ(range(&a, 3, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
    CHECK_EQ(range(&b, 0, 0), MCPSESS_OK); /* none of it was at the other's expense */
    CHECK_EQ(q.request.count, 1);
    CHECK(ram.stats.events == 5 && ram.stats.dropped == 3);
    sound();
}

/* Is the newest event told from others that differ in one byte, wherever in the ring it lies? */
static bool tells_apart(hand *h, char *data) {
    size_t n, len = mcpsess_str_z(data).len;
    h->last--;
    for (n = 0; n < len; n++) {
        data[n] ^= 1;
        if (append(h, data) != MCPSESS_LOST) return false;
        data[n] ^= 1;
    }
    if (append(h, data) != MCPSESS_DUP) return false;
    h->last++;
    return true;
}

TEST(memlog_bytes_are_compared_across_the_end_of_the_ring) {
    char data[] = "0123456789";
    unsigned n;
    hand h;
    make(1, 71); /* a prime, and entries of 28: each lies elsewhere */
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
    for (n = 0; n < 71; n++) {
        CHECK_EQ(append(&h, data), MCPSESS_OK);
        CHECK(tells_apart(&h, data));
    }
    sound();
}

TEST(memlog_events_too_old_are_not_counted_as_dropped) {
    hand h;
    make(1, 128);
    limits.event_max_ms = 10;
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    now = 10;
    CHECK_EQ(append(&h, "three"), MCPSESS_OK);
    CHECK_EQ(ram.stats.dropped, 0);
    CHECK_EQ(mcpsess_ring_count(&ram.i.logs[0].ring), 1); /* but their room is free */
    limits.event_max_ms = 1000;
    CHECK_EQ(range(&h, 1, 0), MCPSESS_GAP);
    sound();
}

TEST(memlog_times_without_end) {
    hand h;
    make(1, 128);
    limits.event_ttl_ms = limits.event_max_ms = limits.log_ttl_ms = limits.log_max_ms = MCPSESS_NEVER;
    now = 5;
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    now = MCPSESS_NEVER - 1;
    CHECK_EQ(range(&h, 0, 1), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
    sound();
}

/* ---- who is told ---- */

static unsigned told;
static char told_key[4];
static size_t told_len;

static void changed(void *user, mcpsess_str key) {
    if (user != &told || lock_depth != 0) misuse = true;
    told++;
    told_len = key.len;
    if (key.len != 0 && key.len <= sizeof told_key) memcpy(told_key, key.ptr, key.len);
}

static const mcpsess_listener listener = {changed, &told}, other = {changed, NULL};

/* told of this session since the last time that this was asked, once? */
static bool tells(const char *session) {
    bool right = told == 1 && mcpsess_str_eq(mcpsess_str_of(told_key, told_len), mcpsess_str_z(session));
    told = 0;
    return right;
}

TEST(memlog_tells_of_what_a_reader_waits_for) {
    hand h, again;
    make(2, 128);
    told = 0;
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    CHECK_EQ(open_log(&h, "ses", "1", false), MCPSESS_OK);
    CHECK(tells("ses"));
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK(tells("ses"));
    CHECK_EQ(set(&h, false, false), MCPSESS_OK);
    CHECK(tells("ses"));
    CHECK_EQ(set(&h, false, true), MCPSESS_OK);
    CHECK(tells("ses"));
    CHECK_EQ(open_log(&h, "ses", "1", true), MCPSESS_OK);
    CHECK(tells("ses"));
    h.last = 3; /* it lost what was confirmed */
    CHECK_EQ(append(&h, "four"), MCPSESS_LOST_TAIL);
    CHECK(tells("ses"));
    CHECK_EQ(open_log(&h, "ses", "1", false), MCPSESS_OK);
    h.last = 3;
    CHECK_EQ(set(&h, false, false), MCPSESS_LOST_TAIL);
    CHECK(tells("ses"));
    CHECK_EQ(del(&h), MCPSESS_OK);
    CHECK(tells("ses"));
    CHECK_EQ(open_log(&h, "a", "1", false), MCPSESS_OK);
    CHECK_EQ(open_log(&again, "a", "2", false), MCPSESS_OK);
    told = 0;
    request(MCPSESS_LOG_DEL, &h);
    q.log.stream = mcpsess_str_of(NULL, 0);
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK(tells("a"));
    store.cls->close(store.self); /* whoever waits should wait no longer */
    CHECK(tells(""));
    CHECK_EQ(mcpsess_lru_len(&ram.i.names), 0);
    sound();
}

TEST(memlog_tells_of_nothing_else) {
    hand h, none = {"x", "1", 1, 1, 0};
    make(2, 128);
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    told = 0;
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    CHECK_EQ(range(&h, 0, 1), MCPSESS_OK);
    CHECK_EQ(state(&h), MCPSESS_OK);
    CHECK_EQ(set(&h, true, false), MCPSESS_OK); /* no more than the lease */
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
    h.last = 0;
    CHECK_EQ(append(&h, "one"), MCPSESS_DUP);
    CHECK_EQ(append(&h, "other"), MCPSESS_LOST);
    h.writer++;
    CHECK_EQ(append(&h, "other"), MCPSESS_FENCED);
    h.writer--;
    h.epoch++;
    CHECK_EQ(append(&h, "other"), MCPSESS_LOST_TAIL); /* of an epoch that is over already */
    CHECK_EQ(del(&none), MCPSESS_OK);
    CHECK_EQ(state(&none), MCPSESS_MISS);
    CHECK_EQ(told, 0);
    h.epoch--;
    h.last = 1;
    CHECK_EQ(set(&h, true, true), MCPSESS_OK);
    told = 0;
    CHECK_EQ(set(&h, false, true), MCPSESS_OK);
    CHECK_EQ(told, 0);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, NULL), MCPSESS_OK);
    CHECK_EQ(del(&h), MCPSESS_OK);
    CHECK_EQ(told, 0);
    sound();
}

TEST(memlog_has_one_listener) {
    hand h;
    told = 0;
    make(1, 64);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &other), MCPSESS_E_STATE);
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
    CHECK(tells("s") && !misuse); /* the first one, still */
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, NULL), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &other), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_E_UNSUPPORTED);
    CHECK(store.cls->hear == NULL);
}

/* ---- the rest ---- */

TEST(memlog_restarted_store_knows_no_position_of_before) {
    mcpsess_memstore_desc d = desc_of(1, 128);
    hand before, after;
    d.fence_base = UINT64_C(1) << 40;
    make_of(&d);
    CHECK_EQ(open_log(&before, "s", "1", false), MCPSESS_OK);
    CHECK(before.epoch > d.fence_base && before.writer > d.fence_base);
    CHECK_EQ(append(&before, "one"), MCPSESS_OK);
    d.fence_base += 1000;
    make_of(&d);
    CHECK_EQ(append(&before, "two"), MCPSESS_MISS);
    CHECK_EQ(open_log(&after, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(append(&after, "uno"), MCPSESS_OK);
    CHECK_EQ(append(&before, "two"), MCPSESS_FENCED);
    CHECK_EQ(range(&before, 0, 0), MCPSESS_GAP);
    CHECK_EQ(range(&before, 1, 0), MCPSESS_GAP);
}

TEST(memlog_is_no_record_and_no_lease) {
    mcpsess_request r;
    hand h;
    make(1, 128);
    CHECK_EQ(open_log(&h, "s", "", false), MCPSESS_OK);
    memset(&r, 0, sizeof r);
    r.key = MCPSESS_STR("s");
    r.kind = MCPSESS_GET;
    CHECK_EQ(store.cls->submit(store.self, &r, now), MCPSESS_MISS);
    r.kind = MCPSESS_LEASE_ACQUIRE;
    r.ttl_ms = 10;
    r.value = MCPSESS_STR("other");
    CHECK_EQ(store.cls->submit(store.self, &r, now), MCPSESS_OK);
    CHECK(r.fence > h.writer); /* one count for all fences */
    r.kind = MCPSESS_PUT;
    CHECK_EQ(store.cls->submit(store.self, &r, now), MCPSESS_OK);
    r.kind = MCPSESS_DEL;
    CHECK_EQ(store.cls->submit(store.self, &r, now), MCPSESS_OK);
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    sound();
}

TEST(memlog_sweep_drops_what_has_expired) {
    mcpsess_request r;
    hand a, b;
    make(2, 64);
    limits.log_ttl_ms = limits.event_ttl_ms = 10;
    CHECK_EQ(open_log(&a, "s", "1", false), MCPSESS_OK);
    limits.log_ttl_ms = 11;
    CHECK_EQ(open_log(&b, "s", "2", false), MCPSESS_OK);
    memset(&r, 0, sizeof r);
    r.kind = MCPSESS_SWEEP;
    CHECK_EQ(store.cls->submit(store.self, &r, 9), MCPSESS_OK);
    CHECK_EQ(r.count, 0);
    CHECK_EQ(store.cls->submit(store.self, &r, 10), MCPSESS_OK);
    CHECK(r.count == 1 && ram.stats.expired == 1);
    now = 10;
    CHECK_EQ(state(&b), MCPSESS_OK);
    CHECK_EQ(state(&a), MCPSESS_MISS);
    now = 11;
    request(MCPSESS_LOG_DEL, &b);
    q.log.stream = mcpsess_str_of(NULL, 0);
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(state(&b), MCPSESS_MISS);
    CHECK_EQ(ram.stats.expired, 2);
    sound();
}

TEST(memlog_notes_who_asks_for_what_is_not_theirs) {
    hand h;
    make(1, 64);
    CHECK_EQ(open_log(&h, "ses", "1", false), MCPSESS_OK);
    request(MCPSESS_LOG_STATE, &h);
    q.request.guarded = true;
    q.request.owner = principal("i", "bob");
    CHECK_EQ(submit(), MCPSESS_MISS);
    CHECK(was_logged(MCPSESS_LOG_WARN, MCPSESS_ITEM_FOREIGN_OWNER, 1, 3));
    CHECK_EQ(ram.stats.foreign, 1);
    request(MCPSESS_LOG_DEL, &h);
    q.request.guarded = true;
    q.request.owner = principal("i", "bob");
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(ram.stats.foreign, 2);
    CHECK_EQ(state(&h), MCPSESS_OK);
}

TEST(memlog_owner_must_be_one) {
    hand h = {"s", "1", 0, 0, 0};
    make(1, 64);
    request(MCPSESS_LOG_OPEN, &h);
    q.request.value = MCPSESS_STR("token");
    q.request.guarded = true;
    q.request.owner.issuer = MCPSESS_STR("i");
    CHECK_EQ(submit(), MCPSESS_E_PRINCIPAL);
    CHECK_EQ(state(&h), MCPSESS_MISS);
    sound();
}

TEST(memlog_requests_are_counted) {
    hand h;
    make(1, 64);
    locks = 0;
    CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    h.last = 0;
    CHECK_EQ(append(&h, "one"), MCPSESS_DUP);
    CHECK_EQ(range(&h, UINT64_MAX, 0), MCPSESS_E_ARG); /* none */
    CHECK(ram.stats.requests == 4 && ram.stats.events == 2);
    CHECK_EQ(locks, 5);
}

/* What a request says from its last time is not an answer. */
static void used_before(uint8_t kind, const hand *h) {
    request(kind, h);
    q.request.left_ms = q.request.fence = q.log.first = q.log.last = 9;
    q.request.need = 9;
    q.request.count = 9;
}

static bool says_nothing(void) {
    return q.request.left_ms == 0 && q.request.fence == 0 && q.request.need == 0 && q.request.count == 0;
}

TEST(memlog_answers_are_of_this_request) {
    hand h = {"s", "1", 0, 0, 0};
    make(1, 64);
    used_before(MCPSESS_LOG_STATE, &h);
    CHECK_EQ(submit(), MCPSESS_MISS);
    CHECK(says_nothing() && q.log.first == 0 && q.log.last == 0);
    used_before(MCPSESS_LOG_RANGE, &h);
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    CHECK(says_nothing());
    used_before(MCPSESS_GET, &h);
    CHECK_EQ(submit(), MCPSESS_MISS);
    CHECK(says_nothing());
    used_before(MCPSESS_SWEEP, &h);
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK(says_nothing());
}

TEST(memlog_takes_the_longest_names_there_are) {
    char session[MCPSESS_ID_MAX], stream[MCPSESS_STREAM_MAX], token[MCPSESS_TOKEN_MAX], who[MCPSESS_PRINCIPAL_MAX - 2u];
    hand h = {"", "", 0, 0, 0};
    unsigned n;
    make(1, 64);
    for (n = 0; n < 2; n++) {
        request(n == 0 ? MCPSESS_LOG_OPEN : MCPSESS_LOG_STATE, &h);
        q.request.key = str_fill(session, 's', sizeof session);
        q.request.value = str_fill(token, 't', sizeof token);
        q.request.guarded = true;
        q.request.owner.issuer = MCPSESS_STR("i");
        q.request.owner.subject = str_fill(who, 'w', sizeof who);
        q.log.stream = str_fill(stream, 'n', sizeof stream);
        CHECK_EQ(submit(), MCPSESS_OK);
        sound();
    }
}

TEST(memlog_limits_have_defaults) {
    mcpsess_log_limits l = mcpsess_log_limits_of(NULL), m;
    CHECK(l.events == 10000 && l.bytes == UINT32_C(4194304));
    CHECK(l.event_ttl_ms == UINT32_C(1800000) && l.event_max_ms == UINT32_C(7200000));
    CHECK(l.log_ttl_ms == UINT32_C(3600000) && l.log_max_ms == UINT32_C(14400000));
    memset(&m, 0, sizeof m);
    m = mcpsess_log_limits_of(&m);
    CHECK(same_bytes(&l, &m, sizeof l));
    m.events = 1;
    m.bytes = UINT32_MAX;
    m.event_ttl_ms = 2;
    m.event_max_ms = 3;
    m.log_ttl_ms = 4;
    m.log_max_ms = 5;
    m = mcpsess_log_limits_of(&m);
    CHECK(m.events == 1 && m.bytes == INT32_MAX && m.event_ttl_ms == 2 && m.event_max_ms == 3);
    CHECK(m.log_ttl_ms == 4 && m.log_max_ms == 5);
    m.event_ttl_ms = 40;
    m.event_max_ms = 50;
    m = mcpsess_log_limits_of(&m); /* a log outlives its events */
    CHECK(m.event_ttl_ms == 40 && m.log_ttl_ms == 40 && m.log_max_ms == 50);
    m.event_max_ms = 30;
    m = mcpsess_log_limits_of(&m); /* what is not replayed is not kept */
    CHECK(m.event_ttl_ms == 30 && m.log_ttl_ms == 40);
}

TEST(memlog_event_is_at_most_as_long_as_its_length_can_say) {
    hand h = {"s", "1", 1, 1, 0};
    char byte = 'x';
    if (SIZE_MAX <= UINT32_MAX) return; /* nothing is */
    request(MCPSESS_LOG_APPEND, &h);
    q.log.sequence = 1;
    q.log.event.data = mcpsess_str_of(&byte, (size_t)(UINT32_MAX - 6u)); /* not read: there is no such slice */
    CHECK_EQ(mcpsess_request_check(&q.request), MCPSESS_OK);
    q.log.event.data.len++;
    CHECK_EQ(mcpsess_request_check(&q.request), MCPSESS_E_TOOBIG);
    q.log.event.data.len = SIZE_MAX;
    CHECK_EQ(mcpsess_request_check(&q.request), MCPSESS_E_TOOBIG);
}

static void overwrite(struct mcpsess_i_memlog *g, unsigned n) {
    switch (n) {
    case 0: g->epoch = 0; break;
    case 1: g->epoch = ram.i.fence + 1; break;
    case 2: g->writer = ram.i.fence + 1; break;
    case 3: g->writer = 0; break;
    case 4: g->last = 0; break;
    case 5: g->done = true; break; /* but somebody writes */
    case 6: g->token_len = MCPSESS_TOKEN_MAX + 1u; break;
    case 7: g->token_len = 0; break;
    case 8: g->owner_len = MCPSESS_RECORD_OWNER_MAX + 1u; break;
    case 9: g->ring.i.used++; break;
    case 10: g->ring.i.cap--; break;
    case 11: /* another log's ring */
        g->ring.i.bytes += 64;
        mcpsess_ring_clear(&g->ring);
        break;
    case 12: g->place_number = 1; break;
    case 13: g->place_at = 1; break;
    case 14: /* behind the end */
        g->place_number = 2;
        g->place_at = g->ring.i.used;
        break;
    case 15: g->log_until_ms = 1; break;
    default: ram.i.names.i.len = 2; break;
    }
}

TEST(memlog_check_sees_overwritten_memory) {
    unsigned n;
    for (n = 0; n <= 16; n++) {
        hand h;
        make(2, 64);
        CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
        CHECK_EQ(append(&h, "one"), MCPSESS_OK);
        sound();
        overwrite(&ram.i.logs[0], n);
        if (!CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_E_CORRUPT)) tap_note("case", (int64_t)n);
    }
}

TEST(memlog_check_sees_names_that_are_none) {
    static const mcpsess_str names[] = {LIT("\1s2"), LIT("\1s"), LIT("\2s"), LIT("\1"), LIT("\0s")};
    unsigned n;
    for (n = 0; n < COUNT_OF(names); n++) {
        hand h;
        make(2, 64);
        CHECK_EQ(open_log(&h, "s", "1", false), MCPSESS_OK);
        CHECK_EQ(mcpsess_lru_put(&ram.i.names, names[n], MCPSESS_STR(""), 1), MCPSESS_OK);
        ram.i.logs[1] = ram.i.logs[0];
        ram.i.logs[1].ring.i.bytes += 64;
        CHECK_EQ(mcpsess_memstore_check(&ram), n < 2 ? MCPSESS_OK : MCPSESS_E_CORRUPT);
    }
}

void test_memlog(void) {
    RUN(memlog_desc_out_of_range_is_refused);
    RUN(memlog_storage_is_as_long_as_its_macro_says);
    RUN(memlog_without_logs_supports_none);
    RUN(memlog_full_refuses_while_all_are_in_use);
    RUN(memlog_full_drops_what_has_expired_before_what_is_complete);
    RUN(memlog_full_drops_the_complete_one_used_least_recently);
    RUN(memlog_ring_bounds_what_limits_do_not);
    RUN(memlog_bytes_are_compared_across_the_end_of_the_ring);
    RUN(memlog_events_too_old_are_not_counted_as_dropped);
    RUN(memlog_times_without_end);
    RUN(memlog_tells_of_what_a_reader_waits_for);
    RUN(memlog_tells_of_nothing_else);
    RUN(memlog_has_one_listener);
    RUN(memlog_restarted_store_knows_no_position_of_before);
    RUN(memlog_is_no_record_and_no_lease);
    RUN(memlog_sweep_drops_what_has_expired);
    RUN(memlog_notes_who_asks_for_what_is_not_theirs);
    RUN(memlog_owner_must_be_one);
    RUN(memlog_requests_are_counted);
    RUN(memlog_answers_are_of_this_request);
    RUN(memlog_takes_the_longest_names_there_are);
    RUN(memlog_limits_have_defaults);
    RUN(memlog_event_is_at_most_as_long_as_its_length_can_say);
    RUN(memlog_check_sees_overwritten_memory);
    RUN(memlog_check_sees_names_that_are_none);
}
