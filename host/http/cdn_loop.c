// See cdn_loop.h. A value is a list of names, each with parameters behind a semicolon; a comma in a
// quoted parameter may make one name more of it, which counts only if it is ours.
#include "cdn_loop.h"

#include <strings.h>

static bool is_our_name(Span item)
{
  size_t len = sizeof CDN_LOOP_NAME - 1;
  while (item.len > 0 && (*item.at == ' ' || *item.at == '\t'))
    item = (Span){ item.at + 1, item.len - 1 };
  if (item.len < len || strncasecmp(item.at, CDN_LOOP_NAME, len) != 0)
    return false;
  return item.len == len || strchr(" \t;", item.at[len]) != NULL;
}

uint32_t cdn_loop_count(Span value)
{
  uint32_t count = 0;
  while (value.len > 0) {
    const char *comma = memchr(value.at, ',', value.len);
    size_t len = comma ? (size_t)(comma - value.at) : value.len;
    count += is_our_name((Span){ value.at, len });
    len += comma != NULL;
    value = (Span){ value.at + len, value.len - len };
  }
  return count;
}
