#include "log_model.h"

#define SESSIONS 3u
#define STREAMS 3u
#define NAMES (SESSIONS * STREAMS)
#define OWNERS 3u
#define HANDS 6u /* writers; the last two are copies of others, of some time ago */
#define READERS 4u
#define KEPT 12u /* events of a log, at most: no limit is larger */
#define MEM_MAX 320u
#define POLLS_MAX 1000000uL

/* An instant that is known to be one of these; where the clock is the test's own, lo and hi are the same. */
typedef struct span {
    uint64_t lo, hi;
} span;

typedef struct kept_event {
    uint32_t serial;
    span stamp;
} kept_event;

typedef struct model_log {
    bool present, streaming, done;
    uint8_t owner, token; /* token: of its writer; 0: none */
    uint64_t epoch, fence, last;
    uint64_t most_epoch, most_fence; /* there ever were, of this name */
    span lease, events_until, expires, until;
    uint32_t used; /* for the last time, as a count of requests */
    unsigned count;
    kept_event e[KEPT]; /* last - count + 1 ... last */
} model_log;

/* What a writer believes. */
typedef struct hand {
    uint8_t name, owner, token;
    uint64_t fence, epoch, last;
    uint32_t serials[4]; /* of its last events, by sequence */
} hand;

typedef struct reader {
    uint8_t name;
    uint64_t epoch, after;
} reader;

static log_model_rig *rig;
static log_model_stats *seen;
static model_log logs[NAMES];
static hand hands[HANDS];
static reader readers[READERS];
static uint32_t serial, clock_of_use;
static span now; /* from before the request to after the answer */

static mcpsess_log_request q;
static unsigned target; /* the name in it */
static mcpsess_log_limits limits;
static char data_mem[MEM_MAX], out_mem[2 * MEM_MAX];
static mcpsess_buf out;

static const char *failed; /* what was wrong */

static bool right(bool holds, const char *what) {
    if (!holds && failed == NULL) failed = what;
    return holds;
}

/* ---- time ---- */

static span later(span t, uint64_t ms) {
    span s;
    s.lo = t.lo + ms;
    s.hi = t.hi + ms;
    return s;
}

static span earlier_of(span a, span b) {
    span s;
    s.lo = a.lo < b.lo ? a.lo : b.lo;
    s.hi = a.hi < b.hi ? a.hi : b.hi;
    return s;
}

static span later_of(span a, span b) {
    span s;
    s.lo = a.lo > b.lo ? a.lo : b.lo;
    s.hi = a.hi > b.hi ? a.hi : b.hi;
    return s;
}

/* one of the two, nobody knows which */
static span either(span a, span b) {
    span s;
    s.lo = a.lo < b.lo ? a.lo : b.lo;
    s.hi = a.hi > b.hi ? a.hi : b.hi;
    return s;
}

static bool past(span t) {
    return t.hi <= now.lo;
}

static bool unsure(span t) {
    return t.hi > now.lo && t.lo <= now.hi;
}

/* when less than half of a TTL will be left */
static span half_of(span until, uint64_t ttl_ms) {
    span s;
    s.lo = until.lo - ttl_ms / 2 + 1;
    s.hi = until.hi - ttl_ms / 2 + 1;
    return s;
}

/* Does anything about this log come to pass just now? */
static bool log_unsure(const model_log *g) {
    unsigned n;
    if (!g->present) return false;
    if (unsure(g->lease) || unsure(g->expires) || unsure(half_of(g->expires, limits.log_ttl_ms))) return true;
    if (g->count == 0) return false;
    if (unsure(g->events_until) || unsure(half_of(g->events_until, limits.event_ttl_ms))) return true;
    for (n = 0; n < g->count; n++) {
        if (unsure(later(g->e[n].stamp, limits.event_max_ms))) return true;
    }
    return false;
}

static bool any_unsure(void) {
    unsigned n;
    for (n = 0; n < NAMES; n++) {
        if (log_unsure(&logs[n])) return true;
    }
    return false;
}

static void log_lives(model_log *g) {
    if (g->present && past(g->expires)) g->present = false;
    if (!g->present || past(g->events_until)) g->count = 0;
}

