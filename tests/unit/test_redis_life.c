/* The engine: connecting, waiting, sleeping; an operation for any command. */

#include "redis_wire.h"

#define LOGGED(item) wire.logged[MCPSESS_REDIS_ITEM_##item - 64]

static wire_request q[WIRE_SLOTS];

/* -- connecting -- */

TEST(open_is_called_until_it_has_connected) {
    mcpsess_redis_desc d = wire_desc();
    d.connect_timeout_ms = 700;
    wire_init(&d);
    wire.open_rc = 0;
    CHECK_EQ(wire_poll(), MCPSESS_PENDING);
    CHECK_EQ(wire.opens, 1);
    CHECK((mcpsess_redis_want(&wire.redis) & (MCPSESS_WANT_READ | MCPSESS_WANT_WRITE)) != 0);
    CHECK((mcpsess_redis_want(&wire.redis) & MCPSESS_WANT_NOW) == 0);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 700);
    CHECK_EQ(wire_poll_at(300), MCPSESS_PENDING);
    CHECK_EQ(wire.opens, 2);
    wire.open_rc = 1;
    wire_run();
    CHECK(wire_sent("HELLO 3"));
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 400); /* the handshake has what is left */
    (void)wire_poll_at(399);
    CHECK(wire.open);
    (void)wire_poll_at(1);
    CHECK(!wire.open);
    CHECK_EQ(wire.closes, 1);
    CHECK_EQ(wire.redis.stats.connect_failures, 1);
    wire.open_rc = 0; /* and an attempt that does not come to a connection */
    (void)wire_poll_at(100);
    (void)wire_poll_at(699);
    CHECK_EQ(wire.closes, 1);
    (void)wire_poll_at(1);
    CHECK_EQ(wire.closes, 2);
}

/* ms until the next attempt, which fails */
static uint64_t next_attempt(void) {
    uint64_t due_ms = mcpsess_redis_next_due(&wire.redis, wire.now), waited_ms = due_ms - wire.now;
    unsigned opens = wire.opens;
    CHECK_EQ(mcpsess_redis_want(&wire.redis), MCPSESS_WANT_TIME);
    if (waited_ms > 1) {
        (void)wire_poll_at(waited_ms - 1);
        CHECK_EQ(wire.opens, opens);
    }
    wire.now = due_ms;
    (void)wire_poll();
    CHECK_EQ(wire.opens, opens + 1);
    return waited_ms;
}

TEST(the_backoff_doubles_up_to_its_limit) {
    mcpsess_redis_desc d = wire_desc();
    unsigned n;
    uint64_t last_ms = 0;
    wire_init(&d);
    wire.open_rc = -1;
    (void)wire_poll();
    for (n = 0; n < 8; n++) {
        uint64_t ms = next_attempt();
        CHECK(ms >= last_ms && ms >= 100 && ms <= 1000);
        if (n > 4) CHECK_EQ(ms, 1000);
        last_ms = ms;
    }
    CHECK_EQ(wire.redis.stats.connect_failures, 9);
    CHECK_EQ(LOGGED(CONNECT_FAILED), 9);
    CHECK_EQ(wire.log_number, 1000);
    CHECK_EQ(wire.closes, wire.opens);
    wire.open_rc = 1;
    wire.now += 1000;
    wire_greet();
    wire.recv_dead = true;
    wire_run();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 100); /* one that was good begins anew */
}

TEST(the_jitter_is_full) {
    mcpsess_redis_desc d = wire_desc();
    unsigned n;
    d.random = wire_random;
    d.backoff_min_ms = d.backoff_max_ms = 1000;
    wire_init(&d);
    wire.open_rc = -1;
    (void)wire_poll();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now); /* all bits 0 */
    memset(wire.random, 0xFF, sizeof wire.random);
    (void)wire_poll();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) <= wire.now + 1000);
    tap_seed(7);
    for (n = 0; n < 50; n++) {
        size_t i;
        for (i = 0; i < sizeof wire.random; i++) wire.random[i] = (uint8_t)tap_random();
        wire.now += 1000;
        (void)wire_poll();
        CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) <= wire.now + 1000);
        if (mcpsess_redis_next_due(&wire.redis, wire.now) < wire.now + 500) wire.pushed++;
    }
    CHECK(wire.pushed > 10 && wire.pushed < 40); /* about half of them in either half */
    wire.random_fails = true;
    wire.now += 1000;
    (void)wire_poll();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 1000);
}

