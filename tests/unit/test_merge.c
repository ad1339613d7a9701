/* merge: changes of a session by compare-and-set, of two tables over one store; the states of one whose initialisation
   takes time */

#include "session_rig.h"

/* Another replica: a table of its own over the same records, which nobody tells of changes, and which does not wait. */
static mcpsess_sessions other;
MCPSESS_SESSION_STORAGE(other_mem, 2, RIG_RECORD_MAX, 2, RIG_RECORD_MAX);

static const mcpsess_backends names = {LIT("ids"), LIT("s.")};
static const mcpsess_str one = LIT("1");

/* an operation with what it needs */
typedef struct job {
    mcpsess_merge_op m;
    char mem[MCPSESS_MERGE_BYTES(RIG_RECORD_MAX)];
    mcpsess_merge how;
    /* what it does when it is called: adds this pair, then says rc */
    const char *key, *value;
    int rc;
    unsigned calls;
} job;

static job jobs[3];

static int add(void *user, mcpsess_buf *record) {
    job *j = (job *)user;
    j->calls++;
    if (rig.lock_depth != 0) rig.lock_misuse = true;
    if (j->key != NULL && mcpsess_record_put(record, mcpsess_str_z(j->key), mcpsess_str_z(j->value)) != MCPSESS_OK)
        return MCPSESS_E_TOOBIG;
    return j->rc;
}

static job *job_of(unsigned n, const char *key, const char *value) {
    job *j = &jobs[n];
    memset(j, 0, sizeof *j);
    mcpsess_op_init(&j->m.op, 0);
    j->how.merge = add;
    j->how.user = j;
    j->key = key;
    j->value = value;
    j->rc = MCPSESS_OK;
    return j;
}

static int begin(mcpsess_sessions *table, job *j) {
    return mcpsess_session_merge(table, &j->m, one, &rig.nobody, &j->how, j->mem, sizeof j->mem, rig.now);
}

static int run(job *j) {
    return rig_end(&j->m.op, begin(&rig.table, j));
}

/* by the other replica */
static int run_there(job *j) {
    return rig_end(&j->m.op, begin(&other, j));
}

static int expire(mcpsess_sessions *table, job *j, const char *backend) {
    return rig_end(&j->m.op, mcpsess_session_backend_expired(table, &j->m, one, &rig.nobody, &names,
                                                             mcpsess_str_z(backend), j->mem, sizeof j->mem, rig.now));
}

static int terminate(mcpsess_sessions *table, job *j) {
    return rig_end(&j->m.op, mcpsess_session_terminate(table, &j->m, one, &rig.nobody, j->mem, sizeof j->mem, rig.now));
}

/* the session's record: of nobody, in this state, with a list of backends unless NULL */
static mcpsess_str record_of(char *mem, uint8_t state, const char *list) {
    mcpsess_record r;
    mcpsess_buf b;
    memset(&r, 0, sizeof r);
    r.id = one;
    r.state = state;
    mcpsess_buf_init(&b, mem, RIG_RECORD_MAX);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    if (list != NULL) CHECK_EQ(mcpsess_record_put(&b, names.list, mcpsess_str_z(list)), MCPSESS_OK);
    return mcpsess_buf_str(&b);
}

static void start(const mcpsess_session_desc *d) {
    mcpsess_session_desc od = rig_desc();
    rig_start(d);
    od.store = mcpsess_memstore_store(&rig.ram);
    od.capacity = 2;
    od.lanes = 2;
    CHECK_EQ(mcpsess_session_init(&other, &od, other_mem.bytes, sizeof other_mem.bytes), MCPSESS_OK);
}

static void store_one(uint8_t state, const char *list) {
    char mem[RIG_RECORD_MAX];
    CHECK_EQ(rig_end(&rig.op, mcpsess_session_store(&rig.table, &rig.op, record_of(mem, state, list), rig.now)),
             MCPSESS_OK);
}

/* both replicas know the session */
static void start_with(uint8_t state, const char *list) {
    mcpsess_session_desc d = rig_desc();
    mcpsess_buf out;
    start(&d);
    store_one(state, list);
    mcpsess_buf_init(&out, rig.out_mem, sizeof rig.out_mem);
    CHECK_EQ(rig_end(&rig.op, mcpsess_session_load(&other, &rig.op, one, &rig.nobody, &out, rig.now)), MCPSESS_OK);
    rig.net.submits = 0;
    memset(rig.net.kinds, 0, sizeof rig.net.kinds);
}

static void start_active(void) {
    start_with(MCPSESS_STATE_ACTIVE, "a,b,c");
}

static bool sound(void) {
    rig_sound();
    return CHECK_EQ(mcpsess_session_check(&other), MCPSESS_OK);
}

/* what rig.out has: this pair, or NULL: it does not */
static bool out_has(const char *key, const char *value) {
    mcpsess_record r;
    mcpsess_str got;
    int rc;
    if (mcpsess_record_decode(mcpsess_buf_str(&rig.out), &r) != MCPSESS_OK) return false;
    rc = mcpsess_record_get(&r, mcpsess_str_z(key), &got);
    if (value == NULL) return rc == MCPSESS_MISS;
    return rc == MCPSESS_OK && mcpsess_str_eq(got, mcpsess_str_z(value));
}

/* the record as the store has it, into rig.out */
static int at_store(void) {
    mcpsess_store ram = mcpsess_memstore_store(&rig.ram);
    mcpsess_request q;
    memset(&q, 0, sizeof q);
    q.kind = MCPSESS_GET;
    q.key = one;
    q.out = &rig.out;
    mcpsess_buf_init(&rig.out, rig.out_mem, sizeof rig.out_mem);
    return ram.cls->submit(ram.self, &q, rig.now);
}

static bool stored(const char *key, const char *value) {
    return at_store() == MCPSESS_OK && out_has(key, value);
}

static int state_at_store(void) {
    mcpsess_record r;
    if (at_store() != MCPSESS_OK || mcpsess_record_decode(mcpsess_buf_str(&rig.out), &r) != MCPSESS_OK) return -1;
    return r.state;
}

