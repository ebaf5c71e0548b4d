// What the files of this folder share.
#ifndef MOONHOOK_DISPATCH_DISPATCH_STATE_H
#define MOONHOOK_DISPATCH_DISPATCH_STATE_H

#include "dispatch.h"

struct Dispatch {
  Runtime *runtime;
  EndpointTable *endpoints;
  char *public_url, *base_domain;
  DispatchConfig config;          // its strings are the two above
  uint64_t generation;            // of the scoreboard, that the table has
  struct HookRequest *hooks;      // all that live
  struct HookRequest *free_hooks; // used ones, to be used again; at most MAX_FREE_HOOKS
  uint32_t free_hook_count;
  char refusal[200]; // text of the last refused yield, borrowed until the task runs again
};

// At its head: the request goes to the first declaration of a loaded plugin, with its whole path,
// whatever that is. UV_EINVAL: the path cannot be decoded; nothing was begun.
int dispatch_begin(Dispatch *dispatch, Request *request, Endpoint *endpoint, Err *err);

#endif
