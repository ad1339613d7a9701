/* memstore: the store contract, what only this store promises, and a model test */

#include "store_contract.h"

#define RECORDS 8u
#define LEASES 4u

static mcpsess_memstore ram;
static mcpsess_store store;
static mcpsess_request q;
static uint64_t now;

static struct {
    int depth;
    unsigned locks;
    bool wrong; /* taken twice, released untaken, or held during a callback */
} lock;

static void take(void *user) {
    if (user != &lock || lock.depth++ != 0) lock.wrong = true;
    lock.locks++;
}

static void release(void *user) {
    if (user != &lock || --lock.depth != 0) lock.wrong = true;
}

static struct {
    unsigned calls;
    int level, item;
    uint64_t number;
    char key[8];
    size_t key_len;
} logged;

static void log_hook(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    if (user != &logged || lock.depth != 0) lock.wrong = true;
    logged.calls++;
    logged.level = level;
    logged.item = item;
    logged.number = number;
    logged.key_len = key.len < sizeof logged.key ? key.len : sizeof logged.key;
    if (logged.key_len > 0) memcpy(logged.key, key.ptr, logged.key_len);
}

static mcpsess_memstore_desc desc_of(uint16_t records, uint16_t leases) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    d.records = records;
    d.leases = leases;
    d.value_max = CONTRACT_VALUE_MAX;
    d.lock.lock = take;
    d.lock.unlock = release;
    d.lock.user = &lock;
    d.log.log = log_hook;
    d.log.user = &logged;
    return d;
}

static void make(const mcpsess_memstore_desc *d) {
    uint64_t bytes = MCPSESS_MEMSTORE_BYTES(d->records, d->leases, d->value_max);
    memset(&lock, 0, sizeof lock);
    memset(&logged, 0, sizeof logged);
    CHECK_EQ(mcpsess_memstore_bytes(d), bytes);
    CHECK_EQ(mcpsess_memstore_init(&ram, d, arena(bytes), (size_t)bytes), MCPSESS_OK);
    store = mcpsess_memstore_store(&ram);
    now = 0;
}

static void make_store(uint16_t records, uint16_t leases, bool evict) {
    mcpsess_memstore_desc d = desc_of(records, leases);
    d.evict = evict;
    make(&d);
}

static void sound(void) {
    CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_OK);
    CHECK(arena_intact());
    CHECK(!lock.wrong && lock.depth == 0);
}

static int ask(uint8_t kind, mcpsess_str key, mcpsess_str value, uint64_t ttl_ms) {
    memset(&q, 0, sizeof q);
    q.kind = kind;
    q.key = key;
    q.value = value;
    q.ttl_ms = ttl_ms;
    return store.cls->submit(store.self, &q, now);
}

static int put(const char *key, uint64_t ttl_ms) {
    return ask(MCPSESS_PUT, mcpsess_str_z(key), mcpsess_str_z(key), ttl_ms);
}

static int look(const char *key) {
    return ask(MCPSESS_GET, mcpsess_str_z(key), MCPSESS_STR(""), 0);
}

static int acquire(const char *key, const char *token, uint64_t ttl_ms) {
    return ask(MCPSESS_LEASE_ACQUIRE, mcpsess_str_z(key), mcpsess_str_z(token), ttl_ms);
}

/* ---- init ---- */

TEST(memstore_desc_out_of_range_is_refused) {
    mcpsess_memstore_desc d = desc_of(0, 0);
    void *mem = arena(4000);
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem, 4000), MCPSESS_E_ARG);
    d = desc_of(65535u, 0);
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem, 4000), MCPSESS_E_ARG);
    d = desc_of(1, 65535u);
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem, 4000), MCPSESS_E_ARG);
    d = desc_of(1, 1);
    d.value_max = 0;
    CHECK_EQ(mcpsess_memstore_bytes(&d), 0);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem, 4000), MCPSESS_E_ARG);
    d = desc_of(1, 1);
    d.lock.unlock = NULL; /* both or neither */
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem, 4000), MCPSESS_E_ARG);
}

