/* uthash for the index, utlist for the order; one malloc per entry; the hash is computed once per call.
   With -DLRU_SHIPPED: the hash that uthash ships with. */
#include "bench.h"
#include "lru.h"

#include <stdlib.h>
#include <string.h>

#ifdef LRU_SHIPPED
#define LRU_ID uthash_shipped
#define LRU_NAME "uthash + utlist, unseeded hash"
#define LRU_UNSEEDED 1
#else
#define LRU_ID uthash
#define LRU_NAME "uthash + utlist"
#define LRU_UNSEEDED 0
#define HASH_FUNCTION(ptr, len, hash) ((hash) = lru_hash(ptr, len))
#endif
#include <uthash.h>
#include <utlist.h>

typedef struct entry {
    UT_hash_handle hh;
    struct entry *prev, *next;
    size_t key_len, value_len;
    char bytes[];
} entry;

typedef struct {
    entry *index, *newest;
    uint16_t capacity, len;
} table;

static void *make(uint16_t capacity) {
    table *t = bench_alloc(sizeof *t);
    memset(t, 0, sizeof *t);
    t->capacity = capacity;
    return t;
}

static inline const char *get(void *self, mcpsess_str key) {
    table *t = self;
    entry *e;
    HASH_FIND(hh, t->index, key.ptr, key.len, e);
    if (e == NULL) return NULL;
    DL_DELETE(t->newest, e);
    DL_PREPEND(t->newest, e);
    return e->bytes + e->key_len;
}

static inline void drop(table *t, entry *e) {
    HASH_DEL(t->index, e);
    DL_DELETE(t->newest, e);
    free(e);
    t->len--;
}

static inline void put(void *self, mcpsess_str key, mcpsess_str value) {
    table *t = self;
    unsigned hash;
    entry *e;
    HASH_VALUE(key.ptr, key.len, hash);
    HASH_FIND_BYHASHVALUE(hh, t->index, key.ptr, key.len, hash, e);
    if (e != NULL) drop(t, e);
    if (t->len == t->capacity) drop(t, t->newest->prev); /* the head's prev is the tail */
    e = bench_alloc(sizeof *e + key.len + value.len);
    e->key_len = key.len;
    e->value_len = value.len;
    memcpy(e->bytes, key.ptr, key.len);
    memcpy(e->bytes + key.len, value.ptr, value.len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, t->index, e->bytes, key.len, hash, e);
    DL_PREPEND(t->newest, e);
    t->len++;
}

#include "lru_rounds.h"
