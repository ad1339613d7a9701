/* Logs on a real server: the contract of every store that has them, and what is this one's own.
     logs HOST_OR_PATH PORT PASSWORD             all of it, as the user mcpsess; without a password as nobody
     logs HOST_OR_PATH PORT PASSWORD model N     so many random requests against a naive reference, on each kind of
                                                 connection
     logs HOST_OR_PATH PORT PASSWORD may USER    a bit of everything, as another user; says on stderr what it may not
     logs HOST_OR_PATH PORT PASSWORD KIND ...    one request, and its answer in one line: for tests of servers that come
                                                 and go
     logs script N, logs digest N                of the logs' scripts, from 0; status 1: there is none */

#include "owner.h"

#include "log_contract.h"
#include "log_model.h"

#define SLOTS 64
#define EVENT_MAX 20000u
#define TX MCPSESS_REDIS_STORE_LOG_TX(EVENT_MAX)
#include "ends.h"

static log_rig under_test;

/* What an append changes is packed in one field of the companion: these, by their place there. */
#define LAST "0"
#define BYTES "1"
#define LEASE_ENDS "2"
#define PACKED(at)                                                                                                  \
    NUMBER("EVAL", "return string.format('%.0f',(struct.unpack('<d',redis.call('HGET',KEYS[1],'z'),ARGV[1]*8+1)))", \
           "1", "mcpsess:m:{s}:1", at)
#define PACK(at, value)                                                                                           \
    (void)ADMIN("EVAL",                                                                                           \
                "local z,i=redis.call('HGET',KEYS[1],'z'),ARGV[1]*8 "                                             \
                "redis.call('HSET',KEYS[1],'z',string.sub(z,1,i)..struct.pack('<d',ARGV[2])..string.sub(z,i+9))", \
                "1", "mcpsess:m:{s}:1", at, value)

/* Every key has a TTL, that of a log is longer than that of its events, and that of the index than that of its logs,
   which are in it, and nothing else is that is not to have expired.  -> the key of which that is not true */
static const char ttls_script[] =
    "local P=function(k) return redis.call('PTTL',k) end\n"
    "for _,k in ipairs(redis.call('KEYS','*')) do\n"
    "if P(k)<0 then return k end\n"
    "local p,s,g,n=string.match(k,'^(.*:)([emi]):({.*})(.*)$')\n"
    "if s=='e' and P(p..'m:'..g..n)<P(k) then return k end\n"
    "if s=='m' and P(p..'i:'..g)<P(k) then return k end\n"
    "if s=='m' and not redis.call('ZSCORE',p..'i:'..g,string.sub(n,2)) then return k..' in the index' end\n"
    "if s=='i' then for _,n in ipairs(redis.call('ZRANGEBYSCORE',k,redis.call('TIME')[1]*1000+1000,'+inf')) do\n"
    "if redis.call('EXISTS',p..'m:'..g..':'..n)==0 then return k..' has '..n end end end\n"
    "end return ''";

static void look_at_ttls(void) {
    t.checked = t.at[0].redis.stats.replies;
    CHECK(text_is(ADMIN("EVAL", ttls_script, "0"), ""));
}

static void age(uint64_t ms) {
    static const char script[] =
        AGING("local d=tonumber(ARGV[1])\n"
              "local s=string.match(k,':([emi]):{')\n"
              "if s=='m' then for _,f in ipairs({'x','y'}) do\n"
              "if redis.call('HEXISTS',k,f)==1 then redis.call('HINCRBY',k,f,-d) end end\n"
              "local l,b,g,u,w,a=struct.unpack('<dddddd',redis.call('HGET',k,'z'))\n"
              "redis.call('HMSET',k,'z',struct.pack('<dddddd',l,b,g-d,u-d,w-d,a-d)) end\n"
              "if s=='i' then for _,v in ipairs(redis.call('ZRANGE',k,0,-1)) do redis.call('ZINCRBY',k,-d,v) end end\n"
              "if s=='e' then local all=redis.call('XRANGE',k,'-','+')\n"
              "redis.call('DEL',k)\n"
              "for _,v in ipairs(all) do local q,w=string.match(v[1],'(.*)-(.*)')\n"
              "redis.call('XADD',k,q..'-'..string.format('%.0f',w-d),v[2][1],v[2][2]) end end\n");
    owner_ages(script, ms);
}

/* -- the store, its requests -- */

static void reset(log_rig *rig) {
    rig->store = watched_store();
    rig->now_ms = now();
}

static void pass(log_rig *rig, uint64_t ms) {
    age(ms);
    t.ahead_ms += ms;
    rig->now_ms = now();
}

static void idle(log_rig *rig) {
    idle_at(0);
    rig->now_ms = now();
}

static mcpsess_log_request q;
static mcpsess_log_limits limits;
static mcpsess_buf out;
static char out_mem[EVENT_MAX + 64u];
static uint64_t writer, epoch; /* as of the last open */

static int run_at(unsigned n) {
    return run_request_at(n, &q.request);
}

static void request(uint8_t kind, const char *session, const char *stream) {
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = mcpsess_str_z(session);
    q.request.ttl_ms = 60000;
    q.log.stream = mcpsess_str_z(stream);
    q.log.limits = &limits;
    q.log.writer = writer;
    q.log.epoch = epoch;
}

static int open_as(const char *session, const char *stream, const char *token, bool fresh) {
    request(MCPSESS_LOG_OPEN, session, stream);
    q.request.value = mcpsess_str_z(token);
    q.log.fresh = fresh;
    if (run_at(0) != MCPSESS_OK) return q.request.rc;
    writer = q.log.writer;
    epoch = q.log.epoch;
    return MCPSESS_OK;
}

static int append_bytes(const char *session, const char *stream, uint64_t sequence, uint64_t confirmed,
                        mcpsess_str data) {
    request(MCPSESS_LOG_APPEND, session, stream);
    q.log.sequence = sequence;
    q.log.confirmed = confirmed;
    q.log.event.data = data;
    return run_at(0);
}

static int append(uint64_t sequence, const char *data) {
    return append_bytes("s", "1", sequence, sequence - 1, mcpsess_str_z(data));
}

