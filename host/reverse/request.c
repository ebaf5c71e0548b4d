// See request.h.
#include "request.h"

#include <strings.h>
#include <uv.h>

static bool is_token(Span text)
{
  size_t i;
  for (i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.at[i];
    if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
      return false;
  }
  return text.len > 0;
}

static bool is_value(Span text)
{
  size_t i;
  for (i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.at[i];
    if ((c < ' ' && c != '\t') || c == 0x7f)
      return false;
  }
  return true;
}

static bool is_ours(Span name)
{
  static const char *const ours[] = { "Host",
                                      "Content-Length",
                                      "Accept-Encoding",
                                      "Connection",
                                      "Keep-Alive",
                                      "Transfer-Encoding",
                                      "TE",
                                      "Trailer",
                                      "Upgrade",
                                      "Expect",
                                      "Proxy-Authorization" };
  size_t i;
  for (i = 0; i < sizeof ours / sizeof *ours; i++) {
    if (span_is_ignoring_case(name, ours[i]))
      return true;
  }
  return false;
}

static void append_host(Buffer *out, const Url *url)
{
  buffer_printf(out, url->is_ipv6 ? "[%s]" : "%s", url->host);
  if (url->port != (url->is_tls ? 443 : 80))
    buffer_printf(out, ":%u", url->port);
}

int request_compose(const ClientCall *call, const Url *url, Buffer *out)
{
  uint32_t i, count = call->headers ? call->headers->count : 0;
  bool has_agent = false;
  buffer_reserve(out, 512 + call->body_len);
  if (!is_token(span_of(call->method)))
    return UV_EINVAL;
  buffer_printf(out, "%s %s%s HTTP/1.1\r\nHost: ", call->method, *url->target == '/' ? "" : "/",
                url->target);
  append_host(out, url);
  buffer_string(out, "\r\n");
  for (i = 0; i < count; i++) {
    Span name = header_list_name(call->headers, i), value = header_list_value(call->headers, i);
    if (!is_token(name) || !is_value(value))
      return UV_EINVAL;
    if (is_ours(name))
      continue;
    has_agent = has_agent || span_is_ignoring_case(name, "User-Agent");
    buffer_append(out, name.at, name.len);
    buffer_string(out, ": ");
    buffer_append(out, value.at, value.len);
    buffer_string(out, "\r\n");
  }
  if (!has_agent)
    buffer_string(out, "User-Agent: moonhook\r\n");
  buffer_string(out, "Accept-Encoding: identity\r\n");
  if (call->streams_body)
    buffer_string(out, "Transfer-Encoding: chunked\r\n");
  else if (call->body_len || strcmp(call->method, "POST") == 0 ||
           strcmp(call->method, "PUT") == 0 || strcmp(call->method, "PATCH") == 0)
    buffer_printf(out, "Content-Length: %zu\r\n", call->body_len);
  buffer_string(out, "\r\n");
  if (!call->streams_body)
    buffer_append(out, call->body, call->body_len);
  return 0;
}
