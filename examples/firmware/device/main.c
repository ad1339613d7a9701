/* The loop, and what is said on the console. */

#include "device.h"

#include <lwip/init.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>

#include "ethernet.h"

static struct netif network;
static volatile bool asked, stopped; /* by a key, from the serial port */

u32_t sys_now(void) {
    return (u32_t)now_ms();
}

/* ---- counters ---- */

static void say(const char *what, uint32_t n) {
    char text[64];
    mcpsess_buf out;
    mcpsess_buf_init(&out, text, sizeof text - 1);
    json_put(&out, what);
    json_put(&out, ": ");
    mcpsess_buf_put_u64(&out, n);
    json_put(&out, "\n");
    text[out.len] = '\0';
    board_print(text);
}

static void report(void) {
    say("requests", count.requests);
    say("connections at most", count.connections);
    say("connections refused", count.refused);
    say("connections cut", count.cut);
    say("replies without room", count.replies);
    say("sessions at most", store.stats.high_water);
    say("sessions refused", store.stats.refused);
    say("events", store.stats.events);
    say("events dropped from full logs", store.stats.dropped);
    say("events not stored", count.events);
    say("events unheard", count.unheard);
    say("logs evicted", store.stats.logs_evicted);
    say("streams resumed", streams.stats.resumed);
    say("replays refused", streams.stats.gaps);
    say("readers overtaken", count.readers);
    say("bytes of stack", (uint32_t)board_stack_used());
    say("bytes of stack there are", (uint32_t)board_stack_size());
}

/* ---- start, loop, stop ---- */

static bool network_open(void) {
    ip4_addr_t address, mask, gateway;
    lwip_init();
    IP4_ADDR(&address, 10, 0, 2, 15);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, 10, 0, 2, 2);
    if (!netif_add(&network, &address, &mask, &gateway, NULL, ethernet_init, ethernet_input)) return false;
    netif_set_default(&network);
    netif_set_up(&network);
    return true;
}

static void step(void) {
    bool any = ethernet_poll(&network);
    sys_check_timeouts();
    jobs_step();
    streams_step();
    connections_step();
    if (!any) board_idle();
}

static void on_key(void *user, uint8_t byte, bool lost) {
    (void)user;
    (void)lost;
    if (byte == 's') asked = true;
    if (byte == 'q') stopped = true;
}

/* Calls under way get an error, streams their end, and the last bytes a moment to leave. */
static int stop(void) {
    uint64_t until = now_ms() + 100;
    jobs_abort();
    streams_end(NULL);
    while (now_ms() < until) step();
    report();
    bool sound = mcpsess_memstore_check(&store) == MCPSESS_OK && mcpsess_session_check(&sessions) == MCPSESS_OK;
    board_print(sound ? "device: stopped\n" : "device: memory was overwritten\n");
    return sound ? 0 : 1;
}

int main(void) {
    board_init();
    if (!store_open() || !network_open() || !connections_open()) {
        board_print("device: something does not fit\n");
        return 1;
    }
    board_link_start(on_key, NULL);
    board_print("device: listening on http://10.0.2.15:80/mcp\n");
    while (!stopped) {
        step();
        if (asked) {
            asked = false;
            report();
        }
    }
    return stop();
}
