/* What one round trip costs, and many at once, on a real server: beside the bare command and redis-benchmark.
     redis PATH          of the server's socket */
#include "side.h"

#include <stdlib.h>

enum { KNOWN = 4000, LOADS = 50, TURNS = 40, REPLY_MAX = 1024, DEPTH_MAX = 64, ROUND_REQUESTS = 20000 };

static char ids[KNOWN][BENCH_UUID];

static mcpsess_str id_of(size_t n) {
    return mcpsess_str_of(ids[n % KNOWN], BENCH_UUID);
}

/* -- the bare command: its bytes sent, as many received as its reply has -- */

typedef struct bare {
    int fd;
    bool waits; /* with poll, as a socket that does not block must */
    char (*commands)[SIDE_COMMAND_MAX]; /* a load of each known session */
    size_t lens[KNOWN], reply_len;
} bare;

static void bare_connect(bare *b, const char *path, bool waits) {
    struct sockaddr_un to;
    memset(&to, 0, sizeof to);
    to.sun_family = AF_UNIX;
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    b->waits = waits;
    b->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (b->fd < 0 || connect(b->fd, (const struct sockaddr *)&to, sizeof to) != 0) bench_stop("cannot connect");
    if (waits && fcntl(b->fd, F_SETFL, O_NONBLOCK) != 0) bench_stop("fcntl");
}

static void bare_send(const bare *b, size_t n) {
    if (send(b->fd, b->commands[n], b->lens[n], MSG_NOSIGNAL) != (ssize_t)b->lens[n]) bench_stop("send");
}

static void bare_receive(const bare *b) {
    char reply[REPLY_MAX];
    size_t got = 0;
    while (got < b->reply_len) {
        struct pollfd p = {b->fd, POLLIN, 0};
        ssize_t n;
        if (b->waits && poll(&p, 1, -1) < 0) bench_stop("poll");
        n = recv(b->fd, reply, sizeof reply, 0);
        if (n <= 0 || reply[0] != '*') bench_stop("recv");
        got += (size_t)n;
    }
}

static void bare_round(void *self, size_t from) {
    const bare *b = self;
    for (size_t n = 0; n < LOADS; n++) {
        bare_send(b, (from + n) % KNOWN);
        bare_receive(b);
    }
}

static void load_round(void *self, size_t from) {
    side *s = self;
    for (size_t n = 0; n < LOADS; n++) {
        if (side_load(s, id_of(from + n)) != (from + n) % KNOWN) bench_stop("another session came back");
    }
}

/* What a load of each session sends, and how long its reply is. */
static void record_commands(bare *b, side *s) {
    b->commands = bench_alloc(sizeof *b->commands * KNOWN);
    for (size_t n = 0; n < KNOWN; n++) {
        const uint64_t before = s->redis.stats.bytes_received;
        (void)side_load(s, id_of(n));
        memcpy(b->commands[n], s->sent, b->lens[n] = s->sent_len);
        b->reply_len = (size_t)(s->redis.stats.bytes_received - before);
    }
}

static side *make(const char *path, uint8_t tracking, uint16_t depth) {
    side_desc d;
    memset(&d, 0, sizeof d);
    d.path = path;
    d.tracking = tracking;
    d.capacity = 1000; /* of KNOWN, taken in turn: none is found */
    d.depth = depth;
    return side_make(&d);
}

typedef struct candidate {
    void (*run)(void *self, size_t from);
    void *self;
    bench_series row;
} candidate;

/* A round is many short turns: what else the machine does lasts longer than one. Each has sessions of its own in each,
   so that none finds the server's caches as another left them. */
static void load_rounds(candidate *all, size_t count) {
    for (size_t turn = 0; turn < BENCH_ROUNDS * TURNS; turn++) {
        for (size_t n = 0; n < count; n++) {
            const double start = bench_wall_ns();
            all[n].run(all[n].self, turn * LOADS + n * KNOWN / count);
            all[n].row.round[turn / TURNS] += (bench_wall_ns() - start) / 1000 / LOADS / TURNS;
        }
    }
}

static void measure_load(const char *path) {
    static bare blocking, waiting;
    side *off = make(path, MCPSESS_REDIS_TRACK_OFF, 1), *keys = make(path, MCPSESS_REDIS_TRACK_KEYS, 1);
    static candidate all[4] = {{bare_round, &blocking, {"bare command, blocking socket", {0}}},
                               {bare_round, &waiting, {"the same, poll before recv", {0}}},
                               {load_round, NULL, {"mcpsess_session_load, a miss", {0}}},
                               {load_round, NULL, {"the same, keys tracked", {0}}}};
    uint64_t sends;
    record_commands(&blocking, off);
    waiting = blocking;
    bare_connect(&blocking, path, false);
    bare_connect(&waiting, path, true);
    all[2].self = off;
    all[3].self = keys;
    sends = off->sends;
    load_rounds(all, 4);
    bench_title("session load over a Unix socket, one at a time", "us", "/bare");
    bench_row(&all[0].row, NULL);
    for (size_t n = 1; n < 4; n++) bench_row(&all[n].row, &all[0].row);
    printf("  round trips of %d loads: %llu\n", BENCH_ROUNDS * TURNS * LOADS, (unsigned long long)(off->sends - sends));
    side_free(off);
    side_free(keys);
}

