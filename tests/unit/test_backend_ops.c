/* backend: operations as such (ids, exclusivity, time, cancel), what is known, the address book, reconcile, keep */

#include "backend_rig.h"

#define A 0u
#define B 1u
#define C 2u

static mcpsess_backend_manager *m0(void) {
    return &br.managers[0].m;
}

/* ---- ids, arguments ---- */

static int with_id(uint8_t kind, mcpsess_str id) {
    mcpsess_backend_op *op = &br.asks[0].op;
    switch (kind) {
    case WORLD_ENSURE: return mcpsess_backend_ensure(m0(), op, id, br.now_ms);
    case WORLD_START: return mcpsess_backend_start(m0(), op, id, br.now_ms);
    case WORLD_STOP_IT: return mcpsess_backend_stop(m0(), op, id, br.now_ms);
    case WORLD_DEL: return mcpsess_backend_del(m0(), op, id, false, br.now_ms);
    case WORLD_EXPORT: return mcpsess_backend_export(m0(), op, id, MCPSESS_STR("file"), br.now_ms);
    case WORLD_IMPORT: return mcpsess_backend_import(m0(), op, id, MCPSESS_STR("file"), br.now_ms);
    case WORLD_DISCARD: return mcpsess_backend_discard(m0(), op, id, br.now_ms);
    case WORLD_ADDRESS_OF: return mcpsess_backend_address(m0(), op, id, &br.asks[0].out, br.now_ms);
    case WORLD_LIST: return mcpsess_backend_found(m0(), id);
    default: return mcpsess_backend_keep(m0(), id, true, br.now_ms);
    }
}

/* spec 5.2, 1: before anything is asked */
TEST(backend_id_is_checked_before_anything_is_asked) {
    static const uint8_t kinds[] = {WORLD_ENSURE, WORLD_START,   WORLD_STOP_IT,    WORLD_DEL,  WORLD_EXPORT,
                                    WORLD_IMPORT, WORLD_DISCARD, WORLD_ADDRESS_OF, WORLD_LIST, WORLD_NOTHING};
    static const char *const bad[] = {"", "a/b", "../a", "a b", "a.b", "a:b", "a\n"};
    char longest[MCPSESS_BACKEND_ID_MAX + 1u];
    unsigned k, n;
    world_start();
    for (k = 0; k < COUNT_OF(kinds); k++) {
        for (n = 0; n < COUNT_OF(bad); n++) CHECK_EQ(with_id(kinds[k], mcpsess_str_z(bad[n])), MCPSESS_E_ID);
        CHECK_EQ(with_id(kinds[k], str_fill(longest, 'a', sizeof longest)), MCPSESS_E_ID);
    }
    for (n = 0; n < 256; n++) {
        bool good = (n >= '0' && n <= '9') || (n >= 'A' && n <= 'Z') || (n >= 'a' && n <= 'z') || n == '-' || n == '_';
        CHECK_EQ(mcpsess_backend_found(m0(), str_byte(n)) == MCPSESS_E_ID, !good);
    }
    CHECK_EQ(br.calls, 0);
}

