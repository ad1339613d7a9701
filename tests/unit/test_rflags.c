/* Flags of redisstore: what it asks and what it makes of the answers, against a server that the test plays. What its
   scripts do is tested on real servers. */

#define DATA_MAX 16u
#define TX ((uint32_t)MCPSESS_REDIS_STORE_FLAG_TX(DATA_MAX))
#define INBOX 640u
#include "store_wire.h"

static mcpsess_flag_request f;

/* A request about "k", under the fingerprint "v1", by "tok". */
static void flag_request(uint8_t kind) {
    memset(&f, 0, sizeof f);
    f.request.kind = kind;
    f.request.key = MCPSESS_STR("k");
    f.request.value = MCPSESS_STR("tok");
    f.request.expect = MCPSESS_STR("v1");
    f.request.ttl_ms = 12800;
    f.request.out = &out;
    f.data = MCPSESS_STR("data");
    asked_for = &f.request;
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
}

static void flag_asked(uint8_t kind) {
    flag_request(kind);
    ask();
}

/* ---- what is asked ---- */

#define L "$13\r\nmcpsess:l:{k}\r\n"
#define F "$15\r\nmcpsess:l:{k}:f\r\n"
#define CLAIM_KEYS "$1\r\n3\r\n" L "$13\r\nmcpsess:f:{k}\r\n" F
#define FLAG_KEYS "$1\r\n2\r\n" L F

TEST(rflags_asks_to_look) {
    start();
    flag_request(MCPSESS_FLAG_GET);
    mcpsess_buf_put(&out, MCPSESS_STR("before"));
    ask(); /* token and TTL of a look are not looked at */
    CHECK(ASKED(FLAG_CLAIM, "10", CLAIM_KEYS "$3\r\n\2v1\r\n$0\r\n\r\n$1\r\n0\r\n$2\r\n26\r\n"));
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:5\r\n:0\r\n$3\r\nabc\r\n"), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "beforeabc");
    flag_request(MCPSESS_FLAG_GET);
    f.request.expect = mcpsess_str_of(NULL, 0);
    f.request.out = NULL; /* presence */
    ask();
    CHECK(ASKED(FLAG_CLAIM, "10", CLAIM_KEYS "$1\r\n\0\r\n$0\r\n\r\n$1\r\n0\r\n$0\r\n\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:5\r\n:0\r\n"), MCPSESS_OK);
    flag_request(MCPSESS_FLAG_GET);
    out.overflow = true;
    ask();
    CHECK(ASKED(FLAG_CLAIM, "10", CLAIM_KEYS "$3\r\n\2v1\r\n$0\r\n\r\n$1\r\n0\r\n$2\r\n-1\r\n"));
}

TEST(rflags_asks_to_claim) {
    start();
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK(ASKED(FLAG_CLAIM, "10", CLAIM_KEYS "$3\r\n\2v1\r\n$3\r\ntok\r\n$5\r\n12800\r\n$2\r\n32\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:6\r\n:5\r\n:0\r\n"), MCPSESS_BUSY);
    flag_request(MCPSESS_FLAG_CLAIM);
    f.request.ttl_ms = MCPSESS_NEVER; /* as long as a server can take */
    f.request.out = NULL;
    ask();
    CHECK(ASKED(FLAG_CLAIM, "10", CLAIM_KEYS "$3\r\n\2v1\r\n$3\r\ntok\r\n$14\r\n35184372088831\r\n$0\r\n\r\n"));
}

TEST(rflags_asks_to_set) {
    start();
    flag_request(MCPSESS_FLAG_SET);
    f.data = MCPSESS_STR("a\r\n\0b");
    ask();
    CHECK(ASKED(FLAG_SET, "8", FLAG_KEYS "$3\r\ntok\r\n$8\r\n\2v1a\r\n\0b\r\n$5\r\n12800\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:12800\r\n:0\r\n"), MCPSESS_OK);
    flag_request(MCPSESS_FLAG_SET);
    f.request.value = f.request.expect = f.data = mcpsess_str_of(NULL, 0);
    f.request.ttl_ms = MCPSESS_NEVER;
    ask();
    CHECK(ASKED(FLAG_SET, "8", FLAG_KEYS "$0\r\n\r\n$1\r\n\0\r\n$14\r\n35184372088831\r\n"));
}

