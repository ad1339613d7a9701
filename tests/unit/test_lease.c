/* leases: exclusive, for a while, over a store that is slow, failing or silent */

#include "test_store.h"

#define TTL 600u    /* ms */
#define TIMEOUT 60u /* ms */

static mcpsess_memstore ram;
static test_store net;
static mcpsess_lease_desc desc;
static mcpsess_lease a, b;
static mcpsess_lease_op op, other_op;
static uint64_t now;
static uint8_t random_number;
static int random_rc;

static int count_up(void *user, void *dst, size_t len) {
    CHECK(user == &random_number);
    memset(dst, 0, len);
    ((char *)dst)[0] = (char)++random_number;
    return random_rc;
}

static void start(void) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    size_t bytes;
    d.records = 1;
    d.value_max = 8;
    d.leases = 2;
    bytes = mcpsess_memstore_bytes(&d);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, arena(bytes), bytes), MCPSESS_OK);
    test_store_init(&net, mcpsess_memstore_store(&ram));
    desc = mcpsess_lease_desc_default();
    desc.store = net.store;
    desc.ttl_ms = TTL;
    desc.timeout_ms = TIMEOUT;
    desc.random = count_up;
    desc.random_user = &random_number;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    mcpsess_op_init(&op.op, 0);
    mcpsess_op_init(&other_op.op, 0);
    now = 1000;
    random_rc = 0;
}

/* Polls until it is done, without time going by. */
static int end(int rc) {
    unsigned n;
    for (n = 0; n < 20 && rc == MCPSESS_PENDING; n++) rc = mcpsess_poll(&op.op, now);
    CHECK_EQ(mcpsess_op_rc(&op.op), rc);
    CHECK(!net.misuse);
    return rc;
}

static int acquire(mcpsess_lease *l) {
    return end(mcpsess_lease_acquire(&desc, l, &op, MCPSESS_STR("k"), now));
}

static int extend(mcpsess_lease *l) {
    return end(mcpsess_lease_extend(&desc, l, &op, MCPSESS_STR("k"), now));
}

static int release(mcpsess_lease *l) {
    return end(mcpsess_lease_release(&desc, l, &op, MCPSESS_STR("k"), now));
}

static uint64_t left(const mcpsess_lease *l) {
    return mcpsess_lease_left(l, now);
}

/* ---- who holds it, and until when ---- */

TEST(lease_has_one_holder) {
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK(a.fence > 0);
    CHECK_EQ(op.op.left_ms, TTL);
    now += 100;
    CHECK_EQ(acquire(&b), MCPSESS_BUSY);
    CHECK_EQ(op.op.left_ms, TTL - 100u);
    CHECK_EQ(left(&a), TTL - 100u);
    CHECK_EQ(left(&b), 0);
    CHECK_EQ(release(&a), MCPSESS_OK);
    CHECK_EQ(left(&a), 0);
    CHECK_EQ(acquire(&b), MCPSESS_OK);
    CHECK(b.fence > a.fence);
    CHECK_EQ(acquire(&a), MCPSESS_BUSY);
}

