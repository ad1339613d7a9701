/* backend: several of them, one of which can only be reached while it runs, and two replicas that look after them, over
   stores that are slow, fail, lose answers or hang, with a driver that does the same; operations of all kinds come in
   any order, are late, and are canceled; backends die, and are lost but for their data; replicas crash, or stand still
   for longer than their leases and go on by a clock of then. Each is polled only when it says so.

   What must hold, whatever happens, is what the rig looks at with everything that takes effect, and besides: no two
   replicas own a backend at a time; who has a deadline ends by it; nobody waits for ever; and in the end all of them
   can be started, with all their data, by somebody. */

#include "backend_rig.h"

#define LONGEST (8u * WORLD_STEP) /* ms that steps which undo may take behind a deadline */

static struct {
    uint64_t last_ms; /* it has ended by then, if its process did not stand still; MCPSESS_NEVER: not known */
    bool open;
} asks[WORLD_ASKS];

static struct {
    uint64_t stopped_ms, until_ms; /* it stands still */
    uint8_t storm;                 /* calls that fail, of 64 */
} managers[WORLD_MANAGERS];

static unsigned replicas;

static struct {
    uint32_t results[WORLD_KINDS]; /* OK, by what was asked for */
    uint32_t ok, miss, exists, busy, fenced, timeouts, failed, canceled, full;
    uint32_t crashes, zombies, refused, late, deaths, losses, restarts;
    uint32_t recovered, preserved, restored, died, taken_over, lost, started, removed;
} seen;

/* ---- calls ---- */

static uint8_t choose(world_job *j) {
    uint32_t n = random_below(64);
    if (n >= managers[j->manager].storm) return WORLD_WELL;
    if (random_below(32) == 0) return (uint8_t)(WORLD_CRASH + random_below(2));
    return (uint8_t)(WORLD_FAILS + random_below(WORLD_CRASH - WORLD_FAILS));
}

/* ---- asks ---- */

static void answered(unsigned n) {
    const world_ask *a = &br.asks[n];
    int rc = mcpsess_op_rc(&a->op.op);
    asks[n].open = false;
    switch (rc) {
    case MCPSESS_OK:
        seen.ok++;
        seen.results[a->kind]++;
        return;
    case MCPSESS_MISS: seen.miss++; return;
    case MCPSESS_EXISTS: seen.exists++; return;
    case MCPSESS_BUSY:
        seen.busy++;
        world_must(a->op.op.left_ms > 0 && a->op.op.left_ms <= WORLD_LEASE, "BUSY says for how long");
        return;
    case MCPSESS_FENCED: seen.fenced++; return;
    case MCPSESS_E_TIMEOUT: seen.timeouts++; return;
    case MCPSESS_E_CANCELED: seen.canceled++; return;
    case MCPSESS_E_FULL: seen.full++; return;
    default: seen.failed++; return;
    }
}

static void look_at_asks(void) {
    unsigned n;
    for (n = 0; n < WORLD_ASKS; n++) {
        if (!asks[n].open) continue;
        if (mcpsess_op_rc(&br.asks[n].op.op) != MCPSESS_PENDING) answered(n);
        else
            world_must(br.now_ms <= asks[n].last_ms || br.managers[br.asks[n].manager].stopped,
                       "it ends by its deadline");
    }
}

static uint8_t random_kind(void) {
    static const uint8_t kinds[] = {
        WORLD_ENSURE,       WORLD_START,        WORLD_START,  WORLD_START,     WORLD_STOP_IT,     WORLD_DEL,
        WORLD_DEL_PRESERVE, WORLD_DEL_PRESERVE, WORLD_EXPORT, WORLD_IMPORT,    WORLD_IMPORT_COPY, WORLD_DISCARD,
        WORLD_ADDRESS_OF,   WORLD_ADDRESS_OF,   WORLD_LIST,   WORLD_RECONCILE, WORLD_PREPARE,     WORLD_LEAVE,
    };
    return kinds[random_below(COUNT_OF(kinds))];
}

