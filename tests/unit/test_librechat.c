/* LibreChat's flags and leases: the bytes of what it writes and sends, what is read as a flag; and what the store asks
   and makes of the answers, against a server that the test plays. What its scripts do is tested on real servers. */

#include "tap.h"

#define STORE_LIBRECHAT
#define TX ((uint32_t)MCPSESS_LIBRECHAT_STORE_TX)
#define INBOX 512u
#include "store_wire.h"

#define FLAG_KEY "MCP::ServersRegistry::PrivateServersLoadStatus:USER_PRIVATE_SERVERS_LOADED::user1"
#define LEASE_KEY "MCP::ServersRegistry::PrivateServersLoadStatus:USER_PRIVATE_SERVERS_LOAD_LOCK::user1"

static char text_mem[320];
static mcpsess_librechat_flag f;

/* A literal, which a small target keeps in flash until then; ends where its memory does, so that a sanitizer sees one
   byte too many. */
static mcpsess_str text_of(const char *literal, size_t len) {
    char *at = text_mem + sizeof text_mem - len;
    size_t n;
    if (!CHECK(len <= sizeof text_mem)) port_exit(1);
    for (n = 0; n < len; n++) at[n] = (char)PORT_TEXT_CHAR(literal + n);
    return mcpsess_str_of(at, len);
}
#define TEXT(literal) text_of(PORT_TEXT(literal), sizeof(literal) - 1)

/* ---- section 1.5: the vectors ---- */

static mcpsess_librechat_call call;
static mcpsess_librechat_words words;
static char scratch_mem[160];
static mcpsess_buf scratch;

static int makes(int command) {
    mcpsess_buf_init(&scratch, scratch_mem, sizeof scratch_mem);
    return mcpsess_librechat_command(&call, command, &scratch, &words);
}

static bool sends(int command, mcpsess_str want) {
    char mem[256];
    mcpsess_buf wire_bytes;
    mcpsess_buf_init(&wire_bytes, mem, sizeof mem);
    return makes(command) == MCPSESS_OK && scratch.len <= call.prefix.len + call.user.len + 160u &&
           mcpsess_resp_put_command(&wire_bytes, words.argv, words.argc) == MCPSESS_OK &&
           mcpsess_str_eq(mcpsess_buf_str(&wire_bytes), want);
}
#define SENDS(command, literal) CHECK(sends(command, TEXT(literal)))

static void call_of(uint64_t now_ms, uint64_t ttl_ms) {
    memset(&call, 0, sizeof call);
    call.user = MCPSESS_STR("user1");
    call.now_ms = now_ms;
    call.ttl_ms = ttl_ms;
}

TEST(librechat_vectors_of_commands) {
    call_of(UINT64_C(1700000000000), UINT32_C(3600000));
    SENDS(MCPSESS_LIBRECHAT_SET_LOADED,
          "*5\r\n$3\r\nSET\r\n$81\r\n" FLAG_KEY "\r\n$38\r\n{\"value\":true,\"expires\":1700003600000}\r\n"
          "$2\r\nPX\r\n$7\r\n3600000\r\n");
    call.ttl_ms = 30000;
    SENDS(MCPSESS_LIBRECHAT_ACQUIRE, "*6\r\n$3\r\nSET\r\n$84\r\n" LEASE_KEY "\r\n$13\r\n1700000000000\r\n"
                                     "$2\r\nPX\r\n$5\r\n30000\r\n$2\r\nNX\r\n");
    call_of(0, 0);
    SENDS(MCPSESS_LIBRECHAT_RELEASE, "*2\r\n$6\r\nUNLINK\r\n$84\r\n" LEASE_KEY "\r\n");
    SENDS(MCPSESS_LIBRECHAT_IS_LOADED, "*2\r\n$3\r\nGET\r\n$81\r\n" FLAG_KEY "\r\n");
    SENDS(MCPSESS_LIBRECHAT_CLEAR_LOADED, "*2\r\n$6\r\nUNLINK\r\n$81\r\n" FLAG_KEY "\r\n");
    call.prefix = MCPSESS_STR("lc");
    SENDS(MCPSESS_LIBRECHAT_IS_LOADED, "*2\r\n$3\r\nGET\r\n$85\r\nlc::" FLAG_KEY "\r\n");
}

TEST(librechat_commands_refuse_what_is_none) {
    char want[sizeof scratch_mem];
    size_t cap;
    call_of(1, 1);
    CHECK_EQ(makes(0), MCPSESS_E_ARG);
    CHECK_EQ(makes(6), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_librechat_command(NULL, 1, &scratch, &words), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_librechat_command(&call, 1, NULL, &words), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_librechat_command(&call, 1, &scratch, NULL), MCPSESS_E_ARG);
    call.ttl_ms = 0;
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_ACQUIRE), MCPSESS_E_ARG);
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_SET_LOADED), MCPSESS_E_ARG);
    call.ttl_ms = (UINT64_C(1) << 46) + 1u;
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_ACQUIRE), MCPSESS_E_ARG);
    call.ttl_ms--;
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_ACQUIRE), MCPSESS_OK);
    call.prefix = str_broken();
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_E_ARG);
    call.prefix = str_fill(want, 'p', MCPSESS_LIBRECHAT_PREFIX_MAX + 1u);
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_E_ARG);
    call.prefix.len--;
    call.user = mcpsess_str_of("u", 1);
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_E_TOOBIG);
    call_of(1, 1);
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_SET_LOADED), MCPSESS_OK);
    for (cap = scratch.len; cap-- > 0;) {
        mcpsess_buf_init(&scratch, scratch_mem, cap);
        if (mcpsess_librechat_command(&call, MCPSESS_LIBRECHAT_SET_LOADED, &scratch, &words) != MCPSESS_E_TOOBIG) break;
        if (scratch.len != 0 || scratch.overflow) break;
    }
    CHECK_EQ(cap, SIZE_MAX);
    scratch.overflow = true;
    CHECK_EQ(mcpsess_librechat_command(&call, 1, &scratch, &words), MCPSESS_E_TOOBIG);
}

