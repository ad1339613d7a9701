/* session: what two tiers promise when the store answers at once. What happens while it does not: test_session_io.c */

#include "session_rig.h"

#define HALF (RIG_TTL / 2u)

/* ---- the checklist of a two-tier session storage, number by number ---- */

TEST(th32_01_empty_or_missing_id_writes_nothing) {
    static const mcpsess_str ids[] = {{NULL, 0}, LIT(""), LIT(" "), LIT("a b"), LIT("a\n")};
    size_t i;
    rig_start_default();
    for (i = 0; i < COUNT_OF(ids); i++) {
        CHECK_EQ(mcpsess_session_load(&rig.table, &rig.op, ids[i], &rig.alice, &rig.out, rig.now), MCPSESS_E_ID);
        CHECK_EQ(mcpsess_session_exists(&rig.table, &rig.op, ids[i], &rig.alice, rig.now), MCPSESS_E_ID);
        CHECK_EQ(mcpsess_session_touch(&rig.table, &rig.op, ids[i], &rig.alice, rig.now), MCPSESS_E_ID);
        CHECK_EQ(mcpsess_session_del(&rig.table, &rig.op, ids[i], &rig.alice, rig.now), MCPSESS_E_ID);
    }
    CHECK_EQ(mcpsess_session_store(&rig.table, &rig.op, mcpsess_str_of(NULL, 0), rig.now), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_session_store(&rig.table, &rig.op, MCPSESS_STR("{}"), rig.now), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_session_create(&rig.table, &rig.op, MCPSESS_STR("{}"), rig.now), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_session_update(&rig.table, &rig.op, MCPSESS_STR("{}"), rig.now), MCPSESS_E_FORMAT);
    CHECK_EQ(rig.net.submits, 0);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    rig_sound();
}

TEST(th32_02_store_failing_remote_leaves_local_unchanged) {
    rig_start_default();
    CHECK_EQ(rig_store("a", "old"), MCPSESS_OK);
    rig.net.fail = MCPSESS_E_IO;
    CHECK_EQ(rig_store("b", "new"), MCPSESS_E_IO); /* no new entry */
    CHECK_EQ(rig_create("c", "new"), MCPSESS_E_IO);
    CHECK_EQ(rig_store("a", "new"), MCPSESS_E_IO); /* the old entry not replaced */
    CHECK_EQ(rig_update("a", "newer"), MCPSESS_E_IO);
    CHECK_EQ(mcpsess_session_len(&rig.table), 1);
    CHECK(rig_loads_with("a", "old", 0));
    rig.net.fail = MCPSESS_OK;
    CHECK_EQ(rig_load("b", &rig.alice), MCPSESS_MISS);
    rig_sound();
}

TEST(th32_03_load_after_store_is_local) {
    rig_start_default();
    CHECK_EQ(rig_store("a", "1"), MCPSESS_OK);
    CHECK_EQ(rig.net.submits, 1);
    CHECK(rig_loads_with("a", "1", 0));
    CHECK_EQ(rig_create("b", "2"), MCPSESS_OK);
    CHECK(rig_loads_with("b", "2", 0));
    CHECK_EQ(rig_update("b", "3"), MCPSESS_OK);
    CHECK(rig_loads_with("b", "3", 0));
    CHECK_EQ(rig.table.stats.local_hits, 3);
    rig_sound();
}

TEST(th32_04_load_of_remote_only_is_promoted) {
    char mem[RIG_RECORD_MAX];
    rig_start_default();
    CHECK_EQ(rig_put_at_store("a", rig_record(mem, "a", &rig.alice, "1")), MCPSESS_OK);
    CHECK(rig_loads_with("a", "1", 1));
    CHECK(rig_loads_with("a", "1", 0));
    rig_sound();
}

