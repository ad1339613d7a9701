/* events as stores keep them, the ring they are kept in, and a model test of the ring */

#include "test_util.h"

/* ---- event ---- */

static mcpsess_event e, back;
static char mem[300];
static mcpsess_buf out;

static void fresh(size_t cap) {
    memset(mem, '#', sizeof mem);
    mcpsess_buf_init(&out, mem, cap);
    memset(&e, 0, sizeof e);
}

TEST(event_bytes_are_these) {
    fresh(64);
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "\x02\0\0\0\0\0");
    fresh(64);
    e.type = MCPSESS_STR("ab");
    e.data = MCPSESS_STR("xyz");
    e.retry = true;
    e.retry_ms = UINT32_C(0x01020304);
    e.id = MCPSESS_STR("not stored");
    e.epoch = e.sequence = 7;
    CHECK_EQ(mcpsess_event_bytes(&e), 15);
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "\x0b\0\0\0\x03\x02"
                                     "ab\x04\x03\x02\x01xyz");
    fresh(64);
    e.data = MCPSESS_STR("");
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "\x02\0\0\0\x01\0"); /* data, if none of it */
}

static bool comes_back(void) {
    mcpsess_str frames;
    mcpsess_buf_init(&out, mem, sizeof mem);
    if (mcpsess_event_put(&e, &out) != MCPSESS_OK || out.len != mcpsess_event_bytes(&e)) return false;
    mcpsess_buf_put_char(&out, 'x'); /* more follows */
    frames = mcpsess_buf_str(&out);
    if (mcpsess_event_take(&frames, &back) != MCPSESS_OK || frames.len != 1 || frames.ptr[0] != 'x') return false;
    if (!mcpsess_str_eq(back.type, e.type) || !mcpsess_str_eq(back.data, e.data)) return false;
    if ((back.data.ptr == NULL) != (e.data.ptr == NULL) || back.retry != e.retry) return false;
    return back.retry_ms == e.retry_ms && back.id.ptr == NULL && back.epoch == 0 && back.sequence == 0;
}

TEST(event_comes_back_whatever_it_has) {
    unsigned has;
    for (has = 0; has < 8; has++) {
        memset(&e, 0, sizeof e);
        if ((has & 1u) != 0) e.type = MCPSESS_STR("message");
        if ((has & 2u) != 0) e.data = MCPSESS_STR("{}\r\n\0\xff");
        e.retry = (has & 4u) != 0;
        if (e.retry) e.retry_ms = UINT32_MAX;
        CHECK(comes_back());
        if ((has & 2u) != 0) e.data = MCPSESS_STR("");
        if (e.retry) e.retry_ms = 0;
        CHECK(comes_back());
    }
}

TEST(event_without_a_retry_takes_no_notice_of_its_number) {
    char first[8];
    fresh(64);
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_OK);
    memcpy(first, mem, 6);
    out.len = 0;
    e.retry_ms = 9;
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_OK);
    CHECK(out.len == 6 && same_bytes(first, mem, 6));
}

TEST(event_put_refuses_what_sse_cannot_carry) {
    static const mcpsess_str bad[] = {LIT("\r"), LIT("a\nb"), LIT("\0"), LIT("ab\0")};
    static char type[256];
    unsigned n;
    for (n = 0; n < COUNT_OF(bad); n++) {
        fresh(64);
        e.type = bad[n];
        CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_E_FORMAT);
        CHECK(out.len == 0 && !out.overflow);
    }
    e.type = str_fill(type, 't', 256);
    mcpsess_buf_init(&out, mem, sizeof mem);
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_E_TOOBIG);
    e.type.len--;
    CHECK(comes_back());
    e.type = str_broken();
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_E_ARG);
    fresh(64);
    e.data = str_broken();
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_event_put(NULL, &out), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_event_bytes(NULL), 0);
    e.data = MCPSESS_STR("");
    CHECK_EQ(mcpsess_event_put(&e, NULL), MCPSESS_E_ARG);
}

TEST(event_of_more_than_its_length_can_say_is_too_big) {
    fresh(64);
    e.data = mcpsess_str_of(mem, SIZE_MAX); /* not read: there is no such slice */
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_E_TOOBIG);
    e.retry = true;
    if (SIZE_MAX >= UINT32_MAX) e.data.len = (size_t)(UINT32_MAX - 9u);
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_E_TOOBIG);
    CHECK(out.len == 0 && !out.overflow);
}

