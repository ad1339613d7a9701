/* Event ids: any text up to a length, and any id of short parts, into rooms too small and large enough. */

#include "prove.h"

#define TEXT 10
#define PART 3

static void decode(unsigned n, unsigned cap) {
    static char text[TEXT], mem[8];
    mcpsess_eventid id;
    mcpsess_buf b;
    TAIL_BUF(b, mem, cap);
    (void)mcpsess_eventid_decode(ANY_TAIL(text, n), &b, &id);
}

/* The writing of any number is examined in base.c; here the number of its digits counts. */
static void encode(unsigned n, unsigned m, unsigned cap, uint64_t epoch, uint64_t sequence) {
    static char session[PART], stream[PART], mem[50];
    mcpsess_eventid id;
    mcpsess_buf b;
    id.session = ANY_TAIL(session, n);
    id.stream = ANY_TAIL(stream, m);
    id.epoch = epoch;
    id.sequence = sequence;
    TAIL_BUF(b, mem, cap);
    (void)mcpsess_eventid_encode(&id, &b);
}

static void encode_numbers(unsigned n, unsigned m, unsigned cap) {
    encode(n, m, cap, 0, 7);
    encode(n, m, cap, 0, (uint64_t)MCPSESS_SEQUENCE_MAX);
    encode(n, m, cap, 42, (uint64_t)MCPSESS_SEQUENCE_MAX + 1);
    encode(n, m, cap, UINT64_MAX, 1234567890);
}

int main(void) {
    EACH(n, TEXT) for (unsigned cap = 0; cap <= 8; cap += 4) decode(n, cap);
    EACH(n, PART) EACH(m, PART) EACH(cap, 50) encode_numbers(n, m, cap);
    /*@ assert reached: \true; */
    return 0;
}
