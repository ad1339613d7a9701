/* LibreChat's flags: whatever decodes comes back from what encode makes of it, and instants are what a JSON number
   says, as far as a double holds that. And its commands, of any ids. */

#include "mcpsess_redis.h"

#include "fuzz.h"

#define ROOM 4096u

static void check_written(const mcpsess_librechat_flag *f) {
    mcpsess_buf json = fuzz_buf(ROOM), exact, less;
    mcpsess_librechat_flag back;
    MUST(mcpsess_librechat_flag_encode(f, &json) == MCPSESS_OK && !json.overflow);
    exact = fuzz_buf(json.len);
    less = fuzz_buf(json.len - 1);
    MUST(mcpsess_librechat_flag_encode(f, &exact) == MCPSESS_OK && exact.len == json.len);
    MUST(mcpsess_librechat_flag_encode(f, &less) == MCPSESS_E_TOOBIG && less.len == 0 && !less.overflow);
    MUST(mcpsess_librechat_flag_decode(mcpsess_buf_str(&exact), &back) == MCPSESS_OK);
    MUST(back.expires_ms == f->expires_ms && back.fingerprint_len == f->fingerprint_len);
    MUST(memcmp(back.fingerprint, f->fingerprint, f->fingerprint_len) == 0);
    free(json.ptr);
    free(exact.ptr);
    free(less.ptr);
}

static int check_flag(mcpsess_str text, mcpsess_librechat_flag *f) {
    int rc = mcpsess_librechat_flag_decode(text, f);
    MUST(rc == MCPSESS_OK || rc == MCPSESS_MISS || rc == MCPSESS_E_FORMAT);
    MUST(f->fingerprint_len <= MCPSESS_FINGERPRINT_MAX);
    if (rc == MCPSESS_OK) check_written(f);
    else MUST(f->expires_ms == 0 && f->fingerprint_len == 0);
    return rc;
}

/* Is this what a number says? A double is off by one part in 2^53, and rounds what is nearly a whole one. */
static bool near(uint64_t got, double want) {
    double off;
    if (want < 1) return got <= 1;
    if (want >= 18446744073709551615.0) return got == MCPSESS_NEVER || got >= UINT64_C(18446744073709549000);
    off = (double)got - want;
    if (got == MCPSESS_NEVER) return want > 1.8e19;
    return off <= 1 + want / 4503599627370496.0 && off >= -1 - want / 4503599627370496.0;
}

/* A number of digits, points, signs and exponents. */
static void check_number(fuzz_source *s) {
    static const char letters[] = "0123456789000.eE+-";
    mcpsess_buf json = fuzz_buf(ROOM);
    mcpsess_librechat_flag f;
    size_t mark;
    char *exact;
    double want;
    mcpsess_buf_put(&json, MCPSESS_STR("{\"value\":true,\"expires\":"));
    mark = json.len;
    while (s->size != 0) mcpsess_buf_put_char(&json, letters[fuzz_byte(s) % (sizeof letters - 1u)]);
    mcpsess_buf_put_char(&json, '\0');
    want = strtod(json.ptr + mark, NULL);
    json.ptr[json.len - 1u] = '}';
    exact = (char *)fuzz_copy(json.ptr, json.len);
    if (check_flag(mcpsess_str_of(exact, json.len), &f) == MCPSESS_OK) MUST(near(f.expires_ms, want));
    free(exact);
    free(json.ptr);
}

static void check_command(fuzz_source *s) {
    int command = (int)(fuzz_byte(s) % 7u), rc;
    mcpsess_librechat_call call;
    mcpsess_librechat_words words;
    mcpsess_buf scratch = fuzz_buf(fuzz_byte(s)), wire;
    size_t n;
    call.now_ms = (uint64_t)fuzz_byte(s) << 33;
    call.ttl_ms = (uint64_t)fuzz_byte(s) << (fuzz_byte(s) % 64u);
    call.prefix = fuzz_slice(s, 70);
    call.user = fuzz_slice(s, 70);
    rc = mcpsess_librechat_command(&call, command, &scratch, &words);
    MUST(rc == MCPSESS_OK || rc == MCPSESS_E_ARG || rc == MCPSESS_E_ID || rc == MCPSESS_E_TOOBIG);
    MUST(!scratch.overflow && (rc == MCPSESS_OK) == (scratch.len != 0));
    if (rc == MCPSESS_OK) {
        wire = fuzz_buf(ROOM);
        for (n = 0; n < call.user.len; n++) MUST(strchr("*?[]{}:\\ \r\n", call.user.ptr[n]) == NULL);
        MUST(scratch.len <= call.prefix.len + call.user.len + 160u && words.argc >= 2u && words.argc <= 6u);
        MUST(mcpsess_resp_put_command(&wire, words.argv, words.argc) == MCPSESS_OK);
        free(wire.ptr);
    }
    free(scratch.ptr);
}

/* JSON, nearly: a fragment for each byte of the input. In memory of its very size. */
static void check_composed(fuzz_source *s) {
    static const char *const fragments[] = {
        "\"value\":true",
        "\"expires\":",
        "\"fingerprint\":",
        "\"6162\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "null",
        "true",
        "false",
        "0",
        "1700000000000",
        "-1",
        "1e3",
        ".5",
        "\"x\":",
        "\"\\u0076alue\":",
        "\"",
        "\\",
        "\xFF",
        "\":base64:AA==\"",
        "{\"value\":true,",
    };
    mcpsess_buf b = fuzz_buf(ROOM);
    mcpsess_librechat_flag f;
    char *exact;
    mcpsess_buf_put_char(&b, '{');
    while (s->size != 0 && b.len < ROOM / 2u) {
        mcpsess_buf_put(&b, mcpsess_str_z(fragments[fuzz_byte(s) % (sizeof fragments / sizeof fragments[0])]));
    }
    mcpsess_buf_put_char(&b, '}');
    exact = (char *)fuzz_copy(b.ptr, b.len);
    (void)check_flag(mcpsess_str_of(exact, b.len), &f);
    free(exact);
    free(b.ptr);
}

/* The first byte says what is done with the rest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy;
    fuzz_source source = {data, size};
    mcpsess_librechat_flag f;
    const unsigned how = fuzz_byte(&source) % 4u;
    copy = fuzz_copy(source.data, source.size);
    source.data = copy;
    if (how == 0) (void)check_flag(mcpsess_str_of(source.data, source.size), &f);
    else if (how == 1) check_number(&source);
    else if (how == 2) check_command(&source);
    else check_composed(&source);
    free(copy);
    return 0;
}
