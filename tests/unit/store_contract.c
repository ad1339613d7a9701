#include "store_contract.h"

#define POLLS_MAX 100000uL

static store_rig *rig;
static bool fences; /* the store has some */

/* the request and its answer; every test starts one with `ask` */
static mcpsess_request q;
static char out_mem[CONTRACT_VALUE_MAX], value_mem[2][CONTRACT_VALUE_MAX];
static mcpsess_buf out;
static mcpsess_principal alice, bob, nobody;

static void start(void) {
    rig->reset(rig);
    alice = principal("https://issuer.example", "alice");
    bob = principal("https://issuer.example", "bob");
    nobody = principal("", "");
}

/* A value that belongs to somebody; `mark` makes it differ. Two of them live at a time. */
static mcpsess_str value_of(const mcpsess_principal *who, const char *mark) {
    static unsigned turn;
    mcpsess_record r;
    mcpsess_buf b;
    memset(&r, 0, sizeof r);
    r.id = MCPSESS_STR("id");
    r.principal = *who;
    r.backend = mcpsess_str_z(mark);
    turn ^= 1u;
    mcpsess_buf_init(&b, value_mem[turn], CONTRACT_VALUE_MAX);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    return mcpsess_buf_str(&b);
}

static void request(uint8_t kind, const char *key, const mcpsess_principal *owner) {
    memset(&q, 0, sizeof q);
    q.kind = kind;
    q.key = mcpsess_str_z(key);
    q.guarded = owner != NULL;
    if (owner != NULL) q.owner = *owner;
}

static int submit(void) {
    const mcpsess_store_class *c = rig->store.cls;
    uint32_t polls;
    int rc = c->submit(rig->store.self, &q, rig->now_ms);
    CHECK_EQ(rc, q.rc);
    for (polls = 0; q.rc == MCPSESS_PENDING && polls < POLLS_MAX; polls++) {
        c->poll(rig->store.self, rig->now_ms);
        if (q.rc == MCPSESS_PENDING && rig->idle != NULL) rig->idle(rig);
    }
    return q.rc;
}

static int put(uint8_t mode, const char *key, const mcpsess_principal *owner, mcpsess_str value, unsigned ttl_units) {
    request(MCPSESS_PUT, key, owner);
    q.mode = mode;
    q.value = value;
    q.ttl_ms = ttl_units * rig->unit_ms;
    return submit();
}

static int cas(const char *key, const mcpsess_principal *owner, mcpsess_str expect, mcpsess_str value,
               unsigned ttl_units) {
    request(MCPSESS_PUT, key, owner);
    q.mode = MCPSESS_PUT_CAS;
    q.value = value;
    q.expect = expect;
    q.ttl_ms = ttl_units * rig->unit_ms;
    return submit();
}

/* reads into `out` */
static int get(const char *key, const mcpsess_principal *owner, unsigned ttl_units) {
    request(MCPSESS_GET, key, owner);
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.out = &out;
    q.ttl_ms = ttl_units * rig->unit_ms;
    return submit();
}

/* presence and TTL, refreshing nothing */
static int look(const char *key) {
    request(MCPSESS_GET, key, NULL);
    return submit();
}

static int touch(const char *key, const mcpsess_principal *owner, unsigned ttl_units) {
    request(MCPSESS_TOUCH, key, owner);
    q.ttl_ms = ttl_units * rig->unit_ms;
    return submit();
}

static int del(const char *key, const mcpsess_principal *owner) {
    request(MCPSESS_DEL, key, owner);
    return submit();
}

static int del_equal(const char *key, const mcpsess_principal *owner, mcpsess_str expect) {
    request(MCPSESS_DEL_EQUAL, key, owner);
    q.expect = expect;
    return submit();
}

static void pass(unsigned units) {
    rig->pass(rig, units * rig->unit_ms);
}

/* the answer says so many units are left: to the millisecond, or within one unit where the store's clock is not ours */
static bool left_is(unsigned units) {
    uint64_t want = units * rig->unit_ms;
    if (rig->exact) return q.left_ms == want;
    return q.left_ms <= want && q.left_ms + rig->unit_ms > want;
}

