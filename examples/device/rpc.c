/* JSON-RPC 2.0, and the methods of MCP that a device with tools has. */

#include "device.h"

#include <string.h>

/* ---- messages ---- */

/* Ids and progress tokens are strings or integers. cJSON prints 15 digits, so a longer number would not go back as it
   came. */
bool rpc_id_valid(const cJSON *id) {
    if (cJSON_IsString(id)) return true;
    if (!cJSON_IsNumber(id) || id->valuedouble >= 1e15 || id->valuedouble <= -1e15) return false;
    return id->valuedouble == (double)(int64_t)id->valuedouble;
}

const char *rpc_method(const cJSON *message) {
    const cJSON *method = cJSON_GetObjectItemCaseSensitive(message, "method");
    return cJSON_IsString(method) ? method->valuestring : "";
}

static bool has(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key) != NULL; /* cJSON_HasObjectItem does not mind case */
}

static bool params_valid(const cJSON *params) {
    return !params || cJSON_IsObject(params);
}

int rpc_kind(const cJSON *message) {
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(message, "jsonrpc");
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(message, "id");
    if (!cJSON_IsString(version) || strcmp(version->valuestring, "2.0") != 0) return RPC_INVALID;
    if (id && !rpc_id_valid(id)) return RPC_INVALID;
    if (has(message, "method")) {
        if (rpc_method(message)[0] == '\0') return RPC_INVALID;
        if (!params_valid(cJSON_GetObjectItemCaseSensitive(message, "params"))) return RPC_INVALID;
        return id ? RPC_REQUEST : RPC_NOTIFICATION;
    }
    bool answers = has(message, "result") != has(message, "error");
    return id && answers ? RPC_RESPONSE : RPC_INVALID;
}

/* An id that is absent or null is left out: the schema of MCP has no null id. */
static cJSON *envelope(const cJSON *id) {
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "jsonrpc", "2.0");
    if (id && rpc_id_valid(id)) cJSON_AddItemToObject(m, "id", cJSON_Duplicate(id, true));
    return m;
}

cJSON *rpc_result(const cJSON *id, cJSON *result) {
    cJSON *m = envelope(id);
    cJSON_AddItemToObject(m, "result", result);
    return m;
}

cJSON *rpc_error(const cJSON *id, int code, const char *text) {
    cJSON *m = envelope(id);
    cJSON *error = cJSON_AddObjectToObject(m, "error");
    cJSON_AddNumberToObject(error, "code", code);
    cJSON_AddStringToObject(error, "message", text);
    return m;
}

cJSON *rpc_notification(const char *method, cJSON *params) {
    cJSON *m = envelope(NULL);
    cJSON_AddStringToObject(m, "method", method);
    cJSON_AddItemToObject(m, "params", params);
    return m;
}

cJSON *rpc_fail(call *c, int code, const char *text) {
    c->code = code;
    c->text = text;
    return NULL;
}

/* ---- initialize ---- */

bool rpc_version_known(const char *version) {
    return place_of(version, versions, VERSIONS) < VERSIONS;
}

cJSON *rpc_versions(void) {
    return cJSON_CreateStringArray(versions, VERSIONS);
}

cJSON *rpc_initialize(const device *dev, const cJSON *params, const char **version) {
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(params, "protocolVersion");
    if (!cJSON_IsString(wanted)) return NULL;
    if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(params, "capabilities"))) return NULL;
    if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(params, "clientInfo"))) return NULL;

    *version = rpc_version_known(wanted->valuestring) ? wanted->valuestring : versions[0];
    cJSON *result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "protocolVersion", *version);
    cJSON *capabilities = cJSON_AddObjectToObject(result, "capabilities");
    cJSON_AddObjectToObject(capabilities, "logging");
    cJSON_AddObjectToObject(capabilities, "tools");
    cJSON *info = cJSON_AddObjectToObject(result, "serverInfo");
    cJSON_AddStringToObject(info, "name", dev->name);
    cJSON_AddStringToObject(info, "version", MCPSESS_VERSION);
    return result;
}

/* ---- the other methods ---- */

static cJSON *ping(call *c) {
    (void)c;
    return cJSON_CreateObject();
}

static cJSON *set_level(call *c) {
    const cJSON *level = cJSON_GetObjectItemCaseSensitive(c->params, "level");
    if (!cJSON_IsString(level)) return rpc_fail(c, RPC_INVALID_PARAMS, "level must be a string");
    int i = place_of(level->valuestring, levels, LEVELS);
    if (i == LEVELS) return rpc_fail(c, RPC_INVALID_PARAMS, "unknown level");
    session_set(c->session, "level", levels[i]);
    if (session_save(&c->dev->sessions.table, c->session) != MCPSESS_OK) {
        return rpc_fail(c, RPC_INTERNAL, "the session could not be written");
    }
    return cJSON_CreateObject();
}

void log_message(device *dev, const session *s, const char *logger, const char *text) {
    if (!session_hears(s)) return;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "level", levels[LEVEL_INFO]);
    cJSON_AddStringToObject(params, "logger", logger);
    cJSON_AddStringToObject(params, "data", text);
    cJSON *message = rpc_notification("notifications/message", params);
    streams_notify(dev, s->id, message);
    cJSON_Delete(message);
}

static void notified(call *c, const char *method) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(c->params, "requestId");
    if (strcmp(method, "notifications/cancelled") == 0 && id) jobs_cancel(c->dev, c->session->id, id);
}

static const struct {
    const char *name;
    cJSON *(*answer)(call *c);
} methods[] = {
    {"ping", ping},
    {"tools/list", tools_list},
    {"tools/call", tools_call},
    {"logging/setLevel", set_level},
};

static cJSON *request(call *c, const char *method) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i].name, method) == 0) return methods[i].answer(c);
    }
    return rpc_fail(c, RPC_NO_METHOD, "Method not found");
}

cJSON *rpc_answer(call *c, const cJSON *message) {
    const char *method = rpc_method(message);
    c->id = cJSON_GetObjectItemCaseSensitive(message, "id");
    c->params = cJSON_GetObjectItemCaseSensitive(message, "params");
    c->deferred = false;
    switch (rpc_kind(message)) {
    case RPC_NOTIFICATION: notified(c, method); return NULL;
    case RPC_RESPONSE: return NULL; /* the device asks nothing, so it waits for nothing */
    case RPC_INVALID: return rpc_error(c->id, RPC_INVALID_REQUEST, "Invalid Request");
    default: break;
    }
    cJSON *result = request(c, method);
    if (result) return rpc_result(c->id, result);
    return c->deferred ? NULL : rpc_error(c->id, c->code, c->text);
}
