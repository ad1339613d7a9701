/* Drives the chaos run: starts a redis-server and the processes, and does to them what happens to processes. It logs
   what it does; all that it started ends with it, however it ends.
     driver FOLDER SOCKET SECONDS SEED PROGRAM SERVER durable|volatile [BUG]       FOLDER, SOCKET: whole paths
   durable: what the server has answered it still knows when it comes back; volatile: then it knows nothing. */

#define _GNU_SOURCE

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "chaos.h"

typedef struct process {
    pid_t pid; /* 0: none */
    unsigned turn;
    uint64_t wakes_ns; /* it is stopped until then; 0: it is not */
} process;

static struct {
    process at[CHAOS_PROCESSES];
    pid_t server;
    char *folder, *socket, *program, *server_program, *bug, no_bug[1];
    bool durable;
    unsigned done;    /* bits: kinds of what happens */
    uint64_t calm_ns; /* nothing is done until then */
    int log, state;
    uint64_t random;
} d;

static volatile sig_atomic_t told_to_end;

static void on_signal(int number) {
    (void)number;
    told_to_end = 1;
}

static void end_all(void) {
    unsigned n;
    for (n = 0; n < CHAOS_PROCESSES; n++) {
        if (d.at[n].pid == 0) continue;
        kill(d.at[n].pid, SIGKILL);
        waitpid(d.at[n].pid, NULL, 0);
        d.at[n].pid = 0;
    }
    if (d.server == 0) return;
    kill(d.server, SIGKILL);
    waitpid(d.server, NULL, 0);
    d.server = 0;
}

static uint64_t below(uint64_t limit) {
    return chaos_below(&d.random, limit);
}

static void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    chaos_say(d.log, format, values);
    va_end(values);
}

static void sleep_ms(uint64_t ms) {
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* -- processes -- */

/* It dies with whoever drives it. SIGTERM waits until the process is ready for it. */
static pid_t start(char *const argv[], const char *log) {
    pid_t parent = getpid(), pid;
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    pid = fork();
    stop_unless(pid >= 0, "no process");
    if (pid > 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    if (log != NULL) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(fd, 1);
        dup2(fd, 2);
    }
    execvp(argv[0], argv);
    _exit(127);
}

static void start_process(unsigned slot) {
    process *p = &d.at[slot];
    char number[16], turn[16], seed[24], log[600];
    char *argv[] = {d.program, number, turn, seed, d.socket, d.folder, d.bug, NULL};
    snprintf(number, sizeof number, "%u", slot);
    snprintf(turn, sizeof turn, "%u", ++p->turn);
    snprintf(seed, sizeof seed, "%" PRIu64, below(UINT64_C(1) << 40));
    snprintf(log, sizeof log, "%s/processes.err", d.folder);
    stop_unless(pwrite(d.state, ".", 1, slot) == 1, "the state cannot be written");
    p->wakes_ns = 0;
    p->pid = start(argv, log);
    say("start %u %u\n", slot, p->turn);
}

/* Those that have something to lose, by preference; -1: none is running. */
static int choose(void) {
    char state[CHAOS_PROCESSES];
    int all[CHAOS_PROCESSES], holders[CHAOS_PROCESSES];
    unsigned count = 0, holding = 0, n;
    stop_unless(pread(d.state, state, sizeof state, 0) == sizeof state, "the state cannot be read");
    for (n = 0; n < CHAOS_PROCESSES; n++) {
        if (d.at[n].wakes_ns != 0) continue;
        all[count++] = (int)n;
        if (state[n] == 'h') holders[holding++] = (int)n;
    }
    if (holding != 0 && below(5) != 0) return holders[below(holding)];
    return count == 0 ? -1 : all[below(count)];
}

static void kill_one(void) {
    int slot = choose();
    if (slot < 0) return;
    say("kill %d %u\n", slot, d.at[slot].turn);
    kill(d.at[slot].pid, SIGKILL);
    waitpid(d.at[slot].pid, NULL, 0);
    start_process((unsigned)slot);
    if (below(4) == 0) d.calm_ns = chaos_now_ns() + UINT64_C(2000000) * CHAOS_TTL_MS; /* let somebody take over */
}

static void stop_one(void) {
    int slot = choose();
    if (slot < 0) return;
    say("stop %d %u\n", slot, d.at[slot].turn);
    kill(d.at[slot].pid, SIGSTOP);
    d.at[slot].wakes_ns = chaos_now_ns() + (CHAOS_TTL_MS * 9 / 8 + below(CHAOS_TTL_MS * 3 / 2)) * 1000000u;
}

static void wake(bool all) {
    unsigned n;
    for (n = 0; n < CHAOS_PROCESSES; n++) {
        process *p = &d.at[n];
        if (p->wakes_ns == 0 || (!all && chaos_now_ns() < p->wakes_ns)) continue;
        kill(p->pid, SIGCONT);
        say("cont %u %u\n", n, p->turn);
        p->wakes_ns = 0;
    }
}

/* One that has ended by itself should not have. */
static void bury(void) {
    unsigned n;
    int status;
    for (n = 0; n < CHAOS_PROCESSES; n++) {
        if (waitpid(d.at[n].pid, &status, WNOHANG) != d.at[n].pid) continue;
        say("died %u %u %d\n", n, d.at[n].turn, status);
        start_process(n);
    }
}

/* -- the server -- */

/* -> it answered so */
static bool server_says(const char *command, const char *answer) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval patience = {1, 0};
    char said[64] = "";
    bool so = false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strncpy(to.sun_path, d.socket, sizeof to.sun_path - 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send(fd, command, strlen(command), MSG_NOSIGNAL) == (ssize_t)strlen(command))
        so = read(fd, said, sizeof said - 1) > 0 && strncmp(said, answer, strlen(answer)) == 0;
    close(fd);
    return so;
}

