/* Flags on a real server: the contract of every store that has them, and what is this one's own.
     flags HOST_OR_PATH PORT PASSWORD            all of it, as the user mcpsess; without a password as nobody
     flags HOST_OR_PATH PORT PASSWORD may USER   a bit of everything, as another user; says on stderr what it may not
     flags script N, flags digest N              of the flags' scripts, from 0; status 1: there is none */

#include "owner.h"

#include "flag_contract.h"

#define SLOTS 64
#define DATA_MAX 20000u
#define TX MCPSESS_REDIS_STORE_FLAG_TX(DATA_MAX)
#include "ends.h"

#define PLENTY 60000u /* ms; no test takes so long */

static flag_rig under_test;

/* Every key has a TTL, and that of a fence is a hundred times its lease's.  -> the key of which that is not true */
static void look_at_ttls(void) {
    static const char script[] = "for _,k in ipairs(redis.call('KEYS','*')) do\n"
                                 "local n=redis.call('PTTL',k)\n"
                                 "if n<0 then return k end\n"
                                 "local p,g=string.match(k,'^(.*:)l:({.*})$')\n"
                                 "if p and redis.call('PTTL',p..'f:'..g)<n*100-1000 then return k end end return ''";
    t.checked = t.at[0].redis.stats.replies;
    CHECK(text_is(ADMIN("EVAL", script, "0"), ""));
}

static void age(uint64_t ms) {
    owner_ages(AGING(""), ms);
    t.ahead_ms += ms;
}

/* -- the store, its requests -- */

static void reset(store_rig *rig) {
    rig->store = watched_store();
    rig->now_ms = now();
}

static void pass(store_rig *rig, uint64_t ms) {
    age(ms);
    rig->now_ms = now();
}

static void idle(store_rig *rig) {
    idle_at(0);
    rig->now_ms = now();
}

static mcpsess_flag_request q;
static mcpsess_buf out;
static char out_mem[DATA_MAX + 64u];

static int run_at(unsigned n) {
    return run_request_at(n, &q.request);
}

static void request(uint8_t kind, const char *key, const char *token) {
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = mcpsess_str_z(key);
    q.request.value = mcpsess_str_z(token);
    q.request.expect = MCPSESS_STR("v1");
    q.request.ttl_ms = PLENTY;
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    q.data = MCPSESS_STR("data");
}

/* By the token "a". */
static int ask_at(unsigned n, uint8_t kind, const char *key) {
    request(kind, key, "a");
    return run_at(n);
}

static int ask(uint8_t kind, const char *key) {
    return ask_at(0, kind, key);
}

static int set(const char *key) {
    request(MCPSESS_FLAG_SET, key, "");
    return run_at(0);
}

static int revoke(const char *key) {
    request(MCPSESS_FLAG_CLEAR, key, "");
    q.request.mode = 1;
    return run_at(0);
}

static void start(void) {
    reset(&under_test.base);
    make(1);
}

static bool data_is(const char *data) {
    return mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_str_z(data));
}

/* -- as others see it -- */

TEST(keys_are_escaped_and_bytes_are_raw) {
    start();
    request(MCPSESS_FLAG_SET, "", "");
    q.request.key = MCPSESS_STR("a{b}\r\n");
    q.request.expect = MCPSESS_STR("\0%\xff");
    q.data = MCPSESS_STR("d\0\r\n");
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK(q.request.left_ms <= PLENTY && q.request.left_ms > PLENTY - 5000);
    CHECK_STR(ADMIN("GET", "mcpsess:l:{a%7Bb%7D%0D%0A}:f"), "\3\0%\xff"
                                                            "d\0\r\n");
    q.request.kind = MCPSESS_FLAG_CLAIM;
    q.request.expect = MCPSESS_STR("");
    q.request.value = MCPSESS_STR("\0\r\n");
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK_STR(ADMIN("GET", "mcpsess:l:{a%7Bb%7D%0D%0A}"), "\0\r\n");
    CHECK_EQ(NUMBER("EXISTS", "mcpsess:f:{a%7Bb%7D%0D%0A}"), 1);
    look_at_ttls();
}

