#include "stream_rig.h"

/* -- writers -- */

TEST(stream_events_are_numbered_from_one) {
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    CHECK_EQ(sr.w.sequence, 0);
    CHECK(sr.w.epoch > 100);
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 1);
    CHECK_EQ(stream_op.epoch, sr.w.epoch);
    CHECK_STR(str_head(stream_id(), 11), "czE=:MQ==:1");
    CHECK_EQ(stream_append(&sr.w, "b"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 2);
    CHECK_EQ(sr.w.sequence, 2);
    CHECK_EQ(sr.streams.stats.appended, 2);
}

TEST(stream_restarted_writer_continues_the_sequence) {
    uint64_t epoch;
    stream_rig_start();
    (void)stream_three_events();
    epoch = sr.w.epoch;
    stream_rig_restart();
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_BUSY); /* the lease of the one that crashed */
    CHECK_EQ(stream_op.op.left_ms, 30000);
    sr.now_ms += 30000;
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_OK);
    CHECK_EQ(sr.other.sequence, 3);
    CHECK_EQ(sr.other.epoch, epoch);
    CHECK_EQ(stream_append(&sr.other, "d"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 4);
}

TEST(stream_replaced_writer_is_fenced) {
    stream_rig_start();
    (void)stream_three_events();
    sr.now_ms += 30000;
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "late"), MCPSESS_FENCED);
    CHECK_EQ(stream_append(&sr.w, "later"), MCPSESS_FENCED);
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_FENCED);
    CHECK_EQ(mcpsess_stream_due(&sr.w), MCPSESS_NEVER);
    CHECK_EQ(sr.streams.stats.fenced, 1);
    CHECK_EQ(sr.other.sequence, 3);
    CHECK_EQ(stream_append(&sr.other, "d"), MCPSESS_OK);
}

TEST(stream_lease_is_kept_by_appends_and_by_keep) {
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_due(&sr.w), sr.now_ms + 15000);
    sr.now_ms += 20000;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_due(&sr.w), sr.now_ms + 15000);
    sr.now_ms += 20000;
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_BUSY);
    CHECK_EQ(mcpsess_stream_keep(&sr.w, &stream_op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_due(&sr.w), sr.now_ms + 15000);
    sr.now_ms += 29999;
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_BUSY);
    CHECK_EQ(stream_op.op.left_ms, 1);
    sr.now_ms += 1;
    CHECK_EQ(stream_append(&sr.w, "b"), MCPSESS_OK); /* nobody else has taken over */
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_BUSY);
}

TEST(stream_that_was_left_is_the_next_writers_at_once) {
    mcpsess_str id;
    stream_rig_start();
    id = stream_three_events();
    CHECK_EQ(mcpsess_stream_leave(&sr.w, &stream_op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_due(&sr.w), MCPSESS_NEVER);
    CHECK_EQ(stream_append(&sr.w, "late"), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_stream_leave(&sr.w, &stream_op, sr.now_ms), MCPSESS_E_STATE);
    sr.now_ms += 1;
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_OK);
    CHECK_EQ(sr.r.writer_left_ms, 0);
    CHECK(!sr.r.done && sr.r.streaming);
    mcpsess_stream_close(&sr.r);
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.other, "d"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 4);
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_BUSY);
}

TEST(stream_open_that_may_have_been_done_finds_itself) {
    stream_rig_start();
    sr.fail = MCPSESS_E_UNKNOWN;
    sr.fail_after = true;
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_E_UNKNOWN);
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_STATE);
    sr.fail = MCPSESS_OK;
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
}

TEST(stream_of_a_request_id_that_recurs_begins_anew) {
    mcpsess_str id;
    uint64_t epoch;
    stream_rig_start();
    id = stream_three_events();
    epoch = sr.w.epoch;
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_END);
    CHECK_EQ(stream_open(&sr.other, "1", true), MCPSESS_OK);
    CHECK(sr.other.epoch > epoch);
    CHECK_EQ(sr.other.sequence, 0);
    CHECK_EQ(stream_append(&sr.other, "new"), MCPSESS_OK);
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_GAP);
}

TEST(stream_event_with_an_id_passes_through_unstored) {
    mcpsess_event e;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    memset(&e, 0, sizeof e);
    e.id = MCPSESS_STR("theirs");
    e.data = MCPSESS_STR("x");
    CHECK_EQ(mcpsess_stream_append(&sr.w, &stream_op, &e, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&stream_op.op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 0);
    CHECK_EQ(sr.submits, 1);
    CHECK_EQ(sr.streams.stats.passed, 1);
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 1);
}

