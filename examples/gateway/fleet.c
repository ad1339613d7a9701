/* fleet.c - the backends that the gateway runs: kept running by a manager, which drives them as process.c says.

   Each is owned by one gateway at a time, by a lease in the store that they share. Its owner starts it, sees it end,
   and starts it again, later and later. Any other gateway with the same --data finds it there, and sends requests to
   it all the same; it takes over when the owner is gone, and finds the process running, or starts it.

   A backend goes by its id, in sessions' records, too: it is the same one whatever its port. It is up as soon as its
   port accepts, and down when it is seen to end, or a request finds that it does not accept any more. */

#include "gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 500u    /* how often one that was not started here is looked at */
#define PORT_MS 100u    /* and the port of one that is down */
#define STEP_MS 600000u /* data may be large */
#define LOCK_TRIES 100  /* for a directory that a gateway that just ended had */

struct member {
    struct gateway *g;
    struct process *process;
    struct backend *backend;
    mcpsess_backend_op op;
    struct step step;
    bool running;     /* as of the last look */
    uint64_t port_ms; /* when to try its port again */
    uint64_t ask_ms;  /* and when to ask whether it is still another gateway's */
};

struct fleet {
    struct processes processes;
    mcpsess_backend_manager manager;
    void *memory;
    struct member members[BACKENDS_MAX];
    mcpsess_backend_op op; /* for all of them */
    struct step step;
    struct event *sigchld;
    unsigned stopping; /* of them */
    bool managed, ending, left;
    int lock;
};

/* ---- what is given */

bool fleet_is_command(const char *text) {
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return text[0] != '\0' && (scheme == 0 || strncmp(text + scheme, "://", 3) != 0);
}

/* NAME: COMMAND, or a command without a name: it is called b1, b2 ... */
static const char *name_of(const char *text, unsigned n, char *id) {
    size_t len = strspn(text, "-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    bool named = len > 0 && len <= PROCESS_ID_MAX && text[len] == ':' && text[len + 1] == ' ';
    if (named) snprintf(id, PROCESS_ID_MAX + 1, "%.*s", (int)len, text);
    else snprintf(id, PROCESS_ID_MAX + 1, "b%u", n);
    return named ? text + len + 2 : text;
}

static bool add_all(struct gateway *g) {
    char id[PROCESS_ID_MAX + 1];
    for (size_t i = 0; i < g->config.backend_count; i++) {
        const char *text = g->config.backends[i];
        if (!fleet_is_command(text)) continue;
        text = name_of(text, g->fleet->processes.count + 1, id);
        if (process_add(&g->fleet->processes, id, text)) continue;
        fprintf(stderr, "gateway: there are two backends %s\n", id);
        return false;
    }
    return true;
}

/* Without Redis nothing says whose the backends are, so the directory is one gateway's. */
static bool lock_data(struct gateway *g) {
    char path[PROCESS_DIR_MAX + 8];
    struct timespec t = {0, 10 * 1000000L};
    int how = g->config.redis.host != NULL ? LOCK_SH : LOCK_EX, rc = -1;
    snprintf(path, sizeof path, "%s/.lock", g->fleet->processes.dir);
    g->fleet->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; g->fleet->lock >= 0 && rc != 0 && i < LOCK_TRIES; i++) {
        rc = flock(g->fleet->lock, how | LOCK_NB);
        if (rc != 0) nanosleep(&t, NULL);
    }
    if (rc != 0) fprintf(stderr, "gateway: --data %s: another gateway has it\n", g->config.data);
    return rc == 0;
}

int fleet_open(struct gateway *g) {
    bool any = false;
    for (size_t i = 0; i < g->config.backend_count; i++) any = any || fleet_is_command(g->config.backends[i]);
    if (!any) return 0;
    g->fleet = calloc(1, sizeof *g->fleet);
    if (g->fleet == NULL) return -1;
    g->fleet->lock = -1;
    if (processes_open(&g->fleet->processes, g->config.data) != 0) {
        fprintf(stderr, "gateway: --data %s: %s\n", g->config.data, strerror(errno));
        return -1;
    }
    return lock_data(g) && add_all(g) ? 0 : -1;
}

