/* mcpsess.h - the state layer of the Model Context Protocol for firmware and small gateways.

   One C99 header, no allocation, no runtime dependency, no hidden thread, clock or socket. The licence is at the end of
   the file: MIT or public domain, at your choice.

   WHAT TO DEFINE
     In exactly one C or C++ file, before including this header:

       #define MCPSESS_IMPLEMENTATION
       #include "mcpsess.h"

     Everywhere else just include it. All other switches are optional and must be the same in every file:

       MCPSESS_STATIC          every function is static: a private copy for this one file
       MCPSESS_NO_TEXT         no text in flash: mcpsess_code_text and mcpsess_item_text answer ""
       MCPSESS_NO_STRING_H     do not include <string.h>; memcpy, memmove, memset and memcmp are then only declared
       MCPSESS_HASH_BITS       64: SipHash-1-3 (default where pointers have 64 bits), 32: HalfSipHash-1-3
       MCPSESS_ID_MAX          longest session id in bytes, 1..255, default 64
       MCPSESS_PRINCIPAL_MAX   longest issuer + subject + 1 in bytes, default 128
       MCPSESS_ROM             attribute of constant tables (AVR: PROGMEM), and how a byte of them is read:
       MCPSESS_ROM_U8(p)       default *(p) (AVR: pgm_read_byte(p))

   CONTENTS                                                 search for the tag
     codes, slices, writer, hash, base64, time              >>base
     fixed-capacity LRU table                               >>lru
     event ids of resumable streams                         >>eventid
     the session record                                     >>record
     operations: pending, deadline, poll                    >>op
     the store: one contract for RAM, Redis and yours       >>store
     the store in RAM                                       >>memstore
     sessions: a local tier before any store                >>session

   EXAMPLE
       MCPSESS_MEMSTORE_STORAGE(ram, 64, 0, 256);                  // 64 records of at most 256 bytes, no leases
       MCPSESS_SESSION_STORAGE(tier, 16, 256, 2, 256);             // 16 of them local, 2 requests in flight

       mcpsess_memstore store;  mcpsess_memstore_desc md = mcpsess_memstore_desc_default();
       mcpsess_sessions table;  mcpsess_session_desc  sd = mcpsess_session_desc_default();
       mcpsess_op op;           mcpsess_op_init(&op, 0);

       md.records = 64;  md.value_max = 256;
       sd.capacity = 16; sd.slot_max = 256; sd.flights = 2; sd.record_max = 256;
       mcpsess_memstore_init(&store, &md, ram.bytes, sizeof ram.bytes);
       sd.store = mcpsess_memstore_store(&store);
       mcpsess_session_init(&table, &sd, tier.bytes, sizeof tier.bytes);

       rc = mcpsess_session_load(&table, &op, id, who, &out, now_ms);   // a hit is done at once
       while (rc == MCPSESS_PENDING) rc = mcpsess_poll(&op, now_ms());  // a miss is stepped, never waited for
       if (rc == MCPSESS_OK) rc = mcpsess_record_decode(mcpsess_buf_str(&out), &record);

   RULES
     Memory    The caller places it. X_STORAGE declares it, X_BYTES is its size as a constant, x_bytes() at run time; init
               checks size and alignment again. Structs are complete; members inside `i` are private. An object must not
               move after init. There is nothing to free.
     Time      Is passed in: now_ms, milliseconds of a monotonic clock, any origin. 32-bit ticks are widened by
               mcpsess_tick_now. Deadlines are absolute and set when an operation begins. MCPSESS_NEVER is no deadline.
     I/O       Only in a store, and only inside begin, poll and cancel of an operation. Nothing here waits.
     Errors    Every function that can fail returns int: 0 done, > 0 a state that is not an error (PENDING, MISS ...),
               < 0 an error. After an error nothing was changed, unless the function says so.
     Ownership Slices (mcpsess_str) never own. A slice that a function returns says how long it lives.
     Threads   One owner per object. memstore and session take lock and unlock hooks, which make their functions callable
               from several threads; the hooks are never held across a callback. Nothing here may be called from an
               interrupt.
     Callbacks Are called at the end of a step, when the object is consistent and not locked. `user` comes first.

   LIMITS
     LRU 1..65,534 entries, keys and values up to 65,535 bytes each. Record up to 65,535 bytes. Times below 2^64 ms.
     Targets: 8 to 64 bits, either byte order, 16-bit int and size_t included.
*/

#ifndef MCPSESS_H
#define MCPSESS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MCPSESS_VERSION "0.1.0"
#define MCPSESS_RECORD_VERSION 1 /* first byte of every stored record */

#ifndef MCPSESS_HASH_BITS
#if UINTPTR_MAX > 0xFFFFFFFFu
#define MCPSESS_HASH_BITS 64
#else
#define MCPSESS_HASH_BITS 32
#endif
#endif

#ifndef MCPSESS_ID_MAX
#define MCPSESS_ID_MAX 64
#endif

#ifndef MCPSESS_PRINCIPAL_MAX
#define MCPSESS_PRINCIPAL_MAX 128
#endif

#ifndef MCPSESS_ROM
#define MCPSESS_ROM
#define MCPSESS_ROM_U8(p) (*(p))
#endif

#ifdef MCPSESS_STATIC
#if defined(__GNUC__) || defined(__clang__)
#define MCPSESS_API static __attribute__((unused))
#else
#define MCPSESS_API static
#endif
#else
#define MCPSESS_API extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- base: codes, slices, writer, hash, base64, time ------------------------------------------------------ >>base */

