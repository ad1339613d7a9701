/* flight: loads. What the reference system gets wrong (its numbers and faults) has a test that says so. */

#include "flight_loads.h"

/* ---- once ---- */

TEST(flight_loads_once_with_two_requests_and_finds_it_with_one) {
    start();
    t0()->takes_ms = 50;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_flag("a"), MCPSESS_BUSY);
    (void)run(&a, 2000);
    CHECK_EQ(rc_of(&a), MCPSESS_OK);
    CHECK_EQ(fr.now_ms, 1050);
    CHECK(flight_has(&a, "one") && a.op.left_ms == FLIGHT_TTL);
    CHECK_EQ(flight_requests(), 2);
    CHECK_EQ(flight_flag("a"), MCPSESS_OK);
    CHECK_EQ(flight_flag_left(), FLIGHT_TTL);
    fr.now_ms += 1000;
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_OK);
    CHECK(flight_has(&b, "one") && b.op.left_ms == FLIGHT_TTL - 1000u);
    CHECK_EQ(flight_requests(), 1);
    CHECK_EQ(t0()->begun + t1()->begun, 1);
    CHECK(t0()->flights.stats.loads == 1 && t0()->flights.stats.loaded == 1 && t0()->flights.stats.found == 0);
    CHECK(t1()->flights.stats.loads == 0 && t1()->flights.stats.found == 1);
    fr.now_ms += FLIGHT_TTL;
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_OK); /* again, as its time is over */
    CHECK(flight_has(&b, "two"));
    flight_sound();
}

TEST(flight_of_nothing_is_loaded_all_the_same) {
    start();
    t0()->data = "";
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK);
    CHECK_EQ(a.out.len, 0);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_OK);
    CHECK_EQ(t1()->begun, 0);
}

TEST(flight_that_failed_sets_no_flag_and_releases) {
    static const int results[] = {MCPSESS_E_FORMAT, MCPSESS_MISS, MCPSESS_E_TIMEOUT};
    unsigned n;
    for (n = 0; n < COUNT_OF(results); n++) {
        start();
        t0()->result = results[n];
        CHECK_EQ(flight_load_in(&a, 0, "a"), results[n]);
        CHECK_EQ(a.out.len, 0);
        CHECK_EQ(flight_flag("a"), MCPSESS_MISS); /* nor is anybody at it */
        CHECK_EQ(t0()->flights.stats.failed, 1);
        CHECK_EQ(fr.items[MCPSESS_ITEM_LOAD_FAILED], 1);
        CHECK_EQ(fr.item_number, results[n] < 0 ? -results[n] : results[n]);
        CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_OK);
        flight_sound();
    }
}

/* spec 1.4: configurations are stored without a TTL while the flag has one */
TEST(flight_flag_lives_no_longer_than_what_was_loaded) {
    start();
    t0()->good_ms = 500;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK);
    CHECK_EQ(a.op.left_ms, 500);
    CHECK_EQ(flight_flag("a"), MCPSESS_OK);
    CHECK_EQ(flight_flag_left(), 500);
    t0()->good_ms = MCPSESS_NEVER;
    CHECK_EQ(flight_load_in(&a, 0, "b"), MCPSESS_OK);
    CHECK_EQ(a.op.left_ms, FLIGHT_TTL);
    CHECK_EQ(flight_flag("b"), MCPSESS_OK);
    CHECK_EQ(flight_flag_left(), FLIGHT_TTL);
    t0()->net.delay = 1;
    t0()->good_ms = 500;
    CHECK_EQ(flight_load_in(&a, 0, "c"), MCPSESS_PENDING);
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING); /* loaded; the flag is being set */
    fr.now_ms += 30;
    CHECK_EQ(flight_end(&a), MCPSESS_OK);
    CHECK_EQ(a.op.left_ms, 470); /* from when it was loaded on */
}

TEST(flight_of_another_configuration_does_not_count) {
    mcpsess_op op;
    start();
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK);
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_flight_load(&t1()->flights, &op, MCPSESS_STR("a"), MCPSESS_STR("v2"), NULL, fr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(t1()->begun, 1);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK); /* nor does the new one for the old */
    CHECK_EQ(t0()->begun, 2);
}

