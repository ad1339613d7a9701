/* base: codes, slices, the bounded writer, base64, decimal, the seeded hash, time */

#include "test_util.h"

static char scratch[256];

static mcpsess_buf empty_buf(size_t cap) {
    mcpsess_buf b;
    memset(scratch, '#', sizeof scratch);
    mcpsess_buf_init(&b, scratch, cap);
    return b;
}

/* ---- codes and items ---- */

TEST(codes_and_items_have_texts) {
#ifdef MCPSESS_NO_TEXT
    CHECK_STR(mcpsess_str_z(mcpsess_code_name(MCPSESS_E_FULL)), "");
    CHECK_STR(mcpsess_str_z(mcpsess_code_text(MCPSESS_E_FULL)), "");
    CHECK_STR(mcpsess_str_z(mcpsess_item_text(MCPSESS_ITEM_EVICTED)), "");
#else
#define CODE_HAS_TEXT(name, number, text)                               \
    CHECK_STR(mcpsess_str_z(mcpsess_code_name(MCPSESS_##name)), #name); \
    CHECK_STR(mcpsess_str_z(mcpsess_code_text(number)), text);
#define ITEM_HAS_TEXT(name, number, text) CHECK_STR(mcpsess_str_z(mcpsess_item_text(number)), text);
    MCPSESS_CODES(CODE_HAS_TEXT)
    MCPSESS_ITEMS(ITEM_HAS_TEXT)
#endif
}

TEST(an_unknown_code_is_a_question_mark) {
#ifndef MCPSESS_NO_TEXT
    static const int unknown[] = {12, -20, 1000, -1000, INT_MAX, INT_MIN};
    size_t i;
    for (i = 0; i < COUNT_OF(unknown); i++) {
        CHECK_STR(mcpsess_str_z(mcpsess_code_name(unknown[i])), "?");
        CHECK_STR(mcpsess_str_z(mcpsess_code_text(unknown[i])), "?");
    }
    CHECK_STR(mcpsess_str_z(mcpsess_item_text(0)), "?");
    CHECK_STR(mcpsess_str_z(mcpsess_item_text(60)), "?");
    CHECK_STR(mcpsess_str_z(mcpsess_item_text(-1)), "?");
#else
    CHECK_STR(mcpsess_str_z(mcpsess_code_name(1000)), "");
#endif
}

/* ---- slices ---- */

TEST(slices_are_pointer_and_length) {
    mcpsess_str s = mcpsess_str_of(scratch, 3);
    CHECK(s.ptr == scratch);
    CHECK_EQ(s.len, 3);
    CHECK_EQ(mcpsess_str_z(NULL).len, 0);
    CHECK_EQ(mcpsess_str_z("").len, 0);
    CHECK_EQ(mcpsess_str_z("four").len, 4);
    CHECK_EQ(MCPSESS_STR("a\0b").len, 3);
    CHECK_EQ(mcpsess_str_of(NULL, 0).len, 0);
}

TEST(equal_is_byte_by_byte) {
    CHECK(mcpsess_str_eq(MCPSESS_STR("abc"), MCPSESS_STR("abc")));
    CHECK(mcpsess_str_eq(MCPSESS_STR(""), mcpsess_str_of(NULL, 0)));
    CHECK(mcpsess_str_eq(MCPSESS_STR("a\0b"), MCPSESS_STR("a\0b")));
    CHECK(!mcpsess_str_eq(MCPSESS_STR("a\0b"), MCPSESS_STR("a\0c")));
    CHECK(!mcpsess_str_eq(MCPSESS_STR("abc"), MCPSESS_STR("abd")));
    CHECK(!mcpsess_str_eq(MCPSESS_STR("abc"), MCPSESS_STR("ab")));
    CHECK(!mcpsess_str_eq(MCPSESS_STR(""), MCPSESS_STR("a")));
}

TEST(constant_time_equal_sees_every_single_bit) {
    char a[9] = "\0tokens\xff";
    unsigned at, bit;
    CHECK(mcpsess_str_eq_ct(mcpsess_str_of(NULL, 0), MCPSESS_STR("")));
    CHECK(!mcpsess_str_eq_ct(MCPSESS_STR("abc"), MCPSESS_STR("abcd")));
    CHECK(!mcpsess_str_eq_ct(MCPSESS_STR("abcd"), MCPSESS_STR("abc")));
    CHECK(!mcpsess_str_eq_ct(MCPSESS_STR(""), MCPSESS_STR("\0")));
    for (at = 0; at < 8; at++) {
        for (bit = 0; bit < 8; bit++) {
            char b[9];
            memcpy(b, a, sizeof b);
            CHECK(mcpsess_str_eq_ct(mcpsess_str_of(a, 8), mcpsess_str_of(b, 8)));
            b[at] = (char)((unsigned char)b[at] ^ (1u << bit));
            CHECK(!mcpsess_str_eq_ct(mcpsess_str_of(a, 8), mcpsess_str_of(b, 8)));
        }
    }
}

TEST(order_is_by_unsigned_bytes_a_prefix_first) {
    CHECK(mcpsess_str_order(MCPSESS_STR("a"), MCPSESS_STR("b")) < 0);
    CHECK(mcpsess_str_order(MCPSESS_STR("b"), MCPSESS_STR("a")) > 0);
    CHECK(mcpsess_str_order(MCPSESS_STR("a"), MCPSESS_STR("a")) == 0);
    CHECK(mcpsess_str_order(MCPSESS_STR("ab"), MCPSESS_STR("abc")) < 0);
    CHECK(mcpsess_str_order(MCPSESS_STR("abc"), MCPSESS_STR("ab")) > 0);
    CHECK(mcpsess_str_order(MCPSESS_STR("b"), MCPSESS_STR("aa")) > 0);
    CHECK(mcpsess_str_order(MCPSESS_STR("\x7f"), MCPSESS_STR("\x80")) < 0);
    CHECK(mcpsess_str_order(MCPSESS_STR("a\0b"), MCPSESS_STR("a\0a")) > 0);
    CHECK(mcpsess_str_order(mcpsess_str_of(NULL, 0), MCPSESS_STR("")) == 0);
    CHECK(mcpsess_str_order(mcpsess_str_of(NULL, 0), MCPSESS_STR("\0")) < 0);
}

/* ---- writer ---- */

TEST(a_put_fits_whole_or_writes_nothing) {
    mcpsess_buf b = empty_buf(5);
    mcpsess_buf_put(&b, MCPSESS_STR("abc"));
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_OK);
    mcpsess_buf_put(&b, MCPSESS_STR("def"));
    CHECK(b.overflow);
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_E_TOOBIG);
    CHECK_STR(mcpsess_buf_str(&b), "abc");
    CHECK(same_bytes(scratch, "abc####", 7));
}

TEST(a_buffer_takes_exactly_its_capacity) {
    mcpsess_buf b = empty_buf(5);
    mcpsess_buf_put(&b, MCPSESS_STR("abcd"));
    mcpsess_buf_put_char(&b, 'e');
    mcpsess_buf_put(&b, MCPSESS_STR(""));
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), "abcde");
    mcpsess_buf_put_char(&b, 'f');
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_E_TOOBIG);
    CHECK_STR(mcpsess_buf_str(&b), "abcde");
    CHECK(same_bytes(scratch, "abcde##", 7));
}

