/* device: a small MCP server over Streamable HTTP, revisions 2025-03-26, 2025-06-18 and 2025-11-25.

   device --listen HOST:PORT --name NAME [--sessions N] [--ttl SECONDS]

   HTTP and the event loop are libevent's, JSON is cJSON's; the sessions are kept by mcpsess, in RAM.

     main.c      arguments, start, graceful stop
     http.c      what HTTP and the transport ask for: methods, headers, status codes
     rpc.c       JSON-RPC, and the MCP methods
     tools.c     the tools
     job.c       the slow tool: one step at a time, with progress
     stream.c    server-sent events, on a POST or on a GET
     sessions.c  one record per session, in an mcpsess table */

#ifndef DEVICE_H
#define DEVICE_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>

#include "mcpsess.h"

/* ---- limits: everything a stranger can make us hold is bounded ---- */
enum {
    HEADERS_MAX = 8 * 1024,      /* bytes; more is 400 */
    BODY_MAX = 64 * 1024,        /* bytes; more is 413 */
    BATCH_MAX = 16,              /* messages, 2025-03-26 only */
    JOBS_MAX = 64,               /* slow calls under way */
    BACKLOG_MAX = 256 * 1024,    /* bytes a slow reader may leave unread before its stream ends */
    RECORD_MAX = 256,            /* bytes of a session record */
    IDLE_SECONDS = 60,           /* a silent connection is closed */
    KEEP_ALIVE_SECONDS = 15,     /* between comments on a quiet GET stream */
    RETRY_SECONDS = 10           /* Retry-After when there is no room */
};

typedef struct device device;

/* ---- sessions.c ---- */

typedef struct sessions {
    mcpsess_memstore store;
    mcpsess_sessions table;
    void *store_bytes;
    void *table_bytes;
    uint64_t ttl_ms;
} sessions;

/* A session in hand: a copy of its record. Its state is pairs: version, level, led, calls, calibrated. */
typedef struct session {
    char id[MCPSESS_ID_MAX + 1];
    mcpsess_buf buf;
    char bytes[RECORD_MAX];
} session;

int sessions_init(sessions *t, unsigned capacity, unsigned ttl_seconds);
void sessions_close(sessions *t);
int session_create(sessions *t, session *s, const char *version);  /* -> OK, E_FULL, another error */
int session_load(sessions *t, session *s, const char *id);         /* -> OK, MISS, an error; keeps it alive */
int session_save(sessions *t, session *s);                         /* -> OK, MISS: it has ended meanwhile */
int session_touch(sessions *t, const char *id);                    /* -> OK, MISS */
int session_delete(sessions *t, const char *id);                   /* -> OK */
void session_set(session *s, const char *key, const char *value);
bool session_is(const session *s, const char *key, const char *value);
void session_text(const session *s, const char *key, char *text, size_t size); /* "" when absent */
unsigned session_number(const session *s, const char *key);                    /* 0 when absent */

/* ---- stream.c ---- */

typedef struct stream {
    struct stream *next;
    device *dev;
    struct evhttp_request *req; /* NULL once the client is gone */
    struct event *tick;         /* a GET stream's keep-alive */
    unsigned holds;             /* a POST's: answers still to come, and one while the POST itself is read */
    char session[MCPSESS_ID_MAX + 1];
} stream;

stream *stream_open(device *dev, struct evhttp_request *req, const char *session_id); /* for a POST */
bool stream_listen(device *dev, struct evhttp_request *req, const char *session_id);  /* the GET; false: has one */
void stream_send(stream *s, const cJSON *message);
void stream_release(stream *s); /* a hold less; the last one ends the stream */
void streams_notify(device *dev, const char *session_id, const cJSON *message);
void streams_end(device *dev, const char *session_id); /* the GET streams of a session; NULL: of all */

/* ---- rpc.c ---- */

/* A message being answered, and where a method leaves what went wrong. */
typedef struct call {
    device *dev;
    struct evhttp_request *req;
    session *session;
    stream **stream; /* the POST's, opened by the first slow call */
    const cJSON *id;
    const cJSON *params;
    bool deferred;   /* the answer comes later, on the stream */
    int code;
    const char *text;
} call;

enum { RPC_INVALID, RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

enum {
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_NO_METHOD = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL = -32603,
    RPC_SERVER_ERROR = -32000,
    RPC_NO_SESSION = -32001,
    RPC_UNSUPPORTED_VERSION = -32022
};

int rpc_kind(const cJSON *message);
bool rpc_id_valid(const cJSON *id);
const char *rpc_method(const cJSON *message); /* "" when there is none */
cJSON *rpc_result(const cJSON *id, cJSON *result);
cJSON *rpc_error(const cJSON *id, int code, const char *text);
cJSON *rpc_notification(const char *method, cJSON *params);
cJSON *rpc_fail(call *c, int code, const char *text); /* for a method to return */
/* The answer to a message; NULL: there is none, or it comes later. */
cJSON *rpc_answer(call *c, const cJSON *message);
/* The result of an initialize; NULL: the params are wrong. *version is the revision agreed on. */
cJSON *rpc_initialize(const device *dev, const cJSON *params, const char **version);
bool rpc_version_known(const char *version);
cJSON *rpc_versions(void);

/* ---- tools.c ---- */

cJSON *tools_list(call *c);
cJSON *tools_call(call *c);
cJSON *tool_result(const session *s, cJSON *values); /* takes values */
cJSON *tool_problem(const char *text);               /* a result that says what went wrong */
void log_message(device *dev, const session *s, const char *logger, const char *text);

/* ---- job.c ---- */

typedef struct job job;

cJSON *job_begin(call *c, double seconds);
void jobs_cancel(device *dev, const char *session_id, const cJSON *id); /* id NULL: all of the session */
void jobs_abort(device *dev);                                            /* the device is stopping */

/* ---- http.c ---- */

void http_request(struct evhttp_request *req, void *dev);

/* ---- main.c ---- */

struct device {
    struct event_base *base;
    struct evhttp *http;
    const char *name;
    sessions sessions;
    stream *streams; /* the GET streams, one a session at most */
    job *jobs;
    unsigned job_count;
};

uint64_t now_ms(void);

#endif
