/* The transport: what Streamable HTTP asks of methods, headers and status codes. */

#include "device.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_NOT_ACCEPTABLE = 406, HTTP_CONFLICT = 409, HTTP_UNSUPPORTED_MEDIA = 415 };

/* ---- replies ---- */

static void add_header(struct evhttp_request *req, const char *name, const char *value) {
    evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

/* Takes body; NULL sends none, and so does a HEAD. */
static void reply(struct evhttp_request *req, int status, cJSON *body) {
    struct evbuffer *out = evbuffer_new();
    bool bare = !body || evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
    char *text = bare ? NULL : cJSON_PrintUnformatted(body);
    if (text && out) {
        evbuffer_add(out, text, strlen(text));
        add_header(req, "Content-Type", "application/json");
    }
    evhttp_send_reply(req, status, reason(status), out);
    cJSON_free(text);
    cJSON_Delete(body);
    if (out) evbuffer_free(out);
}

/* What a refusal echoes: the id of a single request, else none. */
static const cJSON *id_of(const cJSON *body) {
    return cJSON_GetObjectItemCaseSensitive(body, "id");
}

static void refuse(struct evhttp_request *req, int status, const cJSON *body, int code, const char *text) {
    if (status == HTTP_SERVUNAVAIL) {
        char seconds[12];
        snprintf(seconds, sizeof seconds, "%d", RETRY_SECONDS);
        add_header(req, "Retry-After", seconds);
    }
    reply(req, status, rpc_error(id_of(body), code, text));
}

static void refuse_method(struct evhttp_request *req, const char *allow) {
    add_header(req, "Allow", allow);
    refuse(req, HTTP_BADMETHOD, NULL, RPC_SERVER_ERROR, "Method not allowed");
}

/* ---- headers ---- */

static const char *header(struct evhttp_request *req, const char *name) {
    return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* ---- what every request with a session must pass ---- */

static bool load_session(device *dev, struct evhttp_request *req, const cJSON *body, session *s) {
    const char *id = header(req, "Mcp-Session-Id");
    if (!id) {
        refuse(req, HTTP_BADREQUEST, body, RPC_SERVER_ERROR, "Bad Request: Mcp-Session-Id header is required");
        return false;
    }
    int rc = session_load(&dev->sessions.table, s, id);
    if (rc == MCPSESS_MISS) {
        refuse(req, HTTP_NOTFOUND, body, RPC_NO_SESSION, "Session not found");
    } else if (rc != MCPSESS_OK) {
        refuse(req, HTTP_SERVUNAVAIL, body, RPC_SERVER_ERROR, "session store unavailable");
    }
    return rc == MCPSESS_OK;
}

/* Without the header the revision is the one the session agreed on. */
static bool version_fits(struct evhttp_request *req, const cJSON *body) {
    const char *version = header(req, "MCP-Protocol-Version");
    if (!version || rpc_version_known(version)) return true;
    refuse(req, HTTP_BADREQUEST, body, RPC_SERVER_ERROR, "Bad Request: Unsupported protocol version");
    return false;
}

/* ---- POST ---- */

static bool acceptable(struct evhttp_request *req) {
    const char *accept = header(req, "Accept");
    if (!lists(accept, "application/json") || !lists(accept, "text/event-stream")) {
        refuse(req, HTTP_NOT_ACCEPTABLE, NULL, RPC_SERVER_ERROR,
               "Not Acceptable: Client must accept both application/json and text/event-stream");
        return false;
    }
    if (!lists(header(req, "Content-Type"), "application/json")) {
        refuse(req, HTTP_UNSUPPORTED_MEDIA, NULL, RPC_SERVER_ERROR,
               "Unsupported Media Type: Content-Type must be application/json");
        return false;
    }
    return true;
}

static cJSON *parse_body(struct evhttp_request *req) {
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(in);
    const char *text = (const char *)evbuffer_pullup(in, -1);
    const char *end = NULL;
    cJSON *body = text ? cJSON_ParseWithLengthOpts(text, len, &end, false) : NULL;
    while (body && end < text + len) {
        if (*end == '\0' || !strchr(" \t\r\n", *end++)) { /* something follows the value */
            cJSON_Delete(body);
            return NULL;
        }
    }
    return body;
}

static bool is_initialize(const cJSON *body) {
    return strcmp(rpc_method(body), "initialize") == 0 && rpc_kind(body) == RPC_REQUEST;
}

/* The revision a request of the stateless kind names, in its header or in its _meta; NULL for any other request. */
static const char *stateless_version(struct evhttp_request *req, const cJSON *body) {
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(body, "params");
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(params, "_meta");
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(meta, META_VERSION);
    const char *version = header(req, "MCP-Protocol-Version");
    if (is_initialize(body)) return NULL;
    if (is_stateless(version)) return version;
    return cJSON_IsString(named) ? named->valuestring : NULL;
}

/* From this answer a client of both kinds learns to begin with initialize. */
static void refuse_stateless(struct evhttp_request *req, const cJSON *body, const char *version) {
    cJSON *answer = rpc_error(id_of(body), RPC_UNSUPPORTED_VERSION, "Unsupported protocol version");
    cJSON *data = cJSON_AddObjectToObject(cJSON_GetObjectItemCaseSensitive(answer, "error"), "data");
    cJSON_AddItemToObject(data, "supported", rpc_versions());
    cJSON_AddStringToObject(data, "requested", version);
    reply(req, HTTP_BADREQUEST, answer);
}

static void post_initialize(device *dev, struct evhttp_request *req, const cJSON *body) {
    session s;
    const char *version = NULL;
    cJSON *result = rpc_initialize(dev, cJSON_GetObjectItemCaseSensitive(body, "params"), &version);
    if (!result) {
        refuse(req, HTTP_OK, body, RPC_INVALID_PARAMS, "protocolVersion, capabilities and clientInfo are required");
        return;
    }
    if (session_create(&dev->sessions.table, &s, version) != MCPSESS_OK) {
        cJSON_Delete(result);
        refuse(req, HTTP_SERVUNAVAIL, body, RPC_SERVER_ERROR, "no room for another session");
        return;
    }
    add_header(req, "Mcp-Session-Id", s.id);
    reply(req, HTTP_OK, rpc_result(id_of(body), result));
}

/* Answers all messages of a POST: as events if one of them is slow, else as JSON, else with 202. */
static void post_messages(device *dev, struct evhttp_request *req, session *s, const cJSON *body) {
    stream *events = NULL;
    call c = {.dev = dev, .req = req, .session = s, .stream = &events};
    cJSON *replies = cJSON_CreateArray();
    const cJSON *first = cJSON_IsArray(body) ? body->child : body;
    for (const cJSON *m = first; m; m = cJSON_IsArray(body) ? m->next : NULL) {
        cJSON *answer = rpc_answer(&c, m);
        if (answer) cJSON_AddItemToArray(replies, answer);
    }
    if (events) {
        const cJSON *answer;
        cJSON_ArrayForEach(answer, replies) stream_send(events, answer);
        stream_release(events);
    } else if (cJSON_GetArraySize(replies) == 0) {
        reply(req, 202, NULL);
    } else {
        reply(req, HTTP_OK, cJSON_IsArray(body) ? replies : cJSON_DetachItemFromArray(replies, 0));
        if (cJSON_IsArray(body)) return;
    }
    cJSON_Delete(replies);
}

/* Batches came and went with revision 2025-03-26. */
static bool body_fits(struct evhttp_request *req, const session *s, const cJSON *body) {
    const char *problem = NULL;
    if (!cJSON_IsArray(body)) {
        if (rpc_kind(body) == RPC_INVALID) problem = "Invalid Request";
    } else if (!session_is(s, "version", "2025-03-26")) {
        problem = "Invalid Request: batches are of revision 2025-03-26 alone";
    } else if (cJSON_GetArraySize(body) < 1 || cJSON_GetArraySize(body) > BATCH_MAX) {
        problem = "Invalid Request: a batch has 1 to 16 messages";
    }
    if (problem) refuse(req, HTTP_BADREQUEST, body, RPC_INVALID_REQUEST, problem);
    return !problem;
}

static void post_body(device *dev, struct evhttp_request *req, const cJSON *body) {
    session s;
    const char *stateless = stateless_version(req, body);
    if (stateless) {
        refuse_stateless(req, body, stateless);
    } else if (is_initialize(body)) {
        post_initialize(dev, req, body);
    } else if (load_session(dev, req, body, &s) && version_fits(req, body) && body_fits(req, &s, body)) {
        post_messages(dev, req, &s, body);
    }
}

static void post(device *dev, struct evhttp_request *req) {
    if (!acceptable(req)) return;
    cJSON *body = parse_body(req);
    if (body) {
        post_body(dev, req, body);
    } else {
        refuse(req, HTTP_BADREQUEST, NULL, RPC_PARSE_ERROR, "Parse error");
    }
    cJSON_Delete(body);
}

/* ---- GET, DELETE, and the rest ---- */

/* What became of a GET, where that is no stream. */
static void refuse_stream(struct evhttp_request *req, int rc) {
    switch (rc) {
    case MCPSESS_OK: break;
    case MCPSESS_BUSY:
        refuse(req, HTTP_CONFLICT, NULL, RPC_SERVER_ERROR, "Conflict: this session has an open GET stream");
        break;
    case MCPSESS_E_FULL:
    case MCPSESS_E_NOMEM:
        refuse(req, HTTP_SERVUNAVAIL, NULL, RPC_SERVER_ERROR, "no room for another event stream");
        break;
    case MCPSESS_E_ID:
        refuse(req, HTTP_BADREQUEST, NULL, RPC_SERVER_ERROR,
               "Bad Request: The Last-Event-ID header refers to a session with a different session ID.");
        break;
    default:
        refuse(req, HTTP_BADREQUEST, NULL, RPC_SERVER_ERROR,
               "Bad Request: The specified Last-Event-ID is either invalid or expired.");
    }
}

static void get(device *dev, struct evhttp_request *req) {
    session s;
    if (!lists(header(req, "Accept"), "text/event-stream")) {
        refuse(req, HTTP_NOT_ACCEPTABLE, NULL, RPC_SERVER_ERROR,
               "Not Acceptable: Client must accept text/event-stream");
        return;
    }
    if (!load_session(dev, req, NULL, &s) || !version_fits(req, NULL)) return;
    const char *last = header(req, "Last-Event-ID");
    refuse_stream(req, last ? reader_resume(dev, req, &s, last) : stream_listen(dev, req, &s));
}

static void end_session(device *dev, struct evhttp_request *req) {
    session s;
    if (!load_session(dev, req, NULL, &s) || !version_fits(req, NULL)) return;
    jobs_cancel(dev, s.id, NULL);
    streams_end(dev, s.id);
    session_delete(&dev->sessions.table, s.id);
    reply(req, HTTP_NOCONTENT, NULL);
}

static void by_method(device *dev, struct evhttp_request *req) {
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    bool stateless = is_stateless(header(req, "MCP-Protocol-Version"));
    if (method == EVHTTP_REQ_POST) {
        post(dev, req);
    } else if (stateless) {
        refuse_method(req, "POST"); /* the stateless revisions have neither GET nor DELETE */
    } else if (method == EVHTTP_REQ_GET) {
        get(dev, req);
    } else if (method == EVHTTP_REQ_DELETE) {
        end_session(dev, req);
    } else {
        refuse_method(req, "GET, POST, DELETE");
    }
}

void http_request(struct evhttp_request *req, void *arg) {
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    if (!path || strcmp(path, "/mcp") != 0) {
        refuse(req, HTTP_NOTFOUND, NULL, RPC_SERVER_ERROR, "Not Found: the endpoint is /mcp");
    } else if (!origin_allowed(header(req, "Origin"))) {
        refuse(req, 403, NULL, RPC_SERVER_ERROR, "Forbidden: Origin is not this machine");
    } else {
        by_method(arg, req);
    }
}
