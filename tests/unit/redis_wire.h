/* An engine on a wire of which the test holds the other end, with hooks that watch. */

#ifndef REDIS_WIRE_H
#define REDIS_WIRE_H

#include "mcpsess_redis.h"
#include "test_util.h"

#define WIRE_SLOTS 4u
#define WIRE_TX 160u
#define WIRE_RX 160u
#ifndef WIRE_MAX
#define WIRE_MAX 512u /* bytes the wire holds, each way */
#endif
#define WIRE_WORDS 8u /* of a command */
/* Before Redis 7, what a command within a script ran into comes behind this: more than is kept of an error. */
#define WIRE_WRAP                                                                                      \
    "-ERR Error running script (call to f_48431b65aa9da148080b08bc5e71b724a94dce20): @user_script:17:" \
    " @user_script: 17: "
#define WIRE_WALL_MS UINT64_C(1700000000250)

/* A command, and what became of it. */
typedef struct wire_request {
    const char *words; /* one space between them */
    int rc;            /* PENDING until done */
    unsigned encoded, items, done;
    char text[24]; /* of the items, one behind the other, as much as there is room for */
    uint8_t text_len;
    void (*on_encode)(struct wire_request *q);
    void (*on_item)(struct wire_request *q);
    void (*on_done)(struct wire_request *q);
} wire_request;

struct redis_wire {
    mcpsess_redis redis;
    uint64_t now;

    /* the wire */
    char sent[WIRE_MAX], fed[WIRE_MAX]; /* sent and not looked at yet; on its way to the engine */
    uint16_t sent_len, fed_len, fed_at;
    uint16_t send_max, recv_max; /* bytes a call moves; 0: it would block */
    int open_rc;
    bool begun, open, send_dead, recv_dead; /* begun: open was called, and close was not since */
    unsigned opens, closes, sends, recvs; /* calls; the last two of the last poll */
    bool misuse;                          /* not open, too much at once, more than one call a poll, open twice */

    /* the hooks */
    unsigned logged[16]; /* by item from 64 on */
    unsigned ended;      /* requests */
    uint64_t log_number;
    char log_text[24];
    unsigned changes, any; /* keys told to the module; of them empty ones */
    char changed[24];
    unsigned pushed;    /* items of other pushes */
    uint8_t random[16]; /* what the hook gives */
    bool random_fails;
    void (*on_changed)(void);
    void (*on_log)(int item);
};
extern struct redis_wire wire;
extern const mcpsess_redis_class wire_class;
extern mcpsess_redis_module wire_module; /* hears of changes; no scripts unless the test sets wire_scripts */
extern const mcpsess_redis_script wire_scripts[2];

int wire_random(void *user, void *dst, size_t len); /* wire.random */
/* WIRE_SLOTS, WIRE_TX, WIRE_RX, the log, backoff 100 ms to 1000 ms, no jitter */
mcpsess_redis_desc wire_desc(void);
void wire_init(const mcpsess_redis_desc *d); /* nothing attached */
/* one poll, with everything checked that must hold after each; -> what it returned */
int wire_poll(void);
int wire_poll_at(uint64_t ms); /* so many ms later */
/* as a sleeper would: polls as long as the engine wants it now, or bytes are there */
int wire_run(void);
/* before next_due, and with nothing to read or write, a poll does nothing */
void wire_doze(void);
void wire_feed(const char *bytes); /* text to the engine */
void wire_feed_loaded(unsigned script);
/* is this the next command it sent? Then it is looked at. */
bool wire_sent(const char *words);
bool wire_sent_load(unsigned script);
bool wire_silent(void); /* nothing was sent that the test has not looked at */
/* from nothing to ready, in RESP3 */
void wire_greet(void);
void wire_start(const mcpsess_redis_desc *d); /* init and greet */
void wire_start_default(void);

int wire_submit(wire_request *q, const char *words, unsigned flags);
int wire_submit_by(wire_request *q, const char *words, unsigned flags, uint64_t deadline_ms);
/* done once, with this code? */
bool wire_ended(const wire_request *q, int rc);
/* done once, OK, and with these texts in its items? */
bool wire_answered(const wire_request *q, const char *text);

#endif
