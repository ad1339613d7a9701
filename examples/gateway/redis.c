/* redis.c - the store on Redis: the engine's connection in the event loop, its recovery, and what is said about it.

   The engine never waits. After each step it says what it waits for: its socket to become readable or writable, an
   instant, or both; that is what the loop is given. The socket is another one after each attempt to connect, perhaps
   under the same number, so the loop lets go of it before the transport opens or closes one.

   The engine comes back from anything but a refusal: a wrong password, a right that is lacking. Somebody may mend that
   at the server, so such a connection is tried again now and then. Meanwhile sessions that are known here are served
   for a while, and everything else is 503. */

#include "gateway.h"

#include "../posix_transport.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <inttypes.h>
#include <stdlib.h>

#ifdef GATEWAY_TLS
#include "../tls_transport.h"
#endif

#define SLOTS 2048u          /* commands under way */
#define BUFFER (64u * 1024u) /* bytes, each way */
#define ADDRESSES_MAX 8u     /* of one name */
#define SILENCE_MS 1000u     /* a server that does not answer for so long is away */
#define COMPLAINT_MS 60000u
#define RETRY_REFUSED_MS 5000u /* after it refused us */

struct wire {
    sock sock;
#ifdef GATEWAY_TLS
    tls tls;
    bool tls_used;
#endif
    mcpsess_redis_transport transport; /* what the engine is given */
    bool named;                        /* the host is a name, which is looked up */
    bool looked_up;                    /* for this attempt to connect */
    struct evdns_getaddrinfo_request *lookup;
    char addresses[ADDRESSES_MAX][64];
    unsigned found, tried; /* of these addresses */
    unsigned first;        /* of them: where an attempt begins */
    uint32_t connects;     /* good connections before this attempt */
    struct event *event;
    int fd; /* that is watched; -1: none */
    short events;
    void *memory;
    char name[URL_MAX + 1];
    uint64_t retry_ms; /* when to try again after a refusal; 0: there was none */
    uint32_t moved;    /* progress as of the last step */
    int refusal;       /* what it refused us with, since it was good last */
    int trouble;       /* what was last logged about the connection; 0: nothing since it was good */
    bool up, said;     /* connected; not connected, and that has been said */
    uint64_t steps, complaint, complained_ms;
};

/* ---- finding it: a name is looked up by the event loop, anew for each attempt to connect, and its addresses are tried
   in turn, one that accepts and then says nothing among them */

static void found(int error, struct evutil_addrinfo *list, void *user) {
    struct gateway *g = user;
    struct wire *w = g->wire;
    struct evutil_addrinfo *a = list;
    if (w == NULL) return; /* cancelled: the gateway has stopped */
    w->lookup = NULL;
    w->found = 0;
    for (; a != NULL && w->found < ADDRESSES_MAX; a = a->ai_next) {
        char *to = w->addresses[w->found];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, to, sizeof *w->addresses, NULL, 0, NI_NUMERICHOST) == 0) w->found++;
    }
    if (list != NULL) evutil_freeaddrinfo(list);
    if (w->found == 0)
        snprintf(w->sock.error, sizeof w->sock.error, "%.80s: %.40s", g->config.redis.host,
                 error != 0 ? evutil_gai_strerror(error) : "no address");
    w->looked_up = true;
    event_active(g->pump, EV_TIMEOUT, 0);
}

static void look_up(struct gateway *g) {
    const struct redis_config *c = &g->config.redis;
    struct evutil_addrinfo hints = {0};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    g->wire->tried = 0;
    g->wire->looked_up = false;
    g->wire->lookup = evdns_getaddrinfo(g->dns, c->host, c->port, &hints, found, g);
}

static bool is_name(const char *host) {
    unsigned char bytes[sizeof(struct in6_addr)];
    return host[0] != '/' && inet_pton(AF_INET, host, bytes) != 1 && strchr(host, ':') == NULL;
}

/* ---- the bottom of the transport: the socket; the event loop lets go of it first */

static void let_go(struct wire *w) {
    if (w->fd >= 0) event_del(w->event);
    w->fd = -1;
}

static int open_by_name(struct gateway *g) {
    struct wire *w = g->wire;
    if (!w->looked_up && w->lookup == NULL) look_up(g);
    if (!w->looked_up) return 0;
    int rc = w->tried > 0 ? sock_open(&w->sock) : -1;
    while (rc < 0 && w->tried < w->found) {
        sock_close(&w->sock);
        sock_init(&w->sock, w->addresses[(w->first + w->tried++) % w->found], g->config.redis.port);
        rc = sock_open(&w->sock);
    }
    if (rc != 0) w->looked_up = false;
    return rc;
}

