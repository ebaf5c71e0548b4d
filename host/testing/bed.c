// See bed.h.
#include "bed.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../script/deadline.h"
#include "client_socket.h"
#include "subject.h"
#include "upstream.h"

enum {
  NAP_MS = 1,
  MAX_NAPS = 20,         // for bytes on their way that nobody reads
  MAX_STORE_NAPS = 10000 // for the store's thread
};

// Every spec begins at the same time: 2025-01-01 00:00:00 UTC.
static const uint64_t FIRST_WALL_MS = 1735689600000u;

struct SpecTimer {
  Timer timer; // first member
  SpecTimer *next;
  Bed *bed;
  uint32_t id;
};

static Bed *the_bed;
static Clock real_clock;

static uint64_t held_wall_ms(void)
{
  return the_bed ? FIRST_WALL_MS + bed_now_ms(the_bed) : real_clock.wall_ms();
}

static uint64_t held_monotonic_us(void)
{
  return the_bed ? loop_now_ms(the_bed->loop) * 1000 : real_clock.monotonic_us();
}

Bed *bed_get(Err *err)
{
  Bed *bed;
  if (the_bed)
    return the_bed;
  bed = mem_zero(1, sizeof *bed);
  bed->loop = loop_new(err);
  if (!bed->loop) {
    mem_free(bed);
    return NULL;
  }
  loop_hold_time(bed->loop);
  deadline_start(); // what runs for long in a spec is stopped as in production
  bed->started_ms = loop_now_ms(bed->loop);
  uv_timer_init(loop_uv(bed->loop), &bed->nap);
  bed->log_fd = memfd_create("moonhook-log", MFD_CLOEXEC);
  log_open(bed->log_fd, false, LOG_INFO);
  the_bed = bed;
  real_clock = host_clock;
  host_clock = (Clock){ held_wall_ms, held_monotonic_us };
  return bed;
}

static void remove_data(const char *dir)
{
  static const char *const names[] = { "moonhook.db", "moonhook.db-wal", "moonhook.db-shm" };
  char path[300];
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
  rmdir(dir);
}

void bed_close(void)
{
  Bed *bed = the_bed;
  if (!bed)
    return;
  while (bed->sockets)
    client_socket_close(bed, bed->sockets->id);
  while (bed->subjects)
    subject_close(bed, bed->subjects);
  while (bed->timers)
    bed_stop_timer(bed, bed->timers->id);
  store_close(bed->store);
  deadline_stop();
  uv_close((uv_handle_t *)&bed->nap, NULL);
  uv_run(loop_uv(bed->loop), UV_RUN_NOWAIT);
  log_flush();
  log_open(STDERR_FILENO, false, LOG_ERROR);
  host_clock = real_clock;
  the_bed = NULL;
  loop_free(bed->loop);
  if (bed->data_dir)
    remove_data(bed->data_dir);
  if (bed->log_fd >= 0)
    close(bed->log_fd);
  mem_free(bed->data_dir);
  mem_free(bed->events);
  mem_free(bed);
}

// In memory where there is such a folder: nothing of it is to outlive the process.
static char *make_data_dir(Err *err)
{
  const char *places[] = { "/dev/shm", getenv("TMPDIR"), "/tmp" };
  char path[300];
  size_t i;
  for (i = 0; i < sizeof places / sizeof *places; i++) {
    if (!places[i])
      continue;
    snprintf(path, sizeof path, "%.250s/moonhook-test-XXXXXX", places[i]);
    if (mkdtemp(path))
      return mem_string(path);
  }
  err_set(err, UV_EACCES, "cannot make a temporary folder for the storage");
  return NULL;
}

int bed_open_store(Bed *bed, Err *err)
{
  if (bed->store)
    return 0;
  if (!bed->data_dir)
    bed->data_dir = make_data_dir(err);
  if (!bed->data_dir)
    return err->code;
  bed->store = store_open(bed->loop, bed->data_dir, true, err);
  return bed->store ? 0 : err->code;
}

// --- events --------------------------------------------------------------------------------------

uint32_t bed_new_id(Bed *bed)
{
  return ++bed->next_id;
}

void bed_tell(Bed *bed, EventType type, uint32_t id)
{
  if (bed->event_count == bed->event_room) {
    bed->event_room = bed->event_room ? bed->event_room * 2 : 16;
    bed->events = mem_resize(bed->events, bed->event_room * sizeof *bed->events);
  }
  bed->events[bed->event_count++] = (Event){ type, id };
}

