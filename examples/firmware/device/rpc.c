/* JSON-RPC 2.0, and the methods of MCP that a device with tools has. */

#include "device.h"

/* ---- messages ---- */

/* Ids and progress tokens are strings or integers of at most 15 digits. They go back as they came. */
static bool is_integer(mcpsess_str raw) {
    size_t sign = raw.len > 0 && raw.ptr[0] == '-';
    if (raw.len == sign || raw.len - sign > 15) return false;
    for (size_t i = sign; i < raw.len; i++) {
        if (raw.ptr[i] < '0' || raw.ptr[i] > '9') return false;
    }
    return true;
}

bool rpc_id_valid(const json *j, int id) {
    mcpsess_str raw = json_raw(j, id);
    return raw.len <= RAW_ID_MAX && (json_is(j, id, JSMN_STRING) || is_integer(raw));
}

mcpsess_str rpc_id(const json *j, int message) {
    int id = json_get(j, message, "id");
    return rpc_id_valid(j, id) ? json_raw(j, id) : mcpsess_str_of(NULL, 0);
}

bool rpc_is(const json *j, int message, const char *method) {
    return json_equals(j, json_get(j, message, "method"), method);
}

static bool has(const json *j, int object, const char *key) {
    return json_get(j, object, key) != JSON_NONE;
}

static int kind_of_method(const json *j, int message, bool asks) {
    int params = json_get(j, message, "params");
    int method = json_get(j, message, "method");
    if (!json_is(j, method, JSMN_STRING) || json_equals(j, method, "")) return RPC_INVALID;
    if (params != JSON_NONE && !json_is(j, params, JSMN_OBJECT)) return RPC_INVALID;
    return asks ? RPC_REQUEST : RPC_NOTIFICATION;
}

int rpc_kind(const json *j, int message) {
    int id = json_get(j, message, "id");
    if (!json_equals(j, json_get(j, message, "jsonrpc"), "2.0")) return RPC_INVALID;
    if (id != JSON_NONE && !rpc_id_valid(j, id)) return RPC_INVALID;
    if (has(j, message, "method")) return kind_of_method(j, message, id != JSON_NONE);
    bool answers = has(j, message, "result") != has(j, message, "error");
    return id != JSON_NONE && answers ? RPC_RESPONSE : RPC_INVALID;
}

/* An id that is absent or null is left out: the schema of MCP has no null id. */
void rpc_put_head(mcpsess_buf *out, mcpsess_str id) {
    json_put(out, "{\"jsonrpc\":\"2.0\"");
    if (id.len > 0) json_put(out, ",\"id\":");
    mcpsess_buf_put(out, id);
}

void rpc_put_error(mcpsess_buf *out, mcpsess_str id, int code, const char *text) {
    rpc_put_head(out, id);
    json_put(out, ",\"error\":{\"code\":");
    json_put_int(out, code);
    json_put(out, ",\"message\":");
    json_put_string(out, mcpsess_str_z(text));
    json_put(out, "}}");
}

bool rpc_fail(call *c, int code, const char *text) {
    c->code = code;
    c->text = text;
    return false;
}

/* ---- initialize ---- */

const char *rpc_initialize(const json *j, int params, mcpsess_buf *out) {
    int wanted = json_get(j, params, "protocolVersion");
    if (!json_is(j, wanted, JSMN_STRING)) return NULL;
    if (!json_is(j, json_get(j, params, "capabilities"), JSMN_OBJECT)) return NULL;
    if (!json_is(j, json_get(j, params, "clientInfo"), JSMN_OBJECT)) return NULL;
    int i = json_place(j, wanted, versions, VERSIONS);
    const char *version = versions[i < VERSIONS ? i : 0];
    json_put(out, "{\"protocolVersion\":\"");
    json_put(out, version);
    json_put(out, "\",\"capabilities\":{\"logging\":{},\"tools\":{}},\"serverInfo\":{\"name\":\"" DEVICE_NAME
                  "\",\"version\":\"" MCPSESS_VERSION "\"}}");
    return version;
}

/* ---- the other methods; each appends its result ---- */

static bool ping(call *c) {
    json_put(&c->out->text, "{}");
    return true;
}

static bool set_level(call *c) {
    int level = json_get(c->json, c->params, "level");
    if (!json_is(c->json, level, JSMN_STRING)) return rpc_fail(c, RPC_INVALID_PARAMS, "level must be a string");
    int i = json_place(c->json, level, levels, LEVELS);
    if (i == LEVELS) return rpc_fail(c, RPC_INVALID_PARAMS, "unknown level");
    session_set(c->session, "level", levels[i]);
    if (session_save(&sessions, c->session) != MCPSESS_OK) {
        return rpc_fail(c, RPC_INTERNAL, "the session could not be written");
    }
    return ping(c);
}

static void notified(const call *c) {
    int id = json_get(c->json, c->params, "requestId");
    if (rpc_is(c->json, c->message, "notifications/cancelled") && rpc_id_valid(c->json, id)) {
        jobs_cancel(c->session->id, json_raw(c->json, id));
    }
}

static const struct {
    const char *name;
    bool (*answer)(call *c);
} methods[] = {
    {"ping", ping},
    {"tools/list", tools_list},
    {"tools/call", tools_call},
    {"logging/setLevel", set_level},
};

static bool request_result(call *c) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (rpc_is(c->json, c->message, methods[i].name)) return methods[i].answer(c);
    }
    return rpc_fail(c, RPC_NO_METHOD, "Method not found");
}

/* Takes back what was appended since, and appends an error. */
static void instead(mcpsess_buf *out, size_t since, mcpsess_str id, int code, const char *text) {
    out->len = since;
    out->overflow = false;
    rpc_put_error(out, id, code, text);
}

static bool answer_request(call *c, mcpsess_str id) {
    mcpsess_buf *out = &c->out->text;
    size_t since = out->len;
    rpc_put_head(out, id);
    json_put(out, ",\"result\":");
    if (request_result(c)) {
        json_put(out, "}");
        bool fits = !out->overflow && (!c->batch || out->len - since <= EVENT_MAX);
        if (!fits) instead(out, since, id, RPC_INTERNAL, "the answer is too long");
        return true;
    }
    if (!c->deferred) {
        instead(out, since, id, c->code, c->text);
    } else {
        out->len = since;
    }
    return !c->deferred;
}

bool rpc_answer(call *c, int message) {
    c->message = message;
    c->params = json_get(c->json, message, "params");
    c->deferred = false;
    switch (rpc_kind(c->json, message)) {
    case RPC_REQUEST: return answer_request(c, rpc_id(c->json, message));
    case RPC_NOTIFICATION: notified(c); return false;
    case RPC_RESPONSE: return false; /* the device asks nothing, so it waits for nothing */
    default:
        rpc_put_error(&c->out->text, rpc_id(c->json, message), RPC_INVALID_REQUEST, "Invalid Request");
        return true;
    }
}