TEST(overflow_stays_until_init) {
    mcpsess_buf b = empty_buf(2);
    mcpsess_buf_put(&b, MCPSESS_STR("abc"));
    mcpsess_buf_put_char(&b, 'x');
    mcpsess_buf_put_u64(&b, 1);
    mcpsess_buf_put_b64(&b, MCPSESS_STR(""));
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_E_TOOBIG);
    mcpsess_buf_init(&b, scratch, 2);
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_OK);
    CHECK_EQ(b.len, 0);
}

TEST(a_buffer_of_nothing_takes_nothing) {
    mcpsess_buf b;
    mcpsess_buf_init(&b, NULL, 0);
    mcpsess_buf_put(&b, mcpsess_str_of(NULL, 0));
    mcpsess_buf_put_b64(&b, mcpsess_str_of(NULL, 0));
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_OK);
    CHECK_EQ(mcpsess_buf_str(&b).len, 0);
    mcpsess_buf_put_char(&b, 'x');
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_E_TOOBIG);
}

TEST(a_length_that_would_wrap_is_an_overflow) {
    mcpsess_buf b = empty_buf(8);
    mcpsess_buf_put(&b, MCPSESS_STR("abc"));
    mcpsess_buf_put(&b, mcpsess_str_of(scratch, SIZE_MAX));
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_E_TOOBIG);
    b = empty_buf(8);
    mcpsess_buf_put_b64(&b, mcpsess_str_of(scratch, SIZE_MAX));
    CHECK_EQ(mcpsess_buf_check(&b), MCPSESS_E_TOOBIG);
    CHECK_EQ(b.len, 0);
}

