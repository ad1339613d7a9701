/* An image that goes wrong after its first test, in the way that BROKEN says. */

#include "tap.h"

enum { HANGS, CRASHES, NO_PLAN, WRONG_PLAN, WRONG_STATUS };

static void say(const char *text) {
    while (*text != '\0') port_putchar(*text++);
}

static void crash(void) {
    void (*nowhere)(void) = (void (*)(void))(uintptr_t)(UINTPTR_MAX - 15u);
    nowhere();
}

int main(void) {
    port_init();
    say("ok 1 - a\n");
    if (BROKEN == HANGS) {
        for (;;) {
        }
    }
    if (BROKEN == CRASHES) crash();
    if (BROKEN != NO_PLAN) say(BROKEN == WRONG_PLAN ? "1..2\n" : "1..1\n");
    port_exit(BROKEN == WRONG_STATUS ? 1 : 0);
    return 0;
}
