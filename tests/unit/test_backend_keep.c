/* backend: what is kept running, what died, and reconcile */

#include "backend_rig.h"

#define A 0u
#define B 1u
#define C 2u

static mcpsess_backend_manager *m0(void) {
    return &br.managers[0].m;
}

static void keep(unsigned b) {
    CHECK_EQ(mcpsess_backend_keep(m0(), world_id(b), true, br.now_ms), MCPSESS_OK);
}

static void pass(uint64_t ms) {
    world_loop(br.now_ms + ms);
}

static void die(unsigned b) {
    world_die(b);
    CHECK_EQ(mcpsess_backend_died(m0(), world_id(b), br.now_ms), MCPSESS_OK);
}

/* It is started when so much time has gone by, and not a millisecond earlier. */
static void check_started_after(uint64_t ms) {
    pass(ms - 1u);
    CHECK(!br.backends[A].running);
    pass(1);
    CHECK(br.backends[A].running);
}

/* ---- keep ---- */

TEST(backend_that_is_kept_is_started) {
    static const int begins[] = {WORLD_ABSENT,  WORLD_ORPHANED,       WORLD_COPIED,
                                 WORLD_STOPPED, WORLD_STOPPED_COPIED, WORLD_RUNNING};
    unsigned n;
    for (n = 0; n < COUNT_OF(begins); n++) {
        world_start_with(begins[n]);
        keep(A);
        CHECK(world_info(0, A).kept && mcpsess_backend_due(m0(), br.now_ms) <= br.now_ms);
        pass(0);
        CHECK(br.backends[A].running && world_has_all(A));
        CHECK_STATE(MCPSESS_BACKEND_RUNNING, "addr-a");
        CHECK(mcpsess_backend_due(m0(), br.now_ms) > br.now_ms);
        world_sound();
    }
}

TEST(backend_that_died_is_started_again_after_a_backoff_that_grows) {
    world_start_with(WORLD_STOPPED);
    keep(A);
    pass(0);
    die(A);
    CHECK_EQ(m0()->stats.died, 1);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_DIED], 1);
    CHECK_EQ(br.dropped, 1);
    CHECK_STR(world_info(0, A).address, "");
    check_started_after(WORLD_BACKOFF);
    die(A);
    check_started_after(2u * WORLD_BACKOFF);
    die(A);
    check_started_after(4u * WORLD_BACKOFF);
    CHECK(world_info(0, A).tries >= 3);
    die(A);
    check_started_after(4u * WORLD_BACKOFF); /* the most */
    pass(WORLD_STABLE);
    die(A);
    check_started_after(WORLD_BACKOFF);
    CHECK_EQ(m0()->stats.died, 5);
    CHECK(world_has_all(A));
    world_sound();
}

TEST(backend_that_cannot_be_started_is_tried_again_after_a_backoff_that_grows) {
    world_start_with(WORLD_STOPPED);
    br.fault_of = MCPSESS_BACKEND_START;
    br.fate = WORLD_FAILS;
    keep(A);
    pass(0);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_START], 1);
    CHECK_EQ(world_info(0, A).due_ms, br.now_ms + WORLD_BACKOFF);
    pass(WORLD_BACKOFF);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_START], 2);
    pass(2u * WORLD_BACKOFF - 1u);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_START], 2);
    br.fault_of = 0;
    pass(1);
    CHECK(br.backends[A].running);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_FAILED], 2);
    world_sound();
}

TEST(backend_that_is_kept_is_looked_at) {
    mcpsess_backend_desc d = world_desc();
    d.look_ms = 700;
    world_start_as(&d);
    world_put(A, WORLD_STOPPED);
    keep(A);
    pass(0);
    world_clear_trace();
    pass(700);
    CHECK_TRACE("inspect stat_copy:MISS");
    world_die(A); /* and nobody tells */
    pass(699);
    CHECK_EQ(m0()->stats.died, 0);
    pass(1);
    CHECK_EQ(m0()->stats.died, 1);
    check_started_after(WORLD_BACKOFF);
    world_lose(A);
    pass(700 + 2u * WORLD_BACKOFF);
    CHECK(br.backends[A].running && world_has_all(A));
    CHECK_EQ(m0()->stats.recovered, 1);
    world_sound();
}

