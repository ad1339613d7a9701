/* lru: strict order, bounds, expiry, the stale mark, and a model test against an array with linear search */

#include "test_util.h"

#define KEY_MAX 8u
#define VALUE_MAX 8u
#define SMALL 4u /* capacity of most tables here */

static mcpsess_lru table;
static char long_text[32];

static mcpsess_lru_desc desc_of(uint16_t capacity) {
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    unsigned i;
    d.capacity = capacity;
    d.key_max = KEY_MAX;
    d.value_max = VALUE_MAX;
    for (i = 0; i < 16; i++) d.seed[i] = (uint8_t)(i * 13u + 1u);
    return d;
}

static void make(const mcpsess_lru_desc *d) {
    uint64_t bytes = MCPSESS_LRU_BYTES(d->capacity, d->key_max, d->value_max);
    CHECK_EQ(mcpsess_lru_bytes(d), bytes);
    CHECK_EQ(mcpsess_lru_init(&table, d, arena(bytes), (size_t)bytes), MCPSESS_OK);
}

static void make_table(uint16_t capacity) {
    mcpsess_lru_desc d = desc_of(capacity);
    make(&d);
}

static void sound(void) {
    CHECK_EQ(mcpsess_lru_check(&table), MCPSESS_OK);
    CHECK(arena_intact());
}

static int put(const char *key, const char *value) {
    return mcpsess_lru_put(&table, mcpsess_str_z(key), mcpsess_str_z(value), MCPSESS_NEVER);
}

/* the code of a get at time 0, and what it gave */
static int get(const char *key, mcpsess_str *value) {
    return mcpsess_lru_get(&table, mcpsess_str_z(key), 0, value);
}

static bool holds(const char *key, const char *value) {
    mcpsess_lru_entry e;
    return mcpsess_lru_peek(&table, mcpsess_str_z(key), 0, &e) == MCPSESS_OK &&
           mcpsess_str_eq(e.key, mcpsess_str_z(key)) && mcpsess_str_eq(e.value, mcpsess_str_z(value));
}

/* Are these the keys, each one character long, from the least to the most recent? */
static bool order_is(const char *keys) {
    mcpsess_lru_entry e;
    uint16_t cursor = 0;
    for (; mcpsess_lru_next(&table, &cursor, &e) == MCPSESS_OK; keys++) {
        if (*keys == '\0' || e.key.len != 1 || e.key.ptr[0] != *keys) return false;
    }
    return *keys == '\0';
}

/* ---- init ---- */

TEST(lru_bytes_are_the_constant) {
    mcpsess_lru_desc d = desc_of(SMALL);
    CHECK_EQ(mcpsess_lru_bytes(&d), SMALL * (28u + KEY_MAX + VALUE_MAX));
    d.capacity = 1;
    d.key_max = 1;
    d.value_max = 0;
    CHECK_EQ(mcpsess_lru_bytes(&d), 29);
}

TEST(lru_desc_out_of_range_is_refused) {
    mcpsess_lru_desc d = desc_of(0);
    void *mem = arena(1024);
    CHECK_EQ(mcpsess_lru_bytes(&d), 0);
    CHECK_EQ(mcpsess_lru_init(&table, &d, mem, 1024), MCPSESS_E_ARG);
    d = desc_of(65535u);
    CHECK_EQ(mcpsess_lru_bytes(&d), 0);
    CHECK_EQ(mcpsess_lru_init(&table, &d, mem, 1024), MCPSESS_E_ARG);
    d = desc_of(SMALL);
    d.key_max = 0;
    CHECK_EQ(mcpsess_lru_bytes(&d), 0);
    CHECK_EQ(mcpsess_lru_init(&table, &d, mem, 1024), MCPSESS_E_ARG);
}

TEST(lru_size_that_no_size_t_holds_is_zero) {
    mcpsess_lru_desc d = desc_of(65534u);
    uint64_t bytes;
    d.key_max = 65535u;
    d.value_max = 65535u;
    bytes = MCPSESS_LRU_BYTES(d.capacity, d.key_max, d.value_max);
    CHECK(bytes == UINT64_C(65534) * UINT64_C(131098));
    CHECK_EQ(mcpsess_lru_bytes(&d), bytes > SIZE_MAX ? 0 : bytes);
}

