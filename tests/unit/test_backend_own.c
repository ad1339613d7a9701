/* backend: several replicas, and which of them owns what */

#include "backend_rig.h"

#define A 0u
#define B 1u
#define C 2u

static void start_with(int begins) {
    mcpsess_backend_desc d = world_desc_shared();
    world_start_as(&d);
    world_put(A, begins);
}

static mcpsess_backend_manager *m(unsigned manager) {
    return &br.managers[manager].m;
}

static void pass(uint64_t ms) {
    world_loop(br.now_ms + ms);
}

TEST(backend_that_is_owned_is_busy_for_others) {
    mcpsess_backend_info info;
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    info = world_info(0, A);
    CHECK(info.fence != 0 && info.lease_left_ms == WORLD_LEASE && br.backends[A].fence == info.fence);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_OWNED], 1);
    CHECK_EQ(br.item_number == info.fence || br.items[MCPSESS_ITEM_BACKEND_STARTED] == 1, 1);
    br.now_ms += 100;
    world_clear_trace();
    CHECK_EQ(mcpsess_backend_keep(m(1), world_id(A), true, br.now_ms), MCPSESS_OK);
    CHECK_END(world_do_by(1, WORLD_START, A), MCPSESS_BUSY, MCPSESS_BACKEND_LEASE);
    CHECK_EQ(br.asks[0].op.op.left_ms, WORLD_LEASE - 100u);
    CHECK_TRACE("");
    info = world_info(1, A);
    CHECK(info.state == MCPSESS_BACKEND_ELSEWHERE && info.fence == 0 && info.lease_left_ms == WORLD_LEASE - 100u);
    CHECK_END(world_do_by(1, WORLD_DEL, A), MCPSESS_BUSY, MCPSESS_BACKEND_LEASE);
    CHECK_EQ(m(1)->stats.failed, 0);
    CHECK_EQ(world_do_by(1, WORLD_START, B), MCPSESS_OK); /* each has its own */
}

TEST(backend_lease_is_kept_while_it_runs_by_step_alone) {
    uint64_t fence;
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    fence = world_info(0, A).fence;
    pass(10u * WORLD_LEASE);
    CHECK_EQ(world_info(0, A).fence, fence);
    CHECK_EQ(world_do_by(1, WORLD_START, A), MCPSESS_BUSY);
    br.managers[0].stopped = true;
    pass(WORLD_LEASE);
    CHECK_DONE(world_do_by(1, WORLD_START, A));
    CHECK(world_info(1, A).fence > fence && br.backends[A].running);
    CHECK_EQ(world_info(0, A).fence, 0);
}

/* An operation that takes longer than the lease holds it as well, if the loop goes on. */
TEST(backend_lease_is_extended_under_a_long_operation) {
    start_with(WORLD_STOPPED);
    br.managers[0].takes_ms = WORLD_STEP - 1u;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    pass(4u * WORLD_STEP);
    CHECK_DONE(world_poll(0));
    CHECK_EQ(m(0)->stats.lost, 0);
    CHECK_EQ(world_do_by(1, WORLD_ENSURE, A), MCPSESS_BUSY);
}

TEST(backend_whose_lease_ran_out_is_not_ours) {
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    br.now_ms += WORLD_LEASE; /* the loop stood still */
    pass(0);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_LOST], 1);
    CHECK_EQ(m(0)->stats.lost, 1);
    CHECK(world_info(0, A).fence == 0 && world_info(0, A).state != MCPSESS_BACKEND_RUNNING);
    CHECK_EQ(br.dropped, 1);
    world_sound();
}

TEST(backend_operation_whose_lease_is_lost_is_fenced) {
    start_with(WORLD_STOPPED);
    br.managers[0].takes_ms = 2500;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    pass(10);
    mcpsess_lru_clear(&br.ram.i.leases); /* it was revoked */
    pass(WORLD_LEASE);
    CHECK_END(world_poll(0), MCPSESS_FENCED, br.asks[0].op.step);
    CHECK_EQ(m(0)->stats.fenced, 1);
    CHECK_EQ(m(0)->stats.lost, 1);
}

