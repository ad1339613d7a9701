/* gateway.h - an MCP gateway for Streamable HTTP on mcpsess sessions.

   One process, one thread, one event loop. A request goes from left to right, its answer streams back:

     client ── front.c ───── route.c ────── leg.c ────── backend
               HTTP in,      whose is it?   HTTP out,    an MCP server
               limits        where to?      connections
                 │             │  ├─ create.c   initialize: a session is made, there and here
                 │             │  ├─ revive.c   a backend lost the session: initialise again, replay once
                 │             │  └─ broken.c   a stream without a log broke off: tell the client
                 │             ├──── feed.c     a backend's events: read, stored, then sent to the client with our ids
                 │             │      ├─ trouble.c the store fails, or somebody else writes, or the session has ended
                 │             │      ├─ linger.c  the client is away: for how long, and how many, its events are kept
                 │             │      ├─ follow.c  or it is at another gateway, and not away
                 │             │      └─ again.c   the backend's stream is taken up again, here or by another gateway
                 │             ├──── tail.c     a client came back: what it missed, from the log, and what follows
                 │             │      └─ streams.c the logs behind both, and the operations under way there
                 │             ├──── table.c    sessions: mcpsess store, local tier, and the operations under way
                 │             ├──── backend.c  which backends there are, which are up, who has the fewest sessions
                 │             │      ├─ remote.c  those at URLs: looked for until they are back
                 │             │      └─ fleet.c   those that the gateway runs itself, kept running
                 │             │          └─ process.c  as child processes: record.c and copies.c are what they have on
                 │             │                        disk, worker.c does what takes its time
                 │             └──── directory.c which of them a user may use, if a service is to be asked for that
                 ├─ conns.c    who is connected, and who is too slow
                 ├─ exchange.c one client request and its reply
                 └─ metrics.c  counters in the Prometheus text format
     redis.c has the connection of a store that is shared with other gateways, rpc.c reads JSON-RPC and writes its
   errors, headers.c copies HTTP headers, options.c is the command line, main.c has signals and the loop.

   Every client has a session id of ours; the record behind it says which backend has the session and under which id.
   All that a gateway must know of a session is in that record, so any gateway on the same store serves it.

   Every stream of events in a session is a log in that store, too. An event is stored first and sent then, under the id
   that the log gives it. A client whose connection breaks comes back with that id, to any gateway, and gets what it
   missed. Meanwhile the gateway that has the backend's answer goes on storing it. Not kept are the answer to an
   initialize, which nobody could come back for, and anything of 2026-07-28, which has no resumption.

   Everything is bounded: sessions, connections, requests in flight, heads, bodies, what is held back, what a slow
   client is behind, events, logs, and how long and how many streams go on without a client. The largest part is bodies:
   at worst EXCHANGES_MAX + max_connections times --max-body, so set those two; in RAM, --streams times --stream-bytes
   come on top. */

#ifndef GATEWAY_H
#define GATEWAY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* every file includes this one first */
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <sys/queue.h>

#define MCPSESS_REDIS_NO_COMPAT
#include "mcpsess_redis.h"

#define BACKENDS_MAX 32u /* that are given, or that a user may use */
#define KNOWN_MAX 256u   /* backends of all users at a time; the book has a byte for one */
#define ORIGINS_MAX 16u
#define URL_MAX 255u         /* bytes of a backend's URL */
#define BACKEND_SID_MAX 255u /* bytes of a session id that a backend gave */
#define INIT_BODY_MAX 4096u  /* an initialize longer than this is not kept: such a session cannot be revived */
#define RECORD_MAX \
    (MCPSESS_RECORD_BYTES(MCPSESS_PRINCIPAL_MAX, MCPSESS_ID_MAX, URL_MAX) + 64 + BACKEND_SID_MAX + INIT_BODY_MAX)
#define EXCHANGES_MAX 1024u        /* requests in flight */
#define HEADERS_MAX (32u * 1024u)  /* bytes of a request's or a response's head */
#define BACKLOG_MAX (256u * 1024u) /* bytes a slow client may be behind before its backend is paused */
#define HELD_MAX (64u * 1024u)     /* bytes of an answer that is read before it is passed on */
#define ERRANDS_MAX 64u            /* farewells to backends under way */
#define STORE_TIMEOUT_MS 2000u     /* for the session store to answer */
#define QUEUE_MAX (256u * 1024u)   /* bytes of events that wait to be stored before their backend is paused */
#define EVENT_MAX (16u << 20)      /* bytes of one event; twice as many with the names of its lines, and comments */
#define CURSOR_MAX 255u            /* bytes of an event id that a backend gave */
#define PATIENCE_MS 10000u         /* that a client waits for events to be stored, before it is cut off */
#define LEASE_MS 10000u            /* of who writes a stream */
#define LIST_MAX 4096u             /* bytes of the URLs that a user may use */
#define DIRECTORY_MS 5000u         /* for the directory to answer */
#define DIRECTORY_USERS 256u       /* it is asked for at a time */
#define LISTS_MAX 1024u            /* in RAM, not on Redis: that are kept; the one not used for longest goes */

