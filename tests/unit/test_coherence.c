/* Sessions before a store that others write to as well: each rule of the manual's >>session. */

#include "session_rig.h"

/* A table over a store that tells; "a" is stored, local, and was confirmed just now. */
static void start(void) {
    mcpsess_session_desc d = rig_desc();
    d.max_lag_ms = 5;
    d.revalidate_ms = 1000;
    rig_start_listening(&d);
    CHECK_EQ(rig_store("a", "one"), MCPSESS_OK);
    CHECK(rig_loads("a", "one"));
    CHECK(rig_loads_with("a", "one", 0));
}

/* Behind the table's back, as another replica would. */
static void write_elsewhere(const char *backend) {
    char mem[RIG_RECORD_MAX];
    CHECK_EQ(rig_put_at_store("a", rig_record(mem, "a", &rig.alice, backend)), MCPSESS_OK);
}

TEST(push_marks_and_the_next_use_confirms_with_one_request) {
    start();
    write_elsewhere("two");
    test_store_push(&rig.net, "a");
    rig.now += 6;
    CHECK(rig_loads_with("a", "two", 1));
    CHECK(rig_loads_with("a", "two", 0));
    CHECK_EQ(rig.table.stats.invalidated, 1);
    rig_sound();
}

TEST(push_drops_nothing_but_what_is_gone) {
    start();
    CHECK_EQ(rig_store("b", "one"), MCPSESS_OK);
    CHECK_EQ(rig_del_at_store("a"), MCPSESS_OK);
    test_store_push(&rig.net, "a");
    test_store_push(&rig.net, "b");
    rig.now += 6;
    CHECK(rig_loads_with("b", "one", 1));
    CHECK_EQ(mcpsess_session_len(&rig.table), 2);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(mcpsess_session_len(&rig.table), 1);
    rig_sound();
}

TEST(push_for_another_session_costs_nothing) {
    start();
    test_store_push(&rig.net, "b");
    rig.now += 6;
    CHECK(rig_loads_with("a", "one", 0));
}

TEST(hit_listens_first_and_not_more_often_than_max_lag) {
    unsigned hears;
    start();
    hears = rig.net.hears;
    rig.now += 4;
    CHECK(rig_loads_with("a", "one", 0));
    CHECK_EQ(rig.net.hears, hears);
    rig.now += 1;
    CHECK(rig_loads_with("a", "one", 0));
    CHECK_EQ(rig.net.hears, hears + 1);
    rig.now += 6;
    write_elsewhere("two");
    test_store_push(&rig.net, "a"); /* arrived, but not read yet: the hit must find it */
    CHECK(rig_loads_with("a", "two", 1));
}

