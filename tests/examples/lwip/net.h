/* Debian's lwIP, which runs in a thread of its own, with one interface that leads nowhere but back. */
#ifndef NET_H
#define NET_H

#include <lwip/ip_addr.h>

/* -> the address of this machine within lwIP */
const ip_addr_t *net_begin(void);

/* Listens at a port within lwIP and passes all bytes on to a Unix socket, and back. */
void bridge_begin(u16_t port, const char *path);

#endif
