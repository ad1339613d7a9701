/* The other side of node.c, on a computer: shows what the node keeps on Redis, or changes its session, as a gateway or
   another node would. With the library's own calls, so it is the same session and the same stream.

     cc -std=c99 -I. -Iexamples examples/firmware/peer.c -o build/firmware/peer
     build/firmware/peer change /tmp/redis.sock         also: HOST PORT
     build/firmware/peer show /tmp/redis.sock */

#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "posix_transport.h"

enum { RECORD_MAX = 160, TX = 2048, RX = 4096 };

static struct {
    sock sock;
    mcpsess_redis redis;
    mcpsess_redis_store store;
    mcpsess_sessions sessions;
    mcpsess_streams streams;
    mcpsess_wait_hook hook;
} peer;

MCPSESS_REDIS_STORAGE(wire_memory, 4, TX, RX);
MCPSESS_SESSION_STORAGE(tier_memory, 2, RECORD_MAX, 2, RECORD_MAX);

static const mcpsess_principal *owner(void) {
    static mcpsess_principal who;
    who.issuer = MCPSESS_STR("fleet");
    who.subject = MCPSESS_STR("sensor-7");
    return &who;
}

static int init(const char *host, const char *port) {
    mcpsess_redis_desc r = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc s = mcpsess_redis_store_desc_default();
    mcpsess_session_desc t = mcpsess_session_desc_default();
    mcpsess_stream_desc e = mcpsess_stream_desc_default();
    int rc;
    sock_init(&peer.sock, host, port);
    peer.hook = sock_wait_hook(&peer.sock);
    r.transport = sock_transport(&peer.sock);
    r.user = MCPSESS_STR("mcpsess");
    r.password = MCPSESS_STR("secret");
    r.slots = 4, r.tx_bytes = TX, r.rx_bytes = RX;
    s.redis = &peer.redis;
    t.capacity = 2, t.slot_max = RECORD_MAX, t.lanes = 2, t.record_max = RECORD_MAX;
    e.random = sock_random;
    rc = mcpsess_redis_init(&peer.redis, &r, wire_memory.bytes, sizeof wire_memory.bytes);
    if (rc == MCPSESS_OK) rc = mcpsess_redis_store_init(&peer.store, &s);
    t.store = e.store = mcpsess_redis_store_store(&peer.store);
    if (rc == MCPSESS_OK) rc = mcpsess_session_init(&peer.sessions, &t, tier_memory.bytes, sizeof tier_memory.bytes);
    return rc == MCPSESS_OK ? mcpsess_stream_init(&peer.streams, &e) : rc;
}

static int show_session(void) {
    char bytes[RECORD_MAX];
    mcpsess_buf text;
    mcpsess_op op;
    mcpsess_record r;
    mcpsess_str key, value;
    size_t cursor = 0;
    uint64_t now_ms = sock_now_ms(NULL);
    int rc;
    mcpsess_op_init(&op, 0);
    mcpsess_buf_init(&text, bytes, sizeof bytes);
    rc = mcpsess_session_load(&peer.sessions, &op, MCPSESS_STR("sensor-7"), owner(), &text, now_ms);
    rc = mcpsess_wait(&op, rc, &peer.hook);
    if (rc == MCPSESS_OK) rc = mcpsess_record_decode(mcpsess_buf_str(&text), &r);
    if (rc != MCPSESS_OK) return rc;
    printf("session %.*s\n", (int)r.id.len, r.id.ptr);
    while (mcpsess_record_next(&r, &cursor, &key, &value) == MCPSESS_OK) {
        printf("  %.*s = %.*s\n", (int)key.len, key.ptr, (int)value.len, value.ptr);
    }
    return MCPSESS_OK;
}

/* From the oldest event on. -> END when it is complete, and all was shown */
static int show_stream(void) {
    static char page[4096];
    mcpsess_stream_reader r;
    mcpsess_op op;
    mcpsess_event e;
    int rc;
    mcpsess_op_init(&op, 5000);
    memset(&r, 0, sizeof r);
    rc = mcpsess_stream_read(&peer.streams, &r, &op, MCPSESS_STR("sensor-7"), owner(), MCPSESS_STR("readings"), 0, 0,
                             page, sizeof page, sock_now_ms(NULL));
    rc = mcpsess_wait(&op, rc, &peer.hook);
    if (rc != MCPSESS_OK) return rc;
    printf("stream readings\n");
    while ((rc = mcpsess_wait(&op, mcpsess_stream_next(&r, &op, &e, sock_now_ms(NULL)), &peer.hook)) == MCPSESS_OK) {
        printf("  %u %.*s\n", (unsigned)e.sequence, (int)e.data.len, e.data.ptr);
    }
    mcpsess_stream_close(&r);
    return rc;
}

static int switch_led(void *user, mcpsess_buf *record) {
    (void)user;
    return mcpsess_record_put(record, MCPSESS_STR("led"), MCPSESS_STR("on"));
}

static int change(void) {
    static const mcpsess_merge how = {switch_led, NULL, true};
    char memory[MCPSESS_MERGE_BYTES(RECORD_MAX)];
    mcpsess_merge_op m;
    int rc;
    mcpsess_op_init(&m.op, 0);
    rc = mcpsess_session_merge(&peer.sessions, &m, MCPSESS_STR("sensor-7"), owner(), &how, memory, sizeof memory,
                               sock_now_ms(NULL));
    return mcpsess_wait(&m.op, rc, &peer.hook);
}

int main(int argc, char **argv) {
    bool changes = argc > 2 && strcmp(argv[1], "change") == 0;
    int rc;
    if (argc < 3 || (!changes && strcmp(argv[1], "show") != 0)) {
        fprintf(stderr, "usage: peer show|change HOST PORT|PATH\n");
        return 2;
    }
    rc = init(argv[2], argc > 3 ? argv[3] : NULL);
    if (rc == MCPSESS_OK) rc = changes ? change() : show_session();
    if (rc == MCPSESS_OK && !changes) rc = show_stream();
    printf("%s\n", mcpsess_redis_code_name(rc));
    mcpsess_redis_close(&peer.redis);
    return rc == MCPSESS_OK || rc == MCPSESS_END ? 0 : 1;
}
