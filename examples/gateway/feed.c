/* feed.c - a backend's events on their way: read, stored, then sent to the client with the ids that the log gave them.

   Whatever happens, an event that bears an id is stored, and nothing that was sent later is older. What the store
   cannot do is met like this:

     it cannot take the stream at all     the stream passes in plain, without ids
     it fails later on                    what comes is held back, at last by not reading the backend, and tried again;
                                          after PATIENCE_MS the client is cut off, and may come back
     an event is too large for the log    the log begins anew, which makes ids given before void: coming back with one
                                          is refused, where it would miss the event. Then it is sent without an id
     another gateway has taken over       it has the backend's stream, too; the client is cut off, and finds it there
     the log is gone                      so is the session: the rest passes in plain. Or the store has lost it: it
                                          begins anew */

#include "gateway.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RETRY_MS 100u   /* after the store failed */
#define SSE_FIRST 4096u /* bytes of an event that are expected */

#define RAW_MAX (2u * EVENT_MAX)

enum { NOTHING, OPEN, APPEND, PASS, KEEP, COMPLETE, LEAVE, FINISH };

struct item {
    TAILQ_ENTRY(item) link;
    mcpsess_event event; /* its data in an envelope */
    size_t size;
    bool prime; /* not an event of the backend's */
    bool pass;  /* too large to be stored */
    char bytes[];
};

/* ---- its life */

struct feed *feed_new(struct exchange *x) {
    struct feed *f = calloc(1, sizeof *f);
    if (f == NULL) return NULL;
    f->x = x;
    f->sse_size = MCPSESS_SSE_ID_MAX + SSE_FIRST;
    f->sse_memory = malloc(f->sse_size);
    f->raw = evbuffer_new();
    TAILQ_INIT(&f->queue);
    mcpsess_op_init(&f->op.op, 0);
    mcpsess_op_init(&f->follow.op, 0);
    if (f->sse_memory == NULL || f->raw == NULL) {
        feed_free(f);
        return NULL;
    }
    feed_restart(f);
    return f;
}

static void hold_backend(struct feed *f) {
    reply_pause(f->x, PAUSE_STORE, f->overrun || f->queued > QUEUE_MAX);
}

void feed_drop_first(struct feed *f) {
    struct item *i = TAILQ_FIRST(&f->queue);
    TAILQ_REMOVE(&f->queue, i, link);
    f->queued -= i->size;
    free(i);
    hold_backend(f);
}

void feed_free(struct feed *f) {
    step_forget(&f->step);
    table_forget(f->x->g, &f->follow);
    while (!TAILQ_EMPTY(&f->queue)) feed_drop_first(f);
    if (f->raw != NULL) evbuffer_free(f->raw);
    free(f->sse_memory);
    free(f);
}

void feed_restart(struct feed *f) {
    evbuffer_drain(f->raw, evbuffer_get_length(f->raw));
    f->scanned = 0;
    f->overrun = false;
    mcpsess_sse_init(&f->sse, f->sse_memory, f->sse_size);
}

/* The raw id of the request that is answered; empty: not known. */
static mcpsess_str request_id(const struct feed *f) {
    return f->x->rpc.id.len > 0 ? f->x->rpc.id : streams_request(mcpsess_str_z(f->name));
}

/* ---- events to the client */

bool feed_is_direct(const struct feed *f) {
    return !f->x->gone && f->x->tail == NULL;
}

static void send_first(struct feed *f, bool stored) {
    struct item *i = TAILQ_FIRST(&f->queue);
    mcpsess_event e = i->event;
    char id[MCPSESS_EVENTID_MAX], cursor[CURSOR_SIZE];
    mcpsess_buf buf;
    mcpsess_buf_init(&buf, id, sizeof id);
    if (!i->prime) envelope_take(&e.data, cursor, sizeof cursor);
    if (i->prime) e.type = MCPSESS_STR(MCPSESS_EVENT_PRIME);
    if (stored && mcpsess_stream_id(&f->op, &buf) == MCPSESS_OK) e.id = mcpsess_buf_str(&buf);
    if (feed_is_direct(f) && !f->given && f->x->g->config.retry_ms > 0) {
        e.retry = true;
        e.retry_ms = f->x->g->config.retry_ms;
    }
    if (feed_is_direct(f) && (stored || !i->prime)) reply_event(f->x, &e);
    if (feed_is_direct(f) && stored) f->given = true;
    feed_drop_first(f);
}