TEST(backend_that_is_not_to_be_looked_at_is_left_alone) {
    world_start_with(WORLD_STOPPED);
    keep(A);
    pass(0);
    world_clear_trace();
    pass(100u * WORLD_STABLE);
    CHECK_TRACE("");
    CHECK(mcpsess_backend_due(m0(), br.now_ms) == MCPSESS_NEVER || br.calls == 4);
}

TEST(backend_that_is_not_kept_any_more_stays_as_it_is) {
    unsigned how;
    for (how = 0; how < 3; how++) {
        world_start_with(WORLD_STOPPED);
        keep(A);
        pass(0);
        if (how == 0) CHECK_EQ(mcpsess_backend_keep(m0(), world_id(A), false, br.now_ms), MCPSESS_OK);
        else CHECK_DONE(world_do(how == 1 ? WORLD_STOP_IT : WORLD_DEL, A));
        if (how == 0) {
            CHECK(br.backends[A].running);
            die(A);
        }
        CHECK(!world_info(0, A).kept || how == 2);
        pass(10u * WORLD_BACKOFF);
        CHECK(!br.backends[A].running && br.steps[MCPSESS_BACKEND_START] == 1);
        world_sound();
    }
}

TEST(backend_that_died_and_is_not_kept_is_stopped) {
    world_start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    die(A);
    CHECK_STATE(MCPSESS_BACKEND_STOPPED, "");
    CHECK_EQ(br.dropped, 1);
    pass(10u * WORLD_BACKOFF);
    CHECK(!br.backends[A].running);
    world_sound();
}

TEST(backend_lanes_bound_how_many_are_started_at_a_time) {
    unsigned b;
    world_start();
    for (b = 0; b < WORLD_BACKENDS; b++) {
        world_put(b, WORLD_STOPPED);
        keep(b);
    }
    br.managers[0].takes_ms = 10;
    br.trace_ids = true;
    pass(3u * 5u * 10u);
    CHECK_TRACE("a1.inspect a1.stop:MISS a1.stat_copy:MISS a1.start a1.network_up "
                "b2.inspect b2.stop:MISS b2.stat_copy:MISS b2.start b2.network_up "
                "c3.inspect c3.stop:MISS c3.stat_copy:MISS c3.start c3.network_up");
    world_sound();
}

/* One that is asked for is not kept waiting by one that cannot be started. */
TEST(backend_that_hangs_does_not_keep_others_from_being_asked_for) {
    world_start_with(WORLD_STOPPED);
    world_put(B, WORLD_STOPPED);
    br.fault_at = 1;
    br.fate = WORLD_HANGS;
    keep(A);
    pass(10);
    CHECK_EQ(br.jobs[0].open, 1);
    CHECK_DONE(world_do(WORLD_START, B));
    CHECK_EQ(br.now_ms, 1010);
    mcpsess_backend_close(m0());
}

TEST(backend_that_was_never_looked_at_and_is_not_kept_needs_no_room) {
    world_start();
    keep(A);
    CHECK_EQ(mcpsess_backend_keep(m0(), world_id(A), false, br.now_ms), MCPSESS_OK);
    CHECK_EQ(world_info(0, A).state, 0xFF);
}

/* ---- reconcile; spec 5.2, 14 ---- */

static int reconcile(void) {
    return world_do(WORLD_RECONCILE, 0);
}

TEST(backend_reconcile_starts_what_is_to_be_kept) {
    world_start_with(WORLD_RUNNING);
    world_put(B, WORLD_ORPHANED);
    world_put(C, WORLD_STOPPED);
    keep(A);
    keep(B);
    keep(C);
    br.trace_ids = true;
    CHECK_DONE(reconcile());
    CHECK_EQ(br.asks[0].op.op.count, 0);
    CHECK(br.backends[A].running && br.backends[B].running && br.backends[C].running);
    CHECK(world_has_all(B) && br.steps[MCPSESS_BACKEND_LIST] == 1);
    CHECK_STATE(MCPSESS_BACKEND_RUNNING, "addr-a");
}

