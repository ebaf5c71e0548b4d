// See failure.h. Clients see a code and a plain sentence; the story goes to the log.
#include "failure.h"

#include <stdio.h>

static const struct {
  const char *code, *public_code;
  int status;
  const char *message; // NULL: the Error's own
} table[] = {
  { "upstream_timeout", "upstream_timeout", 504, "an upstream did not answer in time" },
  { "upstream_error", "upstream_error", 502, "an upstream failed" },
  { "upstream_unavailable", "upstream_unavailable", 503, "an upstream is not available" },
  { "no_ports", "no_ports", 503, "the server is out of ports for outgoing calls" },
  { "blocked_address", "upstream_error", 502, "the endpoint called where it may not" },
  { "blocked_host", "upstream_error", 502, "the endpoint called where it may not" },
  { "blocked_scheme", "upstream_error", 502, "the endpoint called where it may not" },
  { "loop_detected", "loop_detected", 508, "the endpoint calls itself again and again" },
  { "too_many_redirects", "upstream_error", 502, "an upstream redirects in a circle" },
  { "upstream_truncated", "upstream_error", 502, "an upstream failed" },
  { "invalid_param", "upstream_error", 502, "an upstream refused the call" },
  { "unsupported", "upstream_error", 502, "the backend does not carry this call" },
  { "not_found", "not_found", 404, "what the endpoint asked for does not exist" },
  { "storage_unavailable", "storage_unavailable", 503, "storage is unavailable" },
  { "storage_full", "storage_full", 507, "storage is full" },
  { "quota_exceeded", "quota_exceeded", 507, "the endpoint's storage is full" },
  { "plugin_timeout", "plugin_timeout", 504, "the endpoint did not answer in time" },
  { "plugin_bad_response", "plugin_bad_response", 500, "the endpoint gave no valid response" },
  { "plugin_cpu_limit", "plugin_cpu_limit", 500, "the endpoint used too much processor time" },
  { "plugin_memory_limit", "plugin_memory_limit", 500, "the endpoint used too much memory" },
  { "disabled", "disabled", 503, "the endpoint was disabled" },
  { "reloaded", "reloaded", 503, "the endpoint was replaced by newer versions" },
  { "server_shutdown", "server_shutdown", 503, "the server is stopping" },
};

bool failure_is_abort(const TaskFailure *failure)
{
  return failure->status >= 400 && failure->status <= 599;
}

void failure_publish(const TaskFailure *failure, PublicFailure *out)
{
  size_t i;
  if (failure_is_abort(failure)) {
    out->status = failure->status;
    out->code = failure->code;
    snprintf(out->message, sizeof out->message, "%.*s", (int)failure->message.len,
             failure->message.at);
    return;
  }
  for (i = 0; i < sizeof table / sizeof *table; i++) {
    if (strcmp(failure->code, table[i].code) == 0) {
      out->status = table[i].status;
      out->code = table[i].public_code;
      snprintf(out->message, sizeof out->message, "%s", table[i].message);
      return;
    }
  }
  out->status = 500;
  out->code = "plugin_error";
  snprintf(out->message, sizeof out->message, "the endpoint failed");
}
