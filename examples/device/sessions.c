/* The sessions of the device: one mcpsess record each, and the logs of their event streams. The store is RAM, so every
   operation but waiting for an event is done when its begin function returns, and no local tier is put in front of it:
   that would only be a copy. */

#define MCPSESS_IMPLEMENTATION
#include "device.h"

#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PRIMING_SINCE "2025-11-25"

enum { LOGS_MAX = 65534 };

const mcpsess_principal nobody;

static int random_bytes(void *user, void *dst, size_t len) {
    (void)user;
    evutil_secure_rng_get_bytes(dst, len);
    return 0;
}

static uint64_t wall_ms(void) {
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

static void set_id(session *s, mcpsess_str id) {
    memcpy(s->id, id.ptr, id.len);
    s->id[id.len] = '\0';
}

static int new_id(session *s) {
    mcpsess_buf out;
    mcpsess_buf_init(&out, s->id, sizeof s->id - 1);
    int rc = mcpsess_session_id_new(&out, MCPSESS_ID_BASE64URL, random_bytes, NULL);
    s->id[out.len] = '\0';
    return rc;
}

int session_create(sessions *t, session *s, const char *version) {
    mcpsess_record r;
    mcpsess_op op;
    int rc = new_id(s);
    if (rc != MCPSESS_OK) return rc;
    memset(&r, 0, sizeof r);
    r.id = mcpsess_str_z(s->id);
    r.state = MCPSESS_STATE_ACTIVE;
    r.created_ms = r.updated_ms = wall_ms();
    mcpsess_buf_init(&s->buf, s->bytes, sizeof s->bytes);
    rc = mcpsess_record_encode(&r, &s->buf);
    if (rc != MCPSESS_OK) return rc;
    session_set(s, "version", version);
    mcpsess_op_init(&op, 0);
    return mcpsess_session_create(&t->table, &op, mcpsess_buf_str(&s->buf), now_ms());
}

int session_load(sessions *t, session *s, const char *id) {
    mcpsess_op op;
    mcpsess_str key = mcpsess_str_z(id);
    if (mcpsess_session_id_check(key) != MCPSESS_OK) return MCPSESS_MISS; /* nothing we ever minted */
    set_id(s, key);
    mcpsess_buf_init(&s->buf, s->bytes, sizeof s->bytes);
    mcpsess_op_init(&op, 0);
    return mcpsess_session_load(&t->table, &op, key, &nobody, &s->buf, now_ms());
}

int session_save(sessions *t, session *s) {
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    return mcpsess_session_update(&t->table, &op, mcpsess_buf_str(&s->buf), now_ms());
}

int session_touch(sessions *t, const char *id) {
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    return mcpsess_session_touch(&t->table, &op, mcpsess_str_z(id), &nobody, now_ms());
}

int session_peek(sessions *t, const char *id) {
    mcpsess_store store = mcpsess_memstore_store(&t->store);
    mcpsess_request r;
    memset(&r, 0, sizeof r);
    r.kind = MCPSESS_GET;
    r.key = mcpsess_str_z(id);
    return store.cls->submit(store.self, &r, now_ms());
}

int session_delete(sessions *t, const char *id) {
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    return mcpsess_session_del(&t->table, &op, mcpsess_str_z(id), &nobody, now_ms());
}

/* All pairs together are far below RECORD_MAX, so a put has no reason to fail. */
void session_set(session *s, const char *key, const char *value) {
    mcpsess_record_put(&s->buf, mcpsess_str_z(key), mcpsess_str_z(value));
}

static mcpsess_str pair(const session *s, const char *key) {
    mcpsess_record r;
    mcpsess_str value = {NULL, 0};
    if (mcpsess_record_decode(mcpsess_buf_str(&s->buf), &r) == MCPSESS_OK) {
        mcpsess_record_get(&r, mcpsess_str_z(key), &value);
    }
    return value;
}

bool session_is(const session *s, const char *key, const char *value) {
    return mcpsess_str_eq(pair(s, key), mcpsess_str_z(value));
}

void session_text(const session *s, const char *key, char *text, size_t size) {
    mcpsess_str v = pair(s, key);
    size_t n = v.len < size ? v.len : size - 1;
    if (n > 0) memcpy(text, v.ptr, n);
    text[n] = '\0';
}

unsigned session_number(const session *s, const char *key) {
    uint64_t n = 0;
    mcpsess_str v = pair(s, key);
    return mcpsess_u64_decode(v, UINT32_MAX, &n) == MCPSESS_OK ? (unsigned)n : 0;
}

/* Revisions are dates. */
bool session_primes(const session *s) {
    return mcpsess_str_order(pair(s, "version"), MCPSESS_STR(PRIMING_SINCE)) >= 0;
}

void random_name(char name[STREAM_NAME]) {
    mcpsess_buf out;
    mcpsess_buf_init(&out, name, STREAM_NAME - 1);
    mcpsess_session_id_new(&out, MCPSESS_ID_BASE64URL, random_bytes, NULL);
    name[out.len] = '\0';
}