TEST(writer_survives_null) {
    mcpsess_buf_init(NULL, scratch, sizeof scratch);
    mcpsess_buf_put(NULL, MCPSESS_STR("a"));
    mcpsess_buf_put_char(NULL, 'a');
    mcpsess_buf_put_u64(NULL, 1);
    mcpsess_buf_put_b64(NULL, MCPSESS_STR("a"));
    CHECK_EQ(mcpsess_buf_str(NULL).len, 0);
    CHECK_EQ(mcpsess_buf_check(NULL), MCPSESS_E_ARG);
}

/* ---- decimal ---- */

/* the same by long division by ten, of 16-bit digits */
static mcpsess_str naive_decimal(uint64_t v, char text[21]) {
    char reversed[20];
    size_t n = 0, i;
    do {
        uint32_t rest = 0;
        uint64_t quotient = 0;
        int part;
        for (part = 3; part >= 0; part--) {
            rest = (rest << 16) | (uint32_t)((v >> (16 * part)) & 0xFFFFu);
            quotient |= (uint64_t)(rest / 10u) << (16 * part);
            rest %= 10u;
        }
        reversed[n++] = (char)('0' + (int)rest);
        v = quotient;
    } while (v != 0);
    for (i = 0; i < n; i++) text[i] = reversed[n - 1 - i];
    return mcpsess_str_of(text, n);
}

static bool writes_decimal(uint64_t v) {
    char text[21];
    mcpsess_str want = naive_decimal(v, text);
    mcpsess_buf b = empty_buf(want.len);
    uint64_t back = ~v;
    mcpsess_buf_put_u64(&b, v);
    if (!mcpsess_str_eq(mcpsess_buf_str(&b), want) || b.overflow) return false;
    if (mcpsess_u64_decode(want, INT64_MAX, &back) != (v <= INT64_MAX ? MCPSESS_OK : MCPSESS_E_FORMAT)) return false;
    if (v <= INT64_MAX && back != v) return false;
    b = empty_buf(want.len - 1);
    mcpsess_buf_put_u64(&b, v);
    return b.overflow && b.len == 0 && scratch[0] == '#';
}

TEST(decimal_around_every_power_of_ten_and_two) {
    uint64_t power;
    unsigned i;
    CHECK(writes_decimal(0));
    CHECK(writes_decimal(UINT64_MAX));
    CHECK(writes_decimal(UINT64_MAX - 1u));
    for (power = 1, i = 0; i < 20; power *= 10u, i++) {
        CHECK(writes_decimal(power - 1u));
        CHECK(writes_decimal(power));
        CHECK(writes_decimal(power + 1u));
    }
    for (power = 1, i = 0; i < 64; power <<= 1, i++) {
        CHECK(writes_decimal(power - 1u));
        CHECK(writes_decimal(power));
        CHECK(writes_decimal(power + 1u));
    }
}

TEST(decimal_literals) {
    mcpsess_buf b = empty_buf(41);
    mcpsess_buf_put_u64(&b, 0);
    mcpsess_buf_put_u64(&b, UINT64_MAX);
    mcpsess_buf_put_u64(&b, UINT64_C(10000000000000000000));
    CHECK_STR(mcpsess_buf_str(&b), "01844674407370955161510000000000000000000");
}

TEST(decimal_of_random_numbers) {
    uint32_t round;
    for (round = 0; round < PORT_ROUNDS / 50u; round++) {
        uint64_t v = ((uint64_t)tap_random() << 32) | tap_random();
        if (!CHECK(writes_decimal(v >> random_below(64)))) return;
    }
}