TEST(lease_time_runs_from_before_the_request) {
    start();
    net.delay = 1;
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    now += 50;
    CHECK_EQ(end(MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(op.op.left_ms, TTL - 50u);
    CHECK_EQ(left(&a), TTL - 50u);
    CHECK_EQ(mcpsess_lease_left(&a, 1000 + TTL - 1u), 1);
    CHECK_EQ(mcpsess_lease_left(&a, 1000 + TTL), 0);
    CHECK_EQ(mcpsess_lease_left(&a, 1000 + TTL + 1u), 0);
    CHECK_EQ(mcpsess_lease_left(NULL, now), 0);
}

TEST(lease_is_due_after_a_third_and_again_after_a_sixth) {
    start();
    CHECK(mcpsess_lease_due(&a, now) == MCPSESS_NEVER);
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK_EQ(mcpsess_lease_due(&a, now), 1000 + TTL / 3u);
    now = 1000 + TTL / 3u;
    net.fail = MCPSESS_E_IO;
    CHECK_EQ(extend(&a), MCPSESS_E_IO);
    CHECK_EQ(mcpsess_lease_due(&a, now), now + TTL / 6u);
    CHECK_EQ(left(&a), TTL - TTL / 3u); /* held for as long as before */
    now += TTL / 6u;
    net.fail = MCPSESS_OK;
    CHECK_EQ(extend(&a), MCPSESS_OK);
    CHECK_EQ(op.op.left_ms, TTL);
    CHECK_EQ(mcpsess_lease_due(&a, now), now + TTL / 3u);
    now += TTL;
    CHECK(mcpsess_lease_due(&a, now) == MCPSESS_NEVER);
}

/* spec 1.4: a lock of 30 s that is never extended */
TEST(lease_longer_than_its_ttl_is_kept_by_extending) {
    unsigned n;
    uint64_t fence;
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    fence = a.fence;
    for (n = 0; n < 30; n++) {
        now = mcpsess_lease_due(&a, now);
        CHECK_EQ(acquire(&b), MCPSESS_BUSY);
        CHECK_EQ(extend(&a), MCPSESS_OK);
    }
    CHECK(now > 1000 + 9u * TTL && a.fence == fence);
}

/* spec 1.4: a late holder deletes the next one's lock */
TEST(lease_release_by_a_late_holder_leaves_the_next_ones) {
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    now += TTL;
    CHECK_EQ(left(&a), 0);
    CHECK_EQ(acquire(&b), MCPSESS_OK);
    CHECK_EQ(release(&a), MCPSESS_LOST);
    CHECK_EQ(acquire(&a), MCPSESS_BUSY);
    CHECK_EQ(extend(&b), MCPSESS_OK);
}

TEST(lease_of_another_is_lost) {
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    now += TTL;
    CHECK_EQ(acquire(&b), MCPSESS_OK);
    CHECK_EQ(extend(&a), MCPSESS_LOST);
    CHECK_EQ(op.op.left_ms, 0);
    CHECK_EQ(left(&a), 0);
    CHECK_EQ(left(&b), TTL);
}

/* It was revoked: our clock would say that it is held. */
TEST(lease_that_is_gone_is_lost_by_extend_and_by_acquire) {
    unsigned n;
    for (n = 0; n < 2; n++) {
        start();
        CHECK_EQ(acquire(&a), MCPSESS_OK);
        mcpsess_lru_clear(&ram.i.leases);
        if (n == 1) CHECK_EQ(acquire(&b), MCPSESS_OK);
        CHECK(left(&a) > 0);
        CHECK_EQ(n == 0 ? extend(&a) : acquire(&a), n == 0 ? MCPSESS_LOST : MCPSESS_BUSY);
        CHECK_EQ(left(&a), 0);
        CHECK(mcpsess_lease_due(&a, now) == MCPSESS_NEVER);
    }
}

TEST(lease_that_is_held_is_acquired_again) {
    uint64_t fence;
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    fence = a.fence;
    now += 100;
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK(a.fence == fence && op.op.left_ms == TTL);
}

TEST(lease_is_not_held_from_the_begin_of_its_release_on) {
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    net.hang = true;
    CHECK_EQ(mcpsess_lease_release(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    CHECK_EQ(left(&a), 0);
    now += TIMEOUT;
    CHECK_EQ(end(MCPSESS_PENDING), MCPSESS_E_TIMEOUT);
    CHECK_EQ(left(&a), 0);
}

TEST(lease_never_got_is_neither_extended_nor_released) {
    start();
    CHECK_EQ(extend(&a), MCPSESS_LOST);
    CHECK_EQ(release(&a), MCPSESS_LOST);
    CHECK_EQ(net.submits, 0);
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK_EQ(release(&a), MCPSESS_OK);
    CHECK_EQ(release(&a), MCPSESS_LOST);
    CHECK_EQ(extend(&a), MCPSESS_LOST);
    CHECK_EQ(net.submits, 2);
}

/* ---- answers that do not come ---- */

/* spec 1.2, 3: an error is not success, and whatever it has done is undone */
TEST(lease_acquire_of_unknown_outcome_releases_what_it_got) {
    static const int outcomes[] = {MCPSESS_E_UNKNOWN, MCPSESS_E_TIMEOUT};
    unsigned n;
    for (n = 0; n < COUNT_OF(outcomes); n++) {
        start();
        net.fail = outcomes[n];
        net.fail_after = true;
        net.delay = 1;
        CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
        CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_PENDING);
        net.fail = MCPSESS_OK;
        CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_PENDING); /* the release is under way */
        CHECK_EQ(net.last.kind, MCPSESS_LEASE_RELEASE);
        CHECK_EQ(left(&a), 0);
        CHECK_EQ(end(MCPSESS_PENDING), outcomes[n]);
        CHECK_EQ(net.submits, 2);
        CHECK_EQ(acquire(&b), MCPSESS_OK); /* at once */
    }
}

TEST(lease_acquire_without_an_answer_releases_what_it_got) {
    start();
    net.hang = true;
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&op.op, now), now + TIMEOUT);
    now += TIMEOUT - 1u;
    CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_PENDING);
    CHECK_EQ(net.cancels, 0);
    net.hang = false;
    now++;
    CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_E_TIMEOUT);
    CHECK_EQ(net.cancels, 1);
    CHECK_EQ(acquire(&b), MCPSESS_OK);
}

