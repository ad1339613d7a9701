#include "log_contract.h"

#define POLLS_MAX 100000uL
#define LEASE 10u /* units that a writer's lease lasts, where a test does not say otherwise */

static log_rig *rig;

/* the request and its answer */
static mcpsess_log_request q;
static mcpsess_log_limits limits; /* of every request; zeros after start */
static char out_mem[256];
static mcpsess_buf out;
static mcpsess_principal alice, bob, nobody;

/* who writes a log, and what it knows */
typedef struct hand {
    const char *session, *stream, *token;
    const mcpsess_principal *who; /* NULL: unguarded */
    uint64_t fence, epoch, last;
} hand;

static void start(void) {
    rig->reset(rig);
    memset(&limits, 0, sizeof limits);
    alice = principal("https://issuer.example", "alice");
    bob = principal("https://issuer.example", "bob");
    nobody = principal("", "");
}

static hand hand_of(const char *session, const char *stream, const char *token) {
    hand h;
    memset(&h, 0, sizeof h);
    h.session = session;
    h.stream = stream;
    h.token = token;
    return h;
}

static void request(uint8_t kind, const hand *h) {
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = mcpsess_str_z(h->session);
    q.request.guarded = h->who != NULL;
    if (h->who != NULL) q.request.owner = *h->who;
    q.log.stream =
        h->stream != NULL ? mcpsess_str_of(h->stream, mcpsess_str_z(h->stream).len) : mcpsess_str_of(NULL, 0);
    q.log.limits = &limits;
}

static int submit(void) {
    const mcpsess_store_class *c = rig->store.cls;
    uint32_t polls;
    int rc = c->submit(rig->store.self, &q.request, rig->now_ms);
    CHECK_EQ(rc, q.request.rc);
    for (polls = 0; q.request.rc == MCPSESS_PENDING && polls < POLLS_MAX; polls++) {
        c->poll(rig->store.self, rig->now_ms);
        if (q.request.rc == MCPSESS_PENDING && rig->idle != NULL) rig->idle(rig);
    }
    return q.request.rc;
}

static void pass(unsigned units) {
    rig->pass(rig, units * rig->unit_ms);
}

/* the answer says so many units are left: to the millisecond, or within one unit where the store's clock is not ours */
static bool left_is(unsigned units) {
    uint64_t want = units * rig->unit_ms;
    if (rig->exact) return q.request.left_ms == want;
    return q.request.left_ms <= want && q.request.left_ms + rig->unit_ms > want;
}

static int open_as(hand *h, bool fresh) {
    int rc;
    request(MCPSESS_LOG_OPEN, h);
    q.request.value = mcpsess_str_z(h->token);
    q.request.ttl_ms = LEASE * rig->unit_ms;
    q.log.fresh = fresh;
    rc = submit();
    if (rc != MCPSESS_OK) return rc;
    h->fence = q.log.writer;
    h->epoch = q.log.epoch;
    h->last = q.log.last;
    return rc;
}

static hand opened(const char *session, const char *stream) {
    hand h = hand_of(session, stream, "token");
    CHECK_EQ(open_as(&h, false), MCPSESS_OK);
    return h;
}

/* What stands for such data: a string, where they are JSON. Lives until the next call. */
static mcpsess_str data_of(const char *data) {
    static char mem[64];
    mcpsess_buf b;
    if (!rig->json) return mcpsess_str_z(data);
    mcpsess_buf_init(&b, mem, sizeof mem);
    mcpsess_buf_put_char(&b, '"');
    mcpsess_buf_put(&b, mcpsess_str_z(data));
    mcpsess_buf_put_char(&b, '"');
    return mcpsess_buf_str(&b);
}

/* A log that began anew counts from 0 where that is told by its epoch. */
static bool counts_from_0(uint64_t last) {
    return last == 0 || !rig->epochs;
}

/* An append as the hand's fence and epoch allow, of any sequence. */
static int append_at(const hand *h, uint64_t sequence, uint64_t confirmed, const char *data) {
    request(MCPSESS_LOG_APPEND, h);
    q.request.ttl_ms = LEASE * rig->unit_ms;
    q.log.writer = h->fence;
    q.log.epoch = h->epoch;
    q.log.sequence = sequence;
    q.log.confirmed = confirmed;
    q.log.event.data = data_of(data);
    return submit();
}

static int append(hand *h, const char *data) {
    int rc = append_at(h, h->last + 1, h->last, data);
    if (rc == MCPSESS_OK) h->last++;
    return rc;
}

static int set_at(const hand *h, uint64_t sequence, bool streaming, bool done) {
    request(MCPSESS_LOG_SET, h);
    q.request.ttl_ms = LEASE * rig->unit_ms;
    q.log.writer = h->fence;
    q.log.epoch = h->epoch;
    q.log.sequence = sequence;
    q.log.streaming = streaming;
    q.log.done = done;
    return submit();
}

static int set(const hand *h, bool streaming, bool done) {
    return set_at(h, h->last, streaming, done);
}

/* reads into `out`; ttl 0: leaves no trace */
static int range(const hand *h, uint64_t epoch, uint64_t after, uint32_t count, uint64_t ttl_ms) {
    request(MCPSESS_LOG_RANGE, h);
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    q.request.count = count;
    q.request.ttl_ms = ttl_ms;
    q.log.epoch = epoch;
    q.log.sequence = after;
    return submit();
}

static int after(const hand *h, uint64_t sequence) {
    return range(h, h->epoch, sequence, 0, 0);
}

static int state(const hand *h) {
    request(MCPSESS_LOG_STATE, h);
    return submit();
}

static int del(const hand *h) {
    request(MCPSESS_LOG_DEL, h);
    return submit();
}

/* Are these the events in `out`, by their data, with a comma behind each? */
static bool told(const char *want) {
    mcpsess_str frames = mcpsess_buf_str(&out), all = mcpsess_str_z(want);
    mcpsess_event e;
    uint32_t n = 0;
    size_t at = 0;
    int rc;
    while ((rc = mcpsess_event_take(&frames, &e)) == MCPSESS_OK) {
        if (rig->json) e.data = mcpsess_str_of(e.data.ptr + 1, e.data.len - 2u);
        if (e.data.len >= all.len - at || !same_bytes(all.ptr + at, e.data.ptr, e.data.len)) return false;
        at += e.data.len;
        if (all.ptr[at++] != ',') return false;
        n++;
    }
    return rc == MCPSESS_END && at == all.len && n == q.request.count;
}

/* Does the whole log hold these events, and no others? */
static bool holds(const hand *h, const char *want) {
    if (state(h) != MCPSESS_OK) return false;
    return range(h, q.log.epoch, q.log.first - 1, 0, 0) == MCPSESS_OK && told(want);
}

/* ---- open ---- */

