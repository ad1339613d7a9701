#include "test_util.h"

#define GUARD 8u
#define GUARD_BYTE 0xA5u
#define BLOCKS 4u

static union {
    uint64_t align_u64;
    void *align_ptr;
    unsigned char bytes[ARENA_MAX];
} ground;

static size_t block_ends[BLOCKS]; /* where the guard behind each block begins */
static size_t blocks;

void *arena(uint64_t n) {
    blocks = 0;
    return arena_more(n);
}

void *arena_more(uint64_t n) {
    size_t start = blocks == 0 ? GUARD : (block_ends[blocks - 1u] + 2u * GUARD - 1u) / GUARD * GUARD;
    bool fits = blocks < BLOCKS && n <= ARENA_MAX - GUARD - start;
    if (!CHECK(fits)) port_exit(1);
    memset(ground.bytes + start - GUARD, (int)GUARD_BYTE, (size_t)n + 2u * GUARD);
    block_ends[blocks++] = start + (size_t)n;
    return ground.bytes + start;
}

bool arena_intact(void) {
    size_t i, b;
    for (i = 0; i < GUARD; i++) {
        if (ground.bytes[i] != GUARD_BYTE) return false;
        for (b = 0; b < blocks; b++) {
            if (ground.bytes[block_ends[b] + i] != GUARD_BYTE) return false;
        }
    }
    return true;
}

mcpsess_str str_byte(unsigned b) {
    static unsigned char all[256];
    all[b & 0xFFu] = (unsigned char)b;
    return mcpsess_str_of(all + (b & 0xFFu), 1);
}

mcpsess_str str_fill(void *dst, char c, size_t n) {
    memset(dst, c, n);
    return mcpsess_str_of(dst, n);
}

mcpsess_str str_broken(void) {
    mcpsess_str s;
    s.ptr = NULL;
    s.len = 3;
    return s;
}

mcpsess_str str_head(mcpsess_str s, size_t n) {
    return mcpsess_str_of(s.ptr, n);
}

mcpsess_str str_number(char *dst, char prefix, uint32_t number) {
    char digits[10];
    size_t n = 0, len = 0;
    do {
        digits[n++] = (char)('0' + (int)(number % 10u));
        number /= 10u;
    } while (number != 0);
    dst[len++] = prefix;
    while (n > 0) dst[len++] = digits[--n];
    return mcpsess_str_of(dst, len);
}

uint32_t random_below(uint32_t limit) {
    return (tap_random() >> 3) % limit;
}

bool same_bytes(const void *a, const void *b, size_t n) {
    return n == 0 || memcmp(a, b, n) == 0;
}

mcpsess_principal principal(const char *issuer, const char *subject) {
    mcpsess_principal who;
    who.issuer = mcpsess_str_z(issuer);
    who.subject = mcpsess_str_z(subject);
    return who;
}
