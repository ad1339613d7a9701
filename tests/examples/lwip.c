/* examples/lwip_transport.h over Debian's lwIP: both ends are in this process, the other one is written here. */

#include <lwip/tcp.h>

#include <stdbool.h>

static u16_t write_max = 0xFFFF; /* lwIP's memory is short: it takes no more than this at once */

static err_t short_tcp_write(struct tcp_pcb *pcb, const void *bytes, u16_t len, u8_t flags) {
    return len > write_max ? ERR_MEM : tcp_write(pcb, bytes, len, flags);
}

#define tcp_write short_tcp_write
#define MCPSESS_IMPLEMENTATION
#include "../../examples/lwip_transport.h"
#undef tcp_write

#include "../unit/tap.h"
#include "lwip/net.h"
#include <pthread.h>
#include <time.h>

enum { PORT = 6379, CLOSED_PORT = 6380, TOTAL = 200000, LATE_S = 10 };

static const ip_addr_t *here;

/* ---- being woken */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned wakes, ours; /* ours: by the transport, not by the other end */

static void wake(void *user) {
    pthread_mutex_lock(&mutex);
    wakes++;
    if (user == &ours) ours++;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
}

/* Waits until wake was called again since it was called `seen` times.  -> false: not for a long time */
static bool woken(unsigned seen) {
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LATE_S;
    pthread_mutex_lock(&mutex);
    while (wakes == seen && rc == 0) rc = pthread_cond_timedwait(&cond, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    return rc == 0;
}

static unsigned wakes_now(void) {
    unsigned n;
    pthread_mutex_lock(&mutex);
    n = wakes;
    pthread_mutex_unlock(&mutex);
    return n;
}

/* Repeats until cond holds; whatever may change it wakes us. */
#define UNTIL(cond)                \
    do {                           \
        unsigned seen_;            \
        bool late_ = false;        \
        while (!late_) {           \
            seen_ = wakes_now();   \
            if (cond) break;       \
            late_ = !woken(seen_); \
        }                          \
        CHECK(!late_);             \
    } while (0)

/* ---- the other end, run by lwIP */

static struct peer {
    struct tcp_pcb *listener, *pcb;
    char bytes[TOTAL];
    size_t len;  /* received */
    size_t owed; /* of these, with the window still closed */
    bool hold;   /* keeps the window closed */
    bool ended, broken;
    size_t to_send, sent; /* of the pattern */
} peer;

static char pattern(size_t i) {
    return (char)(i * 31 % 251);
}

static bool is_pattern(const char *bytes, size_t len, size_t at) {
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != pattern(at + i)) return false;
    }
    return true;
}

