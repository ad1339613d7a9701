/* RESP: every type, every limit, every split. */

#include "mcpsess_redis.h"
#include "test_util.h"

/* What a text decodes to, as a text: type letter, number, text; "." where the reply ends. */
static char seen_mem[PORT_SMALL ? 256 : 2048];
static mcpsess_buf seen;

static void note(const mcpsess_resp_item *item) {
    unsigned n;
    for (n = 0; n < item->depth; n++) mcpsess_buf_put_char(&seen, '>');
    mcpsess_buf_put_char(&seen, (char)item->type);
    if (item->number < 0) mcpsess_buf_put_char(&seen, '-');
    mcpsess_buf_put_u64(&seen, (uint64_t)(item->number < 0 ? -item->number : item->number));
    mcpsess_buf_put_char(&seen, '(');
    mcpsess_buf_put(&seen, item->text);
    mcpsess_buf_put_char(&seen, item->left != 0 ? '+' : ')');
    if (item->ends) mcpsess_buf_put_char(&seen, '.');
}

/* Pieces of a bulk as one, so that any split gives the same. */
static void note_whole(const mcpsess_resp_item *item) {
    bool first = (uint64_t)item->number == item->left + item->text.len ||
                 (item->type != MCPSESS_RESP_BULK && item->type != MCPSESS_RESP_VERBATIM);
    mcpsess_resp_item copy = *item;
    copy.left = 0;
    copy.ends = false;
    if (first) note(&copy);
    else {
        seen.len--;
        mcpsess_buf_put(&seen, item->text);
        mcpsess_buf_put_char(&seen, ')');
    }
    if (item->ends) mcpsess_buf_put_char(&seen, '.');
}

/* Hands the text out in parts, the first of `first` bytes, the others of `step`. -> the last answer of next */
static int decode_steps(mcpsess_str text, size_t first, size_t step, const mcpsess_resp_desc *limits, bool whole) {
    mcpsess_resp d;
    mcpsess_str in = mcpsess_str_of(text.ptr, first);
    mcpsess_resp_item item;
    int rc;
    mcpsess_buf_init(&seen, seen_mem, sizeof seen_mem);
    mcpsess_resp_init(&d, limits);
    for (;;) {
        rc = mcpsess_resp_next(&d, &in, &item);
        if (rc == MCPSESS_OK) {
            if (whole) note_whole(&item);
            else note(&item);
        } else if (rc == MCPSESS_PENDING && in.ptr + in.len < text.ptr + text.len) {
            size_t rest = (size_t)(text.ptr + text.len - in.ptr) - in.len;
            in.len += rest < step ? rest : step;
        } else {
            break;
        }
    }
    CHECK(rc < 0 || in.len == 0 || rc == MCPSESS_PENDING);
    return rc;
}

static int decode_split(mcpsess_str text, size_t split, const mcpsess_resp_desc *limits, bool whole) {
    return decode_steps(text, split, text.len, limits, whole);
}

static int decode(mcpsess_str text) {
    return decode_split(text, text.len, NULL, false);
}

#define GIVES(literal, items) \
    (CHECK_EQ(decode(MCPSESS_STR(literal)), MCPSESS_PENDING), CHECK_STR(mcpsess_buf_str(&seen), items))
#define FAILS(literal, code) CHECK_EQ(decode(MCPSESS_STR(literal)), code)

TEST(resp_scalars) {
    GIVES("+OK\r\n", "+0(OK).");
    GIVES("+\r\n", "+0().");
    GIVES("-ERR no\r\n", "-0(ERR no).");
    GIVES(":0\r\n:-7\r\n:+7\r\n", ":0(0).:-7(-7).:7(+7).");
    GIVES(":9223372036854775807\r\n", ":9223372036854775807(9223372036854775807).");
    GIVES("_\r\n$-1\r\n*-1\r\n", "_0()._0()._0().");
    GIVES("#t\r\n#f\r\n", "#1(t).#0(f).");
    GIVES(",1.5\r\n,-inf\r\n,nan\r\n,1e+20\r\n,.5\r\n", ",0(1.5).,0(-inf).,0(nan).,0(1e+20).,0(.5).");
    GIVES("(3492890328409238509324850943850943825024385\r\n", "(0(3492890328409238509324850943850943825024385).");
}

