/* mcpsess_lru; its implementation is in another file, as in most programs. With -DLRU_MULTIPLY: an unseeded hash. */
#include "bench.h"
#include "lru.h"

#ifdef LRU_MULTIPLY
#define LRU_ID mcpsess_multiply
#define LRU_NAME "mcpsess, unseeded hash"
#define LRU_UNSEEDED 1
#define LRU_HASH lru_multiply_hash
#else
#define LRU_ID mcpsess
#define LRU_NAME "mcpsess"
#define LRU_UNSEEDED 0
#define LRU_HASH mcpsess_hash
#endif

uint32_t lru_multiply_hash(const uint8_t seed[16], mcpsess_str s);

static void *make(uint16_t capacity) {
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    mcpsess_lru *l = bench_alloc(sizeof *l);
    size_t len;
    d.capacity = capacity;
    d.key_max = 36;
    d.value_max = 64;
    d.hash = LRU_HASH;
    for (size_t i = 0; i < sizeof d.seed; i++) d.seed[i] = lru_seed[i];
    len = mcpsess_lru_bytes(&d);
    if (mcpsess_lru_init(l, &d, bench_alloc(len), len) != MCPSESS_OK) bench_stop("mcpsess_lru_init failed");
    return l;
}

static inline const char *get(void *table, mcpsess_str key) {
    mcpsess_str value;
    return mcpsess_lru_get(table, key, 1, &value) == MCPSESS_OK ? value.ptr : NULL;
}

static inline void put(void *table, mcpsess_str key, mcpsess_str value) {
    (void)mcpsess_lru_put(table, key, value, MCPSESS_NEVER);
}

#include "lru_rounds.h"
