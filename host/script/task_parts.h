// How a Task is spread over files: task.c runs it, task_bounds.c has what it owns and how much it
// may have. For these two alone.
#ifndef MOONHOOK_SCRIPT_TASK_PARTS_H
#define MOONHOOK_SCRIPT_TASK_PARTS_H

#include "../base/per_second.h"
#include "task.h"

typedef enum { PHASE_QUEUED, PHASE_RUNNING, PHASE_WAITING, PHASE_PAUSED } Phase;

// What a task has from when it is cancelled on.
typedef struct {
  Timer grace; // first member
  Task *task;
  char *code, *message;
} TaskCancel;

// Streams that wait have one each: no holes between the fields.
struct Task {
  State *state;
  lua_State *co;
  int co_ref;
  Phase phase;
  uint32_t refusals;   // since the last resume
  bool keeps_wait;     // also when cancelled
  const char *refusal; // PAUSED: what the yield must raise
  const TaskEvents *events;
  void *owner;
  Job job;
  TaskWait wait;
  int (*push_start)(lua_State *co, void *owner);
  TaskOwned *owned;
  Task *next, **link; // in runtime->tasks, or among the free ones
  Task *root;         // of a spawned task: the one that its request started; else itself
  uint32_t coroutines;
  uint32_t slice_ms;      // of a root; see task_set_slice
  uint32_t children;      // of a root: spawned and not over
  int after_ref;          // see task_after_ref; given back at the end
  PerSecond log_records;  // of a root
  const char *request_id; // kept_id, or somebody's who outlives the task; "": none
  char *kept_id;
  const char *endpoint, *version; // see task_set_place; NULL: none
  TaskCancel *cancel;             // NULL until it is cancelled
  char *note;                     // tracebacks of inner coroutines that raised
};

#endif
