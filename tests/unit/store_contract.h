/* What every store promises (the table in mcpsess.h under >>store), as tests that run against any of them. */

#ifndef STORE_CONTRACT_H
#define STORE_CONTRACT_H

#include "test_util.h"

#define CONTRACT_VALUE_MAX 128u /* a store under test takes values of this length */

typedef struct store_rig store_rig;
struct store_rig {
    mcpsess_store store;
    uint64_t now_ms;
    uint64_t unit_ms;              /* TTLs of the tests are multiples of it; as long as the store's clock is coarse */
    bool exact;                    /* the store's clock is now_ms: left_ms is tested to the millisecond */
    bool leases;                   /* has leases */
    bool sweeps;                   /* expired records stay until swept or asked for; otherwise SWEEP counts 0 */
    bool closes;                   /* close may be tested: reset opens the store again */
    void (*reset)(store_rig *rig); /* makes the store, empty */
    void (*pass)(store_rig *rig, uint64_t ms); /* lets time go by, also at the store */
    void (*idle)(store_rig *rig);              /* between two polls of a pending request; NULL: nothing */
};

void store_contract(store_rig *rig);
/* Of it the leases, for a store that has nothing but leases and flags. */
void lease_contract(store_rig *rig, bool has_fences);

#endif