TEST(while_the_server_is_away_commands_end_at_once) {
    mcpsess_redis_desc d = wire_desc();
    wire_init(&d);
    wire.open_rc = -1;
    CHECK_EQ(wire_submit(&q[0], "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING); /* the first attempt is waited for */
    (void)wire_poll();
    CHECK(wire_ended(&q[0], MCPSESS_E_IO)); /* and was in vain */
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_E_IO);
    wire.open_rc = 1;
    wire.now += 1000;
    (void)wire_poll();
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_E_IO); /* it connects, but who knows */
    wire_greet();
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(q[0].done, 0);
}

TEST(after_a_reset_the_next_attempt_is_waited_for) {
    mcpsess_redis_desc d = wire_desc();
    wire_init(&d);
    wire.open_rc = -1;
    (void)wire_poll();
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_E_IO);
    CHECK_EQ(mcpsess_redis_reset(&wire.redis, wire.now), MCPSESS_OK);
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    wire.open_rc = 1;
    wire_greet(); /* at once */
    CHECK(wire_sent("GET a"));
}

TEST(patient_commands_wait_for_the_server) {
    mcpsess_redis_desc d = wire_desc();
    d.patient = true;
    wire_init(&d);
    wire.open_rc = -1;
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit_by(&q[1], "GET b", 0, wire.now + 50), MCPSESS_PENDING);
    (void)wire_poll();
    CHECK_EQ(wire_submit(&q[2], "GET c", 0), MCPSESS_PENDING);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 50);
    (void)wire_poll_at(50);
    CHECK(wire_ended(&q[1], MCPSESS_E_IO)); /* never sent */
    wire.open_rc = 1;
    wire.now += 1000;
    wire_greet();
    CHECK(wire_sent("GET a") && wire_sent("GET c"));
}

TEST(what_was_sent_once_waits_for_the_next_connection) {
    wire_start_default();
    CHECK_EQ(wire_submit_by(&q[0], "GET a", MCPSESS_REDIS_REPEAT, wire.now + 500), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    wire_run();
    wire.sent_len = 0;
    wire.recv_dead = true;
    wire.open_rc = -1;
    wire_run();
    (void)wire_poll_at(100); /* an attempt that fails */
    CHECK_EQ(q[0].done + q[1].done, 0);
    (void)wire_poll_at(400);
    CHECK(wire_ended(&q[0], MCPSESS_E_TIMEOUT));
    wire.recv_dead = false;
    wire.open_rc = 1;
    wire.now += 1000;
    wire_greet();
    CHECK(wire_sent("GET b"));
    CHECK(wire_silent());
}

/* -- waiting -- */

TEST(a_reply_that_does_not_come_ends_the_connection) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    wire_run();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 3000);
    wire.now += 1000;
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING); /* neither this nor a push is the reply */
    wire_feed(">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n");
    wire_run();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 2000);
    (void)wire_poll_at(1999);
    CHECK(wire.open);
    (void)wire_poll_at(1);
    CHECK(!wire.open);
    CHECK(wire_ended(&q[0], MCPSESS_E_UNKNOWN));
    CHECK_EQ(LOGGED(REPLY_TIMEOUT), 1);
}

TEST(a_slow_reply_is_none_that_does_not_come) {
    unsigned n;
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "LRANGE a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("*9\r\n");
    for (n = 0; n < 9; n++) {
        wire.now += 2000;
        wire_feed("+a\r\n");
        wire_run();
    }
    CHECK_EQ(q[0].done, 1);
    (void)wire_poll_at(2000);
    CHECK(wire.open);
    wire_feed("+b\r\n");
    wire_run();
    CHECK(wire_answered(&q[1], "b"));
}

