// backends, apps and endpoints: the sections that hold things the operator names (see config.h).
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "../base/memory.h"
#include "config_read.h"

enum { MAX_MEMORY_TURNS = 1000, HOOK_ID_LEAST = 3, HOOK_ID_MOST = 63 };

// A scalar that must be a text without control characters; NULL after an error.
static const char *want_text(const Reader *reader, const YamlNode *map, const char *key,
                             const char *what, const char *expected)
{
  const YamlNode *node = yaml_get(map, key);
  const char *at;
  for (at = node && node->text ? node->text : ""; *at; at++) {
    if ((unsigned char)*at < 0x20 || *at == 0x7f)
      break;
  }
  if (node && node->text && node->type != YAML_NULL && node->len > 0 && *at == '\0')
    return node->text;
  config_expected(reader, node ? node : map, what, expected, node);
  return NULL;
}

// --- backends ------------------------------------------------------------------------------------

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
  if (tenant && tenant->text && tenant->type != YAML_NULL)
    backend->tenant_id = mem_string(tenant->text);
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
  if (map->type != YAML_MAP)
    return config_expected(reader, map, "backends", "a map from name to backend", map);
  config->backends = mem_zero(map->count, sizeof *config->backends);
  for (i = 0; i < map->count; i++) {
    const YamlNode *key = map->pairs[i].key;
    ConfigBackend *backend = &config->backends[config->backend_count++];
    backend->name = mem_string(key->text);
    if (strcmp(key->text, "local") == 0)
      return config_fail(reader, key, "backends.local: expected another name: local always exists");
    if (!is_backend_name(key->text))
      return config_expected(reader, key, "backends", "names of letters, digits, '_', '.' or '-'",
                             key);
    if (read_backend(reader, map->pairs[i].value, backend) != 0)
      return UV_EINVAL;
  }
  return 0;
}

// --- apps ----------------------------------------------------------------------------------------

static int check_app_model(const Reader *reader, const YamlNode *model, const char *section)
{
  static const char *const known[] = { "provider",          "model", "model_type", "mode",
                                       "completion_params", NULL };
  const YamlNode *params = yaml_get(model, "completion_params");
  char what[200];
  if (!model)
    return 0;
  snprintf(what, sizeof what, "%s.model", section);
  if (model->type != YAML_MAP)
    return config_expected(reader, model, what, "a map with provider and model", model);
  if (config_check_keys(reader, model, what, known) != 0)
    return UV_EINVAL;
  snprintf(what, sizeof what, "%s.model.provider", section);
  if (!want_text(reader, model, "provider", what, "a backend's name"))
    return UV_EINVAL;
  snprintf(what, sizeof what, "%s.model.model", section);
  if (!want_text(reader, model, "model", what, "a model's name"))
    return UV_EINVAL;
  snprintf(what, sizeof what, "%s.model.completion_params", section);
  if (params && params->type != YAML_NULL && params->type != YAML_MAP)
    return config_expected(reader, params, what, "a map", params);
  return 0;
}

