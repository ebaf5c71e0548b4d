// See task.h. A coroutine runs one task after the other: the entry function yields DONE when it is
// through with one, and gets the next one's arguments as the results of that yield. So a request
// costs no new coroutine. A coroutine whose task raised is dead and is dropped.
#include "task.h"

#include <string.h>

#include "../base/fast_paths.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "slice.h"
#include "task_failure.h"
#include "task_parts.h"

const char task_no_room[] = "it does not fit into the plugin's memory";

// Identities; their addresses are what Lua sees as light userdata.
static char mark_wait, mark_done, mark_bad;

enum { MAX_FREE_TASKS = 64, MAX_NOTE_BYTES = 4096, MAX_REFUSALS = 1000 };

static void run(Job *job);

static Task *task_of_job(Job *job)
{
  return (Task *)((char *)job - offsetof(Task, job));
}

static uint32_t slice_ms_of(const Task *task)
{
  return task->root->slice_ms ? task->root->slice_ms : state_slice_ms(task->state);
}

static Loop *loop_of(const Task *task)
{
  return state_runtime(task->state)->loop;
}

static Task *task_new(Runtime *runtime)
{
  Task *task = runtime->free_tasks;
  if (!task)
    return mem_zero(1, sizeof *task);
  runtime->free_tasks = task->next;
  runtime->free_task_count--;
  task->next = NULL;
  return task;
}

static void task_free(Runtime *runtime, Task *task)
{
  mem_free(task->note);
  mem_free(task->kept_id);
  if (task->cancel) {
    timer_stop(&task->cancel->grace);
    mem_free(task->cancel->code);
    mem_free(task->cancel->message);
    mem_free(task->cancel);
  }
  if (runtime->free_task_count == MAX_FREE_TASKS || !fast_paths_are_on()) {
    mem_free(task);
    return;
  }
  memset(task, 0, sizeof *task);
  task->next = runtime->free_tasks;
  runtime->free_tasks = task;
  runtime->free_task_count++;
}

void task_free_unused(Runtime *runtime)
{
  while (runtime->free_tasks) {
    Task *task = runtime->free_tasks;
    runtime->free_tasks = task->next;
    mem_free(task);
  }
}

Task *task_start(State *state, const TaskEvents *events, void *owner,
                 int (*push)(lua_State *co, void *owner))
{
  Task *task = task_new(state_runtime(state));
  lua_State *L = state_lua(state);
  task->state = state;
  task->events = events;
  task->owner = owner;
  task->push_start = push;
  task->phase = PHASE_QUEUED;
  task->request_id = "";
  task->job.group = state_group(state);
  task->job.run = run;
  task->co = state_pool_take(state, &task->co_ref);
  if (!task->co) {
    task->co = lua_newthread(L);
    task->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_rawgeti(task->co, LUA_REGISTRYINDEX, state_entry_ref(state));
  }
  task->root = task;
  task->next = state_runtime(state)->tasks;
  task->link = &state_runtime(state)->tasks;
  if (task->next)
    task->next->link = &task->next;
  state_runtime(state)->tasks = task;
  state_task_started(state);
  job_post(loop_of(task), &task->job);
  return task;
}

void *task_owner(const Task *task)
{
  return task->owner;
}

State *task_state(const Task *task)
{
  return task->state;
}

bool task_is_cancelled(const Task *task)
{
  return task->cancel != NULL;
}

// --- ending --------------------------------------------------------------------------------------

static void drop_wait(Task *task)
{
  TaskWait wait = task->wait;
  task->wait = (TaskWait){ 0 };
  task->keeps_wait = false;
  if (wait.op && wait.cancel)
    wait.cancel(wait.op);
}