TEST(th32_05_absent_in_both_is_a_miss_and_not_an_error) {
    rig_start_default();
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(rig.out.len, 0);
    CHECK_EQ(rig_exists("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(rig_update("a", "1"), MCPSESS_MISS);
    rig.net.fail = MCPSESS_E_IO;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
    CHECK_EQ(rig_exists("a", &rig.alice), MCPSESS_E_IO);
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_E_IO);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    rig_sound();
}

TEST(th32_06_evicted_locally_is_served_by_the_store_and_promoted_again) {
    mcpsess_session_desc d = rig_desc();
    d.capacity = 2;
    rig_start(&d);
    CHECK_EQ(rig_store("a", "1"), MCPSESS_OK);
    CHECK_EQ(rig_store("b", "2"), MCPSESS_OK);
    CHECK_EQ(rig_store("c", "3"), MCPSESS_OK);
    CHECK_EQ(mcpsess_session_len(&rig.table), 2);
    CHECK(rig_loads_with("a", "1", 1));
    CHECK(rig_loads_with("a", "1", 0));
    CHECK(rig_loads_with("b", "2", 1)); /* pushed out by a */
    rig_sound();
}

TEST(th32_07_load_and_store_refresh_recency) {
    mcpsess_session_desc d = rig_desc();
    d.capacity = 2;
    rig_start(&d);
    rig_store("a", "1");
    rig_store("b", "2");
    CHECK(rig_loads_with("a", "1", 0));
    rig_store("c", "3");
    CHECK(rig_loads_with("a", "1", 0));
    rig_store("c", "4");
    CHECK(rig_loads_with("c", "4", 0)); /* and the value is replaced */
    CHECK(rig_loads_with("a", "1", 0));
    rig_store("c", "5");
    rig_store("d", "6");
    CHECK(rig_loads_with("c", "5", 0));
    CHECK(rig_loads_with("a", "1", 1));
    rig_sound();
}

TEST(th32_08_del_asks_the_store_always_and_is_gone_locally_at_once) {
    rig_start_default();
    rig_store("a", "1");
    CHECK_EQ(rig_del("a", &rig.alice), MCPSESS_OK);
    CHECK_EQ(rig_at_store("a", NULL), MCPSESS_MISS);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(rig.net.kinds[MCPSESS_DEL], 1);
    CHECK_EQ(rig_del("a", &rig.alice), MCPSESS_OK); /* absent: fine, and asked all the same */
    CHECK_EQ(rig.net.kinds[MCPSESS_DEL], 2);
    rig_store("b", "2");
    rig.net.fail = MCPSESS_E_IO;
    CHECK_EQ(rig_del("b", &rig.alice), MCPSESS_E_IO); /* the store's error, and local already gone */
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    CHECK_EQ(rig_load("b", &rig.alice), MCPSESS_E_IO);
    rig.net.fail = MCPSESS_OK;
    CHECK(rig_loads_with("b", "2", 1)); /* the session may still be there */
    rig_sound();
}

TEST(th32_09_local_hit_never_outlives_the_ttl_of_the_store) {
    rig_start_default();
    rig_store("a", "1");
    rig.net.fail = MCPSESS_E_IO; /* nothing but the local copy is left */
    rig.now += RIG_TTL - 1u;
    CHECK(rig_loads("a", "1"));
    rig.now += 1u;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
    rig.net.fail = MCPSESS_OK;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    rig_sound();
}

TEST(th32_10_failing_refresh_does_not_fail_a_local_hit) {
    rig_start_default();
    rig_store("a", "1");
    rig.now += HALF + 1u;
    rig.net.fail = MCPSESS_E_IO;
    CHECK(rig_loads_with("a", "1", 1));
    CHECK(rig.op.stale);
    CHECK_EQ(rig.op.left_ms, HALF - 1u);
    CHECK_EQ(rig.table.stats.served_stale, 1);
    CHECK_EQ(rig.logged[MCPSESS_ITEM_SERVED_STALE], 1);
    CHECK_EQ(rig.logged_number, HALF + 1u);
    rig.net.fail = MCPSESS_OK;
    CHECK(rig_loads_with("a", "1", 1));
    CHECK(!rig.op.stale);
    CHECK(rig_loads_with("a", "1", 0));
    rig_sound();
}

TEST(th32_11_sweep_never_touches_the_local_tier) {
    char mem[RIG_RECORD_MAX];
    rig_start_default();
    rig_put_at_store("x", rig_record(mem, "x", &rig.bob, "1"));
    rig.now += 10;
    rig_store("a", "1");
    rig.now += RIG_TTL - 10u; /* x has expired, a has not */
    CHECK_EQ(rig_sweep(), MCPSESS_OK);
    CHECK_EQ(rig.op.count, 1);
    CHECK_EQ(mcpsess_session_len(&rig.table), 1);
    rig.now += 10;
    CHECK_EQ(rig_sweep(), MCPSESS_OK);
    CHECK_EQ(rig.op.count, 1);
    CHECK_EQ(mcpsess_session_len(&rig.table), 1); /* expired locally too, but not taken by the sweep */
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    rig_sound();
}

TEST(th32_12_close_empties_the_local_tier_and_closes_the_store) {
    rig_start_default();
    rig_store("a", "1");
    CHECK_EQ(mcpsess_session_close(&rig.table), MCPSESS_OK);
    CHECK_EQ(rig.net.closes, 1);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_CLOSED);
    CHECK_EQ(rig_store("a", "1"), MCPSESS_E_CLOSED);
    CHECK_EQ(rig_create("a", "1"), MCPSESS_E_CLOSED);
    CHECK_EQ(rig_update("a", "1"), MCPSESS_E_CLOSED);
    CHECK_EQ(rig_exists("a", &rig.alice), MCPSESS_E_CLOSED);
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_E_CLOSED);
    CHECK_EQ(rig_del("a", &rig.alice), MCPSESS_E_CLOSED);
    CHECK_EQ(rig_sweep(), MCPSESS_E_CLOSED);
    CHECK_EQ(mcpsess_session_close(&rig.table), MCPSESS_E_CLOSED);
    CHECK_EQ(rig.net.closes, 1);
    rig_sound();
}

/* TTL 30 minutes; `at` are minutes */
static int after_thirty_minutes(unsigned store_at, unsigned load_at, unsigned look_at) {
    const uint64_t minute = 60000u;
    mcpsess_session_desc d = rig_desc();
    uint64_t start;
    d.ttl_ms = 30u * minute;
    rig_start(&d);
    start = rig.now;
    rig_store("a", "1");
    if (store_at > 0) {
        rig.now = start + store_at * minute;
        rig_store("a", "1");
    }
    if (load_at > 0) {
        rig.now = start + load_at * minute;
        CHECK(rig_loads("a", "1"));
    }
    rig.now = start + look_at * minute;
    return rig_at_store("a", NULL);
}

TEST(th32_13_ttl_slides_by_store_and_by_load) {
    CHECK_EQ(after_thirty_minutes(29, 0, 31), MCPSESS_OK);
    CHECK_EQ(after_thirty_minutes(0, 29, 31), MCPSESS_OK);
    CHECK_EQ(after_thirty_minutes(0, 29, 58), MCPSESS_OK);
    CHECK_EQ(after_thirty_minutes(0, 0, 29), MCPSESS_OK);
    CHECK_EQ(after_thirty_minutes(0, 0, 31), MCPSESS_MISS);
    CHECK_EQ(after_thirty_minutes(0, 29, 59), MCPSESS_MISS);
    rig_sound();
}

TEST(th32_14_key_is_the_id_verbatim) {
    static const char id[] = "{a}:b/c*\"\\~!";
    rig_start_default();
    CHECK_EQ(rig_store(id, "1"), MCPSESS_OK);
    CHECK(mcpsess_str_eq(mcpsess_str_of(rig.net.last_key, rig.net.last_key_len), mcpsess_str_z(id)));
    CHECK_EQ(rig_at_store(id, NULL), MCPSESS_OK);
    CHECK_EQ(rig_load("{A}:b/c*\"\\~!", &rig.alice), MCPSESS_MISS);
}

/* ---- reads that need no request, and reads that do ---- */

