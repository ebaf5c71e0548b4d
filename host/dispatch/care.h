// A plugin whose code was stopped for its processor time is in care for 10 s: it runs one task at a
// time, so that it takes no more than its share of the worker. Other requests wait for their turn,
// until the task ends or its reply begins: a stream may wait for long, and is no harm then.
#ifndef MOONHOOK_DISPATCH_CARE_H
#define MOONHOOK_DISPATCH_CARE_H

#include "hook_request.h"

// Starts the request's task, or lets it wait until it may run. False: too many wait already.
bool care_start(HookRequest *hook);
// The head of the request's reply goes out.
void care_began(HookRequest *hook);
// The request's task has ended.
void care_ended(HookRequest *hook);
void care_leave(HookRequest *hook); // it waits no more; no effect when it does not

#endif
