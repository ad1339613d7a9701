#include "flag_contract.h"

#define POLLS_MAX 100000uL

static flag_rig *rig;

/* the request and its answer */
static mcpsess_flag_request q;
static char out_mem[FLAG_CONTRACT_MAX];
static mcpsess_buf out;

static void start(void) {
    rig->base.reset(&rig->base);
}

static void pass(unsigned units) {
    rig->base.pass(&rig->base, units * rig->base.unit_ms);
}

/* the answer says so many units are left: to the millisecond, or within one unit where the store's clock is not ours */
static bool left_is(unsigned units) {
    uint64_t expected_ms = units * rig->base.unit_ms, left_ms = q.request.left_ms;
    if (rig->base.exact) return left_ms == expected_ms;
    return left_ms <= expected_ms && left_ms + rig->base.unit_ms > expected_ms;
}

static void request(uint8_t kind, const char *key) {
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = mcpsess_str_z(key);
    q.request.ttl_ms = 10 * rig->base.unit_ms;
}

static int submit(void) {
    const store_rig *base = &rig->base;
    uint32_t polls;
    int rc = base->store.cls->submit(base->store.self, &q.request, base->now_ms);
    CHECK_EQ(rc, q.request.rc);
    for (polls = 0; q.request.rc == MCPSESS_PENDING && polls < POLLS_MAX; polls++) {
        base->store.cls->poll(base->store.self, base->now_ms);
        if (q.request.rc == MCPSESS_PENDING && base->idle != NULL) base->idle(&rig->base);
    }
    return q.request.rc;
}

/* From here on: what an answer appends is in `out`; a fingerprint or data that the layout cannot hold are not sent. */
static void of_configuration(const char *fingerprint) {
    q.request.expect = mcpsess_str_z(rig->fingerprints ? fingerprint : "");
}

static int get(const char *key, const char *fingerprint) {
    request(MCPSESS_FLAG_GET, key);
    of_configuration(fingerprint);
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    return submit();
}

static int claim(const char *key, const char *token, const char *fingerprint) {
    request(MCPSESS_FLAG_CLAIM, key);
    of_configuration(fingerprint);
    q.request.value = mcpsess_str_z(token);
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    return submit();
}

/* token "": unconditional */
static int set(const char *key, const char *token, const char *fingerprint, const char *data, unsigned ttl_units) {
    request(MCPSESS_FLAG_SET, key);
    of_configuration(fingerprint);
    q.request.value = mcpsess_str_z(token);
    q.request.ttl_ms = ttl_units * rig->base.unit_ms;
    q.data = mcpsess_str_z(rig->data ? data : "");
    return submit();
}

static int clear(const char *key, uint8_t mode) {
    request(MCPSESS_FLAG_CLEAR, key);
    q.request.mode = mode;
    return submit();
}

static int lease(uint8_t kind, const char *key, const char *token) {
    request(kind, key);
    q.request.value = mcpsess_str_z(token);
    return submit();
}

static bool told(const char *data) {
    return mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_str_z(rig->data ? data : ""));
}

/* ---- set and get ---- */

TEST(flag_absent_is_a_miss) {
    start();
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(clear("k", 0), MCPSESS_MISS);
    CHECK_EQ(clear("k", 1), MCPSESS_MISS);
    CHECK_EQ(set("k", "a", "v1", "x", 10), MCPSESS_LOST);
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS); /* and none of them made one */
}

TEST(flag_set_is_found_with_its_data) {
    start();
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_OK);
    CHECK_EQ(set("l", "", "v1", "two", 20), MCPSESS_OK);
    pass(3);
    CHECK_EQ(get("k", "v1"), MCPSESS_OK);
    CHECK(told("one") && left_is(7));
    request(MCPSESS_FLAG_GET, "l");
    of_configuration("v1");
    q.request.out = &out;
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK(told("onetwo") && left_is(17));
    CHECK_EQ(set("k", "", "v1", "three", 10), MCPSESS_OK);
    CHECK_EQ(get("k", "v1"), MCPSESS_OK);
    CHECK(told("three") && left_is(10));
    CHECK_EQ(get("kk", "v1"), MCPSESS_MISS);
}

TEST(flag_without_data_is_set_all_the_same) {
    start();
    CHECK_EQ(set("k", "", "v1", "", 10), MCPSESS_OK);
    CHECK_EQ(get("k", "v1"), MCPSESS_OK);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_EXISTS);
}