TEST(hit_that_cannot_listen_is_a_request) {
    mcpsess_op op;
    char mem[RIG_RECORD_MAX];
    mcpsess_buf out;
    unsigned gets;
    start();
    gets = rig.net.kinds[MCPSESS_GET];
    mcpsess_op_init(&op, 0);
    mcpsess_buf_init(&out, mem, sizeof mem);
    rig.table.i.stepping = true; /* another thread is inside the store */
    rig.now += 6;
    CHECK_EQ(mcpsess_session_load(&rig.table, &op, MCPSESS_STR("a"), &rig.alice, &out, rig.now), MCPSESS_PENDING);
    rig.table.i.stepping = false;
    CHECK_EQ(rig_end(&op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(rig.net.kinds[MCPSESS_GET], gets + 1);
}

TEST(any_record_may_have_changed) {
    start();
    CHECK_EQ(rig_store("b", "one"), MCPSESS_OK);
    test_store_push(&rig.net, "");
    rig.now += 6;
    CHECK(rig_loads_with("a", "one", 1));
    CHECK(rig_loads_with("b", "one", 1));
    CHECK_EQ(rig.table.stats.flushes, 1);
}

TEST(load_overtaken_by_a_push_is_answered_but_not_kept) {
    unsigned all;
    for (all = 0; all < 2; all++) {
        mcpsess_op op;
        char mem[RIG_RECORD_MAX];
        mcpsess_buf out;
        start();
        rig.now += RIG_MAX_AGE + 1;
        rig.net.delay = 2;
        mcpsess_op_init(&op, 0);
        mcpsess_buf_init(&out, mem, sizeof mem);
        CHECK_EQ(mcpsess_session_load(&rig.table, &op, MCPSESS_STR("a"), &rig.alice, &out, rig.now), MCPSESS_PENDING);
        write_elsewhere("two");
        test_store_push(&rig.net, all != 0 ? "" : "a");
        CHECK_EQ(rig_end(&op, MCPSESS_PENDING), MCPSESS_OK);
        CHECK(mcpsess_str_eq(rig_backend(&out), MCPSESS_STR("one")));
        rig.net.delay = 0;
        CHECK(rig_loads_with("a", "two", 1));
        rig_sound();
    }
}

/* The store tells of our own writes, too, perhaps in the same breath as it answers: what was written is kept, and to be
   confirmed as after any other push, but it is there when the store is away. */
TEST(write_told_of_before_it_has_landed_is_kept_to_be_confirmed) {
    mcpsess_op op;
    char mem[RIG_RECORD_MAX];
    start();
    rig.net.delay = 2;
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_session_store(&rig.table, &op, rig_record(mem, "a", &rig.alice, "two"), rig.now), MCPSESS_PENDING);
    test_store_push(&rig.net, "a");
    CHECK_EQ(rig_end(&op, MCPSESS_PENDING), MCPSESS_OK);
    rig.net.delay = 0;
    rig.net.fail = MCPSESS_E_IO;
    CHECK(rig_loads_with("a", "two", 1));
    CHECK(rig.op.stale);
    rig.net.fail = MCPSESS_OK;
    CHECK(rig_loads_with("a", "two", 1));
    CHECK(rig_loads_with("a", "two", 0));
    rig_sound();
}

/* Another write may have given it another TTL. */
TEST(touch_overtaken_by_a_push_does_not_extend_the_copy) {
    mcpsess_op op;
    uint64_t stored_ms;
    start();
    stored_ms = rig.now;
    rig.now += RIG_TTL / 2 + 1000;
    rig.net.delay = 2;
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_session_touch(&rig.table, &op, MCPSESS_STR("a"), &rig.alice, rig.now), MCPSESS_PENDING);
    test_store_push(&rig.net, "a");
    CHECK_EQ(rig_end(&op, MCPSESS_PENDING), MCPSESS_OK);
    rig.net.delay = 0;
    rig.net.fail = MCPSESS_E_IO;
    rig.now = stored_ms + RIG_TTL - 1;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_OK);
    rig.now += 1;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
}

TEST(touch_extends_the_copy) {
    uint64_t stored_ms;
    start();
    stored_ms = rig.now;
    rig.now += RIG_TTL / 2 + 1000;
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_OK);
    rig.net.fail = MCPSESS_E_IO;
    rig.now = stored_ms + RIG_TTL;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_OK);
    rig.now += RIG_TTL / 2 + 1000;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
}

/* It says that the session is there, not what it is. */
TEST(touch_does_not_make_the_copy_younger) {
    mcpsess_session_desc d = rig_desc();
    uint64_t loaded_ms;
    d.stale_ms = RIG_TTL / 2 + 2000;
    rig_start_listening(&d);
    CHECK_EQ(rig_store("a", "one"), MCPSESS_OK);
    loaded_ms = rig.now;
    rig.now += RIG_TTL / 2 + 1000;
    CHECK_EQ(rig_touch("a", &rig.alice), MCPSESS_OK);
    rig.net.fail = MCPSESS_E_IO;
    rig.now = loaded_ms + d.stale_ms;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_OK);
    rig.now += 1;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
}

TEST(deaf_a_copy_is_good_for_revalidate_ms_only) {
    start();
    rig.net.hear = MCPSESS_STALE;
    rig.now += 1000;
    CHECK(rig_loads_with("a", "one", 0));
    rig.now += 1;
    write_elsewhere("two");
    CHECK(rig_loads_with("a", "two", 1));
    rig.now += 1000;
    CHECK(rig_loads_with("a", "two", 0));
}