TEST(flight_loader_is_told_what_to_load_and_its_fence_grows) {
    uint64_t fence;
    const mcpsess_flight_job *job;
    start();
    t0()->takes_ms = 10;
    t1()->takes_ms = 10;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    job = t0()->loads[FLIGHT_LANES - 1u].job;
    fence = job->fence;
    CHECK_STR(job->key, "a");
    CHECK_STR(job->fingerprint, "v1");
    CHECK(fence > 0);
    (void)run(&a, 2000);
    flight_revoke("a");
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    CHECK(t1()->loads[FLIGHT_LANES - 1u].job->fence > fence);
    mcpsess_cancel(&b.op);
    flight_sound();
}

TEST(flight_larger_than_its_room) {
    start();
    t0()->data = "0123456789abc";
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_E_TOOBIG);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
    CHECK_EQ(t0()->flights.stats.failed, 1);
    t0()->data = "0123456789ab";
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK);
    CHECK(flight_has(&a, "0123456789ab"));
    flight_sound();
}

TEST(flight_loader_that_cannot_be_begun) {
    start();
    t0()->refuses = true;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_E_FULL);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS); /* released */
    CHECK_EQ(t0()->flights.stats.failed, 1);
}

/* ---- the lease of a load ---- */

/* spec 1.4: a lock of 30 s that is never extended: a longer load runs twice */
TEST(flight_longer_than_its_lease_runs_once) {
    start();
    t0()->takes_ms = 10 * FLIGHT_LEASE;
    a.op.timeout_ms = b.op.timeout_ms = 20 * FLIGHT_LEASE;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    (void)run_two(1000 + 20 * FLIGHT_LEASE);
    CHECK(rc_of(&a) == MCPSESS_OK && rc_of(&b) == MCPSESS_OK && flight_has(&b, "one"));
    CHECK_EQ(t0()->begun + t1()->begun, 1);
    CHECK_EQ(fr.now_ms, 1000 + 10 * FLIGHT_LEASE);
    flight_sound();
}

TEST(flight_extends_after_a_third_and_again_after_a_sixth) {
    start();
    t0()->takes_ms = MCPSESS_NEVER;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&a.op, fr.now_ms), 1000 + FLIGHT_LEASE / 3u);
    fr.now_ms = 1000 + FLIGHT_LEASE / 3u;
    t0()->net.fail = MCPSESS_E_IO;
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    CHECK_EQ(t0()->net.kinds[MCPSESS_LEASE_EXTEND], 1);
    t0()->net.fail = MCPSESS_OK;
    fr.now_ms += FLIGHT_LEASE / 6u + 1u;
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    CHECK_EQ(t0()->net.kinds[MCPSESS_LEASE_EXTEND], 2);
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&a.op, fr.now_ms), fr.now_ms + FLIGHT_LEASE / 3u);
    CHECK_EQ(t0()->flights.stats.failures, 1);
    mcpsess_cancel(&a.op);
    flight_sound();
}

TEST(flight_that_lost_its_lease_is_canceled) {
    start();
    t0()->takes_ms = MCPSESS_NEVER;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    flight_revoke("a");
    fr.now_ms = 1000 + FLIGHT_LEASE / 3u;
    CHECK_EQ(flight_end(&a), MCPSESS_FENCED);
    CHECK_EQ(t0()->canceled, 1);
    CHECK_EQ(t0()->flights.stats.lost, 1);
    CHECK_EQ(fr.items[MCPSESS_ITEM_LEASE_LOST], 1);
    CHECK_EQ(t0()->net.kinds[MCPSESS_LEASE_RELEASE], 0); /* there is nothing to release */
    flight_sound();
}