TEST(log_absent_is_a_miss_for_every_kind) {
    hand h = hand_of("s", "1", "token");
    start();
    h.fence = 1;
    h.epoch = rig->epochs;
    CHECK_EQ(append_at(&h, 1, 0, "x"), MCPSESS_MISS);
    CHECK_EQ(set(&h, true, true), MCPSESS_MISS);
    CHECK_EQ(after(&h, 0), MCPSESS_MISS);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(state(&h), MCPSESS_MISS);
    CHECK_EQ(del(&h), MCPSESS_OK);
    CHECK_EQ(q.request.count, 0);
    CHECK_EQ(state(&h), MCPSESS_MISS); /* and none of them made it */
}

TEST(log_open_makes_an_empty_one) {
    hand h = hand_of("s", "1", "token");
    start();
    CHECK_EQ(open_as(&h, false), MCPSESS_OK);
    CHECK(left_is(LEASE));
    CHECK(q.log.last == 0 && q.log.streaming && !q.log.done);
    CHECK(h.fence != 0 && (h.epoch != 0) == rig->epochs);
    CHECK_EQ(state(&h), MCPSESS_OK);
    CHECK(q.log.epoch == h.epoch && q.log.first == 1 && q.log.last == 0 && q.log.streaming && !q.log.done);
    CHECK(left_is(LEASE));
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    CHECK(told(""));
    CHECK_EQ(after(&h, 1), MCPSESS_GAP);
}

TEST(log_opened_again_goes_on) {
    hand a, b = hand_of("s", "1", "other");
    start();
    a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    CHECK_EQ(set(&a, false, false), MCPSESS_OK);
    pass(LEASE);
    CHECK_EQ(open_as(&b, false), MCPSESS_OK);
    CHECK(b.fence > a.fence && b.epoch == a.epoch && b.last == 1);
    CHECK(!q.log.streaming);
    CHECK_EQ(append(&b, "two"), MCPSESS_OK);
    CHECK(holds(&b, "one,two,"));
}

TEST(log_opened_fresh_begins_anew) {
    hand a, b = hand_of("s", "1", "other");
    start();
    a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    CHECK_EQ(append(&a, "two"), MCPSESS_OK);
    CHECK_EQ(set(&a, false, true), MCPSESS_OK);
    CHECK_EQ(open_as(&b, true), MCPSESS_OK);
    CHECK(b.fence > a.fence && counts_from_0(b.last));
    CHECK(q.log.streaming && !q.log.done);
    CHECK(holds(&b, ""));
    CHECK(q.log.streaming && !q.log.done && counts_from_0(q.log.last));
    CHECK_EQ(append(&b, "uno"), MCPSESS_OK);
    if (!rig->epochs) return;
    CHECK(b.epoch > a.epoch);
    CHECK_EQ(after(&a, 0), MCPSESS_GAP);
    CHECK_EQ(after(&a, 1), MCPSESS_GAP);
    CHECK_EQ(after(&b, 0), MCPSESS_OK);
    CHECK(told("uno,"));
}

TEST(log_opened_by_its_own_token_is_the_same_writers) {
    hand a, b;
    start();
    b = a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    pass(LEASE / 2);
    CHECK_EQ(open_as(&b, false), MCPSESS_OK);
    CHECK(b.fence == a.fence && b.epoch == a.epoch && b.last == 1);
    CHECK(left_is(LEASE));
    CHECK_EQ(append(&a, "two"), MCPSESS_OK);
    CHECK_EQ(open_as(&b, true), MCPSESS_OK);
    CHECK(b.fence == a.fence && counts_from_0(b.last));
    if (rig->epochs) CHECK(b.epoch > a.epoch);
    CHECK(holds(&b, ""));
}

/* ---- one writer at a time ---- */

TEST(log_has_one_writer_at_a_time) {
    hand a, b = hand_of("s", "1", "other");
    start();
    a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    pass(4);
    CHECK_EQ(open_as(&b, false), MCPSESS_BUSY);
    CHECK(left_is(LEASE - 4));
    CHECK_EQ(open_as(&b, true), MCPSESS_BUSY);
    CHECK_EQ(state(&a), MCPSESS_OK);
    CHECK(left_is(LEASE - 4) && q.log.last == 1);
    CHECK_EQ(append(&a, "two"), MCPSESS_OK); /* an append renews it */
    CHECK(left_is(LEASE));
    pass(6);
    CHECK_EQ(open_as(&b, false), MCPSESS_BUSY);
    CHECK(left_is(LEASE - 6));
    CHECK_EQ(set(&a, true, false), MCPSESS_OK); /* and so does a set */
    pass(LEASE - 1);
    CHECK_EQ(open_as(&b, false), MCPSESS_BUSY);
    CHECK(left_is(1));
    CHECK_EQ(append(&a, "three"), MCPSESS_OK);
    CHECK(holds(&a, "one,two,three,"));
}

TEST(log_replaced_writer_writes_nothing) {
    hand a, b = hand_of("s", "1", "other");
    start();
    a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    pass(LEASE);
    CHECK_EQ(state(&a), MCPSESS_OK);
    CHECK_EQ(q.request.left_ms, 0);
    CHECK_EQ(open_as(&b, false), MCPSESS_OK);
    CHECK_EQ(append(&a, "two"), MCPSESS_FENCED);
    CHECK_EQ(append_at(&a, 1, 0, "one"), MCPSESS_FENCED); /* not even what it had written */
    CHECK_EQ(append_at(&a, 9, 9, "nine"), MCPSESS_FENCED);
    CHECK_EQ(set(&a, false, true), MCPSESS_FENCED);
    CHECK_EQ(set_at(&a, 9, false, true), MCPSESS_FENCED);
    CHECK_EQ(open_as(&a, false), MCPSESS_BUSY);
    CHECK_EQ(append(&b, "zwei"), MCPSESS_OK);
    CHECK(holds(&b, "one,zwei,"));
    CHECK(q.log.streaming && !q.log.done);
}

TEST(log_writer_whose_lease_ran_out_goes_on_if_nobody_came) {
    hand a, b = hand_of("s", "1", "other");
    start();
    a = opened("s", "1");
    pass(LEASE + 1);
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    CHECK_EQ(open_as(&b, false), MCPSESS_BUSY); /* and has its lease again */
    pass(LEASE + 1);
    CHECK_EQ(set(&a, false, false), MCPSESS_OK);
    CHECK_EQ(open_as(&b, false), MCPSESS_BUSY);
    CHECK(holds(&a, "one,"));
}

