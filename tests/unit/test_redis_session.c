/* session on redisstore on the engine: answers, pushes and lost connections as they come over one wire. */

#include "store_wire.h"

MCPSESS_SESSION_STORAGE(tier, 4, VALUE_MAX, 2, VALUE_MAX);
static mcpsess_sessions table;
static mcpsess_op op;
static char got_mem[VALUE_MAX];
static mcpsess_buf got;

#define PUSH_HEAD ">2\r\n$10\r\ninvalidate\r\n*1\r\n"
#define PUSH_K PUSH_HEAD "$13\r\nmcpsess:r:{k}\r\n"

static void start_table(void) {
    mcpsess_session_desc d = mcpsess_session_desc_default();
    start();
    d.store = store;
    d.capacity = 4;
    d.slot_max = d.record_max = VALUE_MAX;
    d.lanes = 2;
    d.ttl_ms = d.max_age_ms = UINT64_C(1000000000);
    CHECK_EQ(mcpsess_session_init(&table, &d, tier.bytes, sizeof tier.bytes), MCPSESS_OK);
    mcpsess_op_init(&op, 0);
}

static int load(void) {
    mcpsess_buf_init(&got, got_mem, sizeof got_mem);
    return mcpsess_session_load(&table, &op, MCPSESS_STR("k"), &alice, &got, now);
}

/* Loads until the server is asked. */
static bool asks(void) {
    unsigned n, before = server.evals;
    if (load() != MCPSESS_PENDING) return false;
    for (n = 0; n < 60 && server.evals == before; n++) (void)mcpsess_poll(&op, now);
    return server.evals == before + 1u;
}

/* The session as it is with this backend. */
static mcpsess_str record(const char *backend, char *mem) {
    mcpsess_record r;
    mcpsess_buf b;
    memset(&r, 0, sizeof r);
    r.id = MCPSESS_STR("k");
    r.principal = alice;
    r.backend = mcpsess_str_z(backend);
    r.state = MCPSESS_STATE_ACTIVE;
    mcpsess_buf_init(&b, mem, VALUE_MAX);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    return mcpsess_buf_str(&b);
}

/* The server answers a load with it. */
static void say_record(const char *backend) {
    char room[VALUE_MAX + 48u], mem[VALUE_MAX];
    mcpsess_buf reply;
    mcpsess_buf_init(&reply, room, sizeof room);
    mcpsess_buf_put(&reply, MCPSESS_STR("*4\r\n:0\r\n:999999999\r\n:0\r\n"));
    mcpsess_resp_put_bytes(&reply, MCPSESS_RESP_BULK, record(backend, mem));
    say(mcpsess_buf_str(&reply));
}

static bool gets(const char *backend) {
    mcpsess_record r;
    unsigned n;
    for (n = 0; n < 60 && mcpsess_op_rc(&op) == MCPSESS_PENDING; n++) (void)mcpsess_poll(&op, now);
    if (!CHECK_EQ(mcpsess_op_rc(&op), MCPSESS_OK)) return false;
    return mcpsess_record_decode(mcpsess_buf_str(&got), &r) == MCPSESS_OK &&
           mcpsess_str_eq(r.backend, mcpsess_str_z(backend));
}

static bool hits(const char *backend) {
    return load() == MCPSESS_OK && gets(backend);
}

/* A session that is at hand. */
static void start_known(void) {
    start_table();
    CHECK(asks());
    say_record("one");
    CHECK(gets("one"));
    now += 6;
    CHECK(hits("one"));
    now += 6;
}

TEST(rsession_push_beside_the_answer_overtakes_it) {
    unsigned before;
    for (before = 0; before < 2; before++) {
        start_known();
        CHECK_EQ(mcpsess_session_mark(&table, MCPSESS_STR("k")), MCPSESS_OK);
        CHECK(asks());
        if (before != 0) say(MCPSESS_STR(PUSH_K));
        say_record("one");
        if (before == 0) say(MCPSESS_STR(PUSH_K));
        CHECK(gets("one"));
        CHECK(asks());
        say_record("two");
        CHECK(gets("two"));
        now += 6;
        CHECK(hits("two"));
        CHECK_EQ(mcpsess_session_check(&table), MCPSESS_OK);
    }
}

