// See breaker.h.
#include "breaker.h"

BreakerPass breaker_admit(Breaker *breaker, uint64_t now_ms)
{
  if (!breaker->open_ms)
    return BREAKER_ADMITTED;
  if (breaker->is_probing || now_ms < breaker->until_ms)
    return BREAKER_REFUSED;
  breaker->is_probing = true;
  return BREAKER_PROBE;
}

bool breaker_is_open(const Breaker *breaker)
{
  return breaker->open_ms > 0;
}

uint32_t breaker_wait_s(const Breaker *breaker, uint64_t now_ms)
{
  if (breaker->until_ms <= now_ms)
    return 1;
  return (uint32_t)((breaker->until_ms - now_ms + 999) / 1000);
}

void breaker_succeed(Breaker *breaker)
{
  *breaker = (Breaker){ 0 };
}

void breaker_fail(Breaker *breaker, BreakerPass pass, uint64_t now_ms)
{
  breaker->failures++;
  if (pass == BREAKER_PROBE) {
    breaker->is_probing = false;
    breaker->open_ms *= 2;
    if (breaker->open_ms > BREAKER_LONGEST_MS)
      breaker->open_ms = BREAKER_LONGEST_MS;
    breaker->until_ms = now_ms + breaker->open_ms;
  } else if (!breaker->open_ms && breaker->failures >= BREAKER_FAILURES) {
    breaker->open_ms = BREAKER_FIRST_MS;
    breaker->until_ms = now_ms + breaker->open_ms;
  }
}

void breaker_leave(Breaker *breaker, BreakerPass pass)
{
  if (pass == BREAKER_PROBE)
    breaker->is_probing = false;
}
