#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t bench_random(void) {
    static uint64_t state = 0x9E3779B97F4A7C15u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Du;
}

void bench_uuid(char out[BENCH_UUID]) {
    static const char digits[] = "0123456789abcdef";
    uint64_t bits = 0;
    for (int i = 0; i < BENCH_UUID; i++) {
        if (i % 16 == 0) bits = bench_random();
        out[i] = digits[bits & 15u];
        bits >>= 4;
    }
    out[8] = out[13] = out[18] = out[23] = '-';
    out[14] = '4';
}

void bench_stop(const char *why) {
    fprintf(stderr, "bench: %s\n", why);
    exit(1);
}

void *bench_alloc(size_t len) {
    void *mem = malloc(len);
    if (mem == NULL) bench_stop("out of memory");
    return mem;
}

static double clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_cpu_ns(void) {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

double bench_wall_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static int order(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_spread(const double round[BENCH_ROUNDS]) {
    double sorted[BENCH_ROUNDS];
    memcpy(sorted, round, sizeof sorted);
    qsort(sorted, BENCH_ROUNDS, sizeof sorted[0], order);
    printf("  %8.2f  %7.2f ..%8.2f", sorted[BENCH_ROUNDS / 2], sorted[0], sorted[BENCH_ROUNDS - 1]);
}

void bench_title(const char *title, const char *unit, const char *ratio) {
    printf("\n%s\n  %-32s  %8s  %19s  %8s  %19s\n", title, "", unit, "min .. max", ratio, "min .. max");
}

void bench_row(const bench_series *row, const bench_series *base) {
    double ratio[BENCH_ROUNDS];
    printf("  %-32s", row->name);
    print_spread(row->round);
    if (base != NULL) {
        for (int i = 0; i < BENCH_ROUNDS; i++) ratio[i] = row->round[i] / base->round[i];
        print_spread(ratio);
    }
    printf("\n");
    fflush(stdout);
}
