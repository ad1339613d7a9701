/* examples/uart_transport.h between an engine and a wire of this process: what goes out, what is thrown away, what is
   handed out, byte by byte. */

#define MCPSESS_IMPLEMENTATION
#define UART_RX_SIZE 64
#define UART_TX_SIZE 128
#include "../../examples/uart_transport.h"

#include "../unit/tap.h"

static struct {
    uart u;
    char sent[4096]; /* out on the wire */
    size_t sent_len, room;
    uint64_t now_ms;
    uint8_t random;
    bool random_fails;
} wire;

static bool put(void *user, uint8_t byte) {
    (void)user;
    if (wire.room == 0 || wire.sent_len == sizeof wire.sent) return false;
    wire.room--;
    wire.sent[wire.sent_len++] = (char)byte;
    return true;
}

static uint64_t now(void *user) {
    (void)user;
    return wire.now_ms;
}

static int not_random(void *user, void *dst, size_t len) {
    (void)user;
    memset(dst, wire.random++, len);
    return wire.random_fails ? -1 : 0;
}

static void start(void) {
    static const uart_port port = {put, now, not_random, NULL};
    memset(&wire, 0, sizeof wire);
    wire.room = SIZE_MAX;
    uart_init(&wire.u, &port);
}

static void feed(const char *text) {
    while (*text != '\0') uart_receive(&wire.u, (uint8_t)*text++, false);
}

/* The word that was sent last, from letter `from` to letter `to`. */
static void feed_word(unsigned from, unsigned to) {
    const char *word = wire.sent + wire.sent_len - UART_WORD - 2;
    while (from < to) uart_receive(&wire.u, (uint8_t)word[from++], false);
}

/* The answer to it. */
static void feed_answer(void) {
    feed("-ERR unknown command '");
    feed_word(0, UART_WORD);
    feed("', ");
    CHECK_EQ(uart_open(&wire.u), 0);
    feed("with args beginning with: \r\n");
}

static void start_open(void) {
    start();
    CHECK_EQ(uart_open(&wire.u), 0);
    feed_answer();
    CHECK_EQ(uart_open(&wire.u), 1);
    wire.sent_len = 0;
}

static bool received(const char *want) {
    char got[128];
    int n = uart_recv(&wire.u, got, sizeof got);
    return n == (int)strlen(want) && memcmp(got, want, strlen(want)) == 0;
}

static bool sent(const char *want) {
    bool same = wire.sent_len == strlen(want) && memcmp(wire.sent, want, wire.sent_len) == 0;
    wire.sent_len = 0;
    return same;
}

/* Is what was sent a whole try, from `from` on? */
static bool is_a_try(size_t from) {
    const char *text = wire.sent + from;
    size_t n;
    if (wire.sent_len - from != UART_TX_SIZE + 7 + UART_WORD + 2) return false;
    for (n = 0; n < UART_TX_SIZE; n++) {
        if (text[n] != (n % 2 == 0 ? '\r' : '\n')) return false;
    }
    text += UART_TX_SIZE;
    return memcmp(text, "RESET\r\nN", 8) == 0 && memcmp(text + 7 + UART_WORD, "\r\n", 2) == 0;
}

/* ---- opening */

TEST(opening_sends_line_ends_then_reset_then_a_word) {
    unsigned turns = 0;
    start();
    wire.room = 0;
    CHECK_EQ(uart_open(&wire.u), 0);
    CHECK_EQ(wire.sent_len, 0);
    for (; !is_a_try(0) && turns < 1000; turns++) {
        wire.room = 3;
        CHECK_EQ(uart_open(&wire.u), 0);
    }
    CHECK(turns > 40 && turns < 60);
    wire.room = SIZE_MAX;
    feed_answer();
    CHECK_EQ(uart_open(&wire.u), 1);
    CHECK(is_a_try(0));
    CHECK_EQ(wire.u.opens, 1);
}

TEST(what_was_under_way_is_thrown_away) {
    start();
    feed("lo\r\n+OK\r\nN");
    CHECK_EQ(uart_open(&wire.u), 0);
    feed("*1\r\n$3\r\nNNN\r\n+RESET\r\nN");
    feed_answer();
    feed("+first\r\n");
    CHECK_EQ(uart_open(&wire.u), 1);
    CHECK(received("+first\r\n"));
    CHECK_EQ(wire.u.discarded, 10 + 24 + 22 + UART_WORD + 29);
}

TEST(the_word_of_an_earlier_try_opens_nothing) {
    char first[UART_WORD + 1] = {0};
    start();
    CHECK_EQ(uart_open(&wire.u), 0);
    memcpy(first, wire.sent + wire.sent_len - UART_WORD - 2, UART_WORD);
    feed(first);
    CHECK_EQ(uart_open(&wire.u), 0);
    wire.now_ms += UART_RETRY_MS;
    wire.sent_len = 0;
    CHECK_EQ(uart_open(&wire.u), 0);
    CHECK(is_a_try(0));
    CHECK_EQ(wire.u.tries, 2);
    feed("' is what the end of its line comes after\r\n");
    CHECK_EQ(uart_open(&wire.u), 0);
    feed(first);
    feed("'\r\n");
    CHECK_EQ(uart_open(&wire.u), 0);
    feed_answer();
    CHECK_EQ(uart_open(&wire.u), 1);
}

