// See state.h. The allocator's user data is the State, so that any thread finds it in one call.
#include "state.h"

#include <lauxlib.h>
#include <luajit.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/fast_paths.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "deadline.h"
#include "json_context.h"
#include "pattern.h"
#include "state_parts.h"
#include "task.h"
#include "task_failure.h"

enum { MAX_LOG_RECORDS = 100, COLLECT_US = 100000 };

static size_t leaked_bytes;

State *state_of(lua_State *L)
{
  void *state;
  lua_getallocf(L, &state);
  return state;
}

static void tell_dropped(const State *state, uint32_t count)
{
  if (count > 0)
    log_event(LOG_WARN, "log records of the plugin dropped", LOG_S("plugin", state->name),
              LOG_I("dropped", count));
}

bool state_may_log(State *state, bool is_refused)
{
  PerSecond *records = &state->log_records;
  if (state->role != ROLE_PLUGIN)
    return true;
  tell_dropped(state, per_second_look(records, loop_now_ms(state->runtime->loop)));
  return per_second_take(records, is_refused ? 0 : MAX_LOG_RECORDS);
}

static char **copy_hosts(const char *const *hosts)
{
  size_t i, count = 0;
  char **copy;
  if (!hosts)
    return NULL;
  while (hosts[count])
    count++;
  copy = mem_zero(count + 1, sizeof *copy);
  for (i = 0; i < count; i++)
    copy[i] = mem_string(hosts[i]);
  return copy;
}

static void show_bytes(State *state, size_t bytes)
{
  // Only this thread writes there.
  uint64_t sum = atomic_load_explicit(&state->shown->bytes, memory_order_relaxed);
  sum += bytes - state->shown_bytes;
  atomic_store_explicit(&state->shown->bytes, sum, memory_order_relaxed);
  state->shown_bytes = bytes;
}

void state_show_memory(State *state)
{
  show_bytes(state, state->account.bytes);
}

static void free_state(State *state)
{
  char **host;
  tell_dropped(state, state->log_records.dropped);
  for (host = state->hosts; host && *host; host++)
    mem_free(*host);
  mem_free(state->hosts);
  state->runtime->live_states--;
  if (state->L)
    lua_close(state->L);
  show_bytes(state, 0);
  scoreboard_release_memory(state->shown);
  leaked_bytes += state->account.bytes;
  blocks_free(&state->account.blocks);
  mem_free(state->name);
  mem_free(state->id);
  mem_free(state->root);
  if (--state->group->states == 0)
    mem_free(state->group);
  mem_free(state);
}

static StateLimits with_defaults(StateLimits limits)
{
  if (limits.slice_ms == 0)
    limits.slice_ms = 100;
  if (limits.load_ms == 0)
    limits.load_ms = 1000;
  if (limits.memory_bytes == 0)
    limits.memory_bytes = 64 * 1024 * 1024;
  if (limits.calls == 0)
    limits.calls = 4096;
  if (limits.timers == 0)
    limits.timers = 10000;
  return limits;
}

static char *make_id(const StateConfig *config)
{
  Buffer id = { 0 };
  char *text;
  if (config->author)
    buffer_printf(&id, "%s/", config->author);
  buffer_string(&id, config->name ? config->name : "");
  text = mem_bytes(id.bytes ? id.bytes : "", id.len);
  buffer_free(&id);
  return text;
}

void runtime_close(Runtime *runtime)
{
  task_free_unused(runtime);
}

