/* Events: any bytes up to a length, taken; and events of short parts, put into every room. */

#include "prove.h"

#define BYTES 10
#define PART 2
#define ROOM 14

static void take(unsigned n) {
    static char bytes[BYTES];
    mcpsess_str frames = ANY_TAIL(bytes, n);
    mcpsess_event e;
    (void)mcpsess_event_take(&frames, &e);
}

/* Lengths that say how much there is to come, one by one: the whole of them is more than the analysis can tell apart.
 */
static void take_of(unsigned n, unsigned len, unsigned type_len) {
    static char bytes[BYTES];
    mcpsess_str frames = ANY_TAIL(bytes, n);
    mcpsess_event e;
    bytes[BYTES - n] = (char)len;
    bytes[BYTES - n + 1] = bytes[BYTES - n + 2] = bytes[BYTES - n + 3] = 0;
    bytes[BYTES - n + 5] = (char)type_len;
    (void)mcpsess_event_take(&frames, &e);
    (void)mcpsess_event_take(&frames, &e);
}

static void put(unsigned type_len, unsigned data_len, bool retry, unsigned cap) {
    static char type[PART], data[PART], mem[ROOM];
    mcpsess_event e;
    mcpsess_buf out;
    memset(&e, 0, sizeof e);
    e.type = ANY_TAIL(type, type_len);
    e.data = ANY_TAIL(data, data_len);
    e.retry = retry;
    e.retry_ms = (uint32_t)any_u64();
    TAIL_BUF(out, mem, cap);
    (void)mcpsess_event_put(&e, &out);
    e.data.ptr = NULL;
    (void)mcpsess_event_put(&e, &out);
}

/* Lengths of slices that are not there must be refused before they are added up. */
static void huge(void) {
    static char mem[ROOM];
    mcpsess_event e;
    mcpsess_buf out;
    memset(&e, 0, sizeof e);
    e.data.ptr = mem;
    e.data.len = (size_t)any_u64();
    if (e.data.len < UINT32_MAX) e.data.len = UINT32_MAX;
    TAIL_BUF(out, mem, ROOM);
    (void)mcpsess_event_bytes(&e);
    (void)mcpsess_event_put(&e, &out);
}

int main(void) {
    EACH(n, BYTES) take(n);
    for (unsigned n = 6; n <= BYTES; n++) EACH(len, BYTES) EACH(type_len, BYTES) take_of(n, len, type_len);
    EACH(type_len, PART) EACH(data_len, PART) EACH(cap, ROOM) {
        put(type_len, data_len, false, cap);
        put(type_len, data_len, true, cap);
    }
    huge();
    /*@ assert reached: \true; */
    return 0;
}
