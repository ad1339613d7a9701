/* record: the stored bytes of a session, exactly as documented, and never anything else */

#include "test_util.h"

static char mem_a[320], mem_b[320];

static mcpsess_buf buf_a(size_t cap) {
    mcpsess_buf b;
    memset(mem_a, '#', sizeof mem_a);
    mcpsess_buf_init(&b, mem_a, cap);
    return b;
}

static mcpsess_buf buf_b(void) {
    mcpsess_buf b;
    memset(mem_b, '#', sizeof mem_b);
    mcpsess_buf_init(&b, mem_b, sizeof mem_b);
    return b;
}

static mcpsess_record plain(const char *id) {
    mcpsess_record r;
    memset(&r, 0, sizeof r);
    r.id = mcpsess_str_z(id);
    return r;
}

/* one member of every kind, each byte of each number different */
static mcpsess_record full(void) {
    mcpsess_record r = plain("id-1");
    r.principal = principal("iss", "sub");
    r.backend = MCPSESS_STR("10.0.0.5:80");
    r.created_ms = UINT64_C(0x060504030201);
    r.updated_ms = UINT64_C(0x1A1918171615);
    r.state = MCPSESS_STATE_ACTIVE;
    return r;
}

#define FULL_LEN 43u /* RECORD_BYTES(7, 4, 11) */
#define FULL_TEXT              \
    "\x01"                     \
    "\x07\x00"                 \
    "iss\0sub"                 \
    "\x01"                     \
    "\x01\x02\x03\x04\x05\x06" \
    "\x15\x16\x17\x18\x19\x1a" \
    "\x04"                     \
    "id-1"                     \
    "\x0b\x00"                 \
    "10.0.0.5:80"

/* ---- the bytes ---- */

TEST(record_bytes_are_as_documented) {
    mcpsess_record r = full();
    mcpsess_buf b = buf_a(sizeof mem_a);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), FULL_TEXT "\x00\x00");
    CHECK_EQ(b.len, FULL_LEN);
    CHECK_EQ(b.len, MCPSESS_RECORD_BYTES(7, 4, 11));
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k2"), MCPSESS_STR("v")), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k1"), MCPSESS_STR("")), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), FULL_TEXT "\x02\x00"
                                             "\x02\x00"
                                             "k1"
                                             "\x00\x00"
                                             "\x02\x00"
                                             "k2"
                                             "\x01\x00"
                                             "v");
}

TEST(record_of_nobody_and_nothing) {
    mcpsess_record r = plain("x"), back;
    mcpsess_buf b = buf_a(sizeof mem_a);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), "\x01"
                                   "\0\0"
                                   "\0"
                                   "\0\0\0\0\0\0"
                                   "\0\0\0\0\0\0"
                                   "\x01"
                                   "x"
                                   "\0\0"
                                   "\0\0");
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &back), MCPSESS_OK);
    CHECK_STR(back.id, "x");
    CHECK_EQ(back.principal.issuer.len, 0);
    CHECK_EQ(back.principal.subject.len, 0);
    CHECK_EQ(back.backend.len, 0);
    CHECK_EQ(back.pair_count, 0);
}

TEST(record_comes_back_and_points_into_its_bytes) {
    mcpsess_record r = full(), back;
    mcpsess_buf b = buf_a(sizeof mem_a);
    mcpsess_str v;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("key"), MCPSESS_STR("a\0b")), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &back), MCPSESS_OK);
    CHECK_STR(back.id, "id-1");
    CHECK_STR(back.principal.issuer, "iss");
    CHECK_STR(back.principal.subject, "sub");
    CHECK_STR(back.backend, "10.0.0.5:80");
    CHECK_EQ(back.created_ms, UINT64_C(0x060504030201));
    CHECK_EQ(back.updated_ms, UINT64_C(0x1A1918171615));
    CHECK_EQ(back.state, MCPSESS_STATE_ACTIVE);
    CHECK_EQ(back.pair_count, 1);
    CHECK(back.id.ptr >= mem_a && back.id.ptr < mem_a + b.len);
    CHECK(back.backend.ptr >= mem_a && back.backend.ptr < mem_a + b.len);
    CHECK_EQ(mcpsess_record_get(&back, MCPSESS_STR("key"), &v), MCPSESS_OK);
    CHECK_STR(v, "a\0b");
    CHECK(v.ptr >= mem_a && v.ptr < mem_a + b.len);
}