TEST(lru_init_checks_the_storage) {
    mcpsess_lru_desc d = desc_of(SMALL);
    size_t bytes = mcpsess_lru_bytes(&d), off;
    unsigned char *mem = (unsigned char *)arena(bytes + 8u);
    CHECK_EQ(mcpsess_lru_init(&table, &d, mem, bytes), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_init(&table, &d, mem, bytes - 1u), MCPSESS_E_NOMEM);
    CHECK_EQ(mcpsess_lru_init(&table, &d, mem, 0), MCPSESS_E_NOMEM);
    for (off = 1; off < 8; off++) {
        CHECK_EQ(mcpsess_lru_init(&table, &d, mem + off, bytes), off % ALIGNMENT == 0 ? MCPSESS_OK : MCPSESS_E_ALIGN);
    }
}

TEST(lru_null_is_an_argument_error) {
    mcpsess_lru_desc d = desc_of(SMALL);
    mcpsess_lru_entry e;
    mcpsess_str v, k = MCPSESS_STR("k");
    uint16_t cursor = 0;
    void *mem = arena(1024);
    CHECK_EQ(mcpsess_lru_bytes(NULL), 0);
    CHECK_EQ(mcpsess_lru_init(NULL, &d, mem, 1024), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_init(&table, NULL, mem, 1024), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_init(&table, &d, NULL, 1024), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_init(&table, &d, mem, 1024), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(NULL, k, 0, &v), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_peek(NULL, k, 0, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_put(NULL, k, k, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_touch(NULL, k, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_mark(NULL, k), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_del(NULL, k), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_evict(NULL, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_next(NULL, &cursor, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_next(&table, NULL, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_check(NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_len(NULL), 0);
    mcpsess_lru_clear(NULL);
    CHECK_EQ(mcpsess_lru_get(&table, str_broken(), 0, &v), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_put(&table, str_broken(), k, 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_put(&table, k, str_broken(), 0), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_lru_len(&table), 0);
}

TEST(lru_empty_table) {
    mcpsess_str v;
    mcpsess_lru_entry e;
    uint16_t cursor = 0;
    make_table(SMALL);
    sound();
    CHECK_EQ(mcpsess_lru_len(&table), 0);
    CHECK_EQ(get("a", &v), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_peek(&table, MCPSESS_STR("a"), 0, &e), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_touch(&table, MCPSESS_STR("a"), 5), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_mark(&table, MCPSESS_STR("a")), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_del(&table, MCPSESS_STR("a")), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_evict(&table, &e), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_next(&table, &cursor, &e), MCPSESS_END);
    mcpsess_lru_clear(&table);
    sound();
}

TEST(lru_init_empties_and_takes_dirty_memory) {
    make_table(SMALL);
    put("a", "1");
    make_table(SMALL); /* the arena is full of 0xA5 again */
    CHECK_EQ(mcpsess_lru_len(&table), 0);
    CHECK_EQ(table.stats.high_water, 0);
    CHECK_EQ(put("b", "2"), MCPSESS_OK);
    CHECK(holds("b", "2"));
    sound();
}

/* ---- keys and values ---- */

TEST(lru_key_and_value_at_their_bounds) {
    mcpsess_str v, key = str_fill(long_text, 'k', KEY_MAX);
    mcpsess_str value = mcpsess_str_of("vvvvvvvvv", VALUE_MAX);
    make_table(SMALL);
    CHECK_EQ(mcpsess_lru_put(&table, key, value, MCPSESS_NEVER), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(&table, key, 0, &v), MCPSESS_OK);
    CHECK(mcpsess_str_eq(v, value));
    CHECK_EQ(put("e", ""), MCPSESS_OK);
    CHECK_EQ(get("e", &v), MCPSESS_OK);
    CHECK_EQ(v.len, 0);
    CHECK_EQ(mcpsess_lru_put(&table, MCPSESS_STR("n"), mcpsess_str_of(NULL, 0), MCPSESS_NEVER), MCPSESS_OK);
    CHECK_EQ(get("n", &v), MCPSESS_OK);
    CHECK_EQ(v.len, 0);
    sound();
}

TEST(lru_refused_put_leaves_the_table_as_it_was) {
    mcpsess_str big_key = str_fill(long_text, 'k', KEY_MAX + 1u);
    mcpsess_str big_value = mcpsess_str_of("vvvvvvvvvv", VALUE_MAX + 1u);
    make_table(2);
    put("a", "1");
    put("b", "2");
    CHECK_EQ(mcpsess_lru_put(&table, big_key, MCPSESS_STR("x"), MCPSESS_NEVER), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_lru_put(&table, MCPSESS_STR("c"), big_value, MCPSESS_NEVER), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_lru_put(&table, MCPSESS_STR("a"), big_value, MCPSESS_NEVER), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_lru_put(&table, MCPSESS_STR(""), MCPSESS_STR("x"), MCPSESS_NEVER), MCPSESS_E_ARG);
    CHECK(order_is("ab"));
    CHECK(holds("a", "1") && holds("b", "2"));
    CHECK_EQ(table.stats.evictions, 0);
    sound();
}

TEST(lru_key_that_cannot_be_there_is_a_miss) {
    mcpsess_str v;
    make_table(2);
    put("a", "1");
    CHECK_EQ(mcpsess_lru_get(&table, str_fill(long_text, 'k', KEY_MAX + 1u), 0, &v), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_del(&table, str_fill(long_text, 'k', KEY_MAX + 1u)), MCPSESS_MISS);
    sound();
}

TEST(lru_keys_are_raw_bytes) {
    mcpsess_str v;
    make_table(SMALL);
    CHECK_EQ(mcpsess_lru_put(&table, MCPSESS_STR("a\0b"), MCPSESS_STR("1\0"), MCPSESS_NEVER), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_put(&table, MCPSESS_STR("a\0c"), MCPSESS_STR("2"), MCPSESS_NEVER), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_put(&table, MCPSESS_STR("a"), MCPSESS_STR("3"), MCPSESS_NEVER), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_put(&table, MCPSESS_STR("\0"), MCPSESS_STR("4"), MCPSESS_NEVER), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a\0b"), 0, &v), MCPSESS_OK);
    CHECK_STR(v, "1\0");
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("\0"), 0, &v), MCPSESS_OK);
    CHECK_STR(v, "4");
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("\0\0"), 0, &v), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_len(&table), 4);
}

TEST(lru_put_replaces_shorter_and_longer) {
    make_table(SMALL);
    put("a", "12345678");
    put("a", "1");
    CHECK(holds("a", "1"));
    put("a", "1234567");
    CHECK(holds("a", "1234567"));
    CHECK_EQ(mcpsess_lru_len(&table), 1);
    sound();
}

/* ---- order ---- */

TEST(th32_06_oldest_is_evicted_and_comes_back_by_a_put) {
    mcpsess_str v;
    make_table(2);
    put("a", "1");
    put("b", "2");
    put("c", "3");
    CHECK_EQ(get("a", &v), MCPSESS_MISS);
    CHECK_EQ(table.stats.evictions, 1);
    put("a", "1");
    CHECK(order_is("ca"));
    sound();
}

TEST(th32_07_get_and_put_refresh_recency_and_put_replaces) {
    mcpsess_str v;
    make_table(2);
    put("a", "1");
    put("b", "2");
    CHECK_EQ(get("a", &v), MCPSESS_OK);
    put("c", "3");
    CHECK(order_is("ac"));
    put("a", "9");
    CHECK(order_is("ca"));
    CHECK(holds("a", "9"));
    put("d", "4");
    CHECK(order_is("ad"));
    sound();
}

TEST(lru_peek_touch_and_mark_do_not_refresh_recency) {
    mcpsess_lru_entry e;
    make_table(3);
    put("a", "1");
    put("b", "2");
    put("c", "3");
    CHECK_EQ(mcpsess_lru_peek(&table, MCPSESS_STR("a"), 0, &e), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_touch(&table, MCPSESS_STR("a"), 50), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_mark(&table, MCPSESS_STR("b")), MCPSESS_OK);
    CHECK(order_is("abc"));
}

TEST(lru_peek_leaves_no_trace) {
    mcpsess_lru_entry e;
    mcpsess_lru before;
    make_table(2);
    mcpsess_lru_put(&table, MCPSESS_STR("a"), MCPSESS_STR("1"), 100);
    before = table;
    CHECK_EQ(mcpsess_lru_peek(&table, MCPSESS_STR("a"), 99, &e), MCPSESS_OK);
    CHECK_STR(e.key, "a");
    CHECK_STR(e.value, "1");
    CHECK_EQ(e.expires_ms, 100);
    CHECK(!e.stale);
    CHECK_EQ(mcpsess_lru_peek(&table, MCPSESS_STR("a"), 100, &e), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_peek(&table, MCPSESS_STR("b"), 0, &e), MCPSESS_MISS);
    CHECK(same_bytes(&before, &table, sizeof before));
    CHECK_EQ(mcpsess_lru_len(&table), 1);
}

TEST(lru_capacity_one) {
    mcpsess_str v;
    make_table(1);
    put("a", "1");
    CHECK(order_is("a"));
    put("b", "2");
    CHECK(order_is("b"));
    CHECK_EQ(get("a", &v), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_del(&table, MCPSESS_STR("b")), MCPSESS_OK);
    CHECK(order_is(""));
    put("c", "3");
    CHECK(holds("c", "3"));
    CHECK_EQ(mcpsess_lru_evict(&table, NULL), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_evict(&table, NULL), MCPSESS_MISS);
    sound();
}

TEST(lru_evict_takes_the_least_recent_and_tells) {
    mcpsess_lru_entry e;
    make_table(3);
    put("a", "1");
    mcpsess_lru_put(&table, MCPSESS_STR("b"), MCPSESS_STR("2"), 70);
    mcpsess_lru_mark(&table, MCPSESS_STR("b"));
    put("c", "3");
    CHECK_EQ(mcpsess_lru_evict(&table, NULL), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_evict(&table, &e), MCPSESS_OK);
    CHECK_STR(e.key, "b");
    CHECK_STR(e.value, "2");
    CHECK_EQ(e.expires_ms, 70);
    CHECK(e.stale);
    CHECK(order_is("c"));
    sound();
}

TEST(lru_del_from_every_place) {
    unsigned at;
    for (at = 0; at < 3; at++) {
        mcpsess_str v;
        make_table(3);
        put("a", "1");
        put("b", "2");
        put("c", "3");
        CHECK_EQ(mcpsess_lru_del(&table, str_byte('a' + at)), MCPSESS_OK);
        CHECK_EQ(mcpsess_lru_del(&table, str_byte('a' + at)), MCPSESS_MISS);
        CHECK_EQ(mcpsess_lru_get(&table, str_byte('a' + at), 0, &v), MCPSESS_MISS);
        CHECK(order_is(at == 0 ? "bc" : at == 1 ? "ac" : "ab"));
        put("d", "4");
        CHECK(order_is(at == 0 ? "bcd" : at == 1 ? "acd" : "abd"));
        sound();
    }
}

TEST(lru_walk_allows_deleting_what_it_just_gave) {
    mcpsess_lru_entry e;
    uint16_t cursor = 0;
    char seen[6] = "";
    unsigned n = 0;
    make_table(5);
    put("a", "1");
    put("b", "2");
    put("c", "3");
    mcpsess_lru_put(&table, MCPSESS_STR("d"), MCPSESS_STR("4"), 0); /* expired ones are shown too */
    put("e", "5");
    while (n < 5 && mcpsess_lru_next(&table, &cursor, &e) == MCPSESS_OK) {
        seen[n++] = e.key.ptr[0];
        if (e.key.ptr[0] != 'c') CHECK_EQ(mcpsess_lru_del(&table, str_byte((unsigned char)e.key.ptr[0])), MCPSESS_OK);
        sound();
    }
    CHECK(same_bytes(seen, "abcde", 5));
    CHECK_EQ(mcpsess_lru_next(&table, &cursor, &e), MCPSESS_END);
    CHECK(order_is("c"));
}

TEST(lru_clear_keeps_the_statistics) {
    mcpsess_str v;
    make_table(2);
    put("a", "1");
    put("b", "2");
    get("a", &v);
    mcpsess_lru_clear(&table);
    CHECK_EQ(mcpsess_lru_len(&table), 0);
    CHECK_EQ(table.stats.hits, 1);
    CHECK_EQ(table.stats.high_water, 2);
    CHECK_EQ(get("a", &v), MCPSESS_MISS);
    put("c", "3");
    CHECK(order_is("c"));
    sound();
}

/* ---- expiry and the stale mark ---- */

TEST(lru_expires_at_exactly_the_instant) {
    mcpsess_str v;
    make_table(2);
    mcpsess_lru_put(&table, MCPSESS_STR("a"), MCPSESS_STR("1"), 100);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), 99, &v), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), 100, &v), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_len(&table), 0);
    CHECK_EQ(table.stats.expirations, 1);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), 99, &v), MCPSESS_MISS);
    sound();
}

