// See sse.h. Lines are found with memchr and never looked at byte by byte; an event of one data
// line that lies whole in the input, as nearly all do, is handed out without a copy.
#include "sse.h"

#include "../base/fast_paths.h"

enum { KEEP_BYTES = 4096 }; // a larger buffer is given back as soon as it is not needed

// Finds the end of the line that begins at `at`. Returns NULL when it is not there yet. It looks in
// growing windows, so that a stream that ends its lines with CR does not search all of the input
// for an LF with every line.
static const char *line_end(const char *at, size_t len)
{
  size_t window;
  for (window = 256; len > 0; window *= 4) {
    size_t n = len < window ? len : window;
    const char *lf = memchr(at, '\n', n);
    const char *cr = memchr(at, '\r', lf ? (size_t)(lf - at) : n);
    if (cr || lf)
      return cr ? cr : lf;
    at += n;
    len -= n;
  }
  return NULL;
}

static void forget(Buffer *buffer)
{
  if (buffer->cap > KEEP_BYTES)
    buffer_free(buffer);
  else if (buffer->len)
    buffer_clear(buffer);
}

// Moves the borrowed data line into the decoder's own memory.
static void keep_borrowed(SseDecoder *decoder)
{
  if (!decoder->borrowed.at)
    return;
  buffer_append(&decoder->data, decoder->borrowed.at, decoder->borrowed.len);
  decoder->borrowed = (Span){ NULL, 0 };
}

static SseStatus add_data(SseDecoder *decoder, Span value, bool is_lasting)
{
  size_t so_far = decoder->borrowed.at ? decoder->borrowed.len : decoder->data.len;
  if (so_far + value.len + decoder->has_data > SSE_MAX_EVENT_BYTES)
    return SSE_TOO_LARGE;
  if (!decoder->has_data && is_lasting && fast_paths_are_on()) {
    decoder->borrowed = value;
  } else {
    keep_borrowed(decoder);
    if (decoder->has_data)
      buffer_char(&decoder->data, '\n');
    buffer_append(&decoder->data, value.at, value.len);
  }
  decoder->has_data = true;
  return SSE_MORE;
}

// An empty line: the event is complete. One without data is dropped, its name with it.
static SseStatus dispatch(SseDecoder *decoder)
{
  if (!decoder->has_data) {
    forget(&decoder->event);
    return SSE_MORE;
  }
  decoder->out_data = decoder->borrowed.at ? decoder->borrowed
                                           : (Span){ decoder->data.len ? decoder->data.bytes : "",
                                                     decoder->data.len };
  decoder->out_event = (Span){ decoder->event.len ? decoder->event.bytes : "", decoder->event.len };
  decoder->borrowed = (Span){ NULL, 0 };
  decoder->has_data = false;
  decoder->is_spent = true;
  return SSE_EVENT;
}

// One whole line without its end. `is_lasting`: its bytes live as long as the fed input.
static SseStatus take_line(SseDecoder *decoder, Span line, bool is_lasting)
{
  Span name, value = { line.at + line.len, 0 };
  const char *colon;
  if (line.len > SSE_MAX_EVENT_BYTES)
    return SSE_TOO_LARGE;
  if (!decoder->is_started) {
    decoder->is_started = true;
    if (line.len >= 3 && memcmp(line.at, "\xef\xbb\xbf", 3) == 0)
      line = (Span){ line.at + 3, line.len - 3 };
  }
  if (line.len == 0)
    return dispatch(decoder);
  name = line;
  colon = memchr(line.at, ':', line.len);
  if (colon) {
    name.len = (size_t)(colon - line.at);
    value = (Span){ colon + 1, line.len - name.len - 1 };
    if (value.len && value.at[0] == ' ')
      value = (Span){ value.at + 1, value.len - 1 };
  }
  if (span_is(name, "data"))
    return add_data(decoder, value, is_lasting);
  if (span_is(name, "event")) {
    buffer_clear(&decoder->event);
    buffer_append(&decoder->event, value.at, value.len);
  }
  if (span_is(name, "id") && !memchr(value.at, '\0', value.len)) {
    buffer_clear(&decoder->id);
    buffer_append(&decoder->id, value.at, value.len);
  }
  return SSE_MORE; // a comment, a retry time, a name unknown
}

SseStatus sse_feed(SseDecoder *decoder, const char *bytes, size_t len, size_t *used)
{
  SseStatus status = SSE_MORE;
  if (decoder->is_spent) {
    decoder->is_spent = false;
    forget(&decoder->data);
    forget(&decoder->event);
  }
  while (*used < len && status == SSE_MORE) {
    const char *at = bytes + *used, *end;
    if (decoder->after_cr) {
      decoder->after_cr = false;
      if (*at == '\n') {
        ++*used;
        continue;
      }
    }
    end = line_end(at, len - *used);
    if (!end) {
      if (decoder->line.len + (len - *used) > SSE_MAX_EVENT_BYTES)
        return SSE_TOO_LARGE;
      buffer_append(&decoder->line, at, len - *used);
      *used = len;
      break;
    }
    *used += (size_t)(end - at) + 1;
    decoder->after_cr = *end == '\r';
    if (decoder->line.len) {
      if (decoder->line.len + (size_t)(end - at) > SSE_MAX_EVENT_BYTES)
        return SSE_TOO_LARGE;
      buffer_append(&decoder->line, at, (size_t)(end - at));
      status = take_line(decoder, (Span){ decoder->line.bytes, decoder->line.len }, false);
      forget(&decoder->line);
    } else {
      status = take_line(decoder, (Span){ at, (size_t)(end - at) }, true);
    }
  }
  if (status != SSE_EVENT)
    keep_borrowed(decoder); // the input goes away before the event is complete
  return status;
}

void sse_free(SseDecoder *decoder)
{
  buffer_free(&decoder->line);
  buffer_free(&decoder->data);
  buffer_free(&decoder->event);
  buffer_free(&decoder->id);
  *decoder = (SseDecoder){ 0 };
}
