/* The engine: what becomes of a command when its deadline, its taker, its script or its connection goes away. */

#include "redis_wire.h"

#define LOGGED(item) wire.logged[MCPSESS_REDIS_ITEM_##item - 64]

static wire_request q[WIRE_SLOTS + 2];

static void lose(void) {
    wire.recv_dead = true;
    wire_run();
    CHECK(!wire.open);
    wire.recv_dead = false;
    wire.sent_len = 0;
}

/* -- given up, or late -- */

TEST(a_late_reply_never_answers_another_command) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit_by(&q[1], "GET b", 0, wire.now + 100), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "GET c", 0), MCPSESS_PENDING);
    wire_run();
    mcpsess_redis_drop(&wire.redis, &q[0]);
    (void)wire_poll_at(99);
    CHECK_EQ(q[1].done, 0);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 1);
    (void)wire_poll_at(1);
    CHECK(wire_ended(&q[1], MCPSESS_E_TIMEOUT));
    CHECK_EQ(wire.redis.stats.timeouts, 1);
    CHECK_EQ(wire_submit(&q[3], "GET d", 0), MCPSESS_PENDING);
    wire_run();
    CHECK_EQ(wire_submit(&q[4], "GET e", 0), MCPSESS_E_FULL); /* their slots are still waiting */
    wire_feed("*2\r\n+a\r\n+A\r\n-ERR b\r\n+c\r\n+d\r\n");
    wire_run();
    CHECK_EQ(q[0].done + q[0].items, 0);
    CHECK_EQ(q[1].done, 1);
    CHECK(wire_answered(&q[2], "c") && wire_answered(&q[3], "d"));
    CHECK_EQ(wire.redis.stats.late_replies, 2);
    CHECK_EQ(LOGGED(LATE_REPLY), 2);
    CHECK_EQ(wire.log_number, 100);
}

TEST(a_reply_that_is_there_at_the_deadline_counts) {
    wire_start_default();
    CHECK_EQ(wire_submit_by(&q[0], "GET a", 0, wire.now + 100), MCPSESS_PENDING);
    wire_run();
    wire_feed("+a\r\n");
    (void)wire_poll_at(100);
    CHECK(wire_answered(&q[0], "a"));
}

