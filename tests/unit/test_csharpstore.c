/* The C# SDK's layout: what its store asks and what it makes of the answers, against a server that the test plays. What
   its scripts do is tested on real servers. */

#include "tap.h"

#define STORE_CSHARP
#if PORT_SMALL
#define TX 1024u
#else
#define TX ((uint32_t)MCPSESS_CSHARP_STORE_TX(64))
#endif
#define INBOX 512u
#include "store_wire.h"

static mcpsess_log_request l;
static mcpsess_log_limits limits;
static mcpsess_csharp_store_desc desc;

/* A request of the log of session "abc", stream "1". */
static void log_request(uint8_t kind) {
    memset(&l, 0, sizeof l);
    l.request.kind = kind;
    l.request.key = MCPSESS_STR("abc");
    l.request.value = MCPSESS_STR("tok");
    l.request.ttl_ms = 12800;
    l.request.out = &out;
    l.log.stream = MCPSESS_STR("1");
    l.log.writer = 7;
    l.log.sequence = 9;
    l.log.confirmed = 6;
    l.log.event.data = MCPSESS_STR("{}");
    asked_for = &l.request;
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
}

static void log_asked(uint8_t kind) {
    log_request(kind);
    ask();
}

static void log_start(bool index, bool numbers, mcpsess_str instance) {
    mcpsess_redis_desc d = wire_desc();
    desc = mcpsess_csharp_store_desc_default();
    desc.index = index;
    desc.numbers = numbers;
    desc.instance = instance;
    make(&d, &desc);
    connected();
}

static void plain_start(void) {
    log_start(false, false, mcpsess_str_of(NULL, 0));
}

#define META "$25\r\nmcp:sse:v1:meta:YWJj:MQ==\r\n"
#define WRITER "$31\r\nmcpsess:sse:v1:writer:YWJj:MQ==\r\n"
#define KEYS "$1\r\n2\r\n" META WRITER
#define INDEXED "$1\r\n3\r\n" META WRITER "$19\r\nmcp:sse:v1:idx:YWJj\r\n"
#define TTLS "$5\r\n12800\r\n$7\r\n3600000\r\n$8\r\n14400000\r\n"
#define NONE "$0\r\n\r\n"
#define ZERO "$1\r\n0\r\n"
#define ONE "$1\r\n1\r\n"

/* ---- what is asked ---- */

TEST(csharp_asks_to_open) {
    plain_start();
    log_asked(MCPSESS_LOG_OPEN);
    CHECK(ASKED(WRITE, "15", KEYS ZERO "$1\r\nO\r\n" NONE TTLS ZERO "$3\r\ntok\r\n" NONE "$3\r\n\1\0\0\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:5\r\n:6\r\n:0\r\n:12800\r\n:0\r\n"), MCPSESS_OK);
    CHECK(l.log.writer == 6 && l.log.last == 5 && l.log.streaming && !l.log.done && l.log.epoch == 0);
    CHECK_EQ(l.request.left_ms, 12800 - 100 - 2);
    log_request(MCPSESS_LOG_OPEN);
    l.request.guarded = true;
    l.request.owner = alice;
    l.request.ttl_ms = MCPSESS_NEVER;
    l.log.fresh = true;
    memset(&limits, 0, sizeof limits);
    limits.log_ttl_ms = limits.log_max_ms = MCPSESS_NEVER;
    l.log.limits = &limits;
    ask();
    CHECK(ASKED(WRITE, "15",
                KEYS ZERO "$1\r\nO\r\n" ALICE
                          "$14\r\n35184372088831\r\n$14\r\n35184372088831\r\n$14\r\n35184372088831\r\n" ZERO
                          "$3\r\ntok\r\n$6\r\n1000.2\r\n" ALICE));
}

TEST(csharp_asks_to_append) {
    plain_start();
    log_asked(MCPSESS_LOG_APPEND);
    CHECK(ASKED(WRITE, "19",
                KEYS ZERO "$1\r\nA\r\n" NONE TTLS ZERO "$1\r\n7\r\n$1\r\n9\r\n$1\r\n6\r\n"
                          "$57\r\n{\"eventType\":\"message\",\"eventId\":\"YWJj:MQ==:9\",\"data\":{}}\r\n"
                          "$7\r\n1800000\r\n$7\r\n7200000\r\n$5\r\n10000\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:9\r\n:7\r\n:1\r\n:12800\r\n:0\r\n"), MCPSESS_OK);
    CHECK(l.log.last == 9 && !l.log.streaming);
    log_request(MCPSESS_LOG_APPEND);
    l.log.event.type = MCPSESS_STR("a+");
    l.log.event.data = mcpsess_str_of(NULL, 0);
    l.log.event.retry = true;
    l.log.event.retry_ms = 500;
    l.log.sequence = (uint64_t)MCPSESS_SEQUENCE_MAX; /* more than Lua can count: never the next one */
    memset(&limits, 0, sizeof limits);
    limits.events = 3;
    l.log.limits = &limits;
    ask();
    CHECK(ASKED(WRITE, "19",
                KEYS ZERO "$1\r\nA\r\n" NONE TTLS ZERO "$1\r\n7\r\n$16\r\n4503599627370496\r\n$1\r\n6\r\n"
                          "$94\r\n{\"eventType\":\"a\\u002B\",\"eventId\":\"YWJj:MQ==:9223372036854775807\","
                          "\"reconnectionIntervalMs\":500}\r\n"
                          "$7\r\n1800000\r\n$7\r\n7200000\r\n$1\r\n3\r\n"));
}

