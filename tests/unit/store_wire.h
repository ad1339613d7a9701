/* A store whose server the test plays, by a clock of the test's. One of its own for each file that includes it: RAM is
   scarce on the small targets, where each of those files is an image. */

#ifndef STORE_WIRE_H
#define STORE_WIRE_H

#include "test_util.h"

#include "mcpsess_redis.h"

#define SLOTS 3u
#define VALUE_MAX 64u
#ifndef TX
#define TX ((uint32_t)MCPSESS_REDIS_STORE_TX(VALUE_MAX))
#endif
#define RX 128u
#ifndef INBOX
#define INBOX 256u /* answers that have not been taken yet: of all scripts that fit tx at once */
#endif
#define ID_MAX_ESCAPED (3u * MCPSESS_ID_MAX)

/* the order of the scripts in the module's table; STORE_CSHARP, STORE_LIBRECHAT: the store is that of the
   C# SDK's layout, of LibreChat's */
#ifdef STORE_CSHARP
enum { WRITE, READ, DELETE, SCRIPTS };
typedef mcpsess_csharp_store wire_store;
typedef mcpsess_csharp_store_desc wire_store_desc;
#elif defined(STORE_LIBRECHAT)
enum { READ, LEASE, WRITE, SCRIPTS };
typedef mcpsess_librechat_store wire_store;
typedef mcpsess_librechat_store_desc wire_store_desc;
#else
enum {
    READ,
    WRITE,
    DELETE,
    LEASE,
    LOG_OPEN,
    LOG_WRITE,
    LOG_READ,
    LOG_DELETE,
    FLAG_CLAIM,
    FLAG_SET,
    FLAG_CLEAR,
    SCRIPTS
};
typedef mcpsess_redis_store wire_store;
typedef mcpsess_redis_store_desc wire_store_desc;
#endif

MCPSESS_REDIS_STORAGE(wire, SLOTS, TX, RX);
static mcpsess_redis redis;
static wire_store rstore;
static mcpsess_store store;
static mcpsess_request q, *asked_for = &q; /* another one: of a log, or a flag */
static mcpsess_buf out;
static char out_mem[32];
static uint64_t now;
static mcpsess_principal alice;

/* ---- the server ---- */

/* Answers the handshake by itself. What the store asks is kept; its answer is put in by the test. */
static struct {
    char cmd[TX], seen[TX]; /* the command that comes in; the last EVALSHA, whole */
    char inbox[INBOX];
    size_t cmd_len, seen_len, in_len, in_at, recv_max;
    uint32_t bulk;   /* bytes of the open bulk and its CRLF still to come */
    uint32_t number; /* of the head that comes in */
    uint32_t bulks;  /* still to come */
    unsigned evals, loads;
    bool refuse, dead;
} server;

static inline void say(mcpsess_str s) {
    CHECK(s.len <= sizeof server.inbox - server.in_len);
    memcpy(server.inbox + server.in_len, s.ptr, s.len);
    server.in_len += s.len;
}

/* in the order in which they are loaded */
static inline const mcpsess_redis_script *script_of(unsigned script) {
    const mcpsess_redis_module *m = redis.i.modules;
    for (; script >= m->script_count; m = m->i.next) script -= m->script_count;
    return &m->scripts[script];
}

static inline char digest_char(unsigned script, unsigned n) {
    return (char)MCPSESS_ROM_U8(script_of(script)->sha1 + n);
}

static inline bool command_is(const char *word) {
    size_t len = server.cmd_len < sizeof server.cmd ? server.cmd_len : sizeof server.cmd;
    mcpsess_str cmd = mcpsess_str_of(server.cmd, len), name = mcpsess_str_z(word);
    size_t at = 0;
    while (at < cmd.len && cmd.ptr[at] != '$') at++;
    at += 4u; /* "$4\r\n": no word has ten letters */
    return at + name.len <= cmd.len && mcpsess_str_eq(mcpsess_str_of(cmd.ptr + at, name.len), name);
}