/* a load answers this pair, with so many requests */
static bool loads(const char *key, const char *value, unsigned requests) {
    unsigned before = rig.net.submits;
    bool ok = rig_load("1", &rig.nobody) == MCPSESS_OK && out_has(key, value);
    return ok && rig.net.submits - before == requests;
}

static int del_there(void) {
    return rig_end(&rig.op, mcpsess_session_del(&other, &rig.op, one, &rig.nobody, rig.now));
}

/* ---- one replica ---- */

TEST(merge_of_a_fresh_local_copy_is_one_request) {
    job *j;
    start_active();
    j = job_of(0, "k", "v");
    rig.now += 10;
    CHECK_EQ(run(j), MCPSESS_OK);
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(rig.net.last.mode, MCPSESS_PUT_CAS);
    CHECK(rig.net.last.guarded);
    CHECK_EQ(j->m.merged, 1);
    CHECK_EQ(j->m.op.left_ms, RIG_TTL);
    CHECK(stored("k", "v") && stored("ids", "a,b,c"));
    CHECK(mcpsess_str_eq(j->m.record, mcpsess_buf_str(&rig.out)));
    CHECK(loads("k", "v", 0)); /* and it is the local copy at once */
    CHECK_EQ(rig.table.stats.merges, 1);
    CHECK_EQ(rig.table.stats.conflicts, 0);
    sound();
}

TEST(merge_without_a_local_copy_reads_first) {
    mcpsess_session_desc d = rig_desc();
    job *j;
    d.capacity = 0;
    start(&d);
    store_one(MCPSESS_STATE_ACTIVE, "a");
    rig.net.submits = 0;
    rig.net.delay = 2;
    j = job_of(0, "k", "v");
    CHECK_EQ(run(j), MCPSESS_OK);
    CHECK_EQ(rig.net.submits, 2);
    CHECK(stored("k", "v"));
    sound();
}

TEST(merge_sends_its_write_in_the_call_that_begins_it) {
    job *j;
    start_active();
    rig.net.delay = 1;
    j = job_of(0, "k", "v");
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_OK);
    sound();
}

TEST(merge_takes_at_most_one_store_step_per_poll) {
    unsigned polls, submits;
    int rc;
    job *j;
    start_active();
    CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
    rig.net.delay = 3;
    j = job_of(0, "k", "v");
    rc = begin(&rig.table, j);
    while (rc == MCPSESS_PENDING) {
        polls = rig.net.polls;
        submits = rig.net.submits;
        rc = mcpsess_poll(&j->m.op, rig.now);
        CHECK(rig.net.polls <= polls + 1u && rig.net.submits <= submits + 1u);
    }
    CHECK_EQ(rc, MCPSESS_OK);
    sound();
}

TEST(merge_of_an_absent_session_calls_nobody) {
    mcpsess_session_desc d = rig_desc();
    job *j;
    start(&d);
    j = job_of(0, "k", "v");
    CHECK_EQ(run(j), MCPSESS_MISS);
    CHECK_EQ(j->calls, 0);
    CHECK_EQ(rig_at_store("1", NULL), MCPSESS_MISS);
    sound();
}

TEST(merge_by_a_stranger_finds_nothing) {
    job *j;
    start_active();
    j = job_of(0, "k", "v");
    CHECK_EQ(rig_end(&j->m.op,
                     mcpsess_session_merge(&rig.table, &j->m, one, &rig.bob, &j->how, j->mem, sizeof j->mem, rig.now)),
             MCPSESS_MISS);
    CHECK_EQ(j->calls, 0);
    CHECK(stored("k", NULL));
    CHECK(loads("k", NULL, 0)); /* and leaves no trace */
    sound();
}

TEST(merge_may_refuse) {
    static const int codes[] = {MCPSESS_END, MCPSESS_MISS, MCPSESS_EXISTS, MCPSESS_LOST, MCPSESS_E_FULL};
    unsigned n;
    job *j;
    for (n = 0; n < COUNT_OF(codes); n++) {
        start_active();
        CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
        j = job_of(0, "k", "v");
        j->rc = codes[n];
        CHECK_EQ(run(j), codes[n]);
        CHECK_EQ(j->calls, 1); /* what it was called with came from the store */
        CHECK_EQ(rig.net.submits, 1);
        CHECK_EQ(j->m.record.len, 0);
        CHECK(stored("k", NULL));
        sound();
    }
}

TEST(merge_that_refuses_a_local_copy_is_called_with_what_the_store_has) {
    job *j;
    start_active();
    j = job_of(0, NULL, NULL);
    j->rc = MCPSESS_END;
    CHECK_EQ(run(j), MCPSESS_END);
    CHECK_EQ(j->calls, 2);
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(rig.net.kinds[MCPSESS_GET], 1);
    sound();
}