TEST(a_deadline_passes_in_the_middle_of_a_reply) {
    wire_start_default();
    CHECK_EQ(wire_submit_by(&q[0], "GET a", 0, wire.now + 100), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("*2\r\n$3\r\nabc\r\n$3\r\nd");
    wire_run();
    CHECK_EQ(q[0].items, 2);
    (void)wire_poll_at(100);
    CHECK(wire_ended(&q[0], MCPSESS_E_TIMEOUT));
    wire_feed("ef\r\n+b\r\n");
    wire_run();
    CHECK_EQ(q[0].items, 2);
    CHECK(wire_answered(&q[1], "b"));
}

TEST(no_deadline_is_the_default_one_and_never_is_never) {
    mcpsess_redis_desc d = wire_desc();
    d.reply_timeout_ms = 1000000;
    d.timeout_ms = 700;
    wire_start(&d);
    CHECK_EQ(wire_submit_by(&q[0], "GET a", 0, 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    wire_run();
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == wire.now + 700);
    (void)wire_poll_at(699);
    CHECK_EQ(q[0].done, 0);
    (void)wire_poll_at(1);
    CHECK(wire_ended(&q[0], MCPSESS_E_TIMEOUT));
    (void)wire_poll_at(900000);
    CHECK_EQ(q[1].done, 0);
}

TEST(what_ends_before_it_is_sent_is_never_sent) {
    wire_start_default();
    wire.send_max = 0;
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit_by(&q[1], "SET b 1", 0, wire.now + 100), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "SET c 1", 0), MCPSESS_PENDING);
    mcpsess_redis_drop(&wire.redis, &q[2]); /* waits */
    (void)wire_poll();
    CHECK_EQ(wire_submit(&q[3], "SET d 1", 0), MCPSESS_PENDING);
    (void)wire_poll();
    mcpsess_redis_drop(&wire.redis, &q[3]); /* the last in tx, or waiting for it */
    (void)wire_poll_at(100);                /* and now b is, which says that nothing was written */
    CHECK(wire_ended(&q[1], MCPSESS_E_IO));
    wire.send_max = 500;
    wire_run();
    CHECK(wire_sent("GET a"));
    CHECK(wire_silent());
    wire_feed("+a\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "a"));
    CHECK_EQ(wire.redis.stats.late_replies, 0);
    CHECK_EQ(q[2].done + q[3].done, 0);
}

TEST(what_ends_in_the_middle_of_tx_is_sent_and_its_reply_swallowed) {
    wire_start_default();
    wire.send_max = 0;
    CHECK_EQ(wire_submit_by(&q[0], "SET a 1", 0, wire.now + 100), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    (void)wire_poll();
    (void)wire_poll_at(100);
    wire.send_max = 500;
    wire_run();
    if (q[0].rc == MCPSESS_E_IO) { /* said that nothing was written */
        CHECK(!wire_sent("SET a 1"));
    } else {
        CHECK(wire_ended(&q[0], MCPSESS_E_TIMEOUT));
        CHECK(wire_sent("SET a 1"));
        wire_feed("+OK\r\n");
    }
    CHECK(wire_sent("GET b"));
    wire_feed("+b\r\n");
    wire_run();
    CHECK(wire_answered(&q[1], "b"));
}

static void drop_others(wire_request *self) {
    size_t n;
    for (n = 0; n < WIRE_SLOTS; n++) {
        if (&q[n] != self) mcpsess_redis_drop(&wire.redis, &q[n]);
    }
}

TEST(callbacks_may_drop_others) {
    unsigned where;
    for (where = 0; where < 3; where++) {
        size_t n;
        wire_start_default();
        for (n = 0; n < WIRE_SLOTS; n++) CHECK_EQ(wire_submit(&q[n], "GET a", 0), MCPSESS_PENDING);
        if (where == 0) q[1].on_encode = drop_others;
        if (where == 1) q[1].on_item = drop_others;
        if (where == 2) q[1].on_done = drop_others;
        wire_run();
        if (where == 0) { /* the first is out, the rest never was */
            CHECK(wire_sent("GET a") && wire_sent("GET a"));
            CHECK(wire_silent());
        }
        for (n = 0; n < WIRE_SLOTS; n++) wire_feed(where == 0 && n >= 2 ? "" : "*1\r\n+a\r\n");
        wire_run();
        CHECK(wire_answered(&q[1], "a"));
        CHECK_EQ(q[0].done, where == 0 ? 0 : 1);
        CHECK_EQ(q[2].done + q[3].done, 0);
        CHECK_EQ(wire_submit(&q[0], "GET z", 0), MCPSESS_PENDING);
        q[1].on_done = NULL;
        wire.sent_len = 0;
        wire_run();
        CHECK(wire_sent("GET z"));
        wire_feed("+z\r\n");
        wire_run();
        CHECK(wire_answered(&q[0], "z"));
    }
}

/* -- the connection ends -- */

static void drop_itself(wire_request *self) {
    mcpsess_redis_drop(&wire.redis, self);
}

TEST(callbacks_may_drop_their_own) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "GET c", 0), MCPSESS_PENDING);
    q[0].on_encode = drop_itself;
    q[1].on_item = drop_itself;
    wire_run();
    CHECK(wire_sent("GET b") && wire_sent("GET c"));
    CHECK(wire_silent());
    wire_feed("*2\r\n+b\r\n+b\r\n+c\r\n");
    wire_run();
    CHECK_EQ(q[0].done + q[1].done, 0);
    CHECK_EQ(q[1].items, 1);
    CHECK(wire_answered(&q[2], "c"));
    CHECK_EQ(wire_submit(&q[3], "GET d", 0), MCPSESS_PENDING); /* the last in line */
    q[3].on_encode = drop_itself;
    wire_run();
    CHECK(wire_silent());
    CHECK_EQ(wire.redis.i.used, 0);
}

TEST(after_a_loss_the_outcome_table_holds_and_the_order_too) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "GET c", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    wire_run();
    CHECK_EQ(wire_submit(&q[3], "SET d 1", 0), MCPSESS_PENDING); /* not sent */
    wire.send_max = 0;
    lose();
    wire.send_max = 500;
    CHECK_EQ(q[0].done + q[2].done + q[3].done, 0);
    CHECK(wire_ended(&q[1], MCPSESS_E_UNKNOWN));
    CHECK_EQ(wire.redis.stats.unknown, 1);
    CHECK_EQ(wire.redis.stats.disconnects, 1);
    CHECK_EQ(LOGGED(DISCONNECTED), 1);
    CHECK_EQ(wire.any, 1);
    wire.now += 100;
    wire_greet();
    CHECK(wire_sent("GET a") && wire_sent("GET c") && wire_sent("SET d 1"));
    CHECK(wire_silent());
    wire_feed("+a\r\n+c\r\n+d\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "a") && wire_answered(&q[2], "c") && wire_answered(&q[3], "d"));
    CHECK_EQ(wire.redis.stats.repeated, 2);
    CHECK_EQ(wire.any, 2);
}

