/* The MCP C# SDK's JSON: whatever decodes comes back from what encode makes of it, and that is written once. */

#include "mcpsess_redis.h"

#include "fuzz.h"

#define ROOM 8192u /* more than any input of the runner grows to */
#define ENTRIES 64u

static mcpsess_str slice_of(const mcpsess_buf *b) {
    MUST(!b->overflow);
    return mcpsess_buf_str(b);
}

static bool documented(int rc) {
    return rc == MCPSESS_OK || rc == MCPSESS_MISS || rc == MCPSESS_E_FORMAT;
}

static bool same_event(const mcpsess_event *a, const mcpsess_event *b) {
    if ((a->data.ptr == NULL) != (b->data.ptr == NULL) || a->retry != b->retry || a->retry_ms != b->retry_ms)
        return false;
    return mcpsess_str_eq(a->type, b->type) && mcpsess_str_eq(a->id, b->id) && mcpsess_str_eq(a->data, b->data);
}

/* What encode wrote: just fits its room, is read as the same event, and is what encode writes of that. */
static void check_written(const mcpsess_event *e, mcpsess_str json) {
    mcpsess_buf exact = fuzz_buf(json.len), less = fuzz_buf(json.len - 1), mem = fuzz_buf(ROOM), again = fuzz_buf(ROOM);
    mcpsess_event back, want = *e;
    size_t n;
    MUST(mcpsess_csharp_event_encode(e, &exact) == MCPSESS_OK && mcpsess_str_eq(slice_of(&exact), json));
    MUST(mcpsess_csharp_event_encode(e, &less) == MCPSESS_E_TOOBIG && slice_of(&less).len == 0);
    MUST(mcpsess_csharp_event_decode(json, &mem, &back) == MCPSESS_OK);
    for (n = 0; n + back.data.len + 1 < json.len; n++)
        MUST((unsigned char)json.ptr[n] >= 0x20 && (unsigned char)json.ptr[n] < 0x7F);
    MUST(mcpsess_csharp_event_encode(&back, &again) == MCPSESS_OK && mcpsess_str_eq(slice_of(&again), json));
    want.type = back.type; /* "message", or without what is no UTF-8 */
    want.id = back.id;
    want.retry_ms = want.retry ? want.retry_ms : 0;
    MUST(back.data.len <= want.data.len);
    if (back.data.len != want.data.len) want.data = back.data; /* white space around it */
    MUST(same_event(&back, &want));
    free(exact.ptr);
    free(less.ptr);
    free(mem.ptr);
    free(again.ptr);
}

static void check_event(mcpsess_str text) {
    mcpsess_buf mem = fuzz_buf(ROOM), json = fuzz_buf(6 * ROOM), small;
    mcpsess_event e, f;
    int rc = mcpsess_csharp_event_decode(text, &mem, &e);
    MUST(documented(rc) && mem.len == e.type.len + e.id.len);
    if (rc == MCPSESS_OK) {
        MUST(e.data.ptr == NULL || (e.data.ptr >= text.ptr && e.data.ptr + e.data.len <= text.ptr + text.len));
        if (mem.len != 0) {
            small = fuzz_buf(mem.len - 1);
            MUST(mcpsess_csharp_event_decode(text, &small, &f) == MCPSESS_E_TOOBIG && slice_of(&small).len == 0);
            free(small.ptr);
        }
        MUST(mcpsess_csharp_event_encode(&e, &json) == MCPSESS_OK);
        check_written(&e, slice_of(&json));
    }
    free(mem.ptr);
    free(json.ptr);
}

static void check_meta(mcpsess_str text) {
    mcpsess_csharp_meta m, back;
    int rc = mcpsess_csharp_meta_decode(text, &m), numeric;
    MUST(documented(rc) && m.last <= (uint64_t)MCPSESS_SEQUENCE_MAX);
    if (rc != MCPSESS_OK) MUST(m.last == 0 && !m.polling && !m.done);
    for (numeric = 0; rc == MCPSESS_OK && numeric < 2; numeric++) {
        mcpsess_buf json = fuzz_buf(128);
        MUST(mcpsess_csharp_meta_encode(&m, numeric != 0, &json) == MCPSESS_OK);
        MUST(mcpsess_csharp_meta_decode(slice_of(&json), &back) == MCPSESS_OK);
        MUST(back.last == m.last && back.polling == m.polling && back.done == m.done);
        free(json.ptr);
    }
}

