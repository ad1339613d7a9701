/* backend: the same for what takes its data somewhere: delete, export, import */

#include "backend_rig.h"

#define A 0u

/* ---- delete ---- */

TEST(backend_delete_drops_its_data) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_DEL, A));
    CHECK_TRACE("inspect network_down stop remove");
    CHECK(!br.backends[A].present && br.backends[A].needed == 0);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_REMOVED], 1);
    CHECK_EQ(br.managers[0].m.stats.removed, 1);
    CHECK_EQ(br.managers[0].m.stats.preserved, 0);
}

TEST(backend_delete_leaves_the_preserved_copy) {
    world_start_with(WORLD_STOPPED_COPIED);
    CHECK_DONE(world_do(WORLD_DEL, A));
    CHECK(!br.backends[A].present && br.backends[A].copy != 0);
}

TEST(backend_delete_that_preserves_has_a_copy_first) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_DEL_PRESERVE, A));
    CHECK_TRACE("inspect stat_copy:MISS stop export_data keep_copy stat_copy network_down:MISS stop:MISS remove");
    CHECK(!br.backends[A].present && br.backends[A].copy == br.backends[A].needed);
    CHECK_EQ(br.items[MCPSESS_ITEM_DATA_PRESERVED], 1);
    CHECK_EQ(br.items[MCPSESS_ITEM_BACKEND_REMOVED], 1);
    CHECK_EQ(br.managers[0].m.stats.preserved, 1);
    world_clear_trace();
    CHECK_DONE(world_do(WORLD_START, A));
    CHECK(world_has_all(A));
}

/* spec 5.5: get, mounts, stop, export(fail), start, error, and no delete */
TEST(backend_delete_that_cannot_export_starts_it_again) {
    world_start_with(WORLD_RUNNING);
    br.fault_of = MCPSESS_BACKEND_EXPORT;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_E_IO, MCPSESS_BACKEND_EXPORT);
    CHECK_TRACE("inspect stat_copy:MISS stop export_data:failed start network_up");
    CHECK(br.backends[A].running);
    CHECK_STATE(MCPSESS_BACKEND_RUNNING, "addr-a");
    world_start_with(WORLD_STOPPED);
    br.fault_of = MCPSESS_BACKEND_EXPORT;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_E_IO, MCPSESS_BACKEND_EXPORT);
    CHECK(!br.backends[A].running); /* as it was */
}

TEST(backend_delete_without_a_copy_after_all_starts_it_again) {
    world_start_with(WORLD_RUNNING);
    br.backends[A].exports_nothing = true;
    CHECK_END(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_E_NOT_PRESERVED, MCPSESS_BACKEND_STAT_COPY);
    CHECK_TRACE("inspect stat_copy:MISS stop export_data keep_copy stat_copy start network_up");
    CHECK(br.backends[A].running);
}

TEST(backend_delete_that_cannot_stop_it_deletes_nothing) {
    world_start_with(WORLD_RUNNING);
    br.fault_of = MCPSESS_BACKEND_STOP;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_E_IO, MCPSESS_BACKEND_STOP);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_EXPORT] + br.steps[MCPSESS_BACKEND_REMOVE], 0);
    CHECK(br.backends[A].running);
}

/* spec 5.2, 9: the network and the task may fail to go, the container may not */
TEST(backend_delete_goes_past_what_it_may) {
    static const uint8_t steps[] = {MCPSESS_BACKEND_NETWORK_DOWN, MCPSESS_BACKEND_STOP};
    unsigned n;
    for (n = 0; n < COUNT_OF(steps); n++) {
        world_start_with(WORLD_RUNNING);
        br.fault_of = steps[n];
        br.fate = WORLD_FAILS;
        CHECK_EQ(world_do(WORLD_DEL, A), MCPSESS_OK);
        CHECK_EQ(br.items[MCPSESS_ITEM_STEP_FAILED], 1);
        CHECK(br.item_number == 0 || !br.backends[A].present);
        CHECK(!br.backends[A].present);
        world_sound();
    }
    world_start_with(WORLD_RUNNING);
    br.fault_of = MCPSESS_BACKEND_REMOVE;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_DEL, A), MCPSESS_E_IO, MCPSESS_BACKEND_REMOVE);
    CHECK(br.backends[A].present);
}

