/* Event streams on a real server, in both layouts, beside the commands of the MCP C# SDK's own store.
     streams PATH [PACKAGES]          of the server's socket; where @redis/client is installed, for the Node client */
#include "../examples/posix_transport.h"

#include "bench.h"
#include "csharp.h"

#include <stdlib.h>

enum {
    TURNS = 4,
    APPENDS = 96,
    BATCH = 320,
    STORED = 10000,
    MANY = CSHARP_STREAMS_MAX,
    PAGE = 65536,
    WAKES = 200,
    POLLS = 15
};
enum { NATIVE, CSHARP, INDEXED };

#define SESSION "0123456789abcdefghijkl"

static const mcpsess_principal nobody;
static const char *path;

/* -- streams over a connection -- */

typedef struct ours {
    mcpsess_redis redis;
    mcpsess_redis_store native;
    mcpsess_csharp_store csharp;
    mcpsess_store store;
    mcpsess_streams streams;
    sock sock;
    mcpsess_wait_hook hook;
    void *memory;
    uint64_t epoch; /* of the log that was filled last */
    char page[PAGE];
} ours;

static void must(int rc) {
    if (rc != MCPSESS_OK) bench_stop(mcpsess_redis_code_name(rc));
}

static uint64_t now(void) {
    return sock_now_ms(NULL);
}

static void make_engine(ours *o, bool resp2) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    size_t len;
    sock_init(&o->sock, path, NULL);
    o->hook = sock_wait_hook(&o->sock);
    d.transport = sock_transport(&o->sock);
    d.slots = MANY;
    d.tx_bytes = 65536;
    d.rx_bytes = 65536;
    d.resp2 = resp2;
    len = mcpsess_redis_bytes(&d);
    o->memory = bench_alloc(len);
    must(mcpsess_redis_init(&o->redis, &d, o->memory, len));
}

static ours *make(int layout, bool resp2) {
    ours *o = bench_alloc(sizeof *o);
    mcpsess_redis_store_desc nd = mcpsess_redis_store_desc_default();
    mcpsess_csharp_store_desc cd = mcpsess_csharp_store_desc_default();
    mcpsess_stream_desc d = mcpsess_stream_desc_default();
    memset(o, 0, sizeof *o);
    make_engine(o, resp2);
    nd.redis = cd.redis = &o->redis;
    cd.index = layout == INDEXED;
    if (layout == NATIVE) must(mcpsess_redis_store_init(&o->native, &nd));
    else must(mcpsess_csharp_store_init(&o->csharp, &cd));
    d.store = o->store =
        layout == NATIVE ? mcpsess_redis_store_store(&o->native) : mcpsess_csharp_store_store(&o->csharp);
    d.random = sock_random;
    must(mcpsess_stream_init(&o->streams, &d));
    return o;
}

static void step(ours *o) {
    o->store.cls->poll(o->store.self, now());
}

static void rest(ours *o) {
    (void)o->hook.wait(o->hook.user, o->store.cls->want(o->store.self), o->store.cls->next_due(o->store.self, now()));
}

static void unmake(ours *o) {
    mcpsess_redis_close(&o->redis);
    free(o->memory);
    free(o);
}

/* -- appends -- */

typedef struct appending {
    mcpsess_stream_writer writer;
    mcpsess_stream_op op;
    char name[16];
    size_t left;
} appending;

static mcpsess_event message(void) {
    mcpsess_event e;
    memset(&e, 0, sizeof e);
    e.type = MCPSESS_STR("message");
    e.data = MCPSESS_STR(CSHARP_DATA);
    return e;
}

static void open_writer(ours *o, appending *a, unsigned number) {
    memset(a, 0, sizeof *a);
    snprintf(a->name, sizeof a->name, "%u", number);
    mcpsess_op_init(&a->op.op, 0);
    must(mcpsess_wait(&a->op.op,
                      mcpsess_stream_open(&o->streams, &a->writer, &a->op, MCPSESS_STR(SESSION), &nobody,
                                          mcpsess_str_z(a->name), true, now()),
                      &o->hook));
}

