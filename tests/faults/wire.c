/* The transport that does one thing wrong. Whatever the server owes is read before the engine is told anything, so a
   case runs the same way every time. */

#define _POSIX_C_SOURCE 200809L

#include "faults.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BLOCK_MS 7u

struct wire wire = {.i = {.fd = -1, .late_fd = -1}};

/* -- kinds -- */

static const struct {
    const char *text;
    uint8_t effect;
} kinds[FAULT_KINDS] = {
    [FAULT_NONE] = {"none", FAULT_HARMLESS},
    [FAULT_SEND_SHORT] = {"send: short", FAULT_HARMLESS},
    [FAULT_SEND_BLOCK] = {"send: would block", FAULT_HARMLESS},
    [FAULT_SEND_BYTES] = {"send: bytewise", FAULT_HARMLESS},
    [FAULT_SEND_CLOSE] = {"send: closed", FAULT_ENDS},
    [FAULT_SEND_RESET] = {"send: arrives, reset", FAULT_ENDS},
    [FAULT_SEND_LOST] = {"send: lost, reset", FAULT_ENDS},
    [FAULT_SEND_LATE] = {"send: late, reset", FAULT_ENDS},
    [FAULT_SEND_SILENT] = {"send: blocks for ever", FAULT_SILENCES},
    [FAULT_SEND_HOLE] = {"send: swallowed", FAULT_SILENCES},
    [FAULT_RECV_SHORT] = {"recv: short", FAULT_HARMLESS},
    [FAULT_RECV_BLOCK] = {"recv: would block", FAULT_HARMLESS},
    [FAULT_RECV_BYTES] = {"recv: bytewise", FAULT_HARMLESS},
    [FAULT_RECV_CLOSE] = {"recv: closed", FAULT_ENDS},
    [FAULT_RECV_RESET] = {"recv: reset", FAULT_ENDS},
    [FAULT_RECV_CALL] = {"recv: call dead", FAULT_ENDS},
    [FAULT_RECV_SILENT] = {"recv: silent", FAULT_SILENCES},
    [FAULT_RECV_HELD] = {"recv: late", FAULT_HOLDS},
    [FAULT_RECV_FLIP] = {"recv: bit flipped", FAULT_CORRUPTS},
    [FAULT_RECV_EXTRA] = {"recv: byte inserted", FAULT_CORRUPTS},
    [FAULT_RECV_DROP] = {"recv: byte lost", FAULT_CORRUPTS},
    [FAULT_RECV_CUT] = {"recv: reply cut", FAULT_CORRUPTS},
    [FAULT_OPEN_FAILS] = {"open: fails", FAULT_ENDS},
    [FAULT_OPEN_BLOCKS] = {"open: not yet", FAULT_HARMLESS},
    [FAULT_OPEN_SILENT] = {"open: never", FAULT_SILENCES},
    [FAULT_POLL_CANCEL] = {"cancelled", FAULT_CANCELS},
    [FAULT_STORE_LATE] = {"store: late", FAULT_HARMLESS},
    [FAULT_STORE_FAILS] = {"store: fails", FAULT_FAILS},
    [FAULT_STORE_LIES] = {"store: fails, having done it", FAULT_FAILS},
    [FAULT_STORE_HANGS] = {"store: silent", FAULT_HOLDS},
};

uint8_t fault_effect(const fault *f) {
    return kinds[f->kind].effect;
}

const char *fault_text(const fault *f) {
    static char text[96];
    snprintf(text, sizeof text, "%s at %lu (%u)%s%s", kinds[f->kind].text, (unsigned long)f->at, f->byte,
             f->hasty ? ", hasty" : "", f->following ? ", following" : "");
    return text;
}

/* Does it have a place in what is sent, or received? */
static bool sends(void) {
    return wire.fault.kind >= FAULT_SEND_SHORT && wire.fault.kind <= FAULT_SEND_HOLE;
}

static bool receives(void) {
    return wire.fault.kind >= FAULT_RECV_SHORT && wire.fault.kind <= FAULT_RECV_CUT &&
           wire.fault.kind != FAULT_RECV_CALL;
}

static bool bytewise(void) {
    return wire.fault.following || wire.fault.kind == FAULT_RECV_BYTES || wire.fault.kind == FAULT_POLL_CANCEL;
}

static bool due(uint32_t at) {
    return wire.armed && !wire.fired && at == wire.fault.at;
}

/* -- RESP -- */

