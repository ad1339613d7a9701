/* broken.c - a reply that passes as it comes broke off before the answer was in it.

   It is cut short for the client too. In a stream of events of 2026-07-28, which has no resumption, nobody would ever
   answer; so the client is told, with an error for its request as the last event. Streams of sessions are feed.c's. */

#include "gateway.h"

static void tell(struct exchange *x) {
    struct evbuffer *event = evbuffer_new();
    if (event == NULL) {
        reply_close(x, false);
        return;
    }
    /* Half an event may have been sent. Whatever it was to be, it becomes one of a type that no client listens to. */
    evbuffer_add_printf(event, "\nevent: incomplete\n\nevent: message\ndata: ");
    rpc_error(event, RPC_INTERNAL, "The backend was lost before it answered", x->rpc.id);
    evbuffer_add_printf(event, "\n\n");
    reply_data(x, event);
    evbuffer_free(event);
    reply_close(x, true);
}

void broken(struct exchange *x) {
    if (x->kind == KIND_MODERN && !x->gone && x->events && x->rpc.id.len > 0) tell(x);
    else reply_close(x, false);
}