/* Every code a function of this library returns. > 0 are states, < 0 are errors. */
#define MCPSESS_CODES(X)                                                                          \
    X(OK, 0, "done")                                                                              \
    X(PENDING, 1, "under way: poll again")                                                        \
    X(MISS, 2, "no such entry")                                                                   \
    X(STALE, 3, "present, but to be revalidated before use")                                      \
    X(EXISTS, 4, "the id is taken; nothing was written")                                          \
    X(LOST, 5, "what is stored is not what was expected; nothing was written")                    \
    X(BUSY, 6, "held by another owner")                                                           \
    X(END, 7, "no more entries")                                                                  \
    X(E_ARG, -1, "a pointer is NULL or a number is out of its range")                             \
    X(E_NOMEM, -2, "the storage is smaller than this object needs")                               \
    X(E_ALIGN, -3, "the storage is not aligned for a uint64_t and a pointer")                     \
    X(E_TOOBIG, -4, "longer than its bound, or than the room for the answer")                     \
    X(E_FULL, -5, "every slot is in use, and the policy is to refuse")                            \
    X(E_FORMAT, -6, "the bytes are not a valid encoding")                                         \
    X(E_ID, -7, "the session id is empty, too long, or has a byte outside 0x21-0x7E")             \
    X(E_PRINCIPAL, -8, "issuer and subject must both be given, without NUL, or both be empty")    \
    X(E_STATE, -9, "not now: the operation is still pending, or the object was not initialised")  \
    X(E_TIMEOUT, -10, "the deadline came first; a write may still take effect")                   \
    X(E_CANCELED, -11, "given up by its owner; a write may still take effect")                    \
    X(E_CLOSED, -12, "the object was closed")                                                     \
    X(E_IO, -13, "the store could not be reached; nothing was written")                           \
    X(E_UNKNOWN, -14, "the connection was lost in between: it may have been written, or not")     \
    X(E_UNSUPPORTED, -15, "this store does not answer this kind of request")                      \
    X(E_RANDOM, -16, "the random hook failed")                                                    \
    X(E_CORRUPT, -17, "an invariant does not hold: memory was overwritten")

enum {
#define MCPSESS_I_CODE(name, number, text) MCPSESS_##name = (number),
    MCPSESS_CODES(MCPSESS_I_CODE)
#undef MCPSESS_I_CODE
        MCPSESS_I_CODES_END = 0x7FFF
};

/* The name of a code, "E_FULL". -> static text; "?" for an unknown code; "" with MCPSESS_NO_TEXT. */
MCPSESS_API const char *mcpsess_code_name(int code);
/* One sentence on a code. -> static text; "?" for an unknown code; "" with MCPSESS_NO_TEXT. */
MCPSESS_API const char *mcpsess_code_text(int code);

/* A slice: bytes that belong to somebody else, not terminated. An empty one may have ptr NULL. */
typedef struct mcpsess_str {
    const char *ptr;
    size_t len;
} mcpsess_str;

#define MCPSESS_STR(literal) mcpsess_str_of("" literal, sizeof(literal) - 1)

MCPSESS_API mcpsess_str mcpsess_str_of(const void *ptr, size_t len);
/* A slice of a terminated string, without its NUL. NULL gives an empty slice. */
MCPSESS_API mcpsess_str mcpsess_str_z(const char *z);
MCPSESS_API bool mcpsess_str_eq(mcpsess_str a, mcpsess_str b);
/* Order by bytes, a shorter one first. -> < 0, 0, > 0 */
MCPSESS_API int mcpsess_str_order(mcpsess_str a, mcpsess_str b);
/* Equality in a time that depends on the lengths alone: for tokens and principals. */
MCPSESS_API bool mcpsess_str_eq_ct(mcpsess_str a, mcpsess_str b);

/* The bounded writer. A put that does not fit writes nothing and sets `overflow`, which stays until the next init; so a
   caller checks once, at the end. */
typedef struct mcpsess_buf {
    char *ptr;
    size_t cap;
    size_t len;
    bool overflow;
} mcpsess_buf;

MCPSESS_API void mcpsess_buf_init(mcpsess_buf *b, void *mem, size_t cap);
MCPSESS_API void mcpsess_buf_put(mcpsess_buf *b, mcpsess_str s);
MCPSESS_API void mcpsess_buf_put_char(mcpsess_buf *b, char c);
/* Canonical decimal. No 64-bit division. */
MCPSESS_API void mcpsess_buf_put_u64(mcpsess_buf *b, uint64_t v);
/* Standard base64 with padding, RFC 4648 section 4. */
MCPSESS_API void mcpsess_buf_put_b64(mcpsess_buf *b, mcpsess_str s);
/* What was written. Lives as long as the caller's memory, until the next put or init. */
MCPSESS_API mcpsess_str mcpsess_buf_str(const mcpsess_buf *b);
/* -> OK, E_TOOBIG: something did not fit, E_ARG */
MCPSESS_API int mcpsess_buf_check(const mcpsess_buf *b);

/* Length of the base64 of n bytes, padding included; 0 if that is more than a size_t holds. */
MCPSESS_API size_t mcpsess_b64_bytes(size_t n);
/* Strict decoding, RFC 4648 section 4: standard alphabet, padded, unused bits zero, no white space. Appends to out.
   -> OK, E_FORMAT, E_TOOBIG, E_ARG; on an error out is as it was (overflow not set) */
MCPSESS_API int mcpsess_b64_decode(mcpsess_str text, mcpsess_buf *out);
/* Canonical decimal 0..max: digits only, no leading zero, no sign, no space.  -> OK, E_FORMAT, E_ARG */
MCPSESS_API int mcpsess_u64_decode(mcpsess_str text, uint64_t max, uint64_t *out);

/* A keyed hash for keys that strangers choose. Replaceable in every desc that has one. */
typedef uint32_t (*mcpsess_hash_fn)(const uint8_t seed[16], mcpsess_str s);
/* The default: low half of SipHash-1-3, or HalfSipHash-1-3 of the first 8 seed bytes (MCPSESS_HASH_BITS). */
MCPSESS_API uint32_t mcpsess_hash(const uint8_t seed[16], mcpsess_str s);

#define MCPSESS_NEVER UINT64_MAX