/* The next attempt begins with the address that was good, or after the one that was not, be it only silent. */
static void close_by_name(struct gateway *g) {
    struct wire *w = g->wire;
    bool good = g->redis.stats.connects != w->connects;
    if (w->tried > 0) w->first += good ? w->tried - 1 : w->tried;
    w->connects = g->redis.stats.connects;
    w->tried = 0;
    w->looked_up = false;
}

static int wire_open(void *user) {
    struct gateway *g = user;
    let_go(g->wire);
    return g->wire->named ? open_by_name(g) : sock_open(&g->wire->sock);
}

static int wire_send(void *user, const void *bytes, size_t len) {
    struct gateway *g = user;
    return sock_send(&g->wire->sock, bytes, len);
}

static int wire_recv(void *user, void *bytes, size_t len) {
    struct gateway *g = user;
    return sock_recv(&g->wire->sock, bytes, len);
}

static void wire_close(void *user) {
    struct gateway *g = user;
    let_go(g->wire);
    if (g->wire->named) close_by_name(g);
    sock_close(&g->wire->sock);
}

/* ---- TLS, if there is any */

#ifdef GATEWAY_TLS

static int tls_start(struct wire *w, const struct redis_config *c) {
    const char *standard = "/etc/ssl/certs/ca-certificates.crt";
    tls_options o = {c->tls_name != NULL ? c->tls_name : c->host, c->tls_ca != NULL ? c->tls_ca : standard, c->tls_cert,
                     c->tls_key};
    int rc = tls_init(&w->tls, &o, w->transport);
    w->tls_used = true;
    w->transport = tls_transport(&w->tls);
    if (rc != 0) fprintf(stderr, "gateway: --tls: %s\n", w->tls.error);
    return rc;
}

static void tls_stop(struct wire *w) {
    if (w->tls_used) tls_free(&w->tls);
}

static unsigned wire_want(const struct wire *w, unsigned want) {
    return w->tls_used ? tls_want(&w->tls, want) : want;
}

static const char *wire_error(const struct wire *w) {
    return w->tls_used && w->tls.error[0] != '\0' ? w->tls.error : w->sock.error;
}

#else

static int tls_start(struct wire *w, const struct redis_config *c) {
    (void)w;
    (void)c;
    fprintf(stderr, "gateway: --tls: built without Mbed TLS; install libmbedtls-dev and build again\n");
    return -1;
}

static void tls_stop(struct wire *w) {
    (void)w;
}

static unsigned wire_want(const struct wire *w, unsigned want) {
    (void)w;
    return want;
}

static const char *wire_error(const struct wire *w) {
    return w->sock.error;
}

#endif

/* ---- what is said: that it is away, and why, once; and that it is back */

/* An error in answer to a request, which was answered with 503 then: said again after a minute at the earliest. */
static void complain(struct gateway *g, mcpsess_str text, uint64_t code) {
    struct wire *w = g->wire;
    uint64_t now = now_ms();
    if (code == w->complaint && now - w->complained_ms < COMPLAINT_MS) return;
    w->complaint = code;
    w->complained_ms = now;
    fprintf(stderr, "gateway: redis %s: %.*s\n", w->name, (int)text.len, text.ptr);
}

static void on_log(void *user, int level, int item, mcpsess_str key, uint64_t n) {
    struct gateway *g = user;
    bool text = item == MCPSESS_REDIS_ITEM_SERVER_ERROR; /* else a key, which is a secret */
    (void)level;
    if (text) {
        if (g->wire->up) complain(g, key, n);
    } else if (item >= MCPSESS_REDIS_ITEM_CONNECT_FAILED && item <= MCPSESS_REDIS_ITEM_FAILED) {
        g->wire->trouble = item; /* an error of the server is none; what refuses us is said to have FAILED */
    }
    say(g, "redis: %s (%" PRIu64 ")%s%.*s", mcpsess_redis_item_text(item), n, text ? ": " : "", text ? (int)key.len : 0,
        text ? key.ptr : "");
}

