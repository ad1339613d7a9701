/* again.c - a backend's stream is taken up again, with a GET and the last event id that the backend gave.

   By the gateway that had it, when it breaks off, or when the backend ends it before the answer came, which invites to
   come back. Or by another one, which a client follows it at, and which finds that nobody writes the log any more. The
   session's own stream is taken up without an id, too, if the backend gives none, or has lost the session and it was
   initialised again: then it begins anew. An answer cannot be.

   Where the id is good is said with it: at this session of this backend, by a hash of both. */

#include "gateway.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HOME_SIZE 9u        /* 8 digits */
#define ATTEMPTS_MAX 5u     /* that fail, until the backend brings something */
#define DELAY_MIN_MS 50u    /* doubled with each attempt, as often as that */
#define DELAY_MAX_MS 30000u /* also if the backend asks for more */

static void home(const struct exchange *x, char *out) {
    static const uint8_t seed[16] = {0};
    const char *url = x->backend >= 0 ? x->g->backends[x->backend].url : "";
    uint32_t hash = mcpsess_hash(seed, mcpsess_str_z(url)) * 31u + mcpsess_hash(seed, mcpsess_str_z(x->backend_sid));
    snprintf(out, HOME_SIZE, "%08" PRIx32, hash);
}

void again_cursor(struct feed *f, mcpsess_str id) {
    char at[HOME_SIZE];
    home(f->x, at);
    f->cursor[0] = '\0';
    if (id.len > CURSOR_MAX) return;
    snprintf(f->cursor, sizeof f->cursor, "%s %.*s", at, (int)id.len, id.ptr);
}

static const char *cursor_here(const struct exchange *x, const char *cursor) {
    char at[HOME_SIZE];
    home(x, at);
    return strncmp(cursor, at, HOME_SIZE - 1) == 0 ? cursor + HOME_SIZE : NULL;
}

bool again_possible(const struct feed *f, enum leg_end how) {
    return cursor_here(f->x, f->cursor) != NULL && (how == LEG_DONE || f->attempts < ATTEMPTS_MAX);
}

void again_later(struct feed *f, enum leg_end how) {
    unsigned tries = f->attempts + f->polls;
    uint64_t delay = (uint64_t)DELAY_MIN_MS << (tries < ATTEMPTS_MAX ? tries : ATTEMPTS_MAX);
    if (f->backend_retry_ms > 0) delay = f->backend_retry_ms;
    f->attempts = how == LEG_DONE ? 0 : f->attempts + 1;
    if (how == LEG_DONE) f->polls++;
    f->again_ms = now_ms() + (delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS);
}

/* ---- the request */

static bool again_head(void *user, int status, struct evkeyvalq *headers) {
    struct exchange *x = user;
    x->lost = status == 404;
    x->status = 200; /* of our reply, which goes on */
    x->feed->accepted = feed_wants(status, headers);
    if (!x->feed->accepted) return false;
    x->g->metrics.again++;
    feed_restart(x->feed);
    return true;
}

static void again_data(void *user, struct evbuffer *data) {
    struct exchange *x = user;
    feed_data(x->feed, data);
}

static void refused(struct exchange *x, enum leg_end how) {
    struct feed *f = x->feed;
    bool lost = x->lost || how == LEG_REFUSED;
    x->lost = false;
    if (lost && f->name[0] == STREAM_GET && !x->replayed && !x->gone) {
        revive(x);
    } else if (how != LEG_DONE && again_possible(f, how)) {
        again_later(f, how);
    } else {
        x->g->metrics.again_failed++;
        feed_fail(f, "The backend was lost before it answered");
    }
}

static void again_end(void *user, enum leg_end how) {
    struct exchange *x = user;
    x->leg = NULL;
    if (x->feed->accepted) feed_ended(x->feed, how);
    else refused(x, how);
}

void again_now(struct exchange *x) {
    static const struct leg_events events = {again_head, again_data, again_end};
    struct feed *f = x->feed;
    const char *version = header(x->req, "MCP-Protocol-Version"), *cursor = cursor_here(x, f->cursor);
    f->again_ms = 0;
    f->accepted = false;
    if (x->backend < 0 || !x->g->backends[x->backend].up) {
        refused(x, LEG_REFUSED);
        return;
    }
    struct leg *l = route_leg(x, &events, true);
    if (l == NULL) {
        feed_fail(f, "Out of memory");
        return;
    }
    x->paused = 0;
    evhttp_remove_header(leg_headers(l), "Content-Type");
    evhttp_remove_header(leg_headers(l), "Accept");
    evhttp_add_header(leg_headers(l), "Accept", "text/event-stream");
    if (x->backend_sid[0] != '\0') evhttp_add_header(leg_headers(l), "Mcp-Session-Id", x->backend_sid);
    if (version != NULL && !x->modern_header) evhttp_add_header(leg_headers(l), "MCP-Protocol-Version", version);
    if (cursor != NULL) evhttp_add_header(leg_headers(l), "Last-Event-ID", cursor);
    leg_send(l, EVHTTP_REQ_GET, mcpsess_str_of("", 0));
}

/* ---- somebody else's stream */

bool again_seen_all(struct exchange *x) {
    if (x->tail == NULL) return true;
    if (x->tail->reader.sequence < x->feed->writer.sequence) return false;
    memcpy(x->feed->cursor, x->tail->cursor, sizeof x->feed->cursor);
    x->feed->answered = x->tail->answered;
    return true;
}

bool again_take_over(struct exchange *x) {
    struct tail *t = x->tail;
    bool get = t->reader.stream.len > 0 && t->reader.stream.ptr[0] == STREAM_GET;
    if (!get && cursor_here(x, t->cursor) == NULL) return false;
    struct feed *f = x->feed = feed_new(x);
    if (f == NULL) return false;
    snprintf(f->name, sizeof f->name, "%.*s", (int)t->reader.stream.len, t->reader.stream.ptr);
    memcpy(f->cursor, t->cursor, sizeof f->cursor);
    f->taken_over = true;
    x->replayed = false;
    feed_step(f);
    return true;
}