TEST(resp_smallest_integer) {
    mcpsess_resp d;
    mcpsess_resp_item item;
    mcpsess_str in = MCPSESS_STR(":-9223372036854775808\r\n");
    mcpsess_resp_init(&d, NULL);
    CHECK_EQ(mcpsess_resp_next(&d, &in, &item), MCPSESS_OK);
    CHECK_EQ(item.number, INT64_MIN);
}

TEST(resp_bulks) {
    GIVES("$5\r\nhello\r\n", "$5(hello).");
    GIVES("$0\r\n\r\n", "$0().");
    GIVES("$4\r\n\r\n\r\n\r\n", "$4(\r\n\r\n).");
    GIVES("!5\r\nERR x\r\n=6\r\ntxt:ab\r\n", "!5(ERR x).=6(txt:ab).");
}

TEST(resp_aggregates) {
    GIVES("*0\r\n", "*0().");
    GIVES("*2\r\n:1\r\n*1\r\n+a\r\n", "*2()>:1(1)>*1()>>+0(a).");
    GIVES("%1\r\n+k\r\n:1\r\n", "%2()>+0(k)>:1(1).");
    GIVES("~2\r\n*0\r\n%0\r\n", "~2()>*0()>%0().");
    GIVES(">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n+OK\r\n", ">2()>+0(invalidate)>*1()>>$1(k).+0(OK).");
}

TEST(resp_attributes_are_no_elements) {
    GIVES("|1\r\n+a\r\n:1\r\n+OK\r\n", "|2()>+0(a)>:1(1)+0(OK).");
    GIVES("*2\r\n|1\r\n+a\r\n:1\r\n:5\r\n:6\r\n", "*2()>|2()>>+0(a)>>:1(1)>:5(5)>:6(6).");
    GIVES("|0\r\n+OK\r\n", "|0()+0(OK).");
}

TEST(resp_refuses_what_is_not_resp) {
    static const char *const bad[] = {
        "x\r\n",
        "OK\r\n",
        ":\r\n",
        ":1a\r\n",
        ":9223372036854775808\r\n",
        ":--1\r\n",
        "+a\n",
        "+a\rb\r\n",
        "$a\r\n",
        "$-2\r\n",
        "$3\r\nabcd\r\n",
        "$1\r\nab\n",
        "*-2\r\n",
        "%-1\r\n",
        "#x\r\n",
        "#tt\r\n",
        ",\r\n",
        "x,1\r\n",
        ",e5\r\n",
        "(\r\n",
        "(1a\r\n",
        "_x\r\n",
        "=3\r\ntxt\r\n",
        "*1\r\n>1\r\n+a\r\n",
        ">0\r\n",
        "!-1\r\n",
        "~-1\r\n",
        "\r\n",
        ":99999999999999999999\r\n",
        "|-1\r\n",
    };
    unsigned n;
    for (n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        int rc = decode(mcpsess_str_z(bad[n]));
        if (rc != MCPSESS_E_FORMAT) tap_note("not refused", (int64_t)n);
        CHECK_EQ(rc, MCPSESS_E_FORMAT);
    }
}

TEST(resp_streamed_kinds_are_unsupported) {
    FAILS("*?\r\n", MCPSESS_E_UNSUPPORTED);
    FAILS("$?\r\n", MCPSESS_E_UNSUPPORTED);
    FAILS("%?\r\n", MCPSESS_E_UNSUPPORTED);
    FAILS(";4\r\n", MCPSESS_E_UNSUPPORTED);
    FAILS(".\r\n", MCPSESS_E_UNSUPPORTED);
}

TEST(resp_error_is_sticky) {
    mcpsess_resp d;
    mcpsess_resp_item item;
    mcpsess_str bad = MCPSESS_STR("x\r\n"), good = MCPSESS_STR("+OK\r\n");
    mcpsess_resp_init(&d, NULL);
    CHECK_EQ(mcpsess_resp_next(&d, &bad, &item), MCPSESS_E_FORMAT);
    CHECK_EQ(mcpsess_resp_next(&d, &good, &item), MCPSESS_E_FORMAT);
    mcpsess_resp_init(&d, NULL);
    CHECK_EQ(mcpsess_resp_next(&d, &good, &item), MCPSESS_OK);
}