TEST(session_is_confirmed_when_more_than_half_of_the_ttl_is_gone) {
    mcpsess_session_desc d = rig_desc();
    uint64_t left;
    d.max_age_ms = MCPSESS_NEVER;
    rig_start(&d);
    rig_store("a", "1");
    rig.now += HALF;
    CHECK(rig_loads_with("a", "1", 0));
    rig.now += 1;
    CHECK(rig_loads_with("a", "1", 1)); /* less than half is left: this one is refreshed */
    CHECK_EQ(rig_at_store("a", &left), MCPSESS_OK);
    CHECK_EQ(left, RIG_TTL);
    rig.now += HALF;
    CHECK(rig_loads_with("a", "1", 0));
}

TEST(session_active_for_ten_ttls_costs_a_request_per_half_ttl) {
    mcpsess_session_desc d = rig_desc();
    unsigned i, before;
    d.max_age_ms = MCPSESS_NEVER;
    rig_start(&d);
    rig_store("a", "1");
    before = rig.net.submits;
    for (i = 0; i < 1000; i++) {
        rig.now += RIG_TTL / 100u;
        if (!CHECK(rig_loads("a", "1"))) return;
    }
    CHECK(rig.net.submits - before <= 20);
    CHECK(rig.net.submits - before >= 10);
}

TEST(session_is_confirmed_after_max_age) {
    char mem[RIG_RECORD_MAX];
    rig_start_default();
    rig_store("a", "1");
    rig_put_at_store("a", rig_record(mem, "a", &rig.alice, "2")); /* another process wrote it */
    rig.now += RIG_MAX_AGE;
    CHECK(rig_loads_with("a", "1", 0)); /* at most this long */
    rig.now += 1;
    CHECK(rig_loads_with("a", "2", 1));
    CHECK(rig_loads_with("a", "2", 0));
}

TEST(session_deleted_elsewhere_is_found_out_at_the_next_confirmation) {
    rig_start_default();
    rig_store("a", "1");
    rig_del_at_store("a");
    rig.now += RIG_MAX_AGE + 1u;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
}

TEST(session_served_stale_for_stale_ms_and_no_longer) {
    mcpsess_session_desc d = rig_desc();
    d.max_age_ms = 1000;
    d.stale_ms = 3000;
    rig_start(&d);
    rig_store("a", "1");
    rig.net.fail = MCPSESS_E_IO;
    rig.now += 1000;
    CHECK(rig_loads_with("a", "1", 0));
    CHECK(!rig.op.stale);
    rig.now += 2000;
    CHECK(rig_loads_with("a", "1", 1));
    CHECK(rig.op.stale);
    rig.now += 1;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
    CHECK_EQ(rig.out.len, 0);
    rig.net.fail = MCPSESS_OK;
    CHECK(rig_loads_with("a", "1", 1)); /* it was there all the time */
    CHECK(!rig.op.stale);
    rig_sound();
}

TEST(session_marked_is_confirmed_at_its_next_use) {
    rig_start_default();
    rig_store("a", "1");
    rig_store("b", "2");
    rig_store("c", "3");
    CHECK_EQ(mcpsess_session_mark(&rig.table, MCPSESS_STR("a")), MCPSESS_OK);
    CHECK_EQ(mcpsess_session_mark(&rig.table, MCPSESS_STR("x")), MCPSESS_MISS);
    CHECK(rig_loads_with("b", "2", 0));
    CHECK(rig_loads_with("a", "1", 1));
    CHECK(rig_loads_with("a", "1", 0));
    CHECK_EQ(mcpsess_session_mark(&rig.table, MCPSESS_STR("")), MCPSESS_OK);
    CHECK(rig_loads_with("a", "1", 1));
    CHECK(rig_loads_with("b", "2", 1));
    CHECK(rig_loads_with("c", "3", 1));
    CHECK(rig_loads_with("c", "3", 0));
    CHECK_EQ(mcpsess_session_mark(NULL, MCPSESS_STR("a")), MCPSESS_E_ARG);
}

TEST(session_of_capacity_zero_always_asks) {
    mcpsess_session_desc d = rig_desc();
    d.capacity = 0;
    rig_start(&d);
    CHECK_EQ(rig_store("a", "1"), MCPSESS_OK);
    CHECK(rig_loads_with("a", "1", 1));
    CHECK(rig_loads_with("a", "1", 1));
    CHECK_EQ(rig_update("a", "2"), MCPSESS_OK);
    CHECK(rig_loads_with("a", "2", 1));
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_OK);
    CHECK_EQ(rig_exists("a", &rig.alice), MCPSESS_OK);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    mcpsess_session_mark(&rig.table, MCPSESS_STR(""));
    CHECK_EQ(rig_del("a", &rig.alice), MCPSESS_OK);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    rig.net.fail = MCPSESS_E_IO;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
    rig_sound();
}

TEST(session_exists_never_refreshes) {
    mcpsess_session_desc d = rig_desc();
    uint64_t left;
    d.capacity = 2;
    rig_start(&d);
    rig_store("a", "1");
    rig_store("b", "2");
    CHECK_EQ(rig_exists("a", &rig.alice), MCPSESS_OK);
    CHECK(rig.op.left_ms <= RIG_TTL);
    rig_store("c", "3"); /* pushes out a, whose recency was not refreshed */
    CHECK(rig_loads_with("b", "2", 0));
    rig.now += HALF + 10u;
    CHECK_EQ(rig_exists("a", &rig.alice), MCPSESS_OK);
    CHECK_EQ(rig_at_store("a", &left), MCPSESS_OK);
    CHECK_EQ(left, HALF - 10u);
    rig.now += HALF - 10u;
    CHECK_EQ(rig_exists("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(rig_exists("b", &rig.alice), MCPSESS_MISS);
    rig_sound();
}

TEST(session_touch_keeps_alive_without_reading) {
    uint64_t left;
    rig_start_default();
    rig_store("a", "1");
    rig.now += HALF + 1u;
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_OK);
    CHECK_EQ(rig.op.left_ms, RIG_TTL);
    CHECK_EQ(rig_at_store("a", &left), MCPSESS_OK);
    CHECK_EQ(left, RIG_TTL);
    rig.now += RIG_TTL - 1u;
    CHECK(rig_loads("a", "1"));
    rig.now += RIG_TTL;
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_MISS);
}