TEST(stream_primes_with_an_id_and_no_data) {
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_prime(&sr.w, &stream_op, 2500, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 1);
    CHECK_EQ(mcpsess_stream_prime(&sr.w, &stream_op, 0, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_read(&sr.streams, &sr.r, &stream_op.op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"), 0, 0,
                                 stream_page, sizeof stream_page, sr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_OK);
    CHECK_STR(stream_event.type, "prime");
    CHECK(stream_event.data.ptr == NULL && stream_event.retry);
    CHECK_EQ(stream_event.retry_ms, 2500);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_OK);
    CHECK(!stream_event.retry);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_END);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_is_completed_once) {
    unsigned submits;
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    submits = sr.submits;
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_END);
    CHECK_EQ(mcpsess_stream_set_mode(&sr.w, &stream_op, false, sr.now_ms), MCPSESS_END);
    CHECK_EQ(mcpsess_stream_keep(&sr.w, &stream_op, sr.now_ms), MCPSESS_END);
    CHECK_EQ(sr.submits, submits);
}

TEST(stream_completion_that_failed_leaves_it_open) {
    stream_rig_start();
    (void)stream_three_events();
    sr.fail = MCPSESS_E_UNKNOWN;
    sr.fail_after = true;
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_E_UNKNOWN);
    sr.fail_after = false;
    CHECK_EQ(mcpsess_stream_set_mode(&sr.w, &stream_op, false, sr.now_ms), MCPSESS_E_UNKNOWN);
    sr.fail = MCPSESS_OK;
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK(sr.r.done && sr.r.streaming); /* what was not set is not taken for set */
    mcpsess_stream_close(&sr.r);
}

TEST(stream_writer_that_never_opened_answers_e_state) {
    stream_rig_start();
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_STATE);
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_stream_due(&sr.w), MCPSESS_NEVER);
    CHECK_EQ(mcpsess_stream_due(NULL), MCPSESS_NEVER);
}

/* -- exactly once -- */

TEST(stream_repeated_append_is_dup) {
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.fail = MCPSESS_E_UNKNOWN;
    sr.fail_after = true;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_UNKNOWN);
    CHECK_EQ(stream_id().len, 0);
    sr.fail = MCPSESS_OK;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_DUP);
    CHECK_EQ(stream_op.sequence, 1);
    CHECK_EQ(sr.streams.stats.duplicates, 1);
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_OK); /* one more, which is meant */
    CHECK_EQ(stream_op.sequence, 2);
}

