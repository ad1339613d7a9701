/* The clock, the faults of an exchange, the run of a case, and what must hold after each. */

#include "faults.h"

#include <stdlib.h>

#define CHOICE 700u /* cases of an operation, unless all are wanted; besides those that are always run */
#define SHOWN 4u     /* failed cases of an operation that are told */

bool faults_all;

/* The operation at hand: the clean exchange, once with the second command right behind, once following. */
static struct {
    const faults_operation *o;
    int rc;
    char before[WORLD_TEXT], after[WORLD_TEXT], state[WORLD_TEXT];
    char text[RIG_OUT];
    size_t text_len;
    char command[RIG_TX]; /* as it was sent */
    uint32_t command_at, command_len;
    wire_log sent;
    struct {
        uint32_t given;   /* bytes until it had its answer */
        unsigned replies; /* until then, its answer included */
        unsigned polls;
    } clean[2];
    uint32_t all_given, recvs;
    unsigned possible, cases, unfired, failures;
    unsigned index; /* of the case that is chosen, or not */
} at;

static struct {
    unsigned possible, cases;
} total;

/* The case at hand. */
static struct {
    const fault *f;
    uint64_t begun_ms, ended_ms[2];
    unsigned polls, ends, arrivals, replies; /* ends, replies: when the first had ended */
    unsigned still;                          /* polls without time going by */
    bool second_begun, failed;
    faults_task kept; /* the first, as it ended */
} now;

static void fail(const char *what, int line) {
    now.failed = true;
    if (at.failures++ >= SHOWN) return;
    printf("# faults.c:%d: %s: %s\n", line, at.o->name, what);
    printf("#   %s: %s, then %s; clean %s; connections ended %u, commands arrived %u\n",
           now.f ? fault_text(now.f) : "clean", mcpsess_redis_code_name(mcpsess_op_rc(&rig.first.u.op)),
           mcpsess_redis_code_name(mcpsess_op_rc(&rig.second.u.op)), mcpsess_redis_code_name(at.rc), wire.ends,
           wire.arrivals);
}
#define EXPECT(cond) ((cond) ? (void)0 : fail(#cond, __LINE__))

/* -- tasks -- */

static bool pending(const faults_task *t) {
    return mcpsess_op_rc(&t->u.op) == MCPSESS_PENDING;
}

static void task_new(faults_task *t) {
    char *mem = t->out.ptr;
    memset(t, 0, sizeof *t);
    if (mem == NULL) mem = (char *)malloc(RIG_OUT);
    memset(mem, 0xA5, RIG_OUT);
    mcpsess_buf_init(&t->out, mem, RIG_OUT);
}

static void task_poll(faults_task *t) {
    if (!pending(t)) return;
    wire.poll_sends = wire.poll_recvs = 0;
    (void)mcpsess_poll(&t->u.op, rig.now_ms);
    EXPECT(wire.poll_sends <= 1 && wire.poll_recvs <= 1);
}

static int load(faults_task *t, const char *id, uint32_t timeout_ms) {
    task_new(t);
    mcpsess_op_init(&t->u.op, timeout_ms);
    return mcpsess_session_load(&rig.table, &t->u.op, mcpsess_str_z(id), &rig.alice, &t->out, rig.now_ms);
}

/* The second command of each case, and the one afterwards: its answer is nobody else's. Without a wire, a load of
   another session. */
static int mark(faults_task *t, uint32_t timeout_ms) {
    static unsigned marks;
    if (rig.world == WORLD_RAM) return load(t, "b", timeout_ms);
    task_new(t);
    snprintf(t->marker, sizeof t->marker, "mark-%08u", marks++ % 100000000u);
    t->argv[0] = MCPSESS_STR("ECHO");
    t->argv[1] = mcpsess_str_z(t->marker);
    mcpsess_op_init(&t->u.op, timeout_ms);
    return mcpsess_redis_cmd(&rig.redis, &t->u.command, t->argv, 2, &t->out, rig.now_ms);
}

static bool marked(const faults_task *t) {
    if (rig.world == WORLD_RAM) return mcpsess_str_eq(mcpsess_buf_str(&t->out), rig.others);
    mcpsess_str text = mcpsess_redis_text(mcpsess_buf_str(&t->out));
    return mcpsess_str_eq(text, mcpsess_str_z(t->marker)) && t->out.len == text.len + 7; /* $13, CRLFs */
}