/* It may move between many replicas: who has lost it, and was not to keep it, has a slot to give. */
TEST(backend_that_was_lost_needs_no_slot) {
    mcpsess_backend_info info;
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    br.now_ms += WORLD_LEASE;
    pass(0);
    CHECK_EQ(m(0)->stats.lost, 1);
    CHECK_EQ(mcpsess_backend_get(m(0), world_id(A), br.now_ms, &info), MCPSESS_MISS);
}

/* A process that stood still goes on as if no time had gone by: its clock says so, and the driver refuses it. */
TEST(backend_zombie_is_refused_by_the_driver) {
    start_with(WORLD_RUNNING);
    br.managers[0].takes_ms = 10;
    CHECK_EQ(world_begin(1, 0, WORLD_DEL, A), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_poll(&br.asks[1].op.op, 1010), MCPSESS_PENDING); /* inspected */
    br.now_ms += WORLD_LEASE;
    CHECK_DONE(world_do_by(1, WORLD_START, A));
    (void)mcpsess_poll(&br.asks[1].op.op, 1020);
    (void)mcpsess_poll(&br.asks[1].op.op, 1030);
    (void)mcpsess_poll(&br.asks[1].op.op, 1040);
    CHECK_EQ(mcpsess_op_rc(&br.asks[1].op.op), MCPSESS_FENCED);
    CHECK(br.backends[A].present && br.backends[A].running);
    CHECK_EQ(m(0)->stats.fenced, 1);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_REMOVE], 0);
    CHECK_EQ(world_info(0, A).fence, 0);
    world_sound();
}

TEST(backend_zombie_begins_nothing_once_its_clock_goes) {
    start_with(WORLD_RUNNING);
    br.managers[0].takes_ms = 10;
    CHECK_EQ(world_begin(1, 0, WORLD_DEL, A), MCPSESS_PENDING);
    br.now_ms += WORLD_LEASE;
    br.calls = 0;
    CHECK_EQ(world_end(1), MCPSESS_FENCED);
    CHECK_EQ(br.calls, 0);
    CHECK(br.backends[A].present && br.backends[A].running);
    world_sound();
}

TEST(backend_lease_is_released_when_it_does_not_run) {
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_DONE(world_do(WORLD_STOP_IT, A));
    pass(1);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_RELEASED], 1);
    CHECK_EQ(world_info(0, A).fence, 0);
    CHECK_DONE(world_do_by(1, WORLD_START, A));
    CHECK_DONE(world_do_by(1, WORLD_DEL_PRESERVE, A));
    pass(1);
    CHECK_DONE(world_do_by(0, WORLD_START, A));
    CHECK(world_has_all(A));
    CHECK_EQ(m(0)->stats.taken_over + m(1)->stats.taken_over, 0);
}

TEST(backend_leave_releases_all_and_stops_nothing) {
    start_with(WORLD_STOPPED);
    world_put(B, WORLD_STOPPED);
    CHECK_EQ(mcpsess_backend_keep(m(0), world_id(A), true, br.now_ms), MCPSESS_OK);
    pass(0);
    CHECK_DONE(world_do(WORLD_START, B));
    CHECK_EQ(world_do_by(1, WORLD_START, A), MCPSESS_BUSY);
    CHECK_EQ(world_begin(0, 0, WORLD_LEAVE, 0) == MCPSESS_PENDING ? world_end(0) : mcpsess_op_rc(&br.asks[0].op.op),
             MCPSESS_OK);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_RELEASED], 2);
    CHECK(br.backends[A].running && br.backends[B].running);
    CHECK(!world_info(0, A).kept);
    CHECK_DONE(world_do_by(1, WORLD_START, A));
    CHECK_DONE(world_do_by(1, WORLD_START, B));
    CHECK_EQ(m(1)->stats.taken_over, 0);
}

