/* tail.c - from a log to the client: one came back with the id of the last event that it has seen.

   The id is looked at before anything is sent. Then the client gets what it missed, and what follows, until the stream
   is complete, wherever it is written. The names in an id are no secret and no right: the log must be of this session
   and of this principal.

   A stream that nobody writes and that is not complete was left: the session's own is taken up again at once, and so is
   an answer of a backend that gave ids; any other answer will not come any more, and after ORPHAN_MS, in which its
   writer may only have been slow, the client is told. */

#include "gateway.h"

#include <stdlib.h>
#include <string.h>

#define PAGE (16u * 1024u) /* bytes of events read at a time, but for larger ones */
#define RETRY_MS 200u      /* after the store failed */
#define ORPHAN_MS 3000u

void tail_free(struct tail *t) {
    step_forget(&t->step);
    table_forget(t->x->g, &t->follow);
    if (t->opened) mcpsess_stream_close(&t->reader);
    free(t->memory);
    free(t);
}

void tail_fail(struct tail *t, const char *message) {
    struct exchange *x = t->x;
    mcpsess_event e;
    struct evbuffer *text = t->answered ? NULL : streams_error(&e, message, streams_request(t->reader.stream));
    if (text == NULL) {
        reply_close(x, t->answered);
        return;
    }
    reply_event(x, &e);
    evbuffer_free(text);
    reply_close(x, true);
}

static bool tail_reopen(struct tail *t);
static bool open_at(struct tail *t);

/* ---- what follows */

static void send_event(struct tail *t) {
    mcpsess_event e = t->event;
    bool whole = e.data.ptr == NULL || envelope_take(&e.data, t->cursor, sizeof t->cursor);
    if (whole && rpc_answers(e.data, streams_request(t->reader.stream))) t->answered = true;
    if (whole && e.sequence > t->seen) reply_event(t->x, &e);
}

static void failing(struct tail *t, int rc) {
    uint64_t now = now_ms();
    say(t->x->g, "a stream is read: %s", mcpsess_code_name(rc));
    t->x->g->metrics.store_failures++;
    t->retry_ms = now + RETRY_MS;
    if (t->failing_ms == 0) t->failing_ms = now;
}

static bool done(struct tail *t, int rc) {
    t->waiting = false;
    switch (rc) {
    case MCPSESS_OK:
        t->failing_ms = 0;
        send_event(t);
        return true;
    case MCPSESS_END: reply_close(t->x, true); return false;
    case MCPSESS_GAP:
    case MCPSESS_MISS: tail_fail(t, "The rest of the stream is not kept any more"); return false;
    case MCPSESS_E_TOOBIG: return tail_reopen(t);
    default: failing(t, rc); return true;
    }
}

static void stepped(void *user, int rc) {
    struct tail *t = user;
    if (done(t, rc)) (void)tail_step(t);
}

bool tail_step(struct tail *t) {
    while (t->opened && t->step.op == NULL && !reply_behind(t->x) && now_ms() >= t->retry_ms) {
        int rc = mcpsess_stream_next(&t->reader, &t->op, &t->event, now_ms());
        t->waiting = rc == MCPSESS_PENDING;
        if (t->waiting) step_wait(t->x->g, &t->step, &t->op, stepped, t);
        else if (!done(t, rc)) return false;
    }
    return true;
}

/* ---- nobody writes */

static bool orphaned(struct tail *t) {
    struct exchange *x = t->x;
    uint64_t now = now_ms();
    if (!t->waiting || x->feed != NULL || t->reader.writer_left_ms > 0) {
        t->orphan_ms = 0;
        return true;
    }
    if (t->answered) { /* and that was all that was missing */
        reply_close(x, true);
        return false;
    }
    if (t->orphan_ms == 0) {
        t->orphan_ms = now;
        if (again_take_over(x)) x->g->metrics.taken_over++;
    } else if (now - t->orphan_ms > ORPHAN_MS) {
        t->orphan_ms = 0;
        if (again_take_over(x)) return true;
        x->g->metrics.orphans++;
        tail_fail(t, "Nobody has the rest of the answer any more");
        return false;
    }
    return true;
}

bool tail_tick(struct tail *t) {
    uint64_t now = now_ms();
    if (!t->x->open) return true; /* nothing was said yet */
    if (t->failing_ms != 0 && now - t->failing_ms > PATIENCE_MS) {
        t->x->g->metrics.streams_cut++;
        reply_close(t->x, false);
        return false;
    }
    if (!t->opened && t->step.op == NULL && now >= t->retry_ms && !open_at(t)) return false;
    if (!t->opened) return true;
    if (!orphaned(t)) return false;
    follow_tell(t);
    return tail_step(t);
}

/* ---- the beginning */