TEST(lru_never_never_expires) {
    mcpsess_str v;
    make_table(2);
    put("a", "1");
    mcpsess_lru_put(&table, MCPSESS_STR("b"), MCPSESS_STR("2"), MCPSESS_NEVER - 1u);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("b"), MCPSESS_NEVER - 2u, &v), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("b"), MCPSESS_NEVER - 1u, &v), MCPSESS_MISS);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), MCPSESS_NEVER - 1u, &v), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), MCPSESS_NEVER, &v), MCPSESS_OK);
}

TEST(lru_touch_moves_the_expiry_both_ways) {
    mcpsess_str v;
    make_table(2);
    mcpsess_lru_put(&table, MCPSESS_STR("a"), MCPSESS_STR("1"), 100);
    CHECK_EQ(mcpsess_lru_touch(&table, MCPSESS_STR("a"), 200), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), 150, &v), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_touch(&table, MCPSESS_STR("a"), 160), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), 160, &v), MCPSESS_MISS);
}

TEST(lru_put_sets_the_expiry_anew) {
    mcpsess_str v;
    make_table(2);
    mcpsess_lru_put(&table, MCPSESS_STR("a"), MCPSESS_STR("1"), 100);
    mcpsess_lru_put(&table, MCPSESS_STR("a"), MCPSESS_STR("1"), 50);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), 50, &v), MCPSESS_MISS);
    mcpsess_lru_put(&table, MCPSESS_STR("a"), MCPSESS_STR("2"), 100);
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), 60, &v), MCPSESS_OK);
}