TEST(backend_operation_that_cannot_be_begun) {
    mcpsess_backend_op *op = &br.asks[0].op;
    mcpsess_backend_info info;
    uint16_t cursor = 0;
    world_start_with(WORLD_STOPPED);
    CHECK_EQ(mcpsess_backend_start(NULL, op, world_id(A), 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_start(m0(), NULL, world_id(A), 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_start(m0(), op, str_broken(), 1), MCPSESS_E_ID);
    CHECK_EQ(mcpsess_backend_export(m0(), op, world_id(A), mcpsess_str_of(NULL, 0), 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_import(m0(), op, world_id(A), str_broken(), 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_address(m0(), op, world_id(A), NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_list(NULL, op, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_leave(m0(), NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_get(m0(), world_id(A), 1, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_get(m0(), world_id(A), 1, &info), MCPSESS_MISS);
    CHECK_EQ(mcpsess_backend_next(m0(), NULL, 1, &info), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_next(m0(), &cursor, 1, &info), MCPSESS_END);
    CHECK_EQ(mcpsess_backend_died(m0(), world_id(A), 1), MCPSESS_MISS);
    CHECK_EQ(mcpsess_backend_moved(m0(), world_id(A), MCPSESS_STR("x")), MCPSESS_MISS);
    CHECK_EQ(br.calls, 0);
    br.managers[0].takes_ms = 10;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_backend_stop(m0(), op, world_id(A), br.now_ms), MCPSESS_E_STATE);
    CHECK_DONE(world_end(0));
}

TEST(backend_desc_out_of_range_is_refused) {
    MCPSESS_BACKEND_STORAGE(mem, 1, 8, 1);
    mcpsess_backend_manager m;
    mcpsess_backend_desc d = world_desc(), good;
    d.capacity = 1;
    d.address_max = 8;
    good = d;
    CHECK_EQ(mcpsess_backend_bytes(&d), sizeof mem.bytes);
    CHECK_EQ(mcpsess_backend_init(&m, &d, mem.bytes, sizeof mem.bytes), MCPSESS_OK);
    CHECK_EQ(mcpsess_backend_init(&m, &d, mem.bytes, sizeof mem.bytes - 1u), MCPSESS_E_NOMEM);
    if (ALIGNMENT > 1) CHECK_EQ(mcpsess_backend_init(&m, &d, mem.bytes + 1, sizeof mem.bytes), MCPSESS_E_ALIGN);
    CHECK_EQ(mcpsess_backend_init(NULL, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_init(&m, NULL, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_backend_init(&m, &d, NULL, sizeof mem.bytes), MCPSESS_E_ARG);
    d.capacity = 0;
    CHECK_EQ(mcpsess_backend_bytes(&d), 0);
    d.capacity = 65535u;
    CHECK_EQ(mcpsess_backend_bytes(&d), 0);
    CHECK_EQ(mcpsess_backend_bytes(NULL), 0);
    d = good;
    d.driver.inspect = NULL;
    CHECK_EQ(mcpsess_backend_init(&m, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    d = good;
    d.driver.start = NULL;
    CHECK_EQ(mcpsess_backend_init(&m, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    d = good;
    d.driver.stop = NULL;
    CHECK_EQ(mcpsess_backend_init(&m, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    d = good;
    d.driver.import_data = NULL; /* a copy that is found could not be restored */
    CHECK_EQ(mcpsess_backend_init(&m, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    d = world_desc_shared();
    d.capacity = 1;
    d.random = NULL;
    CHECK_EQ(mcpsess_backend_init(&m, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
}

/* ---- one after the other, and at the same time ---- */

TEST(backend_operations_on_one_go_in_the_order_in_which_they_were_begun) {
    world_start_with(WORLD_STOPPED);
    br.managers[0].takes_ms = 10;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    CHECK_EQ(world_begin(1, 0, WORLD_DEL, A), MCPSESS_PENDING);
    CHECK_EQ(world_begin(2, 0, WORLD_ENSURE, A), MCPSESS_PENDING);
    CHECK(world_info(0, A).busy);
    world_loop(2000);
    CHECK_TRACE("inspect stat_copy:MISS start network_up inspect network_down stop remove "
                "inspect:MISS find_orphan:MISS create");
    CHECK(world_poll(0) == MCPSESS_OK && world_poll(1) == MCPSESS_OK && world_poll(2) == MCPSESS_OK);
    CHECK(!world_info(0, A).busy);
    world_sound();
}

TEST(backend_operations_on_two_do_not_wait_for_each_other) {
    world_start_with(WORLD_STOPPED);
    world_put(B, WORLD_STOPPED);
    br.managers[0].takes_ms = 10;
    br.trace_ids = true;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    CHECK_EQ(world_begin(1, 0, WORLD_START, B), MCPSESS_PENDING);
    world_loop(1000 + 4u * 10u);
    CHECK(world_poll(0) == MCPSESS_OK && world_poll(1) == MCPSESS_OK);
    CHECK_TRACE("a1.inspect b2.inspect a1.stat_copy:MISS b2.stat_copy:MISS a1.start b2.start a1.network_up "
                "b2.network_up");
    world_sound();
}

TEST(backend_operation_that_waits_may_be_late_or_canceled) {
    world_start_with(WORLD_STOPPED);
    br.managers[0].takes_ms = 100;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    br.asks[1].op.op.timeout_ms = 50;
    CHECK_EQ(world_begin(1, 0, WORLD_STOP_IT, A), MCPSESS_PENDING);
    CHECK_EQ(world_begin(2, 0, WORLD_DEL, A), MCPSESS_PENDING);
    CHECK_EQ(world_begin(3, 0, WORLD_ENSURE, A), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&br.asks[1].op.op, br.now_ms), 1050);
    mcpsess_cancel(&br.asks[2].op.op);
    world_loop(1050);
    CHECK_EQ(mcpsess_op_rc(&br.asks[1].op.op), MCPSESS_E_TIMEOUT);
    CHECK_EQ(mcpsess_op_rc(&br.asks[2].op.op), MCPSESS_E_CANCELED);
    CHECK(mcpsess_op_rc(&br.asks[0].op.op) == MCPSESS_PENDING && mcpsess_op_rc(&br.asks[3].op.op) == MCPSESS_PENDING);
    world_loop(2000);
    CHECK_TRACE("inspect stat_copy:MISS start network_up inspect");
    CHECK(br.backends[A].running);
    world_sound();
}

TEST(backend_operation_says_when_to_poll_it) {
    world_start_with(WORLD_STOPPED);
    br.managers[0].takes_ms = 10;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&br.asks[0].op.op, br.now_ms), 1010);
    CHECK((mcpsess_want(&br.asks[0].op.op) & MCPSESS_WANT_TIME) != 0);
    CHECK_DONE(world_end(0));
    CHECK_EQ(br.now_ms, 1040);
    CHECK(mcpsess_next_due(&br.asks[0].op.op, br.now_ms) == MCPSESS_NEVER && mcpsess_want(&br.asks[0].op.op) == 0);
}

/* ---- time, cancel, close ---- */

TEST(backend_step_that_is_late_is_canceled_and_has_failed) {
    world_start_with(WORLD_STOPPED);
    br.fault_of = MCPSESS_BACKEND_START;
    br.fate = WORLD_LATE;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_TIMEOUT, MCPSESS_BACKEND_START);
    CHECK_TRACE("inspect stat_copy:MISS start:canceled stop");
    CHECK_EQ(br.now_ms, 1000 + WORLD_STEP);
    CHECK(br.late == 1 && !br.backends[A].running);
    CHECK_EQ(m0()->stats.late, 1);
    world_start_with(WORLD_RUNNING);
    br.fault_of = MCPSESS_BACKEND_STOP;
    br.fate = WORLD_HANGS;
    CHECK_END(world_do(WORLD_STOP_IT, A), MCPSESS_E_TIMEOUT, MCPSESS_BACKEND_STOP);
    CHECK_EQ(br.now_ms, 1000 + WORLD_STOP);
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_UNKNOWN);
}

TEST(backend_operation_that_is_late_begins_nothing_but_what_undoes) {
    world_start_with(WORLD_RUNNING);
    br.managers[0].takes_ms = 100;
    br.asks[0].op.op.timeout_ms = 350; /* in the midst of export_data */
    CHECK_END(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_E_TIMEOUT, MCPSESS_BACKEND_EXPORT);
    CHECK_TRACE("inspect stat_copy:MISS stop export_data:canceled start network_up");
    CHECK(br.backends[A].running);
    world_start_with(WORLD_STOPPED);
    br.managers[0].takes_ms = 100;
    br.asks[0].op.op.timeout_ms = 150; /* nothing to be undone */
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_TIMEOUT, MCPSESS_BACKEND_STAT_COPY);
    CHECK_TRACE("inspect stat_copy:canceled");
}

TEST(backend_operation_that_is_canceled_leaves_it_unknown) {
    world_start_with(WORLD_STOPPED);
    br.managers[0].takes_ms = 10;
    br.fault_of = MCPSESS_BACKEND_START;
    br.fate = WORLD_LATE;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    world_loop(1100);
    mcpsess_cancel(&br.asks[0].op.op);
    CHECK_EQ(mcpsess_op_rc(&br.asks[0].op.op), MCPSESS_E_CANCELED);
    CHECK_TRACE("inspect stat_copy:MISS start:canceled");
    CHECK_STATE(MCPSESS_BACKEND_UNKNOWN, "");
    br.fault_of = 0;
    CHECK_DONE(world_do(WORLD_ENSURE, A)); /* as after a crash */
    CHECK_TRACE("inspect");
    CHECK(br.late == 1 && br.backends[A].running);
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_RUNNING);
}

TEST(backend_step_that_cannot_be_begun_has_failed) {
    world_start_with(WORLD_STOPPED);
    br.fault_of = MCPSESS_BACKEND_START;
    br.fate = WORLD_NOT_BEGUN;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_FULL, MCPSESS_BACKEND_START);
    CHECK(!br.backends[A].running);
}

TEST(backend_close_ends_what_is_under_way) {
    unsigned n;
    world_start_with(WORLD_STOPPED);
    world_put(B, WORLD_STOPPED);
    br.managers[0].takes_ms = 10;
    CHECK_EQ(world_begin(0, 0, WORLD_START, A), MCPSESS_PENDING);
    CHECK_EQ(world_begin(1, 0, WORLD_STOP_IT, A), MCPSESS_PENDING);
    CHECK_EQ(world_begin(2, 0, WORLD_START, B), MCPSESS_PENDING);
    CHECK_EQ(world_begin(3, 0, WORLD_LIST, 0), MCPSESS_PENDING);
    mcpsess_backend_close(m0());
    for (n = 0; n < WORLD_ASKS; n++) CHECK_EQ(mcpsess_op_rc(&br.asks[n].op.op), MCPSESS_E_CLOSED);
    for (n = 0; n < WORLD_JOBS; n++) CHECK(!br.jobs[n].open);
    world_sound();
}

/* ---- what is known ---- */

TEST(backend_table_holds_what_is_not_absent) {
    unsigned b;
    mcpsess_backend_desc d = world_desc();
    d.capacity = 2;
    world_start_as(&d);
    CHECK_EQ(world_do(WORLD_START, A), MCPSESS_OK);
    CHECK_EQ(world_do(WORLD_START, B), MCPSESS_OK);
    world_clear_trace();
    CHECK_EQ(world_do(WORLD_START, C), MCPSESS_E_FULL);
    CHECK_EQ(mcpsess_backend_keep(m0(), world_id(C), true, br.now_ms), MCPSESS_E_FULL);
    CHECK_EQ(mcpsess_backend_found(m0(), world_id(C)), MCPSESS_E_FULL);
    CHECK_TRACE("");
    CHECK_EQ(world_do(WORLD_DEL, A), MCPSESS_OK);
    CHECK_EQ(world_do(WORLD_START, C), MCPSESS_OK);
    CHECK_EQ(world_do(WORLD_STOP_IT, A), MCPSESS_E_FULL);
    CHECK_EQ(world_do(WORLD_DEL, C), MCPSESS_OK);
    for (b = 0; b < 5; b++) CHECK_EQ(world_do(WORLD_STOP_IT, A), MCPSESS_MISS); /* one that is absent needs none */
    world_sound();
}

static unsigned known(void) {
    mcpsess_backend_info info;
    uint16_t cursor = 0;
    unsigned n = 0;
    while (mcpsess_backend_next(m0(), &cursor, br.now_ms, &info) == MCPSESS_OK) n++;
    return n;
}

TEST(backend_list_makes_known_what_there_is) {
    world_start_with(WORLD_RUNNING);
    world_put(B, WORLD_COPIED);
    world_put(C, WORLD_STOPPED);
    CHECK_EQ(known(), 0);
    CHECK_DONE(world_do(WORLD_LIST, 0));
    CHECK_EQ(br.asks[0].op.op.count, 2);
    CHECK_EQ(known(), 2);
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_UNKNOWN);
    CHECK_EQ(world_do(WORLD_LIST, 0), MCPSESS_OK);
    CHECK_EQ(br.asks[0].op.op.count, 2);
    CHECK_EQ(known(), 2);
    CHECK_TRACE("list list");
    br.fault_of = MCPSESS_BACKEND_LIST;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_LIST, 0), MCPSESS_E_IO, MCPSESS_BACKEND_LIST);
}

TEST(backend_info_tells_of_the_last_operation) {
    mcpsess_backend_info info;
    world_start_with(WORLD_STOPPED);
    br.fault_of = MCPSESS_BACKEND_START;
    br.fate = WORLD_FAILS;
    CHECK_EQ(world_do(WORLD_START, A), MCPSESS_E_IO);
    info = world_info(0, A);
    CHECK(mcpsess_str_eq(info.id, world_id(A)));
    CHECK(info.step == MCPSESS_BACKEND_START && info.rc == MCPSESS_E_IO && !info.kept && !info.busy);
    CHECK(info.fence == 0 && info.lease_left_ms == MCPSESS_NEVER && info.due_ms == MCPSESS_NEVER);
    br.fault_of = 0;
    CHECK_EQ(world_do(WORLD_START, A), MCPSESS_OK);
    info = world_info(0, A);
    CHECK(info.step == MCPSESS_BACKEND_NO_STEP && info.rc == MCPSESS_OK);
}

/* ---- the address book; spec 5.2, 3 ---- */

static int address(void) {
    return world_do(WORLD_ADDRESS_OF, A);
}

TEST(backend_address_is_known_or_inspected_or_brought_up) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(address());
    CHECK_STR(mcpsess_buf_str(&br.asks[0].out), "addr-a");
    CHECK_TRACE("inspect");
    CHECK_DONE(address());
    CHECK_STR(mcpsess_buf_str(&br.asks[0].out), "addr-a");
    CHECK_TRACE("");
    world_start_with(WORLD_RUNNING);
    br.backends[A].labelled = false;
    CHECK_DONE(address());
    CHECK_STR(mcpsess_buf_str(&br.asks[0].out), "addr-a");
    CHECK_TRACE("inspect network_up");
    CHECK_DONE(address());
    CHECK_TRACE("");
}

TEST(backend_address_that_is_empty_is_never_known) {
    world_start_with(WORLD_RUNNING);
    br.backends[A].address = "";
    CHECK_END(address(), MCPSESS_E_NO_ADDRESS, MCPSESS_BACKEND_NETWORK_UP);
    CHECK_TRACE("inspect network_up network_up");
    CHECK_EQ(br.now_ms, 1000 + WORLD_WAIT);
    CHECK(br.backends[A].running);
    br.backends[A].address = "addr-a";
    CHECK_DONE(address());
    CHECK_TRACE("inspect network_up");
}

TEST(backend_address_is_tried_again_after_a_wait_and_twice_that) {
    mcpsess_backend_desc d = world_desc();
    d.network_tries = 4;
    world_start_as(&d);
    world_put(A, WORLD_RUNNING);
    br.backends[A].address = "";
    CHECK_EQ(world_begin(0, 0, WORLD_ADDRESS_OF, A), MCPSESS_PENDING);
    CHECK_EQ(world_end(0), MCPSESS_E_NO_ADDRESS);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_NETWORK_UP], 4);
    CHECK_EQ(br.now_ms, 1000 + (1u + 2u + 4u) * WORLD_WAIT);
    world_sound();
}

TEST(backend_address_of_what_does_not_run_there_is_none) {
    world_start_with(WORLD_STOPPED);
    CHECK_EQ(address(), MCPSESS_E_NO_ADDRESS);
    CHECK_TRACE("inspect");
    world_put(A, WORLD_ABSENT);
    CHECK_EQ(address(), MCPSESS_MISS);
    world_sound();
}

TEST(backend_address_needs_room) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(address());
    mcpsess_buf_init(&br.asks[0].out, br.asks[0].mem, 5);
    CHECK_EQ(mcpsess_backend_address(m0(), &br.asks[0].op, world_id(A), &br.asks[0].out, br.now_ms), MCPSESS_E_TOOBIG);
    CHECK_EQ(br.asks[0].op.op.need, 6);
}

TEST(backend_address_longer_than_its_bound_is_none) {
    world_start_with(WORLD_STOPPED);
    br.backends[A].labelled = false;
    br.backends[A].address = "0123456789abcdefg";
    CHECK_EQ(world_do(WORLD_START, A), MCPSESS_E_TOOBIG);
    CHECK(!br.backends[A].running);
    world_sound();
}

TEST(backend_address_that_changed_is_told_to_the_pool) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(address());
    CHECK_EQ(br.dropped, 0);
    CHECK_EQ(mcpsess_backend_moved(m0(), world_id(A), MCPSESS_STR("")), MCPSESS_OK);
    CHECK_EQ(mcpsess_backend_moved(m0(), world_id(A), MCPSESS_STR("addr-a")), MCPSESS_OK);
    CHECK_EQ(br.dropped, 0);
    CHECK_EQ(mcpsess_backend_moved(m0(), world_id(A), MCPSESS_STR("other")), MCPSESS_OK);
    CHECK_EQ(br.dropped, 1);
    CHECK(mcpsess_str_eq(mcpsess_str_z(br.dropped_address), MCPSESS_STR("addr-a")));
    CHECK_STR(world_info(0, A).address, "other");
    CHECK_EQ(mcpsess_backend_moved(m0(), world_id(A), MCPSESS_STR("0123456789abcdefg")), MCPSESS_E_TOOBIG);
    CHECK_STR(world_info(0, A).address, "other");
    CHECK_DONE(world_do(WORLD_START, A)); /* inspect says that it is another one */
    CHECK_EQ(br.dropped, 2);
    CHECK_STR(world_info(0, A).address, "addr-a");
    CHECK_DONE(world_do(WORLD_DEL, A));
    CHECK_EQ(br.dropped, 3);
    CHECK_EQ(br.items[MCPSESS_ITEM_ADDRESS_KNOWN], 3);
    CHECK_EQ(br.items[MCPSESS_ITEM_ADDRESS_DROPPED], 3);
}

/* The driver may tell of an address, or of an end, while a step is under way. */
TEST(backend_address_is_none_of_what_was_stopped_or_died_meanwhile) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_ADDRESS_OF, A));
    br.managers[0].takes_ms = 10;
    CHECK_EQ(world_begin(1, 0, WORLD_STOP_IT, A), MCPSESS_PENDING);
    br.now_ms += 10;
    CHECK_EQ(world_poll(1), MCPSESS_PENDING); /* inspected; it is being stopped */
    CHECK_EQ(mcpsess_backend_moved(m0(), world_id(A), MCPSESS_STR("addr-z")), MCPSESS_OK);
    CHECK_EQ(world_end(1), MCPSESS_OK);
    CHECK_STATE(MCPSESS_BACKEND_STOPPED, "");
    CHECK_EQ(br.dropped, 2);
    CHECK_EQ(world_begin(1, 0, WORLD_START, A), MCPSESS_PENDING);
    while (br.steps[MCPSESS_BACKEND_NETWORK_UP] == 0) {
        br.now_ms += 10;
        CHECK_EQ(world_poll(1), MCPSESS_PENDING);
    }
    CHECK_EQ(mcpsess_backend_died(m0(), world_id(A), br.now_ms), MCPSESS_OK);
    CHECK_EQ(world_end(1), MCPSESS_OK);
    CHECK_STATE(MCPSESS_BACKEND_STOPPED, "");
    world_sound();
}