/* -> END if what the other replica wrote is there, else it is an error */
static int look(void *user, mcpsess_buf *record) {
    mcpsess_record r;
    mcpsess_str value;
    (void)user;
    if (mcpsess_record_decode(mcpsess_buf_str(record), &r) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    return mcpsess_record_get(&r, MCPSESS_STR("theirs"), &value) == MCPSESS_OK ? MCPSESS_END : MCPSESS_E_FULL;
}

TEST(merge_is_not_called_with_what_was_asked_for_before_it) {
    mcpsess_op load;
    mcpsess_buf out;
    char mem[RIG_RECORD_MAX];
    job *j;
    start_active();
    CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
    mcpsess_op_init(&load, 0);
    mcpsess_buf_init(&out, mem, sizeof mem);
    rig.net.delay = 1;
    CHECK_EQ(mcpsess_session_load(&rig.table, &load, one, &rig.nobody, &out, rig.now), MCPSESS_PENDING);
    CHECK_EQ(run_there(job_of(1, "theirs", "1")), MCPSESS_OK);
    j = job_of(0, NULL, NULL);
    j->how.merge = look;
    CHECK_EQ(run(j), MCPSESS_END);
    CHECK_EQ(rig_end(&load, MCPSESS_PENDING), MCPSESS_OK);
    sound();
}

static int spoil(void *user, mcpsess_buf *record) {
    static char mem[RIG_RECORD_MAX];
    const char *how = (const char *)user;
    mcpsess_str other_one = rig_record(mem, *how == 'i' ? "2" : "1", *how == 'p' ? &rig.alice : &rig.nobody, "");
    mcpsess_buf_init(record, record->ptr, record->cap);
    mcpsess_buf_put(record, *how == 'e' ? mcpsess_str_of(NULL, 0) : other_one);
    return *how == 'w' ? MCPSESS_PENDING : MCPSESS_OK;
}

TEST(merge_must_leave_a_record_of_this_session) {
    static char hows[4] = {'i', 'p', 'e', 'w'}; /* another id, another principal, nothing, an answer that is none */
    unsigned n;
    for (n = 0; n < COUNT_OF(hows); n++) {
        job *j;
        start_active();
        CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
        j = job_of(0, NULL, NULL);
        j->how.merge = spoil;
        j->how.user = &hows[n];
        CHECK_EQ(run(j), n == 3 ? MCPSESS_E_ARG : MCPSESS_E_FORMAT);
        CHECK_EQ(rig.net.kinds[MCPSESS_PUT], 0);
        CHECK(loads("ids", "a,b,c", 0));
        sound();
    }
}

TEST(merge_needs_room) {
    static char value[80], large[MCPSESS_MERGE_BYTES(RIG_RECORD_MAX + 16u)];
    job *j;
    size_t len;
    start_active();
    CHECK_EQ(at_store(), MCPSESS_OK);
    len = rig.out.len;
    j = job_of(0, "k", "v");
    CHECK_EQ(rig_end(&j->m.op, mcpsess_session_merge(&rig.table, &j->m, one, &rig.nobody, &j->how, j->mem,
                                                     2u * len - 2u, rig.now)),
             MCPSESS_E_TOOBIG);
    CHECK_EQ(j->m.op.need, len);
    CHECK_EQ(j->calls, 0);
    j = job_of(0, "k", "v");
    CHECK_EQ(rig_end(&j->m.op, mcpsess_session_merge(&rig.table, &j->m, one, &rig.nobody, &j->how, j->mem,
                                                     2u * (len + 6u), rig.now)),
             MCPSESS_OK);
    memset(value, 'v', RIG_RECORD_MAX - len);
    j = job_of(0, "l", value);
    CHECK_EQ(run(j), MCPSESS_E_TOOBIG); /* says what it calls */
    rig.net.submits = 0;
    j = job_of(0, "l", value);
    CHECK_EQ(rig_end(&j->m.op,
                     mcpsess_session_merge(&rig.table, &j->m, one, &rig.nobody, &j->how, large, sizeof large, rig.now)),
             MCPSESS_E_TOOBIG); /* over record_max */
    CHECK_EQ(rig.net.kinds[MCPSESS_PUT], 1);
    sound();
}

/* ---- two of them ---- */

TEST(merge_loses_nothing_of_another_replica) {
    job *j;
    start_active();
    j = job_of(1, "theirs", "1");
    CHECK_EQ(run_there(j), MCPSESS_OK);
    j = job_of(0, "ours", "1");
    CHECK_EQ(run(j), MCPSESS_OK); /* though our copy is an old one */
    CHECK_EQ(j->m.merged, 2);
    CHECK_EQ(rig.table.stats.conflicts, 1);
    CHECK_EQ(rig.net.submits, 3); /* lost, read, won */
    CHECK(stored("ours", "1") && stored("theirs", "1"));
    CHECK(loads("theirs", "1", 0));
    sound();
}

TEST(merge_that_loses_never_reads_the_copy_that_lost) {
    job *j;
    start_active();
    CHECK_EQ(run_there(job_of(1, "theirs", "1")), MCPSESS_OK);
    rig.net.delay = 1;
    j = job_of(0, "ours", "1");
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_PENDING); /* lost */
    CHECK((mcpsess_want(&j->m.op) & MCPSESS_WANT_NOW) != 0);
    CHECK(mcpsess_next_due(&j->m.op, rig.now) == rig.now);
    CHECK(loads("theirs", "1", 1)); /* nor does anybody else */
    CHECK_EQ(rig_end(&j->m.op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(stored("ours", "1") && stored("theirs", "1"));
    sound();
}

TEST(merge_that_loses_overtakes_what_was_asked_for_before) {
    mcpsess_op load;
    mcpsess_buf out;
    char mem[RIG_RECORD_MAX];
    unsigned n;
    job *j;
    start_active();
    CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
    mcpsess_op_init(&load, 0);
    mcpsess_buf_init(&out, mem, sizeof mem);
    rig.net.hang = true;
    CHECK_EQ(mcpsess_session_load(&rig.table, &load, one, &rig.nobody, &out, rig.now), MCPSESS_PENDING);
    rig.net.hang = false;
    rig.net.delay = 1;
    j = job_of(0, "ours", "1");
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK_EQ(run_there(job_of(1, "theirs", "1")), MCPSESS_OK);
    for (n = 0; n < 9 && rig.table.stats.conflicts == 0; n++)
        CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_PENDING);
    CHECK_EQ(rig.table.stats.conflicts, 1);
    mcpsess_cancel(&j->m.op);
    test_store_release(&rig.net);
    CHECK_EQ(rig_end(&load, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(loads("theirs", "1", 1));
    sound();
}

TEST(merge_goes_on_until_it_wins) {
    static const char *const values[] = {"0", "1", "2", "3", "4"};
    unsigned n;
    int rc;
    job *j;
    start_active();
    CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
    rig.net.delay = 1;
    j = job_of(0, "ours", "1");
    rc = begin(&rig.table, j);
    for (n = 0; rc == MCPSESS_PENDING && n < 100; n++) {
        if (n < 31) CHECK_EQ(run_there(job_of(1, "theirs", values[n % COUNT_OF(values)])), MCPSESS_OK);
        rc = mcpsess_poll(&j->m.op, rig.now);
    }
    CHECK_EQ(rc, MCPSESS_OK);
    CHECK(rig.table.stats.conflicts > 5);
    CHECK_EQ(j->m.merged, rig.table.stats.conflicts + 1u);
    CHECK(stored("ours", "1") && stored("theirs", "0"));
    sound();
}

/* A store that is as fast as it is hostile: it always has other bytes. */
static int lose(void *self, mcpsess_request *r, uint64_t now_ms) {
    const test_store *net = (const test_store *)self;
    if (r->kind == MCPSESS_PUT) return r->rc = MCPSESS_LOST;
    return net->inner.cls->submit(net->inner.self, r, now_ms);
}

TEST(merge_that_always_loses_ends_in_time) {
    mcpsess_store_class hostile;
    uint64_t deadline;
    unsigned polls = 0;
    int rc;
    job *j;
    start_active();
    hostile = *rig.net.store.cls;
    hostile.submit = lose;
    rig.table.i.desc.store.cls = &hostile;
    j = job_of(0, "k", "v");
    deadline = rig.now + RIG_TIMEOUT;
    rc = begin(&rig.table, j);
    while (rc == MCPSESS_PENDING && polls++ < 2u * RIG_TIMEOUT) {
        CHECK(mcpsess_next_due(&j->m.op, rig.now) == rig.now); /* it is not in one poll that it loses for ever */
        rig.now++;
        rc = mcpsess_poll(&j->m.op, rig.now);
    }
    CHECK_EQ(rc, MCPSESS_E_TIMEOUT);
    CHECK(rig.now == deadline);
    CHECK(rig.table.stats.conflicts <= RIG_TIMEOUT + 1u);
    sound();
}

TEST(merge_brings_nothing_back) {
    job *j;
    start_active();
    CHECK_EQ(del_there(), MCPSESS_OK);
    j = job_of(0, "k", "v");
    CHECK_EQ(run(j), MCPSESS_MISS); /* our copy was fresh, as far as we knew */
    CHECK_EQ(at_store(), MCPSESS_MISS);
    CHECK_EQ(rig_load("1", &rig.nobody), MCPSESS_MISS);
    sound();
}

TEST(merge_brings_nothing_back_that_ends_between_read_and_write) {
    job *j;
    start_active();
    CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
    rig.net.delay = 1;
    j = job_of(0, "k", "v");
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_PENDING); /* it is read */
    CHECK_EQ(del_there(), MCPSESS_OK);
    CHECK_EQ(rig_end(&j->m.op, MCPSESS_PENDING), MCPSESS_MISS);
    CHECK_EQ(at_store(), MCPSESS_MISS);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    sound();
}

TEST(merge_overtakes_a_load_that_is_under_way) {
    mcpsess_op load;
    mcpsess_buf out;
    char mem[RIG_RECORD_MAX];
    job *j;
    start_active();
    CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
    mcpsess_op_init(&load, 0);
    mcpsess_buf_init(&out, mem, sizeof mem);
    rig.net.hang = true;
    CHECK_EQ(mcpsess_session_load(&rig.table, &load, one, &rig.nobody, &out, rig.now), MCPSESS_PENDING);
    rig.net.hang = false;
    CHECK_EQ(run_there(job_of(1, "theirs", "1")), MCPSESS_OK);
    store_one(MCPSESS_STATE_ACTIVE, "b");
    j = job_of(0, "ours", "1");
    CHECK_EQ(run(j), MCPSESS_OK);
    test_store_release(&rig.net);
    CHECK_EQ(rig_end(&load, MCPSESS_PENDING), MCPSESS_OK); /* answered */
    CHECK(loads("ours", "1", 0));                          /* not kept */
    CHECK(rig.table.stats.overtaken > 0);
    sound();
}

/* ---- failures ---- */

TEST(merge_that_fails_leaves_the_local_copy) {
    job *j;
    start_active();
    rig.net.fail = MCPSESS_E_IO;
    j = job_of(0, "k", "v");
    CHECK_EQ(run(j), MCPSESS_E_IO);
    CHECK(loads("k", NULL, 0));
    CHECK(loads("ids", "a,b,c", 0));
    rig.net.fail = MCPSESS_E_STORE - 3;
    j = job_of(0, "k", "v");
    CHECK_EQ(run(j), MCPSESS_E_STORE - 3);
    CHECK(loads("k", NULL, 0));
    sound();
}

TEST(merge_with_the_store_away_changes_no_copy_that_is_to_be_confirmed) {
    job *j;
    start_active();
    CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
    rig.net.fail = MCPSESS_E_IO;
    j = job_of(0, "k", "v");
    CHECK_EQ(run(j), MCPSESS_E_IO);
    CHECK_EQ(j->calls, 0);
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(rig_load("1", &rig.nobody), MCPSESS_OK); /* which a load may have */
    CHECK(rig.op.stale);
    sound();
}

/* -> the result of one whose first write has this outcome, and all after it do well */
static int run_unknown(job *j, bool repeats, bool done) {
    int rc;
    rig.net.fail = MCPSESS_E_UNKNOWN;
    rig.net.fail_after = done;
    rig.net.delay = 1;
    j->how.repeats = repeats;
    rc = begin(&rig.table, j);
    rig.net.fail = MCPSESS_OK;
    return rig_end(&j->m.op, rc);
}

TEST(merge_of_unknown_outcome_says_so) {
    unsigned done;
    job *j;
    for (done = 0; done < 2; done++) {
        start_active();
        j = job_of(0, "k", "v");
        CHECK_EQ(run_unknown(j, false, done != 0), MCPSESS_E_UNKNOWN);
        CHECK_EQ(j->m.merged, 1);
        CHECK(stored("k", done != 0 ? "v" : NULL));
        CHECK(loads("k", done != 0 ? "v" : NULL, 1)); /* the local copy was to be confirmed */
        sound();
    }
}

TEST(merge_that_repeats_sees_to_it) {
    unsigned done;
    job *j;
    for (done = 0; done < 2; done++) {
        start_active();
        j = job_of(0, "k", "v");
        CHECK_EQ(run_unknown(j, true, done != 0), MCPSESS_OK);
        CHECK_EQ(j->m.merged, 2);
        CHECK(stored("k", "v"));
        sound();
    }
}

TEST(merge_that_repeats_and_cannot_says_what_is_unknown) {
    job *j;
    int rc;
    start_active();
    rig.net.fail = MCPSESS_E_UNKNOWN;
    rig.net.fail_after = true;
    rig.net.delay = 1;
    j = job_of(0, "k", "v");
    j->how.repeats = true;
    rc = begin(&rig.table, j);
    rig.net.fail = MCPSESS_E_IO; /* which by itself says that nothing was written */
    rig.net.fail_after = false;
    CHECK_EQ(rig_end(&j->m.op, rc), MCPSESS_E_UNKNOWN);
    CHECK(stored("k", "v"));
    sound();
}

TEST(merge_of_which_only_the_bytes_are_found_is_of_unknown_outcome) {
    job *j;
    start_active();
    rig.net.unsure = true; /* the store found our bytes, which may be another's */
    j = job_of(0, "k", "v");
    CHECK_EQ(run(j), MCPSESS_E_UNKNOWN);
    CHECK(loads("k", "v", 0));
    CHECK_EQ(run_there(job_of(1, "k", "w")), MCPSESS_OK);
    j = job_of(0, "k", "x");
    CHECK_EQ(run(j), MCPSESS_E_UNKNOWN); /* others are there, but ours may have been */
    CHECK_EQ(rig_load("1", &rig.nobody), MCPSESS_OK);
    CHECK_EQ(del_there(), MCPSESS_OK);
    j = job_of(0, "k", "y");
    CHECK_EQ(run(j), MCPSESS_MISS); /* whatever was, it is over */
    CHECK_EQ(j->m.merged, 1);
    sound();
}

TEST(merge_meets_its_deadline) {
    job *j;
    start_active();
    rig.net.hang = true;
    j = job_of(0, "k", "v");
    j->m.op.timeout_ms = 100;
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK(mcpsess_next_due(&j->m.op, rig.now) == rig.now + 100u);
    rig.now += 99;
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_PENDING);
    rig.now += 1;
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_E_TIMEOUT);
    memset(j, 0xC3, sizeof *j); /* its memory is free */
    test_store_release(&rig.net);
    rig.net.hang = false;
    CHECK(loads("k", "v", 1)); /* it was done all the same, so the copy was to be confirmed */
    sound();
}

