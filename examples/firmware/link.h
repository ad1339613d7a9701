/* link.h - uart_transport.h on a board's link. */

#ifndef LINK_H
#define LINK_H

#include "uart_transport.h"

#include "board.h"

static inline bool link_put(void *user, uint8_t byte) {
    (void)user;
    return board_link_put(byte);
}

static inline uint64_t link_now_ms(void *user) {
    (void)user;
    return board_now_ms();
}

static inline void link_received(void *user, uint8_t byte, bool lost) {
    uart_receive((uart *)user, byte, lost);
}

static inline mcpsess_redis_transport link_start(uart *u) {
    static const uart_port port = {link_put, link_now_ms, board_random, NULL};
    uart_init(u, &port);
    board_link_start(link_received, u);
    return uart_transport(u);
}

#endif