TEST(memstore_init_checks_the_storage) {
    mcpsess_memstore_desc d = desc_of(3, 3);
    size_t bytes = mcpsess_memstore_bytes(&d), off;
    unsigned char *mem = (unsigned char *)arena(bytes + 8u);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem, bytes), MCPSESS_OK);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem, bytes - 1u), MCPSESS_E_NOMEM);
    for (off = 1; off < 8; off++) {
        CHECK_EQ(mcpsess_memstore_init(&ram, &d, mem + off, bytes),
                 off % ALIGNMENT == 0 ? MCPSESS_OK : MCPSESS_E_ALIGN);
    }
}

TEST(memstore_null_is_an_argument_error) {
    mcpsess_memstore_desc d = desc_of(1, 1);
    void *mem = arena(2000);
    CHECK_EQ(mcpsess_memstore_bytes(NULL), 0);
    CHECK_EQ(mcpsess_memstore_init(NULL, &d, mem, 2000), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_memstore_init(&ram, NULL, mem, 2000), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, NULL, 2000), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_memstore_check(NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_memstore_len(NULL), 0);
}

TEST(memstore_every_function_of_its_class_is_set) {
    make_store(1, 0, false);
    CHECK(store.self == &ram);
    CHECK(store.cls->submit != NULL && store.cls->poll != NULL && store.cls->cancel != NULL);
    CHECK(store.cls->next_due != NULL && store.cls->want != NULL && store.cls->close != NULL);
}

TEST(memstore_key_and_value_bounds) {
    static char key[MCPSESS_ID_MAX + 1u], value[CONTRACT_VALUE_MAX + 1u];
    mcpsess_str k = str_fill(key, 'k', sizeof key), v = str_fill(value, 'v', sizeof value);
    make_store(2, 2, false);
    CHECK_EQ(ask(MCPSESS_PUT, str_head(k, MCPSESS_ID_MAX), str_head(v, CONTRACT_VALUE_MAX), 0), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_PUT, MCPSESS_STR("a"), v, 0), MCPSESS_E_TOOBIG);
    CHECK_EQ(ask(MCPSESS_PUT, k, MCPSESS_STR("v"), 0), MCPSESS_E_TOOBIG);
    CHECK(ask(MCPSESS_PUT, MCPSESS_STR(""), MCPSESS_STR("v"), 0) < 0);
    CHECK_EQ(mcpsess_memstore_len(&ram), 1);
    CHECK_EQ(ask(MCPSESS_GET, str_head(k, MCPSESS_ID_MAX), MCPSESS_STR(""), 0), MCPSESS_OK);
    CHECK(ask(MCPSESS_GET, MCPSESS_STR(""), MCPSESS_STR(""), 0) != MCPSESS_OK);
    sound();
}

/* ---- a full store ---- */

TEST(memstore_full_refuses_only_if_nothing_has_expired) {
    make_store(2, 0, false);
    CHECK_EQ(put("a", 100), MCPSESS_OK);
    CHECK_EQ(put("b", 200), MCPSESS_OK);
    CHECK_EQ(put("c", 100), MCPSESS_E_FULL);
    CHECK_EQ(put("b", 200), MCPSESS_OK); /* what is there may be written */
    now = 99;
    CHECK_EQ(put("c", 100), MCPSESS_E_FULL);
    CHECK_EQ(ram.stats.refused, 2);
    now = 100;
    CHECK_EQ(put("c", 100), MCPSESS_OK);
    CHECK_EQ(look("b"), MCPSESS_OK);
    CHECK_EQ(look("a"), MCPSESS_MISS);
    CHECK_EQ(ram.stats.evicted, 0);
    sound();
}

TEST(memstore_full_sees_an_expiry_that_a_later_write_moved_closer) {
    make_store(2, 0, false);
    CHECK_EQ(put("a", 0), MCPSESS_OK);
    CHECK_EQ(put("b", 1000), MCPSESS_OK);
    CHECK_EQ(put("c", 10), MCPSESS_E_FULL); /* remembers that nothing expires before 1000 */
    CHECK_EQ(put("a", 50), MCPSESS_OK);
    now = 50;
    CHECK_EQ(put("c", 10), MCPSESS_OK);
    sound();
}

TEST(memstore_full_put_drops_every_expired_record) {
    make_store(4, 0, false);
    put("a", 10);
    put("b", 10);
    put("c", 10);
    put("d", 100);
    now = 10;
    CHECK_EQ(put("e", 100), MCPSESS_OK);
    CHECK_EQ(mcpsess_memstore_len(&ram), 2);
    CHECK_EQ(ram.stats.expired, 3);
    sound();
}

