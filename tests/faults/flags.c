/* Every kind of request about a flag, on every store that has them: set already, being loaded, or neither; as whoever
   loads, and as somebody else. Leases alone are among the requests. */

#include "faults.h"

/* What there is of the key "a" */
enum { NOTHING, FLAG, FLAG_LOW, ANOTHER_FLAG, OURS, OURS_LOW, THEIRS, FLAG_AND_THEIRS, A_LIST, OURS_NO_SCRIPT };

typedef struct asked {
    uint8_t stored, kind;
    bool revoke;    /* a clear */
    bool presence;  /* without out */
    bool unguarded; /* a set without a token */
    size_t room;    /* 0: plenty */
} asked;

static void before(const faults_operation *o) {
    const asked *a = (const asked *)o->what;
    world_clear();
    switch (a->stored) {
    case FLAG: world_flag("v1", "data", WORLD_TTL); break;
    case FLAG_LOW: world_flag("v1", "data", WORLD_LOW); break;
    case ANOTHER_FLAG: world_flag("v2", "data", WORLD_TTL); break;
    case OURS: world_lease("a", "ours", WORLD_TTL); break;
    case OURS_LOW: world_lease("a", "ours", WORLD_LOW); break;
    case FLAG_AND_THEIRS:
        world_flag("v1", "data", WORLD_TTL); /* and */
    /* fall through */
    case THEIRS: world_lease("a", "theirs", WORLD_TTL); break;
    case A_LIST:
        (void)world_owner("RPUSH", world_flag_key(), "x", NULL);
        (void)world_owner("PEXPIRE", world_flag_key(), "90000", NULL);
        break;
    case OURS_NO_SCRIPT:
        world_lease("a", "ours", WORLD_TTL);
        (void)world_owner("SCRIPT", "FLUSH", NULL);
        break;
    default: break;
    }
}

static int begin(const faults_operation *o, faults_task *t, uint32_t timeout_ms) {
    const asked *a = (const asked *)o->what;
    mcpsess_flag_request *f = &t->u.flag.request;
    f->request.kind = a->kind;
    f->request.mode = a->revoke ? 1 : 0;
    f->request.key = MCPSESS_STR("a");
    if (!a->unguarded) f->request.value = MCPSESS_STR("ours");
    f->request.expect = MCPSESS_STR("v1");
    f->request.ttl_ms = WORLD_TTL;
    if (rig.world != WORLD_LIBRECHAT) f->data = MCPSESS_STR("loaded");
    if (a->room != 0) t->out.cap = a->room;
    if (!a->presence) f->request.out = &t->out;
    return faults_ask(t, timeout_ms);
}

/* What is true of an answer besides its code. */
static bool right(const faults_operation *o, const faults_task *t) {
    const asked *a = (const asked *)o->what;
    const mcpsess_request *r = &t->u.flag.request.request;
    if (a->kind == MCPSESS_FLAG_CLEAR) return r->left_ms == 0;
    if (r->left_ms == 0 || r->left_ms > WORLD_TTL) return false;
    if (a->kind == MCPSESS_FLAG_CLAIM && r->rc == MCPSESS_OK) return (int64_t)r->fence == world_fence("a");
    return true;
}

#define TABLE .before = before, .begin = begin, .right = right
#define ASKED(...)           \
    .what = &(const asked) { \
        __VA_ARGS__          \
    }
#define ANSWERS(...) \
    { __VA_ARGS__, 0 }
#define READS \
    TABLE, .loss = FAULTS_REPEATED, .answers = ANSWERS(MCPSESS_MISS, MCPSESS_BUSY, MCPSESS_E_TOOBIG, MCPSESS_E_FORMAT)
#define CLAIMS \
    TABLE, .loss = FAULTS_REPEATED, .answers = ANSWERS(MCPSESS_EXISTS, MCPSESS_BUSY, MCPSESS_E_TOOBIG, MCPSESS_E_FORMAT)
#define SETS(how) TABLE, .loss = (how), .answers = ANSWERS(MCPSESS_LOST)
#define CLEARS TABLE, .loss = FAULTS_REPEATED, .answers = ANSWERS(MCPSESS_MISS)

