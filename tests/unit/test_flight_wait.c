/* flight: waiting, and riding along. What the reference system gets wrong has a test that says so. */

#include "flight_loads.h"

/* A load of "a" in table 0 that takes so long. */
static void load_elsewhere(uint64_t takes_ms) {
    t0()->takes_ms = takes_ms;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    (void)flight_requests();
}

/* ---- waiting ---- */

/* spec 1.4: polling instead of notification */
TEST(flight_waiter_is_woken_when_the_flag_is_set) {
    start();
    load_elsewhere(350);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    (void)run_two(5000);
    CHECK(rc_of(&a) == MCPSESS_OK && rc_of(&b) == MCPSESS_OK && flight_has(&b, "one"));
    CHECK_EQ(fr.now_ms, 1350); /* at that instant */
    CHECK_EQ(flight_requests(), 3);
    CHECK(t1()->flights.stats.woken == 1 && t1()->flights.stats.polled == 0);
    CHECK_EQ(t1()->flights.stats.found, 1);
    CHECK_EQ(t1()->begun, 0);
    flight_sound();
}

TEST(flight_waiter_is_woken_when_the_load_fails_and_takes_over) {
    start();
    t0()->result = MCPSESS_E_FORMAT;
    load_elsewhere(350);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    (void)run_two(5000);
    CHECK(rc_of(&a) == MCPSESS_E_FORMAT && rc_of(&b) == MCPSESS_OK && flight_has(&b, "two"));
    CHECK_EQ(fr.now_ms, 1350);
    CHECK_EQ(t1()->flights.stats.taken_over, 1);
}

/* What is told between the request and its answer must not be missed. */
TEST(flight_waiter_that_is_told_while_it_asks_asks_again) {
    start();
    load_elsewhere(50);
    t1()->net.delay = 1;
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING); /* BUSY, but it does not know yet */
    fr.now_ms += 50;
    CHECK_EQ(flight_end(&a), MCPSESS_OK);
    CHECK_EQ(flight_end(&b), MCPSESS_OK); /* no time goes by */
    CHECK(t1()->flights.stats.woken == 1 && t1()->flights.stats.polled == 0);
}

/* spec 1.4: the wait is shorter than the lock, so each longer load makes every waiter fail, though the holder is fine
 */
TEST(flight_waiter_of_a_long_load_is_told_busy_or_waits_as_long_as_it_likes) {
    start();
    load_elsewhere(3 * FLIGHT_WAIT);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    (void)run_two(1000 + FLIGHT_WAIT);
    CHECK_EQ(rc_of(&b), MCPSESS_BUSY); /* no error */
    CHECK_EQ(b.op.left_ms, FLIGHT_LEASE - FLIGHT_WAIT);
    CHECK_EQ(t1()->flights.stats.gave_up, 1);
    CHECK_EQ(fr.items[MCPSESS_ITEM_WAIT_OVER], 1);
    b.op.timeout_ms = 10 * FLIGHT_WAIT;
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    (void)run_two(1000 + 3 * FLIGHT_WAIT);
    CHECK(rc_of(&b) == MCPSESS_OK && flight_has(&b, "one"));
    CHECK_EQ(t1()->begun, 0);
}

TEST(flight_own_load_takes_as_long_as_it_takes) {
    start();
    t0()->takes_ms = 50 * FLIGHT_WAIT;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    (void)run(&a, 1000 + 60 * FLIGHT_WAIT);
    CHECK_EQ(rc_of(&a), MCPSESS_OK);
    start();
    t0()->takes_ms = 50 * FLIGHT_WAIT;
    a.op.timeout_ms = FLIGHT_WAIT; /* but where it brings a time, for that */
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    (void)run(&a, 1000 + 60 * FLIGHT_WAIT);
    CHECK(rc_of(&a) == MCPSESS_E_TIMEOUT && fr.now_ms == 1000 + FLIGHT_WAIT);
}

