// See exchange.h. An exchange is pulled: what arrives waits in the inlet, and is parsed and decoded
// only when somebody reads.
#include "exchange.h"

#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/metrics.h"
#include "exchange_parts.h"
#include "request.h"

static StreamStatus wait(Exchange *exchange)
{
  exchange->is_waiting = true;
  if (exchange->state == EXCHANGE_ANSWERING)
    exchange_start_timer(exchange, exchange->times.idle_ms);
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
  exchange_drop_wire(exchange);
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
    return exchange_fail(exchange, "upstream_error", problem);
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
    return exchange_fail(exchange, "upstream_error", problem);
  default:
    return STREAM_END;
  }
}

static StreamStatus read_piece(Exchange *exchange, Span *piece)
{
  StreamStatus status = STREAM_WAIT;
  while (exchange->state == EXCHANGE_ANSWERING && status == STREAM_WAIT) {
    if (exchange_ready_bytes(exchange) <= EXCHANGE_MAX_READY_BYTES / 2)
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
      status = exchange_fail_bad(exchange);
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

static StreamStatus stream_read(Stream *stream, Span *piece)
{
  StreamStatus status = read_piece(exchange_of(stream), piece);
  exchange_weigh(exchange_of(stream));
  return status;
}

static void count(const Exchange *exchange)
{
  const char *outcome = "client_disconnect"; // whoever asked did not wait for the end
  uint64_t now_ms = loop_now_ms(exchange->loop);
  MetricSeries *series;
  if (exchange->state == EXCHANGE_FAILED)
    outcome = strcmp(exchange->stream.error.code, "upstream_timeout") == 0 ? "timeout" : "error";
  else if (exchange->state == EXCHANGE_DONE)
    outcome = exchange->inlet.response.status < 400 ? "success" : "error";
  series =
      metrics_series(METRIC_INVOCATIONS, exchange->kind ? exchange->kind : "http", outcome, "", 0);
  atomic_fetch_add_explicit(&series->count, 1, memory_order_relaxed);
  metrics_observe(&series->duration, (now_ms - exchange->started_ms) * 1000);
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
  count(exchange);
  exchange_drop_wire(exchange);
  timer_stop(&exchange->timer);
  exchange_tell_breaker(exchange, WENT_UNSEEN);
  if (exchange->origin)
    origin_release(exchange->origin);
  exchange_forget_request(exchange);
  inlet_free(&exchange->inlet);
  decoder_free(&exchange->decoder);
  stream_over(stream);
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
  exchange->kind = call->kind;
  exchange->started_ms = loop_now_ms(loop);
  exchange->is_head = strcmp(call->method, "HEAD") == 0;
  exchange->may_repeat = call->may_repeat || exchange->is_head || strcmp(call->method, "GET") == 0;
  exchange->is_raw = call->is_raw;
  exchange->streams_body = exchange->is_sending = call->streams_body;
  exchange->was_stale = call->streams_body; // a pooled wire may fail, and its bytes come only once
  exchange_forget_reply(exchange);
  if (url_parse(call->url, &url, &why) < 0) {
    char text[160];
    snprintf(text, sizeof text, "bad_url: expected %s", why);
    exchange_fail(exchange, "upstream_error", text);
    return &exchange->stream;
  }
  if (request_compose(call, &url, &exchange->request) < 0) {
    exchange_fail(exchange, "upstream_error", "bad_request_header: expected no control characters");
    return &exchange->stream;
  }
  exchange->origin = pool_origin(pool, &url, call->policy);
  exchange->pass = (uint8_t)breaker_admit(origin_breaker(exchange->origin), loop_now_ms(loop));
  if (exchange->pass == BREAKER_REFUSED) {
    exchange_fail(exchange, "upstream_unavailable",
                  "the upstream keeps failing and is left alone for now");
    exchange->stream.error.retry_after_s =
        (int)breaker_wait_s(origin_breaker(exchange->origin), loop_now_ms(loop));
    return &exchange->stream;
  }
  retry_count_call(origin_budget(exchange->origin));
  if (call->times.total_ms)
    exchange->total_due_ms = loop_now_ms(loop) + call->times.total_ms;
  exchange_attempt(exchange);
  exchange_weigh(exchange);
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

const char *exchange_event_id(Stream *stream)
{
  const Decoder *decoder = &exchange_of(stream)->decoder;
  return decoder->kind == BODY_SSE && decoder->sse.id.len ? decoder->sse.id.bytes : "";
}

const HeaderList *exchange_headers(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  return exchange->inlet.response.status && exchange->state != EXCHANGE_PAUSED
             ? &exchange->inlet.response.headers
             : NULL;
}