void feed_go_plain(struct feed *f) {
    f->plain = true;
    f->x->g->metrics.streams_plain++;
    while (!TAILQ_EMPTY(&f->queue)) send_first(f, false);
}

/* ---- events from the backend */

static struct item *item_new(struct feed *f, const mcpsess_event *e) {
    size_t size = sizeof(struct item) + e->type.len + envelope_bytes(f->cursor) + e->data.len;
    struct item *i = calloc(1, size);
    mcpsess_buf b;
    if (i == NULL) return NULL;
    mcpsess_buf_init(&b, i->bytes, size - sizeof(struct item));
    mcpsess_buf_put(&b, e->type);
    i->event.type = mcpsess_buf_str(&b);
    envelope_put(&b, f->cursor);
    mcpsess_buf_put(&b, e->data);
    i->event.data = mcpsess_str_of(i->bytes + e->type.len, b.len - e->type.len);
    i->size = size;
    return i;
}

static void enqueue(struct feed *f, struct item *i) {
    if (i == NULL) {
        if (f->trouble == 0) f->trouble = MCPSESS_E_NOMEM;
        return;
    }
    TAILQ_INSERT_TAIL(&f->queue, i, link);
    f->queued += i->size;
    if (f->plain) send_first(f, false);
    hold_backend(f);
}

/* What carries no data is from the backend to us alone: where to come back to, and when. */
static void take(struct feed *f, const mcpsess_event *e) {
    if (e->id.len > 0) again_cursor(f, e->id);
    if (e->retry) f->backend_retry_ms = e->retry_ms;
    if (e->data.len == 0) return;
    f->attempts = f->polls = 0;
    if (rpc_answers(e->data, request_id(f))) f->answered = true;
    enqueue(f, item_new(f, e));
}

/* What has come of an event is too much. */
static void overrun(struct feed *f) {
    f->x->g->metrics.too_big++;
    f->overrun = true;
    hold_backend(f);
}

/* The event is larger than was expected: the reader gets more room, and begins it again. */
static void grow(struct feed *f) {
    size_t size = f->sse_size * 4;
    char *memory = f->sse_size < EVENT_MAX ? malloc(size) : NULL;
    f->scanned = 0;
    if (memory == NULL) {
        overrun(f);
        return;
    }
    free(f->sse_memory);
    f->sse_memory = memory;
    f->sse_size = size;
    mcpsess_sse_init(&f->sse, memory, size);
}

static void drop_raw(struct feed *f, size_t len) {
    evbuffer_drain(f->raw, len);
    f->scanned = 0;
}

/* Ends what has come with an empty line? Then no event is under way, and it was comments, which are not kept. */
static bool is_between(const struct feed *f, size_t len) {
    char end[4] = {0};
    struct evbuffer_ptr at;
    if (len < sizeof end) return false;
    evbuffer_ptr_set(f->raw, &at, len - sizeof end, EVBUFFER_PTR_SET);
    evbuffer_copyout_from(f->raw, &at, end, sizeof end);
    return memcmp(end, "\r\n\r\n", 4) == 0 || memcmp(end + 2, "\n\n", 2) == 0 || memcmp(end + 2, "\r\r", 2) == 0;
}

static void tidy(struct feed *f) {
    size_t len = evbuffer_get_length(f->raw);
    if (f->overrun || is_between(f, len)) drop_raw(f, len);
    else if (len > RAW_MAX) overrun(f);
}

static void parse(struct feed *f) {
    struct evbuffer_ptr at;
    struct evbuffer_iovec piece;
    while (!f->overrun && f->scanned < evbuffer_get_length(f->raw)) {
        evbuffer_ptr_set(f->raw, &at, f->scanned, EVBUFFER_PTR_SET);
        if (evbuffer_peek(f->raw, -1, &at, &piece, 1) < 1) return;
        mcpsess_str in = mcpsess_str_of(piece.iov_base, piece.iov_len);
        mcpsess_event e;
        int rc = mcpsess_sse_next(&f->sse, &in, &e);
        f->scanned += piece.iov_len - in.len;
        if (rc == MCPSESS_E_TOOBIG) grow(f);
        if (rc != MCPSESS_OK) continue;
        take(f, &e);
        drop_raw(f, f->scanned);
    }
    tidy(f);
}