/* ---- events: made of their place and a serial number, so that each tells where it belongs ---- */

static void put_number(mcpsess_buf *b, uint64_t v, unsigned bytes) {
    for (; bytes > 0; bytes--, v >>= 8) mcpsess_buf_put_char(b, (char)(unsigned char)(v & 0xFFu));
}

static mcpsess_event event_of(unsigned name, unsigned owner, uint64_t epoch, uint64_t sequence, uint32_t number) {
    uint32_t padding = number % 61u == 0 ? 260u : number % 19u == 0 ? 90u : number * 7u % 23u, n;
    mcpsess_event e;
    mcpsess_buf b;
    memset(&e, 0, sizeof e);
    mcpsess_buf_init(&b, data_mem, sizeof data_mem);
    put_number(&b, name, 1);
    put_number(&b, owner, 1);
    put_number(&b, epoch, 8);
    put_number(&b, sequence, 8);
    put_number(&b, number, 4);
    for (n = 0; n < padding; n++) put_number(&b, number + n, 1);
    e.data = mcpsess_buf_str(&b);
    if (number % 5u == 0) e.type = MCPSESS_STR(MCPSESS_EVENT_PRIME);
    e.retry = number % 7u == 0;
    if (e.retry) e.retry_ms = number;
    return e;
}

static uint32_t bytes_of(unsigned name, const model_log *g, uint32_t number) {
    mcpsess_event e = event_of(name, g->owner, g->epoch, 1, number); /* as long, wherever it is */
    return (uint32_t)mcpsess_event_bytes(&e);
}

static uint64_t oldest(const model_log *g) {
    return g->last + 1 - g->count;
}

/* The oldest that can be replayed. */
static uint64_t first_of(const model_log *g) {
    unsigned n = 0;
    while (rig->ages && n < g->count && past(later(g->e[n].stamp, limits.event_max_ms))) n++;
    return oldest(g) + n;
}

static void drop_oldest(model_log *g, unsigned n) {
    g->count -= n;
    memmove(g->e, g->e + n, g->count * sizeof g->e[0]);
}

/* ---- requests ---- */

static mcpsess_principal owners[OWNERS];

static void draw_limits(void) {
    static const uint8_t events[] = {KEPT, 3, 7};
    static const uint32_t bytes[] = {0, 120, 250};
    memset(&limits, 0, sizeof limits);
    limits.events = events[random_below(3)];
    limits.bytes = bytes[random_below(3)];
    limits.event_ttl_ms = (12u + 2u * random_below(3)) * rig->unit_ms;
    limits.event_max_ms = 25u * rig->unit_ms;
    limits.log_ttl_ms = (20u + 2u * random_below(5)) * rig->unit_ms;
    limits.log_max_ms = 60u * rig->unit_ms;
}

static void request(uint8_t kind, unsigned name, unsigned owner, bool guarded) {
    static const mcpsess_str sessions[SESSIONS] = {LIT("a"), LIT("ab"), LIT("{a}:b")};
    static const mcpsess_str streams[STREAMS] = {LIT("b"), LIT(""), LIT("__get__")};
    memset(&q, 0, sizeof q);
    target = name;
    q.request.kind = kind;
    q.request.key = sessions[name / STREAMS];
    q.request.guarded = guarded;
    q.request.owner = owners[owner];
    q.request.ttl_ms = 6u * rig->unit_ms;
    q.log.stream = streams[name % STREAMS];
    q.log.limits = &limits;
    draw_limits();
}

static int submit(void) {
    const mcpsess_store_class *c = rig->store.cls;
    uint32_t polls;
    int rc = c->submit(rig->store.self, &q.request, rig->now_ms(rig));
    for (polls = 0; q.request.rc == MCPSESS_PENDING && polls < POLLS_MAX; polls++) {
        c->poll(rig->store.self, rig->now_ms(rig));
        if (q.request.rc == MCPSESS_PENDING && rig->idle != NULL) rig->idle(rig);
    }
    (void)right(rc == MCPSESS_PENDING || rc == q.request.rc, "submit answers what the request does");
    return q.request.rc;
}

/* Something came to pass while a request was under way, and nobody knows whether before or after: it begins anew with
   no log at all. */
