// See reply.h. llhttp pauses at each thing to tell; it is strict, all its lenient flags are off.
#include "reply.h"

#include <string.h>

static Reply *reply_of(llhttp_t *parser)
{
  return parser->data;
}

static bool is_interim(const llhttp_t *parser)
{
  return parser->status_code >= 100 && parser->status_code < 200 && parser->status_code != 101;
}

static int on_message_begin(llhttp_t *parser)
{
  Reply *reply = reply_of(parser);
  header_list_clear(&reply->headers); // of an interim reply before it
  buffer_clear(&reply->name);
  buffer_clear(&reply->value);
  return 0;
}

static void finish_field(Reply *reply)
{
  if (!reply->status) // trailers are not kept
    header_list_add(&reply->headers, (Span){ reply->name.bytes, reply->name.len },
                    (Span){ reply->value.bytes, reply->value.len });
  buffer_clear(&reply->name);
  buffer_clear(&reply->value);
}

// A part of a field's name or value. Trailers are counted here, heads by reply_step.
static int append(Reply *reply, Buffer *part, const char *at, size_t len)
{
  if (reply->status && (reply->head_bytes += len) > REPLY_MAX_HEAD_BYTES) {
    llhttp_set_error_reason(&reply->parser, "trailers of more than 64 KiB");
    return HPE_USER;
  }
  buffer_append(part, at, len);
  return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
  return append(reply_of(parser), &reply_of(parser)->name, at, len);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
  return append(reply_of(parser), &reply_of(parser)->value, at, len);
}

static int on_header_value_complete(llhttp_t *parser)
{
  Reply *reply = reply_of(parser);
  buffer_reserve(&reply->value, 0);
  finish_field(reply);
  return 0;
}

// 1: no body follows, whatever the headers say.
static int on_headers_complete(llhttp_t *parser)
{
  Reply *reply = reply_of(parser);
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
  reply->status = parser->status_code;
  reply->ends_with_connection = reply->to == REPLY_TO_OTHER && llhttp_message_needs_eof(parser);
  buffer_free(&reply->name);
  buffer_free(&reply->value);
  if (reply->to == REPLY_TO_CONNECT && reply->status < 300) {
    reply->is_complete = true;
    return 2; // what follows is the tunnel's
  }
  return reply->to == REPLY_TO_HEAD ? 1 : HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
  if (len == 0) // a run that goes on in bytes yet to come
    return 0;
  reply_of(parser)->body = (Span){ at, len };
  return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
  if (is_interim(parser))
    return 0;
  reply_of(parser)->is_complete = true;
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

void reply_init(Reply *reply, ReplyTo to)
{
  *reply = (Reply){ .to = to };
  llhttp_init(&reply->parser, HTTP_RESPONSE, &settings);
  reply->parser.data = reply;
}

void reply_free(Reply *reply)
{
  header_list_free(&reply->headers);
  buffer_free(&reply->name);
  buffer_free(&reply->value);
}

static ReplyStep bad(Reply *reply, const char *problem)
{
  reply->problem = problem;
  return REPLY_BAD;
}

// Bytes of a head are counted, and never given to the parser beyond the limit. The parser is run
// even without bytes: a pause may have left it in front of something to tell.
ReplyStep reply_step(Reply *reply, const char *bytes, size_t len, size_t *used)
{
  bool had_head = reply->status != 0;
  const char *at = bytes ? bytes + *used : "";
  size_t offered = len - *used;
  llhttp_errno_t rc;
  if (reply->problem)
    return REPLY_BAD;
  if (reply->is_complete)
    return REPLY_COMPLETE;
  if (offered && !had_head) {
    reply->has_started = true;
    if (reply->head_bytes == REPLY_MAX_HEAD_BYTES)
      return bad(reply, "a head of more than 64 KiB");
    if (offered > REPLY_MAX_HEAD_BYTES - reply->head_bytes)
      offered = REPLY_MAX_HEAD_BYTES - reply->head_bytes;
  }
  reply->body = (Span){ NULL, 0 };
  rc = llhttp_execute(&reply->parser, at, offered);
  if (rc == HPE_PAUSED || rc == HPE_PAUSED_UPGRADE) {
    offered = (size_t)(llhttp_get_error_pos(&reply->parser) - at);
    if (rc == HPE_PAUSED)
      llhttp_resume(&reply->parser);
  } else if (rc != HPE_OK) {
    const char *reason = llhttp_get_error_reason(&reply->parser);
    return bad(reply, reason && *reason ? reason : llhttp_errno_name(rc));
  }
  *used += offered;
  if (!had_head) {
    reply->head_bytes += offered;
    if (reply->status)
      return REPLY_HEAD;
  }
  if (reply->body.at)
    return REPLY_BODY;
  return reply->is_complete ? REPLY_COMPLETE : REPLY_MORE;
}

ReplyStep reply_end(Reply *reply)
{
  if (reply->is_complete)
    return REPLY_COMPLETE;
  if (reply->problem)
    return REPLY_BAD;
  if (reply->status && reply->ends_with_connection) {
    llhttp_errno_t rc = llhttp_finish(&reply->parser);
    reply->is_complete = rc == HPE_OK || rc == HPE_PAUSED;
    if (reply->is_complete)
      return REPLY_COMPLETE;
  }
  return bad(reply, "an end in the middle of the reply");
}

bool reply_keeps_alive(const Reply *reply)
{
  return reply->is_complete && !reply->problem && !reply->ends_with_connection &&
         llhttp_should_keep_alive(&reply->parser);
}
