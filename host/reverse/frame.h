// Dify's frames, in which its inner API streams: a head of 14 bytes (magic 0x0f, a reserved byte,
// the length of the rest of the head, the length of the data; little endian), then the data. Bytes
// in, data out; any split of the bytes gives the same frames. Reserved bytes are not looked at.
#ifndef MOONHOOK_REVERSE_FRAME_H
#define MOONHOOK_REVERSE_FRAME_H

#include <stdbool.h>

#include "../base/buffer.h"

enum { FRAME_HEAD_BYTES = 14, FRAME_MAX_BYTES = 30 * 1024 * 1024 };

// Start with `FrameDecoder decoder = { 0 };`.
typedef struct {
  unsigned char head[FRAME_HEAD_BYTES];
  size_t head_len;
  size_t data_len; // once the head is complete
  Buffer data;     // of an unfinished frame; grows with what arrives, not by what was announced
  bool is_spent;   // the last call gave a frame; what it was made of is to be forgotten
  Span out;        // the last complete frame's data
  char problem[64];
} FrameDecoder;

typedef enum { FRAME_MORE, FRAME_DONE, FRAME_BAD } FrameStatus;

// Takes from bytes[*used..len) until a frame is complete or the bytes are used up. The data is in
// out: borrowed, from `bytes` or from the decoder, valid until the next call as long as `bytes`
// stay; it may be empty. FRAME_BAD is final: `problem` says what was wrong, its exact code first:
// frame_magic, frame_header, frame_too_large.
FrameStatus frame_feed(FrameDecoder *decoder, const char *bytes, size_t len, size_t *used);
// The bytes are over. False: inside a frame; `problem` begins with frame_truncated.
bool frame_end(FrameDecoder *decoder);
void frame_free(FrameDecoder *decoder);

#endif
