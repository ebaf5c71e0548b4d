// The Lua side of a hook request: its task's pieces become the reply, its failure an error reply.
#ifndef MOONHOOK_DISPATCH_HOOK_TASK_H
#define MOONHOOK_DISPATCH_HOOK_TASK_H

#include "hook_request.h"

void hook_task_start(HookRequest *hook);

// Ends the request with this failure, whatever its task does: it has grace_ms to unwind.
void hook_task_fail(HookRequest *hook, const char *code, const char *message, uint32_t grace_ms);
// No head, or no piece, in time: 504 or a broken stream, and the task has grace_ms to unwind.
void hook_task_time_is_up(HookRequest *hook, uint32_t grace_ms);

// Ends the reply while the task goes on, for AFTER_MS at most.
void hook_task_finish_reply(HookRequest *hook);

// Frees the request when both of its sides are over (dispatch.c).
void hook_request_release(HookRequest *hook);

#endif
