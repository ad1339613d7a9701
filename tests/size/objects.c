/* The sizes of the objects a user places, to be read from the symbol table: each array is as long as its object. */

#include "mcpsess_redis.h"

#define SIZE_OF(type)                         \
    extern char size_of_##type[sizeof(type)]; \
    char size_of_##type[sizeof(type)]

SIZE_OF(mcpsess_lru);
SIZE_OF(mcpsess_eventid);
SIZE_OF(mcpsess_record);
SIZE_OF(mcpsess_op);
SIZE_OF(mcpsess_request);
SIZE_OF(mcpsess_memstore);
SIZE_OF(mcpsess_sessions);
SIZE_OF(mcpsess_merge_op);
SIZE_OF(mcpsess_lease);
SIZE_OF(mcpsess_lease_op);
SIZE_OF(mcpsess_flights);
SIZE_OF(mcpsess_flight_op);
SIZE_OF(mcpsess_backend_manager);
SIZE_OF(mcpsess_backend_op);
SIZE_OF(mcpsess_sse);
SIZE_OF(mcpsess_streams);
SIZE_OF(mcpsess_stream_writer);
SIZE_OF(mcpsess_stream_op);
SIZE_OF(mcpsess_stream_reader);
SIZE_OF(mcpsess_resp);
SIZE_OF(mcpsess_redis);
SIZE_OF(mcpsess_redis_store);

/* Bookkeeping per entry: by the formula, and as the structs are. */
#define PER_ENTRY (MCPSESS_LRU_BYTES(1000, 36, 64) / 1000 - 36 - 64)
extern char size_of_lru_entry[PER_ENTRY];
char size_of_lru_entry[PER_ENTRY];
#define PER_LOG (MCPSESS_MEMSTORE_LOG_BYTES(1000, 1000) / 1000 - 1000)
extern char size_of_log_entry[PER_LOG];
char size_of_log_entry[PER_LOG];
#define PER_LANE (MCPSESS_FLIGHT_BYTES(1000, 1000) / 1000 - 1000)
extern char size_of_flight_lane[PER_LANE];
char size_of_flight_lane[PER_LANE];
#define PER_BACKEND (MCPSESS_BACKEND_BYTES(1000, 1000, 1000) / 1000 - 2000 - sizeof(mcpsess_backend_op))
extern char size_of_backend[PER_BACKEND];
char size_of_backend[PER_BACKEND];
extern char size_of_lru_node_and_head[sizeof(mcpsess_i_lru_node) + sizeof(uint16_t)];
char size_of_lru_node_and_head[sizeof(mcpsess_i_lru_node) + sizeof(uint16_t)];
