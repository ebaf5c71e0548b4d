// An HTTP/1.1 response, parsed as far as its consumer wants: each call goes on to the next thing
// worth telling and leaves the rest of the bytes alone. Interim (1xx) replies are skipped.
#ifndef MOONHOOK_REVERSE_RESPONSE_H
#define MOONHOOK_REVERSE_RESPONSE_H

#include <llhttp.h>
#include <stdbool.h>

#include "../base/header_list.h"

enum { RESPONSE_MAX_HEAD_BYTES = 64 * 1024 }; // interim heads and trailers count too

typedef enum {
  RESPONSE_TO_OTHER,
  RESPONSE_TO_HEAD,
  RESPONSE_TO_CONNECT
} ResponseTo; // what was asked

typedef struct {
  llhttp_t parser;
  ResponseTo to;
  int status; // 0 until the head is complete
  bool is_complete;
  bool ends_with_connection; // its body has no length: the peer's close ends it
  bool has_started;          // any byte of it arrived
  bool in_value;
  size_t head_bytes;
  Span body;          // found by the last step
  Buffer name, value; // an unfinished header field
  HeaderList headers;
  const char *problem; // what was wrong, after RESPONSE_BAD
} Response;

typedef enum {
  RESPONSE_MORE,     // needs more bytes
  RESPONSE_HEAD,     // status and headers are there; once
  RESPONSE_BODY,     // response->body: a run of body bytes inside the given ones
  RESPONSE_COMPLETE, // from now on always; the rest of the bytes are not its
  RESPONSE_BAD,      // not HTTP, or over a limit; see response->problem
} ResponseStep;

void response_init(Response *response, ResponseTo to);
void response_free(Response *response);
// Takes from bytes[*used..len) until there is something to tell.
ResponseStep response_step(Response *response, const char *bytes, size_t len, size_t *used);
// The connection ended properly: RESPONSE_COMPLETE when that ends the body, else RESPONSE_BAD.
ResponseStep response_end(Response *response);
bool response_keeps_alive(
    const Response *response); // when complete: may the connection be used again?

#endif