TEST(half_a_command_sent_is_sent) {
    wire_start_default();
    wire.send_max = 28; /* SET a 1 has 27 bytes with its frame */
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "SET c 1", 0), MCPSESS_PENDING);
    (void)wire_poll();
    CHECK_EQ(wire.sent_len, 28);
    wire.send_max = 0;
    lose();
    CHECK_EQ(wire.redis.stats.unknown, q[0].done + q[1].done);
    CHECK(wire_ended(&q[1], MCPSESS_E_UNKNOWN));
    CHECK_EQ(q[2].done, 0);
}

/* Though it was sent before, on the connection that is gone. */
TEST(what_is_to_be_repeated_has_no_answer_before_it_is_sent) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    wire_run();
    lose();
    wire.now += 100;
    wire_run();
    CHECK(wire_sent("HELLO 3"));
    wire_feed("%0\r\n");
    wire_run();
    wire_feed("*2\r\n$1\r\n0\r\n$1\r\n0\r\n+OK\r\n");
    wire.send_max = 0;
    CHECK_EQ(wire_poll(), MCPSESS_OK); /* it is in tx, and no further */
    wire_feed("+late\r\n");
    wire_run();
    CHECK(!wire.open);
    CHECK_EQ(q[0].done, 0);
    CHECK_EQ(wire.redis.stats.repeated, 1);
    mcpsess_redis_drop(&wire.redis, &q[0]);
    CHECK_EQ(wire.redis.i.used, 0);
}

TEST(half_an_answer_is_asked_for_again) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "MGET a b", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET c", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    wire_run();
    wire_feed("*2\r\n+x\r\n$5\r\nab");
    wire_run();
    CHECK(q[0].items >= 2);
    lose();
    wire.now += 100;
    wire_greet();
    CHECK(wire_sent("MGET a b") && wire_sent("GET c"));
    wire_feed("*2\r\n+y\r\n+z\r\n+c\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "yz") && wire_answered(&q[1], "c"));
}

TEST(replies_are_read_though_sending_fails) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    wire_run();
    CHECK_EQ(wire_submit(&q[2], "SET c 1", 0), MCPSESS_PENDING);
    wire_feed("+a\r\n");
    wire.send_dead = true;
    wire_run();
    CHECK(!wire.open);
    CHECK(wire_answered(&q[0], "a"));
    CHECK(wire_ended(&q[1], MCPSESS_E_UNKNOWN));
    CHECK_EQ(q[2].done, 0); /* nothing of it was sent */
}

TEST(what_was_given_up_is_not_repeated) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit_by(&q[1], "GET b", MCPSESS_REDIS_REPEAT, wire.now + 50), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "GET c", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    wire_run();
    mcpsess_redis_drop(&wire.redis, &q[0]);
    lose();
    (void)wire_poll_at(50);
    CHECK(wire_ended(&q[1], MCPSESS_E_TIMEOUT)); /* it may have been done */
    wire.now += 100;
    wire_greet();
    CHECK(wire_sent("GET c"));
    CHECK(wire_silent());
    wire_feed("+c\r\n");
    wire_run();
    CHECK(wire_answered(&q[2], "c"));
}

static wire_request more;

static void submit_more(wire_request *self) {
    (void)self;
    CHECK_EQ(wire_submit(&more, "GET more", 0), MCPSESS_PENDING);
}

TEST(done_may_submit_when_the_connection_ends) {
    size_t n;
    wire_start_default();
    for (n = 0; n < WIRE_SLOTS; n++) CHECK_EQ(wire_submit(&q[n], "SET a 1", 0), MCPSESS_PENDING);
    q[0].on_done = submit_more;
    wire_run();
    lose();
    for (n = 0; n < WIRE_SLOTS; n++) CHECK(wire_ended(&q[n], MCPSESS_E_UNKNOWN));
    CHECK_EQ(more.done, 0);
    wire.now += 100;
    wire_greet();
    CHECK(wire_sent("GET more"));
}

/* -- scripts that are gone -- */

static void start_with_scripts(void) {
    mcpsess_redis_desc d = wire_desc();
    wire_init(&d);
    wire_module.scripts = wire_scripts;
    wire_module.script_count = 2;
    CHECK_EQ(mcpsess_redis_attach(&wire.redis, &wire_module), MCPSESS_OK);
    wire_greet();
}