static int limited(const char *text, uint32_t line, uint32_t bulk, uint32_t elements) {
    mcpsess_resp_desc d;
    memset(&d, 0, sizeof d);
    d.line_max = line;
    d.bulk_max = bulk;
    d.elements_max = elements;
    return decode_split(mcpsess_str_z(text), mcpsess_str_z(text).len, &d, false);
}

TEST(resp_limits_at_and_one_over) {
    CHECK_EQ(limited("+abcd\r\n", 4, 0, 0), MCPSESS_PENDING);
    CHECK_EQ(limited("+abcde\r\n", 4, 0, 0), MCPSESS_E_TOOBIG);
    CHECK_EQ(limited("+abcde", 4, 0, 0), MCPSESS_E_TOOBIG); /* before its end is there */
    CHECK_EQ(limited("$4\r\nabcd\r\n", 0, 4, 0), MCPSESS_PENDING);
    CHECK_EQ(limited("$5\r\n", 0, 4, 0), MCPSESS_E_TOOBIG);
    CHECK_EQ(limited("*3\r\n:1\r\n:2\r\n:3\r\n", 0, 0, 3), MCPSESS_PENDING);
    CHECK_EQ(limited("*4\r\n", 0, 0, 3), MCPSESS_E_TOOBIG);
    CHECK_EQ(limited("%2\r\n", 0, 0, 3), MCPSESS_E_TOOBIG);
    CHECK_EQ(limited("*2\r\n*2\r\n", 0, 0, 3), MCPSESS_E_TOOBIG); /* nested ones count as well */
    CHECK_EQ(limited(">4\r\n", 0, 0, 3), MCPSESS_PENDING);        /* those of a push do not */
    CHECK_EQ(limited("*4294967296\r\n", 0, 0, UINT32_MAX), MCPSESS_E_TOOBIG);
    CHECK_EQ(limited("%9223372036854775807\r\n", 0, 0, UINT32_MAX), MCPSESS_E_TOOBIG);
    CHECK_EQ(limited("$9223372036854775807\r\n", 0, UINT32_MAX, 0), MCPSESS_E_TOOBIG);
    CHECK_EQ(limited("|0\r\n|0\r\n|0\r\n|0\r\n", 0, 0, 3), MCPSESS_E_TOOBIG);      /* not for ever */
    CHECK_EQ(limited("*3\r\n:1\r\n:2\r\n:3\r\n*3\r\n", 0, 0, 3), MCPSESS_PENDING); /* each reply anew */
}

TEST(resp_depth) {
    char text[4 * MCPSESS_RESP_DEPTH + 16];
    mcpsess_buf b;
    unsigned n;
    mcpsess_buf_init(&b, text, sizeof text);
    for (n = 0; n < MCPSESS_RESP_DEPTH; n++) mcpsess_buf_put(&b, MCPSESS_STR("*1\r\n"));
    mcpsess_buf_put(&b, MCPSESS_STR("*0\r\n"));
    CHECK_EQ(decode(mcpsess_buf_str(&b)), MCPSESS_PENDING);
    CHECK_EQ(seen.ptr[seen.len - 1], '.');
    b.len -= 4;
    mcpsess_buf_put(&b, MCPSESS_STR("*1\r\n"));
    CHECK_EQ(decode(mcpsess_buf_str(&b)), MCPSESS_E_TOOBIG);
}

TEST(resp_any_split_gives_the_same) {
    static const char text[] = "*3\r\n$5\r\nhello\r\n:-12\r\n%1\r\n+k\r\n$0\r\n\r\n|1\r\n+a\r\n_\r\n,1.5\r\n"
                               ">2\r\n+invalidate\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n=7\r\ntxt:abc\r\n";
    static char first[sizeof seen_mem];
    size_t split, len;
    mcpsess_resp_desc d;
    memset(&d, 0, sizeof d);
    for (d.whole_max = 0; d.whole_max <= 64; d.whole_max += 64) {
        CHECK_EQ(decode_split(mcpsess_str_of(text, sizeof text - 1), sizeof text - 1, &d, true), MCPSESS_PENDING);
        len = seen.len;
        memcpy(first, seen_mem, len);
        for (split = 0; split < sizeof text - 1; split++) {
            CHECK_EQ(decode_split(mcpsess_str_of(text, sizeof text - 1), split, &d, true), MCPSESS_PENDING);
            CHECK(mcpsess_str_eq(mcpsess_buf_str(&seen), mcpsess_str_of(first, len)));
        }
    }
}