/* spec 1.2, 9 and 14: nobody notices that the holder died, before the wait and then the lock are over */
TEST(flight_waiter_takes_over_when_the_holder_died) {
    unsigned deaf;
    for (deaf = 0; deaf < 2; deaf++) {
        start();
        load_elsewhere(MCPSESS_NEVER); /* and is never polled again */
        t1()->deaf = deaf != 0;
        b.op.timeout_ms = 2 * FLIGHT_LEASE;
        CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
        (void)run(&b, 1000 + 2 * FLIGHT_LEASE);
        CHECK(rc_of(&b) == MCPSESS_OK && flight_has(&b, "two"));
        CHECK(fr.now_ms > 1000 + FLIGHT_LEASE && fr.now_ms <= 1001 + FLIGHT_LEASE + FLIGHT_POLL);
        CHECK_EQ(t1()->flights.stats.taken_over, 1);
        CHECK_EQ(fr.items[MCPSESS_ITEM_TAKEN_OVER], 1);
    }
}

/* spec 1.4: no jitter */
TEST(flight_polls_are_spread_and_rarer_where_changes_are_told) {
    static const int hears[] = {MCPSESS_STALE, MCPSESS_PENDING, MCPSESS_OK};
    unsigned n;
    for (n = 0; n < COUNT_OF(hears); n++) {
        uint64_t floor_ms = hears[n] == MCPSESS_OK ? 10 * FLIGHT_POLL : FLIGHT_POLL, first, other;
        start();
        load_elsewhere(MCPSESS_NEVER);
        t1()->net.hear = hears[n];
        b.op.timeout_ms = c.op.timeout_ms = FLIGHT_LEASE;
        CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
        first = fr.tables[1].flights.i.lanes[0].due_ms - fr.now_ms;
        mcpsess_cancel(&b.op);
        CHECK_EQ(flight_load_in(&c, 1, "a"), MCPSESS_PENDING);
        other = fr.tables[1].flights.i.lanes[0].due_ms - fr.now_ms;
        CHECK(first > floor_ms * 3u / 4u && first <= floor_ms * 5u / 4u + 1u);
        CHECK(other > floor_ms * 3u / 4u && other <= floor_ms * 5u / 4u + 1u);
        CHECK(first != other);
        CHECK_EQ(mcpsess_next_due(&c.op, fr.now_ms), fr.now_ms + other);
        mcpsess_cancel(&c.op);
    }
}

TEST(flight_waiter_that_nobody_tells_polls) {
    start();
    load_elsewhere(350);
    t1()->deaf = true;
    t1()->net.hear = MCPSESS_STALE;
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    (void)run_two(5000);
    CHECK(rc_of(&b) == MCPSESS_OK && flight_has(&b, "one"));
    CHECK(fr.now_ms >= 1350 && fr.now_ms <= 1350 + FLIGHT_POLL * 5u / 4u + 1u);
    CHECK(t1()->flights.stats.woken == 0 && t1()->flights.stats.polled >= 3 && t1()->flights.stats.polled <= 5);
}

TEST(flight_waiter_goes_on_while_the_store_is_away) {
    static const int outcomes[] = {MCPSESS_E_IO, MCPSESS_E_UNKNOWN, MCPSESS_E_TIMEOUT, MCPSESS_E_STORE - 2};
    unsigned n;
    for (n = 0; n < COUNT_OF(outcomes); n++) {
        start();
        load_elsewhere(MCPSESS_NEVER);
        CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
        t1()->net.fail = outcomes[n];
        test_store_push(&t1()->net, "a");
        CHECK_EQ(flight_poll(&b), MCPSESS_PENDING);
        CHECK_EQ(t1()->flights.stats.failures, 1);
        CHECK(mcpsess_next_due(&b.op, fr.now_ms) <= fr.now_ms + FLIGHT_POLL * 5u / 4u + 1u); /* asks soon again */
        t1()->net.fail = MCPSESS_OK;
        mcpsess_cancel(&a.op);
        CHECK_EQ(flight_end(&b), MCPSESS_OK);
        CHECK(flight_has(&b, "two"));
        flight_sound();
    }
}