/* -- the clock -- */

/* Goes on to the next thing that can happen. */
static void pass_time(faults_task *a, faults_task *b) {
    uint64_t due_ms = wire_next_ms();
    unsigned want = mcpsess_want(pending(a) ? &a->u.op : &b->u.op);
    if ((want & MCPSESS_WANT_NOW) != 0 || wire_ready(want)) {
        if (++now.still < 100000) return;
        fail("it spins", __LINE__);
    }
    now.still = 0;
    if (pending(a) && mcpsess_next_due(&a->u.op, rig.now_ms) < due_ms) due_ms = mcpsess_next_due(&a->u.op, rig.now_ms);
    if (pending(b) && mcpsess_next_due(&b->u.op, rig.now_ms) < due_ms) due_ms = mcpsess_next_due(&b->u.op, rig.now_ms);
    EXPECT(due_ms != MCPSESS_NEVER);
    EXPECT(due_ms > rig.now_ms);
    rig.now_ms = due_ms == MCPSESS_NEVER || due_ms <= rig.now_ms ? rig.now_ms + 1 : due_ms;
}

/* One command alone until it is done. */
static int settle(faults_task *t) {
    static faults_task none;
    uint64_t until_ms = rig.now_ms + 3 * RIG_TIMEOUT;
    while (pending(t) && rig.now_ms < until_ms) {
        task_poll(t);
        if (pending(t)) pass_time(t, &none);
    }
    if (pending(t)) mcpsess_cancel(&t->u.op);
    return mcpsess_op_rc(&t->u.op);
}

static bool said_to_be_away(int rc) {
    return rc == MCPSESS_E_IO || rc == MCPSESS_E_TIMEOUT || rc == MCPSESS_E_UNKNOWN;
}

/* A fresh command has its own answer, at last; and with it all that came before it is over. */
void faults_sync(void) {
    uint64_t until_ms = rig.now_ms + 3 * RIG_TIMEOUT;
    int rc;
    if (rig.world == WORLD_RAM) rig.now_ms += 10; /* a table listens again */
    for (;;) {
        (void)mark(&rig.fresh, RIG_TIMEOUT);
        rc = settle(&rig.fresh);
        if (rc == MCPSESS_OK || !said_to_be_away(rc) || rig.now_ms > until_ms) break;
        rig.now_ms += 40;
    }
    EXPECT(rc == MCPSESS_OK && "afterwards");
    if (rc == MCPSESS_OK) EXPECT(marked(&rig.fresh) && "afterwards");
    EXPECT(!wire.misuse && !rig.net.misuse);
    wire.misuse = rig.net.misuse = false;
    if (rig.world == WORLD_RAM) return;
    EXPECT(rig.redis.i.used == 0);
    EXPECT(mcpsess_redis_check(&rig.redis) == MCPSESS_OK);
    if (now.failed) (void)mcpsess_redis_reset(&rig.redis, rig.now_ms); /* the next case has nothing to do with it */
}

int faults_load(faults_task *t, const char *id) {
    (void)load(t, id, RIG_TIMEOUT);
    return settle(t);
}

/* -- a case -- */

static void first_ended(void) {
    now.ended_ms[0] = rig.now_ms;
    now.ends = wire.ends;
    now.kept = rig.first;
    now.replies = 0;
    mcpsess_str s = mcpsess_str_of(wire.given.bytes, wire.given.len);
    uint8_t type = 0;
    for (long n; (n = wire_unit(s, &type)) > 0; s = mcpsess_str_of(s.ptr + n, s.len - (size_t)n)) {
        if (type != MCPSESS_RESP_PUSH) now.replies++;
    }
}

static void begin_second(uint32_t timeout_ms) {
    now.second_begun = true;
    (void)mark(&rig.second, timeout_ms);
}

