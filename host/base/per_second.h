// How many of something may be in a second, and how many more there were. Zero-initialise.
#ifndef MOONHOOK_BASE_PER_SECOND_H
#define MOONHOOK_BASE_PER_SECOND_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint64_t second; // that `count` is of
  uint32_t count;
  uint32_t dropped; // that were refused and not told yet
} PerSecond;

// Before per_second_take: begins a new second when it is due, and gives how many the one before had
// too many, once; else 0.
static inline uint32_t per_second_look(PerSecond *rate, uint64_t now_ms)
{
  uint32_t dropped = rate->dropped;
  if (now_ms / 1000 == rate->second)
    return 0;
  *rate = (PerSecond){ .second = now_ms / 1000 };
  return dropped;
}

// Whether there may be one more in this second. What may not is counted.
static inline bool per_second_take(PerSecond *rate, uint32_t most)
{
  if (rate->count < most) {
    rate->count++;
    return true;
  }
  rate->dropped++;
  return false;
}

#endif