TEST(csharp_asks_with_an_index_and_numbers) {
    log_start(true, true, MCPSESS_STR("i:"));
    log_request(MCPSESS_LOG_APPEND);
    l.log.stream = MCPSESS_STR("\"");
    l.log.event.data = MCPSESS_STR(" [ 1 ]\n");
    ask();
    CHECK(ASKED(WRITE, "21",
                "$1\r\n3\r\n$27\r\ni:mcp:sse:v1:meta:YWJj:Ig==\r\n$33\r\ni:mcpsess:sse:v1:writer:YWJj:Ig==\r\n"
                "$21\r\ni:mcp:sse:v1:idx:YWJj\r\n$1\r\n2\r\n$1\r\nA\r\n" NONE TTLS ONE
                "$1\r\n7\r\n$1\r\n9\r\n$1\r\n6\r\n"
                "$60\r\n{\"eventType\":\"message\",\"eventId\":\"YWJj:Ig==:9\",\"data\":[ 1 ]}\r\n"
                "$7\r\n1800000\r\n$7\r\n7200000\r\n$5\r\n10000\r\n$6\r\n\\u0022\r\n"));
}

TEST(csharp_asks_to_set) {
    plain_start();
    log_asked(MCPSESS_LOG_SET);
    CHECK(ASKED(WRITE, "16", KEYS ZERO "$1\r\nS\r\n" NONE TTLS ZERO "$1\r\n7\r\n$1\r\n9\r\n" ONE ZERO));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:9\r\n:7\r\n:1\r\n:12800\r\n:0\r\n"), MCPSESS_OK);
    log_request(MCPSESS_LOG_SET);
    l.log.streaming = l.log.done = true;
    ask();
    CHECK(ASKED(WRITE, "16", KEYS ZERO "$1\r\nS\r\n" NONE TTLS ZERO "$1\r\n7\r\n$1\r\n9\r\n" ZERO ONE));
}

