// The watchdog: who hangs is named, then killed; a plugin that makes workers die is kept out.
//
// A process moves its heartbeat whenever it enters or leaves Lua and at each turn of its loop, and
// says so before it sleeps. What holds it longer is something that no limit inside stops: a C
// function, a deadlock, a signal.
#include <stdio.h>
#include <sys/wait.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "master_parts.h"

enum {
  CALM_MS = 100,
  WORRIED_MS = 20,
  KILLS = 3,             // in SUSPECT_MS
  QUARANTINE_MS = 30000, // at first
  MAX_ROUNDS_MS = 3600000,
  FORGET_MS = 86400000, // a suspect that was good for so long
};

// --- suspects ------------------------------------------------------------------------------------

static Suspect *find_suspect(const char *plugin, const char *version, uint64_t now_ms)
{
  Suspect *suspect, *place = NULL;
  uint32_t i;
  for (i = 0; (suspect = scoreboard_suspect(i)) != NULL; i++) {
    bool is_over = !suspect->is_used || suspect->is_lifted ||
                   (suspect->kills_ms[0] + FORGET_MS < now_ms && suspect->until_ms < now_ms);
    if (!is_over && strcmp(suspect->plugin, plugin) == 0 && strcmp(suspect->version, version) == 0)
      return suspect;
    if (is_over && !place)
      place = suspect;
  }
  if (!place)
    return NULL; // so many that this one must wait its turn
  place->is_used = 0;
  place->is_watched = false;
  place->rounds = 0;
  place->until_ms = 0;
  for (i = 0; i < KILLS; i++)
    place->kills_ms[i] = 0;
  place->probe_pid = 0;
  place->cause[0] = '\0';
  place->is_lifted = false;
  snprintf(place->plugin, sizeof place->plugin, "%s", plugin);
  snprintf(place->version, sizeof place->version, "%s", version);
  return place;
}

static void count_suspects(void)
{
  const Suspect *suspect;
  uint32_t i, count = 0;
  for (i = 0; (suspect = scoreboard_suspect(i)) != NULL; i++)
    count += suspect->is_used && !suspect->is_lifted;
  scoreboard_set_suspects(count);
}

static void quarantine(Suspect *suspect, uint64_t now_ms)
{
  uint64_t ms = QUARANTINE_MS;
  uint32_t i, rounds = suspect->rounds;
  for (i = 0; i < rounds && ms < MAX_ROUNDS_MS; i++)
    ms *= 2;
  ms = ms < MAX_ROUNDS_MS ? ms : MAX_ROUNDS_MS;
  suspect->rounds = rounds + 1;
  suspect->until_ms = now_ms + ms;
  suspect->is_watched = false;
  log_event(LOG_ERROR, "plugin in quarantine", LOG_S("plugin", suspect->plugin),
            LOG_B("hash", suspect->version, 12), LOG_I("for_ms", ms));
}

// One worker alone serves it for a while.
static void watch(Suspect *suspect)
{
  suspect->until_ms = 0;
  suspect->is_watched = true;
  log_event(LOG_WARN, "plugin is suspect, one worker serves it", LOG_S("plugin", suspect->plugin),
            LOG_B("hash", suspect->version, 12), LOG_I("for_ms", SUSPECT_MS));
}

static void end_watches(uint64_t now_ms)
{
  Suspect *suspect;
  uint32_t i;
  for (i = 0; scoreboard_has_suspects() && (suspect = scoreboard_suspect(i)) != NULL; i++) {
    if (!suspect->is_used || !suspect->is_watched || suspect->is_lifted ||
        now_ms <= suspect->kills_ms[0] + SUSPECT_MS)
      continue;
    suspect->is_watched = false;
    log_event(LOG_INFO, "plugin is suspect no more, all workers serve it",
              LOG_S("plugin", suspect->plugin));
  }
}

