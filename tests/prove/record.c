/* Records: the lengths inside of one are tried one by one, right and wrong, and it is cut off at every byte; all other
   bytes are any. What decodes is read and edited, in any room. */

#include "prove.h"

#define BYTES 48
#define ROOM 64

static char bytes[BYTES], mem[ROOM], key_bytes[2], value_bytes[2];

/* Writes a length into bytes that are otherwise any. */
static unsigned length_at(unsigned at, unsigned value, unsigned width) {
    bytes[at] = (char)value;
    if (width == 2) bytes[at + 1] = 0;
    return at + width;
}

/* -> the length of a record with an owner of `owner` bytes, an id, a backend, and a pair unless key is 0 */
static unsigned shape(unsigned owner, unsigned id, unsigned backend, unsigned key, unsigned value) {
    unsigned at;
    ANY(bytes);
    bytes[0] = MCPSESS_RECORD_VERSION;
    at = length_at(1, owner, 2);
    if (owner == 3) bytes[at + 1] = '\0';
    at = length_at(at + owner + 13, id, 1);
    at = length_at(at + id, backend, 2);
    at = length_at(at + backend, key != 0, 2);
    if (key != 0) {
        at = length_at(at, key, 2);
        at = length_at(at + key, value, 2) + value;
    }
    return at;
}

static void read_all(mcpsess_str text) {
    mcpsess_record r;
    mcpsess_str key, value;
    size_t cursor = 0;
    if (mcpsess_record_decode(text, &r) != MCPSESS_OK) return;
    (void)mcpsess_record_get(&r, ANY_TAIL(key_bytes, 1), &value);
    while (mcpsess_record_next(&r, &cursor, &key, &value) == MCPSESS_OK) {
    }
    (void)mcpsess_record_owned(text, &r.principal);
}

/* The record at the end of an array, and every beginning of it. */
static void decode(unsigned owner, unsigned id, unsigned backend, unsigned key, unsigned value) {
    static char cut[BYTES];
    unsigned len = shape(owner, id, backend, key, value);
    for (unsigned n = 0; n <= len; n++) {
        for (unsigned i = 0; i < n; i++) cut[BYTES - n + i] = bytes[i];
        read_all(mcpsess_str_of(cut + (BYTES - n), n));
    }
}

static void edit(unsigned key, unsigned value, unsigned room) {
    unsigned len = shape(3, 1, 1, 1, 1);
    mcpsess_buf b;
    TAIL_BUF(b, mem, len + room);
    mcpsess_buf_put(&b, mcpsess_str_of(bytes, len));
    (void)mcpsess_record_put(&b, ANY_TAIL(key_bytes, key), ANY_TAIL(value_bytes, value));
    TAIL_BUF(b, mem, len + room);
    mcpsess_buf_put(&b, mcpsess_str_of(bytes, len));
    (void)mcpsess_record_del(&b, ANY_TAIL(key_bytes, key));
}

static void encode(unsigned id_len, unsigned part, unsigned cap) {
    static char id[2], part_bytes[1];
    mcpsess_record r;
    mcpsess_buf b;
    memset(&r, 0, sizeof r);
    r.id = ANY_TAIL(id, id_len);
    r.principal.issuer = r.principal.subject = r.backend = ANY_TAIL(part_bytes, part);
    r.created_ms = any_u64();
    r.updated_ms = any_u64();
    r.state = (uint8_t)any_u64();
    TAIL_BUF(b, mem, cap);
    (void)mcpsess_principal_check(&r.principal);
    (void)mcpsess_record_encode(&r, &b);
}

int main(void) {
    decode(0, 1, 0, 0, 0);
    decode(0, 0, 1, 1, 1);
    decode(1, 1, 1, 1, 0);
    decode(3, 1, 0, 1, 2);
    decode(3, 2, 1, 2, 0);
    EACH(key, 2) EACH(value, 2) EACH(room, 7) edit(key, value, room);
    EACH(id_len, 2) EACH(part, 1) EACH(cap, 28) encode(id_len, part, cap);
    /*@ assert reached: \true; */
    return 0;
}
