// A request that a handler's calls lead back to this host, or to another of its kind, again and
// again: each call names its way here in the field CDN-Loop, and after limits.plugin_passes of
// them no more calls are made.
#ifndef MOONHOOK_DISPATCH_PASSES_H
#define MOONHOOK_DISPATCH_PASSES_H

#include "hook_request.h"

// The field of the calls that the request's task makes; owned by the hook. NULL: it came by too
// often to make any.
const char *passes_field(HookRequest *hook);
void passes_keep(HookRequest *hook); // the request goes, its task stays

#endif
