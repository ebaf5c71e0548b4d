// See config_show.h. Single values come from the table of fields, the rest (plugins, backends,
// apps, endpoints) from the file itself.
#include "config_show.h"

#include <string.h>

#include "../base/memory.h"
#include "../plugin/package.h"
#include "config_read.h"

typedef struct {
  ConfigValue *items;
  uint32_t count;
  const Config *config;
  const Package *package; // of the endpoint that is being shown
  bool is_endpoint;       // what it holds is an endpoint's
} List;

static const char *const origin_names[] = {
  [CONFIG_DEFAULT] = "default",
  [CONFIG_FILE] = "file",
  [CONFIG_VARIABLE] = "variable",
  [CONFIG_FLAG] = "flag",
};

// Takes `json`.
static void add(List *list, const char *key, char *json, const ConfigOrigin *origin)
{
  Buffer place = { 0 };
  if (origin->type == CONFIG_FILE)
    buffer_printf(&place, "%s:%d:%d", list->config->file, origin->line, origin->column);
  else if (origin->type == CONFIG_VARIABLE)
    buffer_printf(&place, "MOONHOOK_%s", origin->name);
  else if (origin->type == CONFIG_FLAG)
    buffer_string(&place, origin->name);
  list->items = mem_resize(list->items, (list->count + 1) * sizeof *list->items);
  list->items[list->count++] = (ConfigValue){ .key = mem_string(key),
                                              .json = json,
                                              .origin = origin_names[origin->type],
                                              .place = place.len ? buffer_take(&place) : NULL };
}

// --- what stands in the file only ----------------------------------------------------------------

static bool is_secret_setting(const List *list, const char *name)
{
  uint32_t i;
  for (i = 0; list->package && i < list->package->setting_count; i++) {
    if (strcmp(list->package->settings[i].name, name) == 0)
      return list->package->settings[i].type == SETTING_SECRET;
  }
  return true; // nobody knows
}

static bool is_masked(const List *list, const char *key, bool is_setting)
{
  if (!list->is_endpoint)
    return false;
  return is_setting ? is_secret_setting(list, key) : strcmp(key, "hook_id") == 0;
}

static bool is_flat(const YamlNode *node)
{
  size_t i;
  if (node->type != YAML_LIST)
    return node->type != YAML_MAP;
  for (i = 0; i < node->count; i++) {
    if (node->items[i]->type == YAML_LIST || node->items[i]->type == YAML_MAP)
      return false;
  }
  return true;
}

static void add_node(List *list, const char *key, const YamlNode *node, bool is_mask)
{
  ConfigOrigin origin = { .type = CONFIG_FILE, .line = node->line, .column = node->column };
  Buffer json = { 0 };
  if (is_mask && node->type != YAML_NULL)
    buffer_string(&json, "\"" CONFIG_MASK "\"");
  else
    yaml_to_json(node, &json);
  add(list, key, buffer_take(&json), &origin);
}

// What is below `node`, a value for each leaf. `are_settings`: its members are an endpoint's
// settings.
static void add_tree(List *list, const char *key, const YamlNode *node, bool are_settings)
{
  size_t i;
  if (is_flat(node)) {
    add_node(list, key, node, false);
    return;
  }
  for (i = 0; i < node->count; i++) {
    const char *name = node->type == YAML_MAP ? node->pairs[i].key->text : "";
    const YamlNode *value = node->type == YAML_MAP ? node->pairs[i].value : node->items[i];
    Buffer inner = { 0 };
    if (node->type == YAML_MAP)
      buffer_printf(&inner, "%s.%s", key, name);
    else
      buffer_printf(&inner, "%s[%zu]", key, i + 1);
    if (node->type == YAML_MAP && is_masked(list, name, are_settings))
      add_node(list, inner.bytes, value, true);
    else
      add_tree(list, inner.bytes, value,
               list->is_endpoint && !are_settings && strcmp(name, "settings") == 0);
    buffer_free(&inner);
  }
}

