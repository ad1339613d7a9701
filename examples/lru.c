/* A table of two entries in static memory: put, get, eviction and expiry; and an event id, written and read back.

     cc -std=c99 -I.. lru.c -o lru
*/

#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"
#include <stdio.h>
MCPSESS_LRU_STORAGE(memory, 2, 16, 32); /* 2 entries, keys up to 16 bytes, values up to 32 */
int main(void) {
    char text[64], room[32]; mcpsess_buf out, mem; mcpsess_lru lru; mcpsess_str v;
    mcpsess_eventid at = {MCPSESS_STR("alice"), MCPSESS_STR("get"), 0, 41}, back;
    mcpsess_lru_desc d = mcpsess_lru_desc_default();
    d.capacity = 2; d.key_max = 16; d.value_max = 32;
    if (mcpsess_lru_init(&lru, &d, memory.bytes, sizeof memory.bytes) != MCPSESS_OK) return 1;
    mcpsess_lru_put(&lru, MCPSESS_STR("alice"), MCPSESS_STR("device 7"), 1000); /* until t = 1000 ms */
    mcpsess_lru_put(&lru, MCPSESS_STR("bob"), MCPSESS_STR("device 9"), MCPSESS_NEVER);
    if (mcpsess_lru_get(&lru, MCPSESS_STR("alice"), 999, &v) == MCPSESS_OK) printf("%.*s\n", (int)v.len, v.ptr);
    mcpsess_lru_put(&lru, MCPSESS_STR("carol"), MCPSESS_STR("device 2"), MCPSESS_NEVER); /* evicts bob */
    printf("bob %s, ", mcpsess_code_name(mcpsess_lru_get(&lru, MCPSESS_STR("bob"), 999, &v)));
    printf("alice %s\n", mcpsess_code_name(mcpsess_lru_get(&lru, MCPSESS_STR("alice"), 1000, &v)));
    mcpsess_buf_init(&out, text, sizeof text); mcpsess_buf_init(&mem, room, sizeof room);
    if (mcpsess_eventid_encode(&at, &out) || mcpsess_eventid_decode(mcpsess_buf_str(&out), &mem, &back)) return 1;
    printf("%.*s is event %u\n", (int)out.len, out.ptr, (unsigned)back.sequence);
}

/* expected output:
device 7
bob MISS, alice MISS
YWxpY2U=:Z2V0:41 is event 41
*/