static void go(uint32_t timeout_ms) {
    const fault *f = now.f;
    uint64_t until_ms = rig.now_ms + 3 * RIG_TIMEOUT;
    bool first_pending = pending(&rig.first);
    if (!first_pending) first_ended();
    while (rig.now_ms < until_ms) {
        if (first_pending) {
            if (f->kind == FAULT_POLL_CANCEL && now.polls == f->at) mcpsess_cancel(&rig.first.u.op), wire.fired = true;
            task_poll(&rig.first);
            now.polls++;
            if (!pending(&rig.first)) first_ended();
            first_pending = pending(&rig.first);
        }
        if (!first_pending && !now.second_begun) begin_second(timeout_ms);
        task_poll(&rig.second);
        if (now.second_begun && !pending(&rig.second) && now.ended_ms[1] == 0) now.ended_ms[1] = rig.now_ms;
        if (!pending(&rig.first) && first_pending) first_pending = false, first_ended();
        if (!first_pending && now.second_begun && !pending(&rig.second)) return;
        pass_time(&rig.first, &rig.second);
        if (!pending(&rig.first) && first_pending) first_pending = false, first_ended();
    }
    fail("it never ends", __LINE__);
    mcpsess_cancel(&rig.first.u.op);
    mcpsess_cancel(&rig.second.u.op);
}

/* Nothing is waited for longer than it takes to know. */
static uint64_t longest(void) {
    switch (wire.fired ? fault_effect(now.f) : (uint8_t)FAULT_HARMLESS) {
    case FAULT_HARMLESS: return 8;
    case FAULT_ENDS: return 60; /* the first backoff is 50 */
    case FAULT_CANCELS: return 8;
    case FAULT_HOLDS: return RIG_TIMEOUT;
    default: return RIG_CONNECTING + RIG_PATIENCE;
    }
}

/* The store's next request meets the fault; those behind it do not. */
static void net_arm(const fault *f) {
    bool hangs = f->kind == FAULT_STORE_HANGS;
    wire.fired = f->kind >= FAULT_STORE_LATE;
    rig.net.delay = f->kind == FAULT_POLL_CANCEL ? 4u : hangs ? 0u : f->at;
    rig.net.hang = hangs;
    rig.net.fail = f->kind > FAULT_STORE_LATE ? -(int)f->byte : MCPSESS_OK;
    rig.net.fail_after = f->kind == FAULT_STORE_LIES;
}

static void net_heal(void) {
    rig.net.delay = 0;
    rig.net.hang = rig.net.fail_after = false;
    rig.net.fail = MCPSESS_OK;
}

/* The exchange with one fault in it. */
static void exchange(const fault *f) {
    uint32_t timeout_ms = f->hasty ? RIG_HASTY : RIG_TIMEOUT;
    memset(&now, 0, sizeof now);
    now.f = f;
    task_new(&rig.first);
    task_new(&rig.second);
    at.o->before(at.o);
    if (!at.o->greets) faults_sync(); /* and what was told of it has been heard */
    if (at.index == 0) world_look(at.before);
    wire_arm(f, at.command, at.command_len);
    if (rig.world == WORLD_RAM) net_arm(f);
    now.begun_ms = rig.now_ms;
    wire.poll_sends = wire.poll_recvs = 0;
    (void)at.o->begin(at.o, &rig.first, timeout_ms);
    EXPECT(wire.poll_sends <= 1 && wire.poll_recvs <= 2); /* a table listens, and polls */
    net_heal();
    if (!f->following) begin_second(timeout_ms);
    go(timeout_ms);
    EXPECT(now.ended_ms[0] <= now.begun_ms + timeout_ms);
    EXPECT(now.ended_ms[0] <= now.begun_ms + longest());
    EXPECT(now.ended_ms[1] <= now.begun_ms + timeout_ms * (f->following ? 2u : 1u));
    now.arrivals = wire.arrivals;
    wire_release();
    test_store_release(&rig.net);
    world_look(at.state);
}

/* -- the verdict on what was given -- */

enum { STREAM_SAME, STREAM_DATA, STREAM_BROKEN, STREAM_SHORT, STREAM_MISLEADING };

typedef struct verdict {
    uint8_t stream;   /* STREAM_... */
    unsigned replies; /* whole ones that were as the server sent them, before the one that was not */
    bool push;        /* that one is a push */
    char type;        /* as that it came */
    bool fits;        /* it came as something that answers the operation as well: an error, another's value */
} verdict;

