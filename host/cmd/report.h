// Problems that a check finds: a line each on stdout, or one JSON array.
#ifndef MOONHOOK_CMD_REPORT_H
#define MOONHOOK_CMD_REPORT_H

#include <stdbool.h>

#include "../base/buffer.h"
#include "../plugin/problems.h"

// What was found so far. Start with { .is_json = ... }.
typedef struct {
  bool is_json;
  Buffer json; // elements
  size_t problems, warnings;
} Report;

// A problem of a file in the folder `dir` ("." or NULL: the working folder).
void report_problem(Report *report, const char *dir, const Problem *problem);
// The same of what only looks wrong: it is no reason to exit with 1.
void report_warning(Report *report, const char *dir, const Problem *problem);
// "file:line:column: what", as errors of the configuration are; other texts as they are.
void report_text(Report *report, const char *text);
// Ends the output. "checked WHAT: 2 problems, 1 warning" goes to stderr. Returns the exit code, 0
// or 1.
int report_end(Report *report, const char *what);

#endif
