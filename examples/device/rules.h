/* rules.h - what Streamable HTTP and MCP have to say about header values and versions; shared with the device that is
   firmware. */

#ifndef RULES_H
#define RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define STATELESS_SINCE "2026-07-28" /* the revision without sessions, which a client may try first */
#define META_VERSION "io.modelcontextprotocol/protocolVersion"

enum {
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_NO_METHOD = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL = -32603,
    RPC_SERVER_ERROR = -32000,
    RPC_NO_SESSION = -32001,
    RPC_UNSUPPORTED_VERSION = -32022
};

static const char *const versions[] = {"2025-11-25", "2025-06-18", "2025-03-26"}; /* newest first */
static const char *const levels[] = {"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"};
enum { VERSIONS = sizeof versions / sizeof versions[0], LEVELS = sizeof levels / sizeof levels[0], LEVEL_INFO = 1 };

/* The place of a text in a list of count; count: it is not there. */
static inline int place_of(const char *text, const char *const *list, int count) {
    int i = 0;
    while (i < count && strcmp(list[i], text) != 0) i++;
    return i;
}

static inline bool is_stateless(const char *version) {
    return version && strlen(version) == strlen(STATELESS_SINCE) &&
           strspn(version, "0123456789-") == strlen(STATELESS_SINCE) && strcmp(version, STATELESS_SINCE) >= 0;
}

/* Does a comma-separated header list this media type? Parameters (";q=0.5") are passed over. */
static inline bool lists(const char *value, const char *type) {
    size_t n = strlen(type);
    while (value && *value) {
        value += strspn(value, " \t,");
        size_t len = strcspn(value, " \t,;");
        if (len == n && strncasecmp(value, type, n) == 0) return true;
        value += strcspn(value, ",");
    }
    return false;
}

/* A browser on this machine may talk to us; a page from elsewhere must not (DNS rebinding). */
static inline bool origin_allowed(const char *origin) {
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    if (!origin) return true;
    const char *host = strstr(origin, "://");
    if (strncmp(origin, "http://", 7) != 0 && strncmp(origin, "https://", 8) != 0) return false;
    host += 3;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t n = strlen(hosts[i]);
        if (strncmp(host, hosts[i], n) != 0) continue;
        if (host[n] == '\0') return true;
        if (host[n] == ':' && host[n + 1 + strspn(host + n + 1, "0123456789")] == '\0') return true;
    }
    return false;
}

static inline const char *reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

#endif