static void end(Task *task, const TaskFailure *failure, bool can_reuse)
{
  State *state = task->state;
  lua_State *L = state_lua(state);
  drop_wait(task);
  while (task->owned) {
    TaskOwned *owned = task->owned;
    task_disown(owned);
    owned->release(owned);
  }
  job_cancel(&task->job);
  *task->link = task->next;
  if (task->next)
    task->next->link = task->link;
  if (task->after_ref)
    luaL_unref(L, LUA_REGISTRYINDEX, task->after_ref);
  task->events->on_end(task, failure);
  if (!can_reuse || !state_pool_give(state, task->co, task->co_ref))
    luaL_unref(L, LUA_REGISTRYINDEX, task->co_ref);
  task_free(state_runtime(state), task);
  state_task_ended(state);
}

static void fail(Task *task)
{
  lua_State *L = state_lua(task->state);
  TaskFailure failure = { .status = 0 };
  Buffer text = { 0 }, details = { 0 }, trace = { 0 };
  int top = lua_gettop(L);
  task_failure_read(task->co, &failure, &text, &details);
  // The failed stack is still intact, so the traceback shows the plugin's own lines.
  luaL_traceback(L, task->co, NULL, 0);
  buffer_string(&trace, lua_tostring(L, -1));
  if (task->note)
    buffer_string(&trace, task->note);
  lua_settop(L, top);
  failure.message = (Span){ text.bytes, text.len };
  failure.details = (Span){ details.bytes, details.len };
  failure.traceback = (Span){ trace.bytes, trace.len };
  end(task, &failure, false);
  buffer_free(&text);
  buffer_free(&details);
  buffer_free(&trace);
}

// Ends a task from outside, wherever it stands; its coroutine is dropped.
static void kill_task(Task *task)
{
  TaskFailure failure = { .status = 0 };
  task_failure_set_code(&failure, task->cancel->code);
  failure.message = span_of(task->cancel->message);
  failure.traceback = span_of("");
  end(task, &failure, false);
}

// Ends a task whose code was stopped; takes `where`, a traceback or NULL.
static void stop(Task *task, Kill kill, char *where)
{
  TaskFailure failure = { .status = 0 };
  char what[160];
  kill_describe(task->state, kill, slice_ms_of(task), what, sizeof what);
  if (kill == KILL_CALLS) {
    log_event(LOG_WARN, "task ended", LOG_S("plugin", state_name(task->state)),
              LOG_S("request_id", task->request_id), LOG_S("error", what));
    kill_task(task);
  } else {
    lua_State *L = state_lua(task->state);
    task_failure_set_code(&failure, kill_code(kill));
    failure.message = span_of(what);
    if (!where) { // refused memory: the stack is as it was
      luaL_traceback(L, task->co, NULL, 0);
      where = mem_string(lua_tostring(L, -1));
      lua_pop(L, 1);
    }
    failure.traceback = span_of(where);
    failure.is_killed = true;
    state_taint(task->state);
    if (kill == KILL_CPU)
      state_note_cpu_kill(task->state);
    end(task, &failure, false);
    if (kill == KILL_MEMORY) // what it had is garbage now, and others of the plugin need room
      lua_gc(L, LUA_GCCOLLECT, 0);
  }
  mem_free(where);
}

static void on_grace_over(Timer *timer)
{
  kill_task(((TaskCancel *)timer)->task);
}

// --- running -------------------------------------------------------------------------------------

