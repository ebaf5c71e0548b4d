// What has arrived of a response, and the parser over it. Bytes are put aside as they come and
// parsed only when somebody asks: then what a step told (a run of the body) stays where it is until
// the next step, however much arrives meanwhile.
#ifndef MOONHOOK_REVERSE_INLET_H
#define MOONHOOK_REVERSE_INLET_H

#include "response.h"

// Start with inlet_reset of a zeroed one.
typedef struct {
  Response response;
  Buffer inbox; // being parsed, from `at` on
  size_t at;
  Buffer arrived; // since
  bool has_ended; // nothing more will come; how:
  int end_code;   // UV_EOF: properly
  char *end_text; // NULL until then
} Inlet;

void inlet_reset(Inlet *inlet, ResponseTo to); // for another response; forgets everything
void inlet_free(Inlet *inlet);
void inlet_put(Inlet *inlet, const char *bytes, size_t len);
void inlet_end(Inlet *inlet, int code, const char *text);
// Goes on to the next thing worth telling. RESPONSE_MORE: nothing left, and more may come. When
// what arrived ends too early: RESPONSE_BAD, and inlet_problem says how it ended.
ResponseStep inlet_step(Inlet *inlet);
size_t inlet_ready_bytes(const Inlet *inlet); // arrived and not parsed
size_t inlet_held_bytes(const Inlet *inlet);  // of memory
// After RESPONSE_BAD: a text beginning with upstream_protocol or upstream_truncated.
void inlet_problem(const Inlet *inlet, char *text, size_t size);

#endif
