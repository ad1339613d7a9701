/* Every kind of request, in every mode, on both stores: hit, miss, conflict, somebody else's. */

#include "faults.h"

/* What is stored under the key "a" */
enum { NOTHING, OURS, OURS_LOW, THEIRS, LEASED, LEASED_LOW, LEASED_AWAY, A_LIST, OURS_NO_SCRIPT };

typedef struct asked {
    uint8_t stored, kind, mode;
    bool guarded, presence; /* presence: a GET without out */
    uint32_t ttl_ms;
    size_t room; /* 0: plenty */
} asked;

static void before(const faults_operation *o) {
    const asked *a = (const asked *)o->what;
    world_clear();
    switch (a->stored) {
    case OURS: world_put("a", rig.alices, WORLD_TTL); break;
    case OURS_LOW: world_put("a", rig.alices, WORLD_LOW); break;
    case THEIRS: world_put("a", rig.bobs, WORLD_TTL); break;
    case LEASED: world_lease("a", "ours", WORLD_TTL); break;
    case LEASED_LOW: world_lease("a", "ours", WORLD_LOW); break;
    case LEASED_AWAY: world_lease("a", "theirs", WORLD_TTL); break;
    case A_LIST: (void)world_owner("RPUSH", "mcpsess:r:{a}", "x", NULL); break;
    case OURS_NO_SCRIPT:
        world_put("a", rig.alices, WORLD_TTL);
        (void)world_owner("SCRIPT", "FLUSH", NULL);
        break;
    default: break;
    }
}

/* -- a request as an operation -- */

static int step(mcpsess_op *op, uint64_t now_ms) {
    const faults_task *t = (const faults_task *)mcpsess_op_object(op);
    rig.records.cls->poll(rig.records.self, now_ms);
    return t->u.store.request.rc == MCPSESS_PENDING ? MCPSESS_PENDING : mcpsess_op_end(op, t->u.store.request.rc);
}

/* Whoever polls the engine may have brought the answer: nobody will be woken for it again. */
static bool has_come(mcpsess_op *op) {
    return ((const faults_task *)mcpsess_op_object(op))->u.store.request.rc != MCPSESS_PENDING;
}

/* What has come is not cancelled any more. */
static void cancel(mcpsess_op *op) {
    faults_task *t = (faults_task *)mcpsess_op_object(op);
    int rc = has_come(op) ? t->u.store.request.rc : MCPSESS_E_CANCELED;
    rig.records.cls->cancel(rig.records.self, &t->u.store.request);
    (void)mcpsess_op_end(op, rc);
}

static uint64_t next_due(mcpsess_op *op, uint64_t now_ms) {
    return has_come(op) ? now_ms : rig.records.cls->next_due(rig.records.self, now_ms);
}

static unsigned want(mcpsess_op *op) {
    return rig.records.cls->want(rig.records.self) | (has_come(op) ? (unsigned)MCPSESS_WANT_NOW : 0u);
}

int faults_ask(faults_task *t, uint32_t timeout_ms) {
    static const mcpsess_op_class steps = {step, cancel, next_due, want};
    mcpsess_request *r = &t->u.store.request;
    mcpsess_op_init(&t->u.op, timeout_ms);
    (void)mcpsess_op_begin(&t->u.op, &steps, t);
    r->deadline_ms = rig.now_ms + timeout_ms;
    if (rig.records.cls->submit(rig.records.self, r, rig.now_ms) != MCPSESS_PENDING)
        return mcpsess_op_end(&t->u.op, r->rc);
    return step(&t->u.op, rig.now_ms);
}

static int begin(const faults_operation *o, faults_task *t, uint32_t timeout_ms) {
    const asked *a = (const asked *)o->what;
    mcpsess_request *r = &t->u.store.request;
    bool lease = a->kind >= MCPSESS_LEASE_ACQUIRE;
    r->kind = a->kind;
    r->mode = a->mode;
    r->guarded = a->guarded;
    if (a->guarded) r->owner = rig.alice;
    r->key = MCPSESS_STR("a");
    if (a->kind == MCPSESS_PUT) r->value = rig.newer;
    if (lease) r->value = MCPSESS_STR("ours");
    r->expect = rig.alices;
    r->ttl_ms = a->ttl_ms;
    if (a->room != 0) t->out.cap = a->room;
    if (a->kind == MCPSESS_GET && !a->presence) r->out = &t->out;
    return faults_ask(t, timeout_ms);
}

