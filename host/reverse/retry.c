// See retry.h.
#include "retry.h"

#include <string.h>
#include <time.h>

#include "../base/clock.h"
#include "../base/random.h"

enum {
  CALL_EARNS = 20, // a fifth of a retry
  RETRY_COSTS = 100,
  BUDGET_START = 200,
  BUDGET_MAX = 1000,
  CONNECT_MS =
      6, // then 12: a server that is being replaced; the caller shall not wait for a dead one
  STATUS_MS = 500,
};

void retry_count_call(RetryBudget *budget)
{
  budget->spent -= CALL_EARNS;
  if (budget->spent < BUDGET_START - BUDGET_MAX)
    budget->spent = BUDGET_START - BUDGET_MAX;
}

int64_t retry_after_ms(Span value)
{
  char text[64];
  struct tm when = { 0 };
  int64_t seconds = 0, now_ms = (int64_t)host_clock.wall_ms();
  const char *end;
  size_t i;
  if (!value.at || value.len == 0 || value.len >= sizeof text)
    return -1;
  memcpy(text, value.at, value.len);
  text[value.len] = '\0';
  for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 9; i++)
    seconds = seconds * 10 + (text[i] - '0');
  if (i > 0 &&
      (text[i] == '\0' || text[i] == '.')) // fractions were seen; the next second is kinder
    return (seconds + (text[i] == '.')) * 1000;
  end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &when);
  if (!end || *end)
    return -1;
  seconds = timegm(&when);
  return seconds * 1000 > now_ms ? seconds * 1000 - now_ms : 0;
}

static bool is_worth_it(const RetryFacts *facts)
{
  switch (facts->status) {
  case 0:
    return facts->may_repeat || !facts->was_sent;
  case 429:
    return true;
  case 503:
    return facts->may_repeat || facts->retry_after.at;
  case 408:
  case 409:
    return facts->may_repeat;
  default:
    return facts->may_repeat && facts->status >= 500;
  }
}

// Between three quarters of `ms` and all of it.
static int64_t jitter(int64_t ms)
{
  uint8_t byte;
  random_source.fill(&byte, sizeof byte);
  return ms - ms * byte / 1024;
}

int64_t retry_decide(RetryBudget *budget, const RetryFacts *facts)
{
  int64_t delay_ms;
  if (facts->retries >= RETRY_MAX || !is_worth_it(facts) ||
      budget->spent + RETRY_COSTS > BUDGET_START)
    return -1;
  if (facts->status == 0) {
    delay_ms = jitter(CONNECT_MS << facts->retries);
  } else {
    int64_t asked_ms = retry_after_ms(facts->retry_after);
    delay_ms = asked_ms >= 0 ? asked_ms : jitter(STATUS_MS << facts->retries);
  }
  if (delay_ms > facts->longest_ms)
    return -1;
  budget->spent += RETRY_COSTS;
  return delay_ms;
}
