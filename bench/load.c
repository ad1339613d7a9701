/* Drives an MCP server over Streamable HTTP; loopback only, bounded in count and time.

     load compare DIRECT GATEWAY SESSIONS REQUESTS   rounds of tools/call, alternately at both; prints a table
     load open URL SESSIONS                          opens sessions and leaves them

   A session has a connection of its own, kept alive, and one request under way at a time. Requests are counted as
   answered only with status 200 and a result. */
#define _DEFAULT_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, SESSION_MAX = 80, SECONDS_MAX = 300 };

static const char initialize[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\","
    "\"capabilities\":{},\"clientInfo\":{\"name\":\"load\",\"version\":\"1\"}}}";
static const char initialized[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\","
                           "\"params\":{\"name\":\"read_sensor\",\"arguments\":{\"channel\":1}}}";

typedef struct client {
    int fd;
    char session[SESSION_MAX];
    char answer[ANSWER_MAX + 1];
    size_t have;
    double sent_ns;
} client;

typedef struct server {
    struct sockaddr_in address;
    char path[64];
    client *clients;
    size_t count;
    int epoll;
} server;

typedef struct figures {
    double per_second, p50_us, p99_us;
} figures;

static double wall_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static server server_of(const char *url) {
    server s;
    unsigned port;
    memset(&s, 0, sizeof s);
    if (sscanf(url, "http://127.0.0.1:%u%63s", &port, s.path) != 2 || port > 65535) bench_stop("not a loopback URL");
    s.address.sin_family = AF_INET;
    s.address.sin_port = htons((uint16_t)port);
    s.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return s;
}

static void post(const server *s, client *c, const char *body) {
    char request[1024];
    const int len =
        snprintf(request, sizeof request,
                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                 "Accept: application/json, text/event-stream\r\n%s%s%s"
                 "Content-Length: %u\r\n\r\n%s",
                 s->path, c->session[0] != '\0' ? "Mcp-Session-Id: " : "", c->session,
                 c->session[0] != '\0' ? "\r\nMCP-Protocol-Version: 2025-06-18\r\n" : "", (unsigned)strlen(body), body);
    c->have = 0;
    c->sent_ns = wall_ns();
    if (write(c->fd, request, (size_t)len) != len) bench_stop("a request was not taken");
}

/* -> what follows "name:" in the head, or NULL */
static const char *header(const client *c, const char *name) {
    const char *line = strstr(c->answer, "\r\n"), *end = strstr(c->answer, "\r\n\r\n");
    const size_t len = strlen(name);
    for (; line != NULL && line < end; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') return line + len + 1 + strspn(line + len + 1, " ");
    }
    return NULL;
}

/* One answer at a time is under way, so a chunked one is complete when it ends like one. */
static int complete(const client *c) {
    const char *end = strstr(c->answer, "\r\n\r\n"), *length;
    if (end == NULL) return 0;
    length = header(c, "Content-Length");
    if (length != NULL) return c->have >= (size_t)(end + 4 - c->answer) + strtoul(length, NULL, 10);
    return c->have > 7 && memcmp(c->answer + c->have - 7, "\r\n0\r\n\r\n", 7) == 0;
}

/* Takes what has arrived. -> is the answer complete? */
static int take(client *c) {
    const ssize_t n = read(c->fd, c->answer + c->have, ANSWER_MAX - c->have);
    if (n <= 0) bench_stop("a connection was closed");
    c->have += (size_t)n;
    c->answer[c->have] = '\0';
    return complete(c);
}

static void exchange(const server *s, client *c, const char *body) {
    post(s, c, body);
    while (!take(c)) {
    }
    if (strncmp(c->answer, "HTTP/1.1 20", 11) != 0) bench_stop(c->answer);
}

static void connect_client(const server *s, client *c) {
    const int yes = 1;
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&s->address, sizeof s->address) != 0)
        bench_stop("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void open_session(const server *s, client *c) {
    const char *id;
    c->session[0] = '\0';
    exchange(s, c, initialize);
    id = header(c, "Mcp-Session-Id");
    if (id == NULL || strcspn(id, "\r") >= SESSION_MAX) bench_stop("no session id");
    memcpy(c->session, id, strcspn(id, "\r"));
    c->session[strcspn(id, "\r")] = '\0';
    exchange(s, c, initialized);
}

static void open_clients(server *s, size_t count) {
    s->clients = bench_alloc(count * sizeof *s->clients);
    s->count = count;
    s->epoll = epoll_create1(0);
    for (size_t n = 0; n < count; n++) {
        struct epoll_event event = {EPOLLIN, {0}};
        connect_client(s, &s->clients[n]);
        open_session(s, &s->clients[n]);
        event.data.ptr = &s->clients[n];
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->clients[n].fd, &event) != 0) bench_stop("epoll");
    }
}

