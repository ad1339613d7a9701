/* semihost.h - calls to the simulator, or debugger, that an Arm or RISC-V processor runs under. Each stops the program
   until it is answered, so the console costs time; nothing else here does. */

#ifndef SEMIHOST_H
#define SEMIHOST_H

#include <stddef.h>
#include <stdint.h>

enum { SEMIHOST_WRITE0 = 0x04, SEMIHOST_GET_CMDLINE = 0x15, SEMIHOST_EXIT_EXTENDED = 0x20 };

static inline uintptr_t semihost(uintptr_t operation, const void *block) {
#ifdef __riscv
    register uintptr_t a0 __asm__("a0") = operation;
    register uintptr_t a1 __asm__("a1") = (uintptr_t)block;
    __asm__ volatile(".option push\n.option norvc\n.balign 16\n"
                     "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
#else
    register uintptr_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = (uintptr_t)block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#endif
}

static inline void semihost_print(const char *text) {
    semihost(SEMIHOST_WRITE0, text);
}

static inline void semihost_exit(int status) __attribute__((noreturn));
static inline void semihost_exit(int status) {
    const uintptr_t block[2] = {0x20026, (uintptr_t)status}; /* ADP_Stopped_ApplicationExit */
    for (;;) semihost(SEMIHOST_EXIT_EXTENDED, block);
}

#endif