TEST(backend_address_that_inspect_tells_needs_no_network) {
    mcpsess_backend_desc d = world_desc();
    d.driver.network_up = NULL;
    world_start_as(&d);
    world_put(A, WORLD_RUNNING);
    CHECK_DONE(address());
    CHECK_STR(mcpsess_buf_str(&br.asks[0].out), "addr-a");
    CHECK_TRACE("inspect");
    CHECK_EQ(world_do(WORLD_ADDRESS_OF, B), MCPSESS_MISS);
}

/* What was asked for of one that is absent leaves nothing behind. */
TEST(backend_that_is_absent_needs_no_room) {
    static const uint8_t kinds[] = {WORLD_STOP_IT, WORLD_DEL,     WORLD_DEL_PRESERVE, WORLD_EXPORT,
                                    WORLD_IMPORT,  WORLD_DISCARD, WORLD_ADDRESS_OF};
    unsigned n;
    for (n = 0; n < COUNT_OF(kinds); n++) {
        world_start();
        CHECK_EQ(world_do(kinds[n], A), MCPSESS_MISS);
        CHECK_EQ(known(), 0);
    }
}

TEST(backend_that_is_found_not_to_run_has_no_address) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(address());
    br.fault_of = MCPSESS_BACKEND_INSPECT;
    br.fate = WORLD_HANGS;
    CHECK_EQ(world_begin(0, 0, WORLD_ENSURE, A), MCPSESS_PENDING);
    mcpsess_cancel(&br.asks[0].op.op);
    CHECK_STATE(MCPSESS_BACKEND_UNKNOWN, "addr-a");
    br.fault_of = 0;
    world_die(A);
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    CHECK_STATE(MCPSESS_BACKEND_STOPPED, "");
    CHECK_EQ(br.dropped, 1);
    CHECK_EQ(address(), MCPSESS_E_NO_ADDRESS);
}