static void begin(unsigned n) {
    static const uint16_t times[] = {0, 0, 1, 700, 3000, 12000};
    unsigned manager = (unsigned)random_below(replicas);
    uint32_t time_ms = times[random_below(COUNT_OF(times))];
    uint8_t kind = random_kind();
    if (br.managers[manager].stopped) return;
    br.asks[n].op.op.timeout_ms = time_ms;
    asks[n].open = true;
    asks[n].last_ms = time_ms == 0 ? MCPSESS_NEVER : br.now_ms + time_ms + LONGEST;
    (void)world_begin(n, manager, kind, (unsigned)random_below(WORLD_BACKENDS));
    if (mcpsess_op_rc(&br.asks[n].op.op) != MCPSESS_PENDING) answered(n);
}

static void cancel(unsigned n) {
    if (!asks[n].open || br.managers[br.asks[n].manager].stopped) return;
    mcpsess_cancel(&br.asks[n].op.op);
    answered(n);
}

/* ---- replicas ---- */

static void count(unsigned manager) {
    const mcpsess_backend_stats *s = &br.managers[manager].m.stats;
    seen.recovered += s->recovered;
    seen.preserved += s->preserved;
    seen.restored += s->restored;
    seen.died += s->died;
    seen.taken_over += s->taken_over;
    seen.lost += s->lost;
    seen.started += s->started;
    seen.removed += s->removed;
}

static void crash(unsigned manager) {
    unsigned n;
    seen.crashes++;
    count(manager);
    for (n = 0; n < WORLD_ASKS; n++) {
        if (br.asks[n].manager == manager) asks[n].open = false;
    }
    br.managers[manager].stopped = false;
    world_restart(manager);
}

static void stand_still(unsigned manager) {
    if (br.managers[manager].stopped) return;
    br.managers[manager].stopped = true;
    managers[manager].stopped_ms = br.now_ms;
    managers[manager].until_ms = br.now_ms + WORLD_LEASE / 2u + random_below(3u * WORLD_LEASE);
}

/* What it was about to do, it does as if little time had gone by; but its store, whose clock went on, is not heard. */
static void be_a_zombie(unsigned manager) {
    world_manager *w = &br.managers[manager];
    uint64_t now_ms = br.now_ms;
    bool hang = w->net.hang;
    unsigned n;
    seen.zombies++;
    br.now_ms = managers[manager].stopped_ms + random_below(3000);
    if (br.now_ms > now_ms) br.now_ms = now_ms;
    w->net.fail = MCPSESS_E_IO;
    w->net.fail_after = false;
    w->net.hang = true;
    for (n = 0; n < WORLD_ASKS && !br.crashed; n++) {
        if (asks[n].open && br.asks[n].manager == manager) (void)world_poll(n);
    }
    if (!br.crashed) mcpsess_backend_step(&w->m, br.now_ms);
    w->net.fail = MCPSESS_OK;
    w->net.hang = hang;
    br.now_ms = now_ms;
}

static void go_on(unsigned manager) {
    unsigned n;
    br.managers[manager].stopped = false;
    if (random_below(4) != 0) be_a_zombie(manager);
    for (n = 0; n < WORLD_ASKS; n++) {
        if (br.asks[n].manager != manager || asks[n].last_ms == MCPSESS_NEVER) continue;
        asks[n].last_ms += br.now_ms - managers[manager].stopped_ms;
    }
}

static void change_store(unsigned manager) {
    static const int fails[] = {MCPSESS_E_IO, MCPSESS_E_UNKNOWN, MCPSESS_E_TIMEOUT};
    test_store *net = &br.managers[manager].net;
    uint32_t how = random_below(8);
    if (replicas == 1) return;
    net->hang = how == 0;
    net->fail = how == 1 || how == 2 ? fails[random_below(COUNT_OF(fails))] : MCPSESS_OK;
    net->fail_after = net->fail != MCPSESS_OK && net->fail != MCPSESS_E_IO && random_below(2) == 0;
    net->delay = (unsigned)random_below(3);
    if (how != 0) test_store_release(net);
}

static void change_driver(unsigned manager) {
    static const uint16_t takes[] = {0, 0, 5, 90, 800, 2500};
    static const uint8_t storms[] = {0, 0, 0, 1, 4, 24};
    br.managers[manager].takes_ms = takes[random_below(COUNT_OF(takes))];
    managers[manager].storm = storms[random_below(COUNT_OF(storms))];
}

