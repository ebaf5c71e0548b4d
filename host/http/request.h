// The request parser: bytes to a Request, by llhttp with every lenient flag off plus the rules that
// llhttp leaves to its host. No sockets: whoever has the bytes feeds them.
#ifndef MOONHOOK_HTTP_REQUEST_H
#define MOONHOOK_HTTP_REQUEST_H

#include <llhttp.h>
#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "server.h"

typedef enum {
  PARSE_MORE,     // every byte was used
  PARSE_COMPLETE, // the request is complete; the bytes behind it were not touched
  PARSE_STOPPED,  // on_head wants no body, but one was announced: nothing behind it can be read
  PARSE_PASSED,   // on_head said HEAD_PASSED; the bytes behind the head were not touched
  PARSE_REFUSED,  // parser->refusal says why; nothing behind it can be read
} ParseStatus;

// Why a request is refused by the server itself; the texts are constants.
typedef struct {
  int status;
  const char *code, *message;
} Refusal;

// What becomes of a request whose head is complete and good.
typedef enum {
  HEAD_TAKEN,    // its body is read
  HEAD_ANSWERED, // no body is wanted
  HEAD_PASSED,   // another parser reads it, from the head on
} HeadVerdict;

typedef struct RequestParser {
  llhttp_t http;
  Request *request;         // filled; owned by whoever owns the parser
  const HttpLimits *limits; // borrowed
  BodyBudget *budget;       // borrowed
  HeadVerdict (*on_head)(struct RequestParser *parser);
  Refusal refusal;
  uint64_t budget_bytes; // taken for the body so far
  uint32_t target_len;   // the target's bytes lie in front of the header fields'
  uint32_t head_fed;     // bytes given to llhttp for this head, whatever they were
  uint32_t field_bytes;  // of header lines, then anew of trailer lines
  uint32_t field_count;
  uint32_t extension_bytes;
  uint32_t host_field; // where the last Host field is
  uint16_t host_count, coding_count;
  bool in_head; // the head is not complete yet
  bool in_name; // of a field
  bool in_trailer;
  bool is_broken; // refused or stopped: must not be fed again
  bool is_passed; // on_head said so: request_parser_again is due
  bool keeps_alive;
  bool expects_continue; // 100-continue was asked for and makes sense
  bool has_strange_expectation, has_strange_coding;
} RequestParser;

// `request` is zero-initialised; its address fields are left alone. Set on_head afterwards.
void request_parser_init(RequestParser *parser, Request *request, const HttpLimits *limits,
                         BodyBudget *budget);
// `*used` tells how many bytes were taken. After PARSE_COMPLETE call request_parser_next first.
ParseStatus request_parser_feed(RequestParser *parser, const char *bytes, size_t len, size_t *used);
// Ready for the next request: the Request is emptied, its memory kept if it is small.
void request_parser_next(RequestParser *parser);
void request_parser_again(RequestParser *parser); // after PARSE_PASSED, to read the same head
void request_parser_trim(RequestParser *parser);  // between requests: gives the memory back
void request_parser_free(RequestParser *parser);  // what the parser and the Request hold

#endif
