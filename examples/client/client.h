/* client: an MCP client for Streamable HTTP that shows what it does.

   client URL [--session ID] [--curl URL] [--variable NAME] [--timeout SECONDS] STEP...

     init              initialize, then notifications/initialized
     ping | list       ping, tools/list
     call NAME JSON    tools/call, asking for progress; comes back for the answer, if its stream ends without
     cut N NAME JSON   the same, but hangs up after N messages and does not come back
     resume ID         GET with that Last-Event-ID, "-" for the last one seen; comes back as call does
     listen MS         the GET stream, for that long
     end               DELETE

   Each request is printed with an arrow, then as a curl line against the URL of --curl, then its answer. The session is
   the one that init was given, or that of --session; a curl line has it in a shell variable, SID by default, or where
   NAME is empty as it is; that of cut sets another one, SID_LAST, to the id of the last event, and that of resume uses
   it. Exit status: 0 every request was answered, with whatever status; 1 one was not; 2 wrong arguments.

     main.c      arguments and steps
     exchange.c  one request and its answer: HTTP by libevent, server-sent events by mcpsess
     show.c      the transcript */

#ifndef CLIENT_H
#define CLIENT_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdbool.h>

#define PROTOCOL_VERSION "2025-11-25"
#define ACCEPT_POST "application/json, text/event-stream"
#define ACCEPT_GET "text/event-stream"

enum { SESSION_MAX = 255, EVENT_ID_MAX = 255, RETRY_MS = 1000 };

typedef struct client {
    struct event_base *base;
    const char *url;
    const char *curl_url;
    const char *variable;
    int timeout;                    /* seconds */
    char session[SESSION_MAX + 1];  /* "" before init */
    char last_id[EVENT_ID_MAX + 1]; /* of the last event that had one; "" at the beginning of a call */
    unsigned retry_ms;              /* before coming back */
    int next_id;
} client;

/* ---- exchange.c ---- */

typedef struct request {
    const char *method; /* "POST", "GET", "DELETE" */
    cJSON *body;        /* NULL: none; ownership stays with the caller */
    int listen_ms;      /* > 0: hang up after that long */
    int cut;            /* > 0: hang up after so many messages */
    bool resumes;       /* from the client's last_id on */
    bool by_itself;     /* no step of the user's: without a curl line */
    bool starts;        /* its answer brings the session */
} request;

enum { RUN_FAILED, RUN_ANSWERED, RUN_BROKE_OFF };

/* Sends, shows, and waits for the end of the answer. -> RUN_FAILED: there was none, RUN_BROKE_OFF: an event stream from
   which there may be more to have */
int exchange_run(client *c, const request *r);

/* ---- show.c ---- */

void show_request(const client *c, const request *r);
void show_status(int status, const char *session, bool events); /* leaves the line open for a body */
void show_body(const cJSON *message);                           /* NULL: none */
void show_event(double seconds, const cJSON *message);
void show_note(double seconds, const char *what, const char *id); /* of the stream itself; id NULL: none */
void show_failure(const char *why);

#endif
