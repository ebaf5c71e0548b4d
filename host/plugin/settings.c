// Settings values held against their declarations (see package.h). What comes out is what handlers
// see: every value of its declared type, defaults filled in, nulls left out.
#include <stdio.h>
#include <uv.h>

#include "package_read.h"

enum { MAX_VALUES = 64 };

// --- models and apps -----------------------------------------------------------------------------

// The model type that a scope's word stands for; vision, document and tool-call are abilities of an
// llm. NULL for "all" and what nobody knows.
static const char *model_type_of(const char *word, size_t len)
{
  static const char *const types[] = { "llm",         "text-embedding", "rerank", "tts",
                                       "speech2text", "moderation",     NULL };
  static const char *const abilities[] = { "vision", "document", "tool-call", NULL };
  size_t i;
  for (i = 0; types[i]; i++) {
    if (strlen(types[i]) == len && memcmp(types[i], word, len) == 0)
      return types[i];
  }
  for (i = 0; abilities[i]; i++) {
    if (strlen(abilities[i]) == len && memcmp(abilities[i], word, len) == 0)
      return types[0];
  }
  return NULL;
}

// The one model type that a scope leaves, or NULL. With `wanted`: whether the scope holds it.
static const char *scope_type(const char *scope, const char *wanted)
{
  const char *only = NULL, *type, *at = scope;
  size_t len;
  while (at && *at) {
    at += strspn(at, "& ");
    len = strcspn(at, "& ");
    if (len == 3 && memcmp(at, "all", 3) == 0)
      return wanted;
    type = model_type_of(at, len);
    if (type && wanted && strcmp(type, wanted) == 0)
      return type;
    if (type && only && strcmp(type, only) != 0)
      return NULL;
    if (type)
      only = type;
    at += len;
  }
  return wanted ? NULL : only;
}

static bool need_member(const Place *place, const YamlNode *map, const char *what, const char *key,
                        const char *expected)
{
  const YamlNode *node = yaml_get(map, key);
  char name[256];
  if (node && node->type != YAML_NULL && (!node->text || node->len > 0))
    return true;
  snprintf(name, sizeof name, "%s.%s", what, key);
  place_expected(place, node ? node : map, name, expected, node);
  return false;
}

static bool check_model_type(const Place *place, const Setting *setting, const YamlNode *map,
                             const char *what)
{
  const YamlNode *type = yaml_get(map, "model_type");
  char name[256], expected[160];
  if (!type || type->type == YAML_NULL)
    return true;
  if (type->type == YAML_STRING && (!setting->scope || scope_type(setting->scope, type->text)))
    return true;
  snprintf(name, sizeof name, "%s.model_type", what);
  snprintf(expected, sizeof expected, "a model type of the scope %.100s",
           setting->scope ? setting->scope : "all");
  place_expected(place, type, name, expected, type);
  return false;
}

// What Dify asks of a selector beyond the model's name, by the whole scope.
static bool check_parameters(const Place *place, const Setting *setting, const YamlNode *map,
                             const char *what)
{
  const char *scope = setting->scope ? setting->scope : "";
  const YamlNode *params = yaml_get(map, "completion_params");
  char name[256];
  bool is_good = true;
  if (strcmp(scope, "rerank") == 0) {
    is_good = need_member(place, map, what, "score_threshold", "a number") && is_good;
    is_good = need_member(place, map, what, "top_n", "a number") && is_good;
  }
  if (strcmp(scope, "tts") == 0)
    is_good = need_member(place, map, what, "voice", "a voice's name");
  if (params && params->type != YAML_MAP && params->type != YAML_NULL) {
    snprintf(name, sizeof name, "%s.completion_params", what);
    place_expected(place, params, name, "a map", params);
    is_good = false;
  }
  return is_good;
}