static bool holds(const char *key, mcpsess_str value) {
    return get(key, NULL, 0) == MCPSESS_OK && mcpsess_str_eq(mcpsess_buf_str(&out), value);
}

/* ---- read and write ---- */

TEST(store_absent_key_is_a_miss_for_every_kind) {
    mcpsess_str v = MCPSESS_STR("v");
    start();
    CHECK_EQ(get("k", NULL, 10), MCPSESS_MISS);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(look("k"), MCPSESS_MISS);
    CHECK_EQ(touch("k", NULL, 10), MCPSESS_MISS);
    CHECK_EQ(del("k", NULL), MCPSESS_MISS);
    CHECK_EQ(del_equal("k", NULL, v), MCPSESS_MISS);
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", NULL, v, 10), MCPSESS_MISS);
    CHECK_EQ(cas("k", NULL, v, v, 10), MCPSESS_MISS);
    CHECK_EQ(look("k"), MCPSESS_MISS); /* and none of them made it */
}

TEST(store_get_appends_what_was_put) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("one"), 10), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "l", NULL, MCPSESS_STR("two"), 10), MCPSESS_OK);
    CHECK_EQ(get("k", NULL, 0), MCPSESS_OK);
    CHECK(left_is(10));
    request(MCPSESS_GET, "l", NULL);
    q.out = &out;
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "onetwo");
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("three"), 10), MCPSESS_OK);
    CHECK(holds("k", MCPSESS_STR("three")));
}

TEST(store_values_and_keys_are_raw_bytes) {
    static const mcpsess_str keys[] = {LIT("a"),       LIT("A"), LIT("a\0"), LIT("{a}"),
                                       LIT("a b\r\n"), LIT("*"), LIT("a:b"), LIT("\xff\xfe")};
    unsigned i;
    start();
    for (i = 0; i < COUNT_OF(keys); i++) {
        unsigned char value[3] = {0, 0xFF, (unsigned char)i};
        request(MCPSESS_PUT, "", NULL);
        q.key = keys[i];
        q.value = mcpsess_str_of(value, 3);
        q.ttl_ms = 100 * rig->unit_ms;
        CHECK_EQ(submit(), MCPSESS_OK);
    }
    for (i = 0; i < COUNT_OF(keys); i++) {
        unsigned char value[3] = {0, 0xFF, (unsigned char)i};
        request(MCPSESS_GET, "", NULL);
        mcpsess_buf_init(&out, out_mem, sizeof out_mem);
        q.key = keys[i];
        q.out = &out;
        CHECK_EQ(submit(), MCPSESS_OK);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_str_of(value, 3)));
    }
}

TEST(store_empty_and_longest_value) {
    char longest[CONTRACT_VALUE_MAX];
    mcpsess_str v = str_fill(longest, 'x', sizeof longest);
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR(""), 10), MCPSESS_OK);
    CHECK_EQ(get("k", NULL, 0), MCPSESS_OK);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, v, 10), MCPSESS_OK);
    CHECK(holds("k", v));
}

TEST(store_get_needs_exactly_its_room) {
    size_t cap;
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("12345"), 10), MCPSESS_OK);
    for (cap = 1; cap < 8; cap++) {
        memset(out_mem, '#', sizeof out_mem);
        request(MCPSESS_GET, "k", NULL);
        mcpsess_buf_init(&out, out_mem, cap);
        mcpsess_buf_put_char(&out, '>');
        q.out = &out;
        CHECK_EQ(submit(), cap >= 6 ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        if (cap < 6) CHECK_EQ(q.need, 5);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), cap >= 6 ? MCPSESS_STR(">12345") : MCPSESS_STR(">")));
        CHECK(!out.overflow);
        CHECK_EQ(out_mem[cap], '#');
    }
}

TEST(store_get_without_out_answers_presence) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    pass(9);
    CHECK_EQ(look("k"), MCPSESS_OK);
    CHECK(left_is(1)); /* and did not refresh */
}

