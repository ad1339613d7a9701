/* session.h - a session in hand, the table that keeps it, and what its streams have in common; shared with the device
   that is firmware. The program brings the store, a clock and random numbers. */

#ifndef SESSION_H
#define SESSION_H

#include "mcpsess.h"

enum {
    RECORD_MAX = 256,    /* bytes of a session record */
    POLL_RETRY_MS = 500, /* how long a client is to wait before it asks a polling stream again */
    STREAM_NAME = 25     /* 128 bits in base64url, or the GET stream's, and a NUL; room for 24 */
};

#define GET_STREAM "__get__"

extern const mcpsess_principal nobody; /* the device knows no users */

/* A copy of its record. Its state is pairs: version, level, led, calls, calibrated. */
typedef struct session {
    char id[MCPSESS_ID_MAX + 1];
    mcpsess_buf buf;
    char bytes[RECORD_MAX];
} session;

int session_create(mcpsess_sessions *t, session *s, const char *version); /* -> OK, E_FULL, another error */
int session_load(mcpsess_sessions *t, session *s, const char *id);        /* -> OK, MISS, an error; keeps it alive */
int session_save(mcpsess_sessions *t, session *s);                        /* -> OK, MISS: it has ended meanwhile */
int session_touch(mcpsess_sessions *t, const char *id);                   /* -> OK, MISS */
int session_peek(mcpsess_sessions *t, const char *id);                    /* the same, but does not keep it alive */
int session_delete(mcpsess_sessions *t, const char *id);                  /* -> OK */
void session_set(session *s, const char *key, const char *value);
bool session_is(const session *s, const char *key, const char *value);
void session_text(const session *s, const char *key, char *text, size_t size); /* "" when absent */
unsigned session_number(const session *s, const char *key);                    /* 0 when absent */
int session_count_call(mcpsess_sessions *t, session *s);                       /* -> OK, or as session_save */
bool session_hears(const session *s);  /* of what is worth an info, not of worse only */
bool session_primes(const session *s); /* its revision knows events without data, which only bring an id */

/* Begins a stream of the session with an id, if it primes. polls: each connection ends when it is up to date. */
void session_prime(const session *s, mcpsess_stream_writer *w, bool polls);
mcpsess_stream_op stream_op(void); /* a new one */
void random_name(char name[STREAM_NAME]);

/* ---- what the program brings ---- */

uint64_t now_ms(void);
uint64_t wall_ms(void); /* Unix time; 0: not known */
int random_bytes(void *user, void *dst, size_t len);

#endif
