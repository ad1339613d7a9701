/* One session table, two threads. With the lock hooks set, every function of the table may be called from any thread;
   an operation still belongs to the thread that began it.

     cc -std=c99 -I.. -pthread threads.c -o threads
*/

#define _POSIX_C_SOURCE 200809L
#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

enum { THREADS = 2, ROUNDS = 1000, RECORD_MAX = 128 };

static const mcpsess_principal nobody;
static mcpsess_sessions table;

/* ---- the hooks: any mutex will do; they are never held across a callback ---- */

static void lock(void *mutex) {
    pthread_mutex_lock(mutex);
}

static void unlock(void *mutex) {
    pthread_mutex_unlock(mutex);
}

MCPSESS_MEMSTORE_STORAGE(ram, 8, 0, RECORD_MAX);
MCPSESS_SESSION_STORAGE(tier, 2, RECORD_MAX, 2, RECORD_MAX);

static int init(mcpsess_memstore *store, pthread_mutex_t mutex[2]) {
    mcpsess_memstore_desc m = mcpsess_memstore_desc_default();
    mcpsess_session_desc s = mcpsess_session_desc_default();
    m.records = 8;
    m.value_max = RECORD_MAX;
    m.lock.lock = s.lock.lock = lock;
    m.lock.unlock = s.lock.unlock = unlock;
    m.lock.user = &mutex[0];
    s.lock.user = &mutex[1];
    int rc = mcpsess_memstore_init(store, &m, ram.bytes, sizeof ram.bytes);
    if (rc != MCPSESS_OK) return rc;
    s.store = mcpsess_memstore_store(store);
    s.capacity = 2; /* fewer than there are sessions, so that they push each other out */
    s.slot_max = RECORD_MAX;
    s.lanes = 2;
    s.record_max = RECORD_MAX;
    return mcpsess_session_init(&table, &s, tier.bytes, sizeof tier.bytes);
}

/* The other thread may be inside the store; then the operation is pending, and polled until it has its turn. */
static int finish(mcpsess_op *op, int rc) {
    while (rc == MCPSESS_PENDING) {
        sched_yield();
        rc = mcpsess_poll(op, 0);
    }
    return rc;
}

static unsigned count_of(const mcpsess_buf *record) {
    mcpsess_record r;
    mcpsess_str text;
    uint64_t n;
    if (mcpsess_record_decode(mcpsess_buf_str(record), &r) != MCPSESS_OK) return 0;
    if (mcpsess_record_get(&r, MCPSESS_STR("count"), &text) != MCPSESS_OK) return 0;
    return mcpsess_u64_decode(text, ROUNDS, &n) == MCPSESS_OK ? (unsigned)n : 0;
}

/* Reads a session's count. -> the count, 0 also when the session is not there */
static unsigned load(const char *id, char *bytes, mcpsess_buf *record) {
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    mcpsess_buf_init(record, bytes, RECORD_MAX);
    int rc = finish(&op, mcpsess_session_load(&table, &op, mcpsess_str_z(id), &nobody, record, 0));
    return rc == MCPSESS_OK ? count_of(record) : 0;
}

/* A load and an update are two operations: a session that both threads wrote would lose counts. Each has its own. */
static void add_one(const char *id) {
    char bytes[RECORD_MAX], digits[20];
    mcpsess_buf record, text;
    mcpsess_op op;
    unsigned count = load(id, bytes, &record);
    mcpsess_buf_init(&text, digits, sizeof digits);
    mcpsess_buf_put_u64(&text, count + 1);
    mcpsess_record_put(&record, MCPSESS_STR("count"), mcpsess_buf_str(&text));
    mcpsess_op_init(&op, 0);
    finish(&op, mcpsess_session_update(&table, &op, mcpsess_buf_str(&record), 0));
}

static int create(const char *id) {
    char bytes[RECORD_MAX];
    mcpsess_buf record;
    mcpsess_op op;
    mcpsess_record r = {mcpsess_str_z(id), {{0, 0}, {0, 0}}, {0, 0}, 0, 0, MCPSESS_STATE_ACTIVE, 0, {{0, 0}}};
    mcpsess_buf_init(&record, bytes, sizeof bytes);
    mcpsess_record_encode(&r, &record);
    mcpsess_op_init(&op, 0);
    return finish(&op, mcpsess_session_create(&table, &op, mcpsess_buf_str(&record), 0));
}

static void *work(void *id) {
    char bytes[RECORD_MAX];
    mcpsess_buf record;
    for (int i = 0; i < ROUNDS; i++) {
        add_one(id);
        load("shared", bytes, &record);
    }
    return NULL;
}

int main(void) {
    static char ids[THREADS][4] = {"one", "two"};
    static pthread_mutex_t mutex[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
    mcpsess_memstore store;
    pthread_t threads[THREADS];
    char bytes[RECORD_MAX];
    mcpsess_buf record;

    if (init(&store, mutex) != MCPSESS_OK || create("shared") != MCPSESS_OK) return 1;
    for (int i = 0; i < THREADS; i++) {
        if (create(ids[i]) != MCPSESS_OK || pthread_create(&threads[i], NULL, work, ids[i]) != 0) return 1;
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) printf("%s counted to %u\n", ids[i], load(ids[i], bytes, &record));
    printf("table %s, store %s\n", mcpsess_code_name(mcpsess_session_check(&table)),
           mcpsess_code_name(mcpsess_memstore_check(&store)));
    return 0;
}

/* expected output:
one counted to 1000
two counted to 1000
table OK, store OK
*/
