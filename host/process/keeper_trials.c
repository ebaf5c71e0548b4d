// The terms (see trial.h) under which everything in the registry was tried, kept there. A start
// under the same terms does not try again what is served already. Under others, the next one does.
#include "../base/fast_paths.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "keeper_parts.h"
#include "trial.h"

static const char NAME[] = "trial_terms";

static char *terms_now(const Keeper *keeper)
{
  Buffer text = { 0 };
  trial_terms(&keeper->config->plugin_limits, &text);
  return text.len > 0 ? buffer_take(&text) : mem_string("");
}

// Takes `terms`.
static void keep(Keeper *keeper, char *terms)
{
  Err err;
  if (strcmp(keeper->trial_terms, terms) != 0 &&
      registry_keep(keeper->registry, NAME, terms, &err) < 0)
    log_event(LOG_WARN, "trials not written down", LOG_S("error", err.text));
  mem_free(keeper->trial_terms);
  keeper->trial_terms = terms;
}

void keeper_begin_trials(Keeper *keeper, bool is_first)
{
  char *now = terms_now(keeper), *kept = registry_kept(keeper->registry, NAME);
  keeper->trial_terms = kept ? kept : mem_string("");
  if (is_first &&
      (!fast_paths_are_on() || now[0] == '\0' || strcmp(keeper->trial_terms, now) != 0)) {
    keeper->needs_trials = true;
    keep(keeper, mem_string("")); // until all is through
  }
  mem_free(now);
}

void keeper_end_trials(Keeper *keeper)
{
  if (keeper->needs_trials)
    keep(keeper, terms_now(keeper));
  keeper->needs_trials = false;
}

void keeper_doubt_trials(Keeper *keeper)
{
  char *now = terms_now(keeper);
  if (strcmp(keeper->trial_terms, now) != 0)
    keep(keeper, mem_string(""));
  mem_free(now);
}
