/* Records and logs, in RAM: every operation but waiting for an event is done when its begin function returns. Sessions
   do not outlive a reset, so neither need the epochs of their streams. */

#define MCPSESS_IMPLEMENTATION
#include "device.h"

counters count;
mcpsess_memstore store;
mcpsess_sessions sessions;
mcpsess_streams streams;

MCPSESS_MEMSTORE_LOG_STORAGE(store_memory, SESSIONS, 0, RECORD_MAX, LOGS, LOG_BYTES);
MCPSESS_SESSION_STORAGE(session_memory, 0, RECORD_MAX, 1, RECORD_MAX);

uint64_t now_ms(void) {
    return board_now_ms();
}

uint64_t wall_ms(void) {
    return 0;
}

int random_bytes(void *user, void *dst, size_t len) {
    return board_random(user, dst, len);
}

static bool open_store(void) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    d.records = SESSIONS;
    d.value_max = RECORD_MAX;
    d.logs = LOGS;
    d.log_bytes = LOG_BYTES;
    random_bytes(NULL, d.seed, sizeof d.seed);
    return mcpsess_memstore_init(&store, &d, store_memory.bytes, sizeof store_memory.bytes) == MCPSESS_OK;
}

static bool open_sessions(void) {
    mcpsess_session_desc d = mcpsess_session_desc_default();
    d.store = mcpsess_memstore_store(&store);
    d.capacity = 0;
    d.slot_max = RECORD_MAX;
    d.lanes = 1;
    d.record_max = RECORD_MAX;
    d.ttl_ms = TTL_MS;
    random_bytes(NULL, d.seed, sizeof d.seed);
    return mcpsess_session_init(&sessions, &d, session_memory.bytes, sizeof session_memory.bytes) == MCPSESS_OK;
}

static bool open_streams(void) {
    mcpsess_stream_desc d = mcpsess_stream_desc_default();
    d.store = mcpsess_memstore_store(&store);
    d.random = random_bytes;
    d.limits = mcpsess_log_limits_of(NULL);
    d.limits.bytes = LOG_BYTES;
    return mcpsess_stream_init(&streams, &d) == MCPSESS_OK;
}

bool store_open(void) {
    return open_store() && open_sessions() && open_streams();
}
