#include "mcpsess_redis.h"
#include "test_util.h"

#define UUID "0b9c7a52-6a0e-4b57-9f4a-1d2e3f405162"
#define RECORD_MAX 768u
#define JSON_MAX 768u
#define TEXT_MAX 384u
#define BINDING "vmcp.identity.binding"

static char record_mem[RECORD_MAX + 8], json_mem[JSON_MAX + 8];

/* -- helpers -- */

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

/* Decodes into record_mem. */
static int decode(int form, mcpsess_str json, const char *id, mcpsess_record *r) {
    mcpsess_buf b;
    size_t need = 1;
    int rc;
    mcpsess_buf_init(&b, record_mem, RECORD_MAX);
    rc = mcpsess_toolhive_decode(form, json, mcpsess_str_z(id), &b, &need);
    if (rc != MCPSESS_OK) {
        CHECK_EQ(b.len, 0);
        return rc;
    }
    CHECK_EQ(need, b.len);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), r), MCPSESS_OK);
    CHECK(mcpsess_str_eq(r->id, mcpsess_str_z(id)));
    return rc;
}

static int vmcp(mcpsess_str json, mcpsess_record *r) {
    return decode(MCPSESS_TOOLHIVE_VMCP, json, "abc", r);
}

static int proxy(mcpsess_str json, mcpsess_record *r) {
    return decode(MCPSESS_TOOLHIVE_PROXY, json, UUID, r);
}

/* Encodes into json_mem. */
static mcpsess_str encode(int form, const mcpsess_record *r, int *rc) {
    mcpsess_buf b;
    mcpsess_buf_init(&b, json_mem, JSON_MAX);
    *rc = mcpsess_toolhive_encode(form, r, &b);
    if (*rc != MCPSESS_OK) CHECK_EQ(b.len, 0);
    CHECK(!b.overflow);
    return mcpsess_buf_str(&b);
}

/* Decodes `json` and encodes it again: is that `want`? */
static bool becomes(int form, mcpsess_str json, mcpsess_str want) {
    mcpsess_record r;
    mcpsess_str got;
    int rc = form == MCPSESS_TOOLHIVE_VMCP ? vmcp(json, &r) : proxy(json, &r);
    if (!CHECK_EQ(rc, MCPSESS_OK)) return false;
    got = encode(form, &r, &rc);
    return CHECK_EQ(rc, MCPSESS_OK) && mcpsess_str_eq(got, want);
}

static bool same(int form, mcpsess_str json) {
    return becomes(form, json, json);
}

static int refusal(int form, mcpsess_str json) {
    mcpsess_record r;
    return form == MCPSESS_TOOLHIVE_VMCP ? vmcp(json, &r) : proxy(json, &r);
}

#define SAME(form, literal) tap_check(same(form, TEXT(literal)), __FILE__, __LINE__, PORT_TEXT("comes back"))
#define BECOMES(form, literal, want) \
    tap_check(becomes(form, TEXT(literal), TEXT(want)), __FILE__, __LINE__, PORT_TEXT("becomes this"))
#define REFUSED(form, literal, code) \
    tap_check_eq(refusal(form, TEXT(literal)), code, __FILE__, __LINE__, PORT_TEXT("it is refused"))
#define CHECK_TEXT(got, literal) \
    tap_check(mcpsess_str_eq(got, TEXT(literal)), __FILE__, __LINE__, PORT_TEXT(#got " is this"))
#define VMCP MCPSESS_TOOLHIVE_VMCP
#define PROXY MCPSESS_TOOLHIVE_PROXY

/* A record of these members, encoded into record_mem; *r is what it decodes to. */
static mcpsess_record blank(const char *id) {
    mcpsess_record r;
    memset(&r, 0, sizeof r);
    r.id = mcpsess_str_z(id);
    r.state = MCPSESS_STATE_ACTIVE;
    return r;
}

static int with_pair(mcpsess_record *r, mcpsess_str key, mcpsess_str value) {
    mcpsess_buf b;
    int rc;
    mcpsess_buf_init(&b, record_mem, RECORD_MAX);
    rc = mcpsess_record_encode(r, &b);
    if (rc == MCPSESS_OK) rc = mcpsess_record_put(&b, key, value);
    return rc == MCPSESS_OK ? mcpsess_record_decode(mcpsess_buf_str(&b), r) : rc;
}

static int pair_encodes(int form, mcpsess_str key, mcpsess_str value) {
    mcpsess_record r = blank(UUID);
    int rc = with_pair(&r, key, value);
    if (!CHECK_EQ(rc, MCPSESS_OK)) return rc;
    (void)encode(form, &r, &rc);
    return rc;
}

static mcpsess_str value_of(const mcpsess_record *r, mcpsess_str key) {
    mcpsess_str value;
    CHECK_EQ(mcpsess_record_get(r, key, &value), MCPSESS_OK);
    return value;
}

/* -- an object of strings -- */

TEST(toolhive_vmcp_vectors) {
    mcpsess_record r;
    SAME(VMCP, "{}");
    SAME(VMCP, "{\"terminated\":\"true\"}");
    SAME(VMCP, "{\"vmcp.backend.ids\":\"workload-a,workload-b\",\"vmcp.backend.session.workload-a\":\"sess-a\","
               "\"vmcp.backend.session.workload-b\":\"sess-b\",\"" BINDING "\":\"unauthenticated\"}");
    SAME(VMCP, "{\"vmcp.backend.ids\":\"workload-b\",\"vmcp.backend.session.workload-b\":\"sess-b\",\"" BINDING
               "\":\"unauthenticated\"}");
    SAME(VMCP, "{\"vmcp.backend.ids\":\"\",\"" BINDING "\":\"unauthenticated\"}");
    SAME(VMCP, "{\"" BINDING "\":\"https://issuer.example\\u0000user-1\"}");
    SAME(VMCP, "{\"vmcp.token.hash\":\"h\",\"vmcp.token.salt\":\"s\"}");
    CHECK_EQ(vmcp(TEXT("{\"a\":\"1\",\"vmcp.backend.ids\":\"\"}"), &r), MCPSESS_OK);
    CHECK_EQ(r.pair_count, 2);
    CHECK_EQ(value_of(&r, MCPSESS_STR("vmcp.backend.ids")).len, 0); /* there, and empty */
}

TEST(toolhive_vmcp_members) {
    mcpsess_record r;
    CHECK_EQ(vmcp(TEXT("{}"), &r), MCPSESS_OK);
    CHECK_EQ(r.state, MCPSESS_STATE_PLACEHOLDER);
    CHECK_EQ(vmcp(TEXT("{\"terminated\":\"true\"}"), &r), MCPSESS_OK);
    CHECK_EQ(r.state, MCPSESS_STATE_TERMINATED);
    CHECK_EQ(r.pair_count, 0);
    CHECK_EQ(vmcp(TEXT("{\"terminated\":\"yes\"}"), &r), MCPSESS_OK);
    CHECK_EQ(r.state, MCPSESS_STATE_ACTIVE);
    CHECK_STR(value_of(&r, MCPSESS_STR("terminated")), "yes");
    CHECK_EQ(vmcp(TEXT("{\"z\":\"\",\"" BINDING "\":\"i\\u0000s\",\"terminated\":\"true\",\"a\":\"b\"}"), &r), 0);
    CHECK_EQ(r.state, MCPSESS_STATE_TERMINATED);
    CHECK_STR(r.principal.issuer, "i");
    CHECK_STR(r.principal.subject, "s");
    CHECK_EQ(r.pair_count, 2);
    CHECK_EQ(r.created_ms, 0);
    CHECK_EQ(r.updated_ms, 0);
    CHECK_EQ(vmcp(TEXT("{\"" BINDING "\":\"unauthenticated\"}"), &r), MCPSESS_OK);
    CHECK_EQ(r.state, MCPSESS_STATE_ACTIVE);
    CHECK_EQ(r.principal.issuer.len, 0);
    CHECK_STR(value_of(&r, MCPSESS_STR(BINDING)), "unauthenticated");
}

/* the record at hand without a backend, as JSON */
static mcpsess_str expired(const char *name) {
    const mcpsess_backends b = mcpsess_toolhive_backends();
    mcpsess_record r;
    mcpsess_buf bytes;
    int rc;
    CHECK_EQ(vmcp(mcpsess_str_of(json_mem, mcpsess_str_z(json_mem).len), &r), MCPSESS_OK);
    mcpsess_buf_init(&bytes, record_mem, RECORD_MAX);
    bytes.len = (size_t)MCPSESS_RECORD_BYTES(0, 3, 0) + r.i.pairs.len;
    CHECK_EQ(mcpsess_backends_del(&b, &bytes, mcpsess_str_z(name)), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&bytes), &r), MCPSESS_OK);
    memset(json_mem, 0, sizeof json_mem);
    return encode(MCPSESS_TOOLHIVE_VMCP, &r, &rc);
}