TEST(backend_that_is_kept_is_taken_over_from_a_dead_owner) {
    start_with(WORLD_STOPPED);
    CHECK_EQ(mcpsess_backend_keep(m(0), world_id(A), true, br.now_ms), MCPSESS_OK);
    pass(0);
    CHECK(br.backends[A].running);
    CHECK_EQ(mcpsess_backend_keep(m(1), world_id(A), true, br.now_ms), MCPSESS_OK);
    pass(3u * WORLD_LEASE);
    CHECK_EQ(world_info(1, A).state, MCPSESS_BACKEND_ELSEWHERE);
    CHECK_EQ(m(1)->stats.taken_over, 0);
    br.managers[0].stopped = true;
    world_die(A);
    pass(WORLD_LEASE + WORLD_LEASE / 3u);
    CHECK_EQ(m(1)->stats.taken_over, 1);
    CHECK(br.backends[A].running && world_info(1, A).state == MCPSESS_BACKEND_RUNNING);
    br.managers[0].stopped = false;
    pass(3u * WORLD_LEASE);
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_ELSEWHERE);
    CHECK_EQ(world_info(1, A).state, MCPSESS_BACKEND_RUNNING);
    world_sound();
}

TEST(backend_that_is_elsewhere_has_the_address_that_inspect_says) {
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    world_clear_trace();
    CHECK_DONE(world_do_by(1, WORLD_ADDRESS_OF, A));
    CHECK_STR(mcpsess_buf_str(&br.asks[0].out), "addr-a");
    CHECK_TRACE("inspect");
    br.backends[A].labelled = false;
    CHECK_EQ(world_do_by(1, WORLD_ADDRESS_OF, A), MCPSESS_E_NO_ADDRESS); /* it is not ours to bring a network up */
    CHECK_TRACE("inspect");
    world_sound();
}

TEST(backend_lease_that_cannot_be_asked_for_ends_the_operation) {
    static const int codes[] = {MCPSESS_E_IO, MCPSESS_E_UNKNOWN};
    unsigned n;
    for (n = 0; n < COUNT_OF(codes); n++) {
        start_with(WORLD_STOPPED);
        br.managers[0].net.fail = codes[n];
        CHECK_END(world_do(WORLD_START, A), codes[n], MCPSESS_BACKEND_LEASE);
        CHECK_TRACE("");
        br.managers[0].net.fail = MCPSESS_OK;
        CHECK_DONE(world_do(WORLD_START, A));
    }
    start_with(WORLD_STOPPED);
    br.managers[0].net.hang = true;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_TIMEOUT, MCPSESS_BACKEND_LEASE);
    CHECK_TRACE("");
    CHECK(br.now_ms <= 1000 + 2u * WORLD_LEASE / 3u); /* each request waits for a third of the lease at most */
    CHECK_EQ(test_store_pending(&br.managers[0].net), 0);
}

static int no_random(void *user, void *dst, size_t len) {
    (void)user;
    (void)dst;
    (void)len;
    return -1;
}

TEST(backend_lease_needs_random_bytes) {
    mcpsess_backend_desc d = world_desc_shared();
    d.random = no_random;
    world_start_as(&d);
    world_put(A, WORLD_STOPPED);
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_RANDOM, MCPSESS_BACKEND_LEASE);
    CHECK_TRACE("");
}

TEST(backend_lease_outlives_a_heartbeat_that_failed) {
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    br.managers[0].net.fail = MCPSESS_E_IO;
    pass(WORLD_LEASE / 2u);
    CHECK(world_info(0, A).lease_left_ms == WORLD_LEASE / 2u);
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_RUNNING);
    br.managers[0].net.fail = MCPSESS_OK;
    pass(WORLD_LEASE);
    CHECK_EQ(m(0)->stats.lost, 0);
    br.managers[0].net.hang = true;
    pass(2u * WORLD_LEASE);
    CHECK_EQ(m(0)->stats.lost, 1);
    CHECK_EQ(m(0)->stats.lost, br.items[MCPSESS_ITEM_BACKEND_LOST]);
    world_sound();
}

