/* session against naive references: one operation at a time, and many at once over a store that fails in every way */

#include "session_rig.h"

#define IDS 8u

static const char *const ids[IDS] = {"a", "b", "c", "d", "e", "f", "g", "h"};

/* ---- one at a time ----

   The reference knows what was written last and when it was used. It is sure that a session lives for a full TTL after
   a write and half a TTL after a load or touch (a local hit need not reach the store), and sure that it is gone a full
   TTL after its last use. Between the two, either answer is right, and the reference takes it over. */

typedef struct known {
    bool present;
    uint8_t mark;
    uint64_t sure_until, gone_after;
} known;

static known model[IDS];

static const char *mark_text(unsigned mark) {
    static char text[2];
    text[0] = (char)('0' + (int)mark);
    return text;
}

static bool may_live(unsigned n) {
    return model[n].present && rig.now < model[n].gone_after;
}

static bool must_live(unsigned n) {
    return model[n].present && rig.now < model[n].sure_until;
}

static void used(unsigned n, uint64_t sure_ms) {
    uint64_t sure = rig.now + sure_ms;
    if (sure > model[n].sure_until) model[n].sure_until = sure;
    model[n].gone_after = rig.now + RIG_TTL;
}

/* is rc, present or absent, a right answer? */
static bool right(unsigned n, bool present) {
    if (present) return may_live(n);
    if (must_live(n)) return false;
    model[n].present = false;
    return true;
}

static bool step_write(unsigned n, unsigned kind) {
    unsigned mark = (unsigned)random_below(10);
    const char *text = mark_text(mark);
    int rc = kind == 0 ? rig_store(ids[n], text) : kind == 1 ? rig_create(ids[n], text) : rig_update(ids[n], text);
    if (kind == 1 && rc == MCPSESS_EXISTS) return right(n, true);
    if (kind == 2 && rc == MCPSESS_MISS) return right(n, false);
    if (rc != MCPSESS_OK || (kind == 1 && !right(n, false)) || (kind == 2 && !right(n, true))) return false;
    model[n].present = true;
    model[n].mark = (uint8_t)mark;
    model[n].sure_until = 0;
    used(n, RIG_TTL);
    return true;
}

static bool step_load(unsigned n) {
    int rc = rig_load(ids[n], &rig.alice);
    if (rc == MCPSESS_MISS) return rig.out.len == 0 && right(n, false);
    if (rc != MCPSESS_OK || !right(n, true) || rig.op.stale) return false;
    used(n, RIG_TTL / 2u);
    return mcpsess_str_eq(rig_backend(&rig.out), mcpsess_str_z(mark_text(model[n].mark)));
}

static bool step_touch(unsigned n) {
    int rc = rig_touch(ids[n], &rig.alice);
    if (rc == MCPSESS_MISS) return right(n, false);
    if (rc != MCPSESS_OK || !right(n, true)) return false;
    used(n, RIG_TTL / 2u);
    return true;
}

static bool step_exists(unsigned n) {
    int rc = rig_exists(ids[n], &rig.alice);
    return (rc == MCPSESS_OK || rc == MCPSESS_MISS) && right(n, rc == MCPSESS_OK);
}

static bool step_stranger(unsigned n) {
    if (rig_load(ids[n], &rig.bob) != MCPSESS_MISS || rig.out.len != 0) return false;
    return rig_touch(ids[n], &rig.bob) == MCPSESS_MISS && rig_del(ids[n], &rig.bob) == MCPSESS_OK;
}

static bool step_one(void) {
    unsigned n = (unsigned)random_below(IDS);
    uint32_t what = random_below(100);
    rig.now += random_below(100) < 3 ? random_below(RIG_TTL) : random_below(500);
    rig.net.delay = (unsigned)random_below(3);
    if (what < 50) return step_load(n);
    if (what < 70) return step_write(n, (unsigned)(what % 3u));
    if (what < 76) return step_touch(n);
    if (what < 84) return step_exists(n);
    if (what < 92) return step_stranger(n);
    if (what < 96) {
        model[n].present = false;
        return rig_del(ids[n], &rig.alice) == MCPSESS_OK;
    }
    if (what < 98) return rig_sweep() == MCPSESS_OK;
    return mcpsess_session_mark(&rig.table, mcpsess_str_z(ids[n])) != MCPSESS_E_ARG;
}

static bool invariants(void) {
    return mcpsess_session_check(&rig.table) == MCPSESS_OK && mcpsess_memstore_check(&rig.ram) == MCPSESS_OK &&
           !rig.net.misuse && !rig.lock_misuse && rig.lock_depth == 0;
}

TEST(session_agrees_with_a_naive_model) {
    uint32_t round;
    rig_start_default();
    memset(model, 0, sizeof model);
    tap_seed(314159);
    for (round = 0; round < PORT_ROUNDS; round++) {
        if (!CHECK(step_one()) || !CHECK(invariants())) {
            tap_note("failed in round", (int64_t)round);
            break;
        }
    }
    CHECK(rig.table.stats.local_hits > PORT_ROUNDS / 20u); /* the run did go through both tiers */
    CHECK(rig.table.stats.requests > PORT_ROUNDS / 20u);
    rig_sound();
}

/* ---- many at once ----

   Every write of an id carries a serial number of its own, larger than all before; a delete takes one too. Once a write
   or delete is done with OK, no load that begins later may answer with a smaller serial: not from the local tier, not
   from a request that was under way, not with the store away. */

#define OPS 6u
#define IDS_MANY 3u

typedef struct busy_op {
    mcpsess_op op;
    mcpsess_buf out;
    char out_mem[RIG_RECORD_MAX], record[RIG_RECORD_MAX];
    mcpsess_principal who;
    uint64_t deadline;
    uint32_t serial, floor; /* of a write; of a load when it began */
    uint8_t id, kind;       /* 0: idle */
    bool stranger;
} busy_op;

