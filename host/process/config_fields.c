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

typedef enum {
  FIELD_LISTEN,
  FIELD_URL,
  FIELD_DOMAIN,
  FIELD_PATH,
  FIELD_COUNT,     // uint32_t
  FIELD_BYTES,     // uint32_t, with an optional KiB or MiB
  FIELD_BIG_BYTES, // uint64_t
  FIELD_MS,        // uint32_t, with an optional ms, s or min
  FIELD_LEVEL,
  FIELD_FORMAT,
} FieldType;

struct ConfigField {
  const char *key;      // in the file
  const char *variable; // without MOONHOOK_
  FieldType type;
  size_t at; // in Config
  double least, most;
};

#define KIB 1024.0
#define MIB (1024.0 * 1024.0)
#define HOUR_MS 3600000.0
#define LIMIT(name) offsetof(Config, limits.name)
#define TIME(name) offsetof(Config, client_times.name)

static const ConfigField FIELDS[] = {
  { "public.listen", "LISTEN", FIELD_LISTEN, offsetof(Config, public_listen), 0, 0 },
  { "public.url", "PUBLIC_URL", FIELD_URL, offsetof(Config, public_url), 0, 0 },
  { "public.base_domain", "BASE_DOMAIN", FIELD_DOMAIN, offsetof(Config, base_domain), 0, 0 },
  { "admin.listen", "ADMIN", FIELD_LISTEN, offsetof(Config, admin_listen), 0, 0 },
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
  config->public_listen = (ConfigListen){ mem_string("127.0.0.1"), 8080, false };
  config->admin_listen = (ConfigListen){ mem_string("127.0.0.1"), 8081, false };
  config->workers = uv_available_parallelism();
  config->limits = http_limits_default();
  config->client_times = client_times_default();
  config->http_policy = policy_new();
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

// --- parsing -------------------------------------------------------------------------------------

static bool read_port(const char *text, int *port)
{
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 5 || text[digits] != '\0')
    return false;
  *port = atoi(text);
  return *port <= 65535;
}

// ADDRESS:PORT, [ADDRESS]:PORT or a port alone.
static bool read_listen(const char *text, ConfigListen *listen)
{
  const char *colon = strrchr(text, ':'), *start = text, *end = colon;
  unsigned char binary[sizeof(struct in6_addr)];
  char host[64] = "127.0.0.1";
  int port;
  if (!read_port(colon ? colon + 1 : text, &port))
    return false;
  if (colon) {
    bool is_bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    if (is_bracketed) {
      start++;
      end--;
    }
    if (end == start || (size_t)(end - start) >= sizeof host)
      return false;
    snprintf(host, sizeof host, "%.*s", (int)(end - start), start);
    if (strcmp(host, "localhost") == 0)
      strcpy(host, "127.0.0.1");
    if (inet_pton(is_bracketed ? AF_INET6 : AF_INET, host, binary) != 1)
      return false;
  }
  mem_free(listen->host);
  *listen = (ConfigListen){ mem_string(host), port, true };
  return true;
}

static bool read_url(const char *text, char **url)
{
  size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;
  size_t len = strlen(text), i;
  if (scheme == 0 || len == scheme || text[scheme] == '/')
    return false;
  for (i = 0; i < len; i++) {
    if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f || strchr("?#@\"<>\\", text[i]))
      return false;
  }
  while (text[len - 1] == '/')
    len--;
  mem_free(*url);
  *url = mem_bytes(text, len);
  return true;
}

static bool read_domain(const char *text, char **domain)
{
  size_t len = strlen(text), i, label = 0;
  for (i = 0; i < len; i++) {
    bool is_edge = label == 0 || i + 1 == len || text[i + 1] == '.';
    if (text[i] == '.' ? label == 0
                       : !strchr("abcdefghijklmnopqrstuvwxyz0123456789-", text[i]) ||
                             (text[i] == '-' && is_edge))
      return false;
    label = text[i] == '.' ? 0 : label + 1;
  }
  if (label == 0 || len > 253 - 64)
    return false;
  mem_free(*domain);
  *domain = mem_string(text);
  return true;
}

typedef struct {
  const char *suffix;
  double factor;
} Unit;

