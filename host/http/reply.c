// Replies as bytes: heads, pieces, ends. Nothing here touches a socket but through conn_send.
#include "conn.h"

#include <assert.h>
#include <strings.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "scan.h"

enum {
  DIRECT_BYTES = 16 * 1024, // from here on a body is not copied before the socket had its chance
  HEAD_BYTES = 384,         // more than all that the server itself puts into a head
  TURN_BYTES = 700,         // of pieces: most turns have less, and malloc has such at hand
};

typedef struct {
  const char *text;
  size_t len;
} Line;

#define LINE(text)                                                                                 \
  {                                                                                                \
    "HTTP/1.1 " text "\r\n", sizeof("HTTP/1.1 " text "\r\n") - 1                                   \
  }

static const Line status_lines[600] = {
  [200] = LINE("200 OK"),
  [201] = LINE("201 Created"),
  [202] = LINE("202 Accepted"),
  [203] = LINE("203 Non-Authoritative Information"),
  [204] = LINE("204 No Content"),
  [205] = LINE("205 Reset Content"),
  [206] = LINE("206 Partial Content"),
  [207] = LINE("207 Multi-Status"),
  [300] = LINE("300 Multiple Choices"),
  [301] = LINE("301 Moved Permanently"),
  [302] = LINE("302 Found"),
  [303] = LINE("303 See Other"),
  [304] = LINE("304 Not Modified"),
  [307] = LINE("307 Temporary Redirect"),
  [308] = LINE("308 Permanent Redirect"),
  [400] = LINE("400 Bad Request"),
  [401] = LINE("401 Unauthorized"),
  [402] = LINE("402 Payment Required"),
  [403] = LINE("403 Forbidden"),
  [404] = LINE("404 Not Found"),
  [405] = LINE("405 Method Not Allowed"),
  [406] = LINE("406 Not Acceptable"),
  [407] = LINE("407 Proxy Authentication Required"),
  [408] = LINE("408 Request Timeout"),
  [409] = LINE("409 Conflict"),
  [410] = LINE("410 Gone"),
  [411] = LINE("411 Length Required"),
  [412] = LINE("412 Precondition Failed"),
  [413] = LINE("413 Content Too Large"),
  [414] = LINE("414 URI Too Long"),
  [415] = LINE("415 Unsupported Media Type"),
  [416] = LINE("416 Range Not Satisfiable"),
  [417] = LINE("417 Expectation Failed"),
  [418] = LINE("418 I'm a teapot"),
  [421] = LINE("421 Misdirected Request"),
  [422] = LINE("422 Unprocessable Content"),
  [423] = LINE("423 Locked"),
  [424] = LINE("424 Failed Dependency"),
  [425] = LINE("425 Too Early"),
  [426] = LINE("426 Upgrade Required"),
  [428] = LINE("428 Precondition Required"),
  [429] = LINE("429 Too Many Requests"),
  [431] = LINE("431 Request Header Fields Too Large"),
  [451] = LINE("451 Unavailable For Legal Reasons"),
  [500] = LINE("500 Internal Server Error"),
  [501] = LINE("501 Not Implemented"),
  [502] = LINE("502 Bad Gateway"),
  [503] = LINE("503 Service Unavailable"),
  [504] = LINE("504 Gateway Timeout"),
  [505] = LINE("505 HTTP Version Not Supported"),
  [507] = LINE("507 Insufficient Storage"),
  [508] = LINE("508 Loop Detected"),
  [511] = LINE("511 Network Authentication Required"),
};

static Conn *conn_of(Request *request);
static void begin(Conn *conn, int status, const HeaderList *headers, int64_t length);
static void write_head(Conn *conn, int status, const HeaderList *headers, int64_t length);
static void write_error(Conn *conn, int status, const char *code, const char *message,
                        const HeaderList *headers);
static bool is_ours(Span name);
static bool has_control(Span text);

void reply_full(Request *request, int status, const HeaderList *headers, const void *body,
                size_t len)
{
  Conn *conn = conn_of(request);
  if (conn->has_begun || conn->is_done)
    return;
  begin(conn, status, headers, (int64_t)len);
  request->bytes_out = len;
  if (conn->framing == FRAMING_LENGTH && !request->is_head) {
    if (len >= DIRECT_BYTES)
      conn_send(conn, body, len);
    else
      buffer_append(&conn->out, body, len);
  }
  conn->is_done = true;
}

void reply_error(Request *request, int status, const char *code, const char *message,
                 const HeaderList *headers)
{
  Conn *conn = conn_of(request);
  if (!conn->has_begun && !conn->is_done)
    write_error(conn, status, code, message, headers);
}

void reply_begin(Request *request, int status, const HeaderList *headers, int64_t length)
{
  Conn *conn = conn_of(request);
  if (!conn->has_begun && !conn->is_done)
    begin(conn, status, headers, length);
}