static bool check_model(const Place *place, const Setting *setting, const YamlNode *value,
                        const char *what, Buffer *out)
{
  const char *type = setting->scope ? scope_type(setting->scope, NULL) : NULL;
  const YamlNode *given = yaml_get(value, "model_type");
  bool is_good;
  size_t i, written = 0;
  if (value->type != YAML_MAP) {
    place_expected(place, value, what, "a map with provider and model", value);
    return false;
  }
  is_good = need_member(place, value, what, "provider", "a backend's name");
  is_good = need_member(place, value, what, "model", "a model's name") && is_good;
  is_good = check_model_type(place, setting, value, what) && is_good;
  is_good = check_parameters(place, setting, value, what) && is_good;
  buffer_char(out, '{');
  for (i = 0; i < value->count; i++) {
    const YamlNode *key = value->pairs[i].key, *member = value->pairs[i].value;
    if (member == given && given->type == YAML_NULL && type)
      continue;
    if (written++ > 0)
      buffer_char(out, ',');
    buffer_json_string(out, key->text, key->len);
    buffer_char(out, ':');
    // A model may well be called 4 or 3.5.
    if ((strcmp(key->text, "model") == 0 || strcmp(key->text, "provider") == 0) && member->text)
      buffer_json_string(out, member->text, member->len);
    else
      yaml_to_json(member, out);
  }
  if (type && (!given || given->type == YAML_NULL))
    buffer_printf(out, "%s\"model_type\":\"%s\"", written > 0 ? "," : "", type);
  buffer_char(out, '}');
  return is_good;
}

static bool check_app(const Place *place, const YamlNode *value, const char *what, Buffer *out)
{
  const YamlNode *app_id = yaml_get(value, "app_id");
  char name[256];
  if (value->type != YAML_MAP) {
    place_expected(place, value, what, "a map with app_id", value);
    return false;
  }
  if (!need_member(place, value, what, "app_id", "an app's id"))
    return false;
  if (app_id->type != YAML_STRING) {
    snprintf(name, sizeof name, "%s.app_id", what);
    place_expected(place, app_id, name, "a string", app_id);
    return false;
  }
  yaml_to_json(value, out);
  return true;
}

// --- the other types -----------------------------------------------------------------------------

// Numbers and booleans that YAML made of a text are the text again.
static bool check_text(const Place *place, const YamlNode *value, const char *what, Buffer *out)
{
  if (value->type == YAML_LIST || value->type == YAML_MAP) {
    place_expected(place, value, what, "a string", value);
    return false;
  }
  buffer_json_string(out, value->text, value->len);
  return true;
}

static bool check_option(const Place *place, const Setting *setting, const YamlNode *value,
                         const char *what, Buffer *out)
{
  Buffer expected = { 0 };
  uint32_t i;
  for (i = 0; i < setting->option_count && value->text; i++) {
    if (strcmp(setting->options[i], value->text) == 0) {
      buffer_json_string(out, value->text, value->len);
      return true;
    }
  }
  buffer_string(&expected, "one of ");
  for (i = 0; i < setting->option_count && i < 12; i++)
    buffer_printf(&expected, "%s%s", i > 0 ? ", " : "", setting->options[i]);
  if (i < setting->option_count)
    buffer_string(&expected, ", ...");
  place_expected(place, value, what, expected.bytes, value);
  buffer_free(&expected);
  return false;
}

static bool check_boolean(const Place *place, const YamlNode *value, const char *what, Buffer *out)
{
  bool is_true = false;
  if (!place_bool(value, &is_true)) {
    place_expected(place, value, what, "true or false", value);
    return false;
  }
  buffer_string(out, is_true ? "true" : "false");
  return true;
}

static bool check_tools(const Place *place, const YamlNode *value, const char *what, Buffer *out)
{
  if (value->type != YAML_LIST) {
    place_expected(place, value, what, "a list of tools", value);
    return false;
  }
  yaml_to_json(value, out);
  return true;
}

static bool check_one(const Place *place, const Setting *setting, const YamlNode *value,
                      const char *what, Buffer *out)
{
  switch (setting->type) {
  case SETTING_TEXT:
  case SETTING_SECRET:
    return check_text(place, value, what, out);
  case SETTING_SELECT:
    return check_option(place, setting, value, what, out);
  case SETTING_BOOLEAN:
    return check_boolean(place, value, what, out);
  case SETTING_MODEL:
    return check_model(place, setting, value, what, out);
  case SETTING_APP:
    return check_app(place, value, what, out);
  case SETTING_TOOLS:
    return check_tools(place, value, what, out);
  }
  return false;
}