TEST(toolhive_backends_expire) {
    mcpsess_str two =
        TEXT("{\"vmcp.backend.ids\":\"workload-a,workload-b\",\"vmcp.backend.session.workload-a\":"
             "\"sess-a\",\"vmcp.backend.session.workload-b\":\"sess-b\",\"" BINDING "\":\"unauthenticated\"}");
    memset(json_mem, 0, sizeof json_mem);
    memcpy(json_mem, two.ptr, two.len);
    CHECK(mcpsess_str_eq(expired("workload-a"),
                         TEXT("{\"vmcp.backend.ids\":\"workload-b\",\"vmcp.backend.session.workload-b\":\"sess-b\","
                              "\"" BINDING "\":\"unauthenticated\"}")));
    CHECK(
        mcpsess_str_eq(expired("workload-b"), TEXT("{\"vmcp.backend.ids\":\"\",\"" BINDING "\":\"unauthenticated\"}")));
}

static int restorable(mcpsess_str json) {
    mcpsess_record r;
    CHECK_EQ(vmcp(json, &r), MCPSESS_OK);
    return mcpsess_toolhive_restorable(&r);
}

TEST(th42_07_toolhive_restorable) {
    CHECK_EQ(restorable(TEXT("{}")), MCPSESS_MISS);
    CHECK_EQ(restorable(TEXT("{\"terminated\":\"true\"}")), MCPSESS_MISS);
    CHECK_EQ(restorable(TEXT("{\"terminated\":\"true\",\"" BINDING "\":\"i\\u0000s\"}")), MCPSESS_MISS);
    CHECK_EQ(restorable(TEXT("{\"vmcp.token.hash\":\"h\",\"vmcp.token.salt\":\"s\"}")), MCPSESS_MISS);
    CHECK_EQ(restorable(TEXT("{\"" BINDING "\":\"unauthenticated\"}")), MCPSESS_OK);
    CHECK_EQ(restorable(TEXT("{\"" BINDING "\":\"i\\u0000s\"}")), MCPSESS_OK); /* with no backend at all */
    CHECK_EQ(mcpsess_toolhive_restorable(NULL), MCPSESS_E_ARG);
}

