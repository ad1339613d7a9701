/* metrics.c - what /metrics says, in the Prometheus text format 0.0.4. */

#include "gateway.h"

#include <inttypes.h>

void metric_family(struct evbuffer *out, const char *name, const char *type, const char *help) {
    evbuffer_add_printf(out, "# HELP mcp_gateway_%s %s\n# TYPE mcp_gateway_%s %s\n", name, help, name, type);
}

void metric(struct evbuffer *out, const char *name, const char *type, const char *help, uint64_t value) {
    metric_family(out, name, type, help);
    evbuffer_add_printf(out, "mcp_gateway_%s %" PRIu64 "\n", name, value);
}

static void requests(struct gateway *g, struct evbuffer *out) {
    static const char *const kinds[KINDS] = {"initialize", "session", "modern", "refused", "health", "metrics"};
    metric_family(out, "requests_total", "counter",
                  "Requests answered, by kind and HTTP status (499: the client left).");
    for (unsigned k = 0; k < KINDS; k++) {
        for (unsigned s = 0; s < 600; s++) {
            uint64_t n = g->metrics.requests[k][s];
            if (n == 0) continue;
            evbuffer_add_printf(out, "mcp_gateway_requests_total{kind=\"%s\",status=\"%u\"} %" PRIu64 "\n", kinds[k], s,
                                n);
        }
    }
    metric(out, "requests_in_flight", "gauge", "Requests under way, streams included.", g->in_flight);
    metric(out, "connections", "gauge", "Client connections, as of the last second.", g->connections);
    metric(out, "connections_refused_total", "counter", "Connections over the limit.", g->metrics.refused_connections);
    metric(out, "connections_slow_total", "counter", "Connections closed because no request came in time.",
           g->metrics.slow_connections);
}

static void sessions(struct gateway *g, struct evbuffer *out) {
    const mcpsess_session_stats *s = &g->sessions.stats;
    const mcpsess_memstore_stats *m = &g->memstore.stats;
    metric(out, "sessions", "gauge", "Sessions this gateway knows the backend of.", mcpsess_lru_len(&g->book));
    metric(out, "session_local_hits_total", "counter", "Loads served without asking the store.", s->local_hits);
    metric(out, "session_store_requests_total", "counter", "Requests to the session store.", s->requests);
    metric(out, "session_store_failures_total", "counter", "Requests to the session store that failed.", s->failures);
    metric(out, "session_stale_total", "counter", "Loads served from here because the store was away.",
           s->served_stale);
    metric(out, "session_invalidations_total", "counter", "Sessions said to have changed at the store.",
           s->invalidated);
    metric(out, "session_flushes_total", "counter", "Times that any session might have changed unheard.", s->flushes);
    metric(out, "session_overtaken_total", "counter", "Loads not kept because a change came in between.", s->overtaken);
    metric(out, "session_foreign_total", "counter", "Sessions asked for by another principal.",
           g->wire != NULL ? g->redis_store.stats.foreign : m->foreign);
    metric(out, "session_evictions_total", "counter", "Sessions dropped to make room.", m->evicted);
    metric(out, "session_expirations_total", "counter", "Sessions nobody used until their TTL.", m->expired);
    metric(out, "sessions_refused_total", "counter", "Sessions refused because the store was full.", m->refused);
    metric(out, "reinitialisations_total", "counter", "Sessions initialised again at a backend.", g->metrics.revived);
    metric(out, "reinitialisations_failed_total", "counter", "Sessions that could not be.", g->metrics.revive_failed);
    metric(out, "reinitialisations_lost_total", "counter", "Sessions another gateway initialised first.",
           g->metrics.revive_lost);
    metric(out, "replays_total", "counter", "Requests sent again after that.", g->metrics.replayed);
}

static void backends(struct gateway *g, struct evbuffer *out) {
    metric_family(out, "backend_up", "gauge", "1 if the backend accepts connections.");
    for (size_t i = 0; i < g->backend_count; i++) {
        evbuffer_add_printf(out, "mcp_gateway_backend_up{backend=\"%s\"} %d\n", g->backends[i].url, g->backends[i].up);
    }
    metric_family(out, "backend_sessions", "gauge", "Sessions bound to the backend.");
    for (size_t i = 0; i < g->backend_count; i++) {
        evbuffer_add_printf(out, "mcp_gateway_backend_sessions{backend=\"%s\"} %u\n", g->backends[i].url,
                            g->backends[i].sessions);
    }
}

void metrics_write(struct gateway *g, struct evbuffer *out) {
    requests(g, out);
    sessions(g, out);
    streams_metrics(g, out);
    redis_metrics(g, out);
    directory_metrics(g, out);
    backends(g, out);
    fleet_metrics(g, out);
}
