/* Server-sent events: what the reader hands out, in whatever pieces, is what a reader of the whole text hands out; and
   what was written is read again. */

#include "fuzz.h"

/* ---- a reader that has all of it, and takes it apart line by line as the standard says ---- */

typedef struct plain {
    mcpsess_str text;
    char *data; /* as long as text */
    mcpsess_str last_id;
    uint32_t retry_ms;
    bool retry;
} plain;

static mcpsess_str tail(mcpsess_str s, size_t n) {
    return mcpsess_str_of(s.ptr + n, s.len - n);
}

/* Takes a line and its end off the text. -> false: it has no end */
static bool plain_line(plain *p, mcpsess_str *line) {
    size_t n = 0, end;
    while (n < p->text.len && p->text.ptr[n] != '\n' && p->text.ptr[n] != '\r') n++;
    if (n == p->text.len) return false;
    end = n + 1;
    if (p->text.ptr[n] == '\r' && end < p->text.len && p->text.ptr[end] == '\n') end++;
    *line = mcpsess_str_of(p->text.ptr, n);
    p->text = tail(p->text, end);
    return true;
}

static bool has_nul(mcpsess_str s) {
    return s.len != 0 && memchr(s.ptr, 0, s.len) != NULL;
}

static bool retry_of(mcpsess_str value, uint32_t *retry_ms) {
    uint64_t number = 0;
    for (size_t n = 0; n < value.len; n++) {
        if (value.ptr[n] < '0' || value.ptr[n] > '9') return false;
        number = number * 10 + (uint64_t)(value.ptr[n] - '0');
        if (number > UINT32_MAX) return false;
    }
    if (value.len != 0) *retry_ms = (uint32_t)number;
    return value.len != 0;
}

static void plain_field(plain *p, mcpsess_str name, mcpsess_str value, mcpsess_event *e) {
    if (mcpsess_str_eq(name, MCPSESS_STR("data"))) {
        if (e->data.ptr != NULL) p->data[e->data.len++] = '\n';
        e->data.ptr = p->data;
        if (value.len != 0) memcpy(p->data + e->data.len, value.ptr, value.len);
        e->data.len += value.len;
    } else if (mcpsess_str_eq(name, MCPSESS_STR("event"))) {
        if (!has_nul(value)) e->type = value;
    } else if (mcpsess_str_eq(name, MCPSESS_STR("id"))) {
        if (!has_nul(value)) e->id = value;
    } else if (mcpsess_str_eq(name, MCPSESS_STR("retry")) && retry_of(value, &p->retry_ms)) {
        p->retry = e->retry = true;
        e->retry_ms = p->retry_ms;
    }
}

/* -> false: no more events */
static bool plain_next(plain *p, mcpsess_event *e) {
    mcpsess_str line;
    memset(e, 0, sizeof *e);
    while (plain_line(p, &line)) {
        if (line.len != 0) {
            const char *colon = memchr(line.ptr, ':', line.len);
            size_t n = colon != NULL ? (size_t)(colon - line.ptr) : line.len;
            mcpsess_str value = colon != NULL ? tail(line, n + 1) : tail(line, n);
            if (colon != NULL && value.len != 0 && *value.ptr == ' ') value = tail(value, 1);
            plain_field(p, mcpsess_str_of(line.ptr, n), value, e);
            continue;
        }
        if (e->id.ptr != NULL) p->last_id = e->id;
        if (e->data.ptr != NULL || e->id.len != 0 || e->type.len != 0 || e->retry) return true;
        memset(e, 0, sizeof *e);
    }
    return false;
}

static void same_event(const mcpsess_event *a, const mcpsess_event *b) {
    MUST(mcpsess_str_eq(a->type, b->type));
    MUST(mcpsess_str_eq(a->data, b->data) && (a->data.ptr == NULL) == (b->data.ptr == NULL));
    MUST(mcpsess_str_eq(a->id, b->id) && (a->id.ptr == NULL) == (b->id.ptr == NULL));
    MUST(a->retry == b->retry && a->retry_ms == b->retry_ms);
}

/* ---- ours against it ---- */

/* The first byte of the input tells how large the pieces are. With memory for all of it nothing may be too big, but a
   type or id over its own bound. */
static void read_all(mcpsess_str text, size_t room, unsigned pieces) {
    size_t mem_len = MCPSESS_SSE_ID_MAX + 64 + room, at = 0;
    char *mem = malloc(mem_len);
    mcpsess_event e, want;
    mcpsess_sse s;
    plain p;
    int rc = MCPSESS_PENDING;
    memset(&p, 0, sizeof p);
    p.text = text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0 ? tail(text, 3) : text;
    p.data = malloc(text.len + 1);
    MUST(mem != NULL && p.data != NULL && mcpsess_sse_init(&s, mem, mem_len) == MCPSESS_OK);
    while (at < text.len && rc >= 0) {
        size_t piece = 1 + (pieces + at * pieces) % 17;
        char *copy;
        mcpsess_str in;
        if (piece > text.len - at) piece = text.len - at;
        copy = fuzz_copy(text.ptr + at, piece);
        in = mcpsess_str_of(copy, piece);
        while ((rc = mcpsess_sse_next(&s, &in, &e)) == MCPSESS_OK) {
            MUST(plain_next(&p, &want));
            same_event(&e, &want);
            MUST(mcpsess_str_eq(s.last_id, p.last_id));
        }
        MUST(rc == MCPSESS_E_TOOBIG || (rc == MCPSESS_PENDING && in.len == 0));
        free(copy);
        at += piece;
    }
    if (rc >= 0) {
        MUST(!plain_next(&p, &want));
        MUST(mcpsess_str_eq(s.last_id, p.last_id) && s.retry == p.retry && s.retry_ms == p.retry_ms);
    } else {
        MUST(room < text.len || text.len > 255);
    }
    free(p.data);
    free(mem);
}

static void round_trip(fuzz_source source) {
    mcpsess_event e, back, want;
    mcpsess_buf out = fuzz_buf(fuzz_byte(&source) * 8u);
    mcpsess_sse s;
    mcpsess_str in;
    char mem[2048];
    plain p;
    memset(&e, 0, sizeof e);
    memset(&p, 0, sizeof p);
    e.retry = fuzz_byte(&source) % 2 != 0;
    e.retry_ms = e.retry ? fuzz_byte(&source) * 16843009u : 0;
    e.type = fuzz_slice(&source, 8);
    e.id = fuzz_slice(&source, 8);
    e.data = fuzz_slice(&source, 255);
    if (mcpsess_sse_put(&e, &out) == MCPSESS_OK) {
        MUST(mcpsess_sse_bytes(&e) == out.len);
        MUST(mcpsess_sse_init(&s, mem, sizeof mem) == MCPSESS_OK);
        in = mcpsess_buf_str(&out);
        p.text = in;
        p.data = malloc(out.len + 1);
        MUST(p.data != NULL && plain_next(&p, &want));
        MUST(mcpsess_sse_next(&s, &in, &back) == MCPSESS_OK && in.len == 0 && p.text.len == 0);
        same_event(&back, &want);
        MUST(mcpsess_str_eq(back.type, e.type) && mcpsess_str_eq(back.id, e.id) && back.retry_ms == e.retry_ms);
        free(p.data);
    } else {
        MUST(out.len == 0 && !out.overflow);
    }
    free(out.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    fuzz_source source = {copy, size};
    unsigned pieces = fuzz_byte(&source);
    mcpsess_str text = mcpsess_str_of(source.data, source.size);
    read_all(text, text.len, pieces);
    read_all(text, 0, pieces);
    round_trip(source);
    free(copy);
    return 0;
}
