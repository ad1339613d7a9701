/* main.c - signals, and the life of the gateway.

     gateway --listen 127.0.0.1:0 --backend http://127.0.0.1:3001/mcp --backend http://127.0.0.1:3002/mcp

   Built by: make build/gateway */

#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "gateway.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TICK_MS 100
#define FLEET_STOP_MS 15000u /* for the backends that it runs, after that */

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

/* First what is under way, then the backends that run here. */
static void go_on_stopping(struct gateway *g) {
    bool quiet = g->in_flight == 0 && !conns_any_busy(g);
    if (!quiet && now_ms() < g->stop_by_ms) return;
    fleet_stop(g);
    if (fleet_stopped(g) || now_ms() >= g->stop_by_ms + FLEET_STOP_MS) event_base_loopexit(g->base, NULL);
}

static void tick(evutil_socket_t fd, short what, void *user) {
    struct gateway *g = user;
    bool second = ++g->ticks % (1000 / TICK_MS) == 0;
    (void)fd;
    (void)what;
    legs_tick(g);
    feeds_tick(g);
    if (second) table_sweep(g);
    if (second || g->crowded || g->stopping) conns_sweep(g);
    if (g->stopping) go_on_stopping(g);
}

static int watch_signals(struct gateway *g) {
    struct timeval tv = {0, TICK_MS * 1000};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_IGN); /* also when the loop has ended: a second one is no other end */
    signal(SIGINT, SIG_IGN);
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
    TAILQ_INIT(&g->done);
    TAILQ_INIT(&g->steps);
    TAILQ_INIT(&g->steps_done);
    TAILQ_INIT(&g->farewells);
    g->base = event_base_new();
    if (g->base == NULL || conns_open(g) != 0 || fleet_open(g) != 0 || table_open(g) != 0) return -1;
    if (backends_open(g) != 0 || directory_open(g) != 0 || front_open(g) != 0 || watch_signals(g) != 0) return -1;
    return fleet_start(g);
}

static void gateway_close(struct gateway *g) {
    struct exchange *x;
    while ((x = TAILQ_FIRST(&g->exchanges)) != NULL) exchange_cut(x);
    legs_close(g);
    fleet_close(g);
    front_close(g);
    streams_close(g);
    table_close(g);
    directory_close(g);
    backends_close(g);
    conns_close(g);
    if (g->tick != NULL) event_free(g->tick);
    if (g->sigterm != NULL) event_free(g->sigterm);
    if (g->sigint != NULL) event_free(g->sigint);
    if (g->base != NULL) event_base_free(g->base);
    libevent_global_shutdown();
}

int main(int argc, char **argv) {
    static struct gateway g;
    if (!options(&g.config, argc, argv)) return 2;
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
