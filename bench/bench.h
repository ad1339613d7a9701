/* What the measuring programs share: keys, a clock, series of rounds, and the table they are printed in. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

enum { BENCH_ROUNDS = 15, BENCH_UUID = 36 };

uint64_t bench_random(void); /* xorshift64*, the same sequence in every run */
void bench_uuid(char out[BENCH_UUID]);
void bench_stop(const char *why); /* prints and exits 1: a figure that cannot be trusted is not printed */
void *bench_alloc(size_t len);    /* or bench_stop */

/* CPU time of this thread: what another process takes from us is not counted. */
double bench_cpu_ns(void);
double bench_wall_ns(void); /* where another process does half of the work */

/* One candidate's figures, round by round. Rounds of candidates are interleaved, so ratios are taken round by round. */
typedef struct bench_series {
    const char *name;
    double round[BENCH_ROUNDS];
} bench_series;

void bench_title(const char *title, const char *unit, const char *ratio);
/* Median (min..max); with a base also the median and the extremes of the ratio to base of each round. */
void bench_row(const bench_series *row, const bench_series *base);

#endif
