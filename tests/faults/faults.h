/* Faults: every operation once as it should be, then again and again with one fault in its exchange, and what must hold
   all the same.

   wire      the engine's transport, around a socket to a real server: injects one fault, sees all that passes
   world     what is stored, made and looked at behind the engine's back
   rig       engine, stores, table
   faults    the clock, the faults of an exchange, the run of one case, the checks
   others    tables of operations: one file, one function faults_<module>() each

   Time is the test's: it goes by when nothing else can happen, to the instant that the engine asked for. Only for what
   the server owes is really waited. */

#ifndef FAULTS_H
#define FAULTS_H

#include "mcpsess_redis.h"
#include "test_store.h"

#include <stdio.h>

/* -- a fault -- */

/* kind; where: SEND at a byte of what the engine sends, RECV at a byte of what it is given, others at the so many-th
   call. Bytes and calls count from when the operation began. */
enum {
    FAULT_NONE,
    FAULT_SEND_SHORT,  /* moves no more than to there */
    FAULT_SEND_BLOCK,  /* would block for a while */
    FAULT_SEND_BYTES,  /* moves one byte a call, all the time */
    FAULT_SEND_CLOSE,  /* what was sent has arrived, no more is taken; what was answered can still be read; `byte` 1:
                          answers come after that */
    FAULT_SEND_RESET,  /* what was sent has arrived, then both ways are dead */
    FAULT_SEND_LOST,   /* what was sent never arrives, then both ways are dead */
    FAULT_SEND_LATE,   /* the same, but it arrives when the operation has ended */
    FAULT_SEND_SILENT, /* would block for ever */
    FAULT_SEND_HOLE,   /* takes everything, nothing of it arrives */
    FAULT_RECV_SHORT,
    FAULT_RECV_BLOCK,
    FAULT_RECV_BYTES,
    FAULT_RECV_CLOSE,  /* dead; what is sent still arrives */
    FAULT_RECV_RESET,  /* both ways are dead */
    FAULT_RECV_CALL,   /* dead at this call of recv */
    FAULT_RECV_SILENT, /* would block for ever */
    FAULT_RECV_HELD,   /* would block until the operation has ended */
    FAULT_RECV_FLIP,   /* a bit of this byte */
    FAULT_RECV_EXTRA,  /* a byte before it that nobody sent */
    FAULT_RECV_DROP,   /* this byte is missing */
    FAULT_RECV_CUT,    /* the rest of this reply is missing */
    FAULT_OPEN_FAILS,
    FAULT_OPEN_BLOCKS, /* for a while */
    FAULT_OPEN_SILENT, /* for ever */
    FAULT_POLL_CANCEL, /* the operation is cancelled; its bytes come one a call */
    /* at the boundary of the store, where there is no wire; `byte` is a code without its sign */
    FAULT_STORE_LATE,  /* answers after so many polls */
    FAULT_STORE_FAILS, /* so, after so many polls; nothing is done */
    FAULT_STORE_LIES,  /* so, but it is done */
    FAULT_STORE_HANGS, /* answers, so, when the operation has ended; 0: as it should, and it is done */
    FAULT_KINDS
};

/* what a fault does */
enum {
    FAULT_HARMLESS, /* nothing may be seen of it */
    FAULT_ENDS,     /* the connection */
    FAULT_SILENCES,
    FAULT_HOLDS,
    FAULT_CORRUPTS, /* what the engine is given */
    FAULT_CANCELS,
    FAULT_FAILS
};

typedef struct fault {
    uint8_t kind;
    uint8_t byte;   /* FLIP: the bit; EXTRA: the byte */
    uint32_t at;    /* byte or call */
    bool hasty;     /* deadlines are before the engine's patience ends */
    bool following; /* the second command comes when the first has ended, and bytes come one a call */
} fault;

uint8_t fault_effect(const fault *f);
const char *fault_text(const fault *f); /* until the next call */

/* -- wire -- */

#define WIRE_MAX 65536u /* bytes of an exchange */

typedef struct wire_log {
    char bytes[WIRE_MAX];
    uint32_t len;
} wire_log;

struct wire {
    const char *path;
    fault fault;
    bool armed; /* from then on is counted, and logged until the connection ends */
    bool fired; /* the fault's place was reached */
    /* since armed: */
    wire_log sent;      /* by the engine */
    wire_log true_down; /* by the server, as far as it was given to the engine in one way or another */
    wire_log given;     /* to the engine */
    uint32_t recvs, opens;
    unsigned connection, commands; /* whole ones that arrived, over all connections: */
    const char *watched;           /* this one */
    uint32_t watched_len;
    unsigned arrivals; /* of it */
    unsigned ends;     /* connections that ended */
    /* of the poll at hand: */
    unsigned poll_sends, poll_recvs;
    bool misuse;
    struct {
        int fd, late_fd;
        wire_log up, kept, down; /* of a command that has not all arrived; not forwarded; not given yet */
        uint32_t parsed;         /* of down: whole units */
        unsigned owed;           /* replies */
        uint64_t blocked_until_ms;
        bool send_dead, recv_dead, drained; /* drained: dead when all is read */
        bool stuck, hole, mute, held, open_blocked;
    } i;
};
extern struct wire wire;

mcpsess_redis_transport wire_transport(void);
void wire_arm(const fault *f, const char *watched, uint32_t watched_len);
/* The operation has ended: what was held back or late comes now; no fault begins any more. */
void wire_release(void);
bool wire_open(void);
/* Could a poll get further without time going by? */
bool wire_ready(unsigned want);
uint64_t wire_next_ms(void); /* when a block ends */

