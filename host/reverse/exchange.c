// See exchange.h. An exchange is pulled: what arrives is put aside (`arrived`), and parsed only
// when somebody reads (`inbox`), because a piece may be borrowed from the inbox until the next
// read. Only the head is parsed as it comes, since a retry may depend on it.
#include "exchange.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "request.h"
#include "response.h"
#include "sse.h"

enum { KEEP_BUFFER_BYTES = 2048 }; // an empty buffer that is larger is given back

typedef enum {
  EXCHANGE_PAUSED,     // between two attempts
  EXCHANGE_CONNECTING, // no wire yet
  EXCHANGE_ASKING,     // sent; no head yet
  EXCHANGE_ANSWERING,  // the head is there
  EXCHANGE_DONE,
  EXCHANGE_FAILED, // stream.error says why
} ExchangeState;

typedef struct {
  Stream stream; // first member
  Loop *loop;
  Origin *origin;
  uint32_t *streams;
  Wire *wire;     // NULL: none now
  Buffer request; // until the reply's head is there
  Response response;
  Buffer inbox, arrived;
  size_t inbox_at;
  Span body; // of the inbox, not decoded yet
  Buffer whole;
  SseDecoder sse;
  Timer timer;
  uint64_t total_due_ms; // 0: none
  size_t unsent;         // when the timer was started
  ClientTimes times;
  uint32_t retries;
  uint8_t state;   // ExchangeState
  uint8_t decoder; // BodyDecoder
  bool is_head, may_repeat;
  bool is_waiting; // for on_ready
  bool is_reused;  // the wire came from the pool
  bool was_stale;  // a pooled wire failed already
  bool has_piece;  // the whole body was handed out
  bool has_ended;  // the wire did; end_* tell
  int end_code;
  char end_text[160];
} Exchange;

static void attempt(Exchange *exchange);

static Exchange *exchange_of(Stream *stream)
{
  return (Exchange *)stream;
}

static void wake(Exchange *exchange)
{
  if (!exchange->is_waiting)
    return;
  exchange->is_waiting = false;
  if (exchange->stream.on_ready)
    exchange->stream.on_ready(&exchange->stream);
}

static void drop_wire(Exchange *exchange)
{
  if (exchange->wire)
    wire_free(exchange->wire);
  exchange->wire = NULL;
}

static StreamStatus fail(Exchange *exchange, const char *code, const char *text)
{
  drop_wire(exchange);
  timer_stop(&exchange->timer);
  exchange->state = EXCHANGE_FAILED;
  exchange->body = (Span){ NULL, 0 };
  return stream_fail(&exchange->stream, code, "%s", text);
}

static StreamStatus fail_protocol(Exchange *exchange, const char *problem)
{
  char text[160];
  snprintf(text, sizeof text, "upstream_protocol: %s", problem);
  return fail(exchange, "upstream_error", text);
}

// --- time ----------------------------------------------------------------------------------------

static void on_due(Timer *timer);

// Runs for `delay_ms`, or to the total limit if that comes first.
static void start_timer(Exchange *exchange, uint64_t delay_ms)
{
  uint64_t now_ms = loop_now_ms(exchange->loop);
  if (exchange->total_due_ms && now_ms + delay_ms > exchange->total_due_ms)
    delay_ms = exchange->total_due_ms > now_ms ? exchange->total_due_ms - now_ms : 0;
  timer_start(exchange->loop, &exchange->timer, delay_ms, on_due);
}

static void time_out(Exchange *exchange, const char *word, const char *what, uint32_t limit_ms)
{
  char text[160];
  snprintf(text, sizeof text, "%s: %s within %u ms", word, what, limit_ms);
  fail(exchange, "upstream_timeout", text);
  wake(exchange);
}

