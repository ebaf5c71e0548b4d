// host.timer: start(delay_ms) -> WAIT | nil, code, message; then true.
#include "../base/memory.h"
#include "bind.h"
#include "task.h"

typedef struct {
  Timer timer;
  Task *task;
  State *state; // NULL: nothing was started
  bool is_due;
} Sleep;

static void on_due(Timer *timer)
{
  Sleep *sleep = (Sleep *)timer; // first member
  sleep->is_due = true;
  task_ready(sleep->task);
}

static void end(Sleep *sleep)
{
  if (sleep->state)
    state_use(sleep->state, USE_TIMER, -1);
  mem_free(sleep);
}

static int push(lua_State *co, void *op)
{
  Sleep *sleep = op;
  if (!sleep->is_due)
    return -1;
  end(sleep);
  lua_pushboolean(co, 1);
  return 1;
}

static void cancel(void *op)
{
  Sleep *sleep = op;
  timer_stop(&sleep->timer);
  end(sleep);
}

static int l_timer_start(lua_State *L)
{
  lua_Number delay_ms = luaL_checknumber(L, 1);
  Task *task = task_current(L);
  State *state = state_of(L);
  Sleep *sleep;
  if (!(delay_ms >= 0 && delay_ms <= 86400000.0))
    return luaL_argerror(L, 1, "expected milliseconds from 0 to 86400000");
  if (!state_may_use(state, USE_TIMER))
    return push_failure(L, "too_many_timers", "the plugin has as many timers as it may");
  sleep = mem_zero(1, sizeof *sleep);
  sleep->task = task;
  if (task) {
    sleep->state = state;
    state_use(state, USE_TIMER, 1);
    timer_start(state_runtime(state)->loop, &sleep->timer, (uint64_t)delay_ms, on_due);
  }
  return task_await(L, (TaskWait){ sleep, push, cancel });
}

int luaopen_host_timer(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_timer_start);
  lua_setfield(L, -2, "start");
  return 1;
}
