// See frame.h. A frame that lies whole in the input, as nearly all do, is handed out without a
// copy. Each field of the head is judged as soon as it is there.
#include "frame.h"

#include <stdio.h>

#include "../base/fast_paths.h"

enum {
  MAGIC = 0x0f,
  HEADER_LENGTH = FRAME_HEAD_BYTES - 4,
  SYSTEM_HEADER_BYTES = 4, // magic, reserved, header length
  KEEP_BYTES = 4096,       // a larger buffer is given back as soon as it is not needed
};

static uint32_t little_endian(const unsigned char *bytes, int count)
{
  uint32_t value = 0;
  while (count-- > 0)
    value = value << 8 | bytes[count];
  return value;
}

// Judges what is there of the head. False: `problem` is set.
static bool head_is_good(FrameDecoder *decoder)
{
  const unsigned char *head = decoder->head;
  uint32_t header, data;
  if (decoder->head_len >= 1 && head[0] != MAGIC) {
    snprintf(decoder->problem, sizeof decoder->problem, "frame_magic: magic number mismatch: %u",
             head[0]);
    return false;
  }
  header = decoder->head_len >= 4 ? little_endian(head + 2, 2) : HEADER_LENGTH;
  if (header != HEADER_LENGTH) {
    snprintf(decoder->problem, sizeof decoder->problem, "frame_header: header length mismatch: %u",
             header);
    return false;
  }
  data = decoder->head_len >= 8 ? little_endian(head + 4, 4) : 0;
  if (data > FRAME_MAX_BYTES) {
    snprintf(decoder->problem, sizeof decoder->problem,
             "frame_too_large: data length is too long: %u", data);
    return false;
  }
  decoder->data_len = data;
  return true;
}

static void forget(FrameDecoder *decoder)
{
  decoder->is_spent = false;
  decoder->head_len = 0;
  if (decoder->data.cap > KEEP_BYTES)
    buffer_free(&decoder->data);
  else if (decoder->data.len)
    buffer_clear(&decoder->data);
}

FrameStatus frame_feed(FrameDecoder *decoder, const char *bytes, size_t len, size_t *used)
{
  size_t n;
  if (decoder->is_spent)
    forget(decoder);
  if (decoder->head_len < FRAME_HEAD_BYTES) {
    n = FRAME_HEAD_BYTES - decoder->head_len;
    n = len - *used < n ? len - *used : n;
    if (n)
      memcpy(decoder->head + decoder->head_len, bytes + *used, n);
    decoder->head_len += n;
    *used += n;
    if (!head_is_good(decoder))
      return FRAME_BAD;
    if (decoder->head_len < FRAME_HEAD_BYTES)
      return FRAME_MORE;
  }
  n = decoder->data_len - decoder->data.len;
  if (len - *used >= n && decoder->data.len == 0 && (n == 0 || fast_paths_are_on())) {
    decoder->out = (Span){ n ? bytes + *used : "", n };
  } else {
    n = len - *used < n ? len - *used : n;
    buffer_append(&decoder->data, bytes + *used, n);
    if (decoder->data.len < decoder->data_len) {
      *used += n;
      return FRAME_MORE;
    }
    decoder->out = (Span){ decoder->data.bytes, decoder->data.len };
  }
  *used += n;
  decoder->is_spent = true;
  return FRAME_DONE;
}

bool frame_end(FrameDecoder *decoder)
{
  const char *part = "data";
  if (decoder->is_spent || decoder->head_len == 0)
    return true;
  if (decoder->head_len < SYSTEM_HEADER_BYTES)
    part = "system header";
  else if (decoder->head_len < FRAME_HEAD_BYTES)
    part = "header";
  snprintf(decoder->problem, sizeof decoder->problem, "frame_truncated: failed to read %s", part);
  return false;
}

void frame_free(FrameDecoder *decoder)
{
  buffer_free(&decoder->data);
  *decoder = (FrameDecoder){ 0 };
}