static void on_due(Timer *timer)
{
  Exchange *exchange = (Exchange *)((char *)timer - offsetof(Exchange, timer));
  const ClientTimes *times = &exchange->times;
  if (exchange->total_due_ms && loop_now_ms(exchange->loop) >= exchange->total_due_ms) {
    time_out(exchange, "total_timeout", "the reply was not complete", times->total_ms);
    return;
  }
  switch (exchange->state) {
  case EXCHANGE_PAUSED:
    attempt(exchange);
    break;
  case EXCHANGE_CONNECTING:
    time_out(exchange, "connect_timeout", "no connection", times->connect_ms);
    break;
  case EXCHANGE_ASKING:
    if (wire_unsent(exchange->wire) < exchange->unsent) { // a large request, still on its way
      exchange->unsent = wire_unsent(exchange->wire);
      start_timer(exchange, times->first_byte_ms);
    } else {
      time_out(exchange, "first_byte_timeout", "no reply", times->first_byte_ms);
    }
    break;
  case EXCHANGE_ANSWERING:
    // Time counts only while somebody waits: a consumer may be slow, an upstream may not.
    if (exchange->is_waiting)
      time_out(exchange, "idle_timeout", "nothing more came", times->idle_ms);
    else if (exchange->total_due_ms)
      start_timer(exchange, exchange->total_due_ms - loop_now_ms(exchange->loop));
    break;
  default:
    break;
  }
}

// --- attempts ------------------------------------------------------------------------------------

static void forget_reply(Exchange *exchange)
{
  bool is_head = exchange->is_head;
  response_free(&exchange->response);
  response_init(&exchange->response, is_head ? RESPONSE_TO_HEAD : RESPONSE_TO_OTHER);
  buffer_clear(&exchange->inbox);
  buffer_clear(&exchange->arrived);
  exchange->inbox_at = 0;
  exchange->has_ended = false;
}

// Another attempt, if that is worth it. The wire is given up in any case when it is.
static bool try_again(Exchange *exchange, int status, bool was_sent)
{
  RetryFacts facts = { .retries = exchange->retries,
                       .may_repeat = exchange->may_repeat,
                       .was_sent = was_sent,
                       .status = status,
                       .longest_ms = exchange->times.first_byte_ms };
  int64_t delay_ms;
  if (status)
    facts.retry_after = header_list_get(&exchange->response.headers, "Retry-After");
  delay_ms = retry_decide(origin_budget(exchange->origin), &facts);
  if (delay_ms < 0)
    return false;
  exchange->retries++;
  drop_wire(exchange);
  forget_reply(exchange);
  exchange->state = EXCHANGE_PAUSED;
  start_timer(exchange, (uint64_t)delay_ms);
  return true;
}

// The wire ended before a byte of the reply came.
static void lost(Exchange *exchange, int code, const char *text)
{
  bool was_sent = exchange->state == EXCHANGE_ASKING && wire_has_sent(exchange->wire);
  // RFC 9112, 9.3.1: a kept connection may be closed by its peer just as we use it. That is no
  // failure, but only a call that may be repeated, or of which nothing was sent, may go again.
  if (exchange->is_reused && !exchange->was_stale && (exchange->may_repeat || !was_sent)) {
    exchange->was_stale = true;
    drop_wire(exchange);
    forget_reply(exchange);
    attempt(exchange);
    return;
  }
  if (code != UV_EPROTO && code != UV_EAI_FAIL && try_again(exchange, 0, was_sent))
    return;
  fail(exchange, "upstream_error", text);
  wake(exchange);
}

static void send_request(Exchange *exchange)
{
  int rc;
  exchange->state = EXCHANGE_ASKING;
  start_timer(exchange, exchange->times.first_byte_ms);
  rc = wire_write(exchange->wire, exchange->request.bytes, exchange->request.len);
  exchange->unsent = wire_unsent(exchange->wire);
  if (rc < 0)
    lost(exchange, rc, "upstream_truncated: the connection broke before the request was sent");
}

static void on_open(Wire *wire)
{
  send_request(wire_owner(wire));
}