/* -- what is true of an answer besides its code -- */

static bool right(const faults_operation *o, const faults_task *t) {
    const asked *a = (const asked *)o->what;
    const mcpsess_request *r = &t->u.store.request;
    switch (a->kind) {
    case MCPSESS_LEASE_ACQUIRE:
    case MCPSESS_LEASE_EXTEND:
        return (int64_t)r->fence == world_fence("a") && r->left_ms > 0 && r->left_ms <= a->ttl_ms;
    case MCPSESS_GET:
    case MCPSESS_TOUCH: return r->left_ms > WORLD_LOW / 2 && r->left_ms <= WORLD_TTL;
    default: return true;
    }
}

#define TABLE .before = before, .begin = begin, .right = right
#define ASKED(...)           \
    .what = &(const asked) { \
        __VA_ARGS__          \
    }
#define ANSWERS(...) \
    { __VA_ARGS__, 0 }
#define READS TABLE, .loss = FAULTS_REPEATED, .answers = ANSWERS(MCPSESS_MISS, MCPSESS_E_TOOBIG)
#define PUTS(how) TABLE, .loss = (how), .answers = ANSWERS(MCPSESS_MISS, MCPSESS_EXISTS, MCPSESS_LOST)
#define LEASES TABLE, .loss = FAULTS_REPEATED, .answers = ANSWERS(MCPSESS_LOST, MCPSESS_BUSY)