TEST(memstore_full_store_evicts_by_option_the_least_recent) {
    make_store(3, 0, true);
    put("a", 0);
    put("b", 0);
    put("c", 0);
    CHECK_EQ(ask(MCPSESS_GET, MCPSESS_STR("a"), MCPSESS_STR(""), 100), MCPSESS_OK);
    CHECK_EQ(put("d", 0), MCPSESS_OK);
    CHECK_EQ(look("b"), MCPSESS_MISS);
    CHECK_EQ(look("a"), MCPSESS_OK);
    CHECK_EQ(ram.stats.evicted, 1);
    CHECK_EQ(ram.stats.refused, 0);
    CHECK_EQ(logged.item, MCPSESS_ITEM_EVICTED);
    sound();
}

TEST(memstore_evicts_nobody_while_something_has_expired) {
    make_store(2, 0, true);
    put("a", 0);
    put("b", 10);
    now = 10;
    CHECK_EQ(put("c", 0), MCPSESS_OK);
    CHECK_EQ(look("a"), MCPSESS_OK);
    CHECK_EQ(ram.stats.evicted, 0);
    sound();
}

TEST(memstore_foreigner_gives_no_recency) {
    mcpsess_record r;
    mcpsess_buf b;
    char mem[64];
    memset(&r, 0, sizeof r);
    r.id = MCPSESS_STR("a");
    r.principal = principal("i", "alice");
    mcpsess_buf_init(&b, mem, sizeof mem);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    make_store(2, 0, true);
    CHECK_EQ(ask(MCPSESS_PUT, MCPSESS_STR("a"), mcpsess_buf_str(&b), 0), MCPSESS_OK);
    put("b", 0);
    memset(&q, 0, sizeof q);
    q.kind = MCPSESS_GET;
    q.guarded = true;
    q.owner = principal("i", "bob");
    q.key = MCPSESS_STR("a");
    q.ttl_ms = 100;
    CHECK_EQ(store.cls->submit(store.self, &q, now), MCPSESS_MISS);
    CHECK_EQ(ram.stats.foreign, 1);
    CHECK_EQ(put("c", 0), MCPSESS_OK); /* drops a, whom nobody used but a stranger */
    CHECK_EQ(look("a"), MCPSESS_MISS);
    CHECK_EQ(look("b"), MCPSESS_OK);
    sound();
}

TEST(memstore_question_of_presence_gives_no_recency) {
    make_store(2, 0, true);
    put("a", 0);
    put("b", 0);
    CHECK_EQ(look("a"), MCPSESS_OK); /* what an exists asks: without a TTL, nothing is refreshed */
    CHECK_EQ(put("c", 0), MCPSESS_OK);
    CHECK_EQ(look("a"), MCPSESS_MISS);
    CHECK_EQ(look("b"), MCPSESS_OK);
    sound();
}

TEST(memstore_logs_what_it_refuses) {
    make_store(1, 0, false);
    put("a", 0);
    CHECK_EQ(logged.calls, 0);
    CHECK_EQ(put("b", 0), MCPSESS_E_FULL);
    CHECK_EQ(logged.item, MCPSESS_ITEM_STORE_FULL);
    CHECK_EQ(logged.number, 1);
    CHECK(logged.key_len == 1 && logged.key[0] == 'b');
    sound();
}

/* th32_15: a load marks as used, so that a sweep at the same time does not take it */
TEST(th32_15_load_saves_from_the_sweep) {
    make_store(3, 0, false);
    put("a", 100);
    put("b", 100);
    now = 90;
    CHECK_EQ(ask(MCPSESS_GET, MCPSESS_STR("a"), MCPSESS_STR(""), 100), MCPSESS_OK);
    now = 100;
    CHECK_EQ(put("b", 100), MCPSESS_OK); /* replaced meanwhile: a new record, not the expired one */
    CHECK_EQ(ask(MCPSESS_SWEEP, MCPSESS_STR(""), MCPSESS_STR(""), 0), MCPSESS_OK);
    CHECK_EQ(look("a"), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 90);
    CHECK_EQ(look("b"), MCPSESS_OK);
    sound();
}