TEST(a_request_is_one_command) {
    uint32_t commands;
    char *at;
    start();
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_MISS);
    (void)ADMIN("CONFIG", "RESETSTAT");
    commands = t.at[0].redis.stats.commands;
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_BUSY);
    CHECK_EQ(ask(MCPSESS_FLAG_SET, "k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_EXISTS);
    CHECK(data_is("data"));
    CHECK_EQ(revoke("k"), MCPSESS_OK);
    CHECK_EQ(t.at[0].redis.stats.commands - commands, 5);
    (void)ADMIN("INFO", "commandstats");
    at = strstr(said, "cmdstat_evalsha:calls=");
    CHECK(at != NULL && strtol(at + sizeof "cmdstat_evalsha:calls=" - 1, NULL, 10) == 5);
    CHECK_EQ(NUMBER("DBSIZE"), 1); /* the fence: it must grow */
}

TEST(data_of_many_pieces_and_data_that_do_not_fit) {
    static char data[DATA_MAX];
    size_t n;
    for (n = 0; n < DATA_MAX; n++) data[n] = (char)(n * 7u);
    start();
    request(MCPSESS_FLAG_SET, "k", "");
    q.data = mcpsess_str_of(data, DATA_MAX);
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_EXISTS);
    CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_str_of(data, DATA_MAX)));
    request(MCPSESS_FLAG_CLAIM, "k", "a");
    mcpsess_buf_init(&out, out_mem, DATA_MAX - 1u);
    CHECK_EQ(run_at(0), MCPSESS_E_TOOBIG);
    CHECK_EQ(q.request.need, DATA_MAX);
    CHECK(t.at[0].redis.stats.bytes_received < DATA_MAX + 2000u); /* it was not transferred again */
    CHECK_EQ(NUMBER("EXISTS", "mcpsess:l:{k}", "mcpsess:f:{k}"), 0);
}

TEST(time_really_passes) {
    uint64_t until_ms;
    start();
    request(MCPSESS_FLAG_SET, "k", "");
    q.request.ttl_ms = 50;
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_EXISTS);
    until_ms = now() + 5000;
    while (ask(MCPSESS_FLAG_GET, "k") == MCPSESS_OK && now() < until_ms) CHECK(q.request.left_ms <= 50);
    CHECK_EQ(q.request.rc, MCPSESS_MISS);
    request(MCPSESS_FLAG_CLAIM, "k", "a");
    q.request.ttl_ms = 50;
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK(q.request.left_ms < 50);
    request(MCPSESS_FLAG_CLAIM, "k", "b");
    while (run_at(0) == MCPSESS_BUSY && now() < until_ms) CHECK(q.request.left_ms <= 50);
    CHECK_EQ(q.request.rc, MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_SET, "k"), MCPSESS_LOST);
}

/* A flag lives no longer for being looked at, and a lease not for being claimed by others. */
TEST(only_writes_write) {
    int64_t left;
    start();
    CHECK_EQ(set("k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "l"), MCPSESS_OK);
    age(PLENTY / 2);
    left = NUMBER("PTTL", "mcpsess:l:{k}:f");
    (void)ADMIN("CONFIG", "RESETSTAT");
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_EXISTS);
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "l"), MCPSESS_BUSY);
    request(MCPSESS_FLAG_CLAIM, "l", "b");
    CHECK_EQ(run_at(0), MCPSESS_BUSY);
    request(MCPSESS_FLAG_SET, "l", "b");
    CHECK_EQ(run_at(0), MCPSESS_LOST);
    (void)ADMIN("INFO", "commandstats");
    CHECK(strstr(said, "cmdstat_set:") == NULL && strstr(said, "cmdstat_del:") == NULL);
    CHECK(NUMBER("PTTL", "mcpsess:l:{k}:f") <= left);
    CHECK(NUMBER("PTTL", "mcpsess:l:{l}") <= (int64_t)PLENTY / 2);
}

