/* revive.c - a backend lost a session: its process died, or it answers that it does not know the session any more.

   The initialize that began the session is in its record. It is sent again, to a live backend; the record gets the new
   backend and its id for the session; and the request that found out is sent once more. The client notices nothing.

   One request does this for a session at a time; others that find out meanwhile wait for it, and share its success or
   its failure. Whoever comes too late finds that the record has changed, and just goes on. The session is moved only
   if its record still says that it is where it was lost: one that ended meanwhile is not brought back, and of two
   gateways that do this at the same time the second ends the session that it began, and goes where the first one did.
   Whatever else others write into the record meanwhile stays. */

#include "gateway.h"

#include <string.h>

static const struct leg_events initialize_events, initialized_events;

/* ---- those who wait */

static struct exchange *find(struct exchange *x, bool reviving) {
    struct exchange *y;
    TAILQ_FOREACH(y, &x->g->exchanges, link) {
        if (y != x && (reviving ? y->reviving : y->waiting) && strcmp(y->sid, x->sid) == 0) return y;
    }
    return NULL;
}

static void fail(struct exchange *x, int status, int code, const char *message) {
    struct exchange *y;
    x->g->metrics.revive_failed++;
    while ((y = find(x, false)) != NULL) {
        y->waiting = false;
        reply_error(y, status, code, message);
    }
    reply_drop(x);
    reply_error(x, status, code, message);
}

static void fail_lost(struct exchange *x) {
    fail(x, 404, RPC_NO_SESSION, "Session not found");
}

static void fail_down(struct exchange *x) {
    fail(x, 503, RPC_BAD_REQUEST, "No backend could take over the session");
}

/* x->backend and x->backend_sid are the new ones. */
static void succeed(struct exchange *x) {
    struct exchange *y;
    x->reviving = false;
    x->lost = false;
    x->replayed = true;
    x->g->metrics.replayed++;
    reply_drop(x);
    while ((y = find(x, false)) != NULL) {
        y->waiting = false;
        y->replayed = true;
        y->lost = false;
        x->g->metrics.replayed++;
        route_reload(y);
    }
    route_forward(x);
}

/* ---- step 4: the record */

/* The session is where its record says. To have read it is to have it at hand when the store is away. */
static void go_where_it_is(struct exchange *x) {
    mcpsess_record r;
    route_read_record(x, &r);
    if (x->backend >= 0) book_bind(x->g, mcpsess_str_z(x->sid), (unsigned)x->backend);
    succeed(x);
}

static void reread(void *user, int rc) {
    struct exchange *x = user;
    if (rc == MCPSESS_OK && !x->task.op.stale) go_where_it_is(x);
    else if (rc == MCPSESS_MISS) fail_lost(x);
    else succeed(x); /* where we just put it */
}

static void overtaken(void *user, int rc) {
    struct exchange *x = user;
    if (rc == MCPSESS_OK && !x->task.op.stale) go_where_it_is(x);
    else if (rc == MCPSESS_MISS) fail_lost(x);
    else fail(x, 503, RPC_BAD_REQUEST, "Session store unavailable");
}

static void moved(void *user, int rc) {
    struct exchange *x = user;
    if (rc == MCPSESS_OK || rc == MCPSESS_DUP) {
        say(x->g, "session revived at %s", x->g->backends[x->backend].url);
        x->g->metrics.revived++;
        book_bind(x->g, mcpsess_str_z(x->sid), (unsigned)x->backend);
        route_load(x, reread);
        return;
    }
    if (x->backend_sid[0] != '\0') errand(&x->g->backends[x->backend], EVHTTP_REQ_DELETE, x->backend_sid);
    if (rc == MCPSESS_MISS) {
        fail_lost(x); /* ended meanwhile */
    } else if (rc == MCPSESS_LOST) {
        x->g->metrics.revive_lost++;
        route_load(x, overtaken);
    } else {
        fail(x, 503, RPC_BAD_REQUEST, "Session store unavailable");
    }
}

static bool is_at(struct gateway *g, const mcpsess_record *r, int backend, const char *backend_sid) {
    mcpsess_str sid = {0};
    mcpsess_record_get(r, MCPSESS_STR(PAIR_BACKEND_SID), &sid);
    return backend_find(g, r->backend) == backend && mcpsess_str_eq(sid, mcpsess_str_z(backend_sid));
}

static int write_place(const struct exchange *x, mcpsess_record *r, mcpsess_buf *out) {
    r->backend = mcpsess_str_z(x->g->backends[x->backend].url);
    r->updated_ms = wall_ms();
    int rc = mcpsess_record_encode(r, out);
    if (rc != MCPSESS_OK) return rc;
    if (x->backend_sid[0] != '\0')
        return mcpsess_record_put(out, MCPSESS_STR(PAIR_BACKEND_SID), mcpsess_str_z(x->backend_sid));
    rc = mcpsess_record_del(out, MCPSESS_STR(PAIR_BACKEND_SID));
    return rc == MCPSESS_MISS ? MCPSESS_OK : rc;
}

/* The session is moved if its record still says that it is where it was lost. What else is in there stays, whoever may
   have written it meanwhile. DUP: it was moved by us, the answer was lost. */
