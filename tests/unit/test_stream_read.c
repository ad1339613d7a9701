#include "stream_rig.h"

TEST(stream_replays_what_was_missed_in_order_with_ids) {
    mcpsess_str id;
    stream_rig_start();
    id = stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_OK);
    CHECK_STR(sr.r.session, "s1");
    CHECK_STR(sr.r.stream, "1");
    CHECK(stream_reads(&sr.r, "b"));
    CHECK_EQ(stream_event.sequence, 2);
    CHECK(stream_reads(&sr.r, "c"));
    CHECK(mcpsess_str_eq(stream_event.id, stream_id()));
    CHECK_EQ(sr.streams.stats.replayed, 2);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_PENDING);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK(stream_reads(&sr.r, "d"));
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_END);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_END);
    CHECK_EQ(sr.refreshes, 1); /* following never writes */
    mcpsess_stream_close(&sr.r);
    mcpsess_stream_close(&sr.r);
    CHECK(sr.streams.i.readers == NULL);
}

TEST(stream_complete_one_with_nothing_left_ends_at_once) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_END);
    CHECK(sr.r.done);
    CHECK_EQ(sr.r.writer_left_ms, 0);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_polling_reader_ends_after_one_read) {
    mcpsess_str id;
    unsigned submits;
    stream_rig_start();
    id = stream_three_events();
    CHECK_EQ(mcpsess_stream_set_mode(&sr.w, &stream_op, false, sr.now_ms), MCPSESS_OK);
    submits = sr.submits;
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_OK);
    CHECK(stream_reads(&sr.r, "b"));
    CHECK(stream_reads(&sr.r, "c"));
    CHECK_EQ(stream_next(&sr.r), MCPSESS_END);
    CHECK_EQ(sr.submits, submits + 1);
    CHECK(!sr.r.streaming);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_switch_to_polling_ends_a_waiting_reader) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_stream_set_mode(&sr.w, &stream_op, false, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK(stream_reads(&sr.r, "d"));
    CHECK_EQ(stream_next(&sr.r), MCPSESS_END);
    mcpsess_stream_close(&sr.r);
}

/* A reader that is caught up and waits; -> requests so far */
static unsigned wait_for_more(mcpsess_op *op) {
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    mcpsess_op_init(op, 0);
    CHECK_EQ(mcpsess_stream_next(&sr.r, op, &stream_event, sr.now_ms), MCPSESS_PENDING);
    return sr.submits;
}

TEST(stream_waiting_reader_is_woken_by_the_store) {
    mcpsess_op op;
    unsigned submits;
    stream_rig_start();
    submits = wait_for_more(&op);
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), sr.now_ms + 10000);
    CHECK_EQ(mcpsess_want(&op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME);
    sr.now_ms += 9999;
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(sr.submits, submits);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), sr.now_ms);
    CHECK_EQ(mcpsess_want(&op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME | MCPSESS_WANT_NOW);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_OK);
    CHECK_STR(stream_event.data, "d");
    CHECK_EQ(sr.streams.stats.woken, 1);
    CHECK_EQ(sr.streams.stats.polled, 0);
    mcpsess_stream_close(&sr.r);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_OK); /* a done op outlives its reader */
}