static void close_writer(ours *o, appending *a) {
    must(mcpsess_wait(&a->op.op, mcpsess_stream_complete(&a->writer, &a->op, now()), &o->hook));
}

static void append_waiting(ours *o, appending *a) {
    const mcpsess_event e = message();
    must(mcpsess_wait(&a->op.op, mcpsess_stream_append(&a->writer, &a->op, &e, now()), &o->hook));
}

/* `depth` appends at once: of one writer, or one of each. */
static void append_overlapping(ours *o, appending *writers, size_t writer_count, size_t count) {
    static mcpsess_stream_op ops[MANY];
    static int rcs[MANY];
    const mcpsess_event e = message();
    size_t begun = 0, done = 0, n;
    for (n = 0; n < MANY; n++) rcs[n] = MCPSESS_OK;
    while (done < count) {
        const size_t before = done;
        step(o);
        for (n = 0; n < MANY; n++) {
            mcpsess_stream_writer *w = &writers[n % writer_count].writer;
            if (rcs[n] == MCPSESS_PENDING) {
                rcs[n] = mcpsess_poll(&ops[n].op, now());
                if (rcs[n] == MCPSESS_PENDING) continue;
                must(rcs[n]);
                done++;
            }
            if (begun == count) continue;
            mcpsess_op_init(&ops[n].op, 0);
            rcs[n] = mcpsess_stream_append(w, &ops[n], &e, now());
            if (rcs[n] != MCPSESS_PENDING) must(rcs[n] == MCPSESS_OK ? MCPSESS_E_STATE : rcs[n]);
            begun++;
        }
        if (done == before) rest(o);
    }
}

/* -- who is measured: each answers how long it took -- */

typedef struct candidate {
    bench_series row;
    double (*run)(struct candidate *self, unsigned turn); /* -> us per event */
    void *of;                                             /* ours, csharp_client or csharp_node */
    unsigned trips, streams, count;
} candidate;

static double since(double begun_ns, size_t events) {
    return (bench_wall_ns() - begun_ns) / 1000 / (double)events;
}

static double run_ours(candidate *self, unsigned turn) {
    appending a;
    double begun, us;
    (void)turn;
    open_writer(self->of, &a, 1);
    begun = bench_wall_ns();
    for (unsigned n = 0; n < self->count; n++) append_waiting(self->of, &a);
    us = since(begun, self->count);
    close_writer(self->of, &a);
    return us;
}

static double run_ours_overlapping(candidate *self, unsigned turn) {
    static appending a[MANY];
    double begun, us;
    (void)turn;
    for (unsigned n = 0; n < self->streams; n++) open_writer(self->of, &a[n], n);
    begun = bench_wall_ns();
    append_overlapping(self->of, a, self->streams, self->count);
    us = since(begun, self->count);
    for (unsigned n = 0; n < self->streams; n++) close_writer(self->of, &a[n]);
    return us;
}

static double run_client(candidate *self, unsigned turn) {
    const double begun = bench_wall_ns();
    (void)turn;
    csharp_append(self->of, "client", self->trips, 0, self->streams, self->count / self->streams);
    return since(begun, self->count);
}

static double run_node(candidate *self, unsigned turn) {
    char line[64];
    (void)turn;
    snprintf(line, sizeof line, "append node %u %u %u", self->trips, self->streams, self->count / self->streams);
    return csharp_node_ask(self->of, line) / self->count;
}

/* -- replays -- */

/* A client comes back with the id of the first event. */
static mcpsess_str first_id(const ours *o, const char *stream, mcpsess_buf *out) {
    mcpsess_eventid id;
    memset(&id, 0, sizeof id);
    id.session = MCPSESS_STR(SESSION);
    id.stream = mcpsess_str_z(stream);
    id.epoch = o->epoch;
    id.sequence = 1;
    must(mcpsess_eventid_encode(&id, out));
    return mcpsess_buf_str(out);
}

