// A growing run of bytes, and a borrowed one.
#ifndef MOONHOOK_BASE_BUFFER_H
#define MOONHOOK_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Borrowed bytes; not NUL-terminated. `at` is NULL when there is nothing.
typedef struct {
  const char *at;
  size_t len;
} Span;

// Start with `Buffer b = { 0 };`. After any append, bytes[len] is '\0' (not counted).
typedef struct {
  char *bytes;
  size_t len;
  size_t cap;
} Buffer;

void buffer_free(Buffer *buffer);               // back to empty, memory given back
void buffer_clear(Buffer *buffer);              // len = 0, memory kept
void buffer_grow(Buffer *buffer, size_t extra); // what buffer_reserve does when it must
void buffer_string(Buffer *buffer, const char *text);
void buffer_integer(Buffer *buffer, int64_t number); // in decimal
void buffer_decimal(Buffer *buffer, double number);  // rounded to two places: 1.5, 0.07, 3
void buffer_printf(Buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_consume(Buffer *buffer, size_t len); // drops `len` bytes at the front
char *buffer_take(Buffer *buffer);               // NUL-terminated; the caller frees; buffer empty
// Appends `text` as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD.
void buffer_json_string(Buffer *buffer, const char *text, size_t len);

// Room for `extra` more bytes and a NUL.
static inline void buffer_reserve(Buffer *buffer, size_t extra)
{
  if (buffer->cap - buffer->len <= extra)
    buffer_grow(buffer, extra);
}

static inline void buffer_append(Buffer *buffer, const void *bytes, size_t len)
{
  buffer_reserve(buffer, len);
  if (len)
    memcpy(buffer->bytes + buffer->len, bytes, len);
  buffer->len += len;
  buffer->bytes[buffer->len] = '\0';
}

static inline void buffer_char(Buffer *buffer, char c)
{
  buffer_reserve(buffer, 1);
  buffer->bytes[buffer->len++] = c;
  buffer->bytes[buffer->len] = '\0';
}

static inline Span span_of(const char *text)
{
  Span span = { text, text ? strlen(text) : 0 };
  return span;
}

static inline bool span_is(Span span, const char *text)
{
  return span.len == strlen(text) && (span.len == 0 || memcmp(span.at, text, span.len) == 0);
}

bool span_is_ignoring_case(Span span, const char *text); // ASCII only

#endif
