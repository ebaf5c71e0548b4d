// How a Task is spread over files: task.c runs it, task_bounds.c has what it owns and how much it
// may have. For these two alone.
#ifndef MOONHOOK_SCRIPT_TASK_PARTS_H
#define MOONHOOK_SCRIPT_TASK_PARTS_H

#include "../base/per_second.h"
#include "task.h"

typedef enum { PHASE_QUEUED, PHASE_RUNNING, PHASE_WAITING, PHASE_PAUSED } Phase;

struct Task {
  State *state;
  lua_State *co;
  int co_ref;
  Phase phase;
  bool is_cancelled;
  uint32_t refusals;   // since the last resume
  const char *refusal; // PAUSED: what the yield must raise
  const TaskEvents *events;
  void *owner;
  Job job;
  TaskWait wait;
  bool keeps_wait; // also when cancelled
  int (*push_start)(lua_State *co, void *owner);
  TaskOwned *owned;
  Task *next, **link; // in runtime->tasks, or among the free ones
  Task *root;         // of a spawned task: the one that its request started; else itself
  uint32_t coroutines;
  uint32_t slice_ms;     // of a root; see task_set_slice
  uint32_t children;     // of a root: spawned and not over
  PerSecond log_records; // of a root
  char request_id[65];
  const char *endpoint, *version; // see task_set_place; NULL: none
  int after_ref;                  // see task_after_ref; given back at the end
  Timer grace;
  char *cancel_code, *cancel_message; // NULL until it is cancelled
  char *note;                         // tracebacks of inner coroutines that raised
};

#endif