/* Found by the chaos run: the lease that it waited for was over, which is no reason to ask for ever without a rest. */
TEST(flight_waiter_rests_while_the_store_is_away_and_the_lease_is_over) {
    start();
    load_elsewhere(MCPSESS_NEVER);
    b.op.timeout_ms = 2 * FLIGHT_LEASE;
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    t1()->net.fail = MCPSESS_E_IO;
    (void)run(&b, 1000 + 2 * FLIGHT_LEASE);
    CHECK_EQ(rc_of(&b), MCPSESS_E_TIMEOUT);
    CHECK(t1()->flights.stats.failures > 10 && t1()->flights.stats.failures < 2 * FLIGHT_LEASE / (FLIGHT_POLL / 2));
    mcpsess_cancel(&a.op);
}

TEST(flight_waiter_gives_up_on_what_will_not_get_better) {
    start();
    load_elsewhere(MCPSESS_NEVER);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    t1()->net.fail = MCPSESS_E_CLOSED;
    test_store_push(&t1()->net, "a");
    CHECK_EQ(flight_poll(&b), MCPSESS_E_CLOSED);
    mcpsess_cancel(&a.op);
}

/* A claim that was granted, and whose answer was lost, finds itself. */
TEST(flight_waiter_whose_claim_was_granted_unheard_loads) {
    start();
    load_elsewhere(MCPSESS_NEVER);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    t1()->net.fail = MCPSESS_E_UNKNOWN;
    t1()->net.fail_after = true;
    mcpsess_cancel(&a.op);
    CHECK_EQ(flight_poll(&b), MCPSESS_PENDING);
    CHECK_EQ(flight_flag("a"), MCPSESS_BUSY); /* its own */
    t1()->net.fail = MCPSESS_OK;
    (void)run(&b, 5000);
    CHECK(rc_of(&b) == MCPSESS_OK && flight_has(&b, "two"));
    CHECK(fr.now_ms < 1000 + 2 * FLIGHT_POLL);
}

/* Another has it after all: there is nothing to release. */
TEST(flight_waiter_whose_claim_was_not_granted_releases_nothing) {
    start();
    load_elsewhere(MCPSESS_NEVER);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    t1()->net.fail = MCPSESS_E_UNKNOWN;
    test_store_push(&t1()->net, "a");
    CHECK_EQ(flight_poll(&b), MCPSESS_PENDING);
    t1()->net.fail = MCPSESS_OK;
    test_store_push(&t1()->net, "a");
    CHECK_EQ(flight_poll(&b), MCPSESS_PENDING);
    mcpsess_cancel(&b.op);
    CHECK_EQ(t1()->net.kinds[MCPSESS_LEASE_RELEASE], 0);
    mcpsess_cancel(&a.op);
}

TEST(flight_waiter_that_took_over_is_busy_itself) {
    start();
    load_elsewhere(MCPSESS_NEVER);
    t1()->takes_ms = MCPSESS_NEVER;
    b.op.timeout_ms = 100;
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    mcpsess_cancel(&a.op);
    CHECK_EQ(flight_poll(&b), MCPSESS_PENDING);
    fr.now_ms += 100;
    CHECK_EQ(flight_poll(&b), MCPSESS_E_TIMEOUT); /* not BUSY: nobody else is at it */
    CHECK_EQ(b.op.left_ms, 0);
}

/* ---- waits, which load nothing ---- */

TEST(flight_wait_without_time_looks_for_nothing) {
    start();
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK);
    (void)flight_requests();
    CHECK_EQ(flight_wait_in(&b, 1, "a", 0), MCPSESS_E_TIMEOUT);
    CHECK_EQ(flight_requests(), 0);
    CHECK_EQ(flight_wait_in(&b, 1, "a", 1), MCPSESS_OK); /* with any, once at least */
    CHECK(flight_has(&b, "one"));
    t1()->net.delay = 1;
    CHECK_EQ(flight_wait_in(&b, 1, "a", 1), MCPSESS_PENDING);
    fr.now_ms += 10;
    CHECK_EQ(flight_end(&b), MCPSESS_OK); /* however long the answer takes */
}

