/* examples/posix_transport.h against real sockets of this process. Names are resolved by a resolver of our own, so that
   nothing depends on the machine's.   posix FOLDER */

#define _POSIX_C_SOURCE 200809L
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

static unsigned lists_open; /* address lists not freed yet */
static unsigned lists_made, names_asked, connects;
static char ports[2][8]; /* of the host "two": two addresses, in this order */

static int fake_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **list) {
    struct addrinfo literal = *hints;
    bool two = strcmp(host, "two") == 0;
    int rc;
    if ((hints->ai_flags & AI_NUMERICHOST) == 0) names_asked++;
    if (two && (hints->ai_flags & AI_NUMERICHOST) != 0) return EAI_NONAME;
    literal.ai_flags |= AI_NUMERICHOST;
    rc = getaddrinfo(two ? "127.0.0.1" : host, two ? ports[0] : port, &literal, list);
    if (rc == 0 && two) rc = getaddrinfo("127.0.0.1", ports[1], &literal, &(*list)->ai_next);
    if (rc == 0) lists_open++, lists_made++;
    return rc;
}

static void fake_freeaddrinfo(struct addrinfo *list) {
    lists_open--;
    freeaddrinfo(list);
}

static int counted_connect(int fd, const struct sockaddr *address, socklen_t len) {
    connects++;
    return connect(fd, address, len);
}

#define connect counted_connect
#define getaddrinfo fake_getaddrinfo
#define freeaddrinfo fake_freeaddrinfo
#define MCPSESS_IMPLEMENTATION
#include "../../examples/posix_transport.h"

#include "../unit/tap.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

enum { SOON_MS = 20, LATE_MS = 10000 };

static char path[sizeof(struct sockaddr_un) * 2];

/* ---- the other end */

typedef struct server {
    int listener;
    int peer;
    char port[8];
} server;

static void any_port(server *s, int family) {
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    socklen_t len = family == AF_INET6 ? sizeof six : sizeof four;
    memset(&six, 0, sizeof six);
    memset(&four, 0, sizeof four);
    six.sin6_family = AF_INET6;
    six.sin6_addr.s6_addr[15] = 1;
    four.sin_family = AF_INET;
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    void *address = family == AF_INET6 ? (void *)&six : (void *)&four;
    s->peer = -1;
    s->listener = socket(family, SOCK_STREAM, 0);
    CHECK(s->listener >= 0 && bind(s->listener, address, len) == 0);
    CHECK(getsockname(s->listener, address, &len) == 0);
    snprintf(s->port, sizeof s->port, "%u", (unsigned)ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port));
}

static void begin(server *s, int family) {
    any_port(s, family);
    CHECK(listen(s->listener, 8) == 0);
}

static void begin_path(server *s) {
    struct sockaddr_un a;
    memset(&a, 0, sizeof a);
    a.sun_family = AF_UNIX;
    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
    s->peer = -1;
    s->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(path);
    CHECK(bind(s->listener, (struct sockaddr *)(void *)&a, sizeof a) == 0 && listen(s->listener, 8) == 0);
}

static void end(server *s) {
    if (s->peer >= 0) close(s->peer);
    if (s->listener >= 0) close(s->listener);
}

