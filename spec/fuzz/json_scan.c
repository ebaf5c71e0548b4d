// The JSON checker, strings and numbers: nothing is read outside of the text, what the checker lets
// through is UTF-8, written strings and numbers are documents, numbers read back the same.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static void check_document(const char *text, size_t len)
{
  JsonFacts facts;
  Err err;
  if (json_scan(text, len, &facts, &err) < 0)
    must(err.text[0] != '\0', "a refusal has a text");
  else
    must(utf8_is_valid(text, len), "a document is UTF-8");
}

static void check_string(const char *text, size_t len)
{
  Buffer out = { 0 };
  JsonFacts facts;
  buffer_json_string(&out, text, len);
  must(json_scan(out.bytes, out.len, &facts, NULL) == 0, "a written string is a document");
  if (utf8_is_valid(text, len) && facts.escapes == 0)
    must(out.len == len + 2 && memcmp(out.bytes + 1, text, len) == 0, "and the same");
  buffer_free(&out);
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
  if (number == floor(number) && fabs(number) <= 9007199254740992.0)
    must(!strchr(text, 'e') && !strchr(text, '.'), "a whole number has only digits");
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