/* What is there as a whole may be taken by a shorter way; it must judge as the long one does, of good and bad bytes. */
TEST(resp_at_once_and_byte_by_byte_are_the_same) {
    static const char good[] = "$-1\r\n+OK\r\n:123\r\n:1234567890\r\n*3\r\n$3\r\nabc\r\n$-1\r\n:-1\r\n"
                               "_\r\n%1\r\n$1\r\nk\r\n$0\r\n\r\n"
                               "-ERR\r\n*-1\r\n*0\r\n>2\r\n+i\r\n$12\r\nabcdefghijkl\r\n";
    static const char bytes[] = "\r\n$*:+-_%>019ax";
    static char text[sizeof good], first[sizeof seen_mem];
    unsigned long round, rounds = PORT_ROUNDS / 100;
    tap_seed(11);
    for (round = 0; round < rounds; round++) {
        mcpsess_str whole = mcpsess_str_of(text, sizeof good - 1);
        mcpsess_resp_desc d;
        uint32_t changes = tap_random() % 3;
        size_t len;
        int rc;
        memset(&d, 0, sizeof d);
        d.line_max = 1 + tap_random() % 12;
        d.bulk_max = d.whole_max = 1 + tap_random() % 16;
        d.elements_max = 2 + tap_random() % 4;
        memcpy(text, good, sizeof text);
        for (; changes > 0; changes--)
            text[tap_random() % (sizeof good - 1)] = bytes[tap_random() % (sizeof bytes - 1)];
        rc = decode_split(whole, whole.len, &d, true);
        len = seen.len;
        memcpy(first, seen_mem, len);
        CHECK_EQ(decode_steps(whole, 1, 1, &d, true), rc);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&seen), mcpsess_str_of(first, len)));
    }
}

TEST(resp_bulk_comes_in_pieces_or_whole) {
    mcpsess_resp d;
    mcpsess_resp_desc limits;
    mcpsess_resp_item item;
    mcpsess_str in = MCPSESS_STR("$6\r\nabc");
    mcpsess_resp_init(&d, NULL);
    CHECK_EQ(mcpsess_resp_next(&d, &in, &item), MCPSESS_OK);
    CHECK_STR(item.text, "abc");
    CHECK_EQ(item.left, 3);
    CHECK(!item.ends);
    CHECK_EQ(in.len, 0);
    in = MCPSESS_STR("def"); /* all bytes, but its end is not there: one is kept for the last piece */
    CHECK_EQ(mcpsess_resp_next(&d, &in, &item), MCPSESS_OK);
    CHECK_STR(item.text, "de");
    CHECK_EQ(mcpsess_resp_next(&d, &in, &item), MCPSESS_PENDING);
    in = MCPSESS_STR("f\r\n");
    CHECK_EQ(mcpsess_resp_next(&d, &in, &item), MCPSESS_OK);
    CHECK_STR(item.text, "f");
    CHECK_EQ(item.left, 0);
    CHECK(item.ends);
    memset(&limits, 0, sizeof limits);
    limits.whole_max = 6;
    mcpsess_resp_init(&d, &limits);
    in = MCPSESS_STR("$6\r\nabcdef\r");
    CHECK_EQ(mcpsess_resp_next(&d, &in, &item), MCPSESS_PENDING);
    CHECK_EQ(in.len, 11);
    in = MCPSESS_STR("$6\r\nabcdef\r\n");
    CHECK_EQ(mcpsess_resp_next(&d, &in, &item), MCPSESS_OK);
    CHECK_STR(item.text, "abcdef");
}

