/* The engine: what it is made of, the handshake, commands and their replies, pushes. */

#include "redis_wire.h"

#define HELLO_REPLY "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"
#define TIME_REPLY "*2\r\n$10\r\n1700000000\r\n$6\r\n250000\r\n"

/* times an item was logged */
#define LOGGED(item) wire.logged[MCPSESS_REDIS_ITEM_##item - 64]

TEST(init_takes_a_desc_within_its_limits_only) {
    mcpsess_redis_desc d = wire_desc();
    static mcpsess_redis r;
    size_t bytes = mcpsess_redis_bytes(&d);
    char *mem = (char *)arena(bytes + 8);
    CHECK(bytes != 0 && mcpsess_redis_bytes(NULL) == 0);
    CHECK_EQ(bytes, MCPSESS_REDIS_BYTES(WIRE_SLOTS, WIRE_TX, WIRE_RX));
    CHECK_EQ(mcpsess_redis_init(&r, &d, mem, bytes - 1), MCPSESS_E_NOMEM);
    CHECK_EQ(mcpsess_redis_init(&r, &d, mem + 1, bytes + 7), ALIGNMENT > 1 ? MCPSESS_E_ALIGN : MCPSESS_OK);
    CHECK_EQ(mcpsess_redis_init(&r, &d, NULL, bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_init(&r, NULL, mem, bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_init(NULL, &d, mem, bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_init(&r, &d, mem, bytes), MCPSESS_OK);
    d.slots = 0;
    CHECK_EQ(mcpsess_redis_init(&r, &d, mem, bytes), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_poll(&r, 0), MCPSESS_E_ARG); /* it is not made */
    d.slots = 32768u;
    CHECK_EQ(mcpsess_redis_bytes(&d), 0);
    d.slots = 1;
    d.tx_bytes = 63;
    CHECK_EQ(mcpsess_redis_bytes(&d), 0);
    d.tx_bytes = 64;
    d.rx_bytes = 63;
    CHECK_EQ(mcpsess_redis_bytes(&d), 0);
    d.rx_bytes = 64;
    CHECK(mcpsess_redis_bytes(&d) != 0);
    d.tx_bytes = (UINT32_C(1) << 24) + 1;
    CHECK_EQ(mcpsess_redis_bytes(&d), 0);
    d = wire_desc();
    d.tracking = MCPSESS_REDIS_TRACK_PREFIXES + 1;
    CHECK_EQ(mcpsess_redis_init(&r, &d, mem, bytes), MCPSESS_E_ARG);
    d = wire_desc();
    d.transport.close = NULL;
    CHECK_EQ(mcpsess_redis_init(&r, &d, mem, bytes), MCPSESS_E_ARG);
    d = wire_desc();
    d.name = MCPSESS_STR("two words"); /* every server refuses it */
    CHECK_EQ(mcpsess_redis_init(&r, &d, mem, bytes), MCPSESS_E_ARG);
}

TEST(what_was_not_made_is_refused) {
    static mcpsess_redis r;
    wire_request q;
    memset(&r, 0, sizeof r);
    CHECK_EQ(mcpsess_redis_poll(&r, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_poll(NULL, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_attach(&r, &wire_module), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_submit(&r, &wire_class, &wire, &q, 0, 0, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_reset(&r, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_check(&r), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_want(&r), 0);
    CHECK(mcpsess_redis_next_due(&r, 0) == MCPSESS_NEVER);
    CHECK_EQ(mcpsess_redis_hear(&r, 0), MCPSESS_STALE);
    CHECK_EQ(mcpsess_redis_wall_ms(&r, 0), 0);
    CHECK_EQ(mcpsess_redis_error(&r).len, 0);
    CHECK_EQ(mcpsess_redis_error(NULL).len, 0);
    mcpsess_redis_close(&r);
    mcpsess_redis_close(NULL);
    mcpsess_redis_drop(NULL, &q);
}

TEST(modules_are_attached_before_the_first_poll_and_do_not_overlap) {
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_module other = {NULL, 0, {NULL, 0}, NULL, NULL, NULL, {NULL}};
    wire_init(&d);
    wire_module.prefix = MCPSESS_STR("a:b");
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_E_ARG);
    other.prefix = MCPSESS_STR("a:");
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &other), MCPSESS_E_ARG);
    other.prefix = MCPSESS_STR("a:b");
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &other), MCPSESS_E_ARG);
    other.prefix = MCPSESS_STR("a:b:c");
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &other), MCPSESS_E_ARG);
    other.prefix = MCPSESS_STR("a:c");
    other.script_count = 1;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &other), MCPSESS_E_ARG); /* but no scripts */
    other.script_count = 0;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &other), MCPSESS_OK);
    (void)wire_poll();
    memset(&other, 0, sizeof other);
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &other), MCPSESS_E_STATE);
}

/* -- the handshake -- */

