/* flight against a naive reference: several processes that load and wait, over stores that are slow, fail, lose answers
   or hang, with loaders that do the same; processes stand still, flags are dropped and expire, leases are revoked. Each
   is polled only when it says so.

   What must hold, whatever happens: of two loads of one thing, one at most has a lease by its own clock; fences grow;
   what is flagged, and what is handed out, is what a load of that thing brought to its end, is still good, and was not
   revoked; no flag of a later fence gives way to an earlier one's; who has a deadline ends by it; nobody waits for
   ever; and in the end nothing is left behind. */

#include "flight_rig.h"

#if PORT_SMALL
#define ASKS 4u
#define LOADS 64u
#else
#define ASKS 8u
#define LOADS 4096u
#endif
#define KEYS 4u
#define LONGEST 20000u /* ms that somebody is ready to wait */
#define REQUEST_SLACK (2u * FLIGHT_TIMEOUT)

static const char *const keys[KEYS] = {"a", "b", "c", "d"};

/* What is known of a load, by its number. */
static struct {
    uint64_t fence, good_until_ms;
    uint32_t number;
    uint8_t key;
    bool done;
} loads[LOADS];
static uint32_t load_count;

/* What is known of a key. */
static struct {
    uint64_t fence;         /* the largest seen */
    uint64_t revoked_fence; /* the largest that the store had given when it was revoked last: none up to it counts */
    uint32_t revoked;       /* at which turn that was */
    uint64_t flag_fence;    /* of the load whose flag was seen last; 0: none since it was cleared */
} known[KEYS];

static struct {
    flight_ask ask;
    uint64_t due_ms;
    uint64_t last_ms; /* it has ended by then, if its process is not stopped; MCPSESS_NEVER: not known */
    uint32_t since;   /* the turn in which it, or the one it rides along with, was begun */
    uint8_t key;
    bool open;
    bool waits; /* and loads nothing: it looks at least once, whatever the time */
} asks[ASKS];

static uint64_t stopped_until_ms[FLIGHT_TABLES];
static uint32_t turn;
static const char *broken; /* the first thing that did not hold */

static struct {
    uint32_t ok, busy, timeouts, fenced, failed, canceled, full;
    uint32_t loaded, taken_over, lost, found, shared, revoked, evicted;
} seen;

static void must(bool holds, const char *what) {
    if (!holds && broken == NULL) broken = what;
}

static uint8_t key_of(mcpsess_str key) {
    uint8_t k = 0;
    while (k < KEYS && !mcpsess_str_eq(key, mcpsess_str_z(keys[k]))) k++;
    must(k < KEYS, "a key that was asked for");
    return k < KEYS ? k : 0u;
}

/* The load that brought these data. -> its place; LOADS: it is too long ago to know */
static uint32_t load_of(mcpsess_str data) {
    uint64_t number = 0;
    must(mcpsess_u64_decode(data, load_count, &number) == MCPSESS_OK && number != 0, "data that a load brought");
    return loads[number % LOADS].number == number ? (uint32_t)(number % LOADS) : LOADS;
}

/* ---- loads ---- */

/* By its own clock. One that was revoked does not know yet, nor one whose claim was, while its answer was under way. */
static bool has_lease(const flight_load *l) {
    const mcpsess_i_flight_lane *lane =
        (const mcpsess_i_flight_lane *)(const void *)((const char *)l->job - offsetof(mcpsess_i_flight_lane, job));
    return mcpsess_lease_left(&lane->lease, fr.now_ms) != 0;
}

static void on_load(flight_load *l) {
    uint8_t k = key_of(l->job->key);
    uint32_t at = ++load_count % LOADS;
    unsigned t, n;
    for (t = 0; t < FLIGHT_TABLES; t++) {
        for (n = 0; n < FLIGHT_LANES; n++) {
            const flight_load *other = &fr.tables[t].loads[n];
            if (other == l || other->job == NULL || mcpsess_op_rc(&other->op) != MCPSESS_PENDING) continue;
            if (!mcpsess_str_eq(other->job->key, l->job->key) || !has_lease(other)) continue;
            must(other->job->fence <= known[k].revoked_fence || l->job->fence <= known[k].revoked_fence,
                 "one load at a time");
        }
    }
    must(l->job->fence > known[k].fence || l->job->fence <= known[k].revoked_fence, "fences grow");
    if (l->job->fence > known[k].fence) known[k].fence = l->job->fence;
    loads[at].fence = l->job->fence;
    loads[at].number = load_count;
    loads[at].key = k;
    loads[at].done = false;
    str_number(l->text, '0', load_count);
    memmove(l->text, l->text + 1, sizeof l->text - 1u);
    l->data = l->text;
}

