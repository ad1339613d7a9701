/* The tools. There is no hardware behind them: the sensor is a formula, the LED a pair in the session's record. */

#include "device.h"

enum { VALUES_BYTES = 512 };

static char the_note[NOTE_MAX + 1]; /* for all sessions, until the next reset */

/* ---- results ---- */

/* The values as text, and since revision 2025-06-18 as structured content too. */
void tool_put_result(const session *s, mcpsess_str values, mcpsess_buf *out) {
    json_put(out, "{\"content\":[{\"type\":\"text\",\"text\":");
    json_put_string(out, values);
    json_put(out, "}]");
    if (!session_is(s, "version", "2025-03-26")) {
        json_put(out, ",\"structuredContent\":");
        mcpsess_buf_put(out, values);
    }
    json_put(out, "}");
}

static bool result(call *c, const mcpsess_buf *values) {
    c->out->text.overflow |= values->overflow;
    tool_put_result(c->session, mcpsess_buf_str(values), &c->out->text);
    return true;
}

bool tool_problem(call *c, const char *text) {
    json_put(&c->out->text, "{\"content\":[{\"type\":\"text\",\"text\":");
    json_put_string(&c->out->text, mcpsess_str_z(text));
    json_put(&c->out->text, "}],\"isError\":true}");
    return true;
}

/* ---- the tools ---- */

static void put_hundredths(mcpsess_buf *out, int n) {
    json_put_int(out, n / 100);
    if (n % 100 == 0) return;
    mcpsess_buf_put_char(out, '.');
    mcpsess_buf_put_char(out, (char)('0' + n / 10 % 10));
    if (n % 10 != 0) mcpsess_buf_put_char(out, (char)('0' + n % 10));
}

static bool read_sensor(call *c, int args, mcpsess_buf *values) {
    double channel = 0;
    if (!json_is_number(c->json, json_get(c->json, args, "channel"), &channel) || !(channel >= 0) ||
        !(channel < CHANNELS) || channel != (int)channel) {
        return tool_problem(c, "channel must be a whole number from 0 to 3");
    }
    bool calibrated = session_is(c->session, "calibrated", "yes");
    json_put(values, "{\"channel\":");
    json_put_int(values, (int)channel);
    json_put(values, ",\"celsius\":");
    put_hundredths(values, 2050 + 125 * (int)channel - (calibrated ? 50 : 0));
    json_put(values, calibrated ? ",\"calibrated\":true}" : ",\"calibrated\":false}");
    return result(c, values);
}

static void log_message(const session *s, const char *logger, const char *text) {
    char message[EVENT_MAX];
    mcpsess_buf out;
    if (!session_hears(s)) return;
    mcpsess_buf_init(&out, message, sizeof message);
    json_put(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"");
    json_put(&out, levels[LEVEL_INFO]);
    json_put(&out, "\",\"logger\":");
    json_put_string(&out, mcpsess_str_z(logger));
    json_put(&out, ",\"data\":");
    json_put_string(&out, mcpsess_str_z(text));
    json_put(&out, "}}");
    streams_notify(s->id, mcpsess_buf_str(&out));
}

static bool set_led(call *c, int args, mcpsess_buf *values) {
    bool on;
    if (!json_is_bool(c->json, json_get(c->json, args, "on"), &on)) return tool_problem(c, "on must be true or false");
    const char *state = on ? "on" : "off";
    bool changed = !session_is(c->session, "led", state);
    session_set(c->session, "led", state);
    if (session_save(&sessions, c->session) != MCPSESS_OK) {
        return rpc_fail(c, RPC_INTERNAL, "the session could not be written");
    }
    if (changed) log_message(c->session, "led", on ? "the LED is on" : "the LED is off");
    json_put(values, on ? "{\"led\":\"on\"}" : "{\"led\":\"off\"}");
    return result(c, values);
}

static bool whoami(call *c, int args, mcpsess_buf *values) {
    (void)args;
    json_put(values, "{\"device\":\"" DEVICE_NAME "\",\"calls\":");
    mcpsess_buf_put_u64(values, session_number(c->session, "calls"));
    json_put(values, session_is(c->session, "led", "on") ? ",\"led\":\"on\"}" : ",\"led\":\"off\"}");
    return result(c, values);
}