TEST(store_create_only_once) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", NULL, MCPSESS_STR("first"), 10), MCPSESS_OK);
    pass(4);
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", NULL, MCPSESS_STR("second"), 20), MCPSESS_EXISTS);
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", NULL, MCPSESS_STR("first"), 20), MCPSESS_EXISTS);
    CHECK(holds("k", MCPSESS_STR("first")));
    CHECK(left_is(6));
    pass(6);
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", NULL, MCPSESS_STR("third"), 10), MCPSESS_OK);
    CHECK(holds("k", MCPSESS_STR("third")));
}

TEST(store_update_only_what_is_there) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", NULL, MCPSESS_STR("one"), 10), MCPSESS_MISS);
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", NULL, MCPSESS_STR("one"), 10), MCPSESS_OK);
    pass(4);
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", NULL, MCPSESS_STR("two"), 10), MCPSESS_OK);
    CHECK(holds("k", MCPSESS_STR("two")));
    CHECK(left_is(10));
    CHECK_EQ(del("k", NULL), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", NULL, MCPSESS_STR("three"), 10), MCPSESS_MISS);
    CHECK_EQ(look("k"), MCPSESS_MISS);
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", NULL, MCPSESS_STR("four"), 10), MCPSESS_OK);
    pass(10);
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", NULL, MCPSESS_STR("five"), 10), MCPSESS_MISS);
    CHECK_EQ(look("k"), MCPSESS_MISS);
}

TEST(store_cas_only_over_the_expected_bytes) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("one"), 10), MCPSESS_OK);
    pass(2);
    CHECK_EQ(cas("k", NULL, MCPSESS_STR("onE"), MCPSESS_STR("two"), 10), MCPSESS_LOST);
    CHECK_EQ(cas("k", NULL, MCPSESS_STR("on"), MCPSESS_STR("two"), 10), MCPSESS_LOST);
    CHECK_EQ(cas("k", NULL, MCPSESS_STR("one\0"), MCPSESS_STR("two"), 10), MCPSESS_LOST);
    CHECK_EQ(cas("k", NULL, MCPSESS_STR(""), MCPSESS_STR("two"), 10), MCPSESS_LOST);
    CHECK(holds("k", MCPSESS_STR("one")));
    CHECK(left_is(8));
    CHECK_EQ(cas("k", NULL, MCPSESS_STR("one"), MCPSESS_STR("two"), 10), MCPSESS_OK);
    CHECK(holds("k", MCPSESS_STR("two")));
    CHECK(left_is(10));
    CHECK_EQ(cas("k", NULL, MCPSESS_STR("one"), MCPSESS_STR("three"), 10), MCPSESS_LOST);
    pass(10);
    CHECK_EQ(cas("k", NULL, MCPSESS_STR("two"), MCPSESS_STR("three"), 10), MCPSESS_MISS);
}

TEST(store_del_equal_only_the_expected_bytes) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("one"), 10), MCPSESS_OK);
    CHECK_EQ(del_equal("k", NULL, MCPSESS_STR("two")), MCPSESS_LOST);
    CHECK_EQ(del_equal("k", NULL, MCPSESS_STR("")), MCPSESS_LOST);
    CHECK_EQ(look("k"), MCPSESS_OK);
    CHECK_EQ(del_equal("k", NULL, MCPSESS_STR("one")), MCPSESS_OK);
    CHECK_EQ(look("k"), MCPSESS_MISS);
}

TEST(store_del_only_that_key) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "kk", NULL, MCPSESS_STR("w"), 10), MCPSESS_OK);
    CHECK_EQ(del("k", NULL), MCPSESS_OK);
    CHECK_EQ(del("k", NULL), MCPSESS_MISS);
    CHECK(holds("kk", MCPSESS_STR("w")));
}

/* ---- owners ---- */