/* ---- options.c */

struct redis_config {
    const char *host; /* or the path of a Unix socket; NULL: sessions are in RAM */
    const char *port;
    const char *user, *prefix;
    char *password;
    const char *tls_name, *tls_ca, *tls_cert, *tls_key;
    uint64_t stale_ms;
    uint16_t db;
    uint8_t tracking;
    bool tls;
};

struct config {
    const char *host;                   /* address to listen on */
    uint16_t port;                      /* 0: any */
    const char *backends[BACKENDS_MAX]; /* URLs, and commands */
    size_t backend_count;
    const char *data; /* the directory of those that the gateway runs */
    uint32_t backend_lease_ms, backend_backoff_ms;
    bool leave_running;
    const char *directory; /* whom to ask for a user's backends instead; NULL: nobody */
    uint64_t directory_ttl_ms;
    uint32_t directory_lease_ms;
    const char *origins[ORIGINS_MAX]; /* allowed besides loopback */
    size_t origin_count;
    const char *principal_header; /* set by an authenticating proxy in front; NULL: sessions belong to nobody */
    uint64_t ttl_ms;
    uint32_t timeout_ms; /* for a client to bring a request, for a backend to begin its answer */
    uint32_t grace_ms;   /* for what is under way at SIGTERM */
    uint32_t max_connections;
    uint32_t max_body;
    uint16_t sessions;
    bool evict;  /* sessions full: drop the least recently used one instead of refusing a new one */
    bool modern; /* 2026-07-28 requests: forward (or refuse) */
    bool verbose;
    uint16_t streams;       /* in RAM: logs at a time */
    uint32_t stream_events; /* that a log keeps */
    uint32_t stream_bytes;  /* of them */
    uint32_t retry_ms;      /* told to clients: how long to wait before they come back; 0: nothing */
    uint64_t linger_ms;     /* for how long an answer is kept for a client that is away */
    uint64_t keep_alive_ms; /* a stream that was silent so long gets a comment; 0: none */
    uint32_t drains;        /* such answers at a time */
    struct redis_config redis;
};

bool options(struct config *c, int argc, char **argv); /* false: wrong; has been said */

/* ---- main.c */

struct gateway;
struct exchange;
struct leg;

uint64_t now_ms(void);                                                                            /* monotonic */
uint64_t wall_ms(void);                                                                           /* Unix time */
void say(const struct gateway *g, const char *format, ...) __attribute__((format(printf, 2, 3))); /* with --verbose */

/* ---- rpc.c: JSON-RPC */

enum {
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_INTERNAL = -32603,
    RPC_BAD_REQUEST = -32000, /* the legacy revisions' code for whatever HTTP status says more exactly */
    RPC_NO_SESSION = -32001,
    RPC_HEADER_MISMATCH = -32020,
    RPC_UNSUPPORTED_VERSION = -32022
};

struct rpc {
    mcpsess_str id;   /* raw JSON, points into the body; empty if absent or null */
    char method[128]; /* "": a response, or a batch */
    char version[32]; /* params._meta["io.modelcontextprotocol/protocolVersion"], or "" */
    bool batch;
};

int rpc_read(struct rpc *m, mcpsess_str body); /* 0, RPC_PARSE_ERROR, RPC_INVALID_REQUEST */
void rpc_error(struct evbuffer *out, int code, const char *message, mcpsess_str id);
void rpc_unsupported(struct evbuffer *out, const char *requested, mcpsess_str id, bool modern);
/* result.protocolVersion of an answer to initialize, JSON or SSE. -> false: it is not a success */
bool rpc_initialized(mcpsess_str body, char *version, size_t size);
bool rpc_names_session(mcpsess_str body);           /* an error whose message is about the session */
bool rpc_answers(mcpsess_str body, mcpsess_str id); /* a response to the request of this raw id */
struct cJSON;
struct cJSON *rpc_json(mcpsess_str text); /* for cJSON_Delete; NULL: it is not JSON */

/* ---- table.c: sessions */

/* A store operation and what comes after it. */
struct task {
    mcpsess_op op;           /* first */
    mcpsess_request request; /* of table_ask */
    void (*then)(void *user, int rc);
    void *user;
    TAILQ_ENTRY(task) link;
    bool waiting, done;
};
TAILQ_HEAD(task_list, task);

