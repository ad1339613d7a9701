/* The board "ATmega1284 at 16 MHz". The link is USART0. The console and the exit are two registers of no other use,
   which tests/targets/simavr.c listens to; on silicon, put the console on USART1. */

#include "board.h"
#include "pseudorandom.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <util/atomic.h>

#define BAUD 115200uL

static volatile uint32_t ticks_ms; /* of 49 days: widened below */
static uint32_t last_ms, wraps;
static board_received_fn link_received;
static void *link_user;

/* ---- clock */

ISR(TIMER0_COMPA_vect) {
    ticks_ms++;
}

void board_init(void) {
    TCCR0A = 1 << WGM01;
    TCCR0B = 1 << CS01 | 1 << CS00; /* 16 MHz / 64 / 250: a millisecond */
    OCR0A = 249;
    TIMSK0 = 1 << OCIE0A;
    SMCR = 0; /* sleep is idle: the UART stays awake */
    sei();
}

uint64_t board_now_ms(void) {
    uint32_t now;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        now = ticks_ms;
    }
    if (now < last_ms) wraps++;
    last_ms = now;
    return (uint64_t)wraps << 32 | now;
}

void board_idle(void) {
    sleep_mode();
}

/* ---- link */

ISR(USART0_RX_vect) {
    bool lost = (UCSR0A & (1 << DOR0)) != 0; /* must be read before the byte */
    uint8_t byte = UDR0;
    link_received(link_user, byte, lost);
}

void board_link_start(board_received_fn received, void *user) {
    link_received = received;
    link_user = user;
    UCSR0A = 1 << U2X0;
    UBRR0 = F_CPU / 8 / BAUD - 1;
    UCSR0C = 1 << UCSZ01 | 1 << UCSZ00; /* 8 bits, no parity, 1 stop bit */
    UCSR0B = 1 << RXCIE0 | 1 << RXEN0 | 1 << TXEN0;
}

bool board_link_put(uint8_t byte) {
    if (!(UCSR0A & (1 << UDRE0))) return false;
    UDR0 = byte;
    return true;
}

/* ---- console, exit */

void board_print(const char *text) {
    while (*text) GPIOR1 = (uint8_t)*text++;
}

void board_exit(int status) {
    GPIOR0 = (uint8_t)(status | 0x80);
    for (;;) {
    }
}