TEST(stream_other_event_after_an_unknown_one_comes_behind_it) {
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.fail = MCPSESS_E_UNKNOWN;
    sr.fail_after = true;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_UNKNOWN);
    sr.fail = MCPSESS_OK;
    CHECK_EQ(stream_append(&sr.w, "b"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 2);
    CHECK_EQ(stream_append(&sr.w, "c"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 3);
}

TEST(stream_append_that_never_arrived_takes_its_sequence_again) {
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.fail = MCPSESS_E_IO;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_IO);
    CHECK_EQ(sr.streams.stats.failures, 1);
    sr.fail = MCPSESS_OK;
    CHECK_EQ(stream_append(&sr.w, "b"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 1);
}

/* Begins an append with an op of its own. */
static int begin(mcpsess_stream_op *op, const char *data) {
    mcpsess_event e;
    memset(&e, 0, sizeof e);
    e.data = mcpsess_str_z(data);
    mcpsess_op_init(&op->op, 0);
    return mcpsess_stream_append(&sr.w, op, &e, sr.now_ms);
}

TEST(stream_appends_overlap_in_order) {
    mcpsess_stream_op a, b;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.delay = 3;
    CHECK_EQ(begin(&a, "a"), MCPSESS_PENDING);
    CHECK_EQ(begin(&b, "b"), MCPSESS_PENDING);
    while (mcpsess_poll(&b.op, sr.now_ms) == MCPSESS_PENDING) {
        CHECK_EQ(mcpsess_next_due(&b.op, sr.now_ms), sr.now_ms + 5000);
        CHECK_EQ(mcpsess_want(&b.op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME);
    }
    CHECK_EQ(mcpsess_next_due(&a.op, sr.now_ms), sr.now_ms); /* its answer came meanwhile */
    CHECK_EQ(mcpsess_want(&a.op), MCPSESS_WANT_NOW | MCPSESS_WANT_TIME);
    CHECK_EQ(mcpsess_poll(&a.op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(a.sequence, 1);
    CHECK_EQ(b.sequence, 2);
    CHECK_EQ(sr.w.sequence, 2);
}

TEST(stream_what_follows_a_failed_append_is_lost_until_all_have_ended) {
    mcpsess_stream_op a, b, c;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.delay = 3;
    sr.fail = MCPSESS_E_TIMEOUT; /* never sent */
    CHECK_EQ(begin(&a, "a"), MCPSESS_PENDING);
    sr.fail = MCPSESS_OK;
    CHECK_EQ(begin(&b, "b"), MCPSESS_PENDING);
    while (mcpsess_poll(&a.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_op_rc(&a.op), MCPSESS_E_TIMEOUT);
    CHECK_EQ(begin(&c, "c"), MCPSESS_LOST); /* b is still under way */
    while (mcpsess_poll(&b.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_op_rc(&b.op), MCPSESS_LOST);
    sr.delay = 0;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 1);
    CHECK_EQ(stream_append(&sr.w, "b"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 2);
}

TEST(stream_append_that_is_cancelled_may_be_stored_all_the_same) {
    mcpsess_stream_op a;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.delay = 3;
    CHECK_EQ(begin(&a, "a"), MCPSESS_PENDING);
    mcpsess_cancel(&a.op);
    CHECK_EQ(mcpsess_op_rc(&a.op), MCPSESS_E_CANCELED);
    CHECK_EQ(sr.cancels, 1);
    CHECK_EQ(stream_append(&sr.w, "b"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 2);
}

TEST(stream_append_meets_its_deadline) {
    mcpsess_stream_op a;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.delay = 1000;
    CHECK_EQ(begin(&a, "a"), MCPSESS_PENDING);
    sr.now_ms += 4999;
    CHECK_EQ(mcpsess_poll(&a.op, sr.now_ms), MCPSESS_PENDING);
    sr.now_ms += 1;
    CHECK_EQ(mcpsess_poll(&a.op, sr.now_ms), MCPSESS_E_TIMEOUT);
    CHECK_EQ(sr.cancels, 1);
}

TEST(stream_append_waits_for_what_comes_first) {
    mcpsess_stream_op a;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    CHECK_EQ(sr.deadline_ms, sr.now_ms + 5000);
    sr.delay = 3;
    sr.due_ms = sr.now_ms + 40;
    mcpsess_op_init(&a.op, 0);
    CHECK_EQ(begin(&a, "a"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&a.op, sr.now_ms), sr.now_ms + 40);
    while (mcpsess_poll(&a.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_next_due(&a.op, sr.now_ms), MCPSESS_NEVER);
    CHECK_EQ(mcpsess_want(&a.op), 0);
}

TEST(stream_append_begun_while_one_moves_behind_an_unknown_one_comes_after_it) {
    mcpsess_stream_op b, c;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.fail = MCPSESS_E_UNKNOWN;
    sr.fail_after = true;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_UNKNOWN);
    sr.fail = MCPSESS_OK;
    sr.delay = 2;
    CHECK_EQ(begin(&b, "b"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_poll(&b.op, sr.now_ms), MCPSESS_PENDING); /* LOST, and sent again as number 2 */
    CHECK_EQ(begin(&c, "c"), MCPSESS_PENDING);
    while (mcpsess_poll(&c.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_poll(&b.op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(b.sequence, 2);
    CHECK_EQ(c.sequence, 3);
}

TEST(stream_appends_that_overlap_behind_an_unknown_one_keep_their_order) {
    mcpsess_stream_op b, c;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.fail = MCPSESS_E_UNKNOWN;
    sr.fail_after = true;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_UNKNOWN);
    sr.fail = MCPSESS_OK;
    sr.delay = 2;
    CHECK_EQ(begin(&b, "b"), MCPSESS_PENDING); /* as number 1, which "a" has */
    CHECK_EQ(begin(&c, "c"), MCPSESS_LOST);    /* as number 2 it would be before "b" */
    while (mcpsess_poll(&b.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_op_rc(&b.op), MCPSESS_OK);
    CHECK_EQ(b.sequence, 2);
    CHECK_EQ(begin(&c, "c"), MCPSESS_PENDING);
    CHECK_EQ(begin(&b, "d"), MCPSESS_PENDING); /* all is known again */
    while (mcpsess_poll(&b.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_poll(&c.op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(c.sequence, 3);
    CHECK_EQ(b.sequence, 4);
}

/* "a" is stored, and its answer does not come; "b", behind it, is stored too. */
static void begin_unknown_and_one_behind(mcpsess_stream_op *a, mcpsess_stream_op *b) {
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.delay = 2;
    sr.fail = MCPSESS_E_TIMEOUT;
    sr.fail_after = true;
    CHECK_EQ(begin(a, "a"), MCPSESS_PENDING);
    sr.fail = MCPSESS_OK;
    CHECK_EQ(begin(b, "b"), MCPSESS_PENDING);
}

TEST(stream_what_is_stored_behind_an_unknown_append_is_lost_and_repeated_is_dup) {
    mcpsess_stream_op a, b;
    begin_unknown_and_one_behind(&a, &b);
    while (mcpsess_poll(&a.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_op_rc(&a.op), MCPSESS_E_TIMEOUT);
    CHECK_EQ(mcpsess_poll(&b.op, sr.now_ms), MCPSESS_LOST);
    CHECK_EQ(b.sequence, 0);
    sr.delay = 0;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_DUP);
    CHECK_EQ(stream_append(&sr.w, "b"), MCPSESS_DUP);
    CHECK_EQ(stream_op.sequence, 2);
    CHECK_EQ(sr.w.sequence, 2);
}

TEST(stream_append_whose_follower_is_stored_is_stored_too) {
    mcpsess_stream_op a, b;
    begin_unknown_and_one_behind(&a, &b);
    while (mcpsess_poll(&b.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_op_rc(&b.op), MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&a.op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(a.sequence, 1);
    CHECK_EQ(a.epoch, sr.w.epoch);
    CHECK_EQ(stream_append(&sr.w, "c"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 3);
}

TEST(stream_lost_tail_that_is_told_twice_is_one) {
    mcpsess_stream_op a, b;
    stream_rig_start();
    (void)stream_three_events();
    stream_rig_save();
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    stream_rig_lose();
    sr.delay = 2;
    mcpsess_op_init(&a.op, 0);
    CHECK_EQ(mcpsess_stream_keep(&sr.w, &a, sr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(begin(&b, "e"), MCPSESS_PENDING);
    while (mcpsess_poll(&b.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_op_rc(&b.op), MCPSESS_LOST_TAIL);
    sr.delay = 0;
    CHECK_EQ(stream_append(&sr.w, "e"), MCPSESS_OK);
    CHECK_EQ(mcpsess_poll(&a.op, sr.now_ms), MCPSESS_LOST_TAIL); /* an answer of before */
    CHECK_EQ(sr.w.sequence, 1);
    CHECK_EQ(sr.streams.stats.lost_tails, 1);
    CHECK_EQ(sr.items[MCPSESS_ITEM_TAIL_LOST], 1);
}

TEST(stream_is_not_opened_while_the_writer_has_something_under_way) {
    mcpsess_stream_op leaves;
    stream_rig_start();
    (void)stream_three_events();
    sr.delay = 2;
    mcpsess_op_init(&leaves.op, 0);
    CHECK_EQ(mcpsess_stream_leave(&sr.w, &leaves, sr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_E_STATE); /* its end would close what was opened */
    while (mcpsess_poll(&leaves.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
}

TEST(stream_of_a_shorter_lease_is_due_sooner) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    sr.desc.lease_ms = 1000;
    stream_rig_restart();
    CHECK_EQ(stream_open(&sr.w, "2", false), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_due(&sr.w), sr.now_ms + 500);
}

TEST(stream_kept_while_its_mode_is_set_does_not_set_it_back) {
    mcpsess_stream_op mode, keeps;
    stream_rig_start();
    (void)stream_three_events();
    sr.delay = 2;
    mcpsess_op_init(&mode.op, 0);
    mcpsess_op_init(&keeps.op, 0);
    CHECK_EQ(mcpsess_stream_set_mode(&sr.w, &mode, false, sr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_stream_keep(&sr.w, &keeps, sr.now_ms), MCPSESS_PENDING);
    while (mcpsess_poll(&keeps.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_poll(&mode.op, sr.now_ms), MCPSESS_OK);
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    CHECK(!sr.r.streaming);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_event_with_an_id_needs_an_open_stream_too) {
    mcpsess_event e;
    stream_rig_start();
    (void)stream_three_events();
    memset(&e, 0, sizeof e);
    e.id = MCPSESS_STR("theirs");
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_append(&sr.w, &stream_op, &e, sr.now_ms), MCPSESS_END);
}

TEST(stream_operation_is_over_when_its_end_is_logged) {
    stream_rig_start();
    (void)stream_three_events();
    sr.watched = &stream_op.op;
    sr.fail = MCPSESS_E_IO;
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_E_IO);
    CHECK_EQ(sr.watched_rc, MCPSESS_E_IO);
    sr.fail = MCPSESS_OK;
    sr.now_ms += 30000;
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_FENCED);
    CHECK_EQ(sr.watched_rc, MCPSESS_FENCED);
    CHECK_EQ(mcpsess_stream_del(&sr.streams, &stream_op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"), sr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(sr.items[MCPSESS_ITEM_LOGS_DELETED], 1);
    CHECK_EQ(sr.watched_rc, MCPSESS_OK);
}

TEST(stream_append_behind_a_failed_one_does_not_move_on_without_it) {
    mcpsess_stream_op a, b;
    unsigned submits;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    sr.delay = 2;
    sr.fail = MCPSESS_E_TIMEOUT;
    CHECK_EQ(begin(&a, "a"), MCPSESS_PENDING);
    sr.fail = MCPSESS_LOST; /* a writer that asks nobody was faster */
    sr.keep_last = true;
    CHECK_EQ(begin(&b, "b"), MCPSESS_PENDING);
    submits = sr.submits;
    while (mcpsess_poll(&a.op, sr.now_ms) == MCPSESS_PENDING) continue;
    CHECK_EQ(mcpsess_poll(&b.op, sr.now_ms), MCPSESS_LOST);
    CHECK_EQ(sr.submits, submits);
}

#define OVERLAP_EVENTS 12u
#define OVERLAP_LANES 3u

/* Appends that overlap, and are answered in any order, falsely or not at all; when one fails, its user waits for all,
   and goes on with the first that it has no answer for. */
static struct overlap {
    uint64_t sequences[OVERLAP_EVENTS]; /* as answered; 0: not yet */
    unsigned next;
    bool failed;
    struct {
        mcpsess_stream_op op;
        char data[2];
        unsigned event;
        bool busy;
    } lanes[OVERLAP_LANES];
} overlap;

static bool overlap_idle(void) {
    unsigned n = 0;
    while (n < OVERLAP_LANES && !overlap.lanes[n].busy) n++;
    return n == OVERLAP_LANES;
}

static void overlap_outcome(void) {
    uint32_t dice = tap_random() % 10u;
    sr.delay = tap_random() % 4u;
    sr.fail = dice < 2u ? MCPSESS_E_TIMEOUT : MCPSESS_OK;
    sr.fail_after = dice == 0u;
}

static void overlap_step(unsigned lane) {
    mcpsess_stream_op *op = &overlap.lanes[lane].op;
    unsigned event = overlap.lanes[lane].event;
    int rc;
    overlap_outcome();
    if (overlap.lanes[lane].busy) {
        if (tap_random() % 20u == 0) mcpsess_cancel(&op->op);
        rc = mcpsess_poll(&op->op, sr.now_ms);
    } else {
        while (overlap.next < OVERLAP_EVENTS && overlap.sequences[overlap.next] != 0) overlap.next++;
        if (overlap.failed || overlap.next == OVERLAP_EVENTS) return;
        event = overlap.lanes[lane].event = overlap.next++;
        overlap.lanes[lane].data[0] = (char)('a' + event);
        rc = begin(op, overlap.lanes[lane].data);
    }
    overlap.lanes[lane].busy = rc == MCPSESS_PENDING;
    if (rc == MCPSESS_OK || rc == MCPSESS_DUP) overlap.sequences[event] = op->sequence;
    else if (rc != MCPSESS_PENDING) overlap.failed = true;
    if (!overlap.failed || !overlap_idle()) return;
    overlap.failed = false;
    overlap.next = 0;
}

TEST(stream_appends_that_overlap_and_are_repeated_are_stored_once_and_in_order) {
    char data[2] = "a";
    unsigned long round;
    unsigned n;
    tap_seed(411);
    for (round = 0; round < PORT_ROUNDS / 100u; round++) {
        stream_rig_start();
        memset(&overlap, 0, sizeof overlap);
        CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
        for (n = 0; n < 10000u && (overlap.next < OVERLAP_EVENTS || !overlap_idle()); n++) {
            overlap_step((unsigned)(tap_random() % OVERLAP_LANES));
        }
        sr.delay = 0;
        sr.fail = MCPSESS_OK;
        CHECK_EQ(mcpsess_stream_read(&sr.streams, &sr.r, &stream_op.op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"), 0,
                                     0, stream_page, sizeof stream_page, sr.now_ms),
                 MCPSESS_OK);
        for (n = 0; n < OVERLAP_EVENTS; n++) {
            data[0] = (char)('a' + n);
            if (!CHECK(stream_reads(&sr.r, data)) || !CHECK_EQ(overlap.sequences[n], n + 1)) return;
        }
        CHECK_EQ(stream_next(&sr.r), MCPSESS_PENDING);
        mcpsess_stream_close(&sr.r);
    }
}

TEST(stream_append_gives_up_where_its_sequence_is_always_taken) {
    unsigned submits;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    submits = sr.submits;
    sr.fail = MCPSESS_LOST; /* with a last of this very sequence, time and again */
    sr.keep_last = true;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_LOST);
    CHECK_EQ(sr.submits, submits + 4);
    CHECK_EQ(sr.streams.stats.lost, 1);
}

TEST(stream_sequence_does_not_overflow) {
    unsigned submits;
    stream_rig_start();
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    submits = sr.submits;
    sr.w.sequence = MCPSESS_SEQUENCE_MAX;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_TOOBIG);
    CHECK_EQ(sr.submits, submits);
    sr.w.sequence = MCPSESS_SEQUENCE_MAX - 1;
    sr.fail = MCPSESS_E_IO;
    CHECK_EQ(stream_append(&sr.w, "a"), MCPSESS_E_IO); /* the last one there is goes out */
    CHECK_EQ(sr.submits, submits + 1);
}

TEST(stream_counts_and_tells_what_happens) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(sr.streams.stats.opened, 1);
    stream_rig_save();
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    stream_rig_lose();
    CHECK_EQ(stream_append(&sr.w, "e"), MCPSESS_LOST_TAIL);
    CHECK_EQ(sr.items[MCPSESS_ITEM_TAIL_LOST], 1);
    CHECK_EQ(sr.item_number, 4);
    sr.now_ms += 30000;
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_OK);
    CHECK_EQ(sr.streams.stats.opened, 2);
    CHECK_EQ(stream_append(&sr.w, "f"), MCPSESS_FENCED);
    CHECK_EQ(sr.items[MCPSESS_ITEM_WRITER_FENCED], 1);
    CHECK_EQ(stream_append(&sr.other, "g"), MCPSESS_OK);
    CHECK_EQ(stream_resume(&sr.r, MCPSESS_STR("czE=:MQ==:1:7")), MCPSESS_GAP);
    CHECK_EQ(sr.items[MCPSESS_ITEM_REPLAY_GAP], 1);
    CHECK_EQ(sr.item_number, 7);
    CHECK_EQ(
        mcpsess_stream_del(&sr.streams, &stream_op, MCPSESS_STR("s1"), &sr.who, mcpsess_str_of(NULL, 0), sr.now_ms),
        MCPSESS_OK);
    CHECK_EQ(sr.items[MCPSESS_ITEM_LOGS_DELETED], 1);
    CHECK_EQ(sr.item_number, 1);
    sr.fail = MCPSESS_E_IO;
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_E_IO);
    CHECK_EQ(sr.items[MCPSESS_ITEM_STORE_FAILED], 1);
    CHECK_EQ(sr.item_number, -MCPSESS_E_IO);
}

TEST(stream_server_without_its_tail_is_lost_tail_and_a_new_epoch) {
    mcpsess_str id;
    uint64_t epoch;
    stream_rig_start();
    id = stream_three_events();
    epoch = sr.w.epoch;
    stream_rig_save();
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    stream_rig_lose();
    CHECK_EQ(stream_append(&sr.w, "e"), MCPSESS_LOST_TAIL);
    CHECK_EQ(stream_op.sequence, 0);
    CHECK(sr.w.epoch > epoch);
    CHECK_EQ(sr.w.sequence, 0);
    CHECK_EQ(sr.streams.stats.lost_tails, 1);
    CHECK_EQ(stream_append(&sr.w, "e"), MCPSESS_OK);
    CHECK_EQ(stream_op.sequence, 1);
    CHECK_EQ(stream_op.epoch, sr.w.epoch);
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_GAP);
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_OK);
    mcpsess_stream_close(&sr.r);
}

TEST(stream_completion_finds_a_lost_tail) {
    stream_rig_start();
    (void)stream_three_events();
    stream_rig_save();
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    stream_rig_lose();
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_LOST_TAIL);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK_EQ(stream_complete(&sr.w), MCPSESS_OK);
}

TEST(stream_reader_ahead_of_what_a_server_has_is_gap) {
    stream_rig_start();
    (void)stream_three_events();
    stream_rig_save();
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    stream_rig_lose();
    CHECK_EQ(stream_resume(&sr.r, stream_id()), MCPSESS_GAP);
}

TEST(stream_that_was_deleted_is_not_brought_back_by_its_writer) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(mcpsess_stream_del(&sr.streams, &stream_op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"), sr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(stream_op.op.count, 3);
    CHECK_EQ(sr.streams.stats.deleted, 3);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_MISS);
    CHECK_EQ(stream_append(&sr.w, "e"), MCPSESS_E_STATE);
    CHECK_EQ(stream_open(&sr.w, "1", false), MCPSESS_OK);
    CHECK_EQ(sr.w.sequence, 0);
}

TEST(stream_two_of_one_session_are_both_deleted) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_open(&sr.other, "2", false), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.other, "x"), MCPSESS_OK);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
    CHECK_EQ(
        mcpsess_stream_del(&sr.streams, &stream_op, MCPSESS_STR("s1"), &sr.who, mcpsess_str_of(NULL, 0), sr.now_ms),
        MCPSESS_OK);
    CHECK_EQ(stream_op.op.count, 5);
    CHECK_EQ(stream_append(&sr.w, "e"), MCPSESS_MISS);
    CHECK_EQ(stream_append(&sr.other, "y"), MCPSESS_MISS);
}

/* -- names and principals -- */

TEST(stream_is_not_opened_by_another_principal) {
    mcpsess_str id;
    stream_rig_start();
    id = stream_three_events();
    sr.who = principal("issuer", "mallory");
    sr.now_ms += 30000;
    CHECK_EQ(stream_open(&sr.other, "1", false), MCPSESS_MISS);
    CHECK_EQ(stream_open(&sr.other, "1", true), MCPSESS_MISS);
    CHECK_EQ(stream_resume(&sr.r, id), MCPSESS_MISS);
    CHECK_EQ(
        mcpsess_stream_del(&sr.streams, &stream_op, MCPSESS_STR("s1"), &sr.who, mcpsess_str_of(NULL, 0), sr.now_ms),
        MCPSESS_OK);
    CHECK_EQ(stream_op.op.count, 0);
    CHECK_EQ(stream_append(&sr.w, "d"), MCPSESS_OK);
}

static int resume(mcpsess_str id, const char *session) {
    return mcpsess_stream_resume(&sr.streams, &sr.r, &stream_op.op, id, mcpsess_str_z(session), &sr.who, stream_page,
                                 sizeof stream_page, sr.now_ms);
}

TEST(stream_is_not_resumed_by_another_session) {
    mcpsess_str id;
    unsigned submits;
    stream_rig_start();
    id = stream_three_events();
    submits = sr.submits;
    CHECK_EQ(resume(id, "s2"), MCPSESS_E_ID);
    CHECK_EQ(resume(id, ""), MCPSESS_E_ID);
    CHECK_EQ(resume(id, "s 1"), MCPSESS_E_ID);
    CHECK_EQ(sr.submits, submits);
}

TEST(stream_negative_overflowing_and_future_sequences_are_refused) {
    static const char *const not_ids[] = {"",
                                          "czE=:MQ==:-1",
                                          "czE=:MQ==:9223372036854775808",
                                          "czE=:MQ==:0",
                                          "czE=:MQ==:",
                                          "czE=:MQ==: 1",
                                          "czE=:MQ==:101:-1",
                                          "czE:MQ==:1"};
    size_t i;
    stream_rig_start();
    (void)stream_three_events();
    for (i = 0; i < COUNT_OF(not_ids); i++) CHECK_EQ(resume(mcpsess_str_z(not_ids[i]), "s1"), MCPSESS_E_FORMAT);
    CHECK_EQ(stream_resume(&sr.r, MCPSESS_STR("czE=:MQ==:101:4")), MCPSESS_GAP);
    CHECK_EQ(stream_resume(&sr.r, MCPSESS_STR("czE=:MQ==:101:9223372036854775807")), MCPSESS_GAP);
    CHECK_EQ(stream_resume(&sr.r, MCPSESS_STR("czE=:MQ==:9223372036854775807:1")), MCPSESS_GAP);
    CHECK_EQ(sr.streams.stats.gaps, 3);
    CHECK(sr.streams.i.readers == NULL);
}

TEST(stream_unknown_one_is_miss) {
    stream_rig_start();
    (void)stream_three_events();
    CHECK_EQ(stream_resume(&sr.r, MCPSESS_STR("czE=:Mg==:101:1")), MCPSESS_MISS);
    CHECK_EQ(stream_next(&sr.r), MCPSESS_E_ARG); /* it is closed */
}

TEST(stream_names_are_checked) {
    char name[MCPSESS_STREAM_MAX + 1];
    mcpsess_principal half = principal("issuer", "");
    stream_rig_start();
    CHECK_EQ(mcpsess_stream_open(&sr.streams, &sr.w, &stream_op, MCPSESS_STR("s1"), &sr.who,
                                 str_fill(name, 'n', sizeof name), false, sr.now_ms),
             MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_stream_open(&sr.streams, &sr.w, &stream_op, MCPSESS_STR("s\n"), &sr.who, MCPSESS_STR("1"), false,
                                 sr.now_ms),
             MCPSESS_E_ID);
    CHECK_EQ(mcpsess_stream_open(&sr.streams, &sr.w, &stream_op, MCPSESS_STR("s1"), &half, MCPSESS_STR("1"), false,
                                 sr.now_ms),
             MCPSESS_E_PRINCIPAL);
    CHECK_EQ(
        mcpsess_stream_open(&sr.streams, &sr.w, &stream_op, MCPSESS_STR("s1"), &sr.who, str_broken(), false, sr.now_ms),
        MCPSESS_E_ARG);
    CHECK_EQ(
        mcpsess_stream_open(NULL, &sr.w, &stream_op, MCPSESS_STR("s1"), &sr.who, MCPSESS_STR("1"), false, sr.now_ms),
        MCPSESS_E_ARG);
    CHECK_EQ(sr.submits, 0);
    CHECK_EQ(mcpsess_stream_open(&sr.streams, &sr.w, &stream_op, MCPSESS_STR("s1"), &sr.who,
                                 str_fill(name, 'n', MCPSESS_STREAM_MAX), false, sr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(mcpsess_stream_resume(&sr.streams, &sr.r, &stream_op.op, stream_id(), MCPSESS_STR("s1"), &sr.who,
                                   stream_page, MCPSESS_STREAM_READER_MIN - 1, sr.now_ms),
             MCPSESS_E_NOMEM);
}

TEST(stream_init_checks_its_desc) {
    mcpsess_streams s;
    mcpsess_stream_desc d;
    stream_rig_start();
    d = sr.desc;
    d.random = NULL;
    CHECK_EQ(mcpsess_stream_init(&s, &d), MCPSESS_E_ARG);
    d = mcpsess_stream_desc_default();
    CHECK_EQ(mcpsess_stream_init(&s, &d), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_stream_init(NULL, &sr.desc), MCPSESS_E_ARG);
}

void test_stream(void) {
    RUN(stream_events_are_numbered_from_one);
    RUN(stream_restarted_writer_continues_the_sequence);
    RUN(stream_replaced_writer_is_fenced);
    RUN(stream_lease_is_kept_by_appends_and_by_keep);
    RUN(stream_that_was_left_is_the_next_writers_at_once);
    RUN(stream_open_that_may_have_been_done_finds_itself);
    RUN(stream_of_a_request_id_that_recurs_begins_anew);
    RUN(stream_event_with_an_id_passes_through_unstored);
    RUN(stream_primes_with_an_id_and_no_data);
    RUN(stream_is_completed_once);
    RUN(stream_completion_that_failed_leaves_it_open);
    RUN(stream_writer_that_never_opened_answers_e_state);
    RUN(stream_repeated_append_is_dup);
    RUN(stream_other_event_after_an_unknown_one_comes_behind_it);
    RUN(stream_append_that_never_arrived_takes_its_sequence_again);
    RUN(stream_appends_overlap_in_order);
    RUN(stream_what_follows_a_failed_append_is_lost_until_all_have_ended);
    RUN(stream_append_that_is_cancelled_may_be_stored_all_the_same);
    RUN(stream_append_meets_its_deadline);
    RUN(stream_append_waits_for_what_comes_first);
    RUN(stream_append_begun_while_one_moves_behind_an_unknown_one_comes_after_it);
    RUN(stream_appends_that_overlap_behind_an_unknown_one_keep_their_order);
    RUN(stream_what_is_stored_behind_an_unknown_append_is_lost_and_repeated_is_dup);
    RUN(stream_append_whose_follower_is_stored_is_stored_too);
    RUN(stream_lost_tail_that_is_told_twice_is_one);
    RUN(stream_is_not_opened_while_the_writer_has_something_under_way);
    RUN(stream_of_a_shorter_lease_is_due_sooner);
    RUN(stream_kept_while_its_mode_is_set_does_not_set_it_back);
    RUN(stream_event_with_an_id_needs_an_open_stream_too);
    RUN(stream_operation_is_over_when_its_end_is_logged);
    RUN(stream_append_behind_a_failed_one_does_not_move_on_without_it);
    RUN(stream_appends_that_overlap_and_are_repeated_are_stored_once_and_in_order);
    RUN(stream_append_gives_up_where_its_sequence_is_always_taken);
    RUN(stream_sequence_does_not_overflow);
    RUN(stream_counts_and_tells_what_happens);
    RUN(stream_server_without_its_tail_is_lost_tail_and_a_new_epoch);
    RUN(stream_completion_finds_a_lost_tail);
    RUN(stream_reader_ahead_of_what_a_server_has_is_gap);
    RUN(stream_that_was_deleted_is_not_brought_back_by_its_writer);
    RUN(stream_two_of_one_session_are_both_deleted);
    RUN(stream_is_not_opened_by_another_principal);
    RUN(stream_is_not_resumed_by_another_session);
    RUN(stream_negative_overflowing_and_future_sequences_are_refused);
    RUN(stream_unknown_one_is_miss);
    RUN(stream_names_are_checked);
    RUN(stream_init_checks_its_desc);
}