static void forget(void) {
    model_log *g = &logs[target];
    unsigned n;
    if (q.log.epoch > g->most_epoch) g->most_epoch = q.log.epoch;
    if (q.log.writer > g->most_fence) g->most_fence = q.log.writer;
    for (n = 0; n < NAMES; n++) {
        request(MCPSESS_LOG_DEL, n, 0, false);
        (void)right(submit() == MCPSESS_OK, "a log can be deleted");
        logs[n].present = false;
        logs[n].count = 0;
    }
    seen->skipped++;
}

static uint64_t clock_ms(void) {
    return rig->clock_ms != NULL ? rig->clock_ms(rig) : rig->now_ms(rig);
}

/* Sends the request.  -> false: its answer cannot be foretold */
static bool sent(void) {
    unsigned n;
    now.lo = clock_ms();
    now.hi = now.lo + rig->slack_ms;
    if (any_unsure()) { /* nor may it be soon */
        rig->pass(rig, rig->unit_ms / 2 + 1);
        seen->skipped++;
        return false;
    }
    now.lo = clock_ms();
    (void)submit();
    now.hi = clock_ms();
    if (any_unsure()) {
        forget();
        return false;
    }
    for (n = 0; n < NAMES; n++) log_lives(&logs[n]);
    return true;
}

static bool mine(const model_log *g) {
    unsigned n;
    if (!rig->owners || !q.request.guarded) return true;
    for (n = 0; n < OWNERS - 1u && !mcpsess_str_eq(owners[n].subject, q.request.owner.subject); n++) {
    }
    if (g->owner != n) seen->foreign++;
    return g->owner == n;
}

static bool answered(int want) {
    static char text[] = "the answer is -00, not -00";
    int rc[2], n;
    if (q.request.rc == want) return true;
    rc[0] = q.request.rc;
    rc[1] = want;
    for (n = 0; n < 2; n++) {
        char *at = text + (n == 0 ? 14 : 23);
        int v = rc[n] < 0 ? -rc[n] : rc[n];
        at[0] = rc[n] < 0 ? '-' : '+';
        at[1] = (char)('0' + v / 10 % 10);
        at[2] = (char)('0' + v % 10);
    }
    return right(false, text);
}

/* What every answer about a log says. */
static bool tells(const model_log *g) {
    uint64_t lo = g->lease.lo > now.hi ? g->lease.lo - now.hi : 0, hi = g->lease.hi > now.lo ? g->lease.hi - now.lo : 0;
    if (!right(q.log.epoch == g->epoch, "it tells the epoch")) return false;
    if (!right(q.log.last == g->last, "it tells the last sequence")) return false;
    if (q.request.kind != MCPSESS_LOG_RANGE && q.request.kind != MCPSESS_LOG_STATE) return true;
    if (!right(q.log.first == first_of(g), "it tells the first sequence")) return false;
    if (!right(q.log.streaming == g->streaming && q.log.done == g->done, "it tells the mode")) return false;
    if (rig->slack_ms == 0) return right(q.request.left_ms == lo, "it tells what is left of the lease");
    return right(q.request.left_ms <= hi && (q.request.left_ms != 0 || lo == 0), "it tells what is left of the lease");
}

/* ---- what a request does to a log ---- */

static void written(model_log *g) {
    g->until = later(now, limits.log_max_ms);
    g->expires = later(now, limits.log_ttl_ms < limits.log_max_ms ? limits.log_ttl_ms : limits.log_max_ms);
    if (g->count != 0) g->expires = later_of(g->expires, g->events_until);
    g->used = ++clock_of_use;
    if (!g->done) g->lease = later(now, q.request.ttl_ms);
}

/* Until when a read keeps the events: a store may leave out the time in which they all are too old to be replayed,
   counted from when the log was last written. */
static span kept_until(const model_log *g) {
    span until = later(now, limits.event_ttl_ms), old;
    if (rig->slack_ms == 0) return until;
    old.lo = g->until.lo - limits.log_max_ms + limits.event_max_ms;
    old.hi = g->until.hi - limits.log_max_ms + limits.event_max_ms;
    return either(until, earlier_of(until, old));
}

