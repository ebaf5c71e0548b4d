// Server-sent events as https://html.spec.whatwg.org/multipage/server-sent-events.html defines the
// stream: BOM, CR, LF and CRLF, comments, multi-line data, an incomplete last event dropped.
// Bytes in, events out; any split of the bytes gives the same events. Comments count as progress.
#ifndef MOONHOOK_REVERSE_SSE_H
#define MOONHOOK_REVERSE_SSE_H

#include <stdbool.h>

#include "../base/buffer.h"

enum { SSE_MAX_EVENT_BYTES = 1024 * 1024 };

// Start with `SseDecoder decoder = { 0 };`.
typedef struct {
  Buffer line;   // an unfinished line
  Buffer data;   // of the unfinished event, once it cannot be borrowed from the input any more
  Buffer event;  // its name
  Buffer id;     // the last one that the stream told; it stays until another comes
  Span borrowed; // the event's only data line so far, inside the bytes being fed
  bool has_data, after_cr, is_started;
  bool is_spent;            // the last call gave an event; what it was made of is to be forgotten
  Span out_data, out_event; // the last complete event
} SseDecoder;

typedef enum { SSE_MORE, SSE_EVENT, SSE_TOO_LARGE } SseStatus;

// Takes from bytes[*used..len) until an event is complete or the bytes are used up. The event's
// data and name are in out_*: borrowed, from `bytes` or from the decoder, valid until the next call
// as long as `bytes` stay. Events without data are not reported. SSE_TOO_LARGE is final: a line, or
// an event's data, is longer than SSE_MAX_EVENT_BYTES.
SseStatus sse_feed(SseDecoder *decoder, const char *bytes, size_t len, size_t *used);
void sse_free(SseDecoder *decoder);

#endif