TEST(the_handshake_says_what_the_desc_says) {
    mcpsess_redis_desc d = wire_desc();
    d.user = MCPSESS_STR("me");
    d.password = MCPSESS_STR("pw");
    d.name = MCPSESS_STR("n1");
    d.db = 65535u;
    wire_init(&d);
    wire_module.scripts = wire_scripts;
    wire_module.script_count = 2;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    CHECK_EQ(mcpsess_redis_want(&wire.redis), MCPSESS_WANT_TIME);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) <= wire.now);
    CHECK_EQ(mcpsess_redis_wall_ms(&wire.redis, wire.now), 0);
    CHECK_EQ(wire_run(), MCPSESS_PENDING);
    CHECK(wire_sent("HELLO 3 AUTH me pw SETNAME n1"));
    CHECK(wire_silent()); /* the answer decides what follows */
    wire_feed(HELLO_REPLY);
    CHECK_EQ(wire_run(), MCPSESS_PENDING);
    CHECK(wire_sent("SELECT 65535"));
    CHECK(wire_sent("TIME"));
    CHECK(wire_sent("CLIENT TRACKING ON"));
    CHECK(wire_sent_load(0));
    CHECK(wire_sent_load(1));
    CHECK(wire_silent());
    wire_feed("+OK\r\n" TIME_REPLY "+OK\r\n");
    wire_feed_loaded(0);
    CHECK_EQ(wire_run(), MCPSESS_PENDING);
    CHECK_EQ(wire.changes, 0);
    wire_feed_loaded(1);
    wire.now += 70;
    CHECK_EQ(wire_run(), MCPSESS_OK);
    CHECK_EQ(wire.any, 1); /* what happened before was not heard */
    CHECK_EQ(LOGGED(CONNECTED), 1);
    CHECK_EQ(wire.log_number, 70);
    CHECK_EQ(wire.redis.stats.connects, 1);
    CHECK(mcpsess_redis_wall_ms(&wire.redis, wire.now) == WIRE_WALL_MS + 70);
    CHECK_EQ(mcpsess_redis_want(&wire.redis), MCPSESS_WANT_READ | MCPSESS_WANT_TIME);
}

TEST(the_handshake_survives_any_split) {
    mcpsess_redis_desc d = wire_desc();
    d.name = MCPSESS_STR("n1");
    wire_init(&d);
    wire_module.scripts = wire_scripts;
    wire_module.script_count = 1;
    wire.send_max = wire.recv_max = 1;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    wire_run();
    CHECK(wire_sent("HELLO 3 SETNAME n1"));
    wire_feed(HELLO_REPLY);
    wire_run();
    CHECK(wire_sent("TIME") && wire_sent("CLIENT TRACKING ON") && wire_sent_load(0));
    wire_feed(">2\r\n+unknown\r\n+push\r\n" TIME_REPLY "+OK\r\n");
    wire_feed_loaded(0);
    CHECK_EQ(wire_run(), MCPSESS_OK);
    CHECK(mcpsess_redis_wall_ms(&wire.redis, wire.now) == WIRE_WALL_MS);
}

TEST(a_script_may_be_longer_than_the_buffer) {
    mcpsess_redis_desc d = wire_desc();
    uint16_t send_max;
    d.tracking = MCPSESS_REDIS_TRACK_OFF;
    d.tx_bytes = 64; /* the least */
    for (send_max = 1; send_max <= 64; send_max++) {
        wire_init(&d);
        wire_module.scripts = wire_scripts;
        wire_module.script_count = 2;
        wire.send_max = send_max;
        CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
        wire_greet();
        CHECK(wire_silent());
        CHECK_EQ(wire.redis.stats.connects, 1);
    }
    wire_init(&d); /* the connection ends with half of the script sent: the next one begins with its first half */
    wire_module.scripts = wire_scripts;
    wire_module.script_count = 2;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    wire_run();
    wire_feed(HELLO_REPLY);
    for (send_max = 0; send_max < 10 && wire.redis.i.script_at == 0; send_max++) wire_poll();
    CHECK(wire.redis.i.script_at != 0);
    wire.recv_dead = true;
    CHECK_EQ(wire_poll(), MCPSESS_PENDING);
    CHECK(!wire.open);
    wire.recv_dead = false;
    wire.now += 100;
    wire_greet();
    CHECK_EQ(wire.redis.stats.connects, 1);
}

TEST(credentials_may_be_a_user_or_a_password_alone) {
    mcpsess_redis_desc d = wire_desc();
    d.password = MCPSESS_STR("pw");
    wire_init(&d);
    wire_run();
    CHECK(wire_sent("HELLO 3 AUTH default pw"));
    wire_feed("-ERR unknown command 'HELLO', with args beginning with: '3', 'AUTH', 'default', 'pw', \r\n");
    wire_run();
    CHECK_STR(mcpsess_redis_error(&wire.redis), "ERR unknown command 'HELLO'"); /* no password in a log */
    CHECK(wire_sent("AUTH pw"));
    d.user = MCPSESS_STR("me");
    wire_init(&d);
    wire_run();
    CHECK(wire_sent("HELLO 3 AUTH me pw"));
    wire_feed("-NOPROTO unsupported protocol version\r\n");
    wire_run();
    CHECK(wire_sent("AUTH me pw"));
    d.password = mcpsess_str_of(NULL, 0); /* a user without a password is not the default user */
    wire_init(&d);
    wire_run();
    CHECK(wire_sent("HELLO 3 AUTH me "));
}

static void to_resp2(const char *why) {
    mcpsess_redis_desc d = wire_desc();
    d.name = MCPSESS_STR("n1");
    d.resp2 = why == NULL;
    wire_init(&d);
    wire_run();
    if (why != NULL) {
        CHECK(wire_sent("HELLO 3 SETNAME n1"));
        wire_feed(why);
        wire_run();
    }
    CHECK(wire_sent("CLIENT SETNAME n1"));
    CHECK(wire_sent("TIME"));
    CHECK(wire_silent()); /* no tracking: a RESP2 server answers OK, and nothing ever comes */
    wire_feed("+OK\r\n" TIME_REPLY);
    CHECK_EQ(wire_run(), MCPSESS_OK);
    CHECK_EQ(LOGGED(NO_TRACKING), 1);
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_STALE);
}

TEST(servers_without_hello_are_spoken_to_in_resp2) {
    to_resp2("-ERR unknown command `HELLO`, with args beginning with: `3`, `SETNAME`, \r\n");
    to_resp2("-NOPERM this user has no permissions to run the 'hello' command\r\n");
    to_resp2("-NOPROTO sorry, this protocol version is not supported\r\n");
    to_resp2(NULL);
}