static const faults_operation operations[] = {
    {.name = "get, there", READS, ASKED(.stored = OURS, .kind = MCPSESS_GET, .ttl_ms = WORLD_TTL)},
    {.name = "get, absent", READS, ASKED(.stored = NOTHING, .kind = MCPSESS_GET, .ttl_ms = WORLD_TTL)},
    {.name = "get, and refreshed",
     READS,
     ASKED(.stored = OURS_LOW, .kind = MCPSESS_GET, .guarded = true, .ttl_ms = WORLD_TTL)},
    {.name = "get, another's",
     READS,
     ASKED(.stored = THEIRS, .kind = MCPSESS_GET, .guarded = true, .ttl_ms = WORLD_TTL)},
    {.name = "get, too big", READS, ASKED(.stored = OURS, .kind = MCPSESS_GET, .room = 9)},
    {.name = "get, presence alone", READS, ASKED(.stored = OURS, .kind = MCPSESS_GET, .presence = true)},
    {.name = "get, another kind of value", READS, ASKED(.stored = A_LIST, .kind = MCPSESS_GET, .ttl_ms = WORLD_TTL)},
    {.name = "get, the script is gone", READS, ASKED(.stored = OURS_NO_SCRIPT, .kind = MCPSESS_GET), .reloads = true},
    {.name = "touch, there", READS, ASKED(.stored = OURS_LOW, .kind = MCPSESS_TOUCH, .ttl_ms = WORLD_TTL)},
    {.name = "touch, another's",
     READS,
     ASKED(.stored = THEIRS, .kind = MCPSESS_TOUCH, .guarded = true, .ttl_ms = WORLD_TTL)},
    {.name = "touch, absent", READS, ASKED(.stored = NOTHING, .kind = MCPSESS_TOUCH, .ttl_ms = WORLD_TTL)},
    {.name = "create, new",
     PUTS(FAULTS_LOOKED_UP),
     ASKED(.stored = NOTHING, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_CREATE, .ttl_ms = WORLD_TTL)},
    {.name = "create, taken",
     PUTS(FAULTS_LOOKED_UP),
     ASKED(.stored = OURS, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_CREATE, .ttl_ms = WORLD_TTL)},
    {.name = "create, for ever",
     PUTS(FAULTS_LOOKED_UP),
     ASKED(.stored = NOTHING, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_CREATE)},
    {.name = "update, there",
     PUTS(FAULTS_ONCE),
     ASKED(.stored = OURS, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_UPDATE, .guarded = true, .ttl_ms = WORLD_TTL)},
    {.name = "update, absent",
     PUTS(FAULTS_ONCE),
     ASKED(.stored = NOTHING, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_UPDATE, .ttl_ms = WORLD_TTL)},
    {.name = "update, another's",
     PUTS(FAULTS_ONCE),
     ASKED(.stored = THEIRS, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_UPDATE, .guarded = true, .ttl_ms = WORLD_TTL)},
    {.name = "upsert, new",
     PUTS(FAULTS_ONCE),
     ASKED(.stored = NOTHING, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_UPSERT, .ttl_ms = WORLD_TTL)},
    {.name = "upsert, there",
     PUTS(FAULTS_ONCE),
     ASKED(.stored = OURS, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_UPSERT, .guarded = true, .ttl_ms = WORLD_TTL)},
    {.name = "upsert, another's",
     PUTS(FAULTS_ONCE),
     ASKED(.stored = THEIRS, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_UPSERT, .guarded = true, .ttl_ms = WORLD_TTL)},
    {.name = "upsert, the script is gone",
     PUTS(FAULTS_ONCE),
     ASKED(.stored = OURS_NO_SCRIPT, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_UPSERT, .ttl_ms = WORLD_TTL),
     .reloads = true},
    {.name = "compare-and-set, equal",
     PUTS(FAULTS_LOOKED_UP),
     ASKED(.stored = OURS, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_CAS, .ttl_ms = WORLD_TTL)},
    {.name = "compare-and-set, other",
     PUTS(FAULTS_LOOKED_UP),
     ASKED(.stored = THEIRS, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_CAS, .ttl_ms = WORLD_TTL)},
    {.name = "compare-and-set, another's",
     PUTS(FAULTS_LOOKED_UP),
     ASKED(.stored = THEIRS, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_CAS, .guarded = true, .ttl_ms = WORLD_TTL)},
    {.name = "compare-and-set, absent",
     PUTS(FAULTS_LOOKED_UP),
     ASKED(.stored = NOTHING, .kind = MCPSESS_PUT, .mode = MCPSESS_PUT_CAS, .ttl_ms = WORLD_TTL)},
    {.name = "del, there", PUTS(FAULTS_ONCE), ASKED(.stored = OURS, .kind = MCPSESS_DEL)},
    {.name = "del, another's", PUTS(FAULTS_ONCE), ASKED(.stored = THEIRS, .kind = MCPSESS_DEL, .guarded = true)},
    {.name = "del, absent", PUTS(FAULTS_ONCE), ASKED(.stored = NOTHING, .kind = MCPSESS_DEL)},
    {.name = "del if equal, equal",
     PUTS(FAULTS_REPEATED),
     ASKED(.stored = OURS, .kind = MCPSESS_DEL_EQUAL),
     .again = MCPSESS_MISS},
    {.name = "del if equal, other", PUTS(FAULTS_REPEATED), ASKED(.stored = THEIRS, .kind = MCPSESS_DEL_EQUAL)},
    {.name = "del if equal, absent", PUTS(FAULTS_REPEATED), ASKED(.stored = NOTHING, .kind = MCPSESS_DEL_EQUAL)},
    {.name = "acquire, free", LEASES, ASKED(.stored = NOTHING, .kind = MCPSESS_LEASE_ACQUIRE, .ttl_ms = WORLD_TTL)},
    {.name = "acquire, held", LEASES, ASKED(.stored = LEASED_LOW, .kind = MCPSESS_LEASE_ACQUIRE, .ttl_ms = WORLD_TTL)},
    {.name = "acquire, busy", LEASES, ASKED(.stored = LEASED_AWAY, .kind = MCPSESS_LEASE_ACQUIRE, .ttl_ms = WORLD_TTL)},
    {.name = "extend, held", LEASES, ASKED(.stored = LEASED_LOW, .kind = MCPSESS_LEASE_EXTEND, .ttl_ms = WORLD_TTL)},
    {.name = "extend, lost", LEASES, ASKED(.stored = LEASED_AWAY, .kind = MCPSESS_LEASE_EXTEND, .ttl_ms = WORLD_TTL)},
    {.name = "release, held", LEASES, ASKED(.stored = LEASED, .kind = MCPSESS_LEASE_RELEASE), .again = MCPSESS_LOST},
    {.name = "release, lost", LEASES, ASKED(.stored = LEASED_AWAY, .kind = MCPSESS_LEASE_RELEASE)},
};

void faults_requests(const char *path) {
    static const faults_setup setup = {.store = true};
    size_t n;
    faults_begin(&setup, path);
    for (n = 0; n < COUNT_OF(operations); n++) faults_run(&operations[n]);
    faults_end();
}

void faults_requests_in_ram(void) {
    size_t n;
    for (n = 0; n < COUNT_OF(operations); n++) {
        uint8_t stored = ((const asked *)operations[n].what)->stored;
        if (stored != A_LIST && stored != OURS_NO_SCRIPT) faults_run(&operations[n]);
    }
}
