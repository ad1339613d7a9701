/* startup.h - what the C startup of a board does before main: variables get their first values. sections.ld has the
   symbols. */

#ifndef STARTUP_H
#define STARTUP_H

#include <stdint.h>
#include <string.h>

extern char data_start[], data_end[], data_image[], bss_start[], bss_end[], stack_limit[], stack_top[];
int main(void);

/* What the stack has never reached keeps this. */
#define STARTUP_UNTOUCHED ((char)0xA5)

static inline void startup_memory(void) {
    char *below = (char *)__builtin_frame_address(0) - 64, *at;
    for (at = stack_limit; at < below; at++) *at = STARTUP_UNTOUCHED;
    memcpy(data_start, data_image, (size_t)(data_end - data_start));
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
}

static inline size_t startup_stack_used(void) {
    const char *at = stack_limit;
    while (at < stack_top && *at == STARTUP_UNTOUCHED) at++;
    return (size_t)(stack_top - at);
}

/* xorshift32, for board_random of boards that have no generator. */
static inline int startup_random(void *dst, size_t len) {
    static uint32_t x = 2463534242u;
    uint8_t *to = dst;
    while (len-- > 0) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        *to++ = (uint8_t)(x >> 24);
    }
    return 0;
}

#endif
