/* redisstore: what it asks and what it makes of the answers, against a server that the test plays, by its own clock. */

#include "store_wire.h"

/* ---- what is asked ---- */

TEST(rstore_asks_to_read) {
    start();
    request(MCPSESS_GET, 0, MCPSESS_STR("k"));
    ask();
    CHECK(ASKED(READ, "7", KEY "$0\r\n\r\n$1\r\n0\r\n$0\r\n\r\n")); /* presence */
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    request(MCPSESS_GET, 0, MCPSESS_STR("k"));
    q.guarded = true;
    q.owner = alice;
    q.ttl_ms = 60000;
    mcpsess_buf_put(&out, MCPSESS_STR("before"));
    q.out = &out;
    ask();
    CHECK(ASKED(READ, "7", KEY ALICE "$5\r\n60000\r\n$2\r\n26\r\n"));
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:5\r\n:0\r\n$3\r\nabc\r\n"), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "beforeabc");
    request(MCPSESS_TOUCH, 0, MCPSESS_STR("k"));
    q.guarded = true; /* nobody's records have an owner, too */
    q.out = &out;     /* not looked at */
    q.ttl_ms = 7;
    ask();
    CHECK(ASKED(READ, "7", KEY "$3\r\n\1\0\0\r\n$1\r\n7\r\n$0\r\n\r\n"));
}

TEST(rstore_asks_to_write) {
    start();
    request(MCPSESS_PUT, MCPSESS_PUT_UPSERT, MCPSESS_STR("k"));
    q.value = MCPSESS_STR("a\r\n\0b");
    q.expect = MCPSESS_STR("not looked at");
    ask();
    CHECK(ASKED(WRITE, "9", KEY "$1\r\n0\r\n$0\r\n\r\n$1\r\n0\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:-1\r\n:0\r\n"), MCPSESS_OK);
    CHECK(q.left_ms == MCPSESS_NEVER);
    request(MCPSESS_PUT, MCPSESS_PUT_CAS, MCPSESS_STR("k"));
    q.value = MCPSESS_STR("new");
    q.expect = MCPSESS_STR("old");
    q.ttl_ms = MCPSESS_NEVER; /* as long as a server can take */
    q.guarded = true;
    q.owner = alice;
    ask();
    CHECK(ASKED(WRITE, "9", KEY "$1\r\n3\r\n" ALICE "$14\r\n35184372088831\r\n$3\r\nnew\r\n$3\r\nold\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:400\r\n:0\r\n"), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 400);
    request(MCPSESS_PUT, MCPSESS_PUT_CREATE, MCPSESS_STR("k"));
    ask();
    CHECK(ASKED(WRITE, "9", KEY "$1\r\n1\r\n$0\r\n\r\n$1\r\n0\r\n$0\r\n\r\n$0\r\n\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:4\r\n:0\r\n:0\r\n"), MCPSESS_EXISTS);
    request(MCPSESS_PUT, MCPSESS_PUT_UPDATE, MCPSESS_STR("k"));
    ask();
    CHECK(ASKED(WRITE, "9", KEY "$1\r\n2\r\n$0\r\n\r\n$1\r\n0\r\n$0\r\n\r\n$0\r\n\r\n"));
}

