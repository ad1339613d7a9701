/* SMSC LAN9118, as it is on the MPS2 board. Frames are read from and written to its FIFOs word by word; its interrupt
   only ends the processor's sleep, all the rest is done by ethernet_poll. */

#include "ethernet.h"

#include <lwip/etharp.h>
#include <netif/ethernet.h>
#include <string.h>

#include "../board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(0x40200000u + (offset)))
#define RX_DATA REGISTER(0x00)
#define TX_DATA REGISTER(0x20)
#define RX_STATUS REGISTER(0x40)
#define TX_STATUS REGISTER(0x48)
#define IRQ_CFG REGISTER(0x54)
#define INT_STS REGISTER(0x58)
#define INT_EN REGISTER(0x5C)
#define FIFO_INT REGISTER(0x68)
#define RX_CFG REGISTER(0x6C)
#define TX_CFG REGISTER(0x70)
#define HW_CFG REGISTER(0x74)
#define RX_FIFO_INF REGISTER(0x7C)
#define TX_FIFO_INF REGISTER(0x80)
#define PMT_CTRL REGISTER(0x84)
#define MAC_CMD REGISTER(0xA4)
#define MAC_DATA REGISTER(0xA8)
#define AFC_CFG REGISTER(0xAC)
#define NVIC_ENABLE (*(volatile uint32_t *)0xE000E100u)

enum { MAC_CR = 1, MAC_ADDRH = 2, MAC_ADDRL = 3, MAC_MII_ACC = 6, MAC_MII_DATA = 7 };
enum { ETHERNET_IRQ = 13, CRC = 4, RX_STATUS_LEVEL = 1 << 3, TX_ON = 2, FULL_DUPLEX = 1 << 20, TXEN = 8, RXEN = 4 };

#define MAC_BUSY 0x80000000u
#define MAC_READ 0x40000000u

/* ---- the controller's inner registers */

static uint32_t mac_read(uint32_t which) {
    MAC_CMD = MAC_BUSY | MAC_READ | which;
    while (MAC_CMD & MAC_BUSY) continue;
    return MAC_DATA;
}

static void mac_write(uint32_t which, uint32_t value) {
    MAC_DATA = value;
    MAC_CMD = MAC_BUSY | which;
    while (MAC_CMD & MAC_BUSY) continue;
}

/* The PHY is number 1; its register 0 takes the command to negotiate anew. */
static void negotiate(void) {
    mac_write(MAC_MII_DATA, 0x1200);
    mac_write(MAC_MII_ACC, 1u << 11 | 2 | 1);
    while (mac_read(MAC_MII_ACC) & 1) continue;
}

/* ---- frames out */

static uint32_t tx_room(void) {
    return TX_FIFO_INF & 0xFFFFu;
}

/* A chain of buffers, of any lengths, as words. */
static void write_words(const struct pbuf *p) {
    uint32_t word = 0;
    unsigned shift = 0;
    for (; p; p = p->next) {
        const uint8_t *bytes = p->payload;
        for (unsigned i = 0; i < p->len; i++) {
            word |= (uint32_t)bytes[i] << shift;
            shift = (shift + 8) % 32;
            if (shift == 0) {
                TX_DATA = word;
                word = 0;
            }
        }
    }
    if (shift != 0) TX_DATA = word;
}

/* Where the FIFO is full the frame is lost, and TCP repeats it. */
static err_t transmit(struct netif *n, struct pbuf *p) {
    uint32_t len = (uint32_t)p->tot_len - ETH_PAD_SIZE;
    (void)n;
    while (TX_FIFO_INF >> 16 & 0xFF) (void)TX_STATUS;
    if (tx_room() < (uint32_t)p->tot_len + 16) return ERR_MEM;
    TX_DATA = (uint32_t)ETH_PAD_SIZE << 16 | 1u << 13 | 1u << 12 | len; /* first and last piece */
    TX_DATA = len;
    write_words(p);
    return ERR_OK;
}

/* ---- frames in */

static void read_words(struct pbuf *p, uint32_t words) {
    uint32_t word = 0;
    unsigned have = 0;
    for (; p; p = p->next) {
        uint8_t *bytes = p->payload;
        for (unsigned i = 0; i < p->len; i++) {
            if (have == 0) {
                word = RX_DATA;
                words--;
                have = 4;
            }
            bytes[i] = (uint8_t)word;
            word >>= 8;
            have--;
        }
    }
    while (words-- > 0) (void)RX_DATA; /* the CRC */
}

/* NULL: it was damaged, or there is no buffer; then TCP repeats it. */
static struct pbuf *receive(void) {
    uint32_t status = RX_STATUS;
    uint32_t len = status >> 16 & 0x3FFF;
    uint32_t words = (len + ETH_PAD_SIZE + 3) / 4;
    bool good = (status & 0x8000u) == 0 && len > CRC;
    struct pbuf *p = good ? pbuf_alloc(PBUF_RAW, (u16_t)(len - CRC + ETH_PAD_SIZE), PBUF_POOL) : NULL;
    read_words(p, words);
    return p;
}

void board_on_ethernet(void);
void board_on_ethernet(void) {
    INT_EN = 0;
}

static bool received(void) {
    return (RX_FIFO_INF >> 16 & 0xFF) != 0;
}

/* Not more at a time than there are buffers: a flood must not keep the loop from all else. */
bool ethernet_poll(struct netif *n) {
    bool any = received();
    for (int left = PBUF_POOL_SIZE; left > 0 && received(); left--) {
        struct pbuf *p = receive();
        if (p && n->input(p, n) != ERR_OK) pbuf_free(p);
    }
    INT_STS = 0xFFFFFFFFu;
    INT_EN = RX_STATUS_LEVEL;
    return any;
}

/* ---- start */

static void start(void) {
    while ((PMT_CTRL & 1) == 0) continue; /* awake */
    HW_CFG = 0x00150000;                  /* half of the memory for sending, whole frames at a time */
    AFC_CFG = 0x006E3740;
    FIFO_INT = 0;
    IRQ_CFG = 0x00000111; /* on, active high, push-pull */
    RX_CFG = (uint32_t)ETH_PAD_SIZE << 8;
    TX_CFG = TX_ON;
    negotiate();
    mac_write(MAC_CR, FULL_DUPLEX | TXEN | RXEN);
    NVIC_ENABLE = 1u << ETHERNET_IRQ;
}

/* The controller has its address from an EEPROM. */
err_t ethernet_init(struct netif *n) {
    uint32_t address[2];
    start();
    address[0] = mac_read(MAC_ADDRL);
    address[1] = mac_read(MAC_ADDRH);
    n->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(n->hwaddr, address, ETH_HWADDR_LEN);
    n->name[0] = 'e';
    n->name[1] = 'n';
    n->mtu = 1500;
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_LINK_UP;
    n->output = etharp_output;
    n->linkoutput = transmit;
    return ERR_OK;
}
