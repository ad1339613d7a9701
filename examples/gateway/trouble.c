/* trouble.c - what a feed cannot see to within a callback, or only as time passes: a store that fails for too long,
   another writer, a session that has ended, an event that nothing can hold. Once in a tick all feeds and tails are
   looked at. */

#include "gateway.h"

/* The log is gone. It is either the session's end, or a loss of the store's. */
static void asked(void *user, int rc) {
    struct exchange *x = user;
    struct feed *f = x->feed;
    f->asking = false;
    if (rc != MCPSESS_OK && rc != MCPSESS_MISS) return; /* asked again with the next tick */
    f->trouble = 0;
    if (rc == MCPSESS_OK && !x->task.op.stale) {
        f->opened = f->taken_over = false;
        feed_step(f);
    } else if (rc == MCPSESS_OK) {
        f->trouble = MCPSESS_MISS;
    } else if (feed_is_direct(f)) {
        feed_go_plain(f);
        feed_step(f);
    } else {
        reply_close(x, true);
    }
}

/* Whoever writes the log now has the backend's stream too. A client that is served from here finds it there. */
static void fenced(struct exchange *x) {
    if (x->leg != NULL) leg_cancel(x->leg);
    x->leg = NULL;
    if (x->tail == NULL) {
        reply_close(x, false);
        return;
    }
    feed_free(x->feed);
    x->feed = NULL;
}

/* No log can hold it, and its client is away. A message of the session's own stream can be done without; an answer
   cannot. */
static void too_big(struct feed *f) {
    if (f->name[0] == STREAM_POST) {
        while (!TAILQ_EMPTY(&f->queue)) feed_drop_first(f);
        feed_fail(f, "An event is too large");
        return;
    }
    f->x->g->metrics.too_big++;
    feed_drop_first(f);
    feed_step(f);
}

static void trouble(struct exchange *x) {
    struct feed *f = x->feed;
    int what = f->trouble;
    if (what == MCPSESS_MISS && f->asking) return;
    if (what != MCPSESS_MISS) f->trouble = 0;
    switch (what) {
    case MCPSESS_MISS:
        f->asking = true;
        route_load(x, asked);
        return;
    case MCPSESS_FENCED: fenced(x); return;
    case MCPSESS_STALE:
        if (!again_seen_all(x)) f->trouble = what;
        else if (f->answered) feed_finish(f, true);
        else again_now(x);
        return;
    case MCPSESS_E_TOOBIG: too_big(f); return;
    default: feed_fail(f, "Out of memory");
    }
}

static void look_at_feed(struct exchange *x, uint64_t now) {
    struct feed *f = x->feed;
    if (f->trouble != 0) {
        trouble(x);
    } else if (f->overrun && !f->ending) {
        feed_fail(f, "An event is too large");
    } else if (f->failing_ms != 0 && now - f->failing_ms > PATIENCE_MS && feed_is_direct(f)) {
        x->g->metrics.streams_cut++;
        reply_cut(x);
    } else if (f->again_ms != 0 && now >= f->again_ms && x->leg == NULL) {
        again_now(x);
    } else if (x->gone && f->alone_ms != 0) {
        linger_tick(x);
    } else {
        feed_step(f);
    }
}

static void look_at(struct exchange *x, uint64_t now) {
    uint64_t silent = x->g->config.keep_alive_ms;
    if (silent > 0 && x->open && !x->gone && now - x->sent_ms >= silent) reply_comment(x);
    if (x->reviving || x->waiting) return; /* for that to end, as it does in time */
    if (x->tail != NULL && !tail_tick(x->tail)) return;
    if (x->feed != NULL) look_at_feed(x, now);
}

void feeds_tick(struct gateway *g) {
    struct exchange *x, *next;
    uint64_t now = now_ms();
    for (x = TAILQ_FIRST(&g->exchanges); x != NULL; x = next) {
        next = TAILQ_NEXT(x, link); /* looking at one ends no other */
        if (x->feed != NULL || x->tail != NULL) look_at(x, now);
    }
}
