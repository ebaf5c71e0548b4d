// One event loop: libuv, the run queue, the cork list and the one timer wheel.
//
// The order of a turn: libuv polls, and its callbacks put work into the run queue; the check phase
// runs a turn of it; timers fire; the prepare phase flushes every cork. The next poll does not wait
// while the queue is not empty.
#ifndef MOONHOOK_BASE_LOOP_H
#define MOONHOOK_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "error.h"
#include "run_queue.h"

typedef struct Loop Loop;

Loop *loop_new(Err *err);
void loop_free(Loop *loop); // closes its own handles; every other handle must be closed before
uv_loop_t *loop_uv(Loop *loop);
void loop_run(Loop *loop); // until loop_stop
void loop_stop(Loop *loop);
uint32_t loop_open_handles(Loop *loop); // libuv handles that nobody has closed, but the loop's own
uint64_t loop_now_ms(Loop *loop);       // monotonic, of this turn
// For specs: time stands still from here on but for loop_move_time, so that a spec says when a
// timer fires and waits for none. Right after loop_new. Timers then fire to the millisecond,
// rounded up to WHEEL_TICK_MS.
void loop_hold_time(Loop *loop);
bool loop_holds_time(const Loop *loop);
uint64_t loop_next_timer_ms(Loop *loop); // not after the first due timer; UINT64_MAX: none runs
void loop_move_time(Loop *loop, uint64_t now_ms); // fires what is due; never back
uint64_t loop_turn_ms(const Loop *loop);          // that the jobs of the last turn took
bool loop_has_work(Loop *loop);                   // jobs in the run queue, or output to be flushed
const char *loop_http_date(Loop *loop); // "Sun, 06 Nov 1994 08:49:37 GMT", made once a second

// --- run queue, see run_queue.h ------------------------------------------------------------------

// A connection was opened, and what it brought is read after the next poll: long jobs wait for
// that.
void loop_look_again(Loop *loop);
void job_post(Loop *loop, Job *job); // at the end of its group; no effect when queued already
// Whether the running job may do a further job's work at once, instead of being posted again: the
// turn has some left, no other group waits, and it has not run for LONG_MS. What it writes
// meanwhile leaves in one piece.
bool job_goes_on(Loop *loop);
void job_cancel(Job *job); // takes it out; no effect when not queued

// --- corks ---------------------------------------------------------------------------------------

// Something that collected output during this turn and wants to write it out at its end.
typedef struct Cork {
  struct Cork *prev, *next;
  void (*flush)(struct Cork *cork);
} Cork;

void cork_add(Loop *loop, Cork *cork); // no effect when already in
void cork_remove(Cork *cork);          // no effect when not in

// --- timers --------------------------------------------------------------------------------------

// A timer of the wheel; lives inside its owner. Zero-initialise. Resolution WHEEL_TICK_MS. It never
// fires early. Moving a running timer to a later time costs two stores.
typedef struct Timer {
  struct Timer *prev, *next;
  Loop *loop;
  uint64_t due_ms;  // when it shall fire
  uint64_t slot_ms; // where it hangs; due_ms >= slot_ms
  void (*on_due)(struct Timer *timer);
} Timer;

enum { WHEEL_TICK_MS = 2 };

void timer_start(Loop *loop, Timer *timer, uint64_t delay_ms, void (*on_due)(Timer *timer));
void timer_stop(Timer *timer); // no effect when not running
bool timer_is_running(const Timer *timer);

#endif
