// host.task: the marks that coroutines.lua and serve.lua need, and tasks that a task starts.
//   is_cancelled() -> boolean
//   note(co): keeps the traceback of an inner coroutine that raised, for the log
//   keep_after(fn) -> true | nothing: keeps fn with the request's task, at most 16
//   take_after() -> { fn, ... } | nil
//   spawn(fn) -> handle | nil, code, message: runs fn() beside the running task
//   count(change) -> boolean: false when the task has as many coroutines as it may
//   format(...): string.format that looks at the stack
//   check_stack(): raises when the C stack is nearly used up
//   join(handle) -> true | WAIT: when the spawned task is over, and nil, code, message when its
//   code
//     was stopped
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "bind.h"
#include "slice.h"
#include "task.h"

#define CHILD_TYPE "moonhook.task"

enum {
  CANCEL_GRACE_MS = 1000,
  MAX_AFTER = 16,
  SPAWN_BYTES = 64 * 1024, // a coroutine, its place in the registry
};

// A spawned task, seen from the one that started it; lives in the userdata. The registry holds that
// while the request's task owns it and while the child runs, so that no finalizer is needed: in a
// state that is full one may not be run.
typedef struct {
  TaskOwned owned; // by the request's task
  State *state;
  int self_ref;
  uint32_t references; // of the two
  Task *child;         // NULL: over
  Task *root;          // NULL: over
  Task *waiting;       // the task that joins, or NULL
  int function_ref;
  char code[40]; // it was stopped for its time or memory; "": it was not
  char message[160];
} Child;

static void child_release(Child *child)
{
  if (--child->references == 0)
    luaL_unref(state_lua(child->state), LUA_REGISTRYINDEX, child->self_ref);
}

static int push_start(lua_State *co, void *owner)
{
  Child *child = owner;
  lua_rawgeti(co, LUA_REGISTRYINDEX, child->function_ref);
  return 1;
}

static bool on_piece(Task *task, Span piece, const char **refusal)
{
  (void)task;
  (void)piece;
  *refusal = "coroutine.yield: a spawned function has no reply to send pieces of";
  return true;
}

static void keep_failure(Child *child, const Task *task, const TaskFailure *failure)
{
  snprintf(child->code, sizeof child->code, "%s", failure->code);
  snprintf(child->message, sizeof child->message, "%.*s", (int)failure->message.len,
           failure->message.at);
  log_event(LOG_ERROR, "spawned function stopped", LOG_S("request_id", task_request_id(task)),
            LOG_S("plugin", state_name(task_state(task))), LOG_S("code", child->code),
            LOG_S("error", child->message),
            LOG_B("traceback", failure->traceback.at, failure->traceback.len));
}

static void on_end(Task *task, const TaskFailure *failure)
{
  Child *child = task_owner(task);
  if (failure && failure->is_killed) // what fn raised was caught by the library
    keep_failure(child, task, failure);
  luaL_unref(state_lua(task_state(task)), LUA_REGISTRYINDEX, child->function_ref);
  child->child = NULL;
  if (child->waiting)
    task_ready(child->waiting);
  if (child->root) { // nothing is left for the request's task to end
    task_count_child(child->root, -1);
    task_disown(&child->owned);
    child->root = NULL;
    child_release(child);
  }
  child_release(child);
}

static const TaskEvents child_events = { .on_piece = on_piece, .on_end = on_end };

static void on_parent_cancel(TaskOwned *owned, const char *code, const char *message)
{
  Child *child = (Child *)owned; // first member
  if (child->child)
    task_cancel(child->child, code, message, CANCEL_GRACE_MS);
}

static void on_parent_end(TaskOwned *owned)
{
  Child *child = (Child *)owned;
  child->waiting = NULL;
  child->root = NULL;
  if (child->child) {
    task_set_root(child->child, child->child);
    task_cancel(child->child, "cancelled", "the task that started it is over", CANCEL_GRACE_MS);
  }
  child_release(child);
}

