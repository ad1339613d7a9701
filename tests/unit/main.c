#include "tap.h"

int main(void) {
    int status;
    port_init();
    test_base();
    test_lru();
    test_eventid();
    test_sse();
    test_ring();
    test_record();
    test_backends();
    test_memstore();
    test_memlog();
    test_log_contract();
    test_flags();
    test_lease();
    test_flight();
    test_flight_wait();
    test_flight_ops();
    test_flight_model();
    test_log_model();
    test_stream();
    test_stream_read();
    test_session();
    test_session_io();
    test_session_model();
    test_coherence();
    test_merge();
    test_merge_model();
    test_resp();
    test_redis();
    test_redis_life();
    test_redis_outcomes();
    test_redis_model();
    test_redisstore();
    test_rlogs();
    test_rflags();
    test_redis_session();
    test_toolhive();
    test_csharp();
    test_csharpstore();
    test_librechat();
    status = tap_finish();
    port_exit(status);
    return status;
}
