// See slice.h.
#include "slice.h"

#include <stdio.h>
#include <sys/resource.h>

#include "../base/memory.h"
#include "deadline.h"

enum {
  TIGHT_PAUSE = 115, // percent of what lives, when the next collection begins
  LARGE_PAUSE = 150,
  USUAL_PAUSE = 200,
  LARGE_BYTES = 2 * 1024 * 1024,
  MAX_WHERE_BYTES = 4096,
  // More is there, but what it takes to raise an error grows with the square of the C functions
  // between which it passes.
  MAX_STACK_BYTES = 128 * 1024,
};

static void on_hook(lua_State *L, lua_Debug *where);

// From the allocator, in the middle of anything: only a hook may be set.
static void on_notice(Account *account)
{
  State *state = (State *)(void *)account; // its first member
  if (account->is_over)
    state_slice(state)->kill = KILL_MEMORY;
  lua_sethook(state_lua(state), on_hook, LUA_MASKCOUNT, 1);
}

void slice_begin(State *state, uint32_t limit_ms)
{
  Account *account = state_account(state);
  account->notice = on_notice;
  state_slice(state)->base = __builtin_frame_address(0);
  account_arm(account);
  deadline_begin(state_lua(state), limit_ms, on_hook);
}

static bool is_large(const Account *account)
{
  return account->bytes > (account->is_large ? LARGE_BYTES / 2 : LARGE_BYTES);
}

// As much as lives may be garbage beside it. Where much lives, in thousands of streams that wait,
// that would be half of the memory for good.
static void set_pause(State *state)
{
  Account *account = state_account(state);
  account->is_large = is_large(account);
  lua_gc(state_lua(state), LUA_GCSETPAUSE,
         account->is_tight   ? TIGHT_PAUSE
         : account->is_large ? LARGE_PAUSE
                             : USUAL_PAUSE);
}

Kill slice_end(State *state, char **where)
{
  Account *account = state_account(state);
  Slice *slice = state_slice(state);
  Kill kill = slice->kill;
  deadline_end();
  slice->base = NULL;
  account_lift(account);
  state_show_memory(state);
  *where = NULL;
  if (kill != KILL_NONE || account->wants_tight) {
    lua_sethook(state_lua(state), NULL, 0, 0);
    account->wants_tight = account->is_over = false;
    *where = slice->where;
    *slice = (Slice){ 0 };
  }
  if (account->is_tight && account->bytes < account->tight / 2) {
    account->is_tight = false;
    set_pause(state);
  }
  if (is_large(account) != account->is_large)
    set_pause(state);
  return kill;
}

void slice_kill(State *state, Kill why)
{
  if (state_slice(state)->kill == KILL_NONE)
    state_slice(state)->kill = why;
  lua_sethook(state_lua(state), on_hook, LUA_MASKCOUNT, 1);
}

static char *take_traceback(lua_State *L)
{
  size_t len;
  const char *text;
  char *copy;
  luaL_traceback(L, L, NULL, 0);
  text = lua_tolstring(L, -1, &len);
  copy = mem_bytes(text, len > MAX_WHERE_BYTES ? MAX_WHERE_BYTES : len);
  lua_pop(L, 1);
  return copy;
}

// Runs before every instruction once it is set, until the host's lua_resume or lua_pcall is
// reached: whatever the code wraps itself in, it comes no further.
static void on_hook(lua_State *L, lua_Debug *where)
{
  State *state = state_of(L);
  Account *account = state_account(state);
  Slice *slice = state_slice(state);
  (void)where;
  if (slice->kill == KILL_NONE && deadline_is_over())
    slice->kill = KILL_CPU;
  if (slice->kill != KILL_NONE) {
    account_lift(account);
    if (!slice->where)
      slice->where = take_traceback(L);
    if (lua_isyieldable(L))
      lua_yield(L, 0);
    else
      luaL_error(L, "stopped");
    return;
  }
  lua_sethook(L, NULL, 0, 0);
  account->wants_tight = false;
  account->is_tight = true;
  account_arm(account);
  set_pause(state);
  lua_gc(L, LUA_GCRESTART, 0); // a collection begins now
}

const char *kill_code(Kill why)
{
  switch (why) {
  case KILL_CPU:
    return "plugin_cpu_limit";
  case KILL_MEMORY:
    return "plugin_memory_limit";
  default:
    return "cancelled";
  }
}

void kill_describe(const State *state, Kill why, uint32_t limit_ms, char *text, size_t size)
{
  if (why == KILL_CPU)
    snprintf(text, size, "it used more than %u ms of processor time without waiting", limit_ms);
  else if (why == KILL_MEMORY)
    snprintf(text, size, "the plugin needed more than %zu KiB of memory",
             state_memory_cap(state) / 1024);
  else
    snprintf(text, size, "it caught its cancellation and went on calling");
}

static size_t most_stack_bytes(void)
{
  static size_t most;
  if (most == 0) {
    struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
    getrlimit(RLIMIT_STACK, &limit);
    most = MAX_STACK_BYTES;
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur / 8 < most)
      most = (size_t)limit.rlim_cur / 8;
  }
  return most;
}

void slice_check_stack(lua_State *L)
{
  const char *base = state_slice(state_of(L))->base, *here = __builtin_frame_address(0);
  if (base && base > here && (size_t)(base - here) > most_stack_bytes())
    luaL_error(L, "stack overflow (functions that call back, in each other)");
}

void slice_pause(lua_State *L)
{
  if (!deadline_is_over())
    return;
  slice_kill(state_of(L), KILL_CPU);
  luaL_error(L, "stopped");
}

void slice_refuse_memory(lua_State *L)
{
  slice_kill(state_of(L), KILL_MEMORY);
  luaL_error(L, "not enough memory");
}

size_t slice_room(lua_State *L)
{
  const Account *account = state_account(state_of(L));
  if (!account->is_armed)
    return SIZE_MAX;
  return account->bytes < account->cap ? account->cap - account->bytes : 0;
}

void slice_lift(lua_State *L, size_t bytes)
{
  Account *account = state_account(state_of(L));
  if (!account->is_armed)
    return;
  if (!account_has_room(account, bytes))
    slice_refuse_memory(L);
  account->watch = SIZE_MAX;
}

void slice_settle(lua_State *L)
{
  State *state = state_of(L);
  Account *account = state_account(state);
  if (!account->is_armed)
    return;
  account_arm(account);
  if (account->bytes > account->cap)
    slice_kill(state, KILL_MEMORY);
}

void slice_push_buffer(lua_State *L, Buffer *text)
{
  Account *account = state_account(state_of(L));
  if (account->is_armed && !account_has_room(account, text->len)) {
    buffer_free(text);
    slice_refuse_memory(L);
  }
  slice_lift(L, text->len);
  lua_pushlstring(L, text->bytes ? text->bytes : "", text->len);
  buffer_free(text);
  slice_settle(L);
}
