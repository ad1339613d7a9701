/* table.c - sessions: the mcpsess store and its local tier, the operations under way, and the book.

   No call into the session layer is taken to be done when it returns. Whoever begins one hands the result to table_then
   with a function to go on with; what is PENDING is polled from a timer that fires when the operations ask for it. With
   the store in RAM nothing is ever pending; a store behind a socket goes into store_open, and nothing else changes. */

#include "gateway.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LANES 64u         /* store requests at a time */
#define LOCAL_MAX 256u    /* sessions in the local tier */
#define SOCKET_POLL_MS 5u /* how often to look after a store that waits for its socket */

static int random_bytes(void *user, void *dst, size_t len) {
    (void)user;
    return getrandom(dst, len, 0) == (ssize_t)len ? 0 : -1;
}

int table_new_id(struct gateway *g, mcpsess_buf *out) {
    (void)g;
    return mcpsess_session_id_new(out, MCPSESS_ID_BASE64URL, random_bytes, NULL);
}

static void on_log(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)level;
    (void)key; /* a session id is a secret */
    say(user, "sessions: %s (%llu)", mcpsess_item_text(item), (unsigned long long)number);
}

/* ---- operations under way */

static uint64_t task_due(struct task *t, uint64_t now) {
    unsigned want = mcpsess_want(&t->op);
    uint64_t due = mcpsess_next_due(&t->op, now);
    if ((want & MCPSESS_WANT_NOW) != 0) return now;
    if ((want & (MCPSESS_WANT_READ | MCPSESS_WANT_WRITE)) != 0 && due > now + SOCKET_POLL_MS)
        return now + SOCKET_POLL_MS;
    return due;
}

static void schedule(struct gateway *g) {
    uint64_t now = now_ms(), due = MCPSESS_NEVER;
    struct task *t;
    TAILQ_FOREACH(t, &g->tasks, link) {
        uint64_t d = task_due(t, now);
        if (d < due) due = d;
    }
    if (due == MCPSESS_NEVER) return;
    uint64_t wait = mcpsess_time_left(now, due);
    struct timeval tv = {(time_t)(wait / 1000), (suseconds_t)(wait % 1000) * 1000};
    evtimer_add(g->pump, &tv);
}

static void pump(evutil_socket_t fd, short what, void *user) {
    struct gateway *g = user;
    struct task *t = TAILQ_FIRST(&g->tasks), *next;
    (void)fd;
    (void)what;
    for (; t != NULL; t = next) {
        int rc = mcpsess_poll(&t->op, now_ms());
        next = TAILQ_NEXT(t, link);
        if (rc == MCPSESS_PENDING) continue;
        TAILQ_REMOVE(&g->tasks, t, link);
        t->waiting = false;
        t->then(t->user, rc);
        next = TAILQ_FIRST(&g->tasks); /* then may have changed the list */
    }
    schedule(g);
}

void table_then(struct gateway *g, struct task *t, int rc, void (*then)(void *, int), void *user) {
    if (rc != MCPSESS_PENDING) {
        then(user, rc);
        return;
    }
    t->then = then;
    t->user = user;
    t->waiting = true;
    TAILQ_INSERT_TAIL(&g->tasks, t, link);
    schedule(g);
}

void table_forget(struct gateway *g, struct task *t) {
    if (!t->waiting) return;
    mcpsess_cancel(&t->op);
    TAILQ_REMOVE(&g->tasks, t, link);
    t->waiting = false;
}

/* ---- the book: session id -> {backend's index, moved}, as a fixed table of the library's own */

static unsigned book_backend(const mcpsess_lru_entry *e) {
    return (unsigned char)e->value.ptr[0];
}

static void forget_entry(struct gateway *g, const mcpsess_lru_entry *e) {
    g->backends[book_backend(e)].sessions--;
}

void book_unbind(struct gateway *g, mcpsess_str id) {
    mcpsess_lru_entry e;
    if (mcpsess_lru_peek(&g->book, id, 0, &e) == MCPSESS_MISS) return;
    forget_entry(g, &e);
    mcpsess_lru_del(&g->book, id);
}

void book_bind(struct gateway *g, mcpsess_str id, unsigned backend, bool moved) {
    const char value[2] = {(char)backend, moved};
    uint64_t until = mcpsess_time_add(now_ms(), g->config.ttl_ms);
    mcpsess_lru_entry e;
    book_unbind(g, id);
    if (mcpsess_lru_len(&g->book) == g->config.sessions && mcpsess_lru_evict(&g->book, &e) == MCPSESS_OK) {
        forget_entry(g, &e);
    }
    if (mcpsess_lru_put(&g->book, id, mcpsess_str_of(value, sizeof value), until) == MCPSESS_OK) {
        g->backends[backend].sessions++;
    }
}