/* Do both hold the same items, whatever is in them? lengths: with values of the same length */
static bool same_shape(mcpsess_str a, mcpsess_str b, bool lengths) {
    mcpsess_resp da, db;
    mcpsess_resp_desc limits = {WIRE_MAX, 0, UINT32_MAX, 0};
    mcpsess_resp_item x, y;
    mcpsess_resp_init(&da, &limits);
    mcpsess_resp_init(&db, &limits);
    do {
        if (mcpsess_resp_next(&da, &a, &x) != MCPSESS_OK || mcpsess_resp_next(&db, &b, &y) != MCPSESS_OK) return false;
        if (x.type != y.type || x.depth != y.depth || x.ends != y.ends) return false;
        if (x.type == MCPSESS_RESP_INTEGER || x.type == MCPSESS_RESP_BOOL) continue;
        if ((lengths || x.type != MCPSESS_RESP_BULK) && x.number != y.number) return false;
    } while (!x.ends);
    return a.len == 0 && b.len == 0;
}

static mcpsess_str from(const wire_log *l, uint32_t n) {
    return mcpsess_str_of(l->bytes + n, l->len - n);
}

static verdict judge(void) {
    verdict v = {STREAM_SAME, 0, false, '\0', false};
    uint32_t a = 0, b = 0;
    for (;;) {
        uint8_t type = 0, true_type = 0;
        mcpsess_str given = from(&wire.given, a), truth = from(&wire.true_down, b);
        long n = wire_unit(given, &type), m = wire_unit(truth, &true_type);
        if (given.len == 0 && truth.len == 0) return v;
        if (n > 0 && n == m && memcmp(given.ptr, truth.ptr, (size_t)n) == 0) {
            a += (uint32_t)n;
            b += (uint32_t)n;
            if (type != MCPSESS_RESP_PUSH) v.replies++;
            continue;
        }
        if (given.len == truth.len && memcmp(given.ptr, truth.ptr, given.len) == 0) return v;
        v.push = true_type == MCPSESS_RESP_PUSH;
        v.type = given.len > 0 ? given.ptr[0] : '\0';
        given.len = n > 0 ? (size_t)n : 0;
        truth.len = m > 0 ? (size_t)m : truth.len;
        v.fits = type == MCPSESS_RESP_ERROR || (n > 0 && m > 0 && same_shape(given, truth, false));
        if (n < 0) v.stream = STREAM_BROKEN;
        else if (n == 0) v.stream = STREAM_SHORT;
        else if (now.f->kind != FAULT_RECV_CUT && m > 0 && same_shape(given, truth, true)) v.stream = STREAM_DATA;
        else v.stream = STREAM_MISLEADING;
        return v;
    }
}

/* -- what must hold -- */

static bool listed(int rc) {
    size_t n;
    for (n = 0; at.o->answers[n] != 0; n++) {
        if (rc == at.o->answers[n]) return true;
    }
    return false;
}

static bool of_server(int rc) {
    return rc <= MCPSESS_REDIS_E_SERVER && rc > MCPSESS_REDIS_E_PROTOCOL;
}

static bool answered(const verdict *v) {
    return v->replies >= at.clean[now.f->following].replies;
}

/* Was it the operation's own answer that was not as the server sent it? */
static bool own(const verdict *v) {
    unsigned last = at.clean[now.f->following].replies;
    return v->stream != STREAM_SAME && !v->push && (v->replies + 1 == last || (at.o->reloads && v->replies < last));
}

/* Nobody can tell that an answer is not its own: what comes after it cannot be trusted either. */
static bool misled(const verdict *v) {
    if (v->stream != STREAM_MISLEADING) return false;
    if (at.o->greets && v->fits) return true; /* a step of the handshake that may fail */
    return v->push || answered(v) || ((at.o->free_form || v->fits) && own(v));
}

/* LibreChat's flags are judged by the store, as they came: a claim may go out once more, and past what was changed on
   its way. */
static bool judges(void) {
    return rig.world == WORLD_LIBRECHAT;
}

