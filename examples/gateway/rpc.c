/* rpc.c - JSON-RPC: what a message is, and the errors we answer. cJSON reads; one thing it cannot do, to keep the text
   of a number, is done here: a request id must come back as it came, and 9007199254740993 is no double. */

#include "gateway.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define META_VERSION "io.modelcontextprotocol/protocolVersion"

/* ---- the raw text of "id". The body is valid JSON by now. */

static const char *skip_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

static const char *skip_string(const char *p, const char *end) {
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\') p++;
    }
    return p < end ? p + 1 : end;
}

static const char *skip_nested(const char *p, const char *end) {
    unsigned depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (*p == '{' || *p == '[') depth++;
        if (*p == '}' || *p == ']') depth--;
        p++;
        if (depth == 0) break;
    }
    return p;
}

static const char *skip_value(const char *p, const char *end) {
    if (p < end && *p == '"') return skip_string(p, end);
    if (p < end && (*p == '{' || *p == '[')) return skip_nested(p, end);
    while (p < end && strchr(",}] \t\r\n", *p) == NULL) p++;
    return p;
}

static mcpsess_str raw_id(mcpsess_str body) {
    const char *end = body.ptr + body.len;
    const char *p = skip_space(body.ptr, end);
    while (p < end && *p != '}') {
        const char *key = skip_space(p + 1, end); /* after { or , */
        const char *key_end = skip_value(key, end);
        const char *value = skip_space(key_end, end);
        value = skip_space(value < end ? value + 1 : end, end); /* after the colon */
        p = skip_value(value, end);
        if (mcpsess_str_eq(mcpsess_str_of(key, (size_t)(key_end - key)), MCPSESS_STR("\"id\""))) {
            return mcpsess_str_of(value, (size_t)(p - value));
        }
        p = skip_space(p, end);
    }
    return mcpsess_str_of("", 0);
}

/* cJSON takes 01, 1. and raw control characters for JSON. What we send back must be JSON to everybody. */
static bool is_strict(mcpsess_str id) {
    size_t i = 0;
    if (id.len > 0 && id.ptr[0] == '"') {
        while (i < id.len && (unsigned char)id.ptr[i] >= 0x20) i++;
        return i == id.len;
    }
    if (i < id.len && id.ptr[i] == '-') i++;
    if (i + 1 < id.len && id.ptr[i] == '0' && isdigit((unsigned char)id.ptr[i + 1])) return false;
    const char *dot = memchr(id.ptr, '.', id.len);
    return dot == NULL || (dot + 1 < id.ptr + id.len && isdigit((unsigned char)dot[1]));
}

/* ---- reading */

cJSON *rpc_json(mcpsess_str body) {
    const char *end = NULL;
    if (body.len == 0 || memchr(body.ptr, '\0', body.len) != NULL) return NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(body.ptr, body.len, &end, 0);
    if (root != NULL && skip_space(end, body.ptr + body.len) != body.ptr + body.len) {
        cJSON_Delete(root); /* something follows the value */
        return NULL;
    }
    return root;
}

/* The members that make a message. A name given twice is refused: we and the backend might read different ones. */
struct members {
    const cJSON *jsonrpc, *id, *method, *params, *result, *error;
};

static bool find_members(const cJSON *message, struct members *m) {
    const char *names[] = {"jsonrpc", "id", "method", "params", "result", "error"};
    const cJSON **slots[] = {&m->jsonrpc, &m->id, &m->method, &m->params, &m->result, &m->error};
    for (const cJSON *c = message->child; c != NULL; c = c->next) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (strcmp(c->string, names[i]) != 0) continue;
            if (*slots[i] != NULL) return false;
            *slots[i] = c;
        }
    }
    return true;
}

static bool is_id(const cJSON *id) {
    return id == NULL || cJSON_IsString(id) || cJSON_IsNumber(id) || cJSON_IsNull(id);
}

static bool is_message(const cJSON *message, struct members *m) {
    memset(m, 0, sizeof *m);
    if (!cJSON_IsObject(message) || !find_members(message, m)) return false;
    if (!cJSON_IsString(m->jsonrpc) || strcmp(m->jsonrpc->valuestring, "2.0") != 0) return false;
    if (!is_id(m->id)) return false;
    if (m->method != NULL) return cJSON_IsString(m->method) && m->method->valuestring[0] != '\0';
    return m->result != NULL || m->error != NULL;
}

static bool is_batch(const cJSON *root) {
    struct members m;
    for (const cJSON *c = root->child; c != NULL; c = c->next) {
        if (!is_message(c, &m)) return false;
        if (m.method != NULL && strcmp(m.method->valuestring, "initialize") == 0) return false; /* never in a batch */
    }
    return root->child != NULL;
}

static bool take_text(const cJSON *from, char *to, size_t size) {
    if (!cJSON_IsString(from)) return true;
    return (size_t)snprintf(to, size, "%s", from->valuestring) < size;
}