/* The first whole reply, push or command at the front of s.  -> its bytes, 0: not all there, -1: not RESP */
long wire_unit(mcpsess_str s, uint8_t *type);

/* -- world -- */

/* the last two: the layouts of the C# SDK and of LibreChat, on Redis */
enum { WORLD_REDIS, WORLD_RAM, WORLD_CSHARP, WORLD_LIBRECHAT };

#define WORLD_TTL 95000u /* ms, full */
#define WORLD_LOW 20000u /* ms: less than half */
#define WORLD_TEXT 4096u

void world_connect(const char *path);
/* A command of the server's owner; parts end with NULL.  -> its reply's text, until the next one */
mcpsess_str world_owner(const char *word, ...);
void world_clear(void);
/* A record's bytes, or a lease of this token, under an id. */
void world_put(const char *id, mcpsess_str value, uint32_t ttl_ms);
void world_del(const char *id);
void world_lease(const char *id, const char *token, uint32_t ttl_ms);
/* All that is stored, as text: keys, values, and of a TTL whether it is low. Fences are left out. */
void world_look(char text[WORLD_TEXT]);
int64_t world_fence(const char *id);
/* The flag of "a"; LibreChat's has no data. */
void world_flag(const char *fingerprint, const char *data, uint32_t ttl_ms);
const char *world_flag_key(void);
/* A log "s" of session "a", with the events one, two, three; a token NULL: nobody has a lease. */
void world_log(const mcpsess_principal *who, const char *token, bool done, uint32_t ttl_ms);
/* Its epoch, 'e', or the fence of its writer, 'w'. */
int64_t world_log_number(char which);

/* -- the rig: one of everything -- */

#define RIG_TX 2048u
#define RIG_RX 256u
#define RIG_SLOTS 6u
#define RIG_OUT 192u         /* bytes an operation may answer */
#define RIG_TIMEOUT 6000u    /* ms, of an operation */
#define RIG_HASTY 700u       /* the same, of a hasty one */
#define RIG_PATIENCE 1500u   /* ms, reply_timeout_ms */
#define RIG_CONNECTING 2000u /* ms, connect_timeout_ms */

/* An operation under way. */
typedef struct faults_task {
    union {
        mcpsess_op op;
        mcpsess_redis_op command;
        struct {
            mcpsess_op op;
            mcpsess_request request;
        } store;
        struct {
            mcpsess_op op;
            mcpsess_log_request request;
        } log; /* begins as `store` does */
        struct {
            mcpsess_op op;
            mcpsess_flag_request request;
        } flag; /* likewise */
        struct {
            mcpsess_op op;
            unsigned done;
        } own; /* a class of the test's */
    } u;
    mcpsess_buf out; /* exactly RIG_OUT bytes of the heap */
    mcpsess_str argv[6];
    char marker[16], room[256];
} faults_task;

struct faults_rig {
    uint8_t world;
    uint64_t now_ms;
    mcpsess_redis redis;
    mcpsess_redis_store store;
    mcpsess_csharp_store csharp;
    mcpsess_librechat_store librechat;
    mcpsess_store records; /* what the table stands on */
    mcpsess_sessions table;
    mcpsess_memstore ram;
    test_store net; /* before ram */
    faults_task first, second, fresh;
    char record[5][RIG_OUT];
    mcpsess_str alices, newer, newest, bobs, others; /* of the session "a"; of "b" */
    bool patient;
    mcpsess_principal alice, bob;
    uint64_t log_epoch, log_writer; /* of world_log */
    void *redis_mem, *table_mem, *ram_mem;
};
extern struct faults_rig rig;

typedef struct faults_setup {
    bool store;             /* with its scripts */
    bool csharp, librechat; /* instead of it */
    bool resp2, patient;
    uint8_t tracking;
    const char *user, *password, *name;
    uint16_t db;
} faults_setup;

/* -- an operation -- */

/* What becomes of it when the connection ended before its answer came. */
enum { FAULTS_REPEATED, FAULTS_LOOKED_UP, FAULTS_ONCE };

typedef struct faults_operation {
    const char *name;
    void (*before)(const struct faults_operation *o); /* what is stored, and known, when it begins */
    int (*begin)(const struct faults_operation *o, faults_task *t, uint32_t timeout_ms);
    const void *what; /* for the two */
    uint8_t loss;     /* FAULTS_... */
    int again;        /* what it answers when an earlier try has done it; 0: the same */
    bool free_form;   /* any reply is one to it, so nobody can tell that one is not its own */
    bool greets;      /* begins without a connection */
    bool reloads;     /* meets NOSCRIPT */
    bool tier;        /* a local copy may serve, and may be asked afterwards */
    int answers[8];   /* what else it can be told, ends with 0 */
    bool (*right)(const struct faults_operation *o, const faults_task *t); /* done: is all else true? NULL: yes */
} faults_operation;

extern bool faults_all; /* not only a choice */
void faults_begin(const faults_setup *s, const char *path);
/* One test; prints how many cases. */
void faults_run(const faults_operation *o);
void faults_end(void);
void faults_sum(void);       /* prints how many cases there were in all */
void faults_begin_ram(void); /* without a server */
/* Begins the request in t->u.store, or t->u.log, as an operation. */
int faults_ask(faults_task *t, uint32_t timeout_ms);
void faults_table(void);                         /* a new one, with nothing in it */
int faults_load(faults_task *t, const char *id); /* alice's session, until it is done */
void faults_sync(void);                          /* what has been told is heard */

#endif
