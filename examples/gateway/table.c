/* table.c - sessions: the mcpsess store and its local tier, the operations under way, and the book.

   No call into the session layer is taken to be done when it returns. Whoever begins one hands the result to table_then
   with a function to go on with; what is PENDING is polled from a timer that fires when the operations ask for it, and,
   with a store behind a socket, when that has something to read or to write. With the store in RAM nothing is ever
   pending. */

#include "gateway.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LANES 64u      /* store requests at a time */
#define LOCAL_MAX 256u /* sessions in the local tier before the store in RAM */

int table_random(void *user, void *dst, size_t len) {
    (void)user;
    return getrandom(dst, len, 0) == (ssize_t)len ? 0 : -1;
}

int table_new_id(struct gateway *g, mcpsess_buf *out) {
    (void)g;
    return mcpsess_session_id_new(out, MCPSESS_ID_BASE64URL, table_random, NULL);
}

static void on_log(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)level;
    (void)key; /* a session id is a secret */
    say(user, "sessions: %s (%llu)", mcpsess_item_text(item), (unsigned long long)number);
}

/* ---- operations under way

   There are two sorts, those of the session layer and those of table_ask. One step of any of a sort steps the store
   and may end all others of that sort. All have the same time to live. So the one of each sort that has waited longest
   is the only one to be polled. */

static bool is_asked(const struct task *t) {
    return t->request.kind != 0;
}

static bool has_ended(struct task *t) {
    if (is_asked(t) && t->request.rc != MCPSESS_PENDING) mcpsess_poll(&t->op, now_ms());
    return mcpsess_op_rc(&t->op) != MCPSESS_PENDING;
}

static struct task *oldest(struct gateway *g, bool asked) {
    struct task *t;
    TAILQ_FOREACH(t, &g->tasks, link) {
        if (is_asked(t) == asked) return t;
    }
    return NULL;
}

static bool any_ended(struct gateway *g) {
    struct task *t;
    TAILQ_FOREACH(t, &g->tasks, link) {
        if (has_ended(t)) return true;
    }
    return !TAILQ_EMPTY(&g->done);
}

static uint64_t task_due(struct task *t, uint64_t now) {
    if (t == NULL) return MCPSESS_NEVER;
    return (mcpsess_want(&t->op) & MCPSESS_WANT_NOW) != 0 ? now : mcpsess_next_due(&t->op, now);
}

static uint64_t due(struct gateway *g, uint64_t now) {
    uint64_t at = g->wire != NULL ? redis_due(g, now) : MCPSESS_NEVER;
    if (any_ended(g)) return now;
    for (int asked = 0; asked < 2; asked++) {
        uint64_t next = task_due(oldest(g, asked), now);
        if (next < at) at = next;
    }
    uint64_t next = streams_due(g, now);
    if (next < at) at = next;
    next = remotes_due(g, now);
    if (next < at) at = next;
    next = fleet_due(g, now);
    return next < at ? next : at;
}

void table_schedule(struct gateway *g) {
    uint64_t now = now_ms();
    if (g->wire != NULL) redis_watch(g);
    uint64_t at = due(g, now);
    if (at == MCPSESS_NEVER) {
        evtimer_del(g->pump);
        return;
    }
    uint64_t wait = mcpsess_time_left(now, at);
    struct timeval tv = {(time_t)(wait / 1000), (suseconds_t)(wait % 1000) * 1000};
    evtimer_add(g->pump, &tv);
}

/* Moves what has ended to the list of those whose end is to be told. */
static void collect(struct gateway *g) {
    struct task *t, *next;
    for (t = TAILQ_FIRST(&g->tasks); t != NULL; t = next) {
        next = TAILQ_NEXT(t, link);
        if (!has_ended(t)) continue;
        TAILQ_REMOVE(&g->tasks, t, link);
        TAILQ_INSERT_TAIL(&g->done, t, link);
        t->done = true;
    }
}

static void unlink_task(struct gateway *g, struct task *t) {
    TAILQ_REMOVE(t->done ? &g->done : &g->tasks, t, link);
    t->waiting = false;
    t->done = false;
}