TEST(csharp_asks_to_read) {
    plain_start();
    log_asked(MCPSESS_LOG_STATE);
    CHECK(ASKED(READ, "9", KEYS ZERO "$1\r\nS\r\n" NONE "$5\r\n10000\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:9\r\n:4\r\n:3\r\n:77\r\n:0\r\n"), MCPSESS_OK);
    CHECK(l.log.first == 4 && l.log.last == 9 && l.log.done && !l.log.streaming && l.request.left_ms == 77);
    log_request(MCPSESS_LOG_RANGE);
    l.request.ttl_ms = 0;
    l.request.count = 5;
    l.request.guarded = true;
    mcpsess_buf_put(&out, MCPSESS_STR("before"));
    ask();
    CHECK(ASKED(READ, "14",
                KEYS ZERO "$1\r\nR\r\n$3\r\n\1\0\0\r\n$5\r\n10000\r\n$1\r\n9\r\n$2\r\n26\r\n$1\r\n5\r\n" NONE
                          "$7\r\n3600000\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:8\r\n:9\r\n:4\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_GAP);
    CHECK(l.log.first == 4 && l.log.last == 9 && l.request.count == 0);
    log_request(MCPSESS_LOG_RANGE); /* keeps it alive; an out that has overflowed has no room; an id of other layouts */
    l.log.epoch = 1;
    out.overflow = true;
    ask();
    CHECK(ASKED(READ, "14",
                KEYS ZERO "$1\r\nR\r\n" NONE "$5\r\n10000\r\n$16\r\n9007199254740992\r\n" ZERO ZERO
                          "$7\r\n1800000\r\n$7\r\n3600000\r\n"));
}

TEST(csharp_asks_to_delete) {
    plain_start();
    log_asked(MCPSESS_LOG_DEL);
    CHECK(ASKED(DELETE, "10", KEYS ZERO ONE NONE "$8\r\n14400000\r\n" NONE));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:3\r\n"), MCPSESS_OK);
    CHECK_EQ(l.request.count, 3);
    log_start(true, false, mcpsess_str_of(NULL, 0));
    log_asked(MCPSESS_LOG_DEL);
    CHECK(ASKED(DELETE, "12", INDEXED ZERO ONE NONE "$8\r\n14400000\r\n" NONE ONE));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:3\r\n"), MCPSESS_OK);
    log_request(MCPSESS_LOG_DEL);
    l.log.stream = mcpsess_str_of(NULL, 0);
    l.request.guarded = true;
    l.request.owner = alice;
    ask();
    CHECK(ASKED(DELETE, "9",
                "$1\r\n2\r\n$19\r\nmcp:sse:v1:idx:YWJj\r\n$27\r\nmcpsess:sse:v1:writer:YWJj:\r\n" ZERO
                "$1\r\nA\r\n" ALICE "$8\r\n14400000\r\n"));
}

/* -- a delete of more than a step -- */

TEST(csharp_delete_goes_on_where_the_last_step_ended) {
    plain_start();
    log_asked(MCPSESS_LOG_DEL);
    CHECK_EQ(ANSWER("*6\r\n:1\r\n:2500\r\n:0\r\n:0\r\n:0\r\n:1000\r\n"), MCPSESS_PENDING);
    polls(2);
    CHECK_EQ(server.evals, 2);
    CHECK(ASKED(DELETE, "10", KEYS ZERO ONE NONE "$8\r\n14400000\r\n$4\r\n2500\r\n"));
    CHECK_EQ(l.request.rc, MCPSESS_PENDING);
    reconnect(); /* what is unknown is asked again */
    CHECK(ASKED(DELETE, "10", KEYS ZERO ONE NONE "$8\r\n14400000\r\n$4\r\n2500\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:7\r\n"), MCPSESS_OK);
    CHECK_EQ(l.request.count, 1007);
    CHECK_EQ(rstore.stats.steps, 1);
    log_asked(MCPSESS_LOG_DEL); /* and begins anew the next time */
    CHECK(ASKED(DELETE, "10", KEYS ZERO ONE NONE "$8\r\n14400000\r\n" NONE));
    CHECK_EQ(ANSWER("*6\r\n:1\r\n:2500\r\n:0\r\n:0\r\n:0\r\n:1000\r\n"), MCPSESS_PENDING);
    store.cls->cancel(store.self, &l.request);
    CHECK_EQ(l.request.rc, MCPSESS_E_CANCELED);
    CHECK_EQ(l.request.count, 0);
    CHECK(rstore.i.pending == NULL);
}

TEST(csharp_delete_has_one_deadline_for_all_steps) {
    plain_start();
    log_request(MCPSESS_LOG_DEL);
    l.request.deadline_ms = now + 100;
    ask();
    now += 60;
    CHECK_EQ(ANSWER("*6\r\n:1\r\n:2500\r\n:0\r\n:0\r\n:0\r\n:1000\r\n"), MCPSESS_PENDING);
    now += 60;
    polls(2);
    CHECK_EQ(l.request.rc, MCPSESS_E_TIMEOUT);
    CHECK_EQ(l.request.count, 0);
}

/* ---- what is made of the answers ---- */

static int answered(uint8_t kind, mcpsess_str text) {
    log_asked(kind);
    return answer(text);
}

#define ANSWERED(kind, literal) answered(kind, MCPSESS_STR(literal))

TEST(csharp_answers_of_writes) {
    plain_start();
    CHECK_EQ(ANSWERED(MCPSESS_LOG_OPEN, "*6\r\n:6\r\n:5\r\n:6\r\n:0\r\n:700\r\n:0\r\n"), MCPSESS_BUSY);
    CHECK_EQ(l.request.left_ms, 700);
    CHECK_EQ(l.log.writer, 7); /* not ours */
    CHECK_EQ(ANSWERED(MCPSESS_LOG_OPEN, "*6\r\n:7\r\n:5\r\n:6\r\n:3\r\n:0\r\n:0\r\n"), MCPSESS_END);
    CHECK(l.log.done && !l.log.streaming);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_OPEN, "*6\r\n:2\r\n:0\r\n:0\r\n:4\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    CHECK_EQ(rstore.stats.foreign, 1);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_APPEND, "*6\r\n:9\r\n:9\r\n:7\r\n:0\r\n:700\r\n:0\r\n"), MCPSESS_DUP);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_APPEND, "*6\r\n:5\r\n:11\r\n:7\r\n:0\r\n:700\r\n:0\r\n"), MCPSESS_LOST);
    CHECK_EQ(l.log.last, 11);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_APPEND, "*6\r\n:10\r\n:11\r\n:8\r\n:0\r\n:700\r\n:0\r\n"), MCPSESS_FENCED);
    CHECK(l.log.last == 0 && l.request.left_ms == 0); /* of another's log nothing is told */
    CHECK_EQ(ANSWERED(MCPSESS_LOG_APPEND, "*6\r\n:11\r\n:65545\r\n:7\r\n:0\r\n:12800\r\n:0\r\n"), MCPSESS_LOST_TAIL);
    CHECK_EQ(l.log.last, 65545);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_APPEND, "*6\r\n:-6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_E_FORMAT);
    CHECK_EQ(rstore.stats.events, 0);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_APPEND, "*6\r\n:0\r\n:9\r\n:7\r\n:0\r\n:12800\r\n:1\r\n"), MCPSESS_OK);
    CHECK(rstore.stats.events == 1 && rstore.stats.dropped == 1);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_SET, "*6\r\n:11\r\n:65545\r\n:7\r\n:0\r\n:12800\r\n:0\r\n"), MCPSESS_LOST_TAIL);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_SET, "*6\r\n:2\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_MISS);
    CHECK_EQ(rstore.stats.foreign, 1);
    CHECK_EQ(ANSWERED(MCPSESS_LOG_SET, "-OOM no\r\n"), MCPSESS_REDIS_E_OOM);
}