static void on_bytes(Wire *wire, const char *bytes, size_t len);
static void on_end(Wire *wire, int code, const char *text);
static const WireEvents wire_events = { on_open, on_bytes, on_end };

static void attempt(Exchange *exchange)
{
  exchange->wire =
      exchange->was_stale ? NULL : origin_take(exchange->origin, &wire_events, exchange);
  exchange->is_reused = exchange->wire != NULL;
  if (exchange->wire) {
    send_request(exchange);
    return;
  }
  exchange->state = EXCHANGE_CONNECTING;
  start_timer(exchange, exchange->times.connect_ms);
  exchange->wire = origin_connect(exchange->origin, &wire_events, exchange);
}

// --- what arrives --------------------------------------------------------------------------------

static size_t ready_bytes(const Exchange *exchange)
{
  return exchange->body.len + exchange->inbox.len - exchange->inbox_at + exchange->arrived.len;
}

static void empty(Buffer *buffer)
{
  if (buffer->cap > KEEP_BUFFER_BYTES)
    buffer_free(buffer);
  else if (buffer->len)
    buffer_clear(buffer);
}

// One step of the parser. Between two steps the inbox may be replaced.
static ResponseStep next_step(Exchange *exchange)
{
  for (;;) {
    ResponseStep step = response_step(&exchange->response, exchange->inbox.bytes,
                                      exchange->inbox.len, &exchange->inbox_at);
    if (step != RESPONSE_MORE)
      return step;
    if (exchange->inbox_at < exchange->inbox.len)
      continue;
    if (exchange->arrived.len) {
      Buffer emptied = exchange->inbox;
      exchange->inbox = exchange->arrived;
      exchange->arrived = emptied;
      exchange->inbox_at = 0;
      empty(&exchange->arrived);
      continue;
    }
    empty(&exchange->inbox);
    exchange->inbox_at = 0;
    if (!exchange->has_ended)
      return RESPONSE_MORE;
    if (exchange->end_code == UV_EOF)
      return response_end(&exchange->response);
    return RESPONSE_BAD;
  }
}

static StreamStatus fail_bad(Exchange *exchange)
{
  if (exchange->has_ended && exchange->inbox_at >= exchange->inbox.len && !exchange->arrived.len)
    return fail(exchange, "upstream_error", exchange->end_text);
  return fail_protocol(exchange, exchange->response.problem);
}

// The head is complete: what is to be done with the body?
static void take_head(Exchange *exchange)
{
  const HeaderList *headers = &exchange->response.headers;
  Span encoding = header_list_get(headers, "Content-Encoding");
  Span type = header_list_get(headers, "Content-Type");
  int status = exchange->response.status;
  if (status >= 400 && try_again(exchange, status, true))
    return;
  exchange->state = EXCHANGE_ANSWERING;
  buffer_free(&exchange->request);
  if (exchange->total_due_ms)
    start_timer(exchange, exchange->times.total_ms);
  else
    timer_stop(&exchange->timer);
  if (encoding.len && !span_is_ignoring_case(encoding, "identity")) {
    fail_protocol(exchange, "a content encoding that was not asked for");
  } else if (status < 200 || status > 299) {
    exchange->decoder = BODY_WHOLE;
  } else if (exchange->decoder == BODY_SSE && type.len >= 16 &&
             span_is_ignoring_case((Span){ type.at, 16 }, "application/json")) {
    exchange->decoder = BODY_WHOLE;
  }
  wake(exchange);
}

static void look_for_head(Exchange *exchange)
{
  switch (next_step(exchange)) {
  case RESPONSE_MORE:
    break;
  case RESPONSE_HEAD:
    take_head(exchange);
    break;
  default:
    if (exchange->response.has_started || !exchange->has_ended) {
      fail_bad(exchange);
      wake(exchange);
    } else {
      lost(exchange, exchange->end_code, exchange->end_text);
    }
  }
}

