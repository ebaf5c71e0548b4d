// See parameters.h.
#include "parameters.h"

#include <strings.h>

#include "../base/utf8.h"
#include "form.h"

static bool next_parameter(Span text, size_t *at, Span *name, Span *raw);
static void append_unquoted(Span raw, Buffer *out);

Span span_trim(Span text)
{
  while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
    text.at++;
    text.len--;
  }
  while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
    text.len--;
  return text;
}

Span parameters_value(Span text)
{
  const char *end = text.len ? memchr(text.at, ';', text.len) : NULL;
  if (end)
    text.len = (size_t)(end - text.at);
  return span_trim(text);
}

static bool find(Span text, const char *wanted, Span *raw)
{
  const char *start = text.len ? memchr(text.at, ';', text.len) : NULL;
  size_t at = start ? (size_t)(start - text.at) : text.len;
  Span name;
  while (next_parameter(text, &at, &name, raw)) {
    if (span_is_ignoring_case(name, wanted))
      return true;
  }
  return false;
}

bool parameters_get(Span text, const char *name, Buffer *out)
{
  Span raw;
  if (!find(text, name, &raw))
    return false;
  append_unquoted(raw, out);
  return true;
}

bool parameters_get_extended(Span text, const char *name, Buffer *out)
{
  Buffer bytes = { 0 };
  Span raw, charset;
  const char *quote;
  size_t i;
  bool is_good = true;
  if (!find(text, name, &raw) || raw.len == 0 || !(quote = memchr(raw.at, '\'', raw.len)))
    return false;
  charset = (Span){ raw.at, (size_t)(quote - raw.at) };
  raw.len -= charset.len + 1;
  raw.at = quote + 1;
  quote = raw.len ? memchr(raw.at, '\'', raw.len) : NULL; // behind the language
  if (!quote)
    return false;
  raw.len -= (size_t)(quote - raw.at) + 1;
  raw.at = quote + 1;
  percent_decode(raw, false, &bytes);
  if (span_is_ignoring_case(charset, "UTF-8")) {
    is_good = utf8_is_valid(bytes.bytes, bytes.len);
    if (is_good)
      buffer_append(out, bytes.bytes, bytes.len);
  } else if (span_is_ignoring_case(charset, "ISO-8859-1")) {
    for (i = 0; i < bytes.len; i++) {
      unsigned char c = (unsigned char)bytes.bytes[i];
      if (c >= 0x80)
        buffer_char(out, (char)(0xc0 | c >> 6));
      buffer_char(out, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
    }
  } else {
    is_good = false;
  }
  buffer_free(&bytes);
  return is_good;
}

// `*at` stands on the ';' before the parameter, or at the end. `raw` keeps the quotes.
static bool next_parameter(Span text, size_t *at, Span *name, Span *raw)
{
  size_t i = *at, start;
  while (i < text.len && (text.at[i] == ';' || text.at[i] == ' ' || text.at[i] == '\t'))
    i++;
  start = i;
  while (i < text.len && text.at[i] != '=' && text.at[i] != ';')
    i++;
  *name = span_trim((Span){ text.at + start, i - start });
  if (i == text.len || text.at[i] != '=' || name->len == 0)
    return false;
  i++;
  while (i < text.len && (text.at[i] == ' ' || text.at[i] == '\t'))
    i++;
  start = i;
  if (i < text.len && text.at[i] == '"') {
    for (i++; i < text.len && text.at[i] != '"'; i++) {
      if (text.at[i] == '\\' && i + 1 < text.len &&
          (text.at[i + 1] == '"' || text.at[i + 1] == '\\'))
        i++;
    }
    if (i == text.len)
      return false; // no closing quote
    i++;
    *raw = (Span){ text.at + start, i - start };
    while (i < text.len && text.at[i] != ';')
      i++;
  } else {
    while (i < text.len && text.at[i] != ';')
      i++;
    *raw = span_trim((Span){ text.at + start, i - start });
  }
  *at = i;
  return true;
}

// Backslashes escape only quotes and themselves (paths of Windows are sent as they are), and
// browsers write a quote as %22.
static void append_unquoted(Span raw, Buffer *out)
{
  size_t i;
  if (raw.len < 2 || raw.at[0] != '"') {
    buffer_append(out, raw.at, raw.len);
    return;
  }
  for (i = 1; i < raw.len - 1; i++) {
    if (raw.at[i] == '\\' && i + 2 < raw.len && (raw.at[i + 1] == '"' || raw.at[i + 1] == '\\')) {
      buffer_char(out, raw.at[++i]);
    } else if (i + 3 < raw.len && memcmp(raw.at + i, "%22", 3) == 0) {
      buffer_char(out, '"');
      i += 2;
    } else {
      buffer_char(out, raw.at[i]);
    }
  }
}
