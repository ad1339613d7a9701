/* create.c - initialize: a backend makes a session, and the client gets one of ours that is bound to it. The record is
   stored before the client sees the answer, which is not stored: who has no session id yet has nothing to come back
   with. */

#include "gateway.h"

#include <stdio.h>

static const struct leg_events initialize_events;

static void choose(struct exchange *x, int rc) {
    x->backend = rc == MCPSESS_OK ? backend_pick(x, true) : -1;
    if (x->gone) exchange_drop(x);
    else if (rc != MCPSESS_OK) route_no_list(x, rc);
    else if (x->backend < 0) reply_error(x, 503, RPC_BAD_REQUEST, "No backend is up");
    else route_begin_leg(x, &initialize_events);
}

void create(struct exchange *x) {
    x->kind = KIND_INITIALIZE;
    directory_ask(x, choose);
}

/* The backend has a session that no client will ever name. */
static void abandon(struct exchange *x) {
    if (x->backend_sid[0] != '\0') errand(&x->g->backends[x->backend], EVHTTP_REQ_DELETE, x->backend_sid);
}

static void created(void *user, int rc) {
    struct exchange *x = user;
    if (rc != MCPSESS_OK) {
        abandon(x);
        x->refusal = rc;
        if (!x->in_head) route_store_error(x, rc); /* else as soon as the leg has ended */
        return;
    }
    book_bind(x->g, mcpsess_str_z(x->sid), (unsigned)x->backend);
    reply_header(x, "Mcp-Session-Id", x->sid);
    reply_open(x);
    if (x->ended) route_finish(x, x->how);
}

static int build_record(struct exchange *x) {
    mcpsess_record r = {0};
    mcpsess_buf id;
    mcpsess_buf_init(&id, x->sid, sizeof x->sid - 1);
    int rc = table_new_id(x->g, &id);
    if (rc != MCPSESS_OK) return rc;
    x->sid[id.len] = '\0';
    r.id = mcpsess_buf_str(&id);
    r.principal = x->who;
    r.backend = mcpsess_str_z(x->g->backends[x->backend].url);
    r.created_ms = r.updated_ms = wall_ms();
    r.state = MCPSESS_STATE_ACTIVE;
    mcpsess_buf_init(&x->record, x->record_bytes, RECORD_MAX);
    rc = mcpsess_record_encode(&r, &x->record);
    if (rc == MCPSESS_OK && x->backend_sid[0] != '\0') {
        rc = mcpsess_record_put(&x->record, MCPSESS_STR(PAIR_BACKEND_SID), mcpsess_str_z(x->backend_sid));
    }
    if (rc == MCPSESS_OK && x->body.len <= INIT_BODY_MAX) {
        rc = mcpsess_record_put(&x->record, MCPSESS_STR(PAIR_INIT_BODY), x->body);
    }
    return rc;
}

/* A session id of the backend's goes into x->backend_sid. -> false: it is not one */
bool create_take_sid(struct exchange *x, struct evkeyvalq *headers) {
    const char *sid = evhttp_find_header(headers, "Mcp-Session-Id");
    x->backend_sid[0] = '\0';
    if (sid == NULL) return true; /* a backend without sessions: ours is bound to it all the same */
    for (const char *p = sid; *p != '\0'; p++) {
        if (*p < 0x21 || *p > 0x7E) return false;
    }
    int n = snprintf(x->backend_sid, sizeof x->backend_sid, "%s", sid);
    return n > 0 && (size_t)n < sizeof x->backend_sid;
}

static bool initialize_head(void *user, int status, struct evkeyvalq *headers) {
    struct exchange *x = user;
    reply_take(x, status, headers);
    if (status != 200) { /* no session; the client shall see why */
        reply_open(x);
        return true;
    }
    if (!create_take_sid(x, headers)) return false;
    if (x->gone) {
        abandon(x);
        return false;
    }
    int rc = build_record(x);
    x->hold = true;
    x->in_head = true;
    if (rc == MCPSESS_OK)
        rc = mcpsess_session_create(&x->g->sessions, &x->task.op, mcpsess_buf_str(&x->record), now_ms());
    table_then(x->g, &x->task, rc, created, x);
    x->in_head = false;
    return x->refusal == MCPSESS_OK;
}

static void initialize_end(void *user, enum leg_end how) {
    struct exchange *x = user;
    x->leg = NULL;
    if (x->refusal != MCPSESS_OK) {
        reply_drop(x);
        route_store_error(x, x->refusal);
    } else if (how == LEG_REFUSED) { /* nothing was sent, nothing is bound: another backend will do */
        backend_tried(x);
        create(x);
    } else if (x->hold) { /* the store has not answered yet */
        x->ended = true;
        x->how = how;
    } else {
        route_finish(x, how);
    }
}

static const struct leg_events initialize_events = {initialize_head, route_data, initialize_end};
