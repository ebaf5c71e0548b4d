// A circuit breaker: an upstream that keeps failing is left alone for a while, and then asked by
// one call alone before the others follow. Failing is what says something about the upstream
// itself: no connection, no answer in time, an answer that is no HTTP, 502, 503 and 504.
#ifndef MOONHOOK_REVERSE_BREAKER_H
#define MOONHOOK_REVERSE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum {
  BREAKER_FAILURES = 5,    // in a row, before it opens
  BREAKER_FIRST_MS = 1000, // how long it stays open; twice as long after each failed probe,
  BREAKER_LONGEST_MS = 4000
};

// Zero-initialise.
typedef struct {
  uint32_t failures; // in a row
  uint32_t open_ms;  // 0: closed
  uint64_t until_ms; // open: when a probe may go
  bool is_probing;
} Breaker;

// What a call must remember about its admission.
typedef enum { BREAKER_REFUSED, BREAKER_ADMITTED, BREAKER_PROBE } BreakerPass;

BreakerPass breaker_admit(Breaker *breaker, uint64_t now_ms);
bool breaker_is_open(const Breaker *breaker);
uint32_t breaker_wait_s(const Breaker *breaker, uint64_t now_ms); // of a refused call; at least 1
// How an admitted call turned out; once for each.
void breaker_succeed(Breaker *breaker);
void breaker_fail(Breaker *breaker, BreakerPass pass, uint64_t now_ms);
void breaker_leave(Breaker *breaker, BreakerPass pass); // nobody knows: it was cancelled

#endif
