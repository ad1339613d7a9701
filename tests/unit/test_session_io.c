/* session while the store does not answer at once: pending, shared, queued, late, overtaken, cancelled, closed */

#include "session_rig.h"

/* an operation with everything it needs, as a caller would keep it; must not move while pending */
typedef struct job {
    mcpsess_op op;
    mcpsess_buf out;
    char out_mem[RIG_RECORD_MAX];
    char record[RIG_RECORD_MAX];
    char id[4];
    mcpsess_principal who;
} job;

static job jobs[4];

static void start_jobs(const mcpsess_session_desc *d) {
    size_t i;
    rig_start(d);
    for (i = 0; i < COUNT_OF(jobs); i++) {
        memset(&jobs[i], 0, sizeof jobs[i]);
        mcpsess_op_init(&jobs[i].op, 0);
    }
}

static void start_default(void) {
    mcpsess_session_desc d = rig_desc();
    start_jobs(&d);
}

static int begin_load_as(job *j, const char *id, const mcpsess_principal *who) {
    j->who = *who;
    memcpy(j->id, id, mcpsess_str_z(id).len + 1u);
    mcpsess_buf_init(&j->out, j->out_mem, sizeof j->out_mem);
    return mcpsess_session_load(&rig.table, &j->op, mcpsess_str_z(j->id), &j->who, &j->out, rig.now);
}

static int begin_load(job *j, const char *id) {
    return begin_load_as(j, id, &rig.alice);
}

static int begin_store(job *j, const char *id, const char *backend) {
    return mcpsess_session_store(&rig.table, &j->op, rig_record(j->record, id, &rig.alice, backend), rig.now);
}

static int begin_del(job *j, const char *id) {
    memcpy(j->id, id, mcpsess_str_z(id).len + 1u);
    j->who = rig.alice;
    return mcpsess_session_del(&rig.table, &j->op, mcpsess_str_z(j->id), &j->who, rig.now);
}

static int poll(job *j) {
    return mcpsess_poll(&j->op, rig.now);
}

static bool got(const job *j, const char *backend) {
    return mcpsess_str_eq(rig_backend(&j->out), mcpsess_str_z(backend));
}

/* a record at the store that the table has not seen */
static void remote(const char *id, const char *backend) {
    char mem[RIG_RECORD_MAX];
    CHECK_EQ(rig_put_at_store(id, rig_record(mem, id, &rig.alice, backend)), MCPSESS_OK);
}

/* the caller's memory is used for something else: bytes that nobody may read or write any more */
static void reuse(job *j) {
    memset(j, 0xC3, sizeof *j);
}

static bool untouched(const job *j) {
    const unsigned char *p = (const unsigned char *)j;
    size_t i;
    for (i = 0; i < sizeof *j; i++) {
        if (p[i] != 0xC3u) return false;
    }
    return true;
}

/* ---- one operation ---- */

TEST(op_is_pending_until_the_answer_and_keeps_its_result) {
    int polls = 0;
    start_default();
    remote("a", "1");
    rig.net.delay = 3;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    CHECK(mcpsess_want(&jobs[0].op) != 0);
    CHECK(mcpsess_next_due(&jobs[0].op, rig.now) <= rig.now + RIG_TIMEOUT);
    CHECK_EQ(jobs[0].out.len, 0);
    while (poll(&jobs[0]) == MCPSESS_PENDING && polls < 50) polls++;
    CHECK(polls >= 2);
    CHECK(got(&jobs[0], "1"));
    CHECK_EQ(poll(&jobs[0]), MCPSESS_OK);
    rig.now += 10u * RIG_TTL;
    CHECK_EQ(poll(&jobs[0]), MCPSESS_OK);
    CHECK_EQ(mcpsess_want(&jobs[0].op), 0);
    CHECK(mcpsess_next_due(&jobs[0].op, rig.now) == MCPSESS_NEVER);
    mcpsess_cancel(&jobs[0].op); /* too late to matter */
    CHECK_EQ(poll(&jobs[0]), MCPSESS_OK);
    rig_sound();
}

TEST(op_whose_answer_somebody_else_brought_is_due) {
    start_default();
    remote("a", "1");
    rig.net.delay = 1;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.net.store.cls->poll(rig.net.store.self, rig.now); /* as another object over the same connection would */
    CHECK_EQ(test_store_pending(&rig.net), 0);
    CHECK((mcpsess_want(&jobs[0].op) & MCPSESS_WANT_NOW) != 0);
    CHECK(mcpsess_next_due(&jobs[0].op, rig.now) == rig.now);
    CHECK_EQ(poll(&jobs[0]), MCPSESS_OK);
    CHECK(got(&jobs[0], "1"));
    rig_sound();
}

