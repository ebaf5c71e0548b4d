// Names to addresses, off the loop. One look-up per name at a time, at most RESOLVER_THREADS at
// once over all names, answers kept for a while. A look-up that nobody waits for any more goes on
// by itself and holds up nothing, the end of the process included.
#ifndef MOONHOOK_REVERSE_RESOLVER_H
#define MOONHOOK_REVERSE_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/loop.h"
#include "address.h"

enum {
  RESOLVER_THREADS = 2,
  RESOLVER_MAX_ADDRESSES = 8,
  RESOLVER_KEEP_MS = 30000,
  RESOLVER_KEEP_FAILURE_MS = 1000,
};

// An answer. `count` is 0 when the look-up failed: then `problem` says why.
typedef struct {
  uint32_t count;
  char problem[96];
  Address items[RESOLVER_MAX_ADDRESSES]; // their port is 0
} Addresses;

// Somebody who waits for an answer; lives inside its owner. Zero-initialise.
typedef struct Lookup {
  struct Lookup *prev, *next;
  void (*on_done)(struct Lookup *lookup, const Addresses *addresses);
} Lookup;

typedef struct Resolver Resolver;

// What a look-up thread calls; replaceable by a spec. Fills `addresses`; may block.
extern void (*resolver_ask)(const char *name, Addresses *addresses);

Resolver *resolver_new(Loop *loop);
// Nobody may wait any more. on_closed comes from the loop.
void resolver_close(Resolver *resolver, void (*on_closed)(void *context), void *context);
// Gives the answer at once when it is known or `name` is an address itself (borrowed until the next
// call); otherwise NULL, and on_done comes from the loop.
const Addresses *resolver_get(Resolver *resolver, const char *name, Lookup *lookup);
void resolver_cancel(Lookup *lookup); // no effect when not waiting

#endif