static void start_server(void) {
    char log[600];
    char *argv[] = {d.server_program,
                    "--port",
                    "0",
                    "--unixsocket",
                    d.socket,
                    "--dir",
                    d.folder,
                    "--save",
                    "",
                    "--appendonly",
                    d.durable ? "yes" : "no",
                    "--appendfsync",
                    "always",
                    NULL};
    int tries;
    snprintf(log, sizeof log, "%s/server.log", d.folder);
    d.server = start(argv, log);
    for (tries = 0; tries < 1000 && !server_says("PING\r\n", "+PONG"); tries++) sleep_ms(10);
    stop_unless(tries < 1000, "the server does not answer");
    say("up\n");
}

static void restart_server(void) {
    say("down\n");
    kill(d.server, SIGKILL);
    waitpid(d.server, NULL, 0);
    d.server = 0;
    sleep_ms(below(300));
    start_server();
}

static void pause_server(void) {
    char command[64];
    const unsigned ms = 30 + (unsigned)below(350);
    snprintf(command, sizeof command, "CLIENT PAUSE %u %s\r\n", ms, below(2) == 0 ? "WRITE" : "ALL");
    say("pause %u\n", ms);
    if (!server_says(command, "+OK")) say("unpaused\n");
}

/* -- the run -- */

enum { KILL, STOP, PAUSE, RESTART, KINDS };

static void do_one(int kind) {
    static void (*const kinds[KINDS])(void) = {kill_one, stop_one, pause_server, restart_server};
    kinds[kind]();
    d.done |= 1u << kind;
}

static void something(void) {
    const uint64_t n = below(100);
    do_one(n < 44 ? KILL : n < 82 ? STOP : n < 94 ? PAUSE : RESTART);
}

/* What chance has left out until the half of the time. */
static void make_up(void) {
    int kind;
    for (kind = 0; kind < KINDS; kind++)
        if ((d.done >> kind & 1u) == 0) do_one(kind);
}

/* All end by themselves when what they have begun is over. */
static void end_processes(void) {
    unsigned left = CHAOS_PROCESSES, n, tries;
    int status;
    wake(true);
    say("ending\n");
    for (n = 0; n < CHAOS_PROCESSES; n++) kill(d.at[n].pid, SIGTERM);
    for (tries = 0; tries < 1000 && left > 0; tries++, sleep_ms(10)) {
        for (n = 0; n < CHAOS_PROCESSES; n++) {
            process *p = &d.at[n];
            if (p->pid == 0 || waitpid(p->pid, &status, WNOHANG) != p->pid) continue;
            say("ended %u %u %d\n", n, p->turn, status);
            p->pid = 0;
            left--;
        }
    }
    for (n = 0; n < CHAOS_PROCESSES; n++) {
        if (d.at[n].pid == 0) continue;
        say("stuck %u %u\n", n, d.at[n].turn);
        kill(d.at[n].pid, SIGABRT); /* built with ASan, it says where */
        sleep_ms(500);
    }
}

static void look_at_the_end(uint64_t from_ns) {
    char from[24], to[24], log[600];
    char *argv[] = {d.program, "final", from, to, d.socket, d.folder, NULL};
    const uint64_t generation_ns = UINT64_C(1000000) * CHAOS_GENERATION_MS;
    int status = 1;
    snprintf(from, sizeof from, "%" PRIu64, from_ns / generation_ns);
    snprintf(to, sizeof to, "%" PRIu64, chaos_now_ns() / generation_ns);
    snprintf(log, sizeof log, "%s/final.err", d.folder);
    stop_unless(waitpid(start(argv, log), &status, 0) > 0 && status == 0, "what is there in the end cannot be read");
}

static void run(double seconds) {
    const uint64_t from_ns = chaos_now_ns(), to_ns = from_ns + (uint64_t)(seconds * 1e9);
    unsigned n;
    for (n = 0; n < CHAOS_PROCESSES; n++) start_process(n);
    sleep_ms(300);
    while (chaos_now_ns() < to_ns && !told_to_end) {
        sleep_ms(20 + below(120));
        wake(false);
        bury();
        if (chaos_now_ns() >= d.calm_ns) something();
        if (chaos_now_ns() > to_ns - (to_ns - from_ns) / 2) make_up();
    }
    stop_unless(!told_to_end, "told to end");
    end_processes();
    if (d.durable) look_at_the_end(from_ns);
}

int main(int argc, char **argv) {
    struct sigaction end;
    stop_unless(argc >= 8, "usage: driver FOLDER SOCKET SECONDS SEED PROGRAM SERVER durable|volatile [BUG]");
    memset(&end, 0, sizeof end);
    end.sa_handler = on_signal;
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    d.folder = argv[1];
    d.socket = argv[2];
    d.random = strtoull(argv[4], NULL, 10) | 1u;
    d.program = argv[5];
    d.server_program = argv[6];
    d.durable = strcmp(argv[7], "durable") == 0;
    d.bug = argc > 8 ? argv[8] : d.no_bug;
    d.log = chaos_open(d.folder, "driver.log", O_WRONLY | O_APPEND);
    d.state = chaos_open(d.folder, "state", O_RDWR | O_TRUNC);
    stop_unless(write(d.state, "........", CHAOS_PROCESSES) == CHAOS_PROCESSES, "no state");
    setenv("ASAN_OPTIONS", "handle_abort=1", 0);
    atexit(end_all);
    start_server();
    run(strtod(argv[3], NULL));
    return 0;
}
