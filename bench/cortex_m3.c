/* Instructions that operations take on a Cortex-M3, in QEMU: a call, all that it calls, the C library's mem functions
   included. Each is repeated RUNS times, as is nothing at all, which is taken off; so a figure is the average of RUNS,
   and the same in every run.  bench/run m3 */
#include "../mcpsess_redis.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 256, ID_LEN = 36, VALUE_LEN = 64, RECORD_MAX = 128, LOG_BYTES = 65536, PAGE = 4096, NOW = 1000 };

/* The timer counts down at 25 MHz; with -icount shift=6 an instruction takes 64 ns, so 1.6 ticks. */
typedef struct timer {
    volatile uint32_t control, value, reload;
} timer;
#define TIMER0 ((timer *)0x40000000u)

#define DATA                                                                                            \
    "{\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"call-17\",\"progress\":42," \
    "\"total\":100,\"message\":\"reading sensor 42 of 100\"},\"jsonrpc\":\"2.0\"}"

static const mcpsess_principal nobody;
static const uint8_t seed[16] = {7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5, 2};
static char ids[2 * RUNS][ID_LEN]; /* the second half is in no table */
static char value[VALUE_LEN], room[1024], page[PAGE];

static void must(int rc) {
    if (rc == MCPSESS_OK) return;
    printf("bench: %s\n", mcpsess_code_name(rc));
    exit(1);
}

static mcpsess_str id_of(unsigned n) {
    return mcpsess_str_of(ids[n], ID_LEN);
}

static mcpsess_buf empty(void) {
    mcpsess_buf b;
    mcpsess_buf_init(&b, room, sizeof room);
    return b;
}

static void make_ids(void) {
    uint32_t bits = 1;
    for (unsigned n = 0; n < 2 * RUNS * ID_LEN; n++) {
        bits = bits * 1664525u + 1013904223u;
        ids[n / ID_LEN][n % ID_LEN] = "0123456789abcdef"[bits >> 28];
    }
}

static void nothing(unsigned n) {
    (void)n;
}

static void none(void) {
}

/* -- base, lru -- */

static mcpsess_lru table;
MCPSESS_LRU_STORAGE(table_memory, RUNS, ID_LEN, VALUE_LEN);

static void make_table(void) {
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    d.capacity = RUNS;
    d.key_max = ID_LEN;
    d.value_max = VALUE_LEN;
    memcpy(d.seed, seed, sizeof seed);
    must(mcpsess_lru_init(&table, &d, table_memory.bytes, sizeof table_memory.bytes));
}

static void hash(unsigned n) {
    (void)mcpsess_hash(seed, id_of(n));
}

static void put_base64(unsigned n) {
    mcpsess_buf out = empty();
    mcpsess_buf_put_b64(&out, id_of(n));
}

static void lru_put(unsigned n) {
    must(mcpsess_lru_put(&table, id_of(n), mcpsess_str_of(value, VALUE_LEN), MCPSESS_NEVER));
}

static void lru_put_other(unsigned n) {
    lru_put(RUNS + n);
}

static void lru_hit(unsigned n) {
    mcpsess_str found;
    must(mcpsess_lru_get(&table, id_of(n), NOW, &found));
}

static void lru_miss(unsigned n) {
    mcpsess_str found;
    if (mcpsess_lru_get(&table, id_of(RUNS + n), NOW, &found) != MCPSESS_MISS) must(MCPSESS_E_CORRUPT);
}

static void fill_table(void) {
    make_table();
    for (unsigned n = 0; n < RUNS; n++) lru_put(n);
}

/* -- event ids, frames -- */

static mcpsess_eventid event_id = {{"0123456789abcdefghijkl", 22}, {"1", 1}, UINT64_C(1775649600123456), 42};
static mcpsess_str event_text;
static mcpsess_event event;

static void eventid_encode(unsigned n) {
    mcpsess_buf out = empty();
    (void)n;
    must(mcpsess_eventid_encode(&event_id, &out));
}

static void eventid_decode(unsigned n) {
    mcpsess_eventid id;
    mcpsess_buf mem = empty();
    (void)n;
    must(mcpsess_eventid_decode(event_text, &mem, &id));
}