static double run_replay(candidate *self, unsigned turn) {
    ours *o = self->of;
    mcpsess_stream_reader r;
    mcpsess_event e;
    mcpsess_op op;
    mcpsess_buf id;
    const double begun = bench_wall_ns();
    char name[16], text[MCPSESS_EVENTID_MAX];
    (void)turn;
    snprintf(name, sizeof name, "%u", self->count);
    mcpsess_buf_init(&id, text, sizeof text);
    memset(&r, 0, sizeof r);
    mcpsess_op_init(&op, 0);
    must(mcpsess_wait(&op,
                      mcpsess_stream_resume(&o->streams, &r, &op, first_id(o, name, &id), MCPSESS_STR(SESSION), &nobody,
                                            o->page, sizeof o->page, now()),
                      &o->hook));
    for (unsigned n = 0; n < self->count; n++)
        must(mcpsess_wait(&op, mcpsess_stream_next(&r, &op, &e, now()), &o->hook));
    if (r.sequence != self->count + 1 || !mcpsess_str_eq(e.data, MCPSESS_STR(CSHARP_DATA)))
        bench_stop("another stream");
    mcpsess_stream_close(&r);
    return since(begun, 1);
}

static double run_client_replay(candidate *self, unsigned turn) {
    const double begun = bench_wall_ns();
    char name[16];
    (void)turn;
    snprintf(name, sizeof name, "%u", self->count);
    csharp_replay(self->of, SESSION, name, 1, self->count);
    return since(begun, 1);
}

static double run_node_replay(candidate *self, unsigned turn) {
    char line[64];
    (void)turn;
    snprintf(line, sizeof line, "replay " SESSION " %u 1 %u", self->count, self->count);
    return csharp_node_ask(self->of, line);
}

/* -- tables -- */

typedef struct world {
    csharp_client *client;
    csharp_node node;
    bool has_node;
    ours *ours[3]; /* NATIVE ... */
} world;

enum { ROWS_MAX = 10 };

typedef struct table {
    candidate rows[ROWS_MAX];
    size_t count;
    unsigned events; /* of a turn */
} table;

static void add(table *t, const char *name, double (*run)(candidate *, unsigned), void *of, unsigned trips,
                unsigned streams) {
    candidate *c = &t->rows[t->count++];
    memset(c, 0, sizeof *c);
    c->row.name = name;
    c->run = run;
    c->of = of;
    c->trips = trips;
    c->streams = streams;
    c->count = t->events;
}

/* A round is some short turns, and all take turns: what else the machine does lasts longer than one. */
static void measure(table *t, unsigned turns) {
    for (unsigned r = 0; r < BENCH_ROUNDS; r++) {
        for (unsigned turn = 0; turn < turns; turn++) {
            for (size_t n = 0; n < t->count; n++) t->rows[n].row.round[r] += t->rows[n].run(&t->rows[n], turn) / turns;
        }
    }
}

/* Once beside each of our layouts, which come first. */
static void show(const table *t, const char *title, size_t layouts) {
    static const char *const ratios[] = {"/native", "/csharp-v1"};
    for (size_t base = 0; base < layouts; base++) {
        bench_title(title, "us", ratios[base]);
        bench_row(&t->rows[base].row, NULL);
        for (size_t n = 0; n < t->count; n++)
            if (n != base) bench_row(&t->rows[n].row, &t->rows[base].row);
    }
}

static void measure_appends(world *w) {
    table t = {.events = APPENDS};
    add(&t, "native", run_ours, w->ours[NATIVE], 1, 1);
    add(&t, "csharp-v1", run_ours, w->ours[CSHARP], 1, 1);
    add(&t, "csharp-v1 with the index", run_ours, w->ours[INDEXED], 1, 1);
    add(&t, "2 round trips, C", run_client, w->client, 2, 1);
    add(&t, "5 round trips, C", run_client, w->client, 5, 1);
    if (w->has_node) add(&t, "2 round trips, Node", run_node, &w->node, 2, 1);
    if (w->has_node) add(&t, "5 round trips, Node", run_node, &w->node, 5, 1);
    measure(&t, TURNS);
    show(&t, "append, one at a time", 2);
}