TEST(record_edited_by_decode_and_encode_keeps_its_pairs) {
    mcpsess_record r = full(), middle, back;
    mcpsess_buf b = buf_a(sizeof mem_a), c = buf_b();
    mcpsess_str v;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("b"), MCPSESS_STR("2")), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("a"), MCPSESS_STR("1")), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &middle), MCPSESS_OK);
    middle.backend = MCPSESS_STR("elsewhere.example:8080");
    middle.state = MCPSESS_STATE_TERMINATED;
    middle.updated_ms = MCPSESS_RECORD_TIME_MAX;
    CHECK_EQ(mcpsess_record_encode(&middle, &c), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&c), &back), MCPSESS_OK);
    CHECK_STR(back.backend, "elsewhere.example:8080");
    CHECK_EQ(back.state, MCPSESS_STATE_TERMINATED);
    CHECK_EQ(back.updated_ms, MCPSESS_RECORD_TIME_MAX);
    CHECK_EQ(back.created_ms, r.created_ms);
    CHECK_EQ(back.pair_count, 2);
    CHECK_EQ(mcpsess_record_get(&back, MCPSESS_STR("a"), &v), MCPSESS_OK);
    CHECK_STR(v, "1");
    CHECK_EQ(mcpsess_record_get(&back, MCPSESS_STR("b"), &v), MCPSESS_OK);
    CHECK_STR(v, "2");
}

TEST(record_of_equal_content_is_equal_bytes) {
    static const char *const orders[] = {"abc", "acb", "bac", "bca", "cab", "cba", "abcabc", "xcbaX"};
    size_t i, n;
    for (i = 0; i < COUNT_OF(orders); i++) {
        mcpsess_record r = full();
        mcpsess_buf b = buf_a(sizeof mem_a);
        CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
        for (n = 0; orders[i][n] != '\0'; n++) {
            mcpsess_str key = str_byte((unsigned char)orders[i][n]);
            if (orders[i][n] == 'X') CHECK_EQ(mcpsess_record_del(&b, MCPSESS_STR("x")), MCPSESS_OK);
            else CHECK_EQ(mcpsess_record_put(&b, key, key), MCPSESS_OK);
        }
        CHECK_STR(mcpsess_buf_str(&b), FULL_TEXT "\3\0"
                                                 "\1\0a\1\0a"
                                                 "\1\0b\1\0b"
                                                 "\1\0c\1\0c");
    }
}

/* ---- principal ---- */

TEST(principal_has_both_parts_or_none) {
    static const struct {
        mcpsess_principal who;
        int rc;
    } t[] = {
        {{LIT(""), LIT("")}, MCPSESS_OK},
        {{{NULL, 0}, {NULL, 0}}, MCPSESS_OK},
        {{LIT("i"), LIT("s")}, MCPSESS_OK},
        {{LIT("https://issuer.example"), LIT("user-1")}, MCPSESS_OK},
        {{LIT("i"), LIT("")}, MCPSESS_E_PRINCIPAL},
        {{LIT(""), LIT("s")}, MCPSESS_E_PRINCIPAL},
        {{LIT("i\0"), LIT("s")}, MCPSESS_E_PRINCIPAL},
        {{LIT("\0"), LIT("s")}, MCPSESS_E_PRINCIPAL},
        {{LIT("i"), LIT("\0s")}, MCPSESS_E_PRINCIPAL},
        {{LIT("i"), LIT("s\0s")}, MCPSESS_E_PRINCIPAL},
        {{LIT("\0"), LIT("\0")}, MCPSESS_E_PRINCIPAL},
    };
    size_t i;
    for (i = 0; i < COUNT_OF(t); i++) {
        mcpsess_record r = plain("x");
        mcpsess_buf b = buf_a(sizeof mem_a);
        r.principal = t[i].who;
        if (!CHECK_EQ(mcpsess_principal_check(&t[i].who), t[i].rc)) tap_note("row", (int64_t)i);
        CHECK_EQ(mcpsess_record_encode(&r, &b), t[i].rc);
        if (t[i].rc != MCPSESS_OK) CHECK_EQ(b.len, 0);
    }
}

