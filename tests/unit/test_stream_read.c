#include "stream_rig.h"

static mcpsess_stream_writer w, other;
static mcpsess_stream_reader r;
static char first_id[MCPSESS_EVENTID_MAX];

static void start(void) {
    stream_rig_start();
    memset(&w, 0, sizeof w);
    memset(&other, 0, sizeof other);
    memset(&r, 0, sizeof r);
}

/* The id of the event that was appended last, kept. */
static mcpsess_str keep_id(void) {
    mcpsess_str id = rig_id();
    memcpy(first_id, id.ptr, id.len);
    return mcpsess_str_of(first_id, id.len);
}

/* A stream with three events; -> the id of the first */
static mcpsess_str three_events(void) {
    mcpsess_str id;
    CHECK_EQ(rig_open(&w, "1", false), MCPSESS_OK);
    CHECK_EQ(rig_append(&w, "a"), MCPSESS_OK);
    id = keep_id();
    CHECK_EQ(rig_append(&w, "b"), MCPSESS_OK);
    CHECK_EQ(rig_append(&w, "c"), MCPSESS_OK);
    return id;
}

TEST(stream_replays_what_was_missed_in_order_with_ids) {
    mcpsess_str id;
    start();
    id = three_events();
    CHECK_EQ(rig_resume(&r, id), MCPSESS_OK);
    CHECK_STR(r.session, "s1");
    CHECK_STR(r.stream, "1");
    CHECK(rig_reads(&r, "b"));
    CHECK_EQ(rig_event.sequence, 2);
    CHECK(rig_reads(&r, "c"));
    CHECK(mcpsess_str_eq(rig_event.id, rig_id()));
    CHECK_EQ(rig.streams.stats.replayed, 2);
    CHECK_EQ(rig_next(&r), MCPSESS_PENDING);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    CHECK(rig_reads(&r, "d"));
    CHECK_EQ(rig_complete(&w), MCPSESS_OK);
    CHECK_EQ(rig_next(&r), MCPSESS_END);
    CHECK_EQ(rig_next(&r), MCPSESS_END);
    CHECK_EQ(rig.refreshes, 1); /* following never writes */
    mcpsess_stream_close(&r);
    mcpsess_stream_close(&r);
    CHECK(rig.streams.i.readers == NULL);
}

TEST(stream_complete_one_with_nothing_left_ends_at_once) {
    start();
    (void)three_events();
    CHECK_EQ(rig_complete(&w), MCPSESS_OK);
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    CHECK_EQ(rig_next(&r), MCPSESS_END);
    CHECK(r.done);
    CHECK_EQ(r.writer_left_ms, 0);
    mcpsess_stream_close(&r);
}

TEST(stream_polling_reader_ends_after_one_read) {
    mcpsess_str id;
    unsigned submits;
    start();
    id = three_events();
    CHECK_EQ(mcpsess_stream_set_mode(&w, &rig_op, false, rig.now_ms), MCPSESS_OK);
    submits = rig.submits;
    CHECK_EQ(rig_resume(&r, id), MCPSESS_OK);
    CHECK(rig_reads(&r, "b"));
    CHECK(rig_reads(&r, "c"));
    CHECK_EQ(rig_next(&r), MCPSESS_END);
    CHECK_EQ(rig.submits, submits + 1);
    CHECK(!r.streaming);
    mcpsess_stream_close(&r);
}

TEST(stream_switch_to_polling_ends_a_waiting_reader) {
    start();
    (void)three_events();
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    CHECK_EQ(rig_next(&r), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_stream_set_mode(&w, &rig_op, false, rig.now_ms), MCPSESS_OK);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    CHECK(rig_reads(&r, "d"));
    CHECK_EQ(rig_next(&r), MCPSESS_END);
    mcpsess_stream_close(&r);
}

/* A reader that is caught up and waits; -> requests so far */
static unsigned wait_for_more(mcpsess_op *op) {
    (void)three_events();
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    mcpsess_op_init(op, 0);
    CHECK_EQ(mcpsess_stream_next(&r, op, &rig_event, rig.now_ms), MCPSESS_PENDING);
    return rig.submits;
}

TEST(stream_waiting_reader_is_woken_by_the_store) {
    mcpsess_op op;
    unsigned submits;
    start();
    submits = wait_for_more(&op);
    CHECK_EQ(mcpsess_next_due(&op, rig.now_ms), rig.now_ms + 10000);
    CHECK_EQ(mcpsess_want(&op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME);
    rig.now_ms += 9999;
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_PENDING);
    CHECK_EQ(rig.submits, submits);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    CHECK_EQ(mcpsess_next_due(&op, rig.now_ms), rig.now_ms);
    CHECK_EQ(mcpsess_want(&op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME | MCPSESS_WANT_NOW);
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_OK);
    CHECK_STR(rig_event.data, "d");
    CHECK_EQ(rig.streams.stats.woken, 1);
    CHECK_EQ(rig.streams.stats.polled, 0);
    mcpsess_stream_close(&r);
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_OK); /* a done op outlives its reader */
}