TEST(flag_get_without_out_answers_presence) {
    start();
    CHECK_EQ(set("k", "", "", "one", 10), MCPSESS_OK);
    request(MCPSESS_FLAG_GET, "k");
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK(left_is(10));
    request(MCPSESS_FLAG_CLAIM, "k");
    q.request.value = MCPSESS_STR("a");
    CHECK_EQ(submit(), MCPSESS_EXISTS);
    CHECK(left_is(10));
}

TEST(flag_data_and_fingerprint_are_raw_bytes) {
    static const char bytes[] = "\0\r\n}{\xff:\"";
    mcpsess_str raw = mcpsess_str_of(bytes, sizeof bytes - 1u);
    start();
    request(MCPSESS_FLAG_SET, "{k}*");
    q.request.expect = rig->fingerprints ? raw : mcpsess_str_of(NULL, 0);
    q.data = raw;
    CHECK_EQ(submit(), MCPSESS_OK);
    request(MCPSESS_FLAG_GET, "{k}*");
    q.request.expect = rig->fingerprints ? raw : mcpsess_str_of(NULL, 0);
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), raw));
    CHECK_EQ(get("{k}", ""), MCPSESS_MISS);
}

TEST(flag_answer_needs_exactly_its_room) {
    size_t cap;
    unsigned claims;
    start();
    CHECK_EQ(set("k", "", "v1", "12345", 10), MCPSESS_OK);
    for (cap = 1; cap < 16; cap++) {
        claims = cap & 1u;
        memset(out_mem, '#', sizeof out_mem);
        request(claims ? MCPSESS_FLAG_CLAIM : MCPSESS_FLAG_GET, "k");
        of_configuration("v1");
        q.request.value = mcpsess_str_z(claims ? "a" : "");
        mcpsess_buf_init(&out, out_mem, cap / 2u + 1u);
        mcpsess_buf_put_char(&out, '>');
        q.request.out = &out;
        CHECK_EQ(submit(), cap < 10 ? MCPSESS_E_TOOBIG : claims ? MCPSESS_EXISTS : MCPSESS_OK);
        if (cap < 10) CHECK_EQ(q.request.need, 5);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), cap < 10 ? MCPSESS_STR(">") : MCPSESS_STR(">12345")));
        CHECK(!out.overflow);
        CHECK_EQ(out_mem[cap / 2u + 1u], '#');
    }
    CHECK_EQ(lease(MCPSESS_LEASE_ACQUIRE, "k", "b"), MCPSESS_OK); /* a claim without room for the answer got nothing */
}

TEST(flag_of_another_fingerprint_is_none) {
    start();
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_OK);
    CHECK_EQ(get("k", "v2"), MCPSESS_MISS);
    CHECK_EQ(get("k", "v"), MCPSESS_MISS);
    CHECK_EQ(get("k", "v11"), MCPSESS_MISS);
    CHECK_EQ(get("k", "1"), MCPSESS_MISS);
    CHECK_EQ(get("k", ""), MCPSESS_MISS);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(get("k", "v1"), MCPSESS_OK);
    CHECK_EQ(set("k", "", "", "two", 10), MCPSESS_OK); /* a key has one flag */
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    CHECK_EQ(get("k", "two"), MCPSESS_MISS);
    CHECK_EQ(get("k", ""), MCPSESS_OK);
    CHECK(told("two"));
}

TEST(flag_fingerprint_at_its_bound) {
    char longest[MCPSESS_FINGERPRINT_MAX + 2u];
    start();
    memset(longest, 0, sizeof longest);
    str_fill(longest, 'f', MCPSESS_FINGERPRINT_MAX);
    CHECK_EQ(set("k", "", longest, "1234567890123456", 10), MCPSESS_OK);
    CHECK_EQ(get("k", longest), MCPSESS_OK);
    CHECK(told("1234567890123456"));
    str_fill(longest, 'f', MCPSESS_FINGERPRINT_MAX + 1u);
    CHECK(get("k", longest) < 0);
    CHECK(claim("k", "a", longest) < 0);
    CHECK(set("k", "", longest, "", 10) < 0);
    longest[MCPSESS_FINGERPRINT_MAX] = '\0';
    CHECK_EQ(get("k", longest), MCPSESS_OK);
}

TEST(flag_expires_at_the_instant) {
    start();
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_OK);
    pass(9);
    if (rig->base.exact) rig->base.pass(&rig->base, rig->base.unit_ms - 1u);
    CHECK_EQ(get("k", "v1"), MCPSESS_OK); /* and reading renews nothing */
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_EXISTS);
    rig->base.pass(&rig->base, rig->base.exact ? 1 : rig->base.unit_ms);
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    CHECK_EQ(clear("k", 0), MCPSESS_MISS);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
}