/* spec 1.4: a late holder deletes the next one's lock */
TEST(flight_late_holder_ends_and_leaves_the_next_ones_lease) {
    start();
    t0()->takes_ms = MCPSESS_NEVER;
    t1()->takes_ms = 200;
    b.op.timeout_ms = 2 * FLIGHT_LEASE;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    t0()->net.fail = MCPSESS_E_IO; /* no extend gets through */
    (void)run_two(1000 + FLIGHT_LEASE - 1u);
    CHECK_EQ(rc_of(&a), MCPSESS_PENDING);
    fr.now_ms = 1000 + FLIGHT_LEASE;
    CHECK_EQ(flight_poll(&a), MCPSESS_FENCED); /* to the millisecond */
    CHECK_EQ(t0()->canceled, 1);
    CHECK_EQ(fr.items[MCPSESS_ITEM_LEASE_LOST], 1);
    fr.now_ms += FLIGHT_POLL + 1u;
    t1()->deaf = true;
    CHECK_EQ(flight_poll(&b), MCPSESS_PENDING);
    CHECK_EQ(t1()->begun, 1);
    t0()->net.fail = MCPSESS_OK;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    mcpsess_cancel(&a.op); /* releases whatever was its own */
    (void)run(&b, fr.now_ms + 1000u);
    CHECK_EQ(rc_of(&b), MCPSESS_OK);
    CHECK(flight_has(&b, "two"));
    CHECK_EQ(t1()->flights.stats.taken_over, 1);
    CHECK_EQ(fr.items[MCPSESS_ITEM_TAKEN_OVER], 1);
    flight_sound();
}

TEST(flight_that_cannot_extend_ends_when_its_lease_does) {
    start();
    t0()->takes_ms = MCPSESS_NEVER;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    t0()->net.hang = true;
    (void)run(&a, 1000 + 2 * FLIGHT_LEASE);
    CHECK_EQ(rc_of(&a), MCPSESS_FENCED);
    CHECK_EQ(fr.now_ms, 1000 + FLIGHT_LEASE);
    CHECK_EQ(t0()->net.kinds[MCPSESS_LEASE_RELEASE], 1); /* it may still be ours, there */
    flight_sound();
}

TEST(flight_that_ends_while_it_extends_is_flagged) {
    start();
    t0()->takes_ms = FLIGHT_LEASE / 3u + 100u;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    fr.now_ms += FLIGHT_LEASE / 3u;
    t0()->net.hang = true;
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    CHECK_EQ(t0()->net.kinds[MCPSESS_LEASE_EXTEND], 1);
    t0()->net.hang = false;
    fr.now_ms += 100;
    CHECK_EQ(flight_poll(&a), MCPSESS_OK);
    CHECK_EQ(test_store_pending(&t0()->net), 0);
    flight_sound();
}

TEST(flight_loader_that_ended_elsewhere_is_seen_at_once) {
    start();
    t0()->takes_ms = 50;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    fr.now_ms += 60;
    CHECK_EQ(mcpsess_poll(&t0()->loads[FLIGHT_LANES - 1u].op, fr.now_ms), MCPSESS_OK);
    CHECK_EQ(mcpsess_next_due(&a.op, fr.now_ms), fr.now_ms);
    CHECK((mcpsess_want(&a.op) & MCPSESS_WANT_NOW) != 0);
    CHECK_EQ(flight_poll(&a), MCPSESS_OK);
}

/* Its process stood still for longer than the lease: what it loaded is not said to be loaded. */
TEST(flight_that_slept_through_its_lease_sets_nothing) {
    start();
    t0()->takes_ms = 100;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    fr.now_ms = 1000 + FLIGHT_LEASE;
    CHECK_EQ(flight_end(&a), MCPSESS_FENCED);
    CHECK_EQ(t0()->net.kinds[MCPSESS_FLAG_SET], 0);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
}

/* ---- setting the flag ---- */

TEST(flight_flag_is_refused_when_the_lease_is_gone) {
    start();
    t0()->takes_ms = 100;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    flight_revoke("a"); /* what it loads is out of date */
    fr.now_ms += 100;
    CHECK_EQ(flight_end(&a), MCPSESS_FENCED);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
    CHECK_EQ(a.out.len, 0);
    CHECK_EQ(t0()->flights.stats.lost, 1);
    CHECK_EQ(fr.items[MCPSESS_ITEM_FLAG_REFUSED], 1);
    CHECK_EQ(t0()->net.kinds[MCPSESS_LEASE_RELEASE], 0);
    flight_sound();
}

