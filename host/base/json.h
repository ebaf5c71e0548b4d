// JSON text, byte by byte: strict checking, strings, numbers. Pure functions over memory; nothing
// here knows Lua.
#ifndef MOONHOOK_BASE_JSON_H
#define MOONHOOK_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"

enum {
  JSON_MAX_DEPTH = 128,
  JSON_MAX_BYTES = 32 * 1024 * 1024,
  JSON_NUMBER_BYTES = 32,
  JSON_COUNTED_TABLES = 64,
  JSON_IS_LITTLE = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
};

typedef struct {
  size_t escapes; // backslashes that begin one
  size_t tables;  // arrays and objects
  size_t values;  // items and members of them all
  // Of each of the first tables, in the order of their opening brackets: items or members.
  uint32_t sizes[JSON_COUNTED_TABLES];
} JsonFacts;

// Checks a whole document by RFC 8259, and that it is UTF-8, not deeper than JSON_MAX_DEPTH, not
// longer than JSON_MAX_BYTES, and that its numbers fit a double. Returns 0, or UV_EINVAL and
// "line 3, column 5: expected ',' or '}', got 'x'".
int json_scan(const char *text, size_t len, JsonFacts *facts, Err *err);

enum { JSON_MAX_WANTED = 4 };

// Members of the outermost object whose values are wanted while it is checked.
typedef struct {
  Span names[JSON_MAX_WANTED];  // `at` is NULL behind the last
  Span values[JSON_MAX_WANTED]; // without quotes; `at` is NULL where there is no string
  int plain_values;             // the values of the first ones shall have no escapes
  bool is_odd;         // a name of that object, or one of those values, has one: nothing is known
  bool has_line_break; // between two tokens somewhere
} JsonWanted;

int json_scan_for(const char *text, size_t len, JsonFacts *facts, JsonWanted *wanted, Err *err);

// Up to eight bytes in a word, with spaces behind them; `len` is above 0.
static inline uint64_t json_load(const char *from, size_t len)
{
  uint64_t word = ~(uint64_t)0 / 255 * ' ';
  if (len >= 8) {
    memcpy(&word, from, 8);
  } else if (!JSON_IS_LITTLE) {
    memcpy(&word, from, len);
  } else if (len >= 4) {
    uint32_t first, last;
    memcpy(&first, from, 4);
    memcpy(&last, from + len - 4, 4);
    word = word << 8 * len | first | (uint64_t)last << 8 * (len - 4);
  } else {
    word = word << 8 * len | (unsigned char)from[0] |
           (uint64_t)(unsigned char)from[len / 2] << 8 * (len / 2) |
           (uint64_t)(unsigned char)from[len - 1] << 8 * (len - 1);
  }
  return word;
}

// The top bit of each byte that is a control character, a quote, a backslash, DEL or above; a
// borrow may set one more above such a byte, never clear one.
static inline uint64_t json_odd_bytes(uint64_t word)
{
  const uint64_t ones = ~(uint64_t)0 / 255;
  uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
  return (word | (word - ones * 0x20) | (word + ones) | (quote - ones) | (slash - ones)) &
         ones * 0x80;
}

// The same as json_plain_run of what is left from `i` on: less than eight bytes.
size_t json_plain_end(const char *text, size_t i, size_t len);

// How many bytes at the start of a string need nothing done: printable ASCII but `"` and `\`. May
// stop before the first that does.
static inline size_t json_plain_run(const char *text, size_t len)
{
  size_t i = 0;
  for (; len - i >= 8; i += 8) {
    uint64_t word, odd;
    memcpy(&word, text + i, 8);
    odd = json_odd_bytes(word);
    if (odd)
      return JSON_IS_LITTLE ? i + (size_t)__builtin_ctzll(odd) / 8 : i;
  }
  return i < len ? json_plain_end(text, i, len) : len;
}

// Copies what needs no escape at the start of a string, at most `len` bytes; returns how many.
// There must be room for seven bytes more.
static inline size_t json_copy_plain(char *to, const char *from, size_t len)
{
  size_t i = 0;
  for (; i < len; i += 8) {
    uint64_t word;
    if (len - i < 8 && len >= 8)
      i = len - 8; // some of them once more
    word = json_load(from + i, len - i);
    if (json_odd_bytes(word))
      break;
    memcpy(to + i, &word, 8);
  }
  if (i >= len)
    return len;
  while (i < len && (unsigned char)(from[i] - 0x20) < 0x5f && from[i] != '"' && from[i] != '\\') {
    to[i] = from[i];
    i++;
  }
  return i;
}

// Writes the shortest decimal that reads back as the same finite number, where 15 digits suffice,
// or one of 16 or 17 digits; whole numbers up to 2^53 without an exponent. A NUL follows. Returns
// its length.
size_t json_write_number(char out[JSON_NUMBER_BYTES], double number);

#endif