/* -> how many entries there are, at most ENTRIES */
static size_t read_index(mcpsess_str text, mcpsess_buf *mem, mcpsess_csharp_entry *entries, int *rc) {
    size_t cursor = 0, count = 0;
    while (count < ENTRIES && (*rc = mcpsess_csharp_index_next(text, &cursor, mem, &entries[count])) == MCPSESS_OK) {
        MUST(cursor != 0 && cursor <= text.len);
        count++;
    }
    MUST(count == ENTRIES || *rc == MCPSESS_END || documented(*rc));
    return count;
}

static void check_index(mcpsess_str text) {
    mcpsess_csharp_entry entries[ENTRIES], back[ENTRIES];
    mcpsess_buf mem = fuzz_buf(ROOM), json = fuzz_buf(8 * ROOM), more = fuzz_buf(ROOM);
    int rc, again;
    size_t count = read_index(text, &mem, entries, &rc), n;
    if (rc == MCPSESS_END || count == ENTRIES) {
        MUST(mcpsess_csharp_index_encode(entries, count, &json) == MCPSESS_OK);
        MUST(read_index(slice_of(&json), &more, back, &again) == count);
        for (n = 0; n < count; n++)
            MUST(back[n].last == entries[n].last && mcpsess_str_eq(back[n].stream, entries[n].stream));
    }
    free(mem.ptr);
    free(json.ptr);
    free(more.ptr);
}

/* Any event: refused with a documented code, or read back. */
static void check_any(fuzz_source *s) {
    mcpsess_buf json = fuzz_buf(6 * ROOM);
    unsigned how = fuzz_byte(s);
    mcpsess_event e;
    int rc;
    memset(&e, 0, sizeof e);
    e.retry = (how & 1u) != 0;
    if (e.retry) e.retry_ms = (uint32_t)fuzz_byte(s) << 24 | fuzz_byte(s);
    e.type = fuzz_slice(s, 40);
    e.id = fuzz_slice(s, 40);
    if ((how & 2u) != 0) e.data = mcpsess_str_of(s->data, s->size);
    if (e.data.len == 0) e.data.ptr = NULL;
    rc = mcpsess_csharp_event_encode(&e, &json);
    MUST(rc == MCPSESS_OK || rc == MCPSESS_E_FORMAT || (rc == MCPSESS_E_TOOBIG && e.retry && e.retry_ms > INT32_MAX));
    if (rc == MCPSESS_OK) check_written(&e, slice_of(&json));
    free(json.ptr);
}

/* JSON, nearly: a fragment for each byte of the input. In memory of its very size. */
static mcpsess_str compose(fuzz_source *s) {
    static const char *const fragments[] = {
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "null",
        "true",
        "false",
        "0",
        "-1",
        "7",
        "1.5",
        "\"1\"",
        "{}",
        "[]",
        "\"eventType\":",
        "\"EventId\":",
        "\"reconnectionIntervalMs\":",
        "\"data\":",
        "\"DATA\":",
        "\"mode\":",
        "\"isCompleted\":",
        "\"lastSequence\":",
        "\"streams\":[",
        "\"streamId\":",
        "\"Polling\"",
        "\"streaming\"",
        "\"x\":",
        "\"a\"",
        "\\u002B",
        "\\ud83d",
        "\\ude00",
        "\\n",
        "\xC3\xA9",
        "\xFF",
        "\xF0\x9F",
        "9223372036854775807",
        "9223372036854775808",
        "2147483648",
        "{\"lastSequence\":7,\"streamId\":\"1\"}",
    };
    const unsigned count = sizeof fragments / sizeof fragments[0];
    mcpsess_buf b = fuzz_buf(ROOM);
    char *exact;
    mcpsess_buf_put_char(&b, '{');
    while (s->size != 0 && b.len < ROOM / 8u) mcpsess_buf_put(&b, mcpsess_str_z(fragments[fuzz_byte(s) % count]));
    mcpsess_buf_put_char(&b, '}');
    exact = (char *)fuzz_copy(b.ptr, b.len);
    free(b.ptr);
    return mcpsess_str_of(exact, b.len);
}

/* The first byte says what is done with the rest. */
static void try_input(fuzz_source source) {
    const unsigned how = fuzz_byte(&source), what = how % 4u;
    mcpsess_str text = mcpsess_str_of(source.data, source.size);
    if (what == 3) {
        check_any(&source);
        return;
    }
    if (how % 8u >= 4u) text = compose(&source);
    if (what == 0) check_event(text);
    else if (what == 1) check_meta(text);
    else check_index(text);
    if (how % 8u >= 4u) free((void *)(uintptr_t)text.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    fuzz_source source = {copy, size};
    try_input(source);
    free(copy);
    return 0;
}