// True: the task can go on at once, and this turn has room for it.
static bool on_yield(Task *task)
{
  lua_State *co = task->co;
  const void *mark = lua_touserdata(co, 1);
  const char *refusal = NULL;
  bool has_room = true;
  if (lua_type(co, 1) == LUA_TLIGHTUSERDATA && mark == &mark_wait) {
    lua_settop(co, 0);
    task->phase = PHASE_WAITING;
    return false; // the pending operation, or a cancel that came meanwhile, posts the job
  }
  if (lua_type(co, 1) == LUA_TLIGHTUSERDATA && mark == &mark_done) {
    lua_settop(co, 0);
    end(task, NULL, true);
    return false;
  }
  drop_wait(task); // a wait that could not be yielded (inside table.sort, say)
  task->phase = PHASE_PAUSED;
  if (task->cancel) {
    has_room = true; // the next resume raises
  } else if (lua_type(co, 1) == LUA_TSTRING && lua_gettop(co) == 1) {
    Span piece;
    piece.at = lua_tolstring(co, 1, &piece.len);
    has_room = task->events->on_piece(task, piece, &refusal);
  } else if (lua_istable(co, 1) && lua_gettop(co) == 1 && task->events->on_event) {
    // On the main thread: nothing may be called on a coroutine that is suspended.
    lua_State *L = state_lua(task->state);
    lua_xmove(co, L, 1);
    has_room = task->events->on_event(task, L, &refusal);
    lua_pop(L, 1);
  } else {
    refusal = "coroutine.yield: expected one string (a piece of the reply)";
  }
  lua_settop(co, 0);
  task->refusal = refusal;
  if (!has_room && !refusal)
    return false;
  if (job_goes_on(loop_of(task)))
    return true;
  job_post(loop_of(task), &task->job);
  return false;
}

// Resumes the task once. True: again at once.
static bool step(Task *task)
{
  lua_State *co = task->co;
  int nargs = 0, status;
  char *where;
  Kill kill;
  switch (task->phase) {
  case PHASE_QUEUED:
    if (task->cancel) {
      lua_settop(co, 0); // never started: nothing to unwind
      kill_task(task);
      return false;
    }
    nargs = task->push_start(co, task->owner);
    break;
  case PHASE_WAITING:
    if (task->wait.op) {
      TaskWait wait = task->wait;
      nargs = wait.push(co, wait.op);
      if (nargs < 0)
        return false; // not yet
      task->wait = (TaskWait){ 0 };
    } else {
      nargs = push_failure(co, task->cancel->code, task->cancel->message);
    }
    break;
  case PHASE_PAUSED:
    if (task->cancel) {
      lua_pushlightuserdata(co, &mark_bad);
      lua_pushstring(co, task->cancel->code);
      lua_pushstring(co, task->cancel->message);
      nargs = 3;
    } else if (task->refusal) {
      lua_pushlightuserdata(co, &mark_bad);
      lua_pushstring(co, task->refusal == task_no_room ? "plugin_memory_limit" : NULL);
      lua_pushstring(co, task->refusal);
      nargs = 3;
    }
    task->refusal = NULL;
    break;
  case PHASE_RUNNING:
    return false; // lua_resume is never nested
  }
  task->phase = PHASE_RUNNING;
  task->refusals = 0;
  state_set_current(task->state, task);
  scoreboard_enter();
  slice_begin(task->state, slice_ms_of(task));
  status = lua_resume(co, nargs);
  kill = slice_end(task->state, &where);
  scoreboard_leave();
  state_set_current(task->state, NULL);
  if (kill != KILL_NONE) {
    stop(task, kill, where);
  } else if (status == LUA_YIELD) {
    return on_yield(task);
  } else if (status == 0) {
    end(task, NULL, false);
  } else {
    fail(task);
  }
  return false;
}

static void run(Job *job)
{
  Task *task = task_of_job(job);
  scoreboard_place(state_id(task->state), task->version, task->endpoint, task->request_id);
  while (step(task))
    ;
}

void task_continue(Task *task)
{
  if (task->phase == PHASE_PAUSED)
    job_post(loop_of(task), &task->job);
}

void task_ready(Task *task)
{
  job_post(loop_of(task), &task->job);
}

void task_cancel(Task *task, const char *code, const char *message, uint32_t grace_ms)
{
  TaskOwned *owned, *next;
  if (task->cancel)
    return;
  task->cancel = mem_zero(1, sizeof *task->cancel);
  task->cancel->task = task;
  task->cancel->code = mem_string(code);
  task->cancel->message = mem_string(message);
  for (owned = task->owned; owned; owned = next) {
    next = owned->next; // it may take itself out
    if (owned->cancel)
      owned->cancel(owned, code, message);
  }
  if (!task->keeps_wait)
    drop_wait(task);
  timer_start(loop_of(task), &task->cancel->grace, grace_ms, on_grace_over);
  job_post(loop_of(task), &task->job);
}