/* -> what a server that gives this answer to HELLO, or to what comes after it, makes of the engine */
static int greeted_with(const char *hello, const char *rest, wire_request *q) {
    mcpsess_redis_desc d = wire_desc();
    d.user = MCPSESS_STR("me");
    d.password = MCPSESS_STR("pw");
    d.db = 1;
    d.resp2 = hello == NULL;
    d.patient = true;
    wire_init(&d);
    wire_module.scripts = wire_scripts;
    wire_module.script_count = 1;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    CHECK_EQ(wire_submit(q, "PING", 0), MCPSESS_PENDING);
    wire_run();
    if (hello != NULL) wire_feed(hello);
    wire_run();
    wire_feed(rest);
    return wire_run();
}

static void refuses(const char *hello, const char *rest, int code) {
    wire_request q, late;
    CHECK_EQ(greeted_with(hello, rest, &q), code);
    CHECK(wire_ended(&q, code));
    CHECK(!wire.open);
    CHECK_EQ(LOGGED(FAILED), 1);
    CHECK_EQ(wire.log_number, (uint64_t)-code);
    CHECK_EQ(wire_submit(&late, "PING", 0), code);
    CHECK_EQ(wire_poll_at(100000), code); /* it stays so */
    CHECK_EQ(mcpsess_redis_want(&wire.redis), 0);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == MCPSESS_NEVER);
    CHECK_EQ(wire.opens, 1);
    CHECK_EQ(mcpsess_redis_reset(&wire.redis, wire.now), MCPSESS_OK);
    CHECK_EQ(wire_run(), MCPSESS_PENDING);
    CHECK_EQ(wire.opens, 2);
}

/* The name may lead to another server by then. */
TEST(tracking_of_one_connection_is_none_of_the_next) {
    wire_start_default();
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_OK);
    wire.recv_dead = true;
    wire_run();
    wire.recv_dead = false;
    wire.now += 1000;
    wire_run();
    CHECK(wire_sent("HELLO 3"));
    wire_feed("-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n");
    wire_run();
    CHECK(wire_sent("TIME"));
    wire_feed(TIME_REPLY);
    CHECK_EQ(wire_run(), MCPSESS_OK);
    CHECK_EQ(LOGGED(NO_TRACKING), 1);
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_STALE);
}

/* Nor is it spoken to in RESP2 because another one was. */
TEST(each_connection_begins_in_resp3) {
    to_resp2("-ERR unknown command `HELLO`, with args beginning with: `3`, `SETNAME`, \r\n");
    wire.recv_dead = true;
    wire_run();
    wire.recv_dead = false;
    wire.now += 1000;
    wire_run();
    CHECK(wire_sent("HELLO 3 SETNAME n1"));
}

TEST(a_server_that_does_not_tell_the_time_leaves_it_unknown) {
    static const char *const answers[] = {"-NOPERM no\r\n", "*2\r\n$1\r\n0\r\n$1\r\n0\r\n",
                                          "*2\r\n$1\r\nx\r\n$1\r\ny\r\n"};
    unsigned n;
    for (n = 0; n < 3; n++) {
        mcpsess_redis_desc d = wire_desc();
        wire_init(&d);
        wire_run();
        wire_feed(HELLO_REPLY);
        wire_run();
        wire_feed(answers[n]);
        wire_feed("+OK\r\n");
        CHECK_EQ(wire_run(), MCPSESS_OK);
        CHECK_EQ(mcpsess_redis_wall_ms(&wire.redis, wire.now), 0);
        CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_OK);
    }
}

TEST(refused_credentials_and_permissions_fail_for_good) {
    const char *select = "+OK\r\n", *loaded = "+OK\r\n" TIME_REPLY "+OK\r\n";
    refuses("-WRONGPASS invalid username-password pair or user is disabled.\r\n", "", MCPSESS_REDIS_E_WRONGPASS);
    refuses("-NOAUTH HELLO must be called with the client already authenticated\r\n", "", MCPSESS_REDIS_E_NOAUTH);
    refuses(HELLO_REPLY, "-ERR DB index is out of range\r\n", MCPSESS_REDIS_E_SERVER);
    refuses(HELLO_REPLY, "-NOPERM this user has no permissions to run the 'select' command\r\n",
            MCPSESS_REDIS_E_NOPERM);
    refuses(NULL, "-WRONGPASS invalid username-password pair\r\n", MCPSESS_REDIS_E_WRONGPASS);
    refuses(NULL, "-ERR invalid password\r\n", MCPSESS_REDIS_E_WRONGPASS); /* before Redis 6 */
    refuses(NULL, "-ERR Client sent AUTH, but no password is set\r\n", MCPSESS_REDIS_E_WRONGPASS);
    (void)select;
    {
        char room[160];
        memcpy(room, loaded, strlen(loaded));
        strcpy(room + strlen(loaded), "-NOPERM this user has no permissions to run the 'script|load' command\r\n");
        refuses(HELLO_REPLY, room, MCPSESS_REDIS_E_NOPERM);
    }
}

TEST(a_server_that_is_not_ready_yet_is_asked_again) {
    static const char *const answers[] = {
        "-LOADING Redis is loading the dataset in memory\r\n", "-BUSY Redis is busy running a script\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n", "-ERR max number of clients reached\r\n"};
    wire_request q;
    size_t n;
    for (n = 0; n < COUNT_OF(answers); n++) {
        CHECK_EQ(greeted_with(NULL, answers[n], &q), MCPSESS_PENDING);
        CHECK(!wire.open && q.done == 0);
        CHECK_EQ(wire.redis.stats.connect_failures, 1);
        CHECK_EQ(LOGGED(CONNECT_FAILED), 1);
        CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 100);
        (void)wire_poll_at(100);
        CHECK_EQ(wire.opens, 2);
    }
}