TEST(flight_wait_loads_nothing) {
    start();
    CHECK_EQ(flight_wait_in(&b, 1, "a", 300), MCPSESS_PENDING);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
    (void)run(&b, 5000);
    CHECK(rc_of(&b) == MCPSESS_E_TIMEOUT && fr.now_ms == 1300 && b.op.left_ms == 0);
    CHECK_EQ(t1()->begun, 0);
    load_elsewhere(MCPSESS_NEVER);
    CHECK_EQ(flight_wait_in(&b, 1, "a", 300), MCPSESS_PENDING);
    (void)run(&b, 5000);
    CHECK(rc_of(&b) == MCPSESS_BUSY && b.op.left_ms == FLIGHT_LEASE - 300u);
    CHECK_EQ(t1()->net.kinds[MCPSESS_FLAG_CLAIM], 0);
    CHECK_EQ(t1()->net.kinds[MCPSESS_LEASE_RELEASE], 0);
    mcpsess_cancel(&a.op);
}

TEST(flight_wait_is_woken_and_answered) {
    start();
    CHECK_EQ(flight_wait_in(&b, 1, "a", 5000), MCPSESS_PENDING);
    load_elsewhere(200);
    (void)run_two(5000);
    CHECK(rc_of(&b) == MCPSESS_OK && flight_has(&b, "one") && fr.now_ms == 1200);
}

TEST(flight_load_joins_a_wait_and_loads) {
    unsigned asking;
    for (asking = 0; asking < 2; asking++) {
        start();
        t1()->net.delay = asking;
        CHECK_EQ(flight_wait_in(&b, 1, "a", 5000), MCPSESS_PENDING);
        CHECK_EQ(flight_load_in(&c, 1, "a"), asking != 0 ? MCPSESS_PENDING : MCPSESS_OK);
        CHECK_EQ(flight_end(&c), MCPSESS_OK);
        CHECK_EQ(rc_of(&b), MCPSESS_OK); /* with that */
        CHECK(flight_has(&b, "two") && flight_has(&c, "two"));
        CHECK_EQ(t1()->flights.stats.shared, 1);
        CHECK_EQ(t1()->flights.stats.taken_over, 0);
        flight_sound();
    }
}

TEST(flight_wait_rides_along_with_a_load_of_ours) {
    start();
    load_elsewhere(200);
    CHECK_EQ(flight_wait_in(&b, 0, "a", 100), MCPSESS_PENDING);
    CHECK_EQ(flight_wait_in(&c, 0, "a", 300), MCPSESS_PENDING);
    (void)run_two(1150);
    CHECK_EQ(rc_of(&b), MCPSESS_E_TIMEOUT);
    CHECK_EQ(rc_of(&a), MCPSESS_PENDING);
    fr.now_ms = 1200;
    CHECK_EQ(flight_poll(&c), MCPSESS_OK);
    CHECK(rc_of(&a) == MCPSESS_OK && flight_has(&c, "one"));
    CHECK_EQ(flight_requests(), 1);
}

/* ---- riding along ---- */

TEST(flight_riders_cost_no_request_and_have_their_own_deadlines) {
    start();
    load_elsewhere(300);
    b.op.timeout_ms = 100;
    CHECK_EQ(flight_load_in(&b, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&c, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&b.op, fr.now_ms), 1100);
    (void)run_two(1100);
    CHECK_EQ(rc_of(&b), MCPSESS_E_TIMEOUT);
    CHECK_EQ(t0()->canceled, 0);
    fr.now_ms = 1300;
    CHECK_EQ(flight_poll(&c), MCPSESS_OK); /* any of them steps it */
    CHECK(rc_of(&a) == MCPSESS_OK && flight_has(&a, "one") && flight_has(&c, "one"));
    CHECK_EQ(flight_requests(), 1);
    CHECK(t0()->flights.stats.shared == 2 && t0()->begun == 1);
    flight_sound();
}

TEST(flight_goes_on_until_the_last_rider_gives_up) {
    start();
    load_elsewhere(MCPSESS_NEVER);
    CHECK_EQ(flight_load_in(&b, 0, "a"), MCPSESS_PENDING);
    mcpsess_cancel(&a.op);
    CHECK_EQ(t0()->canceled, 0);
    CHECK_EQ(flight_flag("a"), MCPSESS_BUSY);
    mcpsess_cancel(&b.op);
    CHECK_EQ(t0()->canceled, 1);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
}