#define GONE "-NOSCRIPT No matching script. Please use EVAL.\r\n"
#define SAFE (MCPSESS_REDIS_SCRIPT | MCPSESS_REDIS_REPEAT)

TEST(lost_scripts_are_loaded_again_and_the_order_holds) {
    start_with_scripts();
    CHECK_EQ(wire_submit(&q[0], "EVALSHA a", MCPSESS_REDIS_SCRIPT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "EVALSHA c", MCPSESS_REDIS_SCRIPT), MCPSESS_PENDING);
    wire_run();
    CHECK(wire_sent("EVALSHA a") && wire_sent("GET b") && wire_sent("EVALSHA c"));
    wire_feed(GONE);
    wire_run();
    CHECK_EQ(wire_submit(&q[3], "GET d", 0), MCPSESS_PENDING);
    wire_run();
    CHECK(wire_silent()); /* nothing more until all is answered */
    CHECK_EQ(q[0].done, 0);
    wire_feed("+b\r\n");
    wire_run();
    CHECK(wire_answered(&q[1], "b"));
    CHECK(wire_silent());
    wire_feed(GONE);
    wire_run();
    CHECK(wire_sent_load(0) && wire_sent_load(1));
    CHECK(wire_silent());
    wire_feed_loaded(0);
    wire_run();
    CHECK(wire_silent());
    wire_feed_loaded(1);
    wire_run();
    CHECK(wire_sent("EVALSHA a") && wire_sent("EVALSHA c") && wire_sent("GET d"));
    CHECK(wire_silent());
    wire_feed("+a\r\n+c\r\n+d\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "a") && wire_answered(&q[2], "c") && wire_answered(&q[3], "d"));
    CHECK_EQ(wire.redis.stats.reloads, 1);
    CHECK_EQ(LOGGED(SCRIPTS_LOST), 1);
    CHECK_EQ(wire.log_number, 2);
    CHECK_EQ(wire.changes, 1); /* of the first connection */
}

TEST(after_noscript_what_is_in_tx_waits_too) {
    start_with_scripts();
    CHECK_EQ(wire_submit(&q[0], "EVALSHA a", MCPSESS_REDIS_SCRIPT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "SET c 1", 0), MCPSESS_PENDING);
    wire.send_max = 30; /* EVALSHA a has 24 bytes, then half of b */
    (void)wire_poll();
    wire.send_max = 0;
    wire_feed(GONE);
    wire_run();
    wire.send_max = 500;
    wire_run();
    CHECK(wire_sent("EVALSHA a") && wire_sent("SET b 1")); /* what was begun is ended */
    CHECK(wire_silent());
    wire_feed("+b\r\n");
    wire_run();
    CHECK(wire_sent_load(0) && wire_sent_load(1));
    wire_feed_loaded(0);
    wire_feed_loaded(1);
    wire_run();
    CHECK(wire_sent("EVALSHA a") && wire_sent("SET c 1"));
    CHECK(wire_silent());
    wire_feed("+a\r\n+c\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "a") && wire_answered(&q[1], "b") && wire_answered(&q[2], "c"));
}

TEST(after_noscript_what_was_given_up_in_tx_is_not_sent) {
    start_with_scripts();
    CHECK_EQ(wire_submit(&q[0], "EVALSHA a", MCPSESS_REDIS_SCRIPT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "SET c 1", 0), MCPSESS_PENDING);
    wire.send_max = 24; /* EVALSHA a, and no more */
    (void)wire_poll();
    wire.send_max = 0;
    mcpsess_redis_drop(&wire.redis, &q[1]); /* there is one behind it in tx */
    wire_feed(GONE);
    (void)wire_poll();
    CHECK_EQ(wire.redis.i.used, 2);
    wire.send_max = 500;
    wire_run();
    CHECK(wire_sent("EVALSHA a") && wire_sent_load(0) && wire_sent_load(1));
    wire_feed_loaded(0);
    wire_feed_loaded(1);
    wire_run();
    CHECK(wire_sent("EVALSHA a") && wire_sent("SET c 1"));
    CHECK(wire_silent());
    CHECK_EQ(wire.redis.stats.commands, 3); /* only what was sent */
}

/* Loads the scripts whenever it is asked to. */
static void reload(void) {
    CHECK(wire_sent_load(0) && wire_sent_load(1));
    wire_feed_loaded(0);
    wire_feed_loaded(1);
    wire_run();
}

TEST(a_script_that_stays_away_ends_with_an_error) {
    unsigned rounds;
    start_with_scripts();
    CHECK_EQ(wire_submit(&q[0], "EVALSHA a", SAFE), MCPSESS_PENDING);
    wire_run();
    for (rounds = 0; rounds < 10 && q[0].done == 0; rounds++) {
        CHECK(wire_sent("EVALSHA a"));
        wire_feed(GONE);
        wire_run();
        if (q[0].done == 0) reload();
    }
    CHECK(wire_ended(&q[0], MCPSESS_REDIS_E_NOSCRIPT));
    CHECK_EQ(rounds, 4);
    CHECK_EQ(wire.redis.stats.reloads, 3);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    wire_run();
    CHECK(wire_sent("GET b"));
}

TEST(while_scripts_are_loaded_commands_may_end) {
    start_with_scripts();
    CHECK_EQ(wire_submit(&q[0], "EVALSHA a", SAFE), MCPSESS_PENDING);
    CHECK_EQ(wire_submit_by(&q[1], "EVALSHA b", SAFE, wire.now + 100), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[2], "EVALSHA c", SAFE), MCPSESS_PENDING);
    wire_run();
    wire_feed(GONE GONE);
    wire_run();
    wire.sent_len = 0;
    mcpsess_redis_drop(&wire.redis, &q[0]);
    (void)wire_poll_at(100);
    CHECK(wire_ended(&q[1], MCPSESS_E_IO)); /* the server did nothing, and will not */
    wire_feed(GONE);
    wire_run();
    reload();
    CHECK(wire_sent("EVALSHA c"));
    CHECK(wire_silent());
    wire_feed("+c\r\n");
    wire_run();
    CHECK(wire_answered(&q[2], "c"));
}

TEST(all_that_met_noscript_may_be_given_up) {
    start_with_scripts();
    CHECK_EQ(wire_submit(&q[0], "EVALSHA a", SAFE), MCPSESS_PENDING);
    wire_run();
    wire.sent_len = 0;
    wire_feed(GONE);
    wire_run();
    mcpsess_redis_drop(&wire.redis, &q[0]);
    wire_run();
    reload();
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    wire_run();
    CHECK(wire_sent("GET b"));
}

TEST(a_connection_that_ends_while_scripts_are_loaded) {
    start_with_scripts();
    CHECK_EQ(wire_submit(&q[0], "EVALSHA a", MCPSESS_REDIS_SCRIPT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed(GONE);
    wire_run();
    lose();
    CHECK_EQ(q[0].done, 0); /* the server has said that it did nothing */
    CHECK(wire_ended(&q[1], MCPSESS_E_UNKNOWN));
    wire.now += 100;
    wire_greet();
    CHECK(wire_sent("EVALSHA a"));
    CHECK_EQ(wire.redis.stats.repeated, 0);
}

TEST(scripts_that_may_not_be_loaded_again_fail) {
    start_with_scripts();
    CHECK_EQ(wire_submit(&q[0], "EVALSHA a", MCPSESS_REDIS_SCRIPT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed(GONE "+b\r\n");
    wire_run();
    wire_feed("-NOPERM no\r\n");
    CHECK_EQ(wire_run(), MCPSESS_REDIS_E_NOPERM);
    CHECK(wire_ended(&q[0], MCPSESS_REDIS_E_NOPERM));
}

/* -- a server that is not the right one any more -- */

TEST(readonly_ends_the_connection_when_all_is_answered) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    wire_run();
    wire_feed("-READONLY You can't write against a read only replica.\r\n");
    wire_run();
    CHECK(wire_ended(&q[0], MCPSESS_REDIS_E_READONLY));
    CHECK_EQ(wire_submit(&q[2], "GET c", 0), MCPSESS_PENDING);
    wire.sent_len = 0;
    wire_run();
    CHECK(wire.open && wire_silent());
    wire_feed(WIRE_WRAP "-READONLY You can't write against a read only replica.\r\n");
    wire_run();
    CHECK(wire_ended(&q[1], MCPSESS_REDIS_E_READONLY)); /* and not E_UNKNOWN */
    CHECK(!wire.open);
    wire.now += 100;
    wire_greet();
    CHECK(wire_sent("GET c"));
    wire_feed("-NOAUTH Authentication required.\r\n");
    wire_run();
    CHECK(wire_ended(&q[2], MCPSESS_REDIS_E_NOAUTH));
    CHECK(!wire.open);
}

TEST(a_server_that_is_not_the_right_one_is_sent_nothing_more) {
    static const char *const words[] = {"-READONLY no\r\n", "-MASTERDOWN no\r\n", "-NOAUTH no\r\n"};
    unsigned n;
    for (n = 0; n < 3; n++) {
        wire_start_default();
        CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
        CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
        wire.send_max = 27; /* SET a 1, and no more */
        (void)wire_poll();
        wire.send_max = 0;
        wire_feed(words[n]);
        (void)wire_poll();
        wire.send_max = 500;
        wire_run();
        CHECK(!wire.open && q[1].done == 0);
        wire.now += 100;
        wire_greet();
        CHECK(wire_sent("SET b 1"));
        CHECK(wire_silent());
    }
}

/* As on a wire whose other end has another connection by now: nobody is told of changes there. */
TEST(a_ping_that_needs_a_login_ends_the_connection) {
    wire_start_default();
    (void)wire_poll_at(5000);
    CHECK(wire_sent("PING"));
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    wire_feed("-NOAUTH Authentication required.\r\n");
    wire_run();
    CHECK(!wire.open && q[0].done == 0);
    CHECK_EQ(wire.any, 1);
    wire.now += 100;
    wire.sent_len = 0;
    wire_greet();
    CHECK(wire_sent("GET a"));
}

/* -- close and reset -- */

TEST(close_ends_all_commands) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    wire_run();
    CHECK_EQ(wire_submit(&q[2], "SET c 1", 0), MCPSESS_PENDING);
    mcpsess_redis_close(&wire.redis);
    CHECK(wire_ended(&q[0], MCPSESS_E_UNKNOWN) && wire_ended(&q[1], MCPSESS_E_UNKNOWN));
    CHECK(wire_ended(&q[2], MCPSESS_E_CLOSED));
    CHECK_EQ(wire.any, 1);
    CHECK_EQ(wire.closes, 1);
    CHECK_EQ(wire_submit(&q[3], "GET d", 0), MCPSESS_E_CLOSED);
    CHECK_EQ(wire_poll(), MCPSESS_E_CLOSED);
    CHECK_EQ(mcpsess_redis_want(&wire.redis), 0);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) == MCPSESS_NEVER);
    mcpsess_redis_close(&wire.redis);
    CHECK_EQ(wire.closes, 1);
    CHECK_EQ(mcpsess_redis_reset(&wire.redis, wire.now), MCPSESS_OK);
    wire.sent_len = 0;
    wire_greet();
    CHECK_EQ(wire_submit(&q[3], "GET d", 0), MCPSESS_PENDING);
}

TEST(reset_begins_anew) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "GET a", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "SET b 1", 0), MCPSESS_PENDING);
    wire_run();
    CHECK_EQ(mcpsess_redis_reset(&wire.redis, wire.now), MCPSESS_OK);
    CHECK_EQ(wire.closes, 1);
    CHECK(wire_ended(&q[1], MCPSESS_E_UNKNOWN));
    wire.sent_len = 0;
    wire_greet(); /* at once */
    CHECK(wire_sent("GET a"));
    wire_feed("+a\r\n");
    wire_run();
    CHECK(wire_answered(&q[0], "a"));
}

