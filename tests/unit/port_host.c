/* The port to a computer: the only file of the unit tests that knows stdio. */

#include <stdio.h>
#include <stdlib.h>

#include "tap.h"

void port_init(void) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said before a crash must be seen */
}

void port_putchar(char c) {
    putchar(c);
}

void port_exit(int status) {
    exit(fflush(stdout) == 0 ? status : 2);
}
