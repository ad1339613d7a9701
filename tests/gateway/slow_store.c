/* slow_store.c - puts a store behind a wire in front of the gateway's memory store: every request takes its time, and
   all of them fail after a SIGUSR1, until the next one; after a SIGHUP reads of more than a page do, until the next
   one; after a SIGUSR2 the next append is done, but answered as if it might not have been. Linked with
   -Wl,--wrap=mcpsess_memstore_store; the gateway is the same. And, with -Wl,--wrap=evhttp_bound_socket_get_fd, its
   clients' sockets take little at a time. */

#define _POSIX_C_SOURCE 200809L

#include "mcpsess.h"

#include <event2/http.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PENDING_MAX 256u
#define DELAY_MS 15u
#define PAGE 20000u

mcpsess_store __real_mcpsess_memstore_store(mcpsess_memstore *m);
mcpsess_store __wrap_mcpsess_memstore_store(mcpsess_memstore *m);
evutil_socket_t __real_evhttp_bound_socket_get_fd(struct evhttp_bound_socket *socket);
evutil_socket_t __wrap_evhttp_bound_socket_get_fd(struct evhttp_bound_socket *socket);

static struct {
    mcpsess_request *request; /* NULL: free */
    uint64_t due_ms;
} pending[PENDING_MAX];
static mcpsess_store inner;
static volatile sig_atomic_t broken, unsure, narrow;

static void toggle(int number) {
    if (number == SIGUSR1) broken = !broken;
    else if (number == SIGHUP) narrow = !narrow;
    else unsure = 1;
}

static bool fails(const mcpsess_request *r) {
    return broken || (narrow && r->kind == MCPSESS_LOG_RANGE && r->out->cap > PAGE);
}

static int submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    (void)self;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        if (pending[i].request != NULL) continue;
        pending[i].request = r;
        pending[i].due_ms = now_ms + DELAY_MS;
        r->rc = MCPSESS_PENDING;
        return r->rc;
    }
    abort();
}

static void poll_store(void *self, uint64_t now_ms) {
    (void)self;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        mcpsess_request *r = pending[i].request;
        if (r == NULL || pending[i].due_ms > now_ms) continue;
        pending[i].request = NULL;
        r->rc = fails(r) ? MCPSESS_E_IO : inner.cls->submit(inner.self, r, now_ms);
        if (!unsure || r->kind != MCPSESS_LOG_APPEND) continue;
        unsure = 0;
        r->rc = MCPSESS_E_UNKNOWN;
    }
}

static void cancel(void *self, mcpsess_request *r) {
    (void)self;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        if (pending[i].request == r) pending[i].request = NULL;
    }
}

static uint64_t next_due(void *self, uint64_t now_ms) {
    uint64_t due = MCPSESS_NEVER;
    (void)self;
    (void)now_ms;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        if (pending[i].request != NULL && pending[i].due_ms < due) due = pending[i].due_ms;
    }
    return due;
}

static unsigned want(void *self) {
    return next_due(self, 0) == MCPSESS_NEVER ? 0 : MCPSESS_WANT_TIME;
}

static void close_store(void *self) {
    (void)self;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        if (pending[i].request != NULL) pending[i].request->rc = MCPSESS_E_CLOSED;
        pending[i].request = NULL;
    }
    inner.cls->close(inner.self);
}

mcpsess_store __wrap_mcpsess_memstore_store(mcpsess_memstore *m) {
    static const mcpsess_store_class slow = {submit, poll_store, cancel, next_due, want, close_store, NULL, NULL};
    mcpsess_store s = {&slow, NULL};
    struct sigaction on_toggle = {0};
    inner = __real_mcpsess_memstore_store(m);
    on_toggle.sa_handler = toggle;
    on_toggle.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &on_toggle, NULL);
    sigaction(SIGUSR2, &on_toggle, NULL);
    sigaction(SIGHUP, &on_toggle, NULL);
    return s;
}

evutil_socket_t __wrap_evhttp_bound_socket_get_fd(struct evhttp_bound_socket *socket) {
    const int bytes = 4096;
    evutil_socket_t fd = __real_evhttp_bound_socket_get_fd(socket);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes); /* what is accepted inherits it */
    return fd;
}
