/* front.c - HTTP in: the listener, and what is checked before a request is routed. */

#include "gateway.h"

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define ENDPOINT "/mcp"

/* ---- checks; each ends x and answers false if it does not like it */

static bool check_load(struct exchange *x) {
    struct gateway *g = x->g;
    const char *why = NULL;
    if (g->stopping) why = "The gateway is stopping";
    else if (!conns_busy(g, x->fd)) why = "Too many connections";
    else if (g->in_flight > EXCHANGES_MAX) why = "Too many requests";
    if (why == NULL) return true;
    reply_header(x, "Connection", "close");
    reply_error(x, 503, RPC_BAD_REQUEST, why);
    return false;
}

/* http://localhost, http://127.0.0.1 and http://[::1], with any port */
static bool is_loopback(const char *origin) {
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    if (strncasecmp(origin, "http://", 7) != 0) return false;
    origin += 7;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        size_t n = strlen(hosts[i]);
        if (strncasecmp(origin, hosts[i], n) != 0) continue;
        const char *rest = origin + n;
        if (*rest == ':' && rest[1] != '\0') rest += 1 + strspn(rest + 1, "0123456789");
        if (*rest == '\0') return true;
    }
    return false;
}

static bool is_allowed(const struct config *c, const char *origin) {
    if (is_loopback(origin)) return true;
    for (size_t i = 0; i < c->origin_count; i++) {
        if (strcasecmp(origin, c->origins[i]) == 0) return true;
    }
    return false;
}

/* A web page may not talk to a server on its reader's machine. Programs send no Origin. */
static bool check_origin(struct exchange *x) {
    const char *origin = header(x->req, "Origin");
    if (origin == NULL || is_allowed(&x->g->config, origin)) return true;
    reply_error(x, 403, RPC_BAD_REQUEST, "Origin not allowed");
    return false;
}

static bool check_method(struct exchange *x) {
    if (x->method == EVHTTP_REQ_POST || x->method == EVHTTP_REQ_GET || x->method == EVHTTP_REQ_DELETE) return true;
    reply_header(x, "Allow", "GET, POST, DELETE");
    reply_error(x, 405, RPC_BAD_REQUEST, "Method not allowed");
    return false;
}

/* A header that decides must not be there twice: somebody else might read the other one. Nor may the body's length be
   in doubt. */
static bool check_headers(struct exchange *x) {
    const char *once[] = {"Mcp-Session-Id", "MCP-Protocol-Version", "Mcp-Method",        "Last-Event-ID",
                          "Origin",         "Content-Length",       "Transfer-Encoding", x->g->config.principal_header};
    bool ok = true;
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        if (once[i] != NULL && header_count(x->req, once[i]) > 1) ok = false;
    }
    const char *coding = header(x->req, "Transfer-Encoding");
    if (coding != NULL && (strcasecmp(coding, "chunked") != 0 || header(x->req, "Content-Length") != NULL)) ok = false;
    if (ok) return true;
    reply_header(x, "Connection", "close");
    reply_error(x, 400, RPC_BAD_REQUEST, "Ambiguous headers");
    return false;
}

/* An authenticating proxy in front names the user in a header. The issuer is that header's name. */
static bool check_principal(struct exchange *x) {
    const char *issuer = x->g->config.principal_header;
    if (issuer == NULL) return true;
    const char *subject = header(x->req, issuer);
    mcpsess_buf bytes;
    mcpsess_buf_init(&bytes, x->who_bytes, sizeof x->who_bytes);
    mcpsess_buf_put(&bytes, mcpsess_str_z(subject));
    x->who.issuer = mcpsess_str_z(issuer);
    x->who.subject = mcpsess_buf_str(&bytes);
    if (bytes.len > 0 && !bytes.overflow && mcpsess_principal_check(&x->who) == MCPSESS_OK) return true;
    reply_error(x, 403, RPC_BAD_REQUEST, "Not authenticated");
    return false;
}

static bool check_body(struct exchange *x) {
    if (x->method != EVHTTP_REQ_POST) return true;
    int code = rpc_read(&x->rpc, x->body);
    if (code == 0) return true;
    reply_error(x, 400, code, code == RPC_PARSE_ERROR ? "Parse error" : "Invalid Request");
    return false;
}

static void take_session_id(struct exchange *x) {
    const char *sid = header(x->req, "Mcp-Session-Id");
    x->has_sid = sid != NULL;
    if (!x->has_sid || mcpsess_session_id_check(mcpsess_str_z(sid)) != MCPSESS_OK) return;
    memcpy(x->sid, sid, strlen(sid) + 1);
}

static void on_mcp(struct exchange *x) {
    if (!check_load(x) || !check_headers(x) || !check_origin(x) || !check_method(x)) return;
    if (!check_principal(x) || !check_body(x)) return;
    take_session_id(x);
    route(x);
}

/* ---- the other two resources */

static void reply_text(struct exchange *x, int status, const char *type, struct evbuffer *body) {
    reply_header(x, "Content-Type", type);
    reply_buffer(x, status, body);
    evbuffer_free(body);
}

