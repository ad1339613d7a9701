/* What the processes of the chaos run and the one that drives them have in common. */

#ifndef CHAOS_H
#define CHAOS_H

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CHAOS_PROCESSES = 8,
    CHAOS_TTL_MS = 400,         /* of leases */
    CHAOS_TIMEOUT_MS = 300,     /* of a request */
    CHAOS_GENERATION_MS = 5000, /* then other keys are used: what is checked of a key stays short */
    CHAOS_LEASES = 3,
    CHAOS_FLAGS = 3,
    CHAOS_COUNTERS = 2 /* keys of each kind in a generation */
};

#define CHAOS_RESOURCE "chaos:resource:" /* and the lease's key: the newest fence that what it protects has seen */
#define CHAOS_WRITES "chaos:writes:"     /* and all that it took */

static inline uint64_t chaos_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void stop_unless(bool fine, const char *what) {
    if (fine) return;
    fprintf(stderr, "chaos: %s\n", what);
    exit(1);
}

/* xorshift64*: what happens depends on the seed, and on time. */
static inline uint64_t chaos_below(uint64_t *random, uint64_t limit) {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (*random * UINT64_C(0x2545F4914F6CDD1D) >> 16) % limit;
}

/* A line of a log: the time, and what is said. */
static inline void chaos_say(int log, const char *format, va_list values) {
    char line[256];
    int len = snprintf(line, sizeof line, "%" PRIu64 " ", chaos_now_ns()), more;
    more = vsnprintf(line + len, sizeof line - (size_t)len, format, values);
    stop_unless(more >= 0 && (size_t)(len + more) < sizeof line, "a line of the log is too long");
    stop_unless(write(log, line, (size_t)(len + more)) == len + more, "the log cannot be written");
}

static inline int chaos_open(const char *folder, const char *name, int flags) {
    char path[600];
    int fd;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_CREAT | O_CLOEXEC | flags, 0644);
    stop_unless(fd >= 0, path);
    return fd;
}

#endif