void feed_data(struct feed *f, struct evbuffer *data) {
    evbuffer_add_buffer(f->raw, data);
    f->in_data = true;
    parse(f);
    feed_step(f);
    f->in_data = false;
}

/* ---- the log */

static int choose(const struct feed *f, uint64_t now) {
    const struct item *first = TAILQ_FIRST(&f->queue);
    if (f->step.op != NULL || f->trouble != 0) return NOTHING;
    if (f->ending && first == NULL && (f->plain || !f->opened)) return f->in_data ? NOTHING : FINISH;
    if (f->plain || now < f->retry_ms) return NOTHING;
    if (!f->opened) return first != NULL || f->taken_over ? OPEN : NOTHING;
    if (first != NULL) return first->pass ? PASS : APPEND;
    if (f->ending && !f->in_data) return f->complete ? COMPLETE : LEAVE;
    return now >= mcpsess_stream_due(&f->writer) ? KEEP : NOTHING;
}

static int begin(struct feed *f, uint64_t now) {
    struct exchange *x = f->x;
    struct item *first = TAILQ_FIRST(&f->queue);
    mcpsess_str sid = mcpsess_str_z(x->sid), name = mcpsess_str_z(f->name);
    switch (f->doing) {
    case OPEN:
        if (redis_away(x->g) && !f->given) return MCPSESS_E_IO;
        return mcpsess_stream_open(&x->g->streams, &f->writer, &f->op, sid, &x->who, name, !f->taken_over, now);
    case APPEND:
        if (first->prime) return mcpsess_stream_prime(&f->writer, &f->op, x->g->config.retry_ms, now);
        return mcpsess_stream_append(&f->writer, &f->op, &first->event, now);
    case KEEP: return mcpsess_stream_keep(&f->writer, &f->op, now);
    case COMPLETE: return mcpsess_stream_complete(&f->writer, &f->op, now);
    case LEAVE: return mcpsess_stream_leave(&f->writer, &f->op, now);
    default: return MCPSESS_OK;
    }
}

static void failing(struct feed *f, int rc) {
    uint64_t now = now_ms();
    say(f->x->g, "a stream: %s", mcpsess_code_name(rc));
    f->x->g->metrics.store_failures++;
    if (f->failing_ms == 0) f->failing_ms = now;
    f->retry_ms = now + RETRY_MS;
}

static void opened(struct feed *f, int rc) {
    if (rc == MCPSESS_OK) {
        f->opened = true;
        f->failing_ms = 0;
        f->x->g->metrics.streams++;
        if (f->taken_over) f->trouble = rc = MCPSESS_STALE; /* the backend's stream is to be taken up */
    } else if (f->taken_over && rc > 0) {
        f->trouble = MCPSESS_FENCED; /* another gateway was faster */
    } else if (!f->given && !f->taken_over) {
        f->x->g->metrics.store_failures++;
        feed_go_plain(f);
    } else {
        failing(f, rc);
    }
}

static void appended(struct feed *f, int rc) {
    if (rc == MCPSESS_OK || rc == MCPSESS_DUP) {
        f->failing_ms = 0;
        f->x->g->metrics.events++;
        send_first(f, true);
    } else if (rc == MCPSESS_E_TOOBIG && feed_is_direct(f)) {
        TAILQ_FIRST(&f->queue)->pass = true;
        f->opened = f->given = f->taken_over = false;
    } else if (rc == MCPSESS_E_TOOBIG || rc == MCPSESS_FENCED || rc == MCPSESS_MISS) {
        f->trouble = rc;
    } else {
        failing(f, rc); /* after LOST and LOST_TAIL too, what is not acknowledged is appended again */
    }
}

/* The log has begun anew: ids from before this event are void. */
static void pass(struct feed *f) {
    if (feed_is_direct(f)) {
        f->x->g->metrics.events_plain++;
        send_first(f, false);
    } else {
        f->trouble = MCPSESS_E_TOOBIG;
    }
}

static void kept(struct feed *f, int rc) {
    if (rc == MCPSESS_FENCED || rc == MCPSESS_MISS) f->trouble = rc;
    else if (rc != MCPSESS_OK) f->retry_ms = now_ms() + RETRY_MS;
}

/* All is said, and stored. Ends x, but for a tail, which comes to the end by itself. */
static void finish(struct feed *f) {
    struct exchange *x = f->x;
    if (x->tail != NULL && f->complete) {
        x->feed = NULL;
        feed_free(f);
    } else {
        reply_close(x, !f->cut);
    }
}