TEST(stream_waiting_reader_polls_where_nothing_is_told) {
    mcpsess_op op;
    unsigned submits;
    stream_rig_start();
    sr.silent = true;
    submits = wait_for_more(&op);
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), sr.now_ms + 1000);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    sr.now_ms += 999;
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(sr.submits, submits + 1); /* the append's */
    sr.now_ms += 1;
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(sr.streams.stats.polled, 1);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_reader_is_not_woken_by_other_sessions_nor_by_itself) {
    mcpsess_op op;
    unsigned submits;
    stream_rig_start();
    submits = wait_for_more(&op);
    CHECK_EQ(mcpsess_stream_open(&sr.streams, &sr.other, &stream_op, MCPSESS_STR("s2"), &sr.who, MCPSESS_STR("1"),
                                 false, sr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.other, "x"), MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(sr.submits, submits + 2);
    CHECK_EQ(sr.streams.stats.woken, 0);
    sr.listener->changed(sr.listener->user, MCPSESS_STR("")); /* any may have been */
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(sr.submits, submits + 3);
    mcpsess_cancel(&op);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_write_between_answer_and_wait_is_not_missed) {
    mcpsess_op op;
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK); /* before next is called */
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_stream_next(&sr.r, &op, &stream_event, sr.now_ms), MCPSESS_OK);
    CHECK_STR(stream_event.data, "d");
    mcpsess_stream_close(&sr.r);
}

TEST(stream_wait_ends_at_its_deadline_and_goes_on) {
    mcpsess_op op;
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    mcpsess_op_init(&op, 700);
    CHECK_EQ(mcpsess_stream_next(&sr.r, &op, &stream_event, sr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), sr.now_ms + 700);
    CHECK_EQ(mcpsess_stream_next(&sr.r, &op, &stream_event, sr.now_ms), MCPSESS_E_STATE);
    sr.now_ms += 700;
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_E_TIMEOUT);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK(stream_reads(&sr.r, "d"));
    mcpsess_stream_close(&sr.r);
}

TEST(stream_reader_stays_where_it_is_after_an_error) {
    unsigned submits;
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    sr.fail = MCPSESS_E_IO;
    CHECK_EQ(stream_next(&sr.r), MCPSESS_E_IO);
    submits = sr.submits;
    CHECK_EQ(stream_next(&sr.r), MCPSESS_PENDING); /* not asked again at once */
    CHECK_EQ(sr.submits, submits);
    sr.now_ms += 1000;
    CHECK_EQ(stream_next(&sr.r), MCPSESS_E_IO);
    CHECK_EQ(sr.submits, submits + 1);
    sr.fail = MCPSESS_OK;
    sr.listener->changed(sr.listener->user, MCPSESS_STR("")); /* the connection is back */
    CHECK(stream_reads(&sr.r, "d"));
    mcpsess_stream_close(&sr.r);
}

TEST(stream_slow_store_is_stepped) {
    mcpsess_str id;
    stream_rig_start();
    id = stream_three_events();
    sr.delay = 2;
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_OK);
    CHECK(stream_reads(&sr.r, "b"));
    CHECK(stream_reads(&sr.r, "c"));
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK(stream_reads(&sr.r, "d"));
    mcpsess_stream_close(&sr.r);
}

TEST(stream_cancelled_read_asks_again) {
    mcpsess_op op;
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    sr.delay = 5;
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_stream_next(&sr.r, &op, &stream_event, sr.now_ms), MCPSESS_PENDING);
    mcpsess_cancel(&op);
    CHECK_EQ(mcpsess_op_rc(&op), MCPSESS_E_CANCELED);
    CHECK_EQ(sr.cancels, 1);
    sr.delay = 0;
    CHECK(stream_reads(&sr.r, "d"));
    mcpsess_stream_close(&sr.r);
}

TEST(stream_open_that_is_given_up_leaves_no_reader) {
    mcpsess_op op;
    stream_rig_start();
    (void)stream_three_events();
    sr.delay = 5;
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_stream_resume(&sr.streams, &sr.r, &op, stream_id(), MCPSESS_STR("s1"), &sr.who, stream_page,
                                   sizeof stream_page, sr.now_ms),
             MCPSESS_PENDING);
    CHECK_EQ(mcpsess_stream_next(&sr.r, &stream_op.op, &stream_event, sr.now_ms), MCPSESS_E_STATE);
    mcpsess_cancel(&op);
    CHECK(sr.streams.i.readers == NULL);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_E_CANCELED);
}