/* An id from a stranger: nothing that a pattern, a cluster or a key's parts could take for something else. */
TEST(librechat_takes_ids_that_are_ids) {
    char mem[MCPSESS_ID_MAX + 1u];
    unsigned c, taken = 0;
    call_of(1, 1);
    for (c = 0; c < 256u; c++) {
        call.user = str_byte(c);
        if (makes(MCPSESS_LIBRECHAT_RELEASE) == MCPSESS_OK) taken++;
        else CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_E_ID);
    }
    CHECK_EQ(taken, 26 + 26 + 10 + 3);
    for (c = 0; c < 65u; c++) {
        call.user = str_byte((unsigned char)"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_."[c]);
        CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_OK);
    }
    call.user = MCPSESS_STR("65f1a2b3c4d5e6f708192a3b");
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_OK);
    call.user = MCPSESS_STR("a:b");
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_E_ID);
    call.user = mcpsess_str_of(NULL, 0);
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_E_ID);
    call.user = str_broken();
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_E_ID);
    call.user = str_fill(mem, 'a', MCPSESS_ID_MAX + 1u);
    CHECK_EQ(makes(MCPSESS_LIBRECHAT_RELEASE), MCPSESS_E_ID);
}

/* ---- flags ---- */

static int reads(mcpsess_str json) {
    int rc;
    memset(&f, 0xAA, sizeof f);
    rc = mcpsess_librechat_flag_decode(json, &f);
    if (rc != MCPSESS_OK) CHECK(f.expires_ms == 0 && f.fingerprint_len == 0);
    CHECK(f.fingerprint_len <= MCPSESS_FINGERPRINT_MAX);
    return rc;
}
#define READS(literal) CHECK_EQ(reads(TEXT(literal)), MCPSESS_OK)
#define NO_FLAG(literal) CHECK_EQ(reads(TEXT(literal)), MCPSESS_MISS)
#define REFUSED(literal) CHECK_EQ(reads(TEXT(literal)), MCPSESS_E_FORMAT)
#define EXPIRES(literal, ms)                           \
    READS("{\"value\":true,\"expires\":" literal "}"); \
    CHECK(f.expires_ms == (ms))

TEST(librechat_reads_what_keyv_reads) { /* section 1.1, the verdicts */
    READS("{\"value\":true,\"expires\":1700003600000}");
    CHECK(f.expires_ms == UINT64_C(1700003600000) && f.fingerprint_len == 0);
    READS("{\"value\":true}");
    CHECK(f.expires_ms == MCPSESS_NEVER);
    READS("{\"value\":true,\"expires\":null}");
    CHECK(f.expires_ms == MCPSESS_NEVER);
    NO_FLAG("true");
    NO_FLAG("1");
    NO_FLAG("{\"value\":\"true\"}");
    NO_FLAG("{\"value\":false,\"expires\":null}");
    REFUSED("{\"value\":true");
    REFUSED("");
}

TEST(librechat_reads_json_as_it_is) {
    READS(" {\n\"\\u0076alue\"\t: true , \"expires\" : 5 }\r\n");
    CHECK(f.expires_ms == 5);
    READS("{\"expires\":7,\"x\":[{},\":base64:AA==\"],\"value\":true,\"y\":{\"value\":false,\"expires\":1}}");
    CHECK(f.expires_ms == 7);
    READS("{\"value\":false,\"value\":true,\"expires\":1,\"expires\":2}"); /* the last of equal names */
    CHECK(f.expires_ms == 2);
    NO_FLAG("{\"value\":true,\"value\":1}");
    NO_FLAG("{\"Value\":true}");
    NO_FLAG("{\"value\":[true]}");
    NO_FLAG("{\"value\":{\"value\":true}}");
    NO_FLAG("{\"value\":\":base64:dHJ1ZQ==\",\"expires\":1}");
    NO_FLAG("{\"value\":\":bigint:1\"}");
    NO_FLAG("{\"value\":null}");
    NO_FLAG("{}");
    NO_FLAG("[]");
    NO_FLAG("[{\"value\":true}]");
    NO_FLAG("null");
    NO_FLAG("\"{}\"");
    NO_FLAG("1700000000000"); /* a lease of LibreChat's */
    REFUSED("1700000000000:token");
    REFUSED("{\"value\":true}x");
    REFUSED("{\"value\":True}");
    REFUSED("{'value':true}");
    REFUSED("{\"value\":true,}");
    REFUSED("undefined");
    REFUSED("\xEF\xBB\xBF{\"value\":true}");
    REFUSED(" ");
    CHECK_EQ(mcpsess_librechat_flag_decode(str_broken(), &f), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_librechat_flag_decode(MCPSESS_STR("{}"), NULL), MCPSESS_E_ARG);
}

