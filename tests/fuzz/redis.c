/* The engine, the store and a command as an operation, on the wire of the unit tests, as the input says: what is
   asked, given up and waited for; what the server answers, in which pieces, and when it is gone; what callbacks do.
   After every step: the invariants hold, each request was done once, by its deadline and never after it was given up,
   and the engine comes to rest. A server that answers each command has its answers given to those who asked. */

#include <sanitizer/asan_interface.h>

#include "fuzz.h"
#include "mcpsess_redis.h"
#include "redis_wire.h"

#define POOL 6u
#define STEPS 300u
#define OWED 32u /* commands the server has not answered */
#define VALUE 24u

/* What the wire needs of the unit tests' harness; a check that fails ends the run. */
bool tap_check(bool ok, const char *file, int line, const char *what) {
    if (!ok) fuzz_fail(file, line, what);
    return ok;
}

bool tap_check_eq(int64_t got, int64_t want, const char *file, int line, const char *what) {
    return tap_check(got == want, file, line, what);
}

void tap_note(const char *text, int64_t number) {
    fprintf(stderr, "%s %lld\n", text, (long long)number);
}

static void *memory; /* of the engine, and not a byte more */

void *arena(uint64_t n) {
    memory = malloc((size_t)n);
    MUST(memory != NULL);
    return memory;
}

bool arena_intact(void) {
    return true;
}

/* -- what is asked -- */

typedef struct asked {
    wire_request q; /* first: a request is its asked */
    char words[16];
    uint64_t deadline_ms;
    unsigned asked_at; /* poll */
    bool pending;
} asked;

static struct {
    fuzz_source source;
    asked pool[POOL];
    unsigned place, act; /* what a callback does, and which */
    unsigned polls, number;

    mcpsess_redis_store store;
    mcpsess_store face;
    bool with_store;
    struct {
        mcpsess_flag_request q; /* or any other, which is shorter */
        mcpsess_buf out;
        unsigned asked_at; /* poll */
        bool pending;
    } stored[3];

    mcpsess_redis_op op;
    mcpsess_buf reply;
    unsigned op_asked_at;

    enum { HELLO, TIME, LOAD, EVALSHA, ECHO, OTHER } owed[OWED];
    const mcpsess_redis_script *scripts[OWED];
    char echo[OWED][4];
    unsigned owed_count, opens;
    bool honest; /* on this connection each command was answered with its own answer */
    mcpsess_resp resp;
} f;

static const mcpsess_str key = LIT("id");
static const mcpsess_str argv[] = {LIT("GET"), LIT("key")};

static unsigned byte(void) {
    return fuzz_byte(&f.source);
}

/* Any instant: passed already, soon, late, none. */
static uint64_t any_deadline(void) {
    static const uint32_t after[] = {0, 1, 50, 200, 1500, 20000};
    unsigned n = byte() % 8;
    if (n == 6) return MCPSESS_NEVER;
    return n == 7 ? 0 : wire.now + after[n];
}

static uint64_t by(uint64_t deadline_ms) {
    return deadline_ms != 0 ? deadline_ms : wire.now + wire.redis.i.desc.timeout_ms;
}

enum { NOWHERE, IN_ENCODE, IN_ITEM, IN_DONE, IN_CHANGED, PLACES };

static void callback(unsigned place);

static void on_encode(wire_request *q) {
    (void)q;
    callback(IN_ENCODE);
}

static void on_item(wire_request *q) {
    (void)q;
    callback(IN_ITEM);
}

static void on_done(wire_request *q) {
    asked *self = (asked *)(void *)q;
    MUST(self->pending && q->done == 1);
    if (q->rc == MCPSESS_OK && f.honest && q->words == self->words)
        MUST(mcpsess_str_eq(mcpsess_str_of(q->text, q->text_len), mcpsess_str_z(strchr(self->words, ' ') + 1)));
    self->pending = false;
    ASAN_POISON_MEMORY_REGION(self, offsetof(asked, pending)); /* as if its owner had freed it */
    callback(IN_DONE);
}

