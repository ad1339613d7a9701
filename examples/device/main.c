/* Arguments, start and stop. */

#include "device.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static const char usage[] = "usage: device --listen HOST:PORT --name NAME [--sessions N] [--ttl SECONDS]\n"
                            "              [--logs N] [--log-bytes N] [--data DIR]\n";

typedef struct options {
    char host[64];
    unsigned port;
    const char *name;
    const char *data;
    sessions_options sessions;
} options;

uint64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/* ---- arguments ---- */

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out) {
    uint64_t n;
    if (mcpsess_u64_decode(mcpsess_str_z(text), max, &n) != MCPSESS_OK || n < min) return false;
    *out = (unsigned)n;
    return true;
}

static bool parse_listen(const char *text, options *o) {
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    if (n == 0 || n >= sizeof o->host) return false;
    memcpy(o->host, text, n);
    o->host[n] = '\0';
    return parse_number(colon + 1, 0, 65535, &o->port);
}

static bool parse_option(const char *name, const char *value, options *o) {
    if (strcmp(name, "--listen") == 0) return parse_listen(value, o);
    if (strcmp(name, "--sessions") == 0) return parse_number(value, 1, 65534, &o->sessions.capacity);
    if (strcmp(name, "--ttl") == 0) return parse_number(value, 1, 365u * 24 * 3600, &o->sessions.ttl_seconds);
    if (strcmp(name, "--logs") == 0) return parse_number(value, 1, 65534, &o->sessions.logs);
    if (strcmp(name, "--log-bytes") == 0) return parse_number(value, 256, 16u * 1024 * 1024, &o->sessions.log_bytes);
    if (!*value) return false;
    if (strcmp(name, "--data") == 0) o->data = value;
    else if (strcmp(name, "--name") == 0) o->name = value;
    else return false;
    return true;
}

static bool parse_options(int argc, char **argv, options *o) {
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !parse_option(argv[i], argv[i + 1], o)) return false;
    }
    return o->host[0] && o->name;
}

/* ---- start ---- */

/* A connection may not buffer more than its largest request: while a stream is open, nothing else reads from it. */
static struct bufferevent *new_connection(struct event_base *base, void *arg) {
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    (void)arg;
    if (bev) bufferevent_setwatermark(bev, EV_READ, 0, HEADERS_MAX + BODY_MAX);
    return bev;
}

static struct evhttp *new_server(device *dev) {
    struct evhttp *http = evhttp_new(dev->base);
    if (!http) return NULL;
    evhttp_set_max_headers_size(http, HEADERS_MAX);
    evhttp_set_max_body_size(http, BODY_MAX);
    evhttp_set_timeout(http, IDLE_SECONDS);
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                         EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_bevcb(http, new_connection, NULL);
    evhttp_set_gencb(http, http_request, dev);
    return http;
}

static unsigned bound_port(evutil_socket_t fd) {
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    struct sockaddr_in v4;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0 || at.ss_family != AF_INET) return 0;
    memcpy(&v4, &at, sizeof v4);
    return ntohs(v4.sin_port);
}

static bool listen_on(device *dev, const options *o) {
    const int yes = 1, send_bytes = SEND_BYTES;
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(dev->http, o->host, (ev_uint16_t)o->port);
    if (!bound) return false;
    evutil_socket_t fd = evhttp_bound_socket_get_fd(bound);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* inherited: an event must not wait for an ACK */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
    printf("device %s: listening on http://%s:%u/mcp\n", dev->name, o->host, bound_port(fd));
    fflush(stdout);
    return true;
}

/* ---- what was lost ---- */

static void report_lost(device *dev) {
    const mcpsess_memstore_stats *store = &dev->sessions.store.stats;
    const mcpsess_stream_stats *streams = &dev->sessions.streams.stats;
    const lost *l = &dev->lost;
    uint64_t sum = (uint64_t)store->dropped + store->logs_evicted + streams->gaps + l->unheard + l->events +
                   l->readers + l->streams;
    if (sum == dev->reported) return;
    dev->reported = sum;
    printf(
        "device %s: of %lu events %lu dropped from full logs, %u not stored, %u unheard; %lu logs evicted, %u streams "
        "refused; %lu replays refused, %u readers overtaken\n",
        dev->name, (unsigned long)store->events, (unsigned long)store->dropped, l->events, l->unheard,
        (unsigned long)store->logs_evicted, l->streams, (unsigned long)streams->gaps, l->readers);
    fflush(stdout);
}

static void on_report(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    report_lost(arg);
}

/* ---- stop ---- */

static void leave(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    event_base_loopbreak(arg);
}

/* Calls under way get an error, streams their end, and the last bytes a moment to leave. */
static void on_signal(evutil_socket_t fd, short what, void *arg) {
    device *dev = arg;
    const struct timeval moment = {0, 100 * 1000};
    (void)fd;
    (void)what;
    jobs_abort(dev);
    streams_end(dev, NULL);
    event_base_once(dev->base, -1, EV_TIMEOUT, leave, dev->base, &moment);
}

static void run(device *dev) {
    struct event *on_term = evsignal_new(dev->base, SIGTERM, on_signal, dev);
    struct event *on_int = evsignal_new(dev->base, SIGINT, on_signal, dev);
    struct event *on_time = event_new(dev->base, -1, EV_PERSIST, on_report, dev);
    const struct timeval often = {REPORT_SECONDS, 0};
    event_add(on_term, NULL);
    event_add(on_int, NULL);
    event_add(on_time, &often);
    event_base_dispatch(dev->base);
    jobs_abort(dev); /* what began in that moment */
    streams_end(dev, NULL);
    readers_close(dev); /* of streams that have ended, and whose clients do not read */
    report_lost(dev);
    event_free(on_time);
    event_free(on_term);
    event_free(on_int);
}

int main(int argc, char **argv) {
    static device dev;
    options o = {.sessions = {.capacity = 64, .ttl_seconds = 30 * 60, .log_bytes = LOG_BYTES}};
    int status = EXIT_FAILURE;
    if (!parse_options(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    dev.name = o.name;
    dev.folder = -1;
    dev.base = event_base_new();
    dev.http = dev.base ? new_server(&dev) : NULL;
    if (!dev.http || evutil_secure_rng_init() != 0 || sessions_init(&dev.sessions, &o.sessions) != MCPSESS_OK) {
        fputs("device: out of memory\n", stderr);
    } else if (!note_open(&dev, o.data)) {
        fprintf(stderr, "device: no note can be kept in %s\n", o.data);
    } else if (!listen_on(&dev, &o)) {
        fprintf(stderr, "device: cannot listen on %s:%u\n", o.host, o.port);
    } else {
        run(&dev);
        status = EXIT_SUCCESS;
    }
    if (dev.http) evhttp_free(dev.http);
    if (dev.base) event_base_free(dev.base);
    sessions_close(&dev.sessions);
    note_close(&dev);
    return status;
}
