/* backend: a fault at every call of every path, two at every two, and the end of the manager at each of them. Whatever
   happened, the backend is one of running, stopped, or absent with its data in a copy; the operation says which step it
   was; and when nothing fails any more, it starts with all its data. */

#include "backend_rig.h"

#define A 0u
#define CALLS_MAX 40u

typedef struct path {
    uint8_t kind, begins;
    bool live, direct; /* direct: the driver has no keep_copy, what it exports is the copy */
} path;

static const path paths[] = {
    {WORLD_ENSURE, WORLD_ABSENT, false, false},
    {WORLD_ENSURE, WORLD_ORPHANED, false, false},
    {WORLD_ENSURE, WORLD_ORPHANED, false, true},
    {WORLD_START, WORLD_ABSENT, false, false},
    {WORLD_START, WORLD_ORPHANED, false, false},
    {WORLD_START, WORLD_ORPHANED, false, true},
    {WORLD_START, WORLD_COPIED, false, false},
    {WORLD_START, WORLD_STOPPED, false, false},
    {WORLD_START, WORLD_STOPPED_COPIED, false, false},
    {WORLD_START, WORLD_STOPPED_COPIED, true, false},
    {WORLD_START, WORLD_RUNNING, false, false},
    {WORLD_STOP_IT, WORLD_RUNNING, false, false},
    {WORLD_DEL, WORLD_RUNNING, false, false},
    {WORLD_DEL, WORLD_STOPPED_COPIED, false, false},
    {WORLD_DEL_PRESERVE, WORLD_RUNNING, false, false},
    {WORLD_DEL_PRESERVE, WORLD_RUNNING, false, true},
    {WORLD_DEL_PRESERVE, WORLD_RUNNING, true, false},
    {WORLD_DEL_PRESERVE, WORLD_STOPPED, false, false},
    {WORLD_DEL_PRESERVE, WORLD_STOPPED_COPIED, false, false},
    {WORLD_EXPORT, WORLD_RUNNING, false, false},
    {WORLD_EXPORT, WORLD_RUNNING, true, false},
    {WORLD_IMPORT, WORLD_RUNNING, false, false},
    {WORLD_IMPORT, WORLD_STOPPED, false, false},
    {WORLD_IMPORT, WORLD_RUNNING, true, false},
    {WORLD_IMPORT_COPY, WORLD_STOPPED_COPIED, false, false},
    {WORLD_DISCARD, WORLD_COPIED, false, false},
    {WORLD_DISCARD, WORLD_STOPPED_COPIED, false, false},
    {WORLD_ADDRESS_OF, WORLD_RUNNING, false, false},
    {WORLD_RECONCILE, WORLD_ORPHANED, false, false},
    {WORLD_RECONCILE, WORLD_COPIED, false, false},
    {WORLD_RECONCILE, WORLD_STOPPED, false, false},
    {WORLD_RECONCILE, WORLD_RUNNING, false, false},
};

/* What is to go wrong, in this order, and at which steps it did. */
static struct {
    unsigned at;
    uint8_t fate, step;
} faults[2];
static unsigned fault_count;

static uint8_t choose(world_job *j) {
    unsigned n;
    for (n = 0; n < fault_count; n++) {
        if (faults[n].at != br.calls) continue;
        faults[n].step = j->step;
        return faults[n].fate;
    }
    return WORLD_WELL;
}

static void prepare(const path *p, bool shared) {
    mcpsess_backend_desc d = shared ? world_desc_shared() : world_desc();
    if (p->direct) d.driver.keep_copy = NULL;
    world_start_as(&d);
    world_put(A, p->begins);
    br.backends[A].live = p->live;
    br.backends[A].labelled = p->kind != WORLD_ADDRESS_OF;
    br.backends[A].file = 1;
    faults[0].step = faults[1].step = MCPSESS_BACKEND_NO_STEP;
    br.choose = choose;
}

static int run(const path *p) {
    if (p->kind == WORLD_RECONCILE)
        CHECK_EQ(mcpsess_backend_keep(&br.managers[0].m, world_id(A), true, br.now_ms), MCPSESS_OK);
    return world_do(p->kind, A);
}