TEST(a_word_is_found_behind_its_own_first_letter) {
    start();
    CHECK_EQ(uart_open(&wire.u), 0);
    feed_word(0, 1);
    feed_word(0, UART_WORD);
    feed("\n");
    CHECK_EQ(uart_open(&wire.u), 1);
}

/* -> ms until it is sent again */
static uint64_t next_try(void) {
    uint64_t begun_ms = wire.now_ms;
    unsigned tries = wire.u.tries;
    CHECK_EQ(uart_open(&wire.u), 0);
    while (wire.u.tries == tries && wire.now_ms < begun_ms + 10000) {
        wire.now_ms++;
        CHECK_EQ(uart_open(&wire.u), 0);
    }
    return wire.now_ms - begun_ms;
}

TEST(without_an_answer_it_is_sent_again_after_a_while_that_doubles) {
    static const uint64_t want_ms[] = {200, 400, 800, 1600, 1600};
    unsigned n;
    start();
    CHECK_EQ(uart_open(&wire.u), 0);
    for (n = 0; n < 5; n++) {
        CHECK_EQ(next_try(), want_ms[n]);
        uart_close(&wire.u); /* that the engine gave up in between changes nothing */
        CHECK_EQ(uart_open(&wire.u), 0);
    }
    wire.sent_len = 0;
    CHECK_EQ(next_try(), 1600);
    feed_answer();
    CHECK_EQ(uart_open(&wire.u), 1);
    uart_close(&wire.u);
    CHECK_EQ(uart_open(&wire.u), 0);
    CHECK_EQ(next_try(), 200);
}

TEST(the_time_for_an_answer_begins_when_all_is_sent) {
    start();
    wire.room = 60; /* all is in line, and not sent */
    CHECK_EQ(uart_open(&wire.u), 0);
    wire.now_ms += 3000;
    CHECK_EQ(uart_open(&wire.u), 0);
    wire.now_ms += 3000;
    CHECK_EQ(uart_open(&wire.u), 0);
    CHECK_EQ(wire.u.tries, 1);
    wire.room = SIZE_MAX;
    CHECK_EQ(uart_open(&wire.u), 0);
    CHECK_EQ(next_try(), UART_RETRY_MS);
}

TEST(an_answer_with_a_byte_missing_is_none) {
    start();
    CHECK_EQ(uart_open(&wire.u), 0);
    feed_word(0, 8);
    uart_receive(&wire.u, 'x', true);
    CHECK_EQ(uart_open(&wire.u), 0);
    feed_word(8, UART_WORD);
    feed("\r\n");
    CHECK_EQ(uart_open(&wire.u), 0);
    feed_answer(); /* nothing of what came before is in the way */
    CHECK_EQ(uart_open(&wire.u), 1);
    CHECK_EQ(wire.u.overruns, 1);
}

TEST(without_random_bytes_it_does_not_open) {
    start();
    wire.random_fails = true;
    CHECK_EQ(uart_open(&wire.u), -1);
    CHECK_EQ(wire.sent_len, 0);
}

/* ---- bytes in */

TEST(after_an_overrun_what_came_before_is_handed_out_and_no_more) {
    start_open();
    feed("+OK\r\n$5\r\nhe");
    uart_receive(&wire.u, 'o', true);
    feed("\r\n");
    CHECK(received("+OK\r\n$5\r\nhe"));
    CHECK_EQ(uart_recv(&wire.u, wire.sent, 0), 0);
    CHECK_EQ(uart_recv(&wire.u, wire.sent, 1), -1);
    CHECK_EQ(uart_recv(&wire.u, wire.sent, 1), -1);
    CHECK_EQ(wire.u.overruns, 1);
    uart_close(&wire.u);
    CHECK_EQ(uart_open(&wire.u), 0);
    feed_answer();
    CHECK_EQ(uart_open(&wire.u), 1);
    feed("+again\r\n");
    CHECK(received("+again\r\n"));
}

TEST(a_ring_that_is_full_is_an_overrun) {
    char want[UART_RX_SIZE + 1];
    unsigned n;
    start_open();
    memset(want, 'x', sizeof want);
    want[UART_RX_SIZE] = '\0';
    feed(want);
    CHECK_EQ(wire.u.overflows, 0);
    CHECK(received(want));
    feed(want);
    for (n = 0; n < 3; n++) uart_receive(&wire.u, 'y', false);
    CHECK_EQ(wire.u.overflows, 1);
    CHECK(received(want));
    CHECK_EQ(uart_recv(&wire.u, want, 1), -1);
}

