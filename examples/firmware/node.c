/* A sensor node whose only way to Redis is a UART: it keeps its session there, and in RAM before it; holds a lock while
   it works; appends what it measures to a stream; and reads that stream as a client would that loses its connection and
   comes back. One source for both boards, one loop that never waits, 16 KiB of RAM as the linker script states.

   It needs a redis-server where the user default has a password, and mcpsess the password "secret"; what the latter may
   do here is for a try, what it needs is in mcpsess_redis.h's manual. From the root (tests/install test installs what
   that takes):

     make build/firmware/node-an385 build/firmware/node-virt build/firmware/peer
     redis-server --port 0 --unixsocket /tmp/redis.sock --requirepass owner \
       --user mcpsess on '>secret' '~mcpsess:*' +@all

   The UART is the socket, which the simulator connects to again by itself. On a Cortex-M3, or RISC-V:

     qemu-system-arm -M mps2-an385 -nographic -monitor none -semihosting-config enable=on,target=native \
       -chardev socket,id=link,path=/tmp/redis.sock,reconnect=1 -serial null -serial chardev:link \
       -kernel build/firmware/node-an385
     qemu-system-riscv32 -M virt -bios none -nographic -monitor none -semihosting-config enable=on,target=native \
       -chardev socket,id=link,path=/tmp/redis.sock,reconnect=1 -serial chardev:link \
       -kernel build/firmware/node-virt

   At its end it waits for a change to its session: build/firmware/peer change /tmp/redis.sock. Over TCP, which is
   host=127.0.0.1,port=6379 for path=..., add nodelay=on: without it each round trip takes 45 ms.

   The exit status is 0 if all was as it must be. */

/* What it names is short: so the buffers that names are built in are, too. */
#define MCPSESS_ID_MAX 32
#define MCPSESS_STREAM_MAX 16
#define MCPSESS_PRINCIPAL_MAX 32
#define MCPSESS_NO_FLIGHT
#define MCPSESS_NO_BACKEND
#define MCPSESS_REDIS_NO_COMPAT
#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#define UART_TX_SIZE 1200 /* for MCPSESS_REDIS_STORE_TX(RECORD_MAX), and a log's commands */
#include "link.h"

enum {
    RECORD_MAX = 160,
    EVENTS = 20,     /* appended in all; */
    SEEN = 5,        /* of them the reader has these when it is cut */
    EVENT_MAX = 64,  /* bytes of one */
    RETRY_MS = 100,  /* after what may pass */
    LEASE_MS = 5000, /* as long as others wait when we are reset while we hold something */
    LOOK_MS = 20,    /* between looks at the session while a change is waited for */
    GIVE_UP_MS = 60000
};

static const char session_id[] = "sensor-7", stream_id[] = "readings", lock_id[] = "sensor-7:lock";

/* One operation at a time, so they share their memory; each begins with its mcpsess_op. */
typedef union work {
    mcpsess_op op;
    mcpsess_merge_op merge;
    mcpsess_stream_op stream;
    mcpsess_lease_op lease;
} work;

static struct {
    uart wire;
    mcpsess_redis redis;
    mcpsess_redis_store store;
    mcpsess_sessions sessions;
    mcpsess_streams streams;
    mcpsess_stream_writer writer;
    mcpsess_stream_reader reader;
    mcpsess_lease_desc leases;
    mcpsess_lease lock;
    work work;
    unsigned step;
    const struct step *doing; /* the step, or what must come before it; NULL: not begun */
    uint64_t due_ms;          /* of the step, if it is to be tried again */
    uint64_t reset_ms;
    unsigned appended, seen; /* events */
    unsigned retries;        /* of steps */
    uint32_t local_hits;     /* before the load */
    uint64_t fence;
    mcpsess_event event;
    mcpsess_buf text;
    char bytes[2 * RECORD_MAX]; /* a record, or two, or an event's text */
    char last_id[MCPSESS_EVENTID_MAX];
    size_t last_id_len;
    char page[768];
} node;

MCPSESS_REDIS_STORAGE(wire_memory, 4, UART_TX_SIZE, 512);
MCPSESS_SESSION_STORAGE(tier_memory, 2, RECORD_MAX, 2, RECORD_MAX);

/* ---- the transcript */

static void say(const char *text) {
    board_print(text);
}

static void say_number(const char *text, uint64_t number) {
    char digits[24];
    mcpsess_buf out;
    mcpsess_buf_init(&out, digits, sizeof digits - 1);
    mcpsess_buf_put_u64(&out, number);
    digits[out.len] = '\0';
    board_print(text);
    board_print(digits);
}

static void say_code(const char *what, int rc) {
    say(what);
    say(" -> ");
    say(mcpsess_redis_code_name(rc));
    say("\n");
}

