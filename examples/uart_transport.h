/* uart_transport.h - the engine's four callbacks over a UART, whose other end is a bridge to a server's TCP port (a
   serial-to-network module, ser2net, a simulator). Copy it into your firmware.

     static uart u;
     uart_init(&u, &port);                        port: how a byte is sent, a clock, random bytes
     rd.transport = uart_transport(&u);  rd.tx_bytes = UART_TX_SIZE;

   and from the receive interrupt, for each byte:

     uart_receive(&u, byte, lost);                lost: the UART's overrun (or framing, or parity) flag is up

   Nothing waits. What comes in goes into a ring, by interrupt; what goes out leaves another ring, in whatever calls the
   engine makes, as fast as the transmitter takes it. A loop that sleeps asks uart_want(&u, mcpsess_redis_want(&redis))
   first: with NOW there is something to do at once.

   A byte that is lost   Is part of a reply, so what follows means nothing. When the UART or the ring has lost one, what
                         came before it is still handed out, then the connection is reported dead, and opened anew.
   Opening anew          A wire has no open and no close: the server knows nothing of it, and what it sent before is
                         still under way. So this goes out:
                           what is left of the last command: one that was begun is always sent to its end, for the
                             server would take whatever else came for the rest of it, and carry it out
                           line ends, as many as the longest command has bytes. A server that still waits for some (we
                             were reset in the middle of a command) has them; any other ignores empty lines. Only
                             of a script it may wait for more, and has them after some tries
                           RESET, which ends RESP3, tracking, login and MULTI (Redis 6.2 or newer)
                           a word that is no command, and that nobody has used before
                         and what comes in is thrown away up to the end of the error that names this word. Then the
                         engine's handshake begins. Without that error within a time (200 ms, doubled each time) it is
                         all sent again, with another word. So a server that has closed its end, as it does when it
                         cannot make sense of what it hears, costs the time that the bridge takes to connect again.
   A connection that     The bridge lost the server, and has made another connection without a word. There we are
   was exchanged         nobody; so have Redis want a password (the default user off): it answers NOAUTH to the next
                         command, or PING, which comes within idle_ms, and the engine connects anew. Without a password
                         this goes unnoticed, and so do changes, of which that connection is not told; and what is left
                         of a command whose beginning was lost would be carried out, line by line.
   Refused               A login that was damaged on the wire is a wrong password, which the engine takes for final:
                         call mcpsess_redis_reset after a while, where a network would not make you.

   LIMITS
     A byte that is changed, or lost without a flag, is noticed where it breaks the protocol (a length, an end, a reply
     that never ends), not within a number or a text. Use RTS/CTS where there are four wires: then nothing is lost. Else
     let the ring hold what comes in during the longest turn of the loop: UART_RX_SIZE of 512 are 44 ms at 115200 baud.
     A baud is a tenth of a byte per second: at 115200, 1 KiB takes 89 ms, and each open UART_TX_SIZE more of it, beside
     the store's scripts (10 KiB, 0.9 s). At 9600 it is 1.1 s a KiB: raise connect_timeout_ms, reply_timeout_ms and the
     operations' timeouts to match.
     A reset of ours in the middle of a command has the server complete it with line ends, and carry it out. A bridge
     that hangs up when DTR falls prevents it; where there is none, read back what was being written.
     One core: the rings rely on interrupts and the loop seeing each other's writes in order. */

#ifndef UART_TRANSPORT_H
#define UART_TRANSPORT_H

#include "mcpsess_redis.h"

#include <string.h>

/* A power of two. Where 16 bits are not read at once (AVR) at most 128. */
#ifndef UART_RX_SIZE
#define UART_RX_SIZE 512
#endif
/* At least the engine's tx_bytes: what it offers is taken as a whole, or not yet. */
#ifndef UART_TX_SIZE
#define UART_TX_SIZE 1024
#endif
#define UART_RETRY_MS 200u
#define UART_RETRY_MAX_MS 1600u

#if UART_RX_SIZE <= 128
typedef uint8_t uart_index;
#else
typedef uint16_t uart_index;
#endif

