/* RESP, written: commands of short words, and pieces of any number, into rooms too small and large enough. */

#include "mcpsess_redis.h"
#include "prove.h"

static char words[2][3], room[40];

static void command(unsigned a, unsigned b, unsigned argc, unsigned cap) {
    mcpsess_str argv[2] = {ANY_TAIL(words[0], a), ANY_TAIL(words[1], b)};
    mcpsess_buf out;
    TAIL_BUF(out, room, cap);
    (void)mcpsess_resp_put_command(&out, argv, argc);
    memset(room, 0, sizeof room);
}

static void command_bytes(void) {
    mcpsess_str argv[2] = {{NULL, 0}, {words[0], 0}};
    argv[0].len = (size_t)any_u64();
    argv[1].len = (size_t)any_u64();
    (void)mcpsess_resp_command_bytes(argv, 2);
    (void)mcpsess_resp_command_bytes(argv + 1, 1);
}

static void pieces(unsigned n, unsigned cap) {
    mcpsess_buf out;
    TAIL_BUF(out, room, cap);
    mcpsess_resp_put_number(&out, (uint8_t)any_u64(), (int64_t)any_u64());
    TAIL_BUF(out, room, cap);
    mcpsess_resp_put_text(&out, (uint8_t)any_u64(), ANY_TAIL(words[0], n));
    TAIL_BUF(out, room, cap);
    mcpsess_resp_put_bytes(&out, (uint8_t)any_u64(), ANY_TAIL(words[0], n));
    memset(room, 0, sizeof room);
}

int main(void) {
    EACH(argc, 2) EACH(a, 3) EACH(b, 3) EACH(cap, sizeof room) command(a, b, argc, cap);
    EACH(n, 3) EACH(cap, 25) pieces(n, cap);
    command_bytes();
    (void)mcpsess_resp_put_command(NULL, NULL, 0);
    /*@ assert reached: \true; */
    return 0;
}
