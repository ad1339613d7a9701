/* eventid: the vectors of the .NET event store's format, and strictness */

#include "test_util.h"

static char text_mem[160], part_mem[160];

static mcpsess_buf text_buf(size_t cap) {
    mcpsess_buf b;
    memset(text_mem, '#', sizeof text_mem);
    mcpsess_buf_init(&b, text_mem, cap);
    return b;
}

static mcpsess_buf part_buf(size_t cap) {
    mcpsess_buf b;
    memset(part_mem, '#', sizeof part_mem);
    mcpsess_buf_init(&b, part_mem, cap);
    return b;
}

static mcpsess_eventid id_of(mcpsess_str session, mcpsess_str stream, uint64_t epoch, uint64_t sequence) {
    mcpsess_eventid id;
    id.session = session;
    id.stream = stream;
    id.epoch = epoch;
    id.sequence = sequence;
    return id;
}

static bool same_id(const mcpsess_eventid *a, const mcpsess_eventid *b) {
    return mcpsess_str_eq(a->session, b->session) && mcpsess_str_eq(a->stream, b->stream) && a->epoch == b->epoch &&
           a->sequence == b->sequence;
}

static bool is_zero(const mcpsess_eventid *id) {
    return id->session.ptr == NULL && id->session.len == 0 && id->stream.ptr == NULL && id->stream.len == 0 &&
           id->epoch == 0 && id->sequence == 0;
}

/* ---- the vectors ---- */

typedef struct vector {
    const char *session, *stream;
    uint64_t epoch, sequence;
    const char *text;
} vector;

static const vector vectors[] = {
    {"abc", "1", 0, 7, "YWJj:MQ==:7"},
    {"", "", 0, 42, "::42"},
    {"session", "stream", 0, 0, "c2Vzc2lvbg==:c3RyZWFt:0"},
    {"session", "stream", 0, INT64_MAX, "c2Vzc2lvbg==:c3RyZWFt:9223372036854775807"},
    {"my-session-id", "my-stream-id", 0, 12345, "bXktc2Vzc2lvbi1pZA==:bXktc3RyZWFtLWlk:12345"},
    {"session:with:colons:and|pipes", "stream-1", 0, 1, "c2Vzc2lvbjp3aXRoOmNvbG9uczphbmR8cGlwZXM=:c3RyZWFtLTE=:1"},
    {"session-1", "stream:with:colons:and|special!chars@#$%", 0, 1,
     "c2Vzc2lvbi0x:c3RyZWFtOndpdGg6Y29sb25zOmFuZHxzcGVjaWFsIWNoYXJzQCMkJQ==:1"},
    {"session-\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e-\xc3\xa9mojis-\xf0\x9f\x8e\x89",
     "stream-\xe4\xb8\xad\xe6\x96\x87-\xd8\xa7\xd9\x84\xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a\xd8\xa9", 0, 999,
     "c2Vzc2lvbi3ml6XmnKzoqp4tw6ltb2ppcy3wn46J:c3RyZWFtLeS4reaWhy3Yp9mE2LnYsdio2YrYqQ==:999"},
    {"session-1", "stream-1", 0, 42, "c2Vzc2lvbi0x:c3RyZWFtLTE=:42"},
    {"abc", "__get__", 0, 1, "YWJj:X19nZXRfXw==:1"},
    {"~~~", "???", 0, 3, "fn5+:Pz8/:3"},
    {">>>", "a", 0, 1, "Pj4+:YQ==:1"},
    /* with an epoch */
    {"abc", "1", 1, 7, "YWJj:MQ==:1:7"},
    {"", "", 5, 0, "::5:0"},
    {"abc", "1", INT64_MAX, INT64_MAX, "YWJj:MQ==:9223372036854775807:9223372036854775807"},
    {"abc", "1", UINT64_C(1775649600123456), 12, "YWJj:MQ==:1775649600123456:12"},
};

TEST(eventid_vectors_are_written) {
    size_t i;
    for (i = 0; i < COUNT_OF(vectors); i++) {
        const vector *v = &vectors[i];
        mcpsess_eventid id = id_of(mcpsess_str_z(v->session), mcpsess_str_z(v->stream), v->epoch, v->sequence);
        mcpsess_buf out = text_buf(sizeof text_mem);
        CHECK_EQ(mcpsess_eventid_encode(&id, &out), MCPSESS_OK);
        if (!CHECK(mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_str_z(v->text)))) tap_note("vector", (int64_t)i);
    }
}

