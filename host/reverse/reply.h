// An HTTP/1.1 reply, parsed as far as its consumer wants: each call goes on to the next thing worth
// telling and leaves the rest of the bytes alone. Interim (1xx) replies are skipped.
#ifndef MOONHOOK_REVERSE_REPLY_H
#define MOONHOOK_REVERSE_REPLY_H

#include <llhttp.h>
#include <stdbool.h>

#include "../base/header_list.h"

enum { REPLY_MAX_HEAD_BYTES = 64 * 1024 }; // interim heads and trailers count too

typedef enum { REPLY_TO_OTHER, REPLY_TO_HEAD, REPLY_TO_CONNECT } ReplyTo; // what was asked

typedef struct {
  llhttp_t parser;
  ReplyTo to;
  int status; // 0 until the head is complete
  bool is_complete;
  bool ends_with_connection; // its body has no length: the peer's close ends it
  bool has_started;          // any byte of it arrived
  bool in_value;
  size_t head_bytes;
  Span body;          // found by the last step
  Buffer name, value; // an unfinished header field
  HeaderList headers;
  const char *problem; // what was wrong, after REPLY_BAD
} Reply;

typedef enum {
  REPLY_MORE,     // needs more bytes
  REPLY_HEAD,     // status and headers are there; once
  REPLY_BODY,     // reply->body: a run of body bytes inside the given ones
  REPLY_COMPLETE, // from now on always; the rest of the bytes are not its
  REPLY_BAD,      // not HTTP, or over a limit; see reply->problem
} ReplyStep;

void reply_init(Reply *reply, ReplyTo to);
void reply_free(Reply *reply);
// Takes from bytes[*used..len) until there is something to tell.
ReplyStep reply_step(Reply *reply, const char *bytes, size_t len, size_t *used);
// The connection ended properly: REPLY_COMPLETE when that ends the body, else REPLY_BAD.
ReplyStep reply_end(Reply *reply);
bool reply_keeps_alive(const Reply *reply); // when complete: may the connection be used again?

#endif