/* now + ms, or MCPSESS_NEVER where that would wrap. */
MCPSESS_API uint64_t mcpsess_time_add(uint64_t now_ms, uint64_t ms);
/* Milliseconds until due, 0 if it has passed, MCPSESS_NEVER if due is MCPSESS_NEVER. */
MCPSESS_API uint64_t mcpsess_time_left(uint64_t now_ms, uint64_t due_ms);

/* A 32-bit millisecond tick that wraps every 49.7 days, widened. Zero-initialise; call at least once in 24 days. A tick
   that reads earlier than the last one (an interrupt raced) leaves the time where it was. */
typedef struct mcpsess_tick {
    uint64_t now_ms;
} mcpsess_tick;
MCPSESS_API uint64_t mcpsess_tick_now(mcpsess_tick *t, uint32_t tick_ms);

/* Optional hooks around an object that several threads use. Both or neither. Never held across a callback. */
typedef struct mcpsess_lock {
    void (*lock)(void *user);
    void (*unlock)(void *user);
    void *user;
} mcpsess_lock;

/* 16 or more random bytes into dst. -> 0 done, anything else: failed */
typedef int (*mcpsess_random_fn)(void *user, void *dst, size_t len);

/* Everything that is worth a log line, as numbers; texts are optional. */
#define MCPSESS_ITEMS(X)                                                                       \
    X(STORE_FAILED, 1, "store request failed; number: -code")                                  \
    X(SERVED_STALE, 2, "store away, local copy served; number: ms since it was confirmed")     \
    X(NOT_PROMOTED, 3, "record larger than a local slot, not kept; number: bytes")             \
    X(OVERTAKEN, 4, "load overtaken by a write, not kept")                                     \
    X(BAD_RECORD, 5, "stored bytes are not a record of this session; number: bytes")           \
    X(FOREIGN_OWNER, 6, "asked for by another principal; answered as absent")                  \
    X(STORE_FULL, 7, "store full, new record refused; number: records")                        \
    X(EVICTED, 8, "store full, least recently used record dropped")                            \
    X(TIMED_OUT, 9, "operation met its deadline; number: ms it was given")

enum {
#define MCPSESS_I_ITEM(name, number, text) MCPSESS_ITEM_##name = (number),
    MCPSESS_ITEMS(MCPSESS_I_ITEM)
#undef MCPSESS_I_ITEM
        MCPSESS_I_ITEMS_END = 0x7FFF
};

enum { MCPSESS_LOG_ERROR = 1, MCPSESS_LOG_WARN = 2, MCPSESS_LOG_INFO = 3 };

/* The key slice lives for the call only. */
typedef struct mcpsess_log {
    void (*log)(void *user, int level, int item, mcpsess_str key, uint64_t number);
    void *user;
} mcpsess_log;

/* -> static text; "?" for an unknown item; "" with MCPSESS_NO_TEXT. */
MCPSESS_API const char *mcpsess_item_text(int item);

/* Aligned static storage; hand name.bytes and sizeof name.bytes to an init. */
#define MCPSESS_I_STORAGE(name, size) \
    static union {                    \
        uint64_t align_u64;           \
        void *align_ptr;              \
        unsigned char bytes[size];    \
    } name

/* ---- lru: fixed-capacity table in strict least-recently-used order ----------------------------------------- >>lru

   An entry is in exactly one state:
     state      get answers   how it gets there                  how it leaves
     absent     MISS          init, del, evict, clear, expiry    put
     fresh      OK            put                                mark (stale), del, evict, expiry
     stale      STALE         mark                               put (fresh), del, evict, expiry
   A full table makes room for a put by dropping the entry used least recently. get and put make an entry the most
   recent; peek and mark do not. Nothing moves in memory but what put copies.
   Cost: every call but next-to-the-end walks and clear is O(1), expected over the secret seed.
   Memory: MCPSESS_LRU_BYTES = entries x (26 + key_max + value_max); the 26 are all bookkeeping, expiry included. */

#define MCPSESS_LRU_MAX 65534u

typedef struct mcpsess_lru_desc {
    uint16_t capacity;    /* entries, 1..65534 */
    uint16_t key_max;     /* bytes, 1..65535 */
    uint16_t value_max;   /* bytes, 0..65535 */
    uint8_t seed[16];     /* secret and random where strangers choose keys */
    mcpsess_hash_fn hash; /* default mcpsess_hash */
} mcpsess_lru_desc;

/* Counters wrap at 2^32; high_water does not. */
typedef struct mcpsess_lru_stats {
    uint32_t hits;        /* get: OK */
    uint32_t stale_hits;  /* get: STALE */
    uint32_t misses;      /* get: MISS */
    uint32_t evictions;   /* entries dropped to make room */
    uint32_t expirations; /* entries found expired, and dropped */
    uint16_t high_water;  /* most entries at any time */
} mcpsess_lru_stats;

typedef struct mcpsess_lru_entry {
    mcpsess_str key;
    mcpsess_str value;
    uint64_t expires_ms;
    bool stale;
} mcpsess_lru_entry;

typedef struct mcpsess_i_lru_node {
    uint64_t expires_ms;
    uint32_t hash;
    uint16_t chain; /* next in the same bucket, or next free */
    uint16_t newer;
    uint16_t older;
    uint16_t key_len;
    uint16_t value_len;
    uint16_t flags;
} mcpsess_i_lru_node;

typedef struct mcpsess_lru {
    mcpsess_lru_stats stats; /* read it, or zero it, at any time */
    struct {
        mcpsess_i_lru_node *nodes;
        uint16_t *heads; /* one bucket per entry */
        char *bytes;     /* slots of key_max + value_max */
        mcpsess_hash_fn hash;
        uint8_t seed[16];
        uint16_t capacity, key_max, value_max;
        uint16_t len, free, newest, oldest;
    } i;
} mcpsess_lru;

#define MCPSESS_LRU_BYTES(capacity, key_max, value_max) \
    ((uint64_t)(capacity) * (24u + 2u + (uint64_t)(key_max) + (uint64_t)(value_max)))
