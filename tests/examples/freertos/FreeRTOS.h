/* As much of FreeRTOS's API as examples/freertos_task.c uses, as FreeRTOS declares it, on POSIX threads. Not FreeRTOS.
 */
#ifndef FREERTOS_H
#define FREERTOS_H

#include <stdint.h>

typedef long BaseType_t;
typedef unsigned long UBaseType_t;
typedef unsigned long StackType_t;
typedef uint32_t TickType_t;

#define configTICK_RATE_HZ 1000
#define portTICK_PERIOD_MS ((TickType_t)1000 / configTICK_RATE_HZ)
#define portMAX_DELAY ((TickType_t)0xFFFFFFFFuL)
#define pdMS_TO_TICKS(ms) ((TickType_t)(((uint64_t)(ms) * (uint64_t)configTICK_RATE_HZ) / (uint64_t)1000u))
#define pdFALSE ((BaseType_t)0)
#define pdTRUE ((BaseType_t)1)

typedef struct {
    uint64_t room[32];
} StaticTask_t;

#endif
