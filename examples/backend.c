/* A backend that is kept running: started when it is not there, started again when it died; and its data, which stays
   when it goes. What runs here is pretended; a driver is a handful of operations, each of which may take its time.

     cc -std=c99 -I.. backend.c -o backend
*/

#define MCPSESS_IMPLEMENTATION
#include "mcpsess.h"
#include <stdio.h>
#include <string.h>

MCPSESS_BACKEND_STORAGE(memory, 4, 32, 1); /* 4 backends, addresses of at most 32 bytes, one started at a time */

/* -- what is driven: it has a counter, which is all its data -- */

static struct {
    bool there, runs;
    int counter, aside, copy; /* 0: no copy */
    mcpsess_op op;
} robot;

/* This driver is done with everything at once. One that is not has a class whose poll ends the operation. */
static mcpsess_op *done(int rc) {
    static const mcpsess_op_class never_pending = {NULL, NULL, NULL, NULL};
    mcpsess_op_init(&robot.op, 0);
    mcpsess_op_begin(&robot.op, &never_pending, NULL);
    mcpsess_op_end(&robot.op, rc);
    return &robot.op;
}

#define STEP(name) static mcpsess_op *name(void *user, mcpsess_backend_call *call, uint64_t now_ms)
#define UNUSED (void)user, (void)call, (void)now_ms

STEP(inspect) {
    UNUSED;
    call->running = robot.runs;
    return done(robot.there ? MCPSESS_OK : MCPSESS_MISS);
}
STEP(start) {
    UNUSED;
    robot.runs = true;
    printf("runs, its counter is %d\n", ++robot.counter);
    return done(MCPSESS_OK);
}
STEP(stop) {
    UNUSED;
    robot.runs = false;
    return done(MCPSESS_OK);
}
STEP(create) {
    UNUSED;
    robot.there = true;
    robot.counter = 0;
    return done(MCPSESS_OK);
}
STEP(remove_it) {
    UNUSED;
    robot.there = false;
    robot.counter = 0;
    return done(MCPSESS_OK);
}
STEP(network_up) {
    UNUSED;
    mcpsess_buf_put(call->address, MCPSESS_STR("10.0.0.7:9090"));
    return done(MCPSESS_OK);
}
STEP(export_data) {
    UNUSED;
    robot.aside = robot.counter;
    return done(MCPSESS_OK);
}
STEP(keep_copy) {
    UNUSED;
    robot.copy = robot.aside;
    return done(MCPSESS_OK);
}
STEP(stat_copy) {
    UNUSED;
    call->bytes = robot.copy == 0 ? 0 : sizeof robot.copy;
    return done(robot.copy == 0 ? MCPSESS_MISS : MCPSESS_OK);
}
STEP(import_data) {
    UNUSED;
    robot.counter = robot.copy;
    return done(MCPSESS_OK);
}
STEP(drop_copy) {
    UNUSED;
    robot.copy = 0;
    return done(MCPSESS_OK);
}

/* -- what the manager says -- */

static void say(void *user, int level, int item, mcpsess_str id, uint64_t number) {
    (void)user, (void)level, (void)number;
    printf("%.*s: %s\n", (int)id.len, id.ptr, mcpsess_item_text(item));
}

/* -- a loop that serves something, and looks after the backend with each turn -- */

static void serve(mcpsess_backend_manager *m, uint64_t *now_ms, uint32_t ms) {
    uint64_t until_ms = *now_ms + ms;
    for (; *now_ms < until_ms; *now_ms += 10) mcpsess_backend_step(m, *now_ms);
}

int main(void) {
    mcpsess_backend_manager m;
    mcpsess_backend_op op;
    mcpsess_str id = MCPSESS_STR("robot-1");
    uint64_t now_ms = 1000;
    int rc;
    mcpsess_backend_desc d = mcpsess_backend_desc_default();
    memset(&op, 0, sizeof op);
    mcpsess_op_init(&op.op, 0);
    d.capacity = 4, d.address_max = 32, d.log.log = say;
    d.driver.inspect = inspect, d.driver.start = start, d.driver.stop = stop, d.driver.create = create;
    d.driver.remove = remove_it, d.driver.network_up = network_up, d.driver.export_data = export_data;
    d.driver.keep_copy = keep_copy, d.driver.stat_copy = stat_copy, d.driver.import_data = import_data;
    d.driver.drop_copy = drop_copy;
    if (mcpsess_backend_init(&m, &d, memory.bytes, sizeof memory.bytes) != MCPSESS_OK) return 1;

    mcpsess_backend_keep(&m, id, true, now_ms); /* from now on it is to run */
    serve(&m, &now_ms, 100);

    robot.runs = false; /* it dies, and the driver sees it; a second later it runs again */
    mcpsess_backend_died(&m, id, now_ms);
    serve(&m, &now_ms, 1100);

    rc = mcpsess_backend_del(&m, &op, id, true, now_ms); /* it goes, its data stays */
    while (rc == MCPSESS_PENDING) rc = mcpsess_poll(&op.op, now_ms += 10);
    printf("deleted: %s, copy: %d\n", mcpsess_code_name(rc), robot.copy);

    rc = mcpsess_backend_start(&m, &op, id, now_ms); /* it comes back with it */
    while (rc == MCPSESS_PENDING) rc = mcpsess_poll(&op.op, now_ms += 10);
    printf("started: %s, copy: %d\n", mcpsess_code_name(rc), robot.copy);
    mcpsess_backend_close(&m);
    return rc != MCPSESS_OK;
}

/* expected output:
robot-1: backend created
runs, its counter is 1
robot-1: backend runs; number: ms it took
robot-1: backend is reached under another address; number: bytes of it
robot-1: backend died; number: ms it ran
robot-1: backend is reached under that address no more
robot-1: backend stopped
runs, its counter is 2
robot-1: backend runs; number: ms it took
robot-1: backend is reached under another address; number: bytes of it
robot-1: backend is reached under that address no more
robot-1: backend stopped
robot-1: data of a backend is in its preserved copy; number: bytes
robot-1: backend stopped
robot-1: backend removed, with its data
deleted: OK, copy: 2
robot-1: backend created
robot-1: preserved copy restored
runs, its counter is 3
robot-1: backend runs; number: ms it took
robot-1: backend is reached under another address; number: bytes of it
started: OK, copy: 0
robot-1: backend is reached under that address no more
*/
