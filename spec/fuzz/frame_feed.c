// The frame decoder against a slow one written from the format's words, and against itself with the
// same bytes whole, one by one and in pieces: frames and verdict must be the same.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/reverse/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Each frame as its length and its data; then the problem, if any.
static void note(Buffer *out, Span data)
{
  buffer_printf(out, "%zu:", data.len);
  buffer_append(out, data.at, data.len);
}

// Feeds pieces of `step` bytes, each in a block of its own size, so that a read behind its end
// shows.
static void decode(const char *bytes, size_t len, size_t step, Buffer *out)
{
  FrameDecoder decoder = { 0 };
  FrameStatus status = FRAME_MORE;
  size_t at;
  for (at = 0; at < len && status != FRAME_BAD; at += step) {
    size_t used = 0, n = len - at < step ? len - at : step;
    char *piece = mem_alloc(n);
    memcpy(piece, bytes + at, n);
    while ((status = frame_feed(&decoder, piece, n, &used)) == FRAME_DONE)
      note(out, decoder.out);
    if (status == FRAME_MORE && used != n)
      abort();
    if (decoder.data.cap > 64 + 2 * len) // what was announced is not allocated
      abort();
    mem_free(piece);
  }
  if (status == FRAME_BAD || !frame_end(&decoder))
    buffer_string(out, decoder.problem);
  frame_free(&decoder);
}

static size_t number(const uint8_t *bytes, size_t count)
{
  size_t value = 0, i;
  for (i = 0; i < count; i++)
    value += (size_t)bytes[i] << 8 * i;
  return value;
}

static void decode_slowly(const uint8_t *bytes, size_t len, Buffer *out)
{
  size_t at = 0, left, n;
  for (; at < len; at += 14 + n) {
    left = len - at;
    n = left >= 8 ? number(bytes + at + 4, 4) : 0;
    if (bytes[at] != 0x0f) {
      buffer_printf(out, "frame_magic: magic number mismatch: %u", bytes[at]);
      return;
    } else if (left >= 4 && number(bytes + at + 2, 2) != 10) {
      buffer_printf(out, "frame_header: header length mismatch: %zu", number(bytes + at + 2, 2));
      return;
    } else if (n > 31457280) {
      buffer_printf(out, "frame_too_large: data length is too long: %zu", n);
      return;
    } else if (left < 14 + n) {
      buffer_printf(out, "frame_truncated: failed to read %s",
                    left < 4    ? "system header"
                    : left < 14 ? "header"
                                : "data");
      return;
    }
    note(out, (Span){ (const char *)bytes + at + 14, n });
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  size_t steps[] = { size ? size : 1, 1, 2, 3, 7, 13, size / 2 + 1 };
  Buffer expected = { 0 };
  size_t i;
  decode_slowly(data, size, &expected);
  for (i = 0; i < sizeof steps / sizeof *steps; i++) {
    Buffer found = { 0 };
    decode((const char *)data, size, steps[i], &found);
    if (found.len != expected.len ||
        (found.len && memcmp(found.bytes, expected.bytes, found.len) != 0)) {
      fprintf(stderr, "pieces of %zu bytes give other frames\n", steps[i]);
      abort();
    }
    buffer_free(&found);
  }
  buffer_free(&expected);
  return 0;
}
