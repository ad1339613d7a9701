/* A server that misbehaves: a session table, the store and the engine against it, over real sockets. What the caller is
   told and how soon, how often was polled in vain, how often was connected; and once the server behaves, all is well
   again.
     hostile FOLDER       where its socket may be */

#include "examples/posix_transport.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "test_util.h"

#define RECORD 128u
#define CONNECT_MS 250u /* where the time is waited for; else LONG_MS, so that a busy machine changes nothing */
#define REPLY_MS 120u
#define TIMEOUT_MS 300u
#define LONG_MS 4000u
#define LATE_MS 1000u /* what a busy machine may add */
#define IDLE_MS 50u
#define BACKOFF_MIN_MS 10u
#define BACKOFF_MAX_MS 40u
#define RECOVER_MS 5000u /* at most: a connect timeout, a backoff and a greeting, on a busy machine */
#define EVER UINT32_MAX

/* What the server does instead of its answer to a command. */
typedef struct prank {
    const char *name;
    const char *on;    /* first word of the command; "": to the connection itself */
    const char *head;  /* said once */
    const char *again; /* then this, so many times */
    uint32_t times;
    const char *tail;
    bool answers;      /* then as it should */
    const char *after; /* and this behind */
    bool hangs_up;     /* and then it closes */
    unsigned drip_ms;  /* a byte at a time, with so much between */
    bool resp2;        /* to a client that speaks RESP2 */
    bool waits;        /* until time is up */
    bool sticky;       /* the engine waits for a reset */
    bool ends;         /* the connection; UNKNOWN and E_IO always do */
    int rc, or_rc;     /* what a load ends with */
} prank;

#define MISS MCPSESS_MISS
#define UNKNOWN MCPSESS_E_UNKNOWN
#define TIMEOUT MCPSESS_E_TIMEOUT

