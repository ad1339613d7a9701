/* process.c - backends that the gateway runs: a driver of mcpsess_backend for processes. What is theirs is in a
   directory of each one's own, which gateways may share:

     record        its port, and the process that ran last: pid, start time, boot
     data/         where it runs, and what it keeps
     copy.tar      its data, preserved (copies.c)
     fence         the highest fence of those who had a say here
     running       locked by the process, and by whatever it left behind, for as long as that lives
     log, log.old  what it said since it was started, and the time before; of LOG_MAX bytes nothing is left
     *.tmp         what was under way; of no use after a crash

   Whatever may take its time is done by a worker, a child of the gateway (worker.c). The one that starts a backend
   becomes it: it takes the lock, and writes itself into the record, before it is the command. So at any instant a
   gateway may die: there are never two processes, and the next gateway finds the one there is.

   A change is made under a lock on the file of the fence, if nobody with a higher one was here. */

#include "gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_MAX (4 << 20)
#define PATIENT_MS 3000u  /* for a process to end when it is told to, before it is killed */
#define STRAGGLER_MS 200u /* for what a process left behind to end, before it is killed */

/* ---- steps that are done at once, or looked at again and again */

static void put_address(const struct process *p, uint16_t port) {
    char text[PROCESS_ADDRESS_MAX + 1];
    snprintf(text, sizeof text, "http://127.0.0.1:%u/mcp", (unsigned)port);
    mcpsess_buf_put(p->call->address, mcpsess_str_z(text));
}

/* It is appended to, so what comes next is at its beginning. */
static void limit_log(const struct process *p) {
    char path[PROCESS_PATH_SIZE];
    struct stat st;
    process_path(path, p, "log");
    if (stat(path, &st) == 0 && st.st_size > LOG_MAX) (void)!truncate(path, 0);
}

/* The owner's fence counts from its first look on: who owned it before is refused even if nothing was to be done. */
static int look_inspect(struct process *p) {
    struct record r;
    int fd, rc = MCPSESS_OK;
    if (!record_read(p, &r)) return MCPSESS_MISS;
    if (p->call->fence != 0) rc = process_fence(p, false, &fd);
    if (rc != MCPSESS_OK) return rc;
    if (p->call->fence != 0) close(fd);
    limit_log(p);
    p->call->running = record_alive(&r);
    if (p->call->running && port_accepts(r.port)) put_address(p, r.port);
    return MCPSESS_OK;
}

static int look_network_up(struct process *p) {
    struct record r;
    if (!record_read(p, &r) || !record_alive(&r)) return MCPSESS_E_IO;
    if (!port_accepts(r.port)) return p->all->closing ? MCPSESS_E_CANCELED : MCPSESS_PENDING;
    put_address(p, r.port);
    return MCPSESS_OK;
}

/* ---- steps of a worker */

static void nap(void) {
    struct timespec t = {0, PROCESS_POLL_MS * 1000000L};
    nanosleep(&t, NULL);
}

static int work_create(struct process *p) {
    char data[PROCESS_PATH_SIZE];
    struct record r;
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    bool there = record_read(p, &r);
    process_path(data, p, "data");
    r.port = there ? r.port : port_free(0);
    if (there) rc = MCPSESS_EXISTS;
    else if (r.port == 0 || (mkdir(data, 0700) != 0 && errno != EEXIST) || !record_write(p, &r)) rc = MCPSESS_E_IO;
    close(fd);
    return rc;
}

/* For as long as the descriptor is open, here or in whoever inherits it, nobody else has it.
   -> OK; EXISTS: the process of the record runs; E_IO */
static int lock_running(const struct process *p, int *fd) {
    char path[PROCESS_PATH_SIZE];
    process_path(path, p, "running");
    *fd = open(path, O_RDWR | O_CREAT, 0600);
    if (*fd < 0) return MCPSESS_E_IO;
    for (unsigned waited = 0;; waited += PROCESS_POLL_MS) {
        struct record r;
        bool locked = flock(*fd, LOCK_EX | LOCK_NB) == 0;
        if (!record_read(p, &r)) return MCPSESS_E_IO;
        if (record_alive(&r)) return MCPSESS_EXISTS;
        if (locked) return MCPSESS_OK;
        if (waited >= STRAGGLER_MS) record_kill_rest(p, &r);
        nap();
    }
}

/* The command, with {port} and {data} replaced. */
static char *expand(const char *command, const char *port, const char *data) {
    size_t room = strlen(command) * (strlen(data) / 5 + 2) + 16, n = 0; /* "{port}" takes more than a port */
    char *out = malloc(room);
    while (out != NULL && *command != '\0') {
        const char *with = NULL;
        if (strncmp(command, "{port}", 6) == 0) with = port;
        if (strncmp(command, "{data}", 6) == 0) with = data;
        if (with != NULL) n += (size_t)snprintf(out + n, room - n, "%s", with);
        else out[n++] = *command;
        command += with != NULL ? 6 : 1;
    }
    if (out != NULL) out[n] = '\0';
    return out;
}

static bool redirect(const struct process *p) {
    char path[PROCESS_PATH_SIZE], old[PROCESS_PATH_SIZE];
    process_path(path, p, "log");
    process_path(old, p, "log.old");
    rename(path, old);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    return in >= 0 && out >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2;
}

/* Becomes it. */
static int run_command(const struct process *p, uint16_t port_number) {
    char data[PROCESS_PATH_SIZE], port[8];
    process_path(data, p, "data");
    snprintf(port, sizeof port, "%u", (unsigned)port_number);
    char *command = expand(p->command, port, data);
    if (command == NULL || setenv("PORT", port, 1) != 0 || setenv("MCP_DATA", data, 1) != 0) return MCPSESS_E_NOMEM;
    if ((mkdir(data, 0700) != 0 && errno != EEXIST) || chdir(data) != 0 || !redirect(p)) return MCPSESS_E_IO;
    prctl(PR_SET_PDEATHSIG, 0); /* from now on it need not end with the gateway */
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    return MCPSESS_E_IO;
}

