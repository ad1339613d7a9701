/* jsmn finds where values begin and end, and minds brackets, keys and escapes; that what stands between them is JSON as
   well, and that a literal and what is within a string are, is looked at here. */

#define JSMN_STRICT
#include <jsmn.h>

#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 32 }; /* characters */

static const char escapes[] = "bfnrt", escaped[] = "\b\f\n\r\t";

/* ---- parse ---- */

static size_t digits(const char *z) {
    return strspn(z, "0123456789");
}

static bool is_number(const char *z) {
    size_t n;
    z += *z == '-';
    n = digits(z);
    if (n == 0 || (n > 1 && *z == '0')) return false;
    z += n;
    if (*z == '.') {
        n = digits(++z);
        if (n == 0) return false;
        z += n;
    }
    if (*z == 'e' || *z == 'E') {
        z++;
        z += *z == '+' || *z == '-';
        n = digits(z);
        if (n == 0) return false;
        z += n;
    }
    return *z == '\0';
}

static bool is_literal(mcpsess_str s) {
    char z[NUMBER_MAX + 1];
    if (s.len > NUMBER_MAX) return false;
    memcpy(z, s.ptr, s.len);
    z[s.len] = '\0';
    return strcmp(z, "true") == 0 || strcmp(z, "false") == 0 || strcmp(z, "null") == 0 || is_number(z);
}

static bool has_control(mcpsess_str s) {
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20) return true;
    }
    return false;
}

static bool is_leaf(const jsmntok_t *v) {
    return v->type == JSMN_STRING || v->type == JSMN_PRIMITIVE;
}

/* What jsmn lets pass: keys that are no strings, members and items with something behind them, words of no meaning,
   strings of more than one line: an id goes back as it came, and must be JSON then. */
static bool value_valid(const json *j, int value) {
    const jsmntok_t *v = &j->values[value];
    int child = value + 1;
    if (v->type == JSMN_PRIMITIVE && !is_literal(json_raw(j, value))) return false;
    if (v->type == JSMN_STRING && has_control(json_raw(j, value))) return false;
    for (int i = 0; !is_leaf(v) && i < v->size; i++) {
        if (v->type == JSMN_OBJECT) {
            if (j->values[child].type != JSMN_STRING || j->values[child].size != 1) return false;
            child++;
        }
        if (is_leaf(&j->values[child]) && j->values[child].size != 0) return false;
        child = json_next(j, child);
    }
    return true;
}

/* May one sign stand behind another? v is a string or a literal. */
static bool may_follow(char before, char sign) {
    switch (before) {
    case '\0': return strchr("v[{", sign) != NULL;
    case '[': return strchr("v[{]", sign) != NULL;
    case '{': return strchr("v}", sign) != NULL;
    case ',':
    case ':': return strchr("v[{", sign) != NULL;
    default: return strchr(",:]}", sign) != NULL;
    }
}

static bool signs_valid(const json *j) {
    char before = '\0';
    int value = 0;
    for (int i = 0; i < (int)j->text.len; i++) {
        char sign = j->text.ptr[i];
        if (memchr(" \t\r\n", sign, 4)) continue;
        if (!memchr("[]{},:", sign, 6)) {
            while (value < j->count && j->values[value].type < JSMN_STRING) value++;
            if (value == j->count) return false;
            i = j->values[value].end - (j->values[value].type == JSMN_PRIMITIVE);
            value++;
            sign = 'v';
        }
        if (!may_follow(before, sign)) return false;
        before = sign;
    }
    return before != ',' && before != ':'; /* jsmn has seen that all brackets are closed */
}

int json_parse(json *j, mcpsess_str text) {
    jsmn_parser p;
    jsmn_init(&p);
    j->text = text;
    j->count = jsmn_parse(&p, text.ptr, text.len, j->values, VALUES_MAX);
    if (j->count == JSMN_ERROR_NOMEM) return MCPSESS_E_TOOBIG;
    if (j->count < 1 || json_next(j, JSON_ROOT) != j->count || !signs_valid(j)) return MCPSESS_E_FORMAT;
    for (int i = 0; i < j->count; i++) {
        if (!value_valid(j, i)) return MCPSESS_E_FORMAT;
    }
    return MCPSESS_OK;
}

/* ---- read ---- */

bool json_is(const json *j, int value, jsmntype_t type) {
    return value >= 0 && j->values[value].type == type;
}

mcpsess_str json_raw(const json *j, int value) {
    if (value < 0) return mcpsess_str_of(NULL, 0);
    const jsmntok_t *v = &j->values[value];
    int quotes = v->type == JSMN_STRING;
    return mcpsess_str_of(j->text.ptr + v->start - quotes, (size_t)(v->end - v->start + 2 * quotes));
}

bool json_is_bool(const json *j, int value, bool *is_true) {
    mcpsess_str raw = json_raw(j, value);
    *is_true = mcpsess_str_eq(raw, MCPSESS_STR("true"));
    return *is_true || mcpsess_str_eq(raw, MCPSESS_STR("false"));
}

