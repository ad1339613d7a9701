/* Every kind of request of a log, on every store that has them: as a writer's next event, its last one again, somebody
   else's. */

#include "faults.h"

/* What there is of the log */
enum { NOTHING, OURS, OURS_LOW, OURS_DONE, FREE, THEIRS, ANOTHERS, A_LIST, OURS_NO_SCRIPT };

typedef struct asked {
    uint8_t stored, kind;
    bool fresh, all;    /* all: a delete of all streams */
    bool done, polling; /* set */
    bool keep;          /* range */
    uint64_t sequence;
    uint64_t confirmed;   /* append */
    const char *data;     /* append */
    int64_t epoch, fence; /* more than the log's */
    uint32_t count, events;
    size_t room; /* 0: plenty */
} asked;

static const char *log_key(void) {
    return rig.world == WORLD_CSHARP ? "mcp:sse:v1:meta:YQ==:cw==" : "mcpsess:m:{a}:s";
}

static void before(const faults_operation *o) {
    const asked *a = (const asked *)o->what;
    world_clear();
    switch (a->stored) {
    case OURS: world_log(&rig.alice, "ours", false, WORLD_TTL); break;
    case OURS_LOW: world_log(&rig.alice, "ours", false, WORLD_LOW); break;
    case OURS_DONE: world_log(&rig.alice, NULL, true, WORLD_TTL); break;
    case FREE: world_log(&rig.alice, NULL, false, WORLD_TTL); break;
    case THEIRS: world_log(&rig.alice, "theirs", false, WORLD_TTL); break;
    case ANOTHERS: world_log(&rig.bob, "ours", false, WORLD_TTL); break;
    case A_LIST:
        (void)world_owner("RPUSH", log_key(), "x", NULL);
        (void)world_owner("PEXPIRE", log_key(), "90000", NULL);
        break;
    case OURS_NO_SCRIPT:
        world_log(&rig.alice, "ours", false, WORLD_TTL);
        (void)world_owner("SCRIPT", "FLUSH", NULL);
        break;
    default: break;
    }
}

static const mcpsess_log_limits ttls = {0, 0, WORLD_TTL, WORLD_TTL, WORLD_TTL, WORLD_TTL};
static const mcpsess_log_limits two_events = {2, 0, WORLD_TTL, WORLD_TTL, WORLD_TTL, WORLD_TTL};

/* The text of a JSON string without its quotes. */
static mcpsess_str inside(const char *json) {
    mcpsess_str s = mcpsess_str_z(json);
    return mcpsess_str_of(s.ptr + 1, s.len - 2);
}

static int begin(const faults_operation *o, faults_task *t, uint32_t timeout_ms) {
    const asked *a = (const asked *)o->what;
    mcpsess_log_request *r = &t->u.log.request;
    r->request.kind = a->kind;
    r->request.key = MCPSESS_STR("a");
    r->request.guarded = true;
    r->request.owner = rig.alice;
    r->request.value = MCPSESS_STR("ours");
    r->request.ttl_ms = a->kind == MCPSESS_LOG_RANGE && !a->keep ? 0 : WORLD_TTL;
    r->request.count = a->count;
    if (a->room != 0) t->out.cap = a->room;
    if (a->kind == MCPSESS_LOG_RANGE) r->request.out = &t->out;
    if (!a->all) r->log.stream = MCPSESS_STR("s");
    r->log.limits = a->events != 0 ? &two_events : &ttls;
    r->log.fresh = a->fresh;
    r->log.epoch = rig.log_epoch + (uint64_t)a->epoch;
    if (rig.world == WORLD_CSHARP && a->epoch != 0) r->log.epoch = 1; /* there are none */
    r->log.writer = rig.log_writer + (uint64_t)a->fence;
    r->log.sequence = a->sequence;
    r->log.confirmed = a->confirmed;
    r->log.streaming = !a->polling;
    r->log.done = a->done;
    if (a->data != NULL) r->log.event.data = mcpsess_str_z(a->data);
    if (a->data != NULL && rig.world != WORLD_CSHARP) r->log.event.data = inside(a->data);
    return faults_ask(t, timeout_ms);
}