TEST(without_credentials_noauth_fails_whatever_it_answers_first) {
    mcpsess_redis_desc d = wire_desc();
    d.resp2 = true;
    wire_init(&d);
    wire_run();
    CHECK(wire_sent("TIME"));
    wire_feed("-NOAUTH Authentication required.\r\n");
    CHECK_EQ(wire_run(), MCPSESS_REDIS_E_NOAUTH);
}

TEST(a_handshake_that_does_not_fit_tx_fails_and_does_not_spin) {
    mcpsess_redis_desc d = wire_desc();
    wire_request q;
    d.tx_bytes = 64;
    d.password = MCPSESS_STR("a password that is longer than what there is room for in tx");
    wire_init(&d);
    CHECK_EQ(wire_submit(&q, "PING", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_run(), MCPSESS_E_TOOBIG);
    CHECK(wire_ended(&q, MCPSESS_E_TOOBIG));
    CHECK(wire_silent());
}

TEST(a_handshake_whose_answers_do_not_fit_begins_again) {
    static const char *const answers[][3] = {
        /* to HELLO, TIME, CLIENT TRACKING */
        {"+OK\r\n", "", ""},
        {"*2\r\n+a\r\n+b\r\n", "", ""},
        {HELLO_REPLY, "$7\r\nmodules\r\n", ""}, /* what is left of a map that was said to be shorter */
        {HELLO_REPLY, "*3\r\n", ""},
        {HELLO_REPLY, "*2\r\n$1\r\n1\r\n,6\r\n", ""},
        {HELLO_REPLY, TIME_REPLY, "*0\r\n"},
        {HELLO_REPLY, TIME_REPLY, ":1\r\n"},
    };
    size_t n;
    for (n = 0; n < COUNT_OF(answers); n++) {
        mcpsess_redis_desc d = wire_desc();
        wire_init(&d);
        wire_run();
        wire_feed(answers[n][0]);
        wire_run();
        wire_feed(answers[n][1]);
        wire_feed(answers[n][2]);
        wire_run();
        CHECK(!wire.open);
        CHECK_EQ(LOGGED(PROTOCOL_ERROR), 1);
        CHECK_EQ(LOGGED(FAILED), 0);
        CHECK_EQ(wire.redis.stats.connect_failures, 1);
        wire.fed_len = wire.fed_at = wire.sent_len = 0;
        wire.now += d.backoff_max_ms;
        wire_greet();
    }
}

TEST(what_is_no_answer_to_a_ping_ends_the_connection) {
    wire_start_default();
    (void)wire_poll_at(5000);
    CHECK(wire_sent("PING"));
    wire_feed(":1\r\n");
    wire_run();
    CHECK(!wire.open);
    CHECK_EQ(LOGGED(PROTOCOL_ERROR), 1);
}

static void refuse(wire_request *q) {
    (void)q;
    mcpsess_redis_refuse(&wire.redis);
}

TEST(a_refused_reply_ends_the_connection) {
    static wire_request q[3];
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    q[0].on_item = refuse;
    wire_run();
    wire_feed("*2\r\n+a\r\n+A\r\n+b\r\n");
    wire_run();
    CHECK(!wire.open);
    CHECK(wire_ended(&q[0], MCPSESS_E_UNKNOWN)); /* and is not asked again */
    CHECK_EQ(q[0].items, 1);
    CHECK_EQ(q[1].done + q[1].items, 0);
    wire.fed_len = wire.fed_at = wire.sent_len = 0;
    wire.now += 1000;
    wire_greet();
    CHECK(wire_sent("GET b"));
    wire_feed("+b\r\n");
    wire_run();
    CHECK(wire_answered(&q[1], "b"));
    CHECK_EQ(wire_submit(&q[2], "GET c", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("+c\r\n");
    wire_run();
    CHECK(wire_answered(&q[2], "c"));
}

TEST(a_script_whose_digest_is_wrong_is_never_used) {
    mcpsess_redis_desc d = wire_desc();
    wire_init(&d);
    wire_module.scripts = wire_scripts;
    wire_module.script_count = 1;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    wire_run();
    wire_feed(HELLO_REPLY);
    wire_run();
    wire_feed(TIME_REPLY "+OK\r\n");
    wire_feed_loaded(1);
    CHECK_EQ(wire_run(), MCPSESS_PENDING);
    CHECK(!wire.open);
    CHECK_EQ(LOGGED(PROTOCOL_ERROR), 1);
    CHECK_EQ(wire.redis.stats.connects, 0);
}

TEST(tracking_that_is_refused_is_done_without) {
    mcpsess_redis_desc d = wire_desc();
    wire_request q;
    wire_init(&d);
    wire_run();
    wire_feed(HELLO_REPLY);
    wire_run();
    wire_feed(TIME_REPLY "-NOPERM this user has no permissions to run the 'client|tracking' command\r\n");
    CHECK_EQ(wire_run(), MCPSESS_OK);
    CHECK_EQ(LOGGED(NO_TRACKING), 1);
    wire.sent_len = 0;
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_STALE);
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("_\r\n");
    wire_run();
    CHECK(wire_answered(&q, ""));
}

TEST(prefixes_are_tracked_with_one_command) {
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_module more = {NULL, 0, {NULL, 0}, NULL, NULL, NULL, {NULL}}, none = more;
    d.tracking = MCPSESS_REDIS_TRACK_PREFIXES;
    wire_init(&d);
    wire_module.prefix = MCPSESS_STR("a:");
    more.prefix = MCPSESS_STR("b:");
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &none), MCPSESS_OK);
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &more), MCPSESS_OK);
    wire_run();
    wire_feed(HELLO_REPLY);
    wire_run();
    CHECK(wire_sent("HELLO 3") && wire_sent("TIME"));
    CHECK(wire_sent("CLIENT TRACKING ON BCAST PREFIX a: PREFIX b:"));
    CHECK(wire_silent());
    d.tracking = MCPSESS_REDIS_TRACK_OFF;
    wire_start(&d);
    CHECK_EQ(LOGGED(NO_TRACKING), 0);
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_STALE);
}