/* The connection ended before the answer was there, or because of it. */
static bool after_loss(const verdict *v, int rc) {
    bool refused = v->stream == STREAM_BROKEN || v->stream == STREAM_MISLEADING;
    if (v->type == MCPSESS_RESP_PUSH || v->type == MCPSESS_RESP_ERROR) refused = false; /* the answer is waited for */
    /* it could be read */
    if (now.f->kind == FAULT_SEND_CLOSE && now.arrivals > 0 && !at.o->reloads) return rc == at.rc;
    if (at.o->loss == FAULTS_REPEATED && !at.o->reloads && own(v) && refused) return rc == MCPSESS_E_UNKNOWN;
    if (at.o->loss == FAULTS_REPEATED && v->stream != STREAM_SAME && rc == MCPSESS_E_UNKNOWN) return true;
    switch (at.o->loss) {
    case FAULTS_ONCE: return rc == MCPSESS_E_UNKNOWN || (at.o->reloads && rc == at.rc);
    case FAULTS_REPEATED: return rc == at.rc || (at.o->again != 0 && rc == at.o->again);
    default: return rc == (now.arrivals == 0 && at.rc == MCPSESS_OK ? MCPSESS_E_UNKNOWN : at.rc);
    }
}

/* Without a wire: may the first answer this? */
static bool allowed_of_store(int rc) {
    switch (fault_effect(now.f)) {
    case FAULT_HARMLESS: return rc == at.rc;
    case FAULT_CANCELS: return rc == MCPSESS_E_CANCELED || now.polls <= now.f->at;
    case FAULT_HOLDS: return rc == MCPSESS_E_TIMEOUT;
    default: return rc == -(int)now.f->byte;
    }
}

/* May the first answer this? */
static bool allowed(const verdict *v, int rc) {
    uint8_t effect = fault_effect(now.f);
    bool touched = wire.sent.len > at.command_at, corrupt = v->stream != STREAM_SAME;
    bool resends = at.o->reloads || judges(); /* what was answered so far did nothing */
    if (effect != FAULT_HARMLESS && at.o->tier && rc == MCPSESS_OK && rig.first.u.op.stale) return true;
    if (rig.world == WORLD_RAM) return allowed_of_store(rc);
    if (!wire.fired || effect == FAULT_HARMLESS) return rc == at.rc;
    if (rc == at.rc && (answered(v) || at.o->reloads)) return true;
    if (effect == FAULT_CANCELS) return rc == MCPSESS_E_CANCELED;
    if (misled(v) && (rc == MCPSESS_OK || rc == MCPSESS_E_TOOBIG || listed(rc))) return true;
    if (misled(v)) return of_server(rc) || said_to_be_away(rc);
    if (v->stream == STREAM_DATA && (own(v) || judges())) {
        if (of_server(rc)) return of_server(at.rc) || at.o->reloads;
        return rc == at.rc || rc == MCPSESS_OK || rc == MCPSESS_E_UNKNOWN || listed(rc);
    }
    if (answered(v)) return false;
    if (at.o->greets && corrupt && !own(v)) return rc == at.rc || (rc == MCPSESS_E_IO && !rig.patient);
    if (now.f->hasty) return rc == MCPSESS_E_TIMEOUT || ((!touched || resends) && rc == MCPSESS_E_IO);
    if (!touched) return rc == at.rc || (at.o->greets && !rig.patient && rc == MCPSESS_E_IO);
    return after_loss(v, rc);
}

static void check_first(const verdict *v) {
    int rc = mcpsess_op_rc(&rig.first.u.op);
    bool stale = rig.first.u.op.stale, data = v->stream == STREAM_DATA && own(v);
    bool is_after = memcmp(at.state, at.after, WORLD_TEXT) == 0;
    bool is_before = memcmp(at.state, at.before, WORLD_TEXT) == 0;
    bool tells = rc == at.rc && (rc == MCPSESS_OK || rc == MCPSESS_EXISTS);
    EXPECT(allowed(v, rc));
    EXPECT(is_after || is_before || (data && judges()));
    EXPECT(rc != MCPSESS_E_IO || is_before);
    if (at.o->loss != FAULTS_REPEATED) EXPECT(wire.arrivals <= (at.o->reloads ? 2u : 1u));
    if (rc != MCPSESS_OK && !tells) EXPECT(rig.first.out.len == 0);
    if (v->stream == STREAM_MISLEADING && own(v) && !misled(v)) EXPECT(now.ends > 0);
    if (data || misled(v)) return;
    if (rc == at.rc || (at.o->again != 0 && rc == at.o->again)) EXPECT(is_after || stale);
    if (!tells) return;
    EXPECT(stale || (rig.first.out.len == at.text_len && memcmp(rig.first.out.ptr, at.text, at.text_len) == 0));
    if (at.o->right != NULL) EXPECT(at.o->right(at.o, &rig.first));
}