TEST(flight_that_was_refused_takes_what_another_set) {
    start();
    t0()->takes_ms = 100;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    flight_revoke("a");
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_OK);
    fr.now_ms += 100;
    CHECK_EQ(flight_end(&a), MCPSESS_OK);
    CHECK(flight_has(&a, "two") && a.op.left_ms == FLIGHT_TTL - 100u);
    CHECK_EQ(t0()->flights.stats.found, 1);
}

/* spec 1.4: a flag that could not be set is normally invisible */
TEST(flight_flag_that_cannot_be_set_is_an_error) {
    static const int outcomes[] = {MCPSESS_E_IO, MCPSESS_E_STORE - 3, MCPSESS_E_UNKNOWN, MCPSESS_E_TIMEOUT};
    unsigned n;
    for (n = 0; n < COUNT_OF(outcomes); n++) {
        start();
        t0()->takes_ms = 100;
        CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
        t0()->net.fail = outcomes[n];
        t0()->net.delay = 1;
        fr.now_ms += 100;
        CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
        t0()->net.fail = MCPSESS_OK;
        CHECK_EQ(flight_end(&a), outcomes[n]);
        CHECK_EQ(a.out.len, 0);
        CHECK_EQ(t0()->flights.stats.failures, 1);
        CHECK_EQ(flight_flag("a"), MCPSESS_MISS); /* released at once */
        flight_sound();
    }
}

TEST(flight_flag_whose_answer_was_lost_is_found) {
    start();
    t0()->takes_ms = 100;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    t0()->net.fail = MCPSESS_E_UNKNOWN;
    t0()->net.fail_after = true;
    t0()->net.delay = 1;
    fr.now_ms += 100;
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    t0()->net.fail = MCPSESS_OK;
    CHECK_EQ(flight_end(&a), MCPSESS_OK);
    CHECK(flight_has(&a, "one"));
    flight_sound();
}

/* ---- asking ---- */

/* spec 1.2, 3: closed when the store is away */
TEST(flight_does_not_load_when_the_store_is_away) {
    static const int outcomes[] = {MCPSESS_E_IO, MCPSESS_E_CLOSED, MCPSESS_E_FULL, MCPSESS_E_STORE - 1};
    unsigned n;
    for (n = 0; n < COUNT_OF(outcomes); n++) {
        start();
        t0()->net.fail = outcomes[n];
        CHECK_EQ(flight_load_in(&a, 0, "a"), outcomes[n]);
        CHECK_EQ(t0()->begun, 0);
        CHECK_EQ(flight_requests(), 1);
        CHECK_EQ(t0()->flights.stats.failures, 1);
        CHECK_EQ(fr.items[MCPSESS_ITEM_STORE_FAILED], 1);
    }
}

TEST(flight_claim_of_unknown_outcome_is_released) {
    start();
    t0()->net.fail = MCPSESS_E_UNKNOWN;
    t0()->net.fail_after = true;
    t0()->net.delay = 1;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    t0()->net.fail = MCPSESS_OK;
    CHECK_EQ(flight_flag("a"), MCPSESS_BUSY);
    CHECK_EQ(flight_end(&a), MCPSESS_E_UNKNOWN);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
    CHECK_EQ(t0()->begun, 0);
    flight_sound();
}

TEST(flight_claim_without_an_answer_is_released) {
    start();
    t0()->net.hang = true;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&a.op, fr.now_ms), 1000 + FLIGHT_TIMEOUT);
    t0()->net.hang = false;
    fr.now_ms += FLIGHT_TIMEOUT;
    CHECK_EQ(flight_poll(&a), MCPSESS_E_TIMEOUT);
    CHECK_EQ(t0()->net.cancels, 1);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
    flight_sound();
}

TEST(flight_claim_granted_too_late_is_none) {
    mcpsess_flight_desc d = flight_desc();
    d.lease_ms = 100;
    flight_start_as(&d);
    t0()->net.delay = 1;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(t0()->net.last.deadline_ms, fr.now_ms + 100u); /* no request waits longer than a lease */
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    t0()->flights.i.lanes[0].request.request.deadline_ms = MCPSESS_NEVER;
    fr.now_ms += 100; /* the answer is there, the lease has run out */
    CHECK_EQ(flight_end(&a), MCPSESS_E_TIMEOUT);
    CHECK_EQ(t0()->begun, 0);
    flight_sound();
}

