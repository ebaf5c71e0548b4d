// See record.h.
#include "record.h"

#include <stdatomic.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/fast_paths.h"
#include "../base/log.h"
#include "../base/metrics.h"
#include "forwarded.h"

enum {
  MAX_LOGGED_PATH = 1024,
  KNOWN_COUNT = 64,
  READY_FIRST = 2, // where log_request has the fields that are made once
  READY_FIELDS = 3,
};

// What requests that came lately had in common, so that most need no search for their series, and
// no making of these fields of the log. A generation's serial is never used again, and methods are
// literals of the parser.
typedef struct {
  uint64_t serial;
  const char *method;
  uint32_t declaration;
  int status;
  MetricSeries *series;
  LogReady ready; // plugin, route, status
} Known;

static MetricSeries *find_series(const Request *request, const Package *package, const char *route)
{
  char method[16];
  size_t len = request->method.len < sizeof method ? request->method.len : sizeof method - 1;
  memcpy(method, request->method.at, len);
  method[len] = '\0';
  return metrics_series(METRIC_REQUESTS, package ? package->name : "", route, method,
                        request->status);
}

static Known *known_of(const Request *request, const HookRequest *hook)
{
  static Known known[KNOWN_COUNT], nowhere;
  const Package *package;
  uint64_t serial;
  Known *place;
  if (!hook) {
    nowhere.series = find_series(request, NULL, "");
    return &nowhere;
  }
  package = generation_package(hook->generation);
  serial = generation_serial(hook->generation);
  place = &known[(serial * 7 + hook->declaration + (unsigned)request->status) % KNOWN_COUNT];
  if (!fast_paths_are_on() || place->serial != serial || place->declaration != hook->declaration ||
      place->status != request->status || place->method != request->method.at) {
    *place = (Known){
      .serial = serial,
      .method = request->method.at,
      .declaration = hook->declaration,
      .status = request->status,
      .series = find_series(request, package, package->declarations[hook->declaration].rule->text),
    };
  }
  return place;
}

// For /metrics. Endpoints are no labels: there may be very many, and their ids are secrets.
static void count_request(const Request *request, MetricSeries *series, const char *ended_by,
                          uint64_t now)
{
  uint64_t start = request->started_us;
  atomic_fetch_add_explicit(&series->count, 1, memory_order_relaxed);
  metrics_observe(&series->duration, now > start ? now - start : 0);
  if (request->first_byte_us)
    metrics_observe(&series->first_byte,
                    request->first_byte_us > start ? request->first_byte_us - start : 0);
  if (strcmp(ended_by, "client") == 0)
    metrics_totals()->client_disconnects++;
}

static double ms_between(uint64_t from_us, uint64_t to_us)
{
  return to_us > from_us ? (double)((to_us - from_us) / 10) / 100.0 : 0;
}

// The path behind the hook id. Of a request that came to no endpoint the whole, without what may be
// somebody's hook id.
static Span path_for_log(const Request *request, const HookRequest *hook, Buffer *made)
{
  if (hook)
    return hook->path;
  log_clean(request->path, MAX_LOGGED_PATH, made);
  return (Span){ made->bytes ? made->bytes : "", made->len };
}

static void log_request(const Dispatch *dispatch, const Request *request, const HookRequest *hook,
                        LogReady *ready, const char *ended_by, uint64_t now)
{
  Forwarded forwarded;
  const Package *package = hook ? generation_package(hook->generation) : NULL;
  Buffer made = { 0 };
  Span path = path_for_log(request, hook, &made);
  LogField fields[] = {
    LOG_KNOWN("request_id", request->id),
    LOG_MADE(ready),
    LOG_KNOWN("plugin", package ? package->name : "-"),
    LOG_KNOWN("route", package ? package->declarations[hook->declaration].rule->text : "-"),
    LOG_I("status", request->status),
    LOG_B("method", request->method.at, request->method.len),
    LOG_S("endpoint", hook ? hook->endpoint->name : "-"),
    LOG_B("path", path.at, path.len),
    LOG_R("dur_ms", ms_between(request->started_us, now)),
    LOG_R("ttfb_ms", ms_between(request->started_us, request->first_byte_us)),
    LOG_I("bytes_in", request->body.len),
    LOG_I("bytes_out", request->bytes_out),
    LOG_KNOWN("client_ip", forwarded.client),
    LOG_KNOWN("term", ended_by),
    LOG_LAST,
  };
  if (hook && fast_paths_are_on() && ready->len == 0)
    log_make_ready(ready, fields + READY_FIRST, READY_FIELDS);
  forwarded_read(&dispatch->config.proxies, request, &forwarded);
  log_write(LOG_INFO, "request", fields);
  buffer_free(&made);
}

void record_request(const Dispatch *dispatch, const Request *request, const HookRequest *hook,
                    const char *ended_by)
{
  uint64_t now = host_clock.monotonic_us();
  Known *known = known_of(request, hook);
  if (log_wants(LOG_INFO))
    log_request(dispatch, request, hook, &known->ready, ended_by, now);
  count_request(request, known->series, ended_by, now);
}
