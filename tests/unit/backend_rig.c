#include "backend_rig.h"

#define POLLS_MAX 2000u

backend_rig br;
static mcpsess_backend_desc given;

static const char *const ids[WORLD_BACKENDS] = {"a1", "b2", "c3"};

mcpsess_str world_id(unsigned b) {
    return mcpsess_str_z(b < WORLD_BACKENDS ? ids[b] : "none");
}

static uint8_t backend_of(mcpsess_str id) {
    uint8_t b = 0;
    while (b < WORLD_BACKENDS && !mcpsess_str_eq(id, world_id(b))) b++;
    return b;
}

void world_must(bool holds, const char *what) {
    if (!holds && br.broken == NULL) br.broken = what;
}

/* ---- the trace ---- */

static void trace(const char *text) {
    while (*text != '\0' && br.traced + 1u < WORLD_TRACE) br.trace[br.traced++] = *text++;
}

static const char *name_of(int rc) {
    switch (rc) {
    case MCPSESS_OK: return "";
    case MCPSESS_MISS: return ":MISS";
    case MCPSESS_EXISTS: return ":EXISTS";
    case MCPSESS_STALE: return ":STALE";
    case MCPSESS_FENCED: return ":FENCED";
    case MCPSESS_E_FULL: return ":NULL";
    case MCPSESS_E_CANCELED: return ":canceled";
    default: return ":failed";
    }
}

static void trace_job(uint8_t step, uint8_t backend, int rc) {
#define NAME(name, member) #member,
    static const char *const names[] = {"none", MCPSESS_BACKEND_STEPS(NAME)};
#undef NAME
    if (br.traced != 0) trace(" ");
    if (br.trace_ids && backend < WORLD_BACKENDS) {
        trace(ids[backend]);
        trace(".");
    }
    trace(names[step]);
    trace(name_of(rc));
}

void world_clear_trace(void) {
    br.traced = 0;
    memset(br.trace, 0, sizeof br.trace);
}

bool world_check_trace(const char *text, const char *file, int line) {
    size_t n = 0;
    bool same;
    while (PORT_TEXT_CHAR(text + n) != '\0' && br.trace[n] == (char)PORT_TEXT_CHAR(text + n)) n++;
    same = br.trace[n] == '\0' && PORT_TEXT_CHAR(text + n) == '\0';
    if (!tap_check(same, file, line, text)) tap_note(br.trace, (int64_t)br.traced);
    world_clear_trace();
    return same;
}

/* ---- the world ---- */

static uint32_t copy_of(const world_backend *w) {
    return w->copy_bytes != 0 ? w->copy : 0u;
}

static void look(const world_backend *w) {
    uint32_t most = copy_of(w);
    if (w->present && w->data > most) most = w->data;
    if (w->orphan > most && (!w->present || given.skip_orphans)) most = w->orphan; /* else nobody finds it */
    world_must(most >= w->needed, "data is somewhere");
    world_must(!w->running || w->present, "what runs is there");
}

/* What can be reached only while it runs is exported while it runs: from then on, it gets nothing more done. */
void world_work(unsigned b) {
    world_backend *w = &br.backends[b];
    if (!w->running || (w->live && w->aside != 0)) return;
    w->data = w->needed = ++br.version;
}

void world_die(unsigned b) {
    br.backends[b].running = br.backends[b].network = false;
}

static void make_orphan(world_backend *w) {
    if (w->data != 0) w->orphan = w->data;
    w->present = w->running = w->network = false;
    w->data = 0;
}

void world_lose(unsigned b) {
    make_orphan(&br.backends[b]);
}

void world_put(unsigned b, int begins) {
    world_backend *w = &br.backends[b];
    memset(w, 0, sizeof *w);
    w->address = b == 0 ? "addr-a" : b == 1 ? "addr-b" : "addr-c";
    w->labelled = true;
    if (begins == WORLD_ABSENT) return;
    w->needed = ++br.version;
    w->present = begins >= WORLD_STOPPED;
    w->running = w->network = begins == WORLD_RUNNING;
    if (begins == WORLD_ORPHANED) w->orphan = w->needed;
    else if (begins == WORLD_COPIED || begins == WORLD_STOPPED_COPIED) w->copy = w->needed;
    else w->data = w->needed;
    w->copy_bytes = w->copy != 0 ? 100u : 0u;
}

