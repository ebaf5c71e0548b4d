// Attempts: a connection, the request, the reply's head; time limits, retries, the breaker. What
// arrives is put into the inlet; only the head is parsed as it comes, since a retry may depend on
// it.
#include <stdio.h>
#include <string.h>

#include "exchange_parts.h"

enum { LEAST_BLAMED_MS = 1000 };

void exchange_wake(Exchange *exchange)
{
  if (!exchange->is_waiting)
    return;
  exchange->is_waiting = false;
  if (exchange->stream.on_ready)
    exchange->stream.on_ready(&exchange->stream);
}

void exchange_drop_wire(Exchange *exchange)
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

void exchange_tell_breaker(Exchange *exchange, Outcome outcome)
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

StreamStatus exchange_fail(Exchange *exchange, const char *code, const char *text)
{
  exchange_tell_breaker(exchange, blames_upstream(exchange, text) ? WENT_BADLY : WENT_UNSEEN);
  exchange_drop_wire(exchange);
  timer_stop(&exchange->timer);
  exchange->state = EXCHANGE_FAILED;
  exchange->body = (Span){ NULL, 0 };
  return stream_fail(&exchange->stream, code, "%s", text);
}

static StreamStatus fail_protocol(Exchange *exchange, const char *problem)
{
  char text[160];
  snprintf(text, sizeof text, "upstream_protocol: %s", problem);
  return exchange_fail(exchange, "upstream_error", text);
}

// --- time ----------------------------------------------------------------------------------------

static void on_due(Timer *timer);

// Runs for `delay_ms`, or to the total limit if that comes first.
void exchange_start_timer(Exchange *exchange, uint64_t delay_ms)
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
  exchange_fail(exchange, "upstream_timeout", text);
  exchange_wake(exchange);
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
    exchange_attempt(exchange);
    break;
  case EXCHANGE_CONNECTING:
    time_out(exchange, "connect_timeout", "no connection", times->connect_ms);
    break;
  case EXCHANGE_ASKING:
    if (exchange->is_sending && wire_unsent(exchange->wire) == 0) { // the caller takes its time
      exchange_start_timer(exchange, times->first_byte_ms);
    } else if (wire_unsent(exchange->wire) <
               exchange->unsent) { // a large request, still on its way
      exchange->unsent = wire_unsent(exchange->wire);
      exchange_start_timer(exchange, times->first_byte_ms);
    } else {
      time_out(exchange, "first_byte_timeout", "no reply", times->first_byte_ms);
    }
    break;
  case EXCHANGE_ANSWERING:
    // Time counts only while somebody waits: a consumer may be slow, an upstream may not.
    if (exchange->is_waiting)
      time_out(exchange, "idle_timeout", "nothing more came", times->idle_ms);
    else if (exchange->total_due_ms)
      exchange_start_timer(exchange, exchange->total_due_ms - loop_now_ms(exchange->loop));
    break;
  default:
    break;
  }
}

// --- attempts ------------------------------------------------------------------------------------

void exchange_forget_request(Exchange *exchange)
{
  if (exchange->request.bytes)
    explicit_bzero(exchange->request.bytes, exchange->request.len); // a key is in it
  buffer_free(&exchange->request);
  exchange_weigh(exchange);
}

void exchange_forget_reply(Exchange *exchange)
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
  exchange_drop_wire(exchange);
  exchange_forget_reply(exchange);
  exchange->state = EXCHANGE_PAUSED;
  exchange_start_timer(exchange, (uint64_t)delay_ms);
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
    exchange_drop_wire(exchange);
    exchange_forget_reply(exchange);
    exchange_attempt(exchange);
    return;
  }
  if (code != UV_EPROTO && code != UV_EAI_FAIL && try_again(exchange, 0, was_sent))
    return;
  if (strncmp(text, "blocked_address: ", 17) == 0)
    exchange_fail(exchange, "blocked_address", text);
  else // our own lack of ports is no upstream's fault
    exchange_fail(exchange, code == UV_EADDRNOTAVAIL ? "no_ports" : "upstream_error", text);
  exchange_wake(exchange);
}