static void say_totals(void) {
    say_number("opens ", node.wire.opens);
    say_number(" of tries ", node.wire.tries);
    say_number(", overruns ", node.wire.overruns);
    say_number(", overflows ", node.wire.overflows);
    say_number(", discarded ", node.wire.discarded);
    say_number(", disconnects ", node.redis.stats.disconnects);
    say_number(", retries ", node.retries);
    say_number(", stack ", board_stack_used());
    say("\n");
}

/* ---- setting up */

static int init_redis(void) {
    mcpsess_redis_desc r = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc s = mcpsess_redis_store_desc_default();
    int rc;
    r.transport = link_start(&node.wire);
    r.random = board_random;
    r.user = MCPSESS_STR("mcpsess");
    r.password = MCPSESS_STR("secret");
    r.slots = 4;
    r.tx_bytes = UART_TX_SIZE;
    r.rx_bytes = 512;
    r.tracking = MCPSESS_REDIS_TRACK_PREFIXES;
    r.idle_ms = 1000; /* an exchanged connection is found out by the next PING */
    r.reply_timeout_ms = 1500;
    r.patient = true;
    s.redis = &node.redis;
    rc = mcpsess_redis_init(&node.redis, &r, wire_memory.bytes, sizeof wire_memory.bytes);
    return rc == MCPSESS_OK ? mcpsess_redis_store_init(&node.store, &s) : rc;
}

static int init_tables(void) {
    mcpsess_session_desc t = mcpsess_session_desc_default();
    mcpsess_stream_desc s = mcpsess_stream_desc_default();
    int rc;
    t.store = mcpsess_redis_store_store(&node.store);
    t.capacity = 2;
    t.slot_max = RECORD_MAX;
    t.lanes = 2;
    t.record_max = RECORD_MAX;
    if (board_random(NULL, t.seed, sizeof t.seed) != 0) return MCPSESS_E_RANDOM;
    s.store = t.store;
    s.lease_ms = LEASE_MS;
    s.random = board_random;
    node.leases = mcpsess_lease_desc_default();
    node.leases.store = t.store;
    node.leases.ttl_ms = LEASE_MS;
    node.leases.random = board_random;
    rc = mcpsess_session_init(&node.sessions, &t, tier_memory.bytes, sizeof tier_memory.bytes);
    return rc == MCPSESS_OK ? mcpsess_stream_init(&node.streams, &s) : rc;
}

/* ---- the steps: how each begins, and what its result means */

typedef enum verdict { NEXT, REPEAT, LATER, WRONG } verdict;

static mcpsess_str id(void) {
    return mcpsess_str_z(session_id);
}

static const mcpsess_principal *self(void) {
    static mcpsess_principal who;
    who.issuer = MCPSESS_STR("fleet");
    who.subject = id();
    return &who;
}

static verdict only_ok(int rc) {
    return rc == MCPSESS_OK ? NEXT : WRONG;
}

/* -- a session in two tiers -- */

static int create(uint64_t now_ms) {
    mcpsess_record r;
    memset(&r, 0, sizeof r);
    r.id = id();
    r.principal = *self();
    r.state = MCPSESS_STATE_ACTIVE;
    r.created_ms = r.updated_ms = mcpsess_redis_wall_ms(&node.redis, now_ms);
    mcpsess_buf_init(&node.text, node.bytes, sizeof node.bytes);
    mcpsess_record_encode(&r, &node.text);
    return mcpsess_session_create(&node.sessions, &node.work.op, mcpsess_buf_str(&node.text), now_ms);
}

/* There from an earlier run, or of a try whose outcome was unknown. */
static verdict created(int rc) {
    return rc == MCPSESS_OK || rc == MCPSESS_EXISTS ? NEXT : WRONG;
}

static int load(uint64_t now_ms) {
    node.local_hits = node.sessions.stats.local_hits;
    mcpsess_buf_init(&node.text, node.bytes, sizeof node.bytes);
    return mcpsess_session_load(&node.sessions, &node.work.op, id(), self(), &node.text, now_ms);
}

/* The value of a pair of the record that was loaded; empty: it has none. */
static mcpsess_str loaded(const char *key) {
    mcpsess_record r;
    mcpsess_str value = {NULL, 0};
    if (mcpsess_record_decode(mcpsess_buf_str(&node.text), &r) != MCPSESS_OK) return value;
    (void)mcpsess_record_get(&r, mcpsess_str_z(key), &value);
    return value;
}

/* Ours was pushed back to us as a change, so the first load may ask; soon the copy in RAM serves. */
static verdict served_locally(int rc) {
    if (rc != MCPSESS_OK) return WRONG;
    return node.sessions.stats.local_hits > node.local_hits ? NEXT : LATER;
}

