// The event decoder against a slow one written from the standard's words, and against itself with
// the same bytes whole, one by one and in pieces: the events must be the same.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/reverse/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Each event as "name\x01data\x02".
static void note(Buffer *out, Span name, Span data)
{
  buffer_append(out, name.at, name.len);
  buffer_char(out, 1);
  buffer_append(out, data.at, data.len);
  buffer_char(out, 2);
}

// Feeds pieces of `step` bytes, each in a block of its own size, so that a read behind its end
// shows.
static void decode(const char *bytes, size_t len, size_t step, Buffer *out)
{
  SseDecoder decoder = { 0 };
  size_t at;
  for (at = 0; at < len; at += step) {
    size_t used = 0, n = len - at < step ? len - at : step;
    char *piece = mem_alloc(n);
    memcpy(piece, bytes + at, n);
    while (sse_feed(&decoder, piece, n, &used) == SSE_EVENT)
      note(out, decoder.out_event, decoder.out_data);
    if (used != n)
      abort();
    mem_free(piece);
  }
  sse_free(&decoder);
}

// The standard, "Interpreting an event stream", word by word.
static void decode_slowly(const char *bytes, size_t len, Buffer *out)
{
  Buffer line = { 0 }, data = { 0 }, event = { 0 };
  size_t i = 0;
  if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
    i = 3;
  for (; i < len; i++) {
    size_t colon, value;
    if (bytes[i] != '\r' && bytes[i] != '\n') {
      buffer_char(&line, bytes[i]);
      continue;
    }
    if (bytes[i] == '\r' && i + 1 < len && bytes[i + 1] == '\n')
      i++;
    if (line.len == 0) { // dispatch
      if (data.len > 0) {
        data.len--; // the last LF
        note(out, (Span){ event.bytes, event.len }, (Span){ data.bytes, data.len });
      }
      buffer_clear(&data);
      buffer_clear(&event);
      continue;
    }
    for (colon = 0; colon < line.len && line.bytes[colon] != ':'; colon++)
      continue;
    value = colon < line.len ? colon + 1 : colon;
    if (value < line.len && line.bytes[value] == ' ')
      value++;
    if (colon == 4 && memcmp(line.bytes, "data", 4) == 0) {
      buffer_append(&data, line.bytes + value, line.len - value);
      buffer_char(&data, '\n');
    } else if (colon == 5 && memcmp(line.bytes, "event", 5) == 0) {
      buffer_clear(&event);
      buffer_append(&event, line.bytes + value, line.len - value);
    }
    buffer_clear(&line);
  }
  buffer_free(&line);
  buffer_free(&data);
  buffer_free(&event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *bytes = (const char *)data;
  size_t steps[] = { size ? size : 1, 1, 2, 3, 7, size / 2 + 1 };
  Buffer expected = { 0 };
  size_t i;
  decode_slowly(bytes, size, &expected);
  for (i = 0; i < sizeof steps / sizeof *steps; i++) {
    Buffer found = { 0 };
    decode(bytes, size, steps[i], &found);
    if (found.len != expected.len ||
        (found.len && memcmp(found.bytes, expected.bytes, found.len) != 0)) {
      fprintf(stderr, "pieces of %zu bytes give other events\n", steps[i]);
      abort();
    }
    buffer_free(&found);
  }
  buffer_free(&expected);
  return 0;
}