bool setting_value(const Place *place, const Setting *setting, const YamlNode *value,
                   const char *what, Buffer *out)
{
  bool is_good = true;
  size_t i;
  if (!setting->is_multiple || setting->type == SETTING_TOOLS)
    return check_one(place, setting, value, what, out);
  buffer_char(out, '[');
  if (value->type != YAML_LIST)
    is_good = check_one(place, setting, value, what, out); // one is a list of one
  for (i = 0; value->type == YAML_LIST && i < value->count; i++) {
    char item[224];
    snprintf(item, sizeof item, "%.200s[%zu]", what, i + 1);
    if (i > 0)
      buffer_char(out, ',');
    is_good = check_one(place, setting, value->items[i], item, out) && is_good;
  }
  buffer_char(out, ']');
  return is_good;
}

// --- a plugin's settings -------------------------------------------------------------------------

static void check_names(const Place *place, const YamlNode *settings)
{
  const Package *package = place->package;
  const char *names[MAX_SETTINGS + 1];
  uint32_t i, count = package->setting_count < MAX_SETTINGS ? package->setting_count : MAX_SETTINGS;
  size_t at;
  for (i = 0; i < count; i++)
    names[i] = package->settings[i].name;
  names[count] = NULL;
  for (at = 0; at < settings->count; at++) {
    const YamlNode *key = settings->pairs[at].key;
    const char *nearest;
    for (i = 0; i < count && strcmp(names[i], key->text) != 0; i++)
      ;
    if (i < count)
      continue;
    nearest = yaml_nearest(key->text, names);
    problems_add(place->problems, place->file, key->line, key->column,
                 "settings.%s: %s has no such setting%s%s%s", key->text, package->name,
                 nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
  }
}

// Appends `"name":value` when there is a value.
static void add_setting(const Place *place, const Setting *setting, const YamlNode *settings,
                        Buffer *out)
{
  const YamlNode *value = yaml_get(settings, setting->name);
  size_t start = out->len;
  char what[224];
  snprintf(what, sizeof what, "settings.%.200s", setting->name);
  if ((!value && !setting->default_json) || (value && value->type == YAML_NULL)) {
    if (setting->is_required)
      place_expected(place, value ? value : settings, what, "a value (it is required)", value);
    return;
  }
  if (out->len > 1)
    buffer_char(out, ',');
  buffer_json_string(out, setting->name, strlen(setting->name));
  buffer_char(out, ':');
  if (!value)
    buffer_string(out, setting->default_json);
  else if (!setting_value(place, setting, value, what, out))
    out->len = start; // a problem: nobody will read `out`
}

int package_settings(const Package *package, const YamlNode *settings, Buffer *out,
                     Problems *problems, const char *file)
{
  static YamlNode none = { .type = YAML_MAP };
  Package *borrowed = (Package *)(uintptr_t)package; // Place is for readers too; nothing is written
  Place place = { borrowed, problems, file };
  Buffer json = { 0 };
  size_t before = problems->count;
  uint32_t i;
  if (!settings)
    settings = &none;
  if (settings->type != YAML_MAP && settings->type != YAML_NULL) {
    place_expected(&place, settings, "settings", "a map", settings);
    return UV_EINVAL;
  }
  if (settings->count > MAX_VALUES) {
    problems_add(problems, file, settings->line, settings->column,
                 "settings: expected at most %d settings, got %zu", MAX_VALUES, settings->count);
    return UV_EINVAL;
  }
  check_names(&place, settings);
  buffer_char(&json, '{');
  for (i = 0; i < package->setting_count; i++)
    add_setting(&place, &package->settings[i], settings, &json);
  buffer_char(&json, '}');
  if (problems->count == before)
    buffer_append(out, json.bytes, json.len);
  buffer_free(&json);
  return problems->count == before ? 0 : UV_EINVAL;
}