TEST(librechat_reads_any_number_as_an_instant) {
    EXPIRES("0", 0);
    EXPIRES("-1", 0);
    EXPIRES("-1e300", 0);
    EXPIRES("1700003600000.999", UINT64_C(1700003600000)); /* now > 5.5 and now > 5 are the same for whole numbers */
    EXPIRES("1.7000036e12", UINT64_C(1700003600000));
    EXPIRES("1.7000036E+12", UINT64_C(1700003600000));
    EXPIRES("17000036000009e-1", UINT64_C(1700003600000));
    EXPIRES("0.00017e4", 1);
    EXPIRES("123e-3", 0);
    EXPIRES("123e-99999999999", 0);
    EXPIRES("0e99999999999", 0);
    EXPIRES("1e21", MCPSESS_NEVER);
    EXPIRES("1e99999999999", MCPSESS_NEVER);
    EXPIRES("9007199254740993", UINT64_C(9007199254740993));
    EXPIRES("99999999999999999999999", MCPSESS_NEVER);
    EXPIRES("\"1\"", MCPSESS_NEVER); /* no number: it does not expire */
    EXPIRES("true", MCPSESS_NEVER);
    EXPIRES("[1]", MCPSESS_NEVER);
}

TEST(librechat_fingerprints_are_hex) {
    NO_FLAG("{\"value\":true,\"expires\":5,\"fingerprint\":\"00ff1aA0\"}");
    CHECK_EQ(reads(TEXT("{\"value\":true,\"fingerprint\":\"00ff1a\"}")), MCPSESS_OK);
    CHECK(f.fingerprint_len == 3 && same_bytes(f.fingerprint, "\x00\xff\x1a", 3));
    READS("{\"value\":true,\"fingerprint\":\"\"}");
    CHECK_EQ(f.fingerprint_len, 0);
    READS("{\"value\":true,\"fingerprint\":\"0000000000000000000000000000000000000000000000000000000000000007\"}");
    CHECK(f.fingerprint_len == 32 && f.fingerprint[31] == 7);
    NO_FLAG("{\"value\":true,\"fingerprint\":\"000000000000000000000000000000000000000000000000000000000000000007\"}");
    NO_FLAG("{\"value\":true,\"fingerprint\":\"0\"}");
    NO_FLAG("{\"value\":true,\"fingerprint\":\"0A\"}");
    NO_FLAG("{\"value\":true,\"fingerprint\":\"\\u0030a\"}");
    NO_FLAG("{\"value\":true,\"fingerprint\":null}");
    NO_FLAG("{\"value\":true,\"fingerprint\":12}");
    NO_FLAG("{\"value\":true,\"fingerprint\":[]}");
}

static bool writes(mcpsess_str want) {
    char mem[128];
    mcpsess_buf json;
    size_t cap;
    for (cap = want.len + 1u; cap-- > 0;) {
        mcpsess_buf_init(&json, mem, cap);
        if (cap < want.len) {
            if (mcpsess_librechat_flag_encode(&f, &json) != MCPSESS_E_TOOBIG || json.len != 0 || json.overflow)
                return false;
        } else if (mcpsess_librechat_flag_encode(&f, &json) != MCPSESS_OK ||
                   !mcpsess_str_eq(mcpsess_buf_str(&json), want)) {
            return false;
        }
    }
    return true;
}

TEST(librechat_writes_flags_as_keyv_does) {
    memset(&f, 0, sizeof f);
    f.expires_ms = UINT64_C(1700003600000);
    CHECK(writes(TEXT("{\"value\":true,\"expires\":1700003600000}")));
    f.fingerprint_len = 2;
    memcpy(f.fingerprint, "\x1a\xff", 2);
    CHECK(writes(TEXT("{\"value\":true,\"expires\":1700003600000,\"fingerprint\":\"1aff\"}")));
    f.expires_ms = MCPSESS_NEVER;
    f.fingerprint_len = 0;
    CHECK(writes(TEXT("{\"value\":true,\"expires\":null}")));
    f.fingerprint_len = MCPSESS_FINGERPRINT_MAX + 1u;
    mcpsess_buf_init(&scratch, scratch_mem, sizeof scratch_mem);
    CHECK_EQ(mcpsess_librechat_flag_encode(&f, &scratch), MCPSESS_E_ARG);
    f.fingerprint_len = 0;
    CHECK_EQ(mcpsess_librechat_flag_encode(NULL, &scratch), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_librechat_flag_encode(&f, NULL), MCPSESS_E_ARG);
    scratch.overflow = true;
    CHECK_EQ(mcpsess_librechat_flag_encode(&f, &scratch), MCPSESS_E_TOOBIG);
}

/* ---- what is asked ---- */

static mcpsess_flag_request flag;