static const faults_operation operations[] = {
    {.name = "get, set", READS, ASKED(.stored = FLAG_LOW, .kind = MCPSESS_FLAG_GET)},
    {.name = "get, set, and being loaded again", READS, ASKED(.stored = FLAG_AND_THEIRS, .kind = MCPSESS_FLAG_GET)},
    {.name = "get, of another configuration", READS, ASKED(.stored = ANOTHER_FLAG, .kind = MCPSESS_FLAG_GET)},
    {.name = "get, being loaded", READS, ASKED(.stored = THEIRS, .kind = MCPSESS_FLAG_GET)},
    {.name = "get, absent", READS, ASKED(.stored = NOTHING, .kind = MCPSESS_FLAG_GET)},
    {.name = "get, too big", READS, ASKED(.stored = FLAG, .kind = MCPSESS_FLAG_GET, .room = 3)},
    {.name = "get, presence alone", READS, ASKED(.stored = FLAG, .kind = MCPSESS_FLAG_GET, .presence = true)},
    {.name = "get, another kind of value", READS, ASKED(.stored = A_LIST, .kind = MCPSESS_FLAG_GET)},
    {.name = "claim, free", CLAIMS, ASKED(.stored = NOTHING, .kind = MCPSESS_FLAG_CLAIM)},
    {.name = "claim, of another configuration", CLAIMS, ASKED(.stored = ANOTHER_FLAG, .kind = MCPSESS_FLAG_CLAIM)},
    {.name = "claim, held", CLAIMS, ASKED(.stored = OURS_LOW, .kind = MCPSESS_FLAG_CLAIM)},
    {.name = "claim, busy", CLAIMS, ASKED(.stored = THEIRS, .kind = MCPSESS_FLAG_CLAIM)},
    {.name = "claim, set", CLAIMS, ASKED(.stored = FLAG, .kind = MCPSESS_FLAG_CLAIM)},
    {.name = "claim, too big", CLAIMS, ASKED(.stored = FLAG, .kind = MCPSESS_FLAG_CLAIM, .room = 3)},
    {.name = "claim, another kind of value", CLAIMS, ASKED(.stored = A_LIST, .kind = MCPSESS_FLAG_CLAIM)},
    {.name = "claim, the script is gone",
     CLAIMS,
     ASKED(.stored = OURS_NO_SCRIPT, .kind = MCPSESS_FLAG_CLAIM),
     .reloads = true},
    {.name = "set, held",
     SETS(FAULTS_REPEATED),
     ASKED(.stored = OURS, .kind = MCPSESS_FLAG_SET),
     .again = MCPSESS_LOST},
    {.name = "set, lost", SETS(FAULTS_REPEATED), ASKED(.stored = THEIRS, .kind = MCPSESS_FLAG_SET)},
    {.name = "set, lost, and by now set", SETS(FAULTS_REPEATED), ASKED(.stored = FLAG, .kind = MCPSESS_FLAG_SET)},
    {.name = "set, by nobody", SETS(FAULTS_ONCE), ASKED(.stored = THEIRS, .kind = MCPSESS_FLAG_SET, .unguarded = true)},
    {.name = "clear, set", CLEARS, ASKED(.stored = FLAG, .kind = MCPSESS_FLAG_CLEAR), .again = MCPSESS_MISS},
    {.name = "clear, absent", CLEARS, ASKED(.stored = OURS, .kind = MCPSESS_FLAG_CLEAR)},
    {.name = "clear, and revoked",
     CLEARS,
     ASKED(.stored = FLAG_AND_THEIRS, .kind = MCPSESS_FLAG_CLEAR, .revoke = true),
     .again = MCPSESS_MISS},
    {.name = "clear, revoked alone",
     CLEARS,
     ASKED(.stored = THEIRS, .kind = MCPSESS_FLAG_CLEAR, .revoke = true),
     .again = MCPSESS_MISS},
};

void faults_flags(const char *path) {
    static const faults_setup setup = {.store = true};
    size_t n;
    faults_begin(&setup, path);
    for (n = 0; n < COUNT_OF(operations); n++) faults_run(&operations[n]);
    faults_end();
}

/* Without data nothing is too big. */
void faults_librechat(const char *path) {
    static const faults_setup setup = {.librechat = true};
    size_t n;
    faults_begin(&setup, path);
    for (n = 0; n < COUNT_OF(operations); n++) {
        if (((const asked *)operations[n].what)->room == 0) faults_run(&operations[n]);
    }
    faults_end();
}

void faults_flags_in_ram(void) {
    size_t n;
    for (n = 0; n < COUNT_OF(operations); n++) {
        uint8_t stored = ((const asked *)operations[n].what)->stored;
        if (stored != A_LIST && stored != OURS_NO_SCRIPT) faults_run(&operations[n]);
    }
}