TEST(store_record_of_another_is_absent_for_every_kind) {
    mcpsess_str mine, theirs;
    start();
    mine = value_of(&alice, "mine");
    theirs = value_of(&bob, "theirs");
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", NULL, mine, 10), MCPSESS_OK);
    CHECK_EQ(get("k", &bob, 0), MCPSESS_MISS);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(get("k", &nobody, 0), MCPSESS_MISS);
    request(MCPSESS_GET, "k", &bob);
    CHECK_EQ(submit(), MCPSESS_MISS);
    CHECK_EQ(touch("k", &bob, 100), MCPSESS_MISS);
    CHECK_EQ(del("k", &bob), MCPSESS_MISS);
    CHECK_EQ(del_equal("k", &bob, mine), MCPSESS_MISS);
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", &bob, theirs, 10), MCPSESS_MISS);
    CHECK_EQ(cas("k", &bob, mine, theirs, 10), MCPSESS_MISS);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &bob, theirs, 10), MCPSESS_EXISTS);
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", &bob, theirs, 10), MCPSESS_EXISTS);
    CHECK(holds("k", mine));
    CHECK(left_is(10));
}

TEST(store_owner_may_do_everything) {
    mcpsess_str one, two;
    start();
    one = value_of(&alice, "one");
    two = value_of(&alice, "two");
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &alice, one, 10), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &alice, two, 10), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", &alice, one, 10), MCPSESS_OK);
    CHECK_EQ(cas("k", &alice, one, two, 10), MCPSESS_OK);
    CHECK_EQ(cas("k", &alice, one, two, 10), MCPSESS_LOST);
    CHECK_EQ(get("k", &alice, 0), MCPSESS_OK);
    CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), two));
    CHECK_EQ(touch("k", &alice, 10), MCPSESS_OK);
    CHECK_EQ(del_equal("k", &alice, one), MCPSESS_LOST);
    CHECK_EQ(del_equal("k", &alice, two), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_CREATE, "k", &alice, one, 10), MCPSESS_OK);
    CHECK_EQ(del("k", &alice), MCPSESS_OK);
}

TEST(store_record_of_nobody_is_not_everybodys) {
    mcpsess_str v;
    start();
    v = value_of(&nobody, "v");
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &nobody, v, 10), MCPSESS_OK);
    CHECK_EQ(get("k", &nobody, 0), MCPSESS_OK);
    CHECK_EQ(get("k", &alice, 0), MCPSESS_MISS);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &alice, value_of(&alice, "w"), 10), MCPSESS_EXISTS);
}

TEST(store_bytes_that_are_no_record_have_no_owner) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("{\"id\":1}"), 10), MCPSESS_OK);
    CHECK_EQ(get("k", &alice, 0), MCPSESS_MISS);
    CHECK_EQ(get("k", &nobody, 0), MCPSESS_MISS);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &alice, value_of(&alice, "v"), 10), MCPSESS_EXISTS);
    CHECK_EQ(get("k", NULL, 0), MCPSESS_OK);
}

TEST(store_unguarded_request_sees_everybodys) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, value_of(&alice, "v"), 10), MCPSESS_OK);
    CHECK_EQ(get("k", NULL, 0), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, value_of(&bob, "v"), 10), MCPSESS_OK);
    CHECK_EQ(get("k", &bob, 0), MCPSESS_OK);
}

TEST(store_key_of_another_is_free_once_expired) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &alice, value_of(&alice, "v"), 10), MCPSESS_OK);
    pass(10);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &bob, value_of(&bob, "v"), 10), MCPSESS_OK);
    CHECK_EQ(get("k", &bob, 0), MCPSESS_OK);
    CHECK_EQ(get("k", &alice, 0), MCPSESS_MISS);
}

/* ---- time ---- */

TEST(store_expires_at_the_instant_swept_or_not) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    pass(9);
    if (rig->exact) rig->pass(rig, rig->unit_ms - 1u);
    CHECK_EQ(look("k"), MCPSESS_OK);
    if (rig->exact) CHECK_EQ(q.left_ms, 1);
    rig->pass(rig, rig->exact ? 1 : rig->unit_ms);
    CHECK_EQ(look("k"), MCPSESS_MISS);
    CHECK_EQ(get("k", NULL, 10), MCPSESS_MISS);
    CHECK_EQ(touch("k", NULL, 10), MCPSESS_MISS);
    CHECK_EQ(del("k", NULL), MCPSESS_MISS);
    CHECK_EQ(look("k"), MCPSESS_MISS);
}

