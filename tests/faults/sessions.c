/* Every operation on sessions, over the store on Redis and over memory: with nothing known locally, with a copy to be
   confirmed, with a fresh one; there, absent, changed elsewhere, somebody else's. */

#include "faults.h"

enum { NOTHING, OURS, OURS_LOW, OURS_NEWER, THEIRS };              /* stored in the end */
enum { COLD, MARKED, FRESH };                                      /* the local copy, of alices */
enum { LOAD, EXISTS, TOUCH, STORE, CREATE, UPDATE, DELETE, SWEEP }; /* verb */

typedef struct asked {
    uint8_t verb, stored, known;
} asked;

static void before(const faults_operation *o) {
    const asked *a = (const asked *)o->what;
    world_clear();
    faults_table();
    if (a->stored != NOTHING || a->known != COLD) world_put("a", rig.alices, WORLD_TTL);
    if (a->known != COLD) faults_sync();
    if (a->known != COLD) CHECK_EQ(faults_load(&rig.fresh, "a"), MCPSESS_OK);
    if (a->known == MARKED) CHECK_EQ(mcpsess_session_mark(&rig.table, MCPSESS_STR("a")), MCPSESS_OK);
    if (a->stored == NOTHING && a->known != COLD) world_del("a");
    if (a->stored == OURS_LOW) world_put("a", rig.alices, WORLD_LOW);
    if (a->stored == OURS_NEWER) world_put("a", rig.newer, WORLD_TTL);
    if (a->stored == THEIRS) world_put("a", rig.bobs, WORLD_TTL);
    if (rig.world == WORLD_RAM && a->known == FRESH && a->stored != OURS) test_store_push(&rig.net, "a");
}

static int begin(const faults_operation *o, faults_task *t, uint32_t timeout_ms) {
    const asked *a = (const asked *)o->what;
    const mcpsess_str id = MCPSESS_STR("a");
    mcpsess_op_init(&t->u.op, timeout_ms);
    switch (a->verb) {
    case LOAD: return mcpsess_session_load(&rig.table, &t->u.op, id, &rig.alice, &t->out, rig.now_ms);
    case EXISTS: return mcpsess_session_exists(&rig.table, &t->u.op, id, &rig.alice, rig.now_ms);
    case TOUCH: return mcpsess_session_touch(&rig.table, &t->u.op, id, &rig.alice, rig.now_ms);
    case STORE: return mcpsess_session_store(&rig.table, &t->u.op, rig.newer, rig.now_ms);
    case CREATE: return mcpsess_session_create(&rig.table, &t->u.op, rig.newer, rig.now_ms);
    case UPDATE: return mcpsess_session_update(&rig.table, &t->u.op, rig.newer, rig.now_ms);
    case DELETE: return mcpsess_session_del(&rig.table, &t->u.op, id, &rig.alice, rig.now_ms);
    default: return mcpsess_session_sweep(&rig.table, &t->u.op, rig.now_ms);
    }
}

static bool right(const faults_operation *o, const faults_task *t) {
    const asked *a = (const asked *)o->what;
    if (a->verb > TOUCH) return true;
    return t->u.op.left_ms > 0 && t->u.op.left_ms <= WORLD_TTL;
}

#define ASKED(verb, stored, known) .what = &(const asked){verb, stored, known}, .before = before, .begin = begin
#define READS .loss = FAULTS_REPEATED, .tier = true, .right = right, .answers = {MCPSESS_MISS, MCPSESS_E_FORMAT, 0}
#define WRITES(how) .loss = (how), .tier = true, .answers = {MCPSESS_MISS, MCPSESS_EXISTS, MCPSESS_LOST, 0}

static const faults_operation operations[] = {
    {.name = "load, not known", READS, ASKED(LOAD, OURS, COLD)},
    {.name = "load, not known, absent", READS, ASKED(LOAD, NOTHING, COLD)},
    {.name = "load, another's", READS, ASKED(LOAD, THEIRS, COLD)},
    {.name = "load, and refreshed", READS, ASKED(LOAD, OURS_LOW, COLD)},
    {.name = "load, to be confirmed", READS, ASKED(LOAD, OURS, MARKED)},
    {.name = "load, changed elsewhere", READS, ASKED(LOAD, OURS_NEWER, FRESH)},
    {.name = "load, ended elsewhere", READS, ASKED(LOAD, NOTHING, FRESH)},
    {.name = "exists", READS, ASKED(EXISTS, OURS, COLD)},
    {.name = "exists, absent", READS, ASKED(EXISTS, NOTHING, MARKED)},
    {.name = "touch", READS, ASKED(TOUCH, OURS_LOW, COLD)},
    {.name = "touch, known", READS, ASKED(TOUCH, OURS, MARKED)},
    {.name = "touch, absent", READS, ASKED(TOUCH, NOTHING, MARKED)},
    {.name = "store, new", WRITES(FAULTS_ONCE), ASKED(STORE, NOTHING, COLD)},
    {.name = "store, known", WRITES(FAULTS_ONCE), ASKED(STORE, OURS, FRESH)},
    {.name = "store, another's", WRITES(FAULTS_ONCE), ASKED(STORE, THEIRS, COLD)},
    {.name = "create, new session", WRITES(FAULTS_LOOKED_UP), ASKED(CREATE, NOTHING, COLD)},
    {.name = "create, known", WRITES(FAULTS_LOOKED_UP), ASKED(CREATE, OURS, FRESH)},
    {.name = "update, known", WRITES(FAULTS_ONCE), ASKED(UPDATE, OURS, FRESH)},
    {.name = "update, ended elsewhere", WRITES(FAULTS_ONCE), ASKED(UPDATE, NOTHING, FRESH)},
    {.name = "delete, known", WRITES(FAULTS_ONCE), ASKED(DELETE, OURS, FRESH)},
    {.name = "delete, not known", WRITES(FAULTS_ONCE), ASKED(DELETE, OURS, COLD)},
    {.name = "delete, absent", WRITES(FAULTS_ONCE), ASKED(DELETE, NOTHING, COLD)},
    {.name = "delete, another's", WRITES(FAULTS_ONCE), ASKED(DELETE, THEIRS, COLD)},
    {.name = "sweep", WRITES(FAULTS_REPEATED), ASKED(SWEEP, OURS, FRESH)},
};

void faults_sessions(const char *path) {
    static const faults_setup setup = {.store = true, .tracking = MCPSESS_REDIS_TRACK_KEYS};
    size_t n;
    faults_begin(&setup, path);
    for (n = 0; n < COUNT_OF(operations); n++) faults_run(&operations[n]);
    faults_end();
}

void faults_sessions_in_ram(void) {
    size_t n;
    for (n = 0; n < COUNT_OF(operations); n++) faults_run(&operations[n]);
}
