// backends: where reverse calls go (see config.h).
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "../base/memory.h"
#include "config_read.h"

static int read_url(const Reader *reader, const YamlNode *map, const char *name, char **url)
{
  const YamlNode *node = yaml_get(map, "url");
  Config scratch = { 0 };
  Reader inner = { &scratch, NULL, NULL };
  char what[160], expected[96];
  if (node && node->type == YAML_STRING &&
      config_field_set(&inner, config_field("public.url"), node->text, expected) == 0) {
    *url = scratch.public_url;
    return 0;
  }
  snprintf(what, sizeof what, "backends.%.100s.url", name);
  return config_expected(reader, node ? node : map, what,
                         "a URL such as https://api.example.com/v1", node);
}

// models: { llm: [a, b], text-embedding: [c] }; a single name is a list of one.
static int read_models(const Reader *reader, const YamlNode *models, const char *name, char **json)
{
  static const char *const types[] = { "llm",         "text-embedding", "rerank", "tts",
                                       "speech2text", "moderation",     NULL };
  Buffer out = { 0 };
  char section[160];
  size_t i, j;
  int rc = 0;
  if (!models || models->type == YAML_NULL)
    return 0;
  snprintf(section, sizeof section, "backends.%.100s.models", name);
  if (models->type != YAML_MAP)
    return config_expected(reader, models, section, "a map from model type to names", models);
  rc = config_check_keys(reader, models, section, types);
  buffer_char(&out, '{');
  for (i = 0; i < models->count && rc == 0; i++) {
    const YamlNode *key = models->pairs[i].key, *list = models->pairs[i].value;
    size_t count = list->type == YAML_LIST ? list->count : 1;
    buffer_printf(&out, "%s\"%s\":[", i > 0 ? "," : "", key->text);
    for (j = 0; j < count && rc == 0; j++) {
      const YamlNode *item = list->type == YAML_LIST ? list->items[j] : list;
      if (!item->text || item->type == YAML_NULL)
        rc = config_expected(reader, item, section, "models' names", item);
      else if (j > 0)
        buffer_char(&out, ',');
      if (rc == 0)
        buffer_json_string(&out, item->text, item->len);
    }
    buffer_char(&out, ']');
  }
  buffer_char(&out, '}');
  if (rc == 0)
    *json = buffer_take(&out);
  buffer_free(&out);
  return rc;
}

// apps: { "<app id>": { key_file: app.key } }
static int read_app_keys(const Reader *reader, const YamlNode *apps, ConfigBackend *backend)
{
  static const char *const known[] = { "key_file", NULL };
  char section[160];
  size_t i;
  snprintf(section, sizeof section, "backends.%.100s.apps", backend->name);
  if (!apps || apps->type == YAML_NULL)
    return 0;
  if (apps->type != YAML_MAP)
    return config_expected(reader, apps, section, "a map from app id to its key_file", apps);
  backend->apps = mem_zero(apps->count, sizeof *backend->apps);
  for (i = 0; i < apps->count; i++) {
    const YamlNode *value = apps->pairs[i].value, *file = yaml_get(value, "key_file");
    ConfigAppKey *app = &backend->apps[backend->app_count];
    if (value->type != YAML_MAP || !file)
      return config_expected(reader, value, section, "a map with key_file", value);
    if (config_check_keys(reader, value, section, known) != 0)
      return UV_EINVAL;
    app->key = config_secret(reader, file, section);
    if (!app->key)
      return UV_EINVAL;
    app->app_id = mem_string(apps->pairs[i].key->text);
    backend->app_count++;
  }
  return 0;
}

static int read_backend_type(const Reader *reader, const YamlNode *map, ConfigBackend *backend)
{
  const YamlNode *node = yaml_get(map, "type");
  char what[160];
  if (node && node->type == YAML_STRING && strcmp(node->text, "openai") == 0)
    backend->type = BACKEND_OPENAI;
  else if (node && node->type == YAML_STRING && strcmp(node->text, "dify") == 0)
    backend->type = BACKEND_DIFY;
  else if (node && node->type == YAML_STRING && strcmp(node->text, "dify-service") == 0)
    backend->type = BACKEND_DIFY_SERVICE;
  else {
    snprintf(what, sizeof what, "backends.%.100s.type", backend->name);
    return config_expected(reader, node ? node : map, what, "one of openai, dify, dify-service",
                           node);
  }
  return 0;
}

static int read_backend(const Reader *reader, const YamlNode *map, ConfigBackend *backend)
{
  static const char *const openai[] = { "type", "url", "api_key_file", "models", NULL };
  static const char *const dify[] = { "type", "url", "inner_api_key_file", "tenant_id", NULL };
  static const char *const service[] = { "type", "url", "apps", NULL };
  static const char *const *const known[] = {
    [BACKEND_OPENAI] = openai, [BACKEND_DIFY] = dify, [BACKEND_DIFY_SERVICE] = service
  };
  const char *key_name;
  const YamlNode *key, *tenant = yaml_get(map, "tenant_id");
  char section[160], what[200];
  snprintf(section, sizeof section, "backends.%.100s", backend->name);
  if (map->type != YAML_MAP)
    return config_expected(reader, map, section, "a map with type and url", map);
  if (read_backend_type(reader, map, backend) != 0 ||
      config_check_keys(reader, map, section, known[backend->type]) != 0 ||
      read_url(reader, map, backend->name, &backend->url) != 0 ||
      read_models(reader, yaml_get(map, "models"), backend->name, &backend->models_json) != 0 ||
      read_app_keys(reader, yaml_get(map, "apps"), backend) != 0)
    return UV_EINVAL;
  key_name = backend->type == BACKEND_DIFY ? "inner_api_key_file" : "api_key_file";
  key = yaml_get(map, key_name);
  snprintf(what, sizeof what, "%s.%s", section, key_name);
  if (key && key->type != YAML_NULL)
    backend->key = config_secret(reader, key, what);
  else if (backend->type == BACKEND_DIFY)
    return config_expected(reader, map, what, "the file with Dify's inner API key", key);
  if (key && key->type != YAML_NULL && !backend->key)
    return UV_EINVAL;
  snprintf(what, sizeof what, "%s.tenant_id", section);
  if (tenant && tenant->text && tenant->len > 0 && tenant->type != YAML_NULL)
    backend->tenant_id = mem_string(tenant->text);
  else if (backend->type == BACKEND_DIFY)
    return config_expected(reader, tenant ? tenant : map, what, "the id of a workspace of Dify",
                           tenant);
  return 0;
}

static bool is_backend_name(const char *text)
{
  size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
  return len > 0 && len <= 64 && text[len] == '\0';
}

int config_backends(const Reader *reader, const YamlNode *map)
{
  Config *config = reader->config;
  size_t i;
  int rc = 0;
  if (map->type != YAML_MAP)
    return config_expected(reader, map, "backends", "a map from name to backend", map);
  config->backends = mem_zero(map->count, sizeof *config->backends);
  for (i = 0; i < map->count; i++) {
    const YamlNode *key = map->pairs[i].key;
    ConfigBackend *backend = &config->backends[config->backend_count++];
    backend->name = mem_string(key->text);
    if (strcmp(key->text, "local") == 0)
      rc = config_fail(reader, key, "backends.local: expected another name: local always exists");
    else if (!is_backend_name(key->text))
      rc = config_expected(reader, key, "backends", "names of letters, digits, '_', '.' or '-'",
                           key);
    else if (read_backend(reader, map->pairs[i].value, backend) != 0)
      rc = UV_EINVAL;
  }
  return rc;
}
