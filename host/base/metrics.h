// Counters that /metrics shows, shared by the processes of a host: one anonymous mapping, made
// before the first fork. They outlive the processes that count: a worker that dies takes nothing
// back. Without a mapping (a program that serves nothing) counting has no effect.
//
// A series is told by its labels. There is room for METRIC_SERIES of them; what comes after that is
// counted together by family, with empty labels.
#ifndef MOONHOOK_BASE_METRICS_H
#define MOONHOOK_BASE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum { METRIC_SERIES = 2048, METRIC_BUCKETS = 12 };

// Upper bounds in microseconds; a further bucket has what is above them all.
extern const uint64_t metric_bounds_us[METRIC_BUCKETS];

typedef struct {
  _Atomic uint64_t buckets[METRIC_BUCKETS + 1];
  _Atomic uint64_t sum_us;
} MetricTimes;

typedef enum { METRIC_REQUESTS, METRIC_INVOCATIONS, METRIC_TOKENS, METRIC_FAMILIES } MetricFamily;

// REQUESTS: plugin, route, method, status. INVOCATIONS: kind, outcome. TOKENS: plugin, backend,
// type; counted alone.
typedef struct {
  _Atomic uint32_t state; // 0: free, 1: being made, 2: in use
  uint32_t family;        // MetricFamily
  char labels[3][136];
  int32_t code;
  _Atomic uint64_t count;
  MetricTimes duration, first_byte; // INVOCATIONS: the first only
} MetricSeries;

typedef struct {
  _Atomic uint64_t client_disconnects;
} MetricTotals;

int metrics_open(Err *err); // once, before forking
void metrics_close(void);

// The series of these labels, made when it is new. Texts that are too long are cut. Never NULL.
MetricSeries *metrics_series(MetricFamily family, const char *first, const char *second,
                             const char *third, int code);
void metrics_observe(MetricTimes *times, uint64_t us);
MetricTotals *metrics_totals(void); // never NULL

enum { METRIC_PLACES = METRIC_SERIES + METRIC_FAMILIES };
MetricSeries *metrics_at(uint32_t index); // below METRIC_PLACES: one that is in use, or NULL

#endif