/* One that hardly fits, or one whose answer is its number, three digits. */
static void submit(void) {
    static const char too_long[] = "ECHO a-word-that-is-longer-than-all-the-room-there-is-for-a-command-on-its-way";
    unsigned flags = byte(), n;
    uint64_t deadline_ms = any_deadline();
    const char *words;
    for (n = 0; n < POOL && f.pool[n].pending;) n++;
    if (n == POOL) return;
    ASAN_UNPOISON_MEMORY_REGION(&f.pool[n], sizeof f.pool[n]);
    snprintf(f.pool[n].words, sizeof f.pool[n].words, "ECHO %u", 100 + f.number++ % 900);
    words = flags >= 248 ? too_long : f.pool[n].words;
    f.pool[n].pending = wire_submit_by(&f.pool[n].q, words, flags & 3, deadline_ms) == MCPSESS_PENDING;
    f.pool[n].q.on_encode = on_encode;
    f.pool[n].q.on_item = on_item;
    f.pool[n].q.on_done = on_done;
    f.pool[n].deadline_ms = by(deadline_ms);
    f.pool[n].asked_at = f.polls;
    if (!f.pool[n].pending) ASAN_POISON_MEMORY_REGION(&f.pool[n], offsetof(asked, pending));
}

static void drop(void) {
    asked *self = &f.pool[byte() % POOL];
    if (!self->pending) return;
    mcpsess_redis_drop(&wire.redis, &self->q);
    self->pending = false;
    ASAN_POISON_MEMORY_REGION(self, offsetof(asked, pending));
}

/* -- the store, the operation -- */

/* A request that is done is its owner's. */
static bool stored_pending(unsigned n) {
    f.stored[n].pending = f.stored[n].pending && f.stored[n].q.request.rc == MCPSESS_PENDING;
    return f.stored[n].pending;
}

static void store_submit(void) {
    unsigned n = byte() % 3, what = byte();
    mcpsess_request *r = &f.stored[n].q.request;
    if (!f.with_store || stored_pending(n)) return;
    ASAN_UNPOISON_MEMORY_REGION(&f.stored[n].q, sizeof f.stored[n].q);
    memset(&f.stored[n].q, 0, sizeof f.stored[n].q);
    f.stored[n].out.len = 3;
    r->kind = (uint8_t)(what < 96 ? MCPSESS_GET : what % MCPSESS_FLAG_CLEAR + 1);
    r->mode = (uint8_t)(byte() % 4);
    r->key = key;
    r->value = r->expect = f.stored[n].q.data = MCPSESS_STR("token");
    r->ttl_ms = byte() % 2 != 0 ? 1000 : 0;
    r->deadline_ms = any_deadline();
    if (what % 4 != 0) r->out = &f.stored[n].out;
    f.stored[n].asked_at = f.polls;
    f.stored[n].pending = f.face.cls->submit(f.face.self, r, wire.now) == MCPSESS_PENDING;
    MUST(f.stored[n].pending == (r->rc == MCPSESS_PENDING));
}

static void store_cancel(void) {
    unsigned n = byte() % 3;
    if (!stored_pending(n)) return;
    f.face.cls->cancel(f.face.self, &f.stored[n].q.request);
    MUST(f.stored[n].q.request.rc == MCPSESS_E_CANCELED);
    f.stored[n].pending = false;
    ASAN_POISON_MEMORY_REGION(&f.stored[n].q, sizeof f.stored[n].q);
}

static void op_step(void) {
    unsigned what = byte();
    wire.sends = wire.recvs = 0;
    if (mcpsess_op_rc(&f.op.op) != MCPSESS_PENDING) {
        mcpsess_op_init(&f.op.op, what % 4 * 300u);
        f.reply.len = 3;
        f.op_asked_at = f.polls++;
        (void)mcpsess_redis_cmd(&wire.redis, &f.op, argv, 2, &f.reply, wire.now);
    } else if (what % 4 == 0) {
        mcpsess_cancel(&f.op.op);
    } else {
        f.polls++;
        (void)mcpsess_poll(&f.op.op, wire.now);
    }
    MUST(wire.sends <= 1 && wire.recvs <= 1);
}