TEST(stream_waiting_reader_polls_where_nothing_is_told) {
    mcpsess_op op;
    unsigned submits;
    start();
    rig.silent = true;
    submits = wait_for_more(&op);
    CHECK_EQ(mcpsess_next_due(&op, rig.now_ms), rig.now_ms + 1000);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    rig.now_ms += 999;
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_PENDING);
    CHECK_EQ(rig.submits, submits + 1); /* the append's */
    rig.now_ms += 1;
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_OK);
    CHECK_EQ(rig.streams.stats.polled, 1);
    mcpsess_stream_close(&r);
}

TEST(stream_reader_is_not_woken_by_other_sessions_nor_by_itself) {
    mcpsess_op op;
    unsigned submits;
    start();
    submits = wait_for_more(&op);
    CHECK_EQ(mcpsess_stream_open(&rig.streams, &other, &rig_op, MCPSESS_STR("s2"), &rig.who, MCPSESS_STR("1"), false,
                                 rig.now_ms),
             MCPSESS_OK);
    CHECK_EQ(rig_append(&other, "x"), MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_PENDING);
    CHECK_EQ(rig.submits, submits + 2);
    CHECK_EQ(rig.streams.stats.woken, 0);
    rig.listener->changed(rig.listener->user, MCPSESS_STR("")); /* any may have been */
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_PENDING);
    CHECK_EQ(rig.submits, submits + 3);
    mcpsess_cancel(&op);
    mcpsess_stream_close(&r);
}

TEST(stream_write_between_answer_and_wait_is_not_missed) {
    mcpsess_op op;
    start();
    (void)three_events();
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK); /* before next is called */
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_stream_next(&r, &op, &rig_event, rig.now_ms), MCPSESS_OK);
    CHECK_STR(rig_event.data, "d");
    mcpsess_stream_close(&r);
}

TEST(stream_wait_ends_at_its_deadline_and_goes_on) {
    mcpsess_op op;
    start();
    (void)three_events();
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    mcpsess_op_init(&op, 700);
    CHECK_EQ(mcpsess_stream_next(&r, &op, &rig_event, rig.now_ms), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&op, rig.now_ms), rig.now_ms + 700);
    CHECK_EQ(mcpsess_stream_next(&r, &op, &rig_event, rig.now_ms), MCPSESS_E_STATE);
    rig.now_ms += 700;
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_E_TIMEOUT);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    CHECK(rig_reads(&r, "d"));
    mcpsess_stream_close(&r);
}

TEST(stream_reader_stays_where_it_is_after_an_error) {
    unsigned submits;
    start();
    (void)three_events();
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    rig.fail = MCPSESS_E_IO;
    CHECK_EQ(rig_next(&r), MCPSESS_E_IO);
    submits = rig.submits;
    CHECK_EQ(rig_next(&r), MCPSESS_PENDING); /* not asked again at once */
    CHECK_EQ(rig.submits, submits);
    rig.now_ms += 1000;
    CHECK_EQ(rig_next(&r), MCPSESS_PENDING);
    rig.fail = MCPSESS_OK;
    rig.listener->changed(rig.listener->user, MCPSESS_STR("")); /* the connection is back */
    CHECK(rig_reads(&r, "d"));
    mcpsess_stream_close(&r);
}

TEST(stream_slow_store_is_stepped) {
    mcpsess_str id;
    start();
    id = three_events();
    rig.delay = 2;
    CHECK_EQ(rig_resume(&r, id), MCPSESS_OK);
    CHECK(rig_reads(&r, "b"));
    CHECK(rig_reads(&r, "c"));
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    CHECK(rig_reads(&r, "d"));
    mcpsess_stream_close(&r);
}

TEST(stream_cancelled_read_asks_again) {
    mcpsess_op op;
    start();
    (void)three_events();
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    rig.delay = 5;
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_stream_next(&r, &op, &rig_event, rig.now_ms), MCPSESS_PENDING);
    mcpsess_cancel(&op);
    CHECK_EQ(mcpsess_op_rc(&op), MCPSESS_E_CANCELED);
    CHECK_EQ(rig.cancels, 1);
    rig.delay = 0;
    CHECK(rig_reads(&r, "d"));
    mcpsess_stream_close(&r);
}

TEST(stream_open_that_is_given_up_leaves_no_reader) {
    mcpsess_op op;
    start();
    (void)three_events();
    rig.delay = 5;
    mcpsess_op_init(&op, 0);
    CHECK_EQ(mcpsess_stream_resume(&rig.streams, &r, &op, rig_id(), MCPSESS_STR("s1"), &rig.who, rig_page,
                                   sizeof rig_page, rig.now_ms),
             MCPSESS_PENDING);
    CHECK_EQ(mcpsess_stream_next(&r, &rig_op.op, &rig_event, rig.now_ms), MCPSESS_E_STATE);
    mcpsess_cancel(&op);
    CHECK(rig.streams.i.readers == NULL);
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_E_CANCELED);
}