static void check_second(const verdict *v) {
    int rc = mcpsess_op_rc(&rig.second.u.op);
    uint8_t effect = wire.fired ? fault_effect(now.f) : (uint8_t)FAULT_HARMLESS;
    if (misled(v) || ((at.o->reloads || judges()) && v->stream == STREAM_DATA)) return; /* it may be its own answer */
    if (rc == MCPSESS_OK) EXPECT(marked(&rig.second));
    else EXPECT(effect != FAULT_HARMLESS && effect != FAULT_CANCELS && said_to_be_away(rc) && rig.world != WORLD_RAM);
    if (rc == MCPSESS_E_TIMEOUT) EXPECT(now.f->hasty);
    if (rc == MCPSESS_E_IO) EXPECT(now.f->hasty || at.o->greets);
}

/* Through the table, afterwards: what is stored, and nothing else, though somebody else has just changed it. */
static void check_tier(void) {
    char stored[WORLD_TEXT], want[WORLD_TEXT];
    mcpsess_buf b;
    int rc;
    world_look(stored);
    if (rig.world == WORLD_REDIS && stored[0] != '\0' && memcmp(stored + 14, rig.bobs.ptr, rig.bobs.len) != 0) {
        world_put("a", rig.newest, WORLD_TTL);
        faults_sync(); /* it has been told, if it is told at all */
        rig.now_ms += 10;
    }
    rc = faults_load(&rig.fresh, "a");
    if (said_to_be_away(rc)) rc = faults_load(&rig.fresh, "a"); /* it shared a request that was still under way */
    world_look(stored);
    EXPECT(mcpsess_session_check(&rig.table) == MCPSESS_OK);
    mcpsess_buf_init(&b, want, sizeof want);
    mcpsess_buf_put(&b, rig.world == WORLD_REDIS ? MCPSESS_STR("mcpsess:r:{a}=") : MCPSESS_STR("a="));
    mcpsess_buf_put(&b, rc == MCPSESS_MISS ? rig.bobs : mcpsess_buf_str(&rig.fresh.out));
    EXPECT(rc == MCPSESS_OK || rc == MCPSESS_MISS);
    if (rc == MCPSESS_MISS && memcmp(stored, want, b.len - rig.bobs.len) != 0) return;
    EXPECT(memcmp(stored, want, b.len) == 0);
}

static void run_case(const fault *f) {
    verdict v;
    exchange(f);
    v = judge();
    check_first(&v);
    check_second(&v);
    if (fault_effect(f) == FAULT_HARMLESS || fault_effect(f) == FAULT_CANCELS) EXPECT(wire.ends == 0 || at.o->greets);
    EXPECT(wire.ends <= 1);
    at.cases++;
    if (!wire.fired) at.unfired++;
    if (at.o->greets && misled(&v)) CHECK_EQ(mcpsess_redis_reset(&rig.redis, rig.now_ms), MCPSESS_OK); /* refused */
    faults_sync();
    if (mcpsess_op_rc(&rig.first.u.op) == MCPSESS_E_IO) { /* nor is it ever done later */
        world_look(at.state);
        EXPECT(memcmp(at.state, at.before, WORLD_TEXT) == 0);
    }
    EXPECT(memcmp(&now.kept, &rig.first, sizeof now.kept) == 0); /* done once, and let alone then */
    if (at.o->tier && v.stream != STREAM_DATA && !misled(&v)) check_tier();
}

/* -- the cases of an operation -- */

/* Is it where a command ends? */
static bool boundary(uint32_t n) {
    mcpsess_str s = mcpsess_str_of(at.sent.bytes, at.sent.len);
    for (long m; (m = wire_unit(s, NULL)) > 0; s = mcpsess_str_of(s.ptr + m, s.len - (size_t)m)) {
        if (at.sent.len - s.len == n) return true;
    }
    return n == at.sent.len;
}

