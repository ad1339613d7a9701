#ifndef INC_TASK_H
#define INC_TASK_H

#include "FreeRTOS.h"

typedef struct task *TaskHandle_t;
typedef void (*TaskFunction_t)(void *);

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *name, uint32_t stack_words, void *user,
                               UBaseType_t priority, StackType_t *stack, StaticTask_t *memory);
TaskHandle_t xTaskGetCurrentTaskHandle(void);
TickType_t xTaskGetTickCount(void);
uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks);
BaseType_t xTaskNotifyGive(TaskHandle_t task);
void vTaskDelete(TaskHandle_t task);

#endif