/* The last sequence of a log that was opened. Without an epoch one that begins anew leaves out a number. */
static uint64_t begun(const asked *a) {
    if (a->stored == NOTHING) return 0;
    if (a->fresh) return rig.world == WORLD_CSHARP ? 4 : 0;
    return 3;
}

/* What is true of an answer besides its code. */
static bool right(const faults_operation *o, const faults_task *t) {
    const asked *a = (const asked *)o->what;
    const mcpsess_log_request *r = &t->u.log.request;
    bool held = r->request.left_ms > 0 && r->request.left_ms <= WORLD_TTL;
    switch (a->kind) {
    case MCPSESS_LOG_OPEN:
        return (int64_t)r->log.epoch == world_log_number('e') && (int64_t)r->log.writer == world_log_number('w') &&
               r->log.last == begun(a) && held;
    case MCPSESS_LOG_APPEND: return r->log.last == 4 && held;
    case MCPSESS_LOG_SET: return r->log.last == 3 && (a->done || held);
    case MCPSESS_LOG_RANGE:
    case MCPSESS_LOG_STATE:
        if (rig.world == WORLD_CSHARP && a->kind == MCPSESS_LOG_RANGE && !a->keep)
            return r->log.first == a->sequence + 1;
        return r->log.last == 3 && r->log.first == 1 && r->log.epoch == rig.log_epoch;
    default: return r->request.count == 3 || r->request.count == 0; /* an earlier try may have done it */
    }
}

#define TABLE .before = before, .begin = begin, .right = right, .loss = FAULTS_REPEATED
#define ASKED(...)           \
    .what = &(const asked) { \
        __VA_ARGS__          \
    }
#define ANSWERS(...) \
    { __VA_ARGS__, 0 }
#define OPENS TABLE, .answers = ANSWERS(MCPSESS_BUSY, MCPSESS_END, MCPSESS_MISS)
#define WRITES TABLE, .answers = ANSWERS(MCPSESS_DUP, MCPSESS_LOST, MCPSESS_FENCED, MCPSESS_LOST_TAIL, MCPSESS_MISS)
#define READS TABLE, .answers = ANSWERS(MCPSESS_GAP, MCPSESS_MISS, MCPSESS_E_TOOBIG, MCPSESS_E_FORMAT)
#define DELETES TABLE

