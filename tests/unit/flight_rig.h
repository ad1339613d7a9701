/* Several flight tables over one memory store, as so many processes: each has a test store of its own in between, hears
   of changes as told, and loads by an operation that takes time, fails, hangs or is late, as told. */

#ifndef FLIGHT_RIG_H
#define FLIGHT_RIG_H

#include "test_store.h"

#if PORT_SMALL
#define FLIGHT_TABLES 2u
#else
#define FLIGHT_TABLES 3u
#endif
#define FLIGHT_LANES 2u
#define FLIGHT_DATA 12u /* bytes */

/* ms */
#define FLIGHT_TTL 100000uL
#define FLIGHT_LEASE 6000uL
#define FLIGHT_WAIT 1000uL
#define FLIGHT_POLL 100uL
#define FLIGHT_TIMEOUT 500uL

/* A load under way: the operation that a loader returns. */
typedef struct flight_load {
    mcpsess_op op;
    const mcpsess_flight_job *job; /* NULL: never begun */
    uint64_t done_ms;              /* MCPSESS_NEVER: it hangs */
    uint64_t good_ms;              /* its left_ms */
    int result;
    const char *data;
    char text[12]; /* room for data that are made up when it begins */
    unsigned table;
    bool canceled;
} flight_load;

typedef struct flight_table {
    mcpsess_flights flights;
    test_store net;

    /* what loads do that begin from now on */
    uint64_t takes_ms; /* MCPSESS_NEVER: hang */
    uint64_t good_ms;
    int result;
    const char *data;
    bool refuses; /* none can be begun */

    flight_load loads[FLIGHT_LANES];
    unsigned begun, canceled;
    bool deaf; /* is told of no change */
} flight_table;

typedef struct flight_rig {
    flight_table tables[FLIGHT_TABLES];
    mcpsess_memstore ram;
    uint64_t now_ms;
    unsigned items[MCPSESS_ITEM_FLAG_REFUSED + 1]; /* logged, by item */
    uint64_t item_number;                          /* of the last one */
    void (*on_load)(flight_load *l);               /* one has begun; NULL: nothing */
    void (*on_loaded)(flight_load *l);             /* it has ended by itself */
    bool misuse;
} flight_rig;
extern flight_rig fr;

/* An operation and the room for what it answers. */
typedef struct flight_ask {
    mcpsess_op op;
    mcpsess_buf out;
    char mem[FLIGHT_DATA];
    unsigned table;
} flight_ask;

mcpsess_flight_desc flight_desc(void);
void flight_start(void);                                            /* with the defaults above; nothing is loaded */
void flight_start_as(const mcpsess_flight_desc *d);                 /* without a store where d has a class of NULL */
void flight_sound(void);                                            /* invariants, guard bytes, rules of the store */
int flight_load_in(flight_ask *a, unsigned table, const char *key); /* begins; fingerprint "v1" */
int flight_wait_in(flight_ask *a, unsigned table, const char *key, uint32_t max_ms);
int flight_poll(flight_ask *a);
int flight_end(flight_ask *a); /* polls until it is done, without time going by; gives up after 50 polls */
bool flight_has(const flight_ask *a, const char *data);
#define FLIGHT_ASKS 3u
/* As a superloop: polls only what is due or wants NOW, and sleeps until then; until all n are done, or `until_ms`.
   -> how often it polled */
unsigned flight_loop(flight_ask *const *asks, unsigned n, uint64_t until_ms);
int flight_flag(const char *key);    /* at the store: FLAG_GET under "v1" */
uint64_t flight_flag_left(void);     /* its left_ms */
void flight_revoke(const char *key); /* at the store: the lease is gone */
unsigned flight_requests(void);      /* of all tables, since the last call */

#endif
