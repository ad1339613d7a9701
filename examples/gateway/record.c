/* record.c - what is on disk of a backend that the gateway runs, besides its data: which process it is, who may change
   something, and on which port. A pid alone says nothing, as it may be another process's by now; with its start time it
   does. */

#include "gateway.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAT_SIZE 1024u /* of /proc/PID/stat */

/* ---- files */

void process_path(char *out, const struct process *p, const char *name) {
    int n = snprintf(out, PROCESS_PATH_SIZE, "%s/%s/%s", p->all->dir, p->id, name);
    if (n < 0 || (size_t)n >= PROCESS_PATH_SIZE) out[0] = '\0'; /* no file has that name */
}

/* -> bytes read, of size - 1 at most; terminated. -1: it cannot be read */
static ssize_t read_file(const char *path, char *out, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    if (n >= 0) out[n] = '\0';
    return n;
}

bool process_sync(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

static bool write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
    return (close(fd) == 0) && ok;
}

/* ---- the record */

static void boot_name(char *out) {
    if (read_file("/proc/sys/kernel/random/boot_id", out, BOOT_SIZE) < 0) out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (out[0] == '\0') strcpy(out, "-"); /* a record has a word there */
}

/* -> false: there is none */
bool record_read(const struct process *p, struct record *r) {
    char path[PROCESS_PATH_SIZE], text[128];
    unsigned port;
    process_path(path, p, "record");
    memset(r, 0, sizeof *r);
    if (read_file(path, text, sizeof text) < 0) return false;
    int n = sscanf(text, "port %u\npid %ld %" SCNu64 " %39s", &port, &r->pid, &r->start, r->boot);
    r->port = (uint16_t)port;
    if (n < 4) r->pid = 0;
    return n >= 1 && port <= UINT16_MAX;
}

bool record_write(const struct process *p, const struct record *r) {
    char path[PROCESS_PATH_SIZE], fresh[PROCESS_PATH_SIZE], home[PROCESS_PATH_SIZE], text[128];
    process_path(path, p, "record");
    process_path(fresh, p, "record.tmp");
    process_path(home, p, "");
    int n = snprintf(text, sizeof text, "port %u\n", (unsigned)r->port);
    if (r->pid != 0) {
        size_t at = (size_t)n;
        snprintf(text + at, sizeof text - at, "pid %ld %" PRIu64 " %s\n", r->pid, r->start, r->boot);
    }
    return write_file(fresh, text) && rename(fresh, path) == 0 && process_sync(home);
}

/* ---- processes */

struct proc {
    char state;
    long session;
    uint64_t start;
};

/* -> false: there is no such process */
static bool read_proc(long pid, struct proc *out) {
    char path[64], text[STAT_SIZE];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (read_file(path, text, sizeof text) < 0) return false;
    const char *rest = strrchr(text, ')'); /* its name may have anything in it */
    return rest != NULL && sscanf(rest,
                                  ") %c %*d %*d %ld %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d"
                                  " %" SCNu64,
                                  &out->state, &out->session, &out->start) == 3;
}

/* That very process, and not one that only waits for its parent to notice its end. */
bool record_alive(const struct record *r) {
    char boot[BOOT_SIZE];
    struct proc at;
    if (r->pid <= 0 || !read_proc(r->pid, &at) || at.start != r->start) return false;
    boot_name(boot);
    return strcmp(boot, r->boot) == 0 && at.state != 'Z' && at.state != 'X';
}

static bool has_data(long pid, const char *data) {
    char path[64], text[64 * 1024];
    snprintf(path, sizeof path, "/proc/%ld/environ", pid);
    ssize_t n = read_file(path, text, sizeof text);
    for (const char *at = text; n > 0 && at < text + n; at += strlen(at) + 1) {
        if (strncmp(at, "MCP_DATA=", 9) == 0 && strcmp(at + 9, data) == 0) return true;
    }
    return false;
}