/* ---- claim ---- */

TEST(flag_claim_takes_the_lease_of_what_is_not_set) {
    uint64_t fence;
    start();
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    fence = q.request.fence;
    CHECK(rig->fences ? fence > 0 : fence == 0);
    CHECK(left_is(10));
    CHECK_EQ(out.len, 0);
    pass(3);
    CHECK_EQ(claim("k", "b", "v1"), MCPSESS_BUSY);
    CHECK(left_is(7));
    CHECK_EQ(out.len, 0);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK); /* the answer was lost, the request repeated */
    CHECK(q.request.fence == fence && left_is(10));
    CHECK_EQ(claim("l", "b", "v1"), MCPSESS_OK);
}

TEST(flag_claim_of_what_is_set_takes_no_lease) {
    start();
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_OK);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_EXISTS);
    CHECK(told("one") && left_is(10));
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a"), MCPSESS_LOST);
    CHECK_EQ(lease(MCPSESS_LEASE_ACQUIRE, "k", "b"), MCPSESS_OK);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_EXISTS); /* whoever has it */
}

TEST(flag_claim_under_another_fingerprint_takes_the_lease) {
    start();
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_OK);
    CHECK_EQ(claim("k", "a", "v2"), MCPSESS_OK);
    CHECK_EQ(get("k", "v1"), MCPSESS_OK); /* until it is replaced */
    CHECK_EQ(set("k", "a", "v2", "two", 10), MCPSESS_OK);
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    CHECK_EQ(claim("k", "b", "v2"), MCPSESS_EXISTS);
    CHECK(told("two"));
}

/* The reference looks before it locks, and not again. */
TEST(flag_is_looked_at_again_when_the_lease_is_won) {
    start();
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    CHECK_EQ(claim("k", "b", "v1"), MCPSESS_BUSY);
    CHECK_EQ(set("k", "a", "v1", "one", 10), MCPSESS_OK); /* done, just before b asks again */
    CHECK_EQ(claim("k", "b", "v1"), MCPSESS_EXISTS);
    CHECK(told("one"));
}

TEST(flag_get_says_that_somebody_is_at_it) {
    start();
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    pass(4);
    CHECK_EQ(get("k", "v1"), MCPSESS_BUSY);
    CHECK(left_is(6));
    CHECK_EQ(out.len, 0);
    CHECK_EQ(get("k", "v2"), MCPSESS_BUSY); /* of whatever configuration */
    CHECK_EQ(get("l", "v1"), MCPSESS_MISS);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "a"), MCPSESS_OK);
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
}

TEST(flag_claim_takes_over_from_a_holder_that_died) {
    uint64_t fence;
    start();
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    fence = q.request.fence;
    pass(10);
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    CHECK_EQ(claim("k", "b", "v1"), MCPSESS_OK);
    if (rig->fences) CHECK(q.request.fence > fence);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_BUSY);
}

TEST(flag_claim_and_lease_are_one) {
    start();
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    CHECK_EQ(lease(MCPSESS_LEASE_ACQUIRE, "k", "b"), MCPSESS_BUSY);
    pass(6);
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a"), MCPSESS_OK);
    pass(6);
    CHECK_EQ(claim("k", "b", "v1"), MCPSESS_BUSY);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "a"), MCPSESS_OK);
    CHECK_EQ(lease(MCPSESS_LEASE_ACQUIRE, "k", "b"), MCPSESS_OK);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_BUSY);
}

/* ---- set under a lease ---- */

TEST(flag_set_by_the_holder_ends_the_lease) {
    start();
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    CHECK_EQ(set("k", "a", "v1", "one", 30), MCPSESS_OK);
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a"), MCPSESS_LOST);
    CHECK_EQ(set("k", "a", "v1", "two", 30), MCPSESS_LOST); /* the answer was lost, the request repeated */
    CHECK_EQ(get("k", "v1"), MCPSESS_OK);
    CHECK(told("one") && left_is(30));
    CHECK_EQ(lease(MCPSESS_LEASE_ACQUIRE, "k", "b"), MCPSESS_OK);
}

