/* A process that keeps event streams where the MCP C# SDK does, told what to do as tests/peer.h says.
     peer SOCKET USER PASSWORD

   A number that is left out is 0; "-" is no data, no retry, or no type. N is one of four writers, or of four readers.
     store INSTANCE INDEX NUMBERS RX             a new connection and store; INDEX, NUMBERS 0 or 1; RX 0: 4096 bytes
     who ISSUER SUBJECT                          of everything that follows
     limits EVENTS BYTES EVENT_TTL EVENT_MAX LOG_TTL LOG_MAX                     of everything that follows
   Requests of the store; each answers its code, then
     open SESSION STREAM TOKEN FRESH TTL         WRITER LAST STREAMING LEFT
     append SESSION STREAM WRITER N CONFIRMED TYPE RETRY DATA    LAST
     set SESSION STREAM WRITER N POLLING DONE    LAST
     range SESSION STREAM EPOCH AFTER COUNT KEEP ROOM    FIRST LAST STREAMING DONE LEFT NEED, each event's TYPE RETRY
   DATA state SESSION STREAM                        FIRST LAST STREAMING DONE LEFT del SESSION STREAM    delall SESSION
   COUNT Streams: wopen N SESSION STREAM FRESH                SEQUENCE wappend N TYPE RETRY DATA ID                the
   event's id, empty if it passed through wmode N POLLING   wcomplete N   wkeep N ropen N LAST_EVENT_ID SESSION SESSION
   STREAM SEQUENCE rread N SESSION STREAM                      SESSION STREAM SEQUENCE rnext N TIMEOUT_MS TYPE RETRY
   DATA ID; 0 waits for ever rclose N What it costs: count                                       commands sent, steps of
   deletes, foreign, dropped, bytes received */

#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "examples/posix_transport.h"

#include "tests/peer.h"

#define DATA_MAX 300000u
#define PAGE_MAX 400000u
#define LINE_MAX_BYTES 1200000u
#define WORDS_MAX 9u
#define HANDS 4u

MCPSESS_REDIS_STORAGE(wire, 4, MCPSESS_CSHARP_STORE_TX(DATA_MAX), 65536);

static struct {
    mcpsess_redis redis;
    mcpsess_csharp_store store;
    mcpsess_streams streams;
    sock sock;
    mcpsess_wait_hook hook;
    const char *user, *password;
    mcpsess_log_limits limits;
    mcpsess_principal who;
    mcpsess_stream_writer writers[HANDS];
    mcpsess_stream_reader readers[HANDS];
    char names[HANDS][2][MCPSESS_ID_MAX + MCPSESS_STREAM_MAX], sessions[HANDS][MCPSESS_ID_MAX];
    char pages[HANDS][PAGE_MAX];
    char instance[MCPSESS_CSHARP_INSTANCE_MAX], who_mem[2][64];
    char out[PAGE_MAX], line[LINE_MAX_BYTES];
} t;

static uint64_t number_of(mcpsess_str word) {
    uint64_t v = 0;
    return mcpsess_u64_decode(word, INT64_MAX, &v) == MCPSESS_OK ? v : 0;
}

static bool is_none(mcpsess_str word) {
    return mcpsess_str_eq(word, MCPSESS_STR("-"));
}

static uint64_t now(void) {
    return t.hook.now_ms(t.hook.user);
}

static mcpsess_str keep(char *mem, size_t max, mcpsess_str s) {
    size_t n = s.len < max ? s.len : max;
    if (n != 0) memcpy(mem, s.ptr, n);
    return mcpsess_str_of(mem, n);
}

static mcpsess_event event_of(const mcpsess_str *w) {
    mcpsess_event e;
    memset(&e, 0, sizeof e);
    if (!is_none(w[0])) e.type = w[0];
    e.retry = !is_none(w[1]);
    if (e.retry) e.retry_ms = (uint32_t)number_of(w[1]);
    if (!is_none(w[2])) e.data = w[2].ptr == NULL ? MCPSESS_STR("") : w[2];
    return e;
}

static void say_event(const mcpsess_event *e) {
    say(e->type.len == 0 ? MCPSESS_STR("-") : e->type);
    if (e->retry) say_number(e->retry_ms);
    else say(MCPSESS_STR("-"));
    say(e->data.ptr == NULL ? MCPSESS_STR("-") : e->data);
}