TEST(merge_has_one_deadline_for_all_steps) {
    job *j;
    start_active();
    CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
    rig.net.delay = 1;
    j = job_of(0, "k", "v");
    j->m.op.timeout_ms = 100;
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    rig.now += 60;
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_PENDING); /* read */
    rig.net.hang = true;
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_PENDING); /* written */
    CHECK(mcpsess_next_due(&j->m.op, rig.now) == rig.now + 40u);
    rig.now += 40;
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_E_TIMEOUT);
    sound();
}

TEST(merge_given_up_frees_its_memory_at_once) {
    unsigned polls;
    for (polls = 0; polls < 4; polls++) {
        unsigned n;
        job *j;
        start_active();
        CHECK_EQ(mcpsess_session_mark(&rig.table, one), MCPSESS_OK);
        rig.net.delay = 1;
        j = job_of(0, "k", "v");
        CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
        for (n = 0; n < polls; n++) (void)mcpsess_poll(&j->m.op, rig.now);
        mcpsess_cancel(&j->m.op);
        CHECK_EQ(mcpsess_op_rc(&j->m.op), polls < 3 ? MCPSESS_E_CANCELED : MCPSESS_OK);
        CHECK_EQ(mcpsess_want(&j->m.op), 0);
        CHECK(mcpsess_next_due(&j->m.op, rig.now) == MCPSESS_NEVER);
        memset(j, 0xC3, sizeof *j);
        for (n = 0; n < 4; n++) CHECK(rig_loads("1", "") || rig_load("1", &rig.nobody) == MCPSESS_OK);
        CHECK(loads("k", polls < 2 ? NULL : "v", 0));
        sound();
    }
}