TEST(session_left_ms_is_at_most_what_the_store_has) {
    uint64_t left;
    unsigned i;
    rig_start_default();
    rig_store("a", "1");
    for (i = 0; i < 40; i++) {
        rig.now += RIG_TTL / 37u;
        CHECK(rig_loads("a", "1"));
        CHECK_EQ(rig_at_store("a", &left), MCPSESS_OK);
        CHECK(rig.op.left_ms <= left);
        CHECK(rig.op.left_ms >= HALF);
    }
}

/* ---- writes ---- */

TEST(session_create_only_once) {
    rig_start_default();
    CHECK_EQ(rig_create("a", "1"), MCPSESS_OK);
    CHECK_EQ(rig_create("a", "2"), MCPSESS_EXISTS);
    CHECK(rig_loads("a", "1"));
    rig_sound();
}

TEST(session_update_never_resurrects) {
    rig_start_default();
    CHECK_EQ(rig_update("a", "1"), MCPSESS_MISS);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    rig_store("a", "1");
    rig_del("a", &rig.alice);
    CHECK_EQ(rig_update("a", "2"), MCPSESS_MISS);
    CHECK_EQ(rig_at_store("a", NULL), MCPSESS_MISS);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    rig_store("b", "1");
    rig_del_at_store("b"); /* ended elsewhere; the local copy still stands */
    CHECK_EQ(rig_update("b", "2"), MCPSESS_MISS);
    CHECK_EQ(rig_at_store("b", NULL), MCPSESS_MISS);
    CHECK_EQ(rig_load("b", &rig.alice), MCPSESS_MISS); /* what the store said about b is not forgotten */
    rig_sound();
}

TEST(session_touch_of_one_ended_elsewhere_drops_the_local_copy) {
    rig_start_default();
    rig_store("a", "1");
    rig_del_at_store("a");
    rig.now += HALF + 1u;
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_MISS);
    rig.net.fail = MCPSESS_E_IO;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
}

TEST(session_unknown_outcome_of_a_write_is_confirmed) {
    rig_start_default();
    rig_store("a", "1");
    rig.net.fail = MCPSESS_E_UNKNOWN;
    rig.net.fail_after = true;
    CHECK_EQ(rig_store("a", "2"), MCPSESS_E_UNKNOWN); /* it did take effect */
    rig.net.fail = MCPSESS_OK;
    CHECK(rig_loads_with("a", "2", 1));
    rig.net.fail = MCPSESS_E_UNKNOWN;
    rig.net.fail_after = false;
    CHECK_EQ(rig_update("a", "3"), MCPSESS_E_UNKNOWN); /* it did not */
    rig.net.fail = MCPSESS_OK;
    CHECK(rig_loads_with("a", "2", 1));
    CHECK(rig_loads_with("a", "2", 0));
    rig_sound();
}

TEST(session_full_store_refuses) {
    char id[3] = "a";
    rig_start_default();
    for (id[0] = 'a'; id[0] < 'a' + 8; id[0]++) CHECK_EQ(rig_store(id, "1"), MCPSESS_OK);
    CHECK_EQ(rig_store("z", "1"), MCPSESS_E_FULL);
    CHECK_EQ(rig_create("z", "1"), MCPSESS_E_FULL);
    CHECK_EQ(rig_load("z", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(rig_store("a", "2"), MCPSESS_OK);
    rig_sound();
}

/* ---- sizes ---- */

TEST(session_record_larger_than_a_slot_is_handed_over_and_counted) {
    mcpsess_session_desc d = rig_desc();
    char mem[RIG_RECORD_MAX];
    size_t small;
    rig_start_default(); /* sets alice */
    small = rig_record(mem, "a", &rig.alice, "1").len;
    d.slot_max = (uint16_t)small;
    rig_start(&d);
    CHECK_EQ(rig_store("a", "1"), MCPSESS_OK);
    CHECK(rig_loads_with("a", "1", 0));         /* exactly fits */
    CHECK_EQ(rig_store("a", "22"), MCPSESS_OK); /* does not: and the old copy must not be served */
    CHECK(rig_loads_with("a", "22", 1));
    CHECK(rig_loads_with("a", "22", 1));
    CHECK(rig.table.stats.not_promoted >= 2);
    CHECK(rig.logged[MCPSESS_ITEM_NOT_PROMOTED] >= 2);
    CHECK_EQ(rig.logged_number, small + 1u);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    CHECK_EQ(rig_update("a", "3"), MCPSESS_OK);
    CHECK(rig_loads_with("a", "3", 0));
    rig_sound();
}

TEST(session_record_over_record_max_is_refused) {
    mcpsess_session_desc d = rig_desc();
    char mem[RIG_RECORD_MAX];
    mcpsess_str record;
    rig_start_default();
    record = rig_record(mem, "a", &rig.alice, "1");
    d.record_max = (uint16_t)(record.len - 1u);
    rig_start(&d);
    CHECK_EQ(mcpsess_session_store(&rig.table, &rig.op, record, rig.now), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_session_create(&rig.table, &rig.op, record, rig.now), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_session_update(&rig.table, &rig.op, record, rig.now), MCPSESS_E_TOOBIG);
    CHECK_EQ(rig.net.submits, 0);
    d.record_max = (uint16_t)record.len;
    rig_start(&d);
    CHECK_EQ(rig_end(&rig.op, mcpsess_session_store(&rig.table, &rig.op, record, rig.now)), MCPSESS_OK);
    rig_sound();
}

TEST(session_load_needs_exactly_its_room) {
    char mem[RIG_RECORD_MAX], small[RIG_RECORD_MAX];
    mcpsess_str record;
    size_t cap, local;
    rig_start_default();
    record = rig_record(mem, "a", &rig.alice, "1");
    for (local = 0; local < 2; local++) {
        for (cap = record.len - 2u; cap <= record.len + 2u; cap++) {
            mcpsess_buf out;
            bool fits = cap >= record.len + 1u;
            rig_start_default();
            rig_put_at_store("a", record);
            if (local == 1) CHECK(rig_loads("a", "1"));
            memset(small, '#', sizeof small);
            mcpsess_buf_init(&out, small, cap);
            mcpsess_buf_put_char(&out, '>');
            CHECK_EQ(rig_end(&rig.op,
                             mcpsess_session_load(&rig.table, &rig.op, MCPSESS_STR("a"), &rig.alice, &out, rig.now)),
                     fits ? MCPSESS_OK : MCPSESS_E_TOOBIG);
            CHECK_EQ(out.len, fits ? record.len + 1u : 1u);
            CHECK_EQ(small[cap], '#');
            CHECK(!out.overflow);
            if (!fits) CHECK_EQ(rig.op.need, record.len);
            CHECK(rig_loads_with("a", "1", 0)); /* the caller's small buffer is no reason not to keep it */
        }
    }
    rig_sound();
}

TEST(session_bytes_that_are_no_record_of_this_id) {
    char mem[RIG_RECORD_MAX];
    mcpsess_str record;
    rig_start_default();
    record = rig_record(mem, "b", &rig.alice, "1");
    rig_put_at_store("a", record); /* of another id */
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_FORMAT);
    CHECK_EQ(rig.out.len, 0);
    rig_put_at_store("b", str_head(record, record.len - 1u)); /* torn */
    CHECK_EQ(rig_load("b", &rig.alice), MCPSESS_E_FORMAT);
    CHECK_EQ(rig.table.stats.bad_records, 2);
    CHECK_EQ(rig.logged[MCPSESS_ITEM_BAD_RECORD], 2);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    CHECK_EQ(rig_store("b", "1"), MCPSESS_OK); /* and can be mended */
    CHECK(rig_loads("b", "1"));
    rig_sound();
}

TEST(session_broken_at_the_store_is_not_served_stale) {
    char mem[RIG_RECORD_MAX];
    rig_start_default();
    rig_store("a", "1");
    rig_put_at_store("a", rig_record(mem, "b", &rig.alice, "2"));
    mcpsess_session_mark(&rig.table, MCPSESS_STR("a"));
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_FORMAT); /* the store is not away */
    CHECK_EQ(rig.out.len, 0);
    CHECK(!rig.op.stale);
}