// Checks one app and finds the source of one made of code; `*source` is its path, or NULL.
static int check_app(const Reader *reader, const YamlNode *app, const char *section, char **source)
{
  static const char *const known[] = {
    "mode", "name", "prompt", "model", "memory", "source", NULL
  };
  const YamlNode *mode = yaml_get(app, "mode"), *memory = yaml_get(app, "memory");
  const YamlNode *prompt = yaml_get(app, "prompt");
  const char *words[] = { "chat", "completion", "workflow" }, *path;
  char what[200];
  size_t i;
  if (app->type != YAML_MAP)
    return config_expected(reader, app, section, "a map with mode, name and prompt", app);
  if (config_check_keys(reader, app, section, known) != 0)
    return UV_EINVAL;
  for (i = 0; i < 3 && mode && mode->type == YAML_STRING && strcmp(words[i], mode->text) != 0; i++)
    ;
  snprintf(what, sizeof what, "%s.mode", section);
  if (!mode || mode->type != YAML_STRING || i == 3)
    return config_expected(reader, mode ? mode : app, what, "chat, completion or workflow", mode);
  snprintf(what, sizeof what, "%s.name", section);
  if (yaml_get(app, "name") && !want_text(reader, app, "name", what, "a name"))
    return UV_EINVAL;
  snprintf(what, sizeof what, "%s.prompt", section);
  if (prompt && !prompt->text)
    return config_expected(reader, prompt, what, "a text", prompt);
  snprintf(what, sizeof what, "%s.memory", section);
  if (memory && memory->type != YAML_NULL &&
      (memory->type != YAML_INTEGER || memory->integer < 0 || memory->integer > MAX_MEMORY_TURNS))
    return config_expected(reader, memory, what, "a number of turns from 0 to 1000", memory);
  if (check_app_model(reader, yaml_get(app, "model"), section) != 0)
    return UV_EINVAL;
  snprintf(what, sizeof what, "%s.source", section);
  if (strcmp(words[i], "workflow") != 0 && !yaml_get(app, "source"))
    return 0;
  path = want_text(reader, app, "source", what, "the path of a Lua file");
  if (!path)
    return UV_EINVAL;
  *source = config_path(reader, path);
  config_watch(reader->config, *source);
  return 0;
}

static void app_to_json(const YamlNode *app, const char *id, const char *source, Buffer *out)
{
  size_t i, written = 0;
  buffer_char(out, '{');
  if (!yaml_get(app, "name")) {
    buffer_string(out, "\"name\":");
    buffer_json_string(out, id, strlen(id));
    written++;
  }
  for (i = 0; i < app->count; i++) {
    const YamlNode *key = app->pairs[i].key, *value = app->pairs[i].value;
    if (value->type == YAML_NULL)
      continue;
    buffer_printf(out, "%s\"%s\":", written++ > 0 ? "," : "", key->text);
    if (strcmp(key->text, "source") == 0)
      buffer_json_string(out, source, strlen(source));
    else if (value->type != YAML_MAP && value->text && strcmp(key->text, "memory") != 0)
      buffer_json_string(out, value->text, value->len);
    else
      yaml_to_json(value, out);
  }
  buffer_char(out, '}');
}

static void catalog_to_json(const YamlNode *app, const YamlNode *id, Buffer *out)
{
  const YamlNode *name = yaml_get(app, "name");
  if (!name)
    name = id;
  buffer_printf(out, "{\"mode\":\"%s\",\"name\":", yaml_get(app, "mode")->text);
  buffer_json_string(out, name->text, name->len);
  buffer_char(out, '}');
}

int config_apps(const Reader *reader, const YamlNode *map)
{
  Buffer apps = { 0 }, catalog = { 0 };
  size_t i;
  int rc = 0;
  if (map->type != YAML_MAP)
    return config_expected(reader, map, "apps", "a map from id to app", map);
  buffer_char(&apps, '{');
  buffer_char(&catalog, '{');
  for (i = 0; i < map->count && rc == 0; i++) {
    const YamlNode *id = map->pairs[i].key, *app = map->pairs[i].value;
    char section[160], *source = NULL;
    snprintf(section, sizeof section, "apps.%.100s", id->text);
    rc = id->len > 0 && id->len <= 128
             ? check_app(reader, app, section, &source)
             : config_expected(reader, id, "apps", "ids of 1 to 128 bytes", id);
    if (rc == 0) {
      buffer_string(&apps, i > 0 ? "," : "");
      buffer_string(&catalog, i > 0 ? "," : "");
      buffer_json_string(&apps, id->text, id->len);
      buffer_json_string(&catalog, id->text, id->len);
      buffer_char(&apps, ':');
      buffer_char(&catalog, ':');
      app_to_json(app, id->text, source, &apps);
      catalog_to_json(app, id, &catalog);
    }
    mem_free(source);
  }
  buffer_char(&apps, '}');
  buffer_char(&catalog, '}');
  if (rc == 0) {
    reader->config->apps_json = buffer_take(&apps);
    reader->config->apps_catalog_json = buffer_take(&catalog);
  }
  buffer_free(&apps);
  buffer_free(&catalog);
  return rc;
}

// --- endpoints -----------------------------------------------------------------------------------

