/* merge against a naive reference: workers of several tables over one store that fails in every way. Each counts in a
   pair of its own, and takes backends out of a list that all share; the session ends, and another takes its place.

   A request takes effect when it is submitted, so when an operation is done the reference may look at the store itself:
   what was answered OK is there, once; what failed is not; an unknown outcome is either. What was under way while the
   session ended may have been done to the one before. */

#include "session_rig.h"

#if PORT_SMALL
#define TABLES 2u
#else
#define TABLES 3u
#endif
#define WORKERS (TABLES + 1u) /* two of them share the first table */
#define BACKENDS 6u
#define TIMEOUT 60u

static const mcpsess_backends names = {LIT("l"), LIT("s.")};
static const mcpsess_str one = LIT("1");

static struct {
    mcpsess_sessions *table;
    test_store *net;
    mcpsess_sessions own;
    test_store own_net;
} tables[TABLES];
MCPSESS_SESSION_STORAGE(tier_mem[TABLES], 2, RIG_RECORD_MAX, 3, RIG_RECORD_MAX);

enum { IDLE, COUNT, COUNT_AGAIN, EXPIRE, LOAD };

typedef struct worker {
    mcpsess_merge_op m;
    mcpsess_buf out;
    char mem[MCPSESS_MERGE_BYTES(RIG_RECORD_MAX)];
    mcpsess_merge how;
    uint64_t deadline;
    uint32_t count; /* how often it has counted */
    uint32_t told;  /* what of that it was told */
    uint32_t floor; /* told, when a load began */
    uint8_t number, kind, backend;
    bool crossed; /* the session ended meanwhile */
} worker;

static worker workers[WORKERS];
static bool lives, gone[BACKENDS];
static uint32_t counted, expired, uncertain;

/* ---- the record ---- */

static mcpsess_str key_of(const worker *w) {
    static const char keys[] = "nopq";
    return mcpsess_str_of(keys + w->number, 1);
}

static mcpsess_str backend_of(unsigned n) {
    static const char letters[] = "abcdef";
    return mcpsess_str_of(letters + n, 1);
}

static uint32_t count_in(mcpsess_str bytes, const worker *w) {
    mcpsess_record r;
    mcpsess_str text;
    uint64_t n = 0;
    CHECK_EQ(mcpsess_record_decode(bytes, &r), MCPSESS_OK);
    if (mcpsess_record_get(&r, key_of(w), &text) == MCPSESS_OK)
        CHECK_EQ(mcpsess_u64_decode(text, UINT32_MAX, &n), MCPSESS_OK);
    return (uint32_t)n;
}

static bool lists(mcpsess_str bytes, unsigned backend) {
    mcpsess_record r;
    mcpsess_str name, session;
    size_t cursor = 0;
    CHECK_EQ(mcpsess_record_decode(bytes, &r), MCPSESS_OK);
    while (mcpsess_backends_next(&names, &r, &cursor, &name, &session) == MCPSESS_OK) {
        if (mcpsess_str_eq(name, backend_of(backend))) return true;
    }
    return false;
}

static int at_store(uint8_t kind, mcpsess_buf *out, mcpsess_str value) {
    mcpsess_store ram = mcpsess_memstore_store(&rig.ram);
    mcpsess_request q;
    memset(&q, 0, sizeof q);
    q.kind = kind;
    q.mode = MCPSESS_PUT_CREATE;
    q.key = one;
    q.out = out;
    q.value = value;
    q.ttl_ms = RIG_TTL;
    return ram.cls->submit(ram.self, &q, rig.now);
}

static mcpsess_str stored(void) {
    mcpsess_buf_init(&rig.out, rig.out_mem, sizeof rig.out_mem);
    return at_store(MCPSESS_GET, &rig.out, one) == MCPSESS_OK ? mcpsess_buf_str(&rig.out) : mcpsess_str_of(NULL, 0);
}

/* ---- what is done ---- */

static int count(void *user, mcpsess_buf *record) {
    worker *w = (worker *)user;
    char digits[24];
    mcpsess_buf b;
    uint32_t n = count_in(mcpsess_buf_str(record), w);
    if (w->kind == COUNT_AGAIN && n > w->count) return MCPSESS_END; /* it was done before */
    mcpsess_buf_init(&b, digits, sizeof digits);
    mcpsess_buf_put_u64(&b, n + 1u);
    return mcpsess_record_put(record, key_of(w), mcpsess_buf_str(&b));
}