TEST(flag_set_by_who_does_not_hold_the_lease_is_refused) {
    start();
    CHECK_EQ(set("k", "a", "v1", "one", 10), MCPSESS_LOST); /* nobody's */
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    CHECK_EQ(set("k", "b", "v1", "two", 10), MCPSESS_LOST); /* another's */
    CHECK_EQ(set("l", "a", "v1", "two", 10), MCPSESS_LOST); /* of another key */
    CHECK_EQ(get("k", "v1"), MCPSESS_BUSY);
    pass(10);
    CHECK_EQ(set("k", "a", "v1", "three", 10), MCPSESS_LOST); /* its time is over */
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    CHECK_EQ(claim("k", "b", "v1"), MCPSESS_OK);
    CHECK_EQ(set("k", "a", "v1", "four", 10), MCPSESS_LOST); /* somebody took over */
    CHECK_EQ(get("k", "v1"), MCPSESS_BUSY);
    CHECK_EQ(set("k", "b", "v1", "five", 10), MCPSESS_OK); /* and was not hurt */
    CHECK_EQ(set("k", "a", "v1", "six", 10), MCPSESS_LOST);
    CHECK_EQ(get("k", "v1"), MCPSESS_OK);
    CHECK(told("five"));
}

TEST(flag_set_without_token_asks_for_no_lease) {
    start();
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_OK);
    CHECK_EQ(get("k", "v1"), MCPSESS_OK);
    CHECK_EQ(lease(MCPSESS_LEASE_EXTEND, "k", "a"), MCPSESS_OK); /* and ends none */
}

TEST(flag_clear_leaves_the_lease_but_revoke_ends_it) {
    start();
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_OK);
    CHECK_EQ(set("l", "", "v1", "one", 10), MCPSESS_OK);
    CHECK_EQ(clear("k", 0), MCPSESS_OK);
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    CHECK_EQ(clear("k", 0), MCPSESS_MISS);
    CHECK_EQ(get("l", "v1"), MCPSESS_OK);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    CHECK_EQ(clear("k", 0), MCPSESS_MISS);
    CHECK_EQ(set("k", "a", "v1", "two", 10), MCPSESS_OK);
    CHECK_EQ(clear("k", 1), MCPSESS_OK);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    CHECK_EQ(clear("k", 1), MCPSESS_OK); /* of the lease alone */
    CHECK_EQ(set("k", "a", "v1", "three", 10), MCPSESS_LOST);
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    CHECK_EQ(claim("k", "b", "v1"), MCPSESS_OK);
}

/* ---- the rest ---- */

TEST(flag_is_no_record) {
    mcpsess_str v = MCPSESS_STR("v");
    start();
    if (!rig->records) return;
    request(MCPSESS_PUT, "k");
    q.request.value = v;
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(get("k", ""), MCPSESS_MISS);
    CHECK_EQ(clear("k", 1), MCPSESS_MISS);
    CHECK_EQ(set("k", "", "", "one", 10), MCPSESS_OK);
    request(MCPSESS_DEL, "k");
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(get("k", ""), MCPSESS_OK);
}

TEST(flag_request_that_lacks_something_is_refused) {
    char longest[MCPSESS_TOKEN_MAX + 2u];
    start();
    memset(longest, 0, sizeof longest);
    str_fill(longest, 't', MCPSESS_TOKEN_MAX + 1u);
    CHECK(get("", "v1") < 0);
    CHECK(claim("", "a", "v1") < 0);
    CHECK(claim("k", "", "v1") < 0);
    CHECK(claim("k", longest, "v1") < 0);
    CHECK(set("k", longest, "v1", "", 10) < 0);
    CHECK(set("k", "", "v1", "", 0) < 0);
    CHECK(clear("", 0) < 0);
    CHECK(clear("k", 2) < 0);
    request(MCPSESS_FLAG_CLAIM, "k");
    q.request.value = MCPSESS_STR("a");
    q.request.ttl_ms = 0;
    CHECK(submit() < 0);
    request(MCPSESS_FLAG_SET, "k");
    q.data = str_broken();
    CHECK(submit() < 0);
    request(MCPSESS_FLAG_GET, "k");
    q.request.expect = str_broken();
    CHECK(submit() < 0);
    CHECK_EQ(get("k", "v1"), MCPSESS_MISS);
    longest[MCPSESS_TOKEN_MAX] = '\0';
    CHECK_EQ(claim("k", longest, "v1"), MCPSESS_OK);
    CHECK_EQ(set("k", longest, "v1", "", 10), MCPSESS_OK);
}

static struct { unsigned of_k, of_others; } heard;

static void changed(void *user, mcpsess_str key) {
    CHECK(user == &heard);
    if (key.len == 0 || mcpsess_str_eq(key, MCPSESS_STR("k"))) heard.of_k++;
    else heard.of_others++;
}