/* -- commands and replies -- */

TEST(commands_are_pipelined_and_answered_in_order) {
    wire_request q[WIRE_SLOTS + 1];
    unsigned round;
    wire_start_default();
    for (round = 0; round < 9; round++) { /* and the ring wraps */
        CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
        CHECK_EQ(wire_submit(&q[1], "MGET a b", 0), MCPSESS_PENDING);
        CHECK_EQ(wire_submit(&q[2], "INCR n", 0), MCPSESS_PENDING);
        CHECK((mcpsess_redis_want(&wire.redis) & MCPSESS_WANT_NOW) != 0);
        CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) <= wire.now);
        if (round % 3 == 0) {
            CHECK_EQ(wire_submit(&q[3], "SET c d", 0), MCPSESS_PENDING);
            CHECK_EQ(wire_submit(&q[4], "GET e", 0), MCPSESS_E_FULL);
        }
        CHECK_EQ(wire_poll(), MCPSESS_OK);
        CHECK_EQ(wire.sends, 1);
        CHECK(wire_sent("GET a") && wire_sent("MGET a b") && wire_sent("INCR n"));
        if (round % 3 == 0) CHECK(wire_sent("SET c d"));
        wire.recv_max = (uint16_t)(round + 1);
        wire_feed("$3\r\nabc\r\n*2\r\n$-1\r\n$4\r\nr\r\ns\r\n:42\r\n");
        wire_run();
        CHECK(wire_answered(&q[0], "abc"));
        CHECK(wire_answered(&q[1], "r\r\ns"));
        CHECK_EQ(q[1].items, 3);
        CHECK(wire_answered(&q[2], "42"));
        if (round % 3 == 0) {
            CHECK_EQ(q[3].done, 0);
            wire_feed("+OK\r\n");
            wire_run();
            CHECK(wire_answered(&q[3], "OK"));
        }
    }
    CHECK_EQ(wire.redis.stats.commands, 30);
    CHECK_EQ(wire.redis.stats.replies, 30);
    CHECK_EQ(wire.redis.stats.late_replies + wire.redis.stats.server_errors + wire.redis.stats.repeated, 0);
}

static void feed_bulk(unsigned n) {
    char head[16];
    mcpsess_buf b;
    mcpsess_buf_init(&b, head, sizeof head - 1);
    mcpsess_resp_put_number(&b, '$', (int64_t)n);
    head[b.len] = '\0';
    wire_feed(head);
    for (; n > 0; n--) wire_feed("x");
    wire_feed("\r\n");
}

TEST(a_bulk_larger_than_rx_comes_in_pieces) {
    wire_request q, p;
    wire_start_default();
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&p, "GET b", 0), MCPSESS_PENDING);
    wire_run();
    feed_bulk(WIRE_RX * 2);
    wire_feed("+b\r\n");
    wire_run();
    CHECK(wire_ended(&q, MCPSESS_OK));
    CHECK(q.items > 1);
    CHECK(wire_answered(&p, "b"));
}

static wire_request again[2];

static void submit_again(wire_request *q) {
    (void)q;
    CHECK_EQ(wire_submit(&again[0], "GET again", 0), MCPSESS_PENDING);
}

TEST(done_may_submit_into_the_slot_that_is_free_now) {
    mcpsess_redis_desc d = wire_desc();
    wire_request q;
    d.slots = 1;
    wire_start(&d);
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    q.on_done = submit_again;
    wire_run();
    CHECK(wire_sent("GET a"));
    wire_feed("+1\r\n");
    wire_run();
    CHECK(wire_answered(&q, "1"));
    CHECK(wire_sent("GET again"));
    wire_feed("+2\r\n");
    wire_run();
    CHECK(wire_answered(&again[0], "2"));
    q.on_done = NULL;
    CHECK_EQ(wire_submit_by(&q, "GET a", 0, wire.now + 10), MCPSESS_PENDING);
    q.on_done = submit_again;
    CHECK_EQ(wire_poll_at(10), MCPSESS_OK); /* nothing of it was sent */
    CHECK(wire_ended(&q, MCPSESS_E_IO) || wire_ended(&q, MCPSESS_E_TIMEOUT));
    wire_run();
    CHECK(wire_sent("GET again"));
}

TEST(a_command_larger_than_tx_ends_and_the_others_go_on) {
    static char large[WIRE_TX + 1];
    wire_request q[3];
    memset(large, 'x', WIRE_TX - 9); /* "*1", "$nnn", and three ends of line */
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], large, 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "GET b", 0), MCPSESS_PENDING);
    wire_run();
    CHECK(wire_ended(&q[1], MCPSESS_E_TOOBIG));
    CHECK(wire_sent("GET a") && wire_sent("GET b"));
    CHECK(wire_silent());
    wire_feed("+a\r\n+b\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "a") && wire_answered(&q[2], "b"));
    memset(large, '\0', sizeof large);
    memset(large, 'x', WIRE_TX - 12); /* exactly tx */
    CHECK_EQ(wire_submit(&q[1], large, 0), MCPSESS_PENDING);
    wire_run();
    CHECK_EQ(q[1].done, 0);
    CHECK_EQ(wire.sent_len, WIRE_TX);
}

