/* Four threads on one session table over a store that answers late, under ThreadSanitizer. What must hold: the store is
   never entered by two threads, no lock is held while it is called, every operation ends, a load never answers with
   another session's record, and the invariants hold at the end. */

#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 4, ROUNDS = 20000, IDS = 8, RECORD_MAX = 128, LANES = 3, LATE_MAX = 5 };

MCPSESS_MEMSTORE_STORAGE(ram, IDS, 0, RECORD_MAX);
MCPSESS_SESSION_STORAGE(tier, 4, RECORD_MAX, LANES, RECORD_MAX);

static mcpsess_memstore memstore;
static mcpsess_sessions table;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool holds_lock;
static atomic_int inside, faults;

static void expect(bool ok, const char *what) {
    if (ok) return;
    if (atomic_fetch_add(&faults, 1) == 0) printf("fault: %s\n", what);
}

/* ---- a store that answers some polls later, in any order */

static struct {
    mcpsess_request *request;
    unsigned polls;
} late[LANES];

static void enter(void) {
    expect(!holds_lock, "the store is called with the lock held");
    expect(atomic_fetch_add(&inside, 1) == 0, "two threads are inside the store");
}

static void leave(void) {
    atomic_fetch_sub(&inside, 1);
}

static int submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    mcpsess_store ram_store = mcpsess_memstore_store(self);
    unsigned n = 0, polls = (unsigned)rand() % LATE_MAX;
    enter();
    while (n < LANES && late[n].request != NULL) n++;
    if (polls == 0 || n == LANES) {
        ram_store.cls->submit(self, r, now_ms);
    } else {
        late[n].request = r;
        late[n].polls = polls;
        r->rc = MCPSESS_PENDING;
    }
    leave();
    return r->rc;
}

static void poll_late(void *self, uint64_t now_ms) {
    mcpsess_store ram_store = mcpsess_memstore_store(self);
    enter();
    for (unsigned n = 0; n < LANES; n++) {
        if (late[n].request == NULL || --late[n].polls != 0) continue;
        ram_store.cls->submit(self, late[n].request, now_ms);
        late[n].request = NULL;
    }
    leave();
}

static void cancel(void *self, mcpsess_request *r) {
    (void)self;
    enter();
    for (unsigned n = 0; n < LANES; n++) {
        if (late[n].request == r) late[n].request = NULL;
    }
    leave();
}

static uint64_t next_due(void *self, uint64_t now_ms) {
    (void)self;
    enter();
    leave();
    return now_ms;
}

static unsigned want(void *self) {
    (void)self;
    enter();
    leave();
    return MCPSESS_WANT_NOW;
}

static void close_store(void *self) {
    (void)self;
    enter();
    for (unsigned n = 0; n < LANES; n++) {
        if (late[n].request != NULL) late[n].request->rc = MCPSESS_E_CLOSED;
        late[n].request = NULL;
    }
    leave();
}

/* ---- the threads */

static void lock(void *user) {
    pthread_mutex_lock(user);
    holds_lock = true;
}

static void unlock(void *user) {
    holds_lock = false;
    pthread_mutex_unlock(user);
}

