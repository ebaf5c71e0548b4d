// See find_hook.h.
#include "find_hook.h"

#include <strings.h>

static bool find_in_host(const Dispatch *dispatch, const Request *request, Span host,
                         HookPlace *place)
{
  const char *domain = dispatch->base_domain;
  const char *port, *dot;
  size_t domain_len;
  if (!domain || !host.at)
    return false;
  port = memchr(host.at, ':', host.len);
  if (port)
    host.len = (size_t)(port - host.at);
  dot = memchr(host.at, '.', host.len);
  domain_len = strlen(domain);
  if (!dot || host.len - (size_t)(dot + 1 - host.at) != domain_len ||
      strncasecmp(dot + 1, domain, domain_len) != 0)
    return false;
  place->hook_id = (Span){ host.at, (size_t)(dot - host.at) };
  place->path = request->path;
  return true;
}

bool find_hook(const Dispatch *dispatch, const Request *request, Span host, HookPlace *place)
{
  Span path = request->path;
  const char *end;
  if (find_in_host(dispatch, request, host, place))
    return true;
  if (path.len < 4 || memcmp(path.at, "/e/", 3) != 0)
    return false;
  end = memchr(path.at + 3, '/', path.len - 3);
  place->hook_id.at = path.at + 3;
  place->hook_id.len = (size_t)((end ? end : path.at + path.len) - place->hook_id.at);
  place->path.at = place->hook_id.at + place->hook_id.len;
  place->path.len = path.len - 3 - place->hook_id.len;
  return place->hook_id.len > 0;
}