static void say_away(struct gateway *g, int rc) {
    struct wire *w = g->wire;
    mcpsess_str error = mcpsess_redis_error(&g->redis);
    const char *why = rc < 0 ? mcpsess_redis_code_text(rc) : mcpsess_redis_item_text(w->trouble);
    fprintf(stderr, "gateway: redis %s is away: %s", w->name, why);
    if (rc < 0 && error.len > 0) fprintf(stderr, " (%.*s)", (int)error.len, error.ptr);
    else if (wire_error(w)[0] != '\0') fprintf(stderr, " (%s)", wire_error(w));
    fputc('\n', stderr);
    w->said = true;
}

static void look(struct gateway *g, int rc) {
    struct wire *w = g->wire;
    bool was_up = w->up;
    w->up = rc == MCPSESS_OK;
    if (w->up && w->said) fprintf(stderr, "gateway: redis %s is back\n", w->name);
    if (w->up && !was_up && !w->said) say(g, "redis %s is there", w->name);
    if (w->up) w->said = false;
    if (!w->up && ((w->trouble != 0 && !w->said) || (rc < 0 && rc != w->refusal))) say_away(g, rc);
    if (rc != MCPSESS_PENDING) w->refusal = rc;
    w->trouble = 0;
}

/* ---- steps */

/* Grows whenever the engine has answered somebody, also within a load that only listened. */
static uint32_t progress(const struct gateway *g) {
    const mcpsess_redis_stats *s = &g->redis.stats;
    return s->replies + s->unknown + s->timeouts + s->disconnects + s->connect_failures;
}

void redis_step(struct gateway *g) {
    struct wire *w = g->wire;
    uint64_t now = now_ms();
    w->steps++;
    if (w->retry_ms != 0 && now >= w->retry_ms) {
        w->retry_ms = 0;
        mcpsess_redis_reset(&g->redis, now);
    }
    int rc = mcpsess_redis_poll(&g->redis, now);
    if (rc < 0 && w->retry_ms == 0) w->retry_ms = mcpsess_time_add(now, RETRY_REFUSED_MS);
    look(g, rc);
    w->moved = progress(g);
}

uint64_t redis_due(struct gateway *g, uint64_t now) {
    const struct wire *w = g->wire;
    if (w->retry_ms != 0) return w->retry_ms;
    if ((wire_want(w, mcpsess_redis_want(&g->redis)) & MCPSESS_WANT_NOW) != 0 || w->moved != progress(g)) return now;
    return mcpsess_redis_next_due(&g->redis, now);
}

void redis_watch(struct gateway *g) {
    struct wire *w = g->wire;
    unsigned want = wire_want(w, mcpsess_redis_want(&g->redis));
    int fd = w->sock.fd;
    short events = EV_PERSIST;
    if ((want & MCPSESS_WANT_READ) != 0) events |= EV_READ;
    if ((want & MCPSESS_WANT_WRITE) != 0) events |= EV_WRITE;
    if (events == EV_PERSIST) fd = -1;
    if (fd == w->fd && events == w->events) return;
    let_go(w);
    if (fd < 0) return;
    event_assign(w->event, g->base, fd, events, table_pump, g);
    if (event_add(w->event, NULL) != 0) return;
    w->fd = fd;
    w->events = events;
}

/* ---- opening */

static mcpsess_redis_desc engine_desc(struct gateway *g) {
    const struct redis_config *c = &g->config.redis;
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    d.transport = g->wire->transport;
    d.random = sock_random;
    d.user = mcpsess_str_z(c->user);
    d.password = mcpsess_str_z(c->password);
    d.name = MCPSESS_STR("mcpsess-gateway");
    d.db = c->db;
    d.slots = SLOTS;
    d.tx_bytes = d.rx_bytes = BUFFER;
    d.connect_timeout_ms = d.reply_timeout_ms = d.idle_ms = d.backoff_max_ms = SILENCE_MS;
    d.timeout_ms = STORE_TIMEOUT_MS;
    d.tracking = c->tracking;
    d.log.log = on_log;
    d.log.user = g;
    return d;
}

static int engine_open(struct gateway *g) {
    mcpsess_redis_desc d = engine_desc(g);
    mcpsess_redis_store_desc s = mcpsess_redis_store_desc_default();
    size_t size = mcpsess_redis_bytes(&d);
    g->wire->memory = malloc(size);
    if (g->wire->memory == NULL || mcpsess_redis_init(&g->redis, &d, g->wire->memory, size) != MCPSESS_OK) return -1;
    s.redis = &g->redis;
    if (g->config.redis.prefix != NULL) s.prefix = mcpsess_str_z(g->config.redis.prefix);
    return mcpsess_redis_store_init(&g->redis_store, &s) == MCPSESS_OK ? 0 : -1;
}