TEST(flight_answer_too_large_for_one_is_too_large_for_that_one_alone) {
    mcpsess_buf two;
    mcpsess_op op;
    char mem[2];
    start();
    load_elsewhere(100);
    mcpsess_op_init(&op, 0);
    mcpsess_buf_init(&two, mem, sizeof mem);
    CHECK_EQ(mcpsess_flight_load(&t0()->flights, &op, MCPSESS_STR("a"), MCPSESS_STR("v1"), &two, fr.now_ms),
             MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&b, 0, "a"), MCPSESS_PENDING);
    fr.now_ms += 100;
    CHECK_EQ(flight_end(&a), MCPSESS_OK);
    CHECK(rc_of(&b) == MCPSESS_OK && flight_has(&b, "one"));
    CHECK_EQ(mcpsess_op_rc(&op), MCPSESS_E_TOOBIG);
    CHECK(op.need == 3 && two.len == 0 && !two.overflow);
    CHECK_EQ(mcpsess_flight_load(&t0()->flights, &op, MCPSESS_STR("a"), MCPSESS_STR("v1"), NULL, fr.now_ms),
             MCPSESS_OK); /* who wants nothing has room enough */
}

TEST(flight_flag_larger_than_our_room_says_how_large) {
    mcpsess_flight_desc d = flight_desc();
    mcpsess_flight_op op;
    d.data_max = 2;
    start_as(&d);
    mcpsess_op_init(&op.op, 0);
    CHECK_EQ(mcpsess_flight_set(&t0()->flights, &op, NULL, MCPSESS_STR("a"), MCPSESS_STR("v1"), MCPSESS_STR("123"), 0,
                                fr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_E_TOOBIG);
    CHECK_EQ(a.op.need, 3);
    d.data_max = 0; /* none at all: then it is not asked for */
    start_as(&d);
    CHECK_EQ(mcpsess_flight_set(&t0()->flights, &op, NULL, MCPSESS_STR("a"), MCPSESS_STR("v1"), MCPSESS_STR("123"), 0,
                                fr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK);
    CHECK_EQ(a.out.len, 0);
}

void test_flight_wait(void) {
    RUN(flight_waiter_is_woken_when_the_flag_is_set);
    RUN(flight_waiter_is_woken_when_the_load_fails_and_takes_over);
    RUN(flight_waiter_that_is_told_while_it_asks_asks_again);
    RUN(flight_waiter_of_a_long_load_is_told_busy_or_waits_as_long_as_it_likes);
    RUN(flight_own_load_takes_as_long_as_it_takes);
    RUN(flight_waiter_takes_over_when_the_holder_died);
    RUN(flight_polls_are_spread_and_rarer_where_changes_are_told);
    RUN(flight_waiter_that_nobody_tells_polls);
    RUN(flight_waiter_goes_on_while_the_store_is_away);
    RUN(flight_waiter_rests_while_the_store_is_away_and_the_lease_is_over);
    RUN(flight_waiter_gives_up_on_what_will_not_get_better);
    RUN(flight_waiter_whose_claim_was_granted_unheard_loads);
    RUN(flight_waiter_whose_claim_was_not_granted_releases_nothing);
    RUN(flight_waiter_that_took_over_is_busy_itself);
    RUN(flight_wait_without_time_looks_for_nothing);
    RUN(flight_wait_loads_nothing);
    RUN(flight_wait_is_woken_and_answered);
    RUN(flight_load_joins_a_wait_and_loads);
    RUN(flight_wait_rides_along_with_a_load_of_ours);
    RUN(flight_riders_cost_no_request_and_have_their_own_deadlines);
    RUN(flight_goes_on_until_the_last_rider_gives_up);
    RUN(flight_answer_too_large_for_one_is_too_large_for_that_one_alone);
    RUN(flight_flag_larger_than_our_room_says_how_large);
}