TEST(a_flag_is_there_before_its_lease_is_gone) {
    start();
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
    (void)ADMIN("CONFIG", "SET", "maxmemory", "1");
    CHECK_EQ(ask(MCPSESS_FLAG_SET, "k"), MCPSESS_REDIS_E_OOM);
    request(MCPSESS_FLAG_CLAIM, "l", "a");
    CHECK_EQ(run_at(0), MCPSESS_REDIS_E_OOM);
    CHECK_EQ(NUMBER("EXISTS", "mcpsess:l:{k}"), 1); /* it may be tried again */
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_BUSY);
    CHECK_EQ(revoke("k"), MCPSESS_OK);
    (void)ADMIN("CONFIG", "SET", "maxmemory", "0");
    CHECK_EQ(NUMBER("EXISTS", "mcpsess:l:{k}", "mcpsess:l:{k}:f"), 0);
    CHECK_EQ(NUMBER("EXISTS", "mcpsess:l:{l}", "mcpsess:f:{l}"), 0);
}

TEST(fences_grow_over_all_ways_to_lose_a_lease) {
    uint64_t fence;
    start();
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
    fence = q.request.fence;
    CHECK(fence > UINT64_C(1600000000000000)); /* the server's clock in microseconds */
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
    CHECK(q.request.fence == fence);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k"), MCPSESS_OK);
    CHECK(q.request.fence == fence);
    CHECK_EQ(revoke("k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
    CHECK(q.request.fence > fence);
    fence = q.request.fence;
    CHECK_EQ(ask(MCPSESS_FLAG_SET, "k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_CLEAR, "k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LEASE_ACQUIRE, "k"), MCPSESS_OK);
    CHECK(q.request.fence > fence);
    (void)ADMIN("SET", "mcpsess:f:{k}", "4000000000000000", "EX", "100"); /* of a clock that was ahead */
    (void)ADMIN("DEL", "mcpsess:l:{k}");
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
    CHECK(q.request.fence == UINT64_C(4000000000000001));
}

/* -- trouble -- */

TEST(keys_of_another_type_are_told_and_left) {
    static const char *const keys[] = {"mcpsess:l:{k}", "mcpsess:l:{k}:f", "mcpsess:f:{k}"};
    unsigned n;
    for (n = 0; n < COUNT_OF(keys); n++) {
        bool fence = n == 2;
        start();
        (void)ADMIN("RPUSH", keys[n], "v");
        (void)ADMIN("EXPIRE", keys[n], "100");
        CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(set("k"), fence ? MCPSESS_OK : MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(revoke("k"), fence ? MCPSESS_OK : MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(NUMBER("EXISTS", keys[n]), 1);
        CHECK_EQ(NUMBER("DBSIZE"), 1);
        CHECK_EQ(t.at[0].redis.stats.disconnects, 0);
    }
}

/* What is shorter than a fingerprint, or empty, is no flag, and no reason to fail. */
TEST(bytes_that_we_never_write_are_no_flag) {
    start();
    (void)ADMIN("SET", "mcpsess:l:{k}:f", "", "EX", "100");
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_MISS);
    (void)ADMIN("SET", "mcpsess:l:{k}:f", "\2v", "EX", "100");
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_MISS);
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_SET, "k"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_OK);
    CHECK(data_is("data"));
    (void)ADMIN("PERSIST", "mcpsess:l:{k}:f");
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_OK);
    CHECK(q.request.left_ms == MCPSESS_NEVER);
}

