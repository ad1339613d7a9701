/* Bytes per session in the gateway's tables, by the library's formulas: the store, the book of who is where, and the
   local tier, which only the latest sessions are in. */
#include "../examples/gateway/gateway.h"

#include <stdio.h>

int main(void) {
    const unsigned long store = (unsigned long)MCPSESS_LRU_BYTES(1, MCPSESS_ID_MAX, RECORD_MAX);
    const unsigned long book = (unsigned long)MCPSESS_LRU_BYTES(1, MCPSESS_ID_MAX, 1);
    const unsigned long tier = (unsigned long)MCPSESS_LRU_BYTES(1, MCPSESS_ID_MAX, MCPSESS_I_SLOT_HEAD + RECORD_MAX);
    printf("store %lu + book %lu = %lu, and %lu in the local tier", store, book, store + book, tier);
    return 0;
}
