#include "redis_wire.h"

struct redis_wire wire;

/* -- the wire -- */

static int end_open(void *user) {
    (void)user;
    wire.opens++;
    if (wire.open) wire.misuse = true;
    wire.begun = true;
    if (wire.open_rc <= 0) return wire.open_rc;
    wire.open = true;
    wire.sent_len = 0; /* what nobody looked at went with the old connection */
    return wire.open_rc;
}

static int end_send(void *user, const void *bytes, size_t len) {
    (void)user;
    wire.sends++;
    if (!wire.open || len == 0 || len > 32767u) wire.misuse = true;
    if (wire.send_dead) return -1;
    if (len > wire.send_max) len = wire.send_max;
    if (len > WIRE_MAX - wire.sent_len) wire.misuse = true;
    if (wire.misuse) return -1;
    memcpy(wire.sent + wire.sent_len, bytes, len);
    wire.sent_len = (uint16_t)(wire.sent_len + len);
    return (int)len;
}

static int end_recv(void *user, void *bytes, size_t len) {
    (void)user;
    wire.recvs++;
    if (!wire.open || len == 0 || len > 32767u) wire.misuse = true;
    if (wire.fed_at == wire.fed_len) return wire.recv_dead ? -1 : 0;
    if (len > wire.recv_max) len = wire.recv_max;
    if (len > (size_t)(wire.fed_len - wire.fed_at)) len = (size_t)(wire.fed_len - wire.fed_at);
    memcpy(bytes, wire.fed + wire.fed_at, len);
    wire.fed_at = (uint16_t)(wire.fed_at + len);
    if (wire.fed_at == wire.fed_len) wire.fed_at = wire.fed_len = 0;
    return (int)len;
}

static void end_close(void *user) {
    (void)user;
    wire.closes++;
    wire.begun = wire.open = false;
    wire.fed_at = wire.fed_len = 0;
}

/* -- the hooks -- */

int wire_random(void *user, void *dst, size_t len) {
    (void)user;
    if (len > sizeof wire.random) return -1;
    memcpy(dst, wire.random, len);
    return wire.random_fails ? -1 : 0;
}

/* As much of s as there is room for, terminated. */
static void keep(char *room, size_t cap, mcpsess_str s) {
    size_t n = s.len < cap - 1 ? s.len : cap - 1;
    if (n != 0) memcpy(room, s.ptr, n);
    room[n] = '\0';
}

static void hook_log(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)user;
    if (!CHECK(level >= MCPSESS_LOG_ERROR && level <= MCPSESS_LOG_INFO && item >= 64 && item < 80)) return;
    wire.logged[item - 64]++;
    wire.log_number = number;
    keep(wire.log_text, sizeof wire.log_text, key);
    if (wire.on_log != NULL) wire.on_log(item);
}

static void hook_changed(void *user, mcpsess_str key) {
    CHECK(user == &wire);
    wire.changes++;
    if (key.len == 0) wire.any++;
    keep(wire.changed, sizeof wire.changed, key);
    if (wire.on_changed != NULL) wire.on_changed();
}

static void hook_push(void *user, const mcpsess_resp_item *item) {
    CHECK(user == &wire && item->text.len <= WIRE_RX);
    wire.pushed++;
}

mcpsess_redis_module wire_module;

static const char text_1[] MCPSESS_ROM = "return 1";
/* longer than the least tx: it goes in pieces */
static const char text_2[] MCPSESS_ROM = "return 22 -- 2222222222222222222222222222222222222222222222222222222222";
static const char sha1_1[] MCPSESS_ROM = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
static const char sha1_2[] MCPSESS_ROM = "0123456789012345678901234567890123456789";
const mcpsess_redis_script wire_scripts[2] = {{text_1, sha1_1, sizeof text_1 - 1},
                                              {text_2, sha1_2, sizeof text_2 - 1}};

/* n bytes of a text that may be in flash, terminated; lives until the next call. */
static const char *from_rom(const char *text, size_t n) {
    static char room[sizeof text_2];
    size_t at;
    for (at = 0; at < n; at++) room[at] = (char)MCPSESS_ROM_U8(text + at);
    room[n] = '\0';
    return room;
}

/* -- commands -- */

static size_t split(const char *words, mcpsess_str *argv) {
    size_t argc = 0, n;
    for (;; words += n + 1) {
        for (n = 0; words[n] != '\0' && words[n] != ' ';) n++;
        argv[argc++] = mcpsess_str_of(words, n);
        if (words[n] == '\0') return argc;
    }
}