TEST(merge_ends_with_its_table) {
    job *j;
    start_active();
    rig.net.hang = true;
    j = job_of(0, "k", "v");
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_session_close(&rig.table), MCPSESS_OK);
    CHECK((mcpsess_want(&j->m.op) & MCPSESS_WANT_NOW) != 0);
    CHECK(mcpsess_next_due(&j->m.op, rig.now) == rig.now);
    CHECK_EQ(mcpsess_poll(&j->m.op, rig.now), MCPSESS_E_CLOSED);
    j = job_of(0, "k", "v");
    CHECK_EQ(run(j), MCPSESS_E_CLOSED);
    sound();
}

/* ---- lanes ---- */

TEST(merge_writes_through_two_lanes) {
    mcpsess_session_desc d = rig_desc();
    job *j;
    d.lanes = 1;
    start(&d);
    store_one(MCPSESS_STATE_ACTIVE, "a");
    j = job_of(0, "k", "v");
    CHECK_EQ(begin(&rig.table, j), MCPSESS_E_UNSUPPORTED);
    d.lanes = 2;
    start(&d);
    store_one(MCPSESS_STATE_ACTIVE, "a");
    rig.net.delay = 1;
    j = job_of(0, "k", "v");
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_session_check(&rig.table), MCPSESS_OK);
    CHECK_EQ(rig_end(&j->m.op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(stored("k", "v"));
    sound();
}

TEST(merge_waits_in_line_for_two_lanes) {
    mcpsess_op load;
    mcpsess_buf out;
    char mem[RIG_RECORD_MAX];
    mcpsess_session_desc d = rig_desc();
    job *j, *k;
    d.lanes = 2;
    start(&d);
    store_one(MCPSESS_STATE_ACTIVE, "a");
    mcpsess_op_init(&load, 0);
    mcpsess_buf_init(&out, mem, sizeof mem);
    rig.net.hang = true;
    CHECK_EQ(mcpsess_session_load(&rig.table, &load, MCPSESS_STR("2"), &rig.nobody, &out, rig.now), MCPSESS_PENDING);
    j = job_of(0, "k", "v");
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK_EQ(rig.table.stats.queued, 1);
    CHECK((mcpsess_want(&j->m.op) & MCPSESS_WANT_NOW) == 0); /* one is free, but that is no reason to spin */
    CHECK(mcpsess_next_due(&j->m.op, rig.now) > rig.now);
    k = job_of(1, "l", "w");
    CHECK_EQ(begin(&rig.table, k), MCPSESS_PENDING);
    rig.net.hang = false;
    test_store_release(&rig.net);
    CHECK_EQ(rig_end(&j->m.op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(rig_end(&k->m.op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK_EQ(mcpsess_op_rc(&load), MCPSESS_MISS);
    CHECK(stored("k", "v") && stored("l", "w"));
    sound();
}

TEST(merges_of_one_table_lose_nothing_of_each_other) {
    job *j[3];
    unsigned n;
    char keys[3][2] = {"x", "y", "z"};
    start_active();
    rig.net.delay = 1;
    for (n = 0; n < 3; n++) {
        j[n] = job_of(n, keys[n], "1");
        CHECK_EQ(begin(&rig.table, j[n]), MCPSESS_PENDING);
    }
    for (n = 0; n < 3; n++) CHECK_EQ(rig_end(&j[n]->m.op, MCPSESS_PENDING), MCPSESS_OK);
    CHECK(stored("x", "1") && stored("y", "1") && stored("z", "1"));
    sound();
}

TEST(merge_asks_for_what_it_needs) {
    mcpsess_merge none = {NULL, NULL, false};
    job *j;
    start_active();
    j = job_of(0, "k", "v");
    CHECK_EQ(mcpsess_session_merge(NULL, &j->m, one, &rig.nobody, &j->how, j->mem, 9, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_merge(&rig.table, NULL, one, &rig.nobody, &j->how, j->mem, 9, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_merge(&rig.table, &j->m, one, NULL, &j->how, j->mem, 9, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_merge(&rig.table, &j->m, one, &rig.nobody, NULL, j->mem, 9, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_merge(&rig.table, &j->m, one, &rig.nobody, &none, j->mem, 9, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_merge(&rig.table, &j->m, one, &rig.nobody, &j->how, NULL, 9, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_session_merge(&rig.table, &j->m, MCPSESS_STR(""), &rig.nobody, &j->how, j->mem, 9, 0),
             MCPSESS_E_ID);
    CHECK_EQ(mcpsess_session_backend_expired(&rig.table, &j->m, one, &rig.nobody, NULL, one, j->mem, 9, 0),
             MCPSESS_E_ARG);
    CHECK_EQ(
        mcpsess_session_backend_expired(&rig.table, &j->m, one, &rig.nobody, &names, MCPSESS_STR(""), j->mem, 9, 0),
        MCPSESS_E_ARG);
    rig.net.hang = true;
    CHECK_EQ(begin(&rig.table, j), MCPSESS_PENDING);
    CHECK_EQ(begin(&rig.table, j), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_op_rc(&j->m.op), MCPSESS_PENDING);
    mcpsess_cancel(&j->m.op);
    sound();
}

/* ---- a backend expires ---- */

TEST(th42_05_two_replicas_expire_two_backends_and_lose_neither) {
    start_active();
    CHECK_EQ(expire(&other, job_of(1, NULL, NULL), "a"), MCPSESS_OK);
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "b"), MCPSESS_OK);
    CHECK(stored("ids", "c"));
    CHECK(loads("ids", "c", 0));
    CHECK_EQ(expire(&other, job_of(1, NULL, NULL), "c"), MCPSESS_OK);
    CHECK(stored("ids", ""));
    sound();
}

TEST(th42_05a_what_is_absent_terminated_or_without_a_list_is_left_alone) {
    start_with(MCPSESS_STATE_ACTIVE, NULL);
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    start_with(MCPSESS_STATE_TERMINATED, "a,b");
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    CHECK_EQ(rig.net.kinds[MCPSESS_PUT], 0);
    CHECK(stored("ids", "a,b"));
    CHECK_EQ(del_there(), MCPSESS_OK);
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    CHECK_EQ(at_store(), MCPSESS_MISS);
    sound();
}

TEST(th42_05e_a_backend_that_expires_brings_nothing_back) {
    start_active();
    CHECK_EQ(del_there(), MCPSESS_OK);
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    CHECK_EQ(rig.net.kinds[MCPSESS_PUT], 1);
    CHECK_EQ(at_store(), MCPSESS_MISS);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    sound();
}

TEST(th42_05e_nor_does_it_after_termination) {
    start_with(MCPSESS_STATE_PLACEHOLDER, "a,b");
    CHECK_EQ(terminate(&other, job_of(1, NULL, NULL)), MCPSESS_OK);
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    CHECK_EQ(state_at_store(), MCPSESS_STATE_TERMINATED);
    CHECK(stored("ids", "a,b"));
    sound();
}

TEST(th42_05f_its_error_is_returned_and_the_local_copy_stays) {
    start_active();
    rig.net.fail = MCPSESS_E_IO;
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_E_IO);
    CHECK(loads("ids", "a,b,c", 0));
    rig.net.fail = MCPSESS_OK;
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    CHECK(loads("ids", "b,c", 0));
    sound();
}

TEST(th42_05g_the_next_load_sees_it_and_an_object_is_made_anew) {
    mcpsess_record r;
    start_active();
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    CHECK(loads("ids", "b,c", 0));
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&rig.out), &r), MCPSESS_OK);
    CHECK_EQ(mcpsess_backends_check(&names, &r, MCPSESS_STR("a,b,c")), MCPSESS_STALE);
    sound();
}

TEST(backend_expired_twice_writes_once) {
    start_active();
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK);
    CHECK_EQ(rig.net.kinds[MCPSESS_PUT], 1);
    sound();
}

TEST(backend_that_was_back_elsewhere_is_expired_all_the_same) {
    char mem[RIG_RECORD_MAX];
    start_with(MCPSESS_STATE_ACTIVE, "b");
    CHECK_EQ(rig_put_at_store("1", record_of(mem, MCPSESS_STATE_ACTIVE, "a,b")), MCPSESS_OK);
    CHECK_EQ(expire(&rig.table, job_of(0, NULL, NULL), "a"), MCPSESS_OK); /* our copy has it no more, the store does */
    CHECK(stored("ids", "b"));
    sound();
}

TEST(backend_expired_with_the_connection_lost_is_seen_to) {
    unsigned done;
    for (done = 0; done < 2; done++) {
        job *j;
        int rc;
        start_active();
        rig.net.fail = MCPSESS_E_UNKNOWN;
        rig.net.fail_after = done != 0;
        rig.net.delay = 1;
        j = job_of(0, NULL, NULL);
        rc = mcpsess_session_backend_expired(&rig.table, &j->m, one, &rig.nobody, &names, MCPSESS_STR("b"), j->mem,
                                             sizeof j->mem, rig.now);
        rig.net.fail = MCPSESS_OK;
        CHECK_EQ(rig_end(&j->m.op, rc), MCPSESS_OK);
        CHECK(stored("ids", "a,c"));
        CHECK_EQ(rig.net.kinds[MCPSESS_PUT], done != 0 ? 1 : 2);
        sound();
    }
}

/* ---- placeholder, initialised, terminated ---- */

static int initialise(mcpsess_sessions *table, job *j, mcpsess_str *record) {
    j->how.merge = mcpsess_merge_initialise;
    j->how.user = record;
    return rig_end(&j->m.op, begin(table, j));
}

TEST(th42_01_a_placeholder_has_an_id_of_its_own) {
    char mem[RIG_RECORD_MAX];
    start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
    CHECK_EQ(rig_end(&rig.op,
                     mcpsess_session_create(&other, &rig.op, record_of(mem, MCPSESS_STATE_PLACEHOLDER, "x"), rig.now)),
             MCPSESS_EXISTS); /* then it takes another id */
    CHECK(stored("ids", NULL));
    sound();
}

TEST(th42_02_a_placeholder_is_initialised_once) {
    char mem[2][RIG_RECORD_MAX];
    mcpsess_str ours, theirs;
    start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
    ours = record_of(mem[0], MCPSESS_STATE_ACTIVE, "a");
    theirs = record_of(mem[1], MCPSESS_STATE_ACTIVE, "b");
    CHECK_EQ(initialise(&other, job_of(1, NULL, NULL), &theirs), MCPSESS_OK);
    CHECK_EQ(initialise(&rig.table, job_of(0, NULL, NULL), &ours), MCPSESS_EXISTS);
    CHECK(stored("ids", "b"));
    CHECK_EQ(state_at_store(), MCPSESS_STATE_ACTIVE);
    sound();
}

TEST(th42_02_one_that_ended_meanwhile_is_not_initialised) {
    char mem[RIG_RECORD_MAX];
    mcpsess_str record;
    start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
    record = record_of(mem, MCPSESS_STATE_ACTIVE, "a");
    CHECK_EQ(terminate(&other, job_of(1, NULL, NULL)), MCPSESS_OK);
    CHECK_EQ(initialise(&rig.table, job_of(0, NULL, NULL), &record), MCPSESS_MISS);
    CHECK_EQ(state_at_store(), MCPSESS_STATE_TERMINATED);
    CHECK_EQ(del_there(), MCPSESS_OK);
    CHECK_EQ(initialise(&rig.table, job_of(0, NULL, NULL), &record), MCPSESS_MISS);
    CHECK_EQ(at_store(), MCPSESS_MISS);
    sound();
}

TEST(merge_initialise_needs_a_record_and_room) {
    char mem[2][RIG_RECORD_MAX];
    mcpsess_str made = record_of(mem[0], MCPSESS_STATE_ACTIVE, "a,b"), broken = str_broken();
    mcpsess_buf b;
    mcpsess_buf_init(&b, mem[1], sizeof mem[1]);
    CHECK_EQ(mcpsess_merge_initialise(&made, &b), MCPSESS_E_FORMAT);
    b.len = record_of(mem[1], MCPSESS_STATE_PLACEHOLDER, NULL).len;
    CHECK_EQ(mcpsess_merge_initialise(NULL, &b), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_merge_initialise(&broken, &b), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_merge_initialise(&made, NULL), MCPSESS_E_ARG);
    b.cap = made.len - 1;
    CHECK_EQ(mcpsess_merge_initialise(&made, &b), MCPSESS_E_TOOBIG);
}

TEST(th42_04_a_placeholder_is_marked_terminated_and_keeps_its_time) {
    uint64_t left_ms = 0;
    start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
    rig.now += RIG_TTL / 4u;
    CHECK_EQ(terminate(&rig.table, job_of(0, NULL, NULL)), MCPSESS_OK);
    CHECK_EQ(state_at_store(), MCPSESS_STATE_TERMINATED);
    CHECK_EQ(rig_at_store("1", &left_ms), MCPSESS_OK);
    CHECK_EQ(left_ms, RIG_TTL);
    CHECK_EQ(terminate(&rig.table, job_of(0, NULL, NULL)), MCPSESS_OK); /* again */
    CHECK_EQ(rig.net.kinds[MCPSESS_PUT], 1);
    sound();
}

TEST(th42_04_an_initialised_session_is_deleted) {
    start_active();
    CHECK_EQ(terminate(&rig.table, job_of(0, NULL, NULL)), MCPSESS_OK);
    CHECK_EQ(at_store(), MCPSESS_MISS);
    CHECK_EQ(rig.net.kinds[MCPSESS_DEL], 1);
    CHECK_EQ(rig.net.submits, 1);
    CHECK_EQ(mcpsess_session_len(&rig.table), 0);
    CHECK_EQ(terminate(&rig.table, job_of(0, NULL, NULL)), MCPSESS_OK); /* unknown is no error */
    sound();
}

TEST(th42_04_one_that_is_initialised_meanwhile_is_deleted) {
    char mem[RIG_RECORD_MAX];
    mcpsess_str record;
    start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
    record = record_of(mem, MCPSESS_STATE_ACTIVE, "a");
    CHECK_EQ(initialise(&other, job_of(1, NULL, NULL), &record), MCPSESS_OK);
    CHECK_EQ(terminate(&rig.table, job_of(0, NULL, NULL)), MCPSESS_OK);
    CHECK_EQ(at_store(), MCPSESS_MISS);
    sound();
}

TEST(th42_04_one_that_cannot_be_marked_is_deleted) {
    job *j;
    int rc;
    start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
    rig.net.fail = MCPSESS_E_STORE - 6; /* out of memory, say */
    rig.net.delay = 1;
    j = job_of(0, NULL, NULL);
    rc = mcpsess_session_terminate(&rig.table, &j->m, one, &rig.nobody, j->mem, sizeof j->mem, rig.now);
    rig.net.fail = MCPSESS_OK;
    CHECK_EQ(rig_end(&j->m.op, rc), MCPSESS_OK);
    CHECK_EQ(at_store(), MCPSESS_MISS);
    start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
    rig.net.fail = MCPSESS_E_IO;
    CHECK_EQ(terminate(&rig.table, job_of(0, NULL, NULL)), MCPSESS_E_IO); /* nor that */
    CHECK_EQ(rig.net.kinds[MCPSESS_DEL], 1);
    CHECK_EQ(state_at_store(), MCPSESS_STATE_PLACEHOLDER);
    sound();
}

TEST(th42_04_with_the_connection_lost_it_is_seen_to) {
    unsigned done;
    for (done = 0; done < 2; done++) {
        job *j;
        int rc;
        start_with(MCPSESS_STATE_PLACEHOLDER, NULL);
        rig.net.fail = MCPSESS_E_UNKNOWN;
        rig.net.fail_after = done != 0;
        rig.net.delay = 1;
        j = job_of(0, NULL, NULL);
        rc = mcpsess_session_terminate(&rig.table, &j->m, one, &rig.nobody, j->mem, sizeof j->mem, rig.now);
        rig.net.fail = MCPSESS_OK;
        CHECK_EQ(rig_end(&j->m.op, rc), MCPSESS_OK);
        CHECK_EQ(state_at_store(), MCPSESS_STATE_TERMINATED);
        sound();
    }
}

TEST(th42_08_what_is_written_back_after_a_restore_finds_out_that_it_ended) {
    char mem[RIG_RECORD_MAX];
    start_active();
    CHECK_EQ(del_there(), MCPSESS_OK);
    CHECK_EQ(rig_end(&rig.op,
                     mcpsess_session_update(&rig.table, &rig.op, record_of(mem, MCPSESS_STATE_ACTIVE, "a"), rig.now)),
             MCPSESS_MISS);
    CHECK_EQ(at_store(), MCPSESS_MISS);
    sound();
}

void test_merge(void) {
    RUN(merge_of_a_fresh_local_copy_is_one_request);
    RUN(merge_without_a_local_copy_reads_first);
    RUN(merge_sends_its_write_in_the_call_that_begins_it);
    RUN(merge_takes_at_most_one_store_step_per_poll);
    RUN(merge_of_an_absent_session_calls_nobody);
    RUN(merge_by_a_stranger_finds_nothing);
    RUN(merge_may_refuse);
    RUN(merge_that_refuses_a_local_copy_is_called_with_what_the_store_has);
    RUN(merge_is_not_called_with_what_was_asked_for_before_it);
    RUN(merge_must_leave_a_record_of_this_session);
    RUN(merge_needs_room);
    RUN(merge_loses_nothing_of_another_replica);
    RUN(merge_that_loses_never_reads_the_copy_that_lost);
    RUN(merge_that_loses_overtakes_what_was_asked_for_before);
    RUN(merge_goes_on_until_it_wins);
    RUN(merge_that_always_loses_ends_in_time);
    RUN(merge_brings_nothing_back);
    RUN(merge_brings_nothing_back_that_ends_between_read_and_write);
    RUN(merge_overtakes_a_load_that_is_under_way);
    RUN(merge_that_fails_leaves_the_local_copy);
    RUN(merge_with_the_store_away_changes_no_copy_that_is_to_be_confirmed);
    RUN(merge_of_unknown_outcome_says_so);
    RUN(merge_that_repeats_sees_to_it);
    RUN(merge_that_repeats_and_cannot_says_what_is_unknown);
    RUN(merge_of_which_only_the_bytes_are_found_is_of_unknown_outcome);
    RUN(merge_meets_its_deadline);
    RUN(merge_has_one_deadline_for_all_steps);
    RUN(merge_given_up_frees_its_memory_at_once);
    RUN(merge_ends_with_its_table);
    RUN(merge_writes_through_two_lanes);
    RUN(merge_waits_in_line_for_two_lanes);
    RUN(merges_of_one_table_lose_nothing_of_each_other);
    RUN(merge_asks_for_what_it_needs);
    RUN(th42_05_two_replicas_expire_two_backends_and_lose_neither);
    RUN(th42_05a_what_is_absent_terminated_or_without_a_list_is_left_alone);
    RUN(th42_05e_a_backend_that_expires_brings_nothing_back);
    RUN(th42_05e_nor_does_it_after_termination);
    RUN(th42_05f_its_error_is_returned_and_the_local_copy_stays);
    RUN(th42_05g_the_next_load_sees_it_and_an_object_is_made_anew);
    RUN(backend_expired_twice_writes_once);
    RUN(backend_that_was_back_elsewhere_is_expired_all_the_same);
    RUN(backend_expired_with_the_connection_lost_is_seen_to);
    RUN(th42_01_a_placeholder_has_an_id_of_its_own);
    RUN(th42_02_a_placeholder_is_initialised_once);
    RUN(th42_02_one_that_ended_meanwhile_is_not_initialised);
    RUN(merge_initialise_needs_a_record_and_room);
    RUN(th42_04_a_placeholder_is_marked_terminated_and_keeps_its_time);
    RUN(th42_04_an_initialised_session_is_deleted);
    RUN(th42_04_one_that_is_initialised_meanwhile_is_deleted);
    RUN(th42_04_one_that_cannot_be_marked_is_deleted);
    RUN(th42_04_with_the_connection_lost_it_is_seen_to);
    RUN(th42_08_what_is_written_back_after_a_restore_finds_out_that_it_ended);
}