TEST(lease_that_cannot_be_released_either_runs_out) {
    start();
    net.hang = true;
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    now += TIMEOUT;
    CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&op.op, now), now + TIMEOUT);
    now += TIMEOUT;
    CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_E_TIMEOUT);
    CHECK_EQ(test_store_pending(&net), 0);
}

TEST(lease_acquire_that_did_nothing_releases_nothing) {
    static const int outcomes[] = {MCPSESS_E_IO, MCPSESS_E_FULL, MCPSESS_E_CLOSED, MCPSESS_E_STORE};
    unsigned n;
    for (n = 0; n < COUNT_OF(outcomes); n++) {
        start();
        net.fail = outcomes[n];
        CHECK_EQ(acquire(&a), outcomes[n]);
        CHECK_EQ(net.submits, 1);
        CHECK_EQ(left(&a), 0);
    }
}

TEST(lease_answer_that_comes_when_nothing_is_left_is_none) {
    start();
    desc.timeout_ms = TTL;
    net.delay = 1;
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    now += TTL; /* the answer is there, and so is the deadline */
    CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_PENDING);
    CHECK_EQ(end(MCPSESS_PENDING), MCPSESS_E_TIMEOUT);
    CHECK_EQ(net.kinds[MCPSESS_LEASE_RELEASE], 1);
    CHECK_EQ(left(&a), 0);
}

TEST(lease_that_is_held_survives_a_lost_answer) {
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    now += 100;
    net.fail = MCPSESS_E_UNKNOWN;
    net.fail_after = true;
    CHECK_EQ(extend(&a), MCPSESS_E_UNKNOWN);
    CHECK_EQ(left(&a), TTL - 100u);
    CHECK_EQ(acquire(&a), MCPSESS_E_UNKNOWN);
    CHECK_EQ(left(&a), TTL - 100u); /* and was not released */
    CHECK_EQ(net.kinds[MCPSESS_LEASE_RELEASE], 0);
}