/* Those who wait for the end do not wait for a store that fails; who comes back finds that nobody writes any more. */
static bool ended(struct feed *f, int rc) {
    if (rc < 0 && f->x->gone && !f->x->g->stopping) {
        failing(f, rc);
        return true;
    }
    finish(f);
    return false;
}

/* What was begun is done. -> false: f is gone */
static bool done(struct feed *f, int rc) {
    int what = f->doing;
    f->doing = NOTHING;
    switch (what) {
    case OPEN: opened(f, rc); return true;
    case APPEND: appended(f, rc); return true;
    case PASS: pass(f); return true;
    case KEEP: kept(f, rc); return true;
    case FINISH: finish(f); return false;
    default: return ended(f, rc);
    }
}

static void stepped(void *user, int rc) {
    struct feed *f = user;
    if (done(f, rc)) feed_step(f);
}

void feed_step(struct feed *f) {
    struct gateway *g = f->x->g;
    for (;;) {
        uint64_t now = now_ms();
        f->doing = f->step.op == NULL ? choose(f, now) : f->doing;
        if (f->step.op != NULL || f->doing == NOTHING) break;
        int rc = begin(f, now);
        if (rc == MCPSESS_PENDING) {
            step_wait(g, &f->step, &f->op.op, stepped, f);
            return;
        }
        if (!done(f, rc)) break;
    }
    table_schedule(g); /* readers may have been woken */
}

/* ---- its beginning and its end */

bool feed_wants(int status, struct evkeyvalq *headers) {
    const char *type = evhttp_find_header(headers, "Content-Type");
    const char *coding = evhttp_find_header(headers, "Content-Encoding");
    if (status != 200 || type == NULL || strncasecmp(type, "text/event-stream", 17) != 0) return false;
    return coding == NULL || strcasecmp(coding, "identity") == 0;
}

/* Clients before 2025-11-25 take every event for a message, and choke on one without data. */
bool feed_may_prime(struct exchange *x) {
    const char *version = header(x->req, "MCP-Protocol-Version");
    return version != NULL && !x->modern_header && strcmp(version, "2025-11-25") >= 0;
}

bool feed_begin(struct exchange *x, struct evkeyvalq *headers) {
    struct feed *f = x->feed = feed_new(x);
    if (f == NULL) return false;
    streams_name(f->name, x->method == EVHTTP_REQ_GET ? STREAM_GET : STREAM_POST, x->rpc.id);
    reply_events(x, headers);
    if (!feed_may_prime(x)) return true;
    mcpsess_event nothing = {0};
    struct item *i = item_new(f, &nothing);
    if (i != NULL) {
        i->prime = true;
        i->event.data = mcpsess_str_of(NULL, 0);
    }
    f->in_data = true;
    enqueue(f, i);
    feed_step(f);
    f->in_data = false;
    return true;
}

void feed_finish(struct feed *f, bool complete) {
    f->ending = true;
    f->complete = complete;
    feed_step(f);
}

void feed_fail(struct feed *f, const char *message) {
    struct exchange *x = f->x;
    mcpsess_event e;
    struct evbuffer *text = f->answered ? NULL : streams_error(&e, message, request_id(f));
    if (x->leg != NULL) leg_cancel(x->leg);
    x->leg = NULL;
    f->cut = text == NULL && !f->answered;
    f->again_ms = 0;
    if (text != NULL) {
        enqueue(f, item_new(f, &e));
        evbuffer_free(text);
    }
    feed_finish(f, f->name[0] == STREAM_POST);
}

void feed_stop(struct feed *f) {
    struct exchange *x = f->x;
    if (x->leg != NULL) leg_cancel(x->leg);
    x->leg = NULL;
    f->again_ms = 0;
    feed_finish(f, false);
}

void feed_ended(struct feed *f, enum leg_end how) {
    bool get = f->name[0] == STREAM_GET;
    bool all = f->answered || (how == LEG_DONE && (f->cursor[0] == '\0' || (!get && request_id(f).len == 0)));
    if (!all && again_possible(f, how)) {
        again_later(f, how);
    } else if (all || (get && how == LEG_DONE)) {
        feed_finish(f, !get);
    } else {
        feed_fail(f, "The backend was lost before it answered");
    }
}
