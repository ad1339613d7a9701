/* Random commands, splits, delays, losses, drops and deadlines, against a server that notes what it has done. */

#include "redis_wire.h"

#if PORT_SMALL
#define LIFE 60u /* commands of one engine */
#else
#define LIFE 250u
#endif
#define POOL (WIRE_SLOTS + 2u)
#define LIVES (1u + (uint32_t)(PORT_ROUNDS / 2000u))

typedef struct numbered {
    wire_request q; /* first: a request is its numbered */
    char words[16];
    uint16_t number;
    uint8_t flags;
    bool pending;
} numbered;

static struct {
    numbered pool[POOL];
    uint16_t submitted;
    uint8_t executed[LIFE]; /* times the server did it */
    bool void_of[LIFE];     /* it was said that it was not, and will not be */
    bool once[LIFE];        /* it may not be repeated */
    uint16_t last_raw, last_script;
    uint16_t ended, answered;
    bool calm; /* nothing goes wrong from now on */

    /* the server */
    mcpsess_resp resp;
    mcpsess_str argv[3];
    char bytes[160];
    uint8_t argc, items, used;
    bool loaded[2];
    bool cut; /* what is on its way is lost */
    unsigned opens;
} m;

static bool one_in(uint32_t n) {
    return !m.calm && random_below(n) == 0;
}

/* -- the server -- */

static uint16_t number_of(mcpsess_str text) {
    uint64_t n = 0;
    CHECK_EQ(mcpsess_u64_decode(text, LIFE - 1, &n), MCPSESS_OK);
    return (uint16_t)n;
}

static void say(mcpsess_str s) {
    char room[48];
    CHECK(s.len < sizeof room);
    memcpy(room, s.ptr, s.len);
    room[s.len] = '\0';
    wire_feed(room);
}

/* The number in one of many forms; the items' texts, one behind the other, are the number. */
static void reply_number(mcpsess_str text) {
    char room[40];
    mcpsess_buf b;
    mcpsess_buf_init(&b, room, sizeof room);
    switch (random_below(4)) {
    case 0: mcpsess_resp_put_text(&b, MCPSESS_RESP_SIMPLE, text); break;
    case 1: mcpsess_resp_put_bytes(&b, MCPSESS_RESP_BULK, text); break;
    case 2:
        mcpsess_resp_put_number(&b, MCPSESS_RESP_ARRAY, 2);
        mcpsess_resp_put_bytes(&b, MCPSESS_RESP_BULK, mcpsess_str_of(NULL, 0));
        mcpsess_resp_put_text(&b, MCPSESS_RESP_INTEGER, text);
        break;
    default:
        mcpsess_resp_put_number(&b, MCPSESS_RESP_ATTRIBUTE, 1);
        mcpsess_resp_put_text(&b, MCPSESS_RESP_SIMPLE, MCPSESS_STR("k"));
        mcpsess_resp_put_number(&b, MCPSESS_RESP_INTEGER, 7);
        mcpsess_resp_put_text(&b, MCPSESS_RESP_SIMPLE, text);
        break;
    }
    say(mcpsess_buf_str(&b));
}

static void execute(uint16_t number, bool script) {
    uint16_t *last = script ? &m.last_script : &m.last_raw;
    CHECK(!m.void_of[number]);
    if (m.once[number]) CHECK_EQ(m.executed[number], 0);
    if (m.executed[number] == 0) CHECK(number >= *last); /* the order of a kind holds */
    if (m.executed[number]++ == 0) *last = number;
}

static void answer(void) {
    bool script = mcpsess_str_eq(m.argv[0], MCPSESS_STR("EVALSHA"));
    if (random_below(8) == 0) wire_feed(">2\r\n+invalidate\r\n*1\r\n$2\r\nxy\r\n");
    if (mcpsess_str_eq(m.argv[0], MCPSESS_STR("HELLO"))) {
        wire_feed("%1\r\n+proto\r\n:3\r\n");
    } else if (mcpsess_str_eq(m.argv[0], MCPSESS_STR("TIME"))) {
        wire_feed("*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n");
    } else if (mcpsess_str_eq(m.argv[0], MCPSESS_STR("SCRIPT"))) {
        unsigned n = m.argv[2].len == wire_scripts[0].len ? 0 : 1;
        m.loaded[n] = true;
        wire_feed_loaded(n);
    } else if (script && !(m.loaded[0] && m.loaded[1])) {
        wire_feed("-NOSCRIPT No matching script. Please use EVAL.\r\n");
    } else if (script || mcpsess_str_eq(m.argv[0], MCPSESS_STR("ECHO"))) {
        execute(number_of(m.argv[1]), script);
        reply_number(m.argv[1]);
    } else {
        wire_feed("+OK\r\n"); /* CLIENT TRACKING, PING */
    }
}

