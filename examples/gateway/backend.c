/* backend.c - the backends: parsing their URLs, choosing one, and which are up.

   Those that were given are known from the beginning. Where a directory names others, they become known as lists and
   records name them, and are forgotten again when room is needed and nothing here has to do with them. */

#include "gateway.h"

#include <event2/dns.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- choosing */

bool backend_usable(const struct exchange *x, unsigned backend) {
    return x->g->backends[backend].up && (x->tried[backend / 32] >> backend % 32 & 1u) == 0;
}

void backend_tried(struct exchange *x) {
    x->tried[x->backend / 32] |= UINT32_C(1) << x->backend % 32;
}

static bool better(const struct backend *a, const struct backend *b, bool by_sessions) {
    if (by_sessions && a->sessions != b->sessions) return a->sessions < b->sessions;
    return a->in_flight < b->in_flight;
}

int backend_pick(const struct exchange *x, bool by_sessions) {
    const struct backend *all = x->g->backends;
    int best = -1;
    for (unsigned i = 0; i < x->list_count; i++) {
        unsigned at = x->list[i];
        if (!backend_usable(x, at)) continue;
        if (best < 0 || better(&all[at], &all[best], by_sessions)) best = (int)at;
    }
    return best;
}

/* ---- up and down */

void backend_is(struct backend *b, bool up) {
    if (b->up != up) say(b->g, "backend %s is %s", b->url, up ? "up" : "down");
    b->up = up;
}

void backend_down(struct backend *b) {
    if (!b->up) return;
    backend_is(b, false);
    if (b->process == NULL) remotes_lost(b);
}

bool backend_locate(struct backend *b) {
    uint16_t port = process_port(b->process);
    if (port == 0) return false;
    if (port != b->port) legs_reap(b, MCPSESS_NEVER);
    b->port = port;
    snprintf(b->authority, sizeof b->authority, "127.0.0.1:%u", (unsigned)port);
    return true;
}

/* ---- opening */

static bool copy(char *to, const char *from) {
    return (size_t)snprintf(to, URL_MAX + 1, "%s", from) <= URL_MAX;
}

/* without the brackets of IPv6 */
static bool copy_host(char *to, const char *from) {
    size_t len = strlen(from);
    if (!copy(to, from[0] == '[' ? from + 1 : from)) return false;
    if (from[0] == '[' && from[len - 1] == ']') to[len - 2] = '\0';
    return true;
}

static bool split_url(struct backend *b, const struct evhttp_uri *uri) {
    const char *host = evhttp_uri_get_host(uri), *path = evhttp_uri_get_path(uri);
    int port = evhttp_uri_get_port(uri);
    if (evhttp_uri_get_scheme(uri) == NULL || strcasecmp(evhttp_uri_get_scheme(uri), "http") != 0) return false;
    if (host == NULL || host[0] == '\0' || port == 0 || port > 65535) return false;
    if (evhttp_uri_get_userinfo(uri) != NULL || evhttp_uri_get_fragment(uri) != NULL) return false;
    b->port = port < 0 ? 80 : (uint16_t)port;
    if (!copy_host(b->host, host) || !copy(b->path, path != NULL && path[0] == '/' ? path : "/")) return false;
    int n = port < 0 ? snprintf(b->authority, sizeof b->authority, "%s", host)
                     : snprintf(b->authority, sizeof b->authority, "%s:%d", host, port);
    return n > 0 && (size_t)n < sizeof b->authority;
}

bool backend_parse(struct backend *b, const char *url) {
    struct evhttp_uri *uri = evhttp_uri_parse(url);
    bool ok = uri != NULL && copy(b->url, url) && split_url(b, uri);
    if (uri != NULL) evhttp_uri_free(uri);
    return ok;
}

static void backend_close(struct backend *b) {
    legs_reap(b, MCPSESS_NEVER);
    if (b->process == NULL) remotes_forget(b);
}

static void mark_used(const struct exchange *x, bool *used) {
    if (x->backend >= 0) used[x->backend] = true;
    if (x->lost_backend >= 0) used[x->lost_backend] = true;
    for (unsigned i = 0; i < x->list_count; i++) used[x->list[i]] = true;
}

/* For one more. -> its index; -1: all are needed */
static int find_place(const struct gateway *g) {
    bool used[KNOWN_MAX] = {false};
    const struct exchange *x;
    if (g->backend_count < KNOWN_MAX) return (int)g->backend_count;
    TAILQ_FOREACH(x, &g->exchanges, link) mark_used(x, used);
    for (unsigned i = 0; i < KNOWN_MAX; i++) {
        const struct backend *b = &g->backends[i];
        if (!used[i] && !b->given && b->sessions == 0 && b->in_flight == 0) return (int)i;
    }
    return -1;
}

/* -> its index; -1: no room */
static int add(struct gateway *g, struct backend fresh) {
    int at = find_place(g);
    if (at < 0) return -1;
    struct backend *b = &g->backends[at];
    fresh.g = g;
    if ((size_t)at < g->backend_count) backend_close(b);
    else g->backend_count++;
    *b = fresh;
    TAILQ_INIT(&b->idle);
    return at;
}

/* -> its index; -1: not an http:// URL, or add */
static int add_url(struct gateway *g, const char *url, bool given) {
    struct backend fresh = {0};
    fresh.given = given;
    fresh.up = true; /* until shown otherwise */
    int at = backend_parse(&fresh, url) ? add(g, fresh) : -1;
    if (at >= 0) remotes_keep(&g->backends[at]);
    return at;
}

/* It is down until it is seen to run, here or by another gateway. */
static int add_process(struct gateway *g, struct process *p) {
    struct backend fresh = {0};
    fresh.given = true;
    fresh.process = p;
    snprintf(fresh.url, sizeof fresh.url, "%s", p->id);
    snprintf(fresh.host, sizeof fresh.host, "127.0.0.1");
    snprintf(fresh.path, sizeof fresh.path, "/mcp");
    return add(g, fresh);
}

int backend_find(struct gateway *g, mcpsess_str url) {
    char text[URL_MAX + 1];
    for (size_t i = 0; i < g->backend_count; i++) {
        if (mcpsess_str_eq(url, mcpsess_str_z(g->backends[i].url))) return (int)i;
    }
    if (g->directory == NULL || url.len == 0 || url.len > URL_MAX) return -1;
    snprintf(text, sizeof text, "%.*s", (int)url.len, url.ptr);
    return add_url(g, text, false);
}

int backends_open(struct gateway *g) {
    unsigned commands = 0;
    if (remotes_open(g) != MCPSESS_OK) return -1;
    g->dns = evdns_base_new(g->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    for (size_t i = 0; i < g->config.backend_count; i++) {
        const char *text = g->config.backends[i];
        if (fleet_is_command(text) ? add_process(g, fleet_process(g, commands++)) >= 0 : add_url(g, text, true) >= 0)
            continue;
        fprintf(stderr, "gateway: not an http:// URL: %s\n", g->config.backends[i]);
        return -1;
    }
    return 0;
}

void backends_close(struct gateway *g) {
    for (size_t i = 0; i < g->backend_count; i++) backend_close(&g->backends[i]);
    remotes_close(g);
    if (g->dns != NULL) evdns_base_free(g->dns, 1);
}
