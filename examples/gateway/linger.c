/* linger.c - streams whose client is away. Its answer is stored all the same, so that it can come back for it; but not
   for ever, and not any number of them:

     an answer                   for --linger SECONDS; then it is given up, and who comes back finds an error for it
     the session's own stream    for GET_LINGER_MS at most; then it is left, and who comes back has it taken up again
     more than --drains of both  the one that has been alone for longest is given up
     no id was ever given        nobody can come back: an answer may take --timeout-ms, the session's stream ends

   A client that follows the stream here, by a tail, or at another gateway, is not away. */

#include "gateway.h"

#include <string.h>

#define GET_LINGER_MS 30000u

static bool is_alone(const struct exchange *x) {
    return x->feed != NULL && x->gone && x->feed->alone_ms != 0 && !x->feed->ending && !x->reviving;
}

unsigned linger_count(struct gateway *g) {
    struct exchange *x;
    unsigned n = 0;
    TAILQ_FOREACH(x, &g->exchanges, link) {
        if (is_alone(x)) n++;
    }
    return n;
}

static bool is_of(const struct exchange *x, const struct exchange *y) {
    return x != y && strcmp(x->sid, y->sid) == 0;
}

static mcpsess_str stream_of(const struct exchange *x) {
    if (x->tail != NULL && x->open) return x->tail->at.stream;
    return mcpsess_str_z(x->feed != NULL ? x->feed->name : "");
}

static bool is_followed(struct exchange *x) {
    struct exchange *y;
    TAILQ_FOREACH(y, &x->g->exchanges, link) {
        if (is_of(x, y) && y->tail != NULL && !y->gone && mcpsess_str_eq(stream_of(y), stream_of(x))) return true;
    }
    return false;
}

static void give_up(struct exchange *x) {
    if (x->feed->name[0] == STREAM_GET) feed_stop(x->feed);
    else feed_fail(x->feed, "The client stayed away for too long");
}

static void make_room(struct gateway *g) {
    struct exchange *x, *oldest = NULL;
    if (linger_count(g) <= g->config.drains) return;
    TAILQ_FOREACH(x, &g->exchanges, link) {
        if (is_alone(x) && (oldest == NULL || x->feed->alone_ms < oldest->feed->alone_ms)) oldest = x;
    }
    g->metrics.drains_dropped++;
    give_up(oldest);
}

void linger_begin(struct exchange *x) {
    struct feed *f = x->feed;
    if (x->tail != NULL) {
        tail_free(x->tail);
        x->tail = NULL;
        f->given = true; /* by the tail */
    }
    f->alone_ms = now_ms();
    if (f->ending || x->reviving) return;
    if (f->given) {
        x->g->metrics.drains++;
        make_room(x->g);
    } else if (x->method == EVHTTP_REQ_GET) {
        exchange_drop(x);
    }
}

uint64_t linger_limit(struct gateway *g, mcpsess_str stream) {
    uint64_t limit = g->config.linger_ms;
    bool get = stream.len > 0 && stream.ptr[0] == STREAM_GET;
    return get && limit > GET_LINGER_MS ? GET_LINGER_MS : limit;
}

static void asked(struct exchange *x, bool followed) {
    struct feed *f = x->feed;
    if (followed) {
        f->alone_ms = now_ms();
    } else if (!f->ending) {
        x->g->metrics.drains_late++;
        give_up(x);
    }
}

void linger_tick(struct exchange *x) {
    struct feed *f = x->feed;
    uint64_t now = now_ms(), limit = linger_limit(x->g, mcpsess_str_z(f->name));
    if (f->ending && now - f->alone_ms >= limit + PATIENCE_MS) { /* and still not stored */
        exchange_drop(x);
        return;
    }
    if (!f->ending && !f->given && now - f->alone_ms >= x->g->config.timeout_ms) {
        exchange_drop(x);
        return;
    }
    if (!f->ending && f->given && now - f->alone_ms >= limit) {
        if (is_followed(x)) f->alone_ms = now;
        else follow_ask(x, asked);
        return;
    }
    feed_step(f);
}

void linger_replace(struct exchange *x, mcpsess_str stream) {
    struct exchange *y;
    TAILQ_FOREACH(y, &x->g->exchanges, link) {
        if (!is_of(x, y) || y->gone || !mcpsess_str_eq(stream_of(y), stream)) continue;
        x->g->metrics.replaced++;
        reply_cut(y);
    }
}

void linger_clear(struct exchange *x) {
    struct exchange *y, *next;
    for (y = TAILQ_FIRST(&x->g->exchanges); y != NULL; y = next) {
        next = TAILQ_NEXT(y, link);
        if (is_of(x, y) && is_alone(y) && y->feed->name[0] == STREAM_GET) feed_stop(y->feed);
    }
}