static int say_code(int rc) {
    fputs(mcpsess_redis_code_name(rc), stdout);
    return rc;
}

/* -- the store -- */

static int set_store(const mcpsess_str *w) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    mcpsess_csharp_store_desc sd = mcpsess_csharp_store_desc_default();
    mcpsess_stream_desc td = mcpsess_stream_desc_default();
    int rc;
    mcpsess_redis_close(&t.redis);
    d.transport = sock_transport(&t.sock);
    d.random = sock_random;
    d.user = mcpsess_str_z(t.user);
    d.password = mcpsess_str_z(t.password);
    d.slots = 4;
    d.tx_bytes = MCPSESS_CSHARP_STORE_TX(DATA_MAX);
    d.rx_bytes = number_of(w[4]) != 0 ? (uint32_t)number_of(w[4]) : 4096;
    rc = mcpsess_redis_init(&t.redis, &d, wire.bytes, sizeof wire.bytes);
    sd.redis = &t.redis;
    sd.instance = keep(t.instance, sizeof t.instance, w[1]);
    sd.index = number_of(w[2]) != 0;
    sd.numbers = number_of(w[3]) != 0;
    if (rc == MCPSESS_OK) rc = mcpsess_csharp_store_init(&t.store, &sd);
    td.store = mcpsess_csharp_store_store(&t.store);
    td.limits = t.limits;
    td.random = sock_random;
    memset(t.writers, 0, sizeof t.writers);
    memset(t.readers, 0, sizeof t.readers);
    return rc == MCPSESS_OK ? mcpsess_stream_init(&t.streams, &td) : rc;
}

static int run(mcpsess_log_request *q) {
    mcpsess_store store = mcpsess_csharp_store_store(&t.store);
    store.cls->submit(store.self, &q->request, now());
    while (q->request.rc == MCPSESS_PENDING) {
        store.cls->poll(store.self, now());
        if (q->request.rc == MCPSESS_PENDING) {
            (void)t.hook.wait(t.hook.user, store.cls->want(store.self), store.cls->next_due(store.self, now()));
        }
    }
    return say_code(q->request.rc);
}

static mcpsess_log_request request_of(uint8_t kind, const mcpsess_str *w) {
    mcpsess_log_request q;
    memset(&q, 0, sizeof q);
    q.request.kind = kind;
    q.request.key = w[1];
    q.request.guarded = true;
    q.request.owner = t.who;
    q.request.ttl_ms = 30000;
    q.log.stream = w[2].ptr == NULL ? MCPSESS_STR("") : w[2];
    q.log.limits = &t.limits;
    return q;
}

static void say_state(const mcpsess_log_request *q) {
    say_number(q->log.first);
    say_number(q->log.last);
    say_number(q->log.streaming);
    say_number(q->log.done);
    say_number(q->request.left_ms);
}

static void do_open(const mcpsess_str *w) {
    mcpsess_log_request q = request_of(MCPSESS_LOG_OPEN, w);
    q.request.value = w[3];
    q.log.fresh = number_of(w[4]) != 0;
    if (number_of(w[5]) != 0) q.request.ttl_ms = number_of(w[5]);
    (void)run(&q);
    say_number(q.log.writer);
    say_number(q.log.last);
    say_number(q.log.streaming);
    say_number(q.request.left_ms);
}

static void do_append(const mcpsess_str *w) {
    mcpsess_log_request q = request_of(MCPSESS_LOG_APPEND, w);
    q.log.writer = number_of(w[3]);
    q.log.sequence = number_of(w[4]);
    q.log.confirmed = number_of(w[5]);
    q.log.event = event_of(w + 6);
    (void)run(&q);
    say_number(q.log.last);
}

static void do_set(const mcpsess_str *w) {
    mcpsess_log_request q = request_of(MCPSESS_LOG_SET, w);
    q.log.writer = number_of(w[3]);
    q.log.sequence = number_of(w[4]);
    q.log.streaming = number_of(w[5]) == 0;
    q.log.done = number_of(w[6]) != 0;
    (void)run(&q);
    say_number(q.log.last);
}