TEST(rflags_asks_to_clear) {
    start();
    flag_asked(MCPSESS_FLAG_CLEAR); /* whatever its fingerprint, whoever has the lease */
    CHECK(ASKED(FLAG_CLEAR, "6", FLAG_KEYS "$1\r\n0\r\n"));
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_OK);
    flag_request(MCPSESS_FLAG_CLEAR);
    f.request.mode = 1;
    ask();
    CHECK(ASKED(FLAG_CLEAR, "6", FLAG_KEYS "$1\r\n1\r\n"));
}

TEST(rflags_escapes_keys) {
    start();
    flag_request(MCPSESS_FLAG_CLEAR);
    f.request.key = MCPSESS_STR("{a}:f");
    ask();
    CHECK(ASKED(FLAG_CLEAR, "6",
                "$1\r\n2\r\n$21\r\nmcpsess:l:{%7Ba%7D:f}\r\n$23\r\nmcpsess:l:{%7Ba%7D:f}:f\r\n$1\r\n0\r\n"));
}

TEST(rflags_longest_commands_fit_what_the_macro_says) {
    static const uint8_t kinds[] = {MCPSESS_FLAG_CLAIM, MCPSESS_FLAG_SET, MCPSESS_FLAG_CLEAR};
    static char id[MCPSESS_ID_MAX], print[MCPSESS_FINGERPRINT_MAX], token[MCPSESS_TOKEN_MAX], data[DATA_MAX];
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    unsigned n;
    sd.prefix = MCPSESS_STR("12345678901234567890123456789012");
    make(&d, &sd);
    connected();
    for (n = 0; n < COUNT_OF(kinds); n++) {
        flag_request(kinds[n]);
        f.request.key = str_fill(id, ' ', sizeof id);
        f.request.expect = str_fill(print, 'p', sizeof print);
        f.request.value = str_fill(token, 't', sizeof token);
        f.request.ttl_ms = MCPSESS_NEVER;
        f.data = str_fill(data, 'd', sizeof data);
        ask();
        CHECK_EQ(ANSWER("*3\r\n:0\r\n:1\r\n:1\r\n"), MCPSESS_OK);
    }
}

/* ---- what is made of the answers ---- */

TEST(rflags_answers_of_looks) {
    start();
    flag_asked(MCPSESS_FLAG_GET);
    now += 5;
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:77\r\n:0\r\n$0\r\n\r\n"), MCPSESS_OK);
    CHECK(out.len == 0 && f.request.left_ms == 77 && f.request.fence == 0);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*4\r\n:0\r\n:-1\r\n:0\r\n$1\r\na\r\n"), MCPSESS_OK);
    CHECK(f.request.left_ms == MCPSESS_NEVER);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*3\r\n:6\r\n:4321\r\n:0\r\n"), MCPSESS_BUSY);
    CHECK(f.request.left_ms == 4321 && f.request.fence == 0 && out.len == 0);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    CHECK_EQ(f.request.left_ms, 0);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*3\r\n:-4\r\n:70000\r\n:0\r\n"), MCPSESS_E_TOOBIG);
    CHECK_EQ(f.request.need, 70000uL > SIZE_MAX ? SIZE_MAX : 70000uL);
    CHECK(f.request.left_ms == 0 && out.len == 0 && !out.overflow);
    CHECK_EQ(redis.stats.commands, 5); /* one round trip each */
}

