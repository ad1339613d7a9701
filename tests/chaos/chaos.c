/* A process of the chaos run: a few clients that load, hold leases, clear and count at random, on one connection, and
   log what they ask and what they are told. It may be killed or stopped at any time.
     chaos SLOT TURN SEED SOCKET FOLDER [BUG]      until SIGTERM; then what is under way is waited for
     chaos final FROM TO SOCKET FOLDER             what the server has in the end, of these generations

   A log's line: time in ns by CLOCK_MONOTONIC, which all processes share, "i", the number of the operation, what it is,
   its key, its bound in ms, two words more; and, when it is over, time, "r", the number, its code, two words more; or
   "late", by how many ms it was woken too late. A line is one write: who is killed leaves no half of one, and a call
   without a return is of unknown outcome. */

#include "examples/posix_transport.h"

#include <signal.h>

#include "chaos.h"

enum { CLIENTS = 3, LOADERS = 16, SLOTS = 24, DATA = 32, RECORD = 256 };

MCPSESS_REDIS_STORAGE(wire, SLOTS, 16384, 16384);
MCPSESS_FLIGHT_STORAGE(lanes, 8, DATA);
MCPSESS_SESSION_STORAGE(tier, 4, RECORD, 8, RECORD);

enum { LOAD, CHECK, CLEAR, SET, ACQUIRE, EXTEND, RELEASE, WRITE, CREATE, MERGE };
static const char *const names[] = {"load",   "check",   "clear", "set",    "acquire",
                                    "extend", "release", "write", "create", "merge"};

typedef struct client {
    uint64_t rest_ms; /* does nothing until then */
    mcpsess_op *op;   /* what it waits for; NULL: nothing */
    uint64_t n;       /* its number */
    unsigned number, doing, steps;
    bool held, careless, on_flag;
    unsigned leases; /* it has tried to get so far: each has a token of its own */
    char key[24], owner[40], fence[24], words[3][64];
    mcpsess_lease lease;
    union {
        mcpsess_op op;
        mcpsess_lease_op lease;
        mcpsess_flight_op flight;
        mcpsess_redis_op redis;
        mcpsess_merge_op merge;
    } u;
    uint64_t counted; /* what a merge found, last */
    mcpsess_str argv[8];
    mcpsess_buf out;
    char bytes[RECORD], record[MCPSESS_MERGE_BYTES(RECORD)];
} client;

typedef struct loader {
    mcpsess_op op;
    uint64_t n, due_ms;
    int rc;
    char data[DATA];
    mcpsess_buf *out;
    bool used;
} loader;

static struct {
    mcpsess_redis redis;
    mcpsess_redis_store store;
    mcpsess_lease_desc lease;
    mcpsess_flights flights;
    mcpsess_sessions sessions;
    sock sock;
    client clients[CLIENTS];
    loader loaders[LOADERS];
    int log, state;
    unsigned slot, turn, holding;
    uint64_t random, n;
    const char *bug;
} w;

static volatile sig_atomic_t told_to_end;
static const mcpsess_principal nobody;

static void on_term(int number) {
    (void)number;
    told_to_end = 1;
}

static uint64_t now(void) {
    return sock_now_ms(NULL);
}

static uint64_t below(uint64_t limit) {
    return chaos_below(&w.random, limit);
}

static bool has_bug(const char *name) {
    return strcmp(w.bug, name) == 0;
}

/* -- the log -- */

static void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    chaos_say(w.log, format, values);
    va_end(values);
}

static uint64_t say_begin(const char *what, const char *key, uint64_t bound_ms, const char *a, const char *b) {
    say("i %" PRIu64 " %s %s %" PRIu64 " %s %s\n", ++w.n, what, key, bound_ms, a, b);
    return w.n;
}

static void say_end(uint64_t n, const char *code, const char *a, const char *b) {
    say("r %" PRIu64 " %s %s %s\n", n, code, a, b);
}

/* How many leases and loads it has, for who chooses whom to kill. */
static void say_holding(int more) {
    char c;
    w.holding = (unsigned)((int)w.holding + more);
    c = w.holding != 0 ? 'h' : '.';
    stop_unless(pwrite(w.state, &c, 1, w.slot) == 1, "the state cannot be written");
}