bool world_has_all(unsigned b) {
    const world_backend *w = &br.backends[b];
    return w->present && w->data >= w->needed && copy_of(w) == 0;
}

/* ---- what each step does ---- */

static int do_inspect(world_job *j, world_backend *w) {
    (void)j;
    return w->present ? MCPSESS_OK : MCPSESS_MISS;
}

static int do_start(world_job *j, world_backend *w) {
    if (!w->present) return MCPSESS_MISS;
    if (w->running) return MCPSESS_OK;
    world_must(copy_of(w) == 0, "nothing runs beside a copy that was not restored");
    world_must(w->data >= w->needed || given.skip_orphans, "what runs has all its data");
    w->running = true;
    world_work(j->backend);
    return MCPSESS_OK;
}

static int do_stop(world_job *j, world_backend *w) {
    (void)j;
    if (!w->running) return MCPSESS_MISS;
    w->running = w->network = false;
    return MCPSESS_OK;
}

static int do_create(world_job *j, world_backend *w) {
    (void)j;
    if (w->present) return MCPSESS_EXISTS;
    w->present = true;
    w->data = 0;
    return MCPSESS_OK;
}

static int do_remove(world_job *j, world_backend *w) {
    if (!w->present) return MCPSESS_MISS;
    w->present = w->running = w->network = false;
    w->data = w->orphan = 0;
    if (j->asked == WORLD_DEL) w->needed = copy_of(w);
    return MCPSESS_OK;
}

static int do_network_up(world_job *j, world_backend *w) {
    (void)j;
    if (!w->running) return MCPSESS_E_STATE;
    w->network = w->address[0] != '\0';
    return MCPSESS_OK;
}

static int do_network_down(world_job *j, world_backend *w) {
    (void)j;
    if (!w->network) return MCPSESS_MISS;
    w->network = false;
    return MCPSESS_OK;
}

static void make_copy(world_backend *w, uint32_t version, uint64_t bytes) {
    world_must(copy_of(w) == 0, "no copy is overwritten");
    w->copy = version;
    w->copy_bytes = bytes;
}

static int do_export_data(world_job *j, world_backend *w) {
    uint32_t version = j->orphan ? w->orphan : w->present ? w->data : 0u;
    if (!j->orphan) world_must(w->live || !w->running, "nothing is exported while it changes");
    if (!j->orphan && w->live && !w->running) return MCPSESS_E_STATE;
    if (version == 0) return MCPSESS_MISS;
    if (j->where) {
        w->file = version;
    } else if (given.driver.keep_copy == NULL) {
        make_copy(w, version, w->exports_nothing ? 0u : 100u);
    } else {
        w->aside = version;
        w->aside_bytes = w->exports_nothing ? 0u : 100u;
    }
    return MCPSESS_OK;
}

static int do_keep_copy(world_job *j, world_backend *w) {
    (void)j;
    if (w->aside == 0) return MCPSESS_MISS;
    make_copy(w, w->aside, w->aside_bytes);
    w->aside = 0;
    return MCPSESS_OK;
}

static int do_stat_copy(world_job *j, world_backend *w) {
    (void)j;
    return w->copy != 0 ? MCPSESS_OK : MCPSESS_MISS;
}

static int do_import_data(world_job *j, world_backend *w) {
    uint32_t version = j->where ? w->file : copy_of(w);
    if (!w->present) return MCPSESS_E_STATE;
    world_must(w->live || !w->running, "nothing is imported while it runs");
    if (version == 0) return MCPSESS_E_FORMAT;
    w->data = version;
    if (j->where) w->needed = version; /* as was asked for */
    return MCPSESS_OK;
}

static int do_drop_copy(world_job *j, world_backend *w) {
    if (w->copy == 0) return MCPSESS_MISS;
    w->copy = 0;
    w->copy_bytes = 0;
    if (j->asked != WORLD_DISCARD) return MCPSESS_OK;
    w->needed = w->present ? w->data : w->orphan;
    return MCPSESS_OK;
}

static int do_find_orphan(world_job *j, world_backend *w) {
    (void)j;
    return !w->present && w->orphan != 0 ? MCPSESS_OK : MCPSESS_MISS;
}

