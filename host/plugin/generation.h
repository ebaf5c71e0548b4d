// One loaded version of a plugin: its package, its lua_State, its handlers. Reference-counted:
// requests in flight keep the generation that they started with; the state is closed after the
// last.
#ifndef MOONHOOK_PLUGIN_GENERATION_H
#define MOONHOOK_PLUGIN_GENERATION_H

#include "../script/state.h"
#include "package.h"

typedef struct Generation Generation;

// Loads every source of the package from the snapshot folder `dir`. Takes `package` on success
// only. The error text names file and line. `entry` and `modules` as in StateConfig.
Generation *generation_load(Runtime *runtime, Package *package, const char *dir, const char *hash,
                            const char *entry, const HostModule *modules, Err *err);
// The same for code of our own: its only handler is what the library module `handler` returns, a
// table with `invoke`. The state has the role ROLE_ADMIN. Takes `package` on success only.
Generation *generation_load_library(Runtime *runtime, Package *package, const char *handler,
                                    const char *entry, const HostModule *modules, Err *err);
// The same version of a plugin once more, in a fresh state: as if it had just been loaded, but that
// the run queue knows its past, and both states take turns with others as one. `entry`
// and `modules` are those that it was loaded with, so they must still be there.
Generation *generation_again(Runtime *runtime, const Generation *generation, Err *err);
Generation *generation_hold(Generation *generation);
void generation_release(Generation *generation);

const Package *generation_package(const Generation *generation);
uint64_t generation_serial(const Generation *generation); // later ones have greater ones
const char *generation_hash(const Generation *generation);
State *generation_state(Generation *generation);
const PluginLimits *generation_limits(const Generation *generation); // that were granted
// Pushes the handler of declaration `index` onto `L` (any thread of the state).
void generation_push_handler(Generation *generation, lua_State *L, uint32_t index);

#endif