TEST(who_slept_too_long_reads_before_it_judges) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("+OK\r\n");
    (void)wire_poll_at(60000);
    CHECK(wire_answered(&q[0], "OK"));
    CHECK(wire.open);
}

TEST(a_transport_that_takes_nothing_is_as_good_as_dead) {
    wire_start_default();
    wire.send_max = 0;
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    wire_run();
    CHECK((mcpsess_redis_want(&wire.redis) & MCPSESS_WANT_WRITE) != 0);
    CHECK((mcpsess_redis_want(&wire.redis) & MCPSESS_WANT_NOW) == 0);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 3000);
    (void)wire_poll_at(3000);
    CHECK(!wire.open);
    CHECK_EQ(q[0].done, 0);
}

TEST(patience_begins_with_the_command_not_with_the_last_reply) {
    wire_start_default();
    wire.now += 4900; /* no PING yet */
    wire.send_max = 0;
    CHECK_EQ(wire_submit(&q[0], "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    (void)wire_poll();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 3000);
    (void)wire_poll_at(2999);
    CHECK(wire.open);
    (void)wire_poll_at(1);
    CHECK(!wire.open);
}

TEST(a_slow_sender_is_patient_with_the_receiver) {
    static char large[WIRE_TX - 20];
    unsigned n;
    memset(large, 'x', sizeof large - 1);
    wire_start_default();
    wire.send_max = 10;
    CHECK_EQ(wire_submit(&q[0], large, 0), MCPSESS_PENDING);
    for (n = 0; n < sizeof large && wire.sent_len < 151; n++) (void)wire_poll_at(2000);
    CHECK(wire.open);
    CHECK(wire_sent(large));
    wire_feed("+OK\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "OK"));
}

TEST(an_idle_connection_is_pinged) {
    wire_start_default();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 5000);
    (void)wire_poll_at(4000);
    wire_feed(">2\r\n+x\r\n+y\r\n"); /* a word from the server */
    wire_run();
    (void)wire_poll_at(4999);
    CHECK(wire_silent());
    (void)wire_poll_at(1);
    CHECK(wire_sent("PING"));
    CHECK_EQ(wire.redis.stats.pings, 1);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 3000);
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING); /* beside it */
    wire_run();
    CHECK(wire_sent("GET a"));
    wire_feed("+PONG\r\n+a\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "a"));
    (void)wire_poll_at(5000);
    CHECK(wire_sent("PING"));
    wire_feed("-MISCONF Redis is configured to save RDB snapshots\r\n"); /* a word, too */
    wire_run();
    CHECK(wire.open);
    (void)wire_poll_at(5000);
    CHECK(wire_sent("PING"));
    (void)wire_poll_at(2999);
    CHECK(wire.open);
    (void)wire_poll_at(1);
    CHECK(!wire.open);
    CHECK_EQ(wire.redis.stats.pings, 3);
    CHECK_EQ(LOGGED(REPLY_TIMEOUT), 1);
}

TEST(full_of_commands_given_up_it_still_finds_the_server_gone) {
    size_t n;
    wire_start_default();
    for (n = 0; n < WIRE_SLOTS; n++) CHECK_EQ(wire_submit(&q[n], "GET a", 0), MCPSESS_PENDING);
    wire_run();
    for (n = 0; n < WIRE_SLOTS; n++) mcpsess_redis_drop(&wire.redis, &q[n]);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 3000);
    (void)wire_poll_at(3000);
    CHECK(!wire.open);
    wire.sent_len = 0;
    wire.now += 1000;
    wire_greet();
    CHECK(wire_silent());
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
}

/* -- sleeping -- */

/* A poll before next_due, with nothing to read or write, changes nothing; and there is always a next_due. */
TEST(between_its_wishes_it_has_nothing_to_do) {
    wire_start_default();
    CHECK_EQ(wire_submit_by(&q[0], "GET a", 0, wire.now + 10000), MCPSESS_PENDING);
    CHECK_EQ(wire_submit_by(&q[1], "GET b", 0, wire.now + 900), MCPSESS_PENDING);
    wire_run();
    wire.sent_len = 0;
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 900);
    wire_feed("+a\r\n+b\r\n");
    wire_run();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 5000); /* not the deadline of what is done */
    CHECK_EQ(wire_submit_by(&q[0], "GET a", 0, wire.now + 800), MCPSESS_PENDING);
    wire_run();
    mcpsess_redis_drop(&wire.redis, &q[0]);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 3000);
}