/* The fence is looked at before anything is waited for, and again when that is over. */
static int work_start(struct process *p) {
    struct record r;
    int running, fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    close(fd);
    rc = lock_running(p, &running);
    if (rc != MCPSESS_OK) return rc == MCPSESS_EXISTS ? MCPSESS_OK : rc;
    rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    if (!record_read(p, &r) || !record_take(&r)) return MCPSESS_E_IO;
    process_tidy(p);
    r.port = port_free(r.port);
    if (r.port == 0 || !record_write(p, &r)) return MCPSESS_E_IO;
    close(fd);
    return run_command(p, r.port);
}

static bool is_locked(const struct process *p) {
    char path[PROCESS_PATH_SIZE];
    process_path(path, p, "running");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0) close(fd);
    return locked;
}

/* Its session, as a whole. */
static void end_process(const struct record *r) {
    if (record_alive(r)) kill((pid_t)-r->pid, SIGTERM);
    for (unsigned waited = 0; record_alive(r); waited += PROCESS_POLL_MS) {
        if (waited >= PATIENT_MS) kill((pid_t)-r->pid, SIGKILL);
        nap();
    }
}

/* Whom to stop is known from what the record said while the fence was ours: a later process is somebody else's. */
static int work_stop(struct process *p) {
    struct record r, later;
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    bool there = record_read(p, &r);
    close(fd);
    if (!there || (!record_alive(&r) && !is_locked(p))) return MCPSESS_MISS;
    end_process(&r);
    for (unsigned waited = 0; is_locked(p); waited += PROCESS_POLL_MS) {
        if (record_read(p, &later) && record_alive(&later)) return MCPSESS_FENCED;
        if (waited >= STRAGGLER_MS) record_kill_rest(p, &r);
        nap();
    }
    return MCPSESS_OK;
}

/* ---- list */

static int list_poll(mcpsess_op *op, uint64_t now) {
    struct processes *all = mcpsess_op_object(op);
    struct record r;
    (void)now;
    for (unsigned i = 0; i < all->count; i++) {
        if (record_read(&all->of[i], &r)) mcpsess_backend_found(all->manager, mcpsess_str_z(all->of[i].id));
    }
    return mcpsess_op_end(op, MCPSESS_OK);
}

static void list_cancel(mcpsess_op *op) {
    mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t list_next_due(mcpsess_op *op, uint64_t now) {
    (void)op;
    return now;
}

static unsigned list_want(mcpsess_op *op) {
    (void)op;
    return MCPSESS_WANT_NOW;
}

/* Those that were given: others have no command, and are left alone. */
static mcpsess_op *begin_list(void *user, mcpsess_backend_call *call, uint64_t now) {
    static const mcpsess_op_class cls = {list_poll, list_cancel, list_next_due, list_want};
    struct processes *all = user;
    (void)call;
    (void)now;
    return mcpsess_op_begin(&all->listing, &cls, all) == MCPSESS_PENDING ? &all->listing : NULL;
}

/* ---- the driver */

#define STEP(name, look, work, becomes)                                                     \
    static mcpsess_op *begin_##name(void *user, mcpsess_backend_call *call, uint64_t now) { \
        static const struct process_step step = {look, work, becomes};                      \
        return process_begin(user, &step, call, now);                                       \
    }
STEP(inspect, look_inspect, NULL, false)
STEP(network_up, look_network_up, NULL, false)
STEP(create, NULL, work_create, false)
STEP(start, NULL, work_start, true)
STEP(stop, NULL, work_stop, false)
#undef STEP

mcpsess_backend_driver process_driver(struct processes *all) {
    mcpsess_backend_driver d = {0};
    d.inspect = begin_inspect;
    d.start = begin_start;
    d.stop = begin_stop;
    d.create = begin_create;
    d.network_up = begin_network_up;
    d.list = begin_list;
    d.user = all;
    copies_driver(&d);
    return d;
}

/* ---- what the gateway tells */

bool process_add(struct processes *all, const char *id, const char *command) {
    if (all->count == BACKENDS_MAX || strlen(id) > PROCESS_ID_MAX || process_find(all, mcpsess_str_z(id)) != NULL)
        return false;
    struct process *p = &all->of[all->count++];
    p->all = all;
    snprintf(p->id, sizeof p->id, "%s", id);
    p->command = command;
    mcpsess_op_init(&p->op, 0);
    return true;
}

int processes_open(struct processes *all, const char *dir) {
    char *full = NULL;
    mcpsess_op_init(&all->listing, 0);
    if ((mkdir(dir, 0700) == 0 || errno == EEXIST) && (full = realpath(dir, NULL)) != NULL &&
        strlen(full) < PROCESS_DIR_MAX)
        strcpy(all->dir, full);
    free(full);
    return all->dir[0] != '\0' && access(all->dir, W_OK | X_OK) == 0 ? 0 : -1;
}

/* One that was told to end did not die. */
void processes_reap(struct processes *all) {
    for (unsigned i = 0; i < all->count; i++) {
        struct process *p = &all->of[i];
        if (p->child == 0 || waitpid(p->child, NULL, WNOHANG) != p->child) continue;
        p->child = 0;
        bool stopping = mcpsess_op_rc(&p->op) == MCPSESS_PENDING && p->step->work == work_stop;
        if (!stopping) all->died(all->user, mcpsess_str_z(p->id));
    }
}
