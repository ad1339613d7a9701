/* mcpsess_redis.h - mcpsess on Redis or Valkey: RESP codec, connection engine, store, foreign formats.

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
     the store on Redis                                     >>redisstore
     ToolHive's sessions                                    >>toolhive

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

   PERMISSIONS
     Besides the commands you send yourself, the engine and the store need no more than this (Redis 6.2, 7, 8, Valkey):

       ACL SETUSER mcpsess on >PASSWORD resetkeys ~mcpsess:* resetchannels -@all +hello +auth +ping +select +time
         +client|setname +client|tracking +script|load +evalsha +get +set +del +exists +pttl +pexpire
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
/* Takes one item off the front of *in. On PENDING *in is as it was but for pieces already handed out: call again with
   those bytes and more behind them.
   -> OK, PENDING: more bytes are needed, E_FORMAT: not RESP, E_TOOBIG: over a limit, E_UNSUPPORTED: streamed, E_ARG;
   an error stays until init */
MCPSESS_API int mcpsess_resp_next(mcpsess_resp *d, mcpsess_str *in, mcpsess_resp_item *item);

/* Appends a command: an array of bulk strings, in RESP2 and RESP3 alike.  -> OK, E_TOOBIG, E_ARG: also for argc 0; on
   an error out is as it was */
MCPSESS_API int mcpsess_resp_put_command(mcpsess_buf *out, const mcpsess_str *argv, size_t argc);
/* The bytes put_command appends; 0 if that is more than a size_t holds. */
MCPSESS_API size_t mcpsess_resp_command_bytes(const mcpsess_str *argv, size_t argc);
/* Piece by piece, for commands that are not an argv yet, and for servers: type and number (arrays, integers, maps ...),
   type and text (simple, error, double ...), type and bytes behind their length (bulk, bulk error, verbatim). A put
   that does not fit sets out->overflow. Text is put as it is: it must hold no CR or LF. */
MCPSESS_API void mcpsess_resp_put_number(mcpsess_buf *out, uint8_t type, int64_t number);
MCPSESS_API void mcpsess_resp_put_text(mcpsess_buf *out, uint8_t type, mcpsess_str text);
MCPSESS_API void mcpsess_resp_put_bytes(mcpsess_buf *out, uint8_t type, mcpsess_str bytes);

#ifndef MCPSESS_RESP_ONLY

/* ---- redis: one connection, any command ------------------------------------------------------------------- >>redis

   state        what happens                                       leaves to
   down         waits for the end of the backoff                   connecting
   connecting   transport.open is called again until it answers    greeting; down after connect_timeout_ms
   greeting     HELLO 3 (or AUTH, RESP2), SETNAME, SELECT, SCRIPT   ready; down; failed: credentials, permissions,
   database LOAD for each script, CLIENT TRACKING, TIME ready        commands go out in order, replies come in order
   down: transport error, protocol error, reply_timeout_ms reloading    a script was gone: nothing is sent until all
   ready; down replies are in and the scripts are back failed       every command answers the error down, by
   mcpsess_redis_reset

   Backoff: a random time up to min(backoff_max, backoff_min x 2^failures) (full jitter). A command submitted while the
   last attempt to connect has failed ends with E_IO at once, unless `patient`; the first attempt is always waited for.

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

/* Errors of the server, by the first word of its message: nothing was done. Its text: mcpsess_redis_error. */
#define MCPSESS_REDIS_CODES(X)                                                       \
    X(E_SERVER, -65, "the server answered with an error that has no code here")      \
    X(E_LOADING, -66, "the server is loading its data")                              \
    X(E_BUSY, -67, "the server is busy with somebody's script")                      \
    X(E_READONLY, -68, "the server is a replica: nothing can be written here")       \
    X(E_MASTERDOWN, -69, "the server is a replica that has lost its master")         \
    X(E_NOREPLICAS, -70, "the server lacks the replicas it was told to write to")    \
    X(E_MISCONF, -71, "the server cannot save to disk, and refuses writes")          \
    X(E_OOM, -72, "the server is at its maxmemory")                                  \
    X(E_NOAUTH, -73, "the server wants a password first")                            \
    X(E_WRONGPASS, -74, "user or password is wrong")                                 \
    X(E_NOPERM, -75, "the user may not do this: compare its ACL with the manual's")  \
    X(E_NOSCRIPT, -76, "a script is gone, and was not taken again")                  \
    X(E_WRONGTYPE, -77, "the key holds another kind of value")                       \
    X(E_MOVED, -78, "the key is on another node of the cluster")                     \
    X(E_CROSSSLOT, -79, "keys of one command are in different slots of the cluster") \
    X(E_CLUSTERDOWN, -80, "the cluster does not serve, or is moving this key")       \
    X(E_SYNTAX, -81, "the server does not know the command or its arguments")        \
    X(E_NOTRACKING, -82, "the server cannot track keys on this connection")          \
    X(E_PROTOCOL, -83, "what the server sent is not RESP, or answers nothing; the connection was ended")

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