TEST(decimal_is_read_strictly) {
    static const char *const refused[] = {"",
                                          " ",
                                          "+1",
                                          "-1",
                                          "-0",
                                          "+",
                                          "-",
                                          " 1",
                                          "1 ",
                                          "00",
                                          "01",
                                          "0x1",
                                          "1e3",
                                          "1.0",
                                          "1,0",
                                          "1_0",
                                          "a",
                                          "1a",
                                          "1:",
                                          "1/",
                                          "\t1",
                                          "1\n",
                                          "18446744073709551616",
                                          "18446744073709551620",
                                          "20000000000000000000",
                                          "99999999999999999999",
                                          "100000000000000000000",
                                          "018446744073709551615"};
    uint64_t v;
    size_t i;
    for (i = 0; i < COUNT_OF(refused); i++) {
        if (!CHECK_EQ(mcpsess_u64_decode(mcpsess_str_z(refused[i]), INT64_MAX, &v), MCPSESS_E_FORMAT)) {
            tap_note("number of the text", (int64_t)i);
        }
    }
    CHECK_EQ(mcpsess_u64_decode(MCPSESS_STR("1\0"), INT64_MAX, &v), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_u64_decode(MCPSESS_STR("\0"), INT64_MAX, &v), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_u64_decode(mcpsess_str_of(NULL, 0), INT64_MAX, &v), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_u64_decode(MCPSESS_STR("1"), INT64_MAX, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_u64_decode(str_broken(), INT64_MAX, &v), MCPSESS_E_ARG);
}

TEST(decimal_is_read_up_to_the_bound) {
    static const struct {
        const char *text;
        uint64_t max;
        int rc;
    } t[] = {
        {"0", 0, MCPSESS_OK},
        {"1", 0, MCPSESS_E_FORMAT},
        {"9", 9, MCPSESS_OK},
        {"10", 9, MCPSESS_E_FORMAT},
        {"65535", 65535, MCPSESS_OK},
        {"65536", 65535, MCPSESS_E_FORMAT},
        {"9223372036854775807", INT64_MAX, MCPSESS_OK},
        {"9223372036854775808", INT64_MAX, MCPSESS_E_FORMAT},
        {"18446744073709551615", INT64_MAX, MCPSESS_E_FORMAT},
        {"18446744073709551616", INT64_MAX, MCPSESS_E_FORMAT},
        {"9223372036854775807", INT64_MAX - 1, MCPSESS_E_FORMAT},
        {"9223372036854775806", INT64_MAX - 1, MCPSESS_OK},
    };
    uint64_t v;
    size_t i;
    for (i = 0; i < COUNT_OF(t); i++) {
        v = 12345;
        if (!CHECK_EQ(mcpsess_u64_decode(mcpsess_str_z(t[i].text), t[i].max, &v), t[i].rc)) tap_note("row", (int64_t)i);
        if (t[i].rc == MCPSESS_OK) CHECK(writes_decimal(v));
    }
}

TEST(decimal_bound_above_2_to_63_is_an_argument_error) {
    uint64_t v;
    CHECK_EQ(mcpsess_u64_decode(MCPSESS_STR("1"), (uint64_t)INT64_MAX + 1u, &v), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_u64_decode(MCPSESS_STR("1"), UINT64_MAX, &v), MCPSESS_E_ARG);
}

TEST(decimal_refuses_every_byte_that_is_no_digit) {
    unsigned b;
    for (b = 0; b < 256; b++) {
        bool digit = b >= '0' && b <= '9';
        char text[3] = {'1', (char)b, '2'};
        uint64_t v = 0;
        CHECK_EQ(mcpsess_u64_decode(mcpsess_str_of(text, 3), INT64_MAX, &v), digit ? MCPSESS_OK : MCPSESS_E_FORMAT);
        CHECK_EQ(mcpsess_u64_decode(str_byte(b), INT64_MAX, &v), digit ? MCPSESS_OK : MCPSESS_E_FORMAT);
    }
}

/* ---- base64 ---- */

TEST(b64_vectors_of_rfc_4648) {
    static const struct {
        const char *bytes, *text;
    } t[] = {{"", ""},
             {"f", "Zg=="},
             {"fo", "Zm8="},
             {"foo", "Zm9v"},
             {"foob", "Zm9vYg=="},
             {"fooba", "Zm9vYmE="},
             {"foobar", "Zm9vYmFy"},
             {"~~~", "fn5+"},
             {"???", "Pz8/"}};
    size_t i;
    for (i = 0; i < COUNT_OF(t); i++) {
        mcpsess_buf b = empty_buf(16);
        mcpsess_buf_put_b64(&b, mcpsess_str_z(t[i].bytes));
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&b), mcpsess_str_z(t[i].text)));
        b = empty_buf(16);
        CHECK_EQ(mcpsess_b64_decode(mcpsess_str_z(t[i].text), &b), MCPSESS_OK);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&b), mcpsess_str_z(t[i].bytes)));
    }
}