/* Its owner's lease has run out, as far as is known, and nobody can be asked. */
TEST(backend_that_is_elsewhere_is_asked_for_with_a_backoff_when_the_store_is_away) {
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_EQ(mcpsess_backend_keep(m(1), world_id(A), true, br.now_ms), MCPSESS_OK);
    pass(0);
    CHECK_EQ(world_info(1, A).state, MCPSESS_BACKEND_ELSEWHERE);
    br.managers[1].net.fail = MCPSESS_E_IO;
    pass(WORLD_LEASE + 1u);
    CHECK_EQ(m(1)->stats.failed, 1);
    CHECK(world_info(1, A).due_ms > br.now_ms);
    br.managers[1].net.fail = MCPSESS_OK;
    pass(3u * WORLD_LEASE);
    CHECK_EQ(world_info(1, A).state, MCPSESS_BACKEND_ELSEWHERE);
    world_sound();
}

/* What it had asked for is canceled with it; the store must not write into what is no more. */
TEST(backend_close_forgets_its_requests) {
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    br.managers[0].net.hang = true;
    pass(WORLD_LEASE / 3u);
    CHECK_EQ(world_begin(1, 0, WORLD_START, B), MCPSESS_PENDING);
    mcpsess_backend_close(m(0));
    CHECK_EQ(mcpsess_op_rc(&br.asks[1].op.op), MCPSESS_E_CLOSED);
    CHECK_EQ(test_store_pending(&br.managers[0].net), 0);
    world_sound();
}

TEST(backend_reconcile_leaves_what_is_elsewhere) {
    start_with(WORLD_STOPPED);
    world_put(B, WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_EQ(mcpsess_backend_keep(m(1), world_id(A), true, br.now_ms), MCPSESS_OK);
    CHECK_EQ(mcpsess_backend_keep(m(1), world_id(B), true, br.now_ms), MCPSESS_OK);
    CHECK_EQ(world_do_by(1, WORLD_RECONCILE, 0), MCPSESS_OK);
    CHECK_EQ(br.asks[0].op.op.count, 0);
    CHECK_EQ(world_info(1, A).state, MCPSESS_BACKEND_ELSEWHERE);
    CHECK_EQ(world_info(1, B).state, MCPSESS_BACKEND_RUNNING);
    world_sound();
}

TEST(backend_that_was_ours_and_is_elsewhere_is_looked_at_without_a_fence) {
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    br.now_ms += WORLD_LEASE;
    CHECK_DONE(world_do_by(1, WORLD_START, A));
    pass(0);
    CHECK_DONE(world_do(WORLD_ADDRESS_OF, A));
    CHECK_STR(mcpsess_buf_str(&br.asks[0].out), "addr-a");
}

TEST(backend_that_was_seen_to_run_and_is_to_be_kept_becomes_ours) {
    start_with(WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_RECONCILE, 0));
    CHECK(world_info(0, A).state == MCPSESS_BACKEND_RUNNING && world_info(0, A).fence == 0);
    CHECK_EQ(mcpsess_backend_keep(m(0), world_id(A), true, br.now_ms), MCPSESS_OK);
    pass(10);
    CHECK(world_info(0, A).fence != 0);
    CHECK_EQ(world_do_by(1, WORLD_START, A), MCPSESS_BUSY);
}

/* A lease is for what runs, or is about to. */
TEST(backend_lease_is_released_after_a_discard) {
    start_with(WORLD_COPIED);
    CHECK_DONE(world_do(WORLD_DISCARD, A));
    pass(1);
    CHECK_DONE(world_do_by(1, WORLD_START, A));
}

TEST(backend_that_cannot_be_taken_over_is_tried_again_after_a_backoff) {
    unsigned submits;
    start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_EQ(mcpsess_backend_keep(m(1), world_id(A), true, br.now_ms), MCPSESS_OK);
    pass(10);
    br.managers[0].stopped = true;
    br.managers[1].net.fail = MCPSESS_E_IO;
    pass(WORLD_LEASE + 1u);
    submits = br.managers[1].net.submits;
    pass(8u * WORLD_BACKOFF);
    CHECK(br.managers[1].net.submits > submits && br.managers[1].net.submits <= submits + 4u);
    br.managers[1].net.fail = MCPSESS_OK;
    pass(4u * WORLD_BACKOFF);
    CHECK_EQ(m(1)->stats.taken_over, 1);
    world_sound();
}

