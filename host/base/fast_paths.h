// Whether the ways that are there for speed alone are taken. They are, unless the environment says
// MOONHOOK_FAST_PATHS=off; then the specs show that they change nothing but the speed.
#ifndef MOONHOOK_BASE_FAST_PATHS_H
#define MOONHOOK_BASE_FAST_PATHS_H

#include <stdbool.h>

bool fast_paths_are_on(void);

#endif