/* The bytes' way. None may block. send and recv move at most len bytes, at most 32,767 a call.  -> > 0: bytes moved,
   0: WOULD BLOCK (not the end of the stream, as with POSIX recv), < 0: DEAD */
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
    uint32_t tx_bytes, rx_bytes;             /* buffers, 64..2^24; a command must fit tx, a line of a reply rx */
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
    const char *text; /* constant, terminated; in MCPSESS_ROM */
    uint16_t len;
    char sha1[41]; /* of text, lower case hex: what SCRIPT LOAD answers */
} mcpsess_redis_script;

typedef struct mcpsess_redis_module {
    const mcpsess_redis_script *scripts;
    uint8_t script_count;
    mcpsess_str prefix; /* of keys to hear of, with TRACK_PREFIXES; empty: none. None may be the beginning of another */
    /* Both may be NULL; neither may poll. changed: this key was written or removed; an empty key: any may have been. */
    void (*changed)(void *user, mcpsess_str key);
    void (*push)(void *user, const mcpsess_resp_item *item); /* every item of every other push */
    void *user;
    struct {
        struct mcpsess_redis_module *next;
    } i;
} mcpsess_redis_module;

/* A kind of command, for those who build on the engine; for a single command see mcpsess_redis_cmd. All three are
   called inside poll, and encode inside submit too; they may submit, but not poll. */