TEST(op_takes_at_most_one_store_step_per_poll) {
    unsigned before;
    int rc;
    start_default();
    remote("a", "1");
    rig.net.delay = 20;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    do {
        before = rig.net.polls;
        rc = poll(&jobs[0]);
        CHECK(rig.net.polls <= before + 1u);
    } while (rc == MCPSESS_PENDING && before < 100);
    CHECK(got(&jobs[0], "1"));
}

TEST(op_sends_its_request_in_the_call_that_begins_it) {
    start_default();
    remote("a", "1");
    rig.net.delay = 1;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(poll(&jobs[0]), MCPSESS_OK); /* so this one need only wait for the answer */
    CHECK(got(&jobs[0], "1"));
}

TEST(op_pending_cannot_be_begun_again) {
    start_default();
    remote("a", "1");
    rig.net.delay = 2;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_session_load(&rig.table, &jobs[0].op, MCPSESS_STR("b"), &rig.alice, &rig.out, rig.now),
             MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_session_exists(&rig.table, &jobs[0].op, MCPSESS_STR("b"), &rig.alice, rig.now), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_session_touch(&rig.table, &jobs[0].op, MCPSESS_STR("b"), &rig.alice, rig.now), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_session_del(&rig.table, &jobs[0].op, MCPSESS_STR("b"), &rig.alice, rig.now), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_session_sweep(&rig.table, &jobs[0].op, rig.now), MCPSESS_E_STATE);
    CHECK_EQ(begin_store(&jobs[0], "b", "1"), MCPSESS_E_STATE);
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(got(&jobs[0], "1"));
    rig_sound();
}

TEST(op_meets_its_deadline_to_the_millisecond) {
    start_default();
    rig.net.hang = true;
    jobs[0].op.timeout_ms = 250;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    CHECK_EQ(begin_load(&jobs[1], "b"), MCPSESS_PENDING); /* the table's default */
    CHECK_EQ(mcpsess_next_due(&jobs[0].op, rig.now), rig.now + 250u);
    CHECK_EQ(mcpsess_next_due(&jobs[1].op, rig.now), rig.now + RIG_TIMEOUT);
    rig.now += 249;
    CHECK_EQ(poll(&jobs[0]), MCPSESS_PENDING);
    rig.now += 1;
    CHECK_EQ(poll(&jobs[0]), MCPSESS_E_TIMEOUT);
    CHECK_EQ(poll(&jobs[0]), MCPSESS_E_TIMEOUT);
    rig.now += RIG_TIMEOUT - 251u;
    CHECK_EQ(poll(&jobs[1]), MCPSESS_PENDING);
    rig.now += 1;
    CHECK_EQ(poll(&jobs[1]), MCPSESS_E_TIMEOUT);
    CHECK_EQ(rig.table.stats.timeouts, 2);
    CHECK_EQ(rig.logged[MCPSESS_ITEM_TIMED_OUT], 2);
    rig_sound();
}

TEST(op_polled_late_still_takes_an_answer_that_is_there) {
    start_default();
    remote("a", "1");
    rig.net.delay = 1;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.now += RIG_TIMEOUT - 1u;
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(got(&jobs[0], "1"));
}

TEST(op_left_ms_counts_from_before_the_request_left) {
    start_default();
    remote("a", "1");
    rig.net.delay = 1;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.now += 1000; /* the answer took that long */
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(jobs[0].op.left_ms <= RIG_TTL);
    rig.net.delay = 0;
    rig.net.fail = MCPSESS_E_IO;
    rig.now += RIG_TTL - 1000u; /* RIG_TTL since the store answered: the local copy must be gone */
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_E_IO);
    rig_sound();
}

TEST(op_functions_survive_null_and_idle_ops) {
    mcpsess_op op;
    mcpsess_op_init(NULL, 0);
    CHECK_EQ(mcpsess_poll(NULL, 0), MCPSESS_E_ARG);
    mcpsess_cancel(NULL);
    CHECK(mcpsess_next_due(NULL, 0) == MCPSESS_NEVER);
    CHECK_EQ(mcpsess_want(NULL), 0);
    mcpsess_op_init(&op, 77);
    CHECK_EQ(op.timeout_ms, 77);
    CHECK(mcpsess_next_due(&op, 0) == MCPSESS_NEVER);
    CHECK_EQ(mcpsess_want(&op), 0);
    mcpsess_cancel(&op);
    CHECK(mcpsess_poll(&op, 0) != MCPSESS_PENDING);
}

/* ---- cancelling ---- */

