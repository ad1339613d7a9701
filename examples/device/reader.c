/* A connection that shows an event stream. It reads the stream's log, never its writer: so what is live and what is
   replayed is one thing, in one order. A client that reads too slowly is waited for, and if the log overtakes it
   meanwhile, its connection ends; it may come back and be told so. */

#include "device.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    reader *next;
    device *dev;
    struct evhttp_request *req; /* NULL once the client is gone */
    mcpsess_stream_reader log;
    mcpsess_op op;
    mcpsess_event event;
    bool waits; /* op is pending */
    bool full;  /* the client has to read first */
    char session[MCPSESS_ID_MAX + 1];
    char name[STREAM_NAME]; /* who writes the stream may be gone before it is read to its end */
    char mem[];             /* the names in an event id, and a page of the log: its largest event fits */
};

static reader *find(device *dev, const char *session_id, mcpsess_str name) {
    reader *r = dev->readers;
    while (r && !(strcmp(r->session, session_id) == 0 && mcpsess_str_eq(r->log.stream, name))) r = r->next;
    return r;
}

reader *reader_of(device *dev, const char *session_id, const char *name) {
    return find(dev, session_id, mcpsess_str_z(name));
}

static void free_reader(reader *r) {
    reader **at = &r->dev->readers;
    while (*at && *at != r) at = &(*at)->next;
    if (*at) *at = r->next;
    mcpsess_cancel(&r->op);
    mcpsess_stream_close(&r->log);
    free(r);
}

void reader_close(reader *r) {
    evhttp_connection_set_closecb(evhttp_request_get_connection(r->req), NULL, NULL);
    evhttp_send_reply_end(r->req);
    free_reader(r);
}

void readers_close(device *dev) {
    while (dev->readers) reader_close(dev->readers);
}

/* The client is gone. That cancels nothing: a job that is under way goes on without a reader (revision 2025-11-25,
   "disconnection should not be interpreted as the client cancelling its request"). */
static void on_gone(struct evhttp_connection *conn, void *arg) {
    reader *r = arg;
    (void)conn;
    evhttp_send_reply_end(r->req); /* libevent has detached the request; this frees it */
    free_reader(r);
}

/* ---- frames ---- */

static size_t backlog(const reader *r) {
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(r->req));
    return evbuffer_get_length(bufferevent_get_output(bev));
}

static void on_flushed(struct evhttp_connection *conn, void *arg) {
    reader *r = arg;
    (void)conn;
    if (!r->full) return;
    r->full = false;
    reader_step(r);
}

static bool send_frame(reader *r, const mcpsess_event *e, const char *comment) {
    size_t n = e ? mcpsess_sse_bytes(e) : strlen(comment) + 4; /* ": ", and two line ends */
    struct evbuffer *chunk = evbuffer_new();
    struct evbuffer_iovec room;
    mcpsess_buf out;
    int rc = MCPSESS_E_NOMEM;
    if (chunk && n > 0 && evbuffer_reserve_space(chunk, (ev_ssize_t)n, &room, 1) == 1) {
        mcpsess_buf_init(&out, room.iov_base, room.iov_len);
        rc = e ? mcpsess_sse_put(e, &out) : mcpsess_sse_put_comment(mcpsess_str_z(comment), &out);
        room.iov_len = out.len;
        evbuffer_commit_space(chunk, &room, 1);
    }
    if (rc == MCPSESS_OK) evhttp_send_reply_chunk_with_cb(r->req, chunk, on_flushed, r);
    if (chunk) evbuffer_free(chunk);
    r->full = backlog(r) > BACKLOG_MAX;
    return rc == MCPSESS_OK;
}

/* ---- the log ---- */

/* The next event, into r->event; it is the log's until the next call. */
static int next_event(reader *r) {
    int rc = r->waits ? mcpsess_poll(&r->op, now_ms()) : mcpsess_stream_next(&r->log, &r->op, &r->event, now_ms());
    while (rc == MCPSESS_PENDING && mcpsess_want(&r->op) & MCPSESS_WANT_NOW) rc = mcpsess_poll(&r->op, now_ms());
    r->waits = rc == MCPSESS_PENDING;
    return rc;
}

