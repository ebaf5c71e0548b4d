// How a State is spread over files: state.c has its life and what others ask of it, state_boot.c
// fills a new one. For these two alone.
#ifndef MOONHOOK_SCRIPT_STATE_PARTS_H
#define MOONHOOK_SCRIPT_STATE_PARTS_H

#include "../base/per_second.h"
#include "../base/scoreboard.h"
#include "account.h"
#include "slice.h"
#include "state.h"

enum { MAX_POOLED = 64 };

typedef struct {
  lua_State *co;
  int ref;
} Pooled;

// The jobs of a plugin's states take turns with the other plugins' as one.
typedef struct {
  uint32_t states;
  JobGroup jobs;
} StateGroup;

struct State {
  Account account; // first: it is the allocator's user data
  Slice slice;
  PluginMemory *shown; // where its memory is told
  size_t shown_bytes;  // that are in it
  Runtime *runtime;
  lua_State *L;
  StateRole role;
  char *name, *id, *root;
  uint32_t permissions;
  char **hosts; // see StateConfig
  uint64_t storage_bytes;
  const HostModule *modules;
  StateLimits limits;
  uint32_t load_ms; // what is left of limits.load_ms
  int entry_ref, load_ref, loaded_ref, globals_ref;
  StateGroup *group;
  Job close_job;
  bool is_released, is_tainted;
  uint32_t tasks;
  struct Task *current;
  Pooled pool[MAX_POOLED];
  uint32_t pooled;
  PerSecond log_records;
  uint32_t uses[USE_KINDS];
  uint64_t cpu_killed_us;
  uint64_t collected_us; // when state_has_room last did, of the monotonic clock
};

// Everything of state_new that may raise. Stack: [State *, StateConfig *] -> []
int state_boot(lua_State *L);
int state_require(lua_State *L); // the library's require(name). Stack: [name] -> [module]

// Loads library module `name` as a chunk with the library's globals. Stack: [] -> [function]
void library_load(lua_State *L, Runtime *runtime, const char *name);

#endif
