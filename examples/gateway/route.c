/* route.c - where a request goes.

     request                                               goes to
     initialize                                            the live backend with the fewest sessions; a session is made
     a session id of ours                                  the backend in its record, under the id it has there
     2026-07-28 in header and _meta, no session of ours    the least busy live backend, without a session; or -32022
     anything else                                         an error
   Of the backends that the user may use, if there is a directory.

   2026-07-28 has no sessions, so it must not be a way around them: a request is taken to be of that revision only when
   header and body both say so, and one that names a session of ours belongs to that session whatever else it says. */

#include "gateway.h"

#include <stdio.h>
#include <string.h>

#define MODERN "2026-07-28"

static const struct leg_events forward_events, delete_events, modern_events;

/* ---- a request to a backend, with the client's headers */

struct leg *route_leg(struct exchange *x, const struct leg_events *events, bool own) {
    static const char *const none[] = {"Mcp-Session-Id", "Content-Length", "Last-Event-ID", NULL};
    static const char *const session[] = {"Mcp-Session-Id", "Content-Length", "Last-Event-ID", "Accept-Encoding", NULL};
    static const char *const ours[] = {"Mcp-Session-Id", "Content-Length", "Last-Event-ID",   "MCP-Protocol-Version",
                                       "Content-Type",   "Accept",         "Accept-Encoding", NULL};
    x->leg = leg_new(&x->g->backends[x->backend], events, x);
    if (x->leg == NULL) return NULL;
    struct evkeyvalq *out = leg_headers(x->leg);
    headers_copy(out, evhttp_request_get_input_headers(x->req), own ? ours : x->kind == KIND_SESSION ? session : none);
    /* initialize negotiates in the body; and a session knows better than a client that names the sessionless revision
     */
    if (x->modern_header && x->kind != KIND_MODERN) evhttp_remove_header(out, "MCP-Protocol-Version");
    if (own) {
        evhttp_add_header(out, "Content-Type", "application/json");
        evhttp_add_header(out, "Accept", "application/json, text/event-stream");
    }
    if (x->kind == KIND_SESSION) evhttp_add_header(out, "Accept-Encoding", "identity"); /* events are to be read */
    return x->leg;
}

void route_begin_leg(struct exchange *x, const struct leg_events *events) {
    struct leg *l = route_leg(x, events, false);
    if (l == NULL) {
        reply_error(x, 503, RPC_BAD_REQUEST, "Out of memory");
        return;
    }
    if (x->kind == KIND_SESSION && x->backend_sid[0] != '\0') {
        evhttp_add_header(leg_headers(l), "Mcp-Session-Id", x->backend_sid);
    }
    leg_send(l, x->method, x->body);
}

void route_data(void *user, struct evbuffer *data) {
    reply_data(user, data);
}

/* The answer of a backend ended, and nothing is left to decide. */
void route_finish(struct exchange *x, enum leg_end how) {
    if (x->open) {
        reply_close(x, how == LEG_DONE);
    } else if (how == LEG_LATE) {
        reply_error(x, 504, RPC_BAD_REQUEST, "The backend did not answer in time");
    } else if (how == LEG_REFUSED) {
        reply_error(x, 503, RPC_BAD_REQUEST, "The backend is down");
    } else {
        reply_error(x, 502, RPC_BAD_REQUEST, "The backend gave no usable answer");
    }
}

void route_no_list(struct exchange *x, int rc) {
    int status;
    const char *why = directory_why(rc, &status);
    reply_error(x, status, RPC_BAD_REQUEST, why);
}

void route_store_error(struct exchange *x, int rc) {
    bool full = rc == MCPSESS_E_FULL && x->g->wire == NULL;
    reply_error(x, 503, RPC_BAD_REQUEST, full ? "Too many sessions" : "Session store unavailable");
}

/* ---- a session of ours */

static void modern(struct exchange *x);
static void forward_end(void *user, enum leg_end how);

void route_read_record(struct exchange *x, mcpsess_record *r) {
    mcpsess_str sid = {0};
    mcpsess_record_decode(mcpsess_buf_str(&x->record), r); /* the session layer has checked it */
    mcpsess_record_get(r, MCPSESS_STR(PAIR_BACKEND_SID), &sid);
    x->backend = backend_find(x->g, r->backend);
    snprintf(x->backend_sid, sizeof x->backend_sid, "%.*s", (int)sid.len, sid.len > 0 ? sid.ptr : "");
}

void route_load(struct exchange *x, void (*then)(void *, int)) {
    mcpsess_buf_init(&x->record, x->record_bytes, RECORD_MAX);
    int rc = mcpsess_session_load(&x->g->sessions, &x->task.op, mcpsess_str_z(x->sid), &x->who, &x->record, now_ms());
    table_then(x->g, &x->task, rc, then, x);
}

void route_no_session(struct exchange *x) {
    reply_error(x, 404, RPC_NO_SESSION, "Session not found");
}

