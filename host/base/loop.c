// One event loop: see loop.h for the order of a turn. The timer wheel is in wheel.c.
#include "loop.h"

#include <assert.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "fast_paths.h"
#include "log.h"
#include "memory.h"
#include "scoreboard.h"
#include "wheel.h"

enum {
  DATE_SIZE = 30,
  LOG_FLUSH_MS = 100,
};

struct Loop {
  uv_loop_t uv;
  uv_idle_t idle;       // active while there is something to do at once: the poll does not wait
  uv_check_t check;     // behind the poll: runs the queue
  uv_prepare_t prepare; // before the poll: ends the turn
  uv_timer_t alarm;     // the next occupied slot of the wheel
  uint64_t alarm_ms;    // UINT64_MAX: not set
  Wheel wheel;
  RunQueue queue;
  Cork corks; // head of a ring
  Timer log_timer;
  uint64_t date_until_ms;
  char date[DATE_SIZE];
  uint64_t turn_ms; // that the last turn's jobs took
  uint64_t held_ms; // the time that it is, while time is held; else 0
};

static void on_idle(uv_idle_t *idle);
static void on_check(uv_check_t *check);
static void on_prepare(uv_prepare_t *prepare);
static void on_alarm(uv_timer_t *alarm);
static void flush_corks(Loop *loop);
static void flush_log(Loop *loop);
static void set_alarm(Loop *loop);
static uint64_t update_ms(RunQueue *queue);
static void before_long(RunQueue *queue);

Loop *loop_new(Err *err)
{
  Loop *loop = mem_zero(1, sizeof *loop);
  int rc = uv_loop_init(&loop->uv);
  if (rc < 0) {
    err_set(err, rc, "cannot make an event loop: %s", uv_strerror(rc));
    mem_free(loop);
    return NULL;
  }
  signal(SIGPIPE, SIG_IGN); // a peer that left is told by the write's result
  loop->uv.data = loop;
  uv_idle_init(&loop->uv, &loop->idle);
  uv_check_init(&loop->uv, &loop->check);
  uv_check_start(&loop->check, on_check);
  uv_prepare_init(&loop->uv, &loop->prepare);
  uv_prepare_start(&loop->prepare, on_prepare);
  uv_timer_init(&loop->uv, &loop->alarm);
  loop->alarm_ms = UINT64_MAX;
  loop->queue.update_ms = update_ms;
  loop->queue.before_long = before_long;
  loop->corks.prev = loop->corks.next = &loop->corks;
  wheel_init(&loop->wheel, uv_now(&loop->uv));
  return loop;
}

