// See quarantine.h.
#include "quarantine.h"

#include <string.h>
#include <unistd.h>

#include "../base/clock.h"

Suspect *quarantine_find(const char *plugin, const char *version)
{
  Suspect *suspect;
  uint32_t i;
  for (i = 0; (suspect = scoreboard_suspect(i)) != NULL; i++) {
    if (suspect->is_used && !suspect->is_lifted && strcmp(suspect->plugin, plugin) == 0 &&
        strcmp(suspect->version, version) == 0)
      return suspect;
  }
  return NULL;
}

bool quarantine_watches(void)
{
  const Suspect *suspect;
  uint32_t i;
  for (i = 0; scoreboard_has_suspects() && (suspect = scoreboard_suspect(i)) != NULL; i++) {
    if (suspect->is_used && suspect->is_watched && !suspect->is_lifted)
      return true;
  }
  return false;
}

// The first worker, also while it is on its way back: it is not for long, and if another took its
// place meanwhile that one would be the next to die. Only one that lives and takes nothing more is
// passed over.
uint32_t quarantine_worker(void)
{
  const ScoreLine *line;
  uint32_t i, lowest = 0;
  bool is_first_leaving = false;
  for (i = 0; (line = scoreboard_line(i)) != NULL; i++) {
    uint32_t number = line->number;
    if (line->role != PROCESS_WORKER || line->pid == 0)
      continue;
    if (!line->is_draining)
      lowest = lowest == 0 || number < lowest ? number : lowest;
    else if (number == 1)
      is_first_leaving = true;
  }
  return lowest == 1 || is_first_leaving ? lowest : 1;
}

Admission quarantine_admits(const char *plugin, const char *version, Suspect **probe,
                            uint32_t *retry_after_s)
{
  Suspect *suspect;
  uint64_t now_ms, until_ms;
  int32_t nobody = 0;
  *probe = NULL;
  if (!scoreboard_has_suspects() || !(suspect = quarantine_find(plugin, version)))
    return ADMITTED;
  until_ms = suspect->until_ms;
  if (until_ms == 0) {
    uint32_t number = suspect->is_watched ? quarantine_worker() : 0;
    return number == 0 || number == scoreboard_mine()->number ? ADMITTED : ADMITTED_ELSEWHERE;
  }
  now_ms = host_clock.wall_ms();
  if (now_ms >= until_ms &&
      atomic_compare_exchange_strong(&suspect->probe_pid, &nobody, (int32_t)getpid())) {
    *probe = suspect;
    return ADMITTED;
  }
  *retry_after_s = now_ms >= until_ms ? 1 : (uint32_t)((until_ms - now_ms + 999) / 1000);
  return ADMITTED_LATER;
}

void quarantine_probe_over(Suspect *probe)
{
  probe->is_lifted = true;
  probe->changes++;
  probe->probe_pid = 0;
}