/* One that is absent has a copy, or is still the orphan it was, or nobody wants its data. */
static void check_there(const path *p) {
    const world_backend *w = &br.backends[A];
    bool copied = w->copy != 0 && w->copy_bytes != 0 && w->copy >= w->needed;
    world_settle(A);
    CHECK(w->present || copied || w->needed == 0 || (p->begins == WORLD_ORPHANED && w->orphan >= w->needed));
    world_sound();
}

/* Nothing fails any more. */
static void check_starts(unsigned manager) {
    fault_count = 0;
    CHECK_EQ(world_do_by(manager, WORLD_START, A), MCPSESS_OK);
    CHECK(br.backends[A].running && world_has_all(A));
    world_sound();
}

/* Where it failed, tried again, or was let be. */
static bool tolerated(const path *p, uint8_t step) {
    if (p->kind == WORLD_RECONCILE) return br.asks[0].op.op.count == 1 || br.backends[A].running;
    switch (step) {
    case MCPSESS_BACKEND_NETWORK_UP: return true; /* the second try */
    case MCPSESS_BACKEND_NETWORK_DOWN:
    case MCPSESS_BACKEND_STOP: return p->kind == WORLD_DEL || p->kind == WORLD_DEL_PRESERVE;
    case MCPSESS_BACKEND_KEEP_COPY: return p->kind == WORLD_DEL_PRESERVE; /* it was found to be there */
    default: return false;
    }
}

static int code_of(uint8_t fate) {
    if (fate == WORLD_NOT_BEGUN) return MCPSESS_E_FULL;
    return fate == WORLD_FAILS || fate == WORLD_DONE_FAILS ? MCPSESS_E_IO : MCPSESS_E_TIMEOUT;
}

static void check_result(const path *p, int rc) {
    uint8_t step = faults[0].step;
    if (rc == MCPSESS_OK) {
        CHECK(tolerated(p, step));
        return;
    }
    CHECK_EQ(br.asks[0].op.step, step);
    CHECK(rc == code_of(faults[0].fate) || (step == MCPSESS_BACKEND_KEEP_COPY && rc == MCPSESS_E_NOT_PRESERVED));
    if (p->kind == WORLD_RECONCILE) CHECK_EQ(step, MCPSESS_BACKEND_LIST);
}

/* -> did it come to that call? */
static bool one_fault(const path *p, unsigned at, uint8_t fate) {
    int rc;
    prepare(p, false);
    fault_count = 1;
    faults[0].at = at;
    faults[0].fate = fate;
    rc = run(p);
    if (faults[0].step == MCPSESS_BACKEND_NO_STEP) return false;
    check_result(p, rc);
    check_there(p);
    check_starts(0);
    return true;
}

TEST(backend_fault_at_every_call_of_every_path) {
    unsigned n, at, runs = 0;
    uint8_t fate;
    for (n = 0; n < COUNT_OF(paths); n++) {
        for (fate = WORLD_FAILS; fate <= WORLD_LATE; fate++) {
            for (at = 1; at < CALLS_MAX && one_fault(&paths[n], at, fate); at++) runs++;
            CHECK(at > 1 && at < CALLS_MAX);
        }
    }
    tap_note("faults", runs);
}

/* What is done because of the first may fail as well, or the start that comes after it. */
static bool two_faults(const path *p, unsigned at, unsigned then, uint8_t fate) {
    prepare(p, false);
    fault_count = 2;
    faults[0].at = at;
    faults[0].fate = (uint8_t)(WORLD_FAILS + fate / WORLD_LATE);
    faults[1].at = then;
    faults[1].fate = (uint8_t)(WORLD_FAILS + fate % WORLD_LATE);
    (void)run(p);
    (void)world_do(WORLD_START, A);
    if (faults[1].step == MCPSESS_BACKEND_NO_STEP) return false;
    check_there(p);
    check_starts(0);
    return true;
}

TEST(backend_two_faults_at_every_two_calls_of_every_path) {
    unsigned n, at, then, runs = 0;
    uint8_t fate;
    if (PORT_SMALL) return;
    for (n = 0; n < COUNT_OF(paths); n++) {
        for (fate = 0; fate < WORLD_LATE * WORLD_LATE; fate++) {
            for (at = 1; at < CALLS_MAX; at++) {
                for (then = at + 1u; then < CALLS_MAX && two_faults(&paths[n], at, then, fate); then++) runs++;
                if (faults[0].step == MCPSESS_BACKEND_NO_STEP) break;
            }
        }
    }
    CHECK(runs > 10000);
    tap_note("pairs of faults", runs);
}