static int l_task_spawn(lua_State *L)
{
  Task *task = task_current(L);
  Child *child;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (!task || task_is_cancelled(task) || task_is_cancelled(task_root(task)))
    return task_await(L, (TaskWait){ 0 });
  slice_lift(L, SPAWN_BYTES); // from here on nothing raises
  if (!task_count_child(task_root(task), 1)) {
    slice_settle(L);
    return push_failure(L, "too_many_tasks", "a request may have 64 spawned functions at a time");
  }
  child = lua_newuserdata(L, sizeof *child);
  memset(child, 0, sizeof *child);
  luaL_getmetatable(L, CHILD_TYPE);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  child->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  child->state = state_of(L);
  child->references = 2;
  child->root = task_root(task);
  lua_pushvalue(L, 1);
  child->function_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  child->owned.release = on_parent_end;
  child->owned.cancel = on_parent_cancel;
  // Owned by the request's task: a spawned function that spawns another may end before it.
  task_own(child->root, &child->owned);
  child->child = task_start(task_state(task), &child_events, child, push_start);
  task_set_root(child->child, child->root);
  task_set_request_id(child->child, task_request_id(child->root));
  task_keep_request_id(child->child);
  slice_settle(L);
  return 1;
}

static int push_end(lua_State *L, const Child *child)
{
  if (child->code[0])
    return push_failure(L, child->code, child->message);
  lua_pushboolean(L, 1);
  return 1;
}

static int push_joined(lua_State *co, void *op)
{
  Child *child = op;
  if (child->child)
    return -1;
  child->waiting = NULL;
  return push_end(co, child);
}

static void cancel_join(void *op)
{
  Child *child = op;
  if (child)
    child->waiting = NULL;
}

static int l_task_join(lua_State *L)
{
  Child *child = luaL_checkudata(L, 1, CHILD_TYPE);
  Task *task = task_current(L);
  if (task && !child->child)
    return push_end(L, child);
  if (!task || !child->root || task_root(task) != child->root)
    return push_failure(L, "closed", "it was spawned by another request");
  if (child->waiting)
    return push_failure(L, "closed", "another function waits for it already");
  child->waiting = task;
  return task_await(L, (TaskWait){ child, push_joined, cancel_join });
}

static int l_task_is_cancelled(lua_State *L)
{
  Task *task = task_current(L);
  lua_pushboolean(L, task && task_is_cancelled(task));
  return 1;
}

static int l_task_note(lua_State *L)
{
  Task *task = task_current(L);
  lua_State *co = lua_tothread(L, 1);
  if (task && co)
    task_note(task, L, co);
  return 0;
}

// count(change) -> boolean, see task_count_coroutine; outside of a task nothing is counted.
static int l_task_count(lua_State *L)
{
  int change = (int)luaL_checkinteger(L, 1);
  Task *task = task_current(L);
  lua_pushboolean(L, !task || task_count_coroutine(task, change));
  return 1;
}

static int l_task_check_stack(lua_State *L)
{
  slice_check_stack(L);
  return 0;
}

// The functions belong to the task, and go with it when it fails before they run.
static int l_task_keep_after(lua_State *L)
{
  Task *task = task_current(L);
  int *ref = task ? task_after_ref(task_root(task)) : NULL, count;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (!ref)
    return 0;
  if (!*ref) {
    lua_newtable(L);
    *ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
  count = (int)lua_objlen(L, -1) + 1;
  if (count > MAX_AFTER)
    return 0;
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, count);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_task_take_after(lua_State *L)
{
  Task *task = task_current(L);
  int *ref = task ? task_after_ref(task_root(task)) : NULL;
  if (!ref || !*ref)
    return 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
  luaL_unref(L, LUA_REGISTRYINDEX, *ref);
  *ref = 0;
  return 1;
}

static lua_CFunction string_format;

// string.format, which calls the __tostring of what it is given.
static int l_task_format(lua_State *L)
{
  int i;
  for (i = lua_gettop(L); i > 1; i--) {
    if (lua_type(L, i) == LUA_TTABLE)
      slice_check_stack(L);
  }
  return string_format(L);
}

int luaopen_host_task(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "is_cancelled", l_task_is_cancelled },
    { "note", l_task_note },
    { "check_stack", l_task_check_stack },
    { "count", l_task_count },
    { "format", l_task_format },
    { "keep_after", l_task_keep_after },
    { "take_after", l_task_take_after },
    { "spawn", l_task_spawn },
    { "join", l_task_join },
    { NULL, NULL },
  };
  const luaL_Reg *function;
  luaL_newmetatable(L, CHILD_TYPE);
  lua_pop(L, 1);
  lua_getglobal(L, "string");
  lua_getfield(L, -1, "format");
  string_format = lua_tocfunction(L, -1);
  lua_pop(L, 2);
  lua_newtable(L);
  task_push_marks(L);
  for (function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  return 1;
}
