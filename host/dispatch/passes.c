// See passes.h.
#include "passes.h"

#include "../base/memory.h"
#include "../http/cdn_loop.h"

enum { MAX_BYTES = 4096 };

void passes_keep(HookRequest *hook)
{
  const HeaderList *headers = &hook->request->headers;
  Buffer field = { 0 };
  uint32_t i;
  if (hook->passes)
    return;
  for (i = 0; i < headers->count; i++) {
    Span value = header_list_value(headers, i);
    if (!span_is_ignoring_case(header_list_name(headers, i), "CDN-Loop"))
      continue;
    hook->pass_count += cdn_loop_count(value);
    buffer_append(&field, value.at, value.len);
    buffer_string(&field, ", ");
  }
  if (field.len > MAX_BYTES)
    hook->pass_count = UINT32_MAX;
  buffer_string(&field, CDN_LOOP_NAME);
  hook->passes = buffer_take(&field);
}

const char *passes_field(HookRequest *hook)
{
  if (hook->request)
    passes_keep(hook);
  if (!hook->passes || hook->pass_count >= hook_request_limits(hook).passes)
    return NULL;
  return hook->passes;
}