/* What only looks needs no lease; bringing a network up does. */
TEST(backend_address_that_lost_its_lease_meanwhile_brings_no_network_up) {
    start_with(WORLD_RUNNING);
    br.backends[A].labelled = false;
    br.backends[A].address = "";
    CHECK_EQ(world_do(WORLD_START, A), MCPSESS_E_NO_ADDRESS);
    CHECK(world_info(0, A).fence != 0);
    CHECK_EQ(world_begin(1, 0, WORLD_ADDRESS_OF, A), MCPSESS_PENDING); /* waits between two tries */
    br.now_ms += WORLD_LEASE;
    br.calls = 0;
    CHECK_EQ(world_end(1), MCPSESS_FENCED);
    CHECK_EQ(br.calls, 0);
    world_sound();
}

/* The token that it goes by is in use until the store has answered. */
TEST(backend_lease_that_is_being_released_is_acquired_when_that_is_over) {
    test_store *net = &br.managers[0].net;
    unsigned n;
    for (n = 0; n < 2; n++) { /* the store answers; it does not */
        start_with(WORLD_STOPPED);
        CHECK_DONE(world_do(WORLD_START, A));
        net->hang = true;
        CHECK_DONE(world_do(WORLD_STOP_IT, A));
        CHECK_EQ(net->kinds[MCPSESS_LEASE_RELEASE], 1);
        net->hang = false;
        CHECK_EQ(world_begin(1, 0, WORLD_START, A), MCPSESS_PENDING);
        CHECK_EQ(world_poll(1), MCPSESS_PENDING);
        CHECK_EQ(net->kinds[MCPSESS_LEASE_ACQUIRE], 1);
        CHECK(mcpsess_next_due(&br.asks[1].op.op, br.now_ms) == br.now_ms + WORLD_LEASE / 3u);
        CHECK((mcpsess_want(&br.asks[1].op.op) & (MCPSESS_WANT_READ | MCPSESS_WANT_NOW)) == MCPSESS_WANT_READ);
        if (n == 0) test_store_release(net);
        CHECK_EQ(world_end(1), MCPSESS_OK);
        CHECK_EQ(net->kinds[MCPSESS_LEASE_ACQUIRE], 2);
        CHECK_EQ(br.now_ms, n == 0 ? 1001u : 1000u + WORLD_LEASE / 3u);
        CHECK(world_info(0, A).fence != 0);
        world_sound();
    }
}

/* Whatever ids are asked for, and whatever the driver says to them: they take neither room nor leases. */
TEST(backend_of_which_nothing_is_known_is_let_go) {
    start_with(WORLD_ABSENT);
    br.fault_of = MCPSESS_BACKEND_INSPECT;
    br.fate = WORLD_FAILS;
    CHECK_EQ(world_do(WORLD_START, A), MCPSESS_E_IO);
    CHECK_EQ(world_info(0, A).state, 0xFF);
    br.fault_of = 0;
    CHECK_DONE(world_do_by(1, WORLD_START, A));
    CHECK_EQ(m(0)->stats.lost, 0);
}

/* A lease is not held for ever because nobody knows whether that is of any use. */
TEST(backend_of_which_we_do_not_know_how_a_step_ended_is_looked_at) {
    unsigned n;
    for (n = 0; n < 2; n++) { /* it was stopped; it was not */
        start_with(WORLD_STOPPED);
        CHECK_DONE(world_do(WORLD_START, A));
        br.fault_of = MCPSESS_BACKEND_STOP;
        br.fate = n == 0 ? WORLD_LATE : WORLD_HANGS;
        CHECK_EQ(world_begin(1, 0, WORLD_STOP_IT, A), MCPSESS_PENDING);
        mcpsess_cancel(&br.asks[1].op.op);
        CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_UNKNOWN);
        CHECK_EQ(world_info(0, A).due_ms, br.now_ms + WORLD_BACKOFF);
        pass(2u * WORLD_LEASE);
        br.fault_of = 0;
        CHECK_EQ(world_info(0, A).state, n == 0 ? MCPSESS_BACKEND_STOPPED : MCPSESS_BACKEND_RUNNING);
        CHECK_EQ(world_info(0, A).due_ms, MCPSESS_NEVER);
        CHECK_EQ(world_do_by(1, WORLD_START, A), n == 0 ? MCPSESS_OK : MCPSESS_BUSY);
        world_sound();
    }
}