static int begin_any(worker *w) {
    mcpsess_sessions *table = tables[w->number % TABLES].table;
    switch (w->kind) {
    case EXPIRE:
        return mcpsess_session_backend_expired(table, &w->m, one, &rig.nobody, &names, backend_of(w->backend), w->mem,
                                               sizeof w->mem, rig.now);
    case LOAD: return mcpsess_session_load(table, &w->m.op, one, &rig.nobody, &w->out, rig.now);
    default: return mcpsess_session_merge(table, &w->m, one, &rig.nobody, &w->how, w->mem, sizeof w->mem, rig.now);
    }
}

/* may this be how it ended? */
static bool ends_so(int rc) {
    switch (rc) {
    case MCPSESS_OK:
    case MCPSESS_MISS:
    case MCPSESS_E_IO:
    case MCPSESS_E_UNKNOWN:
    case MCPSESS_E_TIMEOUT:
    case MCPSESS_E_CANCELED: return true;
    default: return false;
    }
}

static bool unknown(int rc) {
    return rc == MCPSESS_E_UNKNOWN || rc == MCPSESS_E_TIMEOUT || rc == MCPSESS_E_CANCELED;
}

static bool count_right(worker *w, int rc) {
    uint32_t done = 0;
    mcpsess_str bytes = stored();
    bool sure = (rc == MCPSESS_OK || rc == MCPSESS_END) && !w->crossed, maybe = unknown(rc) || w->crossed;
    if (bytes.ptr != NULL) done = count_in(bytes, w) - w->count;
    w->count += done;
    if (sure) w->told = w->count;
    counted += sure ? 1u : 0u;
    uncertain += maybe ? 1u : 0u;
    if (!lives) return !sure; /* what was done before was done to the one that has ended */
    return sure ? done == 1 : maybe ? done <= 1 : done == 0;
}

static bool expire_right(const worker *w, int rc) {
    if (!lives || w->crossed) return true;
    if (rc == MCPSESS_OK) {
        gone[w->backend] = true;
        expired++;
    }
    return true; /* every step looks at all of them */
}

static bool load_right(const worker *w, int rc) {
    return rc != MCPSESS_OK || w->crossed || count_in(mcpsess_buf_str(&w->out), w) >= w->floor;
}

static bool finished(worker *w, int rc) {
    uint8_t number = w->number;
    uint32_t counts, told;
    bool ok = ends_so(rc) || (w->kind == COUNT_AGAIN && rc == MCPSESS_END);
    if (w->kind == COUNT || w->kind == COUNT_AGAIN) ok = count_right(w, rc) && ok;
    if (w->kind == EXPIRE) ok = expire_right(w, rc) && ok;
    if (w->kind == LOAD) ok = load_right(w, rc) && ok;
    counts = w->count;
    told = w->told;
    memset(w, 0xC3, sizeof *w); /* the caller's memory is his own again */
    w->number = number;
    w->count = counts;
    w->told = told;
    w->kind = IDLE;
    return ok;
}

static bool begin_one(worker *w) {
    static const uint8_t kinds[] = {COUNT, COUNT, COUNT_AGAIN, COUNT_AGAIN, EXPIRE, LOAD};
    int rc;
    mcpsess_op_init(&w->m.op, 1u + random_below(TIMEOUT));
    mcpsess_buf_init(&w->out, w->mem, RIG_RECORD_MAX);
    w->deadline = rig.now + w->m.op.timeout_ms;
    w->kind = kinds[random_below(COUNT_OF(kinds))];
    w->backend = (uint8_t)random_below(BACKENDS);
    w->how.merge = count;
    w->how.user = w;
    w->how.repeats = w->kind == COUNT_AGAIN;
    w->crossed = false;
    w->floor = w->told;
    rc = begin_any(w);
    return rc == MCPSESS_PENDING || finished(w, rc);
}

static void new_weather(test_store *net) {
    static const int codes[] = {MCPSESS_OK, MCPSESS_OK, MCPSESS_OK, MCPSESS_E_IO, MCPSESS_E_UNKNOWN};
    net->fail = codes[random_below(COUNT_OF(codes))];
    net->fail_after = net->fail == MCPSESS_E_UNKNOWN && random_below(2) == 0;
    net->unsure = random_below(6) == 0;
    net->delay = (unsigned)random_below(4);
    net->hang = random_below(20) == 0;
    net->newest_first = random_below(3) == 0;
    if (random_below(4) == 0) test_store_release(net);
}