void table_pump(evutil_socket_t fd, short what, void *user) {
    struct gateway *g = user;
    struct task *t;
    (void)fd;
    (void)what;
    if (g->wire != NULL) redis_step(g);
    for (int asked = 0; asked < 2; asked++) {
        do { /* those whose time is up end one by one */
            collect(g);
            t = oldest(g, asked);
        } while (t != NULL && mcpsess_poll(&t->op, now_ms()) != MCPSESS_PENDING);
    }
    collect(g);
    streams_pump(g);
    while ((t = TAILQ_FIRST(&g->done)) != NULL) {
        unlink_task(g, t);
        t->then(t->user, mcpsess_op_rc(&t->op));
    }
    remotes_step(g);
    fleet_step(g);
    table_schedule(g);
}

void table_then(struct gateway *g, struct task *t, int rc, void (*then)(void *, int), void *user) {
    if (rc != MCPSESS_PENDING) {
        if (g->wire != NULL) table_schedule(g); /* a hit listens for changes, and may have heard answers to others */
        then(user, rc);
        return;
    }
    t->then = then;
    t->user = user;
    t->waiting = true;
    TAILQ_INSERT_TAIL(&g->tasks, t, link);
    table_schedule(g);
}

void table_forget(struct gateway *g, struct task *t) {
    if (!t->waiting) return;
    mcpsess_cancel(&t->op);
    unlink_task(g, t);
}

/* ---- one request to the store, as an operation of our own */

static int ask_poll(mcpsess_op *op, uint64_t now) {
    struct gateway *g = mcpsess_op_object(op);
    struct task *t = (struct task *)(void *)op;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return mcpsess_op_rc(op);
    if (t->request.rc == MCPSESS_PENDING) g->store.cls->poll(g->store.self, now);
    if (t->request.rc == MCPSESS_PENDING) return MCPSESS_PENDING;
    t->request.kind = 0;
    op->left_ms = t->request.left_ms;
    return mcpsess_op_end(op, t->request.rc);
}

static void ask_cancel(mcpsess_op *op) {
    struct gateway *g = mcpsess_op_object(op);
    struct task *t = (struct task *)(void *)op;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return;
    g->store.cls->cancel(g->store.self, &t->request);
    t->request.kind = 0;
    mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t ask_next_due(mcpsess_op *op, uint64_t now) {
    struct gateway *g = mcpsess_op_object(op);
    const struct task *t = (const struct task *)(const void *)op;
    return t->request.rc == MCPSESS_PENDING ? g->store.cls->next_due(g->store.self, now) : now;
}

static unsigned ask_want(mcpsess_op *op) {
    struct gateway *g = mcpsess_op_object(op);
    return g->store.cls->want(g->store.self);
}

int table_ask(struct gateway *g, struct task *t, const mcpsess_request *request) {
    static const mcpsess_op_class cls = {ask_poll, ask_cancel, ask_next_due, ask_want};
    int rc = mcpsess_op_begin(&t->op, &cls, g);
    if (rc != MCPSESS_PENDING) return rc;
    t->request = *request;
    t->request.rc = MCPSESS_PENDING;
    t->request.deadline_ms = mcpsess_time_add(now_ms(), STORE_TIMEOUT_MS);
    g->store.cls->submit(g->store.self, &t->request, now_ms());
    return ask_poll(&t->op, now_ms());
}

/* ---- the book: session id -> backend's index, as a fixed table of the library's own */

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

void book_bind(struct gateway *g, mcpsess_str id, unsigned backend) {
    const char value[1] = {(char)backend};
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
        book_bind(g, id, backend);
    }
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
    if (g->sweep.waiting || g->wire != NULL) return; /* on Redis sessions expire by themselves */
    table_then(g, &g->sweep, mcpsess_session_sweep(&g->sessions, &g->sweep.op, now_ms()), swept, g);
}

/* ---- opening */