TEST(stream_reads_page_by_page) {
    char text[3];
    unsigned n;
    stream_rig_start();
    (void)stream_three_events();
    memcpy(text, "e0", 3);
    for (n = 0; n < 8; n++) {
        text[1] = (char)('0' + n);
        CHECK_EQ(stream_append(&sr.w, text), MCPSESS_OK);
    }
    CHECK_EQ(mcpsess_stream_read(&sr.streams, &sr.r, &stream_op.op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"),
                                 sr.w.epoch, 3, stream_page, MCPSESS_STREAM_READER_MIN, sr.now_ms),
             MCPSESS_OK);
    for (n = 0; n < 8; n++) {
        text[1] = (char)('0' + n);
        CHECK(stream_reads(&sr.r, text));
    }
    CHECK_EQ(stream_next(&sr.r), MCPSESS_PENDING);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_event_larger_than_the_page_says_what_it_needs) {
    char text[MCPSESS_STREAM_READER_MIN + 1];
    stream_rig_start();
    (void)stream_three_events();
    (void)str_fill(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK_EQ(stream_append(&sr.w, text), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_read(&sr.streams, &sr.r, &stream_op.op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"),
                                 sr.w.epoch, 3, stream_page, MCPSESS_STREAM_READER_MIN, sr.now_ms),
             MCPSESS_E_TOOBIG);
    CHECK_EQ(stream_op.op.need, sizeof text - 1 + 6);
    CHECK(sr.streams.i.readers == NULL);
}

TEST(stream_lapped_reader_meets_gap) {
    mcpsess_str id;
    char text[100];
    unsigned n;
    stream_rig_start();
    id = stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_OK);
    CHECK(stream_reads(&sr.r, "b"));
    CHECK(stream_reads(&sr.r, "c"));
    (void)str_fill(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (n = 0; n < 4; n++) CHECK_EQ(stream_append(&sr.w, text), MCPSESS_OK);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_GAP);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_GAP);
    CHECK_EQ(sr.streams.stats.gaps, 1);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_expired_event_is_gap_before_anything_is_sent) {
    mcpsess_str id;
    stream_rig_start();
    sr.desc.limits.event_ttl_ms = 5000;
    sr.desc.limits.log_ttl_ms = 60000;
    stream_rig_restart();
    id = stream_three_events();
    sr.now_ms += 5000;
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_GAP);
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK); /* who has seen the last one misses nothing */
    CHECK_EQ(stream_next(&sr.r), MCPSESS_PENDING);
    mcpsess_stream_close(&sr.r);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 4);
}

TEST(stream_deleted_while_a_reader_waits_is_miss) {
    mcpsess_op op;
    stream_rig_start();
    (void)wait_for_more(&op);
    CHECK_EQ(
        mcpsess_stream_del(&sr.streams, &stream_op, MCPSESS_STR("s1"), &sr.who, mcpsess_str_of(NULL, 0), sr.now_ms),
        MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_MISS);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_MISS);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_replay_is_capped_and_counted) {
    mcpsess_str id;
    stream_rig_start();
    sr.desc.replay_max = 2;
    stream_rig_restart();
    id = stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_OK);
    mcpsess_stream_close(&sr.r);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_GAP);
    CHECK_EQ(sr.streams.stats.capped, 1);
    CHECK_EQ(sr.streams.stats.gaps, 1);
    CHECK_EQ(sr.streams.stats.replayed, 0);
}

TEST(stream_readers_close_in_any_order) {
    mcpsess_stream_reader second;
    mcpsess_op op;
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(stream_resume(&second, stream_id()), MCPSESS_OK);
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_stream_next(&second, &op, &stream_event, sr.now_ms), MCPSESS_PENDING);
    mcpsess_stream_close(&sr.r); /* the one that opened first */
    CHECK(sr.streams.i.readers == &second && second.i.next == NULL);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_OK);
    mcpsess_stream_close(&second);
    CHECK(sr.streams.i.readers == NULL);
}