/* What only looked at one that is another's keeps no address of it: nobody would hear when that changes. */
TEST(backend_that_is_not_ours_is_not_told_to_have_moved) {
    start_with(WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_RECONCILE, 0));
    CHECK(world_info(0, A).state == MCPSESS_BACKEND_RUNNING && world_info(0, A).fence == 0);
    CHECK_EQ(mcpsess_backend_moved(m(0), world_id(A), MCPSESS_STR("addr-z")), MCPSESS_MISS);
    CHECK_DONE(world_do(WORLD_ADDRESS_OF, A));
    CHECK_STR(mcpsess_buf_str(&br.asks[0].out), "addr-a");
}

/* Not only when it is over: another may begin at any time from then on. */
TEST(backend_step_under_way_is_canceled_when_the_lease_runs_out) {
    unsigned n;
    mcpsess_backend_desc d = world_desc_shared();
    d.step_ms = 10u * WORLD_LEASE;
    world_start_as(&d);
    world_put(A, WORLD_STOPPED);
    br.managers[0].takes_ms = 5u * WORLD_LEASE;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    br.managers[0].net.hang = true;
    pass(WORLD_LEASE - 1u);
    CHECK_EQ(world_poll(0), MCPSESS_PENDING);
    pass(1);
    CHECK_END(world_poll(0), MCPSESS_FENCED, MCPSESS_BACKEND_LEASE);
    for (n = 0; n < WORLD_JOBS; n++) CHECK(!br.jobs[n].open);
    CHECK_TRACE("inspect:canceled");
}

void test_backend_own(void) {
    RUN(backend_that_is_owned_is_busy_for_others);
    RUN(backend_lease_is_kept_while_it_runs_by_step_alone);
    RUN(backend_lease_is_extended_under_a_long_operation);
    RUN(backend_whose_lease_ran_out_is_not_ours);
    RUN(backend_operation_whose_lease_is_lost_is_fenced);
    RUN(backend_that_was_lost_needs_no_slot);
    RUN(backend_zombie_is_refused_by_the_driver);
    RUN(backend_zombie_begins_nothing_once_its_clock_goes);
    RUN(backend_lease_is_released_when_it_does_not_run);
    RUN(backend_leave_releases_all_and_stops_nothing);
    RUN(backend_that_is_kept_is_taken_over_from_a_dead_owner);
    RUN(backend_that_is_elsewhere_has_the_address_that_inspect_says);
    RUN(backend_lease_that_cannot_be_asked_for_ends_the_operation);
    RUN(backend_lease_needs_random_bytes);
    RUN(backend_lease_outlives_a_heartbeat_that_failed);
    RUN(backend_that_is_elsewhere_is_asked_for_with_a_backoff_when_the_store_is_away);
    RUN(backend_close_forgets_its_requests);
    RUN(backend_reconcile_leaves_what_is_elsewhere);
    RUN(backend_that_was_ours_and_is_elsewhere_is_looked_at_without_a_fence);
    RUN(backend_that_was_seen_to_run_and_is_to_be_kept_becomes_ours);
    RUN(backend_lease_is_released_after_a_discard);
    RUN(backend_that_cannot_be_taken_over_is_tried_again_after_a_backoff);
    RUN(backend_address_that_lost_its_lease_meanwhile_brings_no_network_up);
    RUN(backend_lease_that_is_being_released_is_acquired_when_that_is_over);
    RUN(backend_of_which_nothing_is_known_is_let_go);
    RUN(backend_of_which_we_do_not_know_how_a_step_ended_is_looked_at);
    RUN(backend_that_is_not_ours_is_not_told_to_have_moved);
    RUN(backend_step_under_way_is_canceled_when_the_lease_runs_out);
}
