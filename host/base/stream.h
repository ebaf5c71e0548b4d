// A stream: what a reverse call, a local app and an upload have in common. It is pulled: whoever
// owns the stream reads the next piece when it has room for it. Not reading is pausing: a producer
// keeps at most a bounded amount ready and stops its own source until it is read. Closing before
// the end cancels: the source is stopped at once (a socket is closed, a task cancelled).
#ifndef MOONHOOK_BASE_STREAM_H
#define MOONHOOK_BASE_STREAM_H

#include "buffer.h"
#include "charge.h"

enum { STREAM_MESSAGE_BYTES = 320 };

typedef struct Stream Stream;

typedef enum {
  STREAM_PIECE, // `piece` is the next one: an event's data, a frame, some bytes, or a whole body
  STREAM_WAIT,  // nothing yet; on_ready will be called once
  STREAM_END,   // complete
  STREAM_ERROR, // broken; stream->error says why
} StreamStatus;

// A failure with a stable code ("upstream_error", "upstream_timeout", "cancelled" ...), the same
// codes that plugins see in an Error.
typedef struct {
  char code[40];
  char *message;     // below STREAM_MESSAGE_BYTES; the stream's; NULL while it has not failed
  int retry_after_s; // -1 when unknown
} StreamError;

typedef struct {
  // Waits for the answer's status without consuming a piece. STREAM_PIECE: *status is set (HTTP
  // status; a local source says 200). NULL means: always 200.
  StreamStatus (*head)(Stream *stream, int *status);
  StreamStatus (*read)(Stream *stream, Span *piece); // the piece is borrowed until the next call
  void (*close)(Stream *stream);                     // cancels if needed; frees the stream
} StreamClass;

struct Stream {
  const StreamClass *class;
  // Called once after STREAM_WAIT, when reading again may give something. It may come from a libuv
  // callback: the owner must not resume a task in it. It must not close the stream in it either.
  void (*on_ready)(Stream *stream);
  void *owner; // for on_ready
  // What the stream keeps in memory: told by its class, charged to whom the owner says, returned
  // when it is closed.
  Charge charge;
  StreamError error;
};

// For the class, when it frees a stream: what is the stream's own goes.
void stream_over(Stream *stream);
// Fills stream->error; always returns STREAM_ERROR.
StreamStatus stream_fail(Stream *stream, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