TEST(principal_length_is_bounded) {
    char text[MCPSESS_PRINCIPAL_MAX + 1u];
    mcpsess_principal who;
    mcpsess_record r = plain("x");
    mcpsess_buf b = buf_a(sizeof mem_a);
    size_t issuer;
    str_fill(text, 'p', sizeof text);
    for (issuer = 1; issuer < MCPSESS_PRINCIPAL_MAX - 1u; issuer += 31) {
        who.issuer = mcpsess_str_of(text, issuer);
        who.subject = mcpsess_str_of(text, MCPSESS_PRINCIPAL_MAX - 1u - issuer);
        CHECK_EQ(mcpsess_principal_check(&who), MCPSESS_OK);
        who.subject.len++;
        CHECK_EQ(mcpsess_principal_check(&who), MCPSESS_E_TOOBIG);
        r.principal = who;
        CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_TOOBIG);
        CHECK_EQ(b.len, 0);
    }
}

/* ---- owned ---- */

static bool owned(mcpsess_str bytes, const char *issuer, const char *subject) {
    mcpsess_principal who = principal(issuer, subject);
    return mcpsess_record_owned(bytes, &who);
}

TEST(record_belongs_to_its_principal_alone) {
    mcpsess_record r = full();
    mcpsess_buf b = buf_a(sizeof mem_a);
    mcpsess_str bytes;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    bytes = mcpsess_buf_str(&b);
    CHECK(owned(bytes, "iss", "sub"));
    CHECK(!owned(bytes, "iss", "suB"));
    CHECK(!owned(bytes, "Iss", "sub"));
    CHECK(!owned(bytes, "sub", "iss"));
    CHECK(!owned(bytes, "is", "ssub"));
    CHECK(!owned(bytes, "isss", "ub"));
    CHECK(!owned(bytes, "iss", "su"));
    CHECK(!owned(bytes, "iss", "sub2"));
    CHECK(!owned(bytes, "", ""));
    CHECK(!owned(bytes, "", "iss"));
    CHECK(!owned(bytes, "iss", ""));
    CHECK(!mcpsess_record_owned(bytes, NULL));
}

TEST(record_of_nobody_belongs_to_nobody_alone) {
    mcpsess_record r = plain("x");
    mcpsess_buf b = buf_a(sizeof mem_a);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK(owned(mcpsess_buf_str(&b), "", ""));
    CHECK(!owned(mcpsess_buf_str(&b), "iss", "sub"));
    CHECK(!owned(mcpsess_buf_str(&b), "i", ""));
}

TEST(record_owned_of_other_bytes_is_false) {
    static const mcpsess_str other[] = {LIT(""),
                                        LIT("\x01"),
                                        LIT("\x01\x07"),
                                        LIT("\x01\x07\0iss\0su"),
                                        LIT("\x01\0"),
                                        LIT("\x02\x07\0iss\0sub\x01"),
                                        LIT("\x00\x07\0iss\0sub\x01"),
                                        LIT("\x01\xff\xffiss\0sub"),
                                        LIT("{\"id\":\"x\"}")};
    size_t i;
    for (i = 0; i < COUNT_OF(other); i++) {
        if (!CHECK(!owned(other[i], "iss", "sub"))) tap_note("row", (int64_t)i);
    }
    CHECK(!owned(MCPSESS_STR("\x01\x07\0issXsub\x01"), "iss", "sub"));
    CHECK(!owned(MCPSESS_STR(""), "", ""));
    CHECK(!owned(MCPSESS_STR("\x01\0"), "", ""));
    CHECK(!owned(MCPSESS_STR("{}"), "", ""));
    CHECK(!owned(str_broken(), "", ""));
}