TEST(backend_delete_of_an_absent_one) {
    world_start_with(WORLD_ORPHANED);
    CHECK_EQ(world_do(WORLD_DEL, A), MCPSESS_MISS);
    CHECK_TRACE("inspect:MISS");
    CHECK_EQ(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_MISS);
    CHECK_TRACE("inspect:MISS");
    CHECK(br.backends[A].orphan != 0);
    world_sound();
}

/* spec 5.4: an earlier copy that was not restored was overwritten */
TEST(backend_copy_that_was_not_restored_is_not_overwritten) {
    world_start_with(WORLD_STOPPED_COPIED);
    CHECK_DONE(world_do(WORLD_DEL_PRESERVE, A)); /* it has not run since: that is its data */
    CHECK_EQ(br.steps[MCPSESS_BACKEND_EXPORT], 0);
    CHECK(!br.backends[A].present && br.backends[A].copy == br.backends[A].needed);
    world_start_with(WORLD_RUNNING);
    br.backends[A].copy = 1; /* however it came there */
    br.backends[A].copy_bytes = 100;
    CHECK_END(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_EXISTS, MCPSESS_BACKEND_STAT_COPY);
    CHECK_TRACE("inspect stat_copy");
    CHECK(br.backends[A].running && br.backends[A].copy == 1);
}

TEST(backend_delete_needs_a_driver_that_can_preserve) {
    mcpsess_backend_desc d = world_desc();
    d.driver.export_data = NULL;
    world_start_as(&d);
    world_put(A, WORLD_RUNNING);
    CHECK_EQ(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_E_UNSUPPORTED);
    CHECK(br.backends[A].running);
    d = world_desc();
    d.driver.stat_copy = NULL;
    world_start_as(&d);
    world_put(A, WORLD_RUNNING);
    CHECK_EQ(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_E_UNSUPPORTED);
    CHECK(br.backends[A].running);
    CHECK_EQ(br.steps[MCPSESS_BACKEND_STOP] + br.steps[MCPSESS_BACKEND_REMOVE], 0);
    world_sound();
}

/* ---- export, import, discard ---- */

TEST(backend_export_stops_it_and_starts_it_again) {
    world_start_with(WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_EXPORT, A));
    CHECK_TRACE("inspect stop export_data start network_up");
    CHECK(br.backends[A].running && br.backends[A].file != 0 && br.backends[A].copy == 0);
    world_start_with(WORLD_STOPPED);
    CHECK_DONE(world_do(WORLD_EXPORT, A));
    CHECK_TRACE("inspect stop:MISS export_data");
    CHECK(!br.backends[A].running && br.backends[A].file == br.backends[A].needed);
    world_start_with(WORLD_ABSENT);
    CHECK_EQ(world_do(WORLD_EXPORT, A), MCPSESS_MISS);
    CHECK_TRACE("inspect:MISS");
}

TEST(backend_export_that_fails_starts_it_again) {
    world_start_with(WORLD_RUNNING);
    br.fault_of = MCPSESS_BACKEND_EXPORT;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_EXPORT, A), MCPSESS_E_IO, MCPSESS_BACKEND_EXPORT);
    CHECK_TRACE("inspect stop export_data:failed start network_up");
    CHECK(br.backends[A].running);
}

TEST(backend_import_stops_it_and_starts_it_again) {
    world_start_with(WORLD_RUNNING);
    br.backends[A].file = 1;
    CHECK_DONE(world_do(WORLD_IMPORT, A));
    CHECK_TRACE("inspect stat_copy:MISS stop import_data start network_up");
    CHECK(br.backends[A].running && br.backends[A].file == 1);
    world_start_with(WORLD_STOPPED);
    br.backends[A].file = 1;
    CHECK_DONE(world_do(WORLD_IMPORT, A));
    CHECK_TRACE("inspect stat_copy:MISS stop:MISS import_data");
    CHECK(!br.backends[A].running && br.backends[A].data == 1);
}

/* What it imports would be replaced by the copy at its next start. */
TEST(backend_import_beside_a_copy_is_refused) {
    world_start_with(WORLD_STOPPED_COPIED);
    br.backends[A].file = 1;
    CHECK_END(world_do(WORLD_IMPORT, A), MCPSESS_EXISTS, MCPSESS_BACKEND_STAT_COPY);
    CHECK_TRACE("inspect stat_copy");
}

