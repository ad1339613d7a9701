/* mcpsess_redis.h - mcpsess on Redis or Valkey: RESP codec, connection engine, store.

   One C99 header on top of mcpsess.h, no allocation, no runtime dependency, no socket: you give four callbacks. The
   licence is at the end of the file: MIT or public domain, at your choice.

   WHAT TO DEFINE
     In exactly one C or C++ file, before including this header:

       #define MCPSESS_REDIS_IMPLEMENTATION
       #include "mcpsess_redis.h"

     It includes mcpsess.h, whose implementation may be in another file. Optional, and the same in every file:

       MCPSESS_RESP_ONLY         only the encoder and the decoder
       MCPSESS_REDIS_NO_COMPAT   without the formats of other systems
       MCPSESS_RESP_DEPTH        aggregates within each other, 1..32, default 8

   CONTENTS                                                 search for the tag
     RESP2 and RESP3, encoder and decoder                   >>resp
     the engine: one connection, any command                >>redis
     any command as an operation                            >>rediscmd
     the store on Redis                                     >>redisstore
     sessions as ToolHive keeps them                        >>toolhive
     event streams as the MCP C# SDK keeps them             >>csharp
     flags and leases as LibreChat keeps them               >>librechat

   EXAMPLE
       MCPSESS_REDIS_STORAGE(wire, 8, 1024, 1024);                 // 8 commands under way, 1 KiB each way

       mcpsess_redis redis;     mcpsess_redis_desc rd = mcpsess_redis_desc_default();
       mcpsess_redis_store store;  mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();

       rd.transport = my_transport;  rd.random = random_bytes;
       rd.slots = 8;  rd.tx_bytes = 1024;  rd.rx_bytes = 1024;
       mcpsess_redis_init(&redis, &rd, wire.bytes, sizeof wire.bytes);
       sd.redis = &redis;
       mcpsess_redis_store_init(&store, &sd);
       table_desc.store = mcpsess_redis_store_store(&store);       // and on as in mcpsess.h

       const mcpsess_str argv[] = {MCPSESS_STR("INCR"), MCPSESS_STR("boots")};     // or any command
       rc = mcpsess_redis_call(&redis, argv, 2, &reply, &hook);

   RULES
     Memory, time, errors, ownership: as in mcpsess.h. One owner per engine; no locks. The transport must not delay
   small writes: switch Nagle's algorithm off, or every exchange may take 40 ms. Anything that redis-server sends is
   checked; what breaks the protocol ends the connection.
     Poll the engine when it is due also while no operation is pending: that is when it connects, hears of changes, and
   asks a quiet server whether it is there. Who does not finds it not heard for too long, and each hit a request.

   PERMISSIONS
     Besides the commands you send yourself, the engine and the store need no more than this (Redis 6.2, 7, 8, Valkey;
     6.0 without resetchannels; 5 has no users):

       ACL SETUSER mcpsess on >PASSWORD resetkeys ~mcpsess:* resetchannels -@all +ping +select +time
         +client|setname +client|tracking +script|load +evalsha +get +set +del +hmget +hset +xadd +xrange +xlen
         +zadd +zrange +zrem +zremrangebyscore +pttl +pexpire

     Without logs (MCPSESS_NO_STREAM) it takes nothing from +hmget to +zremrangebyscore.
     Sessions as ToolHive keeps them also need:  ~thv:* +getex
     Flags and leases as LibreChat keeps them, without a prefix:  ~MCP::ServersRegistry::PrivateServersLoadStatus:*
     Streams as the C# SDK keeps them, in an instance of no name:  ~mcp:sse:v1:* ~mcpsess:sse:v1:* +hget +hmget +hset
       +hdel +exists +unlink
*/

#ifndef MCPSESS_REDIS_H
#define MCPSESS_REDIS_H

#include "mcpsess.h"

#ifndef MCPSESS_RESP_DEPTH
#define MCPSESS_RESP_DEPTH 8
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- resp: RESP2 and RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/) --------------- >>resp

   Pure: no callback, no I/O. The decoder takes what has arrived, in whatever pieces, and hands out one item at a time;
   it keeps no bytes, only where it is.

   state      next answers   how it gets there                     how it leaves
   between    PENDING        init; an item with `ends`             the first byte of a reply
   within     OK, PENDING    an aggregate, or a bulk in pieces     its last element, its last piece
   broken     the error      anything that is not RESP             init

   A reply is one item, or an aggregate's head followed by its elements, as deep as MCPSESS_RESP_DEPTH. An attribute
   comes before what it belongs to, at the same depth, and counts as no element. Streamed strings and aggregates
   (RESP3's "?") are refused. Pushes are told apart by their type at depth 0; they never come within a reply. */

/* item.type: as on the wire, but a null of any spelling is MCPSESS_RESP_NULL. */
enum {
    MCPSESS_RESP_SIMPLE = '+',
    MCPSESS_RESP_ERROR = '-',
    MCPSESS_RESP_INTEGER = ':',
    MCPSESS_RESP_BULK = '$',
    MCPSESS_RESP_ARRAY = '*',
    MCPSESS_RESP_NULL = '_',
    MCPSESS_RESP_BOOL = '#',
    MCPSESS_RESP_DOUBLE = ',',
    MCPSESS_RESP_BIG = '(',
    MCPSESS_RESP_BULK_ERROR = '!',
    MCPSESS_RESP_VERBATIM = '=',
    MCPSESS_RESP_MAP = '%',
    MCPSESS_RESP_SET = '~',
    MCPSESS_RESP_ATTRIBUTE = '|',
    MCPSESS_RESP_PUSH = '>'
};

typedef struct mcpsess_resp_item {
    mcpsess_str text; /* scalar: its text, checked, without type and CRLF; bulk, bulk error, verbatim (with its "txt:"):
                         the piece at hand. Points into what next was given */
    int64_t number;   /* integer: its value; bool: 0, 1; aggregate: items to come (a map's keys and values); bulk kinds:
                         bytes of all pieces */
    uint32_t left;    /* bulk kinds: bytes still to come in further items of this type; 0: complete */
    uint8_t type;     /* MCPSESS_RESP_... */
    uint8_t depth;    /* aggregates it is in; 0: the reply itself */
    bool ends;        /* with this item the reply (or push) is complete */
} mcpsess_resp_item;

typedef struct mcpsess_resp_desc {
    uint32_t line_max;  /* bytes of a line, CRLF apart; default 512. A line must fit what next is given at once */
    uint32_t bulk_max;  /* bytes of a bulk; default 512 MiB */
    uint32_t whole_max; /* a bulk up to this long comes in one piece, once all of it is there; default 0: in pieces */
    uint32_t elements_max; /* items of one reply, nested ones included, pushes exempt; default 1,048,576 */
} mcpsess_resp_desc;

typedef struct mcpsess_resp {
    struct {
        mcpsess_resp_desc limits;
        uint32_t left[MCPSESS_RESP_DEPTH]; /* items to come in each open aggregate */
        uint32_t attributes;               /* bit n: the aggregate at depth n is an attribute */
        uint32_t bulk;                     /* bytes to come of the open bulk, its CRLF apart */
        uint32_t bulk_len;
        uint32_t scanned;  /* bytes at the front known to hold no line end */
        uint32_t elements; /* of this reply so far */
        uint8_t type;      /* of the open bulk; 0: none */
        uint8_t depth;
        bool push;
        int8_t error;
    } i;
} mcpsess_resp;

/* desc NULL, or a member of 0, is the default. Cost: none. */
MCPSESS_API void mcpsess_resp_init(mcpsess_resp *d, const mcpsess_resp_desc *desc);
/* Takes one item off the front of *in. On PENDING call again with what is left in *in and more bytes behind it.
   -> OK, PENDING: more bytes are needed, E_FORMAT: not RESP, E_TOOBIG: over a limit, E_UNSUPPORTED: streamed, E_ARG;
   an error stays until init */
MCPSESS_API int mcpsess_resp_next(mcpsess_resp *d, mcpsess_str *in, mcpsess_resp_item *item);

/* Appends a command: an array of bulk strings, in RESP2 and RESP3 alike.  -> OK, E_TOOBIG, E_ARG: also for argc 0; on
   an error out is as it was */
MCPSESS_API int mcpsess_resp_put_command(mcpsess_buf *out, const mcpsess_str *argv, size_t argc);
/* The bytes put_command appends; 0 if that is more than a size_t holds, or a slice has a length but no bytes. */
MCPSESS_API size_t mcpsess_resp_command_bytes(const mcpsess_str *argv, size_t argc);
/* Piece by piece, for commands that are not an argv yet, and for servers: type and number (arrays, integers, maps ...),
   type and text (simple, error, double ...), type and bytes behind their length (bulk, bulk error, verbatim). A put
   that does not fit sets out->overflow. Text is put as it is: it must hold no CR or LF. */
MCPSESS_API void mcpsess_resp_put_number(mcpsess_buf *out, uint8_t type, int64_t number);
MCPSESS_API void mcpsess_resp_put_text(mcpsess_buf *out, uint8_t type, mcpsess_str text);
MCPSESS_API void mcpsess_resp_put_bytes(mcpsess_buf *out, uint8_t type, mcpsess_str bytes);

#ifndef MCPSESS_RESP_ONLY

/* ---- redis: one connection, any command ------------------------------------------------------------------- >>redis

   state        what happens                                          leaves to
   down         waits for the end of the backoff                      connecting
   connecting   transport.open is called again until it answers       greeting; down after connect_timeout_ms
   greeting     HELLO 3 (or AUTH, on RESP2), SETNAME, SELECT, TIME,   ready; down; failed: credentials, permissions, a
                CLIENT TRACKING, SCRIPT LOAD for each script          database or a script that the server does not take
   ready        commands go out in order, replies come in order       down: transport, protocol error, reply_timeout_ms
   reloading    a script was gone: nothing is sent until all          ready; down
                replies are in and the scripts are back
   failed       every command answers the error                       down, by mcpsess_redis_reset

   Backoff: a random time up to backoff_min, or, with each attempt that failed in a row, up to twice as long, at most
   backoff_max (full jitter). While the last attempt to connect has failed, a command that was never sent ends with E_IO
   at once, unless `patient`; the first attempt is always waited for.

   A command has a slot from submit to its reply. A command that is given up, or meets its deadline, after its bytes
   were sent leaves its slot behind, which swallows the reply: a late reply never answers another command. When the
   connection ends, a command of which nothing was sent goes out on the next connection; one that is safe to repeat is
   sent again, both until their deadlines; any other ends with E_UNKNOWN.

   Scripts are loaded before anything else is sent. After a NOSCRIPT nothing more is sent until what is under way is
   answered; then the scripts are loaded again and what met NOSCRIPT goes out in its old order, before all that is
   newer.

   Tracking (CLIENT TRACKING, on RESP3 only) tells which keys were written. KEYS: those this connection has read since;
   PREFIXES: all under the prefixes of the modules, broadcast, which on a busy fleet is everybody's writes. A connection
   that ends or begins counts as "any key may have been written". */

/* Errors of the server, by the first word of its message: nothing was done. Its text: mcpsess_redis_error. The last two
   are not the server's. */
#define MCPSESS_REDIS_CODES(X)                                                                        \
    X(E_SERVER, -65, "the server answered with an error that has no code here")                       \
    X(E_LOADING, -66, "the server is loading its data")                                               \
    X(E_BUSY, -67, "the server is busy with somebody's script")                                       \
    X(E_READONLY, -68, "the server is a replica: nothing can be written here")                        \
    X(E_MASTERDOWN, -69, "the server is a replica that has lost its master")                          \
    X(E_NOREPLICAS, -70, "the server lacks the replicas it was told to write to")                     \
    X(E_MISCONF, -71, "the server cannot save to disk, and refuses writes")                           \
    X(E_OOM, -72, "the server is at its maxmemory")                                                   \
    X(E_NOAUTH, -73, "the server wants a password first")                                             \
    X(E_WRONGPASS, -74, "user or password is wrong")                                                  \
    X(E_NOPERM, -75, "the user may not do this: compare its ACL with the manual's")                   \
    X(E_NOSCRIPT, -76, "a script is gone, and was not taken again")                                   \
    X(E_WRONGTYPE, -77, "the key holds another kind of value")                                        \
    X(E_MOVED, -78, "the key is on another node of the cluster")                                      \
    X(E_CROSSSLOT, -79, "keys of one command are in different slots of the cluster")                  \
    X(E_CLUSTERDOWN, -80, "the cluster does not serve, or is moving this key")                        \
    X(E_SYNTAX, -81, "the server does not know the command or its arguments")                         \
    X(E_PROTOCOL, -83, "what the server sent is not RESP, or is no answer to what the request asked") \
    X(E_MAPPING, -84, "that format has no place for something in the record")

enum {
#define MCPSESS_I_CODE(name, number, text) MCPSESS_REDIS_##name = (number),
    MCPSESS_REDIS_CODES(MCPSESS_I_CODE)
#undef MCPSESS_I_CODE
        MCPSESS_REDIS_I_CODES_END = 0x7FFF
};

/* As mcpsess_code_name and _text, and the codes above as well. */
MCPSESS_API const char *mcpsess_redis_code_name(int code);
MCPSESS_API const char *mcpsess_redis_code_text(int code);

/* Log items, besides those of mcpsess.h. */
#define MCPSESS_REDIS_ITEMS(X)                                                             \
    X(CONNECTED, 64, "connected and ready; number: ms it took")                            \
    X(CONNECT_FAILED, 65, "could not connect; number: ms until the next attempt")          \
    X(DISCONNECTED, 66, "connection ended; number: commands that were under way")          \
    X(REPLY_TIMEOUT, 67, "no reply in time, connection ended; number: ms")                 \
    X(PROTOCOL_ERROR, 68, "not RESP, or an answer to nothing; number: -code")              \
    X(SERVER_ERROR, 69, "the server answered with an error; key: its text; number: -code") \
    X(FAILED, 70, "the handshake was refused, no further attempt; number: -code")          \
    X(SCRIPTS_LOST, 71, "scripts were gone, loaded again; number: commands sent again")    \
    X(NO_TRACKING, 72, "changes made elsewhere are not told on this connection")           \
    X(LATE_REPLY, 73, "reply of a command that was given up; number: ms since it was sent")

enum {
#define MCPSESS_I_ITEM(name, number, text) MCPSESS_REDIS_ITEM_##name = (number),
    MCPSESS_REDIS_ITEMS(MCPSESS_I_ITEM)
#undef MCPSESS_I_ITEM
        MCPSESS_REDIS_I_ITEMS_END = 0x7FFF
};
MCPSESS_API const char *mcpsess_redis_item_text(int item); /* and those of mcpsess_item_text */

/* The bytes' way. None may block. send and recv move at most len bytes, at most 32,767 a call; recv all that has
   arrived and fits: less is taken for all there is, and a hit relies on it.  -> > 0: bytes moved, 0: WOULD BLOCK (not
   the end of the stream, as with POSIX recv), < 0: DEAD */
typedef struct mcpsess_redis_transport {
    /* Begins to connect, or goes on with it.  -> > 0 connected, 0 not yet: called again, < 0 failed; then, and whenever
       the connection ends, close is called */
    int (*open)(void *user);
    int (*send)(void *user, const void *bytes, size_t len);
    int (*recv)(void *user, void *bytes, size_t len);
    void (*close)(void *user);
    void *user;
} mcpsess_redis_transport;

enum { MCPSESS_REDIS_TRACK_OFF = 1, MCPSESS_REDIS_TRACK_KEYS, MCPSESS_REDIS_TRACK_PREFIXES };

typedef struct mcpsess_redis_desc {
    mcpsess_redis_transport transport; /* all four */
    mcpsess_random_fn random;          /* for the jitter; NULL: none, so all that lost one server return together */
    void *random_user;
    mcpsess_str user, password, name;        /* must live as long as the engine; empty: none. name: CLIENT SETNAME */
    uint16_t db;                             /* SELECT; default 0 */
    uint16_t slots;                          /* commands under way, 1..32767 */
    uint32_t tx_bytes, rx_bytes;             /* buffers, 64..2^24; a command must fit tx, a line of a reply rx; longer
                                                than rx - 24, a key that was written is told as any key */
    uint32_t connect_timeout_ms;             /* default 5 s, handshake included */
    uint32_t reply_timeout_ms;               /* the oldest reply may be late this much; default 3 s */
    uint32_t timeout_ms;                     /* of a command that brings no deadline; default 5 s */
    uint32_t idle_ms;                        /* PING after so long without a word from the server; default 5 s */
    uint32_t backoff_min_ms, backoff_max_ms; /* default 50 ms, 5 s */
    uint8_t tracking;                        /* MCPSESS_REDIS_TRACK_...; default KEYS */
    bool resp2;                              /* speak RESP2 even if the server knows RESP3 */
    bool patient;                            /* commands wait for a server that is away, until their deadlines */
    mcpsess_log log;
} mcpsess_redis_desc;

typedef struct mcpsess_redis_stats {
    uint32_t commands;      /* sent */
    uint32_t replies;       /* that had a taker */
    uint32_t late_replies;  /* swallowed */
    uint32_t server_errors; /* replies that were errors */
    uint32_t pushes;
    uint32_t invalidations; /* keys told by them */
    uint32_t repeated;      /* sent again after the connection ended */
    uint32_t unknown;       /* ended with E_UNKNOWN */
    uint32_t timeouts;      /* commands that met their deadline */
    uint32_t connects, connect_failures, disconnects;
    uint32_t reloads; /* of scripts that were gone */
    uint32_t pings;
    uint64_t bytes_sent, bytes_received;
} mcpsess_redis_stats;

typedef struct mcpsess_redis mcpsess_redis;

/* What is built on the engine tells it so, before the first poll: its scripts, and what it wants to hear. */
typedef struct mcpsess_redis_script {
    const char *text; /* constant, in MCPSESS_ROM; it may be longer than tx_bytes, its EVALSHA may not */
    const char *sha1; /* of text, 40 digits of lower case hex, in MCPSESS_ROM: what SCRIPT LOAD answers */
    uint16_t len;     /* of text */
} mcpsess_redis_script;

typedef struct mcpsess_redis_module {
    const mcpsess_redis_script *scripts;
    uint8_t script_count;
    mcpsess_str prefix; /* of keys to hear of, with TRACK_PREFIXES; empty: none. None may be the beginning of another */
    /* Both may be NULL; neither may poll. changed: this key was written or removed; an empty key: any may have been. */
    void (*changed)(void *user, mcpsess_str key);
    void (*push)(void *user, const mcpsess_resp_item *item); /* every item of every other push, its head apart */
    void *user;
    struct {
        struct mcpsess_redis_module *next;
    } i;
} mcpsess_redis_module;

/* A kind of command, for those who build on the engine; for a single command see mcpsess_redis_cmd. All three are
   called inside poll, item and done inside hear too, done also inside close and reset; they may submit, drop, close and
   reset, but not poll. */
typedef struct mcpsess_redis_class {
    /* Appends the command; called again when it is sent again. */
    void (*encode)(void *user, void *request, mcpsess_buf *out);
    /* An item of its reply, and the bytes it was made of. Not called for errors of the server. What is no answer to
       this command must be refused. */
    void (*item)(void *user, void *request, const mcpsess_resp_item *item, mcpsess_str raw);
    /* The end, exactly once, the slot is free: OK after the last item, or an error. */
    void (*done)(void *user, void *request, int rc, uint64_t now_ms);
} mcpsess_redis_class;

enum {
    MCPSESS_REDIS_REPEAT = 1, /* safe to send again when it is not known whether it arrived */
    MCPSESS_REDIS_SCRIPT = 2  /* an EVALSHA of a module's script */
};

typedef struct mcpsess_i_redis_slot {
    const mcpsess_redis_class *cls; /* NULL: given up, the reply is swallowed */
    void *user;
    void *request;
    uint64_t deadline_ms;
    uint64_t sent_ms;
    uint32_t start; /* bytes encoded on this connection before it */
    uint8_t flags;
    uint8_t reloads; /* times it met NOSCRIPT */
} mcpsess_i_redis_slot;

#define MCPSESS_REDIS_ERROR_MAX 96u

struct mcpsess_redis {
    mcpsess_redis_stats stats;
    struct {
        mcpsess_redis_desc desc;
        mcpsess_redis_module *modules;
        mcpsess_i_redis_slot *slots; /* a ring: first come first served */
        mcpsess_buf tx;
        char *rx;
        uint32_t rx_len;
        uint32_t tx_total, tx_done; /* bytes encoded, and sent, on this connection */
        mcpsess_resp resp;
        uint64_t since_ms;    /* in this state */
        uint64_t wait_ms;     /* the server last answered, or had nothing to answer */
        uint64_t due_ms;      /* down: of the next attempt */
        uint64_t heard_ms;    /* the server last sent something */
        uint64_t earliest_ms; /* no deadline is before */
        int64_t wall_offset_ms;
        uint16_t head, used; /* oldest slot, slots in use: */
        uint16_t redo;       /* first those that met NOSCRIPT, then those that await a reply, */
        uint16_t unsent;     /* last those that are not encoded yet */
        uint16_t script_at;  /* bytes of the script that is being loaded which went into tx */
        uint8_t failures;    /* attempts to connect since the last good one, at most 32 */
        uint8_t state, target;
        uint8_t asked, answered; /* steps of the handshake */
        uint8_t error_len, push;
        bool resp3, tracking, polling, polled, encoding, pinging, wall_known;
        bool leaving; /* the connection ends when all is answered */
        bool dying;   /* the transport sends no more; it may still have something to read */
        bool more;    /* the last receive filled all the room */
        int rc;       /* failed: why */
        int reply_rc; /* of the reply that is being read */
        int64_t wall_s;
        char error[MCPSESS_REDIS_ERROR_MAX];
        uint32_t ready;
    } i;
};

#define MCPSESS_REDIS_BYTES(slots, tx_bytes, rx_bytes) \
    (MCPSESS_I_ROUND8((uint64_t)(slots) * sizeof(mcpsess_i_redis_slot)) + (uint64_t)(tx_bytes) + (uint64_t)(rx_bytes))
#define MCPSESS_REDIS_STORAGE(name, slots, tx_bytes, rx_bytes) \
    MCPSESS_I_STORAGE(name, MCPSESS_REDIS_BYTES(slots, tx_bytes, rx_bytes))

MCPSESS_API mcpsess_redis_desc mcpsess_redis_desc_default(void);
MCPSESS_API size_t mcpsess_redis_bytes(const mcpsess_redis_desc *d); /* 0 if out of range */
/* Connects at the first poll.  -> OK, E_ARG, E_NOMEM, E_ALIGN */
MCPSESS_API int mcpsess_redis_init(mcpsess_redis *r, const mcpsess_redis_desc *d, void *mem, size_t mem_len);
/* m must live as long as the engine.  -> OK, E_STATE: it was polled already, E_ARG: also for overlapping prefixes */
MCPSESS_API int mcpsess_redis_attach(mcpsess_redis *r, mcpsess_redis_module *m);

/* One bounded step: at most one send and one receive.  -> OK ready, PENDING not connected, E_CLOSED, E_ARG, or the
   sticky error */
MCPSESS_API int mcpsess_redis_poll(mcpsess_redis *r, uint64_t now_ms);
MCPSESS_API uint64_t mcpsess_redis_next_due(mcpsess_redis *r, uint64_t now_ms);
MCPSESS_API unsigned mcpsess_redis_want(mcpsess_redis *r); /* MCPSESS_WANT_ bits */
/* Ends every command with E_CLOSED (E_UNKNOWN where it may have been done) and the connection; all that follows answers
   E_CLOSED. */
MCPSESS_API void mcpsess_redis_close(mcpsess_redis *r);
/* Forgets a sticky error, or ends a connection, or a close; connects again at the next poll.  -> OK, E_ARG */
MCPSESS_API int mcpsess_redis_reset(mcpsess_redis *r, uint64_t now_ms);

/* Puts a command in line; it is sent by the next poll. request must live until done was called, or drop. deadline_ms 0:
   timeout_ms from now.
   -> PENDING, E_FULL: no slot, E_IO: the server is away, E_CLOSED, E_ARG, or the sticky error; then done is not called
 */
MCPSESS_API int mcpsess_redis_submit(mcpsess_redis *r, const mcpsess_redis_class *cls, void *user, void *request,
                                     unsigned flags, uint64_t deadline_ms, uint64_t now_ms);
/* Gives a command up: done is not called, request is free. */
MCPSESS_API void mcpsess_redis_drop(mcpsess_redis *r, void *request);
/* Inside a class's item: this reply answers something else, so those behind it may, too. The connection ends, the
   command with E_UNKNOWN. */
MCPSESS_API void mcpsess_redis_refuse(mcpsess_redis *r);

/* The message of the last error the server sent, at most MCPSESS_REDIS_ERROR_MAX bytes; lives until the next poll. */
MCPSESS_API mcpsess_str mcpsess_redis_error(const mcpsess_redis *r);
/* Takes in what has arrived: at most one receive.  -> OK: pushes arrive, nothing older is unheard, and the server was
   heard within idle_ms + reply_timeout_ms; PENDING: not all of it, or it is just being polled; STALE: not so */
MCPSESS_API int mcpsess_redis_hear(mcpsess_redis *r, uint64_t now_ms);
/* Unix time in ms by the server's clock, as of the last handshake; 0: it was not told yet. */
MCPSESS_API uint64_t mcpsess_redis_wall_ms(const mcpsess_redis *r, uint64_t now_ms);
MCPSESS_API int mcpsess_redis_check(const mcpsess_redis *r); /* invariants; -> OK, E_CORRUPT, E_ARG */

/* ---- rediscmd: any command as an operation --------------------------------------------------------------- >>rediscmd
 */

typedef struct mcpsess_redis_op {
    mcpsess_op op; /* mcpsess_op_init, _poll, _cancel, _next_due, _want */
    struct {
        mcpsess_redis *redis;
        const mcpsess_str *argv;
        mcpsess_buf *reply;
        size_t argc, mark;
        bool overflow;
    } i;
} mcpsess_redis_op;

/* Sends argv; appends the whole reply to `reply` as RESP, to be read with mcpsess_resp_next or mcpsess_redis_text.
   argv, what it points to, and reply must live until op is done. Never repeated: E_UNKNOWN when the connection ended
   after it was sent. It goes over the connection that the store uses: nothing that blocks there, nor changes what it is
   (SELECT, SUBSCRIBE, MULTI, CLIENT REPLY, CLIENT TRACKING, RESET ...).
   -> PENDING, OK, an error of the server (its text: mcpsess_redis_error), E_TOOBIG: the command over tx_bytes (nothing
   sent), or the reply over `reply` (op.need; the command was done), E_IO, E_UNKNOWN, E_TIMEOUT, E_FULL, E_CLOSED,
   E_STATE, E_ARG */
MCPSESS_API int mcpsess_redis_cmd(mcpsess_redis *r, mcpsess_redis_op *op, const mcpsess_str *argv, size_t argc,
                                  mcpsess_buf *reply, uint64_t now_ms);
/* The same, waiting for it with the hook.  -> as mcpsess_redis_cmd, never PENDING, E_CANCELED */
MCPSESS_API int mcpsess_redis_call(mcpsess_redis *r, const mcpsess_str *argv, size_t argc, mcpsess_buf *reply,
                                   const mcpsess_wait_hook *hook);
/* The text of a reply that is a single scalar; empty for any other. ptr is NULL for null. Points into reply. */
MCPSESS_API mcpsess_str mcpsess_redis_text(mcpsess_str reply);

/* ---- redisstore: the store on Redis ------------------------------------------------------------------ >>redisstore

   One round trip a request, one script each, so each is one atomic step of the server.

   key                        type     holds
   <prefix>r:{<id>}           string   the record's bytes, with a TTL
   <prefix>l:{<id>}           string   a lease: its holder's token, with the lease's TTL
   <prefix>f:{<id>}           string   the lease's last fence, for 100 times as long
   <prefix>l:{<id>}:f         string   the flag of the lease's key, with the flag's TTL: one byte, how long the
                                       fingerprint is, the fingerprint, and the data
   <prefix>e:{<id>}:<stream>  stream   a log's events, under <sequence>-<ms of the append>: mcpsess_event_put's bytes
                                       but their length
   <prefix>m:{<id>}:<stream>  hash     all else that there is to know of the log, its writer's lease included; what is
                                       tracked
   <prefix>i:{<id>}           zset     the session's streams: by it all are deleted at once
   In an id or a stream's name every byte outside 0x21-0x7E, and % { }, is written %XX: so what stands between the
   braces, which chooses the slot in a cluster, is one id's and nobody else's. Fences are the server's clock in
   microseconds, or the last one + 1 if that is more: they grow even when the keys are lost.

   What a request answers when the connection ended and nobody knows whether it was done:
   GET, TOUCH, DEL_EQUAL, leases   repeated until the deadline; then DEL_EQUAL may answer MISS, a release LOST, to what
                                   the first try has done
   PUT create                      looked up: OK: our bytes are there; EXISTS: others are; else E_UNKNOWN
   PUT cas                         looked up: OK: our bytes are there; LOST: neither ours nor the expected are; MISS:
                                   nothing is, or another owner's; else E_UNKNOWN
   PUT upsert, update, DEL         E_UNKNOWN
   FLAG_SET without a token        E_UNKNOWN
   any other FLAG_...              repeated until the deadline; then SET may answer LOST, CLEAR MISS, to what the first
                                   try has done, and CLEAR have cleared what was set, or claimed, after that
   LOG_...                         repeated until the deadline; then APPEND may answer DUP, to what the first try has
                                   done, and DEL count fewer events
   What was looked up tells what is there now: EXISTS, LOST and MISS do not say that our bytes never were. A reply that
   is not as a script's should be ends the connection; then it is unknown whether GET, TOUCH and the like were done.

   A value, or a flag's data, that does not fit the room for it is not transferred, nor its TTL refreshed; a claim that
   meets it takes nothing. SWEEP is a no-op: keys expire by themselves. Lease validity (left_ms) is the TTL less the
   time since submit, less 1/128 of the TTL + 2 ms for the drift of two clocks; an answer that comes when nothing of it
   is left is E_TIMEOUT: not held, but others find it BUSY until it expires or is released. No TTL is longer than 1,115
   years.

   Logs: bounds and TTLs are exact, by the server's clock; keys live longer than what is in them, at most twice as long,
   so that an append need not set their TTL. An event that is too old takes up room until it is over a bound. Epochs and
   fences grow as leases' fences do. Sequences and epochs end at 2^53 - 1. E_TOOBIG is told without asking the server,
   whatever it would say. A delete of all streams takes the server a few us for each.
   What a server that comes back has lost, by its settings (Redis' own names):
   appendonly yes, appendfsync always     nothing that was answered
   appendonly yes, appendfsync everysec   about 1 s; no 30 s, or what the system had not written yet
   save ... alone, or a replica's takeover, whatever was not in the last snapshot, or not yet replicated
   Then its log's writer finds out by its next append, or set: LOST_TAIL, a new epoch. A log that is gone as a whole is
   MISS, and begins under a new epoch as well. So a reader that had seen more than there is meets GAP, if it asks
   before another writer has taken over and appended as much: that one cannot know, and goes on where the log ends.
   A server that evicts (maxmemory-policy) may take any one key: without its events a log is GAP, without its hash MISS;
   without the index a delete of all finds nothing. On one that is full instead, what is there is read and deleted. */

typedef struct mcpsess_redis_store_desc {
    mcpsess_redis *redis;
    mcpsess_str prefix;  /* 1..32 bytes of 0x21-0x7E without % { }; default "mcpsess:" */
    uint32_t timeout_ms; /* of a request without a deadline; default: the engine's */
    mcpsess_log log;
} mcpsess_redis_store_desc;

typedef struct mcpsess_redis_store_stats {
    uint32_t requests;
    uint32_t foreign;    /* asked for by another principal */
    uint32_t read_backs; /* puts of unknown outcome that were looked up */
    uint32_t refreshed;  /* TTLs set anew by a GET or TOUCH */
} mcpsess_redis_store_stats;

#define MCPSESS_REDIS_PREFIX_MAX 32u

typedef struct mcpsess_redis_store {
    mcpsess_redis_store_stats stats;
    struct {
        mcpsess_redis *redis;
        mcpsess_redis_module modules[3];      /* by MCPSESS_OF_...; without scripts: there is none */
        const mcpsess_listener *listeners[3]; /* likewise */
        mcpsess_request *pending;             /* newest first */
        mcpsess_log log;
        int64_t numbers[6]; /* of the reply that is being read: code, left, extra; of a log's, as its scripts say */
        uint32_t timeout_ms;
        uint8_t items; /* of it so far */
        bool bad;      /* it is not as a script's should be */
        bool closed;
        uint8_t prefix_len;
        char prefixes[3][MCPSESS_REDIS_PREFIX_MAX + 2]; /* of the modules: "r:", "m:" or "l:" at the end */
    } i;
} mcpsess_redis_store;

/* Bytes of the longest command of the store, for tx_bytes: with a value and an expected value of value_max each. */
#define MCPSESS_REDIS_STORE_TX(value_max) \
    (512u + 2u * MCPSESS_REDIS_PREFIX_MAX + 6u * MCPSESS_ID_MAX + MCPSESS_RECORD_OWNER_MAX + 2u * (uint64_t)(value_max))

/* And of the longest one of a log: with an event of so many bytes, as mcpsess_event_bytes counts them. */
#define MCPSESS_REDIS_STORE_LOG_TX(event_max)                                                                          \
    (512u + 3u * MCPSESS_REDIS_PREFIX_MAX + 9u * MCPSESS_ID_MAX + 6u * MCPSESS_STREAM_MAX + MCPSESS_RECORD_OWNER_MAX + \
     (uint64_t)(event_max))

/* And of the longest one about a flag, with so many bytes of data. */
#define MCPSESS_REDIS_STORE_FLAG_TX(data_max)                                                                   \
    (512u + 3u * MCPSESS_REDIS_PREFIX_MAX + 9u * MCPSESS_ID_MAX + MCPSESS_FINGERPRINT_MAX + MCPSESS_TOKEN_MAX + \
     (uint64_t)(data_max))

MCPSESS_API mcpsess_redis_store_desc mcpsess_redis_store_desc_default(void);
/* Attaches to the engine, which must not have been polled; of two stores on one engine no prefix may begin with the
   other's and "r:", "m:" or "l:".  -> OK, E_ARG, E_STATE */
MCPSESS_API int mcpsess_redis_store_init(mcpsess_redis_store *s, const mcpsess_redis_store_desc *d);
/* Closing it leaves the engine open, for others. */
MCPSESS_API mcpsess_store mcpsess_redis_store_store(mcpsess_redis_store *s);

#ifndef MCPSESS_REDIS_NO_COMPAT

/* ---- toolhive: sessions as ToolHive keeps them --------------------------------------------------------- >>toolhive

   Two forms, both JSON. Written byte for byte as Go's encoding/json writes them (since Go 1.22), read as it reads them:
   members in any order, with any white space and escapes, the last of equal names, null for an empty string. Refused,
   though Go reads them, are instants not as RFC 3339 has them and what a record holds once twice; Go writes neither.

   record               VMCP: an object of strings        PROXY: an envelope around such an object, "metadata"
   id                   in the key alone                  "id"; a UUID
   principal            among the strings, "vmcp.identity.binding": issuer NUL subject
   backend              no place: must be empty           no place: "backend_url" is a pair
   created, updated_ms  no place: must be 0               "created_at", "updated_at"; 0 is Go's zero time
   PLACEHOLDER          {}                                no place
   ACTIVE               any other                         any other
   TERMINATED           among the strings, "terminated":"true"
   pairs                the other strings                 the other strings
   pairs whose key      no place                          all else in the envelope, as JSON: "\0type" (default "mcp"),
   begins with NUL                                        "\0data", what is unknown here (ToolHive drops that when it
                                                          writes), and "\0created_at", "\0updated_at" where ms in UTC do
                                                          not say all; unused once the member is another instant
   A session for whom nobody logs in has the pair MCPSESS_TOOLHIVE_BINDING, "unauthenticated"; without any binding
   ToolHive takes it for unfinished. What Go wrote comes back to the byte from decode and encode, but \ufffd, which it
   writes for bytes that are not UTF-8, comes back as the character.

   They are no store of mcpsess_sessions: the format has neither a fence nor a compare-and-set, so of two writers the
   last one wins, and only UPDATE is sure not to bring back what somebody has deleted. To load a session:

       mcpsess_toolhive_layout l = mcpsess_toolhive_vmcp();
       rc = mcpsess_toolhive_command(&l, MCPSESS_TOOLHIVE_LOAD, id, MCPSESS_STR(""), &scratch, &words);
       if (rc == MCPSESS_OK) rc = mcpsess_redis_call(&redis, words.argv, words.argc, &reply, &hook);
       if (rc == MCPSESS_OK) text = mcpsess_redis_text(mcpsess_buf_str(&reply));  // ptr NULL: there is none
       if (rc == MCPSESS_OK && text.ptr != NULL) rc = mcpsess_toolhive_decode(l.form, text, id, &record, NULL);

   CREATE answers "OK", or null where the key exists, UPDATE "OK", or null where it does not; neither changes anything
   then. DELETE answers the number of keys removed. */

#define MCPSESS_TOOLHIVE_BINDING "vmcp.identity.binding"

enum { MCPSESS_TOOLHIVE_VMCP = 1, MCPSESS_TOOLHIVE_PROXY };

/* Appends the JSON of a record.  -> OK, E_MAPPING: no place for something in it, or a pair says what another member is
   for, E_ID: PROXY, and not a UUID, E_FORMAT: a pair whose key begins with NUL is not what it should be, E_PRINCIPAL,
   E_TOOBIG, E_ARG; on an error json is as it was */
MCPSESS_API int mcpsess_toolhive_encode(int form, const mcpsess_record *r, mcpsess_buf *json);
/* Appends the record of this id; PROXY: of any, if id is empty. *need, unless NULL, is set to the bytes it takes, also
   with E_TOOBIG; then perhaps to some more where names come twice. Cost: one pass, and a move of the pairs for each
   that is out of order.
   -> OK, E_FORMAT: not JSON, not of this form, of another id, twice what a record holds once (any member but data and
   unknown ones; "terminated"; the binding), a key that is empty or begins with NUL, E_PRINCIPAL: a malformed binding,
   E_ID, E_TOOBIG: no room, over a limit of records, or 64 values within each other, E_ARG; on an error record is as it
   was */
MCPSESS_API int mcpsess_toolhive_decode(int form, mcpsess_str json, mcpsess_str id, mcpsess_buf *record, size_t *need);

/* Appends the id under which ToolHive's proxy keeps a session: a UUID, in any form Go's uuid.Parse takes, as it is;
   anything else as a UUID version 5 (RFC 9562) in the namespace of DNS.  -> OK, E_TOOBIG, E_ARG: also for no id; on an
   error out is as it was */
MCPSESS_API int mcpsess_toolhive_id(mcpsess_str session_id, mcpsess_buf *out);

/* The pairs of a VMCP record that say which backends it has. What mcpsess_backends_del makes of it is what ToolHive
   does when one expires, and mcpsess_backends_check is its check of what it keeps: write with UPDATE what they change.
 */
MCPSESS_API mcpsess_backends mcpsess_toolhive_backends(void);
/* May a VMCP session be taken up again from its record? Not a placeholder, nor one that is terminated, nor one from
   before sessions were bound to users; those ToolHive terminates as it does a placeholder.  -> OK, MISS, E_ARG */
MCPSESS_API int mcpsess_toolhive_restorable(const mcpsess_record *r);

typedef struct mcpsess_toolhive_layout {
    mcpsess_str prefix; /* ends with ':'; must live as long as the layout is used */
    uint64_t ttl_ms;    /* 1..2^46 */
    uint8_t form;       /* MCPSESS_TOOLHIVE_VMCP, _PROXY */
} mcpsess_toolhive_layout;

MCPSESS_API mcpsess_toolhive_layout mcpsess_toolhive_vmcp(void);  /* thv:vmcp:session:, 30 min */
MCPSESS_API mcpsess_toolhive_layout mcpsess_toolhive_proxy(void); /* thv:proxy:session:, 2 h */

enum {
    MCPSESS_TOOLHIVE_CREATE = 1, /* set <key> <json> ex <seconds> nx; px <ms> where seconds do not do */
    MCPSESS_TOOLHIVE_UPDATE,     /* set <key> <json> ex <seconds> XX */
    MCPSESS_TOOLHIVE_STORE,      /* set <key> <json> ex <seconds> */
    MCPSESS_TOOLHIVE_LOAD,       /* getex <key> ex <seconds> */
    MCPSESS_TOOLHIVE_PEEK,       /* get <key> */
    MCPSESS_TOOLHIVE_DELETE      /* del <key> */
};

/* A command's words, for mcpsess_redis_cmd, mcpsess_redis_call or mcpsess_resp_put_command. */
typedef struct mcpsess_toolhive_words {
    mcpsess_str argv[6];
    size_t argc;
} mcpsess_toolhive_words;

/* Makes the words of a command, to the byte those that ToolHive sends. json: of the first three; else unused. Key and
   TTL are appended to scratch: at most prefix + id + 14 bytes. The words point there and into json; both must live,
   unmoved, as long as they are used; layout and id need not.
   -> OK, E_TOOBIG, E_ARG: also for no id, or no json; on an error scratch and words are as they were */
MCPSESS_API int mcpsess_toolhive_command(const mcpsess_toolhive_layout *l, int command, mcpsess_str id,
                                         mcpsess_str json, mcpsess_buf *scratch, mcpsess_toolhive_words *words);

#ifndef MCPSESS_NO_STREAM

/* ---- csharp: event streams as the MCP C# SDK keeps them -------------------------------------------------- >>csharp

   A store of logs, for mcpsess_streams: the keys and bytes of the SDK's DistributedCacheEventStreamStore on .NET's
   StackExchangeRedis cache, so that either may replay and follow what the other has written. <b64> is base64, of the
   session, and of the stream.

   key                                               type     holds
   <instance>mcp:sse:v1:event:<b64>:<b64>:<n>        hash     absexp, sldexp, data: an event
   <instance>mcp:sse:v1:meta:<b64>:<b64>             hash     absexp, sldexp, data: mode, whether complete, the last n
   <instance>mcp:sse:v1:idx:<b64>                    hash     absexp, sldexp, data: the session's streams; on request
   <instance>mcpsess:sse:v1:writer:<b64>:<b64>       hash     ours alone: the writer's lease and fence, the principal

   absexp and sldexp are ticks of 100 ns, of the server's clock; data is JSON. A key gets its TTL, min(absolute,
   sliding), in the same script as its value; one without, as a .NET process leaves it that ends in between, gets it
   from whoever opens it for a replay. Append, set, open and state are one round trip each, a replay one a page; so is a
   delete, or one for each thousand events. LEASE_... and records answer E_UNSUPPORTED.

   The format is weaker than the store's own:
                            the store's own layout         this one
   identity of a log        an epoch, in every event id    none. A log that begins anew goes on counting, and leaves out
                                                           a number: ids of before are GAP. That is remembered, beside,
                                                           as long as a log may live; what begins after that, or was
                                                           begun by .NET, begins at 1
   takeover                 fenced                         fenced among writers of ours. A .NET writer asks nobody:
                                                           against one there is the compare of the last n, so it is
                                                           LOST where both write, and LOST_TAIL where .NET began again
   lost tail                LOST_TAIL, a new epoch         LOST_TAIL: the events go, and 65,536 numbers are left out
   exactly once             DUP: the same bytes            the same, as the JSON has it: no type is "message"
   data of an event         any bytes                      one JSON value, at most 63 deep, in UTF-8; else E_FORMAT
   a retry                  up to 2^32-1 ms                up to 2^31-1; above E_TOOBIG
   bound on events          exact                          exact, for what one writer of ours wrote
   bound on bytes           exact                          of one event alone: in all it is the product
   sliding of events        the log's                      each event's own: since its append, or its replay
   a missing event          the oldest go first            any may be: GAP, by whoever opens before it; by one that
                                                           follows at the page it is in
   delete of a session      one call                       of streams that were written to, if their writers kept the
                                                           index; without `index` it answers E_UNSUPPORTED
   principal                of the log                     in our key: lost with it; none for what .NET alone wrote, and
                                                           .NET's readers ask for none
   the writer's lease       told to readers                ours is; a .NET writer looks like none
   a request id, again      fresh: a new epoch             fresh: old ids are GAP; .NET's readers meet an error there
   Redis Cluster            yes                            E_CROSSSLOT, unless the instance has a tag: "{mcp}"
   readers of the other     none                           the SDK's, byte for byte; events' TTLs slide for both

   What a server that comes back has lost is, by its settings, the same as with the store's own logs; so is who finds
   it. Positions from 2^53 on are GAP, appends from 2^52 on LOST, and an id with an epoch is GAP. RANGE says `first` of
   all there is only with a TTL, as a reader opens; else it is the position + 1. A page needs room for an event's JSON:
   with its id some 40 bytes more than the event, plus the id. The
   index names every stream until it is deleted, and each append writes all of it: not for sessions of many thousands.
    An event that decodes to null is handed out as one with
   neither type nor data. E_FORMAT: what is stored is not what .NET writes. A stream that was deleted leaves its last
   number behind, for as long as a log may live. With TRACK_KEYS the server remembers every event's key that is
   replayed; TRACK_PREFIXES names the metadata alone. */

#define MCPSESS_CSHARP_INSTANCE_MAX 64u

typedef struct mcpsess_csharp_store_desc {
    mcpsess_redis *redis;
    mcpsess_str instance; /* the cache's InstanceName, 0..64 bytes; default none */
    bool index;           /* keep the session's index; then a stream's name is UTF-8 */
    bool numbers;         /* write the mode as 0 or 1: the only one that a trimmed or AOT build of .NET reads */
    uint32_t timeout_ms;  /* of a request without a deadline; default: the engine's */
    mcpsess_log log;
} mcpsess_csharp_store_desc;

typedef struct mcpsess_csharp_store_stats {
    uint32_t requests;
    uint32_t foreign; /* asked for by another principal */
    uint32_t events;  /* appended */
    uint32_t dropped; /* of them, because there were too many */
    uint32_t steps;   /* further round trips of deletes */
} mcpsess_csharp_store_stats;

typedef struct mcpsess_csharp_store {
    mcpsess_csharp_store_stats stats;
    struct {
        mcpsess_redis *redis;
        mcpsess_redis_module module;
        const mcpsess_listener *listener;
        mcpsess_request *pending; /* newest first */
        mcpsess_log log;
        int64_t numbers[6]; /* of the reply that is being read: code, last, fence or first, flags, left, extra */
        size_t used, need;  /* bytes of its events in out, and of the one that did not fit */
        uint32_t count, events, timeout_ms; /* events: of it, with those that are not taken */
        int stopped;                        /* why no more events of it are taken; 0: they are */
        uint8_t items;                      /* numbers of it so far */
        uint8_t instance_len;
        bool bad; /* it is not as a script's should be */
        bool index, numeric, closed;
        char prefix[MCPSESS_CSHARP_INSTANCE_MAX + 16u]; /* of the metadata's keys */
    } i;
} mcpsess_csharp_store;

/* Bytes of the longest command of the store, for tx_bytes: with an event of data_max bytes, whose type has at most 64
   letters. */
#define MCPSESS_CSHARP_STORE_TX(data_max)                                                                     \
    (640u + 3u * (MCPSESS_CSHARP_INSTANCE_MAX + 2u * MCPSESS_EVENTID_MAX) + 6u * (MCPSESS_STREAM_MAX + 64u) + \
     2u * MCPSESS_RECORD_OWNER_MAX + (uint64_t)(data_max))

MCPSESS_API mcpsess_csharp_store_desc mcpsess_csharp_store_desc_default(void);
/* Attaches to the engine, which must not have been polled.  -> OK, E_ARG, E_STATE */
MCPSESS_API int mcpsess_csharp_store_init(mcpsess_csharp_store *s, const mcpsess_csharp_store_desc *d);
/* Closing it leaves the engine open, for others. */
MCPSESS_API mcpsess_store mcpsess_csharp_store_store(mcpsess_csharp_store *s);

/* The JSON, for who has other ways to keep it. Written byte for byte as .NET's System.Text.Json writes it by default:
   no null members, and \uXXXX for all that is not ASCII, or is one of " & ' + < > ` or DEL; bytes that are not UTF-8
   are U+FFFD, one for as many as could have begun a character. Read as it reads it: members in any order, of any case,
   what is unknown passed over, the last of equal names, whole numbers as strings too, null for what may be none. Cost:
   one pass. decode -> OK, MISS: null, E_FORMAT: not JSON, not of this form, or 64 values within each other, E_TOOBIG:
   mem is too small, E_ARG; encode -> OK, E_TOOBIG, E_ARG; on an error what was to be written is as it was */

/* type, id, retry and data of an event; data is the text of one JSON value, and is not changed.  encode -> also
   E_FORMAT: data is no such text, or not UTF-8; E_TOOBIG: a retry over 2^31-1, too */
MCPSESS_API int mcpsess_csharp_event_encode(const mcpsess_event *e, mcpsess_buf *json);
/* type and id are appended to mem; data points into json. */
MCPSESS_API int mcpsess_csharp_event_decode(mcpsess_str json, mcpsess_buf *mem, mcpsess_event *e);

typedef struct mcpsess_csharp_meta {
    uint64_t last; /* sequence, 0..2^63-1 */
    bool polling;  /* else streaming */
    bool done;
} mcpsess_csharp_meta;

/* numeric: the mode as 0 or 1, not "Streaming" or "Polling". Both are read. */
MCPSESS_API int mcpsess_csharp_meta_encode(const mcpsess_csharp_meta *m, bool numeric, mcpsess_buf *json);
MCPSESS_API int mcpsess_csharp_meta_decode(mcpsess_str json, mcpsess_csharp_meta *m);

typedef struct mcpsess_csharp_entry {
    mcpsess_str stream;
    uint64_t last;
} mcpsess_csharp_entry;

MCPSESS_API int mcpsess_csharp_index_encode(const mcpsess_csharp_entry *entries, size_t count, mcpsess_buf *json);
/* Walks the streams of an index. Start with *cursor 0; the name is appended to mem.  -> as decode, END */
MCPSESS_API int mcpsess_csharp_index_next(mcpsess_str json, size_t *cursor, mcpsess_buf *mem,
                                          mcpsess_csharp_entry *entry);

#endif /* MCPSESS_NO_STREAM */

#ifndef MCPSESS_NO_FLIGHT

/* ---- librechat: flags and leases as LibreChat keeps them ---------------------------------------------- >>librechat

   A store of flags and leases, for mcpsess_flights and mcpsess_lease: the keys and bytes of LibreChat's
   PrivateServersLoadStatusCache, so that a user's servers are loaded once, by either, and either waits for the other.
   The key of a request is LibreChat's user id: 1..64 letters, digits, '-', '_' and '.', else E_ID.

   key, behind REDIS_KEY_PREFIX and "::" where there is one              holds
   MCP::ServersRegistry::PrivateServersLoadStatus:
     USER_PRIVATE_SERVERS_LOADED::<user>      {"value":true,"expires":<Unix ms>}, and TTL: the flag
     USER_PRIVATE_SERVERS_LOAD_LOCK::<user>   the lease, with its TTL: LibreChat's Unix ms of the acquire, and where it
                                              is ours ':' and the token behind it; LibreChat reads none of it
   mcpsess:librechat:<user>                   ours alone: the lease's last fence, for 100 times as long

   A flag with a fingerprint has one more member, "fingerprint", in hex, which LibreChat passes over. What it and its
   keyv (5.3 to 6) read as true is a flag, what they throw at E_FORMAT, all else none, and nothing is deleted for it:
   keyv's own UNLINK of a flag that has expired may meet one that was set since. Instants are the server's. A flag is no
   place for data: with any, SET answers E_UNSUPPORTED, and so does every request about records and logs.

   Each request is one script and one round trip. What a flag says is judged here, not in the script: a CLAIM that meets
   one that does not count goes out once more, for a lease under the condition that the same bytes are still there.

   against its processes   promised: of theirs and ours one holds the lease at a time; each sees the other's flags, and
                           waits for the other's lease, whose left_ms is told
   not promised            fencing. Theirs release whatever lease there is, ours too: then our SET with a token answers
                           LOST, and sets nothing. And theirs set their flag whoever holds the lease
   Redis Cluster           E_CROSSSLOT, unless REDIS_KEY_PREFIX has a tag: "{mcp}"
   connection ended        as with the store's own: SET without a token is E_UNKNOWN, all else repeated. A CLAIM that is
                           may answer EXISTS while the lease is ours, until that runs out
   LibreChat since 2026 may keep other locks ("..._LOCK:{...}"): those are none of this. */

#define MCPSESS_LIBRECHAT_PREFIX_MAX 64u
#define MCPSESS_LIBRECHAT_FLAG_MAX 256u /* bytes of a flag; what is longer is E_FORMAT */

typedef struct mcpsess_librechat_store_desc {
    mcpsess_redis *redis;
    mcpsess_str prefix;  /* REDIS_KEY_PREFIX, 0..64 bytes; default none */
    bool plain_counts;   /* a flag without a fingerprint, as LibreChat sets it, counts for any; else only for none */
    uint32_t timeout_ms; /* of a request without a deadline; default: the engine's */
    mcpsess_log log;
} mcpsess_librechat_store_desc;

typedef struct mcpsess_librechat_store_stats {
    uint32_t requests;
    uint32_t again; /* claims that went out once more */
} mcpsess_librechat_store_stats;

typedef struct mcpsess_librechat_store {
    mcpsess_librechat_store_stats stats;
    struct {
        mcpsess_redis *redis;
        mcpsess_redis_module module;
        const mcpsess_listener *listener;
        mcpsess_request *pending; /* newest first */
        int64_t numbers[5];       /* of the reply that is being read: code, left, fence, the flag's left, Unix ms */
        uint32_t timeout_ms;
        uint16_t flag_len; /* of it */
        uint8_t items;     /* of it so far */
        uint8_t prefix_len;
        bool bad; /* it is not as a script's should be */
        bool plain_counts, closed;
        char flag[MCPSESS_LIBRECHAT_FLAG_MAX];
        char prefix[MCPSESS_LIBRECHAT_PREFIX_MAX + 49u]; /* of the flags and leases */
    } i;
} mcpsess_librechat_store;

/* Bytes of the longest command of the store, for tx_bytes. */
#define MCPSESS_LIBRECHAT_STORE_TX (512u + 3u * MCPSESS_LIBRECHAT_PREFIX_MAX + 3u * MCPSESS_ID_MAX + 256u)

MCPSESS_API mcpsess_librechat_store_desc mcpsess_librechat_store_desc_default(void);
/* Attaches to the engine, which must not have been polled.  -> OK, E_ARG, E_STATE */
MCPSESS_API int mcpsess_librechat_store_init(mcpsess_librechat_store *s, const mcpsess_librechat_store_desc *d);
/* Closing it leaves the engine open, for others. */
MCPSESS_API mcpsess_store mcpsess_librechat_store_store(mcpsess_librechat_store *s);

/* The formats alone, for who has other ways to keep or to send them. */

typedef struct mcpsess_librechat_flag {
    uint64_t expires_ms;     /* Unix time, the last instant at which it is one; MCPSESS_NEVER: none */
    uint8_t fingerprint_len; /* 0: none, as LibreChat writes it */
    char fingerprint[MCPSESS_FINGERPRINT_MAX];
} mcpsess_librechat_flag;

/* Appends it, as keyv writes it.  -> OK, E_TOOBIG, E_ARG; on an error json is as it was */
MCPSESS_API int mcpsess_librechat_flag_encode(const mcpsess_librechat_flag *f, mcpsess_buf *json);
/* Reads it as keyv does; whether it has expired is yours to see.  -> OK, MISS: JSON, but none that says true; or its
   fingerprint is none, E_FORMAT: not JSON, or 64 values within each other, E_ARG; f is 0 unless OK */
MCPSESS_API int mcpsess_librechat_flag_decode(mcpsess_str json, mcpsess_librechat_flag *f);

enum {
    MCPSESS_LIBRECHAT_IS_LOADED = 1, /* GET <flag> */
    MCPSESS_LIBRECHAT_SET_LOADED,    /* SET <flag> {"value":true,"expires":<now + ttl>} PX <ttl> */
    MCPSESS_LIBRECHAT_CLEAR_LOADED,  /* UNLINK <flag> */
    MCPSESS_LIBRECHAT_ACQUIRE,       /* SET <lease> <now> PX <ttl> NX */
    MCPSESS_LIBRECHAT_RELEASE        /* UNLINK <lease> */
};

typedef struct mcpsess_librechat_call {
    mcpsess_str prefix, user; /* REDIS_KEY_PREFIX; the user's id */
    uint64_t now_ms;          /* Unix time; where a command has it */
    uint64_t ttl_ms;          /* 1..2^46; where a command has it */
} mcpsess_librechat_call;

/* A command's words, for mcpsess_redis_cmd, mcpsess_redis_call or mcpsess_resp_put_command. */
typedef struct mcpsess_librechat_words {
    mcpsess_str argv[6];
    size_t argc;
} mcpsess_librechat_words;

/* Makes the words of a command, to the byte those that LibreChat sends. They point into scratch, to which at most
   prefix + user + 160 bytes are appended; it must live, unmoved, as long as they are used. argv[1] is the key.
   -> OK, E_TOOBIG, E_ID, E_ARG; on an error scratch and words are as they were */
MCPSESS_API int mcpsess_librechat_command(const mcpsess_librechat_call *call, int command, mcpsess_buf *scratch,
                                          mcpsess_librechat_words *words);

#endif /* MCPSESS_NO_FLIGHT */

#endif /* MCPSESS_REDIS_NO_COMPAT */
#endif /* MCPSESS_RESP_ONLY */

#ifdef __cplusplus
}
#endif
#endif /* MCPSESS_REDIS_H */

/* ================================================ implementation ================================================ */

#if defined(MCPSESS_REDIS_IMPLEMENTATION) && !defined(MCPSESS_REDIS_I_IMPLEMENTED)
#define MCPSESS_REDIS_I_IMPLEMENTED

#ifndef MCPSESS_NO_STRING_H
#include <string.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ==== resp ==== */
/* uses: base */

/* -- the decoder -- */

MCPSESS_API void mcpsess_resp_init(mcpsess_resp *d, const mcpsess_resp_desc *desc) {
    if (d == NULL) return;
    memset(d, 0, sizeof *d);
    if (desc != NULL) d->i.limits = *desc;
    if (d->i.limits.line_max == 0) d->i.limits.line_max = 512;
    if (d->i.limits.bulk_max == 0) d->i.limits.bulk_max = UINT32_C(512) * 1024 * 1024;
    if (d->i.limits.elements_max == 0) d->i.limits.elements_max = UINT32_C(1) << 20;
}

/* Where the line at the front of `in` ends. What was searched before is not searched again. */
static int mcpsess_i_resp_line(mcpsess_resp *d, mcpsess_str in, size_t *end) {
    size_t n = d->i.scanned == 0 ? 1 : (size_t)d->i.scanned;
    while (n < in.len && in.ptr[n] != '\r' && in.ptr[n] != '\n') n++;
    if (n - 1 > d->i.limits.line_max) return MCPSESS_E_TOOBIG;
    if (n + 1 >= in.len) {
        if (n < in.len && in.ptr[n] == '\n') return MCPSESS_E_FORMAT;
        d->i.scanned = (uint32_t)n;
        return MCPSESS_PENDING;
    }
    if (in.ptr[n] != '\r' || in.ptr[n + 1] != '\n') return MCPSESS_E_FORMAT;
    d->i.scanned = 0;
    *end = n;
    return MCPSESS_OK;
}

/* -> how many digits s has from its n-th byte on */
static size_t mcpsess_i_resp_digits(mcpsess_str s, size_t n) {
    size_t from = n;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') n++;
    return n - from;
}

static size_t mcpsess_i_resp_sign(mcpsess_str s, size_t n) {
    return n < s.len && (s.ptr[n] == '-' || s.ptr[n] == '+');
}

/* A whole number of at most 64 bits. 19 digits cannot overflow an unsigned one. */
static bool mcpsess_i_resp_integer(mcpsess_str s, int64_t *number) {
    size_t n = mcpsess_i_resp_sign(s, 0);
    bool negative = n != 0 && s.ptr[0] == '-';
    uint64_t v = 0;
    if (s.len == n || s.len - n > 19) return false;
    for (; n < s.len; n++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[n] - (unsigned)'0';
        if (digit > 9) return false;
        v = v * 10 + digit;
    }
    if (v > (uint64_t)INT64_MAX + (negative ? 1u : 0u)) return false;
    *number = v > (uint64_t)INT64_MAX ? INT64_MIN : negative ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool mcpsess_i_resp_double(mcpsess_str s) {
    size_t n = mcpsess_i_resp_sign(s, 0), digits;
    mcpsess_str rest = mcpsess_str_of(s.ptr + n, s.len - n);
    if (mcpsess_str_eq(rest, MCPSESS_STR("inf")) || mcpsess_str_eq(rest, MCPSESS_STR("nan"))) return true;
    digits = mcpsess_i_resp_digits(s, n);
    n += digits;
    if (n < s.len && s.ptr[n] == '.') {
        size_t fraction = mcpsess_i_resp_digits(s, n + 1);
        n += 1 + fraction;
        digits += fraction;
    }
    if (digits == 0) return false;
    if (n < s.len && (s.ptr[n] == 'e' || s.ptr[n] == 'E')) {
        n += 1 + mcpsess_i_resp_sign(s, n + 1);
        digits = mcpsess_i_resp_digits(s, n);
        n += digits;
    }
    return digits != 0 && n == s.len;
}

/* One element more is complete. -> is the reply? An attribute is no element: what it belongs to is still to come. */
static bool mcpsess_i_resp_closes(mcpsess_resp *d) {
    while (d->i.depth > 0) {
        if (--d->i.left[d->i.depth - 1] != 0) return false;
        d->i.depth--;
        if ((d->i.attributes >> d->i.depth & 1u) != 0) {
            d->i.attributes &= ~(UINT32_C(1) << d->i.depth);
            return false;
        }
    }
    d->i.elements = 0;
    d->i.push = false;
    return true;
}

/* Elements that a reply may still have; those of a push are taken as they come. */
static bool mcpsess_i_resp_charge(mcpsess_resp *d, uint64_t count) {
    if (count > UINT32_MAX) return false;
    if (d->i.push) return true;
    if (count > d->i.limits.elements_max - d->i.elements) return false;
    d->i.elements += (uint32_t)count;
    return true;
}

static int mcpsess_i_resp_open(mcpsess_resp *d, mcpsess_resp_item *item) {
    bool attribute = item->type == MCPSESS_RESP_ATTRIBUTE;
    uint64_t count = (uint64_t)item->number;
    if (item->number < 0) return MCPSESS_E_FORMAT;
    if (item->type == MCPSESS_RESP_PUSH) {
        if (d->i.depth != 0 || count == 0) return MCPSESS_E_FORMAT;
        d->i.push = true;
    }
    if (item->type == MCPSESS_RESP_MAP || attribute) count *= 2; /* below 2^64: number is below 2^63 */
    if (!mcpsess_i_resp_charge(d, count + (attribute ? 1u : 0u))) return MCPSESS_E_TOOBIG;
    item->number = (int64_t)count;
    if (count == 0) {
        item->ends = !attribute && mcpsess_i_resp_closes(d);
        return MCPSESS_OK;
    }
    if (d->i.depth == MCPSESS_RESP_DEPTH) return MCPSESS_E_TOOBIG;
    if (attribute) d->i.attributes |= UINT32_C(1) << d->i.depth;
    d->i.left[d->i.depth++] = (uint32_t)count;
    return MCPSESS_OK;
}

/* The next piece of the open bulk. The last one is handed out when the CRLF behind it is there, and not empty unless
   the bulk is. */
static int mcpsess_i_resp_piece(mcpsess_resp *d, mcpsess_str *in, mcpsess_resp_item *item) {
    size_t take = in->len;
    item->type = d->i.type;
    item->depth = d->i.depth;
    item->number = (int64_t)d->i.bulk_len;
    item->ends = false;
    if (take >= d->i.bulk && take - d->i.bulk >= 2) {
        take = (size_t)d->i.bulk;
        if (in->ptr[take] != '\r' || in->ptr[take + 1] != '\n') return MCPSESS_E_FORMAT;
        item->text = mcpsess_str_of(in->ptr, take);
        item->left = 0;
        *in = mcpsess_str_of(in->ptr + take + 2, in->len - take - 2);
        d->i.type = 0;
        item->ends = mcpsess_i_resp_closes(d);
        return MCPSESS_OK;
    }
    if (take >= d->i.bulk) take = d->i.bulk == 0 ? 0 : (size_t)d->i.bulk - 1;
    if (take == 0) return MCPSESS_PENDING;
    d->i.bulk -= (uint32_t)take;
    item->text = mcpsess_str_of(in->ptr, take);
    item->left = d->i.bulk;
    *in = mcpsess_str_of(in->ptr + take, in->len - take);
    return MCPSESS_OK;
}

/* A bulk whose head is the line in front. */
static int mcpsess_i_resp_bulk(mcpsess_resp *d, mcpsess_str *in, size_t head, mcpsess_resp_item *item) {
    uint32_t len = (uint32_t)item->number;
    if (item->number < 0) return MCPSESS_E_FORMAT;
    if ((uint64_t)item->number > d->i.limits.bulk_max) return MCPSESS_E_TOOBIG;
    if (item->type == MCPSESS_RESP_VERBATIM && len < 4) return MCPSESS_E_FORMAT;
    if (len <= d->i.limits.whole_max && (uint32_t)(in->len - head) < len + 2u) return MCPSESS_PENDING;
    d->i.type = item->type;
    d->i.bulk = d->i.bulk_len = len;
    *in = mcpsess_str_of(in->ptr + head, in->len - head);
    return mcpsess_i_resp_piece(d, in, item);
}

/* Everything that is one line; number is set where the type has one. */
static int mcpsess_i_resp_scalar(mcpsess_resp_item *item) {
    mcpsess_str s = item->text;
    size_t sign;
    switch (item->type) {
    case MCPSESS_RESP_SIMPLE:
    case MCPSESS_RESP_ERROR: return MCPSESS_OK;
    case MCPSESS_RESP_INTEGER: return mcpsess_i_resp_integer(s, &item->number) ? MCPSESS_OK : MCPSESS_E_FORMAT;
    case MCPSESS_RESP_NULL: return s.len == 0 ? MCPSESS_OK : MCPSESS_E_FORMAT;
    case MCPSESS_RESP_BOOL:
        if (s.len != 1 || (s.ptr[0] != 't' && s.ptr[0] != 'f')) return MCPSESS_E_FORMAT;
        item->number = s.ptr[0] == 't';
        return MCPSESS_OK;
    case MCPSESS_RESP_DOUBLE: return mcpsess_i_resp_double(s) ? MCPSESS_OK : MCPSESS_E_FORMAT;
    case MCPSESS_RESP_BIG:
        sign = mcpsess_i_resp_sign(s, 0);
        return s.len > sign && sign + mcpsess_i_resp_digits(s, sign) == s.len ? MCPSESS_OK : MCPSESS_E_FORMAT;
    default: return item->type == ';' || item->type == '.' ? MCPSESS_E_UNSUPPORTED : MCPSESS_E_FORMAT;
    }
}

enum { MCPSESS_I_RESP_LINE = 0, MCPSESS_I_RESP_BULK, MCPSESS_I_RESP_AGGREGATE };

/* What follows a type: a line, a length and bytes, a count and items. */
static uint8_t mcpsess_i_resp_shape(uint8_t type) {
    switch (type) {
    case MCPSESS_RESP_BULK:
    case MCPSESS_RESP_BULK_ERROR:
    case MCPSESS_RESP_VERBATIM: return MCPSESS_I_RESP_BULK;
    case MCPSESS_RESP_ARRAY:
    case MCPSESS_RESP_MAP:
    case MCPSESS_RESP_SET:
    case MCPSESS_RESP_ATTRIBUTE:
    case MCPSESS_RESP_PUSH: return MCPSESS_I_RESP_AGGREGATE;
    default: return MCPSESS_I_RESP_LINE;
    }
}

/* A line that gives a length. RESP2 spells null as a bulk or an array of length -1. */
static int mcpsess_i_resp_head(mcpsess_resp_item *item) {
    if (item->text.len == 1 && item->text.ptr[0] == '?') return MCPSESS_E_UNSUPPORTED;
    if (!mcpsess_i_resp_integer(item->text, &item->number)) return MCPSESS_E_FORMAT;
    if (item->number == -1 && (item->type == MCPSESS_RESP_BULK || item->type == MCPSESS_RESP_ARRAY)) {
        item->type = MCPSESS_RESP_NULL;
        item->number = 0;
    }
    item->text.len = 0;
    return MCPSESS_OK;
}

/* An item that is to be complete; the line in front ends at `end`. */
static inline void mcpsess_i_resp_fill(const mcpsess_resp *d, mcpsess_str in, size_t end, mcpsess_resp_item *item) {
    item->type = (uint8_t)in.ptr[0];
    item->text.ptr = in.ptr + 1;
    item->text.len = end - 1;
    item->number = 0;
    item->left = 0;
    item->depth = d->i.depth;
    item->ends = false;
}

static int mcpsess_i_resp_item(mcpsess_resp *d, mcpsess_str *in, mcpsess_resp_item *item) {
    size_t end;
    uint8_t shape;
    int rc = mcpsess_i_resp_line(d, *in, &end);
    if (rc != MCPSESS_OK) return rc;
    mcpsess_i_resp_fill(d, *in, end, item);
    shape = mcpsess_i_resp_shape(item->type);
    rc = shape != MCPSESS_I_RESP_LINE ? mcpsess_i_resp_head(item) : mcpsess_i_resp_scalar(item);
    if (rc != MCPSESS_OK) return rc;
    if (shape == MCPSESS_I_RESP_LINE || item->type == MCPSESS_RESP_NULL) item->ends = mcpsess_i_resp_closes(d);
    else if (shape == MCPSESS_I_RESP_BULK) return mcpsess_i_resp_bulk(d, in, end + 2, item);
    else rc = mcpsess_i_resp_open(d, item);
    if (rc == MCPSESS_OK) *in = mcpsess_str_of(in->ptr + end + 2, in->len - end - 2);
    return rc;
}

/* -- where words are large: a short way for what is usual, and whole. All else, errors too, goes the long way -- */

/* -> whether CRLF is at n */
static inline bool mcpsess_i_resp_crlf(mcpsess_str in, size_t n) {
    return n + 1 < in.len && in.ptr[n] == '\r' && in.ptr[n + 1] == '\n';
}

/* The line in front, if it is up to nine digits, which 32 bits can hold. -> its bytes, or 0 */
static inline size_t mcpsess_i_resp_short_count(const mcpsess_resp *d, mcpsess_str in, mcpsess_resp_item *item) {
    uint32_t v = 0;
    size_t n = 1;
    for (; n < in.len && n < 10; n++) {
        unsigned digit = (unsigned)(unsigned char)in.ptr[n] - (unsigned)'0';
        if (digit > 9) break;
        v = v * 10 + digit;
    }
    if (n == 1 || n - 1 > d->i.limits.line_max || !mcpsess_i_resp_crlf(in, n)) return 0;
    mcpsess_i_resp_fill(d, in, n, item);
    item->number = v;
    return n + 2;
}

static inline size_t mcpsess_i_resp_short_text(const mcpsess_resp *d, mcpsess_str in, mcpsess_resp_item *item) {
    size_t n = 1;
    while (n < in.len && in.ptr[n] != '\r' && in.ptr[n] != '\n') n++;
    if (n - 1 > d->i.limits.line_max || !mcpsess_i_resp_crlf(in, n)) return 0;
    mcpsess_i_resp_fill(d, in, n, item);
    return n + 2;
}

static inline size_t mcpsess_i_resp_short_null(const mcpsess_resp *d, mcpsess_str in, mcpsess_resp_item *item) {
    if (in.ptr[1] != '-' || in.ptr[2] != '1' || d->i.limits.line_max < 2 || !mcpsess_i_resp_crlf(in, 3)) return 0;
    mcpsess_i_resp_fill(d, in, 1, item);
    item->type = MCPSESS_RESP_NULL;
    return 5;
}

static inline size_t mcpsess_i_resp_short_bulk(const mcpsess_resp *d, mcpsess_str in, mcpsess_resp_item *item) {
    size_t bytes = mcpsess_i_resp_short_count(d, in, item), len;
    if (bytes == 0) return mcpsess_i_resp_short_null(d, in, item);
    len = (size_t)item->number;
    if (len > d->i.limits.bulk_max || !mcpsess_i_resp_crlf(in, bytes + len)) return 0;
    item->text.ptr = in.ptr + bytes;
    item->text.len = len;
    return bytes + len + 2;
}

static inline int mcpsess_i_resp_short_open(mcpsess_resp *d, mcpsess_str *in, mcpsess_resp_item *item) {
    size_t bytes = mcpsess_i_resp_short_count(d, *in, item);
    int rc = bytes == 0 ? MCPSESS_PENDING : mcpsess_i_resp_open(d, item);
    item->text.len = 0;
    if (rc == MCPSESS_OK) *in = mcpsess_str_of(in->ptr + bytes, in->len - bytes);
    return rc;
}

/* At least three bytes. -> as next; PENDING: nothing was done */
static inline int mcpsess_i_resp_short(mcpsess_resp *d, mcpsess_str *in, mcpsess_resp_item *item) {
    size_t bytes = 0;
    switch (in->ptr[0]) {
    case MCPSESS_RESP_SIMPLE:
    case MCPSESS_RESP_ERROR: bytes = mcpsess_i_resp_short_text(d, *in, item); break;
    case MCPSESS_RESP_INTEGER: bytes = mcpsess_i_resp_short_count(d, *in, item); break;
    case MCPSESS_RESP_BULK: bytes = mcpsess_i_resp_short_bulk(d, *in, item); break;
    case MCPSESS_RESP_ARRAY:
    case MCPSESS_RESP_MAP:
    case MCPSESS_RESP_PUSH: return mcpsess_i_resp_short_open(d, in, item);
    default: break;
    }
    if (bytes == 0) return MCPSESS_PENDING;
    item->ends = mcpsess_i_resp_closes(d);
    in->ptr += bytes;
    in->len -= bytes;
    return MCPSESS_OK;
}

static inline int mcpsess_i_resp_first(mcpsess_resp *d, mcpsess_str *in, mcpsess_resp_item *item) {
    int rc;
    if (!MCPSESS_I_WIDE || in->len < 3 || d->i.scanned != 0) return mcpsess_i_resp_item(d, in, item);
    rc = mcpsess_i_resp_short(d, in, item);
    return rc != MCPSESS_PENDING ? rc : mcpsess_i_resp_item(d, in, item);
}

MCPSESS_API int mcpsess_resp_next(mcpsess_resp *d, mcpsess_str *in, mcpsess_resp_item *item) {
    int rc;
    if (d == NULL || in == NULL || item == NULL || (in->ptr == NULL && in->len != 0)) return MCPSESS_E_ARG;
    if (d->i.error != 0) return d->i.error;
    if (in->len == 0) return MCPSESS_PENDING;
    rc = d->i.type != 0 ? mcpsess_i_resp_piece(d, in, item) : mcpsess_i_resp_first(d, in, item);
    if (rc < 0) d->i.error = (int8_t)rc;
    return rc;
}

/* -- the encoder -- */

static size_t mcpsess_i_resp_width(size_t n) {
    size_t width = 1;
    for (; n >= 10; n /= 10) width++;
    return width;
}

/* Type, number, CRLF at `at`. -> behind them */
static char *mcpsess_i_resp_write(char *at, uint8_t type, size_t n) {
    size_t width = mcpsess_i_resp_width(n), digit = width;
    *at++ = (char)type;
    for (; digit > 0; n /= 10) at[--digit] = (char)('0' + n % 10);
    at += width;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

MCPSESS_API size_t mcpsess_resp_command_bytes(const mcpsess_str *argv, size_t argc) {
    size_t bytes = 3 + mcpsess_i_resp_width(argc), n;
    for (n = 0; n < argc; n++) {
        size_t frame = 5 + mcpsess_i_resp_width(argv[n].len);
        if (argv[n].len > SIZE_MAX - frame - bytes || (argv[n].ptr == NULL && argv[n].len != 0)) return 0;
        bytes += frame + argv[n].len;
    }
    return bytes;
}

MCPSESS_API int mcpsess_resp_put_command(mcpsess_buf *out, const mcpsess_str *argv, size_t argc) {
    size_t bytes, n;
    char *at;
    if (out == NULL || argv == NULL || argc == 0) return MCPSESS_E_ARG;
    bytes = mcpsess_resp_command_bytes(argv, argc);
    if (bytes == 0) return MCPSESS_E_ARG;
    if (out->overflow || bytes > out->cap - out->len) return MCPSESS_E_TOOBIG;
    at = mcpsess_i_resp_write(out->ptr + out->len, MCPSESS_RESP_ARRAY, argc);
    for (n = 0; n < argc; n++) {
        at = mcpsess_i_resp_write(at, MCPSESS_RESP_BULK, argv[n].len);
        if (argv[n].len != 0) memcpy(at, argv[n].ptr, argv[n].len);
        at += argv[n].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    out->len += bytes;
    return MCPSESS_OK;
}

static void mcpsess_i_resp_put_crlf(mcpsess_buf *out) {
    mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
}

MCPSESS_API void mcpsess_resp_put_number(mcpsess_buf *out, uint8_t type, int64_t number) {
    mcpsess_buf_put_char(out, (char)type);
    if (number < 0) mcpsess_buf_put_char(out, '-');
    mcpsess_buf_put_u64(out, number < 0 ? 0u - (uint64_t)number : (uint64_t)number);
    mcpsess_i_resp_put_crlf(out);
}

MCPSESS_API void mcpsess_resp_put_text(mcpsess_buf *out, uint8_t type, mcpsess_str text) {
    mcpsess_buf_put_char(out, (char)type);
    mcpsess_buf_put(out, text);
    mcpsess_i_resp_put_crlf(out);
}

MCPSESS_API void mcpsess_resp_put_bytes(mcpsess_buf *out, uint8_t type, mcpsess_str bytes) {
    mcpsess_resp_put_number(out, type, (int64_t)bytes.len);
    mcpsess_buf_put(out, bytes);
    mcpsess_i_resp_put_crlf(out);
}

#ifndef MCPSESS_RESP_ONLY

/* ==== slots ==== */
/* uses: base */

/* state; the order counts: from GREETING on there is a connection */
enum {
    MCPSESS_I_REDIS_DOWN = 1,
    MCPSESS_I_REDIS_FAILED,
    MCPSESS_I_REDIS_CLOSED,
    MCPSESS_I_REDIS_CONNECTING,
    MCPSESS_I_REDIS_GREETING,
    MCPSESS_I_REDIS_READY,
    MCPSESS_I_REDIS_RELOADING
};

#define MCPSESS_I_REDIS_INIT UINT32_C(0x72656469)
#define MCPSESS_I_REDIS_WAS_SENT 0x80u /* slot.flags: once, on a connection that is gone */
#define MCPSESS_I_REDIS_LOST 0x40u     /* slot.flags: ends with E_UNKNOWN */
#define MCPSESS_I_REDIS_RELOADS 3u     /* how often a command may meet NOSCRIPT */

static mcpsess_i_redis_slot *mcpsess_i_redis_slot_at(const mcpsess_redis *r, uint16_t n) {
    uint32_t at = (uint32_t)r->i.head + n;
    return &r->i.slots[at < r->i.desc.slots ? at : at - r->i.desc.slots];
}

/* Slots that are encoded: they await a reply, or met NOSCRIPT. */
static uint16_t mcpsess_i_redis_encoded(const mcpsess_redis *r) {
    return (uint16_t)(r->i.used - r->i.unsent);
}

static bool mcpsess_i_redis_awaits(const mcpsess_redis *r) {
    return mcpsess_i_redis_encoded(r) > r->i.redo;
}

/* Bytes in tx that are not sent. */
static uint32_t mcpsess_i_redis_waiting(const mcpsess_redis *r) {
    return r->i.tx_total - r->i.tx_done;
}

/* Takes the n-th slot out; those before it move up, so that the usual one, the first, moves nothing. */
static mcpsess_i_redis_slot mcpsess_i_redis_take(mcpsess_redis *r, uint16_t n) {
    mcpsess_i_redis_slot taken = *mcpsess_i_redis_slot_at(r, n);
    if (n < r->i.redo) r->i.redo--;
    if (n >= mcpsess_i_redis_encoded(r)) r->i.unsent--;
    for (; n > 0; n--) *mcpsess_i_redis_slot_at(r, n) = *mcpsess_i_redis_slot_at(r, (uint16_t)(n - 1));
    r->i.head = (uint16_t)(r->i.head + 1 == r->i.desc.slots ? 0 : r->i.head + 1);
    r->i.used--;
    return taken;
}

static void mcpsess_i_redis_end(mcpsess_redis *r, const mcpsess_i_redis_slot *slot, int rc, uint64_t now_ms) {
    if (slot->cls == NULL) return;
    if (rc == MCPSESS_E_UNKNOWN) r->stats.unknown++;
    slot->cls->done(slot->user, slot->request, rc, now_ms);
}

static void mcpsess_i_redis_log(const mcpsess_redis *r, int level, int item, mcpsess_str key, uint64_t number) {
    if (r->i.desc.log.log != NULL) r->i.desc.log.log(r->i.desc.log.user, level, item, key, number);
}

MCPSESS_API mcpsess_str mcpsess_redis_error(const mcpsess_redis *r) {
    return r == NULL ? mcpsess_str_of(NULL, 0) : mcpsess_str_of(r->i.error, r->i.error_len);
}

/* Bytes of a command may have reached the server, on this connection. */
static bool mcpsess_i_redis_touched(const mcpsess_redis *r, uint16_t n, const mcpsess_i_redis_slot *slot) {
    return n >= r->i.redo && n < mcpsess_i_redis_encoded(r) && r->i.tx_done - slot->start - 1u < UINT32_C(0x80000000);
}

/* Takes the last of the encoded commands, of which nothing is sent, back out of tx. */
static void mcpsess_i_redis_unencode(mcpsess_redis *r) {
    uint32_t bytes = r->i.tx_total - mcpsess_i_redis_slot_at(r, (uint16_t)(mcpsess_i_redis_encoded(r) - 1))->start;
    r->i.tx_total -= bytes;
    r->i.tx.len = mcpsess_i_redis_waiting(r) == 0 ? 0 : r->i.tx.len - (size_t)bytes;
    r->i.unsent++;
    r->stats.commands--;
}

/* Nothing more is sent until all that is under way is answered, but the rest of what was begun. */
static void mcpsess_i_redis_hold(mcpsess_redis *r) {
    while (mcpsess_i_redis_awaits(r)) {
        uint16_t last = (uint16_t)(mcpsess_i_redis_encoded(r) - 1);
        mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, last);
        uint32_t start = slot->start;
        if (r->i.tx_done - start - 1u < UINT32_C(0x80000000)) return;
        mcpsess_i_redis_unencode(r);
        if (slot->cls == NULL) (void)mcpsess_i_redis_take(r, last);
    }
}

/* Parts a command from its owner. One that is in tx stays behind, to swallow its reply, unless it can be taken back.
   -> what it was; with the flag if it may be done */
static mcpsess_i_redis_slot mcpsess_i_redis_part(mcpsess_redis *r, uint16_t n) {
    mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, n), was;
    bool in_tx = n >= r->i.redo && n < mcpsess_i_redis_encoded(r);
    if (in_tx && n + 1 == mcpsess_i_redis_encoded(r) && !r->i.encoding && !mcpsess_i_redis_touched(r, n, slot)) {
        mcpsess_i_redis_unencode(r);
        in_tx = false;
    }
    if (!in_tx) return mcpsess_i_redis_take(r, n);
    was = *slot;
    was.flags |= MCPSESS_I_REDIS_WAS_SENT;
    slot->cls = NULL;
    return was;
}

static uint64_t mcpsess_i_redis_earliest(const mcpsess_redis *r) {
    uint64_t earliest_ms = MCPSESS_NEVER;
    uint16_t n;
    for (n = 0; n < r->i.used; n++) {
        const mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, n);
        if (slot->cls != NULL && slot->deadline_ms < earliest_ms) earliest_ms = slot->deadline_ms;
    }
    return earliest_ms;
}

/* Commands that have met their deadline; not those that their ends submit in turn. */
static void mcpsess_i_redis_expire(mcpsess_redis *r, uint64_t now_ms) {
    uint16_t n = 0, most = r->i.used;
    if (now_ms < r->i.earliest_ms) return;
    while (n < r->i.used && most > 0) {
        const mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, n);
        mcpsess_i_redis_slot ended;
        if (slot->cls == NULL || slot->deadline_ms > now_ms) {
            n++;
            continue;
        }
        ended = mcpsess_i_redis_part(r, n);
        most--;
        r->stats.timeouts++;
        mcpsess_i_redis_end(r, &ended, (ended.flags & MCPSESS_I_REDIS_WAS_SENT) != 0 ? MCPSESS_E_TIMEOUT : MCPSESS_E_IO,
                            now_ms);
        n = 0; /* done may have changed the ring */
    }
    r->i.earliest_ms = mcpsess_i_redis_earliest(r);
}

/* The connection is gone: every command goes out again, or ends. */
static void mcpsess_i_redis_settle(mcpsess_redis *r, uint64_t now_ms) {
    uint16_t n;
    for (n = 0; n < r->i.used; n++) {
        mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, n);
        bool encoded = n < mcpsess_i_redis_encoded(r), redo = n < r->i.redo;
        if (slot->cls == NULL) {
            slot->flags |= MCPSESS_I_REDIS_LOST;
        } else if (encoded && !redo && mcpsess_i_redis_touched(r, n, slot)) {
            if ((slot->flags & MCPSESS_REDIS_REPEAT) == 0) slot->flags |= MCPSESS_I_REDIS_LOST;
            else r->stats.repeated++;
            slot->flags |= MCPSESS_I_REDIS_WAS_SENT;
        }
    }
    r->i.unsent = r->i.used;
    r->i.redo = 0;
    for (n = 0; n < r->i.used;) {
        mcpsess_i_redis_slot lost;
        if ((mcpsess_i_redis_slot_at(r, n)->flags & MCPSESS_I_REDIS_LOST) == 0) {
            n++;
            continue;
        }
        lost = mcpsess_i_redis_take(r, n);
        mcpsess_i_redis_end(r, &lost, MCPSESS_E_UNKNOWN, now_ms);
        n = 0;
    }
}

/* The server is away: what never left ends now, unless it is told to wait. All: what may have been done, too. */
static void mcpsess_i_redis_give_up(mcpsess_redis *r, int rc, bool all, uint64_t now_ms) {
    uint16_t n = 0, most = r->i.used;
    while (n < r->i.used && most > 0) {
        mcpsess_i_redis_slot slot = *mcpsess_i_redis_slot_at(r, n);
        bool sent = (slot.flags & MCPSESS_I_REDIS_WAS_SENT) != 0;
        if (!all && (r->i.desc.patient || sent)) {
            n++;
            continue;
        }
        slot = mcpsess_i_redis_take(r, n);
        most--;
        mcpsess_i_redis_end(r, &slot, sent ? MCPSESS_E_UNKNOWN : rc, now_ms);
        n = 0;
    }
}

/* ==== wire ==== */
/* uses: base resp slots */

static void mcpsess_i_redis_tell(mcpsess_redis *r, mcpsess_str key) {
    mcpsess_redis_module *m;
    for (m = r->i.modules; m != NULL; m = m->i.next) {
        if (m->changed != NULL) m->changed(m->user, key);
    }
}

static void mcpsess_i_redis_enter(mcpsess_redis *r, uint8_t state, uint64_t now_ms) {
    r->i.state = state;
    r->i.since_ms = now_ms;
}

/* Full jitter: a random time up to the backoff, which doubles with every failure. */
static uint64_t mcpsess_i_redis_backoff(mcpsess_redis *r) {
    uint64_t cap = r->i.desc.backoff_min_ms;
    uint8_t bytes[16];
    uint32_t bits;
    uint8_t n;
    for (n = 1; n < r->i.failures && cap < r->i.desc.backoff_max_ms; n++) cap *= 2;
    if (cap > r->i.desc.backoff_max_ms) cap = r->i.desc.backoff_max_ms;
    if (r->i.desc.random == NULL || r->i.desc.random(r->i.desc.random_user, bytes, sizeof bytes) != 0) return cap;
    memcpy(&bits, bytes, sizeof bits);
    return (cap + 1) * bits >> 32;
}

static void mcpsess_i_redis_begin_resp(mcpsess_redis *r) {
    mcpsess_resp_desc limits = {0, 0, 0, 0};
    limits.line_max = r->i.desc.rx_bytes - 3;
    limits.whole_max = r->i.desc.rx_bytes - 24; /* its head, its CRLF */
    mcpsess_resp_init(&r->i.resp, &limits);
}

MCPSESS_API void mcpsess_redis_refuse(mcpsess_redis *r) {
    if (r != NULL) r->i.reply_rc = MCPSESS_REDIS_E_PROTOCOL;
}

/* No connection any more; each command goes out again, or ends. What was told of changes may have missed some. */
static void mcpsess_i_redis_hang_up(mcpsess_redis *r, uint8_t state, uint64_t now_ms) {
    bool was_open = r->i.state >= MCPSESS_I_REDIS_CONNECTING, was_ready = r->i.state >= MCPSESS_I_REDIS_READY;
    mcpsess_i_redis_enter(r, state, now_ms);
    r->i.leaving = r->i.dying = r->i.more = r->i.pinging = r->i.tracking = false;
    r->i.target = 0;
    r->i.rx_len = 0;
    if (was_open) r->i.desc.transport.close(r->i.desc.transport.user);
    mcpsess_i_redis_settle(r, now_ms);
    if (was_ready) mcpsess_i_redis_tell(r, mcpsess_str_of(NULL, 0));
}

/* Ends the connection, or the attempt; another follows. */
static void mcpsess_i_redis_drop_connection(mcpsess_redis *r, uint64_t now_ms) {
    bool was_ready = r->i.state >= MCPSESS_I_REDIS_READY;
    uint16_t under_way = mcpsess_i_redis_encoded(r);
    uint64_t wait_ms;
    if (was_ready) {
        r->stats.disconnects++;
        r->i.failures = 0;
    } else {
        r->stats.connect_failures++;
        if (r->i.failures < 32) r->i.failures++;
    }
    wait_ms = mcpsess_i_redis_backoff(r);
    r->i.due_ms = mcpsess_time_add(now_ms, wait_ms);
    mcpsess_i_redis_hang_up(r, MCPSESS_I_REDIS_DOWN, now_ms);
    if (was_ready) {
        mcpsess_i_redis_log(r, MCPSESS_LOG_WARN, MCPSESS_REDIS_ITEM_DISCONNECTED, mcpsess_str_of(NULL, 0), under_way);
    } else {
        mcpsess_i_redis_give_up(r, MCPSESS_E_IO, false, now_ms);
        mcpsess_i_redis_log(r, MCPSESS_LOG_WARN, MCPSESS_REDIS_ITEM_CONNECT_FAILED, mcpsess_redis_error(r), wait_ms);
    }
}

/* The handshake was refused for good: nothing is tried again before a reset. */
static void mcpsess_i_redis_fail(mcpsess_redis *r, int rc, uint64_t now_ms) {
    if (r->i.state >= MCPSESS_I_REDIS_READY) r->stats.disconnects++;
    else r->stats.connect_failures++;
    r->i.rc = rc;
    mcpsess_i_redis_hang_up(r, MCPSESS_I_REDIS_FAILED, now_ms);
    mcpsess_i_redis_give_up(r, rc, true, now_ms);
    mcpsess_i_redis_log(r, MCPSESS_LOG_ERROR, MCPSESS_REDIS_ITEM_FAILED, mcpsess_redis_error(r),
                        (uint64_t)(-(int64_t)rc));
}

/* Bytes in tx that are not sent move to its front. */
static void mcpsess_i_redis_compact(mcpsess_redis *r) {
    uint32_t waiting = mcpsess_i_redis_waiting(r);
    if (waiting == r->i.tx.len) return;
    memmove(r->i.tx.ptr, r->i.tx.ptr + (r->i.tx.len - (size_t)waiting), (size_t)waiting);
    r->i.tx.len = (size_t)waiting;
}

/* Encodes the first command in line.  -> false: there is no room before something is sent */
static bool mcpsess_i_redis_encode_one(mcpsess_redis *r, uint64_t now_ms) {
    uint16_t n = mcpsess_i_redis_encoded(r);
    mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, n), ended;
    void *request = slot->request;
    size_t mark;
    bool fits;
    if (r->i.tx.cap - r->i.tx.len < r->i.tx.cap / 2) mcpsess_i_redis_compact(r);
    mark = r->i.tx.len;
    r->i.encoding = true;
    slot->cls->encode(slot->user, request, &r->i.tx);
    r->i.encoding = false;
    fits = !r->i.tx.overflow && r->i.tx.len != mark;
    r->i.tx.overflow = false;
    slot = mcpsess_i_redis_slot_at(r, n); /* encode may have dropped another one, or even this one */
    if (r->i.state != MCPSESS_I_REDIS_READY || r->i.unsent == 0 || slot->request != request) {
        r->i.tx.len = mark;
        return true;
    }
    if (fits) {
        slot->start = r->i.tx_total;
        slot->sent_ms = now_ms;
        r->i.tx_total += (uint32_t)(r->i.tx.len - mark);
        r->i.unsent--;
        r->stats.commands++;
        return true;
    }
    r->i.tx.len = mark;
    if (mcpsess_i_redis_waiting(r) != 0) return false;
    ended = mcpsess_i_redis_take(r, n);
    mcpsess_i_redis_end(r, &ended, MCPSESS_E_TOOBIG, now_ms);
    return true;
}

/* Encodes what is in line, as far as there is room; what is submitted meanwhile comes next time. */
static void mcpsess_i_redis_encode(mcpsess_redis *r, uint64_t now_ms) {
    uint16_t tries = r->i.unsent;
    while (tries-- > 0 && r->i.unsent > 0 && r->i.state == MCPSESS_I_REDIS_READY && !r->i.leaving && !r->i.dying) {
        if (!mcpsess_i_redis_encode_one(r, now_ms)) return;
    }
}

/* Does the server owe us something, or we it? */
static bool mcpsess_i_redis_busy(const mcpsess_redis *r) {
    return mcpsess_i_redis_awaits(r) || r->i.pinging || mcpsess_i_redis_waiting(r) != 0;
}

/* Has it all of a command that it did not answer? Until then the progress of sending is what is waited for. */
static bool mcpsess_i_redis_owed(const mcpsess_redis *r) {
    uint16_t next = (uint16_t)(r->i.redo + 1);
    uint32_t end = r->i.tx_total;
    if (next < mcpsess_i_redis_encoded(r)) end = mcpsess_i_redis_slot_at(r, next)->start;
    return mcpsess_i_redis_awaits(r) && r->i.tx_done - end < UINT32_C(0x80000000);
}

/* One send. A transport that fails here may still have replies: the connection ends when they are read. */
static void mcpsess_i_redis_send(mcpsess_redis *r, uint64_t now_ms) {
    uint32_t waiting = mcpsess_i_redis_waiting(r);
    size_t len = waiting > INT16_MAX ? (size_t)INT16_MAX : (size_t)waiting;
    int moved;
    if (waiting == 0 || r->i.dying) return;
    moved = r->i.desc.transport.send(r->i.desc.transport.user, r->i.tx.ptr + (r->i.tx.len - (size_t)waiting), len);
    r->i.dying = moved < 0 || (size_t)moved > len;
    if (r->i.dying || moved == 0) return;
    if (!mcpsess_i_redis_owed(r)) r->i.wait_ms = now_ms;
    r->i.tx_done += (uint32_t)moved;
    r->stats.bytes_sent += (uint64_t)(unsigned)moved;
    if (r->i.tx_total == r->i.tx_done) r->i.tx.len = 0;
}

/* One receive. -> false: the connection is dead */
static bool mcpsess_i_redis_recv(mcpsess_redis *r, uint64_t now_ms) {
    size_t room = (size_t)(r->i.desc.rx_bytes - r->i.rx_len);
    int moved;
    if (room > (size_t)INT16_MAX) room = (size_t)INT16_MAX;
    moved = r->i.desc.transport.recv(r->i.desc.transport.user, r->i.rx + r->i.rx_len, room);
    if (moved < 0 || (size_t)moved > room) return false;
    r->i.more = (size_t)moved == room;
    if (moved == 0) return !r->i.dying;
    r->i.heard_ms = now_ms;
    r->i.rx_len += (uint32_t)moved;
    r->stats.bytes_received += (uint64_t)(unsigned)moved;
    return true;
}

/* ==== greeting ==== */
/* uses: base resp slots wire */

/* Steps of the handshake; SCRIPT LOADs begin at MCPSESS_I_GREET_SCRIPTS. A reload has only those. */
enum {
    MCPSESS_I_GREET_HELLO = 0,
    MCPSESS_I_GREET_AUTH,
    MCPSESS_I_GREET_NAME,
    MCPSESS_I_GREET_SELECT,
    MCPSESS_I_GREET_TIME,
    MCPSESS_I_GREET_TRACKING,
    MCPSESS_I_GREET_SCRIPTS
};

static const mcpsess_redis_script *mcpsess_i_redis_script(const mcpsess_redis *r, uint8_t n) {
    const mcpsess_redis_module *m;
    for (m = r->i.modules; m != NULL; m = m->i.next) {
        if (n < m->script_count) return &m->scripts[n];
        n = (uint8_t)(n - m->script_count);
    }
    return NULL;
}

static void mcpsess_i_redis_put(mcpsess_buf *out, mcpsess_str bytes) {
    mcpsess_resp_put_bytes(out, MCPSESS_RESP_BULK, bytes);
}

static void mcpsess_i_redis_put_words(mcpsess_buf *out, uint8_t count, mcpsess_str first, mcpsess_str second) {
    mcpsess_resp_put_number(out, MCPSESS_RESP_ARRAY, count);
    mcpsess_i_redis_put(out, first);
    if (second.len != 0) mcpsess_i_redis_put(out, second);
}

static bool mcpsess_i_redis_has_login(const mcpsess_redis *r) {
    return r->i.desc.user.len != 0 || r->i.desc.password.len != 0;
}

static void mcpsess_i_redis_put_credentials(const mcpsess_redis *r, mcpsess_buf *out, bool user) {
    if (user) mcpsess_i_redis_put(out, r->i.desc.user.len != 0 ? r->i.desc.user : MCPSESS_STR("default"));
    mcpsess_i_redis_put(out, r->i.desc.password);
}

static void mcpsess_i_redis_put_hello(const mcpsess_redis *r, mcpsess_buf *out) {
    bool auth = mcpsess_i_redis_has_login(r), name = r->i.desc.name.len != 0;
    mcpsess_i_redis_put_words(out, (uint8_t)(2 + (auth ? 3 : 0) + (name ? 2 : 0)), MCPSESS_STR("HELLO"),
                              MCPSESS_STR("3"));
    if (auth) {
        mcpsess_i_redis_put(out, MCPSESS_STR("AUTH"));
        mcpsess_i_redis_put_credentials(r, out, true);
    }
    if (name) {
        mcpsess_i_redis_put(out, MCPSESS_STR("SETNAME"));
        mcpsess_i_redis_put(out, r->i.desc.name);
    }
}

static void mcpsess_i_redis_put_tracking(const mcpsess_redis *r, mcpsess_buf *out) {
    const mcpsess_redis_module *m;
    uint8_t prefixes = 0;
    if (r->i.desc.tracking == MCPSESS_REDIS_TRACK_PREFIXES) {
        for (m = r->i.modules; m != NULL; m = m->i.next) prefixes = (uint8_t)(prefixes + (m->prefix.len != 0));
    }
    mcpsess_i_redis_put_words(out, (uint8_t)(3 + (prefixes != 0 ? 1 + 2 * prefixes : 0)), MCPSESS_STR("CLIENT"),
                              MCPSESS_STR("TRACKING"));
    mcpsess_i_redis_put(out, MCPSESS_STR("ON"));
    if (prefixes == 0) return;
    mcpsess_i_redis_put(out, MCPSESS_STR("BCAST"));
    for (m = r->i.modules; m != NULL; m = m->i.next) {
        if (m->prefix.len == 0) continue;
        mcpsess_i_redis_put(out, MCPSESS_STR("PREFIX"));
        mcpsess_i_redis_put(out, m->prefix);
    }
}

/* A SCRIPT LOAD, as far as there is room for it. -> all of it is in tx */
static bool mcpsess_i_redis_put_script(mcpsess_redis *r, const mcpsess_redis_script *script) {
    mcpsess_buf *out = &r->i.tx;
    uint16_t at = r->i.script_at;
    if (out->cap - out->len < 64) return false; /* so its head is whole, and pieces are not tiny */
    if (at == 0) {
        mcpsess_i_redis_put_words(out, 3, MCPSESS_STR("SCRIPT"), MCPSESS_STR("LOAD"));
        mcpsess_buf_put_char(out, '$');
        mcpsess_buf_put_u64(out, script->len);
        mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
    }
    for (; at < script->len && out->cap - out->len > 2; at++) {
        mcpsess_buf_put_char(out, (char)MCPSESS_ROM_U8(script->text + at));
    }
    r->i.script_at = at == script->len ? 0 : at;
    if (at != script->len) return false;
    mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
    return true;
}

/* Does this step apply? */
static bool mcpsess_i_greet_applies(const mcpsess_redis *r, uint8_t step) {
    switch (step) {
    case MCPSESS_I_GREET_HELLO: return r->i.resp3;
    case MCPSESS_I_GREET_AUTH: return !r->i.resp3 && mcpsess_i_redis_has_login(r);
    case MCPSESS_I_GREET_NAME: return !r->i.resp3 && r->i.desc.name.len != 0;
    case MCPSESS_I_GREET_SELECT: return r->i.desc.db != 0;
    case MCPSESS_I_GREET_TRACKING: return r->i.resp3 && r->i.desc.tracking != MCPSESS_REDIS_TRACK_OFF;
    default: return true;
    }
}

/* The command of a step. -> all of it is in tx; if not, only of a script some of it is */
static MCPSESS_I_APART bool mcpsess_i_greet_encode(mcpsess_redis *r, uint8_t step) {
    mcpsess_buf *out = &r->i.tx;
    size_t mark = out->len;
    char digits[8];
    mcpsess_buf number;
    switch (step) {
    case MCPSESS_I_GREET_HELLO: mcpsess_i_redis_put_hello(r, out); break;
    case MCPSESS_I_GREET_AUTH:
        mcpsess_resp_put_number(out, MCPSESS_RESP_ARRAY, r->i.desc.user.len != 0 ? 3 : 2);
        mcpsess_i_redis_put(out, MCPSESS_STR("AUTH"));
        mcpsess_i_redis_put_credentials(r, out, r->i.desc.user.len != 0);
        break;
    case MCPSESS_I_GREET_NAME:
        mcpsess_i_redis_put_words(out, 3, MCPSESS_STR("CLIENT"), MCPSESS_STR("SETNAME"));
        mcpsess_i_redis_put(out, r->i.desc.name);
        break;
    case MCPSESS_I_GREET_SELECT:
        mcpsess_buf_init(&number, digits, sizeof digits);
        mcpsess_buf_put_u64(&number, r->i.desc.db);
        mcpsess_i_redis_put_words(out, 2, MCPSESS_STR("SELECT"), mcpsess_buf_str(&number));
        break;
    case MCPSESS_I_GREET_TIME: mcpsess_i_redis_put_words(out, 1, MCPSESS_STR("TIME"), mcpsess_str_of(NULL, 0)); break;
    case MCPSESS_I_GREET_TRACKING: mcpsess_i_redis_put_tracking(r, out); break;
    default: return mcpsess_i_redis_put_script(r, mcpsess_i_redis_script(r, (uint8_t)(step - MCPSESS_I_GREET_SCRIPTS)));
    }
    if (!out->overflow) return true;
    out->overflow = false;
    out->len = mark;
    return false;
}

/* The step after `step` that applies; the one past the last script when there is none. */
static uint8_t mcpsess_i_greet_next(const mcpsess_redis *r, uint8_t step) {
    do step++;
    while (step < MCPSESS_I_GREET_SCRIPTS && !mcpsess_i_greet_applies(r, step));
    return step;
}

static bool mcpsess_i_greet_over(const mcpsess_redis *r, uint8_t step) {
    if (step < MCPSESS_I_GREET_SCRIPTS) return false;
    return mcpsess_i_redis_script(r, (uint8_t)(step - MCPSESS_I_GREET_SCRIPTS)) == NULL;
}

static void mcpsess_i_greet_begin(mcpsess_redis *r, uint8_t first) {
    if (first < MCPSESS_I_GREET_SCRIPTS && !mcpsess_i_greet_applies(r, first)) first = mcpsess_i_greet_next(r, first);
    r->i.asked = r->i.answered = first;
    r->i.script_at = 0;
}

/* Is there a step to be asked now? What the answer to HELLO decides waits for it. */
static bool mcpsess_i_greet_may_ask(const mcpsess_redis *r) {
    if (r->i.state == MCPSESS_I_REDIS_RELOADING && r->i.asked == MCPSESS_I_GREET_SCRIPTS && mcpsess_i_redis_busy(r)) {
        return false; /* first all that is under way */
    }
    if (r->i.state != MCPSESS_I_REDIS_GREETING && r->i.state != MCPSESS_I_REDIS_RELOADING) return false;
    if (r->i.asked != r->i.answered && r->i.answered <= MCPSESS_I_GREET_AUTH) return false;
    return !r->i.leaving && !r->i.dying && !mcpsess_i_greet_over(r, r->i.asked);
}

/* Asks all that may be asked, and has room. */
static void mcpsess_i_greet_ask(mcpsess_redis *r, uint64_t now_ms) {
    while (mcpsess_i_greet_may_ask(r)) {
        size_t mark;
        bool whole;
        mcpsess_i_redis_compact(r);
        mark = r->i.tx.len;
        whole = mcpsess_i_greet_encode(r, r->i.asked);
        r->i.tx_total += (uint32_t)(r->i.tx.len - mark);
        if (!whole && r->i.tx.len == 0) mcpsess_i_redis_fail(r, MCPSESS_E_TOOBIG, now_ms);
        if (!whole) return;
        r->i.asked = mcpsess_i_greet_next(r, r->i.asked);
    }
}

/* Ready for commands: first those that met NOSCRIPT. */
static void mcpsess_i_greet_done(mcpsess_redis *r, uint64_t now_ms) {
    bool reload = r->i.state == MCPSESS_I_REDIS_RELOADING;
    uint64_t took_ms = mcpsess_time_left(r->i.since_ms, now_ms);
    mcpsess_i_redis_enter(r, MCPSESS_I_REDIS_READY, now_ms);
    if (reload) {
        uint16_t again = r->i.redo;
        r->i.unsent = (uint16_t)(r->i.unsent + again);
        r->i.redo = 0;
        mcpsess_i_redis_log(r, MCPSESS_LOG_INFO, MCPSESS_REDIS_ITEM_SCRIPTS_LOST, mcpsess_str_of(NULL, 0), again);
        return;
    }
    r->i.failures = 0;
    r->stats.connects++;
    mcpsess_i_redis_log(r, MCPSESS_LOG_INFO, MCPSESS_REDIS_ITEM_CONNECTED, mcpsess_str_of(NULL, 0), took_ms);
    if (r->i.desc.tracking != MCPSESS_REDIS_TRACK_OFF && !r->i.tracking) {
        mcpsess_i_redis_log(r, MCPSESS_LOG_WARN, MCPSESS_REDIS_ITEM_NO_TRACKING, mcpsess_redis_error(r), 0);
    }
    mcpsess_i_redis_tell(r, mcpsess_str_of(NULL, 0));
}

/* Errors of the handshake that time, or another address, may mend. Those without a code are among them: too many
   clients, for one. */
static bool mcpsess_i_greet_passing(uint8_t step, int rc) {
    if (rc == MCPSESS_REDIS_E_SERVER) return step != MCPSESS_I_GREET_HELLO && step != MCPSESS_I_GREET_SELECT;
    return (rc <= MCPSESS_REDIS_E_LOADING && rc >= MCPSESS_REDIS_E_OOM) || rc == MCPSESS_REDIS_E_CLUSTERDOWN;
}

/* May this item be in the answer to this step? */
static bool mcpsess_i_greet_fits(uint8_t step, const mcpsess_resp_item *item) {
    if (step == MCPSESS_I_GREET_HELLO) return item->depth != 0 || item->type == MCPSESS_RESP_MAP;
    if (item->depth != 0) return step == MCPSESS_I_GREET_TIME && item->type == MCPSESS_RESP_BULK;
    if (step == MCPSESS_I_GREET_TIME) return item->type == MCPSESS_RESP_ARRAY && item->number == 2;
    return item->type == (step >= MCPSESS_I_GREET_SCRIPTS ? MCPSESS_RESP_BULK : MCPSESS_RESP_SIMPLE);
}

/* An item of an answer. */
static void mcpsess_i_greet_item(mcpsess_redis *r, const mcpsess_resp_item *item, uint64_t now_ms) {
    uint8_t step = r->i.answered, n;
    int64_t number = 0;
    if (!mcpsess_i_greet_fits(step, item)) mcpsess_redis_refuse(r);
    if (step == MCPSESS_I_GREET_TIME && item->depth == 1 && item->left == 0) {
        uint64_t v = 0;
        if (mcpsess_u64_decode(item->text, INT64_MAX / 2000, &v) == MCPSESS_OK) number = (int64_t)v;
        if (!item->ends) {
            r->i.wall_s = number;
            return;
        }
        r->i.wall_offset_ms = r->i.wall_s * 1000 + (int64_t)((uint32_t)number / 1000u) - (int64_t)now_ms;
        r->i.wall_known = r->i.wall_s > 0;
    }
    if (step >= MCPSESS_I_GREET_SCRIPTS && item->ends && r->i.reply_rc == MCPSESS_OK) {
        const mcpsess_redis_script *script = mcpsess_i_redis_script(r, (uint8_t)(step - MCPSESS_I_GREET_SCRIPTS));
        if (item->text.len != 40) mcpsess_redis_refuse(r);
        for (n = 0; n < 40 && r->i.reply_rc == MCPSESS_OK; n++) {
            if (item->text.ptr[n] != (char)MCPSESS_ROM_U8(script->sha1 + n)) mcpsess_redis_refuse(r);
        }
    }
}

/* The answer to a step is complete. */
static void mcpsess_i_greet_answer(mcpsess_redis *r, uint64_t now_ms) {
    uint8_t step = r->i.answered;
    int rc = r->i.reply_rc;
    bool credentials = rc == MCPSESS_REDIS_E_WRONGPASS || rc == MCPSESS_REDIS_E_NOAUTH;
    bool optional = step == MCPSESS_I_GREET_NAME || step == MCPSESS_I_GREET_TIME || step == MCPSESS_I_GREET_TRACKING;
    bool passing = mcpsess_i_greet_passing(step, rc);
    if (step == MCPSESS_I_GREET_HELLO && rc != MCPSESS_OK && !credentials && !passing) {
        r->i.resp3 = false; /* an old server, or a user that may not */
        mcpsess_i_greet_begin(r, MCPSESS_I_GREET_AUTH);
        return;
    }
    if (rc != MCPSESS_OK && (credentials || !optional)) {
        if (passing) mcpsess_i_redis_drop_connection(r, now_ms);
        else mcpsess_i_redis_fail(r, rc, now_ms);
        return;
    }
    if (step == MCPSESS_I_GREET_TRACKING) r->i.tracking = rc == MCPSESS_OK;
    r->i.answered = mcpsess_i_greet_next(r, step);
    if (mcpsess_i_greet_over(r, r->i.answered)) mcpsess_i_greet_done(r, now_ms);
}

/* ==== reply ==== */
/* uses: base resp slots wire greeting */

enum { MCPSESS_I_TO_PUSH = 1, MCPSESS_I_TO_GREETING, MCPSESS_I_TO_PING, MCPSESS_I_TO_SLOT };

/* Whose is the reply that begins here? 0: nobody's */
static uint8_t mcpsess_i_redis_taker(const mcpsess_redis *r, const mcpsess_resp_item *item) {
    if (item->type == MCPSESS_RESP_PUSH) return MCPSESS_I_TO_PUSH;
    if (r->i.pinging) return MCPSESS_I_TO_PING;
    if (mcpsess_i_redis_awaits(r)) {
        return mcpsess_i_redis_touched(r, r->i.redo, mcpsess_i_redis_slot_at(r, r->i.redo)) ? MCPSESS_I_TO_SLOT : 0;
    }
    return r->i.state != MCPSESS_I_REDIS_READY && r->i.asked != r->i.answered ? MCPSESS_I_TO_GREETING : 0;
}

typedef struct mcpsess_i_redis_word {
    uint8_t minus_code;
    char text[21];
} mcpsess_i_redis_word;

/* Is this word, which is in ROM, the beginning of text, and ended there? */
static bool mcpsess_i_redis_begins(mcpsess_str text, const char *word) {
    size_t n;
    char c;
    for (n = 0; (c = (char)MCPSESS_ROM_U8(word + n)) != '\0'; n++) {
        if (n == text.len || text.ptr[n] != c) return false;
    }
    return n == text.len || text.ptr[n] == ' ' || text.ptr[n] == ',';
}

/* Before Redis 7, what a command ran into within a script comes behind "ERR Error running script (call to f_<digest>):
   @user_script:1: @user_script: 1: " and, where it has a word of its own, "-". */
static mcpsess_str mcpsess_i_redis_unwrap(mcpsess_str text) {
    static const char wrap[] MCPSESS_ROM = "ERR Error running script", place[] MCPSESS_ROM = "script:";
    mcpsess_str rest = text;
    if (!mcpsess_i_redis_begins(text, wrap)) return text;
    while (rest.len > 0 && !mcpsess_i_redis_begins(rest, place)) rest = mcpsess_str_of(rest.ptr + 1, rest.len - 1);
    if (rest.len == 0) return text;
    rest = mcpsess_str_of(rest.ptr + 7, rest.len - 7);
    while (rest.len > 0 && rest.ptr[0] <= ':') rest = mcpsess_str_of(rest.ptr + 1, rest.len - 1);
    return rest;
}

static int mcpsess_i_redis_classify(mcpsess_str text) {
#define MCPSESS_I_WORD(name, word) \
    { (uint8_t)(-MCPSESS_REDIS_##name), word }
    static const mcpsess_i_redis_word words[] MCPSESS_ROM = {
        MCPSESS_I_WORD(E_NOSCRIPT, "NOSCRIPT"),
        MCPSESS_I_WORD(E_LOADING, "LOADING"),
        MCPSESS_I_WORD(E_BUSY, "BUSY"),
        MCPSESS_I_WORD(E_READONLY, "READONLY"),
        MCPSESS_I_WORD(E_MASTERDOWN, "MASTERDOWN"),
        MCPSESS_I_WORD(E_NOREPLICAS, "NOREPLICAS"),
        MCPSESS_I_WORD(E_MISCONF, "MISCONF"),
        MCPSESS_I_WORD(E_OOM, "OOM"),
        MCPSESS_I_WORD(E_NOAUTH, "NOAUTH"),
        MCPSESS_I_WORD(E_WRONGPASS, "WRONGPASS"),
        MCPSESS_I_WORD(E_WRONGPASS, "ERR invalid password"), /* before Redis 6 */
        MCPSESS_I_WORD(E_WRONGPASS, "ERR Client sent AUTH"), /* where none is wanted */
        MCPSESS_I_WORD(E_WRONGPASS, "ERR AUTH"),
        MCPSESS_I_WORD(E_NOPERM, "NOPERM"),
        MCPSESS_I_WORD(E_NOPERM, "The user executing"), /* within a script, before Redis 7 */
        MCPSESS_I_WORD(E_WRONGTYPE, "WRONGTYPE"),
        MCPSESS_I_WORD(E_MOVED, "MOVED"),
        MCPSESS_I_WORD(E_MOVED, "ASK"),
        MCPSESS_I_WORD(E_CROSSSLOT, "CROSSSLOT"),
        MCPSESS_I_WORD(E_CLUSTERDOWN, "CLUSTERDOWN"),
        MCPSESS_I_WORD(E_CLUSTERDOWN, "TRYAGAIN"),
        MCPSESS_I_WORD(E_SYNTAX, "ERR unknown"),
        MCPSESS_I_WORD(E_SYNTAX, "ERR Unknown"),
        MCPSESS_I_WORD(E_SYNTAX, "ERR syntax"),
        MCPSESS_I_WORD(E_SYNTAX, "ERR wrong number"),
        MCPSESS_I_WORD(E_SYNTAX, "NOPROTO"),
    };
#undef MCPSESS_I_WORD
    size_t n;
    for (n = 0; n < sizeof words / sizeof words[0]; n++) {
        if (mcpsess_i_redis_begins(text, words[n].text)) return -(int)MCPSESS_ROM_U8(&words[n].minus_code);
    }
    return MCPSESS_REDIS_E_SERVER;
}

/* A server that does not know HELLO repeats what came with it: the password, which belongs in no log. */
static void mcpsess_i_redis_hush(mcpsess_redis *r) {
    uint8_t n = 0;
    while (n < r->i.error_len && r->i.error[n] != ',') n++;
    r->i.error_len = n;
}

/* Keeps the text of an error, as much as there is room for; its code when all of it was read. */
static void mcpsess_i_redis_error_item(mcpsess_redis *r, const mcpsess_resp_item *item) {
    mcpsess_str text = mcpsess_i_redis_unwrap(item->text);
    size_t take = text.len;
    if (r->i.reply_rc == MCPSESS_OK) r->i.error_len = 0;
    if (take > MCPSESS_REDIS_ERROR_MAX - r->i.error_len) take = MCPSESS_REDIS_ERROR_MAX - r->i.error_len;
    if (take != 0) memcpy(r->i.error + r->i.error_len, text.ptr, take);
    r->i.error_len = (uint8_t)(r->i.error_len + take);
    r->i.reply_rc = mcpsess_i_redis_classify(mcpsess_redis_error(r));
    if (!item->ends) return;
    if (r->i.state == MCPSESS_I_REDIS_GREETING && r->i.reply_rc == MCPSESS_REDIS_E_SYNTAX) mcpsess_i_redis_hush(r);
    r->stats.server_errors++;
    mcpsess_i_redis_log(r, MCPSESS_LOG_WARN, MCPSESS_REDIS_ITEM_SERVER_ERROR, mcpsess_redis_error(r),
                        (uint64_t)(-(int64_t)r->i.reply_rc));
}

/* "invalidate", then null (all keys) or an array of keys; anything else is for the modules. */
static void mcpsess_i_redis_push_item(mcpsess_redis *r, const mcpsess_resp_item *item) {
    mcpsess_redis_module *m;
    if (item->depth == 0) {
        r->stats.pushes++;
        r->i.push = 0;
        return;
    }
    if (r->i.push == 0) r->i.push = mcpsess_str_eq(item->text, MCPSESS_STR("invalidate")) ? 1 : 2;
    else if (r->i.push == 1 && item->type == MCPSESS_RESP_NULL) mcpsess_i_redis_tell(r, mcpsess_str_of(NULL, 0));
    else if (r->i.push == 1 && item->depth == 2 && item->left == 0) {
        bool whole = (uint64_t)item->number == item->text.len && item->text.len != 0;
        r->stats.invalidations++;
        mcpsess_i_redis_tell(r, whole ? item->text : mcpsess_str_of(NULL, 0)); /* too long to be told by name */
    }
    if (r->i.push != 2) return;
    for (m = r->i.modules; m != NULL; m = m->i.next) {
        if (m->push != NULL) m->push(m->user, item);
    }
}

/* The name may lead to another server by now, or the wire to a connection on which we are nobody. */
static void mcpsess_i_redis_doubt(mcpsess_redis *r, int rc) {
    if (rc != MCPSESS_REDIS_E_READONLY && rc != MCPSESS_REDIS_E_MASTERDOWN && rc != MCPSESS_REDIS_E_NOAUTH) return;
    r->i.leaving = true;
    mcpsess_i_redis_hold(r);
}

/* The first command that awaits a reply has it. */
static MCPSESS_I_APART void mcpsess_i_redis_answer(mcpsess_redis *r, uint64_t now_ms) {
    mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, r->i.redo), done;
    int rc = r->i.reply_rc;
    if (rc == MCPSESS_REDIS_E_NOSCRIPT && slot->cls != NULL && (slot->flags & MCPSESS_REDIS_SCRIPT) != 0 &&
        slot->reloads < MCPSESS_I_REDIS_RELOADS) {
        slot->reloads++;
        r->i.redo++;
        if (r->i.state == MCPSESS_I_REDIS_RELOADING) return;
        r->stats.reloads++;
        mcpsess_i_redis_hold(r);
        mcpsess_i_redis_enter(r, MCPSESS_I_REDIS_RELOADING, now_ms);
        mcpsess_i_greet_begin(r, MCPSESS_I_GREET_SCRIPTS);
        return;
    }
    mcpsess_i_redis_doubt(r, rc);
    done = mcpsess_i_redis_take(r, r->i.redo);
    if (done.cls == NULL) {
        r->stats.late_replies++;
        mcpsess_i_redis_log(r, MCPSESS_LOG_INFO, MCPSESS_REDIS_ITEM_LATE_REPLY, mcpsess_str_of(NULL, 0),
                            mcpsess_time_left(done.sent_ms, now_ms));
        return;
    }
    r->stats.replies++;
    mcpsess_i_redis_end(r, &done, rc, now_ms);
}

/* The connection may be gone when this returns. */
static MCPSESS_I_APART void mcpsess_i_redis_item(mcpsess_redis *r, const mcpsess_resp_item *item, mcpsess_str raw,
                                                 uint64_t now_ms) {
    uint8_t target = r->i.target;
    bool ends = item->ends;
    if (target == 0) r->i.reply_rc = MCPSESS_OK;
    if (target == 0) target = mcpsess_i_redis_taker(r, item);
    r->i.target = ends ? 0 : target;
    if (target == MCPSESS_I_TO_PUSH) {
        mcpsess_i_redis_push_item(r, item);
        return;
    }
    r->i.wait_ms = now_ms;
    if (item->depth == 0 && (item->type == MCPSESS_RESP_ERROR || item->type == MCPSESS_RESP_BULK_ERROR)) {
        mcpsess_i_redis_error_item(r, item);
    } else if (target == MCPSESS_I_TO_PING) {
        if (item->type != MCPSESS_RESP_SIMPLE) mcpsess_redis_refuse(r);
    } else if (target == MCPSESS_I_TO_GREETING) {
        mcpsess_i_greet_item(r, item, now_ms);
    } else if (target == MCPSESS_I_TO_SLOT) {
        const mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, r->i.redo);
        if (slot->cls != NULL) slot->cls->item(slot->user, slot->request, item, raw);
    }
    if (r->i.state < MCPSESS_I_REDIS_GREETING || r->i.reply_rc == MCPSESS_REDIS_E_PROTOCOL) return;
    if (!ends) return;
    if (target == MCPSESS_I_TO_PING) {
        r->i.pinging = false;
        mcpsess_i_redis_doubt(r, r->i.reply_rc);
    }
    if (target == MCPSESS_I_TO_SLOT) mcpsess_i_redis_answer(r, now_ms);
    if (target == MCPSESS_I_TO_GREETING) mcpsess_i_greet_answer(r, now_ms);
}

/* Is nothing of a reply or push begun? */
static bool mcpsess_i_redis_between(const mcpsess_redis *r) {
    return r->i.rx_len == 0 && r->i.resp.i.depth == 0 && r->i.resp.i.type == 0;
}

/* Does the error in front lack its end? All of rx full of it, it loses the last eighth but for one byte: errors are
   longer than other lines, and of no interest beyond their beginning. */
static bool mcpsess_i_redis_long_error(mcpsess_redis *r, mcpsess_str *in) {
    size_t n;
    if (r->i.resp.i.depth != 0 || r->i.resp.i.type != 0 || in->len == 0 || in->ptr[0] != '-') return false;
    for (n = 2; n < in->len; n++) {
        if (in->ptr[n - 1] == '\r' && in->ptr[n] == '\n') return false;
    }
    if (in->len == r->i.desc.rx_bytes) {
        size_t kept = in->len - in->len / 8;
        r->i.rx[kept] = in->ptr[in->len - 1]; /* it may be the CR */
        in->len = kept + 1;
    }
    return true;
}

static void mcpsess_i_redis_break(mcpsess_redis *r, int rc, uint64_t now_ms) {
    /* What was asked here would be answered like this again. */
    if (mcpsess_i_redis_awaits(r)) mcpsess_i_redis_slot_at(r, r->i.redo)->flags &= (uint8_t)~MCPSESS_REDIS_REPEAT;
    mcpsess_i_redis_drop_connection(r, now_ms);
    mcpsess_i_redis_log(r, MCPSESS_LOG_ERROR, MCPSESS_REDIS_ITEM_PROTOCOL_ERROR, mcpsess_str_of(NULL, 0),
                        (uint64_t)(-(int64_t)rc));
}

/* What was received, as far as it goes. The connection may be gone when this returns. */
static MCPSESS_I_APART void mcpsess_i_redis_process(mcpsess_redis *r, uint64_t now_ms) {
    mcpsess_str in = mcpsess_str_of(r->i.rx, (size_t)r->i.rx_len);
    while (r->i.state >= MCPSESS_I_REDIS_GREETING && !mcpsess_i_redis_long_error(r, &in)) {
        bool attribute = r->i.resp.i.attributes != 0;
        const char *from = in.ptr;
        mcpsess_resp_item item;
        int rc = mcpsess_resp_next(&r->i.resp, &in, &item);
        if (rc == MCPSESS_PENDING) break;
        if (rc == MCPSESS_OK && (attribute || item.type == MCPSESS_RESP_ATTRIBUTE)) continue;
        if (rc == MCPSESS_OK && r->i.target == 0 && mcpsess_i_redis_taker(r, &item) == 0) rc = MCPSESS_REDIS_E_PROTOCOL;
        if (rc == MCPSESS_OK) {
            mcpsess_i_redis_item(r, &item, mcpsess_str_of(from, (size_t)(in.ptr - from)), now_ms);
            if (r->i.state < MCPSESS_I_REDIS_GREETING) return;
            if (r->i.reply_rc == MCPSESS_REDIS_E_PROTOCOL) rc = MCPSESS_REDIS_E_PROTOCOL;
        }
        if (rc != MCPSESS_OK) {
            mcpsess_i_redis_break(r, rc, now_ms);
            return;
        }
    }
    if (r->i.state < MCPSESS_I_REDIS_GREETING) return;
    if (in.len != 0 && in.ptr != r->i.rx) memmove(r->i.rx, in.ptr, in.len);
    r->i.rx_len = (uint32_t)in.len;
}

/* ==== redis ==== */
/* uses: base slots wire greeting reply */

#ifdef MCPSESS_NO_TEXT
MCPSESS_API const char *mcpsess_redis_code_name(int code) {
    return mcpsess_code_name(code);
}

MCPSESS_API const char *mcpsess_redis_code_text(int code) {
    return mcpsess_code_text(code);
}

MCPSESS_API const char *mcpsess_redis_item_text(int item) {
    return mcpsess_item_text(item);
}
#else
MCPSESS_API const char *mcpsess_redis_code_name(int code) {
    switch (code) {
#define MCPSESS_I_NAME(name, number, text) \
    case MCPSESS_REDIS_##name:             \
        return #name;
        MCPSESS_REDIS_CODES(MCPSESS_I_NAME)
#undef MCPSESS_I_NAME
    default: return mcpsess_code_name(code);
    }
}

#define MCPSESS_I_TEXT(name, number, text) \
    case (number):                         \
        return text;

MCPSESS_API const char *mcpsess_redis_code_text(int code) {
    switch (code) {
        MCPSESS_REDIS_CODES(MCPSESS_I_TEXT)
    default: return mcpsess_code_text(code);
    }
}

MCPSESS_API const char *mcpsess_redis_item_text(int item) {
    switch (item) {
        MCPSESS_REDIS_ITEMS(MCPSESS_I_TEXT)
    default: return mcpsess_item_text(item);
    }
}
#undef MCPSESS_I_TEXT
#endif

MCPSESS_API mcpsess_redis_desc mcpsess_redis_desc_default(void) {
    mcpsess_redis_desc d;
    memset(&d, 0, sizeof d);
    d.connect_timeout_ms = UINT32_C(5000);
    d.reply_timeout_ms = UINT32_C(3000);
    d.timeout_ms = UINT32_C(5000);
    d.idle_ms = UINT32_C(5000);
    d.backoff_min_ms = 50;
    d.backoff_max_ms = UINT32_C(5000);
    d.tracking = MCPSESS_REDIS_TRACK_KEYS;
    return d;
}

MCPSESS_API size_t mcpsess_redis_bytes(const mcpsess_redis_desc *d) {
    const uint32_t most = UINT32_C(1) << 24;
    uint64_t bytes;
    if (d == NULL || d->slots == 0 || d->slots > 32767u) return 0;
    if (d->tx_bytes < 64 || d->tx_bytes > most || d->rx_bytes < 64 || d->rx_bytes > most) return 0;
    bytes = MCPSESS_REDIS_BYTES(d->slots, d->tx_bytes, d->rx_bytes);
    return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

/* Every server refuses a name with a blank in it, and the whole HELLO with it. */
static bool mcpsess_i_redis_bad_name(mcpsess_str name) {
    size_t n;
    for (n = 0; n < name.len; n++) {
        if (name.ptr[n] < 0x21 || name.ptr[n] > 0x7E) return true;
    }
    return false;
}

static void mcpsess_i_redis_default(uint32_t *member, uint32_t standard) {
    if (*member == 0) *member = standard;
}

MCPSESS_API int mcpsess_redis_init(mcpsess_redis *r, const mcpsess_redis_desc *d, void *mem, size_t mem_len) {
    mcpsess_redis_desc standard = mcpsess_redis_desc_default();
    const mcpsess_redis_transport *t;
    size_t slots;
    int rc;
    if (r == NULL || d == NULL) return MCPSESS_E_ARG;
    memset(r, 0, sizeof *r);
    t = &d->transport;
    if (!t->open || !t->send || !t->recv || !t->close || d->tracking > MCPSESS_REDIS_TRACK_PREFIXES ||
        mcpsess_i_redis_bad_name(d->name)) {
        return MCPSESS_E_ARG;
    }
    rc = mcpsess_storage_check(mem, mem_len, mcpsess_redis_bytes(d));
    if (rc != MCPSESS_OK) return rc;
    r->i.desc = *d;
    mcpsess_i_redis_default(&r->i.desc.connect_timeout_ms, standard.connect_timeout_ms);
    mcpsess_i_redis_default(&r->i.desc.reply_timeout_ms, standard.reply_timeout_ms);
    mcpsess_i_redis_default(&r->i.desc.timeout_ms, standard.timeout_ms);
    mcpsess_i_redis_default(&r->i.desc.idle_ms, standard.idle_ms);
    mcpsess_i_redis_default(&r->i.desc.backoff_min_ms, standard.backoff_min_ms);
    mcpsess_i_redis_default(&r->i.desc.backoff_max_ms, standard.backoff_max_ms);
    if (d->tracking == 0) r->i.desc.tracking = standard.tracking;
    r->i.slots = (mcpsess_i_redis_slot *)mem;
    slots = (size_t)MCPSESS_I_ROUND8(d->slots * sizeof *r->i.slots);
    mcpsess_buf_init(&r->i.tx, (char *)mem + slots, (size_t)d->tx_bytes);
    r->i.rx = r->i.tx.ptr + d->tx_bytes;
    r->i.earliest_ms = MCPSESS_NEVER;
    r->i.state = MCPSESS_I_REDIS_DOWN;
    r->i.ready = MCPSESS_I_REDIS_INIT;
    return MCPSESS_OK;
}

static bool mcpsess_i_redis_ready(const mcpsess_redis *r) {
    return r != NULL && r->i.ready == MCPSESS_I_REDIS_INIT;
}

static bool mcpsess_i_redis_overlap(mcpsess_str a, mcpsess_str b) {
    size_t n = a.len < b.len ? a.len : b.len;
    return a.len != 0 && b.len != 0 && memcmp(a.ptr, b.ptr, n) == 0;
}

MCPSESS_API int mcpsess_redis_attach(mcpsess_redis *r, mcpsess_redis_module *m) {
    mcpsess_redis_module **link;
    unsigned scripts = 0;
    if (!mcpsess_i_redis_ready(r) || m == NULL || (m->scripts == NULL && m->script_count != 0)) return MCPSESS_E_ARG;
    if (r->i.polled) return MCPSESS_E_STATE;
    for (link = &r->i.modules; *link != NULL; link = &(*link)->i.next) {
        if (*link == m || mcpsess_i_redis_overlap((*link)->prefix, m->prefix)) return MCPSESS_E_ARG;
        scripts += (*link)->script_count;
    }
    if (scripts + m->script_count > 200u) return MCPSESS_E_ARG;
    m->i.next = NULL;
    *link = m;
    return MCPSESS_OK;
}

/* -- steps -- */

/* When the server must have answered. */
static uint64_t mcpsess_i_redis_patience(const mcpsess_redis *r) {
    if (r->i.state < MCPSESS_I_REDIS_CONNECTING) return MCPSESS_NEVER;
    if (r->i.state < MCPSESS_I_REDIS_READY) return mcpsess_time_add(r->i.since_ms, r->i.desc.connect_timeout_ms);
    if (r->i.state == MCPSESS_I_REDIS_READY && !mcpsess_i_redis_busy(r)) return MCPSESS_NEVER;
    return mcpsess_time_add(r->i.wait_ms, r->i.desc.reply_timeout_ms);
}

static bool mcpsess_i_redis_idle(const mcpsess_redis *r) {
    return r->i.state == MCPSESS_I_REDIS_READY && !mcpsess_i_redis_busy(r) && r->i.unsent == 0;
}

static void mcpsess_i_redis_ping(mcpsess_redis *r, uint64_t now_ms) {
    size_t mark = r->i.tx.len;
    if (!mcpsess_i_redis_idle(r) || now_ms < mcpsess_time_add(r->i.heard_ms, r->i.desc.idle_ms)) return;
    mcpsess_i_redis_put_words(&r->i.tx, 1, MCPSESS_STR("PING"), mcpsess_str_of(NULL, 0));
    r->i.tx_total += (uint32_t)(r->i.tx.len - mark);
    r->i.pinging = true;
    r->stats.pings++;
}

static void mcpsess_i_redis_connect(mcpsess_redis *r, uint64_t now_ms) {
    int rc;
    if (r->i.state == MCPSESS_I_REDIS_DOWN && now_ms >= r->i.due_ms) {
        mcpsess_i_redis_enter(r, MCPSESS_I_REDIS_CONNECTING, now_ms);
        r->i.tx.len = 0;
        r->i.tx_total = r->i.tx_done = r->i.rx_len = 0;
        r->i.error_len = 0;
        mcpsess_i_redis_begin_resp(r);
    }
    if (r->i.state != MCPSESS_I_REDIS_CONNECTING) return;
    rc = r->i.desc.transport.open(r->i.desc.transport.user);
    if (rc < 0) mcpsess_i_redis_drop_connection(r, now_ms);
    if (rc <= 0) return;
    r->i.state = MCPSESS_I_REDIS_GREETING; /* since_ms stays: the timeout is for both */
    r->i.heard_ms = now_ms;
    r->i.resp3 = !r->i.desc.resp2;
    mcpsess_i_greet_begin(r, MCPSESS_I_GREET_HELLO);
}

/* What is to be sent, into tx. */
static MCPSESS_I_APART void mcpsess_i_redis_fill(mcpsess_redis *r, uint64_t now_ms) {
    bool was_busy = mcpsess_i_redis_busy(r);
    mcpsess_i_greet_ask(r, now_ms);
    mcpsess_i_redis_encode(r, now_ms);
    if (r->i.state == MCPSESS_I_REDIS_READY) mcpsess_i_redis_ping(r, now_ms);
    if (!was_busy && mcpsess_i_redis_busy(r)) r->i.wait_ms = now_ms;
}

/* One receive, and what is in it. */
static void mcpsess_i_redis_take_in(mcpsess_redis *r, uint64_t now_ms) {
    if (!mcpsess_i_redis_recv(r, now_ms)) mcpsess_i_redis_drop_connection(r, now_ms);
    else mcpsess_i_redis_process(r, now_ms);
    if (r->i.leaving && !mcpsess_i_redis_busy(r)) mcpsess_i_redis_drop_connection(r, now_ms);
}

/* Reads first: who comes late finds the answer there, and judges after. */
static void mcpsess_i_redis_step(mcpsess_redis *r, uint64_t now_ms) {
    if (r->i.state >= MCPSESS_I_REDIS_GREETING) mcpsess_i_redis_take_in(r, now_ms);
    else mcpsess_i_redis_connect(r, now_ms);
    mcpsess_i_redis_expire(r, now_ms);
    if (now_ms >= mcpsess_i_redis_patience(r)) {
        uint64_t silent_ms = mcpsess_time_left(r->i.heard_ms, now_ms);
        mcpsess_i_redis_drop_connection(r, now_ms);
        mcpsess_i_redis_log(r, MCPSESS_LOG_WARN, MCPSESS_REDIS_ITEM_REPLY_TIMEOUT, mcpsess_str_of(NULL, 0), silent_ms);
    }
    if (r->i.state >= MCPSESS_I_REDIS_GREETING) mcpsess_i_redis_fill(r, now_ms);
    if (r->i.state >= MCPSESS_I_REDIS_GREETING) mcpsess_i_redis_send(r, now_ms);
}

MCPSESS_API int mcpsess_redis_poll(mcpsess_redis *r, uint64_t now_ms) {
    if (!mcpsess_i_redis_ready(r)) return MCPSESS_E_ARG;
    if (r->i.polling) return MCPSESS_PENDING;
    r->i.polling = r->i.polled = true;
    mcpsess_i_redis_step(r, now_ms);
    r->i.polling = false;
    if (r->i.state == MCPSESS_I_REDIS_FAILED) return r->i.rc;
    if (r->i.state == MCPSESS_I_REDIS_CLOSED) return MCPSESS_E_CLOSED;
    return r->i.state >= MCPSESS_I_REDIS_READY ? MCPSESS_OK : MCPSESS_PENDING;
}

/* Is there something to do that waits for nobody? While tx is not empty, that is writing. */
static bool mcpsess_i_redis_runnable(const mcpsess_redis *r) {
    if (r->i.state < MCPSESS_I_REDIS_GREETING) return false;
    if (r->i.more || r->i.dying) return true;
    if (mcpsess_i_redis_waiting(r) != 0) return false;
    return mcpsess_i_greet_may_ask(r) || (r->i.state == MCPSESS_I_REDIS_READY && r->i.unsent > 0 && !r->i.leaving);
}

MCPSESS_API uint64_t mcpsess_redis_next_due(mcpsess_redis *r, uint64_t now_ms) {
    uint64_t due_ms;
    if (!mcpsess_i_redis_ready(r)) return MCPSESS_NEVER;
    if (mcpsess_i_redis_runnable(r)) return now_ms;
    due_ms = mcpsess_i_redis_patience(r);
    if (r->i.state == MCPSESS_I_REDIS_DOWN) due_ms = r->i.due_ms;
    if (mcpsess_i_redis_idle(r)) due_ms = mcpsess_time_add(r->i.heard_ms, r->i.desc.idle_ms);
    if (r->i.earliest_ms < due_ms) r->i.earliest_ms = mcpsess_i_redis_earliest(r);
    return due_ms < r->i.earliest_ms ? due_ms : r->i.earliest_ms;
}

MCPSESS_API unsigned mcpsess_redis_want(mcpsess_redis *r) {
    unsigned want = MCPSESS_WANT_TIME;
    if (!mcpsess_i_redis_ready(r) || r->i.state == MCPSESS_I_REDIS_FAILED || r->i.state == MCPSESS_I_REDIS_CLOSED)
        return 0;
    if (r->i.state == MCPSESS_I_REDIS_DOWN) return want;
    want |= MCPSESS_WANT_READ;
    if (r->i.state == MCPSESS_I_REDIS_CONNECTING || mcpsess_i_redis_waiting(r) != 0) want |= MCPSESS_WANT_WRITE;
    return mcpsess_i_redis_runnable(r) ? want | MCPSESS_WANT_NOW : want;
}

MCPSESS_API void mcpsess_redis_close(mcpsess_redis *r) {
    bool polling;
    if (!mcpsess_i_redis_ready(r) || r->i.state == MCPSESS_I_REDIS_CLOSED) return;
    polling = r->i.polling;
    r->i.polling = true;
    mcpsess_i_redis_hang_up(r, MCPSESS_I_REDIS_CLOSED, r->i.heard_ms);
    mcpsess_i_redis_give_up(r, MCPSESS_E_CLOSED, true, r->i.heard_ms);
    r->i.polling = polling;
}

MCPSESS_API int mcpsess_redis_reset(mcpsess_redis *r, uint64_t now_ms) {
    bool polling;
    if (!mcpsess_i_redis_ready(r)) return MCPSESS_E_ARG;
    polling = r->i.polling;
    r->i.polling = true;
    if (r->i.state >= MCPSESS_I_REDIS_READY) r->stats.disconnects++;
    r->i.due_ms = now_ms;
    r->i.failures = 0;
    r->i.rc = MCPSESS_OK;
    mcpsess_i_redis_hang_up(r, MCPSESS_I_REDIS_DOWN, now_ms);
    r->i.polling = polling;
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_redis_submit(mcpsess_redis *r, const mcpsess_redis_class *cls, void *user, void *request,
                                     unsigned flags, uint64_t deadline_ms, uint64_t now_ms) {
    mcpsess_i_redis_slot *slot;
    if (!mcpsess_i_redis_ready(r) || cls == NULL || request == NULL) return MCPSESS_E_ARG;
    if (r->i.state == MCPSESS_I_REDIS_CLOSED) return MCPSESS_E_CLOSED;
    if (r->i.state == MCPSESS_I_REDIS_FAILED) return r->i.rc;
    if (r->i.failures != 0 && !r->i.desc.patient && r->i.state < MCPSESS_I_REDIS_READY) return MCPSESS_E_IO;
    if (r->i.used == r->i.desc.slots) return MCPSESS_E_FULL;
    slot = mcpsess_i_redis_slot_at(r, r->i.used);
    memset(slot, 0, sizeof *slot);
    slot->cls = cls;
    slot->user = user;
    slot->request = request;
    slot->flags = (uint8_t)(flags & (MCPSESS_REDIS_REPEAT | MCPSESS_REDIS_SCRIPT));
    slot->deadline_ms = deadline_ms != 0 ? deadline_ms : mcpsess_time_add(now_ms, r->i.desc.timeout_ms);
    if (slot->deadline_ms < r->i.earliest_ms) r->i.earliest_ms = slot->deadline_ms;
    r->i.used++;
    r->i.unsent++;
    return MCPSESS_PENDING;
}

MCPSESS_API void mcpsess_redis_drop(mcpsess_redis *r, void *request) {
    uint16_t n = 0;
    if (!mcpsess_i_redis_ready(r)) return;
    while (n < r->i.used) {
        const mcpsess_i_redis_slot *slot = mcpsess_i_redis_slot_at(r, n);
        if (slot->cls != NULL && slot->request == request) {
            (void)mcpsess_i_redis_part(r, n);
            return;
        }
        n++;
    }
}

MCPSESS_API int mcpsess_redis_hear(mcpsess_redis *r, uint64_t now_ms) {
    uint64_t silence_ms;
    if (!mcpsess_i_redis_ready(r) || r->i.state != MCPSESS_I_REDIS_READY) return MCPSESS_STALE;
    if (r->i.polling) return MCPSESS_PENDING;
    r->i.polling = true;
    mcpsess_i_redis_take_in(r, now_ms);
    r->i.polling = false;
    if (r->i.state != MCPSESS_I_REDIS_READY || !r->i.tracking) return MCPSESS_STALE;
    if (r->i.more || !mcpsess_i_redis_between(r)) return MCPSESS_PENDING; /* or half of something, perhaps of a push */
    silence_ms = (uint64_t)r->i.desc.idle_ms + r->i.desc.reply_timeout_ms;
    return now_ms <= mcpsess_time_add(r->i.heard_ms, silence_ms) ? MCPSESS_OK : MCPSESS_STALE;
}

MCPSESS_API uint64_t mcpsess_redis_wall_ms(const mcpsess_redis *r, uint64_t now_ms) {
    return r != NULL && r->i.wall_known ? (uint64_t)(r->i.wall_offset_ms + (int64_t)now_ms) : 0;
}

MCPSESS_API int mcpsess_redis_check(const mcpsess_redis *r) {
    bool linked;
    uint16_t n;
    if (!mcpsess_i_redis_ready(r)) return MCPSESS_E_ARG;
    linked = r->i.state >= MCPSESS_I_REDIS_GREETING;
    if (r->i.used > r->i.desc.slots || r->i.head >= r->i.desc.slots) return MCPSESS_E_CORRUPT;
    if (r->i.unsent > r->i.used || r->i.redo > r->i.used - r->i.unsent) return MCPSESS_E_CORRUPT;
    if (linked && mcpsess_i_redis_waiting(r) > r->i.tx.len) return MCPSESS_E_CORRUPT;
    if (!linked && (r->i.unsent != r->i.used || r->i.pinging || r->i.rx_len != 0)) return MCPSESS_E_CORRUPT;
    if (r->i.rx_len > r->i.desc.rx_bytes || r->i.tx.len > r->i.tx.cap) return MCPSESS_E_CORRUPT;
    if (r->i.redo != 0 && r->i.state != MCPSESS_I_REDIS_RELOADING) return MCPSESS_E_CORRUPT;
    for (n = 0; n < r->i.used; n++) {
        bool in_tx = n >= r->i.redo && n < mcpsess_i_redis_encoded(r);
        if (mcpsess_i_redis_slot_at(r, n)->cls == NULL && !in_tx) return MCPSESS_E_CORRUPT;
    }
    return mcpsess_i_redis_earliest(r) < r->i.earliest_ms ? MCPSESS_E_CORRUPT : MCPSESS_OK;
}

/* ==== rediscmd ==== */
/* uses: base op resp redis */

static void mcpsess_i_rcmd_encode(void *user, void *request, mcpsess_buf *out) {
    const mcpsess_redis_op *op = (const mcpsess_redis_op *)request;
    (void)user;
    if (mcpsess_resp_put_command(out, op->i.argv, op->i.argc) != MCPSESS_OK) out->overflow = true;
}

static void mcpsess_i_rcmd_item(void *user, void *request, const mcpsess_resp_item *item, mcpsess_str raw) {
    mcpsess_redis_op *op = (mcpsess_redis_op *)request;
    (void)user;
    (void)item;
    op->op.need += raw.len;
    if (raw.len > op->i.reply->cap - op->i.reply->len) op->i.overflow = true;
    if (!op->i.overflow) mcpsess_buf_put(op->i.reply, raw);
}

static void mcpsess_i_rcmd_done(void *user, void *request, int rc, uint64_t now_ms) {
    mcpsess_redis_op *op = (mcpsess_redis_op *)request;
    (void)user;
    (void)now_ms;
    if (rc == MCPSESS_OK && op->i.overflow) rc = MCPSESS_E_TOOBIG;
    if (rc != MCPSESS_OK) op->i.reply->len = op->i.mark;
    (void)mcpsess_op_end(&op->op, rc);
}

static int mcpsess_i_rcmd_poll(mcpsess_op *op, uint64_t now_ms) {
    if (mcpsess_op_rc(op) == MCPSESS_PENDING) {
        (void)mcpsess_redis_poll(((mcpsess_redis_op *)mcpsess_op_object(op))->i.redis, now_ms);
    }
    return mcpsess_op_rc(op);
}

static void mcpsess_i_rcmd_cancel(mcpsess_op *op) {
    mcpsess_redis_op *self = (mcpsess_redis_op *)mcpsess_op_object(op);
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return;
    mcpsess_redis_drop(self->i.redis, self);
    self->i.reply->len = self->i.mark;
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t mcpsess_i_rcmd_next_due(mcpsess_op *op, uint64_t now_ms) {
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return MCPSESS_NEVER;
    return mcpsess_redis_next_due(((mcpsess_redis_op *)mcpsess_op_object(op))->i.redis, now_ms);
}

static unsigned mcpsess_i_rcmd_want(mcpsess_op *op) {
    if (mcpsess_op_rc(op) != MCPSESS_PENDING) return 0;
    return mcpsess_redis_want(((mcpsess_redis_op *)mcpsess_op_object(op))->i.redis);
}

MCPSESS_API int mcpsess_redis_cmd(mcpsess_redis *r, mcpsess_redis_op *op, const mcpsess_str *argv, size_t argc,
                                  mcpsess_buf *reply, uint64_t now_ms) {
    static const mcpsess_redis_class cls = {mcpsess_i_rcmd_encode, mcpsess_i_rcmd_item, mcpsess_i_rcmd_done};
    static const mcpsess_op_class steps = {mcpsess_i_rcmd_poll, mcpsess_i_rcmd_cancel, mcpsess_i_rcmd_next_due,
                                           mcpsess_i_rcmd_want};
    uint64_t deadline_ms;
    size_t bytes;
    int rc;
    if (!mcpsess_i_redis_ready(r) || op == NULL || argv == NULL || argc == 0 || reply == NULL) return MCPSESS_E_ARG;
    if (mcpsess_op_rc(&op->op) == MCPSESS_PENDING) return MCPSESS_E_STATE;
    bytes = mcpsess_resp_command_bytes(argv, argc);
    if (bytes == 0) return MCPSESS_E_ARG;
    if (bytes > r->i.desc.tx_bytes) return MCPSESS_E_TOOBIG;
    op->i.redis = r;
    op->i.argv = argv;
    op->i.argc = argc;
    op->i.reply = reply;
    op->i.mark = reply->len;
    op->i.overflow = reply->overflow;
    deadline_ms = op->op.timeout_ms == 0 ? 0 : mcpsess_time_add(now_ms, op->op.timeout_ms);
    (void)mcpsess_op_begin(&op->op, &steps, op);
    rc = mcpsess_redis_submit(r, &cls, r, op, 0, deadline_ms, now_ms);
    if (rc == MCPSESS_E_IO) (void)mcpsess_redis_poll(r, now_ms); /* or nobody would, and it stayed away */
    if (rc != MCPSESS_PENDING) return mcpsess_op_end(&op->op, rc);
    return mcpsess_i_rcmd_poll(&op->op, now_ms);
}

MCPSESS_API int mcpsess_redis_call(mcpsess_redis *r, const mcpsess_str *argv, size_t argc, mcpsess_buf *reply,
                                   const mcpsess_wait_hook *hook) {
    mcpsess_redis_op op;
    int rc;
    if (hook == NULL || hook->now_ms == NULL || hook->wait == NULL) return MCPSESS_E_ARG;
    mcpsess_op_init(&op.op, 0);
    rc = mcpsess_redis_cmd(r, &op, argv, argc, reply, hook->now_ms(hook->user));
    return mcpsess_wait(&op.op, rc, hook);
}

MCPSESS_API mcpsess_str mcpsess_redis_text(mcpsess_str reply) {
    mcpsess_str text = {NULL, 0};
    mcpsess_resp_item item;
    mcpsess_resp d;
    mcpsess_resp_desc limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX, 1};
    mcpsess_resp_init(&d, &limits);
    if (mcpsess_resp_next(&d, &reply, &item) != MCPSESS_OK || !item.ends || reply.len != 0) return text;
    if (item.type == MCPSESS_RESP_VERBATIM) return mcpsess_str_of(item.text.ptr + 4, item.text.len - 4);
    if (item.type == MCPSESS_RESP_NULL) return text;
    return mcpsess_i_resp_shape(item.type) == MCPSESS_I_RESP_AGGREGATE ? text : item.text;
}

/* ==== scripts ==== */
/* uses: redis */

/* Each is one atomic step of the server, and answers {code, left, extra}; a read that wants it, the value behind them.
   code: as in MCPSESS_CODES. left: PTTL, or the bytes of a value that was too big. extra: 1 the TTL was set anew, 2 the
   record is another owner's; of a lease its fence.

   Values are compared as bytes, never decoded. What writes a key reads it afterwards (PTTL): a server that tracks
   single keys forgets one when it is written. pcall hands the error of a key of another type on as it is: Redis 6.2
   packs one that is raised into words of its own. */

/* ARGV: owner's bytes or none, TTL or 0, room for the value or none. A value that does not fit is left alone. */
static const char mcpsess_i_rstore_read[] MCPSESS_ROM = "local k,o,n=KEYS[1],ARGV[1],ARGV[2]\n"
                                                        "local v=redis.pcall('GET',k)\n"
                                                        "if not v then return {2,0,0} end\n"
                                                        "if type(v)=='table' then return v end\n"
                                                        "if string.sub(v,1,#o)~=o then return {2,0,2} end\n"
                                                        "if ARGV[3]~='' and #v>tonumber(ARGV[3]) then\n"
                                                        "return {-4,#v,0} end\n"
                                                        "local t,w=redis.call('PTTL',k),0\n"
                                                        "if t>=0 and t*2<tonumber(n) then\n"
                                                        "redis.call('PEXPIRE',k,n)\n"
                                                        "t,w=redis.call('PTTL',k),1 end\n"
                                                        "if ARGV[3]=='' then return {0,t,w} end\n"
                                                        "return {0,t,w,v}";
static const char mcpsess_i_rstore_read_sha1[] MCPSESS_ROM = "a89c65874b196ae7944539f67e12531498790e49";

/* ARGV: mode, owner's bytes or none, TTL or 0, value, expected bytes or none. Mode 4 looks what has become of a put: 0
   it is there, 1 what it was to replace still is, 2 nothing is, 5 something else. */
static const char mcpsess_i_rstore_write[] MCPSESS_ROM = "local k,m,o,x=KEYS[1],ARGV[1],ARGV[2],ARGV[4]\n"
                                                         "local v=redis.pcall('GET',k)\n"
                                                         "if type(v)=='table' then return v end\n"
                                                         "local f=v and string.sub(v,1,#o)~=o and 2 or 0\n"
                                                         "if m=='4' then\n"
                                                         "if not v then return {2,0,0} end\n"
                                                         "if v==x then return {0,redis.call('PTTL',k),0} end\n"
                                                         "return {v==ARGV[5] and 1 or 5,0,f} end\n"
                                                         "if v then\n"
                                                         "if m=='1' then return {4,0,0} end\n"
                                                         "if f==2 then return {m=='0' and 4 or 2,0,2} end\n"
                                                         "if m=='3' and v~=ARGV[5] then return {5,0,0} end\n"
                                                         "elseif m>'1' then return {2,0,0} end\n"
                                                         "if ARGV[3]=='0' then redis.call('SET',k,x)\n"
                                                         "else redis.call('SET',k,x,'PX',ARGV[3]) end\n"
                                                         "return {0,redis.call('PTTL',k),0}";
static const char mcpsess_i_rstore_write_sha1[] MCPSESS_ROM = "48431b65aa9da148080b08bc5e71b724a94dce20";

/* ARGV: owner's bytes or none, 1 to compare, expected bytes. */
static const char mcpsess_i_rstore_delete[] MCPSESS_ROM = "local k,o=KEYS[1],ARGV[1]\n"
                                                          "local v=redis.pcall('GET',k)\n"
                                                          "if not v then return {2,0,0} end\n"
                                                          "if type(v)=='table' then return v end\n"
                                                          "if string.sub(v,1,#o)~=o then return {2,0,2} end\n"
                                                          "if ARGV[2]=='1' and v~=ARGV[3] then return {5,0,0} end\n"
                                                          "redis.call('DEL',k)\n"
                                                          "return {0,0,0}";
static const char mcpsess_i_rstore_delete_sha1[] MCPSESS_ROM = "221a139384aaa16f277731a2fe9d4b9f8903ffce";

/* From now on the token ARGV[2] has the lease l, whose holder was h, for n ms, with c, its fence f. The fence is
   written first, so that no holder is without, and again with every extension: it must outlive the lease. '%.0f'
   because Lua writes a number of its size with an exponent. */
#define MCPSESS_I_RSTORE_HOLD                        \
    "f=tonumber(f)\n"                                \
    "if not h or not f then\n"                       \
    "local t=redis.call('TIME')\n"                   \
    "f=math.max((f or 0)+1,t[1]*1000000+t[2]) end\n" \
    "f=string.format('%.0f',f)\n"                    \
    "redis.call('SET',c,f,'PX',n..'00')\n"           \
    "redis.call('SET',l,ARGV[2],'PX',n)\n"           \
    "return {0,redis.call('PTTL',l),tonumber(f)}"

/* KEYS: of the lease, of its fence. ARGV: 0 acquire, 1 extend, 2 release; token; TTL. */
static const char mcpsess_i_rstore_lease[] MCPSESS_ROM = "local l,c,m,n=KEYS[1],KEYS[2],ARGV[1],ARGV[3]\n"
                                                         "local h,f=redis.pcall('GET',l),redis.pcall('GET',c)\n"
                                                         "if type(h)=='table' then return h end\n"
                                                         "if type(f)=='table' then return f end\n"
                                                         "if h~=ARGV[2] then\n"
                                                         "if m~='0' then return {5,0,0} end\n"
                                                         "if h then return {6,redis.call('PTTL',l),0} end end\n"
                                                         "if m=='2' then redis.call('DEL',l)\n"
                                                         "return {0,0,0} end\n" MCPSESS_I_RSTORE_HOLD;
static const char mcpsess_i_rstore_lease_sha1[] MCPSESS_ROM = "4744c47ceb331fd11cb7fcd06a5522d89d095a9e";

enum { MCPSESS_I_RSTORE_READ, MCPSESS_I_RSTORE_WRITE, MCPSESS_I_RSTORE_DELETE, MCPSESS_I_RSTORE_LEASE };

#define MCPSESS_I_RSTORE_SCRIPT(name) \
    { mcpsess_i_rstore_##name, mcpsess_i_rstore_##name##_sha1, (uint16_t)(sizeof mcpsess_i_rstore_##name - 1u) }
static const mcpsess_redis_script mcpsess_i_rstore_scripts[] = {
    MCPSESS_I_RSTORE_SCRIPT(read), MCPSESS_I_RSTORE_SCRIPT(write), MCPSESS_I_RSTORE_SCRIPT(delete),
    MCPSESS_I_RSTORE_SCRIPT(lease)};

#ifndef MCPSESS_NO_STREAM

/* ==== logscripts ==== */
/* uses: redis */

/* KEYS: the companion, the events, the index. Each answers six numbers {code, epoch, last, extra, flags, left}, and
   events behind them. extra: of an open the writer's fence, of a reader the oldest event, or the bytes of one that did
   not fit, of a delete how many events went. flags: 1 streaming, 2 complete, 4 another owner's, and 8 for each event
   behind. left: of the lease.

   The companion: e epoch, w writer's fence, t its token, q the request that began the log, s streaming, d done, o
   owner, and z, what an append changes, as six doubles in one string, which is much cheaper than six numbers in text: l
   last sequence, b bytes of the events, g the lease ends, u the log lives until, k the events do, last written. y and x
   are as u and k, of the keys: set anew when what is left is not enough any more, so that an append hardly ever does
   it. All instants are the server's, in ms. An event's id is its sequence and the instant of its append. Numbers stay
   below 2^53.

   What fails, fails before anything is written: types are looked at first, and the first write is one that a full
   server refuses, and that is taken back where the user may not PEXPIRE. What is raised, not returned, is told in the
   words that every version has for it. */
/* a line of Lua is a line here */
/* clang-format off */

/* Reads the companion: these, and what else a script needs of it. */
#define MCPSESS_I_RLOG_FIELDS                                                                       \
    "local m,e,A,c=KEYS[1],KEYS[2],ARGV,redis.call\n"                                               \
    "local h=redis.pcall('HMGET',m,'e','w','o','d','s','z'"

#define MCPSESS_I_RLOG_NOW                                                                          \
    "if h.err then return h end\n"                                                                  \
    "local t=c('TIME')\n"                                                                           \
    "local now=t[1]*1000+math.floor(t[2]/1000)\n"                                                   \
    "local l,b,g,u,k,a=0,0,0,0,0,0\n"                                                               \
    "if h[6] then l,b,g,u,k,a=struct.unpack('<dddddd',h[6]) end\n"                                  \
    "local function Z() return struct.pack('<dddddd',l,b,g,u,k,now) end\n"

/* Ends where there is no such log of this owner. */
#define MCPSESS_I_RLOG_FOUND                                                                        \
    "if now>=u then return {2,0,0,0,0,0} end\n"                                                     \
    "if A[1]~='' and h[3]~=A[1] then return {2,0,0,0,4,0} end\n"                                    \
    "local f,j,x=tonumber(h[1]),h[5]+h[4]*2,tonumber(h[8])\n"

/* The key of a log that is to live until u lives for the TTL L more, until y, and longer than its events' key; the
   index lives a second longer. What is gone by now goes from the index, too. */
#define MCPSESS_I_RLOG_INDEX                                                                        \
    "y=math.max(u+L,(x or 0)+1000)\n"                                                               \
    "local i,n=KEYS[3],string.match(m,'}:(.*)')\n"                                                  \
    "local p=redis.pcall('ZRANGE',i,0,0)\n"                                                         \
    "if p.err then return p end\n"                                                                  \
    "c('ZADD',i,y,n)\n"                                                                             \
    "if c('PTTL',i)<y-now+1000 and type(redis.pcall('PEXPIRE',i,y-now+1000))=='table' then\n"       \
    "c('ZREM',i,n)\n"                                                                               \
    "c('PEXPIRE',i,1) end\n"                                                                        \
    "c('ZREMRANGEBYSCORE',i,'-inf',now)\n"

/* ARGV: owner's bytes, 1 if it counts, token, lease, the log's TTL; to begin anew, a name of this request, else none:
   one that is sent again, or comes late, begins nothing anew that it has begun. */
static const char mcpsess_i_rlog_open[] MCPSESS_ROM =
    MCPSESS_I_RLOG_FIELDS ",'t','x','q')\n"
    MCPSESS_I_RLOG_NOW
    "local there=now<u\n"
    "if there and A[2]=='1' and h[3]~=A[1] then return {2,0,0,0,4,0} end\n"
    "local f,w,x=tonumber(h[1] or 0),tonumber(h[2] or 0),h[8]\n"
    "local ours=there and g>now and h[7]==A[3]\n"
    "if there and g>now and not ours then return {6,f,l,0,h[5]+h[4]*2,g-now} end\n"
    "local fresh=A[6]~='' and A[6]~=h[9]\n"
    "if there and not fresh and h[4]=='1' then return {7,f,l,0,h[5]+2,0} end\n"
    "local us,anew=t[1]*1000000+t[2],not there or fresh\n"
    "if not ours then w=math.max(w+1,us) end\n"
    "local L,y=A[5]\n"
    "g,u=now+A[4],now+A[5]\n"
    "if not anew then u=math.max(u,k) end\n"
    MCPSESS_I_RLOG_INDEX
    "if anew then f,l,b,k=math.max(f+1,us),0,0,0\n"
    "c('DEL',e)\n"
    "c('HSET',m,'e',f,'w',w,'o',A[1],'d',0,'s',1,'t',A[3],'y',y,'x',0,'q',A[6],'z',Z())\n"
    "else c('HSET',m,'w',w,'t',A[3],'y',y,'z',Z()) end\n"
    "c('PEXPIRE',m,y-now)\n"
    "return {0,f,l,w,anew and 1 or tonumber(h[5]),tonumber(A[4])}";
static const char mcpsess_i_rlog_open_sha1[] MCPSESS_ROM = "c5533af2f3a89a3ac8b77b91b83a9a7d5c5dd157";

/* ARGV: owner's bytes or none, writer, epoch, what is confirmed, lease, the log's TTL; to append: sequence, the events'
   TTL, events and bytes at most, event; to set: none, streaming, done. An older epoch than the log's is one that a
   writer has been told to leave: an append that comes late clears nothing. A newer fence than the log's is no news if
   the log lacks nothing of its writer's. */
static const char mcpsess_i_rlog_write[] MCPSESS_ROM =
    MCPSESS_I_RLOG_FIELDS ",'y','x')\n"
    MCPSESS_I_RLOG_NOW
    MCPSESS_I_RLOG_FOUND
    "local lost=h[1]~=A[3] or tonumber(A[4])>l\n"
    "if h[2]~=A[2] and not (lost and tonumber(A[2])>tonumber(h[2])) then return {10,f,l,0,0,0} end\n"
    "local L,y=A[6],tonumber(h[7])\n"
    "local a={11,f,l,0,j,math.max(g-now,0)}\n"
    "g,u=now+A[5],math.max(now+A[6],k)\n"
    "if u+A[8]/2>y then\n"
    MCPSESS_I_RLOG_INDEX
    "c('HSET',m,'y',y)\n"
    "c('PEXPIRE',m,y-now) end\n"
    "if lost then\n"
    "if tonumber(A[3])<f then return a end\n"
    "f=math.max(f+1,tonumber(A[3])<2^52 and A[3]+1 or 0,t[1]*1000000+t[2])\n"
    "l=0\n"
    "c('DEL',e)\n"
    "c('HSET',m,'e',f,'w',A[2],'d',0,'z',Z())\n"
    "return {11,f,0,0,j%2,g-now} end\n"
    "if A[7]=='' then\n"
    "a[1]=0\n"
    "if h[4]=='1' then return a end\n"
    "if A[9]=='1' then g=0 end\n"
    "c('HSET',m,'s',A[8],'d',A[9],'z',Z())\n"
    "return {0,f,l,0,A[8]+A[9]*2,math.max(g-now,0)} end\n"
    "local s,v=tonumber(A[7]),A[11]\n"
    "if s<=l then\n"
    "local r=redis.pcall('XRANGE',e,A[7],A[7])\n"
    "if r.err then return r end\n"
    "a[1]=r[1] and r[1][2][2]~=v and 5 or 9\n"
    "return a end\n"
    "if s>l+1 or h[4]=='1' then a[1]=5\n"
    "return a end\n"
    "local n,z=redis.pcall('XLEN',e),#v+4\n"
    "if type(n)=='table' then return n end\n"
    "if n>0 and now>=k then c('DEL',e)\n"
    "n=0 end\n"
    "if n==0 then b=0 end\n"
    "local i,d,E,B=l-n+1,n,tonumber(A[9]),tonumber(A[10])\n"
    "while n>=E or n>0 and b+z>B do\n"
    "local r=c('XRANGE',e,i,'+','COUNT',math.max(math.min(n-E+1,100),b+z>B and 16 or 1))\n"
    "if #r==0 then n,b=0,0 end\n"
    "for _,q in ipairs(r) do\n"
    "if n>=E or b+z>B then n,b,i=n-1,b-#q[2][2]-4,i+1 end end end\n"
    "if n<d then c('XADD',e,'MAXLEN',n+1,A[7]..'-'..now,'event',v)\n"
    "else c('XADD',e,A[7]..'-'..now,'event',v) end\n"
    "l,b,k=s,b+z,now+A[8]\n"
    "if n==0 or k>x then\n"
    "x=k+math.floor(A[8]/2)\n"
    "c('PEXPIRE',e,x-now)\n"
    "c('HSET',m,'x',x) end\n"
    "c('HSET',m,'z',Z())\n"
    "return {0,f,s,0,j,g-now}";
static const char mcpsess_i_rlog_write_sha1[] MCPSESS_ROM = "50837cec85ebcd31f0b2af76a9c34da383b69f6b";

/* ARGV: owner's bytes or none, epoch or 0, sequence or none for the state alone, count, room, how old an event may be,
   TTL of the events or 0 to write nothing, of the log, how old the log may be. Events are one behind the other, so the
   oldest is known by their number, and whether it is too old by halves. As many are fetched at a time as should fit.
   A server that tracks single keys forgets one when it is written, so it is read afterwards. The first write is one
   that a full server takes, and then it takes the others: nobody's replay fails for a TTL. */
static const char mcpsess_i_rlog_read[] MCPSESS_ROM =
    MCPSESS_I_RLOG_FIELDS ",'y','x')\n"
    MCPSESS_I_RLOG_NOW
    MCPSESS_I_RLOG_FOUND
    "local n=0\n"
    "if now<k then n=redis.pcall('XLEN',e)\n"
    "if type(n)=='table' then return n end end\n"
    "local o,z,B=l-n+1,l+1,math.max(b,1)/math.max(n,1)\n"
    "local function old(s)\n"
    "local r=c('XRANGE',e,s,s)[1]\n"
    "return not r or string.match(r[1],'-(.*)')+A[6]<=now end\n"
    "if o<z and old(o) then\n"
    "while z-o>1 do\n"
    "local s=math.floor((o+z)/2)\n"
    "if old(s) then o=s else z=s end end\n"
    "o=z end\n"
    "local v=a\n"
    "a={0,f,l,o,j,math.max(g-now,0)}\n"
    "if A[3]=='' then return a end\n"
    "local s,q,w=A[3]+1,tonumber(A[4]),tonumber(A[5])\n"
    "if A[2]~='0' and A[2]~=h[1] or s<o or s>l+1 then a[1]=8\n"
    "return a end\n"
    "while q>0 and s<=l do\n"
    "local r=c('XRANGE',e,s,'+','COUNT',math.min(q,math.floor(w/B)+1))\n"
    "local d=#r\n"
    "if d==0 or tonumber(string.match(r[d][1],'%d+'))~=s+d-1 then return {8,f,l,o,j,a[6]} end\n"
    "for _,v in ipairs(r) do\n"
    "v=v[2][2]\n"
    "if #v+4>w then q=0\n"
    "if not a[7] then a[1],a[4]=-4,#v+4\n"
    "return a end\n"
    "break end\n"
    "w=w-#v-4\n"
    "a[#a+1]=v end\n"
    "s,q=s+d,q-d end\n"
    "a[5]=j+8*(#a-6)\n"
    "local K,U=k,u\n"
    "if n>0 and (k-now)*2<tonumber(A[7]) then K=math.max(k,math.min(now+A[7],v+A[6])) end\n"
    "if A[7]~='0' and (u-now)*2<tonumber(A[8]) then U=math.min(now+A[8],v+A[9]) end\n"
    "U=math.max(u,U,K)\n"
    "if K>k or U>u then\n"
    "local L,y=A[8],tonumber(h[7])\n"
    "c('PEXPIRE',m,y-now)\n"
    "u,k=U,K\n"
    "if u+A[7]/2>y then\n"
    MCPSESS_I_RLOG_INDEX
    "c('PEXPIRE',m,y-now) end\n"
    "if K>x then x=K+math.floor(A[7]/2)\n"
    "c('PEXPIRE',e,x-now) end\n"
    "c('HSET',m,'x',x,'y',y,'z',struct.pack('<dddddd',l,b,g,u,k,v))\n"
    "c('HMGET',m,'e') end\n"
    "return a";
static const char mcpsess_i_rlog_read_sha1[] MCPSESS_ROM = "252bac4221113d07948478d0556d22c7f8b5bc39";

/* KEYS: of one log; or, for all of a session, the index alone, which names the others; they share its slot. ARGV:
   owner's bytes or none. */
static const char mcpsess_i_rlog_delete[] MCPSESS_ROM =
    "local i,c=KEYS[#KEYS],redis.call\n"
    "local p,g=string.match(i,'^(.*)i:({.*)$')\n"
    "local names,mine,n=KEYS[2] and {string.match(KEYS[1],'}:(.*)')} or redis.pcall('ZRANGE',i,0,-1),{},0\n"
    "if names.err then return names end\n"
    "local t=c('TIME')\n"
    "local now=t[1]*1000+math.floor(t[2]/1000)\n"
    "for _,s in ipairs(names) do\n"
    "local m,e=p..'m:'..g..':'..s,p..'e:'..g..':'..s\n"
    "local h=redis.pcall('HMGET',m,'o','z')\n"
    "if h.err then return h end\n"
    "if ARGV[1]=='' or not h[1] or h[1]==ARGV[1] then\n"
    "local u,k=struct.unpack('<dd',h[2] or string.rep('\\0',40),25)\n"
    "if now<math.min(u,k) then\n"
    "k=redis.pcall('XLEN',e)\n"
    "if type(k)=='table' then return k end\n"
    "n=n+k end\n"
    "mine[#mine+1]={m,e,s} end end\n"
    "for _,k in ipairs(mine) do\n"
    "c('DEL',k[1],k[2])\n"
    "c('ZREM',i,k[3]) end\n"
    "return {0,0,0,n,0,0}";
static const char mcpsess_i_rlog_delete_sha1[] MCPSESS_ROM = "b3017ade347065a28a59d09e57377e7ae5c37a23";

/* clang-format on */

enum { MCPSESS_I_RLOG_OPEN, MCPSESS_I_RLOG_WRITE, MCPSESS_I_RLOG_READ, MCPSESS_I_RLOG_DELETE };

#define MCPSESS_I_RLOG_SCRIPT(name) \
    { mcpsess_i_rlog_##name, mcpsess_i_rlog_##name##_sha1, (uint16_t)(sizeof mcpsess_i_rlog_##name - 1u) }
static const mcpsess_redis_script mcpsess_i_rlog_scripts[] = {MCPSESS_I_RLOG_SCRIPT(open), MCPSESS_I_RLOG_SCRIPT(write),
                                                              MCPSESS_I_RLOG_SCRIPT(read),
                                                              MCPSESS_I_RLOG_SCRIPT(delete)};

#endif /* MCPSESS_NO_STREAM */

#ifndef MCPSESS_NO_FLIGHT

/* ==== flagscripts ==== */
/* uses: redis */

/* As the scripts of records, {code, left, extra} and the data; keys of another type than a string are left alone. What
   is stored begins with the fingerprint's length, so a flag of another fingerprint begins otherwise, however long that
   is. Lease and flag are both read by all, and again when they were written: whoever asked hears of what changes next,
   also from a server that tracks single keys. */

/* KEYS: of the lease, of its fence, of the flag. ARGV: what the flag begins with; token or none to look only; TTL; room
   for the data or none. Data that does not fit is left alone, and nothing acquired. */
static const char mcpsess_i_rflag_claim[] MCPSESS_ROM =
    "local l,c,k,p,n=KEYS[1],KEYS[2],KEYS[3],ARGV[1],ARGV[3]\n"
    "local h,f,v=redis.pcall('GET',l),redis.pcall('GET',c),redis.pcall('GET',k)\n"
    "if type(h)=='table' then return h end\n"
    "if type(f)=='table' then return f end\n"
    "if type(v)=='table' then return v end\n"
    "if v and string.sub(v,1,#p)==p then\n"
    "if ARGV[4]~='' and #v-#p>tonumber(ARGV[4]) then\n"
    "return {-4,#v-#p,0} end\n"
    "local a={ARGV[2]=='' and 0 or 4,redis.call('PTTL',k),0}\n"
    "if ARGV[4]~='' then a[4]=string.sub(v,#p+1) end\n"
    "return a end\n"
    "if h and h~=ARGV[2] then return {6,redis.call('PTTL',l),0} end\n"
    "if ARGV[2]=='' then return {2,0,0} end\n" MCPSESS_I_RSTORE_HOLD;
static const char mcpsess_i_rflag_claim_sha1[] MCPSESS_ROM = "a082997cf4c3bd3e7d72476ff872435c8575f3b2";

/* KEYS: of the lease, of the flag. ARGV: token or none; what to store; TTL. The flag is written first: a full server
   refuses that, and the lease stays. */
static const char mcpsess_i_rflag_set[] MCPSESS_ROM = "local l,k,o=KEYS[1],KEYS[2],ARGV[1]\n"
                                                      "local h,v=redis.pcall('GET',l),redis.pcall('GET',k)\n"
                                                      "if type(h)=='table' then return h end\n"
                                                      "if type(v)=='table' then return v end\n"
                                                      "if o~='' and h~=o then return {5,0,0} end\n"
                                                      "redis.call('SET',k,ARGV[2],'PX',ARGV[3])\n"
                                                      "if o~='' then redis.call('DEL',l) end\n"
                                                      "redis.call('PTTL',l)\n"
                                                      "return {0,redis.call('PTTL',k),0}";
static const char mcpsess_i_rflag_set_sha1[] MCPSESS_ROM = "80c07d7c9cb2d16ddaa7dd98377837befc82f176";

/* KEYS: of the lease, of the flag. ARGV: 1 to end the lease as well. */
static const char mcpsess_i_rflag_clear[] MCPSESS_ROM = "local l,k,m=KEYS[1],KEYS[2],ARGV[1]\n"
                                                        "local h,v=redis.pcall('GET',l),redis.pcall('GET',k)\n"
                                                        "if type(h)=='table' then return h end\n"
                                                        "if type(v)=='table' then return v end\n"
                                                        "local n=redis.call('DEL',k)\n"
                                                        "if m=='1' then n=n+redis.call('DEL',l) end\n"
                                                        "redis.call('PTTL',l)\n"
                                                        "redis.call('PTTL',k)\n"
                                                        "return {n>0 and 0 or 2,0,0}";
static const char mcpsess_i_rflag_clear_sha1[] MCPSESS_ROM = "c4ce737a91cdfa36c7e55e814a0828cabf900402";

enum { MCPSESS_I_RFLAG_CLAIM, MCPSESS_I_RFLAG_SET, MCPSESS_I_RFLAG_CLEAR };

#define MCPSESS_I_RFLAG_SCRIPT(name) \
    { mcpsess_i_rflag_##name, mcpsess_i_rflag_##name##_sha1, (uint16_t)(sizeof mcpsess_i_rflag_##name - 1u) }
static const mcpsess_redis_script mcpsess_i_rflag_scripts[] = {
    MCPSESS_I_RFLAG_SCRIPT(claim), MCPSESS_I_RFLAG_SCRIPT(set), MCPSESS_I_RFLAG_SCRIPT(clear)};

#endif /* MCPSESS_NO_FLIGHT */

/* ==== keys ==== */
/* uses: base store resp */

/* Written as it is, in an id and in the prefix? */
static bool mcpsess_i_rstore_plain(char c) {
    return c >= 0x21 && c <= 0x7E && c != '%' && c != '{' && c != '}';
}

static char mcpsess_i_rstore_hex(unsigned digit) {
    return (char)(digit < 10u ? '0' + digit : 'A' + digit - 10u);
}

static size_t mcpsess_i_rstore_escaped(mcpsess_str text) {
    size_t i, len = text.len;
    for (i = 0; i < text.len; i++) len += mcpsess_i_rstore_plain(text.ptr[i]) ? 0u : 2u;
    return len;
}

static void mcpsess_i_rstore_escape(mcpsess_buf *out, mcpsess_str text) {
    size_t i, from = 0;
    for (i = 0; i < text.len; i++) {
        unsigned c = (unsigned char)text.ptr[i];
        if (mcpsess_i_rstore_plain(text.ptr[i])) continue;
        mcpsess_buf_put(out, mcpsess_str_of(text.ptr + from, i - from));
        mcpsess_buf_put_char(out, '%');
        mcpsess_buf_put_char(out, mcpsess_i_rstore_hex(c >> 4));
        mcpsess_buf_put_char(out, mcpsess_i_rstore_hex(c & 15u));
        from = i + 1;
    }
    mcpsess_buf_put(out, mcpsess_str_of(text.ptr + from, text.len - from));
}

/* As an argument: prefix, space, ":{", the id escaped, "}"; of a stream, or a flag, ":" and its name escaped. */
static void mcpsess_i_rstore_put_key(const mcpsess_redis_store *s, char space, mcpsess_str id,
                                     const mcpsess_str *stream, mcpsess_buf *out) {
    size_t len = s->i.prefix_len + 4u + mcpsess_i_rstore_escaped(id);
    if (stream != NULL) len += 1u + mcpsess_i_rstore_escaped(*stream);
    mcpsess_resp_put_number(out, MCPSESS_RESP_BULK, (int64_t)len);
    mcpsess_buf_put(out, mcpsess_str_of(s->i.prefixes[0], s->i.prefix_len));
    mcpsess_buf_put_char(out, space);
    mcpsess_buf_put(out, MCPSESS_STR(":{"));
    mcpsess_i_rstore_escape(out, id);
    mcpsess_buf_put_char(out, '}');
    if (stream != NULL) {
        mcpsess_buf_put_char(out, ':');
        mcpsess_i_rstore_escape(out, *stream);
    }
    mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
}

/* -> 0..15, 255: no digit that put_key writes */
static unsigned mcpsess_i_rstore_digit(char c) {
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10u : 255u;
}

/* The byte at the front of what put_key wrote. false: it would not write that. */
static bool mcpsess_i_rstore_take(mcpsess_str *text, char *c) {
    unsigned high, low;
    *c = text->ptr[0];
    if (mcpsess_i_rstore_plain(*c)) {
        *text = mcpsess_str_of(text->ptr + 1, text->len - 1u);
        return true;
    }
    if (*c != '%' || text->len < 3u) return false;
    high = mcpsess_i_rstore_digit(text->ptr[1]);
    low = mcpsess_i_rstore_digit(text->ptr[2]);
    if (high > 15u || low > 15u) return false;
    *c = (char)(unsigned char)(high << 4 | low);
    *text = mcpsess_str_of(text->ptr + 3, text->len - 3u);
    return !mcpsess_i_rstore_plain(*c);
}

/* The id that a key with this prefix was made of, and what is behind it, which should begin with '}'. false: it is none
   of this store. */
static bool mcpsess_i_rstore_id(mcpsess_str prefix, mcpsess_str *key, mcpsess_buf *id) {
    char c;
    if (key->len <= prefix.len || memcmp(key->ptr, prefix.ptr, prefix.len) != 0) return false;
    if (key->ptr[prefix.len] != '{') return false;
    *key = mcpsess_str_of(key->ptr + prefix.len + 1u, key->len - prefix.len - 1u);
    while (key->len > 0 && key->ptr[0] != '}') {
        if (!mcpsess_i_rstore_take(key, &c)) return false;
        mcpsess_buf_put_char(id, c);
    }
    return id->len > 0 && !id->overflow;
}

/* Is this what stands behind the id? Nothing; of a log the stream's name, whatever it is; of a lease nothing, or that
   it is the flag. */
static bool mcpsess_i_rstore_tail(int of, mcpsess_str tail) {
    if (of == MCPSESS_OF_LOGS) return tail.len >= 2u && tail.ptr[1] == ':';
    return tail.len == 1u || (of == MCPSESS_OF_FLAGS && mcpsess_str_eq(tail, MCPSESS_STR("}:f")));
}

static void mcpsess_i_rstore_tell(const mcpsess_redis_store *s, int of, mcpsess_str key) {
    const mcpsess_listener *to = s->i.listeners[of];
    char mem[MCPSESS_ID_MAX];
    mcpsess_buf id;
    if (to == NULL) return;
    mcpsess_buf_init(&id, mem, sizeof mem);
    if (key.len > 0 && (!mcpsess_i_rstore_id(s->i.modules[of].prefix, &key, &id) || !mcpsess_i_rstore_tail(of, key))) {
        return;
    }
    to->changed(to->user, mcpsess_buf_str(&id));
}

static void mcpsess_i_rstore_changed(void *user, mcpsess_str key) {
    mcpsess_i_rstore_tell((const mcpsess_redis_store *)user, MCPSESS_OF_RECORDS, key);
}

#ifndef MCPSESS_NO_STREAM
static void mcpsess_i_rlog_changed(void *user, mcpsess_str key) {
    mcpsess_i_rstore_tell((const mcpsess_redis_store *)user, MCPSESS_OF_LOGS, key);
}
#endif

#ifndef MCPSESS_NO_FLIGHT
static void mcpsess_i_rflag_changed(void *user, mcpsess_str key) {
    mcpsess_i_rstore_tell((const mcpsess_redis_store *)user, MCPSESS_OF_FLAGS, key);
}
#endif

/* ==== args ==== */
/* uses: base record store resp redis */

/* No TTL is longer: with it 100 times as long is a whole number for Lua, and an instant for the server. */
#define MCPSESS_I_RSTORE_TTL_MAX 0x1FFFFFFFFFFFu /* 1,115 years */

static uint64_t mcpsess_i_rstore_cap(uint64_t ttl_ms) {
    return ttl_ms < MCPSESS_I_RSTORE_TTL_MAX ? ttl_ms : MCPSESS_I_RSTORE_TTL_MAX;
}

static void mcpsess_i_rstore_put_arg(mcpsess_buf *out, mcpsess_str s) {
    mcpsess_resp_put_bytes(out, MCPSESS_RESP_BULK, s);
}

static void mcpsess_i_rstore_put_number(mcpsess_buf *out, uint64_t v) {
    char mem[20];
    mcpsess_buf text;
    mcpsess_buf_init(&text, mem, sizeof mem);
    mcpsess_buf_put_u64(&text, v);
    mcpsess_i_rstore_put_arg(out, mcpsess_buf_str(&text));
}

/* submit has checked the owner */
static void mcpsess_i_rstore_put_principal(mcpsess_buf *out, const mcpsess_principal *who) {
    char mem[MCPSESS_RECORD_OWNER_MAX];
    mcpsess_buf owner;
    mcpsess_buf_init(&owner, mem, sizeof mem);
    if (mcpsess_record_owner(who, &owner) != MCPSESS_OK) out->overflow = true;
    mcpsess_i_rstore_put_arg(out, mcpsess_buf_str(&owner));
}

/* None at all means that everybody's are seen. */
static void mcpsess_i_rstore_put_owner(mcpsess_buf *out, const mcpsess_request *r) {
    if (r->guarded) {
        mcpsess_i_rstore_put_principal(out, &r->owner);
    } else {
        mcpsess_i_rstore_put_arg(out, MCPSESS_STR(""));
    }
}

static void mcpsess_i_rstore_put_head(mcpsess_buf *out, const mcpsess_redis_script *script, uint8_t keys,
                                      uint8_t args) {
    char digest[40];
    uint8_t n;
    for (n = 0; n < sizeof digest; n++) digest[n] = (char)MCPSESS_ROM_U8(script->sha1 + n);
    mcpsess_resp_put_number(out, MCPSESS_RESP_ARRAY, 3 + keys + args);
    mcpsess_i_rstore_put_arg(out, MCPSESS_STR("EVALSHA"));
    mcpsess_i_rstore_put_arg(out, mcpsess_str_of(digest, sizeof digest));
    mcpsess_i_rstore_put_number(out, keys);
}

/* Does the request ask for what is stored? */
static bool mcpsess_i_rstore_wants_value(const mcpsess_request *r) {
    bool reads = r->kind == MCPSESS_GET || r->kind == MCPSESS_FLAG_GET || r->kind == MCPSESS_FLAG_CLAIM;
    return reads && r->out != NULL;
}

/* The room that there is for it. */
static void mcpsess_i_rstore_put_room(mcpsess_buf *out, const mcpsess_request *r) {
    if (!mcpsess_i_rstore_wants_value(r)) {
        mcpsess_i_rstore_put_arg(out, MCPSESS_STR(""));
    } else if (r->out->overflow) {
        mcpsess_i_rstore_put_arg(out, MCPSESS_STR("-1")); /* not even an empty value fits */
    } else {
        mcpsess_i_rstore_put_number(out, r->out->cap - r->out->len);
    }
}

/* PTTL as left_ms */
static uint64_t mcpsess_i_rstore_left(int64_t pttl) {
    if (pttl == -1) return MCPSESS_NEVER;
    return pttl < 0 ? 0 : (uint64_t)pttl;
}

static size_t mcpsess_i_rstore_size(int64_t bytes) {
    if (bytes < 0) return 0;
    return (uint64_t)bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes;
}

/* What is left of a lease that was asked for at begun_ms, less what two clocks may differ by. */
static uint64_t mcpsess_i_rstore_valid(uint64_t ttl_ms, uint64_t begun_ms, uint64_t now_ms) {
    uint64_t lost_ms = mcpsess_time_left(begun_ms, now_ms) + ttl_ms / 128u + 2u;
    return lost_ms < ttl_ms ? ttl_ms - lost_ms : 0;
}

static void mcpsess_i_rstore_foreign(mcpsess_redis_store *s, const mcpsess_request *r) {
    s->stats.foreign++;
    if (s->i.log.log == NULL) return;
    s->i.log.log(s->i.log.user, MCPSESS_LOG_WARN, MCPSESS_ITEM_FOREIGN_OWNER, r->key, s->stats.foreign);
}

static void mcpsess_i_rstore_end(mcpsess_request *r, int rc, uint64_t left_ms, uint64_t fence) {
    r->left_ms = left_ms;
    r->fence = fence;
    r->rc = rc;
}

/* Takes a request out of those that are pending; link is the next one of each. */
static void mcpsess_i_rstore_forget(mcpsess_request **pending, const mcpsess_request *r) {
    mcpsess_request *before = *pending;
    if (before == r) {
        *pending = (mcpsess_request *)r->i.link;
        return;
    }
    while (before != NULL && before->i.link != r) before = (mcpsess_request *)before->i.link;
    if (before != NULL) before->i.link = r->i.link;
}

/* The store is closed. */
static void mcpsess_i_rstore_end_all(mcpsess_redis *redis, mcpsess_request **pending) {
    mcpsess_request *r = *pending;
    *pending = NULL;
    while (r != NULL) {
        mcpsess_request *next = (mcpsess_request *)r->i.link;
        mcpsess_redis_drop(redis, r);
        mcpsess_i_rstore_end(r, MCPSESS_E_CLOSED, 0, 0);
        r = next;
    }
}

#ifndef MCPSESS_NO_STREAM

/* ==== rlogs ==== */
/* uses: base event record store resp wire logscripts keys args */

/* -- requests -- */

/* While a request is pending, i.slot of a range is how many events are asked for, 0 for any number, and need how many
   bytes of them there are behind what out holds; i.slot of an open is its number. */

/* Larger than any sequence, and still a whole number for Lua. */
#define MCPSESS_I_RLOG_NUMBER_MAX (UINT64_C(1) << 53)

static void mcpsess_i_rlog_put_number(mcpsess_buf *out, uint64_t v) {
    mcpsess_i_rstore_put_number(out, v < MCPSESS_I_RLOG_NUMBER_MAX ? v : MCPSESS_I_RLOG_NUMBER_MAX);
}

/* How long a log lives after it was written: not shorter than its events, of which limits_of takes care. */
static uint64_t mcpsess_i_rlog_ttl(const mcpsess_log_limits *l) {
    return mcpsess_i_rstore_cap(l->log_ttl_ms < l->log_max_ms ? l->log_ttl_ms : l->log_max_ms);
}

static void mcpsess_i_rlog_put_head(const mcpsess_redis_store *s, const mcpsess_log_request *r, uint8_t script,
                                    uint8_t args, mcpsess_buf *out) {
    mcpsess_i_rstore_put_head(out, &mcpsess_i_rlog_scripts[script], 3, args);
    mcpsess_i_rstore_put_key(s, 'm', r->request.key, &r->log.stream, out);
    mcpsess_i_rstore_put_key(s, 'e', r->request.key, &r->log.stream, out);
    mcpsess_i_rstore_put_key(s, 'i', r->request.key, NULL, out);
}

/* A name of the request, unlike that of any other of its token: an empty one if it is to begin nothing anew. */
static void mcpsess_i_rlog_put_name(mcpsess_buf *out, const mcpsess_log_request *r) {
    char mem[32];
    mcpsess_buf name;
    mcpsess_buf_init(&name, mem, sizeof mem);
    if (r->log.fresh) {
        mcpsess_buf_put_u64(&name, r->request.fence);
        mcpsess_buf_put_char(&name, '.');
        mcpsess_buf_put_u64(&name, r->request.i.slot);
    }
    mcpsess_i_rstore_put_arg(out, mcpsess_buf_str(&name));
}

static void mcpsess_i_rlog_encode_open(const mcpsess_redis_store *s, const mcpsess_log_request *r, mcpsess_buf *out) {
    mcpsess_log_limits limits = mcpsess_log_limits_of(r->log.limits);
    mcpsess_i_rlog_put_head(s, r, MCPSESS_I_RLOG_OPEN, 6, out);
    mcpsess_i_rstore_put_principal(out, &r->request.owner);
    mcpsess_i_rstore_put_number(out, r->request.guarded ? 1u : 0u);
    mcpsess_i_rstore_put_arg(out, r->request.value);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(r->request.ttl_ms));
    mcpsess_i_rstore_put_number(out, mcpsess_i_rlog_ttl(&limits));
    mcpsess_i_rlog_put_name(out, r);
}

/* The event without its length, which the server counts itself. */
static void mcpsess_i_rlog_put_event(mcpsess_buf *out, const mcpsess_event *e) {
    size_t at;
    mcpsess_resp_put_number(out, MCPSESS_RESP_BULK, (int64_t)(mcpsess_event_bytes(e) - 4u));
    at = out->len;
    if (mcpsess_event_put(e, out) != MCPSESS_OK) {
        out->overflow = true;
        return;
    }
    memmove(out->ptr + at, out->ptr + at + 4, out->len - at - 4u);
    out->len -= 4u;
    mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
}

static void mcpsess_i_rlog_encode_write(const mcpsess_redis_store *s, const mcpsess_log_request *r, mcpsess_buf *out) {
    mcpsess_log_limits limits = mcpsess_log_limits_of(r->log.limits);
    bool append = r->request.kind == MCPSESS_LOG_APPEND;
    mcpsess_i_rlog_put_head(s, r, MCPSESS_I_RLOG_WRITE, append ? 11 : 9, out);
    mcpsess_i_rstore_put_owner(out, &r->request);
    mcpsess_i_rlog_put_number(out, r->log.writer);
    mcpsess_i_rlog_put_number(out, r->log.epoch);
    mcpsess_i_rlog_put_number(out, append ? r->log.confirmed : r->log.sequence);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(r->request.ttl_ms));
    mcpsess_i_rstore_put_number(out, mcpsess_i_rlog_ttl(&limits));
    if (append) {
        mcpsess_i_rlog_put_number(out, r->log.sequence);
        mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.event_ttl_ms));
        mcpsess_i_rstore_put_number(out, limits.events);
        mcpsess_i_rstore_put_number(out, limits.bytes);
        mcpsess_i_rlog_put_event(out, &r->log.event);
    } else {
        mcpsess_i_rstore_put_arg(out, MCPSESS_STR(""));
        mcpsess_i_rstore_put_number(out, r->log.streaming ? 1u : 0u);
        mcpsess_i_rstore_put_number(out, r->log.done ? 1u : 0u);
    }
}

static void mcpsess_i_rlog_encode_read(const mcpsess_redis_store *s, const mcpsess_log_request *r, mcpsess_buf *out) {
    mcpsess_log_limits limits = mcpsess_log_limits_of(r->log.limits);
    const mcpsess_request *q = &r->request;
    bool range = q->kind == MCPSESS_LOG_RANGE, keep = range && q->ttl_ms != 0;
    mcpsess_i_rlog_put_head(s, r, MCPSESS_I_RLOG_READ, 9, out);
    mcpsess_i_rstore_put_owner(out, q);
    mcpsess_i_rlog_put_number(out, r->log.epoch);
    if (range) {
        mcpsess_i_rlog_put_number(out, r->log.sequence);
    } else {
        mcpsess_i_rstore_put_arg(out, MCPSESS_STR(""));
    }
    mcpsess_i_rstore_put_number(out, q->i.slot != 0 ? q->i.slot : UINT32_MAX);
    mcpsess_i_rstore_put_number(out, range && !q->out->overflow ? q->out->cap - q->out->len : 0u);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.event_max_ms));
    mcpsess_i_rstore_put_number(out, keep ? mcpsess_i_rstore_cap(limits.event_ttl_ms) : 0u);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rlog_ttl(&limits));
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.log_max_ms));
}

static void mcpsess_i_rlog_encode_delete(const mcpsess_redis_store *s, const mcpsess_log_request *r, mcpsess_buf *out) {
    if (r->log.stream.ptr != NULL) {
        mcpsess_i_rlog_put_head(s, r, MCPSESS_I_RLOG_DELETE, 1, out);
    } else {
        mcpsess_i_rstore_put_head(out, &mcpsess_i_rlog_scripts[MCPSESS_I_RLOG_DELETE], 1, 1);
        mcpsess_i_rstore_put_key(s, 'i', r->request.key, NULL, out);
    }
    mcpsess_i_rstore_put_owner(out, &r->request);
}

static void mcpsess_i_rlog_encode(void *user, void *request, mcpsess_buf *out) {
    const mcpsess_redis_store *s = (const mcpsess_redis_store *)user;
    const mcpsess_log_request *r = (const mcpsess_log_request *)request;
    switch (r->request.kind) {
    case MCPSESS_LOG_OPEN: mcpsess_i_rlog_encode_open(s, r, out); break;
    case MCPSESS_LOG_APPEND:
    case MCPSESS_LOG_SET: mcpsess_i_rlog_encode_write(s, r, out); break;
    case MCPSESS_LOG_DEL: mcpsess_i_rlog_encode_delete(s, r, out); break;
    default: mcpsess_i_rlog_encode_read(s, r, out); break;
    }
}

/* -- replies -- */

static bool mcpsess_i_rlog_wants_events(const mcpsess_redis_store *s, const mcpsess_request *r) {
    return r->kind == MCPSESS_LOG_RANGE && s->i.numbers[0] == MCPSESS_OK && !r->out->overflow;
}

/* A piece of an event goes behind those before it, with its length in front, where it does not count until the request
   is done. */
static bool mcpsess_i_rlog_event(const mcpsess_redis_store *s, mcpsess_request *r, const mcpsess_resp_item *item) {
    char *to;
    size_t left;
    unsigned n;
    if (!mcpsess_i_rlog_wants_events(s, r)) return false;
    to = r->out->ptr + r->out->len + r->need;
    left = r->out->cap - r->out->len - r->need;
    if ((uint64_t)item->number == (uint64_t)item->left + item->text.len) { /* its first */
        if ((r->i.slot != 0 && r->count == r->i.slot) || left < 4u || (uint64_t)item->number > left - 4u) return false;
        for (n = 0; n < 4u; n++) *to++ = (char)(unsigned char)((uint64_t)item->number >> 8u * n & 0xFFu);
        r->need += 4u;
        r->count++;
    }
    if (item->text.len > 0) memcpy(to, item->text.ptr, item->text.len);
    r->need += item->text.len;
    return true;
}

/* Is this a code that the request's script answers? */
static bool mcpsess_i_rlog_known(uint8_t kind, int64_t code) {
    unsigned codes = 1u << MCPSESS_OK | 1u << MCPSESS_MISS;
    if (code == MCPSESS_E_TOOBIG) return kind == MCPSESS_LOG_RANGE;
    switch (kind) {
    case MCPSESS_LOG_OPEN: codes |= 1u << MCPSESS_BUSY | 1u << MCPSESS_END; break;
    case MCPSESS_LOG_APPEND:
        codes |= 1u << MCPSESS_DUP | 1u << MCPSESS_LOST; /* and */
    /* fall through */
    case MCPSESS_LOG_SET: codes |= 1u << MCPSESS_FENCED | 1u << MCPSESS_LOST_TAIL; break;
    case MCPSESS_LOG_RANGE: codes |= 1u << MCPSESS_GAP; break;
    case MCPSESS_LOG_DEL: codes = 1u << MCPSESS_OK; break;
    default: break;
    }
    return code >= 0 && code <= MCPSESS_LOST_TAIL && (codes >> code & 1u) != 0;
}

/* Is the reply what the request's script answers? Where there is a log it has an epoch. */
static bool mcpsess_i_rlog_sound(const mcpsess_redis_store *s, const mcpsess_request *r) {
    const int64_t *n = s->i.numbers;
    unsigned k;
    if (s->i.items != 6u || !mcpsess_i_rlog_known(r->kind, n[0])) return false;
    for (k = 1; k < 6u; k++) {
        if (n[k] < 0) return false;
    }
    if (r->kind == MCPSESS_LOG_OPEN && n[0] == MCPSESS_OK && n[3] == 0) return false;
    if ((uint64_t)n[4] >> 3 != r->count) return false;
    return n[1] > 0 || n[0] == MCPSESS_MISS || r->kind == MCPSESS_LOG_DEL;
}

static void mcpsess_i_rlog_item(void *user, void *request, const mcpsess_resp_item *item, mcpsess_str raw) {
    mcpsess_redis_store *s = (mcpsess_redis_store *)user;
    mcpsess_request *r = (mcpsess_request *)request;
    (void)raw;
    if (item->depth == 0) { /* begins a reply, perhaps after one that broke off */
        s->i.items = 0;
        s->i.bad = item->type != MCPSESS_RESP_ARRAY;
        r->need = 0;
        r->count = 0;
    } else if (item->depth == 1 && item->type == MCPSESS_RESP_INTEGER && s->i.items < 6u) {
        s->i.numbers[s->i.items++] = item->number;
    } else if (item->depth != 1 || item->type != MCPSESS_RESP_BULK || s->i.items != 6u) {
        s->i.bad = true;
    } else if (!mcpsess_i_rlog_event(s, r, item)) {
        s->i.bad = true;
    }
    if (s->i.bad || (item->ends && !mcpsess_i_rlog_sound(s, r))) mcpsess_redis_refuse(s->i.redis);
}

/* What there is to know of a log; of a writer's lease, what it may rely on. */
static void mcpsess_i_rlog_state(const mcpsess_redis_store *s, mcpsess_log_request *r) {
    const int64_t *n = s->i.numbers;
    if (n[0] == MCPSESS_MISS || n[0] == MCPSESS_FENCED || r->request.kind == MCPSESS_LOG_DEL) return;
    r->log.epoch = (uint64_t)n[1];
    r->log.last = (uint64_t)n[2];
    r->log.streaming = (n[4] & 1) != 0;
    r->log.done = (n[4] & 2) != 0;
}

static void mcpsess_i_rlog_answer(mcpsess_redis_store *s, mcpsess_log_request *r, uint64_t now_ms) {
    const int64_t *n = s->i.numbers;
    mcpsess_request *q = &r->request;
    int code = (int)n[0];
    uint64_t left_ms = (uint64_t)n[5];
    mcpsess_i_rlog_state(s, r);
    if ((n[4] & 4) != 0) mcpsess_i_rstore_foreign(s, q);
    if (code == MCPSESS_E_TOOBIG) {
        q->need = mcpsess_i_rstore_size(n[3]);
    } else if (q->kind == MCPSESS_LOG_DEL) {
        q->count = n[3] > UINT32_MAX ? UINT32_MAX : (uint32_t)n[3];
    } else if (q->kind == MCPSESS_LOG_RANGE || q->kind == MCPSESS_LOG_STATE) {
        r->log.first = (uint64_t)n[3];
    } else if (code != MCPSESS_BUSY) {
        left_ms = mcpsess_i_rstore_valid(left_ms, q->fence, now_ms);
    }
    if (q->kind == MCPSESS_LOG_OPEN && code == MCPSESS_OK) r->log.writer = (uint64_t)n[3];
    if (q->kind == MCPSESS_LOG_RANGE && code == MCPSESS_OK) q->out->len += q->need;
    mcpsess_i_rstore_end(q, code, left_ms, 0);
}

/* -> OK, or why it is not even asked */
static int mcpsess_i_rlog_check(mcpsess_log_request *r) {
    mcpsess_request *q = &r->request;
    uint64_t bytes;
    r->log.first = r->log.last = 0;
    if (q->kind == MCPSESS_LOG_OPEN) return mcpsess_principal_check(&q->owner);
    if (q->kind != MCPSESS_LOG_APPEND) return MCPSESS_OK;
    bytes = mcpsess_event_bytes(&r->log.event);
    if (bytes <= mcpsess_log_limits_of(r->log.limits).bytes) return MCPSESS_OK;
    q->need = bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes;
    return MCPSESS_E_TOOBIG;
}

#endif /* MCPSESS_NO_STREAM */

#ifndef MCPSESS_NO_FLIGHT

/* ==== rflags ==== */
/* uses: base store resp flagscripts keys args */

static void mcpsess_i_rflag_put_key(const mcpsess_redis_store *s, const mcpsess_request *r, mcpsess_buf *out) {
    const mcpsess_str flag = MCPSESS_STR("f");
    mcpsess_i_rstore_put_key(s, 'l', r->key, &flag, out);
}

/* The fingerprint as it is stored, with its length in front, and what is behind it. */
static void mcpsess_i_rflag_put_bytes(const mcpsess_request *r, mcpsess_str data, mcpsess_buf *out) {
    mcpsess_resp_put_number(out, MCPSESS_RESP_BULK, (int64_t)((uint64_t)1u + r->expect.len + data.len));
    mcpsess_buf_put_char(out, (char)(unsigned char)r->expect.len);
    mcpsess_buf_put(out, r->expect);
    mcpsess_buf_put(out, data);
    mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
}

/* A look is a claim by nobody. */
static void mcpsess_i_rflag_encode_claim(const mcpsess_redis_store *s, const mcpsess_request *r, mcpsess_buf *out) {
    bool claims = r->kind == MCPSESS_FLAG_CLAIM;
    mcpsess_i_rstore_put_head(out, &mcpsess_i_rflag_scripts[MCPSESS_I_RFLAG_CLAIM], 3, 4);
    mcpsess_i_rstore_put_key(s, 'l', r->key, NULL, out);
    mcpsess_i_rstore_put_key(s, 'f', r->key, NULL, out);
    mcpsess_i_rflag_put_key(s, r, out);
    mcpsess_i_rflag_put_bytes(r, MCPSESS_STR(""), out);
    mcpsess_i_rstore_put_arg(out, claims ? r->value : MCPSESS_STR(""));
    mcpsess_i_rstore_put_number(out, claims ? mcpsess_i_rstore_cap(r->ttl_ms) : 0u);
    mcpsess_i_rstore_put_room(out, r);
}

static void mcpsess_i_rflag_encode(void *user, void *request, mcpsess_buf *out) {
    const mcpsess_redis_store *s = (const mcpsess_redis_store *)user;
    const mcpsess_flag_request *f = (const mcpsess_flag_request *)request;
    const mcpsess_request *r = &f->request;
    bool set = r->kind == MCPSESS_FLAG_SET;
    if (!set && r->kind != MCPSESS_FLAG_CLEAR) {
        mcpsess_i_rflag_encode_claim(s, r, out);
        return;
    }
    mcpsess_i_rstore_put_head(out, &mcpsess_i_rflag_scripts[set ? MCPSESS_I_RFLAG_SET : MCPSESS_I_RFLAG_CLEAR], 2,
                              set ? 3 : 1);
    mcpsess_i_rstore_put_key(s, 'l', r->key, NULL, out);
    mcpsess_i_rflag_put_key(s, r, out);
    if (set) {
        mcpsess_i_rstore_put_arg(out, r->value);
        mcpsess_i_rflag_put_bytes(r, f->data, out);
        mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(r->ttl_ms));
    } else {
        mcpsess_i_rstore_put_number(out, r->mode == 1u ? 1u : 0u);
    }
}

#endif /* MCPSESS_NO_FLIGHT */

/* ==== redisstore ==== */
/* uses: base record store resp wire redis scripts logscripts flagscripts keys args rlogs rflags */

/* -- requests -- */

/* While a request is pending its results are scratch: left_ms its deadline, fence when it began. i.link is the next
   pending request, i.slot of a put one of: */
enum { MCPSESS_I_RSTORE_ASKED, MCPSESS_I_RSTORE_READ_BACK };

static void mcpsess_i_rstore_encode_read(const mcpsess_redis_store *s, const mcpsess_request *r, mcpsess_buf *out) {
    mcpsess_i_rstore_put_head(out, &mcpsess_i_rstore_scripts[MCPSESS_I_RSTORE_READ], 1, 3);
    mcpsess_i_rstore_put_key(s, 'r', r->key, NULL, out);
    mcpsess_i_rstore_put_owner(out, r);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(r->ttl_ms));
    mcpsess_i_rstore_put_room(out, r);
}

static void mcpsess_i_rstore_encode_write(const mcpsess_redis_store *s, const mcpsess_request *r, mcpsess_buf *out) {
    mcpsess_i_rstore_put_head(out, &mcpsess_i_rstore_scripts[MCPSESS_I_RSTORE_WRITE], 1, 5);
    mcpsess_i_rstore_put_key(s, 'r', r->key, NULL, out);
    mcpsess_i_rstore_put_number(out, r->i.slot == MCPSESS_I_RSTORE_READ_BACK ? 4u : r->mode);
    mcpsess_i_rstore_put_owner(out, r);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(r->ttl_ms));
    mcpsess_i_rstore_put_arg(out, r->value);
    mcpsess_i_rstore_put_arg(out, r->mode == MCPSESS_PUT_CAS ? r->expect : MCPSESS_STR(""));
}

static void mcpsess_i_rstore_encode_delete(const mcpsess_redis_store *s, const mcpsess_request *r, mcpsess_buf *out) {
    bool equal = r->kind == MCPSESS_DEL_EQUAL;
    mcpsess_i_rstore_put_head(out, &mcpsess_i_rstore_scripts[MCPSESS_I_RSTORE_DELETE], 1, 3);
    mcpsess_i_rstore_put_key(s, 'r', r->key, NULL, out);
    mcpsess_i_rstore_put_owner(out, r);
    mcpsess_i_rstore_put_number(out, equal ? 1u : 0u);
    mcpsess_i_rstore_put_arg(out, equal ? r->expect : MCPSESS_STR(""));
}

static void mcpsess_i_rstore_encode_lease(const mcpsess_redis_store *s, const mcpsess_request *r, mcpsess_buf *out) {
    mcpsess_i_rstore_put_head(out, &mcpsess_i_rstore_scripts[MCPSESS_I_RSTORE_LEASE], 2, 3);
    mcpsess_i_rstore_put_key(s, 'l', r->key, NULL, out);
    mcpsess_i_rstore_put_key(s, 'f', r->key, NULL, out);
    mcpsess_i_rstore_put_number(out, (uint64_t)r->kind - MCPSESS_LEASE_ACQUIRE);
    mcpsess_i_rstore_put_arg(out, r->value);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(r->ttl_ms));
}

static void mcpsess_i_rstore_encode(void *user, void *request, mcpsess_buf *out) {
    const mcpsess_redis_store *s = (const mcpsess_redis_store *)user;
    const mcpsess_request *r = (const mcpsess_request *)request;
    switch (r->kind) {
    case MCPSESS_GET:
    case MCPSESS_TOUCH: mcpsess_i_rstore_encode_read(s, r, out); break;
    case MCPSESS_PUT: mcpsess_i_rstore_encode_write(s, r, out); break;
    case MCPSESS_DEL:
    case MCPSESS_DEL_EQUAL: mcpsess_i_rstore_encode_delete(s, r, out); break;
    default: mcpsess_i_rstore_encode_lease(s, r, out); break;
    }
}

/* -- replies -- */

/* A piece of the value goes behind what out holds, where it does not count until the request is done: so there is
   nothing to undo when the connection ends in between. */
static bool mcpsess_i_rstore_value(mcpsess_request *r, const mcpsess_resp_item *item) {
    uint64_t at = (uint64_t)item->number - item->left - item->text.len;
    if (!mcpsess_i_rstore_wants_value(r) || r->out->overflow) return false;
    if ((uint64_t)item->number > r->out->cap - r->out->len) return false;
    if (item->text.len > 0) memcpy(r->out->ptr + r->out->len + (size_t)at, item->text.ptr, item->text.len);
    r->need = (size_t)item->number;
    return true;
}

/* Is this a code that the request's script answers? */
static bool mcpsess_i_rstore_known(const mcpsess_request *r, int64_t code) {
    unsigned codes = 1u << MCPSESS_OK;
    if (code == MCPSESS_E_TOOBIG) return mcpsess_i_rstore_wants_value(r);
    switch (r->kind) {
    case MCPSESS_PUT:
        codes |= 1u << (r->i.slot == MCPSESS_I_RSTORE_READ_BACK ? MCPSESS_PENDING : MCPSESS_EXISTS);
        codes |= 1u << MCPSESS_MISS | 1u << MCPSESS_LOST;
        break;
    case MCPSESS_DEL_EQUAL: codes |= 1u << MCPSESS_MISS | 1u << MCPSESS_LOST; break;
    case MCPSESS_LEASE_ACQUIRE: codes |= 1u << MCPSESS_BUSY; break;
    case MCPSESS_LEASE_EXTEND:
    case MCPSESS_LEASE_RELEASE:
    case MCPSESS_FLAG_SET: codes |= 1u << MCPSESS_LOST; break;
    case MCPSESS_FLAG_GET: codes |= 1u << MCPSESS_BUSY | 1u << MCPSESS_MISS; break;
    case MCPSESS_FLAG_CLAIM: codes |= 1u << MCPSESS_BUSY | 1u << MCPSESS_EXISTS; break;
    default: codes |= 1u << MCPSESS_MISS; break;
    }
    return code >= 0 && code <= MCPSESS_BUSY && (codes >> code & 1u) != 0;
}

/* Does the reply tell what is stored? */
static bool mcpsess_i_rstore_has_value(const mcpsess_redis_store *s, const mcpsess_request *r) {
    return mcpsess_i_rstore_wants_value(r) &&
           s->i.numbers[0] == (r->kind == MCPSESS_FLAG_CLAIM ? MCPSESS_EXISTS : MCPSESS_OK);
}

/* Does it say that a lease was got? */
static bool mcpsess_i_rstore_has_lease(const mcpsess_redis_store *s, const mcpsess_request *r) {
    bool asks = r->kind == MCPSESS_LEASE_ACQUIRE || r->kind == MCPSESS_LEASE_EXTEND || r->kind == MCPSESS_FLAG_CLAIM;
    return asks && s->i.numbers[0] == MCPSESS_OK;
}

/* Is the reply what the request's script answers? */
static bool mcpsess_i_rstore_sound(const mcpsess_redis_store *s, const mcpsess_request *r) {
    if (s->i.bad || s->i.items != (mcpsess_i_rstore_has_value(s, r) ? 4u : 3u)) return false;
    if (mcpsess_i_rstore_has_lease(s, r) && s->i.numbers[2] <= 0) return false;
    return mcpsess_i_rstore_known(r, s->i.numbers[0]);
}

static void mcpsess_i_rstore_item(void *user, void *request, const mcpsess_resp_item *item, mcpsess_str raw) {
    mcpsess_redis_store *s = (mcpsess_redis_store *)user;
    mcpsess_request *r = (mcpsess_request *)request;
    (void)raw;
    if (item->depth == 0) { /* begins a reply, perhaps after one that broke off */
        s->i.items = 0;
        s->i.bad = item->type != MCPSESS_RESP_ARRAY;
    } else if (item->depth == 1 && item->type == MCPSESS_RESP_INTEGER && s->i.items < 3u) {
        s->i.numbers[s->i.items++] = item->number;
    } else if (item->depth == 1 && item->type == MCPSESS_RESP_BULK && s->i.items == 3u) {
        if (!mcpsess_i_rstore_value(r, item)) s->i.bad = true;
        if (item->left == 0) s->i.items++;
    } else {
        s->i.bad = true;
    }
    if (s->i.bad || (item->ends && !mcpsess_i_rstore_sound(s, r))) mcpsess_redis_refuse(s->i.redis);
}

/* What a put that was looked up may say of itself. Nothing there does not make a create undone: its bytes may still be
   on the way; a compare-and-set that is on the way finds nothing as well. */
static int mcpsess_i_rstore_verdict(const mcpsess_request *r, int code, bool foreign) {
    if (code == MCPSESS_OK) return MCPSESS_OK;
    if (r->mode == MCPSESS_PUT_CREATE) return code == MCPSESS_MISS ? MCPSESS_E_UNKNOWN : MCPSESS_EXISTS;
    if (code == MCPSESS_PENDING) return MCPSESS_E_UNKNOWN;
    return foreign ? MCPSESS_MISS : code;
}

/* A lease counts from when it was asked for. One of which nothing is left was not got. */
static void mcpsess_i_rstore_end_lease(mcpsess_redis_store *s, mcpsess_request *r, uint64_t now_ms) {
    uint64_t left_ms = mcpsess_i_rstore_valid(mcpsess_i_rstore_cap(r->ttl_ms), r->fence, now_ms);
    if (!mcpsess_i_rstore_has_lease(s, r)) {
        bool busy = s->i.numbers[0] == MCPSESS_BUSY;
        mcpsess_i_rstore_end(r, (int)s->i.numbers[0], busy ? mcpsess_i_rstore_left(s->i.numbers[1]) : 0, 0);
    } else if (left_ms == 0) {
        mcpsess_i_rstore_end(r, MCPSESS_E_TIMEOUT, 0, 0);
    } else {
        mcpsess_i_rstore_end(r, MCPSESS_OK, left_ms, (uint64_t)s->i.numbers[2]);
    }
}

static void mcpsess_i_rstore_end_record(mcpsess_redis_store *s, mcpsess_request *r) {
    bool foreign = s->i.numbers[2] == 2, read = r->kind == MCPSESS_GET || r->kind == MCPSESS_TOUCH;
    int code = (int)s->i.numbers[0];
    uint64_t left_ms =
        code == MCPSESS_OK && (read || r->kind == MCPSESS_PUT) ? mcpsess_i_rstore_left(s->i.numbers[1]) : 0;
    r->unsure = r->i.slot == MCPSESS_I_RSTORE_READ_BACK;
    if (r->unsure) {
        code = mcpsess_i_rstore_verdict(r, code, foreign);
    } else if (foreign) {
        mcpsess_i_rstore_foreign(s, r);
    }
    if (code == MCPSESS_E_TOOBIG) r->need = mcpsess_i_rstore_size(s->i.numbers[1]);
    if (code == MCPSESS_OK && mcpsess_i_rstore_wants_value(r)) r->out->len += r->need;
    if (read && s->i.numbers[2] == 1) s->stats.refreshed++;
    mcpsess_i_rstore_end(r, code, left_ms, 0);
}

/* What there is of a flag, or of the lease that others have. */
static void mcpsess_i_rstore_end_flag(const mcpsess_redis_store *s, mcpsess_request *r) {
    int code = (int)s->i.numbers[0];
    bool told = code == MCPSESS_OK || code == MCPSESS_EXISTS || code == MCPSESS_BUSY;
    if (code == MCPSESS_E_TOOBIG) r->need = mcpsess_i_rstore_size(s->i.numbers[1]);
    if (mcpsess_i_rstore_has_value(s, r)) r->out->len += r->need;
    if (r->kind == MCPSESS_FLAG_CLEAR) told = false;
    mcpsess_i_rstore_end(r, code, told ? mcpsess_i_rstore_left(s->i.numbers[1]) : 0, 0);
}

static void mcpsess_i_rstore_answer(mcpsess_redis_store *s, mcpsess_request *r, uint64_t now_ms) {
    if (r->kind < MCPSESS_LEASE_ACQUIRE) {
        mcpsess_i_rstore_end_record(s, r);
    } else if (r->kind <= MCPSESS_LEASE_RELEASE || mcpsess_i_rstore_has_lease(s, r)) {
        mcpsess_i_rstore_end_lease(s, r, now_ms);
    } else if (r->kind <= MCPSESS_FLAG_CLEAR) {
        mcpsess_i_rstore_end_flag(s, r);
    } else {
#ifndef MCPSESS_NO_STREAM
        mcpsess_i_rlog_answer(s, (mcpsess_log_request *)(void *)r, now_ms);
#endif
    }
}

static int mcpsess_i_rstore_send(mcpsess_redis_store *s, mcpsess_request *r, uint64_t now_ms);

/* Puts that can be looked up are, once. -> it is under way */
static bool mcpsess_i_rstore_read_back(mcpsess_redis_store *s, mcpsess_request *r, uint64_t now_ms) {
    if (r->kind != MCPSESS_PUT || r->i.slot == MCPSESS_I_RSTORE_READ_BACK) return false;
    if (r->mode != MCPSESS_PUT_CREATE && r->mode != MCPSESS_PUT_CAS) return false;
    r->i.slot = MCPSESS_I_RSTORE_READ_BACK;
    if (mcpsess_i_rstore_send(s, r, now_ms) != MCPSESS_PENDING) return false;
    s->stats.read_backs++;
    return true;
}

static void mcpsess_i_rstore_done(void *user, void *request, int rc, uint64_t now_ms) {
    mcpsess_redis_store *s = (mcpsess_redis_store *)user;
    mcpsess_request *r = (mcpsess_request *)request;
    mcpsess_i_rstore_forget(&s->i.pending, r);
    if (rc == MCPSESS_OK) {
        mcpsess_i_rstore_answer(s, r, now_ms);
        return;
    }
    if (rc == MCPSESS_E_UNKNOWN && mcpsess_i_rstore_read_back(s, r, now_ms)) return;
    r->need = 0;
    r->count = 0;
    if (r->kind == MCPSESS_PUT && r->i.slot == MCPSESS_I_RSTORE_READ_BACK) {
        rc = MCPSESS_E_UNKNOWN; /* whatever kept us from looking */
    }
    mcpsess_i_rstore_end(r, rc, 0, 0);
}

/* -- the store -- */

static const mcpsess_redis_class *mcpsess_i_rstore_class(const mcpsess_request *r) {
    static const mcpsess_redis_class cls = {mcpsess_i_rstore_encode, mcpsess_i_rstore_item, mcpsess_i_rstore_done};
#ifndef MCPSESS_NO_STREAM
    static const mcpsess_redis_class logs = {mcpsess_i_rlog_encode, mcpsess_i_rlog_item, mcpsess_i_rstore_done};
    if (r->kind >= MCPSESS_LOG_OPEN) return &logs;
#endif
#ifndef MCPSESS_NO_FLIGHT
    static const mcpsess_redis_class flags = {mcpsess_i_rflag_encode, mcpsess_i_rstore_item, mcpsess_i_rstore_done};
    if (r->kind >= MCPSESS_FLAG_GET && r->kind <= MCPSESS_FLAG_CLEAR) return &flags;
#endif
    (void)r;
    return &cls;
}

/* A put or a delete that is repeated could bring back, or remove, what somebody has removed or put in between. To clear
   too often only costs a load. */
static bool mcpsess_i_rstore_repeats(const mcpsess_request *r) {
    if (r->kind == MCPSESS_PUT) return r->i.slot == MCPSESS_I_RSTORE_READ_BACK;
    if (r->kind == MCPSESS_FLAG_SET) return r->value.len != 0; /* done, it has ended the lease it asks for */
    return r->kind != MCPSESS_DEL;
}

static int mcpsess_i_rstore_send(mcpsess_redis_store *s, mcpsess_request *r, uint64_t now_ms) {
    unsigned flags = mcpsess_i_rstore_repeats(r) ? MCPSESS_REDIS_SCRIPT | MCPSESS_REDIS_REPEAT : MCPSESS_REDIS_SCRIPT;
    int rc = mcpsess_redis_submit(s->i.redis, mcpsess_i_rstore_class(r), s, r, flags, r->left_ms, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    r->i.link = s->i.pending;
    s->i.pending = r;
    return rc;
}

static int mcpsess_i_rstore_check(mcpsess_request *r) {
    int rc = mcpsess_request_check(r);
    if (rc == MCPSESS_OK && r->guarded) rc = mcpsess_principal_check(&r->owner);
    if (rc != MCPSESS_OK || r->kind < MCPSESS_FLAG_GET) return rc;
    if (r->kind <= MCPSESS_FLAG_CLEAR) {
#ifdef MCPSESS_NO_FLIGHT
        return MCPSESS_E_UNSUPPORTED;
#else
        return rc;
#endif
    }
#ifndef MCPSESS_NO_STREAM
    return mcpsess_i_rlog_check((mcpsess_log_request *)(void *)r);
#else
    return MCPSESS_E_UNSUPPORTED;
#endif
}

static int mcpsess_i_rstore_begin(mcpsess_redis_store *s, mcpsess_request *r, uint64_t now_ms) {
    int rc;
    if (s->i.closed) return MCPSESS_E_CLOSED;
    rc = mcpsess_i_rstore_check(r);
    if (rc != MCPSESS_OK) return rc;
    s->stats.requests++;
    if (r->kind == MCPSESS_SWEEP) return MCPSESS_OK;
    r->left_ms = r->deadline_ms != 0 ? r->deadline_ms : mcpsess_time_add(now_ms, s->i.timeout_ms);
    r->fence = now_ms;
    return mcpsess_i_rstore_send(s, r, now_ms);
}

static int mcpsess_i_rstore_submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    r->i.slot = MCPSESS_I_RSTORE_ASKED;
    if (r->kind == MCPSESS_LOG_RANGE) r->i.slot = r->count;
    if (r->kind == MCPSESS_LOG_OPEN) r->i.slot = ((const mcpsess_redis_store *)self)->stats.requests;
    r->need = 0;
    r->count = 0;
    r->unsure = false;
    r->rc = mcpsess_i_rstore_begin((mcpsess_redis_store *)self, r, now_ms);
    if (r->rc != MCPSESS_PENDING) mcpsess_i_rstore_end(r, r->rc, 0, 0);
    return r->rc;
}

static void mcpsess_i_rstore_poll(void *self, uint64_t now_ms) {
    const mcpsess_redis_store *s = (const mcpsess_redis_store *)self;
    if (!s->i.closed) mcpsess_redis_poll(s->i.redis, now_ms);
}

static void mcpsess_i_rstore_cancel(void *self, mcpsess_request *r) {
    mcpsess_redis_store *s = (mcpsess_redis_store *)self;
    if (r->rc != MCPSESS_PENDING) return;
    mcpsess_redis_drop(s->i.redis, r);
    mcpsess_i_rstore_forget(&s->i.pending, r);
    mcpsess_i_rstore_end(r, MCPSESS_E_CANCELED, 0, 0);
}

static uint64_t mcpsess_i_rstore_next_due(void *self, uint64_t now_ms) {
    const mcpsess_redis_store *s = (const mcpsess_redis_store *)self;
    return s->i.closed ? MCPSESS_NEVER : mcpsess_redis_next_due(s->i.redis, now_ms);
}

static unsigned mcpsess_i_rstore_want(void *self) {
    const mcpsess_redis_store *s = (const mcpsess_redis_store *)self;
    return s->i.closed ? 0 : mcpsess_redis_want(s->i.redis);
}

static void mcpsess_i_rstore_close(void *self) {
    mcpsess_redis_store *s = (mcpsess_redis_store *)self;
    s->i.closed = true;
    mcpsess_i_rstore_end_all(s->i.redis, &s->i.pending);
}

static int mcpsess_i_rstore_listen(void *self, int of, const mcpsess_listener *listener) {
    mcpsess_redis_store *s = (mcpsess_redis_store *)self;
    const mcpsess_listener **told;
    if (of < 0 || of > MCPSESS_OF_FLAGS || s->i.modules[of].scripts == NULL) return MCPSESS_E_UNSUPPORTED;
    told = &s->i.listeners[of];
    if (listener != NULL && *told != NULL && *told != listener) return MCPSESS_E_STATE;
    *told = listener;
    return MCPSESS_OK;
}

static int mcpsess_i_rstore_hear(void *self, uint64_t now_ms) {
    const mcpsess_redis_store *s = (const mcpsess_redis_store *)self;
    return s->i.closed ? MCPSESS_STALE : mcpsess_redis_hear(s->i.redis, now_ms);
}

MCPSESS_API mcpsess_store mcpsess_redis_store_store(mcpsess_redis_store *s) {
    static const mcpsess_store_class cls = {mcpsess_i_rstore_submit,   mcpsess_i_rstore_poll, mcpsess_i_rstore_cancel,
                                            mcpsess_i_rstore_next_due, mcpsess_i_rstore_want, mcpsess_i_rstore_close,
                                            mcpsess_i_rstore_listen,   mcpsess_i_rstore_hear};
    mcpsess_store store;
    store.cls = &cls;
    store.self = s;
    return store;
}

MCPSESS_API mcpsess_redis_store_desc mcpsess_redis_store_desc_default(void) {
    mcpsess_redis_store_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

static void mcpsess_i_rstore_module(mcpsess_redis_store *s, int of, char space, const mcpsess_redis_script *scripts,
                                    size_t count, void (*changed)(void *user, mcpsess_str key)) {
    mcpsess_redis_module *m = &s->i.modules[of];
    char *prefix = s->i.prefixes[of];
    memmove(prefix, s->i.prefixes[0], s->i.prefix_len);
    prefix[s->i.prefix_len] = space;
    prefix[s->i.prefix_len + 1u] = ':';
    m->prefix = mcpsess_str_of(prefix, s->i.prefix_len + 2u);
    m->scripts = scripts;
    m->script_count = (uint8_t)count;
    m->changed = changed;
    m->user = s;
}

#define MCPSESS_I_RSTORE_COUNT(scripts) (sizeof(scripts) / sizeof(scripts)[0])

/* As a module hears of one prefix, there is one for each kind of key that somebody listens for: all are attached, or
   none. */
static int mcpsess_i_rstore_attach(mcpsess_redis_store *s) {
    mcpsess_redis_module **last = &s->i.redis->i.modules;
    int rc = MCPSESS_OK, n;
    mcpsess_i_rstore_module(s, MCPSESS_OF_RECORDS, 'r', mcpsess_i_rstore_scripts,
                            MCPSESS_I_RSTORE_COUNT(mcpsess_i_rstore_scripts), mcpsess_i_rstore_changed);
#ifndef MCPSESS_NO_STREAM
    mcpsess_i_rstore_module(s, MCPSESS_OF_LOGS, 'm', mcpsess_i_rlog_scripts,
                            MCPSESS_I_RSTORE_COUNT(mcpsess_i_rlog_scripts), mcpsess_i_rlog_changed);
#endif
#ifndef MCPSESS_NO_FLIGHT
    mcpsess_i_rstore_module(s, MCPSESS_OF_FLAGS, 'l', mcpsess_i_rflag_scripts,
                            MCPSESS_I_RSTORE_COUNT(mcpsess_i_rflag_scripts), mcpsess_i_rflag_changed);
#endif
    for (n = 0; n <= MCPSESS_OF_FLAGS && rc == MCPSESS_OK; n++) {
        if (s->i.modules[n].scripts != NULL) rc = mcpsess_redis_attach(s->i.redis, &s->i.modules[n]);
    }
    if (rc == MCPSESS_OK || n == 1) return rc;
    while (*last != &s->i.modules[0]) last = &(*last)->i.next;
    *last = NULL;
    return rc;
}

MCPSESS_API int mcpsess_redis_store_init(mcpsess_redis_store *s, const mcpsess_redis_store_desc *d) {
    mcpsess_str prefix;
    size_t i;
    if (s == NULL || d == NULL || d->redis == NULL) return MCPSESS_E_ARG;
    prefix = d->prefix.len == 0 ? MCPSESS_STR("mcpsess:") : d->prefix;
    if (prefix.ptr == NULL || prefix.len > MCPSESS_REDIS_PREFIX_MAX) return MCPSESS_E_ARG;
    for (i = 0; i < prefix.len; i++) {
        if (!mcpsess_i_rstore_plain(prefix.ptr[i])) return MCPSESS_E_ARG;
    }
    memset(s, 0, sizeof *s);
    memcpy(s->i.prefixes[0], prefix.ptr, prefix.len);
    s->i.prefix_len = (uint8_t)prefix.len;
    s->i.redis = d->redis;
    s->i.log = d->log;
    s->i.timeout_ms = d->timeout_ms != 0 ? d->timeout_ms : d->redis->i.desc.timeout_ms;
    return mcpsess_i_rstore_attach(s);
}

#ifndef MCPSESS_REDIS_NO_COMPAT

/* ==== json ==== */
/* uses: base */

#define MCPSESS_I_JSON_DEPTH 63u /* values within each other; a bit each. In an envelope, .NET reads 64 */

/* A writer that goes on counting where its room ends: len is what all of it takes. */
typedef struct mcpsess_i_json_out {
    char *ptr;
    size_t cap;
    size_t len;
} mcpsess_i_json_out;

typedef struct mcpsess_i_json_in {
    const char *at;
    const char *end;
    bool begun; /* a member was asked for */
} mcpsess_i_json_in;

static void mcpsess_i_json_put(mcpsess_i_json_out *o, unsigned c) {
    if (o->len < o->cap) o->ptr[o->len] = (char)(unsigned char)c;
    if (o->len < SIZE_MAX) o->len++;
}

static void mcpsess_i_json_put_str(mcpsess_i_json_out *o, mcpsess_str s) {
    size_t n;
    for (n = 0; n < s.len; n++) mcpsess_i_json_put(o, (unsigned char)s.ptr[n]);
}

static void mcpsess_i_json_put_z(mcpsess_i_json_out *o, const char *z) {
    while (*z != '\0') mcpsess_i_json_put(o, (unsigned char)*z++);
}

static mcpsess_str mcpsess_i_json_drop(mcpsess_str s, size_t n) {
    return mcpsess_str_of(s.ptr + n, s.len - n);
}

/* The character at the front. -> its length in UTF-8, 1 to 4; 0 if it is none */
static unsigned mcpsess_i_json_utf8(mcpsess_str s, uint32_t *point) {
    unsigned c = (unsigned char)s.ptr[0], n = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4, k;
    *point = c;
    if (c < 0x80) return 1;
    if (c < 0xC2 || c > 0xF4 || n > s.len) return 0;
    *point = c & (0x7Fu >> n);
    for (k = 1; k < n; k++) {
        if ((s.ptr[k] & 0xC0) != 0x80) return 0;
        *point = *point << 6 | (uint32_t)(s.ptr[k] & 0x3F);
    }
    if (*point < (n == 3 ? 0x800u : n == 4 ? 0x10000u : 0x80u) || *point > 0x10FFFF) return 0;
    return *point >> 11 == 0x1B ? 0 : n; /* half of a surrogate pair */
}

/* A character, and the letter that stands for it behind a backslash; the last one is read, but not written. */
static const char mcpsess_i_json_letters[17] MCPSESS_ROM = "\"\"\\\\\bb\ff\nn\rr\tt//";

/* The letter of a character, or the character of a letter; 0: none. */
static char mcpsess_i_json_letter(char c, bool to_letter) {
    unsigned n;
    for (n = 0; n < (to_letter ? 14u : 16u); n += 2) {
        char character = (char)MCPSESS_ROM_U8(mcpsess_i_json_letters + n);
        char letter = (char)MCPSESS_ROM_U8(mcpsess_i_json_letters + n + 1);
        if (c == (to_letter ? character : letter)) return to_letter ? letter : character;
    }
    return 0;
}

/* ten: how a digit of that value is written, 'a' or 'A'. */
static void mcpsess_i_json_put_u(mcpsess_i_json_out *o, uint32_t unit, unsigned ten) {
    unsigned shift;
    mcpsess_i_json_put_z(o, "\\u");
    for (shift = 16; shift > 0; shift -= 4) {
        unsigned nibble = (unsigned)(unit >> (shift - 4) & 15u);
        mcpsess_i_json_put(o, nibble < 10 ? '0' + nibble : ten + (nibble - 10));
    }
}

/* What Go escapes so that JSON may stand within HTML and JavaScript. */
static bool mcpsess_i_json_html(uint32_t point) {
    return point == '<' || point == '>' || point == '&' || point == 0x2028 || point == 0x2029;
}

/* The text of a string, escaped. */
static void mcpsess_i_json_escape(mcpsess_i_json_out *o, mcpsess_str s) {
    while (s.len != 0) {
        uint32_t point;
        unsigned n = mcpsess_i_json_utf8(s, &point);
        char letter = mcpsess_i_json_letter(s.ptr[0], true);
        if (letter != 0) {
            mcpsess_i_json_put(o, '\\');
            mcpsess_i_json_put(o, (unsigned char)letter);
        } else if (n == 0 || point < 0x20 || mcpsess_i_json_html(point)) {
            mcpsess_i_json_put_u(o, n == 0 ? 0xFFFD : point, 'a');
        } else {
            mcpsess_i_json_put_str(o, mcpsess_str_of(s.ptr, n));
        }
        s = mcpsess_i_json_drop(s, n == 0 ? 1 : n);
    }
}

static void mcpsess_i_json_put_string(mcpsess_i_json_out *o, mcpsess_str s) {
    mcpsess_i_json_put(o, '"');
    mcpsess_i_json_escape(o, s);
    mcpsess_i_json_put(o, '"');
}

/* -- reading -- */

static mcpsess_i_json_in mcpsess_i_json_in_of(mcpsess_str s) {
    mcpsess_i_json_in in;
    in.at = s.ptr;
    in.end = s.len != 0 ? s.ptr + s.len : s.ptr;
    in.begun = false;
    return in;
}

static bool mcpsess_i_json_blank(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Past white space; the byte there, 0 at the end. */
static char mcpsess_i_json_look(mcpsess_i_json_in *in) {
    while (in->at < in->end && mcpsess_i_json_blank(*in->at)) in->at++;
    return in->at < in->end ? *in->at : '\0';
}

/* One of two bytes, if it is next; white space counts. */
static bool mcpsess_i_json_either(mcpsess_i_json_in *in, char a, char b) {
    if (in->at == in->end || (*in->at != a && *in->at != b)) return false;
    in->at++;
    return true;
}

static bool mcpsess_i_json_take(mcpsess_i_json_in *in, char c) {
    (void)mcpsess_i_json_look(in);
    return mcpsess_i_json_either(in, c, c);
}

/* "\u" and four digits at the front of a text. */
static bool mcpsess_i_json_unit(mcpsess_str s, uint32_t *unit) {
    unsigned n;
    *unit = 0;
    if (s.len < 6 || s.ptr[0] != '\\' || s.ptr[1] != 'u') return false;
    for (n = 2; n < 6; n++) {
        char c = s.ptr[n], small = (char)(c | 0x20);
        if (!(c >= '0' && c <= '9') && !(small >= 'a' && small <= 'f')) return false;
        *unit = *unit << 4 | (uint32_t)(c <= '9' ? c - '0' : small - 'a' + 10);
    }
    return true;
}

/* A string; *text is what stands between the quotes. */
static bool mcpsess_i_json_string(mcpsess_i_json_in *in, mcpsess_str *text) {
    const char *start;
    uint32_t unit;
    if (!mcpsess_i_json_take(in, '"')) return false;
    for (start = in->at; in->at < in->end && *in->at != '"'; in->at++) {
        if ((unsigned char)*in->at < 0x20) return false;
        if (*in->at != '\\' || mcpsess_i_json_unit(mcpsess_str_of(in->at, (size_t)(in->end - in->at)), &unit)) continue;
        if (++in->at == in->end || mcpsess_i_json_letter(*in->at, false) == 0) return false;
    }
    *text = mcpsess_str_of(start, (size_t)(in->at - start));
    return mcpsess_i_json_either(in, '"', '"');
}

static bool mcpsess_i_json_digits(mcpsess_i_json_in *in) {
    const char *start = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
    return in->at != start;
}

static bool mcpsess_i_json_number(mcpsess_i_json_in *in) {
    (void)mcpsess_i_json_either(in, '-', '-');
    if (!mcpsess_i_json_either(in, '0', '0') && !mcpsess_i_json_digits(in)) return false;
    if (mcpsess_i_json_either(in, '.', '.') && !mcpsess_i_json_digits(in)) return false;
    if (!mcpsess_i_json_either(in, 'e', 'E')) return true;
    (void)mcpsess_i_json_either(in, '+', '-');
    return mcpsess_i_json_digits(in);
}

static bool mcpsess_i_json_word(mcpsess_i_json_in *in, const char *word) {
    while (*word != '\0' && mcpsess_i_json_either(in, *word, *word)) word++;
    return *word == '\0';
}

static bool mcpsess_i_json_scalar(mcpsess_i_json_in *in) {
    mcpsess_str text;
    switch (mcpsess_i_json_look(in)) {
    case '"': return mcpsess_i_json_string(in, &text);
    case 't': return mcpsess_i_json_word(in, "true");
    case 'f': return mcpsess_i_json_word(in, "false");
    case 'n': return mcpsess_i_json_word(in, "null");
    default: return mcpsess_i_json_number(in);
    }
}

static bool mcpsess_i_json_name(mcpsess_i_json_in *in, mcpsess_str *name) {
    return mcpsess_i_json_string(in, name) && mcpsess_i_json_take(in, ':');
}

/* The beginning of a value: all the aggregates it opens with, and the first scalar, unless the innermost one is empty.
   The lowest bit of *objects: the innermost is an object. -> OK, E_FORMAT, E_TOOBIG */
static int mcpsess_i_json_descend(mcpsess_i_json_in *in, uint64_t *objects, unsigned *depth) {
    mcpsess_str name;
    for (;;) {
        char c = mcpsess_i_json_look(in);
        bool object = c == '{';
        if (c != '{' && c != '[') return mcpsess_i_json_scalar(in) ? MCPSESS_OK : MCPSESS_E_FORMAT;
        if ((*depth)++ == MCPSESS_I_JSON_DEPTH) return MCPSESS_E_TOOBIG;
        in->at++;
        *objects = *objects << 1 | (object ? 1u : 0u);
        if (mcpsess_i_json_look(in) == (object ? '}' : ']')) return MCPSESS_OK;
        if (object && !mcpsess_i_json_name(in, &name)) return MCPSESS_E_FORMAT;
    }
}

/* Any value; *raw is its text, white space around it apart.  -> OK, E_FORMAT, E_TOOBIG: too deep */
static int mcpsess_i_json_value(mcpsess_i_json_in *in, mcpsess_str *raw) {
    const char *start;
    uint64_t objects = 0;
    unsigned depth = 0;
    mcpsess_str name;
    (void)mcpsess_i_json_look(in);
    start = in->at;
    do {
        int rc = mcpsess_i_json_descend(in, &objects, &depth);
        if (rc != MCPSESS_OK) return rc;
        for (; depth != 0 && mcpsess_i_json_take(in, (objects & 1u) != 0 ? '}' : ']'); depth--) objects >>= 1;
        *raw = mcpsess_str_of(start, (size_t)(in->at - start));
        if (depth == 0) return MCPSESS_OK;
    } while (mcpsess_i_json_take(in, ',') && ((objects & 1u) == 0 || mcpsess_i_json_name(in, &name)));
    return MCPSESS_E_FORMAT;
}

/* Walks the members of an object.  -> OK, END, E_FORMAT, E_TOOBIG */
static int mcpsess_i_json_member(mcpsess_i_json_in *in, mcpsess_str *name, mcpsess_str *value) {
    bool first = !in->begun;
    in->begun = true;
    if (first && !mcpsess_i_json_take(in, '{')) return MCPSESS_E_FORMAT;
    if (mcpsess_i_json_take(in, '}')) return MCPSESS_END;
    if (!first && !mcpsess_i_json_take(in, ',')) return MCPSESS_E_FORMAT;
    return mcpsess_i_json_name(in, name) ? mcpsess_i_json_value(in, value) : MCPSESS_E_FORMAT;
}

/* Takes one character off the checked text of a string; what is no Unicode is U+FFFD. -> bytes of it in UTF-8 */
static unsigned mcpsess_i_json_char(mcpsess_str *text, unsigned char to[4]) {
    uint32_t point, low;
    unsigned n = mcpsess_i_json_utf8(*text, &point), k;
    if (mcpsess_i_json_unit(*text, &low)) {
        n = 6;
        point = low;
        if (point >> 10 == 0x36 && mcpsess_i_json_unit(mcpsess_i_json_drop(*text, 6), &low) && low >> 10 == 0x37) {
            n = 12;
            point = 0x10000u + ((point & 0x3FFu) << 10) + (low & 0x3FFu);
        }
    } else if (text->ptr[0] == '\\') {
        n = 2;
        point = (unsigned char)mcpsess_i_json_letter(text->ptr[1], false);
    }
    if (n == 0 || point >> 11 == 0x1B) point = 0xFFFD;
    *text = mcpsess_i_json_drop(*text, n == 0 ? 1 : n);
    n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (k = n; k > 1; point >>= 6) to[--k] = (unsigned char)(0x80u | (point & 0x3Fu));
    to[0] = (unsigned char)(n == 1 ? point : (0xF00u >> n & 0xF0u) | point);
    return n;
}

/* What stands between the quotes of a checked value; nothing in one that is no string. */
static mcpsess_str mcpsess_i_json_inner(mcpsess_str raw) {
    return raw.len < 2 || raw.ptr[0] != '"' ? mcpsess_str_of(NULL, 0) : mcpsess_str_of(raw.ptr + 1, raw.len - 2);
}

static void mcpsess_i_json_unescape(mcpsess_i_json_out *o, mcpsess_str text) {
    unsigned char c[4];
    while (text.len != 0) {
        unsigned n = mcpsess_i_json_char(&text, c);
        mcpsess_i_json_put_str(o, mcpsess_str_of(c, n));
    }
}

static char mcpsess_i_json_small(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Does this text of a string say z? fold: in capitals too, of which z has none. */
static bool mcpsess_i_json_is(mcpsess_str text, const char *z, bool fold) {
    unsigned char c[4];
    while (text.len != 0) {
        unsigned n = mcpsess_i_json_char(&text, c), k;
        if (fold) c[0] = (unsigned char)mcpsess_i_json_small((char)c[0]);
        for (k = 0; k < n; k++, z++) {
            if (*z == '\0' || c[k] != (unsigned char)*z) return false;
        }
    }
    return *z == '\0';
}

/* ==== digest ==== */
/* uses: base */

/* SHA-1 (FIPS 180-4), for what others have it in, not against forgers. What it is taken of: */
typedef struct mcpsess_i_sha1_of {
    const unsigned char *head; /* in MCPSESS_ROM */
    size_t head_len;
    mcpsess_str text; /* behind it */
} mcpsess_i_sha1_of;

static uint32_t mcpsess_i_sha1_rotl(uint32_t v, unsigned by) {
    return v << by | v >> (32u - by);
}

/* A byte of that, or of the padding. */
static uint32_t mcpsess_i_sha1_byte(const mcpsess_i_sha1_of *of, size_t at, size_t end) {
    size_t len = of->head_len + of->text.len;
    if (at < of->head_len) return MCPSESS_ROM_U8(of->head + at);
    if (at < len) return (unsigned char)of->text.ptr[at - of->head_len];
    if (at == len) return 0x80;
    return end - at > 4 ? 0 : (uint32_t)len << 3 >> (8u * (unsigned)(end - at - 1u)) & 0xFFu;
}

static void mcpsess_i_sha1_block(uint32_t h[5], uint32_t w[16]) {
    uint32_t v[5];
    unsigned n;
    memcpy(v, h, sizeof v);
    for (n = 0; n < 80; n++) {
        uint32_t f, *word = &w[n & 15u];
        if (n >= 16) *word = mcpsess_i_sha1_rotl(*word ^ w[(n + 2) & 15u] ^ w[(n + 8) & 15u] ^ w[(n + 13) & 15u], 1);
        if (n < 20) f = ((v[1] & v[2]) | (~v[1] & v[3])) + UINT32_C(0x5A827999);
        else if (n < 40) f = (v[1] ^ v[2] ^ v[3]) + UINT32_C(0x6ED9EBA1);
        else if (n < 60) f = ((v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])) + UINT32_C(0x8F1BBCDC);
        else f = (v[1] ^ v[2] ^ v[3]) + UINT32_C(0xCA62C1D6);
        f += mcpsess_i_sha1_rotl(v[0], 5) + v[4] + *word;
        memmove(v + 1, v, 4 * sizeof v[0]);
        v[2] = mcpsess_i_sha1_rotl(v[2], 30);
        v[0] = f;
    }
    for (n = 0; n < 5; n++) h[n] += v[n];
}

static void mcpsess_i_sha1(const mcpsess_i_sha1_of *of, uint32_t h[5]) {
    size_t end = (of->head_len + of->text.len + 9u + 63u) / 64u * 64u, n;
    uint32_t w[16] = {0};
    h[0] = UINT32_C(0x67452301);
    h[1] = UINT32_C(0xEFCDAB89);
    h[2] = UINT32_C(0x98BADCFE);
    h[3] = UINT32_C(0x10325476);
    h[4] = UINT32_C(0xC3D2E1F0);
    for (n = 0; n < end; n++) {
        w[n / 4u & 15u] = w[n / 4u & 15u] << 8 | mcpsess_i_sha1_byte(of, n, end);
        if ((n & 63u) == 63u) mcpsess_i_sha1_block(h, w);
    }
}

/* ==== toolhivetime ==== */
/* uses: base json */

/* Instants as Go writes and reads them, RFC 3339; and as a record keeps them, in ms since 1970. */

#define MCPSESS_I_THV_TIME_MAX 24u /* bytes of the longest text written here */
#define MCPSESS_I_THV_YEAR_10000 UINT64_C(253402300800000)
#define MCPSESS_I_THV_1970 UINT32_C(865565) /* mcpsess_i_thv_days(1970, 1, 1) */

/* *v, below 2^48, becomes its quotient; -> the remainder. Without a division of 64 bits; divisor below 2^16. */
static uint32_t mcpsess_i_thv_divide(uint64_t *v, uint32_t divisor) {
    uint32_t rest = 0;
    uint64_t quotient = 0;
    unsigned shift;
    for (shift = 48; shift > 0; shift -= 16) {
        rest = rest << 16 | (uint32_t)(*v >> (shift - 16) & 0xFFFFu);
        quotient = quotient << 16 | rest / divisor;
        rest %= divisor;
    }
    *v = quotient;
    return rest;
}

/* Days from some first of March long ago to this date; month 1..12. */
static uint32_t mcpsess_i_thv_days(uint32_t year, uint32_t month, uint32_t day) {
    uint32_t y = year + 400u - (month < 3 ? 1u : 0u), m = (month + 9u) % 12u;
    return y * 365u + y / 4u - y / 100u + y / 400u + (m * 153u + 2u) / 5u + day - 1u;
}

/* `highest` is the place of the first digit; then what stands behind them. */
static void mcpsess_i_thv_put_digits(mcpsess_i_json_out *o, uint32_t v, uint32_t highest, char behind) {
    for (; highest != 0; highest /= 10u) mcpsess_i_json_put(o, '0' + (unsigned)(v / highest % 10u));
    mcpsess_i_json_put(o, (unsigned char)behind);
}

/* In UTC; 0 is Go's zero time. ms is before the year 10000. */
static void mcpsess_i_thv_put_time(mcpsess_i_json_out *o, uint64_t ms) {
    uint64_t rest = ms;
    uint32_t milli = mcpsess_i_thv_divide(&rest, 1000), second = mcpsess_i_thv_divide(&rest, 60);
    uint32_t minute = mcpsess_i_thv_divide(&rest, 60), hour = mcpsess_i_thv_divide(&rest, 24);
    uint32_t days = (uint32_t)rest + MCPSESS_I_THV_1970, year = 1970u + (uint32_t)rest / 366u, month = 12, place = 100;
    if (ms == 0) {
        mcpsess_i_json_put_str(o, MCPSESS_STR("0001-01-01T00:00:00Z"));
        return;
    }
    while (mcpsess_i_thv_days(year + 1u, 1, 1) <= days) year++;
    while (mcpsess_i_thv_days(year, month, 1) > days) month--;
    mcpsess_i_thv_put_digits(o, year, 1000, '-');
    mcpsess_i_thv_put_digits(o, month, 10, '-');
    mcpsess_i_thv_put_digits(o, days - mcpsess_i_thv_days(year, month, 1) + 1u, 10, 'T');
    mcpsess_i_thv_put_digits(o, hour, 10, ':');
    mcpsess_i_thv_put_digits(o, minute, 10, ':');
    mcpsess_i_thv_put_digits(o, second, 10, milli != 0 ? '.' : 'Z');
    if (milli == 0) return;
    for (; milli % 10u == 0; place /= 10u) milli /= 10u;
    mcpsess_i_thv_put_digits(o, milli, place, 'Z');
}

/* Numbers in a pattern: 'd' is a digit, anything else itself, between two numbers. */
static bool mcpsess_i_thv_match(mcpsess_str text, mcpsess_str pattern, uint32_t numbers[6]) {
    size_t n, count = 0;
    if (text.len < pattern.len) return false;
    memset(numbers, 0, 6 * sizeof numbers[0]);
    for (n = 0; n < pattern.len; n++) {
        char c = text.ptr[n], p = pattern.ptr[n];
        if (p == 'd' && c >= '0' && c <= '9') numbers[count] = numbers[count] * 10u + (uint32_t)(c - '0');
        else if (p == 'd' || c != p) return false;
        else count++;
    }
    return true;
}

/* What of an instant a record can keep: whole milliseconds, 0 before 1970. -> is it one? */
static bool mcpsess_i_thv_time(mcpsess_str text, uint64_t *ms) {
    const uint64_t epoch = (uint64_t)MCPSESS_I_THV_1970 * 86400u;
    uint32_t n[6], first, milli = 0, place = 100, offset;
    uint64_t seconds;
    size_t digits = 0;
    if (!mcpsess_i_thv_match(text, MCPSESS_STR("dddd-dd-ddTdd:dd:dd"), n)) return false;
    if (n[1] < 1 || n[1] > 12 || n[2] < 1 || n[3] > 23 || n[4] > 59 || n[5] > 59) return false;
    first = mcpsess_i_thv_days(n[0], n[1], 1);
    if (n[2] > mcpsess_i_thv_days(n[0] + n[1] / 12u, n[1] % 12u + 1u, 1) - first) return false;
    seconds = (uint64_t)(first + n[2] - 1u) * 86400u + n[3] * 3600u + n[4] * 60u + n[5];
    text = mcpsess_i_json_drop(text, 19);
    if (text.len != 0 && text.ptr[0] == '.') {
        for (digits = 1; digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9'; place /= 10u)
            milli += (uint32_t)(text.ptr[digits++] - '0') * place;
        if (digits == 1) return false;
        text = mcpsess_i_json_drop(text, digits);
    }
    if (!mcpsess_str_eq(text, MCPSESS_STR("Z"))) {
        if (text.len != 6 || (text.ptr[0] != '+' && text.ptr[0] != '-')) return false;
        if (!mcpsess_i_thv_match(mcpsess_i_json_drop(text, 1), MCPSESS_STR("dd:dd"), n)) return false;
        if (n[0] > 23 || n[1] > 59) return false;
        offset = n[0] * 3600u + n[1] * 60u;
        seconds = text.ptr[0] == '-' ? seconds + offset : seconds - offset;
    }
    *ms = seconds < epoch ? 0 : (seconds - epoch) * 1000u + milli;
    return true;
}

/* ==== toolhiveread ==== */
/* uses: base record sessionid json toolhivetime */

/* Members of an envelope in the order of the wire, and the strings that a record has members of its own for. */
enum {
    MCPSESS_I_THV_ID = 0,
    MCPSESS_I_THV_TYPE,
    MCPSESS_I_THV_CREATED,
    MCPSESS_I_THV_UPDATED,
    MCPSESS_I_THV_DATA,
    MCPSESS_I_THV_METADATA,
    MCPSESS_I_THV_UNKNOWN,
    MCPSESS_I_THV_TERMINATED = MCPSESS_I_THV_UNKNOWN,
    MCPSESS_I_THV_BINDING,
    MCPSESS_I_THV_PLAIN
};

/* A name, terminated; and before it is a NUL, as in the keys of pairs. */
static const char *mcpsess_i_thv_name(unsigned n) {
    static const char names[] =
        "\0id\0type\0created_at\0updated_at\0data\0metadata\0terminated\0" MCPSESS_TOOLHIVE_BINDING;
    const char *at = names + 1;
    for (; n != 0; n--) {
        while (*at++ != '\0') {
        }
    }
    return at;
}

typedef struct mcpsess_i_thv {
    mcpsess_i_json_out out;   /* cap no more than a record may have */
    uint64_t ms[2];           /* created, updated */
    size_t mark, pairs, last; /* where the record begins, its pairs, and the last of them */
    uint16_t count;           /* of pairs */
    uint16_t seen;            /* bit of each name that a record has room for once */
    uint8_t state;
} mcpsess_i_thv;

/* -- a record, written as mcpsess.h says it looks -- */

#if MCPSESS_RECORD_VERSION != 1
#error "a record looks different now"
#endif

/* It does not fit: from now on bytes are only counted. */
static bool mcpsess_i_thv_over(const mcpsess_i_thv *t) {
    return t->out.len > t->out.cap;
}

static void mcpsess_i_thv_put_le(mcpsess_i_thv *t, uint64_t v, unsigned bytes) {
    for (; bytes != 0; bytes--) {
        mcpsess_i_json_put(&t->out, (unsigned)(v & 0xFFu));
        v >>= 8;
    }
}

static void mcpsess_i_thv_patch(mcpsess_i_thv *t, size_t at, uint64_t v, unsigned bytes) {
    size_t end = t->out.len;
    t->out.len = at;
    mcpsess_i_thv_put_le(t, v, bytes);
    t->out.len = end;
}

/* The slice behind its length. */
static mcpsess_str mcpsess_i_thv_slice(const mcpsess_i_thv *t, size_t at) {
    const unsigned char *p = (const unsigned char *)t->out.ptr + at;
    return mcpsess_str_of(p + 2, (size_t)(p[0] | (unsigned)p[1] << 8));
}

static size_t mcpsess_i_thv_next(const mcpsess_i_thv *t, size_t pair) {
    size_t value = pair + 2 + mcpsess_i_thv_slice(t, pair).len;
    return value + 2 + mcpsess_i_thv_slice(t, value).len;
}

static void mcpsess_i_thv_reverse(mcpsess_i_thv *t, size_t from, size_t to) {
    for (; from < to; from++) {
        char c = t->out.ptr[from];
        t->out.ptr[from] = t->out.ptr[--to];
        t->out.ptr[to] = c;
    }
}

/* What was written last, at `from`, goes to `at`. */
static void mcpsess_i_thv_move(mcpsess_i_thv *t, size_t from, size_t at) {
    mcpsess_i_thv_reverse(t, at, from);
    mcpsess_i_thv_reverse(t, from, t->out.len);
    mcpsess_i_thv_reverse(t, at, t->out.len);
}

/* The pair written last, at `from`, goes where its key belongs, in place of one with the same key. */
static void mcpsess_i_thv_settle(mcpsess_i_thv *t, size_t from) {
    mcpsess_str key = mcpsess_i_thv_slice(t, from);
    size_t at = t->pairs, bytes = t->out.len - from, old = 0;
    int order = 1;
    if (t->last != 0 && mcpsess_str_order(mcpsess_i_thv_slice(t, t->last), key) < 0) at = from;
    for (; at < from; at += old) {
        order = mcpsess_str_order(mcpsess_i_thv_slice(t, at), key);
        if (order > 0) break;
        old = mcpsess_i_thv_next(t, at) - at;
        if (order == 0) break;
    }
    if (order == 0) {
        t->out.len -= old;
        from -= old;
        memmove(t->out.ptr + at, t->out.ptr + at + old, t->out.len - at);
    } else {
        old = 0;
        t->count++;
    }
    t->last = at == from ? from : t->last - old + bytes;
    mcpsess_i_thv_move(t, from, at);
}

/* raw: the value is JSON, and a NUL goes before the name. */
static void mcpsess_i_thv_pair(mcpsess_i_thv *t, mcpsess_str name, mcpsess_str value, bool raw) {
    size_t from = t->out.len, mid;
    mcpsess_i_thv_put_le(t, 0, raw ? 3 : 2);
    mcpsess_i_json_unescape(&t->out, name);
    mid = t->out.len;
    mcpsess_i_thv_put_le(t, 0, 2);
    if (raw) mcpsess_i_json_put_str(&t->out, value);
    else mcpsess_i_json_unescape(&t->out, value);
    if (mcpsess_i_thv_over(t)) return;
    mcpsess_i_thv_patch(t, from, mid - from - 2, 2);
    mcpsess_i_thv_patch(t, mid, t->out.len - mid - 2, 2);
    mcpsess_i_thv_settle(t, from);
}

/* The principal or the id, written last, at `from`, goes where a record has it. */
static mcpsess_str mcpsess_i_thv_place(mcpsess_i_thv *t, size_t from, bool principal) {
    size_t at = t->mark + 3, len;
    if (mcpsess_i_thv_over(t)) return mcpsess_str_of(NULL, 0);
    len = t->out.len - from;
    if (!principal) at += mcpsess_i_thv_slice(t, at - 2).len + 14; /* behind state and instants */
    mcpsess_i_thv_patch(t, principal ? at - 2 : at - 1, len, principal ? 2 : 1);
    mcpsess_i_thv_move(t, from, at);
    t->pairs += len;
    if (t->last != 0) t->last += len;
    return mcpsess_str_of(t->out.ptr + at, len);
}

static mcpsess_str mcpsess_i_thv_place_text(mcpsess_i_thv *t, mcpsess_str text, bool principal) {
    size_t from = t->out.len;
    mcpsess_i_json_unescape(&t->out, text);
    return mcpsess_i_thv_place(t, from, principal);
}

static int mcpsess_i_thv_principal(mcpsess_i_thv *t, mcpsess_str text) {
    mcpsess_str both = mcpsess_i_thv_place_text(t, text, true);
    mcpsess_principal who;
    size_t n = 0;
    if (mcpsess_i_thv_over(t)) return MCPSESS_OK;
    while (n < both.len && both.ptr[n] != '\0') n++;
    if (n == 0 || n == both.len) return MCPSESS_E_PRINCIPAL;
    who.issuer = mcpsess_str_of(both.ptr, n);
    who.subject = mcpsess_i_json_drop(both, n + 1);
    return mcpsess_principal_check(&who);
}

/* -- the JSON -- */

/* Once only. */
static bool mcpsess_i_thv_first(mcpsess_i_thv *t, unsigned n) {
    unsigned bit = 1u << n;
    bool first = (t->seen & bit) == 0;
    t->seen = (uint16_t)(t->seen | bit);
    return first;
}

/* One of the strings. */
static int mcpsess_i_thv_string(mcpsess_i_thv *t, mcpsess_str name, mcpsess_str raw) {
    mcpsess_str value = mcpsess_i_json_inner(raw), start = name;
    unsigned char first[4];
    unsigned n = MCPSESS_I_THV_TERMINATED;
    if ((raw.ptr[0] != '"' && raw.ptr[0] != 'n') || name.len == 0) return MCPSESS_E_FORMAT;
    (void)mcpsess_i_json_char(&start, first);
    if (first[0] == 0) return MCPSESS_E_FORMAT; /* such keys are ours */
    if (t->state == MCPSESS_STATE_PLACEHOLDER) t->state = MCPSESS_STATE_ACTIVE;
    while (n < MCPSESS_I_THV_PLAIN && !mcpsess_i_json_is(name, mcpsess_i_thv_name(n), false)) n++;
    if (n < MCPSESS_I_THV_PLAIN && !mcpsess_i_thv_first(t, n)) return MCPSESS_E_FORMAT;
    if (n == MCPSESS_I_THV_TERMINATED && mcpsess_i_json_is(value, "true", false)) {
        t->state = MCPSESS_STATE_TERMINATED;
        return MCPSESS_OK;
    }
    if (n == MCPSESS_I_THV_BINDING && !mcpsess_i_json_is(value, "unauthenticated", false)) {
        return mcpsess_i_thv_principal(t, value);
    }
    mcpsess_i_thv_pair(t, name, value, false);
    return MCPSESS_OK;
}

/* Is this what would be written for these milliseconds? */
static bool mcpsess_i_thv_plain_time(mcpsess_str text, uint64_t ms) {
    char mem[MCPSESS_I_THV_TIME_MAX];
    mcpsess_i_json_out o = {NULL, MCPSESS_I_THV_TIME_MAX, 0};
    o.ptr = mem;
    if (ms < MCPSESS_I_THV_YEAR_10000) mcpsess_i_thv_put_time(&o, ms);
    return mcpsess_str_eq(text, mcpsess_str_of(mem, o.len));
}

static int mcpsess_i_thv_strings(mcpsess_i_thv *t, mcpsess_i_json_in *in) {
    mcpsess_str name, value;
    int rc = MCPSESS_OK;
    while (rc == MCPSESS_OK && (rc = mcpsess_i_json_member(in, &name, &value)) == MCPSESS_OK)
        rc = mcpsess_i_thv_string(t, name, value);
    return rc;
}

/* A member of the envelope. */
static int mcpsess_i_thv_part(mcpsess_i_thv *t, mcpsess_str name, mcpsess_str raw) {
    mcpsess_str text = mcpsess_i_json_inner(raw);
    mcpsess_i_json_in in = mcpsess_i_json_in_of(raw);
    unsigned n = 0;
    while (n < MCPSESS_I_THV_UNKNOWN && !mcpsess_i_json_is(name, mcpsess_i_thv_name(n), true)) n++;
    if (n == MCPSESS_I_THV_UNKNOWN || n == MCPSESS_I_THV_DATA) {
        mcpsess_i_thv_pair(t, n == MCPSESS_I_THV_DATA ? MCPSESS_STR("data") : name, raw, true);
        return MCPSESS_OK;
    }
    if (raw.ptr[0] == 'n') return MCPSESS_OK; /* null: as if it were not there */
    if (!mcpsess_i_thv_first(t, n) || raw.ptr[0] != (n == MCPSESS_I_THV_METADATA ? '{' : '"')) return MCPSESS_E_FORMAT;
    if (n == MCPSESS_I_THV_METADATA) {
        int rc = mcpsess_i_thv_strings(t, &in);
        return rc == MCPSESS_END ? MCPSESS_OK : rc;
    }
    if (n == MCPSESS_I_THV_ID) {
        (void)mcpsess_i_thv_place_text(t, text, false);
        return MCPSESS_OK;
    }
    if (n == MCPSESS_I_THV_TYPE) {
        if (mcpsess_i_json_is(text, "mcp", false)) return MCPSESS_OK;
    } else {
        uint64_t *ms = &t->ms[n - MCPSESS_I_THV_CREATED];
        if (!mcpsess_i_thv_time(text, ms)) return MCPSESS_E_FORMAT;
        if (mcpsess_i_thv_plain_time(text, *ms)) return MCPSESS_OK;
    }
    mcpsess_i_thv_pair(t, mcpsess_str_z(mcpsess_i_thv_name(n)), raw, true);
    return MCPSESS_OK;
}

static int mcpsess_i_thv_members(mcpsess_i_thv *t, mcpsess_i_json_in *in) {
    mcpsess_str name, value;
    int rc = MCPSESS_OK;
    while (rc == MCPSESS_OK && (rc = mcpsess_i_json_member(in, &name, &value)) == MCPSESS_OK)
        rc = mcpsess_i_thv_part(t, name, value);
    return rc;
}

static int mcpsess_i_thv_read(mcpsess_i_thv *t, int form, mcpsess_str json, mcpsess_str id) {
    mcpsess_i_json_in in = mcpsess_i_json_in_of(json);
    mcpsess_record record;
    size_t at;
    int rc;
    mcpsess_i_thv_put_le(t, MCPSESS_RECORD_VERSION, 8);
    mcpsess_i_thv_put_le(t, 0, 8);
    mcpsess_i_thv_put_le(t, 0, 5);
    t->pairs = t->out.len;
    if (form == MCPSESS_TOOLHIVE_VMCP) {
        mcpsess_i_json_put_str(&t->out, id);
        (void)mcpsess_i_thv_place(t, t->pairs, false);
        rc = mcpsess_i_thv_strings(t, &in);
    } else {
        t->state = MCPSESS_STATE_ACTIVE;
        rc = mcpsess_i_thv_members(t, &in);
    }
    if (rc == MCPSESS_END) rc = mcpsess_i_json_look(&in) != '\0' || in.at != in.end ? MCPSESS_E_FORMAT : MCPSESS_OK;
    if (rc == MCPSESS_OK && mcpsess_i_thv_over(t)) rc = MCPSESS_E_TOOBIG;
    if (rc != MCPSESS_OK) return rc;
    at = t->mark + 3 + mcpsess_i_thv_slice(t, t->mark + 1).len;
    mcpsess_i_thv_patch(t, at, t->state, 1);
    mcpsess_i_thv_patch(t, at + 1, t->ms[0], 6);
    mcpsess_i_thv_patch(t, at + 7, t->ms[1], 6);
    mcpsess_i_thv_patch(t, t->pairs - 2, t->count, 2);
    rc = mcpsess_record_decode(mcpsess_str_of(t->out.ptr + t->mark, t->out.len - t->mark), &record);
    return rc == MCPSESS_OK && id.len != 0 && !mcpsess_str_eq(id, record.id) ? MCPSESS_E_FORMAT : rc;
}

MCPSESS_API int mcpsess_toolhive_decode(int form, mcpsess_str json, mcpsess_str id, mcpsess_buf *record, size_t *need) {
    mcpsess_i_thv t;
    int rc;
    if (record == NULL || form < MCPSESS_TOOLHIVE_VMCP || form > MCPSESS_TOOLHIVE_PROXY) return MCPSESS_E_ARG;
    if (need != NULL) *need = 0;
    if ((json.len != 0 && json.ptr == NULL) || (id.len != 0 && id.ptr == NULL)) return MCPSESS_E_ARG;
    if (record->overflow) return MCPSESS_E_TOOBIG;
    if (form == MCPSESS_TOOLHIVE_VMCP && mcpsess_session_id_check(id) != MCPSESS_OK) return MCPSESS_E_ID;
    memset(&t, 0, sizeof t);
    t.out.ptr = record->ptr;
    t.out.cap = record->cap - record->len > 0xFFFFu ? record->len + 0xFFFFu : record->cap;
    t.out.len = t.mark = record->len;
    rc = mcpsess_i_thv_read(&t, form, json, id);
    if (need != NULL && (rc == MCPSESS_OK || rc == MCPSESS_E_TOOBIG)) *need = t.out.len - t.mark;
    if (rc == MCPSESS_OK) record->len = t.out.len;
    return rc;
}

/* ==== toolhive ==== */
/* uses: base record backends json digest toolhivetime toolhiveread */

/* -- ids -- */

/* Does s begin with z, but for capitals? */
static bool mcpsess_i_thv_begins(mcpsess_str s, const char *z) {
    size_t n = 0;
    while (z[n] != '\0' && n < s.len && mcpsess_i_json_small(s.ptr[n]) == z[n]) n++;
    return z[n] == '\0';
}

/* The forms that Go's uuid.Parse takes: plain, without dashes, behind urn:uuid:, between any two bytes. */
static bool mcpsess_i_thv_uuid(mcpsess_str id) {
    size_t n;
    if (id.len == 45 && mcpsess_i_thv_begins(id, "urn:uuid:")) id = mcpsess_i_json_drop(id, 9);
    if (id.len == 38) id = mcpsess_str_of(id.ptr + 1, 36);
    if (id.len != 32 && id.len != 36) return false;
    for (n = 0; n < id.len; n++) {
        char c = mcpsess_i_json_small(id.ptr[n]);
        bool dash = id.len == 36 && (n == 8 || n == 13 || n == 18 || n == 23);
        if (dash ? c != '-' : (c < '0' || c > '9') && (c < 'a' || c > 'f')) return false;
    }
    return true;
}

MCPSESS_API int mcpsess_toolhive_id(mcpsess_str session_id, mcpsess_buf *out) {
    static const unsigned char dns[16] MCPSESS_ROM = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                                      0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
    mcpsess_i_sha1_of of = {dns, sizeof dns, {NULL, 0}};
    uint32_t h[5];
    unsigned n;
    bool same;
    if (out == NULL || session_id.ptr == NULL || session_id.len == 0 || session_id.len > 32767u) return MCPSESS_E_ARG;
    same = mcpsess_i_thv_uuid(session_id);
    if (out->overflow || out->cap - out->len < (same ? session_id.len : 36u)) return MCPSESS_E_TOOBIG;
    if (same) {
        mcpsess_buf_put(out, session_id);
        return MCPSESS_OK;
    }
    of.text = session_id;
    mcpsess_i_sha1(&of, h);
    h[1] = (h[1] & UINT32_C(0xFFFF0FFF)) | 0x5000u;
    h[2] = (h[2] & UINT32_C(0x3FFFFFFF)) | UINT32_C(0x80000000);
    for (n = 0; n < 32; n++) {
        unsigned nibble = (unsigned)(h[n / 8u] >> (28u - 4u * (unsigned)(n & 7u)) & 15u);
        if (n == 8 || n == 12 || n == 16 || n == 20) mcpsess_buf_put_char(out, '-');
        mcpsess_buf_put_char(out, (char)(nibble < 10 ? '0' + nibble : 'a' + (nibble - 10)));
    }
    return MCPSESS_OK;
}

/* -- writing -- */

/* The next pair whose key has a NUL before it, or the next that has none. */
static bool mcpsess_i_thv_step(const mcpsess_record *r, size_t *cursor, bool nul, mcpsess_str *key,
                               mcpsess_str *value) {
    while (mcpsess_record_next(r, cursor, key, value) == MCPSESS_OK) {
        if ((key->ptr[0] == '\0') == nul) return true;
    }
    return false;
}

static void mcpsess_i_thv_put_name(mcpsess_i_json_out *o, mcpsess_str name, char before) {
    mcpsess_i_json_put(o, (unsigned char)before);
    mcpsess_i_json_put_string(o, name);
    mcpsess_i_json_put(o, ':');
}

/* A string that is a member of the record; its name stands before it. -> does the record have it? */
static bool mcpsess_i_thv_put_special(mcpsess_i_json_out *o, const mcpsess_record *r, unsigned n, char before) {
    bool binding = n == MCPSESS_I_THV_BINDING;
    if (binding ? r->principal.issuer.len == 0 : r->state != MCPSESS_STATE_TERMINATED) return false;
    mcpsess_i_thv_put_name(o, mcpsess_str_z(mcpsess_i_thv_name(n)), before);
    mcpsess_i_json_put(o, '"');
    mcpsess_i_json_escape(o, binding ? r->principal.issuer : MCPSESS_STR("true"));
    if (binding) mcpsess_i_json_put_u(o, 0, 'a');
    if (binding) mcpsess_i_json_escape(o, r->principal.subject);
    mcpsess_i_json_put(o, '"');
    return true;
}

/* The strings, in the order of their keys; *any: there are some.  -> OK, E_MAPPING: a pair that would be read as a
   member of the record, or besides one */
static int mcpsess_i_thv_put_strings(const mcpsess_record *r, mcpsess_i_json_out *o, bool *any) {
    mcpsess_str key, value;
    size_t cursor = 0;
    unsigned n = MCPSESS_I_THV_TERMINATED;
    char before = '{';
    bool pair = mcpsess_i_thv_step(r, &cursor, false, &key, &value);
    while (pair || n < MCPSESS_I_THV_PLAIN) {
        int order = 1;
        if (n < MCPSESS_I_THV_PLAIN) order = pair ? mcpsess_str_order(mcpsess_str_z(mcpsess_i_thv_name(n)), key) : -1;
        if (order <= 0) {
            bool put = mcpsess_i_thv_put_special(o, r, n, before), binding = n == MCPSESS_I_THV_BINDING;
            mcpsess_str mark = binding ? MCPSESS_STR("unauthenticated") : MCPSESS_STR("true");
            if (order == 0 && (put || mcpsess_str_eq(value, mark) != binding)) return MCPSESS_REDIS_E_MAPPING;
            if (put) before = ',';
            n++;
            continue;
        }
        mcpsess_i_thv_put_name(o, key, before);
        mcpsess_i_json_put_string(o, value);
        before = ',';
        pair = mcpsess_i_thv_step(r, &cursor, false, &key, &value);
    }
    *any = before == ',';
    if (!*any) mcpsess_i_json_put(o, '{');
    mcpsess_i_json_put(o, '}');
    return MCPSESS_OK;
}

static int mcpsess_i_thv_write_vmcp(const mcpsess_record *r, mcpsess_i_json_out *o) {
    mcpsess_str key, value;
    size_t cursor = 0;
    bool any;
    int rc = mcpsess_i_thv_put_strings(r, o, &any);
    if (rc != MCPSESS_OK || r->created_ms != 0 || r->updated_ms != 0) return MCPSESS_REDIS_E_MAPPING;
    if (mcpsess_i_thv_step(r, &cursor, true, &key, &value)) return MCPSESS_REDIS_E_MAPPING;
    if (any == (r->state == MCPSESS_STATE_PLACEHOLDER)) return MCPSESS_REDIS_E_MAPPING;
    return MCPSESS_OK;
}

/* JSON that a pair has kept. */
static int mcpsess_i_thv_put_raw(mcpsess_i_json_out *o, mcpsess_str value) {
    mcpsess_i_json_in in = mcpsess_i_json_in_of(value);
    mcpsess_str raw;
    int rc = mcpsess_i_json_value(&in, &raw);
    mcpsess_i_json_put_str(o, value);
    return rc == MCPSESS_OK && in.at != in.end ? MCPSESS_E_FORMAT : rc;
}

/* An instant: as a pair has kept it, if that is the same millisecond still. */
static int mcpsess_i_thv_put_instant(mcpsess_i_json_out *o, mcpsess_str kept, uint64_t ms) {
    mcpsess_str text = mcpsess_i_json_inner(kept);
    uint64_t kept_ms = ms;
    if (kept.ptr != NULL && !mcpsess_i_thv_time(text, &kept_ms)) return MCPSESS_E_FORMAT;
    if (kept.ptr != NULL && kept_ms == ms) return mcpsess_i_thv_put_raw(o, kept);
    if (ms >= MCPSESS_I_THV_YEAR_10000) return MCPSESS_REDIS_E_MAPPING;
    mcpsess_i_json_put(o, '"');
    mcpsess_i_thv_put_time(o, ms);
    mcpsess_i_json_put(o, '"');
    return MCPSESS_OK;
}

/* A known member other than metadata; data may be absent. */
static int mcpsess_i_thv_put_member(mcpsess_i_json_out *o, const mcpsess_record *r, unsigned n) {
    const char *name = mcpsess_i_thv_name(n);
    mcpsess_str value;
    int rc = mcpsess_record_get(r, mcpsess_str_of(name - 1, mcpsess_str_z(name).len + 1), &value);
    if (n == MCPSESS_I_THV_ID && rc == MCPSESS_OK) return MCPSESS_REDIS_E_MAPPING;
    if (n == MCPSESS_I_THV_DATA && rc != MCPSESS_OK) return MCPSESS_OK;
    if (n == MCPSESS_I_THV_TYPE && rc != MCPSESS_OK) value = MCPSESS_STR("\"mcp\"");
    mcpsess_i_thv_put_name(o, mcpsess_str_z(name), n == MCPSESS_I_THV_ID ? '{' : ',');
    switch (n) {
    case MCPSESS_I_THV_ID: mcpsess_i_json_put_string(o, r->id); return MCPSESS_OK;
    case MCPSESS_I_THV_CREATED: return mcpsess_i_thv_put_instant(o, value, r->created_ms);
    case MCPSESS_I_THV_UPDATED: return mcpsess_i_thv_put_instant(o, value, r->updated_ms);
    case MCPSESS_I_THV_TYPE:
        if (value.len == 0 || value.ptr[0] != '"') return MCPSESS_E_FORMAT;
        break;
    default: break;
    }
    return mcpsess_i_thv_put_raw(o, value);
}

/* Members of an envelope that are unknown here. */
static int mcpsess_i_thv_put_unknown(const mcpsess_record *r, mcpsess_i_json_out *o) {
    mcpsess_str key, value;
    size_t cursor = 0;
    int rc = MCPSESS_OK;
    while (rc == MCPSESS_OK && mcpsess_i_thv_step(r, &cursor, true, &key, &value)) {
        unsigned n = 0;
        key = mcpsess_i_json_drop(key, 1);
        for (; n < MCPSESS_I_THV_UNKNOWN; n++) {
            const char *name = mcpsess_i_thv_name(n);
            if (key.len == mcpsess_str_z(name).len && mcpsess_i_thv_begins(key, name)) break;
        }
        if (n == MCPSESS_I_THV_METADATA) return MCPSESS_REDIS_E_MAPPING;
        if (n < MCPSESS_I_THV_UNKNOWN) {
            if (!mcpsess_str_eq(key, mcpsess_str_z(mcpsess_i_thv_name(n)))) return MCPSESS_REDIS_E_MAPPING;
            continue;
        }
        mcpsess_i_thv_put_name(o, key, ',');
        rc = mcpsess_i_thv_put_raw(o, value);
    }
    return rc;
}

static int mcpsess_i_thv_write_proxy(const mcpsess_record *r, mcpsess_i_json_out *o) {
    size_t mark;
    unsigned n;
    bool any = true;
    int rc = MCPSESS_OK;
    if (r->state == MCPSESS_STATE_PLACEHOLDER) return MCPSESS_REDIS_E_MAPPING;
    if (!mcpsess_i_thv_uuid(r->id)) return MCPSESS_E_ID;
    for (n = 0; rc == MCPSESS_OK && n < MCPSESS_I_THV_METADATA; n++) rc = mcpsess_i_thv_put_member(o, r, n);
    mark = o->len;
    mcpsess_i_json_put_z(o, ",\"metadata\":");
    if (rc == MCPSESS_OK) rc = mcpsess_i_thv_put_strings(r, o, &any);
    if (!any) o->len = mark;
    if (rc == MCPSESS_OK) rc = mcpsess_i_thv_put_unknown(r, o);
    mcpsess_i_json_put(o, '}');
    return rc;
}

MCPSESS_API int mcpsess_toolhive_encode(int form, const mcpsess_record *r, mcpsess_buf *json) {
    mcpsess_i_json_out o;
    int rc;
    if (r == NULL || json == NULL || form < MCPSESS_TOOLHIVE_VMCP || form > MCPSESS_TOOLHIVE_PROXY)
        return MCPSESS_E_ARG;
    rc = mcpsess_principal_check(&r->principal);
    if (rc == MCPSESS_OK && json->overflow) rc = MCPSESS_E_TOOBIG;
    if (rc != MCPSESS_OK) return rc;
    if (r->backend.len != 0 || r->state > MCPSESS_STATE_TERMINATED) return MCPSESS_REDIS_E_MAPPING;
    o.ptr = json->ptr;
    o.cap = json->cap;
    o.len = json->len;
    rc = form == MCPSESS_TOOLHIVE_VMCP ? mcpsess_i_thv_write_vmcp(r, &o) : mcpsess_i_thv_write_proxy(r, &o);
    if (rc == MCPSESS_OK && o.len > o.cap) rc = MCPSESS_E_TOOBIG;
    if (rc == MCPSESS_OK) json->len = o.len;
    return rc;
}

/* -- commands -- */

/* -- the rules of the vMCP -- */

MCPSESS_API mcpsess_backends mcpsess_toolhive_backends(void) {
    mcpsess_backends b;
    b.list = MCPSESS_STR("vmcp.backend.ids");
    b.session = MCPSESS_STR("vmcp.backend.session.");
    return b;
}

MCPSESS_API int mcpsess_toolhive_restorable(const mcpsess_record *r) {
    mcpsess_str binding;
    if (r == NULL) return MCPSESS_E_ARG;
    if (r->state == MCPSESS_STATE_PLACEHOLDER || r->state == MCPSESS_STATE_TERMINATED) return MCPSESS_MISS;
    if (r->principal.subject.len != 0) return MCPSESS_OK;
    return mcpsess_record_get(r, MCPSESS_STR(MCPSESS_TOOLHIVE_BINDING), &binding);
}

/* -- commands -- */

static mcpsess_toolhive_layout mcpsess_i_thv_layout(mcpsess_str prefix, uint32_t ttl_ms, uint8_t form) {
    mcpsess_toolhive_layout l;
    l.prefix = prefix;
    l.ttl_ms = ttl_ms;
    l.form = form;
    return l;
}

MCPSESS_API mcpsess_toolhive_layout mcpsess_toolhive_vmcp(void) {
    return mcpsess_i_thv_layout(MCPSESS_STR("thv:vmcp:session:"), UINT32_C(1800000), MCPSESS_TOOLHIVE_VMCP);
}

MCPSESS_API mcpsess_toolhive_layout mcpsess_toolhive_proxy(void) {
    return mcpsess_i_thv_layout(MCPSESS_STR("thv:proxy:session:"), UINT32_C(7200000), MCPSESS_TOOLHIVE_PROXY);
}

static bool mcpsess_i_thv_layout_bad(const mcpsess_toolhive_layout *l) {
    if (l->prefix.ptr == NULL || l->prefix.len == 0 || l->prefix.ptr[l->prefix.len - 1] != ':') return true;
    if (l->form < MCPSESS_TOOLHIVE_VMCP || l->form > MCPSESS_TOOLHIVE_PROXY) return true;
    return l->ttl_ms == 0 || l->ttl_ms > UINT64_C(1) << 46;
}

static mcpsess_str mcpsess_i_thv_verb(int command) {
    switch (command) {
    case MCPSESS_TOOLHIVE_LOAD: return MCPSESS_STR("getex");
    case MCPSESS_TOOLHIVE_PEEK: return MCPSESS_STR("get");
    case MCPSESS_TOOLHIVE_DELETE: return MCPSESS_STR("del");
    default: return MCPSESS_STR("set");
    }
}

MCPSESS_API int mcpsess_toolhive_command(const mcpsess_toolhive_layout *l, int command, mcpsess_str id,
                                         mcpsess_str json, mcpsess_buf *scratch, mcpsess_toolhive_words *words) {
    const bool writes = command <= MCPSESS_TOOLHIVE_STORE, lives = command <= MCPSESS_TOOLHIVE_LOAD;
    mcpsess_str *word;
    uint64_t ttl;
    size_t mark, key_end;
    bool seconds;
    if (l == NULL || scratch == NULL || words == NULL || mcpsess_i_thv_layout_bad(l)) return MCPSESS_E_ARG;
    if (command < MCPSESS_TOOLHIVE_CREATE || command > MCPSESS_TOOLHIVE_DELETE) return MCPSESS_E_ARG;
    if (id.len == 0 || id.ptr == NULL || (writes && (json.len == 0 || json.ptr == NULL))) return MCPSESS_E_ARG;
    if (scratch->overflow) return MCPSESS_E_TOOBIG;
    ttl = l->ttl_ms;
    seconds = mcpsess_i_thv_divide(&ttl, 1000) == 0; /* as go-redis has it: where they do */
    mark = scratch->len;
    mcpsess_buf_put(scratch, l->prefix);
    mcpsess_buf_put(scratch, id);
    key_end = scratch->len;
    if (lives) mcpsess_buf_put_u64(scratch, seconds ? ttl : l->ttl_ms);
    if (scratch->overflow) {
        scratch->overflow = false;
        scratch->len = mark;
        return MCPSESS_E_TOOBIG;
    }
    word = words->argv;
    *word++ = mcpsess_i_thv_verb(command);
    *word++ = mcpsess_str_of(scratch->ptr + mark, key_end - mark);
    if (writes) *word++ = json;
    if (lives) *word++ = seconds ? MCPSESS_STR("ex") : MCPSESS_STR("px");
    if (lives) *word++ = mcpsess_str_of(scratch->ptr + key_end, scratch->len - key_end);
    if (command == MCPSESS_TOOLHIVE_CREATE) *word++ = MCPSESS_STR("nx");
    if (command == MCPSESS_TOOLHIVE_UPDATE) *word++ = MCPSESS_STR("XX");
    words->argc = (size_t)(word - words->argv);
    return MCPSESS_OK;
}

#ifndef MCPSESS_NO_STREAM

/* ==== csharpjson ==== */
/* uses: base event json */

/* Members, in the order in which they are written. */
enum { MCPSESS_I_CSJ_TYPE, MCPSESS_I_CSJ_ID, MCPSESS_I_CSJ_RETRY, MCPSESS_I_CSJ_DATA };

/* What an event's JSON has in it. */
typedef struct mcpsess_i_csj_event {
    mcpsess_str type, id; /* between the quotes */
    mcpsess_str data;     /* as it stands there; ptr NULL: none */
    uint64_t retry_ms;
    bool retry;
} mcpsess_i_csj_event;

/* -- writing -- */

/* Bytes of broken UTF-8 that .NET makes one U+FFFD of: as many as could have begun a character, but one at least. */
static size_t mcpsess_i_csj_broken(mcpsess_str s) {
    unsigned c = (unsigned char)s.ptr[0], low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    unsigned high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    size_t n = 1, len = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (c < 0xC2 || c > 0xF4) return 1;
    for (; n < len && n < s.len; n++) {
        unsigned next = (unsigned char)s.ptr[n];
        if (next < low || next > high) break;
        low = 0x80;
        high = 0xBF;
    }
    return n;
}

/* Does .NET's default encoder write a character as it is? */
static bool mcpsess_i_csj_plain(uint32_t point) {
    switch (point) {
    case '"':
    case '&':
    case '\'':
    case '+':
    case '<':
    case '>':
    case '`':
    case '\\': return false;
    default: return point >= 0x20 && point < 0x7F;
    }
}

static void mcpsess_i_csj_put_char(mcpsess_i_json_out *o, uint32_t point) {
    char letter = point < 0x80 && point != '"' ? mcpsess_i_json_letter((char)point, true) : 0;
    if (mcpsess_i_csj_plain(point)) {
        mcpsess_i_json_put(o, (unsigned)point);
    } else if (letter != 0) {
        mcpsess_i_json_put(o, '\\');
        mcpsess_i_json_put(o, (unsigned char)letter);
    } else if (point < 0x10000) {
        mcpsess_i_json_put_u(o, point, 'A');
    } else {
        mcpsess_i_json_put_u(o, 0xD800u + ((point - 0x10000u) >> 10), 'A');
        mcpsess_i_json_put_u(o, 0xDC00u + (point & 0x3FFu), 'A');
    }
}

/* The text of a string, escaped. */
static void mcpsess_i_csj_escape(mcpsess_i_json_out *o, mcpsess_str s) {
    while (s.len != 0) {
        uint32_t point;
        size_t n = mcpsess_i_json_utf8(s, &point);
        mcpsess_i_csj_put_char(o, n == 0 ? 0xFFFDu : point);
        s = mcpsess_i_json_drop(s, n == 0 ? mcpsess_i_csj_broken(s) : n);
    }
}

static void mcpsess_i_csj_put_u64(mcpsess_i_json_out *o, uint64_t v) {
    char mem[20];
    mcpsess_buf b;
    mcpsess_buf_init(&b, mem, sizeof mem);
    mcpsess_buf_put_u64(&b, v);
    mcpsess_i_json_put_str(o, mcpsess_buf_str(&b));
}

/* A name and its colon, behind '{' or ','. */
static void mcpsess_i_csj_put_name(mcpsess_i_json_out *o, unsigned *before, const char *name) {
    mcpsess_i_json_put(o, *before);
    mcpsess_i_json_put_string(o, mcpsess_str_z(name));
    mcpsess_i_json_put(o, ':');
    *before = ',';
}

static void mcpsess_i_csj_put_text(mcpsess_i_json_out *o, unsigned *before, const char *name, mcpsess_str text) {
    mcpsess_i_csj_put_name(o, before, name);
    mcpsess_i_json_put(o, '"');
    mcpsess_i_csj_escape(o, text);
    mcpsess_i_json_put(o, '"');
}

/* An event up to its data; what is left are the data, if there are any, and '}'. */
static void mcpsess_i_csj_put_head(mcpsess_i_json_out *o, const mcpsess_event *e) {
    unsigned before = '{';
    mcpsess_i_csj_put_text(o, &before, "eventType", e->type.len != 0 ? e->type : MCPSESS_STR("message"));
    if (e->id.len != 0) mcpsess_i_csj_put_text(o, &before, "eventId", e->id);
    if (e->retry) {
        mcpsess_i_csj_put_name(o, &before, "reconnectionIntervalMs");
        mcpsess_i_csj_put_u64(o, e->retry_ms);
    }
    if (e->data.ptr != NULL) mcpsess_i_csj_put_name(o, &before, "data");
}

static void mcpsess_i_csj_put_entry(mcpsess_i_json_out *o, mcpsess_str stream, uint64_t last) {
    unsigned before = '{';
    mcpsess_i_csj_put_text(o, &before, "streamId", stream);
    mcpsess_i_csj_put_name(o, &before, "lastSequence");
    mcpsess_i_csj_put_u64(o, last);
    mcpsess_i_json_put(o, '}');
}

/* A writer behind what b holds; what it wrote counts when it is settled. */
static mcpsess_i_json_out mcpsess_i_csj_out(const mcpsess_buf *b) {
    mcpsess_i_json_out o;
    o.ptr = b->ptr;
    o.cap = b->overflow ? 0 : b->cap;
    o.len = b->len;
    return o;
}

static int mcpsess_i_csj_settle(const mcpsess_i_json_out *o, mcpsess_buf *b) {
    if (b->overflow || o->len > o->cap) return MCPSESS_E_TOOBIG;
    b->len = o->len;
    return MCPSESS_OK;
}

/* -- reading -- */

static bool mcpsess_i_csj_bad(mcpsess_str s) {
    return s.ptr == NULL && s.len != 0;
}

/* What a text is but for white space around it. */
static mcpsess_str mcpsess_i_csj_trim(mcpsess_str s) {
    while (s.len != 0 && mcpsess_i_json_blank(s.ptr[s.len - 1])) s.len--;
    while (s.len != 0 && mcpsess_i_json_blank(s.ptr[0])) s = mcpsess_i_json_drop(s, 1);
    return s;
}

static bool mcpsess_i_csj_is_utf8(mcpsess_str s) {
    uint32_t point;
    while (s.len != 0) {
        unsigned n = mcpsess_i_json_utf8(s, &point);
        if (n == 0) return false;
        s = mcpsess_i_json_drop(s, n);
    }
    return true;
}

/* Is this one JSON value that .NET can read within an event? */
static bool mcpsess_i_csj_is_value(mcpsess_str text) {
    mcpsess_i_json_in in = mcpsess_i_json_in_of(text);
    mcpsess_str raw;
    return mcpsess_i_json_value(&in, &raw) == MCPSESS_OK && raw.len == mcpsess_i_csj_trim(text).len &&
           mcpsess_i_csj_is_utf8(raw);
}

/* Walks the members of an object that is all of its text.  -> OK, END, MISS: it is null, E_FORMAT */
static int mcpsess_i_csj_member(mcpsess_i_json_in *in, mcpsess_str *name, mcpsess_str *raw) {
    int rc;
    if (in->begun || mcpsess_i_json_look(in) != 'n') rc = mcpsess_i_json_member(in, name, raw);
    else rc = mcpsess_i_json_word(in, "null") ? MCPSESS_MISS : MCPSESS_E_FORMAT;
    if (rc == MCPSESS_OK) return rc;
    (void)mcpsess_i_json_look(in);
    return rc > 0 && in->at == in->end ? rc : MCPSESS_E_FORMAT;
}

/* Which of these names is it? Each ends with a NUL, the last with two.  -> as many as there are: none */
static unsigned mcpsess_i_csj_which(mcpsess_str name, const char *names) {
    unsigned n = 0;
    while (*names != '\0' && !mcpsess_i_json_is(name, names, true)) {
        while (*names++ != '\0') {
        }
        n++;
    }
    return n;
}

/* A whole number, or one in a string. */
static bool mcpsess_i_csj_number(mcpsess_str raw, uint64_t max, uint64_t *v) {
    char mem[20];
    mcpsess_i_json_out o = {NULL, sizeof mem, 0};
    o.ptr = mem;
    if (raw.ptr[0] == '"') {
        mcpsess_i_json_unescape(&o, mcpsess_i_json_inner(raw));
        if (o.len > o.cap) return false;
        raw = mcpsess_str_of(mem, o.len);
    }
    return mcpsess_u64_decode(raw, max, v) == MCPSESS_OK;
}

static bool mcpsess_i_csj_text(mcpsess_str raw, mcpsess_str *text) {
    *text = mcpsess_i_json_inner(raw);
    return raw.ptr[0] == '"' || raw.ptr[0] == 'n';
}

static bool mcpsess_i_csj_part(mcpsess_i_csj_event *e, unsigned which, mcpsess_str raw) {
    uint64_t below_zero;
    bool null = raw.ptr[0] == 'n';
    switch (which) {
    case MCPSESS_I_CSJ_TYPE: return mcpsess_i_csj_text(raw, &e->type);
    case MCPSESS_I_CSJ_ID: return mcpsess_i_csj_text(raw, &e->id);
    case MCPSESS_I_CSJ_RETRY:
        e->retry = !null && raw.ptr[0] != '-'; /* a client takes no other */
        if (null) return true;
        if (e->retry) return mcpsess_i_csj_number(raw, INT32_MAX, &e->retry_ms);
        return mcpsess_i_csj_number(mcpsess_i_json_drop(raw, 1), INT32_MAX, &below_zero);
    case MCPSESS_I_CSJ_DATA: e->data = null ? mcpsess_str_of(NULL, 0) : raw; return mcpsess_i_csj_is_utf8(raw);
    default: return true;
    }
}

/* -> OK, MISS, E_FORMAT */
static int mcpsess_i_csj_read_event(mcpsess_str json, mcpsess_i_csj_event *e) {
    mcpsess_i_json_in in = mcpsess_i_json_in_of(json);
    mcpsess_str name, raw;
    int rc;
    memset(e, 0, sizeof *e);
    while ((rc = mcpsess_i_csj_member(&in, &name, &raw)) == MCPSESS_OK) {
        unsigned which = mcpsess_i_csj_which(name, "eventtype\0eventid\0reconnectionintervalms\0data\0");
        if (!mcpsess_i_csj_part(e, which, raw)) return MCPSESS_E_FORMAT;
    }
    return rc == MCPSESS_END ? MCPSESS_OK : rc;
}

/* "Streaming" or "Polling", 0 or 1, or such a number in a string; of any other number .NET takes neither for itself. */
static bool mcpsess_i_csj_mode(mcpsess_str raw, bool *polling) {
    mcpsess_str text = mcpsess_i_json_inner(raw);
    uint64_t number = 0;
    *polling = mcpsess_i_json_is(text, "polling", true);
    if (*polling || mcpsess_i_json_is(text, "streaming", true)) return true;
    if (!mcpsess_i_csj_number(raw, INT32_MAX, &number)) return false;
    *polling = number == 1;
    return true;
}

/* -- the API -- */

MCPSESS_API int mcpsess_csharp_event_encode(const mcpsess_event *e, mcpsess_buf *json) {
    mcpsess_i_json_out o;
    if (e == NULL || json == NULL || mcpsess_i_csj_bad(e->type) || mcpsess_i_csj_bad(e->id)) return MCPSESS_E_ARG;
    if (mcpsess_i_csj_bad(e->data)) return MCPSESS_E_ARG;
    if (e->data.ptr != NULL && !mcpsess_i_csj_is_value(e->data)) return MCPSESS_E_FORMAT;
    if (e->retry && e->retry_ms > INT32_MAX) return MCPSESS_E_TOOBIG;
    o = mcpsess_i_csj_out(json);
    mcpsess_i_csj_put_head(&o, e);
    mcpsess_i_json_put_str(&o, mcpsess_i_csj_trim(e->data));
    mcpsess_i_json_put(&o, '}');
    return mcpsess_i_csj_settle(&o, json);
}

MCPSESS_API int mcpsess_csharp_event_decode(mcpsess_str json, mcpsess_buf *mem, mcpsess_event *e) {
    mcpsess_i_csj_event parts;
    mcpsess_i_json_out o;
    size_t from, mid;
    int rc;
    if (e == NULL) return MCPSESS_E_ARG;
    memset(e, 0, sizeof *e);
    if (mem == NULL || mcpsess_i_csj_bad(json)) return MCPSESS_E_ARG;
    rc = mcpsess_i_csj_read_event(json, &parts);
    if (rc != MCPSESS_OK) return rc;
    o = mcpsess_i_csj_out(mem);
    from = o.len;
    mcpsess_i_json_unescape(&o, parts.type);
    mid = o.len;
    mcpsess_i_json_unescape(&o, parts.id);
    rc = mcpsess_i_csj_settle(&o, mem);
    if (rc != MCPSESS_OK) return rc;
    if (mid != from) e->type = mcpsess_str_of(mem->ptr + from, mid - from);
    if (o.len != mid) e->id = mcpsess_str_of(mem->ptr + mid, o.len - mid);
    e->data = parts.data;
    e->retry = parts.retry;
    if (e->retry) e->retry_ms = (uint32_t)parts.retry_ms;
    return MCPSESS_OK;
}

MCPSESS_API int mcpsess_csharp_meta_encode(const mcpsess_csharp_meta *m, bool numeric, mcpsess_buf *json) {
    mcpsess_i_json_out o;
    unsigned before = '{';
    if (m == NULL || json == NULL || m->last > (uint64_t)MCPSESS_SEQUENCE_MAX) return MCPSESS_E_ARG;
    o = mcpsess_i_csj_out(json);
    mcpsess_i_csj_put_name(&o, &before, "mode");
    if (numeric) mcpsess_i_json_put(&o, m->polling ? '1' : '0');
    else mcpsess_i_json_put_string(&o, m->polling ? MCPSESS_STR("Polling") : MCPSESS_STR("Streaming"));
    mcpsess_i_csj_put_name(&o, &before, "isCompleted");
    mcpsess_i_json_put_str(&o, m->done ? MCPSESS_STR("true") : MCPSESS_STR("false"));
    mcpsess_i_csj_put_name(&o, &before, "lastSequence");
    mcpsess_i_csj_put_u64(&o, m->last);
    mcpsess_i_json_put(&o, '}');
    return mcpsess_i_csj_settle(&o, json);
}

static bool mcpsess_i_csj_meta_part(mcpsess_csharp_meta *m, mcpsess_str name, mcpsess_str raw) {
    switch (mcpsess_i_csj_which(name, "mode\0iscompleted\0lastsequence\0")) {
    case 0: return mcpsess_i_csj_mode(raw, &m->polling);
    case 1: m->done = raw.ptr[0] == 't'; return m->done || raw.ptr[0] == 'f';
    case 2: return mcpsess_i_csj_number(raw, (uint64_t)MCPSESS_SEQUENCE_MAX, &m->last);
    default: return true;
    }
}

MCPSESS_API int mcpsess_csharp_meta_decode(mcpsess_str json, mcpsess_csharp_meta *m) {
    mcpsess_i_json_in in;
    mcpsess_str name, raw;
    int rc;
    if (m == NULL) return MCPSESS_E_ARG;
    memset(m, 0, sizeof *m);
    if (mcpsess_i_csj_bad(json)) return MCPSESS_E_ARG;
    in = mcpsess_i_json_in_of(json);
    while ((rc = mcpsess_i_csj_member(&in, &name, &raw)) == MCPSESS_OK) {
        if (!mcpsess_i_csj_meta_part(m, name, raw)) break;
    }
    if (rc == MCPSESS_END) return MCPSESS_OK;
    memset(m, 0, sizeof *m);
    return rc == MCPSESS_OK ? MCPSESS_E_FORMAT : rc;
}

MCPSESS_API int mcpsess_csharp_index_encode(const mcpsess_csharp_entry *entries, size_t count, mcpsess_buf *json) {
    mcpsess_i_json_out o;
    size_t n;
    if (json == NULL || (entries == NULL && count != 0)) return MCPSESS_E_ARG;
    for (n = 0; n < count; n++) {
        if (mcpsess_i_csj_bad(entries[n].stream) || entries[n].last > (uint64_t)MCPSESS_SEQUENCE_MAX)
            return MCPSESS_E_ARG;
    }
    o = mcpsess_i_csj_out(json);
    mcpsess_i_json_put_z(&o, "{\"streams\":[");
    for (n = 0; n < count; n++) {
        if (n != 0) mcpsess_i_json_put(&o, ',');
        mcpsess_i_csj_put_entry(&o, entries[n].stream, entries[n].last);
    }
    mcpsess_i_json_put_z(&o, "]}");
    return mcpsess_i_csj_settle(&o, json);
}

/* Where the first stream of an index is, its "[" behind it; *at 0: it has none. */
static int mcpsess_i_csj_streams(mcpsess_str json, size_t *at) {
    mcpsess_i_json_in in = mcpsess_i_json_in_of(json);
    mcpsess_str name, raw;
    int rc;
    *at = 0;
    while ((rc = mcpsess_i_csj_member(&in, &name, &raw)) == MCPSESS_OK) {
        if (!mcpsess_i_json_is(name, "streams", true)) continue;
        if (raw.ptr[0] != '[' && raw.ptr[0] != 'n') return MCPSESS_E_FORMAT;
        *at = raw.ptr[0] == '[' ? (size_t)(raw.ptr - json.ptr) + 1u : 0u;
    }
    return rc == MCPSESS_END ? MCPSESS_OK : rc;
}

/* The members of one stream; *name is the text of its own. */
static int mcpsess_i_csj_entry(mcpsess_str raw, mcpsess_str *stream, uint64_t *last) {
    mcpsess_i_json_in in = mcpsess_i_json_in_of(raw);
    mcpsess_str name, value;
    int rc;
    *last = 0;
    while ((rc = mcpsess_i_csj_member(&in, &name, &value)) == MCPSESS_OK) {
        unsigned which = mcpsess_i_csj_which(name, "streamid\0lastsequence\0");
        if (which == 0 && !mcpsess_i_csj_text(value, stream)) return MCPSESS_E_FORMAT;
        if (which == 1 && !mcpsess_i_csj_number(value, (uint64_t)MCPSESS_SEQUENCE_MAX, last)) return MCPSESS_E_FORMAT;
    }
    return rc == MCPSESS_END ? MCPSESS_OK : MCPSESS_E_FORMAT;
}

MCPSESS_API int mcpsess_csharp_index_next(mcpsess_str json, size_t *cursor, mcpsess_buf *mem,
                                          mcpsess_csharp_entry *entry) {
    mcpsess_i_json_in in;
    mcpsess_i_json_out o;
    mcpsess_str raw, stream = {NULL, 0};
    size_t at;
    int rc = MCPSESS_OK;
    if (cursor == NULL || mem == NULL || entry == NULL || mcpsess_i_csj_bad(json)) return MCPSESS_E_ARG;
    memset(entry, 0, sizeof *entry);
    at = *cursor;
    if (at == 0) rc = mcpsess_i_csj_streams(json, &at);
    if (rc != MCPSESS_OK) return rc;
    if (at == 0 || at > json.len) return MCPSESS_END;
    in = mcpsess_i_json_in_of(mcpsess_i_json_drop(json, at));
    if (mcpsess_i_json_take(&in, ']')) return MCPSESS_END;
    (void)mcpsess_i_json_take(&in, ','); /* that they are as they should be was seen at the first */
    if (mcpsess_i_json_value(&in, &raw) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    rc = mcpsess_i_csj_entry(raw, &stream, &entry->last);
    o = mcpsess_i_csj_out(mem);
    at = o.len;
    mcpsess_i_json_unescape(&o, stream);
    if (rc == MCPSESS_OK) rc = mcpsess_i_csj_settle(&o, mem);
    if (rc != MCPSESS_OK) {
        entry->last = 0;
        return rc;
    }
    entry->stream = mcpsess_str_of(mem->ptr + at, o.len - at);
    *cursor = (size_t)(in.at - json.ptr);
    return MCPSESS_OK;
}

/* ==== csharpscripts ==== */
/* uses: redis */

/* Each is one atomic step of the server, and answers {code, last, fence or first, flags, left, extra}; a page, its
   events behind them. code: as in MCPSESS_CODES. flags: 1 polling, 2 complete, 4 the log is another principal's, and
   8 for each event behind. left:
   ms of the writer's lease. extra: events dropped, or deleted; bytes of an event that is too big.

   The writer's hash: o the owner's bytes, f the fence, t the token, u until when (ms), n the last sequence there ever
   was, b the one that the log begins after, k until when it lives without metadata, q the request
   that began it. A log lives if it has metadata; or,
   not written yet, a writer, n = b, and k to come.
   Where n has gone on and the metadata have not, somebody has begun again who knew nothing of it.

   Metadata are read, never rewritten from what was read: as they are usually, by a pattern, else by cjson. Numbers are
   put together as text by N, because Lua writes large ones with an exponent; instants, in ticks of 100 ns, of two. */

/* KEYS: of the metadata, of the writer. ARGV: bytes of the instance's name; what; owner's bytes or none. E: what
   events' keys begin with; M: what the metadata of a key say. */
#define MCPSESS_I_CSHARP_KNOW                                                                                    \
    "local call,pcal,sub,fmt,num,max,V=redis.call,redis.pcall,string.sub,string.format,tonumber,math.max,ARGV\n" \
    "local K,W,n,own=KEYS[1],KEYS[2],num(V[1]),V[3]\n"                                                           \
    "local bad={-6,0,0,0,0,0}\n"                                                                                 \
    "local E=sub(K,1,n)..'mcp:sse:v1:event:'..sub(K,n+17)..':'\n"                                                \
    "local function N(x) return fmt('%.0f',x) end\n"                                                             \
    "local T=call('TIME')\n"                                                                                     \
    "local now=T[1]*1000+math.floor(T[2]/1000)\n"                                                                \
    "local function M(k)\n"                                                                                      \
    "local v=pcal('HGET',k,'data')\n"                                                                            \
    "if not v or v=='null' then return end\n"                                                                    \
    "if type(v)=='table' then return {x=v} end\n"                                                                \
    "local p,d,l=v:match('^{\"mode\":\"?(%w+)\"?,\"isCompleted\":(%l+),\"lastSequence\":(%d+)}$')\n"             \
    "if not p then\n"                                                                                            \
    "local ok,j=pcall(cjson.decode,v)\n"                                                                         \
    "if not ok or not v:find('^%s*{') then return {x=bad} end\n"                                                 \
    "p,d,l=0,'false','0'\n"                                                                                      \
    "for a,b in pairs(j) do\n"                                                                                   \
    "a=a:lower()\n"                                                                                              \
    "if a=='mode' then p=b\n"                                                                                    \
    "elseif a=='iscompleted' then d=type(b)=='boolean' and tostring(b)\n"                                        \
    "elseif a=='lastsequence' then l=tostring(b):match('^%d+$') end\n"                                           \
    "end\n"                                                                                                      \
    "end\n"                                                                                                      \
    "p=({streaming=0,polling=1})[tostring(p):lower()] or num(p)\n"                                               \
    "l=l and num(l)\n"                                                                                           \
    "if not p or d~='true' and d~='false' or not l or l>=2^53 then\n"                                            \
    "return {x=bad} end\n"                                                                                       \
    "return {l=l,p=p==1,d=d=='true'}\n"                                                                          \
    "end\n"

/* m: the metadata; L: the last sequence; live: there is a log */
#define MCPSESS_I_CSHARP_FIND                                                     \
    "local m=M(K)\n"                                                              \
    "if m and m.x then return m.x end\n"                                          \
    "local w=pcal('HMGET',W,'o','f','t','u','n','b','k','q')\n"                   \
    "if w.err then return w end\n"                                                \
    "local f,u,s,b=num(w[2]) or 0,num(w[4]) or 0,num(w[5]) or 0,num(w[6]) or 0\n" \
    "local L=m and m.l or s\n"                                                    \
    "local live=m or w[2] and s==b and num(w[7])>now\n"                           \
    "if live and own~='' and w[1] and w[1]~=own then return {2,0,0,4,0,0} end\n"

/* ARGV: TTL of the lease; sliding and absolute TTL of the metadata; 1: mode as a number; and
   O (open)    token, to begin anew a name of this request, else none, owner's bytes
   A (append)  fence, sequence, confirmed, event, sliding and absolute TTL, events at most, the name in an index
   S (set)     fence, sequence, 1 polling, 1 complete
   X: a TTL; who may not set it leaves no key without. P: a hash as .NET's cache writes it. H: the writer's, in time. Z:
   what there was goes, at most 1,000 keys of it; a log that goes on from r, which no event has, is another one to
   whoever knew the old. */
static const char mcpsess_i_csharp_write[] MCPSESS_ROM = MCPSESS_I_CSHARP_KNOW MCPSESS_I_CSHARP_FIND
    "local op,ttl,S,A=V[2],num(V[4]),num(V[5]),num(V[6])\n"
    "local function R(c,x) return {c,L,f,(m and m.p and 1 or 0)+(m and m.d and 2 or 0),max(0,u-now),x or 0} end\n"
    "local function X(k,t)\n"
    "if type(pcal('PEXPIRE',k,t))=='table' then\n"
    "if call('PTTL',k)<0 then call('UNLINK',k) end\n"
    "call('PEXPIRE',k,t) end end\n"
    "local function P(k,v,s,a)\n"
    "local t=T[2]+a%1000*1000\n"
    "call('HSET',k,'absexp',fmt('%.0f%06d0',T[1]+62135596800+math.floor(a/1000)+math.floor(t/1000000),t%1000000),\n"
    "'sldexp',N(s)..'0000','data',v)\n"
    "X(k,math.min(s,a)) end\n"
    "local function J(p,d)\n"
    "p=V[7]=='1' and (p and '1' or '0') or p and '\"Polling\"' or '\"Streaming\"'\n"
    "return '{\"mode\":'..p..',\"isCompleted\":'..tostring(d)..',\"lastSequence\":'..N(L)..'}' end\n"
    "local function H(...)\n"
    "call('HSET',W,'u',u,'k',now+S,...)\n"
    "X(W,A+ttl) end\n"
    "local function Z(r)\n"
    "local t,k=max(L,s),{K}\n"
    "for i=t,max(1,t-998),-1 do k[#k+1]=E..N(i) end\n"
    "call('UNLINK',unpack(k))\n"
    "L,s,b=r,r,r end\n"
    "local q=num(V[9])\n"
    "if op=='O' then\n"
    "local t=V[8]\n"
    "local mine=w[3]==t and u>now\n"
    "if w[3] and u>now and not mine then return R(6) end\n"
    "local fresh=V[9]~='' and V[9]~=w[8]\n"
    "if m and m.d and not fresh then return R(7) end\n"
    "local new=not live or fresh or L<s\n"
    "if new and (m or s>b) then\n"
    "Z(max(L,s)>b and max(L,s)+1 or b)\n"
    "m=nil end\n"
    "if not mine then f=max(f+1,T[1]*1000000+T[2]) end\n"
    "u=now+ttl\n"
    "H('o',not new and w[1] or V[10],'f',f,'t',t,'n',L,'b',b,'q',fresh and V[9] or w[8] or '')\n"
    "return R(0) end\n"
    "if not live then return R(2) end\n"
    "if w[2]~=V[8] then return R(10) end\n"
    "local known=op=='A' and num(V[10]) or q\n"
    "if known>L or L<s then\n"
    "local p=m and m.p\n"
    "Z(max(known,L,s)+65536)\n"
    "if m then\n"
    "m={p=p,d=false}\n"
    "P(K,J(p,false),S,A) end\n"
    "u=now+ttl\n"
    "H('n',L,'b',b)\n"
    "return R(11) end\n"
    "if q<b or q==b and op=='A' then return R(11) end\n"
    "if op=='S' then\n"
    "if m and m.d then return R(0) end\n"
    "local p,d=V[10]=='1',V[11]=='1'\n"
    "if not m or m.p~=p or d or call('PTTL',K)*2<math.min(S,A) then P(K,J(p,d),S,A) end\n"
    "m={p=p,d=d}\n"
    "u=d and 0 or now+ttl\n"
    "H('n',L)\n"
    "return R(0) end\n"
    "local k=E..V[9]\n"
    "if q<=L then\n"
    "local v=pcal('HGET',k,'data')\n"
    "if type(v)=='table' then return v end\n"
    "return R((not v or v==V[11]) and 9 or 5) end\n"
    "if q>L+1 or m and m.d then return R(5) end\n"
    "local x=KEYS[3]\n"
    "if x then\n"
    "local e='{\"streamId\":\"'..V[15]..'\",\"lastSequence\":'\n"
    "local v=pcal('HGET',x,'data') or '{\"streams\":[]}'\n"
    "if type(v)=='table' then return v end\n"
    "if sub(v,1,12)~='{\"streams\":[' or sub(v,-2)~=']}' then return R(-6) end\n"
    "local _,j=v:find(e,1,true)\n"
    "if j then x=sub(v,1,j)..V[9]..sub(v,v:find('%D',j+1),-1)\n"
    "else x=sub(v,1,-3)..(#v>14 and ',' or '')..e..V[9]..'}]}' end\n"
    "end\n"
    "L,u=q,now+ttl\n"
    "P(k,V[11],num(V[12]),num(V[13]))\n"
    "P(K,J(m and m.p,false),S,A)\n"
    "if x then P(KEYS[3],x,S,A) end\n"
    "H('n',q)\n"
    "local o=q-num(V[14])\n"
    "return R(0,o>b and call('UNLINK',E..N(o)) or 0)";
static const char mcpsess_i_csharp_write_sha1[] MCPSESS_ROM = "ba130f0c7c373c8e0517e4156c4747297e480085";

/* ARGV: how far to look for the oldest event; and
   R (range)   after which sequence, room, events at most or 0, sliding TTL of events to keep it alive or none, and of
               the metadata
   S (state)
   F: the oldest event that leads to i without a hole. S: what keeps a key alive; there is one.  */
static const char mcpsess_i_csharp_read[] MCPSESS_ROM = MCPSESS_I_CSHARP_KNOW MCPSESS_I_CSHARP_FIND
    "local C,p=num(V[4]),num(V[5])\n"
    "if not live then return {2,0,0,0,0,0} end\n"
    "local function R(c,F,x) return {c,L,F,(m and m.p and 1 or 0)+(m and m.d and 2 or 0),max(0,u-now),x or 0} "
    "end\n"
    "local function F(i)\n"
    "local z=max(b,i-C)\n"
    "while i>z do\n"
    "local k={}\n"
    "for j=i,max(z+1,i-999),-1 do k[#k+1]=E..N(j) end\n"
    "if call('EXISTS',unpack(k))<#k then\n"
    "for j=1,#k do if call('EXISTS',k[j])==0 then return i-j+2 end end end\n"
    "i=i-#k end\n"
    "return i+1 end\n"
    "local function S(k,ttl,need)\n"
    "local t=call('PTTL',k)\n"
    "if t==-2 then return end\n"
    "if t*2>=num(ttl) and t>=need then return t end\n"
    "local h,x=call('HMGET',k,'absexp','sldexp'),math.huge\n"
    "local a,s=num(h[1]) or -1,num(h[2]) or -1\n"
    "if s>=0 then x=s/10000 elseif t>=0 then return t end\n"
    "if a>=0 then x=math.min(x,a/10000-62135596800000-now) end\n"
    "if x==math.huge then return x end\n"
    "if x>t and (t*2<x or t<need) or t<0 then\n"
    "t=max(1,math.floor(x))\n"
    "call('PEXPIRE',k,t)\n"
    "call('PTTL',k) end\n"
    "return (t>1 or x>=1) and t end\n"
    "if V[2]=='S' then return R(0,F(L)) end\n"
    "local room,most,first=num(V[6]),num(V[7]),p+1\n"
    "if p>L or p<b then return R(8,F(L)) end\n"
    "if most==0 then most=L end\n"
    "if V[8]~='' then\n"
    "local e=0\n"
    "for i=p+1,math.min(L,p+most) do\n"
    "local t=S(E..N(i),V[8],0)\n"
    "if not t then return R(8,F(L)) end\n"
    "e=max(e,t) end\n"
    "if m then S(K,V[9],e)\n"
    "elseif (w[7]-now)*2<num(V[9]) then pcal('HSET',W,'k',now+V[9]) end\n"
    "if KEYS[3] then S(KEYS[3],V[9],e) end\n"
    "first=F(p) end\n"
    "local r,i,used,x=R(0,first),p+1,0,17+#K-n\n"
    "while i<=L and i-p<=most do\n"
    "local v=pcal('HGET',E..N(i),'data')\n"
    "if not v then return R(8,F(L)) end\n"
    "if type(v)=='table' then return v end\n"
    "if used+#v>room then\n"
    "if i==p+1 then return R(-4,first,#v) end\n"
    "break end\n"
    "used=used+max(6,#v-x)\n"
    "r[#r+1]=v\n"
    "i=i+1 end\n"
    "r[4]=r[4]+8*(#r-6)\n"
    "return r";
static const char mcpsess_i_csharp_read_sha1[] MCPSESS_ROM = "be660d4ea04a595e2963aa643ed06941fa5509f0";

/* ARGV: for how long a number is remembered; and
   1           where to go on or none, the name in an index
   A (all)     KEYS: of the index; what the writers' begin with
   At most 1,000 keys go, the newest first, and a code of 1 says that there are more. Events expire in their order:
   where there are none of 1,000, there are none before; but where the metadata are gone, too, that may have been the
   same request, whose answer was lost. */
static const char mcpsess_i_csharp_delete[] MCPSESS_ROM = MCPSESS_I_CSHARP_KNOW
    "local P,Y,c,more=sub(K,1,n),1000,0,0\n"
    "local function D(id,l,again)\n"
    "local k,w,e=P..'mcp:sse:v1:meta:'..id,P..'mcpsess:sse:v1:writer:'..id,P..'mcp:sse:v1:event:'..id..':'\n"
    "local h,m,g=call('HMGET',w,'o','n','b','f'),M(k),l\n"
    "if own~='' and h[1] and h[1]~=own then return end\n"
    "local s,b=num(h[2]) or 0,num(h[3]) or 0\n"
    "if not again and (m or not l or h[4]) then\n"
    "s,l=max(m and m.l or 0,s,l or 0),m and m.l or l or s\n"
    "call('UNLINK',k)\n"
    "call('HDEL',w,'o','f','t','u')\n"
    "if s>0 then\n"
    "s=s>b and s+1 or b\n"
    "call('PEXPIRE',w,V[4])\n"
    "call('HSET',w,'n',s,'b',s)\n"
    "call('PEXPIRE',w,V[4]) end\n"
    "end\n"
    "while l>0 and Y>0 do\n"
    "local k={}\n"
    "for j=l,max(1,l-Y+1),-1 do k[#k+1]=e..N(j) end\n"
    "local d=call('UNLINK',unpack(k))\n"
    "c,l,Y=c+d,l-#k,Y-#k\n"
    "if d==0 and #k==1000 and (m or g) then l=0 end end\n"
    "return l end\n"
    "local none={0,0,0,0,0,0}\n"
    "if V[2]=='1' then\n"
    "local v=KEYS[3] and pcal('HGET',KEYS[3],'data')\n"
    "if type(v)=='table' then return v end\n"
    "local l=D(sub(K,n+17),num(V[5]),V[5]~='')\n"
    "if not l then return {0,0,0,4,0,0} end\n"
    "local i,j=string.find(v or '','{\"streamId\":\"'..(V[6] or '')..'\",\"lastSequence\":',1,true)\n"
    "if i then\n"
    "local a,z=sub(v,1,i-1),sub(v,string.find(v,'}',j,true)+1)\n"
    "if sub(z,1,1)==',' then z=sub(z,2) elseif sub(a,-1)==',' then a=sub(a,1,-2) end\n"
    "if #a+#z==14 then call('UNLINK',KEYS[3]) else call('HSET',KEYS[3],'data',a..z) end end\n"
    "return {l>0 and 1 or 0,l,0,0,0,c} end\n"
    "local function B(s)\n"
    "local d,o='ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',''\n"
    "for i=1,#s,3 do\n"
    "local a,b,c=string.byte(s,i,i+2)\n"
    "for j=3,0,-1 do\n"
    "local x=math.floor((a*65536+(b or 0)*256+(c or 0))/64^j)%64+1\n"
    "o=o..((j==1 and not b or j==0 and not c) and '=' or sub(d,x,x)) end end\n"
    "return o end\n"
    "local function Q(t)\n"
    "local o={}\n"
    "for i,e in ipairs(t) do o[i]='{\"streamId\":\"'..e[1]..'\",\"lastSequence\":'..N(e[2])..'}' end\n"
    "return '{\"streams\":['..table.concat(o,',')..']}' end\n"
    "local v,t,keep=pcal('HGET',K,'data'),{},{}\n"
    "if not v then return none end\n"
    "if type(v)=='table' then return v end\n"
    "for i,l in string.gmatch(v,'{\"streamId\":\"([^\"]*)\",\"lastSequence\":(%d+)}') do t[#t+1]={i,num(l)%2^53} end\n"
    "if Q(t)~=v then return bad end\n"
    "for _,e in ipairs(t) do\n"
    "local l=1\n"
    "if Y>0 then\n"
    "local ok,j=pcall(cjson.decode,'[\"'..e[1]..'\"]')\n"
    "if not ok then return bad end\n"
    "l=D(sub(KEYS[2],n+23)..B(j[1]),e[2])\n"
    "if l then Y,e[2]=Y-3,l end end\n"
    "if l~=0 then\n"
    "keep[#keep+1]=e\n"
    "more=l and 1 or more end end\n"
    "if #keep==0 then call('UNLINK',K) else call('HSET',K,'data',Q(keep)) end\n"
    "return {more,0,0,0,0,c}";
static const char mcpsess_i_csharp_delete_sha1[] MCPSESS_ROM = "30c89db186339e8296beb9fc4e167cde7a4f596a";

enum { MCPSESS_I_CSHARP_WRITE, MCPSESS_I_CSHARP_READ, MCPSESS_I_CSHARP_DELETE };

#define MCPSESS_I_CSHARP_SCRIPT(name) \
    { mcpsess_i_csharp_##name, mcpsess_i_csharp_##name##_sha1, (uint16_t)(sizeof mcpsess_i_csharp_##name - 1u) }
static const mcpsess_redis_script mcpsess_i_csharp_scripts[] = {
    MCPSESS_I_CSHARP_SCRIPT(write), MCPSESS_I_CSHARP_SCRIPT(read), MCPSESS_I_CSHARP_SCRIPT(delete)};

/* ==== csharpwords ==== */
/* uses: base eventid event store resp args rlogs csharpjson csharpscripts */

/* What is asked: the words of the scripts. */

/* While a request is pending its results are scratch: left_ms its deadline, fence when it began; of a delete log.last
   is what the next step begins with, once i.slot says that there was one before; of an open i.slot is its number.
   i.link is the next pending request. */
enum { MCPSESS_I_CSHARP_FIRST, MCPSESS_I_CSHARP_AGAIN };

#define MCPSESS_I_CSHARP_META_LEN 16u                /* of "mcp:sse:v1:meta:" */
#define MCPSESS_I_CSHARP_COUNTED (UINT64_C(1) << 52) /* what is appended is below: beyond 2^53 scripts cannot count */

/* numbers of a reply */
enum {
    MCPSESS_I_CSHARP_CODE,
    MCPSESS_I_CSHARP_LAST,
    MCPSESS_I_CSHARP_FENCE, /* or the oldest event, of a read */
    MCPSESS_I_CSHARP_FLAGS,
    MCPSESS_I_CSHARP_LEFT,
    MCPSESS_I_CSHARP_EXTRA /* events dropped, or deleted; bytes of an event that is too big */
};
enum { MCPSESS_I_CSHARP_POLLING = 1, MCPSESS_I_CSHARP_DONE = 2, MCPSESS_I_CSHARP_FOREIGN = 4 };

static mcpsess_log_request *mcpsess_i_csharp_log_of(mcpsess_request *r) {
    return (mcpsess_log_request *)(void *)r;
}

static mcpsess_str mcpsess_i_csharp_instance(const mcpsess_csharp_store *s) {
    return mcpsess_str_of(s->i.prefix, s->i.instance_len);
}

/* A key: instance, space, the session; and the stream, unless NULL. */
static void mcpsess_i_csharp_put_key(const mcpsess_csharp_store *s, mcpsess_str space, mcpsess_str session,
                                     const mcpsess_str *stream, mcpsess_buf *out) {
    size_t len = s->i.instance_len + space.len + mcpsess_b64_bytes(session.len);
    if (stream != NULL) len += 1u + mcpsess_b64_bytes(stream->len);
    mcpsess_resp_put_number(out, MCPSESS_RESP_BULK, (int64_t)len);
    mcpsess_buf_put(out, mcpsess_i_csharp_instance(s));
    mcpsess_buf_put(out, space);
    mcpsess_buf_put_b64(out, session);
    if (stream != NULL) {
        mcpsess_buf_put_char(out, ':');
        mcpsess_buf_put_b64(out, *stream);
    }
    mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
}

/* The stream's name as the index has it. */
static void mcpsess_i_csharp_put_name(mcpsess_buf *out, mcpsess_str stream) {
    mcpsess_i_json_out o = {NULL, 0, 0};
    mcpsess_i_csj_escape(&o, stream);
    mcpsess_resp_put_number(out, MCPSESS_RESP_BULK, (int64_t)o.len);
    o = mcpsess_i_csj_out(out);
    mcpsess_i_csj_escape(&o, stream);
    if (mcpsess_i_csj_settle(&o, out) != MCPSESS_OK) out->overflow = true;
    mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
}

static MCPSESS_I_APART void mcpsess_i_csharp_put_event(mcpsess_buf *out, const mcpsess_log_request *l) {
    char mem[MCPSESS_EVENTID_MAX];
    mcpsess_event e = l->log.event;
    mcpsess_eventid id;
    mcpsess_i_json_out o = {NULL, 0, 0};
    mcpsess_buf text;
    id.session = l->request.key;
    id.stream = l->log.stream;
    id.epoch = 0;
    id.sequence = l->log.sequence;
    mcpsess_buf_init(&text, mem, sizeof mem);
    if (mcpsess_eventid_encode(&id, &text) != MCPSESS_OK) out->overflow = true;
    e.id = mcpsess_buf_str(&text);
    e.data = mcpsess_i_csj_trim(e.data);
    mcpsess_i_csj_put_head(&o, &e);
    mcpsess_resp_put_number(out, MCPSESS_RESP_BULK, (int64_t)(o.len + e.data.len + 1u));
    o = mcpsess_i_csj_out(out);
    mcpsess_i_csj_put_head(&o, &e);
    if (mcpsess_i_csj_settle(&o, out) != MCPSESS_OK) out->overflow = true;
    mcpsess_buf_put(out, e.data);
    mcpsess_buf_put(out, MCPSESS_STR("}\r\n"));
}

/* Digest, keys, and the first three arguments, which all scripts have in common. */
static void mcpsess_i_csharp_put_head(const mcpsess_csharp_store *s, const mcpsess_log_request *l, uint8_t script,
                                      uint8_t args, mcpsess_str what, mcpsess_buf *out) {
    const mcpsess_str none = {NULL, 0}, *stream = l->log.stream.ptr != NULL ? &l->log.stream : &none;
    bool all = script == MCPSESS_I_CSHARP_DELETE && l->log.stream.ptr == NULL;
    uint8_t keys = all ? 2 : s->i.index ? 3 : 2;
    mcpsess_i_rstore_put_head(out, &mcpsess_i_csharp_scripts[script], keys, args);
    if (!all) mcpsess_i_csharp_put_key(s, MCPSESS_STR("mcp:sse:v1:meta:"), l->request.key, stream, out);
    else mcpsess_i_csharp_put_key(s, MCPSESS_STR("mcp:sse:v1:idx:"), l->request.key, NULL, out);
    mcpsess_i_csharp_put_key(s, MCPSESS_STR("mcpsess:sse:v1:writer:"), l->request.key, stream, out);
    if (keys == 3) mcpsess_i_csharp_put_key(s, MCPSESS_STR("mcp:sse:v1:idx:"), l->request.key, NULL, out);
    mcpsess_i_rstore_put_number(out, s->i.instance_len);
    mcpsess_i_rstore_put_arg(out, what);
    mcpsess_i_rstore_put_owner(out, &l->request);
}

static void mcpsess_i_csharp_encode_write(const mcpsess_csharp_store *s, const mcpsess_log_request *l,
                                          mcpsess_buf *out) {
    mcpsess_log_limits limits = mcpsess_log_limits_of(l->log.limits);
    bool opens = l->request.kind == MCPSESS_LOG_OPEN, appends = l->request.kind == MCPSESS_LOG_APPEND;
    uint8_t args = (uint8_t)(opens ? 10 : !appends ? 11 : s->i.index ? 15 : 14);
    mcpsess_str what = opens ? MCPSESS_STR("O") : appends ? MCPSESS_STR("A") : MCPSESS_STR("S");
    mcpsess_i_csharp_put_head(s, l, MCPSESS_I_CSHARP_WRITE, args, what, out);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(l->request.ttl_ms));
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.log_ttl_ms));
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.log_max_ms));
    mcpsess_i_rstore_put_number(out, s->i.numeric ? 1 : 0);
    if (opens) {
        mcpsess_i_rstore_put_arg(out, l->request.value);
        mcpsess_i_rlog_put_name(out, l);
        mcpsess_i_rstore_put_principal(out, &l->request.owner);
        return;
    }
    mcpsess_i_rstore_put_number(out, l->log.writer);
    mcpsess_i_rstore_put_number(out, l->log.sequence < MCPSESS_I_CSHARP_COUNTED ? l->log.sequence
                                                                                : MCPSESS_I_CSHARP_COUNTED);
    if (!appends) {
        mcpsess_i_rstore_put_number(out, l->log.streaming ? 0 : 1);
        mcpsess_i_rstore_put_number(out, l->log.done ? 1 : 0);
        return;
    }
    mcpsess_i_rstore_put_number(out, l->log.confirmed);
    mcpsess_i_csharp_put_event(out, l);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.event_ttl_ms));
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.event_max_ms));
    mcpsess_i_rstore_put_number(out, limits.events);
    if (s->i.index) mcpsess_i_csharp_put_name(out, l->log.stream);
}

static void mcpsess_i_csharp_encode_read(const mcpsess_csharp_store *s, const mcpsess_log_request *l,
                                         mcpsess_buf *out) {
    mcpsess_log_limits limits = mcpsess_log_limits_of(l->log.limits);
    bool page = l->request.kind == MCPSESS_LOG_RANGE, keeps = page && l->request.ttl_ms != 0;
    const mcpsess_buf *to = l->request.out;
    mcpsess_i_csharp_put_head(s, l, MCPSESS_I_CSHARP_READ, page ? 9 : 4, page ? MCPSESS_STR("R") : MCPSESS_STR("S"),
                              out);
    mcpsess_i_rstore_put_number(out, limits.events);
    if (!page) return;
    mcpsess_i_rstore_put_number(out, l->log.epoch == 0 ? l->log.sequence : 2u * MCPSESS_I_CSHARP_COUNTED);
    mcpsess_i_rstore_put_number(out, to->overflow ? 0 : to->cap - to->len);
    mcpsess_i_rstore_put_number(out, l->request.count);
    if (keeps) mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.event_ttl_ms));
    else mcpsess_i_rstore_put_arg(out, MCPSESS_STR(""));
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.log_ttl_ms));
}

static void mcpsess_i_csharp_encode_delete(const mcpsess_csharp_store *s, const mcpsess_log_request *l,
                                           mcpsess_buf *out) {
    mcpsess_log_limits limits = mcpsess_log_limits_of(l->log.limits);
    bool one = l->log.stream.ptr != NULL;
    uint8_t args = (uint8_t)(!one ? 4 : s->i.index ? 6 : 5);
    mcpsess_i_csharp_put_head(s, l, MCPSESS_I_CSHARP_DELETE, args, one ? MCPSESS_STR("1") : MCPSESS_STR("A"), out);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(limits.log_max_ms));
    if (!one) return;
    if (l->request.i.slot == MCPSESS_I_CSHARP_AGAIN) mcpsess_i_rstore_put_number(out, l->log.last);
    else mcpsess_i_rstore_put_arg(out, MCPSESS_STR(""));
    if (s->i.index) mcpsess_i_csharp_put_name(out, l->log.stream);
}

static void mcpsess_i_csharp_encode(void *user, void *request, mcpsess_buf *out) {
    const mcpsess_csharp_store *s = (const mcpsess_csharp_store *)user;
    const mcpsess_log_request *l = mcpsess_i_csharp_log_of((mcpsess_request *)request);
    switch (l->request.kind) {
    case MCPSESS_LOG_RANGE:
    case MCPSESS_LOG_STATE: mcpsess_i_csharp_encode_read(s, l, out); break;
    case MCPSESS_LOG_DEL: mcpsess_i_csharp_encode_delete(s, l, out); break;
    default: mcpsess_i_csharp_encode_write(s, l, out); break;
    }
}

/* ==== csharp ==== */
/* uses: base event record store resp wire redis args json csharpjson csharpscripts csharpwords */

/* -- replies -- */

static void mcpsess_i_csharp_put_le(char *at, uint64_t v, unsigned bytes) {
    unsigned n;
    for (n = 0; n < bytes; n++, v >>= 8) at[n] = (char)(unsigned char)(v & 0xFFu);
}

/* The type of an event, as SSE may have it.  -> its bytes, or SIZE_MAX */
static size_t mcpsess_i_csharp_type(mcpsess_str text, char mem[255]) {
    mcpsess_i_json_out o = {NULL, 255, 0};
    size_t n;
    o.ptr = mem;
    mcpsess_i_json_unescape(&o, text);
    if (o.len > 255u) return SIZE_MAX;
    for (n = 0; n < o.len; n++) {
        if (mem[n] == '\r' || mem[n] == '\n' || mem[n] == '\0') return SIZE_MAX;
    }
    return o.len;
}

/* An event, read of the JSON at `at`, becomes what mcpsess_event_put writes, in its place: the data move, and what is
   before them is written around.  -> OK, E_FORMAT, E_TOOBIG (need) */
static MCPSESS_I_APART int mcpsess_i_csharp_rewrite(mcpsess_csharp_store *s, char *at, size_t room,
                                                    const mcpsess_i_csj_event *e) {
    char type[255];
    size_t type_len = mcpsess_i_csharp_type(e->type, type), head;
    if (type_len == SIZE_MAX) return MCPSESS_E_FORMAT;
    head = 6u + type_len + (e->retry ? 4u : 0u);
    s->i.need = head + e->data.len;
    if (s->i.need > room) return MCPSESS_E_TOOBIG;
    if (e->data.len != 0) memmove(at + head, e->data.ptr, e->data.len);
    mcpsess_i_csharp_put_le(at, s->i.need - 4u, 4);
    at[4] = (char)((e->data.ptr != NULL ? 1 : 0) | (e->retry ? 2 : 0));
    at[5] = (char)(unsigned char)type_len;
    if (type_len != 0) memcpy(at + 6, type, type_len);
    if (e->retry) mcpsess_i_csharp_put_le(at + 6 + type_len, e->retry_ms, 4);
    s->i.used += s->i.need;
    s->i.count++;
    return MCPSESS_OK;
}

/* An event that is all there, behind those before it. */
static int mcpsess_i_csharp_frame(mcpsess_csharp_store *s, const mcpsess_buf *out, size_t len) {
    char *at = out->ptr + out->len + s->i.used;
    mcpsess_i_csj_event e;
    if (mcpsess_i_csj_read_event(mcpsess_str_of(at, len), &e) < 0) return MCPSESS_E_FORMAT;
    return mcpsess_i_csharp_rewrite(s, at, out->cap - out->len - s->i.used, &e);
}

/* A piece of an event goes behind what out holds, where it does not count until the request is done. The first that
   does not fit, or is none, ends the page. */
static void mcpsess_i_csharp_event(mcpsess_csharp_store *s, const mcpsess_buf *out, const mcpsess_resp_item *item) {
    uint64_t at = (uint64_t)item->number - item->left - item->text.len;
    if (s->i.stopped != MCPSESS_OK) return;
    if (out->overflow || (uint64_t)item->number > out->cap - out->len - s->i.used) {
        s->i.need = mcpsess_i_rstore_size(item->number);
        s->i.stopped = MCPSESS_E_TOOBIG;
        return;
    }
    if (item->text.len != 0) memcpy(out->ptr + out->len + s->i.used + (size_t)at, item->text.ptr, item->text.len);
    if (item->left == 0) s->i.stopped = mcpsess_i_csharp_frame(s, out, (size_t)item->number);
}

/* Is this a code that the request's script answers? */
static bool mcpsess_i_csharp_known(const mcpsess_request *r, int64_t code) {
    uint32_t codes = 1u << MCPSESS_OK;
    if (code == MCPSESS_E_FORMAT) return true;
    if (code == MCPSESS_E_TOOBIG) return r->kind == MCPSESS_LOG_RANGE;
    switch (r->kind) {
    case MCPSESS_LOG_OPEN: codes |= 1u << MCPSESS_MISS | 1u << MCPSESS_BUSY | 1u << MCPSESS_END; break;
    case MCPSESS_LOG_APPEND: codes |= 1u << MCPSESS_DUP | 1u << MCPSESS_LOST; /* fall through */
    case MCPSESS_LOG_SET: codes |= 1u << MCPSESS_MISS | 1u << MCPSESS_FENCED | 1u << MCPSESS_LOST_TAIL; break;
    case MCPSESS_LOG_RANGE: codes |= 1u << MCPSESS_MISS | 1u << MCPSESS_GAP; break;
    case MCPSESS_LOG_STATE: codes |= 1u << MCPSESS_MISS; break;
    default: codes |= 1u << MCPSESS_PENDING; break;
    }
    return code >= 0 && code <= MCPSESS_LOST_TAIL && (codes >> code & 1u) != 0;
}

/* Is the reply what the request's script answers? */
static bool mcpsess_i_csharp_sound(const mcpsess_csharp_store *s, const mcpsess_request *r) {
    uint8_t n;
    if (s->i.bad || s->i.items != 6u) return false;
    for (n = 1; n < 6u; n++) {
        if (s->i.numbers[n] < 0) return false;
    }
    if (r->kind == MCPSESS_LOG_OPEN && s->i.numbers[0] == MCPSESS_OK && s->i.numbers[MCPSESS_I_CSHARP_FENCE] == 0)
        return false;
    if ((uint64_t)s->i.numbers[MCPSESS_I_CSHARP_FLAGS] >> 3 != s->i.events) return false;
    return mcpsess_i_csharp_known(r, s->i.numbers[0]);
}

static void mcpsess_i_csharp_item(void *user, void *request, const mcpsess_resp_item *item, mcpsess_str raw) {
    mcpsess_csharp_store *s = (mcpsess_csharp_store *)user;
    const mcpsess_request *r = (const mcpsess_request *)request;
    (void)raw;
    if (item->depth == 0) { /* begins a reply, perhaps after one that broke off */
        s->i.items = 0;
        s->i.used = s->i.need = 0;
        s->i.count = s->i.events = 0;
        s->i.stopped = MCPSESS_OK;
        s->i.bad = item->type != MCPSESS_RESP_ARRAY;
    } else if (item->depth == 1 && item->type == MCPSESS_RESP_INTEGER && s->i.items < 6u) {
        s->i.numbers[s->i.items++] = item->number;
    } else if (item->depth == 1 && item->type == MCPSESS_RESP_BULK && s->i.items == 6u && s->i.numbers[0] == 0 &&
               r->kind == MCPSESS_LOG_RANGE) {
        mcpsess_i_csharp_event(s, r->out, item);
        if (item->left == 0) s->i.events++;
    } else {
        s->i.bad = true;
    }
    if (s->i.bad || (item->ends && !mcpsess_i_csharp_sound(s, r))) mcpsess_redis_refuse(s->i.redis);
}

static void mcpsess_i_csharp_note(const mcpsess_csharp_store *s, int level, int item, mcpsess_str session,
                                  uint64_t number) {
    if (s->i.log.log != NULL) s->i.log.log(s->i.log.user, level, item, session, number);
}

static int mcpsess_i_csharp_end(mcpsess_request *r, int rc) {
    if (rc != MCPSESS_OK) r->count = 0;
    mcpsess_i_rstore_end(r, rc, rc < 0 ? 0 : r->left_ms, 0);
    return rc;
}

static int mcpsess_i_csharp_answer_append(mcpsess_csharp_store *s, const mcpsess_log_request *l) {
    uint32_t dropped = (uint32_t)s->i.numbers[MCPSESS_I_CSHARP_EXTRA];
    s->stats.events++;
    s->stats.dropped += dropped;
    if (dropped != 0) {
        mcpsess_i_csharp_note(s, MCPSESS_LOG_INFO, MCPSESS_ITEM_EVENTS_DROPPED, l->request.key, dropped);
    }
    return MCPSESS_OK;
}

/* A page ends before what does not fit, or is no event, and is nothing if that is the first. */
static int mcpsess_i_csharp_answer_range(const mcpsess_csharp_store *s, mcpsess_log_request *l) {
    mcpsess_request *r = &l->request;
    r->count = s->i.count;
    if (s->i.count == 0 && s->i.stopped != MCPSESS_OK) {
        if (s->i.stopped == MCPSESS_E_TOOBIG) r->need = s->i.need;
        return s->i.stopped;
    }
    r->out->len += s->i.used;
    return MCPSESS_OK;
}

/* What there is to know of a log, for everybody who may see it. A lease counts from when it was asked for. */
static void mcpsess_i_csharp_state(const mcpsess_csharp_store *s, mcpsess_log_request *l, uint64_t now_ms) {
    int64_t flags = s->i.numbers[MCPSESS_I_CSHARP_FLAGS];
    l->log.epoch = 0;
    l->log.last = (uint64_t)s->i.numbers[MCPSESS_I_CSHARP_LAST];
    l->log.streaming = (flags & MCPSESS_I_CSHARP_POLLING) == 0;
    l->log.done = (flags & MCPSESS_I_CSHARP_DONE) != 0;
    l->request.left_ms = (uint64_t)s->i.numbers[MCPSESS_I_CSHARP_LEFT];
    if (l->request.kind == MCPSESS_LOG_RANGE || l->request.kind == MCPSESS_LOG_STATE) {
        l->log.first = (uint64_t)s->i.numbers[MCPSESS_I_CSHARP_FENCE];
    } else if (s->i.numbers[MCPSESS_I_CSHARP_CODE] != MCPSESS_BUSY) {
        l->request.left_ms = mcpsess_i_rstore_valid(l->request.left_ms, l->request.fence, now_ms);
    }
}

static int mcpsess_i_csharp_answer(mcpsess_csharp_store *s, mcpsess_log_request *l, uint64_t now_ms) {
    int64_t extra = s->i.numbers[MCPSESS_I_CSHARP_EXTRA];
    int code = (int)s->i.numbers[MCPSESS_I_CSHARP_CODE];
    if ((s->i.numbers[MCPSESS_I_CSHARP_FLAGS] & MCPSESS_I_CSHARP_FOREIGN) != 0) {
        s->stats.foreign++;
        mcpsess_i_csharp_note(s, MCPSESS_LOG_WARN, MCPSESS_ITEM_FOREIGN_OWNER, l->request.key, s->stats.foreign);
    }
    l->request.left_ms = 0;
    if (l->request.kind != MCPSESS_LOG_DEL && code != MCPSESS_MISS && code != MCPSESS_FENCED &&
        code != MCPSESS_E_FORMAT) {
        mcpsess_i_csharp_state(s, l, now_ms);
    }
    if (code == MCPSESS_E_TOOBIG) l->request.need = mcpsess_i_rstore_size(extra);
    if (code != MCPSESS_OK) return code;
    switch (l->request.kind) {
    case MCPSESS_LOG_OPEN: l->log.writer = (uint64_t)s->i.numbers[MCPSESS_I_CSHARP_FENCE]; return code;
    case MCPSESS_LOG_APPEND: return mcpsess_i_csharp_answer_append(s, l);
    case MCPSESS_LOG_RANGE: return mcpsess_i_csharp_answer_range(s, l);
    default: return code;
    }
}

static int mcpsess_i_csharp_send(mcpsess_csharp_store *s, mcpsess_request *r, uint64_t now_ms);

/* A step of a delete: there may be more to go.  -> is there? It is under way. */
static bool mcpsess_i_csharp_goes_on(mcpsess_csharp_store *s, mcpsess_log_request *l, uint64_t deadline_ms,
                                     uint64_t now_ms) {
    if (l->request.kind != MCPSESS_LOG_DEL) return false;
    l->request.count += (uint32_t)s->i.numbers[MCPSESS_I_CSHARP_EXTRA];
    if (s->i.numbers[MCPSESS_I_CSHARP_CODE] != MCPSESS_PENDING) return false;
    l->log.last = (uint64_t)s->i.numbers[MCPSESS_I_CSHARP_LAST];
    l->request.i.slot = MCPSESS_I_CSHARP_AGAIN;
    l->request.left_ms = deadline_ms;
    s->stats.steps++;
    return mcpsess_i_csharp_send(s, &l->request, now_ms) == MCPSESS_PENDING;
}

static void mcpsess_i_csharp_done(void *user, void *request, int rc, uint64_t now_ms) {
    mcpsess_csharp_store *s = (mcpsess_csharp_store *)user;
    mcpsess_request *r = (mcpsess_request *)request;
    mcpsess_i_rstore_forget(&s->i.pending, r);
    if (rc == MCPSESS_OK) {
        if (mcpsess_i_csharp_goes_on(s, mcpsess_i_csharp_log_of(r), r->left_ms, now_ms)) return;
        rc = mcpsess_i_csharp_answer(s, mcpsess_i_csharp_log_of(r), now_ms);
        if (rc == MCPSESS_PENDING) rc = MCPSESS_E_UNKNOWN; /* it could not go on; some of it is done */
    }
    (void)mcpsess_i_csharp_end(r, rc);
}

/* A log of this session was written: the key of its metadata says which. */
static void mcpsess_i_csharp_changed(void *user, mcpsess_str key) {
    const mcpsess_csharp_store *s = (const mcpsess_csharp_store *)user;
    size_t head = s->i.instance_len + MCPSESS_I_CSHARP_META_LEN, len = head;
    char mem[MCPSESS_ID_MAX];
    mcpsess_buf id;
    if (s->i.listener == NULL) return;
    mcpsess_buf_init(&id, mem, sizeof mem);
    if (key.len > 0) {
        if (key.len < head || memcmp(key.ptr, s->i.prefix, head) != 0) return;
        while (len < key.len && key.ptr[len] != ':') len++;
        if (len == key.len || mcpsess_b64_decode(mcpsess_str_of(key.ptr + head, len - head), &id) != MCPSESS_OK) return;
        if (id.len == 0) return; /* no session of ours; and an empty one means any */
    }
    s->i.listener->changed(s->i.listener->user, mcpsess_buf_str(&id));
}

/* -- the store -- */

static int mcpsess_i_csharp_send(mcpsess_csharp_store *s, mcpsess_request *r, uint64_t now_ms) {
    static const mcpsess_redis_class cls = {mcpsess_i_csharp_encode, mcpsess_i_csharp_item, mcpsess_i_csharp_done};
    int rc =
        mcpsess_redis_submit(s->i.redis, &cls, s, r, MCPSESS_REDIS_SCRIPT | MCPSESS_REDIS_REPEAT, r->left_ms, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    r->i.link = s->i.pending;
    s->i.pending = r;
    return rc;
}

/* What this layout has no place for. */
static int mcpsess_i_csharp_place(const mcpsess_csharp_store *s, mcpsess_log_request *l) {
    const mcpsess_event *e = &l->log.event;
    uint8_t kind = l->request.kind;
    uint64_t bytes;
    if (kind < MCPSESS_LOG_OPEN) return MCPSESS_E_UNSUPPORTED;
    if (kind == MCPSESS_LOG_DEL && l->log.stream.ptr == NULL && !s->i.index) return MCPSESS_E_UNSUPPORTED;
    if (s->i.index && !mcpsess_i_csj_is_utf8(l->log.stream)) return MCPSESS_E_FORMAT;
    if (kind != MCPSESS_LOG_APPEND && kind != MCPSESS_LOG_SET) return MCPSESS_OK;
    if (l->log.epoch != 0 || l->log.confirmed >= MCPSESS_I_CSHARP_COUNTED) return MCPSESS_E_ARG;
    if (kind == MCPSESS_LOG_SET) return l->log.sequence >= MCPSESS_I_CSHARP_COUNTED ? MCPSESS_E_ARG : MCPSESS_OK;
    if (e->data.ptr != NULL && !mcpsess_i_csj_is_value(e->data)) return MCPSESS_E_FORMAT;
    if (e->retry && e->retry_ms > INT32_MAX) return MCPSESS_E_TOOBIG;
    bytes = mcpsess_event_bytes(e);
    if (bytes <= mcpsess_log_limits_of(l->log.limits).bytes) return MCPSESS_OK;
    l->request.need = (size_t)bytes;
    return MCPSESS_E_TOOBIG;
}

static int mcpsess_i_csharp_begin(mcpsess_csharp_store *s, mcpsess_request *r, uint64_t now_ms) {
    int rc;
    if (s->i.closed) return MCPSESS_E_CLOSED;
    rc = mcpsess_request_check(r);
    if (rc == MCPSESS_OK && (r->guarded || r->kind == MCPSESS_LOG_OPEN)) rc = mcpsess_principal_check(&r->owner);
    if (rc != MCPSESS_OK) return rc;
    s->stats.requests++;
    if (r->kind == MCPSESS_SWEEP) return MCPSESS_OK;
    rc = r->kind < MCPSESS_LOG_OPEN ? MCPSESS_E_UNSUPPORTED : mcpsess_i_csharp_place(s, mcpsess_i_csharp_log_of(r));
    if (rc != MCPSESS_OK) return rc;
    r->left_ms = r->deadline_ms != 0 ? r->deadline_ms : mcpsess_time_add(now_ms, s->i.timeout_ms);
    r->fence = now_ms;
    r->i.slot = r->kind == MCPSESS_LOG_OPEN ? s->stats.requests : (uint32_t)MCPSESS_I_CSHARP_FIRST;
    return mcpsess_i_csharp_send(s, r, now_ms);
}

static int mcpsess_i_csharp_submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    int rc;
    r->need = 0;
    if (r->kind != MCPSESS_LOG_RANGE) r->count = 0;
    rc = mcpsess_i_csharp_begin((mcpsess_csharp_store *)self, r, now_ms);
    r->rc = rc;
    return rc == MCPSESS_PENDING ? rc : mcpsess_i_csharp_end(r, rc);
}

static void mcpsess_i_csharp_poll(void *self, uint64_t now_ms) {
    const mcpsess_csharp_store *s = (const mcpsess_csharp_store *)self;
    if (!s->i.closed) mcpsess_redis_poll(s->i.redis, now_ms);
}

static void mcpsess_i_csharp_cancel(void *self, mcpsess_request *r) {
    mcpsess_csharp_store *s = (mcpsess_csharp_store *)self;
    if (r->rc != MCPSESS_PENDING) return;
    mcpsess_redis_drop(s->i.redis, r);
    mcpsess_i_rstore_forget(&s->i.pending, r);
    (void)mcpsess_i_csharp_end(r, MCPSESS_E_CANCELED);
}

static uint64_t mcpsess_i_csharp_next_due(void *self, uint64_t now_ms) {
    const mcpsess_csharp_store *s = (const mcpsess_csharp_store *)self;
    return s->i.closed ? MCPSESS_NEVER : mcpsess_redis_next_due(s->i.redis, now_ms);
}

static unsigned mcpsess_i_csharp_want(void *self) {
    const mcpsess_csharp_store *s = (const mcpsess_csharp_store *)self;
    return s->i.closed ? 0 : mcpsess_redis_want(s->i.redis);
}

static void mcpsess_i_csharp_close(void *self) {
    mcpsess_csharp_store *s = (mcpsess_csharp_store *)self;
    s->i.closed = true;
    mcpsess_i_rstore_end_all(s->i.redis, &s->i.pending);
}

static int mcpsess_i_csharp_listen(void *self, int of, const mcpsess_listener *listener) {
    mcpsess_csharp_store *s = (mcpsess_csharp_store *)self;
    if (of != MCPSESS_OF_LOGS) return MCPSESS_E_UNSUPPORTED;
    if (listener != NULL && s->i.listener != NULL && s->i.listener != listener) return MCPSESS_E_STATE;
    s->i.listener = listener;
    return MCPSESS_OK;
}

static int mcpsess_i_csharp_hear(void *self, uint64_t now_ms) {
    const mcpsess_csharp_store *s = (const mcpsess_csharp_store *)self;
    return s->i.closed ? MCPSESS_STALE : mcpsess_redis_hear(s->i.redis, now_ms);
}

MCPSESS_API mcpsess_store mcpsess_csharp_store_store(mcpsess_csharp_store *s) {
    static const mcpsess_store_class cls = {mcpsess_i_csharp_submit,   mcpsess_i_csharp_poll, mcpsess_i_csharp_cancel,
                                            mcpsess_i_csharp_next_due, mcpsess_i_csharp_want, mcpsess_i_csharp_close,
                                            mcpsess_i_csharp_listen,   mcpsess_i_csharp_hear};
    mcpsess_store store;
    store.cls = &cls;
    store.self = s;
    return store;
}

MCPSESS_API mcpsess_csharp_store_desc mcpsess_csharp_store_desc_default(void) {
    mcpsess_csharp_store_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

MCPSESS_API int mcpsess_csharp_store_init(mcpsess_csharp_store *s, const mcpsess_csharp_store_desc *d) {
    size_t len;
    if (s == NULL || d == NULL || d->redis == NULL) return MCPSESS_E_ARG;
    len = d->instance.len;
    if (len > MCPSESS_CSHARP_INSTANCE_MAX || mcpsess_i_csj_bad(d->instance)) return MCPSESS_E_ARG;
    memset(s, 0, sizeof *s);
    if (len != 0) memcpy(s->i.prefix, d->instance.ptr, len);
    memcpy(s->i.prefix + len, "mcp:sse:v1:meta:", MCPSESS_I_CSHARP_META_LEN);
    s->i.instance_len = (uint8_t)len;
    s->i.redis = d->redis;
    s->i.log = d->log;
    s->i.index = d->index;
    s->i.numeric = d->numbers;
    s->i.timeout_ms = d->timeout_ms != 0 ? d->timeout_ms : d->redis->i.desc.timeout_ms;
    s->i.module.scripts = mcpsess_i_csharp_scripts;
    s->i.module.script_count = (uint8_t)(sizeof mcpsess_i_csharp_scripts / sizeof mcpsess_i_csharp_scripts[0]);
    s->i.module.prefix = mcpsess_str_of(s->i.prefix, len + MCPSESS_I_CSHARP_META_LEN);
    s->i.module.changed = mcpsess_i_csharp_changed;
    s->i.module.user = s;
    return mcpsess_redis_attach(d->redis, &s->i.module);
}

#endif /* MCPSESS_NO_STREAM */

#ifndef MCPSESS_NO_FLIGHT

/* ==== librechatwords ==== */
/* uses: base json */

#define MCPSESS_I_LBC_SPACE "MCP::ServersRegistry::PrivateServersLoadStatus:"
#define MCPSESS_I_LBC_FLAG MCPSESS_STR("USER_PRIVATE_SERVERS_LOADED::")
#define MCPSESS_I_LBC_LEASE MCPSESS_STR("USER_PRIVATE_SERVERS_LOAD_LOCK::")
#define MCPSESS_I_LBC_TRUE MCPSESS_STR("{\"value\":true,\"expires\":")
#define MCPSESS_I_LBC_TTL_MAX (UINT64_C(1) << 46)

/* -- keys -- */

/* LibreChat's are MongoDB's, 24 digits of hex. What means something to a pattern, to a cluster, or between the parts of
   a key, is none. */
static bool mcpsess_i_lbc_user_bad(mcpsess_str user) {
    size_t n;
    if (user.len == 0 || user.len > MCPSESS_ID_MAX || user.ptr == NULL) return true;
    for (n = 0; n < user.len; n++) {
        char c = user.ptr[n], small = mcpsess_i_json_small(c);
        if ((small < 'a' || small > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.') return true;
    }
    return false;
}

static bool mcpsess_i_lbc_prefix_bad(mcpsess_str prefix) {
    return prefix.len > MCPSESS_LIBRECHAT_PREFIX_MAX || (prefix.len != 0 && prefix.ptr == NULL);
}

static void mcpsess_i_lbc_put_prefix(mcpsess_buf *out, mcpsess_str prefix) {
    mcpsess_buf_put(out, prefix);
    if (prefix.len != 0) mcpsess_buf_put(out, MCPSESS_STR("::"));
}

/* -- flags -- */

static void mcpsess_i_lbc_put_expires(mcpsess_buf *out, uint64_t expires_ms) {
    mcpsess_buf_put(out, MCPSESS_I_LBC_TRUE);
    if (expires_ms == MCPSESS_NEVER) {
        mcpsess_buf_put(out, MCPSESS_STR("null"));
    } else {
        mcpsess_buf_put_u64(out, expires_ms);
    }
}

static char mcpsess_i_lbc_hex(unsigned digit) {
    return (char)(digit < 10u ? '0' + digit : 'a' + digit - 10u);
}

/* All behind the instant. */
static void mcpsess_i_lbc_put_tail(mcpsess_buf *out, mcpsess_str fingerprint) {
    size_t n;
    if (fingerprint.len != 0) mcpsess_buf_put(out, MCPSESS_STR(",\"fingerprint\":\""));
    for (n = 0; n < fingerprint.len; n++) {
        unsigned c = (unsigned char)fingerprint.ptr[n];
        mcpsess_buf_put_char(out, mcpsess_i_lbc_hex(c >> 4));
        mcpsess_buf_put_char(out, mcpsess_i_lbc_hex(c & 15u));
    }
    if (fingerprint.len != 0) mcpsess_buf_put_char(out, '"');
    mcpsess_buf_put_char(out, '}');
}

MCPSESS_API int mcpsess_librechat_flag_encode(const mcpsess_librechat_flag *f, mcpsess_buf *json) {
    size_t mark;
    if (f == NULL || json == NULL || f->fingerprint_len > MCPSESS_FINGERPRINT_MAX) return MCPSESS_E_ARG;
    if (json->overflow) return MCPSESS_E_TOOBIG;
    mark = json->len;
    mcpsess_i_lbc_put_expires(json, f->expires_ms);
    mcpsess_i_lbc_put_tail(json, mcpsess_str_of(f->fingerprint, f->fingerprint_len));
    if (!json->overflow) return MCPSESS_OK;
    json->overflow = false;
    json->len = mark;
    return MCPSESS_E_TOOBIG;
}

/* One more digit, 0 if it is none; what is too much stays MCPSESS_NEVER. */
static uint64_t mcpsess_i_lbc_digit(uint64_t v, char c) {
    unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : 0;
    return v >= (MCPSESS_NEVER - 9u) / 10u ? MCPSESS_NEVER : v * 10u + digit;
}

/* A JSON number's exponent, as far as it matters, 0 where it has none. *end: where it begins. */
static int32_t mcpsess_i_lbc_exponent(mcpsess_str raw, size_t *end) {
    int32_t v = 0;
    size_t n;
    for (*end = 0; *end < raw.len && (raw.ptr[*end] | 0x20) != 'e'; ++*end) {
    }
    for (n = *end + 1u; n < raw.len; n++) {
        if (raw.ptr[n] >= '0' && raw.ptr[n] <= '9' && v < 1000) v = v * 10 + (raw.ptr[n] - '0');
    }
    return *end + 1u < raw.len && raw.ptr[*end + 1u] == '-' ? -v : v;
}

/* A JSON number as an instant in whole ms: a clock that counts those is past it no sooner than past the number. */
static uint64_t mcpsess_i_lbc_instant(mcpsess_str raw) {
    uint64_t v = 0;
    size_t end, n;
    int32_t whole = mcpsess_i_lbc_exponent(raw, &end); /* digits before the point */
    for (n = 0; n < end && raw.ptr[n] != '.'; n++) whole++;
    if (raw.ptr[0] == '-') return 0;
    for (n = 0; n < end && whole > 0; n++) {
        if (raw.ptr[n] == '.') continue;
        v = mcpsess_i_lbc_digit(v, raw.ptr[n]);
        whole--;
    }
    for (; whole > 0 && v != 0; whole--) v = mcpsess_i_lbc_digit(v, '0');
    return v;
}

/* -> 0..15, 16: no digit of ours */
static unsigned mcpsess_i_lbc_nibble(char c) {
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10u : 16u;
}

static bool mcpsess_i_lbc_read_fingerprint(mcpsess_str raw, mcpsess_librechat_flag *f) {
    mcpsess_str hex = mcpsess_i_json_inner(raw);
    size_t n;
    f->fingerprint_len = 0;
    if (raw.ptr[0] != '"' || hex.len % 2u != 0 || hex.len / 2u > MCPSESS_FINGERPRINT_MAX) return false;
    for (n = 0; n < hex.len; n += 2u) {
        unsigned high = mcpsess_i_lbc_nibble(hex.ptr[n]), low = mcpsess_i_lbc_nibble(hex.ptr[n + 1u]);
        if (high > 15u || low > 15u) return false;
        f->fingerprint[n / 2u] = (char)(unsigned char)(high << 4 | low);
    }
    f->fingerprint_len = (uint8_t)(hex.len / 2u);
    return true;
}

/* The members of an object, the last of equal names. *is: it says true, and its fingerprint is one.  -> END, or an
   error */
static int mcpsess_i_lbc_members(mcpsess_i_json_in *in, mcpsess_librechat_flag *f, bool *is) {
    bool says = false, marked = true;
    mcpsess_str name, raw;
    int rc;
    while ((rc = mcpsess_i_json_member(in, &name, &raw)) == MCPSESS_OK) {
        if (mcpsess_i_json_is(name, "value", false)) {
            says = mcpsess_str_eq(raw, MCPSESS_STR("true"));
        } else if (mcpsess_i_json_is(name, "expires", false)) {
            bool number = raw.ptr[0] == '-' || (raw.ptr[0] >= '0' && raw.ptr[0] <= '9');
            f->expires_ms = number ? mcpsess_i_lbc_instant(raw) : MCPSESS_NEVER;
        } else if (mcpsess_i_json_is(name, "fingerprint", false)) {
            marked = mcpsess_i_lbc_read_fingerprint(raw, f);
        }
    }
    *is = says && marked;
    return rc;
}

MCPSESS_API int mcpsess_librechat_flag_decode(mcpsess_str json, mcpsess_librechat_flag *f) {
    mcpsess_i_json_in in = mcpsess_i_json_in_of(json);
    mcpsess_str raw;
    bool is = false;
    int rc;
    if (f == NULL || (json.ptr == NULL && json.len != 0)) return MCPSESS_E_ARG;
    memset(f, 0, sizeof *f);
    f->expires_ms = MCPSESS_NEVER;
    if (mcpsess_i_json_look(&in) == '{') rc = mcpsess_i_lbc_members(&in, f, &is);
    else rc = mcpsess_i_json_value(&in, &raw);
    (void)mcpsess_i_json_look(&in);
    if (rc >= 0 && in.at == in.end && is) return MCPSESS_OK;
    memset(f, 0, sizeof *f);
    return rc >= 0 && in.at == in.end ? MCPSESS_MISS : MCPSESS_E_FORMAT;
}

/* -- commands -- */

/* Key, value and TTL of a command, each ending where it says. */
static void mcpsess_i_lbc_put_words(const mcpsess_librechat_call *call, int command, mcpsess_buf *out, size_t ends[3]) {
    mcpsess_i_lbc_put_prefix(out, call->prefix);
    mcpsess_buf_put(out, MCPSESS_STR(MCPSESS_I_LBC_SPACE));
    mcpsess_buf_put(out, command >= MCPSESS_LIBRECHAT_ACQUIRE ? MCPSESS_I_LBC_LEASE : MCPSESS_I_LBC_FLAG);
    mcpsess_buf_put(out, call->user);
    ends[0] = out->len;
    if (command == MCPSESS_LIBRECHAT_SET_LOADED) {
        mcpsess_i_lbc_put_expires(out, mcpsess_time_add(call->now_ms, call->ttl_ms));
        mcpsess_i_lbc_put_tail(out, MCPSESS_STR(""));
    } else {
        mcpsess_buf_put_u64(out, call->now_ms);
    }
    ends[1] = out->len;
    mcpsess_buf_put_u64(out, call->ttl_ms);
    ends[2] = out->len;
}

static mcpsess_str mcpsess_i_lbc_verb(int command) {
    switch (command) {
    case MCPSESS_LIBRECHAT_IS_LOADED: return MCPSESS_STR("GET");
    case MCPSESS_LIBRECHAT_SET_LOADED:
    case MCPSESS_LIBRECHAT_ACQUIRE: return MCPSESS_STR("SET");
    default: return MCPSESS_STR("UNLINK");
    }
}

MCPSESS_API int mcpsess_librechat_command(const mcpsess_librechat_call *call, int command, mcpsess_buf *scratch,
                                          mcpsess_librechat_words *words) {
    bool sets = command == MCPSESS_LIBRECHAT_SET_LOADED || command == MCPSESS_LIBRECHAT_ACQUIRE;
    size_t mark, ends[3];
    if (call == NULL || scratch == NULL || words == NULL || mcpsess_i_lbc_prefix_bad(call->prefix))
        return MCPSESS_E_ARG;
    if (command < MCPSESS_LIBRECHAT_IS_LOADED || command > MCPSESS_LIBRECHAT_RELEASE) return MCPSESS_E_ARG;
    if (sets && (call->ttl_ms == 0 || call->ttl_ms > MCPSESS_I_LBC_TTL_MAX)) return MCPSESS_E_ARG;
    if (mcpsess_i_lbc_user_bad(call->user)) return MCPSESS_E_ID;
    if (scratch->overflow) return MCPSESS_E_TOOBIG;
    mark = scratch->len;
    mcpsess_i_lbc_put_words(call, command, scratch, ends);
    if (scratch->overflow) {
        scratch->overflow = false;
        scratch->len = mark;
        return MCPSESS_E_TOOBIG;
    }
    words->argv[0] = mcpsess_i_lbc_verb(command);
    words->argv[1] = mcpsess_str_of(scratch->ptr + mark, ends[0] - mark);
    words->argv[2] = mcpsess_str_of(scratch->ptr + ends[0], ends[1] - ends[0]);
    words->argv[3] = MCPSESS_STR("PX");
    words->argv[4] = mcpsess_str_of(scratch->ptr + ends[1], ends[2] - ends[1]);
    words->argv[5] = MCPSESS_STR("NX");
    words->argc = command == MCPSESS_LIBRECHAT_ACQUIRE ? 6u : sets ? 5u : 2u;
    return MCPSESS_OK;
}

/* ==== librechatscripts ==== */
/* uses: redis */

/* Each answers {code, left, fence, the flag's left, Unix ms}, and the flag behind them, to be judged. code: as in
   MCPSESS_CODES. left: PTTL of the lease. A lease is LibreChat's digits, and where it is ours ':' and its token. What
   writes a key reads it afterwards, as a server that tracks single keys forgets one when it is written. */
/* a line of Lua is a line here */
/* clang-format off */

#define MCPSESS_I_LBC_NOW                                                                           \
    "local c,p,V=redis.call,redis.pcall,ARGV\n"                                                     \
    "local t=c('TIME')\n"                                                                           \
    "local now=t[1]*1000+math.floor(t[2]/1000)\n"

/* KEYS: flag, lease. ARGV: room for the flag. */
static const char mcpsess_i_lbc_read[] MCPSESS_ROM =
    MCPSESS_I_LBC_NOW
    "local v=p('GET',KEYS[1])\n"
    "local l=c('PTTL',KEYS[2])\n"
    "if not v then return {l==-2 and 2 or 6,l,0,0,now} end\n"
    "if type(v)=='table' then return v end\n"
    "if #v>tonumber(V[1]) then return {-6,0,0,0,now} end\n"
    "return {0,l,0,c('PTTL',KEYS[1]),now,v}";
static const char mcpsess_i_lbc_read_sha1[] MCPSESS_ROM = "73b2e00fce73d48d5bf1a5c5b6f5dab57aa598ac";

/* KEYS: flag, lease, fence. ARGV: 0 acquire, 1 extend, 2 release, 3 claim; token; TTL; room for the flag; of a
   flag that does not count the first 64 bits of its SHA-1, in two numbers, as no number of Lua's holds them. A claim
   that meets another flag answers that. */
static const char mcpsess_i_lbc_lease[] MCPSESS_ROM =
    MCPSESS_I_LBC_NOW
    "local f,l,g,o,n=KEYS[1],KEYS[2],KEYS[3],V[1],V[3]\n"
    "if o=='3' then\n"
    "local v=p('GET',f)\n"
    "if type(v)=='table' then return v end\n"
    "if v then\n"
    "local d=redis.sha1hex(v)\n"
    "local a,b=tonumber(string.sub(d,1,8),16),tonumber(string.sub(d,9,16),16)\n"
    "if a~=tonumber(V[5]) or b~=tonumber(V[6]) then\n"
    "if #v>tonumber(V[4]) then return {-6,0,0,0,now} end\n"
    "return {4,0,0,c('PTTL',f),now,v} end end end\n"
    "local h,w=p('GET',l),p('GET',g)\n"
    "if type(h)=='table' then return h end\n"
    "if type(w)=='table' then return w end\n"
    "local mine=h and string.match(h,'^%d+:(.*)$')==V[2]\n"
    "if not mine then\n"
    "if o=='1' or o=='2' then return {5,0,0,0,now} end\n"
    "if h then return {6,c('PTTL',l),0,0,now} end end\n"
    "if o=='2' then c('DEL',l)\n"
    "return {0,0,0,0,now} end\n"
    "w=tonumber(w)\n"
    "if not mine or not w then w=math.max((w or 0)+1,t[1]*1000000+t[2]) end\n"
    "c('SET',g,string.format('%.0f',w),'PX',n..'00')\n"
    "c('SET',l,h or string.format('%.0f:',now)..V[2],'PX',n)\n"
    "return {0,c('PTTL',l),w,0,now}";
static const char mcpsess_i_lbc_lease_sha1[] MCPSESS_ROM = "ddbf767657e316e14b47bfe5d6833fdefbc538ea";

/* KEYS: flag, lease. ARGV: 0 clear, 1 with the lease, 2 set; token or none, TTL, what is before the instant, what is
   behind it. */
static const char mcpsess_i_lbc_write[] MCPSESS_ROM =
    MCPSESS_I_LBC_NOW
    "local f,l,n=KEYS[1],KEYS[2],V[3]\n"
    "local v,h=p('GET',f),p('GET',l)\n"
    "if type(v)=='table' then return v end\n"
    "if type(h)=='table' then return h end\n"
    "local code=0\n"
    "if V[1]~='2' then\n"
    "local d=c('DEL',f)\n"
    "if V[1]=='1' then d=d+c('DEL',l) end\n"
    "if d==0 then code=2 end\n"
    "elseif V[2]~='' and (not h or string.match(h,'^%d+:(.*)$')~=V[2]) then code=5\n"
    "else\n"
    "c('SET',f,V[4]..string.format('%.0f',now+n)..V[5],'PX',n)\n"
    "if V[2]~='' then c('DEL',l) end end\n"
    "return {code,c('PTTL',l),0,c('PTTL',f),now}";
static const char mcpsess_i_lbc_write_sha1[] MCPSESS_ROM = "dc2e5c2c715e3511b9cc26b00223553df43fbd6c";

/* clang-format on */

enum { MCPSESS_I_LBC_READ, MCPSESS_I_LBC_LEASES, MCPSESS_I_LBC_WRITE };

#define MCPSESS_I_LBC_SCRIPT(name) \
    { mcpsess_i_lbc_##name, mcpsess_i_lbc_##name##_sha1, (uint16_t)(sizeof mcpsess_i_lbc_##name - 1u) }
static const mcpsess_redis_script mcpsess_i_lbc_scripts[] = {MCPSESS_I_LBC_SCRIPT(read), MCPSESS_I_LBC_SCRIPT(lease),
                                                             MCPSESS_I_LBC_SCRIPT(write)};

/* ==== librechat ==== */
/* uses: base store resp wire redis args digest librechatwords librechatscripts */

/* -- requests -- */

/* While a request is pending its results are scratch: left_ms its deadline, fence when it began; i.slot and count of a
   claim the digest of a flag that does not count. i.link is the next pending request. */
enum { MCPSESS_I_LBC_CODE, MCPSESS_I_LBC_LEFT, MCPSESS_I_LBC_FENCE, MCPSESS_I_LBC_FLAG_LEFT, MCPSESS_I_LBC_WALL };

#define MCPSESS_I_LBC_SPACE_LEN 47u

static void mcpsess_i_lbc_put_key(const mcpsess_librechat_store *s, mcpsess_str name, mcpsess_str user,
                                  mcpsess_buf *out) {
    size_t head = s->i.prefix_len + (name.len != 0 ? MCPSESS_I_LBC_SPACE_LEN : 0);
    if (name.len == 0) name = MCPSESS_STR("mcpsess:librechat:");
    mcpsess_resp_put_number(out, MCPSESS_RESP_BULK, (int64_t)(head + name.len + user.len));
    mcpsess_buf_put(out, mcpsess_str_of(s->i.prefix, head));
    mcpsess_buf_put(out, name);
    mcpsess_buf_put(out, user);
    mcpsess_buf_put(out, MCPSESS_STR("\r\n"));
}

/* keys: flag and lease; 3: and fence */
static void mcpsess_i_lbc_put_head(const mcpsess_librechat_store *s, unsigned script, uint8_t keys, uint8_t args,
                                   mcpsess_str user, mcpsess_buf *out) {
    mcpsess_i_rstore_put_head(out, &mcpsess_i_lbc_scripts[script], keys, args);
    mcpsess_i_lbc_put_key(s, MCPSESS_I_LBC_FLAG, user, out);
    mcpsess_i_lbc_put_key(s, MCPSESS_I_LBC_LEASE, user, out);
    if (keys == 3u) mcpsess_i_lbc_put_key(s, MCPSESS_STR(""), user, out);
}

static void mcpsess_i_lbc_encode_lease(const mcpsess_librechat_store *s, const mcpsess_request *r, mcpsess_buf *out) {
    bool claims = r->kind == MCPSESS_FLAG_CLAIM;
    mcpsess_i_lbc_put_head(s, MCPSESS_I_LBC_LEASES, 3, 6, r->key, out);
    mcpsess_i_rstore_put_number(out, claims ? 3u : (uint64_t)r->kind - MCPSESS_LEASE_ACQUIRE);
    mcpsess_i_rstore_put_arg(out, r->value);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(r->ttl_ms));
    mcpsess_i_rstore_put_number(out, MCPSESS_LIBRECHAT_FLAG_MAX);
    if (claims && (r->i.slot != 0 || r->count != 0)) {
        mcpsess_i_rstore_put_number(out, r->i.slot);
        mcpsess_i_rstore_put_number(out, r->count);
    } else {
        mcpsess_i_rstore_put_arg(out, MCPSESS_STR(""));
        mcpsess_i_rstore_put_arg(out, MCPSESS_STR(""));
    }
}

static void mcpsess_i_lbc_encode_set(const mcpsess_librechat_store *s, const mcpsess_request *r, mcpsess_buf *out) {
    char mem[24u + 2u * MCPSESS_FINGERPRINT_MAX];
    mcpsess_buf tail;
    mcpsess_buf_init(&tail, mem, sizeof mem);
    mcpsess_i_lbc_put_tail(&tail, r->expect);
    mcpsess_i_lbc_put_head(s, MCPSESS_I_LBC_WRITE, 2, 5, r->key, out);
    mcpsess_i_rstore_put_number(out, 2);
    mcpsess_i_rstore_put_arg(out, r->value);
    mcpsess_i_rstore_put_number(out, mcpsess_i_rstore_cap(r->ttl_ms));
    mcpsess_i_rstore_put_arg(out, MCPSESS_I_LBC_TRUE);
    mcpsess_i_rstore_put_arg(out, mcpsess_buf_str(&tail));
}

static void mcpsess_i_lbc_encode(void *user, void *request, mcpsess_buf *out) {
    const mcpsess_librechat_store *s = (const mcpsess_librechat_store *)user;
    const mcpsess_request *r = (const mcpsess_request *)request;
    switch (r->kind) {
    case MCPSESS_FLAG_GET:
        mcpsess_i_lbc_put_head(s, MCPSESS_I_LBC_READ, 2, 1, r->key, out);
        mcpsess_i_rstore_put_number(out, MCPSESS_LIBRECHAT_FLAG_MAX);
        break;
    case MCPSESS_FLAG_CLEAR:
        mcpsess_i_lbc_put_head(s, MCPSESS_I_LBC_WRITE, 2, 1, r->key, out);
        mcpsess_i_rstore_put_number(out, r->mode);
        break;
    case MCPSESS_FLAG_SET: mcpsess_i_lbc_encode_set(s, r, out); break;
    default: mcpsess_i_lbc_encode_lease(s, r, out); break;
    }
}

/* -- replies -- */

/* Is this a code that the request's script answers? */
static bool mcpsess_i_lbc_known(const mcpsess_request *r, int64_t code) {
    unsigned codes = 1u << MCPSESS_OK;
    switch (r->kind) {
    case MCPSESS_FLAG_GET:
        if (code == MCPSESS_E_FORMAT) return true;
        codes |= 1u << MCPSESS_MISS | 1u << MCPSESS_BUSY;
        break;
    case MCPSESS_FLAG_CLAIM:
        if (code == MCPSESS_E_FORMAT) return true;
        codes |= 1u << MCPSESS_EXISTS | 1u << MCPSESS_BUSY;
        break;
    case MCPSESS_LEASE_ACQUIRE: codes |= 1u << MCPSESS_BUSY; break;
    case MCPSESS_FLAG_CLEAR: codes |= 1u << MCPSESS_MISS; break;
    default: codes |= 1u << MCPSESS_LOST; break;
    }
    return code >= 0 && code <= MCPSESS_BUSY && (codes >> code & 1u) != 0;
}

/* Does an answer of this code bring a flag? */
static bool mcpsess_i_lbc_brings(const mcpsess_request *r, int64_t code) {
    return code == MCPSESS_EXISTS || (code == MCPSESS_OK && r->kind == MCPSESS_FLAG_GET);
}

static bool mcpsess_i_lbc_holds(const mcpsess_request *r) {
    return r->kind == MCPSESS_LEASE_ACQUIRE || r->kind == MCPSESS_LEASE_EXTEND || r->kind == MCPSESS_FLAG_CLAIM;
}

/* Is the reply what the request's script answers? */
static bool mcpsess_i_lbc_sound(const mcpsess_librechat_store *s, const mcpsess_request *r) {
    const int64_t *n = s->i.numbers;
    if (s->i.bad || s->i.items != (mcpsess_i_lbc_brings(r, n[MCPSESS_I_LBC_CODE]) ? 6u : 5u)) return false;
    if (!mcpsess_i_lbc_known(r, n[MCPSESS_I_LBC_CODE]) || n[MCPSESS_I_LBC_WALL] < 0) return false;
    return n[MCPSESS_I_LBC_CODE] != MCPSESS_OK || n[MCPSESS_I_LBC_FENCE] > 0 || !mcpsess_i_lbc_holds(r);
}

/* A piece of the flag. */
static bool mcpsess_i_lbc_piece(mcpsess_librechat_store *s, const mcpsess_resp_item *item) {
    if (item->number > (int64_t)sizeof s->i.flag) return false;
    if (item->text.len != 0) memcpy(s->i.flag + s->i.flag_len, item->text.ptr, item->text.len);
    s->i.flag_len = (uint16_t)(s->i.flag_len + item->text.len);
    if (item->left == 0) s->i.items++;
    return true;
}

static void mcpsess_i_lbc_item(void *user, void *request, const mcpsess_resp_item *item, mcpsess_str raw) {
    mcpsess_librechat_store *s = (mcpsess_librechat_store *)user;
    (void)raw;
    if (item->depth == 0) { /* begins a reply, perhaps after one that broke off */
        s->i.items = 0;
        s->i.flag_len = 0;
        s->i.bad = item->type != MCPSESS_RESP_ARRAY;
    } else if (item->depth == 1 && item->type == MCPSESS_RESP_INTEGER && s->i.items < 5u) {
        s->i.numbers[s->i.items++] = item->number;
    } else if (item->depth != 1 || item->type != MCPSESS_RESP_BULK || s->i.items != 5u ||
               !mcpsess_i_lbc_piece(s, item)) {
        s->i.bad = true;
    }
    if (s->i.bad || (item->ends && !mcpsess_i_lbc_sound(s, (const mcpsess_request *)request))) {
        mcpsess_redis_refuse(s->i.redis);
    }
}

/* Does the flag count for this request?  -> OK (left_ms), MISS, E_FORMAT */
static int mcpsess_i_lbc_judge(const mcpsess_librechat_store *s, const mcpsess_request *r, uint64_t *left_ms) {
    uint64_t wall_ms = (uint64_t)s->i.numbers[MCPSESS_I_LBC_WALL];
    mcpsess_librechat_flag f;
    int rc = mcpsess_librechat_flag_decode(mcpsess_str_of(s->i.flag, s->i.flag_len), &f);
    if (rc != MCPSESS_OK) return rc;
    if (f.expires_ms < wall_ms) return MCPSESS_MISS;
    if ((f.fingerprint_len != 0 || !s->i.plain_counts) &&
        !mcpsess_str_eq(mcpsess_str_of(f.fingerprint, f.fingerprint_len), r->expect)) {
        return MCPSESS_MISS;
    }
    *left_ms = mcpsess_i_rstore_left(s->i.numbers[MCPSESS_I_LBC_FLAG_LEFT]);
    if (f.expires_ms != MCPSESS_NEVER && f.expires_ms - wall_ms < *left_ms) *left_ms = f.expires_ms - wall_ms;
    return MCPSESS_OK;
}

static int mcpsess_i_lbc_end(mcpsess_request *r, int rc, uint64_t left_ms, uint64_t fence) {
    r->count = 0;
    mcpsess_i_rstore_end(r, rc, left_ms, fence);
    return rc;
}

/* Somebody's lease, or none. */
static int mcpsess_i_lbc_end_busy(const mcpsess_librechat_store *s, mcpsess_request *r) {
    int64_t left = s->i.numbers[MCPSESS_I_LBC_LEFT];
    if (left == -2) return mcpsess_i_lbc_end(r, MCPSESS_MISS, 0, 0);
    return mcpsess_i_lbc_end(r, MCPSESS_BUSY, mcpsess_i_rstore_left(left), 0);
}

static int mcpsess_i_lbc_send(mcpsess_librechat_store *s, mcpsess_request *r, uint64_t now_ms);

/* A claim met a flag. If it does not count, it goes out once more, past the very bytes that were judged. */
static int mcpsess_i_lbc_met(mcpsess_librechat_store *s, mcpsess_request *r, uint64_t now_ms) {
    const mcpsess_i_sha1_of of = {NULL, 0, {s->i.flag, s->i.flag_len}};
    uint32_t h[5];
    uint64_t left_ms = 0;
    int rc = mcpsess_i_lbc_judge(s, r, &left_ms);
    if (rc == MCPSESS_MISS) {
        mcpsess_i_sha1(&of, h);
        r->i.slot = h[0];
        r->count = h[1];
        rc = mcpsess_i_lbc_send(s, r, now_ms);
        if (rc == MCPSESS_PENDING) s->stats.again++;
        if (rc == MCPSESS_PENDING) return rc;
    } else if (rc == MCPSESS_OK) {
        rc = MCPSESS_EXISTS;
    }
    return mcpsess_i_lbc_end(r, rc, left_ms, 0);
}

/* A lease that was got counts from when it was asked for. One of which nothing is left was not got. */
static int mcpsess_i_lbc_got(const mcpsess_librechat_store *s, mcpsess_request *r, uint64_t now_ms) {
    uint64_t left_ms = mcpsess_i_rstore_valid(mcpsess_i_rstore_cap(r->ttl_ms), r->fence, now_ms);
    if (left_ms == 0) return mcpsess_i_lbc_end(r, MCPSESS_E_TIMEOUT, 0, 0);
    return mcpsess_i_lbc_end(r, MCPSESS_OK, left_ms, (uint64_t)s->i.numbers[MCPSESS_I_LBC_FENCE]);
}

static int mcpsess_i_lbc_answer(mcpsess_librechat_store *s, mcpsess_request *r, uint64_t now_ms) {
    int code = (int)s->i.numbers[MCPSESS_I_LBC_CODE];
    uint64_t left_ms = 0;
    if (code == MCPSESS_EXISTS) return mcpsess_i_lbc_met(s, r, now_ms);
    if (code == MCPSESS_BUSY) return mcpsess_i_lbc_end_busy(s, r);
    if (code != MCPSESS_OK) return mcpsess_i_lbc_end(r, code, 0, 0);
    if (mcpsess_i_lbc_holds(r)) return mcpsess_i_lbc_got(s, r, now_ms);
    if (r->kind == MCPSESS_FLAG_GET) code = mcpsess_i_lbc_judge(s, r, &left_ms);
    if (r->kind == MCPSESS_FLAG_SET) left_ms = mcpsess_i_rstore_left(s->i.numbers[MCPSESS_I_LBC_FLAG_LEFT]);
    return code == MCPSESS_MISS ? mcpsess_i_lbc_end_busy(s, r) : mcpsess_i_lbc_end(r, code, left_ms, 0);
}

static void mcpsess_i_lbc_done(void *user, void *request, int rc, uint64_t now_ms) {
    mcpsess_librechat_store *s = (mcpsess_librechat_store *)user;
    mcpsess_request *r = (mcpsess_request *)request;
    mcpsess_i_rstore_forget(&s->i.pending, r);
    if (rc == MCPSESS_OK) (void)mcpsess_i_lbc_answer(s, r, now_ms);
    else (void)mcpsess_i_lbc_end(r, rc, 0, 0);
}

/* The flag or the lease of this user was written. */
static void mcpsess_i_lbc_changed(void *user, mcpsess_str key) {
    const mcpsess_librechat_store *s = (const mcpsess_librechat_store *)user;
    const mcpsess_str names[] = {MCPSESS_I_LBC_FLAG, MCPSESS_I_LBC_LEASE};
    size_t head = s->i.module.prefix.len, n;
    if (s->i.listener == NULL) return;
    if (key.len == 0) s->i.listener->changed(s->i.listener->user, key);
    if (key.len < head || memcmp(key.ptr, s->i.prefix, head) != 0) return;
    key = mcpsess_str_of(key.ptr + head, key.len - head);
    for (n = 0; n < 2u; n++) {
        mcpsess_str id = mcpsess_str_of(key.ptr, 0);
        if (key.len > names[n].len) id = mcpsess_str_of(key.ptr + names[n].len, key.len - names[n].len);
        if (mcpsess_i_lbc_user_bad(id) || memcmp(key.ptr, names[n].ptr, names[n].len) != 0) continue;
        s->i.listener->changed(s->i.listener->user, id);
    }
}

/* -- the store -- */

static int mcpsess_i_lbc_send(mcpsess_librechat_store *s, mcpsess_request *r, uint64_t now_ms) {
    static const mcpsess_redis_class cls = {mcpsess_i_lbc_encode, mcpsess_i_lbc_item, mcpsess_i_lbc_done};
    bool once = r->kind == MCPSESS_FLAG_SET && r->value.len == 0;
    unsigned flags = once ? MCPSESS_REDIS_SCRIPT : MCPSESS_REDIS_SCRIPT | MCPSESS_REDIS_REPEAT;
    int rc = mcpsess_redis_submit(s->i.redis, &cls, s, r, flags, r->left_ms, now_ms);
    if (rc != MCPSESS_PENDING) return rc;
    r->i.link = s->i.pending;
    s->i.pending = r;
    return rc;
}

static int mcpsess_i_lbc_begin(mcpsess_librechat_store *s, mcpsess_request *r, uint64_t now_ms) {
    int rc;
    if (s->i.closed) return MCPSESS_E_CLOSED;
    rc = mcpsess_request_check(r);
    if (rc != MCPSESS_OK) return rc;
    s->stats.requests++;
    if (r->kind == MCPSESS_SWEEP) return MCPSESS_OK;
    if (r->kind < MCPSESS_LEASE_ACQUIRE || r->kind > MCPSESS_FLAG_CLEAR) return MCPSESS_E_UNSUPPORTED;
    if (mcpsess_i_lbc_user_bad(r->key)) return MCPSESS_E_ID;
    if (r->kind == MCPSESS_FLAG_SET && ((const mcpsess_flag_request *)(const void *)r)->data.len != 0)
        return MCPSESS_E_UNSUPPORTED;
    r->left_ms = r->deadline_ms != 0 ? r->deadline_ms : mcpsess_time_add(now_ms, s->i.timeout_ms);
    r->fence = now_ms;
    r->i.slot = 0;
    return mcpsess_i_lbc_send(s, r, now_ms);
}

static int mcpsess_i_lbc_submit(void *self, mcpsess_request *r, uint64_t now_ms) {
    int rc;
    r->need = 0;
    r->count = 0;
    rc = mcpsess_i_lbc_begin((mcpsess_librechat_store *)self, r, now_ms);
    r->rc = rc;
    return rc == MCPSESS_PENDING ? rc : mcpsess_i_lbc_end(r, rc, 0, 0);
}

static void mcpsess_i_lbc_poll(void *self, uint64_t now_ms) {
    const mcpsess_librechat_store *s = (const mcpsess_librechat_store *)self;
    if (!s->i.closed) mcpsess_redis_poll(s->i.redis, now_ms);
}

static void mcpsess_i_lbc_cancel(void *self, mcpsess_request *r) {
    mcpsess_librechat_store *s = (mcpsess_librechat_store *)self;
    if (r->rc != MCPSESS_PENDING) return;
    mcpsess_redis_drop(s->i.redis, r);
    mcpsess_i_rstore_forget(&s->i.pending, r);
    (void)mcpsess_i_lbc_end(r, MCPSESS_E_CANCELED, 0, 0);
}

static uint64_t mcpsess_i_lbc_next_due(void *self, uint64_t now_ms) {
    const mcpsess_librechat_store *s = (const mcpsess_librechat_store *)self;
    return s->i.closed ? MCPSESS_NEVER : mcpsess_redis_next_due(s->i.redis, now_ms);
}

static unsigned mcpsess_i_lbc_want(void *self) {
    const mcpsess_librechat_store *s = (const mcpsess_librechat_store *)self;
    return s->i.closed ? 0 : mcpsess_redis_want(s->i.redis);
}

static void mcpsess_i_lbc_close(void *self) {
    mcpsess_librechat_store *s = (mcpsess_librechat_store *)self;
    s->i.closed = true;
    mcpsess_i_rstore_end_all(s->i.redis, &s->i.pending);
}

static int mcpsess_i_lbc_listen(void *self, int of, const mcpsess_listener *listener) {
    mcpsess_librechat_store *s = (mcpsess_librechat_store *)self;
    if (of != MCPSESS_OF_FLAGS) return MCPSESS_E_UNSUPPORTED;
    if (listener != NULL && s->i.listener != NULL && s->i.listener != listener) return MCPSESS_E_STATE;
    s->i.listener = listener;
    return MCPSESS_OK;
}

static int mcpsess_i_lbc_hear(void *self, uint64_t now_ms) {
    const mcpsess_librechat_store *s = (const mcpsess_librechat_store *)self;
    return s->i.closed ? MCPSESS_STALE : mcpsess_redis_hear(s->i.redis, now_ms);
}

MCPSESS_API mcpsess_store mcpsess_librechat_store_store(mcpsess_librechat_store *s) {
    static const mcpsess_store_class cls = {mcpsess_i_lbc_submit,   mcpsess_i_lbc_poll, mcpsess_i_lbc_cancel,
                                            mcpsess_i_lbc_next_due, mcpsess_i_lbc_want, mcpsess_i_lbc_close,
                                            mcpsess_i_lbc_listen,   mcpsess_i_lbc_hear};
    mcpsess_store store;
    store.cls = &cls;
    store.self = s;
    return store;
}

MCPSESS_API mcpsess_librechat_store_desc mcpsess_librechat_store_desc_default(void) {
    mcpsess_librechat_store_desc d;
    memset(&d, 0, sizeof d);
    return d;
}

MCPSESS_API int mcpsess_librechat_store_init(mcpsess_librechat_store *s, const mcpsess_librechat_store_desc *d) {
    mcpsess_buf prefix;
    if (s == NULL || d == NULL || d->redis == NULL || mcpsess_i_lbc_prefix_bad(d->prefix)) return MCPSESS_E_ARG;
    memset(s, 0, sizeof *s);
    mcpsess_buf_init(&prefix, s->i.prefix, sizeof s->i.prefix);
    mcpsess_i_lbc_put_prefix(&prefix, d->prefix);
    s->i.prefix_len = (uint8_t)prefix.len;
    mcpsess_buf_put(&prefix, MCPSESS_STR(MCPSESS_I_LBC_SPACE));
    s->i.redis = d->redis;
    s->i.plain_counts = d->plain_counts;
    s->i.timeout_ms = d->timeout_ms != 0 ? d->timeout_ms : d->redis->i.desc.timeout_ms;
    s->i.module.scripts = mcpsess_i_lbc_scripts;
    s->i.module.script_count = (uint8_t)(sizeof mcpsess_i_lbc_scripts / sizeof mcpsess_i_lbc_scripts[0]);
    s->i.module.prefix = mcpsess_buf_str(&prefix);
    s->i.module.changed = mcpsess_i_lbc_changed;
    s->i.module.user = s;
    return mcpsess_redis_attach(d->redis, &s->i.module);
}

#endif /* MCPSESS_NO_FLIGHT */

#endif /* MCPSESS_REDIS_NO_COMPAT */
#endif /* MCPSESS_RESP_ONLY */

#ifdef __cplusplus
}
#endif
#endif /* MCPSESS_REDIS_IMPLEMENTATION */

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