/* What is told comes with the answer, or soon after it; then none of it is left to come. */
static bool hears(void) {
    const mcpsess_store *s = &rig->base.store;
    uint32_t polls;
    for (polls = 0; heard.of_k == 0 && polls < POLLS_MAX / 100u; polls++) {
        s->cls->poll(s->self, rig->base.now_ms);
        if (s->cls->hear != NULL) (void)s->cls->hear(s->self, rig->base.now_ms);
        if (heard.of_k == 0 && rig->base.idle != NULL) rig->base.idle(&rig->base);
    }
    if (heard.of_k == 0) return false;
    heard.of_k = 0;
    return true;
}

TEST(flag_that_is_set_or_cleared_is_told) {
    static const mcpsess_listener listener = {changed, &heard};
    const mcpsess_store *s = &rig->base.store;
    start();
    if (!rig->tells) return;
    CHECK_EQ(s->cls->listen(s->self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    memset(&heard, 0, sizeof heard);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    heard.of_k = 0;
    CHECK_EQ(set("k", "a", "v1", "one", 10), MCPSESS_OK);
    CHECK(hears());
    CHECK_EQ(clear("k", 0), MCPSESS_OK);
    CHECK(hears());
    CHECK_EQ(set("k", "", "v1", "two", 10), MCPSESS_OK);
    CHECK(hears());
    CHECK_EQ(clear("k", 1), MCPSESS_OK);
    CHECK(hears());
    CHECK_EQ(heard.of_others, 0);
    CHECK_EQ(s->cls->listen(s->self, MCPSESS_OF_FLAGS, NULL), MCPSESS_OK);
}

TEST(flag_lease_that_is_given_up_is_told) {
    static const mcpsess_listener listener = {changed, &heard}, another = {changed, &heard};
    const mcpsess_store *s = &rig->base.store;
    start();
    if (!rig->tells) return;
    CHECK_EQ(s->cls->listen(s->self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    CHECK_EQ(s->cls->listen(s->self, MCPSESS_OF_FLAGS, &another), MCPSESS_E_STATE);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    memset(&heard, 0, sizeof heard);
    CHECK_EQ(lease(MCPSESS_LEASE_RELEASE, "k", "a"), MCPSESS_OK);
    CHECK(hears());
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_OK);
    heard.of_k = 0;
    CHECK_EQ(clear("k", 1), MCPSESS_OK);
    CHECK(hears());
    CHECK_EQ(s->cls->listen(s->self, MCPSESS_OF_FLAGS, NULL), MCPSESS_OK);
}

TEST(flag_of_a_closed_store_is_refused) {
    start();
    if (!rig->base.closes) return;
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_OK);
    rig->base.store.cls->close(rig->base.store.self);
    CHECK_EQ(get("k", "v1"), MCPSESS_E_CLOSED);
    CHECK_EQ(claim("k", "a", "v1"), MCPSESS_E_CLOSED);
    CHECK_EQ(set("k", "", "v1", "one", 10), MCPSESS_E_CLOSED);
    CHECK_EQ(clear("k", 0), MCPSESS_E_CLOSED);
}

void flag_contract(flag_rig *under_test) {
    rig = under_test;
    RUN(flag_absent_is_a_miss);
    RUN(flag_set_is_found_with_its_data);
    RUN(flag_without_data_is_set_all_the_same);
    RUN(flag_get_without_out_answers_presence);
    if (rig->data) {
        RUN(flag_data_and_fingerprint_are_raw_bytes);
        RUN(flag_answer_needs_exactly_its_room);
    }
    if (rig->fingerprints) {
        RUN(flag_of_another_fingerprint_is_none);
        RUN(flag_fingerprint_at_its_bound);
        RUN(flag_claim_under_another_fingerprint_takes_the_lease);
    }
    RUN(flag_expires_at_the_instant);
    RUN(flag_claim_takes_the_lease_of_what_is_not_set);
    RUN(flag_claim_of_what_is_set_takes_no_lease);
    RUN(flag_is_looked_at_again_when_the_lease_is_won);
    RUN(flag_get_says_that_somebody_is_at_it);
    RUN(flag_claim_takes_over_from_a_holder_that_died);
    RUN(flag_claim_and_lease_are_one);
    RUN(flag_set_by_the_holder_ends_the_lease);
    RUN(flag_set_by_who_does_not_hold_the_lease_is_refused);
    RUN(flag_set_without_token_asks_for_no_lease);
    RUN(flag_clear_leaves_the_lease_but_revoke_ends_it);
    RUN(flag_is_no_record);
    RUN(flag_request_that_lacks_something_is_refused);
    RUN(flag_that_is_set_or_cleared_is_told);
    RUN(flag_lease_that_is_given_up_is_told);
    RUN(flag_of_a_closed_store_is_refused);
}
