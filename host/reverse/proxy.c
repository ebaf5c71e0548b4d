// See proxy.h.
#include "proxy.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "../base/buffer.h"
#include "../base/memory.h"

static const char *environment(const char *upper, const char *lower)
{
  const char *value = getenv(lower);
  if (!value || !*value)
    value = getenv(upper);
  return value && *value ? value : NULL;
}

static int hex_digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// "Basic " and the base64 of the percent-decoded "user:password".
static char *basic_authorization(const char *user, size_t len)
{
  Buffer plain = { 0 }, value = { 0 };
  size_t i;
  for (i = 0; i < len; i++) {
    int high = user[i] == '%' && i + 2 < len ? hex_digit(user[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(user[i + 2]) : -1;
    buffer_char(&plain, low >= 0 ? (char)(high * 16 + low) : user[i]);
    i += low >= 0 ? 2 : 0;
  }
  buffer_string(&value, "Basic ");
  buffer_reserve(&value, 4 * (plain.len / 3 + 1));
  value.len += (size_t)EVP_EncodeBlock((unsigned char *)value.bytes + value.len,
                                       (const unsigned char *)plain.bytes, (int)plain.len);
  buffer_free(&plain);
  return buffer_take(&value);
}

int proxy_from_environment(Proxy *proxy, Err *err)
{
  const char *text = environment("HTTPS_PROXY", "https_proxy"), *why = NULL, *rest, *at;
  Buffer address = { 0 };
  int rc;
  *proxy = (Proxy){ 0 };
  if (!text)
    return 0;
  rest = strncasecmp(text, "http://", 7) == 0 ? text + 7 : text;
  at = memchr(rest, '@', strcspn(rest, "/?#"));
  if (at) {
    proxy->authorization = basic_authorization(rest, (size_t)(at - rest));
    rest = at + 1;
  }
  if (strstr(rest, "://"))
    rest = ""; // https and socks proxies: not ours
  buffer_printf(&address, "http://%s", rest);
  rc = url_parse(address.bytes, &proxy->url, &why);
  buffer_free(&address);
  proxy->url.target = NULL; // the text that it pointed into is gone
  if (rc < 0) {
    proxy_free(proxy);
    return err_set(err, rc, "HTTPS_PROXY: expected http://host:port");
  }
  proxy->except = mem_string(environment("NO_PROXY", "no_proxy"));
  return 0;
}

void proxy_free(Proxy *proxy)
{
  if (proxy->authorization)
    explicit_bzero(proxy->authorization, strlen(proxy->authorization));
  mem_free(proxy->authorization);
  mem_free(proxy->except);
  *proxy = (Proxy){ 0 };
}

static bool is_loopback(const Url *url)
{
  struct in_addr v4;
  if (strcmp(url->host, "localhost") == 0)
    return true;
  if (url->is_ipv6)
    return strcmp(url->host, "::1") == 0;
  return uv_inet_pton(AF_INET, url->host, &v4) == 0 && strncmp(url->host, "127.", 4) == 0;
}

// One item of NO_PROXY against a host: itself or a name below it.
static bool item_covers(const char *item, size_t len, const Url *url)
{
  size_t host_len = strlen(url->host);
  const char *colon = memrchr(item, ':', len);
  if (len == 1 && *item == '*')
    return true;
  if (colon && memchr(item, ':', len) == colon) { // name:port, and not an IPv6 address
    if (strtol(colon + 1, NULL, 10) != url->port)
      return false;
    len = (size_t)(colon - item);
  }
  if (len > 2 && *item == '[' && item[len - 1] == ']')
    item++, len -= 2;
  if (len > 1 && strncmp(item, "*.", 2) == 0)
    item++, len--;
  if (len > 1 && *item == '.')
    item++, len--;
  if (len == 0 || len > host_len || strncasecmp(url->host + host_len - len, item, len) != 0)
    return false;
  return len == host_len || url->host[host_len - len - 1] == '.';
}

bool proxy_is_for(const Proxy *proxy, const Url *url)
{
  const char *at = proxy->except;
  if (!proxy->url.host[0] || !url->is_tls || is_loopback(url))
    return false;
  while (at && *at) {
    size_t len;
    at += strspn(at, ", \t");
    len = strcspn(at, ", \t");
    if (len && item_covers(at, len, url))
      return false;
    at += len;
  }
  return true;
}
