/* A session load that the local tier answers, its record copied out, beside the raw LRU get underneath it: same ids,
   same slots, values of the same size. */
#include "../mcpsess.h"
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPS = 200000, ID_LEN = BENCH_UUID, RECORD_MAX = 128, NOW = 1000 };

typedef struct sessions {
    mcpsess_principal who;
    mcpsess_memstore store;
    mcpsess_sessions table;
    size_t record_len;
} sessions;

typedef struct round {
    mcpsess_lru *raw;
    sessions *sessions;
    const char *ids; /* OPS of them */
} round;

static const uint8_t seed[16] = {7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5, 2};

static mcpsess_str id_of(const char *ids, size_t n) {
    mcpsess_str id;
    id.ptr = ids + n * ID_LEN;
    id.len = ID_LEN;
    return id;
}

static void must(int rc) {
    if (rc != MCPSESS_OK) bench_stop(mcpsess_code_name(rc));
}

static void fill_sessions(sessions *s, const char *ids, uint16_t count) {
    char bytes[RECORD_MAX];
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    for (uint16_t n = 0; n < count; n++) {
        mcpsess_record record;
        mcpsess_buf out;
        memset(&record, 0, sizeof record);
        record.id = id_of(ids, n);
        record.principal = s->who;
        record.backend = MCPSESS_STR("http://127.0.0.1:8080/mcp");
        record.state = MCPSESS_STATE_ACTIVE;
        mcpsess_buf_init(&out, bytes, sizeof bytes);
        must(mcpsess_record_encode(&record, &out));
        must(mcpsess_session_store(&s->table, &op, mcpsess_buf_str(&out), NOW));
        s->record_len = out.len;
    }
}

static sessions *make_sessions(mcpsess_principal who, const char *ids, uint16_t count) {
    sessions *s = bench_alloc(sizeof *s);
    mcpsess_memstore_desc m = mcpsess_memstore_desc_default();
    mcpsess_session_desc d = mcpsess_session_desc_default();
    m.records = d.capacity = count;
    m.value_max = d.slot_max = d.record_max = RECORD_MAX;
    d.lanes = 1;
    memcpy(d.seed, seed, sizeof seed);
    memcpy(m.seed, seed, sizeof seed);
    must(mcpsess_memstore_init(&s->store, &m, bench_alloc(mcpsess_memstore_bytes(&m)), mcpsess_memstore_bytes(&m)));
    d.store = mcpsess_memstore_store(&s->store);
    must(mcpsess_session_init(&s->table, &d, bench_alloc(mcpsess_session_bytes(&d)), mcpsess_session_bytes(&d)));
    s->who = who;
    fill_sessions(s, ids, count);
    return s;
}

static mcpsess_lru *make_raw(const char *ids, uint16_t count, size_t value_len) {
    static const char zeros[RECORD_MAX + MCPSESS_I_SLOT_HEAD];
    mcpsess_lru *l = bench_alloc(sizeof *l);
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    d.capacity = count;
    d.key_max = MCPSESS_ID_MAX;
    d.value_max = sizeof zeros;
    memcpy(d.seed, seed, sizeof seed);
    must(mcpsess_lru_init(l, &d, bench_alloc(mcpsess_lru_bytes(&d)), mcpsess_lru_bytes(&d)));
    for (uint16_t n = 0; n < count; n++)
        must(mcpsess_lru_put(l, id_of(ids, n), mcpsess_str_of(zeros, value_len), MCPSESS_NEVER));
    return l;
}

static size_t raw_round(const round *r) {
    size_t found = 0;
    for (size_t i = 0; i < OPS; i++) {
        mcpsess_str value;
        if (mcpsess_lru_get(r->raw, id_of(r->ids, i), NOW, &value) == MCPSESS_OK && *value.ptr == 0) found++;
    }
    return found;
}

static size_t raw_copy_round(const round *r) {
    char bytes[RECORD_MAX + MCPSESS_I_SLOT_HEAD];
    size_t found = 0;
    for (size_t i = 0; i < OPS; i++) {
        mcpsess_str value;
        mcpsess_buf out;
        mcpsess_buf_init(&out, bytes, sizeof bytes);
        if (mcpsess_lru_get(r->raw, id_of(r->ids, i), NOW, &value) != MCPSESS_OK) continue;
        mcpsess_buf_put(&out, value);
        if (out.len != 0) found++;
    }
    return found;
}

static size_t load_round(const round *r) {
    char bytes[RECORD_MAX];
    size_t found = 0;
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    for (size_t i = 0; i < OPS; i++) {
        mcpsess_buf out;
        mcpsess_buf_init(&out, bytes, sizeof bytes);
        if (mcpsess_session_load(&r->sessions->table, &op, id_of(r->ids, i), &r->sessions->who, &out, NOW) ==
            MCPSESS_OK)
            found++;
    }
    return found;
}

static double per_op(size_t (*run)(const round *r), const round *r) {
    const double start = bench_cpu_ns();
    if (run(r) != OPS) bench_stop("a session was not found");
    return (bench_cpu_ns() - start) / OPS;
}

static void measure(uint16_t count) {
    static const mcpsess_principal nobody;
    mcpsess_principal somebody;
    static bench_series raw, copied, plain, guarded;
    char *known = bench_alloc((size_t)count * ID_LEN), *ids = bench_alloc((size_t)OPS * ID_LEN), title[80];
    round a, b;
    somebody.issuer = MCPSESS_STR("https://issuer.example");
    somebody.subject = MCPSESS_STR("user-17");
    for (size_t n = 0; n < count; n++) bench_uuid(known + n * ID_LEN);
    a.sessions = make_sessions(nobody, known, count);
    b.sessions = make_sessions(somebody, known, count);
    a.raw = b.raw = make_raw(known, count, MCPSESS_I_SLOT_HEAD + a.sessions->record_len);
    a.ids = b.ids = ids;
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        for (size_t i = 0; i < OPS; i++) memcpy(ids + i * ID_LEN, known + bench_random() % count * ID_LEN, ID_LEN);
        raw.round[r] = per_op(raw_round, &a);
        plain.round[r] = per_op(load_round, &a);
        copied.round[r] = per_op(raw_copy_round, &a);
        guarded.round[r] = per_op(load_round, &b);
    }
    if (a.sessions->table.stats.local_hits != OPS * BENCH_ROUNDS) bench_stop("a load was not a local hit");
    raw.name = "mcpsess_lru_get";
    copied.name = "mcpsess_lru_get, value copied";
    plain.name = "mcpsess_session_load";
    guarded.name = "the same, with a principal";
    snprintf(title, sizeof title, "session hit: %u sessions, %u-byte records", (unsigned)count,
             (unsigned)a.sessions->record_len);
    bench_title(title, "ns", "/get");
    bench_row(&raw, NULL);
    bench_row(&copied, &raw);
    bench_row(&plain, &raw);
    bench_row(&guarded, &raw);
    free(ids);
    free(known);
}

int main(void) {
    measure(1000);
    measure(65000);
    return 0;
}
