/* The two measured loops, compiled into each candidate's own file, so that its calls may be inlined as its users' would
   be. Before: LRU_ID, LRU_NAME, LRU_UNSEEDED (0 or 1), and the functions make, get (-> value or NULL) and put. The
   loops are named after LRU_ID so that callgrind can be told to count only them. */
#define LRU_JOIN(a, b) a##b
#define LRU_NAMED(id, what) LRU_JOIN(id, what)
#define LRU_TEXT(x) #x
#define LRU_STRING(x) LRU_TEXT(x)

uint64_t LRU_NAMED(LRU_ID, _get_round)(void *self, const lru_work *w);
uint64_t LRU_NAMED(LRU_ID, _put_round)(void *self, const lru_work *w);
extern const lru_candidate LRU_NAMED(LRU_ID, _candidate);

uint64_t LRU_NAMED(LRU_ID, _get_round)(void *self, const lru_work *w) {
    uint64_t sum = 0;
    mcpsess_str key;
    key.ptr = w->keys;
    key.len = w->key_len;
    for (size_t i = 0; i < w->count; i++, key.ptr += key.len) {
        const char *value = get(self, key);
        if (value != NULL) sum += (unsigned char)*value;
    }
    return sum;
}

uint64_t LRU_NAMED(LRU_ID, _put_round)(void *self, const lru_work *w) {
    mcpsess_str key;
    key.ptr = w->keys;
    key.len = w->key_len;
    for (size_t i = 0; i < w->count; i++, key.ptr += key.len) put(self, key, w->value);
    return w->count;
}

const lru_candidate LRU_NAMED(LRU_ID, _candidate) = {
    LRU_NAME, LRU_STRING(LRU_ID), LRU_UNSEEDED, make, LRU_NAMED(LRU_ID, _get_round), LRU_NAMED(LRU_ID, _put_round)};