void reply_piece(Request *request, const void *bytes, size_t len)
{
  static const char digits[] = "0123456789abcdef";
  Conn *conn = conn_of(request);
  char line[2 * sizeof len + 2], *at = line + sizeof line;
  size_t rest = len;
  assert(conn->has_begun);
  if (len == 0 || conn->is_done)
    return;
  if (conn->framing == FRAMING_LENGTH && (uint64_t)len > (uint64_t)conn->length_left)
    len = (size_t)conn->length_left; // more than was announced would be read as the next reply
  conn->length_left -= (int64_t)len;
  request->bytes_out += len;
  if (request->is_head || conn->framing == FRAMING_NO_BODY || len == 0)
    return;
  if (!conn->out.bytes) // given back at the end of each turn
    buffer_reserve(&conn->out, TURN_BYTES);
  if (conn->framing == FRAMING_CHUNKED) {
    *--at = '\n';
    *--at = '\r';
    for (; rest > 0; rest /= 16)
      *--at = digits[rest % 16];
    buffer_append(&conn->out, at, (size_t)(line + sizeof line - at));
    buffer_append(&conn->out, bytes, len);
    buffer_append(&conn->out, "\r\n", 2);
  } else {
    buffer_append(&conn->out, bytes, len);
  }
  conn_cork(conn);
}

void reply_end(Request *request)
{
  Conn *conn = conn_of(request);
  assert(conn->has_begun);
  if (conn->is_done)
    return;
  if (conn->framing == FRAMING_LENGTH && conn->length_left > 0 && !request->is_head) {
    reply_abort(request);
    return;
  }
  if (conn->framing == FRAMING_CHUNKED && !request->is_head)
    buffer_append(&conn->out, "0\r\n\r\n", 5);
  conn->is_done = true;
  conn_cork(conn);
}

void reply_abort(Request *request)
{
  Conn *conn = conn_of(request);
  if (conn->is_done || conn->phase == CONN_CLOSING)
    return;
  conn->is_done = conn->is_aborted = conn->is_last = conn->ignores_input = true;
  conn->phase = CONN_REPLY;
  conn_cork(conn);
}

bool request_has_left(const Request *request)
{
  const Conn *conn = (const Conn *)((const char *)request - offsetof(Conn, request));
  uv_os_fd_t fd;
  char byte;
  if (conn->is_eof || uv_fileno((const uv_handle_t *)&conn->tcp, &fd) != 0)
    return conn->is_eof;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool request_wants_more(Request *request, bool is_pressed)
{
  Conn *conn = conn_of(request);
  size_t unsent = conn_unsent_bytes(conn), most = conn->server->limits.unsent_bytes;
  if (unsent < most && (!is_pressed || unsent == 0))
    return true;
  conn->wants_drain = true;
  conn->drain_bytes = is_pressed ? 0 : most / 2;
  return false;
}

size_t request_unsent_bytes(Request *request)
{
  Conn *conn = conn_of(request);
  conn->told_bytes = conn_unsent_bytes(conn);
  return conn->told_bytes;
}

// The server refuses what it was sent, or how; the handler may never have heard of it.
void reply_refusal(Conn *conn, const Refusal *refusal)
{
  static const char methods[] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
  HeaderList headers = { 0 };
  const char *message = refusal->message ? refusal->message : "malformed request";
  if (refusal->status == 503)
    header_list_add(&headers, span_of("Retry-After"), span_of("1"));
  if (refusal->status == 405)
    header_list_add(&headers, span_of("Allow"), span_of(methods));
  conn->is_last = conn->ignores_input = true;
  conn->phase = CONN_REPLY;
  write_error(conn, refusal->status, refusal->code, message, &headers);
  header_list_free(&headers);
  if (!conn->is_seen) {
    log_event(LOG_INFO, "request refused", LOG_S("request_id", conn->request.id),
              LOG_I("status", refusal->status), LOG_S("reason", message),
              LOG_S("client_ip", conn->request.remote_addr));
  }
}

bool header_is_valid(Span name, Span value)
{
  // Letters, digits and !#$%&'*+-.^_`|~ as a bit each: bit n of a word is character 32 * i + n.
  static const uint32_t token_bytes[8] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };
  size_t i;
  for (i = 0; i < name.len; i++) {
    unsigned char c = (unsigned char)name.at[i];
    if (!(token_bytes[c / 32] >> (c % 32) & 1))
      return false;
  }
  for (i = 0; i < value.len; i += 8) {
    uint64_t word = scan_word(value, i);
    if ((scan_has_below(word, 0x20) && has_control((Span){ value.at + i, value.len - i })) ||
        scan_has(word, 0x7f))
      return false;
  }
  return name.len > 0;
}

// --- making --------------------------------------------------------------------------------------

static Conn *conn_of(Request *request)
{
  return (Conn *)((char *)request - offsetof(Conn, request));
}

