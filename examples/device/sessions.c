/* The store of the sessions and of the logs of their event streams, all in RAM; and what session.c needs. */

#define MCPSESS_IMPLEMENTATION
#include "device.h"

#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOGS_MAX = 65534 };

int random_bytes(void *user, void *dst, size_t len) {
    (void)user;
    evutil_secure_rng_get_bytes(dst, len);
    return 0;
}

uint64_t wall_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static int init_store(sessions *t, const sessions_options *o) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    unsigned needed = o->capacity + JOBS_MAX + LOGS_SPARE;
    if (needed > LOGS_MAX) needed = LOGS_MAX;
    d.records = (uint16_t)o->capacity;
    d.value_max = RECORD_MAX;
    d.logs = (uint16_t)(o->logs > 0 ? o->logs : needed);
    d.log_bytes = o->log_bytes;
    random_bytes(NULL, d.seed, sizeof d.seed);
    t->store_bytes = malloc(mcpsess_memstore_bytes(&d));
    if (!t->store_bytes) return MCPSESS_E_NOMEM;
    return mcpsess_memstore_init(&t->store, &d, t->store_bytes, mcpsess_memstore_bytes(&d));
}

static int init_table(sessions *t) {
    mcpsess_session_desc d = mcpsess_session_desc_default();
    d.store = mcpsess_memstore_store(&t->store);
    d.capacity = 0;
    d.slot_max = RECORD_MAX;
    d.lanes = 1;
    d.record_max = RECORD_MAX;
    d.ttl_ms = t->ttl_ms;
    random_bytes(NULL, d.seed, sizeof d.seed);
    t->table_bytes = malloc(mcpsess_session_bytes(&d));
    if (!t->table_bytes) return MCPSESS_E_NOMEM;
    return mcpsess_session_init(&t->table, &d, t->table_bytes, mcpsess_session_bytes(&d));
}

static int init_streams(sessions *t) {
    mcpsess_stream_desc d = mcpsess_stream_desc_default();
    d.store = mcpsess_memstore_store(&t->store);
    d.random = random_bytes;
    d.limits = mcpsess_log_limits_of(NULL);
    d.limits.bytes = t->log_bytes;
    if (d.limits.event_ttl_ms > t->ttl_ms) d.limits.event_ttl_ms = t->ttl_ms;
    return mcpsess_stream_init(&t->streams, &d);
}

int sessions_init(sessions *t, const sessions_options *o) {
    memset(t, 0, sizeof *t);
    t->ttl_ms = (uint64_t)o->ttl_seconds * 1000u;
    t->log_bytes = o->log_bytes;
    int rc = init_store(t, o);
    if (rc == MCPSESS_OK) rc = init_table(t);
    return rc == MCPSESS_OK ? init_streams(t) : rc;
}

void sessions_close(sessions *t) {
    mcpsess_session_close(&t->table);
    free(t->table_bytes);
    free(t->store_bytes);
}