TEST(b64_length) {
    size_t n;
    CHECK_EQ(mcpsess_b64_bytes(0), 0);
    for (n = 1; n < 100; n++) CHECK_EQ(mcpsess_b64_bytes(n), (n + 2) / 3 * 4);
    n = SIZE_MAX / 4 * 3;
    CHECK(mcpsess_b64_bytes(n) == SIZE_MAX / 4 * 4);
    CHECK_EQ(mcpsess_b64_bytes(n + 1), 0);
    CHECK_EQ(mcpsess_b64_bytes(SIZE_MAX - 1), 0);
    CHECK_EQ(mcpsess_b64_bytes(SIZE_MAX), 0);
}

TEST(b64_of_every_length_comes_back) {
    unsigned char bytes[48];
    char text[64];
    size_t n, i;
    for (n = 0; n <= sizeof bytes; n++) {
        mcpsess_buf t, b;
        for (i = 0; i < n; i++) bytes[i] = (unsigned char)tap_random();
        mcpsess_buf_init(&t, text, mcpsess_b64_bytes(n));
        mcpsess_buf_put_b64(&t, mcpsess_str_of(bytes, n));
        CHECK_EQ(mcpsess_buf_check(&t), MCPSESS_OK);
        CHECK_EQ(t.len, mcpsess_b64_bytes(n));
        b = empty_buf(n);
        CHECK_EQ(mcpsess_b64_decode(mcpsess_buf_str(&t), &b), MCPSESS_OK);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&b), mcpsess_str_of(bytes, n)));
    }
}

TEST(b64_refuses_what_is_not_canonical) {
    static const char *const refused[] = {
        "Z",     "Zg",    "Zg=",      "Zm8",      "Zm9",      "=",      "==",    "===",      "====",
        "Z===",  "=Zg=",  "Zg==Zg==", "Zm8=Zm8=", "Zg=v",     "Z=g=",   "Zm9v=", "Zm9v====", "Zg===", /* padding */
        "Zh==",  "Zv==",  "Zm9=",     "Zm+=",     "Zm9vZh==",                                         /* unused bits */
        " Zg==", "Zg== ", "Zg\n==",   "Z g=",     "Zm9v\r\n", "Zm9v\n", "\tZm9",                      /* white space */
        "fn5-",  "Pz8_",  "____",     "----", /* the URL alphabet */
        "Zm9!",  "Zm9.",  "Zm9,",     "Zm9\x80",
    };
    size_t i;
    for (i = 0; i < COUNT_OF(refused); i++) {
        mcpsess_buf b = empty_buf(16);
        if (!CHECK_EQ(mcpsess_b64_decode(mcpsess_str_z(refused[i]), &b), MCPSESS_E_FORMAT)) {
            tap_note("number of the text", (int64_t)i);
        }
        CHECK(b.len == 0 && !b.overflow);
    }
}

/* Either refused, with nothing written, or the one text that encode writes for those bytes. */
static bool b64_strict(mcpsess_str text) {
    char again[32];
    mcpsess_buf b = empty_buf(24), t;
    if (mcpsess_b64_decode(text, &b) != MCPSESS_OK) return b.len == 0 && !b.overflow;
    mcpsess_buf_init(&t, again, sizeof again);
    mcpsess_buf_put_b64(&t, mcpsess_buf_str(&b));
    return mcpsess_str_eq(mcpsess_buf_str(&t), text);
}

TEST(b64_of_every_mutation_and_truncation_is_strict) {
    static const char *const samples[] = {"Zm9vYmFy", "Zm9vYmE=", "Zm9vYg=="};
    size_t s, at, n;
    unsigned b;
    for (s = 0; s < COUNT_OF(samples); s++) {
        for (n = 0; n <= 8; n++) {
            mcpsess_buf out = empty_buf(24);
            CHECK(b64_strict(mcpsess_str_of(samples[s], n)));
            CHECK_EQ(mcpsess_b64_decode(mcpsess_str_of(samples[s], n), &out) == MCPSESS_OK, n % 4 == 0);
        }
        for (at = 0; at < 8; at++) {
            char text[8];
            memcpy(text, samples[s], 8);
            for (b = 0; b < 256; b++) {
                text[at] = (char)b;
                if (!CHECK(b64_strict(mcpsess_str_of(text, 8)))) tap_note("byte", (int64_t)b);
            }
        }
    }
}