TEST(event_put_needs_exactly_its_room) {
    size_t cap;
    for (cap = 1; cap < 16; cap++) {
        fresh(cap);
        e.type = MCPSESS_STR("t");
        e.data = MCPSESS_STR("ab");
        e.retry = true;
        mcpsess_buf_put_char(&out, '>');
        CHECK_EQ(mcpsess_event_put(&e, &out), cap < 14 ? MCPSESS_E_TOOBIG : MCPSESS_OK);
        CHECK(out.len == (cap < 14 ? 1u : 14u) && !out.overflow && mem[cap] == '#');
    }
    fresh(64);
    out.overflow = true;
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_E_TOOBIG);
    CHECK(out.len == 0 && out.overflow);
}

TEST(event_take_refuses_all_that_put_does_not_write) {
    static const mcpsess_str bad[] = {LIT("\x02"),
                                      LIT("\x02\0\0\0\0"),
                                      LIT("\0\0\0\0\0\0"),               /* shorter than its head */
                                      LIT("\x01\0\0\0\0\0"),             /* one less */
                                      LIT("\x03\0\0\0\x01\0"),           /* longer than there is */
                                      LIT("\xff\xff\xff\xff\x01\0"),     /* much longer */
                                      LIT("\x03\0\0\0\0\0x"),            /* data, but not said so */
                                      LIT("\x02\0\0\0\x04\0"),           /* a flag that there is not */
                                      LIT("\x02\0\0\0\x81\0"),           /* another one */
                                      LIT("\x02\0\0\0\0\x01t"),          /* the type goes over the end */
                                      LIT("\x03\0\0\0\x01\x02tt"),       /* by one */
                                      LIT("\x05\0\0\0\x02\0\x01\0\0\0"), /* the retry does */
                                      LIT("\x03\0\0\0\0\x01\r"),
                                      LIT("\x03\0\0\0\0\x01\n"),
                                      LIT("\x03\0\0\0\0\x01\0")};
    unsigned n;
    for (n = 0; n < COUNT_OF(bad); n++) {
        mcpsess_str frames = bad[n];
        memset(&back, 1, sizeof back);
        if (!CHECK_EQ(mcpsess_event_take(&frames, &back), MCPSESS_E_FORMAT)) tap_note("bad", (int64_t)n);
        CHECK(frames.ptr == bad[n].ptr && frames.len == bad[n].len);
        CHECK(back.type.ptr == NULL && back.data.ptr == NULL && !back.retry);
    }
}

TEST(event_take_goes_on_to_the_end) {
    mcpsess_str frames;
    fresh(64);
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_OK);
    e.data = MCPSESS_STR("two");
    CHECK_EQ(mcpsess_event_put(&e, &out), MCPSESS_OK);
    frames = mcpsess_buf_str(&out);
    CHECK_EQ(mcpsess_event_take(&frames, &back), MCPSESS_OK);
    CHECK(back.data.ptr == NULL);
    CHECK_EQ(mcpsess_event_take(&frames, &back), MCPSESS_OK);
    CHECK_STR(back.data, "two");
    CHECK_EQ(mcpsess_event_take(&frames, &back), MCPSESS_END);
    CHECK(back.data.ptr == NULL);
    frames = MCPSESS_STR("\x02\0\0\0\0\0"); /* the shortest there is */
    CHECK_EQ(mcpsess_event_take(&frames, &back), MCPSESS_OK);
    CHECK_EQ(frames.len, 0);
    frames = mcpsess_str_of(NULL, 0);
    CHECK_EQ(mcpsess_event_take(&frames, &back), MCPSESS_END);
    frames = str_broken();
    CHECK_EQ(mcpsess_event_take(&frames, &back), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_event_take(NULL, &back), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_event_take(&frames, NULL), MCPSESS_E_ARG);
}

/* ---- ring ---- */

static mcpsess_ring ring;
static mcpsess_ring_cursor cursor;
static uint32_t dropped;

static void make(size_t cap) {
    CHECK_EQ(mcpsess_ring_init(&ring, arena(cap), cap), MCPSESS_OK);
    memset(&cursor, 0, sizeof cursor);
}

static int put(mcpsess_str bytes, uint64_t stamp) {
    return mcpsess_ring_put(&ring, &bytes, 1, stamp, &dropped);
}

static int next(size_t cap, uint32_t *len, uint64_t *stamp) {
    fresh(cap);
    return mcpsess_ring_next(&ring, &cursor, &out, len, stamp);
}

