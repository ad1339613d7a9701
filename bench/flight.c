/* Loading once, among processes, on a real server: how soon those that wait run, and how many commands a load costs,
   beside the commands of the original, which polls.
     flight PATH          of the server's socket */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#define _POSIX_C_SOURCE 200809L
#include "../examples/posix_transport.h"

#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { WAITERS = 64, WAKES = 200, POLLS = 30, LOADS = 5, DATA = 64, LOAD_MS = 250, POLL_MS = 100, LOCK_MS = 30000 };

static const char *path;

/* What the processes share. */
static struct shared {
    double running[WAITERS]; /* when each that waited went on */
    uint32_t loaders;        /* run by those that should have waited */
} * shared;

/* -- flights over a connection -- */

typedef struct ours {
    mcpsess_redis redis;
    mcpsess_redis_store native;
    mcpsess_store store;
    mcpsess_flights flights;
    sock sock;
    mcpsess_wait_hook hook;
    void *memory[2];
    /* of its loader */
    mcpsess_op loading;
    uint64_t loaded_ms;  /* when it is done */
    double begun, ended; /* when it was, in ns */
    bool may_load;
} ours;

static void must(int rc) {
    if (rc != MCPSESS_OK) bench_stop(mcpsess_redis_code_name(rc));
}

static uint64_t now(void) {
    return sock_now_ms(NULL);
}

static int loader_poll(mcpsess_op *op, uint64_t now_ms) {
    ours *o = mcpsess_op_object(op);
    if (now_ms < o->loaded_ms) return MCPSESS_PENDING;
    o->ended = bench_wall_ns();
    return mcpsess_op_end(op, MCPSESS_OK);
}

static void loader_cancel(mcpsess_op *op) {
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t loader_due(mcpsess_op *op, uint64_t now_ms) {
    (void)now_ms;
    return ((ours *)mcpsess_op_object(op))->loaded_ms;
}

static unsigned loader_want(mcpsess_op *op) {
    (void)op;
    return MCPSESS_WANT_TIME;
}

static mcpsess_op *load(void *user, const mcpsess_flight_job *job, uint64_t now_ms) {
    static const mcpsess_op_class cls = {loader_poll, loader_cancel, loader_due, loader_want};
    ours *o = user;
    (void)now_ms;
    if (!o->may_load) shared->loaders++;
    mcpsess_buf_put(job->data, MCPSESS_STR("what was loaded"));
    mcpsess_op_init(&o->loading, 0);
    if (mcpsess_op_begin(&o->loading, &cls, o) != MCPSESS_PENDING) return NULL;
    o->begun = bench_wall_ns();
    return &o->loading;
}

static void make_engine(ours *o, bool resp2) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    size_t len;
    sock_init(&o->sock, path, NULL);
    o->hook = sock_wait_hook(&o->sock);
    d.transport = sock_transport(&o->sock);
    d.slots = 8;
    d.tx_bytes = d.rx_bytes = 16384;
    d.tracking = MCPSESS_REDIS_TRACK_PREFIXES;
    d.resp2 = resp2;
    len = mcpsess_redis_bytes(&d);
    o->memory[0] = bench_alloc(len);
    must(mcpsess_redis_init(&o->redis, &d, o->memory[0], len));
}

static void rest(ours *o) {
    (void)o->hook.wait(o->hook.user, o->store.cls->want(o->store.self), o->store.cls->next_due(o->store.self, now()));
}

static ours *make(bool resp2) {
    ours *o = bench_alloc(sizeof *o);
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    mcpsess_flight_desc fd = mcpsess_flight_desc_default();
    size_t len;
    memset(o, 0, sizeof *o);
    make_engine(o, resp2);
    sd.redis = &o->redis;
    must(mcpsess_redis_store_init(&o->native, &sd));
    fd.store = o->store = mcpsess_redis_store_store(&o->native);
    fd.lanes = 4;
    fd.data_max = DATA;
    fd.load = load;
    fd.load_user = o;
    fd.random = sock_random;
    len = mcpsess_flight_bytes(&fd);
    o->memory[1] = bench_alloc(len);
    must(mcpsess_flight_init(&o->flights, &fd, o->memory[1], len));
    while (mcpsess_redis_poll(&o->redis, now()) == MCPSESS_PENDING) rest(o);
    return o;
}