TEST(log_complete_one_takes_nothing_more) {
    hand a, b = hand_of("s", "1", "other");
    start();
    a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    CHECK_EQ(set(&a, true, true), MCPSESS_OK);
    CHECK_EQ(append_at(&a, 2, 1, "two"), MCPSESS_LOST);
    CHECK_EQ(append_at(&a, 1, 0, "one"), MCPSESS_DUP); /* sent again before the end was known */
    CHECK_EQ(set(&a, true, true), MCPSESS_OK);
    CHECK_EQ(set(&a, true, false), MCPSESS_OK); /* a repetition of something before the end */
    CHECK_EQ(state(&a), MCPSESS_OK);
    CHECK(q.log.done && q.log.last == 1 && q.request.left_ms == 0);
    CHECK(holds(&a, "one,"));
    CHECK(q.log.done);
    CHECK_EQ(open_as(&b, false), MCPSESS_END);
    CHECK_EQ(open_as(&a, false), MCPSESS_END);
    CHECK_EQ(open_as(&b, true), MCPSESS_OK); /* nobody has to wait for a lease */
    CHECK(holds(&b, ""));
}

TEST(log_mode_is_kept) {
    hand h;
    start();
    h = opened("s", "1");
    CHECK_EQ(set(&h, false, false), MCPSESS_OK);
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(after(&h, 1), MCPSESS_OK);
    CHECK(!q.log.streaming && !q.log.done);
    CHECK_EQ(set(&h, true, false), MCPSESS_OK);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    CHECK(q.log.streaming && !q.log.done);
}

/* ---- append ---- */

static bool appends_in_full(hand *h, const mcpsess_event *e) {
    char want_mem[64];
    mcpsess_buf want;
    mcpsess_buf_init(&want, want_mem, sizeof want_mem);
    if (mcpsess_event_put(e, &want) != MCPSESS_OK) return false;
    request(MCPSESS_LOG_APPEND, h);
    q.request.ttl_ms = LEASE * rig->unit_ms;
    q.log.writer = h->fence;
    q.log.epoch = h->epoch;
    q.log.sequence = h->last + 1;
    q.log.confirmed = h->last;
    q.log.event = *e;
    if (submit() != MCPSESS_OK) return false;
    h->last++;
    return after(h, h->last - 1) == MCPSESS_OK && mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_buf_str(&want));
}

TEST(log_events_come_back_as_they_were) {
    mcpsess_event e;
    hand h;
    start();
    if (rig->json) return;
    h = opened("s", "1");
    memset(&e, 0, sizeof e);
    CHECK(appends_in_full(&h, &e));
    e.type = MCPSESS_STR(MCPSESS_EVENT_PRIME);
    e.retry = true;
    CHECK(appends_in_full(&h, &e));
    e.retry_ms = UINT32_MAX;
    e.data = MCPSESS_STR("");
    CHECK(appends_in_full(&h, &e));
    e.retry = false;
    e.type = MCPSESS_STR("");
    e.data = MCPSESS_STR("{\"a\":[\"\\u0000\"]}\r\n\0\xff");
    CHECK(appends_in_full(&h, &e));
}

TEST(log_repeated_append_is_a_duplicate) {
    hand h;
    start();
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    CHECK_EQ(append_at(&h, 2, 1, "two"), MCPSESS_DUP);
    CHECK_EQ(append_at(&h, 2, 0, "two"), MCPSESS_DUP);
    CHECK_EQ(append_at(&h, 1, 0, "one"), MCPSESS_DUP);
    CHECK_EQ(q.log.last, 2);
    CHECK(holds(&h, "one,two,"));
    CHECK_EQ(append(&h, "two"), MCPSESS_OK); /* the same bytes, but not the same event */
    CHECK(holds(&h, "one,two,two,"));
}

TEST(log_other_bytes_under_a_sequence_are_lost) {
    hand h;
    start();
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    CHECK_EQ(append_at(&h, 2, 1, "tWo"), MCPSESS_LOST);
    CHECK_EQ(q.log.last, 2);
    CHECK_EQ(append_at(&h, 2, 1, "tw"), MCPSESS_LOST);
    CHECK_EQ(append_at(&h, 2, 1, "twoo"), MCPSESS_LOST);
    CHECK_EQ(append_at(&h, 1, 0, "two"), MCPSESS_LOST);
    CHECK_EQ(append_at(&h, 2, 1, "two"), MCPSESS_DUP);
    q.log.event.type = MCPSESS_STR("t");
    CHECK_EQ(submit(), MCPSESS_LOST);
    q.log.event.type = MCPSESS_STR("");
    q.log.event.retry = true;
    CHECK_EQ(submit(), MCPSESS_LOST);
    q.log.event.retry = false;
    q.log.event.data = mcpsess_str_of(NULL, 0);
    CHECK_EQ(submit(), MCPSESS_LOST);
    CHECK(holds(&h, "one,two,"));
}

TEST(log_hole_is_lost) {
    hand h;
    start();
    h = opened("s", "1");
    CHECK_EQ(append_at(&h, 2, 0, "two"), MCPSESS_LOST);
    CHECK_EQ(q.log.last, 0);
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append_at(&h, 3, 1, "three"), MCPSESS_LOST);
    CHECK_EQ(append_at(&h, (uint64_t)MCPSESS_SEQUENCE_MAX, 1, "last"), MCPSESS_LOST);
    CHECK_EQ(q.log.last, 1);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    CHECK(holds(&h, "one,two,"));
}

/* ---- what was lost ---- */

TEST(log_that_lost_what_was_confirmed_begins_anew) {
    hand h, old;
    start();
    if (!rig->epochs) return;
    old = h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append_at(&h, 4, 2, "four"), MCPSESS_LOST_TAIL);
    CHECK(q.log.epoch > h.epoch && q.log.last == 0);
    h.epoch = q.log.epoch;
    h.last = 0;
    CHECK(holds(&h, ""));
    CHECK_EQ(after(&old, 0), MCPSESS_GAP);
    CHECK_EQ(after(&old, 1), MCPSESS_GAP);
    CHECK_EQ(append(&h, "uno"), MCPSESS_OK);
    CHECK_EQ(append_at(&old, 4, 2, "four"), MCPSESS_LOST_TAIL); /* repeated: it takes nothing more */
    CHECK_EQ(q.log.epoch, h.epoch);
    CHECK_EQ(append_at(&old, 2, 1, "two"), MCPSESS_LOST_TAIL);
    CHECK_EQ(set_at(&old, 1, true, true), MCPSESS_LOST_TAIL);
    CHECK(holds(&h, "uno,"));
    CHECK(!q.log.done);
    CHECK_EQ(append(&h, "dos"), MCPSESS_OK);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    CHECK(told("uno,dos,"));
}

