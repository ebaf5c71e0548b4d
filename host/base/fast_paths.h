// Whether the ways that are there for speed alone are taken, for what most requests, events and
// files are like. They are, unless the environment says MOONHOOK_FAST_PATHS=off: then everything
// goes the way of the odd ones. `spec/run slow` shows that only the speed differs; docs/testing.md
// lists them.
#ifndef MOONHOOK_BASE_FAST_PATHS_H
#define MOONHOOK_BASE_FAST_PATHS_H

#include <stdbool.h>

extern bool fast_paths_are_off; // written before main

static inline bool fast_paths_are_on(void)
{
  return !fast_paths_are_off;
}

#endif
