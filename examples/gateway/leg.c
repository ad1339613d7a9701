/* leg.c - one request to a backend, over a small pool of connections.

   What the caller must be able to tell apart is whether a request may be sent again: LEG_REFUSED says that not a byte
   left, anything else says that the backend may have acted on it. libevent does not tell; but it fills the connection's
   output buffer only when it is connected, and a callback on that buffer sees it.

   A connection is kept for IDLE_MS only, well below the keep-alive time of common servers: a request that meets a
   closing connection on its way cannot be repeated safely. */

#include "gateway.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CONNECT_MS 3000u /* for a connection, if the request's own deadline is not earlier */
#define ERRAND_MS 5000u
#define IDLE_MS 2000u
#define IDLE_MAX EXCHANGES_MAX /* per backend: fewer, and a burst opens and closes connections until ports run out */

struct conn {
    TAILQ_ENTRY(conn) link;
    struct backend *b;
    struct evhttp_connection *http;
    uint64_t idle_since_ms;
    bool sent; /* bytes of the present request may have left */
};

struct leg {
    TAILQ_ENTRY(leg) link;
    struct backend *b;
    struct conn *conn;
    struct evhttp_request *req; /* NULL once libevent is done with it */
    const struct leg_events *events;
    void *user;
    struct event *timer; /* deadline */
    struct event *later; /* the end, told outside of libevent's callbacks */
    uint32_t after_connect_ms;
    bool headed;   /* the head of the answer was read */
    bool declined; /* and the caller wants no more */
    enum leg_end how;
};

/* ---- connections */

static void conn_free(struct conn *c) {
    evhttp_connection_free(c->http);
    free(c);
}

static void note_sent(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *user) {
    struct conn *c = user;
    int on = 1;
    (void)buffer;
    if (info->n_added == 0 || c->sent) return;
    int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(c->http));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on,
               sizeof on); /* a stream may be silent for hours; its peer may be dead */
    c->sent = true;
}

static struct conn *conn_new(struct backend *b) {
    struct timeval for_ever = {365L * 24 * 3600, 0}; /* deadlines are the legs' */
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    c->b = b;
    c->http = evhttp_connection_base_new(b->g->base, b->g->dns, b->host, b->port);
    if (c->http == NULL) {
        free(c);
        return NULL;
    }
    evhttp_connection_set_timeout_tv(c->http, &for_ever);
    evhttp_connection_set_max_headers_size(c->http, (ev_ssize_t)HEADERS_MAX);
    evbuffer_add_cb(bufferevent_get_output(evhttp_connection_get_bufferevent(c->http)), note_sent, c);
    return c;
}

static bool conn_alive(const struct conn *c) {
    char byte;
    int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(c->http));
    return fd >= 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static struct conn *conn_get(struct backend *b) {
    struct conn *c;
    while ((c = TAILQ_FIRST(&b->idle)) != NULL) {
        TAILQ_REMOVE(&b->idle, c, link);
        b->idle_count--;
        if (conn_alive(c)) {
            c->sent = false;
            return c;
        }
        conn_free(c);
    }
    return conn_new(b);
}

static void conn_put(struct conn *c) {
    struct backend *b = c->b;
    if (b->idle_count >= IDLE_MAX || !conn_alive(c)) {
        conn_free(c);
        return;
    }
    c->idle_since_ms = now_ms();
    TAILQ_INSERT_HEAD(&b->idle, c, link); /* the newest is used first, the others age */
    b->idle_count++;
}

void legs_reap(struct backend *b, uint64_t before_ms) {
    struct conn *c;
    while ((c = TAILQ_LAST(&b->idle, conn_list)) != NULL && c->idle_since_ms < before_ms) {
        TAILQ_REMOVE(&b->idle, c, link);
        b->idle_count--;
        conn_free(c);
    }
}

void legs_tick(struct gateway *g) {
    uint64_t now = now_ms();
    for (size_t i = 0; i < g->backend_count; i++) legs_reap(&g->backends[i], now > IDLE_MS ? now - IDLE_MS : 0);
}

/* ---- the end of a leg */

static void leg_free(struct leg *l) {
    bool whole = l->how == LEG_DONE && !l->declined;
    TAILQ_REMOVE(&l->b->g->legs, l, link);
    if (l->conn != NULL && whole) conn_put(l->conn);
    if (l->conn != NULL && !whole) conn_free(l->conn);
    if (l->timer != NULL) event_free(l->timer);
    if (l->later != NULL) event_free(l->later);
    l->b->in_flight--;
    free(l);
}

static void leg_over(struct leg *l) {
    const struct leg_events *events = l->events;
    void *user = l->user;
    enum leg_end how = l->how;
    if (how == LEG_REFUSED) backend_down(l->b);
    leg_free(l);
    events->end(user, how);
}

static void on_later(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    leg_over(user);
}

static void end_later(struct leg *l, enum leg_end how) {
    struct timeval at_once = {0, 0};
    l->req = NULL;
    l->how = how;
    event_del(l->timer);
    evtimer_add(l->later, &at_once);
}

static enum leg_end no_answer(const struct leg *l) {
    return l->conn->sent ? LEG_BROKEN : LEG_REFUSED;
}

static void on_timer(evutil_socket_t fd, short what, void *user) {
    struct leg *l = user;
    (void)fd;
    (void)what;
    if (l->after_connect_ms > 0 && l->conn->sent) {
        leg_limit(l, l->after_connect_ms);
        return;
    }
    evhttp_cancel_request(l->req);
    l->how = l->conn->sent ? LEG_LATE : LEG_REFUSED;
    leg_over(l);
}