TEST(log_that_lost_what_was_confirmed_is_seen_by_set_too) {
    hand h;
    start();
    if (!rig->epochs) return;
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(set_at(&h, 0, true, false), MCPSESS_OK); /* less is known than there is: no harm */
    CHECK(holds(&h, "one,"));
    CHECK_EQ(set_at(&h, 2, true, true), MCPSESS_LOST_TAIL);
    CHECK(q.log.epoch > h.epoch);
    CHECK(!q.log.done); /* it is not what was to be completed */
    h.epoch = q.log.epoch;
    CHECK(holds(&h, ""));
    h.last = 0;
    CHECK_EQ(append(&h, "uno"), MCPSESS_OK);
}

TEST(log_of_another_epoch_takes_no_append) {
    hand a, b;
    start();
    if (!rig->epochs) return;
    b = a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    CHECK_EQ(open_as(&b, true), MCPSESS_OK); /* the same writer, anew: what it sent before may still arrive */
    CHECK_EQ(append(&a, "two"), MCPSESS_LOST_TAIL);
    CHECK(q.log.epoch == b.epoch && q.log.last == 0);
    CHECK_EQ(append_at(&a, 1, 0, "one"), MCPSESS_LOST_TAIL);
    CHECK_EQ(set(&a, true, true), MCPSESS_LOST_TAIL);
    CHECK(holds(&b, ""));
    CHECK(!q.log.done && q.log.epoch == b.epoch);
}

TEST(log_that_was_deleted_is_not_brought_back) {
    hand a, b = hand_of("s", "1", "other");
    start();
    a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    CHECK_EQ(append(&a, "two"), MCPSESS_OK);
    CHECK_EQ(del(&a), MCPSESS_OK);
    CHECK_EQ(q.request.count, 2);
    CHECK_EQ(append_at(&a, 3, 2, "three"), MCPSESS_MISS);
    CHECK_EQ(append_at(&a, 1, 0, "one"), MCPSESS_MISS);
    CHECK_EQ(set(&a, true, true), MCPSESS_MISS);
    CHECK_EQ(set_at(&a, 0, true, false), MCPSESS_MISS);
    CHECK_EQ(after(&a, 0), MCPSESS_MISS);
    CHECK_EQ(state(&a), MCPSESS_MISS);
    CHECK_EQ(open_as(&b, false), MCPSESS_OK); /* its lease is gone too */
    CHECK(b.fence > a.fence && counts_from_0(b.last));
    CHECK_EQ(append_at(&a, 1, 0, "one"), MCPSESS_FENCED);
    CHECK(holds(&b, ""));
    if (!rig->epochs) return;
    CHECK(b.epoch > a.epoch);
    CHECK_EQ(after(&a, 0), MCPSESS_GAP);
    CHECK_EQ(after(&a, 2), MCPSESS_GAP);
}

/* ---- range ---- */

TEST(log_positions_are_told_from_others) {
    hand h, other;
    start();
    limits.events = 3;
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    CHECK_EQ(append(&h, "three"), MCPSESS_OK);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    CHECK(told("one,two,three,"));
    CHECK_EQ(after(&h, 2), MCPSESS_OK);
    CHECK(told("three,"));
    CHECK(q.log.epoch == h.epoch && q.log.last == 3 && q.log.streaming && !q.log.done);
    CHECK_EQ(q.log.first, rig->apart ? 3 : 1);
    CHECK(left_is(LEASE));
    CHECK_EQ(after(&h, 3), MCPSESS_OK);
    CHECK(told(""));
    CHECK_EQ(after(&h, 4), MCPSESS_GAP); /* not yet: another log's, or this one has lost it */
    CHECK_EQ(after(&h, (uint64_t)MCPSESS_SEQUENCE_MAX), MCPSESS_GAP);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(range(&h, 0, 1, 0, 0), MCPSESS_OK); /* whatever epoch there is */
    CHECK(told("two,three,"));
    if (rig->epochs) {
        other = h;
        other.epoch = h.epoch + 1;
        CHECK_EQ(after(&other, 1), MCPSESS_GAP);
        CHECK_EQ(after(&other, 3), MCPSESS_GAP);
        other.epoch = h.epoch - 1;
        if (other.epoch != 0) CHECK_EQ(after(&other, 1), MCPSESS_GAP);
        CHECK_EQ(q.log.epoch, h.epoch); /* a GAP says what there is */
    }
    if (!rig->bounds) return;
    CHECK_EQ(append(&h, "four"), MCPSESS_OK);
    CHECK_EQ(append(&h, "five"), MCPSESS_OK);
    CHECK_EQ(after(&h, 0), MCPSESS_GAP);
    CHECK_EQ(after(&h, 1), MCPSESS_GAP); /* what follows is not all there */
    CHECK_EQ(out.len, 0);
    CHECK(q.log.first == 3 && q.log.last == 5);
    CHECK_EQ(after(&h, 2), MCPSESS_OK);
    CHECK(told("three,four,five,"));
    CHECK_EQ(append_at(&h, 1, 0, "one"), MCPSESS_DUP); /* it was written; by whom else */
}

TEST(log_range_counts_and_pages) {
    hand h;
    start();
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    CHECK_EQ(append(&h, "three"), MCPSESS_OK);
    CHECK_EQ(range(&h, h.epoch, 0, 1, 0), MCPSESS_OK);
    CHECK(told("one,") && q.log.last == 3);
    CHECK_EQ(range(&h, h.epoch, 1, 2, 0), MCPSESS_OK);
    CHECK(told("two,three,"));
    CHECK_EQ(range(&h, h.epoch, 2, 2, 0), MCPSESS_OK);
    CHECK(told("three,"));
    CHECK_EQ(range(&h, h.epoch, 0, UINT32_MAX, 0), MCPSESS_OK);
    CHECK(told("one,two,three,"));
    request(MCPSESS_LOG_RANGE, &h); /* behind what is there already */
    q.request.out = &out;
    q.request.count = 1;
    q.log.epoch = h.epoch;
    q.log.sequence = 2;
    CHECK_EQ(submit(), MCPSESS_OK);
    q.request.count = 4;
    CHECK(told("one,two,three,three,"));
}

TEST(log_range_needs_room_for_one_event) {
    const size_t bytes = 9; /* of each */
    size_t cap;
    hand h;
    start();
    if (rig->json) return;
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    for (cap = 0; cap <= 2 * bytes; cap++) {
        memset(out_mem, '#', sizeof out_mem);
        request(MCPSESS_LOG_RANGE, &h);
        mcpsess_buf_init(&out, out_mem, cap + 1);
        mcpsess_buf_put_char(&out, '>');
        q.request.out = &out;
        q.log.epoch = h.epoch;
        CHECK_EQ(submit(), cap < bytes ? MCPSESS_E_TOOBIG : MCPSESS_OK);
        CHECK_EQ(q.request.count, cap / bytes);
        if (cap < bytes) CHECK_EQ(q.request.need, bytes);
        CHECK_EQ(out.len, 1 + cap / bytes * bytes);
        CHECK(!out.overflow && out_mem[0] == '>' && out_mem[cap + 1] == '#');
    }
}

