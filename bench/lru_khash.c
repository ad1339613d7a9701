/* khash (klib, as shipped with HTSlib) for the index, utlist for the order; one malloc per entry. */
#include "bench.h"
#include "lru.h"

#include <htslib/khash.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define LRU_ID khash
#define LRU_NAME "khash + utlist"
#define LRU_UNSEEDED 0

typedef struct entry {
    struct entry *prev, *next;
    size_t key_len, value_len;
    char bytes[];
} entry;

#define KEY_HASH(s) lru_hash((s).ptr, (s).len)
#define KEY_EQUAL(a, b) ((a).len == (b).len && memcmp((a).ptr, (b).ptr, (a).len) == 0)
KHASH_INIT(index, mcpsess_str, entry *, 1, KEY_HASH, KEY_EQUAL)

typedef struct table {
    khash_t(index) * index;
    entry *newest;
    uint16_t capacity, len;
} table;

static void *make(uint16_t capacity) {
    table *t = bench_alloc(sizeof *t);
    t->index = kh_init(index);
    t->newest = NULL;
    t->capacity = capacity;
    t->len = 0;
    return t;
}

static inline const char *get(void *self, mcpsess_str key) {
    table *t = self;
    const khint_t at = kh_get(index, t->index, key);
    entry *e;
    if (at == kh_end(t->index)) return NULL;
    e = kh_val(t->index, at);
    DL_DELETE(t->newest, e);
    DL_PREPEND(t->newest, e);
    return e->bytes + e->key_len;
}

static inline void drop(table *t, khint_t at) {
    entry *e = kh_val(t->index, at);
    kh_del(index, t->index, at);
    DL_DELETE(t->newest, e);
    free(e);
    t->len--;
}

static inline void drop_oldest(table *t) {
    const entry *oldest = t->newest->prev;
    mcpsess_str key;
    key.ptr = oldest->bytes;
    key.len = oldest->key_len;
    drop(t, kh_get(index, t->index, key));
}

static inline void put(void *self, mcpsess_str key, mcpsess_str value) {
    table *t = self;
    int added;
    khint_t at;
    entry *e = bench_alloc(sizeof *e + key.len + value.len);
    e->key_len = key.len;
    e->value_len = value.len;
    memcpy(e->bytes, key.ptr, key.len);
    memcpy(e->bytes + key.len, value.ptr, value.len);
    key.ptr = e->bytes;
    at = kh_put(index, t->index, key, &added);
    if (added == 0) {
        drop(t, at);
        at = kh_put(index, t->index, key, &added);
    }
    kh_key(t->index, at) = key;
    kh_val(t->index, at) = e;
    DL_PREPEND(t->newest, e);
    if (++t->len > t->capacity) drop_oldest(t);
}

#include "lru_rounds.h"