static void flag_request(uint8_t kind) {
    memset(&flag, 0, sizeof flag);
    flag.request.kind = kind;
    flag.request.key = MCPSESS_STR("user1");
    flag.request.value = MCPSESS_STR("tok");
    flag.request.ttl_ms = 12800;
    flag.request.out = &out;
    asked_for = &flag.request;
    mcpsess_buf_init(&out, out_mem, sizeof out_mem);
}

static void flag_asked(uint8_t kind) {
    flag_request(kind);
    ask();
}

static void flag_start(mcpsess_str prefix, bool plain_counts) {
    mcpsess_redis_desc d = wire_desc();
    mcpsess_librechat_store_desc desc = mcpsess_librechat_store_desc_default();
    desc.prefix = prefix;
    desc.plain_counts = plain_counts;
    make(&d, &desc);
    connected();
}

static void plain_start(void) {
    flag_start(mcpsess_str_of(NULL, 0), false);
}

static int submit_rc(uint8_t kind) {
    flag_request(kind);
    return submit();
}

#define KEYS2 "$1\r\n2\r\n$81\r\n" FLAG_KEY "\r\n$84\r\n" LEASE_KEY "\r\n"
#define KEYS3 "$1\r\n3\r\n$81\r\n" FLAG_KEY "\r\n$84\r\n" LEASE_KEY "\r\n$23\r\nmcpsess:librechat:user1\r\n"
#define NONE "$0\r\n\r\n"
#define ROOM "$3\r\n256\r\n"
#define TOK "$3\r\ntok\r\n$5\r\n12800\r\n"
#define WALL ":1700000000000\r\n"
#define TRUE_ "$38\r\n{\"value\":true,\"expires\":1700000000005}\r\n"
#define FALSE_ "$39\r\n{\"value\":false,\"expires\":1700000000005}\r\n"

TEST(librechat_asks_for_a_flag) {
    plain_start();
    flag_asked(MCPSESS_FLAG_GET);
    CHECK(ASKED(READ, "6", KEYS2 ROOM));
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:12800\r\n" WALL TRUE_), MCPSESS_OK);
    CHECK(flag.request.left_ms == 5 && out.len == 0); /* what is sooner: the instant, or the TTL */
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:4\r\n" WALL TRUE_), MCPSESS_OK);
    CHECK_EQ(flag.request.left_ms, 4);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:7\r\n:0\r\n:-1\r\n" WALL "$14\r\n{\"value\":true}\r\n"), MCPSESS_OK);
    CHECK(flag.request.left_ms == MCPSESS_NEVER);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*5\r\n:2\r\n:-2\r\n:0\r\n:0\r\n" WALL), MCPSESS_MISS);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*5\r\n:6\r\n:77\r\n:0\r\n:0\r\n" WALL), MCPSESS_BUSY);
    CHECK_EQ(flag.request.left_ms, 77);
    flag_asked(MCPSESS_FLAG_GET); /* a lease that somebody left without a TTL */
    CHECK_EQ(ANSWER("*5\r\n:6\r\n:-1\r\n:0\r\n:0\r\n" WALL), MCPSESS_BUSY);
    CHECK(flag.request.left_ms == MCPSESS_NEVER);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:77\r\n:0\r\n:9\r\n" WALL FALSE_), MCPSESS_BUSY);
    CHECK_EQ(flag.request.left_ms, 77);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n" WALL FALSE_), MCPSESS_MISS);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n" WALL "$1\r\n{\r\n"), MCPSESS_E_FORMAT);
    flag_asked(MCPSESS_FLAG_GET); /* longer than any flag */
    CHECK_EQ(ANSWER("*5\r\n:-6\r\n:0\r\n:0\r\n:0\r\n" WALL), MCPSESS_E_FORMAT);
    flag_asked(MCPSESS_FLAG_GET); /* of another type */
    CHECK_EQ(ANSWER("-WRONGTYPE no string\r\n"), MCPSESS_REDIS_E_WRONGTYPE);
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("-CROSSSLOT Keys in request don't hash to the same slot\r\n"), MCPSESS_REDIS_E_CROSSSLOT);
}

TEST(librechat_a_flag_lives_to_its_last_instant) {
    plain_start();
    flag_asked(MCPSESS_FLAG_GET); /* keyv: expired if now > expires */
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n:1700000000005\r\n" TRUE_), MCPSESS_OK);
    CHECK_EQ(flag.request.left_ms, 0);
    flag_asked(MCPSESS_FLAG_GET); /* and nothing is deleted for it */
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n:1700000000006\r\n" TRUE_), MCPSESS_MISS);
    CHECK_EQ(server.evals, 2);
}

/* What a flag with this fingerprint, or none, is to one who asks for another, or for none. */
static int asked_of(mcpsess_str fingerprint, bool marked) {
    flag_request(MCPSESS_FLAG_GET);
    flag.request.expect = fingerprint;
    ask();
    if (!marked) return ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n" WALL TRUE_);
    return ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n" WALL "$35\r\n{\"value\":true,\"fingerprint\":\"6162\"}\r\n");
}