static void close_it(wire_request *self) {
    (void)self;
    mcpsess_redis_close(&wire.redis);
}

static void reset_it(wire_request *self) {
    (void)self;
    CHECK_EQ(mcpsess_redis_reset(&wire.redis, wire.now), MCPSESS_OK);
}

static void poll_it(wire_request *self) {
    unsigned recvs = wire.recvs, sends = wire.sends;
    (void)self;
    (void)mcpsess_redis_poll(&wire.redis, wire.now);
    CHECK_EQ(mcpsess_redis_hear(&wire.redis, wire.now), MCPSESS_PENDING);
    (void)mcpsess_redis_want(&wire.redis);
    (void)mcpsess_redis_next_due(&wire.redis, wire.now);
    CHECK(recvs == wire.recvs && sends == wire.sends);
}

static void run_with(unsigned where, void (*act)(wire_request *)) {
    size_t n;
    wire_start_default();
    for (n = 0; n < 3; n++) CHECK_EQ(wire_submit(&q[n], "SET a 1", 0), MCPSESS_PENDING);
    if (where == 0) q[1].on_encode = act;
    if (where == 1) q[1].on_item = act;
    if (where == 2) q[1].on_done = act;
    (void)wire_poll();
    wire_feed(wire.open ? "+a\r\n+b\r\n+c\r\n" : "");
    (void)wire_poll();
}

