// The settings that are one value each, as a table: where a value stands in the file, which
// variable overrides it, what it may be. File, environment and flags all come through
// config_field_set, so a value means the same wherever it was written.
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "../base/memory.h"
#include "config_read.h"

#define KIB 1024.0
#define MIB (1024.0 * 1024.0)
#define HOUR_MS 3600000.0
#define LIMIT(name) offsetof(Config, limits.name)
#define PLUGIN(name) offsetof(Config, plugin_limits.name)
#define TIME(name) offsetof(Config, client_times.name)

static const ConfigField FIELDS[] = {
  { "public.listen", "LISTEN", FIELD_LISTEN, offsetof(Config, public_listen), 0, 0 },
  { "public.url", "PUBLIC_URL", FIELD_URL, offsetof(Config, public_url), 0, 0 },
  { "public.base_domain", "BASE_DOMAIN", FIELD_DOMAIN, offsetof(Config, base_domain), 0, 0 },
  { "public.trusted_proxies", "TRUSTED_PROXIES", FIELD_BLOCKS, offsetof(Config, trusted_proxies), 0,
    0 },
  { "admin.listen", "ADMIN", FIELD_LISTEN, offsetof(Config, admin_listen), 0, 0 },
  { "admin.key_file", "ADMIN_KEY_FILE", FIELD_PATH, offsetof(Config, admin_key_file), 0, 0 },
  { "data", "DATA", FIELD_PATH, offsetof(Config, data_dir), 0, 0 },
  { "workers", "WORKERS", FIELD_COUNT, offsetof(Config, workers), 1, 256 },
  { "limits.target_bytes", "LIMITS_TARGET_BYTES", FIELD_BYTES, LIMIT(target_bytes), 256, MIB },
  { "limits.head_bytes", "LIMITS_HEAD_BYTES", FIELD_BYTES, LIMIT(head_bytes), KIB, 16 * MIB },
  { "limits.header_count", "LIMITS_HEADER_COUNT", FIELD_COUNT, LIMIT(header_count), 8, 10000 },
  { "limits.body_bytes", "LIMITS_BODY_BYTES", FIELD_BIG_BYTES, LIMIT(body_bytes), 0, 2048 * MIB },
  { "limits.worker_body_bytes", "LIMITS_WORKER_BODY_BYTES", FIELD_BIG_BYTES,
    LIMIT(worker_body_bytes), 64 * KIB, 64 * 1024 * MIB },
  { "limits.chunk_extension_bytes", "LIMITS_CHUNK_EXTENSION_BYTES", FIELD_BYTES,
    LIMIT(chunk_extension_bytes), 0, MIB },
  { "limits.unsent_bytes", "LIMITS_UNSENT_BYTES", FIELD_BYTES, LIMIT(unsent_bytes), KIB, 64 * MIB },
  { "limits.head_ms", "LIMITS_HEAD_MS", FIELD_MS, LIMIT(head_ms), 10, HOUR_MS },
  { "limits.body_ms", "LIMITS_BODY_MS", FIELD_MS, LIMIT(body_ms), 10, HOUR_MS },
  { "limits.idle_ms", "LIMITS_IDLE_MS", FIELD_MS, LIMIT(idle_ms), 10, HOUR_MS },
  { "limits.stalled_ms", "LIMITS_STALLED_MS", FIELD_MS, LIMIT(stalled_ms), 10, HOUR_MS },
  { "limits.max_connections", "LIMITS_MAX_CONNECTIONS", FIELD_COUNT, LIMIT(max_connections), 1,
    1000000 },
  { "limits.plugin_cpu_ms", "LIMITS_PLUGIN_CPU_MS", FIELD_MS, PLUGIN(cpu_ms), 10, 60000 },
  { "limits.plugin_memory_bytes", "LIMITS_PLUGIN_MEMORY_BYTES", FIELD_BIG_BYTES,
    PLUGIN(memory_bytes), 4 * MIB, 4096 * MIB },
  { "limits.plugin_head_ms", "LIMITS_PLUGIN_HEAD_MS", FIELD_MS, PLUGIN(head_ms), 10, HOUR_MS },
  { "limits.plugin_idle_ms", "LIMITS_PLUGIN_IDLE_MS", FIELD_MS, PLUGIN(idle_ms), 10, HOUR_MS },
  { "limits.plugin_calls", "LIMITS_PLUGIN_CALLS", FIELD_COUNT, PLUGIN(calls), 1, 1000000 },
  { "limits.plugin_timers", "LIMITS_PLUGIN_TIMERS", FIELD_COUNT, PLUGIN(timers), 1, 1000000 },
  { "limits.plugin_json_values", "LIMITS_PLUGIN_JSON_VALUES", FIELD_COUNT, PLUGIN(json_values), 1,
    10000000 },
  { "limits.plugin_passes", "LIMITS_PLUGIN_PASSES", FIELD_COUNT, PLUGIN(passes), 1, 1000 },
  { "limits.drain_ms", "LIMITS_DRAIN_MS", FIELD_MS, offsetof(Config, drain_ms), 0, HOUR_MS },
  { "limits.stuck_ms", "LIMITS_STUCK_MS", FIELD_MS, offsetof(Config, stuck_ms), 0, HOUR_MS },
  { "client.connect_ms", "CLIENT_CONNECT_MS", FIELD_MS, TIME(connect_ms), 10, HOUR_MS },
  { "client.first_byte_ms", "CLIENT_FIRST_BYTE_MS", FIELD_MS, TIME(first_byte_ms), 10, HOUR_MS },
  { "client.idle_ms", "CLIENT_IDLE_MS", FIELD_MS, TIME(idle_ms), 10, HOUR_MS },
  { "client.total_ms", "CLIENT_TOTAL_MS", FIELD_MS, TIME(total_ms), 0, 24 * HOUR_MS },
  { "client.ca_file", "CLIENT_CA_FILE", FIELD_PATH, offsetof(Config, ca_file), 0, 0 },
  { "log.level", "LOG_LEVEL", FIELD_LEVEL, offsetof(Config, log_level), 0, 0 },
  { "log.format", "LOG_FORMAT", FIELD_FORMAT, offsetof(Config, log_format), 0, 0 },
  { "demo.pause_ms", "DEMO_PAUSE_MS", FIELD_MS, offsetof(Config, demo_pause_ms), 0, 10000 },
  { "demo.seed", "DEMO_SEED", FIELD_COUNT, offsetof(Config, demo_seed), 0, 2147483647 },
};

