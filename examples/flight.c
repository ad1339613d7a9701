/* Load once: two gateways, here in one program, are asked for the same user's configuration at the same time. One of
   them loads it, the other waits and is woken, and who comes later finds it. The loader is an operation of your own.

     cc -std=c99 -I.. flight.c -o flight
*/

#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"
#include <stdio.h>
#include <string.h>

MCPSESS_MEMSTORE_FLAG_STORAGE(memory, 1, 4, 16, 4, 64); /* 4 leases, 4 flags of at most 64 bytes */
MCPSESS_FLIGHT_STORAGE(lanes_a, 2, 48);                 /* 2 loads at a time, of at most 48 bytes */
MCPSESS_FLIGHT_STORAGE(lanes_b, 2, 48);

/* For tokens and jitter; on a real machine take real random bytes. */
static int not_random(void *user, void *dst, size_t len) {
    static unsigned char n;
    (void)user;
    memset(dst, ++n, len);
    return 0;
}

/* -- what it takes to load: three steps, one for each poll, as if a database had to be asked -- */

typedef struct config_load {
    mcpsess_op op;
    const mcpsess_flight_job *job;
    int steps;
} config_load;

static int load_poll(mcpsess_op *op, uint64_t now_ms) {
    config_load *l = mcpsess_op_object(op);
    (void)now_ms;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING || ++l->steps < 3) return mcpsess_op_rc(op);
    printf("loaded for %.*s\n", (int)l->job->key.len, l->job->key.ptr);
    mcpsess_buf_put(l->job->data, MCPSESS_STR("servers: mail, files"));
    return mcpsess_op_end(op, MCPSESS_OK);
}

static void load_cancel(mcpsess_op *op) {
    mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t load_next_due(mcpsess_op *op, uint64_t now_ms) {
    (void)op;
    return now_ms + 10;
}

static unsigned load_want(mcpsess_op *op) {
    (void)op;
    return MCPSESS_WANT_TIME;
}

static mcpsess_op *load_begin(void *user, const mcpsess_flight_job *job, uint64_t now_ms) {
    static const mcpsess_op_class cls = {load_poll, load_cancel, load_next_due, load_want};
    config_load *l = user;
    (void)now_ms;
    l->job = job;
    l->steps = 0;
    mcpsess_op_init(&l->op, 0);
    mcpsess_op_begin(&l->op, &cls, l);
    return &l->op;
}

/* -- two gateways -- */

typedef struct gateway {
    const char *name;
    mcpsess_flights flights;
    config_load load;
    mcpsess_op op;
    mcpsess_buf out;
    char mem[48];
} gateway;

static int start(gateway *g, const char *name, mcpsess_store store, void *mem, size_t mem_len) {
    mcpsess_flight_desc d = mcpsess_flight_desc_default();
    g->name = name;
    d.store = store, d.lanes = 2, d.data_max = 48;
    d.load = load_begin, d.load_user = &g->load, d.random = not_random;
    mcpsess_op_init(&g->op, 0);
    return mcpsess_flight_init(&g->flights, &d, mem, mem_len);
}

/* The fingerprint says of which version of the settings it was loaded: a flag of another one does not count. */
static int ask(gateway *g, uint64_t now_ms) {
    mcpsess_buf_init(&g->out, g->mem, sizeof g->mem);
    return mcpsess_flight_load(&g->flights, &g->op, MCPSESS_STR("alice"), MCPSESS_STR("v1"), &g->out, now_ms);
}

static void show(const gateway *g) {
    printf("%s: %s %.*s\n", g->name, mcpsess_code_name(mcpsess_op_rc(&g->op)), (int)g->out.len, g->out.ptr);
}

int main(void) {
    static gateway a, b;
    mcpsess_memstore ram;
    mcpsess_store store, quiet;
    mcpsess_store_class untold;
    uint64_t now_ms = 1000;
    mcpsess_memstore_desc md = mcpsess_memstore_desc_default();
    md.records = 1, md.value_max = 16, md.leases = 4, md.flags = 4, md.flag_max = 64;
    if (mcpsess_memstore_init(&ram, &md, memory.bytes, sizeof memory.bytes) != MCPSESS_OK) return 1;
    store = quiet = mcpsess_memstore_store(&ram);
    untold = *store.cls, untold.listen = NULL; /* RAM tells one table of changes: the other one polls */
    quiet.cls = &untold;
    if (start(&a, "a", quiet, lanes_a.bytes, sizeof lanes_a.bytes) != MCPSESS_OK) return 1;
    if (start(&b, "b", store, lanes_b.bytes, sizeof lanes_b.bytes) != MCPSESS_OK) return 1;

    ask(&a, now_ms); /* claims it, and begins to load */
    ask(&b, now_ms); /* BUSY: waits */
    for (; mcpsess_op_rc(&a.op) == MCPSESS_PENDING || mcpsess_op_rc(&b.op) == MCPSESS_PENDING; now_ms += 10) {
        mcpsess_poll(&a.op, now_ms);
        mcpsess_poll(&b.op, now_ms);
    }
    show(&a);
    show(&b);
    ask(&a, now_ms); /* and again: it is there */
    show(&a);
    printf("loads: %u, requests: %u\n", (unsigned)(a.flights.stats.loads + b.flights.stats.loads),
           (unsigned)(a.flights.stats.requests + b.flights.stats.requests));
}

/* expected output:
loaded for alice
a: OK servers: mail, files
b: OK servers: mail, files
a: OK servers: mail, files
loads: 1, requests: 5
*/
