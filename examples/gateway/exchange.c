/* exchange.c - one client request from its arrival to the end of its reply. */

#include "gateway.h"

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

void reply_pause(struct exchange *x, unsigned why, bool on) {
    unsigned paused = on ? x->paused | why : x->paused & ~why;
    bool changes = (paused != 0) != (x->paused != 0);
    x->paused = paused;
    if (x->leg != NULL && changes) leg_pause(x->leg, paused != 0);
}

static void client_gone(struct evhttp_connection *conn, void *user) {
    struct exchange *x = user;
    (void)conn;
    x->gone = true;
    reply_pause(x, PAUSE_CLIENT, false); /* what comes now is drained */
    route_client_gone(x);
}

struct exchange *exchange_new(struct gateway *g, struct evhttp_request *req) {
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL) return NULL;
    x->body_bytes = evbuffer_new();
    x->held = evbuffer_new();
    if (x->body_bytes == NULL || x->held == NULL) {
        if (x->body_bytes != NULL) evbuffer_free(x->body_bytes);
        free(x);
        return NULL;
    }
    x->g = g;
    x->req = req;
    x->kind = KIND_REFUSED;
    x->backend = x->lost_backend = -1;
    x->method = evhttp_request_get_command(req);
    mcpsess_op_init(&x->task.op, 0);
    mcpsess_op_init(&x->merge.op, 0);
    evbuffer_add_buffer(x->body_bytes, evhttp_request_get_input_buffer(req));
    x->body.len = evbuffer_get_length(x->body_bytes);
    x->body.ptr = (const char *)evbuffer_pullup(x->body_bytes, -1);
    TAILQ_INSERT_TAIL(&g->exchanges, x, link);
    g->in_flight++;
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), client_gone, x);
    return x;
}

/* The reply was given to libevent, or the client is gone and the request is ours to free. */
static void exchange_free(struct exchange *x) {
    if (x->gone) evhttp_request_free(x->req);
    if (x->leg != NULL) leg_cancel(x->leg);
    x->leg = NULL;
    if (x->feed != NULL) feed_free(x->feed);
    if (x->tail != NULL) tail_free(x->tail);
    directory_forget(x);
    step_forget(&x->merging);
    table_forget(x->g, &x->task);
    TAILQ_REMOVE(&x->g->exchanges, x, link);
    x->g->in_flight--;
    if (x->reviving) revive_abandoned(x);
    evbuffer_free(x->held);
    evbuffer_free(x->body_bytes);
    free(x);
}

static void count(struct exchange *x, int status) {
    if (status > 0 && status < 600) x->g->metrics.requests[x->kind][status]++;
}

static void let_go(struct exchange *x) {
    if (!x->gone) evhttp_connection_set_closecb(evhttp_request_get_connection(x->req), NULL, NULL);
}

void exchange_drop(struct exchange *x) {
    count(x, 499); /* nginx's number for a client that did not wait */
    exchange_free(x);
}

/* ---- replies of our own */

void reply_header(struct exchange *x, const char *name, const char *value) {
    if (x->gone) return;
    evhttp_remove_header(evhttp_request_get_output_headers(x->req), name);
    evhttp_add_header(evhttp_request_get_output_headers(x->req), name, value);
}

void reply_buffer(struct exchange *x, int status, struct evbuffer *body) {
    if (x->gone || x->open) { /* or it is too late for a status */
        reply_close(x, false);
        return;
    }
    if (status == 503) reply_header(x, "Retry-After", "1");
    if (x->g->stopping) reply_header(x, "Connection", "close");
    let_go(x);
    count(x, status);
    evhttp_send_reply(x->req, status, NULL, x->method == EVHTTP_REQ_HEAD ? NULL : body);
    exchange_free(x);
}

void reply_empty(struct exchange *x, int status) {
    reply_buffer(x, status, NULL);
}

void reply_error(struct exchange *x, int status, int code, const char *message) {
    struct evbuffer *body = evbuffer_new();
    if (code == RPC_BAD_REQUEST && x->kind == KIND_MODERN)
        code = RPC_INTERNAL; /* new revisions do not use the old codes */
    say(x->g, "%d %s", status, message);
    if (body != NULL) rpc_error(body, code, message, x->rpc.id);
    reply_header(x, "Content-Type", "application/json");
    reply_buffer(x, status, body);
    if (body != NULL) evbuffer_free(body);
}

/* ---- a backend's reply, passed on as it comes */

void reply_take(struct exchange *x, int status, struct evkeyvalq *headers) {
    static const char *const session[] = {"Mcp-Session-Id", NULL};
    static const char *const session_and_length[] = {"Mcp-Session-Id", "Content-Length", NULL};
    bool chunked = evhttp_find_header(headers, "Transfer-Encoding") != NULL; /* then a length means nothing */
    const char *type = evhttp_find_header(headers, "Content-Type");
    x->status = status;
    x->events = chunked && type != NULL && strncasecmp(type, "text/event-stream", 17) == 0 &&
                evhttp_find_header(headers, "Content-Encoding") == NULL;
    if (x->gone) return;
    headers_copy(evhttp_request_get_output_headers(x->req), headers, chunked ? session_and_length : session);
}