TEST(callbacks_may_close) {
    unsigned where;
    for (where = 0; where < 3; where++) {
        run_with(where, close_it);
        CHECK_EQ(wire_poll(), MCPSESS_E_CLOSED);
        CHECK(q[0].done == 1 && q[1].done == 1 && q[2].done == 1);
        CHECK_EQ(wire.closes, 1);
        if (where == 0) CHECK(wire_ended(&q[1], MCPSESS_E_CLOSED) && wire_silent());
        if (where == 1) CHECK(wire_ended(&q[1], MCPSESS_E_UNKNOWN) && wire_ended(&q[2], MCPSESS_E_UNKNOWN));
        if (where == 2) CHECK(wire_answered(&q[1], "b") && wire_ended(&q[2], MCPSESS_E_UNKNOWN));
    }
}

TEST(callbacks_may_reset) {
    unsigned where;
    for (where = 0; where < 3; where++) {
        size_t n;
        run_with(where, reset_it);
        CHECK_EQ(wire.closes, 1);
        CHECK(q[0].done <= 1 && q[1].done <= 1 && q[2].done <= 1);
        q[1].on_encode = q[1].on_item = q[1].on_done = NULL;
        wire.open_rc = -1; /* that one comes to nothing */
        lose();
        wire.open_rc = 1;
        wire.now += 1000;
        wire_greet();
        CHECK_EQ(wire.redis.stats.connects, 2);
        for (n = 0; n < 3; n++) wire_feed(q[n].done == 0 ? "+x\r\n" : "");
        (void)wire_run();
        for (n = 0; n < 3; n++) CHECK_EQ(q[n].done, 1);
    }
}