/* A Last-Event-ID is of a log, whatever backend there is. */
static void go(struct exchange *x) {
    const char *last_event_id = x->method == EVHTTP_REQ_GET ? header(x->req, "Last-Event-ID") : NULL;
    if (x->gone) {
        exchange_drop(x);
    } else if (last_event_id != NULL && x->tail == NULL) {
        tail_begin(x, last_event_id);
    } else {
        if (x->method == EVHTTP_REQ_GET && x->tail == NULL) linger_clear(x);
        route_forward(x);
    }
}

static void loaded(void *user, int rc) {
    struct exchange *x = user;
    mcpsess_record r;
    if (rc == MCPSESS_OK) {
        route_read_record(x, &r);
        if (x->backend >= 0) book_touch(x->g, mcpsess_str_z(x->sid), (unsigned)x->backend);
        go(x);
    } else if (rc != MCPSESS_MISS) {
        route_store_error(x, rc);
    } else if (x->modern_header && strcmp(x->rpc.version, MODERN) == 0) {
        modern(x); /* 2026-07-28 ignores a session id that means nothing */
    } else {
        route_no_session(x);
    }
}

void route_reload(struct exchange *x) {
    x->kind = KIND_SESSION;
    if (x->sid[0] == '\0') { /* not an id that we could have given */
        loaded(x, MCPSESS_MISS);
    } else {
        route_load(x, loaded);
    }
}

static void end_session(struct exchange *x);

void route_forward(struct exchange *x) {
    bool up = x->backend >= 0 && x->g->backends[x->backend].up;
    if (x->gone && x->feed == NULL) {
        exchange_drop(x);
    } else if (x->method == EVHTTP_REQ_DELETE && (!up || x->backend_sid[0] == '\0')) {
        end_session(x); /* nobody to tell */
    } else if (!up && x->replayed) {
        route_finish(x, LEG_REFUSED);
    } else if (!up) {
        revive(x);
    } else if (x->feed != NULL) {
        again_now(x);
    } else {
        route_begin_leg(x, x->method == EVHTTP_REQ_DELETE ? &delete_events : &forward_events);
    }
}

static bool forward_head(void *user, int status, struct evkeyvalq *headers) {
    struct exchange *x = user;
    bool may_revive = x->backend_sid[0] != '\0' && !x->replayed;
    x->lost = status == 404 && may_revive;
    if (x->lost) return false;
    if (!x->gone && feed_wants(status, headers)) return feed_begin(x, headers);
    reply_take(x, status, headers);
    x->hold = status == 400 && may_revive; /* look at it first: servers in the field answer 400 where 404 is due */
    if (!x->hold) reply_open(x);
    return true;
}

static void forward_data(void *user, struct evbuffer *data) {
    struct exchange *x = user;
    if (x->feed != NULL) {
        feed_data(x->feed, data);
        return;
    }
    reply_data(x, data);
    if (x->hold && evbuffer_get_length(x->held) > HELD_MAX) reply_open(x);
}

static mcpsess_str held(struct exchange *x) {
    size_t len = evbuffer_get_length(x->held);
    return mcpsess_str_of(evbuffer_pullup(x->held, -1), len);
}

static void forward_end(void *user, enum leg_end how) {
    struct exchange *x = user;
    x->leg = NULL;
    if (x->feed != NULL) {
        feed_ended(x->feed, how);
        return;
    }
    if (x->hold && how == LEG_DONE) {
        x->lost = rpc_names_session(held(x));
        if (x->lost) reply_drop(x);
        if (!x->lost) reply_open(x);
    }
    if (x->lost || (how == LEG_REFUSED && !x->replayed)) {
        revive(x);
    } else if (x->open && how == LEG_BROKEN) {
        broken(x);
    } else {
        route_finish(x, how);
    }
}

static const struct leg_events forward_events = {forward_head, forward_data, forward_end};

/* ---- DELETE: the record goes when the backend says that the session is gone, or is not there to say so */

static void deleted(void *user, int rc) {
    struct exchange *x = user;
    if (rc != MCPSESS_OK) {
        reply_drop(x);
        route_store_error(x, rc);
        return;
    }
    book_unbind(x->g, mcpsess_str_z(x->sid));
    streams_forget(x->g, mcpsess_str_z(x->sid), &x->who);
    if (x->status == 0) {
        reply_empty(x, 204);
        return;
    }
    reply_open(x);
    route_finish(x, LEG_DONE);
}

static void end_session(struct exchange *x) {
    int rc = mcpsess_session_del(&x->g->sessions, &x->task.op, mcpsess_str_z(x->sid), &x->who, now_ms());
    table_then(x->g, &x->task, rc, deleted, x);
}

static bool delete_head(void *user, int status, struct evkeyvalq *headers) {
    reply_take(user, status, headers);
    return true;
}

static void delete_end(void *user, enum leg_end how) {
    struct exchange *x = user;
    x->leg = NULL;
    bool gone = how == LEG_DONE &&
                (x->status / 100 == 2 || x->status == 404 || (x->status == 400 && rpc_names_session(held(x))));
    if (gone || how == LEG_REFUSED) {
        end_session(x);
        return;
    }
    if (how == LEG_DONE) reply_open(x); /* 405: the server keeps it, and so do we */
    route_finish(x, how);
}