TEST(librechat_a_flag_counts_under_its_fingerprint) {
    bool plain;
    for (plain = false;; plain = true) {
        flag_start(mcpsess_str_of(NULL, 0), plain);
        CHECK_EQ(asked_of(MCPSESS_STR("ab"), true), MCPSESS_OK);
        CHECK_EQ(asked_of(MCPSESS_STR("aB"), true), MCPSESS_MISS);
        CHECK_EQ(asked_of(MCPSESS_STR("a"), true), MCPSESS_MISS);
        CHECK_EQ(asked_of(MCPSESS_STR(""), true), MCPSESS_MISS);
        CHECK_EQ(asked_of(MCPSESS_STR("ab"), false), plain ? MCPSESS_OK : MCPSESS_MISS);
        CHECK_EQ(asked_of(MCPSESS_STR(""), false), MCPSESS_OK);
        if (plain) break;
    }
}

#define CLAIM "$1\r\n3\r\n"

TEST(librechat_asks_to_claim) {
    plain_start();
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK(ASKED(LEASE, "12", KEYS3 CLAIM TOK ROOM NONE NONE));
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:12800\r\n:9\r\n:0\r\n" WALL), MCPSESS_OK);
    CHECK(flag.request.fence == 9 && flag.request.left_ms == 12800 - 100 - 2 && flag.request.count == 0);
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK_EQ(ANSWER("*5\r\n:6\r\n:77\r\n:0\r\n:0\r\n" WALL), MCPSESS_BUSY);
    CHECK(flag.request.fence == 0 && flag.request.left_ms == 77);
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK_EQ(ANSWER("*6\r\n:4\r\n:0\r\n:0\r\n:4\r\n" WALL TRUE_), MCPSESS_EXISTS);
    CHECK(flag.request.fence == 0 && flag.request.left_ms == 4 && out.len == 0);
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK_EQ(ANSWER("*6\r\n:4\r\n:0\r\n:0\r\n:4\r\n" WALL "$1\r\n{\r\n"), MCPSESS_E_FORMAT);
    CHECK_EQ(server.evals, 4);
    CHECK_EQ(rstore.stats.again, 0);
}

/* A flag that does not count is named by its digest, and the lease taken if it is still that one. */
TEST(librechat_a_claim_goes_out_again_past_a_flag_that_does_not_count) {
    plain_start();
    flag_asked(MCPSESS_FLAG_CLAIM);
    CHECK_EQ(ANSWER("*6\r\n:4\r\n:0\r\n:0\r\n:4\r\n" WALL FALSE_), MCPSESS_PENDING);
    polls(4);
    CHECK_EQ(server.evals, 2);
    CHECK(ASKED(LEASE, "12", KEYS3 CLAIM TOK ROOM "$9\r\n626410291\r\n$9\r\n567539066\r\n"));
    CHECK_EQ(ANSWER("*6\r\n:4\r\n:0\r\n:0\r\n:4\r\n" WALL "$4\r\ntrue\r\n"), MCPSESS_PENDING); /* now another */
    polls(4);
    CHECK(ASKED(LEASE, "12", KEYS3 CLAIM TOK ROOM "$10\r\n1610502971\r\n$10\r\n2198800544\r\n"));
    reconnect();
    CHECK(ASKED(LEASE, "12", KEYS3 CLAIM TOK ROOM "$10\r\n1610502971\r\n$10\r\n2198800544\r\n"));
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:12800\r\n:9\r\n:0\r\n" WALL), MCPSESS_OK);
    CHECK(flag.request.fence == 9 && flag.request.count == 0 && rstore.stats.again == 2);
    CHECK_EQ(flag.request.left_ms, 12800 - 100 - 2 - 20); /* since it was asked for, not since it went out again */
    CHECK(rstore.stats.requests == 1 && rstore.i.pending == NULL);
    flag_asked(MCPSESS_FLAG_CLAIM); /* the next one knows nothing of it */
    CHECK(ASKED(LEASE, "12", KEYS3 CLAIM TOK ROOM NONE NONE));
    CHECK_EQ(ANSWER("*6\r\n:4\r\n:0\r\n:0\r\n:4\r\n" WALL FALSE_), MCPSESS_PENDING);
    polls(2);
    store.cls->cancel(store.self, &flag.request);
    CHECK(flag.request.rc == MCPSESS_E_CANCELED && flag.request.count == 0 && rstore.i.pending == NULL);
    flag_asked(MCPSESS_FLAG_CLAIM);                       /* one deadline for both */
    CHECK_EQ(ANSWER("*5\r\n:6\r\n:0\r\n:0\r\n:0\r\n" WALL /* of the one that was given up */
                    "*6\r\n:4\r\n:0\r\n:0\r\n:4\r\n" WALL FALSE_),
             MCPSESS_PENDING);
    now += 2000;
    polls(2);
    CHECK(flag.request.rc == MCPSESS_E_TIMEOUT && flag.request.count == 0);
}

