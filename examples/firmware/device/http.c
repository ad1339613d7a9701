/* The transport: what Streamable HTTP asks of methods, headers and status codes. */

#include "device.h"

#define RETRY_AFTER "Retry-After: 10\r\n" /* seconds */

enum { HEAD_MAX = 256 };

static char reply_text[REPLY_MAX];
static json body_values;

/* ---- replies ---- */

static answer new_answer(void) {
    answer a;
    memset(&a, 0, sizeof a);
    mcpsess_buf_init(&a.text, reply_text, sizeof reply_text);
    return a;
}

static void put_head(mcpsess_buf *out, int status, const char *headers, size_t len) {
    json_put(out, "HTTP/1.1 ");
    json_put_int(out, status);
    json_put(out, " ");
    json_put(out, reason(status));
    json_put(out, "\r\nConnection: close\r\n");
    json_put(out, headers);
    if (len > 0) json_put(out, "Content-Type: application/json\r\n");
    if (status != 204) {
        json_put(out, "Content-Length: ");
        mcpsess_buf_put_u64(out, len);
        json_put(out, "\r\n");
    }
    json_put(out, "\r\n");
}

/* The whole answer, and the end of the connection. headers are whole lines. */
static void reply(connection *c, int status, const char *headers, const answer *a) {
    char text[HEAD_MAX];
    mcpsess_buf head;
    mcpsess_buf_init(&head, text, sizeof text);
    put_head(&head, status, headers, a->text.len + a->constant.len);
    bool sent = connection_send(c, mcpsess_buf_str(&head), false);
    if (!c->head_only) {
        sent = sent && connection_send(c, mcpsess_str_of(a->text.ptr, a->constant_at), false) &&
               connection_send(c, a->constant, true) &&
               connection_send(c, mcpsess_str_of(a->text.ptr + a->constant_at, a->text.len - a->constant_at), false);
    }
    if (sent) {
        connection_end(c);
    } else {
        count.replies++; /* half an answer is none */
        connection_cut(c);
    }
}

/* body: of which the refusal echoes the id, if it is a single request; NULL: none */
static void refuse(connection *c, int status, const json *body, int code, const char *text) {
    answer a = new_answer();
    rpc_put_error(&a.text, body ? rpc_id(body, JSON_ROOT) : mcpsess_str_of(NULL, 0), code, text);
    reply(c, status, status == 503 ? RETRY_AFTER : "", &a);
}

static void refuse_method(connection *c, const char *allow_header) {
    answer a = new_answer();
    rpc_put_error(&a.text, mcpsess_str_of(NULL, 0), RPC_SERVER_ERROR, "Method not allowed");
    reply(c, 405, allow_header, &a);
}