#define MCPSESS_LRU_STORAGE(name, capacity, key_max, value_max) \
    MCPSESS_I_STORAGE(name, MCPSESS_LRU_BYTES(capacity, key_max, value_max))

MCPSESS_API mcpsess_lru_desc mcpsess_lru_desc_default(void);
/* Bytes of storage for this desc; 0 if the desc is out of range or the size is more than a size_t holds. */
MCPSESS_API size_t mcpsess_lru_bytes(const mcpsess_lru_desc *d);
/* Empties the table. The desc is copied; mem must live as long as the table.  -> OK, E_ARG, E_NOMEM, E_ALIGN */
MCPSESS_API int mcpsess_lru_init(mcpsess_lru *l, const mcpsess_lru_desc *d, void *mem, size_t mem_len);
/* Looks up and makes most recent. *value lives until the next put, del, evict or clear.
   -> OK, STALE (value set as well), MISS, E_ARG */
MCPSESS_API int mcpsess_lru_get(mcpsess_lru *l, mcpsess_str key, uint64_t now_ms, mcpsess_str *value);
/* Looks without a trace: no recency, no statistics, no removal.  -> OK, STALE, MISS, E_ARG */
MCPSESS_API int mcpsess_lru_peek(const mcpsess_lru *l, mcpsess_str key, uint64_t now_ms, mcpsess_lru_entry *entry);
/* Inserts or replaces, fresh and most recent; expires_ms is an instant, MCPSESS_NEVER for none. A full table first drops
   its least recent entry. key and value must not point into the table.
   -> OK, E_TOOBIG: key or value over its bound, E_ARG: also for an empty key; on an error the table is as it was */
MCPSESS_API int mcpsess_lru_put(mcpsess_lru *l, mcpsess_str key, mcpsess_str value, uint64_t expires_ms);
/* Gives an entry a new expiry without making it recent.  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_lru_touch(mcpsess_lru *l, mcpsess_str key, uint64_t expires_ms);
/* Marks stale: the next get answers STALE until a put.  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_lru_mark(mcpsess_lru *l, mcpsess_str key);
MCPSESS_API int mcpsess_lru_del(mcpsess_lru *l, mcpsess_str key); /* -> OK, MISS, E_ARG */
/* Drops the least recent entry. *entry, unless NULL, tells which; its slices live until the next put.
   -> OK, MISS: the table is empty, E_ARG */
MCPSESS_API int mcpsess_lru_evict(mcpsess_lru *l, mcpsess_lru_entry *entry);
MCPSESS_API void mcpsess_lru_clear(mcpsess_lru *l); /* statistics stay */
/* Walks from the least recent to the most recent entry. Start with *cursor 0; the entry just returned may be deleted
   before the next call, no other change is allowed in between. Expired entries are shown too.  -> OK, END, E_ARG */
MCPSESS_API int mcpsess_lru_next(const mcpsess_lru *l, uint16_t *cursor, mcpsess_lru_entry *entry);
MCPSESS_API uint16_t mcpsess_lru_len(const mcpsess_lru *l); /* entries held, expired ones included */
/* Checks every invariant, for tests and watchdogs; O(capacity).  -> OK, E_CORRUPT, E_ARG */
MCPSESS_API int mcpsess_lru_check(const mcpsess_lru *l);

/* ---- eventid: ids of events in a resumable stream ------------------------------------------------------ >>eventid

   base64(session) ":" base64(stream) ":" sequence              the form of the MCP C# SDK's event store, byte for byte
   base64(session) ":" base64(stream) ":" epoch ":" sequence    ours, where a log has an identity (epoch > 0)
   Standard base64 with padding; canonical decimal; sequence 0..2^63-1. Session and stream may be empty. */

#define MCPSESS_SEQUENCE_MAX INT64_MAX

typedef struct mcpsess_eventid {
    mcpsess_str session;
    mcpsess_str stream;
    uint64_t epoch;    /* 0: the form without an epoch */
    uint64_t sequence; /* 0..2^63-1 */
} mcpsess_eventid;

/* Appends the text.  -> OK, E_TOOBIG, E_ARG: also for a sequence over 2^63-1; on an error out is as it was */
MCPSESS_API int mcpsess_eventid_encode(const mcpsess_eventid *id, mcpsess_buf *out);
/* Strict: whatever encode would not write is refused. The decoded session and stream are appended to mem, and the slices
   of *id point there. Cost: one pass.
   -> OK, E_FORMAT, E_TOOBIG: mem is too small, E_ARG; on an error *id is zeroed and mem is as it was */
MCPSESS_API int mcpsess_eventid_decode(mcpsess_str text, mcpsess_buf *mem, mcpsess_eventid *id);

/* ---- record: one session, as the bytes that a store keeps ----------------------------------------------- >>record

   version u8 | principal_len u16 | issuer NUL subject | state u8 | created u48 | updated u48 | id_len u8 | id
   | backend_len u16 | backend | pair_count u16 | { key_len u16 | key | value_len u16 | value } ...
   Little-endian. Pairs are sorted by key, keys not empty and not twice: equal content is equal bytes, so a compare-and-set
   may compare bytes. The principal comes first so that a store can check it without decoding. */

/* Whom a session belongs to: both parts given, or both empty for an unauthenticated one. */
typedef struct mcpsess_principal {
    mcpsess_str issuer;
    mcpsess_str subject;
} mcpsess_principal;

/* -> OK, E_PRINCIPAL: one part empty or with a NUL, E_TOOBIG: over MCPSESS_PRINCIPAL_MAX */
MCPSESS_API int mcpsess_principal_check(const mcpsess_principal *who);

enum { /* record.state; 16 and up are yours */
    MCPSESS_STATE_PLACEHOLDER = 0,
    MCPSESS_STATE_ACTIVE = 1,
    MCPSESS_STATE_TERMINATED = 2
};

