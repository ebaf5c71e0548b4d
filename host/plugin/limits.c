// See limits.h; also reads the section `limits` of a manifest, which is ours and not Dify's, and
// the one of an endpoint.
#include "limits.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "package_read.h"

#define KIB 1024
#define MIB (1024 * 1024)

const PluginLimits plugin_limits_default = {
  .cpu_ms = 100,
  .head_ms = 60000,
  .idle_ms = 120000,
  .memory_bytes = 64 * MIB,
  .calls = 4096,
  .timers = 10000,
  .json_values = 250000,
  .passes = 8,
};

static uint64_t grant(uint64_t asked, uint64_t usual, uint64_t most)
{
  uint64_t wanted = asked > 0 ? asked : usual;
  return wanted < most ? wanted : most;
}

PluginLimits plugin_limits_grant(const PluginLimits *asked, const PluginLimits *most)
{
  const PluginLimits *usual = &plugin_limits_default;
  return (PluginLimits){
    .cpu_ms = (uint32_t)grant(asked->cpu_ms, usual->cpu_ms, most->cpu_ms),
    .head_ms = (uint32_t)grant(asked->head_ms, usual->head_ms, most->head_ms),
    .idle_ms = (uint32_t)grant(asked->idle_ms, usual->idle_ms, most->idle_ms),
    .memory_bytes = grant(asked->memory_bytes, usual->memory_bytes, most->memory_bytes),
    .calls = most->calls,
    .timers = most->timers,
    .json_values = most->json_values,
    .passes = most->passes,
  };
}

// A number of bytes, or one with KiB or MiB; 0: neither.
static uint64_t read_bytes(const YamlNode *node)
{
  unsigned long long number = 0;
  int used = 0;
  if (node->type == YAML_INTEGER)
    return node->integer > 0 ? (uint64_t)node->integer : 0;
  if (node->type != YAML_STRING || node->text[0] < '0' || node->text[0] > '9' || node->len > 12 ||
      sscanf(node->text, "%llu%n", &number, &used) != 1)
    return 0;
  used += node->text[used] == ' ';
  if (strcmp(node->text + used, "KiB") == 0)
    return number * KIB;
  return strcmp(node->text + used, "MiB") == 0 ? number * MIB : 0;
}

static uint64_t read_limit(const Place *place, const YamlNode *map, const char *key, uint64_t least,
                           uint64_t most, const char *expected)
{
  const YamlNode *node = yaml_get(map, key);
  char what[32];
  uint64_t value;
  if (!node || node->type == YAML_NULL)
    return 0;
  value = strcmp(key, "memory") == 0                        ? read_bytes(node)
          : node->type == YAML_INTEGER && node->integer > 0 ? (uint64_t)node->integer
                                                            : 0;
  if (value >= least && value <= most)
    return value;
  snprintf(what, sizeof what, "limits.%s", key);
  place_expected(place, node, what, expected, node);
  return 0;
}

void limits_read(const Place *place, const YamlNode *map)
{
  static const char *const known[] = { "cpu_ms", "head_ms", "idle_ms", "memory", NULL };
  static const char hour[] = "milliseconds from 10 to 3600000";
  PluginLimits *limits = &place->package->limits;
  if (!map || map->type == YAML_NULL)
    return;
  if (map->type != YAML_MAP) {
    place_expected(place, map, "limits", "a map", map);
    return;
  }
  place_check_slips(place, map, "limits", known);
  limits->cpu_ms =
      (uint32_t)read_limit(place, map, "cpu_ms", 10, 60000, "milliseconds from 10 to 60000");
  limits->head_ms = (uint32_t)read_limit(place, map, "head_ms", 10, 3600000, hour);
  limits->idle_ms = (uint32_t)read_limit(place, map, "idle_ms", 10, 3600000, hour);
  limits->memory_bytes = read_limit(place, map, "memory", 4 * MIB, (uint64_t)4096 * MIB,
                                    "bytes, KiB or MiB from 4 MiB to 4096 MiB");
}

// --- of an endpoint ------------------------------------------------------------------------------

enum { LEAST_MS = 10 };

