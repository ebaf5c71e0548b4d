// See exchange.h. An exchange is pulled: what arrives is put into the inlet, and parsed only when
// somebody reads. Only the head is parsed as it comes, since a retry may depend on it.
#include "exchange.h"

#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "decoder.h"
#include "inlet.h"
#include "request.h"

enum { LEAST_BLAMED_MS = 1000 };

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
  Inlet inlet;
  Span body; // of the inlet, not decoded yet
  Decoder decoder;
  Timer timer;
  uint64_t total_due_ms; // 0: none
  size_t unsent;         // when the timer was started
  ClientTimes times;
  uint32_t retries;
  uint8_t state; // ExchangeState
  uint8_t pass;  // BreakerPass; BREAKER_REFUSED once the breaker knows how it turned out
  bool is_head, may_repeat, is_raw;
  bool streams_body; // and is_sending: its end was not given yet
  bool is_sending;
  bool is_waiting; // for on_ready
  bool is_reused;  // the wire came from the pool
  bool was_stale;  // a pooled wire failed already
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

// --- the breaker ---------------------------------------------------------------------------------

// Is what went wrong the upstream's doing? A limit that the caller has made very short is not, nor
// is what the upstream had no part in.
static bool blames_upstream(const Exchange *exchange, const char *text)
{
  static const char *const others[] = { "dns:", "tls_verify:",    "blocked_address:",
                                        "bad_", "total_timeout:", "proxy_refused:" };
  const ClientTimes *times = &exchange->times;
  size_t i;
  for (i = 0; i < sizeof others / sizeof *others; i++) {
    if (strncmp(text, others[i], strlen(others[i])) == 0)
      return false;
  }
  if (strncmp(text, "connect_timeout:", 16) == 0)
    return times->connect_ms >= LEAST_BLAMED_MS;
  return strncmp(text, "first_byte_timeout:", 19) != 0 || times->first_byte_ms >= LEAST_BLAMED_MS;
}

typedef enum { WENT_WELL, WENT_BADLY, WENT_UNSEEN } Outcome;

static void tell_breaker(Exchange *exchange, Outcome outcome)
{
  BreakerPass pass = exchange->pass;
  Breaker *breaker;
  exchange->pass = BREAKER_REFUSED;
  if (pass == BREAKER_REFUSED)
    return;
  breaker = origin_breaker(exchange->origin);
  if (outcome == WENT_WELL)
    breaker_succeed(breaker);
  else if (outcome == WENT_BADLY)
    breaker_fail(breaker, pass, loop_now_ms(exchange->loop));
  else
    breaker_leave(breaker, pass);
}

