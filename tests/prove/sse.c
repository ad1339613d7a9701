/* Server-sent events. Read: from every state that the reader can be in, with little memory left or none, any bytes up
   to a length. Written: events of short parts, into rooms too small and large enough. */

#include "prove.h"

#define BYTES 2
#define ROOM 64
#define MEM (MCPSESS_SSE_ID_MAX + 300)

static char bytes[BYTES], mem[MEM], words[3][2], room[56];

/* What is kept: type and id, and which of them was first. */
typedef struct layout {
    uint16_t type, id;
    bool id_first;
} layout;

#define LAYOUTS 5
static const layout layouts[LAYOUTS] = {{0, 0, false}, {2, 0, false}, {0, 3, true}, {2, 3, false}, {2, 3, true}};

typedef struct where {
    uint8_t stage, field, matched;
} where;

static void step(where w, layout l, size_t cap, size_t data, unsigned value, unsigned n) {
    mcpsess_str in = ANY_TAIL(bytes, n);
    mcpsess_event e;
    mcpsess_sse s;
    ANY(mem);
    (void)mcpsess_sse_init(&s, mem + (MEM - cap), cap);
    s.i.stage = w.stage;
    s.i.field = w.field;
    s.i.matched = w.matched;
    s.i.len[MCPSESS_I_SSE_TYPE] = l.type;
    s.i.len[MCPSESS_I_SSE_ID] = l.id;
    s.i.at[MCPSESS_I_SSE_TYPE] = (uint16_t)(l.type + (l.id_first ? l.id : 0));
    s.i.at[MCPSESS_I_SSE_ID] = (uint16_t)(l.id + (l.id_first ? 0 : l.type));
    s.i.data_len = data;
    s.i.value_len = (uint16_t)value;
    s.i.number = (uint32_t)any_u64();
    s.i.has_data = Frama_C_interval(0, 1) != 0;
    s.i.has_id = l.id != 0;
    s.i.has_retry = Frama_C_interval(0, 1) != 0;
    s.i.after_cr = Frama_C_interval(0, 1) != 0;
    (void)mcpsess_sse_next(&s, &in, &e);
    memset(mem, 0, sizeof mem);
    memset(bytes, 0, sizeof bytes);
}

/* Memory empty, with one byte left, and with none. */
static void each_room(where w, layout l, unsigned value, unsigned n) {
    size_t data = ROOM - l.type - l.id - value;
    step(w, l, MCPSESS_SSE_ID_MAX + ROOM, 0, value, n);
    EACH(left, 1) step(w, l, MCPSESS_SSE_ID_MAX + ROOM, data - left, value, n);
}

/* One byte in any state; more, and none, where everything is kept. */
static void each_piece(uint8_t stage, uint8_t field, uint8_t matched, unsigned value) {
    where w = {stage, field, matched};
    for (unsigned k = 0; k < LAYOUTS; k++) each_room(w, layouts[k], value, 1);
    each_room(w, layouts[LAYOUTS - 1], value, BYTES);
    step(w, layouts[LAYOUTS - 1], MCPSESS_SSE_ID_MAX + ROOM, 0, value, 0);
}

static void each_state(void) {
    EACH(matched, 2) each_piece(MCPSESS_I_SSE_BOM, MCPSESS_I_SSE_NONE, (uint8_t)matched, 0);
    each_piece(MCPSESS_I_SSE_NAME, MCPSESS_I_SSE_NONE, 0, 0);
    each_piece(MCPSESS_I_SSE_NAME, MCPSESS_I_SSE_OTHER, 1, 0);
    each_piece(MCPSESS_I_SSE_VALUE, MCPSESS_I_SSE_OTHER, 1, 0);
    for (uint8_t field = 0; field < MCPSESS_I_SSE_OTHER; field++) {
        uint8_t matched = 1;
        for (; mcpsess_i_sse_names[field][matched] != '\0'; matched++)
            each_piece(MCPSESS_I_SSE_NAME, field, matched, 0);
        each_piece(MCPSESS_I_SSE_NAME, field, matched, 0);
        each_piece(MCPSESS_I_SSE_SPACE, field, matched, 0);
        each_piece(MCPSESS_I_SSE_VALUE, field, matched, 0);
        if (field != MCPSESS_I_SSE_DATA) each_piece(MCPSESS_I_SSE_VALUE, field, matched, 1);
    }
}

/* Values as long as they may be. */
static void longest(void) {
    static const layout large = {255, 0, false}, larger = {0, 256, true};
    where type = {MCPSESS_I_SSE_VALUE, MCPSESS_I_SSE_TYPE, 5}, id = {MCPSESS_I_SSE_VALUE, MCPSESS_I_SSE_ID, 2};
    EACH(n, 1) {
        step(type, layouts[0], MEM, 0, 254 + n, 1);
        step(id, layouts[0], MEM, 0, 255 + n, 1);
        step(type, larger, MEM, 0, 40, n);
        step(id, large, MEM, 0, 40, n);
    }
}

static mcpsess_event any_event(unsigned type, unsigned data, unsigned id) {
    mcpsess_event e;
    memset(&e, 0, sizeof e);
    e.type = ANY_TAIL(words[0], type);
    e.data = ANY_TAIL(words[1], data);
    e.id = ANY_TAIL(words[2], id);
    return e;
}

/* The writing of any number is examined in base.c. */
static void write(unsigned type, unsigned data, unsigned id, unsigned cap) {
    mcpsess_event e = any_event(type, data, id);
    mcpsess_buf out;
    e.retry = id != 0;
    e.retry_ms = UINT32_MAX;
    TAIL_BUF(out, room, cap);
    (void)mcpsess_sse_put(&e, &out);
    TAIL_BUF(out, room, cap);
    (void)mcpsess_sse_put_comment(e.type, &out);
    memset(room, 0, sizeof room);
    memset(words, 0, sizeof words);
}

static void count(unsigned data) {
    mcpsess_event e = any_event(0, data, 0);
    e.type.len = (size_t)any_u64();
    e.id.len = (size_t)any_u64();
    e.retry = Frama_C_interval(0, 1) != 0;
    e.retry_ms = (uint32_t)any_u64();
    (void)mcpsess_sse_bytes(&e);
    e.data.ptr = NULL;
    (void)mcpsess_sse_bytes(&e);
}

static void nothing(void) {
    mcpsess_event e;
    mcpsess_str in = {NULL, 1};
    mcpsess_sse s;
    (void)mcpsess_sse_init(NULL, mem, sizeof mem);
    (void)mcpsess_sse_init(&s, mem, MCPSESS_SSE_ID_MAX);
    (void)mcpsess_sse_next(&s, &in, &e);
    (void)mcpsess_sse_next(NULL, NULL, NULL);
    mcpsess_sse_begin(NULL);
    (void)mcpsess_sse_put(NULL, NULL);
}

int main(void) {
    each_state();
    longest();
    EACH(type, 1)
    EACH(data, 2) EACH(id, 1) for (unsigned cap = 0; cap <= sizeof room; cap += 7) write(type, data, id, cap);
    EACH(data, 2) count(data);
    nothing();
    /*@ assert reached: \true; */
    return 0;
}
