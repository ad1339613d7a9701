/* The event store of the MCP C# SDK, by the commands it sends: over a socket that blocks, and by a Node client. */
#ifndef BENCH_CSHARP_H
#define BENCH_CSHARP_H

#include "mcpsess_redis.h"

#include <stdbool.h>
#include <stdio.h>

enum { CSHARP_STREAMS_MAX = 16 };

/* The JSON-RPC message of every event. */
#define CSHARP_DATA                                                                                                   \
    "{\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"call-17\",\"progress\":42,\"total\":100," \
    "\"message\":\"reading sensor 42 of 100\"},\"jsonrpc\":\"2.0\"}"

/* A plain client: what is sent costs the bytes' writing, what is received their reading as RESP. */
typedef struct csharp_client {
    int fd;
    mcpsess_buf out;
    char room[65536];
    char in[65536];
} csharp_client;

csharp_client *csharp_connect(const char *path);
/* Sends what is in out, and waits for so many replies. */
void csharp_exchange(csharp_client *c, unsigned replies);
/* A number that INFO tells. */
uint64_t csharp_info(csharp_client *c, const char *name);
void csharp_flush(csharp_client *c); /* FLUSHALL */

/* `count` events to each of so many new streams of a session at once, named by numbers; 2 round trips each, or 5 with
   the session's index. */
void csharp_append(csharp_client *c, const char *session, unsigned trips, unsigned first, unsigned streams,
                   unsigned count);
/* What follows an event, one after the other. */
void csharp_replay(csharp_client *c, const char *session, const char *stream, unsigned after, unsigned count);

/* The Node client, told what to do. */
typedef struct csharp_node {
    FILE *to, *from;
} csharp_node;

bool csharp_node_start(csharp_node *n, const char *path, const char *script, const char *packages);
double csharp_node_ask(csharp_node *n, const char *line); /* -> us */

#endif
