// A task: one request's (or local call's) coroutine and all it owns. This file is the only one that
// calls lua_resume. A task ends exactly once; what it owns (streams, timers) is released then.
#ifndef MOONHOOK_SCRIPT_TASK_H
#define MOONHOOK_SCRIPT_TASK_H

#include "state.h"

typedef struct Task Task;

// How a task failed, in two tellings: the code and message that a client may see, and the log's.
typedef struct {
  bool is_killed;    // stopped from outside in the middle of its code, which could not clean up
  char code[40];     // an Error's code, or "plugin_error"
  int status;        // an Error's HTTP status, or 0
  int retry_after_s; // its field of that name: when the client may try again; or 0
  Span message;      // of the error object, one line or more
  Span details;      // further fields of an Error, for the log: "upstream_status=500 ..."
  Span traceback;    // the plugin's lines
} TaskFailure;

typedef struct {
  // The task yielded a piece. False: no room; task_continue must follow. The bytes are borrowed.
  // A text in *refusal (static) makes the yield raise it at the plugin's line; task_no_room raises
  // an Error with the code "plugin_memory_limit".
  bool (*on_piece)(Task *task, Span piece, const char **refusal);
  // A yielded table (Response.sse events); NULL: only strings may be yielded. Works on the value at
  // the top of `L` and pops nothing; returns as on_piece.
  bool (*on_event)(Task *task, lua_State *L, const char **refusal);
  // Whether nobody waits for what the task makes, before it was told so; NULL: somebody does. Asked
  // before it opens a call.
  bool (*has_left)(Task *task);
  // What a call that the task opens says of its way here, in the field CDN-Loop; borrowed. NULL: it
  // came by too often, no call is opened. Without the function, or with "", nothing is known.
  const char *(*passes)(Task *task);
  // The task is over and freed after this returns. `failure` is NULL when it ended well.
  void (*on_end)(Task *task, const TaskFailure *failure);
} TaskEvents;

extern const char task_no_room[];

// Starts a task in the run queue: `push` puts the entry function's arguments on `co` and returns
// their number; it runs when the task's turn comes.
Task *task_start(State *state, const TaskEvents *events, void *owner,
                 int (*push)(lua_State *co, void *owner));
void task_free_unused(Runtime *runtime); // gives back what is kept for the next tasks
void *task_owner(const Task *task);
State *task_state(const Task *task);
void task_continue(Task *task); // room for a piece again
bool task_is_cancelled(const Task *task);

// The client left, or time is up: a waiting call raises an Error with this code, a yield too; later
// calls raise at once. After grace_ms more the task is ended, wherever it is.
void task_cancel(Task *task, const char *code, const char *message, uint32_t grace_ms);

// --- for bindings --------------------------------------------------------------------------------

// An operation that the running task starts and waits for.
typedef struct {
  void *op;
  int (*push)(lua_State *co, void *op); // results onto co, their number; -1: not yet
  void (*cancel)(void *op);             // the task will not take the result
} TaskWait;

Task *task_current(lua_State *L); // NULL while a plugin loads
// The binding must return the value that this leaves on the stack: `return task_await(...)`.
// Outside a task, or cancelled, it gives nil, code, message instead and calls cancel itself.
int task_await(lua_State *L, TaskWait wait);
// The same, but a cancelled task may still start the operation, and gets its result: for cleanup.
int task_await_kept(lua_State *L, TaskWait wait);
void task_ready(Task *task); // the operation may have a result; from any libuv callback

// Something that must not outlive the task. Zero-initialise.
typedef struct TaskOwned {
  struct TaskOwned *next, **link;           // link: what points here; NULL when not owned
  void (*release)(struct TaskOwned *owned); // at the task's end; already taken out
  // When the task is cancelled: what the thing does must stop too. May be NULL.
  void (*cancel)(struct TaskOwned *owned, const char *code, const char *message);
} TaskOwned;
void task_own(Task *task, TaskOwned *owned);
// Whether the task may open one more call: it may have 64 at a time, and its plugin has a bound,
// too. Handles that its code has lost are collected first. 0, or 3 values on the stack that say
// what is full.
int task_refuse_call(Task *task, lua_State *L);
// The field CDN-Loop of a call that was not refused, as TaskEvents has it, and added to its
// headers.
const char *task_passes(Task *task);
void task_add_passes(Task *task, HeaderList *headers);
void task_disown(TaskOwned *owned); // no effect when not owned

// For host.task.
void task_note(Task *task, lua_State *L, lua_State *co); // keeps co's traceback for the log
void task_push_marks(lua_State *L);                      // into the table at the top of L
Task *task_root(Task *task); // the request's task that spawned this one, or itself
void task_set_root(Task *task, Task *root);
// The coroutines of the task's own that are not dead, as far as it is known: change is what was
// made or has ended. False: there are 1,000, and one that was to be made is not counted.
bool task_count_coroutine(Task *task, int change);
bool task_count_child(Task *root, int change); // false: it has as many as it may
// Whether the request that the task belongs to may write one more log record now: 50 a second, half
// of what its plugin may. Counts it.
bool task_may_log(Task *task);

int *task_after_ref(Task *task); // registry reference of what goes on after the reply; 0: none

// What log records of the task's code name; borrowed until the task's end, or until
// task_keep_request_id copies it. "": none.
void task_set_request_id(Task *task, const char *request_id);
void task_keep_request_id(Task *task);
const char *task_request_id(const Task *task);
// What the scoreboard names while the task's code runs; both borrowed until the task's end.
void task_set_place(Task *task, const char *endpoint, const char *version);
// Processor time between two waits, of the task and of those that it spawns; 0: as its state has
// it.
void task_set_slice(Task *task, uint32_t slice_ms);
// Cancels every task of the worker.
void task_cancel_all(Runtime *runtime, const char *code, const char *message, uint32_t grace_ms);

int push_failure(lua_State *L, const char *code, const char *message); // nil, code, message
// The same for what cannot be kept for the plugin: its memory is full.
int push_no_room(lua_State *L);
int luaopen_host_task(lua_State *L); // WAIT, DONE, BAD, is_cancelled, note, spawn, join, key

#endif
