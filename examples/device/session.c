/* What a session is to the device: one mcpsess record. The store is RAM, so every operation but waiting for an event is
   done when its begin function returns, and no local tier is put in front of it: that would only be a copy. */

#include "session.h"
#include "rules.h"

#include <string.h>

#define PRIMING_SINCE "2025-11-25"

const mcpsess_principal nobody;

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

int session_create(mcpsess_sessions *t, session *s, const char *version) {
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
    return mcpsess_session_create(t, &op, mcpsess_buf_str(&s->buf), now_ms());
}

int session_load(mcpsess_sessions *t, session *s, const char *id) {
    mcpsess_op op;
    mcpsess_str key = mcpsess_str_z(id);
    if (mcpsess_session_id_check(key) != MCPSESS_OK) return MCPSESS_MISS; /* nothing we ever minted */
    set_id(s, key);
    mcpsess_buf_init(&s->buf, s->bytes, sizeof s->bytes);
    mcpsess_op_init(&op, 0);
    return mcpsess_session_load(t, &op, key, &nobody, &s->buf, now_ms());
}

int session_save(mcpsess_sessions *t, session *s) {
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    return mcpsess_session_update(t, &op, mcpsess_buf_str(&s->buf), now_ms());
}

int session_touch(mcpsess_sessions *t, const char *id) {
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    return mcpsess_session_touch(t, &op, mcpsess_str_z(id), &nobody, now_ms());
}

int session_peek(mcpsess_sessions *t, const char *id) {
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    return mcpsess_session_exists(t, &op, mcpsess_str_z(id), &nobody, now_ms());
}

int session_delete(mcpsess_sessions *t, const char *id) {
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    return mcpsess_session_del(t, &op, mcpsess_str_z(id), &nobody, now_ms());
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

int session_count_call(mcpsess_sessions *t, session *s) {
    char text[12];
    mcpsess_buf out;
    mcpsess_buf_init(&out, text, sizeof text - 1);
    mcpsess_buf_put_u64(&out, session_number(s, "calls") + 1u);
    text[out.len] = '\0';
    session_set(s, "calls", text);
    return session_save(t, s);
}

bool session_hears(const session *s) {
    char level[16];
    session_text(s, "level", level, sizeof level);
    int least = place_of(level, levels, LEVELS);
    return least <= LEVEL_INFO || least == LEVELS;
}

/* Revisions are dates. */
bool session_primes(const session *s) {
    return mcpsess_str_order(pair(s, "version"), MCPSESS_STR(PRIMING_SINCE)) >= 0;
}

mcpsess_stream_op stream_op(void) {
    mcpsess_stream_op op;
    memset(&op, 0, sizeof op);
    mcpsess_op_init(&op.op, 0);
    return op;
}

/* With an id from the first moment on a client may come back; older ones cannot read an event without data. */
void session_prime(const session *s, mcpsess_stream_writer *w, bool polls) {
    mcpsess_stream_op op = stream_op();
    if (!session_primes(s)) return;
    mcpsess_stream_prime(w, &op, polls ? POLL_RETRY_MS : 0, now_ms());
    if (!polls) return;
    op = stream_op();
    mcpsess_stream_set_mode(w, &op, false, now_ms());
}

void random_name(char name[STREAM_NAME]) {
    mcpsess_buf out;
    mcpsess_buf_init(&out, name, STREAM_NAME - 1);
    mcpsess_session_id_new(&out, MCPSESS_ID_BASE64URL, random_bytes, NULL);
    name[out.len] = '\0';
}