#define MCPSESS_RECORD_TIME_MAX 0xFFFFFFFFFFFFu
/* Bytes of a record without pairs; each pair adds 4 + key + value. */
#define MCPSESS_RECORD_BYTES(principal_len, id_len, backend_len) \
    (21u + (uint64_t)(principal_len) + (uint64_t)(id_len) + (uint64_t)(backend_len))

typedef struct mcpsess_record {
    mcpsess_str id; /* 1..255 bytes of 0x21-0x7E */
    mcpsess_principal principal;
    mcpsess_str backend; /* 0..65535 bytes */
    uint64_t created_ms; /* Unix time in ms, 0 unknown, below 2^48 */
    uint64_t updated_ms;
    uint8_t state; /* MCPSESS_STATE_... */
    uint16_t pair_count;
    struct {
        mcpsess_str pairs; /* encoded; empty for a new record */
    } i;
} mcpsess_record;

/* Appends to an empty out. A record that came from decode keeps its pairs, so decode, change a member, encode into another
   buffer edits a record.  -> OK, E_TOOBIG, E_ID, E_PRINCIPAL, E_ARG: also if out is not empty; on an error out is as it was */
MCPSESS_API int mcpsess_record_encode(const mcpsess_record *r, mcpsess_buf *out);
/* Checks all of the bytes once; slices point into them.  -> OK, E_FORMAT, E_ARG; on an error *r is zeroed */
MCPSESS_API int mcpsess_record_decode(mcpsess_str bytes, mcpsess_record *r);
/* Does a record belong to this principal? Looks at the first bytes only; in constant time. false for other bytes. */
MCPSESS_API bool mcpsess_record_owned(mcpsess_str bytes, const mcpsess_principal *who);
/* *value points into the record's bytes. O(pairs).  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_record_get(const mcpsess_record *r, mcpsess_str key, mcpsess_str *value);
/* Walks the pairs in key order. Start with *cursor 0.  -> OK, END, E_ARG */
MCPSESS_API int mcpsess_record_next(const mcpsess_record *r, size_t *cursor, mcpsess_str *key, mcpsess_str *value);
/* Adds or replaces a pair of the encoded record in buf, in place. key and value must not point into buf.
   -> OK, E_TOOBIG, E_FORMAT: buf holds no record, E_ARG: also for an empty key; on an error buf is as it was */
MCPSESS_API int mcpsess_record_put(mcpsess_buf *buf, mcpsess_str key, mcpsess_str value);
MCPSESS_API int mcpsess_record_del(mcpsess_buf *buf, mcpsess_str key); /* -> OK, MISS, E_FORMAT, E_ARG */

/* ---- op: anything that may need I/O ---------------------------------------------------------------------------- >>op

   state     rc          what happens
   idle      any         a begin function (mcpsess_session_load ...) starts it; it may be done when that returns
   pending   PENDING     mcpsess_poll steps it; cancel or its deadline ends it
   done      any other   read the results; begin it again for the next operation
   An op is the caller's memory, and must stay in place while pending. So must every slice and buffer handed to begin. */

enum { /* what a pending op waits for; sleep on these until mcpsess_next_due */
    MCPSESS_WANT_READ = 1,
    MCPSESS_WANT_WRITE = 2,
    MCPSESS_WANT_TIME = 4,
    MCPSESS_WANT_NOW = 8 /* poll again at once */
};

typedef struct mcpsess_op mcpsess_op;

typedef struct mcpsess_i_op_class {
    int (*poll)(mcpsess_op *op, uint64_t now_ms);
    void (*cancel)(mcpsess_op *op);
    uint64_t (*next_due)(mcpsess_op *op, uint64_t now_ms);
    unsigned (*want)(mcpsess_op *op);
} mcpsess_i_op_class;

struct mcpsess_op {
    uint32_t timeout_ms; /* set before begin; 0: the default of the object it is begun on */
    uint64_t left_ms;    /* result: TTL the record has left, at least; MCPSESS_NEVER: none */
    uint32_t count;      /* result of a sweep: records removed */
    size_t need;         /* result with E_TOOBIG: bytes the record has */
    bool stale;          /* result: the store was away, this is the local copy */
    struct {
        const mcpsess_i_op_class *cls;
        void *object;
        mcpsess_op *next;
        mcpsess_str id, value;
        mcpsess_principal who;
        mcpsess_buf *out;
        uint64_t deadline_ms;
        uint16_t flight;
        uint8_t kind, mode;
        int rc;
    } i;
};

/* Once per op, before its first begin. */
MCPSESS_API void mcpsess_op_init(mcpsess_op *op, uint32_t timeout_ms);
/* One bounded step: at most one send and one receive.  -> PENDING, or the result; the same result again once done; E_ARG */
MCPSESS_API int mcpsess_poll(mcpsess_op *op, uint64_t now_ms);
/* Gives up a pending op; its memory is free when this returns. Others that wait for the same answer still get it. */
MCPSESS_API void mcpsess_cancel(mcpsess_op *op);
MCPSESS_API uint64_t mcpsess_next_due(mcpsess_op *op, uint64_t now_ms); /* instant by which to poll; MCPSESS_NEVER: done */
MCPSESS_API unsigned mcpsess_want(mcpsess_op *op);                      /* MCPSESS_WANT_ bits; 0: done */

/* For programs that like to block. */
typedef struct mcpsess_wait_hook {
    uint64_t (*now_ms)(void *user);
    /* Sleeps until one of want, at most until due_ms. -> 0, anything else cancels the operation */
    int (*wait)(void *user, unsigned want, uint64_t due_ms);
    void *user;
} mcpsess_wait_hook;
/* mcpsess_wait(&op, mcpsess_session_load(..., &op, ...), &hook): steps op until done.  -> its result; E_CANCELED; E_ARG */
MCPSESS_API int mcpsess_wait(mcpsess_op *op, int begun, const mcpsess_wait_hook *hook);

