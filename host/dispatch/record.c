// See record.h.
#include "record.h"

#include <stdatomic.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/metrics.h"
#include "forwarded.h"

enum { MAX_LOGGED_PATH = 1024 };

// For /metrics. Endpoints are no labels: there may be very many, and their ids are secrets.
static void count_request(const Request *request, const HookRequest *hook, const char *ended_by,
                          uint64_t now)
{
  const Package *package = hook ? generation_package(hook->generation) : NULL;
  const char *route = package ? package->declarations[hook->declaration].rule->text : "";
  uint64_t start = request->started_us;
  char method[16];
  size_t method_len = request->method.len < sizeof method ? request->method.len : sizeof method - 1;
  MetricSeries *series;
  memcpy(method, request->method.at, method_len);
  method[method_len] = '\0';
  series =
      metrics_series(METRIC_REQUESTS, package ? package->name : "", route, method, request->status);
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
    return (Span){ hook->path.bytes ? hook->path.bytes : "", hook->path.len };
  log_clean(request->path, MAX_LOGGED_PATH, made);
  return (Span){ made->bytes ? made->bytes : "", made->len };
}

static void log_request(const Dispatch *dispatch, const Request *request, const HookRequest *hook,
                        const char *ended_by, uint64_t now)
{
  Forwarded forwarded;
  const Package *package = hook ? generation_package(hook->generation) : NULL;
  Buffer made = { 0 };
  Span path = path_for_log(request, hook, &made);
  LogField fields[] = {
    LOG_S("request_id", request->id),
    LOG_S("plugin", package ? package->name : "-"),
    LOG_S("endpoint", hook ? hook->endpoint->name : "-"),
    LOG_S("route", package ? package->declarations[hook->declaration].rule->text : "-"),
    LOG_B("method", request->method.at, request->method.len),
    LOG_B("path", path.at, path.len),
    LOG_I("status", request->status),
    LOG_R("dur_ms", ms_between(request->started_us, now)),
    LOG_R("ttfb_ms", ms_between(request->started_us, request->first_byte_us)),
    LOG_I("bytes_in", request->body.len),
    LOG_I("bytes_out", request->bytes_out),
    LOG_S("client_ip", forwarded.client),
    LOG_S("term", ended_by),
    LOG_LAST,
  };
  forwarded_read(&dispatch->config.proxies, request, &forwarded);
  log_write(LOG_INFO, "request", fields);
  buffer_free(&made);
}

void record_request(const Dispatch *dispatch, const Request *request, const HookRequest *hook,
                    const char *ended_by)
{
  uint64_t now = host_clock.monotonic_us();
  if (log_wants(LOG_INFO))
    log_request(dispatch, request, hook, ended_by, now);
  count_request(request, hook, ended_by, now);
}
