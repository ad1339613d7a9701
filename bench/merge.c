/* Updates of one record by several at once, each over a connection of its own, on a real server: what one costs, and
   what is lost.   merge PATH          of the server's socket

   All add to the same number. Theirs are plain clients of the server over sockets that block, with a value as long as
   our record: read and write back, as ToolHive does it (GETEX, then SET), and the same within WATCH, MULTI, EXEC, begun
   again when somebody else was faster. One thread drives all of them. */
#include "side.h"

#include <stdlib.h>

enum { CLIENTS_MAX = 8, UPDATES = 400, VALUE = 120, REPLY_MAX = 1024 };

static const mcpsess_str id = {"one", 3};
static const mcpsess_principal nobody;
static const char *path;

/* -- ours -- */

typedef struct counter {
    side *s;
    mcpsess_merge_op m;
    char mem[MCPSESS_MERGE_BYTES(SIDE_RECORD_MAX)];
    int rc;
} counter;

static counter counters[CLIENTS_MAX];

static uint64_t number_in(mcpsess_str bytes) {
    mcpsess_record r;
    mcpsess_str text;
    uint64_t n = 0;
    if (mcpsess_record_decode(bytes, &r) != MCPSESS_OK) bench_stop("no record");
    if (mcpsess_record_get(&r, MCPSESS_STR("n"), &text) == MCPSESS_OK) (void)mcpsess_u64_decode(text, INT64_MAX, &n);
    return n;
}

static int add_one(void *user, mcpsess_buf *record) {
    char digits[24];
    mcpsess_buf b;
    (void)user;
    mcpsess_buf_init(&b, digits, sizeof digits);
    mcpsess_buf_put_u64(&b, number_in(mcpsess_buf_str(record)) + 1);
    return mcpsess_record_put(record, MCPSESS_STR("n"), mcpsess_buf_str(&b));
}

static int begin(counter *c) {
    static const mcpsess_merge how = {add_one, NULL, false};
    mcpsess_op_init(&c->m.op, 60000);
    return mcpsess_session_merge(&c->s->table, &c->m, id, &nobody, &how, c->mem, sizeof c->mem, side_now(c->s));
}

static void await(size_t clients) {
    struct pollfd fds[CLIENTS_MAX];
    int timeout = 1000;
    for (size_t n = 0; n < clients; n++) {
        fds[n].fd = counters[n].s->sock.fd;
        fds[n].events = POLLIN;
        if (counters[n].rc != MCPSESS_PENDING || (mcpsess_want(&counters[n].m.op) & MCPSESS_WANT_NOW) != 0) timeout = 0;
    }
    (void)poll(fds, clients, timeout);
}

static uint64_t count_there(void) {
    side_op o;
    mcpsess_op_init(&o.op, 0);
    (void)mcpsess_session_mark(&counters[0].s->table, id);
    if (mcpsess_wait(&o.op, side_load_begin(counters[0].s, &o, id), &counters[0].s->hook) != MCPSESS_OK)
        bench_stop("a load failed");
    return number_in(mcpsess_buf_str(&o.out));
}

/* -> us per update */
static double ours(size_t clients, uint8_t tracking, uint32_t *conflicts) {
    size_t begun = 0, done = 0;
    double start;
    for (size_t n = 0; n < clients; n++) {
        side_desc d;
        memset(&d, 0, sizeof d);
        d.path = path;
        d.capacity = 4;
        d.depth = 2;
        d.tracking = tracking;
        counters[n].s = side_make(&d);
        counters[n].rc = MCPSESS_OK;
    }
    side_store(counters[0].s, id, 0);
    start = bench_wall_ns();
    while (done < UPDATES) {
        for (size_t n = 0; n < clients; n++) {
            counter *c = &counters[n];
            const bool busy = c->rc == MCPSESS_PENDING;
            if (busy) c->rc = mcpsess_poll(&c->m.op, side_now(c->s));
            if (busy && c->rc == MCPSESS_OK) done++;
            while (c->rc == MCPSESS_OK && begun < UPDATES) {
                begun++;
                c->rc = begin(c);
                if (c->rc == MCPSESS_OK) done++;
            }
            if (c->rc < 0) bench_stop(mcpsess_redis_code_name(c->rc));
        }
        if (done < UPDATES) await(clients);
    }
    start = bench_wall_ns() - start;
    if (count_there() != UPDATES) bench_stop("an update was lost");
    for (size_t n = 0; n < clients; n++) {
        *conflicts += counters[n].s->table.stats.conflicts;
        side_free(counters[n].s);
    }
    return start / UPDATES / 1000;
}