bool json_is_number(const json *j, int value, double *number) {
    char z[NUMBER_MAX + 1];
    mcpsess_str raw = json_raw(j, value);
    if (!json_is(j, value, JSMN_PRIMITIVE) || strchr("tfn", raw.ptr[0])) return false;
    memcpy(z, raw.ptr, raw.len); /* parse has seen that it fits */
    z[raw.len] = '\0';
    *number = strtod(z, NULL);
    return true;
}

bool json_equals(const json *j, int value, const char *string) {
    char text[64];
    mcpsess_buf out;
    mcpsess_buf_init(&out, text, sizeof text);
    return json_string(j, value, &out) == MCPSESS_OK && mcpsess_str_eq(mcpsess_buf_str(&out), mcpsess_str_z(string));
}

int json_place(const json *j, int value, const char *const *list, int count) {
    int i = 0;
    while (i < count && !json_equals(j, value, list[i])) i++;
    return i;
}

int json_next(const json *j, int value) {
    int next = value + 1;
    while (next < j->count && j->values[next].start < j->values[value].end) next++;
    return next;
}

int json_get(const json *j, int object, const char *key) {
    if (!json_is(j, object, JSMN_OBJECT)) return JSON_NONE;
    int name = object + 1;
    for (int i = 0; i < j->values[object].size; i++) {
        if (json_equals(j, name, key)) return name + 1;
        name = json_next(j, name + 1);
    }
    return JSON_NONE;
}

int json_size(const json *j, int value) {
    return value < 0 ? 0 : j->values[value].size;
}

int json_first(const json *j, int array) {
    (void)j;
    return array + 1;
}

/* ---- strings ---- */

/* jsmn has seen that there are four. */
static unsigned hex4(const char *four) {
    unsigned n = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)four[i];
        n = n << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return n;
}

static void put_utf8(mcpsess_buf *out, unsigned long code) {
    if (code < 0x80) {
        mcpsess_buf_put_char(out, (char)code);
        return;
    }
    if (code < 0x800) {
        mcpsess_buf_put_char(out, (char)(0xC0 | code >> 6));
    } else {
        if (code < 0x10000) {
            mcpsess_buf_put_char(out, (char)(0xE0 | code >> 12));
        } else {
            mcpsess_buf_put_char(out, (char)(0xF0 | code >> 18));
            mcpsess_buf_put_char(out, (char)(0x80 | (code >> 12 & 0x3F)));
        }
        mcpsess_buf_put_char(out, (char)(0x80 | (code >> 6 & 0x3F)));
    }
    mcpsess_buf_put_char(out, (char)(0x80 | (code & 0x3F)));
}

/* \uXXXX, or two of them that are one character. -> characters taken behind the backslash */
static size_t unescape_unicode(const char *u, size_t left, mcpsess_buf *out) {
    unsigned long code = hex4(u + 1);
    bool high = code >= 0xD800 && code < 0xDC00;
    if (high && left >= 11 && u[5] == '\\' && u[6] == 'u') {
        unsigned low = hex4(u + 7);
        if (low >= 0xDC00 && low < 0xE000) {
            put_utf8(out, 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
            return 11;
        }
    }
    put_utf8(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    return 5;
}

static size_t unescape(const char *sign, size_t left, mcpsess_buf *out) {
    if (*sign == 'u') return unescape_unicode(sign, left, out);
    const char *known = strchr(escapes, *sign);
    mcpsess_buf_put_char(out, known ? escaped[known - escapes] : *sign);
    return 1;
}

int json_string(const json *j, int value, mcpsess_buf *out) {
    if (!json_is(j, value, JSMN_STRING)) return MCPSESS_E_FORMAT;
    const char *s = j->text.ptr + j->values[value].start, *end = j->text.ptr + j->values[value].end;
    while (s < end) {
        char c = *s++;
        if (c != '\\') {
            mcpsess_buf_put_char(out, c);
        } else {
            s += unescape(s, (size_t)(end - s), out);
        }
    }
    return mcpsess_buf_check(out);
}

/* ---- write ---- */

void json_put(mcpsess_buf *out, const char *text) {
    mcpsess_buf_put(out, mcpsess_str_z(text));
}

void json_put_int(mcpsess_buf *out, int n) {
    if (n < 0) mcpsess_buf_put_char(out, '-');
    mcpsess_buf_put_u64(out, (uint64_t)(n < 0 ? -(int64_t)n : n));
}

static void put_escaped(mcpsess_buf *out, char c) {
    static const char hex[] = "0123456789abcdef";
    const char *known = strchr(escaped, c);
    mcpsess_buf_put_char(out, '\\');
    if (c == '"' || c == '\\') {
        mcpsess_buf_put_char(out, c);
    } else if (c != '\0' && known) {
        mcpsess_buf_put_char(out, escapes[known - escaped]);
    } else {
        json_put(out, "u00");
        mcpsess_buf_put_char(out, hex[c >> 4]);
        mcpsess_buf_put_char(out, hex[c & 15]);
    }
}

void json_put_string(mcpsess_buf *out, mcpsess_str s) {
    mcpsess_buf_put_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if ((unsigned char)c < 0x20 || c == '"' || c == '\\') {
            put_escaped(out, c);
        } else {
            mcpsess_buf_put_char(out, c);
        }
    }
    mcpsess_buf_put_char(out, '"');
}
