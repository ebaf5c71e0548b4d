// What the files of the master share: master.c runs it, master_children.c starts and buries its
// processes, watchdog.c looks after those that hang and the plugins that make them, upgrade.c hands
// over to a new binary. For these alone.
//
// The master has no libuv, no Lua, no thread and no store: a poll over its links, signals, time.
#ifndef MOONHOOK_PROCESS_MASTER_PARTS_H
#define MOONHOOK_PROCESS_MASTER_PARTS_H

#include <signal.h>
#include <sys/types.h>

#include "../base/scoreboard.h"
#include "restarts.h"
#include "run.h"

enum { MAX_CHILDREN = 600, STUCK_WARN_MS = 300, START_MS = 60000 };

typedef struct {
  pid_t pid; // 0: the place is free
  ProcessRole role;
  uint32_t number;     // of a worker
  int link;            // our end; -1: closed
  ScoreLine *line;     // NULL: of a process from before an upgrade
  uint64_t started_ms; // monotonic, as all below
  uint64_t stopped_ms; // since when a signal holds it; 0: it runs
  uint64_t end_ms;     // when it must have ended; 0: it may stay
  char last_word;      // of those that tell it to end; 0: none was said
  bool is_ready;
  bool is_leaving; // it was told to end; nobody takes its place
  bool is_warned;  // that it hangs
  bool was_killed; // by the watchdog
} Child;

typedef struct {
  const ConfigSources *sources;
  const RunOptions *options;
  Sockets sockets;
  int passing_fds[2]; // of the pair through which workers pass connections on: out, in
  int lock_fd;        // of the data folder; -1: none
  uint32_t workers, drain_ms, stuck_ms;
  Child children[MAX_CHILDREN];
  uint32_t child_count; // places that were ever used
  Restarts restarts;
  uint64_t keeper_due_ms;     // when to start it again; 0: it runs
  uint64_t *worker_due_ms;    // by number - 1
  bool is_upgrade;            // processes of the binary before are there
  bool was_killed;            // the master before this one, in this data folder
  bool has_keeper_been_ready; // workers may start
  bool is_up;                 // everything was ready once: told
  bool is_stopping, is_stopping_now, has_failed;
  int exit_code;
  uint64_t started_ms;
  // Upgrade.
  char *binary;    // the path that it was started from; NULL: it cannot be told
  pid_t check_pid; // the new binary, being asked; 0: none
  uint64_t check_end_ms;
} Master;

uint64_t master_now_ms(void);

// --- master_children.c

void children_start_keeper(Master *master);
void children_start_worker(Master *master, uint32_t number);
void children_start_due(Master *master); // whatever should run and does not
void children_reap(Master *master);      // those that ended, or were stopped or continued
Child *children_find(Master *master, pid_t pid);
uint32_t children_count(const Master *master, ProcessRole role); // that have not ended
void children_tell(Master *master, ProcessRole role, char word); // PROCESS_NONE: all
void children_tell_one(Child *child, char word);
// Tells it to end, in order, and at the latest in `ms`. The same word is said once.
void children_dismiss(Child *child, char word, uint64_t ms);
void children_kill_late(Master *master);

// --- watchdog.c

// Warns of processes that hang and kills those that go on; the ms until it wants to look again.
uint32_t watchdog_look(Master *master);
// A worker died: was it a plugin's doing?
void watchdog_note_death(const Child *child, int status);

// --- upgrade.c

// The path that an upgrade starts: the one that this program was started with, if it is a whole one
// (a link there may be pointed elsewhere), else that of its file. Whatever lies there later.
void upgrade_remember(Master *master);
// Takes over what the binary before handed on: sockets and its processes. False: there is nothing.
bool upgrade_adopt(Master *master);
void upgrade_begin(Master *master); // asks the new binary whether it could start
void upgrade_look(Master *master);  // at its answer taking too long
// The answer came. Does not return when it was yes and the new binary could be started.
void upgrade_answered(Master *master, int status);
void upgrade_finish(Master *master); // the new processes serve: the old ones may go

// --- notify.c: systemd, where it is there

bool notify_take_sockets(Sockets *sockets);
void notify_send(const char *state);
uint32_t notify_watchdog_ms(void); // how often it wants to hear from us; 0: never

#endif
