/* lwIP as this device needs it: TCP over Ethernet with a fixed address, called from one loop; all its memory static. */

#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define CONNECTIONS 8 /* that are served at a time, event streams among them */
#define PARTING 6     /* more that are being refused, or have yet to hear the end */

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0 /* nothing calls lwIP from an interrupt */
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define LWIP_RAW 0
#define LWIP_UDP 0
#define LWIP_IPV6 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define LWIP_STATS 0
#define LWIP_NETIF_STATUS_CALLBACK 0
#define ETH_PAD_SIZE 2 /* IP headers on word boundaries */

/* What comes is read at once. What a client has yet to confirm is held, for as long as a connection has its place: an
   answer and its head, the list of tools apart, which lies in flash. Of all of them together that fits into MEM_SIZE:
   who does not read takes nothing from others. */
#define TCP_MSS 536
#define TCP_WND (3 * TCP_MSS)
#define TCP_SND_BUF (7 * TCP_MSS)
#define TCP_SND_QUEUELEN 16
#define TCP_QUEUE_OOSEQ 0
#define TCP_OVERSIZE 0
#define TCP_MSL 1000
#define LWIP_TCP_KEEPALIVE 0

#define MEM_ALIGNMENT 4
#define MEM_SIZE (CONNECTIONS * 2112 + PARTING * 384)
#define MEMP_NUM_TCP_PCB (CONNECTIONS + PARTING)
#define MEMP_NUM_TCP_PCB_LISTEN 1
#define MEMP_NUM_TCP_SEG (CONNECTIONS * 8 + PARTING * 2)
#define MEMP_NUM_PBUF (CONNECTIONS * 6)
#define MEMP_NUM_ARP_QUEUE 2
#define ARP_TABLE_SIZE 4
#define PBUF_POOL_SIZE 8
#define PBUF_POOL_BUFSIZE 320

#endif
