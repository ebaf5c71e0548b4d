// See metrics.h. Open addressing; a place is claimed with one exchange and never given back.
#include "metrics.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <uv.h>

enum { MAX_PROBES = 64, MAX_SPINS = 1000 };

typedef struct {
  MetricTotals totals;
  MetricSeries others[METRIC_FAMILIES]; // that found no room
  MetricSeries series[METRIC_SERIES];
} Board;

const uint64_t metric_bounds_us[METRIC_BUCKETS] = { 1000,    5000,    10000,   25000,
                                                    50000,   100000,  250000,  500000,
                                                    1000000, 2500000, 5000000, 10000000 };

static Board *board;
static struct {
  MetricTotals totals;
  MetricSeries series;
} nobody; // of a program without a board

int metrics_open(Err *err)
{
  void *at = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  uint32_t i;
  if (at == MAP_FAILED)
    return err_set(err, UV_ENOMEM, "cannot map the metrics: no memory");
  board = at;
  for (i = 0; i < METRIC_FAMILIES; i++)
    board->others[i].family = i;
  return 0;
}

void metrics_close(void)
{
  if (board)
    munmap(board, sizeof *board);
  board = NULL;
}

static uint64_t mix(uint64_t hash, const char *text)
{
  for (; *text; text++)
    hash = (hash ^ (unsigned char)*text) * 1099511628211u;
  return (hash ^ 0xff) * 1099511628211u;
}

static bool is_it(const MetricSeries *series, MetricFamily family, const char *const labels[3],
                  int code)
{
  size_t room = sizeof series->labels[0] - 1;
  return series->family == (uint32_t)family && series->code == code &&
         strncmp(series->labels[0], labels[0], room) == 0 &&
         strncmp(series->labels[1], labels[1], room) == 0 &&
         strncmp(series->labels[2], labels[2], room) == 0;
}

// Another process may be making it; one that died in the middle of that leaves a hole.
static uint32_t settled(MetricSeries *series)
{
  uint32_t state = 1;
  int i;
  for (i = 0; i < MAX_SPINS && state == 1; i++)
    state = atomic_load_explicit(&series->state, memory_order_acquire);
  return state;
}

static bool claim(MetricSeries *series, MetricFamily family, const char *const labels[3], int code)
{
  uint32_t free_state = 0;
  int i;
  if (!atomic_compare_exchange_strong(&series->state, &free_state, 1))
    return false;
  series->family = family;
  series->code = code;
  for (i = 0; i < 3; i++)
    snprintf(series->labels[i], sizeof series->labels[i], "%s", labels[i]);
  atomic_store_explicit(&series->state, 2, memory_order_release);
  return true;
}

MetricSeries *metrics_series(MetricFamily family, const char *first, const char *second,
                             const char *third, int code)
{
  const char *const labels[3] = { first, second, third };
  uint64_t hash = mix(mix(mix(14695981039346656037u + (uint64_t)code, first), second), third);
  uint32_t i, at = (uint32_t)(hash ^ hash >> 32);
  if (!board)
    return &nobody.series;
  for (i = 0; i < MAX_PROBES; i++) {
    MetricSeries *series = &board->series[(at + i) % METRIC_SERIES];
    if (atomic_load_explicit(&series->state, memory_order_acquire) == 0 &&
        claim(series, family, labels, code))
      return series;
    if (settled(series) == 2 && is_it(series, family, labels, code))
      return series;
  }
  return &board->others[family];
}

void metrics_observe(MetricTimes *times, uint64_t us)
{
  uint32_t i = 0;
  while (i < METRIC_BUCKETS && us > metric_bounds_us[i])
    i++;
  atomic_fetch_add_explicit(&times->buckets[i], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&times->sum_us, us, memory_order_relaxed);
}

MetricTotals *metrics_totals(void)
{
  return board ? &board->totals : &nobody.totals;
}

MetricSeries *metrics_at(uint32_t index)
{
  if (!board || index >= METRIC_PLACES)
    return NULL;
  if (index >= METRIC_SERIES) {
    MetricSeries *others = &board->others[index - METRIC_SERIES];
    return others->count ? others : NULL;
  }
  return board->series[index].state == 2 ? &board->series[index] : NULL;
}