static int set_metadata(void *user, mcpsess_buf *record) {
    (void)user;
    return mcpsess_record_put(record, MCPSESS_STR("readings"), MCPSESS_STR("20"));
}

static int merge(uint64_t now_ms) {
    static const mcpsess_merge how = {set_metadata, NULL, true};
    return mcpsess_session_merge(&node.sessions, &node.work.merge, id(), self(), &how, node.bytes, sizeof node.bytes,
                                 now_ms);
}

static verdict watched(int rc) {
    if (rc != MCPSESS_OK) return WRONG;
    if (!mcpsess_str_eq(loaded("led"), MCPSESS_STR("on"))) return LATER;
    return mcpsess_str_eq(loaded("readings"), MCPSESS_STR("20")) ? NEXT : WRONG;
}

/* -- a lock -- */

static int acquire(uint64_t now_ms) {
    return mcpsess_lease_acquire(&node.leases, &node.lock, &node.work.lease, mcpsess_str_z(lock_id), now_ms);
}

/* Another's, or our own of a run that was broken off: it runs out. */
static verdict acquired(int rc) {
    if (rc == MCPSESS_BUSY) return LATER;
    if (rc != MCPSESS_OK || node.lock.fence <= node.fence) return WRONG;
    node.fence = node.lock.fence;
    return NEXT;
}

static int extend(uint64_t now_ms) {
    return mcpsess_lease_extend(&node.leases, &node.lock, &node.work.lease, mcpsess_str_z(lock_id), now_ms);
}

static verdict extended(int rc) {
    if (rc == MCPSESS_LOST) return LATER;
    return rc == MCPSESS_OK && node.lock.fence == node.fence ? NEXT : WRONG;
}

static int release(uint64_t now_ms) {
    return mcpsess_lease_release(&node.leases, &node.lock, &node.work.lease, mcpsess_str_z(lock_id), now_ms);
}

/* LOST: by a try that had no answer. */
static verdict released(int rc) {
    return rc == MCPSESS_OK || rc == MCPSESS_LOST ? NEXT : WRONG;
}

/* -- a stream -- */

static int open_stream(uint64_t now_ms) {
    return mcpsess_stream_open(&node.streams, &node.writer, &node.work.stream, id(), self(), mcpsess_str_z(stream_id),
                               true, now_ms);
}

static verdict opened(int rc) {
    return rc == MCPSESS_BUSY ? LATER : only_ok(rc);
}

static void reading(unsigned n, mcpsess_buf *out) {
    mcpsess_buf_init(out, node.bytes, EVENT_MAX);
    mcpsess_buf_put(out, MCPSESS_STR("{\"reading\":"));
    mcpsess_buf_put_u64(out, n);
    mcpsess_buf_put(out, MCPSESS_STR(",\"celsius\":21}"));
}

static int append(uint64_t now_ms) {
    reading(node.appended + 1, &node.text);
    memset(&node.event, 0, sizeof node.event);
    node.event.data = mcpsess_buf_str(&node.text);
    return mcpsess_stream_append(&node.writer, &node.work.stream, &node.event, now_ms);
}

/* DUP: by a try that had no answer. */
static verdict appended(int rc) {
    if (rc != MCPSESS_OK && rc != MCPSESS_DUP) return WRONG;
    node.appended++;
    return node.appended == SEEN || node.appended == EVENTS ? NEXT : REPEAT;
}

static int read_stream(uint64_t now_ms) {
    return mcpsess_stream_read(&node.streams, &node.reader, &node.work.op, id(), self(), mcpsess_str_z(stream_id), 0, 0,
                               node.page, sizeof node.page, now_ms);
}

static int next_event(uint64_t now_ms) {
    return mcpsess_stream_next(&node.reader, &node.work.op, &node.event, now_ms);
}

/* Each event once, in order; its id is what a client would come back with. */
static bool is_next(void) {
    reading(node.seen + 1, &node.text);
    if (!mcpsess_str_eq(node.event.data, mcpsess_buf_str(&node.text))) return false;
    if (node.event.sequence != node.seen + 1 || node.event.id.len > sizeof node.last_id) return false;
    memcpy(node.last_id, node.event.id.ptr, node.event.id.len);
    node.last_id_len = node.event.id.len;
    node.seen++;
    return true;
}

static verdict read_until_cut(int rc) {
    if (rc != MCPSESS_OK || !is_next()) return WRONG;
    if (node.seen < SEEN) return REPEAT;
    mcpsess_stream_close(&node.reader);
    return NEXT;
}

static int resume(uint64_t now_ms) {
    return mcpsess_stream_resume(&node.streams, &node.reader, &node.work.op,
                                 mcpsess_str_of(node.last_id, node.last_id_len), id(), self(), node.page,
                                 sizeof node.page, now_ms);
}