static void measure_overlapping(world *w) {
    table t = {.events = BATCH};
    add(&t, "native", run_ours_overlapping, w->ours[NATIVE], 1, MANY);
    add(&t, "csharp-v1", run_ours_overlapping, w->ours[CSHARP], 1, MANY);
    add(&t, "native, of one stream", run_ours_overlapping, w->ours[NATIVE], 1, 1);
    add(&t, "csharp-v1, of one stream", run_ours_overlapping, w->ours[CSHARP], 1, 1);
    add(&t, "2 round trips, C", run_client, w->client, 2, MANY);
    add(&t, "5 round trips, C", run_client, w->client, 5, MANY);
    if (w->has_node) add(&t, "2 round trips, Node", run_node, &w->node, 2, MANY);
    if (w->has_node) add(&t, "5 round trips, Node", run_node, &w->node, 5, MANY);
    measure(&t, TURNS);
    show(&t, "append, 16 under way, of 16 streams", 2);
}

static void fill(ours *o, unsigned stream, unsigned count) {
    static appending a;
    open_writer(o, &a, stream);
    append_overlapping(o, &a, 1, count);
    o->epoch = a.writer.epoch;
    close_writer(o, &a);
}

static void measure_replay(world *w, unsigned events, unsigned turns) {
    table t = {.events = events};
    char title[48];
    csharp_flush(w->client); /* the names below were ours in either layout */
    fill(w->ours[NATIVE], events, events + 1);
    csharp_append(w->client, SESSION, 2, events, 1, events + 1);
    add(&t, "native", run_replay, w->ours[NATIVE], 1, 1);
    add(&t, "csharp-v1", run_replay, w->ours[CSHARP], 1, 1);
    add(&t, "2 round trips an event, C", run_client_replay, w->client, 2, 1);
    if (w->has_node) add(&t, "2 round trips an event, Node", run_node_replay, &w->node, 2, 1);
    measure(&t, turns);
    snprintf(title, sizeof title, "replay of %u event%s", events, events == 1 ? "" : "s");
    show(&t, title, 2);
}

/* -- bytes -- */

static double bytes_per_event(world *w, int layout, unsigned streams) {
    uint64_t before;
    csharp_flush(w->client);
    before = csharp_info(w->client, "used_memory");
    for (unsigned n = 0; n < streams; n++) {
        if (layout == NATIVE) fill(w->ours[NATIVE], n, STORED / streams);
        else csharp_append(w->client, SESSION, 2, n, 1, STORED / streams);
    }
    return (double)(csharp_info(w->client, "used_memory") - before) / STORED;
}

static void measure_bytes(world *w) {
    static const unsigned streams[] = {1, 100, 1000};
    printf("\nRedis, bytes per event with %zu of data\n  %-32s  %8s  %9s\n", sizeof CSHARP_DATA - 1, "", "native",
           "csharp-v1");
    for (size_t n = 0; n < sizeof streams / sizeof streams[0]; n++) {
        char name[48];
        snprintf(name, sizeof name, "%u stream%s of %u events", streams[n], streams[n] == 1 ? "" : "s",
                 STORED / streams[n]);
        printf("  %-32s  %8.0f  %9.0f\n", name, bytes_per_event(w, NATIVE, streams[n]),
               bytes_per_event(w, CSHARP, streams[n]));
    }
    csharp_flush(w->client);
}

/* -- a reader that waits -- */

static bool has_more(const ours *o) {
    return (o->store.cls->want(o->store.self) & (MCPSESS_WANT_WRITE | MCPSESS_WANT_NOW)) != 0;
}

static void either(ours *a, ours *b) {
    struct pollfd fds[2] = {{a->sock.fd, POLLIN, 0}, {b->sock.fd, POLLIN, 0}};
    (void)poll(fds, 2, has_more(a) || has_more(b) ? 0 : 1);
    step(a);
    step(b);
}