TEST(record_owned_never_looks_past_its_slice) {
    mcpsess_record r = full();
    mcpsess_buf b = buf_a(sizeof mem_a);
    size_t n;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    for (n = 0; n < 3u + 7u; n++) CHECK(!owned(str_head(mcpsess_buf_str(&b), n), "iss", "sub"));
}

/* ---- refusals of encode ---- */

TEST(record_id_is_1_to_255_visible_ascii_characters) {
    static char text[256];
    static const char *const refused[] = {"a b", " a", "a\t", "a\n", "\x7f", "\x80", "a\xff", "\xc3\xa9"};
    mcpsess_record r = plain("x"), back;
    mcpsess_buf b = buf_a(sizeof mem_a);
    size_t i;
    for (i = 0; i < COUNT_OF(refused); i++) {
        r.id = mcpsess_str_z(refused[i]);
        CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_ID);
    }
    r.id = MCPSESS_STR("");
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_ID);
    r.id = MCPSESS_STR("a\0");
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_ID);
    r.id = str_fill(text, '~', 256);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_ID);
    CHECK_EQ(b.len, 0);
    r.id.len = 255;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &back), MCPSESS_OK);
    CHECK_EQ(back.id.len, 255);
}

TEST(record_times_have_48_bits) {
    mcpsess_record r = plain("x");
    mcpsess_buf b = buf_a(sizeof mem_a);
    r.created_ms = (uint64_t)MCPSESS_RECORD_TIME_MAX + 1u;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_ARG);
    r.created_ms = 0;
    r.updated_ms = UINT64_MAX;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_ARG);
    r.updated_ms = MCPSESS_RECORD_TIME_MAX;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
}

TEST(record_encode_wants_an_empty_buffer_of_the_right_size) {
    mcpsess_record r = full();
    size_t cap;
    mcpsess_buf b = buf_a(sizeof mem_a);
    mcpsess_buf_put_char(&b, '!');
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_ARG);
    CHECK_STR(mcpsess_buf_str(&b), "!");
    for (cap = 0; cap <= FULL_LEN; cap++) {
        b = buf_a(cap);
        CHECK_EQ(mcpsess_record_encode(&r, &b), cap < FULL_LEN ? MCPSESS_E_TOOBIG : MCPSESS_OK);
        CHECK_EQ(b.len, cap < FULL_LEN ? 0 : FULL_LEN);
        CHECK(!b.overflow);
        CHECK_EQ(mem_a[cap], '#');
    }
}

TEST(record_null) {
    mcpsess_record r = full(), back;
    mcpsess_buf b = buf_a(sizeof mem_a);
    mcpsess_str v;
    size_t cursor = 0;
    CHECK_EQ(mcpsess_record_encode(NULL, &b), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_encode(&r, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_decode(MCPSESS_STR("x"), NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_decode(str_broken(), &back), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_decode(mcpsess_str_of(NULL, 0), &back), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &back), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_get(NULL, MCPSESS_STR("k"), &v), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_get(&back, MCPSESS_STR("k"), NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_next(NULL, &cursor, &v, &v), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_next(&back, NULL, &v, &v), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_put(NULL, MCPSESS_STR("k"), MCPSESS_STR("v")), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_del(NULL, MCPSESS_STR("k")), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_put(&b, str_broken(), MCPSESS_STR("v")), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k"), str_broken()), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR(""), MCPSESS_STR("v")), MCPSESS_E_ARG);
    CHECK_EQ(b.len, FULL_LEN);
    CHECK(mcpsess_principal_check(NULL) < 0);
    r.backend = str_broken();
    b = buf_a(sizeof mem_a);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_ARG);
}

/* ---- decode of other bytes ---- */

/* A record with pairs whose bytes cover every field; in mem_b. */
static mcpsess_buf sample(void) {
    mcpsess_record r = full();
    mcpsess_buf b = buf_b();
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("a"), MCPSESS_STR("1")), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("ab"), MCPSESS_STR("")), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("b"), MCPSESS_STR("22")), MCPSESS_OK);
    return b;
}