TEST(lru_marked_entry_is_stale_until_the_next_put) {
    mcpsess_str v = MCPSESS_STR("");
    mcpsess_lru_entry e;
    make_table(2);
    mcpsess_lru_put(&table, MCPSESS_STR("a"), MCPSESS_STR("1"), 100);
    CHECK_EQ(mcpsess_lru_mark(&table, MCPSESS_STR("a")), MCPSESS_OK);
    CHECK_EQ(get("a", &v), MCPSESS_STALE);
    CHECK_STR(v, "1");
    CHECK_EQ(mcpsess_lru_touch(&table, MCPSESS_STR("a"), 90), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_peek(&table, MCPSESS_STR("a"), 0, &e), MCPSESS_STALE);
    CHECK(e.stale);
    CHECK_STR(e.value, "1");
    CHECK_EQ(mcpsess_lru_get(&table, MCPSESS_STR("a"), 90, &v), MCPSESS_MISS); /* stale ones expire as well */
    put("a", "2");
    CHECK_EQ(get("a", &v), MCPSESS_OK);
    mcpsess_lru_mark(&table, MCPSESS_STR("a"));
    put("a", "3");
    CHECK_EQ(get("a", &v), MCPSESS_OK);
    CHECK_STR(v, "3");
    sound();
}