static const struct {
  const char *name, *key; // of the operator's
  size_t at, most_at;     // in EndpointLimits, PluginLimits
} times[] = {
  { "cpu_ms", "plugin_cpu_ms", offsetof(EndpointLimits, cpu_ms), offsetof(PluginLimits, cpu_ms) },
  { "head_ms", "plugin_head_ms", offsetof(EndpointLimits, head_ms),
    offsetof(PluginLimits, head_ms) },
  { "idle_ms", "plugin_idle_ms", offsetof(EndpointLimits, idle_ms),
    offsetof(PluginLimits, idle_ms) },
};

enum { TIMES = sizeof times / sizeof *times };

static uint32_t *time_at(EndpointLimits *limits, size_t i)
{
  return (uint32_t *)((char *)limits + times[i].at);
}

static uint32_t most_at(const PluginLimits *most, size_t i)
{
  return *(const uint32_t *)((const char *)most + times[i].most_at);
}

static bool refuse(LimitProblem *problem, const YamlNode *at, const char *name,
                   const char *expected)
{
  problem->at = at;
  snprintf(problem->name, sizeof problem->name, "limits%s%.30s", *name ? "." : "", name);
  snprintf(problem->expected, sizeof problem->expected, "%s", expected);
  return false;
}

bool endpoint_limits_read(const YamlNode *map, const PluginLimits *most, EndpointLimits *limits,
                          LimitProblem *problem)
{
  char expected[160];
  size_t i, k;
  *limits = (EndpointLimits){ 0 };
  if (!map || map->type == YAML_NULL)
    return true;
  if (map->type != YAML_MAP)
    return refuse(problem, map, "", "a map of cpu_ms, head_ms, idle_ms");
  for (k = 0; k < map->count; k++) {
    const char *name = map->pairs[k].key->text;
    const YamlNode *node = map->pairs[k].value;
    for (i = 0; i < TIMES && strcmp(times[i].name, name) != 0;)
      i++;
    if (i == TIMES)
      return refuse(problem, map->pairs[k].key, name,
                    strncmp(name, "memory", 6) == 0
                        ? "no memory here: all endpoints of a plugin share what its manifest has"
                        : "one of cpu_ms, head_ms, idle_ms");
    if (node->type == YAML_NULL)
      continue;
    snprintf(expected, sizeof expected, "milliseconds from %d to %u, the operator's limits.%s",
             LEAST_MS, most_at(most, i), times[i].key);
    if (node->type != YAML_INTEGER || node->integer < LEAST_MS ||
        node->integer > (int64_t)most_at(most, i))
      return refuse(problem, node, name, expected);
    *time_at(limits, i) = (uint32_t)node->integer;
  }
  return true;
}

void endpoint_limits_json(const EndpointLimits *limits, Buffer *json)
{
  EndpointLimits copy = *limits;
  const char *comma = "";
  size_t i;
  buffer_char(json, '{');
  for (i = 0; i < TIMES; i++) {
    uint32_t ms = *time_at(&copy, i);
    if (ms == 0)
      continue;
    buffer_printf(json, "%s\"%s\":%u", comma, times[i].name, ms);
    comma = ",";
  }
  buffer_char(json, '}');
}

EndpointLimits endpoint_limits_from_json(const char *json, const PluginLimits *most)
{
  static const PluginLimits any = { .cpu_ms = UINT32_MAX,
                                    .head_ms = UINT32_MAX,
                                    .idle_ms = UINT32_MAX };
  EndpointLimits limits = { 0 };
  LimitProblem problem;
  Err err;
  YamlNode *node = strcmp(json, "{}") == 0 ? NULL : yaml_from_json(json, strlen(json), &err);
  size_t i;
  endpoint_limits_read(node, &any, &limits, &problem);
  yaml_node_free(node);
  for (i = 0; i < TIMES; i++) {
    if (*time_at(&limits, i) > most_at(most, i))
      *time_at(&limits, i) = most_at(most, i);
  }
  return limits;
}

PluginLimits endpoint_limits_over(const EndpointLimits *limits, const PluginLimits *granted)
{
  PluginLimits result = *granted;
  result.cpu_ms = limits->cpu_ms ? limits->cpu_ms : granted->cpu_ms;
  result.head_ms = limits->head_ms ? limits->head_ms : granted->head_ms;
  result.idle_ms = limits->idle_ms ? limits->idle_ms : granted->idle_ms;
  return result;
}