static bool zeroed(const mcpsess_record *r) {
    mcpsess_record zero;
    memset(&zero, 0, sizeof zero);
    return r->id.len == 0 && r->id.ptr == NULL && r->principal.issuer.len == 0 && r->backend.len == 0 &&
           r->created_ms == 0 && r->updated_ms == 0 && r->state == 0 && r->pair_count == 0 && r->i.pairs.len == 0;
}

/* Refused, with *r zeroed; or it walks within its bytes and encodes to the very same bytes. */
static bool record_strict(mcpsess_str bytes) {
    mcpsess_record r;
    mcpsess_buf again = buf_a(sizeof mem_a);
    mcpsess_str key, value, last = MCPSESS_STR("");
    size_t cursor = 0;
    uint16_t pairs = 0;
    memset(&r, 0x5A, sizeof r);
    if (mcpsess_record_decode(bytes, &r) != MCPSESS_OK) return zeroed(&r);
    while (mcpsess_record_next(&r, &cursor, &key, &value) == MCPSESS_OK) {
        if (mcpsess_str_order(last, key) >= 0 || value.ptr + value.len > bytes.ptr + bytes.len) return false;
        last = key;
        pairs++;
    }
    return pairs == r.pair_count && mcpsess_record_encode(&r, &again) == MCPSESS_OK &&
           mcpsess_str_eq(mcpsess_buf_str(&again), bytes);
}

TEST(record_every_truncation_and_extension_is_refused) {
    mcpsess_buf b = sample();
    mcpsess_record r;
    size_t n;
    CHECK(record_strict(mcpsess_buf_str(&b)));
    for (n = 0; n < b.len; n++) {
        if (!CHECK_EQ(mcpsess_record_decode(mcpsess_str_of(mem_b, n), &r), MCPSESS_E_FORMAT))
            tap_note("length", (int64_t)n);
        CHECK(zeroed(&r));
    }
    mem_b[b.len] = 0;
    CHECK_EQ(mcpsess_record_decode(mcpsess_str_of(mem_b, b.len + 1u), &r), MCPSESS_E_FORMAT);
}

TEST(record_every_mutation_is_refused_or_canonical) {
    mcpsess_buf b = sample();
    size_t at;
    unsigned byte;
    for (at = 0; at < b.len; at++) {
        char was = mem_b[at];
        for (byte = 0; byte < 256; byte++) {
            mem_b[at] = (char)byte;
            if (!CHECK(record_strict(mcpsess_buf_str(&b)))) tap_note("byte at", (int64_t)at);
        }
        mem_b[at] = was;
    }
}

TEST(record_pairs_out_of_order_twice_or_without_key_are_refused) {
    static const mcpsess_str bad[] = {
        LIT(FULL_TEXT "\2\0"
                      "\1\0b\1\0x"
                      "\1\0a\1\0x"), /* out of order */
        LIT(FULL_TEXT "\2\0"
                      "\1\0a\1\0x"
                      "\1\0a\1\0y"), /* twice */
        LIT(FULL_TEXT "\1\0"
                      "\0\0\1\0x"), /* no key */
        LIT(FULL_TEXT "\1\0"
                      "\1\0a\1\0x"
                      "\1\0b\1\0x"), /* more pairs than counted */
        LIT(FULL_TEXT "\2\0"
                      "\1\0a\1\0x"), /* fewer */
    };
    mcpsess_record r;
    size_t i;
    for (i = 0; i < COUNT_OF(bad); i++) {
        if (!CHECK_EQ(mcpsess_record_decode(bad[i], &r), MCPSESS_E_FORMAT)) tap_note("row", (int64_t)i);
    }
}