TEST(backend_reconcile_looks_at_what_is_not_to_be_kept) {
    world_start_with(WORLD_RUNNING);
    world_put(C, WORLD_STOPPED);
    CHECK_DONE(reconcile());
    CHECK_EQ(br.asks[0].op.op.count, 0);
    CHECK_STATE(MCPSESS_BACKEND_RUNNING, "addr-a");
    CHECK_EQ(world_info(0, C).state, MCPSESS_BACKEND_STOPPED);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_START], 0);
    CHECK_TRACE("list inspect stat_copy:MISS inspect stat_copy:MISS");
}

static uint8_t first_cannot_be_inspected(world_job *j) {
    return j->backend == A && j->step == MCPSESS_BACKEND_INSPECT ? WORLD_FAILS : WORLD_WELL;
}

static uint8_t list_fails(world_job *j) {
    return j->step == MCPSESS_BACKEND_LIST ? WORLD_FAILS : WORLD_WELL;
}

TEST(backend_reconcile_of_one_that_fails_goes_on_with_the_others) {
    world_start_with(WORLD_STOPPED);
    world_put(C, WORLD_STOPPED);
    keep(A);
    keep(C);
    br.choose = first_cannot_be_inspected;
    CHECK_EQ(reconcile(), MCPSESS_OK);
    CHECK_EQ(br.asks[0].op.op.count, 1);
    CHECK(!br.backends[A].running && br.backends[C].running);
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_UNKNOWN);
    world_sound();
}

TEST(backend_reconcile_does_not_wait_between_the_tries_of_a_network) {
    world_start_with(WORLD_STOPPED);
    keep(A);
    br.backends[A].address = "";
    CHECK_EQ(reconcile(), MCPSESS_OK);
    CHECK_EQ(br.asks[0].op.op.count, 1);
    CHECK_EQ(br.now_ms, 1000);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_NETWORK_UP], 2);
    CHECK(!br.backends[A].running);
    world_sound();
}

TEST(backend_reconcile_that_cannot_list_says_so) {
    world_start_with(WORLD_STOPPED);
    br.choose = list_fails;
    CHECK_END(reconcile(), MCPSESS_E_IO, MCPSESS_BACKEND_LIST);
}

/* They are due when nothing is left to wait for, whoever saw to that. */
TEST(backend_reconcile_and_leave_are_due_when_another_operation_is_over) {
    static const uint8_t kinds[] = {WORLD_RECONCILE, WORLD_LEAVE};
    unsigned n;
    for (n = 0; n < COUNT_OF(kinds); n++) {
        mcpsess_backend_desc d = world_desc_shared();
        world_start_as(&d);
        world_put(A, WORLD_STOPPED);
        br.managers[0].takes_ms = 100;
        CHECK_EQ(world_begin(1, 0, WORLD_START, A), MCPSESS_PENDING);
        CHECK_EQ(world_begin(0, 0, kinds[n], 0), MCPSESS_PENDING);
        pass(3000);
        CHECK_EQ(mcpsess_op_rc(&br.asks[1].op.op), MCPSESS_OK);
        CHECK_EQ(mcpsess_op_rc(&br.asks[0].op.op), MCPSESS_OK);
        world_sound();
    }
}

TEST(backend_reconcile_does_not_wait_for_what_is_not_to_be_kept_any_more) {
    world_start_with(WORLD_STOPPED);
    world_put(B, WORLD_STOPPED);
    keep(A);
    keep(B);
    br.managers[0].takes_ms = 100;
    CHECK_EQ(world_begin(0, 0, WORLD_RECONCILE, 0), MCPSESS_PENDING);
    pass(150);
    CHECK_EQ(mcpsess_backend_keep(m0(), world_id(B), false, br.now_ms), MCPSESS_OK);
    pass(1000);
    CHECK_EQ(mcpsess_op_rc(&br.asks[0].op.op), MCPSESS_OK);
    CHECK(br.backends[A].running && !br.backends[B].running);
    world_sound();
}

