/* A connection that shows an event stream. It reads the stream's log, never its writer: so what is live and what is
   replayed is one thing, in one order. A client that reads too slowly is waited for, and if the log overtakes it
   meanwhile, its connection ends; it may come back and be told so. */

#include "device.h"

enum { FRAME_MAX = EVENT_MAX + MCPSESS_EVENTID_MAX + 64 };

connection *reader_of(const char *session_id, const char *name) {
    for (connection *c = connections; c < connections + CONNECTIONS; c++) {
        const reader *r = &c->as.reader;
        if (c->state != CONNECTION_STREAM || !c->pcb || c->ended) continue; /* its client is gone */
        if (strcmp(r->session, session_id) != 0) continue;
        if (mcpsess_str_eq(r->log.stream, mcpsess_str_z(name))) return c;
    }
    return NULL;
}

void reader_forget(connection *c) {
    mcpsess_cancel(&c->as.reader.op);
    mcpsess_stream_close(&c->as.reader.log);
}

void reader_close(connection *c) {
    reader_forget(c);
    connection_end(c);
}

/* ---- frames ---- */

/* -> false: its client has to read first */
static bool send_frame(connection *c, const mcpsess_event *e, const char *comment) {
    static char frame[FRAME_MAX];
    mcpsess_buf out;
    size_t unheard = connection_unheard(c);
    mcpsess_buf_init(&out, frame, sizeof frame);
    int rc = e ? mcpsess_sse_put(e, &out) : mcpsess_sse_put_comment(mcpsess_str_z(comment), &out);
    if (rc != MCPSESS_OK) count.events++; /* larger than EVENT_MAX, which stream_send lets nothing be */
    if (unheard > 0 && unheard + out.len > UNHEARD_MAX) return false;
    if (unheard == 0) c->since_ms = now_ms();
    return connection_send(c, mcpsess_buf_str(&out), false);
}

void reader_comment(connection *c, const char *text) {
    if (!c->as.reader.holds) send_frame(c, NULL, text);
}

/* ---- the log ---- */

/* The next event, into r->event; it is the log's until the next call. */
static int next_event(reader *r) {
    int rc = r->waits ? mcpsess_poll(&r->op, now_ms()) : mcpsess_stream_next(&r->log, &r->op, &r->event, now_ms());
    r->waits = rc == MCPSESS_PENDING;
    r->holds = rc == MCPSESS_OK;
    return rc;
}

/* END, or an event it has missed: it may come back. */
static void end_with(connection *c, int rc) {
    if (rc == MCPSESS_OK || rc == MCPSESS_PENDING) return;
    if (rc != MCPSESS_END) count.readers++;
    reader_close(c);
}

void reader_step(connection *c) {
    reader *r = &c->as.reader;
    int rc = r->holds ? MCPSESS_OK : next_event(r);
    while (rc == MCPSESS_OK && send_frame(c, &r->event, NULL)) rc = next_event(r);
    end_with(c, rc);
}

/* ---- open ---- */

static reader *new_reader(connection *c, const session *s) {
    reader *r = &c->as.reader;
    memset(r, 0, sizeof *r);
    memcpy(r->session, s->id, sizeof r->session);
    mcpsess_op_init(&r->op, 0);
    return r;
}

/* Begins the answer, once the log is open. Its end is the connection's. -> false: there was no room, it has ended */
static bool start(connection *c) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Cache-Control: no-cache, no-store, no-transform\r\nX-Accel-Buffering: no\r\n"
                               "Connection: close\r\n\r\n";
    c->state = CONNECTION_STREAM;
    c->since_ms = now_ms();
    if (connection_send(c, mcpsess_str_of(head, sizeof head - 1), true)) return true;
    count.replies++;
    connection_cut(c);
    return false;
}

int reader_open(connection *c, const session *s, const char *name, uint64_t epoch, uint64_t sequence) {
    reader *r = new_reader(c, s);
    memcpy(r->name, name, strlen(name) + 1);
    int rc = mcpsess_stream_read(&streams, &r->log, &r->op, mcpsess_str_z(r->session), &nobody, mcpsess_str_z(r->name),
                                 epoch, sequence, r->mem, sizeof r->mem, now_ms());
    if (rc == MCPSESS_OK) start(c);
    return rc;
}

/* The client's position, told again: it needs an id of this connection to come back with, should that be cut or end
   before the first event (the official clients forget the one they came with). */
static void tell_position(connection *c, const char *id) {
    mcpsess_event e = {.type = MCPSESS_STR(MCPSESS_EVENT_PRIME), .id = mcpsess_str_z(id)};
    e.retry = !c->as.reader.log.streaming;
    e.retry_ms = POLL_RETRY_MS;
    send_frame(c, &e, NULL);
}

int reader_resume(connection *c, const session *s) {
    char id[sizeof c->as.request.last_event_id];
    memcpy(id, c->as.request.last_event_id, sizeof id);
    reader *r = new_reader(c, s);
    int rc = mcpsess_stream_resume(&streams, &r->log, &r->op, mcpsess_str_z(id), mcpsess_str_z(r->session), &nobody,
                                   r->mem, sizeof r->mem, now_ms());
    if (rc != MCPSESS_OK) return rc;
    char name[STREAM_NAME] = "";
    memcpy(name, r->log.stream.ptr, r->log.stream.len);
    connection *old = reader_of(s->id, name);
    if (old) reader_close(old); /* its client is here */
    if (!start(c)) return MCPSESS_OK;
    rc = next_event(r);
    if (session_primes(s) && !(rc == MCPSESS_END && r->log.done)) tell_position(c, id);
    end_with(c, rc);
    return MCPSESS_OK;
}
