/* From C++: the descs have default functions, because C++11 has no designated initialisers; all else is as in C.

     c++ -std=c++11 -I.. cpp.cpp -o cpp
*/

#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"
#include <cstdio>
#include <string>

MCPSESS_MEMSTORE_STORAGE(ram, 4, 0, 256);
MCPSESS_SESSION_STORAGE(tier, 2, 256, 1, 256);

static std::string text_of(mcpsess_str s) {
    return s.len > 0 ? std::string(s.ptr, s.len) : std::string();
}

static bool init(mcpsess_memstore &store, mcpsess_sessions &table) {
    mcpsess_memstore_desc m = mcpsess_memstore_desc_default();
    m.records = 4;
    m.value_max = 256;
    if (mcpsess_memstore_init(&store, &m, ram.bytes, sizeof ram.bytes) != MCPSESS_OK) return false;

    mcpsess_session_desc s = mcpsess_session_desc_default();
    s.store = mcpsess_memstore_store(&store);
    s.capacity = 2;
    s.slot_max = 256;
    s.lanes = 1;
    s.record_max = 256;
    return mcpsess_session_init(&table, &s, tier.bytes, sizeof tier.bytes) == MCPSESS_OK;
}

/* A session of alice's, on backend 7. */
static int create(mcpsess_sessions &table, const mcpsess_principal &alice) {
    char bytes[256];
    mcpsess_op op;
    mcpsess_buf record;
    mcpsess_record r = mcpsess_record();
    r.id = MCPSESS_STR("session-1");
    r.principal = alice;
    r.backend = MCPSESS_STR("http://10.0.0.7/mcp");
    r.state = MCPSESS_STATE_ACTIVE;
    mcpsess_buf_init(&record, bytes, sizeof bytes);
    mcpsess_record_encode(&r, &record);
    mcpsess_record_put(&record, MCPSESS_STR("led"), MCPSESS_STR("on"));
    mcpsess_op_init(&op, 0);
    return mcpsess_session_create(&table, &op, mcpsess_buf_str(&record), 0); /* in RAM: done at once */
}

static std::string load(mcpsess_sessions &table, const mcpsess_principal &who) {
    char bytes[256];
    mcpsess_op op;
    mcpsess_buf out;
    mcpsess_record r;
    mcpsess_str led;
    mcpsess_op_init(&op, 0);
    mcpsess_buf_init(&out, bytes, sizeof bytes);
    int rc = mcpsess_session_load(&table, &op, MCPSESS_STR("session-1"), &who, &out, 0);
    if (rc == MCPSESS_OK) rc = mcpsess_record_decode(mcpsess_buf_str(&out), &r);
    if (rc == MCPSESS_OK) rc = mcpsess_record_get(&r, MCPSESS_STR("led"), &led);
    return rc == MCPSESS_OK ? text_of(r.backend) + ", led " + text_of(led) : mcpsess_code_name(rc);
}

int main() {
    mcpsess_memstore store;
    mcpsess_sessions table;
    const mcpsess_principal alice = {MCPSESS_STR("https://id.example"), MCPSESS_STR("alice")};
    const mcpsess_principal mallory = {MCPSESS_STR("https://id.example"), MCPSESS_STR("mallory")};

    if (!init(store, table) || create(table, alice) != MCPSESS_OK) return 1;
    std::printf("alice:   %s\n", load(table, alice).c_str());
    std::printf("mallory: %s\n", load(table, mallory).c_str());
    return 0;
}

/* expected output:
alice:   http://10.0.0.7/mcp, led on
mallory: MISS
*/