static void on_loaded(flight_load *l) {
    uint32_t at = load_of(mcpsess_str_z(l->text));
    uint64_t good_ms = l->good_ms == 0 || l->good_ms > FLIGHT_TTL ? FLIGHT_TTL : l->good_ms;
    if (at == LOADS) return;
    loads[at].done = l->result == MCPSESS_OK;
    loads[at].good_until_ms = fr.now_ms + good_ms;
}

/* ---- what is flagged ---- */

static void look_at_flags(void) {
    uint8_t k;
    for (k = 0; k < KEYS; k++) {
        mcpsess_lru_entry e;
        uint32_t at;
        if (mcpsess_lru_peek(&fr.ram.i.flags, mcpsess_str_z(keys[k]), fr.now_ms, &e) != MCPSESS_OK) continue;
        at = load_of(str_head(e.value, e.value.len - 3u)); /* behind it "v1" and its length */
        if (at == LOADS) continue;
        must(loads[at].key == k && loads[at].done, "a flag of a load that is done");
        must(loads[at].fence > known[k].revoked_fence, "no flag of what was revoked");
        must(loads[at].fence >= known[k].flag_fence, "no flag of an earlier fence");
        known[k].flag_fence = loads[at].fence;
    }
}

/* ---- asks ---- */

/* Riders see what was answered to who came first. */
static uint32_t since_of(unsigned table, uint8_t k) {
    uint32_t since = turn;
    unsigned i;
    for (i = 0; i < ASKS; i++) {
        if (asks[i].open && asks[i].ask.table == table && asks[i].key == k && asks[i].since < since)
            since = asks[i].since;
    }
    return since;
}

static void answered(unsigned i) {
    int rc = mcpsess_op_rc(&asks[i].ask.op);
    uint64_t left_ms = asks[i].ask.op.left_ms;
    uint32_t at;
    asks[i].open = false;
    switch (rc) {
    case MCPSESS_OK:
        seen.ok++;
        at = load_of(mcpsess_buf_str(&asks[i].ask.out));
        if (at == LOADS) return;
        must(loads[at].key == asks[i].key && loads[at].done, "an answer that was loaded for it");
        must(loads[at].fence > known[asks[i].key].revoked_fence || asks[i].since <= known[asks[i].key].revoked,
             "no answer that was revoked before it was asked for");
        must(left_ms == 0 || fr.now_ms + left_ms <= loads[at].good_until_ms, "an answer that is good");
        return;
    case MCPSESS_BUSY:
        seen.busy++;
        must(left_ms > 0 && left_ms <= FLIGHT_LEASE, "BUSY says for how long");
        return;
    case MCPSESS_E_TIMEOUT: seen.timeouts++; return;
    case MCPSESS_FENCED: seen.fenced++; return;
    case MCPSESS_E_FULL: seen.full++; return;
    case MCPSESS_E_CANCELED: seen.canceled++; return;
    default:
        seen.failed++;
        must(rc == MCPSESS_E_IO || rc == MCPSESS_E_UNKNOWN || rc == MCPSESS_E_FORMAT, "a result that there can be");
        return;
    }
}

static void begin(unsigned i) {
    static const uint16_t times[] = {0, 0, 1, 70, 600, 3000, LONGEST};
    uint8_t k = (uint8_t)random_below(KEYS);
    unsigned table = (unsigned)random_below(FLIGHT_TABLES);
    uint32_t time_ms = times[random_below(COUNT_OF(times))];
    if (fr.now_ms < stopped_until_ms[table]) return;
    asks[i].waits = random_below(4) == 0;
    asks[i].key = k;
    asks[i].since = since_of(table, k);
    asks[i].open = true;
    asks[i].due_ms = fr.now_ms;
    asks[i].ask.op.timeout_ms = time_ms;
    asks[i].last_ms = time_ms == 0 ? MCPSESS_NEVER : fr.now_ms + time_ms;
    if (asks[i].waits) {
        asks[i].last_ms = fr.now_ms + time_ms + REQUEST_SLACK;
        (void)flight_wait_in(&asks[i].ask, table, keys[k], time_ms);
    } else {
        (void)flight_load_in(&asks[i].ask, table, keys[k]);
    }
    if (mcpsess_op_rc(&asks[i].ask.op) != MCPSESS_PENDING) answered(i);
}

static bool is_stopped(unsigned i) {
    return fr.now_ms < stopped_until_ms[asks[i].ask.table];
}

