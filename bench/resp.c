/* RESP, decoded and encoded, beside hiredis: its reader, fed with what recv gave, the reply taken out and freed; its
   formatter of an argv, the command freed, as its users must. Ours works in the buffer that recv filled, and in the one
   that send empties. Linked with --wrap and -DCOUNT_ALLOCATIONS it counts those instead of time. */
#include "../mcpsess_redis.h"
#include "bench.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 16500, SAMPLES_MAX = 16, ARGS_MAX = 8, ROUND_OPS = 100000, ROUND_BYTES = 16 * 1024 * 1024 };

typedef struct sample {
    const char *name;
    char *text, *other; /* a reply; what hiredis is given in its place, where it may not know the type */
    size_t len, chunk;  /* chunk: bytes that recv gives at once */
    mcpsess_str argv[ARGS_MAX];
    const char *args[ARGS_MAX]; /* the same again */
    size_t lens[ARGS_MAX], argc;
    uint64_t weight; /* of the reply, or bytes of the command */
} sample;

/* A round of each. External, so that callgrind finds their names. -> sum of weights; number of replies, bytes */
uint64_t mcpsess_decode_round(const sample *s, size_t ops);
uint64_t hiredis_decode_round(const sample *s, size_t ops);
uint64_t mcpsess_encode_round(const sample *s, size_t ops);
uint64_t hiredis_encode_round(const sample *s, size_t ops);

/* Decodes one reply. -> its items, the bytes of its texts and its numbers, added up */
static uint64_t take(mcpsess_resp *d, const sample *s) {
    mcpsess_resp_item item;
    mcpsess_str in;
    uint64_t sum = 0;
    in.ptr = s->text;
    in.len = s->chunk;
    for (;;) {
        const int rc = mcpsess_resp_next(d, &in, &item);
        if (rc == MCPSESS_OK) {
            sum += item.type == MCPSESS_RESP_INTEGER ? (uint64_t)item.number : item.text.len;
            if (item.left == 0) sum++;
            if (item.ends) return sum;
        } else {
            const size_t rest = s->len - (size_t)(in.ptr - s->text) - in.len;
            if (rc != MCPSESS_PENDING || rest == 0) bench_stop("mcpsess does not decode it");
            in.len += rest < s->chunk ? rest : s->chunk;
        }
    }
}

uint64_t mcpsess_decode_round(const sample *s, size_t ops) {
    mcpsess_resp d;
    uint64_t sum = 0;
    mcpsess_resp_init(&d, NULL);
    for (size_t i = 0; i < ops; i++) sum += take(&d, s);
    return sum;
}

static void *hiredis_take(redisReader *reader, const sample *s) {
    void *reply = NULL;
    for (size_t at = 0; at < s->len; at += s->chunk) {
        redisReaderFeed(reader, s->other + at, s->len - at < s->chunk ? s->len - at : s->chunk);
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) bench_stop(reader->errstr);
    }
    if (reply == NULL) bench_stop("hiredis does not decode it");
    return reply;
}

uint64_t hiredis_decode_round(const sample *s, size_t ops) {
    static redisReader *reader; /* one for all rounds, as a connection has one */
    if (reader == NULL) reader = redisReaderCreate();
    for (size_t i = 0; i < ops; i++) freeReplyObject(hiredis_take(reader, s));
    return ops;
}

uint64_t mcpsess_encode_round(const sample *s, size_t ops) {
    static char bytes[TEXT_MAX];
    uint64_t sum = 0;
    for (size_t i = 0; i < ops; i++) {
        mcpsess_buf out;
        mcpsess_buf_init(&out, bytes, sizeof bytes);
        if (mcpsess_resp_put_command(&out, s->argv, s->argc) == MCPSESS_OK) sum += out.len;
    }
    return sum;
}

uint64_t hiredis_encode_round(const sample *s, size_t ops) {
    uint64_t sum = 0;
    for (size_t i = 0; i < ops; i++) {
        char *command;
        sum += (uint64_t)redisFormatCommandArgv(&command, (int)s->argc, (const char **)s->args, s->lens);
        redisFreeCommand(command);
    }
    return sum;
}

/* -- the samples -- */