/* -- what callbacks do -- */

static void callback(unsigned place) {
    if (place != f.place) return;
    f.place = NOWHERE; /* once */
    switch (f.act % 9) {
    case 0: submit(); break;
    case 1: drop(); break;
    case 2: mcpsess_redis_close(&wire.redis); break;
    case 3: MUST(mcpsess_redis_reset(&wire.redis, wire.now) == MCPSESS_OK); break;
    case 4: MUST(mcpsess_redis_hear(&wire.redis, wire.now) != MCPSESS_OK); break;
    case 5: MUST(mcpsess_redis_poll(&wire.redis, wire.now) == MCPSESS_PENDING); break;
    case 6: store_submit(); break;
    case 7: store_cancel(); break;
    default:
        if (place == IN_ITEM) mcpsess_redis_refuse(&wire.redis);
        break;
    }
}

static void on_changed(void) {
    callback(IN_CHANGED);
}

/* -- the server -- */

static const mcpsess_redis_script *script_of(mcpsess_str text) {
    const mcpsess_redis_module *m;
    unsigned n;
    for (m = wire.redis.i.modules; m != NULL; m = m->i.next) {
        for (n = 0; n < m->script_count; n++) {
            if (mcpsess_str_eq(text, mcpsess_str_of(m->scripts[n].text, m->scripts[n].len))) return &m->scripts[n];
        }
    }
    return NULL;
}

static void note_command(const mcpsess_str *words, size_t count) {
    unsigned kind = OTHER;
    if (f.owed_count == OWED) return;
    if (mcpsess_str_eq(words[0], MCPSESS_STR("HELLO"))) kind = HELLO;
    if (mcpsess_str_eq(words[0], MCPSESS_STR("TIME"))) kind = TIME;
    if (mcpsess_str_eq(words[0], MCPSESS_STR("EVALSHA"))) kind = EVALSHA;
    if (mcpsess_str_eq(words[0], MCPSESS_STR("ECHO")) && count == 2 && words[1].len == 3) kind = ECHO;
    if (kind == ECHO) memcpy(f.echo[f.owed_count], words[1].ptr, 3);
    f.scripts[f.owed_count] = count == 3 ? script_of(words[2]) : NULL;
    if (f.scripts[f.owed_count] != NULL) kind = LOAD;
    f.owed[f.owed_count++] = kind;
}

/* Takes all whole commands that were sent. That they are commands is what is checked here. */
static void meet(void) {
    mcpsess_str in = mcpsess_str_of(wire.sent, wire.sent_len), words[8];
    mcpsess_resp_item item;
    size_t count = 0;
    int rc;
    if (f.opens != wire.opens) {
        mcpsess_resp_desc limits = {0, 0, WIRE_MAX, 0};
        mcpsess_resp_init(&f.resp, &limits);
        f.opens = wire.opens;
        f.owed_count = 0;
        f.honest = true;
    }
    for (;;) {
        const char *from = in.ptr;
        while ((rc = mcpsess_resp_next(&f.resp, &in, &item)) == MCPSESS_OK && !item.ends) {
            MUST(item.depth != 0 || item.type == MCPSESS_RESP_ARRAY);
            if (item.depth == 1 && count < 8) words[count++] = item.text;
        }
        MUST(rc >= 0);
        if (rc == MCPSESS_PENDING) { /* half a command is looked at again */
            mcpsess_resp_desc limits = {0, 0, WIRE_MAX, 0};
            mcpsess_resp_init(&f.resp, &limits);
            in = mcpsess_str_of(from, (size_t)(wire.sent + wire.sent_len - from));
            break;
        }
        MUST(item.depth == 1);
        if (count < 8) words[count++] = item.text;
        note_command(words, count);
        count = 0;
    }
    memmove(wire.sent, in.ptr, in.len);
    wire.sent_len = (uint16_t)in.len;
}

