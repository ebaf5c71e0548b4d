// See generation.h.
#include "generation.h"

#include "../base/memory.h"

struct Generation {
  uint32_t references;
  uint64_t serial;
  Package *package;
  State *state;
  int *handlers; // registry references, one per declaration
  char hash[65];
  PluginLimits limits;
  const char *entry; // both as they were given
  const HostModule *modules;
};

static void generation_free(Generation *generation)
{
  if (generation->state)
    state_release(generation->state); // its references go with it
  package_free(generation->package);
  mem_free(generation->handlers);
  mem_free(generation);
}

static Generation *load(Runtime *runtime, Package *package, const char *dir, const char *hash,
                        const char *entry, const HostModule *modules, State *takes_turns_with,
                        Err *err)
{
  Generation *generation = mem_zero(1, sizeof *generation);
  StateConfig config = { .role = ROLE_PLUGIN,
                         .name = package->name,
                         .author = package->author,
                         .root = dir,
                         .permissions = package->permissions,
                         .hosts = (const char *const *)package->hosts,
                         .storage_bytes = package->storage_bytes,
                         .entry = entry,
                         .modules = modules,
                         .takes_turns_with = takes_turns_with };
  static uint64_t last_serial;
  uint32_t i;
  generation->limits = plugin_limits_grant(
      &package->limits, runtime->plugin_limits ? runtime->plugin_limits : &plugin_limits_default);
  config.limits = (StateLimits){ .slice_ms = generation->limits.cpu_ms,
                                 .memory_bytes = generation->limits.memory_bytes,
                                 .calls = generation->limits.calls,
                                 .timers = generation->limits.timers };
  generation->references = 1;
  generation->serial = ++last_serial;
  generation->entry = entry;
  generation->modules = modules;
  generation->handlers = mem_zero(package->declaration_count, sizeof(int));
  memcpy(generation->hash, hash, strlen(hash) < 65 ? strlen(hash) : 64);
  generation->state = state_new(runtime, &config, err);
  for (i = 0; generation->state && i < package->declaration_count; i++) {
    generation->handlers[i] =
        state_load_handler(generation->state, package->declarations[i].source, err);
    if (generation->handlers[i] < 0)
      break;
  }
  if (!generation->state || i < package->declaration_count) {
    generation_free(generation); // with no package yet
    return NULL;
  }
  generation->package = package;
  return generation;
}

Generation *generation_load(Runtime *runtime, Package *package, const char *dir, const char *hash,
                            const char *entry, const HostModule *modules, Err *err)
{
  return load(runtime, package, dir, hash, entry, modules, NULL, err);
}

Generation *generation_again(Runtime *runtime, const Generation *generation, Err *err)
{
  Package *package = package_hold(generation->package);
  Generation *fresh = load(runtime, package, state_root(generation->state), generation->hash,
                           generation->entry, generation->modules, generation->state, err);
  if (!fresh)
    package_free(package);
  return fresh;
}

Generation *generation_load_library(Runtime *runtime, Package *package, const char *handler,
                                    const char *entry, const HostModule *modules, Err *err)
{
  StateConfig config = { .role = ROLE_ADMIN,
                         .name = package->name,
                         .entry = entry,
                         .modules = modules,
                         .limits = { .slice_ms = 10000,
                                     .memory_bytes = (size_t)1024 * 1024 * 1024 } };
  Generation *generation = mem_zero(1, sizeof *generation);
  generation->limits = plugin_limits_default;
  generation->references = 1;
  generation->handlers = mem_zero(1, sizeof(int));
  generation->state = state_new(runtime, &config, err);
  if (generation->state)
    generation->handlers[0] = state_load_library(generation->state, handler, err);
  if (!generation->state || generation->handlers[0] < 0) {
    generation_free(generation); // with no package yet
    return NULL;
  }
  generation->package = package;
  return generation;
}

Generation *generation_hold(Generation *generation)
{
  generation->references++;
  return generation;
}

void generation_release(Generation *generation)
{
  if (generation && --generation->references == 0)
    generation_free(generation);
}

const Package *generation_package(const Generation *generation)
{
  return generation->package;
}

uint64_t generation_serial(const Generation *generation)
{
  return generation->serial;
}

const char *generation_hash(const Generation *generation)
{
  return generation->hash;
}

const PluginLimits *generation_limits(const Generation *generation)
{
  return &generation->limits;
}

State *generation_state(Generation *generation)
{
  return generation->state;
}

void generation_push_handler(Generation *generation, lua_State *L, uint32_t index)
{
  lua_rawgeti(L, LUA_REGISTRYINDEX, generation->handlers[index]);
}