/* ---- store: one contract for RAM, Redis and yours -------------------------------------------------------- >>store

   A request is submitted once and done when its rc is no longer PENDING. A synchronous store finishes inside submit. Every
   request is one atomic step of the store.

   kind            uses                                     done with
   GET             key owner ttl_ms out                     OK (value appended to out, left_ms), MISS, E_TOOBIG (need)
   PUT upsert      key owner value ttl_ms                   OK, EXISTS: the key is another owner's
       create      key value ttl_ms                         OK, EXISTS
       update      key owner value ttl_ms                   OK, MISS: absent, or another owner's
       cas         key owner value expect ttl_ms            OK, LOST: other bytes are stored, MISS
   DEL             key owner                                OK, MISS
   DEL_EQUAL       key owner expect                         OK, LOST, MISS
   TOUCH           key owner ttl_ms                         OK (left_ms), MISS
   SWEEP           -                                        OK (count): expired records removed; a no-op where keys expire
   LEASE_ACQUIRE   key value (the token) ttl_ms             OK (fence): held, also if this token held it; BUSY (left_ms)
   LEASE_EXTEND    key value ttl_ms                         OK (fence), LOST: not, or no longer, this token's
   LEASE_RELEASE   key value                                OK, LOST
   LOG_...         come with the streams                    E_UNSUPPORTED
   all                                                      E_IO, E_UNKNOWN, E_CLOSED, E_FULL, E_TOOBIG, E_UNSUPPORTED

   owner, when guarded is set, makes a record of another principal absent: not read, not written, not refreshed. GET without
   out answers presence only. The TTL slides: GET and TOUCH with ttl_ms set it again, but only when less than half of it is
   left, because on a shared store every refresh is a write that all replicas hear; 0 never refreshes. PUT always sets it;
   0 there is no TTL. Leases and records are separate key spaces. Keys are raw; a layout escapes them. */

enum { /* request.kind */
    MCPSESS_GET = 1,
    MCPSESS_PUT,
    MCPSESS_DEL,
    MCPSESS_DEL_EQUAL,
    MCPSESS_TOUCH,
    MCPSESS_SWEEP,
    MCPSESS_LEASE_ACQUIRE,
    MCPSESS_LEASE_EXTEND,
    MCPSESS_LEASE_RELEASE,
    MCPSESS_LOG_APPEND,
    MCPSESS_LOG_RANGE,
    MCPSESS_LOG_STATE,
    MCPSESS_LOG_SET,
    MCPSESS_LOG_DEL
};

enum { /* request.mode of a PUT */
    MCPSESS_PUT_UPSERT = 0,
    MCPSESS_PUT_CREATE,
    MCPSESS_PUT_UPDATE,
    MCPSESS_PUT_CAS
};

typedef struct mcpsess_request {
    uint8_t kind; /* MCPSESS_GET ... */
    uint8_t mode; /* MCPSESS_PUT_... */
    bool guarded; /* owner counts */
    int rc;       /* PENDING, then the result */
    mcpsess_principal owner;
    mcpsess_str key;
    mcpsess_str value;
    mcpsess_str expect;
    uint64_t ttl_ms;
    mcpsess_buf *out;
    uint64_t left_ms; /* result: TTL left when the store answered; MCPSESS_NEVER: none */
    uint64_t fence;   /* result: grows with every change of holder */
    size_t need;      /* result with E_TOOBIG: bytes the value has */
    uint32_t count;   /* result of SWEEP */
    struct {
        void *link; /* the store's own while pending */
        uint32_t slot;
    } i;
} mcpsess_request;

typedef struct mcpsess_store_class {
    /* Takes a request; its slices and out must live until it is done. -> request rc */
    int (*submit)(void *self, mcpsess_request *r, uint64_t now_ms);
    /* One bounded step for all requests: at most one send and one receive. */
    void (*poll)(void *self, uint64_t now_ms);
    /* Forgets a pending request; the store does not touch its memory again. A write may still take effect. */
    void (*cancel)(void *self, mcpsess_request *r);
    uint64_t (*next_due)(void *self, uint64_t now_ms);
    unsigned (*want)(void *self);
    /* Fails what is pending with E_CLOSED, and all that follows. */
    void (*close)(void *self);
} mcpsess_store_class;

typedef struct mcpsess_store {
    const mcpsess_store_class *cls; /* every function set */
    void *self;
} mcpsess_store;

/* ---- memstore: the store in RAM, the embedded default --------------------------------------------------- >>memstore

   Records and leases with TTLs, in two lru tables. A put of a new record into a full store drops every expired record; if
   there was none it refuses with E_FULL, or, by option, drops the least recently used. Expired means absent from that very
   millisecond on, swept or not. Leases are never evicted: a full lease table answers E_FULL. Fences only grow, from
   fence_base; give a boot counter or the wall clock where a fence must outlive a restart. */

#define MCPSESS_TOKEN_MAX 32u /* bytes of a lease token */

typedef struct mcpsess_memstore_desc {
    uint16_t records;     /* 1..65534 */
    uint16_t leases;      /* 0..65534; 0: lease requests answer E_UNSUPPORTED */
    uint16_t value_max;   /* bytes of a record, 1..65535 */
    bool evict;           /* when full: false refuse, true drop the least recently used */
    uint8_t seed[16];     /* secret and random where strangers choose keys */
    mcpsess_hash_fn hash; /* default mcpsess_hash */
    uint64_t fence_base;  /* default 0 */
    mcpsess_lock lock;
    mcpsess_log log;
} mcpsess_memstore_desc;

typedef struct mcpsess_memstore_stats {
    uint32_t requests;
    uint32_t refused;  /* E_FULL */
    uint32_t evicted;  /* by the option */
    uint32_t expired;  /* records and leases */
    uint32_t foreign;  /* asked for by another principal */
    uint16_t high_water; /* most records at any time */
} mcpsess_memstore_stats;

