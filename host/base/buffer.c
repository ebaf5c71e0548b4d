// See buffer.h.
#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "memory.h"
#include "utf8.h"

void buffer_free(Buffer *buffer)
{
  mem_free(buffer->bytes);
  *buffer = (Buffer){ 0 };
}

void buffer_clear(Buffer *buffer)
{
  buffer->len = 0;
  if (buffer->bytes)
    buffer->bytes[0] = '\0';
}

void buffer_grow(Buffer *buffer, size_t extra)
{
  size_t cap = buffer->cap ? buffer->cap : 64;
  if (extra >= SIZE_MAX / 2 - buffer->len)
    abort();
  while (cap <= buffer->len + extra)
    cap += cap / 2;
  buffer->bytes = mem_resize(buffer->bytes, cap);
  buffer->cap = cap;
}

void buffer_string(Buffer *buffer, const char *text)
{
  buffer_append(buffer, text, strlen(text));
}

void buffer_integer(Buffer *buffer, int64_t number)
{
  char digits[24];
  size_t at = sizeof digits;
  uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  do {
    digits[--at] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest);
  if (number < 0)
    digits[--at] = '-';
  buffer_append(buffer, digits + at, sizeof digits - at);
}

void buffer_decimal(Buffer *buffer, double number)
{
  int64_t hundredths;
  if (!(number > -1e15 && number < 1e15)) {
    buffer_printf(buffer, "%.17g", number);
    return;
  }
  hundredths = (int64_t)(number * 100 + (number < 0 ? -0.5 : 0.5));
  if (hundredths < 0) {
    buffer_char(buffer, '-');
    hundredths = -hundredths;
  }
  buffer_integer(buffer, hundredths / 100);
  if (hundredths % 100 == 0)
    return;
  buffer_char(buffer, '.');
  buffer_char(buffer, (char)('0' + hundredths / 10 % 10));
  if (hundredths % 10)
    buffer_char(buffer, (char)('0' + hundredths % 10));
}

void buffer_printf(Buffer *buffer, const char *format, ...)
{
  va_list args;
  int len;
  va_start(args, format);
  len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (len < 0)
    return;
  buffer_reserve(buffer, (size_t)len);
  va_start(args, format);
  vsnprintf(buffer->bytes + buffer->len, (size_t)len + 1, format, args);
  va_end(args);
  buffer->len += (size_t)len;
}

void buffer_consume(Buffer *buffer, size_t len)
{
  if (len == 0)
    return;
  buffer->len -= len;
  memmove(buffer->bytes, buffer->bytes + len, buffer->len);
  buffer->bytes[buffer->len] = '\0';
}

char *buffer_take(Buffer *buffer)
{
  char *bytes;
  buffer_reserve(buffer, 0);
  bytes = buffer->bytes;
  bytes[buffer->len] = '\0';
  *buffer = (Buffer){ 0 };
  return bytes;
}

// How many bytes at the front can stand in a JSON string as they are: printable ASCII but " and \.
// Eight at a time: a byte's high bit is set in `odd` when it is one of the others (the borrow of a
// lower byte can set it too, never clear it; then the single steps find the place).
static size_t plain_length(const char *text, size_t len)
{
  const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
  size_t i = 0;
  for (; i + 8 <= len; i += 8) {
    uint64_t word, quote, slash, odd;
    memcpy(&word, text + i, 8);
    quote = word ^ ones * '"';
    slash = word ^ ones * '\\';
    odd = word | (word - ones * 0x20) | (word + ones) | ((quote - ones) & ~quote) |
          ((slash - ones) & ~slash);
    if (odd & highs)
      break;
  }
  while (i < len && (unsigned char)(text[i] - 0x20) < 0x5f && text[i] != '"' && text[i] != '\\')
    i++;
  return i;
}

void buffer_json_string(Buffer *buffer, const char *text, size_t len)
{
  size_t i = 0, n;
  buffer_reserve(buffer, len + 2);
  buffer_char(buffer, '"');
  while (i < len) {
    char c;
    n = plain_length(text + i, len - i);
    if (n == 0)
      n = utf8_length(text + i, len - i);
    c = text[i];
    if (n > 1 || (n == 1 && c >= 0x20 && c != 0x7f && c != '"' && c != '\\')) {
      buffer_append(buffer, text + i, n);
      i += n;
      continue;
    }
    if (n == 0) {
      buffer_string(buffer, "\xef\xbf\xbd");
    } else if (c == '"' || c == '\\') {
      buffer_char(buffer, '\\');
      buffer_char(buffer, c);
    } else if (c == '\n') {
      buffer_string(buffer, "\\n");
    } else {
      buffer_printf(buffer, "\\u%04x", (unsigned)c);
    }
    i++;
  }
  buffer_char(buffer, '"');
}

bool span_is_ignoring_case(Span span, const char *text)
{
  return span.len == strlen(text) && strncasecmp(span.at, text, span.len) == 0;
}
