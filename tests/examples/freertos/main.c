/* Runs examples/freertos_task.c: FreeRTOS's calls on POSIX threads, lwIP, and a bridge to a real redis-server.

   main PATH_OF_SERVER  */

#include "task.h"

#include "../lwip/net.h"
#include <mcpsess_redis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void app_start(const ip_addr_t *server, void (*report)(const char *what, int rc));
int board_random(void *user, void *dst, size_t len);

/* ---- what is counted */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned loads, sleeps;

static void count(unsigned *what) {
    pthread_mutex_lock(&mutex);
    ++*what;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
}

static unsigned await(const unsigned *what, unsigned n) {
    unsigned got;
    pthread_mutex_lock(&mutex);
    while (*what < n) pthread_cond_wait(&cond, &mutex);
    got = *what;
    pthread_mutex_unlock(&mutex);
    return got;
}

/* ---- FreeRTOS's calls */

struct task {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint32_t notified;
    TaskFunction_t code;
    void *user;
};

static pthread_key_t current;

static void *run(void *user) {
    TaskHandle_t t = user;
    pthread_setspecific(current, t);
    t->code(t->user);
    return NULL;
}

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *name, uint32_t stack_words, void *user,
                               UBaseType_t priority, StackType_t *stack, StaticTask_t *memory) {
    TaskHandle_t t = (TaskHandle_t)(void *)memory;
    pthread_condattr_t attr;
    if (sizeof *t > sizeof *memory) abort();
    (void)name;
    (void)stack_words;
    (void)priority;
    (void)stack;
    memset(t, 0, sizeof *t);
    t->code = code;
    t->user = user;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->cond, &attr);
    pthread_mutex_init(&t->mutex, NULL);
    pthread_create(&t->thread, NULL, run, t);
    return t;
}

TaskHandle_t xTaskGetCurrentTaskHandle(void) {
    return pthread_getspecific(current);
}

/* Up for 49.7 days: it wraps at once. */
TickType_t xTaskGetTickCount(void) {
    static uint64_t begin;
    struct timespec t;
    uint64_t ms;
    clock_gettime(CLOCK_MONOTONIC, &t);
    ms = (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
    if (begin == 0) begin = ms;
    return (TickType_t)(ms - begin - 10);
}

uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks) {
    TaskHandle_t t = xTaskGetCurrentTaskHandle();
    struct timespec until;
    uint32_t n;
    int rc = 0;
    count(&sleeps);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ticks / configTICK_RATE_HZ);
    until.tv_nsec += (long)(ticks % configTICK_RATE_HZ) * (1000000000 / configTICK_RATE_HZ);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&t->mutex);
    while (t->notified == 0 && rc == 0) {
        rc = ticks == portMAX_DELAY ? pthread_cond_wait(&t->cond, &t->mutex)
                                    : pthread_cond_timedwait(&t->cond, &t->mutex, &until);
    }
    n = t->notified;
    if (n > 0) t->notified = clear ? 0 : n - 1;
    pthread_mutex_unlock(&t->mutex);
    return n;
}

BaseType_t xTaskNotifyGive(TaskHandle_t t) {
    pthread_mutex_lock(&t->mutex);
    t->notified++;
    pthread_cond_signal(&t->cond);
    pthread_mutex_unlock(&t->mutex);
    return pdTRUE;
}

void vTaskDelete(TaskHandle_t t) {
    (void)t;
    pthread_exit(NULL);
}

/* ---- the board */

int board_random(void *user, void *dst, size_t len) {
    FILE *f = fopen("/dev/urandom", "rb");
    size_t n = f ? fread(dst, 1, len, f) : 0;
    (void)user;
    if (f) fclose(f);
    return n == len ? 0 : -1;
}

/* ---- what it reports; after the third load somebody else deletes the session */

enum { LOADS = 5, LOADS_BEFORE = 3 };

static void report(const char *what, int rc) {
    if (await(&loads, 0) == LOADS) return; /* main is about to end */
    printf("%s: %s\n", what, mcpsess_redis_code_name(rc));
    if (strcmp(what, "load") == 0) count(&loads);
}

static void delete_session(const char *path) {
    static const char command[] = "DEL mcpsess:r:{pump-1}\r\n";
    struct sockaddr_un a;
    char reply[16];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memset(&a, 0, sizeof a);
    a.sun_family = AF_UNIX;
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)(void *)&a, sizeof a) != 0 || write(fd, command, sizeof command - 1) < 0 ||
        read(fd, reply, sizeof reply) != 4) {
        perror(path);
        exit(3);
    }
    close(fd);
    printf("deleted by another: %c\n", reply[1]);
}

int main(int argc, char **argv) {
    const ip_addr_t *here = net_begin();
    if (argc != 2) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    pthread_key_create(&current, NULL);
    bridge_begin(6379, argv[1]);
    app_start(here, report);
    await(&loads, LOADS_BEFORE);
    delete_session(argv[1]);
    await(&loads, LOADS);
    printf("slept %s\n", await(&sleeps, LOADS) < 100 ? "well" : "badly");
    _exit(0); /* the task does not end */
}

/* expected output:
init: OK
load: MISS
create: OK
load: OK
load: OK
deleted by another: 1
load: MISS
create: OK
load: OK
slept well
*/
