/* sse: frames byte for byte, the grammar line end by line end, every cut, every bound. */

#include "test_util.h"

#define MEM_MAX (MCPSESS_SSE_ID_MAX + 600u)

static char frame_mem[1400], seen_mem[700], again_mem[700];
static mcpsess_buf seen;

static mcpsess_event event_of(mcpsess_str type, mcpsess_str data, mcpsess_str id) {
    mcpsess_event e;
    memset(&e, 0, sizeof e);
    e.type = type;
    e.data = data;
    e.id = id;
    return e;
}

static mcpsess_event with_retry(mcpsess_event e, uint32_t retry_ms) {
    e.retry = true;
    e.retry_ms = retry_ms;
    return e;
}

static const mcpsess_str none = {NULL, 0};

/* ---- the writer ---- */

static mcpsess_str frame(mcpsess_event e) {
    mcpsess_buf out;
    mcpsess_buf_init(&out, frame_mem, sizeof frame_mem);
    CHECK_EQ(mcpsess_sse_put(&e, &out), MCPSESS_OK);
    CHECK_EQ(mcpsess_sse_bytes(&e), out.len);
    return mcpsess_buf_str(&out);
}

#define FRAME(type, data, id) frame(event_of(type, data, id))

TEST(sse_frames_are_the_reference_bytes) {
    mcpsess_event prime = event_of(MCPSESS_STR(MCPSESS_EVENT_PRIME), none, MCPSESS_STR("YWJj:MQ==:1"));
    CHECK_STR(frame(prime), "event: prime\ndata: \nid: YWJj:MQ==:1\n\n");
    CHECK_STR(frame(with_retry(prime, 3000)), "event: prime\ndata: \nid: YWJj:MQ==:1\nretry: 3000\n\n");
    CHECK_STR(FRAME(MCPSESS_STR("message"), MCPSESS_STR("{}"), MCPSESS_STR("YWJj:MQ==:7")),
              "event: message\ndata: {}\nid: YWJj:MQ==:7\n\n");
}

TEST(sse_frame_has_only_what_the_event_has) {
    CHECK_STR(FRAME(none, MCPSESS_STR("x"), none), "data: x\n\n");
    CHECK_STR(FRAME(none, none, MCPSESS_STR("1")), "data: \nid: 1\n\n");
    CHECK_STR(FRAME(none, MCPSESS_STR(""), none), "data: \n\n");
    CHECK_STR(FRAME(MCPSESS_STR("t"), none, none), "event: t\n\n");
    CHECK_STR(frame(with_retry(event_of(none, none, none), 0)), "retry: 0\n\n");
    CHECK_STR(frame(with_retry(event_of(none, none, none), UINT32_MAX)), "retry: 4294967295\n\n");
    CHECK_STR(frame(with_retry(event_of(MCPSESS_STR("message"), none, none), 99)), "event: message\nretry: 99\n\n");
    CHECK_STR(frame(with_retry(event_of(none, MCPSESS_STR(""), none), 10)), "data: \nretry: 10\n\n");
    CHECK_STR(FRAME(none, none, none), "\n");
}

TEST(sse_data_is_split_at_every_line_end) {
    CHECK_STR(FRAME(none, MCPSESS_STR("a\nb\rc\r\nd"), none), "data: a\ndata: b\ndata: c\ndata: d\n\n");
    CHECK_STR(FRAME(none, MCPSESS_STR("a\n"), none), "data: a\ndata: \n\n");
    CHECK_STR(FRAME(none, MCPSESS_STR("a\r"), none), "data: a\ndata: \n\n");
    CHECK_STR(FRAME(none, MCPSESS_STR("\r\n"), none), "data: \ndata: \n\n");
    CHECK_STR(FRAME(none, MCPSESS_STR("\n\r"), none), "data: \ndata: \ndata: \n\n");
    CHECK_STR(FRAME(none, MCPSESS_STR(" id: 1\n: x"), none), "data:  id: 1\ndata: : x\n\n");
    CHECK_STR(FRAME(none, MCPSESS_STR("a\0b"), none), "data: a\0b\n\n");
}