enum { FIELD_NUMBER = sizeof FIELDS / sizeof *FIELDS };

void config_defaults(Config *config)
{
  config->origins = mem_zero(FIELD_NUMBER, sizeof *config->origins);
  config->public_listen = (ConfigListen){ mem_string("127.0.0.1"), 8080, false };
  config->admin_listen = (ConfigListen){ mem_string("127.0.0.1"), 8081, false };
  config->workers = uv_available_parallelism();
  config->limits = http_limits_default();
  config->plugin_limits = plugin_limits_default;
  config->client_times = client_times_default();
  config->http_policy = policy_new();
  config->drain_ms = 30000;
  config->stuck_ms = 1000;
  config->log_level = LOG_INFO;
  config->demo_pause_ms = 15;
  config->demo_seed = 1;
}

const ConfigField *config_field(const char *key)
{
  size_t i;
  for (i = 0; i < FIELD_NUMBER; i++) {
    if (strcmp(FIELDS[i].key, key) == 0)
      return &FIELDS[i];
  }
  return NULL;
}

void config_field_origin(Config *config, const ConfigField *field, ConfigOrigin origin)
{
  config->origins[field - FIELDS] = origin;
}

const ConfigField *config_field_at(uint32_t index)
{
  return index < FIELD_NUMBER ? &FIELDS[index] : NULL;
}

// --- the file ------------------------------------------------------------------------------------

// The items of a list with commas between; one that is no text spoils it.
static void join(const YamlNode *list, Buffer *text)
{
  size_t i;
  for (i = 0; i < list->count; i++)
    buffer_printf(text, "%s%s", i ? "," : "", list->items[i]->text ? list->items[i]->text : "?");
}

