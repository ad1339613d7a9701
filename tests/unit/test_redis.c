/* The engine over a transport in memory, on a clock of its own: what is sent is seen, what is answered is said. */

#include "mcpsess_redis.h"
#include "test_util.h"

#define SLOTS 4
#define BYTES 256
#define OUT 300

MCPSESS_REDIS_STORAGE(wire, SLOTS, BYTES, BYTES);

static struct {
    mcpsess_redis redis;
    uint64_t now;
    char out_mem[OUT]; /* what was sent and not looked at yet */
    mcpsess_buf out;
    mcpsess_str in; /* what the server has sent, and not been read yet */
    size_t recv_max, send_max;
    int open_rc;
    bool dead_send, dead_recv;
    unsigned opens, closes, changes, all_changed;
    char last_key[8];
} t;

static int t_open(void *user) {
    (void)user;
    t.opens++;
    return t.open_rc;
}

static int t_send(void *user, const void *bytes, size_t len) {
    (void)user;
    if (t.dead_send) return -1;
    if (len > t.send_max) len = t.send_max;
    mcpsess_buf_put(&t.out, mcpsess_str_of(bytes, len));
    return (int)len;
}

static int t_recv(void *user, void *bytes, size_t len) {
    (void)user;
    if (len > t.in.len) len = t.in.len;
    if (len > t.recv_max) len = t.recv_max;
    if (len == 0) return t.dead_recv ? -1 : 0;
    memcpy(bytes, t.in.ptr, len);
    t.in = mcpsess_str_of(t.in.ptr + len, t.in.len - len);
    return (int)len;
}

static void t_close(void *user) {
    (void)user;
    t.closes++;
}

static void changed(void *user, mcpsess_str key) {
    (void)user;
    if (key.len == 0) t.all_changed++;
    else t.changes++;
    if (key.len != 0 && key.len < sizeof t.last_key) memcpy(t.last_key, key.ptr, key.len);
}

static mcpsess_redis_module module;

static mcpsess_redis_desc desc(void) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    d.transport.open = t_open;
    d.transport.send = t_send;
    d.transport.recv = t_recv;
    d.transport.close = t_close;
    d.slots = SLOTS;
    d.tx_bytes = d.rx_bytes = BYTES;
    return d;
}