TEST(rflags_answers_of_claims) {
    start();
    flag_asked(MCPSESS_FLAG_CLAIM);
    now += 300;
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:12800\r\n:1700000000000001\r\n"), MCPSESS_OK);
    CHECK_EQ(f.request.left_ms, 12800 - 300 - 100 - 2); /* as of a lease: since it was asked for, less the drift */
    CHECK_EQ(f.request.fence, INT64_C(1700000000000001));
    CHECK_EQ(out.len, 0);
    flag_asked(MCPSESS_FLAG_CLAIM);
    now += 300;
    CHECK_EQ(ANSWER("*4\r\n:4\r\n:12800\r\n:0\r\n$4\r\ndata\r\n"), MCPSESS_EXISTS);
    CHECK(f.request.left_ms == 12800 && f.request.fence == 0);
    CHECK_STR(mcpsess_buf_str(&out), "data");
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK_EQ(ANSWER("*3\r\n:6\r\n:4321\r\n:0\r\n"), MCPSESS_BUSY);
    CHECK(f.request.left_ms == 4321 && f.request.fence == 0);
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK_EQ(ANSWER("*3\r\n:-4\r\n:40\r\n:0\r\n"), MCPSESS_E_TOOBIG);
    CHECK(f.request.need == 40 && f.request.left_ms == 0 && f.request.fence == 0);
    flag_request(MCPSESS_FLAG_CLAIM);
    f.request.ttl_ms = 100;
    ask();
    now += 98; /* nothing is left of it: not got */
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:100\r\n:8\r\n"), MCPSESS_E_TIMEOUT);
    CHECK(f.request.left_ms == 0 && f.request.fence == 0);
}

TEST(rflags_answers_of_writes) {
    start();
    flag_asked(MCPSESS_FLAG_SET);
    now += 300;
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:12800\r\n:0\r\n"), MCPSESS_OK);
    CHECK(f.request.left_ms == 12800 && f.request.fence == 0);
    flag_asked(MCPSESS_FLAG_SET);
    CHECK_EQ(ANSWER("*3\r\n:5\r\n:0\r\n:0\r\n"), MCPSESS_LOST);
    CHECK_EQ(f.request.left_ms, 0);
    flag_asked(MCPSESS_FLAG_CLEAR);
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    CHECK(out.len == 0 && rstore.stats.foreign == 0);
}

/* ---- data in pieces ---- */

#define LONG_DATA (RX + 40u)
static char long_mem[LONG_DATA + 2u];

static void ask_long(uint8_t kind) {
    flag_request(kind);
    memset(long_mem, '#', sizeof long_mem);
    mcpsess_buf_init(&out, long_mem, LONG_DATA + 1u);
    mcpsess_buf_put(&out, MCPSESS_STR(">"));
    ask();
}

TEST(rflags_data_in_pieces_count_when_all_are_there) {
    char data[LONG_DATA];
    unsigned n;
    for (n = 0; n < LONG_DATA; n++) data[n] = (char)('!' + n % 90);
    start();
    ask_long(MCPSESS_FLAG_CLAIM);
    server.recv_max = 7;
    say(MCPSESS_STR("*4\r\n:4\r\n:50\r\n:0\r\n$168\r\n"));
    say(mcpsess_str_of(data, sizeof data));
    for (n = 0; n < 20; n++) polls(1);
    CHECK(f.request.rc == MCPSESS_PENDING && out.len == 1);
    CHECK_EQ(ANSWER("\r\n"), MCPSESS_EXISTS);
    CHECK_EQ(out.len, LONG_DATA + 1u);
    CHECK(same_bytes(long_mem + 1, data, sizeof data));
    CHECK(long_mem[0] == '>' && long_mem[LONG_DATA + 1u] == '#');
}