TEST(lru_deleted_mark_does_not_come_back) {
    mcpsess_str v;
    make_table(1);
    put("a", "1");
    mcpsess_lru_mark(&table, MCPSESS_STR("a"));
    mcpsess_lru_del(&table, MCPSESS_STR("a"));
    put("b", "2");
    CHECK_EQ(get("b", &v), MCPSESS_OK);
}

/* ---- statistics, hash, memory ---- */

TEST(lru_counts) {
    mcpsess_str v;
    make_table(2);
    put("a", "1");
    put("b", "2");
    get("a", &v);
    get("b", &v);
    get("x", &v);
    mcpsess_lru_mark(&table, MCPSESS_STR("a"));
    get("a", &v);
    put("c", "3");
    mcpsess_lru_del(&table, MCPSESS_STR("c"));
    CHECK_EQ(table.stats.hits, 2);
    CHECK_EQ(table.stats.stale_hits, 1);
    CHECK_EQ(table.stats.misses, 1);
    CHECK_EQ(table.stats.evictions, 1);
    CHECK_EQ(table.stats.expirations, 0);
    CHECK_EQ(table.stats.high_water, 2);
}

static uint32_t hash_of_nothing(const uint8_t seed[16], mcpsess_str s) {
    (void)seed;
    (void)s;
    return 0xFFFFFFFFu;
}

TEST(lru_is_correct_when_every_key_collides) {
    mcpsess_lru_desc d = desc_of(16);
    unsigned i;
    d.hash = hash_of_nothing;
    make(&d);
    for (i = 0; i < 40; i++) {
        CHECK_EQ(mcpsess_lru_put(&table, str_byte('A' + i), str_byte('A' + i), MCPSESS_NEVER), MCPSESS_OK);
    }
    for (i = 0; i < 40; i += 3) mcpsess_lru_del(&table, str_byte('A' + i));
    for (i = 0; i < 40; i++) {
        mcpsess_str v;
        int rc = mcpsess_lru_get(&table, str_byte('A' + i), 0, &v);
        CHECK_EQ(rc, i < 24 || i % 3 == 0 ? MCPSESS_MISS : MCPSESS_OK);
        if (rc == MCPSESS_OK) CHECK_EQ(v.ptr[0], 'A' + i);
    }
    sound();
}

static unsigned hash_calls;
static uint8_t hash_seed;
static uint32_t hash_counting(const uint8_t seed[16], mcpsess_str s) {
    hash_calls++;
    hash_seed = seed[15];
    return (unsigned char)s.ptr[0];
}