static sample decoded[SAMPLES_MAX], encoded[SAMPLES_MAX];
static size_t decoded_count, encoded_count;
static char filler[TEXT_MAX];

/* The same sum as take's. */
static uint64_t weigh(const redisReply *reply) {
    uint64_t sum = 1 + (reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : reply->len);
    for (size_t i = 0; i < reply->elements; i++) sum += weigh(reply->element[i]);
    return sum;
}

static sample *add_decoded(const char *name, mcpsess_str text, size_t chunk) {
    sample *s = &decoded[decoded_count++];
    redisReader *reader = redisReaderCreate();
    mcpsess_resp d;
    void *reply;
    s->name = name;
    s->text = bench_alloc(text.len);
    s->other = bench_alloc(text.len);
    memcpy(s->text, text.ptr, text.len);
    memcpy(s->other, text.ptr, text.len);
    if (*s->other == '>') *s->other = '*';
    s->len = text.len;
    s->chunk = chunk < text.len ? chunk : text.len;
    mcpsess_resp_init(&d, NULL);
    s->weight = take(&d, s);
    reply = hiredis_take(reader, s);
    if (weigh(reply) != s->weight) bench_stop("the two do not read the same");
    freeReplyObject(reply);
    redisReaderFree(reader);
    return s;
}

static void add_bulks(const char *name, size_t count, size_t len, size_t chunk) {
    char text[TEXT_MAX];
    mcpsess_buf b;
    mcpsess_buf_init(&b, text, sizeof text);
    if (count > 1) mcpsess_resp_put_number(&b, MCPSESS_RESP_ARRAY, (int64_t)count);
    for (size_t i = 0; i < count; i++) mcpsess_resp_put_bytes(&b, MCPSESS_RESP_BULK, mcpsess_str_of(filler, len));
    add_decoded(name, mcpsess_buf_str(&b), chunk);
}

static void add_push(const char *name) {
    char text[256];
    mcpsess_buf b;
    mcpsess_buf_init(&b, text, sizeof text);
    mcpsess_buf_put(&b, MCPSESS_STR(">2\r\n$10\r\ninvalidate\r\n*1\r\n"));
    mcpsess_resp_put_bytes(&b, MCPSESS_RESP_BULK, mcpsess_str_of(filler, 49));
    add_decoded(name, mcpsess_buf_str(&b), b.len);
}

static void add_encoded(const char *name, const mcpsess_str *argv, size_t argc) {
    char ours[TEXT_MAX], *theirs;
    sample *s = &encoded[encoded_count++];
    mcpsess_buf out;
    long long len;
    s->name = name;
    s->argc = argc;
    for (size_t i = 0; i < argc; i++) {
        s->argv[i] = argv[i];
        s->args[i] = argv[i].ptr;
        s->lens[i] = argv[i].len;
    }
    mcpsess_buf_init(&out, ours, sizeof ours);
    (void)mcpsess_resp_put_command(&out, s->argv, s->argc);
    len = redisFormatCommandArgv(&theirs, (int)argc, (const char **)s->args, s->lens);
    if (len != (long long)out.len || memcmp(ours, theirs, out.len) != 0) bench_stop("the two do not write the same");
    redisFreeCommand(theirs);
    s->weight = s->len = out.len;
}

static void prepare(void) {
    const size_t whole = TEXT_MAX;
    const mcpsess_str key = mcpsess_str_of(filler, 49), script = mcpsess_str_of(filler, 40);
    const mcpsess_str ping[] = {MCPSESS_STR("PING")}, get[] = {MCPSESS_STR("GET"), key};
    const mcpsess_str set[] = {MCPSESS_STR("SET"), key, mcpsess_str_of(filler, 256), MCPSESS_STR("PX"),
                               MCPSESS_STR("1800000")};
    const mcpsess_str evalsha[] = {MCPSESS_STR("EVALSHA"), script, MCPSESS_STR("1"), key, MCPSESS_STR("1800000"),
                                   MCPSESS_STR("900000")};
    const mcpsess_str large[] = {MCPSESS_STR("SET"), key, mcpsess_str_of(filler, 16384)};
    memset(filler, 'x', sizeof filler);
    add_decoded("+OK", MCPSESS_STR("+OK\r\n"), whole);
    add_decoded(":123", MCPSESS_STR(":123\r\n"), whole);
    add_decoded("bulk of 5 bytes", MCPSESS_STR("$5\r\nhello\r\n"), whole);
    add_decoded("null", MCPSESS_STR("$-1\r\n"), whole);
    add_bulks("ten bulks of 5 bytes", 10, 5, whole);
    add_bulks("ten bulks of 36 bytes", 10, 36, whole);
    add_bulks("bulk of 100 bytes", 1, 100, whole);
    add_bulks("bulk of 16 KiB", 1, 16384, whole);
    add_bulks("bulk of 16 KiB, 1 KiB a recv", 1, 16384, 1024);
    add_push("invalidation of one key");
    add_encoded("PING", ping, 1);
    add_encoded("GET, key of 49 bytes", get, 2);
    add_encoded("SET, 256 bytes, PX", set, 5);
    add_encoded("EVALSHA of a load", evalsha, 6);
    add_encoded("SET, 16 KiB", large, 3);
}

