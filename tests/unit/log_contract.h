/* What every store that has logs promises (the LOG_... table in mcpsess.h under >>store), as tests that run against any
   of them. */

#ifndef LOG_CONTRACT_H
#define LOG_CONTRACT_H

#include "test_util.h"

#define LOG_CONTRACT_LOGS 6u    /* a store under test has room for so many logs */
#define LOG_CONTRACT_BYTES 200u /* and each for so many bytes of events, MCPSESS_RING_HEAD on each counted in */

typedef struct log_rig log_rig;
struct log_rig {
    mcpsess_store store;
    uint64_t now_ms;
    uint64_t unit_ms;            /* TTLs of the tests are multiples of it; as long as the store's clock is coarse */
    bool exact;                  /* the store's clock is now_ms: left_ms is tested to the millisecond */
    bool closes;                 /* close may be tested: reset opens the store again */
    bool epochs;                 /* a log has an identity: a position of another one is GAP, a lost tail is seen */
    bool owners;                 /* a log has an owner */
    bool bounds;                 /* keeps to the bounds of events and bytes */
    bool ages;                   /* keeps to event_max_ms */
    bool deletes_all;            /* LOG_DEL without a name deletes all of a session's */
    bool apart;                  /* each event slides by itself; RANGE without a TTL does not tell `first` */
    bool json;                   /* an event's data are JSON, and its bytes at the store are the store's own matter */
    bool utf8;                   /* names are UTF-8 */
    void (*reset)(log_rig *rig); /* makes the store, empty */
    void (*pass)(log_rig *rig, uint64_t ms); /* lets time go by, also at the store */
    void (*idle)(log_rig *rig);              /* between two polls of a pending request; NULL: nothing */
};

void log_contract(log_rig *rig);

#endif