static bool note(call *c, int args, mcpsess_buf *values) {
    char text[sizeof the_note];
    mcpsess_buf in;
    int given = json_get(c->json, args, "text");
    mcpsess_buf_init(&in, text, NOTE_MAX);
    if (given != JSON_NONE && json_string(c->json, given, &in) != MCPSESS_OK) {
        return tool_problem(c, "text must be a string of at most 200 bytes");
    }
    if (given != JSON_NONE) {
        memcpy(the_note, text, in.len);
        the_note[in.len] = '\0';
    }
    json_put(values, "{\"note\":");
    json_put_string(values, mcpsess_str_z(the_note));
    json_put(values, "}");
    return result(c, values);
}

static bool calibrate(call *c, int args, mcpsess_buf *values) {
    int seconds = json_get(c->json, args, "seconds");
    int poll = json_get(c->json, args, "poll");
    double length = -1;
    bool polls = false;
    (void)values;
    if (!json_is_number(c->json, seconds, &length) || !(length >= 0 && length <= CALIBRATE_MAX)) {
        return tool_problem(c, "seconds must be a number from 0 to 10");
    }
    if (poll != JSON_NONE && !json_is_bool(c->json, poll, &polls)) {
        return tool_problem(c, "poll must be true or false");
    }
    return job_begin(c, seconds, polls);
}

static const struct {
    const char *name;
    bool (*run)(call *c, int args, mcpsess_buf *values);
} tools[] = {
#define TOOL(function, description, input, output) {#function, function},
    TOOLS(TOOL)
#undef TOOL
};
enum { TOOLS_COUNT = sizeof tools / sizeof tools[0] };

/* The list is one constant, so it is sent from flash; revision 2025-03-26 has no output schemas. */
#define TOOL(function, description, input, output)                                            \
    ",{\"name\":\"" #function "\",\"description\":\"" description "\",\"inputSchema\":" input \
    ",\"outputSchema\":" output "}"
static const char list[] = TOOLS(TOOL);
#undef TOOL
#define TOOL(function, description, input, output) \
    ",{\"name\":\"" #function "\",\"description\":\"" description "\",\"inputSchema\":" input "}"
static const char list_unstructured[] = TOOLS(TOOL);
#undef TOOL

/* ---- the methods ---- */

bool tools_list(call *c) {
    mcpsess_str items = mcpsess_str_of(list + 1, sizeof list - 2); /* without the first comma */
    if (json_get(c->json, c->params, "cursor") != JSON_NONE) return rpc_fail(c, RPC_INVALID_PARAMS, "unknown cursor");
    if (session_is(c->session, "version", "2025-03-26")) {
        items = mcpsess_str_of(list_unstructured + 1, sizeof list_unstructured - 2);
    }
    json_put(&c->out->text, "{\"tools\":[");
    if (c->batch) {
        mcpsess_buf_put(&c->out->text, items);
    } else {
        c->out->constant = items;
        c->out->constant_at = c->out->text.len;
    }
    json_put(&c->out->text, "]}");
    return true;
}

bool tools_call(call *c) {
    char text[VALUES_BYTES];
    mcpsess_buf values;
    int name = json_get(c->json, c->params, "name");
    int args = json_get(c->json, c->params, "arguments");
    int i = 0;
    mcpsess_buf_init(&values, text, sizeof text);
    if (!json_is(c->json, name, JSMN_STRING)) return rpc_fail(c, RPC_INVALID_PARAMS, "name must be a string");
    if (args != JSON_NONE && !json_is(c->json, args, JSMN_OBJECT)) {
        return rpc_fail(c, RPC_INVALID_PARAMS, "arguments must be an object");
    }
    while (i < TOOLS_COUNT && !json_equals(c->json, name, tools[i].name)) i++;
    if (i == TOOLS_COUNT) return rpc_fail(c, RPC_INVALID_PARAMS, "unknown tool");
    if (session_count_call(&sessions, c->session) != MCPSESS_OK) {
        return rpc_fail(c, RPC_INTERNAL, "the session could not be written");
    }
    return tools[i].run(c, args, &values);
}