struct process *fleet_process(struct gateway *g, unsigned n) {
    return &g->fleet->processes.of[n];
}

uint64_t fleet_fence(const struct gateway *g) {
    return g->fleet != NULL ? process_highest_fence(&g->fleet->processes) : 0;
}

/* ---- how they are */

static void died(void *user, mcpsess_str id) {
    struct gateway *g = user;
    if (!g->fleet->left) mcpsess_backend_died(&g->fleet->manager, id, now_ms());
}

static void dropped(void *user, mcpsess_str id, mcpsess_str address) {
    struct gateway *g = user;
    (void)address;
    for (unsigned i = 0; i < g->fleet->processes.count; i++) {
        struct member *m = &g->fleet->members[i];
        if (mcpsess_str_eq(id, mcpsess_str_z(m->process->id))) legs_reap(m->backend, MCPSESS_NEVER);
    }
}

static mcpsess_backend_info info_of(const struct member *m) {
    mcpsess_backend_info info = {0};
    mcpsess_backend_get(&m->g->fleet->manager, mcpsess_str_z(m->process->id), now_ms(), &info);
    return info;
}

static void go_on(struct gateway *g, struct step *s, mcpsess_backend_op *op, int rc, void (*then)(void *, int),
                  void *user) {
    if (rc == MCPSESS_PENDING) step_wait(g, s, &op->op, then, user);
    else then(user, rc);
}

static void asked(void *user, int rc) {
    (void)user;
    (void)rc; /* the manager knows */
}

/* It does not run, and is another gateway's: which may have given it up, long before its lease would have run out. */
static void ask_for(struct member *m, uint64_t now) {
    struct fleet *f = m->g->fleet;
    bool elsewhere = info_of(m).state == MCPSESS_BACKEND_ELSEWHERE;
    if (!elsewhere || f->ending || now < m->ask_ms || process_port(m->process) != 0 || m->step.op != NULL) return;
    m->ask_ms = mcpsess_time_add(now, LOOK_MS);
    go_on(m->g, &m->step, &m->op, mcpsess_backend_start(&f->manager, &m->op, mcpsess_str_z(m->process->id), now), asked,
          m);
}

/* Whoever started it. */
static void try_port(struct member *m) {
    uint64_t now = now_ms();
    if (m->backend->up || now < m->port_ms) return;
    m->port_ms = mcpsess_time_add(now, PORT_MS);
    if (backend_locate(m->backend) && port_accepts(m->backend->port)) backend_is(m->backend, true);
    else ask_for(m, now);
}

static void look_at(struct member *m) {
    mcpsess_backend_info info = info_of(m);
    bool running = info.state == MCPSESS_BACKEND_RUNNING && info.address.len > 0;
    bool stopped = info.state == MCPSESS_BACKEND_STOPPED || info.state == MCPSESS_BACKEND_ABSENT;
    if (stopped && m->running) backend_is(m->backend, false);
    if (running && !m->running) m->port_ms = 0;
    if (running || stopped) m->running = running;
    try_port(m);
}

void fleet_step(struct gateway *g) {
    struct fleet *f = g->fleet;
    if (f == NULL || !f->managed) return;
    processes_reap(&f->processes);
    mcpsess_backend_step(&f->manager, now_ms());
    for (unsigned i = 0; i < f->processes.count; i++) look_at(&f->members[i]);
}

uint64_t fleet_due(struct gateway *g, uint64_t now) {
    struct fleet *f = g->fleet;
    if (f == NULL || !f->managed) return MCPSESS_NEVER;
    if ((mcpsess_backend_want(&f->manager) & MCPSESS_WANT_NOW) != 0) return now;
    uint64_t at = mcpsess_backend_due(&f->manager, now);
    for (unsigned i = 0; i < f->processes.count; i++) {
        const struct member *m = &f->members[i];
        if (!m->backend->up && m->port_ms < at) at = m->port_ms;
    }
    return at;
}