TEST(lru_uses_the_hash_and_seed_of_the_desc) {
    mcpsess_lru_desc d = desc_of(2);
    d.hash = hash_counting;
    d.seed[15] = 77;
    make(&d);
    hash_calls = 0;
    d.seed[15] = 0; /* the desc was copied */
    put("a", "1");
    CHECK(holds("a", "1"));
    CHECK_EQ(hash_calls, 2);
    CHECK_EQ(hash_seed, 77);
}

TEST(lru_check_sees_overwritten_memory) {
    size_t bytes, at;
    unsigned char *mem;
    mcpsess_lru_desc d = desc_of(SMALL);
    bytes = SMALL * 28u; /* the bookkeeping; the rest are the caller's bytes */
    mem = (unsigned char *)arena(mcpsess_lru_bytes(&d));
    for (at = 0; at < bytes; at += 8) {
        CHECK_EQ(mcpsess_lru_init(&table, &d, mem, mcpsess_lru_bytes(&d)), MCPSESS_OK);
        put("a", "1");
        put("b", "2");
        put("c", "3");
        put("d", "4");
        CHECK_EQ(mcpsess_lru_check(&table), MCPSESS_OK);
        memset(mem, 0x5A, at + 8 < bytes ? at + 8 : bytes);
        if (at >= 8) CHECK_EQ(mcpsess_lru_check(&table), MCPSESS_E_CORRUPT);
    }
    CHECK_EQ(mcpsess_lru_init(&table, &d, mem, mcpsess_lru_bytes(&d)), MCPSESS_OK);
    table.i.len = 1;
    CHECK_EQ(mcpsess_lru_check(&table), MCPSESS_E_CORRUPT);
}

#if !PORT_SMALL
TEST(lru_of_65534_entries) {
    mcpsess_lru_desc d = desc_of(65534u);
    char key[24];
    uint32_t i;
    mcpsess_str v;
    make(&d);
    for (i = 0; i < 65534u; i++) {
        mcpsess_str k = str_number(key, 'k', i);
        if (!CHECK_EQ(mcpsess_lru_put(&table, k, k, MCPSESS_NEVER), MCPSESS_OK)) return;
    }
    CHECK_EQ(mcpsess_lru_len(&table), 65534);
    CHECK_EQ(table.stats.evictions, 0);
    CHECK_EQ(table.stats.high_water, 65534);
    for (i = 0; i < 65534u; i++) {
        mcpsess_str k = str_number(key, 'k', i);
        if (!CHECK(mcpsess_lru_get(&table, k, 0, &v) == MCPSESS_OK && mcpsess_str_eq(v, k))) return;
    }
    CHECK_EQ(put("over", "1"), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_len(&table), 65534);
    CHECK_EQ(get("k0", &v), MCPSESS_MISS);
    CHECK_EQ(get("k1", &v), MCPSESS_OK);
    sound();
}

TEST(lru_with_keys_and_values_of_65535_bytes) {
    static char big[65535];
    mcpsess_lru_desc d = desc_of(2);
    mcpsess_str s = str_fill(big, 'x', sizeof big), v;
    d.key_max = 65535u;
    d.value_max = 65535u;
    make(&d);
    CHECK_EQ(mcpsess_lru_put(&table, s, s, MCPSESS_NEVER), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_put(&table, str_head(s, 65534), MCPSESS_STR("short"), MCPSESS_NEVER), MCPSESS_OK);
    CHECK_EQ(mcpsess_lru_get(&table, s, 0, &v), MCPSESS_OK);
    CHECK(mcpsess_str_eq(v, s));
    CHECK_EQ(mcpsess_lru_get(&table, str_head(s, 65534), 0, &v), MCPSESS_OK);
    CHECK_STR(v, "short");
    sound();
}
#endif

/* ---- the model: entries in an array, the least recent first ---- */

#define MODEL_MAX 24u
#if PORT_SMALL
#define MODEL_CAPACITY 6u
#else
#define MODEL_CAPACITY MODEL_MAX
#endif

typedef struct model_entry {
    uint8_t key;
    uint16_t value;
    bool stale;
    uint64_t expires_ms;
} model_entry;

static struct {
    model_entry e[MODEL_MAX];
    unsigned len, capacity;
    uint64_t now_ms;
    mcpsess_lru_stats stats;
} model;

static int model_find(uint8_t key) {
    unsigned i;
    for (i = 0; i < model.len; i++) {
        if (model.e[i].key == key) return (int)i;
    }
    return -1;
}