TEST(what_was_kept_while_deaf_is_confirmed_when_hearing_is_back) {
    unsigned slowly;
    for (slowly = 0; slowly < 2; slowly++) {
        start();
        rig.net.hear = MCPSESS_STALE;
        rig.now += 10;
        CHECK(rig_loads_with("a", "one", 0));
        write_elsewhere("two"); /* its push is lost */
        rig.net.hear = slowly != 0 ? MCPSESS_PENDING : MCPSESS_OK;
        rig.now += 10;
        if (slowly != 0) CHECK_EQ(rig_load("z", &rig.alice), MCPSESS_MISS);
        rig.net.hear = MCPSESS_OK;
        rig.now += 10;
        CHECK(rig_loads_with("a", "two", 1));
        rig.now += 5000;
        CHECK(rig_loads_with("a", "two", 0));
    }
}

/* A burst of changes of others, larger than what one receive takes: nothing is lost, it only takes longer. */
TEST(what_is_not_all_heard_yet_is_a_request_and_marks_nothing) {
    unsigned n;
    start();
    CHECK_EQ(rig_store("b", "one"), MCPSESS_OK);
    rig.net.hear = MCPSESS_PENDING;
    for (n = 0; n < 2; n++) {
        rig.now += 6;
        CHECK(rig_loads_with("a", "one", 1)); /* the push for it may be what is still to come */
    }
    rig.net.hear = MCPSESS_OK; /* at once, however short ago it was asked */
    CHECK(rig_loads_with("a", "one", 0));
    CHECK(rig_loads_with("b", "one", 0));
    CHECK_EQ(rig.table.stats.flushes, 0);
}

TEST(max_age_counts_even_when_all_is_told) {
    start();
    rig.now += RIG_MAX_AGE;
    CHECK(rig_loads_with("a", "one", 0));
    rig.now += 1;
    CHECK(rig_loads_with("a", "one", 1));
}

TEST(store_away_serves_the_marked_copy) {
    static const int away[] = {MCPSESS_E_IO, MCPSESS_E_UNKNOWN, MCPSESS_E_TIMEOUT, MCPSESS_E_STORE,
                               MCPSESS_E_STORE - 5};
    unsigned n;
    for (n = 0; n < sizeof away / sizeof away[0]; n++) {
        start();
        test_store_push(&rig.net, "");
        rig.net.hear = MCPSESS_STALE;
        rig.net.fail = away[n];
        rig.now += 6;
        CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_OK);
        CHECK(rig.op.stale);
        CHECK_EQ(rig_load("z", &rig.alice), away[n]);
        rig.net.fail = MCPSESS_OK;
        rig.net.hear = MCPSESS_OK;
        rig.now += 6;
        CHECK(rig_loads_with("a", "one", 1));
        CHECK(!rig.op.stale);
        rig_sound();
    }
}

TEST(own_write_is_confirmed_once_when_its_push_comes) {
    start();
    CHECK_EQ(rig_update("a", "two"), MCPSESS_OK);
    test_store_push(&rig.net, "a");
    rig.now += 6;
    CHECK(rig_loads_with("a", "two", 1));
    rig.now += 6;
    CHECK(rig_loads_with("a", "two", 0));
}

TEST(answers_that_come_with_what_is_told_are_landed_at_once) {
    mcpsess_op op;
    start();
    rig.net.delay = 1;
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_session_exists(&rig.table, &op, MCPSESS_STR("z"), &rig.alice, rig.now), MCPSESS_PENDING);
    rig.now += 6;
    CHECK(rig_loads_with("a", "one", 0)); /* hears, and so takes the other answer off the wire */
    CHECK_EQ(mcpsess_op_rc(&op), MCPSESS_MISS);
    CHECK_EQ(mcpsess_want(&op), 0);
}