typedef struct mcpsess_memstore {
    mcpsess_memstore_stats stats;
    struct {
        mcpsess_lru records, leases;
        uint64_t fence;
        uint64_t quiet_until_ms; /* no record expires before this instant */
        mcpsess_lock lock;
        mcpsess_log log;
        bool evict, closed;
    } i;
} mcpsess_memstore;

#define MCPSESS_I_LEASE_BYTES (8u + MCPSESS_TOKEN_MAX) /* fence, token */
#define MCPSESS_I_ROUND8(n) (((uint64_t)(n) + 7u) / 8u * 8u)
#define MCPSESS_MEMSTORE_BYTES(records, leases, value_max)                     \
    (MCPSESS_I_ROUND8(MCPSESS_LRU_BYTES(records, MCPSESS_ID_MAX, value_max)) + \
     MCPSESS_LRU_BYTES(leases, MCPSESS_ID_MAX, MCPSESS_I_LEASE_BYTES))
#define MCPSESS_MEMSTORE_STORAGE(name, records, leases, value_max) \
    MCPSESS_I_STORAGE(name, MCPSESS_MEMSTORE_BYTES(records, leases, value_max))

MCPSESS_API mcpsess_memstore_desc mcpsess_memstore_desc_default(void);
/* Bytes of storage for this desc; 0 if the desc is out of range or the size is more than a size_t holds. */
MCPSESS_API size_t mcpsess_memstore_bytes(const mcpsess_memstore_desc *d);
/* -> OK, E_ARG, E_NOMEM, E_ALIGN */
MCPSESS_API int mcpsess_memstore_init(mcpsess_memstore *m, const mcpsess_memstore_desc *d, void *mem, size_t mem_len);
MCPSESS_API mcpsess_store mcpsess_memstore_store(mcpsess_memstore *m);
MCPSESS_API uint16_t mcpsess_memstore_len(mcpsess_memstore *m); /* records held, expired ones included */
MCPSESS_API int mcpsess_memstore_check(mcpsess_memstore *m);    /* invariants; -> OK, E_CORRUPT, E_ARG */

/* ---- session: a local tier before any store --------------------------------------------------------------- >>session

   Writes go to the store first and to the local tier after; a failed write leaves the local tier as it was. What a load does:

   local copy                      what happens                                      answer
   fresh                           served at once, no request                        OK
   none                            one request, shared by all who ask meanwhile;     OK, MISS, or the store's error
                                   kept locally unless a write overtook it
   to be confirmed: older than     the same request; if the store is away,           OK (op.stale if the store was away)
   max_age_ms, or its TTL is       the local copy serves, up to stale_ms after
   more than half used up          its last confirmation, never past its expiry
   another principal's             as if there were none                             MISS

   So an active session costs a request per half TTL, and a local hit never outlives the store's TTL. Sweep never touches the
   local tier. Requests belong to the table, not to the op: an op that gives up leaves its request to finish, and its result
   still reaches the local tier and whoever else waits. With all flights busy an op waits in line for one.
   A write whose outcome is unknown marks the local copy to be confirmed. */

typedef struct mcpsess_session_desc {
    mcpsess_store store;
    uint16_t capacity;    /* entries of the local tier, 0..65534; 0: none, every load asks the store */
    uint16_t slot_max;    /* bytes of a record the local tier keeps, 1..65527; larger ones are handed over, not kept */
    uint16_t flights;     /* requests under way at a time, 1..65534 */
    uint16_t record_max;  /* bytes of a record, 1..65535 */
    uint64_t ttl_ms;      /* sliding; default 30 min */
    uint64_t max_age_ms;  /* served without asking at most this long; default 60 s */
    uint64_t stale_ms;    /* served with the store away at most this long; default: until its TTL */
    uint32_t timeout_ms;  /* of an op that brings none; default 5 s */
    uint8_t seed[16];     /* secret and random: strangers choose the ids they ask for */
    mcpsess_hash_fn hash; /* default mcpsess_hash */
    mcpsess_lock lock;
    mcpsess_log log;
} mcpsess_session_desc;

typedef struct mcpsess_session_stats {
    uint32_t local_hits;   /* loads served without a request */
    uint32_t requests;     /* store requests begun */
    uint32_t shared;       /* loads that joined a request under way */
    uint32_t queued;       /* ops that had to wait for a flight */
    uint32_t served_stale; /* loads served with the store away */
    uint32_t not_promoted; /* larger than a slot */
    uint32_t overtaken;    /* loads not kept because a write came in between */
    uint32_t bad_records;  /* E_FORMAT */
    uint32_t failures;     /* requests that ended with an error */
    uint32_t timeouts;
} mcpsess_session_stats;

typedef struct mcpsess_i_flight {
    mcpsess_request request;
    mcpsess_buf out;
    mcpsess_op *waiters;  /* first come first served */
    uint64_t started_ms;  /* before the request left: TTLs are counted from here */
    uint8_t state;        /* MCPSESS_I_FREE ... */
    bool overtaken;       /* a write of the same id was done meanwhile: not joined, not kept */
} mcpsess_i_flight;

typedef struct mcpsess_sessions {
    mcpsess_session_stats stats;
    struct {
        mcpsess_session_desc desc;
        mcpsess_lru tier;
        mcpsess_i_flight *flights;
        char *bytes;       /* per flight: id, principal, record */
        mcpsess_op *queue; /* ops without a flight, oldest first */
        uint16_t busy;     /* flights not free */
        bool stepping;     /* a thread is inside the store */
        bool closed;
        uint32_t ready;    /* MCPSESS_I_READY after init */
    } i;
} mcpsess_sessions;

