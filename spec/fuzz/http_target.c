// Request targets and Host values: whatever is accepted can be put together again, and has no byte
// that could end a line.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static void check_plain(Span span)
{
  size_t i;
  for (i = 0; i < span.len; i++)
    must((unsigned char)span.at[i] > 0x20 && span.at[i] != 0x7f, "no controls, no spaces");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *bytes = mem_bytes(data, size);
  Span raw = { bytes, size };
  Target target;
  if (target_split(raw, &target)) {
    size_t tail = target.path.len + (target.query.at ? target.query.len + 1 : 0);
    check_plain(target.path);
    check_plain(target.query);
    must(target.path.len > 0, "a path");
    must(!memchr(target.path.at, '?', target.path.len), "no query in the path");
    must(!target.query.at || target.query.at + target.query.len == raw.at + raw.len,
         "the query goes to the end");
    if (target.host.at) {
      must(host_is_valid(target.host), "a valid host");
      must(tail <= raw.len, "the parts lie in the target");
    } else {
      must(tail == raw.len && memcmp(raw.at, target.path.at, target.path.len) == 0,
           "path and query are all of it");
    }
  }
  if (host_is_valid(raw)) {
    check_plain(raw);
    must(!memchr(raw.at, '/', raw.len) && !memchr(raw.at, '@', raw.len), "a host has no path");
  }
  mem_free(bytes);
  return 0;
}