static void on_child(evutil_socket_t number, short what, void *user) {
    struct gateway *g = user;
    (void)number;
    (void)what;
    event_active(g->pump, EV_TIMEOUT, 0);
}

static const char *step_name(uint64_t step) {
    switch (step) {
#define STEP_NAME(name, member) \
    case MCPSESS_BACKEND_##name: return #member;
        MCPSESS_BACKEND_STEPS(STEP_NAME)
#undef STEP_NAME
    default: return "lease";
    }
}

/* What is wrong is said without --verbose, too. */
static void on_log(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    const struct gateway *g = user;
    const char *text = mcpsess_item_text(item);
    int len = (int)strcspn(text, ";"), code = (int)(number >> 8);
    bool failed = item == MCPSESS_ITEM_BACKEND_FAILED || item == MCPSESS_ITEM_STEP_FAILED;
    if (level == MCPSESS_LOG_INFO && !g->config.verbose) return;
    fprintf(stderr, "gateway: backend %.*s: %.*s", (int)key.len, key.ptr, len, text);
    if (failed) fprintf(stderr, " (%s: %s)\n", step_name(number & 0xFFu), mcpsess_code_name(-code));
    else fprintf(stderr, " (%" PRIu64 ")\n", number);
}

/* ---- the beginning */

static void reconciled(void *user, int rc) {
    struct gateway *g = user;
    say(g, "backends: %s, %u do not run", mcpsess_code_name(rc), (unsigned)g->fleet->op.op.count);
}

static int manager_open(struct gateway *g) {
    struct fleet *f = g->fleet;
    mcpsess_backend_desc d = mcpsess_backend_desc_default();
    d.driver = process_driver(&f->processes);
    d.store = g->store;
    d.capacity = d.lanes = (uint16_t)f->processes.count;
    d.address_max = PROCESS_ADDRESS_MAX;
    d.lease_ms = g->config.backend_lease_ms;
    d.backoff_ms = g->config.backend_backoff_ms;
    d.look_ms = LOOK_MS;
    d.step_ms = STEP_MS;
    d.network_tries = 1; /* the driver waits for as long as it runs */
    d.dropped = dropped;
    d.user = g;
    d.random = table_random;
    d.log.log = on_log;
    d.log.user = g;
    size_t size = mcpsess_backend_bytes(&d);
    f->memory = malloc(size);
    if (f->memory == NULL || mcpsess_backend_init(&f->manager, &d, f->memory, size) != MCPSESS_OK) return -1;
    f->managed = true;
    f->processes.manager = &f->manager;
    f->processes.died = died;
    f->processes.user = g;
    return 0;
}

int fleet_start(struct gateway *g) {
    struct fleet *f = g->fleet;
    if (f == NULL) return 0;
    f->sigchld = evsignal_new(g->base, SIGCHLD, on_child, g);
    if (f->sigchld == NULL || event_add(f->sigchld, NULL) != 0 || manager_open(g) != 0) return -1;
    mcpsess_op_init(&f->op.op, 0);
    for (unsigned i = 0; i < f->processes.count; i++) {
        struct member *m = &f->members[i];
        m->g = g;
        m->process = &f->processes.of[i];
        m->backend = &g->backends[backend_find(g, mcpsess_str_z(m->process->id))];
        mcpsess_op_init(&m->op.op, 0);
        if (mcpsess_backend_keep(&f->manager, mcpsess_str_z(m->process->id), true, now_ms()) != MCPSESS_OK) return -1;
    }
    go_on(g, &f->step, &f->op, mcpsess_backend_reconcile(&f->manager, &f->op, now_ms()), reconciled, g);
    table_schedule(g);
    return 0;
}

/* ---- the end: those of ours are stopped, or left running, and then are anybody's */

static void left(void *user, int rc) {
    struct gateway *g = user;
    (void)rc; /* what could not be released runs out */
    g->fleet->left = true;
}