/* -> us from the writer's OK until the reader has the event, which comes when it has waited for so long */
static double wake(ours *writer, ours *reader, appending *a, mcpsess_stream_reader *r, uint64_t waited_ms) {
    const mcpsess_event sent = message();
    const uint64_t from = now();
    mcpsess_event got;
    mcpsess_op op;
    double written = 0, seen = 0;
    int rc, appended;
    mcpsess_op_init(&op, 0);
    rc = mcpsess_stream_next(r, &op, &got, from);
    while (now() < from + waited_ms) either(writer, reader);
    if (mcpsess_poll(&op, now()) != MCPSESS_PENDING || rc != MCPSESS_PENDING) bench_stop("nothing was written yet");
    appended = mcpsess_stream_append(&a->writer, &a->op, &sent, now());
    while (written == 0 || seen == 0) {
        either(writer, reader);
        if (appended == MCPSESS_PENDING) appended = mcpsess_poll(&a->op.op, now());
        if (appended == MCPSESS_OK && written == 0) written = bench_wall_ns();
        if (rc == MCPSESS_PENDING) rc = mcpsess_poll(&op, now());
        if (rc == MCPSESS_OK && seen == 0) seen = bench_wall_ns();
        if (rc < 0 || rc > MCPSESS_PENDING || appended < 0) bench_stop("a reader, or its writer, failed");
    }
    return seen > written ? (seen - written) / 1000 : 0;
}

static int order(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure_wake(const char *name, int layout, bool resp2, unsigned changes, unsigned apart_ms) {
    static double took[WAKES];
    static appending a;
    ours *writer = make(layout, false), *reader = make(layout, resp2);
    mcpsess_stream_reader r;
    mcpsess_event e;
    mcpsess_op op;
    open_writer(writer, &a, 7);
    append_waiting(writer, &a);
    memset(&r, 0, sizeof r);
    mcpsess_op_init(&op, 0);
    must(mcpsess_wait(&op,
                      mcpsess_stream_read(&reader->streams, &r, &op, MCPSESS_STR(SESSION), &nobody, mcpsess_str_z("7"),
                                          0, 0, reader->page, sizeof reader->page, now()),
                      &reader->hook));
    must(mcpsess_wait(&op, mcpsess_stream_next(&r, &op, &e, now()), &reader->hook));
    for (unsigned n = 0; n < changes; n++) took[n] = wake(writer, reader, &a, &r, apart_ms * n / changes + 2);
    qsort(took, changes, sizeof took[0], order);
    printf("  %-32s  %9u  %9.0f  %9.0f  %9.0f\n", name, changes, took[changes / 2], took[changes * 90 / 100],
           took[changes - 1]);
    fflush(stdout);
    mcpsess_stream_close(&r);
    close_writer(writer, &a);
    unmake(writer);
    unmake(reader);
}

static void measure_wakes(void) {
    printf("\nfrom the writer's OK until a waiting reader has the event, us\n  %-32s  %9s  %9s  %9s  %9s\n", "",
           "events", "median", "90%", "max");
    measure_wake("native, pushed", NATIVE, false, WAKES, 20);
    measure_wake("csharp-v1, pushed", CSHARP, false, WAKES, 20);
    measure_wake("native, RESP2, asks every second", NATIVE, true, POLLS, 980);
}

int main(int argc, char **argv) {
    static world w;
    if (argc != 2 && argc != 3) bench_stop("usage: streams PATH [PACKAGES]");
    path = argv[1];
    w.client = csharp_connect(path);
    w.has_node = argc == 3 && csharp_node_start(&w.node, path, "bench/streams.mjs", argv[2]);
    for (int layout = NATIVE; layout <= INDEXED; layout++) w.ours[layout] = make(layout, false);
    measure_appends(&w);
    measure_overlapping(&w);
    measure_replay(&w, 1, 50);
    measure_replay(&w, 100, 4);
    measure_replay(&w, 10000, 1);
    measure_bytes(&w);
    measure_wakes();
    return 0;
}