TEST(backend_reconcile_during_leave_waits_for_it) {
    mcpsess_backend_desc d = world_desc_shared();
    world_start_as(&d);
    world_put(A, WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    br.managers[0].net.hang = true;
    CHECK_EQ(world_begin(0, 0, WORLD_LEAVE, 0), MCPSESS_PENDING);
    CHECK_EQ(world_begin(1, 0, WORLD_RECONCILE, 0), MCPSESS_PENDING);
    pass(WORLD_LEASE);
    CHECK_EQ(mcpsess_op_rc(&br.asks[0].op.op), MCPSESS_OK);
    CHECK_EQ(mcpsess_op_rc(&br.asks[1].op.op), MCPSESS_OK);
    world_sound();
}

/* Who asks for the address of one that is down does not put off its start. */
TEST(backend_that_waits_for_its_start_is_not_put_off_by_other_operations) {
    unsigned n;
    world_start_with(WORLD_STOPPED);
    keep(A);
    pass(0);
    die(A);
    for (n = 1; n < 10; n++) {
        pass(WORLD_BACKOFF / 10u);
        CHECK_EQ(world_do(WORLD_ADDRESS_OF, A), MCPSESS_E_NO_ADDRESS);
    }
    CHECK_EQ(world_info(0, A).tries, 1);
    pass(WORLD_BACKOFF / 10u);
    CHECK(br.backends[A].running);
    world_sound();
}

/* Only reconcile has no time to wait. */
TEST(backend_that_is_kept_waits_between_the_tries_of_a_network) {
    world_start_with(WORLD_STOPPED);
    br.backends[A].address = "";
    keep(A);
    pass(WORLD_WAIT - 1u);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_NETWORK_UP], 1);
    pass(1);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_NETWORK_UP], 2);
    world_sound();
}

TEST(backend_that_died_had_run_since_it_was_started_or_first_seen_to) {
    unsigned seen;
    for (seen = 0; seen < 2; seen++) {
        world_start_with(seen == 0 ? WORLD_STOPPED : WORLD_RUNNING);
        br.watched = MCPSESS_ITEM_BACKEND_DIED;
        CHECK_DONE(world_do(WORLD_START, A));
        pass(30);
        CHECK_DONE(world_do(WORLD_ENSURE, A));
        pass(40);
        die(A);
        CHECK_EQ(br.item_number, 70);
    }
}

void test_backend_keep(void) {
    RUN(backend_that_is_kept_is_started);
    RUN(backend_that_died_is_started_again_after_a_backoff_that_grows);
    RUN(backend_that_cannot_be_started_is_tried_again_after_a_backoff_that_grows);
    RUN(backend_that_is_kept_is_looked_at);
    RUN(backend_that_is_not_to_be_looked_at_is_left_alone);
    RUN(backend_that_is_not_kept_any_more_stays_as_it_is);
    RUN(backend_that_died_and_is_not_kept_is_stopped);
    RUN(backend_lanes_bound_how_many_are_started_at_a_time);
    RUN(backend_that_hangs_does_not_keep_others_from_being_asked_for);
    RUN(backend_that_was_never_looked_at_and_is_not_kept_needs_no_room);
    RUN(backend_reconcile_starts_what_is_to_be_kept);
    RUN(backend_reconcile_looks_at_what_is_not_to_be_kept);
    RUN(backend_reconcile_of_one_that_fails_goes_on_with_the_others);
    RUN(backend_reconcile_does_not_wait_between_the_tries_of_a_network);
    RUN(backend_reconcile_that_cannot_list_says_so);
    RUN(backend_reconcile_and_leave_are_due_when_another_operation_is_over);
    RUN(backend_reconcile_does_not_wait_for_what_is_not_to_be_kept_any_more);
    RUN(backend_reconcile_during_leave_waits_for_it);
    RUN(backend_that_waits_for_its_start_is_not_put_off_by_other_operations);
    RUN(backend_that_is_kept_waits_between_the_tries_of_a_network);
    RUN(backend_that_died_had_run_since_it_was_started_or_first_seen_to);
}
