// CDN-Loop: a host that adds its name finds it once more, whatever stood there.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/http/cdn_loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *bytes = mem_bytes(data, size); // of its own, so that a read behind it is seen
  uint32_t count = cdn_loop_count((Span){ bytes, size });
  Buffer longer = { 0 };
  buffer_append(&longer, bytes, size);
  buffer_string(&longer, ", " CDN_LOOP_NAME);
  if (count > size / (sizeof CDN_LOOP_NAME - 1) ||
      cdn_loop_count((Span){ longer.bytes, longer.len }) != count + 1) {
    fprintf(stderr, "broken promise: a name more\n");
    abort();
  }
  buffer_free(&longer);
  mem_free(bytes);
  return 0;
}