static const Unit NO_UNITS[] = { { "", 1 }, { NULL, 0 } };
static const Unit BYTE_UNITS[] = {
  { "", 1 }, { "B", 1 }, { "KiB", KIB }, { "MiB", MIB }, { "GiB", 1024 * MIB }, { NULL, 0 }
};
static const Unit TIME_UNITS[] = {
  { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { NULL, 0 }
};

static bool read_number(const char *text, const Unit *units, const ConfigField *field,
                        double *value)
{
  char *end;
  if (*text < '0' || *text > '9' || text[strspn(text, "0")] == 'x')
    return false;
  *value = strtod(text, &end);
  end += strspn(end, " ");
  for (; units->suffix; units++) {
    if (strcmp(units->suffix, end) == 0) {
      *value *= units->factor;
      return *value >= field->least && *value <= field->most &&
             !(*value > (double)(uint64_t)*value);
    }
  }
  return false;
}

static bool read_word(const char *text, const char *const *words, int *value)
{
  for (*value = 0; words[*value]; (*value)++) {
    if (strcmp(words[*value], text) == 0)
      return true;
  }
  return false;
}

static bool read_path(const Reader *reader, const char *text, char **path)
{
  if (*text == '\0')
    return false;
  mem_free(*path);
  *path = config_path(reader, text);
  return true;
}

// What the numbers of a field may be, in words.
static void describe_range(const ConfigField *field, const char *unit, const char *example,
                           char expected[96])
{
  snprintf(expected, 96, "a %snumber from %.0f to %.0f%s%s", *unit ? "" : "whole ", field->least,
           field->most, unit, example);
}

int config_field_set(const Reader *reader, const ConfigField *field, const char *text,
                     char expected[96])
{
  static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
  static const char *const formats[] = { "auto", "json", "pretty", NULL };
  void *at = (char *)reader->config + field->at;
  double number = 0;
  int word = 0;
  bool is_good = false;
  switch (field->type) {
  case FIELD_LISTEN:
    snprintf(expected, 96, "ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080");
    is_good = read_listen(text, at);
    break;
  case FIELD_URL:
    snprintf(expected, 96, "a URL such as https://hooks.example.com");
    is_good = read_url(text, at);
    break;
  case FIELD_DOMAIN:
    snprintf(expected, 96, "a domain in lower case such as hooks.example.com");
    is_good = read_domain(text, at);
    break;
  case FIELD_PATH:
    snprintf(expected, 96, "a path");
    is_good = read_path(reader, text, at);
    break;
  case FIELD_COUNT:
    describe_range(field, "", "", expected);
    is_good = read_number(text, NO_UNITS, field, &number);
    break;
  case FIELD_BYTES:
  case FIELD_BIG_BYTES:
    describe_range(field, " bytes", " such as 65536 or 10 MiB", expected);
    is_good = read_number(text, BYTE_UNITS, field, &number);
    break;
  case FIELD_MS:
    describe_range(field, " ms", " such as 1500, 1500 ms or 2 s", expected);
    is_good = read_number(text, TIME_UNITS, field, &number);
    break;
  case FIELD_LEVEL:
    snprintf(expected, 96, "one of debug, info, warn, error");
    is_good = read_word(text, levels, &word);
    break;
  case FIELD_FORMAT:
    snprintf(expected, 96, "one of auto, json, pretty");
    is_good = read_word(text, formats, &word);
    break;
  }
  if (!is_good)
    return UV_EINVAL;
  if (field->type == FIELD_BIG_BYTES)
    *(uint64_t *)at = (uint64_t)number;
  else if (field->type == FIELD_COUNT || field->type == FIELD_BYTES || field->type == FIELD_MS)
    *(uint32_t *)at = (uint32_t)number;
  else if (field->type == FIELD_LEVEL)
    *(LogLevel *)at = (LogLevel)word;
  else if (field->type == FIELD_FORMAT)
    *(LogFormat *)at = (LogFormat)word;
  return 0;
}

// --- the file ------------------------------------------------------------------------------------

static int set_from_node(const Reader *reader, const ConfigField *field, const YamlNode *node)
{
  char expected[96];
  const char *text = node->text && node->type != YAML_NULL ? node->text : "";
  if (config_field_set(reader, field, text, expected) == 0)
    return 0;
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
  for (i = 0; i < map->count && rc == 0; i++) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s", section, map->pairs[i].key->text);
    rc = set_from_node(reader, config_field(key), map->pairs[i].value);
  }
  return rc;
}

// --- the environment -----------------------------------------------------------------------------

// Variables of ours that are no fields; a name that is near one of all these is a mistake.
static const char *const OTHER_VARIABLES[] = { "CONFIG", "PLUGINS", "LUA_PATH", "BIN" };

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
    if (config_field_set(reader, &FIELDS[i], value, expected) == 0)
      return 0;
    return err_set(reader->err, UV_EINVAL, "MOONHOOK_%s: expected %s, got \"%.100s\"", name,
                   expected, value);
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
  return err_set(reader->err, UV_EINVAL,
                 "MOONHOOK_%.64s: unknown variable, did you mean MOONHOOK_%s?", name, nearest);
}

int config_environment(const Reader *reader, const char *const *environment)
{
  static const char prefix[] = "MOONHOOK_";
  int rc = 0;
  for (; environment && *environment && rc == 0; environment++) {
    const char *name = *environment + sizeof prefix - 1, *equals;
    char *key;
    if (strncmp(*environment, prefix, sizeof prefix - 1) != 0)
      continue;
    equals = strchr(name, '=');
    if (!equals || equals[1] == '\0') // an empty variable is not set
      continue;
    key = mem_bytes(name, (size_t)(equals - name));
    rc = apply_variable(reader, key, equals + 1);
    mem_free(key);
  }
  return rc;
}
