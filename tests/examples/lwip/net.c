#include "net.h"

#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void must(int good, const char *what) {
    if (good) return;
    perror(what);
    exit(3);
}

/* ---- the interface */

static struct netif interface;
static sem_t up;

static err_t nowhere(struct netif *n, struct pbuf *p, const ip4_addr_t *to) {
    (void)n;
    (void)p;
    (void)to;
    return ERR_OK;
}

static err_t init_interface(struct netif *n) {
    n->name[0] = 't';
    n->name[1] = 'e';
    n->mtu = 1500;
    n->output = nowhere;
    return ERR_OK;
}

static void add_interface(void *user) {
    ip4_addr_t address, mask;
    (void)user;
    IP4_ADDR(&address, 10, 0, 0, 1);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    must(netif_add(&interface, &address, &mask, &address, NULL, init_interface, tcpip_input) != NULL, "netif_add");
    netif_set_default(&interface);
    netif_set_link_up(&interface);
    netif_set_up(&interface);
    sem_post(&up);
}

const ip_addr_t *net_begin(void) {
    sem_init(&up, 0, 0);
    tcpip_init(add_interface, NULL);
    sem_wait(&up);
    return &interface.ip_addr;
}

/* ---- the bridge */

typedef struct bridge {
    struct tcp_pcb *pcb; /* NULL: gone. Under lwIP's lock */
    int fd;
    sem_t sent;
} bridge;

static struct sockaddr_un path_of_server;

static err_t on_received(void *user, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
    bridge *b = user;
    (void)error;
    if (!p) {
        shutdown(b->fd, SHUT_RDWR);
        return ERR_OK;
    }
    for (struct pbuf *q = p; q; q = q->next) must(write(b->fd, q->payload, q->len) == q->len, "write");
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static err_t on_sent(void *user, struct tcp_pcb *pcb, u16_t len) {
    bridge *b = user;
    (void)pcb;
    (void)len;
    sem_post(&b->sent);
    return ERR_OK;
}

static void on_error(void *user, err_t error) {
    bridge *b = user;
    (void)error;
    b->pcb = NULL;
    shutdown(b->fd, SHUT_RDWR);
    sem_post(&b->sent);
}

static bool send_all(bridge *b, const char *bytes, size_t len) {
    while (len > 0) {
        size_t n;
        LOCK_TCPIP_CORE();
        if (!b->pcb) {
            UNLOCK_TCPIP_CORE();
            return false;
        }
        n = tcp_sndbuf(b->pcb) < len ? tcp_sndbuf(b->pcb) : len;
        if (n > 0 && tcp_write(b->pcb, bytes, (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK) n = 0;
        tcp_output(b->pcb);
        UNLOCK_TCPIP_CORE();
        bytes += n;
        len -= n;
        if (n == 0) sem_wait(&b->sent);
    }
    return true;
}

static void *from_server(void *user) {
    bridge *b = user;
    char bytes[4096];
    ssize_t n;
    while ((n = read(b->fd, bytes, sizeof bytes)) > 0 && send_all(b, bytes, (size_t)n)) continue;
    LOCK_TCPIP_CORE();
    if (b->pcb) {
        tcp_arg(b->pcb, NULL);
        tcp_recv(b->pcb, NULL);
        tcp_sent(b->pcb, NULL);
        tcp_err(b->pcb, NULL);
        tcp_close(b->pcb);
    }
    UNLOCK_TCPIP_CORE();
    close(b->fd);
    free(b);
    return NULL;
}

static err_t on_accept(void *user, struct tcp_pcb *pcb, err_t error) {
    bridge *b = calloc(1, sizeof *b);
    pthread_t thread;
    (void)user;
    must(error == ERR_OK && b != NULL, "accept");
    b->pcb = pcb;
    b->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    must(connect(b->fd, (struct sockaddr *)(void *)&path_of_server, sizeof path_of_server) == 0, "connect");
    sem_init(&b->sent, 0, 0);
    tcp_arg(pcb, b);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_nagle_disable(pcb);
    must(pthread_create(&thread, NULL, from_server, b) == 0, "pthread_create");
    pthread_detach(thread);
    return ERR_OK;
}

void bridge_begin(u16_t port, const char *path) {
    struct tcp_pcb *listener;
    path_of_server.sun_family = AF_UNIX;
    snprintf(path_of_server.sun_path, sizeof path_of_server.sun_path, "%s", path);
    LOCK_TCPIP_CORE();
    listener = tcp_new();
    must(listener && tcp_bind(listener, IP_ANY_TYPE, port) == ERR_OK, "tcp_bind");
    listener = tcp_listen(listener);
    tcp_accept(listener, on_accept);
    UNLOCK_TCPIP_CORE();
}