static void start_with(const mcpsess_redis_desc *d) {
    memset(&t, 0, sizeof t);
    mcpsess_buf_init(&t.out, t.out_mem, sizeof t.out_mem);
    t.now = 1000;
    t.open_rc = 1;
    t.recv_max = t.send_max = SIZE_MAX;
    CHECK_EQ(mcpsess_redis_init(&t.redis, d, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    memset(&module, 0, sizeof module);
    module.changed = changed;
    CHECK_EQ(mcpsess_redis_attach(&t.redis, &module), MCPSESS_OK);
}

static int poll(void) {
    int rc = mcpsess_redis_poll(&t.redis, t.now);
    CHECK_EQ(mcpsess_redis_check(&t.redis), MCPSESS_OK);
    return rc;
}

static void answer(const char *text) {
    CHECK_EQ(t.in.len, 0);
    t.in = mcpsess_str_z(text);
    (void)poll();
}

/* What was sent since last time, or so far. */
static bool sent(const char *text) {
    bool same = mcpsess_str_eq(mcpsess_buf_str(&t.out), mcpsess_str_z(text));
    t.out.len = 0;
    return same;
}

#define HELLO_3 "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
#define TIME_TRACK "*1\r\n$4\r\nTIME\r\n*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n"
#define TIME_REPLY "*2\r\n$10\r\n1700000000\r\n$6\r\n250999\r\n"

/* Through the handshake, to the state in which commands go out. */
static void greet(void) {
    (void)poll();
    CHECK(sent(HELLO_3));
    answer("%1\r\n+proto\r\n:3\r\n");
    (void)poll();
    CHECK(sent(TIME_TRACK));
    answer(TIME_REPLY "+OK\r\n");
    CHECK_EQ(poll(), MCPSESS_OK);
}

static void start(void) {
    mcpsess_redis_desc d = desc();
    start_with(&d);
    greet();
    t.all_changed = 0;
}

/* -- commands of the tests: one letter each -- */

typedef struct command {
    char letter;
    unsigned ends;
    int rc;
    int64_t number;
} command;

static void encode(void *user, void *request, mcpsess_buf *out) {
    (void)user;
    mcpsess_buf_put_char(out, ((command *)request)->letter);
}

static void item(void *user, void *request, const mcpsess_resp_item *i, mcpsess_str raw) {
    (void)user;
    (void)raw;
    ((command *)request)->number = i->number;
}

static void done(void *user, void *request, int rc, uint64_t now_ms) {
    (void)user;
    (void)now_ms;
    ((command *)request)->ends++;
    ((command *)request)->rc = rc;
}

static const mcpsess_redis_class letters = {encode, item, done};

static command a, b, c;

static int submit(command *cmd, char letter, unsigned flags, uint64_t deadline_ms) {
    memset(cmd, 0, sizeof *cmd);
    cmd->letter = letter;
    cmd->rc = MCPSESS_PENDING;
    return mcpsess_redis_submit(&t.redis, &letters, NULL, cmd, flags, deadline_ms, t.now);
}

static bool ended(const command *cmd, int rc) {
    return cmd->ends == 1 && cmd->rc == rc;
}

TEST(redis_handshake_byte_for_byte) {
    mcpsess_redis_desc d = desc();
    d.user = MCPSESS_STR("u");
    d.password = MCPSESS_STR("pw");
    d.name = MCPSESS_STR("n");
    d.db = 2;
    d.tracking = MCPSESS_REDIS_TRACK_PREFIXES;
    start_with(&d);
    module.prefix = MCPSESS_STR("p:");
    t.open_rc = 0;
    CHECK_EQ(poll(), MCPSESS_PENDING);
    CHECK_EQ(t.out.len, 0);
    t.open_rc = 1;
    (void)poll();
    CHECK(sent("*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$2\r\npw\r\n$7\r\nSETNAME\r\n$1\r\nn\r\n"));
    answer("%0\r\n");
    (void)poll();
    CHECK(
        sent("*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n*1\r\n$4\r\nTIME\r\n*6\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n"
             "$5\r\nBCAST\r\n$6\r\nPREFIX\r\n$2\r\np:\r\n"));
    answer("+OK\r\n" TIME_REPLY "+OK\r\n");
    CHECK_EQ(poll(), MCPSESS_OK);
    CHECK_EQ(mcpsess_redis_wall_ms(&t.redis, t.now + 5), UINT64_C(1700000000255));
    CHECK_EQ(t.all_changed, 1);
}

TEST(redis_old_server_gets_resp2) {
    mcpsess_redis_desc d = desc();
    d.password = MCPSESS_STR("pw");
    start_with(&d);
    (void)poll();
    t.out.len = 0;
    answer("-ERR unknown command 'HELLO'\r\n");
    (void)poll();
    CHECK(sent("*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n"));
    answer("+OK\r\n");
    (void)poll();
    CHECK(sent("*1\r\n$4\r\nTIME\r\n"));
    answer(TIME_REPLY);
    CHECK_EQ(poll(), MCPSESS_OK);
    CHECK_EQ(mcpsess_redis_hear(&t.redis, t.now), MCPSESS_STALE); /* nothing is told over RESP2 */
}

TEST(redis_wrong_password_is_final_until_reset) {
    mcpsess_redis_desc d = desc();
    start_with(&d);
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    (void)poll();
    answer("-WRONGPASS no\r\n");
    CHECK(ended(&a, MCPSESS_REDIS_E_WRONGPASS));
    CHECK_STR(mcpsess_redis_error(&t.redis), "WRONGPASS no");
    t.now += 100000;
    CHECK_EQ(poll(), MCPSESS_REDIS_E_WRONGPASS);
    CHECK_EQ(submit(&b, 'b', 0, 0), MCPSESS_REDIS_E_WRONGPASS);
    CHECK_EQ(t.opens, 1);
    CHECK_EQ(mcpsess_redis_reset(&t.redis, t.now), MCPSESS_OK);
    t.out.len = 0;
    greet();
}

TEST(redis_server_away_answers_at_once_after_the_first_attempt) {
    mcpsess_redis_desc d = desc();
    start_with(&d);
    t.open_rc = -1;
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    (void)poll();
    CHECK(ended(&a, MCPSESS_E_IO));
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_E_IO);
    CHECK_EQ(mcpsess_redis_next_due(&t.redis, t.now), t.now + 50); /* no random hook: no jitter */
    (void)poll();
    CHECK_EQ(t.opens, 1);
    t.now += 50;
    (void)poll();
    CHECK_EQ(t.opens, 2);
    CHECK_EQ(mcpsess_redis_next_due(&t.redis, t.now), t.now + 100);
    t.open_rc = 1;
    t.now += 100;
    greet();
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
}

TEST(redis_patient_commands_wait) {
    mcpsess_redis_desc d = desc();
    d.patient = true;
    start_with(&d);
    t.open_rc = -1;
    CHECK_EQ(submit(&a, 'a', 0, t.now + 200), MCPSESS_PENDING);
    (void)poll();
    CHECK_EQ(submit(&b, 'b', 0, 0), MCPSESS_PENDING);
    CHECK_EQ(a.ends, 0);
    t.now += 200;
    (void)poll();
    CHECK(ended(&a, MCPSESS_E_IO)); /* its deadline; it never left */
    t.open_rc = 1;
    t.now += 5000 - 200;
    CHECK_EQ(b.ends, 0);
}

TEST(redis_pipelines_in_order) {
    start();
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    CHECK_EQ(submit(&b, 'b', 0, 0), MCPSESS_PENDING);
    CHECK(mcpsess_redis_want(&t.redis) & MCPSESS_WANT_NOW);
    (void)poll();
    CHECK(sent("ab"));
    CHECK_EQ(submit(&c, 'c', 0, 0), MCPSESS_PENDING);
    answer(":1\r\n:2\r");
    CHECK(ended(&a, MCPSESS_OK));
    CHECK_EQ(a.number, 1);
    CHECK_EQ(b.ends, 0);
    answer("\n:3\r\n");
    CHECK(ended(&b, MCPSESS_OK) && ended(&c, MCPSESS_OK));
    CHECK_EQ(b.number, 2);
    CHECK_EQ(c.number, 3);
}

TEST(redis_late_reply_answers_nobody_else) {
    unsigned way;
    for (way = 0; way < 2; way++) {
        start();
        CHECK_EQ(submit(&a, 'a', 0, t.now + 10), MCPSESS_PENDING);
        (void)poll();
        if (way == 0) {
            t.now += 10;
            (void)poll();
            CHECK(ended(&a, MCPSESS_E_TIMEOUT));
        } else {
            mcpsess_redis_drop(&t.redis, &a);
            CHECK_EQ(a.ends, 0);
        }
        CHECK_EQ(submit(&b, 'b', 0, 0), MCPSESS_PENDING);
        (void)poll();
        answer(":1\r\n:2\r\n");
        CHECK(ended(&b, MCPSESS_OK));
        CHECK_EQ(b.number, 2);
        CHECK_EQ(t.redis.stats.late_replies, 1);
        CHECK(a.ends <= 1);
    }
}

TEST(redis_silent_server_is_left) {
    start();
    CHECK_EQ(submit(&a, 'a', 0, MCPSESS_NEVER), MCPSESS_PENDING);
    (void)poll();
    CHECK_EQ(mcpsess_redis_next_due(&t.redis, t.now), t.now + 3000);
    t.now += 2999;
    (void)poll();
    CHECK_EQ(t.closes, 0);
    t.now += 1;
    (void)poll();
    CHECK_EQ(t.closes, 1);
    CHECK(ended(&a, MCPSESS_E_UNKNOWN));
    CHECK_EQ(t.all_changed, 1);
}

TEST(redis_idle_connection_is_pinged) {
    start();
    CHECK_EQ(mcpsess_redis_next_due(&t.redis, t.now), t.now + 5000);
    t.now += 5000;
    (void)poll();
    CHECK(sent("*1\r\n$4\r\nPING\r\n"));
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    (void)poll();
    answer("+PONG\r\n:7\r\n");
    CHECK_EQ(a.number, 7);
    t.now += 5000;
    (void)poll();
    t.now += 3000;
    (void)poll();
    CHECK_EQ(t.closes, 1);
}

/* a repeatable, b not, c never left: what becomes of them when the connection ends */
TEST(redis_outcomes_when_the_connection_ends) {
    start();
    t.send_max = 2;
    CHECK_EQ(submit(&a, 'a', MCPSESS_REDIS_REPEAT, 0), MCPSESS_PENDING);
    CHECK_EQ(submit(&b, 'b', 0, 0), MCPSESS_PENDING);
    CHECK_EQ(submit(&c, 'c', 0, 0), MCPSESS_PENDING);
    (void)poll();
    CHECK(sent("ab"));
    t.dead_recv = t.dead_send = true;
    (void)poll();
    CHECK_EQ(a.ends, 0);
    CHECK(ended(&b, MCPSESS_E_UNKNOWN));
    CHECK_EQ(c.ends, 0);
    t.dead_recv = t.dead_send = false;
    t.send_max = SIZE_MAX;
    t.now += 50;
    greet();
    (void)poll();
    CHECK(sent("ac"));
    answer(":1\r\n:3\r\n");
    CHECK(ended(&a, MCPSESS_OK) && ended(&c, MCPSESS_OK));
    CHECK_EQ(t.redis.stats.repeated, 1);
}

TEST(redis_reply_that_came_before_the_end_counts) {
    start();
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    (void)poll();
    CHECK_EQ(submit(&b, 'b', 0, 0), MCPSESS_PENDING);
    t.dead_send = true;
    t.in = MCPSESS_STR(":1\r\n");
    (void)poll();
    CHECK(ended(&a, MCPSESS_OK));
    CHECK_EQ(t.closes, 1);
    CHECK_EQ(b.ends, 0); /* nothing of it was sent */
}

static const char script_text[] MCPSESS_ROM = "return 1";
static const char script_sha1[] MCPSESS_ROM = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
static const mcpsess_redis_script script = {script_text, script_sha1, 8};

TEST(redis_scripts_that_are_gone_come_back_in_the_old_order) {
    mcpsess_redis_desc d = desc();
    start_with(&d);
    module.scripts = &script;
    module.script_count = 1;
    (void)poll();
    answer("%0\r\n");
    (void)poll();
    t.out.len = 0;
    answer(TIME_REPLY "+OK\r\n$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n");
    CHECK_EQ(submit(&a, 'a', MCPSESS_REDIS_SCRIPT, 0), MCPSESS_PENDING);
    CHECK_EQ(submit(&b, 'b', MCPSESS_REDIS_SCRIPT, 0), MCPSESS_PENDING);
    CHECK_EQ(poll(), MCPSESS_OK);
    CHECK(sent("ab"));
    answer("-NOSCRIPT gone\r\n");
    CHECK_EQ(submit(&c, 'c', 0, 0), MCPSESS_PENDING);
    (void)poll();
    CHECK(sent("")); /* b is not answered yet */
    answer("-NOSCRIPT gone\r\n");
    (void)poll();
    CHECK(sent("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$8\r\nreturn 1\r\n"));
    answer("$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n");
    (void)poll();
    CHECK(sent("abc"));
    answer(":1\r\n:2\r\n:3\r\n");
    CHECK(ended(&a, MCPSESS_OK) && ended(&b, MCPSESS_OK) && ended(&c, MCPSESS_OK));
    CHECK_EQ(t.redis.stats.reloads, 1);
}

TEST(redis_wrong_digest_is_refused) {
    mcpsess_redis_desc d = desc();
    start_with(&d);
    module.scripts = &script;
    module.script_count = 1;
    (void)poll();
    answer("%0\r\n");
    (void)poll();
    t.in = MCPSESS_STR(TIME_REPLY "+OK\r\n$40\r\nf0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n");
    CHECK_EQ(poll(), MCPSESS_REDIS_E_PROTOCOL);
}

TEST(redis_errors_have_codes) {
    static const struct {
        const char *text;
        int code;
    } errors[] = {
        {"-ERR value\r\n", MCPSESS_REDIS_E_SERVER},
        {"-ERR unknown command\r\n", MCPSESS_REDIS_E_SYNTAX},
        {"-OOM x\r\n", MCPSESS_REDIS_E_OOM},
        {"-NOPERM x\r\n", MCPSESS_REDIS_E_NOPERM},
        {"-WRONGTYPE x\r\n", MCPSESS_REDIS_E_WRONGTYPE},
        {"-MOVED 1 x\r\n", MCPSESS_REDIS_E_MOVED},
        {"-BUSY x\r\n", MCPSESS_REDIS_E_BUSY},
        {"-LOADING x\r\n", MCPSESS_REDIS_E_LOADING},
        {"!10\r\nNOPERM abc\r\n", MCPSESS_REDIS_E_NOPERM},
        {"-OOMX\r\n", MCPSESS_REDIS_E_SERVER},
    };
    unsigned n;
    start();
    for (n = 0; n < sizeof errors / sizeof errors[0]; n++) {
        CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
        (void)poll();
        answer(errors[n].text);
        CHECK(ended(&a, errors[n].code));
    }
    CHECK_EQ(t.closes, 0);
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    (void)poll();
    answer("-READONLY x\r\n");
    CHECK(ended(&a, MCPSESS_REDIS_E_READONLY));
    CHECK_EQ(t.closes, 1); /* the name may lead elsewhere by now */
}

TEST(redis_pushes_come_between_replies) {
    start();
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    (void)poll();
    answer(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\nx\r\n$2\r\nyz\r\n:5\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n");
    CHECK(ended(&a, MCPSESS_OK));
    CHECK_EQ(a.number, 5);
    CHECK_EQ(t.changes, 2);
    CHECK_EQ(t.last_key[1], 'z');
    CHECK_EQ(t.all_changed, 1);
    CHECK_EQ(t.redis.stats.invalidations, 2);
}

TEST(redis_hears_only_what_can_be_relied_on) {
    start();
    CHECK_EQ(mcpsess_redis_hear(&t.redis, t.now), MCPSESS_OK);
    t.in = MCPSESS_STR(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nx\r\n");
    CHECK_EQ(mcpsess_redis_hear(&t.redis, t.now), MCPSESS_OK);
    CHECK_EQ(t.changes, 1);
    t.now += 8001; /* half open: not heard within idle + reply timeout */
    CHECK_EQ(mcpsess_redis_hear(&t.redis, t.now), MCPSESS_STALE);
    start();
    t.dead_recv = true;
    CHECK_EQ(mcpsess_redis_hear(&t.redis, t.now), MCPSESS_STALE);
    CHECK_EQ(t.closes, 1);
    CHECK_EQ(t.all_changed, 1);
}

TEST(redis_what_answers_nothing_ends_the_connection) {
    start();
    answer(":1\r\n");
    CHECK_EQ(t.closes, 1);
    start();
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    (void)poll();
    answer("garbage\r\n");
    CHECK_EQ(t.closes, 1);
    CHECK(ended(&a, MCPSESS_E_UNKNOWN));
}

TEST(redis_ring_is_bounded_and_wraps) {
    unsigned n;
    command d, e;
    start();
    for (n = 0; n < 3 * SLOTS; n++) {
        CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
        (void)poll();
        answer(":1\r\n");
        CHECK(ended(&a, MCPSESS_OK));
        t.out.len = 0;
    }
    CHECK_EQ(submit(&a, 'a', 0, 0), MCPSESS_PENDING);
    CHECK_EQ(submit(&b, 'b', 0, 0), MCPSESS_PENDING);
    CHECK_EQ(submit(&c, 'c', 0, 0), MCPSESS_PENDING);
    CHECK_EQ(submit(&d, 'd', 0, 0), MCPSESS_PENDING);
    CHECK_EQ(submit(&e, 'e', 0, 0), MCPSESS_E_FULL);
    mcpsess_redis_drop(&t.redis, &b); /* not sent: its slot is free at once */
    CHECK_EQ(submit(&e, 'e', 0, 0), MCPSESS_PENDING);
    (void)poll();
    CHECK(sent("acde"));
    mcpsess_redis_close(&t.redis);
    CHECK_EQ(a.ends + c.ends + d.ends + e.ends, 4);
    CHECK_EQ(submit(&b, 'b', 0, 0), MCPSESS_E_CLOSED);
}

TEST(redis_cmd_copies_the_reply) {
    static const mcpsess_str argv[] = {{"GET", 3}, {"k", 1}};
    mcpsess_redis_op op;
    char room[12];
    mcpsess_buf reply;
    start();
    mcpsess_op_init(&op.op, 0);
    mcpsess_buf_init(&reply, room, sizeof room);
    CHECK_EQ(mcpsess_redis_cmd(&t.redis, &op, argv, 2, &reply, t.now), MCPSESS_PENDING);
    CHECK(sent("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"));
    CHECK_EQ(mcpsess_redis_cmd(&t.redis, &op, argv, 2, &reply, t.now), MCPSESS_E_STATE);
    t.recv_max = 3;
    t.in = MCPSESS_STR("$5\r\nhello\r\n");
    while (mcpsess_poll(&op.op, t.now) == MCPSESS_PENDING) CHECK(t.in.len != 0);
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_OK);
    CHECK_STR(mcpsess_redis_text(mcpsess_buf_str(&reply)), "hello");
    CHECK_EQ(mcpsess_redis_cmd(&t.redis, &op, argv, 2, &reply, t.now), MCPSESS_PENDING);
    t.recv_max = SIZE_MAX;
    t.in = MCPSESS_STR("$5\r\nhello\r\n"); /* no room behind the first */
    CHECK_EQ(mcpsess_poll(&op.op, t.now), MCPSESS_E_TOOBIG);
    CHECK_EQ(op.op.need, 11);
    CHECK_EQ(reply.len, 11);
}

TEST(redis_command_must_fit_the_buffer) {
    static char large[BYTES];
    mcpsess_str argv[1];
    mcpsess_redis_op op;
    mcpsess_buf reply;
    start();
    argv[0] = mcpsess_str_of(large, sizeof large);
    mcpsess_op_init(&op.op, 0);
    mcpsess_buf_init(&reply, large, 0);
    CHECK_EQ(mcpsess_redis_cmd(&t.redis, &op, argv, 1, &reply, t.now), MCPSESS_E_TOOBIG);
    CHECK_EQ(t.out.len, 0);
}

void test_redis(void) {
    RUN(redis_handshake_byte_for_byte);
    RUN(redis_old_server_gets_resp2);
    RUN(redis_wrong_password_is_final_until_reset);
    RUN(redis_server_away_answers_at_once_after_the_first_attempt);
    RUN(redis_patient_commands_wait);
    RUN(redis_pipelines_in_order);
    RUN(redis_late_reply_answers_nobody_else);
    RUN(redis_silent_server_is_left);
    RUN(redis_idle_connection_is_pinged);
    RUN(redis_outcomes_when_the_connection_ends);
    RUN(redis_reply_that_came_before_the_end_counts);
    RUN(redis_scripts_that_are_gone_come_back_in_the_old_order);
    RUN(redis_wrong_digest_is_refused);
    RUN(redis_errors_have_codes);
    RUN(redis_pushes_come_between_replies);
    RUN(redis_hears_only_what_can_be_relied_on);
    RUN(redis_what_answers_nothing_ends_the_connection);
    RUN(redis_ring_is_bounded_and_wraps);
    RUN(redis_cmd_copies_the_reply);
    RUN(redis_command_must_fit_the_buffer);
}
