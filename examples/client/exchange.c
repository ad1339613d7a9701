/* One request and its answer, on a connection of its own. */

#include "client.h"

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
    struct evbuffer *body; /* of a JSON answer; of an event stream, what has no line end yet */
    struct evbuffer *data; /* of the event being read */
    double started;
    bool events;
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

/* One line of an event stream: data is gathered, an empty line ends the event; ids, names and comments are not ours. */
static void take_line(exchange *x, const char *line) {
    if (strncmp(line, "data:", 5) == 0) {
        if (evbuffer_get_length(x->data) > 0) evbuffer_add(x->data, "\n", 1);
        line += line[5] == ' ' ? 6 : 5;
        evbuffer_add(x->data, line, strlen(line));
    } else if (*line == '\0' && evbuffer_get_length(x->data) > 0) {
        cJSON *message = take_json(x->data);
        if (message) show_event(now() - x->started, message);
        cJSON_Delete(message);
    }
}

static void on_chunk(struct evhttp_request *req, void *arg) {
    exchange *x = arg;
    char *line;
    evbuffer_add_buffer(x->body, evhttp_request_get_input_buffer(req));
    while (x->events && (line = evbuffer_readln(x->body, NULL, EVBUFFER_EOL_CRLF)) != NULL) {
        take_line(x, line);
        free(line);
    }
    if (evbuffer_get_length(x->body) + evbuffer_get_length(x->data) > DATA_MAX) {
        x->why = "it is too long";
        stop(x);
    }
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

bool exchange_run(client *c, const request *r) {
    exchange x = {.c = c, .r = r, .started = now(), .why = "cannot connect"};
    struct evhttp_uri *uri = evhttp_uri_parse(c->url);
    x.body = evbuffer_new();
    x.data = evbuffer_new();
    x.conn = evhttp_connection_base_new(c->base, NULL, evhttp_uri_get_host(uri), (ev_uint16_t)evhttp_uri_get_port(uri));
    evhttp_connection_set_timeout(x.conn, c->timeout);
    show_request(c, r);
    if (send_request(&x, uri)) wait_for_answer(&x);
    show_end(&x);
    evhttp_connection_free(x.conn);
    evbuffer_free(x.body);
    evbuffer_free(x.data);
    evhttp_uri_free(uri);
    return x.complete;
}
