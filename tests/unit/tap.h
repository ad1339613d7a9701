/* The test harness: TAP through one putchar hook. No stdio, heap or setjmp, so the same tests run on a host and on a
   bare microcontroller. A port is one file, port_<name>.c, with the three functions below; sizes come from PORT_...
   macros. */

#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stdint.h>

#ifndef PORT_SMALL
#define PORT_SMALL 0 /* 1: a few KiB of RAM; tests take smaller tables */
#endif
#ifndef PORT_ROUNDS
#define PORT_ROUNDS 20000uL /* random operations per model test */
#endif

#ifndef PORT_TEXT
#define PORT_TEXT(literal) (literal) /* places a text, and reads a character of it: AVR keeps them in flash */
#define PORT_TEXT_CHAR(p) (*(p))
#endif

/* the port */
void port_init(void);
void port_putchar(char c);
void port_exit(int status);

/* A test: TEST(name) { CHECK(...); } in a file, and RUN(name); in that file's suite function. One TAP line a test. */
#define TEST(name) static void name(void)
#define RUN(name) (tap_begin(PORT_TEXT(#name)), name(), tap_end())
#define CHECK(cond) tap_check((cond), __FILE__, __LINE__, PORT_TEXT(#cond))
/* compares two integers and prints both when they differ */
#define CHECK_EQ(got, want) tap_check_eq((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, PORT_TEXT(#got))
/* compares a mcpsess_str with a literal, byte by byte */
#define CHECK_STR(got, literal) \
    tap_check(mcpsess_str_eq((got), MCPSESS_STR(literal)), __FILE__, __LINE__, PORT_TEXT(#got " is " literal))

void tap_begin(const char *name);
void tap_end(void);
bool tap_check(bool ok, const char *file, int line, const char *what);
bool tap_check_eq(int64_t got, int64_t want, const char *file, int line, const char *what);
void tap_note(const char *text, int64_t number); /* a "# text number" line */
int tap_finish(void);                            /* prints the plan; 0: all passed */

/* a small deterministic generator for model tests: same seed, same run, on every target */
uint32_t tap_random(void);
void tap_seed(uint32_t seed);

/* the suites, one per file test_<module>.c */
void test_backend(void);
void test_backend_data(void);
void test_backend_faults(void);
void test_backend_keep(void);
void test_backend_model(void);
void test_backend_ops(void);
void test_backend_own(void);
void test_backends(void);
void test_base(void);
void test_coherence(void);
void test_csharp(void);
void test_csharpstore(void);
void test_eventid(void);
void test_flags(void);
void test_librechat(void);
void test_flight(void);
void test_flight_model(void);
void test_flight_ops(void);
void test_flight_wait(void);
void test_log_model(void);
void test_lru(void);
void test_memlog(void);
void test_lease(void);
void test_log_contract(void);
void test_memstore(void);
void test_merge(void);
void test_merge_model(void);
void test_backend_rows(void);
void test_record(void);
void test_redis(void);
void test_redis_life(void);
void test_redis_model(void);
void test_redis_outcomes(void);
void test_redis_session(void);
void test_redisstore(void);
void test_rlogs(void);
void test_rflags(void);
void test_toolhive(void);
void test_resp(void);
void test_ring(void);
void test_session(void);
void test_session_io(void);
void test_session_model(void);
void test_sse(void);
void test_stream(void);
void test_stream_read(void);

#endif