/* -- theirs -- */

typedef struct client {
    int fd;
    char reply[REPLY_MAX];
    size_t len;
    unsigned replies; /* to come; 0: idle */
    bool writing;
} client;

static client clients_at[CLIENTS_MAX];

static void send_text(client *c, const char *text, size_t len, unsigned replies) {
    if (write(c->fd, text, len) != (ssize_t)len) bench_stop("a command was not taken");
    c->len = 0;
    c->replies = replies;
}

/* Are all replies there? Each is a line, a bulk string, or an array of those. */
static bool complete(const client *c) {
    size_t at = 0;
    for (unsigned more = c->replies; more > 0; more--) {
        const char *end = memchr(c->reply + at, '\r', c->len - at);
        long n;
        if (end == NULL || (size_t)(end + 2 - c->reply) > c->len) return false;
        n = strtol(c->reply + at + 1, NULL, 10);
        if (c->reply[at] == '-') bench_stop("the server refused");
        if (c->reply[at] == '*' && n > 0) more += (unsigned)n;
        if (c->reply[at] == '$' && n >= 0) end += n + 2;
        at = (size_t)(end + 2 - c->reply);
        if (at > c->len) return false;
    }
    return true;
}

static void take(client *c) {
    const ssize_t got = read(c->fd, c->reply + c->len, sizeof c->reply - c->len);
    if (got <= 0) bench_stop("a connection was closed");
    c->len += (size_t)got;
}

static const char read_plain[] = "*4\r\n$5\r\ngetex\r\n$1\r\nk\r\n$2\r\nex\r\n$4\r\n1800\r\n";
static const char read_watched[] = "*2\r\n$5\r\nwatch\r\n$1\r\nk\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\n";

static void ask(client *c, bool watched) {
    c->writing = false;
    if (watched) send_text(c, read_watched, sizeof read_watched - 1, 2);
    else send_text(c, read_plain, sizeof read_plain - 1, 1);
}

static size_t set_command(char *to, size_t size, unsigned long n) {
    return (size_t)snprintf(to, size, "*5\r\n$3\r\nset\r\n$1\r\nk\r\n$%d\r\n%0*lu\r\n$2\r\nex\r\n$4\r\n1800\r\n", VALUE,
                            VALUE, n);
}

/* The value is the last VALUE bytes of the reply. */
static void answer(client *c, bool watched) {
    char text[512];
    size_t len = 0;
    c->reply[c->len - 2] = '\0';
    if (watched) len = (size_t)snprintf(text, sizeof text, "*1\r\n$5\r\nmulti\r\n");
    len += set_command(text + len, sizeof text - len, strtoul(c->reply + c->len - 2 - VALUE, NULL, 10) + 1);
    if (watched) len += (size_t)snprintf(text + len, sizeof text - len, "*1\r\n$4\r\nexec\r\n");
    c->writing = true;
    send_text(c, text, len, watched ? 3 : 1);
}

static bool lost_the_race(const client *c) {
    return c->len >= 5 && memcmp(c->reply + c->len - 5, "*-1\r\n", 5) == 0;
}

