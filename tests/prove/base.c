/* base: slices, writer, decimal, base64, hash, time. */

#include "prove.h"

#define N 9

static char x[N], y[N];

static void slices(unsigned n, unsigned m) {
    mcpsess_str a = ANY_TAIL(x, n), b = ANY_TAIL(y, m), none = {NULL, 0};
    (void)mcpsess_str_eq(a, b);
    (void)mcpsess_str_eq_ct(a, b);
    (void)mcpsess_str_order(a, b);
    (void)mcpsess_str_eq(a, none);
    (void)mcpsess_str_order(none, b);
    (void)mcpsess_str_eq_ct(none, none);
}

static void terminated(void) {
    char text[N];
    ANY(text);
    text[N - 1] = '\0';
    (void)mcpsess_str_z(text);
    (void)mcpsess_str_z(NULL);
}

static void writer(unsigned n, unsigned cap) {
    mcpsess_buf b;
    TAIL_BUF(b, y, cap);
    mcpsess_buf_put(&b, ANY_TAIL(x, n));
    mcpsess_buf_put_char(&b, 'x');
    (void)mcpsess_buf_check(&b);
    (void)mcpsess_buf_str(&b);
    mcpsess_buf_init(&b, NULL, 0);
    mcpsess_buf_put(&b, ANY_TAIL(x, n));
    (void)mcpsess_buf_check(&b);
    (void)mcpsess_buf_check(NULL);
}

static void put_decimal(unsigned cap) {
    static char mem[20];
    mcpsess_buf b;
    TAIL_BUF(b, mem, cap);
    mcpsess_buf_put_u64(&b, any_u64());
}

static void read_decimal(unsigned n) {
    static char text[21];
    uint64_t value;
    (void)mcpsess_u64_decode(ANY_TAIL(text, n), any_u64(), &value);
}

static void base64(unsigned n, unsigned cap) {
    static char mem[N + 4];
    mcpsess_buf b;
    TAIL_BUF(b, mem, cap);
    mcpsess_buf_put_b64(&b, ANY_TAIL(x, n));
    TAIL_BUF(b, mem, cap);
    (void)mcpsess_b64_decode(ANY_TAIL(x, n), &b);
}

static void hash(unsigned n) {
    static char bytes[17];
    uint8_t seed[16];
    ANY(seed);
    (void)mcpsess_hash(seed, ANY_TAIL(bytes, n));
}

static void numbers_and_texts(void) {
    mcpsess_tick tick;
    int code;
    tick.now_ms = any_u64();
    tick.begun = Frama_C_interval(0, 1) != 0;
    ANY(code);
    (void)mcpsess_b64_bytes((size_t)any_u64());
    (void)mcpsess_time_add(any_u64(), any_u64());
    (void)mcpsess_time_left(any_u64(), any_u64());
    (void)mcpsess_tick_now(&tick, (uint32_t)any_u64());
    (void)mcpsess_tick_now(NULL, 1);
    (void)mcpsess_code_name(code);
    (void)mcpsess_code_text(code);
    (void)mcpsess_item_text(code);
}

int main(void) {
    EACH(n, N) EACH(m, N) slices(n, m);
    EACH(n, N) EACH(cap, N) writer(n, cap);
    EACH(n, N) EACH(cap, N + 4) base64(n, cap);
    EACH(cap, 20) put_decimal(cap);
    EACH(n, 21) read_decimal(n);
    EACH(n, 17) hash(n);
    terminated();
    numbers_and_texts();
    /*@ assert reached: \true; */
    return 0;
}