#if (UART_RX_SIZE & (UART_RX_SIZE - 1)) != 0 || UART_RX_SIZE > 32768
#error "UART_RX_SIZE is a power of two, at most 32768"
#elif UART_RX_SIZE > 128 && defined(__AVR__)
#error "UART_RX_SIZE is at most 128 here"
#endif

typedef struct uart_port {
    bool (*put)(void *user, uint8_t byte); /* -> false: the transmitter is full */
    uint64_t (*now_ms)(void *user);        /* the clock that the engine is polled with */
    mcpsess_random_fn random;
    void *user;
} uart_port;

enum { UART_WORD = 17 }; /* bytes of the word: 'N' and 16 letters */

typedef struct uart {
    volatile uint16_t overruns;  /* bytes lost in the UART: times */
    volatile uint16_t overflows; /* bytes lost because the ring was full: times */
    uint16_t opens;              /* that succeeded */
    uint16_t tries;              /* to open */
    uint32_t discarded;          /* bytes thrown away in between */
    struct {
        uart_port port;
        volatile uint8_t rx[UART_RX_SIZE];
        volatile uart_index rx_in, rx_out; /* bytes ever: the interrupt's, the loop's */
        volatile bool lost;                /* nothing is taken in after that */
        uint8_t tx[UART_TX_SIZE];
        size_t tx_first, tx_used;
        size_t filler; /* line ends still to send */
        char word[UART_WORD];
        uint8_t state, matched;
        uint32_t retry_ms;
        uint64_t due_ms; /* of the next try */
    } i;
} uart;

enum { UART_CLOSED = 0, UART_FILLING, UART_ASKING, UART_LISTENING, UART_OPEN };

static inline void uart_init(uart *u, const uart_port *port) {
    memset(u, 0, sizeof *u);
    u->i.port = *port;
    u->i.retry_ms = UART_RETRY_MS;
}

/* ---- received, by interrupt */

static inline void uart_receive(uart *u, uint8_t byte, bool lost) {
    uart_index in = u->i.rx_in;
    bool full = (uart_index)(in - u->i.rx_out) == UART_RX_SIZE;
    if (lost) u->overruns = (uint16_t)(u->overruns + 1);
    if (u->i.lost) return;
    if (!lost && full) u->overflows = (uint16_t)(u->overflows + 1);
    if (lost || full) {
        u->i.lost = true;
        return;
    }
    u->i.rx[in % UART_RX_SIZE] = byte;
    u->i.rx_in = (uart_index)(in + 1);
}

static inline bool uart_get(uart *u, uint8_t *byte) {
    uart_index out = u->i.rx_out;
    if (out == u->i.rx_in) return false;
    *byte = u->i.rx[out % UART_RX_SIZE];
    u->i.rx_out = (uart_index)(out + 1);
    return true;
}

/* ---- transmitted */

static inline void uart_pump(uart *u) {
    while (u->i.tx_used > 0 && u->i.port.put(u->i.port.user, u->i.tx[u->i.tx_first])) {
        u->i.tx_first = (u->i.tx_first + 1) % UART_TX_SIZE;
        u->i.tx_used--;
    }
}

static inline bool uart_queue(uart *u, const void *bytes, size_t len) {
    const uint8_t *from = (const uint8_t *)bytes;
    size_t n;
    if (len > UART_TX_SIZE - u->i.tx_used) return false;
    for (n = 0; n < len; n++) u->i.tx[(u->i.tx_first + u->i.tx_used + n) % UART_TX_SIZE] = from[n];
    u->i.tx_used += len;
    uart_pump(u);
    return true;
}

/* ---- opening */

/* Letters, the first of which does not come again: so it is found in one pass. */
static inline bool uart_new_word(uart *u) {
    size_t n;
    if (u->i.port.random(u->i.port.user, u->i.word, UART_WORD) != 0) return false;
    u->i.word[0] = 'N';
    for (n = 1; n < UART_WORD; n++) u->i.word[n] = (char)('a' + ((uint8_t)u->i.word[n] & 15));
    return true;
}