State *state_new(Runtime *runtime, const StateConfig *config, Err *err)
{
  State *state = mem_zero(1, sizeof *state);
  runtime->live_states++;
  state->runtime = runtime;
  state->shown = scoreboard_hold_memory(config->role == ROLE_ADMIN ? NULL : config->name);
  state->role = config->role;
  state->name = mem_string(config->name);
  state->id = make_id(config);
  state->root = mem_string(config->root);
  state->permissions = config->permissions;
  state->hosts = copy_hosts(config->hosts);
  state->storage_bytes = config->storage_bytes;
  state->modules = config->modules;
  state->group = config->takes_turns_with ? config->takes_turns_with->group
                                          : mem_zero(1, sizeof *state->group);
  state->group->states++;
  state->limits = with_defaults(config->limits);
  state->load_ms = state->limits.load_ms;
  account_set_cap(&state->account, state->limits.memory_bytes);
  pattern_on_pause = slice_pause;
  json_memory = (JsonMemory){ slice_room, slice_refuse_memory };
  state->L = lua_newstate(account_allocator(), state);
  if (!state->L) {
    err_set(err, UV_ENOMEM, "cannot create a Lua state");
    free_state(state);
    return NULL;
  }
  lua_pushcfunction(state->L, state_boot);
  lua_pushlightuserdata(state->L, state);
  lua_pushlightuserdata(state->L, (void *)(uintptr_t)config);
  if (lua_pcall(state->L, 2, 0, 0) != 0) {
    err_set(err, UV_EINVAL, "%s",
            lua_tostring(state->L, -1) ? lua_tostring(state->L, -1) : "library failed to load");
    free_state(state);
    return NULL;
  }
  return state;
}

static void on_close_job(Job *job)
{
  free_state((State *)((char *)job - offsetof(State, close_job)));
}

static void close_when_idle(State *state)
{
  if (!state->is_released || state->tasks > 0)
    return;
  // From the run queue, so never under a running task of its own; but not as one of its group,
  // which may go with it.
  state->close_job.run = on_close_job;
  job_post(state->runtime->loop, &state->close_job);
}

void state_release(State *state)
{
  state->is_released = true;
  close_when_idle(state);
}

// Of what is left to load with, at least 1 ms stays, so that the next file says what is wrong.
static uint32_t used_ms(uint32_t left_ms, uint64_t started_us)
{
  uint64_t used = (host_clock.monotonic_us() - started_us) / 1000;
  return used < left_ms ? (uint32_t)used : left_ms - 1;
}