TEST(what_does_not_fit_tx_now_goes_out_later) {
    static char large[WIRE_TX / 2];
    wire_request q[WIRE_SLOTS];
    size_t n;
    memset(large, 'x', sizeof large - 1);
    wire_start_default();
    wire.send_max = 7;
    for (n = 0; n < WIRE_SLOTS; n++) CHECK_EQ(wire_submit(&q[n], large, 0), MCPSESS_PENDING);
    wire_run();
    for (n = 0; n < WIRE_SLOTS; n++) CHECK(wire_sent(large));
    wire_feed("+1\r\n+2\r\n+3\r\n+4\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "1") && wire_answered(&q[3], "4"));
}

/* -- errors of the server -- */

static int code_of(const char *line) {
    wire_request q;
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    wire_run();
    wire.sent_len = 0;
    wire_feed(line);
    wire_run();
    CHECK_EQ(q.done, 1);
    CHECK_EQ(q.items, 0);
    return q.rc;
}

TEST(errors_are_known_by_their_first_word) {
    wire_start_default();
    CHECK_EQ(code_of("-ERR value is not an integer or out of range\r\n"), MCPSESS_REDIS_E_SERVER);
    CHECK_STR(mcpsess_redis_error(&wire.redis), "ERR value is not an integer or out of range");
    CHECK_EQ(LOGGED(SERVER_ERROR), 1);
    CHECK_EQ(wire.log_number, (uint64_t)-MCPSESS_REDIS_E_SERVER);
    CHECK_EQ(code_of("-WRONGTYPE Operation against a key holding the wrong kind\r\n"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(code_of("-WRONGTYPES of some module\r\n"), MCPSESS_REDIS_E_SERVER);
    CHECK_EQ(code_of("-LOADING Redis is loading\r\n"), MCPSESS_REDIS_E_LOADING);
    CHECK_EQ(code_of("-BUSY Redis is busy running a script\r\n"), MCPSESS_REDIS_E_BUSY);
    CHECK_EQ(code_of("-BUSYGROUP Consumer Group name already exists\r\n"), MCPSESS_REDIS_E_SERVER);
    CHECK_EQ(code_of("-NOREPLICAS Not enough good replicas\r\n"), MCPSESS_REDIS_E_NOREPLICAS);
    CHECK_EQ(code_of("-MISCONF Redis is configured to save\r\n"), MCPSESS_REDIS_E_MISCONF);
    CHECK_EQ(code_of("-OOM command not allowed\r\n"), MCPSESS_REDIS_E_OOM);
    CHECK_EQ(code_of("-NOPERM this user\r\n"), MCPSESS_REDIS_E_NOPERM);
    CHECK_EQ(code_of("-NOSCRIPT No matching script\r\n"), MCPSESS_REDIS_E_NOSCRIPT); /* not one of a module */
    CHECK_EQ(code_of("-MOVED 3999 127.0.0.1:6381\r\n"), MCPSESS_REDIS_E_MOVED);
    CHECK_EQ(code_of("-CROSSSLOT Keys in request\r\n"), MCPSESS_REDIS_E_CROSSSLOT);
    CHECK_EQ(code_of("-CLUSTERDOWN The cluster is down\r\n"), MCPSESS_REDIS_E_CLUSTERDOWN);
    CHECK_EQ(code_of("-TRYAGAIN Multiple keys request\r\n"), MCPSESS_REDIS_E_CLUSTERDOWN);
    CHECK_EQ(code_of("-ERR unknown command 'x', with args\r\n"), MCPSESS_REDIS_E_SYNTAX);
    CHECK_EQ(code_of("-ERR Unknown subcommand or wrong number\r\n"), MCPSESS_REDIS_E_SYNTAX);
    CHECK_EQ(code_of("-ERR syntax error\r\n"), MCPSESS_REDIS_E_SYNTAX);
    CHECK_EQ(code_of("-ERR wrong number of arguments for 'get' command\r\n"), MCPSESS_REDIS_E_SYNTAX);
    CHECK_EQ(code_of("-OOM\r\n"), MCPSESS_REDIS_E_OOM);
    CHECK_EQ(code_of("-\r\n"), MCPSESS_REDIS_E_SERVER);
    CHECK_EQ(code_of(WIRE_WRAP "-OOM command not allowed when used memory\r\n"), MCPSESS_REDIS_E_OOM);
    CHECK(memcmp(mcpsess_redis_error(&wire.redis).ptr, "OOM command", 11) == 0);
    CHECK_EQ(code_of(WIRE_WRAP "-NOREPLICAS Not enough good replicas to write.\r\n"), MCPSESS_REDIS_E_NOREPLICAS);
    CHECK_EQ(code_of(WIRE_WRAP "-MISCONF Errors writing to the AOF file: -No space\r\n"), MCPSESS_REDIS_E_MISCONF);
    CHECK_EQ(code_of(WIRE_WRAP "The user executing the script can't run this command or subcommand\r\n"),
             MCPSESS_REDIS_E_NOPERM);
    CHECK_EQ(code_of(WIRE_WRAP "\r\n"), MCPSESS_REDIS_E_SERVER);
    CHECK_EQ(code_of("-ERR Error running script\r\n"), MCPSESS_REDIS_E_SERVER);
    CHECK_EQ(code_of("-OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:17.\r\n"),
             MCPSESS_REDIS_E_OOM);
    CHECK_EQ(code_of("!10\r\nOOM no way\r\n"), MCPSESS_REDIS_E_OOM);
    CHECK_STR(mcpsess_redis_error(&wire.redis), "OOM no way");
    CHECK_EQ(wire.redis.stats.server_errors, LOGGED(SERVER_ERROR));
    CHECK_EQ(wire.closes, 0);
}

TEST(the_text_of_an_error_is_kept_as_far_as_there_is_room) {
    wire_request q, p;
    unsigned n;
    wire_start_default();
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&p, "GET b", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("-MISCONF ");
    for (n = 0; n < 300; n++) wire_feed("x"); /* and it is longer than rx */
    wire_feed("\r\n+b\r\n");
    wire_run();
    CHECK(wire_ended(&q, MCPSESS_REDIS_E_MISCONF));
    CHECK_EQ(mcpsess_redis_error(&wire.redis).len, MCPSESS_REDIS_ERROR_MAX);
    CHECK(wire_answered(&p, "b"));
    wire.recv_max = 1; /* the same, with every split */
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&p, "GET b", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("-OOM ");
    for (n = 0; n < 301; n++) wire_feed("x");
    wire_feed("\r\n+b\r\n");
    wire_run();
    CHECK(wire_ended(&q, MCPSESS_REDIS_E_OOM));
    CHECK(wire_answered(&p, "b"));
}

TEST(an_error_whose_end_falls_apart_at_the_end_of_rx_ends) {
    static char line[WIRE_RX + 1];
    wire_request q[2];
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    wire_run();
    memset(line, 'x', WIRE_RX);
    memcpy(line, "-OOM ", 5);
    line[WIRE_RX - 1] = '\r';
    wire_feed(line);
    wire_run();
    CHECK_EQ(q[0].done, 0);
    wire_feed("\n+b\r\n");
    wire_run();
    CHECK(wire_ended(&q[0], MCPSESS_REDIS_E_OOM));
    CHECK(wire_answered(&q[1], "b"));
}

TEST(errors_within_an_array_are_items) {
    wire_request q;
    wire_start_default();
    CHECK_EQ(wire_submit(&q, "EXEC", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("*3\r\n+a\r\n-ERR b\r\n-NOSCRIPT c\r\n");
    wire_run();
    CHECK(wire_answered(&q, "aERR bNOSCRIPT c"));
    CHECK_EQ(wire.redis.stats.server_errors, 0);
}

TEST(attributes_are_left_out) {
    wire_request q, p;
    wire_start_default();
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&p, "GET b", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("|1\r\n+key\r\n*2\r\n:1\r\n:2\r\n*2\r\n|1\r\n+ttl\r\n:3600\r\n+a\r\n+b\r\n");
    wire_feed("|1\r\n+k\r\n-v\r\n-ERR no\r\n");
    wire_run();
    CHECK(wire_answered(&q, "ab"));
    CHECK_EQ(q.items, 3);
    CHECK(wire_ended(&p, MCPSESS_REDIS_E_SERVER));
    CHECK_STR(mcpsess_redis_error(&wire.redis), "ERR no");
}

/* -- pushes -- */

TEST(pushes_tell_keys_between_any_replies) {
    wire_request q, p;
    uint16_t split;
    for (split = 1; split < 8; split++) {
        wire_start_default();
        wire.recv_max = split;
        CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
        CHECK_EQ(wire_submit(&p, "GET b", 0), MCPSESS_PENDING);
        wire_run();
        wire_feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$2\r\nk1\r\n$1\r\na\r\n");
        wire_feed(">2\r\n+invalidate\r\n*2\r\n$2\r\nk2\r\n$2\r\nk3\r\n$1\r\nb\r\n");
        wire_run();
        CHECK(wire_answered(&q, "a") && wire_answered(&p, "b"));
        CHECK_EQ(wire.changes, 3);
        CHECK_EQ(wire.any, 0);
        CHECK(strcmp(wire.changed, "k3") == 0);
        wire_feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$2\r\nk4\r\n"); /* while idle */
        wire_run();
        CHECK(strcmp(wire.changed, "k4") == 0);
        CHECK_EQ(wire.redis.stats.pushes, 3);
        CHECK_EQ(wire.redis.stats.invalidations, 4);
    }
}

TEST(a_null_push_and_a_key_that_is_too_long_are_any_key) {
    wire_start_default();
    wire_feed(">2\r\n$10\r\ninvalidate\r\n_\r\n");
    wire_run();
    CHECK_EQ(wire.any, 1);
    wire_feed(">2\r\n$10\r\ninvalidate\r\n*3\r\n$1\r\na\r\n");
    feed_bulk(WIRE_RX + 1);
    wire_feed("$1\r\nb\r\n");
    wire_run();
    CHECK_EQ(wire.changes, 4);
    CHECK_EQ(wire.any, 2);
    CHECK(strcmp(wire.changed, "b") == 0);
    wire_feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$0\r\n\r\n");
    wire_run();
    CHECK_EQ(wire.any, 3);
}

TEST(any_number_of_keys_in_one_push) {
    unsigned n;
    wire_start_default();
    wire_feed(">2\r\n$10\r\ninvalidate\r\n*2000\r\n");
    for (n = 0; n < 2000; n++) {
        wire_feed("$6\r\nkey:yz\r\n");
        if (n % 16 == 15) wire_run();
    }
    wire_run();
    CHECK_EQ(wire.changes, 2000);
    CHECK_EQ(wire.any, 0);
}

TEST(other_pushes_go_to_the_modules) {
    wire_start_default();
    wire_feed(">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n*1\r\n$10\r\ninvalidate\r\n");
    wire_run();
    CHECK_EQ(wire.changes, 0);
    CHECK_EQ(wire.pushed, 4);           /* all within it */
    wire_feed(">1\r\n+invalidate\r\n"); /* no key */
    wire_run();
    CHECK_EQ(wire.redis.stats.pushes, 2);
}

TEST(hear_takes_in_what_has_arrived) {
    wire_request q;
    wire_start_default();
    wire_feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$2\r\nk1\r\n");
    wire.recvs = wire.sends = 0;
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_OK);
    CHECK_EQ(wire.recvs, 1);
    CHECK_EQ(wire.sends, 0);
    CHECK_EQ(wire.changes, 1);
    /* half a push: its key is older, and unheard */
    wire_feed(">2\r\n$10\r\ninvalidate\r\n*2\r\n$2\r\nk1\r\n$2\r\nk");
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_PENDING);
    wire_feed("2\r\n");
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_OK);
    wire_feed(">2\r\n$10\r\ninvalidate\r\n*2\r\n$2\r\nk1\r\n"); /* up to the end of an item */
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_PENDING);
    wire_feed("$2\r\nk2\r\n");
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_OK);
    CHECK_EQ(wire.changes, 5);
    /* as much as there was room for: there may be more */
    wire_feed(">2\r\n+x\r\n");
    feed_bulk(WIRE_RX - 16);
    CHECK_EQ(wire.fed_len, WIRE_RX);
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_OK);
    /* replies are taken, too */
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("+a\r\n");
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_OK);
    CHECK(wire_answered(&q, "a"));
    /* silence: as long as it may take to find that the server is gone */
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now + 8000), MCPSESS_OK);
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now + 8001), MCPSESS_STALE);
    wire.recv_dead = true;
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_STALE);
    CHECK(!wire.open);
    CHECK_EQ(wire.any, 1);
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_STALE);
}