/* Those of a directory become known as they are needed. */
static bool any_backend(const struct gateway *g) {
    for (size_t i = 0; i < g->backend_count; i++) {
        if (g->backends[i].up) return true;
    }
    return g->directory != NULL;
}

static void on_health(struct exchange *x) {
    struct evbuffer *body = evbuffer_new();
    bool ok = !x->g->stopping && any_backend(x->g);
    x->kind = KIND_HEALTH;
    if (body == NULL) {
        reply_empty(x, 503);
        return;
    }
    evbuffer_add_printf(body, "%s\n", x->g->stopping ? "stopping" : ok ? "ok" : "no backend is up");
    fleet_health(x->g, body);
    reply_text(x, ok ? 200 : 503, "text/plain", body);
}

static void on_metrics(struct exchange *x) {
    struct evbuffer *body = evbuffer_new();
    x->kind = KIND_METRICS;
    if (body == NULL) {
        reply_empty(x, 503);
        return;
    }
    metrics_write(x->g, body);
    reply_text(x, 200, "text/plain; version=0.0.4", body);
}

/* ---- evhttp */

static void set_timeouts(struct gateway *g, struct evhttp_connection *conn, bool read) {
    struct timeval tv = {(time_t)(g->config.timeout_ms / 1000), (suseconds_t)(g->config.timeout_ms % 1000) * 1000};
    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(conn), read ? &tv : NULL, &tv);
}

/* evhttp stops reading while a request is served, and would not see its client leave; nor may it come across the next
   request before its time. So: read, but only to notice the end; and a client that waits is not too slow. */
static void watch_client(struct gateway *g, struct evhttp_connection *conn) {
    struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
    bufferevent_data_cb on_read, on_write;
    bufferevent_event_cb on_event;
    void *user;
    bufferevent_getcb(bev, &on_read, &on_write, &on_event, &user);
    bufferevent_setcb(bev, NULL, on_write, on_event, user);
    set_timeouts(g, conn, false);
    bufferevent_enable(bev, EV_READ);
}

static void replied(struct evhttp_request *req, void *user) {
    struct gateway *g = user;
    struct evhttp_connection *conn = evhttp_request_get_connection(req);
    set_timeouts(g, conn, true);
    conns_idle(g, bufferevent_getfd(evhttp_connection_get_bufferevent(conn)));
}

static void on_request(struct evhttp_request *req, void *user) {
    struct gateway *g = user;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    struct exchange *x = exchange_new(g, req);
    if (x == NULL) {
        evhttp_send_error(req, 503, NULL);
        return;
    }
    x->fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evhttp_request_get_connection(req)));
    watch_client(g, evhttp_request_get_connection(req));
    evhttp_request_set_on_complete_cb(req, replied, g);
    if (path != NULL && strcmp(path, ENDPOINT) == 0) on_mcp(x);
    else if (path != NULL && strcmp(path, "/healthz") == 0) on_health(x);
    else if (path != NULL && strcmp(path, "/metrics") == 0) on_metrics(x);
    else reply_empty(x, 404);
}

static struct bufferevent *on_connection(struct event_base *base, void *user) {
    struct gateway *g = user;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    conns_accepted(g);
    /* what a client sends ahead of its turn waits in the kernel */
    if (bev != NULL) bufferevent_setwatermark(bev, EV_READ, 0, g->config.max_body + HEADERS_MAX);
    return bev;
}

static uint16_t bound_port(int fd) {
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0) return 0;
    if (a.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)(const void *)&a)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)&a)->sin_port);
}

int front_open(struct gateway *g) {
    struct timeval tv = {(time_t)(g->config.timeout_ms / 1000), (suseconds_t)(g->config.timeout_ms % 1000) * 1000};
    g->http = evhttp_new(g->base);
    if (g->http == NULL) return -1;
    evhttp_set_max_headers_size(g->http, (ev_ssize_t)HEADERS_MAX);
    evhttp_set_max_body_size(g->http, (ev_ssize_t)g->config.max_body);
    evhttp_set_default_content_type(g->http, NULL);
    evhttp_set_allowed_methods(g->http, 0xFFFF); /* a wrong one gets its 405 from us */
    evhttp_set_timeout_tv(g->http, &tv);
    evhttp_set_bevcb(g->http, on_connection, g);
    evhttp_set_gencb(g->http, on_request, g);
    g->socket = evhttp_bind_socket_with_handle(g->http, g->config.host, g->config.port);
    if (g->socket == NULL) {
        fprintf(stderr, "gateway: cannot listen on %s:%u\n", g->config.host, (unsigned)g->config.port);
        return -1;
    }
    g->port = bound_port(evhttp_bound_socket_get_fd(g->socket));
    return 0;
}

void front_stop(struct gateway *g) {
    if (g->socket != NULL) evhttp_del_accept_socket(g->http, g->socket);
    g->socket = NULL;
}

void front_close(struct gateway *g) {
    if (g->http != NULL) evhttp_free(g->http);
}