static void begin(Conn *conn, int status, const HeaderList *headers, int64_t length)
{
  Request *request = &conn->request;
  assert(status >= 200 && status <= 599);
  if (status == 204 || status == 304)
    conn->framing = FRAMING_NO_BODY;
  else if (length >= 0)
    conn->framing = FRAMING_LENGTH;
  else
    conn->framing = request->version_minor == 1 ? FRAMING_CHUNKED : FRAMING_CLOSE;
  if (conn->phase == CONN_BODY && request->has_body)
    conn->is_last = conn->ignores_input = true; // the rest of the body will not be read
  if (!conn->keeps_alive || conn->framing == FRAMING_CLOSE || conn->server->is_retiring)
    conn->is_last = true;
  conn->phase = CONN_REPLY;
  conn->has_begun = true;
  conn->length_left = length;
  write_head(conn, status, headers, length);
  request->status = status;
  request->first_byte_us = host_clock.monotonic_us();
  conn_cork(conn);
}

static char *put(char *at, const void *bytes, size_t len)
{
  memcpy(at, bytes, len);
  return at + len;
}

#define PUT(at, text) put((at), "" text "", sizeof(text) - 1)

static char *put_number(char *at, uint64_t number)
{
  char digits[20];
  size_t i = sizeof digits;
  do
    digits[--i] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return put(at, digits + i, sizeof digits - i);
}

// Written by hand into room made beforehand: this runs for every request.
static void write_head(Conn *conn, int status, const HeaderList *headers, int64_t length)
{
  const Line *line = &status_lines[status];
  uint32_t i, count = headers ? headers->count : 0;
  char *at;
  buffer_reserve(&conn->out, HEAD_BYTES + (headers ? headers->bytes.len : 0) + 4 * (size_t)count);
  at = conn->out.bytes + conn->out.len;
  if (line->text) {
    at = put(at, line->text, line->len);
  } else {
    at = PUT(at, "HTTP/1.1 ");
    at = put_number(at, (uint64_t)status);
    at = PUT(at, " \r\n");
  }
  at = PUT(at, "Date: ");
  at = put(at, loop_http_date(conn->server->loop), 29);
  at = PUT(at, "\r\nX-Request-Id: ");
  if (!conn->request.id[0])
    server_make_id(conn->server, conn->request.id);
  at = put(at, conn->request.id, strlen(conn->request.id));
  at = PUT(at, "\r\n");
  for (i = 0; i < count; i++) {
    Span name = header_list_name(headers, i), value = header_list_value(headers, i);
    if (is_ours(name))
      continue;
    at = put(at, name.at, name.len);
    at = PUT(at, ": ");
    at = put(at, value.at, value.len);
    at = PUT(at, "\r\n");
  }
  if (conn->framing == FRAMING_LENGTH) {
    at = PUT(at, "Content-Length: ");
    at = put_number(at, (uint64_t)length);
    at = PUT(at, "\r\n");
  } else if (conn->framing == FRAMING_CHUNKED) {
    at = PUT(at, "Transfer-Encoding: chunked\r\n");
  }
  if (conn->is_last)
    at = PUT(at, "Connection: close\r\n");
  else if (conn->request.version_minor == 0)
    at = PUT(at, "Connection: keep-alive\r\n");
  at = PUT(at, "\r\n");
  conn->out.len = (size_t)(at - conn->out.bytes);
}

static void write_error(Conn *conn, int status, const char *code, const char *message,
                        const HeaderList *headers)
{
  Buffer *text = &conn->server->scratch;
  HeaderList all = { 0 };
  if (!conn->request.id[0])
    server_make_id(conn->server, conn->request.id);
  buffer_clear(text);
  buffer_string(text, "{\"error\":{\"code\":");
  buffer_json_string(text, code, strlen(code));
  buffer_string(text, ",\"message\":");
  buffer_json_string(text, message, strlen(message));
  buffer_string(text, ",\"request_id\":");
  buffer_json_string(text, conn->request.id, strlen(conn->request.id));
  buffer_string(text, "}}\n");
  header_list_add(&all, span_of("Content-Type"), span_of("application/json"));
  if (headers)
    header_list_copy(&all, headers);
  reply_full(&conn->request, status, &all, text->bytes, text->len);
  header_list_free(&all);
}

// Fields that the server alone writes.
static bool is_ours(Span name)
{
  switch (name.len) {
  case 2:
    return span_is_ignoring_case(name, "TE");
  case 4:
    return span_is_ignoring_case(name, "Date");
  case 7:
    return span_is_ignoring_case(name, "Trailer") || span_is_ignoring_case(name, "Upgrade");
  case 10:
    return span_is_ignoring_case(name, "Connection") || span_is_ignoring_case(name, "Keep-Alive");
  case 12:
    return span_is_ignoring_case(name, "X-Request-Id");
  case 14:
    return span_is_ignoring_case(name, "Content-Length");
  case 16:
    return span_is_ignoring_case(name, "Proxy-Connection");
  case 17:
    return span_is_ignoring_case(name, "Transfer-Encoding");
  default:
    return false;
  }
}

static bool has_control(Span text)
{
  size_t i;
  for (i = 0; i < text.len; i++) {
    if ((unsigned char)text.at[i] < 0x20 && text.at[i] != '\t')
      return true;
  }
  return false;
}
