// JSON text, byte by byte: strict checking, and the splices by which script/bind_json.c says what
// lua-cjson cannot. Pure functions over memory; nothing here knows Lua.
//
// A splice is a string that stands in a document for something else. It carries a mark of random
// characters that no document holds by chance: in encoding, `"MARK0000002a"` (quotes included) is
// replaced by raw text number 0x2a.
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
  JSON_MARK_LEN = 26, // characters of [a-z2-7]
  JSON_INDEX_LEN = 8, // hexadecimal digits after the mark
  JSON_NUMBER_BYTES = 32,
  JSON_COUNTED_TABLES = 64,
  JSON_IS_LITTLE = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
};

typedef struct {
  size_t escapes; // backslashes that begin one
  size_t tables;  // arrays and objects
  // Of each of the first tables, in the order of their opening brackets: items or members.
  uint32_t sizes[JSON_COUNTED_TABLES];
} JsonFacts;

// Checks a whole document by RFC 8259, and that it is UTF-8, not deeper than JSON_MAX_DEPTH, not
// longer than JSON_MAX_BYTES, and that its numbers fit a double. Returns 0, or UV_EINVAL and
// "line 3, column 5: expected ',' or '}', got 'x'".
int json_scan(const char *text, size_t len, JsonFacts *facts, Err *err);

// Copies a valid document, each marked string replaced by the raw text of its number, and `\/` as
// `/`. `out` holds at least len and all raw texts. Returns how many bytes were written.
size_t json_splice(char *out, const char *text, size_t len, const char *mark, const Span *raw,
                   size_t raw_count);

// How many bytes at the start of a string need nothing done: printable ASCII but `"`, `\`, `/`.
// May stop before the first that does.
static inline size_t json_plain_run(const char *text, size_t len)
{
  const uint64_t ones = ~(uint64_t)0 / 255, tops = ones * 0x80;
  size_t i = 0;
  for (; i + 8 <= len; i += 8) {
    uint64_t bytes, found;
    memcpy(&bytes, text + i, 8);
    // The top bit of a byte is set where the byte is zero in one of the differences, or is below
    // 0x20, or has its own top bit set. A borrow may set one more above it, never one less.
    found = bytes | (bytes - ones * 0x20);
    found |= (bytes ^ ones * '"') - ones;
    found |= (bytes ^ ones * '\\') - ones;
    found |= (bytes ^ ones * '/') - ones;
    found |= (bytes ^ ones * 0x7f) - ones;
    if (found & tops)
      return JSON_IS_LITTLE ? i + (size_t)__builtin_ctzll(found & tops) / 8 : i;
  }
  return i;
}

typedef struct {
  size_t bytes; // as JSON, quotes included
  bool is_utf8;
  bool has_slash;
} JsonStringFacts;

JsonStringFacts json_measure_string(const char *text, size_t len);
// Writes a string with its quotes; what is not UTF-8 becomes U+FFFD. `out` holds 6 * len + 2 bytes.
size_t json_write_string(char *out, const char *text, size_t len);

// Whether 14 significant digits without an exponent say this (finite) number.
bool json_number_is_short(double number);
// Writes a text of 16 or, where needed, 17 digits that reads back as the same finite number; whole
// numbers up to 2^53 without an exponent. Returns its length.
size_t json_write_number(char out[JSON_NUMBER_BYTES], double number);

#endif
