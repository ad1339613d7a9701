/* What an LRU table must answer to be measured. */
#ifndef BENCH_LRU_H
#define BENCH_LRU_H

#include "../mcpsess.h"

/* Keys one after another, each used once, in this order: as they would arrive in requests. Lengths are not constants
   for anybody's compiler: all candidates keep keys and values of any length up to these. */
typedef struct lru_work {
    const char *keys;
    size_t count, key_len;
    mcpsess_str value;
} lru_work;

typedef struct lru_candidate {
    const char *name;
    const char *alias; /* the word on the command line */
    int unseeded;      /* measured only to tell what the seeded hash costs */
    void *(*make)(uint16_t capacity);
    uint64_t (*get_round)(void *table, const lru_work *w); /* -> sum of first bytes found: nobody may cheat */
    uint64_t (*put_round)(void *table, const lru_work *w);
} lru_candidate;

extern const uint8_t lru_seed[16];

/* The hash of every candidate, unless its name says otherwise. */
static inline uint32_t lru_hash(const void *ptr, size_t len) {
    mcpsess_str s;
    s.ptr = (const char *)ptr;
    s.len = len;
    return mcpsess_hash(lru_seed, s);
}

#endif