TEST(bytes_come_in_order_past_the_wrap_of_every_index) {
    uint32_t in = 0, out = 0, n;
    uint8_t bytes[UART_RX_SIZE];
    bool good = true;
    start_open();
    while (in < 200000) {
        uint32_t count = tap_random() % (UART_RX_SIZE + 1 - (in - out));
        for (n = 0; n < count; n++) uart_receive(&wire.u, (uint8_t)(in++ * 7), false);
        count = (uint32_t)uart_recv(&wire.u, bytes, tap_random() % sizeof bytes);
        for (n = 0; n < count; n++) good = good && bytes[n] == (uint8_t)(out++ * 7);
    }
    CHECK(good);
    CHECK_EQ(wire.u.overflows, 0);
}

/* ---- bytes out */

static size_t fill(char *bytes, char c, size_t n) {
    memset(bytes, c, n);
    return n;
}

TEST(what_is_offered_is_taken_as_a_whole_or_not_yet) {
    char bytes[UART_TX_SIZE + 1];
    start_open();
    wire.room = 10;
    CHECK_EQ(uart_send(&wire.u, bytes, fill(bytes, 'a', 100)), 100);
    CHECK_EQ(wire.sent_len, 10);
    CHECK_EQ(uart_send(&wire.u, bytes, fill(bytes, 'b', 39)), 0);
    CHECK_EQ(uart_send(&wire.u, bytes, fill(bytes, 'b', 38)), 38);
    wire.room = 90;
    CHECK_EQ(uart_recv(&wire.u, bytes, 1), 0); /* sends, too */
    CHECK_EQ(wire.sent_len, 100);
    wire.room = SIZE_MAX;
    CHECK_EQ(uart_send(&wire.u, bytes, fill(bytes, 'c', UART_TX_SIZE)), UART_TX_SIZE);
    CHECK_EQ(wire.sent_len, 100 + 38 + UART_TX_SIZE);
    CHECK(wire.sent[99] == 'a' && wire.sent[100] == 'b' && wire.sent[137] == 'b' && wire.sent[138] == 'c');
}

TEST(more_than_there_will_ever_be_room_for_is_an_error) {
    char bytes[UART_TX_SIZE + 1];
    start_open();
    CHECK_EQ(uart_send(&wire.u, bytes, fill(bytes, 'a', UART_TX_SIZE + 1)), -1);
}

TEST(a_command_that_was_begun_goes_out_to_its_end_before_it_is_opened_anew) {
    start_open();
    wire.room = 4;
    CHECK_EQ(uart_send(&wire.u, "*1\r\n$4\r\nPING\r\n", 14), 14);
    uart_close(&wire.u);
    wire.room = SIZE_MAX;
    CHECK_EQ(uart_open(&wire.u), 0);
    CHECK(memcmp(wire.sent, "*1\r\n$4\r\nPING\r\n", 14) == 0);
    CHECK(is_a_try(14));
}

TEST(it_wants_to_be_polled_while_there_is_something_to_do) {
    start_open();
    CHECK_EQ(uart_want(&wire.u, MCPSESS_WANT_READ), MCPSESS_WANT_READ);
    feed("x");
    CHECK_EQ(uart_want(&wire.u, MCPSESS_WANT_READ), MCPSESS_WANT_READ | MCPSESS_WANT_NOW);
    CHECK_EQ(uart_want(&wire.u, MCPSESS_WANT_TIME), MCPSESS_WANT_TIME);
    CHECK(received("x"));
    uart_receive(&wire.u, 'x', true);
    CHECK_EQ(uart_want(&wire.u, MCPSESS_WANT_READ), MCPSESS_WANT_READ | MCPSESS_WANT_NOW);
    start_open();
    wire.room = 1;
    CHECK_EQ(uart_send(&wire.u, "xy", 2), 2);
    CHECK_EQ(uart_want(&wire.u, MCPSESS_WANT_TIME), MCPSESS_WANT_TIME | MCPSESS_WANT_NOW);
    wire.room = 1;
    CHECK_EQ(uart_send(&wire.u, "", 0), 0);
    CHECK_EQ(uart_want(&wire.u, MCPSESS_WANT_TIME), MCPSESS_WANT_TIME);
    CHECK(sent("xy"));
}

int main(void) {
    int status;
    port_init();
    RUN(opening_sends_line_ends_then_reset_then_a_word);
    RUN(what_was_under_way_is_thrown_away);
    RUN(the_word_of_an_earlier_try_opens_nothing);
    RUN(a_word_is_found_behind_its_own_first_letter);
    RUN(without_an_answer_it_is_sent_again_after_a_while_that_doubles);
    RUN(the_time_for_an_answer_begins_when_all_is_sent);
    RUN(an_answer_with_a_byte_missing_is_none);
    RUN(without_random_bytes_it_does_not_open);
    RUN(after_an_overrun_what_came_before_is_handed_out_and_no_more);
    RUN(a_ring_that_is_full_is_an_overrun);
    RUN(bytes_come_in_order_past_the_wrap_of_every_index);
    RUN(what_is_offered_is_taken_as_a_whole_or_not_yet);
    RUN(more_than_there_will_ever_be_room_for_is_an_error);
    RUN(a_command_that_was_begun_goes_out_to_its_end_before_it_is_opened_anew);
    RUN(it_wants_to_be_polled_while_there_is_something_to_do);
    status = tap_finish();
    port_exit(status);
    return status;
}
