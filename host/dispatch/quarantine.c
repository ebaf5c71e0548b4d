// See quarantine.h.
#include "quarantine.h"

#include <string.h>
#include <unistd.h>

#include "../base/clock.h"

static Suspect *find(const char *plugin, const char *version)
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

bool quarantine_admits(const char *plugin, const char *version, Suspect **probe,
                       uint32_t *retry_after_s)
{
  Suspect *suspect;
  uint64_t now_ms, until_ms;
  int32_t nobody = 0;
  *probe = NULL;
  if (!scoreboard_has_suspects() || !(suspect = find(plugin, version)))
    return true;
  until_ms = suspect->until_ms;
  if (until_ms == 0)
    return true;
  now_ms = host_clock.wall_ms();
  if (now_ms >= until_ms &&
      atomic_compare_exchange_strong(&suspect->probe_pid, &nobody, (int32_t)getpid())) {
    *probe = suspect;
    return true;
  }
  *retry_after_s = now_ms >= until_ms ? 1 : (uint32_t)((until_ms - now_ms + 999) / 1000);
  return false;
}

void quarantine_probe_over(Suspect *probe)
{
  probe->is_lifted = true;
  probe->changes++;
  probe->probe_pid = 0;
}
