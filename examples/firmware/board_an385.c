/* The board "Arm MPS2 AN385": a Cortex-M3 at 25 MHz. The link is UART1, the console semihosting.

   main runs on the process stack, interrupts on a stack of their own: so a fault is told also when the program's stack
   is what overflowed. What stands for flash is RAM here: the memory protection closes it to writes, as flash is. */

#include "bare.h"
#include "pseudorandom.h"

enum { CLOCK_HZ = 25000000, UART1_IRQ = 2, STATE_TX_FULL = 1, STATE_RX_FULL = 2, STATE_RX_LOST = 8 };

typedef struct uart {
    volatile uint32_t data, state, control, interrupt, divider;
} uart;

#define UART1 ((uart *)0x40005000u)
#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define NVIC_ENABLE (*(volatile uint32_t *)0xE000E100u)
#define MPU_CONTROL (*(volatile uint32_t *)0xE000ED94u)
#define MPU_REGION (*(volatile uint32_t *)0xE000ED9Cu)
#define MPU_ATTRIBUTES (*(volatile uint32_t *)0xE000EDA0u)

static volatile uint64_t ticks_ms;
static board_received_fn link_received;
static void *link_user;
static uint64_t interrupt_stack[64];

/* ---- startup and faults */

void board_reset(void) __attribute__((naked));
void board_reset(void) {
    __asm__ volatile("ldr r0, =stack_top\n"
                     "msr psp, r0\n"
                     "movs r0, #2\n" /* thread mode uses psp */
                     "msr control, r0\n"
                     "isb\n"
                     "b board_start");
}

/* 4 MiB from 0 on: to be read only, cached; all else as it was. */
static void close_flash(void) {
    MPU_REGION = 0x10;
    MPU_ATTRIBUTES = 6u << 24 | 2u << 16 | 21u << 1 | 1;
    MPU_CONTROL = 5;
}

void board_start(void) __attribute__((used, noreturn));
void board_start(void) {
    close_flash();
    bare_memory();
    board_exit(main());
}

/* ---- clock */

static void on_tick(void) {
    ticks_ms++;
}

void board_init(void) {
    SYSTICK_RELOAD = CLOCK_HZ / 1000 - 1;
    SYSTICK_CONTROL = 7; /* processor clock, interrupt, on */
}

uint64_t board_now_ms(void) {
    uint64_t now;
    __asm__ volatile("cpsid i" ::: "memory"); /* two words: no tick in between */
    now = ticks_ms;
    __asm__ volatile("cpsie i" ::: "memory");
    return now;
}

void board_idle(void) {
    __asm__ volatile("wfi" ::: "memory");
}

/* ---- link */

/* One byte at a time: this UART has no FIFO. Its overrun flag stays until it is written to. */
static void on_uart1_received(void) {
    UART1->interrupt = 2;
    while (UART1->state & STATE_RX_FULL) {
        bool lost = (UART1->state & STATE_RX_LOST) != 0;
        if (lost) UART1->state = STATE_RX_LOST;
        link_received(link_user, (uint8_t)UART1->data, lost);
    }
}

void board_link_start(board_received_fn received, void *user) {
    link_received = received;
    link_user = user;
    UART1->divider = CLOCK_HZ / 115200;
    UART1->control = 0xB; /* transmit, receive, interrupt when received */
    NVIC_ENABLE = 1u << UART1_IRQ;
}

bool board_link_put(uint8_t byte) {
    if (UART1->state & STATE_TX_FULL) return false;
    UART1->data = byte;
    return true;
}

/* ---- vectors */

/* For programs that use the Ethernet controller by interrupt. */
void board_on_ethernet(void) __attribute__((weak, alias("bare_fault")));

typedef union vector {
    const void *stack;
    void (*handler)(void);
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[16 + 14] = {
    {.stack = interrupt_stack + 64},
    {.handler = board_reset},
    {.handler = bare_fault}, /* NMI */
    {.handler = bare_fault}, /* HardFault, which all other faults escalate to */
    [15] = {.handler = on_tick},
    [16 + UART1_IRQ] = {.handler = on_uart1_received},
    [16 + 13] = {.handler = board_on_ethernet},
};
