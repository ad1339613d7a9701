/* memstore's logs against the contract: an image of its own, as with test_memlog it would fill the smallest target */

#include "log_contract.h"

static mcpsess_memstore ram;

static void reset(log_rig *rig) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    size_t bytes;
    d.records = 1;
    d.value_max = 15; /* nothing ends where the next thing may begin */
    d.logs = LOG_CONTRACT_LOGS;
    d.log_bytes = LOG_CONTRACT_BYTES;
    bytes = mcpsess_memstore_bytes(&d);
    CHECK_EQ(mcpsess_memstore_init(&ram, &d, arena(bytes), bytes), MCPSESS_OK);
    rig->store = mcpsess_memstore_store(&ram);
    rig->now_ms = 0;
}

static void pass(log_rig *rig, uint64_t ms) {
    CHECK_EQ(mcpsess_memstore_check(&ram), MCPSESS_OK);
    CHECK(arena_intact());
    rig->now_ms += ms;
}

static log_rig rig = {{NULL, NULL}, 0,    10,    true,  true,  true,  true, true,
                      true,         true, false, false, false, reset, pass, NULL};

void test_log_contract(void) {
    log_contract(&rig);
}
