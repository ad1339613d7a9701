/* lru: a table of two entries in memory of exactly its size. Every order of three puts of three keys, in one bucket and
   in two; then each function with each key. Values, times and expiries are any. Any key under the real hash: one put.
 */

#include "prove.h"

#define KEY 2
#define VALUE 1

MCPSESS_LRU_STORAGE(memory, 2, KEY, VALUE);

static const char keys[] = "abc";
static char any_key[KEY + 1], any_value[VALUE + 1];
static mcpsess_lru table;
static unsigned spread;

static mcpsess_str key_of(unsigned n) {
    return mcpsess_str_of(keys + n, 1);
}

/* The bucket is chosen by the driver: all keys in one, or not. */
static uint32_t bucket(const uint8_t seed[16], mcpsess_str key) {
    (void)seed;
    return spread * (uint32_t)(key.ptr[0] - 'a') << 30;
}

static int init(mcpsess_hash_fn hash) {
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    d.capacity = 2;
    d.key_max = KEY;
    d.value_max = VALUE;
    d.hash = hash;
    return mcpsess_lru_init(&table, &d, memory.bytes, sizeof memory.bytes);
}

static void put(mcpsess_str key) {
    (void)mcpsess_lru_put(&table, key, ANY_TAIL(any_value, VALUE), any_u64());
}

static void filled(unsigned a, unsigned b, unsigned c) {
    (void)init(bucket);
    put(key_of(a));
    put(key_of(b));
    put(key_of(c));
}

/* One of the functions, whatever the time. */
static void step(unsigned which, mcpsess_str key) {
    mcpsess_lru_entry entry;
    mcpsess_str value;
    switch (which) {
    case 0: (void)mcpsess_lru_get(&table, key, any_u64(), &value); break;
    case 1: (void)mcpsess_lru_peek(&table, key, any_u64(), &entry); break;
    case 2: (void)mcpsess_lru_touch(&table, key, any_u64()); break;
    case 3: (void)mcpsess_lru_mark(&table, key); break;
    case 4: (void)mcpsess_lru_del(&table, key); break;
    case 5: (void)mcpsess_lru_evict(&table, &entry); break;
    case 6: mcpsess_lru_clear(&table); break;
    default: put(key); break;
    }
}

static void walk(void) {
    mcpsess_lru_entry entry;
    uint16_t cursor = 0;
    while (mcpsess_lru_next(&table, &cursor, &entry) == MCPSESS_OK) {
    }
    (void)mcpsess_lru_len(&table);
    (void)mcpsess_lru_check(&table);
}

/* What a case leaves behind is forgotten, so that Eva need not carry it into the next. */
static void every_order(unsigned a, unsigned b, unsigned c) {
    EACH(which, 7) EACH(n, 2) {
        filled(a, b, c);
        step(which, key_of(n));
        walk();
        memset(&table, 0, sizeof table);
        memset(&memory, 0, sizeof memory);
    }
}

/* Keys and values too long, and an empty key, are refused. */
static void bounds(unsigned key_len, unsigned value_len) {
    (void)init(NULL);
    (void)mcpsess_lru_put(&table, ANY_TAIL(any_key, key_len), ANY_TAIL(any_value, value_len), any_u64());
    memset(&table, 0, sizeof table);
    memset(&memory, 0, sizeof memory);
}

int main(void) {
    for (spread = 0; spread <= 1; spread++) EACH(a, 2) EACH(b, 2) EACH(c, 2) every_order(a, b, c);
    EACH(key_len, KEY + 1) EACH(value_len, VALUE + 1) bounds(key_len, value_len);
    /*@ assert reached: \true; */
    return 0;
}
