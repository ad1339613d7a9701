/* device: a whole MCP server as firmware, Streamable HTTP on lwIP, revisions 2025-03-26, 2025-06-18 and 2025-11-25. It
   runs on a simulated board with an Ethernet controller, in the RAM that the linker script states; nothing is allocated
   while it runs.

     make firmware
     qemu-system-arm -M mps2-an385 -nographic -monitor none -semihosting-config enable=on,target=native \
       -serial null -serial stdio -nic user,model=lan9118,hostfwd=tcp:127.0.0.1:8810-:80 \
       -kernel build/firmware/device-an385

   Then point any MCP client at http://127.0.0.1:8810/mcp. The board's own address is 10.0.2.15, as the simulator's
   network has it. An s on its second serial port, here the terminal, asks for the counters, a q ends the simulation.

   What it answers is what examples/device answers; session.c, rules.h and tools.h are the same files. The rest is not
   shared: there libevent and cJSON allocate as they go, here every request has its place from the start.

   Each request has a connection of its own, which ends with the answer: so a client that is silent, or slow, holds one
   of CONNECTIONS for a bounded time, and no more than that. An event stream is a log in the store, from which a
   connection is served as fast as its client reads: what does not fit into the send buffer waits in the log, and what
   the log drops meanwhile is lost to that client, which is told. With no connection or session free the answer is 503,
   with Retry-After; with no log for a slow call, a tool's error. What is bounded here and not there: a body by BODY_MAX
   and VALUES_MAX, an id by RAW_ID_MAX, an answer by REPLY_MAX, in a batch by EVENT_MAX (the list of tools is longer), a
   request's time by REQUEST_MS. Session ids are as hard to guess as board_random's numbers. TCP's first sequence
   numbers are easy to guess: for an open network give lwIP a LWIP_HOOK_TCP_ISN.

   RAM, of which there are 64 KiB: 4 the stack; 19 what is sent and not confirmed yet, and 7 the other pools of lwIP; 15
   the store, most of it event logs; 11 the connections, each a request or the reader of a stream; 7 all the rest.

     main.c        the loop; counters, stop
     connection.c  TCP: connections, each with a place for its request or its stream
     request.c     what is kept of a request, as http-parser finds it
     http.c        what HTTP and the transport ask for: methods, headers, status codes
     rpc.c         JSON-RPC, and the MCP methods
     json.c        JSON read (jsmn) and written
     tools.c       the tools
     job.c         the slow tool: one step at a time, with progress
     stream.c      event streams, each a log: a POST's, and the session's GET stream
     reader.c      a connection that shows an event stream, from its beginning or from a Last-Event-ID on
     store.c       records and logs, in RAM
     lan9118.c     the Ethernet controller */

#ifndef DEVICE_H
#define DEVICE_H

#include <http_parser.h>
#include <lwip/tcp.h>

#include "../../device/rules.h"
#include "../../device/session.h"
#include "../../device/tools.h"
#include "../board.h"
#include "json.h"

/* ---- limits: everything a stranger can make us hold is bounded; CONNECTIONS is in lwipopts.h ---- */
enum {
    SESSIONS = 4,
    JOBS = 2,                   /* slow calls under way */
    LOGS = SESSIONS + JOBS + 2, /* two that are complete can still be resumed */
    LOG_BYTES = 1536,           /* of an event stream's log: a calibration, with what surrounds it */
    EVENT_MAX = 512,            /* bytes of an event's data */
    BODY_MAX = 1024,            /* bytes; more is 413 */
    BATCH_MAX = 16,             /* messages, 2025-03-26 only */
    REPLY_MAX = 1536,           /* bytes of an answer, the list of tools apart */
    RAW_ID_MAX = 48,            /* bytes of a request id or progress token, as JSON */
    HEADER_MAX = 160,           /* bytes of a header's value that we look at */
    UNHEARD_MAX = 1072,         /* bytes of a stream that its client has yet to confirm; the others wait in the log */
    REQUEST_MS = 10 * 1000,     /* a request must be whole by then */
    DEAF_MS = 20 * 1000,        /* an answer must be confirmed by then, and of a stream something */
    TTL_MS = 10 * 60 * 1000,    /* of a session that nobody uses */
    KEEP_ALIVE_MS = 15 * 1000   /* between comments on a quiet GET stream */
};

#define DEVICE_NAME "firmware"

/* What happened; the store and the streams count more. */
typedef struct counters {
    uint32_t requests;
    uint32_t connections; /* most at a time */
    uint32_t refused;     /* connections, no place was free */
    uint32_t cut;         /* connections that were too slow */
    uint32_t unheard;     /* notifications in a session without a GET stream */
    uint32_t events;      /* that no log took */
    uint32_t readers;     /* connections that ended before their stream did: the log has overtaken them */
    uint32_t replies;     /* that did not fit into the memory for sending */
} counters;

extern counters count;

/* ---- store.c ---- */

extern mcpsess_memstore store;
extern mcpsess_sessions sessions;
extern mcpsess_streams streams;

bool store_open(void);

/* ---- request.c ---- */

/* What is kept of a request. */
typedef struct request {
    uint8_t method;   /* of http-parser */
    uint16_t refusal; /* a status; 0: it is well-formed */
    bool complete;
    bool path_known;               /* it is /mcp */
    bool lists_json, lists_events; /* Accept */
    bool is_json;                  /* Content-Type */
    bool foreign;                  /* Origin */
    bool has_session, has_version, has_last_event_id;
    bool in_value;
    char session[MCPSESS_ID_MAX + 2]; /* of one that is too long, enough to tell */
    char version[12];
    char last_event_id[MCPSESS_EVENTID_MAX + 2];
    uint8_t path_len, name_len, value_len;
    char path[8], name[24], value[HEADER_MAX + 1]; /* under way */
    uint16_t body_len;
    char body[BODY_MAX];
} request;