long wire_unit(mcpsess_str s, uint8_t *type) {
    mcpsess_resp d;
    mcpsess_resp_desc limits = {WIRE_MAX, 0, 0, 0};
    mcpsess_resp_item item;
    size_t before = s.len;
    int rc;
    mcpsess_resp_init(&d, &limits);
    for (bool first = true;; first = false) {
        rc = mcpsess_resp_next(&d, &s, &item);
        if (rc != MCPSESS_OK) return rc == MCPSESS_PENDING ? 0 : -1;
        if (first && type) *type = item.type;
        if (item.ends) return (long)(before - s.len);
    }
}

/* -- logs -- */

static mcpsess_str logged(const wire_log *l, uint32_t from) {
    return mcpsess_str_of(l->bytes + from, l->len - from);
}

static void note(wire_log *l, const void *bytes, size_t len) {
    if (len > sizeof l->bytes - l->len) abort(); /* WIRE_MAX is too small for this test */
    memcpy(l->bytes + l->len, bytes, len);
    l->len += (uint32_t)len;
}

static void forget(wire_log *l, uint32_t len) {
    memmove(l->bytes, l->bytes + len, l->len - len);
    l->len -= len;
}

/* -- the server's side -- */

static void server(bool fine, const char *what) {
    if (fine) return;
    perror(what);
    exit(2);
}

static int dial(void) {
    struct sockaddr_un a;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memset(&a, 0, sizeof a);
    a.sun_family = AF_UNIX;
    server(strlen(wire.path) < sizeof a.sun_path, "path");
    memcpy(a.sun_path, wire.path, strlen(wire.path));
    server(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0, wire.path);
    return fd;
}

/* Whole commands that have arrived: how many, and are they the one that is watched? */
static void count(mcpsess_str bytes) {
    note(&wire.i.up, bytes.ptr, bytes.len);
    for (long n; (n = wire_unit(logged(&wire.i.up, 0), NULL)) > 0; forget(&wire.i.up, (uint32_t)n)) {
        wire.i.owed++;
        wire.commands++;
        if (wire.watched_len == (uint32_t)n && memcmp(wire.i.up.bytes, wire.watched, (size_t)n) == 0) wire.arrivals++;
    }
}

static void write_all(int fd, mcpsess_str bytes) {
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        server(n > 0, "send to the server");
        bytes = mcpsess_str_of(bytes.ptr + n, bytes.len - (size_t)n);
    }
}

static void forward(mcpsess_str bytes) {
    write_all(wire.i.fd, bytes);
    count(bytes);
}

/* Reads until the server owes nothing. */
static void collect(int fd) {
    char room[4096];
    struct pollfd p = {fd, POLLIN, 0};
    for (;;) {
        ssize_t got;
        uint8_t type = 0;
        long n;
        while ((n = wire_unit(logged(&wire.i.down, wire.i.parsed), &type)) > 0) {
            wire.i.parsed += (uint32_t)n;
            if (type != MCPSESS_RESP_PUSH) wire.i.owed--;
        }
        if (wire.i.owed == 0 && poll(&p, 1, 0) <= 0) return;
        server(poll(&p, 1, 10000) == 1, "wait for the server");
        got = recv(fd, room, sizeof room, 0);
        server(got > 0, "receive from the server");
        note(&wire.i.down, room, (size_t)got);
    }
}

/* -- the transport -- */

static void hang_up(void) {
    if (wire.i.fd >= 0) close(wire.i.fd);
    wire.i.fd = -1;
    wire.i.up.len = wire.i.down.len = wire.i.parsed = wire.i.owed = 0;
    wire.i.send_dead = wire.i.recv_dead = wire.i.drained = false;
    wire.i.stuck = wire.i.hole = wire.i.mute = wire.i.held = false;
    wire.i.blocked_until_ms = 0;
}

static int wire_open_call(void *user) {
    uint32_t at = wire.opens++;
    (void)user;
    if (wire.i.fd >= 0) wire.misuse = true;
    if (wire.i.open_blocked) return 0;
    if (wire.fault.kind == FAULT_OPEN_FAILS && due(at)) {
        wire.fired = true;
        return -1;
    }
    if (wire.fault.kind == FAULT_OPEN_BLOCKS && due(at)) {
        wire.fired = true;
        wire.i.blocked_until_ms = rig.now_ms + BLOCK_MS;
    }
    if (wire.fault.kind == FAULT_OPEN_SILENT && due(at)) {
        wire.fired = wire.i.open_blocked = true;
        return 0;
    }
    if (rig.now_ms < wire.i.blocked_until_ms) return 0;
    hang_up();
    wire.i.fd = dial();
    wire.connection++;
    return 1;
}

static void wire_close_call(void *user) {
    (void)user;
    wire.i.open_blocked = false;
    if (wire.i.fd < 0) return;
    if (wire.fault.kind == FAULT_SEND_LATE && wire.fired && wire.i.kept.len > 0 && wire.i.late_fd < 0) {
        wire.i.late_fd = wire.i.fd;
        wire.i.fd = -1;
    }
    if (wire.armed) wire.ends++;
    hang_up();
}