TEST(scripts_that_are_flushed_come_back_in_order) {
    static mcpsess_flag_request many[40];
    mcpsess_request *all[COUNT_OF(many)];
    unsigned n;
    start();
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_MISS);
    (void)ADMIN("SCRIPT", "FLUSH");
    for (n = 0; n < COUNT_OF(many); n++) {
        request(n % 2 == 0 ? MCPSESS_FLAG_CLAIM : MCPSESS_FLAG_SET, "k", "a");
        many[n] = q;
        many[n].request.expect = mcpsess_str_of("0123456789012345678901234567890123456789" + n / 2, 1u + n / 20);
        many[n].request.out = NULL;
        all[n] = &many[n].request;
    }
    run_all_at(0, all, COUNT_OF(many));
    for (n = 0; n < COUNT_OF(many); n++) CHECK_EQ(many[n].request.rc, MCPSESS_OK);
    CHECK_EQ(t.at[0].redis.stats.reloads, 1);
}

TEST(digests_are_those_of_the_server) {
    digests_are_the_servers(MCPSESS_OF_FLAGS);
}

/* -- who waits is told -- */

/* Everything that was pushed by now is heard: a request comes back behind it. */
static void settle(void) {
    CHECK_EQ(ask_at(1, MCPSESS_FLAG_GET, "other"), MCPSESS_MISS);
}