static void sse_put(unsigned n) {
    mcpsess_event e = event;
    mcpsess_buf out = empty();
    (void)n;
    e.id = event_text;
    must(mcpsess_sse_put(&e, &out));
}

static void make_event(void) {
    static char text[MCPSESS_EVENTID_MAX];
    mcpsess_buf out;
    mcpsess_buf_init(&out, text, sizeof text);
    must(mcpsess_eventid_encode(&event_id, &out));
    event_text = mcpsess_buf_str(&out);
    event.type = MCPSESS_STR("message");
    event.data = MCPSESS_STR(DATA);
}

/* -- resp -- */

static mcpsess_resp decoder;
static mcpsess_str reply;

static void resp_decode(unsigned n) {
    mcpsess_str in = reply;
    mcpsess_resp_item item;
    (void)n;
    do must(mcpsess_resp_next(&decoder, &in, &item));
    while (!item.ends);
}

#define REPLY(name, literal)               \
    static void name(void) {               \
        reply = MCPSESS_STR(literal);      \
        mcpsess_resp_init(&decoder, NULL); \
    }
#define BULK "$5\r\nhello\r\n"
REPLY(reply_ok, "+OK\r\n")
REPLY(reply_integer, ":123\r\n")
REPLY(reply_bulk, BULK)
REPLY(reply_null, "$-1\r\n")
REPLY(reply_ten, "*10\r\n" BULK BULK BULK BULK BULK BULK BULK BULK BULK BULK)
REPLY(reply_push, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$30\r\nmcpsess:s:0123456789abcdefghij\r\n")

static void resp_encode(unsigned n) {
    mcpsess_str argv[3];
    mcpsess_buf out = empty();
    argv[0] = MCPSESS_STR("SET");
    argv[1] = id_of(n);
    argv[2] = mcpsess_str_of(value, VALUE_LEN);
    must(mcpsess_resp_put_command(&out, argv, 3));
}

/* -- records, sessions -- */

static mcpsess_memstore store;
static mcpsess_sessions sessions;
static mcpsess_streams streams;
static mcpsess_stream_writer writer;
static mcpsess_stream_reader reader;
static mcpsess_str record_text;
MCPSESS_MEMSTORE_LOG_STORAGE(store_memory, RUNS, 0, RECORD_MAX, 1, LOG_BYTES);
MCPSESS_SESSION_STORAGE(session_memory, RUNS, RECORD_MAX, 1, RECORD_MAX);

static mcpsess_str encode_record(unsigned n) {
    static char text[RECORD_MAX];
    mcpsess_record record;
    mcpsess_buf out;
    memset(&record, 0, sizeof record);
    record.id = id_of(n);
    record.backend = MCPSESS_STR("http://127.0.0.1:8080/mcp");
    record.state = MCPSESS_STATE_ACTIVE;
    mcpsess_buf_init(&out, text, sizeof text);
    must(mcpsess_record_encode(&record, &out));
    return mcpsess_buf_str(&out);
}

static void record_decode(unsigned n) {
    mcpsess_record record;
    (void)n;
    must(mcpsess_record_decode(record_text, &record));
}

static void make_record(void) {
    record_text = encode_record(0);
}

static int no_random(void *user, void *dst, size_t len) {
    (void)user;
    memset(dst, 1, len);
    return 0;
}

static void make_store(void) {
    mcpsess_memstore_desc d = mcpsess_memstore_desc_default();
    d.records = RUNS;
    d.value_max = RECORD_MAX;
    d.logs = 1;
    d.log_bytes = LOG_BYTES;
    memcpy(d.seed, seed, sizeof seed);
    must(mcpsess_memstore_init(&store, &d, store_memory.bytes, sizeof store_memory.bytes));
}

static void make_sessions(void) {
    mcpsess_session_desc d = mcpsess_session_desc_default();
    mcpsess_op op;
    make_store();
    d.capacity = RUNS;
    d.slot_max = d.record_max = RECORD_MAX;
    d.lanes = 1;
    memcpy(d.seed, seed, sizeof seed);
    d.store = mcpsess_memstore_store(&store);
    must(mcpsess_session_init(&sessions, &d, session_memory.bytes, sizeof session_memory.bytes));
    mcpsess_op_init(&op, 0);
    for (unsigned n = 0; n < RUNS; n++) must(mcpsess_session_store(&sessions, &op, encode_record(n), NOW));
}

static void session_hit(unsigned n) {
    mcpsess_buf out = empty();
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    must(mcpsess_session_load(&sessions, &op, id_of(n), &nobody, &out, NOW));
}

/* -- streams -- */

static void stream_append(unsigned n) {
    mcpsess_stream_op op;
    (void)n;
    mcpsess_op_init(&op.op, 0);
    must(mcpsess_stream_append(&writer, &op, &event, NOW));
}

static void stream_next(unsigned n) {
    mcpsess_event next;
    mcpsess_op op;
    (void)n;
    mcpsess_op_init(&op, 0);
    must(mcpsess_stream_next(&reader, &op, &next, NOW));
}

static void open_stream(void) {
    mcpsess_stream_desc d = mcpsess_stream_desc_default();
    mcpsess_stream_op op;
    make_event();
    make_store();
    d.store = mcpsess_memstore_store(&store);
    d.random = no_random;
    must(mcpsess_stream_init(&streams, &d));
    memset(&writer, 0, sizeof writer);
    mcpsess_op_init(&op.op, 0);
    must(mcpsess_stream_open(&streams, &writer, &op, id_of(0), &nobody, MCPSESS_STR("1"), false, NOW));
}

static void open_reader(void) {
    mcpsess_op op;
    open_stream();
    for (unsigned n = 0; n < RUNS; n++) stream_append(n);
    memset(&reader, 0, sizeof reader);
    mcpsess_op_init(&op, 0);
    must(mcpsess_stream_read(&streams, &reader, &op, id_of(0), &nobody, MCPSESS_STR("1"), writer.epoch, 0, page,
                             sizeof page, NOW));
}

/* -- what is counted -- */

static const struct {
    const char *name;
    void (*prepare)(void);
    void (*run)(unsigned n);
} operations[] = {
    {"hash of an id of 36 bytes", none, hash},
    {"base64 of 36 bytes", none, put_base64},
    {"LRU get, hit, 256 entries", fill_table, lru_hit},
    {"LRU get, miss", fill_table, lru_miss},
    {"LRU put, fresh, 36 + 64 bytes", make_table, lru_put},
    {"LRU put, replacing", fill_table, lru_put},
    {"LRU put, evicting", fill_table, lru_put_other},
    {"event id, formatted", none, eventid_encode},
    {"event id, parsed", make_event, eventid_decode},
    {"frame of an event, 151 of data", make_event, sse_put},
    {"RESP +OK, decoded", reply_ok, resp_decode},
    {"RESP :123, decoded", reply_integer, resp_decode},
    {"RESP bulk of 5 bytes, decoded", reply_bulk, resp_decode},
    {"RESP null, decoded", reply_null, resp_decode},
    {"RESP ten bulks, decoded", reply_ten, resp_decode},
    {"RESP push of a key, decoded", reply_push, resp_decode},
    {"RESP SET, encoded, 36 + 64 bytes", none, resp_encode},
    {"record, decoded", make_record, record_decode},
    {"session load, hit", make_sessions, session_hit},
    {"event appended, in RAM", open_stream, stream_append},
    {"event read, in RAM", open_reader, stream_next},
};

static uint32_t ticks_of(void (*run)(unsigned n)) {
    uint32_t begun = TIMER0->value;
    for (unsigned n = 0; n < RUNS; n++) run(n);
    return begun - TIMER0->value;
}

int main(void) {
    TIMER0->reload = TIMER0->value = UINT32_MAX;
    TIMER0->control = 1;
    make_ids();
    for (size_t n = 0; n < sizeof operations / sizeof operations[0]; n++) {
        uint32_t ticks;
        operations[n].prepare();
        ticks = ticks_of(operations[n].run) - ticks_of(nothing);
        printf("%s|%lu\n", operations[n].name, (unsigned long)((ticks * 5u / 8u + RUNS / 2u) / RUNS));
    }
    return 0;
}