bool wire_open(void) {
    return wire.i.fd >= 0;
}

/* Bytes count, and faults begin, on the connection on which the operation did. */
static bool counts(void) {
    return wire.armed && wire.ends == 0;
}

/* The place of a fault in what is sent. -> what send answers; 1: goes on */
static int send_fault(void) {
    wire.fired = true;
    switch (wire.fault.kind) {
    case FAULT_SEND_BLOCK: wire.i.blocked_until_ms = rig.now_ms + BLOCK_MS; return 0;
    case FAULT_SEND_CLOSE:
        wire.i.send_dead = wire.i.drained = true;
        wire.i.held = false;
        return -1;
    case FAULT_SEND_RESET:
        collect(wire.i.fd); /* it is done, whatever becomes of the answer */
        wire.i.send_dead = wire.i.recv_dead = true;
        return -1;
    case FAULT_SEND_LOST:
    case FAULT_SEND_LATE: wire.i.send_dead = wire.i.recv_dead = true; return -1;
    case FAULT_SEND_SILENT: wire.i.stuck = true; return 0;
    case FAULT_SEND_HOLE: wire.i.hole = true; return 1;
    default: return 1;
    }
}

/* Dies as soon as the place is reached, not when it is tried to go beyond. */
static bool send_ends(void) {
    return wire.fault.byte == 0 && wire.fault.kind >= FAULT_SEND_CLOSE && wire.fault.kind <= FAULT_SEND_LATE;
}

static int wire_send_call(void *user, const void *bytes, size_t len) {
    int rc = 1;
    (void)user;
    wire.poll_sends++;
    if (wire.i.fd < 0 || len == 0 || len > 32767) wire.misuse = true;
    if (wire.i.send_dead) return -1;
    if (wire.i.stuck || rig.now_ms < wire.i.blocked_until_ms) return 0;
    if (counts() && sends() && due(wire.sent.len)) rc = send_fault();
    if (rc <= 0) return rc;
    if (counts() && sends() && !wire.fired && len > wire.fault.at - wire.sent.len) len = wire.fault.at - wire.sent.len;
    if (counts() && wire.fault.kind == FAULT_SEND_BYTES) len = 1;
    if (counts() && (wire.fault.kind == FAULT_SEND_LOST || wire.fault.kind == FAULT_SEND_LATE))
        note(&wire.i.kept, bytes, len);
    else if (!wire.i.hole) forward(mcpsess_str_of(bytes, len));
    if (counts()) note(&wire.sent, bytes, len);
    if (counts() && send_ends() && due(wire.sent.len)) (void)send_fault();
    return (int)len;
}

static uint32_t taken(void) {
    return wire.true_down.len;
}

/* The next n bytes of the server's, as they are, or changed. */
static size_t take(char *to, size_t n) {
    if (n > wire.i.down.len) n = wire.i.down.len;
    memcpy(to, wire.i.down.bytes, n);
    if (counts()) note(&wire.true_down, to, n);
    forget(&wire.i.down, (uint32_t)n);
    wire.i.parsed = wire.i.parsed > n ? wire.i.parsed - (uint32_t)n : 0;
    return n;
}

/* Skips what is left of the unit at hand. */
static void cut(void) {
    static char skipped[WIRE_MAX];
    uint32_t at = 0;
    long n;
    while ((n = wire_unit(mcpsess_str_of(wire.true_down.bytes + at, taken() - at), NULL)) > 0) at += (uint32_t)n;
    note(&wire.true_down, wire.i.down.bytes, wire.i.down.len);
    n = wire_unit(mcpsess_str_of(wire.true_down.bytes + at, taken() - at), NULL);
    wire.true_down.len -= wire.i.down.len;
    if (n > 0) (void)take(skipped, (size_t)n - (taken() - at));
}

/* The place of a fault in what is received. -> what recv answers; -2: goes on */
static int recv_fault(char *to) {
    wire.fired = true;
    switch (wire.fault.kind) {
    case FAULT_RECV_BLOCK: wire.i.blocked_until_ms = rig.now_ms + BLOCK_MS; return 0;
    case FAULT_RECV_RESET: wire.i.send_dead = true; /* fall through */
    case FAULT_RECV_CLOSE: wire.i.recv_dead = true; return -1;
    case FAULT_RECV_SILENT: wire.i.mute = true; return 0;
    case FAULT_RECV_HELD: wire.i.held = true; return 0;
    case FAULT_RECV_EXTRA: *to = (char)wire.fault.byte; return 1;
    case FAULT_RECV_DROP: (void)take(to, 1); return -2;
    case FAULT_RECV_CUT: cut(); return -2;
    case FAULT_RECV_FLIP:
        (void)take(to, 1);
        *to = (char)((unsigned char)*to ^ (1u << wire.fault.byte));
        return 1;
    default: return -2;
    }
}

