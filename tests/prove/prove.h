/* What the drivers share: every input up to a small bound. Lengths are examined one by one, contents all at once; and
   each slice ends where its array ends, so that one byte read or written too many is outside of it, whatever the
   length. */

#ifndef PROVE_H
#define PROVE_H

#include "mcpsess.h"

#include <__fc_builtin.h>

/* for each n of 0..max */
#define EACH(n, max) for (unsigned n = 0; n <= (max); n++)

/* Lets a variable or an array have any value. */
#define ANY(object) Frama_C_make_unknown((char *)&(object), sizeof(object))

/* The last len bytes of an array: any bytes. */
#define ANY_TAIL(array, len) (ANY(array), mcpsess_str_of((array) + (sizeof(array) - (len)), (len)))

static uint64_t any_u64(void) {
    uint64_t value;
    ANY(value);
    return value;
}

/* A writer into the last cap bytes of an array. */
#define TAIL_BUF(b, array, cap) mcpsess_buf_init(&(b), (array) + (sizeof(array) - (cap)), (cap))

#endif