/* Whole commands done or lost, answers wholly there or not at all, another type or length of the answer. */
static bool always(const fault *f) {
    uint8_t effect = fault_effect(f);
    bool recv = f->kind >= FAULT_RECV_SHORT && f->kind <= FAULT_RECV_CUT;
    if (recv && effect == FAULT_CORRUPTS) return f->kind == FAULT_RECV_FLIP && f->at <= 1;
    if (recv) return f->at == 0 || f->at == at.clean[0].given;
    return f->kind > FAULT_RECV_CUT || (effect != FAULT_HARMLESS && boundary(f->at));
}

/* The same choice every time. */
static bool chosen(const fault *f) {
    uint32_t x = at.index * UINT32_C(2654435761);
    x ^= x >> 15;
    x *= UINT32_C(2246822519);
    x ^= x >> 13;
    return faults_all || at.possible <= CHOICE || x % at.possible < CHOICE || always(f);
}

static void each_case(bool count, fault f) {
    at.index++;
    if (count) at.possible++;
    else if (chosen(&f)) run_case(&f);
}

static void each_send(bool count) {
    fault f = {0, 0, 0, false, false};
    if (at.command_len < at.sent.len && !at.o->greets && !at.o->reloads)
        each_case(count, (fault){FAULT_SEND_CLOSE, 1, at.command_len, false, false});
    each_case(count, (fault){FAULT_SEND_BYTES, 0, 0, false, false});
    for (f.kind = FAULT_SEND_SHORT; f.kind <= FAULT_SEND_HOLE; f.kind++) {
        if (f.kind == FAULT_SEND_BYTES) continue;
        for (f.at = 0; f.at <= at.sent.len; f.at++) {
            if (f.kind == FAULT_SEND_LATE && !boundary(f.at)) continue;
            f.hasty = false;
            each_case(count, f);
            f.hasty = fault_effect(&f) == FAULT_SILENCES;
            if (f.hasty) each_case(count, f);
        }
    }
}

/* At every byte of all that is given. */
static void each_recv(bool count) {
    fault f = {0, 0, 0, false, false};
    each_case(count, (fault){FAULT_RECV_BYTES, 0, 0, false, false});
    for (f.kind = FAULT_RECV_SHORT; f.kind <= FAULT_RECV_HELD; f.kind++) {
        uint32_t end = f.kind == FAULT_RECV_CALL ? at.recvs : at.all_given;
        if (f.kind == FAULT_RECV_BYTES) continue;
        for (f.at = 0; f.at <= end; f.at++) {
            f.hasty = f.kind == FAULT_RECV_HELD;
            each_case(count, f);
            f.hasty = true;
            if (f.kind == FAULT_RECV_SILENT) each_case(count, f);
        }
    }
}

/* At every byte of the answer, and what is told or answered before it. */
static void each_corruption(bool count, bool following) {
    static const char extra[] = {'\0', '\n', '\r', ' ', '0', '7', 'x', '+', '-', ':', '$', '*', '>', '\xFF'};
    fault f = {0, 0, 0, false, following};
    for (f.at = 0; f.at < at.clean[following].given; f.at++) {
        f.kind = FAULT_RECV_FLIP;
        for (f.byte = 0; f.byte < 8; f.byte++) each_case(count, f);
        f.kind = FAULT_RECV_EXTRA;
        for (size_t n = 0; n < sizeof extra; n++) f.byte = (uint8_t)extra[n], each_case(count, f);
        f.byte = 0;
        f.kind = FAULT_RECV_DROP;
        each_case(count, f);
        f.kind = FAULT_RECV_CUT;
        each_case(count, f);
    }
}

static void each_other(bool count) {
    fault f = {0, 0, 0, false, false};
    for (f.kind = FAULT_OPEN_FAILS; at.o->greets && f.kind <= FAULT_OPEN_SILENT; f.kind++) each_case(count, f);
    f.kind = FAULT_POLL_CANCEL;
    for (f.at = 0; f.at < at.clean[0].polls; f.at++) each_case(count, f);
}