TEST(csharp_lease_counts_from_when_it_was_asked_for) {
    plain_start();
    log_asked(MCPSESS_LOG_OPEN);
    now += 1000;
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:0\r\n:6\r\n:0\r\n:12800\r\n:0\r\n"), MCPSESS_OK);
    CHECK_EQ(l.request.left_ms, 12800 - 1000 - 100 - 2);
    log_asked(MCPSESS_LOG_SET);
    now += 1500;
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:0\r\n:6\r\n:0\r\n:1280\r\n:0\r\n"), MCPSESS_OK);
    CHECK_EQ(l.request.left_ms, 0);
}

#define TWO "*8\r\n:0\r\n:11\r\n:10\r\n:16\r\n:0\r\n:0\r\n"
#define FIRST "$30\r\n{\"data\":[1,2],\"eventType\":\"t\"}\r\n"               /* 12 bytes as a frame */
#define SECOND "$43\r\n{\"reconnectionIntervalMs\":7,\"eventId\":\"\"  }\r\n" /* 10 */
#define FRAMES "\10\0\0\0\1\1t[1,2]\6\0\0\0\2\0\7\0\0\0"

static char page_mem[96];

/* A page, behind a byte that was there, of which out has so much room. */
static int page(size_t room, mcpsess_str text) {
    memset(page_mem, '#', sizeof page_mem);
    log_request(MCPSESS_LOG_RANGE);
    mcpsess_buf_init(&out, page_mem, room + 1);
    mcpsess_buf_put_char(&out, '>');
    ask();
    return answer(text);
}

#define PAGE(room, literal) page(room, MCPSESS_STR(literal))

/* Is this what is in the page, and nothing behind its room? */
static bool paged(size_t room, uint32_t count, mcpsess_str frames) {
    return page_mem[0] == '>' && out.len == 1 + frames.len && same_bytes(page_mem + 1, frames.ptr, frames.len) &&
           l.request.count == count && page_mem[room + 1] == '#' && !out.overflow;
}