static const YamlNode *section(const Config *config, const char *name)
{
  const YamlNode *node = config->doc ? yaml_get(yaml_root(config->doc), name) : NULL;
  return node && node->type != YAML_NULL ? node : NULL;
}

static void add_section(List *list, const char *name)
{
  const YamlNode *node = section(list->config, name);
  if (node)
    add_tree(list, name, node, false);
}

// The package of the plugin that an endpoint names, or NULL.
static Package *read_plugin(const Config *config, const char *name)
{
  uint32_t count, i;
  char **folders = config_plugin_folders(config, &count);
  Package *package = NULL;
  for (i = 0; i < count && !package; i++) {
    Problems problems = { 0 };
    char *id;
    package = package_read_place(folders[i], &problems);
    id = package ? package_id(package) : NULL;
    if (package && strcmp(package->name, name) != 0 && strcmp(id, name) != 0) {
      package_free(package);
      package = NULL;
    }
    mem_free(id);
    problems_free(&problems);
  }
  config_folders_free(folders);
  return package;
}

static void add_endpoints(List *list)
{
  const YamlNode *node = section(list->config, "endpoints");
  size_t i;
  list->is_endpoint = true;
  for (i = 0; node && i < node->count; i++) {
    Package *package = read_plugin(list->config, list->config->endpoints[i].plugin);
    Buffer key = { 0 };
    list->package = package;
    buffer_printf(&key, "endpoints[%zu]", i + 1);
    add_tree(list, key.bytes, node->items[i], false);
    buffer_free(&key);
    package_free(package);
  }
  list->is_endpoint = false;
}

// --- plugins -------------------------------------------------------------------------------------

static void add_plugins(List *list)
{
  const Config *config = list->config;
  Buffer json = { 0 };
  uint32_t i;
  buffer_char(&json, '[');
  for (i = 0; i < config->plugin_dir_count; i++) {
    buffer_string(&json, i ? "," : "");
    buffer_json_string(&json, config->plugin_dirs[i], strlen(config->plugin_dirs[i]));
  }
  buffer_char(&json, ']');
  add(list, "plugins", buffer_take(&json), &config->plugins_origin);
}

ConfigValue *config_values(const Config *config, uint32_t *count)
{
  List list = { .config = config };
  uint32_t i;
  const ConfigField *field;
  for (i = 0; (field = config_field_at(i)); i++) {
    Buffer json = { 0 };
    config_field_json(config, field, &json);
    add(&list, field->key, buffer_take(&json), &config->origins[i]);
  }
  add_plugins(&list);
  add_section(&list, "http");
  add_section(&list, "backends");
  add_section(&list, "apps");
  add_endpoints(&list);
  *count = list.count;
  return list.items;
}

void config_values_free(ConfigValue *list, uint32_t count)
{
  uint32_t i;
  for (i = 0; i < count; i++) {
    mem_free(list[i].key);
    mem_free(list[i].json);
    mem_free(list[i].place);
  }
  mem_free(list);
}

static void append_text(Buffer *out, const char *text)
{
  if (text)
    buffer_json_string(out, text, strlen(text));
  else
    buffer_string(out, "null");
}

void config_show_json(const Config *config, Buffer *out)
{
  uint32_t count, i;
  ConfigValue *list = config_values(config, &count);
  buffer_string(out, "{\"file\":");
  append_text(out, config->file);
  buffer_string(out, ",\"values\":[");
  for (i = 0; i < count; i++) {
    buffer_string(out, i ? ",\n{\"key\":" : "\n{\"key\":");
    append_text(out, list[i].key);
    buffer_printf(out, ",\"value\":%s,\"origin\":\"%s\",\"place\":", list[i].json, list[i].origin);
    append_text(out, list[i].place);
    buffer_char(out, '}');
  }
  buffer_string(out, "]}");
  config_values_free(list, count);
}
