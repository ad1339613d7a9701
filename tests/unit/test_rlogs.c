/* Logs of redisstore: what it asks and what it makes of the answers, against a server that the test plays. What its
   scripts do is tested on real servers. */

#define EVENT_BYTES 64u
#define TX ((uint32_t)MCPSESS_REDIS_STORE_LOG_TX(EVENT_BYTES))
#define INBOX 512u
#include "store_wire.h"

static mcpsess_log_request l;
static mcpsess_log_limits limits;

/* A request of the log of session "k", stream "s". */
static void log_request(uint8_t kind) {
    memset(&l, 0, sizeof l);
    l.request.kind = kind;
    l.request.key = MCPSESS_STR("k");
    l.request.value = MCPSESS_STR("tok");
    l.request.ttl_ms = 12800;
    if (kind == MCPSESS_LOG_RANGE) l.request.out = &out;
    l.log.stream = MCPSESS_STR("s");
    l.log.writer = 7;
    l.log.epoch = 8;
    l.log.sequence = 9;
    l.log.confirmed = 6;
    l.log.event.data = MCPSESS_STR("data");
    asked_for = &l.request;
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
}

static void log_asked(uint8_t kind) {
    log_request(kind);
    ask();
}

#define LOG_KEYS "$1\r\n3\r\n$15\r\nmcpsess:m:{k}:s\r\n$15\r\nmcpsess:e:{k}:s\r\n$13\r\nmcpsess:i:{k}\r\n"
#define HOUR "$7\r\n3600000\r\n"

/* ---- what is asked ---- */

TEST(rlogs_asks_to_open) {
    start();
    log_asked(MCPSESS_LOG_OPEN);
    CHECK(ASKED(LOG_OPEN, "12", LOG_KEYS "$3\r\n\1\0\0\r\n$1\r\n0\r\n$3\r\ntok\r\n$5\r\n12800\r\n" HOUR "$0\r\n\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:5\r\n:0\r\n:6\r\n:1\r\n:12800\r\n"), MCPSESS_OK);
    log_request(MCPSESS_LOG_OPEN);
    l.request.guarded = true;
    l.request.owner = alice;
    l.request.ttl_ms = MCPSESS_NEVER;
    l.log.fresh = true;
    memset(&limits, 0, sizeof limits);
    limits.log_ttl_ms = MCPSESS_NEVER;
    limits.log_max_ms = MCPSESS_NEVER;
    l.log.limits = &limits;
    ask();
    CHECK(ASKED(LOG_OPEN, "12",
                LOG_KEYS ALICE
                "$1\r\n1\r\n$3\r\ntok\r\n$14\r\n35184372088831\r\n$14\r\n35184372088831\r\n$6\r\n1000.1\r\n"));
    now += 20;
    reconnect();
    CHECK_EQ(server.evals, 3);
    CHECK(server.seen_len > 8 && same_bytes(server.seen + server.seen_len - 8, "1000.1\r\n", 8)); /* the same one */
    log_request(MCPSESS_LOG_OPEN);
    l.log.fresh = true;
    ask();
    CHECK(server.seen_len > 8 && !same_bytes(server.seen + server.seen_len - 8, "1000.1\r\n", 8));
}

TEST(rlogs_asks_to_append) {
    start();
    log_asked(MCPSESS_LOG_APPEND);
    CHECK(ASKED(LOG_WRITE, "17",
                LOG_KEYS "$0\r\n\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n6\r\n$5\r\n12800\r\n" HOUR
                         "$1\r\n9\r\n$7\r\n1800000\r\n$5\r\n10000\r\n$7\r\n4194304\r\n$6\r\n\1\0data\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:8\r\n:9\r\n:0\r\n:1\r\n:12800\r\n"), MCPSESS_OK);
    log_request(MCPSESS_LOG_APPEND);
    l.request.guarded = true;
    l.request.owner = alice;
    l.log.event.type = MCPSESS_STR("t");
    l.log.event.data = MCPSESS_STR("\r\n\0");
    l.log.event.retry = true;
    l.log.event.retry_ms = 0x01020304;
    l.log.writer = UINT64_MAX; /* more than Lua can count */
    l.log.epoch = l.log.sequence = l.log.confirmed = (uint64_t)MCPSESS_SEQUENCE_MAX;
    memset(&limits, 0, sizeof limits);
    limits.events = 3;
    limits.bytes = 100;
    limits.event_ttl_ms = 5000;
    limits.event_max_ms = 4000; /* no event lives longer */
    limits.log_ttl_ms = 6000;
    limits.log_max_ms = 5500;
    l.log.limits = &limits;
    ask();
    CHECK(ASKED(LOG_WRITE, "17",
                LOG_KEYS ALICE "$16\r\n9007199254740992\r\n$16\r\n9007199254740992\r\n$16\r\n9007199254740992\r\n"
                               "$5\r\n12800\r\n$4\r\n5500\r\n$16\r\n9007199254740992\r\n$4\r\n4000\r\n$1\r\n3\r\n"
                               "$3\r\n100\r\n$10\r\n\3\1t\4\3\2\1\r\n\0\r\n"));
}

