/* A FreeRTOS task that keeps a session on Redis, over lwIP: each heartbeat it loads the session, or creates it. It
   never polls in vain: it sleeps in ulTaskNotifyTake until lwIP has something for it, or until something is due.

   For your firmware: add this file, mcpsess.h, mcpsess_redis.h and lwip_transport.h, write board_random, and call
   app_start once lwIP is up. It needs FreeRTOS 10.4 or newer with configSUPPORT_STATIC_ALLOCATION, a tick of 32 bits,
   and lwIP with LWIP_TCPIP_CORE_LOCKING. (There is no one line to build it for a computer; tests/examples/freertos does
   it.)
*/

#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "lwip_transport.h"

#include <FreeRTOS.h>
#include <task.h>

#ifndef HEARTBEAT_MS
#define HEARTBEAT_MS 1000
#endif

enum { PORT = 6379, STACK_WORDS = 1024, RECORD_MAX = 128, SLOTS = 4, TX = 1024, RX = 512 };

int board_random(void *user, void *dst, size_t len); /* from the board's generator; -> 0, or anything else: failed */

typedef struct app {
    ip_addr_t server;
    void (*report)(const char *what, int rc); /* called by the task */
    mcpsess_tick tick;
    lw wire;
    mcpsess_redis redis;
    mcpsess_redis_store store;
    mcpsess_sessions table;
    mcpsess_op op;
    const char *doing; /* what op is for */
    mcpsess_buf record;
    char bytes[RECORD_MAX];
} app;

static app the_app;
MCPSESS_REDIS_STORAGE(wire, SLOTS, TX, RX);
MCPSESS_SESSION_STORAGE(tier, 4, RECORD_MAX, 2, RECORD_MAX);

/* ---- time, and being woken */

/* Exact for any tick rate: where the ticks wrap, so does the product. */
static uint64_t app_now(app *a) {
    return mcpsess_tick_now(&a->tick, (uint32_t)xTaskGetTickCount() * (uint32_t)portTICK_PERIOD_MS);
}

static void app_wake(void *task) {
    xTaskNotifyGive((TaskHandle_t)task);
}

/* A notification that came in the meantime ends the sleep before it begins, so none is lost. */
static void app_sleep(app *a, unsigned want, uint64_t due_ms) {
    uint64_t left = mcpsess_time_left(app_now(a), due_ms);
    if (left == 0 || (lw_want(&a->wire, want) & MCPSESS_WANT_NOW) != 0) return;
    if (left > 60000) left = 60000;
    ulTaskNotifyTake(pdTRUE, pdMS_TO_TICKS((uint32_t)left) + 1);
}

/* ---- setting up */

static int app_init(app *a) {
    mcpsess_redis_desc r = mcpsess_redis_desc_default();
    mcpsess_redis_store_desc s = mcpsess_redis_store_desc_default();
    mcpsess_session_desc t = mcpsess_session_desc_default();
    int rc;
    lw_init(&a->wire, &a->server, PORT, app_wake, xTaskGetCurrentTaskHandle());
    r.transport = lw_transport(&a->wire);
    r.random = board_random;
    r.slots = SLOTS;
    r.tx_bytes = TX;
    r.rx_bytes = RX;
    s.redis = &a->redis;
    t.capacity = 4;
    t.slot_max = RECORD_MAX;
    t.lanes = 2;
    t.record_max = RECORD_MAX;
    if (board_random(NULL, t.seed, sizeof t.seed) != 0) return MCPSESS_E_RANDOM;
    rc = mcpsess_redis_init(&a->redis, &r, wire.bytes, sizeof wire.bytes);
    if (rc == MCPSESS_OK) rc = mcpsess_redis_store_init(&a->store, &s);
    t.store = mcpsess_redis_store_store(&a->store);
    if (rc == MCPSESS_OK) rc = mcpsess_session_init(&a->table, &t, tier.bytes, sizeof tier.bytes);
    mcpsess_op_init(&a->op, 2000);
    return rc;
}

/* ---- the work: two operations, one after the other */

static const mcpsess_principal nobody;

static int app_load(app *a, uint64_t now_ms) {
    a->doing = "load";
    mcpsess_buf_init(&a->record, a->bytes, sizeof a->bytes);
    return mcpsess_session_load(&a->table, &a->op, MCPSESS_STR("pump-1"), &nobody, &a->record, now_ms);
}

static int app_create(app *a, uint64_t now_ms) {
    mcpsess_record r = {MCPSESS_STR("pump-1"), {{0, 0}, {0, 0}}, {0, 0}, 0, 0, MCPSESS_STATE_ACTIVE, 0, {{0, 0}}};
    a->doing = "create";
    r.created_ms = r.updated_ms = mcpsess_redis_wall_ms(&a->redis, now_ms); /* there is no other calendar here */
    mcpsess_buf_init(&a->record, a->bytes, sizeof a->bytes);
    mcpsess_record_encode(&r, &a->record);
    return mcpsess_session_create(&a->table, &a->op, mcpsess_buf_str(&a->record), now_ms);
}

/* An operation is done; there may be another to begin. */
static void app_done(app *a, int rc, uint64_t now_ms) {
    while (rc != MCPSESS_PENDING) {
        bool absent = rc == MCPSESS_MISS && a->doing[0] == 'l';
        a->report(a->doing, rc);
        if (!absent) return;
        rc = app_create(a, now_ms);
    }
}

/* ---- the task */

static void app_task(void *user) {
    app *a = (app *)user;
    uint64_t beat_ms = 0;
    int rc = app_init(a);
    a->report("init", rc);
    if (rc != MCPSESS_OK) vTaskDelete(NULL);
    for (;;) {
        uint64_t now_ms = app_now(a), due_ms;
        if (mcpsess_op_rc(&a->op) == MCPSESS_PENDING) {
            rc = mcpsess_poll(&a->op, now_ms);
            if (rc != MCPSESS_PENDING) app_done(a, rc, now_ms);
        } else if (now_ms >= beat_ms) {
            beat_ms = now_ms + HEARTBEAT_MS;
            app_done(a, app_load(a, now_ms), now_ms);
        } else {
            mcpsess_redis_poll(&a->redis, now_ms); /* hears of changes, asks whether the server is there, connects */
        }
        if (mcpsess_op_rc(&a->op) == MCPSESS_PENDING) {
            app_sleep(a, mcpsess_want(&a->op), mcpsess_next_due(&a->op, now_ms));
        } else {
            due_ms = mcpsess_redis_next_due(&a->redis, now_ms);
            app_sleep(a, mcpsess_redis_want(&a->redis), due_ms < beat_ms ? due_ms : beat_ms);
        }
    }
}

void app_start(const ip_addr_t *server, void (*report)(const char *what, int rc));

void app_start(const ip_addr_t *server, void (*report)(const char *what, int rc)) {
    static StackType_t stack[STACK_WORDS]; /* lwIP's way down to the driver runs on it, too */
    static StaticTask_t memory;
    the_app.server = *server;
    the_app.report = report;
    xTaskCreateStatic(app_task, "mcpsess", STACK_WORDS, &the_app, 2, stack, &memory);
}