static void do_range(const mcpsess_str *w) {
    mcpsess_log_request q = request_of(MCPSESS_LOG_RANGE, w);
    mcpsess_str frames;
    mcpsess_event e;
    mcpsess_buf out;
    mcpsess_buf_init(&out, t.out, number_of(w[7]) != 0 ? (size_t)number_of(w[7]) : sizeof t.out);
    q.request.out = &out;
    q.log.epoch = number_of(w[3]);
    q.log.sequence = number_of(w[4]);
    q.request.count = (uint32_t)number_of(w[5]);
    q.request.ttl_ms = number_of(w[6]);
    (void)run(&q);
    say_state(&q);
    say_number(q.request.need);
    frames = mcpsess_buf_str(&out);
    while (mcpsess_event_take(&frames, &e) == MCPSESS_OK) say_event(&e);
}

static void do_state(const mcpsess_str *w) {
    mcpsess_log_request q = request_of(MCPSESS_LOG_STATE, w);
    (void)run(&q);
    say_state(&q);
}

static void do_del(const mcpsess_str *w) {
    mcpsess_log_request q = request_of(MCPSESS_LOG_DEL, w);
    if (mcpsess_str_eq(w[0], MCPSESS_STR("delall"))) q.log.stream = mcpsess_str_of(NULL, 0);
    (void)run(&q);
    say_number(q.request.count);
}

/* -- streams -- */

static void do_writer(const mcpsess_str *w) {
    const unsigned n = (unsigned)number_of(w[1]) % HANDS;
    mcpsess_stream_writer *writer = &t.writers[n];
    mcpsess_stream_op op;
    mcpsess_event e = event_of(w + 2);
    char id_mem[MCPSESS_EVENTID_MAX];
    mcpsess_buf id;
    int rc = MCPSESS_E_ARG;
    memset(&op, 0, sizeof op);
    mcpsess_op_init(&op.op, 0);
    e.id = w[5];
    if (mcpsess_str_eq(w[0], MCPSESS_STR("wopen"))) {
        rc = mcpsess_stream_open(&t.streams, writer, &op, keep(t.names[n][0], sizeof t.names[n][0], w[2]), &t.who,
                                 keep(t.names[n][1], sizeof t.names[n][1], w[3]), number_of(w[4]) != 0, now());
    } else if (mcpsess_str_eq(w[0], MCPSESS_STR("wappend"))) {
        rc = mcpsess_stream_append(writer, &op, &e, now());
    } else if (mcpsess_str_eq(w[0], MCPSESS_STR("wmode"))) {
        rc = mcpsess_stream_set_mode(writer, &op, number_of(w[2]) == 0, now());
    } else if (mcpsess_str_eq(w[0], MCPSESS_STR("wcomplete"))) {
        rc = mcpsess_stream_complete(writer, &op, now());
    } else if (mcpsess_str_eq(w[0], MCPSESS_STR("wkeep"))) {
        rc = mcpsess_stream_keep(writer, &op, now());
    }
    (void)say_code(mcpsess_wait(&op.op, rc, &t.hook));
    mcpsess_buf_init(&id, id_mem, sizeof id_mem);
    if (mcpsess_stream_id(&op, &id) == MCPSESS_OK) say(mcpsess_buf_str(&id));
    else say_number(writer->sequence);
}

static void do_reader(const mcpsess_str *w) {
    const unsigned n = (unsigned)number_of(w[1]) % HANDS;
    mcpsess_stream_reader *reader = &t.readers[n];
    mcpsess_event e;
    mcpsess_op op;
    int rc;
    mcpsess_op_init(&op, 0);
    mcpsess_stream_close(reader);
    memset(&e, 0, sizeof e);
    if (mcpsess_str_eq(w[0], MCPSESS_STR("ropen"))) {
        rc = mcpsess_stream_resume(&t.streams, reader, &op, w[2], keep(t.sessions[n], sizeof t.sessions[n], w[3]),
                                   &t.who, t.pages[n], PAGE_MAX, now());
    } else {
        char *name = t.pages[n] + PAGE_MAX - MCPSESS_STREAM_MAX;
        rc = mcpsess_stream_read(&t.streams, reader, &op, keep(t.sessions[n], sizeof t.sessions[n], w[2]), &t.who,
                                 keep(name, MCPSESS_STREAM_MAX, w[3]), 0, 0, t.pages[n], PAGE_MAX - MCPSESS_STREAM_MAX,
                                 now());
    }
    rc = say_code(mcpsess_wait(&op, rc, &t.hook));
    if (rc != MCPSESS_OK) return;
    say(reader->session);
    say(reader->stream);
    say_number(reader->sequence);
}

