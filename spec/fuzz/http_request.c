// The request parser, fed whole, byte by byte and in two pieces: the requests that come out and the
// end must be the same, also when each head is passed on to another parser, and what is in them
// must be what the parser promises. Where two rules are broken at once the pieces decide which one
// is named, so of a refusal only the fact is compared.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/http/passing.h"
#include "host/http/request.h"
#include "host/http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const HttpLimits limits = {
  .target_bytes = 200,
  .head_bytes = 600,
  .header_count = 12,
  .body_bytes = 300,
  .worker_body_bytes = 250,
  .chunk_extension_bytes = 20,
};

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static bool passes;       // every request's head goes to another parser
static bool is_passed_on; // the one at hand came from another

static HeadVerdict on_head(RequestParser *parser)
{
  Span path = parser->request->path;
  if (passes && !is_passed_on)
    return HEAD_PASSED;
  return path.len >= 5 && memcmp(path.at, "/stop", 5) == 0 ? HEAD_ANSWERED : HEAD_TAKEN;
}

static void put(Buffer *out, Span span)
{
  buffer_printf(out, "%zu:", span.len);
  buffer_append(out, span.at, span.len);
}

static void check(const Request *request)
{
  uint32_t i;
  must(request->path.len > 0, "a path");
  must(request->path.at[0] == '/' || span_is(request->path, "*"), "a path starts with a slash");
  must(request->host.len == 0 || host_is_valid(request->host), "a valid host");
  must(request->host.len > 0 || request->version_minor == 0, "HTTP/1.1 has a host");
  must(request->body.len <= limits.body_bytes, "the body is within its limit");
  must(request->headers.count <= limits.header_count, "the fields are within their number");
  for (i = 0; i < request->headers.count; i++)
    must(header_is_valid(header_list_name(&request->headers, i),
                         header_list_value(&request->headers, i)),
         "valid header fields");
}

static void describe(Buffer *out, const Request *request)
{
  uint32_t i;
  buffer_printf(out, "request 1.%d ", request->version_minor);
  put(out, request->method);
  put(out, request->target);
  put(out, request->path);
  put(out, request->query);
  put(out, request->host);
  for (i = 0; i < request->headers.count; i++) {
    put(out, header_list_name(&request->headers, i));
    put(out, header_list_value(&request->headers, i));
  }
  put(out, (Span){ request->body.bytes, request->body.len });
}

// Feeds data in pieces of at most `step` bytes after a first one of `first`; describes what came.
static void run(const char *data, size_t size, size_t first, size_t step, Buffer *out)
{
  Request request = { 0 };
  BodyBudget budget = { .limit = limits.worker_body_bytes };
  RequestParser parser;
  Buffer passed = { 0 };
  size_t at = 0, used;
  ParseStatus status = PARSE_MORE;
  is_passed_on = false;
  request_parser_init(&parser, &request, &limits, &budget, on_head);
  while (at < size) {
    size_t len = at < first ? first - at : step;
    char *piece;
    if (len > size - at)
      len = size - at;
    piece = mem_bytes(data + at, len); // a block of its own, so that ASan sees its ends
    status = request_parser_feed(&parser, piece, len, &used);
    mem_free(piece);
    must(used <= len, "no more bytes are used than were given");
    must(status != PARSE_MORE || used == len, "PARSE_MORE uses all");
    at += used;
    if (status == PARSE_PASSED) {
      Buffer again = { 0 };
      passing_write_head(&request, &again);
      buffer_append(&again, data + at, size - at);
      buffer_free(&passed);
      passed = again;
      data = passed.bytes;
      size = passed.len;
      at = 0;
      is_passed_on = true;
      request_renew(&request, &budget);
      request_parser_init(&parser, &request, &limits, &budget, on_head);
    } else if (status == PARSE_COMPLETE) {
      is_passed_on = false;
      check(&request);
      describe(out, &request);
      if (!parser.keeps_alive)
        break;
      request_renew(&request, &budget);
      request_parser_init(&parser, &request, &limits, &budget, on_head);
    } else if (status != PARSE_MORE) {
      must(status == PARSE_STOPPED || parser.refusal.status >= 400, "a refusal has a status");
      break;
    }
  }
  buffer_printf(out, "end %s",
                status == PARSE_REFUSED   ? "refused"
                : status == PARSE_STOPPED ? "stopped"
                                          : "open");
  request_free(&request, &budget);
  buffer_free(&passed);
  must(budget.used == 0, "the body budget is given back");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *bytes = (const char *)data;
  Buffer whole = { 0 }, pieces = { 0 };
  size_t first;
  run(bytes, size, size, 1, &whole);
  run(bytes, size, 0, 1, &pieces);
  must(pieces.len == whole.len && memcmp(pieces.bytes, whole.bytes, whole.len) == 0,
       "byte by byte gives the same");
  passes = true;
  buffer_clear(&pieces);
  run(bytes, size, size, size, &pieces);
  must(pieces.len == whole.len && memcmp(pieces.bytes, whole.bytes, whole.len) == 0,
       "passed on gives the same");
  passes = false;
  for (first = 1; first < size && first < 5; first++) {
    buffer_clear(&pieces);
    run(bytes, size, size * first / 5, size, &pieces);
    must(pieces.len == whole.len && memcmp(pieces.bytes, whole.bytes, whole.len) == 0,
         "two pieces give the same");
  }
  buffer_free(&whole);
  buffer_free(&pieces);
  return 0;
}
