#include "test_util.h"

#define GUARD 8u
#define GUARD_BYTE 0xA5u

static union {
    uint64_t align_u64;
    void *align_ptr;
    unsigned char bytes[ARENA_MAX + 2u * GUARD];
} ground;

static size_t arena_len;

void *arena(uint64_t n) {
    tap_check(n <= ARENA_MAX, __FILE__, __LINE__, "the arena is large enough");
    arena_len = n <= ARENA_MAX ? (size_t)n : 0;
    memset(ground.bytes, (int)GUARD_BYTE, arena_len + 2u * GUARD);
    return ground.bytes + GUARD;
}

bool arena_intact(void) {
    size_t i;
    for (i = 0; i < GUARD; i++) {
        if (ground.bytes[i] != GUARD_BYTE || ground.bytes[GUARD + arena_len + i] != GUARD_BYTE) return false;
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