/* ---- bounds ---- */

TEST(log_keeps_to_its_bound_of_bytes) {
    hand h;
    start();
    if (!rig->bounds) return;
    limits.bytes = 40;
    h = opened("s", "1");
    CHECK_EQ(append(&h, "1234"), MCPSESS_OK); /* 10 bytes */
    CHECK_EQ(append(&h, "2345"), MCPSESS_OK);
    CHECK_EQ(append(&h, "3456"), MCPSESS_OK);
    CHECK_EQ(append(&h, "4567"), MCPSESS_OK);
    CHECK(holds(&h, "1234,2345,3456,4567,"));
    CHECK_EQ(append(&h, "5"), MCPSESS_OK);
    CHECK(holds(&h, "2345,3456,4567,5,"));
    CHECK_EQ(append(&h, "678"), MCPSESS_OK); /* 3 of them leave just enough */
    CHECK(holds(&h, "3456,4567,5,678,"));
    CHECK_EQ(append(&h, "0123456789012345678901234567890123"), MCPSESS_OK); /* 40 bytes: alone */
    CHECK(holds(&h, "0123456789012345678901234567890123,"));
    CHECK(q.log.first == 7 && q.log.last == 7);
}

TEST(log_too_large_an_event_drops_nothing) {
    hand h;
    start();
    if (!rig->bounds) return;
    limits.bytes = 30;
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "1234567890123456789012345"), MCPSESS_E_TOOBIG);
    CHECK_EQ(q.request.need, 31);
    CHECK(holds(&h, "one,"));
    CHECK_EQ(append(&h, "123456789012345678901234"), MCPSESS_OK);
    CHECK(holds(&h, "123456789012345678901234,"));
}

TEST(log_smaller_bounds_hold_from_the_next_append_on) {
    hand h;
    start();
    if (!rig->bounds) return;
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    CHECK_EQ(append(&h, "three"), MCPSESS_OK);
    limits.events = 1;
    CHECK_EQ(append(&h, "four"), MCPSESS_OK);
    CHECK(holds(&h, "four,"));
    CHECK_EQ(append(&h, "five"), MCPSESS_OK);
    CHECK(holds(&h, "five,"));
    CHECK_EQ(after(&h, 4), MCPSESS_OK);
    CHECK_EQ(after(&h, 3), MCPSESS_GAP);
}

/* ---- time ---- */

static void ttls(unsigned event_ttl, unsigned event_max, unsigned log_ttl, unsigned log_max) {
    limits.event_ttl_ms = event_ttl * rig->unit_ms;
    limits.event_max_ms = event_max * rig->unit_ms;
    limits.log_ttl_ms = log_ttl * rig->unit_ms;
    limits.log_max_ms = log_max * rig->unit_ms;
}

TEST(log_event_that_is_too_old_is_a_gap) {
    hand h;
    start();
    if (!rig->ages) return;
    ttls(100, 10, 100, 100);
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    pass(4);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    pass(5);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    CHECK(told("one,two,"));
    pass(1);
    CHECK_EQ(after(&h, 0), MCPSESS_GAP);
    CHECK(q.log.first == 2 && q.log.last == 2);
    CHECK_EQ(after(&h, 1), MCPSESS_OK);
    CHECK(told("two,"));
    CHECK_EQ(append(&h, "three"), MCPSESS_OK);
    CHECK(holds(&h, "two,three,"));
    pass(4);
    CHECK(holds(&h, "three,"));
    pass(6);
    CHECK(holds(&h, ""));
    CHECK(q.log.first == 4 && q.log.last == 3);
    CHECK_EQ(after(&h, 2), MCPSESS_GAP);
    CHECK_EQ(append(&h, "four"), MCPSESS_OK);
    CHECK(holds(&h, "four,"));
}

TEST(log_outlives_its_events) {
    hand h;
    start();
    ttls(10, 100, 20, 100);
    if (rig->apart) return;
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    pass(8);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK); /* all of them live on */
    pass(9);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    CHECK(told("one,two,"));
    pass(1);
    CHECK_EQ(after(&h, 0), MCPSESS_GAP);
    CHECK_EQ(after(&h, 1), MCPSESS_GAP);
    CHECK_EQ(after(&h, 2), MCPSESS_OK); /* who has seen all has missed nothing */
    CHECK(told(""));
    CHECK(q.log.first == 3 && q.log.last == 2 && q.log.epoch == h.epoch);
    CHECK_EQ(append(&h, "three"), MCPSESS_OK);
    CHECK(holds(&h, "three,"));
    CHECK_EQ(after(&h, 1), MCPSESS_GAP);
    CHECK_EQ(after(&h, 2), MCPSESS_OK);
    pass(10);
    CHECK_EQ(del(&h), MCPSESS_OK);
    CHECK_EQ(q.request.count, 0);
}

TEST(log_outlives_its_events_also_under_smaller_limits) {
    hand h;
    start();
    if (rig->apart) return;
    ttls(40, 100, 40, 100);
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    ttls(5, 100, 5, 100);
    CHECK_EQ(set(&h, true, true), MCPSESS_OK);
    CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_OK);
    pass(39);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    CHECK(told("one,"));
    CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_OK); /* 5 again */
    pass(4);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    pass(1);
    CHECK_EQ(after(&h, 0), MCPSESS_MISS);
}

TEST(log_replay_makes_nothing_live_shorter) {
    hand h;
    start();
    ttls(60, 100, 60, 100);
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    ttls(5, 100, 60, 100);
    pass(
        31); /* 29 are left: of the log that is less than half, and of the events more than this reader would ask for */
    CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_OK);
    pass(28);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    CHECK(told("one,"));
    start();
    ttls(10, 100, 60, 100);
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    ttls(10, 100, 10, 100);
    pass(6); /* and the other way round */
    CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_OK);
    pass(53);
    CHECK_EQ(state(&h), MCPSESS_OK);
}

TEST(log_begun_anew_owes_nothing_to_what_it_was) {
    hand h;
    start();
    ttls(40, 100, 40, 100);
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    ttls(5, 5, 5, 5);
    CHECK_EQ(set(&h, true, false), MCPSESS_OK); /* it lives as long as its event */
    pass(20);
    CHECK_EQ(state(&h), MCPSESS_OK);
    CHECK_EQ(open_as(&h, true), MCPSESS_OK); /* now it has none */
    pass(4);
    CHECK_EQ(state(&h), MCPSESS_OK);
    pass(1);
    CHECK_EQ(state(&h), MCPSESS_MISS);
}