TEST(session_stored_elsewhere_larger_than_record_max) {
    mcpsess_session_desc d = rig_desc();
    char mem[RIG_RECORD_MAX];
    mcpsess_str record;
    rig_start_default();
    record = rig_record(mem, "a", &rig.alice, "1");
    d.record_max = (uint16_t)(record.len - 1u);
    rig_start(&d);
    rig_put_at_store("a", record);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_TOOBIG);
    CHECK_EQ(rig.op.need, record.len);
    CHECK_EQ(rig.out.len, 0);
    rig_sound();
}

/* ---- principals ---- */

/* everything a stranger could notice or change; the same for an absent id and for alice's */
typedef struct trace {
    int rc[6];
    unsigned requests[6];
    size_t out_len;
    uint64_t left_ms;
    size_t need;
    bool stale;
} trace;

static void strange(trace *t, unsigned step, int rc, unsigned before) {
    t->rc[step] = rc;
    t->requests[step] = rig.net.submits - before;
}

static trace trace_of(const char *id) {
    char mem[RIG_RECORD_MAX];
    trace t;
    unsigned before;
    memset(&t, 0, sizeof t);
    before = rig.net.submits;
    strange(&t, 0, rig_load(id, &rig.bob), before);
    t.out_len = rig.out.len;
    t.left_ms = rig.op.left_ms;
    t.need = rig.op.need;
    t.stale = rig.op.stale;
    before = rig.net.submits;
    strange(&t, 1, rig_exists(id, &rig.bob), before);
    before = rig.net.submits;
    strange(&t, 2, rig_touch(id, &rig.bob), before);
    before = rig.net.submits;
    strange(&t, 3, rig_del(id, &rig.bob), before);
    before = rig.net.submits;
    strange(
        &t, 4,
        rig_end(&rig.op, mcpsess_session_update(&rig.table, &rig.op, rig_record(mem, id, &rig.bob, "bob"), rig.now)),
        before);
    before = rig.net.submits;
    strange(&t, 5, rig_load(id, &rig.nobody), before);
    return t;
}

/* what is the same whether the owner's copy is local, only at the store, to be confirmed, or there is none */
static void looks_absent(unsigned variant) {
    trace absent, foreign;
    uint64_t left = 0;
    unsigned i;
    rig_start_default();
    CHECK_EQ(rig_store("a", "1"), MCPSESS_OK);
    if (variant == 1) CHECK_EQ(mcpsess_session_mark(&rig.table, MCPSESS_STR("")), MCPSESS_OK);
    if (variant == 2) {
        rig_store("b", "1"), rig_store("c", "1"), rig_store("d", "1"), rig_store("e", "1"); /* a is pushed out */
    }
    if (variant == 3) rig.now += HALF + 7u;
    absent = trace_of("absent");
    foreign = trace_of("a");
    for (i = 0; i < 6; i++) {
        CHECK_EQ(foreign.rc[i], absent.rc[i]);
        CHECK_EQ(foreign.requests[i], absent.requests[i]);
    }
    CHECK_EQ(foreign.rc[0], MCPSESS_MISS);
    CHECK_EQ(foreign.rc[4], MCPSESS_MISS);
    CHECK(foreign.out_len == 0 && foreign.left_ms == absent.left_ms && foreign.need == absent.need && !foreign.stale);
    CHECK_EQ(rig_at_store("a", &left), MCPSESS_OK);
    CHECK_EQ(left, variant == 3 ? HALF - 7u : RIG_TTL);    /* the stranger did not keep it alive */
    CHECK(rig_loads_with("a", "1", variant == 0 ? 0 : 1)); /* nor evict, nor change, the owner's copy */
    rig_sound();
}