TEST(store_without_ttl_stays) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 0), MCPSESS_OK);
    pass(100);
    CHECK_EQ(look("k"), MCPSESS_OK);
    CHECK(q.left_ms == MCPSESS_NEVER);
    CHECK_EQ(get("k", NULL, 10), MCPSESS_OK); /* not less than half of 10 is left: no TTL is set */
    CHECK(q.left_ms == MCPSESS_NEVER);
    CHECK_EQ(touch("k", NULL, 10), MCPSESS_OK);
    CHECK(q.left_ms == MCPSESS_NEVER);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK); /* but a put always sets it */
    CHECK_EQ(look("k"), MCPSESS_OK);
    CHECK(left_is(10));
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", NULL, MCPSESS_STR("v"), 0), MCPSESS_OK);
    CHECK_EQ(look("k"), MCPSESS_OK);
    CHECK(q.left_ms == MCPSESS_NEVER);
}

/* one refresh by get (or touch) after `units` of 100 have passed; what is left then */
static void refreshed_after(bool by_touch, unsigned units, unsigned want_left) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 100), MCPSESS_OK);
    pass(units);
    CHECK_EQ(by_touch ? touch("k", NULL, 100) : get("k", NULL, 100), MCPSESS_OK);
    CHECK(left_is(want_left));
    CHECK_EQ(look("k"), MCPSESS_OK);
    if (!CHECK(left_is(want_left))) tap_note("units", (int64_t)units);
}

TEST(store_ttl_slides_only_when_less_than_half_is_left) {
    unsigned by_touch;
    for (by_touch = 0; by_touch < 2; by_touch++) {
        refreshed_after(by_touch != 0, 1, 99);
        if (rig->exact) refreshed_after(by_touch != 0, 49, 51);
        if (rig->exact) refreshed_after(by_touch != 0, 50, 50);
        refreshed_after(by_touch != 0, 52, 100);
        refreshed_after(by_touch != 0, 98, 100);
    }
}

TEST(store_ttl_slides_one_ms_past_half) {
    start();
    if (!rig->exact) return;
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 100), MCPSESS_OK);
    rig->pass(rig, 50 * rig->unit_ms + 1);
    CHECK_EQ(get("k", NULL, 100), MCPSESS_OK);
    CHECK(left_is(100));
}

TEST(store_zero_ttl_never_refreshes) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    pass(8);
    CHECK_EQ(get("k", NULL, 0), MCPSESS_OK);
    CHECK(left_is(2));
    CHECK_EQ(touch("k", NULL, 0), MCPSESS_OK);
    CHECK(left_is(2));
}

TEST(store_foreigner_never_refreshes) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &alice, value_of(&alice, "v"), 10), MCPSESS_OK);
    pass(8);
    CHECK_EQ(get("k", &bob, 10), MCPSESS_MISS);
    CHECK_EQ(touch("k", &bob, 10), MCPSESS_MISS);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", &bob, value_of(&bob, "v"), 10), MCPSESS_EXISTS);
    CHECK_EQ(put(MCPSESS_PUT_UPDATE, "k", &bob, value_of(&bob, "v"), 10), MCPSESS_MISS);
    CHECK_EQ(look("k"), MCPSESS_OK);
    CHECK(left_is(2));
}

TEST(store_sweep_counts_what_has_expired) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "a", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "b", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "c", NULL, MCPSESS_STR("v"), 30), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "d", NULL, MCPSESS_STR("v"), 0), MCPSESS_OK);
    request(MCPSESS_SWEEP, "", NULL);
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(q.count, 0);
    pass(10);
    request(MCPSESS_SWEEP, "", NULL);
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(q.count, rig->sweeps ? 2 : 0);
    request(MCPSESS_SWEEP, "", NULL);
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(q.count, 0);
    CHECK_EQ(look("c"), MCPSESS_OK);
    CHECK_EQ(look("d"), MCPSESS_OK);
}

/* ---- leases ---- */

static int lease(uint8_t kind, const char *key, const char *token, unsigned ttl_units) {
    request(kind, key, NULL);
    q.value = mcpsess_str_z(token);
    q.ttl_ms = ttl_units * rig->unit_ms;
    return submit();
}