/* -> did it come to that call? */
static bool one_crash(const path *p, unsigned at, uint8_t fate) {
    prepare(p, false);
    fault_count = 1;
    faults[0].at = at;
    faults[0].fate = fate;
    (void)run(p);
    if (!br.crashed) return false;
    fault_count = 0;
    world_restart(0);
    CHECK_EQ(world_do(WORLD_RECONCILE, 0), MCPSESS_OK);
    if (p->kind == WORLD_RECONCILE) CHECK_EQ(run(p), MCPSESS_OK);
    check_there(p);
    check_starts(0);
    return true;
}

TEST(backend_manager_that_ends_at_every_call_is_followed_by_another) {
    unsigned n, at;
    uint8_t fate;
    for (n = 0; n < COUNT_OF(paths); n++) {
        for (fate = WORLD_CRASH; fate <= WORLD_CRASH_AFTER; fate++) {
            for (at = 1; at < CALLS_MAX && one_crash(&paths[n], at, fate); at++) continue;
            CHECK(at > 1 && at < CALLS_MAX);
        }
    }
}

/* -> did it come to that call? */
static bool one_takeover(const path *p, unsigned at, uint8_t fate) {
    prepare(p, true);
    fault_count = 1;
    faults[0].at = at;
    faults[0].fate = fate;
    (void)run(p);
    if (!br.crashed) return false;
    br.crashed = false;
    br.managers[0].stopped = true;
    br.asks[0].op.op.i.rc = MCPSESS_E_STATE; /* its memory is no more */
    fault_count = 0;
    br.now_ms += WORLD_LEASE;
    check_starts(1);
    check_there(p);
    return true;
}

TEST(backend_owner_that_ends_at_every_call_is_taken_over_from) {
    unsigned n, at;
    uint8_t fate;
    for (n = 0; n < COUNT_OF(paths); n++) {
        for (fate = WORLD_CRASH; fate <= WORLD_CRASH_AFTER; fate++) {
            for (at = 1; at < CALLS_MAX && one_takeover(&paths[n], at, fate); at++) continue;
            CHECK(at > 1 && at < CALLS_MAX);
        }
    }
}

/* -> did it come to that call? */
static bool one_cancel(const path *p, unsigned at, uint8_t fate) {
    int rc;
    prepare(p, false);
    fault_count = 1;
    faults[0].at = at;
    faults[0].fate = fate;
    if (p->kind == WORLD_RECONCILE) return false;
    rc = world_begin(0, 0, p->kind, A);
    CHECK_EQ(rc == MCPSESS_PENDING, faults[0].step != MCPSESS_BACKEND_NO_STEP);
    if (rc != MCPSESS_PENDING) return false;
    mcpsess_cancel(&br.asks[0].op.op);
    CHECK_EQ(mcpsess_op_rc(&br.asks[0].op.op), MCPSESS_E_CANCELED);
    check_there(p);
    check_starts(0);
    return true;
}

TEST(backend_operation_canceled_at_every_call_leaves_what_a_crash_leaves) {
    unsigned n, at;
    uint8_t fate;
    for (n = 0; n < COUNT_OF(paths); n++) {
        for (fate = WORLD_HANGS; fate <= WORLD_LATE; fate++) {
            for (at = 1; at < CALLS_MAX && one_cancel(&paths[n], at, fate); at++) continue;
            CHECK((at > 1 || paths[n].kind == WORLD_RECONCILE) && at < CALLS_MAX);
        }
    }
}

void test_backend_faults(void) {
    RUN(backend_fault_at_every_call_of_every_path);
    RUN(backend_two_faults_at_every_two_calls_of_every_path);
    RUN(backend_manager_that_ends_at_every_call_is_followed_by_another);
    RUN(backend_owner_that_ends_at_every_call_is_taken_over_from);
    RUN(backend_operation_canceled_at_every_call_leaves_what_a_crash_leaves);
}