TEST(librechat_asks_for_leases) {
    plain_start();
    flag_asked(MCPSESS_LEASE_ACQUIRE);
    CHECK(ASKED(LEASE, "12", KEYS3 "$1\r\n0\r\n" TOK ROOM NONE NONE));
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:12800\r\n:9\r\n:0\r\n" WALL), MCPSESS_OK);
    CHECK(flag.request.fence == 9 && flag.request.left_ms == 12800 - 100 - 2);
    flag_asked(MCPSESS_LEASE_ACQUIRE);
    CHECK_EQ(ANSWER("*5\r\n:6\r\n:3\r\n:0\r\n:0\r\n" WALL), MCPSESS_BUSY);
    CHECK_EQ(flag.request.left_ms, 3);
    flag_asked(MCPSESS_LEASE_EXTEND);
    CHECK(ASKED(LEASE, "12", KEYS3 "$1\r\n1\r\n" TOK ROOM NONE NONE));
    CHECK_EQ(ANSWER("*5\r\n:5\r\n:0\r\n:0\r\n:0\r\n" WALL), MCPSESS_LOST);
    flag_asked(MCPSESS_LEASE_EXTEND);
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:12800\r\n:9\r\n:0\r\n" WALL), MCPSESS_OK);
    CHECK_EQ(flag.request.fence, 9);
    flag_request(MCPSESS_LEASE_RELEASE);
    flag.request.ttl_ms = 0;
    ask();
    CHECK(ASKED(LEASE, "12", KEYS3 "$1\r\n2\r\n$3\r\ntok\r\n$1\r\n0\r\n" ROOM NONE NONE));
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:0\r\n:0\r\n:0\r\n" WALL), MCPSESS_OK);
    CHECK(flag.request.fence == 0 && flag.request.left_ms == 0);
    flag_request(MCPSESS_LEASE_ACQUIRE); /* an answer that comes when nothing of it is left */
    flag.request.deadline_ms = now + 20000;
    ask();
    now += 12800;
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:12800\r\n:9\r\n:0\r\n" WALL), MCPSESS_E_TIMEOUT);
    CHECK_EQ(flag.request.fence, 0);
}

#define HEAD "$24\r\n{\"value\":true,\"expires\":\r\n"

TEST(librechat_asks_to_set_and_clear) {
    plain_start();
    flag_asked(MCPSESS_FLAG_SET);
    CHECK(ASKED(WRITE, "10", KEYS2 "$1\r\n2\r\n" TOK HEAD "$1\r\n}\r\n"));
    CHECK_EQ(ANSWER("*5\r\n:5\r\n:0\r\n:0\r\n:0\r\n" WALL), MCPSESS_LOST);
    flag_request(MCPSESS_FLAG_SET);
    flag.request.value = MCPSESS_STR("");
    flag.request.expect = MCPSESS_STR("ab\xff");
    flag.request.ttl_ms = MCPSESS_NEVER;
    ask();
    CHECK(ASKED(WRITE, "10",
                KEYS2 "$1\r\n2\r\n" NONE "$14\r\n35184372088831\r\n" HEAD "$24\r\n,\"fingerprint\":\"6162ff\"}\r\n"));
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:0\r\n:0\r\n:9\r\n" WALL), MCPSESS_OK);
    CHECK(flag.request.left_ms == 9 && flag.request.fence == 0); /* the flag's */
    flag_asked(MCPSESS_FLAG_CLEAR);
    CHECK(ASKED(WRITE, "6", KEYS2 "$1\r\n0\r\n"));
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:0\r\n:0\r\n:0\r\n" WALL), MCPSESS_OK);
    flag_request(MCPSESS_FLAG_CLEAR);
    flag.request.mode = 1;
    ask();
    CHECK(ASKED(WRITE, "6", KEYS2 "$1\r\n1\r\n"));
    CHECK_EQ(ANSWER("*5\r\n:2\r\n:0\r\n:0\r\n:0\r\n" WALL), MCPSESS_MISS);
}

TEST(librechat_has_no_place_for_other_things) {
    static mcpsess_log_request l;
    plain_start();
    CHECK_EQ(submit_rc(MCPSESS_GET), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(submit_rc(MCPSESS_TOUCH), MCPSESS_E_UNSUPPORTED);
    memset(&l, 0, sizeof l);
    asked_for = &l.request;
    l.request.kind = MCPSESS_LOG_STATE;
    l.request.key = MCPSESS_STR("user1");
    CHECK_EQ(submit(), MCPSESS_E_UNSUPPORTED);
    CHECK_EQ(submit_rc(MCPSESS_SWEEP), MCPSESS_OK);
    CHECK_EQ(submit_rc(0), MCPSESS_E_ARG);
    flag_request(MCPSESS_FLAG_SET);
    flag.data = MCPSESS_STR("x");
    CHECK_EQ(submit(), MCPSESS_E_UNSUPPORTED);
    flag_request(MCPSESS_FLAG_GET);
    flag.request.key = MCPSESS_STR("user*");
    CHECK_EQ(submit(), MCPSESS_E_ID);
    flag_request(MCPSESS_LEASE_ACQUIRE);
    flag.request.value = MCPSESS_STR("");
    CHECK_EQ(submit(), MCPSESS_E_ARG);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_RECORDS, &listener), MCPSESS_E_UNSUPPORTED);
    polls(2);
    CHECK_EQ(server.evals, 0);
    store.cls->close(store.self);
    CHECK_EQ(submit_rc(MCPSESS_FLAG_GET), MCPSESS_E_CLOSED);
    CHECK(store.cls->want(store.self) == 0 && store.cls->next_due(store.self, now) == MCPSESS_NEVER);
    CHECK_EQ(store.cls->hear(store.self, now), MCPSESS_STALE);
}

