/* headers.c - HTTP headers: reading one that must not be given twice, and copying what a proxy may pass on. */

#include "gateway.h"

#include <event2/keyvalq_struct.h>
#include <string.h>
#include <strings.h>

const char *header(struct evhttp_request *req, const char *name) {
    return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

unsigned header_count(struct evhttp_request *req, const char *name) {
    unsigned n = 0;
    struct evkeyval *h;
    TAILQ_FOREACH(h, evhttp_request_get_input_headers(req), next) {
        if (strcasecmp(h->key, name) == 0) n++;
    }
    return n;
}

static bool among(const char *name, const char *const *names) {
    for (; *names != NULL; names++) {
        if (strcasecmp(name, *names) == 0) return true;
    }
    return false;
}

/* Is name one of the comma-separated tokens of a Connection header? Such a header is for this hop only. */
static bool is_token(const char *name, const char *list) {
    size_t len = strlen(name);
    while (list != NULL && *list != '\0') {
        list += strspn(list, ", \t");
        size_t n = strcspn(list, ", \t");
        if (n == len && strncasecmp(list, name, n) == 0) return true;
        list += n;
    }
    return false;
}

/* RFC 9110 section 7.6.1, and what is set anew for every hop. */
static bool is_hop_by_hop(const char *name, const char *connection) {
    static const char *const names[] = {
        "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
        "Upgrade",    "Host",       "Expect",           NULL};
    return among(name, names) || strncasecmp(name, "Proxy-Auth", 10) == 0 || is_token(name, connection);
}

static bool is_field_name(const char *name) {
    static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return name[0] != '\0' && name[strspn(name, token)] == '\0';
}

static bool is_field_value(const char *value) {
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        if ((c < 0x20 && c != '\t') || c == 0x7F) return false;
    }
    return true;
}

void headers_copy(struct evkeyvalq *to, struct evkeyvalq *from, const char *const *but) {
    const char *connection = evhttp_find_header(from, "Connection");
    struct evkeyval *h;
    TAILQ_FOREACH(h, from, next) {
        if (is_hop_by_hop(h->key, connection) || among(h->key, but)) continue;
        if (is_field_name(h->key) && is_field_value(h->value)) evhttp_add_header(to, h->key, h->value);
    }
}
