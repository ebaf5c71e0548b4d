// The budget of a worker for bodies that are being buffered; the limits themselves are in server.h.
#ifndef MOONHOOK_HTTP_LIMITS_H
#define MOONHOOK_HTTP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint64_t used, limit; // bytes
} BodyBudget;

bool budget_take(BodyBudget *budget, uint64_t bytes); // false: nothing taken, there is no room
void budget_give(BodyBudget *budget, uint64_t bytes);

#endif