#define MCPSESS_I_SLOT_HEAD 16u /* per local entry: when it was confirmed, until when it is fresh */
#define MCPSESS_I_FLIGHT_BYTES(record_max) (MCPSESS_ID_MAX + MCPSESS_PRINCIPAL_MAX + (uint64_t)(record_max))
#define MCPSESS_SESSION_BYTES(capacity, slot_max, flights, record_max)                                              \
    (MCPSESS_I_ROUND8(MCPSESS_LRU_BYTES(capacity, MCPSESS_ID_MAX, MCPSESS_I_SLOT_HEAD + (uint64_t)(slot_max))) +   \
     (uint64_t)(flights) * (sizeof(mcpsess_i_flight) + MCPSESS_I_FLIGHT_BYTES(record_max)))
#define MCPSESS_SESSION_STORAGE(name, capacity, slot_max, flights, record_max) \
    MCPSESS_I_STORAGE(name, MCPSESS_SESSION_BYTES(capacity, slot_max, flights, record_max))

MCPSESS_API mcpsess_session_desc mcpsess_session_desc_default(void);
MCPSESS_API size_t mcpsess_session_bytes(const mcpsess_session_desc *d); /* 0 if out of range */
/* -> OK, E_ARG, E_NOMEM, E_ALIGN */
MCPSESS_API int mcpsess_session_init(mcpsess_sessions *s, const mcpsess_session_desc *d, void *mem, size_t mem_len);

/* All of these begin op.  -> PENDING, a result, or, with nothing begun: E_ARG, E_STATE: op is pending, E_CLOSED, E_ID,
   E_PRINCIPAL, E_TOOBIG, E_FORMAT. A result can also be E_TIMEOUT, E_CANCELED, E_CLOSED or an error of the store.
   `who` must be the principal the record was stored for; to any other the session is absent, and asking does not keep it
   alive. The record's own id and principal are what store, create and update go by. */

/* Reads a session and keeps it alive. The record is appended to out.  -> OK (left_ms, stale), MISS, E_TOOBIG (need): out
   is too small, E_FORMAT: the stored bytes are not a record of this id */
MCPSESS_API int mcpsess_session_load(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id, const mcpsess_principal *who,
                                     mcpsess_buf *out, uint64_t now_ms);
/* Is it there? Never refreshes anything.  -> OK (left_ms), MISS */
MCPSESS_API int mcpsess_session_exists(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id, const mcpsess_principal *who,
                                       uint64_t now_ms);
/* Keeps it alive without reading it.  -> OK (left_ms), MISS */
MCPSESS_API int mcpsess_session_touch(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id, const mcpsess_principal *who,
                                      uint64_t now_ms);
/* Writes a record, new or not.  -> OK, EXISTS: the id is another principal's, E_FULL */
MCPSESS_API int mcpsess_session_store(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str record, uint64_t now_ms);
/* Writes a record whose id must be new.  -> OK, EXISTS, E_FULL */
MCPSESS_API int mcpsess_session_create(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str record, uint64_t now_ms);
/* Writes a record whose id must be there: an ended session is never brought back.  -> OK, MISS */
MCPSESS_API int mcpsess_session_update(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str record, uint64_t now_ms);
/* Ends a session: locally at once, and always at the store too.  -> OK, also if it was absent; on an error of the store
   the local copy is gone, the session may still be there */
MCPSESS_API int mcpsess_session_del(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id, const mcpsess_principal *who,
                                    uint64_t now_ms);
/* Delete-expired: lets the store drop what has expired. Never touches the local tier.  -> OK (count) */
MCPSESS_API int mcpsess_session_sweep(mcpsess_sessions *s, mcpsess_op *op, uint64_t now_ms);
/* Empties the local tier, closes the store; every pending and later operation ends with E_CLOSED.  -> OK, E_CLOSED, E_ARG */
MCPSESS_API int mcpsess_session_close(mcpsess_sessions *s);

/* Marks a local copy to be confirmed, or all with an empty id.  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_session_mark(mcpsess_sessions *s, mcpsess_str id);
MCPSESS_API uint16_t mcpsess_session_len(mcpsess_sessions *s); /* local entries */
MCPSESS_API int mcpsess_session_check(mcpsess_sessions *s);    /* invariants; -> OK, E_CORRUPT, E_ARG */

/* MCP 2025-11-25, Session Management: visible ASCII only; at most MCPSESS_ID_MAX bytes here.  -> OK, E_ID */
MCPSESS_API int mcpsess_session_id_check(mcpsess_str id);

enum { MCPSESS_ID_BASE64URL = 0, MCPSESS_ID_UUID = 1 };
/* Appends a fresh id: 128 random bits as 22 characters of base64url, or a UUID version 4 (122 bits, RFC 9562).
   -> OK, E_RANDOM, E_TOOBIG, E_ARG; on an error out is as it was */
MCPSESS_API int mcpsess_session_id_new(mcpsess_buf *out, int form, mcpsess_random_fn random, void *user);

#ifdef __cplusplus
}
#endif
#endif /* MCPSESS_H */

/*
   mcpsess is available under either of two licences; choose the one you like.

   ------------------------------------------------------------------------------
   ALTERNATIVE A - MIT License

   Copyright (c) 2026 the mcpsess authors

   Permission is hereby granted, free of charge, to any person obtaining a copy
   of this software and associated documentation files (the "Software"), to deal
   in the Software without restriction, including without limitation the rights
   to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
   copies of the Software, and to permit persons to whom the Software is
   furnished to do so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all
   copies or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
   FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
   AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
   LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
   SOFTWARE.

   ------------------------------------------------------------------------------
   ALTERNATIVE B - Public Domain (www.unlicense.org)

   This is free and unencumbered software released into the public domain.

   Anyone is free to copy, modify, publish, use, compile, sell, or distribute
   this software, either in source code form or as a compiled binary, for any
   purpose, commercial or non-commercial, and by any means.

   In jurisdictions that recognize copyright laws, the author or authors of this
   software dedicate any and all copyright interest in the software to the public
   domain. We make this dedication for the benefit of the public at large and to
   the detriment of our heirs and successors. We intend this dedication to be an
   overt act of relinquishment in perpetuity of all present and future rights to
   this software under copyright law.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
   FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
   AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN
   ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
   WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
*/