/* A store may do so for log and events apart, or for both if one of them needs it. */
static void kept(model_log *g) {
    bool log_needs = past(half_of(g->expires, limits.log_ttl_ms));
    bool events_need = g->count != 0 && past(half_of(g->events_until, limits.event_ttl_ms));
    span events = later_of(g->events_until, kept_until(g));
    span expires = later_of(g->expires, earlier_of(later(now, limits.log_ttl_ms), g->until));
    g->used = ++clock_of_use;
    if (!log_needs && !events_need) return;
    g->events_until = events_need || rig->slack_ms == 0 ? events : either(g->events_until, events);
    g->expires = log_needs || rig->slack_ms == 0 ? expires : either(g->expires, expires);
}

/* A number of the store's that only ever grows. */
static bool grows(uint64_t *most, uint64_t value, const char *what) {
    if (!right(value > *most, what)) return false;
    *most = value;
    return true;
}

static bool anew(model_log *g) {
    g->last = 0;
    g->count = 0;
    g->done = false;
    g->epoch = q.log.epoch;
    if (!rig->epochs) return right(g->epoch == 0, "there are no epochs");
    return grows(&g->most_epoch, g->epoch, "no epoch comes twice");
}

/* ---- open ---- */

/* The log that makes room: NAMES if none can, and none need. */
static unsigned victim(bool *full) {
    unsigned n, there = 0, oldest_one = NAMES;
    for (n = 0; n < NAMES; n++) {
        if (!logs[n].present) continue;
        there++;
        if (logs[n].done && (oldest_one == NAMES || logs[n].used < logs[oldest_one].used)) oldest_one = n;
    }
    *full = rig->logs != 0 && there >= rig->logs;
    return oldest_one;
}

static bool created(unsigned name, unsigned owner) {
    model_log *g = &logs[name];
    bool full;
    unsigned goes = victim(&full);
    if (full && goes == NAMES) {
        seen->full++;
        return answered(MCPSESS_E_FULL);
    }
    if (!answered(MCPSESS_OK)) return false;
    if (full) {
        logs[goes].present = false;
        logs[goes].count = 0;
        seen->evicted++;
    }
    g->present = true;
    g->owner = (uint8_t)owner;
    g->streaming = true;
    g->token = 0;
    return anew(g);
}

static bool opened(hand *h, bool fresh) {
    model_log *g = &logs[h->name];
    bool held = g->present && !past(g->lease) && g->token != 0 && !g->done, ours = held && g->token == h->token;
    bool there = g->present;
    if (there && !mine(g)) return answered(MCPSESS_MISS);
    if (held && !ours) {
        seen->busy++;
        return answered(MCPSESS_BUSY);
    }
    if (there && g->done && !fresh) {
        seen->ended++;
        return answered(MCPSESS_END);
    }
    if (!there && (!created(h->name, h->owner) || !g->present)) return failed == NULL;
    if (!answered(MCPSESS_OK)) return false;
    if (there && fresh) {
        g->streaming = true;
        seen->begun_anew++;
        if (!anew(g)) return false;
    }
    if (!right(q.log.epoch == g->epoch && q.log.last == g->last, "an open tells where the log ends")) return false;
    if (!right(q.log.streaming == g->streaming, "an open tells the mode")) return false;
    if (ours && !right(q.log.writer == g->fence, "the same token is the same writer")) return false;
    if (!ours && !grows(&g->most_fence, q.log.writer, "no fence comes twice")) return false;
    g->fence = q.log.writer;
    g->token = h->token;
    written(g);
    h->fence = g->fence;
    h->epoch = g->epoch;
    h->last = g->last;
    memset(h->serials, 0, sizeof h->serials);
    seen->opened++;
    return true;
}

static bool step_open(hand *h) {
    static const char *const tokens[] = {"", "t1", "t2", "t3", "t4"};
    bool fresh = random_below(4) == 0;
    h->name = (uint8_t)random_below(NAMES);
    h->fence = h->epoch = h->last = 0; /* what it knew was of another log */
    h->owner = (uint8_t)(random_below(6) == 0 ? random_below(OWNERS) : h->name / STREAMS);
    request(MCPSESS_LOG_OPEN, h->name, h->owner, true);
    q.request.value = mcpsess_str_z(tokens[h->token]);
    q.log.fresh = fresh;
    return !sent() || opened(h, fresh);
}

