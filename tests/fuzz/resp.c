/* RESP: our decoder beside hiredis's reader, over the same bytes in pieces that the input chooses: the same items, or a
   difference that is in the table below. What was written as RESP comes back as it was written, however it is cut; what
   was damaged then comes out the same however it is cut, and within the limits. hiredis before 1.0 knows RESP2 alone:
   of RESP3 it sees what is written, not what hiredis makes of it. */

#include <ctype.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <sanitizer/asan_interface.h>

#include "fuzz.h"
#include "mcpsess_redis.h"

#define BYTES 4096u
#define ITEMS (BYTES / 3u + 1u)
#define LINE 48u /* of a trace, text apart */

/* What a decoder makes of some bytes: a line for each item, its depth, type, number or text; "." behind the last one of
   a reply. Pieces of a bulk are put together. */
typedef struct trace {
    char text[BYTES + ITEMS * LINE];
    size_t len, count;
    struct {
        size_t end;  /* of its line */
        size_t from; /* its first byte, from here on of ours alone */
        unsigned depth;
        uint64_t used; /* elements of its reply before it */
        bool push;     /* in a push */
    } at[ITEMS + 1];   /* the last: where decoding stopped */
    int rc;
} trace;

static trace ours, again, theirs, wanted;

static void trace_begin(trace *t) {
    memset(&t->at[0], 0, sizeof t->at[0]);
    t->len = t->count = 0;
    t->rc = MCPSESS_PENDING;
}

static void trace_put(trace *t, const char *bytes, size_t len) {
    MUST(len <= sizeof t->text - t->len);
    if (len != 0) memcpy(t->text + t->len, bytes, len);
    t->len += len;
}

