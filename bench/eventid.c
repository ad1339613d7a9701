/* Event ids, formatted and parsed, beside what one would write with stdio: snprintf and sscanf around a base64 with a
   table for each direction. Both produce the same bytes, and both refuse bad base64. */
#include "../mcpsess.h"
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OPS = 100000, STREAM_LEN = 22, TEXT_MAX = 160 };

typedef struct event {
    char session[BENCH_UUID], stream[STREAM_LEN];
    mcpsess_eventid id; /* points at both; either side is handed this, and no length is known to its compiler */
} event;

static event events[OPS];
static struct {
    char text[TEXT_MAX];
    size_t len;
} texts[OPS];

/* -- the alternative -- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static unsigned char reverse[256]; /* 64: not in the alphabet */

static void fill_reverse(void) {
    memset(reverse, 64, sizeof reverse);
    for (unsigned char i = 0; i < 64; i++) reverse[(unsigned char)alphabet[i]] = i;
}

static size_t b64_encode(const char *from, size_t len, char *to) {
    const unsigned char *in = (const unsigned char *)from;
    char *const start = to;
    for (; len >= 3; len -= 3, in += 3, to += 4) {
        const uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        to[0] = alphabet[bits >> 18];
        to[1] = alphabet[bits >> 12 & 63];
        to[2] = alphabet[bits >> 6 & 63];
        to[3] = alphabet[bits & 63];
    }
    if (len > 0) {
        const uint32_t bits = (uint32_t)in[0] << 16 | (len > 1 ? (uint32_t)in[1] << 8 : 0);
        to[0] = alphabet[bits >> 18];
        to[1] = alphabet[bits >> 12 & 63];
        to[2] = len > 1 ? alphabet[bits >> 6 & 63] : '=';
        to[3] = '=';
        to += 4;
    }
    *to = '\0';
    return (size_t)(to - start);
}

/* -> length, or -1 */
static int b64_decode(const char *from, char *to) {
    const unsigned char *in = (const unsigned char *)from;
    size_t len = strlen(from), pad = 0;
    char *const start = to;
    if (len % 4 != 0) return -1;
    while (pad < 2 && pad < len && from[len - 1 - pad] == '=') pad++;
    for (; len > 0; len -= 4, in += 4, to += 3) {
        const int last = len == 4;
        const unsigned a = reverse[in[0]], b = reverse[in[1]];
        const unsigned c = last && pad > 1 ? 0 : reverse[in[2]], d = last && pad > 0 ? 0 : reverse[in[3]];
        if ((a | b | c | d) & 64) return -1;
        to[0] = (char)(unsigned char)(a << 2 | b >> 4);
        to[1] = (char)(unsigned char)((b << 4 | c >> 2) & 255);
        to[2] = (char)(unsigned char)((c << 6 | d) & 255);
    }
    return (int)(to - start) - (int)pad;
}

static size_t stdio_encode(const mcpsess_eventid *id, char *text) {
    char session[TEXT_MAX], stream[TEXT_MAX];
    b64_encode(id->session.ptr, id->session.len, session);
    b64_encode(id->stream.ptr, id->stream.len, stream);
    return (size_t)snprintf(text, TEXT_MAX, "%s:%s:%" PRIu64, session, stream, id->sequence);
}

static int stdio_decode(const char *text, char *session, char *stream, uint64_t *sequence) {
    char a[TEXT_MAX], b[TEXT_MAX];
    if (sscanf(text, "%159[^:]:%159[^:]:%" SCNu64, a, b, sequence) != 3) return -1;
    return b64_decode(a, session) < 0 || b64_decode(b, stream) < 0 ? -1 : 0;
}

/* -- the rounds: each returns a sum that must be the same for both -- */

static uint64_t ours_encode_round(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < OPS; i++) {
        char text[TEXT_MAX];
        mcpsess_buf out;
        mcpsess_buf_init(&out, text, sizeof text);
        (void)mcpsess_eventid_encode(&events[i].id, &out);
        sum += out.len + (unsigned char)text[out.len - 1];
    }
    return sum;
}

static uint64_t stdio_encode_round(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < OPS; i++) {
        char text[TEXT_MAX];
        const size_t len = stdio_encode(&events[i].id, text);
        sum += len + (unsigned char)text[len - 1];
    }
    return sum;
}

static uint64_t ours_decode_round(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < OPS; i++) {
        char bytes[TEXT_MAX];
        mcpsess_buf mem;
        mcpsess_eventid id;
        mcpsess_buf_init(&mem, bytes, sizeof bytes);
        if (mcpsess_eventid_decode(mcpsess_str_of(texts[i].text, texts[i].len), &mem, &id) != MCPSESS_OK) return 0;
        sum += id.sequence + (unsigned char)id.session.ptr[0] + (unsigned char)id.stream.ptr[0];
    }
    return sum;
}

static uint64_t stdio_decode_round(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < OPS; i++) {
        char session[TEXT_MAX], stream[TEXT_MAX];
        uint64_t sequence;
        if (stdio_decode(texts[i].text, session, stream, &sequence) != 0) return 0;
        sum += sequence + (unsigned char)session[0] + (unsigned char)stream[0];
    }
    return sum;
}

static double per_op(uint64_t (*run)(void), uint64_t *sum) {
    const double start = bench_cpu_ns();
    *sum = run();
    return (bench_cpu_ns() - start) / OPS;
}

static void measure(const char *title, uint64_t (*ours)(void), uint64_t (*theirs)(void), bench_series both[2]) {
    static bench_series a = {"mcpsess_eventid", {0}}, b = {"stdio + table base64", {0}};
    for (int r = 0; r < BENCH_ROUNDS; r++) {
        uint64_t x, y;
        a.round[r] = per_op(ours, &x);
        b.round[r] = per_op(theirs, &y);
        if (x != y || x == 0) bench_stop("the two do not agree");
        both[0].round[r] += a.round[r];
        both[1].round[r] += b.round[r];
    }
    bench_title(title, "ns", "/mcpsess");
    bench_row(&a, NULL);
    bench_row(&b, &a);
}

static void prepare(void) {
    fill_reverse();
    for (size_t i = 0; i < OPS; i++) {
        char uuid[BENCH_UUID];
        bench_uuid(events[i].session);
        bench_uuid(uuid);
        memcpy(events[i].stream, uuid, STREAM_LEN);
        events[i].id.session = mcpsess_str_of(events[i].session, BENCH_UUID);
        events[i].id.stream = mcpsess_str_of(events[i].stream, STREAM_LEN);
        events[i].id.sequence = bench_random() % 1000000;
        texts[i].len = stdio_encode(&events[i].id, texts[i].text);
    }
}

int main(void) {
    static bench_series both[2] = {{"mcpsess_eventid", {0}}, {"stdio + table base64", {0}}};
    prepare();
    measure("event id, encode: 36-byte session, 22-byte stream, sequences below 1,000,000", ours_encode_round,
            stdio_encode_round, both);
    measure("event id, decode", ours_decode_round, stdio_decode_round, both);
    bench_title("event id, encode and decode", "ns", "/mcpsess");
    bench_row(&both[0], NULL);
    bench_row(&both[1], &both[0]);
    return 0;
}