/* Not even one that would be done at once. */
TEST(backend_operation_that_is_late_does_not_try_again) {
    world_start_with(WORLD_STOPPED);
    br.fault_at = 4;
    br.fate = WORLD_FAILS;
    br.asks[0].op.op.timeout_ms = 100;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_TIMEOUT, MCPSESS_BACKEND_NETWORK_UP);
    CHECK_TRACE("inspect stat_copy:MISS start network_up:failed stop");
    CHECK_EQ(br.now_ms, 1100);
}

/* The key of a lease is two bytes longer: with less than three for a key there is no id. */
#undef MCPSESS_ID_MAX
#define MCPSESS_ID_MAX 1
TEST(backend_id_has_no_room_where_keys_are_shortest) {
    CHECK_EQ(MCPSESS_BACKEND_ID_MAX, 0u);
}

void test_backend_ops(void) {
    RUN(backend_id_is_checked_before_anything_is_asked);
    RUN(backend_operation_that_cannot_be_begun);
    RUN(backend_desc_out_of_range_is_refused);
    RUN(backend_operations_on_one_go_in_the_order_in_which_they_were_begun);
    RUN(backend_operations_on_two_do_not_wait_for_each_other);
    RUN(backend_operation_that_waits_may_be_late_or_canceled);
    RUN(backend_operation_says_when_to_poll_it);
    RUN(backend_step_that_is_late_is_canceled_and_has_failed);
    RUN(backend_operation_that_is_late_begins_nothing_but_what_undoes);
    RUN(backend_operation_that_is_canceled_leaves_it_unknown);
    RUN(backend_step_that_cannot_be_begun_has_failed);
    RUN(backend_close_ends_what_is_under_way);
    RUN(backend_table_holds_what_is_not_absent);
    RUN(backend_list_makes_known_what_there_is);
    RUN(backend_info_tells_of_the_last_operation);
    RUN(backend_address_is_known_or_inspected_or_brought_up);
    RUN(backend_address_that_is_empty_is_never_known);
    RUN(backend_address_is_tried_again_after_a_wait_and_twice_that);
    RUN(backend_address_of_what_does_not_run_there_is_none);
    RUN(backend_address_needs_room);
    RUN(backend_address_longer_than_its_bound_is_none);
    RUN(backend_address_that_changed_is_told_to_the_pool);
    RUN(backend_address_is_none_of_what_was_stopped_or_died_meanwhile);
    RUN(backend_address_that_inspect_tells_needs_no_network);
    RUN(backend_that_is_absent_needs_no_room);
    RUN(backend_that_is_found_not_to_run_has_no_address);
    RUN(backend_operation_that_is_late_does_not_try_again);
    RUN(backend_id_has_no_room_where_keys_are_shortest);
}