/* -- many at once -- */

typedef struct slot {
    mcpsess_request request;
    mcpsess_buf out;
    char bytes[SIDE_RECORD_MAX];
} slot;

static void begin(slot *t, const mcpsess_store *store, uint64_t now_ms) {
    mcpsess_buf_init(&t->out, t->bytes, sizeof t->bytes);
    memset(&t->request, 0, sizeof t->request);
    t->request.kind = MCPSESS_GET;
    t->request.key = id_of(0);
    t->request.ttl_ms = 1800000;
    t->request.out = &t->out;
    (void)store->cls->submit(store->self, &t->request, now_ms);
}

/* Keeps `depth` requests under way until `count` were begun, and all are done. */
static void pipeline(side *s, size_t depth, size_t count) {
    static slot slots[DEPTH_MAX];
    const mcpsess_store store = mcpsess_redis_store_store(&s->store);
    size_t begun = 0, done = 0;
    for (; begun < depth; begun++) begin(&slots[begun], &store, side_now(s));
    while (done < count) {
        const size_t before = done;
        const uint64_t now_ms = side_now(s);
        store.cls->poll(store.self, now_ms);
        for (size_t n = 0; n < depth; n++) {
            if (slots[n].request.rc == MCPSESS_PENDING || slots[n].out.len == 0) continue;
            if (slots[n].request.rc != MCPSESS_OK) bench_stop("a request failed");
            slots[n].out.len = 0;
            done++;
            if (begun++ < count) begin(&slots[n], &store, now_ms);
        }
        if (done == before)
            s->hook.wait(s->hook.user, store.cls->want(store.self), store.cls->next_due(store.self, now_ms));
    }
}

/* The last command that was sent, as a shell's words. */
static void put_words(const side *s, mcpsess_buf *out) {
    mcpsess_str in = mcpsess_str_of(s->sent, s->sent_len);
    mcpsess_resp_item item;
    mcpsess_resp d;
    mcpsess_resp_init(&d, NULL);
    while (mcpsess_resp_next(&d, &in, &item) == MCPSESS_OK) {
        if (item.type != MCPSESS_RESP_BULK) continue;
        mcpsess_buf_put(out, MCPSESS_STR(" '"));
        mcpsess_buf_put(out, item.text);
        mcpsess_buf_put_char(out, '\'');
        if (item.ends) break;
    }
    mcpsess_buf_put_char(out, '\0');
}

/* -> us per request, by redis-benchmark's own account; 0: it cannot be run */
static double benchmark(const char *path, const char *words, size_t depth, size_t count) {
    char command[3 * SIDE_COMMAND_MAX], line[2 * SIDE_COMMAND_MAX];
    double per_second = 0;
    FILE *f;
    snprintf(command, sizeof command, "redis-benchmark -s %s -c 1 -P %zu -n %zu --csv%s 2>/dev/null", path, depth,
             count, words);
    f = popen(command, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char *number = strstr(line, "\",\"");
        if (strncmp(line, "\"EVALSHA", 8) == 0 && number != NULL) per_second = strtod(number + 3, NULL);
    }
    if (f != NULL) pclose(f);
    return per_second > 0 ? 1e6 / per_second : 0;
}

static void measure_pipeline(const char *path, size_t depth) {
    static char words[2 * SIDE_COMMAND_MAX];
    const size_t count = depth == 1 ? ROUND_REQUESTS / 2 : ROUND_REQUESTS * 2;
    bench_series ours = {"store GET, mcpsess", {0}}, theirs = {"redis-benchmark, the same EVALSHA", {0}};
    side *s = make(path, MCPSESS_REDIS_TRACK_OFF, (uint16_t)depth);
    char title[80];
    mcpsess_buf b;
    pipeline(s, 1, 1);
    mcpsess_buf_init(&b, words, sizeof words);
    put_words(s, &b);
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        const double start = bench_wall_ns();
        pipeline(s, depth, count);
        ours.round[r] = (bench_wall_ns() - start) / 1000 / (double)count;
        theirs.round[r] = benchmark(path, words, depth, count);
        if (theirs.round[r] <= 0) bench_stop("redis-benchmark says nothing");
    }
    snprintf(title, sizeof title, "one connection, %zu under way", depth);
    bench_title(title, "us", "/mcpsess");
    bench_row(&ours, NULL);
    bench_row(&theirs, &ours);
    side_free(s);
}

int main(int argc, char **argv) {
    side *writer;
    if (argc != 2) bench_stop("usage: redis PATH");
    writer = make(argv[1], MCPSESS_REDIS_TRACK_OFF, 1);
    for (size_t n = 0; n < KNOWN; n++) {
        bench_uuid(ids[n]);
        side_store(writer, id_of(n), n);
    }
    measure_load(argv[1]);
    for (size_t depth = 1; depth <= DEPTH_MAX; depth *= depth == 1 ? 16 : 4) measure_pipeline(argv[1], depth);
    side_free(writer);
    return 0;
}