/* Takes an item of a command. */
static void note(const mcpsess_resp_item *item) {
    if (item->type == MCPSESS_RESP_ARRAY) {
        m.argc = m.used = 0;
        return;
    }
    CHECK(item->left == 0 && m.used + item->text.len <= sizeof m.bytes);
    memcpy(m.bytes + m.used, item->text.ptr, item->text.len);
    if (m.argc < 3) m.argv[m.argc++] = mcpsess_str_of(m.bytes + m.used, item->text.len);
    m.used = (uint8_t)(m.used + item->text.len);
}

/* Does what was sent to it, as long as there is room for replies, or its mood is good. */
static void serve(void) {
    mcpsess_str in = mcpsess_str_of(wire.sent, wire.sent_len);
    mcpsess_resp_item item;
    item.ends = false;
    while (wire.fed_len < WIRE_MAX - 200 && !(item.ends && one_in(6)) &&
           mcpsess_resp_next(&m.resp, &in, &item) == MCPSESS_OK) {
        note(&item);
        if (item.ends) answer();
    }
    memmove(wire.sent, in.ptr, in.len);
    wire.sent_len = (uint16_t)in.len;
}

static void new_connection(void) {
    mcpsess_resp_desc limits = {0, 0, 128, 0}; /* words come whole */
    mcpsess_resp_init(&m.resp, &limits);
    m.opens = wire.opens;
    m.cut = false;
}

/* What is left of an old connection, the server never sees. */
static void meet(void) {
    if (m.opens != wire.opens) new_connection();
    if (wire.open && !m.cut) serve();
}

/* -- its users -- */

static void submit_one(void);

static void ended(wire_request *q) {
    numbered *self = (numbered *)(void *)q;
    CHECK(self->pending);
    self->pending = false;
    m.ended++;
    if (q->rc == MCPSESS_OK) {
        char digits[8];
        mcpsess_buf b;
        mcpsess_buf_init(&b, digits, sizeof digits);
        mcpsess_buf_put_u64(&b, self->number);
        m.answered++;
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&b), mcpsess_str_of(q->text, q->text_len)));
        CHECK(m.executed[self->number] != 0);
    } else if (q->rc == MCPSESS_E_IO || q->rc == MCPSESS_E_CLOSED || q->rc == MCPSESS_REDIS_E_NOSCRIPT) {
        CHECK_EQ(m.executed[self->number], 0);
        m.void_of[self->number] = true; /* and never will be */
    } else {
        CHECK(q->rc == MCPSESS_E_TIMEOUT || q->rc == MCPSESS_E_UNKNOWN);
    }
    if (one_in(4)) submit_one();
}

static void submit_one(void) {
    static const uint8_t kinds[] = {0, MCPSESS_REDIS_REPEAT, MCPSESS_REDIS_SCRIPT,
                                    MCPSESS_REDIS_SCRIPT | MCPSESS_REDIS_REPEAT};
    uint64_t deadline_ms = random_below(3) == 0 ? wire.now + random_below(4000) : MCPSESS_NEVER;
    numbered *self = NULL;
    mcpsess_buf b;
    size_t n;
    int rc;
    for (n = 0; n < POOL; n++) {
        if (!m.pool[n].pending) self = &m.pool[n];
    }
    if (self == NULL || m.submitted == LIFE) return;
    self->flags = kinds[random_below(4)];
    self->number = m.submitted;
    memset(self->words, 0, sizeof self->words);
    mcpsess_buf_init(&b, self->words, sizeof self->words - 1);
    mcpsess_buf_put(&b, (self->flags & MCPSESS_REDIS_SCRIPT) != 0 ? MCPSESS_STR("EVALSHA ") : MCPSESS_STR("ECHO "));
    mcpsess_buf_put_u64(&b, self->number);
    rc = wire_submit_by(&self->q, self->words, self->flags, deadline_ms);
    self->q.on_done = ended;
    if (rc != MCPSESS_PENDING) {
        CHECK(rc == MCPSESS_E_FULL || rc == MCPSESS_E_IO);
        return;
    }
    m.once[m.submitted++] = (self->flags & MCPSESS_REDIS_REPEAT) == 0;
    self->pending = true;
}

