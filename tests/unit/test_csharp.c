/* The MCP C# SDK's formats: what is written is what .NET writes, to the byte, and whatever .NET reads is read. */

#include "mcpsess_redis.h"
#include "test_util.h"

#define TEXT_MAX 320u

static char json_mem[TEXT_MAX], mem[TEXT_MAX];
static mcpsess_buf json, names;
static mcpsess_event e;
static mcpsess_csharp_meta m;

/* A literal, which a small target keeps in flash until then. Lives until the next but one; ends where its memory does,
   so that a sanitizer sees one byte too many. */
static mcpsess_str text_of(const char *literal, size_t len) {
    static char even[TEXT_MAX], odd[TEXT_MAX];
    static bool turn;
    char *at = ((turn = !turn) ? odd : even) + TEXT_MAX - len;
    size_t n;
    if (!CHECK(len <= TEXT_MAX)) port_exit(1);
    for (n = 0; n < len; n++) at[n] = (char)PORT_TEXT_CHAR(literal + n);
    return mcpsess_str_of(at, len);
}
#define TEXT(literal) text_of(PORT_TEXT(literal), sizeof(literal) - 1)
#define IS_TEXT(got, literal) \
    tap_check(mcpsess_str_eq(got, TEXT(literal)), __FILE__, __LINE__, PORT_TEXT(#got " is this"))

static void blank(void) {
    memset(&e, 0, sizeof e);
    memset(&m, 0, sizeof m);
    mcpsess_buf_init(&json, json_mem, sizeof json_mem);
}

/* Writes e; -> the text, empty on an error */
static mcpsess_str written(void) {
    mcpsess_buf_init(&json, json_mem, sizeof json_mem);
    (void)mcpsess_csharp_event_encode(&e, &json);
    return mcpsess_buf_str(&json);
}

static int write_rc(void) {
    int rc;
    mcpsess_buf_init(&json, json_mem, sizeof json_mem);
    rc = mcpsess_csharp_event_encode(&e, &json);
    CHECK(!json.overflow && (rc == MCPSESS_OK) == (json.len != 0));
    return rc;
}

/* Reads into e. */
static int read_event(mcpsess_str text) {
    int rc;
    mcpsess_buf_init(&names, mem, sizeof mem);
    memset(&e, 0xAA, sizeof e);
    rc = mcpsess_csharp_event_decode(text, &names, &e);
    CHECK(!names.overflow);
    if (rc != MCPSESS_OK) CHECK(names.len == 0 && e.type.len == 0 && e.data.ptr == NULL && e.id.len == 0 && !e.retry);
    return rc;
}

static int read_meta(mcpsess_str text) {
    int rc;
    memset(&m, 0xAA, sizeof m);
    rc = mcpsess_csharp_meta_decode(text, &m);
    if (rc != MCPSESS_OK) CHECK(m.last == 0 && !m.polling && !m.done);
    return rc;
}

#define READS(literal) CHECK_EQ(read_event(TEXT(literal)), MCPSESS_OK)
#define REFUSED(literal) CHECK_EQ(read_event(TEXT(literal)), MCPSESS_E_FORMAT)
#define META_REFUSED(literal) CHECK_EQ(read_meta(TEXT(literal)), MCPSESS_E_FORMAT)

/* Is this what the metadata say, and is it what is written for that? */
static bool meta_is(mcpsess_str text, bool polling, bool done, uint64_t last) {
    return read_meta(text) == MCPSESS_OK && m.polling == polling && m.done == done && m.last == last;
}

static bool meta_writes(bool numeric, mcpsess_str text) {
    mcpsess_buf_init(&json, json_mem, sizeof json_mem);
    return mcpsess_csharp_meta_encode(&m, numeric, &json) == MCPSESS_OK && mcpsess_str_eq(mcpsess_buf_str(&json), text);
}

/* ---- section 2.5: the vectors ---- */

TEST(csharp_vector_of_a_priming_event) {
    blank();
    e.type = MCPSESS_STR(MCPSESS_EVENT_PRIME);
    e.id = MCPSESS_STR("YWJj:MQ==:1");
    IS_TEXT(written(), "{\"eventType\":\"prime\",\"eventId\":\"YWJj:MQ==:1\"}");
    CHECK_EQ(json.len, 45);
    CHECK_EQ(read_event(mcpsess_buf_str(&json)), MCPSESS_OK);
    CHECK_STR(e.type, "prime");
    CHECK_STR(e.id, "YWJj:MQ==:1");
    CHECK(e.data.ptr == NULL && !e.retry);
}

TEST(csharp_vector_of_a_message) {
    static const char text[] MCPSESS_ROM =
        "{\"eventType\":\"message\",\"eventId\":\"YWJj:MQ==:7\",\"data\":{\"result\":{},"
        "\"id\":1,\"jsonrpc\":\"2.0\"}}";
    blank();
    e.id = MCPSESS_STR("YWJj:MQ==:7"); /* no type is "message", as with .NET */
    e.data = MCPSESS_STR("{\"result\":{},\"id\":1,\"jsonrpc\":\"2.0\"}");
    CHECK(mcpsess_str_eq(written(), text_of(text, sizeof text - 1)));
    CHECK_EQ(json.len, 91);
    CHECK_EQ(read_event(mcpsess_buf_str(&json)), MCPSESS_OK);
    CHECK_STR(e.type, "message");
    CHECK_STR(e.id, "YWJj:MQ==:7");
    CHECK_STR(e.data, "{\"result\":{},\"id\":1,\"jsonrpc\":\"2.0\"}");
    CHECK(mcpsess_str_eq(written(), text_of(text, sizeof text - 1)));
}

TEST(csharp_vector_of_metadata) {
    CHECK(meta_is(TEXT("{\"mode\":\"Streaming\",\"isCompleted\":false,\"lastSequence\":7}"), false, false, 7));
    CHECK(meta_writes(false, TEXT("{\"mode\":\"Streaming\",\"isCompleted\":false,\"lastSequence\":7}")));
    CHECK_EQ(json.len, 57);
    CHECK(meta_writes(true, TEXT("{\"mode\":0,\"isCompleted\":false,\"lastSequence\":7}")));
    CHECK_EQ(json.len, 47);
    CHECK(meta_is(mcpsess_buf_str(&json), false, false, 7));
    CHECK(meta_is(TEXT("{\"mode\":\"Polling\",\"isCompleted\":true,\"lastSequence\":9223372036854775807}"), true, true,
                  (uint64_t)MCPSESS_SEQUENCE_MAX));
    CHECK(meta_writes(false, TEXT("{\"mode\":\"Polling\",\"isCompleted\":true,\"lastSequence\":9223372036854775807}")));
    CHECK(meta_writes(true, TEXT("{\"mode\":1,\"isCompleted\":true,\"lastSequence\":9223372036854775807}")));
}

static mcpsess_csharp_entry entries[3];
static size_t cursor;

static int next_entry(mcpsess_str text) {
    mcpsess_buf_init(&names, mem, sizeof mem);
    memset(&entries[0], 0xAA, sizeof entries[0]);
    return mcpsess_csharp_index_next(text, &cursor, &names, &entries[0]);
}

TEST(csharp_vector_of_an_index) {
    mcpsess_str text;
    blank();
    entries[0].stream = MCPSESS_STR("1");
    entries[0].last = 7;
    CHECK_EQ(mcpsess_csharp_index_encode(entries, 1, &json), MCPSESS_OK);
    text = mcpsess_buf_str(&json);
    IS_TEXT(text, "{\"streams\":[{\"streamId\":\"1\",\"lastSequence\":7}]}");
    CHECK_EQ(json.len, 47);
    cursor = 0;
    CHECK_EQ(next_entry(text), MCPSESS_OK);
    CHECK_STR(entries[0].stream, "1");
    CHECK_EQ(entries[0].last, 7);
    CHECK_EQ(next_entry(text), MCPSESS_END);
    CHECK_EQ(next_entry(text), MCPSESS_END);
}

TEST(csharp_vector_of_a_plus) { /* ids of ~~~ and ??? */
    blank();
    e.type = MCPSESS_STR("t");
    e.id = MCPSESS_STR("fn5+:Pz8/:3");
    IS_TEXT(written(), "{\"eventType\":\"t\",\"eventId\":\"fn5\\u002B:Pz8/:3\"}");
    CHECK_EQ(read_event(mcpsess_buf_str(&json)), MCPSESS_OK);
    CHECK_STR(e.id, "fn5+:Pz8/:3");
}

/* ---- writing ---- */

/* What becomes of a type. */
static bool escapes(mcpsess_str type, mcpsess_str want) {
    mcpsess_str text;
    e.type = type;
    text = written();
    return text.len == want.len + 16u && mcpsess_str_eq(mcpsess_str_of(text.ptr + 14, want.len), want);
}

TEST(csharp_escapes_every_byte_of_ascii_as_dotnet_does) {
    static const char as_they_are[] MCPSESS_ROM =
        " !#$%()*,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~";
    static const char letters[] MCPSESS_ROM = "\bb\ff\nn\rr\tt\\\\";
    unsigned c, n;
    blank();
    for (c = 0; c < 0x80; c++) {
        char want[6] = {'\\', 'u', '0', '0', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
        size_t len = 6;
        for (n = 0; n < sizeof as_they_are - 1; n++) {
            if ((unsigned char)PORT_TEXT_CHAR(as_they_are + n) != c) continue;
            want[0] = (char)c;
            len = 1;
        }
        for (n = 0; n < sizeof letters - 1; n += 2) {
            if ((unsigned char)PORT_TEXT_CHAR(letters + n) != c) continue;
            want[1] = (char)PORT_TEXT_CHAR(letters + n + 1);
            len = 2;
        }
        CHECK(escapes(str_byte(c), mcpsess_str_of(want, len)));
    }
}

TEST(csharp_escapes_all_that_is_not_ascii) {
    blank();
    CHECK(escapes(MCPSESS_STR("\xC2\x80\xC3\xA9\xDF\xBF"), TEXT("\\u0080\\u00E9\\u07FF")));
    CHECK(escapes(MCPSESS_STR("\xE0\xA0\x80\xE6\x97\xA5\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"),
                  TEXT("\\u0800\\u65E5\\uD7FF\\uE000\\uFFFF")));
    CHECK(escapes(MCPSESS_STR("\xF0\x90\x80\x80\xF0\x9F\x8E\x89\xF4\x8F\xBF\xBF"),
                  TEXT("\\uD800\\uDC00\\uD83C\\uDF89\\uDBFF\\uDFFF")));
    CHECK(escapes(MCPSESS_STR("a\xE2\x80\xA8z"), TEXT("a\\u2028z")));
}

#define FFFD "\\uFFFD"

/* One U+FFFD for as many bytes as could have begun a character: Unicode, section 3.9, table 3-8 ff. */
TEST(csharp_broken_utf8_is_replaced_as_dotnet_does) {
    blank();
    CHECK(escapes(MCPSESS_STR("a\x80z"), TEXT("a" FFFD "z")));
    CHECK(escapes(MCPSESS_STR("\xC0\x80"), TEXT(FFFD FFFD)));
    CHECK(escapes(MCPSESS_STR("\xC1\xBF"), TEXT(FFFD FFFD)));
    CHECK(escapes(MCPSESS_STR("\xC2"), TEXT(FFFD)));
    CHECK(escapes(MCPSESS_STR("\xC2\xC2\x80"), TEXT(FFFD "\\u0080")));
    CHECK(escapes(MCPSESS_STR("\xDFz"), TEXT(FFFD "z")));
    CHECK(escapes(TEXT("\xE2\x82"), TEXT(FFFD))); /* and nothing behind it is looked at */
    CHECK(escapes(TEXT("\xF0\x9F\x8E"), TEXT(FFFD)));
    CHECK(escapes(MCPSESS_STR("\xE2\x82z"), TEXT(FFFD "z")));
    CHECK(escapes(MCPSESS_STR("\xE2z"), TEXT(FFFD "z")));
    CHECK(escapes(MCPSESS_STR("\xE0\x9F\xBF"), TEXT(FFFD FFFD FFFD)));
    CHECK(escapes(MCPSESS_STR("\xE0\xA0"), TEXT(FFFD)));
    CHECK(escapes(MCPSESS_STR("\xED\xA0\x80"), TEXT(FFFD FFFD FFFD)));
    CHECK(escapes(MCPSESS_STR("\xED\x9F"), TEXT(FFFD)));
    CHECK(escapes(MCPSESS_STR("\xF0\x9F\x8E"), TEXT(FFFD)));
    CHECK(escapes(MCPSESS_STR("\xF0\x9F\x8Ez"), TEXT(FFFD "z")));
    CHECK(escapes(MCPSESS_STR("\xF0\x9F\xF0\x9F\x8E\x89"), TEXT(FFFD "\\uD83C\\uDF89")));
    CHECK(escapes(MCPSESS_STR("\xF0\x8F\xBF\xBF"), TEXT(FFFD FFFD FFFD FFFD)));
    CHECK(escapes(MCPSESS_STR("\xF4\x8F\xBF"), TEXT(FFFD)));
    CHECK(escapes(MCPSESS_STR("\xF4\x90\x80\x80"), TEXT(FFFD FFFD FFFD FFFD)));
    CHECK(escapes(MCPSESS_STR("\xF5\x80\xFE\xFF"), TEXT(FFFD FFFD FFFD FFFD)));
    CHECK(escapes(MCPSESS_STR("\xF1\x80\x80\xE1\x80\xC2z"), TEXT(FFFD FFFD FFFD "z")));
}

TEST(csharp_members_that_are_none_are_omitted) { /* item 8 */
    blank();
    IS_TEXT(written(), "{\"eventType\":\"message\"}");
    e.retry = true;
    e.retry_ms = 0;
    IS_TEXT(written(), "{\"eventType\":\"message\",\"reconnectionIntervalMs\":0}");
    e.id = MCPSESS_STR("i");
    e.retry_ms = 0x7FFFFFFF;
    e.data = MCPSESS_STR("null");
    IS_TEXT(written(),
            "{\"eventType\":\"message\",\"eventId\":\"i\",\"reconnectionIntervalMs\":2147483647,\"data\":null}");
    e.retry_ms = UINT32_C(0x80000000);
    CHECK_EQ(write_rc(), MCPSESS_E_TOOBIG);
}

/* data in, and how it stands in the record; NULL: refused */
static bool embeds(mcpsess_str data, mcpsess_str want) {
    mcpsess_str text;
    blank();
    e.data = data;
    text = written();
    return text.len == want.len + 31u && mcpsess_str_eq(mcpsess_str_of(text.ptr + 30, want.len), want);
}

#define EMBEDS(literal) CHECK(embeds(TEXT(literal), TEXT(literal)))
#define NO_DATA(literal)                        \
    do {                                        \
        blank();                                \
        e.data = TEXT(literal);                 \
        CHECK_EQ(write_rc(), MCPSESS_E_FORMAT); \
    } while (0)

TEST(csharp_data_are_embedded_as_they_are) {
    EMBEDS("{}");
    EMBEDS("0");
    EMBEDS("-1.5e+3");
    EMBEDS("true");
    EMBEDS("\"+<>&'\xC3\xA9\"");
    EMBEDS("{\"a\" : [ 1, {\"\\u002b\":null} ] }");
    CHECK(embeds(TEXT(" \t\r\n[ 1 ]\n "), TEXT("[ 1 ]"))); /* but for what is around them */
    CHECK(embeds(TEXT("\t1"), TEXT("1")));
}

TEST(csharp_data_that_would_break_the_record_are_refused) {
    NO_DATA("");
    NO_DATA(" ");
    NO_DATA("{");
    NO_DATA("}");
    NO_DATA("{}}");
    NO_DATA("{},\"eventType\":\"x\"");
    NO_DATA("{} {}");
    NO_DATA("1,2");
    NO_DATA("nul");
    NO_DATA("'a'");
    NO_DATA("\"a");
    NO_DATA("\"a\nb\"");
    NO_DATA("\"\\x\"");
    NO_DATA("\"\\u12\"");
    NO_DATA("[1,]");
    NO_DATA("01");
    NO_DATA("NaN");
    NO_DATA("/**/1");
    NO_DATA("\"\xFF\"");
    NO_DATA("\"\xED\xA0\x80\"");
    NO_DATA("\xEF\xBB\xBF{}");
}

/* .NET reads 64 values within each other, of which the record is one. */
TEST(csharp_data_are_as_deep_as_dotnet_reads) {
    char deep[2 * 64];
    size_t n, depth;
    for (depth = 63; depth <= 64; depth++) {
        for (n = 0; n < depth; n++) {
            deep[n] = '[';
            deep[depth + n] = ']';
        }
        blank();
        e.data = mcpsess_str_of(deep, 2 * depth);
        CHECK_EQ(write_rc(), depth == 63 ? MCPSESS_OK : MCPSESS_E_FORMAT);
        if (depth != 63) continue;
        CHECK_EQ(read_event(mcpsess_buf_str(&json)), MCPSESS_OK);
        CHECK(mcpsess_str_eq(e.data, mcpsess_str_of(deep, 2 * depth)));
    }
}

/* ---- reading ---- */

TEST(csharp_reads_members_in_any_order_and_case) {
    READS("{\"data\":[1],\"RECONNECTIONINTERVALMS\":5,\"EventId\":\"i\",\"eventtype\":\"t\"}");
    CHECK(e.retry && e.retry_ms == 5);
    CHECK_STR(e.data, "[1]");
    CHECK_STR(e.id, "i");
    CHECK_STR(e.type, "t");
    READS(" { \"unknown\" : {\"eventType\":\"no\"} , \"eventType\" : \"yes\" } \n");
    CHECK_STR(e.type, "yes");
    READS("{\"\\u0065vent\\u0054ype\":\"a\\u002Bb\\uD83C\\uDF89\\n\"}");
    CHECK_STR(e.type, "a+b\xF0\x9F\x8E\x89\n");
    READS("{\"eventType\":\"first\",\"EVENTTYPE\":\"last\",\"data\":1,\"Data\":2}");
    CHECK_STR(e.type, "last");
    CHECK_STR(e.data, "2");
    READS("{\"eventTypes\":\"x\",\"event\":\"y\",\"\":\"z\"}");
    CHECK(e.type.len == 0 && e.data.ptr == NULL);
}

TEST(csharp_reads_null_for_what_may_be_none) {
    READS("{\"eventType\":null,\"eventId\":null,\"reconnectionIntervalMs\":null,\"data\":null}");
    CHECK(e.type.len == 0 && e.id.len == 0 && !e.retry && e.data.ptr == NULL);
    READS("{\"reconnectionIntervalMs\":7,\"reconnectionIntervalMs\":null,\"data\":1,\"data\":null}");
    CHECK(!e.retry && e.data.ptr == NULL);
    READS("{}");
    CHECK_EQ(read_event(TEXT("null")), MCPSESS_MISS); /* item 17 */
    CHECK_EQ(read_event(TEXT(" null ")), MCPSESS_MISS);
    CHECK_EQ(read_meta(TEXT("null")), MCPSESS_MISS);
}

TEST(csharp_reads_numbers_from_strings) {
    READS("{\"reconnectionIntervalMs\":\"2147483647\"}");
    CHECK(e.retry && e.retry_ms == 2147483647);
    READS("{\"reconnectionIntervalMs\":\"1\\u0032\"}");
    CHECK(e.retry && e.retry_ms == 12);
    READS("{\"reconnectionIntervalMs\":-1}"); /* which no client would take */
    CHECK(!e.retry);
    CHECK(meta_is(TEXT("{\"lastSequence\":\"12\",\"mode\":\"1\"}"), true, false, 12));
}

TEST(csharp_events_that_dotnet_refuses_are_refused) {
    REFUSED("");
    REFUSED("[]");
    REFUSED("1");
    REFUSED("\"x\"");
    REFUSED("nul");
    REFUSED("nullx");
    REFUSED("null{}");
    REFUSED("{");
    REFUSED("{}x");
    REFUSED("{}{}");
    REFUSED("{\"eventType\":1}");
    REFUSED("{\"eventType\":true}");
    REFUSED("{\"eventId\":{}}");
    REFUSED("{\"eventType\":\"a\",}");
    REFUSED("{\"data\":}");
    REFUSED("{\"data\":\"\xFF\"}");
    REFUSED("{\"reconnectionIntervalMs\":2147483648}");
    REFUSED("{\"reconnectionIntervalMs\":1.0}");
    REFUSED("{\"reconnectionIntervalMs\":1e3}");
    REFUSED("{\"reconnectionIntervalMs\":\"\"}");
    REFUSED("{\"reconnectionIntervalMs\":\"x\"}");
    REFUSED("{\"reconnectionIntervalMs\":-x}");
    REFUSED("{\"reconnectionIntervalMs\":\"123456789012345678901\"}");
    REFUSED("{\"reconnectionIntervalMs\":{}}");
    REFUSED("{\"reconnectionIntervalMs\":false}");
}

TEST(csharp_reads_metadata_of_every_form) {
    CHECK(meta_is(TEXT("{}"), false, false, 0));
    CHECK(
        meta_is(TEXT(" {\"LASTSEQUENCE\":3 , \"isCOMPLETED\":true, \"Mode\":\"pOLLING\", \"x\":[]} "), true, true, 3));
    CHECK(meta_is(TEXT("{\"mode\":0}"), false, false, 0));
    CHECK(meta_is(TEXT("{\"mode\":1}"), true, false, 0));
    CHECK(meta_is(TEXT("{\"mode\":7}"), false, false, 0)); /* neither, for .NET too */
    CHECK(meta_is(TEXT("{\"mode\":\"\\u0050olling\"}"), true, false, 0));
    CHECK(meta_is(TEXT("{\"lastSequence\":1,\"LastSequence\":2}"), false, false, 2));
    META_REFUSED("[]");
    META_REFUSED("{\"mode\":\"Poll\"}");
    META_REFUSED("{\"mode\":\"\"}");
    META_REFUSED("{\"mode\":null}");
    META_REFUSED("{\"mode\":true}");
    META_REFUSED("{\"mode\":2147483648}");
    META_REFUSED("{\"isCompleted\":null}");
    META_REFUSED("{\"isCompleted\":\"true\"}");
    META_REFUSED("{\"isCompleted\":1}");
    META_REFUSED("{\"lastSequence\":null}");
    META_REFUSED("{\"lastSequence\":-1}");
    META_REFUSED("{\"lastSequence\":1.5}");
    META_REFUSED("{\"lastSequence\":9223372036854775808}");
    META_REFUSED("{\"lastSequence\":[7]}");
    META_REFUSED("{\"lastSequence\":7}7");
}

TEST(csharp_index_of_several) {
    mcpsess_str text;
    blank();
    entries[0].stream = MCPSESS_STR("__get__");
    entries[0].last = 0;
    entries[1].stream = MCPSESS_STR("\"a\"+");
    entries[1].last = (uint64_t)MCPSESS_SEQUENCE_MAX;
    entries[2].stream = MCPSESS_STR("");
    entries[2].last = 1;
    CHECK_EQ(mcpsess_csharp_index_encode(entries, 3, &json), MCPSESS_OK);
    text = mcpsess_buf_str(&json);
    IS_TEXT(text,
            "{\"streams\":[{\"streamId\":\"__get__\",\"lastSequence\":0},{\"streamId\":\"\\u0022a\\u0022\\u002B\","
            "\"lastSequence\":9223372036854775807},{\"streamId\":\"\",\"lastSequence\":1}]}");
    cursor = 0;
    CHECK_EQ(next_entry(text), MCPSESS_OK);
    CHECK_STR(entries[0].stream, "__get__");
    CHECK_EQ(entries[0].last, 0);
    CHECK_EQ(next_entry(text), MCPSESS_OK);
    CHECK_STR(entries[0].stream, "\"a\"+");
    CHECK(entries[0].last == (uint64_t)MCPSESS_SEQUENCE_MAX);
    CHECK_EQ(next_entry(text), MCPSESS_OK);
    CHECK(entries[0].stream.len == 0 && entries[0].last == 1);
    CHECK_EQ(next_entry(text), MCPSESS_END);
    mcpsess_buf_init(&json, json_mem, sizeof json_mem);
    CHECK_EQ(mcpsess_csharp_index_encode(NULL, 0, &json), MCPSESS_OK);
    IS_TEXT(mcpsess_buf_str(&json), "{\"streams\":[]}");
    cursor = 0;
    CHECK_EQ(next_entry(mcpsess_buf_str(&json)), MCPSESS_END);
}

static int first_entry(mcpsess_str text) {
    cursor = 0;
    return next_entry(text);
}

TEST(csharp_index_of_other_forms) {
    mcpsess_str text = TEXT("{\"x\":[1],\"STREAMS\": [ {\"lastSequence\":\"3\", \"StreamId\":\"\\u0061\"} , {} ] }");
    CHECK_EQ(first_entry(text), MCPSESS_OK);
    CHECK_STR(entries[0].stream, "a");
    CHECK_EQ(entries[0].last, 3);
    CHECK_EQ(next_entry(text), MCPSESS_OK);
    CHECK(entries[0].stream.len == 0 && entries[0].last == 0);
    CHECK_EQ(next_entry(text), MCPSESS_END);
    CHECK_EQ(first_entry(TEXT("{}")), MCPSESS_END);
    CHECK_EQ(first_entry(TEXT("{\"streams\":null}")), MCPSESS_END);
    CHECK_EQ(first_entry(TEXT("{\"streams\":[{}],\"streams\":[]}")), MCPSESS_END);
    CHECK_EQ(first_entry(TEXT("null")), MCPSESS_MISS);
    CHECK_EQ(first_entry(TEXT("{\"streams\":{}}")), MCPSESS_E_FORMAT);
    CHECK_EQ(first_entry(TEXT("{\"streams\":[1]}")), MCPSESS_E_FORMAT);
    CHECK_EQ(first_entry(TEXT("{\"streams\":[null]}")), MCPSESS_E_FORMAT);
    CHECK_EQ(first_entry(TEXT("{\"streams\":[{}")), MCPSESS_E_FORMAT);
    CHECK_EQ(first_entry(TEXT("{\"streams\":[{\"streamId\":1}]}")), MCPSESS_E_FORMAT);
    CHECK_EQ(first_entry(TEXT("{\"streams\":[{\"lastSequence\":-1}]}")), MCPSESS_E_FORMAT);
    CHECK(entries[0].stream.len == 0 && entries[0].last == 0);
}

/* ---- room, and what is no argument ---- */

TEST(csharp_writes_all_or_nothing) {
    size_t cap, whole;
    blank();
    e.type = MCPSESS_STR("a+b");
    e.id = MCPSESS_STR("id");
    e.data = MCPSESS_STR("[1]");
    e.retry = true;
    whole = written().len;
    for (cap = 0; cap <= whole; cap++) {
        memset(json_mem, '#', sizeof json_mem);
        mcpsess_buf_init(&json, json_mem, cap + 1);
        mcpsess_buf_put_char(&json, '>');
        CHECK_EQ(mcpsess_csharp_event_encode(&e, &json), cap < whole ? MCPSESS_E_TOOBIG : MCPSESS_OK);
        CHECK(json.len == (cap < whole ? 1 : whole + 1) && !json.overflow);
        CHECK(json_mem[0] == '>' && json_mem[cap + 1] == '#');
    }
    mcpsess_buf_init(&json, json_mem, 4);
    m.last = 7;
    CHECK_EQ(mcpsess_csharp_meta_encode(&m, false, &json), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_csharp_index_encode(entries, 0, &json), MCPSESS_E_TOOBIG);
    CHECK_EQ(json.len, 0);
    mcpsess_buf_put(&json, MCPSESS_STR("12345"));
    json.cap = sizeof json_mem;
    CHECK_EQ(mcpsess_csharp_event_encode(&e, &json), MCPSESS_E_TOOBIG); /* what came before did not fit */
    CHECK_EQ(mcpsess_csharp_meta_encode(&m, false, &json), MCPSESS_E_TOOBIG);
}

TEST(csharp_reads_all_or_nothing) {
    mcpsess_str text = TEXT("{\"eventType\":\"a\\u002Bb\",\"eventId\":\"id\"}");
    size_t cap;
    for (cap = 0; cap <= 5; cap++) {
        mcpsess_buf_init(&names, mem, cap);
        CHECK_EQ(mcpsess_csharp_event_decode(text, &names, &e), cap < 5 ? MCPSESS_E_TOOBIG : MCPSESS_OK);
        CHECK_EQ(names.len, cap < 5 ? 0 : 5);
        CHECK_EQ(e.type.len, cap < 5 ? 0 : 3);
    }
    cursor = 0;
    mcpsess_buf_init(&names, mem, 1);
    text = TEXT("{\"streams\":[{\"streamId\":\"ab\",\"lastSequence\":3}]}");
    CHECK_EQ(mcpsess_csharp_index_next(text, &cursor, &names, &entries[0]), MCPSESS_E_TOOBIG);
    CHECK(cursor == 0 && entries[0].last == 0 && names.len == 0);
}

TEST(csharp_reads_behind_what_is_there) {
    mcpsess_str text = TEXT("{\"streams\":[{\"streamId\":\"ab\"},{\"streamId\":\"cd\"}]}");
    mcpsess_buf_init(&names, mem, sizeof mem);
    mcpsess_buf_put(&names, MCPSESS_STR("before"));
    cursor = 0;
    CHECK_EQ(mcpsess_csharp_index_next(text, &cursor, &names, &entries[0]), MCPSESS_OK);
    CHECK_EQ(mcpsess_csharp_index_next(text, &cursor, &names, &entries[1]), MCPSESS_OK);
    CHECK_STR(entries[0].stream, "ab");
    CHECK_STR(entries[1].stream, "cd");
    CHECK_EQ(mcpsess_csharp_event_decode(TEXT("{\"eventType\":\"t\",\"eventId\":\"i\"}"), &names, &e), MCPSESS_OK);
    CHECK_STR(e.type, "t");
    CHECK_STR(e.id, "i");
    CHECK_STR(mcpsess_buf_str(&names), "beforeabcdti");
}

TEST(csharp_arguments) {
    blank();
    mcpsess_buf_init(&names, mem, sizeof mem);
    CHECK_EQ(mcpsess_csharp_event_encode(NULL, &json), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_event_encode(&e, NULL), MCPSESS_E_ARG);
    e.type = str_broken();
    CHECK_EQ(mcpsess_csharp_event_encode(&e, &json), MCPSESS_E_ARG);
    blank();
    e.id = str_broken();
    CHECK_EQ(mcpsess_csharp_event_encode(&e, &json), MCPSESS_E_ARG);
    blank();
    e.data = str_broken();
    CHECK_EQ(mcpsess_csharp_event_encode(&e, &json), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_event_decode(str_broken(), &names, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_event_decode(MCPSESS_STR("{}"), NULL, &e), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_event_decode(MCPSESS_STR("{}"), &names, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_meta_encode(NULL, false, &json), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_meta_encode(&m, false, NULL), MCPSESS_E_ARG);
    m.last = UINT64_MAX;
    CHECK_EQ(mcpsess_csharp_meta_encode(&m, false, &json), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_meta_decode(str_broken(), &m), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_meta_decode(MCPSESS_STR("{}"), NULL), MCPSESS_E_ARG);
    entries[0].stream = str_broken();
    CHECK_EQ(mcpsess_csharp_index_encode(entries, 1, &json), MCPSESS_E_ARG);
    entries[0].stream = MCPSESS_STR("");
    entries[0].last = UINT64_MAX;
    CHECK_EQ(mcpsess_csharp_index_encode(entries, 1, &json), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_index_encode(NULL, 1, &json), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_index_encode(entries, 0, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_index_next(str_broken(), &cursor, &names, &entries[0]), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_index_next(MCPSESS_STR("{}"), NULL, &names, &entries[0]), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_index_next(MCPSESS_STR("{}"), &cursor, NULL, &entries[0]), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_csharp_index_next(MCPSESS_STR("{}"), &cursor, &names, NULL), MCPSESS_E_ARG);
    CHECK_EQ(json.len, 0);
}

void test_csharp(void) {
    RUN(csharp_vector_of_a_priming_event);
    RUN(csharp_vector_of_a_message);
    RUN(csharp_vector_of_metadata);
    RUN(csharp_vector_of_an_index);
    RUN(csharp_vector_of_a_plus);
    RUN(csharp_escapes_every_byte_of_ascii_as_dotnet_does);
    RUN(csharp_escapes_all_that_is_not_ascii);
    RUN(csharp_broken_utf8_is_replaced_as_dotnet_does);
    RUN(csharp_members_that_are_none_are_omitted);
    RUN(csharp_data_are_embedded_as_they_are);
    RUN(csharp_data_that_would_break_the_record_are_refused);
    RUN(csharp_data_are_as_deep_as_dotnet_reads);
    RUN(csharp_reads_members_in_any_order_and_case);
    RUN(csharp_reads_null_for_what_may_be_none);
    RUN(csharp_reads_numbers_from_strings);
    RUN(csharp_events_that_dotnet_refuses_are_refused);
    RUN(csharp_reads_metadata_of_every_form);
    RUN(csharp_index_of_several);
    RUN(csharp_index_of_other_forms);
    RUN(csharp_writes_all_or_nothing);
    RUN(csharp_reads_all_or_nothing);
    RUN(csharp_reads_behind_what_is_there);
    RUN(csharp_arguments);
}
