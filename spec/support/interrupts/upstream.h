// An upstream in a process of its own, on this machine, for calls that are in flight when their
// code is stopped. /sse/...: events without end, as fast as they are read; /whole/...: an answer of
// some size; /silent/...: a head, half an event, and nothing more; /never/...: nothing.
#ifndef SPEC_INTERRUPTS_UPSTREAM_H
#define SPEC_INTERRUPTS_UPSTREAM_H

#include <sys/types.h>

pid_t upstream_start(int *port); // before any thread; it ends with us, too
void upstream_stop(pid_t pid);

#endif
