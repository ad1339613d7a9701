/* LRU tables side by side.

     lru                             get and put + evict, at 1,000 and 65,000 entries; the hash alone; memory per entry
     lru get|put NAME ENTRIES OPS    one loop of one candidate, for callgrind */
#define _POSIX_C_SOURCE 200809L
#include "lru.h"

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPS = 200000, KEY_LEN = BENCH_UUID, VALUE_LEN = 64 };

extern const lru_candidate mcpsess_candidate, mcpsess_multiply_candidate;
#define EXTERN(id) extern const lru_candidate id##_candidate;
#define REF(id) &id##_candidate,
LRU_ALTERNATIVES(EXTERN) /* from bench/run: those whose headers are installed */

static const lru_candidate *const candidates[] = {&mcpsess_candidate,
                                                  LRU_ALTERNATIVES(REF) & mcpsess_multiply_candidate};
enum { CANDIDATES = sizeof candidates / sizeof candidates[0] };

const uint8_t lru_seed[16] = {0x5a, 0x13, 0xc7, 0x88, 0x21, 0xe0, 0x4f, 0x96,
                              0x0b, 0xd4, 0x72, 0x3e, 0xa9, 0x65, 0xf1, 0x1c};

static char value[VALUE_LEN];

/* As cheap as a hash of 36 bytes can be made without knowing the keys, and anybody can make all its keys collide. */
uint32_t lru_multiply_hash(const uint8_t seed[16], mcpsess_str s);
uint32_t lru_multiply_hash(const uint8_t seed[16], mcpsess_str s) {
    uint64_t h = s.len, word;
    size_t at = 0;
    (void)seed;
    for (; at + 8 <= s.len; at += 8) {
        memcpy(&word, s.ptr + at, 8);
        h = ((h << 5 | h >> 59) ^ word) * 0x9E3779B97F4A7C15u;
    }
    for (; at < s.len; at++) h = ((h << 5 | h >> 59) ^ (unsigned char)s.ptr[at]) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32);
}

static void new_keys(char *keys, size_t count) {
    for (size_t i = 0; i < count; i++) bench_uuid(keys + i * KEY_LEN);
}

/* Any of the known keys, each as likely as another, in an order that never comes again. */
static void known_keys(char *keys, size_t count, const char *known, size_t known_count) {
    for (size_t i = 0; i < count; i++)
        memcpy(keys + i * KEY_LEN, known + bench_random() % known_count * KEY_LEN, KEY_LEN);
}

static lru_work work_of(const char *keys, size_t count) {
    lru_work w;
    w.keys = keys;
    w.count = count;
    w.key_len = KEY_LEN;
    w.value.ptr = value;
    w.value.len = VALUE_LEN;
    return w;
}

static void *filled(const lru_candidate *c, uint16_t entries, const char *known) {
    void *table = c->make(entries);
    lru_work w = work_of(known, entries);
    c->put_round(table, &w);
    return table;
}

typedef uint64_t (*round_fn)(void *table, const lru_work *w);

static double per_op(round_fn run, void *table, const lru_work *w, uint64_t expect) {
    const double start = bench_cpu_ns();
    const uint64_t sum = run(table, w);
    const double ns = bench_cpu_ns() - start;
    if (sum != expect) bench_stop("a candidate found something else than the others");
    return ns / (double)w->count;
}

static void print_rows(const bench_series *rows) {
    bench_row(&rows[0], NULL);
    for (int c = 1; c < CANDIDATES; c++) bench_row(&rows[c], &rows[0]);
}

static void measure(uint16_t entries) {
    static bench_series gets[CANDIDATES], puts[CANDIDATES];
    char *known = bench_alloc((size_t)entries * KEY_LEN), *keys = bench_alloc((size_t)OPS * KEY_LEN), title[80];
    const lru_work w = work_of(keys, OPS);
    void *tables[CANDIDATES];
    new_keys(known, entries);
    for (int c = 0; c < CANDIDATES; c++) {
        tables[c] = filled(candidates[c], entries, known);
        gets[c].name = puts[c].name = candidates[c]->name;
    }
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        known_keys(keys, OPS, known, entries);
        for (int i = 0; i < CANDIDATES; i++) { /* each in turn begins */
            const int c = (i + r) % CANDIDATES;
            gets[c].round[r] = per_op(candidates[c]->get_round, tables[c], &w, (uint64_t)OPS * (unsigned char)value[0]);
        }
    }
    for (int r = 0; r < BENCH_ROUNDS; r++) { /* the gets have left the order of eviction random */
        new_keys(keys, OPS);
        for (int i = 0; i < CANDIDATES; i++) {
            const int c = (i + r) % CANDIDATES;
            puts[c].round[r] = per_op(candidates[c]->put_round, tables[c], &w, OPS);
        }
    }
    snprintf(title, sizeof title, "get, always found, moved to the front: %u entries", (unsigned)entries);
    bench_title(title, "ns", "/mcpsess");
    print_rows(gets);
    snprintf(title, sizeof title, "put of a new key into a full table, evicting one: %u entries", (unsigned)entries);
    bench_title(title, "ns", "/mcpsess");
    print_rows(puts);
    free(keys);
    free(known);
}