/* ---- append and set ---- */

/* What both begin with.  -> the answer, if it is decided; OK: it goes on */
static int writes(const hand *h, model_log *g, uint64_t known) {
    if (!g->present || !mine(g)) return MCPSESS_MISS;
    if (h->fence != g->fence) return MCPSESS_FENCED;
    if (!rig->epochs) return MCPSESS_OK;
    if (h->epoch != g->epoch) return MCPSESS_LOST_TAIL;
    return known > g->last ? MCPSESS_LOST_TAIL : MCPSESS_OK;
}

/* That answer, and what it does.  -> right */
static bool refused(hand *h, model_log *g, int rc) {
    if (!answered(rc)) return false;
    if (rc == MCPSESS_MISS) seen->gone++;
    if (rc == MCPSESS_FENCED) seen->fenced++;
    if (rc != MCPSESS_LOST_TAIL) {
        if (random_below(2) == 0) h->fence = 0; /* it opens again before it goes on */
        return true;
    }
    seen->lost_tails++;
    if (h->epoch == g->epoch) { /* only now */
        if (!anew(g)) return false;
        written(g);
    }
    if (!tells(g)) return false;
    h->epoch = g->epoch; /* and goes on there, mostly */
    h->last = 0;
    return true;
}

static uint32_t room_of(void) {
    uint32_t bytes = limits.bytes == 0 ? UINT32_MAX : limits.bytes;
    if (rig->log_bytes != 0 && rig->log_bytes - MCPSESS_RING_HEAD < bytes) bytes = rig->log_bytes - MCPSESS_RING_HEAD;
    return bytes;
}

/* Drops what is over the bounds, with one more event of so many bytes. */
static void trim(unsigned name, model_log *g, uint32_t bytes) {
    uint32_t used, entries;
    unsigned n;
    if (rig->ages) drop_oldest(g, (unsigned)(first_of(g) - oldest(g)));
    for (;;) {
        used = entries = bytes;
        entries += MCPSESS_RING_HEAD;
        for (n = 0; n < g->count; n++) {
            uint32_t more = bytes_of(name, g, g->e[n].serial);
            used += more;
            entries += MCPSESS_RING_HEAD + more;
        }
        if (g->count < limits.events && (limits.bytes == 0 || used <= limits.bytes) &&
            (rig->log_bytes == 0 || entries <= rig->log_bytes))
            break;
        drop_oldest(g, 1);
    }
}

/* One that is stored under its sequence, or is gone again.  -> right */
static bool repeated(const model_log *g, uint64_t sequence, uint32_t number) {
    bool same = sequence < oldest(g) || g->e[sequence - oldest(g)].serial == number;
    bool either_way = rig->slack_ms != 0 && sequence < first_of(g); /* too old to be replayed, but it may be there */
    if (q.request.rc == MCPSESS_DUP) seen->duplicates++;
    else seen->refused++;
    if (either_way && (q.request.rc == MCPSESS_DUP || q.request.rc == MCPSESS_LOST)) return tells(g);
    return answered(same ? MCPSESS_DUP : MCPSESS_LOST) && tells(g);
}

static bool appended(hand *h, uint64_t sequence, uint64_t confirmed, uint32_t number) {
    model_log *g = &logs[h->name];
    uint32_t bytes = (uint32_t)mcpsess_event_bytes(&q.log.event);
    bool fits = !rig->bounds || bytes <= room_of();
    int rc = writes(h, g, confirmed);
    if (!fits && rig->slack_ms != 0 && q.request.rc == MCPSESS_E_TOOBIG) return true; /* refused before it is sent */
    if (rc != MCPSESS_OK) return refused(h, g, rc);
    if (sequence <= g->last) return repeated(g, sequence, number);
    if (sequence != g->last + 1 || g->done) {
        seen->refused++;
        return answered(MCPSESS_LOST) && tells(g);
    }
    if (!fits) {
        seen->too_big++;
        return answered(MCPSESS_E_TOOBIG) && right(q.request.need == bytes, "it tells what it would need");
    }
    if (!answered(MCPSESS_OK)) return false;
    if (rig->bounds) trim(h->name, g, bytes);
    g->e[g->count].serial = number;
    g->e[g->count++].stamp = now;
    h->last = ++g->last;
    h->serials[sequence % COUNT_OF(h->serials)] = number;
    g->events_until = later(now, limits.event_ttl_ms);
    written(g);
    seen->appended++;
    return tells(g);
}