static void do_next(const mcpsess_str *w) {
    mcpsess_stream_reader *reader = &t.readers[(unsigned)number_of(w[1]) % HANDS];
    mcpsess_event e;
    mcpsess_op op;
    int rc;
    mcpsess_op_init(&op, (uint32_t)number_of(w[2]));
    rc = mcpsess_stream_next(reader, &op, &e, now());
    if (say_code(mcpsess_wait(&op, rc, &t.hook)) != MCPSESS_OK) return;
    say_event(&e);
    say(e.id);
}

/* -- the dialogue -- */

static void do_rest(const mcpsess_str *w) {
    if (mcpsess_str_eq(w[0], MCPSESS_STR("store"))) {
        (void)say_code(set_store(w));
    } else if (mcpsess_str_eq(w[0], MCPSESS_STR("who"))) {
        t.who.issuer = keep(t.who_mem[0], sizeof t.who_mem[0], w[1]);
        t.who.subject = keep(t.who_mem[1], sizeof t.who_mem[1], w[2]);
        (void)say_code(MCPSESS_OK);
    } else if (mcpsess_str_eq(w[0], MCPSESS_STR("limits"))) {
        t.limits.events = (uint32_t)number_of(w[1]);
        t.limits.bytes = (uint32_t)number_of(w[2]);
        t.limits.event_ttl_ms = number_of(w[3]);
        t.limits.event_max_ms = number_of(w[4]);
        t.limits.log_ttl_ms = number_of(w[5]);
        t.limits.log_max_ms = number_of(w[6]);
        t.streams.i.desc.limits = mcpsess_log_limits_of(&t.limits);
        (void)say_code(MCPSESS_OK);
    } else if (mcpsess_str_eq(w[0], MCPSESS_STR("rclose"))) {
        mcpsess_stream_close(&t.readers[(unsigned)number_of(w[1]) % HANDS]);
        (void)say_code(MCPSESS_OK);
    } else if (mcpsess_str_eq(w[0], MCPSESS_STR("count"))) {
        (void)say_code(MCPSESS_OK);
        say_number(t.redis.stats.commands);
        say_number(t.store.stats.steps);
        say_number(t.store.stats.foreign);
        say_number(t.store.stats.dropped);
        say_number(t.redis.stats.bytes_received);
    } else {
        (void)say_code(MCPSESS_E_ARG);
    }
}

static const struct {
    const char *name;
    void (*obey)(const mcpsess_str *w);
} verbs[] = {
    {"open", do_open},        {"append", do_append}, {"set", do_set},      {"range", do_range},    {"state", do_state},
    {"del", do_del},          {"delall", do_del},    {"wopen", do_writer}, {"wappend", do_writer}, {"wmode", do_writer},
    {"wcomplete", do_writer}, {"wkeep", do_writer},  {"ropen", do_reader}, {"rread", do_reader},   {"rnext", do_next},
};

static bool answer(char *line) {
    mcpsess_str words[WORDS_MAX];
    unsigned n = 0;
    (void)take_words(line, words, WORDS_MAX);
    while (n < sizeof verbs / sizeof verbs[0] && !mcpsess_str_eq(words[0], mcpsess_str_z(verbs[n].name))) n++;
    if (n < sizeof verbs / sizeof verbs[0]) verbs[n].obey(words);
    else do_rest(words);
    putchar('\n');
    return fflush(stdout) == 0;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    sock_init(&t.sock, argv[1], NULL);
    t.hook = sock_wait_hook(&t.sock);
    t.user = argv[2];
    t.password = argv[3];
    while (fgets(t.line, sizeof t.line, stdin) != NULL) {
        if (!answer(t.line)) return 2;
    }
    mcpsess_redis_close(&t.redis);
    return 0;
}
