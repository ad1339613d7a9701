/* What coherence costs, and how soon it tells, on a real server.
     coherence coherent|pushes PATH          of the server's socket */
#include "side.h"

#include <stdlib.h>

enum { KNOWN = 100, HITS = 100000, CHANGES = 1000, REVALIDATE_MS = 50 };
enum { DEVICES = 8, OWN = 10, SECONDS = 4, WRITES_PER_S = 400, LOADS_PER_S = 50 };

static char ids[KNOWN][BENCH_UUID];
static const char *path;

static mcpsess_str id_of(size_t n) {
    return mcpsess_str_of(ids[n % KNOWN], BENCH_UUID);
}

static side *make(uint8_t tracking, bool resp2) {
    side_desc d;
    memset(&d, 0, sizeof d);
    d.path = path;
    d.capacity = KNOWN;
    d.depth = 2;
    d.tracking = tracking;
    d.resp2 = resp2;
    d.revalidate_ms = resp2 ? REVALIDATE_MS : 0;
    return side_make(&d);
}

static void fill(void) {
    side *writer = make(MCPSESS_REDIS_TRACK_OFF, false);
    for (size_t n = 0; n < KNOWN; n++) {
        bench_uuid(ids[n]);
        side_store(writer, id_of(n), 0);
    }
    side_free(writer);
}

/* -- a hit -- */

static void hit_round(mcpsess_sessions *table, size_t count) {
    static const mcpsess_principal nobody;
    char bytes[SIDE_RECORD_MAX];
    mcpsess_op op;
    mcpsess_op_init(&op, 0);
    for (size_t n = 0; n < count; n++) {
        mcpsess_buf out;
        mcpsess_buf_init(&out, bytes, sizeof bytes);
        if (mcpsess_session_load(table, &op, id_of(n), &nobody, &out, sock_now_ms(NULL)) != MCPSESS_OK)
            bench_stop("not a hit");
    }
}

static double ns_per_hit(mcpsess_sessions *table) {
    const double start = bench_cpu_ns();
    hit_round(table, HITS);
    return (bench_cpu_ns() - start) / HITS;
}

static double ns_per_hearing(mcpsess_redis *redis) {
    const double start = bench_cpu_ns();
    for (size_t n = 0; n < HITS / 10; n++) (void)mcpsess_redis_hear(redis, sock_now_ms(NULL));
    return (bench_cpu_ns() - start) / (HITS / 10);
}

/* The same sessions in a table before a store in RAM, which nobody else writes to. */
static mcpsess_sessions *make_plain(void) {
    static mcpsess_memstore store;
    static mcpsess_sessions table;
    mcpsess_memstore_desc m = mcpsess_memstore_desc_default();
    mcpsess_session_desc d = mcpsess_session_desc_default();
    m.records = d.capacity = KNOWN;
    m.value_max = d.slot_max = d.record_max = SIDE_RECORD_MAX;
    d.lanes = 1;
    if (mcpsess_memstore_init(&store, &m, bench_alloc(mcpsess_memstore_bytes(&m)), mcpsess_memstore_bytes(&m)) != 0)
        bench_stop("memstore");
    d.store = mcpsess_memstore_store(&store);
    if (mcpsess_session_init(&table, &d, bench_alloc(mcpsess_session_bytes(&d)), mcpsess_session_bytes(&d)) != 0)
        bench_stop("table");
    for (size_t n = 0; n < KNOWN; n++) {
        side_op o;
        side_record(&o, id_of(n), 0);
        if (mcpsess_session_store(&table, &o.op, mcpsess_buf_str(&o.out), sock_now_ms(NULL)) != MCPSESS_OK)
            bench_stop("store");
    }
    return &table;
}

static void measure_hits(void) {
    static bench_series plain = {"hit, store in RAM", {0}}, coherent = {"hit, coherent", {0}},
                        heard = {"one listening, nothing there", {0}};
    mcpsess_sessions *alone = make_plain();
    side *s = make(MCPSESS_REDIS_TRACK_KEYS, false);
    const mcpsess_session_stats *stats = &s->table.stats;
    for (size_t n = 0; n < 2 * KNOWN; n++) (void)side_load(s, id_of(n));
    memset(&s->table.stats, 0, sizeof s->table.stats);
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        plain.round[r] = ns_per_hit(alone);
        coherent.round[r] = ns_per_hit(&s->table);
        heard.round[r] = ns_per_hearing(&s->redis);
    }
    if (stats->requests != 0) bench_stop("a coherent hit was a request");
    bench_title("session hit, with the clock read for each", "ns", "/RAM");
    bench_row(&plain, NULL);
    bench_row(&coherent, &plain);
    bench_row(&heard, &plain);
    printf("  %u hits, listened %u times: %.0f hits each\n", stats->local_hits, stats->hears,
           (double)stats->local_hits / stats->hears);
    side_free(s);
}