/* ---- libevent's callbacks */

/* A length is passed on, so it must be one, and only one. libevent would look at it later, and only at the first. */
static bool is_framed(struct evhttp_request *req) {
    uint64_t n;
    const char *length = header(req, "Content-Length");
    return length == NULL || (header_count(req, "Content-Length") == 1 &&
                              mcpsess_u64_decode(mcpsess_str_z(length), INT64_MAX, &n) == MCPSESS_OK);
}

static int on_head(struct evhttp_request *req, void *user) {
    struct leg *l = user;
    int status = evhttp_request_get_response_code(req);
    if (status < 200) return 0;
    if (!is_framed(req)) return -1;
    event_del(l->timer);
    l->headed = true;
    l->declined = !l->events->head(l->user, status, evhttp_request_get_input_headers(req));
    return l->declined ? -1 : 0;
}

static void on_data(struct evhttp_request *req, void *user) {
    struct leg *l = user;
    l->events->data(l->user, evhttp_request_get_input_buffer(req));
}

/* req is NULL, or has no response code, when there is no answer */
static void on_done(struct evhttp_request *req, void *user) {
    struct leg *l = user;
    bool answered = req != NULL && evhttp_request_get_response_code(req) != 0;
    end_later(l, answered || l->declined ? LEG_DONE : no_answer(l));
}

/* ---- beginning */

struct leg *leg_new(struct backend *b, const struct leg_events *events, void *user) {
    struct leg *l = calloc(1, sizeof *l);
    if (l == NULL) return NULL;
    l->b = b;
    l->events = events;
    l->user = user;
    l->how = LEG_BROKEN;
    TAILQ_INSERT_TAIL(&b->g->legs, l, link);
    b->in_flight++;
    l->timer = evtimer_new(b->g->base, on_timer, l);
    l->later = evtimer_new(b->g->base, on_later, l);
    l->req = evhttp_request_new(on_done, l);
    l->conn = conn_get(b);
    if (l->timer == NULL || l->later == NULL || l->req == NULL || l->conn == NULL) {
        leg_cancel(l);
        return NULL;
    }
    evhttp_request_set_header_cb(l->req, on_head);
    evhttp_request_set_chunked_cb(l->req, on_data);
    evhttp_add_header(leg_headers(l), "Host", b->authority);
    return l;
}

struct evkeyvalq *leg_headers(struct leg *l) {
    return evhttp_request_get_output_headers(l->req);
}

void leg_limit(struct leg *l, uint32_t ms) {
    struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
    l->after_connect_ms = 0;
    if (l->req != NULL) evtimer_add(l->timer, &tv);
}

static void first_limit(struct leg *l) {
    uint32_t all = l->b->g->config.timeout_ms;
    leg_limit(l, all < CONNECT_MS ? all : CONNECT_MS);
    if (all > CONNECT_MS) l->after_connect_ms = all - CONNECT_MS;
}

static void make_request(struct leg *l, enum evhttp_cmd_type method, const char *path) {
    first_limit(l);
    /* an error can have been told by on_done already */
    if (evhttp_make_request(l->conn->http, l->req, method, path) != 0 && l->req != NULL) end_later(l, LEG_REFUSED);
}

void leg_send(struct leg *l, enum evhttp_cmd_type method, mcpsess_str body) {
    struct evbuffer *out = evhttp_request_get_output_buffer(l->req);
    if (body.len > 0) evbuffer_add_reference(out, body.ptr, body.len, NULL, NULL);
    make_request(l, method, l->b->path);
}

void leg_get(struct leg *l, const char *path) {
    make_request(l, EVHTTP_REQ_GET, path);
}

void leg_cancel(struct leg *l) {
    if (l->req != NULL) {
        l->how = LEG_BROKEN;
        evhttp_cancel_request(l->req);
    }
    leg_free(l);
}

void leg_pause(struct leg *l, bool pause) {
    struct bufferevent *bev = evhttp_connection_get_bufferevent(l->conn->http);
    if (l->req == NULL) return;
    if (pause) bufferevent_disable(bev, EV_READ);
    if (!pause) bufferevent_enable(bev, EV_READ);
}

void legs_close(struct gateway *g) {
    struct leg *l;
    while ((l = TAILQ_FIRST(&g->legs)) != NULL) leg_cancel(l);
    for (size_t i = 0; i < g->backend_count; i++) legs_reap(&g->backends[i], MCPSESS_NEVER);
}

/* ---- errands */

static bool errand_head(void *user, int status, struct evkeyvalq *headers) {
    (void)user;
    (void)status;
    (void)headers;
    return false;
}

static void errand_data(void *user, struct evbuffer *data) {
    (void)user;
    (void)data;
}

static void errand_end(void *user, enum leg_end how) {
    struct gateway *g = user;
    (void)how;
    g->errands--;
}

void errand(struct backend *b, enum evhttp_cmd_type method, const char *sid) {
    static const struct leg_events events = {errand_head, errand_data, errand_end};
    struct leg *l = b->up && b->g->errands < ERRANDS_MAX ? leg_new(b, &events, b->g) : NULL;
    if (l == NULL) return;
    b->g->errands++;
    evhttp_add_header(leg_headers(l), "Mcp-Session-Id", sid);
    leg_send(l, method, mcpsess_str_of("", 0));
    leg_limit(l, ERRAND_MS);
}
