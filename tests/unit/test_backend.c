/* backend: what the driver is asked for, in which order, on every path; spec/memoh.md 5.2 and 5.5 */

#include "backend_rig.h"

#define A 0u

/* ---- ensure ---- */

TEST(backend_ensure_creates_what_is_absent) {
    world_start_with(WORLD_ABSENT);
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    CHECK_TRACE("inspect:MISS find_orphan:MISS create");
    CHECK(br.backends[A].present && !br.backends[A].running);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_CREATED], 1);
    CHECK_EQ(br.managers[0].m.stats.created, 1);
}

TEST(backend_ensure_again_changes_nothing) {
    world_start_with(WORLD_ABSENT);
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    world_clear_trace();
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    CHECK_TRACE("inspect");
    CHECK_EQ(br.managers[0].m.stats.created, 1);
    world_put(A, WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    CHECK_TRACE("inspect");
    CHECK(br.backends[A].running);
}

/* "already exists" is success: somebody else was faster */
static uint8_t somebody_creates(world_job *j) {
    if (j->step == MCPSESS_BACKEND_CREATE) br.backends[A].present = true;
    return WORLD_WELL;
}

TEST(backend_ensure_takes_what_another_created) {
    world_start_with(WORLD_ABSENT);
    br.choose = somebody_creates;
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    CHECK_TRACE("inspect:MISS find_orphan:MISS create:EXISTS");
    CHECK_EQ(br.managers[0].m.stats.created, 0);
}

TEST(backend_ensure_recovers_an_orphan_before_it_creates) {
    world_start_with(WORLD_ORPHANED);
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    CHECK_TRACE("inspect:MISS find_orphan stat_copy:MISS export_data keep_copy stat_copy create");
    CHECK(br.backends[A].copy == br.backends[A].needed);
    CHECK_EQ(br.items[MCPSESS_ITEM_ORPHAN_RECOVERED], 1);
    CHECK_EQ(br.managers[0].m.stats.recovered, 1);
}

TEST(backend_orphan_whose_data_is_in_a_copy_is_not_exported_over_it) {
    world_start_with(WORLD_ORPHANED);
    br.backends[A].copy = br.backends[A].needed;
    br.backends[A].copy_bytes = 100;
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    CHECK_TRACE("inspect:MISS find_orphan stat_copy create");
    CHECK_EQ(br.managers[0].m.stats.recovered, 0);
}

/* spec 5.4: only a clear "there is none" makes it look for an orphan, and create */
TEST(backend_that_cannot_be_inspected_is_not_created) {
    world_start_with(WORLD_ORPHANED);
    br.fault_of = MCPSESS_BACKEND_INSPECT;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_IO, MCPSESS_BACKEND_INSPECT);
    CHECK_TRACE("inspect:failed");
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_FAILED], 1);
    CHECK(br.item_number == MCPSESS_BACKEND_INSPECT + 0x100u * 13u);
}

/* spec 5.2, 10: what comes out empty is no copy */
TEST(backend_orphan_of_which_nothing_comes_is_not_given_up) {
    world_start_with(WORLD_ORPHANED);
    br.backends[A].exports_nothing = true;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_NOT_PRESERVED, MCPSESS_BACKEND_STAT_COPY);
    CHECK_TRACE("inspect:MISS find_orphan stat_copy:MISS export_data keep_copy stat_copy");
    CHECK(br.backends[A].orphan == br.backends[A].needed && !br.backends[A].present);
}

TEST(backend_orphan_that_cannot_be_recovered_may_be_left) {
    mcpsess_backend_desc d = world_desc();
    d.skip_orphans = true;
    world_start_as(&d);
    world_put(A, WORLD_ORPHANED);
    br.fault_of = MCPSESS_BACKEND_EXPORT;
    br.fate = WORLD_FAILS;
    CHECK_EQ(world_do(WORLD_ENSURE, A), MCPSESS_OK);
    CHECK_TRACE("inspect:MISS find_orphan stat_copy:MISS export_data:failed create");
    CHECK_EQ(br.items[MCPSESS_ITEM_STEP_FAILED], 1);
    CHECK_EQ(br.backends[A].orphan, br.backends[A].needed); /* create leaves it alone */
    world_sound();
}

/* ---- start ---- */

TEST(backend_start_of_an_absent_one) {
    world_start_with(WORLD_ABSENT);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect:MISS find_orphan:MISS create stat_copy:MISS start network_up");
    CHECK_STATE(MCPSESS_BACKEND_RUNNING, "addr-a");
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_STARTED], 1);
    CHECK_EQ(br.managers[0].m.stats.started, 1);
    CHECK_EQ(br.managers[0].m.stats.steps, 6);
}

/* spec 5.5: get(NotFound), snapshotMounts, tar to backup, create, backupExists, restore, removeBackup, startTask,
   setupNetwork */
TEST(backend_start_of_an_orphan_restores_its_data) {
    world_start_with(WORLD_ORPHANED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect:MISS find_orphan stat_copy:MISS export_data keep_copy stat_copy create stat_copy import_data "
                "drop_copy start network_up");
    CHECK(world_has_all(A) && br.backends[A].running);
    CHECK_EQ(br.items[MCPSESS_ITEM_DATA_RESTORED], 1);
    CHECK_EQ(br.managers[0].m.stats.restored, 1);
}

