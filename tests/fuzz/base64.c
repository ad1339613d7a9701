/* base64: what decodes encodes to the same text, what was encoded decodes, and a refusal leaves no trace. */

#include "fuzz.h"

static void decode_any(mcpsess_str text, size_t room) {
    mcpsess_buf out = fuzz_buf(room), back = fuzz_buf(text.len);
    int rc = mcpsess_b64_decode(text, &out);
    if (rc == MCPSESS_OK) {
        mcpsess_buf_put_b64(&back, mcpsess_buf_str(&out));
        MUST(mcpsess_str_eq(mcpsess_buf_str(&back), text));
    } else {
        MUST(rc == MCPSESS_E_FORMAT || rc == MCPSESS_E_TOOBIG);
        MUST(out.len == 0 && !out.overflow);
    }
    free(out.ptr);
    free(back.ptr);
}

static void round_trip(mcpsess_str bytes) {
    mcpsess_buf text = fuzz_buf(mcpsess_b64_bytes(bytes.len)), back = fuzz_buf(bytes.len);
    mcpsess_buf_put_b64(&text, bytes);
    MUST(mcpsess_buf_check(&text) == MCPSESS_OK && text.len == text.cap);
    MUST(mcpsess_b64_decode(mcpsess_buf_str(&text), &back) == MCPSESS_OK);
    MUST(mcpsess_str_eq(mcpsess_buf_str(&back), bytes));
    free(text.ptr);
    free(back.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    mcpsess_str input = mcpsess_str_of(copy, size);
    decode_any(input, size);
    decode_any(input, size / 2);
    round_trip(input);
    free(copy);
    return 0;
}