TEST(memstore_counts) {
    make_store(2, 0, false);
    put("a", 10);
    put("b", 10);
    put("c", 10);
    look("a");
    now = 10;
    look("a");
    CHECK_EQ(ram.stats.requests, 5);
    CHECK_EQ(ram.stats.refused, 1);
    CHECK_EQ(ram.stats.high_water, 2);
    ask(MCPSESS_SWEEP, MCPSESS_STR(""), MCPSESS_STR(""), 0);
    CHECK_EQ(ram.stats.expired, 2);
    CHECK_EQ(mcpsess_memstore_len(&ram), 0);
}

/* ---- leases ---- */

TEST(memstore_without_leases_does_not_support_them) {
    make_store(2, 0, false);
    CHECK_EQ(acquire("k", "t", 10), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, MCPSESS_STR("k"), MCPSESS_STR("t"), 10), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(ask(MCPSESS_LEASE_RELEASE, MCPSESS_STR("k"), MCPSESS_STR("t"), 10), MCPSESS_E_UNSUPPORTED);
    sound();
}

TEST(memstore_leases_are_never_evicted) {
    make_store(2, 2, true);
    CHECK_EQ(acquire("a", "t", 10), MCPSESS_OK);
    CHECK_EQ(acquire("b", "t", 20), MCPSESS_OK);
    CHECK_EQ(acquire("c", "t", 10), MCPSESS_E_FULL);
    CHECK_EQ(acquire("a", "u", 10), MCPSESS_BUSY);
    CHECK_EQ(acquire("a", "t", 10), MCPSESS_OK);
    now = 10;
    CHECK_EQ(acquire("c", "t", 10), MCPSESS_OK);
    CHECK_EQ(acquire("b", "u", 10), MCPSESS_BUSY);
    sound();
}

TEST(memstore_fences_start_above_their_base) {
    mcpsess_memstore_desc d = desc_of(1, 1);
    d.fence_base = UINT64_C(0x1234567890);
    make(&d);
    CHECK_EQ(acquire("k", "t", 10), MCPSESS_OK);
    CHECK(q.fence > UINT64_C(0x1234567890));
}

/* ---- the contract ---- */

static void rig_reset(store_rig *rig) {
    make_store(RECORDS, LEASES, false);
    rig->store = store;
    rig->now_ms = 0;
}

static void rig_pass(store_rig *rig, uint64_t ms) {
    sound();
    rig->now_ms += ms;
}

static store_rig contract_rig = {{NULL, NULL}, 0, 10, true, true, true, true, rig_reset, rig_pass, NULL};

/* ---- the model: records and leases in arrays ---- */

#define KEYS 10u
#define OWNERS 3u

typedef struct model_record {
    bool present;
    uint8_t owner, mark;
    uint64_t expires_ms;
} model_record;

typedef struct model_lease {
    uint8_t token; /* 0: free */
    uint64_t expires_ms, fence;
} model_lease;

static struct {
    model_record r[KEYS];
    model_lease l[KEYS];
    uint64_t fence; /* highest seen */
} model;

static mcpsess_principal owners[OWNERS];
static char value_mem[2][48];

static mcpsess_str model_value(unsigned turn, unsigned owner, unsigned mark) {
    mcpsess_record r;
    mcpsess_buf b;
    memset(&r, 0, sizeof r);
    r.id = MCPSESS_STR("id");
    r.principal = owners[owner];
    r.state = (uint8_t)mark;
    mcpsess_buf_init(&b, value_mem[turn], sizeof value_mem[turn]);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    return mcpsess_buf_str(&b);
}

static bool live(unsigned key) {
    return model.r[key].present && model.r[key].expires_ms > now;
}

static unsigned model_live(void) {
    unsigned k, n = 0;
    for (k = 0; k < KEYS; k++) n += live(k) ? 1u : 0u;
    return n;
}

/* an even TTL, so that half of it is a number */
static uint64_t model_ttl(void) {
    return random_below(4) == 0 ? 0 : 2u * (1u + random_below(30));
}

