// The clock of Lua code. One run of Lua code (a slice) on the loop's thread may use so much
// processor time; when it has used more, a debug hook is set that the code cannot get rid of.
//
// A ticker thread looks every 5 ms whether the same slice still runs, and sends the loop's thread a
// signal when its time is up; the signal's handler sets the hook. A slice itself costs two stores.
// While no Lua code runs the ticker sleeps.
#ifndef MOONHOOK_SCRIPT_DEADLINE_H
#define MOONHOOK_SCRIPT_DEADLINE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

// Starts the ticker for the calling thread, which must be the one that runs Lua. After fork only: a
// thread does not survive one. Calling it again does nothing. 0 or a libuv code.
int deadline_start(void);
void deadline_stop(void); // ends the ticker; slices are not limited any more

// A slice of the state begins: after limit_ms of processor time `hook` is called at every
// instruction. Slices are not nested.
void deadline_begin(lua_State *L, uint32_t limit_ms, lua_Hook hook);
// It is over; takes the hook away.
void deadline_end(void);
// What the running slice does between these two is not counted: work that a client caused, not the
// code, and that is bounded otherwise. No error may jump over the second: the code would have the
// time.
void deadline_pause(void);
void deadline_resume(void);
// Whether the running slice has used up its time; for the hook.
bool deadline_is_over(void);
// For specs, from the handler of a signal that interrupted the loop's thread: the time of the slice
// that runs, if one does, is up now. As if the ticker had found it.
void deadline_expire(void);

// Whether Lua code that the JIT compiled can be interrupted by a hook, found out by trying, once
// for all processes that share a scoreboard. Takes about a millisecond, with a LuaJIT that cannot
// some 20. False, too, where the system forbids code made at run time. MOONHOOK_JIT=off in the
// environment says no.
bool deadline_reaches_compiled_code(void);

#endif
