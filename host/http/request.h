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

// Reads one request, and is needed no longer than that takes.
typedef struct RequestParser {
  struct RequestParser *next; // for whoever keeps some that are not in use
  llhttp_t http;
  Request *request;         // filled; owned by whoever owns the parser
  const HttpLimits *limits; // borrowed
  BodyBudget *budget;       // borrowed
  HeadVerdict (*on_head)(struct RequestParser *parser);
  Refusal refusal;
  uint32_t target_len;  // the target's bytes lie in front of the header fields'
  uint32_t head_fed;    // bytes given to llhttp for this head, whatever they were
  uint32_t field_bytes; // of header lines, then anew of trailer lines
  uint32_t field_count;
  uint32_t extension_bytes;
  uint32_t host_field; // where the last Host field is
  uint16_t host_count, coding_count;
  bool in_head; // the head is not complete yet
  bool in_name; // of a field
  bool in_trailer;
  bool is_broken; // refused or stopped: must not be fed again
  bool is_passed; // on_head said so
  bool keeps_alive;
  bool expects_continue; // 100-continue was asked for and makes sense
  bool has_strange_expectation, has_strange_coding;
} RequestParser;

// `request` is zero-initialised or renewed; its address fields are left alone.
void request_parser_init(RequestParser *parser, Request *request, const HttpLimits *limits,
                         BodyBudget *budget, HeadVerdict (*on_head)(struct RequestParser *parser));
// `*used` tells how many bytes were taken. After another answer than PARSE_MORE not to be called
// again.
ParseStatus request_parser_feed(RequestParser *parser, const char *bytes, size_t len, size_t *used);

// Empties a Request for the next one, or for the same head once more; memory is kept if it is
// little. What its body took is given back to the budget.
void request_renew(Request *request, BodyBudget *budget);
void request_trim(Request *request);                     // between two: gives the memory back
void request_free(Request *request, BodyBudget *budget); // what it holds

#endif