static bool step_append(hand *h) {
    uint32_t what = random_below(100), number = ++serial;
    uint64_t sequence = h->last + 1, confirmed = h->last;
    if (what < 12 && h->last > 1) { /* again */
        sequence = h->last - random_below(2);
        confirmed = sequence - 1;
        if (h->serials[sequence % COUNT_OF(h->serials)] != 0) number = h->serials[sequence % COUNT_OF(h->serials)];
    } else if (what < 16 && h->last != 0) {
        sequence = h->last; /* something else in its place */
        confirmed = sequence - 1;
    } else if (what < 19) {
        sequence += 1u + random_below(3); /* others got lost on the way */
    } else if (what < 21 && rig->epochs) {
        confirmed += 1u + random_below(3); /* the store has lost what this writer knows */
        sequence = confirmed + 1;
    }
    if (!rig->epochs && logs[h->name].present && confirmed > logs[h->name].last) return true; /* nothing is promised */
    request(MCPSESS_LOG_APPEND, h->name, h->owner, true);
    q.log.writer = h->fence;
    q.log.epoch = h->epoch;
    q.log.sequence = sequence;
    q.log.confirmed = confirmed;
    q.log.event = event_of(h->name, h->owner, h->epoch, sequence, number);
    return !sent() || appended(h, sequence, confirmed, number);
}

static bool was_set(hand *h, uint64_t known, bool streaming, bool done) {
    model_log *g = &logs[h->name];
    int rc = writes(h, g, known);
    if (rc != MCPSESS_OK) return refused(h, g, rc);
    if (!answered(MCPSESS_OK)) return false;
    seen->set++;
    if (g->done) return true;
    g->streaming = streaming;
    g->done = done;
    written(g);
    if (!done) return true;
    g->lease.lo = g->lease.hi = 0;
    seen->completed++;
    return true;
}

static bool step_set(hand *h) {
    bool streaming = random_below(2) == 0, done = random_below(4) == 0;
    uint64_t known = h->last + (rig->epochs && random_below(20) == 0 ? 1u : 0u);
    if (!rig->epochs && logs[h->name].present && known > logs[h->name].last) return true;
    request(MCPSESS_LOG_SET, h->name, h->owner, true);
    q.log.writer = h->fence;
    q.log.epoch = h->epoch;
    q.log.sequence = known;
    q.log.streaming = streaming;
    q.log.done = done;
    return !sent() || was_set(h, known, streaming, done);
}

/* ---- readers ---- */

/* How many events from one on fit: what a replay hands out. */
static uint32_t fitting(unsigned name, const model_log *g, uint64_t after, uint32_t most, uint32_t room) {
    uint32_t n = 0;
    while (after + n < g->last && (most == 0 || n < most)) {
        uint32_t bytes = bytes_of(name, g, g->e[after + n + 1 - oldest(g)].serial);
        if (bytes > room) break;
        room -= bytes;
        n++;
    }
    return n;
}

/* Is this the event that was appended there, and does it say so itself? */
static bool is_event(unsigned name, const model_log *g, uint64_t sequence, const mcpsess_event *got) {
    mcpsess_event want = event_of(name, g->owner, g->epoch, sequence, g->e[sequence - oldest(g)].serial);
    return mcpsess_str_eq(got->data, want.data) && mcpsess_str_eq(got->type, want.type) && got->retry == want.retry &&
           got->retry_ms == want.retry_ms;
}