static Event take_event(Bed *bed)
{
  Event event = bed->events[0];
  memmove(bed->events, bed->events + 1, --bed->event_count * sizeof *bed->events);
  return event;
}

// --- time ----------------------------------------------------------------------------------------

uint64_t bed_now_ms(Bed *bed)
{
  return loop_now_ms(bed->loop) - bed->started_ms;
}

static void on_nap_over(uv_timer_t *nap)
{
  (void)nap;
}

static void count_unsent(uv_handle_t *handle, void *context)
{
  int *unsent = context, fd, bytes = 0;
  if (handle->type == UV_TCP && !uv_is_closing(handle) && uv_fileno(handle, &fd) == 0 &&
      ioctl(fd, SIOCOUTQ, &bytes) == 0)
    *unsent += bytes;
}

// Whether something is under way that the loop does not see yet: bytes in a socket, a connection
// being made, the store's thread.
static bool is_under_way(const Bed *bed, int naps)
{
  uv_loop_t *uv = loop_uv(bed->loop);
  int unsent = 0;
  if (bed->store && store_pending(bed->store) > 0)
    return naps < MAX_STORE_NAPS;
  if (naps >= MAX_NAPS)
    return false;
  if (uv->active_reqs.count > 0)
    return true;
  uv_walk(uv, count_unsent, &unsent);
  return unsent > 0;
}

static bool has_io(const Bed *bed)
{
  struct pollfd poll_fd = { .fd = uv_backend_fd(loop_uv(bed->loop)), .events = POLLIN };
  return poll(&poll_fd, 1, 0) > 0;
}

// Lets happen what can happen now. True: nothing more can without the time moving on.
static bool settle(Bed *bed, bool (*is_done)(void *context), void *context)
{
  uv_loop_t *uv = loop_uv(bed->loop);
  int naps = 0;
  for (;;) {
    uv_run(uv, UV_RUN_NOWAIT);
    if (is_done(context))
      return false;
    if (loop_has_work(bed->loop))
      continue;
    uv_run(uv, UV_RUN_NOWAIT); // what a callback began is watched only now
    if (is_done(context))
      return false;
    if (loop_has_work(bed->loop) || has_io(bed))
      continue;
    if (!is_under_way(bed, naps))
      return true;
    naps++;
    uv_update_time(uv);
    uv_timer_start(&bed->nap, on_nap_over, NAP_MS,
                   NAP_MS); // again and again: one may be due at once
    uv_run(uv, UV_RUN_ONCE);
    uv_timer_stop(&bed->nap);
  }
}

bool bed_run_until(Bed *bed, bool (*is_done)(void *context), void *context)
{
  while (settle(bed, is_done, context)) {
    uint64_t next_ms = loop_next_timer_ms(bed->loop);
    if (next_ms == UINT64_MAX)
      return false;
    loop_move_time(bed->loop, next_ms);
  }
  return true;
}

static bool has_event(void *context)
{
  return ((Bed *)context)->event_count > 0;
}

Event bed_next(Bed *bed, uint64_t until_ms)
{
  uint64_t until = until_ms == UINT64_MAX ? until_ms : bed->started_ms + until_ms;
  while (!has_event(bed) && settle(bed, has_event, bed)) {
    uint64_t next_ms = loop_next_timer_ms(bed->loop);
    if (next_ms <= until && next_ms != UINT64_MAX) {
      loop_move_time(bed->loop, next_ms);
      continue;
    }
    if (until != UINT64_MAX)
      loop_move_time(bed->loop, until);
    return (Event){ EVENT_NONE, 0 };
  }
  return take_event(bed);
}

// --- the spec's timers ---------------------------------------------------------------------------

static void on_due(Timer *timer)
{
  SpecTimer *spec_timer = (SpecTimer *)timer;
  bed_tell(spec_timer->bed, EVENT_TIMER, spec_timer->id);
  bed_stop_timer(spec_timer->bed, spec_timer->id);
}

uint32_t bed_start_timer(Bed *bed, uint64_t delay_ms)
{
  SpecTimer *timer = mem_zero(1, sizeof *timer);
  timer->bed = bed;
  timer->id = bed_new_id(bed);
  timer->next = bed->timers;
  bed->timers = timer;
  timer_start(bed->loop, &timer->timer, delay_ms, on_due);
  return timer->id;
}

void bed_stop_timer(Bed *bed, uint32_t id)
{
  SpecTimer **link, *timer;
  for (link = &bed->timers; (timer = *link); link = &timer->next) {
    if (timer->id != id)
      continue;
    *link = timer->next;
    timer_stop(&timer->timer);
    mem_free(timer);
    return;
  }
}