static void on_bytes(Wire *wire, const char *bytes, size_t len)
{
  Exchange *exchange = wire_owner(wire);
  buffer_append(&exchange->arrived, bytes, len);
  if (exchange->state == EXCHANGE_ASKING) {
    look_for_head(exchange);
    if (exchange->wire != wire)
      return;
  } else {
    wake(exchange);
  }
  if (ready_bytes(exchange) > EXCHANGE_MAX_READY_BYTES)
    wire_read(wire, false);
}

static void on_end(Wire *wire, int code, const char *text)
{
  Exchange *exchange = wire_owner(wire);
  if (exchange->state == EXCHANGE_CONNECTING) {
    lost(exchange, code, text);
    return;
  }
  exchange->has_ended = true;
  exchange->end_code = code;
  snprintf(exchange->end_text, sizeof exchange->end_text, "%s", text);
  if (exchange->state == EXCHANGE_ASKING)
    look_for_head(exchange);
  else
    wake(exchange);
}

// --- the stream ----------------------------------------------------------------------------------

static StreamStatus wait(Exchange *exchange)
{
  exchange->is_waiting = true;
  if (exchange->state == EXCHANGE_ANSWERING)
    start_timer(exchange, exchange->times.idle_ms);
  return STREAM_WAIT;
}

// The reply is complete: its wire may serve the next call.
static void finish(Exchange *exchange)
{
  bool is_clean = !exchange->has_ended && exchange->inbox_at == exchange->inbox.len &&
                  exchange->arrived.len == 0 && response_keeps_alive(&exchange->response);
  timer_stop(&exchange->timer);
  exchange->state = EXCHANGE_DONE;
  if (is_clean && exchange->wire) {
    origin_put(exchange->origin, exchange->wire);
    exchange->wire = NULL;
  }
  drop_wire(exchange);
}

static StreamStatus stream_head(Stream *stream, int *status)
{
  Exchange *exchange = exchange_of(stream);
  if (exchange->state == EXCHANGE_FAILED)
    return STREAM_ERROR;
  if (exchange->state < EXCHANGE_ANSWERING)
    return wait(exchange);
  *status = exchange->response.status;
  return STREAM_PIECE;
}

// Body bytes into the decoder. STREAM_WAIT: they were not enough for a piece.
static StreamStatus decode(Exchange *exchange, Span *piece)
{
  bool is_refusal = exchange->response.status < 200 || exchange->response.status > 299;
  size_t used = 0;
  switch (exchange->decoder) {
  case BODY_SSE:
    switch (sse_feed(&exchange->sse, exchange->body.at, exchange->body.len, &used)) {
    case SSE_MORE:
      exchange->body = (Span){ NULL, 0 };
      return STREAM_WAIT;
    case SSE_EVENT:
      exchange->body = (Span){ exchange->body.at + used, exchange->body.len - used };
      *piece = exchange->sse.out_data;
      return STREAM_PIECE;
    case SSE_TOO_LARGE:
      break;
    }
    return fail(exchange, "upstream_error", "event_too_large: an event of more than 1 MiB");
  case BODY_WHOLE:
    if (exchange->whole.len + exchange->body.len >
        (is_refusal ? EXCHANGE_MAX_REFUSAL_BYTES : EXCHANGE_MAX_BODY_BYTES))
      return fail_protocol(exchange, is_refusal ? "an error's body of more than 1 MiB"
                                                : "a body of more than 32 MiB");
    buffer_append(&exchange->whole, exchange->body.at, exchange->body.len);
    exchange->body = (Span){ NULL, 0 };
    return STREAM_WAIT;
  default:
    *piece = exchange->body;
    exchange->body = (Span){ NULL, 0 };
    return STREAM_PIECE;
  }
}

static StreamStatus stream_end(Exchange *exchange, Span *piece)
{
  if (exchange->decoder != BODY_WHOLE || exchange->has_piece)
    return STREAM_END;
  exchange->has_piece = true;
  *piece = (Span){ exchange->whole.len ? exchange->whole.bytes : "", exchange->whole.len };
  return STREAM_PIECE;
}