/* -- how soon a change is seen -- */

typedef struct watch {
    const char *name;
    uint8_t tracking;
    bool resp2;
    bool watched; /* an event loop takes in what arrives; else only loads do */
    size_t changes;
} watch;

/* One turn of the event loop of both. */
static void turn(const watch *w, side *writer, side *reader) {
    struct pollfd fds[2] = {{writer->sock.fd, POLLIN, 0}, {reader->sock.fd, POLLIN, 0}};
    (void)poll(fds, 2, 0);
    if (fds[0].revents != 0) (void)mcpsess_redis_poll(&writer->redis, side_now(writer));
    if (fds[1].revents != 0 && w->watched) (void)mcpsess_redis_poll(&reader->redis, side_now(reader));
}

/* Goes on with a load, or begins the next. -> as mcpsess_session_load */
static int step(side *s, side_op *o, int rc) {
    return rc == MCPSESS_PENDING ? mcpsess_poll(&o->op, side_now(s)) : side_load_begin(s, o, id_of(0));
}

/* -> us from the writer's OK to the reader's first load that gives the new version; 0: it came before */
static double see(const watch *w, side *writer, side *reader, uint64_t version) {
    static side_op change, load;
    int changing = side_store_begin(writer, &change, id_of(0), version), loading = MCPSESS_OK;
    double written = 0, seen = 0;
    while (written == 0 || seen == 0) {
        turn(w, writer, reader);
        if (changing == MCPSESS_PENDING) changing = mcpsess_poll(&change.op, side_now(writer));
        if (changing == MCPSESS_OK && written == 0) written = bench_wall_ns();
        loading = step(reader, &load, loading);
        if (loading < 0 || changing < 0) bench_stop("a request failed");
        if (loading == MCPSESS_OK && side_version(&load) == version && seen == 0) seen = bench_wall_ns();
    }
    while (loading == MCPSESS_PENDING) loading = step(reader, &load, loading);
    return seen > written ? (seen - written) / 1000 : 0;
}