TEST(toolhive_binding) {
    static const char in_proxy[] = "{\"id\":\"" UUID "\",\"metadata\":";
    char text[sizeof in_proxy + 16 + sizeof BINDING + MCPSESS_PRINCIPAL_MAX];
    mcpsess_record r;
    mcpsess_buf b;
    size_t n;
    REFUSED(VMCP, "{\"" BINDING "\":\"\"}", MCPSESS_E_PRINCIPAL);
    REFUSED(VMCP, "{\"" BINDING "\":null}", MCPSESS_E_PRINCIPAL);
    REFUSED(VMCP, "{\"" BINDING "\":\"issuer\"}", MCPSESS_E_PRINCIPAL);
    REFUSED(VMCP, "{\"" BINDING "\":\"\\u0000subject\"}", MCPSESS_E_PRINCIPAL);
    REFUSED(VMCP, "{\"" BINDING "\":\"issuer\\u0000\"}", MCPSESS_E_PRINCIPAL);
    REFUSED(VMCP, "{\"" BINDING "\":\"\\u0000\"}", MCPSESS_E_PRINCIPAL);
    REFUSED(VMCP, "{\"" BINDING "\":\"issuer\\u0000sub\\u0000ject\"}", MCPSESS_E_PRINCIPAL);
    REFUSED(PROXY, "{\"id\":\"" UUID "\",\"metadata\":{\"" BINDING "\":\"issuer\"}}", MCPSESS_E_PRINCIPAL);
    for (n = MCPSESS_PRINCIPAL_MAX; n <= MCPSESS_PRINCIPAL_MAX + 1u; n++) { /* issuer, NUL, one byte */
        const size_t head = sizeof in_proxy - 1;
        mcpsess_buf_init(&b, text, sizeof text);
        mcpsess_buf_put(&b, mcpsess_str_z(in_proxy));
        mcpsess_buf_put(&b, MCPSESS_STR("{\"" BINDING "\":\""));
        while (b.len < head + sizeof "{\"" BINDING "\":\"" - 1 + n - 2) mcpsess_buf_put_char(&b, 'i');
        mcpsess_buf_put(&b, MCPSESS_STR("\\u0000s\"}}"));
        CHECK_EQ(proxy(mcpsess_buf_str(&b), &r), n == MCPSESS_PRINCIPAL_MAX ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        CHECK_EQ(vmcp(mcpsess_str_of(text + head, b.len - head - 1), &r),
                 n == MCPSESS_PRINCIPAL_MAX ? MCPSESS_OK : MCPSESS_E_TOOBIG);
    }
}

/* An id is not JSON: a backslash in it is one. */
TEST(toolhive_vmcp_ids) {
    static const char *const ids[] = {"\\", "a\\", "\\u0041", "\\u00", "\"\\n\"", "%7B{}", "~"};
    mcpsess_record r;
    size_t n;
    for (n = 0; n < COUNT_OF(ids); n++) {
        if (!CHECK_EQ(decode(VMCP, MCPSESS_STR("{\"a\":\"b\"}"), ids[n], &r), MCPSESS_OK)) tap_note("case", (int64_t)n);
    }
}

/* What Go 1.26 makes of these bytes, and reads in their place. */
TEST(toolhive_escapes) {
    mcpsess_record r = blank("abc");
    mcpsess_str json;
    int rc;
    CHECK_EQ(with_pair(&r, MCPSESS_STR("k"),
                       MCPSESS_STR("<&>\xE2\x80\xA8\xE2\x80\xA9\xC3\xA9\x7F\t\b\f\n\r\x01\x1F\0\"\\/'")),
             MCPSESS_OK);
    json = encode(VMCP, &r, &rc);
    CHECK_TEXT(json,
               "{\"k\":\"\\u003c\\u0026\\u003e\\u2028\\u2029\xC3\xA9\x7F\\t\\b\\f\\n\\r\\u0001\\u001f\\u0000\\\"\\\\/"
               "'\"}");
    SAME(VMCP, "{\"k\":\"\\u003c\\u0026\\u003e\\u2028\xC3\xA9\x7F\\t\\b\\u0001\\\"\\\\\"}");
    BECOMES(VMCP, "{\"\\u006B\":\"\\u0008\\u000C\\/\\u00e9\\u00E9<>&\"}",
            "{\"k\":\"\\b\\f/\xC3\xA9\xC3\xA9\\u003c\\u003e\\u0026\"}");
    BECOMES(VMCP, "{\"k\":\"\\ud83d\\uDE00 \\u20ac \xF0\x9F\x98\x80\"}",
            "{\"k\":\"\xF0\x9F\x98\x80 \xE2\x82\xAC \xF0\x9F\x98\x80\"}");
    /* halves of a pair, and bytes that are no UTF-8: a U+FFFD each */
    BECOMES(VMCP, "{\"k\":\"\\ud83dx\\ude00\\ud83d\\ud83d\\ude00\\ud83d\\n\"}",
            "{\"k\":\"\xEF\xBF\xBDx\xEF\xBF\xBD\xEF\xBF\xBD\xF0\x9F\x98\x80\xEF\xBF\xBD\\n\"}");
    BECOMES(VMCP, "{\"k\":\"\xFF\xE2\x80\"}", "{\"k\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"}");
    BECOMES(VMCP, "{\"k\":\"\xE0\x80\xBC\"}", "{\"k\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"}");
    r = blank("abc");
    CHECK_EQ(with_pair(&r, MCPSESS_STR("k"), MCPSESS_STR("\xFF\xE2\x80\xED\xA0\x80\xF4\x90\x80\x80\xC0\xAF")),
             MCPSESS_OK);
    json = encode(VMCP, &r, &rc);
    CHECK_TEXT(json, "{\"k\":\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"
                     "\\ufffd\"}");
}

TEST(toolhive_reads_what_go_reads) {
    BECOMES(VMCP, " \t\r\n{ \"b\" : \"2\" ,\n\"a\"\t: \"1\" } \n", "{\"a\":\"1\",\"b\":\"2\"}");
    BECOMES(VMCP, "{\"b\":\"1\",\"a\":null,\"b\":\"2\",\"B\":\"3\",\"aa\":\"x\",\"b\":\"4\"}",
            "{\"B\":\"3\",\"a\":\"\",\"aa\":\"x\",\"b\":\"4\"}");
    BECOMES(VMCP,
            "{\"e\":\"5\",\"d\":\"4\",\"c\":\"3\",\"terminated\":\"true\",\"a\":\"1\",\"a\":\"longer\",\"c\":\"\"}",
            "{\"a\":\"longer\",\"c\":\"\",\"d\":\"4\",\"e\":\"5\",\"terminated\":\"true\"}");
    BECOMES(VMCP, "{\"\\u0074erminated\":\"tru\\u0065\",\"x\":\"y\"}", "{\"terminated\":\"true\",\"x\":\"y\"}");
    BECOMES(VMCP, "{\"b\":\"\",\"" BINDING "\":\"i\\u0000s\",\"a\":\"\"}",
            "{\"a\":\"\",\"b\":\"\",\"" BINDING "\":\"i\\u0000s\"}");
}

TEST(toolhive_refuses) {
    mcpsess_buf b;
    REFUSED(VMCP, "", MCPSESS_E_FORMAT);
    REFUSED(VMCP, " ", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "null", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "[]", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "\"x\"", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "1", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\"", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"b\"", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"b\",}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"b\"}x", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"b\"}{}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{,\"a\":\"b\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"b\" \"c\":\"d\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"b\",,\"c\":\"d\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\" \"b\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{a:\"b\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{'a':\"b\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":1}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":true}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":[]}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":{}}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":nul}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"\\'\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"\\\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"\\u12\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"\\u12g4\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"\\U1234\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"\\u", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"\1\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"\n\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"a\":\"b\"}\0", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "\xEF\xBB\xBF{}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"\":\"x\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"\\u0000\":\"x\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"\\u0000type\":\"x\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"terminated\":\"true\",\"terminated\":\"true\"}", MCPSESS_E_FORMAT);
    REFUSED(VMCP, "{\"" BINDING "\":\"unauthenticated\",\"" BINDING "\":\"i\\u0000s\"}", MCPSESS_E_FORMAT);
    mcpsess_buf_init(&b, record_mem, RECORD_MAX);
    CHECK_EQ(mcpsess_toolhive_decode(VMCP, MCPSESS_STR("{}"), MCPSESS_STR(""), &b, NULL), MCPSESS_E_ID);
    CHECK_EQ(mcpsess_toolhive_decode(VMCP, MCPSESS_STR("{}"), MCPSESS_STR("a b"), &b, NULL), MCPSESS_E_ID);
    CHECK_EQ(mcpsess_toolhive_decode(VMCP, MCPSESS_STR("{}"), MCPSESS_STR("a"), NULL, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_toolhive_decode(VMCP, str_broken(), MCPSESS_STR("a"), &b, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_toolhive_decode(VMCP, MCPSESS_STR("{}"), str_broken(), &b, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_toolhive_decode(0, MCPSESS_STR("{}"), MCPSESS_STR("a"), &b, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_toolhive_decode(3, MCPSESS_STR("{}"), MCPSESS_STR("a"), &b, NULL), MCPSESS_E_ARG);
    CHECK_EQ(b.len, 0);
}

/* What a form has no place for is refused, not lost. */
TEST(toolhive_vmcp_has_no_place) {
    mcpsess_record r = blank("abc");
    int rc;
    (void)encode(VMCP, &r, &rc); /* active without strings would come back as a placeholder */
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    r.state = MCPSESS_STATE_PLACEHOLDER;
    CHECK_TEXT(encode(VMCP, &r, &rc), "{}");
    r.principal = principal("i", "s");
    (void)encode(VMCP, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    r.state = MCPSESS_STATE_ACTIVE;
    CHECK_TEXT(encode(VMCP, &r, &rc), "{\"" BINDING "\":\"i\\u0000s\"}");
    r.principal.subject = mcpsess_str_of(NULL, 0);
    (void)encode(VMCP, &r, &rc);
    CHECK_EQ(rc, MCPSESS_E_PRINCIPAL);
    r = blank("abc");
    r.state = MCPSESS_STATE_TERMINATED;
    CHECK_TEXT(encode(VMCP, &r, &rc), "{\"terminated\":\"true\"}");
    r.backend = MCPSESS_STR("b");
    (void)encode(VMCP, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    r.backend.len = 0;
    r.created_ms = 1;
    (void)encode(VMCP, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    r.created_ms = 0;
    r.updated_ms = 1;
    (void)encode(VMCP, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    r.updated_ms = 0;
    r.state = 16;
    (void)encode(VMCP, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(VMCP, MCPSESS_STR("\0data"), MCPSESS_STR("1")), MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(VMCP, MCPSESS_STR("terminated"), MCPSESS_STR("true")), MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(VMCP, MCPSESS_STR("terminated"), MCPSESS_STR("no")), MCPSESS_OK);
    CHECK_EQ(pair_encodes(VMCP, MCPSESS_STR(BINDING), MCPSESS_STR("i\0s")), MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(VMCP, MCPSESS_STR(BINDING), MCPSESS_STR("")), MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(VMCP, MCPSESS_STR(BINDING), MCPSESS_STR("unauthenticated")), MCPSESS_OK);
    r = blank("abc"); /* said twice */
    r.principal = principal("i", "s");
    CHECK_EQ(with_pair(&r, MCPSESS_STR(BINDING), MCPSESS_STR("unauthenticated")), MCPSESS_OK);
    (void)encode(VMCP, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    r = blank("abc");
    r.state = MCPSESS_STATE_TERMINATED;
    CHECK_EQ(with_pair(&r, MCPSESS_STR("terminated"), MCPSESS_STR("no")), MCPSESS_OK);
    (void)encode(VMCP, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
}

/* -- an envelope -- */

#define HEAD "{\"id\":\"" UUID "\",\"type\":\"mcp\",\"created_at\":\"2026-04-08T12:00:00.123456789Z\","
#define HEAD2 HEAD "\"updated_at\":\"2026-04-08T12:00:00.123456789Z\""

TEST(toolhive_proxy_vectors) {
    mcpsess_record r;
    SAME(PROXY, HEAD2 ",\"metadata\":{\"backend_url\":\"http://10.0.0.5:8080\",\"init_body\":\"{\\\"jsonrpc\\\":"
                      "\\\"2.0\\\",\\\"id\\\":1,\\\"method\\\":\\\"initialize\\\"}\"}}");
    SAME(PROXY, "{\"id\":\"" UUID "\",\"type\":\"streamable\",\"created_at\":\"2026-04-08T12:00:00Z\",\"updated_at\":"
                "\"2026-04-08T12:00:00Z\"}");
    SAME(PROXY, "{\"id\":\"" UUID "\",\"type\":\"\",\"created_at\":\"0001-01-01T00:00:00Z\",\"updated_at\":"
                "\"0001-01-01T00:00:00Z\",\"data\":null}");
    SAME(PROXY, "{\"id\":\"" UUID "\",\"type\":\"sse\",\"created_at\":\"1969-12-31T23:59:59.999Z\",\"updated_at\":"
                "\"1970-01-01T00:00:00Z\",\"data\":{\"a\":[1,2,{\"b\":\"\\u003c\"}]},\"metadata\":{\"" BINDING
                "\":\"i\\u0000s\",\"x\":\"y\"}}");
    CHECK_EQ(proxy(TEXT(HEAD2 ",\"metadata\":{\"backend_url\":\"u\",\"" BINDING "\":\"i\\u0000s\"}}"), &r), 0);
    CHECK_EQ(r.state, MCPSESS_STATE_ACTIVE);
    CHECK_STR(r.principal.subject, "s");
    CHECK_EQ(r.backend.len, 0);
    CHECK_EQ(r.created_ms, UINT64_C(1775649600123));
    CHECK_EQ(r.pair_count, 3);
    CHECK_STR(value_of(&r, MCPSESS_STR("backend_url")), "u");
    CHECK_STR(value_of(&r, MCPSESS_STR("\0created_at")), "\"2026-04-08T12:00:00.123456789Z\"");
}

TEST(toolhive_proxy_reads_what_go_reads) {
    mcpsess_record r;
    /* any order, any case, null as if absent; what is unknown stays, behind the rest */
    BECOMES(PROXY,
            "{\"y\":{\"n\":[ -0.5e+3, true]},\"metadata\":{\"k\":\"v\"},\"Type\":null,\"TYPE\":\"streamable\","
            "\"x\":1,\"Updated_At\":\"2026-04-08T12:00:00.5Z\",\"id\":null,\"Id\":\"" UUID
            "\",\"\\u0063reated_at\":\"2026-04-08T14:00:00+02:00\",\"x\":2}",
            "{\"id\":\"" UUID "\",\"type\":\"streamable\",\"created_at\":\"2026-04-08T14:00:00+02:00\",\"updated_at\":"
            "\"2026-04-08T12:00:00.5Z\",\"metadata\":{\"k\":\"v\"},\"x\":2,\"y\":{\"n\":[ -0.5e+3, true]}}");
    BECOMES(PROXY, "{\"id\":\"" UUID "\",\"metadata\":null}",
            "{\"id\":\"" UUID "\",\"type\":\"mcp\",\"created_at\":\"0001-01-01T00:00:00Z\",\"updated_at\":"
            "\"0001-01-01T00:00:00Z\"}");
    BECOMES(PROXY, "{\"id\":\"0b9c7a52\\u002d6a0e-4b57-9f4a-1d2e3f405162\",\"metadata\":{}}",
            "{\"id\":\"" UUID "\",\"type\":\"mcp\",\"created_at\":\"0001-01-01T00:00:00Z\",\"updated_at\":"
            "\"0001-01-01T00:00:00Z\"}");
    CHECK_EQ(proxy(TEXT("{\"id\":\"" UUID "\",\"metadata\":{\"terminated\":\"true\"}}"), &r), MCPSESS_OK);
    CHECK_EQ(r.state, MCPSESS_STATE_TERMINATED);
}

TEST(toolhive_proxy_refuses) {
    char deep[160];
    mcpsess_record r;
    mcpsess_buf b;
    size_t n, depth;
    REFUSED(PROXY, "{}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, "null", MCPSESS_E_FORMAT);
    REFUSED(PROXY, "[]", MCPSESS_E_FORMAT);
    REFUSED(PROXY, "{\"id\":\"x\"}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, "{\"id\":1}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, "{\"id\":null}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2, MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 "}}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"id\":\"" UUID "\"}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"Type\":\"mcp\"}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"CREATED_AT\":\"2026-04-08T12:00:00Z\"}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"metadata\":[]}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"metadata\":\"x\"}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"metadata\":{\"a\":1}}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"metadata\":{\"a\":{}}}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"metadata\":{\"a\":\"1\"},\"metadata\":{\"b\":\"2\"}}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"metadata\":{\"\\u0000x\":\"1\"}}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":[1,]}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":[1 2]}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":{\"a\":1,}}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":{1:2}}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":[1}}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":{\"a\":1]}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":01}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":-}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":1.}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":.5}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":1e}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":+1}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":tru}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"data\":NaN}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, HEAD2 ",\"x\":\"\\x\"}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, "{\"id\":\"" UUID "\",\"type\":5}", MCPSESS_E_FORMAT);
    REFUSED(PROXY, "{\"id\":\"" UUID "\",\"created_at\":5}", MCPSESS_E_FORMAT);
    for (depth = 63; depth <= 64; depth++) {
        mcpsess_buf_init(&b, deep, sizeof deep);
        mcpsess_buf_put(&b, MCPSESS_STR("{\"x\":"));
        for (n = 0; n < depth; n++) mcpsess_buf_put_char(&b, '[');
        if (depth == 64) CHECK_EQ(proxy(mcpsess_buf_str(&b), &r), MCPSESS_E_TOOBIG);
        for (n = 0; n < depth; n++) mcpsess_buf_put_char(&b, ']');
        mcpsess_buf_put_char(&b, '}'); /* 63 are read; but there is no id */
        CHECK_EQ(proxy(mcpsess_buf_str(&b), &r), depth == 64 ? MCPSESS_E_TOOBIG : MCPSESS_E_FORMAT);
    }
    mcpsess_buf_init(&b, record_mem, RECORD_MAX); /* any id, if none is given */
    CHECK_EQ(mcpsess_toolhive_decode(PROXY, MCPSESS_STR(HEAD2 "}"), mcpsess_str_of(NULL, 0), &b, NULL), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &r), MCPSESS_OK);
    CHECK_STR(r.id, UUID);
}

TEST(toolhive_proxy_has_no_place) {
    mcpsess_record r = blank(UUID);
    int rc;
    CHECK_TEXT(encode(PROXY, &r, &rc), "{\"id\":\"" UUID "\",\"type\":\"mcp\",\"created_at\":\"0001-01-01T00:00:00Z\","
                                       "\"updated_at\":\"0001-01-01T00:00:00Z\"}");
    r.id = MCPSESS_STR("abc");
    (void)encode(PROXY, &r, &rc);
    CHECK_EQ(rc, MCPSESS_E_ID);
    r = blank(UUID);
    r.state = MCPSESS_STATE_PLACEHOLDER;
    (void)encode(PROXY, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    r.state = 16;
    (void)encode(PROXY, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    r.state = MCPSESS_STATE_ACTIVE;
    r.backend = MCPSESS_STR("b");
    (void)encode(PROXY, &r, &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0id"), MCPSESS_STR("\"x\"")), MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0metadata"), MCPSESS_STR("{}")), MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0ID"), MCPSESS_STR("\"x\"")), MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0Data"), MCPSESS_STR("1")), MCPSESS_REDIS_E_MAPPING);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0datas"), MCPSESS_STR("1")), MCPSESS_OK);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0dat"), MCPSESS_STR("1")), MCPSESS_OK);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0"), MCPSESS_STR("1")), MCPSESS_OK);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0x"), MCPSESS_STR("")), MCPSESS_E_FORMAT);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0x"), MCPSESS_STR("1,\"id\":2")), MCPSESS_E_FORMAT);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0data"), MCPSESS_STR("{}}")), MCPSESS_E_FORMAT);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0type"), MCPSESS_STR("sse")), MCPSESS_E_FORMAT);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0type"), MCPSESS_STR("1")), MCPSESS_E_FORMAT);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0type"), MCPSESS_STR("\"sse\"x")), MCPSESS_E_FORMAT);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0created_at"), MCPSESS_STR("2026-04-08T12:00:00Z")), MCPSESS_E_FORMAT);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("\0created_at"), MCPSESS_STR("\"1969-01-01T00:00:00Zx")),
             MCPSESS_E_FORMAT);
    CHECK_EQ(pair_encodes(PROXY, MCPSESS_STR("terminated"), MCPSESS_STR("true")), MCPSESS_REDIS_E_MAPPING);
}