int table_open(struct gateway *g);
void table_close(struct gateway *g);
/* Goes on with then(user, rc): now if the operation is done, later if it is PENDING. */
void table_then(struct gateway *g, struct task *t, int rc, void (*then)(void *, int), void *user);
void table_forget(struct gateway *g, struct task *t);
void table_sweep(struct gateway *g);
/* One request to the store. -> PENDING, or its result; its slices must live until then */
int table_ask(struct gateway *g, struct task *t, const mcpsess_request *request);
int table_new_id(struct gateway *g, mcpsess_buf *out);
int table_random(void *user, void *dst, size_t len);         /* an mcpsess_random_fn */
void table_pump(evutil_socket_t fd, short what, void *user); /* an event's callback: steps what is under way */
void table_schedule(struct gateway *g);                      /* and when, after something was begun */
/* The book: this gateway's own list of which session is where, to count them per backend. */
void book_bind(struct gateway *g, mcpsess_str id, unsigned backend);
void book_touch(struct gateway *g, mcpsess_str id, unsigned backend);
void book_unbind(struct gateway *g, mcpsess_str id);

/* ---- redis.c: the store on Redis */

struct wire; /* its connection */

int redis_open(struct gateway *g, mcpsess_store *store);
void redis_close(struct gateway *g);
void redis_step(struct gateway *g);                  /* sends and receives, at most once each */
void redis_watch(struct gateway *g);                 /* the event loop looks after what the connection waits for now */
uint64_t redis_due(struct gateway *g, uint64_t now); /* when to step it at the latest */
bool redis_away(const struct gateway *g);            /* there is one, and it is not connected */
void redis_metrics(struct gateway *g, struct evbuffer *out);

/* ---- streams.c: the logs, and what is under way there */

/* An operation on a stream and what comes after it. */
struct step {
    struct gateway *g;
    mcpsess_op *op; /* NULL: none is under way */
    void (*then)(void *user, int rc);
    void *user;
    TAILQ_ENTRY(step) link;
    bool done;
};
TAILQ_HEAD(step_list, step);

#define STREAM_RANDOM 16u /* bytes in a stream's name */
#define STREAM_GET 'g'    /* its first byte: the session's own stream, */
#define STREAM_POST 'p'   /* or the answer to a request, whose id comes last in the name, if it is short enough */

int streams_open(struct gateway *g);
void streams_close(struct gateway *g);
void streams_name(char *out, char kind, mcpsess_str request_id); /* of STREAM_NAME_SIZE bytes; fresh every time */
#define STREAM_NAME_SIZE (MCPSESS_STREAM_MAX + 1u)
#define CURSOR_SIZE (8u + 1u + CURSOR_MAX + 1u) /* which of the backends' sessions, and the last event id it gave */
mcpsess_str streams_request(mcpsess_str name);  /* the raw id of that request; empty: not known */
/* Makes *e the error that ends a stream, in the place of that request's answer. NULL: no id to answer to, or no memory;
   else what the event's data are in, to be freed. */
struct evbuffer *streams_error(mcpsess_event *e, const char *message, mcpsess_str id);
/* Ends with then(user, rc), later; op is PENDING. */
void step_wait(struct gateway *g, struct step *s, mcpsess_op *op, void (*then)(void *, int), void *user);
void step_forget(struct step *s);
void streams_pump(struct gateway *g);
uint64_t streams_due(struct gateway *g, uint64_t now);
void streams_forget(struct gateway *g, mcpsess_str sid, const mcpsess_principal *who); /* a session ended */
void streams_metrics(struct gateway *g, struct evbuffer *out);
/* Data as it is in a log: which backend's session, and its id of the event, if it gave one; then what it sent. */
size_t envelope_bytes(const char *cursor);
void envelope_put(mcpsess_buf *out, const char *cursor);
/* Takes it off the front of data. *cursor is what put was given.  -> false: there is none, or it is too long */
bool envelope_take(mcpsess_str *data, char *cursor, size_t size);

/* ---- backend.c */

struct conn; /* a connection to a backend, leg.c */
TAILQ_HEAD(conn_list, conn);

struct backend {
    struct gateway *g;
    char url[URL_MAX + 1]; /* as configured: what records are bound to */
    char host[URL_MAX + 1];
    char authority[URL_MAX + 1];
    char path[URL_MAX + 1];
    uint16_t port;
    bool given; /* with --backend: stays */
    struct process
        *process; /* gateways run it: url is its id, and the port is where it runs now; NULL: it is elsewhere */
    bool up;
    unsigned sessions;
    unsigned in_flight;
    struct conn_list idle;
    unsigned idle_count;
};

