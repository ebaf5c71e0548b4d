// A stream whose source is a task: how a local app or model answers a call from another state. What
// the task yields are the pieces; it runs only as fast as they are read. Its failure is the
// stream's, with the Error's code. Closing the stream cancels the task.
#ifndef MOONHOOK_SCRIPT_CHANNEL_H
#define MOONHOOK_SCRIPT_CHANNEL_H

#include "state.h"

// Starts the state's entry function with (kind, body). Its calls say `passes` of their way here, as
// those of whoever opens it do; NULL: nothing. Copies all three. Never NULL.
Stream *channel_open(State *state, const char *kind, Span body, const char *passes);

#endif