static void blame(const char *plugin, const char *version, const char *cause, bool was_probe)
{
  uint64_t now_ms = host_clock.wall_ms();
  Suspect *suspect = find_suspect(plugin, version, now_ms);
  int i;
  if (!suspect)
    return;
  for (i = KILLS - 1; i > 0; i--)
    suspect->kills_ms[i] = (uint64_t)suspect->kills_ms[i - 1];
  suspect->kills_ms[0] = now_ms;
  snprintf(suspect->cause, sizeof suspect->cause, "%s", cause);
  log_event(LOG_WARN, "plugin killed a worker", LOG_S("plugin", plugin), LOG_S("how", cause));
  if (was_probe ||
      (suspect->kills_ms[KILLS - 1] > 0 && now_ms - suspect->kills_ms[KILLS - 1] <= SUSPECT_MS))
    quarantine(suspect, now_ms);
  else
    watch(suspect);
  suspect->is_used = 1;
  suspect->changes++;
  count_suspects();
}

static void name_cause(const Child *child, int status, char *text, size_t size)
{
  int number = child->line->fault ? child->line->fault : WTERMSIG(status);
  if (child->was_killed)
    snprintf(text, size, "it did not move");
  else
    snprintf(text, size, "signal %d (%s)", number, strsignal(number));
}

void watchdog_note_death(const Child *child, int status)
{
  Suspect *suspect;
  const ScoreLine *line = child->line;
  bool was_probe = false;
  char cause[48];
  uint32_t i;
  if (!line)
    return;
  for (i = 0; (suspect = scoreboard_suspect(i)) != NULL; i++) {
    if (suspect->is_used && suspect->probe_pid == child->pid) {
      suspect->probe_pid = 0;
      was_probe = true;
    }
  }
  // Somebody's kill is nobody's fault. What the process did to itself, and what the watchdog had to
  // end, is the plugin's whose code ran.
  if (line->is_in_lua && line->plugin[0] &&
      (child->was_killed || line->fault != 0 ||
       (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT))) {
    name_cause(child, status, cause, sizeof cause);
    blame(line->plugin, line->version, cause, was_probe);
  }
}

// --- looking -------------------------------------------------------------------------------------

static void tell(LogLevel level, const char *message, const Child *child, uint64_t still_ms)
{
  const ScoreLine *line = child->line;
  bool is_in_lua = line->is_in_lua;
  char name[32];
  if (child->role == PROCESS_KEEPER)
    snprintf(name, sizeof name, "keeper");
  else
    snprintf(name, sizeof name, "worker %u", child->number);
  log_event(level, message, LOG_S("process", name), LOG_I("pid", child->pid),
            LOG_I("still_ms", still_ms), LOG_S("plugin", is_in_lua ? line->plugin : "-"),
            LOG_S("endpoint", is_in_lua ? line->endpoint : "-"),
            LOG_S("request_id", is_in_lua ? line->request_id : "-"),
            LOG_B("state", child->stopped_ms ? "stopped" : "running", 7));
}

// For how long it has not moved; 0: it sleeps, or starts.
static uint64_t still_ms(const Child *child, uint64_t now_ms, uint64_t beat_now_ms)
{
  uint64_t beat_ms;
  if (child->stopped_ms > 0)
    return now_ms - child->stopped_ms + 1;
  if (!child->line || !child->is_ready || child->line->is_idle)
    return 0;
  beat_ms = child->line->beat_ms;
  return beat_now_ms > beat_ms ? beat_now_ms - beat_ms : 0;
}

uint32_t watchdog_look(Master *master)
{
  uint64_t now_ms = master_now_ms(), beat_now_ms = scoreboard_now_ms(), longest = 0;
  uint32_t i;
  end_watches(host_clock.wall_ms());
  for (i = 0; i < master->child_count; i++) {
    Child *child = &master->children[i];
    uint64_t still;
    if (child->pid == 0 || !child->line)
      continue;
    still = still_ms(child, now_ms, beat_now_ms);
    longest = still > longest ? still : longest;
    if (still < STUCK_WARN_MS)
      child->is_warned = false;
    if (still >= STUCK_WARN_MS && !child->is_warned) {
      child->is_warned = true;
      tell(LOG_WARN, "process does not move", child, still);
    }
    if (master->stuck_ms > 0 && still >= master->stuck_ms && !child->was_killed) {
      tell(LOG_ERROR, "process hangs, killing it", child, still);
      child->was_killed = true;
      kill(child->pid, SIGKILL);
    }
  }
  return longest > CALM_MS ? WORRIED_MS : CALM_MS;
}