TEST(a_receive_that_filled_its_room_is_followed_by_another) {
    unsigned n;
    wire_start_default();
    for (n = 0; n < WIRE_RX * 2 / 8; n++) wire_feed(">1\r\n+x\r\n");
    (void)wire_poll();
    CHECK((mcpsess_redis_want(&wire.redis) & MCPSESS_WANT_NOW) != 0); /* behind TLS nothing else would wake it */
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) <= wire.now);
    (void)wire_poll();
    (void)wire_poll();
    CHECK((mcpsess_redis_want(&wire.redis) & MCPSESS_WANT_NOW) == 0);
    CHECK_EQ(wire.redis.stats.pushes, WIRE_RX * 2 / 8);
}

TEST(a_clock_that_stands_still_stops_nothing) {
    unsigned n;
    wire_start_default();
    for (n = 0; n < 100; n++) {
        CHECK_EQ(wire_submit_by(&q[0], "GET a", 0, wire.now + 1), MCPSESS_PENDING);
        wire_run();
        CHECK(wire_sent("GET a"));
        wire_feed("+a\r\n");
        wire_run();
        CHECK(wire_answered(&q[0], "a"));
    }
}

/* -- an operation for any command -- */

static const mcpsess_str get_a[] = {LIT("GET"), LIT("a")};

TEST(a_command_as_an_operation) {
    mcpsess_redis_op op;
    char room[32];
    mcpsess_buf reply;
    wire_start_default();
    mcpsess_op_init(&op.op, 0);
    mcpsess_buf_init(&reply, room, sizeof room);
    mcpsess_buf_put(&reply, MCPSESS_STR("!"));
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_PENDING);
    CHECK(wire_sent("GET a"));
    CHECK((mcpsess_want(&op.op) & MCPSESS_WANT_READ) != 0);
    CHECK(mcpsess_next_due(&op.op, wire.now) == wire.now + 3000);
    wire_feed("|1\r\n+k\r\n+v\r\n*2\r\n$3\r\na\r\n\r\n:1\r\n");
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&reply), "!*2\r\n$3\r\na\r\n\r\n:1\r\n");
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_OK);
    CHECK(mcpsess_next_due(&op.op, wire.now) == MCPSESS_NEVER);
    CHECK_EQ(mcpsess_want(&op.op), 0);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_PENDING);
    wire_run();
    wire_feed("-WRONGTYPE no\r\n");
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(reply.len, 18);
    CHECK_STR(mcpsess_redis_error(&wire.redis), "WRONGTYPE no");
}

/* A program that does nothing but to send commands. */
TEST(commands_alone_find_a_server_that_is_back) {
    mcpsess_redis_op op;
    char room[32];
    mcpsess_buf reply;
    unsigned n;
    int rc = MCPSESS_E_IO;
    mcpsess_redis_desc d = wire_desc();
    wire_init(&d);
    mcpsess_op_init(&op.op, 0);
    wire.open_rc = -1;
    mcpsess_buf_init(&reply, room, sizeof room);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_E_IO);
    wire.open_rc = 1;
    for (n = 0; n < 10 && rc == MCPSESS_E_IO; n++) {
        wire.now += 100;
        wire_feed(n == 1 ? "%1\r\n$5\r\nproto\r\n:3\r\n" : n == 2 ? "*2\r\n$1\r\n1\r\n$1\r\n2\r\n+OK\r\n" : "");
        rc = mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now);
    }
    CHECK_EQ(rc, MCPSESS_PENDING);
    wire_run();
    wire_feed("+a\r\n");
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_OK);
}

