// See inlet.h.
#include "inlet.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "../base/memory.h"

void inlet_reset(Inlet *inlet, ResponseTo to)
{
  response_free(&inlet->response);
  response_init(&inlet->response, to);
  buffer_free(&inlet->inbox);
  buffer_free(&inlet->arrived);
  inlet->at = 0;
  inlet->has_ended = false;
}

void inlet_free(Inlet *inlet)
{
  response_free(&inlet->response);
  buffer_free(&inlet->inbox);
  buffer_free(&inlet->arrived);
  mem_free(inlet->end_text);
}

void inlet_put(Inlet *inlet, const char *bytes, size_t len)
{
  buffer_append(&inlet->arrived, bytes, len);
}

void inlet_end(Inlet *inlet, int code, const char *text)
{
  inlet->has_ended = true;
  inlet->end_code = code;
  mem_free(inlet->end_text);
  inlet->end_text = mem_string(text);
}

ResponseStep inlet_step(Inlet *inlet)
{
  for (;;) {
    ResponseStep step =
        response_step(&inlet->response, inlet->inbox.bytes, inlet->inbox.len, &inlet->at);
    if (step != RESPONSE_MORE)
      return step;
    if (inlet->at < inlet->inbox.len)
      continue;
    buffer_free(&inlet->inbox); // the next bytes may be long in coming
    inlet->at = 0;
    if (inlet->arrived.len) {
      inlet->inbox = inlet->arrived;
      inlet->arrived = (Buffer){ 0 };
    } else if (!inlet->has_ended) {
      return RESPONSE_MORE;
    } else {
      return inlet->end_code == UV_EOF ? response_end(&inlet->response) : RESPONSE_BAD;
    }
  }
}

size_t inlet_ready_bytes(const Inlet *inlet)
{
  return inlet->inbox.len - inlet->at + inlet->arrived.len;
}

size_t inlet_held_bytes(const Inlet *inlet)
{
  return inlet->inbox.len + inlet->arrived.len;
}

void inlet_problem(const Inlet *inlet, char *text, size_t size)
{
  if (inlet->has_ended && inlet_ready_bytes(inlet) == 0)
    snprintf(text, size, "%s", inlet->end_text);
  else
    snprintf(text, size, "upstream_protocol: %s", inlet->response.problem);
}