static double hash_ns(mcpsess_hash_fn hash, const char *keys) {
    volatile uint32_t sink = 0;
    uint32_t sum = 0;
    mcpsess_str key;
    const double start = bench_cpu_ns();
    key.ptr = keys;
    key.len = KEY_LEN;
    for (size_t i = 0; i < OPS; i++, key.ptr += KEY_LEN) sum ^= hash(lru_seed, key);
    sink = sum;
    (void)sink;
    return (bench_cpu_ns() - start) / OPS;
}

static void measure_hashes(void) {
    static bench_series ours = {"mcpsess_hash", {0}}, plain = {"unseeded multiply", {0}};
    char *keys = bench_alloc((size_t)OPS * KEY_LEN);
    mcpsess_hash_fn volatile hashes[2] = {mcpsess_hash, lru_multiply_hash}; /* called through the desc's hook too */
    new_keys(keys, OPS);
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        ours.round[r] = hash_ns(hashes[0], keys);
        plain.round[r] = hash_ns(hashes[1], keys);
    }
    bench_title("one hash of a 36-byte key", "ns", "/mcpsess");
    bench_row(&ours, NULL);
    bench_row(&plain, &ours);
    free(keys);
}

static long resident(void) {
    long pages = 0, skip;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &skip, &pages) != 2) bench_stop("no /proc/self/statm");
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* In a process of its own, so that no table reuses what another left. */
static void print_memory(const lru_candidate *c, uint16_t entries) {
    pid_t pid;
    int status = 1;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        char *known = bench_alloc((size_t)entries * KEY_LEN);
        long before;
        new_keys(known, entries);
        before = resident();
        filled(c, entries, known);
        printf("  %-32s  %8.1f\n", c->name, (double)(resident() - before) / entries);
        fflush(stdout);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) bench_stop("a child failed");
}

static void measure_memory(uint16_t entries) {
    printf("\nmemory: resident bytes per entry (36 of key, 64 of value), %u entries\n", (unsigned)entries);
    for (int c = 0; c < CANDIDATES; c++)
        if (!candidates[c]->unseeded) print_memory(candidates[c], entries);
    printf("  %-32s  %8.1f\n", "MCPSESS_LRU_BYTES / entries",
           (double)MCPSESS_LRU_BYTES(entries, KEY_LEN, VALUE_LEN) / entries);
}

static int run_one(const char *what, const char *name, uint16_t entries, size_t ops) {
    for (int c = 0; c < CANDIDATES; c++) {
        char *known, *keys;
        lru_work w;
        if (strcmp(name, candidates[c]->alias) != 0) continue;
        known = bench_alloc((size_t)entries * KEY_LEN);
        keys = bench_alloc(ops * KEY_LEN);
        new_keys(known, entries);
        w = work_of(keys, ops);
        known_keys(keys, ops, known, entries);
        if (strcmp(what, "put") == 0) new_keys(keys, ops);
        (strcmp(what, "put") == 0 ? candidates[c]->put_round
                                  : candidates[c]->get_round)(filled(candidates[c], entries, known), &w);
        return 0;
    }
    fprintf(stderr, "lru: no candidate %s\n", name);
    return 1;
}

int main(int argc, char **argv) {
    memset(value, 'v', sizeof value);
    if (argc == 5) return run_one(argv[1], argv[2], (uint16_t)strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    printf("LRU: 36-byte keys (UUIDs), 64-byte values, %d interleaved rounds of %d; the same seeded hash in all\n",
           BENCH_ROUNDS, OPS);
    measure_memory(65000); /* first: a heap that nobody has used yet */
    measure_hashes();
    measure(1000);
    measure(65000);
    return 0;
}
