/* Backends in a small world, and a driver of it that answers, waits, fails, hangs or is late, as told. Up to two
   managers look after them, each over a test store of its own before one memory store, as so many replicas.

   Data is a number, a version: a task that runs makes it grow. With everything that takes effect the rig looks at what
   must never be: that the highest version is nowhere any more though nobody asked for that, that a task starts beside a
   copy that was not restored, that a copy is overwritten, that a replica with a lower fence has any effect. */

#ifndef BACKEND_RIG_H
#define BACKEND_RIG_H

#include "test_store.h"

#if PORT_SMALL
#define WORLD_TRACE 240u
#else
#define WORLD_TRACE 1000u
#endif
#define WORLD_BACKENDS 3u /* "a1", "b2", "c3" */
#define WORLD_MANAGERS 2u
#define WORLD_ASKS 4u
#define WORLD_LANES 1u
#define WORLD_ADDRESS 16u                            /* bytes */
#define WORLD_JOBS (WORLD_MANAGERS * WORLD_BACKENDS) /* and those that belong to no backend take their place */

/* ms */
#define WORLD_LEASE 6000uL
#define WORLD_STEP 3000uL
#define WORLD_STOP 1000uL
#define WORLD_CHECK 1500uL
#define WORLD_WAIT 500uL
#define WORLD_BACKOFF 1000uL
#define WORLD_STABLE 10000uL

/* What becomes of a call. */
enum {
    WORLD_WELL,        /* done after takes_ms */
    WORLD_FAILS,       /* without effect */
    WORLD_DONE_FAILS,  /* with its effect */
    WORLD_NOT_BEGUN,   /* the driver returns NULL */
    WORLD_HANGS,       /* until it is canceled, without effect */
    WORLD_LATE,        /* until it is canceled, and takes effect before the next call of its backend does */
    WORLD_CRASH,       /* the manager is no more; without effect */
    WORLD_CRASH_AFTER, /* with its effect */
    WORLD_FATES
};

/* What is asked of a manager. */
enum {
    WORLD_NOTHING, /* its own idea */
    WORLD_ENSURE,
    WORLD_START,
    WORLD_STOP_IT,
    WORLD_DEL,
    WORLD_DEL_PRESERVE,
    WORLD_EXPORT, /* to, and from, the one file that each backend has */
    WORLD_IMPORT,
    WORLD_IMPORT_COPY,
    WORLD_DISCARD,
    WORLD_ADDRESS_OF,
    WORLD_LIST,
    WORLD_RECONCILE,
    WORLD_PREPARE,
    WORLD_LEAVE,
    WORLD_KINDS
};

/* Where a backend begins. */
enum { WORLD_ABSENT, WORLD_ORPHANED, WORLD_COPIED, WORLD_STOPPED, WORLD_STOPPED_COPIED, WORLD_RUNNING };

typedef struct world_backend {
    bool present, running, network;
    uint32_t data, orphan, aside, copy, file; /* versions; 0: none */
    uint64_t aside_bytes, copy_bytes;         /* 0: an empty one, which is none */
    uint32_t needed;                          /* the highest version of all, unless it was given up */
    uint64_t fence;                           /* the highest seen */
    const char *address;                      /* "": it gets none */
    bool live;                                /* its data can be reached only while it runs */
    bool labelled;                            /* inspect tells the address */
    bool exports_nothing;                     /* copies come out empty */
} world_backend;

/* A call under way. */
typedef struct world_job {
    mcpsess_op op;
    mcpsess_backend_call *call;
    uint64_t due_ms, fence;
    int result; /* as it will be answered */
    uint8_t step, fate, backend, manager, asked;
    bool where, orphan, open, pending_effect;
} world_job;

typedef struct world_manager {
    mcpsess_backend_manager m;
    test_store net;
    uint64_t takes_ms; /* each call that begins from now on */
    bool stopped;      /* its process stands still */
} world_manager;

/* An operation and the room for what it answers. */
typedef struct world_ask {
    mcpsess_backend_op op;
    mcpsess_buf out;
    char mem[WORLD_ADDRESS];
    uint8_t kind, backend, manager;
} world_ask;

