/* lwip_transport.h - the engine's four callbacks over lwIP's raw TCP API (lwIP 2.1 or newer).

     lw l;                                        the address is yours to find: a constant, or dns_gethostbyname
     lw_init(&l, &address, 6379, wake, task);
     rd.transport = lw_transport(&l);

   wake(task) is called whenever something has happened, from within lwIP: wake whoever polls the engine, and do no
   more; the engine must not be polled in there. Without an RTOS (NO_SYS=1) it may be NULL: the superloop, which calls
   sys_check_timeouts and the driver, polls the engine in the same turn. With one, lwIP's core lock is taken here
   (LWIP_TCPIP_CORE_LOCKING=1, the default), so the engine may have a task of its own. A task that sleeps until it is
   woken asks lw_want(&l, mcpsess_redis_want(&redis)) first: with NOW it polls at once, for what wakes nobody because it
   was there before.

   Received pbufs stay in line until the engine has taken their bytes, and only then does the window open again: never
   more than TCP_WND bytes, nor than 65,535. */

#ifndef LWIP_TRANSPORT_H
#define LWIP_TRANSPORT_H

#include "mcpsess_redis.h"

#include <lwip/ip_addr.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <string.h>

#if NO_SYS
#define LW_LOCK()
#define LW_UNLOCK()
#elif LWIP_TCPIP_CORE_LOCKING
#define LW_LOCK() LOCK_TCPIP_CORE()
#define LW_UNLOCK() UNLOCK_TCPIP_CORE()
#else
#error "lwip_transport.h needs LWIP_TCPIP_CORE_LOCKING where there is an RTOS"
#endif

typedef struct lw {
    err_t error; /* why it failed last; ERR_OK: it did not. ERR_CLSD: the server closed it */
    struct {
        struct tcp_pcb *pcb;
        struct pbuf *line; /* received, not taken yet */
        ip_addr_t address;
        u16_t port;
        bool begun, connected, ended;
        bool full; /* nothing more can be sent until we are woken */
        void (*wake)(void *user);
        void *user;
    } i;
} lw;

static inline void lw_init(lw *l, const ip_addr_t *address, u16_t port, void (*wake)(void *user), void *user) {
    memset(l, 0, sizeof *l);
    l->i.address = *address;
    l->i.port = port;
    l->i.wake = wake;
    l->i.user = user;
}

/* ---- what lwIP calls us for, its lock held */

static inline err_t lw_woken(lw *l) {
    if (l->i.wake) l->i.wake(l->i.user);
    return ERR_OK;
}

static inline err_t lw_on_connected(void *user, struct tcp_pcb *pcb, err_t error) {
    lw *l = (lw *)user;
    (void)pcb;
    (void)error; /* always ERR_OK: failures come to lw_on_error */
    l->i.connected = true;
    return lw_woken(l);
}

static inline err_t lw_on_received(void *user, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
    lw *l = (lw *)user;
    (void)pcb;
    (void)error;
    if (!p) {
        l->i.ended = true;
    } else if (!l->i.line) {
        l->i.line = p;
    } else if (p->tot_len > 0xFFFFu - l->i.line->tot_len) {
        return ERR_MEM; /* lwIP keeps it and offers it again */
    } else {
        pbuf_cat(l->i.line, p);
    }
    return lw_woken(l);
}

static inline err_t lw_on_sent(void *user, struct tcp_pcb *pcb, u16_t len) {
    lw *l = (lw *)user;
    (void)pcb;
    (void)len;
    l->i.full = false;
    return lw_woken(l);
}

/* Out of memory with nothing on its way, so nothing that was sent would wake us: half a second later is soon enough. */
static inline err_t lw_on_poll(void *user, struct tcp_pcb *pcb) {
    lw *l = (lw *)user;
    tcp_poll(pcb, NULL, 0);
    l->i.full = false;
    return lw_woken(l);
}

static inline void lw_on_error(void *user, err_t error) {
    lw *l = (lw *)user;
    l->i.pcb = NULL; /* lwIP has freed it */
    l->error = error;
    lw_woken(l);
}

/* ---- the four callbacks, the lock held */

static inline int lw_begin(lw *l) {
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&l->i.address));
    l->i.begun = true;
    l->error = pcb ? ERR_OK : ERR_MEM;
    if (!pcb) return -1;
    l->i.pcb = pcb;
    tcp_arg(pcb, l);
    tcp_recv(pcb, lw_on_received);
    tcp_sent(pcb, lw_on_sent);
    tcp_err(pcb, lw_on_error);
    tcp_nagle_disable(pcb);
    l->error = tcp_connect(pcb, &l->i.address, l->i.port, lw_on_connected);
    return l->error == ERR_OK ? 0 : -1;
}

