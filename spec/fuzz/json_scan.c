// The JSON checker, the splices, strings and numbers: nothing is read outside of the text, what the
// checker lets through stays a document when it is spliced, strings and numbers read back the same.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mark[] = "abcdefghijklmnopqrstuvwxyz"; // JSON_MARK_LEN characters

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static void check_document(const char *text, size_t len)
{
  JsonFacts facts, again;
  Err err;
  Span empty = span_of("[]");
  char *spliced;
  size_t spliced_len;
  if (json_scan(text, len, &facts, &err) < 0) {
    must(err.text[0] != '\0', "a refusal has a text");
    return;
  }
  must(utf8_is_valid(text, len), "a document is UTF-8");
  spliced = mem_alloc(len + empty.len);
  spliced_len = json_splice(spliced, text, len, mark, &empty, 1);
  must(json_scan(spliced, spliced_len, &again, NULL) == 0, "a spliced document is one");
  must(again.tables >= facts.tables, "splicing takes no table away");
  mem_free(spliced);
}

static void check_string(const char *text, size_t len)
{
  char *out = mem_alloc(6 * len + 2);
  size_t written = json_write_string(out, text, len);
  JsonStringFacts measured = json_measure_string(text, len);
  JsonFacts facts;
  must(measured.bytes == written, "a string is as long as measured");
  must(measured.is_utf8 == utf8_is_valid(text, len), "UTF-8 is told");
  must(json_scan(out, written, &facts, NULL) == 0, "a written string is a document");
  mem_free(out);
}

static void check_number(const char *bytes)
{
  double number;
  char text[JSON_NUMBER_BYTES];
  JsonFacts facts;
  size_t len;
  memcpy(&number, bytes, sizeof number);
  if (!isfinite(number))
    return;
  len = json_write_number(text, number);
  must(len < sizeof text && text[len] == '\0', "a number has room");
  must(strtod(text, NULL) == number, "a number reads back");
  must(json_scan(text, len, &facts, NULL) == 0, "a written number is a document");
  if (json_number_is_short(number)) {
    snprintf(text, sizeof text, "%.14g", number);
    must(strtod(text, NULL) == number, "a short number reads back");
    must(number != floor(number) || !strchr(text, 'e'), "a short whole number has no exponent");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text = malloc(size ? size : 1); // its end is where the sanitizer looks
  if (size)
    memcpy(text, data, size);
  check_document(text, size);
  check_string(text, size);
  if (size >= sizeof(double))
    check_number(text);
  free(text);
  return 0;
}