static int do_list(world_job *j, world_backend *w) {
    unsigned b;
    (void)w;
    for (b = 0; b < WORLD_BACKENDS; b++) {
        int rc = MCPSESS_OK;
        if (br.backends[b].present) rc = mcpsess_backend_found(&br.managers[j->manager].m, world_id(b));
        if (rc != MCPSESS_OK) return rc;
    }
    return MCPSESS_OK;
}

static int do_image_check(world_job *j, world_backend *w) {
    (void)j;
    (void)w;
    return br.image_check;
}

static int do_image_find(world_job *j, world_backend *w) {
    (void)j;
    (void)w;
    return br.image_local ? MCPSESS_OK : MCPSESS_MISS;
}

static int do_image_pull(world_job *j, world_backend *w) {
    (void)j;
    (void)w;
    br.image_check = MCPSESS_OK;
    br.image_local = true;
    return MCPSESS_OK;
}

static int take_effect(world_job *j) {
#define DO(name, member) do_##member,
    static int (*const all[])(world_job *, world_backend *) = {NULL, MCPSESS_BACKEND_STEPS(DO)};
#undef DO
    static world_backend nobody;
    world_backend *w = j->backend < WORLD_BACKENDS ? &br.backends[j->backend] : &nobody;
    int rc = all[j->step](j, w);
    look(w);
    return rc;
}

/* ---- calls ---- */

static void answer(world_job *j) {
    const world_backend *w;
    if (j->backend == WORLD_BACKENDS) return;
    w = &br.backends[j->backend];
    if (j->step == MCPSESS_BACKEND_INSPECT) {
        j->call->running = w->running;
        j->call->live = w->live;
        if (w->network && w->labelled) mcpsess_buf_put(j->call->address, mcpsess_str_z(w->address));
    }
    if (j->step == MCPSESS_BACKEND_NETWORK_UP) mcpsess_buf_put(j->call->address, mcpsess_str_z(w->address));
    if (j->step == MCPSESS_BACKEND_STAT_COPY) j->call->bytes = w->copy_bytes;
}

static int end_job(world_job *j, int rc) {
    j->open = false;
    trace_job(j->step, j->backend, rc);
    return mcpsess_op_end(&j->op, rc);
}

/* A copy of which only a part was brought in is no data. */
static void fail(const world_job *j) {
    world_backend *w;
    if (j->step != MCPSESS_BACKEND_IMPORT || j->where || j->backend == WORLD_BACKENDS) return;
    w = &br.backends[j->backend];
    if (w->present && !w->running && w->data <= copy_of(w)) w->data = 0;
}

static int finish(world_job *j) {
    int rc = br.code != MCPSESS_OK ? br.code : MCPSESS_E_IO;
    if (j->result == MCPSESS_FENCED) return end_job(j, j->result);
    if (j->fate == WORLD_FAILS) fail(j);
    if (j->fate == WORLD_DONE_FAILS) (void)take_effect(j);
    if (j->fate == WORLD_WELL) {
        rc = take_effect(j);
        if (rc == MCPSESS_OK) answer(j);
    }
    return end_job(j, rc);
}

static int job_poll(mcpsess_op *op, uint64_t now_ms) {
    world_job *j = (world_job *)mcpsess_op_object(op);
    return now_ms < j->due_ms ? (int)MCPSESS_PENDING : finish(j);
}

static void job_cancel(mcpsess_op *op) {
    world_job *j = (world_job *)mcpsess_op_object(op);
    j->pending_effect = j->fate == WORLD_LATE && j->result != MCPSESS_FENCED;
    (void)end_job(j, MCPSESS_E_CANCELED);
}

static uint64_t job_next_due(mcpsess_op *op, uint64_t now_ms) {
    (void)now_ms;
    return ((world_job *)mcpsess_op_object(op))->due_ms;
}

static unsigned job_want(mcpsess_op *op) {
    (void)op;
    return MCPSESS_WANT_TIME;
}

static void come_late(world_job *j) {
    j->pending_effect = false;
    br.late++;
    (void)take_effect(j);
}

void world_settle(unsigned b) {
    unsigned n;
    for (n = 0; n < WORLD_JOBS; n++) {
        if (br.jobs[n].pending_effect && br.jobs[n].backend == b) come_late(&br.jobs[n]);
    }
}

