/* The board "QEMU virt, 32 bits": an RV32IMAC. The link is its 16550, the console semihosting.

   Interrupts run on a stack of their own, and the memory protection closes what stands for flash to writes, its last 4
   KiB, below the stack, to all: so a stack that overflows is a fault, and the fault is told. */

#include "bare.h"
#include "pseudorandom.h"

#define REG8(address) (*(volatile uint8_t *)(uintptr_t)(address))
#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* CLINT: the clock. */
#define MTIMECMP_LOW REG32(0x02004000u)
#define MTIMECMP_HIGH REG32(0x02004004u)
#define MTIME_LOW REG32(0x0200BFF8u)
#define MTIME_HIGH REG32(0x0200BFFCu)
/* PLIC: interrupts of devices. */
#define PLIC_PRIORITY(irq) REG32(0x0C000000u + 4u * (irq))
#define PLIC_ENABLE REG32(0x0C002000u)
#define PLIC_THRESHOLD REG32(0x0C200000u)
#define PLIC_CLAIM REG32(0x0C200004u)
/* 16550: the link. */
#define UART_DATA REG8(0x10000000u)
#define UART_INTERRUPT REG8(0x10000001u)
#define UART_FIFO REG8(0x10000002u)
#define UART_LINE REG8(0x10000003u)
#define UART_STATUS REG8(0x10000005u)

enum {
    TIMER_HZ = 10000000,
    UART_IRQ = 10,
    STATUS_RECEIVED = 1,
    STATUS_LOST = 2,
    STATUS_TX_EMPTY = 0x20,
    MIE_TIMER = 0x80,
    MIE_EXTERNAL = 0x800,
    GUARD_NAPOT_LOCKED = 0x98, /* no access, not even of machine mode */
    FLASH_NAPOT_LOCKED = 0x9D, /* read and execute */
};
#define CAUSE_TIMER 0x80000007u
#define CAUSE_EXTERNAL 0x8000000Bu

static board_received_fn link_received;
static void *link_user;
static uint64_t start_ticks;
uint64_t interrupt_stack[64] __attribute__((aligned(16))); /* named in assembly */

/* ---- startup and faults */

void board_reset(void) __attribute__((naked, section(".vectors")));
void board_reset(void) {
    __asm__ volatile("la sp, stack_top\n"
                     "la t0, interrupt_stack + 512\n"
                     "csrw mscratch, t0\n"
                     "la t0, board_trap\n"
                     "csrw mtvec, t0\n"
                     "j board_start");
}

/* The first that fits counts: the guard, then the 4 MiB before RAM. */
static void close_memory(void) {
    uint32_t ram = (uint32_t)(uintptr_t)stack_limit;
    __asm__ volatile("csrw pmpaddr0, %0" ::"r"((ram - 0x1000u) >> 2 | (0x1000u / 8 - 1)));
    __asm__ volatile("csrw pmpaddr1, %0" ::"r"((ram - 0x400000u) >> 2 | (0x400000u / 8 - 1)));
    __asm__ volatile("csrw pmpcfg0, %0" ::"r"(FLASH_NAPOT_LOCKED << 8 | GUARD_NAPOT_LOCKED));
}

void board_start(void) __attribute__((used, noreturn));
void board_start(void) {
    close_memory();
    bare_memory();
    board_exit(main());
}

/* mscratch holds the other stack: the interrupts' while the program runs, the program's while an interrupt does. */
void board_trap(void) __attribute__((naked, aligned(4), used));
void board_trap(void) {
    __asm__ volatile("csrrw sp, mscratch, sp\n"
                     "addi sp, sp, -64\n"
                     "sw ra, 0(sp)\nsw t0, 4(sp)\nsw t1, 8(sp)\nsw t2, 12(sp)\n"
                     "sw t3, 16(sp)\nsw t4, 20(sp)\nsw t5, 24(sp)\nsw t6, 28(sp)\n"
                     "sw a0, 32(sp)\nsw a1, 36(sp)\nsw a2, 40(sp)\nsw a3, 44(sp)\n"
                     "sw a4, 48(sp)\nsw a5, 52(sp)\nsw a6, 56(sp)\nsw a7, 60(sp)\n"
                     "csrr a0, mcause\n"
                     "call board_on_trap\n"
                     "lw ra, 0(sp)\nlw t0, 4(sp)\nlw t1, 8(sp)\nlw t2, 12(sp)\n"
                     "lw t3, 16(sp)\nlw t4, 20(sp)\nlw t5, 24(sp)\nlw t6, 28(sp)\n"
                     "lw a0, 32(sp)\nlw a1, 36(sp)\nlw a2, 40(sp)\nlw a3, 44(sp)\n"
                     "lw a4, 48(sp)\nlw a5, 52(sp)\nlw a6, 56(sp)\nlw a7, 60(sp)\n"
                     "addi sp, sp, 64\n"
                     "csrrw sp, mscratch, sp\n"
                     "mret");
}

/* ---- clock */

static uint64_t read_ticks(void) {
    uint32_t high, low;
    do {
        high = MTIME_HIGH;
        low = MTIME_LOW;
    } while (high != MTIME_HIGH);
    return (uint64_t)high << 32 | low;
}

/* The time never matches a half that is written. */
static void set_alarm(uint64_t ticks) {
    MTIMECMP_HIGH = 0xFFFFFFFFu;
    MTIMECMP_LOW = (uint32_t)ticks;
    MTIMECMP_HIGH = (uint32_t)(ticks >> 32);
}

void board_init(void) {
    start_ticks = read_ticks();
    set_alarm(start_ticks);
    __asm__ volatile("csrs mie, %0\ncsrsi mstatus, 8" ::"r"(MIE_TIMER | MIE_EXTERNAL));
}

uint64_t board_now_ms(void) {
    return (read_ticks() - start_ticks) / (TIMER_HZ / 1000);
}

void board_idle(void) {
    __asm__ volatile("wfi" ::: "memory");
}

/* ---- link */

static void on_uart(void) {
    uint8_t status;
    while ((status = UART_STATUS) & STATUS_RECEIVED) { /* reading it clears the overrun flag */
        link_received(link_user, UART_DATA, (status & STATUS_LOST) != 0);
    }
}

void board_link_start(board_received_fn received, void *user) {
    link_received = received;
    link_user = user;
    UART_LINE = 3;      /* 8 bits; this one has no baud rate */
    UART_FIFO = 7;      /* on, emptied; an interrupt from the first byte on */
    UART_INTERRUPT = 1; /* when received */
    PLIC_PRIORITY(UART_IRQ) = 1;
    PLIC_THRESHOLD = 0;
    PLIC_ENABLE = 1u << UART_IRQ;
}

bool board_link_put(uint8_t byte) {
    if (!(UART_STATUS & STATUS_TX_EMPTY)) return false;
    UART_DATA = byte;
    return true;
}

void board_on_trap(uint32_t cause) __attribute__((used));
void board_on_trap(uint32_t cause) {
    if (cause == CAUSE_TIMER) {
        set_alarm(read_ticks() + TIMER_HZ / 1000);
    } else if (cause == CAUSE_EXTERNAL) {
        uint32_t irq = PLIC_CLAIM;
        if (irq == UART_IRQ) on_uart();
        PLIC_CLAIM = irq;
    } else {
        bare_fault();
    }
}
