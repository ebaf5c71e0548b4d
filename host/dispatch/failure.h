// From what went wrong in a task to what its client may see.
#ifndef MOONHOOK_DISPATCH_FAILURE_H
#define MOONHOOK_DISPATCH_FAILURE_H

#include "../plugin/package.h"
#include "../script/task.h"
#include "../script/task_failure.h"

typedef struct {
  int status;
  const char *code;
  char message[600];
} PublicFailure;

// Whether the plugin ended the request on purpose, with a status: moonhook.abort, get_json.
bool failure_is_abort(const TaskFailure *failure);
void failure_publish(const TaskFailure *failure, PublicFailure *out);

// A page for the author, in `dev` only: message, file, line, the source around it, the plugin's
// frames first. `state` is where the sources are read from.
void failure_page(const TaskFailure *failure, const State *state, const char *request_id,
                  Buffer *html);

// The lines of the plugin's source around the place that an explained message names, the place
// marked; nothing is appended where there is none.
void failure_source(Span message, const State *state, Buffer *text);

// The message for the log: with a place in front where it names none (the plugin's innermost
// line, else where the handler begins: one that ends with `return call(...)` has no line any more),
// and with a hint behind it.
void failure_explain(const TaskFailure *failure, const Package *package, const char *source,
                     int line, Buffer *text);

#endif