/* -> is an update done? */
static bool go_on(client *c, bool watched, uint32_t *conflicts) {
    take(c);
    if (!complete(c)) return false;
    if (!c->writing) {
        answer(c, watched);
        return false;
    }
    if (watched && lost_the_race(c)) {
        (*conflicts)++;
        ask(c, watched);
        return false;
    }
    c->replies = 0;
    return true;
}

static unsigned long value_there(client *c) {
    ask(c, false);
    do take(c);
    while (!complete(c));
    c->reply[c->len - 2] = '\0';
    return strtoul(c->reply + c->len - 2 - VALUE, NULL, 10);
}

static void connect_all(size_t clients) {
    char text[512];
    for (size_t n = 0; n < clients; n++) {
        struct sockaddr_un a;
        memset(&a, 0, sizeof a);
        a.sun_family = AF_UNIX;
        snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
        clients_at[n].fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(clients_at[n].fd, (struct sockaddr *)&a, sizeof a) != 0) bench_stop("cannot connect");
        clients_at[n].replies = 0;
    }
    send_text(&clients_at[0], text, set_command(text, sizeof text, 0), 1);
    do take(&clients_at[0]);
    while (!complete(&clients_at[0]));
    clients_at[0].replies = 0;
}

/* -> us per update */
static double theirs(size_t clients, bool watched, uint32_t *conflicts, uint32_t *lost) {
    size_t begun = 0, done = 0;
    double start;
    connect_all(clients);
    start = bench_wall_ns();
    while (done < UPDATES) {
        struct pollfd fds[CLIENTS_MAX];
        for (size_t n = 0; n < clients; n++) {
            if (clients_at[n].replies == 0 && begun < UPDATES) {
                begun++;
                ask(&clients_at[n], watched);
            }
            fds[n].fd = clients_at[n].fd;
            fds[n].events = POLLIN;
        }
        if (poll(fds, clients, 5000) <= 0) bench_stop("no answer");
        for (size_t n = 0; n < clients; n++) {
            if (fds[n].revents != 0 && go_on(&clients_at[n], watched, conflicts)) done++;
        }
    }
    start = bench_wall_ns() - start;
    *lost += (uint32_t)(UPDATES - value_there(&clients_at[0]));
    for (size_t n = 0; n < clients; n++) close(clients_at[n].fd);
    return start / UPDATES / 1000;
}

/* -- the table -- */

static void row(const bench_series *s, const bench_series *base, uint32_t conflicts, uint32_t lost) {
    bench_row(s, base);
    printf("    of %d updates  %u tries failed, %u lost\n", UPDATES * BENCH_ROUNDS, (unsigned)conflicts,
           (unsigned)lost);
}

static void measure(size_t clients) {
    bench_series merged = {"merge", {0}}, tracked = {"merge, its key tracked", {0}}, plain = {"GETEX, SET", {0}},
                 watched = {"WATCH, GET; MULTI, SET, EXEC", {0}};
    uint32_t failed[4] = {0, 0, 0, 0}, lost[2] = {0, 0};
    char title[64];
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        merged.round[r] = ours(clients, MCPSESS_REDIS_TRACK_OFF, &failed[0]);
        tracked.round[r] = ours(clients, MCPSESS_REDIS_TRACK_KEYS, &failed[1]);
        plain.round[r] = theirs(clients, false, &failed[2], &lost[0]);
        watched.round[r] = theirs(clients, true, &failed[3], &lost[1]);
    }
    snprintf(title, sizeof title, "one record, updated by %zu at once", clients);
    bench_title(title, "us", "/merge");
    row(&merged, NULL, failed[0], 0);
    row(&tracked, &merged, failed[1], 0);
    row(&plain, &merged, failed[2], lost[0]);
    row(&watched, &merged, failed[3], lost[1]);
}

int main(int argc, char **argv) {
    if (argc != 2) bench_stop("usage: merge PATH");
    path = argv[1];
    measure(1);
    measure(2);
    measure(8);
    return 0;
}
