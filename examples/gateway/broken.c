/* broken.c - a stream of events broke off before the answer was in it.

   Clients of the sessionful revisions take a stream that ends early for a lost connection, and wait for the rest: they
   resume. If the backend still has the session, that is right, and the stream is just cut short. If it has not, nobody
   will ever answer; so the client is told, with an error for its request as the last event. A ping finds out which it
   is. 2026-07-28 has no resumption: there the error comes at once. */

#include "gateway.h"

static void tell(struct exchange *x) {
    struct evbuffer *event = evbuffer_new();
    bool modern = x->kind == KIND_MODERN;
    if (event == NULL) {
        reply_close(x, false);
        return;
    }
    /* Half an event may have been sent. Whatever it was to be, it becomes one of a type that no client listens to. */
    evbuffer_add_printf(event, "\nevent: incomplete\n\nevent: message\ndata: ");
    rpc_error(event, modern ? RPC_INTERNAL : RPC_BAD_REQUEST, "The backend was lost before it answered", x->rpc.id);
    evbuffer_add_printf(event, "\n\n");
    reply_data(x, event);
    evbuffer_free(event);
    reply_close(x, true);
}

static bool ping_head(void *user, int status, struct evkeyvalq *headers) {
    struct exchange *x = user;
    (void)headers;
    x->lost = status == 404 || status == 400;
    return false;
}

static void ping_data(void *user, struct evbuffer *data) {
    (void)user;
    (void)data;
}

static void ping_end(void *user, enum leg_end how) {
    struct exchange *x = user;
    x->leg = NULL;
    bool alive = how == LEG_LATE || (how == LEG_DONE && !x->lost); /* a dying process may still take the connection */
    if (alive) {
        reply_close(x, false);
    } else {
        tell(x);
    }
}

static void ping(struct exchange *x) {
    static const struct leg_events events = {ping_head, ping_data, ping_end};
    static const char body[] = "{\"jsonrpc\":\"2.0\",\"id\":\"gateway\",\"method\":\"ping\"}";
    const char *version = header(x->req, "MCP-Protocol-Version");
    struct leg *l = route_leg(x, &events, true);
    if (l == NULL) {
        reply_close(x, false);
        return;
    }
    if (x->backend_sid[0] != '\0') evhttp_add_header(leg_headers(l), "Mcp-Session-Id", x->backend_sid);
    if (version != NULL && !x->modern_header) evhttp_add_header(leg_headers(l), "MCP-Protocol-Version", version);
    leg_send(l, EVHTTP_REQ_POST, mcpsess_str_z(body));
}

void broken(struct exchange *x) {
    if (x->gone || !x->events || x->rpc.id.len == 0) {
        reply_close(x, false);
    } else if (x->kind == KIND_MODERN) {
        tell(x);
    } else {
        ping(x);
    }
}