/* Something is there for it, or the time that it named has come. */
static bool is_due(unsigned i) {
    mcpsess_op *op = &asks[i].ask.op;
    if (!asks[i].open || is_stopped(i)) return false;
    if (mcpsess_op_rc(op) != MCPSESS_PENDING || (mcpsess_want(op) & MCPSESS_WANT_NOW) != 0) return true;
    return fr.tables[asks[i].ask.table].net.push_count != 0 || asks[i].due_ms <= fr.now_ms;
}

/* All that is due now, until nothing is. -> the next instant at which something will be */
static uint64_t superloop(void) {
    uint64_t next_ms = MCPSESS_NEVER;
    unsigned i, rounds = 0;
    bool busy = true;
    for (; busy && rounds < 1000; rounds++) {
        busy = false;
        for (i = 0; i < ASKS; i++) {
            if (!is_due(i)) continue;
            busy = true;
            if (flight_poll(&asks[i].ask) != MCPSESS_PENDING) answered(i);
        }
        for (i = 0; i < ASKS; i++) {
            if (asks[i].open) asks[i].due_ms = mcpsess_next_due(&asks[i].ask.op, fr.now_ms);
        }
    }
    must(!busy, "it comes to rest");
    for (i = 0; i < ASKS; i++) {
        if (!asks[i].open || is_stopped(i)) continue;
        if (asks[i].due_ms < next_ms) next_ms = asks[i].due_ms;
        must(asks[i].last_ms == MCPSESS_NEVER || fr.now_ms <= asks[i].last_ms, "it ends by its deadline");
    }
    return next_ms;
}

/* ---- what happens ---- */

static void change_net(flight_table *t) {
    static const int fails[] = {MCPSESS_E_IO, MCPSESS_E_UNKNOWN, MCPSESS_E_TIMEOUT};
    uint32_t how = random_below(8);
    t->net.hang = how == 0;
    t->net.fail = how == 1 || how == 2 ? fails[random_below(COUNT_OF(fails))] : MCPSESS_OK;
    t->net.fail_after = t->net.fail == MCPSESS_E_UNKNOWN || t->net.fail == MCPSESS_E_TIMEOUT ? random_below(2) == 0 : 0;
    t->net.delay = (unsigned)random_below(3);
    t->deaf = random_below(4) == 0;
    t->net.hear = t->deaf ? MCPSESS_STALE : MCPSESS_OK;
    if (how != 0) test_store_release(&t->net);
}

static void change_loader(flight_table *t) {
    static const uint16_t takes[] = {0, 5, 80, 900, 8000};
    uint32_t how = random_below(10);
    t->takes_ms = how == 0 ? MCPSESS_NEVER : takes[random_below(COUNT_OF(takes))];
    t->result = how == 1 ? MCPSESS_E_FORMAT : MCPSESS_OK;
    t->good_ms = how < 5 ? 0 : random_below(20000) + 1u;
    t->refuses = how == 9 && random_below(4) == 0;
}

/* A process stands still; what it was answered meanwhile may be too old to count. */
static void stop(unsigned table) {
    unsigned i;
    stopped_until_ms[table] = fr.now_ms + random_below(10000);
    for (i = 0; i < ASKS; i++) {
        uint64_t last_ms = stopped_until_ms[table] + REQUEST_SLACK;
        if (asks[i].ask.table == table && asks[i].waits && asks[i].last_ms < last_ms) asks[i].last_ms = last_ms;
    }
}

static void revoke(void) {
    uint8_t k = (uint8_t)random_below(KEYS);
    look_at_flags();
    flight_revoke(keys[k]);
    known[k].revoked = turn;
    known[k].revoked_fence = fr.ram.i.fence;
    known[k].flag_fence = 0;
    seen.revoked++;
}

static void happen(uint64_t next_ms) {
    flight_table *t = &fr.tables[random_below(FLIGHT_TABLES)];
    unsigned i = (unsigned)random_below(ASKS);
    switch (random_below(16)) {
    case 0: change_net(t); return;
    case 1: change_loader(t); return;
    case 2:
        if (random_below(4) == 0) revoke();
        return;
    case 3:
        if (random_below(8) == 0) stop((unsigned)(t - fr.tables));
        return;
    case 4:
        if (!asks[i].open || is_stopped(i)) return;
        mcpsess_cancel(&asks[i].ask.op);
        answered(i);
        return;
    case 5:
    case 6:
    case 7:
    case 8:
        if (!asks[i].open) begin(i);
        return;
    default: /* time goes by, but past nothing that is due */
        if (next_ms == MCPSESS_NEVER || next_ms > fr.now_ms + 1000u) next_ms = fr.now_ms + random_below(1000);
        if (next_ms > fr.now_ms) fr.now_ms = next_ms;
        return;
    }
}

