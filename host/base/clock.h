// Time, replaceable by a spec.
#ifndef MOONHOOK_BASE_CLOCK_H
#define MOONHOOK_BASE_CLOCK_H

#include <stdint.h>

typedef struct {
  uint64_t (*wall_ms)(void);      // milliseconds since 1970, may jump
  uint64_t (*monotonic_us)(void); // microseconds, never goes back
} Clock;

extern Clock host_clock;

#endif