TEST(csharp_page_becomes_frames) {
    size_t room;
    plain_start();
    for (room = 0; room <= 60; room++) { /* an event needs room for its JSON; its frame takes less */
        bool one = room >= 30, both = room >= 12 + 43;
        CHECK_EQ(PAGE(room, TWO FIRST SECOND), one ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        CHECK(paged(room, both ? 2 : one ? 1 : 0, mcpsess_str_of(FRAMES, both ? 22 : one ? 12 : 0)));
        CHECK_EQ(l.request.need, one ? 0 : 30);
        if (one) CHECK(l.log.first == 10 && l.log.last == 11);
    }
}

TEST(csharp_page_arrives_in_pieces) {
    size_t most;
    plain_start();
    for (most = 1; most < 150; most = most * 2 + 1) {
        server.recv_max = most;
        CHECK_EQ(PAGE(60, TWO FIRST SECOND), MCPSESS_OK);
        CHECK(paged(60, 2, mcpsess_str_of(FRAMES, 22)));
    }
}

TEST(csharp_page_ends_before_what_is_no_event) {
    plain_start();
    CHECK_EQ(PAGE(60, TWO FIRST "$2\r\n[]\r\n"), MCPSESS_OK);
    CHECK(paged(60, 1, mcpsess_str_of(FRAMES, 12)));
    CHECK_EQ(PAGE(60, TWO "$2\r\n[]\r\n" SECOND), MCPSESS_E_FORMAT);
    CHECK(paged(60, 0, mcpsess_str_of(FRAMES, 0)));
    CHECK_EQ(PAGE(60, TWO "$0\r\n\r\n" SECOND), MCPSESS_E_FORMAT);
    CHECK_EQ(PAGE(60, TWO "$20\r\n{\"eventType\":\"a\\rb\"}\r\n" SECOND), MCPSESS_E_FORMAT);
    CHECK_EQ(PAGE(60, TWO "$24\r\n{\"eventType\":\"a\\u0000b\"}\r\n" SECOND), MCPSESS_E_FORMAT);
    CHECK_EQ(PAGE(60, TWO "$4\r\nnull\r\n$2\r\n{}\r\n"), MCPSESS_OK); /* larger as frames */
    CHECK(paged(60, 2, MCPSESS_STR("\2\0\0\0\0\0\2\0\0\0\0\0")));
    CHECK_EQ(PAGE(5, TWO "$4\r\nnull\r\n$2\r\n{}\r\n"), MCPSESS_E_TOOBIG);
    CHECK_EQ(l.request.need, 6);
    CHECK_EQ(PAGE(11, TWO "$4\r\nnull\r\n$2\r\n{}\r\n"), MCPSESS_OK);
    CHECK(paged(11, 1, MCPSESS_STR("\2\0\0\0\0\0")));
    CHECK_EQ(PAGE(60, "*6\r\n:-4\r\n:11\r\n:10\r\n:0\r\n:0\r\n:70000\r\n"), MCPSESS_E_TOOBIG);
    CHECK_EQ(l.request.need, 70000uL > SIZE_MAX ? SIZE_MAX : 70000uL);
}

/* 255 bytes of a type are what a frame can say. */
TEST(csharp_page_with_the_longest_type) {
    static char text[384];
    size_t len;
    for (len = 255; len <= 256; len++) {
        char type[256];
        mcpsess_buf b;
        plain_start();
        log_request(MCPSESS_LOG_RANGE);
        mcpsess_buf_init(&out, text, sizeof text);
        ask();
        say(MCPSESS_STR("*7\r\n:0\r\n:10\r\n:10\r\n:8\r\n:0\r\n:0\r\n$"));
        mcpsess_buf_init(&b, type, sizeof type);
        mcpsess_buf_put_u64(&b, len + 16);
        say(mcpsess_buf_str(&b));
        say(MCPSESS_STR("\r\n{\"eventType\":\""));
        say(str_fill(type, 't', len));
        CHECK_EQ(ANSWER("\"}\r\n"), len == 255 ? MCPSESS_OK : MCPSESS_E_FORMAT);
        if (len == 255) CHECK(out.len == 261 && (unsigned char)text[5] == 255 && text[6] == 't' && text[260] == 't');
    }
}

TEST(csharp_page_counts_when_it_is_whole) {
    plain_start();
    log_request(MCPSESS_LOG_RANGE);
    mcpsess_buf_init(&out, page_mem, sizeof page_mem);
    ask();
    CHECK_EQ(ANSWER(TWO FIRST), MCPSESS_PENDING);
    CHECK(out.len == 0 && l.request.count == 0);
    reconnect();
    CHECK_EQ(server.evals, 2);
    CHECK_EQ(ANSWER(TWO SECOND FIRST), MCPSESS_OK); /* not those of before */
    CHECK_EQ(l.request.count, 2);
    CHECK(out.len == 22 && page_mem[0] == '\6' && page_mem[4] == '\2');
    log_request(MCPSESS_LOG_RANGE);
    mcpsess_buf_init(&out, page_mem, sizeof page_mem);
    ask();
    CHECK_EQ(ANSWER(TWO FIRST), MCPSESS_PENDING);
    store.cls->cancel(store.self, &l.request);
    CHECK(l.request.rc == MCPSESS_E_CANCELED && out.len == 0);
    memset(page_mem, '#', sizeof page_mem);
    say(MCPSESS_STR(SECOND));
    polls(4);
    CHECK(page_mem[0] == '#' && page_mem[12] == '#');
}

/* What is no answer to what was asked ends the connection. */
static void unsound(uint8_t kind, mcpsess_str text) {
    uint32_t before = redis.stats.disconnects;
    log_asked(kind);
    say(text);
    polls(8);
    CHECK_EQ(redis.stats.disconnects, before + 1);
    CHECK_EQ(l.request.rc, MCPSESS_E_UNKNOWN);
    now += 20;
    connected();
}

#define UNSOUND(kind, literal) unsound(kind, MCPSESS_STR(literal))

TEST(csharp_answers_that_are_none) {
    static const uint8_t kinds[] = {MCPSESS_LOG_OPEN,  MCPSESS_LOG_APPEND, MCPSESS_LOG_SET,
                                    MCPSESS_LOG_RANGE, MCPSESS_LOG_STATE,  MCPSESS_LOG_DEL};
    /* the codes that a kind answers, from 0 to 12 */
    static const uint16_t known[] = {0x0C5, 0xE25, 0xC05, 0x105, 0x005, 0x003};
    unsigned n, code;
    plain_start();
    for (n = 0; n < COUNT_OF(kinds); n++) {
        UNSOUND(kinds[n], "+OK\r\n");
        UNSOUND(kinds[n], "*5\r\n:0\r\n:0\r\n:1\r\n:0\r\n:0\r\n");
        UNSOUND(kinds[n], "*7\r\n:0\r\n:0\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n");
        UNSOUND(kinds[n], "*6\r\n:0\r\n:-1\r\n:1\r\n:0\r\n:0\r\n:0\r\n");
        UNSOUND(kinds[n], "*6\r\n:0\r\n:0\r\n:1\r\n:0\r\n:0\r\n:-1\r\n");
        UNSOUND(kinds[n], "*6\r\n:0\r\n:0\r\n:1\r\n:0\r\n$1\r\n0\r\n:0\r\n");
        UNSOUND(kinds[n], "*6\r\n:0\r\n:0\r\n:1\r\n:0\r\n:0\r\n*1\r\n:0\r\n");
        if (kinds[n] != MCPSESS_LOG_RANGE) UNSOUND(kinds[n], "*7\r\n:0\r\n:0\r\n:1\r\n:0\r\n:0\r\n:0\r\n$2\r\n{}\r\n");
        if (kinds[n] != MCPSESS_LOG_RANGE) UNSOUND(kinds[n], "*6\r\n:-4\r\n:0\r\n:1\r\n:0\r\n:0\r\n:0\r\n");
        UNSOUND(kinds[n], "*6\r\n:-5\r\n:0\r\n:1\r\n:0\r\n:0\r\n:0\r\n");
        for (code = 0; code <= 12; code++) {
            char text[40];
            mcpsess_buf b;
            mcpsess_buf_init(&b, text, sizeof text);
            mcpsess_buf_put(&b, MCPSESS_STR("*6\r\n:"));
            mcpsess_buf_put_u64(&b, code);
            mcpsess_buf_put(&b, MCPSESS_STR("\r\n:0\r\n:1\r\n:0\r\n:0\r\n:0\r\n"));
            if ((known[n] >> code & 1u) == 0) unsound(kinds[n], mcpsess_buf_str(&b));
            else if (code != MCPSESS_PENDING) CHECK_EQ(answered(kinds[n], mcpsess_buf_str(&b)), (int)code);
        }
    }
    UNSOUND(MCPSESS_LOG_OPEN, "*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"); /* a writer without a fence */
    UNSOUND(MCPSESS_LOG_RANGE, "*7\r\n:0\r\n:0\r\n:1\r\n:16\r\n:0\r\n:0\r\n$2\r\n{}\r\n"); /* one is missing */
    UNSOUND(MCPSESS_LOG_RANGE, "*7\r\n:8\r\n:0\r\n:1\r\n:0\r\n:0\r\n:0\r\n$2\r\n{}\r\n");
}

/* ---- what is not even asked ---- */

static int refused(uint8_t kind) {
    unsigned before = server.evals;
    int rc;
    l.request.kind = kind;
    rc = submit();
    polls(2);
    CHECK_EQ(server.evals, before);
    CHECK(l.request.left_ms == 0 && l.request.count == 0);
    return rc;
}

TEST(csharp_has_no_place_for) {
    uint8_t kind;
    plain_start();
    for (kind = MCPSESS_GET; kind < MCPSESS_LOG_OPEN; kind++) {
        log_request(kind);
        CHECK_EQ(refused(kind), kind == MCPSESS_SWEEP ? MCPSESS_OK : MCPSESS_E_UNSUPPORTED);
    }
    log_request(MCPSESS_LOG_DEL);
    l.log.stream = mcpsess_str_of(NULL, 0);
    CHECK_EQ(refused(MCPSESS_LOG_DEL), MCPSESS_E_UNSUPPORTED); /* without an index nobody knows which */
    log_request(MCPSESS_LOG_APPEND);
    l.log.epoch = 1;
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_ARG);
    CHECK_EQ(refused(MCPSESS_LOG_SET), MCPSESS_E_ARG);
    l.log.epoch = 0;
    l.log.confirmed = UINT64_C(1) << 52;
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_ARG);
    l.log.confirmed = 0;
    l.log.sequence = UINT64_C(1) << 52;
    CHECK_EQ(refused(MCPSESS_LOG_SET), MCPSESS_E_ARG);
    l.log.sequence = 1;
    l.log.event.data = MCPSESS_STR("");
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_FORMAT);
    l.log.event.data = MCPSESS_STR("{}}");
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_FORMAT);
    l.log.event.data = MCPSESS_STR("{}");
    l.log.event.type = MCPSESS_STR("a\nb");
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_FORMAT);
    l.log.event.type = MCPSESS_STR("");
    l.log.event.retry = true;
    l.log.event.retry_ms = UINT32_C(0x80000000);
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_TOOBIG);
    l.log.event.retry = false;
    memset(&limits, 0, sizeof limits);
    limits.bytes = 7;
    l.log.limits = &limits;
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_TOOBIG);
    CHECK_EQ(l.request.need, 8);
    limits.bytes = 8;
    CHECK_EQ(submit(), MCPSESS_PENDING); /* that is enough */
    store.cls->cancel(store.self, &l.request);
    l.request.guarded = true;
    l.request.owner.issuer = MCPSESS_STR("i");
    CHECK_EQ(refused(MCPSESS_LOG_STATE), MCPSESS_E_PRINCIPAL);
    l.request.guarded = false;
    CHECK_EQ(refused(MCPSESS_LOG_OPEN), MCPSESS_E_PRINCIPAL); /* whose it is to be */
    log_start(true, false, mcpsess_str_of(NULL, 0));
    log_request(MCPSESS_LOG_APPEND);
    l.log.stream = MCPSESS_STR("\xFF"); /* no index can have it */
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_FORMAT);
    store.cls->close(store.self);
    log_request(MCPSESS_LOG_APPEND);
    CHECK_EQ(refused(MCPSESS_LOG_APPEND), MCPSESS_E_CLOSED);
}

