// See buffer.h.
#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "json.h"
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

// Appends what stands for the odd byte `c` of a string.
static void append_escape(Buffer *buffer, unsigned char c)
{
  static const char letters[] = "btn?fr"; // from 8 on
  char text[] = { '\\', (char)c, '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15] };
  size_t len = 2;
  if (c >= 8 && c <= 13 && c != 11) {
    text[1] = letters[c - 8];
  } else if (c != '"' && c != '\\') {
    text[1] = 'u';
    len = sizeof text;
  }
  buffer_append(buffer, text, len);
}

// The part of a string from `i` on, where something is that cannot be copied as it is. Apart, so
// that the others save no registers for it.
__attribute__((noinline)) static void append_odd(Buffer *buffer, const char *text, size_t len,
                                                 size_t i)
{
  while (i < len) {
    size_t n = utf8_length(text + i, len - i);
    if (n == 0)
      buffer_append(buffer, "\xef\xbf\xbd", 3);
    else if (n > 1)
      buffer_append(buffer, text + i, n);
    else
      append_escape(buffer, (unsigned char)text[i]);
    i += n ? n : 1;
    buffer_reserve(buffer, len - i + 8);
    n = json_copy_plain(buffer->bytes + buffer->len, text + i, len - i);
    buffer->len += n;
    i += n;
  }
}

void buffer_json_string(Buffer *buffer, const char *text, size_t len)
{
  char *at;
  size_t n;
  buffer_reserve(buffer, len + 10); // two quotes, and what json_copy_plain asks for
  at = buffer->bytes + buffer->len;
  *at++ = '"';
  n = json_copy_plain(at, text, len);
  buffer->len += 1 + n;
  if (n < len) {
    append_odd(buffer, text, len, n);
    buffer_char(buffer, '"');
    return;
  }
  at[n] = '"';
  at[n + 1] = '\0';
  buffer->len++;
}

bool span_is_ignoring_case(Span span, const char *text)
{
  return span.len == strlen(text) && strncasecmp(span.at, text, span.len) == 0;
}