TEST(op_cancelled_frees_its_memory_at_once) {
    unsigned queued;
    for (queued = 0; queued < 2; queued++) {
        mcpsess_session_desc d = rig_desc();
        job *j = &jobs[3];
        d.lanes = 1;
        start_jobs(&d);
        remote("a", "1");
        rig.net.delay = 3;
        if (queued == 1) CHECK_EQ(begin_load(&jobs[0], "b"), MCPSESS_PENDING); /* takes the only lane */
        CHECK_EQ(begin_load(j, "a"), MCPSESS_PENDING);
        CHECK_EQ(poll(j), MCPSESS_PENDING);
        mcpsess_cancel(&j->op);
        CHECK_EQ(poll(j), MCPSESS_E_CANCELED);
        CHECK_EQ(mcpsess_want(&j->op), 0);
        CHECK_EQ(j->out.len, 0);
        reuse(j);
        CHECK_EQ(rig_end(&jobs[1].op, begin_load(&jobs[1], "c")), MCPSESS_MISS); /* steps the table meanwhile */
        if (queued == 1) CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_MISS);
        CHECK(untouched(j));
        CHECK_EQ(rig.net.submits, 2);
        rig_sound();
    }
}

TEST(op_timed_out_frees_its_memory_and_the_late_answer_hurts_nobody) {
    start_default();
    remote("a", "1");
    rig.net.hang = true;
    jobs[0].op.timeout_ms = 100;
    jobs[1].op.timeout_ms = 100;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    CHECK_EQ(begin_store(&jobs[1], "b", "2"), MCPSESS_PENDING);
    rig.now += 100;
    CHECK_EQ(poll(&jobs[0]), MCPSESS_E_TIMEOUT);
    CHECK_EQ(poll(&jobs[1]), MCPSESS_E_TIMEOUT);
    reuse(&jobs[0]);
    reuse(&jobs[1]);
    rig.net.hang = false;
    rig.net.delay = 2;
    CHECK_EQ(begin_load(&jobs[2], "c"), MCPSESS_PENDING);
    test_store_release(&rig.net);
    CHECK_EQ(rig_end(&jobs[2].op, MCPSESS_PENDING), MCPSESS_MISS); /* not the answer of a, nor of b */
    CHECK(untouched(&jobs[0]) && untouched(&jobs[1]));
    rig.net.delay = 0;
    CHECK(rig_loads_with("a", "1", 0)); /* what they asked for has reached the local tier */
    CHECK(rig_loads_with("b", "2", 0));
    rig_sound();
}

TEST(op_cancelled_write_that_took_effect_is_seen) {
    start_default();
    rig_store("a", "1");
    rig.net.delay = 2;
    CHECK_EQ(begin_store(&jobs[0], "a", "2"), MCPSESS_PENDING);
    mcpsess_cancel(&jobs[0].op);
    reuse(&jobs[0]);
    CHECK_EQ(rig_end(&jobs[1].op, begin_load(&jobs[1], "x")), MCPSESS_MISS);
    rig.net.delay = 0;
    CHECK(rig_loads("a", "2"));
    CHECK(untouched(&jobs[0]));
    rig_sound();
}

TEST(op_timed_out_write_leaves_the_local_copy_to_be_confirmed) {
    start_default();
    rig_store("a", "1");
    rig.net.hang = true;
    CHECK_EQ(begin_store(&jobs[0], "a", "2"), MCPSESS_PENDING);
    rig.now += RIG_TIMEOUT;
    CHECK_EQ(poll(&jobs[0]), MCPSESS_E_TIMEOUT);
    rig.net.hang = false;
    CHECK(rig_loads_with("a", "2", 1)); /* it may have taken effect, and it has */
    rig_sound();
}

TEST(lane_of_a_silent_store_comes_back_when_nobody_waits_any_more) {
    mcpsess_session_desc d = rig_desc();
    d.lanes = 1;
    start_jobs(&d);
    remote("b", "1");
    rig.net.hang = true;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.now += RIG_TIMEOUT;
    CHECK_EQ(poll(&jobs[0]), MCPSESS_E_TIMEOUT);
    rig.net.hang = false;
    rig.net.delay = 1;
    CHECK_EQ(rig_end(&jobs[1].op, begin_load(&jobs[1], "b")), MCPSESS_OK);
    CHECK(got(&jobs[1], "1"));
    CHECK_EQ(rig.net.cancels, 1);
    rig_sound();
}

/* ---- sharing ---- */

TEST(shared_loads_of_one_id_cost_one_request) {
    unsigned i;
    start_default();
    remote("a", "1");
    rig.net.delay = 8;
    for (i = 0; i < 4; i++) CHECK_EQ(begin_load(&jobs[i], "a"), MCPSESS_PENDING);
    for (i = 4; i-- > 0;) CHECK_EQ(rig_end(&jobs[i].op, MCPSESS_PENDING), MCPSESS_OK);
    for (i = 0; i < 4; i++) CHECK(got(&jobs[i], "1"));
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(rig.table.stats.shared, 3);
    CHECK_EQ(rig.table.stats.requests, 1);
    rig_sound();
}

