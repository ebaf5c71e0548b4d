// See json.h; the checker is in json_scan.c.
#include "json.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "utf8.h"

// What a byte means inside a string.
typedef enum { PLAIN, BACKSLASHED, SLASH, LETTERED, LONG_ESCAPE, HIGH } StringClass;

static inline StringClass string_class(unsigned char c)
{
  if (c >= 0x80)
    return HIGH;
  if (c < 0x20)
    return c == '\b' || c == '\t' || c == '\n' || c == '\f' || c == '\r' ? LETTERED : LONG_ESCAPE;
  if (c == '"' || c == '\\')
    return BACKSLASHED;
  if (c == '/')
    return SLASH;
  return c == 0x7f ? LONG_ESCAPE : PLAIN;
}

// --- splices -------------------------------------------------------------------------------------

// Copies with `\/` as `/`. `text` never ends in the middle of an escape.
static size_t copy_plain_slashes(char *out, const char *text, size_t len)
{
  size_t written = 0, at = 0;
  while (at < len) {
    const char *found = memchr(text + at, '\\', len - at);
    size_t stop = found ? (size_t)(found - text) : len;
    memcpy(out + written, text + at, stop - at);
    written += stop - at;
    at = stop;
    if (!found)
      break;
    if (at + 1 >= len || text[at + 1] != '/')
      out[written++] = '\\';
    if (at + 1 < len)
      out[written++] = text[at + 1];
    at += 2;
  }
  return written;
}

// The number behind a mark, or `none`.
static size_t splice_index(const char *digits, size_t none)
{
  size_t index = 0;
  for (int i = 0; i < JSON_INDEX_LEN; i++) {
    char c = digits[i];
    if (c >= '0' && c <= '9')
      index = index * 16 + (size_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      index = index * 16 + (size_t)(c - 'a' + 10);
    else
      return none;
  }
  return index;
}

size_t json_splice(char *out, const char *text, size_t len, const char *mark, const Span *raw,
                   size_t raw_count)
{
  enum { WHOLE = JSON_MARK_LEN + JSON_INDEX_LEN + 2 }; // with both quotes
  size_t at = 0, copied = 0, written = 0;
  while (raw_count > 0 && at < len) {
    const char *found = memmem(text + at, len - at, mark, JSON_MARK_LEN);
    size_t start, index;
    if (!found)
      break;
    at = (size_t)(found - text) + JSON_MARK_LEN;
    if (at - JSON_MARK_LEN == copied)
      continue; // no room for its quote
    start = at - JSON_MARK_LEN - 1;
    if (len - start < WHOLE || text[start] != '"' || text[start + WHOLE - 1] != '"')
      continue;
    index = splice_index(text + at, raw_count);
    if (index >= raw_count)
      continue;
    written += copy_plain_slashes(out + written, text + copied, start - copied);
    if (raw[index].len)
      memcpy(out + written, raw[index].at, raw[index].len);
    written += raw[index].len;
    copied = at = start + WHOLE;
  }
  return written + copy_plain_slashes(out + written, text + copied, len - copied);
}

// --- strings and numbers -------------------------------------------------------------------------

JsonStringFacts json_measure_string(const char *text, size_t len)
{
  JsonStringFacts facts = { len + 2, true, false };
  size_t i = 0, n;
  while (i < len) {
    i += json_plain_run(text + i, len - i);
    while (i < len && string_class((unsigned char)text[i]) == PLAIN)
      i++;
    if (i == len)
      break;
    switch (string_class((unsigned char)text[i])) {
    case HIGH:
      n = utf8_length(text + i, len - i);
      if (n == 0) {
        facts.is_utf8 = false;
        facts.bytes += 2; // U+FFFD
        n = 1;
      }
      i += n;
      break;
    case SLASH:
      facts.has_slash = true;
      i++;
      break;
    case LONG_ESCAPE:
      facts.bytes += 5;
      i++;
      break;
    default:
      facts.bytes++;
      i++;
    }
  }
  return facts;
}

size_t json_write_string(char *out, const char *text, size_t len)
{
  static const char letters[] = "btn?fr"; // from 8 on
  size_t i = 0, n, written = 0;
  out[written++] = '"';
  while (i < len) {
    unsigned char c = (unsigned char)text[i];
    n = 1;
    switch (string_class(c)) {
    case BACKSLASHED:
      out[written++] = '\\';
      out[written++] = (char)c;
      break;
    case LETTERED:
      out[written++] = '\\';
      out[written++] = letters[c - 8];
      break;
    case LONG_ESCAPE:
      memcpy(out + written, "\\u00", 4);
      out[written + 4] = "0123456789abcdef"[c >> 4];
      out[written + 5] = "0123456789abcdef"[c & 15];
      written += 6;
      break;
    case HIGH:
      n = utf8_length(text + i, len - i);
      memcpy(out + written, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
      written += n ? n : 3;
      n = n ? n : 1;
      break;
    default:
      out[written++] = (char)c;
    }
    i += n;
  }
  out[written++] = '"';
  return written;
}

bool json_number_is_short(double number)
{
  // Powers of ten up to 1e22 are exact, so a whole number below 1e14 divided by one of them is the
  // double nearest to that decimal: then 14 digits say it.
  static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
  double size = fabs(number), whole;
  int exponent, shift;
  if (size < 1e14 && size == floor(size))
    return true;
  if (size >= 1e14 || size < 1e-8)
    return false;
  frexp(size, &exponent);                      // size < 2^exponent
  shift = 13 - (int)floor(exponent * 0.30103); // so that size * 10^shift < 1e14
  shift = shift < 0 ? 0 : shift > 22 ? 22 : shift;
  if (shift < 22 && size * powers[shift] < 1e13)
    shift++;
  whole = rint(size * powers[shift]);
  return whole < 1e14 && whole / powers[shift] == size;
}

size_t json_write_number(char out[JSON_NUMBER_BYTES], double number)
{
  int len;
  if (number == floor(number) && fabs(number) <= 9007199254740992.0)
    return (size_t)snprintf(out, JSON_NUMBER_BYTES, "%.0f", number);
  len = snprintf(out, JSON_NUMBER_BYTES, "%.16g", number);
  if (strtod(out, NULL) != number)
    len = snprintf(out, JSON_NUMBER_BYTES, "%.17g", number);
  return (size_t)len;
}