TEST(lease_late_answer_takes_no_time_away) {
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    net.delay = 1;
    CHECK_EQ(mcpsess_lease_extend(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    net.delay = 0;
    now += 10;
    CHECK_EQ(mcpsess_lease_extend(&desc, &a, &other_op, MCPSESS_STR("k"), now), MCPSESS_OK);
    CHECK_EQ(left(&a), TTL);
    CHECK_EQ(end(MCPSESS_PENDING), MCPSESS_OK); /* what was asked for 10 ms earlier */
    CHECK_EQ(left(&a), TTL);
    CHECK_EQ(mcpsess_lease_due(&a, now), now + TTL / 3u);
}

TEST(lease_acquire_that_was_canceled_is_found_by_the_next) {
    start();
    net.hang = true;
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    mcpsess_cancel(&op.op);
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_E_CANCELED);
    CHECK_EQ(test_store_pending(&net), 0);
    net.hang = false;
    CHECK_EQ(acquire(&b), MCPSESS_BUSY);
    CHECK_EQ(acquire(&a), MCPSESS_OK);
}

/* A release that arrives late must not end what was acquired after it. */
TEST(lease_token_is_not_used_again_once_a_release_was_sent) {
    char token[sizeof a.i.token];
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    memcpy(token, a.i.token, sizeof token);
    now += TTL;
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK(same_bytes(token, a.i.token, sizeof token));
    CHECK_EQ(release(&a), MCPSESS_OK);
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK(!same_bytes(token, a.i.token, sizeof token));
    memcpy(token, a.i.token, sizeof token);
    now += TTL;
    net.fail = MCPSESS_E_UNKNOWN; /* so it was released */
    CHECK_EQ(acquire(&a), MCPSESS_E_UNKNOWN);
    net.fail = MCPSESS_OK;
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK(!same_bytes(token, a.i.token, sizeof token));
}

/* ---- operations ---- */

TEST(lease_operation_that_cannot_be_begun) {
    char longest[MCPSESS_ID_MAX + 1u];
    mcpsess_lease_desc d;
    start();
    d = desc;
    CHECK_EQ(mcpsess_lease_acquire(NULL, &a, &op, MCPSESS_STR("k"), now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lease_acquire(&desc, NULL, &op, MCPSESS_STR("k"), now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, NULL, MCPSESS_STR("k"), now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lease_extend(&desc, &a, &op, MCPSESS_STR(""), now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lease_release(&desc, &a, &op, str_broken(), now), MCPSESS_E_ARG);
    d.random = NULL;
    CHECK_EQ(mcpsess_lease_acquire(&d, &a, &op, MCPSESS_STR("k"), now), MCPSESS_E_ARG);
    d = desc;
    d.store.cls = NULL;
    CHECK_EQ(mcpsess_lease_release(&d, &a, &op, MCPSESS_STR("k"), now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, str_fill(longest, 'k', sizeof longest), now), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_E_STATE);
    random_rc = -1;
    CHECK_EQ(acquire(&a), MCPSESS_E_RANDOM);
    CHECK_EQ(net.submits, 0);
    random_rc = 0;
    net.hang = true;
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_lease_extend(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_E_STATE);
    mcpsess_cancel(&op.op);
}

TEST(lease_timeouts_have_defaults_and_a_bound) {
    start();
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK(net.last.deadline_ms == now + TIMEOUT && net.last.ttl_ms == TTL);
    op.op.timeout_ms = 7;
    CHECK_EQ(extend(&a), MCPSESS_OK);
    CHECK(net.last.deadline_ms == now + 7u);
    op.op.timeout_ms = TTL + 1u;
    CHECK_EQ(extend(&a), MCPSESS_OK);
    CHECK(net.last.deadline_ms == now + TTL);
    op.op.timeout_ms = 0;
    desc.ttl_ms = desc.timeout_ms = 0;
    CHECK_EQ(release(&a), MCPSESS_OK);
    CHECK(net.last.deadline_ms == now + 5000u);
    CHECK_EQ(acquire(&a), MCPSESS_OK);
    CHECK_EQ(left(&a), 30000);
}

TEST(lease_operation_says_when_to_poll_it) {
    start();
    net.delay = 3;
    CHECK_EQ(mcpsess_lease_acquire(&desc, &a, &op, MCPSESS_STR("k"), now), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&op.op, now), now + 1u);
    CHECK_EQ(mcpsess_want(&op.op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME);
    net.delay = 0;
    test_store_release(&net);
    net.store.cls->poll(net.store.self, now); /* somebody else's operation takes the answer in */
    CHECK_EQ(mcpsess_next_due(&op.op, now), now);
    CHECK_EQ(mcpsess_want(&op.op), MCPSESS_WANT_NOW | MCPSESS_WANT_TIME);
    CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_OK);
    CHECK(mcpsess_next_due(&op.op, now) == MCPSESS_NEVER && mcpsess_want(&op.op) == 0);
    CHECK_EQ(mcpsess_poll(&op.op, now), MCPSESS_OK);
    mcpsess_cancel(&op.op);
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_OK);
}

void test_lease(void) {
    RUN(lease_has_one_holder);
    RUN(lease_time_runs_from_before_the_request);
    RUN(lease_is_due_after_a_third_and_again_after_a_sixth);
    RUN(lease_longer_than_its_ttl_is_kept_by_extending);
    RUN(lease_release_by_a_late_holder_leaves_the_next_ones);
    RUN(lease_of_another_is_lost);
    RUN(lease_that_is_gone_is_lost_by_extend_and_by_acquire);
    RUN(lease_that_is_held_is_acquired_again);
    RUN(lease_is_not_held_from_the_begin_of_its_release_on);
    RUN(lease_never_got_is_neither_extended_nor_released);
    RUN(lease_acquire_of_unknown_outcome_releases_what_it_got);
    RUN(lease_acquire_without_an_answer_releases_what_it_got);
    RUN(lease_that_cannot_be_released_either_runs_out);
    RUN(lease_acquire_that_did_nothing_releases_nothing);
    RUN(lease_answer_that_comes_when_nothing_is_left_is_none);
    RUN(lease_that_is_held_survives_a_lost_answer);
    RUN(lease_late_answer_takes_no_time_away);
    RUN(lease_acquire_that_was_canceled_is_found_by_the_next);
    RUN(lease_token_is_not_used_again_once_a_release_was_sent);
    RUN(lease_operation_that_cannot_be_begun);
    RUN(lease_timeouts_have_defaults_and_a_bound);
    RUN(lease_operation_says_when_to_poll_it);
}
