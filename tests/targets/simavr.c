/* Runs an image on a simulated ATmega, the one it was linked for, and exits with its status. What it writes to GPIOR1
   is printed, GPIOR0 with bit 7 set ends it. A stack that grew into the data is an error: nothing else would tell.

     simavr IMAGE.elf [SOCKET]     USART0 is the Unix socket of that path; the chip is no faster than real time then */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#define GPIOR0 0x3E
#define GPIOR1 0x4A
#define SPL 0x5D
#define EF_AVR_MACH 0x7Fu /* bits of e_flags */
#define CLOCK_HZ 16000000u
#define TURN_CYCLES 1600u /* between looks at the socket: 100 us */

static const struct chip {
    unsigned machine; /* of the image, in its flags */
    const char *name;
    unsigned ram; /* where it begins */
} chips[] = {{51, "atmega1284", 0x100}, {6, "atmega2560", 0x200}};

static int status = -1;

static void on_exit_status(avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param) {
    (void)avr, (void)addr, (void)param;
    status = value & 0x7F;
}

static void on_char(avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param) {
    (void)avr, (void)addr, (void)param;
    putchar(value);
}

/* The simulator is quiet but for errors. */
static void logger(avr_t *avr, const int level, const char *format, va_list arguments) {
    (void)avr;
    if (level <= LOG_ERROR) vfprintf(stderr, format, arguments);
}

static const struct chip *chip_of(const char *path) {
    Elf32_Ehdr header;
    FILE *file = fopen(path, "rb");
    bool whole = file != NULL && fread(&header, sizeof header, 1, file) == 1;
    if (file != NULL) fclose(file);
    for (size_t i = 0; whole && i < sizeof chips / sizeof chips[0]; i++) {
        if (chips[i].machine == (header.e_flags & EF_AVR_MACH)) return &chips[i];
    }
    return NULL;
}

static avr_t *load(const struct chip *chip, const char *path, unsigned *data_end) {
    elf_firmware_t image;
    avr_t *avr = avr_make_mcu_by_name(chip->name);
    memset(&image, 0, sizeof image);
    avr_global_logger_set(logger);
    if (avr == NULL || elf_read_firmware(path, &image) != 0) return NULL;
    avr_init(avr);
    image.frequency = CLOCK_HZ;
    avr_load_firmware(avr, &image);
    avr_register_io_write(avr, GPIOR0, on_exit_status, NULL);
    avr_register_io_write(avr, GPIOR1, on_char, NULL);
    *data_end = chip->ram + image.datasize + image.bsssize;
    return avr;
}

/* ---- USART0 on a socket */

static struct {
    int fd; /* -1: none */
    avr_irq_t *input;
    bool ready;       /* the chip has room for a byte */
    uint64_t look_at; /* cycle */
    uint64_t begun_ns;
} line = {-1, NULL, true, 0, 0};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The path blocks when the socket is full: a wire without flow control would lose the byte. */
static void on_sent(avr_irq_t *irq, uint32_t value, void *param) {
    uint8_t byte = (uint8_t)value;
    (void)irq, (void)param;
    while (send(line.fd, &byte, 1, MSG_NOSIGNAL) < 0 && (errno == EAGAIN || errno == EINTR)) usleep(100);
}

static void on_room(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)value, (void)param;
    line.ready = true;
}

static void on_full(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)value, (void)param;
    line.ready = false;
}

static bool connect_link(avr_t *avr, const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    uint32_t flags = 0;
    if (strlen(path) >= sizeof to.sun_path) return false;
    strcpy(to.sun_path, path);
    line.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (line.fd < 0 || connect(line.fd, (struct sockaddr *)&to, sizeof to) != 0) return false;
    if (fcntl(line.fd, F_SETFL, O_NONBLOCK) != 0) return false;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags); /* not on stdout */
    line.input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_sent, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_room, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_full, NULL);
    line.begun_ns = now_ns();
    return true;
}

/* Hands the chip what has arrived, and waits for the real time to catch up. */
static void serve_link(const avr_t *avr) {
    uint64_t chip_ns = avr->cycle * 1000u / (CLOCK_HZ / 1000000u);
    uint8_t byte;
    if (line.fd < 0 || avr->cycle < line.look_at) return;
    line.look_at = avr->cycle + TURN_CYCLES;
    while (line.ready && recv(line.fd, &byte, 1, 0) == 1) avr_raise_irq(line.input, byte);
    while (now_ns() - line.begun_ns < chip_ns) usleep(50);
}

/* ---- the run */

static int run(avr_t *avr, unsigned ram, unsigned data_end) {
    unsigned lowest = 0xFFFF;
    while (status < 0) {
        unsigned sp;
        int state = avr_run(avr);
        serve_link(avr);
        sp = avr->data[SPL] | (unsigned)avr->data[SPL + 1] << 8;
        if (sp > ram && sp < lowest) lowest = sp;
        if (state == cpu_Done || state == cpu_Crashed) {
            printf("# the processor stopped at 0x%04x\n", (unsigned)avr->pc);
            return 101;
        }
        if (lowest < data_end) {
            printf("# the stack grew into the data: sp 0x%04x, data up to 0x%04x\n", lowest, data_end);
            return 102;
        }
    }
    printf("# data %u, stack at most %u bytes, %llu cycles\n", data_end - ram, avr->ramend - lowest,
           (unsigned long long)avr->cycle);
    return status;
}

int main(int argc, char **argv) {
    unsigned data_end = 0;
    const struct chip *chip = argc == 2 || argc == 3 ? chip_of(argv[1]) : NULL;
    avr_t *avr = chip != NULL ? load(chip, argv[1], &data_end) : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said before a hang must be seen */
    if (avr == NULL) {
        fprintf(stderr, "usage: simavr IMAGE.elf [SOCKET]\n");
        return 100;
    }
    if (argc == 3 && !connect_link(avr, argv[2])) {
        fprintf(stderr, "simavr: %s: %s\n", argv[2], strerror(errno));
        return 103;
    }
    return run(avr, chip->ram, data_end);
}
