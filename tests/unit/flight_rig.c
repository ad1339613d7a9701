#include "flight_rig.h"

#define POLLS_MAX 50u

flight_rig fr;
static mcpsess_flag_request q;
static unsigned seen_submits;

/* -- the loader -- */

static int load_poll(mcpsess_op *op, uint64_t now_ms) {
    flight_load *l = (flight_load *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return mcpsess_op_rc(op);
    if (now_ms < l->done_ms) return MCPSESS_PENDING;
    mcpsess_buf_put(l->job->data, mcpsess_str_z(l->data));
    op->left_ms = l->good_ms;
    if (fr.on_loaded != NULL) fr.on_loaded(l);
    return mcpsess_op_end(op, l->result);
}

static void load_cancel(mcpsess_op *op) {
    flight_load *l = (flight_load *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return;
    l->canceled = true;
    fr.tables[l->table].canceled++;
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t load_next_due(mcpsess_op *op, uint64_t now_ms) {
    (void)now_ms;
    return mcpsess_op_rc(op) == MCPSESS_PENDING ? ((flight_load *)mcpsess_op_object(op))->done_ms : MCPSESS_NEVER;
}

static unsigned load_want(mcpsess_op *op) {
    return mcpsess_op_rc(op) == MCPSESS_PENDING ? (unsigned)MCPSESS_WANT_TIME : 0u;
}

static mcpsess_op *load_begin(void *user, const mcpsess_flight_job *job, uint64_t now_ms) {
    static const mcpsess_op_class cls = {load_poll, load_cancel, load_next_due, load_want};
    flight_table *t = (flight_table *)user;
    flight_load *l = NULL;
    unsigned n;
    if (t->refuses) return NULL;
    for (n = 0; n < FLIGHT_LANES; n++) {
        if (mcpsess_op_rc(&t->loads[n].op) != MCPSESS_PENDING) l = &t->loads[n];
    }
    if (l == NULL || job->data->len != 0) {
        fr.misuse = true; /* more loads than lanes */
        return NULL;
    }
    t->begun++;
    memset(l, 0, sizeof *l);
    mcpsess_op_init(&l->op, 0);
    l->job = job;
    l->done_ms = mcpsess_time_add(now_ms, t->takes_ms);
    l->good_ms = t->good_ms;
    l->result = t->result;
    l->data = t->data;
    l->table = (unsigned)(t - fr.tables);
    (void)mcpsess_op_begin(&l->op, &cls, l);
    if (fr.on_load != NULL) fr.on_load(l);
    return &l->op;
}

/* -- beginning -- */

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
    if (level < MCPSESS_LOG_ERROR || level > MCPSESS_LOG_INFO || key.len == 0) fr.misuse = true;
    if (item <= MCPSESS_ITEM_FLAG_REFUSED) fr.items[item]++;
    fr.item_number = number;
}

/* A change goes to every process. */
static void told(void *user, mcpsess_str key) {
    static const char *const keys[] = {"a", "b", "c", "d"};
    unsigned t, k;
    (void)user;
    for (k = 0; k < COUNT_OF(keys) - 1u && !mcpsess_str_eq(key, mcpsess_str_z(keys[k])); k++) continue;
    for (t = 0; t < FLIGHT_TABLES; t++) {
        if (!fr.tables[t].deaf) test_store_push(&fr.tables[t].net, keys[k]);
    }
}

mcpsess_flight_desc flight_desc(void) {
    static const mcpsess_store_class any;
    mcpsess_flight_desc d = mcpsess_flight_desc_default();
    d.store.cls = &any; /* each table gets its own */
    d.lanes = FLIGHT_LANES;
    d.data_max = FLIGHT_DATA;
    d.load = load_begin;
    d.flag_ttl_ms = FLIGHT_TTL;
    d.lease_ms = FLIGHT_LEASE;
    d.wait_ms = FLIGHT_WAIT;
    d.poll_ms = FLIGHT_POLL;
    d.timeout_ms = FLIGHT_TIMEOUT;
    d.random = count_up;
    d.log.log = note;
    return d;
}

static void start_store(void) {
    static const mcpsess_listener listener = {told, NULL};
    mcpsess_memstore_desc md = mcpsess_memstore_desc_default();
    mcpsess_store store;
    size_t bytes;
    unsigned t;
    memset(&fr, 0, sizeof fr);
    seen_submits = 0;
    fr.now_ms = 1000;
    md.records = 1;
    md.value_max = 8;
    md.leases = 4;
    md.flags = 3;
    md.flag_max = FLIGHT_DATA + 8u;
    bytes = mcpsess_memstore_bytes(&md);
    CHECK_EQ(mcpsess_memstore_init(&fr.ram, &md, arena(bytes), bytes), MCPSESS_OK);
    store = mcpsess_memstore_store(&fr.ram);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    for (t = 0; t < FLIGHT_TABLES; t++) {
        test_store_init(&fr.tables[t].net, store);
        test_store_listens(&fr.tables[t].net);
    }
}

static void start_tables(const mcpsess_flight_desc *given) {
    static union {
        uint64_t align_u64;
        void *align_ptr;
        unsigned char bytes[FLIGHT_TABLES * MCPSESS_FLIGHT_BYTES(FLIGHT_LANES, FLIGHT_DATA)];
    } mem;
    size_t each = sizeof mem.bytes / FLIGHT_TABLES;
    unsigned t;
    for (t = 0; t < FLIGHT_TABLES; t++) {
        mcpsess_flight_desc d = *given;
        flight_table *table = &fr.tables[t];
        if (d.store.cls != NULL) d.store = table->net.store;
        d.load_user = table;
        table->data = t == 0 ? "one" : t == 1 ? "two" : "three";
        CHECK_EQ(mcpsess_flight_init(&table->flights, &d, mem.bytes + t * each, each), MCPSESS_OK);
    }
}

void flight_start_as(const mcpsess_flight_desc *d) {
    start_store();
    start_tables(d);
}

void flight_start(void) {
    mcpsess_flight_desc d = flight_desc();
    flight_start_as(&d);
}

void flight_sound(void) {
    unsigned t;
    CHECK_EQ(mcpsess_memstore_check(&fr.ram), MCPSESS_OK);
    CHECK(arena_intact() && !fr.misuse);
    for (t = 0; t < FLIGHT_TABLES; t++) CHECK(!fr.tables[t].net.misuse);
}

/* -- operations -- */

static void prepare(flight_ask *a, unsigned table) {
    uint32_t timeout_ms = a->op.timeout_ms;
    mcpsess_op_init(&a->op, timeout_ms);
    mcpsess_buf_init(&a->out, a->mem, sizeof a->mem);
    a->table = table;
}

int flight_load_in(flight_ask *a, unsigned table, const char *key) {
    prepare(a, table);
    return mcpsess_flight_load(&fr.tables[table].flights, &a->op, mcpsess_str_z(key), MCPSESS_STR("v1"), &a->out,
                               fr.now_ms);
}

int flight_wait_in(flight_ask *a, unsigned table, const char *key, uint32_t max_ms) {
    prepare(a, table);
    return mcpsess_flight_wait(&fr.tables[table].flights, &a->op, mcpsess_str_z(key), MCPSESS_STR("v1"), &a->out,
                               max_ms, fr.now_ms);
}

int flight_poll(flight_ask *a) {
    return mcpsess_poll(&a->op, fr.now_ms);
}

int flight_end(flight_ask *a) {
    unsigned n;
    for (n = 0; n < POLLS_MAX && mcpsess_op_rc(&a->op) == MCPSESS_PENDING; n++) (void)flight_poll(a);
    return mcpsess_op_rc(&a->op);
}

bool flight_has(const flight_ask *a, const char *data) {
    return mcpsess_str_eq(mcpsess_buf_str(&a->out), mcpsess_str_z(data));
}

/* Something came in for its process, or it may go on, or the time that it named has come. */
static bool is_due(flight_ask *a, uint64_t due_ms) {
    if (mcpsess_op_rc(&a->op) != MCPSESS_PENDING) return false;
    if ((mcpsess_want(&a->op) & MCPSESS_WANT_NOW) != 0) return true;
    return fr.tables[a->table].net.push_count != 0 || due_ms <= fr.now_ms;
}

unsigned flight_loop(flight_ask *const *asks, unsigned n, uint64_t until_ms) {
    uint64_t due_ms[FLIGHT_ASKS], next_ms;
    unsigned polls = 0, i;
    for (i = 0; i < n; i++) due_ms[i] = fr.now_ms;
    for (;;) {
        bool busy = false;
        for (i = 0; i < n; i++) {
            if (!is_due(asks[i], due_ms[i])) continue;
            busy = true;
            polls++;
            (void)flight_poll(asks[i]);
        }
        next_ms = MCPSESS_NEVER;
        for (i = 0; i < n; i++) {
            due_ms[i] = mcpsess_next_due(&asks[i]->op, fr.now_ms);
            if (due_ms[i] < next_ms) next_ms = due_ms[i];
        }
        if (next_ms == MCPSESS_NEVER || (!busy && next_ms > until_ms)) return polls;
        if (!busy) fr.now_ms = next_ms;
    }
}

/* -- at the store, behind the tables' backs -- */

static int ask_store(uint8_t kind, const char *key, uint8_t mode) {
    mcpsess_store store = mcpsess_memstore_store(&fr.ram);
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.mode = mode;
    q.request.key = mcpsess_str_z(key);
    q.request.expect = MCPSESS_STR("v1");
    return store.cls->submit(store.self, &q.request, fr.now_ms);
}

int flight_flag(const char *key) {
    return ask_store(MCPSESS_FLAG_GET, key, 0);
}

uint64_t flight_flag_left(void) {
    return q.request.left_ms;
}

void flight_revoke(const char *key) {
    (void)ask_store(MCPSESS_FLAG_CLEAR, key, 1);
}

unsigned flight_requests(void) {
    unsigned t, all = 0, new_ones;
    for (t = 0; t < FLIGHT_TABLES; t++) all += fr.tables[t].net.submits;
    new_ones = all - seen_submits;
    seen_submits = all;
    return new_ones;
}