TEST(eventid_vectors_are_read) {
    size_t i;
    for (i = 0; i < COUNT_OF(vectors); i++) {
        const vector *v = &vectors[i];
        mcpsess_eventid want = id_of(mcpsess_str_z(v->session), mcpsess_str_z(v->stream), v->epoch, v->sequence), id;
        mcpsess_buf mem = part_buf(sizeof part_mem);
        CHECK_EQ(mcpsess_eventid_decode(mcpsess_str_z(v->text), &mem, &id), MCPSESS_OK);
        if (!CHECK(same_id(&id, &want))) tap_note("vector", (int64_t)i);
        CHECK_EQ(mem.len, want.session.len + want.stream.len);
    }
}

/* ---- what is refused ---- */

/* Refused texts. Those marked .NET are taken by the .NET reader, but never written by anybody. */
static const char *const refused[] = {
    "",
    "no-separators",
    "only:one",
    "too:many:parts:here",
    "!!!invalid!!!:c3RyZWFt:1",
    "YWJj:MQ==:not-a-number",
    ":",
    "::",
    ":::",
    "::::",
    "YWJj:MQ==",
    "YWJj:MQ==:",
    ":MQ==:",
    "YWJj::", /* a part missing */
    "YWJj:MQ==:1:",
    "YWJj:MQ==::1",
    "YWJj:MQ==:1:2:3",
    "YWJj:MQ==:1:2:",
    ":YWJj:MQ==:7", /* a part too many */
    "YWJj:MQ==:0:7",
    "YWJj:MQ==:01:7",
    "YWJj:MQ==:-1:7",
    "YWJj:MQ==:x:7", /* an epoch nobody writes */
    "YWJj:MQ==:18446744073709551616:1",
    "YWJj:MQ==:+7",
    "YWJj:MQ==: 7",
    "YWJj:MQ==:7 ",
    "YWJj:MQ==:-0", /* .NET: sign, spaces */
    "YWJj:MQ==:07",
    "YWJj:MQ==:00", /* .NET: leading zeros */
    "YWJj:MQ==:-1",
    "YWJj:MQ==:9223372036854775808",
    "YWJj:MQ==:18446744073709551616",
    "YWJj:MQ==:100000000000000000000",
    "YWJj:MQ==:1.0",
    "YWJj:MQ==:0x1",
    "YWJj:MQ==:1e3",
    "YWJj:MQ==:7\n",
    "YWJj:MQ==:7\r\n",
    "YWJj:MQ==:7x", /* trailing bytes */
    "YW Jj:MQ==:7",
    "YWJj\n:MQ==:7",
    " YWJj:MQ==:7",
    "YWJj:M\tQ==:7", /* .NET: white space in base64 */
    "YWJj:MQ=:7",
    "YWJj:MQ:7",
    "YWJj:MR==:7",
    "YWJ:MQ==:7",
    "YWJj=:MQ==:7", /* padding, unused bits */
    "fn5-:MQ==:3",
    "YWJj:Pz8_:3", /* the URL alphabet */
};

TEST(eventid_refuses_what_nobody_writes) {
    size_t i;
    for (i = 0; i < COUNT_OF(refused); i++) {
        mcpsess_buf mem = part_buf(sizeof part_mem);
        mcpsess_eventid id = id_of(MCPSESS_STR("x"), MCPSESS_STR("x"), 1, 1);
        mcpsess_buf_put(&mem, MCPSESS_STR(">>"));
        if (!CHECK_EQ(mcpsess_eventid_decode(mcpsess_str_z(refused[i]), &mem, &id), MCPSESS_E_FORMAT)) {
            tap_note("number of the text", (int64_t)i);
        }
        CHECK(is_zero(&id));
        CHECK_STR(mcpsess_buf_str(&mem), ">>");
        CHECK(!mem.overflow);
    }
}

