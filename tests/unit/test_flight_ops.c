/* flight: what is not a load or a wait: flags by hand, arguments, loaders that load, a superloop */

#include "flight_rig.h"

static flight_ask a, b, c;
static mcpsess_flight_op op;
static mcpsess_lease lease;
static mcpsess_lease_op lease_op;
static char out_mem[FLIGHT_DATA];
static mcpsess_buf out;

static void start_as(const mcpsess_flight_desc *d) {
    flight_start_as(d);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    memset(&c, 0, sizeof c);
    memset(&lease, 0, sizeof lease);
    mcpsess_op_init(&op.op, 0);
    mcpsess_op_init(&lease_op.op, 0);
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
}

static void start(void) {
    mcpsess_flight_desc d = flight_desc();
    start_as(&d);
}

static flight_table *t0(void) {
    return &fr.tables[0];
}

/* ---- flags by hand ---- */

static int end(int rc) {
    unsigned n;
    for (n = 0; n < 20 && rc == MCPSESS_PENDING; n++) rc = mcpsess_poll(&op.op, fr.now_ms);
    CHECK_EQ(rc, mcpsess_op_rc(&op.op));
    return rc;
}

static int check(const char *fingerprint) {
    out.len = 0;
    return end(
        mcpsess_flight_check(&t0()->flights, &op, MCPSESS_STR("a"), mcpsess_str_z(fingerprint), &out, fr.now_ms));
}

static int set(mcpsess_lease *under, const char *data, uint64_t ttl_ms) {
    return end(mcpsess_flight_set(&t0()->flights, &op, under, MCPSESS_STR("a"), MCPSESS_STR("v1"), mcpsess_str_z(data),
                                  ttl_ms, fr.now_ms));
}

static int clear(bool revoke) {
    return end(mcpsess_flight_clear(&t0()->flights, &op, MCPSESS_STR("a"), revoke, fr.now_ms));
}

static int acquire(void) {
    static mcpsess_lease_desc d;
    d.store = t0()->net.store;
    d.ttl_ms = FLIGHT_LEASE;
    d.random = t0()->flights.i.desc.random;
    return mcpsess_lease_acquire(&d, &lease, &lease_op, MCPSESS_STR("a"), fr.now_ms);
}

TEST(flight_check_says_what_there_is) {
    unsigned delay;
    for (delay = 0; delay < 3; delay++) {
        start();
        t0()->net.delay = delay;
        CHECK_EQ(check("v1"), MCPSESS_MISS);
        CHECK_EQ(set(NULL, "data", 0), MCPSESS_OK);
        CHECK_EQ(op.op.left_ms, FLIGHT_TTL);
        fr.now_ms += 10;
        CHECK_EQ(check("v1"), MCPSESS_OK);
        CHECK_STR(mcpsess_buf_str(&out), "data");
        CHECK_EQ(op.op.left_ms, FLIGHT_TTL - 10u);
        CHECK_EQ(check("v2"), MCPSESS_MISS);
        CHECK_EQ(clear(false), MCPSESS_OK);
        CHECK_EQ(check("v1"), MCPSESS_MISS);
        CHECK_EQ(clear(false), MCPSESS_OK); /* also if there was none */
        CHECK_EQ(set(NULL, "", 77), MCPSESS_OK);
        CHECK_EQ(check("v1"), MCPSESS_OK);
        CHECK(op.op.left_ms == 77 && out.len == 0);
        flight_sound();
    }
}

TEST(flight_check_says_that_somebody_is_at_it) {
    start();
    t0()->takes_ms = MCPSESS_NEVER;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    fr.now_ms += 10;
    CHECK_EQ(check("v1"), MCPSESS_BUSY);
    CHECK_EQ(op.op.left_ms, FLIGHT_LEASE - 10u);
    mcpsess_cancel(&a.op);
    CHECK_EQ(check("v1"), MCPSESS_MISS);
}

TEST(flight_check_needs_room_for_the_data) {
    start();
    CHECK_EQ(set(NULL, "0123456789", 0), MCPSESS_OK);
    mcpsess_buf_init(&out, out_mem, 9);
    CHECK_EQ(check("v1"), MCPSESS_E_TOOBIG);
    CHECK_EQ(op.op.need, 10);
    CHECK_EQ(t0()->flights.stats.failures, 0);
}