int backends_open(struct gateway *g);
void backends_close(struct gateway *g);
bool backend_parse(struct backend *b, const char *url); /* -> false: not an http:// URL, or it is too long */
/* Its index; with a directory a new one becomes known. -1: not one of ours, or there are too many */
int backend_find(struct gateway *g, mcpsess_str url);
/* The live backend of x->list with the fewest sessions, or with the fewest requests, but none that x tried. -1: none */
int backend_pick(const struct exchange *x, bool by_sessions);
bool backend_usable(const struct exchange *x, unsigned backend); /* up, and x has not tried it */
void backend_tried(struct exchange *x);                          /* x->backend */
void backend_down(struct backend *b);                            /* no connection */
void backend_is(struct backend *b, bool up);
bool backend_locate(struct backend *b); /* of one that gateways run: on which port. -> false: it does not run */

/* ---- remote.c: the backends that somebody else runs, as a driver of mcpsess_backend */

struct remotes;

int remotes_open(struct gateway *g);
void remotes_close(struct gateway *g);
void remotes_keep(struct backend *b);   /* whether it is up is to be known */
void remotes_forget(struct backend *b); /* or not any more */
void remotes_lost(struct backend *b);   /* it was seen to be down */
void remotes_step(struct gateway *g);
uint64_t remotes_due(struct gateway *g, uint64_t now);

/* ---- fleet.c: the backends that the gateway runs */

struct fleet; /* NULL: there are none */

bool fleet_is_command(const char *text);                      /* of --backend; else it should be a URL */
int fleet_open(struct gateway *g);                            /* what there is on disk, before the store is opened */
int fleet_start(struct gateway *g);                           /* and what is to be done, when all else is */
struct process *fleet_process(struct gateway *g, unsigned n); /* the n-th command */
uint64_t fleet_fence(const struct gateway *g);                /* the highest there was */
void fleet_step(struct gateway *g);
uint64_t fleet_due(struct gateway *g, uint64_t now);
void fleet_stop(struct gateway *g); /* stops those of ours, or leaves them to others */
bool fleet_stopped(const struct gateway *g);
void fleet_close(struct gateway *g);
void fleet_health(struct gateway *g, struct evbuffer *out);
void fleet_metrics(struct gateway *g, struct evbuffer *out);

/* ---- process.c: backends that the gateway runs, as a driver of mcpsess_backend */

#define PROCESS_ID_MAX 32u
#define PROCESS_ADDRESS_MAX 40u /* http://127.0.0.1:65535/mcp */
#define PROCESS_DIR_MAX 512u    /* bytes of the path that all of them are below */
#define PROCESS_PATH_SIZE (PROCESS_DIR_MAX + 320u)

struct process;
struct processes;

/* One of them: looked at until it is done, or done by a worker of its own. */
struct process_step {
    int (*look)(struct process *p);
    int (*work)(struct process *p);
    bool becomes; /* the worker becomes the backend */
};

struct process {
    mcpsess_op op; /* the step under way */
    struct processes *all;
    char id[PROCESS_ID_MAX + 1];
    const char *command;
    pid_t child; /* it, if it was started here, and not seen to end; 0 */
    const struct process_step *step;
    mcpsess_backend_call *call;
    pid_t worker; /* of the step; 0 */
    int result;   /* the end of its pipe */
    uint64_t due_ms;
    uint64_t until_ms; /* what is looked at again and again, it is until then */
};

struct processes {
    char dir[PROCESS_DIR_MAX]; /* absolute */
    struct process of[BACKENDS_MAX];
    unsigned count;
    bool closing; /* nobody waits any more for one to accept connections */
    void (*died)(void *user, mcpsess_str id);
    mcpsess_backend_manager *manager; /* that is told what there is */
    void *user;
    mcpsess_op listing;
};

int processes_open(struct processes *all, const char *dir);
bool process_add(struct processes *all, const char *id, const char *command); /* -> false: there is one of this id */
mcpsess_backend_driver process_driver(struct processes *all);
void processes_reap(struct processes *all);                  /* a child ended: whose? */
uint16_t process_port(const struct process *p);              /* 0: it does not run, whoever started it */
uint64_t process_highest_fence(const struct processes *all); /* that was ever seen */

/* ---- worker.c: their steps, as operations */

#define PROCESS_POLL_MS 10u    /* how often a worker, or a port, is looked at */
#define PROCESS_LOOK_MS 30000u /* for a process to accept connections */

mcpsess_op *process_begin(struct processes *all, const struct process_step *step, mcpsess_backend_call *call,
                          uint64_t now);
struct process *process_find(struct processes *all, mcpsess_str id); /* NULL: there is none */