static bool changes(uint8_t step) {
    return step != MCPSESS_BACKEND_INSPECT && step != MCPSESS_BACKEND_STAT_COPY && step != MCPSESS_BACKEND_FIND_ORPHAN;
}

/* Before a call of a backend, those before it have had their effect; what another with a lower fence has under way has
   it now, or never. */
static void outrun(const world_job *by) {
    unsigned n;
    for (n = 0; n < WORLD_JOBS; n++) {
        world_job *j = &br.jobs[n];
        if (j == by || !j->open || j->backend != by->backend || j->result == MCPSESS_FENCED) continue;
        world_must(j->manager != by->manager, "one step of a backend at a time");
        if (j->fence >= by->fence || !changes(j->step)) continue;
        if (j->fate == WORLD_LATE) come_late(j);
        j->result = MCPSESS_FENCED;
    }
}

/* As the contract says: who has a lower fence is refused. */
static void check_fence(world_job *j) {
    world_backend *w = &br.backends[j->backend];
    world_must(br.shared || j->fence == 0, "without a store there is no fence");
    world_settle(j->backend);
    outrun(j);
    if (j->fence == 0 && !changes(j->step)) return;
    world_must(!br.shared || j->fence != 0, "no effect without a lease");
    if (j->fence < w->fence) {
        br.refused++;
        j->result = MCPSESS_FENCED;
        j->due_ms = br.now_ms;
        return;
    }
    w->fence = j->fence;
}

static uint8_t asked_by(const mcpsess_backend_call *call) {
    unsigned n;
    for (n = 0; n < WORLD_ASKS; n++) {
        if (call == &br.asks[n].op.i.call) return br.asks[n].kind;
    }
    return WORLD_NOTHING;
}

static void choose(world_job *j) {
    br.calls++;
    j->fate = WORLD_WELL;
    if (br.choose != NULL) j->fate = br.choose(j);
    else if (br.calls == br.fault_at || j->step == br.fault_of) j->fate = br.fate;
    if (j->fate != WORLD_WELL) br.fault_step = j->step;
}

static world_job *free_job(void) {
    unsigned n;
    for (n = 0; n < WORLD_JOBS; n++) {
        if (!br.jobs[n].open && !br.jobs[n].pending_effect) return &br.jobs[n];
    }
    for (n = 0; n < WORLD_JOBS && br.jobs[n].open; n++) continue;
    if (n == WORLD_JOBS) return NULL;
    come_late(&br.jobs[n]); /* now is as good as any */
    return &br.jobs[n];
}

static mcpsess_op *begin(void *user, uint8_t step, mcpsess_backend_call *call, uint64_t now_ms) {
    static const mcpsess_op_class cls = {job_poll, job_cancel, job_next_due, job_want};
    world_manager *r = (world_manager *)user;
    world_job *j = free_job();
    world_must(j != NULL, "no more steps at a time than backends");
    if (j == NULL) return NULL;
    memset(j, 0, sizeof *j);
    mcpsess_op_init(&j->op, 0);
    j->step = step;
    j->call = call;
    j->fence = call->fence;
    j->backend = backend_of(call->id);
    j->manager = (uint8_t)(r - br.managers);
    j->where = call->where.len != 0;
    j->orphan = call->orphan;
    j->asked = asked_by(call);
    br.steps[step]++;
    world_must((j->backend == WORLD_BACKENDS) == (step >= MCPSESS_BACKEND_LIST), "a step is of the backend asked for");
    choose(j);
    if (j->fate == WORLD_NOT_BEGUN) {
        trace_job(step, j->backend, MCPSESS_E_FULL);
        return NULL;
    }
    (void)mcpsess_op_begin(&j->op, &cls, j);
    j->open = true;
    j->due_ms = j->fate == WORLD_HANGS || j->fate >= WORLD_LATE ? MCPSESS_NEVER : mcpsess_time_add(now_ms, r->takes_ms);
    if (j->backend < WORLD_BACKENDS) {
        if (step == MCPSESS_BACKEND_EXPORT && !j->orphan)
            world_must(call->live == br.backends[j->backend].live, "export_data is told what it is");
        check_fence(j);
    }
    if (j->fate >= WORLD_CRASH) {
        br.crashed = true;
        br.crashed_manager = j->manager;
    }
    if (j->fate == WORLD_CRASH_AFTER && j->result != MCPSESS_FENCED) (void)take_effect(j);
    if (j->due_ms <= now_ms && r->takes_ms == 0 && (br.calls & 1u) != 0)
        (void)finish(j); /* at once; else when polled */
    return &j->op;
}