TEST(stream_read_that_is_under_way_waits_for_its_answer) {
    mcpsess_op op;
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    sr.delay = 3;
    sr.due_ms = sr.now_ms + 40;
    mcpsess_op_init(&op, 0);
    stream_event.retry = true;
    CHECK_EQ(mcpsess_stream_next(&sr.r, &op, &stream_event, sr.now_ms), MCPSESS_PENDING);
    CHECK(!stream_event.retry); /* nothing of an older event is left */
    CHECK_EQ(sr.deadline_ms, sr.now_ms + 5000);
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), sr.now_ms + 40);
    CHECK_EQ(mcpsess_want(&op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME);
    sr.slots[0].age = 2;
    (void)sr.streams.i.desc.store.cls->poll(sr.streams.i.desc.store.self, sr.now_ms); /* for somebody else */
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), sr.now_ms);
    CHECK_EQ(mcpsess_want(&op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME | MCPSESS_WANT_NOW);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), MCPSESS_NEVER);
    CHECK_EQ(mcpsess_want(&op), 0);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_read_from_the_start_of_an_epoch) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(mcpsess_stream_read(&sr.streams, &sr.r, &stream_op.op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"),
                                 sr.w.epoch, 0, stream_page, sizeof stream_page, sr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(sr.last_kind, MCPSESS_LOG_RANGE);
    CHECK(stream_reads(&sr.r, "a"));
    mcpsess_stream_close(&sr.r);
    CHECK_EQ(mcpsess_stream_read(&sr.streams, &sr.r, &stream_op.op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"), 0, 2,
                                 stream_page, sizeof stream_page, sr.now_ms),
             MCPSESS_OK);
    CHECK(stream_reads(&sr.r, "c"));
    mcpsess_stream_close(&sr.r);
}

TEST(stream_open_of_a_reader_meets_its_deadline) {
    mcpsess_op op;
    stream_rig_start();
    (void)stream_three_events();
    sr.delay = 1000;
    mcpsess_op_init(&op, 300);
    CHECK_EQ(mcpsess_stream_resume(&sr.streams, &sr.r, &op, stream_id(), MCPSESS_STR("s1"), &sr.who, stream_page,
                                   sizeof stream_page, sr.now_ms),
             MCPSESS_PENDING);
    CHECK_EQ(mcpsess_stream_resume(&sr.streams, &sr.r, &op, stream_id(), MCPSESS_STR("s1"), &sr.who, stream_page,
                                   sizeof stream_page, sr.now_ms),
             MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), sr.now_ms + 300);
    sr.now_ms += 300;
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_E_TIMEOUT);
    CHECK(sr.streams.i.readers == NULL);
}

TEST(stream_reader_knows_whether_anybody_writes) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(sr.r.writer_left_ms, 30000);
    mcpsess_stream_close(&sr.r);
    sr.now_ms += 30000;
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK_EQ(sr.r.writer_left_ms, 0);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_reader_that_waits_in_short_turns_still_asks_in_time) {
    mcpsess_op op;
    unsigned n;
    int rc = MCPSESS_E_TIMEOUT;
    stream_rig_start();
    sr.silent = true;
    (void)wait_for_more(&op);
    mcpsess_cancel(&op);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    op.timeout_ms = 400;
    for (n = 0; n < 3 && rc == MCPSESS_E_TIMEOUT; n++) {
        rc = mcpsess_stream_next(&sr.r, &op, &stream_event, sr.now_ms);
        sr.now_ms += 400;
        if (rc == MCPSESS_PENDING) rc = mcpsess_poll(&op, sr.now_ms);
    }
    CHECK_EQ(rc, MCPSESS_OK);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_reader_polls_a_store_that_tells_nobody_of_logs) {
    mcpsess_op op;
    stream_rig_start();
    sr.listen = MCPSESS_E_UNSUPPORTED;
    sr.listener = NULL;
    stream_rig_restart();
    (void)wait_for_more(&op);
    CHECK_EQ(mcpsess_next_due(&op, sr.now_ms), sr.now_ms + 1000);
    mcpsess_cancel(&op);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_open_reader_is_not_opened_again) {
    mcpsess_op op;
    stream_rig_start();
    (void)wait_for_more(&op);
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_E_STATE);
    CHECK(sr.streams.i.readers == &sr.r && sr.r.i.next == NULL);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_OK);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_reader_has_one_next_at_a_time) {
    mcpsess_op op;
    mcpsess_event e;
    stream_rig_start();
    (void)wait_for_more(&op);
    CHECK_EQ(mcpsess_stream_next(&sr.r, &stream_op.op, &e, sr.now_ms), MCPSESS_E_STATE);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_OK);
    CHECK_STR(stream_event.data, "d");
    mcpsess_stream_close(&sr.r);
}