static StreamStatus fail(Exchange *exchange, const char *code, const char *text)
{
  tell_breaker(exchange, blames_upstream(exchange, text) ? WENT_BADLY : WENT_UNSEEN);
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
    if (exchange->is_sending && wire_unsent(exchange->wire) == 0) { // the caller takes its time
      start_timer(exchange, times->first_byte_ms);
    } else if (wire_unsent(exchange->wire) <
               exchange->unsent) { // a large request, still on its way
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

static void forget_request(Exchange *exchange)
{
  if (exchange->request.bytes)
    explicit_bzero(exchange->request.bytes, exchange->request.len); // a key is in it
  buffer_free(&exchange->request);
}

static void forget_reply(Exchange *exchange)
{
  inlet_reset(&exchange->inlet, exchange->is_head ? RESPONSE_TO_HEAD : RESPONSE_TO_OTHER);
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
  if (breaker_is_open(origin_breaker(exchange->origin)))
    return false;
  if (exchange->streams_body && exchange->state != EXCHANGE_CONNECTING)
    return false; // its bytes are gone
  if (status)
    facts.retry_after = header_list_get(&exchange->inlet.response.headers, "Retry-After");
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
  fail(exchange, strncmp(text, "blocked_address: ", 17) ? "upstream_error" : "blocked_address",
       text);
  wake(exchange);
}

static void send_request(Exchange *exchange)
{
  int rc;
  exchange->state = EXCHANGE_ASKING;
  start_timer(exchange, exchange->times.first_byte_ms);
  rc = wire_write(exchange->wire, exchange->request.bytes, exchange->request.len);
  exchange->unsent = wire_unsent(exchange->wire);
  if (exchange->streams_body)
    forget_request(exchange);
  if (rc < 0)
    lost(exchange, rc, "upstream_truncated: the connection broke before the request was sent");
  else if (exchange->is_sending && exchange->unsent < EXCHANGE_MAX_UNSENT_BYTES / 2)
    wake(exchange); // whoever waits for room
}

static void on_open(Wire *wire)
{
  send_request(wire_owner(wire));
}

static void on_bytes(Wire *wire, const char *bytes, size_t len);
static void on_end(Wire *wire, int code, const char *text);
static void on_drain(Wire *wire);
static const WireEvents wire_events = { on_open, on_bytes, on_end, on_drain };

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
  return exchange->body.len + inlet_ready_bytes(&exchange->inlet);
}

static StreamStatus fail_bad(Exchange *exchange)
{
  char text[160];
  inlet_problem(&exchange->inlet, text, sizeof text);
  return fail(exchange, "upstream_error", text);
}

// The head is complete: what is to be done with the body?
static void take_head(Exchange *exchange)
{
  const HeaderList *headers = &exchange->inlet.response.headers;
  Span encoding = header_list_get(headers, "Content-Encoding");
  Span type = header_list_get(headers, "Content-Type");
  int status = exchange->inlet.response.status;
  if (status >= 400 && try_again(exchange, status, true))
    return;
  tell_breaker(exchange, status >= 502 && status <= 504 ? WENT_BADLY : WENT_WELL);
  exchange->state = EXCHANGE_ANSWERING;
  forget_request(exchange);
  if (exchange->total_due_ms)
    start_timer(exchange, exchange->times.total_ms);
  else
    timer_stop(&exchange->timer);
  if (exchange->is_raw) {
    wake(exchange);
    return;
  }
  if (encoding.len && !span_is_ignoring_case(encoding, "identity"))
    fail_protocol(exchange, "a content encoding that was not asked for");
  else if (status < 200 || status > 299)
    decoder_init(&exchange->decoder, BODY_WHOLE, EXCHANGE_MAX_REFUSAL_BYTES);
  else if (exchange->decoder.kind == BODY_SSE && type.len >= 16 &&
           span_is_ignoring_case((Span){ type.at, 16 }, "application/json"))
    decoder_init(&exchange->decoder, BODY_WHOLE, EXCHANGE_MAX_BODY_BYTES);
  wake(exchange);
}

static void look_for_head(Exchange *exchange)
{
  switch (inlet_step(&exchange->inlet)) {
  case RESPONSE_MORE:
    break;
  case RESPONSE_HEAD:
    take_head(exchange);
    break;
  default:
    if (exchange->inlet.response.has_started || !exchange->inlet.has_ended) {
      fail_bad(exchange);
      wake(exchange);
    } else {
      lost(exchange, exchange->inlet.end_code, exchange->inlet.end_text);
    }
  }
}

static void on_bytes(Wire *wire, const char *bytes, size_t len)
{
  Exchange *exchange = wire_owner(wire);
  inlet_put(&exchange->inlet, bytes, len);
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
  inlet_end(&exchange->inlet, code, text);
  if (exchange->state == EXCHANGE_ASKING)
    look_for_head(exchange);
  else
    wake(exchange);
}

// --- a streamed body -----------------------------------------------------------------------------

// Body bytes on their way: kept until there is a connection, then the wire's.
static void send_bytes(Exchange *exchange, const char *bytes, size_t len)
{
  int rc;
  if (exchange->state < EXCHANGE_ASKING) {
    buffer_append(&exchange->request, bytes, len);
    return;
  }
  rc = wire_write(exchange->wire, bytes, len);
  exchange->unsent = wire_unsent(exchange->wire);
  // A peer that does not want the rest answers and closes: what it said is still to be read, and
  // the reading side tells how the connection ended.
  if (rc < 0)
    exchange->is_sending = false;
}

ClientRoom exchange_room(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  const Inlet *inlet = &exchange->inlet;
  size_t unsent;
  if (!exchange->is_sending || exchange->state >= EXCHANGE_DONE ||
      (exchange->state == EXCHANGE_ANSWERING &&
       (inlet->response.status >= 300 || inlet->has_ended)))
    return CLIENT_OVER;
  unsent = exchange->state < EXCHANGE_ASKING ? exchange->request.len : wire_unsent(exchange->wire);
  if (unsent < EXCHANGE_MAX_UNSENT_BYTES)
    return CLIENT_ROOM;
  exchange->is_waiting = true;
  return CLIENT_FULL;
}

ClientRoom exchange_send(Stream *stream, const void *bytes, size_t len)
{
  Exchange *exchange = exchange_of(stream);
  ClientRoom room = exchange_room(stream);
  Buffer chunk = { 0 };
  if (room == CLIENT_OVER || len == 0)
    return room;
  buffer_reserve(&chunk, len + 24);
  buffer_printf(&chunk, "%zx\r\n", len);
  buffer_append(&chunk, bytes, len);
  buffer_string(&chunk, "\r\n");
  send_bytes(exchange, chunk.bytes, chunk.len);
  buffer_free(&chunk);
  return exchange_room(stream);
}

void exchange_send_end(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  if (exchange_room(stream) == CLIENT_OVER)
    return;
  exchange->is_waiting = false;
  exchange->is_sending = false;
  if (exchange->state == EXCHANGE_ASKING)
    start_timer(exchange, exchange->times.first_byte_ms);
  send_bytes(exchange, "0\r\n\r\n", 5);
}

static void on_drain(Wire *wire)
{
  Exchange *exchange = wire_owner(wire);
  if (!exchange->is_sending)
    return;
  if (exchange->state == EXCHANGE_ASKING) {
    exchange->unsent = wire_unsent(wire);
    start_timer(exchange, exchange->times.first_byte_ms);
  }
  if (wire_unsent(wire) < EXCHANGE_MAX_UNSENT_BYTES / 2)
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
  bool is_clean = !exchange->is_sending && !exchange->inlet.has_ended &&
                  inlet_ready_bytes(&exchange->inlet) == 0 &&
                  response_keeps_alive(&exchange->inlet.response);
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
  *status = exchange->inlet.response.status;
  return STREAM_PIECE;
}

// Body bytes into the decoder. STREAM_WAIT: they were not enough for a piece.
static StreamStatus decode(Exchange *exchange, Span *piece)
{
  const char *problem = NULL;
  switch (decoder_feed(&exchange->decoder, &exchange->body, piece, &problem)) {
  case DECODE_PIECE:
    return STREAM_PIECE;
  case DECODE_BAD:
    return fail(exchange, "upstream_error", problem);
  default:
    return STREAM_WAIT;
  }
}

static StreamStatus decode_end(Exchange *exchange, Span *piece)
{
  const char *problem = NULL;
  switch (decoder_end(&exchange->decoder, piece, &problem)) {
  case DECODE_PIECE:
    return STREAM_PIECE;
  case DECODE_BAD:
    return fail(exchange, "upstream_error", problem);
  default:
    return STREAM_END;
  }
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
    switch (inlet_step(&exchange->inlet)) {
    case RESPONSE_BODY:
      exchange->body = exchange->inlet.response.body;
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
    return decode_end(exchange, piece);
  return exchange->state == EXCHANGE_FAILED ? STREAM_ERROR : wait(exchange);
}

static void stream_close(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  if (exchange->state == EXCHANGE_ANSWERING && exchange->wire) {
    ResponseStep step;
    do
      step = inlet_step(&exchange->inlet);
    while (step == RESPONSE_BODY);
    if (step == RESPONSE_COMPLETE)
      finish(exchange);
  }
  drop_wire(exchange);
  timer_stop(&exchange->timer);
  tell_breaker(exchange, WENT_UNSEEN);
  if (exchange->origin)
    origin_release(exchange->origin);
  forget_request(exchange);
  inlet_free(&exchange->inlet);
  decoder_free(&exchange->decoder);
  --*exchange->streams;
  mem_free(exchange);
}

static const StreamClass stream_class = { stream_head, stream_read, stream_close };

Stream *exchange_new(Loop *loop, Pool *pool, uint32_t *streams, const ClientCall *call)
{
  Exchange *exchange = mem_zero(1, sizeof *exchange);
  const char *why = NULL;
  Url url;
  ++*streams;
  exchange->stream.class = &stream_class;
  exchange->stream.error.retry_after_s = -1;
  exchange->loop = loop;
  exchange->streams = streams;
  decoder_init(&exchange->decoder, call->decoder, EXCHANGE_MAX_BODY_BYTES);
  exchange->times = call->times;
  exchange->is_head = strcmp(call->method, "HEAD") == 0;
  exchange->may_repeat = call->may_repeat || exchange->is_head || strcmp(call->method, "GET") == 0;
  exchange->is_raw = call->is_raw;
  exchange->streams_body = exchange->is_sending = call->streams_body;
  exchange->was_stale = call->streams_body; // a pooled wire may fail, and its bytes come only once
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
  exchange->origin = pool_origin(pool, &url, call->policy);
  exchange->pass = (uint8_t)breaker_admit(origin_breaker(exchange->origin), loop_now_ms(loop));
  if (exchange->pass == BREAKER_REFUSED) {
    fail(exchange, "upstream_unavailable", "the upstream keeps failing and is left alone for now");
    exchange->stream.error.retry_after_s =
        (int)breaker_wait_s(origin_breaker(exchange->origin), loop_now_ms(loop));
    return &exchange->stream;
  }
  retry_count_call(origin_budget(exchange->origin));
  if (call->times.total_ms)
    exchange->total_due_ms = loop_now_ms(loop) + call->times.total_ms;
  attempt(exchange);
  return &exchange->stream;
}

void exchange_decode(Stream *stream, BodyDecoder decoder)
{
  decoder_init(&exchange_of(stream)->decoder, decoder, EXCHANGE_MAX_BODY_BYTES);
}

const char *exchange_event_name(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  const Decoder *decoder = &exchange->decoder;
  return decoder->kind == BODY_SSE && decoder->sse.out_event.len ? decoder->sse.out_event.at : "";
}

const HeaderList *exchange_headers(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  return exchange->inlet.response.status && exchange->state != EXCHANGE_PAUSED
             ? &exchange->inlet.response.headers
             : NULL;
}
