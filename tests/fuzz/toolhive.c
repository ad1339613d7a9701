/* ToolHive's forms: whatever decodes is a record in its canonical form, and comes back from what encode makes of it. */

#include "mcpsess_redis.h"

#include "fuzz.h"

#define ROOM 8192u /* more than any input of the runner grows to */
#define UUID "0b9c7a52-6a0e-4b57-9f4a-1d2e3f405162"

/* A buffer that has a byte already, and ends right behind `room` more. */
static mcpsess_buf used_buf(size_t room) {
    mcpsess_buf b = fuzz_buf(room + 1);
    mcpsess_buf_put_char(&b, '#');
    return b;
}

static mcpsess_str put_behind(const mcpsess_buf *b) {
    MUST(!b->overflow && b->len != 0 && b->ptr[0] == '#');
    return mcpsess_str_of(b->ptr + 1, b->len - 1);
}

static int decode(int form, mcpsess_str json, mcpsess_str id, size_t room, mcpsess_buf *b, size_t *need) {
    int rc;
    *b = used_buf(room);
    rc = mcpsess_toolhive_decode(form, json, id, b, need);
    if (rc != MCPSESS_OK) MUST(put_behind(b).len == 0);
    return rc;
}

static int encode(int form, const mcpsess_record *r, size_t room, mcpsess_buf *b) {
    int rc;
    *b = used_buf(room);
    rc = mcpsess_toolhive_encode(form, r, b);
    if (rc != MCPSESS_OK) MUST(put_behind(b).len == 0);
    return rc;
}

static bool documented(int rc) {
    return rc == MCPSESS_E_FORMAT || rc == MCPSESS_E_PRINCIPAL || rc == MCPSESS_E_ID || rc == MCPSESS_E_TOOBIG;
}

/* The JSON of a record that was decoded: just fits its room, and is read as the same record. */
static void check_back(int form, mcpsess_str bytes) {
    mcpsess_record r;
    mcpsess_buf json, less, back;
    size_t need;
    int rc;
    MUST(mcpsess_record_decode(bytes, &r) == MCPSESS_OK);
    rc = encode(form, &r, ROOM, &json);
    if (rc == MCPSESS_E_ID) { /* its id was any, but a UUID was due */
        MUST(form == MCPSESS_TOOLHIVE_PROXY);
        free(json.ptr);
        return;
    }
    MUST(rc == MCPSESS_OK);
    MUST(encode(form, &r, json.len - 1, &less) == MCPSESS_OK);
    MUST(mcpsess_str_eq(put_behind(&less), put_behind(&json)));
    free(less.ptr);
    MUST(encode(form, &r, json.len - 2, &less) == MCPSESS_E_TOOBIG);
    free(less.ptr);
    MUST(decode(form, put_behind(&json), r.id, bytes.len, &back, &need) == MCPSESS_OK);
    MUST(need == bytes.len && mcpsess_str_eq(put_behind(&back), bytes));
    free(back.ptr);
    free(json.ptr);
}

static void check_read(int form, mcpsess_str json, mcpsess_str id) {
    mcpsess_buf b, exact;
    mcpsess_record r;
    size_t need = 0, less = 0;
    int rc = decode(form, json, id, ROOM, &b, &need);
    if (rc != MCPSESS_OK) {
        MUST(documented(rc));
        free(b.ptr);
        return;
    }
    MUST(need == put_behind(&b).len);
    MUST(mcpsess_record_decode(put_behind(&b), &r) == MCPSESS_OK);
    MUST(id.len == 0 || mcpsess_str_eq(r.id, id));
    MUST(decode(form, json, id, need - 1, &exact, &less) == MCPSESS_E_TOOBIG && less >= need);
    free(exact.ptr);
    if (decode(form, json, id, less, &exact, NULL) == MCPSESS_OK)
        MUST(mcpsess_str_eq(put_behind(&exact), put_behind(&b)));
    free(exact.ptr);
    check_back(form, put_behind(&b));
    free(b.ptr);
}

