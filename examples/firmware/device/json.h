/* json.h - JSON, read in place and written into a buffer. A value is the number of its token. */

#ifndef JSON_H
#define JSON_H

#define JSMN_HEADER
#define JSMN_STRICT
#include <jsmn.h>

#include "mcpsess.h"

enum { VALUES_MAX = 96, JSON_NONE = -1, JSON_ROOT = 0 };

typedef struct json {
    mcpsess_str text;
    int count;
    jsmntok_t values[VALUES_MAX];
} json;

/* -> OK, E_FORMAT, E_TOOBIG: more than VALUES_MAX values and keys */
int json_parse(json *j, mcpsess_str text);

/* All of these take JSON_NONE, which is of no kind. */
bool json_is(const json *j, int value, jsmntype_t type);
bool json_is_bool(const json *j, int value, bool *is_true);
bool json_is_number(const json *j, int value, double *number);
bool json_equals(const json *j, int value, const char *string); /* a string, escapes resolved */
/* The place of a string in a list of count; count: it is not there. */
int json_place(const json *j, int value, const char *const *list, int count);
int json_get(const json *j, int object, const char *key); /* JSON_NONE: it has no such member */
int json_size(const json *j, int value);
int json_first(const json *j, int array);
int json_next(const json *j, int value);        /* what follows it in its array */
mcpsess_str json_raw(const json *j, int value); /* as it is written; empty: none */
/* Appends a string as UTF-8. -> OK, E_FORMAT: it is none, E_TOOBIG */
int json_string(const json *j, int value, mcpsess_buf *out);

void json_put(mcpsess_buf *out, const char *text); /* as it is */
void json_put_string(mcpsess_buf *out, mcpsess_str s);
void json_put_int(mcpsess_buf *out, int n);

#endif