#define BEGIN(name, member)                                                                      \
    static mcpsess_op *begin_##member(void *user, mcpsess_backend_call *call, uint64_t now_ms) { \
        return begin(user, MCPSESS_BACKEND_##name, call, now_ms);                                \
    }
MCPSESS_BACKEND_STEPS(BEGIN)
#undef BEGIN

/* ---- beginning ---- */

static int count_up(void *user, void *dst, size_t len) {
    static uint16_t n;
    (void)user;
    memset(dst, 0, len);
    n++;
    memcpy(dst, &n, sizeof n);
    return 0;
}

static void note(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)user;
    (void)key;
    world_must(level >= MCPSESS_LOG_ERROR && level <= MCPSESS_LOG_INFO, "a level that there is");
    if (item <= MCPSESS_ITEM_ADDRESS_DROPPED) br.items[item]++;
    if (br.watched == 0 || br.watched == item) br.item_number = number;
}

static void on_dropped(void *user, mcpsess_str id, mcpsess_str address) {
    (void)user;
    world_must(backend_of(id) < WORLD_BACKENDS && address.len < WORLD_ADDRESS, "an address that was known");
    br.dropped++;
    memset(br.dropped_address, 0, sizeof br.dropped_address);
    if (address.len < WORLD_ADDRESS) memcpy(br.dropped_address, address.ptr, address.len);
}

mcpsess_backend_desc world_desc(void) {
    mcpsess_backend_desc d = mcpsess_backend_desc_default();
#define MEMBER(name, member) d.driver.member = begin_##member;
    MCPSESS_BACKEND_STEPS(MEMBER)
#undef MEMBER
    d.capacity = WORLD_BACKENDS;
    d.address_max = WORLD_ADDRESS;
    d.lanes = WORLD_LANES;
    d.lease_ms = WORLD_LEASE;
    d.step_ms = WORLD_STEP;
    d.stop_ms = WORLD_STOP;
    d.check_ms = WORLD_CHECK;
    d.network_wait_ms = WORLD_WAIT;
    d.backoff_ms = WORLD_BACKOFF;
    d.backoff_max_ms = 4u * WORLD_BACKOFF;
    d.stable_ms = WORLD_STABLE;
    d.dropped = on_dropped;
    d.random = count_up;
    d.log.log = note;
    return d;
}

mcpsess_backend_desc world_desc_shared(void) {
    static const mcpsess_store_class any;
    mcpsess_backend_desc d = world_desc();
    d.store.cls = &any; /* each manager gets its own */
    return d;
}

static void init_manager(unsigned manager) {
    static union {
        uint64_t align_u64;
        void *align_ptr;
        unsigned char bytes[WORLD_MANAGERS * MCPSESS_BACKEND_BYTES(WORLD_BACKENDS, WORLD_ADDRESS, WORLD_LANES)];
    } mem;
    size_t each = sizeof mem.bytes / WORLD_MANAGERS;
    mcpsess_backend_desc d = given;
    world_manager *r = &br.managers[manager];
    if (br.shared) {
        test_store_init(&r->net, mcpsess_memstore_store(&br.ram));
        d.store = r->net.store;
    }
    d.driver.user = r;
    CHECK_EQ(mcpsess_backend_init(&r->m, &d, mem.bytes + manager * each, each), MCPSESS_OK);
}

static void init_store(void) {
    mcpsess_memstore_desc md = mcpsess_memstore_desc_default();
    size_t bytes;
    md.records = 1;
    md.value_max = 8;
    md.leases = WORLD_BACKENDS;
    bytes = mcpsess_memstore_bytes(&md);
    CHECK_EQ(mcpsess_memstore_init(&br.ram, &md, arena(bytes), bytes), MCPSESS_OK);
}