static void feed(mcpsess_str bytes) {
    if (!wire.open) return;
    if (bytes.len > WIRE_MAX - wire.fed_len) {
        bytes.len = WIRE_MAX - wire.fed_len;
        f.honest = false;
    }
    memcpy(wire.fed + wire.fed_len, bytes.ptr, bytes.len);
    wire.fed_len = (uint16_t)(wire.fed_len + bytes.len);
}

static void feed_z(const char *bytes) {
    feed(mcpsess_str_z(bytes));
}

/* As a script of the store answers, more or less. */
static void feed_numbers(void) {
    static const int64_t numbers[] = {0, 0, 0, 0, 1, 2, 4, 5, 6, -1, -4, 1000, 1000, INT64_MAX, INT64_MIN, 7};
    static const char bytes[] = "0123456789ABCDEFGHIJ0123456789AB";
    char room[128];
    mcpsess_buf b;
    unsigned shape = byte(), n;
    bool value = shape % 4 == 0;
    mcpsess_buf_init(&b, room, sizeof room);
    mcpsess_resp_put_number(&b, MCPSESS_RESP_ARRAY, value ? 4 : 3);
    for (n = 0; n < 3; n++) mcpsess_resp_put_number(&b, MCPSESS_RESP_INTEGER, numbers[byte() % 16]);
    if (value) mcpsess_resp_put_bytes(&b, MCPSESS_RESP_BULK, mcpsess_str_of(bytes, shape / 4 % 33));
    feed(mcpsess_buf_str(&b));
}

static void forget_owed(void) {
    unsigned n;
    f.owed_count--;
    for (n = 0; n < f.owed_count; n++) {
        f.owed[n] = f.owed[n + 1];
        f.scripts[n] = f.scripts[n + 1];
        memcpy(f.echo[n], f.echo[n + 1], sizeof f.echo[n]);
    }
}

static void answer(void) {
    const mcpsess_redis_script *script = f.scripts[0];
    if (f.owed_count == 0) return;
    switch (f.owed[0]) {
    case HELLO: feed_z("%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n"); break;
    case TIME: feed_z("*2\r\n$10\r\n1700000000\r\n$6\r\n250000\r\n"); break;
    case LOAD:
        feed_z("$40\r\n");
        feed(mcpsess_str_of(script->sha1, 40));
        feed_z("\r\n");
        break;
    case EVALSHA: feed_numbers(); break;
    case ECHO:
        feed_z("$3\r\n");
        feed(mcpsess_str_of(f.echo[0], 3));
        feed_z("\r\n");
        break;
    default: feed_z("+OK\r\n"); break;
    }
    forget_owed();
}

/* In the place of an answer, or besides. */
static void say(void) {
    static const char *const said[] = {
        ">2\r\n+invalidate\r\n*2\r\n$1\r\na\r\n$14\r\nmcpsess:r:{id}\r\n",
        ">2\r\n+invalidate\r\n_\r\n",
        ">3\r\n+message\r\n+a\r\n*2\r\n:1\r\n%1\r\n+a\r\n+b\r\n",
        "-NOSCRIPT No matching script.\r\n",
        "-LOADING Redis is loading\r\n",
        "-READONLY You can't write\r\n",
        "-NOAUTH Authentication required.\r\n",
        "-ERR unknown command\r\n",
        "-MOVED 1 127.0.0.1:1\r\n",
        "-NOPERM no\r\n",
        "!21\r\nSYNTAX invalid syntax\r\n",
        ">2\r\n+invalidate\r\n*1\r\n$200\r\n",
        "|1\r\n+ttl\r\n:3\r\n",
        "+OK\r\n",
        "_\r\n",
        "$100\r\n0123456789012345678901234567890123456789012345678901234567890123456789",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "-a very long error, which has no end for a while, and goes on and on, longer than the room for it is, ",
        "*-1\r\n",
        "*0\r\n",
        "\r\n",
        "*2\r\n$1\r\nx\r\n",
    };
    unsigned what = byte() % (sizeof said / sizeof said[0] + 1);
    if (what < sizeof said / sizeof said[0]) feed_z(said[what]);
    else feed(fuzz_slice(&f.source, 32));
    if (what < 3) return; /* pushes */
    if (byte() % 2 != 0 && f.owed_count != 0) forget_owed();
    f.honest = false;
}

