// The response parser with the same bytes whole, one by one and in pieces: status, headers, body,
// end and what is left over must be the same. The first byte says what was asked: HEAD, CONNECT,
// other.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/reverse/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
  ResponseStep verdict;
  size_t used;
  int status;
  bool keeps_alive;
  Buffer text; // headers and body
} Outcome;

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static void note_head(Outcome *outcome, const Response *response)
{
  uint32_t i;
  must(outcome->status == 0, "one head");
  must(response->status >= 200 && response->status <= 599, "a final status");
  outcome->status = response->status;
  for (i = 0; i < response->headers.count; i++) {
    Span name = header_list_name(&response->headers, i);
    Span value = header_list_value(&response->headers, i);
    must(name.len > 0, "a name");
    must(!memchr(value.at, '\n', value.len) && !memchr(value.at, '\r', value.len), "one line");
    buffer_append(&outcome->text, name.at, name.len);
    buffer_char(&outcome->text, ':');
    buffer_append(&outcome->text, value.at, value.len);
    buffer_char(&outcome->text, '\n');
  }
}

static Outcome parse(const char *bytes, size_t len, size_t step, ResponseTo to)
{
  Outcome outcome = { 0 };
  Response response;
  size_t at = 0;
  response_init(&response, to);
  do {
    size_t used = 0, n = len - at < step ? len - at : step, steps = 0;
    char *piece = mem_alloc(n);
    memcpy(piece, bytes + at, n);
    for (;;) {
      must(++steps < 4 * n + 8, "progress");
      outcome.verdict = response_step(&response, piece, n, &used);
      must(used <= n, "no more used than given");
      if (outcome.verdict == RESPONSE_HEAD) {
        note_head(&outcome, &response);
      } else if (outcome.verdict == RESPONSE_BODY) {
        must(response.body.len > 0, "some body");
        buffer_append(&outcome.text, response.body.at, response.body.len);
      } else if (outcome.verdict != RESPONSE_MORE || used == n) {
        break;
      }
    }
    at += used;
    mem_free(piece);
  } while (outcome.verdict == RESPONSE_MORE && at < len);
  if (outcome.verdict == RESPONSE_MORE)
    outcome.verdict =
        response_end(&response) == RESPONSE_COMPLETE ? RESPONSE_COMPLETE : RESPONSE_MORE;
  outcome.used = at;
  outcome.keeps_alive = response_keeps_alive(&response);
  response_free(&response);
  return outcome;
}

static void compare(const Outcome *a, const Outcome *b)
{
  must(a->verdict == b->verdict, "the same verdict");
  if (a->verdict == RESPONSE_BAD)
    return; // how far it came before that may differ
  must(a->used == b->used, "the same length");
  must(a->status == b->status, "the same status");
  must(a->keeps_alive == b->keeps_alive, "the same fate of the connection");
  must(a->text.len == b->text.len &&
           (a->text.len == 0 || memcmp(a->text.bytes, b->text.bytes, a->text.len) == 0),
       "the same headers and body");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  size_t len = size ? size - 1 : 0, i;
  const char *bytes = (const char *)data + (size - len);
  ResponseTo to = size ? (ResponseTo)(data[0] % 3) : RESPONSE_TO_OTHER;
  size_t steps[] = { 1, 2, 5, len / 2 + 1 };
  Outcome whole = parse(bytes, len, len ? len : 1, to);
  for (i = 0; i < sizeof steps / sizeof *steps; i++) {
    Outcome split = parse(bytes, len, steps[i], to);
    compare(&whole, &split);
    buffer_free(&split.text);
  }
  buffer_free(&whole.text);
  return 0;
}