static void drop_one(void) {
    numbered *self = &m.pool[random_below(POOL)];
    if (!self->pending) return;
    mcpsess_redis_drop(&wire.redis, &self->q);
    self->pending = false;
    m.ended++;
}

/* -- what goes wrong -- */

static void mishap(void) {
    switch (random_below(10)) {
    case 0:
        wire.recv_dead = true;
        m.cut = random_below(2) == 0;
        break;
    case 1: wire.send_dead = true; break;
    case 2: wire.open_rc = (int)random_below(3) - 1; break;
    case 3: m.loaded[random_below(2)] = false; break;
    case 4: wire.now += 10000; break; /* nobody polled */
    case 5: wire.send_max = 0; break;
    case 6: wire.recv_max = 0; break;
    case 7:
        if (random_below(8) == 0) CHECK_EQ(mcpsess_redis_reset(&wire.redis, wire.now), MCPSESS_OK);
        break;
    default: drop_one(); break;
    }
}

static void turn(void) {
    bool was_open = wire.open;
    wire.send_max = (uint16_t)(1 + random_below(random_below(2) == 0 ? 4 : 300));
    wire.recv_max = (uint16_t)(1 + random_below(random_below(2) == 0 ? 4 : 300));
    if (random_below(3) == 0) submit_one();
    if (one_in(30)) mishap();
    if (random_below(6) == 0) (void)mcpsess_redis_hear(&wire.redis, wire.now);
    (void)wire_poll();
    if (!wire.open || !was_open) wire.recv_dead = wire.send_dead = false;
    if (!wire.open && random_below(4) != 0) wire.open_rc = 1;
    meet();
    if (random_below(4) == 0) wire_doze();
    wire.now += random_below(random_below(10) == 0 ? 400 : 3);
}

static void calm_turn(void) {
    wire.send_max = wire.recv_max = UINT16_MAX;
    wire.recv_dead = m.cut;
    (void)wire_poll();
    meet();
}

/* All is well again: what is left comes to its end, without the clock's help but for the backoff. */
static void calm_down(void) {
    unsigned turns;
    m.calm = true;
    wire.open_rc = 1;
    wire.send_dead = false;
    for (turns = 0; turns < 4000 && m.ended < m.submitted; turns++) {
        calm_turn();
        if (!wire.open) wire.now += 50;
    }
    CHECK_EQ(m.ended, m.submitted);
    for (turns = 0; turns < 100; turns++) calm_turn();
    CHECK_EQ(mcpsess_redis_poll(&wire.redis, wire.now), wire.open ? MCPSESS_OK : MCPSESS_PENDING);
}

static void live(void) {
    mcpsess_redis_desc d = wire_desc();
    unsigned turns;
    memset(&m, 0, sizeof m);
    d.patient = random_below(2) == 0;
    d.random = wire_random;
    d.tx_bytes = 64 + random_below(100);
    d.rx_bytes = 64 + random_below(100);
    wire_init(&d);
    wire_module.scripts = wire_scripts;
    wire_module.script_count = 2;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    new_connection();
    for (turns = 0; turns < 40000u && m.submitted < LIFE; turns++) turn();
    calm_down();
}

TEST(whatever_happens_the_outcomes_are_honest) {
    uint32_t life, answered = 0, submitted = 0, unknown = 0, reloads = 0, late = 0;
    for (life = 0; life < LIVES; life++) {
        tap_seed(life + 1);
        live();
        answered += m.answered;
        submitted += m.submitted;
        unknown += wire.redis.stats.unknown;
        reloads += wire.redis.stats.reloads;
        late += wire.redis.stats.late_replies;
    }
    tap_note("commands", submitted);
    tap_note("answered", answered);
    tap_note("unknown", unknown);
    tap_note("late replies", late);
    tap_note("reloads", reloads);
    CHECK(answered > submitted / 3);
}

void test_redis_model(void) {
    RUN(whatever_happens_the_outcomes_are_honest);
}