enum { LOAD = 1, WRITE, DELETE, TOUCH };

static busy_op ops[OPS];
static uint32_t serials, floors[IDS_MANY];

static int begin_write(busy_op *b) {
    char text[24];
    mcpsess_str record;
    text[str_number(text, 's', b->serial).len] = '\0';
    record = rig_record(b->record, ids[b->id], &rig.alice, text);
    if (random_below(2) == 0) return mcpsess_session_store(&rig.table, &b->op, record, rig.now);
    return mcpsess_session_update(&rig.table, &b->op, record, rig.now);
}

static int begin_any(busy_op *b) {
    mcpsess_str id = mcpsess_str_z(ids[b->id]);
    switch (b->kind) {
    case LOAD: return mcpsess_session_load(&rig.table, &b->op, id, &b->who, &b->out, rig.now);
    case WRITE: return begin_write(b);
    case DELETE: return mcpsess_session_del(&rig.table, &b->op, id, &b->who, rig.now);
    default: return mcpsess_session_touch(&rig.table, &b->op, id, &b->who, rig.now);
    }
}

static bool serial_right(const busy_op *b) {
    mcpsess_str text = rig_backend(&b->out);
    uint64_t serial = 0;
    if (b->stranger || text.len < 2) return false;
    if (mcpsess_u64_decode(mcpsess_str_of(text.ptr + 1, text.len - 1u), serials, &serial) != MCPSESS_OK) return false;
    return serial >= b->floor;
}

/* an operation is done: is its answer possible? */
static bool finished(busy_op *b, int rc) {
    bool ok = true;
    if (b->kind == LOAD && rc == MCPSESS_OK) ok = serial_right(b);
    if (b->kind == TOUCH && rc == MCPSESS_OK) ok = !b->stranger;
    if ((b->kind == WRITE || b->kind == DELETE) && rc == MCPSESS_OK && !b->stranger && floors[b->id] < b->serial) {
        floors[b->id] = b->serial;
    }
    if (rc != MCPSESS_OK && b->out.len != 0) ok = false;
    if (rc == MCPSESS_E_FORMAT || rc == MCPSESS_E_ARG || rc == MCPSESS_E_STATE || rc == MCPSESS_E_TOOBIG) ok = false;
    memset(b, 0xC3, sizeof *b); /* the caller's memory is his own again */
    b->kind = 0;
    return ok;
}

static bool begin_one(busy_op *b) {
    static const uint8_t kinds[] = {LOAD, LOAD, LOAD, WRITE, WRITE, DELETE, TOUCH};
    int rc;
    memset(b, 0, sizeof *b);
    mcpsess_op_init(&b->op, 1u + random_below(60));
    mcpsess_buf_init(&b->out, b->out_mem, sizeof b->out_mem);
    b->deadline = rig.now + b->op.timeout_ms;
    b->kind = kinds[random_below(COUNT_OF(kinds))];
    b->id = (uint8_t)random_below(IDS_MANY);
    b->stranger = b->kind != WRITE && random_below(5) == 0;
    b->who = b->stranger ? rig.bob : rig.alice;
    b->serial = ++serials;
    b->floor = floors[b->id];
    rc = begin_any(b);
    return rc == MCPSESS_PENDING || finished(b, rc);
}

static void new_weather(void) {
    static const int codes[] = {MCPSESS_OK,   MCPSESS_OK,        MCPSESS_OK,       MCPSESS_OK,
                                MCPSESS_E_IO, MCPSESS_E_UNKNOWN, MCPSESS_E_UNKNOWN};
    rig.net.fail = codes[random_below(COUNT_OF(codes))];
    rig.net.fail_after = rig.net.fail == MCPSESS_E_UNKNOWN && random_below(2) == 0;
    rig.net.delay = (unsigned)random_below(8);
    rig.net.hang = random_below(20) == 0;
    rig.net.newest_first = random_below(3) == 0;
    if (random_below(4) == 0) test_store_release(&rig.net);
}

static bool step_many(void) {
    busy_op *b = &ops[random_below(OPS)];
    int rc;
    rig.now += random_below(50) == 0 ? random_below(RIG_TTL / 4u) : random_below(8);
    if (random_below(3) == 0) new_weather();
    if (b->kind == 0) return begin_one(b);
    if (random_below(12) == 0) {
        mcpsess_cancel(&b->op);
        rc = mcpsess_poll(&b->op, rig.now);
        return rc != MCPSESS_PENDING && finished(b, rc);
    }
    rc = mcpsess_poll(&b->op, rig.now);
    if (rc == MCPSESS_PENDING) return rig.now < b->deadline;
    return finished(b, rc);
}

TEST(session_under_faults_and_races_never_goes_back_in_time) {
    mcpsess_session_desc d = rig_desc();
    uint32_t round;
    d.capacity = 2;
    d.lanes = 2;
    d.timeout_ms = 100;
    rig_start(&d);
    memset(ops, 0, sizeof ops);
    memset(floors, 0, sizeof floors);
    serials = 0;
    tap_seed(2);
    for (round = 0; round < PORT_ROUNDS; round++) {
        if (!CHECK(step_many()) || !CHECK(invariants())) {
            tap_note("failed in round", (int64_t)round);
            break;
        }
    }
    CHECK(rig.table.stats.shared > 0 && rig.table.stats.queued > 0 && rig.table.stats.overtaken > 0);
    CHECK(rig.table.stats.timeouts > 0 && rig.table.stats.served_stale > 0);
    rig_sound();
}

void test_session_model(void) {
    RUN(session_agrees_with_a_naive_model);
    RUN(session_under_faults_and_races_never_goes_back_in_time);
}