void reply_drop(struct exchange *x) {
    x->status = 0;
    x->hold = false;
    x->ended = false;
    evbuffer_drain(x->held, evbuffer_get_length(x->held));
    if (!x->gone) evhttp_clear_headers(evhttp_request_get_output_headers(x->req));
}

static struct bufferevent *client(const struct exchange *x) {
    return evhttp_connection_get_bufferevent(evhttp_request_get_connection(x->req));
}

static void drained(struct evhttp_connection *conn, void *user) {
    struct exchange *x = user;
    (void)conn;
    reply_pause(x, PAUSE_CLIENT, false);
    if (x->tail != NULL) (void)tail_step(x->tail);
}

bool reply_behind(struct exchange *x) {
    return !x->gone && evbuffer_get_length(bufferevent_get_output(client(x))) > BACKLOG_MAX;
}

static void send_on(struct exchange *x, struct evbuffer *data) {
    if (x->gone) {
        evbuffer_drain(data, evbuffer_get_length(data));
        return;
    }
    x->sent_ms = now_ms();
    evhttp_send_reply_chunk_with_cb(x->req, data, drained, x);
    if (reply_behind(x)) reply_pause(x, PAUSE_CLIENT, true);
}

void reply_open(struct exchange *x) {
    x->open = true;
    x->hold = false;
    if (x->gone) return;
    if (x->g->stopping) reply_header(x, "Connection", "close");
    evhttp_send_reply_start(x->req, x->status, NULL);
    if (evbuffer_get_length(x->held) > 0) send_on(x, x->held);
}

void reply_data(struct exchange *x, struct evbuffer *data) {
    if (x->open) send_on(x, data);
    if (!x->open) evbuffer_add_buffer(x->held, data);
}

/* ---- a stream of events */

void reply_events(struct exchange *x, struct evkeyvalq *headers) {
    static const char *const ours[] = {"Mcp-Session-Id",
                                       "Content-Length",
                                       "Content-Type",
                                       "Content-Encoding",
                                       "X-Accel-Buffering",
                                       "Cache-Control",
                                       NULL};
    x->status = 200;
    x->events = true;
    x->sent_ms = now_ms();
    if (!x->gone && headers != NULL) headers_copy(evhttp_request_get_output_headers(x->req), headers, ours);
    reply_header(x, "Content-Type", "text/event-stream");
    reply_header(x, "Cache-Control", "no-cache, no-store");
    reply_header(x, "X-Accel-Buffering", "no"); /* nginx would wait for more */
    reply_open(x);
}

static void send_frame(struct exchange *x, const mcpsess_event *e, size_t size) {
    struct evbuffer *out = evbuffer_new();
    struct evbuffer_iovec room;
    mcpsess_buf buf;
    if (out == NULL || evbuffer_reserve_space(out, (ev_ssize_t)size, &room, 1) != 1) size = 0;
    if (size > 0) {
        mcpsess_buf_init(&buf, room.iov_base, room.iov_len);
        int rc = e != NULL ? mcpsess_sse_put(e, &buf) : mcpsess_sse_put_comment(MCPSESS_STR("keep-alive"), &buf);
        room.iov_len = rc == MCPSESS_OK ? buf.len : 0;
        evbuffer_commit_space(out, &room, 1);
        send_on(x, out);
    } else {
        reply_cut(x); /* out of memory: what is missing now is there when it comes back */
    }
    if (out != NULL) evbuffer_free(out);
}

void reply_event(struct exchange *x, const mcpsess_event *e) {
    if (!x->gone) send_frame(x, e, mcpsess_sse_bytes(e));
}

void reply_comment(struct exchange *x) {
    if (!x->gone) send_frame(x, NULL, 64);
}

/* evhttp finds the end of it. */
void reply_cut(struct exchange *x) {
    if (!x->gone) shutdown(x->fd, SHUT_RDWR);
}

/* An answer that broke off must not look complete: no last chunk, and the connection is closed. */
static void cut_short(struct exchange *x) {
    reply_header(x, "Connection", "close");
    x->req->chunked = 0;
}

void reply_close(struct exchange *x, bool complete) {
    if (x->gone) {
        exchange_drop(x);
        return;
    }
    if (!complete) cut_short(x);
    let_go(x);
    count(x, x->status);
    evhttp_send_reply_end(x->req);
    exchange_free(x);
}

void exchange_cut(struct exchange *x) {
    if (x->open || x->gone) reply_close(x, false);
    else reply_error(x, 503, RPC_BAD_REQUEST, "The gateway is stopping");
}