/* What the process of this record left behind: of its session, and with its data. */
void record_kill_rest(const struct process *p, const struct record *r) {
    char data[PROCESS_PATH_SIZE];
    DIR *d = r->pid > 0 ? opendir("/proc") : NULL;
    const struct dirent *e;
    struct proc at;
    process_path(data, p, "data");
    while (d != NULL && (e = readdir(d)) != NULL) {
        long pid = strtol(e->d_name, NULL, 10);
        if (pid > 1 && read_proc(pid, &at) && at.session == r->pid && has_data(pid, data)) kill((pid_t)pid, SIGKILL);
    }
    if (d != NULL) closedir(d);
}

/* Makes it the record of the process that calls. -> false: that cannot be known */
bool record_take(struct record *r) {
    struct proc self;
    if (!read_proc(getpid(), &self)) return false;
    r->pid = getpid();
    r->start = self.start;
    boot_name(r->boot);
    return true;
}

/* ---- the fence */

/* Of a file that is locked. -> OK: no higher one is there, and this one is now; FENCED, E_IO */
static int fence_pass(int fd, uint64_t fence) {
    char text[24] = "";
    if (pread(fd, text, sizeof text - 1, 0) < 0) return MCPSESS_E_IO;
    uint64_t seen = strtoull(text, NULL, 10);
    if (seen >= fence) return seen > fence ? MCPSESS_FENCED : MCPSESS_OK;
    int n = snprintf(text, sizeof text, "%020" PRIu64 "\n", fence);
    return pwrite(fd, text, (size_t)n, 0) == n && fsync(fd) == 0 ? MCPSESS_OK : MCPSESS_E_IO;
}

int process_fence(const struct process *p, bool wait, int *fd) {
    char path[PROCESS_PATH_SIZE], home[PROCESS_PATH_SIZE];
    process_path(home, p, "");
    process_path(path, p, "fence");
    if (mkdir(home, 0700) != 0 && errno != EEXIST) return MCPSESS_E_IO;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) return MCPSESS_E_IO;
    int rc = flock(*fd, LOCK_EX | (wait ? 0 : LOCK_NB));
    if (rc == 0) rc = fence_pass(*fd, p->call->fence);
    else rc = errno == EWOULDBLOCK ? MCPSESS_PENDING : MCPSESS_E_IO;
    if (rc != MCPSESS_OK) close(*fd);
    return rc;
}

uint64_t process_highest_fence(const struct processes *all) {
    char path[PROCESS_PATH_SIZE], text[24];
    uint64_t highest = 0;
    for (unsigned i = 0; i < all->count; i++) {
        process_path(path, &all->of[i], "fence");
        uint64_t n = read_file(path, text, sizeof text) > 0 ? strtoull(text, NULL, 10) : 0;
        if (n > highest) highest = n;
    }
    return highest;
}

/* ---- ports */

/* -> a socket that is bound to it, or to any free one if it is 0; -1 */
static int bind_port(uint16_t port) {
    struct sockaddr_in a = {0};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    close(fd);
    return -1;
}

/* -> this one, or if somebody else listens there, another one; 0: none is free */
uint16_t port_free(uint16_t port) {
    struct sockaddr_in a = {0};
    socklen_t len = sizeof a;
    int fd = bind_port(port);
    if (fd < 0) fd = bind_port(0);
    if (fd < 0) return 0;
    bool known = getsockname(fd, (struct sockaddr *)&a, &len) == 0;
    close(fd);
    return known ? ntohs(a.sin_port) : 0;
}

/* On loopback that is known at once. */
bool port_accepts(uint16_t port) {
    struct sockaddr_in a = {0};
    int error = -1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof error;
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) return false;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) error = 0;
    struct pollfd p = {fd, POLLOUT, 0};
    if (error != 0 && errno == EINPROGRESS && poll(&p, 1, 0) == 1) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    close(fd);
    return error == 0;
}

uint16_t process_port(const struct process *p) {
    struct record r;
    return record_read(p, &r) && record_alive(&r) ? r.port : 0;
}
