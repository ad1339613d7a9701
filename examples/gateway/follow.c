/* follow.c - a stream whose client is away from here may be followed at another gateway. That one says so, again and
   again, by a lease on the stream's name; this one asks before it gives the stream up. */

#include "gateway.h"

#define ASK_MS 500u /* of the lease of one that asks; it is let run out */

static int ask(struct gateway *g, struct task *t, mcpsess_str name, const char *as, uint64_t ttl_ms) {
    mcpsess_request q = {0};
    q.kind = MCPSESS_LEASE_ACQUIRE;
    q.key = name;
    q.value = mcpsess_str_z(as); /* all followers are one */
    q.ttl_ms = ttl_ms;
    return table_ask(g, t, &q);
}

static void told(void *user, int rc) {
    struct tail *t = user;
    if (rc != MCPSESS_OK) t->told_ms = 0; /* with the next tick */
}

void follow_tell(struct tail *t) {
    struct gateway *g = t->x->g;
    uint64_t now = now_ms(), limit = linger_limit(g, t->reader.stream);
    if (g->wire == NULL || t->follow.waiting || t->x->gone || (t->told_ms != 0 && now - t->told_ms < limit / 4)) return;
    t->told_ms = now;
    table_then(g, &t->follow, ask(g, &t->follow, t->reader.stream, "follower", limit + 1), told, t);
}

static void asked(void *user, int rc) {
    struct exchange *x = user;
    if (rc >= 0) x->feed->follow_then(x, rc == MCPSESS_BUSY); /* else it is asked again */
}

void follow_ask(struct exchange *x, void (*then)(struct exchange *x, bool yes)) {
    struct feed *f = x->feed;
    if (f->follow.waiting) return;
    f->follow_then = then;
    if (x->g->wire == NULL) then(x, false);
    else table_then(x->g, &f->follow, ask(x->g, &f->follow, mcpsess_str_z(f->name), "writer", ASK_MS), asked, x);
}
