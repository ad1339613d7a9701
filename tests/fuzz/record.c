/* Records: whatever decodes is canonical, put and del keep it so; a damaged one is refused, or canonical too. */

#include "fuzz.h"

/* Decodes, reads all of it, and encodes again: equal bytes. -> was it a record? */
static bool canonical(mcpsess_str bytes) {
    mcpsess_record r;
    mcpsess_str key, value, found;
    size_t cursor = 0;
    unsigned pairs = 0;
    mcpsess_buf back;
    int rc = mcpsess_record_decode(bytes, &r);
    if (rc != MCPSESS_OK) {
        MUST(rc == MCPSESS_E_FORMAT && r.id.len == 0 && r.pair_count == 0);
        return false;
    }
    while (mcpsess_record_next(&r, &cursor, &key, &value) == MCPSESS_OK) {
        pairs++;
        MUST(mcpsess_record_get(&r, key, &found) == MCPSESS_OK && found.ptr == value.ptr && found.len == value.len);
    }
    MUST(pairs == r.pair_count);
    MUST(mcpsess_record_owned(bytes, &r.principal));
    back = fuzz_buf(bytes.len);
    MUST(mcpsess_record_encode(&r, &back) == MCPSESS_OK);
    MUST(mcpsess_str_eq(mcpsess_buf_str(&back), bytes));
    free(back.ptr);
    return true;
}

static void check_put(mcpsess_buf *buf, mcpsess_str key, mcpsess_str value) {
    mcpsess_str before = mcpsess_buf_str(buf), found;
    mcpsess_record r;
    char *copy = fuzz_copy(before.ptr, before.len);
    int rc = mcpsess_record_put(buf, key, value);
    if (rc == MCPSESS_OK) {
        MUST(mcpsess_record_decode(mcpsess_buf_str(buf), &r) == MCPSESS_OK);
        MUST(mcpsess_record_get(&r, key, &found) == MCPSESS_OK && mcpsess_str_eq(found, value));
    } else {
        MUST(rc == MCPSESS_E_TOOBIG || (rc == MCPSESS_E_ARG && key.len == 0));
        MUST(mcpsess_str_eq(mcpsess_buf_str(buf), mcpsess_str_of(copy, before.len)));
    }
    free(copy);
}

static void check_del(mcpsess_buf *buf, mcpsess_str key) {
    mcpsess_str found;
    mcpsess_record r;
    int rc = mcpsess_record_del(buf, key);
    MUST(rc == MCPSESS_OK || rc == MCPSESS_MISS || (rc == MCPSESS_E_ARG && key.len == 0));
    MUST(mcpsess_record_decode(mcpsess_buf_str(buf), &r) == MCPSESS_OK);
    if (key.len != 0) MUST(mcpsess_record_get(&r, key, &found) == MCPSESS_MISS);
}

/* Builds a record as the input says, and works on it. -> false: the first parts make no record */
static bool build(fuzz_source *s, mcpsess_buf *buf) {
    mcpsess_record r;
    memset(&r, 0, sizeof r);
    r.state = (uint8_t)fuzz_byte(s);
    r.created_ms = (uint64_t)fuzz_byte(s) << 40;
    r.id = fuzz_slice(s, 64);
    r.principal.issuer = fuzz_slice(s, 16);
    r.principal.subject = fuzz_slice(s, 16);
    r.backend = fuzz_slice(s, 16);
    if (mcpsess_record_encode(&r, buf) != MCPSESS_OK) return false;
    MUST(canonical(mcpsess_buf_str(buf)));
    while (s->size != 0) {
        bool put = fuzz_byte(s) % 4 != 0;
        mcpsess_str key = fuzz_slice(s, 4);
        if (put) check_put(buf, key, fuzz_slice(s, 12));
        else check_del(buf, key);
        MUST(canonical(mcpsess_buf_str(buf)));
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    fuzz_source source = {copy, size};
    mcpsess_buf buf;
    size_t at;
    char damage;
    canonical(mcpsess_str_of(copy, size));
    at = fuzz_byte(&source);
    damage = (char)fuzz_byte(&source);
    buf = fuzz_buf(fuzz_byte(&source));
    if (build(&source, &buf)) {
        buf.ptr[at % buf.len] = (char)(buf.ptr[at % buf.len] ^ damage);
        canonical(mcpsess_buf_str(&buf));
        canonical(mcpsess_str_of(buf.ptr, at % buf.len));
    }
    free(buf.ptr);
    free(copy);
    return 0;
}