TEST(flight_flag_that_expired_before_its_answer_was_read_does_not_count) {
    start();
    t0()->good_ms = 50;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK);
    t1()->net.delay = 1;
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_poll(&b), MCPSESS_PENDING);
    fr.now_ms += 50;
    CHECK_EQ(flight_end(&b), MCPSESS_OK);
    CHECK(flight_has(&b, "two"));
    CHECK_EQ(t1()->flights.stats.found, 0);
    flight_sound();
}

/* ---- giving up ---- */

TEST(flight_that_nobody_waits_for_is_canceled_and_released) {
    unsigned by_time;
    for (by_time = 0; by_time < 2; by_time++) {
        start();
        t0()->takes_ms = MCPSESS_NEVER;
        a.op.timeout_ms = 50;
        CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
        CHECK_EQ(mcpsess_next_due(&a.op, fr.now_ms), 1050);
        fr.now_ms += 50;
        if (by_time != 0) CHECK_EQ(flight_poll(&a), MCPSESS_E_TIMEOUT);
        else mcpsess_cancel(&a.op);
        CHECK_EQ(rc_of(&a), by_time != 0 ? MCPSESS_E_TIMEOUT : MCPSESS_E_CANCELED);
        CHECK_EQ(t0()->canceled, 1);
        CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
        CHECK_EQ(t0()->flights.stats.gave_up, by_time);
        CHECK_EQ(fr.items[MCPSESS_ITEM_WAIT_OVER], by_time);
        flight_sound();
    }
}

TEST(flight_canceled_while_it_claims_releases_what_it_got) {
    start();
    t0()->net.hang = true;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_flag("a"), MCPSESS_BUSY);
    t0()->net.hang = false;
    mcpsess_cancel(&a.op);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
    CHECK_EQ(test_store_pending(&t0()->net), 0);
    flight_sound();
}

TEST(flight_canceled_while_it_sets_is_set_all_the_same) {
    start();
    t0()->takes_ms = 100;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    fr.now_ms += 100;
    t0()->net.delay = 1;
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    mcpsess_cancel(&a.op);
    CHECK_EQ(flight_flag("a"), MCPSESS_OK);
    CHECK_EQ(flight_load_in(&b, 0, "b"), MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&c, 0, "c"), MCPSESS_E_FULL);
    CHECK_EQ(flight_poll(&b), MCPSESS_PENDING);            /* which takes in the answer to the first */
    CHECK_EQ(flight_load_in(&c, 0, "c"), MCPSESS_PENDING); /* and its lane is free */
    CHECK_EQ(t0()->flights.stats.loaded, 1);
    mcpsess_cancel(&b.op);
    mcpsess_cancel(&c.op);
    flight_sound();
}

TEST(flight_lanes_are_bounded_and_come_back) {
    flight_ask d;
    start();
    memset(&d, 0, sizeof d);
    t0()->takes_ms = MCPSESS_NEVER;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&b, 0, "b"), MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&c, 0, "c"), MCPSESS_E_FULL);
    t0()->net.hang = true; /* the release gets no answer */
    mcpsess_cancel(&a.op);
    CHECK_EQ(flight_load_in(&c, 0, "c"), MCPSESS_E_FULL);
    fr.now_ms += FLIGHT_TIMEOUT;
    CHECK_EQ(flight_load_in(&c, 0, "c"), MCPSESS_PENDING); /* but has had its time */
    t0()->net.hang = false;
    test_store_release(&t0()->net);
    mcpsess_cancel(&b.op);
    CHECK_EQ(flight_load_in(&d, 0, "d"), MCPSESS_PENDING);
    mcpsess_cancel(&c.op);
    mcpsess_cancel(&d.op);
    CHECK_EQ(test_store_pending(&t0()->net), 0);
    flight_sound();
}

TEST(flight_of_what_is_just_being_released_is_one_of_its_own) {
    start();
    t0()->takes_ms = MCPSESS_NEVER;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    t0()->net.hang = true;
    mcpsess_cancel(&a.op);
    t0()->net.hang = false;
    t0()->takes_ms = 0;
    CHECK_EQ(flight_load_in(&b, 0, "a"), MCPSESS_OK);
    CHECK_EQ(t0()->flights.stats.shared, 0);
    flight_sound();
}