TEST(a_reply_that_does_not_fit_says_what_it_needs) {
    mcpsess_redis_op op;
    char room[8];
    mcpsess_buf reply;
    wire_start_default();
    mcpsess_op_init(&op.op, 0);
    mcpsess_buf_init(&reply, room, sizeof room);
    mcpsess_buf_put(&reply, MCPSESS_STR("!"));
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_PENDING);
    wire_run();
    wire_feed("*2\r\n+a\r\n+b\r\n");
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_E_TOOBIG);
    CHECK_EQ(op.op.need, 12);
    CHECK_STR(mcpsess_buf_str(&reply), "!");
    wire.sent_len = 0;
    mcpsess_buf_init(&reply, room, sizeof room);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_PENDING);
    wire_run();
    wire_feed("$2\r\nab\r\n");
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&reply), "$2\r\nab\r\n");
    CHECK_STR(mcpsess_redis_text(mcpsess_buf_str(&reply)), "ab");
}

TEST(an_operation_is_canceled_and_times_out) {
    mcpsess_redis_op op;
    char room[8];
    mcpsess_buf reply;
    wire_start_default();
    mcpsess_op_init(&op.op, 250);
    mcpsess_buf_init(&reply, room, sizeof room);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_PENDING);
    wire_run();
    wire_feed("*2\r\n+a\r\n");
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_PENDING);
    mcpsess_cancel(&op.op);
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_E_CANCELED);
    CHECK_EQ(reply.len, 0);
    mcpsess_cancel(&op.op);
    wire_feed("+b\r\n");
    wire_run();
    CHECK_EQ(reply.len, 0);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_PENDING);
    wire_run();
    wire.now += 250;
    CHECK_EQ(mcpsess_poll(&op.op, wire.now), MCPSESS_E_TIMEOUT);
}

TEST(an_operation_is_refused_for_what_it_is_given) {
    static const mcpsess_str broken[] = {LIT("GET"), {NULL, 3}};
    static char large[WIRE_TX];
    mcpsess_str argv[2];
    mcpsess_redis_op op;
    char room[8];
    mcpsess_buf reply;
    wire_start_default();
    mcpsess_op_init(&op.op, 0);
    mcpsess_buf_init(&reply, room, sizeof room);
    CHECK_EQ(mcpsess_redis_cmd(NULL, &op, get_a, 2, &reply, wire.now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, NULL, get_a, 2, &reply, wire.now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, NULL, 2, &reply, wire.now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 0, &reply, wire.now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, NULL, wire.now), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, broken, 2, &reply, wire.now), MCPSESS_E_ARG);
    argv[0] = MCPSESS_STR("ECHO");
    argv[1] = str_fill(large, 'x', sizeof large);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, argv, 2, &reply, wire.now), MCPSESS_E_TOOBIG);
    CHECK(wire_silent());
    mcpsess_redis_close(&wire.redis);
    CHECK_EQ(mcpsess_redis_cmd(&wire.redis, &op, get_a, 2, &reply, wire.now), MCPSESS_E_CLOSED);
}

static int waits;

static uint64_t wait_now(void *user) {
    (void)user;
    return wire.now;
}

/* The server answers after the third wait. */
static int wait_for(void *user, unsigned want, uint64_t due_ms) {
    (void)user;
    CHECK(want != 0 && due_ms >= wire.now);
    if (++waits == 3) wire_feed("+a\r\n");
    if (waits > 3) return -1;
    if ((want & MCPSESS_WANT_NOW) == 0) wire.now++;
    return 0;
}

TEST(a_call_waits_with_the_hook) {
    mcpsess_wait_hook hook = {wait_now, wait_for, NULL};
    char room[8];
    mcpsess_buf reply;
    wire_start_default();
    mcpsess_buf_init(&reply, room, sizeof room);
    waits = 0;
    CHECK_EQ(mcpsess_redis_call(&wire.redis, get_a, 2, &reply, &hook), MCPSESS_OK);
    CHECK_STR(mcpsess_redis_text(mcpsess_buf_str(&reply)), "a");
    CHECK_EQ(mcpsess_redis_call(&wire.redis, get_a, 2, &reply, &hook), MCPSESS_E_CANCELED);
    CHECK_EQ(mcpsess_redis_call(&wire.redis, get_a, 2, &reply, NULL), MCPSESS_E_ARG);
    hook.wait = NULL;
    CHECK_EQ(mcpsess_redis_call(&wire.redis, get_a, 2, &reply, &hook), MCPSESS_E_ARG);
}

