/* main.c - options, signals, and the life of the gateway.

     gateway --listen 127.0.0.1:0 --backend http://127.0.0.1:3001/mcp --backend http://127.0.0.1:3002/mcp

   Built by: make build/gateway */

#define MCPSESS_IMPLEMENTATION
#include "gateway.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_MS 100

static uint64_t clock_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

uint64_t now_ms(void) {
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t wall_ms(void) {
    return clock_ms(CLOCK_REALTIME);
}

void say(const struct gateway *g, const char *format, ...) {
    va_list args;
    if (!g->config.verbose) return;
    va_start(args, format);
    fprintf(stderr, "gateway: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---- options */

static const char usage[] =
    "usage: gateway --listen HOST:PORT --backend URL [--backend URL ...] [option ...]\n"
    "  --listen HOST:PORT       address to listen on; port 0: any that is free\n"
    "  --backend URL            an MCP server, http://HOST[:PORT]/PATH\n"
    "  --ttl SECONDS            a session nobody uses ends after this (1800)\n"
    "  --sessions N             sessions at a time, 1..65534 (1024)\n"
    "  --full refuse|evict      when there are that many: refuse a new one, or drop the least recently used (refuse)\n"
    "  --origin ORIGIN          a web origin that is allowed besides loopback\n"
    "  --principal-header NAME  who the client is, as set by an authenticating proxy in front\n"
    "  --modern forward|refuse  requests of revision 2026-07-28 (forward)\n"
    "  --max-connections N      (4096)\n"
    "  --max-body BYTES         of a request (1048576)\n"
    "  --timeout-ms N           for a client to bring a request, for a backend to begin its answer (60000)\n"
    "  --grace-ms N             for what is under way at SIGTERM (5000)\n"
    "  --verbose                say what happens, on stderr\n";

/* -> false: not a number, or out of its range */
static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    return mcpsess_u64_decode(mcpsess_str_z(text), max, out) == MCPSESS_OK && *out >= min;
}

static bool u32(const char *text, uint32_t min, uint32_t max, uint32_t *out) {
    uint64_t n;
    if (!number(text, min, max, &n)) return false;
    *out = (uint32_t)n;
    return true;
}

static bool choice(const char *text, const char *yes, const char *no, bool *out) {
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0;
}

static bool listen_at(struct config *c, char *text) {
    char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !number(colon + 1, 0, 65535, &port)) return false;
    *colon = '\0';
    c->host = text;
    if (text[0] == '[' && colon[-1] == ']') { /* IPv6 */
        colon[-1] = '\0';
        c->host = text + 1;
    }
    c->port = (uint16_t)port;
    return true;
}

static bool append(const char **list, size_t *count, size_t max, const char *text) {
    if (*count == max) return false;
    list[(*count)++] = text;
    return true;
}

enum {
    LISTEN,
    BACKEND,
    TTL,
    SESSIONS,
    FULL,
    ORIGIN,
    PRINCIPAL,
    REVISION,
    CONNECTIONS,
    BODY,
    TIMEOUT,
    GRACE,
    VERBOSE,
    HELP
};

static bool limit(struct config *c, int which, const char *text) {
    uint64_t n;
    switch (which) {
    case TTL:
        if (!number(text, 1, 10u * 365 * 24 * 3600, &n)) return false;
        c->ttl_ms = n * 1000;
        return true;
    case SESSIONS:
        if (!number(text, 1, MCPSESS_LRU_MAX, &n)) return false;
        c->sessions = (uint16_t)n;
        return true;
    case CONNECTIONS: return u32(text, 1, 1000000, &c->max_connections);
    case BODY: return u32(text, 64, 1u << 30, &c->max_body);
    case TIMEOUT: return u32(text, 10, 24 * 3600 * 1000, &c->timeout_ms);
    default: return u32(text, 0, 24 * 3600 * 1000, &c->grace_ms);
    }
}

static bool option(struct config *c, int which, char *text) {
    switch (which) {
    case LISTEN: return listen_at(c, text);
    case BACKEND: return append(c->backends, &c->backend_count, BACKENDS_MAX, text);
    case ORIGIN: return append(c->origins, &c->origin_count, ORIGINS_MAX, text);
    case FULL: return choice(text, "evict", "refuse", &c->evict);
    case REVISION: return choice(text, "forward", "refuse", &c->modern);
    case PRINCIPAL: c->principal_header = text; return text[0] != '\0';
    case VERBOSE: c->verbose = true; return true;
    default: return limit(c, which, text);
    }
}

static bool options(struct config *c, int argc, char **argv) {
    static const struct option names[] = {
        {"listen", 1, NULL, LISTEN},
        {"backend", 1, NULL, BACKEND},
        {"ttl", 1, NULL, TTL},
        {"sessions", 1, NULL, SESSIONS},
        {"full", 1, NULL, FULL},
        {"origin", 1, NULL, ORIGIN},
        {"modern", 1, NULL, REVISION},
        {"principal-header", 1, NULL, PRINCIPAL},
        {"max-body", 1, NULL, BODY},
        {"max-connections", 1, NULL, CONNECTIONS},
        {"timeout-ms", 1, NULL, TIMEOUT},
        {"grace-ms", 1, NULL, GRACE},
        {"verbose", 0, NULL, VERBOSE},
        {"help", 0, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int which;
    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (which == HELP) {
            fputs(usage, stdout);
            exit(0);
        }
        if (which == '?') return false;
        if (!option(c, which, optarg)) {
            fprintf(stderr, "gateway: not a usable value: %s\n", optarg);
            return false;
        }
    }
    return optind == argc && c->host != NULL && c->backend_count > 0;
}

static struct config defaults(void) {
    struct config c = {0};
    c.ttl_ms = 30u * 60 * 1000;
    c.sessions = 1024;
    c.max_connections = 4096;
    c.max_body = 1u << 20;
    c.timeout_ms = 60000;
    c.grace_ms = 5000;
    c.modern = true;
    return c;
}

/* ---- the loop */

/* Streams are ended, their clients can resume elsewhere; what is under way may finish. */
static void stop(evutil_socket_t number, short what, void *user) {
    struct gateway *g = user;
    struct exchange *x, *next;
    (void)number;
    (void)what;
    if (g->stopping) return;
    g->stopping = true;
    g->stop_by_ms = now_ms() + g->config.grace_ms;
    front_stop(g);
    for (x = TAILQ_FIRST(&g->exchanges); x != NULL; x = next) {
        next = TAILQ_NEXT(x, link);
        route_stop(x);
    }
}

static void tick(evutil_socket_t fd, short what, void *user) {
    struct gateway *g = user;
    bool second = ++g->ticks % (1000 / TICK_MS) == 0;
    (void)fd;
    (void)what;
    legs_tick(g);
    if (second) table_sweep(g);
    if (second || g->crowded || g->stopping) conns_sweep(g);
    if (!g->stopping) return;
    bool quiet = g->in_flight == 0 && !conns_any_busy(g);
    if (quiet || now_ms() >= g->stop_by_ms) event_base_loopexit(g->base, NULL);
}

static int watch_signals(struct gateway *g) {
    struct timeval tv = {0, TICK_MS * 1000};
    signal(SIGPIPE, SIG_IGN);
    g->sigterm = evsignal_new(g->base, SIGTERM, stop, g);
    g->sigint = evsignal_new(g->base, SIGINT, stop, g);
    g->tick = event_new(g->base, -1, EV_PERSIST, tick, g);
    if (g->sigterm == NULL || g->sigint == NULL || g->tick == NULL) return -1;
    return event_add(g->sigterm, NULL) | event_add(g->sigint, NULL) | event_add(g->tick, &tv);
}

static int gateway_open(struct gateway *g) {
    TAILQ_INIT(&g->legs);
    TAILQ_INIT(&g->exchanges);
    TAILQ_INIT(&g->tasks);
    g->base = event_base_new();
    if (g->base == NULL || conns_open(g) != 0 || table_open(g) != 0) return -1;
    if (backends_open(g) != 0 || front_open(g) != 0 || watch_signals(g) != 0) return -1;
    return 0;
}

static void gateway_close(struct gateway *g) {
    struct exchange *x;
    while ((x = TAILQ_FIRST(&g->exchanges)) != NULL) exchange_cut(x);
    legs_close(g);
    front_close(g);
    backends_close(g);
    table_close(g);
    conns_close(g);
    if (g->tick != NULL) event_free(g->tick);
    if (g->sigterm != NULL) event_free(g->sigterm);
    if (g->sigint != NULL) event_free(g->sigint);
    if (g->base != NULL) event_base_free(g->base);
    libevent_global_shutdown();
}

int main(int argc, char **argv) {
    static struct gateway g;
    g.config = defaults();
    if (!options(&g.config, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    int rc = gateway_open(&g);
    if (rc == 0) {
        bool v6 = strchr(g.config.host, ':') != NULL;
        printf("gateway: listening on http://%s%s%s:%u/mcp\n", v6 ? "[" : "", g.config.host, v6 ? "]" : "",
               (unsigned)g.port);
        fflush(stdout);
        rc = event_base_dispatch(g.base);
    }
    gateway_close(&g);
    return rc == 0 ? 0 : 1;
}
