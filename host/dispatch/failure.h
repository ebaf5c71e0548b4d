// From what went wrong in a task to what its client may see.
#ifndef MOONHOOK_DISPATCH_FAILURE_H
#define MOONHOOK_DISPATCH_FAILURE_H

#include "../script/task.h"

typedef struct {
  int status;
  const char *code;
  char message[600];
} PublicFailure;

void failure_publish(const TaskFailure *failure, PublicFailure *out);

// A page for the author, in `dev` only: message, file, line, the source around it, the plugin's
// frames first. `state` is where the sources are read from.
void failure_page(const TaskFailure *failure, const State *state, const char *request_id,
                  Buffer *html);

// The lines of the plugin's source around the place that the failure's message names, the place
// marked; nothing is appended where there is none.
void failure_source(const TaskFailure *failure, const State *state, Buffer *text);

#endif
