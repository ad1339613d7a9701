/* The server's owner, on a connection beside those under test: says what a test wants done, and sees what is there. */

#ifndef OWNER_H
#define OWNER_H

#include "examples/posix_transport.h"

#include <stdlib.h>

#include "test_util.h"

MCPSESS_REDIS_STORAGE(owner_wire, 2, 32768, 65536);
static struct {
    mcpsess_redis redis;
    sock sock;
} owner;
static char said[65536]; /* the last reply, whole, and a NUL */

/* Without a password as whoever may connect. */
static inline void owner_open(const char *host, const char *port, const char *password) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    sock_init(&owner.sock, host, port);
    d.transport = sock_transport(&owner.sock);
    d.slots = 2;
    d.tx_bytes = 32768;
    d.rx_bytes = 65536;
    d.tracking = MCPSESS_REDIS_TRACK_OFF;
    d.password = mcpsess_str_z(password);
    CHECK_EQ(mcpsess_redis_init(&owner.redis, &d, owner_wire.bytes, sizeof owner_wire.bytes), MCPSESS_OK);
}

/* *text, as long as no other command follows: the reply, if it is a single one. */
static inline int owner_rc(mcpsess_str *text, const char *const *words, size_t count) {
    mcpsess_wait_hook hook = sock_wait_hook(&owner.sock);
    mcpsess_str argv[12];
    mcpsess_buf reply;
    size_t n;
    int rc;
    CHECK(count <= COUNT_OF(argv));
    for (n = 0; n < count && n < COUNT_OF(argv); n++) argv[n] = mcpsess_str_z(words[n]);
    mcpsess_buf_init(&reply, said, sizeof said - 1);
    rc = mcpsess_redis_call(&owner.redis, argv, count, &reply, &hook);
    said[reply.len] = '\0';
    *text = mcpsess_redis_text(mcpsess_buf_str(&reply));
    return rc;
}

static inline mcpsess_str owner_text(const char *const *words, size_t count) {
    mcpsess_str text;
    int rc = owner_rc(&text, words, count);
    if (!CHECK_EQ(rc, MCPSESS_OK)) fprintf(stderr, "%s: %.96s\n", words[0], mcpsess_redis_error(&owner.redis).ptr);
    return text;
}

static inline int64_t owner_number(const char *const *words, size_t count) {
    mcpsess_str s = owner_text(words, count);
    char digits[24];
    size_t n = s.len < sizeof digits - 1 ? s.len : sizeof digits - 1;
    memcpy(digits, s.ptr, n);
    digits[n] = '\0';
    return strtoll(digits, NULL, 10);
}

/* A command's words: its code; the text of its answer, which must not be an error; that as a number. */
#define WORDS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define ADMIN_RC(text, ...) owner_rc(text, WORDS(__VA_ARGS__))
#define ADMIN(...) owner_text(WORDS(__VA_ARGS__))
#define NUMBER(...) owner_number(WORDS(__VA_ARGS__))

/* -- time: a test's clock is ahead of the real one by what it let go by -- */

/* Nobody waits for the server's clock: what is left of every TTL is shortened instead, by ARGV[1]. instants: Lua that
   makes what key k holds of them earlier, too. */
#define AGING(instants)                                                                    \
    "for _,k in ipairs(redis.call('KEYS','*')) do local n=redis.call('PTTL',k)\n" instants \
    "if n>=0 then redis.call('PEXPIRE',k,n-ARGV[1]) end end"

static inline void owner_ages(const char *script, uint64_t ms) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)ms);
    (void)ADMIN("EVAL", script, "0", text);
}

/* Until there is something to do for a store, at most until it is due. */
static inline void wait_for(const mcpsess_store *s, const mcpsess_wait_hook *hook, uint64_t now_ms, uint64_t ahead_ms) {
    uint64_t due_ms = s->cls->next_due(s->self, now_ms);
    if (due_ms != MCPSESS_NEVER) due_ms = due_ms > ahead_ms ? due_ms - ahead_ms : 0;
    (void)hook->wait(hook->user, s->cls->want(s->self), due_ms);
}

/* Asked, not concluded from a version: may a client be told of changes? */
static inline bool server_tracks(void) {
    mcpsess_str text;
    int rc = ADMIN_RC(&text, "CLIENT", "TRACKING", "ON");
    if (rc == MCPSESS_OK) (void)ADMIN("CLIENT", "TRACKING", "OFF");
    else CHECK_EQ(rc, MCPSESS_REDIS_E_SYNTAX); /* it does not know the command */
    return rc == MCPSESS_OK;
}

#endif
