// A lua_State that runs other people's code: the sandbox, the library, the plugin's files. One per
// plugin version per worker, and one for the local apps. Its run-queue group gives every state its
// turn. Credentials never enter a state.
#ifndef MOONHOOK_SCRIPT_STATE_H
#define MOONHOOK_SCRIPT_STATE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/loop.h"
#include "../base/stream.h"
#include "../reverse/client.h"
#include "../store/store.h"

typedef struct State State;

// The Lua file of a workflow app, read by the worker whenever the configuration is.
typedef struct {
  char *app_id, *name; // name: of the file, as it was written
  char *text;          // NULL when it cannot be read
  size_t len;
  char problem[200];
} AppSource;

// What the states of one worker share. Owned by the worker; outlives every state.
typedef struct Runtime {
  Loop *loop;
  Client *client;
  ClientTimes client_times; // defaults of reverse calls
  Policy *http_policy;      // where plugins' own HTTP calls may go; replaced with the configuration
  Store *store;             // NULL: local apps keep no conversations
  Backends *backends;       // replaced when the configuration changes
  char *catalogue_json;     // what plugins may know of backends and apps
  char *apps_json;          // the `apps` section, for the local state
  AppSource *app_sources;   // the texts of workflow apps
  uint32_t app_source_count;
  uint32_t catalogue_version;               // raised whenever one of the three above changed
  const struct PluginLimits *plugin_limits; // the most a plugin may have; NULL: the usual
  const char *library_path; // folder that holds moonhook/; NULL: the library in the binary
  // In specs: where plugins' own HTTP calls go, whatever they address; the address itself travels
  // in X-Moonhook-Url. NULL: into the world.
  const char *web_relay;
  struct StorageFaults *storage_faults; // in specs; NULL: none
  // Opens a call of the built-in backend `local`; never NULL when set. `passes` as of TaskEvents.
  Stream *(*local_open)(void *context, const char *kind, Span body, const char *passes);
  void *local_context;
  uint32_t demo_pause_ms; // of local/demo, between tokens
  uint32_t demo_seed;
  struct Task *tasks;      // all that live
  struct Task *free_tasks; // used ones, to be used again
  uint32_t free_task_count;
  uint32_t live_tasks; // of all states
  uint32_t live_states;
} Runtime;

typedef enum { ROLE_PLUGIN, ROLE_LOCAL, ROLE_ADMIN } StateRole;

// What the code of one state may use. 0: the default.
typedef struct {
  uint32_t slice_ms;   // processor time between two waits; 100
  uint32_t load_ms;    // processor time to load all of its files; 1000
  size_t memory_bytes; // 64 MiB
  uint32_t calls;      // open at a time, of all its tasks; 4096
  uint32_t timers;     // that its tasks wait for at a time; 10000
} StateLimits;

// A C module that library code may require as "host.NAME".
typedef struct {
  const char *name;
  lua_CFunction open;
} HostModule;

typedef struct {
  StateRole role;
  const char *name;     // the plugin's, for the log; copied
  const char *author;   // of the plugin; NULL: none
  const char *root;     // folder of its files; NULL: none; copied
  uint32_t permissions; // PERMIT_*
  // The hosts that its own HTTP calls may name (patterns of reverse/policy.h), NULL-terminated;
  // copied. NULL: any.
  const char *const *hosts;
  uint64_t storage_bytes; // what its storage may hold
  StateLimits limits;
  const char *entry;         // library module that returns the function each task runs
  const HostModule *modules; // further C modules, ended by { NULL, NULL }; may be NULL
  State *takes_turns_with;   // of the same plugin, as one; NULL: it has turns of its own
} StateConfig;

// Loads the sandbox and the library. The error text names the library's file and line.
State *state_new(Runtime *runtime, const StateConfig *config, Err *err);
void runtime_close(
    Runtime *runtime); // after its last state: gives back what further ones would use
// Closes the state when its last task has ended, from the run queue. No new task may start.
void state_release(State *state);

// Runs a file of the package once and keeps what it returns: a table with `invoke`, or a function
// (made into such a table). Gives a registry reference, or a negative code and err->text with file
// and line. Files are not run twice: the same `require` cache serves them.
int state_load_handler(State *state, const char *file, Err *err);

// The same for a module of the library, which returns such a table.
int state_load_library(State *state, const char *module, Err *err);

lua_State *state_lua(State *state); // the main thread; not for running plugin code
Runtime *state_runtime(State *state);
const char *state_name(const State *state);
const char *state_id(const State *state); // "author/name", as two authors may choose one name
const char *state_root(const State *state);
uint32_t state_permissions(const State *state);
bool state_may_reach(const State *state, const char *host); // by its manifest
uint64_t state_storage_bytes(const State *state);
uint32_t state_slice_ms(const State *state);
size_t state_memory_cap(const State *state);
size_t state_memory_bytes(const State *state); // that it uses now, with what is charged to it
void state_show_memory(State *state);          // tells it where /metrics reads it
// What memory outside of the state that is kept for its code is charged to; NULL: the state belongs
// to the host, nobody counts.
size_t *state_charges(State *state);
// The part of that which waits for clients to read.
size_t *state_unsent(State *state);
// Whether `bytes` more may be kept for the state's code. Its garbage is collected before the answer
// is no, though not at every call. Not from the allocator.
bool state_has_room(State *state, size_t bytes);
StateRole state_role(const State *state);
// Whether some of its code was stopped for its time or memory: it could not clean up after itself,
// so what the plugin keeps in variables may be half done.
bool state_is_tainted(const State *state);
void state_taint(State *state);
// When some of its code was last stopped for its time, of the monotonic clock; 0: never.
uint64_t state_cpu_killed_us(const State *state);
void state_note_cpu_kill(State *state);
uint32_t state_tasks(const State *state);
State *state_of(lua_State *L);    // of any thread of it
const char *script_version(void); // of LuaJIT
// Whether plugins run compiled: only where compiled code can be interrupted.
bool script_compiles(void);
// What states of this process kept when they were closed: 0, unless we are wrong.
size_t script_leaked_bytes(void);

// What all tasks of the state together have of things that its memory does not bound.
typedef enum { USE_CALL, USE_TIMER, USE_KINDS } StateUse;
void state_use(State *state, StateUse what, int change);
bool state_may_use(const State *state, StateUse what); // one more; a state of the host's always may

// Reads a file of the package: relative, inside the root, no links out. 0 or a libuv code.
int state_read_file(const State *state, const char *file, Buffer *out, Err *err);

// --- for slice.c ---------------------------------------------------------------------------------

// Whether the state's code may write one more log record now: 100 a second, none when `is_refused`
// for another reason. Counts those that may not; the next that may, and the state's end, say how
// many there were.
bool state_may_log(State *state, bool is_refused);

struct Account *state_account(State *state); // the State's first member
struct Slice *state_slice(State *state);

// --- for task.c ----------------------------------------------------------------------------------

struct Task;
JobGroup *state_group(State *state);
int state_entry_ref(const State *state);
void state_set_current(State *state, struct Task *task);
struct Task *state_current(const State *state); // the task whose code runs now, or NULL
void state_task_started(State *state);
void state_task_ended(State *state);
// A coroutine that has finished its task and waits for the next, or NULL; `*ref` anchors it.
lua_State *state_pool_take(State *state, int *ref);
bool state_pool_give(State *state, lua_State *co, int ref); // false: full, the caller unrefs

#endif