static void count(void) {
    unsigned t;
    for (t = 0; t < FLIGHT_TABLES; t++) {
        const mcpsess_flight_stats *s = &fr.tables[t].flights.stats;
        seen.loaded += s->loaded;
        seen.taken_over += s->taken_over;
        seen.lost += s->lost;
        seen.found += s->found;
        seen.shared += s->shared;
    }
    seen.evicted = fr.ram.stats.flags_evicted;
}

/* Everything works again: who is still there ends, within a lease and a wait, and everything can be loaded anew. */
static void calm_down(void) {
    uint64_t until_ms;
    unsigned t, i, k;
    if (broken != NULL) return;
    for (t = 0; t < FLIGHT_TABLES; t++) {
        flight_table *table = &fr.tables[t];
        table->net.hang = table->deaf = table->refuses = false;
        table->net.fail = MCPSESS_OK;
        table->net.delay = 0;
        table->takes_ms = 0;
        table->result = MCPSESS_OK;
        test_store_release(&table->net);
        stopped_until_ms[t] = 0;
        for (i = 0; i < FLIGHT_LANES; i++) table->loads[i].done_ms = fr.now_ms;
    }
    until_ms = fr.now_ms + LONGEST + FLIGHT_LEASE + 20u * FLIGHT_POLL;
    while (fr.now_ms <= until_ms && broken == NULL) {
        uint64_t next_ms = superloop();
        fr.now_ms = next_ms < until_ms ? next_ms : until_ms + 1u;
    }
    for (i = 0; i < ASKS; i++) must(!asks[i].open, "nobody waits for ever");
    if (broken != NULL) return;
    fr.now_ms += FLIGHT_LEASE;
    for (t = 0; t < FLIGHT_TABLES; t++) {
        for (k = 0; k < KEYS; k++) must(flight_load_in(&asks[0].ask, t, keys[k]) == MCPSESS_OK, "all is free again");
        fr.tables[t].net.store.cls->poll(fr.tables[t].net.store.self, fr.now_ms);
        must(test_store_pending(&fr.tables[t].net) == 0, "no request is left");
    }
}

static void run_model(uint32_t seed, uint32_t rounds) {
    uint64_t next_ms;
    memset(loads, 0, sizeof loads);
    memset(known, 0, sizeof known);
    memset(asks, 0, sizeof asks);
    memset(stopped_until_ms, 0, sizeof stopped_until_ms);
    load_count = 0;
    broken = NULL;
    flight_start();
    fr.on_load = on_load;
    fr.on_loaded = on_loaded;
    tap_seed(seed);
    for (turn = 1; turn <= rounds && broken == NULL; turn++) {
        next_ms = superloop();
        look_at_flags();
        happen(next_ms);
        if (turn % 64u == 0) must(mcpsess_memstore_check(&fr.ram) == MCPSESS_OK && arena_intact(), "sound stores");
    }
    count();
    calm_down();
    flight_sound();
    if (broken != NULL) tap_note(broken, (int64_t)turn);
    CHECK(broken == NULL);
}

TEST(flight_agrees_with_a_naive_model) {
    run_model(1901, PORT_ROUNDS);
}

/* A model in which something never happens shows nothing of it. */
TEST(flight_model_has_seen_all_there_is) {
    if (PORT_SMALL) return;
    CHECK(seen.ok > 0 && seen.busy > 0 && seen.timeouts > 0 && seen.fenced > 0 && seen.failed > 0);
    CHECK(seen.canceled > 0 && seen.full > 0);
    CHECK(seen.loaded > 0 && seen.taken_over > 0 && seen.lost > 0 && seen.found > 0 && seen.shared > 0);
    CHECK(seen.revoked > 0 && seen.evicted > 0);
    tap_note("answers", seen.ok);
    tap_note("loads", seen.loaded);
    tap_note("taken over", seen.taken_over);
    tap_note("lost", seen.lost);
}

/* Begun anew again and again: what is left behind shows. */
TEST(flight_model_leaves_nothing_behind) {
    uint32_t n;
    for (n = 0; n < (PORT_SMALL ? 3u : 200u); n++) run_model(2000 + n, 300);
}

void test_flight_model(void) {
    RUN(flight_agrees_with_a_naive_model);
    RUN(flight_model_has_seen_all_there_is);
    RUN(flight_model_leaves_nothing_behind);
}