/* One who waits at the second connection: it has asked, with this. */
static void listening(uint8_t kind, int rc) {
    mcpsess_store s = store_at(1);
    CHECK_EQ(s.cls->listen(s.self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    request(kind, "k", "b");
    CHECK_EQ(run_at(1), rc);
    settle();
    hearings = 0;
}

static void told(bool is) {
    settle();
    CHECK_EQ(hearings != 0, is);
    if (is) CHECK(mcpsess_str_eq(mcpsess_str_of(heard, heard_len), MCPSESS_STR("k")));
    hearings = 0;
}

TEST(who_waits_for_another_is_told_of_its_end) {
    static const struct {
        uint8_t kind, mode;
    } ends[] = {{MCPSESS_FLAG_SET, 0}, {MCPSESS_LEASE_RELEASE, 0}, {MCPSESS_FLAG_CLEAR, 1}};
    static const uint8_t asks[] = {MCPSESS_FLAG_CLAIM, MCPSESS_FLAG_GET};
    unsigned n, k;
    for (n = 0; n < COUNT_OF(ends); n++) {
        for (k = 0; k < COUNT_OF(asks); k++) {
            start();
            CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
            listening(asks[k], MCPSESS_BUSY);
            told(false);
            request(ends[n].kind, "k", "a");
            q.request.mode = ends[n].mode;
            CHECK_EQ(run_at(0), MCPSESS_OK);
            told(true);
        }
    }
}

TEST(who_has_seen_a_flag_is_told_of_its_end) {
    unsigned mode;
    for (mode = 0; mode < 2; mode++) {
        start();
        CHECK_EQ(set("k"), MCPSESS_OK);
        listening(MCPSESS_FLAG_GET, MCPSESS_OK);
        request(MCPSESS_FLAG_CLEAR, "k", "");
        q.request.mode = (uint8_t)mode;
        CHECK_EQ(run_at(0), MCPSESS_OK);
        told(true);
    }
}

/* A server that tracks single keys forgets one when it is written; whoever wrote it has not lost sight of it. */
TEST(who_has_written_is_told_of_what_comes) {
    static const uint8_t writes[] = {MCPSESS_FLAG_CLAIM, MCPSESS_FLAG_SET, MCPSESS_FLAG_CLEAR};
    unsigned n, flag;
    for (n = 0; n < COUNT_OF(writes); n++) {
        for (flag = 0; flag < 2; flag++) {
            start();
            listening(MCPSESS_FLAG_CLAIM, MCPSESS_OK);
            request(writes[n], "k", "b");
            q.request.mode = 1;
            CHECK_EQ(run_at(1), MCPSESS_OK);
            settle();
            hearings = 0;
            if (flag != 0) CHECK_EQ(set("k"), MCPSESS_OK);
            else CHECK_EQ(n == 0 ? revoke("k") : ask(MCPSESS_LEASE_ACQUIRE, "k"), MCPSESS_OK);
            told(true);
        }
    }
}

TEST(looking_tells_nobody) {
    start();
    CHECK_EQ(ask(MCPSESS_FLAG_CLAIM, "k"), MCPSESS_OK);
    listening(MCPSESS_FLAG_CLAIM, MCPSESS_BUSY);
    CHECK_EQ(ask(MCPSESS_FLAG_GET, "k"), MCPSESS_BUSY);
    request(MCPSESS_FLAG_CLAIM, "k", "b");
    CHECK_EQ(run_at(0), MCPSESS_BUSY);
    request(MCPSESS_FLAG_SET, "k", "b");
    CHECK_EQ(run_at(0), MCPSESS_LOST);
    CHECK_EQ(ask(MCPSESS_FLAG_CLEAR, "k"), MCPSESS_MISS); /* there is no flag, and the lease stays */
    told(false);
    CHECK_EQ(ask(MCPSESS_LEASE_EXTEND, "k"), MCPSESS_OK); /* of a lease all of it is told */
    told(true);
}

TEST(what_expires_is_told) {
    uint64_t until_ms;
    start();
    request(MCPSESS_FLAG_CLAIM, "k", "a");
    q.request.ttl_ms = 50;
    CHECK_EQ(run_at(0), MCPSESS_OK);
    listening(MCPSESS_FLAG_GET, MCPSESS_BUSY);
    until_ms = now() + 10000;
    while (hearings == 0 && now() < until_ms) settle();
    CHECK(hearings > 0);
}

static void own_tests(void) {
    RUN(keys_are_escaped_and_bytes_are_raw);
    RUN(a_request_is_one_command);
    RUN(data_of_many_pieces_and_data_that_do_not_fit);
    RUN(time_really_passes);
    RUN(only_writes_write);
    RUN(a_flag_is_there_before_its_lease_is_gone);
    RUN(fences_grow_over_all_ways_to_lose_a_lease);
    RUN(keys_of_another_type_are_told_and_left);
    RUN(bytes_that_we_never_write_are_no_flag);
    RUN(scripts_that_are_flushed_come_back_in_order);
    RUN(digests_are_those_of_the_server);
    if (t.resp2 || !t.tracks) return;
    RUN(who_waits_for_another_is_told_of_its_end);
    RUN(who_has_seen_a_flag_is_told_of_its_end);
    RUN(who_has_written_is_told_of_what_comes);
    RUN(looking_tells_nobody);
    RUN(what_expires_is_told);
}

/* -- permissions -- */

/* Everything that the scripts of flags ever call. */
static int permissions(void) {
    make(0);
    may(ask(MCPSESS_FLAG_CLAIM, "may"), MCPSESS_OK, "claim");
    may(ask(MCPSESS_FLAG_GET, "may"), MCPSESS_BUSY, "look");
    may(ask(MCPSESS_FLAG_SET, "may"), MCPSESS_OK, "set");
    may(ask(MCPSESS_FLAG_GET, "may"), MCPSESS_OK, "get");
    may(revoke("may"), MCPSESS_OK, "clear");
    return refusals == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    int mode;
    if (argc == 3) return print_script(MCPSESS_OF_FLAGS, argv[1], (unsigned)atoi(argv[2]));
    if (argc < 4) return 2;
    t.host = argv[1];
    t.port = argv[2];
    t.user = argv[3][0] != '\0' ? "mcpsess" : "";
    t.password = argv[3];
    if (argc == 6) {
        t.user = argv[5];
        return permissions();
    }
    under_test.base.unit_ms = 10000;
    under_test.base.leases = under_test.base.closes = true;
    under_test.base.reset = reset;
    under_test.base.pass = pass;
    under_test.base.idle = idle;
    under_test.data = under_test.fingerprints = under_test.fences = under_test.records = true;
    connects();
    for (mode = 0; mode < MODES; mode++) {
        set_mode(mode);
        under_test.tells = t.tracks && !t.resp2;
        flag_contract(&under_test);
        own_tests();
    }
    return tap_finish();
}
