#include "session_rig.h"

struct session_rig rig;

static void take(void *user) {
    if (user != &rig || rig.lock_depth++ != 0) rig.lock_misuse = true;
    rig.locks++;
}

static void release(void *user) {
    if (user != &rig || --rig.lock_depth != 0) rig.lock_misuse = true;
}

static void log_hook(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    if (user != &rig || rig.lock_depth != 0) rig.lock_misuse = true;
    if (level < MCPSESS_LOG_ERROR || level > MCPSESS_LOG_INFO || (key.ptr == NULL && key.len != 0))
        rig.lock_misuse = true;
    if (item > 0 && item < 16) rig.logged[item]++;
    rig.logged_number = number;
}

mcpsess_session_desc rig_desc(void) {
    mcpsess_session_desc d = mcpsess_session_desc_default();
    d.capacity = 4;
    d.slot_max = RIG_RECORD_MAX;
    d.lanes = 3;
    d.record_max = RIG_RECORD_MAX;
    d.ttl_ms = RIG_TTL;
    d.max_age_ms = RIG_MAX_AGE;
    d.timeout_ms = RIG_TIMEOUT;
    d.lock.lock = take;
    d.lock.unlock = release;
    d.lock.user = &rig;
    d.log.log = log_hook;
    d.log.user = &rig;
    return d;
}

static void start_over(const mcpsess_session_desc *desc, bool listens) {
    mcpsess_session_desc d = *desc;
    mcpsess_memstore_desc m = mcpsess_memstore_desc_default();
    size_t bytes;
    memset(&rig, 0, sizeof rig);
    rig.now = 1000000u;
    rig.alice = principal("https://issuer.example", "alice");
    rig.bob = principal("https://issuer.example", "bob");
    rig.nobody = principal("", "");
    mcpsess_op_init(&rig.op, 0);

    m.records = 8;
    m.value_max = RIG_RECORD_MAX;
    bytes = mcpsess_memstore_bytes(&m);
    CHECK_EQ(mcpsess_memstore_init(&rig.ram, &m, arena(bytes), bytes), MCPSESS_OK);
    test_store_init(&rig.net, mcpsess_memstore_store(&rig.ram));
    if (listens) test_store_listens(&rig.net);
    rig.net.lock_depth = &rig.lock_depth;

    d.store = rig.net.store;
    bytes = mcpsess_session_bytes(&d);
    CHECK_EQ(bytes, MCPSESS_SESSION_BYTES(d.capacity, d.slot_max, d.lanes, d.record_max));
    CHECK_EQ(mcpsess_session_init(&rig.table, &d, arena_more(bytes), bytes), MCPSESS_OK);
}

void rig_start(const mcpsess_session_desc *desc) {
    start_over(desc, false);
}

void rig_start_listening(const mcpsess_session_desc *desc) {
    start_over(desc, true);
}

void rig_start_default(void) {
    mcpsess_session_desc d = rig_desc();
    rig_start(&d);
}

void rig_sound(void) {
    CHECK_EQ(mcpsess_session_check(&rig.table), MCPSESS_OK);
    CHECK_EQ(mcpsess_memstore_check(&rig.ram), MCPSESS_OK);
    CHECK(arena_intact());
    CHECK(!rig.net.misuse);
    CHECK(!rig.lock_misuse);
    CHECK_EQ(rig.lock_depth, 0);
}

mcpsess_str rig_record(char *mem, const char *id, const mcpsess_principal *who, const char *backend) {
    mcpsess_record r;
    mcpsess_buf b;
    memset(&r, 0, sizeof r);
    r.id = mcpsess_str_z(id);
    r.principal = *who;
    r.backend = mcpsess_str_z(backend);
    r.state = MCPSESS_STATE_ACTIVE;
    mcpsess_buf_init(&b, mem, RIG_RECORD_MAX);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    return mcpsess_buf_str(&b);
}

