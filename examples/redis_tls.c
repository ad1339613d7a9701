/* Redis over TLS: a value of 40,000 bytes there and back. The server's certificate must be for NAME and be signed by
   CA; where the server wants one of ours, CERT and KEY.   redis_tls HOST PORT NAME CA [CERT KEY]

     cc -std=c99 -I.. redis_tls.c -lmbedtls -lmbedx509 -lmbedcrypto -o redis_tls
*/

#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "posix_transport.h"
#include "tls_transport.h"

enum { VALUE = 40000, ROOM = VALUE + 64 }; /* more than two records of TLS */

MCPSESS_REDIS_STORAGE(wire, 1, ROOM, 4096);

static int set_and_get(mcpsess_redis *redis, const mcpsess_wait_hook *hook) {
    static char value[VALUE], room[ROOM];
    mcpsess_str set[] = {MCPSESS_STR("SET"), MCPSESS_STR("redis_tls"), mcpsess_str_of(value, VALUE)};
    mcpsess_str get[] = {MCPSESS_STR("GET"), MCPSESS_STR("redis_tls")};
    mcpsess_buf reply;
    for (size_t i = 0; i < VALUE; i++) value[i] = (char)i;
    mcpsess_buf_init(&reply, room, sizeof room);
    int rc = mcpsess_redis_call(redis, set, 3, &reply, hook);
    mcpsess_buf_init(&reply, room, sizeof room);
    if (rc == MCPSESS_OK) rc = mcpsess_redis_call(redis, get, 2, &reply, hook);
    if (rc != MCPSESS_OK) return rc;
    return mcpsess_str_eq(mcpsess_redis_text(mcpsess_buf_str(&reply)), set[2]) ? MCPSESS_OK : MCPSESS_E_CORRUPT;
}

static int talk(sock *s, tls *t) {
    mcpsess_redis redis;
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    mcpsess_wait_hook below = sock_wait_hook(s), hook = tls_wait_hook(t, &below);
    d.transport = tls_transport(t);
    d.random = sock_random;
    d.slots = 1;
    d.tx_bytes = ROOM;
    d.rx_bytes = 4096;
    int rc = mcpsess_redis_init(&redis, &d, wire.bytes, sizeof wire.bytes);
    if (rc != MCPSESS_OK) return rc;
    rc = set_and_get(&redis, &hook);
    if (rc == MCPSESS_OK) printf("%s, %d bytes there and back\n", mbedtls_ssl_get_version(&t->i.ssl), VALUE);
    mcpsess_redis_close(&redis);
    return rc;
}

int main(int argc, char **argv) {
    sock s;
    tls t;
    if (argc != 5 && argc != 7) {
        fprintf(stderr, "usage: redis_tls HOST PORT NAME CA [CERT KEY]\n");
        return 2;
    }
    tls_options o = {argv[3], argv[4], argc > 5 ? argv[5] : NULL, argc > 5 ? argv[6] : NULL};
    sock_init(&s, argv[1], argv[2]);
    int rc = tls_init(&t, &o, sock_transport(&s)) == 0 ? talk(&s, &t) : MCPSESS_E_IO;
    if (rc != MCPSESS_OK) printf("%s: %s\n", mcpsess_redis_code_name(rc), t.error[0] ? t.error : s.error);
    tls_free(&t);
    return rc != MCPSESS_OK;
}