static int model_put_answer(unsigned key, unsigned mode, unsigned owner, bool guarded, unsigned expect) {
    bool there = live(key), mine = !guarded || model.r[key].owner == owner;
    switch (mode) {
    case MCPSESS_PUT_CREATE: return there ? MCPSESS_EXISTS : MCPSESS_OK;
    case MCPSESS_PUT_UPDATE: return there && mine ? MCPSESS_OK : MCPSESS_MISS;
    case MCPSESS_PUT_CAS:
        if (!there || !mine) return MCPSESS_MISS;
        return model.r[key].owner == owner && model.r[key].mark == expect ? MCPSESS_OK : MCPSESS_LOST;
    default: return there && !mine ? MCPSESS_EXISTS : MCPSESS_OK;
    }
}

static bool model_put(unsigned key, unsigned owner, bool guarded) {
    unsigned mode = (unsigned)random_below(4), mark = (unsigned)random_below(4), expect = (unsigned)random_below(4);
    uint64_t ttl_ms = model_ttl();
    int want = model_put_answer(key, mode, owner, guarded, expect);
    if (want == MCPSESS_OK && !live(key) && model_live() == RECORDS) want = MCPSESS_E_FULL;
    memset(&q, 0, sizeof q);
    q.kind = MCPSESS_PUT;
    q.mode = (uint8_t)mode;
    q.guarded = guarded;
    q.owner = owners[owner];
    q.key = str_byte('a' + key);
    q.value = model_value(0, owner, mark);
    q.expect = model_value(1, owner, expect);
    q.ttl_ms = ttl_ms;
    if (store.cls->submit(store.self, &q, now) != want) return false;
    if (want != MCPSESS_OK) return true;
    model.r[key].present = true;
    model.r[key].owner = (uint8_t)owner;
    model.r[key].mark = (uint8_t)mark;
    model.r[key].expires_ms = ttl_ms == 0 ? MCPSESS_NEVER : now + ttl_ms;
    return true;
}

static bool model_get(unsigned key, unsigned owner, bool guarded) {
    char mem[48];
    mcpsess_buf out;
    model_record *r = &model.r[key];
    bool visible = live(key) && (!guarded || r->owner == owner), by_touch = random_below(3) == 0;
    mcpsess_buf_init(&out, mem, sizeof mem);
    memset(&q, 0, sizeof q);
    q.kind = by_touch ? MCPSESS_TOUCH : MCPSESS_GET;
    q.guarded = guarded;
    q.owner = owners[owner];
    q.key = str_byte('a' + key);
    q.ttl_ms = model_ttl();
    q.out = by_touch ? NULL : &out;
    if (store.cls->submit(store.self, &q, now) != (visible ? MCPSESS_OK : MCPSESS_MISS)) return false;
    if (!visible) return out.len == 0;
    if (r->expires_ms != MCPSESS_NEVER && r->expires_ms - now < q.ttl_ms / 2) r->expires_ms = now + q.ttl_ms;
    if (q.left_ms != (r->expires_ms == MCPSESS_NEVER ? MCPSESS_NEVER : r->expires_ms - now)) return false;
    return by_touch || mcpsess_str_eq(mcpsess_buf_str(&out), model_value(0, r->owner, r->mark));
}

static bool model_del(unsigned key, unsigned owner, bool guarded) {
    bool visible = live(key) && (!guarded || model.r[key].owner == owner), compare = random_below(2) == 0;
    unsigned mark = (unsigned)random_below(4);
    int want = visible ? MCPSESS_OK : MCPSESS_MISS;
    if (compare && visible && (mark != model.r[key].mark || owner != model.r[key].owner)) want = MCPSESS_LOST;
    memset(&q, 0, sizeof q);
    q.kind = compare ? MCPSESS_DEL_EQUAL : MCPSESS_DEL;
    q.guarded = guarded;
    q.owner = owners[owner];
    q.key = str_byte('a' + key);
    q.expect = model_value(0, owner, mark);
    if (want == MCPSESS_OK) model.r[key].present = false;
    return store.cls->submit(store.self, &q, now) == want;
}

