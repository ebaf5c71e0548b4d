// One run of a state's Lua code, from the host's call until it comes back: the limits hold only in
// between. Code that passes one is stopped for good: a hook that no pcall keeps it from.
#ifndef MOONHOOK_SCRIPT_SLICE_H
#define MOONHOOK_SCRIPT_SLICE_H

#include "account.h"
#include "state.h"

typedef enum {
  KILL_NONE,
  KILL_CPU,    // it used too much processor time
  KILL_MEMORY, // the state needed too much memory
  KILL_CALLS,  // cancelled, it caught the refusal of its calls and went on calling
} Kill;

// Of a State; zero-initialise.
typedef struct Slice {
  Kill kill;
  char *where;      // traceback of code that was stopped for its time, or NULL
  const char *base; // of the C stack where it began; NULL: not running
} Slice;

// The code may use `limit_ms` of processor time.
void slice_begin(State *state, uint32_t limit_ms);
// Says why the code was stopped, if it was. *where is the traceback, the caller's to free, or NULL.
Kill slice_end(State *state, char **where);
// Stops the running code as soon as its C function returns.
void slice_kill(State *state, Kill why);

const char *kill_code(Kill why); // "plugin_cpu_limit" ...
// A sentence about it with the limit's number.
void kill_describe(const State *state, Kill why, uint32_t limit_ms, char *text, size_t size);

// Raises when Lua and C functions call each other so deeply that the C stack comes to its end:
// coroutines in coroutines, gsub in gsub's callback. LuaJIT itself does not look.
void slice_check_stack(lua_State *L);

// Raises when the slice's time is over: for C functions that may take long.
void slice_pause(lua_State *L);

// For C functions that own something while they make Lua values: from slice_lift to slice_settle no
// allocation fails. `bytes`: what they may need at most; when there is not so much left, slice_lift
// raises, so nothing may be owned yet. slice_settle stops the code if it took too much after all.
void slice_lift(lua_State *L, size_t bytes);
void slice_settle(lua_State *L);

size_t slice_room(lua_State *L); // bytes left below the cap; SIZE_MAX while it does not hold
void slice_refuse_memory(
    lua_State *L); // stops the code as if an allocation had been refused; raises

// Pushes the text as a string and frees it, whether there is memory for the string or not.
// Stack: [] -> [string]
void slice_push_buffer(lua_State *L, Buffer *text);

#endif