TEST(b64_two_characters_have_one_meaning) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned hi, lo, accepted = 0;
    for (hi = 0; hi < 64; hi++) {
        for (lo = 0; lo < 64; lo++) {
            char text[4] = {alphabet[hi], alphabet[lo], '=', '='};
            mcpsess_buf b = empty_buf(3);
            if (mcpsess_b64_decode(mcpsess_str_of(text, 4), &b) != MCPSESS_OK) continue;
            accepted++;
            CHECK_EQ((unsigned char)scratch[0], (hi << 2) | (lo >> 4));
        }
    }
    CHECK_EQ(accepted, 256);
}

TEST(b64_appends_and_respects_the_room) {
    size_t cap;
    for (cap = 2; cap < 12; cap++) {
        mcpsess_buf b = empty_buf(cap);
        int rc;
        mcpsess_buf_put(&b, MCPSESS_STR(">>"));
        rc = mcpsess_b64_decode(MCPSESS_STR("Zm9vYmE="), &b);
        CHECK_EQ(rc, cap >= 7 ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        CHECK(!b.overflow);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&b), cap >= 7 ? MCPSESS_STR(">>fooba") : MCPSESS_STR(">>")));
        CHECK_EQ(scratch[cap], '#');

        b = empty_buf(cap);
        mcpsess_buf_put(&b, MCPSESS_STR(">>"));
        mcpsess_buf_put_b64(&b, MCPSESS_STR("fooba"));
        CHECK_EQ(b.overflow, cap < 10);
        CHECK_EQ(b.len, cap < 10 ? 2 : 10);
        CHECK_EQ(scratch[cap], '#');
    }
}

TEST(b64_null) {
    mcpsess_buf b = empty_buf(4);
    CHECK_EQ(mcpsess_b64_decode(mcpsess_str_of(NULL, 0), &b), MCPSESS_OK);
    CHECK_EQ(mcpsess_b64_decode(str_broken(), &b), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_b64_decode(MCPSESS_STR("Zg=="), NULL), MCPSESS_E_ARG);
}

/* ---- hash ---- */

/* Key 00 01 .. 0f, message 00 01 .. of every length up to 63; computed by an implementation in another language that
   was itself checked against the published vectors of the 2-4 variants. */
static const uint32_t hash_vectors[64] = {
#if MCPSESS_HASH_BITS == 64
    0x050fc4dcu, 0x7d57ca93u, 0x4dc7d44du, 0xe7ddf7fbu, 0x88d38328u, 0x49533b67u, 0xc59f22a7u, 0x9bb11140u, 0x8d299a8eu,
    0x6c063de4u, 0x92ff097fu, 0xf94dc352u, 0x57b4d9a2u, 0x1229ffa7u, 0xc0f95d34u, 0x2a519956u, 0x7d908b66u, 0x63dbd80cu,
    0xb473e63eu, 0x8d297d1cu, 0xa6cce040u, 0x2b45f844u, 0xa320872eu, 0xdae6c123u, 0x67349c8cu, 0x705b0979u, 0xca9913a5u,
    0x4ade3b35u, 0xef6cd00du, 0x4ab1e1f4u, 0x43c5e663u, 0x8c21d1bcu, 0x16a7b60du, 0x7a8ff9bfu, 0x1f2a753eu, 0xbf186b91u,
    0xada26206u, 0xa3c33057u, 0xae3a36a1u, 0x7b108392u, 0x99e41531u, 0x3f1ad944u, 0xc8138825u, 0xc28949a6u, 0xfaf8876bu,
    0x9f042196u, 0x68b1d623u, 0x8b5114fdu, 0xdf074c46u, 0x12cc86b3u, 0x0a52098fu, 0x9d292f9au, 0xa2f41f12u, 0x43a71ed0u,
    0x73f0bce6u, 0x70a7e980u, 0x243c6d75u, 0xfdb71513u, 0xa67d8a08u, 0xb7e8f148u, 0xf7a644eeu, 0x0f1837f2u, 0x4b6694e0u,
    0xb7bbb3a8u
#else
    0x5814c896u, 0xe7e864cau, 0xbc4b0e30u, 0x01539939u, 0x7e059ea6u, 0x88e3d89bu, 0xa0080b65u, 0x9d38d9d6u, 0x577999b1u,
    0xc839caedu, 0xe4fa32cfu, 0x959246eeu, 0x6b28096cu, 0x66dd9cd6u, 0x16658a7cu, 0xd0257b04u, 0x8b31d501u, 0x2b1cd04bu,
    0x06712339u, 0x522aca67u, 0x911bb605u, 0x90a65f0eu, 0xf826ef7bu, 0x62512debu, 0x57150ad7u, 0x5d473507u, 0x1ec47442u,
    0xab64afd3u, 0x0a4100d0u, 0x6d2ce652u, 0x2331b6a3u, 0x08d8791au, 0xbc6dda8du, 0xe0f6c934u, 0xb0652033u, 0x9b9851ccu,
    0x7c46fb7fu, 0x732ba8cbu, 0xf142997au, 0xfcc9aa1bu, 0x05327eb2u, 0xe110131cu, 0xf9e5e7c0u, 0xa7d708a6u, 0x11795ab1u,
    0x65671619u, 0x9f5fff91u, 0xd89c5267u, 0x007783ebu, 0x95766243u, 0xab639262u, 0x9c7e1390u, 0xc368dda6u, 0x38ddc455u,
    0xfa13d379u, 0x979ea4e8u, 0x53ecd77eu, 0x2ee80657u, 0x33dbb66au, 0xae3f0577u, 0x88b4c4ccu, 0x3e7f480bu, 0x74c1ebf8u,
    0x87178304u
#endif
};