/* Closes the peer with a reset instead of an end. */
static void reset_peer(server *s) {
    struct linger now = {1, 0};
    setsockopt(s->peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(s->peer);
    s->peer = -1;
}

/* ---- our end */

/* Calls open until it is done, as the engine does.  -> 1, -1; 0: not within a time that is never needed */
static int open_all(sock *s) {
    uint64_t due = sock_now_ms(NULL) + LATE_MS;
    int rc;
    while ((rc = sock_open(s)) == 0 && sock_now_ms(NULL) < due) sock_wait(s, MCPSESS_WANT_WRITE, due);
    return rc;
}

static void connect_to(sock *s, server *to, const char *host) {
    sock_init(s, host, to->port);
    CHECK_EQ(open_all(s), 1);
    CHECK(s->fd >= 0 && s->error[0] == '\0');
    to->peer = accept(to->listener, NULL, NULL);
    CHECK(to->peer >= 0);
}

static int recv_some(sock *s, char *bytes, size_t len) {
    uint64_t due = sock_now_ms(NULL) + LATE_MS;
    int n;
    while ((n = sock_recv(s, bytes, len)) == 0 && sock_now_ms(NULL) < due) sock_wait(s, MCPSESS_WANT_READ, due);
    return n;
}

static bool says(const sock *s, const char *text) {
    bool found = strstr(s->error, text) != NULL;
    if (!found) fprintf(stderr, "# said: %s\n", s->error);
    return found;
}

static void exchange(sock *s, server *to) {
    char bytes[16];
    CHECK_EQ(sock_recv(s, bytes, sizeof bytes), 0); /* would block, not the end */
    CHECK_EQ(sock_send(s, "ping", 4), 4);
    CHECK(recv(to->peer, bytes, 4, MSG_WAITALL) == 4 && memcmp(bytes, "ping", 4) == 0);
    CHECK(send(to->peer, "pong", 4, 0) == 4);
    CHECK_EQ(recv_some(s, bytes, 3), 3);
    CHECK_EQ(sock_recv(s, bytes, 0), 0); /* no room: nothing, and not the end either */
    CHECK_EQ(recv_some(s, bytes + 3, 8), 1);
    CHECK(memcmp(bytes, "pong", 4) == 0);
}

/* ---- connecting */

TEST(talks_over_ipv4) {
    server to;
    sock s;
    int on = 0;
    socklen_t len = sizeof on;
    begin(&to, AF_INET);
    connect_to(&s, &to, "127.0.0.1");
    CHECK(getsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0 && on != 0);
    CHECK((fcntl(s.fd, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(s.fd, F_GETFL) & O_NONBLOCK) != 0);
    exchange(&s, &to);
    unsigned made = lists_made;
    CHECK_EQ(sock_open(&s), 1); /* again, once open: still open */
    CHECK_EQ(lists_made, made);
    sock_close(&s);
    CHECK(s.fd == -1 && s.error[0] == '\0');
    end(&to);
}

TEST(talks_over_ipv6) {
    server to;
    sock s;
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 a;
    memset(&a, 0, sizeof a);
    a.sin6_family = AF_INET6;
    a.sin6_addr.s6_addr[15] = 1;
    if (probe < 0 || bind(probe, (struct sockaddr *)(void *)&a, sizeof a) != 0) {
        tap_note("no ::1 on this machine: not tested; errno", errno);
        if (probe >= 0) close(probe);
        return;
    }
    close(probe);
    begin(&to, AF_INET6);
    connect_to(&s, &to, "::1");
    exchange(&s, &to);
    sock_close(&s);
    end(&to);
}

TEST(talks_over_a_path) {
    server to;
    sock s;
    begin_path(&to);
    sock_init(&s, path, NULL);
    CHECK_EQ(open_all(&s), 1);
    to.peer = accept(to.listener, NULL, NULL);
    exchange(&s, &to);
    sock_close(&s);
    end(&to);
    CHECK_EQ(open_all(&s), -1); /* the path is there, and nobody behind it */
    CHECK(says(&s, "connect to ") && says(&s, "Connection refused"));
    unlink(path);
    CHECK_EQ(open_all(&s), -1);
    CHECK(says(&s, "No such file"));
    sock_close(&s);
}

TEST(a_path_longer_than_an_address_is_refused) {
    char longer[sizeof(struct sockaddr_un)];
    sock s;
    memset(longer, '/', sizeof longer);
    longer[sizeof(((struct sockaddr_un *)0)->sun_path)] = '\0';
    sock_init(&s, longer, NULL);
    CHECK_EQ(sock_open(&s), -1);
    CHECK(says(&s, "path too long"));
    sock_close(&s);
}

TEST(a_refused_port_fails_and_says_so) {
    server to;
    sock s;
    any_port(&to, AF_INET); /* ours, so nobody else listens there */
    sock_init(&s, "127.0.0.1", to.port);
    CHECK_EQ(open_all(&s), -1);
    CHECK_EQ(s.fd, -1);
    CHECK(says(&s, "connect to 127.0.0.1 port ") && says(&s, to.port) && says(&s, "Connection refused"));
    sock_close(&s);
    CHECK(says(&s, "Connection refused")); /* close does not hide the reason */
    CHECK(listen(to.listener, 8) == 0);    /* the server is back */
    CHECK_EQ(open_all(&s), 1);
    CHECK_EQ(s.error[0], '\0');
    sock_close(&s);
    end(&to);
}

TEST(a_name_that_does_not_resolve_fails_and_says_so) {
    sock s;
    unsigned asked = names_asked;
    sock_init(&s, "nowhere", "6379");
    CHECK_EQ(sock_open(&s), -1);
    CHECK_EQ(s.fd, -1);
    CHECK(says(&s, "resolve nowhere port 6379: "));
    CHECK_EQ(names_asked - asked, 1);
    sock_close(&s);
}

TEST(a_literal_address_asks_no_resolver) {
    server to;
    sock s;
    unsigned asked = names_asked;
    begin(&to, AF_INET);
    connect_to(&s, &to, "127.0.0.1");
    CHECK_EQ(names_asked - asked, 0);
    sock_close(&s);
    end(&to);
}

TEST(a_port_out_of_range_is_refused) {
    static const char *const bad[] = {"0", "65536", "", "6379x", "-1", "+1", " 1"};
    sock s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sock_init(&s, "127.0.0.1", bad[i]);
        CHECK_EQ(sock_open(&s), -1);
        CHECK(says(&s, "no host, or no port"));
    }
    sock_init(&s, "127.0.0.1", NULL);
    CHECK_EQ(sock_open(&s), -1);
    sock_init(&s, NULL, "6379");
    CHECK_EQ(sock_open(&s), -1);
    CHECK(says(&s, "no host, or no port"));
}

/* Both of these: the first address of "two" is of no use, the second one is. */
static void two_hosts(server to[2]) {
    any_port(&to[0], AF_INET);
    begin(&to[1], AF_INET);
    memcpy(ports[0], to[0].port, sizeof ports[0]);
    memcpy(ports[1], to[1].port, sizeof ports[1]);
}

static void end_two(server to[2], sock *s) {
    sock_close(s);
    end(&to[0]);
    end(&to[1]);
}

TEST(an_address_that_refuses_is_followed_by_the_next) {
    server to[2];
    sock s;
    two_hosts(to);
    sock_init(&s, "two", "1");
    CHECK_EQ(open_all(&s), 1);
    CHECK_EQ(lists_open, 0);
    to[1].peer = accept(to[1].listener, NULL, NULL);
    exchange(&s, &to[1]);
    sock_close(&s);
    CHECK(listen(to[0].listener, 8) == 0); /* both would answer: the one that did is asked first */
    CHECK_EQ(open_all(&s), 1);
    close(to[1].peer);
    to[1].peer = accept(to[1].listener, NULL, NULL);
    exchange(&s, &to[1]);
    close(to[1].listener); /* and the other one when it is gone */
    to[1].listener = -1;
    sock_close(&s);
    CHECK_EQ(open_all(&s), 1);
    to[0].peer = accept(to[0].listener, NULL, NULL);
    exchange(&s, &to[0]);
    end_two(to, &s);
}

TEST(every_address_is_tried_once_an_attempt) {
    server to[2];
    sock s;
    two_hosts(to);
    close(to[1].listener);
    any_port(&to[1], AF_INET);
    memcpy(ports[1], to[1].port, sizeof ports[1]);
    sock_init(&s, "two", "1");
    for (int i = 0; i < 3; i++) {
        unsigned before = connects;
        CHECK_EQ(open_all(&s), -1);
        CHECK_EQ(connects - before, 2);
        CHECK_EQ(s.fd, -1);
        CHECK_EQ(lists_open, 0);
        CHECK(says(&s, "Connection refused"));
    }
    end_two(to, &s);
}

/* An address that never answers: its line of connections to accept is full. -> how many it took */
static int fill(server *to, int taken[], int max) {
    int n = 0;
    CHECK(listen(to->listener, 0) == 0);
    for (; n < max; n++) {
        struct sockaddr_in a;
        struct pollfd p = {-1, POLLOUT, 0};
        socklen_t len = sizeof a;
        getsockname(to->listener, (struct sockaddr *)(void *)&a, &len);
        p.fd = taken[n] = socket(AF_INET, SOCK_STREAM, 0);
        fcntl(p.fd, F_SETFL, O_NONBLOCK);
        if (connect(p.fd, (struct sockaddr *)(void *)&a, len) != 0 && poll(&p, 1, SOON_MS) == 0) return n + 1;
    }
    return n;
}

TEST(an_address_that_is_silent_is_not_the_first_one_next_time) {
    server to[2];
    sock s;
    int taken[8], n;
    two_hosts(to);
    n = fill(&to[0], taken, 8);
    sock_init(&s, "two", "1");
    CHECK_EQ(sock_open(&s), 0);
    sock_wait(&s, MCPSESS_WANT_WRITE, sock_now_ms(NULL) + SOON_MS);
    CHECK_EQ(sock_open(&s), 0);
    sock_close(&s); /* the engine's connect_timeout_ms */
    CHECK(says(&s, "no answer in time"));
    CHECK_EQ(lists_open, 0);
    CHECK_EQ(open_all(&s), 1);
    to[1].peer = accept(to[1].listener, NULL, NULL);
    exchange(&s, &to[1]);
    while (n > 0) close(taken[--n]);
    end_two(to, &s);
}

/* It takes the connection, and says no word: its process hangs, or it is no Redis. */
TEST(an_address_that_says_nothing_is_not_the_first_one_next_time) {
    server to[2];
    struct pollfd second = {-1, POLLIN, 0};
    sock s;
    two_hosts(to);
    CHECK(listen(to[0].listener, 8) == 0);
    sock_init(&s, "two", "1");
    CHECK_EQ(open_all(&s), 1);
    to[0].peer = accept(to[0].listener, NULL, NULL);
    CHECK_EQ(sock_send(&s, "ping", 4), 4);
    second.fd = to[1].listener;
    for (int i = 0; i < 2; i++) { /* once it was good, once more */
        sock_close(&s);           /* the engine's connect_timeout_ms */
        CHECK(i != 0 || says(&s, "no answer in time"));
        CHECK_EQ(open_all(&s), 1);
        if (!CHECK_EQ(poll(&second, 1, SOON_MS), 1)) break;
        if (to[1].peer >= 0) close(to[1].peer);
        to[1].peer = accept(to[1].listener, NULL, NULL);
        exchange(&s, &to[1]);
    }
    end_two(to, &s);
}

/* ---- the end of a connection */

TEST(the_end_comes_after_the_last_byte_and_is_not_would_block) {
    server to;
    sock s;
    char bytes[16];
    begin(&to, AF_INET);
    connect_to(&s, &to, "127.0.0.1");
    CHECK(send(to.peer, "bye", 3, 0) == 3 && close(to.peer) == 0);
    to.peer = -1;
    CHECK_EQ(recv_some(&s, bytes, sizeof bytes), 3);
    CHECK_EQ(recv_some(&s, bytes, sizeof bytes), -1);
    CHECK(says(&s, "closed by the server"));
    sock_close(&s);
    CHECK(says(&s, "closed by the server"));
    end(&to);
}

TEST(a_reset_is_an_error_of_recv) {
    server to;
    sock s;
    char bytes[16];
    begin(&to, AF_INET);
    connect_to(&s, &to, "127.0.0.1");
    reset_peer(&to);
    CHECK_EQ(recv_some(&s, bytes, sizeof bytes), -1);
    CHECK(says(&s, "receive from") && says(&s, "Connection reset"));
    sock_close(&s);
    end(&to);
}

TEST(a_reset_is_an_error_of_send_and_no_signal) {
    server to;
    sock s;
    begin(&to, AF_INET);
    connect_to(&s, &to, "127.0.0.1");
    reset_peer(&to);
    sock_wait(&s, MCPSESS_WANT_READ, sock_now_ms(NULL) + LATE_MS);
    CHECK_EQ(sock_send(&s, "a", 1), -1); /* ECONNRESET, then EPIPE: SIGPIPE would end this program */
    CHECK_EQ(sock_send(&s, "a", 1), -1);
    CHECK(says(&s, "send to") && says(&s, "Broken pipe"));
    sock_close(&s);
    end(&to);
}

/* ---- bytes */

static char pattern(size_t i) {
    return (char)(i * 31 % 251);
}

/* Reads what is there; every byte must be the one that was sent.  -> bytes */
static size_t drain(int fd, size_t at) {
    char bytes[4096];
    size_t n = 0, i;
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        for (i = 0; i < (size_t)got; i++) {
            if (bytes[i] != pattern(at + n + i)) {
                CHECK_EQ(bytes[i], pattern(at + n + i));
                return n;
            }
        }
        n += (size_t)got;
    }
    return n;
}

