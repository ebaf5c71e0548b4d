// See response.h. llhttp pauses at each thing to tell; it is strict, all its lenient flags are off.
#include "response.h"

#include <string.h>

static Response *response_of(llhttp_t *parser)
{
  return parser->data;
}

static bool is_interim(const llhttp_t *parser)
{
  return parser->status_code >= 100 && parser->status_code < 200 && parser->status_code != 101;
}

static int on_message_begin(llhttp_t *parser)
{
  Response *response = response_of(parser);
  header_list_clear(&response->headers); // of an interim reply before it
  buffer_clear(&response->name);
  buffer_clear(&response->value);
  return 0;
}

static void finish_field(Response *response)
{
  if (!response->status) // trailers are not kept
    header_list_add(&response->headers, (Span){ response->name.bytes, response->name.len },
                    (Span){ response->value.bytes, response->value.len });
  buffer_clear(&response->name);
  buffer_clear(&response->value);
}

// A part of a field's name or value. Trailers are counted here, heads by response_step.
static int append(Response *response, Buffer *part, const char *at, size_t len)
{
  if (response->status && (response->head_bytes += len) > RESPONSE_MAX_HEAD_BYTES) {
    llhttp_set_error_reason(&response->parser, "trailers of more than 64 KiB");
    return HPE_USER;
  }
  buffer_append(part, at, len);
  return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
  return append(response_of(parser), &response_of(parser)->name, at, len);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
  return append(response_of(parser), &response_of(parser)->value, at, len);
}

static int on_header_value_complete(llhttp_t *parser)
{
  Response *response = response_of(parser);
  buffer_reserve(&response->value, 0);
  finish_field(response);
  return 0;
}

// 1: no body follows, whatever the headers say.
static int on_headers_complete(llhttp_t *parser)
{
  Response *response = response_of(parser);
  if (is_interim(parser))
    return 0;
  if (parser->status_code < 100 || parser->status_code > 599) {
    llhttp_set_error_reason(parser, "a status outside 100 to 599");
    return HPE_USER;
  }
  if (parser->status_code == 101) {
    llhttp_set_error_reason(parser, "an upgrade that was not asked for");
    return HPE_USER;
  }
  response->status = parser->status_code;
  response->ends_with_connection =
      response->to == RESPONSE_TO_OTHER && llhttp_message_needs_eof(parser);
  buffer_free(&response->name);
  buffer_free(&response->value);
  if (response->to == RESPONSE_TO_CONNECT && response->status < 300) {
    response->is_complete = true;
    return 2; // what follows is the tunnel's
  }
  return response->to == RESPONSE_TO_HEAD ? 1 : HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
  if (len == 0) // a run that goes on in bytes yet to come
    return 0;
  response_of(parser)->body = (Span){ at, len };
  return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
  if (is_interim(parser))
    return 0;
  response_of(parser)->is_complete = true;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
  .on_message_begin = on_message_begin,
  .on_header_field = on_header_field,
  .on_header_value = on_header_value,
  .on_header_value_complete = on_header_value_complete,
  .on_headers_complete = on_headers_complete,
  .on_body = on_body,
  .on_message_complete = on_message_complete,
};

void response_init(Response *response, ResponseTo to)
{
  *response = (Response){ .to = to };
  llhttp_init(&response->parser, HTTP_RESPONSE, &settings);
  response->parser.data = response;
}

void response_free(Response *response)
{
  header_list_free(&response->headers);
  buffer_free(&response->name);
  buffer_free(&response->value);
}

static ResponseStep bad(Response *response, const char *problem)
{
  response->problem = problem;
  return RESPONSE_BAD;
}

// Bytes of a head are counted, and never given to the parser beyond the limit. The parser is run
// even without bytes: a pause may have left it in front of something to tell.
ResponseStep response_step(Response *response, const char *bytes, size_t len, size_t *used)
{
  bool had_head = response->status != 0;
  const char *at = bytes ? bytes + *used : "";
  size_t offered = len - *used;
  llhttp_errno_t rc;
  if (response->problem)
    return RESPONSE_BAD;
  if (response->is_complete)
    return RESPONSE_COMPLETE;
  if (offered && !had_head) {
    response->has_started = true;
    if (response->head_bytes == RESPONSE_MAX_HEAD_BYTES)
      return bad(response, "a head of more than 64 KiB");
    if (offered > RESPONSE_MAX_HEAD_BYTES - response->head_bytes)
      offered = RESPONSE_MAX_HEAD_BYTES - response->head_bytes;
  }
  response->body = (Span){ NULL, 0 };
  rc = llhttp_execute(&response->parser, at, offered);
  if (rc == HPE_PAUSED || rc == HPE_PAUSED_UPGRADE) {
    offered = (size_t)(llhttp_get_error_pos(&response->parser) - at);
    if (rc == HPE_PAUSED)
      llhttp_resume(&response->parser);
  } else if (rc != HPE_OK) {
    const char *reason = llhttp_get_error_reason(&response->parser);
    return bad(response, reason && *reason ? reason : llhttp_errno_name(rc));
  }
  *used += offered;
  if (!had_head) {
    response->head_bytes += offered;
    if (response->status)
      return RESPONSE_HEAD;
  }
  if (response->body.at)
    return RESPONSE_BODY;
  return response->is_complete ? RESPONSE_COMPLETE : RESPONSE_MORE;
}

ResponseStep response_end(Response *response)
{
  if (response->is_complete)
    return RESPONSE_COMPLETE;
  if (response->problem)
    return RESPONSE_BAD;
  if (response->status && response->ends_with_connection) {
    llhttp_errno_t rc = llhttp_finish(&response->parser);
    response->is_complete = rc == HPE_OK || rc == HPE_PAUSED;
    if (response->is_complete)
      return RESPONSE_COMPLETE;
  }
  return bad(response, "an end in the middle of the reply");
}

bool response_keeps_alive(const Response *response)
{
  return response->is_complete && !response->problem && !response->ends_with_connection &&
         llhttp_should_keep_alive(&response->parser);
}
