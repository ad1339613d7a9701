/* A session table on a real Redis, with an engine and a socket of its own: as one gateway, or one device, has it. */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include "../examples/posix_transport.h"

#include "bench.h"

enum { SIDE_RECORD_MAX = 256, SIDE_COMMAND_MAX = 512 };

typedef struct side {
    mcpsess_sessions table;
    mcpsess_redis redis;
    mcpsess_redis_store store;
    sock sock;
    mcpsess_wait_hook hook;
    void *memory[2];
    uint64_t sends; /* that moved something */
    char sent[SIDE_COMMAND_MAX];
    size_t sent_len; /* of the last send, as far as there is room */
} side;

/* What a table is made with; 0: the default. */
typedef struct side_desc {
    const char *path; /* of the server's socket */
    uint16_t capacity, depth;
    uint32_t revalidate_ms;
    uint8_t tracking;
    bool resp2;
} side_desc;

side *side_make(const side_desc *d); /* connected */
void side_free(side *s);
uint64_t side_now(const side *s);
/* Stores a session, waiting for it; `version` is in the record. Loads it. */
void side_store(side *s, mcpsess_str id, uint64_t version);
uint64_t side_load(side *s, mcpsess_str id); /* -> version */

/* An operation that is not waited for: begun, then polled with mcpsess_poll until it is OK. */
typedef struct side_op {
    mcpsess_op op;
    mcpsess_buf out;
    char bytes[SIDE_RECORD_MAX];
} side_op;
void side_record(side_op *o, mcpsess_str id, uint64_t version); /* into out */
int side_store_begin(side *s, side_op *o, mcpsess_str id, uint64_t version); /* -> as mcpsess_session_store */
int side_load_begin(side *s, side_op *o, mcpsess_str id);                    /* -> as mcpsess_session_load */
uint64_t side_version(const side_op *o);

#endif