TEST(backend_import_of_the_preserved_copy_drops_it_then) {
    world_start_with(WORLD_STOPPED_COPIED);
    CHECK_DONE(world_do(WORLD_IMPORT_COPY, A));
    CHECK_TRACE("inspect stat_copy stop:MISS import_data drop_copy");
    CHECK(world_has_all(A) && !br.backends[A].running);
    CHECK_EQ(world_do(WORLD_IMPORT_COPY, A), MCPSESS_MISS); /* spec 5.2, 11: "no preserved data found" */
    CHECK_TRACE("inspect stat_copy:MISS");
    world_start_with(WORLD_STOPPED_COPIED);
    br.fault_of = MCPSESS_BACKEND_IMPORT;
    br.fate = WORLD_FAILS;
    CHECK_END(world_do(WORLD_IMPORT_COPY, A), MCPSESS_E_IO, MCPSESS_BACKEND_IMPORT);
    CHECK(br.backends[A].copy == br.backends[A].needed && br.steps[MCPSESS_BACKEND_DROP_COPY] == 0);
}

TEST(backend_discard_drops_the_copy) {
    world_start_with(WORLD_COPIED);
    CHECK_DONE(world_do(WORLD_DISCARD, A));
    CHECK_EQ(br.backends[A].copy, 0);
    CHECK_EQ(br.items[MCPSESS_ITEM_COPY_DISCARDED], 1);
    CHECK_EQ(world_do(WORLD_DISCARD, A), MCPSESS_MISS);
    CHECK_EQ(br.items[MCPSESS_ITEM_COPY_DISCARDED], 1);
    world_sound();
}

/* ---- what can be reached only while it runs ---- */

TEST(backend_that_is_live_is_exported_first_and_stopped_then) {
    world_start_with(WORLD_RUNNING);
    br.backends[A].live = true;
    CHECK_DONE(world_do(WORLD_DEL_PRESERVE, A));
    CHECK_TRACE("inspect stat_copy:MISS export_data stop keep_copy stat_copy network_down:MISS stop:MISS remove");
    CHECK(!br.backends[A].present && br.backends[A].copy == br.backends[A].needed);
    world_start_with(WORLD_RUNNING);
    br.backends[A].live = true;
    CHECK_DONE(world_do(WORLD_EXPORT, A));
    CHECK_TRACE("inspect export_data");
    CHECK(br.backends[A].running);
}

TEST(backend_that_is_live_and_does_not_run_cannot_be_preserved) {
    world_start_with(WORLD_STOPPED);
    br.backends[A].live = true;
    CHECK_EQ(world_do(WORLD_DEL_PRESERVE, A), MCPSESS_E_STATE);
    CHECK_TRACE("inspect stat_copy:MISS");
    CHECK(br.backends[A].present);
    world_sound();
}

TEST(backend_export_without_keep_copy_is_the_copy) {
    mcpsess_backend_desc d = world_desc();
    d.driver.keep_copy = NULL;
    world_start_as(&d);
    world_put(A, WORLD_RUNNING);
    CHECK_DONE(world_do(WORLD_DEL_PRESERVE, A));
    CHECK_TRACE("inspect stat_copy:MISS stop export_data stat_copy network_down:MISS stop:MISS remove");
    CHECK_EQ(br.backends[A].copy, br.backends[A].needed);
}

void test_backend_data(void) {
    RUN(backend_delete_drops_its_data);
    RUN(backend_delete_leaves_the_preserved_copy);
    RUN(backend_delete_that_preserves_has_a_copy_first);
    RUN(backend_delete_that_cannot_export_starts_it_again);
    RUN(backend_delete_without_a_copy_after_all_starts_it_again);
    RUN(backend_delete_that_cannot_stop_it_deletes_nothing);
    RUN(backend_delete_goes_past_what_it_may);
    RUN(backend_delete_of_an_absent_one);
    RUN(backend_copy_that_was_not_restored_is_not_overwritten);
    RUN(backend_delete_needs_a_driver_that_can_preserve);
    RUN(backend_export_stops_it_and_starts_it_again);
    RUN(backend_export_that_fails_starts_it_again);
    RUN(backend_import_stops_it_and_starts_it_again);
    RUN(backend_import_beside_a_copy_is_refused);
    RUN(backend_import_of_the_preserved_copy_drops_it_then);
    RUN(backend_discard_drops_the_copy);
    RUN(backend_that_is_live_is_exported_first_and_stopped_then);
    RUN(backend_that_is_live_and_does_not_run_cannot_be_preserved);
    RUN(backend_export_without_keep_copy_is_the_copy);
}