/* ---- record.c: what is on disk of them */

#define BOOT_SIZE 40u /* of the kernel's name for this boot */

struct record {
    uint16_t port;
    long pid; /* 0: it never ran */
    uint64_t start;
    char boot[BOOT_SIZE];
};

bool record_read(const struct process *p, struct record *r); /* -> false: there is none */
bool record_write(const struct process *p, const struct record *r);
bool record_take(struct record *r);        /* makes it that of the process that calls */
bool record_alive(const struct record *r); /* that very process; not one that only waits for its parent */
void record_kill_rest(const struct process *p, const struct record *r); /* what it left behind when it died */
/* A change may be made until *fd is closed.
   -> OK, FENCED, E_IO; PENDING: somebody else makes one, if it is not to wait */
int process_fence(const struct process *p, bool wait, int *fd);
void process_path(char *out, const struct process *p, const char *name); /* of PROCESS_PATH_SIZE bytes */
bool process_sync(const char *path);
uint16_t port_free(uint16_t port); /* this one, or if somebody else listens there, or it is 0, another one; 0: none */
bool port_accepts(uint16_t port);

/* ---- copies.c: their data */

void copies_driver(mcpsess_backend_driver *d);
void process_tidy(const struct process *p); /* away with what is temporary */

/* ---- directory.c: whose backends are whose */

struct directory; /* with --directory URL */
struct ask;       /* of an exchange */

int directory_open(struct gateway *g);
void directory_close(struct gateway *g);
void directory_metrics(struct gateway *g, struct evbuffer *out);
/* Fills x->list, then goes on with then(x, rc), perhaps at once: OK, MISS: there is no backend for this user, or
   another reason why there is no list. */
void directory_ask(struct exchange *x, void (*then)(struct exchange *x, int rc));
const char *directory_why(int rc, int *status); /* as a message, and an HTTP status */
void directory_forget(struct exchange *x);      /* x ends */

/* ---- leg.c: one request to a backend */

enum leg_end {
    LEG_DONE,    /* the answer is complete */
    LEG_REFUSED, /* no connection: nothing was sent */
    LEG_BROKEN,  /* something may have been sent, and the answer is not complete */
    LEG_LATE     /* connected, but no answer in time */
};

struct leg_events {
    /* The head of the answer. -> false: not interested in the rest; ends with LEG_DONE */
    bool (*head)(void *user, int status, struct evkeyvalq *headers);
    void (*data)(void *user, struct evbuffer *data);
    void (*end)(void *user, enum leg_end how); /* never called from within leg_send */
};

struct leg *leg_new(struct backend *b, const struct leg_events *events, void *user);
struct evkeyvalq *leg_headers(struct leg *l);
/* The body must live as long as the leg. Call once. */
void leg_send(struct leg *l, enum evhttp_cmd_type method, mcpsess_str body);
void leg_get(struct leg *l, const char *path); /* or this */
void leg_cancel(struct leg *l);
void leg_limit(struct leg *l, uint32_t ms); /* a new deadline, for all of the answer */
void leg_pause(struct leg *l, bool pause);
void legs_tick(struct gateway *g);
void legs_reap(struct backend *b, uint64_t before_ms); /* connections that have been idle since */
void legs_close(struct gateway *g);
void errand(struct backend *b, enum evhttp_cmd_type method, const char *sid); /* sends, and forgets the answer */

/* ---- exchange.c: one client request */

enum kind { KIND_INITIALIZE, KIND_SESSION, KIND_MODERN, KIND_REFUSED, KIND_HEALTH, KIND_METRICS, KINDS };

struct exchange {
    struct gateway *g;
    TAILQ_ENTRY(exchange) link;
    struct evhttp_request *req;
    int fd;
    enum evhttp_cmd_type method;
    enum kind kind;
    struct evbuffer *body_bytes;
    mcpsess_str body;
    struct rpc rpc;
    bool modern_header; /* MCP-Protocol-Version: 2026-07-28 */

    char sid[MCPSESS_ID_MAX + 1]; /* our session id; "" none, or not one that could be ours */
    bool has_sid;                 /* the client sent one */
    mcpsess_principal who;
    char who_bytes[MCPSESS_PRINCIPAL_MAX];

    struct task task;
    mcpsess_buf record;
    char record_bytes[MCPSESS_MERGE_BYTES(RECORD_MAX)]; /* one, or that and what becomes of it */
    mcpsess_merge_op merge;
    struct step merging;
    int backend; /* index, -1: none of ours */
    char backend_sid[BACKEND_SID_MAX + 1];
    int lost_backend; /* that lost the session, which had this id there */
    char lost_sid[BACKEND_SID_MAX + 1];
    uint8_t list[BACKENDS_MAX]; /* backends that the user may use */
    unsigned list_count;
    uint32_t tried[KNOWN_MAX / 32]; /* backends that refused the connection */
    struct ask *ask;                /* for the list */