TEST(resp_command_bytes_are_what_is_written) {
    char mem[64];
    mcpsess_buf b;
    const mcpsess_str argv[3] = {MCPSESS_STR("SET"), MCPSESS_STR("key"), mcpsess_str_of(NULL, 0)};
    mcpsess_str bad[1];
    size_t bytes = mcpsess_resp_command_bytes(argv, 3);
    mcpsess_buf_init(&b, mem, bytes);
    CHECK_EQ(mcpsess_resp_put_command(&b, argv, 3), MCPSESS_OK);
    CHECK_STR(mcpsess_buf_str(&b), "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n");
    CHECK_EQ(b.len, bytes);
    mcpsess_buf_init(&b, mem, bytes - 1);
    CHECK_EQ(mcpsess_resp_put_command(&b, argv, 3), MCPSESS_E_TOOBIG);
    CHECK_EQ(b.len, 0);
    CHECK(!b.overflow);
    CHECK_EQ(mcpsess_resp_put_command(&b, argv, 0), MCPSESS_E_ARG);
    bad[0].ptr = NULL;
    bad[0].len = 1;
    CHECK_EQ(mcpsess_resp_put_command(&b, bad, 1), MCPSESS_E_ARG);
    bad[0].ptr = mem;
    bad[0].len = SIZE_MAX - 8;
    CHECK_EQ(mcpsess_resp_command_bytes(bad, 1), 0);
    CHECK_EQ(mcpsess_resp_put_command(&b, bad, 1), MCPSESS_E_ARG);
}

/* A random reply, written with the put functions; its items into `seen`'s notation at once. */
static char text_mem[PORT_SMALL ? 192 : 600], want_mem[sizeof seen_mem];

static void random_reply(mcpsess_buf *text, mcpsess_buf *want) {
    static const char letters[] = "abc\r\ndef";
    unsigned left[MCPSESS_RESP_DEPTH], depth = 0, n;
    mcpsess_resp_item item;
    memset(&item, 0, sizeof item);
    for (;;) {
        uint32_t kind = tap_random() % 4;
        memset(&item, 0, sizeof item);
        item.depth = (uint8_t)depth;
        if (kind == 0 && depth < 3) {
            item.type = MCPSESS_RESP_ARRAY;
            item.number = 1 + (int64_t)(tap_random() % 3);
            mcpsess_resp_put_number(text, item.type, item.number);
        } else if (kind == 1) {
            item.type = MCPSESS_RESP_SIMPLE;
            item.text = mcpsess_str_of(letters, (size_t)(tap_random() % 4));
            mcpsess_resp_put_text(text, item.type, item.text);
        } else {
            item.type = MCPSESS_RESP_BULK;
            item.text = mcpsess_str_of(letters, (size_t)(tap_random() % 9));
            item.number = (int64_t)item.text.len;
            mcpsess_resp_put_bytes(text, item.type, item.text);
        }
        if (item.type != MCPSESS_RESP_ARRAY) {
            while (depth > 0 && left[depth - 1] == 1) depth--;
            if (depth > 0) left[depth - 1]--;
            item.ends = depth == 0;
        } else {
            left[depth++] = (unsigned)item.number;
        }
        seen = *want;
        note(&item);
        *want = seen;
        if (item.ends) return;
        for (n = 0; n < depth; n++) CHECK(left[n] > 0);
    }
}

TEST(resp_decodes_what_it_encodes) {
    unsigned long round, rounds = PORT_ROUNDS / 200;
    tap_seed(7);
    for (round = 0; round < rounds; round++) {
        mcpsess_buf text, want;
        mcpsess_resp_desc whole;
        memset(&whole, 0, sizeof whole);
        whole.whole_max = 16;
        mcpsess_buf_init(&text, text_mem, sizeof text_mem);
        mcpsess_buf_init(&want, want_mem, sizeof want_mem);
        random_reply(&text, &want);
        if (text.overflow || want.overflow) continue;
        CHECK_EQ(decode_split(mcpsess_buf_str(&text), (size_t)(tap_random() % (uint32_t)(text.len + 1)), &whole, false),
                 MCPSESS_PENDING);
        CHECK(mcpsess_str_eq(mcpsess_buf_str(&seen), mcpsess_buf_str(&want)));
    }
}

void test_resp(void) {
    RUN(resp_scalars);
    RUN(resp_smallest_integer);
    RUN(resp_bulks);
    RUN(resp_aggregates);
    RUN(resp_attributes_are_no_elements);
    RUN(resp_refuses_what_is_not_resp);
    RUN(resp_streamed_kinds_are_unsupported);
    RUN(resp_error_is_sticky);
    RUN(resp_limits_at_and_one_over);
    RUN(resp_depth);
    RUN(resp_any_split_gives_the_same);
    RUN(resp_at_once_and_byte_by_byte_are_the_same);
    RUN(resp_bulk_comes_in_pieces_or_whole);
    RUN(resp_command_bytes_are_what_is_written);
    RUN(resp_decodes_what_it_encodes);
}
