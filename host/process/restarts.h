// How long a process that died waits before it is started again: the first deaths of a cause cost
// nothing, a cause that goes on costs more each time.
#ifndef MOONHOOK_PROCESS_RESTARTS_H
#define MOONHOOK_PROCESS_RESTARTS_H

#include <stdint.h>

enum { RESTART_CAUSES = 16, RESTART_FREE = 3, RESTART_MAX_MS = 2000, RESTART_FORGET_MS = 60000 };

typedef struct {
  struct {
    int cause;
    uint32_t count; // since it was last quiet for RESTART_FORGET_MS
    uint64_t last_ms;
  } known[RESTART_CAUSES];
} Restarts; // zero-initialise

// Notes a death at `now_ms` (monotonic). `cause`: a signal's number, or 256 and the exit code; not
// 0. Returns the pause in ms: 0 for the first RESTART_FREE, then 100, 200, 400 ... RESTART_MAX_MS.
uint32_t restarts_note(Restarts *restarts, int cause, uint64_t now_ms);

#endif
