/* The tools. There is no hardware behind them: the sensor is a formula, the LED a pair in the session's record. */

#include "device.h"

#include <string.h>

/* ---- results ---- */

/* The values as text, and since revision 2025-06-18 as structured content too. */
cJSON *tool_result(const session *s, cJSON *values) {
    char *text = cJSON_PrintUnformatted(values);
    cJSON *result = cJSON_CreateObject();
    cJSON *block = cJSON_CreateObject();
    cJSON_AddStringToObject(block, "type", "text");
    cJSON_AddStringToObject(block, "text", text ? text : "");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(result, "content"), block);
    cJSON_free(text);
    if (session_is(s, "version", "2025-03-26")) {
        cJSON_Delete(values);
    } else {
        cJSON_AddItemToObject(result, "structuredContent", values);
    }
    return result;
}

cJSON *tool_problem(const char *text) {
    cJSON *result = cJSON_CreateObject();
    cJSON *block = cJSON_CreateObject();
    cJSON_AddStringToObject(block, "type", "text");
    cJSON_AddStringToObject(block, "text", text);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(result, "content"), block);
    cJSON_AddTrueToObject(result, "isError");
    return result;
}

/* ---- the tools ---- */

static cJSON *read_sensor(call *c, const cJSON *args) {
    const cJSON *channel = cJSON_GetObjectItemCaseSensitive(args, "channel");
    cJSON *values = NULL;
    if (!cJSON_IsNumber(channel) || channel->valuedouble != channel->valueint || channel->valueint < 0 ||
        channel->valueint >= CHANNELS) {
        return tool_problem("channel must be a whole number from 0 to 3");
    }
    bool calibrated = session_is(c->session, "calibrated", "yes");
    values = cJSON_CreateObject();
    cJSON_AddNumberToObject(values, "channel", channel->valueint);
    cJSON_AddNumberToObject(values, "celsius", 20.5 + 1.25 * channel->valueint - (calibrated ? 0.5 : 0.0));
    cJSON_AddBoolToObject(values, "calibrated", calibrated);
    return tool_result(c->session, values);
}

static cJSON *set_led(call *c, const cJSON *args) {
    const cJSON *on = cJSON_GetObjectItemCaseSensitive(args, "on");
    if (!cJSON_IsBool(on)) return tool_problem("on must be true or false");
    const char *state = cJSON_IsTrue(on) ? "on" : "off";
    bool changed = !session_is(c->session, "led", state);
    session_set(c->session, "led", state);
    if (session_save(&c->dev->sessions.table, c->session) != MCPSESS_OK) {
        return rpc_fail(c, RPC_INTERNAL, "the session could not be written");
    }
    if (changed) log_message(c->dev, c->session, "led", cJSON_IsTrue(on) ? "the LED is on" : "the LED is off");
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "led", state);
    return tool_result(c->session, values);
}

static cJSON *whoami(call *c, const cJSON *args) {
    (void)args;
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "device", c->dev->name);
    cJSON_AddNumberToObject(values, "calls", session_number(c->session, "calls"));
    cJSON_AddStringToObject(values, "led", session_is(c->session, "led", "on") ? "on" : "off");
    return tool_result(c->session, values);
}

static cJSON *calibrate(call *c, const cJSON *args) {
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(args, "seconds");
    const cJSON *poll = cJSON_GetObjectItemCaseSensitive(args, "poll");
    if (!cJSON_IsNumber(seconds) || !(seconds->valuedouble >= 0 && seconds->valuedouble <= CALIBRATE_MAX)) {
        return tool_problem("seconds must be a number from 0 to 10");
    }
    if (poll && !cJSON_IsBool(poll)) return tool_problem("poll must be true or false");
    return job_begin(c, seconds->valuedouble, cJSON_IsTrue(poll));
}

static const struct {
    const char *name;
    cJSON *(*run)(call *c, const cJSON *args);
    const char *description, *input, *output;
} tools[] = {
#define TOOL(function, description, input, output) {#function, function, description, input, output},
    TOOLS(TOOL)
#undef TOOL
};
enum { TOOLS_COUNT = sizeof tools / sizeof tools[0] };

/* ---- the methods ---- */

cJSON *tools_list(call *c) {
    if (cJSON_GetObjectItemCaseSensitive(c->params, "cursor")) return rpc_fail(c, RPC_INVALID_PARAMS, "unknown cursor");
    bool structured = !session_is(c->session, "version", "2025-03-26");
    cJSON *result = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(result, "tools");
    for (int i = 0; i < TOOLS_COUNT; i++) {
        cJSON *tool = cJSON_CreateObject();
        cJSON_AddStringToObject(tool, "name", tools[i].name);
        cJSON_AddStringToObject(tool, "description", tools[i].description);
        cJSON_AddRawToObject(tool, "inputSchema", tools[i].input);
        if (structured) cJSON_AddRawToObject(tool, "outputSchema", tools[i].output);
        cJSON_AddItemToArray(list, tool);
    }
    return result;
}

cJSON *tools_call(call *c) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(c->params, "name");
    const cJSON *args = cJSON_GetObjectItemCaseSensitive(c->params, "arguments");
    int i = 0;
    if (!cJSON_IsString(name)) return rpc_fail(c, RPC_INVALID_PARAMS, "name must be a string");
    if (args && !cJSON_IsObject(args)) return rpc_fail(c, RPC_INVALID_PARAMS, "arguments must be an object");
    while (i < TOOLS_COUNT && strcmp(tools[i].name, name->valuestring) != 0) i++;
    if (i == TOOLS_COUNT) return rpc_fail(c, RPC_INVALID_PARAMS, "unknown tool");
    if (session_count_call(&c->dev->sessions.table, c->session) != MCPSESS_OK) {
        return rpc_fail(c, RPC_INTERNAL, "the session could not be written");
    }
    return tools[i].run(c, args);
}
