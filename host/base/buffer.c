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

void buffer_reserve(Buffer *buffer, size_t extra)
{
  size_t cap = buffer->cap ? buffer->cap : 64;
  if (extra >= SIZE_MAX / 2 - buffer->len)
    abort();
  if (buffer->cap > buffer->len + extra)
    return;
  while (cap <= buffer->len + extra)
    cap += cap / 2;
  buffer->bytes = mem_resize(buffer->bytes, cap);
  buffer->cap = cap;
}

void buffer_append(Buffer *buffer, const void *bytes, size_t len)
{
  buffer_reserve(buffer, len);
  if (len)
    memcpy(buffer->bytes + buffer->len, bytes, len);
  buffer->len += len;
  buffer->bytes[buffer->len] = '\0';
}

void buffer_string(Buffer *buffer, const char *text)
{
  buffer_append(buffer, text, strlen(text));
}

void buffer_char(Buffer *buffer, char c)
{
  buffer_append(buffer, &c, 1);
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

void buffer_json_string(Buffer *buffer, const char *text, size_t len)
{
  size_t i = 0;
  buffer_char(buffer, '"');
  while (i < len) {
    unsigned char c = (unsigned char)text[i];
    size_t n;
    if (c == '"' || c == '\\') {
      buffer_char(buffer, '\\');
      buffer_char(buffer, (char)c);
      i++;
    } else if (c == '\n') {
      buffer_string(buffer, "\\n");
      i++;
    } else if (c < 0x20 || c == 0x7f) {
      buffer_printf(buffer, "\\u%04x", c);
      i++;
    } else if ((n = utf8_length(text + i, len - i)) > 0) {
      buffer_append(buffer, text + i, n);
      i += n;
    } else {
      buffer_string(buffer, "\xef\xbf\xbd");
      i++;
    }
  }
  buffer_char(buffer, '"');
}

bool span_is_ignoring_case(Span span, const char *text)
{
  return span.len == strlen(text) && strncasecmp(span.at, text, span.len) == 0;
}
