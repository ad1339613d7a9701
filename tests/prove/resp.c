/* RESP, read: one step of the decoder, with so many aggregates open, from every such state it can be in, over any bytes
   up to a length. What a step leaves is such a state again. Numbers up to 22 digits apart. */

#include "mcpsess_redis.h"
#include "prove.h"

#ifndef OPEN
#define OPEN 0
#endif
#define BYTES (OPEN == 0 ? 8 : 5)
#define DIGITS 22

static const char types[] = "+-:$*_#,(!=%~|>";
static char bytes[BYTES], digits[DIGITS + 3];
static mcpsess_resp d;

/* A number in a range. */
static uint32_t any_u32(uint32_t from, uint32_t to) {
    uint32_t value = (uint32_t)any_u64();
    if (value < from) value = from;
    return value > to ? to : value;
}

/* Any limits; so many aggregates open, of any kind, each with something to come. */
static void state(unsigned depth) {
    mcpsess_resp_init(&d, NULL);
    d.i.limits.line_max = any_u32(1, UINT32_MAX);
    d.i.limits.bulk_max = any_u32(1, UINT32_MAX);
    d.i.limits.whole_max = any_u32(0, UINT32_MAX);
    d.i.limits.elements_max = any_u32(1, UINT32_MAX);
    for (unsigned n = 0; n < depth; n++) d.i.left[n] = any_u32(1, UINT32_MAX);
    d.i.attributes = any_u32(0, ((uint32_t)1 << depth) - 1);
    d.i.elements = any_u32(0, UINT32_MAX);
    d.i.push = Frama_C_interval(0, 1) != 0;
    d.i.depth = (uint8_t)depth;
}

/* What a case leaves behind is forgotten, so that Eva need not carry it into the next. */
static void step(mcpsess_str in) {
    mcpsess_resp_item item;
    (void)mcpsess_resp_next(&d, &in, &item);
    memset(&d, 0, sizeof d);
    memset(bytes, 0, sizeof bytes);
    memset(digits, 0, sizeof digits);
}

/* n bytes, the first of them this type; so many are known to hold no line end. */
static void item(unsigned depth, char type, unsigned n, unsigned scanned) {
    mcpsess_str in = ANY_TAIL(bytes, n);
    state(depth);
    d.i.scanned = scanned;
    if (n != 0) bytes[BYTES - n] = type;
    step(in);
}

/* A type that is none. */
static void no_item(unsigned n) {
    state(0);
    step(ANY_TAIL(bytes, n));
}

/* Bytes of an open bulk: so many to come, as many as there may be. */
static void piece(unsigned depth, uint32_t from, uint32_t to, unsigned n) {
    mcpsess_str in = ANY_TAIL(bytes, n);
    state(depth);
    d.i.type = (uint8_t)any_u64();
    d.i.bulk = from == to ? from : any_u32(from, to);
    d.i.bulk_len = any_u32(0, UINT32_MAX);
    step(in);
}

static void every_item(unsigned depth) {
    for (unsigned type = 0; types[type] != '\0'; type++) EACH(n, BYTES) {
        item(depth, types[type], n, 0);
        if (n != 0) item(depth, types[type], n, 1); /* never the short way */
    }
    EACH(n, BYTES) EACH(scanned, n) item(depth, '$', n, scanned);
    EACH(n, BYTES) {
        EACH(bulk, n) piece(depth, bulk, bulk, n);
        piece(depth, n + 1, UINT32_MAX, n);
    }
}

/* A line of nothing but digits and what may stand between them. */
static void number(char type, unsigned n) {
    mcpsess_str in = ANY_TAIL(digits, n + 3);
    char *at = digits + (sizeof digits - (n + 3));
    state(1);
    *at++ = type;
    for (unsigned i = 0; i < n; i++) *at++ = (char)Frama_C_interval('+', '9');
    *at++ = '\r';
    *at = '\n';
    step(in);
}

static void nothing(void) {
    mcpsess_str in = {NULL, 1};
    mcpsess_resp_init(NULL, NULL);
    state(0);
    step(in);
    (void)mcpsess_resp_next(NULL, NULL, NULL);
}

int main(void) {
    every_item(OPEN);
    if (OPEN == 0) EACH(n, BYTES) no_item(n);
    if (OPEN == 1) EACH(n, DIGITS) {
        number(':', n);
        number('$', n);
        number('%', n);
    }
    nothing();
    /*@ assert reached: \true; */
    return 0;
}