TEST(log_replay_keeps_it_only_when_less_than_half_is_left) {
    hand h;
    start();
    ttls(20, 100, 60, 100);
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    pass(9); /* 11 are left */
    CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_OK);
    pass(10);
    CHECK_EQ(after(&h, 0), MCPSESS_OK);
    pass(1);
    CHECK_EQ(after(&h, 0), MCPSESS_GAP);
    CHECK_EQ(append(&h, "two"), MCPSESS_OK);
    pass(12); /* 8 are left */
    CHECK_EQ(after(&h, 1), MCPSESS_OK);
    CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_GAP); /* neither of these keeps it */
    CHECK_EQ(state(&h), MCPSESS_OK);
    pass(7);
    CHECK_EQ(range(&h, h.epoch, 1, 0, 1), MCPSESS_OK); /* this one does: 20 again */
    pass(19);
    CHECK_EQ(after(&h, 1), MCPSESS_OK);
    CHECK(told("two,"));
    pass(1);
    CHECK_EQ(after(&h, 1), MCPSESS_GAP);
}

TEST(log_without_events_is_kept_by_the_same_rule) {
    hand h;
    start();
    ttls(10, 100, 20, 100);
    h = opened("s", "1");
    pass(9); /* 11 are left */
    CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_OK);
    pass(10);
    CHECK_EQ(state(&h), MCPSESS_OK);
    pass(1);
    CHECK_EQ(state(&h), MCPSESS_MISS);
    CHECK_EQ(open_as(&h, false), MCPSESS_OK);
    pass(12); /* 8 are left */
    CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_OK);
    pass(19);
    CHECK_EQ(state(&h), MCPSESS_OK);
    pass(1);
    CHECK_EQ(state(&h), MCPSESS_MISS);
}