TEST(callbacks_do_not_poll) {
    unsigned where;
    for (where = 0; where < 3; where++) {
        run_with(where, poll_it);
        CHECK(wire_answered(&q[0], "a") && wire_answered(&q[1], "b") && wire_answered(&q[2], "c"));
    }
}

static int close_at; /* this item */

static void close_when_logged(int item) {
    if (item == close_at) mcpsess_redis_close(&wire.redis);
}

static void closes_at(int item) {
    close_at = item;
    wire.on_log = close_when_logged;
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    wire_run();
}

static void is_closed(void) {
    CHECK_EQ(wire_run(), MCPSESS_E_CLOSED);
    CHECK_EQ(q[0].done, 1);
    CHECK_EQ(wire.closes, 1);
}

TEST(log_hooks_may_close) {
    static const int items[] = {MCPSESS_REDIS_ITEM_DISCONNECTED, MCPSESS_REDIS_ITEM_PROTOCOL_ERROR,
                                MCPSESS_REDIS_ITEM_REPLY_TIMEOUT, MCPSESS_REDIS_ITEM_SERVER_ERROR};
    mcpsess_redis_desc d = wire_desc();
    unsigned n;
    for (n = 0; n < 4; n++) {
        wire_start_default();
        closes_at(items[n]);
        if (n == 0) wire.recv_dead = true;
        if (n == 1) wire_feed("nonsense\r\n");
        if (n == 2) wire.now += 3000;
        if (n == 3) wire_feed("-ERR no\r\n");
        is_closed();
    }
    wire_init(&d);
    wire.open_rc = -1;
    closes_at(MCPSESS_REDIS_ITEM_CONNECT_FAILED);
    is_closed();
    wire_init(&d);
    closes_at(MCPSESS_REDIS_ITEM_FAILED);
    wire_feed("-WRONGPASS no\r\n");
    is_closed();
}

/* Asks again whatever comes, as long as it may. */
static unsigned asked_again;

static void ask_again(wire_request *self) {
    uint64_t passed_ms = wire.now;
    if (asked_again++ == 100) return;
    if (wire_submit_by(self, "GET a", 0, passed_ms) == MCPSESS_PENDING) self->on_done = ask_again;
}

static void reset_and_ask_again(wire_request *self) {
    if (asked_again++ == 100) return;
    reset_it(self);
    if (wire_submit(self, "GET a", 0) == MCPSESS_PENDING) self->on_done = reset_and_ask_again;
}

TEST(who_asks_again_when_it_ends_does_not_hold_a_poll) {
    mcpsess_redis_desc d = wire_desc();
    wire_start_default();
    CHECK_EQ(wire_submit_by(&q[0], "GET a", 0, wire.now + 10), MCPSESS_PENDING);
    CHECK_EQ(wire_submit_by(&q[1], "GET b", 0, wire.now + 10), MCPSESS_PENDING);
    q[0].on_done = ask_again;
    asked_again = 0;
    (void)wire_poll_at(10);
    CHECK(wire_ended(&q[1], MCPSESS_E_IO));
    CHECK(asked_again >= 1 && asked_again <= 2);
    CHECK(mcpsess_redis_next_due(&wire.redis, wire.now) <= wire.now); /* the next poll ends it */
    wire_init(&d); /* refused, or away */
    CHECK_EQ(wire_submit(&q[0], "GET a", 0), MCPSESS_PENDING);
    q[0].on_done = reset_and_ask_again;
    asked_again = 0;
    wire_run();
    wire_feed("-WRONGPASS invalid username-password pair\r\n");
    (void)wire_poll();
    CHECK_EQ(asked_again, 1);
    wire.open_rc = -1;
    (void)wire_poll();
    CHECK_EQ(asked_again, 2);
}

