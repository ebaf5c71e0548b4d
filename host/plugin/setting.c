// One declared setting: its type and what the console shows of it (see package_read.h). Values are
// settings.c's.
#include <stdio.h>

#include "../base/memory.h"
#include "package_read.h"

static const char *const TYPES[] = {
  [SETTING_TEXT] = "text-input",      [SETTING_SECRET] = "secret-input",
  [SETTING_SELECT] = "select",        [SETTING_BOOLEAN] = "boolean",
  [SETTING_MODEL] = "model-selector", [SETTING_APP] = "app-selector",
  [SETTING_TOOLS] = "array[tools]",   NULL,
};

const char *setting_type_name(SettingType type)
{
  return TYPES[type];
}

static bool read_type(const Place *place, const YamlNode *map, Setting *setting)
{
  const YamlNode *node = yaml_get(map, "type");
  const char *nearest;
  char shown[96], what[160];
  int i;
  for (i = 0; TYPES[i] && node && node->type == YAML_STRING; i++) {
    if (strcmp(node->text, TYPES[i]) == 0) {
      setting->type = (SettingType)i;
      return true;
    }
  }
  nearest = node && node->type == YAML_STRING ? yaml_nearest(node->text, TYPES) : NULL;
  snprintf(what, sizeof what, "settings.%.100s.type", setting->name);
  problems_add(place->problems, place->file, node ? node->line : map->line,
               node ? node->column : map->column,
               "%s: expected one of text-input, secret-input, select, boolean, model-selector, "
               "app-selector, array[tools], got %s%s%s%s",
               what, yaml_show(node, shown, sizeof shown), nearest ? ", did you mean " : "",
               nearest ? nearest : "", nearest ? "?" : "");
  return false;
}

static void read_flag(const Place *place, const Setting *setting, const YamlNode *map,
                      const char *key, bool *value)
{
  const YamlNode *node = yaml_get(map, key);
  char what[160];
  if (!node || node->type == YAML_NULL || place_bool(node, value))
    return;
  snprintf(what, sizeof what, "settings.%.100s.%s", setting->name, key);
  place_expected(place, node, what, "true or false", node);
}

// Whether one of the scope's words, joined by '&', is known; Dify ignores the others.
static bool scope_is_known(const Setting *setting)
{
  static const char *const apps[] = { "all", "chat", "workflow", "completion", NULL };
  static const char *const models[] = { "all",       "llm",         "text-embedding",
                                        "rerank",    "tts",         "moderation",
                                        "vision",    "speech2text", "document",
                                        "tool-call", NULL };
  const char *const *words = setting->type == SETTING_APP ? apps : models;
  const char *at = setting->scope;
  size_t i, len;
  while (*at) {
    at += strspn(at, "& ");
    len = strcspn(at, "& ");
    for (i = 0; words[i]; i++) {
      if (len == strlen(words[i]) && memcmp(at, words[i], len) == 0)
        return true;
    }
    at += len;
  }
  return false;
}

static void read_scope(const Place *place, const YamlNode *map, Setting *setting)
{
  const YamlNode *node = yaml_get(map, "scope");
  char what[160];
  if (!node || !node->text || node->len == 0 || node->type == YAML_NULL)
    return;
  if (setting->type != SETTING_APP && setting->type != SETTING_MODEL)
    return;
  setting->scope = mem_string(node->text);
  if (scope_is_known(setting))
    return;
  snprintf(what, sizeof what, "settings.%.100s.scope", setting->name);
  place_expected(place, node, what,
                 setting->type == SETTING_APP
                     ? "all, chat, workflow or completion"
                     : "all, llm, text-embedding, rerank, tts, speech2text, moderation, vision, "
                       "document or tool-call",
                 node);
}

static void read_option(const Place *place, const YamlNode *node, const char *what, Buffer *json)
{
  const YamlNode *value = node->type == YAML_MAP ? yaml_get(node, "value") : node;
  char *label;
  if (!value || !value->text || value->type == YAML_NULL) {
    place_expected(place, node, what, "a map with value and label", node);
    return;
  }
  if (json->len > 1)
    buffer_char(json, ',');
  buffer_string(json, "{\"value\":");
  buffer_json_string(json, value->text, value->len);
  label = node->type == YAML_MAP ? place_words(place, yaml_get(node, "label"), what) : NULL;
  if (label)
    buffer_printf(json, ",\"label\":%s", label);
  mem_free(label);
  buffer_char(json, '}');
}