/* A session that somebody else bound, or that the book had no room for, is bound here and now. */
void book_touch(struct gateway *g, mcpsess_str id, unsigned backend) {
    mcpsess_str value;
    uint64_t now = now_ms();
    bool known = mcpsess_lru_get(&g->book, id, now, &value) == MCPSESS_OK && (unsigned char)value.ptr[0] == backend;
    if (known) {
        mcpsess_lru_touch(&g->book, id, mcpsess_time_add(now, g->config.ttl_ms));
    } else {
        book_bind(g, id, backend, false);
    }
}

bool book_moved(const struct gateway *g, mcpsess_str id) {
    mcpsess_lru_entry e;
    return mcpsess_lru_peek(&g->book, id, now_ms(), &e) == MCPSESS_OK && e.value.ptr[1] != 0;
}

void book_settled(struct gateway *g, mcpsess_str id) {
    mcpsess_lru_entry e;
    if (!book_moved(g, id) || mcpsess_lru_peek(&g->book, id, now_ms(), &e) != MCPSESS_OK) return;
    book_bind(g, id, book_backend(&e), false);
}

static void book_sweep(struct gateway *g) {
    uint16_t cursor = 0;
    mcpsess_lru_entry e;
    uint64_t now = now_ms();
    while (mcpsess_lru_next(&g->book, &cursor, &e) == MCPSESS_OK) {
        if (e.expires_ms > now) continue;
        forget_entry(g, &e);
        mcpsess_lru_del(&g->book, e.key);
    }
}

/* ---- sweeping: sessions that nobody ended */

static void swept(void *user, int rc) {
    struct gateway *g = user;
    if (rc == MCPSESS_OK && g->sweep.op.count > 0) say(g, "%u sessions expired", (unsigned)g->sweep.op.count);
}

void table_sweep(struct gateway *g) {
    book_sweep(g);
    if (g->sweep.waiting) return;
    table_then(g, &g->sweep, mcpsess_session_sweep(&g->sessions, &g->sweep.op, now_ms()), swept, g);
}

/* ---- opening */

static int store_open(struct gateway *g, mcpsess_store *store) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    d.records = g->config.sessions;
    d.value_max = (uint16_t)RECORD_MAX;
    d.evict = g->config.evict;
    d.log.log = on_log;
    d.log.user = g;
    size_t size = mcpsess_memstore_bytes(&d);
    g->store_memory = malloc(size);
    if (g->store_memory == NULL || random_bytes(NULL, d.seed, sizeof d.seed) != 0) return -1;
    if (mcpsess_memstore_init(&g->memstore, &d, g->store_memory, size) != MCPSESS_OK) return -1;
    *store = mcpsess_memstore_store(&g->memstore);
    return 0;
}

static int tier_open(struct gateway *g, mcpsess_store store) {
    mcpsess_session_desc d = mcpsess_session_desc_default();
    d.store = store;
    /* A local copy is served without the store's knowledge. It could outlive a record that the store drops to make
       room, and would keep the store from seeing which records are in use. */
    d.capacity = g->config.evict ? 0 : g->config.sessions < LOCAL_MAX ? g->config.sessions : LOCAL_MAX;
    d.slot_max = (uint16_t)RECORD_MAX;
    d.lanes = LANES;
    d.record_max = (uint16_t)RECORD_MAX;
    d.ttl_ms = g->config.ttl_ms;
    d.log.log = on_log;
    d.log.user = g;
    size_t size = mcpsess_session_bytes(&d);
    g->tier_memory = malloc(size);
    if (g->tier_memory == NULL || random_bytes(NULL, d.seed, sizeof d.seed) != 0) return -1;
    return mcpsess_session_init(&g->sessions, &d, g->tier_memory, size);
}

static int book_open(struct gateway *g) {
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    d.capacity = g->config.sessions;
    d.key_max = MCPSESS_ID_MAX;
    d.value_max = 2;
    size_t size = mcpsess_lru_bytes(&d);
    g->book_memory = malloc(size);
    if (g->book_memory == NULL || random_bytes(NULL, d.seed, sizeof d.seed) != 0) return -1;
    return mcpsess_lru_init(&g->book, &d, g->book_memory, size);
}

int table_open(struct gateway *g) {
    mcpsess_store store;
    TAILQ_INIT(&g->tasks);
    g->pump = evtimer_new(g->base, pump, g);
    mcpsess_op_init(&g->sweep.op, 0);
    if (g->pump == NULL || store_open(g, &store) != 0) return -1;
    if (tier_open(g, store) != MCPSESS_OK || book_open(g) != MCPSESS_OK) return -1;
    return 0;
}

void table_close(struct gateway *g) {
    table_forget(g, &g->sweep);
    mcpsess_session_close(&g->sessions);
    if (g->pump != NULL) event_free(g->pump);
    free(g->book_memory);
    free(g->tier_memory);
    free(g->store_memory);
}