/* One that has no place. What was written leaves with the end. */
void http_refuse_connection(struct tcp_pcb *pcb) {
    static const char body[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"no room for another "
                               "connection\"}}";
    char text[HEAD_MAX + sizeof body];
    mcpsess_buf out;
    mcpsess_buf_init(&out, text, sizeof text);
    put_head(&out, 503, RETRY_AFTER, sizeof body - 1);
    json_put(&out, body);
    tcp_write(pcb, text, (u16_t)out.len, TCP_WRITE_FLAG_COPY);
}

/* ---- what every request with a session must pass ---- */

static bool load_session(connection *c, const json *body, session *s) {
    const request *r = &c->as.request;
    if (!r->has_session) {
        refuse(c, 400, body, RPC_SERVER_ERROR, "Bad Request: Mcp-Session-Id header is required");
        return false;
    }
    int rc = session_load(&sessions, s, r->session);
    if (rc == MCPSESS_MISS) {
        refuse(c, 404, body, RPC_NO_SESSION, "Session not found");
    } else if (rc != MCPSESS_OK) {
        refuse(c, 503, body, RPC_SERVER_ERROR, "session store unavailable");
    }
    return rc == MCPSESS_OK;
}

/* Without the header the revision is the one the session agreed on. */
static bool version_fits(connection *c, const json *body) {
    const request *r = &c->as.request;
    if (!r->has_version || place_of(r->version, versions, VERSIONS) < VERSIONS) return true;
    refuse(c, 400, body, RPC_SERVER_ERROR, "Bad Request: Unsupported protocol version");
    return false;
}

/* ---- POST ---- */

static bool acceptable(connection *c) {
    const request *r = &c->as.request;
    if (!r->lists_json || !r->lists_events) {
        refuse(c, 406, NULL, RPC_SERVER_ERROR,
               "Not Acceptable: Client must accept both application/json and text/event-stream");
        return false;
    }
    if (!r->is_json) {
        refuse(c, 415, NULL, RPC_SERVER_ERROR, "Unsupported Media Type: Content-Type must be application/json");
        return false;
    }
    return true;
}

static bool is_initialize(const json *body) {
    return rpc_is(body, JSON_ROOT, "initialize") && rpc_kind(body, JSON_ROOT) == RPC_REQUEST;
}

/* The revision a request of the stateless kind names, in its header or in its _meta, as JSON; empty for any other. */
static mcpsess_str stateless_version(const request *r, const json *body, mcpsess_buf *quoted) {
    int meta = json_get(body, json_get(body, JSON_ROOT, "params"), "_meta");
    int named = json_get(body, meta, META_VERSION);
    if (is_initialize(body)) return mcpsess_str_of(NULL, 0);
    if (r->has_version && is_stateless(r->version)) {
        json_put_string(quoted, mcpsess_str_z(r->version));
        return mcpsess_buf_str(quoted);
    }
    return json_is(body, named, JSMN_STRING) ? json_raw(body, named) : mcpsess_str_of(NULL, 0);
}

/* From this answer a client of both kinds learns to begin with initialize. */
static void refuse_stateless(connection *c, const json *body, mcpsess_str version) {
    answer a = new_answer();
    rpc_put_error(&a.text, rpc_id(body, JSON_ROOT), RPC_UNSUPPORTED_VERSION, "Unsupported protocol version");
    a.text.len -= 2; /* both objects go on */
    json_put(&a.text, ",\"data\":{\"supported\":[");
    for (int i = 0; i < VERSIONS; i++) {
        json_put(&a.text, i > 0 ? ",\"" : "\"");
        json_put(&a.text, versions[i]);
        json_put(&a.text, "\"");
    }
    json_put(&a.text, "],\"requested\":");
    mcpsess_buf_put(&a.text, version);
    json_put(&a.text, "}}}");
    reply(c, 400, "", &a);
}

static void post_initialize(connection *c, const json *body) {
    session s;
    answer a = new_answer();
    char line[48];
    mcpsess_buf header;
    rpc_put_head(&a.text, rpc_id(body, JSON_ROOT));
    json_put(&a.text, ",\"result\":");
    const char *version = rpc_initialize(body, json_get(body, JSON_ROOT, "params"), &a.text);
    json_put(&a.text, "}");
    if (!version) {
        refuse(c, 200, body, RPC_INVALID_PARAMS, "protocolVersion, capabilities and clientInfo are required");
        return;
    }
    if (session_create(&sessions, &s, version) != MCPSESS_OK) {
        refuse(c, 503, body, RPC_SERVER_ERROR, "no room for another session");
        return;
    }
    mcpsess_buf_init(&header, line, sizeof line - 1);
    json_put(&header, "Mcp-Session-Id: ");
    json_put(&header, s.id);
    json_put(&header, "\r\n");
    line[header.len] = '\0';
    reply(c, 200, line, &a);
}

/* Answers that are there already, in one text, with a comma between them. */
typedef struct answers {
    answer all;
    int count;
    uint16_t ends[BATCH_MAX];
} answers;

static void refuse_answers(connection *c) {
    refuse(c, 413, NULL, RPC_SERVER_ERROR, "Content Too Large: so are the answers");
}

/* Shows the stream of a POST, with the answers that are there already. */
static void show(connection *c, const session *s, stream *events, const answers *a) {
    char name[STREAM_NAME];
    uint64_t epoch = events->writer.epoch;
    size_t from = 0;
    memcpy(name, events->name, sizeof name);
    for (int i = 0; i < a->count; i++) {
        stream_send(events, mcpsess_str_of(a->all.text.ptr + from, a->ends[i] - from));
        from = a->ends[i] + 1u;
    }
    stream_release(events);
    if (reader_open(c, s, name, epoch, 0) != MCPSESS_OK) refuse_answers(c); /* the first are gone from the log */
}

static void reply_all(connection *c, const answers *a, bool batch) {
    char *text = a->all.text.ptr;
    answer whole = a->all;
    if (a->all.text.overflow || (batch && a->all.text.len + 2 > REPLY_MAX)) {
        refuse_answers(c);
        return;
    }
    if (batch && a->count > 0) {
        memmove(text + 1, text, whole.text.len);
        text[0] = '[';
        text[whole.text.len + 1] = ']';
        whole.text.len += 2;
    }
    reply(c, a->count > 0 ? 200 : 202, "", &whole);
}

static void answer_messages(call *m, answers *a, int message, int messages) {
    mcpsess_buf *text = &a->all.text;
    for (int i = 0; i < messages; i++) {
        size_t before = text->len;
        if (a->count > 0) json_put(text, ",");
        if (rpc_answer(m, message)) {
            a->ends[a->count++] = (uint16_t)text->len;
        } else {
            text->len = before;
        }
        message = json_next(m->json, message);
    }
}

/* Answers all messages of a POST: as events if one of them is slow, else as JSON, else with 202. */
static void post_messages(connection *c, session *s, const json *body) {
    answers a = {.all = new_answer()};
    bool batch = json_is(body, JSON_ROOT, JSMN_ARRAY);
    call m = {.json = body, .session = s, .batch = batch, .out = &a.all};
    if (batch) {
        answer_messages(&m, &a, json_first(body, JSON_ROOT), json_size(body, JSON_ROOT));
    } else {
        answer_messages(&m, &a, JSON_ROOT, 1);
    }
    if (m.stream && !a.all.text.overflow) {
        show(c, s, m.stream, &a);
    } else {
        if (m.stream) stream_release(m.stream); /* its calls go on, unheard */
        reply_all(c, &a, batch);
    }
}

/* Batches came and went with revision 2025-03-26. */
static bool body_fits(connection *c, const session *s, const json *body) {
    const char *problem = NULL;
    if (!json_is(body, JSON_ROOT, JSMN_ARRAY)) {
        if (rpc_kind(body, JSON_ROOT) == RPC_INVALID) problem = "Invalid Request";
    } else if (!session_is(s, "version", "2025-03-26")) {
        problem = "Invalid Request: batches are of revision 2025-03-26 alone";
    } else if (json_size(body, JSON_ROOT) < 1 || json_size(body, JSON_ROOT) > BATCH_MAX) {
        problem = "Invalid Request: a batch has 1 to 16 messages";
    }
    if (problem) refuse(c, 400, body, RPC_INVALID_REQUEST, problem);
    return !problem;
}

static void post_body(connection *c, const json *body) {
    session s;
    char text[16];
    mcpsess_buf quoted;
    mcpsess_buf_init(&quoted, text, sizeof text);
    mcpsess_str stateless = stateless_version(&c->as.request, body, &quoted);
    if (stateless.len > 0) {
        refuse_stateless(c, body, stateless);
    } else if (is_initialize(body)) {
        post_initialize(c, body);
    } else if (load_session(c, body, &s) && version_fits(c, body) && body_fits(c, &s, body)) {
        post_messages(c, &s, body);
    }
}

static void post(connection *c) {
    const request *r = &c->as.request;
    if (!acceptable(c)) return;
    switch (json_parse(&body_values, mcpsess_str_of(r->body, r->body_len))) {
    case MCPSESS_OK: post_body(c, &body_values); break;
    case MCPSESS_E_TOOBIG: refuse(c, 413, NULL, RPC_SERVER_ERROR, "Content Too Large: too many values"); break;
    default: refuse(c, 400, NULL, RPC_PARSE_ERROR, "Parse error");
    }
}

/* ---- GET, DELETE, and the rest ---- */

/* What became of a GET, where that is no stream. */
static void refuse_stream(connection *c, int rc) {
    switch (rc) {
    case MCPSESS_OK: break;
    case MCPSESS_BUSY: refuse(c, 409, NULL, RPC_SERVER_ERROR, "Conflict: this session has an open GET stream"); break;
    case MCPSESS_E_FULL: refuse(c, 503, NULL, RPC_SERVER_ERROR, "no room for another event stream"); break;
    case MCPSESS_E_ID:
        refuse(c, 400, NULL, RPC_SERVER_ERROR,
               "Bad Request: The Last-Event-ID header refers to a session with a different session ID.");
        break;
    default:
        refuse(c, 400, NULL, RPC_SERVER_ERROR,
               "Bad Request: The specified Last-Event-ID is either invalid or expired.");
    }
}

static void get(connection *c) {
    session s;
    if (!c->as.request.lists_events) {
        refuse(c, 406, NULL, RPC_SERVER_ERROR, "Not Acceptable: Client must accept text/event-stream");
        return;
    }
    if (!load_session(c, NULL, &s) || !version_fits(c, NULL)) return;
    refuse_stream(c, c->as.request.has_last_event_id ? reader_resume(c, &s) : stream_listen(c, &s));
}

static void end_session(connection *c) {
    session s;
    answer none = new_answer();
    if (!load_session(c, NULL, &s) || !version_fits(c, NULL)) return;
    jobs_cancel(s.id, mcpsess_str_of(NULL, 0));
    streams_end(s.id);
    session_delete(&sessions, s.id);
    reply(c, 204, "", &none);
}

static void by_method(connection *c) {
    const request *r = &c->as.request;
    if (r->method == HTTP_POST) {
        post(c);
    } else if (r->has_version && is_stateless(r->version)) {
        refuse_method(c, "Allow: POST\r\n"); /* the stateless revisions have neither GET nor DELETE */
    } else if (r->method == HTTP_GET) {
        get(c);
    } else if (r->method == HTTP_DELETE) {
        end_session(c);
    } else {
        refuse_method(c, "Allow: GET, POST, DELETE\r\n");
    }
}

void http_answer(connection *c) {
    const request *r = &c->as.request;
    c->head_only = r->method == HTTP_HEAD;
    if (r->refusal) {
        refuse(c, r->refusal, NULL, RPC_SERVER_ERROR, reason(r->refusal));
    } else if (!r->path_known) {
        refuse(c, 404, NULL, RPC_SERVER_ERROR, "Not Found: the endpoint is /mcp");
    } else if (r->foreign) {
        refuse(c, 403, NULL, RPC_SERVER_ERROR, "Forbidden: Origin is not this machine");
    } else {
        by_method(c);
    }
}