static int order(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Every client sends; whoever is answered sends again until `requests` are out. */
static figures run_round(server *s, size_t requests, double *took) {
    struct epoll_event events[64];
    size_t sent = 0, answered = 0;
    const double start = wall_ns();
    double ns;
    figures f;
    for (; sent < s->count && sent < requests; sent++) post(s, &s->clients[sent], call);
    while (answered < requests) {
        const int ready = epoll_wait(s->epoll, events, 64, 10000);
        if (ready <= 0) bench_stop("no answer for ten seconds");
        for (int i = 0; i < ready; i++) {
            client *c = events[i].data.ptr;
            if (!take(c)) continue;
            took[answered++] = (wall_ns() - c->sent_ns) / 1000;
            if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0 || strstr(c->answer, "\"result\"") == NULL)
                bench_stop(c->answer);
            if (sent < requests) {
                post(s, c, call);
                sent++;
            }
        }
    }
    ns = wall_ns() - start;
    qsort(took, requests, sizeof *took, order);
    f.per_second = (double)requests / ns * 1e9;
    f.p50_us = took[requests / 2];
    f.p99_us = took[requests * 99 / 100];
    return f;
}

static void keep(bench_series series[3], int r, figures f) {
    series[0].round[r] = f.per_second;
    series[1].round[r] = f.p50_us;
    series[2].round[r] = f.p99_us;
}

static void compare(const char *direct_url, const char *gateway_url, size_t sessions, size_t requests) {
    static bench_series direct[3], through[3];
    static const char *const what[3] = {"requests per second", "median latency, us", "p99 latency, us"};
    server a = server_of(direct_url), b = server_of(gateway_url);
    double *took = bench_alloc(requests * sizeof *took);
    char title[96];
    open_clients(&a, sessions);
    open_clients(&b, sessions);
    run_round(&a, requests, took); /* warm */
    run_round(&b, requests, took);
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        keep(direct, r, run_round(&a, requests, took));
        keep(through, r, run_round(&b, requests, took));
    }
    snprintf(title, sizeof title, "tools/call, %zu sessions at once, rounds of %zu requests", sessions, requests);
    bench_title(title, "", "/direct");
    for (int i = 0; i < 3; i++) {
        direct[i].name = what[i];
        through[i].name = "  the same, through the gateway";
        bench_row(&direct[i], NULL);
        bench_row(&through[i], &direct[i]);
    }
    free(took);
}

static void leave_open(const char *url, size_t sessions) {
    const server s = server_of(url);
    client c;
    connect_client(&s, &c);
    for (size_t n = 0; n < sessions; n++) open_session(&s, &c);
    close(c.fd);
}

int main(int argc, char **argv) {
    alarm(SECONDS_MAX);
    if (argc == 6 && strcmp(argv[1], "compare") == 0) {
        compare(argv[2], argv[3], strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
    } else if (argc == 4 && strcmp(argv[1], "open") == 0) {
        leave_open(argv[2], strtoul(argv[3], NULL, 10));
    } else {
        bench_stop("load compare DIRECT GATEWAY SESSIONS REQUESTS | load open URL SESSIONS");
    }
    return 0;
}
