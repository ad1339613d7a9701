#define _POSIX_C_SOURCE 200809L
#include "csharp.h"

#include "bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { NAME_LEN = 128, VALUE_LEN = 1024, EVENT_S = 1800, META_S = 3600 };

csharp_client *csharp_connect(const char *path) {
    csharp_client *c = bench_alloc(sizeof *c);
    struct sockaddr_un to;
    memset(&to, 0, sizeof to);
    to.sun_family = AF_UNIX;
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&to, sizeof to) != 0) bench_stop("cannot connect");
    mcpsess_buf_init(&c->out, c->room, sizeof c->room);
    return c;
}

void csharp_exchange(csharp_client *c, unsigned replies) {
    mcpsess_resp_item item;
    mcpsess_resp d;
    if (mcpsess_buf_check(&c->out) != MCPSESS_OK) bench_stop("too much at once");
    if (send(c->fd, c->room, c->out.len, MSG_NOSIGNAL) != (ssize_t)c->out.len) bench_stop("send");
    c->out.len = 0;
    mcpsess_resp_init(&d, NULL);
    while (replies > 0) {
        const ssize_t got = recv(c->fd, c->in, sizeof c->in, 0);
        mcpsess_str in = mcpsess_str_of(c->in, got > 0 ? (size_t)got : 0);
        if (got <= 0) bench_stop("recv");
        while (mcpsess_resp_next(&d, &in, &item) == MCPSESS_OK) {
            if (item.type == MCPSESS_RESP_ERROR || item.type == MCPSESS_RESP_NULL) bench_stop("an answer is an error");
            replies -= item.ends;
        }
        if (in.len != 0 && replies > 0) bench_stop("a line came in two pieces");
    }
}

static void put(csharp_client *c, size_t argc, ...) {
    mcpsess_str argv[8];
    va_list words;
    va_start(words, argc);
    for (size_t n = 0; n < argc; n++) argv[n] = mcpsess_str_z(va_arg(words, const char *));
    va_end(words);
    (void)mcpsess_resp_put_command(&c->out, argv, argc);
}

uint64_t csharp_info(csharp_client *c, const char *name) {
    char *at;
    put(c, 2, "INFO", "memory");
    csharp_exchange(c, 1);
    at = strstr(c->in, name);
    if (at == NULL) bench_stop("INFO does not tell it");
    return strtoull(at + strlen(name) + 1, NULL, 10);
}

void csharp_flush(csharp_client *c) {
    put(c, 1, "FLUSHALL");
    csharp_exchange(c, 1);
}

/* -- IDistributedCache on Redis -- */

static void ticks(char out[24], uint64_t hours) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    snprintf(out, 24, "%llu%07lu", (unsigned long long)t.tv_sec + 62135596800u + hours * 3600u,
             (unsigned long)t.tv_nsec / 100u);
}

/* -> answers to come */
static unsigned put_set(csharp_client *c, const char *key, const char *value, uint64_t hours, unsigned seconds) {
    char absolute[24], sliding[24], ttl[12];
    ticks(absolute, hours);
    snprintf(sliding, sizeof sliding, "%u0000000", seconds);
    snprintf(ttl, sizeof ttl, "%u", seconds);
    put(c, 8, "HMSET", key, "absexp", absolute, "sldexp", sliding, "data", value);
    put(c, 3, "EXPIRE", key, ttl);
    return 2;
}

static unsigned put_get(csharp_client *c, const char *key) {
    put(c, 5, "HMGET", key, "absexp", "sldexp", "data");
    return 1;
}

static unsigned put_expire(csharp_client *c, const char *key, const char *seconds) {
    put(c, 3, "EXPIRE", key, seconds);
    return 1;
}

/* -- the store -- */

static void base64(char out[NAME_LEN], const char *text) {
    mcpsess_buf b;
    mcpsess_buf_init(&b, out, NAME_LEN);
    mcpsess_buf_put_b64(&b, mcpsess_str_z(text));
    mcpsess_buf_put_char(&b, '\0');
}