TEST(stream_id_without_an_epoch_is_no_position_where_logs_have_one) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, MCPSESS_STR("czE=:MQ==:1")), MCPSESS_GAP);
    CHECK(sr.streams.i.readers == NULL);
    CHECK_EQ(sr.streams.stats.gaps, 1);
}

TEST(stream_read_is_over_when_its_end_is_logged) {
    mcpsess_op op;
    stream_rig_start();
    (void)wait_for_more(&op);
    sr.watched = &op;
    sr.fail = MCPSESS_GAP;
    sr.listener->changed(sr.listener->user, MCPSESS_STR(""));
    CHECK_EQ(mcpsess_poll(&op, sr.now_ms), MCPSESS_GAP);
    CHECK_EQ(sr.items[MCPSESS_ITEM_REPLAY_GAP], 1);
    CHECK_EQ(sr.watched_rc, MCPSESS_GAP);
    mcpsess_stream_close(&sr.r);
}

void test_stream_read(void) {
    RUN(stream_replays_what_was_missed_in_order_with_ids);
    RUN(stream_complete_one_with_nothing_left_ends_at_once);
    RUN(stream_polling_reader_ends_after_one_read);
    RUN(stream_switch_to_polling_ends_a_waiting_reader);
    RUN(stream_waiting_reader_is_woken_by_the_store);
    RUN(stream_waiting_reader_polls_where_nothing_is_told);
    RUN(stream_reader_is_not_woken_by_other_sessions_nor_by_itself);
    RUN(stream_write_between_answer_and_wait_is_not_missed);
    RUN(stream_wait_ends_at_its_deadline_and_goes_on);
    RUN(stream_reader_stays_where_it_is_after_an_error);
    RUN(stream_slow_store_is_stepped);
    RUN(stream_cancelled_read_asks_again);
    RUN(stream_open_that_is_given_up_leaves_no_reader);
    RUN(stream_reads_page_by_page);
    RUN(stream_event_larger_than_the_page_says_what_it_needs);
    RUN(stream_lapped_reader_meets_gap);
    RUN(stream_expired_event_is_gap_before_anything_is_sent);
    RUN(stream_deleted_while_a_reader_waits_is_miss);
    RUN(stream_replay_is_capped_and_counted);
    RUN(stream_readers_close_in_any_order);
    RUN(stream_read_that_is_under_way_waits_for_its_answer);
    RUN(stream_read_from_the_start_of_an_epoch);
    RUN(stream_open_of_a_reader_meets_its_deadline);
    RUN(stream_reader_knows_whether_anybody_writes);
    RUN(stream_reader_that_waits_in_short_turns_still_asks_in_time);
    RUN(stream_reader_polls_a_store_that_tells_nobody_of_logs);
    RUN(stream_open_reader_is_not_opened_again);
    RUN(stream_reader_has_one_next_at_a_time);
    RUN(stream_id_without_an_epoch_is_no_position_where_logs_have_one);
    RUN(stream_read_is_over_when_its_end_is_logged);
}