/* The end comes when the place is reached; everything else needs a byte that comes next. */
static bool recv_due(void) {
    bool ends = wire.fault.kind == FAULT_RECV_CLOSE || wire.fault.kind == FAULT_RECV_RESET;
    return counts() && receives() && due(taken()) && (ends || wire.i.down.len > 0);
}

static int recv_some(char *bytes, size_t len) {
    if (recv_due()) {
        int rc = recv_fault(bytes);
        if (rc != -2) return rc;
    }
    if (counts() && receives() && !wire.fired && len > wire.fault.at - taken()) len = wire.fault.at - taken();
    if (wire.armed && bytewise()) len = len < 1 ? len : 1;
    return (int)take(bytes, len);
}

static int wire_recv_call(void *user, void *bytes, size_t len) {
    int moved;
    (void)user;
    wire.poll_recvs++;
    if (wire.i.fd < 0 || len > 32767) wire.misuse = true;
    if (wire.fault.kind == FAULT_RECV_CALL && counts() && due(wire.recvs)) wire.fired = wire.i.recv_dead = true;
    if (counts()) wire.recvs++;
    if (wire.i.recv_dead) return -1;
    if (wire.i.mute || wire.i.held || rig.now_ms < wire.i.blocked_until_ms || len == 0) return 0;
    collect(wire.i.fd);
    if (wire.i.drained && wire.i.down.len == 0) return -1;
    moved = recv_some((char *)bytes, len);
    if (moved > 0 && counts()) note(&wire.given, bytes, (size_t)moved);
    if (moved > 0 && wire.fault.kind == FAULT_RECV_RESET && recv_due()) (void)recv_fault((char *)bytes);
    return moved;
}

mcpsess_redis_transport wire_transport(void) {
    mcpsess_redis_transport t = {wire_open_call, wire_send_call, wire_recv_call, wire_close_call, NULL};
    return t;
}

/* -- the test's side -- */

void wire_arm(const fault *f, const char *watched, uint32_t watched_len) {
    wire.fault = *f;
    wire.armed = true;
    wire.fired = false;
    wire.sent.len = wire.true_down.len = wire.given.len = wire.i.kept.len = 0;
    wire.recvs = wire.opens = wire.commands = wire.arrivals = wire.ends = 0;
    wire.watched = watched;
    wire.watched_len = watched_len;
    wire.i.held = f->kind == FAULT_SEND_CLOSE && f->byte != 0;
}

void wire_release(void) {
    wire.armed = false;
    wire.i.held = false;
    if (wire.i.late_fd < 0) return;
    wire_log *down = &wire.i.down; /* of the new connection, if there is one: kept apart */
    static wire_log saved_down, saved_up;
    uint32_t parsed = wire.i.parsed;
    unsigned owed = wire.i.owed;
    saved_down = *down;
    saved_up = wire.i.up;
    down->len = wire.i.up.len = wire.i.parsed = wire.i.owed = 0;
    write_all(wire.i.late_fd, logged(&wire.i.kept, 0));
    count(logged(&wire.i.kept, 0));
    collect(wire.i.late_fd);
    close(wire.i.late_fd);
    wire.i.late_fd = -1;
    *down = saved_down;
    wire.i.up = saved_up;
    wire.i.parsed = parsed;
    wire.i.owed = owed;
}

bool wire_ready(unsigned want) {
    if (wire.i.fd < 0) return (want & MCPSESS_WANT_WRITE) != 0 && !wire.i.open_blocked &&
                              rig.now_ms >= wire.i.blocked_until_ms && (want & MCPSESS_WANT_READ) != 0;
    if (rig.now_ms < wire.i.blocked_until_ms) return false;
    if ((want & MCPSESS_WANT_WRITE) != 0 && (wire.i.send_dead || !wire.i.stuck)) return true;
    if ((want & MCPSESS_WANT_READ) == 0) return false;
    if (wire.i.recv_dead) return true;
    if (wire.i.mute || wire.i.held) return false;
    if (!wire.fired && wire.i.kept.len > 0) { /* the fault comes later: this has got through */
        forward(logged(&wire.i.kept, 0));
        wire.i.kept.len = 0;
    }
    collect(wire.i.fd);
    return wire.i.down.len > 0 || wire.i.drained || recv_due();
}

uint64_t wire_next_ms(void) {
    return rig.now_ms < wire.i.blocked_until_ms ? wire.i.blocked_until_ms : MCPSESS_NEVER;
}