static int memory_open(struct gateway *g, mcpsess_store *store) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    d.records = g->config.sessions;
    d.value_max = (uint16_t)RECORD_MAX;
    d.evict = g->config.evict;
    d.logs = g->config.streams;
    d.log_bytes = g->config.stream_bytes;
    if (g->config.directory != NULL) {
        d.leases = DIRECTORY_USERS;
        d.flags = LISTS_MAX;
        d.flag_max = MCPSESS_FINGERPRINT_MAX + LIST_MAX;
    }
    if (g->fleet != NULL) d.leases = BACKENDS_MAX;
    d.fence_base = wall_ms(); /* ids from before a restart mean nothing after it */
    if (d.fence_base <= fleet_fence(g)) d.fence_base = fleet_fence(g) + 1; /* the clock was set back */
    d.log.log = on_log;
    d.log.user = g;
    size_t size = mcpsess_memstore_bytes(&d);
    g->store_memory = malloc(size);
    if (g->store_memory == NULL || table_random(NULL, d.seed, sizeof d.seed) != 0) return -1;
    if (mcpsess_memstore_init(&g->memstore, &d, g->store_memory, size) != MCPSESS_OK) return -1;
    *store = mcpsess_memstore_store(&g->memstore);
    return 0;
}

/* A local copy is served without the store's knowledge. It could outlive a record that the store drops to make room,
   and would keep the store from seeing which records are in use. On Redis it is what is left when Redis is away. */
static uint16_t tier_capacity(const struct gateway *g) {
    if (g->wire != NULL) return g->config.sessions;
    if (g->config.evict) return 0;
    return g->config.sessions < LOCAL_MAX ? g->config.sessions : LOCAL_MAX;
}

static int tier_open(struct gateway *g) {
    mcpsess_session_desc d = mcpsess_session_desc_default();
    uint64_t stale_ms = g->config.redis.stale_ms;
    d.store = g->store;
    d.capacity = tier_capacity(g);
    d.stale_ms = stale_ms > 0 ? stale_ms : 1;
    /* What is in use is confirmed twice as often, so that it is served for half of that at least. */
    if (g->wire != NULL && stale_ms > 0 && d.max_age_ms > stale_ms / 2) d.max_age_ms = stale_ms / 2;
    d.timeout_ms = STORE_TIMEOUT_MS;
    d.slot_max = (uint16_t)RECORD_MAX;
    d.lanes = LANES;
    d.record_max = (uint16_t)RECORD_MAX;
    d.ttl_ms = g->config.ttl_ms;
    d.log.log = on_log;
    d.log.user = g;
    size_t size = mcpsess_session_bytes(&d);
    g->tier_memory = malloc(size);
    if (g->tier_memory == NULL || table_random(NULL, d.seed, sizeof d.seed) != 0) return -1;
    return mcpsess_session_init(&g->sessions, &d, g->tier_memory, size);
}

static int book_open(struct gateway *g) {
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    d.capacity = g->config.sessions;
    d.key_max = MCPSESS_ID_MAX;
    d.value_max = 1;
    size_t size = mcpsess_lru_bytes(&d);
    g->book_memory = malloc(size);
    if (g->book_memory == NULL || table_random(NULL, d.seed, sizeof d.seed) != 0) return -1;
    return mcpsess_lru_init(&g->book, &d, g->book_memory, size);
}

int table_open(struct gateway *g) {
    bool shared = g->config.redis.host != NULL;
    g->pump = evtimer_new(g->base, table_pump, g);
    mcpsess_op_init(&g->sweep.op, 0);
    if (g->pump == NULL || (shared ? redis_open(g, &g->store) : memory_open(g, &g->store)) != 0) return -1;
    if (tier_open(g) != MCPSESS_OK || book_open(g) != MCPSESS_OK || streams_open(g) != MCPSESS_OK) return -1;
    table_schedule(g); /* connects */
    return 0;
}

void table_close(struct gateway *g) {
    table_forget(g, &g->sweep);
    mcpsess_session_close(&g->sessions);
    redis_close(g);
    if (g->pump != NULL) event_free(g->pump);
    free(g->book_memory);
    free(g->tier_memory);
    free(g->store_memory);
}