static int range_at(unsigned n, const char *session, const char *stream, uint64_t after, uint64_t ttl_ms) {
    request(MCPSESS_LOG_RANGE, session, stream);
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
    q.request.out = &out;
    q.request.ttl_ms = ttl_ms;
    q.log.sequence = after;
    return run_at(n);
}

static int range(uint64_t after, uint64_t ttl_ms) {
    return range_at(0, "s", "1", after, ttl_ms);
}

static int ask(uint8_t kind, const char *session, const char *stream) {
    request(kind, session, stream);
    return run_at(0);
}

static void start(void) {
    memset(&limits, 0, sizeof limits);
    reset(&under_test);
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
}

#define MINUTE UINT64_C(60000)

static void pass_minutes(unsigned minutes) {
    age(minutes * MINUTE);
    t.ahead_ms += minutes * MINUTE;
    look_at_ttls();
}

/* Redis command calls that the scripts made since RESETSTAT, TIME and EVALSHA apart. */
static int64_t calls(const char *command) {
    char name[40], *at;
    snprintf(name, sizeof name, "cmdstat_%s:calls=", command);
    (void)ADMIN("INFO", "commandstats");
    at = strstr(said, name);
    return at == NULL ? 0 : strtol(at + strlen(name), NULL, 10);
}

/* -- as others see it -- */

TEST(keys_are_escaped_and_events_are_raw) {
    start();
    request(MCPSESS_LOG_OPEN, "", "");
    q.request.key = MCPSESS_STR("a{b}\r\n");
    q.log.stream = MCPSESS_STR("}:{\0\n:%");
    q.request.value = MCPSESS_STR("\0\r\n");
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK(text_is(ADMIN("ZRANGE", "mcpsess:i:{a%7Bb%7D%0D%0A}", "0", "-1"), "")); /* an array */
    CHECK(strstr(said, "%7D:%7B%00%0A:%25") != NULL);
    q.request.kind = MCPSESS_LOG_APPEND;
    q.log.sequence = 1;
    q.log.event.data = MCPSESS_STR("d\0\r\n\xff");
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK_EQ(NUMBER("XLEN", "mcpsess:e:{a%7Bb%7D%0D%0A}:%7D:%7B%00%0A:%25"), 1);
    CHECK_EQ(NUMBER("EXISTS", "mcpsess:m:{a%7Bb%7D%0D%0A}:%7D:%7B%00%0A:%25"), 1);
    CHECK(mcpsess_str_eq(ADMIN("EVAL", "return redis.call('XRANGE',KEYS[1],'-','+')[1][2][2]", "1",
                               "mcpsess:e:{a%7Bb%7D%0D%0A}:%7D:%7B%00%0A:%25"),
                         MCPSESS_STR("\1\0d\0\r\n\xff")));
    look_at_ttls();
}

TEST(a_request_is_one_command) {
    uint32_t commands;
    char *at;
    start();
    (void)ADMIN("CONFIG", "RESETSTAT");
    commands = t.at[0].redis.stats.commands;
    CHECK_EQ(open_as("s", "1", "token", true), MCPSESS_OK);
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    CHECK_EQ(append(2, "b"), MCPSESS_OK);
    CHECK_EQ(append(2, "b"), MCPSESS_DUP);
    CHECK_EQ(range(0, 60000), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LOG_SET, "s", "1"), MCPSESS_OK);
    CHECK_EQ(ask(MCPSESS_LOG_DEL, "s", "1"), MCPSESS_OK);
    CHECK_EQ(t.at[0].redis.stats.commands - commands, 8);
    (void)ADMIN("INFO", "commandstats");
    at = strstr(said, "cmdstat_evalsha:calls=");
    CHECK(at != NULL && strtol(at + sizeof "cmdstat_evalsha:calls=" - 1, NULL, 10) == 8);
    CHECK_EQ(NUMBER("DBSIZE"), 0);
}

