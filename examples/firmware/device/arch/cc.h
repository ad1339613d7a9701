/* What lwIP asks of the compiler and the board. */

#ifndef ARCH_CC_H
#define ARCH_CC_H

#include <stdint.h>

#include "../../board.h"

#define BYTE_ORDER LITTLE_ENDIAN
#define LWIP_NO_CTYPE_H 1
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(text)       \
    do {                                 \
        board_print("lwIP: " text "\n"); \
        board_exit(1);                   \
    } while (0)

static inline uint32_t lwip_random(void) {
    uint32_t n = 0;
    board_random(0, &n, sizeof n);
    return n;
}
#define LWIP_RAND() lwip_random()

#endif
