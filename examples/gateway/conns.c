/* conns.c - client connections: how many there are, and which are too slow.

   evhttp limits how long a client may be silent, not how long it may take: a byte now and then keeps a connection for
   ever. And it has no word for a connection before its first request, nor for one that ended without. So the kernel is
   asked: once a second all descriptors are looked at, and a socket that sits on our port is a client. A socket's inode
   tells it from a later one with the same number.

   A connection has timeout_ms to bring a whole request, from its beginning or from the end of its last reply. Then it
   is shut down, and evhttp finds the end of it. */

#include "gateway.h"

#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define RESERVE (EXCHANGES_MAX + 2048u) /* descriptors for backends and for ourselves */
#define SLACK 64u                       /* connections over the limit that are let in, to be told so */

struct seen {
    ino_t inode; /* 0: no client has this descriptor */
    bool busy;   /* a request of it is under way */
    uint64_t since_ms;
};

static ino_t socket_inode(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

static in_port_t local_port(int fd) {
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0) return 0;
    if (a.ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)(const void *)&a)->sin_port);
    if (a.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)(const void *)&a)->sin6_port);
    return 0;
}

static bool is_client(struct gateway *g, int fd) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    return local_port(fd) == g->port && getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

static void forget(struct gateway *g, struct seen *s) {
    if (s->inode == 0) return;
    s->inode = 0;
    g->connections--;
}

/* -> false: there are as many as there may be */
static bool meet(struct gateway *g, int fd, ino_t inode) {
    struct seen *s = &g->seen[fd];
    int on = 1;
    if (g->connections >= g->config.max_connections) return false;
    g->connections++;
    s->inode = inode;
    s->busy = false;
    s->since_ms = now_ms();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* events are small and must not wait for each other */
    return true;
}

static void look_at(struct gateway *g, int fd) {
    struct seen *s = &g->seen[fd];
    ino_t inode = socket_inode(fd);
    if (s->inode != inode) forget(g, s);
    if (inode == 0) return;
    if (s->inode == 0 && is_client(g, fd) && !meet(g, fd, inode)) {
        g->metrics.refused_connections++;
        shutdown(fd, SHUT_RD); /* it can still be told why */
    }
    if (s->inode == 0 || s->busy || now_ms() - s->since_ms < g->config.timeout_ms) return;
    g->metrics.slow_connections++;
    shutdown(fd, SHUT_RDWR);
}

void conns_sweep(struct gateway *g) {
    for (size_t fd = 0; fd < g->seen_size; fd++) look_at(g, (int)fd);
    g->accepted = 0;
    if (!g->crowded || g->socket == NULL) return;
    g->crowded = false;
    evconnlistener_enable(evhttp_bound_socket_get_listener(g->socket));
}

void conns_accepted(struct gateway *g) {
    g->accepted++;
    if (g->connections + g->accepted < g->config.max_connections + SLACK) return;
    g->crowded = true;                                                   /* until the next sweep */
    evconnlistener_disable(evhttp_bound_socket_get_listener(g->socket)); /* the others wait in the kernel's queue */
}

bool conns_busy(struct gateway *g, int fd) {
    if (fd < 0 || (size_t)fd >= g->seen_size) return false;
    struct seen *s = &g->seen[fd];
    ino_t inode = socket_inode(fd);
    if (s->inode != inode) {
        forget(g, s);
        if (!meet(g, fd, inode)) return false;
    }
    s->busy = true;
    return true;
}

bool conns_any_busy(const struct gateway *g) {
    for (size_t fd = 0; fd < g->seen_size; fd++) {
        if (g->seen[fd].inode != 0 && g->seen[fd].busy) return true;
    }
    return false;
}

void conns_idle(struct gateway *g, int fd) {
    if (fd < 0 || (size_t)fd >= g->seen_size) return;
    g->seen[fd].busy = false;
    g->seen[fd].since_ms = now_ms();
}

int conns_open(struct gateway *g) {
    struct rlimit limit;
    rlim_t want = g->config.max_connections + SLACK + RESERVE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
    if (limit.rlim_cur < want) limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > want) limit.rlim_cur = want; /* descriptors are given out lowest first */
    if (limit.rlim_cur < want) g->config.max_connections = (uint32_t)(limit.rlim_cur / 2);
    g->seen_size = (size_t)limit.rlim_cur;
    g->seen = calloc(g->seen_size, sizeof *g->seen);
    return g->seen != NULL ? 0 : -1;
}

void conns_close(struct gateway *g) {
    free(g->seen);
}
