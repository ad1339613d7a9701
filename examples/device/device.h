/* device: a small MCP server over Streamable HTTP, revisions 2025-03-26, 2025-06-18 and 2025-11-25.

   device --listen HOST:PORT --name NAME [--sessions N] [--ttl SECONDS] [--logs N] [--log-bytes N] [--data DIR]

   HTTP and the event loop are libevent's, JSON is cJSON's; sessions and event streams are kept by mcpsess, in RAM.

   A client that loses its connection comes back for what it missed: each event stream is a log of --log-bytes, by
   default 8 KiB, from which the oldest events go first. There are --logs of them, by default what the sessions' GET
   streams and the slow calls under way need, and 64 more. A new stream takes the place of a log that is complete, the
   one used least recently; where none is, a slow call is refused as a tool's error, a GET stream with 503. The log of a
   GET stream lives as long as its session, whoever listens; that of a call for an hour after its last event or reader.
   Events live for half an hour, or for --ttl where that is less. Notifications are dropped in a session that never
   opened a GET stream, and an event larger than a log only goes to who listens. What is lost is counted, and a line on
   stdout tells when a count has changed, every ten seconds at most.

     main.c      arguments, start, graceful stop
     http.c      what HTTP and the transport ask for: methods, headers, status codes
     rpc.c       JSON-RPC, and the MCP methods
     tools.c     the tools
     job.c       the slow tool: one step at a time, with progress
     note.c      what outlives the device: a note, in a file of --data
     stream.c    event streams, each a log: a POST's, and the session's GET stream
     reader.c    a connection that shows an event stream, from its beginning or from a Last-Event-ID on
     session.c   one record per session, in an mcpsess table
     sessions.c  the store of records and logs

   examples/firmware/device is the same without a heap, on a microcontroller; it shares session.c, rules.h and
   tools.h. */

#ifndef DEVICE_H
#define DEVICE_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>

#include "rules.h"
#include "session.h"
#include "tools.h"

/* ---- limits: everything a stranger can make us hold is bounded ---- */
enum {
    HEADERS_MAX = 8 * 1024,  /* bytes; more is 400 */
    BODY_MAX = 64 * 1024,    /* bytes; more is 413 */
    BATCH_MAX = 16,          /* messages, 2025-03-26 only */
    JOBS_MAX = 64,           /* slow calls under way */
    BACKLOG_MAX = 16 * 1024, /* bytes that wait for a slow reader, and one event; the others wait in the log */
    SEND_BYTES = 32 * 1024,  /* of a connection, in the kernel */
    IDLE_SECONDS = 60,       /* a silent connection is closed */
    KEEP_ALIVE_SECONDS = 15, /* between comments on a quiet GET stream */
    RETRY_SECONDS = 10,      /* Retry-After when there is no room */
    LOG_BYTES = 8 * 1024,    /* of an event stream's log, by default */
    LOGS_SPARE = 64,         /* of those that are complete, by default */
    REPORT_SECONDS = 10      /* between lines that tell what was lost */
};

typedef struct device device;

/* ---- sessions.c ---- */

typedef struct sessions {
    mcpsess_memstore store;
    mcpsess_sessions table;
    mcpsess_streams streams;
    void *store_bytes;
    void *table_bytes;
    uint64_t ttl_ms;
    uint32_t log_bytes;
} sessions;

typedef struct sessions_options {
    unsigned capacity;
    unsigned ttl_seconds;
    unsigned logs; /* 0: by default */
    unsigned log_bytes;
} sessions_options;

int sessions_init(sessions *t, const sessions_options *o);
void sessions_close(sessions *t);

/* ---- reader.c ---- */

typedef struct reader reader;

/* Answer a request with a stream of the session, from an event of it on. -> OK; another: req is not answered */
int reader_open(device *dev, struct evhttp_request *req, const session *s, const char *name, uint64_t epoch,
                uint64_t sequence);
/* Takes over from the connection that shows this stream already. -> OK, E_ID: of another session, E_NOMEM; another: it
   is no event id, or what followed it is gone */
int reader_resume(device *dev, struct evhttp_request *req, const session *s, const char *last_event_id);
reader *reader_of(device *dev, const char *session_id, const char *name); /* NULL: nobody listens */
void reader_step(reader *r);                                              /* hands on what there is; may end it */
bool reader_tell(reader *r, const mcpsess_event *e);                      /* one that is in no log; false: not told */
void reader_comment(reader *r, const char *text);
void reader_close(reader *r);
void readers_close(device *dev);

/* ---- stream.c ---- */

/* A stream while something is written to it. */
typedef struct stream {
    struct stream *next;
    device *dev;
    mcpsess_stream_writer writer;
    struct event *tick; /* a GET stream's */
    unsigned holds;     /* a POST's: answers still to come, and one while the POST itself is read */
    char session[MCPSESS_ID_MAX + 1];
    char name[STREAM_NAME];
} stream;

/* For a POST. One that polls lets its client go at once, and come back until the answer is there. NULL: see *rc */
stream *stream_open(device *dev, struct evhttp_request *req, const session *s, bool polls, int *rc);
/* The GET stream. -> OK, BUSY: it is listened to, E_FULL, E_NOMEM */
int stream_listen(device *dev, struct evhttp_request *req, const session *s);
void stream_send(stream *s, const cJSON *message);
void stream_release(stream *s); /* a hold less; the last one completes the stream */
void streams_notify(device *dev, const char *session_id, const cJSON *message);
void streams_end(device *dev, const char *session_id); /* all streams of a session; NULL: all GET streams */

/* ---- rpc.c ---- */

/* A message being answered, and where a method leaves what went wrong. */
typedef struct call {
    device *dev;
    struct evhttp_request *req;
    session *session;
    stream **stream; /* the POST's, opened by the first slow call */
    const cJSON *id;
    const cJSON *params;
    bool deferred; /* the answer comes later, on the stream */
    int code;
    const char *text;
} call;

enum { RPC_INVALID, RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

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

/* ---- note.c ---- */

bool note_open(device *dev, const char *folder); /* folder NULL: in RAM */
void note_close(device *dev);
cJSON *note(call *c, const cJSON *args); /* a tool */

/* ---- job.c ---- */

typedef struct job job;

cJSON *job_begin(call *c, double seconds, bool polls);
void jobs_cancel(device *dev, const char *session_id, const cJSON *id); /* id NULL: all of the session */
void jobs_abort(device *dev);                                           /* the device is stopping */

/* ---- http.c ---- */

void http_request(struct evhttp_request *req, void *dev);

/* ---- main.c ---- */

/* What went to nobody; the store and the streams count more. */
typedef struct lost {
    unsigned unheard; /* notifications in a session without a GET stream */
    unsigned events;  /* that no log took, and nobody was there to hear */
    unsigned readers; /* connections that ended before their stream did: the log has overtaken them */
    unsigned streams; /* refused: no log is free */
} lost;

struct device {
    struct event_base *base;
    struct evhttp *http;
    const char *name;
    sessions sessions;
    stream *streams; /* the GET streams, one a session at most */
    reader *readers; /* one a stream at most */
    job *jobs;
    unsigned job_count;
    lost lost;
    uint64_t reported; /* what the last line told */
    int folder;        /* for the note; -1: none */
    char note[NOTE_MAX + 1];
};

#endif
