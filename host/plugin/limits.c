// See limits.h; also reads the section `limits` of a manifest, which is ours and not Dify's.
#include "limits.h"

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