TEST(csharp_store_closes_what_is_pending) {
    plain_start();
    log_asked(MCPSESS_LOG_STATE);
    CHECK(store.cls->want(store.self) != 0);
    store.cls->close(store.self);
    CHECK_EQ(l.request.rc, MCPSESS_E_CLOSED);
    CHECK(store.cls->next_due(store.self, now) == MCPSESS_NEVER && store.cls->want(store.self) == 0);
    CHECK_EQ(store.cls->hear(store.self, now), MCPSESS_STALE);
    CHECK_EQ(mcpsess_redis_poll(&redis, now), MCPSESS_OK);
}

TEST(csharp_requests_are_repeated) {
    static const uint8_t kinds[] = {MCPSESS_LOG_OPEN,  MCPSESS_LOG_APPEND, MCPSESS_LOG_SET,
                                    MCPSESS_LOG_RANGE, MCPSESS_LOG_STATE,  MCPSESS_LOG_DEL};
    unsigned n, before;
    plain_start();
    for (n = 0; n < COUNT_OF(kinds); n++) {
        log_asked(kinds[n]);
        before = server.evals;
        reconnect();
        CHECK_EQ(server.evals, before + 1);
        CHECK_EQ(ANSWER("*6\r\n:0\r\n:9\r\n:7\r\n:0\r\n:12800\r\n:0\r\n"), MCPSESS_OK);
    }
}

