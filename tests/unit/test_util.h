/* What the suites share: one arena for the memory of every object under test, and small helpers around slices. */

#ifndef TEST_UTIL_H
#define TEST_UTIL_H

#include "mcpsess.h"
#include "tap.h"

#include <string.h>

/* initialiser of a mcpsess_str in a table */
#define LIT(literal) \
    { literal, sizeof(literal) - 1 }
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes of the arena: the largest object any test makes. The host also makes the largest tables there are. */
#if PORT_SMALL
#define ARENA_MAX 4096u
#else
#define ARENA_MAX 4194304uL
#endif

/* what the storage of every object must be aligned to */
struct test_alignment {
    char c;
    union {
        uint64_t u64;
        void *ptr;
    } u;
};
#define ALIGNMENT offsetof(struct test_alignment, u)

/* Exactly n bytes, aligned for anything, between guard bytes; what earlier calls gave is gone. */
void *arena(uint64_t n);
/* The same, beside what earlier calls gave; up to three times. */
void *arena_more(uint64_t n);
/* Are the guard bytes around all that was given as they were? */
bool arena_intact(void);

/* One byte. Lives for ever. */
mcpsess_str str_byte(unsigned b);
/* n times c, written to dst. */
mcpsess_str str_fill(void *dst, char c, size_t n);
/* A slice that no caller may make: no bytes, but a length. */
mcpsess_str str_broken(void);
/* The first n bytes of s. */
mcpsess_str str_head(mcpsess_str s, size_t n);
/* `prefix` and a decimal number, written to dst (24 bytes are enough for a prefix of one letter). */
mcpsess_str str_number(char *dst, char prefix, uint32_t number);
/* A number below limit, from the generator of the harness. */
uint32_t random_below(uint32_t limit);
/* The same bytes, n of them? */
bool same_bytes(const void *a, const void *b, size_t n);

mcpsess_principal principal(const char *issuer, const char *subject);

#endif
