/* Event ids: what decodes encodes to the same text, what was encoded decodes, and a refusal leaves no trace. */

#include "fuzz.h"

static void decode_any(mcpsess_str text, size_t room) {
    mcpsess_buf mem = fuzz_buf(room), back = fuzz_buf(text.len);
    mcpsess_eventid id;
    int rc = mcpsess_eventid_decode(text, &mem, &id);
    if (rc == MCPSESS_OK) {
        MUST(mcpsess_eventid_encode(&id, &back) == MCPSESS_OK);
        MUST(mcpsess_str_eq(mcpsess_buf_str(&back), text));
    } else {
        MUST(rc == MCPSESS_E_FORMAT || rc == MCPSESS_E_TOOBIG);
        MUST(mem.len == 0 && !mem.overflow && id.session.len == 0 && id.stream.len == 0 && id.sequence == 0);
    }
    free(mem.ptr);
    free(back.ptr);
}

static uint64_t number(fuzz_source *s) {
    uint64_t value = 0;
    unsigned n = fuzz_byte(s) % 9;
    while (n-- > 0) value = value << 8 | fuzz_byte(s);
    return value;
}

static void round_trip(fuzz_source s) {
    mcpsess_eventid id, back;
    mcpsess_buf text, mem;
    memset(&id, 0, sizeof id);
    id.sequence = number(&s);
    id.epoch = number(&s);
    text = fuzz_buf(fuzz_byte(&s) * 4u);
    id.session = fuzz_slice(&s, 64);
    id.stream = fuzz_slice(&s, 64);
    mem = fuzz_buf(id.session.len + id.stream.len);
    if (mcpsess_eventid_encode(&id, &text) == MCPSESS_OK) {
        MUST(mcpsess_eventid_decode(mcpsess_buf_str(&text), &mem, &back) == MCPSESS_OK);
        MUST(back.sequence == id.sequence && back.epoch == id.epoch);
        MUST(mcpsess_str_eq(back.session, id.session) && mcpsess_str_eq(back.stream, id.stream));
    } else {
        MUST(text.len == 0 && !text.overflow);
    }
    free(text.ptr);
    free(mem.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    fuzz_source source = {copy, size};
    decode_any(mcpsess_str_of(copy, size), size);
    decode_any(mcpsess_str_of(copy, size), size / 3);
    round_trip(source);
    free(copy);
    return 0;
}