void loop_free(Loop *loop)
{
  int rc;
  timer_stop(&loop->log_timer);
  uv_close((uv_handle_t *)&loop->idle, NULL);
  uv_close((uv_handle_t *)&loop->check, NULL);
  uv_close((uv_handle_t *)&loop->prepare, NULL);
  uv_close((uv_handle_t *)&loop->alarm, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  rc = uv_loop_close(&loop->uv);
  assert(rc == 0);
  (void)rc;
  mem_free(loop);
}

typedef struct {
  const Loop *loop;
  uint32_t count;
} OpenHandles;

static void count_handle(uv_handle_t *handle, void *context)
{
  OpenHandles *open = context;
  const void *at = handle;
  if (at != &open->loop->idle && at != &open->loop->check && at != &open->loop->prepare &&
      at != &open->loop->alarm && !uv_is_closing(handle))
    open->count++;
}

uint32_t loop_open_handles(Loop *loop)
{
  OpenHandles open = { loop, 0 };
  uv_walk(&loop->uv, count_handle, &open);
  return open.count;
}

uv_loop_t *loop_uv(Loop *loop)
{
  return &loop->uv;
}

Wheel *loop_wheel(Loop *loop)
{
  return &loop->wheel;
}

void loop_run(Loop *loop)
{
  uv_run(&loop->uv, UV_RUN_DEFAULT); // the prepare handle keeps it going
}

void loop_stop(Loop *loop)
{
  uv_stop(&loop->uv);
}

uint64_t loop_now_ms(Loop *loop)
{
  return loop->held_ms ? loop->held_ms : uv_now(&loop->uv);
}

// --- held time -----------------------------------------------------------------------------------

void loop_hold_time(Loop *loop)
{
  loop->held_ms = loop->wheel.base_ms ? loop->wheel.base_ms : WHEEL_TICK_MS;
}

bool loop_holds_time(const Loop *loop)
{
  return loop->held_ms != 0;
}

uint64_t loop_next_timer_ms(Loop *loop)
{
  return wheel_next_ms(&loop->wheel);
}

void loop_move_time(Loop *loop, uint64_t now_ms)
{
  if (now_ms > loop->held_ms)
    loop->held_ms = now_ms;
  wheel_advance(&loop->wheel, loop->held_ms);
}

uint64_t loop_turn_ms(const Loop *loop)
{
  return loop->turn_ms;
}

bool loop_has_work(Loop *loop)
{
  return !run_queue_is_empty(&loop->queue) || loop->corks.next != &loop->corks;
}

const char *loop_http_date(Loop *loop)
{
  static const char days[] = "SunMonTueWedThuFriSat";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  uint64_t wall_ms;
  struct tm tm;
  time_t seconds;
  if (loop_now_ms(loop) < loop->date_until_ms)
    return loop->date;
  wall_ms = host_clock.wall_ms();
  loop->date_until_ms = loop_now_ms(loop) + 1000 - wall_ms % 1000;
  seconds = (time_t)(wall_ms / 1000);
  gmtime_r(&seconds, &tm);
  // Not strftime, whose names depend on the locale. The moduli only tell the compiler the widths.
  snprintf(loop->date, sizeof loop->date, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
           days + 3 * (tm.tm_wday % 7), (unsigned)tm.tm_mday % 100u, months + 3 * (tm.tm_mon % 12),
           (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)tm.tm_hour % 100u,
           (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
  return loop->date;
}

// --- run queue -----------------------------------------------------------------------------------

static uint64_t update_ms(RunQueue *queue)
{
  Loop *loop = (Loop *)((char *)queue - offsetof(Loop, queue));
  uv_update_time(&loop->uv);
  return uv_now(&loop->uv);
}

static void before_long(RunQueue *queue)
{
  flush_corks((Loop *)((char *)queue - offsetof(Loop, queue)));
}

void loop_look_again(Loop *loop)
{
  loop->queue.late_waits = true;
}

void job_post(Loop *loop, Job *job)
{
  run_queue_post(&loop->queue, job);
}

void job_cancel(Job *job)
{
  run_queue_cancel(job);
}

bool job_goes_on(Loop *loop)
{
  return fast_paths_are_on() && run_queue_goes_on(&loop->queue);
}

static void on_idle(uv_idle_t *idle)
{
  (void)idle; // that it is active is all
}

// What the poll brought is worked on before the next one, so that an event costs one poll.
static void on_check(uv_check_t *check)
{
  Loop *loop = check->loop->data;
  uint64_t started_ms = uv_now(&loop->uv);
  loop->turn_ms = 0;
  if (run_queue_is_empty(&loop->queue))
    return;
  scoreboard_beat();
  run_queue_turn(&loop->queue, started_ms);
  loop->turn_ms = uv_now(&loop->uv) - started_ms;
}

// --- corks ---------------------------------------------------------------------------------------

void cork_add(Loop *loop, Cork *cork)
{
  if (cork->next)
    return;
  cork->next = &loop->corks;
  cork->prev = loop->corks.prev;
  cork->prev->next = cork;
  loop->corks.prev = cork;
}

void cork_remove(Cork *cork)
{
  if (!cork->next)
    return;
  cork->prev->next = cork->next;
  cork->next->prev = cork->prev;
  cork->prev = cork->next = NULL;
}

// --- the end of a turn ---------------------------------------------------------------------------

static void on_prepare(uv_prepare_t *prepare)
{
  Loop *loop = prepare->loop->data;
  flush_corks(loop);
  // What flushing gave cause to comes in the next turn, which must not wait for an event.
  if (loop_has_work(loop))
    uv_idle_start(&loop->idle, on_idle);
  else
    uv_idle_stop(&loop->idle);
  flush_log(loop);
  if (loop->wheel.soonest_ms < loop->alarm_ms && !loop->held_ms)
    set_alarm(loop);
  scoreboard_idle(); // what follows is libuv's poll, or the next turn
}

static void flush_corks(Loop *loop)
{
  Cork taken = { .prev = loop->corks.prev, .next = loop->corks.next };
  if (loop->corks.next == &loop->corks)
    return;
  taken.prev->next = taken.next->prev = &taken;
  loop->corks.prev = loop->corks.next = &loop->corks;
  while (taken.next != &taken) {
    Cork *cork = taken.next;
    cork_remove(cork);
    cork->flush(cork);
  }
}

static void on_log_timer(Timer *timer)
{
  (void)timer; // the turn that it caused flushes
}

static void flush_log(Loop *loop)
{
  if (!log_is_pending())
    return;
  if (loop->held_ms || log_is_due(uv_now(&loop->uv)))
    log_flush();
  if (log_is_pending() && !timer_is_running(&loop->log_timer))
    timer_start(loop, &loop->log_timer, LOG_FLUSH_MS, on_log_timer);
}

static void on_alarm(uv_timer_t *alarm)
{
  Loop *loop = alarm->loop->data;
  loop->alarm_ms = UINT64_MAX;
  wheel_advance(&loop->wheel, uv_now(&loop->uv));
  wheel_next_ms(&loop->wheel); // what still hangs sets the next alarm at the end of the turn
}

static void set_alarm(Loop *loop)
{
  uint64_t now_ms = uv_now(&loop->uv);
  loop->alarm_ms = wheel_next_ms(&loop->wheel);
  if (loop->alarm_ms == UINT64_MAX)
    return; // it was stopped again within the turn
  uv_timer_start(&loop->alarm, on_alarm, loop->alarm_ms > now_ms ? loop->alarm_ms - now_ms : 0, 0);
}