static void model_drop(unsigned at) {
    model.len--;
    memmove(model.e + at, model.e + at + 1, (model.len - at) * sizeof model.e[0]);
}

static void model_recent(unsigned at) {
    model_entry e = model.e[at];
    model_drop(at);
    model.e[model.len++] = e;
}

static bool model_expired(int at) {
    return model.e[at].expires_ms != MCPSESS_NEVER && model.e[at].expires_ms <= model.now_ms;
}

/* keys have one to eight bytes: the length is part of the key */
static mcpsess_str model_key(uint8_t key) {
    static char text[KEY_MAX];
    str_fill(text, (char)key, KEY_MAX);
    return mcpsess_str_of(text, 1u + key % KEY_MAX);
}

static mcpsess_str model_value(uint16_t value) {
    static char text[VALUE_MAX];
    str_fill(text, (char)value, VALUE_MAX);
    return mcpsess_str_of(text, value % (VALUE_MAX + 1u));
}

static uint64_t model_expiry(void) {
    return random_below(3) == 0 ? MCPSESS_NEVER : model.now_ms + random_below(60);
}

static bool model_put(uint8_t key) {
    int at = model_find(key);
    model_entry e;
    e.key = key;
    e.value = (uint16_t)(tap_random() & 0xFFFFu);
    e.stale = false;
    e.expires_ms = model_expiry();
    if (at >= 0) model_drop((unsigned)at);
    if (model.len == model.capacity) {
        model_drop(0);
        model.stats.evictions++;
    }
    model.e[model.len++] = e;
    if (model.len > model.stats.high_water) model.stats.high_water = (uint16_t)model.len;
    return mcpsess_lru_put(&table, model_key(key), model_value(e.value), e.expires_ms) == MCPSESS_OK;
}

static int model_answer(int at) {
    if (at < 0 || model_expired(at)) return MCPSESS_MISS;
    return model.e[at].stale ? MCPSESS_STALE : MCPSESS_OK;
}

static bool model_get(uint8_t key) {
    int at = model_find(key), want = model_answer(at);
    mcpsess_str v;
    if (mcpsess_lru_get(&table, model_key(key), model.now_ms, &v) != want) return false;
    if (want == MCPSESS_MISS) {
        model.stats.misses++;
        if (at < 0) return true;
        model.stats.expirations++;
        model_drop((unsigned)at);
        return true;
    }
    if (want == MCPSESS_OK) model.stats.hits++;
    else model.stats.stale_hits++;
    if (!mcpsess_str_eq(v, model_value(model.e[at].value))) return false;
    model_recent((unsigned)at);
    return true;
}

static bool model_peek(uint8_t key) {
    int at = model_find(key), want = model_answer(at);
    mcpsess_lru_entry e;
    if (mcpsess_lru_peek(&table, model_key(key), model.now_ms, &e) != want) return false;
    return want == MCPSESS_MISS || (mcpsess_str_eq(e.value, model_value(model.e[at].value)) &&
                                    e.expires_ms == model.e[at].expires_ms && e.stale == model.e[at].stale);
}

static bool model_touch(uint8_t key) {
    int at = model_find(key);
    uint64_t expires_ms = model_expiry();
    if (at >= 0) model.e[at].expires_ms = expires_ms;
    return mcpsess_lru_touch(&table, model_key(key), expires_ms) == (at >= 0 ? MCPSESS_OK : MCPSESS_MISS);
}

static bool model_mark(uint8_t key) {
    int at = model_find(key);
    if (at >= 0) model.e[at].stale = true;
    return mcpsess_lru_mark(&table, model_key(key)) == (at >= 0 ? MCPSESS_OK : MCPSESS_MISS);
}

static bool model_del(uint8_t key) {
    int at = model_find(key);
    if (at >= 0) model_drop((unsigned)at);
    return mcpsess_lru_del(&table, model_key(key)) == (at >= 0 ? MCPSESS_OK : MCPSESS_MISS);
}

static bool model_evict(void) {
    mcpsess_lru_entry e;
    uint8_t key = model.e[0].key;
    if (model.len == 0) return mcpsess_lru_evict(&table, &e) == MCPSESS_MISS;
    if (mcpsess_lru_evict(&table, &e) != MCPSESS_OK) return false;
    model_drop(0);
    table.stats.evictions = model.stats.evictions; /* whether evict() counts is not promised */
    return mcpsess_str_eq(e.key, model_key(key));
}