void task_cancel_all(Runtime *runtime, const char *code, const char *message, uint32_t grace_ms)
{
  Task *task;
  for (task = runtime->tasks; task; task = task->next)
    task_cancel(task, code, message, grace_ms);
}

void task_set_request_id(Task *task, const char *request_id)
{
  task->request_id = request_id;
}

void task_keep_request_id(Task *task)
{
  if (task->kept_id)
    return;
  task->kept_id = mem_string(task->request_id);
  task->request_id = task->kept_id;
}

void task_set_slice(Task *task, uint32_t slice_ms)
{
  task->slice_ms = slice_ms;
}

void task_set_place(Task *task, const char *endpoint, const char *version)
{
  task->endpoint = endpoint;
  task->version = version;
}

const char *task_request_id(const Task *task)
{
  return task->request_id;
}

// --- for bindings --------------------------------------------------------------------------------

Task *task_current(lua_State *L)
{
  return state_current(state_of(L));
}

int push_failure(lua_State *L, const char *code, const char *message)
{
  lua_pushnil(L);
  lua_pushstring(L, code);
  lua_pushstring(L, message);
  return 3;
}

int push_no_room(lua_State *L)
{
  return push_failure(L, "plugin_memory_limit", task_no_room);
}

// What a cancelled task gets for a call. One that catches this and asks again without end, not
// letting anyone else run, is stopped.
static int refuse(lua_State *L, Task *task)
{
  if (++task->refusals > MAX_REFUSALS)
    slice_kill(task->state, KILL_CALLS);
  return push_failure(L, task->cancel->code, task->cancel->message);
}

static int await(lua_State *L, TaskWait wait, bool keeps_wait)
{
  Task *task = task_current(L);
  if (!task || (task->cancel && !keeps_wait)) {
    if (wait.cancel)
      wait.cancel(wait.op);
    if (!task)
      return push_failure(L, "not_in_task",
                          "calls that wait are not possible while a plugin loads");
    if (!wait.op)
      return refuse(L, task);
    // It is refused a turn later, so that others run meanwhile, and the end of the grace comes.
    drop_wait(task);
    job_post(loop_of(task), &task->job);
    lua_pushlightuserdata(L, &mark_wait);
    return 1;
  }
  drop_wait(task); // one that could not be yielded
  task->wait = wait;
  task->keeps_wait = keeps_wait;
  lua_pushlightuserdata(L, &mark_wait);
  return 1;
}

int task_await(lua_State *L, TaskWait wait)
{
  return await(L, wait, false);
}

int task_await_kept(lua_State *L, TaskWait wait)
{
  return await(L, wait, true);
}

void task_note(Task *task, lua_State *L, lua_State *co)
{
  Buffer text = { 0 };
  luaL_traceback(L, co, NULL, 0);
  if (task->note)
    buffer_string(&text, task->note);
  if (text.len < MAX_NOTE_BYTES) {
    buffer_string(&text, "\ninner coroutine: ");
    buffer_string(&text, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  mem_free(task->note);
  task->note = buffer_take(&text);
}

void task_push_marks(lua_State *L)
{
  lua_pushlightuserdata(L, &mark_wait);
  lua_setfield(L, -2, "WAIT");
  lua_pushlightuserdata(L, &mark_done);
  lua_setfield(L, -2, "DONE");
  lua_pushlightuserdata(L, &mark_bad);
  lua_setfield(L, -2, "BAD");
}

int *task_after_ref(Task *task)
{
  return &task->after_ref;
}

Task *task_root(Task *task)
{
  return task->root;
}

void task_set_root(Task *task, Task *root)
{
  task->root = root;
}