TEST(rsession_push_that_has_arrived_is_heard_before_a_hit) {
    start_known();
    say(MCPSESS_STR(PUSH_K));
    CHECK(asks());
    say_record("two");
    CHECK(gets("two"));
}

TEST(rsession_half_a_push_is_reason_to_ask) {
    start_known();
    say(MCPSESS_STR(PUSH_HEAD "$13\r\nmcpsess:"));
    CHECK(asks()); /* it may be this one */
    say(MCPSESS_STR("r:{x}\r\n"));
    say_record("one");
    CHECK(gets("one"));
    CHECK(hits("one")); /* it was not */
}

/* More than one receive takes, all of it of others. */
TEST(rsession_burst_of_others_marks_nothing) {
    unsigned n;
    start_known();
    for (n = 0; n < 4; n++) say(MCPSESS_STR(PUSH_HEAD "$13\r\nmcpsess:r:{x}\r\n"));
    CHECK(server.in_len > RX);
    CHECK(asks());
    say_record("one");
    CHECK(gets("one"));
    now += 6;
    CHECK(hits("one"));
    CHECK_EQ(table.stats.flushes, 0);
}

TEST(rsession_new_connection_confirms_all) {
    start_known();
    break_off();
    connected(); /* between two loads */
    CHECK(asks());
    say_record("two");
    CHECK(gets("two"));
}

TEST(rsession_write_of_unknown_outcome_is_confirmed) {
    mcpsess_op write;
    char mem[VALUE_MAX];
    unsigned n, before;
    start_known();
    before = server.evals;
    mcpsess_op_init(&write, 0);
    CHECK_EQ(mcpsess_session_store(&table, &write, record("two", mem), now), MCPSESS_PENDING);
    for (n = 0; n < 60 && server.evals == before; n++) (void)mcpsess_poll(&write, now);
    server.dead = true;
    for (n = 0; n < 60 && mcpsess_op_rc(&write) == MCPSESS_PENDING; n++) (void)mcpsess_poll(&write, now);
    CHECK_EQ(mcpsess_op_rc(&write), MCPSESS_E_UNKNOWN);
    now += 20;
    connected();
    CHECK(asks());
    say_record("two");
    CHECK(gets("two"));
}

TEST(rsession_silent_server_is_trusted_for_its_stated_time) {
    mcpsess_redis_desc d = wire_desc();
    start_known();
    now = redis.i.heard_ms + mcpsess_redis_desc_default().idle_ms + d.reply_timeout_ms;
    CHECK(hits("one"));
    now += 6;
    CHECK(asks());
    say_record("one");
    CHECK(gets("one"));
}

TEST(rsession_commands_of_others_bring_its_answers) {
    const mcpsess_str argv[] = {LIT("ECHO"), LIT("a")};
    char room[16];
    mcpsess_redis_op other;
    mcpsess_buf reply;
    start_table();
    CHECK(asks());
    mcpsess_buf_init(&reply, room, sizeof room);
    mcpsess_op_init(&other.op, 0);
    CHECK_EQ(mcpsess_redis_cmd(&redis, &other, argv, 2, &reply, now), MCPSESS_PENDING);
    CHECK_EQ(mcpsess_poll(&other.op, now), MCPSESS_PENDING);
    say_record("one");
    say(MCPSESS_STR("$1\r\na\r\n"));
    CHECK_EQ(mcpsess_poll(&other.op, now), MCPSESS_OK);
    CHECK_EQ(mcpsess_op_rc(&op), MCPSESS_PENDING);
    CHECK((mcpsess_want(&op) & MCPSESS_WANT_NOW) != 0);
    CHECK(mcpsess_next_due(&op, now) <= now);
    CHECK(gets("one"));
}

void test_redis_session(void) {
    RUN(rsession_push_beside_the_answer_overtakes_it);
    RUN(rsession_push_that_has_arrived_is_heard_before_a_hit);
    RUN(rsession_half_a_push_is_reason_to_ask);
    RUN(rsession_burst_of_others_marks_nothing);
    RUN(rsession_new_connection_confirms_all);
    RUN(rsession_write_of_unknown_outcome_is_confirmed);
    RUN(rsession_silent_server_is_trusted_for_its_stated_time);
    RUN(rsession_commands_of_others_bring_its_answers);
}