TEST(rlogs_asks_to_set) {
    start();
    log_asked(MCPSESS_LOG_SET);
    CHECK(ASKED(LOG_WRITE, "15",
                LOG_KEYS "$0\r\n\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$5\r\n12800\r\n" HOUR
                         "$0\r\n\r\n$1\r\n0\r\n$1\r\n0\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:8\r\n:9\r\n:0\r\n:0\r\n:12800\r\n"), MCPSESS_OK);
    log_request(MCPSESS_LOG_SET);
    l.log.streaming = l.log.done = true;
    ask();
    CHECK(ASKED(LOG_WRITE, "15",
                LOG_KEYS "$0\r\n\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$5\r\n12800\r\n" HOUR
                         "$0\r\n\r\n$1\r\n1\r\n$1\r\n1\r\n"));
}

TEST(rlogs_asks_to_read) {
    start();
    log_asked(MCPSESS_LOG_STATE);
    CHECK(ASKED(LOG_READ, "15",
                LOG_KEYS
                "$0\r\n\r\n$1\r\n8\r\n$0\r\n\r\n$10\r\n4294967295\r\n$1\r\n0\r\n$7\r\n7200000\r\n$1\r\n0\r\n" HOUR
                "$8\r\n14400000\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:2\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    log_request(MCPSESS_LOG_RANGE);
    l.request.ttl_ms = 0;
    l.request.count = 5;
    l.request.guarded = true;
    mcpsess_buf_put(&out, MCPSESS_STR("before"));
    ask();
    CHECK(ASKED(LOG_READ, "15",
                LOG_KEYS
                "$3\r\n\1\0\0\r\n$1\r\n8\r\n$1\r\n9\r\n$1\r\n5\r\n$2\r\n26\r\n$7\r\n7200000\r\n$1\r\n0\r\n" HOUR
                "$8\r\n14400000\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:8\r\n:3\r\n:0\r\n:1\r\n:0\r\n:0\r\n"), MCPSESS_GAP);
    log_request(MCPSESS_LOG_RANGE); /* keeps it alive; an out that has overflowed has no room */
    l.request.count = 0;
    out.overflow = true;
    ask();
    CHECK(ASKED(LOG_READ, "15",
                LOG_KEYS "$0\r\n\r\n$1\r\n8\r\n$1\r\n9\r\n$10\r\n4294967295\r\n$1\r\n0\r\n$7\r\n7200000\r\n"
                         "$7\r\n1800000\r\n" HOUR "$8\r\n14400000\r\n"));
}

TEST(rlogs_asks_to_delete) {
    start();
    log_asked(MCPSESS_LOG_DEL);
    CHECK(ASKED(LOG_DELETE, "7", LOG_KEYS "$0\r\n\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:0\r\n:0\r\n:3\r\n:0\r\n:0\r\n"), MCPSESS_OK);
    CHECK(l.request.count == 3 && l.log.epoch == 8);
    log_request(MCPSESS_LOG_DEL);
    l.request.guarded = true;
    l.request.owner = alice;
    l.log.stream = mcpsess_str_of(NULL, 0);
    ask();
    CHECK(ASKED(LOG_DELETE, "5", "$1\r\n1\r\n$13\r\nmcpsess:i:{k}\r\n" ALICE));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:0\r\n:0\r\n:4294967296\r\n:0\r\n:0\r\n"), MCPSESS_OK);
    CHECK(l.request.count == UINT32_MAX);
    log_request(MCPSESS_LOG_DEL);
    l.log.stream = MCPSESS_STR(""); /* a name as well */
    ask();
    CHECK(ASKED(LOG_DELETE, "7",
                "$1\r\n3\r\n$14\r\nmcpsess:m:{k}:\r\n$14\r\nmcpsess:e:{k}:\r\n$13\r\nmcpsess:i:{k}\r\n$0\r\n\r\n"));
}

TEST(rlogs_escapes_names) {
    start();
    log_request(MCPSESS_LOG_DEL);
    l.request.key = MCPSESS_STR("{a}");
    l.log.stream = MCPSESS_STR("}:{%\r\n");
    ask();
    CHECK(ASKED(LOG_DELETE, "7",
                "$1\r\n3\r\n$36\r\nmcpsess:m:{%7Ba%7D}:%7D:%7B%25%0D%0A\r\n"
                "$36\r\nmcpsess:e:{%7Ba%7D}:%7D:%7B%25%0D%0A\r\n$19\r\nmcpsess:i:{%7Ba%7D}\r\n$0\r\n\r\n"));
}

TEST(rlogs_longest_command_fits_what_the_macro_says) {
    static char id[MCPSESS_ID_MAX], stream[MCPSESS_STREAM_MAX], data[EVENT_BYTES], who[MCPSESS_PRINCIPAL_MAX - 2];
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    sd.prefix = MCPSESS_STR("12345678901234567890123456789012");
    make(&d, &sd);
    connected();
    log_request(MCPSESS_LOG_APPEND);
    l.request.key = str_fill(id, ' ', sizeof id);
    l.log.stream = str_fill(stream, '%', sizeof stream);
    l.request.guarded = true;
    l.request.owner.issuer = str_fill(who, 'w', sizeof who);
    l.request.owner.subject = MCPSESS_STR("s");
    l.request.ttl_ms = MCPSESS_NEVER;
    memset(&limits, 0xFF, sizeof limits);
    l.log.limits = &limits;
    l.log.writer = l.log.epoch = l.log.sequence = l.log.confirmed = (uint64_t)MCPSESS_SEQUENCE_MAX;
    l.log.event.data = str_fill(data, 'd', sizeof data - 6u);
    ask();
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:1\r\n:1\r\n:0\r\n:1\r\n:1\r\n"), MCPSESS_OK);
}

/* ---- what is made of the answers ---- */

TEST(rlogs_answers_of_open) {
    start();
    log_asked(MCPSESS_LOG_OPEN);
    now += 300;
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:1700000000000001\r\n:41\r\n:1700000000000002\r\n:1\r\n:12800\r\n"), MCPSESS_OK);
    CHECK(l.log.writer == UINT64_C(1700000000000002) && l.log.epoch == UINT64_C(1700000000000001));
    CHECK(l.log.last == 41 && l.log.streaming && !l.log.done);
    CHECK_EQ(l.request.left_ms, 12800 - 300 - 100 - 2);
    CHECK_EQ(l.request.fence, 0);
    log_asked(MCPSESS_LOG_OPEN);
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:1\r\n:0\r\n:2\r\n:2\r\n:50\r\n"), MCPSESS_OK);
    CHECK(!l.log.streaming && l.log.done);
    CHECK_EQ(l.request.left_ms, 48);
    log_asked(MCPSESS_LOG_OPEN);
    now += 300;
    CHECK_EQ(ANSWER("*6\r\n:6\r\n:1\r\n:41\r\n:0\r\n:0\r\n:4321\r\n"), MCPSESS_BUSY);
    CHECK_EQ(l.request.left_ms, 4321); /* of somebody else's */
    CHECK_EQ(l.log.writer, 7);
    log_asked(MCPSESS_LOG_OPEN);
    CHECK_EQ(ANSWER("*6\r\n:7\r\n:1\r\n:41\r\n:0\r\n:2\r\n:0\r\n"), MCPSESS_END);
    log_asked(MCPSESS_LOG_OPEN);
    CHECK_EQ(ANSWER("*6\r\n:2\r\n:0\r\n:0\r\n:0\r\n:4\r\n:0\r\n"), MCPSESS_MISS);
    CHECK(l.log.epoch == 8 && l.log.last == 0);
    CHECK_EQ(rstore.stats.foreign, 1);
}

TEST(rlogs_answers_of_writes) {
    start();
    log_asked(MCPSESS_LOG_APPEND);
    now += 98;
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:8\r\n:9\r\n:0\r\n:1\r\n:12800\r\n"), MCPSESS_OK);
    CHECK(l.log.epoch == 8 && l.log.last == 9 && l.log.streaming && !l.log.done);
    CHECK_EQ(l.request.left_ms, 12800 - 98 - 100 - 2);
    log_asked(MCPSESS_LOG_APPEND);
    CHECK_EQ(ANSWER("*6\r\n:9\r\n:8\r\n:12\r\n:0\r\n:1\r\n:0\r\n"), MCPSESS_DUP);
    CHECK_EQ(l.log.last, 12);
    CHECK_EQ(l.request.left_ms, 0);
    log_asked(MCPSESS_LOG_APPEND);
    CHECK_EQ(ANSWER("*6\r\n:5\r\n:8\r\n:3\r\n:0\r\n:2\r\n:0\r\n"), MCPSESS_LOST);
    CHECK(l.log.last == 3 && l.log.done);
    log_asked(MCPSESS_LOG_APPEND);
    l.log.streaming = true;
    CHECK_EQ(ANSWER("*6\r\n:10\r\n:20\r\n:3\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_FENCED);
    CHECK(l.log.epoch == 8 && l.log.last == 0 && l.log.streaming); /* nothing of another writer's log */
    log_asked(MCPSESS_LOG_SET);
    l.log.done = l.log.streaming = true;
    CHECK_EQ(ANSWER("*6\r\n:11\r\n:20\r\n:0\r\n:0\r\n:0\r\n:12800\r\n"), MCPSESS_LOST_TAIL);
    CHECK(l.log.epoch == 20 && l.log.last == 0 && !l.log.done && !l.log.streaming);
    log_request(MCPSESS_LOG_SET);
    l.log.last = 5;
    ask();
    CHECK_EQ(ANSWER("*6\r\n:2\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    CHECK(rstore.stats.foreign == 0 && l.log.last == 0);
    CHECK_EQ(redis.stats.commands, 6); /* one round trip each */
}

TEST(rlogs_answers_of_reads) {
    start();
    log_asked(MCPSESS_LOG_STATE);
    now += 5;
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:3\r\n:12\r\n:10\r\n:3\r\n:77\r\n"), MCPSESS_OK);
    CHECK(l.log.epoch == 3 && l.log.last == 12 && l.log.first == 10 && l.log.streaming && l.log.done);
    CHECK_EQ(l.request.left_ms, 77);
    log_asked(MCPSESS_LOG_RANGE);
    CHECK_EQ(ANSWER("*6\r\n:8\r\n:3\r\n:12\r\n:10\r\n:1\r\n:77\r\n"), MCPSESS_GAP);
    CHECK(l.log.epoch == 3 && l.log.last == 12 && l.log.first == 10);
    CHECK(out.len == 0 && l.request.count == 0);
    log_asked(MCPSESS_LOG_RANGE);
    CHECK_EQ(ANSWER("*6\r\n:-4\r\n:3\r\n:12\r\n:70000\r\n:1\r\n:77\r\n"), MCPSESS_E_TOOBIG);
    CHECK_EQ(l.request.need, 70000uL > SIZE_MAX ? SIZE_MAX : 70000uL);
    CHECK(out.len == 0 && !out.overflow);
    log_asked(MCPSESS_LOG_RANGE);
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:8\r\n:9\r\n:3\r\n:1\r\n:0\r\n"), MCPSESS_OK);
    CHECK(out.len == 0 && l.request.count == 0);
}

TEST(rlogs_events_come_with_their_lengths) {
    start();
    log_request(MCPSESS_LOG_RANGE);
    mcpsess_buf_put(&out, MCPSESS_STR(">"));
    ask();
    CHECK_EQ(ANSWER("*8\r\n:0\r\n:8\r\n:11\r\n:3\r\n:17\r\n:0\r\n$6\r\n\1\0data\r\n$2\r\n\0\0\r\n"), MCPSESS_OK);
    CHECK_EQ(l.request.count, 2);
    CHECK_STR(mcpsess_buf_str(&out), ">\6\0\0\0\1\0data\2\0\0\0\0\0");
}

/* ---- events in pieces ---- */

#define LONG_EVENT (RX + 40u)
static char long_mem[LONG_EVENT + 12u];

static void ask_long(void) {
    log_request(MCPSESS_LOG_RANGE);
    memset(long_mem, '#', sizeof long_mem);
    mcpsess_buf_init(&out, long_mem, sizeof long_mem - 1u);
    mcpsess_buf_put(&out, MCPSESS_STR(">"));
    ask();
}

TEST(rlogs_pieces_go_where_they_belong) {
    static const size_t chunks[] = {1, 7, SIZE_MAX};
    char event[LONG_EVENT];
    unsigned n;
    for (n = 0; n < LONG_EVENT; n++) event[n] = (char)('!' + n % 90);
    start();
    for (n = 0; n < COUNT_OF(chunks); n++) {
        ask_long();
        server.recv_max = chunks[n];
        say(MCPSESS_STR("*8\r\n:0\r\n:8\r\n:11\r\n:3\r\n:17\r\n:0\r\n$2\r\nab\r\n$168\r\n"));
        say(mcpsess_str_of(event, sizeof event));
        CHECK_EQ(ANSWER("\r\n"), MCPSESS_OK);
        CHECK_EQ(out.len, LONG_EVENT + 11u);
        CHECK(same_bytes(long_mem, ">\2\0\0\0ab\xA8\0\0\0", 11));
        CHECK(same_bytes(long_mem + 11, event, sizeof event));
        CHECK(long_mem[LONG_EVENT + 11u] == '#');
    }
}

TEST(rlogs_events_count_when_all_are_there) {
    unsigned n;
    start();
    log_asked(MCPSESS_LOG_RANGE);
    server.recv_max = 1;
    say(MCPSESS_STR("*8\r\n:0\r\n:8\r\n:11\r\n:3\r\n:17\r\n:0\r\n$2\r\nab\r\n$3\r\ncde\r\n"));
    for (n = 0; n < 99 && l.request.rc == MCPSESS_PENDING; n++) {
        CHECK_EQ(out.len, 0);
        polls(1);
    }
    CHECK_EQ(l.request.rc, MCPSESS_OK);
    CHECK_EQ(l.request.count, 2);
    CHECK_STR(mcpsess_buf_str(&out), "\2\0\0\0ab\3\0\0\0cde");
}

TEST(rlogs_events_start_over_when_they_are_asked_for_again) {
    char part[100];
    start();
    ask_long();
    say(MCPSESS_STR("*8\r\n:0\r\n:8\r\n:11\r\n:3\r\n:17\r\n:0\r\n$2\r\nab\r\n$165\r\n"));
    say(str_fill(part, 'a', 100));
    polls(6);
    CHECK_EQ(l.request.rc, MCPSESS_PENDING);
    CHECK_EQ(out.len, 1);
    reconnect();
    CHECK_EQ(server.evals, 2);
    CHECK_EQ(ANSWER("*7\r\n:0\r\n:8\r\n:11\r\n:3\r\n:9\r\n:0\r\n$3\r\nxyz\r\n"), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), ">\3\0\0\0xyz");
    CHECK_EQ(l.request.count, 1);
}

TEST(rlogs_events_that_broke_off_leave_nothing) {
    char part[100];
    start();
    ask_long();
    say(MCPSESS_STR("*8\r\n:0\r\n:8\r\n:11\r\n:3\r\n:17\r\n:0\r\n$2\r\nab\r\n$165\r\n"));
    say(str_fill(part, 'a', 100));
    polls(6);
    now += 5000;
    polls(2);
    CHECK_EQ(l.request.rc, MCPSESS_E_TIMEOUT);
    CHECK(out.len == 1 && l.request.count == 0 && l.request.need == 0 && l.request.left_ms == 0);
}

/* Room for 10 bytes: a server that sends more, or more events than were asked for, is not believed. */
static bool room_for(uint32_t count, mcpsess_str events) {
    start();
    log_request(MCPSESS_LOG_RANGE);
    memset(out_mem, '#', sizeof out_mem);
    mcpsess_buf_init(&out, out_mem, 10);
    l.request.count = count;
    ask();
    say(events);
    (void)ANSWER("");
    CHECK_EQ(out_mem[10], '#');
    if (l.request.rc == MCPSESS_OK) return true;
    CHECK_EQ(l.request.rc, MCPSESS_E_UNKNOWN);
    CHECK(out.len == 0 && l.request.count == 0);
    return false;
}

#define SIX(n, flags) "*" n "\r\n:0\r\n:8\r\n:11\r\n:3\r\n:" flags "\r\n:0\r\n"

TEST(rlogs_more_events_than_there_is_room_for_are_refused) {
    CHECK(room_for(0, MCPSESS_STR(SIX("7", "9") "$6\r\n123456\r\n")));
    CHECK(!room_for(0, MCPSESS_STR(SIX("7", "9") "$7\r\n1234567\r\n")));
    CHECK(room_for(0, MCPSESS_STR(SIX("8", "17") "$2\r\n12\r\n$0\r\n\r\n")));
    CHECK(!room_for(0, MCPSESS_STR(SIX("8", "17") "$2\r\n12\r\n$1\r\n1\r\n")));
    CHECK(!room_for(0, MCPSESS_STR(SIX("8", "17") "$3\r\n123\r\n$0\r\n\r\n")));
    CHECK(!room_for(0, MCPSESS_STR(SIX("7", "9") "$4294967295\r\n1")));
    CHECK(room_for(2, MCPSESS_STR(SIX("8", "17") "$0\r\n\r\n$0\r\n\r\n")));
    CHECK(!room_for(1, MCPSESS_STR(SIX("8", "17") "$0\r\n\r\n$0\r\n\r\n")));
    CHECK(!room_for(0, MCPSESS_STR(SIX("7", "17") "$0\r\n\r\n$0\r\n\r\n"))); /* one of them is the next answer */
    CHECK(!room_for(0, MCPSESS_STR(SIX("8", "9") "$0\r\n\r\n$0\r\n\r\n")));
}

TEST(rlogs_an_event_for_which_there_is_no_room_at_all_is_refused) {
    start();
    log_request(MCPSESS_LOG_RANGE);
    out.overflow = true;
    ask();
    CHECK_EQ(ANSWER("*7\r\n:0\r\n:8\r\n:11\r\n:3\r\n:9\r\n:0\r\n$2\r\nab\r\n"), MCPSESS_E_UNKNOWN);
    CHECK_EQ(out.len, 0);
}

/* ---- what no script of ours answers ---- */

static void nonsense(uint8_t kind, mcpsess_str text) {
    start();
    log_asked(kind);
    if (!CHECK_EQ(answer(text), MCPSESS_E_UNKNOWN)) tap_note("kind", kind);
    CHECK(l.request.left_ms == 0 && l.request.count == 0 && out.len == 0);
    CHECK_EQ(redis.stats.disconnects, 1);
}

TEST(rlogs_refuses_answers_of_no_script) {
    static const mcpsess_str any[] = {LIT("+OK\r\n"),
                                      LIT("_\r\n"),
                                      LIT("*0\r\n"),
                                      LIT("*3\r\n:0\r\n:0\r\n:0\r\n"),
                                      LIT("*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
                                      LIT("*7\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
                                      LIT("*6\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n$1\r\n1\r\n"),
                                      LIT("*6\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n*1\r\n:1\r\n"),
                                      LIT("*6\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n:-1\r\n"),
                                      LIT("*6\r\n:0\r\n:1\r\n:-1\r\n:1\r\n:1\r\n:1\r\n"),
                                      LIT("*6\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"), /* PENDING */
                                      LIT("*6\r\n:3\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
                                      LIT("*6\r\n:12\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
                                      LIT("*6\r\n:32\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
                                      LIT("*6\r\n:4294967296\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
                                      LIT("*6\r\n:-1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
                                      LIT("~6\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n")};
    uint8_t kind;
    unsigned n;
    for (kind = MCPSESS_LOG_OPEN; kind <= MCPSESS_LOG_DEL; kind++) {
        for (n = 0; n < COUNT_OF(any); n++) nonsense(kind, any[n]);
    }
}

TEST(rlogs_refuses_answers_of_other_scripts) {
    /* a bit for each code from 0 to 11 that a kind's script answers */
    static const uint16_t codes[] = {0x00C5, 0x0E25, 0x0105, 0x0005, 0x0C05, 0x0001};
    static const char digits[][3] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"};
    unsigned kind, code;
    for (kind = 0; kind < COUNT_OF(codes); kind++) {
        for (code = 0; code < COUNT_OF(digits); code++) {
            bool right = (codes[kind] >> code & 1u) != 0;
            start();
            log_asked((uint8_t)(MCPSESS_LOG_OPEN + kind));
            say(MCPSESS_STR("*6\r\n:"));
            say(mcpsess_str_z(digits[code]));
            if (!CHECK_EQ(ANSWER("\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"), right ? (int)code : MCPSESS_E_UNKNOWN))
                tap_note("kind", (int64_t)kind);
        }
    }
    nonsense(MCPSESS_LOG_STATE, MCPSESS_STR("*6\r\n:-4\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"));
    nonsense(MCPSESS_LOG_OPEN, MCPSESS_STR("*6\r\n:0\r\n:1\r\n:1\r\n:0\r\n:1\r\n:1\r\n"));   /* no fence */
    nonsense(MCPSESS_LOG_APPEND, MCPSESS_STR("*6\r\n:0\r\n:0\r\n:1\r\n:0\r\n:1\r\n:1\r\n")); /* no epoch */
    nonsense(MCPSESS_LOG_STATE, MCPSESS_STR("*7\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n$1\r\na\r\n"));
    nonsense(MCPSESS_LOG_RANGE, MCPSESS_STR("*7\r\n:8\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n$1\r\na\r\n"));
    nonsense(MCPSESS_LOG_RANGE, MCPSESS_STR("*7\r\n:8\r\n:1\r\n:1\r\n:1\r\n:9\r\n:1\r\n$1\r\na\r\n"));
    nonsense(MCPSESS_LOG_APPEND, MCPSESS_STR("*7\r\n:0\r\n:1\r\n:1\r\n:1\r\n:9\r\n:1\r\n$1\r\na\r\n"));
    nonsense(MCPSESS_LOG_DEL, MCPSESS_STR("*6\r\n:0\r\n:-1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"));
    nonsense(MCPSESS_LOG_RANGE, MCPSESS_STR("*7\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n+a\r\n"));
}

/* ---- the life of a request ---- */

TEST(rlogs_errors_of_the_server_are_codes) {
    start();
    log_asked(MCPSESS_LOG_APPEND);
    CHECK_EQ(ANSWER("-OOM command not allowed\r\n"), MCPSESS_REDIS_E_OOM);
    log_request(MCPSESS_LOG_RANGE);
    l.request.count = 1; /* which is no put that is looked up */
    ask();
    CHECK_EQ(ANSWER("-WRONGTYPE Operation\r\n"), MCPSESS_REDIS_E_WRONGTYPE);
    CHECK(out.len == 0 && l.request.count == 0);
    log_asked(MCPSESS_LOG_OPEN);
    CHECK_EQ(ANSWER("-NOPERM no\r\n"), MCPSESS_REDIS_E_NOPERM);
    CHECK(l.request.left_ms == 0 && l.request.fence == 0);
}

TEST(rlogs_all_of_them_are_repeated) {
    uint8_t kind;
    for (kind = MCPSESS_LOG_OPEN; kind <= MCPSESS_LOG_DEL; kind++) {
        start();
        log_asked(kind);
        reconnect();
        polls(10);
        if (!CHECK_EQ(l.request.rc, MCPSESS_PENDING)) tap_note("kind", kind);
        CHECK_EQ(server.evals, 2);
        CHECK_EQ(rstore.stats.read_backs, 0);
    }
}

TEST(rlogs_refuses_before_it_asks) {
    start();
    log_request(MCPSESS_LOG_APPEND);
    memset(&limits, 0, sizeof limits);
    limits.bytes = 9;
    l.log.limits = &limits; /* 4 + 2 + 4 bytes */
    CHECK_EQ(submit(), MCPSESS_E_TOOBIG);
    CHECK_EQ(l.request.need, 10);
    log_request(MCPSESS_LOG_OPEN);
    l.request.owner.issuer = MCPSESS_STR("iss"); /* also without guarded: it is to be the log's owner */
    CHECK_EQ(submit(), MCPSESS_E_PRINCIPAL);
    log_request(MCPSESS_LOG_RANGE);
    l.request.guarded = true;
    l.request.owner.issuer = MCPSESS_STR("iss");
    CHECK_EQ(submit(), MCPSESS_E_PRINCIPAL);
    log_request(MCPSESS_LOG_RANGE);
    l.request.out = NULL;
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    log_request(MCPSESS_LOG_APPEND);
    l.log.sequence = (uint64_t)MCPSESS_SEQUENCE_MAX + 1u;
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    polls(5);
    CHECK_EQ(server.evals, 0);
    log_request(MCPSESS_LOG_APPEND);
    limits.bytes = 10;
    l.log.limits = &limits;
    ask();
}

TEST(rlogs_event_over_tx_is_too_big) {
    start();
    log_request(MCPSESS_LOG_APPEND);
    l.log.event.data = str_fill(server.seen, 'd', TX); /* which holds nothing yet */
    if (submit() == MCPSESS_PENDING) polls(5);
    CHECK_EQ(l.request.rc, MCPSESS_E_TOOBIG);
    CHECK_EQ(server.evals, 0);
    log_asked(MCPSESS_LOG_APPEND); /* and nothing of it is left in front of the next one */
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:8\r\n:9\r\n:0\r\n:1\r\n:12800\r\n"), MCPSESS_OK);
}

TEST(rlogs_cancel_and_close_let_go_of_the_request) {
    start();
    log_asked(MCPSESS_LOG_RANGE);
    store.cls->cancel(store.self, &l.request);
    CHECK_EQ(l.request.rc, MCPSESS_E_CANCELED);
    say(MCPSESS_STR("*7\r\n:0\r\n:8\r\n:11\r\n:3\r\n:9\r\n:0\r\n$2\r\nab\r\n"));
    polls(10);
    CHECK_EQ(out.len, 0);
    log_asked(MCPSESS_LOG_RANGE);
    store.cls->close(store.self);
    CHECK_EQ(l.request.rc, MCPSESS_E_CLOSED);
    log_request(MCPSESS_LOG_STATE);
    CHECK_EQ(submit(), MCPSESS_E_CLOSED);
}

/* ---- who is told ---- */

TEST(rlogs_changed_keys_are_sessions_again) {
    static const mcpsess_str others[] = {LIT("mcpsess:m:{}:s"),    LIT("mcpsess:m:{k"),    LIT("mcpsess:m:{k}"),
                                         LIT("mcpsess:m:{k}s"),    LIT("mcpsess:e:{k}:s"), LIT("mcpsess:i:{k}"),
                                         LIT("mcpsess:r:{k}"),     LIT("mcpsess:r:{k}:s"), LIT("mcpsess:m:k}:s"),
                                         LIT("mcpsess:m:{k l}:s"), LIT("Mcpsess:m:{k}:s"), LIT("mcpsess:m:{%41}:s"),
                                         LIT("mcpsess:m:{k\0}:s"), LIT("mcpsess:mx{k}:s"), LIT("m"),
                                         LIT("mcpsess:m:"),        LIT("xmcpsess:m:{k}:s")};
    start();
    listens(MCPSESS_OF_LOGS, others, COUNT_OF(others));
    push(MCPSESS_STR("mcpsess:m:{k}:s"));
    CHECK(told_is("k"));
    push(MCPSESS_STR("mcpsess:m:{k}:"));
    CHECK(told_is("k"));
    push(MCPSESS_STR("mcpsess:m:{a%7Db%25}:%7D{x}:m"));
    CHECK(told_is("a}b%"));
    stops_listening(MCPSESS_OF_LOGS, MCPSESS_STR("mcpsess:m:{k}:s"));
}

TEST(rlogs_listeners_of_records_and_logs_are_two) {
    static const mcpsess_listener other = {changed, &told};
    start();
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &other), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &other), MCPSESS_E_STATE);
    push(MCPSESS_STR("mcpsess:m:{k}:s"));
    CHECK(told_is("k"));
    push(MCPSESS_STR("mcpsess:r:{l}"));
    CHECK(told_is("l"));
    break_off();
    CHECK(told.calls >= 2);
}

/* A module hears of one prefix, so the store has one for each kind of key, or, if one cannot be had, none. */
TEST(rlogs_are_attached_with_all_else_or_not_at_all) {
    static const char *const taken[] = {"mcpsess:l:{a", "mcpsess:m:{a", "mcpsess:r:{a"};
    mcpsess_redis_module others[COUNT_OF(taken)];
    const mcpsess_redis_module *m = rstore.i.modules;
    mcpsess_redis_desc d = wire_desc();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    unsigned n;
    memset(others, 0, sizeof others);
    CHECK_EQ(mcpsess_redis_init(&redis, &d, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    sd.redis = &redis;
    for (n = 0; n < COUNT_OF(taken); n++) {
        others[n].prefix = mcpsess_str_z(taken[n]);
        CHECK_EQ(mcpsess_redis_attach(&redis, &others[n]), MCPSESS_OK);
        CHECK_EQ(mcpsess_redis_store_init(&rstore, &sd), MCPSESS_E_ARG);
        CHECK(others[n].i.next == NULL);
    }
    sd.prefix = MCPSESS_STR("p");
    CHECK_EQ(mcpsess_redis_store_init(&rstore, &sd), MCPSESS_OK);
    CHECK(redis.i.modules == &others[0] && others[2].i.next == &m[MCPSESS_OF_RECORDS]);
    CHECK(m[MCPSESS_OF_RECORDS].i.next == &m[MCPSESS_OF_LOGS] && m[MCPSESS_OF_LOGS].i.next == &m[MCPSESS_OF_FLAGS]);
    CHECK(m[MCPSESS_OF_FLAGS].i.next == NULL);
    CHECK_STR(m[MCPSESS_OF_LOGS].prefix, "pm:");
}

void test_rlogs(void) {
    RUN(rlogs_asks_to_open);
    RUN(rlogs_asks_to_append);
    RUN(rlogs_asks_to_set);
    RUN(rlogs_asks_to_read);
    RUN(rlogs_asks_to_delete);
    RUN(rlogs_escapes_names);
    RUN(rlogs_longest_command_fits_what_the_macro_says);
    RUN(rlogs_answers_of_open);
    RUN(rlogs_answers_of_writes);
    RUN(rlogs_answers_of_reads);
    RUN(rlogs_events_come_with_their_lengths);
    RUN(rlogs_pieces_go_where_they_belong);
    RUN(rlogs_events_count_when_all_are_there);
    RUN(rlogs_events_start_over_when_they_are_asked_for_again);
    RUN(rlogs_events_that_broke_off_leave_nothing);
    RUN(rlogs_more_events_than_there_is_room_for_are_refused);
    RUN(rlogs_an_event_for_which_there_is_no_room_at_all_is_refused);
    RUN(rlogs_refuses_answers_of_no_script);
    RUN(rlogs_refuses_answers_of_other_scripts);
    RUN(rlogs_errors_of_the_server_are_codes);
    RUN(rlogs_all_of_them_are_repeated);
    RUN(rlogs_refuses_before_it_asks);
    RUN(rlogs_event_over_tx_is_too_big);
    RUN(rlogs_cancel_and_close_let_go_of_the_request);
    RUN(rlogs_changed_keys_are_sessions_again);
    RUN(rlogs_listeners_of_records_and_logs_are_two);
    RUN(rlogs_are_attached_with_all_else_or_not_at_all);
}