static bool is_hook_id(const char *text)
{
  size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
  return text[len] == '\0' && len >= HOOK_ID_LEAST && len <= HOOK_ID_MOST && text[0] != '-' &&
         text[len - 1] != '-'; // it must fit a DNS label
}

static int check_unique(const Reader *reader, const YamlNode *map, const ConfigEndpoint *endpoint)
{
  const Config *config = reader->config;
  uint32_t i;
  for (i = 0; i < config->endpoint_count; i++) {
    const ConfigEndpoint *other = &config->endpoints[i];
    if (endpoint->hook_id && other->hook_id && strcmp(endpoint->hook_id, other->hook_id) == 0)
      return config_fail(reader, yaml_get(map, "hook_id"),
                         "endpoints.hook_id: expected each hook id once, got %s again (line %d)",
                         endpoint->hook_id, other->line);
    if (strcmp(endpoint->plugin, other->plugin) == 0 && strcmp(endpoint->name, other->name) == 0)
      return config_fail(reader, map,
                         "endpoints.name: expected another name than \"%.80s\", which is taken "
                         "(line %d)",
                         endpoint->name, other->line);
  }
  return 0;
}

static int read_endpoint(const Reader *reader, const YamlNode *map, ConfigEndpoint *endpoint)
{
  static const char *const known[] = { "plugin", "name", "hook_id", "enabled", "settings", NULL };
  const YamlNode *settings = yaml_get(map, "settings"), *enabled = yaml_get(map, "enabled");
  const YamlNode *hook_id = yaml_get(map, "hook_id"), *name = yaml_get(map, "name");
  const char *plugin;
  if (map->type != YAML_MAP)
    return config_expected(reader, map, "endpoints", "a map with plugin, name and settings", map);
  if (config_check_keys(reader, map, "endpoints", known) != 0)
    return UV_EINVAL;
  plugin = want_text(reader, map, "plugin", "endpoints.plugin", "a plugin's name or author/name");
  if (!plugin)
    return UV_EINVAL;
  endpoint->plugin = mem_string(plugin);
  if (name && !want_text(reader, map, "name", "endpoints.name", "a name"))
    return UV_EINVAL;
  endpoint->name = mem_string(name ? name->text : plugin);
  if (hook_id && hook_id->type != YAML_NULL) {
    if (!hook_id->text || !is_hook_id(hook_id->text))
      return config_expected(reader, hook_id, "endpoints.hook_id",
                             "3 to 63 characters of a-z, 0-9 and '-'", hook_id);
    endpoint->hook_id = mem_string(hook_id->text);
  }
  endpoint->is_enabled = !enabled || enabled->type == YAML_NULL || enabled->integer != 0;
  if (enabled && enabled->type != YAML_NULL && enabled->type != YAML_BOOL)
    return config_expected(reader, enabled, "endpoints.enabled", "true or false", enabled);
  if (settings && settings->type != YAML_NULL && settings->type != YAML_MAP)
    return config_expected(reader, settings, "endpoints.settings", "a map", settings);
  endpoint->line = map->line;
  endpoint->column = map->column;
  return check_unique(reader, map, endpoint);
}

int config_endpoints(const Reader *reader, const YamlNode *list)
{
  Config *config = reader->config;
  size_t i;
  int rc = 0;
  if (list->type != YAML_LIST)
    return config_expected(reader, list, "endpoints", "a list", list);
  config->endpoints = mem_zero(list->count, sizeof *config->endpoints);
  config->empty_settings = mem_zero(list->count, sizeof *config->empty_settings);
  for (i = 0; i < list->count && rc == 0; i++) {
    const YamlNode *map = list->items[i], *settings = yaml_get(map, "settings");
    ConfigEndpoint *endpoint = &config->endpoints[i];
    rc = read_endpoint(reader, map, endpoint);
    config->empty_settings[i] =
        (YamlNode){ .type = YAML_MAP, .line = map->line, .column = map->column };
    endpoint->settings =
        settings && settings->type == YAML_MAP ? settings : &config->empty_settings[i];
    config->endpoint_count = (uint32_t)i + 1;
  }
  return rc;
}