TEST(record_of_another_version_is_refused) {
    mcpsess_record r;
    CHECK_EQ(mcpsess_record_decode(MCPSESS_STR("\x01\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"), &r), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(MCPSESS_STR("\x02\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"), &r), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_record_decode(MCPSESS_STR("\x00\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"), &r), MCPSESS_E_FORMAT);
}

TEST(record_with_a_bad_principal_is_refused) {
    static const mcpsess_str bad[] = {
        LIT("\x01\1\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"), /* NUL alone */
        LIT("\x01\3\0i\0"
            "\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"),                /* its length says more */
        LIT("\x01\2\0i\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"),     /* no subject */
        LIT("\x01\2\0\0s\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"),     /* no issuer */
        LIT("\x01\2\0is\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"),      /* no NUL */
        LIT("\x01\5\0i\0s\0t\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\0\0\0\0"), /* two NULs */
    };
    mcpsess_record r;
    size_t i;
    for (i = 0; i < COUNT_OF(bad); i++) {
        if (!CHECK_EQ(mcpsess_record_decode(bad[i], &r), MCPSESS_E_FORMAT)) tap_note("row", (int64_t)i);
    }
}

/* ---- pairs ---- */

TEST(record_put_needs_exactly_its_room) {
    size_t cap;
    for (cap = FULL_LEN; cap <= FULL_LEN + 9u; cap++) {
        mcpsess_record r = full();
        mcpsess_buf b = buf_a(cap);
        bool fits = cap >= FULL_LEN + 4u + 2u + 3u;
        CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
        CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k1"), MCPSESS_STR("abc")), fits ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        CHECK_EQ(b.len, fits ? cap : FULL_LEN);
        CHECK(!b.overflow);
        if (!fits) CHECK_STR(mcpsess_buf_str(&b), FULL_TEXT "\0\0");
        CHECK_EQ(mem_a[cap], '#');
        if (!fits) continue;
        CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k1"), MCPSESS_STR("abcd")), MCPSESS_E_TOOBIG);
        CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k1"), MCPSESS_STR("xyz")), MCPSESS_OK);
        CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k1"), MCPSESS_STR("")), MCPSESS_OK);
        CHECK_STR(mcpsess_buf_str(&b), FULL_TEXT "\1\0"
                                                 "\2\0k1\0\0");
    }
}

TEST(record_edit_of_other_bytes_is_refused_and_changes_nothing) {
    mcpsess_buf b = sample();
    size_t n, whole = b.len;
    char was[96];
    memcpy(was, mem_b, whole);
    for (n = 0; n < whole; n++) {
        b.len = n;
        CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("aa"), MCPSESS_STR("x")), MCPSESS_E_FORMAT);
        CHECK_EQ(mcpsess_record_del(&b, MCPSESS_STR("a")), MCPSESS_E_FORMAT);
        CHECK_EQ(b.len, n);
        CHECK(same_bytes(was, mem_b, whole));
    }
}

TEST(record_del_of_every_pair) {
    static const char *const keys[] = {"a", "ab", "b"};
    static const mcpsess_str left[] = {
        LIT(FULL_TEXT "\2\0"
                      "\2\0ab\0\0"
                      "\1\0b\2\0"
                      "22"),
        LIT(FULL_TEXT "\2\0"
                      "\1\0a\1\0"
                      "1"
                      "\1\0b\2\0"
                      "22"),
        LIT(FULL_TEXT "\2\0"
                      "\1\0a\1\0"
                      "1"
                      "\2\0ab\0\0"),
    };
    size_t i;
    for (i = 0; i < 3; i++) {
        mcpsess_buf b = sample();
        CHECK_EQ(mcpsess_record_del(&b, mcpsess_str_z(keys[i])), MCPSESS_OK);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&b), left[i]));
        CHECK_EQ(mcpsess_record_del(&b, mcpsess_str_z(keys[i])), MCPSESS_MISS);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&b), left[i]));
    }
}

