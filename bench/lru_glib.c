/* GHashTable for the index, GQueue with links inside the entries for the order; one g_malloc per entry. */
#include "bench.h"
#include "lru.h"

#include <glib.h>
#include <string.h>

#define LRU_ID glib
#define LRU_NAME "GLib GHashTable + GQueue"
#define LRU_UNSEEDED 0

typedef struct table {
    GHashTable *index;
    GQueue order;
    guint capacity;
} table;

typedef struct entry {
    mcpsess_str key; /* first: a pointer to an entry is one to its key */
    table *owner;
    GList link;
    size_t value_len;
    char bytes[];
} entry;

static guint hash(gconstpointer p) {
    const mcpsess_str *key = p;
    return lru_hash(key->ptr, key->len);
}

static gboolean equal(gconstpointer pa, gconstpointer pb) {
    const mcpsess_str *a = pa, *b = pb;
    return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

/* Called by the index for whatever it removes or replaces. */
static void drop(gpointer p) {
    entry *e = p;
    g_queue_unlink(&e->owner->order, &e->link);
    g_free(e);
}

static void *make(uint16_t capacity) {
    table *t = bench_alloc(sizeof *t);
    t->index = g_hash_table_new_full(hash, equal, NULL, drop);
    g_queue_init(&t->order);
    t->capacity = capacity;
    return t;
}

static inline const char *get(void *self, mcpsess_str key) {
    table *t = self;
    entry *e = g_hash_table_lookup(t->index, &key);
    if (e == NULL) return NULL;
    g_queue_unlink(&t->order, &e->link);
    g_queue_push_head_link(&t->order, &e->link);
    return e->bytes + e->key.len;
}

static inline void put(void *self, mcpsess_str key, mcpsess_str value) {
    table *t = self;
    entry *e = g_malloc(sizeof *e + key.len + value.len);
    memcpy(e->bytes, key.ptr, key.len);
    memcpy(e->bytes + key.len, value.ptr, value.len);
    e->key.ptr = e->bytes;
    e->key.len = key.len;
    e->value_len = value.len;
    e->owner = t;
    e->link.data = e;
    e->link.prev = e->link.next = NULL;
    g_hash_table_replace(t->index, e, e);
    g_queue_push_head_link(&t->order, &e->link);
    if (t->order.length > t->capacity) g_hash_table_remove(t->index, g_queue_peek_tail(&t->order));
}

#include "lru_rounds.h"