/* A name that begins like a known one is unknown, however long it is. */
TEST(toolhive_proxy_longer_names) {
    static const char *const names[] = {"id", "type", "created_at", "updated_at", "data", "metadata"};
    char key[160];
    size_t n, len;
    for (n = 0; n < COUNT_OF(names); n++) {
        const size_t known = mcpsess_str_z(names[n]).len + 1;
        memset(key, 'x', sizeof key);
        key[0] = '\0';
        memcpy(key + 1, names[n], known - 1);
        for (len = known + 1; len <= sizeof key; len++) {
            if (!CHECK_EQ(pair_encodes(PROXY, mcpsess_str_of(key, len), MCPSESS_STR("1")), MCPSESS_OK)) return;
        }
    }
}

/* -- instants -- */

static mcpsess_str instant(uint64_t ms, int *rc) {
    mcpsess_record r = blank(UUID);
    const size_t head = sizeof "{\"id\":\"" UUID "\",\"type\":\"mcp\",\"created_at\":\"" - 1;
    mcpsess_str json;
    size_t n = head;
    r.created_ms = ms;
    json = encode(PROXY, &r, rc);
    if (*rc != MCPSESS_OK) return mcpsess_str_of(NULL, 0);
    while (n < json.len && json.ptr[n] != '"') n++;
    return mcpsess_str_of(json.ptr + head, n - head);
}

