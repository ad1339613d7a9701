/* pseudorandom.h - board_random of boards that have no generator; only their own files include it. See board.h for what
   silicon has to do instead. */

#ifndef PSEUDORANDOM_H
#define PSEUDORANDOM_H

#include "board.h"

int board_random(void *user, void *dst, size_t len) {
    static uint32_t x = 2463534242u; /* xorshift32 */
    uint8_t *to = dst;
    (void)user;
    while (len-- > 0) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        *to++ = (uint8_t)(x >> 24);
    }
    return 0;
}

#endif