static int read_message(struct rpc *m, const cJSON *root, mcpsess_str body) {
    struct members members;
    if (cJSON_IsArray(root)) {
        m->batch = is_batch(root);
        return m->batch ? 0 : RPC_INVALID_REQUEST;
    }
    if (!is_message(root, &members)) return RPC_INVALID_REQUEST;
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(members.params, "_meta");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(meta, META_VERSION);
    mcpsess_str id = raw_id(body);
    if (members.id != NULL && !cJSON_IsNull(members.id) && !is_strict(id)) return RPC_PARSE_ERROR;
    if (members.id != NULL && !cJSON_IsNull(members.id)) m->id = id;
    if (!take_text(members.method, m->method, sizeof m->method)) return RPC_INVALID_REQUEST;
    if (!take_text(version, m->version, sizeof m->version)) return RPC_INVALID_REQUEST;
    return 0;
}

int rpc_read(struct rpc *m, mcpsess_str body) {
    memset(m, 0, sizeof *m);
    cJSON *root = rpc_json(body);
    if (root == NULL) return RPC_PARSE_ERROR;
    int rc = read_message(m, root, body);
    cJSON_Delete(root); /* at once: a tree is many times larger than its text */
    return rc;
}

static bool is_answer(const cJSON *root) {
    return cJSON_HasObjectItem(root, "result") || cJSON_HasObjectItem(root, "error");
}

/* An answer is the body itself or, in an SSE stream, the first data line that is one; notifications may come before. */
static cJSON *parse_answer(mcpsess_str body) {
    cJSON *root = rpc_json(body);
    const char *p = body.ptr, *end = body.ptr + body.len;
    while (!is_answer(root) && p != NULL && p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((eol != NULL ? eol : end) - p);
        if (len > 5 && memcmp(p, "data:", 5) == 0) {
            cJSON_Delete(root);
            root = rpc_json(mcpsess_str_of(p + 5, len - 5));
        }
        p = eol != NULL ? eol + 1 : NULL;
    }
    return root;
}

bool rpc_initialized(mcpsess_str body, char *version, size_t size) {
    cJSON *root = parse_answer(body);
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(root, "result");
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(result, "protocolVersion");
    bool ok = cJSON_IsString(text) && (size_t)snprintf(version, size, "%s", text->valuestring) < size;
    cJSON_Delete(root);
    return ok;
}

bool rpc_names_session(mcpsess_str body) {
    cJSON *root = parse_answer(body);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
    bool yes = cJSON_IsString(message) && strcasestr(message->valuestring, "session") != NULL;
    cJSON_Delete(root);
    return yes;
}

/* Few messages are worth a closer look. */
static bool may_answer(mcpsess_str body, mcpsess_str id) {
    if (body.len == 0 || id.len == 0 || memmem(body.ptr, body.len, id.ptr, id.len) == NULL) return false;
    return memmem(body.ptr, body.len, "\"result\"", 8) != NULL || memmem(body.ptr, body.len, "\"error\"", 7) != NULL;
}

bool rpc_answers(mcpsess_str body, mcpsess_str id) {
    struct rpc m;
    if (!may_answer(body, id)) return false;
    return rpc_read(&m, body) == 0 && !m.batch && m.method[0] == '\0' && mcpsess_str_eq(m.id, id);
}

/* ---- errors */

static void put_head(struct evbuffer *out, int code, const char *message) {
    evbuffer_add_printf(out, "{\"error\":{\"code\":%d,\"message\":\"%s\"", code, message);
}

static void put_tail(struct evbuffer *out, mcpsess_str id) {
    evbuffer_add_printf(out, "},");
    if (id.len > 0) {
        evbuffer_add_printf(out, "\"id\":");
        evbuffer_add(out, id.ptr, id.len);
        evbuffer_add_printf(out, ",");
    }
    evbuffer_add_printf(out, "\"jsonrpc\":\"2.0\"}");
}

/* message is ours: plain ASCII without quotes */
void rpc_error(struct evbuffer *out, int code, const char *message, mcpsess_str id) {
    put_head(out, code, message);
    put_tail(out, id);
}

void rpc_unsupported(struct evbuffer *out, const char *requested, mcpsess_str id, bool modern) {
    cJSON *text = cJSON_CreateString(requested); /* theirs: escape it */
    char *quoted = text != NULL ? cJSON_PrintUnformatted(text) : NULL;
    put_head(out, RPC_UNSUPPORTED_VERSION, "Unsupported protocol version");
    evbuffer_add_printf(out,
                        ",\"data\":{\"requested\":%s,\"supported\":[%s\"2025-11-25\",\"2025-06-18\",\"2025-03-26\"]}",
                        quoted != NULL ? quoted : "null", modern ? "\"2026-07-28\"," : "");
    put_tail(out, id);
    cJSON_free(quoted);
    cJSON_Delete(text);
}