    struct leg *leg;
    bool gone;     /* the client went away */
    bool lost;     /* the backend does not know the session */
    bool reviving; /* initialises the session again; others of this session wait */
    bool waiting;  /* for another exchange that does */
    bool replayed; /* was sent to a backend a second time */

    int status;            /* of the backend's answer */
    struct evbuffer *held; /* its body, while it is kept back */
    bool hold;             /* something is to be decided before it may be passed on */
    bool open;             /* the head of our reply was sent */
    bool events;           /* it is a stream of events, in plain text */
    unsigned paused;       /* the backend is not read: PAUSE_... */
    uint64_t sent_ms;      /* when the client was sent something last */
    struct feed *feed;     /* it is stored */
    struct tail *tail;     /* it comes from the store */
    bool in_head;          /* within the leg's head callback, which must not end the leg */
    int refusal;           /* why no session was made */
    bool ended;            /* the leg has, this way: */
    enum leg_end how;
};

/* Why a backend is not read. */
enum {
    PAUSE_CLIENT = 1, /* the client is behind */
    PAUSE_STORE = 2   /* or the store */
};

struct exchange *exchange_new(struct gateway *g, struct evhttp_request *req);
/* Every one of these ends the exchange: x is gone when they return. */
void exchange_drop(struct exchange *x); /* the client went away */
void exchange_cut(struct exchange *x);  /* the gateway goes away */
void reply_error(struct exchange *x, int status, int code, const char *message);
void reply_empty(struct exchange *x, int status);
void reply_buffer(struct exchange *x, int status, struct evbuffer *body);
void reply_close(struct exchange *x, bool complete);
/* These do not. */
void reply_header(struct exchange *x, const char *name, const char *value);
void reply_take(struct exchange *x, int status, struct evkeyvalq *headers); /* keeps a backend's head for reply_open */
void reply_open(struct exchange *x);
void reply_data(struct exchange *x, struct evbuffer *data);       /* held back until reply_open */
void reply_drop(struct exchange *x);                              /* forgets what was taken and held */
void reply_events(struct exchange *x, struct evkeyvalq *headers); /* opens a stream; headers: a backend's, or NULL */
void reply_event(struct exchange *x, const mcpsess_event *e);
void reply_comment(struct exchange *x); /* keeps it alive */
void reply_cut(struct exchange *x);     /* breaks the client's connection; x goes on as if the client had done it */
bool reply_behind(struct exchange *x);  /* the client is: too much has not left yet; x->tail is told when it has */
void reply_pause(struct exchange *x, unsigned why, bool on);

/* ---- headers.c */

const char *header(struct evhttp_request *req, const char *name); /* NULL: absent */
unsigned header_count(struct evhttp_request *req, const char *name);
/* All but hop-by-hop headers, malformed ones, and those named in the NULL-terminated list. */
void headers_copy(struct evkeyvalq *to, struct evkeyvalq *from, const char *const *but);

/* ---- route.c: where a request goes */

#define PAIR_BACKEND_SID "backend_sid" /* of the session's record: its id at the backend */
#define PAIR_INIT_BODY "init_body"     /* the initialize that began it */

void route(struct exchange *x);
void route_stop(struct exchange *x); /* the gateway stops: ends x if it would not end by itself */
void route_client_gone(struct exchange *x);

/* for those below */
void route_begin_leg(struct exchange *x, const struct leg_events *events); /* the client's request, to x->backend */
void route_data(void *user, struct evbuffer *data);                        /* of leg_events: passes it on */
void route_finish(struct exchange *x, enum leg_end how); /* the answer ended, and nothing is left to decide */
void route_forward(struct exchange *x);                  /* to x->backend, as x->backend_sid */
void route_reload(struct exchange *x);                   /* reads the session's record, then forwards */
void route_load(struct exchange *x, void (*then)(void *user, int rc));
void route_store_error(struct exchange *x, int rc);
void route_no_list(struct exchange *x, int rc); /* of directory_ask */
void route_read_record(struct exchange *x, mcpsess_record *r);
/* With the client's headers; `own`: for a request of the gateway's own on the client's behalf. NULL: out of memory */
struct leg *route_leg(struct exchange *x, const struct leg_events *events, bool own);

/* ---- create.c: initialize makes a session */

void create(struct exchange *x);
bool create_take_sid(struct exchange *x, struct evkeyvalq *headers); /* a session id of the backend's */

/* ---- feed.c: a backend's events, into a log and to the client */