/* -- what is no answer -- */

TEST(an_answer_to_nothing_ends_the_connection) {
    wire_request q;
    wire_start_default();
    wire_feed("+OK\r\n");
    CHECK_EQ(wire_poll(), MCPSESS_PENDING);
    CHECK(!wire.open);
    CHECK_EQ(LOGGED(PROTOCOL_ERROR), 1);
    wire.now += 1000;
    wire_greet();
    wire.send_max = 0; /* nothing of the command can have been read */
    CHECK_EQ(wire_submit(&q, "GET a", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("+a\r\n");
    wire_run();
    CHECK(!wire.open);
    CHECK_EQ(q.done, 0); /* it goes out again */
    CHECK_EQ(LOGGED(PROTOCOL_ERROR), 2);
}

TEST(what_is_not_resp_ends_the_connection) {
    static const char *const wrong[] = {"?\r\n", "*2\r\n+a\r\n@\r\n", "$3\r\nabcde\r\n", ":12x\r\n",
                                        "HTTP/1.1 400\r\n"};
    wire_request q, p;
    size_t n;
    for (n = 0; n < COUNT_OF(wrong); n++) {
        wire_start_default();
        CHECK_EQ(wire_submit(&q, "SET a b", 0), MCPSESS_PENDING);
        CHECK_EQ(wire_submit(&p, "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
        wire_run();
        wire_feed(wrong[n]);
        wire_run();
        CHECK(!wire.open);
        CHECK(wire_ended(&q, MCPSESS_E_UNKNOWN));
        CHECK_EQ(p.done, 0);
        CHECK_EQ(LOGGED(PROTOCOL_ERROR), 1);
    }
}

TEST(what_is_answered_with_nonsense_is_not_asked_again) {
    wire_request q;
    wire_start_default();
    CHECK_EQ(wire_submit(&q, "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    wire_run();
    wire_feed("$3\r\nabcde\r\n");
    wire_run();
    CHECK(!wire.open);
    CHECK(wire_ended(&q, MCPSESS_E_UNKNOWN));
}

void test_redis(void) {
    RUN(init_takes_a_desc_within_its_limits_only);
    RUN(what_was_not_made_is_refused);
    RUN(modules_are_attached_before_the_first_poll_and_do_not_overlap);
    RUN(the_handshake_says_what_the_desc_says);
    RUN(the_handshake_survives_any_split);
    RUN(a_script_may_be_longer_than_the_buffer);
    RUN(credentials_may_be_a_user_or_a_password_alone);
    RUN(servers_without_hello_are_spoken_to_in_resp2);
    RUN(tracking_of_one_connection_is_none_of_the_next);
    RUN(each_connection_begins_in_resp3);
    RUN(a_server_that_does_not_tell_the_time_leaves_it_unknown);
    RUN(refused_credentials_and_permissions_fail_for_good);
    RUN(a_server_that_is_not_ready_yet_is_asked_again);
    RUN(without_credentials_noauth_fails_whatever_it_answers_first);
    RUN(a_handshake_that_does_not_fit_tx_fails_and_does_not_spin);
    RUN(a_script_whose_digest_is_wrong_is_never_used);
    RUN(a_handshake_whose_answers_do_not_fit_begins_again);
    RUN(what_is_no_answer_to_a_ping_ends_the_connection);
    RUN(a_refused_reply_ends_the_connection);
    RUN(tracking_that_is_refused_is_done_without);
    RUN(prefixes_are_tracked_with_one_command);
    RUN(commands_are_pipelined_and_answered_in_order);
    RUN(a_bulk_larger_than_rx_comes_in_pieces);
    RUN(done_may_submit_into_the_slot_that_is_free_now);
    RUN(a_command_larger_than_tx_ends_and_the_others_go_on);
    RUN(what_does_not_fit_tx_now_goes_out_later);
    RUN(errors_are_known_by_their_first_word);
    RUN(the_text_of_an_error_is_kept_as_far_as_there_is_room);
    RUN(an_error_whose_end_falls_apart_at_the_end_of_rx_ends);
    RUN(errors_within_an_array_are_items);
    RUN(attributes_are_left_out);
    RUN(pushes_tell_keys_between_any_replies);
    RUN(a_null_push_and_a_key_that_is_too_long_are_any_key);
    RUN(any_number_of_keys_in_one_push);
    RUN(other_pushes_go_to_the_modules);
    RUN(hear_takes_in_what_has_arrived);
    RUN(an_answer_to_nothing_ends_the_connection);
    RUN(what_is_not_resp_ends_the_connection);
    RUN(what_is_answered_with_nonsense_is_not_asked_again);
}