static void read_options(const Place *place, const YamlNode *map, Setting *setting)
{
  const YamlNode *node = yaml_get(map, "options");
  Buffer json = { 0 };
  char what[160];
  size_t i;
  if (setting->type != SETTING_SELECT)
    return;
  snprintf(what, sizeof what, "settings.%.100s.options", setting->name);
  if (!node || node->type != YAML_LIST || node->count == 0) {
    place_expected(place, node ? node : map, what, "a list of options", node);
    return;
  }
  buffer_char(&json, '[');
  for (i = 0; i < node->count; i++) {
    const YamlNode *item = node->items[i];
    const YamlNode *value = item->type == YAML_MAP ? yaml_get(item, "value") : item;
    read_option(place, item, what, &json);
    if (value && value->text && value->type != YAML_NULL) {
      setting->options =
          mem_resize(setting->options, (setting->option_count + 1) * sizeof *setting->options);
      setting->options[setting->option_count++] = mem_string(value->text);
    }
  }
  buffer_char(&json, ']');
  setting->options_json = buffer_take(&json);
}

// An empty default, as the console writes it, is no default.
static void read_default(const Place *place, const YamlNode *map, Setting *setting)
{
  const YamlNode *node = yaml_get(map, "default");
  Buffer json = { 0 };
  char what[160];
  if (!node || node->type == YAML_NULL ||
      (node->type == YAML_STRING && node->len == 0 && setting->type != SETTING_TEXT &&
       setting->type != SETTING_SECRET))
    return;
  snprintf(what, sizeof what, "settings.%.100s.default", setting->name);
  if (setting->type == SETTING_BOOLEAN && node->type == YAML_STRING &&
      (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)) {
    setting->default_json = mem_string(node->text); // "false" in quotes is what people write
    return;
  }
  if (setting_value(place, setting, node, what, &json))
    setting->default_json = buffer_take(&json);
  buffer_free(&json);
}

// Puts the setting in the place of an earlier group's, as Dify's last group wins; the same name
// twice in one file is a mistake.
static void keep(const Place *place, const YamlNode *at, const Setting *setting)
{
  Package *package = place->package;
  uint32_t i;
  for (i = 0; i < package->setting_count; i++) {
    if (strcmp(package->settings[i].name, setting->name) != 0)
      continue;
    if (strcmp(package->settings[i].file, setting->file) == 0)
      problems_add(place->problems, place->file, at->line, at->column,
                   "settings.%s: expected each name once, got it twice", setting->name);
    setting_free(&package->settings[i]);
    package->settings[i] = *setting;
    return;
  }
  package->settings =
      mem_resize(package->settings, (package->setting_count + 1) * sizeof *package->settings);
  package->settings[package->setting_count++] = *setting;
}

static const YamlNode *read_name(const Place *place, const YamlNode *node, const YamlNode *key)
{
  const YamlNode *name = key ? key : yaml_get(node, "name");
  if (name && name->text && name->len > 0 && name->len <= 1023 && (key || name->type != YAML_NULL))
    return name;
  place_expected(place, name ? name : node, "settings.name", "a name of 1 to 1023 bytes", name);
  return NULL;
}

void setting_read(const Place *place, const YamlNode *node, const YamlNode *key)
{
  static const char *const known[] = { "name",     "type",        "scope", "required", "default",
                                       "options",  "label",       "help",  "helper",   "url",
                                       "multiple", "placeholder", NULL };
  const YamlNode *name, *url = yaml_get(node, "url"), *help = yaml_get(node, "help");
  Setting setting = { 0 };
  char what[160];
  if (node->type != YAML_MAP) {
    place_expected(place, node, "settings", "a map with name, type and label", node);
    return;
  }
  if (place->package->setting_count >= MAX_SETTINGS) {
    problems_add(place->problems, place->file, node->line, node->column,
                 "settings: expected at most %d settings in a plugin", MAX_SETTINGS);
    return;
  }
  name = read_name(place, node, key);
  if (!name)
    return;
  setting.name = mem_string(name->text);
  setting.file = mem_string(place->file);
  setting.line = name->line;
  setting.column = name->column;
  snprintf(what, sizeof what, "settings.%.100s", setting.name);
  place_check_slips(place, node, what, known + (key ? 1 : 0));
  if (!read_type(place, node, &setting)) {
    setting_free(&setting);
    return;
  }
  read_flag(place, &setting, node, "required", &setting.is_required);
  read_flag(place, &setting, node, "multiple", &setting.is_multiple);
  read_scope(place, node, &setting);
  read_options(place, node, &setting);
  setting.label_json = place_words(place, yaml_get(node, "label"), what);
  setting.help_json = place_words(place, help ? help : yaml_get(node, "helper"), what);
  setting.placeholder_json = place_words(place, yaml_get(node, "placeholder"), what);
  setting.url = url && url->type == YAML_STRING ? mem_string(url->text) : NULL;
  read_default(place, node, &setting);
  keep(place, name, &setting);
}

void setting_free(Setting *setting)
{
  uint32_t i;
  for (i = 0; i < setting->option_count; i++)
    mem_free(setting->options[i]);
  mem_free(setting->options);
  mem_free(setting->name);
  mem_free(setting->file);
  mem_free(setting->scope);
  mem_free(setting->default_json);
  mem_free(setting->label_json);
  mem_free(setting->options_json);
  mem_free(setting->help_json);
  mem_free(setting->placeholder_json);
  mem_free(setting->url);
}