struct item; /* an event that waits to be stored */

/* A backend's stream of events on its way through a log. The first event opens the log; events are appended in order,
   one at a time, and sent when they are stored. If the store cannot take the stream at its beginning, it passes in
   plain: without ids, and nothing is stored. */
struct feed {
    struct exchange *x;
    char name[STREAM_NAME_SIZE];
    mcpsess_stream_writer writer;
    mcpsess_stream_op op;
    struct step step;
    int doing;
    bool opened; /* the log is, for us to write */
    bool plain;
    bool given;      /* the client was given an id */
    bool taken_over; /* the log was another writer's; the client is served by x->tail */
    bool answered;   /* the response to the request was among the events */
    bool overrun;    /* the backend sent an event that is too large to be read */
    bool accepted;   /* again.c: the backend goes on */
    bool in_data;    /* within the leg's callback, which must not end the leg */
    bool ending;     /* the backend has said all; when it is stored: */
    bool complete;   /* nothing more will come, or the log is left to another writer */
    bool cut;        /* the client must not take it for complete */
    bool asking;     /* whether the session is still there */
    int trouble;     /* to be seen to outside of the leg's callback; 0: none */

    struct evbuffer *raw; /* from the backend: of the event under way */
    size_t scanned;       /* bytes of it that the reader was given */
    mcpsess_sse sse;
    char *sse_memory;
    size_t sse_size;
    TAILQ_HEAD(, item) queue;
    size_t queued; /* bytes */

    char cursor[CURSOR_SIZE];
    uint32_t backend_retry_ms;
    unsigned attempts; /* to take up the backend's stream that failed, since it last brought something */
    unsigned polls;    /* and those that ended in peace, without the answer */
    uint64_t again_ms; /* when to; 0: it is not broken */

    uint64_t failing_ms; /* since when the store fails; 0: it does not */
    uint64_t retry_ms;   /* when to try again */
    uint64_t alone_ms;   /* since when there is no client; 0: there is one */
    struct task follow;  /* whether somebody follows elsewhere */
    void (*follow_then)(struct exchange *x, bool yes);
};

bool feed_wants(int status, struct evkeyvalq *headers); /* such an answer is one */
bool feed_may_prime(struct exchange *x);                /* the client knows events without data */
struct feed *feed_new(struct exchange *x);              /* NULL: out of memory */
void feed_free(struct feed *f);
bool feed_begin(struct exchange *x,
                struct evkeyvalq *headers); /* the answer's head has come. -> false: out of memory */
void feed_restart(struct feed *f);          /* the backend begins to send, perhaps again */
void feed_data(struct feed *f, struct evbuffer *data);
void feed_ended(struct feed *f, enum leg_end how);
void feed_finish(struct feed *f, bool complete); /* nothing more is to come: stores what waits, then ends x */
/* The same, with an error for the request as its last event, unless it is answered. */
void feed_fail(struct feed *f, const char *message);
void feed_stop(struct feed *f); /* others may go on with the stream: stores what waits, then ends x */
void feed_step(struct feed *f);
/* for trouble.c */
bool feed_is_direct(const struct feed *f); /* the client is served from here, not by a tail */
void feed_drop_first(struct feed *f);      /* the event that is to be stored next */
void feed_go_plain(struct feed *f);

/* ---- trouble.c: what a feed cannot see to within a callback, or only as time passes */

void feeds_tick(struct gateway *g);

/* ---- linger.c: streams without a client */

void linger_begin(struct exchange *x); /* the client of a feed left; may end x */
void linger_tick(struct exchange *x);  /* may end x */
unsigned linger_count(struct gateway *g);
uint64_t linger_limit(struct gateway *g, mcpsess_str stream); /* ms that it is kept */
/* x is what serves the stream's client from now on: whoever did so before is cut off. */
void linger_replace(struct exchange *x, mcpsess_str stream);
/* A GET without Last-Event-ID: a stream that lingers from the last one is not wanted any more. */
void linger_clear(struct exchange *x);

/* ---- follow.c: whether the client of a stream is at another gateway */

void follow_tell(struct tail *t);                                                /* it is here */
void follow_ask(struct exchange *x, void (*then)(struct exchange *x, bool yes)); /* is it anywhere? later */

/* ---- again.c: a backend's stream is taken up again */

void again_cursor(struct feed *f, mcpsess_str id); /* the backend's id of an event */
/* The backend gave an id, and still has the session. A stream that it ended before the answer may be asked for any
   number of times; one that broke off, or that it does not give, only a few. */