static int order(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void rest(double us) {
    const double until = bench_wall_ns() + us * 1000;
    while (bench_wall_ns() < until) (void)poll(NULL, 0, 1);
}

static void measure_staleness(const watch *w) {
    static double took[CHANGES];
    static uint64_t version;
    side *writer = make(MCPSESS_REDIS_TRACK_OFF, false), *reader = make(w->tracking, w->resp2);
    for (size_t n = 0; n < w->changes; n++) {
        while (side_load(reader, id_of(0)) != version) (void)poll(NULL, 0, 1);
        rest((double)(bench_random() % (w->resp2 ? 1000 * REVALIDATE_MS : 1000)));
        took[n] = see(w, writer, reader, ++version);
    }
    qsort(took, w->changes, sizeof took[0], order);
    printf("  %-32s  %9zu  %9.0f  %9.0f  %9.0f  %9.0f\n", w->name, w->changes, took[w->changes / 2],
           took[w->changes * 90 / 100], took[w->changes * 99 / 100], took[w->changes - 1]);
    fflush(stdout);
    version++;
    side_store(writer, id_of(0), version);
    side_free(writer);
    side_free(reader);
}

static void measure_coherent(void) {
    static const watch watches[] = {{"keys tracked", MCPSESS_REDIS_TRACK_KEYS, false, true, CHANGES},
                                    {"prefixes tracked", MCPSESS_REDIS_TRACK_PREFIXES, false, true, CHANGES},
                                    {"keys, heard by loads alone", MCPSESS_REDIS_TRACK_KEYS, false, false, CHANGES},
                                    {"RESP2, asked every 50 ms", MCPSESS_REDIS_TRACK_KEYS, true, true, CHANGES / 10}};
    measure_hits();
    printf("\nfrom the writer's OK to the first load elsewhere that gives the new record, us\n"
           "  %-32s  %9s  %9s  %9s  %9s  %9s\n",
           "", "changes", "median", "90%", "99%", "max");
    for (size_t n = 0; n < sizeof watches / sizeof watches[0]; n++) measure_staleness(&watches[n]);
}

/* -- what a device receives while a fleet writes -- */

typedef struct totals {
    uint64_t received, pushed;
    uint32_t requests;
} totals;

/* Of one device so far. A reply to a load has always the same length. */
static totals totals_of(const side *s, uint64_t reply_bytes) {
    const mcpsess_redis_stats *stats = &s->redis.stats;
    totals t;
    t.requests = s->table.stats.requests;
    t.received = stats->bytes_received;
    t.pushed = t.received - t.requests * reply_bytes - stats->pings * (sizeof "+PONG\r\n" - 1);
    return t;
}

static uint64_t reply_bytes_of(side *s) {
    const uint64_t before = s->redis.stats.bytes_received;
    (void)side_load(s, id_of(KNOWN - 1));
    return s->redis.stats.bytes_received - before;
}

static void take_in(side *const *devices) {
    struct pollfd fds[DEVICES];
    for (size_t n = 0; n < DEVICES; n++) {
        fds[n].fd = devices[n]->sock.fd;
        fds[n].events = POLLIN;
    }
    (void)poll(fds, DEVICES, 1);
    for (size_t n = 0; n < DEVICES; n++) {
        if (fds[n].revents != 0) (void)mcpsess_redis_poll(&devices[n]->redis, side_now(devices[n]));
    }
}

/* Each device loads its own sessions, the fleet's are written, both at their rates. -> seconds */
static double live(side *writer, side *const *devices, size_t writes) {
    const double start = bench_wall_ns();
    size_t written = 0, loaded = 0;
    while (written < writes) {
        const double seconds = (bench_wall_ns() - start) / 1e9;
        for (; written < writes && (double)written < seconds * WRITES_PER_S; written++)
            side_store(writer, id_of(bench_random() % (DEVICES * OWN)), written);
        for (; (double)loaded < seconds * LOADS_PER_S * DEVICES; loaded++)
            (void)side_load(devices[loaded % DEVICES], id_of(loaded % DEVICES * OWN + bench_random() % OWN));
        take_in(devices);
    }
    return (bench_wall_ns() - start) / 1e9;
}

static void measure_fleet(const char *name, uint8_t tracking) {
    const size_t writes = (size_t)SECONDS * WRITES_PER_S;
    side *writer = make(MCPSESS_REDIS_TRACK_OFF, false), *devices[DEVICES];
    const uint64_t reply_bytes = reply_bytes_of(writer);
    totals sum = {0, 0, 0}, before[DEVICES];
    double seconds;
    for (size_t n = 0; n < DEVICES; n++) devices[n] = make(tracking, false);
    (void)live(writer, devices, WRITES_PER_S); /* so that all is known */
    for (size_t n = 0; n < DEVICES; n++) before[n] = totals_of(devices[n], reply_bytes);
    seconds = live(writer, devices, writes);
    for (size_t n = 0; n < DEVICES; n++) {
        const totals t = totals_of(devices[n], reply_bytes);
        sum.received += t.received - before[n].received;
        sum.pushed += t.pushed - before[n].pushed;
        sum.requests += t.requests - before[n].requests;
        side_free(devices[n]);
    }
    printf("  %-32s  %9.0f  %9.0f  %9.2f  %9.1f\n", name, (double)sum.received / seconds / DEVICES,
           (double)sum.pushed / seconds / DEVICES, (double)sum.pushed / (double)writes / DEVICES,
           sum.requests / seconds / DEVICES);
    fflush(stdout);
    side_free(writer);
}

static void measure_pushes(void) {
    printf("\npushes: %d devices, each loads one of its %d sessions %d times a second; %d writes a second to all %d\n"
           "  %-32s  %9s  %9s  %9s  %9s\n",
           DEVICES, OWN, LOADS_PER_S, WRITES_PER_S, DEVICES * OWN, "of one device", "bytes/s", "pushed/s", "per write",
           "asked/s");
    measure_fleet("not tracked, asked every second", MCPSESS_REDIS_TRACK_OFF);
    measure_fleet("keys tracked", MCPSESS_REDIS_TRACK_KEYS);
    measure_fleet("prefixes tracked", MCPSESS_REDIS_TRACK_PREFIXES);
}

int main(int argc, char **argv) {
    if (argc != 3) bench_stop("usage: coherence coherent|pushes PATH");
    path = argv[2];
    fill();
    if (strcmp(argv[1], "coherent") == 0) measure_coherent();
    else measure_pushes();
    return 0;
}