/* -- the loader: takes its time, fails, hangs -- */

static int loader_poll(mcpsess_op *op, uint64_t now_ms) {
    loader *l = (loader *)mcpsess_op_object(op);
    if (now_ms < l->due_ms) return MCPSESS_PENDING;
    if (l->rc == MCPSESS_OK) mcpsess_buf_put(l->out, mcpsess_str_z(l->data));
    say_end(l->n, l->rc == MCPSESS_OK ? "done" : "failed", l->data, "-");
    say_holding(-1);
    l->used = false;
    return mcpsess_op_end(op, l->rc);
}

static void loader_cancel(mcpsess_op *op) {
    loader *l = (loader *)mcpsess_op_object(op);
    say_end(l->n, "canceled", l->data, "-");
    say_holding(-1);
    l->used = false;
    (void)mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t loader_due(mcpsess_op *op, uint64_t now_ms) {
    (void)now_ms;
    return ((loader *)mcpsess_op_object(op))->due_ms;
}

static unsigned loader_want(mcpsess_op *op) {
    (void)op;
    return MCPSESS_WANT_TIME;
}

static uint64_t loading_time(void) {
    switch (below(10)) {
    case 0: return MCPSESS_NEVER;
    case 1: return CHAOS_TTL_MS + below(CHAOS_TTL_MS); /* so it must be extended */
    case 2: return 0;
    default: return 5 + below(60);
    }
}

static mcpsess_op *load(void *user, const mcpsess_flight_job *job, uint64_t now_ms) {
    static const mcpsess_op_class cls = {loader_poll, loader_cancel, loader_due, loader_want};
    char key[24], fence[24];
    loader *l = w.loaders;
    (void)user;
    while (l < w.loaders + LOADERS && l->used) l++;
    stop_unless(l < w.loaders + LOADERS, "more loads than lanes");
    snprintf(key, sizeof key, "%.*s", (int)job->key.len, job->key.ptr);
    snprintf(fence, sizeof fence, "%" PRIu64, job->fence);
    l->used = true;
    l->n = say_begin("loader", key, 0, fence, "-");
    say_holding(1);
    snprintf(l->data, sizeof l->data, "%u.%u.%" PRIu64, w.slot, w.turn, l->n);
    l->due_ms = mcpsess_time_add(now_ms, loading_time());
    l->rc = below(8) == 0 ? MCPSESS_E_STORE - 1 : MCPSESS_OK;
    l->out = job->data;
    mcpsess_op_init(&l->op, 0);
    stop_unless(mcpsess_op_begin(&l->op, &cls, l) == MCPSESS_PENDING, "a loader cannot begin");
    return &l->op;
}

/* -- what a client does -- */

/* Begins what `doing` says; the log's line is written before. */
static void begin(client *c, unsigned doing, uint64_t bound_ms, const char *a, const char *b) {
    c->doing = doing;
    c->n = say_begin(names[doing], c->key, bound_ms, a, b);
    mcpsess_buf_init(&c->out, c->bytes, sizeof c->bytes);
}

static void begun(client *c, mcpsess_op *op, int rc) {
    if (rc != MCPSESS_PENDING && mcpsess_op_rc(op) != rc) stop_unless(false, mcpsess_code_name(rc));
    c->op = op;
}

static void choose_key(client *c, char of, unsigned keys) {
    snprintf(c->key, sizeof c->key, "%c%" PRIu64 ".%u", of, now() / CHAOS_GENERATION_MS, (unsigned)below(keys));
}

static void begin_load(client *c) {
    const uint32_t wait_ms = 300 + (uint32_t)below(2200);
    choose_key(c, 'f', CHAOS_FLAGS);
    mcpsess_op_init(&c->u.op, wait_ms);
    begin(c, LOAD, wait_ms, "-", "-");
    begun(c, &c->u.op,
          mcpsess_flight_load(&w.flights, &c->u.op, mcpsess_str_z(c->key), MCPSESS_STR("v1"), &c->out, now()));
}

static void begin_check(client *c) {
    choose_key(c, 'f', CHAOS_FLAGS);
    mcpsess_op_init(&c->u.flight.op, 0);
    begin(c, CHECK, CHAOS_TIMEOUT_MS, "-", "-");
    begun(c, &c->u.flight.op,
          mcpsess_flight_check(&w.flights, &c->u.flight, mcpsess_str_z(c->key), MCPSESS_STR("v1"), &c->out, now()));
}

static void begin_clear(client *c) {
    const bool revoke = below(2) == 0;
    choose_key(c, 'f', CHAOS_FLAGS);
    mcpsess_op_init(&c->u.flight.op, 0);
    begin(c, CLEAR, CHAOS_TIMEOUT_MS, revoke ? "revoke" : "-", "-");
    begun(c, &c->u.flight.op, mcpsess_flight_clear(&w.flights, &c->u.flight, mcpsess_str_z(c->key), revoke, now()));
}

/* With the lease that it has: what it says was loaded by nobody else. */
static void begin_set(client *c) {
    snprintf(c->words[0], sizeof c->words[0], "%u.%u.%" PRIu64, w.slot, w.turn, w.n + 1);
    mcpsess_op_init(&c->u.flight.op, 0);
    begin(c, SET, CHAOS_TIMEOUT_MS, c->fence, c->words[0]);
    begun(c, &c->u.flight.op,
          mcpsess_flight_set(&w.flights, &c->u.flight, &c->lease, mcpsess_str_z(c->key), MCPSESS_STR("v1"),
                             mcpsess_str_z(c->words[0]), 0, now()));
}

/* An acquire that ends without an answer also releases: so it has twice the time. */
static void begin_lease(client *c, unsigned doing) {
    const mcpsess_str key = mcpsess_str_z(c->key);
    mcpsess_lease_op *op = &c->u.lease;
    mcpsess_op_init(&op->op, 0);
    begin(c, doing, doing == ACQUIRE ? 2 * CHAOS_TIMEOUT_MS : CHAOS_TIMEOUT_MS, c->owner, c->fence);
    if (doing == ACQUIRE) begun(c, &op->op, mcpsess_lease_acquire(&w.lease, &c->lease, op, key, now()));
    else if (doing == EXTEND) begun(c, &op->op, mcpsess_lease_extend(&w.lease, &c->lease, op, key, now()));
    else begun(c, &op->op, mcpsess_lease_release(&w.lease, &c->lease, op, key, now()));
}

/* Where it is careless users that a bug hurts. */
static bool careless_alone(void) {
    return has_bug("release") || has_bug("write");
}

/* For a lease of its own, or for that of a flag, which it then sets by itself. */
static void begin_acquire(client *c) {
    c->on_flag = !careless_alone() && below(6) == 0;
    choose_key(c, c->on_flag ? 'f' : 'l', c->on_flag ? CHAOS_FLAGS : CHAOS_LEASES);
    c->steps = 1 + (unsigned)below(6);
    c->careless =
        careless_alone() || below(4) == 0; /* does not ask whether it still has the lease: the fence must tell */
    memset(&c->lease, 0, sizeof c->lease);
    snprintf(c->owner, sizeof c->owner, "%u.%u.%u.%u", w.slot, w.turn, c->number, ++c->leases);
    snprintf(c->fence, sizeof c->fence, "-");
    begin_lease(c, ACQUIRE);
}

static void begin_command(client *c, unsigned doing, const char *a, const char *b, size_t argc) {
    mcpsess_op_init(&c->u.redis.op, CHAOS_TIMEOUT_MS);
    begin(c, doing, CHAOS_TIMEOUT_MS, a, b);
    begun(c, &c->u.redis.op, mcpsess_redis_cmd(&w.redis, &c->u.redis, c->argv, argc, &c->out, now()));
}

/* As one does that knows nothing of tokens. */
static void begin_bad_release(client *c) {
    snprintf(c->words[0], sizeof c->words[0], "mcpsess:l:{%s}", c->key);
    c->argv[0] = MCPSESS_STR("DEL");
    c->argv[1] = mcpsess_str_z(c->words[0]);
    begin_command(c, RELEASE, c->owner, c->fence, 2);
}

static void begin_release(client *c) {
    if (has_bug("release")) begin_bad_release(c);
    else begin_lease(c, RELEASE);
}

/* To what the lease protects, which takes no write of an older fence than it has seen, and remembers all that it took.
 */
static void begin_write(client *c) {
    static const char guarded[] = "local f=redis.call('GET',KEYS[1]) "
                                  "if f and tonumber(f)>tonumber(ARGV[1]) then return 0 end "
                                  "redis.call('SET',KEYS[1],ARGV[1]) redis.call('RPUSH',KEYS[2],ARGV[2]) return 1";
    static const char bare[] = "redis.call('RPUSH',KEYS[2],ARGV[2]) return 1";
    snprintf(c->words[0], sizeof c->words[0], CHAOS_RESOURCE "%s", c->key);
    snprintf(c->words[1], sizeof c->words[1], CHAOS_WRITES "%s", c->key);
    snprintf(c->words[2], sizeof c->words[2], "%s %u.%u.%" PRIu64, c->fence, w.slot, w.turn, w.n + 1);
    c->argv[0] = MCPSESS_STR("EVAL");
    c->argv[1] = mcpsess_str_z(has_bug("write") ? bare : guarded);
    c->argv[2] = MCPSESS_STR("2");
    c->argv[3] = mcpsess_str_z(c->words[0]);
    c->argv[4] = mcpsess_str_z(c->words[1]);
    c->argv[5] = mcpsess_str_z(c->fence);
    c->argv[6] = mcpsess_str_z(c->words[2]);
    begin_command(c, WRITE, c->fence, "-", 7);
}

/* The session whose pair is counted up; whoever comes first makes it. */
static void begin_create(client *c) {
    mcpsess_record r;
    mcpsess_buf b;
    choose_key(c, 's', CHAOS_COUNTERS);
    memset(&r, 0, sizeof r);
    r.id = mcpsess_str_z(c->key);
    r.state = MCPSESS_STATE_ACTIVE;
    mcpsess_buf_init(&b, c->record, sizeof c->record);
    stop_unless(mcpsess_record_encode(&r, &b) == MCPSESS_OK, "no record");
    stop_unless(mcpsess_record_put(&b, MCPSESS_STR("n"), MCPSESS_STR("0")) == MCPSESS_OK, "no pair");
    mcpsess_op_init(&c->u.op, 0);
    begin(c, CREATE, CHAOS_TIMEOUT_MS, "-", "-");
    begun(c, &c->u.op, mcpsess_session_create(&w.sessions, &c->u.op, mcpsess_buf_str(&b), now()));
}

static int count_up(void *user, mcpsess_buf *record) {
    client *c = (client *)user;
    char digits[24];
    mcpsess_record r;
    mcpsess_str value;
    if (mcpsess_record_decode(mcpsess_buf_str(record), &r) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    if (mcpsess_record_get(&r, MCPSESS_STR("n"), &value) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    if (mcpsess_u64_decode(value, INT64_MAX, &c->counted) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    snprintf(digits, sizeof digits, "%" PRIu64, c->counted + 1);
    return mcpsess_record_put(record, MCPSESS_STR("n"), mcpsess_str_z(digits));
}

static void begin_merge(client *c) {
    const mcpsess_merge how = {count_up, c, false};
    choose_key(c, 's', CHAOS_COUNTERS);
    mcpsess_op_init(&c->u.merge.op, 0);
    begin(c, MERGE, CHAOS_TIMEOUT_MS, "-", "-");
    begun(c, &c->u.merge.op,
          mcpsess_session_merge(&w.sessions, &c->u.merge, mcpsess_str_z(c->key), &nobody, &how, c->record,
                                sizeof c->record, now()));
}

/* -- what it does next -- */

static void rest(client *c, uint64_t ms) {
    c->op = NULL;
    c->rest_ms = now() + ms;
}

/* Has it a lease, as far as it cares? */
static void hold(client *c, bool held) {
    if (held != c->held) say_holding(held ? 1 : -1);
    c->held = held;
}

static void leave(client *c) {
    hold(c, false);
    rest(c, below(40));
}

typedef void job(client *);

/* Each client has a job that it does most. Where there is a bug, all do nothing but what shows it. */
static void next_job(client *c) {
    static job *const jobs[] = {begin_load,    begin_load,  begin_check, begin_clear,
                                begin_acquire, begin_merge, begin_merge, begin_create};
    static job *const most[CLIENTS] = {begin_acquire, begin_load, begin_load};
    static job *const counting[] = {begin_create, begin_merge, begin_merge, begin_merge};
    static job *const flagging[] = {begin_load, begin_load, begin_load, begin_clear};
    if (has_bug("merge")) counting[below(4)](c);
    else if (has_bug("flag")) flagging[below(4)](c);
    else if (w.bug[0] != '\0') begin_acquire(c);
    else if (below(4) != 0) most[c->number](c);
    else jobs[below(sizeof jobs / sizeof jobs[0])](c);
}

/* The next step of one that has a lease. */
static void next_step(client *c) {
    const uint64_t left_ms = mcpsess_lease_left(&c->lease, now());
    if (left_ms == 0 && !c->careless) {
        leave(c);
    } else if (c->on_flag) {
        begin_set(c);
    } else if (c->steps-- == 0) {
        hold(c, false);
        if (below(8) == 0) rest(c, 0); /* it is left to run out */
        else begin_release(c);
    } else if (left_ms != 0 && (mcpsess_lease_due(&c->lease, now()) <= now() || below(6) == 0)) {
        begin_lease(c, below(4) == 0 ? ACQUIRE : EXTEND);
    } else {
        begin_write(c);
    }
}

/* Acquires, extends: until when it relies on it is what counts. */
static void after_lease(client *c, int rc) {
    char until[24];
    const uint64_t at = now();
    snprintf(until, sizeof until, "%" PRIu64, at + mcpsess_lease_left(&c->lease, at));
    if (rc == MCPSESS_OK) snprintf(c->fence, sizeof c->fence, "%" PRIu64, c->lease.fence);
    say_end(c->n, mcpsess_redis_code_name(rc), c->fence, until);
    if (rc == MCPSESS_OK) hold(c, true);
    if (c->held && (rc == MCPSESS_OK || c->careless)) rest(c, below(c->careless ? CHAOS_TTL_MS : 40));
    else if (!c->held && rc == MCPSESS_BUSY) rest(c, below(c->u.lease.op.left_ms + 20));
    else leave(c);
}

static void after_load(client *c, int rc) {
    char data[DATA];
    snprintf(data, sizeof data, "%.*s", (int)c->out.len, c->out.ptr);
    say_end(c->n, mcpsess_redis_code_name(rc), rc == MCPSESS_OK && data[0] != '\0' ? data : "-", "-");
    rest(c, below(60));
}

static void after_write(client *c, int rc) {
    const mcpsess_str said = mcpsess_redis_text(mcpsess_buf_str(&c->out));
    const bool stale = rc == MCPSESS_OK && mcpsess_str_eq(said, MCPSESS_STR("0"));
    say_end(c->n, stale ? "STALE" : mcpsess_redis_code_name(rc), "-", "-");
    rest(c, below(40));
}

static void after(client *c, int rc) {
    char tries[24], counted[24];
    c->op = NULL;
    switch (c->doing) {
    case LOAD:
    case CHECK: after_load(c, rc); break;
    case ACQUIRE:
    case EXTEND: after_lease(c, rc); break;
    case WRITE: after_write(c, rc); break;
    case MERGE:
        snprintf(tries, sizeof tries, "%u", (unsigned)c->u.merge.merged);
        snprintf(counted, sizeof counted, "%" PRIu64, c->counted);
        say_end(c->n, mcpsess_redis_code_name(rc), tries, counted);
        rest(c, below(60));
        break;
    default:
        say_end(c->n, mcpsess_redis_code_name(rc), "-", "-");
        if (c->doing == SET) leave(c);
        else rest(c, below(60));
    }
}

static void step(client *c) {
    int rc = MCPSESS_OK;
    if (c->op != NULL) {
        rc = mcpsess_poll(c->op, now());
        if (rc != MCPSESS_PENDING) after(c, rc);
    } else if (now() >= c->rest_ms) {
        if (c->held) next_step(c);
        else if (!told_to_end) next_job(c);
    }
}

static bool at_rest(void) {
    unsigned n;
    for (n = 0; n < CLIENTS; n++)
        if (w.clients[n].op != NULL || w.clients[n].held) return false;
    return true;
}

static void earlier(uint64_t *due_ms, uint64_t than_ms) {
    if (than_ms < *due_ms) *due_ms = than_ms;
}

/* Sleeps. That it was woken much too late is logged, as the time for which it is stopped is: it is no fault of its. */
static void sleep_until(unsigned want, uint64_t due_ms) {
    const mcpsess_wait_hook hook = sock_wait_hook(&w.sock);
    const uint64_t before_ms = now();
    uint64_t late_ms;
    (void)hook.wait(hook.user, want, due_ms);
    if (due_ms < before_ms) due_ms = before_ms;
    late_ms = now() > due_ms ? now() - due_ms : 0;
    if (late_ms > 50) say("late %" PRIu64 "\n", late_ms);
}

static void run(void) {
    const mcpsess_store store = mcpsess_redis_store_store(&w.store);
    while (!told_to_end || !at_rest()) {
        uint64_t due_ms;
        unsigned want, n;
        store.cls->poll(store.self, now());
        for (n = 0; n < CLIENTS; n++) step(&w.clients[n]);
        due_ms = store.cls->next_due(store.self, now());
        want = store.cls->want(store.self);
        for (n = 0; n < CLIENTS; n++) {
            client *c = &w.clients[n];
            earlier(&due_ms, c->op != NULL ? mcpsess_next_due(c->op, now()) : c->rest_ms);
            if (c->op != NULL) want |= mcpsess_want(c->op);
        }
        if (told_to_end) earlier(&due_ms, now() + 50); /* a client at rest is not due any more */
        sleep_until(want, due_ms);
    }
}

/* -- what is there -- */

static void make(const char *path) {
    mcpsess_redis_desc rd = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc sd = mcpsess_redis_store_desc_default();
    mcpsess_flight_desc fd = mcpsess_flight_desc_default();
    mcpsess_session_desc td = mcpsess_session_desc_default();
    sock_init(&w.sock, path, NULL);
    rd.transport = sock_transport(&w.sock);
    rd.random = fd.random = w.lease.random = sock_random;
    rd.slots = SLOTS;
    rd.tx_bytes = rd.rx_bytes = 16384;
    rd.tracking = MCPSESS_REDIS_TRACK_PREFIXES;
    rd.backoff_min_ms = 10;
    rd.backoff_max_ms = 100;
    rd.reply_timeout_ms = 2000;
    rd.patient = w.turn % 2 == 0;
    stop_unless(mcpsess_redis_init(&w.redis, &rd, wire.bytes, sizeof wire.bytes) == MCPSESS_OK, "no engine");
    sd.redis = &w.redis;
    stop_unless(mcpsess_redis_store_init(&w.store, &sd) == MCPSESS_OK, "no store");
    w.lease.store = fd.store = td.store = mcpsess_redis_store_store(&w.store);
    w.lease.ttl_ms = fd.lease_ms = CHAOS_TTL_MS;
    w.lease.timeout_ms = fd.timeout_ms = td.timeout_ms = CHAOS_TIMEOUT_MS;
    fd.lanes = 8;
    fd.data_max = DATA;
    fd.load = load;
    stop_unless(mcpsess_flight_init(&w.flights, &fd, lanes.bytes, sizeof lanes.bytes) == MCPSESS_OK, "no flights");
    td.capacity = 4;
    td.slot_max = td.record_max = RECORD;
    td.lanes = 8;
    td.ttl_ms = UINT64_C(24) * 3600 * 1000;
    stop_unless(mcpsess_session_init(&w.sessions, &td, tier.bytes, sizeof tier.bytes) == MCPSESS_OK, "no sessions");
}

/* Everything that was written to what a lease protects, in the order in which it was taken. */
static void say_writes(const char *key) {
    static char bytes[4 << 20];
    const mcpsess_wait_hook hook = sock_wait_hook(&w.sock);
    mcpsess_resp_desc rd = {0, 0, UINT32_MAX, 0};
    mcpsess_resp_item item;
    mcpsess_resp resp;
    mcpsess_buf reply;
    mcpsess_str in, argv[4] = {{"LRANGE", 6}, {NULL, 0}, {"0", 1}, {"-1", 2}};
    char list[64];
    snprintf(list, sizeof list, CHAOS_WRITES "%s", key);
    argv[1] = mcpsess_str_z(list);
    mcpsess_buf_init(&reply, bytes, sizeof bytes);
    stop_unless(mcpsess_redis_call(&w.redis, argv, 4, &reply, &hook) == MCPSESS_OK, "the writes cannot be read");
    in = mcpsess_buf_str(&reply);
    mcpsess_resp_init(&resp, &rd);
    while (in.len > 0 && mcpsess_resp_next(&resp, &in, &item) == MCPSESS_OK)
        if (item.type == MCPSESS_RESP_BULK) say("wrote %s %.*s\n", key, (int)item.text.len, item.text.ptr);
}

static void say_count(const char *key) {
    const mcpsess_wait_hook hook = sock_wait_hook(&w.sock);
    char bytes[RECORD];
    mcpsess_record r;
    mcpsess_str value = {NULL, 0};
    mcpsess_buf out;
    mcpsess_op op;
    int rc;
    mcpsess_buf_init(&out, bytes, sizeof bytes);
    mcpsess_op_init(&op, 5000);
    rc = mcpsess_wait(&op, mcpsess_session_load(&w.sessions, &op, mcpsess_str_z(key), &nobody, &out, now()), &hook);
    if (rc == MCPSESS_MISS) return;
    stop_unless(rc == MCPSESS_OK && mcpsess_record_decode(mcpsess_buf_str(&out), &r) == MCPSESS_OK, "no such count");
    stop_unless(mcpsess_record_get(&r, MCPSESS_STR("n"), &value) == MCPSESS_OK, "a record without a count");
    say("count %s %.*s\n", key, (int)value.len, value.ptr);
}

static void say_all(unsigned long from, unsigned long to) {
    char key[24];
    unsigned n;
    for (; from <= to; from++) {
        for (n = 0; n < CHAOS_LEASES; n++) {
            snprintf(key, sizeof key, "l%lu.%u", from, n);
            say_writes(key);
        }
        for (n = 0; n < CHAOS_COUNTERS; n++) {
            snprintf(key, sizeof key, "s%lu.%u", from, n);
            say_count(key);
        }
    }
}

int main(int argc, char **argv) {
    struct sigaction end;
    sigset_t term;
    char name[64];
    stop_unless(argc >= 6, "usage: chaos SLOT TURN SEED SOCKET FOLDER [BUG]");
    w.bug = argc > 6 ? argv[6] : "";
    if (strcmp(argv[1], "final") == 0) {
        w.log = chaos_open(argv[5], "final.log", O_WRONLY | O_TRUNC);
        make(argv[4]);
        say_all(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
        return 0;
    }
    memset(&end, 0, sizeof end);
    end.sa_handler = on_term;
    sigaction(SIGTERM, &end, NULL);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &term, NULL); /* who has started it has blocked it */
    w.slot = (unsigned)strtoul(argv[1], NULL, 10);
    w.turn = (unsigned)strtoul(argv[2], NULL, 10);
    w.random = strtoull(argv[3], NULL, 10) | 1u;
    snprintf(name, sizeof name, "%u-%u.log", w.slot, w.turn);
    w.log = chaos_open(argv[5], name, O_WRONLY | O_APPEND);
    w.state = chaos_open(argv[5], "state", O_WRONLY);
    make(argv[4]);
    for (unsigned n = 0; n < CLIENTS; n++) w.clients[n].number = n;
    run();
    mcpsess_redis_close(&w.redis);
    return 0;
}