TEST(record_get_finds_exact_keys_only) {
    mcpsess_buf b = sample();
    mcpsess_record r;
    mcpsess_str v;
    static const char *const absent[] = {"0", "aa", "abc", "A", "c", "bb"};
    size_t i;
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &r), MCPSESS_OK);
    for (i = 0; i < COUNT_OF(absent); i++) {
        CHECK_EQ(mcpsess_record_get(&r, mcpsess_str_z(absent[i]), &v), MCPSESS_MISS);
        CHECK_EQ(mcpsess_record_del(&b, mcpsess_str_z(absent[i])), MCPSESS_MISS);
    }
    CHECK_EQ(mcpsess_record_get(&r, MCPSESS_STR("a\0"), &v), MCPSESS_MISS);
    CHECK_EQ(mcpsess_record_get(&r, MCPSESS_STR("ab"), &v), MCPSESS_OK);
    CHECK_EQ(v.len, 0);
}

TEST(record_walk_is_in_key_order) {
    mcpsess_buf b = sample();
    mcpsess_record r;
    mcpsess_str k, v;
    size_t cursor = 0;
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &r), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_next(&r, &cursor, &k, &v), MCPSESS_OK);
    CHECK_STR(k, "a");
    CHECK_STR(v, "1");
    CHECK_EQ(mcpsess_record_next(&r, &cursor, &k, &v), MCPSESS_OK);
    CHECK_STR(k, "ab");
    CHECK_STR(v, "");
    CHECK_EQ(mcpsess_record_next(&r, &cursor, &k, &v), MCPSESS_OK);
    CHECK_STR(k, "b");
    CHECK_STR(v, "22");
    CHECK_EQ(mcpsess_record_next(&r, &cursor, &k, &v), MCPSESS_END);
    CHECK_EQ(mcpsess_record_next(&r, &cursor, &k, &v), MCPSESS_END);
}

#if !PORT_SMALL
TEST(record_longer_than_any_that_encode_writes_is_refused) {
    static char long_mem[21 + 1 + 65535];
    static const char head[] = "\x01\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1x\xff\xff"; /* a backend of 65,535 bytes */
    mcpsess_record r;
    memset(long_mem, 0, sizeof long_mem);
    memcpy(long_mem, head, sizeof head - 1u);
    CHECK_EQ(mcpsess_record_decode(mcpsess_str_of(long_mem, sizeof long_mem), &r), MCPSESS_E_FORMAT);
    CHECK(zeroed(&r));
}

TEST(record_of_65535_bytes_and_one_more) {
    static char big[70000], mem[70000];
    mcpsess_record r = plain("x"), back;
    mcpsess_str text = str_fill(big, 'b', sizeof big);
    mcpsess_buf b;
    size_t rest = 65535u - (size_t)MCPSESS_RECORD_BYTES(0, 1, 0);
    r.backend = str_head(text, rest);
    mcpsess_buf_init(&b, mem, sizeof mem);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_EQ(b.len, 65535);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &back), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k"), MCPSESS_STR("")), MCPSESS_E_TOOBIG);
    CHECK_EQ(b.len, 65535);
    r.backend.len++;
    mcpsess_buf_init(&b, mem, sizeof mem);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_TOOBIG);
    CHECK_EQ(b.len, 0);
    r.backend = text;
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_E_TOOBIG);

    r.backend = MCPSESS_STR("");
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k"), str_head(text, rest - 4u)), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_record_put(&b, str_head(text, 65536), MCPSESS_STR("")), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k"), str_head(text, 65536)), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_record_put(&b, MCPSESS_STR("k"), str_head(text, rest - 5u)), MCPSESS_OK);
    CHECK_EQ(b.len, 65535);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &back), MCPSESS_OK);
    CHECK_EQ(back.pair_count, 1);
}
#endif

/* ---- the model: what a map would hold ---- */

#define MODEL_KEYS 8u