static inline void command(void) {
    unsigned n;
    if (command_is("EVALSHA") && CHECK(server.cmd_len <= sizeof server.cmd)) {
        memcpy(server.seen, server.cmd, server.cmd_len);
        server.seen_len = server.cmd_len;
        server.evals++;
    } else if (command_is("HELLO")) {
        say(MCPSESS_STR("%1\r\n$5\r\nproto\r\n:3\r\n"));
    } else if (command_is("SCRIPT")) {
        say(MCPSESS_STR("$40\r\n"));
        if (!CHECK(sizeof server.inbox - server.in_len >= 42u)) return;
        for (n = 0; n < 40; n++) server.inbox[server.in_len++] = digest_char(server.loads % SCRIPTS, n);
        say(MCPSESS_STR("\r\n"));
        server.loads++;
    } else if (command_is("TIME")) {
        say(MCPSESS_STR("*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n"));
    } else if (!command_is("ECHO")) {
        say(MCPSESS_STR("+OK\r\n"));
    }
    server.cmd_len = 0;
}

/* One byte of what the engine sends. Of a script there is not room for all. */
static inline void take(char c) {
    if (server.cmd_len < sizeof server.cmd) server.cmd[server.cmd_len] = c;
    server.cmd_len++;
    if (server.bulk > 0) {
        if (--server.bulk == 0 && server.bulks == 0) command();
        return;
    }
    if (c == '*' || c == '$') {
        server.number = 0;
    } else if (c >= '0' && c <= '9') {
        server.number = server.number * 10u + (uint32_t)(c - '0');
    } else if (c == '\n') {
        if (server.bulks == 0) {
            server.bulks = server.number;
        } else {
            server.bulks--;
            server.bulk = server.number + 2u;
        }
    }
}

static inline int wire_open(void *user) {
    (void)user;
    if (server.refuse) return -1;
    server.dead = false;
    server.cmd_len = server.in_len = server.in_at = 0;
    server.bulk = server.bulks = 0;
    return 1;
}

static inline int wire_send(void *user, const void *bytes, size_t len) {
    size_t n;
    (void)user;
    if (server.dead) return -1;
    for (n = 0; n < len; n++) take(((const char *)bytes)[n]);
    return (int)len;
}

static inline int wire_recv(void *user, void *bytes, size_t len) {
    size_t n = server.in_len - server.in_at;
    (void)user;
    if (n == 0) return server.dead ? -1 : 0;
    if (n > len) n = (uint32_t)len;
    if (n > server.recv_max) n = server.recv_max;
    memcpy(bytes, server.inbox + server.in_at, n);
    server.in_at += n;
    if (server.in_at == server.in_len) server.in_at = server.in_len = 0;
    return (int)n;
}

static inline void wire_close(void *user) {
    (void)user;
}

/* ---- the store before it ---- */

static inline mcpsess_redis_desc wire_desc(void) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    d.transport.open = wire_open;
    d.transport.send = wire_send;
    d.transport.recv = wire_recv;
    d.transport.close = wire_close;
    d.slots = SLOTS;
    d.tx_bytes = TX;
    d.rx_bytes = RX;
    d.timeout_ms = 2000;
    d.reply_timeout_ms = 100000;
    d.backoff_min_ms = 10;
    d.backoff_max_ms = 10;
    return d;
}

static inline void polls(unsigned n) {
    while (n-- > 0) store.cls->poll(store.self, now);
}

