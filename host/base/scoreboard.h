// What the processes of one host share: one anonymous mapping, made by the master before it forks.
// A line per process (who it is, when it last moved, what runs in it, its counters), the number of
// the registry's generation, the text of the configuration in force, the suspects, and the lock for
// writing to the store.
//
// Everything is an atomic or text: a process may die at any point and leaves nothing locked. Texts
// may be read half-written; they are for log records only. A process that has no line, and a
// program that opened no scoreboard, write to a line of their own that nobody reads.
#ifndef MOONHOOK_BASE_SCOREBOARD_H
#define MOONHOOK_BASE_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"

enum {
  SCOREBOARD_LINES =
      520, // twice the most workers, the old ones of an upgrade included, and keepers
  SCOREBOARD_SUSPECTS = 64,
  SCOREBOARD_PLUGINS = 64, // whose memory a process tells apart; that of others is one sum
  SUSPECT_MS = 60000,      // that a plugin is suspect after it killed a worker
  SCOREBOARD_CONFIG_BYTES = 1024 * 1024,
};

typedef enum { PROCESS_NONE, PROCESS_KEEPER, PROCESS_WORKER } ProcessRole;

// The memory of one plugin's Lua states in one process.
typedef struct {
  _Atomic uint32_t states; // 0: free
  _Atomic uint64_t bytes;
  char plugin[136]; // its name; "": of all that found no place
} PluginMemory;

typedef struct {
  _Atomic int32_t pid;                                 // 0: free
  _Atomic uint32_t role;                               // ProcessRole
  _Atomic uint32_t number;                             // of a worker, from 1
  _Atomic bool is_ready;                               // it serves
  _Atomic bool is_draining;                            // it takes no more connections
  _Atomic bool is_idle;                                // it sleeps until something happens
  _Atomic bool is_in_lua;                              // of `plugin`
  _Atomic bool has_calls_filtered, has_files_confined; // by the kernel
  _Atomic uint64_t beat_ms;                            // monotonic: when it last moved
  _Atomic int32_t fault; // the signal that the kernel ended it with; 0: none, or somebody's kill
  // Now.
  _Atomic uint32_t connections, live_tasks, live_states;
  _Atomic uint32_t in_flight; // requests to plugins
  // Since it started.
  _Atomic uint64_t accepted, requests, log_dropped, reloads;
  _Atomic uint64_t passed_on; // connections, to the worker that serves what is suspect
  char plugin[136];           // "author/name"
  char version[72];           // its content hash
  char endpoint[72];          // "" while it loads
  PluginMemory memory[SCOREBOARD_PLUGINS + 1];
  char request_id[68]; // of the request
} ScoreLine;

// A plugin that killed workers. Written by the master (and by the keeper before there are workers,
// and when the operator says so); workers claim `probe_pid`.
typedef struct {
  _Atomic uint32_t is_used;
  _Atomic bool is_watched;      // served by one worker alone
  _Atomic uint32_t rounds;      // of quarantine, each twice as long as the one before
  _Atomic uint64_t until_ms;    // wall clock: in quarantine until then; 0: only suspected
  _Atomic uint64_t kills_ms[3]; // wall clock: when it last killed, newest first
  _Atomic int32_t probe_pid;    // the worker that tries it after `until_ms`
  _Atomic bool is_lifted;       // by the operator, or by a probe that went well
  _Atomic uint32_t changes;     // raised with each change, so that it can be kept
  char plugin[136], version[72];
  char cause[48]; // of the last kill; "": it was before this start
} Suspect;

// --- the mapping ---------------------------------------------------------------------------------

int scoreboard_open(Err *err); // once, before forking
void scoreboard_close(void);

// Takes a free line for a process that is about to start; NULL when there is none.
ScoreLine *scoreboard_take_line(ProcessRole role, uint32_t number);
void scoreboard_free_line(ScoreLine *line);
ScoreLine *scoreboard_line(uint32_t index); // any; NULL past the last one that was ever taken
void scoreboard_sit_down(ScoreLine *line);  // this process's own from now on; never freed by it
ScoreLine *scoreboard_mine(void);           // never NULL
void scoreboard_name(const ScoreLine *line, char *name, size_t size); // "worker 1", "keeper"

// The place of one more state of the plugin in this process's line, made when there is none; give
// it back with scoreboard_release_memory. Never NULL. `plugin` NULL: a place that nobody reads.
PluginMemory *scoreboard_hold_memory(const char *plugin);
void scoreboard_release_memory(PluginMemory *memory);

// --- the heartbeat -------------------------------------------------------------------------------

uint64_t scoreboard_now_ms(void); // monotonic, cheap, some ms coarse
void scoreboard_beat(void);
void scoreboard_idle(void); // before it sleeps; anything below ends that
// Whose code is going to run. Texts are copied; NULL is "".
void scoreboard_place(const char *plugin, const char *version, const char *endpoint,
                      const char *request_id);
// It runs, until scoreboard_leave.
void scoreboard_enter(void);
void scoreboard_leave(void);

// --- what is served ------------------------------------------------------------------------------

uint64_t scoreboard_generation(void);
void scoreboard_raise(void); // after the registry, or the configuration, has changed

// The text of the configuration file in force, so that a process that starts later, or again, has
// the same. Version 0: none was put.
int scoreboard_put_config(const char *text, size_t len, Err *err); // UV_EFBIG
uint64_t scoreboard_config_version(void);
uint64_t scoreboard_config(Buffer *text); // appends it; its version

// What the master takes from a configuration that was read again. `workers` 0: none was.
typedef struct {
  uint32_t workers;
  uint32_t drain_ms; // that requests have to end
  uint32_t stuck_ms; // without a heartbeat: killed; 0: never
} ScoreWishes;

void scoreboard_set_wishes(const ScoreWishes *wishes);
ScoreWishes scoreboard_wishes(void);
void scoreboard_set_stopping(void);
bool scoreboard_is_stopping(void);

// --- the machine ---------------------------------------------------------------------------------

// What one process found out for all: whether compiled code can be interrupted. False: nobody has.
bool scoreboard_compiles(bool *answer);
void scoreboard_set_compiles(bool answer);

// --- suspects ------------------------------------------------------------------------------------

bool scoreboard_has_suspects(void);
void scoreboard_set_suspects(uint32_t count); // places in use, from the first
Suspect *scoreboard_suspect(uint32_t index);  // NULL past the last place

// --- the store -----------------------------------------------------------------------------------

// One process writes at a time, each in its turn. UV_ETIMEDOUT after `timeout_ms`. A process that
// dies inside leaves it to the next.
int scoreboard_lock_store(uint32_t timeout_ms);
void scoreboard_unlock_store(void);

#endif