TEST(rstore_asks_to_delete) {
    start();
    request(MCPSESS_DEL, 0, MCPSESS_STR("k"));
    q.expect = MCPSESS_STR("not looked at");
    ask();
    CHECK(ASKED(DELETE, "7", KEY "$0\r\n\r\n$1\r\n0\r\n$0\r\n\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_OK);
    request(MCPSESS_DEL_EQUAL, 0, MCPSESS_STR("k"));
    q.expect = MCPSESS_STR("x");
    q.guarded = true;
    q.owner = alice;
    ask();
    CHECK(ASKED(DELETE, "7", KEY ALICE "$1\r\n1\r\n$1\r\nx\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:5\r\n:0\r\n:0\r\n"), MCPSESS_LOST);
}

TEST(rstore_asks_for_leases) {
    start();
    request(MCPSESS_LEASE_ACQUIRE, 0, MCPSESS_STR("k"));
    q.value = MCPSESS_STR("tok");
    q.ttl_ms = 5000;
    ask();
    CHECK(ASKED(LEASE, "8", LEASE_KEYS "$1\r\n0\r\n$3\r\ntok\r\n$4\r\n5000\r\n"));
    q.kind = MCPSESS_LEASE_EXTEND;
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:5000\r\n:9\r\n"), MCPSESS_OK);
    ask();
    CHECK(ASKED(LEASE, "8", LEASE_KEYS "$1\r\n1\r\n$3\r\ntok\r\n$4\r\n5000\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:5\r\n:0\r\n:0\r\n"), MCPSESS_LOST);
    q.kind = MCPSESS_LEASE_RELEASE;
    q.ttl_ms = 0;
    ask();
    CHECK(ASKED(LEASE, "8", LEASE_KEYS "$1\r\n2\r\n$3\r\ntok\r\n$1\r\n0\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 0);
}

/* raw id, and as it stands between the braces */
static const mcpsess_str escaped[][2] = {
    {LIT("{"), LIT("%7B")},
    {LIT("}"), LIT("%7D")},
    {LIT("%"), LIT("%25")},
    {LIT("a}{b"), LIT("a%7D%7Bb")},
    {LIT("%7B"), LIT("%257B")},
    {LIT(" "), LIT("%20")},
    {LIT("\r\n"), LIT("%0D%0A")},
    {LIT("\0"), LIT("%00")},
    {LIT("\x7f\x80\xff"), LIT("%7F%80%FF")},
    {LIT("!~:*?[]\\\"'/"), LIT("!~:*?[]\\\"'/")},
};

/* The key of a presence query, as the server got it. */
static mcpsess_str key_seen(void) {
    const char *end = server.seen + server.seen_len, *at = server.seen + sizeof "*6\r\n$7\r\nEVALSHA\r\n$40\r\n" - 1;
    size_t len = 0;
    for (at += 40 + sizeof "\r\n$1\r\n1\r\n$" - 1; at < end && *at != '\r'; at++) len = len * 10 + (size_t)(*at - '0');
    return mcpsess_str_of(at + 2, len);
}

static mcpsess_str key_of(char *dst, mcpsess_str inner) {
    mcpsess_buf b;
    mcpsess_buf_init(&b, dst, ID_MAX_ESCAPED + 32u);
    mcpsess_buf_put(&b, MCPSESS_STR("mcpsess:r:{"));
    mcpsess_buf_put(&b, inner);
    mcpsess_buf_put_char(&b, '}');
    return mcpsess_buf_str(&b);
}

TEST(rstore_escapes_ids) {
    char want[ID_MAX_ESCAPED + 32u];
    unsigned n;
    start();
    for (n = 0; n < COUNT_OF(escaped); n++) {
        request(MCPSESS_GET, 0, escaped[n][0]);
        ask();
        CHECK(mcpsess_str_eq(key_seen(), key_of(want, escaped[n][1])));
        CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    }
}

TEST(rstore_escapes_every_other_byte) {
    char want[ID_MAX_ESCAPED + 32u], inner[3];
    unsigned c;
    start();
    for (c = 0; c < 256; c++) {
        bool plain = c >= 0x21 && c <= 0x7E && c != '%' && c != '{' && c != '}';
        inner[0] = plain ? (char)c : '%';
        inner[1] = "0123456789ABCDEF"[c >> 4];
        inner[2] = "0123456789ABCDEF"[c & 15];
        request(MCPSESS_GET, 0, str_byte(c));
        ask();
        CHECK(mcpsess_str_eq(key_seen(), key_of(want, mcpsess_str_of(inner, plain ? 1 : 3))));
        CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    }
}

TEST(rstore_longest_command_fits_what_the_macro_says) {
    static char id[MCPSESS_ID_MAX], values[2][VALUE_MAX], who[MCPSESS_PRINCIPAL_MAX - 2];
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    unsigned n;
    sd.prefix = MCPSESS_STR("12345678901234567890123456789012");
    make(&d, &sd);
    connected();
    request(MCPSESS_PUT, MCPSESS_PUT_CAS, str_fill(id, ' ', sizeof id));
    q.value = str_fill(values[0], 'v', VALUE_MAX);
    q.expect = str_fill(values[1], 'e', VALUE_MAX);
    q.guarded = true;
    q.owner.issuer = str_fill(who, 'w', sizeof who);
    q.owner.subject = MCPSESS_STR("s");
    q.ttl_ms = MCPSESS_NEVER;
    ask();
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:1\r\n:0\r\n"), MCPSESS_OK);
    request(MCPSESS_LEASE_ACQUIRE, 0, mcpsess_str_of(id, sizeof id));
    q.value = str_fill(values[0], 't', MCPSESS_TOKEN_MAX);
    q.ttl_ms = MCPSESS_NEVER;
    ask();
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:1\r\n:1\r\n"), MCPSESS_OK);
    for (n = 0; n < 4; n++) { /* and the scripts that are loaded */
        CHECK(rstore.i.modules[MCPSESS_OF_RECORDS].scripts[n].len + 64u <= MCPSESS_REDIS_STORE_TX(0));
    }
}

/* ---- what is made of the answers ---- */

static void kind_is(uint8_t kind, uint8_t mode) {
    request(kind, mode, MCPSESS_STR("k"));
    q.value = MCPSESS_STR("token");
    q.ttl_ms = 12800;
    if (kind == MCPSESS_GET) q.out = &out;
    ask();
}

TEST(rstore_answers_of_reads) {
    start();
    kind_is(MCPSESS_GET, 0);
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:7\r\n:1\r\n$0\r\n\r\n"), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 7);
    CHECK_EQ(rstore.stats.refreshed, 1);
    CHECK_EQ(out.len, 0);
    kind_is(MCPSESS_GET, 0);
    CHECK_EQ(ANSWER("*3\r\n:-4\r\n:70000\r\n:0\r\n"), MCPSESS_E_TOOBIG);
    CHECK_EQ(q.need, 70000uL > SIZE_MAX ? SIZE_MAX : 70000uL);
    CHECK_EQ(q.left_ms, 0);
    CHECK(out.len == 0 && !out.overflow);
    kind_is(MCPSESS_TOUCH, 0);
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:-1\r\n:0\r\n"), MCPSESS_OK);
    CHECK(q.left_ms == MCPSESS_NEVER);
    kind_is(MCPSESS_TOUCH, 0);
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:2\r\n"), MCPSESS_MISS);
    CHECK_EQ(rstore.stats.foreign, 1);
    CHECK_EQ(rstore.stats.refreshed, 1);
}

TEST(rstore_answers_of_writes) {
    start();
    kind_is(MCPSESS_PUT, MCPSESS_PUT_UPSERT);
    CHECK_EQ(ANSWER("*3\r\n:4\r\n:0\r\n:2\r\n"), MCPSESS_EXISTS);
    CHECK_EQ(rstore.stats.foreign, 1);
    kind_is(MCPSESS_PUT, MCPSESS_PUT_UPDATE);
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:2\r\n"), MCPSESS_MISS);
    CHECK_EQ(rstore.stats.foreign, 2);
    kind_is(MCPSESS_PUT, MCPSESS_PUT_CAS);
    CHECK_EQ(ANSWER("*3\r\n:5\r\n:0\r\n:0\r\n"), MCPSESS_LOST);
    CHECK_EQ(q.left_ms, 0);
    kind_is(MCPSESS_DEL, 0);
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    kind_is(MCPSESS_DEL_EQUAL, 0);
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_OK);
    CHECK_EQ(rstore.stats.requests, 5);
    CHECK_EQ(redis.stats.commands, 5); /* one round trip each */
}

TEST(rstore_lease_lasts_from_when_it_was_asked_for) {
    start();
    kind_is(MCPSESS_LEASE_ACQUIRE, 0);
    now += 300;
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:12800\r\n:1700000000000001\r\n"), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 12800 - 300 - 100 - 2);
    CHECK_EQ(q.fence, INT64_C(1700000000000001));
    kind_is(MCPSESS_LEASE_ACQUIRE, 0);
    CHECK_EQ(ANSWER("*3\r\n:6\r\n:4321\r\n:0\r\n"), MCPSESS_BUSY);
    CHECK_EQ(q.left_ms, 4321);
    CHECK_EQ(q.fence, 0);
    kind_is(MCPSESS_LEASE_ACQUIRE, 0);
    CHECK_EQ(ANSWER("*3\r\n:6\r\n:-1\r\n:0\r\n"), MCPSESS_BUSY);
    CHECK(q.left_ms == MCPSESS_NEVER);
    kind_is(MCPSESS_LEASE_EXTEND, 0);
    CHECK_EQ(ANSWER("*3\r\n:5\r\n:0\r\n:0\r\n"), MCPSESS_LOST);
}

/* a lease of 100 ms, answered so many ms later */
static int late(uint8_t kind, uint64_t ms) {
    request(kind, 0, MCPSESS_STR("k"));
    q.value = MCPSESS_STR("token");
    q.ttl_ms = 100;
    ask();
    now += ms;
    return ANSWER("*3\r\n:0\r\n:100\r\n:8\r\n");
}

TEST(rstore_lease_with_nothing_left_was_not_got) {
    start();
    CHECK_EQ(late(MCPSESS_LEASE_ACQUIRE, 97), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 1);
    CHECK_EQ(late(MCPSESS_LEASE_ACQUIRE, 98), MCPSESS_E_TIMEOUT);
    CHECK_EQ(q.left_ms, 0);
    CHECK_EQ(q.fence, 0);
    CHECK_EQ(late(MCPSESS_LEASE_EXTEND, 1000), MCPSESS_E_TIMEOUT);
    CHECK_EQ(late(MCPSESS_LEASE_RELEASE, 1000), MCPSESS_OK); /* it is gone, however late we hear of it */
}

TEST(rstore_lease_of_a_repeated_request_counts_from_the_first) {
    start();
    kind_is(MCPSESS_LEASE_ACQUIRE, 0);
    now += 1000;
    reconnect();
    CHECK_EQ(server.evals, 2);
    CHECK(ASKED(LEASE, "8", LEASE_KEYS "$1\r\n0\r\n$5\r\ntoken\r\n$5\r\n12800\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:12800\r\n:5\r\n"), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 12800 - 1020 - 100 - 2);
}

TEST(rstore_errors_of_the_server_are_codes) {
    start();
    kind_is(MCPSESS_PUT, MCPSESS_PUT_CREATE);
    CHECK_EQ(ANSWER("-OOM command not allowed\r\n"), MCPSESS_REDIS_E_OOM);
    CHECK_STR(mcpsess_redis_error(&redis), "OOM command not allowed");
    kind_is(MCPSESS_GET, 0);
    CHECK_EQ(ANSWER("-WRONGTYPE Operation\r\n"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK_EQ(out.len, 0);
    kind_is(MCPSESS_LEASE_ACQUIRE, 0);
    CHECK_EQ(ANSWER("-NOPERM no\r\n"), MCPSESS_REDIS_E_NOPERM);
    CHECK(q.left_ms == 0 && q.fence == 0);
    CHECK(q.rc < MCPSESS_E_STORE);
}

/* An answer that no script of ours gives: whose are those behind it? */
static void nonsense(uint8_t kind, uint8_t mode, mcpsess_str text) {
    start();
    kind_is(kind, mode);
    if (!CHECK_EQ(answer(text), MCPSESS_E_UNKNOWN)) tap_note("kind", kind);
    CHECK(q.left_ms == 0 && q.fence == 0 && out.len == 0);
    CHECK_EQ(redis.stats.connects, 1);
    CHECK_EQ(redis.stats.disconnects, 1);
}

TEST(rstore_refuses_answers_of_no_script) {
    static const mcpsess_str any[] = {LIT("+OK\r\n"),
                                      LIT(":0\r\n"),
                                      LIT("$1\r\n0\r\n"),
                                      LIT("_\r\n"),
                                      LIT("*0\r\n"),
                                      LIT("*2\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:0\r\n:0\r\n$1\r\n0\r\n"),
                                      LIT("*3\r\n:0\r\n:0\r\n*1\r\n:0\r\n"),
                                      LIT("*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n"),
                                      LIT("*5\r\n:0\r\n:0\r\n:0\r\n$0\r\n\r\n$0\r\n\r\n"),
                                      LIT("*3\r\n:1\r\n:0\r\n:0\r\n"), /* PENDING */
                                      LIT("*3\r\n:3\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:7\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:32\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:-1\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:4294967296\r\n:0\r\n:0\r\n"),
                                      LIT("~3\r\n:0\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:0\r\n:0\r\n-ERR\r\n")};
    unsigned n;
    for (n = 0; n < COUNT_OF(any); n++) {
        nonsense(MCPSESS_GET, 0, any[n]);
        nonsense(MCPSESS_PUT, MCPSESS_PUT_UPSERT, any[n]);
        nonsense(MCPSESS_DEL, 0, any[n]);
        nonsense(MCPSESS_LEASE_ACQUIRE, 0, any[n]);
    }
    nonsense(MCPSESS_GET, 0, MCPSESS_STR("*3\r\n:0\r\n:0\r\n:0\r\n")); /* without the value */
    nonsense(MCPSESS_GET, 0, MCPSESS_STR("*3\r\n:5\r\n:0\r\n:0\r\n"));
    nonsense(MCPSESS_TOUCH, 0, MCPSESS_STR("*4\r\n:0\r\n:0\r\n:0\r\n$1\r\na\r\n"));
    nonsense(MCPSESS_TOUCH, 0, MCPSESS_STR("*3\r\n:-4\r\n:0\r\n:0\r\n"));
    nonsense(MCPSESS_DEL, 0, MCPSESS_STR("*3\r\n:4\r\n:0\r\n:0\r\n"));
    nonsense(MCPSESS_LEASE_ACQUIRE, 0, MCPSESS_STR("*3\r\n:2\r\n:0\r\n:0\r\n"));
    nonsense(MCPSESS_LEASE_ACQUIRE, 0, MCPSESS_STR("*3\r\n:0\r\n:12800\r\n:0\r\n")); /* no fence */
    nonsense(MCPSESS_LEASE_ACQUIRE, 0, MCPSESS_STR("*3\r\n:0\r\n:12800\r\n:-5\r\n"));
}

TEST(rstore_looks_up_what_was_answered_with_nonsense) {
    start();
    kind_is(MCPSESS_PUT, MCPSESS_PUT_CREATE);
    CHECK_EQ(ANSWER("*2\r\n:0\r\n:0\r\n"), MCPSESS_PENDING);
    server.in_len = server.in_at = 0;
    reconnect();
    CHECK_EQ(server.evals, 2);
    CHECK_EQ(rstore.stats.read_backs, 1);
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:50\r\n:0\r\n"), MCPSESS_OK);
}

/* ---- values in pieces ---- */

TEST(rstore_value_in_pieces_counts_when_it_is_whole) {
    unsigned n;
    start();
    kind_is(MCPSESS_GET, 0);
    mcpsess_buf_put(&out, MCPSESS_STR(">"));
    server.recv_max = 1;
    say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$9\r\n123456789\r\n"));
    for (n = 0; n < 60 && q.rc == MCPSESS_PENDING; n++) {
        CHECK_STR(mcpsess_buf_str(&out), ">");
        polls(1);
    }
    CHECK_EQ(q.rc, MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), ">123456789");
}

/* A value longer than rx does not come whole, whatever the engine does. */
#define LONG_VALUE (RX + 40u)
static char long_mem[LONG_VALUE + 2u];

static void ask_long(void) {
    request(MCPSESS_GET, 0, MCPSESS_STR("k"));
    memset(long_mem, '#', sizeof long_mem);
    mcpsess_buf_init(&out, long_mem, LONG_VALUE + 1u);
    mcpsess_buf_put(&out, MCPSESS_STR(">"));
    q.out = &out;
    ask();
}

TEST(rstore_pieces_go_where_they_belong) {
    static const size_t chunks[] = {1, 7, SIZE_MAX};
    char value[LONG_VALUE];
    unsigned n;
    for (n = 0; n < LONG_VALUE; n++) value[n] = (char)('!' + n % 90);
    start();
    for (n = 0; n < COUNT_OF(chunks); n++) {
        ask_long();
        server.recv_max = chunks[n];
        say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$168\r\n"));
        say(mcpsess_str_of(value, sizeof value));
        CHECK_EQ(ANSWER("\r\n"), MCPSESS_OK);
        CHECK_EQ(out.len, LONG_VALUE + 1u);
        CHECK(same_bytes(long_mem + 1, value, sizeof value));
        CHECK(long_mem[0] == '>' && long_mem[LONG_VALUE + 1u] == '#');
    }
}

TEST(rstore_value_starts_over_when_it_is_asked_for_again) {
    char part[100];
    start();
    ask_long();
    say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$168\r\n"));
    say(str_fill(part, 'a', 100));
    polls(6);
    CHECK_EQ(q.rc, MCPSESS_PENDING);
    CHECK_EQ(out.len, 1);
    reconnect();
    CHECK_EQ(server.evals, 2);
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:50\r\n:0\r\n$3\r\nxyz\r\n"), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), ">xyz");
    CHECK_EQ(long_mem[LONG_VALUE + 1u], '#');
}

TEST(rstore_value_that_broke_off_leaves_nothing) {
    char part[100];
    start();
    ask_long();
    say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$168\r\n"));
    say(str_fill(part, 'a', sizeof part));
    polls(6);
    CHECK_EQ(long_mem[100], 'a');
    server.refuse = true;
    break_off();
    for (; q.rc == MCPSESS_PENDING && now < 60000; now += 100) polls(1);
    CHECK_EQ(q.rc, MCPSESS_E_TIMEOUT);
    CHECK_STR(mcpsess_buf_str(&out), ">");
    CHECK(!out.overflow && q.need == 0 && q.left_ms == 0);
}

TEST(rstore_value_larger_than_its_room_is_not_written) {
    char part[40];
    start();
    kind_is(MCPSESS_GET, 0);
    memset(out_mem, '#', sizeof out_mem);
    mcpsess_buf_init(&out, out_mem, 8);
    say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$40\r\n")); /* though it was told how much there is */
    say(str_fill(part, 'a', 40));
    CHECK_EQ(ANSWER("\r\n"), MCPSESS_E_UNKNOWN);
    CHECK(out.len == 0 && !out.overflow);
    CHECK_EQ(out_mem[0], '#');
    start();
    kind_is(MCPSESS_GET, 0);
    out.overflow = true; /* nothing fits any more, nor does the server send anything */
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:50\r\n:0\r\n$0\r\n\r\n"), MCPSESS_E_UNKNOWN);
    start();
    request(MCPSESS_GET, 0, MCPSESS_STR("k"));
    out.overflow = true;
    q.out = &out;
    ask();
    CHECK(ASKED(READ, "7", KEY "$0\r\n\r\n$1\r\n0\r\n$2\r\n-1\r\n"));
}

/* ---- unknown outcomes ---- */

static void put_is(uint8_t mode) {
    request(MCPSESS_PUT, mode, MCPSESS_STR("k"));
    q.value = MCPSESS_STR("new");
    q.expect = MCPSESS_STR("old");
    q.guarded = true;
    q.owner = alice;
    ask();
}

/* The connection breaks after a put was sent; the server says this when the put is looked up. */
static int looked_up(uint8_t mode, mcpsess_str text) {
    start();
    put_is(mode);
    reconnect();
    CHECK_EQ(server.evals, 2);
    CHECK_EQ(q.rc, MCPSESS_PENDING);
    CHECK_EQ(rstore.stats.read_backs, 1);
    return answer(text);
}

TEST(rstore_create_is_looked_up) {
    CHECK_EQ(looked_up(MCPSESS_PUT_CREATE, MCPSESS_STR("*3\r\n:0\r\n:77\r\n:0\r\n")), MCPSESS_OK);
    CHECK_EQ(q.left_ms, 77);
    CHECK(ASKED(WRITE, "9", KEY "$1\r\n4\r\n" ALICE "$1\r\n0\r\n$3\r\nnew\r\n$0\r\n\r\n"));
    CHECK_EQ(looked_up(MCPSESS_PUT_CREATE, MCPSESS_STR("*3\r\n:5\r\n:0\r\n:0\r\n")), MCPSESS_EXISTS);
    CHECK_EQ(q.left_ms, 0);
    CHECK_EQ(looked_up(MCPSESS_PUT_CREATE, MCPSESS_STR("*3\r\n:5\r\n:0\r\n:2\r\n")), MCPSESS_EXISTS);
    CHECK_EQ(rstore.stats.foreign, 0);
    CHECK_EQ(looked_up(MCPSESS_PUT_CREATE, MCPSESS_STR("*3\r\n:1\r\n:0\r\n:0\r\n")), MCPSESS_EXISTS); /* empty */
    CHECK_EQ(looked_up(MCPSESS_PUT_CREATE, MCPSESS_STR("*3\r\n:2\r\n:0\r\n:0\r\n")), MCPSESS_E_UNKNOWN);
}

TEST(rstore_cas_is_looked_up) {
    CHECK_EQ(looked_up(MCPSESS_PUT_CAS, MCPSESS_STR("*3\r\n:0\r\n:-1\r\n:0\r\n")), MCPSESS_OK);
    CHECK(q.left_ms == MCPSESS_NEVER);
    CHECK(ASKED(WRITE, "9", KEY "$1\r\n4\r\n" ALICE "$1\r\n0\r\n$3\r\nnew\r\n$3\r\nold\r\n"));
    CHECK_EQ(looked_up(MCPSESS_PUT_CAS, MCPSESS_STR("*3\r\n:5\r\n:0\r\n:0\r\n")), MCPSESS_LOST);
    CHECK_EQ(looked_up(MCPSESS_PUT_CAS, MCPSESS_STR("*3\r\n:5\r\n:0\r\n:2\r\n")), MCPSESS_MISS);
    CHECK_EQ(looked_up(MCPSESS_PUT_CAS, MCPSESS_STR("*3\r\n:1\r\n:0\r\n:0\r\n")), MCPSESS_E_UNKNOWN);
    CHECK_EQ(looked_up(MCPSESS_PUT_CAS, MCPSESS_STR("*3\r\n:2\r\n:0\r\n:0\r\n")), MCPSESS_MISS);
}

TEST(rstore_what_keeps_a_put_from_being_looked_up_leaves_it_unknown) {
    CHECK_EQ(looked_up(MCPSESS_PUT_CREATE, MCPSESS_STR("-NOPERM no\r\n")), MCPSESS_E_UNKNOWN);
    CHECK_EQ(looked_up(MCPSESS_PUT_CAS, MCPSESS_STR("-LOADING x\r\n")), MCPSESS_E_UNKNOWN);
    CHECK_EQ(looked_up(MCPSESS_PUT_CAS, MCPSESS_STR("+OK\r\n")), MCPSESS_E_UNKNOWN);
    CHECK_EQ(looked_up(MCPSESS_PUT_CAS, MCPSESS_STR("*3\r\n:4\r\n:0\r\n:0\r\n")), MCPSESS_E_UNKNOWN);
    CHECK_EQ(looked_up(MCPSESS_PUT_CREATE, MCPSESS_STR("$x\r\n")), MCPSESS_E_UNKNOWN); /* once is enough */
    start();
    put_is(MCPSESS_PUT_CREATE);
    mcpsess_redis_close(&redis);
    CHECK_EQ(q.rc, MCPSESS_E_UNKNOWN);
    start();
    put_is(MCPSESS_PUT_CREATE);
    reconnect();
    reconnect(); /* and again: to look is safe to repeat */
    CHECK_EQ(server.evals, 3);
    CHECK_EQ(rstore.stats.read_backs, 1);
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:1\r\n:0\r\n"), MCPSESS_OK);
}

/* The put's own deadline, not a new one. */
static void deadline_is(uint64_t given_ms, uint32_t store_ms, uint64_t want_ms) {
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    sd.timeout_ms = store_ms;
    make(&d, &sd);
    connected();
    request(MCPSESS_PUT, MCPSESS_PUT_CREATE, MCPSESS_STR("k"));
    q.deadline_ms = given_ms;
    ask();
    now += 100;
    reconnect();
    CHECK_EQ(server.evals, 2);
    now = want_ms - 1u;
    polls(2);
    CHECK_EQ(q.rc, MCPSESS_PENDING);
    CHECK_EQ(store.cls->next_due(store.self, now), want_ms);
    now = want_ms;
    polls(2);
    CHECK_EQ(q.rc, MCPSESS_E_UNKNOWN);
    CHECK_EQ(q.deadline_ms, given_ms);
}

TEST(rstore_put_is_looked_up_until_its_deadline) {
    deadline_is(1500, 700, 1500);
    deadline_is(0, 700, 1700);
    deadline_is(0, 0, 3000); /* the engine's */
}

TEST(rstore_scripts_that_are_gone_are_loaded_again) {
    unsigned loads;
    start();
    kind_is(MCPSESS_PUT, MCPSESS_PUT_UPSERT);
    loads = server.loads;
    CHECK_EQ(ANSWER("-NOSCRIPT No matching script.\r\n"), MCPSESS_PENDING);
    CHECK_EQ(server.loads, loads + SCRIPTS);
    CHECK_EQ(server.evals, 2);
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:50\r\n:0\r\n"), MCPSESS_OK);
    CHECK_EQ(rstore.stats.read_backs, 0);
}

TEST(rstore_repeats_only_what_is_safe_to_repeat) {
    static const struct {
        uint8_t kind, mode;
        bool repeated;
    } kinds[] = {{MCPSESS_GET, 0, true},
                 {MCPSESS_TOUCH, 0, true},
                 {MCPSESS_DEL_EQUAL, 0, true},
                 {MCPSESS_LEASE_ACQUIRE, 0, true},
                 {MCPSESS_LEASE_EXTEND, 0, true},
                 {MCPSESS_LEASE_RELEASE, 0, true},
                 {MCPSESS_DEL, 0, false},
                 {MCPSESS_PUT, MCPSESS_PUT_UPSERT, false},
                 {MCPSESS_PUT, MCPSESS_PUT_UPDATE, false}};
    unsigned n;
    for (n = 0; n < COUNT_OF(kinds); n++) {
        start();
        kind_is(kinds[n].kind, kinds[n].mode);
        reconnect();
        polls(10);
        if (!CHECK_EQ(q.rc, kinds[n].repeated ? MCPSESS_PENDING : MCPSESS_E_UNKNOWN)) tap_note("kind", kinds[n].kind);
        CHECK_EQ(server.evals, kinds[n].repeated ? 2 : 1);
        CHECK_EQ(rstore.stats.read_backs, 0);
    }
}

/* ---- the life of a request ---- */

TEST(rstore_refuses_before_it_asks) {
    start();
    request(MCPSESS_GET, 0, MCPSESS_STR(""));
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    request(MCPSESS_LEASE_ACQUIRE, 0, MCPSESS_STR("k"));
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    request(MCPSESS_GET, 0, MCPSESS_STR("k"));
    q.guarded = true; /* by an owner that is none: must not be asked as if unguarded */
    q.owner.issuer = MCPSESS_STR("iss");
    CHECK_EQ(submit(), MCPSESS_E_PRINCIPAL);
    q.owner = principal("iss", "alice");
    q.owner.subject = MCPSESS_STR("a\0b");
    q.kind = MCPSESS_DEL;
    q.left_ms = q.fence = 1;
    CHECK_EQ(submit(), MCPSESS_E_PRINCIPAL);
    CHECK(q.left_ms == 0 && q.fence == 0);
    request(MCPSESS_SWEEP, 0, MCPSESS_STR(""));
    q.count = 9;
    CHECK_EQ(submit(), MCPSESS_OK);
    CHECK_EQ(q.count, 0);
    polls(5);
    CHECK_EQ(server.evals, 0);
}

TEST(rstore_command_over_tx_is_too_big) {
    start();
    request(MCPSESS_PUT, 0, MCPSESS_STR("k"));
    q.value = str_fill(server.seen, 'v', sizeof server.seen); /* room that nobody else needs now */
    if (submit() == MCPSESS_PENDING) polls(5);
    CHECK_EQ(q.rc, MCPSESS_E_TOOBIG);
    CHECK_EQ(server.evals, 0);
    CHECK_EQ(q.need, 0);
}

TEST(rstore_deadline_and_late_reply) {
    start();
    kind_is(MCPSESS_GET, 0);
    now += 2000;
    polls(2);
    CHECK_EQ(q.rc, MCPSESS_E_TIMEOUT);
    kind_is(MCPSESS_GET, 0);
    say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$4\r\nlate\r\n"));
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:50\r\n:0\r\n$4\r\nmine\r\n"), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "mine");
}

TEST(rstore_cancel_lets_go_of_the_request) {
    mcpsess_request other;
    start();
    kind_is(MCPSESS_GET, 0);
    store.cls->cancel(store.self, &q);
    CHECK(q.rc != MCPSESS_PENDING);
    memset(&q, 0x5A, sizeof q);
    other = q;
    say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$4\r\nlate\r\n"));
    polls(10);
    CHECK(same_bytes(&q, &other, sizeof q));
    CHECK_EQ(out.len, 0);
    kind_is(MCPSESS_GET, 0);
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:50\r\n:0\r\n$4\r\nmine\r\n"), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "mine");
}

TEST(rstore_full_engine) {
    static mcpsess_request many[SLOTS + 1u];
    unsigned n;
    start();
    memset(many, 0, sizeof many);
    for (n = 0; n <= SLOTS; n++) {
        many[n].kind = MCPSESS_TOUCH;
        many[n].key = MCPSESS_STR("k");
        CHECK_EQ(store.cls->submit(store.self, &many[n], now), n < SLOTS ? MCPSESS_PENDING : MCPSESS_E_FULL);
    }
    CHECK(many[SLOTS].left_ms == 0 && many[SLOTS].fence == 0);
    polls(5);
    store.cls->cancel(store.self, &many[1]); /* the one in the middle */
    for (n = 0; n < SLOTS; n++) say(MCPSESS_STR("*3\r\n:0\r\n:9\r\n:0\r\n"));
    polls(10);
    CHECK_EQ(many[0].rc, MCPSESS_OK);
    CHECK_EQ(many[2].rc, MCPSESS_OK);
    CHECK_EQ(many[2].left_ms, 9);
    CHECK(rstore.i.pending == NULL);
}

TEST(rstore_close_leaves_the_engine_open) {
    static const mcpsess_str ping[] = {LIT("ECHO")};
    mcpsess_request second, copy;
    mcpsess_redis_op op;
    mcpsess_buf reply;
    unsigned n;
    start();
    kind_is(MCPSESS_GET, 0);
    second = q;
    second.kind = MCPSESS_PUT;
    CHECK_EQ(store.cls->submit(store.self, &second, now), MCPSESS_PENDING);
    mcpsess_op_init(&op.op, 0);
    mcpsess_buf_init(&reply, out_mem, sizeof out_mem);
    CHECK_EQ(mcpsess_redis_cmd(&redis, &op, ping, 1, &reply, now), MCPSESS_PENDING);
    store.cls->close(store.self);
    CHECK_EQ(q.rc, MCPSESS_E_CLOSED);
    CHECK_EQ(second.rc, MCPSESS_E_CLOSED);
    CHECK(second.left_ms == 0 && second.fence == 0);
    CHECK_EQ(submit(), MCPSESS_E_CLOSED);
    request(MCPSESS_SWEEP, 0, MCPSESS_STR(""));
    CHECK_EQ(submit(), MCPSESS_E_CLOSED);
    CHECK_EQ(store.cls->want(store.self), 0);
    CHECK(store.cls->next_due(store.self, now) == MCPSESS_NEVER);
    CHECK_EQ(store.cls->hear(store.self, now), MCPSESS_STALE);
    say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$4\r\nlate\r\n"));
    if (server.evals == 2) say(MCPSESS_STR("*3\r\n:0\r\n:-1\r\n:0\r\n")); /* it had been in tx already */
    say(MCPSESS_STR("+OK\r\n"));
    memset(&q, 0x5A, sizeof q);
    copy = q;
    polls(5);
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_PENDING); /* a closed store does not drive the engine any more */
    for (n = 0; n < 20 && mcpsess_poll(&op.op, now) == MCPSESS_PENDING; n++) continue;
    CHECK_EQ(mcpsess_op_rc(&op.op), MCPSESS_OK);
    CHECK(same_bytes(&q, &copy, sizeof q)); /* what was closed is not touched again */
    store.cls->close(store.self);
}

TEST(rstore_closed_engine) {
    start();
    kind_is(MCPSESS_GET, 0);
    mcpsess_redis_close(&redis);
    CHECK(q.rc == MCPSESS_E_CLOSED || q.rc == MCPSESS_E_UNKNOWN);
    CHECK_EQ(submit(), MCPSESS_E_CLOSED);
}

TEST(rstore_server_away) {
    start();
    server.refuse = true;
    break_off();
    polls(2);
    request(MCPSESS_GET, 0, MCPSESS_STR("k"));
    CHECK_EQ(submit(), MCPSESS_E_IO);
    CHECK(q.left_ms == 0 && q.fence == 0);
    CHECK_EQ(store.cls->hear(store.self, now), MCPSESS_STALE);
}

/* ---- changes ---- */

TEST(rstore_changed_keys_are_ids_again) {
    char key[ID_MAX_ESCAPED + 32u];
    unsigned n;
    start();
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_OK);
    for (n = 0; n < COUNT_OF(escaped); n++) {
        push(key_of(key, escaped[n][1]));
        CHECK_EQ(told.calls, 1);
        CHECK(mcpsess_str_eq(mcpsess_str_of(told.id, told.len), escaped[n][0]));
    }
    memset(&told, 0, sizeof told);
    say(MCPSESS_STR(">2\r\n$10\r\ninvalidate\r\n_\r\n"));
    CHECK_EQ(store.cls->hear(store.self, now), MCPSESS_OK);
    CHECK_EQ(told.calls, 1);
    CHECK_EQ(told.len, 0); /* any may have been */
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, NULL), MCPSESS_OK);
    push(MCPSESS_STR("mcpsess:r:{k}"));
    CHECK_EQ(told.calls, 0);
}