static bool model_lease_step(unsigned key) {
    model_lease *l = &model.l[key];
    unsigned token = 1u + (unsigned)random_below(3), what = (unsigned)random_below(4), k, held = 0;
    bool taken = l->token != 0 && l->expires_ms > now, mine = taken && l->token == token;
    uint64_t ttl_ms = 1u + random_below(40);
    int rc;
    for (k = 0; k < KEYS; k++) held += model.l[k].token != 0 && model.l[k].expires_ms > now ? 1u : 0u;
    rc = ask((uint8_t)(what < 2    ? MCPSESS_LEASE_ACQUIRE
                       : what == 2 ? MCPSESS_LEASE_EXTEND
                                   : MCPSESS_LEASE_RELEASE),
             str_byte('a' + key), str_byte('0' + token), ttl_ms);
    if (what >= 2) {
        if (rc != (mine ? MCPSESS_OK : MCPSESS_LOST)) return false;
        if (mine && what == 2) l->expires_ms = now + ttl_ms;
        if (mine && what == 3) l->token = 0;
        return true;
    }
    if (taken && !mine) return rc == MCPSESS_BUSY && q.left_ms == l->expires_ms - now;
    if (mine) {
        l->expires_ms = now + q.ttl_ms;
        return rc == MCPSESS_OK && q.fence == l->fence;
    }
    if (held == LEASES) return rc == MCPSESS_E_FULL;
    if (rc != MCPSESS_OK || q.fence <= model.fence) return false;
    l->token = (uint8_t)token;
    l->expires_ms = now + ttl_ms;
    model.fence = l->fence = q.fence;
    return true;
}

static bool model_step(void) {
    unsigned key = (unsigned)random_below(KEYS), owner = (unsigned)random_below(OWNERS);
    bool guarded = random_below(4) != 0;
    uint32_t what = random_below(100);
    now += random_below(3);
    if (what < 35) return model_put(key, owner, guarded);
    if (what < 70) return model_get(key, owner, guarded);
    if (what < 80) return model_del(key, owner, guarded);
    if (what < 97) return model_lease_step(key);
    return ask(MCPSESS_SWEEP, MCPSESS_STR(""), MCPSESS_STR(""), 0) == MCPSESS_OK &&
           mcpsess_memstore_len(&ram) == model_live();
}

TEST(memstore_agrees_with_a_naive_model) {
    uint32_t round;
    make_store(RECORDS, LEASES, false);
    memset(&model, 0, sizeof model);
    owners[0] = principal("", "");
    owners[1] = principal("i", "alice");
    owners[2] = principal("i", "bob");
    tap_seed(4711);
    for (round = 0; round < PORT_ROUNDS; round++) {
        if (!CHECK(model_step()) || !CHECK(mcpsess_memstore_check(&ram) == MCPSESS_OK)) {
            tap_note("failed in round", (int64_t)round);
            break;
        }
    }
    sound();
}

TEST(memstore_check_sees_overwritten_memory) {
    make_store(2, 1, false);
    put("a", 0);
    ram.i.records.i.len = 2;
    CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_E_CORRUPT);
    make_store(2, 1, false);
    acquire("a", "t", 10);
    ram.i.leases.i.newest = 7;
    CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_E_CORRUPT);
}

void test_memstore(void) {
    RUN(memstore_desc_out_of_range_is_refused);
    RUN(memstore_init_checks_the_storage);
    RUN(memstore_null_is_an_argument_error);
    RUN(memstore_every_function_of_its_class_is_set);
    RUN(memstore_key_and_value_bounds);
    RUN(memstore_full_refuses_only_if_nothing_has_expired);
    RUN(memstore_full_sees_an_expiry_that_a_later_write_moved_closer);
    RUN(memstore_full_put_drops_every_expired_record);
    RUN(memstore_full_store_evicts_by_option_the_least_recent);
    RUN(memstore_evicts_nobody_while_something_has_expired);
    RUN(memstore_foreigner_gives_no_recency);
    RUN(memstore_question_of_presence_gives_no_recency);
    RUN(memstore_logs_what_it_refuses);
    RUN(th32_15_load_saves_from_the_sweep);
    RUN(memstore_counts);
    RUN(memstore_without_leases_does_not_support_them);
    RUN(memstore_leases_are_never_evicted);
    RUN(memstore_fences_start_above_their_base);
    RUN(memstore_check_sees_overwritten_memory);
    store_contract(&contract_rig);
    RUN(memstore_agrees_with_a_naive_model);
}