int state_load_handler(State *state, const char *file, Err *err)
{
  lua_State *L = state->L;
  int rc, status, top = lua_gettop(L);
  uint64_t started_us = host_clock.monotonic_us();
  char *where;
  Kill kill;
  lua_rawgeti(L, LUA_REGISTRYINDEX, state->load_ref);
  lua_pushstring(L, file);
  slice_begin(state, state->load_ms);
  status = lua_pcall(L, 1, 1, 0);
  kill = slice_end(state, &where);
  state->load_ms -= used_ms(state->load_ms, started_us);
  if (kill != KILL_NONE) {
    char what[160], at[256];
    int line = 0;
    kill_describe(state, kill, state->limits.load_ms, what, sizeof what);
    if (where && task_failure_place(span_of(where), at, sizeof at, &line))
      rc = err_set(err, UV_EINVAL, "%s:%d: %s while it was loaded", at, line, what);
    else
      rc = err_set(err, UV_EINVAL, "%s: %s while it was loaded", file, what);
  } else if (status != 0) {
    const char *text = lua_tostring(L, -1);
    rc = err_set(err, UV_EINVAL, "%s",
                 text ? text : "the file raised an error that is not a string");
  } else {
    rc = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  mem_free(where);
  lua_settop(L, top);
  return rc;
}

int state_load_library(State *state, const char *module, Err *err)
{
  lua_State *L = state->L;
  int rc, top = lua_gettop(L);
  lua_pushcfunction(L, state_require);
  lua_pushstring(L, module);
  if (lua_pcall(L, 1, 1, 0) != 0)
    rc = err_set(err, UV_EINVAL, "%s", lua_tostring(L, -1));
  else
    rc = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_settop(L, top);
  return rc;
}

// --- what others ask -----------------------------------------------------------------------------

const char *script_version(void)
{
  return LUAJIT_VERSION;
}

lua_State *state_lua(State *state)
{
  return state->L;
}

Runtime *state_runtime(State *state)
{
  return state->runtime;
}

const char *state_name(const State *state)
{
  return state->name;
}

const char *state_id(const State *state)
{
  return state->id;
}

const char *state_root(const State *state)
{
  return state->root;
}

uint32_t state_permissions(const State *state)
{
  return state->permissions;
}

bool script_compiles(void)
{
  return deadline_reaches_compiled_code();
}

size_t script_leaked_bytes(void)
{
  return leaked_bytes;
}

uint32_t state_slice_ms(const State *state)
{
  return state->limits.slice_ms;
}

size_t state_memory_cap(const State *state)
{
  return state->limits.memory_bytes;
}

size_t state_memory_bytes(const State *state)
{
  return state->account.bytes;
}

void state_use(State *state, StateUse what, int change)
{
  state->uses[what] = (uint32_t)((int)state->uses[what] + change);
}

bool state_may_use(const State *state, StateUse what)
{
  uint32_t most = what == USE_CALL ? state->limits.calls : state->limits.timers;
  return state->role != ROLE_PLUGIN || state->uses[what] < most;
}

size_t *state_charges(State *state)
{
  return state->role == ROLE_PLUGIN ? &state->account.bytes : NULL;
}

size_t *state_unsent(State *state)
{
  return &state->account.unsent;
}

bool state_has_room(State *state, size_t bytes)
{
  uint64_t now_us;
  if (account_has_room(&state->account, bytes) || state->role != ROLE_PLUGIN)
    return true;
  now_us = host_clock.monotonic_us();
  if (bytes > state->account.cap ||
      (state->collected_us != 0 && now_us - state->collected_us < COLLECT_US))
    return false;
  lua_gc(state->L, LUA_GCCOLLECT, 0);
  state->collected_us = host_clock.monotonic_us();
  return account_has_room(&state->account, bytes);
}

struct Account *state_account(State *state)
{
  return &state->account;
}

struct Slice *state_slice(State *state)
{
  return &state->slice;
}

uint64_t state_storage_bytes(const State *state)
{
  return state->storage_bytes;
}

bool state_may_reach(const State *state, const char *host)
{
  char **pattern = state->hosts;
  while (pattern && *pattern && !host_pattern_has(*pattern, host))
    pattern++;
  return !pattern || *pattern;
}

// A hook that stops code while it is being compiled only marks that: the compiler takes back what
// it had begun at the next instruction that the state runs. Until then it refers to the stopped
// function, and to compiled code that must not go. So an instruction is run, and compiled code then
// made anew from what the interpreter sees.
static void settle_compiler(lua_State *L)
{
  if (luaL_loadstring(L, "") != 0 || lua_pcall(L, 0, 0, 0) != 0)
    lua_pop(L, 1);
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
}

void state_taint(State *state)
{
  state->is_tainted = true;
  settle_compiler(state->L);
}

uint64_t state_cpu_killed_us(const State *state)
{
  return state->cpu_killed_us;
}

void state_note_cpu_kill(State *state)
{
  state->cpu_killed_us = host_clock.monotonic_us();
}

bool state_is_tainted(const State *state)
{
  return state->is_tainted;
}

StateRole state_role(const State *state)
{
  return state->role;
}

uint32_t state_tasks(const State *state)
{
  return state->tasks;
}

JobGroup *state_group(State *state)
{
  return &state->group->jobs;
}

int state_entry_ref(const State *state)
{
  return state->entry_ref;
}

void state_set_current(State *state, struct Task *task)
{
  state->current = task;
}

struct Task *state_current(const State *state)
{
  return state->current;
}

void state_task_started(State *state)
{
  state->tasks++;
  state->runtime->live_tasks++;
}

void state_task_ended(State *state)
{
  state->tasks--;
  state->runtime->live_tasks--;
  close_when_idle(state);
}

lua_State *state_pool_take(State *state, int *ref)
{
  if (state->pooled == 0 || !fast_paths_are_on())
    return NULL;
  state->pooled--;
  *ref = state->pool[state->pooled].ref;
  return state->pool[state->pooled].co;
}

bool state_pool_give(State *state, lua_State *co, int ref)
{
  if (state->pooled == MAX_POOLED || state->is_released || !fast_paths_are_on())
    return false;
  state->pool[state->pooled++] = (Pooled){ co, ref };
  return true;
}
