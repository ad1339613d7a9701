/* driver.c - the driver of processes without a gateway: one step of it, or an operation of a manager that has nothing
   else to do, from the command line.

     driver DIR ID COMMAND step STEP FENCE [WHERE]
     driver DIR ID COMMAND start|stop|del|preserve|export|import [WHERE]

   Says how it ended, and what it answered. */

#define MCPSESS_IMPLEMENTATION
#include "../../examples/gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct processes all;
static mcpsess_backend_manager manager;
static mcpsess_backend_op op;

uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int wait_for(mcpsess_op *one, int rc) {
    struct timespec t = {0, 1000000L};
    while (rc == MCPSESS_PENDING) {
        rc = mcpsess_poll(one, now_ms());
        nanosleep(&t, NULL);
    }
    return rc;
}

static void ignore(void *user, mcpsess_str id) {
    (void)user;
    (void)id;
}

static void say_log(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)user;
    (void)level;
    (void)key;
    fprintf(stderr, "%s %llx\n", mcpsess_item_text(item), (unsigned long long)number);
}

static mcpsess_backend_fn step_of(const char *name) {
    mcpsess_backend_driver d = process_driver(&all);
#define STEP_NAMED(upper, member) \
    if (strcmp(name, #member) == 0) return d.member;
    MCPSESS_BACKEND_STEPS(STEP_NAMED)
#undef STEP_NAMED
    return NULL;
}

static int step(const char *id, const char *name, const char *fence, const char *where) {
    char address[PROCESS_ADDRESS_MAX];
    mcpsess_backend_call call = {0};
    mcpsess_buf out;
    mcpsess_backend_fn fn = step_of(name);
    mcpsess_buf_init(&out, address, sizeof address);
    call.id = mcpsess_str_z(id);
    call.where = mcpsess_str_z(where);
    call.fence = strtoull(fence, NULL, 10);
    call.address = &out;
    mcpsess_op *one = fn != NULL ? fn(&all, &call, now_ms()) : NULL;
    if (one == NULL) return 2;
    int rc = wait_for(one, MCPSESS_PENDING);
    printf("%s %s %llu %.*s\n", mcpsess_code_name(rc), call.running ? "runs" : "-", (unsigned long long)call.bytes,
           (int)out.len, address);
    return 0;
}

static int begin(const char *name, mcpsess_str id, mcpsess_str where) {
    uint64_t now = now_ms();
    if (strcmp(name, "start") == 0) return mcpsess_backend_start(&manager, &op, id, now);
    if (strcmp(name, "stop") == 0) return mcpsess_backend_stop(&manager, &op, id, now);
    if (strcmp(name, "del") == 0) return mcpsess_backend_del(&manager, &op, id, false, now);
    if (strcmp(name, "preserve") == 0) return mcpsess_backend_del(&manager, &op, id, true, now);
    if (strcmp(name, "export") == 0) return mcpsess_backend_export(&manager, &op, id, where, now);
    return mcpsess_backend_import(&manager, &op, id, where, now);
}

static int operate(const char *id, const char *name, const char *where) {
    mcpsess_backend_desc d = mcpsess_backend_desc_default();
    d.driver = process_driver(&all);
    d.capacity = 1;
    d.log.log = say_log;
    size_t size = mcpsess_backend_bytes(&d);
    void *memory = malloc(size);
    if (mcpsess_backend_init(&manager, &d, memory, size) != MCPSESS_OK) return 2;
    all.manager = &manager;
    mcpsess_op_init(&op.op, 0);
    int rc = begin(name, mcpsess_str_z(id), mcpsess_str_z(where));
    printf("%s\n", mcpsess_code_name(wait_for(&op.op, rc)));
    mcpsess_backend_close(&manager);
    free(memory);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 5 || processes_open(&all, argv[1]) != 0 || !process_add(&all, argv[2], argv[3])) return 2;
    all.died = ignore;
    if (strcmp(argv[4], "step") != 0) return operate(argv[2], argv[4], argc > 5 ? argv[5] : "");
    return argc < 7 ? 2 : step(argv[2], argv[5], argv[6], argc > 7 ? argv[7] : "");
}
