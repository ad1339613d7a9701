/* worker.c - the steps of backends that the gateway runs, as operations. Whatever may take its time is done by a
   worker, a child of the gateway that ends with it, and tells how it went through a pipe. One that becomes the backend
   is silent: what it runs has no such pipe. */

#include "gateway.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RC_BASE 100 /* results, as bytes of a pipe */

/* ---- workers */

static void close_others(int keep) {
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        int fd = (int)strtol(e->d_name, NULL, 10);
        if (fd > 2 && fd != keep && fd != dirfd(d)) close(fd);
    }
    if (d != NULL) closedir(d);
}

/* The gateway's signals and descriptors are not the worker's. */
static void settle(int pipe_end) {
    sigset_t none;
    for (int n = 1; n < NSIG; n++) signal(n, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close_others(pipe_end);
    setsid();
}

static void be_worker(struct process *p, int pipe_end, pid_t gateway) {
    settle(pipe_end);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != gateway) _exit(1); /* it ended before that */
    unsigned char byte = (unsigned char)(p->step->work(p) + RC_BASE);
    _exit(write(pipe_end, &byte, 1) == 1 ? 0 : 1);
}

static bool hire(struct process *p) {
    sigset_t all, before;
    int ends[2];
    pid_t self = getpid();
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* a signal that came in between would be taken for the gateway's */
    p->worker = fork();
    if (p->worker == 0) be_worker(p, ends[1], self);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    p->result = ends[0];
    if (p->worker > 0) return true;
    close(ends[0]);
    p->worker = 0;
    return false;
}

static void dismiss(struct process *p) {
    close(p->result);
    p->worker = 0;
}

/* -> PENDING, its result. Silence is the pipe's end: it died, or became the backend. */
static int worker_result(struct process *p) {
    unsigned char byte;
    ssize_t n = read(p->result, &byte, 1);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? MCPSESS_PENDING : MCPSESS_E_IO;
    if (n == 0 && p->step->becomes) {
        p->child = p->worker;
        dismiss(p);
        return MCPSESS_OK;
    }
    waitpid(p->worker, NULL, 0); /* it has nothing left to do */
    dismiss(p);
    return n == 0 ? MCPSESS_E_IO : (int)byte - RC_BASE;
}

/* ---- steps as operations */

static int step_poll(mcpsess_op *op, uint64_t now) {
    struct process *p = mcpsess_op_object(op);
    int rc = p->step->work != NULL ? worker_result(p) : p->step->look(p);
    if (rc == MCPSESS_PENDING && p->step->work == NULL && now >= p->until_ms) rc = MCPSESS_E_TIMEOUT;
    p->due_ms = mcpsess_time_add(now, PROCESS_POLL_MS);
    return rc == MCPSESS_PENDING ? rc : mcpsess_op_end(op, rc);
}

static void step_cancel(mcpsess_op *op) {
    struct process *p = mcpsess_op_object(op);
    if (p->worker != 0) {
        kill(-p->worker, SIGKILL); /* with those it employs */
        kill(p->worker, SIGKILL);
        waitpid(p->worker, NULL, 0);
        dismiss(p);
    }
    mcpsess_op_end(op, MCPSESS_E_CANCELED);
}

static uint64_t step_next_due(mcpsess_op *op, uint64_t now) {
    const struct process *p = mcpsess_op_object(op);
    (void)now;
    return p->due_ms;
}

static unsigned step_want(mcpsess_op *op) {
    (void)op;
    return MCPSESS_WANT_TIME;
}

struct process *process_find(struct processes *all, mcpsess_str id) {
    for (unsigned i = 0; i < all->count; i++) {
        if (mcpsess_str_eq(id, mcpsess_str_z(all->of[i].id))) return &all->of[i];
    }
    return NULL;
}

mcpsess_op *process_begin(struct processes *all, const struct process_step *step, mcpsess_backend_call *call,
                          uint64_t now) {
    static const mcpsess_op_class cls = {step_poll, step_cancel, step_next_due, step_want};
    struct process *p = process_find(all, call->id);
    if (p == NULL || mcpsess_op_begin(&p->op, &cls, p) != MCPSESS_PENDING) return NULL;
    p->step = step;
    p->call = call;
    p->due_ms = now;
    p->until_ms = mcpsess_time_add(now, PROCESS_LOOK_MS);
    if (step->work == NULL || hire(p)) return &p->op;
    mcpsess_op_end(&p->op, MCPSESS_E_NOMEM);
    return NULL;
}