static bool pairs_agree(const mcpsess_record *r, const uint8_t *lens) {
    mcpsess_str v;
    unsigned i, present = 0;
    for (i = 0; i < MODEL_KEYS; i++) {
        int rc = mcpsess_record_get(r, str_byte('a' + i), &v);
        if ((rc == MCPSESS_OK) != (lens[i] != 0)) return false;
        if (rc != MCPSESS_OK) continue;
        present++;
        if (v.len != lens[i] - 1u) return false;
        if (v.len > 0 && (v.ptr[0] != (char)('a' + (int)i) || v.ptr[v.len - 1] != (char)('a' + (int)i))) return false;
    }
    return present == r->pair_count;
}

TEST(record_pairs_agree_with_a_map) {
    uint8_t lens[MODEL_KEYS]; /* value length + 1, 0: absent; a value repeats its key */
    char text[24];
    mcpsess_record r = full();
    mcpsess_buf b = buf_b();
    uint32_t round;
    size_t cap = 43 + 60;
    memset(lens, 0, sizeof lens);
    mcpsess_buf_init(&b, mem_b, cap);
    CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
    tap_seed(99);
    for (round = 0; round < PORT_ROUNDS / 20u; round++) {
        unsigned k = (unsigned)random_below(MODEL_KEYS), len = (unsigned)random_below(sizeof text);
        size_t old = lens[k] == 0 ? 0 : 4u + lens[k], was = b.len; /* 4 + one byte of key + value */
        bool ok;
        if (random_below(3) > 0) {
            bool fits = was - old + 5u + len <= cap;
            int rc = mcpsess_record_put(&b, str_byte('a' + k), str_fill(text, (char)('a' + (int)k), len));
            ok = rc == (fits ? MCPSESS_OK : MCPSESS_E_TOOBIG);
            if (fits) lens[k] = (uint8_t)(len + 1u);
        } else {
            ok = mcpsess_record_del(&b, str_byte('a' + k)) == (lens[k] == 0 ? MCPSESS_MISS : MCPSESS_OK);
            lens[k] = 0;
        }
        ok = ok && mcpsess_record_decode(mcpsess_buf_str(&b), &r) == MCPSESS_OK && pairs_agree(&r, lens);
        ok = ok && record_strict(mcpsess_buf_str(&b)) && mem_b[cap] == '#';
        if (!CHECK(ok)) {
            tap_note("failed in round", (int64_t)round);
            return;
        }
    }
}

void test_record(void) {
    RUN(record_bytes_are_as_documented);
    RUN(record_of_nobody_and_nothing);
    RUN(record_comes_back_and_points_into_its_bytes);
    RUN(record_edited_by_decode_and_encode_keeps_its_pairs);
    RUN(record_of_equal_content_is_equal_bytes);
    RUN(principal_has_both_parts_or_none);
    RUN(principal_length_is_bounded);
    RUN(record_belongs_to_its_principal_alone);
    RUN(record_of_nobody_belongs_to_nobody_alone);
    RUN(record_owned_of_other_bytes_is_false);
    RUN(record_owned_never_looks_past_its_slice);
    RUN(record_id_is_1_to_255_visible_ascii_characters);
    RUN(record_times_have_48_bits);
    RUN(record_encode_wants_an_empty_buffer_of_the_right_size);
    RUN(record_null);
    RUN(record_every_truncation_and_extension_is_refused);
    RUN(record_every_mutation_is_refused_or_canonical);
    RUN(record_pairs_out_of_order_twice_or_without_key_are_refused);
    RUN(record_of_another_version_is_refused);
    RUN(record_with_a_bad_principal_is_refused);
    RUN(record_put_needs_exactly_its_room);
    RUN(record_edit_of_other_bytes_is_refused_and_changes_nothing);
    RUN(record_del_of_every_pair);
    RUN(record_get_finds_exact_keys_only);
    RUN(record_walk_is_in_key_order);
#if !PORT_SMALL
    RUN(record_longer_than_any_that_encode_writes_is_refused);
    RUN(record_of_65535_bytes_and_one_more);
#endif
    RUN(record_pairs_agree_with_a_map);
}