TEST(librechat_store_refuses_what_is_wrong) {
    mcpsess_redis_desc d = wire_desc();
    mcpsess_librechat_store_desc desc = mcpsess_librechat_store_desc_default();
    char mem[MCPSESS_LIBRECHAT_PREFIX_MAX + 1u];
    make(&d, &desc);
    CHECK_EQ(mcpsess_librechat_store_init(NULL, &desc), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_librechat_store_init(&rstore, NULL), MCPSESS_E_ARG);
    CHECK_EQ(mcpsess_librechat_store_init(&rstore, &desc), MCPSESS_E_ARG); /* no engine */
    desc.redis = &redis;
    desc.prefix = str_broken();
    CHECK_EQ(mcpsess_librechat_store_init(&rstore, &desc), MCPSESS_E_ARG);
    desc.prefix = str_fill(mem, 'p', sizeof mem);
    CHECK_EQ(mcpsess_librechat_store_init(&rstore, &desc), MCPSESS_E_ARG);
    connected();
    desc.prefix = mcpsess_str_of(NULL, 0);
    CHECK_EQ(mcpsess_librechat_store_init(&rstore, &desc), MCPSESS_E_STATE);
}

/* The longest there is: prefix, user, token and fingerprint. */
TEST(librechat_longest_command_fits) {
    char prefix[MCPSESS_LIBRECHAT_PREFIX_MAX], id[MCPSESS_ID_MAX], token[MCPSESS_TOKEN_MAX];
    flag_start(str_fill(prefix, 'p', sizeof prefix), false);
    flag_request(MCPSESS_FLAG_CLAIM);
    flag.request.key = str_fill(id, 'u', sizeof id);
    flag.request.value = str_fill(token, 't', sizeof token);
    flag.request.ttl_ms = MCPSESS_NEVER;
    ask();
    CHECK_EQ(ANSWER("*6\r\n:4\r\n:0\r\n:0\r\n:4\r\n" WALL "$2\r\n{}\r\n"), MCPSESS_PENDING);
    polls(9);
    CHECK_EQ(server.evals, 2);
    CHECK(server.seen_len <= MCPSESS_LIBRECHAT_STORE_TX);
    CHECK_EQ(ANSWER("*5\r\n:6\r\n:0\r\n:0\r\n:0\r\n" WALL), MCPSESS_BUSY);
    flag.request.kind = MCPSESS_FLAG_SET;
    flag.request.expect = str_fill(text_mem, '\xff', MCPSESS_FINGERPRINT_MAX);
    ask();
    CHECK(server.seen_len <= MCPSESS_LIBRECHAT_STORE_TX);
    CHECK_EQ(ANSWER("*5\r\n:0\r\n:0\r\n:0\r\n:0\r\n" WALL), MCPSESS_OK);
}

/* ---- answers that are none ---- */

static void refused(uint8_t kind, mcpsess_str text) {
    uint32_t before = redis.stats.disconnects;
    flag_asked(kind);
    (void)answer(text);
    CHECK_EQ(redis.stats.disconnects, before + 1u);
    polls(2);
    now += 20;
    polls(20);
    if (flag.request.rc == MCPSESS_PENDING) store.cls->cancel(store.self, &flag.request);
}
#define NOT_FOR(kind, literal) \
    server.dead = false;       \
    refused(kind, MCPSESS_STR(literal))

