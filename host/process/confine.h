// What the kernel keeps from a process that runs plugins' code. The sandbox of the language is the
// first wall; this is the second, for the day when a bug in LuaJIT or in the host makes a hole in
// the first: no other program, no other process, no file but the host's own. What the system does
// not offer is left out and told.
#ifndef MOONHOOK_PROCESS_CONFINE_H
#define MOONHOOK_PROCESS_CONFINE_H

#include <stdbool.h>

#include "config.h"

// Before a worker makes its loop: newer versions of libuv make an io_uring with it, use it later
// and abort when they may not. Refused from the beginning, they do without.
void confine_loop(void);
// Before the process starts a thread, and for good. A worker may read what the configuration names
// and what resolving names and TLS need, and write the data folder. MOONHOOK_CONFINE=off: nothing.
void confine_worker(const Config *config);
// A trial of plugins reads what is below `dir` and the library, and writes nothing.
void confine_trial(const char *dir);
// What a worker that starts here, now, would be confined by: a process of its own tries it.
typedef struct {
  bool is_off;               // MOONHOOK_CONFINE=off
  bool has_calls, has_files; // as ConfineResult
  int landlock;              // the kernel's version of it, or a negative errno
} ConfineProbe;

ConfineProbe confine_probe(const Config *config);
// Whether a file could be opened as far as the confinement goes; true when there is none.
bool confine_reaches(const char *path);
bool confine_is_on(void); // files are confined

// --- for confine.c: the system's part, in confine_linux.c

typedef struct {
  char **reads; // folders and files, NULL-terminated
  char *writes; // a folder, or NULL
  bool has_network;
} ConfineRoom;

// What of it came to be.
typedef struct {
  bool has_calls; // system calls are filtered
  bool has_files; // files are
} ConfineResult;

ConfineResult confine_process(const ConfineRoom *room);
void confine_rings(void);   // refuses io_uring
int confine_landlock(void); // the kernel's version of it, or a negative errno

#endif