static unsigned put_event(csharp_client *c, const char *session, const char *stream, unsigned sequence) {
    char key[3 * NAME_LEN], value[VALUE_LEN];
    snprintf(key, sizeof key, "mcp:sse:v1:event:%s:%s:%u", session, stream, sequence);
    snprintf(value, sizeof value, "{\"eventType\":\"message\",\"eventId\":\"%s\",\"data\":%s}", key + 17, CSHARP_DATA);
    return put_set(c, key, value, 2, EVENT_S);
}

static unsigned put_meta(csharp_client *c, const char *session, const char *stream, unsigned sequence) {
    char key[3 * NAME_LEN], value[VALUE_LEN];
    snprintf(key, sizeof key, "mcp:sse:v1:meta:%s:%s", session, stream);
    snprintf(value, sizeof value, "{\"mode\":\"Streaming\",\"isCompleted\":false,\"lastSequence\":%u}", sequence);
    return put_set(c, key, value, 4, META_S);
}

/* An append, round trip by round trip. */
static unsigned put_step(csharp_client *c, unsigned step, const char *session, unsigned stream, unsigned sequence) {
    char key[2 * NAME_LEN], name[NAME_LEN], text[12], value[VALUE_LEN];
    snprintf(text, sizeof text, "%u", stream);
    base64(name, text);
    snprintf(key, sizeof key, "mcp:sse:v1:idx:%s", session);
    switch (step) {
    case 0: return put_event(c, session, name, sequence);
    case 1: return put_meta(c, session, name, sequence);
    case 2: return put_get(c, key);
    case 3: return put_expire(c, key, "3600");
    default: break;
    }
    snprintf(value, sizeof value, "{\"streams\":[{\"streamId\":\"%u\",\"lastSequence\":%u}]}", stream, sequence);
    return put_set(c, key, value, 4, META_S);
}

void csharp_append(csharp_client *c, const char *session, unsigned trips, unsigned first, unsigned streams,
                   unsigned count) {
    char name[NAME_LEN], key[2 * NAME_LEN];
    base64(name, session);
    snprintf(key, sizeof key, "mcp:sse:v1:idx:%s", name);
    if (trips == 5) csharp_exchange(c, put_set(c, key, "{\"streams\":[]}", 4, META_S));
    for (unsigned n = 1; n <= count; n++) {
        for (unsigned step = 0; step < trips; step++) {
            unsigned replies = 0;
            for (unsigned s = first; s < first + streams; s++) replies += put_step(c, step, name, s, n);
            csharp_exchange(c, replies);
        }
    }
}

void csharp_replay(csharp_client *c, const char *session, const char *stream, unsigned after, unsigned count) {
    char name[NAME_LEN], of[NAME_LEN], key[3 * NAME_LEN];
    base64(name, session);
    base64(of, stream);
    snprintf(key, sizeof key, "mcp:sse:v1:meta:%s:%s", name, of);
    for (unsigned n = 0; n <= count; n++) {
        const char *ttl = n == 0 ? "3600" : "1800";
        if (n != 0) snprintf(key, sizeof key, "mcp:sse:v1:event:%s:%s:%u", name, of, after + n);
        csharp_exchange(c, put_get(c, key));
        csharp_exchange(c, put_expire(c, key, ttl));
    }
}

/* -- by Node -- */

static void node_run(int to[2], int from[2], const char *path, const char *script, const char *packages) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    close(to[1]);
    close(from[0]);
    setenv("BENCH_DATA", CSHARP_DATA, 1);
    execlp("node", "node", script, path, packages, (char *)NULL);
    _exit(127);
}

bool csharp_node_start(csharp_node *n, const char *path, const char *script, const char *packages) {
    int to[2], from[2];
    pid_t pid;
    if (pipe(to) != 0 || pipe(from) != 0) bench_stop("pipe");
    pid = fork();
    if (pid < 0) bench_stop("fork");
    if (pid == 0) node_run(to, from, path, script, packages);
    close(to[0]);
    close(from[1]);
    n->to = fdopen(to[1], "w");
    n->from = fdopen(from[0], "r");
    return n->to != NULL && n->from != NULL;
}

double csharp_node_ask(csharp_node *n, const char *line) {
    char answer[32];
    if (fprintf(n->to, "%s\n", line) < 0 || fflush(n->to) != 0) bench_stop("node has ended");
    if (fgets(answer, sizeof answer, n->from) == NULL) bench_stop("node says nothing");
    return strtod(answer, NULL);
}