TEST(flight_set_under_a_lease_ends_it_and_needs_it) {
    start();
    CHECK_EQ(set(&lease, "data", 0), MCPSESS_LOST); /* never acquired */
    CHECK_EQ(t0()->net.submits, 0);
    CHECK_EQ(acquire(), MCPSESS_OK);
    CHECK_EQ(set(&lease, "data", 0), MCPSESS_OK);
    CHECK_EQ(mcpsess_lease_left(&lease, fr.now_ms), 0);
    CHECK_EQ(check("v1"), MCPSESS_OK);
    CHECK_EQ(clear(false), MCPSESS_OK);
    CHECK_EQ(acquire(), MCPSESS_OK);
    flight_revoke("a");
    CHECK_EQ(set(&lease, "data", 0), MCPSESS_LOST);
    CHECK_EQ(mcpsess_lease_left(&lease, fr.now_ms), 0);
    CHECK_EQ(check("v1"), MCPSESS_MISS);
    CHECK_EQ(set(NULL, "data", 0), MCPSESS_OK); /* and without one, unconditionally */
}

TEST(flight_set_that_failed_leaves_the_lease_or_says_it_may_be_gone) {
    start();
    CHECK_EQ(acquire(), MCPSESS_OK);
    t0()->net.fail = MCPSESS_E_IO;
    CHECK_EQ(set(&lease, "data", 0), MCPSESS_E_IO);
    CHECK_EQ(mcpsess_lease_left(&lease, fr.now_ms), FLIGHT_LEASE);
    CHECK_EQ(t0()->flights.stats.failures, 1);
    t0()->net.fail = MCPSESS_E_UNKNOWN;
    CHECK_EQ(set(&lease, "data", 0), MCPSESS_E_UNKNOWN);
    CHECK_EQ(mcpsess_lease_left(&lease, fr.now_ms), 0);
    t0()->net.fail = MCPSESS_OK;
    CHECK_EQ(set(&lease, "data", 0), MCPSESS_LOST);
}

TEST(flight_set_that_is_canceled_may_have_ended_the_lease) {
    start();
    CHECK_EQ(acquire(), MCPSESS_OK);
    t0()->net.hang = true;
    CHECK_EQ(mcpsess_flight_set(&t0()->flights, &op, &lease, MCPSESS_STR("a"), MCPSESS_STR("v1"), MCPSESS_STR(""), 0,
                                fr.now_ms),
             MCPSESS_PENDING);
    mcpsess_cancel(&op.op);
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_E_CANCELED);
    CHECK_EQ(test_store_pending(&t0()->net), 0);
    CHECK_EQ(mcpsess_lease_left(&lease, fr.now_ms), 0);
}

/* What is loaded just now is out of date: it must not be said to be loaded. */
TEST(flight_clear_with_revoke_ends_a_load_under_way) {
    start();
    t0()->takes_ms = 100;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(clear(false), MCPSESS_OK);
    fr.now_ms += 100;
    CHECK_EQ(flight_end(&a), MCPSESS_OK); /* not by clear alone */
    CHECK_EQ(clear(true), MCPSESS_OK);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(clear(true), MCPSESS_OK);
    fr.now_ms += 100;
    CHECK_EQ(flight_end(&a), MCPSESS_FENCED);
    CHECK_EQ(check("v1"), MCPSESS_MISS);
}

TEST(flight_operation_by_hand_has_a_deadline) {
    start();
    t0()->net.hang = true;
    CHECK_EQ(mcpsess_flight_check(&t0()->flights, &op, MCPSESS_STR("a"), MCPSESS_STR(""), NULL, fr.now_ms),
             MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&op.op, fr.now_ms), 1000 + FLIGHT_TIMEOUT);
    CHECK_EQ(mcpsess_want(&op.op), MCPSESS_WANT_READ | MCPSESS_WANT_TIME);
    CHECK_EQ(mcpsess_flight_clear(&t0()->flights, &op, MCPSESS_STR("a"), false, fr.now_ms), MCPSESS_E_STATE);
    fr.now_ms += FLIGHT_TIMEOUT;
    CHECK_EQ(mcpsess_poll(&op.op, fr.now_ms), MCPSESS_E_TIMEOUT);
    CHECK(mcpsess_next_due(&op.op, fr.now_ms) == MCPSESS_NEVER && mcpsess_want(&op.op) == 0);
    op.op.timeout_ms = 5;
    CHECK_EQ(mcpsess_flight_clear(&t0()->flights, &op, MCPSESS_STR("a"), false, fr.now_ms), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_next_due(&op.op, fr.now_ms), fr.now_ms + 5u);
    test_store_release(&t0()->net);
    t0()->net.store.cls->poll(t0()->net.store.self, fr.now_ms);
    CHECK_EQ(mcpsess_next_due(&op.op, fr.now_ms), fr.now_ms);
    CHECK_EQ(mcpsess_want(&op.op), MCPSESS_WANT_NOW | MCPSESS_WANT_TIME);
    CHECK_EQ(mcpsess_poll(&op.op, fr.now_ms), MCPSESS_OK);
}

