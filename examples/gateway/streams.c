/* streams.c - the logs behind streams of events, the operations under way there, and what is written into them.

   A stream has a fresh random name, which says what it is: the session's own stream, or the answer to a request. A
   request's id that recurs is another stream. The id is in the name, so that any gateway can end the stream with an
   error for it; one that is too long is not.

   Operations are polled when they ask for it. Unlike those of table.c they have no common time to live: a reader may
   wait for hours. */

#include "gateway.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names */

void streams_name(char *out, char kind, mcpsess_str request_id) {
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[STREAM_RANDOM] = {0};
    size_t n = 0;
    table_random(NULL, bytes, sizeof bytes); /* without it a name could recur, which opening it afresh takes care of */
    out[n++] = kind;
    for (size_t i = 0; i < sizeof bytes; i++) {
        out[n++] = digits[bytes[i] >> 4];
        out[n++] = digits[bytes[i] & 15u];
    }
    if (request_id.len > 0 && n + request_id.len <= MCPSESS_STREAM_MAX) {
        memcpy(out + n, request_id.ptr, request_id.len);
        n += request_id.len;
    }
    out[n] = '\0';
}

mcpsess_str streams_request(mcpsess_str name) {
    const size_t before = 1 + 2 * STREAM_RANDOM;
    if (name.len <= before || name.ptr[0] != STREAM_POST) return mcpsess_str_of("", 0);
    return mcpsess_str_of(name.ptr + before, name.len - before);
}

/* ---- what is in a log: a line with the backend's cursor, which may be empty, and then the data */

size_t envelope_bytes(const char *cursor) {
    return strlen(cursor) + 1;
}

void envelope_put(mcpsess_buf *out, const char *cursor) {
    mcpsess_buf_put(out, mcpsess_str_z(cursor));
    mcpsess_buf_put_char(out, '\n');
}

bool envelope_take(mcpsess_str *data, char *cursor, size_t size) {
    const char *end = data->len > 0 ? memchr(data->ptr, '\n', data->len) : NULL;
    if (end == NULL || (size_t)(end - data->ptr) >= size) return false;
    size_t n = (size_t)(end - data->ptr);
    memcpy(cursor, data->ptr, n);
    cursor[n] = '\0';
    *data = mcpsess_str_of(end + 1, data->len - n - 1);
    return true;
}

struct evbuffer *streams_error(mcpsess_event *e, const char *message, mcpsess_str id) {
    struct evbuffer *text = id.len > 0 ? evbuffer_new() : NULL;
    if (text == NULL) return NULL;
    rpc_error(text, RPC_BAD_REQUEST, message, id);
    memset(e, 0, sizeof *e);
    e->data.len = evbuffer_get_length(text);
    e->data.ptr = (const char *)evbuffer_pullup(text, -1);
    return text;
}

/* ---- operations under way */

void step_wait(struct gateway *g, struct step *s, mcpsess_op *op, void (*then)(void *, int), void *user) {
    s->g = g;
    s->op = op;
    s->then = then;
    s->user = user;
    s->done = false;
    TAILQ_INSERT_TAIL(&g->steps, s, link);
    table_schedule(g);
}

static void unlink_step(struct step *s) {
    TAILQ_REMOVE(s->done ? &s->g->steps_done : &s->g->steps, s, link);
    s->op = NULL;
}

void step_forget(struct step *s) {
    if (s->op == NULL) return;
    mcpsess_cancel(s->op);
    unlink_step(s);
}

static bool is_due(mcpsess_op *op, uint64_t now) {
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return true;
    return (mcpsess_want(op) & MCPSESS_WANT_NOW) != 0 || mcpsess_next_due(op, now) <= now;
}

uint64_t streams_due(struct gateway *g, uint64_t now) {
    uint64_t at = TAILQ_EMPTY(&g->steps_done) ? MCPSESS_NEVER : now;
    struct step *s;
    TAILQ_FOREACH(s, &g->steps, link) {
        uint64_t due = is_due(s->op, now) ? now : mcpsess_next_due(s->op, now);
        if (due < at) at = due;
    }
    return at;
}

void streams_pump(struct gateway *g) {
    uint64_t now = now_ms();
    struct step *s, *next;
    for (s = TAILQ_FIRST(&g->steps); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (!is_due(s->op, now) || mcpsess_poll(s->op, now) == MCPSESS_PENDING) continue;
        TAILQ_REMOVE(&g->steps, s, link);
        TAILQ_INSERT_TAIL(&g->steps_done, s, link);
        s->done = true;
    }
    while ((s = TAILQ_FIRST(&g->steps_done)) != NULL) {
        int rc = mcpsess_op_rc(s->op);
        unlink_step(s);
        s->then(s->user, rc);
    }
}

/* ---- a session ended: its logs go */

struct farewell {
    TAILQ_ENTRY(farewell) link;
    mcpsess_stream_op op;
    struct step step;
    struct gateway *g;
    mcpsess_principal who;
    char sid[MCPSESS_ID_MAX + 1];
    char who_bytes[MCPSESS_PRINCIPAL_MAX];
};

