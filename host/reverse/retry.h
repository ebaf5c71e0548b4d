// Whether a failed attempt is worth another one, and when. Only before the first byte of a reply
// that its caller will see; at most RETRY_MAX times; and, per origin, for at most a fifth of its
// calls, so that an origin in trouble is not kept there by us.
//
// A call that may be repeated (a model call, a GET) is tried again when no connection could be
// made, when the connection ended before any byte of a reply, and on 408, 409, 429 and 5xx. Any
// other call only when not one byte of it was handed to the kernel, on 429, or on 503 with
// Retry-After: there the server itself says that it did nothing. Refused certificates, unknown
// names and time limits are final: they would only fail again, later.
#ifndef MOONHOOK_REVERSE_RETRY_H
#define MOONHOOK_REVERSE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"

enum { RETRY_MAX = 2 };

// Zero-initialised it is full enough for a first call's retries.
typedef struct {
  int32_t spent; // in hundredths of a retry; negative: saved up
} RetryBudget;

typedef struct {
  uint32_t retries; // made so far
  bool may_repeat;
  bool was_sent;       // a byte of the request may have reached the peer
  int status;          // of the reply; 0: there was none
  Span retry_after;    // its header's value; `at` NULL: none
  uint32_t longest_ms; // a longer wait is not worth it
} RetryFacts;

void retry_count_call(RetryBudget *budget);
// Milliseconds to wait before the next attempt (the budget is charged), or -1: no more.
int64_t retry_decide(RetryBudget *budget, const RetryFacts *facts);
// The milliseconds that a Retry-After value asks for (seconds, or a date), -1 when it is neither.
int64_t retry_after_ms(Span value);

#endif
