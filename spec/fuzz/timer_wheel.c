// The timer wheel against the plainest model of it: every timer fires once, not before it is due
// and at most one tick after, unless it was stopped. Time is ours: the wheel is told what time it
// is.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/wheel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TIMERS = 16, MAX_STEPS = 1000 }; // together less than the year that a timer may take

typedef struct {
  Timer timer;
  uint64_t due_ms; // 0: not running
} Model;

static Model models[TIMERS];
static uint64_t now_ms;
static Loop *loop;

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static void on_due(Timer *timer)
{
  Model *model = (Model *)timer;
  must(model->due_ms > 0, "only what runs fires");
  must(now_ms >= model->due_ms, "never early");
  must(now_ms <= model->due_ms + WHEEL_TICK_MS, "at most a tick late");
  model->due_ms = 0;
  if (model - models == 3) { // some stop others from within
    timer_stop(&models[4].timer);
    models[4].due_ms = 0;
  }
}

// The wheel's time may be ahead of the loop's clock; delays are counted from the wheel's.
static void start(Model *model, uint64_t delay_ms)
{
  uint64_t ahead_ms = now_ms - loop_now_ms(loop);
  timer_start(loop, &model->timer, ahead_ms + delay_ms + 1000, on_due); // not below EXACT_BELOW_MS
  model->due_ms = model->timer.due_ms;
}

// As the loop does it: never sleeps past wheel_next_ms.
static void pass(uint64_t ms)
{
  uint64_t until_ms = now_ms + ms, next_ms;
  while ((next_ms = wheel_next_ms(loop_wheel(loop))) <= until_ms) {
    if (next_ms > now_ms)
      now_ms = next_ms;
    wheel_advance(loop_wheel(loop), now_ms);
  }
  now_ms = until_ms;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  size_t at, i;
  loop = loop_new(NULL);
  now_ms = loop_now_ms(loop);
  for (at = 0; at + 4 <= size && at < 4 * MAX_STEPS; at += 4) {
    Model *model = &models[data[at] % TIMERS];
    uint64_t amount = (uint64_t)(data[at + 1] | data[at + 2] << 8) << data[at + 3] % 9;
    switch (data[at] / TIMERS % 4) {
    case 0:
    case 1:
      start(model, amount);
      break;
    case 2:
      timer_stop(&model->timer);
      model->due_ms = 0;
      break;
    default:
      pass(amount);
    }
    must(timer_is_running(&model->timer) == (model->due_ms > 0), "running is running");
  }
  pass((uint64_t)1 << 30);
  for (i = 0; i < TIMERS; i++)
    must(!timer_is_running(&models[i].timer) && models[i].due_ms == 0, "everything has fired");
  loop_free(loop);
  return 0;
}
