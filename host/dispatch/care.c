// See care.h.
#include "care.h"

#include "../base/clock.h"
#include "hook_task.h"
#include "renewal.h"

enum { CARE_US = 10000000, MAX_WAITING = 64 };

static bool has_room(const PluginSlot *plugin)
{
  return plugin->running == 0 || plugin->care_until_us == 0 ||
         host_clock.monotonic_us() >= plugin->care_until_us;
}

static void start(HookRequest *hook)
{
  hook->endpoint->plugin->running++;
  hook->is_in_care = true;
  hook_task_start(hook);
}

// The version may have got a fresh state while the request waited.
static void take_fresh_state(HookRequest *hook)
{
  PluginSlot *plugin = hook->endpoint->plugin;
  if (!plugin->live || !state_is_tainted(generation_state(hook->generation)))
    return;
  renewal_look(hook->dispatch, plugin);
  if (strcmp(generation_hash(plugin->live), generation_hash(hook->generation)) != 0)
    return;
  generation_hold(plugin->live);
  charge_set(&hook->body, 0);
  generation_release(hook->generation);
  hook->generation = plugin->live;
  hook_request_charge_body(hook);
}

static void on_turn(Timer *timer)
{
  PluginSlot *plugin = (PluginSlot *)((char *)timer - offsetof(PluginSlot, turn));
  uint64_t now = host_clock.monotonic_us();
  HookRequest *hook;
  while ((hook = plugin->waiting) != NULL && has_room(plugin)) {
    care_leave(hook);
    take_fresh_state(hook);
    start(hook);
  }
  // A task that ends comes first, but the care may be over before.
  if (hook && now < plugin->care_until_us)
    timer_start(hook->dispatch->runtime->loop, &plugin->turn,
                (plugin->care_until_us - now) / 1000 + 1, on_turn);
}

bool care_start(HookRequest *hook)
{
  PluginSlot *plugin = hook->endpoint->plugin;
  HookRequest **last = &plugin->waiting;
  if (!plugin->waiting && has_room(plugin)) {
    start(hook);
    return true;
  }
  if (plugin->waiting_count == MAX_WAITING)
    return false;
  while (*last)
    last = &(*last)->next_waiting;
  *last = hook;
  hook->next_waiting = NULL;
  hook->is_queued = true;
  plugin->waiting_count++;
  if (!timer_is_running(&plugin->turn))
    on_turn(&plugin->turn);
  return true;
}

static void leave_turn(HookRequest *hook)
{
  PluginSlot *plugin = hook->endpoint->plugin;
  if (!hook->is_in_care)
    return;
  hook->is_in_care = false;
  plugin->running--;
  if (plugin->waiting) // not now: code of the plugin may be running
    timer_start(hook->dispatch->runtime->loop, &plugin->turn, 0, on_turn);
}

void care_began(HookRequest *hook)
{
  leave_turn(hook);
}

void care_ended(HookRequest *hook)
{
  PluginSlot *plugin = hook->endpoint->plugin;
  const State *state = generation_state(hook->generation);
  uint64_t killed_us = state_cpu_killed_us(state); // of the request's task, or one that it spawned
  if (killed_us > 0 && killed_us + CARE_US > plugin->care_until_us &&
      state_role(state) == ROLE_PLUGIN)
    plugin->care_until_us = killed_us + CARE_US;
  leave_turn(hook);
}

void care_leave(HookRequest *hook)
{
  HookRequest **link;
  if (!hook->is_queued)
    return;
  for (link = &hook->endpoint->plugin->waiting; *link != hook;)
    link = &(*link)->next_waiting;
  *link = hook->next_waiting;
  hook->is_queued = false;
  hook->endpoint->plugin->waiting_count--;
}
