/* ring: memory of exactly its size. Every row of three puts, of lengths up to a bound, so that entries lie everywhere
   and wrap at every byte; then all of it read, into rooms too small and large enough. And any bytes at all in the place
   of entries, with head, fill and cursor anywhere: what was overwritten is never followed out of the memory. */

#include "prove.h"

#define CAP 30
#define LEN 6 /* 12 + 6: not two of them */

static char memory[CAP], room[LEN], bytes[LEN];
static mcpsess_ring ring;

static void put(unsigned len, unsigned split) {
    mcpsess_str all = ANY_TAIL(bytes, len), pieces[2];
    uint32_t dropped;
    pieces[0] = mcpsess_str_of(all.ptr, split);
    pieces[1] = mcpsess_str_of(all.ptr + split, len - split);
    (void)mcpsess_ring_put(&ring, pieces, 2, any_u64(), &dropped);
}

static void walk(unsigned cap) {
    mcpsess_ring_cursor cursor = {0, 0};
    mcpsess_buf out;
    uint64_t stamp;
    uint32_t len;
    do TAIL_BUF(out, room, cap);
    while (mcpsess_ring_next(&ring, &cursor, &out, &len, &stamp) == MCPSESS_OK);
    (void)mcpsess_ring_check(&ring);
}

/* What a case leaves behind is forgotten, so that Eva need not carry it into the next. */
static void row(unsigned cap, unsigned a, unsigned b, unsigned c) {
    (void)mcpsess_ring_init(&ring, memory + (CAP - cap), cap);
    put(a, a / 2);
    put(b, b);
    put(c, 0);
    walk(LEN);
    walk(2);
    (void)mcpsess_ring_drop(&ring);
    walk(LEN);
    mcpsess_ring_clear(&ring);
    (void)mcpsess_ring_drop(&ring);
    memset(memory, 0, sizeof memory);
}

/* Any bytes where entries should be; the length of the one that is looked at one by one. */
static void overwritten(unsigned head, unsigned used, unsigned at, unsigned len) {
    mcpsess_ring_cursor cursor;
    mcpsess_buf out;
    uint64_t stamp;
    uint32_t n;
    (void)mcpsess_ring_init(&ring, memory, CAP);
    ANY(memory);
    ring.i.head = head;
    ring.i.used = used;
    ring.i.count = (uint32_t)any_u64();
    for (n = 0; n < 4; n++) memory[(head + at + n) % CAP] = n == 0 ? (char)len : 0;
    cursor.at = at;
    cursor.number = (uint32_t)any_u64();
    TAIL_BUF(out, room, LEN);
    (void)mcpsess_ring_next(&ring, &cursor, &out, &n, &stamp);
    (void)mcpsess_ring_drop(&ring);
    memset(memory, 0, sizeof memory);
}

/* Any length, and any cursor. */
static void lost(unsigned head, unsigned used) {
    mcpsess_ring_cursor cursor;
    uint32_t len;
    (void)mcpsess_ring_init(&ring, memory, CAP);
    ANY(memory);
    ring.i.head = head;
    ring.i.used = used;
    ring.i.count = 1;
    cursor.number = 0;
    cursor.at = used;
    (void)mcpsess_ring_next(&ring, &cursor, NULL, &len, NULL);
    cursor.at = UINT32_MAX;
    (void)mcpsess_ring_next(&ring, &cursor, NULL, &len, NULL);
    cursor.at = 0;
    (void)mcpsess_ring_next(&ring, &cursor, NULL, &len, NULL);
    memset(memory, 0, sizeof memory);
}

static void anything(unsigned head, unsigned used) {
    EACH(at, 1) for (unsigned len = 0; len <= LEN + 2; len += 4) overwritten(head, used, at, len);
    lost(head, used);
}

int main(void) {
    for (unsigned cap = 11; cap <= CAP; cap++) EACH(a, 2) EACH(b, 2) EACH(c, 1) row(cap, 3 * a, 3 * b, 5 * c);
    for (unsigned head = 0; head < CAP; head += 13) EACH(used, CAP) anything(head, used);
    /*@ assert reached: \true; */
    return 0;
}