TEST(backend_start_restores_the_preserved_copy) {
    world_start_with(WORLD_COPIED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect:MISS find_orphan:MISS create stat_copy import_data drop_copy start network_up");
    CHECK(world_has_all(A) && br.backends[A].running);
}

TEST(backend_start_of_a_stopped_one) {
    world_start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect stat_copy:MISS start network_up");
    world_start_with(WORLD_STOPPED_COPIED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect stat_copy import_data drop_copy start network_up");
    CHECK(world_has_all(A));
}

TEST(backend_start_of_a_running_one_asks_nothing_more) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect");
    CHECK_STATE(MCPSESS_BACKEND_RUNNING, "addr-a");
    CHECK_EQ(br.managers[0].m.stats.started, 0);
    world_start_with(WORLD_RUNNING);
    br.backends[A].labelled = false;
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect network_up");
    CHECK_STATE(MCPSESS_BACKEND_RUNNING, "addr-a");
}

/* spec 5.4: it ran on empty data, and the copy was overwritten later */
TEST(backend_start_that_cannot_restore_does_not_run_and_keeps_the_copy) {
    world_start_with(WORLD_COPIED);
    br.fault_of = MCPSESS_BACKEND_IMPORT;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_IO, MCPSESS_BACKEND_IMPORT);
    CHECK_TRACE("inspect:MISS find_orphan:MISS create stat_copy import_data:failed");
    CHECK(!br.backends[A].running && br.backends[A].copy == br.backends[A].needed);
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_STOPPED);
    CHECK(world_info(0, A).copy);
    br.fault_of = 0;
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK(world_has_all(A));
}

TEST(backend_copy_that_is_empty_is_none) {
    world_start_with(WORLD_STOPPED);
    br.backends[A].copy = 1;
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect stat_copy start network_up");
    CHECK(!world_info(0, A).copy);
}

/* spec 5.5: startTask, setupNetwork twice at most, stopForce, error */
TEST(backend_start_without_an_address_is_stopped_again) {
    world_start_with(WORLD_STOPPED);
    br.backends[A].address = "";
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_NO_ADDRESS, MCPSESS_BACKEND_NETWORK_UP);
    CHECK_TRACE("inspect stat_copy:MISS start network_up network_up stop");
    CHECK_EQ(br.now_ms, 1000 + WORLD_WAIT);
    CHECK_STATE(MCPSESS_BACKEND_STOPPED, "");
    CHECK_EQ(br.managers[0].m.stats.failed, 1);
}

TEST(backend_start_without_a_network_is_stopped_again) {
    world_start_with(WORLD_STOPPED);
    br.fault_of = MCPSESS_BACKEND_NETWORK_UP;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_IO, MCPSESS_BACKEND_NETWORK_UP);
    CHECK_TRACE("inspect stat_copy:MISS start network_up:failed network_up:failed stop");
    world_start_with(WORLD_STOPPED);
    br.fault_at = 4;
    br.fate = WORLD_FAILS;
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect stat_copy:MISS start network_up:failed network_up");
}

TEST(backend_that_ran_before_is_not_stopped_for_want_of_an_address) {
    world_start_with(WORLD_RUNNING);
    br.backends[A].address = "";
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_NO_ADDRESS, MCPSESS_BACKEND_NETWORK_UP);
    CHECK_TRACE("inspect network_up network_up");
    CHECK(br.backends[A].running);
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_RUNNING);
}

TEST(backend_that_does_not_start_is_stopped_to_be_sure) {
    world_start_with(WORLD_STOPPED);
    br.fault_of = MCPSESS_BACKEND_START;
    br.fate = WORLD_DONE_FAILS;
    CHECK_END(world_do(WORLD_START, A), MCPSESS_E_IO, MCPSESS_BACKEND_START);
    CHECK_TRACE("inspect stat_copy:MISS start:failed stop");
    CHECK(!br.backends[A].running);
}

/* ---- stop ---- */

TEST(backend_stop_stops_it) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_START, A));
    world_clear_trace();
    CHECK_DONE(world_do(WORLD_STOP_IT, A));
    CHECK_TRACE("inspect stop");
    CHECK_STATE(MCPSESS_BACKEND_STOPPED, "");
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_STOPPED], 1);
    CHECK_EQ(br.managers[0].m.stats.stopped, 1);
    CHECK_EQ(br.dropped, 1);
    CHECK(mcpsess_str_eq(mcpsess_str_z(br.dropped_address), MCPSESS_STR("addr-a")));
}

TEST(backend_stop_of_what_does_not_run) {
    world_start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_STOP_IT, A));
    CHECK_TRACE("inspect stop:MISS");
    CHECK_EQ(br.managers[0].m.stats.stopped, 0);
    world_start_with(WORLD_ABSENT);
    CHECK_EQ(world_do(WORLD_STOP_IT, A), MCPSESS_MISS);
    CHECK_TRACE("inspect:MISS");
    CHECK_EQ(br.managers[0].m.stats.failed, 0);
    world_sound();
}

