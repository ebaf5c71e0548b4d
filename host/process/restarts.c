// See restarts.h.
#include "restarts.h"

enum { FIRST_PAUSE_MS = 100, MAX_DOUBLINGS = 10 };

// The place of the cause; the one that was quiet longest when it is new.
static uint32_t place_of(const Restarts *restarts, int cause)
{
  uint32_t i, oldest = 0;
  for (i = 0; i < RESTART_CAUSES; i++) {
    if (restarts->known[i].cause == cause)
      return i;
    if (restarts->known[i].last_ms < restarts->known[oldest].last_ms)
      oldest = i;
  }
  return oldest;
}

uint32_t restarts_note(Restarts *restarts, int cause, uint64_t now_ms)
{
  uint32_t i = place_of(restarts, cause), doublings, pause_ms;
  if (restarts->known[i].cause != cause || now_ms - restarts->known[i].last_ms > RESTART_FORGET_MS)
    restarts->known[i].count = 0;
  restarts->known[i].cause = cause;
  restarts->known[i].last_ms = now_ms;
  if (++restarts->known[i].count <= RESTART_FREE)
    return 0;
  doublings = restarts->known[i].count - RESTART_FREE - 1;
  pause_ms = FIRST_PAUSE_MS << (doublings < MAX_DOUBLINGS ? doublings : MAX_DOUBLINGS);
  return pause_ms < RESTART_MAX_MS ? pause_ms : RESTART_MAX_MS;
}