TEST(sse_type_and_id_that_are_no_line_are_refused) {
    static const char bad[] = {'\r', '\n', '\0'};
    char text[3];
    size_t n, at;
    for (n = 0; n < sizeof bad; n++) {
        for (at = 0; at < sizeof text; at++) {
            mcpsess_str line = str_fill(text, 'a', sizeof text);
            mcpsess_event type = event_of(line, none, none), id = event_of(none, none, line);
            mcpsess_buf out;
            mcpsess_buf_init(&out, frame_mem, sizeof frame_mem);
            text[at] = bad[n];
            CHECK_EQ(mcpsess_sse_put(&type, &out), MCPSESS_E_FORMAT);
            CHECK_EQ(mcpsess_sse_put(&id, &out), MCPSESS_E_FORMAT);
            CHECK_EQ(mcpsess_sse_put_comment(line, &out), MCPSESS_E_FORMAT);
            CHECK(out.len == 0 && !out.overflow);
        }
    }
}

TEST(sse_frame_needs_exactly_its_room) {
    mcpsess_event e = with_retry(event_of(MCPSESS_STR("t"), MCPSESS_STR("a\r\nb"), MCPSESS_STR("i")), 10);
    size_t whole = mcpsess_sse_bytes(&e), cap;
    CHECK_EQ(whole, 9 + 8 + 8 + 6 + 10 + 1);
    for (cap = 2; cap <= whole + 3; cap++) {
        bool fits = cap >= whole + 2;
        mcpsess_buf out;
        memset(frame_mem, '#', sizeof frame_mem);
        mcpsess_buf_init(&out, frame_mem, cap);
        mcpsess_buf_put(&out, MCPSESS_STR(">>"));
        CHECK_EQ(mcpsess_sse_put(&e, &out), fits ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        CHECK_EQ(out.len, fits ? whole + 2 : 2);
        CHECK(!out.overflow && frame_mem[cap] == '#' && same_bytes(frame_mem, ">>", 2));
    }
}

TEST(sse_comment) {
    mcpsess_buf out;
    mcpsess_buf_init(&out, frame_mem, 13);
    CHECK_EQ(mcpsess_sse_put_comment(MCPSESS_STR("keepalive"), &out), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), ": keepalive\n\n");
    mcpsess_buf_init(&out, frame_mem, 14);
    mcpsess_buf_put(&out, MCPSESS_STR(">>"));
    CHECK_EQ(mcpsess_sse_put_comment(MCPSESS_STR("keepalive"), &out), MCPSESS_E_TOOBIG);
    CHECK(out.len == 2 && !out.overflow);
    CHECK_EQ(mcpsess_sse_put_comment(none, &out), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), ">>: \n\n");
}