static bool replayed(reader *r, uint32_t most, uint32_t room, bool keep) {
    const uint64_t after = r->after;
    model_log *g = &logs[r->name];
    mcpsess_str frames = mcpsess_buf_str(&out);
    mcpsess_event e;
    uint32_t n, want;
    if (!g->present || !mine(g)) return answered(MCPSESS_MISS) && right(out.len == 0, "a MISS tells nothing");
    if ((rig->epochs && r->epoch != 0 && r->epoch != g->epoch) || after > g->last || after + 1 < first_of(g)) {
        seen->gaps++;
        r->epoch = g->epoch; /* it begins at what there is */
        r->after = first_of(g) - 1;
        return answered(MCPSESS_GAP) && tells(g) && right(out.len == 0, "a GAP comes before the first event");
    }
    want = fitting(r->name, g, after, most, room);
    if (want == 0 && after < g->last) {
        seen->no_room++;
        return answered(MCPSESS_E_TOOBIG) && right(out.len == 0, "all of an event, or none") &&
               right(q.request.need == bytes_of(r->name, g, g->e[after + 1 - oldest(g)].serial),
                     "it tells what it needs");
    }
    if (!answered(MCPSESS_OK) || !tells(g)) return false;
    if (!right(q.request.count == want, "it hands out what there is and fits")) return false;
    for (n = 1; n <= want; n++) {
        if (!right(mcpsess_event_take(&frames, &e) == MCPSESS_OK, "events are events")) return false;
        if (!right(is_event(r->name, g, after + n, &e), "each is the one that was appended there")) return false;
    }
    if (!right(frames.len == 0, "no more than it says")) return false;
    if (keep) kept(g);
    r->epoch = g->epoch;
    r->after = after + want;
    seen->replayed++;
    seen->events += want;
    return true;
}

/* A reader goes on, or begins somewhere: at a place of this log, or at one that may be none. */
static bool step_range(reader *r) {
    uint32_t what = random_below(10), most = random_below(3) == 0 ? 1u + random_below(4) : 0;
    uint32_t room = random_below(3) == 0 ? random_below(200) : (uint32_t)sizeof out_mem;
    unsigned owner;
    bool keep = random_below(2) == 0;
    if (what < 2) {
        const model_log *g = &logs[r->name = (uint8_t)random_below(NAMES)];
        r->epoch = random_below(8) == 0 ? 0 : g->epoch;
        r->after = oldest(g) - 1 + random_below(g->count + 1u);
    } else if (what == 2) { /* of a log that there may have been */
        const hand *h = &hands[random_below(HANDS)];
        r->name = h->name;
        r->epoch = h->epoch;
        r->after = h->last - (h->last > 4 ? random_below(5) : 0);
    } else if (what == 3 && random_below(4) == 0) {
        r->name = (uint8_t)random_below(NAMES); /* an id of another stream */
    } else if (what == 4 && random_below(2) == 0) {
        r->after += random_below(3);
    }
    if (!rig->epochs) r->epoch = 0;
    owner = random_below(8) == 0 ? (unsigned)random_below(OWNERS) : logs[r->name].owner;
    request(MCPSESS_LOG_RANGE, r->name, owner, random_below(8) != 0);
    mcpsess_buf_init(&out, out_mem, (size_t)room);
    q.request.out = &out;
    q.request.count = most;
    if (!keep) q.request.ttl_ms = 0;
    q.log.epoch = r->epoch;
    q.log.sequence = r->after;
    return !sent() || replayed(r, most, room, keep);
}

static bool step_state(unsigned name) {
    unsigned owner = random_below(6) == 0 ? (unsigned)random_below(OWNERS) : logs[name].owner;
    const model_log *g = &logs[name];
    request(MCPSESS_LOG_STATE, name, owner, random_below(4) != 0);
    if (!sent()) return true;
    if (!g->present || !mine(g)) return answered(MCPSESS_MISS);
    return answered(MCPSESS_OK) && tells(g);
}

/* ---- delete, loss ---- */