TEST(rflags_data_start_over_when_they_are_asked_for_again) {
    char part[100];
    start();
    ask_long(MCPSESS_FLAG_GET);
    say(MCPSESS_STR("*4\r\n:0\r\n:50\r\n:0\r\n$168\r\n"));
    say(str_fill(part, 'a', 100));
    polls(6);
    CHECK(f.request.rc == MCPSESS_PENDING && out.len == 1);
    reconnect();
    CHECK_EQ(server.evals, 2);
    CHECK_EQ(ANSWER("*3\r\n:2\r\n:0\r\n:0\r\n"), MCPSESS_MISS); /* it is gone by now */
    CHECK_EQ(out.len, 1);
}

TEST(rflags_data_larger_than_their_room_are_not_written) {
    start();
    flag_request(MCPSESS_FLAG_CLAIM);
    memset(out_mem, '#', sizeof out_mem);
    mcpsess_buf_init(&out, out_mem, 8);
    ask();
    CHECK_EQ(ANSWER("*4\r\n:4\r\n:50\r\n:0\r\n$9\r\n123456789\r\n"), MCPSESS_E_UNKNOWN);
    CHECK(out.len == 0 && !out.overflow && out_mem[0] == '#');
}

/* ---- what no script of ours answers ---- */

static void nonsense(uint8_t kind, mcpsess_str text) {
    start();
    flag_asked(kind);
    if (!CHECK_EQ(answer(text), MCPSESS_E_UNKNOWN)) tap_note("kind", kind);
    CHECK(f.request.left_ms == 0 && f.request.fence == 0 && out.len == 0);
    CHECK_EQ(redis.stats.disconnects, 1);
}

TEST(rflags_refuses_answers_of_no_script) {
    static const mcpsess_str any[] = {LIT("+OK\r\n"),
                                      LIT("_\r\n"),
                                      LIT("*0\r\n"),
                                      LIT("*2\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:0\r\n:0\r\n$1\r\n0\r\n"),
                                      LIT("*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n"),
                                      LIT("*5\r\n:0\r\n:0\r\n:0\r\n$0\r\n\r\n$0\r\n\r\n"),
                                      LIT("*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:-1\r\n:0\r\n:0\r\n"),
                                      LIT("*3\r\n:4294967296\r\n:0\r\n:0\r\n")};
    uint8_t kind;
    unsigned n;
    for (kind = MCPSESS_FLAG_GET; kind <= MCPSESS_FLAG_CLEAR; kind++) {
        for (n = 0; n < COUNT_OF(any); n++) nonsense(kind, any[n]);
    }
    nonsense(MCPSESS_FLAG_CLAIM, MCPSESS_STR("*3\r\n:0\r\n:9\r\n:0\r\n")); /* no fence */
    nonsense(MCPSESS_FLAG_CLAIM, MCPSESS_STR("*3\r\n:4\r\n:9\r\n:0\r\n")); /* no data */
    nonsense(MCPSESS_FLAG_CLAIM, MCPSESS_STR("*4\r\n:0\r\n:9\r\n:1\r\n$1\r\na\r\n"));
    nonsense(MCPSESS_FLAG_CLAIM, MCPSESS_STR("*4\r\n:6\r\n:9\r\n:1\r\n$1\r\na\r\n"));
    nonsense(MCPSESS_FLAG_GET, MCPSESS_STR("*3\r\n:0\r\n:9\r\n:0\r\n"));
    nonsense(MCPSESS_FLAG_SET, MCPSESS_STR("*4\r\n:0\r\n:9\r\n:0\r\n$1\r\na\r\n"));
    nonsense(MCPSESS_FLAG_SET, MCPSESS_STR("*3\r\n:-4\r\n:9\r\n:0\r\n"));
}