static void unmake(ours *o) {
    mcpsess_redis_close(&o->redis);
    free(o->memory[0]);
    free(o->memory[1]);
    free(o);
}

/* -- who loads, and who waits: by a flight, or as the original does -- */

static mcpsess_str command(ours *o, const char *a, const char *b, const char *c, const char *e, const char *f,
                           const char *g) {
    static char bytes[65536];
    const char *const words[] = {a, b, c, e, f, g};
    mcpsess_str argv[6];
    mcpsess_buf reply;
    size_t n;
    for (n = 0; n < 6 && words[n] != NULL; n++) argv[n] = mcpsess_str_z(words[n]);
    mcpsess_buf_init(&reply, bytes, sizeof bytes - 1);
    must(mcpsess_redis_call(&o->redis, argv, n, &reply, &o->hook));
    return mcpsess_redis_text(mcpsess_buf_str(&reply));
}

static void sleep_ms(uint64_t ms) {
    const struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static const char flag[] = "MCP::ServersRegistry::PrivateServersLoadStatus:USER_PRIVATE_SERVERS_LOADED::u";
static const char lock[] = "MCP::ServersRegistry::PrivateServersLoadStatus:USER_PRIVATE_SERVERS_LOAD_LOCK::u";

static bool original_is_loaded(ours *o) {
    return command(o, "GET", flag, NULL, NULL, NULL, NULL).ptr != NULL;
}

static bool original_acquire(ours *o) {
    return command(o, "SET", lock, "1700000000000", "PX", "30000", "NX").ptr != NULL;
}

static void original_wait(ours *o) {
    if (original_is_loaded(o)) return;
    if (original_acquire(o)) bench_stop("the lock was free");
    while (!original_is_loaded(o)) sleep_ms(POLL_MS);
}

/* It has heard of all that was changed before, as a process has that is not asleep. */
static void ours_wait(ours *o) {
    mcpsess_op op;
    while (o->store.cls->hear(o->store.self, now()) == MCPSESS_PENDING) {
    }
    mcpsess_op_init(&op, 10000);
    o->may_load = false;
    must(mcpsess_wait(&op, mcpsess_flight_load(&o->flights, &op, MCPSESS_STR("u"), MCPSESS_STR("v1"), NULL, now()),
                      &o->hook));
}

/* -- processes that wait -- */

typedef struct crew {
    pid_t pids[WAITERS];
    int orders[WAITERS][2], reports[2];
    unsigned count;
} crew;

static void give(int fd, char c) {
    if (write(fd, &c, 1) != 1) bench_stop("a process is gone");
}

static char take(int fd) {
    char c = 'q';
    return read(fd, &c, 1) == 1 ? c : 'q';
}

/* Orders: o, f: wait as the original, or by a flight; q: end. It reports when it is connected, and each time. */
static void work(unsigned number, bool resp2, int orders, int reports) {
    ours *o = make(resp2);
    char order;
    give(reports, 'd');
    while ((order = take(orders)) != 'q') {
        if (order == 'o') original_wait(o);
        else ours_wait(o);
        shared->running[number] = bench_wall_ns();
        give(reports, 'd');
    }
    _exit(0);
}

static void crew_start(crew *c, unsigned count, bool resp2) {
    c->count = count;
    if (pipe(c->reports) != 0) bench_stop("no pipe");
    for (unsigned n = 0; n < count; n++) {
        if (pipe(c->orders[n]) != 0) bench_stop("no pipe");
        c->pids[n] = fork();
        if (c->pids[n] < 0) bench_stop("no process");
        if (c->pids[n] > 0) continue;
        for (unsigned k = 0; k <= n; k++) close(c->orders[k][1]);
        work(n, resp2, c->orders[n][0], c->reports[1]);
    }
    for (unsigned n = 0; n < count; n++) close(c->orders[n][0]);
    for (unsigned n = 0; n < count; n++) (void)take(c->reports[0]);
}

static void crew_order(crew *c, char order) {
    for (unsigned n = 0; n < c->count; n++) give(c->orders[n][1], order);
}

static void crew_done(crew *c) {
    for (unsigned n = 0; n < c->count; n++)
        if (take(c->reports[0]) != 'd') bench_stop("a process that waited has failed");
}

static void crew_stop(crew *c) {
    crew_order(c, 'q');
    for (unsigned n = 0; n < c->count; n++) {
        waitpid(c->pids[n], NULL, 0);
        close(c->orders[n][1]);
    }
    close(c->reports[0]);
    close(c->reports[1]);
}

/* -- a load, by the process that measures -- */

typedef struct times {
    double asked, answered; /* ns: when the flag's request left, and when it was answered */
} times;

/* The flag is as it was before anybody loaded; then this process loads for so long while the crew waits. */
static times load_ours(ours *o, crew *c, uint64_t load_ms, mcpsess_op *riders, unsigned rider_count) {
    mcpsess_op op;
    times t;
    int rc;
    o->may_load = true;
    o->begun = 0;
    o->loaded_ms = MCPSESS_NEVER;
    mcpsess_op_init(&op, 20000);
    rc = mcpsess_flight_load(&o->flights, &op, MCPSESS_STR("u"), MCPSESS_STR("v1"), NULL, now());
    while (rc == MCPSESS_PENDING && o->begun == 0) {
        rest(o);
        rc = mcpsess_poll(&op, now());
    }
    if (rc != MCPSESS_PENDING) bench_stop("it was loaded already");
    if (c != NULL) crew_order(c, 'f');
    for (unsigned n = 0; n < rider_count; n++) {
        mcpsess_op_init(&riders[n], 20000);
        (void)mcpsess_flight_load(&o->flights, &riders[n], MCPSESS_STR("u"), MCPSESS_STR("v1"), NULL, now());
    }
    o->loaded_ms = now() + load_ms;
    must(mcpsess_wait(&op, MCPSESS_PENDING, &o->hook));
    t.answered = bench_wall_ns();
    t.asked = o->ended;
    for (unsigned n = 0; n < rider_count; n++) must(mcpsess_op_rc(&riders[n]));
    if (c != NULL) crew_done(c);
    return t;
}

static times load_original(ours *o, crew *c, uint64_t load_ms) {
    times t;
    if (original_is_loaded(o) || !original_acquire(o)) bench_stop("it was loaded already");
    crew_order(c, 'o');
    sleep_ms(load_ms);
    t.asked = bench_wall_ns();
    (void)command(o, "SET", flag, "{\"value\":true,\"expires\":1700003600000}", "PX", "3600000", NULL);
    t.answered = bench_wall_ns();
    (void)command(o, "UNLINK", lock, NULL, NULL, NULL, NULL);
    crew_done(c);
    return t;
}

/* -- from the flag until a waiter runs -- */

static int order(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double row(const char *name, double *took, unsigned count) {
    qsort(took, count, sizeof took[0], order);
    printf("  %-42s  %6u  %9.0f  %9.0f  %9.0f\n", name, count, took[count / 2], took[count * 90 / 100],
           took[count - 1]);
    fflush(stdout);
    return took[count / 2];
}

/* One request of a flight, and its answer, after a rest as those have that are measured below. */
static double measure_round_trip(ours *o) {
    static double took[WAKES];
    for (unsigned n = 0; n < WAKES; n++) {
        mcpsess_flight_op op;
        double begun;
        sleep_ms(20 + n % 10);
        begun = bench_wall_ns();
        mcpsess_op_init(&op.op, 0);
        (void)mcpsess_wait(
            &op.op, mcpsess_flight_check(&o->flights, &op, MCPSESS_STR("u"), MCPSESS_STR("v1"), NULL, now()), &o->hook);
        took[n] = (bench_wall_ns() - begun) / 1000;
    }
    return row("a round trip: is it loaded?", took, WAKES);
}

static void measure_wakes(ours *o, bool resp2, double round_trip) {
    static double asked[WAKES], answered[WAKES];
    const unsigned count = resp2 ? POLLS : WAKES;
    double median[2];
    crew c;
    crew_start(&c, 1, resp2);
    for (unsigned n = 0; n < count; n++) {
        times t;
        (void)command(o, "FLUSHALL", NULL, NULL, NULL, NULL, NULL);
        sleep_ms(2);
        t = load_ours(o, &c, 20 + (resp2 ? n * POLL_MS / count : n % 10), NULL, 0);
        asked[n] = (shared->running[0] - t.asked) / 1000;
        answered[n] = (shared->running[0] - t.answered) / 1000;
        if (answered[n] < 0) answered[n] = 0;
    }
    crew_stop(&c);
    median[0] = row(resp2 ? "RESP2, asks: since the flag's request" : "pushed: since the flag's request", asked, count);
    median[1] = row(resp2 ? "  since its answer" : "  since its answer", answered, count);
    if (!resp2)
        printf("  pushed, in round trips (to reach: 2): %.2f since the request, %.2f since the answer\n",
               median[0] / round_trip, median[1] / round_trip);
}

static void measure_original_wakes(ours *o) {
    static double took[POLLS];
    crew c;
    crew_start(&c, 1, false);
    for (unsigned n = 0; n < POLLS; n++) {
        times t;
        (void)command(o, "FLUSHALL", NULL, NULL, NULL, NULL, NULL);
        t = load_original(o, &c, POLL_MS + n * POLL_MS / POLLS);
        took[n] = (shared->running[0] - t.answered) / 1000;
        if (took[n] < 0) took[n] = 0;
    }
    crew_stop(&c);
    (void)row("the original, each 100 ms: since its answer", took, POLLS);
}

/* -- commands of a load -- */

/* Those that clients sent: of ours each is a script, and what scripts do counts as well, but is no command sent. */
static double commands(ours *o, const char *const *names) {
    mcpsess_str text = command(o, "INFO", "commandstats", NULL, NULL, NULL, NULL);
    double sum = 0;
    for (; *names != NULL; names++) {
        char field[48];
        const char *at;
        snprintf(field, sizeof field, "cmdstat_%s:calls=", *names);
        at = text.ptr == NULL ? NULL : strstr(text.ptr, field);
        if (at != NULL) sum += (double)strtoull(at + strlen(field), NULL, 10);
    }
    return sum;
}

static double commands_of(ours *o, unsigned waiters, int way) {
    static const char *const scripts[] = {"evalsha", NULL}, *const plain[] = {"get", "set", "unlink", NULL};
    static mcpsess_op riders[WAITERS];
    double sum = 0;
    crew c;
    if (way != 1) crew_start(&c, waiters, false);
    for (unsigned n = 0; n < LOADS; n++) {
        (void)command(o, "FLUSHALL", NULL, NULL, NULL, NULL, NULL);
        sleep_ms(5);
        (void)command(o, "CONFIG", "RESETSTAT", NULL, NULL, NULL, NULL);
        if (way == 0) (void)load_ours(o, &c, LOAD_MS, NULL, 0);
        else if (way == 1) (void)load_ours(o, NULL, LOAD_MS, riders, waiters);
        else (void)load_original(o, &c, LOAD_MS);
        sum += commands(o, way == 2 ? plain : scripts);
    }
    if (way != 1) crew_stop(&c);
    return sum / LOADS;
}

static void measure_commands(ours *o) {
    static const unsigned waiters[] = {1, 8, 64};
    printf("\ncommands of a load of %d ms, which others wait for\n  %-12s  %18s  %18s  %18s\n", LOAD_MS, "",
           "flight, each apart", "flight, in one", "original, apart");
    for (size_t n = 0; n < sizeof waiters / sizeof waiters[0]; n++) {
        char name[24];
        snprintf(name, sizeof name, "%u waiter%s", waiters[n], waiters[n] == 1 ? "" : "s");
        printf("  %-12s  %18.1f  %18.1f  %18.1f\n", name, commands_of(o, waiters[n], 0), commands_of(o, waiters[n], 1),
               commands_of(o, waiters[n], 2));
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    ours *o;
    double round_trip;
    if (argc != 2) bench_stop("usage: flight PATH");
    path = argv[1];
    signal(SIGPIPE, SIG_IGN);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) bench_stop("out of memory");
    o = make(false);
    printf("\nfrom the flag until a process that waits for it runs, us\n  %-42s  %6s  %9s  %9s  %9s\n", "", "times",
           "median", "90%", "max");
    round_trip = measure_round_trip(o);
    measure_wakes(o, false, round_trip);
    measure_wakes(o, true, round_trip);
    measure_original_wakes(o);
    measure_commands(o);
    if (shared->loaders != 0) bench_stop("it was loaded more than once");
    unmake(o);
    return 0;
}