TEST(session_of_another_looks_exactly_like_an_absent_one) {
    unsigned variant;
    for (variant = 0; variant < 4; variant++) looks_absent(variant);
}

TEST(session_asked_for_by_a_stranger_gets_no_recency) {
    mcpsess_session_desc d = rig_desc();
    d.capacity = 2;
    rig_start(&d);
    rig_store("a", "1");
    rig_store("b", "2");
    CHECK_EQ(rig_load("a", &rig.bob), MCPSESS_MISS);
    CHECK_EQ(rig_touch("a", &rig.bob), MCPSESS_MISS);
    rig_store("c", "3");
    CHECK(rig_loads_with("b", "2", 0));
    CHECK(rig_loads_with("a", "1", 1));
}

TEST(session_of_another_is_not_served_stale) {
    rig_start_default();
    rig_store("a", "1");
    rig.net.fail = MCPSESS_E_IO;
    CHECK_EQ(rig_load("a", &rig.bob), MCPSESS_E_IO); /* as an absent one would */
    rig.now += HALF + 1u;
    CHECK_EQ(rig_load("a", &rig.bob), MCPSESS_E_IO);
    CHECK_EQ(rig.out.len, 0);
    CHECK_EQ(rig.table.stats.served_stale, 0);
}

TEST(session_id_of_another_cannot_be_taken) {
    char mem[RIG_RECORD_MAX];
    mcpsess_str theirs;
    rig_start_default();
    rig_store("a", "1");
    theirs = rig_record(mem, "a", &rig.bob, "2");
    CHECK_EQ(rig_end(&rig.op, mcpsess_session_store(&rig.table, &rig.op, theirs, rig.now)), MCPSESS_EXISTS);
    CHECK_EQ(rig_end(&rig.op, mcpsess_session_create(&rig.table, &rig.op, theirs, rig.now)), MCPSESS_EXISTS);
    CHECK_EQ(rig_end(&rig.op, mcpsess_session_update(&rig.table, &rig.op, theirs, rig.now)), MCPSESS_MISS);
    CHECK(rig_loads_with("a", "1", 0));
    rig_sound();
}

TEST(session_of_nobody_belongs_to_nobody) {
    char mem[RIG_RECORD_MAX];
    mcpsess_str record;
    rig_start_default();
    record = rig_record(mem, "a", &rig.nobody, "1");
    CHECK_EQ(rig_end(&rig.op, mcpsess_session_store(&rig.table, &rig.op, record, rig.now)), MCPSESS_OK);
    CHECK_EQ(rig_load("a", &rig.nobody), MCPSESS_OK);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    mcpsess_session_mark(&rig.table, MCPSESS_STR(""));
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(rig_load("a", &rig.nobody), MCPSESS_OK);
}

TEST(session_half_a_principal_is_refused) {
    mcpsess_principal half;
    rig_start_default();
    half = rig.alice;
    half.subject.len = 0;
    CHECK_EQ(rig_load("a", &half), MCPSESS_E_PRINCIPAL);
    CHECK_EQ(rig_exists("a", &half), MCPSESS_E_PRINCIPAL);
    CHECK_EQ(rig_touch("a", &half), MCPSESS_E_PRINCIPAL);
    CHECK_EQ(rig_del("a", &half), MCPSESS_E_PRINCIPAL);
    half.subject = MCPSESS_STR("a\0b");
    CHECK_EQ(rig_load("a", &half), MCPSESS_E_PRINCIPAL);
    CHECK_EQ(rig.net.submits, 0);
}

/* ---- init and arguments ---- */

TEST(session_desc_out_of_range_is_refused) {
    mcpsess_session_desc good, d;
    void *mem;
    unsigned i;
    rig_start_default();
    good = rig_desc();
    good.store = rig.net.store;
    mem = arena(3000);
    CHECK_EQ(mcpsess_session_init(&rig.table, &good, mem, 3000), MCPSESS_OK);
    for (i = 0; i < 7; i++) {
        d = good;
        if (i == 0) d.capacity = 65535u;
        if (i == 1) d.slot_max = 0;
        if (i == 2) d.slot_max = 65520u;
        if (i == 3) d.lanes = 0;
        if (i == 4) d.lanes = 65535u;
        if (i == 5) d.record_max = 0;
        if (i == 6) d.lock.unlock = NULL;
        if (i < 6) CHECK_EQ(mcpsess_session_bytes(&d), 0);
        if (!CHECK_EQ(mcpsess_session_init(&rig.table, &d, mem, 3000), MCPSESS_E_ARG)) tap_note("case", (int64_t)i);
    }
    d = good;
    d.store.cls = NULL;
    CHECK_EQ(mcpsess_session_init(&rig.table, &d, mem, 3000), MCPSESS_E_ARG);
}

