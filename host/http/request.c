// See request.h. The target and the header fields of a request share one buffer, that of
// Request.headers; the spans of the Request are set when the head is complete, when it grows no
// more.
#include "request.h"

#include <strings.h>

#include "../base/clock.h"
#include "../base/memory.h"
#include "target.h"

enum {
  KEPT_BODY_BYTES = 4 * 1024,  // body memory that is kept for the next request
  KEPT_HEAD_BYTES = 8 * 1024,  // the same for heads
  LINE_OVERHEAD = 4,           // ": " and CRLF of a header line
  HEAD_SLACK_BYTES = 2 * 1024, // method, version, empty lines, white space around values
};

static int on_url(llhttp_t *http, const char *at, size_t len);
static int on_header_field(llhttp_t *http, const char *at, size_t len);
static int on_header_value(llhttp_t *http, const char *at, size_t len);
static int on_header_value_complete(llhttp_t *http);
static int on_headers_complete(llhttp_t *http);
static int on_chunk_extension(llhttp_t *http, const char *at, size_t len);
static int on_body(llhttp_t *http, const char *at, size_t len);
static int on_message_complete(llhttp_t *http);

static const llhttp_settings_t settings = {
  .on_url = on_url,
  .on_header_field = on_header_field,
  .on_header_value = on_header_value,
  .on_header_value_complete = on_header_value_complete,
  .on_headers_complete = on_headers_complete,
  .on_chunk_extension_name = on_chunk_extension,
  .on_chunk_extension_value = on_chunk_extension,
  .on_body = on_body,
  .on_message_complete = on_message_complete,
};

static int refuse(RequestParser *parser, int status, const char *code, const char *message);
static int refuse_error(RequestParser *parser, llhttp_errno_t error);
static int check_head(RequestParser *parser);
static void note_field(RequestParser *parser, const HeaderField *field);
static bool value_is(const RequestParser *parser, const HeaderField *field, const char *text);

void request_parser_init(RequestParser *parser, Request *request, const HttpLimits *limits,
                         BodyBudget *budget, HeadVerdict (*on_head)(struct RequestParser *parser))
{
  *parser = (RequestParser){
    .request = request, .limits = limits, .budget = budget, .on_head = on_head, .in_head = true
  };
  llhttp_init(&parser->http, HTTP_REQUEST, &settings);
  parser->http.data = parser;
  request->body_limit = limits->body_bytes;
}

ParseStatus request_parser_feed(RequestParser *parser, const char *bytes, size_t len, size_t *used)
{
  const HttpLimits *limits = parser->limits;
  size_t most = (size_t)limits->target_bytes + limits->head_bytes +
                (size_t)LINE_OVERHEAD * limits->header_count + HEAD_SLACK_BYTES;
  *used = 0;
  if (parser->is_broken)
    return parser->refusal.status ? PARSE_REFUSED : PARSE_STOPPED;
  if (parser->request->started_us == 0 && len > 0)
    parser->request->started_us = host_clock.monotonic_us();
  while (*used < len) {
    size_t n = len - *used;
    llhttp_errno_t error;
    if (parser->in_head) {
      // llhttp skips white space and empty lines without telling, so what it eats is counted too.
      if (n > most - parser->head_fed)
        n = most - parser->head_fed;
      if (n == 0) {
        refuse(parser, 431, "head_too_large", "the head of the request is too large");
        return PARSE_REFUSED;
      }
      parser->head_fed += (uint32_t)n;
    }
    error = llhttp_execute(&parser->http, bytes + *used, n);
    if (error == HPE_OK) {
      *used += n;
      continue;
    }
    *used = (size_t)(llhttp_get_error_pos(&parser->http) - bytes);
    if (error == HPE_PAUSED)
      return parser->is_passed ? PARSE_PASSED : PARSE_COMPLETE;
    if (!parser->is_broken)
      refuse_error(parser, error);
    return parser->refusal.status ? PARSE_REFUSED : PARSE_STOPPED;
  }
  return PARSE_MORE;
}

void request_renew(Request *request, BodyBudget *budget)
{
  Request fresh = { .headers = request->headers, .body = request->body };
  budget_give(budget, request->body.len);
  memcpy(fresh.remote_addr, request->remote_addr, sizeof fresh.remote_addr);
  fresh.remote_port = request->remote_port;
  *request = fresh;
  if (request->body.cap > KEPT_BODY_BYTES)
    buffer_free(&request->body);
  request->body.len = 0;
  if (request->headers.bytes.cap > KEPT_HEAD_BYTES)
    buffer_free(&request->headers.bytes);
  request->headers.bytes.len = 0;
  request->headers.count = 0;
}

void request_trim(Request *request)
{
  header_list_free(&request->headers);
  buffer_free(&request->body);
}

void request_free(Request *request, BodyBudget *budget)
{
  budget_give(budget, request->body.len);
  request_trim(request);
}

