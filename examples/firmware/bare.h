/* bare.h - what the boards whose console is semihosting have in common: the C startup, the console, the end. Only their
   own files include it. sections.ld has the symbols. */

#ifndef BARE_H
#define BARE_H

#include "board.h"
#include "semihost.h"

#include <picotls.h>
#include <string.h>

extern char data_start[], data_end[], data_image[], bss_end[], thread_start[], stack_limit[], stack_top[];
int main(void);

/* What the stack has never reached keeps this. */
#define BARE_UNTOUCHED ((char)0xA5)

/* Before main: variables get their first values, errno a place. */
static inline void bare_memory(void) {
    char *below = (char *)__builtin_frame_address(0) - 64, *at;
    for (at = stack_limit; at < below; at++) *at = BARE_UNTOUCHED;
    memcpy(data_start, data_image, (size_t)(data_end - data_start));
    memset(data_end, 0, (size_t)(bss_end - data_end));
    _set_tls(thread_start); /* else errno is somewhere in flash */
}

size_t board_stack_used(void) {
    const char *at = stack_limit;
    while (at < stack_top && *at == BARE_UNTOUCHED) at++;
    return (size_t)(stack_top - at);
}

size_t board_stack_size(void) {
    return (size_t)(stack_top - stack_limit);
}

void board_print(const char *text) {
    semihost_print(text);
}

void board_exit(int status) {
    semihost_exit(status);
}

static inline void bare_fault(void) {
    board_print("fault: the program touched memory it must not, or its stack is too small\n");
    board_exit(70);
}

#endif