TEST(ring_arguments) {
    mcpsess_str broken = str_broken(), s = MCPSESS_STR("s");
    CHECK_EQ(mcpsess_ring_init(NULL, mem, 9), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_init(&ring, NULL, 9), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_init(&ring, mem, 0), MCPSESS_E_ARG);
    if (SIZE_MAX > INT32_MAX) CHECK_EQ(mcpsess_ring_init(&ring, mem, (size_t)INT32_MAX), MCPSESS_OK); /* not touched */
    if (SIZE_MAX > INT32_MAX) CHECK_EQ(mcpsess_ring_init(&ring, mem, (size_t)INT32_MAX + 1u), MCPSESS_E_ARG);
    CHECK_EQ(put(s, 0), MCPSESS_E_ARG); /* not initialised */
    CHECK_EQ(mcpsess_ring_next(&ring, &cursor, NULL, NULL, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_drop(&ring), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_E_ARG);
    make(40);
    CHECK_EQ(mcpsess_ring_put(NULL, &s, 1, 0, &dropped), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_put(&ring, NULL, 1, 0, &dropped), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_put(&ring, &s, 1, 0, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_put(&ring, &broken, 1, 0, &dropped), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_put(&ring, NULL, 0, 0, &dropped), MCPSESS_OK);
    CHECK_EQ(mcpsess_ring_next(NULL, &cursor, NULL, NULL, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_next(&ring, NULL, NULL, NULL, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_drop(NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_check(NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_ring_count(NULL), 0);
    mcpsess_ring_clear(NULL);
    CHECK_EQ(mcpsess_ring_count(&ring), 1);
}

TEST(ring_gives_back_pieces_as_one) {
    const mcpsess_str pieces[] = {LIT("ab"), {NULL, 0}, LIT("c"), LIT("")};
    uint64_t stamp = 0;
    uint32_t len = 0;
    make(64);
    CHECK_EQ(mcpsess_ring_put(&ring, pieces, 4, UINT64_C(0x0102030405060708), &dropped), MCPSESS_OK);
    CHECK_EQ(dropped, 0);
    CHECK_EQ(mcpsess_ring_put(&ring, pieces, 0, UINT64_MAX, &dropped), MCPSESS_OK);
    CHECK_EQ(mcpsess_ring_count(&ring), 2);
    CHECK_EQ(next(64, &len, &stamp), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "abc");
    CHECK(len == 3 && stamp == UINT64_C(0x0102030405060708) && cursor.number == 1);
    CHECK_EQ(next(64, &len, &stamp), MCPSESS_OK);
    CHECK(out.len == 0 && len == 0 && stamp == UINT64_MAX);
    CHECK_EQ(next(64, &len, &stamp), MCPSESS_END);
    CHECK_EQ(mcpsess_ring_drop(&ring), MCPSESS_OK);
    memset(&cursor, 0, sizeof cursor);
    CHECK_EQ(next(64, &len, NULL), MCPSESS_OK);
    CHECK_EQ(len, 0);
    mcpsess_ring_clear(&ring);
    CHECK_EQ(mcpsess_ring_count(&ring), 0);
    CHECK_EQ(mcpsess_ring_drop(&ring), MCPSESS_END);
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_OK);
    CHECK(arena_intact());
}

TEST(ring_drops_the_oldest_and_only_as_many_as_it_must) {
    uint32_t len;
    make(3 * (MCPSESS_RING_HEAD + 4));
    CHECK_EQ(put(MCPSESS_STR("1111"), 1), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_STR("2222"), 2), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_STR("3333"), 3), MCPSESS_OK);
    CHECK_EQ(dropped, 0);
    CHECK_EQ(put(MCPSESS_STR("4444"), 4), MCPSESS_OK);
    CHECK_EQ(dropped, 1);
    CHECK_EQ(put(MCPSESS_STR("55555"), 5), MCPSESS_OK); /* one byte more takes one more */
    CHECK_EQ(dropped, 2);
    CHECK_EQ(mcpsess_ring_count(&ring), 2);
    CHECK_EQ(next(64, &len, NULL), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "4444");
    CHECK_EQ(next(64, &len, NULL), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "55555");
    CHECK(arena_intact());
}

TEST(ring_too_large_an_entry_drops_nothing) {
    char all[64];
    const size_t cap = 40;
    mcpsess_str most = str_fill(all, 'm', cap - MCPSESS_RING_HEAD);
    mcpsess_str pieces[3];
    make(cap);
    CHECK_EQ(put(MCPSESS_STR("1"), 1), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_STR("2"), 2), MCPSESS_OK);
    most.len++;
    CHECK_EQ(put(most, 3), MCPSESS_E_TOOBIG);
    CHECK_EQ(dropped, 0);
    pieces[0] = MCPSESS_STR("1");
    pieces[1] = mcpsess_str_of(all, SIZE_MAX - 1u); /* lengths that wrap when they are added up; not read */
    pieces[2] = MCPSESS_STR("3");
    CHECK_EQ(mcpsess_ring_put(&ring, pieces, 3, 0, &dropped), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_ring_count(&ring), 2);
    most.len--;
    CHECK_EQ(put(most, 3), MCPSESS_OK);
    CHECK_EQ(dropped, 2);
    CHECK_EQ(mcpsess_ring_count(&ring), 1);
    make(MCPSESS_RING_HEAD - 1);
    CHECK_EQ(put(MCPSESS_STR(""), 0), MCPSESS_E_TOOBIG);
    make(MCPSESS_RING_HEAD);
    CHECK_EQ(put(MCPSESS_STR(""), 0), MCPSESS_OK);
    CHECK_EQ(put(MCPSESS_STR("1"), 0), MCPSESS_E_TOOBIG);
    CHECK(arena_intact());
}

TEST(ring_cursor_stays_where_out_has_no_room) {
    uint64_t stamp = 0;
    uint32_t len = 0;
    make(64);
    CHECK_EQ(put(MCPSESS_STR("12345"), 77), MCPSESS_OK);
    CHECK_EQ(next(4, &len, &stamp), MCPSESS_E_TOOBIG);
    CHECK(len == 5 && stamp == 77 && out.len == 0 && !out.overflow && cursor.number == 0);
    CHECK_EQ(next(5, NULL, NULL), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&out), "12345");
    CHECK_EQ(mem[5], '#');
}

TEST(ring_refuses_a_cursor_that_is_none_of_its_own) {
    make(64);
    CHECK_EQ(put(str_fill(mem, '\xff', 20), 1), MCPSESS_OK);
    CHECK_EQ(put(str_fill(mem, '\xff', 20), 1), MCPSESS_OK);
    cursor.at = 20; /* bytes there are not a length */
    CHECK_EQ(mcpsess_ring_next(&ring, &cursor, NULL, NULL, NULL), MCPSESS_E_ARG);
    cursor.at = 64;
    CHECK_EQ(mcpsess_ring_next(&ring, &cursor, NULL, NULL, NULL), MCPSESS_E_ARG);
    cursor.at = UINT32_MAX;
    CHECK_EQ(mcpsess_ring_next(&ring, &cursor, NULL, NULL, NULL), MCPSESS_E_ARG);
}

TEST(ring_check_sees_overwritten_memory) {
    char *bytes;
    make(64);
    bytes = ring.i.bytes;
    put(MCPSESS_STR("one"), 1);
    put(MCPSESS_STR("two"), 2);
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_OK);
    bytes[0] = 4;
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_E_CORRUPT);
    bytes[0] = 3;
    bytes[3] = '\x7f';
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_E_CORRUPT);
    bytes[3] = 0;
    ring.i.used--;
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_E_CORRUPT);
    ring.i.used++;
    ring.i.count--;
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_E_CORRUPT);
    ring.i.count++;
    ring.i.head = 64;
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_E_CORRUPT);
    ring.i.head = 0;
    ring.i.used = 65;
    CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_E_CORRUPT);
}

