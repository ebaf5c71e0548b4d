// What the code of a plugin may use: asked for by its manifest's section `limits`, granted up to
// what the operator allows.
#ifndef MOONHOOK_PLUGIN_LIMITS_H
#define MOONHOOK_PLUGIN_LIMITS_H

#include <stdint.h>

typedef struct PluginLimits {
  uint32_t cpu_ms;       // processor time between two waits
  uint32_t head_ms;      // until the reply begins
  uint32_t idle_ms;      // between two pieces of a stream
  uint64_t memory_bytes; // of the plugin in one worker, what is kept for it outside of Lua included
  // The operator's alone; a manifest does not ask for them.
  uint32_t calls;  // open at a time in one worker
  uint32_t timers; // waited for at a time in one worker
} PluginLimits;

// What a plugin gets that asks for nothing: 100 ms, 60 s, 120 s, 64 MiB, 4096, 10000. Also the most
// that one may ask for, unless the operator says otherwise.
extern const PluginLimits plugin_limits_default;

// What `asked` (0: nothing) comes to below `most`.
PluginLimits plugin_limits_grant(const PluginLimits *asked, const PluginLimits *most);

#endif