static int move(void *user, mcpsess_buf *record) {
    struct exchange *x = user;
    char bytes[RECORD_MAX];
    mcpsess_record r;
    mcpsess_buf out;
    int rc = mcpsess_record_decode(mcpsess_buf_str(record), &r);
    if (rc != MCPSESS_OK) return rc;
    if (is_at(x->g, &r, x->backend, x->backend_sid)) return MCPSESS_DUP;
    if (!is_at(x->g, &r, x->lost_backend, x->lost_sid)) return MCPSESS_LOST;
    mcpsess_buf_init(&out, bytes, sizeof bytes);
    rc = write_place(x, &r, &out);
    if (rc != MCPSESS_OK) return rc;
    record->len = 0;
    mcpsess_buf_put(record, mcpsess_buf_str(&out));
    return mcpsess_buf_check(record);
}

static void update(struct exchange *x) {
    mcpsess_merge how = {move, x, true};
    int rc = mcpsess_session_merge(&x->g->sessions, &x->merge, mcpsess_str_z(x->sid), &x->who, &how, x->record_bytes,
                                   sizeof x->record_bytes, now_ms());
    if (rc == MCPSESS_PENDING) step_wait(x->g, &x->merging, &x->merge.op, moved, x);
    else moved(x, rc);
}

/* ---- step 3: notifications/initialized */

static void say_initialized(struct exchange *x, const char *version) {
    static const char body[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
    struct leg *l = route_leg(x, &initialized_events, true);
    if (l == NULL) {
        fail_down(x);
        return;
    }
    if (x->backend_sid[0] != '\0') evhttp_add_header(leg_headers(l), "Mcp-Session-Id", x->backend_sid);
    evhttp_add_header(leg_headers(l), "MCP-Protocol-Version", version);
    leg_send(l, EVHTTP_REQ_POST, mcpsess_str_z(body));
}

static bool initialized_head(void *user, int status, struct evkeyvalq *headers) {
    struct exchange *x = user;
    (void)headers;
    x->status = status;
    return true;
}

static void initialized_end(void *user, enum leg_end how) {
    struct exchange *x = user;
    x->leg = NULL;
    if (how == LEG_DONE && x->status / 100 == 2) update(x);
    else fail_down(x);
}

/* ---- step 2: initialize, at the live backend with the fewest sessions */

static void choose(struct exchange *x, int rc) {
    mcpsess_record r;
    mcpsess_str body = {0};
    int status;
    if (rc != MCPSESS_OK) {
        const char *why = directory_why(rc, &status);
        fail(x, status, RPC_BAD_REQUEST, why);
        return;
    }
    x->backend = backend_pick(x, true);
    if (x->backend < 0 || route_leg(x, &initialize_events, true) == NULL) {
        fail_down(x);
        return;
    }
    mcpsess_record_decode(mcpsess_buf_str(&x->record), &r);
    mcpsess_record_get(&r, MCPSESS_STR(PAIR_INIT_BODY), &body);
    reply_drop(x);
    leg_send(x->leg, EVHTTP_REQ_POST, body);
}

static void say_initialize(struct exchange *x) {
    mcpsess_record r;
    mcpsess_str body;
    mcpsess_record_decode(mcpsess_buf_str(&x->record), &r);
    if (mcpsess_record_get(&r, MCPSESS_STR(PAIR_INIT_BODY), &body) == MCPSESS_OK) directory_ask(x, choose);
    else fail_lost(x); /* it was too long to be kept */
}

static bool initialize_head(void *user, int status, struct evkeyvalq *headers) {
    struct exchange *x = user;
    x->status = status;
    return status == 200 && create_take_sid(x, headers);
}

static void on_data(void *user, struct evbuffer *data) {
    struct exchange *x = user;
    if (evbuffer_get_length(x->held) + evbuffer_get_length(data) <= HELD_MAX) evbuffer_add_buffer(x->held, data);
}

static void initialize_end(void *user, enum leg_end how) {
    struct exchange *x = user;
    char version[32];
    x->leg = NULL;
    mcpsess_str answer = {0};
    answer.len = evbuffer_get_length(x->held);
    answer.ptr = (const char *)evbuffer_pullup(x->held, -1);
    if (how == LEG_DONE && x->status == 200 && rpc_initialized(answer, version, sizeof version)) {
        say_initialized(x, version);
    } else if (how == LEG_DONE) {
        fail_lost(x); /* refused: the client must begin anew */
    } else if (how == LEG_LATE) {
        fail_down(x);
    } else {
        backend_tried(x);
        say_initialize(x);
    }
}

static const struct leg_events initialize_events = {initialize_head, on_data, initialize_end};
static const struct leg_events initialized_events = {initialized_head, on_data, initialized_end};

/* ---- step 1: is the record still the one that failed? */

static void reloaded(void *user, int rc) {
    struct exchange *x = user;
    mcpsess_record r;
    x->lost_backend = x->backend;
    memcpy(x->lost_sid, x->backend_sid, sizeof x->lost_sid);
    if (rc == MCPSESS_MISS) {
        fail_lost(x);
    } else if (rc != MCPSESS_OK) {
        fail(x, 503, RPC_BAD_REQUEST, "Session store unavailable");
    } else {
        route_read_record(x, &r);
        bool moved_on = x->backend != x->lost_backend || strcmp(x->backend_sid, x->lost_sid) != 0;
        if (moved_on) succeed(x); /* somebody else was faster */
        else say_initialize(x);
    }
}

/* x ends before that is done. One of those who wait does it instead. */
void revive_abandoned(struct exchange *x) {
    struct exchange *y = x->g->stopping ? NULL : find(x, false);
    x->reviving = false;
    if (y == NULL) return;
    y->waiting = false;
    revive(y);
}

void revive(struct exchange *x) {
    if (x->gone) {
        exchange_drop(x);
    } else if (find(x, true) != NULL) {
        x->waiting = true;
    } else {
        x->reviving = true;
        route_load(x, reloaded);
    }
}
