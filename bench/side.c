#include "side.h"

#include <stdlib.h>

static const mcpsess_principal nobody;

static int counted_open(void *user) {
    return sock_open(&((side *)user)->sock);
}

static int counted_send(void *user, const void *bytes, size_t len) {
    side *s = user;
    const int moved = sock_send(&s->sock, bytes, len);
    if (moved > 0) s->sends++;
    s->sent_len = len < sizeof s->sent ? len : sizeof s->sent;
    memcpy(s->sent, bytes, s->sent_len);
    return moved;
}

static int counted_recv(void *user, void *bytes, size_t len) {
    return sock_recv(&((side *)user)->sock, bytes, len);
}

static void counted_close(void *user) {
    sock_close(&((side *)user)->sock);
}

static void must(int rc) {
    if (rc != MCPSESS_OK) bench_stop(mcpsess_redis_code_name(rc));
}

static void make_engine(side *s, const side_desc *d) {
    mcpsess_redis_desc rd = mcpsess_redis_desc_default();
    size_t len;
    rd.transport.open = counted_open;
    rd.transport.send = counted_send;
    rd.transport.recv = counted_recv;
    rd.transport.close = counted_close;
    rd.transport.user = s;
    rd.slots = d->depth;
    rd.tx_bytes = (uint32_t)MCPSESS_REDIS_STORE_TX(SIDE_RECORD_MAX) + d->depth * 256u;
    rd.rx_bytes = 1024u + d->depth * 512u;
    rd.tracking = d->tracking;
    rd.resp2 = d->resp2;
    len = mcpsess_redis_bytes(&rd);
    s->memory[0] = bench_alloc(len);
    must(mcpsess_redis_init(&s->redis, &rd, s->memory[0], len));
}

static void make_table(side *s, const side_desc *d) {
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    mcpsess_session_desc td = mcpsess_session_desc_default();
    size_t len;
    sd.redis = &s->redis;
    must(mcpsess_redis_store_init(&s->store, &sd));
    td.store = mcpsess_redis_store_store(&s->store);
    td.capacity = d->capacity;
    td.slot_max = td.record_max = SIDE_RECORD_MAX;
    td.lanes = d->depth;
    td.revalidate_ms = d->revalidate_ms;
    len = mcpsess_session_bytes(&td);
    s->memory[1] = bench_alloc(len);
    must(mcpsess_session_init(&s->table, &td, s->memory[1], len));
}

side *side_make(const side_desc *d) {
    side *s = bench_alloc(sizeof *s);
    int rc;
    memset(s, 0, sizeof *s);
    sock_init(&s->sock, d->path, NULL);
    s->hook = sock_wait_hook(&s->sock);
    make_engine(s, d);
    make_table(s, d);
    while ((rc = mcpsess_redis_poll(&s->redis, side_now(s))) == MCPSESS_PENDING)
        s->hook.wait(s->hook.user, mcpsess_redis_want(&s->redis), mcpsess_redis_next_due(&s->redis, side_now(s)));
    must(rc);
    return s;
}

void side_free(side *s) {
    (void)mcpsess_session_close(&s->table);
    mcpsess_redis_close(&s->redis);
    free(s->memory[0]);
    free(s->memory[1]);
    free(s);
}

uint64_t side_now(const side *s) {
    return s->hook.now_ms(s->hook.user);
}

void side_record(side_op *o, mcpsess_str id, uint64_t version) {
    char backend[64];
    mcpsess_record r;
    memset(&r, 0, sizeof r);
    snprintf(backend, sizeof backend, "http://127.0.0.1:8080/mcp/%08llu", (unsigned long long)version);
    r.id = id;
    r.backend = mcpsess_str_z(backend);
    r.state = MCPSESS_STATE_ACTIVE;
    mcpsess_op_init(&o->op, 0);
    mcpsess_buf_init(&o->out, o->bytes, sizeof o->bytes);
    must(mcpsess_record_encode(&r, &o->out));
}

int side_store_begin(side *s, side_op *o, mcpsess_str id, uint64_t version) {
    side_record(o, id, version);
    return mcpsess_session_store(&s->table, &o->op, mcpsess_buf_str(&o->out), side_now(s));
}

int side_load_begin(side *s, side_op *o, mcpsess_str id) {
    mcpsess_op_init(&o->op, 0);
    mcpsess_buf_init(&o->out, o->bytes, sizeof o->bytes);
    return mcpsess_session_load(&s->table, &o->op, id, &nobody, &o->out, side_now(s));
}

uint64_t side_version(const side_op *o) {
    mcpsess_record r;
    uint64_t version = 0;
    must(mcpsess_record_decode(mcpsess_buf_str(&o->out), &r));
    for (size_t n = 0; n < 8; n++) version = version * 10 + (uint64_t)(r.backend.ptr[r.backend.len - 8 + n] - '0');
    return version;
}

void side_store(side *s, mcpsess_str id, uint64_t version) {
    side_op o;
    must(mcpsess_wait(&o.op, side_store_begin(s, &o, id, version), &s->hook));
}

uint64_t side_load(side *s, mcpsess_str id) {
    side_op o;
    must(mcpsess_wait(&o.op, side_load_begin(s, &o, id), &s->hook));
    return side_version(&o);
}