TEST(stream_reads_page_by_page) {
    char text[3];
    unsigned n;
    start();
    (void)three_events();
    memcpy(text, "e0", 3);
    for (n = 0; n < 8; n++) {
        text[1] = (char)('0' + n);
        CHECK_EQ(rig_append(&w, text), MCPSESS_OK);
    }
    CHECK_EQ(mcpsess_stream_read(&rig.streams, &r, &rig_op.op, MCPSESS_STR("s1"), &rig.who, MCPSESS_STR("1"), w.epoch,
                                 3, rig_page, MCPSESS_STREAM_READER_MIN, rig.now_ms),
             MCPSESS_OK);
    for (n = 0; n < 8; n++) {
        text[1] = (char)('0' + n);
        CHECK(rig_reads(&r, text));
    }
    CHECK_EQ(rig_next(&r), MCPSESS_PENDING);
    mcpsess_stream_close(&r);
}

TEST(stream_event_larger_than_the_page_says_what_it_needs) {
    char text[MCPSESS_STREAM_READER_MIN + 1];
    start();
    (void)three_events();
    (void)str_fill(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK_EQ(rig_append(&w, text), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_read(&rig.streams, &r, &rig_op.op, MCPSESS_STR("s1"), &rig.who, MCPSESS_STR("1"), w.epoch,
                                 3, rig_page, MCPSESS_STREAM_READER_MIN, rig.now_ms),
             MCPSESS_E_TOOBIG);
    CHECK_EQ(rig_op.op.need, sizeof text - 1 + 6);
    CHECK(rig.streams.i.readers == NULL);
}

TEST(stream_lapped_reader_meets_gap) {
    mcpsess_str id;
    char text[100];
    unsigned n;
    start();
    id = three_events();
    CHECK_EQ(rig_resume(&r, id), MCPSESS_OK);
    CHECK(rig_reads(&r, "b"));
    CHECK(rig_reads(&r, "c"));
    (void)str_fill(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (n = 0; n < 4; n++) CHECK_EQ(rig_append(&w, text), MCPSESS_OK);
    CHECK_EQ(rig_next(&r), MCPSESS_GAP);
    CHECK_EQ(rig_next(&r), MCPSESS_GAP);
    CHECK_EQ(rig.streams.stats.gaps, 1);
    mcpsess_stream_close(&r);
}

TEST(stream_expired_event_is_gap_before_anything_is_sent) {
    mcpsess_str id;
    start();
    rig.desc.limits.event_ttl_ms = 5000;
    rig.desc.limits.log_ttl_ms = 60000;
    stream_rig_restart();
    id = three_events();
    rig.now_ms += 5000;
    CHECK_EQ(rig_resume(&r, id), MCPSESS_GAP);
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK); /* who has seen the last one misses nothing */
    CHECK_EQ(rig_next(&r), MCPSESS_PENDING);
    mcpsess_stream_close(&r);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    CHECK_EQ(rig_op.sequence, 4);
}

TEST(stream_deleted_while_a_reader_waits_is_miss) {
    mcpsess_op op;
    start();
    (void)wait_for_more(&op);
    CHECK_EQ(
        mcpsess_stream_del(&rig.streams, &rig_op, MCPSESS_STR("s1"), &rig.who, mcpsess_str_of(NULL, 0), rig.now_ms),
        MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&op, rig.now_ms), MCPSESS_MISS);
    CHECK_EQ(rig_next(&r), MCPSESS_MISS);
    mcpsess_stream_close(&r);
}

TEST(stream_replay_is_capped_and_counted) {
    mcpsess_str id;
    start();
    rig.desc.replay_max = 2;
    stream_rig_restart();
    id = three_events();
    CHECK_EQ(rig_resume(&r, id), MCPSESS_OK);
    mcpsess_stream_close(&r);
    CHECK_EQ(rig_append(&w, "d"), MCPSESS_OK);
    CHECK_EQ(rig_resume(&r, id), MCPSESS_GAP);
    CHECK_EQ(rig.streams.stats.capped, 1);
    CHECK_EQ(rig.streams.stats.gaps, 1);
    CHECK_EQ(rig.streams.stats.replayed, 0);
}

TEST(stream_reader_knows_whether_anybody_writes) {
    start();
    (void)three_events();
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    CHECK_EQ(r.writer_left_ms, 30000);
    mcpsess_stream_close(&r);
    rig.now_ms += 30000;
    CHECK_EQ(rig_resume(&r, rig_id()), MCPSESS_OK);
    CHECK_EQ(r.writer_left_ms, 0);
    mcpsess_stream_close(&r);
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
    RUN(stream_reader_knows_whether_anybody_writes);
}
