/* mcpsess.h - the state layer of the Model Context Protocol for firmware and small gateways.

   One C99 header, no allocation, no runtime dependency, no hidden thread, clock or socket. The licence is at the end of
   the file: MIT or public domain, at your choice.

   WHAT TO DEFINE
     In exactly one C or C++ file, before including this header:

       #define MCPSESS_IMPLEMENTATION
       #include "mcpsess.h"

     Everywhere else just include it. All other switches are optional and must be the same in every file:

       MCPSESS_STATIC          every function is static: a private copy for this one file
       MCPSESS_NO_TEXT         no text in flash: mcpsess_code_name, _code_text and _item_text answer ""
       MCPSESS_NO_STRING_H     do not include <string.h>; memcpy, memmove, memset and memcmp are then only declared
       MCPSESS_HASH_BITS       64: SipHash-1-3 (default where pointers have 64 bits), 32: HalfSipHash-1-3
       MCPSESS_ID_MAX          longest session id in bytes, 1..255, default 64
       MCPSESS_PRINCIPAL_MAX   longest issuer + subject + 1 in bytes, default 128
       MCPSESS_STREAM_MAX      longest stream id in bytes, 1..255, default 64
       MCPSESS_NO_STREAM       without event streams: logs, their events and frames
       MCPSESS_NO_FLIGHT       without load-once coordination: flags and flights
       MCPSESS_NO_BACKEND      without the lifecycle of backends
       MCPSESS_ROM             attribute of constant tables (AVR: PROGMEM), and how a byte of them is read:
       MCPSESS_ROM_U8(p)       default *(p) (AVR: pgm_read_byte(p))

   CONTENTS                                                 search for the tag
     codes, slices, writer, hash, base64, time              >>base
     fixed-capacity LRU table                               >>lru
     event ids of resumable streams                         >>eventid
     events, as stores keep them                            >>event
     server-sent events: frames and their reader            >>sse
     a byte-bounded ring of events                          >>ring
     the session record                                     >>record
     a session's backends, in its record                    >>backends
     operations: pending, deadline, poll                    >>op
     the store: one contract for RAM, servers and yours     >>store
     the store in RAM                                       >>memstore
     resumable event streams: writers and readers           >>stream
     leases: exclusive, for a while                         >>lease
     load once across replicas: flag, lease, wait           >>flight
     sessions: a local tier before any store                >>session
     sessions changed by compare-and-set                    >>merge
     the lifecycle of what serves sessions                  >>backend

   EXAMPLE
       MCPSESS_MEMSTORE_STORAGE(ram, 64, 0, 256);                  // 64 records of at most 256 bytes, no leases
       MCPSESS_SESSION_STORAGE(tier, 16, 256, 2, 256);             // 16 of them local, 2 requests under way

       mcpsess_memstore store;  mcpsess_memstore_desc md = mcpsess_memstore_desc_default();
       mcpsess_sessions table;  mcpsess_session_desc  sd = mcpsess_session_desc_default();
       mcpsess_op op;           mcpsess_op_init(&op, 0);

       md.records = 64;  md.value_max = 256;
       sd.capacity = 16; sd.slot_max = 256; sd.lanes = 2; sd.record_max = 256;
       random_bytes(md.seed, 16); random_bytes(sd.seed, 16);       // strangers choose the ids they ask for
       mcpsess_memstore_init(&store, &md, ram.bytes, sizeof ram.bytes);
       sd.store = mcpsess_memstore_store(&store);
       mcpsess_session_init(&table, &sd, tier.bytes, sizeof tier.bytes);

       rc = mcpsess_session_load(&table, &op, id, who, &out, now_ms);   // a hit is done at once
       while (rc == MCPSESS_PENDING) rc = mcpsess_poll(&op, now_ms());  // a miss is stepped, never waited for
       if (rc == MCPSESS_OK) rc = mcpsess_record_decode(mcpsess_buf_str(&out), &record);

   RULES
     Memory    The caller places it. X_STORAGE declares it, X_BYTES is its size as a constant, x_bytes() at run time;
               init checks size and alignment again. Structs are complete; members inside `i` are private. An object
               must not move after init. There is nothing to free.
     Time      Is passed in: now_ms, milliseconds of a monotonic clock, any origin. 32-bit ticks are widened by
               mcpsess_tick_now. Deadlines are absolute and set when an operation begins. MCPSESS_NEVER is no deadline.
     I/O       Only in a store, and only inside begin, poll and cancel of an operation. Nothing here waits.
     Errors    Every function that can fail returns int: 0 done, > 0 a state that is not an error (PENDING, MISS ...),
               < 0 an error. After an error nothing was changed, unless the function says so.
     Ownership Slices (mcpsess_str) never own. A slice that a function returns says how long it lives.
     Threads   One owner per object. memstore and session take lock and unlock hooks, which make their functions
               callable from several threads; the hooks are never held across a callback. Nothing here may be called
               from an interrupt.
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

/* Where words are large, so is memory: the code for event ids is larger there, and faster. */
#if UINTPTR_MAX > 0xFFFFFFFFu
#define MCPSESS_I_WIDE 1
#else
#define MCPSESS_I_WIDE 0
#endif

#ifndef MCPSESS_ID_MAX
#define MCPSESS_ID_MAX 64
#endif

#ifndef MCPSESS_PRINCIPAL_MAX
#define MCPSESS_PRINCIPAL_MAX 128
#endif

#ifndef MCPSESS_STREAM_MAX
#define MCPSESS_STREAM_MAX 64
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

/* A function that stays one: its frame is gone before its caller goes deeper. */
#if defined(__GNUC__) || defined(__clang__)
#define MCPSESS_I_APART __attribute__((noinline))
#else
#define MCPSESS_I_APART
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifdef MCPSESS_NO_STRING_H
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
#endif

/* ---- base: codes, slices, writer, hash, base64, time ------------------------------------------------------ >>base */

/* Every code a function of this library returns. > 0 are states, < 0 are errors. */
#define MCPSESS_CODES(X)                                                                               \
    X(OK, 0, "done")                                                                                   \
    X(PENDING, 1, "under way: poll again")                                                             \
    X(MISS, 2, "no such entry")                                                                        \
    X(STALE, 3, "present, but to be revalidated before use")                                           \
    X(EXISTS, 4, "the id is taken; nothing was written")                                               \
    X(LOST, 5, "what is stored is not what was expected; nothing was written")                         \
    X(BUSY, 6, "held by another owner")                                                                \
    X(END, 7, "no more entries; of a stream: it is complete")                                          \
    X(GAP, 8, "events after that position are gone, or it is no position of this log")                 \
    X(DUP, 9, "this very event is stored already, under this sequence")                                \
    X(FENCED, 10, "another writer has taken over; nothing was written")                                \
    X(LOST_TAIL, 11, "the store lost events it had confirmed; the log begins anew, empty")             \
    X(E_ARG, -1, "a pointer is NULL or a number is out of its range")                                  \
    X(E_NOMEM, -2, "the storage is smaller than this object needs")                                    \
    X(E_ALIGN, -3, "the storage is not aligned for a uint64_t and a pointer")                          \
    X(E_TOOBIG, -4, "longer than its bound, or than the room for the answer")                          \
    X(E_FULL, -5, "every slot is in use, and the policy is to refuse")                                 \
    X(E_FORMAT, -6, "the bytes are not a valid encoding")                                              \
    X(E_ID, -7, "the session id is empty, too long, or has a byte outside 0x21-0x7E")                  \
    X(E_PRINCIPAL, -8, "issuer and subject must both be given, without NUL, or both be empty")         \
    X(E_STATE, -9, "not now: the operation is still pending, or the object was not initialised")       \
    X(E_TIMEOUT, -10, "the deadline came first; a write may still take effect")                        \
    X(E_CANCELED, -11, "given up by its owner; a write may still take effect")                         \
    X(E_CLOSED, -12, "the object was closed")                                                          \
    X(E_IO, -13, "the store could not be reached; nothing was written")                                \
    X(E_UNKNOWN, -14, "the connection was lost in between: it may have been written, or not")          \
    X(E_UNSUPPORTED, -15, "this store does not answer this kind of request")                           \
    X(E_RANDOM, -16, "the random hook failed")                                                         \
    X(E_CORRUPT, -17, "an invariant does not hold: memory was overwritten")                            \
    X(E_NO_ADDRESS, -18, "the backend runs, and nobody knows under which address, or it does not run") \
    X(E_NOT_PRESERVED, -19, "no copy of the backend's data was found; nothing was deleted")            \
    X(E_STORE, -64, "this and below: the store refused, for a reason of its own; nothing was written")

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

/* ptr NULL gives an empty slice, whatever len. */
MCPSESS_API mcpsess_str mcpsess_str_of(const void *ptr, size_t len);
/* A slice of a terminated string, without its NUL; at most 65,535 bytes. NULL gives an empty slice. */
MCPSESS_API mcpsess_str mcpsess_str_z(const char *z);
MCPSESS_API bool mcpsess_str_eq(mcpsess_str a, mcpsess_str b);
/* Order by bytes, a shorter one first. -> < 0, 0, > 0 */
MCPSESS_API int mcpsess_str_order(mcpsess_str a, mcpsess_str b);
/* Equality in a time that depends on the lengths alone: for tokens and principals. */
MCPSESS_API bool mcpsess_str_eq_ct(mcpsess_str a, mcpsess_str b);

/* The bounded writer. A put that does not fit writes nothing and sets `overflow`; from then on nothing is written until
   the next init, so a caller checks once, at the end. */
typedef struct mcpsess_buf {
    char *ptr;
    size_t cap;
    size_t len;
    bool overflow;
} mcpsess_buf;

MCPSESS_API void mcpsess_buf_init(mcpsess_buf *b, void *mem, size_t cap);
MCPSESS_API void mcpsess_buf_put(mcpsess_buf *b, mcpsess_str s);
MCPSESS_API void mcpsess_buf_put_char(mcpsess_buf *b, char c);
/* Canonical decimal. No 64-bit division where words are smaller. */
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
/* Canonical decimal 0..max: digits only, no leading zero, no sign, no space. max is at most 2^63-1, as sequences and
   the integers of most servers are.  -> OK, E_FORMAT, E_ARG */
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

/* A 32-bit millisecond tick that wraps every 49.7 days, widened. Zero-initialise; time begins with the first tick seen.
   Call at least once in 24 days. A tick that reads earlier than the last one (an interrupt raced) leaves the time where
   it was. */
typedef struct mcpsess_tick {
    uint64_t now_ms;
    bool begun;
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
#define MCPSESS_ITEMS(X)                                                                                        \
    X(STORE_FAILED, 1, "store request failed; number: -code")                                                   \
    X(SERVED_STALE, 2, "store away, local copy served; number: ms since it was confirmed")                      \
    X(NOT_PROMOTED, 3, "record larger than a local slot, not kept; number: bytes")                              \
    X(OVERTAKEN, 4, "load overtaken by a write, not kept")                                                      \
    X(BAD_RECORD, 5, "stored bytes are not a record of this session; number: bytes")                            \
    X(FOREIGN_OWNER, 6, "asked for by another principal; answered as absent")                                   \
    X(STORE_FULL, 7, "store full, new record refused; number: records")                                         \
    X(EVICTED, 8, "store full, least recently used record dropped; no key; number: so far")                     \
    X(TIMED_OUT, 9, "operation met its deadline; number: ms past it")                                           \
    X(EVENTS_DROPPED, 10, "log over its bound, oldest events dropped; number: of them")                         \
    X(WRITER_FENCED, 11, "another writer has this stream now; number: sequence")                                \
    X(TAIL_LOST, 12, "the store lost confirmed events of this stream; number: sequence")                        \
    X(REPLAY_GAP, 13, "replay refused, events are gone; number: sequence asked for")                            \
    X(REPLAY_CAPPED, 14, "replay refused, more events than allowed; number: of them")                           \
    X(LOGS_DELETED, 15, "streams of a session deleted; number: events")                                         \
    X(LEASE_LOST, 16, "load canceled, its lease was lost; number: its fence")                                   \
    X(LOAD_FAILED, 17, "loader failed, nothing flagged; number: its code, without sign")                        \
    X(TAKEN_OVER, 18, "load begun after another's ended without a flag; number: the fence")                     \
    X(WAIT_OVER, 19, "gave up waiting for a load; number: ms its lease has left")                               \
    X(FLAG_REFUSED, 20, "loaded, but not flagged, as its lease was lost; number: its fence")                    \
    X(BACKEND_CREATED, 21, "backend created")                                                                   \
    X(BACKEND_STARTED, 22, "backend runs; number: ms it took")                                                  \
    X(BACKEND_STOPPED, 23, "backend stopped")                                                                   \
    X(BACKEND_REMOVED, 24, "backend removed, with its data")                                                    \
    X(BACKEND_DIED, 25, "backend died; number: ms it ran")                                                      \
    X(BACKEND_FAILED, 26, "operation on a backend failed; number: the step, 0x100 times its code without sign") \
    X(STEP_FAILED, 27, "a step failed that need not succeed; number: as above")                                 \
    X(ORPHAN_RECOVERED, 28, "data of a backend that was lost is in its preserved copy; number: bytes")          \
    X(DATA_PRESERVED, 29, "data of a backend is in its preserved copy; number: bytes")                          \
    X(DATA_RESTORED, 30, "preserved copy restored")                                                             \
    X(COPY_DISCARDED, 31, "preserved copy dropped, as was asked for")                                           \
    X(ADDRESS_KNOWN, 32, "backend is reached under another address; number: bytes of it")                       \
    X(BACKEND_OWNED, 33, "backend is ours; number: the fence")                                                  \
    X(BACKEND_LOST, 34, "backend is not ours any more, its lease ran out; number: the fence")                   \
    X(BACKEND_RELEASED, 35, "backend may be another's now; number: the fence")                                  \
    X(ADDRESS_DROPPED, 36, "backend is reached under that address no more")

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

/* What every init asks of its storage; needed 0 is a desc out of range.  -> OK, E_ARG, E_NOMEM, E_ALIGN */
MCPSESS_API int mcpsess_storage_check(const void *mem, size_t mem_len, size_t needed);

/* ---- lru: fixed-capacity table in strict least-recently-used order ----------------------------------------- >>lru

   An entry is in exactly one state:
     state      get answers   how it gets there                  how it leaves
     absent     MISS          init, del, evict, clear, expiry    put
     fresh      OK            put                                mark (stale), del, evict, expiry
     stale      STALE         mark                               put (fresh), del, evict, expiry
   A full table makes room for a put by dropping the entry used least recently. get and put make an entry the most
   recent; peek and mark do not. Nothing moves in memory but what put copies.
   Cost: every call but next-to-the-end walks and clear is O(1), expected over the secret seed.
   Memory: MCPSESS_LRU_BYTES = entries x (28 + key_max + value_max); the 28 are all bookkeeping, expiry included. */

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
        uint16_t *heads; /* two buckets per entry: most chains hold one entry or none */
        char *bytes;     /* slots of key_max + value_max */
        mcpsess_hash_fn hash;
        uint8_t seed[16];
        uint16_t capacity, key_max, value_max;
        uint16_t len, free, newest, oldest;
    } i;
} mcpsess_lru;

#define MCPSESS_LRU_BYTES(capacity, key_max, value_max) \
    ((uint64_t)(capacity) * (24u + 4u + (uint64_t)(key_max) + (uint64_t)(value_max)))
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
/* Inserts or replaces, fresh and most recent; expires_ms is an instant, MCPSESS_NEVER for none. A full table first
   drops its least recent entry. key and value must not point into the table.
   -> OK, E_TOOBIG: key or value over its bound, E_ARG: also for an empty key; on an error the table is as it was */
MCPSESS_API int mcpsess_lru_put(mcpsess_lru *l, mcpsess_str key, mcpsess_str value, uint64_t expires_ms);
/* Gives an entry a new expiry without making it recent.  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_lru_touch(mcpsess_lru *l, mcpsess_str key, uint64_t expires_ms);
/* Marks stale: the next get answers STALE until a put.  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_lru_mark(mcpsess_lru *l, mcpsess_str key);
MCPSESS_API int mcpsess_lru_del(mcpsess_lru *l, mcpsess_str key); /* -> OK, MISS, E_ARG */
/* Drops the least recent entry, counted as an eviction. *entry, unless NULL, tells which; its slices live until the
   next put.
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
   Standard base64 with padding; canonical decimal; numbers up to 2^63-1. Session and stream may be empty. */

#define MCPSESS_SEQUENCE_MAX INT64_MAX

typedef struct mcpsess_eventid {
    mcpsess_str session;
    mcpsess_str stream;
    uint64_t epoch;    /* 1..2^63-1; 0: the form without an epoch */
    uint64_t sequence; /* 0..2^63-1 */
} mcpsess_eventid;

#define MCPSESS_I_B64_MAX(n) (((n) + 2u) / 3u * 4u)
/* Bytes of the longest id of a stream here. */
#define MCPSESS_EVENTID_MAX (MCPSESS_I_B64_MAX(MCPSESS_ID_MAX) + MCPSESS_I_B64_MAX(MCPSESS_STREAM_MAX) + 41u)

/* Appends the text.  -> OK, E_TOOBIG, E_ARG: also for a number over 2^63-1; on an error out is as it was */
MCPSESS_API int mcpsess_eventid_encode(const mcpsess_eventid *id, mcpsess_buf *out);
/* Strict: whatever encode would not write is refused. The decoded session and stream are appended to mem, and the
   slices of *id point there. Cost: one pass.
   -> OK, E_FORMAT, E_TOOBIG: mem is too small, E_ARG; on an error *id is zeroed and mem is as it was */
MCPSESS_API int mcpsess_eventid_decode(mcpsess_str text, mcpsess_buf *mem, mcpsess_eventid *id);

/* ---- event: one event of a stream, as stores keep it --------------------------------------------------- >>event

   len u32 | flags u8 | type_len u8 | type | retry u32, if flag 2 | data, if flag 1
   Little-endian; len counts what follows it. Flag 1: there is data, flag 2: there is a retry. Sequence and epoch are
   not stored: in a log they follow from where the event is. */

typedef struct mcpsess_event {
    mcpsess_str type; /* of SSE, at most 255 bytes without CR, LF, NUL; empty: none given, which means "message" */
    mcpsess_str data; /* ptr NULL: none, as in a priming event, which only carries an id */
    mcpsess_str id;   /* as sent to the client, or received from a server; empty: none */
    uint64_t epoch;   /* of a log; results of a reader */
    uint64_t sequence;
    uint32_t retry_ms; /* if `retry`: how long the client is to wait before it comes back */
    bool retry;
} mcpsess_event;

#define MCPSESS_EVENT_PRIME "prime" /* the type that the MCP C# SDK gives a priming event */

#ifndef MCPSESS_NO_STREAM

/* Bytes that put appends. */
MCPSESS_API uint64_t mcpsess_event_bytes(const mcpsess_event *e);
/* Appends type, data and retry.  -> OK, E_TOOBIG: no room, a type over 255 bytes, or 2^32 bytes or more in all,
   E_FORMAT: CR, LF or NUL in the type, E_ARG; on an error out is as it was */
MCPSESS_API int mcpsess_event_put(const mcpsess_event *e, mcpsess_buf *out);
/* Takes the first event off the front of *frames; its slices point there, its id, epoch and sequence are zero.
   -> OK, END: frames is empty, E_FORMAT: not what put writes, E_ARG; on an error *e is zeroed, *frames as it was */
MCPSESS_API int mcpsess_event_take(mcpsess_str *frames, mcpsess_event *e);

/* ---- sse: server-sent events (WHATWG HTML, section 9.2) ----------------------------------------------------- >>sse

   Pure: no callback, no I/O. A frame is event, data, id, retry, then an empty line: the order of the MCP C# SDK, byte
   for byte. Data is split at CR, LF and CRLF, one "data: " line each, so a CR comes back as LF. An event with neither
   data nor id, a bare retry, has no data line; every other has one.

   The reader takes what has arrived, in whatever pieces, and hands out one event at a time:

   state      next answers   how it gets there                        how it leaves
   reading    PENDING, OK    init; any call but one that failed       an event over its bound
   too big    E_TOOBIG       that                                     init, begin

   Other than a browser's it also hands out events without data, when they bring an id, a type or a retry of their own
   (MCP's priming event), with data.ptr NULL where there was no data line; an event's id is the one that it brought, and
   last_id is what a browser shows. A type with a NUL in it is passed over, as an id is by everybody; so are comments,
   fields that nobody knows, and a retry that is no number below 2^32. Bytes that are no UTF-8 are left as they are. */

/* Appends the frame of an event.  -> OK, E_FORMAT: CR, LF or NUL in type or id, E_TOOBIG, E_ARG; on an error out is as
   it was */
MCPSESS_API int mcpsess_sse_put(const mcpsess_event *e, mcpsess_buf *out);
/* Bytes that put appends; 0: more than a size_t holds, or NULL. Cost: one pass over the data. */
MCPSESS_API size_t mcpsess_sse_bytes(const mcpsess_event *e);
/* Appends a comment, one ": " line and an empty one, which keeps a connection alive: text.len + 4 bytes. text must hold
   no CR, LF or NUL.  -> as put */
MCPSESS_API int mcpsess_sse_put_comment(mcpsess_str text, mcpsess_buf *out);

typedef struct mcpsess_sse {
    mcpsess_str last_id; /* of the last event that had an id line, empty or not: where to resume; until it changes */
    uint32_t retry_ms;   /* the last retry */
    bool retry;          /* there was one */
    struct {
        char *mem; /* the last id, MCPSESS_SSE_ID_MAX bytes; data, and the line that is read; at the end type and id */
        size_t cap, data_len;
        uint32_t number; /* the retry that is read */
        uint16_t value_len;
        uint16_t at[2], len[2]; /* of type and id: how long before the end of mem it begins, how long it is */
        uint8_t stage, field, matched;
        bool has_data, has_id, has_retry, after_cr, too_big;
    } i;
} mcpsess_sse;

#define MCPSESS_SSE_ID_MAX 256u /* bytes of an id that comes in; a longer one is an error */

/* mem holds the last id, in MCPSESS_SSE_ID_MAX bytes, and behind it type, id and data of one event at a time; it must
   live as long as the reader.
   -> OK, E_ARG, E_NOMEM: less than MCPSESS_SSE_ID_MAX + 64 bytes */
MCPSESS_API int mcpsess_sse_init(mcpsess_sse *s, void *mem, size_t mem_len);
/* Another connection of the same stream: what was incomplete was no event and is forgotten; last_id and retry stay. */
MCPSESS_API void mcpsess_sse_begin(mcpsess_sse *s);
/* Takes bytes off the front of *in until an event is complete; its slices live until the next call. Cost: linear.
   -> OK, PENDING: all was taken, and more is needed, E_TOOBIG: an event that mem cannot hold, or a type over 255 bytes;
   it stays, E_ARG */
MCPSESS_API int mcpsess_sse_next(mcpsess_sse *s, mcpsess_str *in, mcpsess_event *e);

#endif /* MCPSESS_NO_STREAM */

/* ---- ring: a byte-bounded queue of byte strings; the oldest goes first ------------------------------------ >>ring

   What is put is contiguous in no sense: an entry may wrap around the end of the memory. Each has a stamp, an instant
   or whatever its owner wants. Cost: put and drop O(1) and the copy, for each entry that goes; get from the oldest on
   O(entries before). Memory: MCPSESS_RING_HEAD bytes for each entry besides its own. */

#define MCPSESS_RING_HEAD 12u

typedef struct mcpsess_ring {
    struct {
        char *bytes;
        uint32_t cap, head, used; /* head: where the oldest entry begins */
        uint32_t count;
    } i;
} mcpsess_ring;

#ifndef MCPSESS_NO_STREAM

/* A place in a ring, from the oldest entry to the newest; zero-initialise. Good until the next put, drop or clear. */
typedef struct mcpsess_ring_cursor {
    uint32_t at;     /* bytes after head */
    uint32_t number; /* entries passed */
} mcpsess_ring_cursor;

/* -> OK, E_ARG: also for a len of 0, or over 2^31-1 */
MCPSESS_API int mcpsess_ring_init(mcpsess_ring *r, void *mem, size_t len);
/* Appends one entry, made of pieces; *dropped is the number of oldest entries that made room.
   -> OK, E_TOOBIG: larger than the ring; nothing was dropped, E_ARG */
MCPSESS_API int mcpsess_ring_put(mcpsess_ring *r, const mcpsess_str *pieces, size_t count, uint64_t stamp,
                                 uint32_t *dropped);
/* The entry at the cursor, which goes on to the next one. Its bytes are appended to out, unless out is NULL; *len and
 *stamp, unless NULL, are set also with E_TOOBIG, and then the cursor stays.  -> OK, END, E_TOOBIG, E_ARG */
MCPSESS_API int mcpsess_ring_next(const mcpsess_ring *r, mcpsess_ring_cursor *cursor, mcpsess_buf *out, uint32_t *len,
                                  uint64_t *stamp);
MCPSESS_API int mcpsess_ring_drop(mcpsess_ring *r); /* the oldest; -> OK, END: empty, E_ARG */
MCPSESS_API void mcpsess_ring_clear(mcpsess_ring *r);
MCPSESS_API uint32_t mcpsess_ring_count(const mcpsess_ring *r);
MCPSESS_API int mcpsess_ring_check(const mcpsess_ring *r); /* invariants; -> OK, E_CORRUPT, E_ARG */

#endif /* MCPSESS_NO_STREAM */

/* ---- record: one session, as the bytes that a store keeps ----------------------------------------------- >>record

   version u8 | principal_len u16 | issuer NUL subject | state u8 | created u48 | updated u48 | id_len u8 | id
   | backend_len u16 | backend | pair_count u16 | { key_len u16 | key | value_len u16 | value } ...
   Little-endian. Pairs are sorted by key, keys not empty and not twice: equal content is equal bytes, so a
   compare-and-set may compare bytes. The principal comes first so that a store can check it without decoding. */

/* Whom a session belongs to: both parts given, or both empty for an unauthenticated one. */
typedef struct mcpsess_principal {
    mcpsess_str issuer;
    mcpsess_str subject;
} mcpsess_principal;

/* -> OK, E_PRINCIPAL: one part empty or with a NUL, E_TOOBIG: over MCPSESS_PRINCIPAL_MAX */
MCPSESS_API int mcpsess_principal_check(const mcpsess_principal *who);

/* record.state; 16 and up are yours */
enum { MCPSESS_STATE_PLACEHOLDER = 0, MCPSESS_STATE_ACTIVE = 1, MCPSESS_STATE_TERMINATED = 2 };

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

/* Appends to an empty out. A record that came from decode keeps its pairs, so decode, change a member, encode into
   another buffer edits a record.  -> OK, E_TOOBIG, E_ID, E_PRINCIPAL, E_ARG: also if out is not empty; on an error out
   is as it was */
MCPSESS_API int mcpsess_record_encode(const mcpsess_record *r, mcpsess_buf *out);
/* Checks all of the bytes once; slices point into them.  -> OK, E_FORMAT, E_ARG; on an error *r is zeroed */
MCPSESS_API int mcpsess_record_decode(mcpsess_str bytes, mcpsess_record *r);
/* Does a record belong to this principal? Looks at the first bytes only; in constant time. false for other bytes. */
MCPSESS_API bool mcpsess_record_owned(mcpsess_str bytes, const mcpsess_principal *who);
/* Appends the bytes that every record of this principal begins with, and nobody else's: for a store that checks the
   owner where the records are.  -> OK, E_PRINCIPAL, E_TOOBIG, E_ARG; on an error out is as it was */
MCPSESS_API int mcpsess_record_owner(const mcpsess_principal *who, mcpsess_buf *out);
#define MCPSESS_RECORD_OWNER_MAX (3u + MCPSESS_PRINCIPAL_MAX) /* bytes it appends at most */
/* *value points into the record's bytes. O(pairs).  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_record_get(const mcpsess_record *r, mcpsess_str key, mcpsess_str *value);
/* Walks the pairs in key order. Start with *cursor 0.  -> OK, END, E_ARG */
MCPSESS_API int mcpsess_record_next(const mcpsess_record *r, size_t *cursor, mcpsess_str *key, mcpsess_str *value);
/* Adds or replaces a pair of the encoded record in buf, in place. key and value must not point into buf.
   -> OK, E_TOOBIG, E_FORMAT: buf holds no record, E_ARG: also for an empty key; on an error buf is as it was */
MCPSESS_API int mcpsess_record_put(mcpsess_buf *buf, mcpsess_str key, mcpsess_str value);
MCPSESS_API int mcpsess_record_del(mcpsess_buf *buf, mcpsess_str key); /* -> OK, MISS, E_FORMAT, E_ARG */

/* ---- backends: a session's backends, as pairs of its record ------------------------------------------ >>backends

   For a session that is served by several: one pair lists their names, with commas between them, and each may have a
   pair of its own, with the id that this backend knows the session by. White space around a name, and an empty name,
   count for nothing. That there is a list, be it empty, says that the backends are known. */

/* Keys of these pairs. */
typedef struct mcpsess_backends {
    mcpsess_str list;
    mcpsess_str session; /* what the key of a backend's own pair begins with; its name follows. Empty: no such pairs */
} mcpsess_backends;

/* Walks the list in its order. Start with *cursor 0. *session is empty if the backend has no pair of its own; both
   slices point into the record's bytes. O(pairs).  -> OK, END, MISS: there is no list, E_ARG */
MCPSESS_API int mcpsess_backends_next(const mcpsess_backends *b, const mcpsess_record *r, size_t *cursor,
                                      mcpsess_str *name, mcpsess_str *session);
/* Takes a backend out of the encoded record, in place: out of the list, which stays even when it is empty, and its own
   pair.  -> OK, END: it was in neither, nothing was changed, MISS: there is no list, or the session is terminated;
   nothing was changed, E_FORMAT, E_ARG: also for an empty name */
MCPSESS_API int mcpsess_backends_del(const mcpsess_backends *b, mcpsess_buf *record, mcpsess_str name);
/* Is an object that was made when the list was `list` still as the record says? Names and their order count, nothing
   else: each replica may have sessions of its own with the backends, and if those counted, replicas would discard each
   other's objects for ever.  -> OK: keep it, also if the record has no list, STALE: make it anew, MISS: the session is
   terminated, E_ARG */
MCPSESS_API int mcpsess_backends_check(const mcpsess_backends *b, const mcpsess_record *r, mcpsess_str list);

/* ---- op: anything that may need I/O ---------------------------------------------------------------------------- >>op

   state     rc          what happens
   idle      any         a begin function (mcpsess_session_load ...) starts it; it may be done when that returns
   pending   PENDING     mcpsess_poll steps it; cancel or its deadline ends it
   done      any other   read the results; begin it again for the next operation
   An op is the caller's memory and must stay in place while pending; so must every slice and buffer handed to begin.
   What one op takes in, in begin or poll, may end others of its table or connection: who has several looks at
   mcpsess_op_rc of each before sleeping. */

/* What a pending op waits for; sleep on these until mcpsess_next_due. */
enum {
    MCPSESS_WANT_READ = 1,
    MCPSESS_WANT_WRITE = 2,
    MCPSESS_WANT_TIME = 4,
    MCPSESS_WANT_NOW = 8 /* poll again at once */
};

typedef struct mcpsess_op mcpsess_op;

/* How a kind of operation is stepped; poll and cancel may end it. They may be called for an op that is done, as another
   thread may know of that first: poll then answers the result, next_due NEVER, want 0. */
typedef struct mcpsess_op_class {
    int (*poll)(mcpsess_op *op, uint64_t now_ms);
    void (*cancel)(mcpsess_op *op);
    uint64_t (*next_due)(mcpsess_op *op, uint64_t now_ms);
    unsigned (*want)(mcpsess_op *op);
} mcpsess_op_class;

struct mcpsess_op {
    uint32_t timeout_ms; /* set before begin; 0: the default of the object it is begun on */
    uint64_t left_ms;    /* result: TTL the record has left, at least; MCPSESS_NEVER: none */
    uint32_t count;      /* result of a sweep: records removed */
    size_t need;         /* result with E_TOOBIG: bytes the record has */
    bool stale;          /* result: the store was away, this is the local copy */
    struct {
        const mcpsess_op_class *cls;
        void *object;
        mcpsess_op *next;
        mcpsess_str id, value;
        mcpsess_principal who;
        mcpsess_buf *out;
        uint64_t deadline_ms;
        uint16_t lane;
        uint8_t kind, mode;
        int rc;
    } i;
};

/* Once per op, before its first begin. */
MCPSESS_API void mcpsess_op_init(mcpsess_op *op, uint32_t timeout_ms);
/* One bounded step: at most one send and one receive.  -> PENDING, the result (again and again once done), E_ARG */
MCPSESS_API int mcpsess_poll(mcpsess_op *op, uint64_t now_ms);
/* Gives up a pending op; its memory is free when this returns. Others that wait for the same answer still get it. */
MCPSESS_API void mcpsess_cancel(mcpsess_op *op);
/* The instant by which to poll again; MCPSESS_NEVER: done. */
MCPSESS_API uint64_t mcpsess_next_due(mcpsess_op *op, uint64_t now_ms);
MCPSESS_API unsigned mcpsess_want(mcpsess_op *op); /* MCPSESS_WANT_ bits; 0: done */

/* For operations of your own: a struct with an mcpsess_op in it, a begin function, and a class. Begin zeroes
   the results and makes op pending.  -> PENDING, E_STATE: it is pending, E_ARG */
MCPSESS_API int mcpsess_op_begin(mcpsess_op *op, const mcpsess_op_class *cls, void *object);
MCPSESS_API int mcpsess_op_end(mcpsess_op *op, int rc); /* the result of a pending op; -> rc */
MCPSESS_API int mcpsess_op_rc(const mcpsess_op *op);    /* PENDING, or the result */
MCPSESS_API void *mcpsess_op_object(const mcpsess_op *op);

/* For programs that like to block. */
typedef struct mcpsess_wait_hook {
    uint64_t (*now_ms)(void *user);
    /* Sleeps until one of want, at most until due_ms. -> 0, anything else cancels the operation */
    int (*wait)(void *user, unsigned want, uint64_t due_ms);
    void *user;
} mcpsess_wait_hook;
/* mcpsess_wait(&op, mcpsess_session_load(..., &op, ...), &hook): steps op until done.  -> result, E_CANCELED, E_ARG */
MCPSESS_API int mcpsess_wait(mcpsess_op *op, int begun, const mcpsess_wait_hook *hook);

/* ---- store: one contract for RAM, servers and yours ------------------------------------------------------ >>store

   A request is submitted once and done when its rc is no longer PENDING. A synchronous store finishes inside submit.
   Every request is one atomic step of the store.

   kind            uses                                     done with
   GET             key owner ttl_ms out                     OK (value appended to out, left_ms), MISS, E_TOOBIG (need)
   PUT upsert      key owner value ttl_ms                   OK, EXISTS: the key is another owner's
       create      key value ttl_ms                         OK, EXISTS
       update      key owner value ttl_ms                   OK, MISS: absent, or another owner's
       cas         key owner value expect ttl_ms            OK, LOST: other bytes are stored, MISS as in update
   DEL             key owner                                OK, MISS
   DEL_EQUAL       key owner expect                         OK, LOST, MISS
   TOUCH           key owner ttl_ms                         OK (left_ms), MISS
   SWEEP           -                                        OK (count): what has expired is removed
   LEASE_ACQUIRE   key value (the token) ttl_ms             OK (fence, left_ms): held, also if this token held it; BUSY
                                                            (left_ms: of its holder)
   LEASE_EXTEND    key value ttl_ms                         OK (fence, left_ms), LOST: not, or no longer, this token's
   LEASE_RELEASE   key value                                OK, LOST
   FLAG_GET        key expect (the fingerprint) out         OK (data appended to out, left_ms): set, and of this
                                                            fingerprint; BUSY (left_ms: of the lease): not, but the
                                                            lease of this key is held; MISS: neither; E_TOOBIG (need)
   FLAG_CLAIM      key value (the token) expect ttl_ms out  EXISTS: what GET calls OK; else as LEASE_ACQUIRE
   FLAG_SET        key value expect ttl_ms data             OK; LOST: the lease of this key is not, or no longer, this
                                                            token's. With no token it asks for no lease; with one, the
                                                            lease ends with it
   FLAG_CLEAR      key mode                                 OK, MISS: there was none; mode 1 ends the lease as well,
                                                            whoever has it: MISS: there was neither
   LOG_...         see below
   all                                                      E_IO, E_UNKNOWN, E_CLOSED, E_FULL, E_TOOBIG, E_UNSUPPORTED,
                                                            E_ARG: no such kind, no key, a lease without token or
                                                            TTL, a flag without TTL

   owner, when guarded is set, makes a record of another principal absent: not read, not written, not refreshed. GET
   without out answers presence only. The TTL slides: GET and TOUCH with ttl_ms set it again, but only when less than
   half of it is left, because on a shared store every refresh is a write that all replicas hear; 0 never refreshes. PUT
   always sets it; 0 there is no TTL. Flags, leases, logs and records are separate key spaces, but a flag and the lease
   of its key go together: FLAG_... look at both in one step, and are the first member of an mcpsess_flag_request. Keys
   are raw; a layout escapes them. SWEEP is a no-op where keys expire by themselves.

   A log is a numbered list of events that belongs to a session (key), a principal (owner, guarded) and a stream's name.
   Its epoch is its identity: it grows when a log of this name begins anew, and events of another epoch are another
   log's. Its writer has a fence, which grows when another one takes over. LOG_... requests are the first member of an
   mcpsess_log_request, whose members `log.` are:

   LOG_OPEN     value (the writer's token) ttl_ms (of its lease) log.fresh log.limits
                OK (log.writer, epoch, last, streaming, left_ms of the lease): the token may write, also if it could
                before; BUSY (left_ms): another one may; END: the log is complete, and not to begin anew; MISS: the name
                is another principal's
   LOG_APPEND   log.writer epoch sequence confirmed event limits, ttl_ms (the lease's)
                OK; DUP: these bytes are stored under this sequence; LOST: it is not the next one, or other bytes are
                stored under it, see log.last; FENCED; LOST_TAIL: what this writer knows to be confirmed is gone; the
                log is empty now, under a new log.epoch; MISS: there is no such log any more
   LOG_SET      log.writer epoch sequence (the writer's last) streaming done limits, ttl_ms (the lease's)
                OK, FENCED, LOST_TAIL, MISS
   LOG_RANGE    log.epoch sequence (after which) limits, count (at most; 0: what out has room for) out, ttl_ms
                OK (count of events appended to out, each as mcpsess_event_put; log.last and all of LOG_STATE), GAP,
                MISS, E_TOOBIG (need): out has no room for the first one
   LOG_STATE    OK (log.epoch last first streaming done, left_ms of the writer's lease, 0: nobody writes), MISS
   LOG_DEL      log.stream; or with its ptr NULL all of the session's
                OK (count: events that went), also if there was none

   Append and set say what they expect, so all of these may be repeated. RANGE with ttl_ms other than 0 keeps the log
   alive, under the rule of GET; 0 never writes. RANGE with epoch 0 takes whatever epoch there is. A position is one of
   the log's if it is neither before the oldest event - 1 nor after the last; any other is GAP, and so is an event that
   is too old. Appending and setting renew the writer's lease. */

/* request.kind */
enum {
    MCPSESS_GET = 1,
    MCPSESS_PUT,
    MCPSESS_DEL,
    MCPSESS_DEL_EQUAL,
    MCPSESS_TOUCH,
    MCPSESS_SWEEP,
    MCPSESS_LEASE_ACQUIRE,
    MCPSESS_LEASE_EXTEND,
    MCPSESS_LEASE_RELEASE,
    MCPSESS_FLAG_GET,
    MCPSESS_FLAG_CLAIM,
    MCPSESS_FLAG_SET,
    MCPSESS_FLAG_CLEAR,
    MCPSESS_LOG_OPEN,
    MCPSESS_LOG_APPEND,
    MCPSESS_LOG_RANGE,
    MCPSESS_LOG_STATE,
    MCPSESS_LOG_SET,
    MCPSESS_LOG_DEL
};

/* request.mode of a PUT */
enum { MCPSESS_PUT_UPSERT = 0, MCPSESS_PUT_CREATE, MCPSESS_PUT_UPDATE, MCPSESS_PUT_CAS };

typedef struct mcpsess_request {
    uint8_t kind; /* MCPSESS_GET ... */
    uint8_t mode; /* MCPSESS_PUT_... */
    bool guarded; /* owner counts */
    bool unsure; /* result of a PUT: the first answer was lost; what rc tells is what was found when it was looked up */
    int rc;      /* PENDING, then the result */
    mcpsess_principal owner;
    mcpsess_str key;
    mcpsess_str value;
    mcpsess_str expect;
    uint64_t ttl_ms;
    uint64_t deadline_ms; /* a store with I/O gives up then, with E_TIMEOUT; 0: its own default */
    mcpsess_buf *out;
    uint64_t left_ms; /* result: TTL left when the store answered; MCPSESS_NEVER: none. Of a lease that was got: for how
                         long it may be relied on, time under way and clock drift taken off */
    uint64_t fence;   /* result: grows with every change of holder */
    size_t need;      /* result with E_TOOBIG: bytes the value has */
    uint32_t count;   /* result of SWEEP */
    struct {
        void *link; /* the store's own while pending */
        uint32_t slot;
    } i;
} mcpsess_request;

#define MCPSESS_FINGERPRINT_MAX 32u /* bytes */

/* A FLAG_... request: submit &r.request. Says that something was loaded, of which configuration, and perhaps what. */
typedef struct mcpsess_flag_request {
    mcpsess_request request; /* expect: the fingerprint, 0..MCPSESS_FINGERPRINT_MAX bytes; another one is no flag */
    mcpsess_str data;        /* SET: 0 bytes or more, which GET and CLAIM hand on */
} mcpsess_flag_request;

/* How much of a log is kept, and for how long; 0 is the default. What is over a bound of events or bytes goes, oldest
   first. Logs in which nothing happens live to the end of the sliding TTLs; a log outlives its events. */
typedef struct mcpsess_log_limits {
    uint32_t events;       /* default 10,000 */
    uint32_t bytes;        /* of all events, as mcpsess_event_bytes counts them; default 4 MiB, at most 2^31-1 */
    uint64_t event_ttl_ms; /* since the last append, or replay; default 30 min */
    uint64_t event_max_ms; /* since it was appended, an event is not replayed when it is older; default 2 h */
    uint64_t log_ttl_ms;   /* since it was written, or read by one that keeps it alive; default 1 h */
    uint64_t log_max_ms;   /* since it was written; default 4 h */
} mcpsess_log_limits;

/* A LOG_... request: submit &r.request. event's slices, and limits, must live until it is done. */
typedef struct mcpsess_log_request {
    mcpsess_request request; /* key: the session */
    struct {
        mcpsess_str stream; /* its name, 0..MCPSESS_STREAM_MAX bytes */
        mcpsess_event event;
        const mcpsess_log_limits *limits; /* NULL: the defaults */
        uint64_t writer;                  /* the fence of the log's writer: result of OPEN */
        uint64_t epoch;                   /* 1..2^63-1, 0 where a layout has none; result too */
        uint64_t sequence;                /* 0..2^63-1 */
        uint64_t confirmed;               /* APPEND: the last sequence that was answered with OK or DUP */
        uint64_t first;                   /* result: the oldest event that can be replayed; last + 1: none */
        uint64_t last;                    /* result: the newest event; 0: there was none */
        bool fresh;                       /* OPEN: begins anew, whatever there was */
        bool streaming;                   /* else polling: readers do not wait for what comes; result too */
        bool done;                        /* complete: nothing more will come; result too */
    } log;
} mcpsess_log_request;

/* What of a store's a listener hears of. */
enum { MCPSESS_OF_RECORDS = 0, MCPSESS_OF_LOGS = 1, MCPSESS_OF_FLAGS = 2 };

/* Who is told of what changed. */
typedef struct mcpsess_listener {
    /* This record, or a log of this session, was written or removed, the flag of this key set or cleared, or its lease
       given up, perhaps by ourselves; an empty key: any may have been, unheard. More may be told than that. Called
       inside submit, poll, hear and close of the store; it may call nothing of the store. */
    void (*changed)(void *user, mcpsess_str key);
    void *user;
} mcpsess_listener;

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
    /* Who is told of MCPSESS_OF_... from now on, and lives as long as the store is used, or NULL. NULL where nothing is
       told.  -> OK, E_STATE: somebody else is told already, E_UNSUPPORTED: nobody is told of these */
    int (*listen)(void *self, int of, const mcpsess_listener *listener);
    /* NULL where nobody else writes. Takes in, and passes on, what has been told so far: at most one receive. -> OK:
       nothing older is unheard, and what comes will be told; PENDING: some of it is still to be taken in, nothing is
       lost; STALE: changes are not, or not reliably, told at the moment */
    int (*hear)(void *self, uint64_t now_ms);
} mcpsess_store_class;

typedef struct mcpsess_store {
    const mcpsess_store_class *cls; /* every function set, listen and hear apart */
    void *self;
} mcpsess_store;

#define MCPSESS_TOKEN_MAX 32u /* bytes of a lease token */

/* What every store asks of a request before it looks at anything else.
   -> OK, E_ARG, E_TOOBIG: a key over MCPSESS_ID_MAX, a stream over MCPSESS_STREAM_MAX, a token over MCPSESS_TOKEN_MAX,
   a fingerprint over MCPSESS_FINGERPRINT_MAX, E_FORMAT: a type that is none of SSE */
MCPSESS_API int mcpsess_request_check(const mcpsess_request *r);
#ifndef MCPSESS_NO_STREAM
/* The limits with defaults in place of zeros; NULL: all of them. A log's are at least its events',
   and an event is not kept longer than it is replayed. */
MCPSESS_API mcpsess_log_limits mcpsess_log_limits_of(const mcpsess_log_limits *l);
#endif

/* ---- memstore: the store in RAM, the embedded default --------------------------------------------------- >>memstore

   Records, leases and flags with TTLs, in lru tables, and logs, each a ring of its own: no log can drop another's
   events.
   A put of a new record into a full store drops every expired record; if there was none it refuses with E_FULL, or, by
   option, drops the least recently used. Expired means absent from that very millisecond on, swept or not. Leases are
   never evicted: a full lease table answers E_FULL. Fences only grow, from fence_base; give a boot counter or the wall
   clock where a fence must outlive a restart. Epochs are fences: so the same goes for event ids. A new log in a full
   table takes the place of one that has expired, or, if there is none, of the complete one that was used least
   recently; else E_FULL. A new flag in a full table takes the place of the one that was used least recently: what it
   spoke for is loaded once more. A replay that begins where the last one of its log ended, or behind it, does so at
   once; others walk there from the oldest event. */

typedef struct mcpsess_memstore_desc {
    uint16_t records;     /* 1..65534 */
    uint16_t leases;      /* 0..65534; 0: lease requests answer E_UNSUPPORTED */
    uint16_t value_max;   /* bytes of a record, 1..65535 */
    uint16_t logs;        /* 0..65534; 0: log requests answer E_UNSUPPORTED */
    uint32_t log_bytes;   /* of each log's ring, 64..2^31-1; an event takes mcpsess_event_bytes + MCPSESS_RING_HEAD */
    uint16_t flags;       /* 0..65534; 0: flag requests answer E_UNSUPPORTED */
    uint16_t flag_max;    /* bytes of a flag's fingerprint and data, 0..65534 */
    bool evict;           /* when full: false refuse, true drop the least recently used; then no local tier before it,
                             which would hide use from it and outlive what it drops */
    uint8_t seed[16];     /* secret and random where strangers choose keys */
    mcpsess_hash_fn hash; /* default mcpsess_hash */
    uint64_t fence_base;  /* default 0; with logs below 2^62 */
    mcpsess_lock lock;
    mcpsess_log log;
} mcpsess_memstore_desc;

typedef struct mcpsess_memstore_stats {
    uint32_t requests;
    uint32_t refused;      /* E_FULL */
    uint32_t evicted;      /* by the option */
    uint32_t expired;      /* records, leases, logs and flags */
    uint32_t foreign;      /* asked for by another principal */
    uint16_t high_water;   /* most records at any time */
    uint32_t events;       /* appended */
    uint32_t dropped;      /* events that went because their log was over a bound */
    uint32_t logs_evicted; /* complete ones that made room */
    uint32_t flags_evicted;
} mcpsess_memstore_stats;

typedef struct mcpsess_memstore {
    mcpsess_memstore_stats stats;
    struct {
        mcpsess_lru records, leases, flags, names; /* names: of the logs */
        struct mcpsess_i_memlog *logs;             /* by their name's place */
        char *rings;
        uint32_t ring_bytes;
        const mcpsess_listener *listener, *flag_listener; /* of logs; of flags and leases */
        uint64_t fence;
        uint64_t quiet_until_ms; /* no record expires before this instant */
        mcpsess_lock lock;
        mcpsess_log log;
        bool evict, closed;
    } i;
} mcpsess_memstore;

#define MCPSESS_I_LEASE_BYTES (8u + MCPSESS_TOKEN_MAX) /* fence, token */

/* A log; expired when its name is. */
struct mcpsess_i_memlog {
    uint64_t epoch, writer, last;
    uint64_t leased_until_ms;
    uint64_t events_until_ms; /* all of them, by the sliding TTL */
    uint64_t log_until_ms;    /* by its absolute one */
    mcpsess_ring ring;
    uint32_t place_at, place_number; /* of ring, where the last replay ended: most begin near it */
    uint8_t token_len;
    bool streaming, done;
    uint16_t owner_len;
    char token[MCPSESS_TOKEN_MAX];
    char owner[MCPSESS_RECORD_OWNER_MAX];
};
#define MCPSESS_I_ROUND8(n) (((uint64_t)(n) + 7u) / 8u * 8u)
#define MCPSESS_MEMSTORE_BYTES(records, leases, value_max)                     \
    (MCPSESS_I_ROUND8(MCPSESS_LRU_BYTES(records, MCPSESS_ID_MAX, value_max)) + \
     MCPSESS_LRU_BYTES(leases, MCPSESS_ID_MAX, MCPSESS_I_LEASE_BYTES))
/* And for logs, which come on top; their storage goes behind the rest. */
#define MCPSESS_MEMSTORE_LOG_BYTES(logs, log_bytes)                                                \
    (8u + MCPSESS_I_ROUND8(MCPSESS_LRU_BYTES(logs, 1u + MCPSESS_ID_MAX + MCPSESS_STREAM_MAX, 0)) + \
     (uint64_t)(logs) * (sizeof(struct mcpsess_i_memlog) + (uint64_t)(log_bytes)))
/* And for flags, behind the leases. */
#define MCPSESS_MEMSTORE_FLAG_BYTES(flags, flag_max) \
    (8u + MCPSESS_I_ROUND8(MCPSESS_LRU_BYTES(flags, MCPSESS_ID_MAX, 1u + (uint64_t)(flag_max))))
#define MCPSESS_MEMSTORE_FLAG_STORAGE(name, records, leases, value_max, flags, flag_max) \
    MCPSESS_I_STORAGE(name, MCPSESS_MEMSTORE_BYTES(records, leases, value_max) +         \
                                MCPSESS_MEMSTORE_FLAG_BYTES(flags, flag_max))
/* All there is; also where some of it is 0. */
#define MCPSESS_MEMSTORE_ALL_STORAGE(name, records, leases, value_max, logs, log_bytes, flags, flag_max) \
    MCPSESS_I_STORAGE(name, MCPSESS_MEMSTORE_BYTES(records, leases, value_max) +                         \
                                MCPSESS_MEMSTORE_FLAG_BYTES(flags, flag_max) +                           \
                                MCPSESS_MEMSTORE_LOG_BYTES(logs, log_bytes))
#define MCPSESS_MEMSTORE_LOG_STORAGE(name, records, leases, value_max, logs, log_bytes) \
    MCPSESS_I_STORAGE(name, MCPSESS_MEMSTORE_BYTES(records, leases, value_max) +        \
                                MCPSESS_MEMSTORE_LOG_BYTES(logs, log_bytes))
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

#ifndef MCPSESS_NO_STREAM

/* ---- stream: resumable event streams --------------------------------------------------------------------- >>stream

   On any store that has logs. A stream is a session's log of events with one writer at a time; readers, anywhere,
   replay what was missed and then follow. MCP 2025-11-25, Resumability and Redelivery; SEP-1699 (priming, retry,
   polling).

   writer     how it gets there                        append answers
   closed     init; open failed; leave; MISS           E_STATE
   open       open: OK                                 OK (id), DUP, LOST, LOST_TAIL, MISS, an error of the store
   fenced     FENCED: another writer took over         FENCED; open it again, or leave it
   complete   complete: OK                             END

   Appends of one writer may overlap; they are stored in the order in which they began, or not at all: when one ends
   with anything but OK or DUP, so do those begun after it, mostly with LOST, until all have ended. The next append then
   takes up the sequence where the log ends; others are LOST while it finds out where that is. If the same bytes are
   appended first, that is a repetition: where the store has them already, it answers DUP, and nothing is twice. After
   LOST_TAIL the log is a new one, so ids that were given before are GAP to readers; append again what must not be lost.
   A writer keeps its stream by a lease, which every append renews. One that is silent for long calls keep by the time
   that due tells; after lease_ms without either another writer may take over, and this one is fenced.

   reader     next answers                             leaves to
   behind     OK, at once or after a round trip        caught up
   caught up  PENDING: waits; woken by the store, or asks again after poll_ms, where the store tells of changes after
              10 times that                            behind; ended
   ended      END: complete, or polling and caught up; GAP: what follows is gone; MISS: the stream is
              A GAP is told by open if it is one then, before anything is sent; a reader that the writer laps, or events
              that grow too old before they are read, meet it later. Reading never writes but in open, which keeps the
   log alive under the rule of GET.

   What holds                        store in RAM     on a server, as its layout's manual says
   an event that was answered OK     until power-off  as durable as the server
   loss of it                        new epochs if fence_base grows: GAP; detected by the writer's next append:
                                     LOST_TAIL, by a reader that is ahead: GAP */

typedef struct mcpsess_stream_desc {
    mcpsess_store store;
    mcpsess_log_limits limits; /* zeros: defaults */
    uint32_t lease_ms;         /* of a writer; default 30 s */
    uint32_t poll_ms;          /* default 1 s */
    uint32_t replay_max;       /* events a reader may be behind when it opens, else GAP; default 10,000 */
    uint32_t timeout_ms;       /* of a request; default 5 s */
    mcpsess_random_fn random;  /* for the writers' tokens */
    void *random_user;
    mcpsess_log log;
} mcpsess_stream_desc;

typedef struct mcpsess_stream_stats {
    uint32_t opened;     /* writers */
    uint32_t appended;   /* OK */
    uint32_t duplicates; /* DUP */
    uint32_t passed;     /* events that brought an id of their own */
    uint32_t fenced, lost, lost_tails;
    uint32_t resumed;       /* readers */
    uint32_t replayed;      /* events handed to them */
    uint32_t gaps;          /* GAP, capped ones included */
    uint32_t capped;        /* more than replay_max behind */
    uint32_t woken, polled; /* waiting readers, by the store or by the clock */
    uint32_t deleted;       /* events, by mcpsess_stream_del */
    uint32_t failures;      /* requests that ended with an error */
} mcpsess_stream_stats;

typedef struct mcpsess_stream_reader mcpsess_stream_reader;

/* All its writers and readers have one owner: it takes no lock hooks. */
typedef struct mcpsess_streams {
    mcpsess_stream_stats stats;
    struct {
        mcpsess_stream_desc desc;
        mcpsess_listener listener;
        mcpsess_stream_reader *readers; /* that are open */
        uint32_t ready;
        bool told; /* of changes, by the store */
    } i;
} mcpsess_streams;

typedef struct mcpsess_stream_writer {
    uint64_t epoch;    /* of the log, as of the last answer; 0: the layout has none */
    uint64_t sequence; /* of the last event that is known to be stored */
    struct {
        mcpsess_streams *streams;
        mcpsess_str session, stream;
        mcpsess_principal who;
        uint64_t fence, next, due_ms;
        uint64_t failed;    /* the first append that did, while doubt says so */
        uint32_t pending;   /* appends under way */
        uint32_t under_way; /* operations, these among them */
        uint8_t state;      /* of the table above */
        uint8_t doubt;      /* about where the log ends */
        bool streaming;     /* as it was asked for last */
        bool named;         /* it has a token, for as long as it lives: an open that may have been done finds itself */
        char token[16];
    } i;
} mcpsess_stream_writer;

/* An operation of a writer, or a delete. */
typedef struct mcpsess_stream_op {
    mcpsess_op op;     /* mcpsess_op_init, _poll, _cancel, _next_due, _want */
    uint64_t epoch;    /* result of an append: of the event, for its id */
    uint64_t sequence; /* 0: it passed through */
    struct {
        mcpsess_log_request request;
        mcpsess_streams *streams;
        mcpsess_stream_writer *writer; /* NULL: a delete */
        uint64_t begun_ms;
        uint8_t retries;
        bool turns;    /* a set that changes the mode, */
        bool streamed; /* which goes back to this if it fails */
    } i;
} mcpsess_stream_op;

struct mcpsess_stream_reader {
    mcpsess_str session, stream; /* as its id says */
    uint64_t epoch, sequence;    /* of the event that was handed out last */
    uint64_t last;               /* of the log, as of the last answer; so are: */
    bool streaming, done;
    uint64_t writer_left_ms; /* of the writer's lease; 0: nobody writes, and who waits may wait in vain */
    struct {
        mcpsess_streams *streams;
        mcpsess_stream_reader *next;
        mcpsess_principal who;
        mcpsess_log_request request;
        mcpsess_buf page;     /* frames */
        mcpsess_str rest;     /* of them, not handed out yet */
        mcpsess_event *event; /* of the next under way */
        uint64_t answered_ms; /* when the last answer came */
        uint64_t due_ms;      /* when one that waits asks again */
        uint8_t state;
        bool by_id;  /* its position is of an id, which names the log's epoch where it has one */
        bool busy;   /* an operation of it is pending */
        bool failed; /* the last answer was an error */
        bool asking; /* the request is under way */
        bool woken;  /* the log was written since it was asked */
        char id[MCPSESS_EVENTID_MAX];
    } i;
};

MCPSESS_API mcpsess_stream_desc mcpsess_stream_desc_default(void);
/* s must live as long as the store is used, which tells it of changes.
   -> OK, E_ARG, E_STATE: the store tells somebody else of its logs already */
MCPSESS_API int mcpsess_stream_init(mcpsess_streams *s, const mcpsess_stream_desc *d);

/* All that take an op begin it.  -> PENDING, a result, or, with nothing begun: E_ARG, E_STATE: op is pending, E_ID,
   E_PRINCIPAL, E_TOOBIG: a stream's name over MCPSESS_STREAM_MAX. A result can also be E_TIMEOUT, E_CANCELED or an
   error of the store. Slices must live as long as the writer or the reader they are given to, those of an event as long
   as its op is pending. An op needs mcpsess_op_init, a reader nothing; a writer is zero-initialised before its first
   open, and its memory is free whenever none of its operations is pending: its lease just runs out. */

/* Becomes the stream's writer; not while something else of it is under way (E_STATE). fresh: begins it anew, even if
   there is one of this name: for a stream named after something that recurs. Else what there is goes on.
   -> OK, BUSY (op.left_ms): it has a writer, END: it is complete, and not fresh, MISS: the name is another principal's,
   E_RANDOM */
MCPSESS_API int mcpsess_stream_open(mcpsess_streams *s, mcpsess_stream_writer *w, mcpsess_stream_op *op,
                                    mcpsess_str session, const mcpsess_principal *who, mcpsess_str stream, bool fresh,
                                    uint64_t now_ms);
/* Stores an event, and names its id in op->epoch and op->sequence. One that brings an id of its own is not stored.
   -> OK, and as the table says; E_TOOBIG: larger than a log of this store may be, E_FORMAT: a type with CR, LF or NUL
 */
MCPSESS_API int mcpsess_stream_append(mcpsess_stream_writer *w, mcpsess_stream_op *op, const mcpsess_event *e,
                                      uint64_t now_ms);
/* Appends a priming event, which gives the client an id to come back with; never to one below 2025-11-25. retry_ms 0:
   without one, as a client should not come back at once.  -> as append */
MCPSESS_API int mcpsess_stream_prime(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint32_t retry_ms,
                                     uint64_t now_ms);
/* Streaming (as after open), or polling: readers end when they are caught up.  -> OK, FENCED, LOST_TAIL, MISS, END */
MCPSESS_API int mcpsess_stream_set_mode(mcpsess_stream_writer *w, mcpsess_stream_op *op, bool streaming,
                                        uint64_t now_ms);
/* Nothing more will come; ends the lease. An append that is still under way and fails cannot be repeated after this. A
   second time it does nothing.  -> OK, FENCED, LOST_TAIL, MISS */
MCPSESS_API int mcpsess_stream_complete(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint64_t now_ms);
/* Ends the lease, a millisecond from now, and nothing else: the stream is another writer's to go on with, and this one
   is closed.
   -> as keep */
MCPSESS_API int mcpsess_stream_leave(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint64_t now_ms);
/* Renews the lease.  -> OK, FENCED: another one has it, LOST_TAIL, MISS: the stream is gone, END */
MCPSESS_API int mcpsess_stream_keep(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint64_t now_ms);
/* The instant by which to call keep; MCPSESS_NEVER: it is not open. */
MCPSESS_API uint64_t mcpsess_stream_due(const mcpsess_stream_writer *w);
/* Appends the id of the event that op has appended.  -> OK, E_STATE: it has not, E_TOOBIG, E_ARG */
MCPSESS_API int mcpsess_stream_id(const mcpsess_stream_op *op, mcpsess_buf *out);

/* Opens at a Last-Event-ID, whose session must be this one. mem holds the names in it and a page of events: the larger,
   the fewer round trips; it, session and who's parts must live until close.
   -> OK, GAP: also for an id without an epoch, where logs have one, MISS: no such stream, or another principal's,
   E_FORMAT: not an id, E_ID: of another session, E_NOMEM: mem below MCPSESS_STREAM_READER_MIN, E_TOOBIG (op.need): it
   cannot hold the next event, E_STATE: r is open */
MCPSESS_API int mcpsess_stream_resume(mcpsess_streams *s, mcpsess_stream_reader *r, mcpsess_op *op,
                                      mcpsess_str last_event_id, mcpsess_str session, const mcpsess_principal *who,
                                      void *mem, size_t mem_len, uint64_t now_ms);
/* Opens after a sequence of an epoch; 0 and 0: at the oldest event there is, or will be. mem, session, stream and who's
   parts must live until close.  -> as resume */
MCPSESS_API int mcpsess_stream_read(mcpsess_streams *s, mcpsess_stream_reader *r, mcpsess_op *op, mcpsess_str session,
                                    const mcpsess_principal *who, mcpsess_str stream, uint64_t epoch, uint64_t sequence,
                                    void *mem, size_t mem_len, uint64_t now_ms);
#define MCPSESS_STREAM_READER_MIN (MCPSESS_ID_MAX + MCPSESS_STREAM_MAX + 64u)
/* The next event, with its id; its slices live until the next call of the reader. One at a time (E_STATE). e must live
   until op is done. Waits for op->timeout_ms, 0: for ever. One that is woken says so by mcpsess_want (NOW) and
   mcpsess_next_due: poll it.
   -> OK, END, GAP, MISS, E_TOOBIG (op.need): mem cannot hold it, E_TIMEOUT; after an error, E_TIMEOUT among them, the
   reader is where it was: call again */
MCPSESS_API int mcpsess_stream_next(mcpsess_stream_reader *r, mcpsess_op *op, mcpsess_event *e, uint64_t now_ms);
/* When no operation of it is pending. One whose open failed is closed already; a second time it does nothing. */
MCPSESS_API void mcpsess_stream_close(mcpsess_stream_reader *r);

/* Deletes all streams of a session, or with a name (its ptr not NULL) that one. A writer that is left meets MISS.
   -> OK (op.count: events), also if there is none */
MCPSESS_API int mcpsess_stream_del(mcpsess_streams *s, mcpsess_stream_op *op, mcpsess_str session,
                                   const mcpsess_principal *who, mcpsess_str stream, uint64_t now_ms);

#endif /* MCPSESS_NO_STREAM */

/* ---- lease: exclusive, for a while ------------------------------------------------------------------------- >>lease

   On any store that has leases: for what only one of many may do at a time, wherever they are.

   lease      how it gets there                              leaves to
   free       init; acquire: BUSY or an error; release       held
   held       acquire: OK; extend: OK                        free: release; extend: LOST; its validity ran out

   Until when it is held is known from what was asked and when, and from nothing else: its time runs from before the
   request left, and an answer that never comes takes nothing away. So whoever holds it asks mcpsess_lease_left before
   what must not be done by two, and where something checks it, sends the fence along: it grows with every change of
   holder.
   An acquire whose outcome is unknown first releases what it may have got, then ends: that takes up to timeout_ms more.
   One that is canceled does not; it leaves that to run out, or to the next acquire of this lease, which finds it. */

typedef struct mcpsess_lease {
    uint64_t fence; /* of the last acquire that answered OK */
    struct {
        uint64_t until_ms; /* held, on our clock */
        uint64_t due_ms;   /* when to extend it */
        bool named;        /* the token may be used again: nothing that ends its lease was sent */
        char token[16];
    } i;
} mcpsess_lease;

typedef struct mcpsess_lease_desc {
    mcpsess_store store;
    uint32_t ttl_ms;     /* default 30 s */
    uint32_t timeout_ms; /* of an op that brings none; default 5 s; none waits longer than ttl_ms */
    mcpsess_random_fn random;
    void *random_user;
} mcpsess_lease_desc;

/* An operation of a lease. */
typedef struct mcpsess_lease_op {
    mcpsess_op op; /* mcpsess_op_init, _poll, _cancel, _next_due, _want */
    struct {
        mcpsess_request request;
        const mcpsess_lease_desc *desc;
        mcpsess_lease *lease;
        uint64_t begun_ms;
        int rc; /* of an acquire that releases what it may have got; else OK */
    } i;
} mcpsess_lease_op;

MCPSESS_API mcpsess_lease_desc mcpsess_lease_desc_default(void);
/* A lease is zero-initialised before its first acquire. desc, key and lease must live until op is done. They begin op.
   -> PENDING, a result, or, with nothing begun: E_ARG, E_STATE: op is pending, E_TOOBIG: a key over MCPSESS_ID_MAX. A
   result can also be E_TIMEOUT, E_CANCELED or an error of the store. */

/* -> OK (lease->fence, op.left_ms): held, also if it was; BUSY (op.left_ms): another's, for so long; E_RANDOM; after
   E_TIMEOUT and E_UNKNOWN it was released, or, if that had no answer either, runs out by itself within ttl_ms */
MCPSESS_API int mcpsess_lease_acquire(const mcpsess_lease_desc *d, mcpsess_lease *lease, mcpsess_lease_op *op,
                                      mcpsess_str key, uint64_t now_ms);
/* -> OK (op.left_ms, not less than before), LOST: it was another's, or nobody's, meanwhile; with any other result it is
   held for as long as before */
MCPSESS_API int mcpsess_lease_extend(const mcpsess_lease_desc *d, mcpsess_lease *lease, mcpsess_lease_op *op,
                                     mcpsess_str key, uint64_t now_ms);
/* From its begin on, it is not held.  -> OK, LOST: it was not held any more */
MCPSESS_API int mcpsess_lease_release(const mcpsess_lease_desc *d, mcpsess_lease *lease, mcpsess_lease_op *op,
                                      mcpsess_str key, uint64_t now_ms);
/* Milliseconds for which it is held at least; 0: it is not. Pure. */
MCPSESS_API uint64_t mcpsess_lease_left(const mcpsess_lease *lease, uint64_t now_ms);
/* The instant by which to extend it: after a third of its time, and a sixth after each extend that was begun;
   MCPSESS_NEVER: it is not held. Pure. */
MCPSESS_API uint64_t mcpsess_lease_due(const mcpsess_lease *lease, uint64_t now_ms);

#ifndef MCPSESS_NO_FLIGHT

/* ---- flight: load once, wait well -------------------------------------------------------------------------- >>flight

   For something that is loaded for a key (a user's configuration, say), once however many ask, in one process or in
   many: a flag in the store says that it is loaded, and may hold what was loaded; the lease of the same key says who is
   at it. A flag counts only under the fingerprint of the configuration it was set for.

   lane      what happens                                                      leaves to
   asking    one request: is the flag set, and if not, may we load?            done: EXISTS; loading: OK; waiting: BUSY
   loading   the loader's operation is stepped, the lease extended when due    setting: it succeeded; done: it failed
                                                                               (the lease is released); lost
   setting   one request: the flag, if the lease is still ours, and its end    done: OK; checking: LOST
   checking  is the flag there all the same?                                   done: OK, or FENCED
   waiting   woken by the store; else asks again after poll_ms, where the      asking
             store tells of changes after 10 times that, both jittered, and
             when what the lease has left runs out
   lost      the lease was another's, or its validity ran out: the loader      done: FENCED
             is canceled, and nothing is set
   done      whoever asked has the answer; what may still be held is released  free

   Who asks for what is being asked for, loaded or waited for already rides along: it costs no request, has a deadline
   of its own, and may get what was found, or begun to be loaded, just before it came. When the last one gives up, the
   loader is canceled and the lease released; a flag that is being set is set all the same. One that waits goes on
   waiting when the store fails, until its time is over.

   Two requests load what nobody else loads; one finds what is loaded. A lane is taken until its last request was
   answered, or had its time: so there may be none for a new key while leases are being released. Who polls only when
   mcpsess_next_due says so misses nothing: it knows of the loader, of the lease and of the store. A loader may use
   operations of this library, also of this table, but for its own key and fingerprint. */

typedef struct mcpsess_flight_job {
    mcpsess_str key, fingerprint; /* live as long as the loader's operation is pending */
    uint64_t fence;               /* of the lease under which it loads; 0: there is no store */
    mcpsess_buf *data;            /* to append what was loaded to, data_max bytes at most; may stay empty */
} mcpsess_flight_job;

/* Begins to load: an operation of yours, which is stepped until it is done, or canceled, and whose memory is yours
   again then.  -> it; NULL: it cannot be begun. Its result OK is success, any other is handed to whoever asked; its
   left_ms, unless 0, is for how long what was loaded is good: the flag lives no longer. */
typedef mcpsess_op *(*mcpsess_flight_loader)(void *user, const mcpsess_flight_job *job, uint64_t now_ms);

typedef struct mcpsess_flight_desc {
    mcpsess_store store; /* cls NULL: none; every claim is granted, and no flag kept: only what is asked for at the same
                            time is loaded once */
    uint16_t lanes;      /* loads, and waits for them, under way at a time, 1..65534 */
    uint16_t data_max;   /* bytes that a flag holds, 0..65535 */
    mcpsess_flight_loader load; /* NULL: nothing is loaded here */
    void *load_user;
    uint64_t flag_ttl_ms;     /* default 1 h */
    uint32_t lease_ms;        /* of who loads; default 30 s */
    uint32_t wait_ms;         /* for what is loaded elsewhere, of an op that brings no timeout; default 5 s */
    uint32_t poll_ms;         /* default 100 ms */
    uint32_t timeout_ms;      /* of a request; default 5 s; none waits longer than lease_ms */
    mcpsess_random_fn random; /* for tokens and jitter; needed where there is a store */
    void *random_user;
    mcpsess_log log;
} mcpsess_flight_desc;

typedef struct mcpsess_flight_stats {
    uint32_t loads;         /* begun by us */
    uint32_t loaded;        /* of them, those that were done and flagged */
    uint32_t failed;        /* of them, those whose loader failed */
    uint32_t lost;          /* of them, those that lost their lease */
    uint32_t shared;        /* ops that rode along */
    uint32_t found;         /* ops answered by a flag that was set already, or by another's load */
    uint32_t taken_over;    /* loads begun by one that had waited for another's */
    uint32_t woken, polled; /* waits, by the store or by the clock */
    uint32_t gave_up;       /* ops that ended with BUSY or E_TIMEOUT */
    uint32_t requests;      /* to the store */
    uint32_t failures;      /* of them, those that ended with an error */
} mcpsess_flight_stats;

/* A request about a flag, outside of a load. */
typedef struct mcpsess_flight_op {
    mcpsess_op op; /* mcpsess_op_init, _poll, _cancel, _next_due, _want */
    struct {
        mcpsess_flag_request request;
        struct mcpsess_flights *flights;
        mcpsess_lease *lease; /* that a set ends */
        uint64_t begun_ms;
    } i;
} mcpsess_flight_op;

typedef struct mcpsess_i_flight_lane {
    mcpsess_flag_request request;
    mcpsess_lease lease;
    mcpsess_flight_job job;
    mcpsess_buf data;
    mcpsess_op *loader;
    mcpsess_op *waiters;    /* first come first served */
    uint64_t begun_ms;      /* when the request was */
    uint64_t due_ms;        /* when one that waits asks again */
    uint64_t held_until_ms; /* by another, as of the last answer; 0: by nobody */
    uint64_t good_until_ms; /* what is loaded */
    uint32_t jitter;
    int verdict;   /* of one that is checking: what it ends with if there is no flag */
    uint8_t state; /* of the table above */
    bool held;     /* the lease may be ours: to be released at the end */
    bool woken;    /* the store told of a change since it was asked */
    bool waited;   /* for another's load */
    bool failed;   /* the last answer was an error */
    bool extending;
} mcpsess_i_flight_lane;

/* All its ops have one owner: it takes no lock hooks. */
typedef struct mcpsess_flights {
    mcpsess_flight_stats stats;
    struct {
        mcpsess_flight_desc desc;
        mcpsess_listener listener;
        mcpsess_i_flight_lane *lanes;
        char *bytes;     /* MCPSESS_I_FLIGHT_LANE_BYTES for each lane */
        uint64_t now_ms; /* of the last call: a cancel is told no time */
        uint32_t ready;
        bool told;     /* the store tells of changes */
        bool stepping; /* user code may be running: no lane is stepped but by who set this */
        bool nested;   /* and called something of this table */
    } i;
} mcpsess_flights;

#define MCPSESS_I_FLIGHT_LANE_BYTES(data_max) (MCPSESS_ID_MAX + MCPSESS_FINGERPRINT_MAX + (uint64_t)(data_max))
#define MCPSESS_FLIGHT_BYTES(lanes, data_max) \
    ((uint64_t)(lanes) * (sizeof(mcpsess_i_flight_lane) + MCPSESS_I_FLIGHT_LANE_BYTES(data_max)))
#define MCPSESS_FLIGHT_STORAGE(name, lanes, data_max) MCPSESS_I_STORAGE(name, MCPSESS_FLIGHT_BYTES(lanes, data_max))

MCPSESS_API mcpsess_flight_desc mcpsess_flight_desc_default(void);
MCPSESS_API size_t mcpsess_flight_bytes(const mcpsess_flight_desc *d); /* 0 if out of range */
/* -> OK, E_ARG, E_NOMEM, E_ALIGN, E_STATE: the store tells somebody else of its flags already */
MCPSESS_API int mcpsess_flight_init(mcpsess_flights *f, const mcpsess_flight_desc *d, void *mem, size_t mem_len);

/* All of these begin op. A key is 1..MCPSESS_ID_MAX bytes, and what is loaded for it is seen by whoever can name it:
   make it of the principal. Slices and out must live until op is done.
   -> PENDING, a result, or, with nothing begun: E_ARG, E_STATE: op is pending, E_TOOBIG: key or fingerprint. A result
   can also be E_TIMEOUT, E_CANCELED or an error of the store. */

/* Sees to it that it is loaded, and appends what the flag holds to out, unless that is NULL. Waits at most
   op->timeout_ms; 0: wait_ms for what is loaded elsewhere, and for our own loader as long as that takes.
   -> OK (op.left_ms of the flag), BUSY (op.left_ms of the lease): it is being loaded elsewhere, and still was when the
   time was over, FENCED: our load lost its lease, any result of the loader, E_FULL: no lane is free, or no loader could
   be begun, E_TOOBIG (op.need): out is too small, or data_max, E_RANDOM */
MCPSESS_API int mcpsess_flight_load(mcpsess_flights *f, mcpsess_op *op, mcpsess_str key, mcpsess_str fingerprint,
                                    mcpsess_buf *out, uint64_t now_ms);
/* Waits for the flag and loads nothing. It is looked for at least once, but max_ms 0 looks for nothing. One that rides
   along with a load of ours ends as that does.
   -> OK, as load; BUSY, as load; E_TIMEOUT: nobody was at it when the time was over, or max_ms is 0 */
MCPSESS_API int mcpsess_flight_wait(mcpsess_flights *f, mcpsess_op *op, mcpsess_str key, mcpsess_str fingerprint,
                                    mcpsess_buf *out, uint32_t max_ms, uint64_t now_ms);
/* Is it loaded? One request.  -> OK, as load; BUSY (op.left_ms): not yet, somebody is at it; MISS */
MCPSESS_API int mcpsess_flight_check(mcpsess_flights *f, mcpsess_flight_op *op, mcpsess_str key,
                                     mcpsess_str fingerprint, mcpsess_buf *out, uint64_t now_ms);
/* Says that it is loaded, for ttl_ms, 0: flag_ttl_ms. With a lease, which was acquired for the same key, only while
   that is held, and its end.  -> OK (op.left_ms), LOST: the lease was not held any more; nothing was set */
MCPSESS_API int mcpsess_flight_set(mcpsess_flights *f, mcpsess_flight_op *op, mcpsess_lease *lease, mcpsess_str key,
                                   mcpsess_str fingerprint, mcpsess_str data, uint64_t ttl_ms, uint64_t now_ms);
/* Says that it is not loaded. revoke: nor may who is at it say so any more, as what it loads is out of date.
   -> OK, also if it was not */
MCPSESS_API int mcpsess_flight_clear(mcpsess_flights *f, mcpsess_flight_op *op, mcpsess_str key, bool revoke,
                                     uint64_t now_ms);

#endif /* MCPSESS_NO_FLIGHT */

/* ---- session: a local tier before any store --------------------------------------------------------------- >>session

   Writes go to the store first and to the local tier after; a failed write leaves the local tier as it was. What a load
   does:

   local copy                      what happens                                      answer
   fresh                           served at once, no request                        OK
   none                            one request, shared by all who ask meanwhile;     OK, MISS, or the store's error
                                   kept locally unless a write overtook it
   to be confirmed: older than     the same request; if the store is away, silent    OK (op.stale if the store was away)
   max_age_ms, or its TTL is       or refuses, the local copy serves, up to stale_ms
   more than half used up          after its last confirmation, never past its
                                   expiry
   another principal's             as if there were none                             MISS

   Before a store that others write to as well, "fresh" also needs that the store was asked for changes within
   max_lag_ms (asking takes at most one receive), and, while it cannot tell of them, that the copy was confirmed within
   revalidate_ms. A change that is told, whoever made it, marks the copy to be confirmed; it drops nothing. A load that
   it overtook is answered, but not kept.

   So an active session costs a request per half TTL, or per max_age_ms if that is less, and a local hit never outlives
   the store's TTL. Sweep never touches the local tier. Requests belong to the table, not to the op: an op that gives up
   leaves its request to finish, for timeout_ms at most, and its result still reaches the local tier and whoever else
   waits. With all lanes busy an op waits in line for one, so a store should take as many requests at a time as there
   are lanes. A write whose outcome is unknown marks the local copy to be confirmed. */

typedef struct mcpsess_session_desc {
    mcpsess_store store; /* one that others write to as well tells one table only */
    uint16_t capacity;   /* entries of the local tier, 0..65534; 0: none, every load asks the store */
    uint16_t slot_max;   /* bytes of a record the local tier keeps, 1..65519; larger ones are handed over, not kept */
    uint16_t lanes;      /* requests under way at a time, 1..65534 */
    uint16_t record_max; /* bytes of a record, 1..65535 */
    uint64_t ttl_ms;     /* sliding; default 30 min */
    uint64_t max_age_ms; /* served without asking at most this long; default 60 s */
    uint64_t stale_ms;   /* served with the store away at most this long after it was confirmed: more than max_age_ms;
                            default: until its TTL */
    /* Of a store that others write to as well: */
    uint32_t max_lag_ms;    /* served without listening for changes at most this long; default 5 ms */
    uint32_t revalidate_ms; /* served without asking while changes are not told at most this long; default 1 s */
    uint32_t timeout_ms;    /* of an op that brings none; default 5 s */
    uint8_t seed[16];       /* secret and random: strangers choose the ids they ask for */
    mcpsess_hash_fn hash;   /* default mcpsess_hash */
    mcpsess_lock lock;
    mcpsess_log log;
} mcpsess_session_desc;

typedef struct mcpsess_session_stats {
    uint32_t local_hits;   /* ops served without a request */
    uint32_t requests;     /* store requests begun */
    uint32_t shared;       /* loads that joined a request under way */
    uint32_t queued;       /* ops that had to wait for a lane */
    uint32_t served_stale; /* loads served with the store away */
    uint32_t not_promoted; /* larger than a slot */
    uint32_t overtaken;    /* loads not kept because a write came in between */
    uint32_t bad_records;  /* E_FORMAT */
    uint32_t failures;     /* requests that ended with an error */
    uint32_t hears;        /* times the store was asked what has changed */
    uint32_t invalidated;  /* records it told of */
    uint32_t flushes;      /* times that any record might have changed */
    uint32_t timeouts;
    uint32_t merges;    /* written by compare-and-set */
    uint32_t conflicts; /* not written, because others had written meanwhile */
} mcpsess_session_stats;

typedef struct mcpsess_i_lane {
    mcpsess_request request;
    mcpsess_buf out;
    mcpsess_op *waiters; /* first come first served */
    uint64_t started_ms; /* before the request left: TTLs are counted from here */
    uint16_t lent;       /* of a swap: the lane that keeps the expected bytes */
    uint8_t kind;        /* as op.i.kind */
    bool busy;
    bool overtaken; /* a write of the same id was done meanwhile: not joined, not kept */
    bool told;      /* of a write: that the record has changed was told meanwhile, by this write or another's */
} mcpsess_i_lane;

typedef struct mcpsess_sessions {
    mcpsess_session_stats stats;
    struct {
        mcpsess_session_desc desc;
        mcpsess_lru tier;
        mcpsess_i_lane *lanes;
        char *bytes;       /* MCPSESS_I_LANE_BYTES for each lane */
        mcpsess_op *queue; /* ops without a lane, oldest first */
        uint16_t busy;     /* lanes not free */
        mcpsess_listener listener;
        uint64_t heard_ms; /* when the store was last asked what has changed */
        bool told;         /* it said that changes are told */
        bool stepping;     /* a thread is inside the store */
        bool closed, store_closed;
        uint32_t ready; /* MCPSESS_I_READY after init */
    } i;
} mcpsess_sessions;

#define MCPSESS_I_SLOT_HEAD 16u          /* per local entry: when it was confirmed, until when it is fresh */
#define MCPSESS_I_LANE_BYTES(record_max) /* id, principal, then what a local slot holds */ \
    (MCPSESS_ID_MAX + MCPSESS_PRINCIPAL_MAX + MCPSESS_I_SLOT_HEAD + (uint64_t)(record_max))
#define MCPSESS_SESSION_BYTES(capacity, slot_max, lanes, record_max)                                             \
    (MCPSESS_I_ROUND8(MCPSESS_LRU_BYTES(capacity, MCPSESS_ID_MAX, MCPSESS_I_SLOT_HEAD + (uint64_t)(slot_max))) + \
     (uint64_t)(lanes) * (sizeof(mcpsess_i_lane) + MCPSESS_I_LANE_BYTES(record_max)))
#define MCPSESS_SESSION_STORAGE(name, capacity, slot_max, lanes, record_max) \
    MCPSESS_I_STORAGE(name, MCPSESS_SESSION_BYTES(capacity, slot_max, lanes, record_max))

MCPSESS_API mcpsess_session_desc mcpsess_session_desc_default(void);
MCPSESS_API size_t mcpsess_session_bytes(const mcpsess_session_desc *d); /* 0 if out of range */
/* -> OK, E_ARG, E_NOMEM, E_ALIGN, E_STATE: the store tells another table already */
MCPSESS_API int mcpsess_session_init(mcpsess_sessions *s, const mcpsess_session_desc *d, void *mem, size_t mem_len);

/* All of these begin op.  -> PENDING, a result, or, with nothing begun: E_ARG, E_STATE: op is pending, E_CLOSED, E_ID,
   E_PRINCIPAL, E_TOOBIG, E_FORMAT. A result can also be E_TIMEOUT, E_CANCELED, E_CLOSED or an error of the store.
   `who` must be the principal the record was stored for; to any other the session is absent, and asking does not keep
   it alive. The record's own id and principal are what store, create and update go by. */

/* Reads a session and keeps it alive. The record is appended to out.  -> OK (left_ms, stale), MISS, E_TOOBIG (need):
   out is too small, E_FORMAT: the stored bytes are not a record of this id */
MCPSESS_API int mcpsess_session_load(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id, const mcpsess_principal *who,
                                     mcpsess_buf *out, uint64_t now_ms);
/* Is it there? Never refreshes anything.  -> OK (left_ms), MISS */
MCPSESS_API int mcpsess_session_exists(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id,
                                       const mcpsess_principal *who, uint64_t now_ms);
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
/* Empties the local tier and closes the store; every pending and later operation ends with E_CLOSED.
   -> OK, E_CLOSED: it was closed before, E_ARG */
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

/* ---- merge: sessions changed by compare-and-set ------------------------------------------------------------- >>merge

   To change a session that others may change at the same time, and lose nothing of either: a function of the caller's
   changes the record, and it is written if the store has, at that moment, the very bytes that were changed. That takes
   one round trip. Else it is read and changed once more, until that succeeds or the time is over.

   state     what happens                                        leaves to
   reading   the local copy if it is fresh; else a request of    merging: OK; done: all else
             its own; with the store away nothing serves
   merging   the caller's function is called with the record     writing: OK; done: what it says, if the record came
                                                                 from the store; reading: if it is a local copy
   writing   if the store has these bytes still, others are      done: OK, MISS, an error; reading: LOST, and E_UNKNOWN
             written; nothing that has ended comes back          if it repeats

   After OK the local copy is what was written, and a load that was under way is not kept. After LOST and E_UNKNOWN it
   is to be confirmed, after MISS gone; after any other error it stays as it was. A write takes two lanes.

   An outcome is unknown when the connection was lost in between, also if our bytes are found there: another one may
   have written the same. A merge that repeats is called again then, with what is there. That does no harm where it says
   how something is to be; where it counts, it must be able to see that it has counted.

   With these, the life of a session whose initialisation takes time:

   what                                       by
   a placeholder under a fresh id             mcpsess_session_id_new, _create; EXISTS: with another id
   its initialisation has succeeded           mcpsess_session_merge with mcpsess_merge_initialise: not if it has ended
   it has failed; the session ends            mcpsess_session_terminate, in any state
   is it alive?                               mcpsess_session_load: OK, and not TERMINATED; an error says neither
   is an object made of it still right?       the same, and mcpsess_backends_check
   may an object be made of it?               the same, and not PLACEHOLDER; its backends: mcpsess_backends_next
   only one of many is to make it             mcpsess_flight_load
   what making it has brought is written      mcpsess_session_update, or _merge; MISS: it has ended meanwhile
   one of its backends is gone                mcpsess_session_backend_expired */

typedef struct mcpsess_merge {
    /* Changes the encoded record; its id and principal stay.  -> OK: write it; any other but PENDING is the result, and
       nothing is written */
    int (*merge)(void *user, mcpsess_buf *record);
    void *user;
    bool repeats; /* see above; else an unknown outcome is the result, E_UNKNOWN */
} mcpsess_merge;

typedef struct mcpsess_merge_op {
    mcpsess_op op;      /* mcpsess_op_init, _poll, _cancel, _next_due, _want */
    uint32_t merged;    /* result: times that merge was called */
    mcpsess_str record; /* result with OK, where something was written: that; lives as long as mem */
    struct {
        mcpsess_op step; /* the load or the write that is under way */
        mcpsess_merge how;
        const mcpsess_backends *backends;
        mcpsess_str backend;
        mcpsess_buf old, made;
        uint8_t state; /* of the table above */
        uint8_t kind;
        bool unsure; /* the outcome of a write is unknown */
    } i;
} mcpsess_merge_op;

#define MCPSESS_MERGE_BYTES(record_max) (2u * (uint64_t)(record_max)) /* of mem, for a record before and after */

/* All of these begin m->op. Slices, and mem, must live until it is done. It ends in its own poll alone; when the table
   has news for it, mcpsess_want (NOW) and mcpsess_next_due say so.
   -> PENDING, a result, or, with nothing begun: E_ARG, E_STATE: it is pending, E_CLOSED, E_ID, E_PRINCIPAL,
   E_UNSUPPORTED: the table has one lane only. A result can also be E_TIMEOUT, E_UNKNOWN, E_CANCELED, E_CLOSED, an error
   of the store, E_TOOBIG (op.need): mem is too small for the record. */

/* -> OK: written (left_ms), MISS: there is no such session, what `how` says, E_FORMAT: what it made is not a record of
   this session, E_TOOBIG: over record_max */
MCPSESS_API int mcpsess_session_merge(mcpsess_sessions *s, mcpsess_merge_op *m, mcpsess_str id,
                                      const mcpsess_principal *who, const mcpsess_merge *how, void *mem, size_t mem_len,
                                      uint64_t now_ms);
/* mcpsess_backends_del, merged. b must live until it is done.  -> OK, also if there was nothing to take out: an absent
   or terminated session, one without a list */
MCPSESS_API int mcpsess_session_backend_expired(mcpsess_sessions *s, mcpsess_merge_op *m, mcpsess_str id,
                                                const mcpsess_principal *who, const mcpsess_backends *b,
                                                mcpsess_str backend, void *mem, size_t mem_len, uint64_t now_ms);
/* Ends a session. A placeholder becomes TERMINATED, so that whoever is at its initialisation finds out; if that cannot
   be written, and in any other state, it is deleted.  -> OK, also if it was absent or terminated */
MCPSESS_API int mcpsess_session_terminate(mcpsess_sessions *s, mcpsess_merge_op *m, mcpsess_str id,
                                          const mcpsess_principal *who, void *mem, size_t mem_len, uint64_t now_ms);
/* To be merged: user is a mcpsess_str, the record of what was a placeholder.  -> OK, EXISTS: it is initialised already,
   MISS: it is terminated, E_TOOBIG, E_FORMAT */
MCPSESS_API int mcpsess_merge_initialise(void *user, mcpsess_buf *record);

#ifndef MCPSESS_NO_BACKEND

/* ---- backend: the lifecycle of what serves sessions ------------------------------------------------------- >>backend

   Processes, containers, nodes: whoever knows how, drives them, through operations of his own; the manager says what is
   done in which order, what then if that fails, and who may, of several replicas. A backend has an id, and data that is
   its own; data is in the backend, or in a copy that was preserved of it, and is never dropped in one place before it
   is in the other.

   backend    what is known                                     leaves to
   unknown    nothing, or not how the last step ended:          any: it is inspected
              who asks next has it inspected; if its
              lease is ours, a backoff does
   absent     there is none; perhaps a preserved copy           stopped: ensure; running: start
   stopped    it is there, and does not run                     running: start; absent: delete
   running    it runs; where it has a network, it is reached    stopped: stop, or it died; absent: delete
              under an address
   elsewhere  another replica owns it                           unknown: its lease ran out, or was released

   operation   steps, of the driver's; one that it has not is left out
   ensure      inspect; if it is absent: find_orphan, and if there is one whose data is in no copy yet: export_data,
               keep_copy, stat_copy; then create
   start       ensure; if it does not run: stat_copy, and if there is one: import_data, drop_copy; start; then, without
               an address, network_up; after a failure it is stopped, and what import_data failed with ends it before
               it runs
   stop        stop
   delete      to preserve its data: stop, export_data, keep_copy, stat_copy; if one of them failed, it is started
               again, as it was, unless nobody knows whether there is a copy now; then network_down, stop, both of
               which may fail, and remove
   export      stop, export_data to where the user wants it, started again
   import      stop, import_data, started again; of the preserved copy: not if that failed; then drop_copy
   address     what is known; else inspect, else network_up

   What may be lost by it is not done: a preserved copy is never overwritten (EXISTS), an empty one is none, and a
   backend that has one does not run before it was restored. `preserve` of one that is stopped and has a copy takes that
   for its data, which it is: it has not run since. Where data can be reached only while a backend runs (`live`), it is
   exported first and stopped then; but a preserved copy of it is imported before it starts.

   All of these first inspect. On one backend they go one after the other, in the order in which they were begun;
   different backends do not wait for each other. Each step has step_ms; one that is late is canceled and counts as
   failed. An operation that is late begins no further step but those that undo what it has begun; one that is canceled
   leaves it as it is, unknown, which the next one finds as after a crash.

   With a store, one replica owns a backend at a time: by a lease, which is acquired before the first step, extended by
   mcpsess_backend_step, and thus by nobody when that is not called, and kept while it runs. A lease that is lost ends
   what is under way (FENCED); the driver is told its fence with each step, and refuses one that is lower than one it
   has seen. What is to be kept running (mcpsess_backend_keep) is started when it is not, again after a backoff when it
   died, and taken over when its owner's lease has run out. */

/* Bytes of an id: of [-_A-Za-z0-9]. */
#define MCPSESS_BACKEND_ID_MAX (MCPSESS_ID_MAX > 2 ? MCPSESS_ID_MAX - 2u : 0u)

/* info.state */
enum {
    MCPSESS_BACKEND_UNKNOWN,
    MCPSESS_BACKEND_ABSENT,
    MCPSESS_BACKEND_STOPPED,
    MCPSESS_BACKEND_RUNNING,
    MCPSESS_BACKEND_ELSEWHERE
};

/* Steps, in the order of the driver's members. */
#define MCPSESS_BACKEND_STEPS(X)                                                                                 \
    X(INSPECT, inspect)           /* OK (running, live, its address if that is known), MISS: there is none */    \
    X(START, start)               /* OK, also if it runs */                                                      \
    X(STOP, stop)                 /* by force.  OK, MISS: it does not run, or there is none */                   \
    X(CREATE, create)             /* OK, EXISTS: there is one. Leaves an orphan's data alone */                  \
    X(REMOVE, remove)             /* it, its data, and what it left of an orphan's.  OK, MISS */                 \
    X(NETWORK_UP, network_up)     /* OK (address) */                                                             \
    X(NETWORK_DOWN, network_down) /* OK, MISS */                                                                 \
    X(EXPORT, export_data)        /* all data, of the orphan if `orphan`: to where, or aside.  OK, MISS: none */ \
    X(KEEP_COPY, keep_copy)       /* what was exported aside becomes the preserved copy, in one step.  OK */     \
    X(STAT_COPY, stat_copy)       /* of the preserved copy.  OK (bytes), MISS */                                 \
    X(IMPORT, import_data)        /* from where, or the preserved copy, in place of all data.  OK */             \
    X(DROP_COPY, drop_copy)       /* OK, MISS */                                                                 \
    X(FIND_ORPHAN, find_orphan)   /* data of one that is absent.  OK, MISS */                                    \
    X(LIST, list)                 /* calls mcpsess_backend_found for each.  OK */                                \
    X(IMAGE_CHECK, image_check)   /* is the local image the latest?  OK, STALE: there is a newer one */          \
    X(IMAGE_FIND, image_find)     /* is there a local image?  OK, MISS */                                        \
    X(IMAGE_PULL, image_pull)     /* OK */

/* op.step, info.step */
enum {
    MCPSESS_BACKEND_NO_STEP,
#define MCPSESS_I_BACKEND_STEP(name, member) MCPSESS_BACKEND_##name,
    MCPSESS_BACKEND_STEPS(MCPSESS_I_BACKEND_STEP)
#undef MCPSESS_I_BACKEND_STEP
        MCPSESS_BACKEND_LEASE /* a request about the lease */
};

/* What a step is about, and where its answer goes; lives as long as its operation is pending. */
typedef struct mcpsess_backend_call {
    mcpsess_str id;    /* empty in list and the image steps */
    mcpsess_str where; /* of export_data and import_data: as the user said; empty: the preserved copy */
    uint64_t fence;    /* of the lease; 0: there is no store */
    bool orphan;       /* of export_data: the orphan's */
    /* answers */
    bool running;         /* it runs */
    bool live;            /* its data can be reached only while it runs; export_data is told to, and needs keep_copy */
    uint64_t bytes;       /* of the copy; 0: it is none */
    mcpsess_buf *address; /* to append it to; of address_max bytes, and none of it may be missing */
} mcpsess_backend_call;

/* Begins a step: an operation of yours, which is polled until it is done, or canceled, and whose memory is yours again
   then.  -> it; NULL: it cannot be begun, E_FULL. Its result is one of those above, or an error; FENCED: a higher fence
   was seen. One that was canceled may yet take effect, but only before the next step of the same backend does.
   Of the manager a driver may call mcpsess_backend_found, _died, _moved, _get and _next, and so may dropped and log; no
   operation may be canceled by them. */
typedef mcpsess_op *(*mcpsess_backend_fn)(void *user, mcpsess_backend_call *call, uint64_t now_ms);

typedef struct mcpsess_backend_driver {
#define MCPSESS_I_BACKEND_STEP(name, member) mcpsess_backend_fn member;
    MCPSESS_BACKEND_STEPS(MCPSESS_I_BACKEND_STEP) /* the first three must be there, any other may be NULL */
#undef MCPSESS_I_BACKEND_STEP
    void *user;
} mcpsess_backend_driver;

typedef struct mcpsess_backend_desc {
    mcpsess_backend_driver driver;
    mcpsess_store store;      /* with leases; cls NULL: there are no other replicas */
    uint16_t capacity;        /* backends, 1..65534; one that is absent needs none */
    uint16_t address_max;     /* bytes, 1..65535; default 64 */
    uint16_t lanes;           /* backends that mcpsess_backend_step starts at a time; default 1 */
    uint32_t lease_ms;        /* default 30 s */
    uint32_t timeout_ms;      /* of a request about a lease; default 5 s; none waits longer than lease_ms / 3 */
    uint32_t step_ms;         /* default 30 s */
    uint32_t stop_ms;         /* of the step stop; default 10 s */
    uint32_t check_ms;        /* of the step image_check; default 15 s */
    uint8_t network_tries;    /* of network_up, and for an address; default 2 */
    uint32_t network_wait_ms; /* after the first that failed, twice that after each further one; default 500 ms */
    uint32_t backoff_ms;      /* after the first failure or death of one that is kept, then twice that; default 1 s */
    uint32_t backoff_max_ms;  /* default 60 s */
    uint32_t stable_ms;       /* one that ran for so long begins with backoff_ms again; default 60 s */
    uint32_t look_ms;         /* one that is kept and runs is inspected so often; 0: never, the driver tells */
    bool skip_orphans;        /* data of an orphan that cannot be recovered does not keep a new one from being made */
    void (*dropped)(void *user, mcpsess_str id, mcpsess_str address); /* nothing is there any more: drop connections */
    void *user;
    mcpsess_random_fn random; /* needed where there is a store */
    void *random_user;
    mcpsess_log log;
} mcpsess_backend_desc;

typedef struct mcpsess_backend_stats {
    uint32_t started, stopped, created, removed;
    uint32_t recovered, preserved, restored; /* orphans' data; copies made by delete; copies restored */
    uint32_t died;                           /* as the driver told, or as was found */
    uint32_t taken_over, lost;               /* leases of others that had run out; leases of ours */
    uint32_t fenced;                         /* operations that ended for that */
    uint32_t failed;                         /* operations that failed otherwise, BUSY and MISS apart */
    uint32_t steps;                          /* begun */
    uint32_t late;                           /* of them, those that were canceled for it */
} mcpsess_backend_stats;

/* What is known of a backend. */
typedef struct mcpsess_backend_info {
    mcpsess_str id, address; /* live until the manager is next called */
    uint8_t state;           /* MCPSESS_BACKEND_UNKNOWN ... */
    uint8_t step;            /* at which the last operation failed; NO_STEP: it did not */
    int rc;                  /* of the last operation */
    bool kept, copy;         /* to be kept running; it has a preserved copy, as of the last look */
    bool busy;               /* an operation is under way */
    uint64_t fence;          /* of our lease; 0: none */
    uint64_t lease_left_ms;  /* of our lease, or of another's if it is elsewhere; MCPSESS_NEVER: there is no store */
    uint64_t due_ms;         /* when it is looked after next; MCPSESS_NEVER: it is not */
    uint32_t tries;          /* to start it, since it last ran for stable_ms */
} mcpsess_backend_info;

typedef struct mcpsess_backend_op {
    mcpsess_op op; /* mcpsess_op_init, _poll, _cancel, _next_due, _want */
    uint8_t step;  /* result: at which it failed; NO_STEP: it did not */
    struct {
        struct mcpsess_backend_manager *m;
        mcpsess_backend_call call;
        mcpsess_lease_op lease; /* that it acquires */
        mcpsess_buf address;
        mcpsess_op *at_work; /* the driver's operation */
        uint64_t begun_ms;   /* when it was */
        uint64_t until_ms;   /* when it is late; or when it is tried again */
        int rc;              /* what failed first */
        uint8_t phase;
        uint8_t row;   /* of the table of steps */
        uint8_t last;  /* step that was begun */
        uint8_t tries; /* of network_up */
    } i;
} mcpsess_backend_op;

typedef struct mcpsess_i_backend {
    mcpsess_lease lease;
    mcpsess_lease_op extending;
    mcpsess_op *queue; /* what was asked for; the first is under way */
    uint64_t due_ms, since_ms, theirs_until_ms;
    uint32_t tries;
    int rc;
    uint16_t address_len;
    uint8_t id_len; /* 0: a free slot */
    uint8_t state, step;
    bool kept, copy;
    bool held;   /* the lease, as far as we know */
    bool known;  /* there is one, or may be: its slot is not to be given up */
    bool looked; /* since the last reconcile */
} mcpsess_i_backend;

/* All its ops have one owner: it takes no lock hooks. */
typedef struct mcpsess_backend_manager {
    mcpsess_backend_stats stats;
    struct {
        mcpsess_backend_desc desc;
        mcpsess_lease_desc lease;
        mcpsess_i_backend *all;
        mcpsess_backend_op *own; /* desc.lanes of them, for what is kept, and what was not looked at */
        char *bytes;             /* MCPSESS_I_BACKEND_TEXT_BYTES for each backend */
        mcpsess_op *others;      /* operations about none of them */
        uint64_t now_ms;         /* of the last call: a cancel is told no time */
        uint32_t ready;
        uint32_t found; /* by the driver's list */
        bool leaving;
    } i;
} mcpsess_backend_manager;

/* The key of its lease, which ends with its id; its address, and the one that is coming in. */
#define MCPSESS_I_BACKEND_TEXT_BYTES(address_max) (MCPSESS_ID_MAX + 2u * (uint64_t)(address_max))
#define MCPSESS_BACKEND_BYTES(capacity, address_max, lanes)                                           \
    ((uint64_t)(capacity) * (sizeof(mcpsess_i_backend) + MCPSESS_I_BACKEND_TEXT_BYTES(address_max)) + \
     (uint64_t)(lanes) * sizeof(mcpsess_backend_op))
#define MCPSESS_BACKEND_STORAGE(name, capacity, address_max, lanes) \
    MCPSESS_I_STORAGE(name, MCPSESS_BACKEND_BYTES(capacity, address_max, lanes))

MCPSESS_API mcpsess_backend_desc mcpsess_backend_desc_default(void);
MCPSESS_API size_t mcpsess_backend_bytes(const mcpsess_backend_desc *d); /* 0 if out of range */
/* The desc is copied.  -> OK, E_ARG: also for a driver without inspect, start or stop, or with stat_copy and without
   import_data, E_NOMEM, E_ALIGN */
MCPSESS_API int mcpsess_backend_init(mcpsess_backend_manager *m, const mcpsess_backend_desc *d, void *mem,
                                     size_t mem_len);

/* What looks after all of them: extends leases, releases those of what does not run, starts what is kept, one step of
   each that is due. To be called whenever mcpsess_backend_due says so, and with every turn of the loop that serves what
   the backends are for: if that stands still, others take over. O(capacity). */
MCPSESS_API void mcpsess_backend_step(mcpsess_backend_manager *m, uint64_t now_ms);
MCPSESS_API uint64_t mcpsess_backend_due(mcpsess_backend_manager *m, uint64_t now_ms);
MCPSESS_API unsigned mcpsess_backend_want(mcpsess_backend_manager *m);

/* Is it to be kept running? stop and del end that as well.  -> OK, E_ID, E_FULL, E_ARG */
MCPSESS_API int mcpsess_backend_keep(mcpsess_backend_manager *m, mcpsess_str id, bool kept, uint64_t now_ms);
/* The driver saw it end. While it is being started that is for the steps to tell.  -> OK, MISS: it is not known, or not
   ours, E_ARG */
MCPSESS_API int mcpsess_backend_died(mcpsess_backend_manager *m, mcpsess_str id, uint64_t now_ms);
/* It is known to be reached under another address; an empty one changes nothing.  -> OK, MISS: it does not run,
   or is not ours, E_TOOBIG, E_ARG */
MCPSESS_API int mcpsess_backend_moved(mcpsess_backend_manager *m, mcpsess_str id, mcpsess_str address);
/* For the driver's list: there is one of this id. It is looked at by the next reconcile.
   -> OK, E_ID, E_FULL, E_ARG */
MCPSESS_API int mcpsess_backend_found(mcpsess_backend_manager *m, mcpsess_str id);
/* What is known; nothing is asked.  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_backend_get(const mcpsess_backend_manager *m, mcpsess_str id, uint64_t now_ms,
                                    mcpsess_backend_info *info);
/* All that are known. Start with *cursor 0.  -> OK, END, E_ARG */
MCPSESS_API int mcpsess_backend_next(const mcpsess_backend_manager *m, uint16_t *cursor, uint64_t now_ms,
                                     mcpsess_backend_info *info);

/* All of these begin op. Slices and out must live until it is done. op->op.timeout_ms 0: as long as its steps take.
   -> PENDING, a result, or, with nothing begun: E_ARG, E_STATE: op is pending, E_ID, E_FULL. A result can also be BUSY
   (op.left_ms): another replica owns it, FENCED: it took over meanwhile, what a step failed with (op->step),
   E_TIMEOUT, E_CANCELED, E_RANDOM, or an error of the store (step LEASE). */

MCPSESS_API int mcpsess_backend_ensure(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                       uint64_t now_ms); /* -> OK, also if there is one */
/* -> OK, also if it runs; E_NO_ADDRESS: it had none after network_tries, and was stopped, unless it ran before */
MCPSESS_API int mcpsess_backend_start(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                      uint64_t now_ms);
/* -> OK, also if it does not run; MISS: it is absent */
MCPSESS_API int mcpsess_backend_stop(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                     uint64_t now_ms);
/* -> OK; MISS: it is absent; to preserve its data: EXISTS: it runs, and has a copy that was not restored, E_STATE: it
   does not run, and its data can be reached only while it does, E_NOT_PRESERVED: there is no copy after all,
   E_UNSUPPORTED: the driver has no export_data or stat_copy. Whatever it fails with before network_down, nothing was
   deleted. */
MCPSESS_API int mcpsess_backend_del(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id, bool preserve,
                                    uint64_t now_ms);
/* where: whatever the driver takes it for; it refuses what would leave its place.  -> OK; MISS: it is absent, or has no
   data; E_ARG: where is empty */
MCPSESS_API int mcpsess_backend_export(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                       mcpsess_str where, uint64_t now_ms);
/* where empty: the preserved copy, which is gone then.  -> OK; MISS: it is absent, or there is no copy; EXISTS: its
   copy would replace what is imported with the next start */
MCPSESS_API int mcpsess_backend_import(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                       mcpsess_str where, uint64_t now_ms);
/* Drops the preserved copy, which may be all there is of its data.  -> OK, MISS: there is none, E_UNSUPPORTED */
MCPSESS_API int mcpsess_backend_discard(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                        uint64_t now_ms);
/* Appends it to out. Of one that is elsewhere it is what inspect says.
   -> OK; MISS: it is absent; E_NO_ADDRESS: it does not run, or has none; E_TOOBIG (op.need) */
MCPSESS_API int mcpsess_backend_address(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                        mcpsess_buf *out, uint64_t now_ms);
/* Has the driver find what there is; the manager knows it then.  -> OK (op.count) */
MCPSESS_API int mcpsess_backend_list(mcpsess_backend_manager *m, mcpsess_backend_op *op, uint64_t now_ms);
/* After a restart: lists, then inspects all that are known, and starts those to be kept, desc.lanes at a time, without
   waiting between the tries of network_up. One that cannot be started does not keep it from the others.
   -> OK (op.count: of those to be kept, how many do not run, here or elsewhere, or cannot be reached) */
MCPSESS_API int mcpsess_backend_reconcile(mcpsess_backend_manager *m, mcpsess_backend_op *op, uint64_t now_ms);
/* Sees to it that there is an image, the latest if possible: pulled if there is none, or a newer one; if that fails, or
   it cannot be known, the local one will do.  -> OK (op->step: of what did not succeed) */
MCPSESS_API int mcpsess_backend_prepare(mcpsess_backend_manager *m, mcpsess_backend_op *op, uint64_t now_ms);
/* Before the end: nothing is kept any more, nothing is stopped, and all leases are released, so that others need not
   wait.  -> OK */
MCPSESS_API int mcpsess_backend_leave(mcpsess_backend_manager *m, mcpsess_backend_op *op, uint64_t now_ms);
/* Cancels what is under way, with E_CLOSED. */
MCPSESS_API void mcpsess_backend_close(mcpsess_backend_manager *m);

#endif /* MCPSESS_NO_BACKEND */

#ifdef __cplusplus
}
#endif
#endif /* MCPSESS_H */

/* ================================================ implementation ================================================ */

#if defined(MCPSESS_IMPLEMENTATION) && !defined(MCPSESS_I_IMPLEMENTED)
#define MCPSESS_I_IMPLEMENTED

#ifndef MCPSESS_NO_STRING_H
#include <string.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ==== base ==== */
/* uses: nothing */

#ifdef MCPSESS_NO_TEXT
MCPSESS_API const char *mcpsess_code_name(int code) {
    (void)code;
    return "";
}

MCPSESS_API const char *mcpsess_code_text(int code) {
    (void)code;
    return "";
}

MCPSESS_API const char *mcpsess_item_text(int item) {
    (void)item;
    return "";
}
#else
MCPSESS_API const char *mcpsess_code_name(int code) {
    switch (code) {
#define MCPSESS_I_NAME(name, number, text) \
    case MCPSESS_##name:                   \
        return #name;
        MCPSESS_CODES(MCPSESS_I_NAME)
#undef MCPSESS_I_NAME
    default: return "?";
    }
}

#define MCPSESS_I_TEXT(name, number, text) \
    case (number):                         \
        return text;

MCPSESS_API const char *mcpsess_code_text(int code) {
    switch (code) {
        MCPSESS_CODES(MCPSESS_I_TEXT)
    default: return "?";
    }
}

MCPSESS_API const char *mcpsess_item_text(int item) {
    switch (item) {
        MCPSESS_ITEMS(MCPSESS_I_TEXT)
    default: return "?";
    }
}
#undef MCPSESS_I_TEXT
#endif

MCPSESS_API mcpsess_str mcpsess_str_of(const void *ptr, size_t len) {
    mcpsess_str s = {(const char *)ptr, ptr == NULL ? 0 : len};
    return s;
}

MCPSESS_API mcpsess_str mcpsess_str_z(const char *z) {
    size_t n = 0;
    while (z != NULL && n < UINT16_MAX && z[n] != '\0') n++; /* a bound, or compilers make it a call of strlen */
    return mcpsess_str_of(z, n);
}

/* memcpy must not be handed NULL, even for no bytes; nor must memcmp below. */
static void mcpsess_i_copy(char *to, const char *from, size_t n) {
    if (n != 0) memcpy(to, from, n);
}

MCPSESS_API bool mcpsess_str_eq(mcpsess_str a, mcpsess_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

MCPSESS_API int mcpsess_str_order(mcpsess_str a, mcpsess_str b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

static uint32_t mcpsess_i_le16(const char *p) {
    return (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8;
}

static uint32_t mcpsess_i_le32(const char *p) {
    return mcpsess_i_le16(p) | mcpsess_i_le16(p + 2) << 16;
}

MCPSESS_API bool mcpsess_str_eq_ct(mcpsess_str a, mcpsess_str b) {
    volatile uint32_t verdict; /* or the compiler could see that one difference decides it */
    uint32_t differ = 0;
    size_t n = 0;
    if (a.len != b.len) return false;
    for (; a.len - n >= 4; n += 4) differ |= mcpsess_i_le32(a.ptr + n) ^ mcpsess_i_le32(b.ptr + n);
    for (; n < a.len; n++) differ |= (uint32_t)(unsigned char)(a.ptr[n] ^ b.ptr[n]);
    verdict = differ;
    return verdict == 0;
}

/* Where the first NUL is; s.len if there is none. */
static size_t mcpsess_i_find_nul(mcpsess_str s) {
    size_t n = 0;
    while (n < s.len && s.ptr[n] != '\0') n++;
    return n;
}

/* A slice with a length but no bytes can only be a caller's mistake. */
static bool mcpsess_i_str_bad(mcpsess_str s) {
    return s.ptr == NULL && s.len != 0;
}

/* -- the bounded writer -- */

MCPSESS_API void mcpsess_buf_init(mcpsess_buf *b, void *mem, size_t cap) {
    if (b == NULL) return;
    b->ptr = (char *)mem;
    b->cap = mem == NULL ? 0 : cap;
    b->len = 0;
    b->overflow = false;
}

static bool mcpsess_i_buf_fits(const mcpsess_buf *b, size_t n) {
    return !b->overflow && n <= b->cap - b->len;
}

/* Room for n more bytes, or NULL with overflow set. */
static char *mcpsess_i_buf_grow(mcpsess_buf *b, size_t n) {
    char *at;
    if (b == NULL) return NULL;
    if (!mcpsess_i_buf_fits(b, n)) {
        b->overflow = true;
        return NULL;
    }
    at = b->ptr + b->len;
    b->len += n;
    return at;
}

MCPSESS_API void mcpsess_buf_put(mcpsess_buf *b, mcpsess_str s) {
    char *at = s.len == 0 ? NULL : mcpsess_i_buf_grow(b, s.len);
    if (at != NULL) memcpy(at, s.ptr, s.len);
}

MCPSESS_API void mcpsess_buf_put_char(mcpsess_buf *b, char c) {
    char *at = mcpsess_i_buf_grow(b, 1);
    if (at != NULL) *at = c;
}

/* Takes the last digit off a number. What a word cannot hold is divided in 16-bit limbs, highest first: small targets
   lack the 64-bit division. */
static char mcpsess_i_take_digit(uint64_t *v) {
    size_t word = (size_t)*v;
    uint32_t rest = 0;
    unsigned n;
    if (word == *v) {
        *v = word / 10u;
        return (char)('0' + word % 10u);
    }
    for (n = 0; n < 4; n++) {
        rest = rest << 16 | (uint32_t)(*v >> 48);
        *v = *v << 16 | rest / 10u;
        rest %= 10u;
    }
    return (char)('0' + rest);
}

MCPSESS_API void mcpsess_buf_put_u64(mcpsess_buf *b, uint64_t v) {
    uint64_t power = 10;
    size_t len = 1;
    char *at;
    for (; len < 20 && v >= power; power *= 10) len++;
    at = mcpsess_i_buf_grow(b, len);
    if (at == NULL) return;
    while (len > 0) at[--len] = mcpsess_i_take_digit(&v);
}

MCPSESS_API mcpsess_str mcpsess_buf_str(const mcpsess_buf *b) {
    return b == NULL ? mcpsess_str_of(NULL, 0) : mcpsess_str_of(b->ptr, b->len);
}

MCPSESS_API int mcpsess_buf_check(const mcpsess_buf *b) {
    if (b == NULL) return MCPSESS_E_ARG;
    return b->overflow ? MCPSESS_E_TOOBIG : MCPSESS_OK;
}

/* Ends a function that wrote pieces: all of them stay, or none. `mark` is the length before the first. */
static int mcpsess_i_buf_settle(mcpsess_buf *b, size_t mark) {
    if (!b->overflow) return MCPSESS_OK;
    b->len = mark;
    b->overflow = false;
    return MCPSESS_E_TOOBIG;
}

static void mcpsess_i_put_le(mcpsess_buf *b, uint64_t v, unsigned bytes) {
    char *at = mcpsess_i_buf_grow(b, bytes);
    unsigned n;
    if (at == NULL) return;
    for (n = 0; n < bytes; n++, v >>= 8) at[n] = (char)(unsigned char)(v & 0xFFu);
}

/* -- base64 and decimal -- */

static const char mcpsess_i_b64_digits[65] MCPSESS_ROM =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Values of the characters '+' to 'z', of every byte if MCPSESS_I_WIDE; -1: not in the alphabet. */
#define MCPSESS_I_NONE -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1
/* clang-format off */
static const signed char mcpsess_i_b64_values[MCPSESS_I_WIDE ? 256 : 80] MCPSESS_ROM = {
#if MCPSESS_I_WIDE
    MCPSESS_I_NONE, MCPSESS_I_NONE, -1, -1, -1, -1, -1,
#endif
    62, -1, -1, -1, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8,
    9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1, -1, 26, 27, 28, 29, 30, 31,
    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
#if MCPSESS_I_WIDE
    MCPSESS_I_NONE, MCPSESS_I_NONE, MCPSESS_I_NONE, MCPSESS_I_NONE, MCPSESS_I_NONE, MCPSESS_I_NONE, MCPSESS_I_NONE,
#endif
};
/* clang-format on */

static char mcpsess_i_b64_digit(uint32_t sextet) {
    return (char)MCPSESS_ROM_U8(mcpsess_i_b64_digits + (sextet & 63u));
}

/* -> 0..63, or UINT32_MAX for a character that is not in the alphabet */
static uint32_t mcpsess_i_b64_value(char c) {
    size_t n = (unsigned char)c - (MCPSESS_I_WIDE ? 0u : (unsigned)'+');
    return n < sizeof mcpsess_i_b64_values ? (uint32_t)(int8_t)MCPSESS_ROM_U8(mcpsess_i_b64_values + n) : UINT32_MAX;
}

MCPSESS_API size_t mcpsess_b64_bytes(size_t n) {
    size_t groups = n == 0 ? 0 : (n - 1) / 3 + 1;
    return groups > SIZE_MAX / 4 ? 0 : groups * 4;
}

/* Three bytes, above eight bits that do not matter: on large words a fourth byte, which makes it one load. */
static uint32_t mcpsess_i_b64_three(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (MCPSESS_I_WIDE ? p[3] : 0u);
}

static void mcpsess_i_b64_group(char *to, uint32_t bits) {
    to[0] = mcpsess_i_b64_digit(bits >> 26);
    to[1] = mcpsess_i_b64_digit(bits >> 20);
    to[2] = mcpsess_i_b64_digit(bits >> 14);
    to[3] = mcpsess_i_b64_digit(bits >> 8);
}

MCPSESS_API void mcpsess_buf_put_b64(mcpsess_buf *b, mcpsess_str s) {
    size_t bytes = mcpsess_b64_bytes(s.len);
    const unsigned char *from = (const unsigned char *)s.ptr;
    uint32_t last;
    char *to;
    to = s.len == 0 ? NULL : mcpsess_i_buf_grow(b, bytes != 0 ? bytes : SIZE_MAX);
    if (to == NULL) return;
    for (; MCPSESS_I_WIDE && s.len > 6; s.len -= 6, from += 6, to += 8) {
        mcpsess_i_b64_group(to, mcpsess_i_b64_three(from));
        mcpsess_i_b64_group(to + 4, mcpsess_i_b64_three(from + 3));
    }
    for (; s.len > 3; s.len -= 3, from += 3, to += 4) mcpsess_i_b64_group(to, mcpsess_i_b64_three(from));
    last = (uint32_t)from[0] << 24;
    if (s.len > 1) last |= (uint32_t)from[1] << 16;
    if (s.len > 2) last |= (uint32_t)from[2] << 8;
    mcpsess_i_b64_group(to, last);
    if (s.len < 3) to[3] = '=';
    if (s.len < 2) to[2] = '=';
}

/* Bytes that a padded text stands for; the characters are not looked at yet. */
static size_t mcpsess_i_b64_raw(mcpsess_str text) {
    size_t padding = 0;
    if (text.len == 0) return 0;
    if (text.ptr[text.len - 1] == '=') padding = text.ptr[text.len - 2] == '=' ? 2 : 1;
    return text.len / 4 * 3 - padding;
}

/* Four characters to three bytes.  -> the 24 bits; bits above them are set if a character is not in the alphabet */
static inline uint32_t mcpsess_i_b64_take(const char *from, char *to) {
    uint32_t bits = mcpsess_i_b64_value(from[0]) << 18 | mcpsess_i_b64_value(from[1]) << 12 |
                    mcpsess_i_b64_value(from[2]) << 6 | mcpsess_i_b64_value(from[3]);
    to[0] = (char)(unsigned char)(bits >> 16 & 0xFFu);
    to[1] = (char)(unsigned char)(bits >> 8 & 0xFFu);
    to[2] = (char)(unsigned char)(bits & 0xFFu);
    return bits;
}

/* The same of a padded group, which stands for 1 or 2 bytes; bad as well unless encode would have written just this. */
static uint32_t mcpsess_i_b64_padded(const char *from, char *to, size_t bytes) {
    const char group[4] = {from[0], from[1], bytes == 2 ? from[2] : 'A', 'A'};
    char raw[3];
    uint32_t bits = mcpsess_i_b64_take(group, raw);
    to[0] = raw[0];
    if (bytes == 2) to[1] = raw[1];
    return (bits & 0xFFFFFFu >> 8 * bytes) != 0 ? UINT32_MAX : bits; /* bits that no byte uses */
}

MCPSESS_API int mcpsess_b64_decode(mcpsess_str text, mcpsess_buf *out) {
    size_t bytes, left;
    uint32_t seen = 0;
    char *to;
    if (out == NULL || mcpsess_i_str_bad(text)) return MCPSESS_E_ARG;
    if (text.len % 4 != 0) return MCPSESS_E_FORMAT;
    left = bytes = mcpsess_i_b64_raw(text);
    if (!mcpsess_i_buf_fits(out, bytes)) return MCPSESS_E_TOOBIG;
    if (bytes == 0) return MCPSESS_OK;
    to = out->ptr + out->len;
    for (; MCPSESS_I_WIDE && left >= 6; left -= 6, text.ptr += 8, to += 6) {
        seen |= mcpsess_i_b64_take(text.ptr, to);
        seen |= mcpsess_i_b64_take(text.ptr + 4, to + 3);
    }
    for (; left >= 3; left -= 3, text.ptr += 4, to += 3) seen |= mcpsess_i_b64_take(text.ptr, to);
    if (left > 0) seen |= mcpsess_i_b64_padded(text.ptr, to, left);
    if (seen >> 24 != 0) return MCPSESS_E_FORMAT;
    out->len += bytes;
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_u64_decode(mcpsess_str text, uint64_t max, uint64_t *out) {
    uint64_t v = 0;
    size_t n;
    if (out == NULL || mcpsess_i_str_bad(text) || max > (uint64_t)INT64_MAX) return MCPSESS_E_ARG;
    if (text.len == 0 || text.len > 19) return MCPSESS_E_FORMAT; /* 19 digits cannot overflow */
    if (text.ptr[0] == '0' && text.len > 1) return MCPSESS_E_FORMAT;
    for (n = 0; n < text.len; n++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[n] - (unsigned)'0';
        if (digit > 9) return MCPSESS_E_FORMAT;
        v = v * 10 + digit;
    }
    if (v > max) return MCPSESS_E_FORMAT;
    *out = v;
    return MCPSESS_OK;
}

/* -- the keyed hash: SipHash-1-3 (Aumasson, Bernstein), or its 32-bit half -- */

#define MCPSESS_I_ROTL(x, n) ((mcpsess_i_word)((x) << (n) | (x) >> (MCPSESS_HASH_BITS - (n))))

/* A round over the variables v0..v3: a macro, so that they stay in registers. */
#define MCPSESS_I_SIP_TURN(a, half, b, c, d)                                  \
    v0 += v1, v1 = MCPSESS_I_ROTL(v1, a) ^ v0, v0 = MCPSESS_I_ROTL(v0, half); \
    v2 += v3, v3 = MCPSESS_I_ROTL(v3, b) ^ v2;                                \
    v0 += v3, v3 = MCPSESS_I_ROTL(v3, c) ^ v0;                                \
    v2 += v1, v1 = MCPSESS_I_ROTL(v1, d) ^ v2, v2 = MCPSESS_I_ROTL(v2, half)

#if MCPSESS_HASH_BITS == 64
typedef uint64_t mcpsess_i_word;
#define MCPSESS_I_SIP_READ(p) ((uint64_t)mcpsess_i_le32(p) | (uint64_t)mcpsess_i_le32((p) + 4) << 32)
#define MCPSESS_I_SIP_ROUND MCPSESS_I_SIP_TURN(13, 32, 16, 21, 17)
#define MCPSESS_I_SIP_0 UINT64_C(0x736f6d6570736575)
#define MCPSESS_I_SIP_1 UINT64_C(0x646f72616e646f6d)
#define MCPSESS_I_SIP_2 UINT64_C(0x6c7967656e657261)
#define MCPSESS_I_SIP_3 UINT64_C(0x7465646279746573)
#define MCPSESS_I_SIP_RESULT (uint32_t)((v0 ^ v1 ^ v2 ^ v3) & UINT32_MAX)
#else
typedef uint32_t mcpsess_i_word;
#define MCPSESS_I_SIP_READ(p) mcpsess_i_le32(p)
#define MCPSESS_I_SIP_ROUND MCPSESS_I_SIP_TURN(5, 16, 8, 7, 13)
#define MCPSESS_I_SIP_0 0
#define MCPSESS_I_SIP_1 0
#define MCPSESS_I_SIP_2 UINT32_C(0x6c796765)
#define MCPSESS_I_SIP_3 UINT32_C(0x74656462)
#define MCPSESS_I_SIP_RESULT (v1 ^ v3)
#endif

MCPSESS_API uint32_t mcpsess_hash(const uint8_t seed[16], mcpsess_str s) {
    const size_t word = sizeof(mcpsess_i_word);
    const char *key = (const char *)seed;
    const mcpsess_i_word k0 = MCPSESS_I_SIP_READ(key), k1 = MCPSESS_I_SIP_READ(key + word);
    mcpsess_i_word v0 = MCPSESS_I_SIP_0 ^ k0, v1 = MCPSESS_I_SIP_1 ^ k1;
    mcpsess_i_word v2 = MCPSESS_I_SIP_2 ^ k0, v3 = MCPSESS_I_SIP_3 ^ k1;
    mcpsess_i_word block = (mcpsess_i_word)((mcpsess_i_word)s.len << (MCPSESS_HASH_BITS - 8));
    const char *tail = s.len < word ? s.ptr : s.ptr + s.len / word * word; /* no arithmetic on NULL */
    unsigned n;
    for (n = 0; n < s.len % word; n++) block |= (mcpsess_i_word)(unsigned char)tail[n] << 8 * n;
    for (;; s.ptr += word) { /* the words of s, then the block of its tail and its length */
        mcpsess_i_word m = s.ptr != tail ? MCPSESS_I_SIP_READ(s.ptr) : block;
        v3 ^= m;
        MCPSESS_I_SIP_ROUND;
        v0 ^= m;
        if (s.ptr == tail) break;
    }
    v2 ^= 0xFFu;
    for (n = 0; n < 3; n++) {
        MCPSESS_I_SIP_ROUND;
    }
    return MCPSESS_I_SIP_RESULT;
}

/* -- time, memory, hooks -- */

MCPSESS_API uint64_t mcpsess_time_add(uint64_t now_ms, uint64_t ms) {
    return ms > MCPSESS_NEVER - now_ms ? MCPSESS_NEVER : now_ms + ms;
}

MCPSESS_API uint64_t mcpsess_time_left(uint64_t now_ms, uint64_t due_ms) {
    if (due_ms == MCPSESS_NEVER) return MCPSESS_NEVER;
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

MCPSESS_API uint64_t mcpsess_tick_now(mcpsess_tick *t, uint32_t tick_ms) {
    uint32_t passed;
    if (t == NULL) return tick_ms;
    passed = tick_ms - (uint32_t)(t->now_ms & UINT32_MAX);
    if (!t->begun || passed < UINT32_C(0x80000000)) t->now_ms += passed;
    t->begun = true;
    return t->now_ms;
}

/* The strictest alignment any storage here needs. */
struct mcpsess_i_align {
    char c;
    union {
        uint64_t u64;
        void *ptr;
    } strictest;
};

MCPSESS_API int mcpsess_storage_check(const void *mem, size_t mem_len, size_t needed) {
    if (mem == NULL || needed == 0) return MCPSESS_E_ARG;
    if ((uintptr_t)mem % offsetof(struct mcpsess_i_align, strictest) != 0) return MCPSESS_E_ALIGN;
    return mem_len < needed ? MCPSESS_E_NOMEM : MCPSESS_OK;
}

static uint32_t mcpsess_i_or(uint32_t value, uint32_t fallback) {
    return value != 0 ? value : fallback;
}

static void mcpsess_i_lock(const mcpsess_lock *l) {
    if (l->lock != NULL) l->lock(l->user);
}

static void mcpsess_i_unlock(const mcpsess_lock *l) {
    if (l->unlock != NULL) l->unlock(l->user);
}

/* What a step has to tell; logged when the object is unlocked again. */
typedef struct mcpsess_i_note {
    int level, item; /* item 0: nothing */
    uint64_t number;
} mcpsess_i_note;

static void mcpsess_i_note_set(mcpsess_i_note *note, int level, int item, uint64_t number) {
    note->level = level;
    note->item = item;
    note->number = number;
}

static void mcpsess_i_note_log(const mcpsess_i_note *note, const mcpsess_log *log, mcpsess_str key) {
    if (note->item != 0 && log->log != NULL) log->log(log->user, note->level, note->item, key, note->number);
}

/* ==== lru ==== */
/* uses: base */

#define MCPSESS_I_NIL 0xFFFFu
#define MCPSESS_I_LRU_STALE 1u

MCPSESS_API mcpsess_lru_desc mcpsess_lru_desc_default(void) {
    mcpsess_lru_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

/* A table whose keys are session ids. */
static mcpsess_lru_desc mcpsess_i_lru_by_id(uint16_t capacity, uint16_t value_max, const uint8_t seed[16],
                                            mcpsess_hash_fn hash) {
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    d.capacity = capacity;
    d.key_max = MCPSESS_ID_MAX;
    d.value_max = value_max;
    d.hash = hash;
    memcpy(d.seed, seed, sizeof d.seed);
    return d;
}

MCPSESS_API size_t mcpsess_lru_bytes(const mcpsess_lru_desc *d) {
    uint64_t bytes;
    if (d == NULL || d->capacity == 0 || d->capacity > MCPSESS_LRU_MAX || d->key_max == 0) return 0;
    bytes = MCPSESS_LRU_BYTES(d->capacity, d->key_max, d->value_max);
    return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

MCPSESS_API int mcpsess_lru_init(mcpsess_lru *l, const mcpsess_lru_desc *d, void *mem, size_t mem_len) {
    int rc;
    if (l == NULL || d == NULL) return MCPSESS_E_ARG;
    memset(l, 0, sizeof *l);
    rc = mcpsess_storage_check(mem, mem_len, mcpsess_lru_bytes(d));
    if (rc != MCPSESS_OK) return rc;
    l->i.nodes = (mcpsess_i_lru_node *)mem;
    l->i.heads = (uint16_t *)(void *)(l->i.nodes + d->capacity);
    l->i.bytes = (char *)(l->i.heads + (size_t)d->capacity * 2);
    l->i.hash = d->hash != NULL ? d->hash : mcpsess_hash;
    memcpy(l->i.seed, d->seed, sizeof l->i.seed);
    l->i.capacity = d->capacity;
    l->i.key_max = d->key_max;
    l->i.value_max = d->value_max;
    mcpsess_lru_clear(l);
    return MCPSESS_OK;
}

static bool mcpsess_i_lru_ready(const mcpsess_lru *l) {
    return l != NULL && l->i.nodes != NULL;
}

static char *mcpsess_i_lru_slot(const mcpsess_lru *l, uint16_t at) {
    return l->i.bytes + (size_t)at * ((size_t)l->i.key_max + l->i.value_max);
}

static mcpsess_str mcpsess_i_lru_key(const mcpsess_lru *l, uint16_t at) {
    return mcpsess_str_of(mcpsess_i_lru_slot(l, at), l->i.nodes[at].key_len);
}

/* The value follows its key at once, so that a hit mostly stays in one cache line. */
static char *mcpsess_i_lru_value_at(const mcpsess_lru *l, uint16_t at) {
    return mcpsess_i_lru_slot(l, at) + l->i.nodes[at].key_len;
}

static mcpsess_str mcpsess_i_lru_value(const mcpsess_lru *l, uint16_t at) {
    return mcpsess_str_of(mcpsess_i_lru_value_at(l, at), l->i.nodes[at].value_len);
}

/* The high half of the hash, scaled to the number of buckets: no division, any capacity. */
static uint16_t *mcpsess_i_lru_bucket(const mcpsess_lru *l, uint32_t hash) {
    return &l->i.heads[(hash >> 16) * l->i.capacity >> 15];
}

/* The link to the entry of this key, or the one at the end of its chain, which is NIL. */
static uint16_t *mcpsess_i_lru_find(const mcpsess_lru *l, uint32_t hash, mcpsess_str key) {
    uint16_t *link = mcpsess_i_lru_bucket(l, hash);
    while (*link != MCPSESS_I_NIL) {
        mcpsess_i_lru_node *node = &l->i.nodes[*link];
        if (node->hash == hash && mcpsess_str_eq(mcpsess_i_lru_key(l, *link), key)) break;
        link = &node->chain;
    }
    return link;
}

static uint16_t mcpsess_i_lru_lookup(const mcpsess_lru *l, mcpsess_str key) {
    return *mcpsess_i_lru_find(l, l->i.hash(l->i.seed, key), key);
}

static void mcpsess_i_lru_unlink(mcpsess_lru *l, uint16_t at) {
    const mcpsess_i_lru_node *node = &l->i.nodes[at];
    if (node->newer == MCPSESS_I_NIL) l->i.newest = node->older;
    else l->i.nodes[node->newer].older = node->older;
    if (node->older == MCPSESS_I_NIL) l->i.oldest = node->newer;
    else l->i.nodes[node->older].newer = node->newer;
}

static void mcpsess_i_lru_link_newest(mcpsess_lru *l, uint16_t at) {
    mcpsess_i_lru_node *node = &l->i.nodes[at];
    node->newer = MCPSESS_I_NIL;
    node->older = l->i.newest;
    if (l->i.newest == MCPSESS_I_NIL) l->i.oldest = at;
    else l->i.nodes[l->i.newest].newer = at;
    l->i.newest = at;
}

static void mcpsess_i_lru_refresh(mcpsess_lru *l, uint16_t at) {
    if (l->i.newest == at) return;
    mcpsess_i_lru_unlink(l, at);
    mcpsess_i_lru_link_newest(l, at);
}

static void mcpsess_i_lru_remove(mcpsess_lru *l, uint16_t at) {
    mcpsess_i_lru_node *node = &l->i.nodes[at];
    uint16_t *link = mcpsess_i_lru_bucket(l, node->hash);
    while (*link != at) link = &l->i.nodes[*link].chain;
    *link = node->chain;
    mcpsess_i_lru_unlink(l, at);
    node->key_len = 0; /* marks it free: no key is empty */
    node->chain = l->i.free;
    l->i.free = at;
    l->i.len--;
}

/* A free node, taken from the least recent entry if need be. */
static uint16_t mcpsess_i_lru_take(mcpsess_lru *l) {
    uint16_t at;
    if (l->i.free == MCPSESS_I_NIL) {
        mcpsess_i_lru_remove(l, l->i.oldest);
        l->stats.evictions++;
    }
    at = l->i.free;
    l->i.free = l->i.nodes[at].chain;
    l->i.len++;
    if (l->i.len > l->stats.high_water) l->stats.high_water = l->i.len;
    return at;
}

static bool mcpsess_i_lru_expired(const mcpsess_lru *l, uint16_t at, uint64_t now_ms) {
    return l->i.nodes[at].expires_ms <= now_ms && l->i.nodes[at].expires_ms != MCPSESS_NEVER;
}

static int mcpsess_i_lru_state(const mcpsess_lru *l, uint16_t at) {
    return (l->i.nodes[at].flags & MCPSESS_I_LRU_STALE) != 0 ? MCPSESS_STALE : MCPSESS_OK;
}

static void mcpsess_i_lru_show(const mcpsess_lru *l, uint16_t at, mcpsess_lru_entry *entry) {
    entry->key = mcpsess_i_lru_key(l, at);
    entry->value = mcpsess_i_lru_value(l, at);
    entry->expires_ms = l->i.nodes[at].expires_ms;
    entry->stale = mcpsess_i_lru_state(l, at) == MCPSESS_STALE;
}

/* The entry of a key, if it has not expired; if it has, it goes, and *expired counts it. */
static uint16_t mcpsess_i_lru_live(mcpsess_lru *l, mcpsess_str key, uint64_t now_ms, uint32_t *expired) {
    uint16_t at = mcpsess_i_lru_lookup(l, key);
    if (at == MCPSESS_I_NIL || !mcpsess_i_lru_expired(l, at, now_ms)) return at;
    mcpsess_i_lru_remove(l, at);
    ++*expired;
    return MCPSESS_I_NIL;
}

/* Drops what has expired. *earliest is when the next entry will.  -> how many went */
static uint16_t mcpsess_i_lru_purge(mcpsess_lru *l, uint64_t now_ms, uint64_t *earliest) {
    uint16_t at = mcpsess_i_lru_ready(l) ? l->i.oldest : (uint16_t)MCPSESS_I_NIL, dropped = 0;
    *earliest = MCPSESS_NEVER;
    while (at != MCPSESS_I_NIL) {
        const mcpsess_i_lru_node *node = &l->i.nodes[at];
        uint16_t newer = node->newer;
        if (mcpsess_i_lru_expired(l, at, now_ms)) {
            mcpsess_i_lru_remove(l, at);
            dropped++;
        } else if (node->expires_ms < *earliest) {
            *earliest = node->expires_ms;
        }
        at = newer;
    }
    return dropped;
}

MCPSESS_API int mcpsess_lru_get(mcpsess_lru *l, mcpsess_str key, uint64_t now_ms, mcpsess_str *value) {
    uint16_t at;
    int state;
    if (!mcpsess_i_lru_ready(l) || value == NULL || mcpsess_i_str_bad(key)) return MCPSESS_E_ARG;
    at = mcpsess_i_lru_lookup(l, key);
    if (at != MCPSESS_I_NIL && mcpsess_i_lru_expired(l, at, now_ms)) { /* not by lru_live: a call costs more than it */
        mcpsess_i_lru_remove(l, at);
        l->stats.expirations++;
        at = MCPSESS_I_NIL;
    }
    if (at == MCPSESS_I_NIL) {
        *value = mcpsess_str_of(NULL, 0);
        l->stats.misses++;
        return MCPSESS_MISS;
    }
    mcpsess_i_lru_refresh(l, at);
    *value = mcpsess_i_lru_value(l, at);
    state = mcpsess_i_lru_state(l, at);
    if (state == MCPSESS_OK) l->stats.hits++;
    else l->stats.stale_hits++;
    return state;
}

MCPSESS_API int mcpsess_lru_peek(const mcpsess_lru *l, mcpsess_str key, uint64_t now_ms, mcpsess_lru_entry *entry) {
    uint16_t at;
    if (!mcpsess_i_lru_ready(l) || entry == NULL || mcpsess_i_str_bad(key)) return MCPSESS_E_ARG;
    memset(entry, 0, sizeof *entry);
    at = mcpsess_i_lru_lookup(l, key);
    if (at == MCPSESS_I_NIL || mcpsess_i_lru_expired(l, at, now_ms)) return MCPSESS_MISS;
    mcpsess_i_lru_show(l, at, entry);
    return mcpsess_i_lru_state(l, at);
}

MCPSESS_API int mcpsess_lru_put(mcpsess_lru *l, mcpsess_str key, mcpsess_str value, uint64_t expires_ms) {
    mcpsess_i_lru_node *node;
    uint16_t at, *link;
    uint32_t hash;
    if (!mcpsess_i_lru_ready(l) || mcpsess_i_str_bad(key) || mcpsess_i_str_bad(value)) return MCPSESS_E_ARG;
    if (key.len == 0) return MCPSESS_E_ARG;
    if (key.len > l->i.key_max || value.len > l->i.value_max) return MCPSESS_E_TOOBIG;
    hash = l->i.hash(l->i.seed, key);
    link = mcpsess_i_lru_find(l, hash, key);
    at = *link;
    if (at != MCPSESS_I_NIL) {
        node = &l->i.nodes[at];
        mcpsess_i_lru_refresh(l, at);
    } else {
        at = mcpsess_i_lru_take(l);
        node = &l->i.nodes[at];
        if (link == &node->chain) link = mcpsess_i_lru_find(l, hash, key); /* the end of the chain made room */
        node->hash = hash;
        node->key_len = (uint16_t)key.len;
        node->chain = MCPSESS_I_NIL; /* at the end: the least recent tends to be first, where remove finds it at once */
        *link = at;
        mcpsess_i_lru_link_newest(l, at);
        memcpy(mcpsess_i_lru_slot(l, at), key.ptr, key.len);
    }
    node->expires_ms = expires_ms;
    node->flags = 0;
    node->value_len = (uint16_t)value.len;
    mcpsess_i_copy(mcpsess_i_lru_value_at(l, at), value.ptr, value.len);
    return MCPSESS_OK;
}

/* What touch, mark and del begin with. */
static int mcpsess_i_lru_at(const mcpsess_lru *l, mcpsess_str key, uint16_t *at) {
    if (!mcpsess_i_lru_ready(l) || mcpsess_i_str_bad(key)) return MCPSESS_E_ARG;
    *at = mcpsess_i_lru_lookup(l, key);
    return *at == MCPSESS_I_NIL ? MCPSESS_MISS : MCPSESS_OK;
}

MCPSESS_API int mcpsess_lru_touch(mcpsess_lru *l, mcpsess_str key, uint64_t expires_ms) {
    uint16_t at;
    int rc = mcpsess_i_lru_at(l, key, &at);
    if (rc == MCPSESS_OK) l->i.nodes[at].expires_ms = expires_ms;
    return rc;
}

MCPSESS_API int mcpsess_lru_mark(mcpsess_lru *l, mcpsess_str key) {
    uint16_t at;
    int rc = mcpsess_i_lru_at(l, key, &at);
    if (rc == MCPSESS_OK) l->i.nodes[at].flags |= MCPSESS_I_LRU_STALE;
    return rc;
}

MCPSESS_API int mcpsess_lru_del(mcpsess_lru *l, mcpsess_str key) {
    uint16_t at;
    int rc = mcpsess_i_lru_at(l, key, &at);
    if (rc == MCPSESS_OK) mcpsess_i_lru_remove(l, at);
    return rc;
}

MCPSESS_API int mcpsess_lru_evict(mcpsess_lru *l, mcpsess_lru_entry *entry) {
    if (!mcpsess_i_lru_ready(l)) return MCPSESS_E_ARG;
    if (l->i.len == 0) return MCPSESS_MISS;
    if (entry != NULL) mcpsess_i_lru_show(l, l->i.oldest, entry);
    mcpsess_i_lru_remove(l, l->i.oldest);
    l->stats.evictions++;
    return MCPSESS_OK;
}

MCPSESS_API void mcpsess_lru_clear(mcpsess_lru *l) {
    uint16_t at;
    if (!mcpsess_i_lru_ready(l)) return;
    l->i.free = MCPSESS_I_NIL;
    for (at = l->i.capacity; at-- > 0;) {
        l->i.heads[(size_t)at * 2] = l->i.heads[(size_t)at * 2 + 1] = MCPSESS_I_NIL;
        l->i.nodes[at].key_len = 0;
        l->i.nodes[at].chain = l->i.free;
        l->i.free = at;
    }
    l->i.newest = l->i.oldest = MCPSESS_I_NIL;
    l->i.len = 0;
}

/* The cursor is the next entry + 1, so that the one just shown may go; NIL: none is left. */
MCPSESS_API int mcpsess_lru_next(const mcpsess_lru *l, uint16_t *cursor, mcpsess_lru_entry *entry) {
    uint16_t at, next;
    if (!mcpsess_i_lru_ready(l) || cursor == NULL || entry == NULL) return MCPSESS_E_ARG;
    at = *cursor == 0 ? l->i.oldest : (uint16_t)(*cursor - 1u);
    if (*cursor == MCPSESS_I_NIL || at == MCPSESS_I_NIL) return MCPSESS_END;
    if (at >= l->i.capacity || l->i.nodes[at].key_len == 0) return MCPSESS_E_ARG;
    next = l->i.nodes[at].newer;
    *cursor = next == MCPSESS_I_NIL ? (uint16_t)MCPSESS_I_NIL : (uint16_t)(next + 1u);
    mcpsess_i_lru_show(l, at, entry);
    return MCPSESS_OK;
}

MCPSESS_API uint16_t mcpsess_lru_len(const mcpsess_lru *l) {
    return mcpsess_i_lru_ready(l) ? l->i.len : 0;
}

/* From oldest to newest: links agree both ways, and every key hashes to what its node says. */
static bool mcpsess_i_lru_list_holds(const mcpsess_lru *l) {
    uint16_t at = l->i.oldest, older = MCPSESS_I_NIL, n;
    for (n = 0; n < l->i.len; n++) {
        const mcpsess_i_lru_node *node;
        if (at >= l->i.capacity) return false;
        node = &l->i.nodes[at];
        if (node->older != older || node->key_len == 0) return false;
        if (node->key_len > l->i.key_max || node->value_len > l->i.value_max) return false;
        if (l->i.hash(l->i.seed, mcpsess_i_lru_key(l, at)) != node->hash) return false;
        older = at;
        at = node->newer;
    }
    return at == MCPSESS_I_NIL && l->i.newest == older;
}

/* The buckets hold len entries in all, each in the bucket of its hash. */
static bool mcpsess_i_lru_buckets_hold(const mcpsess_lru *l) {
    uint32_t found = 0, bucket;
    uint16_t at;
    for (bucket = 0; bucket < (uint32_t)l->i.capacity * 2; bucket++) {
        for (at = l->i.heads[bucket]; at != MCPSESS_I_NIL; at = l->i.nodes[at].chain) {
            if (at >= l->i.capacity || ++found > l->i.len || l->i.nodes[at].key_len == 0) return false;
            if (mcpsess_i_lru_bucket(l, l->i.nodes[at].hash) != &l->i.heads[bucket]) return false;
        }
    }
    return found == l->i.len;
}

static bool mcpsess_i_lru_free_holds(const mcpsess_lru *l) {
    uint32_t found = 0;
    uint16_t at;
    for (at = l->i.free; at != MCPSESS_I_NIL; at = l->i.nodes[at].chain) {
        if (at >= l->i.capacity || ++found > l->i.capacity || l->i.nodes[at].key_len != 0) return false;
    }
    return found + l->i.len == l->i.capacity;
}

MCPSESS_API int mcpsess_lru_check(const mcpsess_lru *l) {
    if (!mcpsess_i_lru_ready(l)) return MCPSESS_E_ARG;
    if (l->i.len > l->i.capacity || l->stats.high_water > l->i.capacity) return MCPSESS_E_CORRUPT;
    if (!mcpsess_i_lru_list_holds(l) || !mcpsess_i_lru_buckets_hold(l)) return MCPSESS_E_CORRUPT;
    return mcpsess_i_lru_free_holds(l) ? MCPSESS_OK : MCPSESS_E_CORRUPT;
}

/* ==== eventid ==== */
/* uses: base */

MCPSESS_API int mcpsess_eventid_encode(const mcpsess_eventid *id, mcpsess_buf *out) {
    size_t mark;
    if (id == NULL || out == NULL || mcpsess_i_str_bad(id->session) || mcpsess_i_str_bad(id->stream))
        return MCPSESS_E_ARG;
    if ((id->sequence | id->epoch) > (uint64_t)MCPSESS_SEQUENCE_MAX) return MCPSESS_E_ARG;
    if (out->overflow) return MCPSESS_E_TOOBIG;
    mark = out->len;
    mcpsess_buf_put_b64(out, id->session);
    mcpsess_buf_put_char(out, ':');
    mcpsess_buf_put_b64(out, id->stream);
    mcpsess_buf_put_char(out, ':');
    if (id->epoch != 0) {
        mcpsess_buf_put_u64(out, id->epoch);
        mcpsess_buf_put_char(out, ':');
    }
    mcpsess_buf_put_u64(out, id->sequence);
    return mcpsess_i_buf_settle(out, mark);
}

/* Cuts *text at the first colon that stands at a multiple of `step`. -> false if it has none */
static bool mcpsess_i_eventid_part(mcpsess_str *text, size_t step, mcpsess_str *part) {
    mcpsess_str rest = *text;
    size_t n = 0; /* two at a time, while there is none */
    while (MCPSESS_I_WIDE && n + step < rest.len && rest.ptr[n] != ':' && rest.ptr[n + step] != ':') n += 2 * step;
    for (; n < rest.len; n += step) {
        if (rest.ptr[n] != ':') continue;
        *part = mcpsess_str_of(rest.ptr, n);
        *text = mcpsess_str_of(rest.ptr + n + 1, rest.len - n - 1);
        return true;
    }
    return false;
}

/* A decoded part is appended to mem, and *part points at it there. */
static int mcpsess_i_eventid_unpack(mcpsess_str text, mcpsess_buf *mem, mcpsess_str *part) {
    size_t mark = mem->len;
    int rc = mcpsess_b64_decode(text, mem);
    if (rc == MCPSESS_OK) *part = mcpsess_str_of(mem->len > mark ? mem->ptr + mark : NULL, mem->len - mark);
    return rc;
}

static int mcpsess_i_eventid_number(mcpsess_str text, uint64_t *number) {
    return mcpsess_u64_decode(text, (uint64_t)MCPSESS_SEQUENCE_MAX, number);
}

static int mcpsess_i_eventid_numbers(mcpsess_str text, mcpsess_eventid *id) {
    mcpsess_str epoch;
    if (mcpsess_i_eventid_number(text, &id->sequence) == MCPSESS_OK) return MCPSESS_OK; /* the form without an epoch */
    if (!mcpsess_i_eventid_part(&text, 1, &epoch)) return MCPSESS_E_FORMAT;
    if (mcpsess_i_eventid_number(epoch, &id->epoch) != MCPSESS_OK || id->epoch == 0) return MCPSESS_E_FORMAT;
    return mcpsess_i_eventid_number(text, &id->sequence);
}

static int mcpsess_i_eventid_parse(mcpsess_str text, mcpsess_buf *mem, mcpsess_eventid *id) {
    mcpsess_str session, stream;
    int rc;
    /* base64 comes in fours, and refuses a colon that stands elsewhere */
    if (!mcpsess_i_eventid_part(&text, 4, &session)) return MCPSESS_E_FORMAT;
    if (!mcpsess_i_eventid_part(&text, 4, &stream)) return MCPSESS_E_FORMAT;
    rc = mcpsess_i_eventid_numbers(text, id);
    if (rc == MCPSESS_OK) rc = mcpsess_i_eventid_unpack(session, mem, &id->session);
    if (rc == MCPSESS_OK) rc = mcpsess_i_eventid_unpack(stream, mem, &id->stream);
    return rc;
}

MCPSESS_API int mcpsess_eventid_decode(mcpsess_str text, mcpsess_buf *mem, mcpsess_eventid *id) {
    size_t mark;
    int rc;
    if (id == NULL) return MCPSESS_E_ARG;
    memset(id, 0, sizeof *id);
    if (mem == NULL || mcpsess_i_str_bad(text)) return MCPSESS_E_ARG;
    mark = mem->len;
    rc = mcpsess_i_eventid_parse(text, mem, id);
    if (rc != MCPSESS_OK) {
        memset(id, 0, sizeof *id);
        mem->len = mark;
    }
    return rc;
}

/* ==== event ==== */
/* uses: base */

#ifndef MCPSESS_NO_STREAM

#define MCPSESS_I_EVENT_DATA 1u
#define MCPSESS_I_EVENT_RETRY 2u
#define MCPSESS_I_EVENT_HEAD 6u /* len, flags, type_len */
#define MCPSESS_I_EVENT_PIECES 4u

/* What a line of SSE can carry: no CR, LF or NUL. */
static bool mcpsess_i_one_line(mcpsess_str s) {
    size_t n;
    for (n = 0; n < s.len; n++) {
        if (s.ptr[n] == '\r' || s.ptr[n] == '\n' || s.ptr[n] == '\0') return false;
    }
    return true;
}

MCPSESS_API uint64_t mcpsess_event_bytes(const mcpsess_event *e) {
    if (e == NULL) return 0;
    return MCPSESS_I_EVENT_HEAD + (uint64_t)e->type.len + (e->retry ? 4u : 0u) + e->data.len;
}

static int mcpsess_i_event_check(const mcpsess_event *e) {
    uint64_t data_len = e->data.len;
    if (mcpsess_i_str_bad(e->type) || mcpsess_i_str_bad(e->data)) return MCPSESS_E_ARG;
    if (e->type.len > UINT8_MAX || data_len > UINT32_MAX) return MCPSESS_E_TOOBIG; /* before anything is added up */
    if (mcpsess_event_bytes(e) > UINT32_MAX) return MCPSESS_E_TOOBIG;
    return mcpsess_i_one_line(e->type) ? MCPSESS_OK : MCPSESS_E_FORMAT;
}

/* What an event is stored as, in pieces; head is memory for those that are nobody's slice. */
static void mcpsess_i_event_pieces(const mcpsess_event *e, char head[MCPSESS_I_EVENT_HEAD + 4u],
                                   mcpsess_str pieces[MCPSESS_I_EVENT_PIECES]) {
    unsigned flags = (e->data.ptr != NULL ? MCPSESS_I_EVENT_DATA : 0u) | (e->retry ? MCPSESS_I_EVENT_RETRY : 0u);
    mcpsess_buf b;
    mcpsess_buf_init(&b, head, MCPSESS_I_EVENT_HEAD + 4u);
    mcpsess_i_put_le(&b, mcpsess_event_bytes(e) - 4u, 4);
    mcpsess_i_put_le(&b, flags, 1);
    mcpsess_i_put_le(&b, e->type.len, 1);
    mcpsess_i_put_le(&b, e->retry_ms, 4);
    pieces[0] = mcpsess_str_of(head, MCPSESS_I_EVENT_HEAD);
    pieces[1] = e->type;
    pieces[2] = mcpsess_str_of(head + MCPSESS_I_EVENT_HEAD, e->retry ? 4u : 0u);
    pieces[3] = e->data;
}

MCPSESS_API int mcpsess_event_put(const mcpsess_event *e, mcpsess_buf *out) {
    char head[MCPSESS_I_EVENT_HEAD + 4u];
    mcpsess_str pieces[MCPSESS_I_EVENT_PIECES];
    unsigned n;
    int rc;
    if (e == NULL || out == NULL) return MCPSESS_E_ARG;
    rc = mcpsess_i_event_check(e);
    if (rc != MCPSESS_OK) return rc;
    if (out->overflow || mcpsess_event_bytes(e) > out->cap - out->len) return MCPSESS_E_TOOBIG;
    mcpsess_i_event_pieces(e, head, pieces);
    for (n = 0; n < MCPSESS_I_EVENT_PIECES; n++) mcpsess_buf_put(out, pieces[n]);
    return MCPSESS_OK;
}

/* Reads the first event of these bytes.  -> how long it is; 0: it is none */
static size_t mcpsess_i_event_read(mcpsess_str bytes, mcpsess_event *e) {
    uint32_t len, known; /* of what follows the length: all, and all but the data */
    unsigned flags;
    if (bytes.len < MCPSESS_I_EVENT_HEAD) return 0;
    len = mcpsess_i_le32(bytes.ptr);
    flags = (unsigned char)bytes.ptr[4];
    e->type = mcpsess_str_of(bytes.ptr + MCPSESS_I_EVENT_HEAD, (unsigned char)bytes.ptr[5]);
    e->retry = (flags & MCPSESS_I_EVENT_RETRY) != 0;
    known = 2u + (uint32_t)e->type.len + (e->retry ? 4u : 0u);
    if (len > bytes.len - 4u || known > len || flags > 3u || !mcpsess_i_one_line(e->type)) return 0;
    bytes.ptr += 4 + (size_t)known;
    if (e->retry) e->retry_ms = mcpsess_i_le32(bytes.ptr - 4);
    if ((flags & MCPSESS_I_EVENT_DATA) != 0) e->data = mcpsess_str_of(bytes.ptr, (size_t)(len - known));
    return (flags & MCPSESS_I_EVENT_DATA) != 0 || known == len ? 4u + (size_t)len : 0;
}

MCPSESS_API int mcpsess_event_take(mcpsess_str *frames, mcpsess_event *e) {
    size_t len;
    if (e == NULL) return MCPSESS_E_ARG;
    memset(e, 0, sizeof *e);
    if (frames == NULL || mcpsess_i_str_bad(*frames)) return MCPSESS_E_ARG;
    if (frames->len == 0) return MCPSESS_END;
    len = mcpsess_i_event_read(*frames, e);
    if (len == 0) {
        memset(e, 0, sizeof *e);
        return MCPSESS_E_FORMAT;
    }
    *frames = mcpsess_str_of(frames->ptr + len, frames->len - len);
    return MCPSESS_OK;
}

#endif /* MCPSESS_NO_STREAM */

/* ==== sse ==== */
/* uses: base, event */

#ifndef MCPSESS_NO_STREAM

/* Cuts the first line off *rest. -> false: it was the last one */
static bool mcpsess_i_sse_line(mcpsess_str *rest, mcpsess_str *line) {
    size_t n = 0, end;
    while (n < rest->len && rest->ptr[n] != '\r' && rest->ptr[n] != '\n') n++;
    *line = mcpsess_str_of(rest->ptr, n);
    if (n == rest->len) return false;
    end = n + 1;
    if (rest->ptr[n] == '\r' && end < rest->len && rest->ptr[end] == '\n') end++;
    *rest = mcpsess_str_of(rest->ptr + end, rest->len - end);
    return true;
}

static void mcpsess_i_sse_put_line(mcpsess_buf *out, mcpsess_str name, mcpsess_str value) {
    mcpsess_buf_put(out, name);
    mcpsess_buf_put(out, value);
    mcpsess_buf_put_char(out, '\n');
}

/* A client that is told nothing but a retry would take an empty data line for a message. */
static bool mcpsess_i_sse_has_data(const mcpsess_event *e) {
    return e->data.ptr != NULL || e->id.len != 0;
}

static bool mcpsess_i_sse_bad(const mcpsess_event *e) {
    return mcpsess_i_str_bad(e->type) || mcpsess_i_str_bad(e->data) || mcpsess_i_str_bad(e->id);
}

MCPSESS_API int mcpsess_sse_put(const mcpsess_event *e, mcpsess_buf *out) {
    mcpsess_str rest, line;
    bool more;
    size_t mark;
    if (e == NULL || out == NULL || mcpsess_i_sse_bad(e)) return MCPSESS_E_ARG;
    if (!mcpsess_i_one_line(e->type) || !mcpsess_i_one_line(e->id)) return MCPSESS_E_FORMAT;
    if (out->overflow) return MCPSESS_E_TOOBIG;
    mark = out->len;
    if (e->type.len != 0) mcpsess_i_sse_put_line(out, MCPSESS_STR("event: "), e->type);
    rest = e->data;
    for (more = mcpsess_i_sse_has_data(e); more;) {
        more = mcpsess_i_sse_line(&rest, &line);
        mcpsess_i_sse_put_line(out, MCPSESS_STR("data: "), line);
    }
    if (e->id.len != 0) mcpsess_i_sse_put_line(out, MCPSESS_STR("id: "), e->id);
    if (e->retry) {
        mcpsess_buf_put(out, MCPSESS_STR("retry: "));
        mcpsess_buf_put_u64(out, e->retry_ms);
        mcpsess_buf_put_char(out, '\n');
    }
    mcpsess_buf_put_char(out, '\n');
    return mcpsess_i_buf_settle(out, mark);
}

/* The sum, or SIZE_MAX, which no object has. */
static size_t mcpsess_i_sse_add(size_t a, size_t b) {
    return b > SIZE_MAX - a ? SIZE_MAX : a + b;
}

static size_t mcpsess_i_sse_digits(uint32_t v) {
    size_t n = 1;
    for (; v >= 10; v /= 10) n++;
    return n;
}

MCPSESS_API size_t mcpsess_sse_bytes(const mcpsess_event *e) {
    mcpsess_str rest, line;
    size_t sum = 1;
    bool more;
    if (e == NULL || mcpsess_i_sse_bad(e)) return 0;
    if (e->type.len != 0) sum = mcpsess_i_sse_add(sum + 8, e->type.len);
    rest = e->data;
    for (more = mcpsess_i_sse_has_data(e); more;) {
        more = mcpsess_i_sse_line(&rest, &line);
        sum = mcpsess_i_sse_add(mcpsess_i_sse_add(sum, 7), line.len);
    }
    if (e->id.len != 0) sum = mcpsess_i_sse_add(mcpsess_i_sse_add(sum, 5), e->id.len);
    if (e->retry) sum = mcpsess_i_sse_add(sum, 8 + mcpsess_i_sse_digits(e->retry_ms));
    return sum == SIZE_MAX ? 0 : sum;
}

MCPSESS_API int mcpsess_sse_put_comment(mcpsess_str text, mcpsess_buf *out) {
    size_t mark;
    if (out == NULL || mcpsess_i_str_bad(text)) return MCPSESS_E_ARG;
    if (!mcpsess_i_one_line(text)) return MCPSESS_E_FORMAT;
    if (out->overflow) return MCPSESS_E_TOOBIG;
    mark = out->len;
    mcpsess_i_sse_put_line(out, MCPSESS_STR(": "), text);
    mcpsess_buf_put_char(out, '\n');
    return mcpsess_i_buf_settle(out, mark);
}

/* -- the reader --

   A line is read in stages, and each stage goes on where the last piece ended. Data is kept where it will stay. What a
   type or id line says is kept behind it while it is read, then moved to the end of the memory, below what is there. */

enum { MCPSESS_I_SSE_BOM, MCPSESS_I_SSE_NAME, MCPSESS_I_SSE_SPACE, MCPSESS_I_SSE_VALUE };

/* Of a line that has no byte yet; type and id index the arrays. */
enum {
    MCPSESS_I_SSE_TYPE,
    MCPSESS_I_SSE_ID,
    MCPSESS_I_SSE_DATA,
    MCPSESS_I_SSE_RETRY,
    MCPSESS_I_SSE_OTHER,
    MCPSESS_I_SSE_NONE
};

static const char mcpsess_i_sse_names[MCPSESS_I_SSE_OTHER][6] MCPSESS_ROM = {"event", "id", "data", "retry"};

static char mcpsess_i_sse_name(const mcpsess_sse *s) {
    return (char)MCPSESS_ROM_U8(&mcpsess_i_sse_names[s->i.field][s->i.matched]);
}

static void mcpsess_i_sse_next_line(mcpsess_sse *s) {
    s->i.stage = MCPSESS_I_SSE_NAME;
    s->i.field = MCPSESS_I_SSE_NONE;
    s->i.matched = 0;
    s->i.value_len = 0;
}

static void mcpsess_i_sse_next_event(mcpsess_sse *s) {
    s->i.data_len = 0;
    s->i.len[MCPSESS_I_SSE_TYPE] = s->i.len[MCPSESS_I_SSE_ID] = 0;
    s->i.has_data = s->i.has_id = s->i.has_retry = false;
}

MCPSESS_API void mcpsess_sse_begin(mcpsess_sse *s) {
    if (s == NULL) return;
    mcpsess_i_sse_next_line(s);
    mcpsess_i_sse_next_event(s);
    s->i.stage = MCPSESS_I_SSE_BOM;
    s->i.after_cr = s->i.too_big = false;
}

MCPSESS_API int mcpsess_sse_init(mcpsess_sse *s, void *mem, size_t mem_len) {
    if (s == NULL) return MCPSESS_E_ARG;
    memset(s, 0, sizeof *s);
    if (mem == NULL) return MCPSESS_E_ARG;
    if (mem_len < MCPSESS_SSE_ID_MAX + 64u) return MCPSESS_E_NOMEM;
    s->i.mem = (char *)mem;
    s->i.cap = mem_len;
    mcpsess_sse_begin(s);
    return MCPSESS_OK;
}

/* Where the next byte of data goes, or of the line that is read. */
static char *mcpsess_i_sse_end(const mcpsess_sse *s) {
    return s->i.mem + MCPSESS_SSE_ID_MAX + s->i.data_len + s->i.value_len;
}

static size_t mcpsess_i_sse_kept(const mcpsess_sse *s) {
    return (size_t)s->i.len[MCPSESS_I_SSE_TYPE] + s->i.len[MCPSESS_I_SSE_ID];
}

/* Appends what fits in memory, and within max. */
static void mcpsess_i_sse_append(mcpsess_sse *s, mcpsess_str piece, size_t max) {
    size_t used = MCPSESS_SSE_ID_MAX + s->i.data_len + s->i.value_len + mcpsess_i_sse_kept(s);
    if (piece.len > s->i.cap - used || piece.len > max) {
        s->i.too_big = true;
        return;
    }
    memcpy(mcpsess_i_sse_end(s), piece.ptr, piece.len);
    if (s->i.field == MCPSESS_I_SSE_DATA) s->i.data_len += piece.len;
    else s->i.value_len = (uint16_t)(s->i.value_len + piece.len);
}

/* The name is known, and a value begins, even if it has no byte. */
static void mcpsess_i_sse_begin_value(mcpsess_sse *s) {
    s->i.stage = MCPSESS_I_SSE_SPACE;
    s->i.number = 0;
    if (s->i.field != MCPSESS_I_SSE_DATA) return;
    if (s->i.has_data) mcpsess_i_sse_append(s, MCPSESS_STR("\n"), 1);
    s->i.has_data = true;
}

/* No name begins as another does, so the first byte tells which it could be. */
static uint8_t mcpsess_i_sse_field_of(char c) {
    uint8_t field = 0;
    while (field < MCPSESS_I_SSE_OTHER && c != (char)MCPSESS_ROM_U8(&mcpsess_i_sse_names[field][0])) field++;
    return field;
}

static void mcpsess_i_sse_name_byte(mcpsess_sse *s, char c) {
    char next;
    if (s->i.field == MCPSESS_I_SSE_NONE) {
        s->i.field = mcpsess_i_sse_field_of(c);
        s->i.matched = 1;
        return;
    }
    next = mcpsess_i_sse_name(s);
    if (next == '\0' && c == ':') mcpsess_i_sse_begin_value(s);
    else if (next != '\0' && c == next) s->i.matched++;
    else s->i.field = MCPSESS_I_SSE_OTHER;
}

/* The mark in bytes: what begins like it, and is none, is the name of a field that nobody knows. */
static void mcpsess_i_sse_bom_byte(mcpsess_sse *s, char c) {
    static const char bom[3] MCPSESS_ROM = {(char)0xEF, (char)0xBB, (char)0xBF};
    if (c != (char)MCPSESS_ROM_U8(bom + s->i.matched)) {
        bool begun = s->i.matched != 0;
        mcpsess_i_sse_next_line(s);
        if (begun) s->i.field = MCPSESS_I_SSE_OTHER;
        else mcpsess_i_sse_name_byte(s, c);
    } else if (++s->i.matched == sizeof bom) {
        mcpsess_i_sse_next_line(s);
    }
}

/* Anything but a digit, and a digit too many, makes the line one to pass over. */
static void mcpsess_i_sse_digits_read(mcpsess_sse *s, mcpsess_str piece) {
    size_t n;
    for (n = 0; n < piece.len; n++) {
        uint32_t digit = (uint32_t)(unsigned char)piece.ptr[n] - '0';
        if (digit > 9 || s->i.number > (UINT32_MAX - digit) / 10) {
            s->i.field = MCPSESS_I_SSE_OTHER;
            return;
        }
        s->i.number = s->i.number * 10 + digit;
        s->i.value_len = 1;
    }
}

static void mcpsess_i_sse_value(mcpsess_sse *s, mcpsess_str piece) {
    switch (s->i.field) {
    case MCPSESS_I_SSE_TYPE: mcpsess_i_sse_append(s, piece, UINT8_MAX - (size_t)s->i.value_len); break;
    case MCPSESS_I_SSE_ID: mcpsess_i_sse_append(s, piece, MCPSESS_SSE_ID_MAX - (size_t)s->i.value_len); break;
    case MCPSESS_I_SSE_DATA: mcpsess_i_sse_append(s, piece, SIZE_MAX); break;
    case MCPSESS_I_SSE_RETRY: mcpsess_i_sse_digits_read(s, piece); break;
    default: break;
    }
}

static bool mcpsess_i_sse_in_name(const mcpsess_sse *s) {
    return s->i.stage == MCPSESS_I_SSE_NAME && s->i.field != MCPSESS_I_SSE_OTHER;
}

/* Some bytes of a line, at least one, without its end. */
static void mcpsess_i_sse_piece(mcpsess_sse *s, mcpsess_str piece) {
    size_t n = 0;
    while (n < piece.len && s->i.stage == MCPSESS_I_SSE_BOM) mcpsess_i_sse_bom_byte(s, piece.ptr[n++]);
    while (n < piece.len && mcpsess_i_sse_in_name(s)) mcpsess_i_sse_name_byte(s, piece.ptr[n++]);
    if (n == piece.len || s->i.field == MCPSESS_I_SSE_OTHER) return;
    if (s->i.stage == MCPSESS_I_SSE_SPACE && piece.ptr[n] == ' ') n++;
    s->i.stage = MCPSESS_I_SSE_VALUE;
    if (n < piece.len) mcpsess_i_sse_value(s, mcpsess_str_of(piece.ptr + n, piece.len - n));
}

/* The end of memory is no place to write to, even for no bytes. */
static void mcpsess_i_sse_move(char *to, const char *from, size_t n) {
    if (n != 0) memmove(to, from, n);
}

/* The line that was read becomes the event's type or id. What it replaces leaves no gap: what was kept after that
   moves, and only once, for then it comes before. */
static void mcpsess_i_sse_keep(mcpsess_sse *s) {
    size_t len = s->i.value_len, was = s->i.len[s->i.field], at = s->i.at[s->i.field];
    size_t below = mcpsess_i_sse_kept(s) + len;
    uint16_t *other = &s->i.at[s->i.field ^ 1u];
    char *from = mcpsess_i_sse_end(s) - len, *to = s->i.mem + s->i.cap - below;
    if (mcpsess_i_find_nul(mcpsess_str_of(from, len)) != len) return;
    mcpsess_i_sse_move(to, from, len);
    if (was != 0) {
        mcpsess_i_sse_move(to + was, to, below - at);
        if (*other > at) *other = (uint16_t)(*other - was);
    }
    s->i.at[s->i.field] = (uint16_t)(below - was);
    s->i.len[s->i.field] = (uint16_t)len;
    if (s->i.field == MCPSESS_I_SSE_ID) s->i.has_id = true;
}

static mcpsess_str mcpsess_i_sse_part(const mcpsess_sse *s, unsigned field) {
    return mcpsess_str_of(s->i.mem + s->i.cap - s->i.at[field], s->i.len[field]);
}

/* -> is there an event to hand out? */
static bool mcpsess_i_sse_event(mcpsess_sse *s, mcpsess_event *e) {
    bool brings = s->i.has_data || s->i.has_retry || mcpsess_i_sse_kept(s) != 0;
    if (s->i.has_id) {
        mcpsess_str id = mcpsess_i_sse_part(s, MCPSESS_I_SSE_ID);
        mcpsess_i_copy(s->i.mem, id.ptr, id.len);
        s->last_id = mcpsess_str_of(s->i.mem, id.len);
    }
    if (brings) {
        e->type = mcpsess_i_sse_part(s, MCPSESS_I_SSE_TYPE);
        if (s->i.has_data) e->data = mcpsess_str_of(s->i.mem + MCPSESS_SSE_ID_MAX, s->i.data_len);
        if (s->i.has_id) e->id = s->last_id;
        e->retry = s->i.has_retry;
        e->retry_ms = e->retry ? s->retry_ms : 0;
    }
    mcpsess_i_sse_next_event(s);
    return brings;
}

static void mcpsess_i_sse_end_value(mcpsess_sse *s) {
    if (s->i.field <= MCPSESS_I_SSE_ID) mcpsess_i_sse_keep(s);
    if (s->i.field != MCPSESS_I_SSE_RETRY || s->i.value_len == 0) return;
    s->retry_ms = s->i.number;
    s->retry = s->i.has_retry = true;
}

/* -> as above */
static bool mcpsess_i_sse_end_line(mcpsess_sse *s, mcpsess_event *e) {
    bool empty = s->i.field == MCPSESS_I_SSE_NONE; /* or half a mark, before which there is no event to end */
    if (!empty && s->i.stage == MCPSESS_I_SSE_NAME && s->i.field < MCPSESS_I_SSE_OTHER && mcpsess_i_sse_name(s) == '\0')
        mcpsess_i_sse_begin_value(s);
    if (s->i.stage >= MCPSESS_I_SSE_SPACE) mcpsess_i_sse_end_value(s);
    mcpsess_i_sse_next_line(s);
    return empty && mcpsess_i_sse_event(s, e);
}

static void mcpsess_i_sse_take(mcpsess_str *in, size_t n) {
    *in = mcpsess_str_of(in->ptr + n, in->len - n);
}

/* At most to the end of a line.  -> as above */
static bool mcpsess_i_sse_step(mcpsess_sse *s, mcpsess_str *in, mcpsess_event *e) {
    size_t n = 0;
    bool after_cr = s->i.after_cr;
    s->i.after_cr = false;
    if (after_cr && in->ptr[0] == '\n') {
        mcpsess_i_sse_take(in, 1);
        return false;
    }
    while (n < in->len && in->ptr[n] != '\r' && in->ptr[n] != '\n') n++;
    if (n != 0) mcpsess_i_sse_piece(s, mcpsess_str_of(in->ptr, n));
    mcpsess_i_sse_take(in, n);
    if (s->i.too_big || in->len == 0) return false;
    s->i.after_cr = in->ptr[0] == '\r';
    mcpsess_i_sse_take(in, 1);
    return mcpsess_i_sse_end_line(s, e);
}

MCPSESS_API int mcpsess_sse_next(mcpsess_sse *s, mcpsess_str *in, mcpsess_event *e) {
    if (e == NULL) return MCPSESS_E_ARG;
    memset(e, 0, sizeof *e);
    if (s == NULL || s->i.mem == NULL || in == NULL || mcpsess_i_str_bad(*in)) return MCPSESS_E_ARG;
    while (!s->i.too_big && in->len != 0) {
        if (mcpsess_i_sse_step(s, in, e)) return MCPSESS_OK;
    }
    return s->i.too_big ? MCPSESS_E_TOOBIG : MCPSESS_PENDING;
}

#endif /* MCPSESS_NO_STREAM */

/* ==== ring ==== */
/* uses: base */

#ifndef MCPSESS_NO_STREAM

MCPSESS_API int mcpsess_ring_init(mcpsess_ring *r, void *mem, size_t len) {
    uint64_t bytes = len;
    if (r == NULL) return MCPSESS_E_ARG;
    memset(r, 0, sizeof *r);
    if (mem == NULL || bytes == 0 || bytes > INT32_MAX) return MCPSESS_E_ARG;
    r->i.bytes = (char *)mem;
    r->i.cap = (uint32_t)bytes;
    return MCPSESS_OK;
}

static bool mcpsess_i_ring_ready(const mcpsess_ring *r) {
    return r != NULL && r->i.bytes != NULL;
}

/* Where the byte is that comes `at` bytes after head. Both are at most cap, so their sum does not wrap. */
static uint32_t mcpsess_i_ring_place(const mcpsess_ring *r, uint32_t at) {
    uint32_t place = r->i.head + at;
    return place < r->i.cap ? place : place - r->i.cap;
}

/* Of n bytes from a place on: those before the end of the memory. */
static size_t mcpsess_i_ring_straight(const mcpsess_ring *r, uint32_t place, size_t n) {
    size_t straight = (size_t)(r->i.cap - place);
    return straight < n ? straight : n;
}

static void mcpsess_i_ring_write(mcpsess_ring *r, uint32_t at, mcpsess_str s) {
    uint32_t place = mcpsess_i_ring_place(r, at);
    size_t n = mcpsess_i_ring_straight(r, place, s.len);
    if (s.len == 0) return;
    memcpy(r->i.bytes + place, s.ptr, n);
    mcpsess_i_copy(r->i.bytes, s.ptr + n, s.len - n);
}

/* len is not 0: nor is `to` NULL. */
static void mcpsess_i_ring_read(const mcpsess_ring *r, uint32_t at, char *to, size_t len) {
    uint32_t place = mcpsess_i_ring_place(r, at);
    size_t n = mcpsess_i_ring_straight(r, place, len);
    memcpy(to, r->i.bytes + place, n);
    mcpsess_i_copy(to + n, r->i.bytes, len - n);
}

static bool mcpsess_i_ring_same(const mcpsess_ring *r, uint32_t at, mcpsess_str s) {
    uint32_t place = mcpsess_i_ring_place(r, at);
    size_t n = mcpsess_i_ring_straight(r, place, s.len);
    if (s.len == 0) return true;
    return memcmp(r->i.bytes + place, s.ptr, n) == 0 && (n == s.len || memcmp(r->i.bytes, s.ptr + n, s.len - n) == 0);
}

/* The length of the entry at `at`.  -> false: there is none */
static bool mcpsess_i_ring_len(const mcpsess_ring *r, uint32_t at, uint32_t *len) {
    char head[4];
    if (at > r->i.used || r->i.used - at < MCPSESS_RING_HEAD) return false;
    mcpsess_i_ring_read(r, at, head, sizeof head);
    *len = mcpsess_i_le32(head);
    return *len <= r->i.used - at - MCPSESS_RING_HEAD;
}

static uint64_t mcpsess_i_ring_stamp(const mcpsess_ring *r, uint32_t at) {
    char stamp[8];
    mcpsess_i_ring_read(r, at + 4u, stamp, sizeof stamp);
    return (uint64_t)mcpsess_i_le32(stamp) | (uint64_t)mcpsess_i_le32(stamp + 4) << 32;
}

/* Is this, in pieces, the entry at the cursor? */
static bool mcpsess_i_ring_holds(const mcpsess_ring *r, const mcpsess_ring_cursor *cursor, const mcpsess_str *pieces,
                                 size_t count) {
    uint32_t at = cursor->at + MCPSESS_RING_HEAD, left;
    size_t n;
    if (!mcpsess_i_ring_len(r, cursor->at, &left)) return false;
    for (n = 0; n < count; n++) {
        uint32_t len = (uint32_t)pieces[n].len;
        if (pieces[n].len > left || !mcpsess_i_ring_same(r, at, pieces[n])) return false;
        at += len;
        left -= len;
    }
    return left == 0;
}

MCPSESS_API int mcpsess_ring_put(mcpsess_ring *r, const mcpsess_str *pieces, size_t count, uint64_t stamp,
                                 uint32_t *dropped) {
    char bytes[MCPSESS_RING_HEAD];
    uint32_t left, at;
    mcpsess_buf head;
    size_t n;
    if (!mcpsess_i_ring_ready(r) || dropped == NULL || (pieces == NULL && count != 0)) return MCPSESS_E_ARG;
    *dropped = 0;
    if (r->i.cap < MCPSESS_RING_HEAD) return MCPSESS_E_TOOBIG;
    for (n = 0, left = r->i.cap - MCPSESS_RING_HEAD; n < count; left -= (uint32_t)pieces[n++].len) {
        if (mcpsess_i_str_bad(pieces[n])) return MCPSESS_E_ARG;
        if (pieces[n].len > left) return MCPSESS_E_TOOBIG;
    }
    for (; r->i.used > left; ++*dropped) (void)mcpsess_ring_drop(r);
    mcpsess_buf_init(&head, bytes, sizeof bytes);
    mcpsess_i_put_le(&head, r->i.cap - left - MCPSESS_RING_HEAD, 4);
    mcpsess_i_put_le(&head, stamp, 8);
    at = r->i.used;
    mcpsess_i_ring_write(r, at, mcpsess_buf_str(&head));
    at += MCPSESS_RING_HEAD;
    for (n = 0; n < count; at += (uint32_t)pieces[n++].len) mcpsess_i_ring_write(r, at, pieces[n]);
    r->i.used = at;
    r->i.count++;
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_ring_next(const mcpsess_ring *r, mcpsess_ring_cursor *cursor, mcpsess_buf *out, uint32_t *len,
                                  uint64_t *stamp) {
    uint32_t bytes;
    if (!mcpsess_i_ring_ready(r) || cursor == NULL) return MCPSESS_E_ARG;
    if (cursor->number >= r->i.count) return MCPSESS_END;
    if (!mcpsess_i_ring_len(r, cursor->at, &bytes)) return MCPSESS_E_ARG; /* no cursor of this ring, or too old */
    if (len != NULL) *len = bytes;
    if (stamp != NULL) *stamp = mcpsess_i_ring_stamp(r, cursor->at);
    if (out != NULL) {
        if (!mcpsess_i_buf_fits(out, (size_t)bytes)) return MCPSESS_E_TOOBIG;
        if (bytes != 0) mcpsess_i_ring_read(r, cursor->at + MCPSESS_RING_HEAD, out->ptr + out->len, (size_t)bytes);
        out->len += (size_t)bytes;
    }
    cursor->at += MCPSESS_RING_HEAD + bytes;
    cursor->number++;
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_ring_drop(mcpsess_ring *r) {
    uint32_t len;
    if (!mcpsess_i_ring_ready(r)) return MCPSESS_E_ARG;
    if (r->i.count == 0 || !mcpsess_i_ring_len(r, 0, &len)) return MCPSESS_END;
    r->i.head = mcpsess_i_ring_place(r, MCPSESS_RING_HEAD + len);
    r->i.used -= MCPSESS_RING_HEAD + len;
    r->i.count--;
    return MCPSESS_OK;
}

MCPSESS_API void mcpsess_ring_clear(mcpsess_ring *r) {
    if (r != NULL) r->i.head = r->i.used = r->i.count = 0;
}

MCPSESS_API uint32_t mcpsess_ring_count(const mcpsess_ring *r) {
    return r != NULL ? r->i.count : 0;
}

MCPSESS_API int mcpsess_ring_check(const mcpsess_ring *r) {
    uint32_t at = 0, n, len;
    if (!mcpsess_i_ring_ready(r)) return MCPSESS_E_ARG;
    if (r->i.cap > INT32_MAX || r->i.head >= r->i.cap || r->i.used > r->i.cap) return MCPSESS_E_CORRUPT;
    for (n = 0; n < r->i.count; n++) {
        if (!mcpsess_i_ring_len(r, at, &len)) return MCPSESS_E_CORRUPT;
        at += MCPSESS_RING_HEAD + len;
    }
    return at == r->i.used ? MCPSESS_OK : MCPSESS_E_CORRUPT;
}

#endif /* MCPSESS_NO_STREAM */

/* ==== record ==== */
/* uses: base */

#define MCPSESS_I_RECORD_MAX 65535u

MCPSESS_API int mcpsess_principal_check(const mcpsess_principal *who) {
    if (who == NULL || mcpsess_i_str_bad(who->issuer) || mcpsess_i_str_bad(who->subject)) return MCPSESS_E_ARG;
    if (who->issuer.len == 0 && who->subject.len == 0) return MCPSESS_OK;
    if (who->issuer.len == 0 || who->subject.len == 0) return MCPSESS_E_PRINCIPAL;
    if (who->issuer.len >= MCPSESS_PRINCIPAL_MAX || who->subject.len >= MCPSESS_PRINCIPAL_MAX - who->issuer.len) {
        return MCPSESS_E_TOOBIG;
    }
    if (mcpsess_i_find_nul(who->issuer) < who->issuer.len) return MCPSESS_E_PRINCIPAL;
    return mcpsess_i_find_nul(who->subject) < who->subject.len ? MCPSESS_E_PRINCIPAL : MCPSESS_OK;
}

static size_t mcpsess_i_principal_len(const mcpsess_principal *who) {
    return who->issuer.len == 0 ? 0 : who->issuer.len + 1 + who->subject.len;
}

static bool mcpsess_i_principal_eq(const mcpsess_principal *a, const mcpsess_principal *b) {
    bool issuer = mcpsess_str_eq_ct(a->issuer, b->issuer);
    bool subject = mcpsess_str_eq_ct(a->subject, b->subject);
    return issuer && subject;
}

/* MCP 2025-11-25, Session Management: visible ASCII. */
static bool mcpsess_i_id_valid(mcpsess_str id, size_t max) {
    size_t n;
    if (mcpsess_i_str_bad(id) || id.len == 0 || id.len > max) return false;
    for (n = 0; n < id.len; n++) {
        if (id.ptr[n] < 0x21 || id.ptr[n] > 0x7E) return false;
    }
    return true;
}

/* A reader over encoded bytes: once something is missing it is `bad`, and everything after is empty. */
typedef struct mcpsess_i_reader {
    const char *ptr;
    size_t left;
    bool bad;
} mcpsess_i_reader;

static mcpsess_str mcpsess_i_take(mcpsess_i_reader *r, size_t n) {
    mcpsess_str s = {NULL, 0};
    if (r->bad || n > r->left) {
        r->bad = true;
        return s;
    }
    s = mcpsess_str_of(r->ptr, n);
    r->ptr += n;
    r->left -= n;
    return s;
}

static uint64_t mcpsess_i_take_le(mcpsess_i_reader *r, unsigned bytes) {
    mcpsess_str s = mcpsess_i_take(r, bytes);
    uint64_t v = 0;
    while (s.len > 0) v = v << 8 | (unsigned char)s.ptr[--s.len];
    return v;
}

/* A slice behind its own length. */
static mcpsess_str mcpsess_i_take_str(mcpsess_i_reader *r, unsigned length_bytes) {
    return mcpsess_i_take(r, (size_t)mcpsess_i_take_le(r, length_bytes));
}

/* Version and principal: what every record begins with. */
static mcpsess_principal mcpsess_i_take_owner(mcpsess_i_reader *r) {
    mcpsess_principal who = {{NULL, 0}, {NULL, 0}};
    mcpsess_str both;
    size_t n;
    if (mcpsess_i_take_le(r, 1) != MCPSESS_RECORD_VERSION) r->bad = true;
    both = mcpsess_i_take_str(r, 2);
    if (both.len == 0) return who;
    n = mcpsess_i_find_nul(both);
    if (n == both.len) {
        r->bad = true;
        return who;
    }
    who.issuer = mcpsess_str_of(both.ptr, n);
    who.subject = mcpsess_str_of(both.ptr + n + 1, both.len - n - 1);
    if (mcpsess_principal_check(&who) != MCPSESS_OK || both.len == 1) r->bad = true;
    return who;
}

static mcpsess_i_reader mcpsess_i_reader_of(mcpsess_str bytes) {
    mcpsess_i_reader r;
    r.ptr = bytes.ptr;
    r.left = bytes.len;
    r.bad = false;
    return r;
}

MCPSESS_API bool mcpsess_record_owned(mcpsess_str bytes, const mcpsess_principal *who) {
    mcpsess_principal owner;
    size_t len;
    if (who == NULL || bytes.ptr == NULL || bytes.len < 3 || bytes.ptr[0] != MCPSESS_RECORD_VERSION) return false;
    len = (size_t)mcpsess_i_le16(bytes.ptr + 1);
    if (len == 0) return who->issuer.len == 0 && who->subject.len == 0;
    if (who->issuer.len == 0 || who->issuer.len >= len || who->subject.len != len - who->issuer.len - 1) return false;
    if (len > bytes.len - 3) return false;
    owner.issuer = mcpsess_str_of(bytes.ptr + 3, who->issuer.len);
    owner.subject = mcpsess_str_of(bytes.ptr + 3 + who->issuer.len + 1, who->subject.len);
    return bytes.ptr[3 + who->issuer.len] == '\0' && mcpsess_i_principal_eq(&owner, who);
}

static void mcpsess_i_put_str(mcpsess_buf *b, mcpsess_str s, unsigned length_bytes) {
    mcpsess_i_put_le(b, s.len, length_bytes);
    mcpsess_buf_put(b, s);
}

MCPSESS_API int mcpsess_record_owner(const mcpsess_principal *who, mcpsess_buf *out) {
    size_t mark;
    int rc = mcpsess_principal_check(who);
    if (out == NULL) return MCPSESS_E_ARG;
    if (rc != MCPSESS_OK) return rc;
    if (out->overflow) return MCPSESS_E_TOOBIG;
    mark = out->len;
    mcpsess_i_put_le(out, MCPSESS_RECORD_VERSION, 1);
    mcpsess_i_put_le(out, mcpsess_i_principal_len(who), 2);
    if (who->issuer.len != 0) {
        mcpsess_buf_put(out, who->issuer);
        mcpsess_buf_put_char(out, '\0');
        mcpsess_buf_put(out, who->subject);
    }
    return mcpsess_i_buf_settle(out, mark);
}

MCPSESS_API int mcpsess_record_encode(const mcpsess_record *r, mcpsess_buf *out) {
    int rc;
    if (r == NULL || out == NULL || out->len != 0 || mcpsess_i_str_bad(r->backend)) return MCPSESS_E_ARG;
    if (r->created_ms > MCPSESS_RECORD_TIME_MAX || r->updated_ms > MCPSESS_RECORD_TIME_MAX) return MCPSESS_E_ARG;
    if (!mcpsess_i_id_valid(r->id, 255)) return MCPSESS_E_ID;
    if (r->backend.len > UINT16_MAX) return MCPSESS_E_TOOBIG;
    rc = mcpsess_record_owner(&r->principal, out);
    if (rc != MCPSESS_OK) return rc;
    mcpsess_i_put_le(out, r->state, 1);
    mcpsess_i_put_le(out, r->created_ms, 6);
    mcpsess_i_put_le(out, r->updated_ms, 6);
    mcpsess_i_put_str(out, r->id, 1);
    mcpsess_i_put_str(out, r->backend, 2);
    mcpsess_i_put_le(out, r->pair_count, 2);
    mcpsess_buf_put(out, r->i.pairs);
    if (out->len > MCPSESS_I_RECORD_MAX) out->overflow = true;
    return mcpsess_i_buf_settle(out, 0);
}

/* The pairs are the rest of the record: all there, sorted, each key once. */
static bool mcpsess_i_pairs_hold(mcpsess_i_reader r, uint16_t count) {
    mcpsess_str last = {NULL, 0};
    uint16_t n;
    for (n = 0; n < count; n++) {
        mcpsess_str key = mcpsess_i_take_str(&r, 2);
        (void)mcpsess_i_take_str(&r, 2);
        if (r.bad || mcpsess_str_order(last, key) >= 0) return false; /* an empty key is not after the empty `last` */
        last = key;
    }
    return r.left == 0;
}

MCPSESS_API int mcpsess_record_decode(mcpsess_str bytes, mcpsess_record *r) {
    mcpsess_i_reader in = mcpsess_i_reader_of(bytes);
    if (r == NULL) return MCPSESS_E_ARG;
    memset(r, 0, sizeof *r);
    if (mcpsess_i_str_bad(bytes)) return MCPSESS_E_ARG;
    if (bytes.len > MCPSESS_I_RECORD_MAX) return MCPSESS_E_FORMAT;
    r->principal = mcpsess_i_take_owner(&in);
    r->state = (uint8_t)mcpsess_i_take_le(&in, 1);
    r->created_ms = mcpsess_i_take_le(&in, 6);
    r->updated_ms = mcpsess_i_take_le(&in, 6);
    r->id = mcpsess_i_take_str(&in, 1);
    r->backend = mcpsess_i_take_str(&in, 2);
    r->pair_count = (uint16_t)mcpsess_i_take_le(&in, 2);
    r->i.pairs = mcpsess_str_of(in.ptr, in.left);
    if (in.bad || !mcpsess_i_id_valid(r->id, 255) || !mcpsess_i_pairs_hold(in, r->pair_count)) {
        memset(r, 0, sizeof *r);
        return MCPSESS_E_FORMAT;
    }
    return MCPSESS_OK;
}

/* Whose record this is. */
static MCPSESS_I_APART int mcpsess_i_record_names(mcpsess_str bytes, mcpsess_str *id, mcpsess_principal *who) {
    mcpsess_record record;
    int rc = mcpsess_record_decode(bytes, &record);
    *id = record.id;
    *who = record.principal;
    return rc;
}

MCPSESS_API int mcpsess_record_next(const mcpsess_record *r, size_t *cursor, mcpsess_str *key, mcpsess_str *value) {
    mcpsess_i_reader in;
    if (r == NULL || cursor == NULL || key == NULL || value == NULL) return MCPSESS_E_ARG;
    if (*cursor > r->i.pairs.len) return MCPSESS_E_ARG;
    if (*cursor == r->i.pairs.len) return MCPSESS_END;
    in = mcpsess_i_reader_of(mcpsess_str_of(r->i.pairs.ptr + *cursor, r->i.pairs.len - *cursor));
    *key = mcpsess_i_take_str(&in, 2);
    *value = mcpsess_i_take_str(&in, 2);
    if (in.bad) return MCPSESS_E_ARG; /* a cursor that no call here returned */
    *cursor = r->i.pairs.len - in.left;
    return MCPSESS_OK;
}

/* Where a key is among the pairs, or would go: [*from, *to), empty if it is not there. */
static bool mcpsess_i_pair_find(const mcpsess_record *r, mcpsess_str key, size_t *from, size_t *to,
                                mcpsess_str *value) {
    mcpsess_str k;
    size_t cursor = 0;
    *from = *to = 0;
    while (mcpsess_record_next(r, &cursor, &k, value) == MCPSESS_OK) {
        int order = mcpsess_str_order(k, key);
        if (order > 0) break;
        *to = cursor;
        if (order == 0) return true;
        *from = cursor;
    }
    *to = *from;
    return false;
}

MCPSESS_API int mcpsess_record_get(const mcpsess_record *r, mcpsess_str key, mcpsess_str *value) {
    size_t from, to;
    if (r == NULL || value == NULL || mcpsess_i_str_bad(key)) return MCPSESS_E_ARG;
    if (mcpsess_i_pair_find(r, key, &from, &to, value)) return MCPSESS_OK;
    *value = mcpsess_str_of(NULL, 0);
    return MCPSESS_MISS;
}

/* Makes the part [from, to) of buf's pairs `bytes` long, and their number `count`. */
static char *mcpsess_i_pair_gap(mcpsess_buf *buf, const mcpsess_record *r, size_t from, size_t to, size_t bytes,
                                unsigned count) {
    char *pairs = buf->ptr + (buf->len - r->i.pairs.len);
    mcpsess_buf at;
    if (to < r->i.pairs.len) memmove(pairs + from + bytes, pairs + to, r->i.pairs.len - to);
    buf->len = buf->len - (to - from) + bytes;
    mcpsess_buf_init(&at, pairs - 2, 2);
    mcpsess_i_put_le(&at, count, 2);
    return pairs + from;
}

MCPSESS_API int mcpsess_record_put(mcpsess_buf *buf, mcpsess_str key, mcpsess_str value) {
    mcpsess_record r;
    mcpsess_str old;
    mcpsess_buf at;
    size_t from, to, room, bytes;
    bool there;
    if (buf == NULL || mcpsess_i_str_bad(key) || mcpsess_i_str_bad(value) || key.len == 0) return MCPSESS_E_ARG;
    if (mcpsess_record_decode(mcpsess_buf_str(buf), &r) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    there = mcpsess_i_pair_find(&r, key, &from, &to, &old);
    room = (buf->cap < MCPSESS_I_RECORD_MAX ? buf->cap : MCPSESS_I_RECORD_MAX) - (buf->len - (to - from));
    if (room < 4 || key.len > room - 4 || value.len > room - 4 - key.len) return MCPSESS_E_TOOBIG;
    bytes = 4 + key.len + value.len;
    mcpsess_buf_init(&at, mcpsess_i_pair_gap(buf, &r, from, to, bytes, r.pair_count + (there ? 0u : 1u)), bytes);
    mcpsess_i_put_str(&at, key, 2);
    mcpsess_i_put_str(&at, value, 2);
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_record_del(mcpsess_buf *buf, mcpsess_str key) {
    mcpsess_record r;
    mcpsess_str old;
    size_t from, to;
    if (buf == NULL || mcpsess_i_str_bad(key)) return MCPSESS_E_ARG;
    if (mcpsess_record_decode(mcpsess_buf_str(buf), &r) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    if (!mcpsess_i_pair_find(&r, key, &from, &to, &old)) return MCPSESS_MISS;
    (void)mcpsess_i_pair_gap(buf, &r, from, to, 0, r.pair_count - 1u);
    return MCPSESS_OK;
}

/* ==== backends ==== */
/* uses: base record */

static bool mcpsess_i_backends_bad(const mcpsess_backends *b) {
    return b == NULL || mcpsess_i_str_bad(b->list) || b->list.len == 0 || mcpsess_i_str_bad(b->session);
}

static bool mcpsess_i_white(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next name of a list that is not empty, from *at on; *at goes behind it. */
static bool mcpsess_i_backends_take(mcpsess_str list, size_t *at, mcpsess_str *name) {
    while (*at < list.len) {
        size_t from = *at, to = from;
        while (to < list.len && list.ptr[to] != ',') to++;
        *at = to < list.len ? to + 1 : to;
        while (from < to && mcpsess_i_white(list.ptr[from])) from++;
        while (from < to && mcpsess_i_white(list.ptr[to - 1])) to--;
        *name = mcpsess_str_of(list.ptr + from, to - from);
        if (from < to) return true;
    }
    return false;
}

/* A backend's own pair. */
static bool mcpsess_i_backends_own(const mcpsess_backends *b, const mcpsess_record *r, mcpsess_str name,
                                   mcpsess_str *key, mcpsess_str *value) {
    const size_t n = b->session.len;
    size_t cursor = 0;
    while (n != 0 && mcpsess_record_next(r, &cursor, key, value) == MCPSESS_OK) {
        if (key->len < n || !mcpsess_str_eq(mcpsess_str_of(key->ptr, n), b->session)) continue;
        if (mcpsess_str_eq(mcpsess_str_of(key->ptr + n, key->len - n), name)) return true;
    }
    *value = mcpsess_str_of(NULL, 0);
    return false;
}

MCPSESS_API int mcpsess_backends_next(const mcpsess_backends *b, const mcpsess_record *r, size_t *cursor,
                                      mcpsess_str *name, mcpsess_str *session) {
    mcpsess_str list, key;
    int rc;
    if (mcpsess_i_backends_bad(b) || cursor == NULL || name == NULL || session == NULL) return MCPSESS_E_ARG;
    rc = mcpsess_record_get(r, b->list, &list);
    if (rc != MCPSESS_OK) return rc;
    if (*cursor > list.len) return MCPSESS_E_ARG;
    if (!mcpsess_i_backends_take(list, cursor, name)) return MCPSESS_END;
    (void)mcpsess_i_backends_own(b, r, *name, &key, session);
    return MCPSESS_OK;
}

/* Takes a name out of a list, in place. -> its length */
static size_t mcpsess_i_backends_pack(char *list, size_t len, mcpsess_str name) {
    size_t at = 0, kept = 0;
    mcpsess_str one;
    while (mcpsess_i_backends_take(mcpsess_str_of(list, len), &at, &one)) {
        if (mcpsess_str_eq(one, name)) continue;
        if (kept != 0) list[kept++] = ','; /* there was one at least as far behind */
        memmove(list + kept, one.ptr, one.len);
        kept += one.len;
    }
    return kept;
}

/* -> was it in there? */
static bool mcpsess_i_backends_unlist(const mcpsess_backends *b, mcpsess_buf *record, mcpsess_str name) {
    mcpsess_record r;
    mcpsess_str list;
    mcpsess_buf at;
    size_t from, to, left;
    char *text;
    (void)mcpsess_record_decode(mcpsess_buf_str(record), &r);
    (void)mcpsess_i_pair_find(&r, b->list, &from, &to, &list);
    if (list.len == 0) return false;
    text = record->ptr + (list.ptr - record->ptr);
    left = mcpsess_i_backends_pack(text, list.len, name);
    mcpsess_buf_init(&at, text - 2, 2);
    mcpsess_i_put_le(&at, left, 2);
    (void)mcpsess_i_pair_gap(record, &r, to - (list.len - left), to, 0, r.pair_count);
    return left != list.len;
}

MCPSESS_API int mcpsess_backends_del(const mcpsess_backends *b, mcpsess_buf *record, mcpsess_str name) {
    mcpsess_record r;
    mcpsess_str key, value;
    bool had;
    if (mcpsess_i_backends_bad(b) || record == NULL || mcpsess_i_str_bad(name) || name.len == 0) return MCPSESS_E_ARG;
    if (mcpsess_record_decode(mcpsess_buf_str(record), &r) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    if (r.state == MCPSESS_STATE_TERMINATED || mcpsess_record_get(&r, b->list, &value) != MCPSESS_OK)
        return MCPSESS_MISS;
    had = mcpsess_i_backends_own(b, &r, name, &key, &value);
    if (had) (void)mcpsess_record_del(record, key);
    return mcpsess_i_backends_unlist(b, record, name) || had ? MCPSESS_OK : MCPSESS_END;
}

MCPSESS_API int mcpsess_backends_check(const mcpsess_backends *b, const mcpsess_record *r, mcpsess_str list) {
    mcpsess_str now, ours, theirs;
    size_t at = 0, cursor = 0;
    int rc;
    if (mcpsess_i_backends_bad(b) || mcpsess_i_str_bad(list) || r == NULL) return MCPSESS_E_ARG;
    if (r->state == MCPSESS_STATE_TERMINATED) return MCPSESS_MISS;
    rc = mcpsess_record_get(r, b->list, &now);
    if (rc != MCPSESS_OK) return rc == MCPSESS_MISS ? MCPSESS_OK : rc;
    while (mcpsess_i_backends_take(now, &cursor, &theirs)) {
        if (!mcpsess_i_backends_take(list, &at, &ours) || !mcpsess_str_eq(ours, theirs)) return MCPSESS_STALE;
    }
    return mcpsess_i_backends_take(list, &at, &ours) ? MCPSESS_STALE : MCPSESS_OK;
}

/* ==== op ==== */
/* uses: nothing */

MCPSESS_API void mcpsess_op_init(mcpsess_op *op, uint32_t timeout_ms) {
    if (op == NULL) return;
    memset(op, 0, sizeof *op);
    op->timeout_ms = timeout_ms;
    op->i.rc = MCPSESS_E_STATE;
}

MCPSESS_API int mcpsess_op_begin(mcpsess_op *op, const mcpsess_op_class *cls, void *object) {
    if (op == NULL || cls == NULL) return MCPSESS_E_ARG;
    if (op->i.rc == MCPSESS_PENDING) return MCPSESS_E_STATE;
    op->left_ms = 0;
    op->count = 0;
    op->need = 0;
    op->stale = false;
    op->i.cls = cls;
    op->i.object = object;
    return op->i.rc = MCPSESS_PENDING;
}

MCPSESS_API int mcpsess_op_end(mcpsess_op *op, int rc) {
    return op->i.rc = rc;
}

MCPSESS_API int mcpsess_op_rc(const mcpsess_op *op) {
    return op == NULL ? MCPSESS_E_ARG : op->i.rc;
}

MCPSESS_API void *mcpsess_op_object(const mcpsess_op *op) {
    return op->i.object;
}

MCPSESS_API int mcpsess_poll(mcpsess_op *op, uint64_t now_ms) {
    if (op == NULL) return MCPSESS_E_ARG;
    return op->i.cls != NULL ? op->i.cls->poll(op, now_ms) : op->i.rc;
}

MCPSESS_API void mcpsess_cancel(mcpsess_op *op) {
    if (op != NULL && op->i.cls != NULL) op->i.cls->cancel(op);
}

MCPSESS_API uint64_t mcpsess_next_due(mcpsess_op *op, uint64_t now_ms) {
    return op != NULL && op->i.cls != NULL ? op->i.cls->next_due(op, now_ms) : MCPSESS_NEVER;
}

MCPSESS_API unsigned mcpsess_want(mcpsess_op *op) {
    return op != NULL && op->i.cls != NULL ? op->i.cls->want(op) : 0;
}

MCPSESS_API int mcpsess_wait(mcpsess_op *op, int begun, const mcpsess_wait_hook *hook) {
    if (op == NULL || hook == NULL || hook->now_ms == NULL || hook->wait == NULL) return MCPSESS_E_ARG;
    while (begun == MCPSESS_PENDING) {
        uint64_t due_ms = mcpsess_next_due(op, hook->now_ms(hook->user));
        if (hook->wait(hook->user, mcpsess_want(op), due_ms) != 0) mcpsess_cancel(op);
        begun = mcpsess_poll(op, hook->now_ms(hook->user));
    }
    return begun;
}

/* ==== store ==== */
/* uses: base event */

static bool mcpsess_i_request_bad(const mcpsess_request *r) {
    if (mcpsess_i_str_bad(r->key) || mcpsess_i_str_bad(r->value) || mcpsess_i_str_bad(r->expect)) return true;
    if (mcpsess_i_str_bad(r->owner.issuer) || mcpsess_i_str_bad(r->owner.subject)) return true;
    if (r->kind == 0 || r->kind > MCPSESS_LOG_DEL || (r->kind == MCPSESS_PUT && r->mode > MCPSESS_PUT_CAS)) return true;
    if (r->kind == MCPSESS_FLAG_CLEAR && r->mode > 1) return true;
    return r->key.len == 0 && r->kind != MCPSESS_SWEEP;
}

/* A token, and a time for which it is to hold. */
static int mcpsess_i_token_check(const mcpsess_request *r) {
    if (r->value.len > MCPSESS_TOKEN_MAX) return MCPSESS_E_TOOBIG;
    return r->value.len == 0 || (r->ttl_ms == 0 && r->kind != MCPSESS_LEASE_RELEASE) ? MCPSESS_E_ARG : MCPSESS_OK;
}

#ifndef MCPSESS_NO_FLIGHT

static int mcpsess_i_flag_check(const mcpsess_request *r) {
    const mcpsess_flag_request *f = (const mcpsess_flag_request *)(const void *)r;
    if (r->expect.len > MCPSESS_FINGERPRINT_MAX) return MCPSESS_E_TOOBIG;
    if (r->kind == MCPSESS_FLAG_CLAIM) return mcpsess_i_token_check(r);
    if (r->kind != MCPSESS_FLAG_SET) return MCPSESS_OK;
    if (mcpsess_i_str_bad(f->data) || r->ttl_ms == 0) return MCPSESS_E_ARG;
    return r->value.len > MCPSESS_TOKEN_MAX ? MCPSESS_E_TOOBIG : MCPSESS_OK;
}

#endif /* MCPSESS_NO_FLIGHT */

#ifndef MCPSESS_NO_STREAM

static uint64_t mcpsess_i_ttl(uint64_t ms, uint32_t default_minutes) {
    return ms != 0 ? ms : default_minutes * (uint64_t)60000;
}

MCPSESS_API mcpsess_log_limits mcpsess_log_limits_of(const mcpsess_log_limits *l) {
    mcpsess_log_limits all;
    memset(&all, 0, sizeof all);
    if (l != NULL) all = *l;
    if (all.events == 0) all.events = 10000;
    if (all.bytes == 0) all.bytes = UINT32_C(4) << 20;
    if (all.bytes > INT32_MAX) all.bytes = INT32_MAX;
    all.event_ttl_ms = mcpsess_i_ttl(all.event_ttl_ms, 30);
    all.event_max_ms = mcpsess_i_ttl(all.event_max_ms, 120);
    all.log_ttl_ms = mcpsess_i_ttl(all.log_ttl_ms, 60);
    all.log_max_ms = mcpsess_i_ttl(all.log_max_ms, 240);
    if (all.event_ttl_ms > all.event_max_ms) all.event_ttl_ms = all.event_max_ms;
    if (all.log_ttl_ms < all.event_ttl_ms) all.log_ttl_ms = all.event_ttl_ms;
    if (all.log_max_ms < all.event_max_ms) all.log_max_ms = all.event_max_ms;
    return all;
}

static int mcpsess_i_log_check(const mcpsess_log_request *l) {
    const uint64_t most = (uint64_t)MCPSESS_SEQUENCE_MAX;
    const mcpsess_request *r = &l->request;
    if (mcpsess_i_str_bad(l->log.stream)) return MCPSESS_E_ARG;
    if (l->log.stream.len > MCPSESS_STREAM_MAX) return MCPSESS_E_TOOBIG;
    if (l->log.epoch > most || l->log.sequence > most || l->log.confirmed > most) return MCPSESS_E_ARG;
    switch (r->kind) {
    case MCPSESS_LOG_OPEN: return mcpsess_i_token_check(r);
    case MCPSESS_LOG_APPEND:
        if (r->ttl_ms == 0 || l->log.sequence == 0) return MCPSESS_E_ARG;
        return mcpsess_i_event_check(&l->log.event);
    case MCPSESS_LOG_SET: return r->ttl_ms == 0 ? MCPSESS_E_ARG : MCPSESS_OK;
    case MCPSESS_LOG_RANGE: return r->out == NULL ? MCPSESS_E_ARG : MCPSESS_OK;
    default: return MCPSESS_OK;
    }
}

#endif /* MCPSESS_NO_STREAM */

MCPSESS_API int mcpsess_request_check(const mcpsess_request *r) {
    if (mcpsess_i_request_bad(r)) return MCPSESS_E_ARG;
    if (r->key.len > MCPSESS_ID_MAX) return MCPSESS_E_TOOBIG;
#ifndef MCPSESS_NO_STREAM
    if (r->kind >= MCPSESS_LOG_OPEN) return mcpsess_i_log_check((const mcpsess_log_request *)(const void *)r);
#endif
#ifndef MCPSESS_NO_FLIGHT
    if (r->kind >= MCPSESS_FLAG_GET && r->kind <= MCPSESS_FLAG_CLEAR) return mcpsess_i_flag_check(r);
#endif
    if (r->kind < MCPSESS_LEASE_ACQUIRE || r->kind > MCPSESS_LEASE_RELEASE) return MCPSESS_OK;
    return mcpsess_i_token_check(r);
}

/* ==== memlog ==== */
/* uses: base lru event ring record store */

#ifndef MCPSESS_NO_STREAM

#define MCPSESS_I_NAME_MAX (1u + MCPSESS_ID_MAX + MCPSESS_STREAM_MAX)

/* One log request being served. */
typedef struct mcpsess_i_log_turn {
    mcpsess_log_request *l;
    mcpsess_log_limits limits;
    uint64_t now_ms;
    struct mcpsess_i_memlog *g; /* its log, once found */
    uint16_t at;                /* of its name */
    bool changed;               /* somebody may wait for this */
    mcpsess_i_note *note;
} mcpsess_i_log_turn;

static MCPSESS_I_APART void mcpsess_i_memlog_begin(mcpsess_i_log_turn *t, mcpsess_log_request *l) {
    memset(t, 0, sizeof *t);
    t->l = l;
    t->limits = mcpsess_log_limits_of(l->log.limits);
}

/* Session and stream as one key, whatever bytes they are made of. */
static mcpsess_str mcpsess_i_memlog_name(const mcpsess_log_request *l, char mem[MCPSESS_I_NAME_MAX]) {
    mcpsess_buf b;
    mcpsess_buf_init(&b, mem, MCPSESS_I_NAME_MAX);
    mcpsess_i_put_str(&b, l->request.key, 1);
    mcpsess_buf_put(&b, l->log.stream);
    return mcpsess_buf_str(&b);
}

/* May this request see that log? */
static bool mcpsess_i_memlog_owns(mcpsess_memstore *m, const mcpsess_i_log_turn *t, const struct mcpsess_i_memlog *g) {
    if (!t->l->request.guarded) return true;
    if (mcpsess_record_owned(mcpsess_str_of(g->owner, g->owner_len), &t->l->request.owner)) return true;
    m->stats.foreign++;
    mcpsess_i_note_set(t->note, MCPSESS_LOG_WARN, MCPSESS_ITEM_FOREIGN_OWNER, m->stats.foreign);
    return false;
}

static void mcpsess_i_memlog_clear(struct mcpsess_i_memlog *g) {
    mcpsess_ring_clear(&g->ring);
    g->place_at = g->place_number = 0;
}

/* The log of the request, if it has not expired; its events go where they have. */
static MCPSESS_I_APART void mcpsess_i_memlog_find(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    char mem[MCPSESS_I_NAME_MAX];
    t->at = mcpsess_i_lru_live(&m->i.names, mcpsess_i_memlog_name(t->l, mem), t->now_ms, &m->stats.expired);
    t->g = t->at == MCPSESS_I_NIL ? NULL : &m->i.logs[t->at];
    if (t->g != NULL && t->now_ms >= t->g->events_until_ms) mcpsess_i_memlog_clear(t->g);
}

/* -- what a log keeps: events last + 1 - count ... last, and their bytes -- */

static uint32_t mcpsess_i_memlog_bytes(const struct mcpsess_i_memlog *g) {
    return g->ring.i.used - g->ring.i.count * MCPSESS_RING_HEAD;
}

/* Is its oldest event, or the one at the cursor, too old to be replayed?  -> false also if there is none */
static bool mcpsess_i_memlog_aged(const mcpsess_i_log_turn *t, mcpsess_ring_cursor *cursor) {
    uint64_t stamp;
    mcpsess_ring_cursor next = *cursor;
    if (mcpsess_ring_next(&t->g->ring, &next, NULL, NULL, &stamp) != MCPSESS_OK) return false;
    if (mcpsess_time_add(stamp, t->limits.event_max_ms) > t->now_ms) return false;
    *cursor = next;
    return true;
}

/* The oldest event that can be replayed, and the cursor there. */
static uint64_t mcpsess_i_memlog_first(const mcpsess_i_log_turn *t, mcpsess_ring_cursor *cursor) {
    memset(cursor, 0, sizeof *cursor);
    while (mcpsess_i_memlog_aged(t, cursor)) {
    }
    return t->g->last + 1 - t->g->ring.i.count + cursor->number;
}

/* Puts the cursor on an event that there is. */
static void mcpsess_i_memlog_seek(const struct mcpsess_i_memlog *g, uint64_t sequence, mcpsess_ring_cursor *cursor) {
    uint64_t oldest = g->last + 1 - g->ring.i.count;
    if (g->place_number > cursor->number && oldest + g->place_number <= sequence) {
        cursor->at = g->place_at;
        cursor->number = g->place_number;
    }
    while (oldest + cursor->number < sequence && mcpsess_ring_next(&g->ring, cursor, NULL, NULL, NULL) == MCPSESS_OK) {
    }
}

static void mcpsess_i_memlog_drop_oldest(struct mcpsess_i_memlog *g) {
    uint32_t used = g->ring.i.used;
    (void)mcpsess_ring_drop(&g->ring);
    if (g->place_number == 0) return;
    g->place_number--;
    g->place_at -= used - g->ring.i.used;
}

/* -- life -- */

static void mcpsess_i_memlog_lives(mcpsess_memstore *m, mcpsess_i_log_turn *t, uint64_t until_ms) {
    m->i.names.i.nodes[t->at].expires_ms = until_ms;
    if (t->g->log_until_ms < until_ms) t->g->log_until_ms = until_ms;
}

/* Every write gives the log its whole time again, and its writer the lease; it outlives the events there are. */
static void mcpsess_i_memlog_written(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    uint64_t until_ms = mcpsess_time_add(t->now_ms, t->limits.log_ttl_ms);
    t->g->log_until_ms = mcpsess_time_add(t->now_ms, t->limits.log_max_ms);
    if (until_ms > t->g->log_until_ms) until_ms = t->g->log_until_ms;
    if (t->g->ring.i.count != 0 && until_ms < t->g->events_until_ms) until_ms = t->g->events_until_ms;
    mcpsess_i_memlog_lives(m, t, until_ms);
    mcpsess_i_lru_refresh(&m->i.names, t->at);
    t->g->leased_until_ms = mcpsess_time_add(t->now_ms, t->l->request.ttl_ms);
}

/* A replay does so only if less than half of it is left, as with records; events and log together, so that the log
   outlives them. It makes nothing live shorter. */
static void mcpsess_i_memlog_kept(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    uint64_t expires_ms = m->i.names.i.nodes[t->at].expires_ms;
    uint64_t events_ms = mcpsess_time_add(t->now_ms, t->limits.event_ttl_ms);
    uint64_t until_ms = mcpsess_time_add(t->now_ms, t->limits.log_ttl_ms);
    mcpsess_i_lru_refresh(&m->i.names, t->at);
    if (mcpsess_time_left(t->now_ms, expires_ms) >= t->limits.log_ttl_ms / 2 &&
        (t->g->ring.i.count == 0 ||
         mcpsess_time_left(t->now_ms, t->g->events_until_ms) >= t->limits.event_ttl_ms / 2)) {
        return;
    }
    if (events_ms > t->g->events_until_ms) t->g->events_until_ms = events_ms;
    if (until_ms > t->g->log_until_ms) until_ms = t->g->log_until_ms;
    if (until_ms > expires_ms) mcpsess_i_memlog_lives(m, t, until_ms);
}

/* The log begins anew: under another epoch, so that no position of before is one of it. */
static void mcpsess_i_memlog_anew(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    t->g->epoch = ++m->i.fence;
    t->g->last = 0;
    t->g->done = false;
    mcpsess_i_memlog_clear(t->g);
    t->changed = true;
}

/* Room for one more log: of one that has expired, else of the complete one that was used least recently. */
static int mcpsess_i_memlog_room(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    mcpsess_lru *names = &m->i.names;
    uint64_t earliest;
    uint16_t at;
    if (names->i.len < names->i.capacity) return MCPSESS_OK;
    at = mcpsess_i_lru_purge(names, t->now_ms, &earliest);
    m->stats.expired += at;
    if (at != 0) return MCPSESS_OK;
    for (at = names->i.oldest; at != MCPSESS_I_NIL; at = names->i.nodes[at].newer) {
        if (!m->i.logs[at].done) continue;
        mcpsess_i_lru_remove(names, at);
        m->stats.logs_evicted++;
        mcpsess_i_note_set(t->note, MCPSESS_LOG_INFO, MCPSESS_ITEM_EVICTED, m->stats.logs_evicted);
        return MCPSESS_OK;
    }
    m->stats.refused++;
    mcpsess_i_note_set(t->note, MCPSESS_LOG_WARN, MCPSESS_ITEM_STORE_FULL, names->i.len);
    return MCPSESS_E_FULL;
}

static char *mcpsess_i_memlog_ring(const mcpsess_memstore *m, uint16_t at) {
    return m->i.rings + (size_t)at * (size_t)m->i.ring_bytes;
}

/* A place for its name, and so for the log. */
static MCPSESS_I_APART int mcpsess_i_memlog_enter(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    char mem[MCPSESS_I_NAME_MAX];
    mcpsess_str name = mcpsess_i_memlog_name(t->l, mem);
    int rc = mcpsess_lru_put(&m->i.names, name, mcpsess_str_of(NULL, 0), MCPSESS_NEVER);
    if (rc == MCPSESS_OK) t->at = mcpsess_i_lru_lookup(&m->i.names, name);
    return rc;
}

static int mcpsess_i_memlog_create(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    mcpsess_buf owner;
    int rc = mcpsess_principal_check(&t->l->request.owner);
    if (rc == MCPSESS_OK) rc = mcpsess_i_memlog_room(m, t);
    if (rc == MCPSESS_OK) rc = mcpsess_i_memlog_enter(m, t);
    if (rc != MCPSESS_OK) return rc;
    t->g = &m->i.logs[t->at];
    memset(t->g, 0, sizeof *t->g);
    (void)mcpsess_ring_init(&t->g->ring, mcpsess_i_memlog_ring(m, t->at), (size_t)m->i.ring_bytes);
    mcpsess_buf_init(&owner, t->g->owner, sizeof t->g->owner);
    (void)mcpsess_record_owner(&t->l->request.owner, &owner);
    t->g->owner_len = (uint16_t)owner.len;
    t->g->streaming = true;
    mcpsess_i_memlog_anew(m, t);
    return MCPSESS_OK;
}

/* -- the requests -- */

/* It is the writer now, if it was not before. */
static int mcpsess_i_memlog_taken(mcpsess_memstore *m, mcpsess_i_log_turn *t, bool before) {
    mcpsess_str token = t->l->request.value;
    if (!before) {
        t->g->writer = ++m->i.fence;
        t->g->token_len = (uint8_t)token.len;
        memcpy(t->g->token, token.ptr, token.len);
    }
    t->l->log.writer = t->g->writer;
    mcpsess_i_memlog_written(m, t);
    return MCPSESS_OK;
}

static int mcpsess_i_memlog_open(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    bool held, ours;
    if (t->g == NULL) {
        int rc = mcpsess_i_memlog_create(m, t);
        return rc == MCPSESS_OK ? mcpsess_i_memlog_taken(m, t, false) : rc;
    }
    held = t->g->leased_until_ms > t->now_ms;
    ours = held && mcpsess_str_eq_ct(mcpsess_str_of(t->g->token, t->g->token_len), t->l->request.value);
    if (held && !ours) return MCPSESS_BUSY;
    if (t->g->done && !t->l->log.fresh) return MCPSESS_END;
    if (t->l->log.fresh) {
        t->g->streaming = true;
        mcpsess_i_memlog_anew(m, t);
    }
    return mcpsess_i_memlog_taken(m, t, ours);
}

/* May this writer write, and is all there that it knows to be? If not, what there is is another log. */
static int mcpsess_i_memlog_writes(mcpsess_memstore *m, mcpsess_i_log_turn *t, uint64_t known) {
    if (t->l->log.writer != t->g->writer) return MCPSESS_FENCED;
    if (t->l->log.epoch != t->g->epoch) return MCPSESS_LOST_TAIL;
    if (known <= t->g->last) return MCPSESS_OK;
    mcpsess_i_memlog_anew(m, t);
    mcpsess_i_memlog_written(m, t);
    return MCPSESS_LOST_TAIL;
}

/* Is this event stored under this sequence? If it is gone by now, it was. */
static bool mcpsess_i_memlog_has(const mcpsess_i_log_turn *t, const mcpsess_str *pieces) {
    mcpsess_ring_cursor cursor = {0, 0};
    if (t->l->log.sequence + t->g->ring.i.count <= t->g->last) return true;
    mcpsess_i_memlog_seek(t->g, t->l->log.sequence, &cursor);
    return mcpsess_i_ring_holds(&t->g->ring, &cursor, pieces, MCPSESS_I_EVENT_PIECES);
}

/* Makes room for an event: what is too old goes, and what is over the bounds.  -> how many went for the latter */
static uint32_t mcpsess_i_memlog_trim(mcpsess_i_log_turn *t, uint32_t bytes) {
    mcpsess_ring *ring = &t->g->ring;
    uint32_t dropped = 0;
    mcpsess_ring_cursor cursor = {0, 0};
    for (; mcpsess_i_memlog_aged(t, &cursor); memset(&cursor, 0, sizeof cursor)) mcpsess_i_memlog_drop_oldest(t->g);
    while (ring->i.count >= t->limits.events || mcpsess_i_memlog_bytes(t->g) > t->limits.bytes - bytes ||
           ring->i.used > ring->i.cap - MCPSESS_RING_HEAD - bytes) {
        mcpsess_i_memlog_drop_oldest(t->g);
        dropped++;
    }
    return dropped;
}

static MCPSESS_I_APART int mcpsess_i_memlog_append(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    char head[MCPSESS_I_EVENT_HEAD + 4u];
    mcpsess_str pieces[MCPSESS_I_EVENT_PIECES];
    uint64_t bytes = mcpsess_event_bytes(&t->l->log.event);
    uint32_t dropped;
    int rc = mcpsess_i_memlog_writes(m, t, t->l->log.confirmed);
    if (rc != MCPSESS_OK) return rc;
    mcpsess_i_event_pieces(&t->l->log.event, head, pieces);
    if (t->l->log.sequence <= t->g->last) return mcpsess_i_memlog_has(t, pieces) ? MCPSESS_DUP : MCPSESS_LOST;
    if (t->l->log.sequence != t->g->last + 1 || t->g->done) return MCPSESS_LOST;
    if (bytes > t->limits.bytes || bytes + MCPSESS_RING_HEAD > t->g->ring.i.cap) {
        t->l->request.need = (size_t)bytes;
        return MCPSESS_E_TOOBIG;
    }
    dropped = mcpsess_i_memlog_trim(t, (uint32_t)bytes);
    m->stats.events++;
    m->stats.dropped += dropped;
    if (dropped != 0) mcpsess_i_note_set(t->note, MCPSESS_LOG_INFO, MCPSESS_ITEM_EVENTS_DROPPED, dropped);
    rc = mcpsess_ring_put(&t->g->ring, pieces, MCPSESS_I_EVENT_PIECES, t->now_ms, &dropped);
    t->g->last++;
    t->g->events_until_ms = mcpsess_time_add(t->now_ms, t->limits.event_ttl_ms);
    mcpsess_i_memlog_written(m, t);
    t->changed = true;
    return rc;
}

/* A complete log stays so: what is asked of it now was sent before, and is a repetition. */
static int mcpsess_i_memlog_set(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    struct mcpsess_i_memlog *g = t->g;
    int rc = mcpsess_i_memlog_writes(m, t, t->l->log.sequence);
    if (rc != MCPSESS_OK || g->done) return rc;
    t->changed = g->streaming != t->l->log.streaming || t->l->log.done;
    g->streaming = t->l->log.streaming;
    mcpsess_i_memlog_written(m, t);
    g->done = t->l->log.done;
    if (g->done) g->leased_until_ms = 0;
    return MCPSESS_OK;
}

static MCPSESS_I_APART int mcpsess_i_memlog_range(mcpsess_memstore *m, mcpsess_i_log_turn *t, uint32_t most) {
    mcpsess_log_request *l = t->l;
    mcpsess_ring_cursor cursor;
    uint32_t len = 0;
    int rc = MCPSESS_OK;
    if (l->log.epoch != 0 && l->log.epoch != t->g->epoch) return MCPSESS_GAP;
    if (l->log.sequence > t->g->last || l->log.sequence + 1 < mcpsess_i_memlog_first(t, &cursor)) return MCPSESS_GAP;
    mcpsess_i_memlog_seek(t->g, l->log.sequence + 1, &cursor);
    while (rc == MCPSESS_OK && (most == 0 || l->request.count < most)) {
        rc = mcpsess_ring_next(&t->g->ring, &cursor, l->request.out, &len, NULL);
        if (rc == MCPSESS_OK) l->request.count++;
    }
    t->g->place_at = cursor.at;
    t->g->place_number = cursor.number;
    if (rc == MCPSESS_E_TOOBIG && l->request.count == 0) {
        l->request.need = (size_t)len;
        return rc;
    }
    if (l->request.ttl_ms != 0) mcpsess_i_memlog_kept(m, t);
    return MCPSESS_OK;
}

static void mcpsess_i_memlog_drop(mcpsess_memstore *m, mcpsess_i_log_turn *t, uint16_t at) {
    struct mcpsess_i_memlog *g = &m->i.logs[at];
    if (!mcpsess_i_memlog_owns(m, t, g)) return;
    if (t->now_ms < g->events_until_ms) t->l->request.count += g->ring.i.count;
    mcpsess_i_lru_remove(&m->i.names, at);
    t->changed = true;
}

static int mcpsess_i_memlog_del(mcpsess_memstore *m, mcpsess_i_log_turn *t) {
    mcpsess_str session = t->l->request.key;
    uint16_t at = m->i.names.i.oldest, newer;
    if (t->l->log.stream.ptr != NULL) {
        if (t->at != MCPSESS_I_NIL) mcpsess_i_memlog_drop(m, t, t->at);
        return MCPSESS_OK;
    }
    for (; at != MCPSESS_I_NIL; at = newer) { /* all whose names begin with the session */
        mcpsess_str name = mcpsess_i_lru_key(&m->i.names, at);
        newer = m->i.names.i.nodes[at].newer;
        if ((unsigned char)name.ptr[0] != session.len || memcmp(name.ptr + 1, session.ptr, session.len) != 0) continue;
        if (!mcpsess_i_lru_expired(&m->i.names, at, t->now_ms)) mcpsess_i_memlog_drop(m, t, at);
    }
    return MCPSESS_OK;
}

/* What there is to know of a log, for everybody who may see it. */
static void mcpsess_i_memlog_state(const mcpsess_i_log_turn *t) {
    mcpsess_ring_cursor cursor;
    mcpsess_log_request *l = t->l;
    l->log.epoch = t->g->epoch;
    l->log.first = mcpsess_i_memlog_first(t, &cursor);
    l->log.last = t->g->last;
    l->log.streaming = t->g->streaming;
    l->log.done = t->g->done;
    l->request.left_ms = mcpsess_time_left(t->now_ms, t->g->leased_until_ms);
}

static int mcpsess_i_memlog_do(mcpsess_memstore *m, mcpsess_i_log_turn *t, uint32_t count) {
    uint8_t kind = t->l->request.kind;
    if (kind == MCPSESS_LOG_DEL) return mcpsess_i_memlog_del(m, t);
    if (t->g == NULL && kind != MCPSESS_LOG_OPEN) return MCPSESS_MISS;
    if (t->g != NULL && !mcpsess_i_memlog_owns(m, t, t->g)) return MCPSESS_MISS;
    switch (kind) {
    case MCPSESS_LOG_OPEN: return mcpsess_i_memlog_open(m, t);
    case MCPSESS_LOG_APPEND: return mcpsess_i_memlog_append(m, t);
    case MCPSESS_LOG_SET: return mcpsess_i_memlog_set(m, t);
    case MCPSESS_LOG_RANGE: return mcpsess_i_memlog_range(m, t, count);
    default: return MCPSESS_OK;
    }
}

/* -> the result; *tell: who is to be told that the session's logs have changed, if anybody */
static MCPSESS_I_APART int mcpsess_i_memlog_serve(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms,
                                                  mcpsess_i_note *note, const mcpsess_listener **tell) {
    mcpsess_i_log_turn t;
    uint32_t count = r->count;
    int rc;
    mcpsess_i_memlog_begin(&t, (mcpsess_log_request *)(void *)r);
    r->count = 0;
    t.l->log.first = t.l->log.last = 0;
    if (!mcpsess_i_lru_ready(&m->i.names)) return MCPSESS_E_UNSUPPORTED;
    t.now_ms = now_ms;
    t.note = note;
    mcpsess_i_memlog_find(m, &t);
    rc = mcpsess_i_memlog_do(m, &t, count);
    if (t.g != NULL && rc != MCPSESS_MISS && r->kind != MCPSESS_LOG_DEL) mcpsess_i_memlog_state(&t);
    if (t.changed) *tell = m->i.listener;
    return rc;
}

/* The ring is this log's, and the place in it is where an entry begins, or the end. */
static bool mcpsess_i_memlog_ring_holds(const mcpsess_memstore *m, uint16_t at) {
    const struct mcpsess_i_memlog *g = &m->i.logs[at];
    mcpsess_ring_cursor cursor = {0, 0};
    if (mcpsess_ring_check(&g->ring) != MCPSESS_OK || g->ring.i.cap != m->i.ring_bytes) return false;
    if (g->ring.i.bytes != mcpsess_i_memlog_ring(m, at) || g->ring.i.count > g->last) return false;
    while (cursor.number < g->place_number && mcpsess_ring_next(&g->ring, &cursor, NULL, NULL, NULL) == MCPSESS_OK) {
    }
    return cursor.number == g->place_number && cursor.at == g->place_at;
}

/* Everything that holds of a log between two requests. */
static bool mcpsess_i_memlog_holds(const mcpsess_memstore *m, uint16_t at) {
    const struct mcpsess_i_memlog *g = &m->i.logs[at];
    mcpsess_str name = mcpsess_i_lru_key(&m->i.names, at);
    if ((unsigned char)name.ptr[0] >= name.len || name.ptr[0] == 0) return false;
    if (g->epoch == 0 || g->epoch > m->i.fence || g->writer == 0 || g->writer > m->i.fence) return false;
    if (g->token_len == 0 || g->token_len > MCPSESS_TOKEN_MAX || g->owner_len > sizeof g->owner) return false;
    if (g->done && g->leased_until_ms != 0) return false;
    return m->i.names.i.nodes[at].expires_ms <= g->log_until_ms && mcpsess_i_memlog_ring_holds(m, at);
}

static bool mcpsess_i_memlogs_hold(const mcpsess_memstore *m) {
    uint16_t at;
    if (!mcpsess_i_lru_ready(&m->i.names)) return true;
    if (mcpsess_lru_check(&m->i.names) != MCPSESS_OK) return false;
    for (at = m->i.names.i.oldest; at != MCPSESS_I_NIL; at = m->i.names.i.nodes[at].newer) {
        if (!mcpsess_i_memlog_holds(m, at)) return false;
    }
    return true;
}

/* Places the logs in what is left of the storage. */
static int mcpsess_i_memlog_init(mcpsess_memstore *m, const mcpsess_memstore_desc *d, char *mem) {
    mcpsess_lru_desc names = mcpsess_i_lru_by_id(d->logs, 0, d->seed, d->hash);
    size_t bytes;
    int rc;
    names.key_max = MCPSESS_I_NAME_MAX;
    bytes = (size_t)MCPSESS_I_ROUND8(mcpsess_lru_bytes(&names));
    rc = mcpsess_lru_init(&m->i.names, &names, mem, bytes);
    m->i.logs = (struct mcpsess_i_memlog *)(void *)(mem + bytes);
    m->i.rings = (char *)(m->i.logs + d->logs);
    m->i.ring_bytes = d->log_bytes;
    return rc;
}

#endif /* MCPSESS_NO_STREAM */

/* ==== memlease ==== */
/* uses: base lru record store */

/* Drops what has expired. *earliest is when the next entry will. */
static uint16_t mcpsess_i_memstore_purge(mcpsess_memstore *m, mcpsess_lru *table, uint64_t now_ms, uint64_t *earliest) {
    uint16_t dropped = mcpsess_i_lru_purge(table, now_ms, earliest);
    m->stats.expired += dropped;
    return dropped;
}

/* -- leases: the value is the fence, then the holder's token -- */

/* Whose the lease is. -> OK: this token's (at, fence), BUSY: another's (at), MISS: nobody's; but for that: left_ms */
static int mcpsess_i_memlease_find(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms, uint16_t *at) {
    mcpsess_i_reader held;
    uint64_t fence;
    *at = mcpsess_i_lru_live(&m->i.leases, r->key, now_ms, &m->stats.expired);
    if (*at == MCPSESS_I_NIL) return MCPSESS_MISS;
    held = mcpsess_i_reader_of(mcpsess_i_lru_value(&m->i.leases, *at));
    fence = mcpsess_i_take_le(&held, 8);
    r->left_ms = mcpsess_time_left(now_ms, m->i.leases.i.nodes[*at].expires_ms);
    if (!mcpsess_str_eq_ct(mcpsess_str_of(held.ptr, held.left), r->value)) return MCPSESS_BUSY;
    r->fence = fence;
    return MCPSESS_OK;
}

/* The lease is this token's already. */
static int mcpsess_i_memlease_renew(mcpsess_memstore *m, mcpsess_request *r, uint16_t at, uint64_t now_ms) {
    m->i.leases.i.nodes[at].expires_ms = mcpsess_time_add(now_ms, r->ttl_ms);
    r->left_ms = r->ttl_ms;
    return MCPSESS_OK;
}

static int mcpsess_i_memlease_acquire(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms) {
    char bytes[MCPSESS_I_LEASE_BYTES];
    mcpsess_buf value;
    uint64_t earliest;
    uint16_t at;
    int rc = mcpsess_i_memlease_find(m, r, now_ms, &at);
    if (rc != MCPSESS_MISS) return rc == MCPSESS_OK ? mcpsess_i_memlease_renew(m, r, at, now_ms) : rc;
    if (m->i.leases.i.len == m->i.leases.i.capacity &&
        mcpsess_i_memstore_purge(m, &m->i.leases, now_ms, &earliest) == 0) {
        m->stats.refused++;
        return MCPSESS_E_FULL;
    }
    r->fence = ++m->i.fence;
    r->left_ms = r->ttl_ms;
    mcpsess_buf_init(&value, bytes, sizeof bytes);
    mcpsess_i_put_le(&value, r->fence, 8);
    mcpsess_buf_put(&value, r->value);
    return mcpsess_lru_put(&m->i.leases, r->key, mcpsess_buf_str(&value), mcpsess_time_add(now_ms, r->ttl_ms));
}

static MCPSESS_I_APART int mcpsess_i_memlease_serve(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms,
                                                    const mcpsess_listener **tell) {
    uint16_t at;
    if (!mcpsess_i_lru_ready(&m->i.leases)) return MCPSESS_E_UNSUPPORTED;
    if (r->kind == MCPSESS_LEASE_ACQUIRE) return mcpsess_i_memlease_acquire(m, r, now_ms);
    if (mcpsess_i_memlease_find(m, r, now_ms, &at) != MCPSESS_OK) return MCPSESS_LOST;
    if (r->kind == MCPSESS_LEASE_EXTEND) return mcpsess_i_memlease_renew(m, r, at, now_ms);
    r->left_ms = 0;
    mcpsess_i_lru_remove(&m->i.leases, at);
    *tell = m->i.flag_listener;
    return MCPSESS_OK;
}

#ifndef MCPSESS_NO_FLIGHT

/* -- flags: the value is the data, then the fingerprint, then its length -- */

/* -> OK (data appended to out, left_ms), E_TOOBIG (need), MISS: not set, or of another fingerprint */
static int mcpsess_i_memflag_get(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms) {
    uint16_t at = mcpsess_i_lru_live(&m->i.flags, r->key, now_ms, &m->stats.expired);
    mcpsess_str value;
    size_t n;
    if (at == MCPSESS_I_NIL) return MCPSESS_MISS;
    value = mcpsess_i_lru_value(&m->i.flags, at);
    n = (unsigned char)value.ptr[--value.len];
    value.len -= n;
    if (!mcpsess_str_eq(mcpsess_str_of(value.ptr + value.len, n), r->expect)) return MCPSESS_MISS;
    mcpsess_i_lru_refresh(&m->i.flags, at);
    r->left_ms = mcpsess_time_left(now_ms, m->i.flags.i.nodes[at].expires_ms);
    if (r->out == NULL) return MCPSESS_OK;
    r->need = value.len;
    if (!mcpsess_i_buf_fits(r->out, value.len)) return MCPSESS_E_TOOBIG;
    mcpsess_buf_put(r->out, value);
    return MCPSESS_OK;
}

static int mcpsess_i_memflag_look(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms) {
    int rc = mcpsess_i_memflag_get(m, r, now_ms);
    uint16_t at;
    if (rc != MCPSESS_MISS || !mcpsess_i_lru_ready(&m->i.leases)) return rc;
    rc = mcpsess_i_memlease_find(m, r, now_ms, &at);
    r->fence = 0; /* who only looks is told of no fence */
    return rc == MCPSESS_MISS ? rc : MCPSESS_BUSY;
}

static int mcpsess_i_memflag_claim(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms) {
    int rc;
    if (!mcpsess_i_lru_ready(&m->i.leases)) return MCPSESS_E_UNSUPPORTED;
    rc = mcpsess_i_memflag_get(m, r, now_ms);
    if (rc == MCPSESS_MISS) return mcpsess_i_memlease_acquire(m, r, now_ms);
    return rc == MCPSESS_OK ? MCPSESS_EXISTS : rc;
}

/* Behind the data, which are there already, and which left room for it. */
static void mcpsess_i_memflag_sign(mcpsess_memstore *m, mcpsess_str fingerprint) {
    mcpsess_i_lru_node *node = &m->i.flags.i.nodes[m->i.flags.i.newest];
    char *at = mcpsess_i_lru_value_at(&m->i.flags, m->i.flags.i.newest) + node->value_len;
    mcpsess_i_copy(at, fingerprint.ptr, fingerprint.len);
    at[fingerprint.len] = (char)(unsigned char)fingerprint.len;
    node->value_len = (uint16_t)(node->value_len + fingerprint.len + 1u);
}

static int mcpsess_i_memflag_set(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms) {
    mcpsess_str data = ((mcpsess_flag_request *)(void *)r)->data;
    size_t room = m->i.flags.i.value_max - 1u;
    uint32_t evictions = m->i.flags.stats.evictions;
    uint16_t at = MCPSESS_I_NIL;
    int rc;
    if (r->expect.len > room || data.len > room - r->expect.len) return MCPSESS_E_TOOBIG;
    if (r->value.len != 0) {
        if (!mcpsess_i_lru_ready(&m->i.leases)) return MCPSESS_E_UNSUPPORTED;
        if (mcpsess_i_memlease_find(m, r, now_ms, &at) != MCPSESS_OK) return MCPSESS_LOST;
    }
    rc = mcpsess_lru_put(&m->i.flags, r->key, data, mcpsess_time_add(now_ms, r->ttl_ms));
    if (rc != MCPSESS_OK) return rc;
    mcpsess_i_memflag_sign(m, r->expect);
    m->stats.flags_evicted += m->i.flags.stats.evictions - evictions;
    if (at != MCPSESS_I_NIL) mcpsess_i_lru_remove(&m->i.leases, at);
    r->left_ms = r->ttl_ms;
    return MCPSESS_OK;
}

/* Takes a live entry out of a table. */
static bool mcpsess_i_memflag_take(mcpsess_memstore *m, mcpsess_lru *table, mcpsess_str key, uint64_t now_ms) {
    uint16_t at = mcpsess_i_lru_live(table, key, now_ms, &m->stats.expired);
    if (at == MCPSESS_I_NIL) return false;
    mcpsess_i_lru_remove(table, at);
    return true;
}

static int mcpsess_i_memflag_clear(mcpsess_memstore *m, const mcpsess_request *r, uint64_t now_ms) {
    bool flag = mcpsess_i_memflag_take(m, &m->i.flags, r->key, now_ms), lease = false;
    if (r->mode == 1 && mcpsess_i_lru_ready(&m->i.leases)) {
        lease = mcpsess_i_memflag_take(m, &m->i.leases, r->key, now_ms);
    }
    return flag || lease ? MCPSESS_OK : MCPSESS_MISS;
}

static MCPSESS_I_APART int mcpsess_i_memflag_serve(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms,
                                                   const mcpsess_listener **tell) {
    int rc;
    if (!mcpsess_i_lru_ready(&m->i.flags)) return MCPSESS_E_UNSUPPORTED;
    if (r->kind == MCPSESS_FLAG_GET) return mcpsess_i_memflag_look(m, r, now_ms);
    if (r->kind == MCPSESS_FLAG_CLAIM) return mcpsess_i_memflag_claim(m, r, now_ms);
    rc = r->kind == MCPSESS_FLAG_SET ? mcpsess_i_memflag_set(m, r, now_ms) : mcpsess_i_memflag_clear(m, r, now_ms);
    if (rc == MCPSESS_OK) *tell = m->i.flag_listener;
    return rc;
}

/* Every flag's value ends in a fingerprint. */
static bool mcpsess_i_memflags_hold(const mcpsess_memstore *m) {
    mcpsess_lru_entry entry;
    uint16_t cursor = 0;
    if (!mcpsess_i_lru_ready(&m->i.flags)) return true;
    if (mcpsess_lru_check(&m->i.flags) != MCPSESS_OK) return false;
    while (mcpsess_lru_next(&m->i.flags, &cursor, &entry) == MCPSESS_OK) {
        size_t n = entry.value.len == 0 ? 0 : (unsigned char)entry.value.ptr[entry.value.len - 1u];
        if (n >= entry.value.len || n > MCPSESS_FINGERPRINT_MAX) return false;
    }
    return true;
}

#endif /* MCPSESS_NO_FLIGHT */

/* ==== memstore ==== */
/* uses: base lru record store memlease memlog */

MCPSESS_API mcpsess_memstore_desc mcpsess_memstore_desc_default(void) {
    mcpsess_memstore_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

/* Logs have bounds of their own: epochs must stay sequences, however many there will be. */
static bool mcpsess_i_memstore_logs_bad(const mcpsess_memstore_desc *d) {
#ifdef MCPSESS_NO_STREAM
    return d->logs != 0;
#else
    if (d->logs == 0) return false;
    if (d->logs > MCPSESS_LRU_MAX || d->fence_base > (uint64_t)MCPSESS_SEQUENCE_MAX / 2) return true;
    return d->log_bytes < 64 || d->log_bytes > INT32_MAX;
#endif
}

static bool mcpsess_i_memstore_flags_bad(const mcpsess_memstore_desc *d) {
#ifdef MCPSESS_NO_FLIGHT
    return d->flags != 0;
#else
    return d->flags > MCPSESS_LRU_MAX || d->flag_max == UINT16_MAX;
#endif
}

MCPSESS_API size_t mcpsess_memstore_bytes(const mcpsess_memstore_desc *d) {
    uint64_t bytes;
    if (d == NULL || d->records == 0 || d->records > MCPSESS_LRU_MAX || d->leases > MCPSESS_LRU_MAX) return 0;
    if (d->value_max == 0 || mcpsess_i_memstore_logs_bad(d) || mcpsess_i_memstore_flags_bad(d)) return 0;
    bytes = MCPSESS_MEMSTORE_BYTES(d->records, d->leases, d->value_max);
    if (d->flags != 0) bytes += MCPSESS_MEMSTORE_FLAG_BYTES(d->flags, d->flag_max);
    if (d->logs != 0) bytes += MCPSESS_MEMSTORE_LOG_BYTES(d->logs, d->log_bytes);
    return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

/* Places one table at *mem, which moves behind it; none, where there is room for none. */
static int mcpsess_i_memstore_table(mcpsess_lru *table, uint16_t capacity, uint16_t value_max,
                                    const mcpsess_memstore_desc *d, char **mem) {
    mcpsess_lru_desc t = mcpsess_i_lru_by_id(capacity, value_max, d->seed, d->hash);
    size_t bytes = mcpsess_lru_bytes(&t);
    int rc = capacity == 0 ? MCPSESS_OK : mcpsess_lru_init(table, &t, *mem, bytes);
    *mem += (size_t)MCPSESS_I_ROUND8(bytes);
    return rc;
}

MCPSESS_API int mcpsess_memstore_init(mcpsess_memstore *m, const mcpsess_memstore_desc *d, void *mem, size_t mem_len) {
    char *at = (char *)mem;
    int rc;
    if (m == NULL || d == NULL || (d->lock.lock == NULL) != (d->lock.unlock == NULL)) return MCPSESS_E_ARG;
    memset(m, 0, sizeof *m);
    rc = mcpsess_storage_check(mem, mem_len, mcpsess_memstore_bytes(d));
    if (rc != MCPSESS_OK) return rc;
    rc = mcpsess_i_memstore_table(&m->i.records, d->records, d->value_max, d, &at);
    if (rc == MCPSESS_OK) rc = mcpsess_i_memstore_table(&m->i.leases, d->leases, MCPSESS_I_LEASE_BYTES, d, &at);
    if (rc == MCPSESS_OK) rc = mcpsess_i_memstore_table(&m->i.flags, d->flags, (uint16_t)(d->flag_max + 1u), d, &at);
#ifndef MCPSESS_NO_STREAM
    if (rc == MCPSESS_OK && d->logs != 0) rc = mcpsess_i_memlog_init(m, d, at);
#endif
    m->i.fence = d->fence_base;
    m->i.quiet_until_ms = MCPSESS_NEVER;
    m->i.lock = d->lock;
    m->i.log = d->log;
    m->i.evict = d->evict;
    return rc;
}

/* Room for one more record. A full store is searched for expired ones only when there can be one. */
static int mcpsess_i_memstore_room(mcpsess_memstore *m, uint64_t now_ms, mcpsess_i_note *note) {
    if (m->i.records.i.len < m->i.records.i.capacity) return MCPSESS_OK;
    if (now_ms >= m->i.quiet_until_ms) {
        if (mcpsess_i_memstore_purge(m, &m->i.records, now_ms, &m->i.quiet_until_ms) != 0) return MCPSESS_OK;
    }
    if (m->i.evict) {
        m->stats.evicted++; /* the put will drop it */
        mcpsess_i_note_set(note, MCPSESS_LOG_INFO, MCPSESS_ITEM_EVICTED, m->stats.evicted);
        return MCPSESS_OK;
    }
    m->stats.refused++;
    mcpsess_i_note_set(note, MCPSESS_LOG_WARN, MCPSESS_ITEM_STORE_FULL, m->i.records.i.len);
    return MCPSESS_E_FULL;
}

/* May this request see that record? */
static bool mcpsess_i_memstore_owns(mcpsess_memstore *m, const mcpsess_request *r, uint16_t at, mcpsess_i_note *note) {
    if (!r->guarded || mcpsess_record_owned(mcpsess_i_lru_value(&m->i.records, at), &r->owner)) return true;
    m->stats.foreign++;
    mcpsess_i_note_set(note, MCPSESS_LOG_WARN, MCPSESS_ITEM_FOREIGN_OWNER, m->stats.foreign);
    return false;
}

/* The rule of every store: refresh a TTL only when less than half of it is left. -> TTL left */
static uint64_t mcpsess_i_memstore_slide(mcpsess_memstore *m, const mcpsess_request *r, uint16_t at, uint64_t now_ms) {
    mcpsess_i_lru_node *node = &m->i.records.i.nodes[at];
    if (r->ttl_ms != 0) mcpsess_i_lru_refresh(&m->i.records, at);
    if (mcpsess_time_left(now_ms, node->expires_ms) < r->ttl_ms / 2) {
        node->expires_ms = mcpsess_time_add(now_ms, r->ttl_ms);
    }
    return mcpsess_time_left(now_ms, node->expires_ms);
}

static int mcpsess_i_memstore_read(mcpsess_memstore *m, mcpsess_request *r, uint16_t at, uint64_t now_ms) {
    mcpsess_str value = mcpsess_i_lru_value(&m->i.records, at);
    if (r->kind == MCPSESS_GET && r->out != NULL) {
        r->need = value.len;
        if (!mcpsess_i_buf_fits(r->out, value.len)) return MCPSESS_E_TOOBIG;
        mcpsess_buf_put(r->out, value);
    }
    r->left_ms = mcpsess_i_memstore_slide(m, r, at, now_ms);
    return MCPSESS_OK;
}

/* May the put go on, with what is there now? */
static int mcpsess_i_memstore_put_rule(mcpsess_memstore *m, const mcpsess_request *r, uint16_t at,
                                       mcpsess_i_note *note) {
    if (at == MCPSESS_I_NIL) {
        return r->mode == MCPSESS_PUT_UPDATE || r->mode == MCPSESS_PUT_CAS ? MCPSESS_MISS : MCPSESS_OK;
    }
    if (r->mode == MCPSESS_PUT_CREATE) return MCPSESS_EXISTS;
    if (!mcpsess_i_memstore_owns(m, r, at, note)) {
        return r->mode == MCPSESS_PUT_UPSERT ? MCPSESS_EXISTS : MCPSESS_MISS;
    }
    if (r->mode == MCPSESS_PUT_CAS && !mcpsess_str_eq(mcpsess_i_lru_value(&m->i.records, at), r->expect)) {
        return MCPSESS_LOST;
    }
    return MCPSESS_OK;
}

static int mcpsess_i_memstore_put(mcpsess_memstore *m, mcpsess_request *r, uint16_t at, uint64_t now_ms,
                                  mcpsess_i_note *note) {
    uint64_t expires_ms = r->ttl_ms == 0 ? MCPSESS_NEVER : mcpsess_time_add(now_ms, r->ttl_ms);
    int rc = mcpsess_i_memstore_put_rule(m, r, at, note);
    if (rc != MCPSESS_OK) return rc;
    if (r->value.len > m->i.records.i.value_max) return MCPSESS_E_TOOBIG;
    if (at == MCPSESS_I_NIL) rc = mcpsess_i_memstore_room(m, now_ms, note);
    if (rc != MCPSESS_OK) return rc;
    rc = mcpsess_lru_put(&m->i.records, r->key, r->value, expires_ms);
    if (expires_ms < m->i.quiet_until_ms) m->i.quiet_until_ms = expires_ms;
    m->stats.high_water = m->i.records.stats.high_water;
    r->left_ms = mcpsess_time_left(now_ms, expires_ms);
    return rc;
}

static MCPSESS_I_APART int mcpsess_i_memstore_record(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms,
                                                     mcpsess_i_note *note) {
    uint16_t at = mcpsess_i_lru_live(&m->i.records, r->key, now_ms, &m->stats.expired);
    if (r->kind == MCPSESS_PUT) return mcpsess_i_memstore_put(m, r, at, now_ms, note);
    if (at == MCPSESS_I_NIL || !mcpsess_i_memstore_owns(m, r, at, note)) return MCPSESS_MISS;
    if (r->kind == MCPSESS_GET || r->kind == MCPSESS_TOUCH) return mcpsess_i_memstore_read(m, r, at, now_ms);
    if (r->kind == MCPSESS_DEL_EQUAL && !mcpsess_str_eq(mcpsess_i_lru_value(&m->i.records, at), r->expect)) {
        return MCPSESS_LOST;
    }
    mcpsess_i_lru_remove(&m->i.records, at);
    return MCPSESS_OK;
}

static int mcpsess_i_memstore_sweep(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms) {
    uint64_t earliest;
    r->count = mcpsess_i_memstore_purge(m, &m->i.records, now_ms, &m->i.quiet_until_ms);
    r->count += mcpsess_i_memstore_purge(m, &m->i.leases, now_ms, &earliest);
    r->count += mcpsess_i_memstore_purge(m, &m->i.flags, now_ms, &earliest);
    r->count += mcpsess_i_memstore_purge(m, &m->i.names, now_ms, &earliest);
    return MCPSESS_OK;
}

static int mcpsess_i_memstore_serve(mcpsess_memstore *m, mcpsess_request *r, uint64_t now_ms, mcpsess_i_note *note,
                                    const mcpsess_listener **tell) {
    int rc;
    if (m->i.closed) return MCPSESS_E_CLOSED;
    rc = mcpsess_request_check(r);
    if (rc != MCPSESS_OK) return rc;
    m->stats.requests++;
#ifndef MCPSESS_NO_STREAM
    if (r->kind >= MCPSESS_LOG_OPEN) return mcpsess_i_memlog_serve(m, r, now_ms, note, tell);
#endif
    r->count = 0;
#ifndef MCPSESS_NO_FLIGHT
    if (r->kind >= MCPSESS_FLAG_GET && r->kind <= MCPSESS_FLAG_CLEAR)
        return mcpsess_i_memflag_serve(m, r, now_ms, tell);
#endif
    switch (r->kind) {
    case MCPSESS_GET:
    case MCPSESS_PUT:
    case MCPSESS_DEL:
    case MCPSESS_DEL_EQUAL:
    case MCPSESS_TOUCH: return mcpsess_i_memstore_record(m, r, now_ms, note);
    case MCPSESS_SWEEP: return mcpsess_i_memstore_sweep(m, r, now_ms);
    case MCPSESS_LEASE_ACQUIRE:
    case MCPSESS_LEASE_EXTEND:
    case MCPSESS_LEASE_RELEASE: return mcpsess_i_memlease_serve(m, r, now_ms, tell);
    default: return MCPSESS_E_UNSUPPORTED;
    }
}

static int mcpsess_i_memstore_submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    mcpsess_memstore *m = (mcpsess_memstore *)self;
    const mcpsess_listener *tell = NULL;
    mcpsess_i_note note = {0, 0, 0};
    r->left_ms = r->fence = 0;
    r->need = 0;
    mcpsess_i_lock(&m->i.lock);
    r->rc = mcpsess_i_memstore_serve(m, r, now_ms, &note, &tell);
    mcpsess_i_unlock(&m->i.lock);
    if (r->rc != MCPSESS_OK) r->count = 0;
    mcpsess_i_note_log(&note, &m->i.log, note.item == MCPSESS_ITEM_EVICTED ? mcpsess_str_of(NULL, 0) : r->key);
    if (tell != NULL) tell->changed(tell->user, r->key);
    return r->rc;
}

static void mcpsess_i_memstore_poll(void *self, uint64_t now_ms) {
    (void)self;
    (void)now_ms;
}

static void mcpsess_i_memstore_cancel(void *self, mcpsess_request *r) {
    (void)self;
    (void)r;
}

static uint64_t mcpsess_i_memstore_next_due(void *self, uint64_t now_ms) {
    (void)self;
    (void)now_ms;
    return MCPSESS_NEVER;
}

static unsigned mcpsess_i_memstore_want(void *self) {
    (void)self;
    return 0;
}

static void mcpsess_i_memstore_close(void *self) {
    mcpsess_memstore *m = (mcpsess_memstore *)self;
    const mcpsess_listener *of_logs, *of_flags;
    mcpsess_i_lock(&m->i.lock);
    m->i.closed = true;
    mcpsess_lru_clear(&m->i.records);
    mcpsess_lru_clear(&m->i.leases);
    mcpsess_lru_clear(&m->i.flags);
    mcpsess_lru_clear(&m->i.names);
    of_logs = m->i.listener;
    of_flags = m->i.flag_listener;
    mcpsess_i_unlock(&m->i.lock);
    if (of_logs != NULL) of_logs->changed(of_logs->user, mcpsess_str_of(NULL, 0));
    if (of_flags != NULL) of_flags->changed(of_flags->user, mcpsess_str_of(NULL, 0));
}

/* Of records nothing is told: nobody writes them but who asks. */
static int mcpsess_i_memstore_listen(void *self, int of, const mcpsess_listener *listener) {
    mcpsess_memstore *m = (mcpsess_memstore *)self;
    const mcpsess_listener **told = of == MCPSESS_OF_LOGS ? &m->i.listener : &m->i.flag_listener;
    bool taken;
    if (of != MCPSESS_OF_LOGS && of != MCPSESS_OF_FLAGS) return MCPSESS_E_UNSUPPORTED;
    mcpsess_i_lock(&m->i.lock);
    taken = listener != NULL && *told != NULL && *told != listener;
    if (!taken) *told = listener;
    mcpsess_i_unlock(&m->i.lock);
    return taken ? MCPSESS_E_STATE : MCPSESS_OK;
}

MCPSESS_API mcpsess_store mcpsess_memstore_store(mcpsess_memstore *m) {
    static const mcpsess_store_class cls = {
        mcpsess_i_memstore_submit, mcpsess_i_memstore_poll,  mcpsess_i_memstore_cancel, mcpsess_i_memstore_next_due,
        mcpsess_i_memstore_want,   mcpsess_i_memstore_close, mcpsess_i_memstore_listen, NULL};
    mcpsess_store store;
    store.cls = &cls;
    store.self = m;
    return store;
}

MCPSESS_API uint16_t mcpsess_memstore_len(mcpsess_memstore *m) {
    uint16_t len;
    if (m == NULL) return 0;
    mcpsess_i_lock(&m->i.lock);
    len = mcpsess_lru_len(&m->i.records);
    mcpsess_i_unlock(&m->i.lock);
    return len;
}

/* No record expires before quiet_until. */
static bool mcpsess_i_memstore_holds(const mcpsess_memstore *m) {
    mcpsess_lru_entry entry;
    uint16_t cursor = 0;
    while (mcpsess_lru_next(&m->i.records, &cursor, &entry) == MCPSESS_OK) {
        if (entry.expires_ms < m->i.quiet_until_ms) return false;
    }
    if (mcpsess_lru_check(&m->i.records) != MCPSESS_OK) return false;
#ifndef MCPSESS_NO_STREAM
    if (!mcpsess_i_memlogs_hold(m)) return false;
#endif
#ifndef MCPSESS_NO_FLIGHT
    if (!mcpsess_i_memflags_hold(m)) return false;
#endif
    return !mcpsess_i_lru_ready(&m->i.leases) || mcpsess_lru_check(&m->i.leases) == MCPSESS_OK;
}

MCPSESS_API int mcpsess_memstore_check(mcpsess_memstore *m) {
    bool holds;
    if (m == NULL || !mcpsess_i_lru_ready(&m->i.records)) return MCPSESS_E_ARG;
    mcpsess_i_lock(&m->i.lock);
    holds = mcpsess_i_memstore_holds(m);
    mcpsess_i_unlock(&m->i.lock);
    return holds ? MCPSESS_OK : MCPSESS_E_CORRUPT;
}

/* ==== sessionid ==== */
/* uses: base record */

MCPSESS_API int mcpsess_session_id_check(mcpsess_str id) {
    return mcpsess_i_id_valid(id, MCPSESS_ID_MAX) ? MCPSESS_OK : MCPSESS_E_ID;
}

/* 16 bytes as 22 characters of base64url without padding, RFC 4648 section 5. */
static void mcpsess_i_id_put_base64url(mcpsess_buf *out, mcpsess_str bytes) {
    char text[24];
    mcpsess_buf b;
    unsigned n;
    mcpsess_buf_init(&b, text, sizeof text);
    mcpsess_buf_put_b64(&b, bytes);
    for (n = 0; n < 22; n++) {
        char c = text[n];
        mcpsess_buf_put_char(out, (char)(c == '+' ? '-' : c == '/' ? '_' : c));
    }
}

static char mcpsess_i_hex(unsigned nibble) {
    return (char)(nibble < 10 ? '0' + (int)nibble : 'a' + (int)nibble - 10);
}

/* Version 4, variant 10, RFC 9562 section 5.4. */
static void mcpsess_i_id_put_uuid(mcpsess_buf *out, unsigned char bytes[16]) {
    unsigned n;
    bytes[6] = (unsigned char)((bytes[6] & 0x0Fu) | 0x40u);
    bytes[8] = (unsigned char)((bytes[8] & 0x3Fu) | 0x80u);
    for (n = 0; n < 16; n++) {
        if (n == 4 || n == 6 || n == 8 || n == 10) mcpsess_buf_put_char(out, '-');
        mcpsess_buf_put_char(out, mcpsess_i_hex((unsigned)bytes[n] >> 4));
        mcpsess_buf_put_char(out, mcpsess_i_hex(bytes[n] & 0x0Fu));
    }
}

MCPSESS_API int mcpsess_session_id_new(mcpsess_buf *out, int form, mcpsess_random_fn random, void *user) {
    unsigned char bytes[16];
    size_t mark;
    if (out == NULL || random == NULL || (form != MCPSESS_ID_BASE64URL && form != MCPSESS_ID_UUID))
        return MCPSESS_E_ARG;
    if (out->overflow) return MCPSESS_E_TOOBIG;
    if (random(user, bytes, sizeof bytes) != 0) return MCPSESS_E_RANDOM;
    mark = out->len;
    if (form == MCPSESS_ID_UUID) mcpsess_i_id_put_uuid(out, bytes);
    else mcpsess_i_id_put_base64url(out, mcpsess_str_of(bytes, sizeof bytes));
    return mcpsess_i_buf_settle(out, mark);
}

#ifndef MCPSESS_NO_STREAM

/* ==== streambase ==== */
/* uses: base record op store */

#define MCPSESS_I_STREAM_READY 0x5354524Du

MCPSESS_API mcpsess_stream_desc mcpsess_stream_desc_default(void) {
    mcpsess_stream_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

/* A log of this session was written: whoever is caught up with one looks again. */
static void mcpsess_i_stream_changed(void *user, mcpsess_str session) {
    mcpsess_stream_reader *r = ((mcpsess_streams *)user)->i.readers;
    for (; r != NULL; r = r->i.next) {
        if (session.len == 0 || mcpsess_str_eq(r->session, session)) r->i.woken = true;
    }
}

MCPSESS_API int mcpsess_stream_init(mcpsess_streams *s, const mcpsess_stream_desc *d) {
    int rc = MCPSESS_OK;
    if (s == NULL || d == NULL || d->store.cls == NULL || d->random == NULL) return MCPSESS_E_ARG;
    memset(s, 0, sizeof *s);
    s->i.desc = *d;
    s->i.desc.limits = mcpsess_log_limits_of(&d->limits);
    s->i.desc.lease_ms = mcpsess_i_or(d->lease_ms, 30000);
    s->i.desc.poll_ms = mcpsess_i_or(d->poll_ms, 1000);
    s->i.desc.replay_max = mcpsess_i_or(d->replay_max, 10000);
    s->i.desc.timeout_ms = mcpsess_i_or(d->timeout_ms, 5000);
    s->i.listener.changed = mcpsess_i_stream_changed;
    s->i.listener.user = s;
    if (d->store.cls->listen != NULL) {
        rc = d->store.cls->listen(d->store.self, MCPSESS_OF_LOGS, &s->i.listener);
        s->i.told = rc == MCPSESS_OK;
        if (rc == MCPSESS_E_UNSUPPORTED) rc = MCPSESS_OK; /* nobody is told: readers poll */
    }
    if (rc == MCPSESS_OK) s->i.ready = MCPSESS_I_STREAM_READY;
    return rc;
}

static bool mcpsess_i_stream_ready(const mcpsess_streams *s) {
    return s != NULL && s->i.ready == MCPSESS_I_STREAM_READY;
}

/* What every operation asks of the names it is given. */
static int mcpsess_i_stream_names(mcpsess_str session, const mcpsess_principal *who, mcpsess_str stream) {
    if (who == NULL || mcpsess_i_str_bad(stream) || mcpsess_i_str_bad(session)) return MCPSESS_E_ARG;
    if (!mcpsess_i_id_valid(session, MCPSESS_ID_MAX)) return MCPSESS_E_ID;
    if (stream.len > MCPSESS_STREAM_MAX) return MCPSESS_E_TOOBIG;
    return mcpsess_principal_check(who);
}

static void mcpsess_i_stream_fill(const mcpsess_streams *s, mcpsess_log_request *q, uint8_t kind, mcpsess_str session,
                                  const mcpsess_principal *who, mcpsess_str stream) {
    memset(q, 0, sizeof *q);
    q->request.kind = kind;
    q->request.guarded = true;
    q->request.owner = *who;
    q->request.key = session;
    q->log.stream = stream;
    q->log.limits = &s->i.desc.limits;
}

static int mcpsess_i_stream_submit(mcpsess_streams *s, mcpsess_log_request *q, uint64_t deadline_ms, uint64_t now_ms) {
    q->request.deadline_ms = deadline_ms;
    return s->i.desc.store.cls->submit(s->i.desc.store.self, &q->request, now_ms);
}

static uint64_t mcpsess_i_stream_timeout(const mcpsess_streams *s, const mcpsess_op *op, uint64_t now_ms) {
    return mcpsess_time_add(now_ms, op->timeout_ms != 0 ? op->timeout_ms : s->i.desc.timeout_ms);
}

static void mcpsess_i_stream_failed(mcpsess_streams *s, int rc, mcpsess_i_note *note) {
    s->stats.failures++;
    mcpsess_i_note_set(note, MCPSESS_LOG_WARN, MCPSESS_ITEM_STORE_FAILED, (uint64_t)-rc);
}

/* ==== writer ==== */
/* uses: base eventid event record op store streambase */

enum { MCPSESS_I_WRITER_CLOSED, MCPSESS_I_WRITER_OPEN, MCPSESS_I_WRITER_FENCED, MCPSESS_I_WRITER_COMPLETE };

/* Where the log ends is known; was not, since an append failed; is being found out, by one append and no other. */
enum { MCPSESS_I_DOUBT_NONE, MCPSESS_I_DOUBT_SOME, MCPSESS_I_DOUBT_ASKED };

#define MCPSESS_I_LEAVE_MS 1u /* a lease of one that leaves */

/* What came between its operations: the lease lasts from when the store was asked. */
static void mcpsess_i_writer_renewed(mcpsess_stream_writer *w, const mcpsess_stream_op *op) {
    uint64_t due_ms = mcpsess_time_add(op->i.begun_ms, w->i.streams->i.desc.lease_ms / 2);
    if (due_ms > w->i.due_ms) w->i.due_ms = due_ms;
}

static void mcpsess_i_writer_land_open(mcpsess_stream_writer *w, const mcpsess_stream_op *op, int rc) {
    const mcpsess_log_request *q = &op->i.request;
    if (rc != MCPSESS_OK) return;
    w->i.state = MCPSESS_I_WRITER_OPEN;
    w->i.fence = q->log.writer;
    w->i.streaming = q->log.streaming;
    w->epoch = q->log.epoch;
    w->sequence = q->log.last;
    w->i.streams->stats.opened++;
    mcpsess_i_writer_renewed(w, op);
}

/* The tail is lost: what is there now counts, and what was begun before is not. */
static void mcpsess_i_writer_begin_anew(mcpsess_stream_writer *w, const mcpsess_log_request *q, mcpsess_i_note *note) {
    if (q->log.epoch <= w->epoch && q->log.epoch != 0) return; /* known already */
    w->i.streams->stats.lost_tails++;
    mcpsess_i_note_set(note, MCPSESS_LOG_ERROR, MCPSESS_ITEM_TAIL_LOST, w->sequence);
    w->epoch = q->log.epoch;
    w->sequence = q->log.last;
    w->i.doubt = MCPSESS_I_DOUBT_SOME;
    w->i.failed = 0;
}

/* The answers that change what a writer may do, whatever it asked. */
static void mcpsess_i_writer_heed(mcpsess_stream_writer *w, const mcpsess_stream_op *op, int rc, mcpsess_i_note *note) {
    if (rc == MCPSESS_MISS) w->i.state = MCPSESS_I_WRITER_CLOSED;
    if (rc == MCPSESS_LOST_TAIL) mcpsess_i_writer_begin_anew(w, &op->i.request, note);
    if (rc != MCPSESS_FENCED || w->i.state != MCPSESS_I_WRITER_OPEN) return;
    w->i.state = MCPSESS_I_WRITER_FENCED;
    w->i.streams->stats.fenced++;
    mcpsess_i_note_set(note, MCPSESS_LOG_WARN, MCPSESS_ITEM_WRITER_FENCED, w->sequence);
}

static void mcpsess_i_writer_stored(mcpsess_stream_writer *w, mcpsess_stream_op *op, int rc) {
    op->epoch = op->i.request.log.epoch;
    op->sequence = op->i.request.log.sequence;
    if (op->sequence > w->sequence) w->sequence = op->sequence;
    if (rc == MCPSESS_OK) w->i.streams->stats.appended++;
    else w->i.streams->stats.duplicates++;
    if (w->i.doubt == MCPSESS_I_DOUBT_ASKED) w->i.doubt = MCPSESS_I_DOUBT_NONE;
    mcpsess_i_writer_renewed(w, op);
}

/* An append ended. Where one failed nothing says whether it was stored, so those behind it are to be repeated after it
   and the next one finds out; but if one behind it is known to be stored, so is it.  -> what the append ends with */
static int mcpsess_i_writer_land_append(mcpsess_stream_writer *w, mcpsess_stream_op *op, int rc) {
    uint64_t sequence = op->i.request.log.sequence;
    bool follows = w->i.doubt == MCPSESS_I_DOUBT_SOME && sequence > w->i.failed; /* one that failed */
    w->i.pending--;
    if (rc < 0 && !follows && sequence <= w->sequence) rc = MCPSESS_OK;
    if (follows && (rc == MCPSESS_OK || rc == MCPSESS_DUP)) rc = MCPSESS_LOST;
    if (rc == MCPSESS_OK || rc == MCPSESS_DUP) {
        mcpsess_i_writer_stored(w, op, rc);
        return rc;
    }
    if (rc == MCPSESS_LOST) w->i.streams->stats.lost++;
    if (!follows) w->i.failed = sequence;
    w->i.doubt = MCPSESS_I_DOUBT_SOME;
    return rc;
}

static void mcpsess_i_writer_land_set(mcpsess_stream_writer *w, const mcpsess_stream_op *op, int rc) {
    if (rc != MCPSESS_OK) w->i.streaming = op->i.turns ? op->i.streamed : w->i.streaming;
    else if (op->i.request.log.done) w->i.state = MCPSESS_I_WRITER_COMPLETE;
    else if (op->i.request.request.ttl_ms == MCPSESS_I_LEAVE_MS) w->i.state = MCPSESS_I_WRITER_CLOSED;
    else mcpsess_i_writer_renewed(w, op);
}

/* -> what the operation ends with */
static int mcpsess_i_writer_land(mcpsess_stream_op *op, int rc, mcpsess_i_note *note) {
    mcpsess_stream_writer *w = op->i.writer;
    mcpsess_streams *s = op->i.streams;
    const mcpsess_request *r = &op->i.request.request;
    op->op.left_ms = r->left_ms;
    op->op.count = r->count;
    if (rc < 0) mcpsess_i_stream_failed(s, rc, note);
    if (w == NULL) {
        s->stats.deleted += r->count;
        if (rc == MCPSESS_OK) mcpsess_i_note_set(note, MCPSESS_LOG_INFO, MCPSESS_ITEM_LOGS_DELETED, r->count);
        return rc;
    }
    w->i.under_way--;
    if (r->kind == MCPSESS_LOG_OPEN) {
        mcpsess_i_writer_land_open(w, op, rc);
        return rc;
    }
    mcpsess_i_writer_heed(w, op, rc, note);
    if (r->kind == MCPSESS_LOG_APPEND) return mcpsess_i_writer_land_append(w, op, rc);
    mcpsess_i_writer_land_set(w, op, rc);
    return rc;
}

/* The log is told when the operation is over, as it may begin it again. */
static int mcpsess_i_writer_end(mcpsess_stream_op *op, int rc) {
    const mcpsess_log *log = &op->i.streams->i.desc.log;
    mcpsess_str session = op->i.request.request.key;
    mcpsess_i_note note = {0, 0, 0};
    rc = mcpsess_op_end(&op->op, mcpsess_i_writer_land(op, rc, &note));
    mcpsess_i_note_log(&note, log, session);
    return rc;
}

/* The sequence was taken, by an append of ours that failed and was stored all the same: this event comes after it. */
static bool mcpsess_i_writer_again(mcpsess_stream_op *op, uint64_t now_ms) {
    mcpsess_stream_writer *w = op->i.writer;
    mcpsess_log_request *q = &op->i.request;
    if (q->request.kind != MCPSESS_LOG_APPEND || q->request.rc != MCPSESS_LOST) return false;
    if (w->i.pending != 1 || w->i.doubt == MCPSESS_I_DOUBT_SOME) return false; /* others come first */
    if (q->log.last < q->log.sequence || q->log.last >= (uint64_t)MCPSESS_SEQUENCE_MAX || op->i.retries > 2)
        return false;
    op->i.retries++;
    w->sequence = q->log.confirmed = q->log.last;
    q->log.sequence = q->log.last + 1;
    w->i.next = q->log.sequence + 1;
    w->i.doubt = MCPSESS_I_DOUBT_NONE;
    (void)mcpsess_i_stream_submit(op->i.streams, q, op->op.i.deadline_ms, now_ms);
    return true;
}

static int mcpsess_i_writer_settle(mcpsess_stream_op *op, uint64_t now_ms) {
    int rc = op->i.request.request.rc;
    while (rc != MCPSESS_PENDING && mcpsess_i_writer_again(op, now_ms)) rc = op->i.request.request.rc;
    return rc == MCPSESS_PENDING ? rc : mcpsess_i_writer_end(op, rc);
}

static int mcpsess_i_writer_give_up(mcpsess_stream_op *op, int rc) {
    mcpsess_streams *s = op->i.streams;
    s->i.desc.store.cls->cancel(s->i.desc.store.self, &op->i.request.request);
    op->i.request.request.count = 0;
    return mcpsess_i_writer_end(op, rc);
}

static int mcpsess_i_writer_poll(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_stream_op *self = (mcpsess_stream_op *)mcpsess_op_object(op);
    mcpsess_store store;
    int rc;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return mcpsess_op_rc(op);
    store = self->i.streams->i.desc.store;
    if (self->i.request.request.rc == MCPSESS_PENDING) store.cls->poll(store.self, now_ms);
    rc = mcpsess_i_writer_settle(self, now_ms);
    if (rc == MCPSESS_PENDING && now_ms >= op->i.deadline_ms) rc = mcpsess_i_writer_give_up(self, MCPSESS_E_TIMEOUT);
    return rc;
}

static void mcpsess_i_writer_cancel(mcpsess_op *op) {
    mcpsess_stream_op *self = (mcpsess_stream_op *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) == MCPSESS_PENDING) (void)mcpsess_i_writer_give_up(self, MCPSESS_E_CANCELED);
}

static uint64_t mcpsess_i_writer_next_due(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_stream_op *self = (mcpsess_stream_op *)mcpsess_op_object(op);
    mcpsess_store store;
    uint64_t due_ms;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return MCPSESS_NEVER;
    if (self->i.request.request.rc != MCPSESS_PENDING) return now_ms;
    store = self->i.streams->i.desc.store;
    due_ms = store.cls->next_due(store.self, now_ms);
    return due_ms < op->i.deadline_ms ? due_ms : op->i.deadline_ms;
}

static unsigned mcpsess_i_writer_want(mcpsess_op *op) {
    mcpsess_stream_op *self = (mcpsess_stream_op *)mcpsess_op_object(op);
    mcpsess_store store;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return 0;
    if (self->i.request.request.rc != MCPSESS_PENDING) return MCPSESS_WANT_TIME | MCPSESS_WANT_NOW;
    store = self->i.streams->i.desc.store;
    return store.cls->want(store.self) | MCPSESS_WANT_TIME;
}

static void mcpsess_i_writer_pend(mcpsess_stream_op *op) {
    static const mcpsess_op_class cls = {mcpsess_i_writer_poll, mcpsess_i_writer_cancel, mcpsess_i_writer_next_due,
                                         mcpsess_i_writer_want};
    (void)mcpsess_op_begin(&op->op, &cls, op);
    op->epoch = op->sequence = 0;
}

/* Sends the request that is in op. */
static int mcpsess_i_writer_begin(mcpsess_streams *s, mcpsess_stream_writer *w, mcpsess_stream_op *op,
                                  uint64_t now_ms) {
    mcpsess_i_writer_pend(op);
    op->i.streams = s;
    op->i.writer = w;
    op->i.retries = 0;
    op->i.begun_ms = now_ms;
    if (w != NULL) w->i.under_way++;
    if (op->i.request.request.ttl_ms == 0) op->i.request.request.ttl_ms = s->i.desc.lease_ms;
    op->op.i.deadline_ms = mcpsess_i_stream_timeout(s, &op->op, now_ms);
    (void)mcpsess_i_stream_submit(s, &op->i.request, op->op.i.deadline_ms, now_ms);
    return mcpsess_i_writer_poll(&op->op, now_ms);
}

/* An operation that needs no request. */
static int mcpsess_i_writer_done(mcpsess_stream_op *op, int rc) {
    mcpsess_i_writer_pend(op);
    return mcpsess_op_end(&op->op, rc);
}

MCPSESS_API int mcpsess_stream_open(mcpsess_streams *s, mcpsess_stream_writer *w, mcpsess_stream_op *op,
                                    mcpsess_str session, const mcpsess_principal *who, mcpsess_str stream, bool fresh,
                                    uint64_t now_ms) {
    mcpsess_log_request *q;
    int rc;
    if (!mcpsess_i_stream_ready(s) || w == NULL || op == NULL) return MCPSESS_E_ARG;
    if (mcpsess_op_rc(&op->op) == MCPSESS_PENDING) return MCPSESS_E_STATE;
    rc = mcpsess_i_stream_names(session, who, stream);
    if (rc != MCPSESS_OK) return rc;
    if (w->i.under_way != 0) return MCPSESS_E_STATE;
    if (!w->i.named && s->i.desc.random(s->i.desc.random_user, w->i.token, sizeof w->i.token) != 0) {
        return mcpsess_i_writer_done(op, MCPSESS_E_RANDOM);
    }
    w->epoch = w->sequence = 0;
    w->i.named = true;
    w->i.streams = s;
    w->i.session = session;
    w->i.stream = stream;
    w->i.who = *who;
    w->i.state = MCPSESS_I_WRITER_CLOSED;
    w->i.due_ms = 0;
    q = &op->i.request;
    mcpsess_i_stream_fill(s, q, MCPSESS_LOG_OPEN, session, who, stream);
    q->request.value = mcpsess_str_of(w->i.token, sizeof w->i.token);
    q->log.fresh = fresh;
    return mcpsess_i_writer_begin(s, w, op, now_ms);
}

/* May the writer do this? -> OK, or what its operation ends with */
static int mcpsess_i_writer_may(const mcpsess_stream_writer *w) {
    switch (w->i.state) {
    case MCPSESS_I_WRITER_OPEN: return MCPSESS_OK;
    case MCPSESS_I_WRITER_FENCED: return MCPSESS_FENCED;
    case MCPSESS_I_WRITER_COMPLETE: return MCPSESS_END;
    default: return MCPSESS_E_STATE;
    }
}

/* Sets up a request of an open writer. -> OK, or what the call answers */
static int mcpsess_i_writer_ask(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint8_t kind) {
    mcpsess_log_request *q;
    if (w == NULL || op == NULL) return MCPSESS_E_ARG;
    if (w->i.streams == NULL || mcpsess_op_rc(&op->op) == MCPSESS_PENDING) return MCPSESS_E_STATE;
    q = &op->i.request;
    mcpsess_i_stream_fill(w->i.streams, q, kind, w->i.session, &w->i.who, w->i.stream);
    q->log.writer = w->i.fence;
    q->log.epoch = w->epoch;
    q->log.sequence = q->log.confirmed = w->sequence;
    q->log.streaming = w->i.streaming;
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_stream_append(mcpsess_stream_writer *w, mcpsess_stream_op *op, const mcpsess_event *e,
                                      uint64_t now_ms) {
    int rc = e == NULL ? MCPSESS_E_ARG : mcpsess_i_writer_ask(w, op, MCPSESS_LOG_APPEND);
    if (rc != MCPSESS_OK) return rc;
    rc = mcpsess_i_writer_may(w);
    if (rc == MCPSESS_OK && e->id.len != 0) {
        w->i.streams->stats.passed++;
        return mcpsess_i_writer_done(op, MCPSESS_OK);
    }
    if (w->i.pending == 0) w->i.next = w->sequence + 1;
    else if (rc == MCPSESS_OK && w->i.doubt != MCPSESS_I_DOUBT_NONE) rc = MCPSESS_LOST; /* what comes first is open */
    if (rc == MCPSESS_OK && w->i.next > (uint64_t)MCPSESS_SEQUENCE_MAX) rc = MCPSESS_E_TOOBIG;
    if (rc != MCPSESS_OK) return mcpsess_i_writer_done(op, rc);
    if (w->i.doubt == MCPSESS_I_DOUBT_SOME) w->i.doubt = MCPSESS_I_DOUBT_ASKED;
    op->i.request.log.event = *e;
    op->i.request.log.sequence = w->i.next++;
    w->i.pending++;
    return mcpsess_i_writer_begin(w->i.streams, w, op, now_ms);
}

MCPSESS_API int mcpsess_stream_prime(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint32_t retry_ms,
                                     uint64_t now_ms) {
    mcpsess_event e;
    memset(&e, 0, sizeof e);
    e.type = MCPSESS_STR(MCPSESS_EVENT_PRIME);
    e.retry = retry_ms != 0;
    e.retry_ms = retry_ms;
    return mcpsess_stream_append(w, op, &e, now_ms);
}

/* lease_ms 0: as long as ever */
static int mcpsess_i_writer_set(mcpsess_stream_writer *w, mcpsess_stream_op *op, bool streaming, bool done,
                                uint64_t lease_ms, uint64_t now_ms) {
    int rc = mcpsess_i_writer_ask(w, op, MCPSESS_LOG_SET);
    if (rc != MCPSESS_OK) return rc;
    rc = mcpsess_i_writer_may(w);
    if (rc == MCPSESS_END && done) rc = MCPSESS_OK;
    else if (rc == MCPSESS_OK) {
        op->i.turns = streaming != w->i.streaming;
        op->i.streamed = w->i.streaming;
        op->i.request.log.streaming = w->i.streaming = streaming;
        op->i.request.log.done = done;
        op->i.request.request.ttl_ms = lease_ms;
        return mcpsess_i_writer_begin(w->i.streams, w, op, now_ms);
    }
    return mcpsess_i_writer_done(op, rc);
}

MCPSESS_API int mcpsess_stream_set_mode(mcpsess_stream_writer *w, mcpsess_stream_op *op, bool streaming,
                                        uint64_t now_ms) {
    return mcpsess_i_writer_set(w, op, streaming, false, 0, now_ms);
}

MCPSESS_API int mcpsess_stream_complete(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint64_t now_ms) {
    return mcpsess_i_writer_set(w, op, w != NULL && w->i.streaming, true, 0, now_ms);
}

MCPSESS_API int mcpsess_stream_keep(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint64_t now_ms) {
    return mcpsess_i_writer_set(w, op, w != NULL && w->i.streaming, false, 0, now_ms);
}

MCPSESS_API int mcpsess_stream_leave(mcpsess_stream_writer *w, mcpsess_stream_op *op, uint64_t now_ms) {
    return mcpsess_i_writer_set(w, op, w != NULL && w->i.streaming, false, MCPSESS_I_LEAVE_MS, now_ms);
}

MCPSESS_API uint64_t mcpsess_stream_due(const mcpsess_stream_writer *w) {
    return w != NULL && w->i.state == MCPSESS_I_WRITER_OPEN ? w->i.due_ms : MCPSESS_NEVER;
}

MCPSESS_API int mcpsess_stream_id(const mcpsess_stream_op *op, mcpsess_buf *out) {
    mcpsess_eventid id;
    if (op == NULL || out == NULL) return MCPSESS_E_ARG;
    if (op->sequence == 0) return MCPSESS_E_STATE;
    id.session = op->i.request.request.key;
    id.stream = op->i.request.log.stream;
    id.epoch = op->epoch;
    id.sequence = op->sequence;
    return mcpsess_eventid_encode(&id, out);
}

MCPSESS_API int mcpsess_stream_del(mcpsess_streams *s, mcpsess_stream_op *op, mcpsess_str session,
                                   const mcpsess_principal *who, mcpsess_str stream, uint64_t now_ms) {
    int rc;
    if (!mcpsess_i_stream_ready(s) || op == NULL) return MCPSESS_E_ARG;
    if (mcpsess_op_rc(&op->op) == MCPSESS_PENDING) return MCPSESS_E_STATE;
    rc = mcpsess_i_stream_names(session, who, stream);
    if (rc != MCPSESS_OK) return rc;
    mcpsess_i_stream_fill(s, &op->i.request, MCPSESS_LOG_DEL, session, who, stream);
    return mcpsess_i_writer_begin(s, NULL, op, now_ms);
}

/* ==== stream ==== */
/* uses: base eventid event record op store streambase */

/* -- readers -- */

enum {
    MCPSESS_I_READER_LOOKING, /* for the oldest event */
    MCPSESS_I_READER_OPENING,
    MCPSESS_I_READER_OPEN,
    MCPSESS_I_READER_GAP,
    MCPSESS_I_READER_MISS
};

static void mcpsess_i_reader_ask(mcpsess_stream_reader *r, uint8_t kind, uint64_t deadline_ms, uint64_t now_ms) {
    mcpsess_streams *s = r->i.streams;
    mcpsess_log_request *q = &r->i.request;
    mcpsess_i_stream_fill(s, q, kind, r->session, &r->i.who, r->stream);
    r->i.page.len = 0;
    q->request.out = &r->i.page;
    q->request.count = s->i.desc.replay_max;
    q->request.ttl_ms = r->i.state == MCPSESS_I_READER_OPENING ? s->i.desc.limits.log_ttl_ms : 0;
    q->log.epoch = r->epoch;
    q->log.sequence = r->sequence;
    r->i.woken = false;
    r->i.asking = true;
    (void)mcpsess_i_stream_submit(s, q, deadline_ms, now_ms);
}

/* The position is not one of the log's, any more. */
static int mcpsess_i_reader_gap(mcpsess_stream_reader *r, int item, uint64_t number, mcpsess_i_note *note) {
    r->i.state = MCPSESS_I_READER_GAP;
    r->i.streams->stats.gaps++;
    mcpsess_i_note_set(note, MCPSESS_LOG_WARN, item, number);
    return MCPSESS_GAP;
}

static int mcpsess_i_reader_take_page(mcpsess_stream_reader *r, mcpsess_i_note *note) {
    const mcpsess_log_request *q = &r->i.request;
    if (r->i.by_id && r->epoch == 0 && q->log.epoch != 0) {
        return mcpsess_i_reader_gap(r, MCPSESS_ITEM_REPLAY_GAP, r->sequence, note);
    }
    r->epoch = q->log.epoch;
    r->last = q->log.last;
    r->streaming = q->log.streaming;
    r->done = q->log.done;
    r->writer_left_ms = q->request.left_ms;
    if (r->i.state == MCPSESS_I_READER_LOOKING) {
        r->sequence = q->log.first - 1;
        return MCPSESS_OK;
    }
    r->i.rest = mcpsess_buf_str(&r->i.page);
    if (r->i.state == MCPSESS_I_READER_OPENING && r->last - r->sequence > r->i.streams->i.desc.replay_max) {
        r->i.rest.len = 0;
        r->i.streams->stats.capped++;
        return mcpsess_i_reader_gap(r, MCPSESS_ITEM_REPLAY_CAPPED, r->last - r->sequence, note);
    }
    return MCPSESS_OK;
}

/* What the store answered. */
static int mcpsess_i_reader_land(mcpsess_stream_reader *r, mcpsess_op *op, uint64_t now_ms, mcpsess_i_note *note) {
    int rc = r->i.request.request.rc;
    r->i.asking = false;
    r->i.answered_ms = now_ms;
    r->i.failed = rc < 0;
    op->need = r->i.request.request.need;
    if (rc == MCPSESS_OK) return mcpsess_i_reader_take_page(r, note);
    if (rc == MCPSESS_GAP) return mcpsess_i_reader_gap(r, MCPSESS_ITEM_REPLAY_GAP, r->sequence, note);
    if (rc == MCPSESS_MISS) r->i.state = MCPSESS_I_READER_MISS;
    else mcpsess_i_stream_failed(r->i.streams, rc, note);
    return rc;
}

/* The next event of the page. */
static int mcpsess_i_reader_hand(mcpsess_stream_reader *r) {
    mcpsess_eventid id;
    mcpsess_buf text;
    int rc = mcpsess_event_take(&r->i.rest, r->i.event);
    if (rc != MCPSESS_OK) return MCPSESS_E_FORMAT;
    r->sequence++;
    r->i.streams->stats.replayed++;
    id.session = r->session;
    id.stream = r->stream;
    id.epoch = r->i.event->epoch = r->epoch;
    id.sequence = r->i.event->sequence = r->sequence;
    mcpsess_buf_init(&text, r->i.id, sizeof r->i.id);
    rc = mcpsess_eventid_encode(&id, &text);
    r->i.event->id = mcpsess_buf_str(&text);
    return rc;
}

/* Where the store tells of changes, the clock is only there for what nobody tells: that a log has expired. After an
   error it is asked again as if it told of nothing. Counted from the last answer, so that waits in short turns add up.
 */
static void mcpsess_i_reader_wait(mcpsess_stream_reader *r, uint64_t now_ms) {
    mcpsess_store store = r->i.streams->i.desc.store;
    bool told = r->i.streams->i.told && !r->i.failed;
    if (told && store.cls->hear != NULL) told = store.cls->hear(store.self, now_ms) == MCPSESS_OK;
    r->i.due_ms = mcpsess_time_add(r->i.answered_ms, (uint64_t)r->i.streams->i.desc.poll_ms * (told ? 10u : 1u));
}

/* What next can answer without asking. -> PENDING: ask; r->i.due_ms says when */
static int mcpsess_i_reader_has(mcpsess_stream_reader *r, uint64_t now_ms) {
    if (r->i.state == MCPSESS_I_READER_GAP) return MCPSESS_GAP;
    if (r->i.state == MCPSESS_I_READER_MISS) return MCPSESS_MISS;
    if (r->i.rest.len != 0) return mcpsess_i_reader_hand(r);
    r->i.due_ms = now_ms;
    if (r->sequence >= r->last && (r->done || !r->streaming)) return MCPSESS_END;
    if (r->sequence >= r->last || r->i.failed) mcpsess_i_reader_wait(r, now_ms);
    return MCPSESS_PENDING;
}

/* An answer came while a reader opened. -> PENDING: and another one is needed */
static int mcpsess_i_reader_opened(mcpsess_stream_reader *r, mcpsess_op *op, int rc, uint64_t now_ms) {
    if (rc != MCPSESS_OK) return rc;
    if (r->i.state == MCPSESS_I_READER_LOOKING) {
        r->i.state = MCPSESS_I_READER_OPENING;
        mcpsess_i_reader_ask(r, MCPSESS_LOG_RANGE, op->i.deadline_ms, now_ms);
        return MCPSESS_PENDING;
    }
    r->i.state = MCPSESS_I_READER_OPEN;
    r->i.streams->stats.resumed++;
    return MCPSESS_OK;
}

/* -> the end of op, or PENDING */
static int mcpsess_i_reader_step(mcpsess_stream_reader *r, mcpsess_op *op, uint64_t now_ms, mcpsess_i_note *note) {
    int rc = MCPSESS_PENDING;
    while (rc == MCPSESS_PENDING) {
        if (!r->i.asking) {
            if (!r->i.woken && now_ms < r->i.due_ms) return MCPSESS_PENDING;
            if (r->sequence >= r->last && r->i.woken) r->i.streams->stats.woken++;
            else if (r->sequence >= r->last) r->i.streams->stats.polled++;
            mcpsess_i_reader_ask(r, MCPSESS_LOG_RANGE, mcpsess_time_add(now_ms, r->i.streams->i.desc.timeout_ms),
                                 now_ms);
        }
        if (r->i.request.request.rc == MCPSESS_PENDING) return MCPSESS_PENDING;
        rc = mcpsess_i_reader_land(r, op, now_ms, note);
        if (r->i.event == NULL) rc = mcpsess_i_reader_opened(r, op, rc, now_ms);
        else if (rc == MCPSESS_OK) rc = mcpsess_i_reader_has(r, now_ms);
    }
    return rc;
}

/* The end of an operation; a reader that does not open is none. */
static int mcpsess_i_reader_end(mcpsess_stream_reader *r, mcpsess_op *op, int rc, const mcpsess_i_note *note) {
    const mcpsess_log *log = &r->i.streams->i.desc.log;
    mcpsess_str session = r->session;
    r->i.busy = false;
    if (rc != MCPSESS_OK && r->i.event == NULL) mcpsess_stream_close(r);
    (void)mcpsess_op_end(op, rc);
    mcpsess_i_note_log(note, log, session);
    return rc;
}

static int mcpsess_i_reader_stop(mcpsess_stream_reader *r, int rc) {
    mcpsess_store store = r->i.streams->i.desc.store;
    if (r->i.asking) {
        store.cls->cancel(store.self, &r->i.request.request);
        r->i.asking = false;
        r->i.woken = true; /* what that answer would have said is to be asked again */
    }
    return rc;
}

static int mcpsess_i_reader_poll(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_stream_reader *r = (mcpsess_stream_reader *)mcpsess_op_object(op);
    mcpsess_i_note note = {0, 0, 0};
    int rc = mcpsess_op_rc(op); /* once it is done the reader may be closed */
    if (rc != MCPSESS_PENDING) return rc;
    r->i.streams->i.desc.store.cls->poll(r->i.streams->i.desc.store.self, now_ms);
    rc = mcpsess_i_reader_step(r, op, now_ms, &note);
    if (rc == MCPSESS_PENDING && now_ms >= op->i.deadline_ms) rc = mcpsess_i_reader_stop(r, MCPSESS_E_TIMEOUT);
    return rc == MCPSESS_PENDING ? rc : mcpsess_i_reader_end(r, op, rc, &note);
}

static void mcpsess_i_reader_cancel(mcpsess_op *op) {
    mcpsess_stream_reader *r = (mcpsess_stream_reader *)mcpsess_op_object(op);
    const mcpsess_i_note none = {0, 0, 0};
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return;
    (void)mcpsess_i_reader_end(r, op, mcpsess_i_reader_stop(r, MCPSESS_E_CANCELED), &none);
}

/* Could a step go on right now? */
static bool mcpsess_i_reader_runnable(const mcpsess_stream_reader *r) {
    return r->i.asking ? r->i.request.request.rc != MCPSESS_PENDING : r->i.woken;
}

static uint64_t mcpsess_i_reader_next_due(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_stream_reader *r = (mcpsess_stream_reader *)mcpsess_op_object(op);
    mcpsess_store store;
    uint64_t due_ms;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return MCPSESS_NEVER;
    if (mcpsess_i_reader_runnable(r)) return now_ms;
    store = r->i.streams->i.desc.store;
    due_ms = store.cls->next_due(store.self, now_ms);
    if (!r->i.asking && r->i.due_ms < due_ms) due_ms = r->i.due_ms;
    return due_ms < op->i.deadline_ms ? due_ms : op->i.deadline_ms;
}

static unsigned mcpsess_i_reader_want(mcpsess_op *op) {
    mcpsess_stream_reader *r = (mcpsess_stream_reader *)mcpsess_op_object(op);
    mcpsess_store store;
    unsigned want;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return 0;
    store = r->i.streams->i.desc.store;
    want = store.cls->want(store.self) | MCPSESS_WANT_TIME;
    return mcpsess_i_reader_runnable(r) ? want | MCPSESS_WANT_NOW : want;
}

static void mcpsess_i_reader_begin(mcpsess_stream_reader *r, mcpsess_op *op, uint64_t deadline_ms) {
    static const mcpsess_op_class cls = {mcpsess_i_reader_poll, mcpsess_i_reader_cancel, mcpsess_i_reader_next_due,
                                         mcpsess_i_reader_want};
    (void)mcpsess_op_begin(op, &cls, r);
    op->i.deadline_ms = deadline_ms;
    r->i.busy = true;
}

/* The link to this reader, or the one at the end of the list, which is NULL. Does not look into r. */
static mcpsess_stream_reader **mcpsess_i_reader_link(mcpsess_streams *s, const mcpsess_stream_reader *r) {
    mcpsess_stream_reader **link = &s->i.readers;
    while (*link != NULL && *link != r) link = &(*link)->i.next;
    return link;
}

/* What resume and read have in common; r's names and position are set. */
static int mcpsess_i_reader_open(mcpsess_streams *s, mcpsess_stream_reader *r, mcpsess_op *op,
                                 const mcpsess_principal *who, mcpsess_buf *mem, uint64_t now_ms) {
    bool looks = r->epoch == 0 && r->sequence == 0;
    mcpsess_buf_init(&r->i.page, mem->ptr + mem->len, mem->cap - mem->len);
    r->i.streams = s;
    r->i.who = *who;
    r->i.next = s->i.readers;
    s->i.readers = r;
    r->i.state = (uint8_t)(looks ? MCPSESS_I_READER_LOOKING : MCPSESS_I_READER_OPENING);
    mcpsess_i_reader_begin(r, op, mcpsess_i_stream_timeout(s, op, now_ms));
    mcpsess_i_reader_ask(r, looks ? MCPSESS_LOG_STATE : MCPSESS_LOG_RANGE, op->i.deadline_ms, now_ms);
    return mcpsess_i_reader_poll(op, now_ms);
}

/* Before anything is begun. */
static int mcpsess_i_reader_check(mcpsess_streams *s, const mcpsess_stream_reader *r, const mcpsess_op *op,
                                  const void *mem, size_t mem_len) {
    if (!mcpsess_i_stream_ready(s) || r == NULL || op == NULL || mem == NULL) return MCPSESS_E_ARG;
    if (mcpsess_op_rc(op) == MCPSESS_PENDING || *mcpsess_i_reader_link(s, r) != NULL) return MCPSESS_E_STATE;
    return mem_len < MCPSESS_STREAM_READER_MIN ? MCPSESS_E_NOMEM : MCPSESS_OK;
}

MCPSESS_API int mcpsess_stream_resume(mcpsess_streams *s, mcpsess_stream_reader *r, mcpsess_op *op,
                                      mcpsess_str last_event_id, mcpsess_str session, const mcpsess_principal *who,
                                      void *mem, size_t mem_len, uint64_t now_ms) {
    mcpsess_eventid id;
    mcpsess_buf names;
    int rc = mcpsess_i_reader_check(s, r, op, mem, mem_len);
    if (rc == MCPSESS_OK) rc = mcpsess_i_stream_names(session, who, mcpsess_str_of(NULL, 0));
    if (rc != MCPSESS_OK) return rc;
    if (last_event_id.len > MCPSESS_EVENTID_MAX) return MCPSESS_E_FORMAT;
    mcpsess_buf_init(&names, mem, MCPSESS_ID_MAX + MCPSESS_STREAM_MAX);
    if (mcpsess_eventid_decode(last_event_id, &names, &id) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    if (!mcpsess_str_eq(id.session, session)) return MCPSESS_E_ID;
    if (id.stream.len > MCPSESS_STREAM_MAX || id.sequence == 0) return MCPSESS_E_FORMAT;
    memset(r, 0, sizeof *r);
    r->session = id.session;
    r->stream = id.stream;
    r->epoch = id.epoch;
    r->sequence = id.sequence;
    r->i.by_id = true;
    names.cap = mem_len;
    return mcpsess_i_reader_open(s, r, op, who, &names, now_ms);
}

MCPSESS_API int mcpsess_stream_read(mcpsess_streams *s, mcpsess_stream_reader *r, mcpsess_op *op, mcpsess_str session,
                                    const mcpsess_principal *who, mcpsess_str stream, uint64_t epoch, uint64_t sequence,
                                    void *mem, size_t mem_len, uint64_t now_ms) {
    mcpsess_buf page;
    int rc = mcpsess_i_reader_check(s, r, op, mem, mem_len);
    if (rc == MCPSESS_OK) rc = mcpsess_i_stream_names(session, who, stream);
    if (rc != MCPSESS_OK) return rc;
    if ((epoch | sequence) > (uint64_t)MCPSESS_SEQUENCE_MAX) return MCPSESS_E_ARG;
    memset(r, 0, sizeof *r);
    r->session = session;
    r->stream = stream;
    r->epoch = epoch;
    r->sequence = sequence;
    mcpsess_buf_init(&page, mem, mem_len);
    return mcpsess_i_reader_open(s, r, op, who, &page, now_ms);
}

MCPSESS_API int mcpsess_stream_next(mcpsess_stream_reader *r, mcpsess_op *op, mcpsess_event *e, uint64_t now_ms) {
    const mcpsess_i_note none = {0, 0, 0};
    int rc;
    if (r == NULL || op == NULL || e == NULL || r->i.streams == NULL) return MCPSESS_E_ARG;
    if (mcpsess_op_rc(op) == MCPSESS_PENDING || r->i.busy) return MCPSESS_E_STATE;
    memset(e, 0, sizeof *e);
    r->i.event = e;
    mcpsess_i_reader_begin(r, op, op->timeout_ms == 0 ? MCPSESS_NEVER : mcpsess_time_add(now_ms, op->timeout_ms));
    rc = mcpsess_i_reader_has(r, now_ms);
    return rc == MCPSESS_PENDING ? mcpsess_i_reader_poll(op, now_ms) : mcpsess_i_reader_end(r, op, rc, &none);
}

MCPSESS_API void mcpsess_stream_close(mcpsess_stream_reader *r) {
    mcpsess_stream_reader **link;
    if (r == NULL || r->i.streams == NULL) return;
    link = mcpsess_i_reader_link(r->i.streams, r);
    if (*link != NULL) *link = r->i.next;
    r->i.streams = NULL;
}

#endif /* MCPSESS_NO_STREAM */

/* ==== lease ==== */
/* uses: base op store */

MCPSESS_API mcpsess_lease_desc mcpsess_lease_desc_default(void) {
    mcpsess_lease_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

MCPSESS_API uint64_t mcpsess_lease_left(const mcpsess_lease *lease, uint64_t now_ms) {
    return lease == NULL ? 0 : mcpsess_time_left(now_ms, lease->i.until_ms);
}

MCPSESS_API uint64_t mcpsess_lease_due(const mcpsess_lease *lease, uint64_t now_ms) {
    return mcpsess_lease_left(lease, now_ms) == 0 ? MCPSESS_NEVER : lease->i.due_ms;
}

/* The store said OK to what was asked at begun_ms. Never takes time away. */
static void mcpsess_i_lease_granted(mcpsess_lease *lease, uint64_t begun_ms, uint64_t left_ms) {
    uint64_t until_ms = mcpsess_time_add(begun_ms, left_ms);
    if (until_ms < lease->i.until_ms) return;
    lease->i.until_ms = until_ms;
    if (left_ms > UINT32_MAX) left_ms = UINT32_MAX; /* no 64-bit division */
    lease->i.due_ms = mcpsess_time_add(begun_ms, (uint32_t)left_ms / 3u);
}

/* From now on it is not held, and its token is used up: what ends it may arrive late. */
static void mcpsess_i_lease_drop(mcpsess_lease *lease) {
    lease->i.until_ms = 0;
    lease->i.named = false;
}

/* A token that no other lease has, nor had. -> OK, E_RANDOM */
static int mcpsess_i_lease_name(mcpsess_lease *lease, mcpsess_random_fn random, void *user) {
    if (lease->i.named) return MCPSESS_OK;
    if (random(user, lease->i.token, sizeof lease->i.token) != 0) return MCPSESS_E_RANDOM;
    lease->i.named = true;
    return MCPSESS_OK;
}

static mcpsess_str mcpsess_i_lease_token(const mcpsess_lease *lease) {
    return mcpsess_str_of(lease->i.token, sizeof lease->i.token);
}

/* After this, nobody knows whether the store did what it was asked to. */
static bool mcpsess_i_rc_unknown(int rc) {
    return rc == MCPSESS_E_TIMEOUT || rc == MCPSESS_E_UNKNOWN;
}

static void mcpsess_i_lease_submit(mcpsess_lease_op *op, uint8_t kind, uint64_t now_ms) {
    const mcpsess_store *store = &op->i.desc->store;
    uint32_t ttl_ms = mcpsess_i_or(op->i.desc->ttl_ms, 30000);
    uint32_t timeout_ms = mcpsess_i_or(op->op.timeout_ms, mcpsess_i_or(op->i.desc->timeout_ms, 5000));
    op->i.begun_ms = now_ms;
    op->i.request.kind = kind;
    op->i.request.ttl_ms = ttl_ms;
    op->i.request.deadline_ms = mcpsess_time_add(now_ms, timeout_ms < ttl_ms ? timeout_ms : ttl_ms);
    (void)store->cls->submit(store->self, &op->i.request, now_ms);
}

static void mcpsess_i_lease_land(mcpsess_lease_op *op, int rc, uint64_t now_ms) {
    const mcpsess_request *r = &op->i.request;
    mcpsess_lease *lease = op->i.lease;
    if (r->kind == MCPSESS_LEASE_RELEASE) return;
    op->op.left_ms = rc == MCPSESS_BUSY ? r->left_ms : 0;
    if (rc == MCPSESS_LOST || rc == MCPSESS_BUSY) lease->i.until_ms = 0;
    if (rc != MCPSESS_OK) return;
    if (r->kind == MCPSESS_LEASE_ACQUIRE) lease->fence = r->fence;
    mcpsess_i_lease_granted(lease, op->i.begun_ms, r->left_ms);
    op->op.left_ms = mcpsess_lease_left(lease, now_ms);
}

/* What the store answered; a lease of which nothing is left when that is known was not got. */
static int mcpsess_i_lease_rc(const mcpsess_request *r, uint64_t begun_ms, uint64_t now_ms) {
    if (r->rc != MCPSESS_OK || r->kind == MCPSESS_LEASE_RELEASE) return r->rc;
    return mcpsess_time_add(begun_ms, r->left_ms) > now_ms ? MCPSESS_OK : MCPSESS_E_TIMEOUT;
}

/* -> PENDING, or the end of op */
static int mcpsess_i_lease_settle(mcpsess_lease_op *op, uint64_t now_ms) {
    int rc = mcpsess_i_lease_rc(&op->i.request, op->i.begun_ms, now_ms);
    bool acquired = op->i.request.kind == MCPSESS_LEASE_ACQUIRE;
    if (rc == MCPSESS_PENDING) return rc;
    if (op->i.rc != MCPSESS_OK) return mcpsess_op_end(&op->op, op->i.rc);
    if (acquired && mcpsess_i_rc_unknown(rc) && mcpsess_lease_left(op->i.lease, now_ms) == 0) {
        op->i.rc = rc;
        mcpsess_i_lease_drop(op->i.lease);
        mcpsess_i_lease_submit(op, MCPSESS_LEASE_RELEASE, now_ms);
        rc = op->i.request.rc;
        return rc == MCPSESS_PENDING ? rc : mcpsess_op_end(&op->op, op->i.rc);
    }
    mcpsess_i_lease_land(op, rc, now_ms);
    return mcpsess_op_end(&op->op, rc);
}

/* A request that is late has its answer now. */
static void mcpsess_i_request_step(const mcpsess_store *store, mcpsess_request *r, uint64_t now_ms) {
    if (r->rc != MCPSESS_PENDING || now_ms < r->deadline_ms) return;
    store->cls->cancel(store->self, r);
    r->rc = MCPSESS_E_TIMEOUT;
}

static uint64_t mcpsess_i_request_due(const mcpsess_store *store, const mcpsess_request *r, uint64_t now_ms) {
    uint64_t due_ms;
    if (r->rc != MCPSESS_PENDING) return now_ms;
    due_ms = store->cls->next_due(store->self, now_ms);
    return due_ms < r->deadline_ms ? due_ms : r->deadline_ms;
}

static unsigned mcpsess_i_request_want(const mcpsess_store *store, const mcpsess_request *r) {
    if (r->rc != MCPSESS_PENDING) return MCPSESS_WANT_TIME | MCPSESS_WANT_NOW;
    return store->cls->want(store->self) | MCPSESS_WANT_TIME;
}

static int mcpsess_i_lease_poll(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_lease_op *self = (mcpsess_lease_op *)mcpsess_op_object(op);
    const mcpsess_store *store;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return mcpsess_op_rc(op);
    store = &self->i.desc->store;
    if (self->i.request.rc == MCPSESS_PENDING) store->cls->poll(store->self, now_ms);
    mcpsess_i_request_step(store, &self->i.request, now_ms);
    return mcpsess_i_lease_settle(self, now_ms);
}

static void mcpsess_i_lease_cancel(mcpsess_op *op) {
    mcpsess_lease_op *self = (mcpsess_lease_op *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return;
    self->i.desc->store.cls->cancel(self->i.desc->store.self, &self->i.request);
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t mcpsess_i_lease_next_due(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_lease_op *self = (mcpsess_lease_op *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return MCPSESS_NEVER;
    return mcpsess_i_request_due(&self->i.desc->store, &self->i.request, now_ms);
}

static unsigned mcpsess_i_lease_want(mcpsess_op *op) {
    mcpsess_lease_op *self = (mcpsess_lease_op *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return 0;
    return mcpsess_i_request_want(&self->i.desc->store, &self->i.request);
}

static bool mcpsess_i_lease_args_bad(const mcpsess_lease_desc *d, const mcpsess_lease *lease,
                                     const mcpsess_lease_op *op, mcpsess_str key) {
    if (d == NULL || d->store.cls == NULL || d->random == NULL || lease == NULL || op == NULL) return true;
    return key.len == 0 || mcpsess_i_str_bad(key);
}

/* -> PENDING: op is begun, nothing is sent yet; or with nothing begun: E_ARG, E_STATE, E_TOOBIG */
static int mcpsess_i_lease_begin(const mcpsess_lease_desc *d, mcpsess_lease *lease, mcpsess_lease_op *op,
                                 mcpsess_str key) {
    static const mcpsess_op_class cls = {mcpsess_i_lease_poll, mcpsess_i_lease_cancel, mcpsess_i_lease_next_due,
                                         mcpsess_i_lease_want};
    int rc;
    if (mcpsess_i_lease_args_bad(d, lease, op, key)) return MCPSESS_E_ARG;
    if (mcpsess_op_rc(&op->op) == MCPSESS_PENDING) return MCPSESS_E_STATE;
    if (key.len > MCPSESS_ID_MAX) return MCPSESS_E_TOOBIG;
    rc = mcpsess_op_begin(&op->op, &cls, op);
    memset(&op->i, 0, sizeof op->i);
    op->i.desc = d;
    op->i.lease = lease;
    op->i.request.key = key;
    op->i.request.value = mcpsess_i_lease_token(lease);
    return rc;
}

MCPSESS_API int mcpsess_lease_acquire(const mcpsess_lease_desc *d, mcpsess_lease *lease, mcpsess_lease_op *op,
                                      mcpsess_str key, uint64_t now_ms) {
    int rc = mcpsess_i_lease_begin(d, lease, op, key);
    if (rc != MCPSESS_PENDING) return rc;
    rc = mcpsess_i_lease_name(lease, d->random, d->random_user);
    if (rc != MCPSESS_OK) return mcpsess_op_end(&op->op, rc);
    mcpsess_i_lease_submit(op, MCPSESS_LEASE_ACQUIRE, now_ms);
    return mcpsess_i_lease_poll(&op->op, now_ms);
}

MCPSESS_API int mcpsess_lease_extend(const mcpsess_lease_desc *d, mcpsess_lease *lease, mcpsess_lease_op *op,
                                     mcpsess_str key, uint64_t now_ms) {
    int rc = mcpsess_i_lease_begin(d, lease, op, key);
    if (rc != MCPSESS_PENDING) return rc;
    if (!lease->i.named) return mcpsess_op_end(&op->op, MCPSESS_LOST);
    lease->i.due_ms = mcpsess_time_add(now_ms, mcpsess_i_or(d->ttl_ms, 30000) / 6);
    mcpsess_i_lease_submit(op, MCPSESS_LEASE_EXTEND, now_ms);
    return mcpsess_i_lease_poll(&op->op, now_ms);
}

MCPSESS_API int mcpsess_lease_release(const mcpsess_lease_desc *d, mcpsess_lease *lease, mcpsess_lease_op *op,
                                      mcpsess_str key, uint64_t now_ms) {
    int rc = mcpsess_i_lease_begin(d, lease, op, key);
    if (rc != MCPSESS_PENDING) return rc;
    if (!lease->i.named) return mcpsess_op_end(&op->op, MCPSESS_LOST);
    mcpsess_i_lease_drop(lease);
    mcpsess_i_lease_submit(op, MCPSESS_LEASE_RELEASE, now_ms);
    return mcpsess_i_lease_poll(&op->op, now_ms);
}

#ifndef MCPSESS_NO_FLIGHT

/* ==== flightlane ==== */
/* uses: base op store lease */

/* lane.state: of the table in the manual. One that asks first waits for no time at all; one that is ending has nobody
   who waits for it, and a request under way. */
enum {
    MCPSESS_I_FLIGHT_FREE,
    MCPSESS_I_FLIGHT_WAITING,
    MCPSESS_I_FLIGHT_ASKING,
    MCPSESS_I_FLIGHT_LOADING,
    MCPSESS_I_FLIGHT_SETTING,
    MCPSESS_I_FLIGHT_CHECKING,
    MCPSESS_I_FLIGHT_ENDING
};

/* op.i.mode: when its deadline counts */
enum {
    MCPSESS_I_FLIGHT_HARD, /* at any time */
    MCPSESS_I_FLIGHT_SOFT, /* while it waits for what is loaded elsewhere */
    MCPSESS_I_FLIGHT_WAIT  /* a wait, which loads nothing: once the flag was looked for */
};

static bool mcpsess_i_flight_shared(const mcpsess_flights *f) {
    return f->i.desc.store.cls != NULL;
}

static void mcpsess_i_flight_log(const mcpsess_flights *f, int level, int item, mcpsess_str key, uint64_t number) {
    if (f->i.desc.log.log != NULL) f->i.desc.log.log(f->i.desc.log.user, level, item, key, number);
}

static void mcpsess_i_flight_failed(mcpsess_flights *f, mcpsess_str key, int rc) {
    f->stats.failures++;
    mcpsess_i_flight_log(f, MCPSESS_LOG_WARN, MCPSESS_ITEM_STORE_FAILED, key, (uint64_t)-rc);
}

/* Below n. Any crowd is spread by it; it is no secret. */
static uint64_t mcpsess_i_flight_jitter(mcpsess_i_flight_lane *lane, uint64_t n) {
    lane->jitter = lane->jitter * UINT32_C(1664525) + UINT32_C(1013904223);
    return (lane->jitter >> 16) * n >> 16;
}

/* Does anybody here want to load? */
static bool mcpsess_i_flight_loads(const mcpsess_i_flight_lane *lane) {
    const mcpsess_op *op = lane->waiters;
    while (op != NULL && op->i.mode == MCPSESS_I_FLIGHT_WAIT) op = op->i.next;
    return op != NULL;
}

/* -- requests: one at a time for a lane -- */

static void mcpsess_i_flight_submit(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint8_t kind, uint64_t now_ms) {
    mcpsess_request *r = &lane->request.request;
    bool asks = kind == MCPSESS_FLAG_CLAIM || kind == MCPSESS_FLAG_GET;
    r->kind = kind;
    r->value = kind == MCPSESS_FLAG_GET ? mcpsess_str_of(NULL, 0) : mcpsess_i_lease_token(&lane->lease);
    r->deadline_ms = mcpsess_time_add(now_ms, f->i.desc.timeout_ms);
    if (kind != MCPSESS_FLAG_SET) r->ttl_ms = f->i.desc.lease_ms;
    if (asks) lane->data.len = 0;
    r->out = asks && f->i.desc.data_max != 0 ? &lane->data : NULL;
    lane->begun_ms = now_ms;
    f->stats.requests++;
    (void)f->i.desc.store.cls->submit(f->i.desc.store.self, r, now_ms);
}

/* Is there an answer? */
static bool mcpsess_i_flight_answered(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    mcpsess_i_request_step(&f->i.desc.store, &lane->request.request, now_ms);
    return lane->request.request.rc != MCPSESS_PENDING;
}

static void mcpsess_i_flight_stop(mcpsess_flights *f, mcpsess_i_flight_lane *lane) {
    mcpsess_request *r = &lane->request.request;
    if (r->rc != MCPSESS_PENDING) return;
    f->i.desc.store.cls->cancel(f->i.desc.store.self, r);
    r->rc = MCPSESS_E_CANCELED;
}

/* -- the end of a lane, and of the ops in it -- */

/* Releases what may be ours; the lane is free when that is answered, or late. */
static void mcpsess_i_flight_leave(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    mcpsess_i_flight_stop(f, lane);
    lane->state = MCPSESS_I_FLIGHT_FREE;
    if (!lane->held) return;
    lane->held = false;
    mcpsess_i_flight_submit(f, lane, MCPSESS_LEASE_RELEASE, now_ms);
    if (lane->request.request.rc == MCPSESS_PENDING) lane->state = MCPSESS_I_FLIGHT_ENDING;
}

static void mcpsess_i_flight_reap(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    int rc;
    if (!mcpsess_i_flight_answered(f, lane, now_ms)) return;
    rc = lane->request.request.rc;
    if (rc < 0) mcpsess_i_flight_failed(f, lane->job.key, rc);
    if (lane->request.request.kind == MCPSESS_FLAG_SET && rc == MCPSESS_OK) f->stats.loaded++;
    if (rc == MCPSESS_OK || rc == MCPSESS_LOST) lane->held = false;
    mcpsess_i_flight_leave(f, lane, now_ms);
}

/* Nobody waits for it any more. A loader is user code. */
static void mcpsess_i_flight_abandon(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    const mcpsess_request *r = &lane->request.request;
    mcpsess_op *loader = lane->loader;
    if (lane->waiters != NULL || lane->state == MCPSESS_I_FLIGHT_FREE) return;
    if (lane->state == MCPSESS_I_FLIGHT_SETTING) lane->state = MCPSESS_I_FLIGHT_ENDING;
    if (lane->state == MCPSESS_I_FLIGHT_ENDING) return;
    if (lane->state == MCPSESS_I_FLIGHT_ASKING && r->kind == MCPSESS_FLAG_CLAIM && r->rc <= MCPSESS_PENDING) {
        lane->held = true; /* perhaps */
    }
    lane->loader = NULL;
    if (loader != NULL) mcpsess_cancel(loader);
    mcpsess_i_flight_leave(f, lane, now_ms);
}

static int mcpsess_i_flight_hand(const mcpsess_i_flight_lane *lane, mcpsess_op *op, int rc, uint64_t now_ms) {
    mcpsess_str data = mcpsess_buf_str(&lane->data);
    if (rc == MCPSESS_E_TOOBIG) op->need = lane->request.request.need;
    if (rc != MCPSESS_OK) return rc;
    op->left_ms = mcpsess_time_left(now_ms, lane->good_until_ms);
    if (op->i.out == NULL) return rc;
    op->need = data.len;
    if (!mcpsess_i_buf_fits(op->i.out, data.len)) return MCPSESS_E_TOOBIG;
    mcpsess_buf_put(op->i.out, data);
    return rc;
}

/* The lane is done: everybody who waits is answered. */
static void mcpsess_i_flight_end(mcpsess_flights *f, mcpsess_i_flight_lane *lane, int rc, bool found, uint64_t now_ms) {
    mcpsess_op *op;
    while ((op = lane->waiters) != NULL) {
        lane->waiters = op->i.next;
        if (found) f->stats.found++;
        (void)mcpsess_op_end(op, mcpsess_i_flight_hand(lane, op, rc, now_ms));
    }
    mcpsess_i_flight_leave(f, lane, now_ms);
}

static void mcpsess_i_flight_take_out(mcpsess_i_flight_lane *lane, mcpsess_op *op) {
    mcpsess_op **link = &lane->waiters;
    while (*link != op) link = &(*link)->i.next;
    *link = op->i.next;
}

/* Is it waiting for what is loaded elsewhere, or looking whether that has ended? */
static bool mcpsess_i_flight_waits(const mcpsess_i_flight_lane *lane) {
    return lane->waited && lane->state <= MCPSESS_I_FLIGHT_ASKING;
}

/* MCPSESS_NEVER while it does not count. */
static uint64_t mcpsess_i_flight_deadline(const mcpsess_i_flight_lane *lane, const mcpsess_op *op) {
    bool counts = op->i.mode == MCPSESS_I_FLIGHT_HARD || mcpsess_i_flight_waits(lane);
    if (op->i.mode == MCPSESS_I_FLIGHT_WAIT && lane->state > MCPSESS_I_FLIGHT_ASKING) counts = true;
    return counts ? op->i.deadline_ms : MCPSESS_NEVER;
}

/* The time of one op is over. */
static void mcpsess_i_flight_give_up(mcpsess_flights *f, mcpsess_i_flight_lane *lane, mcpsess_op *op, uint64_t now_ms) {
    bool busy = mcpsess_i_flight_waits(lane) && lane->held_until_ms > now_ms;
    op->left_ms = busy ? lane->held_until_ms - now_ms : 0;
    f->stats.gave_up++;
    mcpsess_i_flight_log(f, MCPSESS_LOG_WARN, MCPSESS_ITEM_WAIT_OVER, lane->job.key, op->left_ms);
    mcpsess_i_flight_take_out(lane, op);
    (void)mcpsess_op_end(op, busy ? MCPSESS_BUSY : MCPSESS_E_TIMEOUT);
}

/* -- asking and waiting -- */

/* The floor, spread over its quarters; and when the lease of another runs out, which nobody tells in time. */
static void mcpsess_i_flight_wait(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    const mcpsess_store *store = &f->i.desc.store;
    uint64_t poll_ms = f->i.desc.poll_ms, takeover_ms;
    bool told = f->i.told && !lane->failed;
    lane->state = MCPSESS_I_FLIGHT_WAITING;
    lane->waited = true;
    lane->due_ms = MCPSESS_NEVER;
    if (!mcpsess_i_flight_shared(f)) return;
    if (told && store->cls->hear != NULL) told = store->cls->hear(store->self, now_ms) == MCPSESS_OK;
    if (told) poll_ms *= 10;
    lane->due_ms = now_ms + 1 + poll_ms - poll_ms / 4 + mcpsess_i_flight_jitter(lane, poll_ms / 2);
    if (lane->held_until_ms < now_ms) return; /* none; or it is over, and asking was in vain */
    takeover_ms = mcpsess_time_add(lane->held_until_ms, 1 + mcpsess_i_flight_jitter(lane, f->i.desc.poll_ms));
    if (takeover_ms < lane->due_ms) lane->due_ms = takeover_ms;
}

/* Somebody is at it, or nobody, and we are not to be. */
static void mcpsess_i_flight_denied(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    const mcpsess_request *r = &lane->request.request;
    bool looked = r->kind == MCPSESS_FLAG_GET;
    lane->failed = false;
    if (!looked) lane->held = false;
    lane->held_until_ms = r->rc == MCPSESS_BUSY ? mcpsess_time_add(now_ms, r->left_ms) : 0;
    mcpsess_i_flight_wait(f, lane, now_ms);
    if (looked && mcpsess_i_flight_loads(lane)) lane->due_ms = now_ms; /* who wants to load came meanwhile */
}

/* We may load, and begin to. The loader is user code. */
static void mcpsess_i_flight_start(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    lane->job.fence = lane->lease.fence;
    lane->job.data = &lane->data;
    lane->data.len = 0;
    lane->data.overflow = lane->extending = false;
    lane->state = MCPSESS_I_FLIGHT_LOADING;
    f->stats.loads++;
    if (lane->held_until_ms != 0) {
        f->stats.taken_over++;
        mcpsess_i_flight_log(f, MCPSESS_LOG_INFO, MCPSESS_ITEM_TAKEN_OVER, lane->job.key, lane->job.fence);
    }
    lane->loader = f->i.desc.load(f->i.desc.load_user, &lane->job, now_ms);
}

/* A claim was granted; if nothing of it is left by now, that is as good as no answer. */
static int mcpsess_i_flight_granted(mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    const mcpsess_request *r = &lane->request.request;
    lane->held = true;
    lane->lease.i.until_ms = 0;
    mcpsess_i_lease_granted(&lane->lease, lane->begun_ms, r->left_ms);
    lane->lease.fence = r->fence;
    return mcpsess_lease_left(&lane->lease, now_ms) != 0 ? MCPSESS_OK : MCPSESS_E_TIMEOUT;
}

/* The store failed. Who waits for another's load goes on; a claim that may have been granted finds itself. */
static void mcpsess_i_flight_unasked(mcpsess_flights *f, mcpsess_i_flight_lane *lane, int rc, uint64_t now_ms) {
    bool unknown = mcpsess_i_rc_unknown(rc);
    mcpsess_i_flight_failed(f, lane->job.key, rc);
    if (unknown && lane->request.request.kind == MCPSESS_FLAG_CLAIM) lane->held = true;
    if (!lane->waited || (!unknown && rc != MCPSESS_E_IO && rc > MCPSESS_E_STORE)) {
        mcpsess_i_flight_end(f, lane, rc, false, now_ms);
        return;
    }
    lane->failed = true;
    mcpsess_i_flight_wait(f, lane, now_ms);
}

/* The store answered that the flag is set. Its time is counted from before the request, as a lease's is. -> is it
 * still?
 */
static bool mcpsess_i_flight_good(mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    lane->good_until_ms = mcpsess_time_add(lane->begun_ms, lane->request.request.left_ms);
    return lane->good_until_ms > now_ms;
}

static void mcpsess_i_flight_found(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    if (mcpsess_i_flight_good(lane, now_ms)) {
        mcpsess_i_flight_end(f, lane, MCPSESS_OK, true, now_ms);
        return;
    }
    lane->state = MCPSESS_I_FLIGHT_WAITING; /* the answer came too late: once more */
    lane->due_ms = now_ms;
}

static void mcpsess_i_flight_land_ask(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    int rc = lane->request.request.rc;
    bool claimed = lane->request.request.kind == MCPSESS_FLAG_CLAIM;
    if (claimed && rc == MCPSESS_OK) {
        rc = mcpsess_i_flight_granted(lane, now_ms);
        if (rc == MCPSESS_OK) {
            mcpsess_i_flight_start(f, lane, now_ms);
            return;
        }
    }
    switch (rc) {
    case MCPSESS_OK:
    case MCPSESS_EXISTS: mcpsess_i_flight_found(f, lane, now_ms); return;
    case MCPSESS_BUSY:
    case MCPSESS_MISS: mcpsess_i_flight_denied(f, lane, now_ms); return;
    case MCPSESS_E_TOOBIG: mcpsess_i_flight_end(f, lane, rc, true, now_ms); return;
    default: mcpsess_i_flight_unasked(f, lane, rc, now_ms); return;
    }
}

/* One that waits, woken or due. */
static void mcpsess_i_flight_ask(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    bool loads = mcpsess_i_flight_loads(lane);
    if (lane->waited && lane->woken) f->stats.woken++;
    else if (lane->waited) f->stats.polled++;
    lane->woken = false;
    if (mcpsess_i_flight_shared(f)) {
        lane->state = MCPSESS_I_FLIGHT_ASKING;
        mcpsess_i_flight_submit(f, lane, loads ? MCPSESS_FLAG_CLAIM : MCPSESS_FLAG_GET, now_ms);
    } else if (loads) {
        mcpsess_i_flight_start(f, lane, now_ms);
    } else {
        mcpsess_i_flight_wait(f, lane, now_ms);
    }
}

/* -- loading -- */

static void mcpsess_i_flight_lose(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    mcpsess_op *loader = lane->loader;
    f->stats.lost++;
    mcpsess_i_flight_log(f, MCPSESS_LOG_ERROR, MCPSESS_ITEM_LEASE_LOST, lane->job.key, lane->lease.fence);
    lane->loader = NULL;
    mcpsess_cancel(loader);
    mcpsess_i_flight_end(f, lane, MCPSESS_FENCED, false, now_ms);
}

/* The lease of a load under way. -> is it held? */
static bool mcpsess_i_flight_keep(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    int rc;
    if (lane->extending && mcpsess_i_flight_answered(f, lane, now_ms)) {
        rc = lane->request.request.rc;
        lane->extending = false;
        if (rc == MCPSESS_OK) mcpsess_i_lease_granted(&lane->lease, lane->begun_ms, lane->request.request.left_ms);
        if (rc < 0) mcpsess_i_flight_failed(f, lane->job.key, rc);
        if (rc == MCPSESS_LOST) lane->held = false;
        if (rc == MCPSESS_LOST) return false;
    }
    if (mcpsess_lease_left(&lane->lease, now_ms) == 0) return false;
    if (!lane->extending && now_ms >= lane->lease.i.due_ms) {
        lane->extending = true;
        lane->lease.i.due_ms = mcpsess_time_add(now_ms, f->i.desc.lease_ms / 6u + 1u);
        mcpsess_i_flight_submit(f, lane, MCPSESS_LEASE_EXTEND, now_ms);
    }
    return true;
}

static void mcpsess_i_flight_loaded(mcpsess_flights *f, mcpsess_i_flight_lane *lane, int rc, uint64_t left_ms,
                                    uint64_t now_ms) {
    uint64_t ttl_ms = left_ms == 0 || left_ms > f->i.desc.flag_ttl_ms ? f->i.desc.flag_ttl_ms : left_ms;
    if (rc == MCPSESS_OK && lane->data.overflow) rc = MCPSESS_E_TOOBIG;
    if (rc != MCPSESS_OK) {
        f->stats.failed++;
        mcpsess_i_flight_log(f, MCPSESS_LOG_WARN, MCPSESS_ITEM_LOAD_FAILED, lane->job.key,
                             (uint64_t)(rc < 0 ? -rc : rc));
        mcpsess_i_flight_end(f, lane, rc, false, now_ms);
        return;
    }
    lane->good_until_ms = mcpsess_time_add(now_ms, ttl_ms);
    if (!mcpsess_i_flight_shared(f)) {
        f->stats.loaded++;
        mcpsess_i_flight_end(f, lane, rc, false, now_ms);
        return;
    }
    mcpsess_i_flight_stop(f, lane); /* an extend, which may still take effect, but not after this: */
    lane->state = MCPSESS_I_FLIGHT_SETTING;
    lane->request.data = mcpsess_buf_str(&lane->data);
    lane->request.request.ttl_ms = ttl_ms;
    mcpsess_i_flight_submit(f, lane, MCPSESS_FLAG_SET, now_ms);
}

/* -> it may go on */
static bool mcpsess_i_flight_load_on(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    mcpsess_op *loader = lane->loader;
    int rc;
    if (loader == NULL) {
        mcpsess_i_flight_loaded(f, lane, MCPSESS_E_FULL, 0, now_ms);
        return false;
    }
    if (mcpsess_i_flight_shared(f)) {
        if (!mcpsess_i_flight_keep(f, lane, now_ms)) {
            mcpsess_i_flight_lose(f, lane, now_ms);
            return false;
        }
    }
    rc = mcpsess_poll(loader, now_ms);
    if (rc == MCPSESS_PENDING) return false;
    lane->loader = NULL;
    mcpsess_i_flight_loaded(f, lane, rc, loader->left_ms, now_ms);
    return true;
}

/* -- setting and checking -- */

static void mcpsess_i_flight_land_set(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    int rc = lane->request.request.rc;
    if (rc == MCPSESS_OK) {
        lane->held = false;
        f->stats.loaded++;
        mcpsess_i_flight_end(f, lane, rc, false, now_ms);
        return;
    }
    if (rc < 0) mcpsess_i_flight_failed(f, lane->job.key, rc);
    if (rc != MCPSESS_LOST && !mcpsess_i_rc_unknown(rc)) {
        mcpsess_i_flight_end(f, lane, rc, false, now_ms);
        return;
    }
    lane->verdict = rc;
    lane->state = MCPSESS_I_FLIGHT_CHECKING;
    mcpsess_i_flight_submit(f, lane, MCPSESS_FLAG_GET, now_ms);
}

/* Refused, or without an answer: is there a flag all the same, by a try that was repeated, or by who took over? */
static void mcpsess_i_flight_land_check(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    int rc = lane->request.request.rc;
    bool lost = lane->verdict == MCPSESS_LOST;
    if (lost) lane->held = false;
    if (lost) f->stats.lost++;
    if (lost) {
        mcpsess_i_flight_log(f, MCPSESS_LOG_WARN, MCPSESS_ITEM_FLAG_REFUSED, lane->job.key, lane->lease.fence);
    }
    if (rc == MCPSESS_OK && mcpsess_i_flight_good(lane, now_ms)) {
        mcpsess_i_flight_end(f, lane, rc, true, now_ms);
        return;
    }
    if (rc < 0) mcpsess_i_flight_failed(f, lane->job.key, rc);
    mcpsess_i_flight_end(f, lane, lost ? (int)MCPSESS_FENCED : lane->verdict, false, now_ms);
}

/* ==== flight ==== */
/* uses: base op store lease flightlane */

#define MCPSESS_I_FLIGHT_READY 0x464C4754u

MCPSESS_API mcpsess_flight_desc mcpsess_flight_desc_default(void) {
    mcpsess_flight_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

MCPSESS_API size_t mcpsess_flight_bytes(const mcpsess_flight_desc *d) {
    uint64_t bytes;
    if (d == NULL || d->lanes == 0 || d->lanes == UINT16_MAX) return 0;
    bytes = MCPSESS_FLIGHT_BYTES(d->lanes, d->data_max);
    return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

/* The flag or the lease of this key has changed: whoever waits for it looks again. */
static void mcpsess_i_flight_changed(void *user, mcpsess_str key) {
    mcpsess_flights *f = (mcpsess_flights *)user;
    uint16_t n;
    for (n = 0; n < f->i.desc.lanes; n++) {
        mcpsess_i_flight_lane *lane = &f->i.lanes[n];
        if (lane->state == MCPSESS_I_FLIGHT_FREE) continue;
        if (key.len == 0 || mcpsess_str_eq(lane->job.key, key)) lane->woken = true;
    }
}

static void mcpsess_i_flight_defaults(mcpsess_flight_desc *d) {
    if (d->flag_ttl_ms == 0) d->flag_ttl_ms = 3600000;
    d->lease_ms = mcpsess_i_or(d->lease_ms, 30000);
    d->wait_ms = mcpsess_i_or(d->wait_ms, 5000);
    d->poll_ms = mcpsess_i_or(d->poll_ms, 100);
    d->timeout_ms = mcpsess_i_or(d->timeout_ms, 5000);
    if (d->timeout_ms > d->lease_ms) d->timeout_ms = d->lease_ms;
}

MCPSESS_API int mcpsess_flight_init(mcpsess_flights *f, const mcpsess_flight_desc *d, void *mem, size_t mem_len) {
    const mcpsess_store_class *cls;
    int rc;
    if (f == NULL || d == NULL || (d->store.cls != NULL && d->random == NULL)) return MCPSESS_E_ARG;
    memset(f, 0, sizeof *f);
    rc = mcpsess_storage_check(mem, mem_len, mcpsess_flight_bytes(d));
    if (rc != MCPSESS_OK) return rc;
    f->i.desc = *d;
    mcpsess_i_flight_defaults(&f->i.desc);
    f->i.lanes = (mcpsess_i_flight_lane *)mem;
    memset(f->i.lanes, 0, d->lanes * sizeof *f->i.lanes);
    f->i.bytes = (char *)(f->i.lanes + d->lanes);
    f->i.listener.changed = mcpsess_i_flight_changed;
    f->i.listener.user = f;
    cls = d->store.cls;
    if (cls != NULL && cls->listen != NULL) {
        rc = cls->listen(d->store.self, MCPSESS_OF_FLAGS, &f->i.listener);
        f->i.told = rc == MCPSESS_OK;
        if (rc == MCPSESS_E_UNSUPPORTED) rc = MCPSESS_OK;
    }
    if (rc == MCPSESS_OK) f->i.ready = MCPSESS_I_FLIGHT_READY;
    return rc;
}

static bool mcpsess_i_flight_ready(const mcpsess_flights *f) {
    return f != NULL && f->i.ready == MCPSESS_I_FLIGHT_READY;
}

/* -- stepping -- */

/* One transition. -> there may be another one */
static bool mcpsess_i_flight_turn(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    if (lane->state == MCPSESS_I_FLIGHT_WAITING) {
        if (!lane->woken && now_ms < lane->due_ms) return false;
        mcpsess_i_flight_ask(f, lane, now_ms);
        return lane->state != MCPSESS_I_FLIGHT_WAITING;
    }
    if (lane->state == MCPSESS_I_FLIGHT_LOADING) return mcpsess_i_flight_load_on(f, lane, now_ms);
    if (lane->state == MCPSESS_I_FLIGHT_FREE || !mcpsess_i_flight_answered(f, lane, now_ms)) return false;
    switch (lane->state) {
    case MCPSESS_I_FLIGHT_ASKING: mcpsess_i_flight_land_ask(f, lane, now_ms); return true;
    case MCPSESS_I_FLIGHT_SETTING: mcpsess_i_flight_land_set(f, lane, now_ms); return true;
    case MCPSESS_I_FLIGHT_CHECKING: mcpsess_i_flight_land_check(f, lane, now_ms); return false;
    default: mcpsess_i_flight_reap(f, lane, now_ms); return false;
    }
}

/* All that a lane can do now, then the deadlines of those who wait. */
static void mcpsess_i_flight_step(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    mcpsess_op *op, *next;
    while (mcpsess_i_flight_turn(f, lane, now_ms)) {
    }
    for (op = lane->waiters; op != NULL; op = next) {
        next = op->i.next;
        if (now_ms >= mcpsess_i_flight_deadline(lane, op)) mcpsess_i_flight_give_up(f, lane, op, now_ms);
    }
    mcpsess_i_flight_abandon(f, lane, now_ms);
}

/* Steps one lane, and, where user code called something of this table meanwhile, all of them. */
static void mcpsess_i_flight_run(mcpsess_flights *f, mcpsess_i_flight_lane *lane, uint64_t now_ms) {
    uint16_t n;
    f->i.now_ms = now_ms;
    f->i.stepping = true;
    mcpsess_i_flight_step(f, lane, now_ms);
    if (f->i.nested) {
        f->i.nested = false;
        for (n = 0; n < f->i.desc.lanes; n++) mcpsess_i_flight_step(f, &f->i.lanes[n], now_ms);
    }
    f->i.stepping = false;
}

static mcpsess_i_flight_lane *mcpsess_i_flight_lane_of(mcpsess_flights *f, const mcpsess_op *op) {
    return &f->i.lanes[op->i.lane];
}

static int mcpsess_i_flight_poll(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_flights *f = (mcpsess_flights *)mcpsess_op_object(op);
    const mcpsess_store *store = &f->i.desc.store;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return mcpsess_op_rc(op);
    if (f->i.stepping) {
        f->i.nested = true;
        return MCPSESS_PENDING;
    }
    if (store->cls != NULL) store->cls->poll(store->self, now_ms);
    mcpsess_i_flight_run(f, mcpsess_i_flight_lane_of(f, op), now_ms);
    return mcpsess_op_rc(op);
}

static void mcpsess_i_flight_cancel(mcpsess_op *op) {
    mcpsess_flights *f = (mcpsess_flights *)mcpsess_op_object(op);
    mcpsess_i_flight_lane *lane;
    uint16_t n;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return;
    lane = mcpsess_i_flight_lane_of(f, op);
    mcpsess_i_flight_take_out(lane, op);
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
    f->i.nested = true;
    if (f->i.stepping) return; /* who steps looks after the lane */
    f->i.stepping = true;
    while (f->i.nested) { /* a loader that is canceled may cancel others */
        f->i.nested = false;
        for (n = 0; n < f->i.desc.lanes; n++) mcpsess_i_flight_abandon(f, &f->i.lanes[n], f->i.now_ms);
    }
    f->i.stepping = false;
    if (mcpsess_i_flight_shared(f)) f->i.desc.store.cls->poll(f->i.desc.store.self, f->i.now_ms); /* a release leaves */
}

/* Could a step go on right now? */
static bool mcpsess_i_flight_runnable(const mcpsess_i_flight_lane *lane) {
    if (lane->state == MCPSESS_I_FLIGHT_WAITING) return lane->woken;
    if (lane->state == MCPSESS_I_FLIGHT_LOADING && !lane->extending) return lane->loader == NULL;
    return lane->request.request.rc != MCPSESS_PENDING;
}

static uint64_t mcpsess_i_flight_earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t mcpsess_i_flight_loading_due(const mcpsess_i_flight_lane *lane, bool shared, uint64_t now_ms) {
    uint64_t due_ms = mcpsess_next_due(lane->loader, now_ms);
    if (mcpsess_op_rc(lane->loader) != MCPSESS_PENDING) return now_ms;
    if (!shared) return due_ms;
    due_ms = mcpsess_i_flight_earlier(due_ms, lane->lease.i.until_ms);
    return mcpsess_i_flight_earlier(due_ms, lane->extending ? lane->request.request.deadline_ms : lane->lease.i.due_ms);
}

static uint64_t mcpsess_i_flight_next_due(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_flights *f = (mcpsess_flights *)mcpsess_op_object(op);
    const mcpsess_store *store = &f->i.desc.store;
    const mcpsess_i_flight_lane *lane;
    uint64_t due_ms;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return MCPSESS_NEVER;
    lane = mcpsess_i_flight_lane_of(f, op);
    if (mcpsess_i_flight_runnable(lane)) return now_ms;
    due_ms = mcpsess_i_flight_deadline(lane, op);
    if (store->cls != NULL) due_ms = mcpsess_i_flight_earlier(due_ms, store->cls->next_due(store->self, now_ms));
    switch (lane->state) {
    case MCPSESS_I_FLIGHT_WAITING: return mcpsess_i_flight_earlier(due_ms, lane->due_ms);
    case MCPSESS_I_FLIGHT_LOADING:
        return mcpsess_i_flight_earlier(due_ms, mcpsess_i_flight_loading_due(lane, store->cls != NULL, now_ms));
    default: return mcpsess_i_flight_earlier(due_ms, lane->request.request.deadline_ms);
    }
}

static unsigned mcpsess_i_flight_want(mcpsess_op *op) {
    mcpsess_flights *f = (mcpsess_flights *)mcpsess_op_object(op);
    const mcpsess_store *store = &f->i.desc.store;
    const mcpsess_i_flight_lane *lane;
    unsigned want = MCPSESS_WANT_TIME;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return 0;
    lane = mcpsess_i_flight_lane_of(f, op);
    if (store->cls != NULL) want |= store->cls->want(store->self);
    if (lane->state == MCPSESS_I_FLIGHT_LOADING) {
        want |= mcpsess_want(lane->loader);
        if (mcpsess_op_rc(lane->loader) != MCPSESS_PENDING) want |= MCPSESS_WANT_NOW;
    }
    return mcpsess_i_flight_runnable(lane) ? want | MCPSESS_WANT_NOW : want;
}

/* -- loading and waiting -- */

/* A lane in which this very thing is under way; NULL: none. */
static mcpsess_i_flight_lane *mcpsess_i_flight_join(mcpsess_flights *f, const mcpsess_op *op) {
    uint16_t n;
    for (n = 0; n < f->i.desc.lanes; n++) {
        mcpsess_i_flight_lane *lane = &f->i.lanes[n];
        if (lane->state == MCPSESS_I_FLIGHT_FREE || lane->state == MCPSESS_I_FLIGHT_ENDING) continue;
        if (!mcpsess_str_eq(lane->job.key, op->i.id) || !mcpsess_str_eq(lane->job.fingerprint, op->i.value)) continue;
        f->stats.shared++;
        return lane;
    }
    return NULL;
}

/* A free one, if need be one that was ending; NULL: none. */
static mcpsess_i_flight_lane *mcpsess_i_flight_take(mcpsess_flights *f, uint64_t now_ms) {
    uint16_t n;
    for (n = 0; n < f->i.desc.lanes; n++) {
        if (f->i.lanes[n].state == MCPSESS_I_FLIGHT_FREE) return &f->i.lanes[n];
    }
    for (n = 0; n < f->i.desc.lanes; n++) {
        if (f->i.lanes[n].state == MCPSESS_I_FLIGHT_ENDING) mcpsess_i_flight_reap(f, &f->i.lanes[n], now_ms);
        if (f->i.lanes[n].state == MCPSESS_I_FLIGHT_FREE) return &f->i.lanes[n];
    }
    return NULL;
}

static mcpsess_str mcpsess_i_flight_copy(char *to, mcpsess_str from) {
    mcpsess_i_copy(to, from.ptr, from.len);
    return mcpsess_str_of(to, from.len);
}

/* A lane that asks with its first step. -> OK, E_RANDOM */
static int mcpsess_i_flight_fill(mcpsess_flights *f, mcpsess_i_flight_lane *lane, const mcpsess_op *op) {
    char *at = f->i.bytes + (size_t)(lane - f->i.lanes) * (size_t)MCPSESS_I_FLIGHT_LANE_BYTES(f->i.desc.data_max);
    int rc = MCPSESS_OK;
    memset(lane, 0, sizeof *lane);
    if (mcpsess_i_flight_shared(f)) rc = mcpsess_i_lease_name(&lane->lease, f->i.desc.random, f->i.desc.random_user);
    if (rc != MCPSESS_OK) return rc;
    lane->jitter = mcpsess_hash((const uint8_t *)lane->lease.i.token, op->i.id);
    lane->job.key = lane->request.request.key = mcpsess_i_flight_copy(at, op->i.id);
    at += MCPSESS_ID_MAX;
    lane->job.fingerprint = lane->request.request.expect = mcpsess_i_flight_copy(at, op->i.value);
    mcpsess_buf_init(&lane->data, at + MCPSESS_FINGERPRINT_MAX, f->i.desc.data_max);
    lane->state = MCPSESS_I_FLIGHT_WAITING;
    return rc;
}

/* Finds a lane for op. -> PENDING, or what op ends with */
static int mcpsess_i_flight_place(mcpsess_flights *f, mcpsess_op *op, uint64_t now_ms) {
    mcpsess_i_flight_lane *lane = mcpsess_i_flight_join(f, op);
    mcpsess_op **link;
    int rc;
    if (lane == NULL) {
        lane = mcpsess_i_flight_take(f, now_ms);
        rc = lane == NULL ? (int)MCPSESS_E_FULL : mcpsess_i_flight_fill(f, lane, op);
        if (rc != MCPSESS_OK) return rc;
    } else if (op->i.mode != MCPSESS_I_FLIGHT_WAIT && !mcpsess_i_flight_loads(lane) &&
               lane->state == MCPSESS_I_FLIGHT_WAITING) {
        lane->due_ms = now_ms; /* those who are here would only have looked */
    }
    op->i.lane = (uint16_t)(lane - f->i.lanes);
    for (link = &lane->waiters; *link != NULL; link = &(*link)->i.next) {
    }
    op->i.next = NULL;
    *link = op;
    return MCPSESS_PENDING;
}

static int mcpsess_i_flight_names(mcpsess_str key, mcpsess_str fingerprint) {
    if (key.len == 0 || mcpsess_i_str_bad(key) || mcpsess_i_str_bad(fingerprint)) return MCPSESS_E_ARG;
    return key.len > MCPSESS_ID_MAX || fingerprint.len > MCPSESS_FINGERPRINT_MAX ? MCPSESS_E_TOOBIG : MCPSESS_OK;
}

/* -> PENDING: op is begun, and nothing else */
static int mcpsess_i_flight_begin(mcpsess_flights *f, mcpsess_op *op, mcpsess_str key, mcpsess_str fingerprint,
                                  mcpsess_buf *out) {
    static const mcpsess_op_class cls = {mcpsess_i_flight_poll, mcpsess_i_flight_cancel, mcpsess_i_flight_next_due,
                                         mcpsess_i_flight_want};
    int rc;
    if (!mcpsess_i_flight_ready(f) || op == NULL) return MCPSESS_E_ARG;
    rc = mcpsess_i_flight_names(key, fingerprint);
    if (rc == MCPSESS_OK) rc = mcpsess_op_begin(op, &cls, f);
    if (rc != MCPSESS_PENDING) return rc;
    op->i.id = key;
    op->i.value = fingerprint;
    op->i.out = out;
    return rc;
}

static int mcpsess_i_flight_go(mcpsess_flights *f, mcpsess_op *op, uint8_t mode, uint64_t deadline_ms,
                               uint64_t now_ms) {
    int rc;
    op->i.mode = mode;
    op->i.deadline_ms = deadline_ms;
    rc = mcpsess_i_flight_place(f, op, now_ms);
    if (rc != MCPSESS_PENDING) return mcpsess_op_end(op, rc);
    if (f->i.stepping) f->i.nested = true;
    else mcpsess_i_flight_run(f, mcpsess_i_flight_lane_of(f, op), now_ms);
    return mcpsess_op_rc(op);
}

MCPSESS_API int mcpsess_flight_load(mcpsess_flights *f, mcpsess_op *op, mcpsess_str key, mcpsess_str fingerprint,
                                    mcpsess_buf *out, uint64_t now_ms) {
    bool soft;
    int rc =
        f != NULL && f->i.desc.load == NULL ? (int)MCPSESS_E_ARG : mcpsess_i_flight_begin(f, op, key, fingerprint, out);
    if (rc != MCPSESS_PENDING) return rc;
    soft = op->timeout_ms == 0;
    return mcpsess_i_flight_go(f, op, soft ? MCPSESS_I_FLIGHT_SOFT : MCPSESS_I_FLIGHT_HARD,
                               mcpsess_time_add(now_ms, soft ? f->i.desc.wait_ms : op->timeout_ms), now_ms);
}

MCPSESS_API int mcpsess_flight_wait(mcpsess_flights *f, mcpsess_op *op, mcpsess_str key, mcpsess_str fingerprint,
                                    mcpsess_buf *out, uint32_t max_ms, uint64_t now_ms) {
    int rc = mcpsess_i_flight_begin(f, op, key, fingerprint, out);
    if (rc != MCPSESS_PENDING) return rc;
    if (max_ms == 0) {
        f->stats.gave_up++;
        return mcpsess_op_end(op, MCPSESS_E_TIMEOUT);
    }
    return mcpsess_i_flight_go(f, op, MCPSESS_I_FLIGHT_WAIT, mcpsess_time_add(now_ms, max_ms), now_ms);
}

/* -- requests of their own -- */

static int mcpsess_i_flagop_settle(mcpsess_flight_op *op, uint64_t now_ms) {
    const mcpsess_request *r = &op->i.request.request;
    int rc = r->rc;
    if (rc == MCPSESS_PENDING) return rc;
    if (rc < 0 && rc != MCPSESS_E_TOOBIG) mcpsess_i_flight_failed(op->i.flights, r->key, rc);
    op->op.left_ms = mcpsess_time_left(now_ms, mcpsess_time_add(op->i.begun_ms, r->left_ms));
    op->op.need = r->need;
    if (op->i.lease != NULL && (rc >= 0 || mcpsess_i_rc_unknown(rc))) mcpsess_i_lease_drop(op->i.lease);
    if (rc == MCPSESS_MISS && r->kind == MCPSESS_FLAG_CLEAR) rc = MCPSESS_OK;
    return mcpsess_op_end(&op->op, rc);
}

static int mcpsess_i_flagop_poll(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_flight_op *self = (mcpsess_flight_op *)mcpsess_op_object(op);
    const mcpsess_store *store = &self->i.flights->i.desc.store;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return mcpsess_op_rc(op);
    if (self->i.request.request.rc == MCPSESS_PENDING) store->cls->poll(store->self, now_ms);
    mcpsess_i_request_step(store, &self->i.request.request, now_ms);
    return mcpsess_i_flagop_settle(self, now_ms);
}

static void mcpsess_i_flagop_cancel(mcpsess_op *op) {
    mcpsess_flight_op *self = (mcpsess_flight_op *)mcpsess_op_object(op);
    const mcpsess_store *store = &self->i.flights->i.desc.store;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return;
    store->cls->cancel(store->self, &self->i.request.request);
    if (self->i.lease != NULL) mcpsess_i_lease_drop(self->i.lease);
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t mcpsess_i_flagop_next_due(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_flight_op *self = (mcpsess_flight_op *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return MCPSESS_NEVER;
    return mcpsess_i_request_due(&self->i.flights->i.desc.store, &self->i.request.request, now_ms);
}

static unsigned mcpsess_i_flagop_want(mcpsess_op *op) {
    mcpsess_flight_op *self = (mcpsess_flight_op *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return 0;
    return mcpsess_i_request_want(&self->i.flights->i.desc.store, &self->i.request.request);
}

/* -> PENDING: op is begun, and nothing else */
static int mcpsess_i_flagop_begin(mcpsess_flights *f, mcpsess_flight_op *op, uint8_t kind, mcpsess_str key,
                                  mcpsess_str fingerprint) {
    static const mcpsess_op_class cls = {mcpsess_i_flagop_poll, mcpsess_i_flagop_cancel, mcpsess_i_flagop_next_due,
                                         mcpsess_i_flagop_want};
    int rc;
    if (!mcpsess_i_flight_ready(f) || op == NULL) return MCPSESS_E_ARG;
    rc = mcpsess_i_flight_names(key, fingerprint);
    if (rc == MCPSESS_OK) rc = mcpsess_op_begin(&op->op, &cls, op);
    if (rc != MCPSESS_PENDING) return rc;
    memset(&op->i, 0, sizeof op->i);
    op->i.flights = f;
    op->i.request.request.kind = kind;
    op->i.request.request.key = key;
    op->i.request.request.expect = fingerprint;
    return rc;
}

/* Sends the request that is in op; without a store it is answered by there being no flags. */
static int mcpsess_i_flagop_go(mcpsess_flights *f, mcpsess_flight_op *op, int alone, uint64_t now_ms) {
    const mcpsess_store *store = &f->i.desc.store;
    uint32_t timeout_ms = mcpsess_i_or(op->op.timeout_ms, f->i.desc.timeout_ms);
    if (store->cls == NULL) return mcpsess_op_end(&op->op, alone);
    op->i.begun_ms = now_ms;
    op->i.request.request.deadline_ms = mcpsess_time_add(now_ms, timeout_ms);
    f->stats.requests++;
    (void)store->cls->submit(store->self, &op->i.request.request, now_ms);
    return mcpsess_i_flagop_settle(op, now_ms);
}

MCPSESS_API int mcpsess_flight_check(mcpsess_flights *f, mcpsess_flight_op *op, mcpsess_str key,
                                     mcpsess_str fingerprint, mcpsess_buf *out, uint64_t now_ms) {
    int rc = mcpsess_i_flagop_begin(f, op, MCPSESS_FLAG_GET, key, fingerprint);
    if (rc != MCPSESS_PENDING) return rc;
    op->i.request.request.out = out;
    return mcpsess_i_flagop_go(f, op, MCPSESS_MISS, now_ms);
}

MCPSESS_API int mcpsess_flight_set(mcpsess_flights *f, mcpsess_flight_op *op, mcpsess_lease *lease, mcpsess_str key,
                                   mcpsess_str fingerprint, mcpsess_str data, uint64_t ttl_ms, uint64_t now_ms) {
    int rc = mcpsess_i_str_bad(data) ? (int)MCPSESS_E_ARG
                                     : mcpsess_i_flagop_begin(f, op, MCPSESS_FLAG_SET, key, fingerprint);
    if (rc != MCPSESS_PENDING) return rc;
    if (lease != NULL && !lease->i.named) return mcpsess_op_end(&op->op, MCPSESS_LOST);
    op->i.lease = lease;
    if (lease != NULL) op->i.request.request.value = mcpsess_i_lease_token(lease);
    op->i.request.request.ttl_ms = ttl_ms != 0 ? ttl_ms : f->i.desc.flag_ttl_ms;
    op->i.request.data = data;
    return mcpsess_i_flagop_go(f, op, MCPSESS_OK, now_ms);
}

MCPSESS_API int mcpsess_flight_clear(mcpsess_flights *f, mcpsess_flight_op *op, mcpsess_str key, bool revoke,
                                     uint64_t now_ms) {
    int rc = mcpsess_i_flagop_begin(f, op, MCPSESS_FLAG_CLEAR, key, mcpsess_str_of(NULL, 0));
    if (rc != MCPSESS_PENDING) return rc;
    op->i.request.request.mode = revoke;
    return mcpsess_i_flagop_go(f, op, MCPSESS_OK, now_ms);
}

#endif /* MCPSESS_NO_FLIGHT */

/* ==== tier ==== */
/* uses: base lru record */

/* What the local tier keeps in front of a record. */
typedef struct mcpsess_i_slot_head {
    uint64_t confirmed_ms; /* the store last said so */
    uint64_t fresh_until_ms;
} mcpsess_i_slot_head;

static mcpsess_i_slot_head mcpsess_i_tier_head(const mcpsess_sessions *s, uint16_t at) {
    mcpsess_i_slot_head head;
    memcpy(&head, mcpsess_i_lru_value(&s->i.tier, at).ptr, sizeof head);
    return head;
}

static mcpsess_str mcpsess_i_tier_record(const mcpsess_sessions *s, uint16_t at) {
    mcpsess_str value = mcpsess_i_lru_value(&s->i.tier, at);
    return mcpsess_str_of(value.ptr + MCPSESS_I_SLOT_HEAD, value.len - MCPSESS_I_SLOT_HEAD);
}

/* The local copy, if there is one that `who` may see. To anybody else it leaves no trace. */
static uint16_t mcpsess_i_tier_find(mcpsess_sessions *s, mcpsess_str id, const mcpsess_principal *who,
                                    uint64_t now_ms) {
    uint16_t at;
    if (!mcpsess_i_lru_ready(&s->i.tier)) return MCPSESS_I_NIL;
    at = mcpsess_i_lru_lookup(&s->i.tier, id);
    if (at == MCPSESS_I_NIL || mcpsess_i_lru_expired(&s->i.tier, at, now_ms)) return MCPSESS_I_NIL;
    return mcpsess_record_owned(mcpsess_i_tier_record(s, at), who) ? at : (uint16_t)MCPSESS_I_NIL;
}

static bool mcpsess_i_tier_listens(const mcpsess_sessions *s) {
    return s->i.desc.store.cls->hear != NULL && s->i.desc.capacity != 0;
}

/* Where others write too: changes must have been listened for just now; while they are not told, a copy is good for
   revalidate_ms only. */
static bool mcpsess_i_tier_current(const mcpsess_sessions *s, uint64_t confirmed_ms, uint64_t now_ms) {
    if (!mcpsess_i_tier_listens(s)) return true;
    if (mcpsess_time_left(s->i.heard_ms, now_ms) > s->i.desc.max_lag_ms) return false;
    return s->i.told || now_ms <= mcpsess_time_add(confirmed_ms, s->i.desc.revalidate_ms);
}

static bool mcpsess_i_tier_fresh(const mcpsess_sessions *s, uint16_t at, uint64_t now_ms) {
    mcpsess_i_slot_head head;
    if (at == MCPSESS_I_NIL || mcpsess_i_lru_state(&s->i.tier, at) == MCPSESS_STALE) return false;
    head = mcpsess_i_tier_head(s, at);
    return now_ms <= head.fresh_until_ms && mcpsess_i_tier_current(s, head.confirmed_ms, now_ms);
}

/* Served without asking until max_age is over, or less than half of the TTL is left and it needs a refresh. */
static mcpsess_i_slot_head mcpsess_i_tier_confirm(const mcpsess_sessions *s, uint64_t confirmed_ms, uint64_t asked_ms,
                                                  uint64_t expires_ms) {
    uint64_t half = s->i.desc.ttl_ms / 2;
    mcpsess_i_slot_head head;
    head.confirmed_ms = confirmed_ms;
    head.fresh_until_ms = mcpsess_time_add(confirmed_ms, s->i.desc.max_age_ms);
    if (expires_ms != MCPSESS_NEVER && expires_ms - asked_ms < half) head.fresh_until_ms = 0;
    else if (expires_ms != MCPSESS_NEVER && expires_ms - half < head.fresh_until_ms)
        head.fresh_until_ms = expires_ms - half;
    return head;
}

static void mcpsess_i_tier_drop(mcpsess_sessions *s, mcpsess_str id, const mcpsess_principal *who, uint64_t now_ms) {
    uint16_t at = mcpsess_i_tier_find(s, id, who, now_ms);
    if (at != MCPSESS_I_NIL) mcpsess_i_lru_remove(&s->i.tier, at);
}

/* Keeps the record of a lane, whose buffer has room for the head in front of it. */
static void mcpsess_i_tier_keep(mcpsess_sessions *s, mcpsess_i_lane *lane, mcpsess_str record, uint64_t left_ms,
                                mcpsess_i_note *note) {
    uint64_t expires_ms = mcpsess_time_add(lane->started_ms, left_ms);
    mcpsess_i_slot_head head = mcpsess_i_tier_confirm(s, lane->started_ms, lane->started_ms, expires_ms);
    char *slot = lane->out.ptr - MCPSESS_I_SLOT_HEAD;
    if (!mcpsess_i_lru_ready(&s->i.tier) || s->i.closed) return;
    if (record.len > s->i.desc.slot_max) {
        (void)mcpsess_lru_del(&s->i.tier, lane->request.key); /* an older copy must not outlive it */
        s->stats.not_promoted++;
        mcpsess_i_note_set(note, MCPSESS_LOG_INFO, MCPSESS_ITEM_NOT_PROMOTED, record.len);
        return;
    }
    memcpy(slot, &head, sizeof head);
    (void)mcpsess_lru_put(&s->i.tier, lane->request.key, mcpsess_str_of(slot, MCPSESS_I_SLOT_HEAD + record.len),
                          expires_ms);
}

/* The store has set the TTL anew; the record itself was not read. */
static void mcpsess_i_tier_extend(mcpsess_sessions *s, const mcpsess_i_lane *lane, uint64_t now_ms) {
    uint16_t at = mcpsess_i_tier_find(s, lane->request.key, &lane->request.owner, now_ms);
    mcpsess_i_slot_head head;
    uint64_t expires_ms = mcpsess_time_add(lane->started_ms, lane->request.left_ms);
    if (at == MCPSESS_I_NIL) return;
    head = mcpsess_i_tier_confirm(s, mcpsess_i_tier_head(s, at).confirmed_ms, lane->started_ms, expires_ms);
    s->i.tier.i.nodes[at].expires_ms = expires_ms;
    memcpy(mcpsess_i_lru_value_at(&s->i.tier, at), &head, sizeof head);
}

static bool mcpsess_i_tier_holds(const mcpsess_sessions *s) {
    mcpsess_lru_entry entry;
    mcpsess_record record;
    uint16_t cursor = 0;
    if (!mcpsess_i_lru_ready(&s->i.tier)) return s->i.desc.capacity == 0;
    while (mcpsess_lru_next(&s->i.tier, &cursor, &entry) == MCPSESS_OK) {
        if (entry.value.len < MCPSESS_I_SLOT_HEAD) return false;
        entry.value = mcpsess_str_of(entry.value.ptr + MCPSESS_I_SLOT_HEAD, entry.value.len - MCPSESS_I_SLOT_HEAD);
        if (mcpsess_record_decode(entry.value, &record) != MCPSESS_OK || !mcpsess_str_eq(record.id, entry.key))
            return false;
    }
    return mcpsess_lru_check(&s->i.tier) == MCPSESS_OK;
}

/* ==== lane ==== */
/* uses: base lru record op store tier */

#define MCPSESS_I_NO_LANE 0xFFFFu

/* op.i.kind */
enum {
    MCPSESS_I_LOAD = 1,
    MCPSESS_I_EXISTS,
    MCPSESS_I_TOUCH,
    MCPSESS_I_STORE,
    MCPSESS_I_CREATE,
    MCPSESS_I_UPDATE,
    MCPSESS_I_SWAP, /* value for the bytes in out */
    MCPSESS_I_DEL,
    MCPSESS_I_SWEEP,
    MCPSESS_I_LENT /* no op's: a lane that keeps what a swap expects */
};

/* op.i.mode of a load: what may answer it, other than a request of its own */
enum {
    MCPSESS_I_ANY = 0,   /* also one that was under way before, and where the store is away any local copy */
    MCPSESS_I_CONFIRMED, /* a fresh local copy */
    MCPSESS_I_BY_STORE,  /* nothing */
    MCPSESS_I_LOCALLY    /* result of CONFIRMED: the local copy did */
};

static void mcpsess_i_op_done(mcpsess_op *op, int rc) {
    op->i.next = NULL;
    op->i.lane = MCPSESS_I_NO_LANE;
    op->i.rc = rc;
}

static bool mcpsess_i_op_writes(const mcpsess_op *op) {
    return op->i.kind >= MCPSESS_I_STORE && op->i.kind <= MCPSESS_I_SWAP;
}

static int mcpsess_i_op_hand(mcpsess_op *op, mcpsess_str record) {
    op->need = record.len;
    if (!mcpsess_i_buf_fits(op->i.out, record.len)) return MCPSESS_E_TOOBIG;
    mcpsess_buf_put(op->i.out, record);
    return MCPSESS_OK;
}

/* Serves an op from a local copy. */
static int mcpsess_i_op_local(mcpsess_sessions *s, mcpsess_op *op, uint16_t at, uint64_t now_ms) {
    op->left_ms = mcpsess_time_left(now_ms, s->i.tier.i.nodes[at].expires_ms);
    if (op->i.kind == MCPSESS_I_EXISTS) return MCPSESS_OK;
    mcpsess_i_lru_refresh(&s->i.tier, at);
    if (op->i.kind == MCPSESS_I_TOUCH) return MCPSESS_OK;
    return mcpsess_i_op_hand(op, mcpsess_i_tier_record(s, at));
}

/* The store did not answer: may a load have the local copy? -> its code, or rc */
static int mcpsess_i_op_fallback(mcpsess_sessions *s, mcpsess_op *op, int rc, uint64_t now_ms, mcpsess_i_note *note) {
    uint64_t age_ms;
    uint16_t at;
    if (op->i.kind != MCPSESS_I_LOAD || op->i.mode != MCPSESS_I_ANY) return rc;
    if (rc != MCPSESS_E_IO && rc != MCPSESS_E_UNKNOWN && rc != MCPSESS_E_TIMEOUT && rc > MCPSESS_E_STORE) return rc;
    at = mcpsess_i_tier_find(s, op->i.id, &op->i.who, now_ms);
    if (at == MCPSESS_I_NIL) return rc;
    age_ms = mcpsess_time_left(mcpsess_i_tier_head(s, at).confirmed_ms, now_ms);
    if (age_ms > s->i.desc.stale_ms) return rc;
    op->stale = true;
    s->stats.served_stale++;
    mcpsess_i_note_set(note, MCPSESS_LOG_WARN, MCPSESS_ITEM_SERVED_STALE, age_ms);
    return mcpsess_i_op_local(s, op, at, now_ms);
}

/* Takes a pending op out of the line, or from its lane. A write that is under way may still take effect. */
static void mcpsess_i_op_leave(mcpsess_sessions *s, mcpsess_op *op, int rc) {
    bool under_way = op->i.lane != MCPSESS_I_NO_LANE;
    mcpsess_op **link = under_way ? &s->i.lanes[op->i.lane].waiters : &s->i.queue;
    while (*link != op) link = &(*link)->i.next;
    *link = op->i.next;
    if (under_way && mcpsess_i_op_writes(op)) (void)mcpsess_lru_mark(&s->i.tier, op->i.id);
    mcpsess_i_op_done(op, rc);
}

static void mcpsess_i_op_append(mcpsess_op **list, mcpsess_op *op) {
    while (*list != NULL) list = &(*list)->i.next;
    op->i.next = NULL;
    *list = op;
}

/* -- a lane: a store request with its own copy of everything it needs, and the ops that wait for it -- */

static char *mcpsess_i_lane_bytes(const mcpsess_sessions *s, uint16_t n) {
    return s->i.bytes + (size_t)n * (size_t)MCPSESS_I_LANE_BYTES(s->i.desc.record_max);
}

static mcpsess_str mcpsess_i_lane_copy(char **to, mcpsess_str from) {
    mcpsess_str copy = mcpsess_str_of(*to, from.len);
    mcpsess_i_copy(*to, from.ptr, from.len);
    *to += from.len;
    return copy;
}

static void mcpsess_i_lane_fill(mcpsess_sessions *s, uint16_t n, const mcpsess_op *op, uint64_t now_ms) {
    static const uint8_t kinds[] = {0,           MCPSESS_GET, MCPSESS_GET, MCPSESS_TOUCH, MCPSESS_PUT,
                                    MCPSESS_PUT, MCPSESS_PUT, MCPSESS_PUT, MCPSESS_DEL,   MCPSESS_SWEEP};
    mcpsess_i_lane *lane = &s->i.lanes[n];
    mcpsess_request *r = &lane->request;
    char *at = mcpsess_i_lane_bytes(s, n);
    memset(lane, 0, sizeof *lane);
    lane->kind = op->i.kind;
    lane->busy = true;
    lane->started_ms = now_ms;
    r->kind = kinds[lane->kind];
    if (lane->kind == MCPSESS_I_CREATE) r->mode = MCPSESS_PUT_CREATE;
    if (lane->kind == MCPSESS_I_UPDATE) r->mode = MCPSESS_PUT_UPDATE;
    if (lane->kind == MCPSESS_I_SWAP) r->mode = MCPSESS_PUT_CAS;
    r->guarded = lane->kind != MCPSESS_I_SWEEP;
    r->rc = MCPSESS_PENDING;
    r->ttl_ms = lane->kind == MCPSESS_I_EXISTS ? 0 : s->i.desc.ttl_ms;
    r->deadline_ms = mcpsess_time_add(now_ms, s->i.desc.timeout_ms);
    if (r->deadline_ms < op->i.deadline_ms) r->deadline_ms = op->i.deadline_ms;
    r->key = mcpsess_i_lane_copy(&at, op->i.id);
    r->owner.issuer = mcpsess_i_lane_copy(&at, op->i.who.issuer);
    r->owner.subject = mcpsess_i_lane_copy(&at, op->i.who.subject);
    at += MCPSESS_I_SLOT_HEAD;
    mcpsess_buf_init(&lane->out, at, s->i.desc.record_max);
    r->value = mcpsess_i_lane_copy(&at, op->i.value);
    if (lane->kind == MCPSESS_I_LOAD) r->out = &lane->out;
}

/* Of another lane it takes the room only, for the bytes that the op expects. */
static void mcpsess_i_lane_lend(mcpsess_sessions *s, mcpsess_i_lane *lane, const mcpsess_op *op) {
    char *at;
    uint16_t n = 0;
    while (s->i.lanes[n].busy) n++;
    memset(&s->i.lanes[n], 0, sizeof s->i.lanes[n]);
    s->i.lanes[n].kind = MCPSESS_I_LENT;
    s->i.lanes[n].busy = true;
    s->i.lanes[n].request.rc = MCPSESS_PENDING;
    s->i.busy++;
    at = mcpsess_i_lane_bytes(s, n);
    lane->request.expect = mcpsess_i_lane_copy(&at, mcpsess_buf_str(op->i.out));
    lane->lent = n;
}

static void mcpsess_i_lane_free(mcpsess_sessions *s, mcpsess_i_lane *lane) {
    lane->busy = false;
    s->i.busy--;
    if (lane->kind != MCPSESS_I_SWAP) return;
    s->i.lanes[lane->lent].busy = false;
    s->i.busy--;
}

/* Are there lanes for this op? */
static bool mcpsess_i_lane_any(const mcpsess_sessions *s, const mcpsess_op *op) {
    return s->i.desc.lanes - s->i.busy >= (op->i.kind == MCPSESS_I_SWAP ? 2 : 1);
}

static bool mcpsess_i_lane_is(const mcpsess_i_lane *lane, mcpsess_str id) {
    return lane->busy && lane->kind != MCPSESS_I_SWEEP && mcpsess_str_eq(lane->request.key, id);
}

static bool mcpsess_i_lane_writes(const mcpsess_i_lane *lane) {
    return lane->kind >= MCPSESS_I_STORE && lane->kind <= MCPSESS_I_SWAP;
}

/* A load joins the request of another load of the same session by the same principal, if no write came in between. */
static bool mcpsess_i_lane_join(mcpsess_sessions *s, mcpsess_op *op) {
    uint16_t n;
    if (op->i.kind != MCPSESS_I_LOAD || op->i.mode != MCPSESS_I_ANY || s->i.busy == 0) return false;
    for (n = 0; n < s->i.desc.lanes; n++) {
        mcpsess_i_lane *lane = &s->i.lanes[n];
        if (!mcpsess_i_lane_is(lane, op->i.id) || lane->kind != MCPSESS_I_LOAD || lane->overtaken) continue;
        if (!mcpsess_i_principal_eq(&lane->request.owner, &op->i.who)) continue;
        op->i.lane = n;
        mcpsess_i_op_append(&lane->waiters, op);
        s->stats.shared++;
        return true;
    }
    return false;
}

/* The store tells that a record has changed, or, with an empty id, any may have. What is written just now stays. */
static void mcpsess_i_lane_tell(mcpsess_sessions *s, mcpsess_str id) {
    uint16_t n;
    for (n = 0; n < s->i.desc.lanes; n++) {
        mcpsess_i_lane *lane = &s->i.lanes[n];
        if (id.len != 0 && !mcpsess_i_lane_is(lane, id)) continue;
        if (mcpsess_i_lane_writes(lane)) lane->told = true;
        else lane->overtaken = true;
    }
}

/* A write of this session is done, or may be: what else is under way for it must not be kept, nor joined. */
static void mcpsess_i_lane_overtake(mcpsess_sessions *s, const mcpsess_request *by) {
    uint16_t n;
    for (n = 0; n < s->i.desc.lanes && s->i.busy != 0; n++) {
        mcpsess_i_lane *lane = &s->i.lanes[n];
        if (&lane->request == by || !mcpsess_i_lane_is(lane, by->key)) continue;
        if (mcpsess_i_principal_eq(&lane->request.owner, &by->owner)) lane->overtaken = true;
    }
}

static int mcpsess_i_land_load(mcpsess_sessions *s, mcpsess_i_lane *lane, uint64_t now_ms, mcpsess_i_note *note) {
    mcpsess_str bytes = mcpsess_buf_str(&lane->out), id;
    mcpsess_principal who;
    if (lane->overtaken) {
        s->stats.overtaken++;
        mcpsess_i_note_set(note, MCPSESS_LOG_INFO, MCPSESS_ITEM_OVERTAKEN, 0);
    }
    if (lane->request.rc == MCPSESS_MISS && !lane->overtaken)
        mcpsess_i_tier_drop(s, lane->request.key, &lane->request.owner, now_ms);
    if (lane->request.rc != MCPSESS_OK) return lane->request.rc;
    if (mcpsess_i_record_names(bytes, &id, &who) != MCPSESS_OK || !mcpsess_str_eq(id, lane->request.key)) {
        s->stats.bad_records++;
        mcpsess_i_note_set(note, MCPSESS_LOG_ERROR, MCPSESS_ITEM_BAD_RECORD, bytes.len);
        return MCPSESS_E_FORMAT;
    }
    if (!lane->overtaken) mcpsess_i_tier_keep(s, lane, bytes, lane->request.left_ms, note);
    return MCPSESS_OK;
}

static int mcpsess_i_land_put(mcpsess_sessions *s, mcpsess_i_lane *lane, uint64_t now_ms, mcpsess_i_note *note) {
    const mcpsess_request *r = &lane->request;
    bool unknown = r->rc == MCPSESS_E_UNKNOWN || r->rc == MCPSESS_E_TIMEOUT;
    if (r->rc == MCPSESS_OK && !lane->overtaken) mcpsess_i_tier_keep(s, lane, r->value, s->i.desc.ttl_ms, note);
    if (r->rc == MCPSESS_OK && lane->overtaken)
        mcpsess_i_tier_drop(s, r->key, &r->owner, now_ms); /* which write came last? */
    if (r->rc == MCPSESS_MISS && !lane->overtaken && !lane->told) mcpsess_i_tier_drop(s, r->key, &r->owner, now_ms);
    if (unknown || r->rc == MCPSESS_LOST || lane->told) (void)mcpsess_lru_mark(&s->i.tier, r->key);
    if (r->rc == MCPSESS_OK || r->rc == MCPSESS_LOST || unknown) mcpsess_i_lane_overtake(s, r);
    return r->rc;
}

static int mcpsess_i_land_swap(mcpsess_sessions *s, mcpsess_i_lane *lane, uint64_t now_ms, mcpsess_i_note *note) {
    int rc = mcpsess_i_land_put(s, lane, now_ms, note);
    if (rc == MCPSESS_OK) s->stats.merges++;
    if (rc == MCPSESS_LOST) s->stats.conflicts++;
    if (!lane->request.unsure || rc == MCPSESS_MISS) return rc;
    return MCPSESS_E_UNKNOWN; /* the bytes that are there may be another's, those that are not may have been */
}

/* What an answer means for the local tier. -> what the ops are told */
static int mcpsess_i_land(mcpsess_sessions *s, mcpsess_i_lane *lane, uint64_t now_ms, mcpsess_i_note *note) {
    int rc = lane->request.rc;
    switch (lane->kind) {
    case MCPSESS_I_LOAD: return mcpsess_i_land_load(s, lane, now_ms, note);
    case MCPSESS_I_STORE:
    case MCPSESS_I_CREATE:
    case MCPSESS_I_UPDATE: return mcpsess_i_land_put(s, lane, now_ms, note);
    case MCPSESS_I_SWAP: return mcpsess_i_land_swap(s, lane, now_ms, note);
    case MCPSESS_I_EXISTS:
    case MCPSESS_I_TOUCH:
        if (rc == MCPSESS_MISS && !lane->overtaken)
            mcpsess_i_tier_drop(s, lane->request.key, &lane->request.owner, now_ms);
        if (rc == MCPSESS_OK && !lane->overtaken) mcpsess_i_tier_extend(s, lane, now_ms);
        return rc;
    case MCPSESS_I_DEL:
        mcpsess_i_tier_drop(s, lane->request.key, &lane->request.owner,
                            now_ms); /* a load may have brought it back meanwhile */
        mcpsess_i_lane_overtake(s, &lane->request);
        return rc == MCPSESS_MISS ? MCPSESS_OK : rc;
    default: return rc;
    }
}

/* Under the lock: the answer of one lane reaches the local tier and everybody who waits for it. */
static void mcpsess_i_lane_land(mcpsess_sessions *s, mcpsess_i_lane *lane, uint64_t now_ms, mcpsess_i_note *note) {
    int answer, rc;
    mcpsess_op *op;
    if (lane->request.rc < 0) {
        s->stats.failures++;
        mcpsess_i_note_set(note, MCPSESS_LOG_WARN, MCPSESS_ITEM_STORE_FAILED, (uint64_t)(-lane->request.rc));
    }
    answer = mcpsess_i_land(s, lane, now_ms, note);
    while ((op = lane->waiters) != NULL) {
        lane->waiters = op->i.next;
        op->left_ms = mcpsess_time_left(now_ms, mcpsess_time_add(lane->started_ms, lane->request.left_ms));
        op->count = lane->request.count;
        op->need = lane->request.need;
        if (answer == MCPSESS_OK && lane->kind == MCPSESS_I_LOAD)
            rc = mcpsess_i_op_hand(op, mcpsess_buf_str(&lane->out));
        else rc = mcpsess_i_op_fallback(s, op, answer, now_ms, note);
        mcpsess_i_op_done(op, rc);
    }
    mcpsess_i_lane_free(s, lane);
}

/* A request that nobody waits for any more, and that the store has had its time for. */
static bool mcpsess_i_lane_abandoned(mcpsess_sessions *s, const mcpsess_i_lane *lane, uint64_t now_ms) {
    bool abandoned;
    mcpsess_i_lock(&s->i.desc.lock);
    abandoned = lane->waiters == NULL && now_ms >= mcpsess_time_add(lane->started_ms, s->i.desc.timeout_ms);
    mcpsess_i_unlock(&s->i.desc.lock);
    return abandoned;
}

/* ==== session ==== */
/* uses: base lru record op store sessionid tier lane */

#define MCPSESS_I_READY UINT32_C(0x6D637073)

MCPSESS_API mcpsess_session_desc mcpsess_session_desc_default(void) {
    mcpsess_session_desc d;
    memset(&d, 0, sizeof d);
    d.ttl_ms = UINT64_C(30) * 60 * 1000;
    d.max_age_ms = UINT64_C(60) * 1000;
    d.stale_ms = MCPSESS_NEVER;
    d.max_lag_ms = 5;
    d.revalidate_ms = 1000;
    d.timeout_ms = UINT32_C(5000);
    return d;
}

static bool mcpsess_i_session_desc_bad(const mcpsess_session_desc *d) {
    const mcpsess_store_class *c = d->store.cls;
    if (c == NULL || !c->submit || !c->poll || !c->cancel || !c->next_due || !c->want || !c->close) return true;
    if (c->listen == NULL && c->hear != NULL) return true;
    if (d->capacity > MCPSESS_LRU_MAX || d->lanes == 0 || d->lanes > MCPSESS_LRU_MAX || d->record_max == 0) return true;
    if (d->capacity != 0 && (d->slot_max == 0 || d->slot_max > UINT16_MAX - MCPSESS_I_SLOT_HEAD)) return true;
    return (d->lock.lock == NULL) != (d->lock.unlock == NULL);
}

MCPSESS_API size_t mcpsess_session_bytes(const mcpsess_session_desc *d) {
    uint64_t bytes;
    if (d == NULL || mcpsess_i_session_desc_bad(d)) return 0;
    bytes = MCPSESS_SESSION_BYTES(d->capacity, d->slot_max, d->lanes, d->record_max);
    return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

static int mcpsess_i_session_init_tier(mcpsess_sessions *s, void *mem, size_t mem_len, size_t *used) {
    const mcpsess_session_desc *d = &s->i.desc;
    mcpsess_lru_desc tier;
    *used = 0;
    if (d->capacity == 0) return MCPSESS_OK;
    tier = mcpsess_i_lru_by_id(d->capacity, (uint16_t)(MCPSESS_I_SLOT_HEAD + d->slot_max), d->seed, d->hash);
    *used = (size_t)MCPSESS_I_ROUND8(mcpsess_lru_bytes(&tier));
    return mcpsess_lru_init(&s->i.tier, &tier, mem, mem_len);
}

/* The store tells: called by the thread that is inside it, so without the lock. */
static void mcpsess_i_session_changed(void *user, mcpsess_str key) {
    mcpsess_sessions *s = (mcpsess_sessions *)user;
    mcpsess_i_lock(&s->i.desc.lock);
    if (key.len == 0) s->stats.flushes++;
    else s->stats.invalidated++;
    mcpsess_i_unlock(&s->i.desc.lock);
    (void)mcpsess_session_mark(s, key);
}

MCPSESS_API int mcpsess_session_init(mcpsess_sessions *s, const mcpsess_session_desc *d, void *mem, size_t mem_len) {
    mcpsess_session_desc standard = mcpsess_session_desc_default();
    size_t used;
    int rc;
    if (s == NULL || d == NULL) return MCPSESS_E_ARG;
    memset(s, 0, sizeof *s);
    rc = mcpsess_storage_check(mem, mem_len, mcpsess_session_bytes(d));
    if (rc != MCPSESS_OK) return rc;
    s->i.desc = *d;
    if (d->ttl_ms == 0) s->i.desc.ttl_ms = standard.ttl_ms;
    if (d->max_age_ms == 0) s->i.desc.max_age_ms = standard.max_age_ms;
    if (d->stale_ms == 0) s->i.desc.stale_ms = standard.stale_ms;
    if (d->max_lag_ms == 0) s->i.desc.max_lag_ms = standard.max_lag_ms;
    if (d->revalidate_ms == 0) s->i.desc.revalidate_ms = standard.revalidate_ms;
    if (d->timeout_ms == 0) s->i.desc.timeout_ms = standard.timeout_ms;
    rc = mcpsess_i_session_init_tier(s, mem, mem_len, &used);
    if (rc != MCPSESS_OK) return rc;
    s->i.lanes = (mcpsess_i_lane *)(void *)((char *)mem + used);
    s->i.bytes = (char *)(s->i.lanes + d->lanes);
    memset(s->i.lanes, 0, sizeof *s->i.lanes * d->lanes);
    s->i.listener.changed = mcpsess_i_session_changed;
    s->i.listener.user = s;
    if (d->store.cls->hear != NULL) rc = d->store.cls->listen(d->store.self, MCPSESS_OF_RECORDS, &s->i.listener);
    if (rc == MCPSESS_OK) s->i.ready = MCPSESS_I_READY;
    return rc;
}

/* -- steps: one thread at a time is inside the store, and only it starts and lands lanes -- */

static bool mcpsess_i_session_enter(mcpsess_sessions *s) {
    bool entered;
    mcpsess_i_lock(&s->i.desc.lock);
    entered = !s->i.stepping;
    s->i.stepping = true;
    mcpsess_i_unlock(&s->i.desc.lock);
    return entered;
}

static void mcpsess_i_session_leave(mcpsess_sessions *s) {
    bool close;
    mcpsess_i_lock(&s->i.desc.lock);
    close = s->i.closed && !s->i.store_closed;
    if (close) s->i.store_closed = true;
    else s->i.stepping = false;
    mcpsess_i_unlock(&s->i.desc.lock);
    if (!close) return;
    s->i.desc.store.cls->close(s->i.desc.store.self);
    mcpsess_i_lock(&s->i.desc.lock);
    s->i.stepping = false;
    mcpsess_i_unlock(&s->i.desc.lock);
}

static void mcpsess_i_session_settle(mcpsess_sessions *s, uint64_t now_ms) {
    uint16_t n;
    for (n = 0; n < s->i.desc.lanes && s->i.busy != 0; n++) {
        mcpsess_i_lane *lane = &s->i.lanes[n];
        mcpsess_i_note note = {0, 0, 0};
        if (!lane->busy || lane->kind == MCPSESS_I_LENT) continue;
        if (lane->request.rc == MCPSESS_PENDING && mcpsess_i_lane_abandoned(s, lane, now_ms)) {
            s->i.desc.store.cls->cancel(s->i.desc.store.self, &lane->request);
            lane->request.rc = MCPSESS_E_UNKNOWN;
        }
        if (lane->request.rc == MCPSESS_PENDING) continue;
        mcpsess_i_lock(&s->i.desc.lock);
        mcpsess_i_lane_land(s, lane, now_ms, &note);
        mcpsess_i_unlock(&s->i.desc.lock);
        mcpsess_i_note_log(&note, &s->i.desc.log, lane->request.key);
    }
}

/* Under the lock: a lane for the op first in line. -> NULL if there is no op or no lane */
static mcpsess_i_lane *mcpsess_i_session_assign(mcpsess_sessions *s, uint64_t now_ms) {
    uint16_t n = 0;
    mcpsess_op *op;
    while ((op = s->i.queue) != NULL) {
        mcpsess_op *next = op->i.next;
        if (!mcpsess_i_lane_join(s, op)) break;
        s->i.queue = next;
    }
    if (op == NULL || !mcpsess_i_lane_any(s, op)) return NULL;
    while (s->i.lanes[n].busy) n++;
    s->i.queue = op->i.next;
    mcpsess_i_lane_fill(s, n, op, now_ms);
    s->i.busy++;
    if (op->i.kind == MCPSESS_I_SWAP) mcpsess_i_lane_lend(s, &s->i.lanes[n], op);
    s->stats.requests++;
    op->i.lane = n;
    mcpsess_i_op_append(&s->i.lanes[n].waiters, op);
    return &s->i.lanes[n];
}

/* Before a hit: what has changed, if that was not asked for max_lag_ms. Answers that came in with it are landed at
   once: nobody will be woken for them again. */
static void mcpsess_i_session_hear(mcpsess_sessions *s, uint64_t now_ms) {
    bool due, told, begins;
    int heard;
    if (!mcpsess_i_tier_listens(s)) return;
    mcpsess_i_lock(&s->i.desc.lock);
    due = !s->i.closed && (s->stats.hears == 0 || mcpsess_time_left(s->i.heard_ms, now_ms) >= s->i.desc.max_lag_ms);
    mcpsess_i_unlock(&s->i.desc.lock);
    if (!due || !mcpsess_i_session_enter(s)) return; /* the thread inside may not have listened: then it is a request */
    heard = s->i.desc.store.cls->hear(s->i.desc.store.self, now_ms);
    mcpsess_i_lock(&s->i.desc.lock);
    told = heard == MCPSESS_PENDING ? s->i.told : heard == MCPSESS_OK;
    begins = told && !s->i.told;
    s->i.told = told;
    if (heard != MCPSESS_PENDING) s->i.heard_ms = now_ms; /* else it is due again, and meanwhile each hit a request */
    s->stats.hears++;
    mcpsess_i_unlock(&s->i.desc.lock);
    if (begins) (void)mcpsess_session_mark(s, mcpsess_str_of(NULL, 0)); /* what came before went unheard */
    mcpsess_i_session_settle(s, now_ms);
    mcpsess_i_session_leave(s);
}

/* What the store has finished is landed, and ops in line get the lanes that are free. */
static void mcpsess_i_session_serve(mcpsess_sessions *s, uint64_t now_ms) {
    for (;;) {
        mcpsess_i_lane *lane;
        mcpsess_i_session_settle(s, now_ms);
        mcpsess_i_lock(&s->i.desc.lock);
        lane = mcpsess_i_session_assign(s, now_ms);
        mcpsess_i_unlock(&s->i.desc.lock);
        if (lane == NULL) return;
        (void)s->i.desc.store.cls->submit(s->i.desc.store.self, &lane->request, now_ms);
    }
}

/* One turn: who is in line goes along with the poll, and into the lanes that it has freed. */
static void mcpsess_i_session_step(mcpsess_sessions *s, uint64_t now_ms) {
    if (!mcpsess_i_session_enter(s)) return;
    mcpsess_i_session_serve(s, now_ms);
    s->i.desc.store.cls->poll(s->i.desc.store.self, now_ms);
    mcpsess_i_session_serve(s, now_ms);
    mcpsess_i_session_leave(s);
}

static int mcpsess_i_session_rc(mcpsess_sessions *s, const mcpsess_op *op) {
    int rc;
    mcpsess_i_lock(&s->i.desc.lock);
    rc = op->i.rc;
    mcpsess_i_unlock(&s->i.desc.lock);
    return rc;
}

static int mcpsess_i_session_poll(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_sessions *s = (mcpsess_sessions *)op->i.object;
    mcpsess_i_note note = {0, 0, 0};
    int rc = mcpsess_i_session_rc(s, op);
    if (rc != MCPSESS_PENDING) return rc;
    mcpsess_i_session_step(s, now_ms);
    mcpsess_i_lock(&s->i.desc.lock);
    if (op->i.rc == MCPSESS_PENDING && now_ms >= op->i.deadline_ms) {
        s->stats.timeouts++;
        mcpsess_i_note_set(&note, MCPSESS_LOG_WARN, MCPSESS_ITEM_TIMED_OUT, now_ms - op->i.deadline_ms);
        mcpsess_i_op_leave(s, op, mcpsess_i_op_fallback(s, op, MCPSESS_E_TIMEOUT, now_ms, &note));
    }
    rc = op->i.rc;
    mcpsess_i_unlock(&s->i.desc.lock);
    mcpsess_i_note_log(&note, &s->i.desc.log, op->i.id);
    return rc;
}

static void mcpsess_i_session_cancel(mcpsess_op *op) {
    mcpsess_sessions *s = (mcpsess_sessions *)op->i.object;
    mcpsess_i_lock(&s->i.desc.lock);
    if (op->i.rc == MCPSESS_PENDING) mcpsess_i_op_leave(s, op, MCPSESS_E_CANCELED);
    mcpsess_i_unlock(&s->i.desc.lock);
}

/* Under the lock, and inside the store: could a step start a lane right now, or land one? Its answer may have come
   while somebody else, for requests of his own, stepped what is below the store. */
static bool mcpsess_i_session_runnable(const mcpsess_sessions *s) {
    uint16_t n;
    if (s->i.queue != NULL && mcpsess_i_lane_any(s, s->i.queue)) return true;
    for (n = 0; n < s->i.desc.lanes && s->i.busy != 0; n++) {
        if (s->i.lanes[n].busy && s->i.lanes[n].request.rc != MCPSESS_PENDING) return true;
    }
    return false;
}

static uint64_t mcpsess_i_session_next_due(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_sessions *s = (mcpsess_sessions *)op->i.object;
    uint64_t due_ms;
    bool runnable;
    if (mcpsess_i_session_rc(s, op) != MCPSESS_PENDING) return MCPSESS_NEVER;
    if (!mcpsess_i_session_enter(s)) return mcpsess_time_add(now_ms, 1); /* another thread is at it */
    due_ms = s->i.desc.store.cls->next_due(s->i.desc.store.self, now_ms);
    mcpsess_i_lock(&s->i.desc.lock);
    runnable = mcpsess_i_session_runnable(s);
    mcpsess_i_unlock(&s->i.desc.lock);
    mcpsess_i_session_leave(s);
    if (runnable) return now_ms;
    return due_ms < op->i.deadline_ms ? due_ms : op->i.deadline_ms;
}

static unsigned mcpsess_i_session_want(mcpsess_op *op) {
    mcpsess_sessions *s = (mcpsess_sessions *)op->i.object;
    unsigned want;
    if (mcpsess_i_session_rc(s, op) != MCPSESS_PENDING) return 0;
    if (!mcpsess_i_session_enter(s)) return MCPSESS_WANT_TIME;
    want = s->i.desc.store.cls->want(s->i.desc.store.self) | MCPSESS_WANT_TIME;
    mcpsess_i_lock(&s->i.desc.lock);
    if (mcpsess_i_session_runnable(s)) want |= MCPSESS_WANT_NOW;
    mcpsess_i_unlock(&s->i.desc.lock);
    mcpsess_i_session_leave(s);
    return want;
}

static bool mcpsess_i_session_ready(const mcpsess_sessions *s) {
    return s != NULL && s->i.ready == MCPSESS_I_READY;
}

/* Under the lock: sets an op up. -> PENDING in line or in a lane, or its result from the local tier */
static int mcpsess_i_session_start(mcpsess_sessions *s, mcpsess_op *op, uint8_t kind, mcpsess_str id,
                                   const mcpsess_principal *who, uint64_t now_ms) {
    uint16_t at;
    int rc;
    op->i.kind = kind;
    if (kind <= MCPSESS_I_TOUCH && op->i.mode != MCPSESS_I_BY_STORE) {
        at = mcpsess_i_tier_find(s, id, who, now_ms);
        if (mcpsess_i_tier_fresh(s, at, now_ms)) {
            s->stats.local_hits++;
            if (op->i.mode == MCPSESS_I_CONFIRMED) op->i.mode = MCPSESS_I_LOCALLY;
            return mcpsess_i_op_local(s, op, at, now_ms);
        }
    }
    rc = kind == MCPSESS_I_SWEEP ? MCPSESS_OK : mcpsess_session_id_check(id);
    if (rc == MCPSESS_OK) rc = mcpsess_principal_check(who);
    if (rc != MCPSESS_OK) return rc;
    if (kind == MCPSESS_I_DEL) mcpsess_i_tier_drop(s, id, who, now_ms);
    op->i.id = id;
    op->i.who = *who;
    op->i.deadline_ms = mcpsess_time_add(now_ms, op->timeout_ms != 0 ? op->timeout_ms : s->i.desc.timeout_ms);
    op->i.lane = MCPSESS_I_NO_LANE;
    if (!mcpsess_i_lane_join(s, op)) {
        if (!mcpsess_i_lane_any(s, op)) s->stats.queued++;
        mcpsess_i_op_append(&s->i.queue, op);
    }
    return MCPSESS_PENDING;
}

/* -> PENDING: to be polled; a result; or with nothing begun an error */
static MCPSESS_I_APART int mcpsess_i_session_admit(mcpsess_sessions *s, mcpsess_op *op, uint8_t kind, mcpsess_str id,
                                                   const mcpsess_principal *who, mcpsess_str value, mcpsess_buf *out,
                                                   uint64_t now_ms) {
    static const mcpsess_op_class cls = {mcpsess_i_session_poll, mcpsess_i_session_cancel, mcpsess_i_session_next_due,
                                         mcpsess_i_session_want};
    int rc;
    if (!mcpsess_i_session_ready(s) || op == NULL || who == NULL || mcpsess_i_str_bad(id)) return MCPSESS_E_ARG;
    if (mcpsess_i_str_bad(who->issuer) || mcpsess_i_str_bad(who->subject)) return MCPSESS_E_ARG;
    if (id.len > MCPSESS_ID_MAX) return MCPSESS_E_ID;
    if (kind <= MCPSESS_I_TOUCH) mcpsess_i_session_hear(s, now_ms);
    mcpsess_i_lock(&s->i.desc.lock);
    if (op->i.rc == MCPSESS_PENDING) {
        rc = MCPSESS_E_STATE;
    } else if (s->i.closed) {
        rc = MCPSESS_E_CLOSED;
    } else {
        (void)mcpsess_op_begin(op, &cls, s);
        op->i.value = value;
        op->i.out = out;
        rc = mcpsess_op_end(op, mcpsess_i_session_start(s, op, kind, id, who, now_ms));
    }
    mcpsess_i_unlock(&s->i.desc.lock);
    return rc;
}

static int mcpsess_i_session_begin(mcpsess_sessions *s, mcpsess_op *op, uint8_t kind, mcpsess_str id,
                                   const mcpsess_principal *who, mcpsess_str value, mcpsess_buf *out, uint64_t now_ms) {
    int rc = mcpsess_i_session_admit(s, op, kind, id, who, value, out, now_ms);
    return rc == MCPSESS_PENDING ? mcpsess_i_session_poll(op, now_ms) : rc;
}

static const mcpsess_str mcpsess_i_nothing = {NULL, 0};

MCPSESS_API int mcpsess_session_load(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id, const mcpsess_principal *who,
                                     mcpsess_buf *out, uint64_t now_ms) {
    if (out == NULL) return MCPSESS_E_ARG;
    return mcpsess_i_session_begin(s, op, MCPSESS_I_LOAD, id, who, mcpsess_i_nothing, out, now_ms);
}

MCPSESS_API int mcpsess_session_exists(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id,
                                       const mcpsess_principal *who, uint64_t now_ms) {
    return mcpsess_i_session_begin(s, op, MCPSESS_I_EXISTS, id, who, mcpsess_i_nothing, NULL, now_ms);
}

MCPSESS_API int mcpsess_session_touch(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id, const mcpsess_principal *who,
                                      uint64_t now_ms) {
    return mcpsess_i_session_begin(s, op, MCPSESS_I_TOUCH, id, who, mcpsess_i_nothing, NULL, now_ms);
}

MCPSESS_API int mcpsess_session_del(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str id, const mcpsess_principal *who,
                                    uint64_t now_ms) {
    return mcpsess_i_session_begin(s, op, MCPSESS_I_DEL, id, who, mcpsess_i_nothing, NULL, now_ms);
}

MCPSESS_API int mcpsess_session_sweep(mcpsess_sessions *s, mcpsess_op *op, uint64_t now_ms) {
    const mcpsess_principal nobody = {{NULL, 0}, {NULL, 0}};
    return mcpsess_i_session_begin(s, op, MCPSESS_I_SWEEP, mcpsess_i_nothing, &nobody, mcpsess_i_nothing, NULL, now_ms);
}

static int mcpsess_i_session_write(mcpsess_sessions *s, mcpsess_op *op, uint8_t kind, mcpsess_str bytes,
                                   uint64_t now_ms) {
    mcpsess_principal who;
    mcpsess_str id;
    if (!mcpsess_i_session_ready(s) || mcpsess_i_str_bad(bytes)) return MCPSESS_E_ARG;
    if (bytes.len > s->i.desc.record_max) return MCPSESS_E_TOOBIG;
    if (mcpsess_i_record_names(bytes, &id, &who) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    return mcpsess_i_session_begin(s, op, kind, id, &who, bytes, NULL, now_ms);
}

MCPSESS_API int mcpsess_session_store(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str record, uint64_t now_ms) {
    return mcpsess_i_session_write(s, op, MCPSESS_I_STORE, record, now_ms);
}

MCPSESS_API int mcpsess_session_create(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str record, uint64_t now_ms) {
    return mcpsess_i_session_write(s, op, MCPSESS_I_CREATE, record, now_ms);
}

MCPSESS_API int mcpsess_session_update(mcpsess_sessions *s, mcpsess_op *op, mcpsess_str record, uint64_t now_ms) {
    return mcpsess_i_session_write(s, op, MCPSESS_I_UPDATE, record, now_ms);
}

MCPSESS_API int mcpsess_session_close(mcpsess_sessions *s) {
    uint16_t n;
    bool closed;
    if (!mcpsess_i_session_ready(s)) return MCPSESS_E_ARG;
    mcpsess_i_lock(&s->i.desc.lock);
    closed = s->i.closed;
    s->i.closed = true;
    while (s->i.queue != NULL) mcpsess_i_op_leave(s, s->i.queue, MCPSESS_E_CLOSED);
    for (n = 0; n < s->i.desc.lanes; n++) {
        while (s->i.lanes[n].waiters != NULL) mcpsess_i_op_leave(s, s->i.lanes[n].waiters, MCPSESS_E_CLOSED);
    }
    mcpsess_lru_clear(&s->i.tier);
    mcpsess_i_unlock(&s->i.desc.lock);
    if (closed) return MCPSESS_E_CLOSED;
    if (mcpsess_i_session_enter(s))
        mcpsess_i_session_leave(s); /* else the thread inside closes the store when it leaves */
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_session_mark(mcpsess_sessions *s, mcpsess_str id) {
    mcpsess_lru_entry entry;
    uint16_t cursor = 0;
    int rc = MCPSESS_MISS;
    if (!mcpsess_i_session_ready(s) || mcpsess_i_str_bad(id)) return MCPSESS_E_ARG;
    mcpsess_i_lock(&s->i.desc.lock);
    if (id.len != 0 && mcpsess_lru_mark(&s->i.tier, id) == MCPSESS_OK) rc = MCPSESS_OK;
    while (id.len == 0 && mcpsess_lru_next(&s->i.tier, &cursor, &entry) == MCPSESS_OK) {
        rc = mcpsess_lru_mark(&s->i.tier, entry.key);
    }
    mcpsess_i_lane_tell(s, id);
    mcpsess_i_unlock(&s->i.desc.lock);
    return rc;
}

MCPSESS_API uint16_t mcpsess_session_len(mcpsess_sessions *s) {
    uint16_t len;
    if (!mcpsess_i_session_ready(s)) return 0;
    mcpsess_i_lock(&s->i.desc.lock);
    len = mcpsess_lru_len(&s->i.tier);
    mcpsess_i_unlock(&s->i.desc.lock);
    return len;
}

static bool mcpsess_i_ops_hold(const mcpsess_op *op, uint16_t lane) {
    for (; op != NULL; op = op->i.next) {
        if (op->i.lane != lane || op->i.rc != MCPSESS_PENDING) return false;
    }
    return true;
}

static bool mcpsess_i_lanes_hold(const mcpsess_sessions *s) {
    uint16_t n, busy = 0;
    for (n = 0; n < s->i.desc.lanes; n++) {
        const mcpsess_i_lane *lane = &s->i.lanes[n];
        if (lane->busy) busy++;
        else if (lane->waiters != NULL) return false;
        if (!mcpsess_i_ops_hold(lane->waiters, n)) return false;
    }
    return busy == s->i.busy && mcpsess_i_ops_hold(s->i.queue, MCPSESS_I_NO_LANE);
}

MCPSESS_API int mcpsess_session_check(mcpsess_sessions *s) {
    bool holds;
    if (!mcpsess_i_session_ready(s)) return MCPSESS_E_ARG;
    mcpsess_i_lock(&s->i.desc.lock);
    holds = mcpsess_i_tier_holds(s) && mcpsess_i_lanes_hold(s);
    mcpsess_i_unlock(&s->i.desc.lock);
    return holds ? MCPSESS_OK : MCPSESS_E_CORRUPT;
}

/* ==== merge ==== */
/* uses: base record backends op session */

/* m->i.state: a step is to begin, then it is under way */
enum {
    MCPSESS_I_MERGE_READ,
    MCPSESS_I_MERGE_READING,
    MCPSESS_I_MERGE_MERGE,
    MCPSESS_I_MERGE_WRITING,
    MCPSESS_I_MERGE_DELETE,
    MCPSESS_I_MERGE_DELETING
};

/* m->i.kind */
enum { MCPSESS_I_MERGE_ANY, MCPSESS_I_MERGE_EXPIRE, MCPSESS_I_MERGE_TERMINATE };

static mcpsess_sessions *mcpsess_i_merge_table(const mcpsess_merge_op *m) {
    return (mcpsess_sessions *)m->op.i.object;
}

/* Is the next step to begin? */
static bool mcpsess_i_merge_between(const mcpsess_merge_op *m) {
    return (m->i.state & 1u) == 0;
}

/* What was made is a record of the same session, and not too long for the table. */
static int mcpsess_i_merge_check(const mcpsess_merge_op *m) {
    mcpsess_str made = mcpsess_buf_str(&m->i.made), id;
    mcpsess_principal who;
    if (made.len > mcpsess_i_merge_table(m)->i.desc.record_max) return MCPSESS_E_TOOBIG;
    if (mcpsess_i_record_names(made, &id, &who) != MCPSESS_OK || !mcpsess_str_eq(id, m->op.i.id))
        return MCPSESS_E_FORMAT;
    return mcpsess_i_principal_eq(&who, &m->op.i.who) ? MCPSESS_OK : MCPSESS_E_FORMAT;
}

static MCPSESS_I_APART int mcpsess_i_merge_call(mcpsess_merge_op *m) {
    int rc;
    mcpsess_buf_init(&m->i.made, m->i.made.ptr, m->i.made.cap);
    mcpsess_buf_put(&m->i.made, mcpsess_buf_str(&m->i.old));
    m->merged++;
    rc = m->i.how.merge(m->i.how.user, &m->i.made);
    if (rc == MCPSESS_PENDING) return MCPSESS_E_ARG;
    return rc == MCPSESS_OK ? mcpsess_i_merge_check(m) : rc;
}

static int mcpsess_i_merge_end(mcpsess_merge_op *m, int rc) {
    bool quiet = m->i.kind != MCPSESS_I_MERGE_ANY && (rc == MCPSESS_MISS || rc == MCPSESS_END);
    if (m->i.unsure && rc < 0 && rc != MCPSESS_E_TIMEOUT) rc = MCPSESS_E_UNKNOWN;
    m->op.left_ms = m->i.step.left_ms;
    m->op.need = m->i.step.need;
    return mcpsess_op_end(&m->op, quiet ? MCPSESS_OK : rc);
}

/* -> PENDING: reading once more */
static int mcpsess_i_merge_again(mcpsess_merge_op *m) {
    m->i.step.i.mode = MCPSESS_I_BY_STORE;
    m->i.state = MCPSESS_I_MERGE_READ;
    return MCPSESS_PENDING;
}

/* It is not to be terminated, or cannot be. */
static int mcpsess_i_merge_delete(mcpsess_merge_op *m) {
    m->i.state = MCPSESS_I_MERGE_DELETE;
    return MCPSESS_PENDING;
}

/* What merge has refused stays so if the store has said what it was given: a local copy may be older. */
static int mcpsess_i_merge_refused(mcpsess_merge_op *m, int rc) {
    if (m->i.kind == MCPSESS_I_MERGE_TERMINATE && rc == MCPSESS_EXISTS) return mcpsess_i_merge_delete(m);
    return m->i.step.i.mode == MCPSESS_I_LOCALLY ? mcpsess_i_merge_again(m) : mcpsess_i_merge_end(m, rc);
}

static int mcpsess_i_merge_written(mcpsess_merge_op *m, int rc) {
    if (rc == MCPSESS_E_UNKNOWN) m->i.unsure = true;
    if (rc == MCPSESS_LOST || (rc == MCPSESS_E_UNKNOWN && m->i.how.repeats)) return mcpsess_i_merge_again(m);
    if (rc == MCPSESS_OK) m->record = mcpsess_buf_str(&m->i.made);
    if (m->i.kind == MCPSESS_I_MERGE_TERMINATE && rc < 0 && rc != MCPSESS_E_TIMEOUT) return mcpsess_i_merge_delete(m);
    return mcpsess_i_merge_end(m, rc);
}

/* A step is done. -> PENDING: the next one is to begin; the result */
static int mcpsess_i_merge_next(mcpsess_merge_op *m, int rc) {
    if (m->i.state == MCPSESS_I_MERGE_WRITING) return mcpsess_i_merge_written(m, rc);
    if (m->i.state == MCPSESS_I_MERGE_DELETING || rc != MCPSESS_OK) return mcpsess_i_merge_end(m, rc);
    m->i.state = MCPSESS_I_MERGE_MERGE;
    return MCPSESS_PENDING;
}

/* Makes the next step ready: what op it is, and with which value. -> PENDING: begin it; the result */
static MCPSESS_I_APART int mcpsess_i_merge_ready(mcpsess_merge_op *m, uint8_t *kind, mcpsess_str *value,
                                                 uint64_t now_ms) {
    int rc;
    if (now_ms >= m->op.i.deadline_ms) return mcpsess_i_merge_end(m, MCPSESS_E_TIMEOUT);
    m->i.step.timeout_ms = (uint32_t)mcpsess_time_left(now_ms, m->op.i.deadline_ms);
    *value = mcpsess_i_nothing;
    if (m->i.state == MCPSESS_I_MERGE_READ) {
        mcpsess_buf_init(&m->i.old, m->i.old.ptr, m->i.old.cap);
        *kind = MCPSESS_I_LOAD;
    } else if (m->i.state == MCPSESS_I_MERGE_MERGE) {
        rc = mcpsess_i_merge_call(m);
        if (rc != MCPSESS_OK) return mcpsess_i_merge_refused(m, rc);
        *value = mcpsess_buf_str(&m->i.made);
        *kind = MCPSESS_I_SWAP;
    } else {
        *kind = MCPSESS_I_DEL;
    }
    m->i.state++;
    return MCPSESS_PENDING;
}

/* What could be read without waiting is merged at once, and what is late is not put off. */
static bool mcpsess_i_merge_at_once(const mcpsess_merge_op *m, uint8_t before, uint64_t now_ms) {
    if (before == MCPSESS_I_MERGE_READ && m->i.state == MCPSESS_I_MERGE_MERGE) return true;
    return mcpsess_i_merge_between(m) && now_ms >= m->op.i.deadline_ms;
}

/* Begins a step, or goes on with the one that is under way. */
static int mcpsess_i_merge_step(mcpsess_merge_op *m, uint64_t now_ms) {
    mcpsess_str value;
    uint8_t kind, before;
    int rc;
    do {
        before = m->i.state;
        if (!mcpsess_i_merge_between(m)) {
            rc = mcpsess_i_session_poll(&m->i.step, now_ms);
        } else {
            rc = mcpsess_i_merge_ready(m, &kind, &value, now_ms);
            if (rc != MCPSESS_PENDING || mcpsess_i_merge_between(m)) return rc;
            rc = mcpsess_i_session_begin(mcpsess_i_merge_table(m), &m->i.step, kind, m->op.i.id, &m->op.i.who, value,
                                         &m->i.old, now_ms);
        }
        if (rc != MCPSESS_PENDING) rc = mcpsess_i_merge_next(m, rc);
    } while (rc == MCPSESS_PENDING && mcpsess_i_merge_at_once(m, before, now_ms));
    return rc;
}

static int mcpsess_i_merge_poll(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_merge_op *m = (mcpsess_merge_op *)(void *)op;
    return op->i.rc == MCPSESS_PENDING ? mcpsess_i_merge_step(m, now_ms) : op->i.rc;
}

static void mcpsess_i_merge_cancel(mcpsess_op *op) {
    mcpsess_merge_op *m = (mcpsess_merge_op *)(void *)op;
    if (op->i.rc != MCPSESS_PENDING) return;
    if (!mcpsess_i_merge_between(m)) mcpsess_i_session_cancel(&m->i.step);
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

/* Has the step ended, by somebody else's poll, or is there none? */
static bool mcpsess_i_merge_due(const mcpsess_merge_op *m) {
    return mcpsess_i_merge_between(m) || mcpsess_i_session_rc(mcpsess_i_merge_table(m), &m->i.step) != MCPSESS_PENDING;
}

static uint64_t mcpsess_i_merge_next_due(mcpsess_op *op, uint64_t now_ms) {
    mcpsess_merge_op *m = (mcpsess_merge_op *)(void *)op;
    if (op->i.rc != MCPSESS_PENDING) return MCPSESS_NEVER;
    return mcpsess_i_merge_due(m) ? now_ms : mcpsess_i_session_next_due(&m->i.step, now_ms);
}

static unsigned mcpsess_i_merge_want(mcpsess_op *op) {
    mcpsess_merge_op *m = (mcpsess_merge_op *)(void *)op;
    if (op->i.rc != MCPSESS_PENDING) return 0;
    if (mcpsess_i_merge_due(m)) return MCPSESS_WANT_NOW | MCPSESS_WANT_TIME;
    return mcpsess_i_session_want(&m->i.step);
}

/* -> PENDING: it can start; else nothing was begun. What is asked of id and principal, the first step asks. */
static int mcpsess_i_merge_open(mcpsess_sessions *s, mcpsess_merge_op *m, mcpsess_str id, const mcpsess_principal *who,
                                void *mem, size_t mem_len, uint64_t now_ms) {
    static const mcpsess_op_class cls = {mcpsess_i_merge_poll, mcpsess_i_merge_cancel, mcpsess_i_merge_next_due,
                                         mcpsess_i_merge_want};
    int rc;
    if (!mcpsess_i_session_ready(s) || m == NULL || who == NULL || mem == NULL) return MCPSESS_E_ARG;
    if (s->i.desc.lanes < 2) return MCPSESS_E_UNSUPPORTED;
    rc = mcpsess_op_begin(&m->op, &cls, s);
    if (rc != MCPSESS_PENDING) return rc;
    m->op.i.id = id;
    m->op.i.who = *who;
    m->op.i.deadline_ms = mcpsess_time_add(now_ms, m->op.timeout_ms != 0 ? m->op.timeout_ms : s->i.desc.timeout_ms);
    m->merged = 0;
    m->record = mcpsess_i_nothing;
    memset(&m->i, 0, sizeof m->i);
    mcpsess_op_init(&m->i.step, 0);
    m->i.step.i.mode = MCPSESS_I_CONFIRMED;
    mcpsess_buf_init(&m->i.old, mem, mem_len / 2);
    mcpsess_buf_init(&m->i.made, (char *)mem + mem_len / 2, mem_len / 2);
    return rc;
}

MCPSESS_API int mcpsess_session_merge(mcpsess_sessions *s, mcpsess_merge_op *m, mcpsess_str id,
                                      const mcpsess_principal *who, const mcpsess_merge *how, void *mem, size_t mem_len,
                                      uint64_t now_ms) {
    int rc;
    if (how == NULL || how->merge == NULL) return MCPSESS_E_ARG;
    rc = mcpsess_i_merge_open(s, m, id, who, mem, mem_len, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    m->i.how = *how;
    return mcpsess_i_merge_step(m, now_ms);
}

/* Of an operation that is ready-made, its user: it says how something is to be. */
static mcpsess_merge mcpsess_i_merge_with(int (*merge)(void *user, mcpsess_buf *record), mcpsess_merge_op *m) {
    mcpsess_merge how;
    how.merge = merge;
    how.user = m;
    how.repeats = true;
    return how;
}

static int mcpsess_i_merge_expire(void *user, mcpsess_buf *record) {
    const mcpsess_merge_op *m = (const mcpsess_merge_op *)user;
    return mcpsess_backends_del(m->i.backends, record, m->i.backend);
}

MCPSESS_API int mcpsess_session_backend_expired(mcpsess_sessions *s, mcpsess_merge_op *m, mcpsess_str id,
                                                const mcpsess_principal *who, const mcpsess_backends *b,
                                                mcpsess_str backend, void *mem, size_t mem_len, uint64_t now_ms) {
    int rc;
    if (mcpsess_i_backends_bad(b) || mcpsess_i_str_bad(backend) || backend.len == 0) return MCPSESS_E_ARG;
    rc = mcpsess_i_merge_open(s, m, id, who, mem, mem_len, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    m->i.kind = MCPSESS_I_MERGE_EXPIRE;
    m->i.backends = b;
    m->i.backend = backend;
    m->i.how = mcpsess_i_merge_with(mcpsess_i_merge_expire, m);
    return mcpsess_i_merge_step(m, now_ms);
}

static int mcpsess_i_merge_terminate(void *user, mcpsess_buf *record) {
    mcpsess_record r;
    (void)user;
    if (mcpsess_record_decode(mcpsess_buf_str(record), &r) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    if (r.state == MCPSESS_STATE_TERMINATED) return MCPSESS_END;
    if (r.state != MCPSESS_STATE_PLACEHOLDER) return MCPSESS_EXISTS;
    record->ptr[3 + mcpsess_i_principal_len(&r.principal)] = MCPSESS_STATE_TERMINATED;
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_session_terminate(mcpsess_sessions *s, mcpsess_merge_op *m, mcpsess_str id,
                                          const mcpsess_principal *who, void *mem, size_t mem_len, uint64_t now_ms) {
    int rc = mcpsess_i_merge_open(s, m, id, who, mem, mem_len, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    m->i.kind = MCPSESS_I_MERGE_TERMINATE;
    m->i.how = mcpsess_i_merge_with(mcpsess_i_merge_terminate, m);
    return mcpsess_i_merge_step(m, now_ms);
}

MCPSESS_API int mcpsess_merge_initialise(void *user, mcpsess_buf *record) {
    const mcpsess_str *made = (const mcpsess_str *)user;
    mcpsess_record r;
    if (made == NULL || record == NULL || mcpsess_i_str_bad(*made)) return MCPSESS_E_ARG;
    if (mcpsess_record_decode(mcpsess_buf_str(record), &r) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    if (r.state == MCPSESS_STATE_TERMINATED) return MCPSESS_MISS;
    if (r.state != MCPSESS_STATE_PLACEHOLDER) return MCPSESS_EXISTS;
    mcpsess_buf_init(record, record->ptr, record->cap);
    mcpsess_buf_put(record, *made);
    return mcpsess_buf_check(record);
}

#ifndef MCPSESS_NO_BACKEND

/* ==== backendrows ==== */
/* uses: nothing */

/* What an operation on a backend does: a step of the driver's, and the row that follows when it ended with OK, with
   MISS, or with anything else; FAIL in the place of the second: as anything else. A condition has a row for yes and one
   for no; a verdict has a code, and what follows it. What fails first is what the operation ends with.

   how   N  nothing of these
         T  it need not succeed: that is noted, and it goes on
         U  it undoes something: done even if the operation is late
         R  tried again
   No way leads back to a row, so an operation is over after as many steps as there are rows. START comes only where
   there is no copy, where it was imported and dropped, or where it ran before; REMOVE, if data is to be preserved, only
   where a copy of it was found, or there is none; EXPORT aside only where there is no copy. */
/* a row is a line here */
/* clang-format off */
#define MCPSESS_I_BACKEND_ROWS(STEP, WHETHER, SAY)                                     \
    STEP(ENSURE,       INSPECT,      S_RUNS,       S_ORPHAN,     END,          N)      \
    STEP(START,        INSPECT,      S_RUNS,       S_ORPHAN,     END,          N)      \
    WHETHER(S_RUNS,    RUNS,         S_FINE,       S_OWN)                              \
    WHETHER(S_FINE,    ENSURING,     END,          S_REACHED)                          \
    WHETHER(S_REACHED, REACHED,      END,          S_REACH)                            \
    STEP(S_REACH,      NETWORK_UP,   END,          FAIL,         END,          R)      \
    STEP(S_ORPHAN,     FIND_ORPHAN,  S_SAVED,      S_CREATE,     S_SKIP,       N)      \
    STEP(S_SAVED,      STAT_COPY,    S_CREATE,     S_RECOVER,    S_SKIP,       N)      \
    STEP(S_RECOVER,    EXPORT,       S_ASIDE,      S_CREATE,     S_SKIP,       N)      \
    STEP(S_ASIDE,      KEEP_COPY,    S_RECOVERED,  FAIL,         S_SKIP,       N)      \
    STEP(S_RECOVERED,  STAT_COPY,    S_CREATE,     S_LOST,       S_SKIP,       N)      \
    SAY(S_LOST,        MCPSESS_E_NOT_PRESERVED, S_SKIP)                                \
    WHETHER(S_SKIP,    SKIPPED,      S_CREATE,     END)                                \
    STEP(S_CREATE,     CREATE,       S_ENSURED,    FAIL,         END,          N)      \
    WHETHER(S_OWN,     OWN,          S_STALE,      S_ENSURED)                          \
    STEP(S_STALE,      STOP,         S_ENSURED,    S_ENSURED,    END,          N)      \
    WHETHER(S_ENSURED, ENSURING,     END,          S_COPY)                             \
    STEP(S_COPY,       STAT_COPY,    S_RESTORE,    S_START,      END,          N)      \
    STEP(S_RESTORE,    IMPORT,       S_DROP,       FAIL,         END,          N)      \
    STEP(S_DROP,       DROP_COPY,    S_START,      S_START,      END,          N)      \
    STEP(S_START,      START,        S_UP,         FAIL,         S_UNDO,       N)      \
    STEP(S_UP,         NETWORK_UP,   END,          FAIL,         S_UNDO,       R)      \
    STEP(S_UNDO,       STOP,         END,          END,          END,          U)      \
                                                                                       \
    STEP(STOP,         INSPECT,      T_STOP,       ABSENT,       END,          N)      \
    STEP(T_STOP,       STOP,         END,          END,          END,          N)      \
    SAY(ABSENT,        MCPSESS_MISS, END)                                              \
                                                                                       \
    STEP(DEL,          INSPECT,      D_PRESERVE,   ABSENT,       END,          N)      \
    WHETHER(D_PRESERVE, PRESERVING,  D_COPY,       D_DOWN)                             \
    STEP(D_COPY,       STAT_COPY,    D_AGAIN,      D_LIVE,       END,          N)      \
    WHETHER(D_AGAIN,   RUNS,         TAKEN,        D_DOWN)                             \
    SAY(TAKEN,         MCPSESS_EXISTS, END)                                            \
    WHETHER(D_LIVE,    LIVE,         D_RUNS,       D_QUIET)                            \
    STEP(D_QUIET,      STOP,         D_EXPORT,     D_EXPORT,     AGAIN,        N)      \
    STEP(D_EXPORT,     EXPORT,       D_KEEP,       D_DOWN,       D_UNSURE,     N)      \
    WHETHER(D_UNSURE,  KEEPS,        AGAIN,        D_SEE)                              \
    STEP(D_SEE,        STAT_COPY,    END,          AGAIN,        END,          U)      \
    WHETHER(D_RUNS,    RUNS,         D_ONLINE,     DOWN)                               \
    SAY(DOWN,          MCPSESS_E_STATE, END)                                           \
    STEP(D_ONLINE,     EXPORT,       D_HALT,       D_DOWN,       END,          N)      \
    STEP(D_HALT,       STOP,         D_KEEP,       D_KEEP,       END,          N)      \
    STEP(D_KEEP,       KEEP_COPY,    D_SAFE,       FAIL,         D_SAFE,       T)      \
    STEP(D_SAFE,       STAT_COPY,    D_DOWN,       D_LOST,       END,          N)      \
    SAY(D_LOST,        MCPSESS_E_NOT_PRESERVED, AGAIN)                                 \
    STEP(D_DOWN,       NETWORK_DOWN, D_OFF,        D_OFF,        D_OFF,        T)      \
    STEP(D_OFF,        STOP,         D_GONE,       D_GONE,       D_GONE,       T)      \
    STEP(D_GONE,       REMOVE,       END,          END,          END,          N)      \
                                                                                       \
    WHETHER(AGAIN,     RUNS,         A_START,      END)                                \
    STEP(A_START,      START,        A_UP,         FAIL,         END,          U)      \
    STEP(A_UP,         NETWORK_UP,   END,          FAIL,         END,          UR)     \
                                                                                       \
    STEP(EXPORT,       INSPECT,      X_LIVE,       ABSENT,       END,          N)      \
    WHETHER(X_LIVE,    LIVE,         X_ONLINE,     X_QUIET)                            \
    STEP(X_ONLINE,     EXPORT,       END,          FAIL,         END,          N)      \
    STEP(X_QUIET,      STOP,         X_EXPORT,     X_EXPORT,     AGAIN,        N)      \
    STEP(X_EXPORT,     EXPORT,       AGAIN,        FAIL,         AGAIN,        N)      \
                                                                                       \
    STEP(IMPORT,       INSPECT,      I_COPY,       ABSENT,       END,          N)      \
    STEP(I_COPY,       STAT_COPY,    I_TAKEN,      I_NONE,       END,          N)      \
    WHETHER(I_TAKEN,   WHERE,        TAKEN,        I_QUIET)                            \
    WHETHER(I_NONE,    WHERE,        I_LIVE,       ABSENT)                             \
    WHETHER(I_LIVE,    LIVE,         I_ONLINE,     I_QUIET)                            \
    STEP(I_ONLINE,     IMPORT,       END,          FAIL,         END,          N)      \
    STEP(I_QUIET,      STOP,         I_IMPORT,     I_IMPORT,     AGAIN,        N)      \
    STEP(I_IMPORT,     IMPORT,       I_DONE,       FAIL,         I_FAILED,     N)      \
    WHETHER(I_FAILED,  WHERE,        AGAIN,        END)                                \
    WHETHER(I_DONE,    WHERE,        AGAIN,        I_DROP)                             \
    STEP(I_DROP,       DROP_COPY,    AGAIN,        AGAIN,        END,          N)      \
                                                                                       \
    STEP(DISCARD,      INSPECT,      C_DROP,       C_DROP,       END,          N)      \
    STEP(C_DROP,       DROP_COPY,    END,          FAIL,         END,          N)      \
                                                                                       \
    WHETHER(ADDRESS,   NAMED,        END,          Q_LOOK)                             \
    STEP(Q_LOOK,       INSPECT,      Q_RUNS,       ABSENT,       END,          N)      \
    WHETHER(Q_RUNS,    RUNS,         Q_LABEL,      NOWHERE)                            \
    WHETHER(Q_LABEL,   REACHED,      END,          Q_OURS)                             \
    WHETHER(Q_OURS,    OURS,         Q_UP,         NOWHERE)                            \
    STEP(Q_UP,         NETWORK_UP,   END,          FAIL,         END,          R)      \
    SAY(NOWHERE,       MCPSESS_E_NO_ADDRESS, END)                                      \
                                                                                       \
    STEP(LOOK,         INSPECT,      L_COPY,       L_COPY,       END,          N)      \
    STEP(L_COPY,       STAT_COPY,    END,          END,          END,          T)      \
                                                                                       \
    STEP(LIST,         LIST,         END,          FAIL,         END,          N)      \
                                                                                       \
    STEP(PREPARE,      IMAGE_CHECK,  END,          P_PULL,       P_FIND,       T)      \
    STEP(P_PULL,       IMAGE_PULL,   END,          FAIL,         P_LOCAL,      N)      \
    STEP(P_LOCAL,      IMAGE_FIND,   P_FINE,       END,          END,          T)      \
    SAY(P_FINE,        MCPSESS_OK,   END)                                              \
    STEP(P_FIND,       IMAGE_FIND,   END,          P_FETCH,      P_FETCH,      T)      \
    STEP(P_FETCH,      IMAGE_PULL,   END,          FAIL,         END,          N)
/* clang-format on */

enum {
    MCPSESS_I_BACKEND_N = 0,
    MCPSESS_I_BACKEND_T = 1,
    MCPSESS_I_BACKEND_U = 2,
    MCPSESS_I_BACKEND_R = 4,
    MCPSESS_I_BACKEND_UR = MCPSESS_I_BACKEND_U | MCPSESS_I_BACKEND_R
};

/* Rows by their names; an operation's kind is the first of its rows. */
enum {
    MCPSESS_I_BACKEND_AT_END,
#define MCPSESS_I_STEP(row, step, ok, miss, fail, how) MCPSESS_I_BACKEND_AT_##row,
#define MCPSESS_I_WHETHER(row, condition, yes, no) MCPSESS_I_BACKEND_AT_##row,
#define MCPSESS_I_SAY(row, code, then) MCPSESS_I_BACKEND_AT_##row,
    MCPSESS_I_BACKEND_ROWS(MCPSESS_I_STEP, MCPSESS_I_WHETHER, MCPSESS_I_SAY)
#undef MCPSESS_I_STEP
#undef MCPSESS_I_WHETHER
#undef MCPSESS_I_SAY
        MCPSESS_I_BACKEND_AT_WAIT, /* no row: everything that is known is being looked at */
    MCPSESS_I_BACKEND_AT_LEAVE,    /* nor this: leases are being released */
    MCPSESS_I_BACKEND_AT_FAIL
};

/* Conditions, and what a verdict has in the place of a step. */
enum {
    MCPSESS_I_BACKEND_IF_RUNS = 64, /* as was found */
    MCPSESS_I_BACKEND_IF_LIVE,
    MCPSESS_I_BACKEND_IF_NAMED,      /* its address is known */
    MCPSESS_I_BACKEND_IF_REACHED,    /* it has an address, or no network */
    MCPSESS_I_BACKEND_IF_OURS,       /* no other replica owns it */
    MCPSESS_I_BACKEND_IF_KEEPS,      /* what is exported aside is no copy yet */
    MCPSESS_I_BACKEND_IF_PRESERVING, /* and so on: as was asked for */
    MCPSESS_I_BACKEND_IF_ENSURING,
    MCPSESS_I_BACKEND_IF_WHERE,
    MCPSESS_I_BACKEND_IF_OWN,
    MCPSESS_I_BACKEND_IF_SKIPPED,
    MCPSESS_I_BACKEND_SAY
};

typedef struct mcpsess_i_backend_row {
    uint8_t step, ok, miss, fail, how;
} mcpsess_i_backend_row;

static const mcpsess_i_backend_row mcpsess_i_backend_rows[] MCPSESS_ROM = {
    {0, 0, 0, 0, 0},
#define MCPSESS_I_STEP(row, step, ok, miss, fail, how)                                                            \
    {MCPSESS_BACKEND_##step, MCPSESS_I_BACKEND_AT_##ok, MCPSESS_I_BACKEND_AT_##miss, MCPSESS_I_BACKEND_AT_##fail, \
     MCPSESS_I_BACKEND_##how},
#define MCPSESS_I_WHETHER(row, condition, yes, no) \
    {MCPSESS_I_BACKEND_IF_##condition, MCPSESS_I_BACKEND_AT_##yes, MCPSESS_I_BACKEND_AT_##no, 0, 0},
#define MCPSESS_I_SAY(row, code, then) {MCPSESS_I_BACKEND_SAY, MCPSESS_I_BACKEND_AT_##then, 0, 0, (uint8_t)(code)},
    MCPSESS_I_BACKEND_ROWS(MCPSESS_I_STEP, MCPSESS_I_WHETHER, MCPSESS_I_SAY)
#undef MCPSESS_I_STEP
#undef MCPSESS_I_WHETHER
#undef MCPSESS_I_SAY
};

/* Without it in the driver, a step ends with this. */
static int mcpsess_i_backend_left_out(uint8_t step) {
    switch (step) {
    case MCPSESS_BACKEND_STAT_COPY:
    case MCPSESS_BACKEND_FIND_ORPHAN:
    case MCPSESS_BACKEND_IMAGE_FIND: return MCPSESS_MISS;
    case MCPSESS_BACKEND_EXPORT:
    case MCPSESS_BACKEND_IMPORT:
    case MCPSESS_BACKEND_IMAGE_CHECK: return MCPSESS_E_UNSUPPORTED;
    default: return MCPSESS_OK;
    }
}

static mcpsess_backend_fn mcpsess_i_backend_fn(const mcpsess_backend_driver *d, uint8_t step) {
    switch (step) {
#define MCPSESS_I_BACKEND_STEP(name, member) \
    case MCPSESS_BACKEND_##name: return d->member;
        MCPSESS_BACKEND_STEPS(MCPSESS_I_BACKEND_STEP)
#undef MCPSESS_I_BACKEND_STEP
    default: return NULL;
    }
}

/* Does it only look? Anything else needs the lease. */
static bool mcpsess_i_backend_looks(uint8_t step) {
    switch (step) {
    case MCPSESS_BACKEND_INSPECT:
    case MCPSESS_BACKEND_STAT_COPY:
    case MCPSESS_BACKEND_FIND_ORPHAN: return true;
    default: return false;
    }
}

/* Operations that may change something, and so begin with the lease. */
static bool mcpsess_i_backend_changes(uint8_t kind) {
    return kind < MCPSESS_I_BACKEND_AT_ADDRESS;
}

/* ==== backendbook ==== */
/* uses: base op lease */

#define MCPSESS_I_BACKEND_READY UINT32_C(0x6D626B64)
#define MCPSESS_I_BACKEND_NONE 0xFFFFu /* an op that is about no backend */

static bool mcpsess_i_backend_ready(const mcpsess_backend_manager *m) {
    return m != NULL && m->i.ready == MCPSESS_I_BACKEND_READY;
}

static bool mcpsess_i_backend_used(const mcpsess_i_backend *b) {
    return b->id_len != 0;
}

/* Of its text: "b:" and the id, which together are the lease's key, its address, and one that is coming in. */
static char *mcpsess_i_backend_text(const mcpsess_backend_manager *m, const mcpsess_i_backend *b) {
    return m->i.bytes + (size_t)(b - m->i.all) * (size_t)MCPSESS_I_BACKEND_TEXT_BYTES(m->i.desc.address_max);
}

static mcpsess_str mcpsess_i_backend_key(const mcpsess_backend_manager *m, const mcpsess_i_backend *b) {
    return mcpsess_str_of(mcpsess_i_backend_text(m, b), b->id_len + 2u);
}

static mcpsess_str mcpsess_i_backend_id(const mcpsess_backend_manager *m, const mcpsess_i_backend *b) {
    return mcpsess_str_of(mcpsess_i_backend_text(m, b) + 2, b->id_len);
}

static mcpsess_str mcpsess_i_backend_address(const mcpsess_backend_manager *m, const mcpsess_i_backend *b) {
    return mcpsess_str_of(mcpsess_i_backend_text(m, b) + MCPSESS_ID_MAX, b->address_len);
}

static void mcpsess_i_backend_log(const mcpsess_backend_manager *m, const mcpsess_i_backend *b, int level, int item,
                                  uint64_t number) {
    mcpsess_str id = b != NULL ? mcpsess_i_backend_id(m, b) : mcpsess_str_of(NULL, 0);
    if (m->i.desc.log.log != NULL) m->i.desc.log.log(m->i.desc.log.user, level, item, id, number);
}

/* -> OK, E_ID */
static int mcpsess_i_backend_id_check(mcpsess_str id) {
    size_t n;
    if (mcpsess_i_str_bad(id) || id.len == 0 || id.len > MCPSESS_BACKEND_ID_MAX) return MCPSESS_E_ID;
    for (n = 0; n < id.len; n++) {
        char c = id.ptr[n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_') return MCPSESS_E_ID;
    }
    return MCPSESS_OK;
}

static mcpsess_i_backend *mcpsess_i_backend_find(const mcpsess_backend_manager *m, mcpsess_str id) {
    uint16_t n;
    for (n = 0; n < m->i.desc.capacity; n++) {
        mcpsess_i_backend *b = &m->i.all[n];
        if (mcpsess_i_backend_used(b) && mcpsess_str_eq(mcpsess_i_backend_id(m, b), id)) return b;
    }
    return NULL;
}

/* The one of this id, in a free slot if it is not known. -> OK, E_ID, E_FULL */
static int mcpsess_i_backend_take(mcpsess_backend_manager *m, mcpsess_str id, mcpsess_i_backend **found) {
    int rc = mcpsess_i_backend_id_check(id);
    uint16_t n;
    char *text;
    if (rc != MCPSESS_OK) return rc;
    *found = mcpsess_i_backend_find(m, id);
    for (n = 0; *found == NULL && n < m->i.desc.capacity; n++) {
        if (!mcpsess_i_backend_used(&m->i.all[n])) *found = &m->i.all[n];
    }
    if (*found == NULL) return MCPSESS_E_FULL;
    if (mcpsess_i_backend_used(*found)) return MCPSESS_OK;
    memset(*found, 0, sizeof **found);
    mcpsess_op_init(&(*found)->extending.op, 0);
    text = mcpsess_i_backend_text(m, *found);
    text[0] = 'b';
    text[1] = ':';
    mcpsess_i_copy(text + 2, id.ptr, id.len);
    (*found)->id_len = (uint8_t)id.len;
    (*found)->due_ms = MCPSESS_NEVER;
    (*found)->looked = true;
    return MCPSESS_OK;
}

/* -- addresses */

/* Its address counts no more. dropped is user code. */
static void mcpsess_i_backend_forget(mcpsess_backend_manager *m, mcpsess_i_backend *b) {
    mcpsess_str old = mcpsess_i_backend_address(m, b);
    if (old.len == 0) return;
    b->address_len = 0;
    mcpsess_i_backend_log(m, b, MCPSESS_LOG_INFO, MCPSESS_ITEM_ADDRESS_DROPPED, 0);
    if (m->i.desc.dropped != NULL) m->i.desc.dropped(m->i.desc.user, mcpsess_i_backend_id(m, b), old);
}

static void mcpsess_i_backend_move(mcpsess_backend_manager *m, mcpsess_i_backend *b, mcpsess_str address) {
    if (address.len == 0 || mcpsess_str_eq(address, mcpsess_i_backend_address(m, b))) return;
    mcpsess_i_backend_forget(m, b);
    mcpsess_i_copy(mcpsess_i_backend_text(m, b) + MCPSESS_ID_MAX, address.ptr, address.len);
    b->address_len = (uint16_t)address.len;
    mcpsess_i_backend_log(m, b, MCPSESS_LOG_INFO, MCPSESS_ITEM_ADDRESS_KNOWN, address.len);
}

/* -- whose it is */

static bool mcpsess_i_backend_alone(const mcpsess_backend_manager *m) {
    return m->i.desc.store.cls == NULL;
}

static bool mcpsess_i_backend_ours(const mcpsess_backend_manager *m, const mcpsess_i_backend *b, uint64_t now_ms) {
    return mcpsess_i_backend_alone(m) || (b->held && mcpsess_lease_left(&b->lease, now_ms) != 0);
}

/* The lease is gone: nothing is known any more. */
static void mcpsess_i_backend_lose(mcpsess_backend_manager *m, mcpsess_i_backend *b, uint64_t now_ms) {
    if (!b->held) return;
    b->held = false;
    b->state = MCPSESS_BACKEND_UNKNOWN;
    if (b->kept) b->due_ms = now_ms;
    else b->known = false; /* whoever has it now knows more */
    m->stats.lost++;
    mcpsess_i_backend_log(m, b, MCPSESS_LOG_WARN, MCPSESS_ITEM_BACKEND_LOST, b->lease.fence);
    mcpsess_i_backend_forget(m, b);
}

static void mcpsess_i_backend_won(mcpsess_backend_manager *m, mcpsess_i_backend *b) {
    if (b->state == MCPSESS_BACKEND_ELSEWHERE) m->stats.taken_over++;
    b->held = true;
    b->state = MCPSESS_BACKEND_UNKNOWN;
    mcpsess_i_backend_log(m, b, MCPSESS_LOG_INFO, MCPSESS_ITEM_BACKEND_OWNED, b->lease.fence);
}

static void mcpsess_i_backend_elsewhere(mcpsess_backend_manager *m, mcpsess_i_backend *b, uint64_t left_ms,
                                        uint64_t now_ms) {
    b->state = MCPSESS_BACKEND_ELSEWHERE;
    b->theirs_until_ms = mcpsess_time_add(now_ms, left_ms);
    mcpsess_i_backend_forget(m, b);
}

/* Nobody needs it from us: what does not run may be another's, and what is absent needs no slot. */
static void mcpsess_i_backend_tidy(mcpsess_backend_manager *m, mcpsess_i_backend *b, uint64_t now_ms) {
    bool rests = b->state == MCPSESS_BACKEND_ABSENT || b->state == MCPSESS_BACKEND_STOPPED || m->i.leaving;
    if (b->state == MCPSESS_BACKEND_UNKNOWN && !b->known) rests = true; /* nothing was done to it, nor seen of it */
    if (b->kept || b->queue != NULL || mcpsess_op_rc(&b->extending.op) == MCPSESS_PENDING) return;
    if (b->held && rests) {
        b->held = false;
        mcpsess_i_backend_log(m, b, MCPSESS_LOG_INFO, MCPSESS_ITEM_BACKEND_RELEASED, b->lease.fence);
        (void)mcpsess_lease_release(&m->i.lease, &b->lease, &b->extending, mcpsess_i_backend_key(m, b), now_ms);
        if (mcpsess_op_rc(&b->extending.op) == MCPSESS_PENDING) return;
    }
    if (b->held) return;
    if (!b->known || b->state == MCPSESS_BACKEND_ABSENT || b->state == MCPSESS_BACKEND_ELSEWHERE) b->id_len = 0;
}

/* Extends the lease when it is due, and finds out that it was lost. */
static void mcpsess_i_backend_beat(mcpsess_backend_manager *m, mcpsess_i_backend *b, uint64_t now_ms) {
    if (mcpsess_i_backend_alone(m)) return;
    if (mcpsess_op_rc(&b->extending.op) == MCPSESS_PENDING) {
        (void)mcpsess_i_lease_poll(&b->extending.op, now_ms);
    } else if (b->held && now_ms >= mcpsess_lease_due(&b->lease, now_ms)) {
        (void)mcpsess_lease_extend(&m->i.lease, &b->lease, &b->extending, mcpsess_i_backend_key(m, b), now_ms);
    }
    if (!mcpsess_i_backend_ours(m, b, now_ms)) mcpsess_i_backend_lose(m, b, now_ms);
}

/* -- when it is looked after next */

static uint64_t mcpsess_i_backend_backoff(const mcpsess_backend_manager *m, mcpsess_i_backend *b) {
    uint64_t wait_ms = m->i.desc.backoff_ms;
    uint32_t n;
    for (n = 0; n < b->tries && wait_ms < m->i.desc.backoff_max_ms; n++) wait_ms *= 2;
    b->tries++;
    return wait_ms < m->i.desc.backoff_max_ms ? wait_ms : m->i.desc.backoff_max_ms;
}

/* It runs, is ours, and can be reached. */
static bool mcpsess_i_backend_serves(const mcpsess_backend_manager *m, const mcpsess_i_backend *b) {
    if (b->state != MCPSESS_BACKEND_RUNNING || !(b->held || mcpsess_i_backend_alone(m))) return false;
    return b->address_len != 0 || m->i.desc.driver.network_up == NULL;
}

/* tried: it was looked at, or there was a try to start it; whatever else was done with it puts nothing off. */
static void mcpsess_i_backend_plan(mcpsess_backend_manager *m, mcpsess_i_backend *b, bool tried, uint64_t now_ms) {
    if (tried) b->looked = true;
    if (!tried && b->due_ms != MCPSESS_NEVER && (b->kept || !b->looked)) return;
    b->due_ms = MCPSESS_NEVER;
    if (!b->kept && !(b->held && b->state == MCPSESS_BACKEND_UNKNOWN)) return; /* whose lease may be of use to others */
    if (mcpsess_i_backend_serves(m, b)) {
        if (m->i.desc.look_ms != 0) b->due_ms = mcpsess_time_add(now_ms, m->i.desc.look_ms);
    } else if (b->state == MCPSESS_BACKEND_ELSEWHERE && b->theirs_until_ms >= now_ms) {
        b->due_ms = mcpsess_time_add(b->theirs_until_ms, 1);
    } else {
        b->due_ms = mcpsess_time_add(now_ms, mcpsess_i_backend_backoff(m, b));
    }
}

/* It ran, and does not any more. */
static void mcpsess_i_backend_dead(mcpsess_backend_manager *m, mcpsess_i_backend *b, uint64_t now_ms) {
    uint64_t ran_ms = now_ms - b->since_ms;
    b->state = MCPSESS_BACKEND_STOPPED;
    b->due_ms = MCPSESS_NEVER; /* until it is planned anew */
    if (ran_ms >= m->i.desc.stable_ms) b->tries = 0;
    m->stats.died++;
    mcpsess_i_backend_log(m, b, MCPSESS_LOG_WARN, MCPSESS_ITEM_BACKEND_DIED, ran_ms);
    mcpsess_i_backend_forget(m, b);
}

/* ==== backendstep ==== */
/* uses: base op backendrows backendbook */

/* op.i.phase */
enum {
    MCPSESS_I_BACKEND_QUEUED,
    MCPSESS_I_BACKEND_AWAITS, /* the end of what is under way about the lease, whose token it uses */
    MCPSESS_I_BACKEND_OWNING, /* acquires the lease */
    MCPSESS_I_BACKEND_STEPS,
    MCPSESS_I_BACKEND_WAITS /* until it tries a step again */
};

/* op.op.i.mode */
enum { MCPSESS_I_BACKEND_OWN = 1, MCPSESS_I_BACKEND_PRESERVING = 2, MCPSESS_I_BACKEND_HURRIES = 4 };

static mcpsess_i_backend *mcpsess_i_backend_of(const mcpsess_backend_op *op) {
    return op->op.i.lane == MCPSESS_I_BACKEND_NONE ? NULL : &op->i.m->i.all[op->op.i.lane];
}

static mcpsess_i_backend_row mcpsess_i_backend_row_at(uint8_t at) {
    const mcpsess_i_backend_row *from = &mcpsess_i_backend_rows[at];
    mcpsess_i_backend_row row;
    row.step = MCPSESS_ROM_U8(&from->step);
    row.ok = MCPSESS_ROM_U8(&from->ok);
    row.miss = MCPSESS_ROM_U8(&from->miss);
    row.fail = MCPSESS_ROM_U8(&from->fail);
    row.how = MCPSESS_ROM_U8(&from->how);
    return row;
}

/* A step and a code, for the log. */
static uint64_t mcpsess_i_backend_number(uint8_t step, int rc) {
    return step | (uint64_t)(unsigned)(rc < 0 ? -rc : rc) << 8;
}

/* -- conditions */

static bool mcpsess_i_backend_reached(const mcpsess_backend_op *op, const mcpsess_i_backend *b) {
    return b->address_len != 0 || op->i.address.len != 0 || op->i.m->i.desc.driver.network_up == NULL;
}

/* What cannot be recovered is let be, if the user said so. */
static bool mcpsess_i_backend_skips(mcpsess_backend_op *op) {
    if (!op->i.m->i.desc.skip_orphans) return false;
    mcpsess_i_backend_log(op->i.m, mcpsess_i_backend_of(op), MCPSESS_LOG_WARN, MCPSESS_ITEM_STEP_FAILED,
                          mcpsess_i_backend_number(op->step, op->i.rc));
    op->i.rc = MCPSESS_OK;
    return true;
}

static bool mcpsess_i_backend_whether(mcpsess_backend_op *op, uint8_t condition, uint64_t now_ms) {
    const mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    switch (condition) {
    case MCPSESS_I_BACKEND_IF_RUNS: return op->i.call.running;
    case MCPSESS_I_BACKEND_IF_LIVE: return op->i.call.live;
    case MCPSESS_I_BACKEND_IF_NAMED: return b->address_len != 0;
    case MCPSESS_I_BACKEND_IF_REACHED: return mcpsess_i_backend_reached(op, b);
    case MCPSESS_I_BACKEND_IF_OURS: return mcpsess_i_backend_ours(op->i.m, b, now_ms);
    case MCPSESS_I_BACKEND_IF_KEEPS: return op->i.m->i.desc.driver.keep_copy != NULL;
    case MCPSESS_I_BACKEND_IF_PRESERVING: return (op->op.i.mode & MCPSESS_I_BACKEND_PRESERVING) != 0;
    case MCPSESS_I_BACKEND_IF_ENSURING: return op->op.i.kind == MCPSESS_I_BACKEND_AT_ENSURE;
    case MCPSESS_I_BACKEND_IF_WHERE: return op->i.call.where.len != 0;
    case MCPSESS_I_BACKEND_IF_OWN: return (op->op.i.mode & MCPSESS_I_BACKEND_OWN) != 0;
    default: return mcpsess_i_backend_skips(op);
    }
}

/* A failure that came first stays, unless all is well. */
static void mcpsess_i_backend_say(mcpsess_backend_op *op, int rc) {
    if (rc == MCPSESS_OK || op->i.rc == MCPSESS_OK) op->i.rc = rc;
    if (rc != MCPSESS_OK && op->step == MCPSESS_BACKEND_NO_STEP) op->step = op->i.last;
}

/* Goes through conditions and verdicts, to a step or to the end. */
static mcpsess_i_backend_row mcpsess_i_backend_decide(mcpsess_backend_op *op, uint64_t now_ms) {
    mcpsess_i_backend_row row = mcpsess_i_backend_row_at(op->i.row);
    while (row.step >= MCPSESS_I_BACKEND_IF_RUNS) {
        if (row.step == MCPSESS_I_BACKEND_SAY) {
            mcpsess_i_backend_say(op, (int8_t)row.how);
            op->i.row = row.ok;
        } else {
            op->i.row = mcpsess_i_backend_whether(op, row.step, now_ms) ? row.ok : row.miss;
        }
        row = mcpsess_i_backend_row_at(op->i.row);
    }
    return row;
}

/* -- a step */

static uint32_t mcpsess_i_backend_step_ms(const mcpsess_backend_desc *d, uint8_t step) {
    if (step == MCPSESS_BACKEND_STOP) return d->stop_ms;
    return step == MCPSESS_BACKEND_IMAGE_CHECK ? d->check_ms : d->step_ms;
}

/* Before a backend is harmed, nobody is to use it. */
static void mcpsess_i_backend_prepare(mcpsess_backend_op *op, uint8_t step) {
    mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    if (b == NULL) return;
    if (!mcpsess_i_backend_looks(step) && step != MCPSESS_BACKEND_DROP_COPY) b->known = true;
    if (step == MCPSESS_BACKEND_STOP || step == MCPSESS_BACKEND_NETWORK_DOWN || step == MCPSESS_BACKEND_REMOVE) {
        mcpsess_i_backend_forget(op->i.m, b);
    }
    if (step == MCPSESS_BACKEND_INSPECT) op->i.call.running = op->i.call.live = false;
    op->i.call.orphan = op->i.row == MCPSESS_I_BACKEND_AT_S_RECOVER;
    op->i.call.fence = b->held ? b->lease.fence : 0;
    op->i.call.bytes = 0;
    mcpsess_buf_init(&op->i.address, op->i.address.ptr, op->i.address.cap);
}

/* The step that is under way. -> PENDING, or its result */
static int mcpsess_i_backend_step_poll(mcpsess_backend_op *op, uint64_t now_ms) {
    int rc = mcpsess_op_rc(op->i.at_work);
    if (rc == MCPSESS_PENDING) rc = mcpsess_poll(op->i.at_work, now_ms);
    if (rc == MCPSESS_PENDING && now_ms < op->i.until_ms) return rc;
    if (rc == MCPSESS_PENDING) {
        mcpsess_cancel(op->i.at_work);
        op->i.m->stats.late++;
        rc = MCPSESS_E_TIMEOUT;
    }
    op->i.at_work = NULL;
    return rc;
}

/* -> PENDING, or its result */
static int mcpsess_i_backend_step_begin(mcpsess_backend_op *op, const mcpsess_i_backend_row *row, uint64_t now_ms) {
    const mcpsess_backend_desc *d = &op->i.m->i.desc;
    mcpsess_backend_fn fn = mcpsess_i_backend_fn(&d->driver, row->step);
    const mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    bool undoes = (row->how & MCPSESS_I_BACKEND_U) != 0;
    if (fn == NULL) return mcpsess_i_backend_left_out(row->step);
    if (!undoes && now_ms >= op->op.i.deadline_ms) return MCPSESS_E_TIMEOUT;
    if (b != NULL && !mcpsess_i_backend_looks(row->step) && !mcpsess_i_backend_ours(op->i.m, b, now_ms))
        return MCPSESS_FENCED;
    op->i.last = row->step;
    op->i.begun_ms = now_ms;
    op->i.until_ms = mcpsess_time_add(now_ms, mcpsess_i_backend_step_ms(d, row->step));
    if (!undoes && op->op.i.deadline_ms < op->i.until_ms) op->i.until_ms = op->op.i.deadline_ms;
    mcpsess_i_backend_prepare(op, row->step);
    op->i.m->stats.steps++;
    op->i.at_work = fn(d->driver.user, &op->i.call, now_ms);
    return op->i.at_work == NULL ? (int)MCPSESS_E_FULL : mcpsess_i_backend_step_poll(op, now_ms);
}

/* What an answer means: OK, MISS, or why not. */
static int mcpsess_i_backend_meaning(const mcpsess_backend_op *op, uint8_t step, int rc) {
    switch (step) {
    case MCPSESS_BACKEND_IMAGE_CHECK: return rc == MCPSESS_STALE ? MCPSESS_MISS : rc;
    case MCPSESS_BACKEND_STAT_COPY: return rc == MCPSESS_OK && op->i.call.bytes == 0 ? (int)MCPSESS_MISS : rc;
    case MCPSESS_BACKEND_NETWORK_UP:
        if (rc != MCPSESS_OK || op->i.m->i.desc.driver.network_up == NULL) return rc;
        if (op->i.address.overflow) return MCPSESS_E_TOOBIG;
        return op->i.address.len == 0 ? (int)MCPSESS_E_NO_ADDRESS : rc;
    default: return rc;
    }
}

/* -- what a step has done */

static void mcpsess_i_backend_inspected(mcpsess_backend_op *op, mcpsess_i_backend *b, int rc, uint64_t now_ms) {
    bool ours = mcpsess_i_backend_ours(op->i.m, b, now_ms), ran = b->state == MCPSESS_BACKEND_RUNNING;
    if (rc == MCPSESS_OK) b->known = true;
    if (!ours && b->state == MCPSESS_BACKEND_ELSEWHERE) return;
    if (rc == MCPSESS_MISS || (rc == MCPSESS_OK && !op->i.call.running)) {
        if (ran) mcpsess_i_backend_dead(op->i.m, b, now_ms);
        mcpsess_i_backend_forget(op->i.m, b);
    }
    b->state = MCPSESS_BACKEND_UNKNOWN;
    if (rc == MCPSESS_MISS) b->state = MCPSESS_BACKEND_ABSENT;
    if (rc != MCPSESS_OK) return;
    b->state = op->i.call.running ? MCPSESS_BACKEND_RUNNING : MCPSESS_BACKEND_STOPPED;
    if (!op->i.call.running) return;
    if (!ran) b->since_ms = now_ms;
    if (ours && !op->i.address.overflow) mcpsess_i_backend_move(op->i.m, b, mcpsess_buf_str(&op->i.address));
}

/* It is in another state now, or nobody knows in which. */
static void mcpsess_i_backend_became(mcpsess_backend_op *op, mcpsess_i_backend *b, uint8_t state, int item,
                                     uint32_t *count, int rc, uint64_t number) {
    bool there = rc == MCPSESS_OK || rc == MCPSESS_EXISTS || (rc == MCPSESS_MISS && state != MCPSESS_BACKEND_RUNNING);
    b->state = there ? state : (uint8_t)MCPSESS_BACKEND_UNKNOWN;
    if (b->state != MCPSESS_BACKEND_RUNNING) mcpsess_i_backend_forget(op->i.m, b); /* what was told meanwhile */
    if (rc != MCPSESS_OK) return;
    (*count)++;
    mcpsess_i_backend_log(op->i.m, b, MCPSESS_LOG_INFO, item, number);
}

static void mcpsess_i_backend_copied(mcpsess_backend_op *op, mcpsess_i_backend *b, int rc) {
    mcpsess_backend_stats *stats = &op->i.m->stats;
    if (rc == MCPSESS_OK || rc == MCPSESS_MISS) b->copy = rc == MCPSESS_OK;
    if (rc != MCPSESS_OK) return;
    if (op->i.row == MCPSESS_I_BACKEND_AT_S_RECOVERED) {
        stats->recovered++;
        mcpsess_i_backend_log(op->i.m, b, MCPSESS_LOG_WARN, MCPSESS_ITEM_ORPHAN_RECOVERED, op->i.call.bytes);
    } else if (op->i.row == MCPSESS_I_BACKEND_AT_D_SAFE) {
        stats->preserved++;
        mcpsess_i_backend_log(op->i.m, b, MCPSESS_LOG_INFO, MCPSESS_ITEM_DATA_PRESERVED, op->i.call.bytes);
    }
}

static void mcpsess_i_backend_uncopied(mcpsess_backend_op *op, mcpsess_i_backend *b, int rc) {
    bool asked = op->i.row == MCPSESS_I_BACKEND_AT_C_DROP;
    if (rc == MCPSESS_OK || rc == MCPSESS_MISS) b->copy = false;
    if (rc != MCPSESS_OK) return;
    if (!asked) op->i.m->stats.restored++;
    mcpsess_i_backend_log(op->i.m, b, MCPSESS_LOG_INFO,
                          asked ? MCPSESS_ITEM_COPY_DISCARDED : MCPSESS_ITEM_DATA_RESTORED, 0);
}

static void mcpsess_i_backend_took(mcpsess_backend_op *op, uint8_t step, int rc, uint64_t now_ms) {
    mcpsess_backend_stats *stats = &op->i.m->stats;
    mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    switch (step) {
    case MCPSESS_BACKEND_INSPECT: mcpsess_i_backend_inspected(op, b, rc, now_ms); return;
    case MCPSESS_BACKEND_CREATE:
        mcpsess_i_backend_became(op, b, MCPSESS_BACKEND_STOPPED, MCPSESS_ITEM_BACKEND_CREATED, &stats->created, rc, 0);
        return;
    case MCPSESS_BACKEND_START:
        b->since_ms = now_ms;
        mcpsess_i_backend_became(op, b, MCPSESS_BACKEND_RUNNING, MCPSESS_ITEM_BACKEND_STARTED, &stats->started, rc,
                                 now_ms - op->i.begun_ms);
        return;
    case MCPSESS_BACKEND_STOP:
        mcpsess_i_backend_became(op, b, MCPSESS_BACKEND_STOPPED, MCPSESS_ITEM_BACKEND_STOPPED, &stats->stopped, rc, 0);
        return;
    case MCPSESS_BACKEND_REMOVE:
        mcpsess_i_backend_became(op, b, MCPSESS_BACKEND_ABSENT, MCPSESS_ITEM_BACKEND_REMOVED, &stats->removed, rc, 0);
        return;
    case MCPSESS_BACKEND_NETWORK_UP:
        if (rc != MCPSESS_OK || !mcpsess_i_backend_ours(op->i.m, b, now_ms)) return;
        if (b->state != MCPSESS_BACKEND_RUNNING) return; /* it died meanwhile */
        mcpsess_i_backend_move(op->i.m, b, mcpsess_buf_str(&op->i.address));
        return;
    case MCPSESS_BACKEND_STAT_COPY: mcpsess_i_backend_copied(op, b, rc); return;
    case MCPSESS_BACKEND_DROP_COPY: mcpsess_i_backend_uncopied(op, b, rc); return;
    default: return;
    }
}

static void mcpsess_i_backend_note(mcpsess_backend_op *op, const mcpsess_i_backend_row *row, int rc) {
    if (op->step == MCPSESS_BACKEND_NO_STEP) op->step = row->step;
    if ((row->how & MCPSESS_I_BACKEND_T) == 0) {
        if (op->i.rc == MCPSESS_OK) op->i.rc = rc;
        return;
    }
    mcpsess_i_backend_log(op->i.m, mcpsess_i_backend_of(op), MCPSESS_LOG_WARN, MCPSESS_ITEM_STEP_FAILED,
                          mcpsess_i_backend_number(row->step, rc));
}

/* A step that failed may be worth another try, after a while. */
static bool mcpsess_i_backend_retries(mcpsess_backend_op *op, const mcpsess_i_backend_row *row, uint64_t now_ms) {
    const mcpsess_backend_desc *d = &op->i.m->i.desc;
    uint64_t wait_ms = (op->op.i.mode & MCPSESS_I_BACKEND_HURRIES) != 0 ? 0 : d->network_wait_ms;
    if ((row->how & MCPSESS_I_BACKEND_R) == 0 || ++op->i.tries >= d->network_tries) return false;
    op->i.until_ms = mcpsess_time_add(now_ms, wait_ms << (op->i.tries < 20 ? op->i.tries - 1u : 19u));
    op->i.phase = MCPSESS_I_BACKEND_WAITS;
    return true;
}

/* A step ended, or was left out: where to go on. */
static void mcpsess_i_backend_landed(mcpsess_backend_op *op, const mcpsess_i_backend_row *row, int answer,
                                     uint64_t now_ms) {
    int rc = mcpsess_i_backend_meaning(op, row->step, answer);
    bool there = mcpsess_i_backend_fn(&op->i.m->i.desc.driver, row->step) != NULL;
    if (there) mcpsess_i_backend_took(op, row->step, rc, now_ms);
    if (rc == MCPSESS_OK || rc == MCPSESS_EXISTS) {
        op->i.row = row->ok;
    } else if (rc == MCPSESS_MISS && row->miss != MCPSESS_I_BACKEND_AT_FAIL) {
        op->i.row = row->miss;
    } else if (!there || !mcpsess_i_backend_retries(op, row, now_ms)) {
        if (there || (row->how & MCPSESS_I_BACKEND_T) == 0) mcpsess_i_backend_note(op, row, rc);
        op->i.row = row->fail;
    }
}

/* The driver has seen a newer owner: whatever our lease says, it is not ours. */
static bool mcpsess_i_backend_fenced(mcpsess_backend_op *op, int rc, uint64_t now_ms) {
    mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    if (b == NULL) return false;
    if (rc == MCPSESS_FENCED && !mcpsess_i_backend_alone(op->i.m)) mcpsess_i_backend_lose(op->i.m, b, now_ms);
    return rc == MCPSESS_FENCED;
}

/* Steps, until one has to be waited for. -> PENDING, or the end of it all */
static int mcpsess_i_backend_steps(mcpsess_backend_op *op, uint64_t now_ms) {
    mcpsess_i_backend_row row;
    int rc;
    if (op->i.phase == MCPSESS_I_BACKEND_WAITS && now_ms < op->i.until_ms && now_ms < op->op.i.deadline_ms) {
        return MCPSESS_PENDING;
    }
    do {
        op->i.phase = MCPSESS_I_BACKEND_STEPS;
        if (op->i.at_work != NULL) {
            row = mcpsess_i_backend_row_at(op->i.row);
            rc = mcpsess_i_backend_step_poll(op, now_ms);
        } else {
            row = mcpsess_i_backend_decide(op, now_ms);
            if (op->i.row == MCPSESS_I_BACKEND_AT_END) return op->i.rc;
            rc = mcpsess_i_backend_step_begin(op, &row, now_ms);
        }
        if (rc == MCPSESS_PENDING) return rc;
        if (mcpsess_i_backend_fenced(op, rc, now_ms)) return rc;
        mcpsess_i_backend_landed(op, &row, rc, now_ms);
    } while (op->i.phase == MCPSESS_I_BACKEND_STEPS);
    return MCPSESS_PENDING;
}

/* ==== backendop ==== */
/* uses: base op lease backendrows backendbook backendstep */

/* -- an operation, from its place in the queue to its end */

static mcpsess_op **mcpsess_i_backend_queue(mcpsess_backend_op *op) {
    mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    return b != NULL ? &b->queue : &op->i.m->i.others;
}

static void mcpsess_i_backend_dequeue(mcpsess_backend_op *op) {
    mcpsess_op **link;
    for (link = mcpsess_i_backend_queue(op); *link != &op->op; link = &(*link)->i.next) {
    }
    *link = op->op.i.next;
}

/* What it has found out about the address. -> the result */
static int mcpsess_i_backend_answer(mcpsess_backend_op *op, const mcpsess_i_backend *b) {
    mcpsess_str address = mcpsess_i_backend_address(op->i.m, b);
    if (address.len == 0) address = mcpsess_buf_str(&op->i.address);
    if (address.len == 0) return MCPSESS_E_NO_ADDRESS;
    op->op.need = address.len;
    if (!mcpsess_i_buf_fits(op->op.i.out, address.len)) return MCPSESS_E_TOOBIG;
    mcpsess_buf_put(op->op.i.out, address);
    return MCPSESS_OK;
}

static void mcpsess_i_backend_count(mcpsess_backend_op *op, const mcpsess_i_backend *b, int rc) {
    mcpsess_backend_stats *stats = &op->i.m->stats;
    if (rc == MCPSESS_FENCED) stats->fenced++;
    else if (rc < 0 && rc != MCPSESS_E_CANCELED) stats->failed++;
    else return;
    mcpsess_i_backend_log(op->i.m, b, MCPSESS_LOG_WARN, MCPSESS_ITEM_BACKEND_FAILED,
                          mcpsess_i_backend_number(op->step, rc));
}

static int mcpsess_i_backend_finish(mcpsess_backend_op *op, int rc, uint64_t now_ms) {
    mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    bool led = b != NULL && b->queue == &op->op;
    bool tried = op->op.i.kind == MCPSESS_I_BACKEND_AT_START || op->op.i.kind == MCPSESS_I_BACKEND_AT_LOOK;
    mcpsess_i_backend_dequeue(op);
    if (rc == MCPSESS_OK && op->op.i.kind == MCPSESS_I_BACKEND_AT_ADDRESS) rc = mcpsess_i_backend_answer(op, b);
    if (op->op.i.kind == MCPSESS_I_BACKEND_AT_LIST) op->op.count = op->i.m->i.found;
    if (led) {
        b->rc = rc;
        b->step = op->step;
        mcpsess_i_backend_plan(op->i.m, b, tried, now_ms);
    }
    (void)mcpsess_op_end(&op->op, rc);
    mcpsess_i_backend_count(op, b, rc);
    if (b != NULL) mcpsess_i_backend_tidy(op->i.m, b, now_ms);
    return rc;
}

/* -> OK: it is ours, or need not be; PENDING; or what the operation ends with */
static int mcpsess_i_backend_own(mcpsess_backend_op *op, mcpsess_i_backend *b, uint64_t now_ms) {
    mcpsess_backend_manager *m = op->i.m;
    int rc;
    if (op->i.phase >= MCPSESS_I_BACKEND_STEPS) return MCPSESS_OK;
    if (op->i.phase == MCPSESS_I_BACKEND_QUEUED) {
        op->i.phase = MCPSESS_I_BACKEND_STEPS;
        if (!mcpsess_i_backend_changes(op->op.i.kind) || mcpsess_i_backend_ours(m, b, now_ms)) return MCPSESS_OK;
        op->i.phase = MCPSESS_I_BACKEND_AWAITS;
    }
    if (op->i.phase == MCPSESS_I_BACKEND_AWAITS) {
        if (mcpsess_i_lease_poll(&b->extending.op, now_ms) == MCPSESS_PENDING) return MCPSESS_PENDING;
        op->i.phase = MCPSESS_I_BACKEND_OWNING;
        rc = mcpsess_lease_acquire(&m->i.lease, &b->lease, &op->i.lease, mcpsess_i_backend_key(m, b), now_ms);
    } else {
        rc = mcpsess_i_lease_poll(&op->i.lease.op, now_ms);
    }
    if (rc == MCPSESS_OK) {
        mcpsess_i_backend_won(m, b);
        op->i.phase = MCPSESS_I_BACKEND_STEPS;
    } else if (rc == MCPSESS_BUSY) {
        op->op.left_ms = op->i.lease.op.left_ms;
        mcpsess_i_backend_elsewhere(m, b, op->op.left_ms, now_ms);
    }
    if (rc != MCPSESS_OK && rc != MCPSESS_PENDING) op->step = MCPSESS_BACKEND_LEASE;
    return rc;
}

/* The request about the lease that it waits for, or NULL. */
static mcpsess_op *mcpsess_i_backend_asked(mcpsess_backend_op *op) {
    if (op->i.phase == MCPSESS_I_BACKEND_AWAITS) return &mcpsess_i_backend_of(op)->extending.op;
    return op->i.phase == MCPSESS_I_BACKEND_OWNING ? &op->i.lease.op : NULL;
}

/* What is under way, if anything, is over. */
static void mcpsess_i_backend_stop(mcpsess_backend_op *op) {
    mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    mcpsess_op *at_work = op->i.at_work;
    op->i.at_work = NULL;
    if (at_work != NULL) mcpsess_cancel(at_work);
    if (at_work != NULL && b != NULL && mcpsess_i_backend_changes(op->op.i.kind)) b->state = MCPSESS_BACKEND_UNKNOWN;
    if (op->i.phase == MCPSESS_I_BACKEND_OWNING) mcpsess_i_lease_cancel(&op->i.lease.op);
}

static int mcpsess_i_backend_work(mcpsess_backend_op *op, uint64_t now_ms) {
    mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    bool late = now_ms >= op->op.i.deadline_ms;
    int rc = MCPSESS_OK;
    if (b != NULL && b->queue != &op->op) {
        return late ? mcpsess_i_backend_finish(op, MCPSESS_E_TIMEOUT, now_ms) : MCPSESS_PENDING;
    }
    if (b != NULL) rc = mcpsess_i_backend_own(op, b, now_ms);
    if (rc == MCPSESS_PENDING && late) {
        mcpsess_i_backend_stop(op);
        rc = MCPSESS_E_TIMEOUT;
    }
    if (rc == MCPSESS_PENDING) return rc;
    if (rc == MCPSESS_OK && b != NULL && mcpsess_i_backend_changes(op->op.i.kind) &&
        !mcpsess_i_backend_ours(op->i.m, b, now_ms)) {
        mcpsess_i_backend_stop(op);
        mcpsess_i_backend_lose(op->i.m, b, now_ms);
        rc = MCPSESS_FENCED;
        if (op->step == MCPSESS_BACKEND_NO_STEP) op->step = MCPSESS_BACKEND_LEASE;
    }
    if (rc == MCPSESS_OK) {
        rc = mcpsess_i_backend_steps(op, now_ms);
        if (rc == MCPSESS_PENDING) return rc;
    }
    return mcpsess_i_backend_finish(op, rc, now_ms);
}

/* -- as an operation is seen from outside */

static int mcpsess_i_backend_poll(mcpsess_op *self, uint64_t now_ms) {
    mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(self);
    if (mcpsess_op_rc(self) != MCPSESS_PENDING) return mcpsess_op_rc(self);
    op->i.m->i.now_ms = now_ms;
    return mcpsess_i_backend_work(op, now_ms);
}

static void mcpsess_i_backend_cancel(mcpsess_op *self) {
    mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(self);
    if (mcpsess_op_rc(self) != MCPSESS_PENDING) return;
    mcpsess_i_backend_stop(op);
    (void)mcpsess_i_backend_finish(op, MCPSESS_E_CANCELED, op->i.m->i.now_ms);
}

static uint64_t mcpsess_i_backend_sooner(uint64_t a_ms, uint64_t b_ms) {
    return a_ms < b_ms ? a_ms : b_ms;
}

static uint64_t mcpsess_i_backend_work_due(mcpsess_backend_op *op, uint64_t now_ms) {
    const mcpsess_i_backend *b = mcpsess_i_backend_of(op);
    mcpsess_op *asked = mcpsess_i_backend_asked(op);
    uint64_t due_ms = now_ms;
    if (b != NULL && b->queue != &op->op) return MCPSESS_NEVER;
    if (asked != NULL && mcpsess_op_rc(asked) == MCPSESS_PENDING) return mcpsess_i_lease_next_due(asked, now_ms);
    if (op->i.phase == MCPSESS_I_BACKEND_WAITS) due_ms = op->i.until_ms;
    if (op->i.at_work != NULL)
        due_ms = mcpsess_i_backend_sooner(mcpsess_next_due(op->i.at_work, now_ms), op->i.until_ms);
    if (b == NULL || !b->held || !mcpsess_i_backend_changes(op->op.i.kind)) return due_ms;
    return mcpsess_i_backend_sooner(due_ms, mcpsess_time_add(now_ms, mcpsess_lease_left(&b->lease, now_ms)));
}

static uint64_t mcpsess_i_backend_next_due(mcpsess_op *self, uint64_t now_ms) {
    mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(self);
    if (mcpsess_op_rc(self) != MCPSESS_PENDING) return MCPSESS_NEVER;
    if (op->i.at_work != NULL) return mcpsess_i_backend_work_due(op, now_ms); /* which may undo, after the deadline */
    return mcpsess_i_backend_sooner(mcpsess_i_backend_work_due(op, now_ms), self->i.deadline_ms);
}

static unsigned mcpsess_i_backend_wants(mcpsess_op *self) {
    mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(self);
    const mcpsess_i_backend *b;
    mcpsess_op *asked;
    if (mcpsess_op_rc(self) != MCPSESS_PENDING) return 0;
    b = mcpsess_i_backend_of(op);
    asked = mcpsess_i_backend_asked(op);
    if (b != NULL && b->queue != self) return MCPSESS_WANT_TIME;
    if (asked != NULL && mcpsess_op_rc(asked) == MCPSESS_PENDING)
        return mcpsess_i_lease_want(asked) | MCPSESS_WANT_TIME;
    if (op->i.phase == MCPSESS_I_BACKEND_WAITS) return MCPSESS_WANT_TIME;
    return op->i.at_work != NULL ? mcpsess_want(op->i.at_work) | MCPSESS_WANT_TIME
                                 : (unsigned)MCPSESS_WANT_TIME | MCPSESS_WANT_NOW;
}

static const mcpsess_op_class mcpsess_i_backend_class = {mcpsess_i_backend_poll, mcpsess_i_backend_cancel,
                                                         mcpsess_i_backend_next_due, mcpsess_i_backend_wants};

/* Makes op ready for what it is to do, behind what is under way. b NULL: it is about none. -> PENDING, E_STATE */
static int mcpsess_i_backend_enqueue(mcpsess_backend_manager *m, mcpsess_backend_op *op, const mcpsess_op_class *cls,
                                     mcpsess_i_backend *b, uint8_t kind, uint64_t now_ms) {
    mcpsess_op **link;
    int rc = mcpsess_op_begin(&op->op, cls, op);
    if (rc != MCPSESS_PENDING) return rc;
    op->step = MCPSESS_BACKEND_NO_STEP;
    memset(&op->i, 0, sizeof op->i);
    mcpsess_op_init(&op->i.lease.op, 0);
    op->i.m = m;
    op->op.i.kind = op->i.row = kind;
    op->op.i.mode = 0;
    op->op.i.deadline_ms = op->op.timeout_ms == 0 ? MCPSESS_NEVER : mcpsess_time_add(now_ms, op->op.timeout_ms);
    op->op.i.next = NULL;
    op->op.i.lane = MCPSESS_I_BACKEND_NONE;
    op->i.call.address = &op->i.address;
    if (b != NULL) {
        op->op.i.lane = (uint16_t)(b - m->i.all);
        op->i.call.id = mcpsess_i_backend_id(m, b);
        mcpsess_buf_init(&op->i.address, mcpsess_i_backend_text(m, b) + MCPSESS_ID_MAX + m->i.desc.address_max,
                         m->i.desc.address_max);
    }
    for (link = mcpsess_i_backend_queue(op); *link != NULL; link = &(*link)->i.next) {
    }
    *link = &op->op;
    return rc;
}

/* -> PENDING, and the backend; or, with nothing begun, why not */
static int mcpsess_i_backend_begin(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id, uint8_t kind,
                                   uint64_t now_ms) {
    mcpsess_i_backend *b = NULL;
    int rc;
    if (!mcpsess_i_backend_ready(m) || op == NULL) return MCPSESS_E_ARG;
    if (mcpsess_op_rc(&op->op) == MCPSESS_PENDING) return MCPSESS_E_STATE;
    rc = mcpsess_i_backend_take(m, id, &b);
    if (rc != MCPSESS_OK) return rc;
    if (kind == MCPSESS_I_BACKEND_AT_STOP || kind == MCPSESS_I_BACKEND_AT_DEL) b->kept = false;
    return mcpsess_i_backend_enqueue(m, op, &mcpsess_i_backend_class, b, kind, now_ms);
}

static int mcpsess_i_backend_do(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id, uint8_t kind,
                                uint64_t now_ms) {
    int rc = mcpsess_i_backend_begin(m, op, id, kind, now_ms);
    return rc == MCPSESS_PENDING ? mcpsess_i_backend_poll(&op->op, now_ms) : rc;
}

/* Of a manager that is closed. */
static void mcpsess_i_backend_end_all(mcpsess_op **queue) {
    while (*queue != NULL) {
        mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(*queue);
        *queue = op->op.i.next;
        mcpsess_i_backend_stop(op);
        (void)mcpsess_op_end(&op->op, MCPSESS_E_CLOSED);
    }
}

/* ==== backend ==== */
/* uses: base op lease backendbook backendstep backendop */

/* -- looking after them */

static mcpsess_backend_op *mcpsess_i_backend_idle(mcpsess_backend_manager *m) {
    uint16_t n;
    for (n = 0; n < m->i.desc.lanes; n++) {
        if (mcpsess_op_rc(&m->i.own[n].op) != MCPSESS_PENDING) return &m->i.own[n];
    }
    return NULL;
}

/* Has what is kept started, and what nobody knows about looked at. */
static void mcpsess_i_backend_look_after(mcpsess_backend_manager *m, mcpsess_i_backend *b, uint64_t now_ms) {
    mcpsess_backend_op *op = mcpsess_i_backend_idle(m);
    bool starts = b->kept && !mcpsess_i_backend_serves(m, b);
    if (op == NULL || b->queue != NULL || now_ms < b->due_ms) return;
    (void)mcpsess_i_backend_enqueue(m, op, &mcpsess_i_backend_class, b,
                                    starts ? MCPSESS_I_BACKEND_AT_START : MCPSESS_I_BACKEND_AT_LOOK, now_ms);
    op->op.i.mode = MCPSESS_I_BACKEND_OWN;
    if (!b->looked) op->op.i.mode |= MCPSESS_I_BACKEND_HURRIES;
    (void)mcpsess_i_backend_poll(&op->op, now_ms);
}

MCPSESS_API void mcpsess_backend_step(mcpsess_backend_manager *m, uint64_t now_ms) {
    uint16_t n;
    if (!mcpsess_i_backend_ready(m)) return;
    m->i.now_ms = now_ms;
    for (n = 0; n < m->i.desc.lanes; n++) (void)mcpsess_i_backend_poll(&m->i.own[n].op, now_ms);
    for (n = 0; n < m->i.desc.capacity; n++) {
        mcpsess_i_backend *b = &m->i.all[n];
        if (!mcpsess_i_backend_used(b)) continue;
        mcpsess_i_backend_beat(m, b, now_ms);
        if (!m->i.leaving) mcpsess_i_backend_look_after(m, b, now_ms);
        mcpsess_i_backend_tidy(m, b, now_ms);
    }
}

MCPSESS_API uint64_t mcpsess_backend_due(mcpsess_backend_manager *m, uint64_t now_ms) {
    uint64_t due_ms = MCPSESS_NEVER;
    bool idle;
    uint16_t n;
    if (!mcpsess_i_backend_ready(m)) return due_ms;
    idle = !m->i.leaving && mcpsess_i_backend_idle(m) != NULL;
    for (n = 0; n < m->i.desc.lanes; n++) {
        due_ms = mcpsess_i_backend_sooner(due_ms, mcpsess_i_backend_next_due(&m->i.own[n].op, now_ms));
    }
    for (n = 0; n < m->i.desc.capacity; n++) {
        mcpsess_i_backend *b = &m->i.all[n];
        if (!mcpsess_i_backend_used(b)) continue;
        if (idle && b->queue == NULL) due_ms = mcpsess_i_backend_sooner(due_ms, b->due_ms);
        due_ms = mcpsess_i_backend_sooner(due_ms, mcpsess_i_lease_next_due(&b->extending.op, now_ms));
        if (b->held && mcpsess_op_rc(&b->extending.op) != MCPSESS_PENDING) {
            due_ms = mcpsess_i_backend_sooner(due_ms, mcpsess_lease_due(&b->lease, now_ms));
        }
        if (b->held) {
            due_ms = mcpsess_i_backend_sooner(due_ms, mcpsess_time_add(now_ms, mcpsess_lease_left(&b->lease, now_ms)));
        }
    }
    return due_ms;
}

MCPSESS_API unsigned mcpsess_backend_want(mcpsess_backend_manager *m) {
    unsigned want = 0;
    uint16_t n;
    if (!mcpsess_i_backend_ready(m)) return want;
    for (n = 0; n < m->i.desc.lanes; n++) want |= mcpsess_i_backend_wants(&m->i.own[n].op);
    for (n = 0; n < m->i.desc.capacity; n++) {
        if (mcpsess_i_backend_used(&m->i.all[n])) want |= mcpsess_i_lease_want(&m->i.all[n].extending.op);
    }
    return want;
}

/* -- operations about all of them */

static bool mcpsess_i_backend_astray(const mcpsess_backend_manager *m, const mcpsess_i_backend *b) {
    return b->kept && !mcpsess_i_backend_serves(m, b) && b->state != MCPSESS_BACKEND_ELSEWHERE;
}

/* Is there nothing left to wait for? */
static bool mcpsess_i_backend_all_over(const mcpsess_backend_op *op) {
    const mcpsess_backend_manager *m = op->i.m;
    bool leaves = op->op.i.kind == MCPSESS_I_BACKEND_AT_LEAVE;
    uint16_t n;
    for (n = 0; n < m->i.desc.capacity; n++) {
        const mcpsess_i_backend *b = &m->i.all[n];
        if (!mcpsess_i_backend_used(b)) continue;
        if (leaves && (b->held || mcpsess_op_rc(&b->extending.op) == MCPSESS_PENDING)) return false;
        if (!leaves && !b->looked && b->due_ms != MCPSESS_NEVER)
            return false; /* else it is not to be looked at any more */
    }
    return true;
}

static int mcpsess_i_backend_reconciles(mcpsess_backend_op *op, uint64_t now_ms) {
    mcpsess_backend_manager *m = op->i.m;
    uint16_t n;
    int rc;
    if (op->i.row != MCPSESS_I_BACKEND_AT_WAIT) {
        rc = mcpsess_i_backend_steps(op, now_ms);
        if (rc != MCPSESS_OK) return rc;
        op->i.row = MCPSESS_I_BACKEND_AT_WAIT;
        for (n = 0; n < m->i.desc.capacity; n++) {
            m->i.all[n].looked = false;
            m->i.all[n].due_ms = now_ms;
        }
    }
    mcpsess_backend_step(m, now_ms);
    op->op.count = 0;
    for (n = 0; n < m->i.desc.capacity; n++) {
        if (mcpsess_i_backend_astray(m, &m->i.all[n])) op->op.count++;
    }
    return mcpsess_i_backend_all_over(op) ? MCPSESS_OK : MCPSESS_PENDING;
}

static int mcpsess_i_backend_leaves(mcpsess_backend_op *op, uint64_t now_ms) {
    mcpsess_backend_step(op->i.m, now_ms);
    return mcpsess_i_backend_all_over(op) ? MCPSESS_OK : MCPSESS_PENDING;
}

static int mcpsess_i_backend_all_poll(mcpsess_op *self, uint64_t now_ms) {
    mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(self);
    bool leaves = self->i.kind == MCPSESS_I_BACKEND_AT_LEAVE;
    int rc = mcpsess_op_rc(self);
    if (rc != MCPSESS_PENDING) return rc;
    rc = leaves ? mcpsess_i_backend_leaves(op, now_ms) : mcpsess_i_backend_reconciles(op, now_ms);
    if (rc == MCPSESS_PENDING && now_ms < self->i.deadline_ms) return rc;
    if (leaves) op->i.m->i.leaving = false;
    if (rc == MCPSESS_PENDING) mcpsess_i_backend_stop(op);
    return mcpsess_i_backend_finish(op, rc == MCPSESS_PENDING ? (int)MCPSESS_E_TIMEOUT : rc, now_ms);
}

static void mcpsess_i_backend_all_cancel(mcpsess_op *self) {
    mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(self);
    if (self->i.kind == MCPSESS_I_BACKEND_AT_LEAVE) op->i.m->i.leaving = false;
    mcpsess_i_backend_cancel(self);
}

static bool mcpsess_i_backend_all_wait(mcpsess_op *self) {
    return ((mcpsess_backend_op *)mcpsess_op_object(self))->i.row >= MCPSESS_I_BACKEND_AT_WAIT;
}

static uint64_t mcpsess_i_backend_all_due(mcpsess_op *self, uint64_t now_ms) {
    mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(self);
    if (mcpsess_op_rc(self) != MCPSESS_PENDING) return MCPSESS_NEVER;
    if (!mcpsess_i_backend_all_wait(self)) return mcpsess_i_backend_next_due(self, now_ms);
    if (mcpsess_i_backend_all_over(op)) return now_ms;
    return mcpsess_i_backend_sooner(mcpsess_backend_due(op->i.m, now_ms), self->i.deadline_ms);
}

static unsigned mcpsess_i_backend_all_want(mcpsess_op *self) {
    mcpsess_backend_op *op = (mcpsess_backend_op *)mcpsess_op_object(self);
    if (mcpsess_op_rc(self) != MCPSESS_PENDING) return 0;
    if (!mcpsess_i_backend_all_wait(self)) return mcpsess_i_backend_wants(self);
    return mcpsess_backend_want(op->i.m) | MCPSESS_WANT_TIME;
}

static const mcpsess_op_class mcpsess_i_backend_all_class = {mcpsess_i_backend_all_poll, mcpsess_i_backend_all_cancel,
                                                             mcpsess_i_backend_all_due, mcpsess_i_backend_all_want};

/* -> PENDING, or, with nothing begun, why not */
static int mcpsess_i_backend_all_begin(mcpsess_backend_manager *m, mcpsess_backend_op *op, const mcpsess_op_class *cls,
                                       uint8_t kind, uint64_t now_ms) {
    if (!mcpsess_i_backend_ready(m) || op == NULL) return MCPSESS_E_ARG;
    return mcpsess_i_backend_enqueue(m, op, cls, NULL, kind, now_ms);
}

/* -- what is known, and what is told */

MCPSESS_API int mcpsess_backend_keep(mcpsess_backend_manager *m, mcpsess_str id, bool kept, uint64_t now_ms) {
    mcpsess_i_backend *b = NULL;
    int rc;
    if (!mcpsess_i_backend_ready(m)) return MCPSESS_E_ARG;
    rc = mcpsess_i_backend_take(m, id, &b);
    if (rc != MCPSESS_OK) return rc;
    if (kept && !b->kept) {
        b->tries = 0;
        b->due_ms = mcpsess_i_backend_serves(m, b) && m->i.desc.look_ms == 0 ? MCPSESS_NEVER : now_ms;
    }
    if (!kept) b->due_ms = MCPSESS_NEVER;
    b->kept = kept;
    mcpsess_i_backend_tidy(m, b, now_ms);
    return rc;
}

MCPSESS_API int mcpsess_backend_died(mcpsess_backend_manager *m, mcpsess_str id, uint64_t now_ms) {
    mcpsess_i_backend *b;
    if (!mcpsess_i_backend_ready(m) || mcpsess_i_str_bad(id)) return MCPSESS_E_ARG;
    b = mcpsess_i_backend_find(m, id);
    if (b == NULL || !mcpsess_i_backend_ours(m, b, now_ms)) return MCPSESS_MISS;
    if (b->state != MCPSESS_BACKEND_RUNNING) return MCPSESS_OK;
    mcpsess_i_backend_dead(m, b, now_ms);
    if (b->queue == NULL) mcpsess_i_backend_plan(m, b, false, now_ms);
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_backend_moved(mcpsess_backend_manager *m, mcpsess_str id, mcpsess_str address) {
    mcpsess_i_backend *b;
    if (!mcpsess_i_backend_ready(m) || mcpsess_i_str_bad(id) || mcpsess_i_str_bad(address)) return MCPSESS_E_ARG;
    if (address.len > m->i.desc.address_max) return MCPSESS_E_TOOBIG;
    b = mcpsess_i_backend_find(m, id);
    if (b == NULL || b->state != MCPSESS_BACKEND_RUNNING || !(b->held || mcpsess_i_backend_alone(m)))
        return MCPSESS_MISS;
    mcpsess_i_backend_move(m, b, address);
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_backend_found(mcpsess_backend_manager *m, mcpsess_str id) {
    mcpsess_i_backend *b = NULL;
    int rc;
    if (!mcpsess_i_backend_ready(m)) return MCPSESS_E_ARG;
    rc = mcpsess_i_backend_take(m, id, &b);
    if (rc != MCPSESS_OK) return rc;
    b->known = true;
    m->i.found++;
    return rc;
}

static void mcpsess_i_backend_tell(const mcpsess_backend_manager *m, const mcpsess_i_backend *b, uint64_t now_ms,
                                   mcpsess_backend_info *info) {
    bool ours = !mcpsess_i_backend_alone(m) && mcpsess_i_backend_ours(m, b, now_ms);
    memset(info, 0, sizeof *info);
    info->id = mcpsess_i_backend_id(m, b);
    info->address = mcpsess_i_backend_address(m, b);
    info->state = b->state;
    info->step = b->step;
    info->rc = b->rc;
    info->kept = b->kept;
    info->copy = b->copy;
    info->busy = b->queue != NULL;
    if (mcpsess_i_backend_alone(m)) info->lease_left_ms = MCPSESS_NEVER;
    if (ours) info->fence = b->lease.fence;
    if (ours) info->lease_left_ms = mcpsess_lease_left(&b->lease, now_ms);
    if (b->state == MCPSESS_BACKEND_ELSEWHERE) info->lease_left_ms = mcpsess_time_left(now_ms, b->theirs_until_ms);
    info->due_ms = b->due_ms;
    info->tries = b->tries;
}

MCPSESS_API int mcpsess_backend_get(const mcpsess_backend_manager *m, mcpsess_str id, uint64_t now_ms,
                                    mcpsess_backend_info *info) {
    const mcpsess_i_backend *b;
    if (!mcpsess_i_backend_ready(m) || mcpsess_i_str_bad(id) || info == NULL) return MCPSESS_E_ARG;
    b = mcpsess_i_backend_find(m, id);
    if (b == NULL) return MCPSESS_MISS;
    mcpsess_i_backend_tell(m, b, now_ms, info);
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_backend_next(const mcpsess_backend_manager *m, uint16_t *cursor, uint64_t now_ms,
                                     mcpsess_backend_info *info) {
    if (!mcpsess_i_backend_ready(m) || cursor == NULL || info == NULL) return MCPSESS_E_ARG;
    while (*cursor < m->i.desc.capacity) {
        const mcpsess_i_backend *b = &m->i.all[(*cursor)++];
        if (!mcpsess_i_backend_used(b)) continue;
        mcpsess_i_backend_tell(m, b, now_ms, info);
        return MCPSESS_OK;
    }
    return MCPSESS_END;
}

/* -- operations */

MCPSESS_API int mcpsess_backend_ensure(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                       uint64_t now_ms) {
    return mcpsess_i_backend_do(m, op, id, MCPSESS_I_BACKEND_AT_ENSURE, now_ms);
}

MCPSESS_API int mcpsess_backend_start(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                      uint64_t now_ms) {
    return mcpsess_i_backend_do(m, op, id, MCPSESS_I_BACKEND_AT_START, now_ms);
}

MCPSESS_API int mcpsess_backend_stop(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                     uint64_t now_ms) {
    return mcpsess_i_backend_do(m, op, id, MCPSESS_I_BACKEND_AT_STOP, now_ms);
}

MCPSESS_API int mcpsess_backend_del(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id, bool preserve,
                                    uint64_t now_ms) {
    int rc;
    if (preserve && mcpsess_i_backend_ready(m) &&
        (m->i.desc.driver.export_data == NULL || m->i.desc.driver.stat_copy == NULL)) {
        return MCPSESS_E_UNSUPPORTED;
    }
    rc = mcpsess_i_backend_begin(m, op, id, MCPSESS_I_BACKEND_AT_DEL, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    if (preserve) op->op.i.mode = MCPSESS_I_BACKEND_PRESERVING;
    return mcpsess_i_backend_poll(&op->op, now_ms);
}

static int mcpsess_i_backend_transfer(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                      mcpsess_str where, uint8_t kind, uint64_t now_ms) {
    int rc = mcpsess_i_str_bad(where) ? (int)MCPSESS_E_ARG : mcpsess_i_backend_begin(m, op, id, kind, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    op->i.call.where = where;
    return mcpsess_i_backend_poll(&op->op, now_ms);
}

MCPSESS_API int mcpsess_backend_export(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                       mcpsess_str where, uint64_t now_ms) {
    if (where.len == 0) return MCPSESS_E_ARG;
    return mcpsess_i_backend_transfer(m, op, id, where, MCPSESS_I_BACKEND_AT_EXPORT, now_ms);
}

MCPSESS_API int mcpsess_backend_import(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                       mcpsess_str where, uint64_t now_ms) {
    return mcpsess_i_backend_transfer(m, op, id, where, MCPSESS_I_BACKEND_AT_IMPORT, now_ms);
}

MCPSESS_API int mcpsess_backend_discard(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                        uint64_t now_ms) {
    if (mcpsess_i_backend_ready(m) && m->i.desc.driver.drop_copy == NULL) return MCPSESS_E_UNSUPPORTED;
    return mcpsess_i_backend_do(m, op, id, MCPSESS_I_BACKEND_AT_DISCARD, now_ms);
}

MCPSESS_API int mcpsess_backend_address(mcpsess_backend_manager *m, mcpsess_backend_op *op, mcpsess_str id,
                                        mcpsess_buf *out, uint64_t now_ms) {
    int rc =
        out == NULL ? (int)MCPSESS_E_ARG : mcpsess_i_backend_begin(m, op, id, MCPSESS_I_BACKEND_AT_ADDRESS, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    op->op.i.out = out;
    return mcpsess_i_backend_poll(&op->op, now_ms);
}

MCPSESS_API int mcpsess_backend_list(mcpsess_backend_manager *m, mcpsess_backend_op *op, uint64_t now_ms) {
    int rc = mcpsess_i_backend_all_begin(m, op, &mcpsess_i_backend_class, MCPSESS_I_BACKEND_AT_LIST, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    m->i.found = 0;
    return mcpsess_i_backend_poll(&op->op, now_ms);
}

MCPSESS_API int mcpsess_backend_reconcile(mcpsess_backend_manager *m, mcpsess_backend_op *op, uint64_t now_ms) {
    int rc = mcpsess_i_backend_all_begin(m, op, &mcpsess_i_backend_all_class, MCPSESS_I_BACKEND_AT_WAIT, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    op->i.row = MCPSESS_I_BACKEND_AT_LIST;
    return rc;
}

MCPSESS_API int mcpsess_backend_prepare(mcpsess_backend_manager *m, mcpsess_backend_op *op, uint64_t now_ms) {
    int rc = mcpsess_i_backend_all_begin(m, op, &mcpsess_i_backend_class, MCPSESS_I_BACKEND_AT_PREPARE, now_ms);
    return rc == MCPSESS_PENDING ? mcpsess_i_backend_poll(&op->op, now_ms) : rc;
}

MCPSESS_API int mcpsess_backend_leave(mcpsess_backend_manager *m, mcpsess_backend_op *op, uint64_t now_ms) {
    int rc = mcpsess_i_backend_all_begin(m, op, &mcpsess_i_backend_all_class, MCPSESS_I_BACKEND_AT_LEAVE, now_ms);
    uint16_t n;
    if (rc != MCPSESS_PENDING) return rc;
    m->i.leaving = true;
    for (n = 0; n < m->i.desc.capacity; n++) {
        m->i.all[n].kept = false;
        m->i.all[n].due_ms = MCPSESS_NEVER;
    }
    for (n = 0; n < m->i.desc.lanes; n++) mcpsess_i_backend_cancel(&m->i.own[n].op);
    return rc;
}

MCPSESS_API void mcpsess_backend_close(mcpsess_backend_manager *m) {
    uint16_t n;
    if (!mcpsess_i_backend_ready(m)) return;
    m->i.ready = 0;
    mcpsess_i_backend_end_all(&m->i.others);
    for (n = 0; n < m->i.desc.capacity; n++) {
        mcpsess_i_backend *b = &m->i.all[n];
        if (!mcpsess_i_backend_used(b)) continue;
        mcpsess_i_backend_end_all(&b->queue);
        mcpsess_i_lease_cancel(&b->extending.op);
        mcpsess_i_backend_forget(m, b);
        b->id_len = 0;
    }
}

/* -- beginning */

MCPSESS_API mcpsess_backend_desc mcpsess_backend_desc_default(void) {
    mcpsess_backend_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

static bool mcpsess_i_backend_desc_bad(const mcpsess_backend_desc *d) {
    const mcpsess_backend_driver *driver = &d->driver;
    if (driver->inspect == NULL || driver->start == NULL || driver->stop == NULL) return true;
    if (driver->stat_copy != NULL && driver->import_data == NULL) return true;
    if (d->store.cls != NULL && d->random == NULL) return true;
    return d->capacity == 0 || d->capacity == MCPSESS_I_BACKEND_NONE;
}

/* What was left out has its default. */
static mcpsess_backend_desc mcpsess_i_backend_filled(const mcpsess_backend_desc *from) {
    mcpsess_backend_desc d = *from;
    d.address_max = (uint16_t)mcpsess_i_or(d.address_max, 64);
    d.lanes = (uint16_t)mcpsess_i_or(d.lanes, 1);
    d.lease_ms = mcpsess_i_or(d.lease_ms, 30000);
    d.timeout_ms = mcpsess_i_or(d.timeout_ms, 5000);
    if (d.timeout_ms > d.lease_ms / 3) d.timeout_ms = mcpsess_i_or(d.lease_ms / 3, 1);
    d.step_ms = mcpsess_i_or(d.step_ms, 30000);
    d.stop_ms = mcpsess_i_or(d.stop_ms, 10000);
    d.check_ms = mcpsess_i_or(d.check_ms, 15000);
    d.network_tries = (uint8_t)mcpsess_i_or(d.network_tries, 2);
    d.network_wait_ms = mcpsess_i_or(d.network_wait_ms, 500);
    d.backoff_ms = mcpsess_i_or(d.backoff_ms, 1000);
    d.backoff_max_ms = mcpsess_i_or(d.backoff_max_ms, 60000);
    d.stable_ms = mcpsess_i_or(d.stable_ms, 60000);
    return d;
}

MCPSESS_API size_t mcpsess_backend_bytes(const mcpsess_backend_desc *d) {
    mcpsess_backend_desc filled;
    uint64_t bytes;
    if (d == NULL || mcpsess_i_backend_desc_bad(d)) return 0;
    filled = mcpsess_i_backend_filled(d);
    bytes = MCPSESS_BACKEND_BYTES(filled.capacity, filled.address_max, filled.lanes);
    return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

MCPSESS_API int mcpsess_backend_init(mcpsess_backend_manager *m, const mcpsess_backend_desc *d, void *mem,
                                     size_t mem_len) {
    uint16_t n;
    int rc = m == NULL ? (int)MCPSESS_E_ARG : mcpsess_storage_check(mem, mem_len, mcpsess_backend_bytes(d));
    if (rc != MCPSESS_OK) return rc;
    memset(m, 0, sizeof *m);
    m->i.desc = mcpsess_i_backend_filled(d);
    m->i.lease.store = m->i.desc.store;
    m->i.lease.ttl_ms = m->i.desc.lease_ms;
    m->i.lease.timeout_ms = m->i.desc.timeout_ms;
    m->i.lease.random = m->i.desc.random;
    m->i.lease.random_user = m->i.desc.random_user;
    m->i.all = (mcpsess_i_backend *)mem;
    m->i.own = (mcpsess_backend_op *)(void *)(m->i.all + m->i.desc.capacity);
    m->i.bytes = (char *)(void *)(m->i.own + m->i.desc.lanes);
    memset(m->i.all, 0, sizeof *m->i.all * m->i.desc.capacity);
    memset(m->i.own, 0, sizeof *m->i.own * m->i.desc.lanes);
    for (n = 0; n < m->i.desc.lanes; n++) mcpsess_op_init(&m->i.own[n].op, 0);
    m->i.ready = MCPSESS_I_BACKEND_READY;
    return MCPSESS_OK;
}

#endif /* MCPSESS_NO_BACKEND */

#ifdef __cplusplus
}
#endif
#endif /* MCPSESS_IMPLEMENTATION */

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
