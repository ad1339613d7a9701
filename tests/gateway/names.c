/* names.c - names with several addresses, for the gateway's event loop: A_B is the name of the addresses A and B, in
   this order. Linked with -Wl,--wrap=evdns_getaddrinfo; the gateway is the same. */

#include <event2/dns.h>
#include <event2/util.h>
#include <string.h>

typedef struct evutil_addrinfo *list;
struct evdns_getaddrinfo_request *__real_evdns_getaddrinfo(struct evdns_base *base, const char *name, const char *port,
                                                           const struct evutil_addrinfo *hints,
                                                           evdns_getaddrinfo_cb told, void *user);
struct evdns_getaddrinfo_request *__wrap_evdns_getaddrinfo(struct evdns_base *base, const char *name, const char *port,
                                                           const struct evutil_addrinfo *hints,
                                                           evdns_getaddrinfo_cb told, void *user);

struct evdns_getaddrinfo_request *__wrap_evdns_getaddrinfo(struct evdns_base *base, const char *name, const char *port,
                                                           const struct evutil_addrinfo *hints,
                                                           evdns_getaddrinfo_cb told, void *user) {
    const char *second = strchr(name, '_');
    char first[64] = "";
    list addresses = NULL, last;
    if (second == NULL || (size_t)(second - name) >= sizeof first)
        return __real_evdns_getaddrinfo(base, name, port, hints, told, user);
    memcpy(first, name, (size_t)(second - name));
    int error = evutil_getaddrinfo(first, port, hints, &addresses);
    for (last = addresses; last != NULL && last->ai_next != NULL; last = last->ai_next) continue;
    if (last != NULL) error = evutil_getaddrinfo(second + 1, port, hints, &last->ai_next);
    told(error, addresses, user); /* at once, as for a name that is known already */
    return NULL;
}
