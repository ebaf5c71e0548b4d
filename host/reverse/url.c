// See url.h.
#include "url.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

static int refuse(const char **why, const char *expected)
{
  if (why)
    *why = expected;
  return UV_EINVAL;
}

static bool is_host_char(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

static void copy_lower(char *to, const char *from, size_t len)
{
  size_t i;
  for (i = 0; i < len; i++)
    to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
  to[len] = '\0';
}

// A host whose last label is a number is an IPv4 address or nothing at all, as browsers have it.
static bool is_numeric(const char *host)
{
  const char *dot = strrchr(host, '.'), *label = dot ? dot + 1 : host;
  if (label[0] == '0' && label[1] == 'x')
    return label[2 + strspn(label + 2, "0123456789abcdef")] == '\0';
  return label[strspn(label, "0123456789")] == '\0';
}

static bool settle_host(char *host)
{
  struct in_addr address;
  size_t len = strlen(host);
  if (host[len - 1] == '.')
    host[--len] = '\0';
  if (len == 0 || host[0] == '.' || host[len - 1] == '.' || strstr(host, ".."))
    return false;
  if (!is_numeric(host))
    return true;
  // inet_aton reads what getaddrinfo would read.
  return inet_aton(host, &address) && inet_ntop(AF_INET, &address, host, URL_MAX_HOST);
}

// "[::1]" or "name". Returns the first byte behind it, or NULL.
static const char *parse_host(const char *at, Url *url)
{
  struct in6_addr address;
  size_t len;
  if (*at == '[') {
    const char *end = strchr(++at, ']');
    if (!end || end - at > URL_MAX_HOST)
      return NULL;
    copy_lower(url->host, at, (size_t)(end - at));
    url->is_ipv6 = true;
    if (strchr(url->host, '%'))
      return NULL; // a zone: libuv would take any bytes behind it
    return uv_inet_pton(AF_INET6, url->host, &address) == 0 ? end + 1 : NULL;
  }
  for (len = 0; is_host_char(at[len]); len++)
    continue;
  if (len == 0 || len > URL_MAX_HOST)
    return NULL;
  copy_lower(url->host, at, len);
  return settle_host(url->host) ? at + len : NULL;
}

int url_parse(const char *text, Url *url, const char **why)
{
  const char *at = text, *c;
  *url = (Url){ 0 };
  for (c = text; *c; c++) {
    if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == '#')
      return refuse(why, "no space, control character, '#' or byte outside ASCII");
  }
  if (strncasecmp(at, "http://", 7) == 0)
    at += 7;
  else if (strncasecmp(at, "https://", 8) == 0) {
    at += 8;
    url->is_tls = true;
  } else
    return refuse(why, "http:// or https:// at the beginning");
  if (memchr(at, '@', strcspn(at, "/?")))
    return refuse(why, "no user name in the address");
  at = parse_host(at, url);
  if (!at)
    return refuse(why, "a host name or an address after ://");
  url->port = url->is_tls ? 443 : 80;
  if (*at == ':') {
    uint32_t port = 0;
    const char *digits = ++at;
    for (; *at >= '0' && *at <= '9' && port <= UINT16_MAX; at++)
      port = port * 10 + (uint32_t)(*at - '0');
    if (at == digits || port == 0 || port > UINT16_MAX)
      return refuse(why, "a port from 1 to 65535 after the host");
    url->port = (uint16_t)port;
  }
  if (*at && *at != '/' && *at != '?')
    return refuse(why, "a path, a port or nothing after the host");
  url->target = at;
  return 0;
}