static void forgotten(void *user, int rc) {
    struct farewell *f = user;
    if (rc != MCPSESS_OK) say(f->g, "streams of a session that ended: %s", mcpsess_code_name(rc));
    TAILQ_REMOVE(&f->g->farewells, f, link);
    free(f);
}

void streams_forget(struct gateway *g, mcpsess_str sid, const mcpsess_principal *who) {
    struct farewell *f = calloc(1, sizeof *f);
    if (f == NULL) return; /* they end by themselves */
    f->g = g;
    snprintf(f->sid, sizeof f->sid, "%.*s", (int)sid.len, sid.ptr);
    f->who = *who;
    if (who->subject.len > 0) {
        memcpy(f->who_bytes, who->subject.ptr, who->subject.len);
        f->who.subject.ptr = f->who_bytes;
    }
    mcpsess_op_init(&f->op.op, 0);
    TAILQ_INSERT_TAIL(&g->farewells, f, link);
    int rc = mcpsess_stream_del(&g->streams, &f->op, mcpsess_str_z(f->sid), &f->who, mcpsess_str_of(NULL, 0), now_ms());
    if (rc == MCPSESS_PENDING) step_wait(g, &f->step, &f->op.op, forgotten, f);
    else forgotten(f, rc);
}

/* ---- opening */

static void on_log(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)level;
    (void)key; /* a session id is a secret */
    say(user, "streams: %s (%" PRIu64 ")", mcpsess_item_text(item), number);
}

int streams_open(struct gateway *g) {
    mcpsess_stream_desc d = mcpsess_stream_desc_default();
    d.store = g->store;
    d.limits.events = g->config.stream_events;
    d.limits.bytes = g->config.stream_bytes;
    d.lease_ms = LEASE_MS;
    d.timeout_ms = STORE_TIMEOUT_MS;
    d.random = table_random;
    d.log.log = on_log;
    d.log.user = g;
    return mcpsess_stream_init(&g->streams, &d);
}

void streams_close(struct gateway *g) {
    struct farewell *f;
    while ((f = TAILQ_FIRST(&g->farewells)) != NULL) {
        step_forget(&f->step);
        TAILQ_REMOVE(&g->farewells, f, link);
        free(f);
    }
}

/* ---- metrics */

static unsigned count_open(struct gateway *g) {
    unsigned n = 0;
    struct exchange *x;
    TAILQ_FOREACH(x, &g->exchanges, link) {
        if ((x->feed != NULL || x->tail != NULL) && !x->gone) n++;
    }
    return n;
}

void streams_metrics(struct gateway *g, struct evbuffer *out) {
    const struct metrics *m = &g->metrics;
    const mcpsess_stream_stats *s = &g->streams.stats;
    metric(out, "streams", "gauge", "Streams of events that a client listens to.", count_open(g));
    metric(out, "streams_total", "counter", "Streams that were begun in the store.", m->streams);
    metric(out, "streams_not_stored_total", "counter", "Streams without ids: the store could not take them.",
           m->streams_plain);
    metric(out, "stream_events_total", "counter", "Events stored.", m->events);
    metric(out, "stream_events_repeated_total", "counter", "Events that turned out to be stored already.",
           s->duplicates);
    metric(out, "stream_events_not_stored_total", "counter", "Events sent without an id: too large for a log.",
           m->events_plain);
    metric(out, "stream_events_replayed_total", "counter", "Events read from the store for a client.", s->replayed);
    metric(out, "stream_store_failures_total", "counter", "Requests for streams to the store that failed.",
           m->store_failures);
    metric(out, "stream_logs_lost_total", "counter", "Logs that the store lost the end of.", s->lost_tails);
    metric(out, "streams_cut_total", "counter", "Clients cut off because the store failed for too long.",
           m->streams_cut);
    metric(out, "stream_drains", "gauge", "Streams that go on without their client.", linger_count(g));
    metric(out, "stream_drains_total", "counter", "Streams that went on without their client.", m->drains);
    metric(out, "stream_drains_late_total", "counter", "Those given up because nobody came back in time.",
           m->drains_late);
    metric(out, "stream_drains_dropped_total", "counter", "Those given up because there were too many.",
           m->drains_dropped);
    metric(out, "stream_resumed_total", "counter", "Streams that a client came back for.", m->resumed);
    metric(out, "stream_replaced_total", "counter", "Connections closed because their client had come back.",
           m->replaced);
    metric(out, "stream_ids_refused_total", "counter", "Last-Event-IDs that name nothing here.", m->refused_ids);
    metric(out, "stream_gaps_total", "counter", "Streams that a client was too late for.", s->gaps);
    metric(out, "streams_taken_over_total", "counter", "Streams that another gateway had stored before.",
           m->taken_over);
    metric(out, "streams_orphaned_total", "counter", "Answers ended because nobody would store the rest.", m->orphans);
    metric(out, "stream_backend_resumed_total", "counter", "Broken streams of backends that were taken up again.",
           m->again);
    metric(out, "stream_backend_not_resumed_total", "counter", "And those that could not be.", m->again_failed);
    metric(out, "stream_events_refused_total", "counter", "Events of backends over the limit for one.", m->too_big);
}