int rig_end(mcpsess_op *op, int rc) {
    unsigned polls;
    for (polls = 0; rc == MCPSESS_PENDING && polls < 64; polls++) rc = mcpsess_poll(op, rig.now);
    return rc;
}

static char record_mem[RIG_RECORD_MAX];

int rig_store(const char *id, const char *backend) {
    mcpsess_str record = rig_record(record_mem, id, &rig.alice, backend);
    return rig_end(&rig.op, mcpsess_session_store(&rig.table, &rig.op, record, rig.now));
}

int rig_create(const char *id, const char *backend) {
    mcpsess_str record = rig_record(record_mem, id, &rig.alice, backend);
    return rig_end(&rig.op, mcpsess_session_create(&rig.table, &rig.op, record, rig.now));
}

int rig_update(const char *id, const char *backend) {
    mcpsess_str record = rig_record(record_mem, id, &rig.alice, backend);
    return rig_end(&rig.op, mcpsess_session_update(&rig.table, &rig.op, record, rig.now));
}

int rig_load(const char *id, const mcpsess_principal *who) {
    mcpsess_buf_init(&rig.out, rig.out_mem, sizeof rig.out_mem);
    return rig_end(&rig.op, mcpsess_session_load(&rig.table, &rig.op, mcpsess_str_z(id), who, &rig.out, rig.now));
}

int rig_exists(const char *id, const mcpsess_principal *who) {
    return rig_end(&rig.op, mcpsess_session_exists(&rig.table, &rig.op, mcpsess_str_z(id), who, rig.now));
}

int rig_touch(const char *id, const mcpsess_principal *who) {
    return rig_end(&rig.op, mcpsess_session_touch(&rig.table, &rig.op, mcpsess_str_z(id), who, rig.now));
}

int rig_del(const char *id, const mcpsess_principal *who) {
    return rig_end(&rig.op, mcpsess_session_del(&rig.table, &rig.op, mcpsess_str_z(id), who, rig.now));
}

int rig_sweep(void) {
    return rig_end(&rig.op, mcpsess_session_sweep(&rig.table, &rig.op, rig.now));
}

mcpsess_str rig_backend(const mcpsess_buf *out) {
    mcpsess_record r;
    if (mcpsess_record_decode(mcpsess_buf_str(out), &r) != MCPSESS_OK) return mcpsess_str_of(NULL, 0);
    return r.backend;
}

bool rig_loads(const char *id, const char *backend) {
    int rc = rig_load(id, &rig.alice);
    return rc == MCPSESS_OK && mcpsess_str_eq(rig_backend(&rig.out), mcpsess_str_z(backend));
}

bool rig_loads_with(const char *id, const char *backend, unsigned requests) {
    unsigned before = rig.net.submits;
    bool ok = rig_loads(id, backend);
    if (rig.net.submits - before != requests) tap_note("requests", (int64_t)(rig.net.submits - before));
    return ok && rig.net.submits - before == requests;
}

static int at_store(uint8_t kind, const char *id, mcpsess_str value, uint64_t *left_ms) {
    mcpsess_store ram = mcpsess_memstore_store(&rig.ram);
    mcpsess_request q;
    int rc;
    memset(&q, 0, sizeof q);
    q.kind = kind;
    q.key = mcpsess_str_z(id);
    q.value = value;
    q.ttl_ms = kind == MCPSESS_PUT ? RIG_TTL : 0;
    rc = ram.cls->submit(ram.self, &q, rig.now);
    if (left_ms != NULL) *left_ms = q.left_ms;
    return rc;
}

int rig_at_store(const char *id, uint64_t *left_ms) {
    return at_store(MCPSESS_GET, id, mcpsess_str_of(NULL, 0), left_ms);
}

int rig_put_at_store(const char *id, mcpsess_str value) {
    return at_store(MCPSESS_PUT, id, value, NULL);
}

int rig_del_at_store(const char *id) {
    return at_store(MCPSESS_DEL, id, mcpsess_str_of(NULL, 0), NULL);
}
