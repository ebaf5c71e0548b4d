// What the code of a plugin may use: asked for by its manifest's section `limits`, granted up to
// what the operator allows.
#ifndef MOONHOOK_PLUGIN_LIMITS_H
#define MOONHOOK_PLUGIN_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../base/yaml.h"

typedef struct PluginLimits {
  uint32_t cpu_ms;       // processor time between two waits
  uint32_t head_ms;      // until the reply begins
  uint32_t idle_ms;      // between two pieces of a stream
  uint64_t memory_bytes; // of the plugin in one worker, what is kept for it outside of Lua included
  // The operator's alone; a manifest does not ask for them.
  uint32_t calls;       // open at a time in one worker
  uint32_t timers;      // waited for at a time in one worker
  uint32_t json_values; // of a request's body: items and members
  uint32_t passes; // how often a request may come by before its calls are refused; see passes.h
} PluginLimits;

// What a plugin gets that asks for nothing: 100 ms, 60 s, 120 s, 64 MiB, 4096, 10000,
// 250,000, 8. Also the most
// that one may ask for, unless the operator says otherwise.
extern const PluginLimits plugin_limits_default;

// What one endpoint has instead of what its plugin gets; 0: the same. Its memory is the plugin's:
// one state serves all endpoints.
typedef struct {
  uint32_t cpu_ms, head_ms, idle_ms; // as above
} EndpointLimits;

// What is wrong with one of them.
typedef struct {
  const YamlNode *at;
  char name[40]; // "limits.cpu_ms"
  char expected[160];
} LimitProblem;

// Reads a map of them; nothing or null: none. False: one is none that there is, no such time, or
// more than `most`, what the operator allows.
bool endpoint_limits_read(const YamlNode *map, const PluginLimits *most, EndpointLimits *limits,
                          LimitProblem *problem);
void endpoint_limits_json(const EndpointLimits *limits, Buffer *json); // an object
// From what endpoint_limits_json wrote; more than `most`, which may be less now, is that much.
EndpointLimits endpoint_limits_from_json(const char *json, const PluginLimits *most);
PluginLimits endpoint_limits_over(const EndpointLimits *limits, const PluginLimits *granted);

// What `asked` (0: nothing) comes to below `most`.
PluginLimits plugin_limits_grant(const PluginLimits *asked, const PluginLimits *most);

#endif