bool again_possible(const struct feed *f, enum leg_end how);
void again_later(struct feed *f, enum leg_end how);
void again_now(struct exchange *x);
/* x->tail follows a stream that nobody writes.  -> false: the backend could not go on with it */
bool again_take_over(struct exchange *x);
/* x->feed was opened for that. Whoever wrote until then may have written more than x->tail has seen, and where the
   backend's stream is to be taken up is with the last event.  -> false: not yet */
bool again_seen_all(struct exchange *x);

/* ---- tail.c: from a log to the client */

struct tail {
    struct exchange *x;
    mcpsess_stream_reader reader;
    mcpsess_op op;
    mcpsess_event event;
    struct step step;
    char *memory;
    size_t size;
    char names[MCPSESS_ID_MAX + MCPSESS_STREAM_MAX];
    mcpsess_eventid at;       /* where the reader is opened */
    uint64_t seen;            /* the sequence that the client came with */
    bool bare;                /* the reader is opened there, not at the event before */
    bool answered;            /* the response to the request was among the events */
    char cursor[CURSOR_SIZE]; /* of the last event, as in a feed */
    bool opened;
    bool waiting;        /* it is caught up */
    uint64_t failing_ms; /* since when the store fails; 0: it does not */
    uint64_t retry_ms;
    uint64_t orphan_ms; /* since when nobody writes the stream; 0: somebody does */
    struct task follow; /* telling the other gateways */
    uint64_t told_ms;   /* when that was done last; 0: never */
};

void tail_begin(struct exchange *x, const char *last_event_id);
void tail_free(struct tail *t);
bool tail_step(struct tail *t); /* -> false: x is gone */
bool tail_tick(struct tail *t); /* -> false: x is gone */
/* Ends x, with an error for the request if that is known, and not answered. */
void tail_fail(struct tail *t, const char *message);

/* ---- revive.c: a backend lost a session */

void revive(struct exchange *x);
void revive_abandoned(struct exchange *x); /* x->reviving, and ends */

/* ---- broken.c: a reply without a log broke off after its head was sent; ends x */

void broken(struct exchange *x);

/* ---- front.c */

int front_open(struct gateway *g);
void front_stop(struct gateway *g); /* takes no more connections */
void front_close(struct gateway *g);

/* ---- conns.c: client connections */

int conns_open(struct gateway *g);
void conns_close(struct gateway *g);
bool conns_busy(struct gateway *g, int fd); /* a request came in. -> false: one connection too many */
void conns_idle(struct gateway *g, int fd); /* and its reply has left */
bool conns_any_busy(const struct gateway *g);
void conns_accepted(struct gateway *g);
void conns_sweep(struct gateway *g);

/* ---- metrics.c */

struct metrics {
    uint64_t requests[KINDS][600];
    uint64_t revived, revive_failed, revive_lost, replayed, refused_connections, slow_connections;
    uint64_t streams, streams_plain, events, events_plain, store_failures, streams_cut, drains, drains_late,
        drains_dropped, resumed, refused_ids, replaced, taken_over, orphans, again, again_failed, too_big;
};
void metrics_write(struct gateway *g, struct evbuffer *out);
void metric_family(struct evbuffer *out, const char *name, const char *type, const char *help);
void metric(struct evbuffer *out, const char *name, const char *type, const char *help, uint64_t value);

/* ---- the gateway */

struct gateway {
    struct config config;
    struct event_base *base;
    struct evdns_base *dns;
    struct evhttp *http;
    struct evhttp_bound_socket *socket;
    uint16_t port; /* where it listens */

    struct backend backends[KNOWN_MAX];
    size_t backend_count;
    struct directory *directory;
    struct remotes *remotes;
    struct fleet *fleet;
    unsigned errands;

    TAILQ_HEAD(, leg) legs;
    TAILQ_HEAD(, exchange) exchanges;
    unsigned in_flight;

    void *store_memory, *tier_memory, *book_memory;
    mcpsess_memstore memstore;
    mcpsess_redis redis;
    mcpsess_redis_store redis_store;
    struct wire *wire; /* NULL: the store is in RAM */
    mcpsess_store store;
    mcpsess_sessions sessions;
    mcpsess_lru book;
    struct task_list tasks, done; /* under way, and those whose end is to be told */
    mcpsess_streams streams;
    struct step_list steps, steps_done;
    TAILQ_HEAD(, farewell) farewells; /* sessions whose streams go */
    struct task sweep;
    struct event *pump;

    struct seen *seen; /* conns.c */
    size_t seen_size;
    unsigned connections, accepted; /* as of the last sweep, and since */
    bool crowded;                   /* too many to accept more */

    struct event *tick, *sigterm, *sigint;
    unsigned ticks;
    bool stopping;
    uint64_t stop_by_ms;
    struct metrics metrics;
};

#endif