TEST(sse_writer_misused) {
    mcpsess_event e = event_of(none, MCPSESS_STR("a"), none);
    mcpsess_buf out;
    mcpsess_buf_init(&out, frame_mem, sizeof frame_mem);
    CHECK_EQ(mcpsess_sse_put(NULL, &out), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_put(&e, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_bytes(NULL), 0);
    e.data = str_broken();
    CHECK_EQ(mcpsess_sse_put(&e, &out), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_bytes(&e), 0);
    e = event_of(str_broken(), none, none);
    CHECK_EQ(mcpsess_sse_put(&e, &out), MCPSESS_E_ARG);
    e = event_of(none, none, str_broken());
    CHECK_EQ(mcpsess_sse_put(&e, &out), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_put_comment(str_broken(), &out), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_put_comment(none, NULL), MCPSESS_E_ARG);
    CHECK(out.len == 0 && !out.overflow);
    out.overflow = true;
    e = event_of(none, none, none);
    CHECK_EQ(mcpsess_sse_put(&e, &out), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_sse_put_comment(none, &out), MCPSESS_E_TOOBIG);
    CHECK(out.overflow);
}

TEST(sse_bytes_that_no_size_holds_are_0) {
    static const char text[] = "t";
    mcpsess_event e = event_of(mcpsess_str_of(text, SIZE_MAX - 8), none, none);
    CHECK_EQ(mcpsess_sse_bytes(&e), 0);
    e.type.len = SIZE_MAX - 10;
    CHECK(mcpsess_sse_bytes(&e) == SIZE_MAX - 1);
    CHECK_EQ(mcpsess_sse_bytes((e.id = MCPSESS_STR("i"), &e)), 0);
}

/* ---- the reader ---- */

/* An event as a text: type, data, id, retry, and "." where it ends; "-" is none, "_" an empty id that came. */
static void note(const mcpsess_event *e) {
    mcpsess_buf_put(&seen, e->type);
    mcpsess_buf_put_char(&seen, '|');
    mcpsess_buf_put(&seen, e->data.ptr == NULL ? MCPSESS_STR("-") : e->data);
    mcpsess_buf_put_char(&seen, '|');
    mcpsess_buf_put(&seen, e->id.ptr == NULL ? MCPSESS_STR("-") : e->id.len == 0 ? MCPSESS_STR("_") : e->id);
    if (e->retry) {
        mcpsess_buf_put_char(&seen, '|');
        mcpsess_buf_put_u64(&seen, e->retry_ms);
    }
    mcpsess_buf_put_char(&seen, '.');
}

/* Hands out pieces: to `first`, to `second`, the rest. -> the last answer */
static int read_pieces(mcpsess_sse *s, mcpsess_str text, size_t first, size_t second) {
    size_t ends[3], n, from = 0;
    int rc = MCPSESS_PENDING;
    ends[0] = first;
    ends[1] = second;
    ends[2] = text.len;
    for (n = 0; n < 3; n++) {
        mcpsess_str in = mcpsess_str_of(text.ptr + from, ends[n] - from);
        mcpsess_event e;
        while ((rc = mcpsess_sse_next(s, &in, &e)) == MCPSESS_OK) note(&e);
        if (rc < 0) return rc;
        CHECK_EQ(in.len, 0);
        CHECK(e.data.ptr == NULL && e.type.ptr == NULL && !e.retry);
        from = ends[n];
    }
    return rc;
}

static void begin(mcpsess_sse *s, size_t mem_len) {
    mcpsess_buf_init(&seen, seen_mem, sizeof seen_mem);
    CHECK_EQ(mcpsess_sse_init(s, arena(mem_len), mem_len), MCPSESS_OK);
}

/* What a text reads as, and the last id behind it. */
static mcpsess_str read_cut(mcpsess_str text, size_t first, size_t second) {
    mcpsess_sse s;
    begin(&s, MEM_MAX);
    CHECK_EQ(read_pieces(&s, text, first, second), MCPSESS_PENDING);
    mcpsess_buf_put_char(&seen, '^');
    mcpsess_buf_put(&seen, s.last_id);
    CHECK(arena_intact() && !seen.overflow);
    return mcpsess_buf_str(&seen);
}

/* Any two cuts, and so byte by byte around them, must read as the whole does. */
static void check_cuts(mcpsess_str text) {
    mcpsess_str want = read_cut(text, 0, 0), got;
    size_t first, second, step = PORT_SMALL || text.len > 150 ? text.len : 1;
    memcpy(again_mem, want.ptr, want.len);
    want.ptr = again_mem;
    for (first = 0; first <= text.len; first++) {
        for (second = first; second <= text.len; second += step) {
            got = read_cut(text, first, second);
            if (!CHECK(mcpsess_str_eq(got, want))) tap_note("cut at", (int64_t)first);
        }
        if (first + 1 <= text.len) CHECK(mcpsess_str_eq(read_cut(text, first, first + 1), want));
    }
}

#define GIVES(literal, events) \
    (CHECK_STR(read_cut(MCPSESS_STR(literal), 0, 0), events), check_cuts(MCPSESS_STR(literal)))

TEST(sse_examples_of_the_standard) {
    GIVES("data: This is the first message.\n\ndata: This is the second message, it\ndata: has two lines.\n\n"
          "data: This is the third message.\n\n",
          "|This is the first message.|-.|This is the second message, it\nhas two lines.|-."
          "|This is the third message.|-.^");
    GIVES("event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
          "add|73857293|-.remove|2153|-.add|113411|-.^");
    GIVES("data: YHOO\ndata: +2\ndata: 10\n\n", "|YHOO\n+2\n10|-.^");
    GIVES(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
          "|first event|1.|second event|_.| third event|-.^");
    GIVES("data\n\ndata\ndata\n\ndata:", "||-.|\n|-.^");
    GIVES("data:test\n\ndata: test\n\n", "|test|-.|test|-.^");
}

TEST(sse_line_ends) {
    GIVES("data: a\r\rdata: b\r\n\r\ndata: c\n\n", "|a|-.|b|-.|c|-.^");
    GIVES("data: a\r\ndata: b\rdata: c\ndata: d\n\r\n", "|a\nb\nc\nd|-.^");
    GIVES("data: a\n\rdata: b\r\r\n", "|a|-.|b|-.^");
    GIVES("\r\n\r\r\n\n\rdata: a\r\n\r\n\n", "|a|-.^");
    GIVES("data: a\r\n\rdata: b\n\n", "|a|-.|b|-.^");
}

TEST(sse_event_ends_at_a_cr_without_waiting) {
    mcpsess_sse s;
    begin(&s, MEM_MAX);
    CHECK_EQ(read_pieces(&s, MCPSESS_STR("data: a\r\n\r"), 0, 0), MCPSESS_PENDING);
    CHECK_STR(mcpsess_buf_str(&seen), "|a|-.");
    CHECK_EQ(read_pieces(&s, MCPSESS_STR("\ndata: b\r\r"), 0, 0), MCPSESS_PENDING);
    CHECK_STR(mcpsess_buf_str(&seen), "|a|-.|b|-.");
}

TEST(sse_names_and_values) {
    GIVES("data\ndata:\ndata: \ndata:  \ndata:x:y\ndata: : z\n\n", "|\n\n\n \nx:y\n: z|-.^");
    GIVES("dat: 1\ndatax: 2\nDATA: 3\n data: 4\ndata : 5\nd: 6\ndata\t: 7\nidx: 8\ni\neventx\nretry1: 5\n\n", "^");
    GIVES(":\n::\n: data: x\n:data: x\ndata: y\n\n", "|y|-.^");
    GIVES("data\0: 1\nid\0: 2\n\0: 3\ndata: a\0b\n\n", "|a\0b|-.^");
    GIVES("event: a\nevent: b\nevent\ndata: x\n\ndata: y\n\n", "|x|-.|y|-.^");
    GIVES("event\n\nevent:\n\nevent: \n\nid\n\nid: \n\n", "^");
    GIVES("data: \xEF\xBB\xBF\xFF\xC0\n\n", "|\xEF\xBB\xBF\xFF\xC0|-.^");
}

TEST(sse_mark_is_skipped_once) {
    GIVES("\xEF\xBB\xBF"
          "data: a\n\n",
          "|a|-.^");
    GIVES("\xEF\xBB\xBF\xEF\xBB\xBF"
          "data: a\n\n",
          "^");
    GIVES("\xEF\xBB\xBF\n\xEF\xBB\xBF"
          "data: b\ndata: a\n\n",
          "|a|-.^");
    GIVES("\xEF\xBB"
          "data: a\ndata: b\n\n",
          "|b|-.^");
    GIVES("\xEF\ndata: b\n\n", "|b|-.^");
    GIVES("\xEF\xBB\rdata: b\n\n", "|b|-.^");
    GIVES("\xEF:\xBB\xBF\n\ndata: b\n\n", "|b|-.^");
    GIVES("\n\xEF\xBB\xBF"
          "data: a\n\n",
          "^");
}

TEST(sse_ids) {
    GIVES("id: 1\ndata: a\n\ndata: b\n\n", "|a|1.|b|-.^1");
    GIVES("id: 1\n\nid: 2\nid: 33\n\n", "|-|1.|-|33.^33");
    GIVES("id: 1\ndata: a\n\nid\ndata: b\n\n", "|a|1.|b|_.^");
    GIVES("id: 1\ndata: a\n\nid:\n\n", "|a|1.^");
    GIVES("id: 1\nid: 2\0\ndata: a\n\n", "|a|1.^1");
    GIVES("id: \0\n\ndata: a\n\n", "|a|-.^");
    GIVES("id: 1\ndata: a\n\nid: 2\ndata: b\n", "|a|1.^1"); /* the second is no event yet */
    GIVES("id: 1\ndata: a\n\nevent: t\nid: 2\nevent: tt\n\n", "|a|1.tt|-|2.^2");
}

TEST(sse_events_without_data) {
    GIVES("event: prime\nid: 1\n\n", "prime|-|1.^1");
    GIVES("event: prime\ndata: \nid: 1\n\n", "prime||1.^1");
    GIVES("id: 1\nretry: 10\n\nretry: 20\n\n", "|-|1|10.|-|-|20.^1");
    GIVES("event: t\n\n\n\n: c\n\n", "t|-|-.^");
    GIVES("event: a\0b\n\nevent: c\nevent: a\0b\n\n", "c|-|-.^");
}

TEST(sse_retries) {
    GIVES("retry: 0\n\nretry:4294967295\n\nretry: 007\nretry: 8x\n\n", "|-|-|0.|-|-|4294967295.|-|-|7.^");
    GIVES("retry\n\nretry:\n\nretry: \n\nretry:  5\n\nretry: 5 \n\nretry: +5\n\nretry: 5.0\n\nretry: -1\n\n", "^");
    GIVES("retry: 4294967296\n\nretry: 42949672950\n\nretry: 99999999999999999999999999\n\nretry: /\n\nretry: :\n\n",
          "^");
    GIVES("retry: \xD9\xA3\n\nretry: 1\0\n\nretry: 00000000000000000000000012\ndata: x\n\n", "|x|-|12.^");
}

TEST(sse_retry_counts_from_its_line_on) {
    mcpsess_sse s;
    begin(&s, MEM_MAX);
    CHECK(!s.retry);
    (void)read_pieces(&s, MCPSESS_STR("retry: 12\n"), 0, 0);
    CHECK(s.retry && s.retry_ms == 12);
    (void)read_pieces(&s, MCPSESS_STR("\ndata: x\n\nretry: no\nretry\n\n"), 0, 0);
    CHECK(s.retry && s.retry_ms == 12);
    CHECK_STR(mcpsess_buf_str(&seen), "|-|-|12.|x|-.");
}

TEST(sse_another_connection_goes_on_from_the_last_id) {
    mcpsess_sse s;
    begin(&s, MEM_MAX);
    (void)read_pieces(&s, MCPSESS_STR("retry: 5\nid: 1\ndata: a\n\nid: 2\nevent: t\nretry: 6\ndata: lost\ndata: lo\r"),
                      0, 0);
    mcpsess_sse_begin(&s);
    CHECK_STR(s.last_id, "1");
    CHECK(s.retry && s.retry_ms == 6);
    (void)read_pieces(&s, MCPSESS_STR("\xEF\xBB\xBF\ndata: b\n\n"), 0, 0);
    CHECK_STR(mcpsess_buf_str(&seen), "|a|1|5.|b|-.");
    CHECK_STR(s.last_id, "1");
    mcpsess_sse_begin(&s);
    (void)read_pieces(&s, MCPSESS_STR("ta: x\n\n\ndata: c\n\n"), 0, 0);
    CHECK_STR(mcpsess_buf_str(&seen), "|a|1|5.|b|-.|c|-.");
}

/* ---- bounds ---- */

/* A field of n bytes, and an empty line, into mem_len. -> the last answer */
static int read_field(const char *name, size_t n, const char *end, size_t mem_len) {
    mcpsess_buf text;
    char *at;
    mcpsess_sse s;
    mcpsess_buf_init(&text, frame_mem, sizeof frame_mem);
    mcpsess_buf_put(&text, mcpsess_str_z(name));
    at = frame_mem + text.len;
    text.len += n;
    memset(at, 'x', n);
    mcpsess_buf_put(&text, mcpsess_str_z(end));
    begin(&s, mem_len);
    n = (size_t)read_pieces(&s, mcpsess_buf_str(&text), 0, text.len / 2);
    CHECK(arena_intact());
    return (int)n;
}

TEST(sse_type_and_id_have_bounds) {
    CHECK_EQ(read_field("event: ", 255, "\n\n", MEM_MAX), MCPSESS_PENDING);
    CHECK_EQ(seen.len, 255 + 5);
    CHECK_EQ(read_field("event: ", 256, "\n\n", MEM_MAX), MCPSESS_E_TOOBIG);
    CHECK_EQ(read_field("id:", MCPSESS_SSE_ID_MAX, "\n\n", MEM_MAX), MCPSESS_PENDING);
    CHECK_EQ(seen.len, MCPSESS_SSE_ID_MAX + 4);
    CHECK_EQ(read_field("id:", MCPSESS_SSE_ID_MAX + 1, "\n\n", MEM_MAX), MCPSESS_E_TOOBIG);
    CHECK_EQ(seen.len, 0);
}

TEST(sse_event_fits_exactly_into_its_memory) {
    size_t mem_len = MCPSESS_SSE_ID_MAX + 100;
    CHECK_EQ(read_field("data:", 100, "\n\n", mem_len), MCPSESS_PENDING);
    CHECK_EQ(seen.len, 100 + 4);
    CHECK_EQ(read_field("data:", 101, "\n\n", mem_len), MCPSESS_E_TOOBIG);
    CHECK_EQ(read_field("event:tt\nid:iii\ndata:", 95, "\n\n", mem_len), MCPSESS_PENDING);
    CHECK_EQ(read_field("event:tt\nid:iii\ndata:", 96, "\n\n", mem_len), MCPSESS_E_TOOBIG);
    CHECK_EQ(read_field("data:", 95, "\nid:iii\nevent:tt\n\n", mem_len), MCPSESS_PENDING);
    CHECK_EQ(seen.len, 95 + 2 + 3 + 3);
    CHECK_EQ(read_field("data:", 96, "\nid:iii\nevent:tt\n\n", mem_len), MCPSESS_E_TOOBIG);
    CHECK_EQ(read_field("data:", 99, "\ndata\n\n", mem_len), MCPSESS_PENDING);
    CHECK_EQ(read_field("data:", 100, "\ndata\n\n", mem_len), MCPSESS_E_TOOBIG);
    CHECK_EQ(read_field("id:", 100, "\n\n", mem_len), MCPSESS_PENDING);
    CHECK_EQ(read_field("id:", 101, "\n\n", mem_len), MCPSESS_E_TOOBIG);
    CHECK_EQ(read_field("data:", 100, "\nevent\nid\nretry:1\n\ndata:", mem_len), MCPSESS_PENDING);
    CHECK_EQ(read_field("data:", 100, "\n\ndata:y\n\n", mem_len), MCPSESS_PENDING);
}

TEST(sse_what_is_passed_over_needs_no_memory) {
    CHECK_EQ(read_field(":", 1000, "\ndata:y\n\n", MCPSESS_SSE_ID_MAX + 64), MCPSESS_PENDING);
    CHECK_STR(mcpsess_buf_str(&seen), "|y|-.");
    CHECK_EQ(read_field("x", 1000, ":z\ndata:y\n\n", MCPSESS_SSE_ID_MAX + 64), MCPSESS_PENDING);
    CHECK_STR(mcpsess_buf_str(&seen), "|y|-.");
    CHECK_EQ(read_field("retry:", 1000, "\ndata:y\n\n", MCPSESS_SSE_ID_MAX + 64), MCPSESS_PENDING);
    CHECK_STR(mcpsess_buf_str(&seen), "|y|-.");
}

TEST(sse_too_big_stays_until_begin) {
    mcpsess_sse s;
    mcpsess_event e;
    mcpsess_str in = none;
    begin(&s, MCPSESS_SSE_ID_MAX + 64);
    (void)read_pieces(&s, MCPSESS_STR("id: 1\n\n"), 0, 0);
    CHECK_EQ(read_pieces(
                 &s, mcpsess_str_of("data:0123456789012345678901234567890123456789012345678901234567890123456789", 75),
                 0, 0),
             MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_sse_next(&s, &in, &e), MCPSESS_E_TOOBIG);
    CHECK_EQ(read_pieces(&s, MCPSESS_STR("\n\n"), 0, 0), MCPSESS_E_TOOBIG);
    mcpsess_sse_begin(&s);
    CHECK_EQ(read_pieces(&s, MCPSESS_STR("data:x\n\n"), 0, 0), MCPSESS_PENDING);
    CHECK_STR(mcpsess_buf_str(&seen), "|-|1.|x|-.");
    CHECK_STR(s.last_id, "1");
}

TEST(sse_reader_misused) {
    static char mem[MCPSESS_SSE_ID_MAX + 64];
    mcpsess_sse s;
    mcpsess_event e;
    mcpsess_str in = str_broken();
    CHECK_EQ(mcpsess_sse_init(NULL, mem, sizeof mem), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_init(&s, NULL, sizeof mem), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_next(&s, &in, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_init(&s, mem, sizeof mem - 1), MCPSESS_E_NOMEM);
    in = MCPSESS_STR("data\n\n");
    CHECK_EQ(mcpsess_sse_next(&s, &in, &e), MCPSESS_E_ARG);
    CHECK_EQ(in.len, 6);
    CHECK_EQ(mcpsess_sse_init(&s, mem, sizeof mem), MCPSESS_OK);
    CHECK_EQ(mcpsess_sse_next(NULL, &in, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_next(&s, NULL, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_sse_next(&s, &in, NULL), MCPSESS_E_ARG);
    in = str_broken();
    CHECK_EQ(mcpsess_sse_next(&s, &in, &e), MCPSESS_E_ARG);
    in = MCPSESS_STR("data\n\n");
    CHECK_EQ(mcpsess_sse_next(&s, &in, &e), MCPSESS_OK);
    mcpsess_sse_begin(NULL);
}

/* ---- anything ---- */

/* A type or id given again and again: the last of each counts, whatever their order and lengths. */
TEST(sse_random_lines_that_replace_each_other) {
    uint32_t round;
    tap_seed(7);
    for (round = 0; round < PORT_ROUNDS / 200u; round++) {
        char type[12], id[12], filler[12];
        size_t type_len = 0, id_len = 0, lines = 1 + (size_t)random_below(8);
        mcpsess_buf text;
        mcpsess_str in;
        mcpsess_event e;
        mcpsess_sse s;
        mcpsess_buf_init(&text, frame_mem, sizeof frame_mem);
        while (lines-- > 0) {
            char c = (char)('a' + (int)random_below(26));
            size_t n = (size_t)random_below(sizeof type), which = (size_t)random_below(3);
            mcpsess_str value = str_fill(which == 0 ? type : which == 1 ? id : filler, c, n);
            if (which == 0) type_len = n;
            if (which == 1) id_len = n;
            mcpsess_buf_put(&text, which == 0   ? MCPSESS_STR("event:")
                                   : which == 1 ? MCPSESS_STR("id:")
                                                : MCPSESS_STR("data:"));
            mcpsess_buf_put(&text, value);
            mcpsess_buf_put_char(&text, '\n');
        }
        mcpsess_buf_put(&text, MCPSESS_STR("retry:1\n\n"));
        CHECK_EQ(mcpsess_sse_init(&s, arena(MCPSESS_SSE_ID_MAX + 150), MCPSESS_SSE_ID_MAX + 150), MCPSESS_OK);
        in = mcpsess_buf_str(&text);
        CHECK_EQ(mcpsess_sse_next(&s, &in, &e), MCPSESS_OK);
        if (!CHECK(mcpsess_str_eq(e.type, mcpsess_str_of(type, type_len)))) return;
        if (!CHECK(mcpsess_str_eq(e.id, mcpsess_str_of(id, id_len)))) return;
        if (!CHECK(arena_intact())) return;
    }
}

/* What data comes back as: line ends are LF. */
static mcpsess_str folded(mcpsess_str data, char *to) {
    size_t n, len = 0;
    for (n = 0; n < data.len; n++) {
        bool after_cr = n > 0 && data.ptr[n - 1] == '\r';
        if (data.ptr[n] == '\n' && after_cr) continue;
        to[len++] = data.ptr[n] == '\r' ? '\n' : data.ptr[n];
    }
    return mcpsess_str_of(to, len);
}

TEST(sse_random_events_come_back) {
    static const char bytes[] = "ab:\r\n\r\n  \0{}";
    uint32_t round;
    tap_seed(8);
    for (round = 0; round < PORT_ROUNDS / 200u; round++) {
        char data[40], want[40], type[6], id[6];
        mcpsess_event e, back;
        mcpsess_sse s;
        mcpsess_str text, in;
        size_t n, piece;
        int rc = MCPSESS_PENDING;
        for (n = 0; n < sizeof data; n++) data[n] = bytes[random_below(sizeof bytes - 1)];
        for (n = 0; n < sizeof type; n++) type[n] = (char)(' ' + (int)random_below(224));
        memcpy(id, type, sizeof id);
        e = event_of(mcpsess_str_of(type, (size_t)random_below(7)), mcpsess_str_of(data, (size_t)random_below(41)),
                     mcpsess_str_of(id, (size_t)random_below(7)));
        if (random_below(2) != 0) e = with_retry(e, tap_random() >> random_below(32));
        text = frame(e);
        CHECK_EQ(mcpsess_sse_init(&s, arena(MEM_MAX), MEM_MAX), MCPSESS_OK);
        for (n = 0; n < text.len; n += piece) {
            CHECK_EQ(rc, MCPSESS_PENDING);
            piece = 1 + (size_t)random_below(12);
            if (piece > text.len - n) piece = text.len - n;
            in = mcpsess_str_of(text.ptr + n, piece);
            rc = mcpsess_sse_next(&s, &in, &back);
        }
        if (!CHECK_EQ(rc, MCPSESS_OK)) return;
        if (!CHECK(mcpsess_str_eq(back.type, e.type) && mcpsess_str_eq(back.id, e.id))) return;
        if (!CHECK(mcpsess_str_eq(back.data, folded(e.data, want)))) return;
        if (!CHECK(back.retry == e.retry && back.retry_ms == e.retry_ms)) return;
    }
}

void test_sse(void) {
    RUN(sse_frames_are_the_reference_bytes);
    RUN(sse_frame_has_only_what_the_event_has);
    RUN(sse_data_is_split_at_every_line_end);
    RUN(sse_type_and_id_that_are_no_line_are_refused);
    RUN(sse_frame_needs_exactly_its_room);
    RUN(sse_comment);
    RUN(sse_writer_misused);
    RUN(sse_bytes_that_no_size_holds_are_0);
    RUN(sse_examples_of_the_standard);
    RUN(sse_line_ends);
    RUN(sse_event_ends_at_a_cr_without_waiting);
    RUN(sse_names_and_values);
    RUN(sse_mark_is_skipped_once);
    RUN(sse_ids);
    RUN(sse_events_without_data);
    RUN(sse_retries);
    RUN(sse_retry_counts_from_its_line_on);
    RUN(sse_another_connection_goes_on_from_the_last_id);
    RUN(sse_type_and_id_have_bounds);
    RUN(sse_event_fits_exactly_into_its_memory);
    RUN(sse_what_is_passed_over_needs_no_memory);
    RUN(sse_too_big_stays_until_begin);
    RUN(sse_reader_misused);
    RUN(sse_random_lines_that_replace_each_other);
    RUN(sse_random_events_come_back);
}
