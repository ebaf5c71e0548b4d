// See decoder.h.
#include "decoder.h"

void decoder_init(Decoder *decoder, BodyDecoder kind, size_t max_bytes)
{
  decoder->kind = kind;
  decoder->max_bytes = max_bytes;
}

void decoder_free(Decoder *decoder)
{
  if (decoder->kind == BODY_SSE)
    sse_free(&decoder->sse);
  else if (decoder->kind == BODY_FRAMES)
    frame_free(&decoder->frame);
  buffer_free(&decoder->whole);
}

size_t decoder_held_bytes(const Decoder *decoder)
{
  size_t bytes = decoder->whole.len;
  if (decoder->kind == BODY_SSE)
    bytes += decoder->sse.line.len + decoder->sse.data.len;
  else if (decoder->kind == BODY_FRAMES)
    bytes += decoder->frame.data.len;
  return bytes;
}

static DecodeStatus feed_events(Decoder *decoder, Span *body, Span *piece, const char **problem)
{
  size_t used = 0;
  SseStatus status = sse_feed(&decoder->sse, body->at, body->len, &used);
  *body = (Span){ body->at + used, body->len - used };
  if (status == SSE_TOO_LARGE) {
    *problem = "event_too_large: an event of more than 1 MiB";
    return DECODE_BAD;
  }
  *piece = decoder->sse.out_data;
  return status == SSE_EVENT ? DECODE_PIECE : DECODE_MORE;
}

static DecodeStatus feed_frames(Decoder *decoder, Span *body, Span *piece, const char **problem)
{
  size_t used = 0;
  FrameStatus status = frame_feed(&decoder->frame, body->at, body->len, &used);
  *body = (Span){ body->at + used, body->len - used };
  if (status == FRAME_BAD) {
    *problem = decoder->frame.problem;
    return DECODE_BAD;
  }
  *piece = decoder->frame.out;
  return status == FRAME_DONE ? DECODE_PIECE : DECODE_MORE;
}

static DecodeStatus feed_whole(Decoder *decoder, Span *body, const char **problem)
{
  if (body->len > decoder->max_bytes - decoder->whole.len) {
    *problem = "upstream_protocol: a body that is too large";
    return DECODE_BAD;
  }
  buffer_append(&decoder->whole, body->at, body->len);
  body->len = 0;
  return DECODE_MORE;
}

DecodeStatus decoder_feed(Decoder *decoder, Span *body, Span *piece, const char **problem)
{
  switch (decoder->kind) {
  case BODY_SSE:
    return feed_events(decoder, body, piece, problem);
  case BODY_FRAMES:
    return feed_frames(decoder, body, piece, problem);
  case BODY_WHOLE:
    return feed_whole(decoder, body, problem);
  default:
    *piece = *body;
    body->len = 0;
    return DECODE_PIECE;
  }
}

DecodeStatus decoder_end(Decoder *decoder, Span *piece, const char **problem)
{
  if (decoder->kind == BODY_FRAMES && !frame_end(&decoder->frame)) {
    *problem = decoder->frame.problem;
    return DECODE_BAD;
  }
  if (decoder->kind != BODY_WHOLE || decoder->has_piece)
    return DECODE_MORE;
  decoder->has_piece = true;
  *piece = (Span){ decoder->whole.len ? decoder->whole.bytes : "", decoder->whole.len };
  return DECODE_PIECE;
}
