// Plugins that killed workers stay known over a restart: the keeper writes down what the scoreboard
// has of them when it changes, and puts it back before there are workers.
#include <stdio.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "keeper_parts.h"

enum { LOOK_MS = 250 };

static uint32_t changes(void)
{
  const Suspect *suspect;
  uint32_t i, sum = 0;
  for (i = 0; (suspect = scoreboard_suspect(i)) != NULL; i++)
    sum += suspect->changes;
  return sum;
}

// A line each: "ROUNDS UNTIL_MS LAST_KILL_MS PLUGIN VERSION".
static void keep(Keeper *keeper)
{
  const Suspect *suspect;
  Buffer text = { 0 };
  Err err;
  uint32_t i;
  for (i = 0; (suspect = scoreboard_suspect(i)) != NULL; i++) {
    if (suspect->is_used && !suspect->is_lifted)
      buffer_printf(&text, "%u %llu %llu %s %s\n", suspect->rounds,
                    (unsigned long long)suspect->until_ms, (unsigned long long)suspect->kills_ms[0],
                    suspect->plugin, suspect->version);
  }
  if (registry_keep(keeper->registry, "suspects", text.bytes ? text.bytes : "", &err) < 0)
    log_event(LOG_WARN, "quarantine not written down", LOG_S("error", err.text));
  buffer_free(&text);
}

static void keep_changes(Keeper *keeper)
{
  uint32_t now = changes();
  if (now != keeper->suspect_changes)
    keep(keeper);
  keeper->suspect_changes = now;
}

static void on_look(Timer *timer)
{
  Keeper *keeper = (Keeper *)((char *)timer - offsetof(Keeper, suspects));
  keep_changes(keeper);
  timer_start(keeper->loop, timer, LOOK_MS, on_look);
}

void keeper_watch_suspects(Keeper *keeper)
{
  timer_start(keeper->loop, &keeper->suspects, LOOK_MS, on_look);
}

void keeper_release_suspects(Keeper *keeper, const char *plugin)
{
  Suspect *suspect;
  uint32_t i;
  for (i = 0; (suspect = scoreboard_suspect(i)) != NULL; i++) {
    if (!suspect->is_used || suspect->is_lifted || strcmp(suspect->plugin, plugin) != 0)
      continue;
    suspect->is_lifted = true;
    suspect->changes++;
    log_event(LOG_INFO, "plugin released by the operator", LOG_S("plugin", plugin),
              LOG_B("hash", suspect->version, 12));
  }
  keep_changes(keeper);
}

void keeper_try_suspects(void)
{
  uint64_t now_ms = host_clock.wall_ms();
  Suspect *suspect;
  uint32_t i;
  for (i = 0; (suspect = scoreboard_suspect(i)) != NULL; i++) {
    if (!suspect->is_used || suspect->is_lifted || suspect->until_ms <= now_ms)
      continue;
    suspect->until_ms = now_ms;
    suspect->changes++;
    log_event(LOG_INFO, "plugin in quarantine is tried again", LOG_S("plugin", suspect->plugin));
  }
}

void keeper_restore_suspects(Keeper *keeper)
{
  char *text = registry_kept(keeper->registry, "suspects"), *line, *rest;
  uint32_t i = 0;
  for (line = text; line && *line && i < SCOREBOARD_SUSPECTS; line = rest) {
    Suspect *suspect = scoreboard_suspect(i);
    unsigned rounds;
    unsigned long long until_ms, kill_ms;
    rest = strchr(line, '\n');
    rest = rest ? rest + 1 : line + strlen(line);
    if (!suspect || sscanf(line, "%u %llu %llu %135s %71s", &rounds, &until_ms, &kill_ms,
                           suspect->plugin, suspect->version) != 5)
      continue;
    suspect->rounds = rounds;
    suspect->until_ms = until_ms;
    suspect->kills_ms[0] = kill_ms;
    suspect->is_watched = until_ms == 0 && host_clock.wall_ms() <= kill_ms + SUSPECT_MS;
    suspect->is_used = 1;
    i++;
  }
  scoreboard_set_suspects(i);
  mem_free(text);
}