/* Any pairs in a record: refused with a documented code, or read back as what they were. */
static void check_write(int form, fuzz_source *s) {
    static const mcpsess_str no_id = {NULL, 0};
    mcpsess_buf record = fuzz_buf(ROOM), json, back;
    mcpsess_record r;
    int rc;
    memset(&r, 0, sizeof r);
    r.id = MCPSESS_STR(UUID);
    r.state = (uint8_t)(fuzz_byte(s) % 4u);
    if (fuzz_byte(s) % 2u != 0) {
        r.principal.issuer = fuzz_slice(s, 8);
        r.principal.subject = fuzz_slice(s, 8);
    }
    if (form == MCPSESS_TOOLHIVE_PROXY) r.created_ms = (uint64_t)fuzz_byte(s) << 40 | (uint64_t)fuzz_byte(s) << 32;
    if (mcpsess_record_encode(&r, &record) == MCPSESS_OK) {
        while (s->size != 0) {
            mcpsess_str key = fuzz_slice(s, 12);
            (void)mcpsess_record_put(&record, key, fuzz_slice(s, 40));
        }
        MUST(mcpsess_record_decode(mcpsess_buf_str(&record), &r) == MCPSESS_OK);
        rc = encode(form, &r, ROOM, &json);
        MUST(rc == MCPSESS_OK || rc == MCPSESS_REDIS_E_MAPPING || documented(rc));
        if (rc == MCPSESS_OK) {
            size_t need;
            rc = decode(form, put_behind(&json), form == MCPSESS_TOOLHIVE_VMCP ? r.id : no_id, ROOM, &back, &need);
            MUST(rc == MCPSESS_OK);
            check_back(form, put_behind(&back));
            free(back.ptr);
        }
        free(json.ptr);
    }
    free(record.ptr);
}

/* JSON, nearly: a fragment for each byte of the input, behind a beginning that holds. In memory of its very size. */
static mcpsess_str compose(fuzz_source *s, int form) {
    static const char *const fragments[] = {
        "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "null", "true", "0", "-1.5e3", "\"\"", "{}", "[]",
        "\"k\":", "\"x\":", "\"v\"", "\"j\":\"w\"", "\\u0000", "\\u003c", "\\ud83d", "\\ude00", "\\b", "\\u0008",
        "\xC3\xA9", "\xFF", "\xE2\x80\xA8", "\"type\":", "\"Data\":", "\"sse\"", "\"metadata\":{",
        "\"terminated\":\"true\"", "\"vmcp.identity.binding\":", "\"i\\u0000s\"", "unauthenticated",
        "\"created_at\":\"2026-04-08T12:00:00", "\"updated_at\":\"1969-12-31T23:59:59", ".123456789", ".5", "Z\"",
        "+23:59\"", "\",\"", "\"},\"", "\"}",
    };
    const unsigned count = sizeof fragments / sizeof fragments[0];
    mcpsess_buf b = fuzz_buf(ROOM);
    char *exact;
    mcpsess_buf_put(&b, MCPSESS_STR("{"));
    if (form == MCPSESS_TOOLHIVE_PROXY) mcpsess_buf_put(&b, MCPSESS_STR("\"id\":\"" UUID "\","));
    while (s->size != 0 && b.len < ROOM / 8u) mcpsess_buf_put(&b, mcpsess_str_z(fragments[fuzz_byte(s) % count]));
    mcpsess_buf_put_char(&b, '}');
    exact = (char *)fuzz_copy(b.ptr, b.len);
    free(b.ptr);
    return mcpsess_str_of(exact, b.len);
}

/* The first byte says what is done with the rest. */
static void try_input(fuzz_source source) {
    const unsigned how = fuzz_byte(&source), what = how % 8u / 2u;
    const int form = how % 2u != 0 ? MCPSESS_TOOLHIVE_PROXY : MCPSESS_TOOLHIVE_VMCP;
    mcpsess_str id = form == MCPSESS_TOOLHIVE_VMCP ? MCPSESS_STR("a\\") : MCPSESS_STR("");
    if (what == 3) {
        check_write(form, &source);
    } else if (what == 2) {
        mcpsess_str json = compose(&source, form);
        check_read(form, json, id);
        free((void *)(uintptr_t)json.ptr);
    } else {
        if (what == 1) id = fuzz_slice(&source, 36);
        check_read(form, mcpsess_str_of(source.data, source.size), id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    fuzz_source source = {copy, size};
    try_input(source);
    free(copy);
    return 0;
}