/* ---- who is told ---- */

static void nobody_is_told(mcpsess_str key) {
    push(key);
    CHECK_EQ(told.calls, 0);
}

TEST(csharp_tells_of_metadata_alone) {
    const mcpsess_listener other = {changed, &told};
    log_start(false, false, MCPSESS_STR("i:"));
    push(MCPSESS_STR("i:mcp:sse:v1:meta:YWJj:MQ=="));
    CHECK_EQ(told.calls, 0);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &other), MCPSESS_E_STATE);
    push(MCPSESS_STR("i:mcp:sse:v1:meta:YWJj:MQ=="));
    CHECK(told.calls == 1 && told.len == 3 && same_bytes(told.id, "abc", 3));
    push(MCPSESS_STR("i:mcp:sse:v1:meta:YWJj:"));
    CHECK(told.calls == 1 && told.len == 3);
    nobody_is_told(MCPSESS_STR("mcp:sse:v1:meta:YWJj:MQ=="));
    nobody_is_told(MCPSESS_STR("i:mcp:sse:v1:event:YWJj:MQ==:1"));
    nobody_is_told(MCPSESS_STR("i:mcpsess:sse:v1:writer:YWJj:MQ=="));
    nobody_is_told(MCPSESS_STR("i:mcp:sse:v1:meta:YWJj"));
    nobody_is_told(MCPSESS_STR("i:mcp:sse:v1:meta:YWJ:MQ=="));
    nobody_is_told(MCPSESS_STR("i:mcp:sse:v1:meta::MQ=="));
    nobody_is_told(MCPSESS_STR("i:mcp:sse:v1:meta"));
    break_off(); /* any may have been */
    CHECK(told.calls >= 1 && told.len == 0);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, NULL), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_LOGS, &other), MCPSESS_OK);
}