/* Reads an instant; is it kept apart, and does it come back? */
static int instant_ms(mcpsess_str text, uint64_t *ms, bool *kept) {
    char mem[128];
    mcpsess_record r;
    mcpsess_str value, back;
    mcpsess_buf b;
    int rc;
    mcpsess_buf_init(&b, mem, sizeof mem);
    mcpsess_buf_put(&b, MCPSESS_STR("{\"id\":\"" UUID "\",\"created_at\":\""));
    mcpsess_buf_put(&b, text);
    mcpsess_buf_put(&b, MCPSESS_STR("\"}"));
    rc = proxy(mcpsess_buf_str(&b), &r);
    if (rc != MCPSESS_OK) return rc;
    *ms = r.created_ms;
    *kept = mcpsess_record_get(&r, MCPSESS_STR("\0created_at"), &value) == MCPSESS_OK;
    back = encode(PROXY, &r, &rc);
    CHECK_EQ(rc, MCPSESS_OK);
    CHECK(mcpsess_str_eq(
        mcpsess_str_of(back.ptr + sizeof "{\"id\":\"" UUID "\",\"type\":\"mcp\",\"created_at\":\"" - 1, text.len),
        text));
    return rc;
}

/* Is it read as these milliseconds? If they say all, it is written like this as well. */
static void check_instant(mcpsess_str text, uint64_t want_ms, bool want_kept) {
    uint64_t ms;
    bool kept;
    int rc;
    if (!CHECK_EQ(instant_ms(text, &ms, &kept), MCPSESS_OK)) return;
    if (CHECK_EQ(ms, want_ms) && CHECK_EQ(kept, want_kept) && !kept) {
        CHECK(mcpsess_str_eq(instant(ms, &rc), text));
    }
}

static int instant_refusal(mcpsess_str text) {
    uint64_t ms;
    bool kept;
    return instant_ms(text, &ms, &kept);
}

#define INSTANT(literal, ms, kept) check_instant(TEXT(literal), ms, kept)
#define NO_INSTANT(literal) CHECK_EQ(instant_refusal(TEXT(literal)), MCPSESS_E_FORMAT)

TEST(toolhive_instants) {
    int rc;
    INSTANT("0001-01-01T00:00:00Z", 0, false);
    INSTANT("1970-01-01T00:00:00Z", 0, true);
    INSTANT("1970-01-01T00:00:00.001Z", 1, false);
    INSTANT("1970-01-01T00:00:00.0009Z", 0, true);
    INSTANT("1969-12-31T23:59:59.999Z", 0, true);
    INSTANT("0000-01-01T00:00:00+23:59", 0, true);
    INSTANT("0000-02-29T00:00:00Z", 0, true);
    INSTANT("2000-02-29T23:59:59.12Z", UINT64_C(951868799120), false);
    INSTANT("2100-02-28T00:00:00Z", UINT64_C(4107456000000), false);
    INSTANT("2026-04-08T12:00:00.123Z", UINT64_C(1775649600123), false);
    INSTANT("2026-04-08T12:00:00.1239Z", UINT64_C(1775649600123), true);
    INSTANT("2026-04-08T12:00:00.120Z", UINT64_C(1775649600120), true);
    INSTANT("2026-04-08T14:30:00+02:30", UINT64_C(1775649600000), true);
    INSTANT("2026-04-07T22:00:00-14:00", UINT64_C(1775649600000), true);
    INSTANT("2026-04-08T12:00:00+00:00", UINT64_C(1775649600000), true);
    INSTANT("9999-12-31T23:59:59.999Z", UINT64_C(253402300799999), false);
    INSTANT("9999-12-31T23:59:59.999-23:59", UINT64_C(253402387139999), true);
    NO_INSTANT("");
    NO_INSTANT("x");
    NO_INSTANT("2026-04-08");
    NO_INSTANT("2026-04-08T12:00:00");
    NO_INSTANT("2026-04-08T12:00:00.Z");
    NO_INSTANT("2026-04-08T12:00:00.1");
    NO_INSTANT("2026-04-08T12:00:00.1x");
    NO_INSTANT("2026-04-08T12:00:00,5Z");
    NO_INSTANT("2026-04-08t12:00:00Z");
    NO_INSTANT("2026-04-08T12:00:00z");
    NO_INSTANT("2026-04-08T12:00:00Zx");
    NO_INSTANT("2026-04-08T12:00:00+0000");
    NO_INSTANT("2026-04-08T12:00:00+24:00");
    NO_INSTANT("2026-04-08T12:00:00+00:60");
    NO_INSTANT("2026-04-08T12:00:00 00:00");
    NO_INSTANT("2026-02-29T00:00:00Z");
    NO_INSTANT("2100-02-29T00:00:00Z");
    NO_INSTANT("2026-13-01T00:00:00Z");
    NO_INSTANT("2026-00-01T00:00:00Z");
    NO_INSTANT("2026-04-00T00:00:00Z");
    NO_INSTANT("2026-04-31T00:00:00Z");
    NO_INSTANT("2026-12-32T00:00:00Z");
    NO_INSTANT("2026-04-08T24:00:00Z");
    NO_INSTANT("2026-04-08T12:60:00Z");
    NO_INSTANT("2026-04-08T12:00:60Z");
    NO_INSTANT("2026-4-08T12:00:00Z");
    NO_INSTANT("\\u0032026-04-08T12:00:00Z");
    (void)instant(UINT64_C(253402300800000), &rc);
    CHECK_EQ(rc, MCPSESS_REDIS_E_MAPPING);
}