TEST(half_a_send_is_told_and_the_rest_follows) {
    enum { TOTAL = 600000 };
    static char bytes[TOTAL];
    size_t sent = 0, seen = 0, halves = 0, blocked = 0;
    int small = 4096;
    server to;
    sock s;
    for (size_t i = 0; i < TOTAL; i++) bytes[i] = pattern(i);
    begin(&to, AF_INET);
    setsockopt(to.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    connect_to(&s, &to, "127.0.0.1");
    setsockopt(s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    uint64_t due = sock_now_ms(NULL) + LATE_MS;
    while (seen < TOTAL && sock_now_ms(NULL) < due) {
        int n = sent < TOTAL ? sock_send(&s, bytes + sent, TOTAL - sent) : 0;
        CHECK(n >= 0 && n <= 32767);
        if (n < 0) break;
        halves += n > 0 && n < 32767;
        blocked += n == 0;
        sent += (size_t)n;
        if (n == 0) seen += drain(to.peer, seen);
    }
    CHECK_EQ(seen, TOTAL);
    CHECK(halves > 1 && blocked > 1);
    sock_close(&s);
    end(&to);
}

TEST(a_call_moves_at_most_what_fits_an_int_of_16_bits) {
    static char bytes[100000];
    server to;
    sock s;
    size_t len = 0;
    int n, big = 1 << 20;
    begin(&to, AF_INET);
    connect_to(&s, &to, "127.0.0.1");
    setsockopt(s.fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    while (len < 70000 && (n = (int)send(to.peer, bytes, 70000 - len, 0)) > 0) len += (size_t)n;
    CHECK_EQ(len, 70000);
    setsockopt(s.fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    CHECK_EQ(sock_send(&s, bytes, sizeof bytes), 32767);
    for (len = 0; len < 70000; len += (size_t)n) {
        n = recv_some(&s, bytes, sizeof bytes);
        CHECK(n > 0 && n <= 32767);
        if (n <= 0) break;
    }
    sock_close(&s);
    end(&to);
}

/* ---- waiting */

static uint64_t waited(sock *s, unsigned want, uint64_t ms) {
    mcpsess_wait_hook hook = sock_wait_hook(s);
    uint64_t from = hook.now_ms(hook.user);
    CHECK_EQ(hook.wait(hook.user, want, ms == MCPSESS_NEVER ? ms : from + ms), 0);
    return hook.now_ms(hook.user) - from;
}

TEST(waits_until_there_is_something_to_read) {
    server to;
    sock s;
    begin(&to, AF_INET);
    connect_to(&s, &to, "127.0.0.1");
    CHECK(waited(&s, MCPSESS_WANT_READ, SOON_MS) >= SOON_MS);
    CHECK(send(to.peer, "x", 1, 0) == 1);
    CHECK(waited(&s, MCPSESS_WANT_READ, LATE_MS) < LATE_MS);
    CHECK(waited(&s, MCPSESS_WANT_TIME, SOON_MS) >= SOON_MS); /* not wanted: slept through */
    sock_close(&s);
    end(&to);
}

TEST(waits_until_there_is_room_to_write) {
    static char bytes[32768];
    server to;
    sock s;
    size_t sent = 0;
    int n, small = 4096;
    begin(&to, AF_INET);
    setsockopt(to.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    connect_to(&s, &to, "127.0.0.1");
    setsockopt(s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    CHECK(waited(&s, MCPSESS_WANT_WRITE, LATE_MS) < LATE_MS);
    do { /* what is under way on loopback may still make room */
        while ((n = sock_send(&s, bytes, sizeof bytes)) > 0) sent += (size_t)n;
    } while (waited(&s, MCPSESS_WANT_WRITE, SOON_MS) < SOON_MS && sent < 100000000);
    CHECK_EQ(sock_send(&s, bytes, sizeof bytes), 0);
    while (sent > 0 && (n = (int)recv(to.peer, bytes, sizeof bytes, 0)) > 0) sent -= (size_t)n;
    CHECK(waited(&s, MCPSESS_WANT_WRITE, LATE_MS) < LATE_MS);
    sock_close(&s);
    end(&to);
}

TEST(waits_for_time_alone_past_a_hang_up) {
    server to;
    sock s;
    begin(&to, AF_INET);
    connect_to(&s, &to, "127.0.0.1");
    reset_peer(&to);
    CHECK(waited(&s, MCPSESS_WANT_READ, LATE_MS) < LATE_MS); /* the hang-up is there */
    CHECK(waited(&s, MCPSESS_WANT_TIME, SOON_MS) >= SOON_MS);
    sock_close(&s);
    CHECK(waited(&s, MCPSESS_WANT_READ | MCPSESS_WANT_TIME, SOON_MS) >= SOON_MS); /* and with no socket at all */
    end(&to);
}

static void on_alarm(int signal) {
    (void)signal;
}

TEST(now_and_the_past_and_signals_end_a_wait) {
    struct itimerval t = {{0, 0}, {0, SOON_MS * 1000}};
    struct sigaction a;
    sock s;
    sock_init(&s, "127.0.0.1", "1");
    CHECK(waited(&s, MCPSESS_WANT_NOW, MCPSESS_NEVER) < LATE_MS);
    CHECK_EQ(sock_wait(&s, MCPSESS_WANT_TIME, 0), 0);
    memset(&a, 0, sizeof a);
    a.sa_handler = on_alarm;
    sigaction(SIGALRM, &a, NULL);
    setitimer(ITIMER_REAL, &t, NULL);
    CHECK(waited(&s, MCPSESS_WANT_TIME, LATE_MS) < LATE_MS);
}

TEST(random_bytes_differ) {
    char a[40] = {0}, b[40] = {0};
    CHECK_EQ(sock_random(NULL, a, 39), 0);
    CHECK_EQ(sock_random(NULL, b, 39), 0);
    CHECK(memcmp(a, b, 16) != 0 && memcmp(a + 16, b + 16, 16) != 0);
    CHECK(a[39] == 0 && b[39] == 0);
}

/* The lowest number that is free: higher after a socket was left open. */
static int lowest_fd(void) {
    int fd = dup(0);
    close(fd);
    return fd;
}

static int first_fd;

TEST(nothing_is_left_open) {
    CHECK_EQ(lists_open, 0);
    CHECK_EQ(lowest_fd(), first_fd);
}

static void connecting(void) {
    RUN(talks_over_ipv4);
    RUN(talks_over_ipv6);
    RUN(talks_over_a_path);
    RUN(a_path_longer_than_an_address_is_refused);
    RUN(a_refused_port_fails_and_says_so);
    RUN(a_name_that_does_not_resolve_fails_and_says_so);
    RUN(a_literal_address_asks_no_resolver);
    RUN(a_port_out_of_range_is_refused);
    RUN(an_address_that_refuses_is_followed_by_the_next);
    RUN(every_address_is_tried_once_an_attempt);
    RUN(an_address_that_is_silent_is_not_the_first_one_next_time);
    RUN(an_address_that_says_nothing_is_not_the_first_one_next_time);
}

int main(int argc, char **argv) {
    int status;
    snprintf(path, sizeof path, "%.90s/posix.sock", argc > 1 ? argv[1] : ".");
    if (argc > 1 && argv[1][0] != '/') return 2;
    port_init();
    first_fd = lowest_fd();
    connecting();
    RUN(the_end_comes_after_the_last_byte_and_is_not_would_block);
    RUN(a_reset_is_an_error_of_recv);
    RUN(a_reset_is_an_error_of_send_and_no_signal);
    RUN(half_a_send_is_told_and_the_rest_follows);
    RUN(a_call_moves_at_most_what_fits_an_int_of_16_bits);
    RUN(waits_until_there_is_something_to_read);
    RUN(waits_until_there_is_room_to_write);
    RUN(waits_for_time_alone_past_a_hang_up);
    RUN(now_and_the_past_and_signals_end_a_wait);
    RUN(random_bytes_differ);
    RUN(nothing_is_left_open);
    status = tap_finish();
    port_exit(status);
    return status;
}
