// What the files of an exchange share, and nobody else sees: exchange.c is its stream of pieces,
// exchange_attempt.c what happens until a reply's head is there, exchange_send.c a body that is
// streamed.
#ifndef MOONHOOK_REVERSE_EXCHANGE_PARTS_H
#define MOONHOOK_REVERSE_EXCHANGE_PARTS_H

#include "decoder.h"
#include "exchange.h"
#include "inlet.h"

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
  uint64_t started_ms;
  const char *kind; // as ClientCall's
  size_t unsent;    // when the timer was started
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

typedef enum { WENT_WELL, WENT_BADLY, WENT_UNSEEN } Outcome;

static inline Exchange *exchange_of(Stream *stream)
{
  return (Exchange *)stream;
}

// exchange_attempt.c
void exchange_attempt(Exchange *exchange); // over a pooled wire, or a new one
void exchange_wake(Exchange *exchange);
void exchange_tell_breaker(Exchange *exchange, Outcome outcome); // once; then no effect
StreamStatus exchange_fail(Exchange *exchange, const char *code, const char *text);
StreamStatus exchange_fail_bad(Exchange *exchange); // after RESPONSE_BAD
void exchange_drop_wire(Exchange *exchange);
void exchange_forget_request(Exchange *exchange);
void exchange_forget_reply(Exchange *exchange);
// Runs for `delay_ms`, or to the total limit if that comes first.
void exchange_start_timer(Exchange *exchange, uint64_t delay_ms);
size_t exchange_ready_bytes(const Exchange *exchange); // arrived, and not given to anybody
void exchange_weigh(Exchange *exchange);               // tells the stream's charge what is kept now

// exchange_send.c
void exchange_on_drain(Wire *wire);

#endif
