// The timer wheel: see wheel.h, and loop.h for the functions that everybody uses.
//
// A timer hangs in the lowest level where its tick and the wheel's differ, so a level holds only
// slots ahead of the wheel's own position and the first occupied slot is the first set bit. When a
// slot of a higher level is reached, its timers are hung anew, lower. A timer that was moved to a
// later time stays where it hangs and is hung anew when that slot comes: moving costs two stores.
#include "wheel.h"

#include <assert.h>
#include <stddef.h>

enum { LEVEL_BITS = 6 };

// Nothing waits longer than a year; the wheel itself spans four.
static const uint64_t MAX_DELAY_MS = 365ull * 24 * 3600 * 1000;
// For short delays the clock is read anew: the turn's own time may be stale by a whole slice.
static const uint64_t EXACT_BELOW_MS = 1000;

static void hang(Wheel *wheel, Timer *timer);
static void unhang(Wheel *wheel, Timer *timer);
static void empty_slot(Wheel *wheel, uint64_t now_ms, int level, unsigned slot);
static bool find_slot(const Wheel *wheel, int *level, unsigned *slot, uint64_t *tick);

void wheel_init(Wheel *wheel, uint64_t now_ms)
{
  int level, slot;
  *wheel = (Wheel){ .base_ms = now_ms, .soonest_ms = UINT64_MAX };
  for (level = 0; level < WHEEL_LEVELS; level++) {
    for (slot = 0; slot < WHEEL_SLOTS; slot++) {
      Timer *head = &wheel->slots[level][slot];
      head->prev = head->next = head;
    }
  }
}

void wheel_advance(Wheel *wheel, uint64_t now_ms)
{
  uint64_t now_tick = (now_ms - wheel->base_ms) / WHEEL_TICK_MS, tick;
  unsigned slot;
  int level;
  while (find_slot(wheel, &level, &slot, &tick) && tick <= now_tick) {
    wheel->tick = tick;
    empty_slot(wheel, now_ms, level, slot);
  }
  if (now_tick > wheel->tick)
    wheel->tick = now_tick;
}

uint64_t wheel_next_ms(Wheel *wheel)
{
  uint64_t tick;
  unsigned slot;
  int level;
  if (find_slot(wheel, &level, &slot, &tick))
    wheel->soonest_ms = wheel->base_ms + tick * WHEEL_TICK_MS;
  else
    wheel->soonest_ms = UINT64_MAX;
  return wheel->soonest_ms;
}

void timer_start(Loop *loop, Timer *timer, uint64_t delay_ms, void (*on_due)(Timer *timer))
{
  if (delay_ms < EXACT_BELOW_MS)
    uv_update_time(loop_uv(loop));
  if (delay_ms > MAX_DELAY_MS)
    delay_ms = MAX_DELAY_MS;
  // The clock counts whole milliseconds: one more, so that it never fires early.
  timer->due_ms = loop_now_ms(loop) + delay_ms + (loop_holds_time(loop) ? 0 : 1);
  timer->on_due = on_due;
  if (timer->next) {
    assert(timer->loop == loop);
    if (timer->due_ms >= timer->slot_ms)
      return;
    unhang(loop_wheel(loop), timer);
  }
  timer->loop = loop;
  hang(loop_wheel(loop), timer);
}

void timer_stop(Timer *timer)
{
  if (timer->next)
    unhang(loop_wheel(timer->loop), timer);
}

bool timer_is_running(const Timer *timer)
{
  return timer->next != NULL;
}

static void hang(Wheel *wheel, Timer *timer)
{
  uint64_t tick = (timer->due_ms - wheel->base_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
  Timer *head;
  unsigned slot;
  int level;
  if (tick <= wheel->tick)
    tick = wheel->tick + 1;
  level = (63 - __builtin_clzll(tick ^ wheel->tick)) / LEVEL_BITS;
  assert(level < WHEEL_LEVELS);
  slot = (unsigned)(tick >> (level * LEVEL_BITS)) % WHEEL_SLOTS;
  head = &wheel->slots[level][slot];
  timer->slot_ms =
      wheel->base_ms + (tick >> (level * LEVEL_BITS) << (level * LEVEL_BITS)) * WHEEL_TICK_MS;
  timer->next = head;
  timer->prev = head->prev;
  head->prev->next = timer;
  head->prev = timer;
  wheel->occupied[level] |= 1ull << slot;
  if (timer->slot_ms < wheel->soonest_ms)
    wheel->soonest_ms = timer->slot_ms;
}

static void unhang(Wheel *wheel, Timer *timer)
{
  Timer *prev = timer->prev;
  uintptr_t offset;
  prev->next = timer->next;
  timer->next->prev = prev;
  if (prev == timer->next) { // only the head is left; its address tells the slot
    offset = (uintptr_t)prev - (uintptr_t)&wheel->slots[0][0];
    if (offset < sizeof wheel->slots) {
      size_t index = offset / sizeof(Timer);
      wheel->occupied[index / WHEEL_SLOTS] &= ~(1ull << (index % WHEEL_SLOTS));
    }
  }
  timer->prev = timer->next = NULL;
}

// Fires what is due in the slot, hangs the rest anew. Callbacks may start, stop and free any timer.
static void empty_slot(Wheel *wheel, uint64_t now_ms, int level, unsigned slot)
{
  Timer *head = &wheel->slots[level][slot];
  Timer taken = { .prev = head->prev, .next = head->next };
  taken.prev->next = taken.next->prev = &taken;
  head->prev = head->next = head;
  wheel->occupied[level] &= ~(1ull << slot);
  while (taken.next != &taken) {
    Timer *timer = taken.next;
    unhang(wheel, timer);
    if (timer->due_ms > now_ms)
      hang(wheel, timer);
    else
      timer->on_due(timer);
  }
}

static bool find_slot(const Wheel *wheel, int *level, unsigned *slot, uint64_t *tick)
{
  int l;
  for (l = 0; l < WHEEL_LEVELS; l++) {
    uint64_t position = wheel->tick >> (l * LEVEL_BITS);
    if (wheel->occupied[l] == 0)
      continue;
    *level = l;
    *slot = (unsigned)__builtin_ctzll(wheel->occupied[l]);
    *tick = (position / WHEEL_SLOTS * WHEEL_SLOTS + *slot) << (l * LEVEL_BITS);
    return true;
  }
  return false;
}