TEST(librechat_answers_that_are_none_end_the_connection) {
    plain_start();
    NOT_FOR(MCPSESS_FLAG_GET, ":0\r\n");
    NOT_FOR(MCPSESS_FLAG_GET, "*5\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n");                       /* without a flag */
    NOT_FOR(MCPSESS_FLAG_GET, "*6\r\n:2\r\n:0\r\n:0\r\n:0\r\n:0\r\n$2\r\n{}\r\n");           /* with one */
    NOT_FOR(MCPSESS_FLAG_GET, "*7\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n$2\r\n{}\r\n$0\r\n\r\n"); /* with two */
    NOT_FOR(MCPSESS_FLAG_GET, "*5\r\n:4\r\n:0\r\n:0\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_FLAG_GET, "*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:-1\r\n$2\r\n{}\r\n"); /* a time that is none */
    NOT_FOR(MCPSESS_FLAG_CLAIM, "*5\r\n:0\r\n:9\r\n:0\r\n:0\r\n:0\r\n");            /* no fence */
    NOT_FOR(MCPSESS_FLAG_CLAIM, "*5\r\n:2\r\n:9\r\n:1\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_FLAG_CLAIM, "*5\r\n:4\r\n:9\r\n:1\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_LEASE_ACQUIRE, "*5\r\n:5\r\n:9\r\n:1\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_LEASE_ACQUIRE, "*5\r\n:-6\r\n:9\r\n:1\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_LEASE_EXTEND, "*5\r\n:6\r\n:9\r\n:1\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_LEASE_RELEASE, "*4\r\n:0\r\n:9\r\n:1\r\n:0\r\n");
    NOT_FOR(MCPSESS_FLAG_SET, "*5\r\n:2\r\n:9\r\n:1\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_FLAG_CLEAR, "*5\r\n:5\r\n:9\r\n:1\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_FLAG_CLEAR, "*5\r\n:0\r\n:9\r\n$1\r\n1\r\n:0\r\n:0\r\n");
    NOT_FOR(MCPSESS_FLAG_GET, "*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n$257\r\nxxx"); /* more than is asked for */
}

/* ---- a connection that ends ---- */

static int ends_as(uint8_t kind, mcpsess_str token) {
    flag_request(kind);
    flag.request.value = token;
    ask();
    reconnect();
    return flag.request.rc;
}

TEST(librechat_repeats_what_may_be_repeated) {
    unsigned n;
    static const uint8_t kinds[] = {MCPSESS_FLAG_GET,     MCPSESS_FLAG_CLAIM,    MCPSESS_LEASE_ACQUIRE,
                                    MCPSESS_LEASE_EXTEND, MCPSESS_LEASE_RELEASE, MCPSESS_FLAG_SET,
                                    MCPSESS_FLAG_CLEAR};
    for (n = 0; n < COUNT_OF(kinds); n++) {
        plain_start();
        CHECK_EQ(ends_as(kinds[n], MCPSESS_STR("tok")), MCPSESS_PENDING);
        CHECK_EQ(server.evals, 2);
    }
    plain_start();
    CHECK_EQ(ends_as(MCPSESS_FLAG_SET, MCPSESS_STR("")), MCPSESS_E_UNKNOWN);
    CHECK_EQ(server.evals, 1);
}

TEST(librechat_a_flag_in_pieces) {
    plain_start();
    server.recv_max = 3;
    flag_asked(MCPSESS_FLAG_GET);
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n" WALL TRUE_), MCPSESS_OK);
    flag_asked(MCPSESS_FLAG_GET);
    say(MCPSESS_STR("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n" WALL "$38\r\n{\"value\":tr"));
    polls(40);
    reconnect();
    server.recv_max = 3;
    CHECK_EQ(ANSWER("*6\r\n:0\r\n:-2\r\n:0\r\n:9\r\n" WALL TRUE_), MCPSESS_OK);
}

/* ---- changes ---- */

TEST(librechat_tells_whose_flag_or_lease_was_written) {
    static const mcpsess_listener other = {changed, &told};
    flag_start(MCPSESS_STR("lc"), false);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, &listener), MCPSESS_OK);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, &other), MCPSESS_E_STATE);
    push(MCPSESS_STR("lc::" FLAG_KEY));
    CHECK(told.calls == 1 && mcpsess_str_eq(mcpsess_str_of(told.id, told.len), MCPSESS_STR("user1")));
    push(MCPSESS_STR("lc::" LEASE_KEY));
    CHECK(told.calls == 1 && mcpsess_str_eq(mcpsess_str_of(told.id, told.len), MCPSESS_STR("user1")));
    push(MCPSESS_STR(FLAG_KEY));
    CHECK_EQ(told.calls, 0);
    push(MCPSESS_STR("lc::MCP::ServersRegistry::PrivateServersLoadStatus:USER_PRIVATE_SERVERS_LOADED::"));
    CHECK_EQ(told.calls, 0);
    push(MCPSESS_STR("lc::MCP::ServersRegistry::PrivateServersLoadStatus:USER_PRIVATE_SERVERS_LOADED::a b"));
    CHECK_EQ(told.calls, 0);
    push(MCPSESS_STR("lc::MCP::ServersRegistry::PrivateServersLoadStatus:USER_PRIVATE_SERVERS_OTHER__::user1"));
    CHECK_EQ(told.calls, 0);
    push(MCPSESS_STR("lc::MCP::ServersRegistry::PrivateServersLoadStatus:"));
    CHECK_EQ(told.calls, 0);
    memset(&told, 0, sizeof told);
    say(MCPSESS_STR(">2\r\n$10\r\ninvalidate\r\n_\r\n"));
    polls(4);
    CHECK(told.calls == 1 && told.len == 0);
    CHECK_EQ(store.cls->listen(store.self, MCPSESS_OF_FLAGS, NULL), MCPSESS_OK);
    push(MCPSESS_STR("lc::" FLAG_KEY));
    CHECK_EQ(told.calls, 0);
}

void test_librechat(void) {
    RUN(librechat_vectors_of_commands);
    RUN(librechat_commands_refuse_what_is_none);
    RUN(librechat_takes_ids_that_are_ids);
    RUN(librechat_reads_what_keyv_reads);
    RUN(librechat_reads_json_as_it_is);
    RUN(librechat_reads_any_number_as_an_instant);
    RUN(librechat_fingerprints_are_hex);
    RUN(librechat_writes_flags_as_keyv_does);
    RUN(librechat_asks_for_a_flag);
    RUN(librechat_a_flag_lives_to_its_last_instant);
    RUN(librechat_a_flag_counts_under_its_fingerprint);
    RUN(librechat_asks_to_claim);
    RUN(librechat_a_claim_goes_out_again_past_a_flag_that_does_not_count);
    RUN(librechat_asks_for_leases);
    RUN(librechat_asks_to_set_and_clear);
    RUN(librechat_has_no_place_for_other_things);
    RUN(librechat_store_refuses_what_is_wrong);
    RUN(librechat_longest_command_fits);
    RUN(librechat_answers_that_are_none_end_the_connection);
    RUN(librechat_repeats_what_may_be_repeated);
    RUN(librechat_a_flag_in_pieces);
    RUN(librechat_tells_whose_flag_or_lease_was_written);
}