void world_start_as(const mcpsess_backend_desc *d) {
    unsigned n;
    memset(&br, 0, sizeof br);
    given = *d;
    br.now_ms = 1000;
    br.shared = d->store.cls != NULL;
    br.image_local = true;
    for (n = 0; n < WORLD_BACKENDS; n++) world_put(n, WORLD_ABSENT);
    for (n = 0; n < WORLD_ASKS; n++) mcpsess_op_init(&br.asks[n].op.op, 0);
    if (br.shared) init_store();
    for (n = 0; n < (br.shared ? WORLD_MANAGERS : 1u); n++) init_manager(n);
}

void world_start(void) {
    mcpsess_backend_desc d = world_desc();
    world_start_as(&d);
}

void world_start_with(int begins) {
    world_start();
    world_put(0, begins);
}

/* What its process had under way is no more; what it asked of the world may still come about. */
void world_restart(unsigned manager) {
    unsigned n;
    for (n = 0; n < WORLD_JOBS; n++) {
        world_job *j = &br.jobs[n];
        if (j->manager != manager || !j->open) continue;
        j->pending_effect = j->fate == WORLD_LATE && j->result != MCPSESS_FENCED;
        j->open = false;
    }
    for (n = 0; n < WORLD_ASKS; n++) {
        uint32_t timeout_ms = br.asks[n].op.op.timeout_ms;
        if (br.asks[n].manager != manager) continue;
        memset(&br.asks[n], 0, sizeof br.asks[n]);
        mcpsess_op_init(&br.asks[n].op.op, timeout_ms);
        br.asks[n].manager = (uint8_t)manager;
    }
    br.crashed = false;
    init_manager(manager);
}

void world_sound(void) {
    unsigned m;
    if (br.broken != NULL) tap_note(br.broken, (int64_t)br.now_ms);
    CHECK(br.broken == NULL);
    if (!br.shared) return;
    CHECK_EQ(mcpsess_memstore_check(&br.ram), MCPSESS_OK);
    CHECK(arena_intact());
    for (m = 0; m < WORLD_MANAGERS; m++) CHECK(!br.managers[m].net.misuse);
}

/* ---- operations ---- */

int world_begin(unsigned ask, unsigned manager, uint8_t kind, unsigned b) {
    world_ask *a = &br.asks[ask];
    mcpsess_backend_manager *m = &br.managers[manager].m;
    if (mcpsess_op_rc(&a->op.op) == MCPSESS_PENDING) return MCPSESS_E_STATE;
    mcpsess_buf_init(&a->out, a->mem, sizeof a->mem);
    br.due_ms[ask] = br.now_ms;
    a->kind = kind;
    a->backend = (uint8_t)b;
    a->manager = (uint8_t)manager;
    switch (kind) {
    case WORLD_ENSURE: return mcpsess_backend_ensure(m, &a->op, world_id(b), br.now_ms);
    case WORLD_START: return mcpsess_backend_start(m, &a->op, world_id(b), br.now_ms);
    case WORLD_STOP_IT: return mcpsess_backend_stop(m, &a->op, world_id(b), br.now_ms);
    case WORLD_DEL:
    case WORLD_DEL_PRESERVE: return mcpsess_backend_del(m, &a->op, world_id(b), kind == WORLD_DEL_PRESERVE, br.now_ms);
    case WORLD_EXPORT: return mcpsess_backend_export(m, &a->op, world_id(b), MCPSESS_STR("file"), br.now_ms);
    case WORLD_IMPORT: return mcpsess_backend_import(m, &a->op, world_id(b), MCPSESS_STR("file"), br.now_ms);
    case WORLD_IMPORT_COPY: return mcpsess_backend_import(m, &a->op, world_id(b), mcpsess_str_of(NULL, 0), br.now_ms);
    case WORLD_DISCARD: return mcpsess_backend_discard(m, &a->op, world_id(b), br.now_ms);
    case WORLD_ADDRESS_OF: return mcpsess_backend_address(m, &a->op, world_id(b), &a->out, br.now_ms);
    case WORLD_LIST: return mcpsess_backend_list(m, &a->op, br.now_ms);
    case WORLD_RECONCILE: return mcpsess_backend_reconcile(m, &a->op, br.now_ms);
    case WORLD_PREPARE: return mcpsess_backend_prepare(m, &a->op, br.now_ms);
    default: return mcpsess_backend_leave(m, &a->op, br.now_ms);
    }
}

int world_poll(unsigned ask) {
    return mcpsess_poll(&br.asks[ask].op.op, br.now_ms);
}