/* ---- the model: entries in an array, their content a count that begins anywhere ---- */

#define ENTRIES 16u
#define CAP_MAX 160u

static struct {
    struct {
        uint8_t len, seed;
        uint64_t stamp;
    } e[ENTRIES];
    unsigned first, count;
    size_t used, cap;
} model;

static char model_bytes(unsigned seed, unsigned at) {
    return (char)(unsigned char)((seed * 7u + at) & 0xFFu);
}

static void model_drop(void) {
    model.used -= MCPSESS_RING_HEAD + model.e[model.first].len;
    model.first = (model.first + 1u) % ENTRIES;
    model.count--;
}

static bool model_put(void) {
    char bytes[CAP_MAX];
    unsigned len = (unsigned)random_below(random_below(4) == 0 ? CAP_MAX : 12), seed = (unsigned)random_below(256), n,
             a, b;
    mcpsess_str pieces[3];
    uint64_t stamp = (uint64_t)tap_random() << 24 ^ tap_random();
    uint32_t goes = 0;
    for (n = 0; n < len; n++) bytes[n] = model_bytes(seed, n);
    a = (unsigned)random_below(len + 1u);
    b = a + (unsigned)random_below(len - a + 1u);
    pieces[0] = mcpsess_str_of(bytes, a);
    pieces[1] = mcpsess_str_of(b == a ? NULL : bytes + a, b - a);
    pieces[2] = mcpsess_str_of(bytes + b, len - b);
    if (MCPSESS_RING_HEAD + len > model.cap) {
        return mcpsess_ring_put(&ring, pieces, 3, stamp, &dropped) == MCPSESS_E_TOOBIG && dropped == 0;
    }
    for (; model.used + MCPSESS_RING_HEAD + len > model.cap; goes++) model_drop();
    n = (model.first + model.count++) % ENTRIES;
    model.e[n].len = (uint8_t)len;
    model.e[n].seed = (uint8_t)seed;
    model.e[n].stamp = stamp;
    model.used += MCPSESS_RING_HEAD + len;
    return mcpsess_ring_put(&ring, pieces, 3, stamp, &dropped) == MCPSESS_OK && dropped == goes;
}

