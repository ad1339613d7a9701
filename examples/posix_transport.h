/* posix_transport.h - the engine's four callbacks over a non-blocking POSIX socket, TCP or Unix; a wait hook, a clock
   and random bytes to go with it. Copy it into your program.

     sock s;
     sock_init(&s, "127.0.0.1", "6379");          or a name, or a path: sock_init(&s, "/run/redis.sock", NULL)
     rd.transport = sock_transport(&s);  rd.random = sock_random;
     mcpsess_wait_hook hook = sock_wait_hook(&s);

   Include it before any header of libc, or define _POSIX_C_SOURCE 200809L yourself. An event loop watches s.fd for
   mcpsess_redis_want; the fd is another one after each attempt to connect, so look again after each poll. Only
   resolving a name blocks, inside open; a literal address asks no resolver. */

#ifndef POSIX_TRANSPORT_H
#define POSIX_TRANSPORT_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "mcpsess_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

typedef struct sock {
    const char *host; /* name, literal address, or path of a Unix socket, which begins with "/" */
    const char *port; /* decimal; of no use to a path */
    int fd;           /* -1: none */
    char error[128];  /* why it failed last; empty: not since it connected */
    struct {
        struct addrinfo *list; /* while connecting */
        unsigned first, tried; /* addresses are tried in turn, from this one on */
        bool heard;            /* it has said something since it connected */
        struct addrinfo local;
        struct sockaddr_un path;
    } i;
} sock;

/* host and port must live as long as s. */
static inline void sock_init(sock *s, const char *host, const char *port) {
    memset(s, 0, sizeof *s);
    s->host = host;
    s->port = port;
    s->fd = -1;
}

static inline int sock_failed(sock *s, const char *what, const char *why) {
    const char *port = s->port && s->host[0] != '/' ? s->port : "";
    snprintf(s->error, sizeof s->error, "%s %.60s%s%.5s: %.40s", what, s->host, *port ? " port " : "", port, why);
    return -1;
}

/* ---- connecting */

static inline void sock_forget(sock *s) {
    if (s->i.list && s->i.list != &s->i.local) freeaddrinfo(s->i.list);
    s->i.list = NULL;
    s->i.tried = 0;
}

static inline void sock_end(sock *s) {
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

static inline int sock_resolve_path(sock *s) {
    size_t len = strlen(s->host);
    if (len >= sizeof s->i.path.sun_path) return sock_failed(s, "resolve", "path too long");
    memset(&s->i.local, 0, sizeof s->i.local);
    memset(&s->i.path, 0, sizeof s->i.path);
    s->i.path.sun_family = AF_UNIX;
    memcpy(s->i.path.sun_path, s->host, len);
    s->i.local.ai_family = AF_UNIX;
    s->i.local.ai_socktype = SOCK_STREAM;
    s->i.local.ai_addr = (struct sockaddr *)(void *)&s->i.path;
    s->i.local.ai_addrlen = sizeof s->i.path;
    s->i.list = &s->i.local;
    return 0;
}

static inline int sock_resolve(sock *s) {
    struct addrinfo hints;
    uint64_t port = 0;
    if (s->host && s->host[0] == '/') return sock_resolve_path(s);
    if (!s->host || mcpsess_u64_decode(mcpsess_str_z(s->port), 65535, &port) != MCPSESS_OK || port == 0) {
        s->host = s->host ? s->host : "(none)";
        return sock_failed(s, "resolve", "no host, or no port of 1 to 65535");
    }
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    int rc = getaddrinfo(s->host, s->port, &hints, &s->i.list);
    hints.ai_flags = AI_NUMERICSERV;
    if (rc != 0) rc = getaddrinfo(s->host, s->port, &hints, &s->i.list);
    if (rc == 0) return 0;
    s->i.list = NULL;
    return sock_failed(s, "resolve", gai_strerror(rc));
}

/* The address whose turn it is; NULL: every one was tried. */
static inline const struct addrinfo *sock_next_address(sock *s) {
    const struct addrinfo *a;
    unsigned count = 0, n;
    for (a = s->i.list; a; a = a->ai_next) count++;
    if (s->i.tried >= count) return NULL;
    n = (s->i.first + s->i.tried++) % count;
    for (a = s->i.list; n > 0; n--) a = a->ai_next;
    return a;
}

/* -> 1 connected, 0 under way, -1 not this address */
static inline int sock_connect(sock *s, const struct addrinfo *a) {
    int on = 1;
    s->fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
    if (s->fd < 0) return sock_failed(s, "socket for", strerror(errno));
    int flags = fcntl(s->fd, F_GETFL);
    if (flags < 0 || fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(s->fd, F_SETFD, FD_CLOEXEC) < 0) {
        return sock_failed(s, "fcntl for", strerror(errno));
    }
    if (a->ai_family != AF_UNIX) setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(s->fd, a->ai_addr, a->ai_addrlen) == 0) return 1;
    return errno == EINPROGRESS || errno == EINTR ? 0 : sock_failed(s, "connect to", strerror(errno));
}