TEST(shared_misses_and_failures_reach_everybody) {
    unsigned i, failing;
    for (failing = 0; failing < 2; failing++) {
        start_default();
        rig.net.delay = 8;
        rig.net.fail = failing == 1 ? MCPSESS_E_IO : MCPSESS_OK;
        for (i = 0; i < 3; i++) CHECK_EQ(begin_load(&jobs[i], "a"), MCPSESS_PENDING);
        for (i = 0; i < 3; i++)
            CHECK_EQ(rig_end(&jobs[i].op, MCPSESS_PENDING), failing == 1 ? MCPSESS_E_IO : MCPSESS_MISS);
        CHECK_EQ(rig.net.submits, 1);
        if (failing == 1) CHECK_EQ(rig.table.stats.failures, 1);
        rig_sound();
    }
}

TEST(shared_load_has_a_deadline_of_its_own) {
    start_default();
    remote("a", "1");
    rig.net.hang = true;
    jobs[0].op.timeout_ms = 100;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.now += 50;
    jobs[1].op.timeout_ms = 1000;
    CHECK_EQ(begin_load(&jobs[1], "a"), MCPSESS_PENDING);
    rig.now += 50;
    CHECK_EQ(poll(&jobs[0]), MCPSESS_E_TIMEOUT); /* the one who asked first */
    CHECK_EQ(poll(&jobs[1]), MCPSESS_PENDING);
    reuse(&jobs[0]);
    CHECK_EQ(begin_load(&jobs[2], "a"), MCPSESS_PENDING); /* joins the same request, still */
    test_store_release(&rig.net);
    CHECK_EQ(rig_end(&jobs[1].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[2].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(got(&jobs[1], "1") && got(&jobs[2], "1"));
    CHECK_EQ(rig.net.submits, 1);
    CHECK(untouched(&jobs[0]));
    rig_sound();
}

TEST(shared_load_cancelled_by_one_is_answered_to_the_others) {
    unsigned who;
    for (who = 0; who < 3; who++) {
        unsigned i;
        start_default();
        remote("a", "1");
        rig.net.delay = 3;
        for (i = 0; i < 3; i++) CHECK_EQ(begin_load(&jobs[i], "a"), MCPSESS_PENDING);
        mcpsess_cancel(&jobs[who].op);
        reuse(&jobs[who]);
        for (i = 0; i < 3; i++) {
            if (i != who) CHECK(rig_end(&jobs[i].op, MCPSESS_PENDING) == MCPSESS_OK && got(&jobs[i], "1"));
        }
        CHECK(untouched(&jobs[who]));
        CHECK_EQ(rig.net.submits, 1);
        rig_sound();
    }
}

TEST(shared_load_with_too_little_room_harms_only_itself) {
    start_default();
    remote("a", "1");
    rig.net.delay = 2;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    jobs[0].out.cap = 5; /* the one whose request it is */
    CHECK_EQ(begin_load(&jobs[1], "a"), MCPSESS_PENDING);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_E_TOOBIG);
    CHECK(jobs[0].op.need > 5);
    CHECK_EQ(rig_end(&jobs[1].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(got(&jobs[1], "1"));
    rig_sound();
}

TEST(shared_by_a_stranger_gives_him_nothing) {
    unsigned first;
    for (first = 0; first < 2; first++) {
        job *mine = &jobs[first], *theirs = &jobs[1u - first];
        unsigned i;
        start_default();
        remote("a", "1");
        rig.net.delay = 2;
        for (i = 0; i < 2; i++) {
            CHECK_EQ(begin_load_as(&jobs[i], "a", i == first ? &rig.alice : &rig.bob), MCPSESS_PENDING);
        }
        CHECK_EQ(rig_end(&theirs->op, MCPSESS_PENDING), MCPSESS_MISS);
        CHECK_EQ(rig_end(&mine->op, MCPSESS_PENDING), MCPSESS_OK);
        CHECK(got(mine, "1"));
        CHECK_EQ(theirs->out.len, 0);
        rig.net.delay = 0;
        CHECK(rig_loads_with("a", "1", 0)); /* and the owner's copy is kept */
        rig_sound();
    }
}

TEST(shared_confirmation_that_fails_serves_everybody_stale) {
    unsigned i;
    start_default();
    rig_store("a", "1");
    rig.now += RIG_MAX_AGE + 1u;
    rig.net.delay = 8;
    rig.net.fail = MCPSESS_E_IO;
    for (i = 0; i < 3; i++) CHECK_EQ(begin_load(&jobs[i], "a"), MCPSESS_PENDING);
    for (i = 0; i < 3; i++) {
        CHECK_EQ(rig_end(&jobs[i].op, MCPSESS_PENDING), MCPSESS_OK);
        CHECK(jobs[i].op.stale);
        CHECK(got(&jobs[i], "1"));
    }
    CHECK_EQ(rig.net.submits, 2);
    rig_sound();
}

/* ---- overtaken ---- */

TEST(overtaken_load_is_not_kept) {
    start_default();
    remote("a", "old");
    rig.net.delay = 5;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING); /* has read "old" */
    rig.net.delay = 0;
    CHECK_EQ(rig_store("a", "new"), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(rig_loads_with("a", "new", 0));
    CHECK_EQ(rig.table.stats.overtaken, 1);
    CHECK_EQ(rig.logged[MCPSESS_ITEM_OVERTAKEN], 1);
    rig_sound();
}

TEST(overtaken_by_a_delete_is_not_kept_and_not_joined) {
    start_default();
    remote("a", "old");
    rig.net.delay = 5;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.net.delay = 0;
    CHECK_EQ(rig_del("a", &rig.alice), MCPSESS_OK);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS); /* asks for itself */
    CHECK_EQ(rig.net.kinds[MCPSESS_GET], 2);
    (void)rig_end(&jobs[0].op, MCPSESS_PENDING);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    rig_sound();
}

TEST(overtaken_by_a_delete_of_what_was_deleted_elsewhere) {
    start_default();
    remote("a", "old");
    rig.net.delay = 8;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING); /* has read "old" */
    rig.net.delay = 0;
    rig_del_at_store("a");
    CHECK_EQ(rig_del("a", &rig.alice), MCPSESS_OK); /* the store had nothing to delete */
    (void)rig_end(&jobs[0].op, MCPSESS_PENDING);
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    rig_sound();
}

TEST(delete_by_a_stranger_overtakes_nobody) {
    start_default();
    remote("a", "1");
    rig.net.delay = 8;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.net.delay = 0;
    CHECK_EQ(rig_del("a", &rig.bob), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(rig_loads_with("a", "1", 0));
    rig_sound();
}

TEST(overtaken_load_is_not_joined_without_a_local_tier) {
    mcpsess_session_desc d = rig_desc();
    d.capacity = 0;
    start_jobs(&d);
    remote("a", "old");
    rig.net.delay = 5;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.net.delay = 0;
    CHECK_EQ(rig_store("a", "new"), MCPSESS_OK);
    CHECK(rig_loads_with("a", "new", 1));
    (void)rig_end(&jobs[0].op, MCPSESS_PENDING);
    CHECK(rig_loads_with("a", "new", 1));
    rig_sound();
}

TEST(overtaken_while_the_write_is_still_pending) {
    start_default();
    remote("a", "old");
    rig.net.delay = 8;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING); /* reads "old", answered last */
    rig.net.delay = 2;
    CHECK_EQ(begin_store(&jobs[1], "a", "new"), MCPSESS_PENDING);
    CHECK_EQ(rig_end(&jobs[1].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    rig.net.delay = 0;
    CHECK(rig_loads("a", "new"));
    rig_sound();
}

TEST(overtaken_by_a_write_of_unknown_outcome_is_not_kept) {
    start_default();
    remote("a", "old");
    rig.net.delay = 8;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING); /* has read "old" */
    rig.net.delay = 0;
    rig.net.fail = MCPSESS_E_UNKNOWN;
    rig.net.fail_after = true;
    CHECK_EQ(rig_update("a", "new"), MCPSESS_E_UNKNOWN); /* it was done */
    rig.net.fail = MCPSESS_OK;
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(rig_loads_with("a", "new", 1));
    rig_sound();
}

/* What was absent when it was asked for, and is there now. */
TEST(overtaken_absence_drops_nothing) {
    start_default();
    rig.net.delay = 8;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    mcpsess_op_init(&jobs[1].op, 0);
    CHECK_EQ(mcpsess_session_exists(&rig.table, &jobs[1].op, MCPSESS_STR("a"), &rig.alice, rig.now), MCPSESS_PENDING);
    rig.net.delay = 0;
    CHECK_EQ(rig_create("a", "new"), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_MISS);
    CHECK_EQ(rig_end(&jobs[1].op, MCPSESS_PENDING), MCPSESS_MISS);
    CHECK(rig_loads_with("a", "new", 0));
    rig_sound();
}

TEST(overtaken_by_a_foreign_record_that_was_refused_is_kept) {
    char mem[RIG_RECORD_MAX];
    start_default();
    remote("a", "1");
    rig.net.delay = 5;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    rig.net.delay = 0;
    CHECK_EQ(rig_end(&rig.op, mcpsess_session_store(&rig.table, &rig.op, rig_record(mem, "a", &rig.bob, "2"), rig.now)),
             MCPSESS_EXISTS);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(got(&jobs[0], "1"));
    CHECK(rig_loads("a", "1"));
    rig_sound();
}

TEST(two_writes_answered_in_reverse_leave_what_the_store_has) {
    start_default();
    rig.net.delay = 6;
    CHECK_EQ(begin_store(&jobs[0], "a", "first"), MCPSESS_PENDING);
    rig.net.delay = 2;
    CHECK_EQ(begin_store(&jobs[1], "a", "second"), MCPSESS_PENDING);
    CHECK_EQ(rig_end(&jobs[1].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    rig.net.delay = 0;
    CHECK(rig_loads("a", "second"));
    rig_sound();
}

TEST(confirmed_write_is_never_hidden_by_an_older_copy_while_the_store_is_away) {
    start_default();
    rig.net.delay = 12;
    CHECK_EQ(begin_store(&jobs[0], "a", "first"), MCPSESS_PENDING);
    rig.net.delay = 4;
    CHECK_EQ(begin_store(&jobs[1], "a", "second"), MCPSESS_PENDING);
    rig.net.delay = 16;
    CHECK_EQ(begin_store(&jobs[2], "a", "third"), MCPSESS_PENDING);
    CHECK_EQ(rig_end(&jobs[1].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[2].op, MCPSESS_PENDING), MCPSESS_OK);
    rig.net.delay = 0;
    rig.net.fail = MCPSESS_E_IO;
    CHECK(rig_load("a", &rig.alice) == MCPSESS_E_IO || mcpsess_str_eq(rig_backend(&rig.out), MCPSESS_STR("third")));
    rig.net.fail = MCPSESS_OK;
    CHECK(rig_loads("a", "third"));
    rig_sound();
}

TEST(write_answered_after_a_delete_does_not_come_back) {
    start_default();
    rig.net.delay = 6;
    CHECK_EQ(begin_store(&jobs[0], "a", "1"), MCPSESS_PENDING);
    rig.net.delay = 2;
    CHECK_EQ(begin_del(&jobs[1], "a"), MCPSESS_PENDING);
    CHECK_EQ(rig_end(&jobs[1].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_OK);
    rig.net.delay = 0;
    CHECK_EQ(rig_load("a", &rig.alice), MCPSESS_MISS);
    rig_sound();
}

TEST(del_is_gone_locally_before_the_store_answers) {
    start_default();
    rig_store("a", "1");
    rig.net.hang = true;
    CHECK_EQ(begin_del(&jobs[0], "a"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    mcpsess_cancel(&jobs[0].op);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    rig_sound();
}

/* ---- the queue ---- */

TEST(queue_is_served_in_order) {
    mcpsess_session_desc d = rig_desc();
    static const char *const ids[] = {"a", "b", "c", "d"};
    char order[5] = "";
    unsigned i, n = 0, seen = 0;
    d.lanes = 1;
    start_jobs(&d);
    rig.net.delay = 8;
    for (i = 0; i < 4; i++) CHECK_EQ(begin_load(&jobs[i], ids[i]), MCPSESS_PENDING);
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(rig.table.stats.queued, 3);
    for (i = 0; i < 100 && n < 4; i++) {
        if (rig.net.submits != seen) order[n++] = rig.net.last_key[0];
        seen = rig.net.submits;
        (void)poll(&jobs[3 - i % 4]); /* polled in another order */
    }
    CHECK(same_bytes(order, "abcd", 4));
    for (i = 0; i < 4; i++) CHECK_EQ(rig_end(&jobs[i].op, MCPSESS_PENDING), MCPSESS_MISS);
    CHECK_EQ(rig.net.submits, 4);
    rig_sound();
}

TEST(queued_op_times_out_without_a_request) {
    mcpsess_session_desc d = rig_desc();
    d.lanes = 1;
    start_jobs(&d);
    rig.net.hang = true;
    CHECK_EQ(begin_load(&jobs[0], "a"), MCPSESS_PENDING);
    jobs[1].op.timeout_ms = 100;
    CHECK_EQ(begin_store(&jobs[1], "b", "1"), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&jobs[1].op, rig.now), rig.now + 100u);
    rig.now += 100;
    CHECK_EQ(poll(&jobs[1]), MCPSESS_E_TIMEOUT);
    reuse(&jobs[1]);
    test_store_release(&rig.net);
    CHECK_EQ(rig_end(&jobs[0].op, MCPSESS_PENDING), MCPSESS_MISS);
    CHECK(untouched(&jobs[1]));
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(rig_at_store("b", NULL), MCPSESS_MISS);
    rig_sound();
}

TEST(queue_moves_on_when_those_in_front_give_up) {
    mcpsess_session_desc d = rig_desc();
    d.lanes = 1;
    start_jobs(&d);
    remote("d", "1");
    rig.net.delay = 8;
    begin_load(&jobs[0], "a");
    begin_load(&jobs[1], "b");
    begin_load(&jobs[2], "c");
    begin_load(&jobs[3], "d");
    mcpsess_cancel(&jobs[1].op);
    mcpsess_cancel(&jobs[0].op);
    mcpsess_cancel(&jobs[2].op);
    CHECK_EQ(rig_end(&jobs[3].op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(got(&jobs[3], "1"));
    CHECK_EQ(rig.net.submits, 2);
    rig_sound();
}

TEST(local_hits_need_no_lane) {
    static const char *const ids[] = {"w", "x", "y", "z"};
    unsigned i;
    start_default();
    rig_store("a", "1");
    rig.net.hang = true;
    for (i = 0; i < 4; i++) CHECK_EQ(begin_load(&jobs[i], ids[i]), MCPSESS_PENDING);
    CHECK(rig_loads_with("a", "1", 0));
    rig_sound();
}

TEST(answers_in_any_order_reach_their_own_op) {
    static const char *const ids[] = {"a", "b", "c"};
    static const char *const values[] = {"one", "two", "three"};
    unsigned i;
    start_default();
    for (i = 0; i < 3; i++) remote(ids[i], values[i]);
    rig.net.newest_first = true;
    rig.net.delay = 1;
    for (i = 0; i < 3; i++) CHECK_EQ(begin_load(&jobs[i], ids[i]), MCPSESS_PENDING);
    for (i = 0; i < 3; i++) {
        CHECK_EQ(rig_end(&jobs[i].op, MCPSESS_PENDING), MCPSESS_OK);
        CHECK(got(&jobs[i], values[i]));
    }
    rig_sound();
}

/* ---- close ---- */

TEST(close_ends_everything_pending) {
    mcpsess_session_desc d = rig_desc();
    d.lanes = 2;
    start_jobs(&d);
    rig.net.hang = true;
    begin_load(&jobs[0], "a");
    begin_load(&jobs[1], "a");
    begin_store(&jobs[2], "b", "1");
    begin_load(&jobs[3], "c"); /* queued */
    CHECK_EQ(mcpsess_session_close(&rig.table), MCPSESS_OK);
    CHECK_EQ(poll(&jobs[0]), MCPSESS_E_CLOSED);
    CHECK_EQ(poll(&jobs[1]), MCPSESS_E_CLOSED);
    CHECK_EQ(poll(&jobs[2]), MCPSESS_E_CLOSED);
    CHECK_EQ(poll(&jobs[3]), MCPSESS_E_CLOSED);
    CHECK_EQ(test_store_pending(&rig.net), 0);
    CHECK_EQ(rig.net.closes, 1);
    rig_sound();
}

/* ---- the blocking wrapper ---- */

static struct {
    unsigned waits;
    unsigned give_up_at;
    bool bad;
} sleeper;

static uint64_t wait_now(void *user) {
    if (user != &sleeper) sleeper.bad = true;
    return rig.now;
}

static int wait_wait(void *user, unsigned want, uint64_t due_ms) {
    if (user != &sleeper || want == 0 || due_ms == MCPSESS_NEVER || due_ms < rig.now) sleeper.bad = true;
    if (++sleeper.waits == sleeper.give_up_at) return -1;
    if (due_ms > rig.now) rig.now = due_ms;
    return 0;
}

static mcpsess_wait_hook sleeper_hook(unsigned give_up_at) {
    mcpsess_wait_hook h;
    memset(&sleeper, 0, sizeof sleeper);
    sleeper.give_up_at = give_up_at;
    h.now_ms = wait_now;
    h.wait = wait_wait;
    h.user = &sleeper;
    return h;
}

TEST(wait_steps_until_done) {
    mcpsess_wait_hook h = sleeper_hook(0);
    start_default();
    remote("a", "1");
    rig.net.delay = 4;
    CHECK_EQ(mcpsess_wait(&jobs[0].op, begin_load(&jobs[0], "a"), &h), MCPSESS_OK);
    CHECK(got(&jobs[0], "1"));
    CHECK(sleeper.waits >= 3 && !sleeper.bad);
    sleeper.waits = 0;
    CHECK_EQ(mcpsess_wait(&jobs[0].op, begin_load(&jobs[0], "a"), &h), MCPSESS_OK); /* done at once */
    CHECK_EQ(sleeper.waits, 0);
    rig_sound();
}

TEST(wait_ends_at_the_deadline) {
    mcpsess_wait_hook h = sleeper_hook(1000);
    uint64_t start;
    start_default();
    start = rig.now;
    rig.net.hang = true;
    CHECK_EQ(mcpsess_wait(&jobs[0].op, begin_load(&jobs[0], "a"), &h), MCPSESS_E_TIMEOUT);
    CHECK_EQ(rig.now, start + RIG_TIMEOUT);
    CHECK(sleeper.waits <= 2 && !sleeper.bad); /* slept, did not spin */
}

TEST(wait_gives_up_when_its_hook_does) {
    mcpsess_wait_hook h = sleeper_hook(2);
    start_default();
    rig.net.delay = 50;
    CHECK_EQ(mcpsess_wait(&jobs[0].op, begin_load(&jobs[0], "a"), &h), MCPSESS_E_CANCELED);
    CHECK_EQ(poll(&jobs[0]), MCPSESS_E_CANCELED);
    reuse(&jobs[0]);
    rig.net.delay = 0;
    test_store_release(&rig.net);
    CHECK_EQ(rig_load("b", &rig.alice), MCPSESS_MISS);
    CHECK(untouched(&jobs[0]));
}

TEST(wait_passes_on_what_begin_refused) {
    mcpsess_wait_hook h = sleeper_hook(0);
    start_default();
    CHECK_EQ(mcpsess_wait(&jobs[0].op, begin_load(&jobs[0], " "), &h), MCPSESS_E_ID);
    CHECK_EQ(mcpsess_wait(NULL, MCPSESS_PENDING, &h), MCPSESS_E_ARG);
    rig.net.hang = true;
    CHECK_EQ(mcpsess_wait(&jobs[0].op, begin_load(&jobs[0], "a"), NULL), MCPSESS_E_ARG);
    h.wait = NULL;
    CHECK_EQ(mcpsess_wait(&jobs[0].op, MCPSESS_PENDING, &h), MCPSESS_E_ARG);
    CHECK_EQ(sleeper.waits, 0);
}

/* ---- locks ---- */

TEST(lock_hooks_are_taken_and_released_in_turn) {
    unsigned before;
    start_default();
    before = rig.locks;
    rig_store("a", "1");
    CHECK(rig.locks > before);
    before = rig.locks;
    CHECK(rig_loads("a", "1"));
    CHECK(rig.locks > before);
    before = rig.locks;
    (void)mcpsess_session_len(&rig.table);
    (void)mcpsess_session_mark(&rig.table, MCPSESS_STR("a"));
    CHECK(rig.locks >= before + 2u);
    rig_sound(); /* every other test looks too: never held while the store or the log is called */
}

void test_session_io(void) {
    RUN(op_is_pending_until_the_answer_and_keeps_its_result);
    RUN(op_takes_at_most_one_store_step_per_poll);
    RUN(op_whose_answer_somebody_else_brought_is_due);
    RUN(op_sends_its_request_in_the_call_that_begins_it);
    RUN(op_pending_cannot_be_begun_again);
    RUN(op_meets_its_deadline_to_the_millisecond);
    RUN(op_polled_late_still_takes_an_answer_that_is_there);
    RUN(op_left_ms_counts_from_before_the_request_left);
    RUN(op_functions_survive_null_and_idle_ops);
    RUN(op_cancelled_frees_its_memory_at_once);
    RUN(op_timed_out_frees_its_memory_and_the_late_answer_hurts_nobody);
    RUN(op_cancelled_write_that_took_effect_is_seen);
    RUN(op_timed_out_write_leaves_the_local_copy_to_be_confirmed);
    RUN(lane_of_a_silent_store_comes_back_when_nobody_waits_any_more);
    RUN(shared_loads_of_one_id_cost_one_request);
    RUN(shared_misses_and_failures_reach_everybody);
    RUN(shared_load_has_a_deadline_of_its_own);
    RUN(shared_load_cancelled_by_one_is_answered_to_the_others);
    RUN(shared_load_with_too_little_room_harms_only_itself);
    RUN(shared_by_a_stranger_gives_him_nothing);
    RUN(shared_confirmation_that_fails_serves_everybody_stale);
    RUN(overtaken_load_is_not_kept);
    RUN(overtaken_by_a_delete_is_not_kept_and_not_joined);
    RUN(overtaken_by_a_delete_of_what_was_deleted_elsewhere);
    RUN(delete_by_a_stranger_overtakes_nobody);
    RUN(overtaken_load_is_not_joined_without_a_local_tier);
    RUN(overtaken_while_the_write_is_still_pending);
    RUN(overtaken_by_a_write_of_unknown_outcome_is_not_kept);
    RUN(overtaken_absence_drops_nothing);
    RUN(overtaken_by_a_foreign_record_that_was_refused_is_kept);
    RUN(two_writes_answered_in_reverse_leave_what_the_store_has);
    RUN(confirmed_write_is_never_hidden_by_an_older_copy_while_the_store_is_away);
    RUN(write_answered_after_a_delete_does_not_come_back);
    RUN(del_is_gone_locally_before_the_store_answers);
    RUN(queue_is_served_in_order);
    RUN(queued_op_times_out_without_a_request);
    RUN(queue_moves_on_when_those_in_front_give_up);
    RUN(local_hits_need_no_lane);
    RUN(answers_in_any_order_reach_their_own_op);
    RUN(close_ends_everything_pending);
    RUN(wait_steps_until_done);
    RUN(wait_ends_at_the_deadline);
    RUN(wait_gives_up_when_its_hook_does);
    RUN(wait_passes_on_what_begin_refused);
    RUN(lock_hooks_are_taken_and_released_in_turn);
}