TEST(hash_vectors_of_every_tail_length_aligned_or_not) {
    uint8_t key[16], bytes[66];
    unsigned n, shift, i;
    for (i = 0; i < 16; i++) key[i] = (uint8_t)i;
    for (n = 0; n < 64; n++) {
        for (shift = 0; shift < 3; shift++) {
            for (i = 0; i < n; i++) bytes[shift + i] = (uint8_t)i;
            CHECK_EQ(mcpsess_hash(key, mcpsess_str_of(bytes + shift, n)), hash_vectors[n]);
        }
    }
    CHECK_EQ(mcpsess_hash(key, mcpsess_str_of(NULL, 0)), hash_vectors[0]);
}

TEST(hash_vectors_of_other_keys) {
    mcpsess_str text = MCPSESS_STR("0b9c7a52-6a0e-4b57-9f4a-1d2e3f405162");
    uint8_t zero[16], ones[16], mixed[16];
    unsigned i;
    memset(zero, 0, sizeof zero);
    memset(ones, 0xFF, sizeof ones);
    for (i = 0; i < 16; i++) mixed[i] = (uint8_t)(i * 37u + 11u);
#if MCPSESS_HASH_BITS == 64
    CHECK_EQ(mcpsess_hash(zero, text), 0xf59e7f80u);
    CHECK_EQ(mcpsess_hash(ones, text), 0xdfbc0a6fu);
    CHECK_EQ(mcpsess_hash(mixed, text), 0x43c3ffd9u);
#else
    CHECK_EQ(mcpsess_hash(zero, text), 0x9055cdd2u);
    CHECK_EQ(mcpsess_hash(ones, text), 0x29be237eu);
    CHECK_EQ(mcpsess_hash(mixed, text), 0x8bf30089u);
#endif
}

/* ---- time ---- */

TEST(time_add_saturates_at_never) {
    CHECK(mcpsess_time_add(0, 0) == 0);
    CHECK(mcpsess_time_add(5, 7) == 12);
    CHECK(mcpsess_time_add(UINT64_MAX - 2u, 1) == UINT64_MAX - 1u);
    CHECK(mcpsess_time_add(UINT64_MAX - 2u, 2) == MCPSESS_NEVER);
    CHECK(mcpsess_time_add(UINT64_MAX - 2u, 3) == MCPSESS_NEVER);
    CHECK(mcpsess_time_add(5, MCPSESS_NEVER) == MCPSESS_NEVER);
    CHECK(mcpsess_time_add(MCPSESS_NEVER, 0) == MCPSESS_NEVER);
    CHECK(mcpsess_time_add(MCPSESS_NEVER, 1) == MCPSESS_NEVER);
    CHECK(mcpsess_time_add(MCPSESS_NEVER, MCPSESS_NEVER) == MCPSESS_NEVER);
}

TEST(time_left_counts_down_to_zero) {
    CHECK(mcpsess_time_left(5, 12) == 7);
    CHECK(mcpsess_time_left(11, 12) == 1);
    CHECK(mcpsess_time_left(12, 12) == 0);
    CHECK(mcpsess_time_left(13, 12) == 0);
    CHECK(mcpsess_time_left(UINT64_MAX - 1u, 0) == 0);
    CHECK(mcpsess_time_left(0, UINT64_MAX - 1u) == UINT64_MAX - 1u);
    CHECK(mcpsess_time_left(0, MCPSESS_NEVER) == MCPSESS_NEVER);
    CHECK(mcpsess_time_left(12, MCPSESS_NEVER) == MCPSESS_NEVER);
    CHECK(mcpsess_time_left(MCPSESS_NEVER, MCPSESS_NEVER) == MCPSESS_NEVER);
}

