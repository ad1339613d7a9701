/* Logs against a naive reference: several writers, among them such as are late or have been replaced, several readers,
   several sessions and principals, under limits that change; events age, logs expire, are deleted, evicted, lost with
   the whole store. Runs on any store whose clock the test can put forward.

   What must hold, whatever happens: a replay is whole, or GAP before its first event; no event twice, none of another
   session, stream, principal or epoch; no id stands for two events, ever; a log keeps to its bounds; a writer that was
   replaced writes nothing. And every answer is the one that the reference gives. */

#ifndef LOG_MODEL_H
#define LOG_MODEL_H

#include "test_util.h"

#if PORT_SMALL
#define LOG_MODEL_LOG_BYTES 160u
#else
#define LOG_MODEL_LOG_BYTES 400u
#endif

typedef struct log_model_rig log_model_rig;
struct log_model_rig {
    mcpsess_store store;
    uint64_t unit_ms;   /* TTLs are multiples of it */
    uint64_t slack_ms;  /* a request is under way for less than this, mostly; 0: the clock stands still meanwhile, and
                           TTLs are what they are in RAM, to the millisecond */
    uint32_t calm;      /* requests between two times that time is let go by, on the average; at least 1 */
    uint32_t logs;      /* so many have room, then complete ones go; 0: all */
    uint32_t log_bytes; /* a log has so much room, MCPSESS_RING_HEAD on each event counted in; 0: as limits say */
    bool epochs, owners, bounds, ages, deletes_all; /* as in log_contract.h */
    uint64_t (*now_ms)(log_model_rig *rig);         /* what the store is told */
    uint64_t (*clock_ms)(log_model_rig *rig);       /* the clock that its TTLs go by; NULL: that is now_ms */
    void (*pass)(log_model_rig *rig, uint64_t ms);  /* puts both forward */
    void (*idle)(log_model_rig *rig);               /* between two polls of a pending request; NULL: nothing */
    void (*restart)(log_model_rig *rig);            /* the store loses everything; NULL: it does not */
    bool (*sound)(log_model_rig *rig);              /* its invariants, after each request; NULL: none to look at */
};

/* How often what happened. */
typedef struct log_model_stats {
    uint32_t opened, begun_anew, busy, ended, full, evicted;
    uint32_t appended, duplicates, refused, fenced, lost_tails, gone, too_big;
    uint32_t set, completed, replayed, events, gaps, no_room, deleted, foreign;
    uint32_t restarts, skipped; /* skipped: too close to an instant to foretell the answer */
} log_model_stats;

/* So many requests, from an empty store on.  -> all answers were right; if not, says which was not */
bool log_model_run(log_model_rig *rig, uint32_t seed, uint32_t rounds, log_model_stats *stats);

#endif
