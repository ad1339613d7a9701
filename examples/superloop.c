/* A microcontroller's main loop with sessions in a slow store. The store here is made up: an EEPROM that takes three
   turns to answer. The loop never waits for it: each turn it does its other work, then gives the operation one bounded
   step. Time is a 32-bit tick that wraps while the example runs.

     cc -std=c99 -I.. superloop.c -o superloop
*/

#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"
#include <stdio.h>

enum { RECORDS = 4, RECORD_MAX = 128, TURNS = 3 };

/* ---- a store of our own: one request at a time, answered TURNS turns later ---- */

typedef struct eeprom {
    struct {
        size_t len; /* 0: free */
        char bytes[RECORD_MAX];
    } cell[RECORDS];
    mcpsess_request *request;
    int turns;
} eeprom;

static int find(const eeprom *e, mcpsess_str key) {
    mcpsess_record r;
    for (int i = 0; i < RECORDS; i++) {
        mcpsess_str bytes = mcpsess_str_of(e->cell[i].bytes, e->cell[i].len);
        if (mcpsess_record_decode(bytes, &r) == MCPSESS_OK && mcpsess_str_eq(r.id, key)) return i;
    }
    return -1;
}

static int read_cell(const eeprom *e, mcpsess_request *r) {
    int i = find(e, r->key);
    if (i < 0) return MCPSESS_MISS;
    mcpsess_str bytes = mcpsess_str_of(e->cell[i].bytes, e->cell[i].len);
    if (r->guarded && !mcpsess_record_owned(bytes, &r->owner)) return MCPSESS_MISS;
    r->left_ms = MCPSESS_NEVER; /* nothing expires in this store */
    if (!r->out) return MCPSESS_OK;
    mcpsess_buf_put(r->out, bytes);
    r->need = bytes.len;
    return mcpsess_buf_check(r->out);
}

static int write_cell(eeprom *e, const mcpsess_request *r) {
    int i = 0;
    if (r->mode != MCPSESS_PUT_CREATE) return MCPSESS_E_UNSUPPORTED;
    if (find(e, r->key) >= 0) return MCPSESS_EXISTS;
    if (r->value.len > RECORD_MAX) return MCPSESS_E_TOOBIG;
    while (i < RECORDS && e->cell[i].len > 0) i++;
    if (i == RECORDS) return MCPSESS_E_FULL;
    memcpy(e->cell[i].bytes, r->value.ptr, r->value.len);
    e->cell[i].len = r->value.len;
    return MCPSESS_OK;
}

static int submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    eeprom *e = self;
    (void)now_ms;
    if (e->request) return r->rc = MCPSESS_E_FULL;
    e->request = r;
    e->turns = TURNS + 1; /* the call that begins an operation polls as well */
    return r->rc = MCPSESS_PENDING;
}

static void poll(void *self, uint64_t now_ms) {
    eeprom *e = self;
    mcpsess_request *r = e->request;
    (void)now_ms;
    if (!r || --e->turns > 0) return;
    e->request = NULL;
    if (r->kind == MCPSESS_GET) {
        r->rc = read_cell(e, r);
    } else if (r->kind == MCPSESS_PUT) {
        r->rc = write_cell(e, r);
    } else {
        r->rc = MCPSESS_E_UNSUPPORTED;
    }
}

static void cancel(void *self, mcpsess_request *r) {
    eeprom *e = self;
    if (e->request == r) e->request = NULL;
}

static uint64_t next_due(void *self, uint64_t now_ms) {
    const eeprom *e = self;
    return e->request ? now_ms : MCPSESS_NEVER;
}

static unsigned want(void *self) {
    const eeprom *e = self;
    return e->request ? MCPSESS_WANT_NOW : 0;
}

static void close(void *self) {
    eeprom *e = self;
    if (e->request) e->request->rc = MCPSESS_E_CLOSED;
    e->request = NULL;
}

/* ---- the main loop ---- */

static uint32_t tick_register = 0xFFFFFFE0u; /* ms; up for 49.7 days: wraps after 32 more */
static mcpsess_tick clock_state;             /* widens it */
static unsigned blinks;

static uint64_t now_ms(void) {
    return mcpsess_tick_now(&clock_state, tick_register);
}

/* One turn: the other work of the program, 5 ms of it. */
static void other_work(void) {
    blinks++;
    tick_register += 5;
}

/* rc is what begin answered. Turns of the loop until the operation is done. */
static int finish(mcpsess_op *op, int rc, const char *what) {
    unsigned turns = 0;
    for (; rc == MCPSESS_PENDING; turns++) {
        other_work();
        rc = mcpsess_poll(op, now_ms());
    }
    printf("%s: %s after %u turns\n", what, mcpsess_code_name(rc), turns);
    return rc;
}

MCPSESS_SESSION_STORAGE(tier, 2, RECORD_MAX, 1, RECORD_MAX);

static int init_sessions(mcpsess_sessions *table, eeprom *e) {
    static const mcpsess_store_class slow = {submit, poll, cancel, next_due, want, close, NULL, NULL};
    mcpsess_session_desc d = mcpsess_session_desc_default();
    d.store.cls = &slow;
    d.store.self = e;
    d.capacity = 2;
    d.slot_max = RECORD_MAX;
    d.lanes = 1;
    d.record_max = RECORD_MAX;
    return mcpsess_session_init(table, &d, tier.bytes, sizeof tier.bytes);
}

static int create(mcpsess_sessions *table, mcpsess_op *op, const char *id) {
    char bytes[RECORD_MAX]; /* lives until the operation is done: finish is called in here */
    mcpsess_buf record;
    mcpsess_record r = {mcpsess_str_z(id), {{0, 0}, {0, 0}}, {0, 0}, 0, 0, MCPSESS_STATE_ACTIVE, 0, {{0, 0}}};
    mcpsess_buf_init(&record, bytes, sizeof bytes);
    mcpsess_record_encode(&r, &record);
    return finish(op, mcpsess_session_create(table, op, mcpsess_buf_str(&record), now_ms()), "create");
}

static int load(mcpsess_sessions *table, mcpsess_op *op, const char *id, const char *what) {
    static const mcpsess_principal nobody;
    char bytes[RECORD_MAX];
    mcpsess_buf out;
    mcpsess_buf_init(&out, bytes, sizeof bytes);
    return finish(op, mcpsess_session_load(table, op, mcpsess_str_z(id), &nobody, &out, now_ms()), what);
}

int main(void) {
    static eeprom store;
    static mcpsess_sessions table;
    mcpsess_op op;
    uint64_t begin = now_ms();

    if (init_sessions(&table, &store) != MCPSESS_OK) return 1;
    mcpsess_op_init(&op, 1000);
    create(&table, &op, "pump-1");
    load(&table, &op, "pump-1", "load, kept here");
    create(&table, &op, "pump-2");
    create(&table, &op, "pump-3");
    load(&table, &op, "pump-1", "load, only in the store");
    load(&table, &op, "pump-4", "load, nowhere");
    printf("%u blinks in %u ms, and the tick reads %u\n", blinks, (unsigned)(now_ms() - begin),
           (unsigned)tick_register);
    return 0;
}

/* expected output:
create: OK after 3 turns
load, kept here: OK after 0 turns
create: OK after 3 turns
create: OK after 3 turns
load, only in the store: OK after 3 turns
load, nowhere: MISS after 3 turns
15 blinks in 75 ms, and the tick reads 43
*/
