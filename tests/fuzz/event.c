/* Events as stores keep them: what is taken is put back byte for byte, and what is put is taken back. Then the input as
   operations on a ring of events, against a queue of pointers. */

#include "fuzz.h"

/* Takes all events there are; each encodes to the bytes it came from. */
static void take_all(mcpsess_str frames) {
    mcpsess_event e;
    mcpsess_str before = frames;
    int rc;
    while ((rc = mcpsess_event_take(&frames, &e)) == MCPSESS_OK) {
        mcpsess_str eaten = mcpsess_str_of(before.ptr, before.len - frames.len);
        mcpsess_buf back = fuzz_buf(eaten.len);
        MUST(mcpsess_event_bytes(&e) == eaten.len);
        MUST(mcpsess_event_put(&e, &back) == MCPSESS_OK);
        MUST(mcpsess_str_eq(mcpsess_buf_str(&back), eaten));
        free(back.ptr);
        before = frames;
    }
    MUST(frames.ptr == before.ptr && frames.len == before.len);
    MUST(rc == (frames.len == 0 ? MCPSESS_END : MCPSESS_E_FORMAT));
    MUST(e.type.ptr == NULL && e.data.ptr == NULL);
}

static bool same(const mcpsess_event *a, const mcpsess_event *b) {
    return mcpsess_str_eq(a->type, b->type) && mcpsess_str_eq(a->data, b->data) && a->retry == b->retry &&
           (a->data.ptr == NULL) == (b->data.ptr == NULL) && (!a->retry || a->retry_ms == b->retry_ms);
}

static mcpsess_event event_of(fuzz_source *s) {
    unsigned has = fuzz_byte(s);
    mcpsess_event e;
    memset(&e, 0, sizeof e);
    if ((has & 1u) != 0) e.type = fuzz_slice(s, 20);
    if ((has & 2u) != 0) e.data = fuzz_slice(s, 40);
    e.retry = (has & 4u) != 0;
    e.retry_ms = has << 24 | fuzz_byte(s);
    return e;
}

static bool plain_type(mcpsess_str type) {
    size_t n;
    for (n = 0; n < type.len; n++) {
        if (type.ptr[n] == '\r' || type.ptr[n] == '\n' || type.ptr[n] == '\0') return false;
    }
    return true;
}

/* Puts an event into a room of any size. -> its bytes, which are the caller's; none: refused */
static mcpsess_buf put(const mcpsess_event *e, size_t cap) {
    mcpsess_buf out = fuzz_buf(cap);
    int rc = mcpsess_event_put(e, &out);
    mcpsess_str frames = mcpsess_buf_str(&out);
    mcpsess_event back;
    MUST(rc == (!plain_type(e->type)           ? MCPSESS_E_FORMAT
                : mcpsess_event_bytes(e) > cap ? MCPSESS_E_TOOBIG
                                               : MCPSESS_OK));
    MUST(!out.overflow && (rc == MCPSESS_OK) == (out.len != 0));
    if (rc == MCPSESS_OK) MUST(mcpsess_event_take(&frames, &back) == MCPSESS_OK && same(e, &back) && frames.len == 0);
    return out;
}

/* ---- the ring, against pointers ---- */

#define ENTRIES 64u

static struct {
    mcpsess_buf e[ENTRIES];
    unsigned first, count;
    size_t used;
} model;

static void model_drop(void) {
    model.used -= MCPSESS_RING_HEAD + model.e[model.first].len;
    free(model.e[model.first].ptr);
    model.first = (model.first + 1) % ENTRIES;
    model.count--;
}

static void append(mcpsess_ring *r, size_t cap, fuzz_source *s) {
    mcpsess_event e = event_of(s);
    mcpsess_buf bytes = put(&e, fuzz_byte(s));
    mcpsess_str piece = mcpsess_buf_str(&bytes);
    uint32_t dropped, goes = 0;
    if (bytes.len == 0 || bytes.len + MCPSESS_RING_HEAD > cap) {
        if (bytes.len != 0) MUST(mcpsess_ring_put(r, &piece, 1, 0, &dropped) == MCPSESS_E_TOOBIG && dropped == 0);
        free(bytes.ptr);
        return;
    }
    for (; model.used + MCPSESS_RING_HEAD + bytes.len > cap; goes++) model_drop();
    model.e[(model.first + model.count++) % ENTRIES] = bytes;
    model.used += MCPSESS_RING_HEAD + bytes.len;
    MUST(mcpsess_ring_put(r, &piece, 1, model.used, &dropped) == MCPSESS_OK && dropped == goes);
}

static void walk(const mcpsess_ring *r, size_t room) {
    mcpsess_ring_cursor cursor = {0, 0};
    mcpsess_buf out = fuzz_buf(room);
    unsigned n;
    int rc = MCPSESS_OK;
    for (n = 0; rc == MCPSESS_OK && n < model.count; n++) {
        const mcpsess_buf *want = &model.e[(model.first + n) % ENTRIES];
        size_t before = out.len;
        uint32_t len = 0;
        rc = mcpsess_ring_next(r, &cursor, &out, &len, NULL);
        MUST(rc == (want->len > room - before ? MCPSESS_E_TOOBIG : MCPSESS_OK) && len == want->len);
        if (rc == MCPSESS_OK) MUST(memcmp(out.ptr + before, want->ptr, want->len) == 0);
    }
    if (rc == MCPSESS_OK) MUST(mcpsess_ring_next(r, &cursor, &out, NULL, NULL) == MCPSESS_END);
    free(out.ptr);
}

static void work(fuzz_source *s) {
    size_t cap = 1 + fuzz_byte(s);
    void *mem = malloc(cap);
    mcpsess_ring ring;
    MUST(mem != NULL && mcpsess_ring_init(&ring, mem, cap) == MCPSESS_OK);
    while (s->size != 0) {
        unsigned what = fuzz_byte(s) % 8;
        if (what < 5) append(&ring, cap, s);
        else if (what < 7) walk(&ring, fuzz_byte(s));
        else {
            MUST(mcpsess_ring_drop(&ring) == (model.count == 0 ? MCPSESS_END : MCPSESS_OK));
            if (model.count != 0) model_drop();
        }
        MUST(mcpsess_ring_check(&ring) == MCPSESS_OK && mcpsess_ring_count(&ring) == model.count);
    }
    while (model.count != 0) model_drop();
    free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    fuzz_source source = {copy, size};
    take_all(mcpsess_str_of(copy, size));
    work(&source);
    free(copy);
    return 0;
}