/* -- steps -- */

static void check_deadlines(void) {
    unsigned n;
    for (n = 0; n < POOL; n++) {
        MUST(!f.pool[n].pending || f.pool[n].deadline_ms > wire.now || f.pool[n].asked_at == f.polls);
    }
    for (n = 0; n < 3; n++) {
        mcpsess_request *r = &f.stored[n].q.request;
        if (!f.stored[n].pending) continue;
        MUST(f.stored[n].out.len >= 3 && f.stored[n].out.len <= VALUE);
        MUST(r->rc != MCPSESS_PENDING || r->left_ms > wire.now || f.stored[n].asked_at == f.polls);
        if (r->rc != MCPSESS_OK && r->rc != MCPSESS_EXISTS) MUST(f.stored[n].out.len == 3);
        (void)stored_pending(n);
    }
    MUST(f.reply.len >= 3 && (mcpsess_op_rc(&f.op.op) == MCPSESS_OK || mcpsess_op_rc(&f.op.op) == MCPSESS_PENDING ||
                              f.reply.len == 3));
}

static void poll_once(void) {
    f.polls++;
    (void)wire_poll();
    meet();
    check_deadlines();
}

/* Everything that could change when a poll had something to do. */
static uint64_t progress(void) {
    const mcpsess_redis_stats *s = &wire.redis.stats;
    return s->bytes_sent + s->bytes_received + wire.opens + wire.closes + wire.ended + s->commands + s->late_replies +
           s->reloads + s->replies;
}

/* Polls as a sleeper would, until there is nothing to do at this instant. */
static void settle(void) {
    unsigned idle = 0, turns;
    for (turns = 0; turns < 3u * WIRE_MAX; turns++) {
        uint64_t before = progress();
        unsigned want = mcpsess_redis_want(&wire.redis);
        bool ready = (want & MCPSESS_WANT_NOW) != 0 || mcpsess_redis_next_due(&wire.redis, wire.now) <= wire.now;
        if (wire.open && (want & MCPSESS_WANT_READ) != 0)
            ready = ready || (wire.fed_at != wire.fed_len ? wire.recv_max != 0 : wire.recv_dead);
        if (wire.open && (want & MCPSESS_WANT_WRITE) != 0) ready = ready || wire.send_max != 0 || wire.send_dead;
        if (!ready) return;
        poll_once();
        idle = progress() == before ? idle + 1 : 0;
        MUST(idle < 4);
    }
    fuzz_fail(__FILE__, __LINE__, "comes to rest");
}

static void pass_time(void) {
    static const uint32_t ms[] = {1, 7, 50, 120, 400, 1000, 3000, 20000};
    wire.now += ms[byte() % 8];
}

static void go_wrong(void) {
    static const uint16_t most[] = {0, 1, 2, 7, 30, UINT16_MAX};
    switch (byte() % 6) {
    case 0: wire.send_max = most[byte() % 6]; break;
    case 1: wire.recv_max = most[byte() % 6]; break;
    case 2: wire.send_dead = !wire.send_dead; break;
    case 3: wire.recv_dead = !wire.recv_dead; break;
    case 4: wire.open_rc = (int)(byte() % 3) - 1; break;
    default:
        wire.open_rc = 1;
        wire.send_dead = wire.recv_dead = false;
        wire.send_max = wire.recv_max = UINT16_MAX;
        break;
    }
}

/* All of the handshake, and more. */
static void answer_all(void) {
    unsigned n;
    for (n = 0; n < 16; n++) {
        settle();
        answer();
    }
    settle();
}