/* ---- what happens ---- */

static void happen_to(unsigned b) {
    unsigned m = (unsigned)random_below(replicas);
    switch (random_below(8)) {
    case 0:
        if (random_below(4) != 0) return;
        seen.losses += br.backends[b].present ? 1u : 0u;
        world_lose(b);
        return;
    case 1:
    case 2:
        seen.deaths += br.backends[b].running ? 1u : 0u;
        world_die(b);
        if (random_below(2) != 0 || br.managers[m].stopped) return;
        (void)mcpsess_backend_died(&br.managers[m].m, world_id(b), br.now_ms);
        return;
    case 3:
        if (br.managers[m].stopped) return;
        (void)mcpsess_backend_keep(&br.managers[m].m, world_id(b), random_below(4) != 0, br.now_ms);
        return;
    case 4: br.backends[b].labelled = random_below(2) == 0; return;
    case 5: br.backends[b].address = random_below(4) == 0 ? "" : random_below(2) == 0 ? "one" : "another"; return;
    default: world_work(b); return;
    }
}

static void happen(uint64_t next_ms) {
    unsigned n = (unsigned)random_below(WORLD_ASKS), m = (unsigned)random_below(replicas);
    switch (random_below(20)) {
    case 0: change_store(m); return;
    case 1: change_driver(m); return;
    case 2:
        if (random_below(4) == 0) stand_still(m);
        return;
    case 3:
        if (random_below(16) == 0) crash(m);
        return;
    case 4:
        if (random_below(2) == 0) cancel(n);
        return;
    case 5:
    case 6:
    case 7: happen_to((unsigned)random_below(WORLD_BACKENDS)); return;
    case 8:
    case 9:
    case 10:
        if (!asks[n].open) begin(n);
        return;
    default: /* time goes by, but past nothing that is due */
        if (next_ms == MCPSESS_NEVER || next_ms > br.now_ms + 1000u) next_ms = br.now_ms + random_below(1000);
        if (next_ms > br.now_ms) br.now_ms = next_ms;
        return;
    }
}

/* What each says that it knows can be read at any time, and does not contradict the other. */
static void look_at_infos(void) {
    unsigned m, b;
    for (b = 0; b < WORLD_BACKENDS; b++) {
        unsigned owners = 0;
        for (m = 0; m < replicas; m++) {
            mcpsess_backend_info info = world_info(m, b);
            if (info.state == 0xFFu) continue;
            world_must(info.state <= MCPSESS_BACKEND_ELSEWHERE, "a state that there is");
            world_must(info.address.len == 0 || info.state == MCPSESS_BACKEND_RUNNING ||
                           info.state == MCPSESS_BACKEND_UNKNOWN,
                       "an address of what runs, or may");
            if (info.fence == 0) continue;
            world_must(replicas == 2 && info.lease_left_ms > 0 && info.lease_left_ms <= WORLD_LEASE, "a lease");
            owners++;
        }
        world_must(owners <= 1, "one owner at a time");
    }
}

/* ---- the end ---- */

/* Whoever may. */
static void start_at_last(unsigned b) {
    unsigned m = 0;
    int rc = world_do_by(0, WORLD_START, b);
    if (rc == MCPSESS_BUSY) rc = world_do_by(m = 1, WORLD_START, b);
    world_must(rc == MCPSESS_OK, "it can be started");
    world_must(br.backends[b].running && world_has_all(b), "it runs on all its data");
    world_must(world_info(m, b).state == MCPSESS_BACKEND_RUNNING, "who started it knows");
}

