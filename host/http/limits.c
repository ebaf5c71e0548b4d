// What a client may ask of one connection and of the whole worker.
#include "limits.h"

#include <assert.h>

#include "server.h"

HttpLimits http_limits_default(void)
{
  return (HttpLimits){
    .target_bytes = 8 * 1024,
    .head_bytes = 32 * 1024,
    .header_count = 100,
    .body_bytes = 10 * 1024 * 1024,
    .worker_body_bytes = 256ull * 1024 * 1024,
    .chunk_extension_bytes = 4 * 1024,
    .unsent_bytes = 64 * 1024,
    .head_ms = 10 * 1000,
    .body_ms = 30 * 1000,
    .idle_ms = 75 * 1000,
    .stalled_ms = 30 * 1000,
    .max_connections = 10000,
  };
}

bool budget_take(BodyBudget *budget, uint64_t bytes)
{
  if (bytes > budget->limit - budget->used)
    return false;
  budget->used += bytes;
  return true;
}

void budget_give(BodyBudget *budget, uint64_t bytes)
{
  assert(bytes <= budget->used);
  budget->used -= bytes;
}