/* Refused without a trace, or exactly what encode writes. */
static bool strict(mcpsess_str text) {
    mcpsess_buf mem = part_buf(sizeof part_mem), out = text_buf(sizeof text_mem);
    mcpsess_eventid id;
    int rc = mcpsess_eventid_decode(text, &mem, &id);
    if (rc == MCPSESS_E_FORMAT) return is_zero(&id) && mem.len == 0 && !mem.overflow;
    return rc == MCPSESS_OK && mcpsess_eventid_encode(&id, &out) == MCPSESS_OK &&
           mcpsess_str_eq(mcpsess_buf_str(&out), text);
}

TEST(eventid_of_every_truncation_is_strict) {
    size_t i, n;
    for (i = 0; i < COUNT_OF(vectors); i++) {
        mcpsess_str text = mcpsess_str_z(vectors[i].text);
        for (n = 0; n <= text.len; n++) {
            if (!CHECK(strict(str_head(text, n)))) tap_note("length", (int64_t)n);
        }
    }
}

TEST(eventid_of_every_mutation_is_strict) {
    static const char *const samples[] = {"YWJj:MQ==:7", "c2Vzc2lvbg==:c3RyZWFt:9223372036854775807",
                                          "YQ==:Yg==:10:305"};
    static char text[64];
    size_t i, at, len;
    unsigned b;
    for (i = 0; i < COUNT_OF(samples); i++) {
        len = mcpsess_str_z(samples[i]).len;
        for (at = 0; at < len; at++) {
            memcpy(text, samples[i], len);
            for (b = 0; b < 256; b++) {
                text[at] = (char)b;
                if (!CHECK(strict(mcpsess_str_of(text, len)))) tap_note("byte at", (int64_t)at);
            }
            memcpy(text, samples[i], at); /* and without that byte */
            memcpy(text + at, samples[i] + at + 1, len - at - 1);
            CHECK(strict(mcpsess_str_of(text, len - 1)));
        }
    }
}

TEST(eventid_does_not_read_past_its_slice) {
    mcpsess_buf mem = part_buf(sizeof part_mem);
    mcpsess_eventid id;
    CHECK_EQ(mcpsess_eventid_decode(mcpsess_str_of("YWJj:MQ==:789", 11), &mem, &id), MCPSESS_OK);
    CHECK_EQ(id.sequence, 7);
}

/* ---- bounds ---- */

