// From a request's head to the endpoint it means.
#ifndef MOONHOOK_DISPATCH_FIND_HOOK_H
#define MOONHOOK_DISPATCH_FIND_HOOK_H

#include "dispatch_state.h"

typedef struct {
  Span hook_id;
  Span path; // raw, behind the hook id; may be empty
} HookPlace;

// `/e/{hook_id}{path}`, or the hook id as the first label of a host below the base domain.
bool find_hook(const Dispatch *dispatch, const Request *request, Span host, HookPlace *place);

#endif