TEST(tick_survives_years_of_wraps) {
    mcpsess_tick t;
    uint64_t truth = 0;
    unsigned i;
    memset(&t, 0, sizeof t);
    for (i = 0; i < 500; i++) { /* 500 steps of up to 24 days */
        truth += (i % 3 == 0) ? 0x7FFFFFFFu : random_below(0x7FFFFFFFu);
        if (!CHECK(mcpsess_tick_now(&t, (uint32_t)truth) == truth)) return;
    }
    CHECK(truth > ((uint64_t)100 << 32));
}

TEST(tick_reads_one_ms_around_a_wrap) {
    mcpsess_tick t;
    memset(&t, 0, sizeof t);
    CHECK(mcpsess_tick_now(&t, 0x7FFFFFFFu) == 0x7FFFFFFFu);
    CHECK(mcpsess_tick_now(&t, 0xFFFFFFFEu) == 0xFFFFFFFEu);
    CHECK(mcpsess_tick_now(&t, 0xFFFFFFFFu) == 0xFFFFFFFFu);
    CHECK(mcpsess_tick_now(&t, 0) == UINT64_C(0x100000000));
    CHECK(mcpsess_tick_now(&t, 0) == UINT64_C(0x100000000));
    CHECK(mcpsess_tick_now(&t, 1) == UINT64_C(0x100000001));
}

TEST(tick_that_jitters_backwards_never_turns_time_back) {
    mcpsess_tick t;
    memset(&t, 0, sizeof t);
    CHECK(mcpsess_tick_now(&t, 1000) == 1000);
    CHECK(mcpsess_tick_now(&t, 999) == 1000);
    CHECK(mcpsess_tick_now(&t, 0) == 1000);
    CHECK(mcpsess_tick_now(&t, 0xFFFFFFFFu) == 1000); /* before the start: also earlier */
    CHECK(mcpsess_tick_now(&t, 1001) == 1001);
    t.now_ms = UINT64_C(0x300000001);
    CHECK(mcpsess_tick_now(&t, 0xFFFFFFF0u) == UINT64_C(0x300000001)); /* earlier, across a wrap */
    CHECK(mcpsess_tick_now(&t, 2) == UINT64_C(0x300000002));
}

void test_base(void) {
    RUN(codes_and_items_have_texts);
    RUN(an_unknown_code_is_a_question_mark);
    RUN(slices_are_pointer_and_length);
    RUN(equal_is_byte_by_byte);
    RUN(constant_time_equal_sees_every_single_bit);
    RUN(order_is_by_unsigned_bytes_a_prefix_first);
    RUN(a_put_fits_whole_or_writes_nothing);
    RUN(a_buffer_takes_exactly_its_capacity);
    RUN(overflow_stays_until_init);
    RUN(a_buffer_of_nothing_takes_nothing);
    RUN(a_length_that_would_wrap_is_an_overflow);
    RUN(writer_survives_null);
    RUN(decimal_around_every_power_of_ten_and_two);
    RUN(decimal_literals);
    RUN(decimal_of_random_numbers);
    RUN(decimal_is_read_strictly);
    RUN(decimal_is_read_up_to_the_bound);
    RUN(decimal_bound_above_2_to_63_is_an_argument_error);
    RUN(decimal_refuses_every_byte_that_is_no_digit);
    RUN(b64_vectors_of_rfc_4648);
    RUN(b64_length);
    RUN(b64_of_every_length_comes_back);
    RUN(b64_refuses_what_is_not_canonical);
    RUN(b64_of_every_mutation_and_truncation_is_strict);
    RUN(b64_two_characters_have_one_meaning);
    RUN(b64_appends_and_respects_the_room);
    RUN(b64_null);
    RUN(hash_vectors_of_every_tail_length_aligned_or_not);
    RUN(hash_vectors_of_other_keys);
    RUN(time_add_saturates_at_never);
    RUN(time_left_counts_down_to_zero);
    RUN(tick_survives_years_of_wraps);
    RUN(tick_reads_one_ms_around_a_wrap);
    RUN(tick_that_jitters_backwards_never_turns_time_back);
}