static void step(void) {
    unsigned n;
    switch (byte() % 24) {
    case 0:
    case 1: poll_once(); break;
    case 2:
    case 3: settle(); break;
    case 4:
    case 5:
    case 6: submit(); break;
    case 7: drop(); break;
    case 8:
    case 9: store_submit(); break;
    case 10: store_cancel(); break;
    case 11:
    case 12: answer(); break;
    case 13: answer_all(); break;
    case 14:
    case 15:
    case 16: say(); break;
    case 17: pass_time(); break;
    case 18:
        if (mcpsess_redis_next_due(&wire.redis, wire.now) != MCPSESS_NEVER)
            wire.now = mcpsess_redis_next_due(&wire.redis, wire.now);
        break;
    case 19: go_wrong(); break;
    case 20: op_step(); break;
    case 21:
        f.place = byte() % PLACES;
        f.act = byte();
        break;
    case 22:
        wire.sends = wire.recvs = 0;
        (void)mcpsess_redis_hear(&wire.redis, wire.now);
        MUST(wire.sends == 0 && wire.recvs <= 1);
        break;
    default:
        n = byte() % 16;
        if (n == 0) mcpsess_redis_close(&wire.redis);
        else if (n == 1) f.face.cls->close(f.face.self);
        else if (n < 6) MUST(mcpsess_redis_reset(&wire.redis, wire.now) == MCPSESS_OK);
        else wire_doze();
        break;
    }
    MUST(mcpsess_redis_check(&wire.redis) == MCPSESS_OK && !wire.misuse);
    meet();
}

static void begin(void) {
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    mcpsess_redis_desc d = wire_desc();
    unsigned flags = byte(), n;
    d.patient = (flags & 1) != 0;
    d.resp2 = (flags & 2) != 0;
    d.tracking = (uint8_t)(flags >> 2 & 3);
    f.with_store = (flags & 16) != 0;
    if ((flags & 32) != 0) d.password = MCPSESS_STR("secret");
    d.tx_bytes = (f.with_store ? 1200u : 90u) + byte();
    d.rx_bytes = 64u + byte();
    d.random = wire_random;
    d.timeout_ms = 2000;
    wire_init(&d);
    memset(wire.random, 0x80, sizeof wire.random);
    wire.on_changed = on_changed;
    if ((flags & 64) != 0) {
        wire_module.scripts = wire_scripts;
        wire_module.script_count = 2;
    }
    wire_module.prefix = MCPSESS_STR("other:");
    MUST(mcpsess_redis_attach(&wire.redis, &wire_module) == MCPSESS_OK);
    sd.redis = &wire.redis;
    if (f.with_store) MUST(mcpsess_redis_store_init(&f.store, &sd) == MCPSESS_OK);
    f.face = mcpsess_redis_store_store(&f.store);
    for (n = 0; n < 3; n++) f.stored[n].out = fuzz_buf(VALUE);
    f.reply = fuzz_buf(40);
    f.reply.len = 3;
    mcpsess_op_init(&f.op.op, 0);
}

/* All that is still pending ends when the engine is closed, and nothing is called after that. */
static void end(void) {
    unsigned n, ended;
    f.place = NOWHERE;
    mcpsess_redis_close(&wire.redis);
    for (n = 0; n < POOL; n++) MUST(!f.pool[n].pending);
    for (n = 0; n < 3; n++) MUST(!stored_pending(n));
    MUST(mcpsess_op_rc(&f.op.op) != MCPSESS_PENDING);
    MUST(!wire.open && wire.redis.i.used == 0);
    ended = wire.ended;
    MUST(wire_poll() == MCPSESS_E_CLOSED && wire_run() == MCPSESS_E_CLOSED && wire.ended == ended);
    for (n = 0; n < 3; n++) free(f.stored[n].out.ptr);
    free(f.reply.ptr);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned steps;
    ASAN_UNPOISON_MEMORY_REGION(&f, sizeof f);
    memset(&f, 0, sizeof f);
    f.source.data = data;
    f.source.size = size;
    begin();
    if (fuzz_byte(&f.source) % 4 != 0) answer_all();
    for (steps = 0; steps < STEPS && f.source.size != 0; steps++) step();
    end();
    return 0;
}
