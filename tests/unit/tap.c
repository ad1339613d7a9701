#include "tap.h"

static const char *current;
#define SHOWN_MAX 20u /* failed checks of a test that are printed */

static unsigned number, failures;
static unsigned failed; /* checks of the current test, at most one more than are printed */
static uint32_t random_state = 1;

static void put(const char *text) {
    while (*text != '\0') port_putchar(*text++);
}

static void put_text(const char *text) { /* one that PORT_TEXT placed */
    char c;
    while ((c = (char)PORT_TEXT_CHAR(text)) != '\0') {
        port_putchar(c);
        text++;
    }
}

static void put_number(int64_t value) {
    char digits[21];
    unsigned n = 0;
    uint64_t rest = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
    if (value < 0) port_putchar('-');
    do {
        digits[n++] = (char)('0' + (int)(rest % 10u));
        rest /= 10u;
    } while (rest != 0);
    while (n > 0) port_putchar(digits[--n]);
}

void tap_begin(const char *name) {
    current = name;
    failed = 0;
}

void tap_end(void) {
    number++;
    if (failed > SHOWN_MAX) put("# ... and more\n");
    if (failed != 0) {
        failures++;
        put("not ");
    }
    put("ok ");
    put_number(number);
    put(" - ");
    put_text(current);
    put("\n");
}

bool tap_check(bool ok, const char *file, int line, const char *what) {
    if (ok) return true;
    if (failed <= SHOWN_MAX) failed++;
    if (failed > SHOWN_MAX) return false;
    put("# ");
    put(file);
    put(":");
    put_number(line);
    put(": ");
    put_text(what);
    put("\n");
    return false;
}

bool tap_check_eq(int64_t got, int64_t want, const char *file, int line, const char *what) {
    if (tap_check(got == want, file, line, what)) return true;
    if (failed > SHOWN_MAX) return false;
    tap_note("  got", got);
    tap_note("  want", want);
    return false;
}

void tap_note(const char *text, int64_t value) {
    put("# ");
    put(text);
    put(" ");
    put_number(value);
    put("\n");
}

int tap_finish(void) {
    put("1..");
    put_number(number);
    put("\n");
    return failures == 0 && number != 0 ? 0 : 1;
}

/* xorshift32 */
uint32_t tap_random(void) {
    uint32_t x = random_state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    random_state = x;
    return x;
}

void tap_seed(uint32_t seed) {
    random_state = seed != 0 ? seed : 1;
}