typedef struct backend_rig {
    world_manager managers[WORLD_MANAGERS];
    world_backend backends[WORLD_BACKENDS];
    world_ask asks[WORLD_ASKS];
    world_job jobs[WORLD_JOBS];
    mcpsess_memstore ram;
    uint64_t now_ms;
    uint32_t version; /* the last one */

    /* what happens to calls */
    unsigned calls;    /* begun, since world_start or since the test last set it to 0 */
    unsigned fault_at; /* the one that `fate` is for, from 1; 0: none */
    unsigned fault_of; /* or each call of this step; 0: of none */
    uint8_t fate;
    int code;                        /* of calls that fail; OK: E_IO */
    uint8_t (*choose)(world_job *j); /* asked for each, instead */
    uint8_t fault_step;              /* of the call that it was */
    int image_check;                 /* what it answers */
    bool image_local;
    bool crashed; /* by WORLD_CRASH or WORLD_CRASH_AFTER */
    uint8_t crashed_manager;

    /* what was seen */
    char trace[WORLD_TRACE];
    size_t traced;
    bool trace_ids;
    unsigned steps[MCPSESS_BACKEND_LEASE + 1];
    unsigned items[MCPSESS_ITEM_ADDRESS_DROPPED + 1];
    int watched;          /* an item; 0: any */
    uint64_t item_number; /* of the last one of it */
    unsigned dropped;
    char dropped_address[WORLD_ADDRESS];
    unsigned refused, late;                       /* calls with a fence that was too low; effects after a cancel */
    const char *broken;                           /* the first thing that did not hold */
    bool shared;                                  /* there is a store */
    uint64_t due_ms[WORLD_ASKS + WORLD_MANAGERS]; /* as each has said when it was looked at last */
} backend_rig;
extern backend_rig br;

mcpsess_backend_desc world_desc(void);              /* without a store; every member of the driver is there */
void world_start_as(const mcpsess_backend_desc *d); /* two managers where there is a store, else one */
void world_start(void);                             /* as world_desc says */
void world_start_with(int begins);                  /* and the first backend */
mcpsess_backend_desc world_desc_shared(void);       /* with a store */
void world_restart(unsigned manager);               /* a new one in the memory of one that is no more */
void world_sound(void);                             /* nothing is broken */
void world_must(bool holds, const char *what);      /* else it is */
void world_put(unsigned b, int begins);             /* WORLD_ABSENT ... */
void world_work(unsigned b);                        /* its task, if it runs, gets something done */
void world_die(unsigned b);                         /* its task ends by itself */
void world_lose(unsigned b);                        /* it is gone but for its data */
void world_settle(unsigned b);                      /* what may yet take effect does */
bool world_has_all(unsigned b);                     /* it runs, or could, on all its data, and there is no copy */
mcpsess_str world_id(unsigned b);
void world_clear_trace(void);

int world_begin(unsigned ask, unsigned manager, uint8_t kind, unsigned b); /* WORLD_ENSURE ... */
int world_poll(unsigned ask);
int world_end(unsigned ask);            /* polls it when it says so, and moves the clock, until it is done */
int world_do(uint8_t kind, unsigned b); /* begin and end; ask 0, manager 0 */
int world_do_by(unsigned manager, uint8_t kind, unsigned b);
/* All that is due now of asks and managers that do not stand still, until nothing is. -> the next instant */
uint64_t world_turn(void);
void world_loop(uint64_t until_ms); /* all that is due of all asks and managers, until then */
mcpsess_backend_info world_info(unsigned manager, unsigned b);

/* What ask 0 ended with, and at which step; and that all is sound. */
#define CHECK_END(rc, want, at) (CHECK_EQ((rc), (want)), CHECK_EQ(br.asks[0].op.step, (at)), world_sound())
#define CHECK_DONE(rc) CHECK_END((rc), MCPSESS_OK, MCPSESS_BACKEND_NO_STEP)
/* What manager 0 knows of the first backend, under which no operation is under way. */
#define CHECK_STATE(of, at)                                                 \
    (CHECK_EQ(world_info(0, 0).state, (of)), CHECK(!world_info(0, 0).busy), \
     CHECK(mcpsess_str_eq(world_info(0, 0).address, mcpsess_str_z(at))))

/* The driver's calls since the last one of these, "inspect:MISS create start" */
#define CHECK_TRACE(literal) world_check_trace(PORT_TEXT(literal), __FILE__, __LINE__)
bool world_check_trace(const char *text, const char *file, int line);

#endif