TEST(flight_without_a_store_there_are_no_flags) {
    mcpsess_flight_desc d = flight_desc();
    d.store.cls = NULL;
    d.random = NULL;
    start_as(&d);
    CHECK_EQ(set(NULL, "data", 0), MCPSESS_OK);
    CHECK_EQ(check("v1"), MCPSESS_MISS);
    CHECK_EQ(clear(true), MCPSESS_OK);
}

/* ---- arguments ---- */

TEST(flight_desc_out_of_range_is_refused) {
    static union {
        uint64_t align_u64;
        void *align_ptr;
        unsigned char bytes[MCPSESS_FLIGHT_BYTES(1, 1)];
    } mem;
    mcpsess_flight_desc d;
    mcpsess_flights f;
    start();
    d = flight_desc();
    d.store = t0()->net.store;
    d.lanes = d.data_max = 1;
    CHECK_EQ(mcpsess_flight_bytes(&d), sizeof mem.bytes);
    CHECK_EQ(mcpsess_flight_init(&f, &d, mem.bytes, sizeof mem.bytes), MCPSESS_OK);
    CHECK_EQ(mcpsess_flight_init(&f, &d, mem.bytes, sizeof mem.bytes - 1u), MCPSESS_E_NOMEM);
    CHECK_EQ(mcpsess_flight_init(&f, &d, NULL, sizeof mem.bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_init(NULL, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_init(&f, NULL, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    d.random = NULL;
    CHECK_EQ(mcpsess_flight_init(&f, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_ARG);
    d.lanes = 0;
    CHECK_EQ(mcpsess_flight_bytes(&d), 0);
    d.lanes = 65535u;
    CHECK_EQ(mcpsess_flight_bytes(&d), 0);
    CHECK_EQ(mcpsess_flight_bytes(NULL), 0);
}

TEST(flight_store_tells_one_table) {
    static union {
        uint64_t align_u64;
        void *align_ptr;
        unsigned char bytes[MCPSESS_FLIGHT_BYTES(1, 1)];
    } mem;
    mcpsess_flight_desc d;
    mcpsess_flights f, other;
    mcpsess_store store;
    start();
    store = mcpsess_memstore_store(&fr.ram);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, NULL), MCPSESS_OK);
    d = flight_desc();
    d.store = store;
    d.lanes = d.data_max = 1;
    CHECK_EQ(mcpsess_flight_init(&f, &d, mem.bytes, sizeof mem.bytes), MCPSESS_OK);
    CHECK_EQ(mcpsess_flight_init(&other, &d, mem.bytes, sizeof mem.bytes), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_flight_load(&other, &a.op, MCPSESS_STR("a"), MCPSESS_STR(""), NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_wait(&f, &a.op, MCPSESS_STR("a"), MCPSESS_STR("v1"), NULL, 5000, fr.now_ms),
             MCPSESS_PENDING);
    CHECK(mcpsess_next_due(&a.op, fr.now_ms) > fr.now_ms && (mcpsess_want(&a.op) & MCPSESS_WANT_NOW) == 0);
    CHECK_EQ(mcpsess_flight_set(&f, &op, NULL, MCPSESS_STR("a"), MCPSESS_STR("v1"), MCPSESS_STR(""), 0, fr.now_ms),
             MCPSESS_OK);
    CHECK_EQ(mcpsess_next_due(&a.op, fr.now_ms), fr.now_ms); /* it was told at once */
    CHECK((mcpsess_want(&a.op) & MCPSESS_WANT_NOW) != 0);
    CHECK_EQ(mcpsess_poll(&a.op, fr.now_ms), MCPSESS_OK);
}

TEST(flight_operation_that_cannot_be_begun) {
    mcpsess_flights *f = &t0()->flights, unready;
    char longest[MCPSESS_ID_MAX + 1u];
    mcpsess_str key = MCPSESS_STR("a"), v1 = MCPSESS_STR("v1"), none = MCPSESS_STR("");
    start();
    memset(&unready, 0, sizeof unready);
    (void)str_fill(longest, 'x', sizeof longest);
    CHECK_EQ(mcpsess_flight_load(NULL, &a.op, key, v1, NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_load(&unready, &a.op, key, v1, NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_load(f, NULL, key, v1, NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_load(f, &a.op, none, v1, NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_load(f, &a.op, str_broken(), v1, NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_wait(f, &a.op, key, str_broken(), NULL, 1, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_load(f, &a.op, mcpsess_str_of(longest, sizeof longest), v1, NULL, 1), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_flight_check(f, &op, key, mcpsess_str_of(longest, MCPSESS_FINGERPRINT_MAX + 1u), NULL, 1),
             MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_flight_check(NULL, &op, key, v1, NULL, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_set(f, NULL, NULL, key, v1, none, 0, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_set(f, &op, NULL, key, v1, str_broken(), 0, 1), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_flight_clear(f, &op, none, true, 1), MCPSESS_E_ARG);
    t0()->takes_ms = MCPSESS_NEVER;
    mcpsess_op_init(&a.op, 0);
    CHECK_EQ(mcpsess_flight_load(f, &a.op, mcpsess_str_of(longest, MCPSESS_ID_MAX),
                                 mcpsess_str_of(longest, MCPSESS_FINGERPRINT_MAX), NULL, fr.now_ms),
             MCPSESS_PENDING);
    CHECK_EQ(mcpsess_flight_load(f, &a.op, key, v1, NULL, fr.now_ms), MCPSESS_E_STATE);
    mcpsess_cancel(&a.op);
    flight_sound();
}

static int no_random(void *user, void *dst, size_t len) {
    (void)user;
    (void)dst;
    (void)len;
    return -1;
}

TEST(flight_without_random_or_loader) {
    mcpsess_flight_desc d = flight_desc();
    d.random = no_random;
    start_as(&d);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_E_RANDOM);
    CHECK_EQ(flight_requests(), 0);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_E_RANDOM);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_E_RANDOM); /* the lane was given back */
    d = flight_desc();
    d.load = NULL;
    start_as(&d);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_E_ARG);
    CHECK_EQ(flight_wait_in(&a, 0, "a", 10), MCPSESS_PENDING); /* but it may wait */
    mcpsess_cancel(&a.op);
}

/* ---- loaders that load ---- */

/* To load "a" it loads "b" of the same table first. */
static struct {
    mcpsess_op op;
    flight_ask inner;
    mcpsess_flight_loader plain;
    unsigned begun;
} nest;

static int nest_poll(mcpsess_op *o, uint64_t now_ms) {
    int rc = mcpsess_op_rc(o);
    if (rc != MCPSESS_PENDING) return rc;
    rc = mcpsess_poll(&nest.inner.op, now_ms);
    return rc == MCPSESS_PENDING ? rc : mcpsess_op_end(o, rc);
}

static void nest_cancel(mcpsess_op *o) {
    mcpsess_cancel(&nest.inner.op);
    (void)mcpsess_op_end(o, MCPSESS_E_CANCELED);
}

static uint64_t nest_next_due(mcpsess_op *o, uint64_t now_ms) {
    (void)o;
    return mcpsess_op_rc(&nest.inner.op) == MCPSESS_PENDING ? mcpsess_next_due(&nest.inner.op, now_ms) : now_ms;
}

static unsigned nest_want(mcpsess_op *o) {
    (void)o;
    return mcpsess_op_rc(&nest.inner.op) == MCPSESS_PENDING ? mcpsess_want(&nest.inner.op) : (unsigned)MCPSESS_WANT_NOW;
}

static mcpsess_op *nest_load(void *user, const mcpsess_flight_job *job, uint64_t now_ms) {
    static const mcpsess_op_class cls = {nest_poll, nest_cancel, nest_next_due, nest_want};
    if (mcpsess_str_eq(job->key, MCPSESS_STR("b"))) return nest.plain(user, job, now_ms);
    nest.begun++;
    mcpsess_op_init(&nest.op, 0);
    (void)mcpsess_op_begin(&nest.op, &cls, NULL);
    (void)flight_load_in(&nest.inner, 0, "b");
    return &nest.op;
}

static void start_nested(unsigned delay) {
    mcpsess_flight_desc d = flight_desc();
    memset(&nest, 0, sizeof nest);
    nest.plain = d.load;
    d.load = nest_load;
    start_as(&d);
    t0()->takes_ms = 50;
    t0()->net.delay = delay;
}

TEST(flight_loader_may_load_something_else_of_the_same_table) {
    unsigned delay;
    for (delay = 0; delay < 3; delay++) {
        flight_ask *asks[1];
        asks[0] = &a;
        start_nested(delay);
        CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
        (void)flight_loop(asks, 1, 2000);
        CHECK_EQ(mcpsess_op_rc(&a.op), MCPSESS_OK);
        CHECK(fr.now_ms >= 1050 && fr.now_ms < 1100);
        CHECK(nest.begun == 1 && t0()->begun == 1);
        CHECK_EQ(flight_flag("a"), MCPSESS_OK);
        CHECK_EQ(flight_flag("b"), MCPSESS_OK);
        flight_sound();
    }
}

TEST(flight_canceled_loader_may_cancel_what_it_loads) {
    start_nested(0);
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    CHECK_EQ(flight_flag("b"), MCPSESS_BUSY);
    mcpsess_cancel(&a.op);
    CHECK_EQ(t0()->canceled, 1);
    CHECK_EQ(flight_flag("a"), MCPSESS_MISS);
    CHECK_EQ(flight_flag("b"), MCPSESS_MISS);
    CHECK_EQ(mcpsess_op_rc(&nest.inner.op), MCPSESS_E_CANCELED);
    CHECK_EQ(flight_load_in(&a, 0, "c"), MCPSESS_PENDING); /* all lanes are free */
    CHECK_EQ(flight_poll(&a), MCPSESS_PENDING);
    a.op.i.mode = 0;
    a.op.i.deadline_ms = fr.now_ms; /* and the same by the clock */
    CHECK_EQ(flight_poll(&a), MCPSESS_E_TIMEOUT);
    CHECK_EQ(flight_flag("c"), MCPSESS_MISS);
    flight_sound();
}

/* ---- a superloop ---- */

/* Polled only when they say so, three processes make progress at once, and are not polled for nothing. */
TEST(flight_operations_say_when_to_poll_them) {
    flight_ask *asks[3];
    unsigned polls;
    asks[0] = &a;
    asks[1] = &b;
    asks[2] = &c;
    start();
    t0()->takes_ms = 3 * FLIGHT_LEASE;
    a.op.timeout_ms = b.op.timeout_ms = c.op.timeout_ms = 10 * FLIGHT_LEASE;
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&b, 1, "a"), MCPSESS_PENDING);
    CHECK_EQ(flight_load_in(&c, 0, "a"), MCPSESS_PENDING);
    polls = flight_loop(asks, 3, 1000 + 10 * FLIGHT_LEASE);
    CHECK(mcpsess_op_rc(&a.op) == MCPSESS_OK && mcpsess_op_rc(&b.op) == MCPSESS_OK &&
          mcpsess_op_rc(&c.op) == MCPSESS_OK);
    CHECK_EQ(fr.now_ms, 1000 + 3 * FLIGHT_LEASE);
    CHECK(polls < 3u * FLIGHT_LEASE / (10u * FLIGHT_POLL) * 2u + 40u);
    tap_note("polls", polls);
    flight_sound();
}

TEST(flight_done_wants_nothing) {
    start();
    CHECK_EQ(flight_load_in(&a, 0, "a"), MCPSESS_OK);
    CHECK(mcpsess_next_due(&a.op, fr.now_ms) == MCPSESS_NEVER && mcpsess_want(&a.op) == 0);
    mcpsess_cancel(&a.op);
    CHECK_EQ(flight_poll(&a), MCPSESS_OK);
}

void test_flight_ops(void) {
    RUN(flight_check_says_what_there_is);
    RUN(flight_check_says_that_somebody_is_at_it);
    RUN(flight_check_needs_room_for_the_data);
    RUN(flight_set_under_a_lease_ends_it_and_needs_it);
    RUN(flight_set_that_failed_leaves_the_lease_or_says_it_may_be_gone);
    RUN(flight_set_that_is_canceled_may_have_ended_the_lease);
    RUN(flight_clear_with_revoke_ends_a_load_under_way);
    RUN(flight_operation_by_hand_has_a_deadline);
    RUN(flight_without_a_store_there_are_no_flags);
    RUN(flight_desc_out_of_range_is_refused);
    RUN(flight_store_tells_one_table);
    RUN(flight_operation_that_cannot_be_begun);
    RUN(flight_without_random_or_loader);
    RUN(flight_loader_may_load_something_else_of_the_same_table);
    RUN(flight_canceled_loader_may_cancel_what_it_loads);
    RUN(flight_operations_say_when_to_poll_them);
    RUN(flight_done_wants_nothing);
}