static void request_encode(void *user, void *request, mcpsess_buf *out) {
    wire_request *q = (wire_request *)request;
    mcpsess_str argv[WIRE_WORDS];
    CHECK(user == &wire && q->done == 0);
    q->encoded++;
    q->items = 0;
    q->text_len = 0;
    if (mcpsess_resp_put_command(out, argv, split(q->words, argv)) != MCPSESS_OK) out->overflow = true;
    if (q->on_encode != NULL) q->on_encode(q);
}

static void request_item(void *user, void *request, const mcpsess_resp_item *item, mcpsess_str raw) {
    wire_request *q = (wire_request *)request;
    size_t n = item->text.len;
    CHECK(user == &wire && q->done == 0 && raw.len >= n && raw.len != 0);
    q->items++;
    if (n > sizeof q->text - q->text_len) n = sizeof q->text - q->text_len;
    if (n != 0) memcpy(q->text + q->text_len, item->text.ptr, n);
    q->text_len = (uint8_t)(q->text_len + n);
    if (q->on_item != NULL) q->on_item(q);
}

static void request_done(void *user, void *request, int rc, uint64_t now_ms) {
    wire_request *q = (wire_request *)request;
    CHECK(user == &wire && rc != MCPSESS_PENDING && now_ms <= wire.now);
    wire.ended++;
    q->done++;
    q->rc = rc;
    if (q->on_done != NULL) q->on_done(q);
}

const mcpsess_redis_class wire_class = {request_encode, request_item, request_done};

int wire_submit_by(wire_request *q, const char *words, unsigned flags, uint64_t deadline_ms) {
    memset(q, 0, sizeof *q);
    q->words = words;
    q->rc = MCPSESS_PENDING;
    return mcpsess_redis_submit(&wire.redis, &wire_class, &wire, q, flags, deadline_ms, wire.now);
}

int wire_submit(wire_request *q, const char *words, unsigned flags) {
    return wire_submit_by(q, words, flags, MCPSESS_NEVER);
}

bool wire_ended(const wire_request *q, int rc) {
    if (q->done == 1 && q->rc == rc) return true;
    tap_note("times done", (int64_t)q->done);
    tap_note("with", q->rc);
    return false;
}

bool wire_answered(const wire_request *q, const char *text) {
    if (!wire_ended(q, MCPSESS_OK)) return false;
    return mcpsess_str_eq(mcpsess_str_of(q->text, q->text_len), mcpsess_str_z(text));
}

/* -- the engine -- */

mcpsess_redis_desc wire_desc(void) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    d.transport.open = end_open;
    d.transport.send = end_send;
    d.transport.recv = end_recv;
    d.transport.close = end_close;
    d.slots = WIRE_SLOTS;
    d.tx_bytes = WIRE_TX;
    d.rx_bytes = WIRE_RX;
    d.backoff_min_ms = 100;
    d.backoff_max_ms = 1000;
    d.log.log = hook_log;
    return d;
}

void wire_init(const mcpsess_redis_desc *d) {
    size_t bytes = mcpsess_redis_bytes(d);
    memset(&wire, 0, sizeof wire);
    wire.now = 1000000;
    wire.send_max = wire.recv_max = UINT16_MAX;
    wire.open_rc = 1;
    memset(&wire_module, 0, sizeof wire_module);
    wire_module.changed = hook_changed;
    wire_module.push = hook_push;
    wire_module.user = &wire;
    CHECK_EQ(mcpsess_redis_init(&wire.redis, d, arena(bytes), bytes), MCPSESS_OK);
}

int wire_poll(void) {
    int rc;
    wire.sends = wire.recvs = 0;
    rc = mcpsess_redis_poll(&wire.redis, wire.now);
    CHECK(wire.sends <= 1 && wire.recvs <= 1 && !wire.misuse);
    CHECK(wire.begun == ((mcpsess_redis_want(&wire.redis) & MCPSESS_WANT_READ) != 0));
    CHECK_EQ(mcpsess_redis_check(&wire.redis), MCPSESS_OK);
    CHECK(arena_intact());
    return rc;
}

int wire_poll_at(uint64_t ms) {
    wire.now += ms;
    return wire_poll();
}

