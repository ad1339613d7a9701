/* ethernet.h - the LAN9118 as an interface of lwIP. */

#ifndef ETHERNET_H
#define ETHERNET_H

#include <lwip/netif.h>

err_t ethernet_init(struct netif *n); /* a netif_init_fn */
/* Hands lwIP the frames that have come; from then on the next one ends board_idle. -> false: there was none */
bool ethernet_poll(struct netif *n);

#endif