static const prank pranks[] = {
    {.name = "behaves", .on = "none", .rc = MISS},
    {.name = "a line without an end", .on = "EVALSHA", .head = "+", .again = "aaaaaaaa", .times = EVER, .rc = UNKNOWN},
    {.name = "an error without an end", .on = "EVALSHA", .waits = true, .ends = true, .head = "-ERR ",
     .again = "aaaaaaaa", .times = EVER, .rc = TIMEOUT},
    {.name = "an error of 1 MB", .on = "EVALSHA", .head = "-ERR ", .again = "aaaaaaaa", .times = 131072,
     .tail = "\r\n", .rc = MCPSESS_REDIS_E_SERVER},
    {.name = "a bulk of 2^31-1 bytes", .on = "EVALSHA", .head = "$2147483647\r\n", .again = "aaaaaaaa", .times = EVER,
     .rc = UNKNOWN},
    {.name = "a bulk of 2^63-1 bytes", .on = "EVALSHA", .head = "$9223372036854775807\r\n", .rc = UNKNOWN},
    {.name = "a bulk of 2^64+5 bytes", .on = "EVALSHA", .head = "$18446744073709551621\r\nhello\r\n", .rc = UNKNOWN},
    {.name = "a bulk of -2 bytes", .on = "EVALSHA", .head = "$-2\r\n", .rc = UNKNOWN},
    {.name = "a bulk of 00000005 bytes", .on = "EVALSHA", .head = "$00000005\r\nhello\r\n", .rc = UNKNOWN},
    {.name = "a bulk of 500 MB", .on = "EVALSHA", .head = "$500000000\r\n",
     .again = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", .times = EVER, .rc = UNKNOWN},
    {.name = "a value of 500 MB", .on = "EVALSHA", .head = "*4\r\n:0\r\n:1\r\n:0\r\n$500000000\r\n",
     .again = "aaaaaaaaaaaaaaaa", .times = EVER, .rc = UNKNOWN},
    {.name = "arrays within arrays", .on = "EVALSHA", .again = "*1\r\n", .times = 20, .rc = UNKNOWN},
    {.name = "a push as deep as allowed", .on = "EVALSHA", .head = ">1\r\n", .again = "*1\r\n",
     .times = MCPSESS_RESP_DEPTH - 1, .tail = ":1\r\n", .answers = true, .rc = MISS},
    {.name = "a push deeper than that", .on = "EVALSHA", .head = ">1\r\n", .again = "*1\r\n",
     .times = MCPSESS_RESP_DEPTH, .tail = ":1\r\n", .answers = true, .rc = UNKNOWN},
    {.name = "2^20+1 elements", .on = "EVALSHA", .head = "*1048577\r\n", .rc = UNKNOWN},
    {.name = "2^20 elements, nothing behind", .on = "EVALSHA", .waits = true, .ends = true, .head = "*1048576\r\n",
     .rc = TIMEOUT},
    {.name = "2^20 elements, too many in one of them", .on = "EVALSHA", .head = "*1048576\r\n*1\r\n", .rc = UNKNOWN},
    {.name = "2^32 pairs", .on = "EVALSHA", .head = "%4294967296\r\n", .rc = UNKNOWN},
    {.name = "-9 elements", .on = "EVALSHA", .head = "*-9\r\n", .rc = UNKNOWN},
    {.name = "a streamed array", .on = "EVALSHA", .head = "*?\r\n:1\r\n.\r\n", .rc = UNKNOWN},
    {.name = "a streamed string", .on = "EVALSHA", .head = "$?\r\n;4\r\nWord\r\n;0\r\n", .rc = UNKNOWN},
    {.name = "an attribute before its answer", .on = "EVALSHA", .head = "|1\r\n+a\r\n*2\r\n:1\r\n:2\r\n",
     .answers = true, .rc = MISS},
    {.name = "attributes, nothing behind", .on = "EVALSHA", .waits = true, .ends = true,
     .again = "|1\r\n+a\r\n:1\r\n", .times = 100, .rc = TIMEOUT},
    {.name = "attributes for ever", .on = "EVALSHA", .waits = true, .again = "|1\r\n+a\r\n:1\r\n", .times = EVER,
     .rc = UNKNOWN, .or_rc = TIMEOUT},
    {.name = "no RESP at all", .on = "EVALSHA", .head = "HTTP/1.1 400 Bad Request\r\n\r\n", .hangs_up = true,
     .rc = UNKNOWN},
    {.name = "an answer nobody asked for", .on = "EVALSHA", .ends = true, .answers = true, .after = "+OK\r\n",
     .rc = MISS},
    {.name = "an answer before anything is asked", .on = "", .head = "+OK\r\n", .answers = true, .rc = MCPSESS_E_IO},
    {.name = "a push before HELLO's answer", .on = "HELLO", .head = ">2\r\n+invalidate\r\n_\r\n>1\r\n+x\r\n",
     .answers = true, .rc = MISS},
    {.name = "a push before the answer", .on = "EVALSHA", .head = ">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n",
     .answers = true, .rc = MISS},
    {.name = "10,000 keys in one push", .on = "EVALSHA", .head = ">2\r\n+invalidate\r\n*10000\r\n",
     .again = "$14\r\nmcpsess:r:{id}\r\n", .times = 10000, .answers = true, .rc = MISS},
    {.name = "pushes of unknown kinds", .on = "EVALSHA",
     .head = ">1\r\n:1\r\n>2\r\n_\r\n#t\r\n>1\r\n*0\r\n>2\r\n%1\r\n+a\r\n+b\r\n,1\r\n", .answers = true, .rc = MISS},
    {.name = "a key that does not fit", .on = "EVALSHA", .head = ">2\r\n+invalidate\r\n*1\r\n$8000\r\n",
     .again = "aaaaaaaa", .times = 1000, .tail = "\r\n", .answers = true, .rc = MISS},
    {.name = "pushes for ever", .on = "EVALSHA", .waits = true, .ends = true,
     .again = ">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n", .times = EVER, .rc = TIMEOUT},
    {.name = "a push within the answer", .on = "EVALSHA", .head = "*3\r\n:2\r\n>2\r\n+invalidate\r\n_\r\n",
     .rc = UNKNOWN},
    {.name = "tracking is broken", .on = "EVALSHA", .head = ">1\r\n+tracking-redir-broken\r\n", .answers = true,
     .rc = MISS},
    {.name = "no tracking", .on = "CLIENT", .head = "-ERR unknown subcommand\r\n", .rc = MISS},
    {.name = "RESP3 to RESP2: a map", .on = "EVALSHA", .head = "%1\r\n:2\r\n:0\r\n", .resp2 = true, .rc = UNKNOWN},
    {.name = "RESP3 to RESP2: a set", .on = "EVALSHA", .head = "~3\r\n:2\r\n:0\r\n:0\r\n", .resp2 = true,
     .rc = UNKNOWN},
    {.name = "RESP3 to RESP2: null", .on = "EVALSHA", .head = "_\r\n", .resp2 = true, .rc = UNKNOWN},
    {.name = "RESP3 to RESP2: a push", .on = "EVALSHA", .head = ">2\r\n+invalidate\r\n_\r\n", .answers = true,
     .resp2 = true, .rc = MISS},
    {.name = "a byte now and then", .on = "EVALSHA", .waits = true, .head = "*3\r\n:2\r\n:0\r\n:0\r\n", .drip_ms = 40,
     .rc = TIMEOUT},
    {.name = "a byte now and then in HELLO", .on = "HELLO", .waits = true, .head = "%1\r\n+proto\r\n:3\r\n",
     .drip_ms = 40, .rc = MCPSESS_E_IO},
    {.name = "accepts and says nothing", .on = "HELLO", .waits = true, .rc = MCPSESS_E_IO},
    {.name = "says nothing any more", .on = "EVALSHA", .waits = true, .ends = true, .rc = TIMEOUT},
    {.name = "accepts and closes", .on = "", .hangs_up = true, .rc = MCPSESS_E_IO},
    {.name = "closes at HELLO", .on = "HELLO", .hangs_up = true, .rc = MCPSESS_E_IO},
    {.name = "closes at every command", .on = "EVALSHA", .waits = true, .hangs_up = true, .rc = TIMEOUT},
    {.name = "half an answer, then closes", .on = "EVALSHA", .waits = true, .head = "*3\r\n:2\r\n", .hangs_up = true,
     .rc = TIMEOUT},
    {.name = "HELLO: no RESP", .on = "HELLO", .head = "hello\r\n", .rc = MCPSESS_E_IO},
    {.name = "HELLO: refused", .on = "HELLO", .head = "-ERR unknown command 'HELLO'\r\n", .rc = MISS},
    {.name = "HELLO: something else", .on = "HELLO", .head = "*2\r\n:1\r\n*1\r\n_\r\n", .rc = MCPSESS_E_IO},
    {.name = "HELLO: loading", .on = "HELLO", .head = "-LOADING Redis is loading the dataset in memory\r\n",
     .rc = MCPSESS_E_IO},
    {.name = "HELLO: wrong password", .on = "HELLO", .head = "-WRONGPASS invalid\r\n", .sticky = true,
     .rc = MCPSESS_REDIS_E_WRONGPASS},
    {.name = "TIME: no numbers", .on = "TIME", .head = "*2\r\n$3\r\nabc\r\n$1\r\n-\r\n", .rc = MISS},
    {.name = "TIME: too many numbers", .on = "TIME", .head = "*4\r\n:1\r\n:9223372036854775807\r\n*1\r\n:3\r\n_\r\n",
     .rc = MCPSESS_E_IO},
    {.name = "TIME: no array", .on = "TIME", .head = "+OK\r\n", .rc = MCPSESS_E_IO},
    {.name = "SCRIPT LOAD: another digest", .on = "SCRIPT",
     .head = "$40\r\n0123456789012345678901234567890123456789\r\n", .rc = MCPSESS_E_IO},
    {.name = "SCRIPT LOAD: no digest", .on = "SCRIPT", .head = "+OK\r\n", .rc = MCPSESS_E_IO},
    {.name = "SCRIPT LOAD: not allowed", .on = "SCRIPT", .head = "-NOPERM no\r\n", .sticky = true,
     .rc = MCPSESS_REDIS_E_NOPERM},
    {.name = "NOSCRIPT for ever", .on = "EVALSHA", .head = "-NOSCRIPT No matching script.\r\n",
     .rc = MCPSESS_REDIS_E_NOSCRIPT},
    {.name = "LOADING for ever", .on = "EVALSHA", .head = "-LOADING Redis is loading\r\n",
     .rc = MCPSESS_REDIS_E_LOADING},
    {.name = "MOVED", .on = "EVALSHA", .head = "-MOVED 3999 127.0.0.1:6381\r\n", .rc = MCPSESS_REDIS_E_MOVED},
    {.name = "READONLY", .on = "EVALSHA", .ends = true,
     .head = "-READONLY You can't write against a read only replica.\r\n", .rc = MCPSESS_REDIS_E_READONLY},
    {.name = "PING: no answer", .on = "PING", .waits = true, .rc = MISS},
    {.name = "PING: an error", .on = "PING", .head = "-ERR no\r\n", .rc = MISS},
};

/* -- the server, a thread -- */

static struct {
    pthread_mutex_t lock;
    const prank *prank;
    unsigned turn; /* changes with the prank; what was begun before it ends */
    unsigned accepts;
    const char *answer; /* to EVALSHA; NULL: nothing is there, everything was done */
    bool stop;
    int listener;
    const mcpsess_redis_script *scripts[12]; /* of all modules; the records' are the first */
    unsigned script_count;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

typedef struct caller {
    int fd;
    unsigned turn;
    prank prank;
    unsigned drip_ms;
    char in[8192];
    size_t len;
} caller;

static bool still_so(const caller *c) {
    bool so;
    pthread_mutex_lock(&server.lock);
    so = !server.stop && server.turn == c->turn;
    pthread_mutex_unlock(&server.lock);
    return so;
}

static bool ready(const caller *c, short events) {
    struct pollfd p = {c->fd, 0, 0};
    p.events = events;
    return poll(&p, 1, 5) > 0;
}

/* -> false: the caller is gone, or the prank is over */
static bool say(caller *c, const char *bytes, size_t len) {
    while (len > 0) {
        size_t most = c->drip_ms != 0 ? 1 : len;
        ssize_t n;
        if (!still_so(c)) return false;
        if (c->drip_ms != 0) poll(NULL, 0, (int)c->drip_ms);
        if (!ready(c, POLLOUT)) continue;
        n = send(c->fd, bytes, most, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) return false;
        if (n > 0) bytes += n, len -= (size_t)n;
    }
    return true;
}

static bool say_z(caller *c, const char *text) {
    return text == NULL || say(c, text, strlen(text));
}

/* `again` so many times, some of them at once. */
static bool say_again(caller *c) {
    char block[4096];
    size_t len = c->prank.again != NULL ? strlen(c->prank.again) : 0, n;
    uint32_t left = len != 0 ? c->prank.times : 0, some;
    while (left != 0) {
        some = left < sizeof block / len ? left : (uint32_t)(sizeof block / len);
        for (n = 0; n < some; n++) memcpy(block + n * len, c->prank.again, len);
        if (!say(c, block, some * len)) return false;
        if (left != EVER) left -= some;
    }
    return true;
}

static bool is(mcpsess_str word, const char *text) {
    return mcpsess_str_eq(word, mcpsess_str_z(text));
}

static bool answer(caller *c, const mcpsess_str *words) {
    char room[64];
    unsigned n;
    if (is(words[0], "HELLO")) return say_z(c, "%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n");
    if (is(words[0], "TIME")) return say_z(c, "*2\r\n$10\r\n1700000000\r\n$6\r\n250000\r\n");
    if (is(words[0], "SCRIPT")) {
        for (n = 0; n + 1 < server.script_count && !is(words[2], server.scripts[n]->text);) n++;
        snprintf(room, sizeof room, "$40\r\n%s\r\n", server.scripts[n]->sha1);
        return say_z(c, room);
    }
    if (!is(words[0], "EVALSHA")) return say_z(c, "+OK\r\n");
    if (server.answer != NULL) return say_z(c, server.answer);
    for (n = 0; n < 4 && !is(words[1], server.scripts[n]->sha1);) n++;
    if (n == 0) return say_z(c, "*3\r\n:2\r\n:0\r\n:0\r\n");
    return say_z(c, n == 3 ? "*3\r\n:0\r\n:1000\r\n:7\r\n" : "*3\r\n:0\r\n:-1\r\n:0\r\n");
}

static bool play(caller *c, const mcpsess_str *words) {
    c->drip_ms = c->prank.drip_ms;
    if (!say_z(c, c->prank.head) || !say_again(c) || !say_z(c, c->prank.tail)) return false;
    c->drip_ms = 0;
    if (c->prank.answers && words != NULL && !answer(c, words)) return false;
    return say_z(c, c->prank.after) && !c->prank.hangs_up;
}

/* Answers the commands that are there. */
static bool serve(caller *c) {
    mcpsess_resp_desc limits = {0, 0, 4096, 0};
    for (;;) {
        mcpsess_str in = mcpsess_str_of(c->in, c->len), words[8];
        mcpsess_resp d;
        mcpsess_resp_item item;
        size_t count = 0;
        mcpsess_resp_init(&d, &limits);
        do {
            if (mcpsess_resp_next(&d, &in, &item) != MCPSESS_OK) return c->len < sizeof c->in;
            if (item.depth == 1 && count < 8) words[count++] = item.text;
        } while (!item.ends);
        if (!(is(words[0], c->prank.on) ? play(c, words) : answer(c, words))) return false;
        memmove(c->in, in.ptr, in.len);
        c->len = in.len;
    }
}

static void converse(caller *c) {
    c->len = 0;
    c->drip_ms = 0;
    if (c->prank.on[0] == '\0' && !play(c, NULL)) return;
    while (still_so(c)) {
        ssize_t n;
        if (!ready(c, POLLIN)) continue;
        n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, 0);
        if (n <= 0) return;
        c->len += (size_t)n;
        if (!serve(c)) return;
    }
}

static void *serve_all(void *unused) {
    static caller c;
    bool stop = false;
    while (!stop) {
        struct pollfd p = {server.listener, POLLIN, 0};
        if (poll(&p, 1, 5) > 0 && (c.fd = accept(server.listener, NULL, NULL)) >= 0) {
            pthread_mutex_lock(&server.lock);
            c.turn = server.turn;
            c.prank = *server.prank;
            server.accepts++;
            pthread_mutex_unlock(&server.lock);
            converse(&c);
            close(c.fd);
        }
        pthread_mutex_lock(&server.lock);
        stop = server.stop;
        pthread_mutex_unlock(&server.lock);
    }
    return unused;
}

static void let_server(const prank *p) {
    pthread_mutex_lock(&server.lock);
    server.prank = p;
    server.turn++;
    server.accepts = 0;
    pthread_mutex_unlock(&server.lock);
}

static unsigned accepts(void) {
    unsigned n;
    pthread_mutex_lock(&server.lock);
    n = server.accepts;
    pthread_mutex_unlock(&server.lock);
    return n;
}

/* -- its client -- */

MCPSESS_REDIS_STORAGE(wire, 8, MCPSESS_REDIS_STORE_TX(RECORD), 1024);
MCPSESS_SESSION_STORAGE(table, 4, RECORD, 2, RECORD);

static struct {
    char path[100];
    sock sock;
    mcpsess_redis redis;
    mcpsess_redis_store store;
    mcpsess_sessions sessions;
    unsigned polls, idle; /* polls; those in which nothing had happened */
    uint32_t took_ms;
} t;

static uint64_t now(void) {
    return sock_now_ms(NULL);
}

/* Once, before anybody connects. */
static void show_scripts(void) {
    const mcpsess_redis_module *m = t.redis.i.modules;
    unsigned n;
    for (; m != NULL; m = m->i.next) {
        for (n = 0; n < m->script_count && CHECK(server.script_count < COUNT_OF(server.scripts)); n++)
            server.scripts[server.script_count++] = &m->scripts[n];
    }
}

static void begin(bool resp2, bool waits) {
    mcpsess_redis_desc rd = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    mcpsess_session_desc d = mcpsess_session_desc_default();
    mcpsess_redis_close(&t.redis);
    sock_init(&t.sock, t.path, NULL);
    rd.transport = sock_transport(&t.sock);
    rd.slots = 8;
    rd.tx_bytes = MCPSESS_REDIS_STORE_TX(RECORD);
    rd.rx_bytes = 1024;
    rd.resp2 = resp2;
    rd.connect_timeout_ms = waits ? CONNECT_MS : LONG_MS;
    rd.reply_timeout_ms = waits ? REPLY_MS : LONG_MS;
    rd.timeout_ms = waits ? TIMEOUT_MS : LONG_MS;
    rd.idle_ms = IDLE_MS;
    rd.backoff_min_ms = BACKOFF_MIN_MS;
    rd.backoff_max_ms = BACKOFF_MAX_MS;
    CHECK_EQ(mcpsess_redis_init(&t.redis, &rd, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    sd.redis = &t.redis;
    CHECK_EQ(mcpsess_redis_store_init(&t.store, &sd), MCPSESS_OK);
    d.store = mcpsess_redis_store_store(&t.store);
    d.capacity = 4;
    d.slot_max = d.record_max = RECORD;
    d.lanes = 2;
    d.ttl_ms = 1000;
    d.timeout_ms = waits ? TIMEOUT_MS : LONG_MS;
    CHECK_EQ(mcpsess_session_init(&t.sessions, &d, table.bytes, sizeof table.bytes), MCPSESS_OK);
    if (server.script_count == 0) show_scripts();
}

static uint64_t progress(void) {
    const mcpsess_redis_stats *s = &t.redis.stats;
    return s->bytes_sent + s->bytes_received + s->connects + s->connect_failures + s->disconnects + s->timeouts;
}

/* Waits as an event loop does, and polls. -> op's rc, if there is one */
static int poll_once(mcpsess_op *op, unsigned want, uint64_t due_ms) {
    uint64_t before = progress();
    int rc;
    (void)sock_wait(&t.sock, want, due_ms);
    rc = op != NULL ? mcpsess_poll(op, now()) : mcpsess_redis_poll(&t.redis, now());
    CHECK_EQ(mcpsess_redis_check(&t.redis), MCPSESS_OK);
    t.polls++;
    t.idle += progress() == before;
    return rc;
}

/* Nobody asks anything. */
static void rest(uint32_t ms) {
    uint64_t until_ms = now() + ms, due_ms;
    while (now() < until_ms) {
        due_ms = mcpsess_redis_next_due(&t.redis, now());
        (void)poll_once(NULL, mcpsess_redis_want(&t.redis), due_ms < until_ms ? due_ms : until_ms);
    }
}

static int load(void) {
    static const mcpsess_principal nobody;
    static char room[RECORD];
    uint64_t from_ms = now();
    mcpsess_buf out;
    mcpsess_op op;
    int rc;
    mcpsess_buf_init(&out, room, sizeof room);
    mcpsess_op_init(&op, 0);
    rc = mcpsess_session_load(&t.sessions, &op, MCPSESS_STR("id"), &nobody, &out, from_ms);
    while (rc == MCPSESS_PENDING) rc = poll_once(&op, mcpsess_want(&op), mcpsess_next_due(&op, now()));
    t.took_ms = (uint32_t)(now() - from_ms);
    return rc;
}

/* -> ms until a load is answered as it should be */
static uint32_t recovers(void) {
    uint64_t from_ms = now();
    let_server(&pranks[0]);
    while (now() - from_ms < RECOVER_MS && load() != MCPSESS_MISS) rest(2);
    return (uint32_t)(now() - from_ms);
}

/* The first load has its code, and its time. */
static void check_load(const prank *p) {
    int rc = load();
    if (p->or_rc == 0 || rc != p->or_rc) CHECK_EQ(rc, p->rc);
    if (!CHECK(t.took_ms <= (p->waits ? TIMEOUT_MS : 0) + LATE_MS)) tap_note("ms", t.took_ms);
    if (rc == TIMEOUT) CHECK(t.took_ms >= TIMEOUT_MS);
}

/* Then the engine is left to itself for a while: pings, attempts to connect. */
static void check_rest(const prank *p, uint32_t ms) {
    const mcpsess_redis_stats *s = &t.redis.stats;
    rest(80);
    if (p->ends || p->rc == UNKNOWN || p->rc == MCPSESS_E_IO) CHECK(s->disconnects + s->connect_failures != 0);
    CHECK(s->reloads <= 3 && s->repeated <= 40);
    if (!CHECK(t.idle <= 60 + t.polls / 50)) tap_note("polls in vain", t.idle);
    if (!CHECK(accepts() <= 4 + (ms + 80u) / BACKOFF_MIN_MS)) tap_note("connections", accepts());
}

static void check_prank(const prank *p) {
    uint32_t ms;
    let_server(p);
    begin(p->resp2, p->waits);
    t.polls = t.idle = 0;
    check_load(p);
    check_rest(p, t.took_ms);
    if (p->rc != TIMEOUT) (void)load();
    if (!CHECK(t.took_ms <= (p->waits ? TIMEOUT_MS : 0) + LATE_MS)) tap_note("ms, the second time", t.took_ms);
    if (p->sticky) {
        CHECK_EQ(load(), p->rc);
        CHECK_EQ(mcpsess_redis_reset(&t.redis, now()), MCPSESS_OK);
    }
    ms = recovers();
    if (!CHECK(ms < RECOVER_MS)) tap_note("not well after ms", ms);
}

static void all_pranks(void) {
    unsigned n;
    for (n = 0; n < COUNT_OF(pranks); n++) {
        tap_begin(pranks[n].name);
        check_prank(&pranks[n]);
        tap_end();
    }
}

/* -- every type in every place of what the store's scripts answer -- */

static int ask(mcpsess_request *r) {
    mcpsess_store store = mcpsess_redis_store_store(&t.store);
    (void)store.cls->submit(store.self, r, now());
    while (r->rc == MCPSESS_PENDING)
        (void)poll_once(NULL, store.cls->want(store.self), store.cls->next_due(store.self, now()));
    return r->rc;
}

static bool reads(uint8_t kind) {
    return kind == MCPSESS_GET || kind == MCPSESS_FLAG_GET || kind == MCPSESS_FLAG_CLAIM;
}

static int ask_kind(uint8_t kind, mcpsess_buf *out) {
    mcpsess_flag_request f;
    memset(&f, 0, sizeof f);
    f.request.kind = kind;
    f.request.key = MCPSESS_STR("id");
    f.request.value = MCPSESS_STR("token");
    f.request.expect = MCPSESS_STR("old");
    f.request.ttl_ms = 1000;
    f.request.out = reads(kind) ? out : NULL;
    return ask(&f.request);
}

/* `odd` in the place'th element; place 4: instead of the array, 5: one element more. */
static void compose(char *text, size_t room, unsigned place, const char *odd, uint8_t kind) {
    const char *const proper[] = {kind == MCPSESS_FLAG_CLAIM ? ":4\r\n" : ":0\r\n", ":500\r\n", ":7\r\n",
                                  "$3\r\nabc\r\n"};
    unsigned count = reads(kind) ? 4 : 3, n;
    text[0] = '\0';
    if (place != 4) snprintf(text, room, "*%u\r\n", count + (place == 5));
    for (n = 0; n < count && place != 4; n++) strcat(text, n == place ? odd : proper[n]);
    if (place >= 4) strcat(text, odd);
}

TEST(every_type_in_every_place_of_every_answer) {
    static const uint8_t kinds[] = {MCPSESS_GET, MCPSESS_TOUCH, MCPSESS_PUT, MCPSESS_DEL, MCPSESS_DEL_EQUAL,
                                    MCPSESS_LEASE_ACQUIRE, MCPSESS_LEASE_EXTEND, MCPSESS_LEASE_RELEASE,
                                    MCPSESS_FLAG_GET, MCPSESS_FLAG_CLAIM, MCPSESS_FLAG_SET, MCPSESS_FLAG_CLEAR};
    static const char *const odd[] = {"+0\r\n", "$1\r\n0\r\n", "_\r\n", "$-1\r\n", "#t\r\n", ",0\r\n", "(0\r\n",
                                      "=5\r\ntxt:0\r\n", "*0\r\n", "*1\r\n:0\r\n", "%0\r\n", "~1\r\n:0\r\n",
                                      "-ERR inner\r\n", "!3\r\nERR\r\n", ":99\r\n"};
    static char text[256];
    char room[8];
    mcpsess_buf out;
    unsigned kind, place, n, cases = 0;
    let_server(&pranks[0]);
    begin(false, false);
    CHECK_EQ(load(), MCPSESS_MISS);
    for (kind = 0; kind < COUNT_OF(kinds); kind++) {
        bool value = reads(kinds[kind]);
        for (place = 0; place < 6; place++) {
            for (n = 0; n < COUNT_OF(odd); n++) {
                bool error = odd[n][0] == '-' || odd[n][0] == '!', number = odd[n][0] == ':';
                int want = place == 4 && error ? MCPSESS_REDIS_E_SERVER : UNKNOWN;
                if ((place == 3 && !value) || (number && (place == 1 || place == 2))) continue;
                if (value && place == 3 && odd[n][0] == '$' && odd[n][1] == '1') continue;
                compose(text, sizeof text, place, odd[n], kinds[kind]);
                server.answer = text; /* read after the command has come */
                mcpsess_buf_init(&out, room, sizeof room);
                if (!CHECK_EQ(ask_kind(kinds[kind], &out), want) || !CHECK_EQ(out.len, 0)) tap_note(text, kinds[kind]);
                cases++;
            }
        }
    }
    server.answer = NULL;
    tap_note("cases", cases);
    CHECK_EQ(load(), MCPSESS_MISS);
}

/* -- many under way -- */

#define MANY 6u

/* Pushes between, and in front of, the answers of a pipeline. */
TEST(pushes_in_the_middle_of_a_pipeline) {
    static const prank pushing = {.on = "ECHO",
                                  .head = ">2\r\n+invalidate\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n>1\r\n+other\r\n",
                                  .answers = true,
                                  .after = ">2\r\n+invalidate\r\n_\r\n"};
    static const mcpsess_str argv[] = {LIT("ECHO"), LIT("x")};
    static char rooms[MANY][16];
    mcpsess_redis_op ops[MANY];
    mcpsess_buf replies[MANY];
    unsigned n;
    let_server(&pushing);
    begin(false, false);
    for (n = 0; n < MANY; n++) {
        mcpsess_op_init(&ops[n].op, 0);
        mcpsess_buf_init(&replies[n], rooms[n], sizeof rooms[n]);
        CHECK_EQ(mcpsess_redis_cmd(&t.redis, &ops[n], argv, 2, &replies[n], now()), MCPSESS_PENDING);
    }
    for (n = 0; n < MANY; n++) {
        while (mcpsess_op_rc(&ops[n].op) == MCPSESS_PENDING)
            (void)poll_once(&ops[n].op, mcpsess_want(&ops[n].op), mcpsess_next_due(&ops[n].op, now()));
        CHECK_EQ(mcpsess_op_rc(&ops[n].op), MCPSESS_OK);
        CHECK_STR(mcpsess_buf_str(&replies[n]), "+OK\r\n");
    }
    for (n = 0; n < 50 && t.redis.stats.pushes < 3 * MANY; n++) rest(20); /* the last ones */
    CHECK_EQ(t.redis.stats.pushes, 3 * MANY);
    CHECK_EQ(t.redis.stats.invalidations, 2 * MANY);
}

/* -- the rate of connecting -- */

/* Attempts in half a second, without jitter: 10 + 20 + 40 + 40 ... ms apart. */
TEST(whoever_hangs_up_is_not_called_too_often) {
    static const prank closes = {.on = "", .hangs_up = true}, later = {.on = "PING", .hangs_up = true};
    let_server(&closes);
    begin(false, false);
    rest(500);
    tap_note("connections in 500 ms, each closed at once", accepts());
    CHECK(accepts() >= 3 && accepts() <= 15);
    let_server(&later);
    begin(false, true);
    rest(500);
    tap_note("connections in 500 ms, each closed at the first ping", accepts());
    CHECK(accepts() >= 2 && accepts() <= 12);
}

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;
    if (argc != 2) return 2;
    port_init();
    snprintf(t.path, sizeof t.path, "%s/hostile", argv[1]);
    strcpy(address.sun_path, t.path);
    server.prank = &pranks[0];
    server.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(server.listener, (struct sockaddr *)(void *)&address, sizeof address) != 0) return 2;
    if (listen(server.listener, 16) != 0 || pthread_create(&thread, NULL, serve_all, NULL) != 0) return 2;
    all_pranks();
    RUN(every_type_in_every_place_of_every_answer);
    RUN(pushes_in_the_middle_of_a_pipeline);
    RUN(whoever_hangs_up_is_not_called_too_often);
    mcpsess_redis_close(&t.redis);
    pthread_mutex_lock(&server.lock);
    server.stop = true;
    pthread_mutex_unlock(&server.lock);
    pthread_join(thread, NULL);
    return tap_finish();
}
