/* client: an MCP client for Streamable HTTP that shows what it does.

   client URL [--session ID] [--curl URL] [--variable NAME] [--timeout SECONDS] STEP...

     init              initialize, then notifications/initialized
     ping | list       ping, tools/list
     call NAME JSON    tools/call, asking for progress
     listen MS         the GET stream, for that long
     end               DELETE

   Each request is printed with an arrow, then as a curl line against the URL of --curl, then its answer. The session is
   the one that init was given, or that of --session; a curl line has it in a shell variable, SID by default, or where
   NAME is empty as it is. Exit status: 0 every request was answered, with whatever status;
   1 one was not; 2 wrong arguments.

     main.c      arguments and steps
     exchange.c  one request and its answer: HTTP by libevent, server-sent events
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

enum { SESSION_MAX = 255 };

typedef struct client {
    struct event_base *base;
    const char *url;
    const char *curl_url;
    const char *variable;
    int timeout;                   /* seconds */
    char session[SESSION_MAX + 1]; /* "" before init */
    int next_id;
} client;

/* ---- exchange.c ---- */

typedef struct request {
    const char *method; /* "POST", "GET", "DELETE" */
    cJSON *body;        /* NULL: none; ownership stays with the caller */
    int listen_ms;      /* > 0: hang up after that long */
    bool starts;        /* its answer brings the session */
} request;

/* Sends, shows, and waits for the end of the answer. -> false: there was none */
bool exchange_run(client *c, const request *r);

/* ---- show.c ---- */

void show_request(const client *c, const request *r);
void show_status(int status, const char *session, bool events); /* leaves the line open for a body */
void show_body(const cJSON *message);                           /* NULL: none */
void show_event(double seconds, const cJSON *message);
void show_failure(const char *why);

#endif
