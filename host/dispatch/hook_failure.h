// What the log tells of a request's task that failed.
#ifndef MOONHOOK_DISPATCH_HOOK_FAILURE_H
#define MOONHOOK_DISPATCH_HOOK_FAILURE_H

#include "hook_request.h"

// A record "plugin failed", or "request aborted" for what moonhook.abort ended. At most 100 a
// second for each plugin; a record tells how many there were more.
void hook_failure_log(HookRequest *hook, const Task *task, const TaskFailure *failure);

#endif