/* -> as sock_connect */
static inline int sock_connected(sock *s) {
    struct pollfd p = {s->fd, POLLOUT, 0};
    int error = 0;
    socklen_t len = sizeof error;
    if (poll(&p, 1, 0) <= 0) return 0;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
    return error == 0 ? 1 : sock_failed(s, "connect to", strerror(error));
}

/* ---- the four callbacks */

static inline int sock_open(void *user) {
    sock *s = (sock *)user;
    const struct addrinfo *a;
    int rc = -1;
    if (!s->i.list) {
        if (s->fd >= 0) return 1;
        if (sock_resolve(s) != 0) return -1;
    }
    if (s->fd >= 0) rc = sock_connected(s);
    while (rc < 0) {
        sock_end(s);
        a = sock_next_address(s);
        if (!a) break;
        rc = sock_connect(s, a);
    }
    if (rc == 0) return 0;
    if (rc > 0) {
        s->i.first += s->i.tried - 1; /* the next attempt begins with the address that answered */
        s->i.heard = false;
        s->error[0] = '\0';
    }
    sock_forget(s);
    return rc;
}

static inline int sock_moved(sock *s, ssize_t n, const char *what) {
    if (n >= 0) return (int)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
    return sock_failed(s, what, strerror(errno));
}

static inline int sock_send(void *user, const void *bytes, size_t len) {
    sock *s = (sock *)user;
    return sock_moved(s, send(s->fd, bytes, len < 32767 ? len : 32767, MSG_NOSIGNAL), "send to");
}

static inline int sock_recv(void *user, void *bytes, size_t len) {
    sock *s = (sock *)user;
    ssize_t n;
    if (len == 0) return 0;
    n = recv(s->fd, bytes, len < 32767 ? len : 32767, 0);
    if (n > 0) s->i.heard = true;
    return n == 0 ? sock_failed(s, "receive from", "closed by the server") : sock_moved(s, n, "receive from");
}

static inline void sock_close(void *user) {
    sock *s = (sock *)user;
    if (s->fd >= 0 && s->i.list) { /* silent for too long: the next attempt begins with the address after it */
        s->i.first += s->i.tried;
        sock_failed(s, "connect to", "no answer in time");
    } else if (s->fd >= 0 && !s->i.heard) { /* as one that accepts, and says nothing */
        s->i.first++;
        if (s->error[0] == '\0') sock_failed(s, "talk to", "no answer in time");
    }
    sock_forget(s);
    sock_end(s);
}

static inline mcpsess_redis_transport sock_transport(sock *s) {
    mcpsess_redis_transport t;
    t.open = sock_open;
    t.send = sock_send;
    t.recv = sock_recv;
    t.close = sock_close;
    t.user = s;
    return t;
}

/* ---- clock, wait, random bytes */

static inline uint64_t sock_now_ms(void *user) {
    struct timespec t;
    (void)user;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Sleeps until the socket is ready for one of want, until due_ms, or for a minute. A signal ends it early: wanting
   again does no harm. */
static inline int sock_wait(void *user, unsigned want, uint64_t due_ms) {
    sock *s = (sock *)user;
    struct pollfd p = {s->fd, 0, 0};
    uint64_t left = mcpsess_time_left(sock_now_ms(NULL), due_ms);
    if (want & MCPSESS_WANT_READ) p.events = (short)(p.events | POLLIN);
    if (want & MCPSESS_WANT_WRITE) p.events = (short)(p.events | POLLOUT);
    if (p.events == 0) p.fd = -1; /* or a hang-up would wake it again and again */
    if (want & MCPSESS_WANT_NOW) left = 0;
    if (left > 60000) left = 60000;
    return poll(&p, 1, (int)left) < 0 && errno != EINTR ? -1 : 0;
}

static inline mcpsess_wait_hook sock_wait_hook(sock *s) {
    mcpsess_wait_hook h;
    h.now_ms = sock_now_ms;
    h.wait = sock_wait;
    h.user = s;
    return h;
}

static inline int sock_random(void *user, void *dst, size_t len) {
    size_t got = 0;
    ssize_t n = 1;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    (void)user;
    if (fd < 0) return -1;
    while (got < len && n > 0) {
        n = read(fd, (char *)dst + got, len - got);
        if (n > 0) got += (size_t)n;
    }
    close(fd);
    return got == len ? 0 : -1;
}

#endif