/* The session ends, or another one begins under its id, somewhere else. */
static void end_or_begin(void) {
    static char mem[RIG_RECORD_MAX];
    mcpsess_record r;
    mcpsess_buf b;
    unsigned n;
    if (lives) {
        CHECK_EQ(at_store(MCPSESS_DEL, NULL, one), MCPSESS_OK);
    } else {
        memset(&r, 0, sizeof r);
        r.id = one;
        r.state = MCPSESS_STATE_ACTIVE;
        mcpsess_buf_init(&b, mem, sizeof mem);
        CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
        CHECK_EQ(mcpsess_record_put(&b, names.list, MCPSESS_STR("a,b,c,d,e,f")), MCPSESS_OK);
        CHECK_EQ(at_store(MCPSESS_PUT, NULL, mcpsess_buf_str(&b)), MCPSESS_OK);
    }
    lives = !lives;
    memset(gone, 0, sizeof gone);
    for (n = 0; n < WORKERS; n++) {
        workers[n].crossed = true;
        workers[n].count = workers[n].told = 0;
    }
}

static bool step(void) {
    worker *w = &workers[random_below(WORKERS)];
    int rc;
    rig.now += random_below(8);
    if (random_below(3) == 0) new_weather(tables[random_below(TABLES)].net);
    if (random_below(lives ? 300 : 20) == 0) end_or_begin();
    if (w->kind == IDLE) return begin_one(w);
    if (random_below(12) == 0) {
        mcpsess_cancel(&w->m.op);
        rc = mcpsess_poll(&w->m.op, rig.now);
        return rc != MCPSESS_PENDING && finished(w, rc);
    }
    rc = mcpsess_poll(&w->m.op, rig.now);
    if (rc == MCPSESS_PENDING) return rig.now < w->deadline;
    return finished(w, rc);
}

/* What nobody is at is as the reference has it. */
static bool holds(void) {
    mcpsess_str bytes = stored();
    unsigned n;
    if ((bytes.ptr != NULL) != lives) return false; /* nothing comes back */
    for (n = 0; n < BACKENDS && lives; n++) {
        if (gone[n] && lists(bytes, n)) return false;
    }
    for (n = 0; n < WORKERS && lives; n++) {
        if (workers[n].kind == IDLE && count_in(bytes, &workers[n]) != workers[n].count) return false;
    }
    for (n = 0; n < TABLES; n++) {
        if (mcpsess_session_check(tables[n].table) != MCPSESS_OK || tables[n].net->misuse) return false;
    }
    return mcpsess_memstore_check(&rig.ram) == MCPSESS_OK && !rig.lock_misuse && rig.lock_depth == 0;
}

static void start(void) {
    mcpsess_session_desc d = rig_desc();
    unsigned n;
    d.capacity = 2;
    d.timeout_ms = 100;
    rig_start(&d);
    for (n = 0; n < TABLES; n++) {
        tables[n].table = &tables[n].own;
        tables[n].net = &tables[n].own_net;
        test_store_init(tables[n].net, mcpsess_memstore_store(&rig.ram));
        tables[n].net->lock_depth = &rig.lock_depth;
        d.store = tables[n].net->store;
        CHECK_EQ(mcpsess_session_init(tables[n].table, &d, tier_mem[n].bytes, sizeof tier_mem[n].bytes), MCPSESS_OK);
    }
    memset(workers, 0, sizeof workers);
    for (n = 0; n < WORKERS; n++) workers[n].number = (uint8_t)n;
    lives = false;
    counted = expired = uncertain = 0;
    end_or_begin();
}

TEST(merges_of_several_tables_agree_with_a_naive_model) {
    uint32_t round, conflicts = 0;
    unsigned n;
    start();
    tap_seed(1789);
    for (round = 0; round < PORT_ROUNDS; round++) {
        if (!CHECK(step()) || !CHECK(holds())) {
            tap_note("failed in round", (int64_t)round);
            break;
        }
    }
    for (n = 0; n < TABLES; n++) conflicts += tables[n].table->stats.conflicts;
    CHECK(counted > PORT_ROUNDS / 50u && conflicts > PORT_ROUNDS / 200u && expired > 0 && uncertain > 0);
    rig_sound();
}

void test_merge_model(void) {
    RUN(merges_of_several_tables_agree_with_a_naive_model);
}