int wire_run(void) {
    int rc = wire_poll(), rounds = 1000;
    while (--rounds > 0) {
        unsigned want = mcpsess_redis_want(&wire.redis);
        bool now = (want & MCPSESS_WANT_NOW) != 0 || mcpsess_redis_next_due(&wire.redis, wire.now) <= wire.now;
        bool readable = (want & MCPSESS_WANT_READ) != 0 && wire.open && (wire.fed_at != wire.fed_len || wire.recv_dead);
        if (!now && !readable && !((want & MCPSESS_WANT_WRITE) != 0 && wire.open && wire.send_max != 0)) break;
        rc = wire_poll();
    }
    CHECK(rounds > 0); /* it came to rest */
    return rc;
}

void wire_doze(void) {
    uint64_t due_ms = mcpsess_redis_next_due(&wire.redis, wire.now);
    unsigned want = mcpsess_redis_want(&wire.redis), ended = wire.ended, opens = wire.opens, closes = wire.closes;
    uint16_t sent_before = wire.sent_len, send_max = wire.send_max, recv_max = wire.recv_max;
    int open_rc = wire.open_rc;
    if ((want & MCPSESS_WANT_NOW) != 0 || due_ms <= wire.now || wire.recv_dead) return;
    if (wire.send_dead && (want & MCPSESS_WANT_WRITE) != 0) return;
    if (due_ms != MCPSESS_NEVER) wire.now = due_ms - 1;
    wire.send_max = wire.recv_max = 0;
    if ((want & MCPSESS_WANT_WRITE) != 0) wire.open_rc = 0;
    (void)wire_poll();
    CHECK(wire.sent_len == sent_before && wire.ended == ended && wire.closes == closes);
    CHECK(wire.opens == opens || (want & MCPSESS_WANT_WRITE) != 0);
    CHECK_EQ(mcpsess_redis_want(&wire.redis), want);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == due_ms);
    wire.send_max = send_max;
    wire.recv_max = recv_max;
    wire.open_rc = open_rc;
}

void wire_feed(const char *bytes) {
    size_t n = strlen(bytes);
    if (!CHECK(n <= WIRE_MAX - wire.fed_len)) return;
    memcpy(wire.fed + wire.fed_len, bytes, n);
    wire.fed_len = (uint16_t)(wire.fed_len + n);
}

void wire_feed_loaded(unsigned script) {
    wire_feed("$40\r\n");
    wire_feed(from_rom(wire_scripts[script].sha1, 40));
    wire_feed("\r\n");
}

static bool sent_argv(const mcpsess_str *argv, size_t argc) {
    char room[WIRE_TX + sizeof text_2];
    mcpsess_buf want;
    mcpsess_buf_init(&want, room, sizeof room);
    CHECK_EQ(mcpsess_resp_put_command(&want, argv, argc), MCPSESS_OK);
    if (want.len > wire.sent_len || memcmp(room, wire.sent, want.len) != 0) return false;
    wire.sent_len = (uint16_t)(wire.sent_len - want.len);
    memmove(wire.sent, wire.sent + want.len, wire.sent_len);
    return true;
}

bool wire_sent(const char *words) {
    mcpsess_str argv[WIRE_WORDS];
    return sent_argv(argv, split(words, argv));
}

bool wire_sent_load(unsigned script) {
    mcpsess_str argv[3] = {LIT("SCRIPT"), LIT("LOAD"), {NULL, 0}};
    argv[2] = mcpsess_str_z(from_rom(wire_scripts[script].text, wire_scripts[script].len));
    return sent_argv(argv, 3);
}

bool wire_silent(void) {
    return wire.sent_len == 0;
}

void wire_greet(void) {
    unsigned n;
    wire_run();
    CHECK(wire_sent("HELLO 3"));
    wire_feed("%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n");
    wire_run();
    CHECK(wire_sent("TIME"));
    wire_feed("*2\r\n$10\r\n1700000000\r\n$6\r\n250000\r\n");
    if (wire.redis.i.desc.tracking != MCPSESS_REDIS_TRACK_OFF) {
        CHECK(wire_sent("CLIENT TRACKING ON"));
        wire_feed("+OK\r\n");
    }
    for (n = 0; n < wire_module.script_count; n++) {
        CHECK(wire_sent_load(n));
        wire_feed_loaded(n);
    }
    wire.redis.i.tx_total = wire.redis.i.tx_done = UINT32_MAX - 50; /* soon 4 GiB: what counts them wraps in any test */
    CHECK_EQ(wire_run(), MCPSESS_OK);
}

void wire_start(const mcpsess_redis_desc *d) {
    wire_init(d);
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    wire_greet();
    CHECK(wire_silent());
    wire.changes = wire.any = 0;
}

void wire_start_default(void) {
    mcpsess_redis_desc d = wire_desc();
    wire_start(&d);
}