/* Every day of four centuries there and back, and times of day; on a slow machine one of 97, a prime. */
TEST(toolhive_instants_all_days) {
    const uint32_t days = 146097, step = PORT_ROUNDS < 20000u ? 97 : 1;
    uint64_t ms, got;
    uint32_t day;
    bool kept;
    int rc;
    tap_seed(7);
    for (day = 1; day <= days; day += step) {
        mcpsess_str text;
        char mem[32];
        ms = (uint64_t)day * 86400000u + random_below(86400000uL);
        text = instant(ms, &rc);
        if (!CHECK(text.len >= 20 && text.len <= 24)) return;
        memcpy(mem, text.ptr, text.len);
        if (!CHECK_EQ(instant_ms(mcpsess_str_of(mem, text.len), &got, &kept), MCPSESS_OK)) return;
        if (!CHECK_EQ(got, ms) || !CHECK(!kept)) return;
    }
}

/* A kept text counts as long as it says the same millisecond. */
TEST(toolhive_instants_edited) {
    mcpsess_record r;
    int rc;
    CHECK_EQ(proxy(TEXT(HEAD2 "}"), &r), MCPSESS_OK);
    r.updated_ms += 877;
    CHECK_TEXT(encode(PROXY, &r, &rc), HEAD "\"updated_at\":\"2026-04-08T12:00:01Z\"}");
    r.updated_ms = 0;
    CHECK_TEXT(encode(PROXY, &r, &rc), HEAD "\"updated_at\":\"0001-01-01T00:00:00Z\"}");
}

/* -- room -- */

/* Every length of both buffers: E_TOOBIG below what it takes, and nothing behind it is touched. */
static void try_room(int form, mcpsess_str json, const char *id) {
    mcpsess_record r;
    mcpsess_buf b;
    size_t full, n, need;
    mcpsess_buf_init(&b, record_mem, RECORD_MAX);
    CHECK_EQ(mcpsess_toolhive_decode(form, json, mcpsess_str_z(id), &b, &full), MCPSESS_OK);
    CHECK_EQ(full, b.len);
    for (n = 0; n <= full; n++) {
        memset(record_mem, '#', sizeof record_mem);
        mcpsess_buf_init(&b, record_mem, n + 3);
        mcpsess_buf_put(&b, MCPSESS_STR("abc")); /* it is appended */
        if (!CHECK_EQ(mcpsess_toolhive_decode(form, json, mcpsess_str_z(id), &b, &need),
                      n < full ? MCPSESS_E_TOOBIG : MCPSESS_OK))
            return;
        CHECK(need >= full && (n < full || need == full));
        CHECK_EQ(b.len, n < full ? 3 : full + 3);
        CHECK(!b.overflow && record_mem[n + 3] == '#' && record_mem[0] == 'a');
    }
    CHECK_EQ(mcpsess_record_decode(mcpsess_str_of(record_mem + 3, full), &r), MCPSESS_OK);
    for (n = 0; n <= json.len; n++) {
        memset(json_mem, '#', sizeof json_mem);
        mcpsess_buf_init(&b, json_mem, n + 1);
        mcpsess_buf_put_char(&b, 'x');
        CHECK_EQ(mcpsess_toolhive_encode(form, &r, &b), n < json.len ? MCPSESS_E_TOOBIG : MCPSESS_OK);
        CHECK(!b.overflow && json_mem[n + 1] == '#' && json_mem[0] == 'x');
    }
    CHECK(mcpsess_str_eq(mcpsess_str_of(json_mem + 1, json.len), json));
    b.overflow = true;
    CHECK_EQ(mcpsess_toolhive_encode(form, &r, &b), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_toolhive_decode(form, json, mcpsess_str_z(id), &b, &need), MCPSESS_E_TOOBIG);
}

TEST(toolhive_room) {
    try_room(VMCP, TEXT("{}"), "a");
    try_room(VMCP, TEXT("{\"a\":\"\\u003c\",\"b\":\"\\n\",\"" BINDING "\":\"i\\u0000s\",\"z\":\"\"}"), "abc");
    try_room(PROXY, TEXT(HEAD2 ",\"metadata\":{\"a\":\"\\u003c\",\"" BINDING "\":\"i\\u0000s\"},\"x\":[]}"), UUID);
}

#if !PORT_SMALL
/* A record is 65,535 bytes at most, and a pair's parts as well. */
TEST(toolhive_largest) {
    char *json = (char *)arena(140000), *mem = (char *)arena_more(140000);
    const mcpsess_str id = MCPSESS_STR("a");
    size_t most = 65535u - 22u - 4u - 1u, n, need;
    mcpsess_record r;
    mcpsess_buf b, out;
    for (n = most; n <= most + 1; n++) {
        mcpsess_buf_init(&b, json, 140000);
        mcpsess_buf_put(&b, MCPSESS_STR("{\"k\":\""));
        memset(json + b.len, 'v', n);
        b.len += n;
        mcpsess_buf_put(&b, MCPSESS_STR("\"}"));
        mcpsess_buf_init(&out, mem, 140000);
        CHECK_EQ(mcpsess_toolhive_decode(VMCP, mcpsess_buf_str(&b), id, &out, &need),
                 n == most ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        CHECK_EQ(need, 22 + 4 + 1 + n);
    }
    memset(json + 6, 0xFF, 65000); /* three bytes each in a record */
    CHECK_EQ(mcpsess_toolhive_decode(VMCP, mcpsess_buf_str(&b), id, &out, &need), MCPSESS_E_TOOBIG);
    mcpsess_buf_init(&b, json, 140000); /* keys in falling order, as many as a record holds */
    mcpsess_buf_put_char(&b, '{');
    for (n = 0; n < 4000; n++) {
        char key[24];
        mcpsess_buf_put(&b, n == 0 ? MCPSESS_STR("\"") : MCPSESS_STR(",\""));
        mcpsess_buf_put(&b, str_number(key, 'k', (uint32_t)(9999 - n)));
        mcpsess_buf_put(&b, MCPSESS_STR("\":\"\""));
    }
    mcpsess_buf_put_char(&b, '}');
    mcpsess_buf_init(&out, mem, 140000);
    CHECK_EQ(mcpsess_toolhive_decode(VMCP, mcpsess_buf_str(&b), id, &out, NULL), MCPSESS_OK);
    CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&out), &r), MCPSESS_OK);
    CHECK_EQ(r.pair_count, 4000);
    CHECK(arena_intact());
}
#endif