/* ---- a driver that has little ---- */

TEST(backend_step_that_the_driver_has_not_is_left_out) {
    mcpsess_backend_desc d = world_desc();
    mcpsess_backend_driver least;
    memset(&least, 0, sizeof least);
    least.inspect = d.driver.inspect;
    least.start = d.driver.start;
    least.stop = d.driver.stop;
    d.driver = least;
    world_start_as(&d);
    world_put(A, WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK_TRACE("inspect start");
    CHECK_EQ(world_info(0, A).state, MCPSESS_BACKEND_RUNNING);
    CHECK_DONE(world_do(WORLD_ENSURE, A));
    CHECK_DONE(world_do(WORLD_STOP_IT, A));
    CHECK_TRACE("inspect inspect stop");
    CHECK_EQ(world_do(WORLD_EXPORT, A), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(world_do(WORLD_IMPORT, A), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(world_do(WORLD_DISCARD, A), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(world_do(WORLD_LIST, A), MCPSESS_OK);
    CHECK_EQ(world_do(WORLD_PREPARE, A), MCPSESS_OK);
    world_sound();
}

/* ---- the image; spec 5.2, 4 ---- */

TEST(backend_image_is_pulled_when_there_is_a_newer_one_or_none) {
    world_start();
    CHECK_DONE(world_do(WORLD_PREPARE, A));
    CHECK_TRACE("image_check");
    br.image_check = MCPSESS_STALE;
    CHECK_DONE(world_do(WORLD_PREPARE, A));
    CHECK_TRACE("image_check:STALE image_pull");
    br.image_check = MCPSESS_MISS;
    br.image_local = false;
    CHECK_EQ(world_do(WORLD_PREPARE, A), MCPSESS_OK);
    CHECK(br.image_local);
    world_sound();
}

TEST(backend_image_that_is_local_will_do) {
    world_start();
    br.fault_of = MCPSESS_BACKEND_IMAGE_CHECK;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_PREPARE, A), MCPSESS_OK, MCPSESS_BACKEND_IMAGE_CHECK);
    CHECK_TRACE("image_check:failed image_find");
    br.fate = WORLD_HANGS;
    CHECK_END(world_do(WORLD_PREPARE, A), MCPSESS_OK, MCPSESS_BACKEND_IMAGE_CHECK);
    CHECK_TRACE("image_check:canceled image_find");
    CHECK_EQ(br.now_ms, 1000 + WORLD_CHECK);
    br.fate = WORLD_FAILS;
    br.image_local = false;
    CHECK_END(world_do(WORLD_PREPARE, A), MCPSESS_OK, MCPSESS_BACKEND_IMAGE_CHECK);
    CHECK_TRACE("image_check:failed image_find:MISS image_pull");
    br.fault_of = MCPSESS_BACKEND_IMAGE_PULL;
    br.image_check = MCPSESS_STALE;
    CHECK_END(world_do(WORLD_PREPARE, A), MCPSESS_OK, MCPSESS_BACKEND_IMAGE_PULL);
    CHECK_TRACE("image_check:STALE image_pull:failed image_find");
    br.image_local = false;
    CHECK_END(world_do(WORLD_PREPARE, A), MCPSESS_E_IO, MCPSESS_BACKEND_IMAGE_PULL);
    CHECK_TRACE("image_check:STALE image_pull:failed image_find:MISS");
}

void test_backend(void) {
    RUN(backend_ensure_creates_what_is_absent);
    RUN(backend_ensure_again_changes_nothing);
    RUN(backend_ensure_takes_what_another_created);
    RUN(backend_ensure_recovers_an_orphan_before_it_creates);
    RUN(backend_orphan_whose_data_is_in_a_copy_is_not_exported_over_it);
    RUN(backend_that_cannot_be_inspected_is_not_created);
    RUN(backend_orphan_of_which_nothing_comes_is_not_given_up);
    RUN(backend_orphan_that_cannot_be_recovered_may_be_left);
    RUN(backend_start_of_an_absent_one);
    RUN(backend_start_of_an_orphan_restores_its_data);
    RUN(backend_start_restores_the_preserved_copy);
    RUN(backend_start_of_a_stopped_one);
    RUN(backend_start_of_a_running_one_asks_nothing_more);
    RUN(backend_start_that_cannot_restore_does_not_run_and_keeps_the_copy);
    RUN(backend_copy_that_is_empty_is_none);
    RUN(backend_start_without_an_address_is_stopped_again);
    RUN(backend_start_without_a_network_is_stopped_again);
    RUN(backend_that_ran_before_is_not_stopped_for_want_of_an_address);
    RUN(backend_that_does_not_start_is_stopped_to_be_sure);
    RUN(backend_stop_stops_it);
    RUN(backend_stop_of_what_does_not_run);
    RUN(backend_step_that_the_driver_has_not_is_left_out);
    RUN(backend_image_is_pulled_when_there_is_a_newer_one_or_none);
    RUN(backend_image_that_is_local_will_do);
}