/* Not for one that waits for another: nobody polls that meanwhile. */
int world_end(unsigned ask) {
    mcpsess_op *op = &br.asks[ask].op.op;
    unsigned n;
    for (n = 0; n < POLLS_MAX && mcpsess_op_rc(op) == MCPSESS_PENDING && !br.crashed; n++) {
        uint64_t due_ms = mcpsess_next_due(op, br.now_ms);
        if ((mcpsess_want(op) & MCPSESS_WANT_NOW) == 0 && due_ms > br.now_ms) {
            if (due_ms == MCPSESS_NEVER) break;
            br.now_ms = due_ms;
        }
        (void)mcpsess_poll(op, br.now_ms);
    }
    world_must(n < POLLS_MAX, "it comes to an end");
    return mcpsess_op_rc(op);
}

int world_do_by(unsigned manager, uint8_t kind, unsigned b) {
    int rc = world_begin(0, manager, kind, b);
    return rc == MCPSESS_PENDING ? world_end(0) : rc;
}

int world_do(uint8_t kind, unsigned b) {
    return world_do_by(0, kind, b);
}

static unsigned manager_of(unsigned n) {
    return n < WORLD_ASKS ? br.asks[n].manager : n - WORLD_ASKS;
}

static bool goes(unsigned n) {
    unsigned manager = manager_of(n);
    return !br.managers[manager].stopped && (manager == 0 || br.shared) && !br.crashed;
}

static uint64_t next_due(unsigned n) {
    if (!goes(n)) return MCPSESS_NEVER;
    if (n < WORLD_ASKS) return mcpsess_next_due(&br.asks[n].op.op, br.now_ms);
    return mcpsess_backend_due(&br.managers[manager_of(n)].m, br.now_ms);
}

/* Something wants to go on at once, or the time that it named has come. */
static bool is_due(unsigned n) {
    unsigned want;
    if (!goes(n)) return false;
    if (n < WORLD_ASKS && mcpsess_op_rc(&br.asks[n].op.op) != MCPSESS_PENDING) return false;
    want = n < WORLD_ASKS ? mcpsess_want(&br.asks[n].op.op) : mcpsess_backend_want(&br.managers[manager_of(n)].m);
    return (want & MCPSESS_WANT_NOW) != 0 || br.due_ms[n] <= br.now_ms;
}

static bool poll_due(void) {
    bool busy = false;
    unsigned n;
    for (n = 0; n < WORLD_ASKS + WORLD_MANAGERS; n++) {
        if (!is_due(n)) continue;
        busy = true;
        if (n < WORLD_ASKS) (void)world_poll(n);
        else mcpsess_backend_step(&br.managers[manager_of(n)].m, br.now_ms);
    }
    return busy;
}

uint64_t world_turn(void) {
    uint64_t next_ms = MCPSESS_NEVER;
    unsigned n, turns;
    bool busy = true;
    for (n = 0; n < WORLD_ASKS + WORLD_MANAGERS; n++) { /* what was done to them meanwhile counts as well */
        uint64_t due_ms = next_due(n);
        if (due_ms < br.due_ms[n]) br.due_ms[n] = due_ms;
    }
    for (turns = 0; turns < POLLS_MAX && busy && !br.crashed; turns++) {
        busy = poll_due();
        for (n = 0; n < WORLD_ASKS + WORLD_MANAGERS; n++) br.due_ms[n] = next_due(n);
    }
    world_must(turns < POLLS_MAX, "it comes to rest");
    for (n = 0; n < WORLD_ASKS + WORLD_MANAGERS; n++) {
        if (br.due_ms[n] < next_ms) next_ms = br.due_ms[n];
    }
    return next_ms;
}

void world_loop(uint64_t until_ms) {
    while (!br.crashed && br.broken == NULL) {
        uint64_t next_ms = world_turn();
        if (br.crashed) return;
        if (next_ms > until_ms) break;
        br.now_ms = next_ms;
    }
    if (br.now_ms < until_ms) br.now_ms = until_ms;
}

mcpsess_backend_info world_info(unsigned manager, unsigned b) {
    mcpsess_backend_info info;
    memset(&info, 0, sizeof info);
    info.state = 0xFF;
    (void)mcpsess_backend_get(&br.managers[manager].m, world_id(b), br.now_ms, &info);
    return info;
}