TEST(eventid_text_needs_exactly_its_room) {
    static const char want[] = "c2Vzc2lvbg==:c3RyZWFt:9223372036854775807";
    mcpsess_eventid id = id_of(MCPSESS_STR("session"), MCPSESS_STR("stream"), 0, (uint64_t)INT64_MAX);
    size_t cap;
    for (cap = 2; cap <= 2 + sizeof want; cap++) {
        mcpsess_buf out = text_buf(cap);
        bool fits = cap >= 2 + sizeof want - 1;
        mcpsess_buf_put(&out, MCPSESS_STR(">>"));
        CHECK_EQ(mcpsess_eventid_encode(&id, &out), fits ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        CHECK_EQ(out.len, fits ? 2 + sizeof want - 1 : 2);
        CHECK(!out.overflow);
        CHECK_EQ(text_mem[cap], '#');
        if (!fits) CHECK(same_bytes(text_mem, ">>", 2));
    }
}

TEST(eventid_parts_need_exactly_their_room) {
    size_t cap;
    for (cap = 2; cap < 20; cap++) {
        mcpsess_buf mem = part_buf(cap);
        mcpsess_eventid id;
        bool fits = cap >= 2 + 7 + 6;
        mcpsess_buf_put(&mem, MCPSESS_STR(">>"));
        CHECK_EQ(mcpsess_eventid_decode(MCPSESS_STR("c2Vzc2lvbg==:c3RyZWFt:3"), &mem, &id),
                 fits ? MCPSESS_OK : MCPSESS_E_TOOBIG);
        CHECK_EQ(mem.len, fits ? 15 : 2);
        CHECK(!mem.overflow);
        CHECK_EQ(part_mem[cap], '#');
        if (fits) CHECK(id.session.ptr == part_mem + 2 && id.stream.ptr == part_mem + 9);
        else CHECK(is_zero(&id));
    }
}

TEST(eventid_sequence_over_the_maximum_is_not_written) {
    mcpsess_eventid id = id_of(MCPSESS_STR("a"), MCPSESS_STR("b"), 0, (uint64_t)INT64_MAX + 1u);
    mcpsess_buf out = text_buf(sizeof text_mem);
    CHECK_EQ(mcpsess_eventid_encode(&id, &out), MCPSESS_E_ARG);
    id.sequence = UINT64_MAX;
    CHECK_EQ(mcpsess_eventid_encode(&id, &out), MCPSESS_E_ARG);
    id.sequence = 1;
    id.epoch = (uint64_t)INT64_MAX + 1u;
    CHECK_EQ(mcpsess_eventid_encode(&id, &out), MCPSESS_E_ARG);
    CHECK_EQ(out.len, 0);
    CHECK(!out.overflow);
}

TEST(eventid_epoch_that_decode_would_refuse_is_not_written) {
    mcpsess_eventid id = id_of(MCPSESS_STR("a"), MCPSESS_STR("b"), (uint64_t)INT64_MAX + 1u, 1);
    mcpsess_buf out = text_buf(sizeof text_mem);
    CHECK_EQ(mcpsess_eventid_encode(&id, &out), MCPSESS_E_ARG);
    CHECK_EQ(out.len, 0);
    id.epoch = (uint64_t)INT64_MAX;
    CHECK_EQ(mcpsess_eventid_encode(&id, &out), MCPSESS_OK);
    CHECK(strict(mcpsess_buf_str(&out)));
}

TEST(eventid_null) {
    mcpsess_eventid id = id_of(MCPSESS_STR("a"), MCPSESS_STR("b"), 0, 1);
    mcpsess_buf out = text_buf(sizeof text_mem), mem = part_buf(sizeof part_mem);
    CHECK_EQ(mcpsess_eventid_encode(NULL, &out), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_eventid_encode(&id, NULL), MCPSESS_E_ARG);
    id.session = str_broken();
    CHECK_EQ(mcpsess_eventid_encode(&id, &out), MCPSESS_E_ARG);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(mcpsess_eventid_decode(MCPSESS_STR("::1"), NULL, &id), MCPSESS_E_ARG);
    CHECK(is_zero(&id));
    CHECK_EQ(mcpsess_eventid_decode(MCPSESS_STR("::1"), &mem, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_eventid_decode(str_broken(), &mem, &id), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_eventid_decode(mcpsess_str_of(NULL, 0), &mem, &id), MCPSESS_E_FORMAT);
}

TEST(eventid_random_ids_come_back) {
    uint32_t round;
    for (round = 0; round < PORT_ROUNDS / 100u; round++) {
        char bytes[48];
        size_t i, session = (size_t)random_below(25), stream = (size_t)random_below(24);
        mcpsess_buf out = text_buf(sizeof text_mem), mem = part_buf(sizeof part_mem);
        mcpsess_eventid id, back;
        for (i = 0; i < sizeof bytes; i++) bytes[i] = (char)(tap_random() & 0x7Fu);
        id = id_of(mcpsess_str_of(bytes, session), mcpsess_str_of(bytes + 24, stream),
                   random_below(2) ? tap_random() : 0,
                   (((uint64_t)tap_random() << 32) | tap_random()) >> (1u + random_below(63)));
        if (!CHECK_EQ(mcpsess_eventid_encode(&id, &out), MCPSESS_OK)) return;
        if (!CHECK_EQ(mcpsess_eventid_decode(mcpsess_buf_str(&out), &mem, &back), MCPSESS_OK)) return;
        if (!CHECK(same_id(&id, &back))) return;
    }
}

void test_eventid(void) {
    RUN(eventid_vectors_are_written);
    RUN(eventid_vectors_are_read);
    RUN(eventid_refuses_what_nobody_writes);
    RUN(eventid_of_every_truncation_is_strict);
    RUN(eventid_of_every_mutation_is_strict);
    RUN(eventid_does_not_read_past_its_slice);
    RUN(eventid_text_needs_exactly_its_room);
    RUN(eventid_parts_need_exactly_their_room);
    RUN(eventid_sequence_over_the_maximum_is_not_written);
    RUN(eventid_epoch_that_decode_would_refuse_is_not_written);
    RUN(eventid_null);
    RUN(eventid_random_ids_come_back);
}