/* A second one would leave the first to trust what it does not hear. */
TEST(rstore_tells_one_listener) {
    static const mcpsess_listener other = {changed, &told};
    mcpsess_sessions sessions;
    mcpsess_session_desc d = mcpsess_session_desc_default();
    void *mem;
    start();
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &other), MCPSESS_E_STATE);
    d.store = store;
    d.lanes = 1;
    d.record_max = 64;
    mem = arena_more(mcpsess_session_bytes(&d));
    CHECK_EQ(mcpsess_session_init(&sessions, &d, mem, mcpsess_session_bytes(&d)), MCPSESS_E_STATE);
    CHECK_EQ(mcpsess_session_sweep(&sessions, NULL, now), MCPSESS_E_ARG); /* it is none */
    push(MCPSESS_STR("mcpsess:r:{k}"));
    CHECK_EQ(told.calls, 1);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, NULL), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &other), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, NULL), MCPSESS_OK);
    CHECK_EQ(mcpsess_session_init(&sessions, &d, mem, mcpsess_session_bytes(&d)), MCPSESS_OK);
}

TEST(rstore_keys_of_others_are_not_told) {
    static const mcpsess_str keys[] = {
        LIT("k"),
        LIT("mcpsess:"),
        LIT("mcpsess:r:"),
        LIT("mcpsess:r:{"),
        LIT("mcpsess:r:{}"),
        LIT("mcpsess:r:}{"),
        LIT("mcpsess:r:{k"),
        LIT("mcpsess:r:k}"),
        LIT("mcpsess:r:{k}x"),
        LIT("mcpsess:r:{k}:f"),
        LIT("mcpsess:r:{kk"),
        LIT("mcpsess:rx{k}"),
        LIT("mcpsess:x:{k}"),
        LIT("mcpsess:l:{k}"),
        LIT("mcpsess:f:{k}"),
        LIT("Mcpsess:r:{k}"),
        LIT("mcpsess:r:{k}{l}"),
        LIT("mcpsess:r:{k l}"),
        LIT("mcpsess:r:{%}"),
        LIT("mcpsess:r:{%2}"),
        LIT("mcpsess:r:{%7b}"),
        LIT("mcpsess:r:{%41}"),
        LIT("mcpsess:r:{%G0}"),
        LIT("mcpsess:r:{%0G}"),
        LIT("mcpsess:r:{\xff}"),
        LIT("mcpsess:r:{a\0b}"),
        LIT("xmcpsess:r:{k}"),
    };
    char key[ID_MAX_ESCAPED + 32u], inner[MCPSESS_ID_MAX + 1u];
    unsigned n;
    start();
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_OK);
    for (n = 0; n < COUNT_OF(keys); n++) {
        push(keys[n]);
        if (!CHECK_EQ(told.calls, 0)) tap_note("key", (int64_t)n);
    }
    push(key_of(key, str_fill(inner, 'a', MCPSESS_ID_MAX)));
    CHECK_EQ(told.calls, 1);
    push(key_of(key, str_fill(inner, 'a', MCPSESS_ID_MAX + 1u)));
    CHECK_EQ(told.calls, 0);
    CHECK_EQ(redis.stats.disconnects, 0);
}

