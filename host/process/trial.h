// Loading a version of a plugin for a try, in a process of its own: whatever its top-level code
// does, the keeper and the workers do not feel it. A process that lives through it serves the next
// try.
#ifndef MOONHOOK_PROCESS_TRIAL_H
#define MOONHOOK_PROCESS_TRIAL_H

#include "../base/buffer.h"
#include "../plugin/package.h"

enum { TRIAL_CPU_S = 2, TRIAL_MS = 5000 };

// Reads the snapshot in `dir` and loads it as a worker would. 0, or why it cannot be served: the
// plugin's own error with file and line; more than TRIAL_CPU_S of processor time or TRIAL_MS of
// time; out of memory; or the signal that ended it. Waits for it.
int trial_load(const char *dir, const char *hash, const PluginLimits *limits, Err *err);
// Ends that process. Before the limits change, and when nothing is to be tried for now.
void trial_end(void);

// Appends what the outcome of a try depends on besides the plugin's content: which program this is,
// and the limits. Nothing: that cannot be told, and no outcome holds for a later start.
void trial_terms(const PluginLimits *limits, Buffer *text);

#endif
