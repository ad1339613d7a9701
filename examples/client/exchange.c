/* One request and its answer, on a connection of its own. */

#define MCPSESS_IMPLEMENTATION
#include "client.h"
#include "mcpsess.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { DATA_MAX = 64 * 1024 }; /* bytes of a body or an event; more is not an answer to us */

typedef struct exchange {
    client *c;
    const request *r;
    struct evhttp_connection *conn;
    struct evbuffer *body; /* of a JSON answer */
    mcpsess_sse sse;       /* of an event stream */
    char *sse_bytes;
    int messages;
    double started;
    bool events;
    bool response; /* there was one in the stream */
    bool cut;
    bool answered; /* the head has come */
    bool complete;
    const char *why; /* what went wrong */
} exchange;

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void stop(exchange *x) {
    event_base_loopbreak(x->c->base);
}

/* ---- the answer ---- */

static cJSON *take_json(struct evbuffer *buf) {
    size_t len = evbuffer_get_length(buf);
    cJSON *json = len > 0 ? cJSON_ParseWithLength((const char *)evbuffer_pullup(buf, -1), len) : NULL;
    evbuffer_drain(buf, len);
    return json;
}

static void give_up(exchange *x, const char *why) {
    x->why = why;
    stop(x);
}

static void take_message(exchange *x, mcpsess_str data) {
    cJSON *message = cJSON_ParseWithLength(data.ptr, data.len);
    if (!message) return;
    show_event(now() - x->started, message);
    if (!cJSON_GetObjectItemCaseSensitive(message, "method")) x->response = true;
    cJSON_Delete(message);
    x->messages++;
}

/* Where to come back, and when, should the stream break off. */
static void take_position(exchange *x, const mcpsess_event *e) {
    char text[40];
    mcpsess_str id = x->sse.last_id;
    if (id.len > 0 && id.len <= EVENT_ID_MAX) {
        memcpy(x->c->last_id, id.ptr, id.len);
        x->c->last_id[id.len] = '\0';
    }
    if (!e->retry) return;
    x->c->retry_ms = e->retry_ms;
    snprintf(text, sizeof text, "come back in %u ms", x->c->retry_ms);
    show_note(now() - x->started, text, NULL);
}

static void take_events(exchange *x, mcpsess_str in) {
    mcpsess_event e;
    int rc;
    while ((rc = mcpsess_sse_next(&x->sse, &in, &e)) == MCPSESS_OK) {
        take_position(x, &e);
        if (e.data.len > 0) take_message(x, e.data);
        if (x->r->cut > 0 && x->messages == x->r->cut) {
            x->cut = x->complete = true; /* what has arrived besides is lost with the connection */
            show_note(now() - x->started, "connection cut; last event id", x->c->last_id);
            stop(x);
            return;
        }
    }
    if (rc != MCPSESS_PENDING) give_up(x, "an event is too long");
}

static void on_chunk(struct evhttp_request *req, void *arg) {
    exchange *x = arg;
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    if (x->events) {
        size_t len = evbuffer_get_length(in);
        if (len > 0 && !x->cut) take_events(x, mcpsess_str_of(evbuffer_pullup(in, -1), len));
        evbuffer_drain(in, len);
        return;
    }
    evbuffer_add_buffer(x->body, in);
    if (evbuffer_get_length(x->body) > DATA_MAX) give_up(x, "it is too long");
}

static int on_head(struct evhttp_request *req, void *arg) {
    exchange *x = arg;
    struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
    const char *type = evhttp_find_header(headers, "Content-Type");
    const char *session = evhttp_find_header(headers, "Mcp-Session-Id");
    x->answered = true;
    x->events = type && strncasecmp(type, "text/event-stream", 17) == 0;
    if (x->r->starts && session && strlen(session) <= SESSION_MAX) strcpy(x->c->session, session);
    show_status(evhttp_request_get_response_code(req), x->r->starts ? session : NULL, x->events);
    return 0;
}

static void on_error(enum evhttp_request_error error, void *arg) {
    exchange *x = arg;
    x->why = error == EVREQ_HTTP_TIMEOUT ? "timed out" : "the connection was lost";
}