static bool step_del(unsigned name) {
    unsigned owner = random_below(3) == 0 ? (unsigned)random_below(OWNERS) : logs[name].owner, n;
    bool all = rig->deletes_all && random_below(2) == 0;
    uint32_t most = 0, least = 0;
    request(MCPSESS_LOG_DEL, name, owner, random_below(6) != 0);
    if (all) q.log.stream = mcpsess_str_of(NULL, 0);
    if (!sent()) return true;
    for (n = 0; n < NAMES; n++) {
        model_log *g = &logs[n];
        if ((all ? n / STREAMS != name / STREAMS : n != name) || !g->present || !mine(g)) continue;
        most += rig->slack_ms == 0 ? g->count : KEPT; /* those that are too old may be there still */
        least += (uint32_t)(g->last + 1 - first_of(g));
        g->present = false;
        g->count = 0;
    }
    seen->deleted++;
    if (!answered(MCPSESS_OK)) return false;
    return right(q.request.count <= most && q.request.count >= least, "it tells how many went");
}

static void restart(void) {
    unsigned n;
    if (rig->restart == NULL) return;
    rig->restart(rig);
    for (n = 0; n < NAMES; n++) {
        logs[n].present = false;
        logs[n].count = 0;
    }
    seen->restarts++;
}

/* ---- all of it ---- */

static bool step(void) {
    uint32_t what = random_below(1000);
    hand *h = &hands[random_below(HANDS)];
    if (random_below(rig->calm) == 0) rig->pass(rig, (1u + random_below(3)) * rig->unit_ms);
    if (random_below(150 * rig->calm) == 0) rig->pass(rig, (1u + random_below(70)) * rig->unit_ms);
    if (what < 550 && h->fence == 0) what = 0;
    if (what < 60) return h->token == 0 || step_open(h); /* a copy does not open */
    if (what < 500) return step_append(h);
    if (what < 550) return step_set(h);
    if (what < 900) return step_range(&readers[random_below(READERS)]);
    if (what < 940) return step_state((unsigned)random_below(NAMES));
    if (what < 960) return step_del((unsigned)random_below(NAMES));
    if (what == 999 && random_below(10) == 0) restart();
    if (what > 980) { /* a request that will come late */
        hand *copy = &hands[HANDS - 1u - random_below(2)];
        *copy = hands[random_below(HANDS - 2u)];
        copy->token = 0;
    }
    return true;
}

static void begin(uint32_t seed) {
    unsigned n;
    memset(seen, 0, sizeof *seen);
    memset(logs, 0, sizeof logs);
    memset(hands, 0, sizeof hands);
    memset(readers, 0, sizeof readers);
    for (n = 0; n < HANDS - 2u; n++) hands[n].token = (uint8_t)(n + 1u);
    owners[0] = principal("", "");
    owners[1] = principal("issuer", "alice");
    owners[2] = principal("issuer", "bob");
    clock_of_use = 0;
    failed = NULL;
    tap_seed(seed);
}

/* What was asked, what came, and what was to be known of that log; times count from before the request. */
static void report(void) {
    const model_log *g = &logs[target];
    tap_note(failed != NULL ? failed : "?", 0);
    tap_note("kind", q.request.kind);
    tap_note("code", q.request.rc);
    tap_note("guarded", q.request.guarded);
    tap_note("the owner's", mcpsess_str_eq(owners[g->owner].subject, q.request.owner.subject));
    tap_note("present", g->present);
    tap_note("under way for", (int64_t)(now.hi - now.lo));
    tap_note("expires, at the earliest", (int64_t)(g->expires.lo - now.lo));
    tap_note("expires, at the latest", (int64_t)(g->expires.hi - now.lo));
    tap_note("events until, at the earliest", (int64_t)(g->events_until.lo - now.lo));
    tap_note("events until, at the latest", (int64_t)(g->events_until.hi - now.lo));
    tap_note("epoch less its own", (int64_t)(q.log.epoch - g->epoch));
    tap_note("last", (int64_t)g->last);
    tap_note("last of the answer", (int64_t)q.log.last);
}

bool log_model_run(log_model_rig *under_test, uint32_t seed, uint32_t rounds, log_model_stats *stats) {
    uint32_t round;
    rig = under_test;
    seen = stats;
    begin(seed);
    for (round = 0; round < rounds; round++) {
        bool holds = step() && (rig->sound == NULL || right(rig->sound(rig), "the store is sound")) && failed == NULL;
        if (holds) continue;
        CHECK(holds);
        tap_note("seed", (int64_t)seed);
        tap_note("round", (int64_t)round);
        report();
        return false;
    }
    return true;
}
