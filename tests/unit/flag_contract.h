/* What every store that has flags promises (the FLAG_... kinds in mcpsess.h under >>store), as tests that run against
   any of them. Of its leases lease_contract tells more. */

#ifndef FLAG_CONTRACT_H
#define FLAG_CONTRACT_H

#include "store_contract.h"

#define FLAG_CONTRACT_MAX 48u /* a store under test takes flags of so many bytes, fingerprint and data */

typedef struct flag_rig {
    store_rig base;    /* its leases and sweeps do not matter here */
    bool data;         /* a flag holds data */
    bool fingerprints; /* a flag of another fingerprint is none */
    bool fences;       /* a lease has a fence */
    bool records;      /* it keeps records as well */
    bool tells;        /* a listener is told, within some polls */
} flag_rig;

void flag_contract(flag_rig *rig);

#endif