/* Without a wire: at the boundary of the store. */
static void each_of_store(bool count) {
    static const int codes[] = {MCPSESS_E_IO,   MCPSESS_E_UNKNOWN, MCPSESS_E_TIMEOUT,
                                MCPSESS_E_FULL, MCPSESS_E_STORE,   MCPSESS_REDIS_E_LOADING};
    fault f = {0, 0, 0, false, false};
    size_t n;
    for (f.at = 1; f.at <= 4; f.at++) f.kind = FAULT_STORE_LATE, each_case(count, f);
    for (n = 0; n < COUNT_OF(codes); n++) {
        f.byte = (uint8_t)-codes[n];
        for (f.at = 0; f.at < 4; f.at++) {
            f.kind = FAULT_STORE_FAILS;
            each_case(count, f);
            f.kind = FAULT_STORE_LIES;
            if (f.at > 0 && (codes[n] == MCPSESS_E_UNKNOWN || codes[n] == MCPSESS_E_TIMEOUT)) each_case(count, f);
        }
    }
    f.kind = FAULT_STORE_HANGS;
    for (n = 0; n < 4 && at.o->tier; n++) { /* a request alone would wait for ever: deadlines are a table's */
        f.hasty = (n & 1u) != 0;
        f.byte = (n & 2u) != 0 ? (uint8_t)-MCPSESS_E_UNKNOWN : 0;
        each_case(count, f);
    }
    f.kind = FAULT_POLL_CANCEL;
    for (f.at = 0; f.at <= 4; f.at++) each_case(count, f);
}

static void each_fault(bool count) {
    at.index = 0;
    if (rig.world == WORLD_RAM) {
        each_of_store(count);
        return;
    }
    each_other(count);
    each_send(count);
    each_recv(count);
    each_corruption(count, false);
    each_corruption(count, true);
}

/* Where the operation's own command is in what was sent: the first, but behind a greeting the last but one. */
static void find_command(void) {
    mcpsess_str s = mcpsess_str_of(wire.sent.bytes, wire.sent.len);
    uint32_t begins = 0, before = 0;
    long n;
    at.command_at = at.command_len = 0;
    if (s.len == 0) return;
    if (at.o->greets) {
        for (; (n = wire_unit(s, NULL)) > 0; s = mcpsess_str_of(s.ptr + n, s.len - (size_t)n)) {
            before = begins;
            begins = wire.sent.len - (uint32_t)s.len;
        }
        at.command_at = before;
    }
    n = wire_unit(mcpsess_str_of(wire.sent.bytes + at.command_at, wire.sent.len - at.command_at), NULL);
    at.command_len = n > 0 ? (uint32_t)n : 0;
    if (at.command_len > sizeof at.command) abort();
    memcpy(at.command, wire.sent.bytes + at.command_at, at.command_len);
}

/* The clean exchange. */
static void record(bool following) {
    fault f = {FAULT_RECV_BYTES, 0, 0, false, following};
    at.index = 0;
    exchange(&f);
    at.rc = mcpsess_op_rc(&rig.first.u.op);
    memcpy(at.after, at.state, sizeof at.after);
    at.text_len = rig.first.out.len;
    memcpy(at.text, rig.first.out.ptr, at.text_len);
    at.clean[following].replies = now.replies;
    at.clean[following].polls = now.polls;
    at.all_given = wire.given.len;
    at.clean[following].given = wire.given.len < 20u ? 0 : wire.given.len - 20u; /* the mark behind it */
    EXPECT(mcpsess_op_rc(&rig.second.u.op) == MCPSESS_OK);
    faults_sync();
    if (following) return;
    at.sent = wire.sent;
    find_command();
    f.kind = FAULT_NONE;
    exchange(&f);
    at.recvs = wire.recvs;
    faults_sync();
}

void faults_run(const faults_operation *o) {
    tap_begin(o->name);
    memset(&at, 0, sizeof at);
    at.o = o;
    record(true);
    record(false);
    each_fault(true);
    if (at.failures == 0) each_fault(false);
    printf("# %s: %s; %u of %u cases, %u with a fault that never came about\n", o->name,
           mcpsess_redis_code_name(at.rc), at.cases, at.possible, at.unfired);
    CHECK(at.failures == 0);
    CHECK(at.unfired * 20u <= at.cases + 100u);
    total.cases += at.cases;
    total.possible += at.possible;
    tap_end();
}

void faults_sum(void) {
    tap_note("cases:", total.cases);
    tap_note("of all that are possible:", total.possible);
}