static const struct leg_events delete_events = {delete_head, forward_data, delete_end};

/* ---- 2026-07-28: no session */

static void unsupported(struct exchange *x, const char *version) {
    struct evbuffer *body = evbuffer_new();
    if (body != NULL) rpc_unsupported(body, version, x->rpc.id, x->g->config.modern);
    reply_header(x, "Content-Type", "application/json");
    reply_buffer(x, 400, body);
    if (body != NULL) evbuffer_free(body);
}

static void choose(struct exchange *x, int rc) {
    x->backend = rc == MCPSESS_OK ? backend_pick(x, false) : -1;
    if (x->gone) exchange_drop(x);
    else if (rc != MCPSESS_OK) route_no_list(x, rc);
    else if (x->backend < 0) route_finish(x, LEG_REFUSED);
    else route_begin_leg(x, &modern_events);
}

static void modern(struct exchange *x) {
    const char *method = header(x->req, "Mcp-Method");
    x->kind = KIND_MODERN;
    if (!x->g->config.modern) {
        unsupported(x, MODERN);
        return;
    }
    if (method != NULL && strcmp(method, x->rpc.method) != 0) {
        reply_error(x, 400, RPC_HEADER_MISMATCH, "Mcp-Method and the body differ");
        return;
    }
    directory_ask(x, choose);
}

static bool modern_head(void *user, int status, struct evkeyvalq *headers) {
    reply_take(user, status, headers);
    reply_open(user);
    return true;
}

static void modern_end(void *user, enum leg_end how) {
    struct exchange *x = user;
    x->leg = NULL;
    if (how == LEG_REFUSED) {
        backend_tried(x);
        modern(x);
    } else if (x->open && how == LEG_BROKEN) {
        broken(x);
    } else {
        route_finish(x, how);
    }
}

static const struct leg_events modern_events = {modern_head, route_data, modern_end};

/* ---- which of these it is */

static bool is_legacy(const char *version) {
    static const char *const known[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};
    if (version == NULL) return true; /* then 2025-03-26 is assumed */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(version, known[i]) == 0) return true;
    }
    return false;
}

static void with_session(struct exchange *x) {
    if (x->has_sid) {
        route_reload(x);
    } else {
        reply_error(x, 400, RPC_BAD_REQUEST, "Mcp-Session-Id header is required");
    }
}

static void route_post(struct exchange *x, const char *version) {
    bool modern_body = strcmp(x->rpc.version, MODERN) == 0;
    if (strcmp(x->rpc.method, "initialize") == 0) {
        create(x);
    } else if (!x->modern_header && !is_legacy(version)) {
        if (strcmp(x->rpc.version, version) == 0) unsupported(x, version);
        else reply_error(x, 400, RPC_BAD_REQUEST, "Unsupported protocol version");
    } else if (x->rpc.batch && version != NULL && strcmp(version, "2025-03-26") != 0) {
        reply_error(x, 400, RPC_INVALID_REQUEST, "Batches ended with 2025-03-26");
    } else if (x->has_sid || (!x->modern_header && !modern_body)) {
        with_session(x);
    } else if (x->modern_header && modern_body) {
        modern(x);
    } else {
        reply_error(x, 400, RPC_HEADER_MISMATCH, "MCP-Protocol-Version and _meta differ");
    }
}

void route(struct exchange *x) {
    const char *version = header(x->req, "MCP-Protocol-Version");
    x->modern_header = version != NULL && strcmp(version, MODERN) == 0;
    if (x->method == EVHTTP_REQ_POST) {
        route_post(x, version);
    } else if (x->modern_header) {
        reply_header(x, "Allow", "POST");
        reply_error(x, 405, RPC_BAD_REQUEST, "This revision has POST only");
    } else if (!is_legacy(version)) {
        reply_error(x, 400, RPC_BAD_REQUEST, "Unsupported protocol version");
    } else {
        with_session(x);
    }
}

/* ---- endings from outside */

/* Up to 2025-11-25 a disconnect is not a cancellation: the backend may finish, within bounds. From 2026-07-28 on it is.
 */
void route_client_gone(struct exchange *x) {
    bool cancels = x->kind == KIND_MODERN || x->method == EVHTTP_REQ_GET;
    if (x->feed != NULL) {
        linger_begin(x);
    } else if (x->tail != NULL) {
        exchange_drop(x);
    } else if (x->waiting || (x->leg != NULL && !x->reviving && cancels)) {
        exchange_drop(x);
    } else if (x->leg != NULL) {
        leg_limit(x->leg, x->g->config.timeout_ms);
    }
}

/* Clients of streams can go on elsewhere, at once, if the stream is left to others. */
void route_stop(struct exchange *x) {
    bool get = x->method == EVHTTP_REQ_GET;
    if (x->feed != NULL && get && !x->feed->ending && !x->reviving) {
        feed_stop(x->feed);
    } else if (get && x->open && x->feed == NULL) {
        reply_close(x, true);
    }
}