/* the whole order, value by value */
static bool model_same(void) {
    mcpsess_lru_entry e;
    uint16_t cursor = 0;
    unsigned n = 0;
    while (mcpsess_lru_next(&table, &cursor, &e) == MCPSESS_OK) {
        if (n == model.len || !mcpsess_str_eq(e.key, model_key(model.e[n].key))) return false;
        if (!mcpsess_str_eq(e.value, model_value(model.e[n].value))) return false;
        if (e.stale != model.e[n].stale || e.expires_ms != model.e[n].expires_ms) return false;
        n++;
    }
    return n == model.len && mcpsess_lru_len(&table) == n;
}

static bool model_step(void) {
    uint8_t key = (uint8_t)random_below(2u * model.capacity + 1u);
    uint32_t what = random_below(1000);
    model.now_ms += random_below(4);
    if (what < 300) return model_put(key);
    if (what < 600) return model_get(key);
    if (what < 700) return model_peek(key);
    if (what < 780) return model_touch(key);
    if (what < 860) return model_mark(key);
    if (what < 940) return model_del(key);
    if (what < 995) return model_evict();
    mcpsess_lru_clear(&table);
    model.len = 0;
    return true;
}

static void model_run(uint16_t capacity, uint32_t rounds) {
    uint32_t round;
    make_table(capacity);
    memset(&model, 0, sizeof model);
    model.capacity = capacity;
    for (round = 0; round < rounds; round++) {
        if (!CHECK(model_step()) || !CHECK(mcpsess_lru_check(&table) == MCPSESS_OK)) break;
        if (round % 16 == 0 && !CHECK(model_same())) break;
    }
    if (round < rounds) tap_note("failed in round", (int64_t)round);
    CHECK(model_same());
    CHECK_EQ(table.stats.hits, model.stats.hits);
    CHECK_EQ(table.stats.stale_hits, model.stats.stale_hits);
    CHECK_EQ(table.stats.misses, model.stats.misses);
    CHECK_EQ(table.stats.evictions, model.stats.evictions);
    CHECK_EQ(table.stats.expirations, model.stats.expirations);
    CHECK_EQ(table.stats.high_water, model.stats.high_water);
    CHECK(arena_intact());
}

TEST(lru_agrees_with_a_naive_model) {
    tap_seed(20260401u);
    model_run(MODEL_CAPACITY, PORT_ROUNDS);
}

TEST(lru_of_one_and_two_agrees_with_a_naive_model) {
    tap_seed(7);
    model_run(1, PORT_ROUNDS / 10u);
    model_run(2, PORT_ROUNDS / 10u);
}

void test_lru(void) {
    RUN(lru_bytes_are_the_constant);
    RUN(lru_desc_out_of_range_is_refused);
    RUN(lru_size_that_no_size_t_holds_is_zero);
    RUN(lru_init_checks_the_storage);
    RUN(lru_null_is_an_argument_error);
    RUN(lru_empty_table);
    RUN(lru_init_empties_and_takes_dirty_memory);
    RUN(lru_key_and_value_at_their_bounds);
    RUN(lru_refused_put_leaves_the_table_as_it_was);
    RUN(lru_key_that_cannot_be_there_is_a_miss);
    RUN(lru_keys_are_raw_bytes);
    RUN(lru_put_replaces_shorter_and_longer);
    RUN(th32_06_oldest_is_evicted_and_comes_back_by_a_put);
    RUN(th32_07_get_and_put_refresh_recency_and_put_replaces);
    RUN(lru_peek_touch_and_mark_do_not_refresh_recency);
    RUN(lru_peek_leaves_no_trace);
    RUN(lru_capacity_one);
    RUN(lru_evict_takes_the_least_recent_and_tells);
    RUN(lru_del_from_every_place);
    RUN(lru_walk_allows_deleting_what_it_just_gave);
    RUN(lru_clear_keeps_the_statistics);
    RUN(lru_expires_at_exactly_the_instant);
    RUN(lru_never_never_expires);
    RUN(lru_touch_moves_the_expiry_both_ways);
    RUN(lru_put_sets_the_expiry_anew);
    RUN(lru_marked_entry_is_stale_until_the_next_put);
    RUN(lru_deleted_mark_does_not_come_back);
    RUN(lru_counts);
    RUN(lru_is_correct_when_every_key_collides);
    RUN(lru_uses_the_hash_and_seed_of_the_desc);
    RUN(lru_check_sees_overwritten_memory);
#if !PORT_SMALL
    RUN(lru_of_65534_entries);
    RUN(lru_with_keys_and_values_of_65535_bytes);
#endif
    RUN(lru_agrees_with_a_naive_model);
    RUN(lru_of_one_and_two_agrees_with_a_naive_model);
}