static int transport_open(struct gateway *g) {
    struct wire *w = g->wire;
    const struct redis_config *c = &g->config.redis;
    bool path = c->host[0] == '/', v6 = strchr(c->host, ':') != NULL;
    snprintf(w->name, sizeof w->name, "%s%s%s%s%s", v6 ? "[" : "", c->host, v6 ? "]" : "", path ? "" : ":", c->port);
    sock_init(&w->sock, c->host, c->port);
    w->named = is_name(c->host);
    w->transport.open = wire_open;
    w->transport.send = wire_send;
    w->transport.recv = wire_recv;
    w->transport.close = wire_close;
    w->transport.user = g;
    return c->tls ? tls_start(w, c) : 0;
}

int redis_open(struct gateway *g, mcpsess_store *store) {
    g->wire = calloc(1, sizeof *g->wire);
    if (g->wire == NULL) return -1;
    g->wire->fd = -1;
    g->wire->sock.fd = -1;
    g->wire->event = event_new(g->base, -1, 0, table_pump, g);
    if (g->wire->event == NULL || transport_open(g) != 0 || engine_open(g) != 0) return -1;
    *store = mcpsess_redis_store_store(&g->redis_store);
    return 0;
}

void redis_close(struct gateway *g) {
    struct wire *w = g->wire;
    if (w == NULL) return;
    if (w->memory != NULL) mcpsess_redis_close(&g->redis);
    if (w->lookup != NULL) evdns_getaddrinfo_cancel(w->lookup);
    let_go(w);
    tls_stop(w);
    if (w->event != NULL) event_free(w->event);
    free(w->memory);
    free(w);
    g->wire = NULL;
    free(g->config.redis.password);
}

bool redis_away(const struct gateway *g) {
    return g->wire != NULL && !g->wire->up;
}

/* ---- metrics */

void redis_metrics(struct gateway *g, struct evbuffer *out) {
    const mcpsess_redis_stats *s = &g->redis.stats;
    const mcpsess_redis_store_stats *r = &g->redis_store.stats;
    if (g->wire == NULL) return;
    metric(out, "redis_up", "gauge", "1 if connected and ready.", g->wire->up);
    metric(out, "redis_connects_total", "counter", "Connections that became ready.", s->connects);
    metric(out, "redis_connect_failures_total", "counter", "Attempts to connect that failed.", s->connect_failures);
    metric(out, "redis_disconnects_total", "counter", "Connections that ended.", s->disconnects);
    metric(out, "redis_commands_total", "counter", "Commands sent.", s->commands);
    metric(out, "redis_replies_total", "counter", "Replies that somebody waited for.", s->replies);
    metric(out, "redis_late_replies_total", "counter", "Replies that nobody waited for any more.", s->late_replies);
    metric(out, "redis_errors_total", "counter", "Replies that were errors.", s->server_errors);
    metric(out, "redis_timeouts_total", "counter", "Commands that met their deadline.", s->timeouts);
    metric(out, "redis_repeated_total", "counter", "Commands sent again on a new connection.", s->repeated);
    metric(out, "redis_unknown_total", "counter", "Commands of unknown outcome.", s->unknown);
    metric(out, "redis_pushes_total", "counter", "Messages that were no replies.", s->pushes);
    metric(out, "redis_invalidations_total", "counter", "Keys said to have changed.", s->invalidations);
    metric(out, "redis_script_reloads_total", "counter", "Times that scripts were gone.", s->reloads);
    metric(out, "redis_sent_bytes_total", "counter", "Bytes sent.", s->bytes_sent);
    metric(out, "redis_received_bytes_total", "counter", "Bytes received.", s->bytes_received);
    metric(out, "redis_steps_total", "counter", "Times the connection was looked after.", g->wire->steps);
    metric(out, "redis_requests_total", "counter", "Requests to the store.", r->requests);
    metric(out, "redis_read_backs_total", "counter", "Writes of unknown outcome that were looked up.", r->read_backs);
    metric(out, "redis_refreshes_total", "counter", "TTLs set anew by a load.", r->refreshed);
}