TEST(the_text_of_a_reply) {
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("+OK\r\n")), "OK");
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR(":-12\r\n")), "-12");
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("$5\r\na\r\nbc\r\n")), "a\r\nbc");
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("=7\r\ntxt:abc\r\n")), "abc");
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("$0\r\n\r\n")), "");
    CHECK(mcpsess_redis_text(MCPSESS_STR("$0\r\n\r\n")).ptr != NULL);
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("$-1\r\n")), "");
    CHECK(mcpsess_redis_text(MCPSESS_STR("$-1\r\n")).ptr == NULL);
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("_\r\n")), "");
    CHECK(mcpsess_redis_text(MCPSESS_STR("_\r\n")).ptr == NULL);
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("*0\r\n")), "");
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("*1\r\n+a\r\n")), "");
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("+OK")), "");
    CHECK_STR(mcpsess_redis_text(MCPSESS_STR("?\r\n")), "");
    CHECK_EQ(mcpsess_redis_text(mcpsess_str_of(NULL, 0)).len, 0);
}

#ifndef MCPSESS_NO_TEXT
TEST(codes_and_items_have_names) {
    CHECK_STR(mcpsess_str_z(mcpsess_redis_code_name(MCPSESS_REDIS_E_LOADING)), "E_LOADING");
    CHECK_STR(mcpsess_str_z(mcpsess_redis_code_name(MCPSESS_E_IO)), "E_IO");
    CHECK_STR(mcpsess_str_z(mcpsess_redis_code_name(-1000)), "?");
    CHECK_STR(mcpsess_str_z(mcpsess_redis_code_text(MCPSESS_REDIS_E_OOM)), "the server is at its maxmemory");
    CHECK_STR(mcpsess_str_z(mcpsess_redis_code_text(MCPSESS_OK)), "done");
    CHECK(mcpsess_str_z(mcpsess_redis_item_text(MCPSESS_REDIS_ITEM_CONNECTED)).len > 10);
    CHECK(mcpsess_str_z(mcpsess_redis_item_text(MCPSESS_ITEM_EVICTED)).len > 10);
    CHECK_STR(mcpsess_str_z(mcpsess_redis_item_text(0)), "?");
}
#endif

void test_redis_life(void) {
    RUN(open_is_called_until_it_has_connected);
    RUN(the_backoff_doubles_up_to_its_limit);
    RUN(the_jitter_is_full);
    RUN(while_the_server_is_away_commands_end_at_once);
    RUN(after_a_reset_the_next_attempt_is_waited_for);
    RUN(patient_commands_wait_for_the_server);
    RUN(what_was_sent_once_waits_for_the_next_connection);
    RUN(a_reply_that_does_not_come_ends_the_connection);
    RUN(a_slow_reply_is_none_that_does_not_come);
    RUN(who_slept_too_long_reads_before_it_judges);
    RUN(a_transport_that_takes_nothing_is_as_good_as_dead);
    RUN(patience_begins_with_the_command_not_with_the_last_reply);
    RUN(a_slow_sender_is_patient_with_the_receiver);
    RUN(an_idle_connection_is_pinged);
    RUN(full_of_commands_given_up_it_still_finds_the_server_gone);
    RUN(between_its_wishes_it_has_nothing_to_do);
    RUN(a_receive_that_filled_its_room_is_followed_by_another);
    RUN(a_clock_that_stands_still_stops_nothing);
    RUN(a_command_as_an_operation);
    RUN(commands_alone_find_a_server_that_is_back);
    RUN(a_reply_that_does_not_fit_says_what_it_needs);
    RUN(an_operation_is_canceled_and_times_out);
    RUN(an_operation_is_refused_for_what_it_is_given);
    RUN(a_call_waits_with_the_hook);
    RUN(the_text_of_a_reply);
#ifndef MCPSESS_NO_TEXT
    RUN(codes_and_items_have_names);
#endif
}
