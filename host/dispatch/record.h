// What is told of a request when it is over: its record in the log and its share of the metrics.
#ifndef MOONHOOK_DISPATCH_RECORD_H
#define MOONHOOK_DISPATCH_RECORD_H

#include "hook_request.h"

// `hook` is NULL for a request that came to no endpoint.
void record_request(const Dispatch *dispatch, const Request *request, const HookRequest *hook,
                    const char *ended_by);

#endif
