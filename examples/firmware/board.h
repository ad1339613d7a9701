/* board.h - what a board offers to the programs in this folder. A port is one file: board_an385.c (Arm Cortex-M3),
   board_virt.c (RV32IMAC), board_avr.c (ATmega1284). The boards are simulated ones; what silicon differs in is said
   beside it.

   The link is the UART that the other end of the wire is at. */

#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clock, then interrupts. Before anything else. */
void board_init(void);

/* Milliseconds since board_init, monotonic; does not wrap. Not for interrupts. */
uint64_t board_now_ms(void);

/* A mcpsess_random_fn. A simulated board has no generator: these are pseudorandom numbers that begin anew with each
   start, and whoever has read this knows them. On silicon return what its true random number generator gives (STM32:
   RNG, nRF: RNG, ESP32: esp_fill_random), and an error if it fails its health test. */
int board_random(void *user, void *dst, size_t len);

/* Sleeps until an interrupt; the clock's comes every millisecond. */
void board_idle(void);

/* Bytes: at the most so far; in all. (Not on the AVR, whose simulator tells it.) */
size_t board_stack_used(void);
size_t board_stack_size(void);

/* Text on the console of the simulator. */
void board_print(const char *text);

/* Ends the simulation; on silicon this is a reset. */
void board_exit(int status) __attribute__((noreturn));

/* Called from the interrupt for each byte. lost: the receiver says that bytes before this one are missing. */
typedef void (*board_received_fn)(void *user, uint8_t byte, bool lost);

void board_link_start(board_received_fn received, void *user);

/* -> false: the transmitter is full, nothing was done */
bool board_link_put(uint8_t byte);

#endif
