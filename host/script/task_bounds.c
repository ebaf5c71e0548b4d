// What a task owns, and how much of each thing it may have at a time.
#include "task_parts.h"

enum { MAX_CHILDREN = 64, MAX_OWNED = 64, MAX_COROUTINES = 1000, MAX_LOG_RECORDS = 50 };

void task_own(Task *task, TaskOwned *owned)
{
  owned->next = task->owned;
  owned->link = &task->owned;
  if (owned->next)
    owned->next->link = &owned->next;
  task->owned = owned;
}

static uint32_t count_owned(const Task *task)
{
  const TaskOwned *owned;
  uint32_t count = 0;
  for (owned = task->owned; owned; owned = owned->next)
    count++;
  return count;
}

static bool has_room(const Task *task)
{
  return count_owned(task) < MAX_OWNED && state_may_use(task->state, USE_CALL);
}

int task_refuse_call(Task *task, lua_State *L)
{
  const TaskEvents *events = task->root->events;
  if (events->has_left && events->has_left(task->root))
    return push_failure(L, "cancelled", "the client left");
  if (!task_passes(task))
    return push_failure(L, "loop_detected",
                        "the request came by too often (limits.plugin_passes): calls of the "
                        "plugin's lead back to it");
  if (has_room(task))
    return 0;
  lua_gc(L, LUA_GCCOLLECT, 0);
  if (has_room(task))
    return 0;
  return push_failure(L, "too_many_calls",
                      count_owned(task) < MAX_OWNED ? "the plugin has as many calls open as it may"
                                                    : "a request may have 64 calls open at a time");
}

const char *task_passes(Task *task)
{
  const TaskEvents *events = task->root->events;
  return events->passes ? events->passes(task->root) : "";
}

void task_add_passes(Task *task, HeaderList *headers)
{
  const char *passes = task_passes(task);
  if (passes && *passes)
    header_list_add(headers, span_of("CDN-Loop"), span_of(passes));
}

bool task_count_coroutine(Task *task, int change)
{
  if (change > 0 && task->coroutines >= MAX_COROUTINES)
    return false;
  if (change > 0 || task->coroutines > 0)
    task->coroutines = (uint32_t)((int)task->coroutines + change);
  return true;
}

void task_disown(TaskOwned *owned)
{
  if (!owned->link)
    return;
  *owned->link = owned->next;
  if (owned->next)
    owned->next->link = owned->link;
  owned->next = NULL;
  owned->link = NULL;
}

bool task_count_child(Task *root, int change)
{
  if (change > 0 && root->children == MAX_CHILDREN)
    return false;
  root->children = (uint32_t)((int)root->children + change);
  return true;
}

bool task_may_log(Task *task)
{
  PerSecond *records = &task->root->log_records;
  per_second_look(records, loop_now_ms(state_runtime(task->state)->loop)); // the plugin's tells
  return per_second_take(records, MAX_LOG_RECORDS);
}