static verdict read_to_end(int rc) {
    if (rc == MCPSESS_OK) return is_next() ? REPEAT : WRONG;
    mcpsess_stream_close(&node.reader);
    return rc == MCPSESS_END && node.seen == EVENTS ? NEXT : WRONG;
}

static int complete(uint64_t now_ms) {
    return mcpsess_stream_complete(&node.writer, &node.work.stream, now_ms);
}

/* ---- all of them, in order */

typedef struct step {
    const char *what;
    int (*begin)(uint64_t now_ms);
    verdict (*judge)(int rc);
    bool locked; /* only with the lock */
} step;

static const step steps[] = {
    {"session: created", create, created, false},
    {"session: served from RAM", load, served_locally, false},
    {"lock: acquired, with a fence", acquire, acquired, false},
    {"stream: begun", open_stream, opened, false},
    {"stream: 5 events appended", append, appended, true},
    {"reader: opened at the beginning", read_stream, only_ok, false},
    {"reader: has 5 events; now it is cut", next_event, read_until_cut, false},
    {"lock: extended, under the same fence", extend, extended, true},
    {"stream: 20 events appended", append, appended, true},
    {"stream: complete", complete, only_ok, true},
    {"reader: resumed after its last event", resume, only_ok, false},
    {"reader: has what it missed, each once, and the end", next_event, read_to_end, false},
    {"session: metadata merged", merge, only_ok, false},
    {"lock: released", release, released, false},
    {"session: waiting for a change made elsewhere", load, served_locally, false},
    {"session: the change is here", load, watched, false},
};

/* In between, where it was away for so long that it is not held any more. */
static const step lock_again = {"lock: taken again", acquire, acquired, false};

/* What time may mend: the wire, the server, or the login was lost. What was done is seen when it is tried again. */
static bool passes(int rc) {
    return rc == MCPSESS_E_IO || rc == MCPSESS_E_UNKNOWN || rc == MCPSESS_E_TIMEOUT ||
           (rc <= MCPSESS_REDIS_E_SERVER && rc >= MCPSESS_REDIS_E_OOM) || rc == MCPSESS_REDIS_E_NOAUTH ||
           rc == MCPSESS_REDIS_E_WRONGPASS || rc == MCPSESS_REDIS_E_SYNTAX || rc == MCPSESS_REDIS_E_PROTOCOL;
}

static void finish(bool well) {
    say_totals();
    say(well ? "end: all as it must be\n" : "end: FAILED\n");
    board_exit(well ? 0 : 1);
}

static void judge(int rc, uint64_t now_ms) {
    const step *s = node.doing;
    verdict v = passes(rc) ? LATER : s->judge(rc);
    if (passes(rc)) {
        node.retries++;
        say_code(s->what, rc);
    }
    node.doing = NULL;
    node.due_ms = v == LATER ? now_ms + (passes(rc) ? RETRY_MS : LOOK_MS) : now_ms;
    if (v == WRONG) {
        say_code(s->what, rc);
        finish(false);
    }
    if (v != NEXT) return;
    say(s->what);
    say("\n");
    if (s != &lock_again && ++node.step == sizeof steps / sizeof steps[0]) finish(true);
}

/* ---- the loop */

/* A login that was damaged on the wire is as good as a wrong password: the engine gives up, we do not. */
static void keep_trying(int rc, uint64_t now_ms) {
    if (rc >= 0) {
        node.reset_ms = now_ms + 1000;
    } else if (now_ms >= node.reset_ms) {
        mcpsess_redis_reset(&node.redis, now_ms);
    }
}

static int begin(uint64_t now_ms) {
    node.doing = &steps[node.step];
    if (node.doing->locked && mcpsess_lease_left(&node.lock, now_ms) == 0) node.doing = &lock_again;
    return node.doing->begin(now_ms);
}

/* One bounded step of whatever is to be done. */
static void turn(uint64_t now_ms) {
    int rc = MCPSESS_PENDING;
    if (node.doing != NULL) rc = mcpsess_poll(&node.work.op, now_ms);
    else if (now_ms >= node.due_ms) rc = begin(now_ms);
    if (rc != MCPSESS_PENDING) judge(rc, now_ms);
    keep_trying(mcpsess_redis_poll(&node.redis, now_ms), now_ms);
    if (now_ms >= GIVE_UP_MS) finish(false);
}

int main(void) {
    board_init();
    mcpsess_op_init(&node.work.op, 0);
    if (init_redis() != MCPSESS_OK || init_tables() != MCPSESS_OK) finish(false);
    for (;;) {
        turn(board_now_ms());
        if ((uart_want(&node.wire, mcpsess_redis_want(&node.redis)) & MCPSESS_WANT_NOW) == 0) board_idle();
    }
}
