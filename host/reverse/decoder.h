// From the bytes of a reply's body to pieces, in the ways of BodyDecoder.
#ifndef MOONHOOK_REVERSE_DECODER_H
#define MOONHOOK_REVERSE_DECODER_H

#include "backend.h"
#include "frame.h"
#include "sse.h"

typedef struct {
  BodyDecoder kind;
  size_t max_bytes; // of a whole body
  union {
    SseDecoder sse;
    FrameDecoder frame;
  };
  Buffer whole;
  bool has_piece; // the whole body was given
} Decoder;

typedef enum { DECODE_MORE, DECODE_PIECE, DECODE_BAD } DecodeStatus;

void decoder_init(Decoder *decoder, BodyDecoder kind, size_t max_bytes);
void decoder_free(Decoder *decoder);
size_t decoder_held_bytes(const Decoder *decoder); // of memory
// Takes what it needs off the front of `body`. DECODE_PIECE: `piece` is borrowed, from the body or
// from the decoder, until the next call. DECODE_BAD: `*problem` says what was wrong, its exact code
// first.
DecodeStatus decoder_feed(Decoder *decoder, Span *body, Span *piece, const char **problem);
// The body is complete: what is left to be given? DECODE_MORE: nothing. DECODE_BAD: it ended in the
// middle of a piece.
DecodeStatus decoder_end(Decoder *decoder, Span *piece, const char **problem);

#endif
