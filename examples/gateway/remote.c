/* remote.c - the backends that somebody else runs: a driver of mcpsess_backend for what is found at a URL.

     inspect      looks its name up, and connects: it runs if that succeeds in time
     start        is not for us to do: one that was just seen not to run is not started
     stop         nor is this

   Every gateway looks for itself, so there are no leases. A manager keeps them all: one that a request finds down
   (backend_down) is inspected again, later and later, until it is back. */

#include "gateway.h"

#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 10000u
#define CONNECT_MS 2000u
#define LANES_MAX 32u /* that are connected to at a time */
#define ID_SIZE 8u

struct remote {
    mcpsess_op op; /* a step */
    struct gateway *g;
    struct backend *b; /* NULL: it is not the one any more that the step is about */
    mcpsess_backend_call *call;
    struct bufferevent *connection;
    bool looks, ended;
    int rc;
};

struct remotes {
    mcpsess_backend_manager manager;
    void *memory;
    struct remote of[KNOWN_MAX]; /* of the backend with the same index */
};

static mcpsess_str id_of(const struct backend *b, char *id) {
    int n = snprintf(id, ID_SIZE, "r%u", (unsigned)(b - b->g->backends));
    return mcpsess_str_of(id, (size_t)n);
}

/* ---- steps */

static void end(struct remote *r, int rc) {
    if (r->connection != NULL) bufferevent_free(r->connection);
    r->connection = NULL;
    r->rc = rc;
    r->ended = true;
}

static int step_poll(mcpsess_op *op, uint64_t now) {
    struct remote *r = mcpsess_op_object(op);
    (void)now;
    if (!r->ended) return MCPSESS_PENDING;
    if (!r->looks) return mcpsess_op_end(op, r->rc);
    r->call->running = r->rc == MCPSESS_OK;
    if (r->b != NULL) backend_is(r->b, r->call->running);
    return mcpsess_op_end(op, MCPSESS_OK);
}

static void step_cancel(mcpsess_op *op) {
    struct remote *r = mcpsess_op_object(op);
    end(r, MCPSESS_E_CANCELED);
    if (r->looks && r->b != NULL) backend_is(r->b, false); /* it took too long */
    mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t step_next_due(mcpsess_op *op, uint64_t now) {
    const struct remote *r = mcpsess_op_object(op);
    return r->ended ? now : MCPSESS_NEVER; /* the connection wakes the pump, and the manager has a deadline for it */
}

static unsigned step_want(mcpsess_op *op) {
    const struct remote *r = mcpsess_op_object(op);
    return r->ended ? MCPSESS_WANT_NOW : MCPSESS_WANT_TIME;
}

static struct remote *begin(struct gateway *g, mcpsess_backend_call *call, bool looks) {
    static const mcpsess_op_class cls = {step_poll, step_cancel, step_next_due, step_want};
    uint64_t at = 0;
    mcpsess_u64_decode(mcpsess_str_of(call->id.ptr + 1, call->id.len - 1), KNOWN_MAX - 1, &at);
    struct remote *r = &g->remotes->of[at];
    if (mcpsess_op_begin(&r->op, &cls, r) != MCPSESS_PENDING) return NULL;
    r->g = g;
    r->b = &g->backends[at];
    r->call = call;
    r->looks = looks;
    r->ended = false;
    return r;
}

static void on_event(struct bufferevent *bev, short what, void *user) {
    struct remote *r = user;
    (void)bev;
    end(r, (what & BEV_EVENT_CONNECTED) != 0 ? MCPSESS_OK : MCPSESS_E_IO);
    event_active(r->g->pump, EV_TIMEOUT, 0);
}

static mcpsess_op *inspect(void *user, mcpsess_backend_call *call, uint64_t now) {
    struct gateway *g = user;
    struct remote *r = begin(g, call, true);
    (void)now;
    if (r == NULL) return NULL;
    r->connection = bufferevent_socket_new(g->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (r->connection != NULL) {
        bufferevent_setcb(r->connection, NULL, NULL, on_event, r);
        bufferevent_enable(r->connection, EV_WRITE);
    }
    if (r->connection == NULL ||
        bufferevent_socket_connect_hostname(r->connection, g->dns, AF_UNSPEC, r->b->host, r->b->port) != 0)
        end(r, MCPSESS_E_IO);
    return &r->op;
}

static mcpsess_op *start(void *user, mcpsess_backend_call *call, uint64_t now) {
    struct remote *r = begin(user, call, false);
    (void)now;
    if (r == NULL) return NULL;
    end(r, MCPSESS_E_IO);
    return &r->op;
}

static mcpsess_op *stop(void *user, mcpsess_backend_call *call, uint64_t now) {
    struct remote *r = begin(user, call, false);
    (void)now;
    if (r == NULL) return NULL;
    end(r, MCPSESS_OK);
    return &r->op;
}

/* ---- all of them */

void remotes_keep(struct backend *b) {
    char id[ID_SIZE];
    mcpsess_backend_keep(&b->g->remotes->manager, id_of(b, id), true, now_ms());
    event_active(b->g->pump, EV_TIMEOUT, 0);
}

/* Another one may come in its place. */
void remotes_forget(struct backend *b) {
    char id[ID_SIZE];
    struct remote *r = &b->g->remotes->of[b - b->g->backends];
    r->b = NULL;
    if (mcpsess_op_rc(&r->op) == MCPSESS_PENDING && !r->ended) end(r, MCPSESS_E_CANCELED);
    mcpsess_backend_keep(&b->g->remotes->manager, id_of(b, id), false, now_ms());
}

void remotes_lost(struct backend *b) {
    char id[ID_SIZE];
    mcpsess_backend_died(&b->g->remotes->manager, id_of(b, id), now_ms());
    event_active(b->g->pump, EV_TIMEOUT, 0);
}

void remotes_step(struct gateway *g) {
    if (g->remotes != NULL) mcpsess_backend_step(&g->remotes->manager, now_ms());
}

uint64_t remotes_due(struct gateway *g, uint64_t now) {
    if (g->remotes == NULL) return MCPSESS_NEVER;
    if ((mcpsess_backend_want(&g->remotes->manager) & MCPSESS_WANT_NOW) != 0) return now;
    return mcpsess_backend_due(&g->remotes->manager, now);
}

int remotes_open(struct gateway *g) {
    mcpsess_backend_desc d = mcpsess_backend_desc_default();
    g->remotes = calloc(1, sizeof *g->remotes);
    if (g->remotes == NULL) return -1;
    for (unsigned i = 0; i < KNOWN_MAX; i++) mcpsess_op_init(&g->remotes->of[i].op, 0);
    d.driver.inspect = inspect;
    d.driver.start = start;
    d.driver.stop = stop;
    d.driver.user = g;
    d.capacity = g->config.directory != NULL ? KNOWN_MAX : BACKENDS_MAX;
    d.lanes = LANES_MAX;
    d.step_ms = CONNECT_MS;
    d.backoff_ms = BACKOFF_MIN_MS;
    d.backoff_max_ms = BACKOFF_MAX_MS;
    d.stable_ms = 1; /* one that was back begins anew */
    size_t size = mcpsess_backend_bytes(&d);
    g->remotes->memory = malloc(size);
    if (g->remotes->memory == NULL) return -1;
    return mcpsess_backend_init(&g->remotes->manager, &d, g->remotes->memory, size);
}

void remotes_close(struct gateway *g) {
    if (g->remotes == NULL) return;
    mcpsess_backend_close(&g->remotes->manager);
    free(g->remotes->memory);
    free(g->remotes);
    g->remotes = NULL;
}