// --- the head ------------------------------------------------------------------------------------

static int on_url(llhttp_t *http, const char *at, size_t len)
{
  RequestParser *parser = http->data;
  if (parser->target_len + len > parser->limits->target_bytes)
    return refuse(parser, 414, "target_too_long", "the request target is too long");
  parser->target_len += (uint32_t)len;
  buffer_append(&parser->request->headers.bytes, at, len);
  return 0;
}

static int count_field(RequestParser *parser)
{
  parser->in_name = true;
  parser->field_bytes += LINE_OVERHEAD;
  if (++parser->field_count > parser->limits->header_count)
    return refuse(parser, 431, "head_too_large", "the request has too many header fields");
  return 0;
}

static int count_field_bytes(RequestParser *parser, size_t len)
{
  parser->field_bytes += (uint32_t)len; // at most a read buffer above the limit: no overflow
  if (parser->field_bytes > parser->limits->head_bytes)
    return refuse(parser, 431, "head_too_large", "the header fields are too large");
  return 0;
}

static HeaderField *add_field(HeaderList *headers)
{
  HeaderField *field;
  if (headers->count == headers->cap) {
    headers->cap = headers->cap ? headers->cap * 2 : 4;
    headers->fields = mem_resize(headers->fields, headers->cap * sizeof *headers->fields);
  }
  field = &headers->fields[headers->count++];
  *field = (HeaderField){ .name_at = (uint32_t)headers->bytes.len };
  return field;
}

static int on_header_field(llhttp_t *http, const char *at, size_t len)
{
  RequestParser *parser = http->data;
  HeaderList *headers = &parser->request->headers;
  if (!parser->in_head && !parser->in_trailer) {
    parser->in_trailer = true;
    parser->in_name = false;
    parser->field_bytes = parser->field_count = 0;
  }
  if (!parser->in_name) {
    if (count_field(parser) != 0)
      return HPE_USER;
    if (!parser->in_trailer)
      add_field(headers);
  }
  if (count_field_bytes(parser, len) != 0)
    return HPE_USER;
  if (!parser->in_trailer) { // trailers are read and forgotten
    headers->fields[headers->count - 1].name_len += (uint32_t)len;
    buffer_append(&headers->bytes, at, len);
  }
  return 0;
}

static void begin_value(RequestParser *parser)
{
  HeaderList *headers = &parser->request->headers;
  parser->in_name = false;
  if (!parser->in_trailer)
    headers->fields[headers->count - 1].value_at = (uint32_t)headers->bytes.len;
}

static int on_header_value(llhttp_t *http, const char *at, size_t len)
{
  RequestParser *parser = http->data;
  HeaderList *headers = &parser->request->headers;
  if (parser->in_name)
    begin_value(parser);
  if (count_field_bytes(parser, len) != 0)
    return HPE_USER;
  if (!parser->in_trailer) {
    headers->fields[headers->count - 1].value_len += (uint32_t)len;
    buffer_append(&headers->bytes, at, len);
  }
  return 0;
}

static int on_header_value_complete(llhttp_t *http)
{
  RequestParser *parser = http->data;
  HeaderList *headers = &parser->request->headers;
  HeaderField *field;
  if (parser->in_name)
    begin_value(parser); // an empty value
  if (parser->in_trailer)
    return 0;
  field = &headers->fields[headers->count - 1];
  while (field->value_len > 0) { // white space behind a value is not part of it
    char last = headers->bytes.bytes[headers->bytes.len - 1];
    if (last != ' ' && last != '\t')
      break;
    headers->bytes.len--;
    field->value_len--;
  }
  note_field(parser, field);
  return 0;
}

static bool name_is(const RequestParser *parser, const HeaderField *field, const char *name)
{
  return strncasecmp(parser->request->headers.bytes.bytes + field->name_at, name,
                     field->name_len) == 0;
}

static bool value_is(const RequestParser *parser, const HeaderField *field, const char *text)
{
  Span value = { parser->request->headers.bytes.bytes + field->value_at, field->value_len };
  return span_is_ignoring_case(value, text);
}

// Notes the fields that decide how the message is read.
static void note_field(RequestParser *parser, const HeaderField *field)
{
  switch (field->name_len) {
  case 4:
    if (name_is(parser, field, "host")) {
      parser->host_count++;
      parser->host_field = parser->request->headers.count - 1;
    }
    break;
  case 6:
    if (name_is(parser, field, "expect")) {
      if (value_is(parser, field, "100-continue"))
        parser->expects_continue = true;
      else
        parser->has_strange_expectation = true;
    }
    break;
  case 17:
    if (name_is(parser, field, "transfer-encoding")) {
      parser->coding_count++;
      if (!value_is(parser, field, "chunked"))
        parser->has_strange_coding = true;
    }
    break;
  default:
    break;
  }
}

