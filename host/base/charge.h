// Memory that is held on somebody's behalf, as part of a sum that somebody else watches: the bytes
// kept for a plugin outside of its Lua state count as if they were in it. Whoever holds the memory
// says how much it is whenever that changes; whoever may refuse looks at the sum beforehand. See
// docs/decisions/0013-memory-kept-outside.md.
#ifndef MOONHOOK_BASE_CHARGE_H
#define MOONHOOK_BASE_CHARGE_H

#include <stddef.h>

// Zero-initialise: charged to nobody.
typedef struct {
  size_t *sum; // borrowed; NULL: nobody's
  size_t bytes;
} Charge;

static inline void charge_set(Charge *charge, size_t bytes)
{
  if (charge->sum)
    *charge->sum += bytes - charge->bytes;
  charge->bytes = bytes;
}

// From now on it is a part of `sum`, no more of the one before; NULL: of none.
static inline void charge_to(Charge *charge, size_t *sum)
{
  size_t bytes = charge->bytes;
  charge_set(charge, 0);
  charge->sum = sum;
  charge_set(charge, bytes);
}

#endif
