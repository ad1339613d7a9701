/* What QEMU's boards never do, linked into a firmware: bytes are lost at the UART, the loop is late, the board is
   reset.

     -Wl,--wrap=board_link_start,--wrap=board_link_put,--wrap=board_now_ms,--wrap=board_exit

   What is to happen is the program's argument, KIND:TEXT:COUNT:OFFSET: OFFSET bytes after what comes in has shown TEXT
   for the COUNTth time (in TEXT, ~ is CR and ^ is LF), once:
     overrun    the byte is lost, and the next one comes with the receiver's flag
     silent     the byte is lost
     late       the loop stands still for half a second, while bytes come in
     deep       the stack grows without end
     wild       flash is written to
   or after what goes out has:
     gone       the byte is lost
     changed    the byte is another one
     reset      the board is reset, in the middle of a command; its wire stays connected
   At the end it says on the console how often that was. */

#include <string.h>

#include "board.h"
#include "semihost.h"

void __real_board_link_start(board_received_fn received, void *user);
void __wrap_board_link_start(board_received_fn received, void *user);
uint64_t __real_board_now_ms(void);
uint64_t __wrap_board_now_ms(void);
bool __real_board_link_put(uint8_t byte);
bool __wrap_board_link_put(uint8_t byte);
void __real_board_exit(int status) __attribute__((noreturn));
void __wrap_board_exit(int status) __attribute__((noreturn));

enum { LATE_MS = 500 };

/* A word that the linker script gives nobody, so that it outlives a reset; and how a board resets itself. */
#ifdef __riscv
#define OUTLIVES (*(volatile uint32_t *)0x80500000u)
#define RESET_REGISTER (*(volatile uint32_t *)0x00100000u)
#define RESET_VALUE 0x7777u
#else
#define OUTLIVES (*(volatile uint32_t *)0x20100000u)
#define RESET_REGISTER (*(volatile uint32_t *)0xE000ED0Cu)
#define RESET_VALUE 0x05FA0004u
#endif
#define WAS_RESET 0x5E7u

static struct {
    char kind; /* its first letter; 0: none */
    const char *text;
    size_t text_len, matched;
    unsigned count, offset;
    volatile unsigned happened;
    bool flag; /* the next byte bears it */
    volatile bool late, deep, wild;
    board_received_fn received;
    void *user;
} fault;

/* ---- what is to happen */

static unsigned number(const char *digits) {
    unsigned n = 0;
    while (*digits >= '0' && *digits <= '9') n = n * 10 + (unsigned)(*digits++ - '0');
    return n;
}

/* The part after the next colon; the colon becomes the end of the one before. */
static char *next_part(char *at) {
    char *colon = strchr(at, ':');
    if (colon == NULL) return at + strlen(at);
    *colon = '\0';
    return colon + 1;
}

static void read_argument(void) {
    static char line[80];
    const uintptr_t block[2] = {(uintptr_t)line, sizeof line};
    char *kind, *text, *count, *offset, *at;
    if (semihost(SEMIHOST_GET_CMDLINE, block) != 0 || (kind = strchr(line, ' ')) == NULL) return;
    text = next_part(++kind);
    count = next_part(text);
    offset = next_part(count);
    for (at = text; *at != '\0'; at++) *at = *at == '~' ? '\r' : *at == '^' ? '\n' : *at;
    fault.happened = OUTLIVES == WAS_RESET;
    fault.kind = kind[0];
    fault.text = text;
    fault.text_len = strlen(text);
    fault.count = number(count);
    fault.offset = number(offset);
}

/* ---- where bytes come in */

/* Is this the byte? */
static bool is_it(char byte) {
    if (fault.kind == 0 || fault.happened > 0) return false;
    if (fault.count == 0) return fault.offset-- == 0;
    fault.matched = byte == fault.text[fault.matched] ? fault.matched + 1 : byte == fault.text[0];
    if (fault.matched == fault.text_len) {
        fault.matched = 0;
        fault.count--;
    }
    return false;
}

static bool of_what_goes_out(void) {
    return fault.kind == 'g' || fault.kind == 'c' || fault.kind == 'r';
}

static void receive(void *user, uint8_t byte, bool lost) {
    if (!of_what_goes_out() && is_it((char)byte)) {
        fault.happened++;
        fault.late = fault.kind == 'l';
        fault.deep = fault.kind == 'd';
        fault.wild = fault.kind == 'w';
        fault.flag = fault.kind == 'o';
        if (fault.kind == 'o' || fault.kind == 's') return;
    }
    (void)user;
    fault.received(fault.user, byte, lost || fault.flag);
    fault.flag = false;
}

void __wrap_board_link_start(board_received_fn received, void *user) {
    read_argument();
    fault.received = received;
    fault.user = user;
    __real_board_link_start(receive, NULL);
}

/* ---- where bytes go out */

static void reset(void) {
    OUTLIVES = WAS_RESET;
    RESET_REGISTER = RESET_VALUE;
    for (;;) {
    }
}

/* A byte that the transmitter does not take is not there yet: it comes again. */
bool __wrap_board_link_put(uint8_t byte) {
    static bool again, it;
    if (!of_what_goes_out()) return __real_board_link_put(byte);
    if (!again) it = is_it((char)byte);
    if (it && fault.kind == 'r') reset();
    if (it && fault.kind == 'c') byte ^= 1;
    again = !(it && fault.kind == 'g') && !__real_board_link_put(byte);
    if (it && !again) fault.happened++;
    return !again;
}

/* ---- the rest of the board */

/* Not a tail call: what it has on the stack is needed after it. */
static unsigned sink(unsigned depth) {
    volatile unsigned here[16];
    here[0] = depth;
    return fault.deep ? sink(depth + 1) + here[0] : here[0];
}

uint64_t __wrap_board_now_ms(void) {
    static const uint32_t in_flash = 1;
    uint64_t now_ms = __real_board_now_ms();
    if (fault.deep) return sink(0);
    if (fault.wild) *(volatile uint32_t *)(uintptr_t)&in_flash = 0;
    if (!fault.late) return now_ms;
    fault.late = false;
    while (__real_board_now_ms() < now_ms + LATE_MS) {
    }
    return __real_board_now_ms();
}

void __wrap_board_exit(int status) {
    board_print(fault.happened > 0 ? "fault: happened\n" : "fault: did not happen\n");
    __real_board_exit(status);
}
