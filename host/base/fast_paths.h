// Whether the ways that are there for speed alone are taken: events that are passed on unread or
// read by half, coroutines that are used again, generators that go on within a turn, writes that
// are tried at once. They are, unless the environment says MOONHOOK_FAST_PATHS=off; `spec/run slow`
// shows that they change nothing but the speed.
#ifndef MOONHOOK_BASE_FAST_PATHS_H
#define MOONHOOK_BASE_FAST_PATHS_H

#include <stdbool.h>

bool fast_paths_are_on(void);

#endif
