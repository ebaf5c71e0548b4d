// See hook_url.h.
#include "hook_url.h"

#include <string.h>
#include <strings.h>

#include "../reverse/address.h"

const char *hook_url_scheme(const HookPlaceOutside *outside)
{
  if (outside->public_url)
    return strncmp(outside->public_url, "https:", 6) == 0 ? "https" : "http";
  return outside->scheme ? outside->scheme : "http";
}

// The authority of the public URL, or the host that was asked.
static Span authority(const HookPlaceOutside *outside)
{
  const char *start = outside->public_url ? strstr(outside->public_url, "://") : NULL;
  if (start)
    return (Span){ start + 3, strcspn(start + 3, "/") };
  return outside->host.len ? outside->host : span_of("localhost");
}

// Cuts "host:port" or "[v6]:port"; the port is "" when there is none.
static Span split_port(Span host, Span *port)
{
  size_t at = host.len;
  while (at > 0 && host.at[at - 1] >= '0' && host.at[at - 1] <= '9')
    at--;
  *port = (Span){ host.at + host.len, 0 };
  if (at < host.len && at > 1 && host.at[at - 1] == ':' &&
      (host.at[at - 2] == ']' || !memchr(host.at, ':', at - 1))) {
    *port = (Span){ host.at + at, host.len - at };
    host.len = at - 1;
  }
  return host;
}

void hook_url_append(const HookPlaceOutside *outside, const char *hook_id, Buffer *out)
{
  const char *scheme = hook_url_scheme(outside);
  Span host = authority(outside), port;
  if (outside->base_domain) {
    split_port(host, &port);
    buffer_printf(out, "%s://%s.%s", scheme, hook_id, outside->base_domain);
    if (port.len > 0 && !span_is(port, strcmp(scheme, "https") == 0 ? "443" : "80"))
      buffer_printf(out, ":%.*s", (int)port.len, port.at);
    return;
  }
  if (outside->public_url)
    buffer_string(out, outside->public_url);
  else
    buffer_printf(out, "%s://%.*s%.*s", scheme, (int)host.len, host.at, (int)outside->prefix.len,
                  outside->prefix.at ? outside->prefix.at : "");
  buffer_printf(out, "/e/%s", hook_id);
}

bool hook_url_is_local(const HookPlaceOutside *outside)
{
  AddressBlock block;
  Span port, host = outside->base_domain ? span_of(outside->base_domain)
                                         : split_port(authority(outside), &port);
  char text[64];
  const char *kind;
  if (span_is_ignoring_case(host, "localhost") ||
      (host.len > 10 && strncasecmp(host.at + host.len - 10, ".localhost", 10) == 0))
    return true;
  if (host.len > 2 && host.at[0] == '[')
    host = (Span){ host.at + 1, host.len - 2 };
  if (host.len >= sizeof text)
    return false;
  memcpy(text, host.at, host.len);
  text[host.len] = '\0';
  if (address_block_parse(text, &block) < 0)
    return false;
  kind = address_kind(&block.first);
  return (kind && strcmp(kind, "a loopback address") == 0) || strcmp(text, "0.0.0.0") == 0 ||
         strcmp(text, "::") == 0;
}
