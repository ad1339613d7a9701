/* A session table over a test store over a memory store, with hooks that watch; and one-line operations on it. */

#ifndef SESSION_RIG_H
#define SESSION_RIG_H

#include "test_store.h"

#define RIG_TTL 100000uL    /* ms; half of it: 50000 */
#define RIG_MAX_AGE 40000uL /* ms */
#define RIG_TIMEOUT 5000uL  /* ms */
#define RIG_RECORD_MAX 96u

struct session_rig {
    mcpsess_memstore ram;
    test_store net;
    mcpsess_sessions table;
    uint64_t now;

    /* the operation of the one-line functions, and what a load wrote */
    mcpsess_op op;
    char out_mem[RIG_RECORD_MAX];
    mcpsess_buf out;

    mcpsess_principal alice, bob, nobody;

    /* the hooks */
    int lock_depth;
    unsigned locks;
    bool lock_misuse;    /* not taken and released in turn, or held during a callback */
    unsigned logged[16]; /* by item */
    uint64_t logged_number;
};
extern struct session_rig rig;

/* capacity 4, 3 lanes, 8 records at the store */
mcpsess_session_desc rig_desc(void);
void rig_start(const mcpsess_session_desc *d);
void rig_start_listening(const mcpsess_session_desc *d); /* over a store that others write to as well */
void rig_start_default(void);
/* invariants of everything, the guard bytes, the watching hooks */
void rig_sound(void);

/* an encoded record in mem (RIG_RECORD_MAX bytes) */
mcpsess_str rig_record(char *mem, const char *id, const mcpsess_principal *who, const char *backend);
/* polls op until it is done, without time going by; gives up after 64 polls. rc: what begin said */
int rig_end(mcpsess_op *op, int rc);

int rig_store(const char *id, const char *backend); /* alice's */
int rig_create(const char *id, const char *backend);
int rig_update(const char *id, const char *backend);
int rig_load(const char *id, const mcpsess_principal *who);
int rig_exists(const char *id, const mcpsess_principal *who);
int rig_touch(const char *id, const mcpsess_principal *who);
int rig_del(const char *id, const mcpsess_principal *who);
int rig_sweep(void);
/* loads as alice: OK, and the record has this backend? */
bool rig_loads(const char *id, const char *backend);
/* the same, with how many requests to the store */
bool rig_loads_with(const char *id, const char *backend, unsigned requests);
/* backend of the record in rig.out; empty if there is none */
mcpsess_str rig_backend(const mcpsess_buf *out);

/* at the store itself, behind the table's back; nothing is refreshed */
int rig_at_store(const char *id, uint64_t *left_ms);
int rig_put_at_store(const char *id, mcpsess_str value);
int rig_del_at_store(const char *id);

#endif