static void refuse(struct exchange *x, int rc) {
    const char *why = NULL;
    if (rc == MCPSESS_E_ID)
        why = "Bad Request: The Last-Event-ID header refers to a session with a different session ID.";
    if (rc == MCPSESS_E_FORMAT || rc == MCPSESS_GAP || rc == MCPSESS_MISS)
        why = "Bad Request: The Last-Event-ID header is either invalid or expired.";
    tail_free(x->tail);
    x->tail = NULL;
    if (why != NULL) {
        x->g->metrics.refused_ids++;
        reply_error(x, 400, RPC_BAD_REQUEST, why);
    } else {
        route_store_error(x, rc);
    }
}

/* Its place once more, before anything else: the official clients forget it when the new connection brings nothing. */
static void prime(struct exchange *x) {
    mcpsess_event e = {0};
    if (!feed_may_prime(x)) return;
    e.type = MCPSESS_STR(MCPSESS_EVENT_PRIME);
    e.id = mcpsess_str_z(header(x->req, "Last-Event-ID"));
    e.retry = x->g->config.retry_ms > 0;
    e.retry_ms = x->g->config.retry_ms;
    reply_event(x, &e);
}

/* The reader is open, at the first event that was missed; or later, with more room. -> false: x is gone */
static bool opened(struct tail *t, int rc) {
    struct exchange *x = t->x;
    t->opened = rc == MCPSESS_OK;
    if (t->opened && t->reader.last < t->seen) rc = MCPSESS_GAP; /* there never was, or is no more, what was seen */
    if (!x->open && rc != MCPSESS_OK) {
        refuse(x, rc);
        return false;
    }
    if (!t->opened) return done(t, rc == MCPSESS_E_TOOBIG ? MCPSESS_E_NOMEM : rc);
    if (x->open) return true;
    x->g->metrics.resumed++;
    linger_replace(x, t->reader.stream);
    reply_events(x, NULL);
    prime(x);
    return true;
}

static bool grow(struct tail *t) {
    size_t size = t->op.need + MCPSESS_STREAM_READER_MIN;
    char *memory = t->op.need < 2u * EVENT_MAX && size > t->size ? malloc(size) : NULL;
    if (memory == NULL) return false;
    free(t->memory);
    t->memory = memory;
    t->size = size;
    return true;
}

/* Is it to be opened with more room, or elsewhere? It is opened after the event before the one that was seen last: that
   one is not sent again, but it has the backend's cursor. If it is gone, after it. */
static bool again(struct tail *t, int rc) {
    if (rc == MCPSESS_E_TOOBIG) return grow(t);
    if (rc != MCPSESS_GAP || t->bare) return false;
    t->at.sequence = t->seen;
    t->bare = true;
    return true;
}

static int read_id(struct tail *t, const char *text) {
    mcpsess_buf names;
    mcpsess_buf_init(&names, t->names, sizeof t->names);
    if (mcpsess_eventid_decode(mcpsess_str_z(text), &names, &t->at) != MCPSESS_OK) return MCPSESS_E_FORMAT;
    if (t->at.stream.len > MCPSESS_STREAM_MAX || t->at.sequence == 0) return MCPSESS_E_FORMAT;
    if (t->at.epoch == 0) return MCPSESS_E_FORMAT; /* not ours: it would be good for whatever the log has become */
    if (!mcpsess_str_eq(t->at.session, mcpsess_str_z(t->x->sid))) return MCPSESS_E_ID;
    t->seen = t->at.sequence--;
    return MCPSESS_OK;
}

static void resumed(void *user, int rc) {
    struct tail *t = user;
    if (again(t, rc) ? open_at(t) : opened(t, rc)) (void)tail_step(t);
}

/* -> false: x is gone */
static bool open_at(struct tail *t) {
    struct exchange *x = t->x;
    int rc;
    do {
        rc = mcpsess_stream_read(&x->g->streams, &t->reader, &t->op, t->at.session, &x->who, t->at.stream, t->at.epoch,
                                 t->at.sequence, t->memory, t->size, now_ms());
    } while (again(t, rc));
    if (rc != MCPSESS_PENDING) return opened(t, rc);
    step_wait(x->g, &t->step, &t->op, resumed, t);
    return true;
}

/* The next event is larger than the reader's memory. */
static bool tail_reopen(struct tail *t) {
    t->at.sequence = t->reader.sequence;
    t->bare = true;
    mcpsess_stream_close(&t->reader);
    t->opened = false;
    if (grow(t)) return open_at(t);
    tail_fail(t, "An event is too large");
    return false;
}

void tail_begin(struct exchange *x, const char *last_event_id) {
    struct tail *t = x->tail = calloc(1, sizeof *t);
    if (t != NULL) t->memory = malloc(PAGE);
    if (t == NULL || t->memory == NULL) {
        free(t);
        x->tail = NULL;
        reply_error(x, 503, RPC_BAD_REQUEST, "Out of memory");
        return;
    }
    t->x = x;
    t->size = PAGE;
    mcpsess_op_init(&t->op, 0);
    mcpsess_op_init(&t->follow.op, 0);
    int rc = read_id(t, last_event_id);
    if (rc != MCPSESS_OK) refuse(x, rc);
    else if (open_at(t)) (void)tail_step(t);
}