typedef struct mcpsess_redis_class {
    /* Appends the command; called again when it is sent again. */
    void (*encode)(void *user, void *request, mcpsess_buf *out);
    /* An item of its reply, and the bytes it was made of. Not called for errors of the server. */
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
    uint8_t flags;
    uint8_t state;
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
        uint32_t rx_len, tx_sent;
        mcpsess_resp resp;
        uint64_t state_since_ms, due_ms, heard_ms, ping_ms;
        int64_t wall_offset_ms;
        uint16_t head, used, unsent; /* oldest slot, slots in use, of them not encoded yet */
        uint16_t failures;           /* attempts to connect since the last good one */
        uint8_t state, step, tracking, rank;
        bool resp3, opened, polling, wall_known;
        int rc; /* sticky */
        uint8_t error_len;
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

/* One bounded step: at most one send and one receive.  -> OK ready, PENDING not connected, or the sticky error */
MCPSESS_API int mcpsess_redis_poll(mcpsess_redis *r, uint64_t now_ms);
MCPSESS_API uint64_t mcpsess_redis_next_due(mcpsess_redis *r, uint64_t now_ms);
MCPSESS_API unsigned mcpsess_redis_want(mcpsess_redis *r); /* MCPSESS_WANT_ bits */
/* Ends every command with E_CLOSED (E_UNKNOWN where it may have been done) and the connection; all that follows answers
   E_CLOSED. */
MCPSESS_API void mcpsess_redis_close(mcpsess_redis *r);
/* Forgets a sticky error, or ends a connection, or a close; connects again at the next poll.  -> OK, E_ARG */
MCPSESS_API int mcpsess_redis_reset(mcpsess_redis *r, uint64_t now_ms);

/* Puts a command in line; it is sent by the next poll. request must live until done was called, or drop.
   -> PENDING, E_FULL: no slot, E_IO: the server is away, E_CLOSED, E_ARG, or the sticky error; then done is not called
 */
MCPSESS_API int mcpsess_redis_submit(mcpsess_redis *r, const mcpsess_redis_class *cls, void *user, void *request,
                                     unsigned flags, uint64_t deadline_ms, uint64_t now_ms);
/* Gives a command up: done is not called, request is free. */
MCPSESS_API void mcpsess_redis_drop(mcpsess_redis *r, void *request);

/* Any command as an operation. */
typedef struct mcpsess_redis_op {
    mcpsess_op op; /* mcpsess_op_init, _poll, _cancel, _next_due, _want */
    struct {
        mcpsess_redis *redis;
        const mcpsess_str *argv;
        mcpsess_buf *reply;
        size_t argc;
        uint64_t deadline_ms;
        bool overflow;
    } i;
} mcpsess_redis_op;

/* Sends argv; appends the whole reply to `reply` as RESP, to be read with mcpsess_resp_next or mcpsess_redis_text.
   argv, what it points to, and reply must live until op is done. Never repeated: E_UNKNOWN when the connection ended
   after it was sent. It goes over the connection that the store uses: no SELECT, SUBSCRIBE, MULTI, or anything that
   blocks there.
   -> PENDING, OK, an error of the server (its text: mcpsess_redis_error), E_TOOBIG: the command over tx_bytes (nothing
   sent), or the reply over `reply` (op.need; the command was done), E_IO, E_UNKNOWN, E_TIMEOUT, E_FULL, E_CLOSED,
   E_STATE, E_ARG */
MCPSESS_API int mcpsess_redis_cmd(mcpsess_redis *r, mcpsess_redis_op *op, const mcpsess_str *argv, size_t argc,
                                  mcpsess_buf *reply, uint64_t now_ms);
/* The same, waiting for it with the hook.  -> as mcpsess_redis_cmd, never PENDING, E_CANCELED */
MCPSESS_API int mcpsess_redis_call(mcpsess_redis *r, const mcpsess_str *argv, size_t argc, mcpsess_buf *reply,
                                   const mcpsess_wait_hook *hook);
/* The text of a reply that is a single scalar; empty for any other, and for null. Points into reply. */
MCPSESS_API mcpsess_str mcpsess_redis_text(mcpsess_str reply);

/* The message of the last error the server sent, at most MCPSESS_REDIS_ERROR_MAX bytes; lives until the next poll. */
MCPSESS_API mcpsess_str mcpsess_redis_error(const mcpsess_redis *r);
/* Takes in what has arrived: at most one receive.  -> OK: pushes arrive, nothing older is unheard, and the server was
   heard within idle_ms + reply_timeout_ms; STALE: not so */
MCPSESS_API int mcpsess_redis_hear(mcpsess_redis *r, uint64_t now_ms);
/* Unix time in ms by the server's clock, as of the last handshake; 0: not connected yet. */
MCPSESS_API uint64_t mcpsess_redis_wall_ms(const mcpsess_redis *r, uint64_t now_ms);
MCPSESS_API int mcpsess_redis_check(const mcpsess_redis *r); /* invariants; -> OK, E_CORRUPT, E_ARG */

/* ---- redisstore: the store on Redis ------------------------------------------------------------------ >>redisstore

   One round trip a request, one script each, so each is one atomic step of the server.

   key                        type     holds
   <prefix>r:{<id>}           string   the record's bytes, with a TTL
   <prefix>l:{<id>}           string   a lease: its holder's token, with the lease's TTL
   <prefix>f:{<id>}           string   the lease's last fence, for 100 times as long
   In an id every byte outside 0x21-0x7E, and % { }, is written %XX: so what stands between the braces, which chooses
   the slot in a cluster, is one id's and nobody else's. Fences are the server's clock in microseconds, or the last one
   + 1 if that is more: they grow even when the keys are lost.

   What a request answers when the connection ended and nobody knows whether it was done:
   GET, TOUCH, DEL_EQUAL, leases   repeated until the deadline
   PUT create, cas                 read back: OK: our bytes are there; EXISTS / LOST: others are; else E_UNKNOWN
   PUT upsert, update, DEL         E_UNKNOWN
   SWEEP is a no-op: keys expire by themselves. LOG_... answer E_UNSUPPORTED. Lease validity (left_ms) is the TTL less
   the time since the request was sent, less 1/128 of the TTL + 2 ms for the drift of two clocks. */

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
        mcpsess_redis_module module;
        const mcpsess_listener *listener;
        mcpsess_log log;
        uint32_t timeout_ms;
        int64_t numbers[3]; /* of the reply that is being read */
        uint8_t items, text_len;
        uint8_t prefix_len;
        bool closed;
        char prefix[MCPSESS_REDIS_PREFIX_MAX + 2]; /* and "r:" */
        char text[24];
    } i;
} mcpsess_redis_store;

/* Bytes of the longest command of the store, for tx_bytes: with a value and an expected value of value_max each. */
#define MCPSESS_REDIS_STORE_TX(value_max) \
    (256u + 2u * MCPSESS_REDIS_PREFIX_MAX + 6u * MCPSESS_ID_MAX + MCPSESS_RECORD_OWNER_MAX + 2u * (uint64_t)(value_max))

MCPSESS_API mcpsess_redis_store_desc mcpsess_redis_store_desc_default(void);
/* Attaches to the engine, which must not have been polled.  -> OK, E_ARG, E_STATE */
MCPSESS_API int mcpsess_redis_store_init(mcpsess_redis_store *s, const mcpsess_redis_store_desc *d);
/* Closing it leaves the engine open, for others. */
MCPSESS_API mcpsess_store mcpsess_redis_store_store(mcpsess_redis_store *s);

#ifndef MCPSESS_REDIS_NO_COMPAT

/* ---- toolhive: sessions as ToolHive keeps them --------------------------------------------------------- >>toolhive

   Two JSON values, both written exactly as ToolHive writes them, with no member added; read in any order, with any
   white space, any escapes. */

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
/* uses: nothing */

#ifndef MCPSESS_RESP_ONLY

/* ==== redis ==== */
/* uses: resp */

/* ==== redisstore ==== */
/* uses: redis */

#ifndef MCPSESS_REDIS_NO_COMPAT

/* ==== toolhive ==== */
/* uses: redis */

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