/* Whoever shares the store's connection, by a table or by commands of its own, steps it, too. */
TEST(answer_that_somebody_else_took_in_wants_a_poll_at_once) {
    mcpsess_op op;
    start();
    rig.net.delay = 1;
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_session_exists(&rig.table, &op, MCPSESS_STR("z"), &rig.alice, rig.now), MCPSESS_PENDING);
    CHECK((mcpsess_want(&op) & MCPSESS_WANT_NOW) == 0);
    rig.net.store.cls->poll(rig.net.store.self, rig.now);
    CHECK_EQ(mcpsess_op_rc(&op), MCPSESS_PENDING);
    CHECK((mcpsess_want(&op) & MCPSESS_WANT_NOW) != 0);
    CHECK(mcpsess_next_due(&op, rig.now) == rig.now);
    CHECK_EQ(mcpsess_poll(&op, rig.now), MCPSESS_MISS);
}

TEST(request_has_the_deadline_of_its_op) {
    mcpsess_op op;
    char mem[RIG_RECORD_MAX];
    mcpsess_buf out;
    start();
    mcpsess_buf_init(&out, mem, sizeof mem);
    mcpsess_op_init(&op, RIG_TIMEOUT + 700);
    CHECK_EQ(mcpsess_session_load(&rig.table, &op, MCPSESS_STR("z"), &rig.alice, &out, rig.now), MCPSESS_MISS);
    CHECK_EQ(rig.net.last.deadline_ms, rig.now + RIG_TIMEOUT + 700);
    CHECK_EQ(rig_load("z", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(rig.net.last.deadline_ms, rig.now + RIG_TIMEOUT);
}

TEST(write_that_timed_out_at_the_store_is_confirmed) {
    start();
    rig.net.fail = MCPSESS_E_TIMEOUT;
    rig.net.fail_after = true;
    CHECK_EQ(rig_update("a", "two"), MCPSESS_E_TIMEOUT);
    rig.net.fail = MCPSESS_OK;
    CHECK(rig_loads_with("a", "two", 1));
}

TEST(hear_without_listen_is_refused) {
    mcpsess_store_class half;
    mcpsess_session_desc d = rig_desc();
    rig_start(&d);
    half = *rig.net.store.cls;
    half.listen = NULL;
    half.hear = rig.net.store.cls->hear;
    d.store.cls = &half;
    d.store.self = &rig.net;
    CHECK(mcpsess_session_bytes(&d) != 0);
    test_store_listens(&rig.net);
    half.hear = rig.net.store.cls->hear;
    CHECK_EQ(mcpsess_session_bytes(&d), 0);
}

void test_coherence(void) {
    RUN(push_marks_and_the_next_use_confirms_with_one_request);
    RUN(push_drops_nothing_but_what_is_gone);
    RUN(push_for_another_session_costs_nothing);
    RUN(hit_listens_first_and_not_more_often_than_max_lag);
    RUN(hit_that_cannot_listen_is_a_request);
    RUN(any_record_may_have_changed);
    RUN(load_overtaken_by_a_push_is_answered_but_not_kept);
    RUN(write_told_of_before_it_has_landed_is_kept_to_be_confirmed);
    RUN(touch_overtaken_by_a_push_does_not_extend_the_copy);
    RUN(touch_extends_the_copy);
    RUN(touch_does_not_make_the_copy_younger);
    RUN(deaf_a_copy_is_good_for_revalidate_ms_only);
    RUN(what_was_kept_while_deaf_is_confirmed_when_hearing_is_back);
    RUN(what_is_not_all_heard_yet_is_a_request_and_marks_nothing);
    RUN(max_age_counts_even_when_all_is_told);
    RUN(store_away_serves_the_marked_copy);
    RUN(own_write_is_confirmed_once_when_its_push_comes);
    RUN(answers_that_come_with_what_is_told_are_landed_at_once);
    RUN(answer_that_somebody_else_took_in_wants_a_poll_at_once);
    RUN(request_has_the_deadline_of_its_op);
    RUN(write_that_timed_out_at_the_store_is_confirmed);
    RUN(hear_without_listen_is_refused);
}