TEST(an_append_writes_the_event_and_one_key_besides) {
    uint64_t n;
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    (void)ADMIN("CONFIG", "RESETSTAT");
    for (n = 2; n <= 101; n++) CHECK_EQ(append(n, "a"), MCPSESS_OK);
    CHECK_EQ(calls("xadd"), 100);
    CHECK_EQ(calls("hset"), 100);
    CHECK_EQ(calls("hmget"), 100);
    CHECK_EQ(calls("pexpire") + calls("zadd") + calls("xrange") + calls("del"), 0);
    pass_minutes(40);
    CHECK_EQ(append(102, "a"), MCPSESS_OK); /* the events have expired by then */
    look_at_ttls();
    CHECK_EQ(range(101, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
    CHECK(calls("pexpire") >= 2);
}

TEST(following_writes_nothing) {
    unsigned n;
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    (void)ADMIN("CONFIG", "RESETSTAT");
    for (n = 0; n < 10; n++) {
        CHECK_EQ(range(1, 0), MCPSESS_OK);
        CHECK_EQ(range(0, 60000), MCPSESS_OK); /* more than half is left */
        CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
    }
    CHECK_EQ(calls("hset") + calls("pexpire") + calls("zadd") + calls("zremrangebyscore"), 0);
    pass_minutes(16);
    CHECK_EQ(range(0, 0), MCPSESS_OK);
    CHECK_EQ(calls("hset"), 0);
    CHECK_EQ(range(0, 60000), MCPSESS_OK);
    CHECK_EQ(calls("hset"), 1);
    look_at_ttls();
    CHECK_EQ(range(0, 60000), MCPSESS_OK);
    CHECK_EQ(calls("hset"), 1);
}

static int set(bool done) {
    request(MCPSESS_LOG_SET, "s", "1");
    q.log.streaming = true;
    q.log.done = done;
    return run_at(0);
}

/* One write of each kind. */
static int write_once(unsigned kind) {
    int rc;
    switch (kind) {
    case 0: return open_as("s", "1", "token", false);
    case 1: return set(false);
    case 2: return append(q.log.last + 1, "a");
    default:
        rc = append_bytes("s", "1", 9, 8, MCPSESS_STR("a"));
        epoch = q.log.epoch;
        return rc == MCPSESS_LOST_TAIL ? MCPSESS_OK : rc;
    }
}

TEST(each_write_gives_a_log_its_whole_time) {
    unsigned kind, n;
    for (kind = 0; kind < 4; kind++) {
        start();
        limits.log_max_ms = 120 * MINUTE;
        for (n = 0; n < 4; n++) { /* and its key's */
            CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
            CHECK_EQ(write_once(kind), MCPSESS_OK);
            CHECK(q.request.left_ms > 59000);
            pass_minutes(50);
        }
        CHECK_EQ(write_once(kind), MCPSESS_OK);
        for (n = 0; n < 4; n++) { /* also of the longest that a reader may keep it */
            request(MCPSESS_LOG_STATE, "s", "1");
            CHECK_EQ(run_at(0), MCPSESS_OK);
            if (!CHECK_EQ(range(q.log.last, 60000), MCPSESS_OK)) tap_note("kind", kind);
            pass_minutes(29);
        }
        CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
        pass_minutes(5);
        CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_MISS);
    }
}

/* Whoever has smaller limits does not make a log live shorter than the events of another. */
TEST(a_log_outlives_events_of_longer_limits) {
    unsigned kind;
    for (kind = 0; kind < 2; kind++) {
        start();
        limits.event_ttl_ms = limits.log_ttl_ms = 600 * MINUTE;
        limits.event_max_ms = limits.log_max_ms = 900 * MINUTE;
        CHECK_EQ(append(1, "a"), MCPSESS_OK);
        memset(&limits, 0, sizeof limits);
        CHECK_EQ(write_once(kind), MCPSESS_OK);
        pass_minutes(500);
        limits.event_max_ms = 900 * MINUTE;
        CHECK_EQ(range(0, 0), MCPSESS_OK);
        CHECK_EQ(q.request.count, 1);
    }
}

/* What another one's longer limits have set is not what holds from then on. */
TEST(a_log_lives_by_the_limits_of_its_last_writer) {
    uint64_t n;
    start();
    limits.event_ttl_ms = limits.log_ttl_ms = 600 * MINUTE;
    limits.event_max_ms = limits.log_max_ms = 900 * MINUTE;
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    memset(&limits, 0, sizeof limits);
    CHECK_EQ(open_as("s", "1", "token", true), MCPSESS_OK);
    CHECK_EQ(set(false), MCPSESS_OK);
    pass_minutes(59);
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
    pass_minutes(2);
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_MISS);
    start(); /* and without beginning anew */
    limits.log_ttl_ms = limits.log_max_ms = 600 * MINUTE;
    CHECK_EQ(open_as("s", "1", "token", true), MCPSESS_OK);
    memset(&limits, 0, sizeof limits);
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
    for (n = 1; n <= 8; n++) {
        CHECK_EQ(append(n, "a"), MCPSESS_OK);
        pass_minutes(50);
    }
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
}

/* Nor its index shorter than what else is in it. */
TEST(an_index_lives_as_long_as_any_of_its_logs) {
    start();
    limits.log_ttl_ms = limits.log_max_ms = 600 * MINUTE;
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
    memset(&limits, 0, sizeof limits);
    CHECK_EQ(open_as("s", "2", "token", false), MCPSESS_OK);
    look_at_ttls();
    pass_minutes(500);
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
}

/* Where both have the same TTL, the log's key is still the one that lives longer. */
TEST(keys_of_equal_limits_go_in_their_order) {
    uint64_t n;
    start();
    limits.log_ttl_ms = limits.event_ttl_ms = 60 * MINUTE;
    limits.log_max_ms = limits.event_max_ms = 60 * MINUTE;
    CHECK_EQ(open_as("s", "1", "token", true), MCPSESS_OK);
    for (n = 1; n < 40; n++) {
        CHECK_EQ(append(n, "a"), MCPSESS_OK);
        pass_minutes(7);
    }
    (void)ADMIN("CONFIG", "RESETSTAT");
    for (; n < 60; n++) CHECK_EQ(append(n, "a"), MCPSESS_OK);
    CHECK(calls("zadd") <= 1 && calls("pexpire") <= 2); /* not again and again */
}

/* An empty one as well. */
TEST(a_log_without_events_is_kept) {
    start();
    (void)ADMIN("CONFIG", "RESETSTAT");
    CHECK_EQ(range(0, 60000), MCPSESS_OK);
    CHECK_EQ(calls("hset"), 0);
    pass_minutes(40);
    CHECK_EQ(range(0, 60000), MCPSESS_OK);
    look_at_ttls();
    pass_minutes(50);
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
}