TEST(session_init_checks_the_storage) {
    mcpsess_session_desc d;
    size_t bytes, off;
    unsigned char *mem;
    rig_start_default();
    d = rig_desc();
    d.store = rig.net.store;
    bytes = mcpsess_session_bytes(&d);
    mem = (unsigned char *)arena(bytes + 8u);
    CHECK_EQ(mcpsess_session_init(&rig.table, &d, mem, bytes), MCPSESS_OK);
    CHECK_EQ(mcpsess_session_init(&rig.table, &d, mem, bytes - 1u), MCPSESS_E_NOMEM);
    for (off = 1; off < 8; off++) {
        CHECK_EQ(mcpsess_session_init(&rig.table, &d, mem + off, bytes),
                 off % ALIGNMENT == 0 ? MCPSESS_OK : MCPSESS_E_ALIGN);
    }
    CHECK_EQ(mcpsess_session_bytes(NULL), 0);
    CHECK_EQ(mcpsess_session_init(NULL, &d, mem, bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_init(&rig.table, NULL, mem, bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_init(&rig.table, &d, NULL, bytes), MCPSESS_E_ARG);
}

TEST(session_null_is_an_argument_error) {
    mcpsess_str a = MCPSESS_STR("a"), record;
    char mem[RIG_RECORD_MAX];
    rig_start_default();
    record = rig_record(mem, "a", &rig.alice, "1");
    mcpsess_buf_init(&rig.out, rig.out_mem, sizeof rig.out_mem);
    CHECK_EQ(mcpsess_session_load(NULL, &rig.op, a, &rig.alice, &rig.out, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_load(&rig.table, NULL, a, &rig.alice, &rig.out, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_load(&rig.table, &rig.op, a, NULL, &rig.out, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_load(&rig.table, &rig.op, a, &rig.alice, NULL, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_exists(NULL, &rig.op, a, &rig.alice, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_exists(&rig.table, NULL, a, &rig.alice, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_exists(&rig.table, &rig.op, a, NULL, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_touch(NULL, &rig.op, a, &rig.alice, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_touch(&rig.table, &rig.op, a, NULL, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_store(NULL, &rig.op, record, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_store(&rig.table, NULL, record, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_store(&rig.table, &rig.op, str_broken(), 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_create(NULL, &rig.op, record, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_update(NULL, &rig.op, record, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_del(NULL, &rig.op, a, &rig.alice, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_del(&rig.table, &rig.op, a, NULL, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_sweep(NULL, &rig.op, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_sweep(&rig.table, NULL, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_close(NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_check(NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_len(NULL), 0);
    CHECK_EQ(rig.net.submits, 0);
    rig_sound();
}

TEST(session_check_sees_overwritten_memory) {
    rig_start_default();
    rig_store("a", "1");
    rig.table.i.busy = 2;
    CHECK_EQ(mcpsess_session_check(&rig.table), MCPSESS_E_CORRUPT);
    rig_start_default();
    rig_store("a", "1");
    rig.table.i.tier.i.newest = 3;
    CHECK_EQ(mcpsess_session_check(&rig.table), MCPSESS_E_CORRUPT);
}

/* ---- ids ---- */

TEST(session_id_is_visible_ascii) {
    unsigned b;
    for (b = 0; b < 256; b++) {
        char text[3] = {'a', (char)b, 'z'};
        int want = b >= 0x21 && b <= 0x7E ? MCPSESS_OK : MCPSESS_E_ID;
        CHECK_EQ(mcpsess_session_id_check(str_byte(b)), want);
        CHECK_EQ(mcpsess_session_id_check(mcpsess_str_of(text, 3)), want);
        CHECK_EQ(mcpsess_session_id_check(mcpsess_str_of(text, 2)), want);
    }
}

TEST(session_id_length_is_bounded) {
    char text[MCPSESS_ID_MAX + 1];
    mcpsess_str s = str_fill(text, 'a', sizeof text);
    CHECK_EQ(mcpsess_session_id_check(mcpsess_str_of(NULL, 0)), MCPSESS_E_ID);
    CHECK_EQ(mcpsess_session_id_check(MCPSESS_STR("")), MCPSESS_E_ID);
    CHECK_EQ(mcpsess_session_id_check(str_head(s, 1)), MCPSESS_OK);
    CHECK_EQ(mcpsess_session_id_check(str_head(s, MCPSESS_ID_MAX)), MCPSESS_OK);
    CHECK_EQ(mcpsess_session_id_check(s), MCPSESS_E_ID);
    CHECK_EQ(mcpsess_session_id_check(str_broken()), MCPSESS_E_ID);
}

TEST(session_record_with_an_id_too_long_for_this_build_is_refused) {
    char id[MCPSESS_ID_MAX + 2], mem[21 + MCPSESS_ID_MAX + 1];
    mcpsess_session_desc d = rig_desc();
    mcpsess_record r;
    mcpsess_buf b;
    if (MCPSESS_ID_MAX == 255) return;
    d.record_max = sizeof mem;
    d.slot_max = sizeof mem;
    rig_start(&d);
    memset(&r, 0, sizeof r);
    r.id = str_fill(id, 'a', MCPSESS_ID_MAX + 1);
    mcpsess_buf_init(&b, mem, sizeof mem);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_EQ(mcpsess_session_store(&rig.table, &rig.op, mcpsess_buf_str(&b), rig.now), MCPSESS_E_ID);
    CHECK_EQ(rig.net.submits, 0);
}

static int random_counting(void *user, void *dst, size_t len) {
    uint8_t *byte = (uint8_t *)dst, *next = (uint8_t *)user;
    size_t i;
    for (i = 0; i < len; i++) byte[i] = (*next)++;
    return 0;
}

static int random_ones(void *user, void *dst, size_t len) {
    (void)user;
    memset(dst, 0xFF, len);
    return 0;
}

static int random_failing(void *user, void *dst, size_t len) {
    memset(dst, 0x55, len);
    return *(int *)user;
}

static int random_xorshift(void *user, void *dst, size_t len) {
    uint8_t *byte = (uint8_t *)dst;
    size_t i;
    (void)user;
    for (i = 0; i < len; i++) byte[i] = (uint8_t)(tap_random() >> 11);
    return 0;
}

TEST(session_id_new_in_both_forms) {
    char mem[64];
    uint8_t next = 0;
    mcpsess_buf b;
    mcpsess_buf_init(&b, mem, sizeof mem);
    CHECK_EQ(mcpsess_session_id_new(&b, MCPSESS_ID_BASE64URL, random_counting, &next), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), "AAECAwQFBgcICQoLDA0ODw");
    mcpsess_buf_init(&b, mem, sizeof mem);
    next = 0;
    CHECK_EQ(mcpsess_session_id_new(&b, MCPSESS_ID_UUID, random_counting, &next), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    mcpsess_buf_init(&b, mem, sizeof mem);
    CHECK_EQ(mcpsess_session_id_new(&b, MCPSESS_ID_BASE64URL, random_ones, NULL), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), "_____________________w"); /* the URL alphabet, no padding */
    mcpsess_buf_init(&b, mem, sizeof mem);
    CHECK_EQ(mcpsess_session_id_new(&b, MCPSESS_ID_UUID, random_ones, NULL), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

TEST(session_id_new_needs_exactly_its_room) {
    static const size_t lens[2] = {22, 36};
    char mem[64];
    size_t cap;
    int form;
    for (form = 0; form < 2; form++) {
        for (cap = 1; cap < 40; cap++) {
            bool fits = cap >= lens[form] + 1u;
            mcpsess_buf b;
            uint8_t next = 0;
            memset(mem, '#', sizeof mem);
            mcpsess_buf_init(&b, mem, cap);
            mcpsess_buf_put_char(&b, '>');
            CHECK_EQ(mcpsess_session_id_new(&b, form, random_counting, &next), fits ? MCPSESS_OK : MCPSESS_E_TOOBIG);
            CHECK_EQ(b.len, fits ? lens[form] + 1u : 1u);
            CHECK(!b.overflow);
            CHECK_EQ(mem[cap], '#');
        }
    }
}

TEST(session_id_new_fails_with_the_random_hook) {
    char mem[64];
    int code;
    mcpsess_buf b;
    mcpsess_buf_init(&b, mem, sizeof mem);
    for (code = -1; code <= 1; code += 2) {
        CHECK_EQ(mcpsess_session_id_new(&b, MCPSESS_ID_UUID, random_failing, &code), MCPSESS_E_RANDOM);
        CHECK_EQ(mcpsess_session_id_new(&b, MCPSESS_ID_BASE64URL, random_failing, &code), MCPSESS_E_RANDOM);
    }
    CHECK_EQ(b.len, 0);
    CHECK_EQ(mcpsess_session_id_new(&b, MCPSESS_ID_UUID, NULL, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_id_new(NULL, MCPSESS_ID_UUID, random_ones, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_id_new(&b, 2, random_ones, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_id_new(&b, -1, random_ones, NULL), MCPSESS_E_ARG);
    CHECK_EQ(b.len, 0);
}

TEST(session_ids_are_valid_and_all_different) {
    static char ids[24][36];
    unsigned form, i, j;
    size_t len = 0;
    for (form = 0; form < 2; form++) {
        for (i = 0; i < 24; i++) {
            mcpsess_buf b;
            mcpsess_buf_init(&b, ids[i], 36);
            CHECK_EQ(mcpsess_session_id_new(&b, (int)form, random_xorshift, NULL), MCPSESS_OK);
            len = b.len;
            CHECK_EQ(mcpsess_session_id_check(mcpsess_buf_str(&b)), MCPSESS_OK);
            for (j = 0; j < i; j++) CHECK(!same_bytes(ids[i], ids[j], len));
        }
    }
}

void test_session(void) {
    RUN(th32_01_empty_or_missing_id_writes_nothing);
    RUN(th32_02_store_failing_remote_leaves_local_unchanged);
    RUN(th32_03_load_after_store_is_local);
    RUN(th32_04_load_of_remote_only_is_promoted);
    RUN(th32_05_absent_in_both_is_a_miss_and_not_an_error);
    RUN(th32_06_evicted_locally_is_served_by_the_store_and_promoted_again);
    RUN(th32_07_load_and_store_refresh_recency);
    RUN(th32_08_del_asks_the_store_always_and_is_gone_locally_at_once);
    RUN(th32_09_local_hit_never_outlives_the_ttl_of_the_store);
    RUN(th32_10_failing_refresh_does_not_fail_a_local_hit);
    RUN(th32_11_sweep_never_touches_the_local_tier);
    RUN(th32_12_close_empties_the_local_tier_and_closes_the_store);
    RUN(th32_13_ttl_slides_by_store_and_by_load);
    RUN(th32_14_key_is_the_id_verbatim);
    RUN(session_is_confirmed_when_more_than_half_of_the_ttl_is_gone);
    RUN(session_active_for_ten_ttls_costs_a_request_per_half_ttl);
    RUN(session_is_confirmed_after_max_age);
    RUN(session_deleted_elsewhere_is_found_out_at_the_next_confirmation);
    RUN(session_served_stale_for_stale_ms_and_no_longer);
    RUN(session_marked_is_confirmed_at_its_next_use);
    RUN(session_of_capacity_zero_always_asks);
    RUN(session_exists_never_refreshes);
    RUN(session_touch_keeps_alive_without_reading);
    RUN(session_left_ms_is_at_most_what_the_store_has);
    RUN(session_create_only_once);
    RUN(session_update_never_resurrects);
    RUN(session_touch_of_one_ended_elsewhere_drops_the_local_copy);
    RUN(session_unknown_outcome_of_a_write_is_confirmed);
    RUN(session_full_store_refuses);
    RUN(session_record_larger_than_a_slot_is_handed_over_and_counted);
    RUN(session_record_over_record_max_is_refused);
    RUN(session_load_needs_exactly_its_room);
    RUN(session_bytes_that_are_no_record_of_this_id);
    RUN(session_broken_at_the_store_is_not_served_stale);
    RUN(session_stored_elsewhere_larger_than_record_max);
    RUN(session_of_another_looks_exactly_like_an_absent_one);
    RUN(session_asked_for_by_a_stranger_gets_no_recency);
    RUN(session_of_another_is_not_served_stale);
    RUN(session_id_of_another_cannot_be_taken);
    RUN(session_of_nobody_belongs_to_nobody);
    RUN(session_half_a_principal_is_refused);
    RUN(session_desc_out_of_range_is_refused);
    RUN(session_init_checks_the_storage);
    RUN(session_null_is_an_argument_error);
    RUN(session_check_sees_overwritten_memory);
    RUN(session_id_is_visible_ascii);
    RUN(session_id_length_is_bounded);
    RUN(session_record_with_an_id_too_long_for_this_build_is_refused);
    RUN(session_id_new_in_both_forms);
    RUN(session_id_new_needs_exactly_its_room);
    RUN(session_id_new_fails_with_the_random_hook);
    RUN(session_ids_are_valid_and_all_different);
}