static bool among(const char *set, char c) {
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_count(char type) {
    return among("*%~|>", type);
}

static bool is_bulk(char type) {
    return among("$!=", type);
}

/* Numbers are compared as numbers; all else as its text. */
static void trace_item(trace *t, unsigned depth, char type, int64_t number, mcpsess_str text) {
    char head[LINE];
    bool numeric = is_count(type) || type == ':' || type == '#';
    int n = snprintf(head, sizeof head, "\n%u %c ", depth, type);
    if (numeric) n += snprintf(head + n, sizeof head - (size_t)n, "%lld", (long long)number);
    trace_put(t, head, (size_t)n);
    if (!numeric) trace_put(t, text.ptr, text.len);
    MUST(t->count < ITEMS);
    t->at[t->count++].end = t->len;
}

static void trace_end(trace *t) {
    trace_put(t, ".", 1);
    t->at[t->count - 1].end = t->len;
}

static mcpsess_str trace_line(const trace *t, size_t n) {
    size_t from = n == 0 ? 0 : t->at[n - 1].end;
    return mcpsess_str_of(t->text + from, t->at[n].end - from);
}

/* -- in pieces -- */

/* Sizes of pieces, less 1, over and over; none: all at once. */
typedef struct cuts {
    mcpsess_str sizes;
    size_t n;
} cuts;

static size_t cut(cuts *c, size_t left) {
    size_t size = c->sizes.len == 0 ? left : 1u + (uint8_t)c->sizes.ptr[c->n++ % c->sizes.len];
    return size < left ? size : left;
}

/* -- ours -- */

static struct {
    char bytes[BYTES];
    size_t got;
    bool open;
} bulk;

/* A piece of a bulk. -> it is whole */
static bool take_piece(const mcpsess_resp_item *item, const mcpsess_resp_desc *limits) {
    if (!bulk.open) bulk.got = 0;
    MUST(item->number >= 0 && (uint64_t)item->number <= limits->bulk_max);
    MUST(bulk.got + item->text.len + item->left == (uint64_t)item->number);
    MUST(item->left == 0 || (!item->ends && (uint64_t)item->number > limits->whole_max));
    MUST(item->text.len != 0 || item->number == 0);
    MUST(item->text.len <= sizeof bulk.bytes - bulk.got);
    if (item->text.len != 0) memcpy(bulk.bytes + bulk.got, item->text.ptr, item->text.len);
    bulk.got += item->text.len;
    bulk.open = item->left != 0;
    return !bulk.open;
}

/* What goes with the place of the next item. */
static void take_place(trace *t, const mcpsess_resp_item *item, const mcpsess_resp_desc *limits) {
    uint64_t used = t->at[t->count - 1].used;
    bool push = t->at[t->count - 1].push || item->type == MCPSESS_RESP_PUSH;
    if (!push && is_count((char)item->type)) used += (uint64_t)item->number + (item->type == MCPSESS_RESP_ATTRIBUTE);
    MUST(used <= limits->elements_max);
    t->at[t->count].used = item->ends ? 0 : used;
    t->at[t->count].push = !item->ends && push;
}

static void take_item(trace *t, const mcpsess_resp_item *item, const mcpsess_resp_desc *limits) {
    mcpsess_str text = item->text;
    MUST(item->depth <= MCPSESS_RESP_DEPTH && (item->depth == 0 || t->count != 0));
    if (is_bulk((char)item->type)) {
        if (!take_piece(item, limits)) return;
        text = mcpsess_str_of(bulk.bytes, bulk.got);
    } else {
        MUST(!bulk.open && item->left == 0 && text.len <= limits->line_max);
    }
    t->at[t->count].depth = item->depth;
    trace_item(t, item->depth, (char)item->type, item->number, text);
    if (item->ends) trace_end(t);
    take_place(t, item, limits);
}

/* What it may read is in memory of its own; the rest of that is poisoned, and what it has taken is overwritten. */
static void decode_ours(trace *t, mcpsess_str input, const mcpsess_resp_desc *desc, cuts c) {
    size_t fed = 0, done = 0;
    char *copy = fuzz_copy(input.ptr, input.len);
    mcpsess_resp d;
    ASAN_POISON_MEMORY_REGION(copy, input.len);
    trace_begin(t);
    bulk.open = false;
    mcpsess_resp_init(&d, desc);
    while (t->rc == MCPSESS_PENDING && fed < input.len) {
        mcpsess_resp_item item;
        mcpsess_str in;
        fed += cut(&c, input.len - fed);
        ASAN_UNPOISON_MEMORY_REGION(copy, fed);
        in = mcpsess_str_of(copy + done, fed - done);
        while ((t->rc = mcpsess_resp_next(&d, &in, &item)) == MCPSESS_OK) {
            MUST(in.ptr + in.len == copy + fed && item.text.ptr >= copy + done && item.text.ptr <= in.ptr);
            take_item(t, &item, &d.i.limits);
            if (!bulk.open) t->at[t->count].from = fed - in.len;
        }
        memset(copy + done, 'X', fed - in.len - done);
        done = fed - in.len;
    }
    MUST(t->rc == MCPSESS_PENDING || t->rc == MCPSESS_E_FORMAT || t->rc == MCPSESS_E_TOOBIG ||
         t->rc == MCPSESS_E_UNSUPPORTED);
    MUST(d.i.depth <= MCPSESS_RESP_DEPTH);
    t->at[t->count].depth = d.i.depth;
    ASAN_UNPOISON_MEMORY_REGION(copy, input.len);
    free(copy);
}

static bool same(const trace *a, const trace *b) {
    return a->rc == b->rc && a->count == b->count && a->at[a->count].from == b->at[b->count].from &&
           mcpsess_str_eq(mcpsess_str_of(a->text, a->len), mcpsess_str_of(b->text, b->len));
}

/* -- theirs -- */

static int plain; /* an object for hiredis, which never looks into it */

static trace *task_trace(const redisReadTask *task) {
    return (trace *)task->privdata;
}

static unsigned task_depth(const redisReadTask *task) {
    unsigned depth = 0;
    for (; task->parent != NULL; task = task->parent) depth++;
    return depth;
}

static char task_type(const redisReadTask *task) {
    switch (task->type) {
    case REDIS_REPLY_STATUS: return '+';
    case REDIS_REPLY_ERROR: return '-';
    case REDIS_REPLY_STRING: return '$';
    case REDIS_REPLY_ARRAY: return '*';
#if HIREDIS_MAJOR >= 1
    case REDIS_REPLY_MAP: return '%';
    case REDIS_REPLY_SET: return '~';
    case REDIS_REPLY_ATTR: return '|';
    case REDIS_REPLY_PUSH: return '>';
    case REDIS_REPLY_BIGNUM: return '(';
    case REDIS_REPLY_VERB: return '=';
#endif
    default: return '?';
    }
}

static void *their_text(const redisReadTask *task, char *bytes, size_t len) {
    trace_item(task_trace(task), task_depth(task), task_type(task), 0, mcpsess_str_of(bytes, len));
    return &plain;
}

static void *their_integer(const redisReadTask *task, long long number) {
    trace_item(task_trace(task), task_depth(task), ':', number, mcpsess_str_of(NULL, 0));
    return &plain;
}

static void *their_null(const redisReadTask *task) {
    trace_item(task_trace(task), task_depth(task), '_', 0, mcpsess_str_of(NULL, 0));
    return &plain;
}

static void their_end(void *object) {
    (void)object;
}

#if HIREDIS_MAJOR >= 1
static int attribute; /* another */

static void *their_count(const redisReadTask *task, size_t count) {
    trace_item(task_trace(task), task_depth(task), task_type(task), (int64_t)count, mcpsess_str_of(NULL, 0));
    return task_type(task) == '|' ? &attribute : &plain;
}

static void *their_double(const redisReadTask *task, double value, char *bytes, size_t len) {
    (void)value;
    trace_item(task_trace(task), task_depth(task), ',', 0, mcpsess_str_of(bytes, len));
    return &plain;
}

static void *their_bool(const redisReadTask *task, int value) {
    trace_item(task_trace(task), task_depth(task), '#', value, mcpsess_str_of(NULL, 0));
    return &plain;
}

static redisReplyObjectFunctions functions = {their_text,   their_count, their_integer, their_double,
                                              their_null, their_bool,  their_end};
#else
static void *their_count(const redisReadTask *task, int count) {
    trace_item(task_trace(task), task_depth(task), task_type(task), count, mcpsess_str_of(NULL, 0));
    return &plain;
}

static redisReplyObjectFunctions functions = {their_text, their_count, their_integer, their_null, their_end};
#endif

static void decode_theirs(trace *t, mcpsess_str input, cuts c) {
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    size_t fed = 0;
    MUST(reader != NULL);
    reader->privdata = t;
    trace_begin(t);
    while (t->rc == MCPSESS_PENDING && fed < input.len) {
        size_t piece = cut(&c, input.len - fed);
        void *reply = &plain;
        MUST(redisReaderFeed(reader, input.ptr + fed, piece) == REDIS_OK);
        fed += piece;
        while (reply != NULL && t->rc == MCPSESS_PENDING) {
            if (redisReaderGetReply(reader, &reply) != REDIS_OK) t->rc = MCPSESS_E_FORMAT;
            else if (reply == &plain) trace_end(t); /* to hiredis an attribute is a reply of its own */
        }
    }
    redisReaderFree(reader);
}

/* -- where they differ, and may -- */

/* The bytes at which one of them goes on, and the other stops, or both stop in different ways. */
typedef struct point {
    char type;
    mcpsess_str line; /* behind the type, up to the first CRLF */
    bool whole;       /* the CRLF is there */
    mcpsess_str rest; /* behind it */
    unsigned depth;
    uint64_t used;
    bool push;
    bool we, they; /* have an item there */
    int rc;        /* if we have none */
    int their_rc;
    const mcpsess_resp_desc *limits;
} point;

static bool refused(const point *p) {
    return !p->we && p->rc < 0;
}

static bool they_refused(const point *p) {
    return !p->they && p->their_rc < 0;
}

static bool has_lone_cr_or_lf(const point *p) {
    size_t n;
    for (n = 0; n < p->line.len; n++) {
        if (p->line.ptr[n] == '\n' || (p->line.ptr[n] == '\r' && (n + 1 < p->line.len || p->whole)))
            return refused(p);
    }
    return false;
}

/* Digits after at most one sign; *number: what they say, UINT64_MAX if it is more. */
static bool digits(mcpsess_str s, uint64_t *number) {
    size_t n = s.len != 0 && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
    if (n == s.len) return false;
    for (*number = 0; n < s.len; n++) {
        uint64_t digit = (uint64_t)(unsigned char)s.ptr[n] - '0';
        if (digit > 9) return false;
        *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
    }
    return true;
}

static bool over_a_limit(const point *p) {
    uint64_t number = 0;
    if (!refused(p) || p->rc != MCPSESS_E_TOOBIG) return false;
    if (p->line.len > p->limits->line_max) return true;
    if (!p->whole || !digits(p->line, &number)) return false;
    if (is_bulk(p->type)) return number > p->limits->bulk_max;
    if (p->type == '%' || p->type == '|') number *= 2;
    if (!is_count(p->type)) return false;
    if (number != 0 && p->depth == MCPSESS_RESP_DEPTH) return true;
    return number > UINT32_MAX || (!p->push && p->type != '>' && p->used + number + 1 > p->limits->elements_max);
}

static bool is_null_by_length(const point *p) {
    return refused(p) && among("%~|>=", p->type) && mcpsess_str_eq(p->line, MCPSESS_STR("-1"));
}

static bool is_padded(const point *p) {
    uint64_t number;
    bool sign = p->line.len > 1 && (p->line.ptr[0] == '-' || p->line.ptr[0] == '+');
    if (!they_refused(p) || !(p->type == ':' || is_bulk(p->type) || is_count(p->type))) return false;
    if (!digits(p->line, &number) || !p->whole) return false;
    return p->line.ptr[0] == '+' || (p->line.len > 1 && p->line.ptr[sign] == '0');
}

static bool is_bulk_without_crlf(const point *p) {
    uint64_t len = 0;
    if (!refused(p) || p->rc != MCPSESS_E_FORMAT || !is_bulk(p->type) || !digits(p->line, &len)) return false;
    return p->rest.len >= 2 && len <= p->rest.len - 2 && memcmp(p->rest.ptr + len, "\r\n", 2) != 0;
}

static bool is_loose_bool(const point *p) {
    return refused(p) && p->type == '#' && p->line.len == 1 && (among("TF", p->line.ptr[0]) || p->line.ptr[0] == '\0');
}

/* Theirs is strtod's idea of a number, any spelling of inf and nan with it; then it must be in range, and short. */
static bool is_loose_double(const point *p) {
    char text[BYTES + 1];
    size_t n;
    if (p->type != ',' || !p->whole) return false;
    memcpy(text, p->line.ptr, p->line.len);
    text[p->line.len] = '\0';
    errno = 0;
    (void)strtod(text, NULL);
    if (they_refused(p)) return text[0] == '+' || p->line.len > 325 || errno == ERANGE;
    for (n = 0; n < p->line.len; n++) {
        if ((isalpha((unsigned char)text[n]) && text[n] != 'e') || isspace((unsigned char)text[n])) return refused(p);
    }
    return false;
}

static bool is_loose_big(const point *p) {
    if (p->type != '(') return false;
    if (they_refused(p)) return p->line.len != 0 && p->line.ptr[0] == '+';
    return refused(p) && (p->line.len == 0 || mcpsess_str_eq(p->line, MCPSESS_STR("-")));
}

static bool is_verbatim(const point *p) {
    uint64_t len = 0;
    if (p->type != '=' || !digits(p->line, &len)) return false;
    if (len < 4) return refused(p);
    return they_refused(p) && p->rest.len >= 4 && p->rest.ptr[3] != ':';
}

static bool is_misplaced_push(const point *p) {
    uint64_t number = 1;
    return refused(p) && p->type == '>' && p->whole && digits(p->line, &number) && (p->depth != 0 || number == 0);
}

static bool is_unknown_to_them(const point *p) {
    const char *known = HIREDIS_MAJOR * 100 + HIREDIS_MINOR >= 103 ? "+-:$*,_%|~#=>(" : "+-:$*,_%~#=>(";
    return they_refused(p) && !among(HIREDIS_MAJOR >= 1 ? known : "+-:$*", p->type);
}

static bool is_too_deep_for_them(const point *p) {
    return they_refused(p) && is_count(p->type) && p->depth >= 8;
}

static const struct {
    bool (*here)(const point *p);
    const char *what;
} differences[] = {
    {has_lone_cr_or_lf, "a CR or LF in a line is an error to us at once; hiredis waits, before 1.0 it takes it"},
    {over_a_limit, "over a limit of ours"},
    {is_null_by_length, "null spelled as a map, set, attribute, push or verbatim of length -1: hiredis takes it"},
    {is_padded, "+1, 01, -0: we take them, as redis's own string2ll does not"},
    {is_bulk_without_crlf, "hiredis does not look at the two bytes behind a bulk"},
    {is_loose_bool, "#T, #F and a NUL: hiredis takes them"},
    {is_loose_double, "hiredis takes what strtod takes, if it is in range and short, but no sign + (since 1.5)"},
    {is_loose_big, "a big number without digits: hiredis takes it; with a sign +: we take it"},
    {is_verbatim, "verbatim: we refuse one that is too short before it is there, and do not look for its colon"},
    {is_misplaced_push, "a push within a reply, or of nothing: hiredis takes it"},
    {is_unknown_to_them, "hiredis knows no bulk errors, before 1.3 no attributes, before 1.0 no RESP3"},
    {is_too_deep_for_them, "hiredis before 1.1 refuses even an empty aggregate within 8 others, at its type already"},
};

static void show(const char *name, const trace *t) {
    fprintf(stderr, "%s (%d):", name, t->rc);
    fwrite(t->text, 1, t->len, stderr);
    fprintf(stderr, "\n");
}

/* An attribute within an aggregate is one of its elements to hiredis: from there on nothing can be compared. */
static bool nested_attribute(size_t n) {
    mcpsess_str line = trace_line(&ours, n);
    return line.ptr[3] == '|' && ours.at[n].depth != 0;
}

static point point_at(size_t n, mcpsess_str input, const mcpsess_resp_desc *limits) {
    point p;
    size_t from = ours.at[n].from + 1, end;
    MUST(from <= input.len);
    for (end = from; end + 1 < input.len && memcmp(input.ptr + end, "\r\n", 2) != 0;) end++;
    p.type = input.ptr[from - 1];
    p.whole = end + 1 < input.len;
    if (!p.whole) end = input.len;
    p.line = mcpsess_str_of(input.ptr + from, end - from);
    p.rest = p.whole ? mcpsess_str_of(input.ptr + end + 2, input.len - end - 2) : mcpsess_str_of(NULL, 0);
    p.depth = ours.at[n].depth;
    p.used = n == 0 ? 0 : ours.at[n].used;
    p.push = ours.at[n].push;
    p.we = n < ours.count;
    p.they = n < theirs.count;
    p.rc = ours.rc;
    p.their_rc = theirs.rc;
    p.limits = limits;
    return p;
}

static void compare(mcpsess_str input, const mcpsess_resp_desc *limits) {
    size_t n, rule;
    point p;
    for (n = 0; n < ours.count && n < theirs.count; n++) {
        if (nested_attribute(n)) return;
        if (!mcpsess_str_eq(trace_line(&ours, n), trace_line(&theirs, n))) break;
    }
    if (ours.at[n].from == input.len) return;
    p = point_at(n, input, limits);
    if (!p.we && !p.they && (p.rc < 0) == (p.their_rc < 0)) return;
    for (rule = 0; rule < sizeof differences / sizeof differences[0]; rule++) {
        if (!(p.we && p.they) && differences[rule].here(&p)) return;
    }
    show("ours", &ours);
    show("hiredis", &theirs);
    fprintf(stderr, "item %zu, type %c\n", n, p.type);
    fuzz_fail(__FILE__, __LINE__, "a difference that is not in the table");
}

/* -- what is decoded -- */

static void check_bytes(mcpsess_str input, const mcpsess_resp_desc *desc, cuts c) {
    static const cuts single = {{"", 1}, 0}, whole = {{NULL, 0}, 0};
    mcpsess_resp_desc other = *desc;
    mcpsess_resp d;
    other.whole_max = desc->whole_max == 0 ? BYTES : 0;
    decode_ours(&ours, input, desc, c);
    decode_ours(&again, input, desc, single);
    MUST(same(&ours, &again));
    decode_ours(&again, input, &other, whole);
    MUST(same(&ours, &again));
    decode_theirs(&theirs, input, c);
    mcpsess_resp_init(&d, desc);
    compare(input, &d.i.limits);
}

/* -- RESP that is written here, and what must become of it -- */

static struct {
    unsigned left[MCPSESS_RESP_DEPTH];
    bool attribute[MCPSESS_RESP_DEPTH];
    unsigned depth;
} open_;

/* An item more is written; those that it completes are closed. */
static void written(void) {
    while (open_.depth != 0) {
        if (--open_.left[open_.depth - 1] != 0) return;
        if (open_.attribute[--open_.depth]) return;
    }
    trace_end(&wanted);
}

static void write_count(fuzz_source *s, mcpsess_buf *out, char type) {
    unsigned count = open_.depth == MCPSESS_RESP_DEPTH ? 0 : fuzz_byte(s) % 5;
    bool pairs = type == '%' || type == '|';
    if (type == '>' && (open_.depth != 0 || count == 0)) type = '~';
    mcpsess_resp_put_number(out, (uint8_t)type, count);
    if (pairs) count *= 2;
    trace_item(&wanted, open_.depth, type, count, mcpsess_str_of(NULL, 0));
    if (count != 0) {
        open_.attribute[open_.depth] = type == '|';
        open_.left[open_.depth++] = count;
    } else if (type != '|') {
        written();
    }
}

static int64_t any_number(fuzz_source *s) {
    uint64_t number = 0;
    unsigned n = fuzz_byte(s) % 12;
    if (n > 8) return n == 9 ? INT64_MIN : n == 10 ? INT64_MAX : INT64_MAX / 10;
    while (n-- > 0) number = number << 8 | fuzz_byte(s);
    return (int64_t)number;
}

static void write_line(fuzz_source *s, mcpsess_buf *out, char type) {
    static const char *const doubles[] = {"0", "1.5", "-2", "1e+20", "-3.25E-7", "inf", "-inf", "nan"};
    char text[64];
    size_t n;
    mcpsess_str bytes = fuzz_slice(s, sizeof text);
    if (type == ',') bytes = mcpsess_str_z(doubles[bytes.len % 8]);
    if (type == '(') bytes = mcpsess_str_z(bytes.len % 2 != 0 ? "-123456789012345678901234567890" : "0");
    if (type == '_') bytes.len = 0;
    if (type == '#') bytes = mcpsess_str_z(bytes.len % 2 != 0 ? "t" : "f");
    for (n = 0; n < bytes.len; n++) text[n] = bytes.ptr[n] == '\r' || bytes.ptr[n] == '\n' ? '/' : bytes.ptr[n];
    bytes = mcpsess_str_of(text, bytes.len);
    mcpsess_resp_put_text(out, (uint8_t)type, bytes);
    trace_item(&wanted, open_.depth, type, bytes.len != 0 && text[0] == 't', bytes);
}

static void write_bulk(fuzz_source *s, mcpsess_buf *out, char type) {
    char text[132] = "txt:";
    size_t head = type == '=' ? 4 : 0;
    mcpsess_str bytes = fuzz_slice(s, 128);
    if (bytes.len != 0) memcpy(text + head, bytes.ptr, bytes.len);
    bytes = mcpsess_str_of(text, head + bytes.len);
    mcpsess_resp_put_bytes(out, (uint8_t)type, bytes);
    trace_item(&wanted, open_.depth, type, 0, bytes);
}

static void write_item(fuzz_source *s, mcpsess_buf *out, char type) {
    int64_t number;
    if (is_count(type)) {
        write_count(s, out, type);
        return;
    }
    if (type == ':') {
        number = any_number(s);
        mcpsess_resp_put_number(out, ':', number);
        trace_item(&wanted, open_.depth, ':', number, mcpsess_str_of(NULL, 0));
    } else if (type == 'n') { /* as RESP2 has null */
        mcpsess_resp_put_number(out, fuzz_byte(s) % 2 != 0 ? '*' : '$', -1);
        trace_item(&wanted, open_.depth, '_', 0, mcpsess_str_of(NULL, 0));
    } else if (is_bulk(type)) {
        write_bulk(s, out, type);
    } else {
        write_line(s, out, type);
    }
    written();
}

/* Replies, as many as there is input for; a source that is used up gives 0, and 0 is no aggregate. */
static void write_replies(fuzz_source *s, mcpsess_buf *out) {
    static const char types[] = "+*$:*n$-*$_%~|>#,(=!*%>";
    unsigned kinds = fuzz_byte(s) % 2 != 0 ? 10 : sizeof types - 1;
    trace_begin(&wanted);
    open_.depth = 0;
    do write_item(s, out, types[fuzz_byte(s) % kinds]);
    while (open_.depth != 0 || (s->size != 0 && out->cap - out->len > BYTES / 2));
    MUST(!out->overflow);
}

/* Changes a byte, takes one out, puts one in, repeats one, or cuts the rest off. */
static void damage(fuzz_source *s, mcpsess_buf *b) {
    static const char likely[] = "\r\n$*:+-_#,(!=%~|>?012589tinef.; x";
    size_t at = ((size_t)fuzz_byte(s) << 8 | fuzz_byte(s)) % b->len, times = 1;
    unsigned how = fuzz_byte(s), to = fuzz_byte(s);
    char byte = how >= 128 ? (char)to : likely[to % (sizeof likely - 1)];
    switch (how % 6) {
    case 0:
    case 1: b->ptr[at] = byte; break;
    case 2: memmove(b->ptr + at, b->ptr + at + 1, --b->len - at); break;
    case 3: b->len = at + 1; break;
    case 4:
        byte = b->ptr[at];
        times = 1 + to % 32;
        /* fall through */
    default:
        memmove(b->ptr + at + times, b->ptr + at, b->len - at);
        memset(b->ptr + at, byte, times);
        b->len += times;
        break;
    }
}

static void check_written(fuzz_source *s, const mcpsess_resp_desc *desc, cuts c) {
    mcpsess_resp_desc roomy = {0, 0, 0, 0};
    mcpsess_buf b = fuzz_buf(BYTES);
    unsigned wounds = fuzz_byte(s) % 4;
    fuzz_source wounding = {s->data, s->size < 16 ? 0 : 16};
    if (s->size >= 16) s->data += 16, s->size -= 16;
    write_replies(s, &b);
    roomy.whole_max = desc->whole_max;
    decode_ours(&ours, mcpsess_buf_str(&b), &roomy, c);
    wanted.at[wanted.count].from = b.len;
    if (!same(&ours, &wanted)) {
        show("wanted", &wanted);
        show("ours", &ours);
        fuzz_fail(__FILE__, __LINE__, "what was written comes back");
    }
    while (wounds-- > 0 && b.len > 1 && b.cap - b.len > 32) damage(&wounding, &b);
    check_bytes(mcpsess_buf_str(&b), desc, c);
    free(b.ptr);
}

/* A command is what both make of it again; one byte of room less, and nothing of it is put. */
static void check_command(fuzz_source *s, cuts c) {
    mcpsess_resp_desc none = {0, 0, 0, 0};
    mcpsess_str argv[8];
    size_t argc = 0, n;
    mcpsess_buf exact, less;
    do argv[argc++] = fuzz_slice(s, 255);
    while (argc < 8 && s->size != 0);
    exact = fuzz_buf(mcpsess_resp_command_bytes(argv, argc));
    less = fuzz_buf(exact.cap - 1);
    MUST(mcpsess_resp_put_command(&less, argv, argc) == MCPSESS_E_TOOBIG && less.len == 0 && !less.overflow);
    MUST(mcpsess_resp_put_command(&exact, argv, argc) == MCPSESS_OK && exact.len == exact.cap);
    trace_begin(&wanted);
    trace_item(&wanted, 0, '*', (int64_t)argc, mcpsess_str_of(NULL, 0));
    for (n = 0; n < argc; n++) trace_item(&wanted, 1, '$', 0, argv[n]);
    trace_end(&wanted);
    wanted.at[wanted.count].from = exact.len;
    decode_ours(&ours, mcpsess_buf_str(&exact), &none, c);
    MUST(same(&ours, &wanted));
    check_bytes(mcpsess_buf_str(&exact), &none, c);
    free(exact.ptr);
    free(less.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const mcpsess_resp_desc limits[] = {
        {0, 0, 0, 0}, {0, 0, 8, 0}, {0, 0, BYTES, 0}, {8, 0, 8, 0}, {0, 30, 0, 0}, {0, 0, 20, 3}, {5, 40, 20, 40}};
    fuzz_source source = {data, size < BYTES ? size : BYTES};
    unsigned what = fuzz_byte(&source);
    const mcpsess_resp_desc *desc = &limits[fuzz_byte(&source) % 7];
    cuts c = {{NULL, 0}, 0};
    c.sizes = fuzz_slice(&source, 8);
    if (what % 8 == 0) check_bytes(mcpsess_str_of(source.data, source.size), desc, c);
    else if (what % 8 == 1) check_command(&source, c);
    else check_written(&source, desc, c);
    return 0;
}
