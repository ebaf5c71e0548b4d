// The timer wheel of a loop: six levels of 64 slots, the lowest of one tick (WHEEL_TICK_MS) each.
// For loop.c alone; everybody else uses the timer_* functions of loop.h.
#ifndef MOONHOOK_BASE_WHEEL_H
#define MOONHOOK_BASE_WHEEL_H

#include "loop.h"

enum { WHEEL_LEVELS = 6, WHEEL_SLOTS = 64 };

typedef struct {
  uint64_t base_ms;                // tick 0
  uint64_t tick;                   // every slot up to here has been emptied
  uint64_t soonest_ms;             // no slot is due before; UINT64_MAX: nothing hangs anywhere
  uint64_t occupied[WHEEL_LEVELS]; // a bit per slot
  Timer slots[WHEEL_LEVELS][WHEEL_SLOTS]; // heads of rings; only prev and next are used
} Wheel;

void wheel_init(Wheel *wheel, uint64_t now_ms);
void wheel_advance(Wheel *wheel, uint64_t now_ms); // fires what is due
// When the wheel must be looked at next; UINT64_MAX: never. Never later than the first due timer.
uint64_t wheel_next_ms(Wheel *wheel);

Wheel *loop_wheel(Loop *loop); // in loop.c

#endif
