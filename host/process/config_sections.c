// apps and endpoints: sections that hold things the operator names (see config.h).
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "../base/memory.h"
#include "config_read.h"

enum { MAX_MEMORY_TURNS = 1000, HOOK_ID_LEAST = 3, HOOK_ID_MOST = 63 };

// A scalar that must be a text without control characters; NULL after an error.
const char *config_text(const Reader *reader, const YamlNode *map, const char *key,
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
  if (!config_text(reader, model, "provider", what, "a backend's name"))
    return UV_EINVAL;
  snprintf(what, sizeof what, "%s.model.model", section);
  if (!config_text(reader, model, "model", what, "a model's name"))
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
  if (yaml_get(app, "name") && !config_text(reader, app, "name", what, "a name"))
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
  path = config_text(reader, app, "source", what, "the path of a Lua file");
  if (!path)
    return UV_EINVAL;
  *source = config_path(reader, path);
  if (access(*source, R_OK) != 0)
    return config_expected(reader, yaml_get(app, "source"), what, "a file that can be read",
                           yaml_get(app, "source"));
  config_watch(reader->config, *source);
  return 0;
}

static void add_source(Config *config, const char *id, const char *name, const char *path)
{
  config->app_sources =
      mem_resize(config->app_sources, (config->app_source_count + 1) * sizeof *config->app_sources);
  config->app_sources[config->app_source_count++] =
      (ConfigAppSource){ mem_string(id), mem_string(name), mem_string(path) };
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
  for (i = 0; i < map->count; i++) {
    const YamlNode *id = map->pairs[i].key, *app = map->pairs[i].value;
    char section[160], *source = NULL;
    snprintf(section, sizeof section, "apps.%.100s", id->text);
    if (id->len == 0 || id->len > 128)
      rc = config_expected(reader, id, "apps", "ids of 1 to 128 bytes", id);
    else if (check_app(reader, app, section, &source) != 0)
      rc = UV_EINVAL;
    if (rc == 0) {
      buffer_string(&apps, i > 0 ? "," : "");
      buffer_string(&catalog, i > 0 ? "," : "");
      buffer_json_string(&apps, id->text, id->len);
      buffer_json_string(&catalog, id->text, id->len);
      buffer_char(&apps, ':');
      buffer_char(&catalog, ':');
      app_to_json(app, id->text, source, &apps);
      catalog_to_json(app, id, &catalog);
      if (source)
        add_source(reader->config, id->text, yaml_get(app, "source")->text, source);
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
    if (!other->name) // it has a problem of its own
      continue;
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
  static const char *const known[] = { "plugin",   "name",   "hook_id", "enabled",
                                       "settings", "limits", NULL };
  const YamlNode *settings = yaml_get(map, "settings"), *enabled = yaml_get(map, "enabled");
  const YamlNode *hook_id = yaml_get(map, "hook_id"), *name = yaml_get(map, "name");
  const char *plugin;
  if (map->type != YAML_MAP)
    return config_expected(reader, map, "endpoints", "a map with plugin, name and settings", map);
  if (config_check_keys(reader, map, "endpoints", known) != 0)
    return UV_EINVAL;
  plugin = config_text(reader, map, "plugin", "endpoints.plugin", "a plugin's name or author/name");
  if (!plugin)
    return UV_EINVAL;
  endpoint->plugin = mem_string(plugin);
  if (name && !config_text(reader, map, "name", "endpoints.name", "a name"))
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

int config_endpoint_limits(const Reader *reader)
{
  Config *config = reader->config;
  const YamlNode *list = config->doc ? yaml_get(yaml_root(config->doc), "endpoints") : NULL;
  LimitProblem problem;
  uint32_t i;
  int rc = 0;
  for (i = 0; i < config->endpoint_count; i++) {
    char key[60];
    if (endpoint_limits_read(yaml_get(list->items[i], "limits"), &config->plugin_limits,
                             &config->endpoints[i].limits, &problem))
      continue;
    snprintf(key, sizeof key, "endpoints.%s", problem.name);
    rc = config_expected(reader, problem.at, key, problem.expected, problem.at);
  }
  return rc;
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
  for (i = 0; i < list->count; i++) {
    const YamlNode *map = list->items[i], *settings = yaml_get(map, "settings");
    ConfigEndpoint *endpoint = &config->endpoints[i];
    if (read_endpoint(reader, map, endpoint) != 0)
      rc = UV_EINVAL;
    config->empty_settings[i] =
        (YamlNode){ .type = YAML_MAP, .line = map->line, .column = map->column };
    endpoint->settings =
        settings && settings->type == YAML_MAP ? settings : &config->empty_settings[i];
    config->endpoint_count = (uint32_t)i + 1;
  }
  return rc;
}
