// See target.h. Pure functions.
#include "target.h"

#include <ctype.h>
#include <stdint.h>
#include <strings.h>

#include "scan.h"

static bool has_only_target_bytes(Span raw);
static void split_query(Span rest, Target *target);
static bool is_host_byte(unsigned char c);

// Letters, digits and -._~%!$&'()*+,;= as a bit each: bit n of a word is character 32 * i + n.
static const uint32_t host_bytes[8] = { 0, 0x2bff7ff2, 0x87fffffe, 0x47fffffe };

bool target_split(Span raw, Target *target)
{
  static const char *const schemes[] = { "http://", "https://" };
  size_t i, scheme_len, at;
  *target = (Target){ 0 };
  if (raw.len == 0 || !has_only_target_bytes(raw))
    return false;
  if (raw.at[0] == '/') {
    split_query(raw, target);
    return true;
  }
  if (span_is(raw, "*")) {
    target->path = raw;
    return true;
  }
  for (i = 0; i < 2; i++) {
    scheme_len = strlen(schemes[i]);
    if (raw.len <= scheme_len || strncasecmp(raw.at, schemes[i], scheme_len) != 0)
      continue;
    for (at = scheme_len; at < raw.len && raw.at[at] != '/' && raw.at[at] != '?'; at++) {
    }
    target->host = (Span){ raw.at + scheme_len, at - scheme_len };
    split_query((Span){ raw.at + at, raw.len - at }, target);
    if (target->path.len == 0)
      target->path = span_of("/");
    return host_is_valid(target->host);
  }
  return false;
}

bool host_is_valid(Span host)
{
  size_t i = 0, port_at;
  unsigned long port = 0;
  if (host.len == 0 || host.len > 255 + 6)
    return false;
  if (host.at[0] == '[') {
    for (i = 1; i < host.len && host.at[i] != ']'; i++) {
      unsigned char c = (unsigned char)host.at[i];
      if (!isxdigit(c) && c != ':' && c != '.')
        return false;
    }
    if (i == host.len || i < 3) // no bracket; "::" is the shortest
      return false;
    i++;
  } else {
    while (i < host.len && is_host_byte((unsigned char)host.at[i]))
      i++;
    if (i == 0)
      return false;
  }
  if (i == host.len)
    return true;
  if (host.at[i] != ':')
    return false;
  for (port_at = ++i; i < host.len; i++) {
    if (!isdigit((unsigned char)host.at[i]) || i - port_at >= 5)
      return false;
    port = port * 10 + (unsigned long)(host.at[i] - '0');
  }
  return port <= 65535;
}

// Bytes above 0x7f are let through: clients send raw UTF-8, and who decodes the path judges it.
static bool has_only_target_bytes(Span raw)
{
  size_t i;
  for (i = 0; i < raw.len; i += 8) {
    uint64_t word = scan_word(raw, i);
    if (scan_has_below(word, 0x21) || scan_has(word, 0x7f) || scan_has(word, '#'))
      return false;
  }
  return true;
}

static void split_query(Span rest, Target *target)
{
  const char *mark = rest.len ? memchr(rest.at, '?', rest.len) : NULL;
  target->path = rest;
  if (!mark)
    return;
  target->path.len = (size_t)(mark - rest.at);
  target->query = (Span){ mark + 1, rest.len - target->path.len - 1 };
}

static bool is_host_byte(unsigned char c)
{
  return host_bytes[c / 32] >> (c % 32) & 1;
}
