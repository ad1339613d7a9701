/* The port to a simulated ATmega1284: tests/targets/simavr.c listens on two general-purpose registers. */

#include <avr/io.h>

#include "tap.h"

void port_init(void) {
}

void port_putchar(char c) {
    GPIOR1 = (uint8_t)c;
}

void port_exit(int status) {
    GPIOR0 = (uint8_t)(status | 0x80); /* never 0, so that any write is an exit */
    for (;;) {
    }
}