static void peer_send(void) {
    char bytes[1000];
    while (peer.pcb && peer.sent < peer.to_send) {
        size_t n = peer.to_send - peer.sent;
        if (n > sizeof bytes) n = sizeof bytes;
        for (size_t i = 0; i < n; i++) bytes[i] = pattern(peer.sent + i);
        if (tcp_sndbuf(peer.pcb) < n || tcp_write(peer.pcb, bytes, (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK) break;
        peer.sent += n;
    }
    if (peer.pcb) tcp_output(peer.pcb);
}

static err_t peer_received(void *user, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
    (void)user;
    (void)error;
    if (!p) {
        peer.ended = true;
    } else {
        size_t n = p->tot_len < TOTAL - peer.len ? p->tot_len : TOTAL - peer.len;
        pbuf_copy_partial(p, peer.bytes + peer.len, (u16_t)n, 0);
        peer.len += n;
        peer.owed += p->tot_len;
        pbuf_free(p);
        for (; !peer.hold && peer.owed > 0; peer.owed -= n) {
            n = peer.owed < 0xFFFF ? peer.owed : 0xFFFF;
            tcp_recved(pcb, (u16_t)n);
        }
    }
    wake(NULL);
    return ERR_OK;
}

static err_t peer_sent(void *user, struct tcp_pcb *pcb, u16_t len) {
    (void)user;
    (void)pcb;
    (void)len;
    peer_send();
    return ERR_OK;
}

static void peer_broken(void *user, err_t error) {
    (void)user;
    (void)error;
    peer.pcb = NULL;
    peer.broken = true;
    wake(NULL);
}

static err_t peer_accept(void *user, struct tcp_pcb *pcb, err_t error) {
    (void)user;
    if (error != ERR_OK) return error;
    peer.pcb = pcb;
    tcp_recv(pcb, peer_received);
    tcp_sent(pcb, peer_sent);
    tcp_err(pcb, peer_broken);
    wake(NULL);
    return ERR_OK;
}

static void peer_listen(u16_t port) {
    LW_LOCK();
    peer.listener = tcp_new();
    CHECK_EQ(tcp_bind(peer.listener, IP_ANY_TYPE, port), ERR_OK);
    peer.listener = tcp_listen(peer.listener);
    tcp_accept(peer.listener, peer_accept);
    LW_UNLOCK();
}

static void peer_forget(void) {
    struct tcp_pcb *listener = peer.listener;
    memset(&peer, 0, sizeof peer);
    peer.listener = listener;
}

static void peer_say(size_t bytes) {
    LW_LOCK();
    peer.to_send += bytes;
    peer_send();
    LW_UNLOCK();
}

static void peer_end(void) {
    LW_LOCK();
    if (peer.pcb) {
        tcp_err(peer.pcb, NULL);
        tcp_recv(peer.pcb, NULL);
        tcp_close(peer.pcb);
    }
    peer.pcb = NULL;
    LW_UNLOCK();
}

static void peer_reset(void) {
    LW_LOCK();
    tcp_err(peer.pcb, NULL);
    tcp_abort(peer.pcb);
    peer.pcb = NULL;
    LW_UNLOCK();
}

/* One look at what lwIP's thread may change. */
#define LOCKED(result, expression) (LW_LOCK(), (result) = (expression), LW_UNLOCK(), (result))

/* ---- our end */

static bool yes;
static size_t number;

static void connect_to(lw *l) {
    int rc = 0;
    ours = 0;
    peer_forget();
    lw_init(l, here, PORT, wake, &ours);
    CHECK_EQ(lw_open(l), 0);
    UNTIL((rc = lw_open(l)) != 0);
    CHECK_EQ(rc, 1);
    CHECK_EQ(l->error, ERR_OK);
    LW_LOCK();
    CHECK(ours > 0);
    LW_UNLOCK();
    UNTIL(LOCKED(yes, peer.pcb != NULL));
}

static void disconnect(lw *l) {
    lw_close(l);
    UNTIL(LOCKED(yes, peer.ended || peer.broken || !peer.pcb));
    peer_end();
}

static int recv_some(lw *l, char *bytes, size_t len) {
    int n = 0;
    UNTIL((n = lw_recv(l, bytes, len)) != 0);
    return n;
}

static void exchange(lw *l) {
    char bytes[16];
    size_t before = LOCKED(number, peer.len);
    CHECK_EQ(lw_recv(l, bytes, sizeof bytes), 0);
    LW_LOCK(); /* lwIP's thread stands still */
    CHECK_EQ(lw_send_locked(l, "ping", 4), 4);
    CHECK(l->i.pcb->unsent == NULL); /* not left for a timer */
    LW_UNLOCK();
    UNTIL(LOCKED(number, peer.len) == before + 4);
    LW_LOCK();
    CHECK(memcmp(peer.bytes + before, "ping", 4) == 0);
    LW_UNLOCK();
    peer_say(4);
    CHECK_EQ(recv_some(l, bytes, 3), 3);
    CHECK_EQ(lw_recv(l, bytes, 0), 0);
    CHECK_EQ(recv_some(l, bytes + 3, 8), 1);
    CHECK(is_pattern(bytes, 4, 0));
}

/* ---- tests */

TEST(connects_and_talks) {
    lw l;
    connect_to(&l);
    LW_LOCK();
    CHECK(tcp_nagle_disabled(l.i.pcb));
    LW_UNLOCK();
    exchange(&l);
    CHECK_EQ(lw_open(&l), 1);
    disconnect(&l);
    CHECK(peer.ended && !peer.broken);
}

TEST(connects_again_after_a_close) {
    char bytes[4];
    lw l;
    connect_to(&l);
    for (int i = 0; i < 3; i++) {
        exchange(&l);
        disconnect(&l);
        peer_forget();
        CHECK_EQ(lw_open(&l), 0);
        UNTIL(lw_open(&l) != 0);
        UNTIL(LOCKED(yes, peer.pcb != NULL));
    }
    peer_end();
    CHECK_EQ(recv_some(&l, bytes, sizeof bytes), -1);
    lw_close(&l);
    UNTIL(lw_open(&l) != 0);
    UNTIL(LOCKED(yes, peer.pcb != NULL));
    exchange(&l);
    lw_close(&l);
    UNTIL(LOCKED(yes, peer.ended));
    peer_reset(); /* told to nobody */
}

TEST(a_refused_port_fails_and_may_be_tried_again) {
    struct tcp_pcb *listener = peer.listener;
    lw l;
    int rc = 0;
    peer_forget();
    lw_init(&l, here, CLOSED_PORT, wake, &ours);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(lw_open(&l), 0);
        UNTIL((rc = lw_open(&l)) != 0);
        CHECK_EQ(rc, -1);
        CHECK_EQ(l.error, ERR_RST);
        CHECK_EQ(lw_send(&l, "x", 1), -1);
        lw_close(&l);
    }
    peer_listen(CLOSED_PORT);
    CHECK_EQ(lw_open(&l), 0);
    CHECK_EQ(l.error, ERR_OK);
    UNTIL((rc = lw_open(&l)) != 0);
    CHECK_EQ(rc, 1);
    UNTIL(LOCKED(yes, peer.pcb != NULL));
    exchange(&l);
    disconnect(&l);
    LW_LOCK();
    tcp_close(peer.listener);
    peer.listener = listener;
    LW_UNLOCK();
}

TEST(a_close_while_connecting_leaves_nothing_behind) {
    lw l;
    peer_forget();
    lw_init(&l, here, PORT, NULL, NULL); /* and nobody to wake */
    for (int i = 0; i < 20; i++) {
        CHECK(lw_open(&l) >= 0);
        if (i % 2) lw_open(&l);
        lw_close(&l);
    }
    CHECK_EQ(lw_recv(&l, &l, 1), -1);
    CHECK_EQ(lw_send(&l, &l, 1), -1);
    UNTIL(LOCKED(yes, !peer.pcb || peer.ended || peer.broken));
    peer_end();
}

TEST(what_can_be_had_at_once_is_wanted_now) {
    const unsigned r = MCPSESS_WANT_READ, w = MCPSESS_WANT_WRITE, t = MCPSESS_WANT_TIME, now = MCPSESS_WANT_NOW;
    char bytes[TCP_SND_BUF];
    size_t sent = 0;
    int n;
    lw l;
    memset(bytes, 'x', sizeof bytes);
    peer_forget();
    lw_init(&l, here, PORT, wake, &ours);
    CHECK_EQ(lw_want(&l, t), t);
    CHECK_EQ(lw_want(&l, r | w | t), r | w | t | now); /* to begin */
    LW_LOCK();
    CHECK_EQ(lw_open_locked(&l), 0);
    CHECK(!lw_ready_locked(&l, r | w)); /* under way */
    LW_UNLOCK();
    UNTIL(LOCKED(yes, l.i.connected && peer.pcb));
    CHECK_EQ(lw_want(&l, r | w), r | w | now); /* connected, and nobody knows yet */
    CHECK_EQ(lw_open(&l), 1);
    CHECK_EQ(lw_want(&l, r), r);
    CHECK_EQ(lw_want(&l, w), w | now);
    LW_LOCK(); /* lwIP's thread stands still */
    peer.hold = true;
    while ((n = lw_send_locked(&l, bytes, sizeof bytes)) > 0) sent += (size_t)n;
    CHECK(!lw_ready_locked(&l, r | w)); /* full: woken when there is room */
    LW_UNLOCK();
    UNTIL(lw_want(&l, w) == (w | now));
    peer_say(3);
    UNTIL(LOCKED(yes, l.i.line != NULL));
    CHECK_EQ(lw_want(&l, r), r | now);
    CHECK_EQ(lw_recv(&l, bytes, 2), 2);
    CHECK_EQ(lw_want(&l, r), r | now);
    CHECK_EQ(lw_recv(&l, bytes, 2), 1);
    CHECK_EQ(lw_want(&l, r), r);
    LW_LOCK();
    peer.hold = false;
    tcp_recved(peer.pcb, (u16_t)peer.owed);
    peer.owed = 0;
    LW_UNLOCK();
    UNTIL(LOCKED(number, peer.len) == sent); /* or its end would be a reset */
    peer_end();
    UNTIL(LOCKED(yes, l.i.ended));
    CHECK(l.i.pcb != NULL);
    CHECK_EQ(lw_want(&l, r), r | now);
    l.i.full = true;
    lw_close(&l);
    CHECK(!l.i.full);
    lw_init(&l, here, CLOSED_PORT, wake, &ours);
    lw_open(&l);
    UNTIL(LOCKED(yes, !l.i.pcb));
    CHECK_EQ(lw_want(&l, w), w | now); /* refused */
    lw_close(&l);
}

TEST(the_end_comes_after_the_last_byte) {
    char bytes[16];
    lw l;
    connect_to(&l);
    peer_say(5);
    peer_end();
    UNTIL(LOCKED(yes, l.i.ended));
    CHECK_EQ(lw_recv(&l, bytes, sizeof bytes), 5);
    CHECK(is_pattern(bytes, 5, 0));
    CHECK_EQ(lw_recv(&l, bytes, sizeof bytes), -1);
    CHECK_EQ(l.error, ERR_CLSD);
    lw_close(&l);
}

TEST(a_reset_comes_after_the_last_byte_and_wakes) {
    char bytes[16];
    lw l;
    connect_to(&l);
    peer_say(5);
    UNTIL(LOCKED(yes, l.i.line != NULL));
    peer_reset();
    UNTIL(LOCKED(yes, l.i.pcb == NULL));
    CHECK_EQ(l.error, ERR_RST);
    CHECK_EQ(lw_send(&l, "x", 1), -1);
    CHECK_EQ(lw_recv(&l, bytes, sizeof bytes), 5);
    CHECK_EQ(lw_recv(&l, bytes, sizeof bytes), -1);
    CHECK_EQ(l.error, ERR_RST);
    lw_close(&l);
}

TEST(what_is_not_taken_is_bounded) {
    static char bytes[TOTAL];
    size_t seen = 0, most = 0;
    lw l;
    connect_to(&l);
    peer_say(TOTAL);
    UNTIL(LOCKED(number, l.i.line ? l.i.line->tot_len : 0u) > TCP_WND - 2 * TCP_MSS); /* the window is full */
    while (seen < TOTAL) {
        int n = recv_some(&l, bytes, sizeof bytes);
        if (!CHECK(n > 0 && n <= 32767 && is_pattern(bytes, (size_t)n, seen))) break;
        if (seen == 0) CHECK_EQ(n, 32767);
        seen += (size_t)n;
        if (LOCKED(number, l.i.line ? l.i.line->tot_len : 0u) > most) most = number;
    }
    CHECK_EQ(seen, TOTAL);
    CHECK(most <= TCP_WND);
    disconnect(&l);
}

TEST(a_line_longer_than_its_counter_is_refused) {
    struct pbuf *p = pbuf_alloc(PBUF_RAW, 40000, PBUF_RAM), *q = pbuf_alloc(PBUF_RAW, 25535, PBUF_RAM);
    struct pbuf *r = pbuf_alloc(PBUF_RAW, 1, PBUF_RAM);
    lw l;
    lw_init(&l, here, PORT, NULL, NULL);
    LW_LOCK();
    CHECK_EQ(lw_on_received(&l, NULL, p, ERR_OK), ERR_OK);
    CHECK_EQ(lw_on_received(&l, NULL, q, ERR_OK), ERR_OK);
    CHECK_EQ(lw_on_received(&l, NULL, r, ERR_OK), ERR_MEM);
    CHECK_EQ(l.i.line->tot_len, 65535);
    pbuf_free(r);
    LW_UNLOCK();
    lw_close(&l);
}

TEST(a_close_with_bytes_in_line_frees_them) {
    lw l;
    connect_to(&l);
    peer_say(5000);
    UNTIL(LOCKED(yes, l.i.line != NULL));
    disconnect(&l);
    CHECK(l.i.line == NULL);
}

TEST(half_a_send_is_told_and_the_rest_follows) {
    static char bytes[TOTAL];
    size_t sent = 0, halves = 0;
    lw l;
    for (size_t i = 0; i < TOTAL; i++) bytes[i] = pattern(i);
    connect_to(&l);
    LW_LOCK();
    peer.hold = true;
    LW_UNLOCK();
    while (sent < TOTAL) {
        unsigned seen = wakes_now();
        int n = lw_send(&l, bytes + sent, TOTAL - sent);
        if (!CHECK(n >= 0 && n <= 32767)) break;
        halves += n > 0 && n < 32767 && sent + (size_t)n < TOTAL;
        sent += (size_t)n;
        if (n > 0) continue;
        LW_LOCK(); /* its window may be full: opens it from now on */
        if (peer.hold && peer.owed > TCP_WND / 2) {
            peer.hold = false;
            tcp_recved(peer.pcb, (u16_t)peer.owed);
            peer.owed = 0;
        }
        LW_UNLOCK();
        if (!CHECK(woken(seen))) break;
    }
    CHECK(halves > 0);
    UNTIL(LOCKED(number, peer.len) == TOTAL);
    CHECK(is_pattern(peer.bytes, TOTAL, 0));
    disconnect(&l);
}

TEST(short_memory_takes_less_and_wakes_later) {
    char bytes[1000];
    unsigned seen;
    lw l;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = pattern(i);
    connect_to(&l);
    LW_LOCK();
    write_max = 300;
    LW_UNLOCK();
    CHECK_EQ(lw_send(&l, bytes, 1000), 250);
    UNTIL(LOCKED(number, peer.len) == 250);
    UNTIL(LOCKED(number, tcp_sndqueuelen(l.i.pcb)) == 0); /* acknowledged: nothing on its way */
    LW_LOCK();
    write_max = 0;
    seen = wakes_now();
    LW_UNLOCK();
    CHECK_EQ(lw_send(&l, bytes + 250, 750), 0);
    CHECK_EQ(lw_want(&l, MCPSESS_WANT_WRITE), MCPSESS_WANT_WRITE);
    CHECK(woken(seen));
    CHECK_EQ(lw_want(&l, MCPSESS_WANT_WRITE), MCPSESS_WANT_WRITE | MCPSESS_WANT_NOW);
    LW_LOCK();
    CHECK(l.i.pcb->poll == NULL); /* once is enough */
    write_max = 0xFFFF;
    LW_UNLOCK();
    CHECK_EQ(lw_send(&l, bytes + 250, 750), 750);
    UNTIL(LOCKED(number, peer.len) == 1000);
    CHECK(is_pattern(peer.bytes, 1000, 0));
    disconnect(&l);
}

int main(void) {
    int status;
    port_init();
    here = net_begin();
    peer_listen(PORT);
    RUN(connects_and_talks);
    RUN(connects_again_after_a_close);
    RUN(a_refused_port_fails_and_may_be_tried_again);
    RUN(a_close_while_connecting_leaves_nothing_behind);
    RUN(what_can_be_had_at_once_is_wanted_now);
    RUN(the_end_comes_after_the_last_byte);
    RUN(a_reset_comes_after_the_last_byte_and_wakes);
    RUN(what_is_not_taken_is_bounded);
    RUN(a_line_longer_than_its_counter_is_refused);
    RUN(a_close_with_bytes_in_line_frees_them);
    RUN(half_a_send_is_told_and_the_rest_follows);
    RUN(short_memory_takes_less_and_wakes_later);
    status = tap_finish();
    port_exit(status);
    return status;
}