static void hand_on(reader *r, int rc) {
    while (rc == MCPSESS_OK) {
        if (!send_frame(r, &r->event, NULL)) rc = MCPSESS_E_NOMEM;
        if (rc != MCPSESS_OK || r->full) break;
        rc = next_event(r);
    }
    if (rc == MCPSESS_OK || rc == MCPSESS_PENDING) return;
    if (rc != MCPSESS_END) r->dev->lost.readers++;
    reader_close(r); /* END, or an event it has missed, or no memory: it may come back */
}

void reader_step(reader *r) {
    if (!r->full) hand_on(r, next_event(r));
}

bool reader_tell(reader *r, const mcpsess_event *e) {
    return !r->full && send_frame(r, e, NULL);
}

void reader_comment(reader *r, const char *text) {
    if (!r->full) send_frame(r, NULL, text);
}

/* ---- open ---- */

/* A reader may be silent for as long as it likes, but must not leave bytes unread for ever. */
static void set_timeouts(struct evhttp_connection *conn) {
    const struct timeval idle = {IDLE_SECONDS, 0};
    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(conn), NULL, &idle);
}

static size_t reader_bytes(const device *dev) {
    return MCPSESS_STREAM_READER_MIN + dev->sessions.log_bytes;
}

static reader *new_reader(device *dev, struct evhttp_request *req, const session *s) {
    reader *r = calloc(1, sizeof *r + reader_bytes(dev));
    if (!r) return NULL;
    r->dev = dev;
    r->req = req;
    memcpy(r->session, s->id, sizeof r->session);
    mcpsess_op_init(&r->op, 0);
    return r;
}

/* Begins the answer, once the log is open. */
static void start(reader *r) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(r->req);
    struct evhttp_connection *conn = evhttp_request_get_connection(r->req);
    r->next = r->dev->readers;
    r->dev->readers = r;
    evhttp_add_header(headers, "Content-Type", "text/event-stream");
    evhttp_add_header(headers, "Cache-Control", "no-cache, no-store, no-transform");
    evhttp_add_header(headers, "X-Accel-Buffering", "no");
    evhttp_add_header(headers, "Connection", "close"); /* so set_timeouts lasts for this stream only */
    evhttp_connection_set_closecb(conn, on_gone, r);
    set_timeouts(conn);
    evhttp_send_reply_start(r->req, HTTP_OK, "OK");
}

int reader_open(device *dev, struct evhttp_request *req, const session *s, const char *name, uint64_t epoch,
                uint64_t sequence) {
    reader *r = new_reader(dev, req, s);
    if (!r) return MCPSESS_E_NOMEM;
    memcpy(r->name, name, strlen(name) + 1);
    int rc = mcpsess_stream_read(&dev->sessions.streams, &r->log, &r->op, mcpsess_str_z(r->session), &nobody,
                                 mcpsess_str_z(r->name), epoch, sequence, r->mem, reader_bytes(dev), now_ms());
    if (rc != MCPSESS_OK) {
        free(r);
        return rc;
    }
    start(r);
    reader_step(r);
    return MCPSESS_OK;
}

/* The client's position, told again: it needs an id of this connection to come back with, should that be cut or end
   before the first event (the official clients forget the one they came with). */
static bool tell_position(reader *r, const char *id) {
    mcpsess_event e = {.type = MCPSESS_STR(MCPSESS_EVENT_PRIME), .id = mcpsess_str_z(id)};
    e.retry = !r->log.streaming;
    e.retry_ms = POLL_RETRY_MS;
    return send_frame(r, &e, NULL);
}

int reader_resume(device *dev, struct evhttp_request *req, const session *s, const char *last_event_id) {
    reader *r = new_reader(dev, req, s);
    if (!r) return MCPSESS_E_NOMEM;
    int rc = mcpsess_stream_resume(&dev->sessions.streams, &r->log, &r->op, mcpsess_str_z(last_event_id),
                                   mcpsess_str_z(r->session), &nobody, r->mem, reader_bytes(dev), now_ms());
    if (rc != MCPSESS_OK) {
        free(r);
        return rc;
    }
    reader *old = find(dev, r->session, r->log.stream);
    if (old) reader_close(old); /* its client is here */
    start(r);
    rc = next_event(r);
    if (session_primes(s) && !(rc == MCPSESS_END && r->log.done)) tell_position(r, last_event_id);
    hand_on(r, rc);
    return MCPSESS_OK;
}