static void calm_down(void) {
    unsigned m, n, b;
    for (m = 0; m < replicas; m++) {
        managers[m].storm = 0;
        br.managers[m].takes_ms = 0;
        br.managers[m].stopped = false;
        br.managers[m].net.hang = false;
        br.managers[m].net.fail = MCPSESS_OK;
        br.managers[m].net.delay = 0;
        test_store_release(&br.managers[m].net);
    }
    for (b = 0; b < WORLD_BACKENDS; b++) {
        br.backends[b].address = "addr";
        for (m = 0; m < replicas; m++) (void)mcpsess_backend_keep(&br.managers[m].m, world_id(b), false, br.now_ms);
    }
    world_loop(br.now_ms + 20u * WORLD_STEP + WORLD_LEASE);
    look_at_asks();
    for (n = 0; n < WORLD_ASKS; n++) world_must(!asks[n].open, "nobody waits for ever");
    for (b = 0; b < WORLD_BACKENDS && br.broken == NULL; b++) start_at_last(b);
    for (n = 0; n < WORLD_JOBS; n++) world_must(!br.jobs[n].open, "no call is left");
    for (m = 0; m < replicas && br.shared; m++)
        world_must(test_store_pending(&br.managers[m].net) == 0, "no request is left");
}

static void run_model(uint32_t seed, uint32_t rounds, unsigned count_of_replicas) {
    mcpsess_backend_desc d = count_of_replicas == 2 ? world_desc_shared() : world_desc();
    uint32_t turn;
    unsigned m, b;
    d.look_ms = 5000;
    world_start_as(&d);
    memset(asks, 0, sizeof asks);
    memset(managers, 0, sizeof managers);
    replicas = count_of_replicas;
    br.choose = choose;
    for (b = 0; b < WORLD_BACKENDS; b++) br.backends[b].live = b == 2;
    tap_seed(seed);
    for (turn = 1; turn <= rounds && br.broken == NULL; turn++) {
        uint64_t next_ms = world_turn();
        if (br.crashed) crash(br.crashed_manager);
        look_at_asks();
        look_at_infos();
        happen(next_ms);
        if (br.crashed) crash(br.crashed_manager);
        for (m = 0; m < replicas; m++) {
            if (br.managers[m].stopped && br.now_ms >= managers[m].until_ms) go_on(m);
        }
        if (br.crashed) crash(br.crashed_manager);
        if (turn % 64u == 0) world_must(!br.shared || arena_intact(), "sound stores");
    }
    if (br.broken == NULL) calm_down();
    for (m = 0; m < replicas; m++) count(m);
    seen.refused += br.refused;
    seen.late += br.late;
    if (br.broken != NULL) tap_note(br.broken, (int64_t)turn);
    world_sound();
}

TEST(backend_model_of_one_manager) {
    run_model(2101, PORT_ROUNDS / 2u, 1);
}

TEST(backend_model_of_two_replicas) {
    run_model(2102, PORT_ROUNDS / 2u, 2);
}

/* Begun anew again and again: what is left behind shows. */
TEST(backend_model_leaves_nothing_behind) {
    uint32_t n;
    for (n = 0; n < (PORT_SMALL ? 2u : 300u) && br.broken == NULL; n++) run_model(2200 + n, 300, n % 2u == 0 ? 1u : 2u);
}

/* A model in which something never happens shows nothing of it. */
TEST(backend_model_has_seen_all_there_is) {
    unsigned n;
    if (PORT_SMALL) return;
    for (n = WORLD_NOTHING + 1u; n < WORLD_KINDS; n++) CHECK(seen.results[n] > 0);
    CHECK(seen.ok > 0 && seen.miss > 0 && seen.exists > 0 && seen.busy > 0 && seen.fenced > 0);
    CHECK(seen.timeouts > 0 && seen.failed > 0 && seen.canceled > 0 && seen.full > 0);
    CHECK(seen.crashes > 0 && seen.zombies > 0 && seen.refused > 0 && seen.late > 0);
    CHECK(seen.deaths > 0 && seen.losses > 0 && seen.died > 0);
    CHECK(seen.recovered > 0 && seen.preserved > 0 && seen.restored > 0 && seen.started > 0 && seen.removed > 0);
    CHECK(seen.taken_over > 0 && seen.lost > 0);
    tap_note("operations that ended well", seen.ok);
    tap_note("crashes", seen.crashes);
    tap_note("taken over", seen.taken_over);
    tap_note("calls refused to a zombie", seen.refused);
    tap_note("copies restored", seen.restored);
}

void test_backend_model(void) {
    RUN(backend_model_of_one_manager);
    RUN(backend_model_of_two_replicas);
    RUN(backend_model_leaves_nothing_behind);
    RUN(backend_model_has_seen_all_there_is);
}