static const faults_operation operations[] = {
    {.name = "open, new", OPENS, ASKED(.stored = NOTHING, .kind = MCPSESS_LOG_OPEN)},
    {.name = "open, ours", OPENS, ASKED(.stored = OURS_LOW, .kind = MCPSESS_LOG_OPEN)},
    {.name = "open, taken over", OPENS, ASKED(.stored = FREE, .kind = MCPSESS_LOG_OPEN)},
    {.name = "open, busy", OPENS, ASKED(.stored = THEIRS, .kind = MCPSESS_LOG_OPEN)},
    {.name = "open, complete", OPENS, ASKED(.stored = OURS_DONE, .kind = MCPSESS_LOG_OPEN)},
    {.name = "open, anew", OPENS, ASKED(.stored = OURS_DONE, .kind = MCPSESS_LOG_OPEN, .fresh = true)},
    {.name = "open, another's", OPENS, ASKED(.stored = ANOTHERS, .kind = MCPSESS_LOG_OPEN, .fresh = true)},
    {.name = "append, the next",
     WRITES,
     ASKED(.stored = OURS_LOW, .kind = MCPSESS_LOG_APPEND, .sequence = 4, .confirmed = 3, .data = "\"four\""),
     .again = MCPSESS_DUP},
    {.name = "append, and two go",
     WRITES,
     ASKED(.stored = OURS, .kind = MCPSESS_LOG_APPEND, .sequence = 4, .confirmed = 3, .data = "\"four\"", .events = 2),
     .again = MCPSESS_DUP},
    {.name = "append, once more",
     WRITES,
     ASKED(.stored = OURS, .kind = MCPSESS_LOG_APPEND, .sequence = 3, .confirmed = 2, .data = "\"three\"")},
    {.name = "append, other bytes",
     WRITES,
     ASKED(.stored = OURS, .kind = MCPSESS_LOG_APPEND, .sequence = 3, .confirmed = 2, .data = "\"four\"")},
    {.name = "append, replaced",
     WRITES,
     ASKED(.stored = OURS, .kind = MCPSESS_LOG_APPEND, .sequence = 4, .confirmed = 3, .data = "\"four\"", .fence = -1)},
    {.name = "append, the tail is lost",
     WRITES,
     ASKED(.stored = OURS, .kind = MCPSESS_LOG_APPEND, .sequence = 6, .confirmed = 5, .data = "\"six\"")},
    {.name = "append, absent",
     WRITES,
     ASKED(.stored = NOTHING, .kind = MCPSESS_LOG_APPEND, .sequence = 4, .confirmed = 3, .data = "\"four\"")},
    {.name = "append, another kind of value",
     WRITES,
     ASKED(.stored = A_LIST, .kind = MCPSESS_LOG_APPEND, .sequence = 4, .confirmed = 3, .data = "\"four\"")},
    {.name = "append, the script is gone",
     WRITES,
     ASKED(.stored = OURS_NO_SCRIPT, .kind = MCPSESS_LOG_APPEND, .sequence = 4, .confirmed = 3, .data = "\"four\""),
     .again = MCPSESS_DUP,
     .reloads = true},
    {.name = "range, all", READS, ASKED(.stored = OURS, .kind = MCPSESS_LOG_RANGE)},
    {.name = "range, a page", READS, ASKED(.stored = OURS, .kind = MCPSESS_LOG_RANGE, .sequence = 1, .count = 1)},
    {.name = "range, nothing new", READS, ASKED(.stored = OURS, .kind = MCPSESS_LOG_RANGE, .sequence = 3)},
    {.name = "range, and kept", READS, ASKED(.stored = OURS_LOW, .kind = MCPSESS_LOG_RANGE, .keep = true)},
    {.name = "range, too big", READS, ASKED(.stored = OURS, .kind = MCPSESS_LOG_RANGE, .room = 8)},
    {.name = "range, a gap", READS, ASKED(.stored = OURS, .kind = MCPSESS_LOG_RANGE, .sequence = 4)},
    {.name = "range, another epoch", READS, ASKED(.stored = OURS, .kind = MCPSESS_LOG_RANGE, .epoch = -1)},
    {.name = "range, another's", READS, ASKED(.stored = ANOTHERS, .kind = MCPSESS_LOG_RANGE)},
    {.name = "state", READS, ASKED(.stored = OURS, .kind = MCPSESS_LOG_STATE)},
    {.name = "state, absent", READS, ASKED(.stored = NOTHING, .kind = MCPSESS_LOG_STATE)},
    {.name = "set, polling", WRITES, ASKED(.stored = OURS, .kind = MCPSESS_LOG_SET, .sequence = 3, .polling = true)},
    {.name = "set, complete", WRITES, ASKED(.stored = OURS, .kind = MCPSESS_LOG_SET, .sequence = 3, .done = true)},
    {.name = "set, the tail is lost",
     WRITES,
     ASKED(.stored = OURS, .kind = MCPSESS_LOG_SET, .sequence = 4, .done = true)},
    {.name = "del, one", DELETES, ASKED(.stored = OURS, .kind = MCPSESS_LOG_DEL)},
    {.name = "del, all", DELETES, ASKED(.stored = OURS, .kind = MCPSESS_LOG_DEL, .all = true)},
    {.name = "del, another's", DELETES, ASKED(.stored = ANOTHERS, .kind = MCPSESS_LOG_DEL, .all = true)},
};

void faults_logs(const char *path) {
    static const faults_setup setup = {.store = true};
    size_t n;
    faults_begin(&setup, path);
    for (n = 0; n < COUNT_OF(operations); n++) faults_run(&operations[n]);
    faults_end();
}

void faults_csharp(const char *path) {
    static const faults_setup setup = {.csharp = true};
    size_t n;
    faults_begin(&setup, path);
    for (n = 0; n < COUNT_OF(operations); n++) faults_run(&operations[n]);
    faults_end();
}

void faults_logs_in_ram(void) {
    size_t n;
    for (n = 0; n < COUNT_OF(operations); n++) {
        uint8_t stored = ((const asked *)operations[n].what)->stored;
        if (stored != A_LIST && stored != OURS_NO_SCRIPT) faults_run(&operations[n]);
    }
}
