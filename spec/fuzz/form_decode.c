// Percent decoding, queries and paths: decoding what was encoded gives it back, and a decoded path
// is UTF-8 without zero bytes.
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/base/utf8.h"
#include "host/http/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static void encode(Span span, Buffer *out)
{
  size_t i;
  for (i = 0; i < span.len; i++) {
    unsigned char c = (unsigned char)span.at[i];
    if (isalnum(c))
      buffer_char(out, (char)c);
    else
      buffer_printf(out, c % 2 ? "%%%02x" : "%%%02X", c);
  }
}

static bool is_same(Span a, Span b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void check_query(Span text)
{
  HeaderList pairs = { 0 }, again = { 0 };
  Buffer encoded = { 0 };
  uint32_t i;
  form_decode_query(text, &pairs);
  for (i = 0; i < pairs.count; i++) {
    encode(header_list_name(&pairs, i), &encoded);
    buffer_char(&encoded, '=');
    encode(header_list_value(&pairs, i), &encoded);
    buffer_char(&encoded, '&');
  }
  form_decode_query((Span){ encoded.bytes, encoded.len }, &again);
  must(again.count == pairs.count, "as many pairs again");
  for (i = 0; i < pairs.count; i++) {
    must(is_same(header_list_name(&pairs, i), header_list_name(&again, i)), "the same names");
    must(is_same(header_list_value(&pairs, i), header_list_value(&again, i)), "the same values");
  }
  header_list_free(&pairs);
  header_list_free(&again);
  buffer_free(&encoded);
}

static void check_path(Span text)
{
  Buffer made = { 0 }, encoded = { 0 }, made_again = { 0 };
  Span path, again;
  Err err;
  if (form_decode_path(text, &made, &path, &err) == 0) {
    must(utf8_is_valid(path.at, path.len), "a path is UTF-8");
    must(path.len == 0 || !memchr(path.at, '\0', path.len), "a path has no zero byte");
    encode(path, &encoded);
    must(form_decode_path((Span){ encoded.bytes, encoded.len }, &made_again, &again, &err) == 0,
         "good again");
    must(is_same(path, again), "the same path");
  }
  buffer_free(&made);
  buffer_free(&encoded);
  buffer_free(&made_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *bytes = mem_bytes(data, size);
  Span text = { bytes, size };
  Form form = { 0 };
  Err err;
  check_query(text);
  check_path(text);
  form_parse(span_of("application/x-www-form-urlencoded"), text, &form, &err);
  must(form.fields.count <= FORM_MAX_PAIRS, "the number of fields is limited");
  form_free(&form);
  mem_free(bytes);
  return 0;
}
