/* Server-sent events. A stream carries no event ids and no priming event: they promise that a client may resume, and
   the device keeps no log of its events. A client that is gone is found by libevent, and its stream let go. */

#include "device.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>

static void unlink_stream(stream *s) {
    stream **at = &s->dev->streams;
    while (*at && *at != s) at = &(*at)->next;
    if (*at) *at = s->next;
}

static void free_stream(stream *s) {
    unlink_stream(s);
    if (s->tick) event_free(s->tick);
    free(s);
}

static void hang_up(stream *s) {
    struct evhttp_request *req = s->req;
    s->req = NULL;
    if (!req) return;
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
    evhttp_send_reply_end(req);
}

/* The client is gone. That cancels nothing: a job that is under way goes on without a reader (revision 2025-11-25,
   "disconnection should not be interpreted as the client cancelling its request"). */
static void on_gone(struct evhttp_connection *conn, void *arg) {
    stream *s = arg;
    struct evhttp_request *req = s->req;
    (void)conn;
    s->req = NULL;
    evhttp_send_reply_end(req); /* libevent has detached the request; this frees it */
    if (s->holds == 0) free_stream(s);
}

/* A reader may be silent for as long as it likes, but must not leave bytes unread for ever. */
static void set_timeouts(struct evhttp_connection *conn) {
    const struct timeval idle = {IDLE_SECONDS, 0};
    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(conn), NULL, &idle);
}

stream *stream_open(device *dev, struct evhttp_request *req, const char *session_id) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct evhttp_connection *conn = evhttp_request_get_connection(req);
    stream *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->dev = dev;
    s->req = req;
    s->holds = 1;
    memcpy(s->session, session_id, strlen(session_id) + 1);
    evhttp_add_header(headers, "Content-Type", "text/event-stream");
    evhttp_add_header(headers, "Cache-Control", "no-cache, no-transform");
    evhttp_add_header(headers, "X-Accel-Buffering", "no");
    evhttp_add_header(headers, "Connection", "close"); /* so set_timeouts lasts for this stream only */
    evhttp_connection_set_closecb(conn, on_gone, s);
    set_timeouts(conn);
    evhttp_send_reply_start(req, HTTP_OK, "OK");
    return s;
}

static void write_text(stream *s, const char *before, const char *text, const char *after) {
    struct evbuffer *chunk = evbuffer_new();
    if (!chunk) return;
    evbuffer_add_printf(chunk, "%s%s%s", before, text, after);
    evhttp_send_reply_chunk(s->req, chunk);
    evbuffer_free(chunk);
}

static size_t backlog(const stream *s) {
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(s->req));
    return evbuffer_get_length(bufferevent_get_output(bev));
}

void stream_send(stream *s, const cJSON *message) {
    if (!s->req) return;
    if (backlog(s) > BACKLOG_MAX) { /* it does not read */
        hang_up(s);
        return;
    }
    char *text = cJSON_PrintUnformatted(message); /* on one line: cJSON escapes control characters */
    if (!text) return;
    write_text(s, "event: message\ndata: ", text, "\n\n");
    cJSON_free(text);
}

static void end_stream(stream *s) {
    hang_up(s);
    free_stream(s);
}

void stream_release(stream *s) {
    if (--s->holds == 0) end_stream(s);
}

/* An open GET stream keeps its session alive; a session that has ended closes it. */
static void on_tick(evutil_socket_t fd, short what, void *arg) {
    stream *s = arg;
    (void)fd;
    (void)what;
    if (s->req && session_touch(&s->dev->sessions, s->session) == MCPSESS_OK) {
        write_text(s, ": ", "still here", "\n\n");
    } else {
        end_stream(s);
    }
}

static void start_tick(stream *s) {
    uint64_t third = s->dev->sessions.ttl_ms / 3;
    uint64_t ms = third < KEEP_ALIVE_SECONDS * 1000u ? third : KEEP_ALIVE_SECONDS * 1000u;
    struct timeval every = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
    s->tick = event_new(s->dev->base, -1, EV_PERSIST, on_tick, s);
    if (s->tick) event_add(s->tick, &every);
}

static stream *listener(device *dev, const char *session_id) {
    stream *s = dev->streams;
    while (s && (!s->req || strcmp(s->session, session_id) != 0)) s = s->next;
    return s;
}

bool stream_listen(device *dev, struct evhttp_request *req, const char *session_id) {
    if (listener(dev, session_id)) return false;
    stream *s = stream_open(dev, req, session_id);
    if (!s) return false;
    s->holds = 0; /* ends with its client or its session */
    s->next = dev->streams;
    dev->streams = s;
    start_tick(s);
    return true;
}

void streams_notify(device *dev, const char *session_id, const cJSON *message) {
    stream *s = listener(dev, session_id);
    if (s) stream_send(s, message);
}

void streams_end(device *dev, const char *session_id) {
    stream *next;
    for (stream *s = dev->streams; s; s = next) {
        next = s->next;
        if (!session_id || strcmp(s->session, session_id) == 0) end_stream(s);
    }
}