/* -- what is counted and measured -- */

typedef uint64_t (*round_fn)(const sample *s, size_t ops);

#ifdef COUNT_ALLOCATIONS
static uint64_t allocations;
void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *mem, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *mem, size_t len);

void *__wrap_malloc(size_t len) {
    allocations++;
    return __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len) {
    allocations++;
    return __real_calloc(n, len);
}

void *__wrap_realloc(void *mem, size_t len) {
    allocations++;
    return __real_realloc(mem, len);
}

static double allocations_of(round_fn run, const sample *s) {
    enum { OPS = 1000 };
    allocations = 0;
    run(s, OPS);
    return (double)allocations / OPS;
}

static void measure(const char *title, const sample *samples, size_t count, round_fn ours, round_fn theirs) {
    printf("\n%s: allocations\n  %-32s  %8s  %8s\n", title, "", "mcpsess", "hiredis");
    for (size_t i = 0; i < count; i++) {
        (void)allocations_of(theirs, &samples[i]); /* its reader's buffer grows once */
        printf("  %-32s  %8.2f  %8.2f\n", samples[i].name, allocations_of(ours, &samples[i]),
               allocations_of(theirs, &samples[i]));
    }
}
#else
static double per_op(round_fn run, const sample *s, uint64_t *sum) {
    const size_t ops = ROUND_OPS * s->len < ROUND_BYTES ? ROUND_OPS : ROUND_BYTES / s->len;
    const double start = bench_cpu_ns();
    *sum = run(s, ops) / ops;
    return (bench_cpu_ns() - start) / (double)ops;
}

static void measure(const char *title, const sample *samples, size_t count, round_fn ours, round_fn theirs) {
    bench_title(title, "ns", "/mcpsess");
    for (size_t i = 0; i < count; i++) {
        bench_series a = {samples[i].name, {0}}, b = {"    hiredis", {0}};
        for (int r = 0; r < BENCH_ROUNDS; r++) {
            uint64_t x, y;
            a.round[r] = per_op(ours, &samples[i], &x);
            b.round[r] = per_op(theirs, &samples[i], &y);
            if (x != samples[i].weight || (y != 1 && y != x)) bench_stop("a round did not do its work");
        }
        bench_row(&a, NULL);
        bench_row(&b, &a);
    }
}
#endif

/* For callgrind: one round. */
static int run_one(const char *what, const char *who, size_t n, size_t ops) {
    const int decode = strcmp(what, "decode") == 0, ours = strcmp(who, "mcpsess") == 0;
    const sample *s = decode ? &decoded[n] : &encoded[n];
    if (n >= (decode ? decoded_count : encoded_count)) return 1;
    printf("%s\n", s->name);
    fflush(stdout);
    (decode ? (ours ? mcpsess_decode_round : hiredis_decode_round)
            : (ours ? mcpsess_encode_round : hiredis_encode_round))(s, ops);
    return 0;
}

int main(int argc, char **argv) {
    prepare();
    if (argc == 5) return run_one(argv[1], argv[2], strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    measure("RESP, a reply decoded", decoded, decoded_count, mcpsess_decode_round, hiredis_decode_round);
    measure("RESP, a command encoded", encoded, encoded_count, mcpsess_encode_round, hiredis_encode_round);
    return 0;
}