/* ---- without a store ---- */

/* spec 1.2, 4 */
TEST(flight_without_a_store_loads_once_at_a_time) {
    mcpsess_flight_desc d = flight_desc();
    d.store.cls = NULL;
    flight_start_as(&d);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    t0()->takes_ms = 30;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(t0()->loads[FLIGHT_LANES - 1u].job->fence, 0);
    CHECK_EQ(flight_load_in(&b, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&b.op, fr.now_ms), 1030);
    (void)run_two(2000);
    CHECK(rc_of(&a) == MCPSESS_OK && rc_of(&b) == MCPSESS_OK && flight_has(&a, "one") && flight_has(&b, "one"));
    CHECK_EQ(t0()->begun, 1);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING); /* no flag is kept */
    CHECK_EQ(t0()->begun, 2);
    mcpsess_cancel(&a.op);
    CHECK_EQ(t0()->canceled, 1);
    CHECK_EQ(flight_wait_in(&b, 0, "b", 100), MCPSESS_PENDING);
    (void)run(&b, 5000);
    CHECK(rc_of(&b) == MCPSESS_E_TIMEOUT && fr.now_ms == 1130);
    CHECK_EQ(flight_requests(), 0);
    flight_sound();
}

TEST(flight_without_a_store_a_wait_sees_a_load_of_ours) {
    mcpsess_flight_desc d = flight_desc();
    d.store.cls = NULL;
    flight_start_as(&d);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    CHECK_EQ(flight_wait_in(&b, 0, "a", 100), MCPSESS_PENDING);
    t0()->takes_ms = 30;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    (void)run_two(2000);
    CHECK(rc_of(&a) == MCPSESS_OK && rc_of(&b) == MCPSESS_OK && fr.now_ms == 1030);
}

void test_flight(void) {
    RUN(flight_loads_once_with_two_requests_and_finds_it_with_one);
    RUN(flight_of_nothing_is_loaded_all_the_same);
    RUN(flight_that_failed_sets_no_flag_and_releases);
    RUN(flight_flag_lives_no_longer_than_what_was_loaded);
    RUN(flight_of_another_configuration_does_not_count);
    RUN(flight_loader_is_told_what_to_load_and_its_fence_grows);
    RUN(flight_larger_than_its_room);
    RUN(flight_loader_that_cannot_be_begun);
    RUN(flight_longer_than_its_lease_runs_once);
    RUN(flight_extends_after_a_third_and_again_after_a_sixth);
    RUN(flight_that_lost_its_lease_is_canceled);
    RUN(flight_late_holder_ends_and_leaves_the_next_ones_lease);
    RUN(flight_that_cannot_extend_ends_when_its_lease_does);
    RUN(flight_that_ends_while_it_extends_is_flagged);
    RUN(flight_loader_that_ended_elsewhere_is_seen_at_once);
    RUN(flight_that_slept_through_its_lease_sets_nothing);
    RUN(flight_flag_is_refused_when_the_lease_is_gone);
    RUN(flight_that_was_refused_takes_what_another_set);
    RUN(flight_flag_that_cannot_be_set_is_an_error);
    RUN(flight_flag_whose_answer_was_lost_is_found);
    RUN(flight_does_not_load_when_the_store_is_away);
    RUN(flight_claim_of_unknown_outcome_is_released);
    RUN(flight_claim_without_an_answer_is_released);
    RUN(flight_claim_granted_too_late_is_none);
    RUN(flight_flag_that_expired_before_its_answer_was_read_does_not_count);
    RUN(flight_that_nobody_waits_for_is_canceled_and_released);
    RUN(flight_canceled_while_it_claims_releases_what_it_got);
    RUN(flight_canceled_while_it_sets_is_set_all_the_same);
    RUN(flight_lanes_are_bounded_and_come_back);
    RUN(flight_of_what_is_just_being_released_is_one_of_its_own);
    RUN(flight_without_a_store_loads_once_at_a_time);
    RUN(flight_without_a_store_a_wait_sees_a_load_of_ours);
}