/* Any record of strings comes back as it was; so does any order of the members, and any string with escapes. */
TEST(toolhive_model) {
    static char other_mem[RECORD_MAX];
    unsigned long round;
    tap_seed(99);
    for (round = 0; round < PORT_ROUNDS / 200u; round++) {
        mcpsess_record r = blank(UUID), back;
        int form = random_below(2) != 0 ? VMCP : PROXY, rc;
        mcpsess_buf b, out;
        mcpsess_str json;
        uint32_t pairs = 1u + random_below(7), n, k;
        if (random_below(2) != 0) r.principal = principal("issuer<&>", "sub\"ject");
        if (random_below(3) == 0) r.state = MCPSESS_STATE_TERMINATED;
        if (form == PROXY) r.created_ms = random_below(1000000) * (uint64_t)1000003;
        mcpsess_buf_init(&b, record_mem, RECORD_MAX);
        CHECK_EQ(mcpsess_record_encode(&r, &b), MCPSESS_OK);
        for (n = 0; n < pairs; n++) {
            char key[8], value[24];
            size_t key_len = (size_t)(1u + random_below(3)), value_len = (size_t)random_below(24);
            for (k = 0; k < key_len; k++) key[k] = (char)(1u + random_below(127));
            for (k = 0; k < value_len; k++) value[k] = (char)random_below(128);
            CHECK_EQ(mcpsess_record_put(&b, mcpsess_str_of(key, key_len), mcpsess_str_of(value, value_len)),
                     MCPSESS_OK);
        }
        CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&b), &r), MCPSESS_OK);
        json = encode(form, &r, &rc);
        if (!CHECK_EQ(rc, MCPSESS_OK)) return;
        mcpsess_buf_init(&out, other_mem, sizeof other_mem);
        if (!CHECK_EQ(mcpsess_toolhive_decode(form, json, r.id, &out, NULL), MCPSESS_OK)) return;
        if (!CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_buf_str(&b)))) return;
        json_mem[random_below((uint32_t)json.len)] ^=
            (char)(1 << random_below(7)); /* damaged: no matter what, no harm */
        mcpsess_buf_init(&out, other_mem, sizeof other_mem);
        rc = mcpsess_toolhive_decode(form, json, r.id, &out, NULL);
        if (rc == MCPSESS_OK) CHECK_EQ(mcpsess_record_decode(mcpsess_buf_str(&out), &back), MCPSESS_OK);
        else CHECK_EQ(out.len, 0);
    }
}

/* -- ids and commands -- */

static bool maps(mcpsess_str id, mcpsess_str want) {
    char mem[64];
    mcpsess_buf b;
    mcpsess_buf_init(&b, mem, sizeof mem);
    return CHECK_EQ(mcpsess_toolhive_id(id, &b), MCPSESS_OK) && mcpsess_str_eq(mcpsess_buf_str(&b), want);
}

static bool maps_to_itself(mcpsess_str id) {
    return maps(id, id);
}

#define UUID_IS(literal) CHECK(maps_to_itself(TEXT(literal)))
#define UUID_IS_NOT(literal) CHECK(!maps_to_itself(TEXT(literal)))

TEST(toolhive_ids) {
    char mem[200], fill[140];
    mcpsess_buf b;
    CHECK(maps(TEXT("some-opaque-session-token"), TEXT("28235384-6197-5957-93d6-e4388474e028")));
    CHECK(maps(TEXT("token-a"), TEXT("cd763ae5-ab42-51af-a132-bd963525d7ae")));
    CHECK(maps(TEXT("token-b"), TEXT("760dee16-b01c-52cf-a03e-bb0db34b8b0c")));
    CHECK(maps(TEXT("abc"), TEXT("6cb8e707-0fc5-5f55-88d4-d4fed43e64a8")));
    /* where the padding begins another block of SHA-1 */
    CHECK(maps(str_fill(fill, 'x', 38), TEXT("f3ddef67-6e5b-53ca-baa2-12b379ef6ced")));
    CHECK(maps(str_fill(fill, 'x', 39), TEXT("2f80c0d1-1c62-579f-8d68-e61ad5592c9b")));
    CHECK(maps(str_fill(fill, 'x', 40), TEXT("e56fd57a-7633-5e1d-8f80-70e05ac413e5")));
    CHECK(maps(str_fill(fill, 'x', 47), TEXT("a112377b-8258-5ef7-b5b0-d2540bc03abb")));
    CHECK(maps(str_fill(fill, 'x', 48), TEXT("83993b6c-dea9-55ca-be5b-9989c85943fc")));
    CHECK(maps(str_fill(fill, 'x', 140), TEXT("e2b9f1fc-fd24-5336-956a-69d28f5c517d")));
    UUID_IS(UUID);
    UUID_IS("0B9C7A52-6A0E-4B57-9F4A-1D2E3F405162");
    UUID_IS("0b9c7a526a0e4b579f4a1d2e3f405162");
    UUID_IS("urn:uuid:" UUID);
    UUID_IS("URN:UUID:" UUID);
    UUID_IS("{" UUID "}");
    UUID_IS("(" UUID ")");
    UUID_IS_NOT("0b9c7a52-6a0e-4b57-9f4a-1d2e3f40516g");
    UUID_IS_NOT("0b9c7a52x6a0e-4b57-9f4a-1d2e3f405162");
    UUID_IS_NOT("0b9c7a52");
    UUID_IS_NOT("0b9c7a526a0e4b579f4a1d2e3f40516-");
    UUID_IS_NOT("urn:uuix:" UUID);
    UUID_IS_NOT(UUID "0");
    UUID_IS_NOT("urn:uuid:{" UUID "}");
    UUID_IS_NOT("0b9c7a5266a0e-4b57-9f4a-1d2e3f405162");
    UUID_IS_NOT("\\u0030b9c7a526a0e4b579f4a1d2e3f4051");
    mcpsess_buf_init(&b, mem, 36);
    mcpsess_buf_put_char(&b, 'x');
    CHECK_EQ(mcpsess_toolhive_id(MCPSESS_STR("abc"), &b), MCPSESS_E_TOOBIG);
    CHECK_EQ(mcpsess_toolhive_id(MCPSESS_STR(UUID), &b), MCPSESS_E_TOOBIG);
    CHECK(b.len == 1 && !b.overflow);
    CHECK_EQ(mcpsess_toolhive_id(MCPSESS_STR(""), &b), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_toolhive_id(str_broken(), &b), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_toolhive_id(MCPSESS_STR("abc"), NULL), MCPSESS_E_ARG);
}