static StreamStatus stream_read(Stream *stream, Span *piece)
{
  Exchange *exchange = exchange_of(stream);
  StreamStatus status = STREAM_WAIT;
  while (exchange->state == EXCHANGE_ANSWERING && status == STREAM_WAIT) {
    if (ready_bytes(exchange) <= EXCHANGE_MAX_READY_BYTES / 2)
      wire_read(exchange->wire, true);
    if (exchange->body.len) {
      status = decode(exchange, piece);
      continue;
    }
    switch (next_step(exchange)) {
    case RESPONSE_BODY:
      exchange->body = exchange->response.body;
      break;
    case RESPONSE_COMPLETE:
      finish(exchange);
      break;
    case RESPONSE_BAD:
      status = fail_bad(exchange);
      break;
    default:
      wire_read(exchange->wire, true);
      return wait(exchange);
    }
  }
  if (status != STREAM_WAIT)
    return status;
  if (exchange->state == EXCHANGE_DONE)
    return stream_end(exchange, piece);
  return exchange->state == EXCHANGE_FAILED ? STREAM_ERROR : wait(exchange);
}

static void stream_close(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  if (exchange->state == EXCHANGE_ANSWERING && exchange->wire) {
    ResponseStep step;
    do
      step = next_step(exchange);
    while (step == RESPONSE_BODY);
    if (step == RESPONSE_COMPLETE)
      finish(exchange);
  }
  drop_wire(exchange);
  timer_stop(&exchange->timer);
  if (exchange->origin)
    origin_release(exchange->origin);
  if (exchange->request.bytes)
    explicit_bzero(exchange->request.bytes, exchange->request.len);
  buffer_free(&exchange->request);
  buffer_free(&exchange->inbox);
  buffer_free(&exchange->arrived);
  buffer_free(&exchange->whole);
  response_free(&exchange->response);
  sse_free(&exchange->sse);
  --*exchange->streams;
  mem_free(exchange);
}

static const StreamClass stream_class = { stream_head, stream_read, stream_close };

Stream *exchange_new(Loop *loop, Pool *pool, uint32_t *streams, const ClientCall *call)
{
  Exchange *exchange = mem_zero(1, sizeof *exchange);
  const char *why = NULL;
  Url url;
  assert(call->decoder != BODY_FRAMES);
  ++*streams;
  exchange->stream.class = &stream_class;
  exchange->stream.error.retry_after_s = -1;
  exchange->loop = loop;
  exchange->streams = streams;
  exchange->decoder = (uint8_t)call->decoder;
  exchange->times = call->times;
  exchange->is_head = strcmp(call->method, "HEAD") == 0;
  exchange->may_repeat = call->may_repeat || exchange->is_head || strcmp(call->method, "GET") == 0;
  forget_reply(exchange);
  if (url_parse(call->url, &url, &why) < 0) {
    char text[160];
    snprintf(text, sizeof text, "bad_url: expected %s", why);
    fail(exchange, "upstream_error", text);
    return &exchange->stream;
  }
  if (request_compose(call, &url, &exchange->request) < 0) {
    fail(exchange, "upstream_error", "bad_request_header: expected no control characters");
    return &exchange->stream;
  }
  exchange->origin = pool_origin(pool, &url);
  retry_count_call(origin_budget(exchange->origin));
  if (call->times.total_ms)
    exchange->total_due_ms = loop_now_ms(loop) + call->times.total_ms;
  attempt(exchange);
  return &exchange->stream;
}

const char *exchange_event_name(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  return exchange->sse.out_event.len ? exchange->sse.out_event.at : "";
}

const HeaderList *exchange_headers(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  return exchange->response.status && exchange->state != EXCHANGE_PAUSED
             ? &exchange->response.headers
             : NULL;
}
