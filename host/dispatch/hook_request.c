// What a request keeps in memory, and what it tells about its way here, judged by whether a proxy
// of ours says it (see hook_request.h and forwarded.h).
#include "hook_request.h"

#include <string.h>

PluginLimits hook_request_limits(const HookRequest *hook)
{
  return endpoint_limits_over(&hook->endpoint->limits, generation_limits(hook->generation));
}

bool hook_request_has_room(const HookRequest *hook, size_t bytes)
{
  return state_has_room(generation_state(hook->generation), bytes);
}

void hook_request_charge_unsent(HookRequest *hook, size_t bytes)
{
  State *state = generation_state(hook->generation);
  *state_unsent(state) += bytes - hook->unsent.bytes;
  charge_to(&hook->unsent, state_charges(state));
  charge_set(&hook->unsent, bytes);
}

void hook_request_charge_body(HookRequest *hook)
{
  if (!hook->request || hook->request->body.len == 0)
    return;
  charge_to(&hook->body, state_charges(generation_state(hook->generation)));
  charge_set(&hook->body, hook->request->body.len);
}

void hook_request_discharge(HookRequest *hook)
{
  charge_set(&hook->body, 0);
  if (hook->unsent.bytes > 0)
    hook_request_charge_unsent(hook, 0);
}

void hook_request_forwarded(const HookRequest *hook, Forwarded *out)
{
  forwarded_read(&hook->dispatch->config.proxies, hook->request, out);
}

HookPlaceOutside hook_request_outside(const HookRequest *hook)
{
  Forwarded forwarded;
  hook_request_forwarded(hook, &forwarded);
  return (HookPlaceOutside){ .public_url = hook->dispatch->public_url,
                             .base_domain = hook->dispatch->base_domain,
                             .scheme = forwarded.scheme,
                             .host = forwarded.host,
                             .prefix = forwarded.prefix };
}

void hook_request_url(const HookRequest *hook, Buffer *out)
{
  HookPlaceOutside outside = hook_request_outside(hook);
  hook_url_append(&outside, hook->endpoint->hook_id, out);
}

// Fields that a peer which nobody trusts must not be able to set: who it is, and where it thinks
// it went. A name with '_' could pass for one with '-' in code that compares loosely.
bool hook_request_hides(const HookRequest *hook, Span name)
{
  static const char *const proxies[] = { "X-Forwarded-For",    "X-Forwarded-Host",
                                         "X-Forwarded-Proto",  "X-Forwarded-Port",
                                         "X-Forwarded-Prefix", "X-Forwarded",
                                         "Forwarded",          "X-Real-IP" };
  static const char *const always[] = { "X-Original-Host", "X-Original-Url",
                                        "X-Original-Forwarded-For", "Dify-Hook-Id",
                                        "Dify-Hook-Url" };
  size_t i;
  if (memchr(name.at, '_', name.len))
    return true;
  if (name.len < 7 || !strchr("XxFfDd", name.at[0]))
    return false;
  for (i = 0; i < sizeof always / sizeof *always; i++) {
    if (span_is_ignoring_case(name, always[i]))
      return true;
  }
  for (i = 0; i < sizeof proxies / sizeof *proxies; i++) {
    if (span_is_ignoring_case(name, proxies[i]))
      return !forwarded_is_trusted(&hook->dispatch->config.proxies, hook->request);
  }
  return false;
}