TEST(rflags_refuses_answers_of_other_scripts) {
    /* a bit for each code from 0 to 11 that a kind's script answers */
    static const uint16_t codes[] = {0x0045, 0x0051, 0x0021, 0x0005};
    static const char digits[][3] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"};
    unsigned kind, code;
    for (kind = 0; kind < COUNT_OF(codes); kind++) {
        for (code = 0; code < COUNT_OF(digits); code++) {
            bool right = (codes[kind] >> code & 1u) != 0;
            start();
            flag_request((uint8_t)(MCPSESS_FLAG_GET + kind));
            f.request.out = NULL;
            ask();
            say(MCPSESS_STR("*3\r\n:"));
            say(mcpsess_str_z(digits[code]));
            if (!CHECK_EQ(ANSWER("\r\n:1\r\n:1\r\n"), right ? (int)code : MCPSESS_E_UNKNOWN))
                tap_note("kind", (int64_t)kind);
        }
    }
}

/* ---- the life of a request ---- */

TEST(rflags_errors_of_the_server_are_codes) {
    start();
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK_EQ(ANSWER("-WRONGTYPE Operation\r\n"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK(f.request.left_ms == 0 && f.request.fence == 0);
    flag_asked(MCPSESS_FLAG_SET);
    CHECK_EQ(ANSWER("-OOM command not allowed\r\n"), MCPSESS_REDIS_E_OOM);
}

/* A set that is repeated, but asks for no lease, could bring back what was cleared in between. */
TEST(rflags_repeats_all_but_a_set_without_a_token) {
    uint8_t kind;
    for (kind = MCPSESS_FLAG_GET; kind <= MCPSESS_FLAG_CLEAR; kind++) {
        start();
        flag_asked(kind);
        reconnect();
        polls(10);
        if (!CHECK_EQ(f.request.rc, MCPSESS_PENDING)) tap_note("kind", kind);
        CHECK(server.evals == 2 && rstore.stats.read_backs == 0);
    }
    start();
    flag_request(MCPSESS_FLAG_SET);
    f.request.value = MCPSESS_STR("");
    ask();
    reconnect();
    polls(10);
    CHECK_EQ(f.request.rc, MCPSESS_E_UNKNOWN);
    CHECK_EQ(server.evals, 1);
}

TEST(rflags_lease_of_a_repeated_claim_counts_from_the_first) {
    start();
    flag_asked(MCPSESS_FLAG_CLAIM);
    now += 1000;
    reconnect();
    CHECK_EQ(server.evals, 2);
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:12800\r\n:5\r\n"), MCPSESS_OK);
    CHECK_EQ(f.request.left_ms, 12800 - 1020 - 100 - 2);
}

TEST(rflags_data_over_tx_are_too_big) {
    start();
    flag_request(MCPSESS_FLAG_SET);
    f.data = str_fill(server.seen, 'd', TX); /* which holds nothing yet */
    if (submit() == MCPSESS_PENDING) polls(5);
    CHECK_EQ(f.request.rc, MCPSESS_E_TOOBIG);
    CHECK_EQ(server.evals, 0);
    flag_asked(MCPSESS_FLAG_SET); /* and nothing of it is left in front of the next one */
    CHECK_EQ(ANSWER("*3\r\n:0\r\n:5\r\n:0\r\n"), MCPSESS_OK);
}

TEST(rflags_cancel_and_close_let_go_of_the_request) {
    start();
    flag_asked(MCPSESS_FLAG_CLAIM);
    store.cls->cancel(store.self, &f.request);
    CHECK_EQ(f.request.rc, MCPSESS_E_CANCELED);
    say(MCPSESS_STR("*4\r\n:4\r\n:8\r\n:0\r\n$2\r\nab\r\n"));
    polls(10);
    CHECK(out.len == 0 && f.request.left_ms == 0);
    flag_asked(MCPSESS_FLAG_GET);
    store.cls->close(store.self);
    CHECK_EQ(f.request.rc, MCPSESS_E_CLOSED);
    flag_request(MCPSESS_FLAG_SET);
    CHECK_EQ(submit(), MCPSESS_E_CLOSED);
}

/* ---- who is told ---- */

TEST(rflags_keys_of_leases_and_flags_are_told_alike) {
    static const mcpsess_str others[] = {
        LIT("mcpsess:f:{k}"),     LIT("mcpsess:r:{k}"),    LIT("mcpsess:r:{k}:f"),   LIT("mcpsess:m:{k}:f"),
        LIT("mcpsess:l:{}"),      LIT("mcpsess:l:{}:f"),   LIT("mcpsess:l:{k"),      LIT("mcpsess:l:{k}f"),
        LIT("mcpsess:l:{k}:"),    LIT("mcpsess:l:{k}:g"),  LIT("mcpsess:l:{k}:ff"),  LIT("mcpsess:l:k}:f"),
        LIT("mcpsess:l:{k}:f\0"), LIT("mcpsess:lx{k}:f"),  LIT("Mcpsess:l:{k}"),     LIT("mcpsess:l:{k l}:f"),
        LIT("mcpsess:l:"),        LIT("xmcpsess:l:{k}:f"), LIT("mcpsess:l:{%41}:f"), LIT("l")};
    start();
    listens(MCPSESS_OF_FLAGS, others, COUNT_OF(others));
    push(MCPSESS_STR("mcpsess:l:{k}"));
    CHECK(told_is("k"));
    push(MCPSESS_STR("mcpsess:l:{k}:f"));
    CHECK(told_is("k"));
    push(MCPSESS_STR("mcpsess:l:{a%7Db%25:f}:f"));
    CHECK(told_is("a}b%:f"));
    stops_listening(MCPSESS_OF_FLAGS, MCPSESS_STR("mcpsess:l:{k}"));
}

TEST(rflags_listeners_are_three) {
    static const mcpsess_listener second = {changed, &told}, third = {changed, &told};
    static const mcpsess_listener *const all[] = {&listener, &second, &third};
    int of;
    start();
    for (of = MCPSESS_OF_RECORDS; of <= MCPSESS_OF_FLAGS; of++) {
        CHECK_EQ(store.cls->listen(store.self, of, all[of]), MCPSESS_OK);
        CHECK_EQ(store.cls->listen(store.self, of, all[(of + 1) % 3]), MCPSESS_E_STATE);
    }
    CHECK_EQ(store.cls->listen(store.self, 3, &listener), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(store.cls->listen(store.self, -1, &listener), MCPSESS_E_UNSUPPORTED);
    push(MCPSESS_STR("mcpsess:l:{k}:f"));
    CHECK(told_is("k"));
    push(MCPSESS_STR("mcpsess:m:{l}:f"));
    CHECK(told_is("l"));
    push(MCPSESS_STR("mcpsess:r:{m}"));
    CHECK(told_is("m"));
    memset(&told, 0, sizeof told);
    break_off();
    CHECK(told.calls >= 3 && told.len == 0);
}

void test_rflags(void) {
    RUN(rflags_asks_to_look);
    RUN(rflags_asks_to_claim);
    RUN(rflags_asks_to_set);
    RUN(rflags_asks_to_clear);
    RUN(rflags_escapes_keys);
    RUN(rflags_longest_commands_fit_what_the_macro_says);
    RUN(rflags_answers_of_looks);
    RUN(rflags_answers_of_claims);
    RUN(rflags_answers_of_writes);
    RUN(rflags_data_in_pieces_count_when_all_are_there);
    RUN(rflags_data_start_over_when_they_are_asked_for_again);
    RUN(rflags_data_larger_than_their_room_are_not_written);
    RUN(rflags_refuses_answers_of_no_script);
    RUN(rflags_refuses_answers_of_other_scripts);
    RUN(rflags_errors_of_the_server_are_codes);
    RUN(rflags_repeats_all_but_a_set_without_a_token);
    RUN(rflags_lease_of_a_repeated_claim_counts_from_the_first);
    RUN(rflags_data_over_tx_are_too_big);
    RUN(rflags_cancel_and_close_let_go_of_the_request);
    RUN(rflags_keys_of_leases_and_flags_are_told_alike);
    RUN(rflags_listeners_are_three);
}