TEST(rstore_connection_that_ends_may_have_missed_any) {
    start();
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_OK);
    memset(&told, 0, sizeof told);
    break_off();
    CHECK(told.calls >= 1 && told.len == 0);
    CHECK_EQ(store.cls->hear(store.self, now), MCPSESS_STALE);
    connected();
    CHECK_EQ(store.cls->hear(store.self, now), MCPSESS_OK);
}

/* ---- init ---- */

TEST(rstore_init_checks_the_prefix) {
    static const mcpsess_str bad[] = {
        LIT("a b"), LIT("a{"),   LIT("}a"),       LIT("%"),
        LIT("a\0"), LIT("\x7f"), LIT("\xc3\xa4"), LIT("123456789012345678901234567890123")};
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    char key[64];
    unsigned n;
    CHECK_EQ(mcpsess_redis_store_init(NULL, &sd), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_store_init(&rstore, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_store_init(&rstore, &sd), MCPSESS_E_ARG); /* no engine */
    CHECK_EQ(mcpsess_redis_init(&redis, &d, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    sd.redis = &redis;
    for (n = 0; n < COUNT_OF(bad); n++) {
        sd.prefix = bad[n];
        CHECK_EQ(mcpsess_redis_store_init(&rstore, &sd), MCPSESS_E_ARG);
    }
    sd.prefix = str_broken();
    CHECK_EQ(mcpsess_redis_store_init(&rstore, &sd), MCPSESS_E_ARG);
    memcpy(key, "p", 1);
    sd.prefix = mcpsess_str_of(key, 1);
    make(&d, &sd);
    memcpy(key, "#", 1); /* the prefix is the store's own */
    CHECK_STR(rstore.i.modules[MCPSESS_OF_RECORDS].prefix, "pr:");
    connected();
    CHECK_EQ(mcpsess_redis_store_init(&rstore, &sd), MCPSESS_E_STATE);
}

static struct {
    int level, item;
    uint64_t number;
    bool right_key;
} logged;

static void log_hook(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)user;
    logged.level = level;
    logged.item = item;
    logged.number = number;
    logged.right_key = mcpsess_str_eq(key, MCPSESS_STR("k"));
}

TEST(rstore_logs_foreign_requests) {
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    sd.log.log = log_hook;
    make(&d, &sd);
    connected();
    memset(&logged, 0, sizeof logged);
    kind_is(MCPSESS_DEL, 0);
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    CHECK_EQ(logged.item, 0);
    kind_is(MCPSESS_DEL, 0);
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:2\r\n"), MCPSESS_MISS);
    CHECK_EQ(logged.level, MCPSESS_LOG_WARN);
    CHECK_EQ(logged.item, MCPSESS_ITEM_FOREIGN_OWNER);
    CHECK_EQ(logged.number, 1);
    CHECK(logged.right_key);
}

void test_redisstore(void) {
    RUN(rstore_asks_to_read);
    RUN(rstore_asks_to_write);
    RUN(rstore_asks_to_delete);
    RUN(rstore_asks_for_leases);
    RUN(rstore_escapes_ids);
    RUN(rstore_escapes_every_other_byte);
    RUN(rstore_longest_command_fits_what_the_macro_says);
    RUN(rstore_answers_of_reads);
    RUN(rstore_answers_of_writes);
    RUN(rstore_lease_lasts_from_when_it_was_asked_for);
    RUN(rstore_lease_with_nothing_left_was_not_got);
    RUN(rstore_lease_of_a_repeated_request_counts_from_the_first);
    RUN(rstore_errors_of_the_server_are_codes);
    RUN(rstore_refuses_answers_of_no_script);
    RUN(rstore_looks_up_what_was_answered_with_nonsense);
    RUN(rstore_value_in_pieces_counts_when_it_is_whole);
    RUN(rstore_pieces_go_where_they_belong);
    RUN(rstore_value_starts_over_when_it_is_asked_for_again);
    RUN(rstore_value_that_broke_off_leaves_nothing);
    RUN(rstore_value_larger_than_its_room_is_not_written);
    RUN(rstore_create_is_looked_up);
    RUN(rstore_cas_is_looked_up);
    RUN(rstore_what_keeps_a_put_from_being_looked_up_leaves_it_unknown);
    RUN(rstore_put_is_looked_up_until_its_deadline);
    RUN(rstore_scripts_that_are_gone_are_loaded_again);
    RUN(rstore_repeats_only_what_is_safe_to_repeat);
    RUN(rstore_refuses_before_it_asks);
    RUN(rstore_command_over_tx_is_too_big);
    RUN(rstore_deadline_and_late_reply);
    RUN(rstore_cancel_lets_go_of_the_request);
    RUN(rstore_full_engine);
    RUN(rstore_close_leaves_the_engine_open);
    RUN(rstore_closed_engine);
    RUN(rstore_server_away);
    RUN(rstore_changed_keys_are_ids_again);
    RUN(rstore_tells_one_listener);
    RUN(rstore_keys_of_others_are_not_told);
    RUN(rstore_connection_that_ends_may_have_missed_any);
    RUN(rstore_init_checks_the_prefix);
    RUN(rstore_logs_foreign_requests);
}