TEST(csharp_store_init_refuses) {
    static char name[MCPSESS_CSHARP_INSTANCE_MAX + 1u];
    mcpsess_csharp_store_desc d = mcpsess_csharp_store_desc_default();
    mcpsess_redis_desc rd = wire_desc();
    CHECK_EQ(mcpsess_csharp_store_init(NULL, &d), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_store_init(&rstore, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_store_init(&rstore, &d), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_redis_init(&redis, &rd, wire.bytes, sizeof wire.bytes), MCPSESS_OK);
    d.redis = &redis;
    d.instance = str_fill(name, 'i', sizeof name);
    CHECK_EQ(mcpsess_csharp_store_init(&rstore, &d), MCPSESS_E_ARG);
    d.instance = str_broken();
    CHECK_EQ(mcpsess_csharp_store_init(&rstore, &d), MCPSESS_E_ARG);
    d.instance = str_fill(name, 'i', sizeof name - 1);
    CHECK_EQ(mcpsess_csharp_store_init(&rstore, &d), MCPSESS_OK);
    (void)mcpsess_redis_poll(&redis, 1000);
    CHECK_EQ(mcpsess_csharp_store_init(&rstore, &d), MCPSESS_E_STATE);
}

/* All that a command may have at its longest. */
TEST(csharp_longest_command_fits_what_the_macro_says) {
    static char name[MCPSESS_CSHARP_INSTANCE_MAX], id[MCPSESS_ID_MAX], stream[MCPSESS_STREAM_MAX], type[64],
        data[VALUE_MAX];
    static char who[MCPSESS_PRINCIPAL_MAX - 2];
    if (TX < MCPSESS_CSHARP_STORE_TX(VALUE_MAX)) return; /* a small target has no room for it */
    log_start(true, false, str_fill(name, 'i', sizeof name));
    log_request(MCPSESS_LOG_APPEND);
    l.request.key = str_fill(id, '\x7F', sizeof id);
    l.log.stream = str_fill(stream, '\x01', sizeof stream);
    l.log.event.type = str_fill(type, '+', sizeof type);
    l.log.event.data = str_fill(data, '1', sizeof data);
    l.log.event.retry = true;
    l.log.event.retry_ms = 0x7FFFFFFF;
    l.log.sequence = l.log.writer = (uint64_t)MCPSESS_SEQUENCE_MAX;
    l.log.confirmed = (UINT64_C(1) << 52) - 1;
    l.request.ttl_ms = MCPSESS_NEVER;
    l.request.guarded = true;
    l.request.owner.issuer = str_fill(who, 'w', sizeof who);
    l.request.owner.subject = MCPSESS_STR("s");
    memset(&limits, 0xFF, sizeof limits);
    l.log.limits = &limits;
    ask();
    CHECK(server.seen_len > TX * 2u / 3u); /* nor is the macro far from the truth */
    CHECK_EQ(ANSWER("*6\r\n:5\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"), MCPSESS_LOST);
    log_request(MCPSESS_LOG_OPEN);
    l.request.key = mcpsess_str_of(id, sizeof id);
    l.request.value = str_fill(data, 't', MCPSESS_TOKEN_MAX);
    l.log.stream = mcpsess_str_of(stream, sizeof stream);
    l.request.guarded = true;
    l.request.owner.issuer = mcpsess_str_of(who, sizeof who);
    l.request.owner.subject = MCPSESS_STR("s");
    ask();
}

void test_csharpstore(void) {
    RUN(csharp_asks_to_open);
    RUN(csharp_asks_to_append);
    RUN(csharp_asks_with_an_index_and_numbers);
    RUN(csharp_asks_to_set);
    RUN(csharp_asks_to_read);
    RUN(csharp_asks_to_delete);
    RUN(csharp_delete_goes_on_where_the_last_step_ended);
    RUN(csharp_delete_has_one_deadline_for_all_steps);
    RUN(csharp_answers_of_writes);
    RUN(csharp_lease_counts_from_when_it_was_asked_for);
    RUN(csharp_page_becomes_frames);
    RUN(csharp_page_arrives_in_pieces);
    RUN(csharp_page_ends_before_what_is_no_event);
    RUN(csharp_page_with_the_longest_type);
    RUN(csharp_page_counts_when_it_is_whole);
    RUN(csharp_answers_that_are_none);
    RUN(csharp_has_no_place_for);
    RUN(csharp_store_closes_what_is_pending);
    RUN(csharp_requests_are_repeated);
    RUN(csharp_tells_of_metadata_alone);
    RUN(csharp_store_init_refuses);
    RUN(csharp_longest_command_fits_what_the_macro_says);
}
