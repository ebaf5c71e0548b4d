// See admin_metrics.h. Names, units and labels follow Prometheus' conventions; no label holds a
// hook id, or anything that a client chooses.
#include "admin_metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "../base/file.h"
#include "../base/metrics.h"
#include "../base/scoreboard.h"
#include "../dispatch/quarantine.h"
#include "endpoint_book_parts.h"

// --- writing -------------------------------------------------------------------------------------

static void head(Buffer *out, const char *name, const char *type, const char *help)
{
  buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label(Buffer *out, const char *name, const char *value, bool is_first)
{
  buffer_printf(out, "%s%s=\"", is_first ? "{" : ",", name);
  for (; *value; value++) {
    if (*value == '\\' || *value == '"')
      buffer_char(out, '\\');
    if (*value == '\n')
      buffer_string(out, "\\n");
    else
      buffer_char(out, *value);
  }
  buffer_char(out, '"');
}

static void number(Buffer *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
  head(out, name, type, help);
  buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

// --- requests and invocations --------------------------------------------------------------------

static MetricSeries *at(uint32_t index, MetricFamily family)
{
  MetricSeries *series = metrics_at(index);
  return series && series->family == (uint32_t)family ? series : NULL;
}

static void request_counts(Buffer *out)
{
  uint32_t i;
  head(out, "moonhook_http_requests_total", "counter",
       "Requests that were answered, or left; code 0: before there was a status.");
  for (i = 0; i < METRIC_PLACES; i++) {
    const MetricSeries *series = at(i, METRIC_REQUESTS);
    if (!series)
      continue;
    buffer_string(out, "moonhook_http_requests_total");
    add_label(out, "plugin", series->labels[0], true);
    add_label(out, "route", series->labels[1], false);
    add_label(out, "method", series->labels[2], false);
    buffer_printf(out, ",code=\"%d\"} %" PRIu64 "\n", series->code, series->count);
  }
}

typedef struct {
  const char *name, *help;
  MetricFamily family;
  const char *labels[3]; // of the series, up to the first NULL
} Counter;

static void counts(Buffer *out, const Counter *counter)
{
  uint32_t i, label;
  head(out, counter->name, "counter", counter->help);
  for (i = 0; i < METRIC_PLACES; i++) {
    const MetricSeries *series = at(i, counter->family);
    if (!series)
      continue;
    buffer_string(out, counter->name);
    for (label = 0; label < 3 && counter->labels[label]; label++)
      add_label(out, counter->labels[label], series->labels[label], label == 0);
    buffer_printf(out, "} %" PRIu64 "\n", series->count);
  }
}

typedef struct {
  const char *name, *help;
  MetricFamily family;
  const char *labels[2]; // of the series, the second may be NULL
  size_t offset;         // of the MetricTimes
} Histogram;

static bool is_same(const Histogram *histogram, const MetricSeries *a, const MetricSeries *b)
{
  return strcmp(a->labels[0], b->labels[0]) == 0 &&
         (!histogram->labels[1] || strcmp(a->labels[1], b->labels[1]) == 0);
}

static void write_histogram(Buffer *out, const Histogram *histogram, const MetricSeries *like,
                            const uint64_t buckets[METRIC_BUCKETS + 1], uint64_t sum_us)
{
  Buffer labels = { 0 };
  uint64_t count = 0;
  uint32_t i;
  add_label(&labels, histogram->labels[0], like->labels[0], true);
  if (histogram->labels[1])
    add_label(&labels, histogram->labels[1], like->labels[1], false);
  for (i = 0; i < METRIC_BUCKETS; i++) {
    count += buckets[i];
    buffer_printf(out, "%s_bucket%s,le=\"%g\"} %" PRIu64 "\n", histogram->name, labels.bytes,
                  (double)metric_bounds_us[i] / 1e6, count);
  }
  count += buckets[METRIC_BUCKETS];
  buffer_printf(out, "%s_bucket%s,le=\"+Inf\"} %" PRIu64 "\n", histogram->name, labels.bytes,
                count);
  buffer_printf(out, "%s_sum%s} %.6f\n", histogram->name, labels.bytes, (double)sum_us / 1e6);
  buffer_printf(out, "%s_count%s} %" PRIu64 "\n", histogram->name, labels.bytes, count);
  buffer_free(&labels);
}

// One histogram for all series that share its labels.
static void histograms(Buffer *out, const Histogram *histogram)
{
  uint32_t i, j, bucket;
  head(out, histogram->name, "histogram", histogram->help);
  for (i = 0; i < METRIC_PLACES; i++) {
    const MetricSeries *series = at(i, histogram->family);
    uint64_t buckets[METRIC_BUCKETS + 1] = { 0 }, sum_us = 0;
    for (j = 0; series && j < i; j++) {
      const MetricSeries *other = at(j, histogram->family);
      if (other && is_same(histogram, series, other))
        series = NULL; // it was written with that one
    }
    if (!series)
      continue;
    for (j = i; j < METRIC_PLACES; j++) {
      MetricSeries *other = at(j, histogram->family);
      const MetricTimes *times;
      if (!other || !is_same(histogram, series, other))
        continue;
      times = (const MetricTimes *)(const void *)((const char *)other + histogram->offset);
      for (bucket = 0; bucket <= METRIC_BUCKETS; bucket++)
        buckets[bucket] += times->buckets[bucket];
      sum_us += times->sum_us;
    }
    write_histogram(out, histogram, series, buckets, sum_us);
  }
}

// --- processes -----------------------------------------------------------------------------------

typedef struct {
  uint64_t workers, connections, in_flight, reloads, log_dropped, passed_on;
} Sums;

static Sums sum_lines(void)
{
  Sums sums = { 0 };
  const ScoreLine *line;
  uint32_t i;
  for (i = 0; (line = scoreboard_line(i)) != NULL; i++) {
    if (line->pid == 0)
      continue;
    sums.workers += line->role == PROCESS_WORKER && line->is_ready;
    sums.connections += line->connections;
    sums.in_flight += line->in_flight;
    sums.reloads += line->reloads;
    sums.log_dropped += line->log_dropped;
    sums.passed_on += line->passed_on;
  }
  return sums;
}

static uint64_t count_files(int pid)
{
  char path[64];
  uint64_t count = 0;
  DIR *dir;
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  dir = opendir(path);
  while (dir && readdir(dir))
    count++;
  if (dir)
    closedir(dir);
  return count > 3 ? count - 2 : 0; // without "." and ".."
}

typedef struct {
  double cpu_seconds;
  uint64_t resident_bytes, files;
} Usage;

static bool read_usage(int pid, Usage *usage)
{
  char path[64];
  Buffer text = { 0 };
  const char *end;
  unsigned long user = 0, system = 0;
  long pages = 0;
  bool is_good = false;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  // Behind the name, which may hold anything: state, 10 numbers, utime, stime, ..., rss as 22nd.
  if (file_read(path, 4096, &text, NULL) == 0 && (end = strrchr(text.bytes, ')')) != NULL)
    is_good = sscanf(end + 1,
                     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d "
                     "%*u %*u %ld",
                     &user, &system, &pages) == 3;
  buffer_free(&text);
  usage->cpu_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
  usage->resident_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
  usage->files = count_files(pid);
  return is_good;
}

// A worker that ends has a successor of the same number, which is the one that is shown.
static bool is_shown(const ScoreLine *line)
{
  return line->pid != 0 && !line->is_draining;
}

static void processes(Buffer *out)
{
  Buffer cpu = { 0 }, memory = { 0 }, files = { 0 };
  const ScoreLine *line;
  uint32_t i;
  head(&cpu, "process_cpu_seconds_total", "counter", "Processor time, user and system.");
  head(&memory, "process_resident_memory_bytes", "gauge", "Memory in use.");
  head(&files, "process_open_fds", "gauge", "Open file descriptors.");
  for (i = 0; (line = scoreboard_line(i)) != NULL; i++) {
    char name[32];
    Usage usage;
    if (!is_shown(line) || !read_usage(line->pid, &usage))
      continue;
    scoreboard_name(line, name, sizeof name);
    buffer_printf(&cpu, "process_cpu_seconds_total{process=\"%s\"} %.2f\n", name,
                  usage.cpu_seconds);
    buffer_printf(&memory, "process_resident_memory_bytes{process=\"%s\"} %" PRIu64 "\n", name,
                  usage.resident_bytes);
    buffer_printf(&files, "process_open_fds{process=\"%s\"} %" PRIu64 "\n", name, usage.files);
  }
  buffer_append(out, cpu.bytes, cpu.len);
  buffer_append(out, memory.bytes, memory.len);
  buffer_append(out, files.bytes, files.len);
  buffer_free(&cpu);
  buffer_free(&memory);
  buffer_free(&files);
}

static void plugin_memory(Buffer *out)
{
  const ScoreLine *line;
  uint32_t i, j;
  head(out, "moonhook_plugin_memory_bytes", "gauge",
       "Memory of a plugin in a worker when its code last ran; plugin \"\": of all further ones.");
  for (i = 0; (line = scoreboard_line(i)) != NULL; i++) {
    char name[32];
    if (!is_shown(line) || line->role != PROCESS_WORKER)
      continue;
    scoreboard_name(line, name, sizeof name);
    for (j = 0; j <= SCOREBOARD_PLUGINS; j++) {
      const PluginMemory *memory = &line->memory[j];
      if (memory->states == 0)
        continue;
      buffer_string(out, "moonhook_plugin_memory_bytes");
      add_label(out, "plugin", memory->plugin, true);
      add_label(out, "process", name, false);
      buffer_printf(out, "} %" PRIu64 "\n", memory->bytes);
    }
  }
}

// --- all of it -----------------------------------------------------------------------------------

static void plugin_troubles(const Keeper *keeper, Buffer *out)
{
  const Served *served;
  head(out, "moonhook_plugin_suspect", "gauge", "1: one worker alone serves it for a while.");
  for (served = keeper->served; served; served = served->next) {
    const Suspect *suspect = served->package ? quarantine_find(served->id, served->hash) : NULL;
    if (!served->package)
      continue;
    buffer_string(out, "moonhook_plugin_suspect");
    add_label(out, "plugin", served->id, true);
    buffer_printf(out, "} %d\n", suspect && suspect->until_ms == 0 && suspect->is_watched);
  }
  head(out, "moonhook_plugin_quarantined", "gauge", "1: its endpoints answer 503 for a while.");
  for (served = keeper->served; served; served = served->next) {
    const Suspect *suspect = served->package ? quarantine_find(served->id, served->hash) : NULL;
    if (!served->package)
      continue;
    buffer_string(out, "moonhook_plugin_quarantined");
    add_label(out, "plugin", served->id, true);
    buffer_printf(out, "} %d\n", suspect && suspect->until_ms > 0);
  }
}

static void held(const Keeper *keeper, Buffer *out)
{
  const Served *served;
  uint64_t loaded = 0, outdated = 0, broken = 0, problems = 0;
  uint32_t i;
  for (served = keeper->served; served; served = served->next) {
    loaded += served->package && !served->error;
    outdated += served->package && served->error;
    broken += !served->package && served->error;
  }
  for (i = 0; i < endpoint_book_count(keeper->book); i++)
    problems += endpoint_book_at(keeper->book, i)->problem != NULL;
  for (i = 0; i < keeper->kept_count; i++)
    problems += keeper->kept[i].problem != NULL;
  head(out, "moonhook_plugins", "gauge",
       "Plugins by state; outdated: the present version cannot be loaded, an older one serves.");
  buffer_printf(out, "moonhook_plugins{state=\"loaded\"} %" PRIu64 "\n", loaded);
  buffer_printf(out, "moonhook_plugins{state=\"outdated\"} %" PRIu64 "\n", outdated);
  buffer_printf(out, "moonhook_plugins{state=\"error\"} %" PRIu64 "\n", broken);
  plugin_troubles(keeper, out);
  head(out, "moonhook_endpoints", "gauge", "Endpoints by where they are declared.");
  buffer_printf(out, "moonhook_endpoints{origin=\"config\"} %u\n", keeper->kept_count);
  buffer_printf(out, "moonhook_endpoints{origin=\"api\"} %u\n", endpoint_book_count(keeper->book));
  number(out, "moonhook_endpoints_with_problem", "gauge",
         "Endpoints whose settings do not fit, or whose plugin is not loaded.", problems);
}

void metrics_text(const Keeper *keeper, Buffer *out)
{
  static const Histogram list[] = {
    { "moonhook_http_request_duration_seconds",
      "From the first byte of the head to the end.",
      METRIC_REQUESTS,
      { "plugin", "route" },
      offsetof(MetricSeries, duration) },
    { "moonhook_http_time_to_first_byte_seconds",
      "From the first byte of the head to the reply's.",
      METRIC_REQUESTS,
      { "plugin", "route" },
      offsetof(MetricSeries, first_byte) },
    { "moonhook_invocation_duration_seconds",
      "Of calls to upstreams.",
      METRIC_INVOCATIONS,
      { "kind", NULL },
      offsetof(MetricSeries, duration) },
  };
  static const Counter counters[] = {
    { "moonhook_invocations_total",
      "Calls that plugins made to upstreams.",
      METRIC_INVOCATIONS,
      { "kind", "outcome", NULL } },
    { "moonhook_model_tokens_total",
      "Tokens that models used, as their servers say; type: prompt or completion.",
      METRIC_TOKENS,
      { "plugin", "backend", "type" } },
  };
  Sums sums = sum_lines();
  size_t i;
  head(out, "moonhook_build_info", "gauge", "Always 1.");
  buffer_printf(out, "moonhook_build_info{version=\"%s\"} 1\n", MOONHOOK_VERSION);
  request_counts(out);
  histograms(out, &list[0]);
  histograms(out, &list[1]);
  number(out, "moonhook_http_requests_in_flight", "gauge", "Requests that plugins work on.",
         sums.in_flight);
  number(out, "moonhook_client_disconnects_total", "counter", "Requests whose client left.",
         metrics_totals()->client_disconnects);
  number(out, "moonhook_http_connections", "gauge", "Open connections.", sums.connections);
  number(out, "moonhook_http_connections_passed_total", "counter",
         "Connections that the running workers passed on to the one that serves suspect plugins.",
         sums.passed_on);
  counts(out, &counters[0]);
  for (i = 2; i < sizeof list / sizeof *list; i++)
    histograms(out, &list[i]);
  counts(out, &counters[1]);
  number(out, "moonhook_plugin_reloads_total", "counter",
         "Versions of plugins that the running workers have loaded.", sums.reloads);
  number(out, "moonhook_log_dropped_total", "counter",
         "Log lines that the running processes could not write.", sums.log_dropped);
  number(out, "moonhook_workers", "gauge", "Workers that serve.", sums.workers);
  held(keeper, out);
  plugin_memory(out);
  processes(out);
}