static void on_done(struct evhttp_request *req, void *arg) {
    exchange *x = arg;
    x->complete = req && evhttp_request_get_response_code(req) != 0;
    stop(x);
}

static void on_listened(evutil_socket_t fd, short what, void *arg) {
    exchange *x = arg;
    (void)fd;
    (void)what;
    x->complete = x->answered;
    stop(x);
}

/* ---- the request ---- */

static void add_headers(const exchange *x, struct evhttp_request *req, const struct evhttp_uri *uri) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    char host[300];
    snprintf(host, sizeof host, "%s:%d", evhttp_uri_get_host(uri), evhttp_uri_get_port(uri));
    evhttp_add_header(headers, "Host", host);
    evhttp_add_header(headers, "Connection", "close");
    evhttp_add_header(headers, "Accept", x->r->body ? ACCEPT_POST : ACCEPT_GET);
    if (x->r->body) evhttp_add_header(headers, "Content-Type", "application/json");
    if (x->r->starts) return;
    evhttp_add_header(headers, "MCP-Protocol-Version", PROTOCOL_VERSION);
    if (x->c->session[0]) evhttp_add_header(headers, "Mcp-Session-Id", x->c->session);
    if (x->r->resumes) evhttp_add_header(headers, "Last-Event-ID", x->c->last_id);
}

static enum evhttp_cmd_type command(const request *r) {
    if (strcmp(r->method, "POST") == 0) return EVHTTP_REQ_POST;
    return strcmp(r->method, "GET") == 0 ? EVHTTP_REQ_GET : EVHTTP_REQ_DELETE;
}

static bool send_request(exchange *x, const struct evhttp_uri *uri) {
    struct evhttp_request *req = evhttp_request_new(on_done, x);
    char *body = x->r->body ? cJSON_PrintUnformatted(x->r->body) : NULL;
    if (!req) return false;
    evhttp_request_set_header_cb(req, on_head);
    evhttp_request_set_chunked_cb(req, on_chunk);
    evhttp_request_set_error_cb(req, on_error);
    add_headers(x, req, uri);
    if (body) evbuffer_add(evhttp_request_get_output_buffer(req), body, strlen(body));
    cJSON_free(body);
    return evhttp_make_request(x->conn, req, command(x->r), evhttp_uri_get_path(uri)) == 0;
}

static void wait_for_answer(exchange *x) {
    struct event *hang_up = NULL;
    if (x->r->listen_ms > 0) {
        struct timeval in = {x->r->listen_ms / 1000, x->r->listen_ms % 1000 * 1000};
        hang_up = evtimer_new(x->c->base, on_listened, x);
        evtimer_add(hang_up, &in);
    }
    event_base_dispatch(x->c->base);
    if (hang_up) event_free(hang_up);
}

static void show_end(exchange *x) {
    cJSON *message = x->events ? NULL : take_json(x->body);
    if (x->answered && !x->events) show_body(message);
    if (!x->complete) show_failure(x->why);
    cJSON_Delete(message);
}

static int outcome(const exchange *x) {
    if (!x->complete) return RUN_FAILED;
    bool more = x->events && !x->response && x->c->last_id[0] && x->r->listen_ms == 0 && x->r->cut == 0;
    return more ? RUN_BROKE_OFF : RUN_ANSWERED;
}

int exchange_run(client *c, const request *r) {
    exchange x = {.c = c, .r = r, .started = now(), .why = "cannot connect"};
    struct evhttp_uri *uri = evhttp_uri_parse(c->url);
    x.body = evbuffer_new();
    x.sse_bytes = malloc(DATA_MAX);
    mcpsess_sse_init(&x.sse, x.sse_bytes, DATA_MAX);
    x.conn = evhttp_connection_base_new(c->base, NULL, evhttp_uri_get_host(uri), (ev_uint16_t)evhttp_uri_get_port(uri));
    evhttp_connection_set_timeout(x.conn, c->timeout);
    show_request(c, r);
    if (send_request(&x, uri)) wait_for_answer(&x);
    show_end(&x);
    evhttp_connection_free(x.conn);
    evbuffer_free(x.body);
    free(x.sse_bytes);
    evhttp_uri_free(uri);
    return outcome(&x);
}