static void poll_when_ended(wire_request *self) {
    unsigned opens = wire.opens;
    (void)self;
    CHECK_EQ(mcpsess_redis_poll(&wire.redis, wire.now), MCPSESS_PENDING);
    CHECK_EQ(wire.opens, opens);
}

TEST(callbacks_of_reset_and_close_do_not_poll) {
    unsigned close;
    for (close = 0; close < 2; close++) {
        wire_start_default();
        CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
        q[0].on_done = poll_when_ended;
        wire_run();
        if (close != 0) mcpsess_redis_close(&wire.redis);
        else CHECK_EQ(mcpsess_redis_reset(&wire.redis, wire.now), MCPSESS_OK);
        CHECK(wire_ended(&q[0], MCPSESS_E_UNKNOWN));
    }
}

static void close_when_lost(void) {
    mcpsess_redis_close(&wire.redis);
}

TEST(changed_may_close) {
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    CHECK_EQ(wire_submit(&q[1], "GET b", MCPSESS_REDIS_REPEAT), MCPSESS_PENDING);
    wire_run();
    wire.on_changed = close_when_lost;
    wire.recv_dead = true;
    CHECK_EQ(wire_run(), MCPSESS_E_CLOSED);
    CHECK(wire_ended(&q[0], MCPSESS_E_UNKNOWN) && wire_ended(&q[1], MCPSESS_E_UNKNOWN));
    wire_start_default();
    CHECK_EQ(wire_submit(&q[0], "SET a 1", 0), MCPSESS_PENDING);
    wire_run();
    wire.on_changed = close_when_lost;
    wire_feed(">2\r\n+invalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n+OK\r\n");
    CHECK_EQ(wire_run(), MCPSESS_E_CLOSED);
    CHECK(wire_ended(&q[0], MCPSESS_E_UNKNOWN));
}

void test_redis_outcomes(void) {
    RUN(a_late_reply_never_answers_another_command);
    RUN(a_reply_that_is_there_at_the_deadline_counts);
    RUN(a_deadline_passes_in_the_middle_of_a_reply);
    RUN(no_deadline_is_the_default_one_and_never_is_never);
    RUN(what_ends_before_it_is_sent_is_never_sent);
    RUN(what_ends_in_the_middle_of_tx_is_sent_and_its_reply_swallowed);
    RUN(callbacks_may_drop_others);
    RUN(callbacks_may_drop_their_own);
    RUN(after_a_loss_the_outcome_table_holds_and_the_order_too);
    RUN(half_a_command_sent_is_sent);
    RUN(what_is_to_be_repeated_has_no_answer_before_it_is_sent);
    RUN(half_an_answer_is_asked_for_again);
    RUN(replies_are_read_though_sending_fails);
    RUN(what_was_given_up_is_not_repeated);
    RUN(done_may_submit_when_the_connection_ends);
    RUN(lost_scripts_are_loaded_again_and_the_order_holds);
    RUN(after_noscript_what_is_in_tx_waits_too);
    RUN(after_noscript_what_was_given_up_in_tx_is_not_sent);
    RUN(a_script_that_stays_away_ends_with_an_error);
    RUN(while_scripts_are_loaded_commands_may_end);
    RUN(all_that_met_noscript_may_be_given_up);
    RUN(a_connection_that_ends_while_scripts_are_loaded);
    RUN(scripts_that_may_not_be_loaded_again_fail);
    RUN(readonly_ends_the_connection_when_all_is_answered);
    RUN(a_server_that_is_not_the_right_one_is_sent_nothing_more);
    RUN(a_ping_that_needs_a_login_ends_the_connection);
    RUN(close_ends_all_commands);
    RUN(reset_begins_anew);
    RUN(callbacks_may_close);
    RUN(callbacks_may_reset);
    RUN(callbacks_do_not_poll);
    RUN(log_hooks_may_close);
    RUN(who_asks_again_when_it_ends_does_not_hold_a_poll);
    RUN(callbacks_of_reset_and_close_do_not_poll);
    RUN(changed_may_close);
}
