// Looking at eight bytes at a time, for checks that run over every request.
#ifndef MOONHOOK_HTTP_SCAN_H
#define MOONHOOK_HTTP_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"

#define SCAN_ONES 0x0101010101010101u
#define SCAN_HIGHS 0x8080808080808080u

// Eight bytes from `i` on; behind the end stands 'a', which every check lets pass.
static inline uint64_t scan_word(Span span, size_t i)
{
  uint64_t word = SCAN_ONES * 'a';
  if (span.len - i >= 8)
    memcpy(&word, span.at + i, 8);
  else
    memcpy(&word, span.at + i, span.len - i);
  return word;
}

// Is any of the bytes below `limit` (at most 0x80)?
static inline bool scan_has_below(uint64_t word, unsigned char limit)
{
  return ((word - SCAN_ONES * limit) & ~word & SCAN_HIGHS) != 0;
}

static inline bool scan_has(uint64_t word, unsigned char byte)
{
  return scan_has_below(word ^ SCAN_ONES * byte, 1);
}

#endif
