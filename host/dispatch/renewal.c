// See renewal.h.
#include "renewal.h"

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/scoreboard.h"

enum {
  RENEWAL_US = 1000000,
  MAX_OLD_STATES = 32, // that requests still hold
  GRACE_MS = 1000,
  FULL_SIXTEENTHS = 15, // of the memory limit
};

static bool is_full(const State *state)
{
  return state_memory_bytes(state) > state_memory_cap(state) / 16 * FULL_SIXTEENTHS;
}

static Generation *load_again(Dispatch *dispatch, const PluginSlot *plugin, Err *err)
{
  Generation *fresh;
  scoreboard_place(plugin->name, generation_hash(plugin->live), NULL, NULL);
  scoreboard_enter();
  fresh = generation_again(dispatch->runtime, plugin->live, err);
  scoreboard_leave();
  return fresh;
}

bool renewal_look(Dispatch *dispatch, PluginSlot *plugin)
{
  const State *state = generation_state(plugin->live);
  Generation *fresh;
  Err err = { 0 };
  if (!state_is_tainted(state) || state_role(state) != ROLE_PLUGIN)
    return true;
  if (plugin->renewed_us != 0 && host_clock.monotonic_us() - plugin->renewed_us < RENEWAL_US)
    return !is_full(state);
  fresh = load_again(dispatch, plugin, &err);
  plugin->renewed_us = host_clock.monotonic_us();
  if (!fresh) {
    log_event(LOG_ERROR, "plugin state not replaced", LOG_S("plugin", plugin->name),
              LOG_S("error", err.text));
    return !is_full(state);
  }
  log_event(LOG_WARN, "plugin state replaced", LOG_S("plugin", plugin->name),
            LOG_S("reason", "its code was stopped, and could not clean up"),
            LOG_I("old_tasks", state_tasks(state)));
  plugin_slot_set(plugin, fresh);
  dispatch_end_oldest(dispatch, plugin, MAX_OLD_STATES, "reloaded",
                      "the endpoint was replaced by newer states", GRACE_MS);
  return true;
}
