// What the files of this folder share.
#ifndef MOONHOOK_DISPATCH_DISPATCH_STATE_H
#define MOONHOOK_DISPATCH_DISPATCH_STATE_H

#include "dispatch.h"

struct Dispatch {
  Runtime *runtime;
  EndpointTable *endpoints;
  char *public_url, *base_domain;
  DispatchConfig config; // its strings are the two above
  char refusal[200];     // text of the last refused yield, borrowed until the task runs again
};

#endif