static void send_request(Exchange *exchange)
{
  int rc;
  exchange->state = EXCHANGE_ASKING;
  exchange_start_timer(exchange, exchange->times.first_byte_ms);
  rc = wire_write(exchange->wire, exchange->request.bytes, exchange->request.len);
  exchange->unsent = wire_unsent(exchange->wire);
  if (exchange->streams_body)
    exchange_forget_request(exchange);
  if (rc < 0)
    lost(exchange, rc, "upstream_truncated: the connection broke before the request was sent");
  else if (exchange->is_sending && exchange->unsent < EXCHANGE_MAX_UNSENT_BYTES / 2)
    exchange_wake(exchange); // whoever waits for room
}

static void on_open(Wire *wire)
{
  send_request(wire_owner(wire));
}

static void on_bytes(Wire *wire, const char *bytes, size_t len);
static void on_end(Wire *wire, int code, const char *text);
static const WireEvents wire_events = { on_open, on_bytes, on_end, exchange_on_drain };

void exchange_attempt(Exchange *exchange)
{
  exchange->wire =
      exchange->was_stale ? NULL : origin_take(exchange->origin, &wire_events, exchange);
  exchange->is_reused = exchange->wire != NULL;
  if (exchange->wire) {
    send_request(exchange);
    return;
  }
  exchange->state = EXCHANGE_CONNECTING;
  exchange_start_timer(exchange, exchange->times.connect_ms);
  exchange->wire = origin_connect(exchange->origin, &wire_events, exchange);
}

// --- what arrives --------------------------------------------------------------------------------

size_t exchange_ready_bytes(const Exchange *exchange)
{
  return exchange->body.len + inlet_ready_bytes(&exchange->inlet);
}

void exchange_weigh(Exchange *exchange)
{
  charge_set(&exchange->stream.charge, exchange->request.len + inlet_held_bytes(&exchange->inlet) +
                                           decoder_held_bytes(&exchange->decoder) +
                                           (exchange->wire ? wire_unsent(exchange->wire) : 0));
}

StreamStatus exchange_fail_bad(Exchange *exchange)
{
  char text[160];
  inlet_problem(&exchange->inlet, text, sizeof text);
  return exchange_fail(exchange, "upstream_error", text);
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
  exchange_tell_breaker(exchange, status >= 502 && status <= 504 ? WENT_BADLY : WENT_WELL);
  exchange->state = EXCHANGE_ANSWERING;
  exchange_forget_request(exchange);
  if (exchange->total_due_ms)
    exchange_start_timer(exchange, exchange->times.total_ms);
  else
    timer_stop(&exchange->timer);
  if (exchange->is_raw) {
    exchange_wake(exchange);
    return;
  }
  if (encoding.len && !span_is_ignoring_case(encoding, "identity"))
    fail_protocol(exchange, "a content encoding that was not asked for");
  else if (status < 200 || status > 299)
    decoder_init(&exchange->decoder, BODY_WHOLE, EXCHANGE_MAX_REFUSAL_BYTES);
  else if (exchange->decoder.kind == BODY_SSE && type.len >= 16 &&
           span_is_ignoring_case((Span){ type.at, 16 }, "application/json"))
    decoder_init(&exchange->decoder, BODY_WHOLE, EXCHANGE_MAX_BODY_BYTES);
  exchange_wake(exchange);
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
      exchange_fail_bad(exchange);
      exchange_wake(exchange);
    } else {
      lost(exchange, exchange->inlet.end_code, exchange->inlet.end_text);
    }
  }
}

static void on_bytes(Wire *wire, const char *bytes, size_t len)
{
  Exchange *exchange = wire_owner(wire);
  inlet_put(&exchange->inlet, bytes, len);
  exchange_weigh(exchange);
  if (exchange->state == EXCHANGE_ASKING) {
    look_for_head(exchange);
    if (exchange->wire != wire)
      return;
  } else {
    exchange_wake(exchange);
  }
  if (exchange_ready_bytes(exchange) > EXCHANGE_MAX_READY_BYTES)
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
    exchange_wake(exchange);
}