void request_begin(request *r, http_parser *p);
void request_take(http_parser *p, const char *bytes, size_t len); /* until it is complete, or refused */

/* ---- connection.c ---- */

typedef struct connection connection;

/* A connection that shows an event stream. */
typedef struct reader {
    mcpsess_stream_reader log;
    mcpsess_op op;
    mcpsess_event event;
    bool waits; /* op is pending */
    bool holds; /* event is to be sent */
    char session[MCPSESS_ID_MAX + 1];
    char name[STREAM_NAME]; /* who writes the stream may be gone before it is read to its end */
    char mem[MCPSESS_STREAM_READER_MIN + EVENT_MAX + 64]; /* the names in an event id, and a page of the log */
} reader;

enum { CONNECTION_FREE, CONNECTION_REQUEST, CONNECTION_STREAM, CONNECTION_ENDING };

struct connection {
    struct tcp_pcb *pcb; /* NULL: the client is gone */
    uint8_t state;
    bool ended;        /* the client says no more */
    bool head_only;    /* an answer has no body */
    uint64_t since_ms; /* when the request, or the end, began, or the client last confirmed some of a stream */
    http_parser parser;
    union {
        request request; /* until it is answered */
        reader reader;   /* from then on, if the answer is a stream */
    } as;
};

extern connection connections[CONNECTIONS];

bool connections_open(void);
void connections_step(void);
/* constant: the bytes stay where they are until they have been confirmed. -> false: no room now, nothing was sent */
bool connection_send(connection *c, mcpsess_str bytes, bool constant);
size_t connection_unheard(const connection *c); /* bytes that its client has not confirmed */
void connection_end(connection *c);             /* all is said, and the client has yet to hear it */
void connection_cut(connection *c);

/* ---- reader.c ---- */

/* Answers with a stream of the session, from an event of it on. The request is gone then. -> OK, another code */
int reader_open(connection *c, const session *s, const char *name, uint64_t epoch, uint64_t sequence);
/* Takes over from the connection that shows this stream already. -> OK, E_ID: of another session; another: it is no
   event id, or what followed it is gone */
int reader_resume(connection *c, const session *s);
connection *reader_of(const char *session_id, const char *name); /* NULL: nobody listens */
void reader_step(connection *c);                                 /* hands on what there is; may end it */
void reader_comment(connection *c, const char *text);
void reader_close(connection *c);
void reader_forget(connection *c); /* the connection is gone */

/* ---- stream.c ---- */

/* A stream while something is written to it. */
typedef struct stream {
    mcpsess_stream_writer writer;
    uint64_t tick_ms; /* a GET stream's next */
    uint8_t holds;    /* a POST's: answers still to come, and one while the POST itself is read */
    bool used;
    bool listened; /* it is a GET stream */
    char session[MCPSESS_ID_MAX + 1];
    char name[STREAM_NAME];
} stream;

/* For a POST. One that polls lets its client go at once, and come back until the answer is there. NULL: no log */
stream *stream_open(const session *s, bool polls);
/* The GET stream. -> OK, BUSY: it is listened to, E_FULL, another code */
int stream_listen(connection *c, const session *s);
void stream_send(stream *s, mcpsess_str message);
void stream_release(stream *s); /* a hold less; the last one completes the stream */
void streams_notify(const char *session_id, mcpsess_str message);
void streams_end(const char *session_id); /* all streams of a session; NULL: all GET streams */
void streams_step(void);

/* ---- rpc.c ---- */

/* The text of an answer; a constant, if there is one, belongs between its bytes at constant_at. */
typedef struct answer {
    mcpsess_buf text;
    mcpsess_str constant;
    size_t constant_at;
} answer;

/* A message being answered, and where a method leaves what went wrong. */
typedef struct call {
    const json *json;
    session *session;
    stream *stream; /* the POST's, opened by the first slow call */
    int message, params;
    bool batch;
    bool deferred; /* the answer comes later, on the stream */
    int code;
    const char *text;
    answer *out;
} call;

enum { RPC_INVALID, RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

int rpc_kind(const json *j, int message);
bool rpc_is(const json *j, int message, const char *method);
mcpsess_str rpc_id(const json *j, int message); /* as it is written; empty: none, or none that is valid */
bool rpc_id_valid(const json *j, int id);
void rpc_put_head(mcpsess_buf *out, mcpsess_str id);
void rpc_put_error(mcpsess_buf *out, mcpsess_str id, int code, const char *text);
bool rpc_fail(call *c, int code, const char *text); /* for a method to return */
/* Appends the answer to a message. -> false: there is none, or it comes later */
bool rpc_answer(call *c, int message);
/* Appends the result of an initialize. -> the revision agreed on; NULL: the params are wrong */
const char *rpc_initialize(const json *j, int params, mcpsess_buf *out);

/* ---- tools.c ---- */

bool tools_list(call *c);
bool tools_call(call *c);
void tool_put_result(const session *s, mcpsess_str values, mcpsess_buf *out);
bool tool_problem(call *c, const char *text); /* a result that says what went wrong */

/* ---- job.c ---- */

bool job_begin(call *c, int seconds, bool polls); /* seconds: a number, JSON */
void jobs_step(void);
void jobs_cancel(const char *session_id, mcpsess_str id); /* id empty: all of the session */
void jobs_abort(void);                                    /* the device is stopping */

/* ---- http.c ---- */

void http_answer(connection *c); /* its request is complete, or to be refused */
void http_refuse_connection(struct tcp_pcb *pcb);

#endif