TEST(events_that_are_kept_keep_their_log) {
    start();
    limits.event_ttl_ms = limits.log_ttl_ms = 60 * MINUTE;
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    pass_minutes(10);
    CHECK_EQ(set(false), MCPSESS_OK);
    pass_minutes(21); /* 29 are left for the events, 39 for the log */
    CHECK_EQ(range(0, 60000), MCPSESS_OK);
    pass_minutes(55);
    CHECK_EQ(range(0, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
}

TEST(a_writer_whose_lease_ran_out_is_another_one_when_it_opens_again) {
    uint64_t first;
    start();
    first = writer;
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
    CHECK(writer == first);
    pass_minutes(2);
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
    CHECK(writer > first);
}

TEST(an_unguarded_request_sees_everybodys) {
    start();
    CHECK_EQ(ask(MCPSESS_LOG_DEL, "s", "1"), MCPSESS_OK);
    request(MCPSESS_LOG_OPEN, "s", "1");
    q.request.value = MCPSESS_STR("token");
    q.request.guarded = true;
    q.request.owner = principal("https://issuer", "alice");
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    CHECK_EQ(range(0, 0), MCPSESS_OK);
    request(MCPSESS_LOG_STATE, "s", "1");
    q.request.guarded = true;
    q.request.owner = principal("https://issuer", "alice");
    CHECK_EQ(run_at(0), MCPSESS_OK); /* it is still hers */
}

/* -- bounds -- */

static int64_t held(void) {
    return NUMBER("EVAL",
                  "local n=0\n"
                  "for _,v in ipairs(redis.call('XRANGE',KEYS[1],'-','+')) do n=n+4+#v[2][2] end\n"
                  "return n",
                  "1", "mcpsess:e:{s}:1");
}

TEST(bounds_of_events_and_bytes_are_exact) {
    static char data[4000];
    uint64_t n, first, kept = 0, seed = 1;
    uint32_t sizes[200];
    memset(data, 'd', sizeof data);
    start();
    limits.events = 20;
    limits.bytes = 9000;
    for (n = 1, first = 1; n < COUNT_OF(sizes); n++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        sizes[n] = 6u + (uint32_t)((seed >> 33) % (n % 7 == 0 ? 3900u : 700u));
        CHECK_EQ(append_bytes("s", "1", n, n - 1, mcpsess_str_of(data, sizes[n] - 6u)), MCPSESS_OK);
        for (kept += sizes[n]; kept > limits.bytes || n - first + 1 > limits.events; first++) kept -= sizes[first];
        CHECK_EQ(held(), (int64_t)kept);
        CHECK_EQ(NUMBER("XLEN", "mcpsess:e:{s}:1"), (int64_t)(n - first + 1));
        CHECK_EQ(PACKED(BYTES), (int64_t)kept);
    }
    CHECK_EQ(range(first - 2, 0), MCPSESS_GAP);
    CHECK_EQ(q.log.first, first);
    CHECK_EQ(range(first - 1, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, n - first);
    CHECK_EQ(out.len, kept);
}

/* A log of many small events makes room for a large one at once. */
TEST(one_event_may_displace_many) {
    static char data[EVENT_MAX - 6u];
    uint64_t n;
    memset(data, 'd', sizeof data);
    start();
    limits.bytes = EVENT_MAX;
    for (n = 1; n <= 1000; n++) CHECK_EQ(append(n, "x"), MCPSESS_OK);
    (void)ADMIN("CONFIG", "RESETSTAT");
    CHECK_EQ(append_bytes("s", "1", 1001, 1000, mcpsess_str_of(data, sizeof data)), MCPSESS_OK);
    CHECK(calls("xrange") <= 1000 / 16 + 1); /* several are looked at with each */
    CHECK_EQ(held(), EVENT_MAX);
    CHECK_EQ(append(1002, "y"), MCPSESS_OK);
    CHECK_EQ(held(), 7);
    limits.events = 1;
    CHECK_EQ(append(1003, "z"), MCPSESS_OK);
    CHECK_EQ(NUMBER("XLEN", "mcpsess:e:{s}:1"), 1);
}

/* A page is what there is room for, and the server does not send, nor fetch, much more. */
TEST(pages_are_as_large_as_the_room) {
    static char data[400];
    uint64_t n, received;
    memset(data, 'd', sizeof data);
    start();
    for (n = 1; n <= 100; n++)
        CHECK_EQ(append_bytes("s", "1", n, n - 1, mcpsess_str_of(data, sizeof data)), MCPSESS_OK);
    received = t.at[0].redis.stats.bytes_received;
    request(MCPSESS_LOG_RANGE, "s", "1");
    mcpsess_buf_init(&out, out_mem, 3500);
    q.request.out = &out;
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 8);
    CHECK(t.at[0].redis.stats.bytes_received - received < 3500 + 200);
    (void)ADMIN("CONFIG", "RESETSTAT");
    for (n = 0; n < 100; n += q.request.count) { /* 49 a page */
        if (!CHECK_EQ(range(n, 0), MCPSESS_OK) || !CHECK(q.request.count > 0)) break;
    }
    CHECK_EQ(n, 100);
    CHECK(calls("xrange") <= 3 * 3); /* one for the oldest event, and one or two for all of the page */
}

/* -- keys that went -- */

TEST(events_that_were_evicted_are_a_gap) {
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    CHECK_EQ(append(2, "b"), MCPSESS_OK);
    (void)ADMIN("DEL", "mcpsess:e:{s}:1");
    CHECK_EQ(range(0, 0), MCPSESS_GAP);
    CHECK_EQ(range(2, 0), MCPSESS_OK);
    CHECK(q.log.first == 3 && q.log.last == 2);
    CHECK_EQ(append(3, "c"), MCPSESS_OK);
    look_at_ttls();
    CHECK_EQ(range(1, 0), MCPSESS_GAP);
    CHECK_EQ(range(2, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
    CHECK_EQ(PACKED(BYTES), 7);
}

TEST(events_with_a_hole_are_a_gap) {
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    CHECK_EQ(append(2, "b"), MCPSESS_OK);
    CHECK_EQ(append(3, "c"), MCPSESS_OK);
    (void)ADMIN("EVAL", "return redis.call('XDEL',KEYS[1],redis.call('XRANGE',KEYS[1],2,2)[1][1])", "1",
                "mcpsess:e:{s}:1");
    CHECK_EQ(range(0, 0), MCPSESS_GAP);
    CHECK_EQ(range(1, 0), MCPSESS_GAP);
    CHECK_EQ(range(2, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
    CHECK_EQ(append(4, "d"), MCPSESS_OK);
    CHECK_EQ(range(1, 0), MCPSESS_GAP); /* two events are there, but not these two */
    CHECK_EQ(out.len, 0);
    (void)ADMIN("EVAL", "for n=3,4 do redis.call('XDEL',KEYS[1],redis.call('XRANGE',KEYS[1],n,n)[1][1]) end", "1",
                "mcpsess:e:{s}:1");
    CHECK_EQ(range(3, 0), MCPSESS_GAP);
    CHECK(q.log.first == 5 && q.log.last == 4);
    limits.events = 1; /* there is not what there should be: room is made all the same */
    CHECK_EQ(append(5, "e"), MCPSESS_OK);
    CHECK_EQ(NUMBER("XLEN", "mcpsess:e:{s}:1"), 1);
    CHECK_EQ(range(4, 0), MCPSESS_OK);
}

TEST(events_with_a_hole_behind_the_first_are_a_gap) {
    uint64_t n;
    start();
    for (n = 1; n <= 5; n++) CHECK_EQ(append(n, "a"), MCPSESS_OK);
    (void)ADMIN("EVAL", "return redis.call('XDEL',KEYS[1],redis.call('XRANGE',KEYS[1],3,3)[1][1])", "1",
                "mcpsess:e:{s}:1");
    CHECK_EQ(range(1, 0), MCPSESS_GAP);
    CHECK_EQ(range(3, 0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 2);
}

TEST(events_that_end_too_early_are_a_gap) {
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    CHECK_EQ(append(2, "b"), MCPSESS_OK);
    CHECK_EQ(append(3, "c"), MCPSESS_OK);
    (void)ADMIN("EVAL", "return redis.call('XDEL',KEYS[1],redis.call('XRANGE',KEYS[1],3,3)[1][1])", "1",
                "mcpsess:e:{s}:1");
    CHECK_EQ(range(2, 0), MCPSESS_GAP);
    CHECK_EQ(range(1, 0), MCPSESS_GAP);
    CHECK_EQ(out.len, 0);
}

TEST(a_log_that_was_evicted_begins_anew) {
    uint64_t before;
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    CHECK_EQ(append(2, "b"), MCPSESS_OK);
    before = epoch;
    (void)ADMIN("DEL", "mcpsess:m:{s}:1"); /* its events are there */
    CHECK_EQ(append(3, "c"), MCPSESS_MISS);
    CHECK_EQ(range(0, 0), MCPSESS_MISS);
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
    CHECK(epoch > before && q.log.last == 0);
    CHECK_EQ(NUMBER("EXISTS", "mcpsess:e:{s}:1"), 0);
    CHECK_EQ(append(1, "c"), MCPSESS_OK);
    look_at_ttls();
}

TEST(deletes_with_keys_that_went) {
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    CHECK_EQ(open_as("s", "2", "token", false), MCPSESS_OK);
    CHECK_EQ(append_bytes("s", "2", 1, 0, MCPSESS_STR("b")), MCPSESS_OK);
    CHECK_EQ(open_as("s", "3", "token", false), MCPSESS_OK);
    CHECK_EQ(append_bytes("s", "3", 1, 0, MCPSESS_STR("c")), MCPSESS_OK);
    (void)ADMIN("DEL", "mcpsess:m:{s}:1", "mcpsess:e:{s}:2");
    request(MCPSESS_LOG_DEL, "s", "");
    q.log.stream = mcpsess_str_of(NULL, 0);
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 1);
    CHECK_EQ(NUMBER("DBSIZE"), 0);
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
    (void)ADMIN("DEL", "mcpsess:i:{s}");
    request(MCPSESS_LOG_DEL, "s", "");
    q.log.stream = mcpsess_str_of(NULL, 0);
    CHECK_EQ(run_at(0), MCPSESS_OK); /* it does not know of any */
    CHECK_EQ(ask(MCPSESS_LOG_DEL, "s", "1"), MCPSESS_OK);
    CHECK_EQ(NUMBER("DBSIZE"), 0);
}

/* Events whose log is gone are nobody's: also who may not delete others' deletes them. */
TEST(a_guarded_delete_takes_what_is_left_over) {
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    (void)ADMIN("DEL", "mcpsess:m:{s}:1");
    request(MCPSESS_LOG_DEL, "s", "");
    q.log.stream = mcpsess_str_of(NULL, 0);
    q.request.guarded = true;
    q.request.owner = principal("https://issuer", "alice");
    CHECK_EQ(run_at(0), MCPSESS_OK);
    CHECK_EQ(q.request.count, 0);
    CHECK_EQ(NUMBER("DBSIZE"), 0);
}

/* The keys of a session's logs are made of its index's, in a script. */
TEST(a_delete_finds_logs_under_any_prefix) {
    static const char *const prefixes[] = {"i:", "i:m:e:", "x[.*](i:)^$"};
    unsigned n;
    for (n = 0; n < COUNT_OF(prefixes); n++) {
        (void)ADMIN("FLUSHALL");
        t.prefix = prefixes[n];
        make(0);
        t.prefix = "";
        if (t.password[0] != '\0') continue; /* the documented user has one prefix */
        CHECK_EQ(open_as("i:", "i:", "token", false), MCPSESS_OK);
        CHECK_EQ(append_bytes("i:", "i:", 1, 0, MCPSESS_STR("a")), MCPSESS_OK);
        CHECK_EQ(NUMBER("DBSIZE"), 3);
        request(MCPSESS_LOG_DEL, "i:", "");
        q.log.stream = mcpsess_str_of(NULL, 0);
        CHECK_EQ(run_at(0), MCPSESS_OK);
        CHECK_EQ(q.request.count, 1);
        CHECK_EQ(NUMBER("DBSIZE"), 0);
    }
}

/* The index does not grow with every stream that a long session ever had. */
TEST(an_index_forgets_logs_that_are_gone) {
    char name[8];
    unsigned n;
    start();
    for (n = 0; n < 20; n++) {
        snprintf(name, sizeof name, "r%u", n);
        CHECK_EQ(open_as("s", name, "token", false), MCPSESS_OK);
        pass_minutes(30);
    }
    CHECK(NUMBER("ZCARD", "mcpsess:i:{s}") <= 5);
    CHECK(NUMBER("ZCARD", "mcpsess:i:{s}") >= 2); /* 30 min are no age for a log */
}

/* -- numbers -- */

TEST(epochs_and_fences_grow_when_the_clock_goes_back) {
    start();
    CHECK(epoch > UINT64_C(1600000000000000) && writer > UINT64_C(1600000000000000)); /* the clock in microseconds */
    (void)ADMIN("HSET", "mcpsess:m:{s}:1", "e", "4000000000000000", "w", "4000000000000007"); /* one that was ahead */
    CHECK_EQ(open_as("s", "1", "token", true), MCPSESS_OK);
    CHECK(epoch == UINT64_C(4000000000000001) && writer == UINT64_C(4000000000000007));
    PACK(LEASE_ENDS, "0");
    CHECK_EQ(open_as("s", "1", "other", false), MCPSESS_OK);
    CHECK(epoch == UINT64_C(4000000000000001) && writer == UINT64_C(4000000000000008));
    CHECK_EQ(append_bytes("s", "1", 3, 2, MCPSESS_STR("a")), MCPSESS_LOST_TAIL);
    CHECK(q.log.epoch == UINT64_C(4000000000000002));
    CHECK(text_is(ADMIN("HGET", "mcpsess:m:{s}:1", "e"), "4000000000000002")); /* no exponent, no lost digit */
    epoch = UINT64_C(4000000000000009);                                        /* as of a state that is gone */
    CHECK_EQ(append_bytes("s", "1", 3, 2, MCPSESS_STR("a")), MCPSESS_LOST_TAIL);
    CHECK(q.log.epoch == UINT64_C(4000000000000010));
    epoch = (uint64_t)MCPSESS_SEQUENCE_MAX; /* of no state that ever was: there must be epochs after it */
    CHECK_EQ(append_bytes("s", "1", 3, 2, MCPSESS_STR("a")), MCPSESS_LOST_TAIL);
    CHECK(q.log.epoch == UINT64_C(4000000000000011));
}

TEST(epochs_grow_when_all_keys_are_lost) {
    uint64_t last_epoch, last_writer;
    unsigned n;
    start();
    for (n = 0; n < 20; n++) {
        last_epoch = epoch;
        last_writer = writer;
        (void)ADMIN("FLUSHALL");
        CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
        CHECK(epoch > last_epoch && writer > last_writer);
    }
}

/* The log is an older state than the writer knows, by all that it knows of it. */
TEST(an_older_state_is_a_lost_tail) {
    uint64_t old_epoch;
    start();
    old_epoch = epoch;
    CHECK_EQ(open_as("s", "1", "token", true), MCPSESS_OK);
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    (void)ADMIN("HSET", "mcpsess:m:{s}:1", "e", "1600000000000001", "w", "1600000000000002");
    (void)ADMIN("DEL", "mcpsess:e:{s}:1");
    PACK(LAST, "0");
    CHECK_EQ(append(2, "b"), MCPSESS_LOST_TAIL); /* its fence is newer than the log's */
    CHECK(q.log.epoch > epoch && epoch > old_epoch && q.log.last == 0);
    epoch = q.log.epoch;
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    (void)ADMIN("HSET", "mcpsess:m:{s}:1", "w", "1600000000000002");
    CHECK_EQ(append(2, "b"), MCPSESS_FENCED); /* all is there that it knows of: another writer has come */
    look_at_ttls();
    (void)ADMIN("HSET", "mcpsess:m:{s}:1", "e", "1600000000000001");
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
    CHECK_EQ(append_bytes("s", "1", 9, 8, MCPSESS_STR("a")), MCPSESS_LOST_TAIL);
    CHECK(q.log.epoch > UINT64_C(1700000000000000)); /* not the same again after the next loss */
}

TEST(a_complete_log_that_lost_its_tail_is_not_complete) {
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    CHECK_EQ(append(2, "b"), MCPSESS_OK);
    request(MCPSESS_LOG_SET, "s", "1");
    q.log.sequence = 2;
    q.log.done = true;
    CHECK_EQ(run_at(0), MCPSESS_OK);
    PACK(LAST, "1");
    CHECK_EQ(run_at(0), MCPSESS_LOST_TAIL);
    CHECK(!q.log.done && q.log.last == 0 && q.request.left_ms > 59000);
    epoch = q.log.epoch;
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
    CHECK(!q.log.done && q.request.left_ms > 59000);
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
}

/* -- trouble -- */

TEST(keys_of_another_type_are_told) {
    static const char *const spaces = "mei";
    unsigned n;
    start();
    for (n = 0; n < 3; n++) {
        char key[32];
        (void)ADMIN("FLUSHALL");
        CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK);
        CHECK_EQ(append(1, "a"), MCPSESS_OK);
        snprintf(key, sizeof key, n == 2 ? "mcpsess:%c:{s}" : "mcpsess:%c:{s}:1", spaces[n]);
        (void)ADMIN("SET", key, "v", "EX", "1000");
        CHECK_EQ(append(2, "b"), n == 2 ? MCPSESS_OK : MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(append(1, "a"), n == 2 ? MCPSESS_DUP : MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(range(0, 0), n == 2 ? MCPSESS_OK : MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(ask(MCPSESS_LOG_SET, "s", "1"), n == 0 ? MCPSESS_REDIS_E_WRONGTYPE : MCPSESS_OK);
        CHECK_EQ(open_as("s", "1", "token", false), n == 1 ? MCPSESS_OK : MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(open_as("s", "2", "token", false), n == 2 ? MCPSESS_REDIS_E_WRONGTYPE : MCPSESS_OK);
        request(MCPSESS_LOG_DEL, "s", "");
        q.log.stream = mcpsess_str_of(NULL, 0);
        CHECK_EQ(run_at(0), MCPSESS_REDIS_E_WRONGTYPE);
        CHECK_EQ(NUMBER("EXISTS", key), 1);
    }
    CHECK_EQ(t.at[0].redis.stats.disconnects, 0);
}

TEST(a_full_server_takes_nothing) {
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    (void)ADMIN("CONFIG", "SET", "maxmemory", "1");
    CHECK_EQ(append(2, "b"), MCPSESS_REDIS_E_OOM);
    CHECK_EQ(open_as("s", "2", "token", false), MCPSESS_REDIS_E_OOM);
    CHECK_EQ(ask(MCPSESS_LOG_SET, "s", "1"), MCPSESS_REDIS_E_OOM);
    CHECK_EQ(range(0, 0), MCPSESS_OK); /* reads go on */
    CHECK_EQ(q.log.last, 1);
    CHECK_EQ(ask(MCPSESS_LOG_DEL, "s", "1"), MCPSESS_OK);
    CHECK_EQ(NUMBER("DBSIZE"), 0);
    (void)ADMIN("CONFIG", "SET", "maxmemory", "0");
}

/* What a replay keeps alive is no reason not to have it: of events, of none, of a log whose key is to live longer. */
TEST(a_full_server_is_read_by_who_keeps_alive) {
    static const unsigned minutes[] = {16, 40, 40, 40};
    unsigned n;
    start();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    for (n = 0; n < COUNT_OF(minutes); n++) {
        pass_minutes(minutes[n]);
        (void)ADMIN("CONFIG", "SET", "maxmemory", "1");
        CHECK_EQ(range(n == 0 ? 0 : 1, 60000), MCPSESS_OK);
        CHECK_EQ(q.request.count, n == 0 ? 1 : 0);
        (void)ADMIN("CONFIG", "SET", "maxmemory", "0");
        look_at_ttls();
    }
    pass_minutes(40);
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
}

TEST(scripts_that_are_flushed_come_back_in_order) {
    static mcpsess_log_request many[40];
    mcpsess_request *all[COUNT_OF(many)];
    unsigned n;
    start();
    (void)ADMIN("SCRIPT", "FLUSH");
    for (n = 0; n < COUNT_OF(many); n++) {
        request(MCPSESS_LOG_APPEND, "s", "1");
        many[n] = q;
        many[n].log.sequence = n + 1u;
        many[n].log.event.data = MCPSESS_STR("data");
        all[n] = &many[n].request;
    }
    run_all_at(0, all, COUNT_OF(many));
    for (n = 0; n < COUNT_OF(many); n++) CHECK_EQ(many[n].request.rc, MCPSESS_OK);
    CHECK_EQ(t.at[0].redis.stats.reloads, 1);
}

TEST(digests_are_those_of_the_server) {
    digests_are_the_servers(MCPSESS_OF_LOGS);
}

/* -- who waits is told -- */

/* Everything that was pushed by now is heard: a request comes back behind it. */
static void settle(void) {
    CHECK_EQ(range_at(1, "other", "1", 0, 0), MCPSESS_MISS);
}

/* A reader at the second connection. */
static void listening(void) {
    mcpsess_store s = store_at(1);
    start();
    make(1);
    CHECK_EQ(s.cls->listen(s.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    CHECK_EQ(range_at(1, "s", "1", 0, 0), MCPSESS_OK);
    settle();
    hearings = 0;
}

static void wakes(bool is) {
    settle();
    CHECK_EQ(hearings != 0, is);
    if (is) CHECK(mcpsess_str_eq(mcpsess_str_of(heard, heard_len), MCPSESS_STR("s")));
    CHECK_EQ(range_at(1, "s", "1", 0, 0), MCPSESS_OK);
    settle();
    hearings = 0;
}

TEST(every_write_wakes_a_reader_and_no_read_does) {
    unsigned n;
    listening();
    wakes(false);
    for (n = 1; n < 10; n++) {
        CHECK_EQ(append(n, "a"), MCPSESS_OK);
        wakes(true);
        CHECK_EQ(append(n, "a"), MCPSESS_DUP);
        CHECK_EQ(append_bytes("s", "1", n + 9, n, MCPSESS_STR("a")), MCPSESS_LOST);
        CHECK_EQ(range(0, 60000), MCPSESS_OK);
        CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
        wakes(false);
    }
    request(MCPSESS_LOG_SET, "s", "1");
    q.log.sequence = 9;
    q.log.done = true;
    CHECK_EQ(run_at(0), MCPSESS_OK);
    wakes(true);
    CHECK_EQ(open_as("s", "1", "token", true), MCPSESS_OK);
    settle();
    CHECK_EQ(hearings, 1);
    CHECK_EQ(ask(MCPSESS_LOG_STATE, "s", "1"), MCPSESS_OK);
}

TEST(a_reader_that_keeps_the_log_alive_wakes_itself_once) {
    unsigned n;
    listening();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    pass_minutes(16);
    wakes(true);
    CHECK_EQ(range_at(1, "s", "1", 0, 60000), MCPSESS_OK); /* writes */
    settle();
    hearings = 0;
    CHECK_EQ(append(2, "b"), MCPSESS_OK); /* and is told of others' all the same */
    wakes(true);
    pass_minutes(16);
    wakes(true);
    CHECK_EQ(range_at(1, "s", "1", 0, 60000), MCPSESS_OK);
    settle();
    hearings = 0;
    for (n = 0; n < 5; n++) CHECK_EQ(range_at(1, "s", "1", 0, 60000), MCPSESS_OK);
    settle();
    CHECK_EQ(hearings, 0);
    CHECK_EQ(append(3, "c"), MCPSESS_OK);
    wakes(true);
}

TEST(a_delete_wakes_a_reader) {
    listening();
    CHECK_EQ(ask(MCPSESS_LOG_DEL, "s", "1"), MCPSESS_OK);
    settle();
    CHECK_EQ(hearings, 1);
    CHECK_EQ(range_at(1, "s", "1", 0, 0), MCPSESS_MISS);
    hearings = 0;
    CHECK_EQ(open_as("s", "1", "token", false), MCPSESS_OK); /* who met MISS is told as well */
    settle();
    CHECK_EQ(hearings, 1);
}

TEST(a_read_of_nothing_but_the_state_is_told_of_what_comes) {
    listening();
    CHECK_EQ(append(1, "a"), MCPSESS_OK);
    wakes(true);
    request(MCPSESS_LOG_STATE, "s", "1");
    CHECK_EQ(run_at(1), MCPSESS_OK);
    CHECK_EQ(append(2, "a"), MCPSESS_OK);
    wakes(true);
}

static void own_tests(void) {
    RUN(keys_are_escaped_and_events_are_raw);
    RUN(a_request_is_one_command);
    RUN(an_append_writes_the_event_and_one_key_besides);
    RUN(following_writes_nothing);
    RUN(each_write_gives_a_log_its_whole_time);
    RUN(a_log_outlives_events_of_longer_limits);
    RUN(a_log_lives_by_the_limits_of_its_last_writer);
    RUN(an_index_lives_as_long_as_any_of_its_logs);
    RUN(keys_of_equal_limits_go_in_their_order);
    RUN(a_log_without_events_is_kept);
    RUN(events_that_are_kept_keep_their_log);
    RUN(a_writer_whose_lease_ran_out_is_another_one_when_it_opens_again);
    RUN(an_unguarded_request_sees_everybodys);
    RUN(bounds_of_events_and_bytes_are_exact);
    RUN(one_event_may_displace_many);
    RUN(pages_are_as_large_as_the_room);
    RUN(events_that_were_evicted_are_a_gap);
    RUN(events_with_a_hole_are_a_gap);
    RUN(events_with_a_hole_behind_the_first_are_a_gap);
    RUN(events_that_end_too_early_are_a_gap);
    RUN(a_log_that_was_evicted_begins_anew);
    RUN(deletes_with_keys_that_went);
    RUN(a_guarded_delete_takes_what_is_left_over);
    RUN(a_delete_finds_logs_under_any_prefix);
    RUN(an_index_forgets_logs_that_are_gone);
    RUN(epochs_and_fences_grow_when_the_clock_goes_back);
    RUN(epochs_grow_when_all_keys_are_lost);
    RUN(an_older_state_is_a_lost_tail);
    RUN(a_complete_log_that_lost_its_tail_is_not_complete);
    RUN(keys_of_another_type_are_told);
    RUN(a_full_server_takes_nothing);
    RUN(a_full_server_is_read_by_who_keeps_alive);
    RUN(scripts_that_are_flushed_come_back_in_order);
    RUN(digests_are_those_of_the_server);
    if (t.resp2 || !t.tracks) return;
    RUN(every_write_wakes_a_reader_and_no_read_does);
    RUN(a_reader_that_keeps_the_log_alive_wakes_itself_once);
    RUN(a_delete_wakes_a_reader);
    RUN(a_read_of_nothing_but_the_state_is_told_of_what_comes);
}

/* -- against a naive reference -- */

static uint64_t model_now(log_model_rig *rig) {
    (void)rig;
    return now();
}

/* The server's own: ours may be put back or forward against it at any time. */
static uint64_t model_clock(log_model_rig *rig) {
    (void)rig;
    return t.ahead_ms + (uint64_t)NUMBER("EVAL",
                                         "local t=redis.call('TIME')\n"
                                         "return t[1]*1000+math.floor(t[2]/1000)",
                                         "0");
}

static void model_pass(log_model_rig *rig, uint64_t ms) {
    (void)rig;
    age(ms);
    t.ahead_ms += ms;
}

static void model_idle(log_model_rig *rig) {
    (void)rig;
    idle_at(0);
}

static void model_restart(log_model_rig *rig) {
    (void)rig;
    (void)ADMIN("FLUSHALL");
}

static uint32_t model_rounds = 3000;

TEST(logs_agree_with_a_naive_model) {
    log_model_rig rig;
    log_model_stats seen;
    memset(&rig, 0, sizeof rig);
    start();
    rig.store = store_at(0);
    rig.unit_ms = 10000;
    rig.slack_ms = 1000;
    rig.calm = 8;
    rig.epochs = rig.owners = rig.bounds = rig.ages = rig.deletes_all = true;
    rig.now_ms = model_now;
    rig.clock_ms = model_clock;
    rig.pass = model_pass;
    rig.idle = model_idle;
    rig.restart = model_restart;
    CHECK(log_model_run(&rig, 1000u + (uint32_t)t.tracking * 10u + (t.resp2 ? 1u : 0u), model_rounds, &seen));
    look_at_ttls();
    CHECK_EQ(t.at[0].redis.stats.disconnects, 0);
    tap_note("appended", seen.appended);
    tap_note("replayed", seen.events);
    tap_note("skipped", seen.skipped);
}

/* -- one request -- */

/* KIND and up to 3 numbers: open | append WRITER EPOCH SEQUENCE | range EPOCH SEQUENCE */
static int one(int argc, char **argv) {
    uint64_t n[3] = {0, 0, 0};
    int k;
    for (k = 0; k < argc - 1 && k < 3; k++) n[k] = strtoull(argv[k + 1], NULL, 10);
    make(0);
    if (strcmp(argv[0], "open") == 0) {
        (void)open_as("s", "1", "token", false);
    } else if (strcmp(argv[0], "append") == 0) {
        writer = n[0];
        epoch = n[1];
        (void)append(n[2], "event");
    } else {
        epoch = n[0];
        (void)range(n[1], 0);
    }
    printf("%s %llu %llu %llu\n", mcpsess_redis_code_name(q.request.rc), (unsigned long long)q.log.writer,
           (unsigned long long)q.log.epoch, (unsigned long long)q.log.last);
    return 0;
}

/* -- permissions -- */

/* Everything that the scripts of logs ever call. */
static int permissions(void) {
    limits.events = 2;
    make(0);
    may(open_as("may", "1", "token", false), MCPSESS_OK, "open");
    may(append_bytes("may", "1", 1, 0, MCPSESS_STR("a")), MCPSESS_OK, "append");
    may(append_bytes("may", "1", 2, 1, MCPSESS_STR("b")), MCPSESS_OK, "append");
    may(append_bytes("may", "1", 3, 2, MCPSESS_STR("c")), MCPSESS_OK, "append that drops");
    may(append_bytes("may", "1", 3, 2, MCPSESS_STR("c")), MCPSESS_DUP, "duplicate");
    may(range_at(0, "may", "1", 1, 60000), MCPSESS_OK, "range");
    may(ask(MCPSESS_LOG_SET, "may", "1"), MCPSESS_OK, "set");
    may(open_as("may", "1", "token", true), MCPSESS_OK, "open anew");
    request(MCPSESS_LOG_DEL, "may", "");
    q.log.stream = mcpsess_str_of(NULL, 0);
    may(run_at(0), MCPSESS_OK, "delete");
    return refusals == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    int mode;
    if (argc == 3) return print_script(MCPSESS_OF_LOGS, argv[1], (unsigned)atoi(argv[2]));
    if (argc < 4) return 2;
    t.host = argv[1];
    t.port = argv[2];
    t.user = argv[3][0] != '\0' ? "mcpsess" : "";
    t.password = argv[3];
    if (argc == 6 && strcmp(argv[4], "may") == 0) {
        t.user = argv[5];
        return permissions();
    }
    if (argc == 6 && strcmp(argv[4], "model") == 0) model_rounds = (uint32_t)atol(argv[5]);
    else if (argc > 4) return one(argc - 4, argv + 4);
    under_test.unit_ms = 10000;
    under_test.closes = under_test.epochs = under_test.owners = under_test.bounds = under_test.ages =
        under_test.deletes_all = true;
    under_test.reset = reset;
    under_test.pass = pass;
    under_test.idle = idle;
    connects();
    for (mode = 0; mode < MODES; mode++) {
        set_mode(mode);
        if (argc == 4) log_contract(&under_test);
        if (argc == 4) own_tests();
        RUN(logs_agree_with_a_naive_model);
    }
    return tap_finish();
}