static uint64_t clock_ms(void *user) {
    struct timespec t;
    (void)user;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int wait_now(void *user, unsigned wanted, uint64_t due_ms) {
    uint32_t *seed = user;
    (void)wanted;
    (void)due_ms;
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 24 == 0; /* gives up now and then */
}

static void round_of(mcpsess_op *op, uint32_t *seed) {
    static const mcpsess_principal nobody;
    const mcpsess_wait_hook hook = {clock_ms, wait_now, seed};
    char id[2] = "a", record_bytes[RECORD_MAX], out_bytes[RECORD_MAX];
    mcpsess_record r = {0}, got;
    mcpsess_buf record, out;
    int rc;
    *seed = *seed * 1664525u + 1013904223u;
    id[0] = (char)('a' + (*seed >> 16) % IDS);
    r.id = mcpsess_str_z(id);
    mcpsess_buf_init(&record, record_bytes, sizeof record_bytes);
    mcpsess_buf_init(&out, out_bytes, sizeof out_bytes);
    mcpsess_record_encode(&r, &record);
    switch (*seed >> 28) {
    case 0: rc = mcpsess_session_del(&table, op, r.id, &nobody, clock_ms(NULL)); break;
    case 1: rc = mcpsess_session_touch(&table, op, r.id, &nobody, clock_ms(NULL)); break;
    case 2: rc = mcpsess_session_exists(&table, op, r.id, &nobody, clock_ms(NULL)); break;
    case 3:
    case 4: rc = mcpsess_session_store(&table, op, mcpsess_buf_str(&record), clock_ms(NULL)); break;
    case 5: rc = mcpsess_session_update(&table, op, mcpsess_buf_str(&record), clock_ms(NULL)); break;
    case 6: rc = mcpsess_session_mark(&table, r.id) < 0 ? MCPSESS_E_ARG : MCPSESS_OK; break;
    default: rc = mcpsess_session_load(&table, op, r.id, &nobody, &out, clock_ms(NULL)); break;
    }
    rc = mcpsess_wait(op, rc, &hook);
    expect(rc >= 0 || rc == MCPSESS_E_CANCELED || rc == MCPSESS_E_CLOSED, mcpsess_code_name(rc));
    if (out.len == 0) return;
    expect(mcpsess_record_decode(mcpsess_buf_str(&out), &got) == MCPSESS_OK, "what was loaded is a record");
    expect(mcpsess_str_eq(got.id, r.id), "and the one that was asked for");
}

static void *work(void *user) {
    uint32_t seed = *(uint32_t *)user;
    mcpsess_op op;
    mcpsess_op_init(&op, 60000);
    for (unsigned n = 0; n < ROUNDS; n++) round_of(&op, &seed);
    return NULL;
}

static int open_table(void) {
    static const mcpsess_store_class cls = {submit, poll_late, cancel, next_due, want, close_store, NULL, NULL};
    mcpsess_memstore_desc m = mcpsess_memstore_desc_default();
    mcpsess_session_desc d = mcpsess_session_desc_default();
    m.records = IDS;
    m.value_max = RECORD_MAX;
    d.store.cls = &cls;
    d.store.self = &memstore;
    d.capacity = 4;
    d.slot_max = RECORD_MAX;
    d.lanes = LANES;
    d.record_max = RECORD_MAX;
    d.lock.lock = lock;
    d.lock.unlock = unlock;
    d.lock.user = &mutex;
    if (mcpsess_memstore_init(&memstore, &m, ram.bytes, sizeof ram.bytes) != MCPSESS_OK) return 1;
    return mcpsess_session_init(&table, &d, tier.bytes, sizeof tier.bytes) != MCPSESS_OK;
}

int main(void) {
    pthread_t threads[THREADS];
    uint32_t seeds[THREADS];
    if (open_table() != 0) return 2;
    for (unsigned n = 0; n < THREADS; n++) {
        seeds[n] = n + 1;
        pthread_create(&threads[n], NULL, work, &seeds[n]);
    }
    for (unsigned n = 0; n < THREADS; n++) pthread_join(threads[n], NULL);
    expect(mcpsess_session_check(&table) == MCPSESS_OK, "the invariants hold");
    expect(table.stats.shared != 0 && table.stats.queued != 0 && table.stats.overtaken != 0, "the threads did meet");
    expect(mcpsess_session_close(&table) == MCPSESS_OK, "it closes");
    printf("%u requests, %u shared, %u queued, %u overtaken\n", (unsigned)table.stats.requests,
           (unsigned)table.stats.shared, (unsigned)table.stats.queued, (unsigned)table.stats.overtaken);
    return faults == 0 ? 0 : 1;
}