static inline bool uart_begin_try(uart *u) {
    if (!uart_new_word(u)) return false;
    u->tries++;
    u->i.filler = UART_TX_SIZE / 2;
    u->i.matched = 0;
    u->i.state = UART_FILLING;
    return true;
}

/* Puts in line what there is room for. */
static inline void uart_ask(uart *u) {
    char text[7 + UART_WORD + 2];
    if (u->i.state == UART_FILLING) {
        while (u->i.filler > 0 && uart_queue(u, "\r\n", 2)) u->i.filler--;
        if (u->i.filler == 0) u->i.state = UART_ASKING;
    }
    if (u->i.state == UART_ASKING) {
        memcpy(text, "RESET\r\n", 7);
        memcpy(text + 7, u->i.word, UART_WORD);
        memcpy(text + 7 + UART_WORD, "\r\n", 2);
        if (uart_queue(u, text, sizeof text)) u->i.state = UART_LISTENING;
        u->i.due_ms = MCPSESS_NEVER;
    }
}

/* Throws away what came in before the end of the line that names the word. -> it has come */
static inline bool uart_found(uart *u) {
    uint8_t byte;
    while (uart_get(u, &byte)) {
        u->discarded++;
        if (u->i.matched == UART_WORD) {
            if (byte == '\n') return true;
        } else if (byte == (uint8_t)u->i.word[u->i.matched]) {
            u->i.matched++;
        } else {
            u->i.matched = byte == 'N';
        }
    }
    if (u->i.lost) { /* perhaps of that line: the next try has another */
        u->i.matched = 0;
        u->i.lost = false;
    }
    return false;
}

/* The time for an answer begins when all has been sent. -> it is over */
static inline bool uart_late(uart *u) {
    uint64_t now_ms = u->i.port.now_ms(u->i.port.user);
    if (u->i.state != UART_LISTENING || u->i.tx_used > 0) return false;
    if (u->i.due_ms == MCPSESS_NEVER) u->i.due_ms = mcpsess_time_add(now_ms, u->i.retry_ms);
    if (now_ms < u->i.due_ms) return false;
    if (u->i.retry_ms < UART_RETRY_MAX_MS) u->i.retry_ms *= 2;
    return true;
}

/* ---- the four callbacks */

static inline int uart_open(void *user) {
    uart *u = (uart *)user;
    uart_pump(u);
    if ((u->i.state == UART_CLOSED || uart_late(u)) && !uart_begin_try(u)) return -1;
    uart_ask(u);
    if (!uart_found(u)) return 0;
    u->i.state = UART_OPEN;
    u->i.retry_ms = UART_RETRY_MS;
    u->opens++;
    return 1;
}

static inline int uart_send(void *user, const void *bytes, size_t len) {
    uart *u = (uart *)user;
    uart_pump(u);
    if (len > UART_TX_SIZE) return -1; /* the engine's tx_bytes are more than UART_TX_SIZE */
    return uart_queue(u, bytes, len) ? (int)len : 0;
}

static inline int uart_recv(void *user, void *bytes, size_t len) {
    uart *u = (uart *)user;
    uint8_t *to = (uint8_t *)bytes;
    size_t n = 0;
    uart_pump(u);
    if (len > 32767) len = 32767;
    while (n < len && uart_get(u, to + n)) n++;
    return n == 0 && len > 0 && u->i.lost ? -1 : (int)n;
}

static inline void uart_close(void *user) {
    uart *u = (uart *)user;
    u->i.state = UART_CLOSED;
}

static inline mcpsess_redis_transport uart_transport(uart *u) {
    mcpsess_redis_transport t;
    t.open = uart_open;
    t.send = uart_send;
    t.recv = uart_recv;
    t.close = uart_close;
    t.user = u;
    return t;
}

/* What the engine wants, and NOW if it can have that at once. A try to open that is due is seen with the next tick. */
static inline unsigned uart_want(const uart *u, unsigned want) {
    bool received = u->i.rx_out != u->i.rx_in || u->i.lost;
    if (u->i.tx_used > 0 || ((want & MCPSESS_WANT_READ) != 0 && received)) want |= MCPSESS_WANT_NOW;
    return want;
}

#endif