static int set_from_node(const Reader *reader, const ConfigField *field, const YamlNode *node)
{
  char expected[96];
  Buffer text = { 0 };
  int rc;
  if (field->type == FIELD_BLOCKS && node->type == YAML_LIST)
    join(node, &text);
  else if (node->text && node->type != YAML_NULL)
    buffer_string(&text, node->text);
  rc = config_field_set(reader, field, text.bytes ? text.bytes : "", expected);
  buffer_free(&text);
  if (rc == 0) {
    config_field_origin(reader->config, field,
                        (ConfigOrigin){ CONFIG_FILE, node->line, node->column, NULL });
    return 0;
  }
  return config_expected(reader, node, field->key, expected, node);
}

int config_top_field(const Reader *reader, const char *key, const YamlNode *value)
{
  return set_from_node(reader, config_field(key), value);
}

int config_section_fields(const Reader *reader, const char *section, const YamlNode *map)
{
  const char *known[FIELD_NUMBER + 1];
  size_t i, count = 0, len = strlen(section);
  int rc;
  if (map->type == YAML_NULL)
    return 0;
  if (map->type != YAML_MAP)
    return config_expected(reader, map, section, "a map", map);
  for (i = 0; i < FIELD_NUMBER; i++) {
    if (strncmp(FIELDS[i].key, section, len) == 0 && FIELDS[i].key[len] == '.')
      known[count++] = FIELDS[i].key + len + 1;
  }
  known[count] = NULL;
  rc = config_check_keys(reader, map, section, known);
  for (i = 0; i < map->count; i++) {
    char key[96];
    const ConfigField *field;
    snprintf(key, sizeof key, "%s.%s", section, map->pairs[i].key->text);
    field = config_field(key);
    if (field && set_from_node(reader, field, map->pairs[i].value) != 0)
      rc = UV_EINVAL;
  }
  return rc;
}

// --- the environment -----------------------------------------------------------------------------

// Variables of ours that are no fields; a name that is near one of all these is a mistake.
static const char *const OTHER_VARIABLES[] = { "CONFIG", "PLUGINS", "LUA_PATH",
                                               "BIN",    "JIT",     "CONFINE" };

static int apply_variable(const Reader *reader, const char *name, const char *value)
{
  enum { OTHERS = sizeof OTHER_VARIABLES / sizeof *OTHER_VARIABLES };
  const char *known[FIELD_NUMBER + OTHERS + 1];
  char expected[96];
  const char *nearest;
  size_t i;
  for (i = 0; i < FIELD_NUMBER; i++) {
    known[i] = FIELDS[i].variable;
    if (strcmp(name, FIELDS[i].variable) != 0)
      continue;
    if (config_field_set(reader, &FIELDS[i], value, expected) == 0) {
      config_field_origin(reader->config, &FIELDS[i],
                          (ConfigOrigin){ CONFIG_VARIABLE, 0, 0, FIELDS[i].variable });
      return 0;
    }
    return config_fail(reader, NULL, "MOONHOOK_%s: expected %s, got \"%.100s\"", name, expected,
                       value);
  }
  for (; i < FIELD_NUMBER + OTHERS; i++) {
    known[i] = OTHER_VARIABLES[i - FIELD_NUMBER];
    if (strcmp(name, known[i]) == 0)
      return 0;
  }
  known[i] = NULL;
  nearest = yaml_nearest(name, known);
  if (!nearest)
    return 0; // somebody else's
  return config_fail(reader, NULL, "MOONHOOK_%.64s: unknown variable, did you mean MOONHOOK_%s?",
                     name, nearest);
}

int config_environment(const Reader *reader, const char *const *environment)
{
  static const char prefix[] = "MOONHOOK_";
  int rc = 0;
  for (; environment && *environment; environment++) {
    const char *name = *environment + sizeof prefix - 1, *equals;
    char *key;
    if (strncmp(*environment, prefix, sizeof prefix - 1) != 0)
      continue;
    equals = strchr(name, '=');
    if (!equals || equals[1] == '\0') // an empty variable is not set
      continue;
    key = mem_bytes(name, (size_t)(equals - name));
    if (apply_variable(reader, key, equals + 1) != 0)
      rc = UV_EINVAL;
    mem_free(key);
  }
  return rc;
}
