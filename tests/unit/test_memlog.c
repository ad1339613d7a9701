/* memstore's logs: what only this store promises */

#include "log_contract.h"

static mcpsess_memstore ram;
static mcpsess_store store;
static mcpsess_log_request q;
static mcpsess_log_limits limits;
static uint64_t now;
static char out_mem[256];
static mcpsess_buf out;

static void make(uint16_t logs, uint32_t log_bytes) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    uint64_t bytes = MCPSESS_MEMSTORE_BYTES(1, 1, 16) + MCPSESS_MEMSTORE_LOG_BYTES(logs, log_bytes);
    d.records = 1;
    d.leases = 1;
    d.value_max = 16;
    d.logs = logs;
    d.log_bytes = log_bytes;
    CHECK_EQ(mcpsess_memstore_bytes(&d), bytes);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, arena(bytes), (size_t)bytes), MCPSESS_OK);
    store = mcpsess_memstore_store(&ram);
    memset(&limits, 0, sizeof limits);
    now = 0;
}

static void sound(void) {
    CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_OK);
    CHECK(arena_intact());
}

static void request(uint8_t kind, const char *session, const char *stream) {
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = mcpsess_str_z(session);
    q.log.stream = mcpsess_str_z(stream);
    q.log.limits = &limits;
}

static int submit(void) {
    int rc = store.cls->submit(store.self, &q.request, now);
    CHECK_EQ(rc, q.request.rc);
    return rc;
}

static int open_log(const char *session, const char *stream, const char *token) {
    request(MCPSESS_LOG_OPEN, session, stream);
    q.request.value = mcpsess_str_z(token);
    q.request.ttl_ms = 100;
    return submit();
}

static int append(const char *session, const char *stream, uint64_t writer, uint64_t epoch, uint64_t sequence,
                  const char *data) {
    request(MCPSESS_LOG_APPEND, session, stream);
    q.request.ttl_ms = 100;
    q.log.writer = writer;
    q.log.epoch = epoch;
    q.log.sequence = sequence;
    q.log.confirmed = sequence - 1;
    q.log.event.data = mcpsess_str_z(data);
    return submit();
}

TEST(memlog_gives_back_what_was_appended) {
    mcpsess_event e;
    mcpsess_str frames;
    uint64_t writer, epoch;
    make(2, 256);
    CHECK_EQ(open_log("s", "1", "t"), MCPSESS_OK);
    writer = q.log.writer;
    epoch = q.log.epoch;
    CHECK_EQ(append("s", "1", writer, epoch, 1, "one"), MCPSESS_OK);
    CHECK_EQ(append("s", "1", writer, epoch, 2, "two"), MCPSESS_OK);
    CHECK_EQ(append("s", "1", writer, epoch, 2, "two"), MCPSESS_DUP);
    CHECK_EQ(append("s", "1", writer, epoch, 2, "TWO"), MCPSESS_LOST);
    CHECK_EQ(append("s", "1", writer, epoch, 1, "one"), MCPSESS_DUP);
    request(MCPSESS_LOG_RANGE, "s", "1");
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    q.log.epoch = epoch;
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(q.request.count, 2);
    frames = mcpsess_buf_str(&out);
    CHECK_EQ(mcpsess_event_take(&frames, &e), MCPSESS_OK);
    CHECK_STR(e.data, "one");
    CHECK_EQ(mcpsess_event_take(&frames, &e), MCPSESS_OK);
    CHECK_STR(e.data, "two");
    CHECK_EQ(mcpsess_event_take(&frames, &e), MCPSESS_END);
    sound();
}

/* ---- the contract ---- */

static void rig_reset(log_rig *rig) {
    make(LOG_CONTRACT_LOGS, LOG_CONTRACT_BYTES);
    rig->store = store;
    rig->now_ms = 0;
}

static void rig_pass(log_rig *rig, uint64_t ms) {
    sound();
    rig->now_ms += ms;
}

static log_rig contract_rig = {{NULL, NULL}, 0,    10,   true,      true,     true, true,
                               true,         true, true, rig_reset, rig_pass, NULL};

void test_memlog(void) {
    RUN(memlog_gives_back_what_was_appended);
    log_contract(&contract_rig);
}
