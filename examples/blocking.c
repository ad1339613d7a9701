/* A table in static memory, an event id, and Redis, in a program that may wait.

     cc -std=c99 -I.. blocking.c -o blocking && ./blocking 6379
*/

/* snippet:begin */
#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "posix_transport.h"
MCPSESS_LRU_STORAGE(memory, 2, 16, 32);   /* 2 entries, keys up to 16 bytes, values up to 32 */
MCPSESS_REDIS_STORAGE(wire, 1, 256, 256); /* 1 command under way, 256 bytes each way */
int main(int argc, char **argv) {
    char text[64], room[128]; mcpsess_buf id, reply; mcpsess_lru lru; mcpsess_str v; mcpsess_redis redis; sock s;
    mcpsess_lru_desc ld = mcpsess_lru_desc_default(); mcpsess_redis_desc rd = mcpsess_redis_desc_default();
    mcpsess_wait_hook hook = sock_wait_hook(&s); sock_init(&s, "127.0.0.1", argc > 1 ? argv[1] : "6379");
    mcpsess_eventid event = {MCPSESS_STR("alice"), MCPSESS_STR("get"), 0, 41};
    ld.capacity = 2; ld.key_max = 16; ld.value_max = 32;
    rd.slots = 1; rd.tx_bytes = rd.rx_bytes = 256; rd.transport = sock_transport(&s); rd.random = sock_random;
    mcpsess_buf_init(&id, text, sizeof text); mcpsess_buf_init(&reply, room, sizeof room);
    if (mcpsess_lru_init(&lru, &ld, memory.bytes, sizeof memory.bytes) != MCPSESS_OK) return 1;
    if (mcpsess_redis_init(&redis, &rd, wire.bytes, sizeof wire.bytes) != MCPSESS_OK) return 1;
    mcpsess_lru_put(&lru, MCPSESS_STR("alice"), MCPSESS_STR("device 7"), MCPSESS_NEVER);
    if (mcpsess_lru_get(&lru, MCPSESS_STR("alice"), 0, &v) == MCPSESS_OK) printf("%.*s\n", (int)v.len, v.ptr);
    if (mcpsess_eventid_encode(&event, &id) != MCPSESS_OK) return 1;
    mcpsess_str set[] = {MCPSESS_STR("SET"), MCPSESS_STR("last:alice"), mcpsess_buf_str(&id)};
    mcpsess_str get[] = {MCPSESS_STR("GET"), set[1]}; int rc = mcpsess_redis_call(&redis, set, 3, &reply, &hook);
    if (rc == MCPSESS_OK) { reply.len = 0; rc = mcpsess_redis_call(&redis, get, 2, &reply, &hook); }
    v = rc == MCPSESS_OK ? mcpsess_redis_text(mcpsess_buf_str(&reply)) : mcpsess_str_z(s.error);
    printf("%s %.*s\n", mcpsess_redis_code_name(rc), (int)v.len, v.ptr);
    mcpsess_redis_close(&redis); return rc != MCPSESS_OK;
}
/* snippet:end */

/* expected output:
device 7
OK YWxpY2U=:Z2V0:41
*/