/* Walks all of it; now and then without room, or without looking at the bytes. */
static bool model_walk(void) {
    unsigned n, at, i;
    memset(&cursor, 0, sizeof cursor);
    for (n = 0; n < model.count; n++) {
        uint64_t stamp = 0;
        uint32_t len = 0;
        at = (model.first + n) % ENTRIES;
        if (model.e[at].len != 0 && random_below(8) == 0 &&
            next((size_t)(model.e[at].len - 1u), &len, &stamp) != MCPSESS_E_TOOBIG)
            return false;
        if (random_below(8) == 0) {
            if (mcpsess_ring_next(&ring, &cursor, NULL, NULL, NULL) != MCPSESS_OK) return false;
            continue;
        }
        if (next(sizeof mem, &len, &stamp) != MCPSESS_OK) return false;
        if (len != model.e[at].len || out.len != len || stamp != model.e[at].stamp) return false;
        for (i = 0; i < len; i++) {
            if (mem[i] != model_bytes(model.e[at].seed, i)) return false;
        }
    }
    return next(sizeof mem, NULL, NULL) == MCPSESS_END;
}

static bool model_step(void) {
    uint32_t what = random_below(100);
    if (what < 60) return model_put();
    if (what < 80) return model_walk();
    if (what < 98) {
        bool empty = model.count == 0;
        if (!empty) model_drop();
        return mcpsess_ring_drop(&ring) == (empty ? MCPSESS_END : MCPSESS_OK);
    }
    mcpsess_ring_clear(&ring);
    model.used = model.first = model.count = 0;
    return true;
}

TEST(ring_agrees_with_a_naive_model) {
    uint32_t round;
    tap_seed(815);
    for (round = 0; round < PORT_ROUNDS; round++) {
        if (round % (PORT_ROUNDS / 100 + 1) == 0) { /* a ring of another size */
            memset(&model, 0, sizeof model);
            model.cap = 1u + (size_t)random_below(CAP_MAX);
            make(model.cap);
        }
        if (!CHECK(model_step()) || !CHECK_EQ(mcpsess_ring_count(&ring), model.count) ||
            !CHECK_EQ(mcpsess_ring_check(&ring), MCPSESS_OK) || !CHECK(arena_intact())) {
            tap_note("failed in round", (int64_t)round);
            break;
        }
    }
}

void test_ring(void) {
    RUN(event_bytes_are_these);
    RUN(event_comes_back_whatever_it_has);
    RUN(event_without_a_retry_takes_no_notice_of_its_number);
    RUN(event_put_refuses_what_sse_cannot_carry);
    RUN(event_of_more_than_its_length_can_say_is_too_big);
    RUN(event_put_needs_exactly_its_room);
    RUN(event_take_refuses_all_that_put_does_not_write);
    RUN(event_take_goes_on_to_the_end);
    RUN(ring_arguments);
    RUN(ring_gives_back_pieces_as_one);
    RUN(ring_drops_the_oldest_and_only_as_many_as_it_must);
    RUN(ring_too_large_an_entry_drops_nothing);
    RUN(ring_cursor_stays_where_out_has_no_room);
    RUN(ring_refuses_a_cursor_that_is_none_of_its_own);
    RUN(ring_check_sees_overwritten_memory);
    RUN(ring_agrees_with_a_naive_model);
}