TEST(log_that_expired_is_absent) {
    hand a, b = hand_of("s", "1", "other");
    start();
    ttls(10, 100, 20, 100);
    a = opened("s", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    pass(19);
    CHECK_EQ(state(&a), MCPSESS_OK);
    CHECK_EQ(set(&a, true, false), MCPSESS_OK); /* written: 20 again */
    pass(19);
    CHECK_EQ(state(&a), MCPSESS_OK);
    pass(1);
    CHECK_EQ(state(&a), MCPSESS_MISS);
    CHECK_EQ(after(&a, 1), MCPSESS_MISS);
    CHECK_EQ(append(&a, "two"), MCPSESS_MISS);
    CHECK_EQ(open_as(&b, false), MCPSESS_OK);
    CHECK(counts_from_0(b.last) && b.fence > a.fence);
    if (!rig->epochs) return;
    CHECK(b.epoch > a.epoch);
    CHECK_EQ(after(&a, 0), MCPSESS_GAP);
    CHECK_EQ(after(&a, 1), MCPSESS_GAP);
}

TEST(log_ends_when_it_may_be_no_older) {
    hand h;
    start();
    ttls(5, 5, 30, 10);
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    pass(9);
    CHECK_EQ(state(&h), MCPSESS_OK);
    pass(1);
    CHECK_EQ(state(&h), MCPSESS_MISS);
}

TEST(log_that_is_only_read_ends_some_time) {
    hand h;
    unsigned n;
    start();
    ttls(10, 45, 10, 45);
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    for (n = 0; n < 7; n++) {
        pass(6);
        CHECK_EQ(range(&h, h.epoch, 0, 0, 1), MCPSESS_OK);
        CHECK(told("one,"));
    }
    pass(2); /* 44 */
    CHECK_EQ(state(&h), MCPSESS_OK);
    pass(1);
    CHECK_EQ(state(&h), MCPSESS_MISS);
    CHECK_EQ(after(&h, 0), MCPSESS_MISS);
}

/* ---- whose ---- */

TEST(log_of_another_is_absent_for_every_kind) {
    hand a, b;
    start();
    if (!rig->owners) return;
    a = hand_of("s", "1", "token");
    a.who = &alice;
    CHECK_EQ(open_as(&a, false), MCPSESS_OK);
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    b = a;
    for (b.who = &bob;; b.who = &nobody) {
        CHECK_EQ(open_as(&b, false), MCPSESS_MISS);
        CHECK_EQ(open_as(&b, true), MCPSESS_MISS);
        CHECK_EQ(append(&b, "two"), MCPSESS_MISS); /* with the right fence, epoch and sequence */
        CHECK_EQ(append_at(&b, 9, 9, "two"), MCPSESS_MISS);
        CHECK_EQ(set(&b, false, true), MCPSESS_MISS);
        CHECK_EQ(after(&b, 0), MCPSESS_MISS);
        CHECK_EQ(out.len, 0);
        CHECK_EQ(after(&b, 7), MCPSESS_MISS);
        CHECK_EQ(state(&b), MCPSESS_MISS);
        CHECK(q.log.first == 0 && q.log.last == 0 && q.request.left_ms == 0);
        CHECK_EQ(del(&b), MCPSESS_OK);
        CHECK(q.request.count == 0 && q.log.epoch == 0 && q.log.last == 0);
        if (b.who == &nobody) break;
    }
    CHECK(holds(&a, "one,"));
    CHECK(q.log.streaming && !q.log.done);
    b.who = NULL; /* unguarded: sees everybody's */
    CHECK(holds(&b, "one,"));
    CHECK_EQ(open_as(&b, false), MCPSESS_OK); /* and writes it, but it stays alice's */
    CHECK(holds(&a, "one,"));
    b.who = &bob;
    if (rig->deletes_all) {
        b.stream = NULL;
        CHECK_EQ(del(&b), MCPSESS_OK);
        CHECK_EQ(q.request.count, 0);
        b.stream = "1";
        CHECK(holds(&a, "one,"));
    }
    CHECK_EQ(del(&a), MCPSESS_OK);
    CHECK_EQ(open_as(&b, false), MCPSESS_OK); /* now the name is free */
    CHECK_EQ(state(&a), MCPSESS_MISS);
}

TEST(log_of_nobody_is_not_everybodys) {
    hand a, b;
    start();
    if (!rig->owners) return;
    a = hand_of("s", "1", "token");
    a.who = &nobody;
    CHECK_EQ(open_as(&a, false), MCPSESS_OK);
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    b = a;
    b.who = &alice;
    CHECK_EQ(open_as(&b, true), MCPSESS_MISS);
    CHECK_EQ(after(&b, 0), MCPSESS_MISS);
    CHECK(holds(&a, "one,"));
}

static hand raw_hand;
static mcpsess_str raw_stream;

/* names that no terminated string can hold */
static void raw_request(uint8_t kind) {
    request(kind, &raw_hand);
    q.log.stream = raw_stream;
    q.request.ttl_ms = LEASE * rig->unit_ms;
    q.request.value = MCPSESS_STR("token");
}

TEST(log_names_are_raw_bytes) {
    static const mcpsess_str names[] = {LIT("a"), LIT("a\0"), LIT("{a}"), LIT(":1"), LIT(""), LIT("\xff\r\n*")};
    char data[2] = "";
    unsigned i;
    start();
    raw_hand = hand_of("s", "", "token");
    for (i = 0; i < COUNT_OF(names) - rig->utf8; i++) {
        raw_stream = names[i];
        raw_request(MCPSESS_LOG_OPEN);
        CHECK_EQ(submit(), MCPSESS_OK);
        CHECK_EQ(q.log.last, 0);
        raw_hand.fence = q.log.writer;
        raw_hand.epoch = q.log.epoch;
        raw_request(MCPSESS_LOG_APPEND);
        q.log.writer = raw_hand.fence;
        q.log.epoch = raw_hand.epoch;
        q.log.sequence = 1;
        data[0] = (char)('0' + i);
        q.log.event.data = data_of(data);
        CHECK_EQ(submit(), MCPSESS_OK);
    }
    for (i = 0; i < COUNT_OF(names) - rig->utf8; i++) {
        char want[] = {(char)('0' + i), ',', '\0'};
        raw_stream = names[i];
        raw_request(MCPSESS_LOG_RANGE);
        mcpsess_buf_init(&out, out_mem, sizeof out_mem);
        q.request.out = &out;
        CHECK_EQ(submit(), MCPSESS_OK);
        CHECK(told(want));
    }
}

TEST(log_belongs_to_one_stream_of_one_session) {
    static const char *const names[][2] = {{"a", "bc"}, {"ab", "c"}, {"a", "b"}, {"{a}", "b"}, {"abc", ""}, {"b", "a"}};
    hand h[COUNT_OF(names)];
    unsigned i;
    start();
    for (i = 0; i < COUNT_OF(names); i++) {
        char data[] = {(char)('0' + i), '\0'};
        h[i] = opened(names[i][0], names[i][1]);
        CHECK_EQ(h[i].last, 0);
        CHECK_EQ(append(&h[i], data), MCPSESS_OK);
    }
    for (i = 0; i < COUNT_OF(names); i++) {
        char want[] = {(char)('0' + i), ',', '\0'};
        CHECK(holds(&h[i], want));
    }
    if (!rig->epochs) return;
    h[0].stream = "b"; /* an id of one stream, asked of another */
    CHECK_EQ(after(&h[0], 1), MCPSESS_GAP);
}

/* ---- delete ---- */

TEST(log_delete_of_one_leaves_the_others) {
    hand a, b, c;
    start();
    a = opened("s", "1");
    b = opened("s", "2");
    c = opened("t", "1");
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    CHECK_EQ(append(&a, "two"), MCPSESS_OK);
    CHECK_EQ(append(&b, "eins"), MCPSESS_OK);
    CHECK_EQ(append(&c, "uno"), MCPSESS_OK);
    CHECK_EQ(del(&a), MCPSESS_OK);
    CHECK_EQ(q.request.count, 2);
    CHECK_EQ(del(&a), MCPSESS_OK);
    CHECK_EQ(q.request.count, 0);
    CHECK_EQ(state(&a), MCPSESS_MISS);
    CHECK(holds(&b, "eins,"));
    CHECK(holds(&c, "uno,"));
    CHECK_EQ(append(&b, "zwei"), MCPSESS_OK);
}

TEST(log_delete_of_a_session_takes_all_of_its_streams) {
    hand h[5], all = hand_of("s", NULL, "token");
    unsigned i;
    start();
    if (!rig->deletes_all) return;
    h[0] = opened("s", "1");
    h[1] = opened("s", "");
    h[2] = opened("s", "s:1");
    h[3] = opened("s1", "");
    h[4] = opened("ss", "1");
    for (i = 0; i < 5; i++) CHECK_EQ(append(&h[i], "one"), MCPSESS_OK);
    CHECK_EQ(append(&h[0], "two"), MCPSESS_OK);
    CHECK_EQ(del(&all), MCPSESS_OK);
    CHECK_EQ(q.request.count, 4);
    for (i = 0; i < 3; i++) {
        CHECK_EQ(state(&h[i]), MCPSESS_MISS);
        CHECK_EQ(append(&h[i], "three"), MCPSESS_MISS);
    }
    CHECK(holds(&h[3], "one,"));
    CHECK(holds(&h[4], "one,"));
    CHECK_EQ(del(&all), MCPSESS_OK);
    CHECK_EQ(q.request.count, 0);
}

TEST(log_delete_of_a_session_takes_one_principals) {
    hand a, b, all;
    start();
    if (!rig->deletes_all || !rig->owners) return;
    a = hand_of("s", "1", "token");
    a.who = &alice;
    b = hand_of("s", "2", "token");
    b.who = &bob;
    CHECK_EQ(open_as(&a, false), MCPSESS_OK);
    CHECK_EQ(open_as(&b, false), MCPSESS_OK);
    CHECK_EQ(append(&a, "one"), MCPSESS_OK);
    CHECK_EQ(append(&b, "eins"), MCPSESS_OK);
    all = a;
    all.stream = NULL;
    CHECK_EQ(del(&all), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
    CHECK_EQ(state(&a), MCPSESS_MISS);
    CHECK(holds(&b, "eins,"));
}

/* ---- what is no request ---- */

TEST(log_numbers_over_their_bound_are_refused) {
    const uint64_t most = (uint64_t)MCPSESS_SEQUENCE_MAX;
    hand h, bad;
    start();
    bad = h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append_at(&h, most + 1, 1, "x"), MCPSESS_E_ARG);
    CHECK_EQ(append_at(&h, UINT64_MAX, 1, "x"), MCPSESS_E_ARG);
    CHECK_EQ(append_at(&h, 2, most + 1, "x"), MCPSESS_E_ARG);
    CHECK_EQ(append_at(&h, 0, 0, "x"), MCPSESS_E_ARG);
    CHECK_EQ(set_at(&h, UINT64_MAX, true, true), MCPSESS_E_ARG);
    CHECK_EQ(after(&h, UINT64_MAX), MCPSESS_E_ARG);
    bad.epoch = most + 1;
    CHECK_EQ(after(&bad, 0), MCPSESS_E_ARG);
    CHECK(holds(&h, "one,"));
    if (!rig->epochs) return;
    bad.epoch = most;
    CHECK_EQ(after(&bad, 0), MCPSESS_GAP);
    CHECK_EQ(append_at(&h, most, most, "x"), MCPSESS_LOST_TAIL);
}

TEST(log_requests_that_lack_something_are_refused) {
    char name[MCPSESS_STREAM_MAX + 1u], session[MCPSESS_ID_MAX + 1u];
    hand h, full;
    start();
    h = opened("s", "1");
    request(MCPSESS_LOG_OPEN, &h);
    q.request.ttl_ms = rig->unit_ms;
    CHECK_EQ(submit(), MCPSESS_E_ARG); /* no token */
    request(MCPSESS_LOG_OPEN, &h);
    q.request.value = MCPSESS_STR("token");
    CHECK_EQ(submit(), MCPSESS_E_ARG); /* no lease */
    request(MCPSESS_LOG_OPEN, &h);
    q.request.ttl_ms = rig->unit_ms;
    q.request.value = MCPSESS_STR("123456789012345678901234567890123");
    CHECK_EQ(submit(), MCPSESS_E_TOOBIG);
    request(MCPSESS_LOG_RANGE, &h);
    CHECK_EQ(submit(), MCPSESS_E_ARG); /* no out */
    full = hand_of("", "1", "token");
    CHECK_EQ(open_as(&full, false), MCPSESS_E_ARG); /* no session */
    request(MCPSESS_LOG_SET, &h);
    CHECK_EQ(submit(), MCPSESS_E_ARG); /* no lease */
    request(MCPSESS_LOG_APPEND, &h);
    q.log.sequence = 1;
    CHECK_EQ(submit(), MCPSESS_E_ARG); /* no lease */
    request(MCPSESS_LOG_OPEN, &h);
    q.request.ttl_ms = rig->unit_ms;
    q.request.value = str_broken();
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    request(MCPSESS_LOG_STATE, &h);
    q.request.key = str_broken();
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    q.request.key = str_fill(session, 's', sizeof session);
    CHECK_EQ(submit(), MCPSESS_E_TOOBIG);
    request(MCPSESS_LOG_STATE, &h);
    q.request.guarded = true;
    q.request.owner.subject = str_broken();
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    request(MCPSESS_LOG_STATE, &h);
    q.log.stream = str_broken();
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    q.log.stream = str_fill(name, 'n', sizeof name);
    CHECK_EQ(submit(), MCPSESS_E_TOOBIG);
    q.log.stream = str_head(q.log.stream, MCPSESS_STREAM_MAX);
    CHECK_EQ(submit(), MCPSESS_MISS);
    CHECK(holds(&h, ""));
}

TEST(log_events_that_sse_cannot_carry_are_refused) {
    static char type[256];
    hand h;
    start();
    h = opened("s", "1");
    CHECK_EQ(append(&h, "one"), MCPSESS_OK);
    CHECK_EQ(append_at(&h, 2, 1, "two"), MCPSESS_OK);
    q.log.sequence = 3;
    q.log.event.type = MCPSESS_STR("a\rb");
    CHECK_EQ(submit(), MCPSESS_E_FORMAT);
    q.log.event.type = MCPSESS_STR("a\nb");
    CHECK_EQ(submit(), MCPSESS_E_FORMAT);
    q.log.event.type = MCPSESS_STR("a\0");
    CHECK_EQ(submit(), MCPSESS_E_FORMAT);
    q.log.event.type = str_fill(type, 't', sizeof type);
    CHECK_EQ(submit(), MCPSESS_E_TOOBIG);
    q.log.event.type = str_broken();
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    q.log.event.type = MCPSESS_STR("");
    q.log.event.data = str_broken();
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    CHECK(holds(&h, "one,two,"));
}

TEST(log_closed_store_refuses_everything) {
    hand h;
    start();
    if (!rig->closes) return;
    h = opened("s", "1");
    rig->store.cls->close(rig->store.self);
    CHECK_EQ(append(&h, "one"), MCPSESS_E_CLOSED);
    CHECK_EQ(after(&h, 0), MCPSESS_E_CLOSED);
    CHECK_EQ(open_as(&h, true), MCPSESS_E_CLOSED);
    CHECK_EQ(state(&h), MCPSESS_E_CLOSED);
    CHECK_EQ(set(&h, true, true), MCPSESS_E_CLOSED);
    CHECK_EQ(del(&h), MCPSESS_E_CLOSED);
}

static void writer_contract(void) {
    RUN(log_absent_is_a_miss_for_every_kind);
    RUN(log_open_makes_an_empty_one);
    RUN(log_opened_again_goes_on);
    RUN(log_opened_fresh_begins_anew);
    RUN(log_opened_by_its_own_token_is_the_same_writers);
    RUN(log_has_one_writer_at_a_time);
    RUN(log_replaced_writer_writes_nothing);
    RUN(log_writer_whose_lease_ran_out_goes_on_if_nobody_came);
    RUN(log_complete_one_takes_nothing_more);
    RUN(log_mode_is_kept);
    RUN(log_events_come_back_as_they_were);
    RUN(log_repeated_append_is_a_duplicate);
    RUN(log_other_bytes_under_a_sequence_are_lost);
    RUN(log_hole_is_lost);
    RUN(log_that_lost_what_was_confirmed_begins_anew);
    RUN(log_that_lost_what_was_confirmed_is_seen_by_set_too);
    RUN(log_of_another_epoch_takes_no_append);
    RUN(log_that_was_deleted_is_not_brought_back);
}

void log_contract(log_rig *under_test) {
    rig = under_test;
    writer_contract();
    RUN(log_positions_are_told_from_others);
    RUN(log_range_counts_and_pages);
    RUN(log_range_needs_room_for_one_event);
    RUN(log_keeps_to_its_bound_of_bytes);
    RUN(log_too_large_an_event_drops_nothing);
    RUN(log_smaller_bounds_hold_from_the_next_append_on);
    RUN(log_event_that_is_too_old_is_a_gap);
    RUN(log_outlives_its_events);
    RUN(log_outlives_its_events_also_under_smaller_limits);
    RUN(log_replay_makes_nothing_live_shorter);
    RUN(log_begun_anew_owes_nothing_to_what_it_was);
    RUN(log_replay_keeps_it_only_when_less_than_half_is_left);
    RUN(log_without_events_is_kept_by_the_same_rule);
    RUN(log_that_expired_is_absent);
    RUN(log_ends_when_it_may_be_no_older);
    RUN(log_that_is_only_read_ends_some_time);
    RUN(log_of_another_is_absent_for_every_kind);
    RUN(log_of_nobody_is_not_everybodys);
    RUN(log_names_are_raw_bytes);
    RUN(log_belongs_to_one_stream_of_one_session);
    RUN(log_delete_of_one_leaves_the_others);
    RUN(log_delete_of_a_session_takes_all_of_its_streams);
    RUN(log_delete_of_a_session_takes_one_principals);
    RUN(log_numbers_over_their_bound_are_refused);
    RUN(log_requests_that_lack_something_are_refused);
    RUN(log_events_that_sse_cannot_carry_are_refused);
    RUN(log_closed_store_refuses_everything);
}