static int on_headers_complete(llhttp_t *http)
{
  RequestParser *parser = http->data;
  Request *request = parser->request;
  parser->in_head = false;
  // The reply to an upgrade that we do not know is the one without it: the message is a plain one.
  http->upgrade = 0;
  request->method = span_of(llhttp_method_name(http->method));
  request->target = (Span){ request->headers.bytes.bytes, parser->target_len };
  request->version_minor = http->http_minor;
  request->is_head = http->method == HTTP_HEAD;
  request->has_body = (http->flags & F_CHUNKED) != 0 || http->content_length > 0;
  if (check_head(parser) != 0)
    return -1;
  parser->keeps_alive = llhttp_should_keep_alive(http) != 0;
  parser->expects_continue =
      parser->expects_continue && request->has_body && request->version_minor == 1;
  switch (parser->on_head(parser)) {
  case HEAD_TAKEN:
    break;
  case HEAD_ANSWERED:
    if (!request->has_body)
      return 0;
    parser->is_broken = true;
    return -1;
  case HEAD_PASSED:
    parser->is_passed = true;
    return HPE_PAUSED;
  }
  if (http->content_length > request->body_limit && (http->flags & F_CHUNKED) == 0) {
    refuse(parser, 413, "body_too_large", "the request body is too large");
    return -1;
  }
  return 0;
}

// The rules that llhttp leaves to its host.
static int check_head(RequestParser *parser)
{
  Request *request = parser->request;
  Target target;
  if (parser->http.http_major != 1 || parser->http.http_minor > 1)
    return refuse(parser, 505, "version_not_supported", "this server speaks HTTP/1.1 and 1.0");
  if (parser->http.method == HTTP_CONNECT)
    return refuse(parser, 405, "method_not_allowed", "this server is not a proxy");
  if (parser->host_count > 1)
    return refuse(parser, 400, "bad_request", "more than one Host field");
  if (parser->host_count == 0 && request->version_minor == 1)
    return refuse(parser, 400, "bad_request", "no Host field");
  if (parser->host_count == 1) {
    request->host = header_list_value(&request->headers, parser->host_field);
    if (!host_is_valid(request->host))
      return refuse(parser, 400, "bad_request", "malformed Host field");
  }
  if (parser->coding_count > 0 && request->version_minor == 0)
    return refuse(parser, 400, "bad_request", "Transfer-Encoding in HTTP/1.0");
  if (parser->coding_count > 1 || parser->has_strange_coding)
    return refuse(parser, 400, "bad_request", "the only transfer coding known here is chunked");
  if (!target_split(request->target, &target) ||
      (span_is(target.path, "*") && parser->http.method != HTTP_OPTIONS))
    return refuse(parser, 400, "bad_request", "malformed request target");
  if (target.host.at)
    request->host = target.host;
  request->path = target.path;
  request->query = target.query;
  if (parser->has_strange_expectation && request->version_minor == 1)
    return refuse(parser, 417, "expectation_failed", "the only expectation met is 100-continue");
  return 0;
}

// --- the body ------------------------------------------------------------------------------------

static int on_chunk_extension(llhttp_t *http, const char *at, size_t len)
{
  RequestParser *parser = http->data;
  (void)at;
  if (parser->extension_bytes + len > parser->limits->chunk_extension_bytes)
    return refuse(parser, 400, "bad_request", "the chunk extensions are too large");
  parser->extension_bytes += (uint32_t)len;
  return 0;
}

// The memory grows with the bytes that came, not with the length that was announced.
static int on_body(llhttp_t *http, const char *at, size_t len)
{
  RequestParser *parser = http->data;
  Request *request = parser->request;
  if (len > request->body_limit - request->body.len)
    return refuse(parser, 413, "body_too_large", "the request body is too large");
  if (!budget_take(parser->budget, len))
    return refuse(parser, 503, "overloaded", "too many request bodies at once, try again");
  buffer_append(&request->body, at, len);
  return 0;
}

static int on_message_complete(llhttp_t *http)
{
  (void)http;
  return HPE_PAUSED;
}

// --- refusing ------------------------------------------------------------------------------------

// Returns what makes llhttp stop.
static int refuse(RequestParser *parser, int status, const char *code, const char *message)
{
  parser->refusal = (Refusal){ status, code, message };
  parser->is_broken = true;
  return HPE_USER;
}

static int refuse_error(RequestParser *parser, llhttp_errno_t error)
{
  bool has_other_version = parser->http.http_major != 1 || parser->http.http_minor > 1;
  if (error == HPE_PAUSED_H2_UPGRADE || (error == HPE_INVALID_VERSION && has_other_version))
    return refuse(parser, 505, "version_not_supported", "this server speaks HTTP/1.1 and 1.0");
  return refuse(parser, 400, "bad_request", llhttp_get_error_reason(&parser->http));
}

void http_parser_version(char *text, size_t size)
{
  snprintf(text, size, "%d.%d.%d", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
           LLHTTP_VERSION_PATCH);
}