static int acquire(const char *key, const char *token, unsigned ttl_units) {
    return lease(MCPSESS_LEASE_ACQUIRE, key, token, ttl_units);
}

TEST(store_lease_has_one_holder) {
    start();
    CHECK_EQ(acquire("k", "token-a", 10), MCPSESS_OK);
    pass(3);
    CHECK_EQ(acquire("k", "token-b", 10), MCPSESS_BUSY);
    CHECK(left_is(7));
    CHECK_EQ(acquire("k", "token-", 10), MCPSESS_BUSY);
    CHECK_EQ(acquire("k", "token-a2", 10), MCPSESS_BUSY);
    CHECK_EQ(acquire("l", "token-b", 10), MCPSESS_OK);
}

TEST(store_lease_is_free_at_the_instant_it_expires) {
    start();
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_OK);
    pass(9);
    CHECK_EQ(acquire("k", "b", 10), MCPSESS_BUSY);
    pass(1);
    CHECK_EQ(acquire("k", "b", 10), MCPSESS_OK);
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_BUSY);
}

TEST(store_lease_acquired_again_by_its_token_is_the_same) {
    uint64_t fence;
    start();
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_OK);
    fence = q.fence;
    CHECK(fences || fence == 0);
    pass(6);
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_OK); /* the answer was lost, the request repeated */
    CHECK(q.fence == fence);
    CHECK_EQ(acquire("k", "b", 10), MCPSESS_BUSY);
}

TEST(store_fence_grows_with_every_change_of_holder) {
    uint64_t fence;
    start();
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_OK);
    fence = q.fence;
    CHECK(fence > 0);
    pass(10);
    CHECK_EQ(acquire("k", "b", 10), MCPSESS_OK); /* after expiry */
    CHECK(q.fence > fence);
    fence = q.fence;
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "b", 0), MCPSESS_OK);
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_OK); /* after release */
    CHECK(q.fence > fence);
    fence = q.fence;
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a", 10), MCPSESS_OK); /* extend changes no holder */
    CHECK(q.fence == fence);
    pass(10);
    rig->pass(rig, 1000 * rig->unit_ms); /* long after the lease was forgotten */
    CHECK_EQ(acquire("k", "b", 10), MCPSESS_OK);
    CHECK(q.fence > fence);
}

TEST(store_extend_and_release_compare_the_token) {
    start();
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a", 10), MCPSESS_LOST);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "a", 0), MCPSESS_LOST);
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_OK);
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "b", 10), MCPSESS_LOST);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "b", 0), MCPSESS_LOST);
    CHECK(lease(MCPSESS_LEASE_RELEASE, "k", "", 0) != MCPSESS_OK);
    CHECK_EQ(acquire("k", "c", 10), MCPSESS_BUSY);
    pass(8);
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a", 10), MCPSESS_OK);
    pass(8);
    CHECK_EQ(acquire("k", "c", 10), MCPSESS_BUSY);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "a", 0), MCPSESS_OK);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "a", 0), MCPSESS_LOST);
    CHECK_EQ(acquire("k", "c", 10), MCPSESS_OK);
}

TEST(store_stale_holder_cannot_hurt_the_next) {
    start();
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_OK);
    pass(10);
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a", 10), MCPSESS_LOST); /* expired is expired */
    CHECK_EQ(acquire("k", "b", 10), MCPSESS_OK);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "a", 0), MCPSESS_LOST);
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a", 10), MCPSESS_LOST);
    CHECK_EQ(acquire("k", "c", 10), MCPSESS_BUSY);
}

TEST(store_leases_and_records_are_separate) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    CHECK_EQ(acquire("k", "a", 10), MCPSESS_OK);
    CHECK_EQ(del("k", NULL), MCPSESS_OK);
    CHECK_EQ(look("k"), MCPSESS_MISS);
    CHECK_EQ(acquire("k", "b", 10), MCPSESS_BUSY);
    CHECK_EQ(acquire("l", "b", 10), MCPSESS_OK);
    CHECK_EQ(look("l"), MCPSESS_MISS);
}

