/* An 8-bit microcontroller talks to Redis: an ATmega1284, whose UART leads to the server, asks for a few things with
   the engine alone, without store or sessions, and says on the console what came back.

   `make firmware` builds it. Its simulator is tests/targets/simavr.c, which leads USART0 to a socket:

     gcc -o build/simavr tests/targets/simavr.c -lsimavr -lelf -lm
     build/simavr build/firmware/exchange-avr /tmp/redis.sock

   The server needs the user of mcpsess_redis.h's manual, password "secret". The exit status is 0 if every answer was as
   it must be. */

#define MCPSESS_NO_STREAM
#define MCPSESS_NO_FLIGHT
#define MCPSESS_NO_BACKEND
#define MCPSESS_REDIS_NO_COMPAT
#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#define UART_RX_SIZE 128
#define UART_TX_SIZE 256
#include "link.h"

enum { SLOTS = 2, RX = 256, GIVE_UP_MS = 20000 };

/* A command, and what it must bring. */
typedef struct exchange {
    mcpsess_str argv[5];
    size_t argc;
    int code;
    mcpsess_str answer; /* ptr NULL: none */
} exchange;

static uart wire;
static mcpsess_redis redis;
MCPSESS_REDIS_STORAGE(memory, SLOTS, UART_TX_SIZE, RX);

static void print(mcpsess_str text) {
    char c[2] = {0, 0};
    size_t n;
    for (n = 0; n < text.len; n++) {
        c[0] = text.ptr[n];
        board_print(c);
    }
}

static int init(void) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    d.transport = link_start(&wire);
    d.random = board_random;
    d.user = MCPSESS_STR("mcpsess");
    d.password = MCPSESS_STR("secret");
    d.slots = SLOTS;
    d.tx_bytes = UART_TX_SIZE;
    d.rx_bytes = RX;
    d.tracking = MCPSESS_REDIS_TRACK_OFF;
    return mcpsess_redis_init(&redis, &d, memory.bytes, sizeof memory.bytes);
}

/* ---- one exchange */

/* Steps op until it is done, and sleeps whenever there is nothing to do before the next interrupt. */
static int wait_for(mcpsess_op *op, int rc) {
    while (rc == MCPSESS_PENDING) {
        if ((uart_want(&wire, mcpsess_want(op)) & MCPSESS_WANT_NOW) == 0) board_idle();
        rc = mcpsess_poll(op, board_now_ms());
    }
    return rc;
}

static bool is_as_it_must_be(const exchange *x, int rc, mcpsess_str answer) {
    if (rc != x->code) return false;
    if (rc != MCPSESS_OK) return mcpsess_redis_error(&redis).len > 0;
    return x->answer.ptr == NULL ? answer.ptr == NULL : mcpsess_str_eq(answer, x->answer);
}

static bool run(const exchange *x) {
    char bytes[128];
    mcpsess_redis_op op;
    mcpsess_buf reply;
    mcpsess_str answer;
    bool good;
    int rc;
    mcpsess_op_init(&op.op, GIVE_UP_MS);
    mcpsess_buf_init(&reply, bytes, sizeof bytes);
    rc = wait_for(&op.op, mcpsess_redis_cmd(&redis, &op, x->argv, x->argc, &reply, board_now_ms()));
    answer = mcpsess_redis_text(mcpsess_buf_str(&reply));
    good = is_as_it_must_be(x, rc, answer);
    print(x->argv[0]);
    print(MCPSESS_STR(": "));
    if (rc == MCPSESS_OK) print(answer.ptr == NULL ? MCPSESS_STR("(nothing)") : answer);
    else print(mcpsess_redis_error(&redis));
    print(good ? MCPSESS_STR("\n") : MCPSESS_STR(" <- WRONG\n"));
    return good;
}

int main(void) {
    const exchange all[] = {
        {{MCPSESS_STR("SET"), MCPSESS_STR("mcpsess:exchange"), MCPSESS_STR("21 degrees"), MCPSESS_STR("EX"),
          MCPSESS_STR("600")},
         5,
         MCPSESS_OK,
         MCPSESS_STR("OK")},
        {{MCPSESS_STR("GET"), MCPSESS_STR("mcpsess:exchange")}, 2, MCPSESS_OK, MCPSESS_STR("21 degrees")},
        {{MCPSESS_STR("GET"), MCPSESS_STR("mcpsess:absent")}, 2, MCPSESS_OK, {NULL, 0}},
        {{MCPSESS_STR("GET")}, 1, MCPSESS_REDIS_E_SYNTAX, {NULL, 0}},
        {{MCPSESS_STR("GET"), MCPSESS_STR("elsewhere")}, 2, MCPSESS_REDIS_E_NOPERM, {NULL, 0}},
    };
    bool good = true;
    size_t n;
    board_init();
    if (init() != MCPSESS_OK) board_exit(2);
    for (n = 0; n < sizeof all / sizeof all[0]; n++) good = run(&all[n]) && good;
    mcpsess_redis_close(&redis);
    board_print(good ? "end: all as it must be\n" : "end: FAILED\n");
    board_exit(good ? 0 : 1);
}