static inline int lw_open_locked(lw *l) {
    if (!l->i.begun) return lw_begin(l);
    return !l->i.pcb ? -1 : l->i.connected;
}

/* Where memory is short lwIP takes nothing of a large write, so it is offered less and less. */
static inline int lw_send_locked(lw *l, const void *bytes, size_t len) {
    err_t rc = ERR_MEM;
    if (!l->i.pcb) return -1;
    if (len > tcp_sndbuf(l->i.pcb)) len = tcp_sndbuf(l->i.pcb);
    if (len > 32767) len = 32767;
    for (; len > 0 && rc == ERR_MEM; len /= 2) {
        rc = tcp_write(l->i.pcb, bytes, (u16_t)len, TCP_WRITE_FLAG_COPY);
        if (rc == ERR_OK) {
            tcp_output(l->i.pcb);
            return (int)len;
        }
    }
    if (rc != ERR_MEM) {
        l->error = rc;
        return -1;
    }
    l->i.full = true;
    if (tcp_sndqueuelen(l->i.pcb) == 0) tcp_poll(l->i.pcb, lw_on_poll, 1);
    return 0;
}

static inline int lw_recv_locked(lw *l, void *bytes, size_t len) {
    u16_t n;
    if (!l->i.line) {
        if (l->i.pcb && !l->i.ended) return 0;
        if (l->error == ERR_OK) l->error = ERR_CLSD;
        return -1;
    }
    n = pbuf_copy_partial(l->i.line, bytes, (u16_t)(len < 32767 ? len : 32767), 0);
    l->i.line = pbuf_free_header(l->i.line, n);
    if (l->i.pcb) tcp_recved(l->i.pcb, n);
    return n;
}

static inline void lw_close_locked(lw *l) {
    struct tcp_pcb *pcb = l->i.pcb;
    if (pcb) {
        tcp_arg(pcb, NULL);
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_poll(pcb, NULL, 0);
        tcp_err(pcb, NULL);
        if (tcp_close(pcb) != ERR_OK) tcp_abort(pcb);
    }
    if (l->i.line) pbuf_free(l->i.line);
    l->i.pcb = NULL;
    l->i.line = NULL;
    l->i.begun = l->i.connected = l->i.ended = l->i.full = false;
}

static inline bool lw_ready_locked(const lw *l, unsigned want) {
    if (!l->i.begun || !l->i.pcb) return true; /* to begin, or to hear that it failed */
    if (!l->i.connected) return false;
    return ((want & MCPSESS_WANT_READ) != 0 && (l->i.line || l->i.ended)) ||
           ((want & MCPSESS_WANT_WRITE) != 0 && !l->i.full);
}

/* ---- the four callbacks */

static inline int lw_open(void *user) {
    int rc;
    LW_LOCK();
    rc = lw_open_locked((lw *)user);
    LW_UNLOCK();
    return rc;
}

static inline int lw_send(void *user, const void *bytes, size_t len) {
    int rc;
    LW_LOCK();
    rc = lw_send_locked((lw *)user, bytes, len);
    LW_UNLOCK();
    return rc;
}

static inline int lw_recv(void *user, void *bytes, size_t len) {
    int rc;
    LW_LOCK();
    rc = lw_recv_locked((lw *)user, bytes, len);
    LW_UNLOCK();
    return rc;
}

static inline void lw_close(void *user) {
    LW_LOCK();
    lw_close_locked((lw *)user);
    LW_UNLOCK();
}

static inline mcpsess_redis_transport lw_transport(lw *l) {
    mcpsess_redis_transport t;
    t.open = lw_open;
    t.send = lw_send;
    t.recv = lw_recv;
    t.close = lw_close;
    t.user = l;
    return t;
}

/* What the engine wants, and NOW if it can have that at once. */
static inline unsigned lw_want(lw *l, unsigned want) {
    bool ready;
    if ((want & (MCPSESS_WANT_READ | MCPSESS_WANT_WRITE)) == 0) return want;
    LW_LOCK();
    ready = lw_ready_locked(l, want);
    LW_UNLOCK();
    return ready ? want | MCPSESS_WANT_NOW : want;
}

#endif