TEST(store_token_at_its_bound) {
    char token[MCPSESS_TOKEN_MAX + 2u];
    start();
    memset(token, 0, sizeof token);
    str_fill(token, 't', MCPSESS_TOKEN_MAX);
    CHECK_EQ(acquire("k", token, 10), MCPSESS_OK);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", token, 0), MCPSESS_OK);
    str_fill(token, 't', MCPSESS_TOKEN_MAX + 1u);
    CHECK(acquire("k", token, 10) < 0);
    CHECK(acquire("k", "", 10) < 0);
    CHECK_EQ(acquire("k", "other", 10), MCPSESS_OK);
}

/* ---- the rest ---- */

TEST(store_kinds_that_there_are_not_are_refused) {
    start();
    request(MCPSESS_LOG_DEL + 1, "k", NULL);
    CHECK(submit() < 0);
    request(0, "k", NULL);
    CHECK(submit() < 0);
}

TEST(store_idle_store_wants_nothing) {
    start();
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    if (rig->exact) CHECK_EQ(rig->store.cls->want(rig->store.self), 0);
    rig->store.cls->poll(rig->store.self, rig->now_ms);
}

TEST(store_closed_store_refuses_everything) {
    start();
    if (!rig->closes) return;
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_OK);
    rig->store.cls->close(rig->store.self);
    CHECK_EQ(get("k", NULL, 10), MCPSESS_E_CLOSED);
    CHECK_EQ(put(MCPSESS_PUT_UPSERT, "k", NULL, MCPSESS_STR("v"), 10), MCPSESS_E_CLOSED);
    CHECK_EQ(del("k", NULL), MCPSESS_E_CLOSED);
    request(MCPSESS_SWEEP, "", NULL);
    CHECK_EQ(submit(), MCPSESS_E_CLOSED);
    if (rig->leases) CHECK_EQ(acquire("k", "a", 10), MCPSESS_E_CLOSED);
    rig->store.cls->close(rig->store.self);
}

void lease_contract(store_rig *under_test, bool has_fences) {
    rig = under_test;
    fences = has_fences;
    RUN(store_lease_has_one_holder);
    RUN(store_lease_is_free_at_the_instant_it_expires);
    RUN(store_lease_acquired_again_by_its_token_is_the_same);
    if (fences) RUN(store_fence_grows_with_every_change_of_holder);
    RUN(store_extend_and_release_compare_the_token);
    RUN(store_stale_holder_cannot_hurt_the_next);
    RUN(store_token_at_its_bound);
}

void store_contract(store_rig *under_test) {
    rig = under_test;
    RUN(store_absent_key_is_a_miss_for_every_kind);
    RUN(store_get_appends_what_was_put);
    RUN(store_values_and_keys_are_raw_bytes);
    RUN(store_empty_and_longest_value);
    RUN(store_get_needs_exactly_its_room);
    RUN(store_get_without_out_answers_presence);
    RUN(store_create_only_once);
    RUN(store_update_only_what_is_there);
    RUN(store_cas_only_over_the_expected_bytes);
    RUN(store_del_equal_only_the_expected_bytes);
    RUN(store_del_only_that_key);
    RUN(store_record_of_another_is_absent_for_every_kind);
    RUN(store_owner_may_do_everything);
    RUN(store_record_of_nobody_is_not_everybodys);
    RUN(store_bytes_that_are_no_record_have_no_owner);
    RUN(store_unguarded_request_sees_everybodys);
    RUN(store_key_of_another_is_free_once_expired);
    RUN(store_expires_at_the_instant_swept_or_not);
    RUN(store_without_ttl_stays);
    RUN(store_ttl_slides_only_when_less_than_half_is_left);
    RUN(store_ttl_slides_one_ms_past_half);
    RUN(store_zero_ttl_never_refreshes);
    RUN(store_foreigner_never_refreshes);
    RUN(store_sweep_counts_what_has_expired);
    if (rig->leases) {
        lease_contract(rig, true);
        RUN(store_leases_and_records_are_separate);
    }
    RUN(store_kinds_that_there_are_not_are_refused);
    RUN(store_idle_store_wants_nothing);
    RUN(store_closed_store_refuses_everything);
}
