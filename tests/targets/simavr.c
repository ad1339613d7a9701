/* Runs an image on a simulated ATmega1284 and exits with its status. What it writes to GPIOR1 is printed, GPIOR0 with
   bit 7 set ends it. A stack that grew into the data is an error: on this chip nothing else would tell. */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#define GPIOR0 0x3E
#define GPIOR1 0x4A
#define SPL 0x5D
#define RAM_START 0x100u

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

static avr_t *load(const char *path, unsigned *data_end) {
    elf_firmware_t image;
    avr_t *avr = avr_make_mcu_by_name("atmega1284");
    memset(&image, 0, sizeof image);
    avr_global_logger_set(logger);
    if (avr == NULL || elf_read_firmware(path, &image) != 0) return NULL;
    avr_init(avr);
    image.frequency = 16000000;
    avr_load_firmware(avr, &image);
    avr_register_io_write(avr, GPIOR0, on_exit_status, NULL);
    avr_register_io_write(avr, GPIOR1, on_char, NULL);
    *data_end = RAM_START + image.datasize + image.bsssize;
    return avr;
}

int main(int argc, char **argv) {
    unsigned data_end = 0, lowest = 0xFFFF;
    avr_t *avr = argc == 2 ? load(argv[1], &data_end) : NULL;
    if (avr == NULL) {
        fprintf(stderr, "usage: simavr IMAGE.elf\n");
        return 100;
    }
    while (status < 0) {
        unsigned sp;
        int state = avr_run(avr);
        sp = avr->data[SPL] | (unsigned)avr->data[SPL + 1] << 8;
        if (sp > RAM_START && sp < lowest) lowest = sp;
        if (state == cpu_Done || state == cpu_Crashed) {
            printf("# the processor stopped at 0x%04x\n", (unsigned)avr->pc);
            return 101;
        }
        if (lowest < data_end) {
            printf("# the stack grew into the data: sp 0x%04x, data up to 0x%04x\n", lowest, data_end);
            return 102;
        }
    }
    printf("# data %u, stack at most %u bytes, %llu cycles\n", data_end - RAM_START, avr->ramend - lowest,
           (unsigned long long)avr->cycle);
    return status;
}