/* Are the bytes on the wire these? And does it take `scratch` bytes, no fewer? */
static bool command_is(mcpsess_toolhive_layout l, int command, const char *json, size_t scratch, mcpsess_str want) {
    char mem[48], wire[160];
    mcpsess_toolhive_words words;
    mcpsess_buf b, out;
    size_t n;
    words.argc = 77;
    for (n = 0; n < scratch; n++) {
        mcpsess_buf_init(&b, mem, n + 1);
        mcpsess_buf_put_char(&b, 'x');
        CHECK_EQ(mcpsess_toolhive_command(&l, command, MCPSESS_STR("abc"), mcpsess_str_z(json), &b, &words),
                 MCPSESS_E_TOOBIG);
        CHECK(b.len == 1 && !b.overflow && words.argc == 77);
    }
    mcpsess_buf_init(&b, mem, scratch + 1);
    mcpsess_buf_put_char(&b, 'x'); /* it is appended */
    CHECK_EQ(mcpsess_toolhive_command(&l, command, MCPSESS_STR("abc"), mcpsess_str_z(json), &b, &words), MCPSESS_OK);
    CHECK(b.len == scratch + 1 && mem[0] == 'x');
    mcpsess_buf_init(&out, wire, sizeof wire);
    CHECK_EQ(mcpsess_resp_put_command(&out, words.argv, words.argc), MCPSESS_OK);
    return mcpsess_str_eq(mcpsess_buf_str(&out), want);
}

#define FRAME_VMCP "$20\r\nthv:vmcp:session:abc\r\n"
#define FRAME_TTL "$2\r\nex\r\n$4\r\n1800\r\n"

TEST(toolhive_commands) {
    mcpsess_toolhive_layout l = mcpsess_toolhive_vmcp(), odd = l;
    odd.ttl_ms = 1500;
    odd.prefix = MCPSESS_STR(":");
    CHECK(command_is(l, MCPSESS_TOOLHIVE_LOAD, "", 24, TEXT("*4\r\n$5\r\ngetex\r\n" FRAME_VMCP FRAME_TTL)));
    CHECK(command_is(l, MCPSESS_TOOLHIVE_CREATE, "{}", 24,
                     TEXT("*6\r\n$3\r\nset\r\n" FRAME_VMCP "$2\r\n{}\r\n" FRAME_TTL "$2\r\nnx\r\n")));
    CHECK(command_is(
        l, MCPSESS_TOOLHIVE_UPDATE, "{\"terminated\":\"true\"}", 24,
        TEXT("*6\r\n$3\r\nset\r\n" FRAME_VMCP "$21\r\n{\"terminated\":\"true\"}\r\n" FRAME_TTL "$2\r\nXX\r\n")));
    CHECK(command_is(l, MCPSESS_TOOLHIVE_DELETE, "", 20, TEXT("*2\r\n$3\r\ndel\r\n" FRAME_VMCP)));
    CHECK(command_is(l, MCPSESS_TOOLHIVE_PEEK, "", 20, TEXT("*2\r\n$3\r\nget\r\n" FRAME_VMCP)));
    CHECK(command_is(mcpsess_toolhive_proxy(), MCPSESS_TOOLHIVE_STORE, "x", 25,
                     TEXT("*5\r\n$3\r\nset\r\n$21\r\nthv:proxy:session:abc\r\n$1\r\nx\r\n$2\r\nex\r\n$4\r\n7200"
                          "\r\n")));
    CHECK(command_is(odd, MCPSESS_TOOLHIVE_LOAD, "", 8,
                     TEXT("*4\r\n$5\r\ngetex\r\n$4\r\n:abc\r\n$2\r\npx\r\n$4\r\n1500\r\n")));
    odd.ttl_ms = UINT64_C(1) << 46;
    CHECK(command_is(odd, MCPSESS_TOOLHIVE_LOAD, "", 4 + 14,
                     TEXT("*4\r\n$5\r\ngetex\r\n$4\r\n:abc\r\n$2\r\npx\r\n$14\r\n70368744177664\r\n")));
}

TEST(toolhive_commands_refused) {
    mcpsess_toolhive_layout l = mcpsess_toolhive_vmcp();
    const mcpsess_str abc = MCPSESS_STR("abc"), none = mcpsess_str_of(NULL, 0), json = MCPSESS_STR("{}");
    char mem[48];
    mcpsess_toolhive_words w;
    mcpsess_buf b;
    mcpsess_buf_init(&b, mem, sizeof mem);
    w.argc = 77;
#define FAILS(command, id, json) CHECK_EQ(mcpsess_toolhive_command(&l, command, id, json, &b, &w), MCPSESS_E_ARG)
    FAILS(0, abc, json);
    FAILS(7, abc, json);
    FAILS(MCPSESS_TOOLHIVE_LOAD, MCPSESS_STR(""), json);
    FAILS(MCPSESS_TOOLHIVE_LOAD, str_broken(), json);
    FAILS(MCPSESS_TOOLHIVE_CREATE, abc, none);
    FAILS(MCPSESS_TOOLHIVE_UPDATE, abc, MCPSESS_STR(""));
    FAILS(MCPSESS_TOOLHIVE_STORE, abc, str_broken());
    l.ttl_ms = 0;
    FAILS(MCPSESS_TOOLHIVE_LOAD, abc, json);
    l.ttl_ms = (UINT64_C(1) << 46) + 1;
    FAILS(MCPSESS_TOOLHIVE_LOAD, abc, json);
    l = mcpsess_toolhive_vmcp();
    l.prefix = MCPSESS_STR("thv");
    FAILS(MCPSESS_TOOLHIVE_LOAD, abc, json);
    l.prefix = MCPSESS_STR("");
    FAILS(MCPSESS_TOOLHIVE_LOAD, abc, json);
    l = mcpsess_toolhive_vmcp();
    CHECK_EQ(mcpsess_toolhive_command(NULL, MCPSESS_TOOLHIVE_LOAD, abc, none, &b, &w), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_toolhive_command(&l, MCPSESS_TOOLHIVE_LOAD, abc, none, NULL, &w), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_toolhive_command(&l, MCPSESS_TOOLHIVE_LOAD, abc, none, &b, NULL), MCPSESS_E_ARG);
    l.form = 3;
    FAILS(MCPSESS_TOOLHIVE_LOAD, abc, json);
    CHECK(b.len == 0 && !b.overflow && w.argc == 77);
    l.form = MCPSESS_TOOLHIVE_VMCP;
    b.overflow = true;
    CHECK_EQ(mcpsess_toolhive_command(&l, MCPSESS_TOOLHIVE_LOAD, abc, none, &b, &w), MCPSESS_E_TOOBIG);
    CHECK(b.overflow && w.argc == 77);
}

void test_toolhive(void) {
    RUN(toolhive_vmcp_vectors);
    RUN(toolhive_vmcp_members);
    RUN(toolhive_backends_expire);
    RUN(th42_07_toolhive_restorable);
    RUN(toolhive_binding);
    RUN(toolhive_vmcp_ids);
    RUN(toolhive_escapes);
    RUN(toolhive_reads_what_go_reads);
    RUN(toolhive_refuses);
    RUN(toolhive_vmcp_has_no_place);
    RUN(toolhive_proxy_vectors);
    RUN(toolhive_proxy_reads_what_go_reads);
    RUN(toolhive_proxy_refuses);
    RUN(toolhive_proxy_has_no_place);
    RUN(toolhive_proxy_longer_names);
    RUN(toolhive_instants);
    RUN(toolhive_instants_all_days);
    RUN(toolhive_instants_edited);
    RUN(toolhive_room);
#if !PORT_SMALL
    RUN(toolhive_largest);
#endif
    RUN(toolhive_model);
    RUN(toolhive_ids);
    RUN(toolhive_commands);
    RUN(toolhive_commands_refused);
}
