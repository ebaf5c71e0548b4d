// Origins (scheme, host, port) and the open wires to them that nobody uses just now. A pooled wire
// is still read: when its peer closes it or speaks unasked, it is dropped at once.
#ifndef MOONHOOK_REVERSE_POOL_H
#define MOONHOOK_REVERSE_POOL_H

#include "breaker.h"
#include "retry.h"
#include "wire.h"

enum {
  POOL_MAX_IDLE = 1024,       // wires, to all origins together
  POOL_MAX_ORIGIN_IDLE = 256, // to one: a burst of calls finds those of the last one
  POOL_IDLE_MS = 60000,
  POOL_MAX_ORIGINS = 256
};

typedef struct Pool Pool;
typedef struct Origin Origin;

Pool *pool_new(Net *net);
void pool_free(Pool *pool); // closes what is idle; every origin must have been let go of
// Held until origin_release. Origins with a policy (NULL: none) share nothing with those without,
// or with another: neither an open wire nor a breaker's state.
Origin *pool_origin(Pool *pool, const Url *url, Policy *policy);
void origin_release(Origin *origin);
RetryBudget *origin_budget(Origin *origin);
Breaker *origin_breaker(Origin *origin);
// An open wire that its peer has not closed, or NULL.
Wire *origin_take(Origin *origin, const WireEvents *events, void *owner);
Wire *origin_connect(Origin *origin, const WireEvents *events, void *owner);
void origin_put(Origin *origin, Wire *wire); // gives it back; the reply on it must be complete

#endif