static void leave(struct gateway *g) {
    struct fleet *f = g->fleet;
    go_on(g, &f->step, &f->op, mcpsess_backend_leave(&f->manager, &f->op, now_ms()), left, g);
}

static void stopped(void *user, int rc) {
    struct member *m = user;
    if (rc != MCPSESS_OK && rc != MCPSESS_MISS)
        say(m->g, "%s is not stopped: %s", m->process->id, mcpsess_code_name(rc));
    if (--m->g->fleet->stopping == 0) leave(m->g);
}

static void stop_one(struct member *m) {
    struct fleet *f = m->g->fleet;
    mcpsess_str id = mcpsess_str_z(m->process->id);
    mcpsess_backend_info info = info_of(m);
    step_forget(&m->step);
    if (info.fence == 0 && !info.busy) return; /* another gateway's */
    f->stopping++;
    go_on(m->g, &m->step, &m->op, mcpsess_backend_stop(&f->manager, &m->op, id, now_ms()), stopped, m);
}

void fleet_stop(struct gateway *g) {
    struct fleet *f = g->fleet;
    if (f == NULL || !f->managed || f->ending) return;
    f->ending = true;
    step_forget(&f->step);
    f->processes.closing = true;
    f->stopping = 1; /* until all were asked */
    for (unsigned i = 0; i < f->processes.count && !g->config.leave_running; i++) stop_one(&f->members[i]);
    if (--f->stopping == 0) leave(g);
}

bool fleet_stopped(const struct gateway *g) {
    return g->fleet == NULL || !g->fleet->managed || g->fleet->left;
}

void fleet_close(struct gateway *g) {
    struct fleet *f = g->fleet;
    if (f == NULL) return;
    step_forget(&f->step);
    for (unsigned i = 0; i < f->processes.count; i++) step_forget(&f->members[i].step);
    if (f->managed) mcpsess_backend_close(&f->manager);
    if (f->sigchld != NULL) event_free(f->sigchld);
    if (f->lock >= 0) close(f->lock);
    free(f->memory);
    free(f);
    g->fleet = NULL;
}

/* ---- what an operator sees */

static const char *state_name(const mcpsess_backend_info *info) {
    static const char *const names[] = {"unknown", "absent", "stopped", "running", "elsewhere"};
    return names[info->state];
}

void fleet_health(struct gateway *g, struct evbuffer *out) {
    for (unsigned i = 0; g->fleet != NULL && i < g->fleet->processes.count; i++) {
        const struct member *m = &g->fleet->members[i];
        mcpsess_backend_info info = info_of(m);
        evbuffer_add_printf(out, "%s %s, %s\n", m->process->id, state_name(&info), m->backend->up ? "up" : "down");
    }
}

void fleet_metrics(struct gateway *g, struct evbuffer *out) {
    const struct fleet *f = g->fleet;
    if (f == NULL) return;
    const mcpsess_backend_stats *s = &f->manager.stats;
    metric_family(out, "backend_state", "gauge", "1: how a backend that gateways run is, as far as this one knows.");
    for (unsigned i = 0; i < f->processes.count; i++) {
        mcpsess_backend_info info = info_of(&f->members[i]);
        evbuffer_add_printf(out, "mcp_gateway_backend_state{backend=\"%s\",state=\"%s\"} 1\n", f->processes.of[i].id,
                            state_name(&info));
    }
    metric(out, "backend_starts_total", "counter", "Backends started here.", s->started);
    metric(out, "backend_stops_total", "counter", "Backends stopped here.", s->stopped);
    metric(out, "backend_deaths_total", "counter", "Backends that ended by themselves.", s->died);
    metric(out, "backend_failures_total", "counter", "Operations on backends that failed.", s->failed);
    metric(out, "backend_takeovers_total", "counter", "Backends taken over from another gateway.", s->taken_over);
    metric(out, "backend_leases_lost_total", "counter", "Backends that another gateway took over.", s->lost);
    metric(out, "backend_fenced_total", "counter", "Operations refused because of that.", s->fenced);
}