static inline void make(const mcpsess_redis_desc *d, const wire_store_desc *given) {
    wire_store_desc sd = *given;
    memset(&server, 0, sizeof server);
    server.recv_max = SIZE_MAX;
    now = 1000;
    alice = principal("iss", "alice");
    CHECK_EQ(mcpsess_redis_init(&redis, d, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    sd.redis = &redis;
#ifdef STORE_CSHARP
    CHECK_EQ(mcpsess_csharp_store_init(&rstore, &sd), MCPSESS_OK);
    store = mcpsess_csharp_store_store(&rstore);
#elif defined(STORE_LIBRECHAT)
    CHECK_EQ(mcpsess_librechat_store_init(&rstore, &sd), MCPSESS_OK);
    store = mcpsess_librechat_store_store(&rstore);
#else
    CHECK_EQ(mcpsess_redis_store_init(&rstore, &sd), MCPSESS_OK);
    store = mcpsess_redis_store_store(&rstore);
#endif
}

static inline void connected(void) {
    unsigned n;
    for (n = 0; n < 60 && mcpsess_redis_poll(&redis, now) != MCPSESS_OK; n++) continue;
    CHECK(n < 60);
}

#if !defined(STORE_CSHARP) && !defined(STORE_LIBRECHAT)
static inline void start(void) {
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    make(&d, &sd);
    connected();
}
#endif

static inline void request(uint8_t kind, uint8_t mode, mcpsess_str key) {
    memset(&q, 0, sizeof q);
    asked_for = &q;
    q.kind = kind;
    q.mode = mode;
    q.key = key;
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
}

static inline int submit(void) {
    int rc = store.cls->submit(store.self, asked_for, now);
    CHECK_EQ(rc, asked_for->rc);
    return rc;
}

/* Submits, and waits until the server has the whole command. */
static inline void ask(void) {
    unsigned n, before = server.evals;
    CHECK_EQ(submit(), MCPSESS_PENDING);
    for (n = 0; n < 60 && server.evals == before; n++) polls(1);
    CHECK_EQ(server.evals, before + 1u);
}

/* The server answers; -> what the request makes of it */
static inline int answer(mcpsess_str text) {
    unsigned n;
    say(text);
    for (n = 0; n < 400 && (asked_for->rc == MCPSESS_PENDING || server.in_len != 0); n++) polls(1);
    return asked_for->rc;
}

#define ANSWER(literal) answer(MCPSESS_STR(literal))

/* The last command was this one: the script's digest goes between `head` and `rest`. */
static inline bool asked(unsigned script, mcpsess_str head, mcpsess_str rest) {
    const char *at = server.seen + head.len;
    unsigned n;
    if (server.seen_len != head.len + 40u + rest.len || memcmp(server.seen, head.ptr, head.len) != 0) return false;
    for (n = 0; n < 40; n++) {
        if (at[n] != digest_char(script, n)) return false;
    }
    return memcmp(at + 40, rest.ptr, rest.len) == 0;
}

#define ASKED(script, count, rest) \
    asked(script, MCPSESS_STR("*" count "\r\n$7\r\nEVALSHA\r\n$40\r\n"), MCPSESS_STR("\r\n" rest))

#define KEY "$1\r\n1\r\n$13\r\nmcpsess:r:{k}\r\n"
#define LEASE_KEYS "$1\r\n2\r\n$13\r\nmcpsess:l:{k}\r\n$13\r\nmcpsess:f:{k}\r\n"

/* what alice's records begin with: version, length, issuer NUL subject */
#define ALICE "$12\r\n\1\11\0iss\0alice\r\n"

/* The connection breaks; the next one is made after the backoff, the handshake again. */
static inline void break_off(void) {
    server.dead = true;
    polls(2);
    now += 20;
}

static inline void reconnect(void) {
    unsigned before = server.evals, n;
    break_off();
    for (n = 0; n < 60 && server.evals == before && asked_for->rc == MCPSESS_PENDING; n++) polls(1);
}

/* ---- changes ---- */

static struct {
    unsigned calls;
    char id[MCPSESS_ID_MAX];
    size_t len;
} told;

static inline void changed(void *user, mcpsess_str key) {
    CHECK(user == &told);
    told.calls++;
    told.len = key.len;
    if (key.len > 0) memcpy(told.id, key.ptr, key.len);
}

static const mcpsess_listener listener = {changed, &told};

/* once, and so */
static inline bool told_is(const char *id) {
    return told.calls == 1 && mcpsess_str_eq(mcpsess_str_of(told.id, told.len), mcpsess_str_z(id));
}

static inline void push(mcpsess_str key) {
    char head[8];
    mcpsess_buf b;
    memset(&told, 0, sizeof told);
    mcpsess_buf_init(&b, head, sizeof head);
    mcpsess_buf_put_char(&b, '$');
    mcpsess_buf_put_u64(&b, key.len);
    say(MCPSESS_STR(">2\r\n$10\r\ninvalidate\r\n*1\r\n"));
    say(mcpsess_buf_str(&b));
    say(MCPSESS_STR("\r\n"));
    say(key);
    say(MCPSESS_STR("\r\n"));
    polls(4);
}

/* None of these keys is what is listened for. */
static inline void listens(int of, const mcpsess_str *others, unsigned count) {
    unsigned n;
    CHECK_EQ(store.cls->listen(store.self, of, &listener), MCPSESS_OK);
    for (n = 0; n < count; n++) {
        push(others[n]);
        if (!CHECK_EQ(told.calls, 0)) tap_note("key", (int64_t)n);
    }
}

/* But any may be; and this one is, no more. */
static inline void stops_listening(int of, mcpsess_str key) {
    memset(&told, 0, sizeof told);
    say(MCPSESS_STR(">2\r\n$10\r\ninvalidate\r\n_\r\n"));
    polls(4);
    CHECK(told_is(""));
    CHECK_EQ(store.cls->listen(store.self, of, NULL), MCPSESS_OK);
    push(key);
    CHECK_EQ(told.calls, 0);
}

#endif
