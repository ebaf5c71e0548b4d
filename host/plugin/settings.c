// Settings values held against their declarations (see package.h). What comes out is what handlers
// see: every value of its declared type, defaults filled in, nulls left out.
#include <stdio.h>
#include <uv.h>

#include "package_read.h"

enum { MAX_VALUES = 64, MAX_VALUE_BYTES = 64 * 1024 };

// --- the other types -----------------------------------------------------------------------------

// Numbers and booleans that YAML made of a text are the text again. What was meant as a secret is
// in no message.
static bool check_text(const Place *place, const Setting *setting, const YamlNode *value,
                       const char *what, Buffer *out)
{
  bool is_text = value->type == YAML_STRING ||
                 (!place->is_json && value->type != YAML_LIST && value->type != YAML_MAP);
  if (!is_text && setting->type == SETTING_SECRET) {
    problems_add(place->problems, place->file, value->line, value->column,
                 "%s: expected a string, got %s", what, yaml_type_name(value));
    return false;
  }
  if (!is_text) {
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
    if (place->is_json && value->type != YAML_STRING)
      break;
    if (span_is((Span){ value->text, value->len }, setting->options[i])) {
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
  bool is_good = true;
  size_t i;
  if (value->type != YAML_LIST) {
    place_expected(place, value, what, "a list of tools", value);
    return false;
  }
  for (i = 0; i < value->count; i++) {
    char item[224];
    snprintf(item, sizeof item, "%.200s[%zu]", what, i + 1);
    if (value->items[i]->type == YAML_MAP)
      continue;
    place_expected(place, value->items[i], item, "a tool, as a map", value->items[i]);
    is_good = false;
  }
  if (!is_good)
    return false;
  yaml_to_json(value, out);
  return true;
}

static bool check_one(const Place *place, const Setting *setting, const YamlNode *value,
                      const char *what, Buffer *out)
{
  switch (setting->type) {
  case SETTING_TEXT:
  case SETTING_SECRET:
    return check_text(place, setting, value, what, out);
  case SETTING_SELECT:
    return check_option(place, setting, value, what, out);
  case SETTING_BOOLEAN:
    return check_boolean(place, value, what, out);
  case SETTING_MODEL:
    return setting_model(place, setting, value, what, out);
  case SETTING_APP:
    return setting_app(place, value, what, out);
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
  char field[1040];
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
    snprintf(field, sizeof field, "settings.%.1023s", key->text);
    place->problems->field = field;
    problems_add(place->problems, place->file, key->line, key->column,
                 "settings.%s: %s has no such setting%s%s%s", key->text, package->name,
                 nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    place->problems->field = NULL;
  }
}

// Appends `"name":value` when there is a value.
static void add_setting(const Place *place, const Setting *setting, const YamlNode *settings,
                        const char *what, Buffer *out)
{
  const YamlNode *value = yaml_get(settings, setting->name);
  size_t start = out->len;
  if ((!value && !setting->default_json) || (value && value->type == YAML_NULL)) {
    if (setting->is_required && place->is_unasked)
      problems_add(place->problems, setting->file, setting->line, setting->column,
                   "%s: it is required, and nobody sets it: in moonhook.yaml, endpoints: [ { "
                   "plugin: %s, settings: { %.100s: ... } } ], or with moonhook endpoint add %s "
                   "--%s %.100s=%s",
                   what, place->package->name, setting->name, place->package->name,
                   setting->type == SETTING_SECRET ? "secret" : "set", setting->name,
                   setting->type == SETTING_SECRET ? "@FILE" : "VALUE");
    else if (setting->is_required)
      place_expected(place, value ? value : settings, what, "a value (it is required)", value);
    return;
  }
  if (out->len > 1)
    buffer_char(out, ',');
  buffer_json_string(out, setting->name, strlen(setting->name));
  buffer_char(out, ':');
  if (!value) {
    buffer_string(out, setting->default_json);
  } else if (!setting_value(place, setting, value, what, out)) {
    out->len = start; // a problem: nobody will read `out`
  } else if (out->len - start > MAX_VALUE_BYTES) {
    problems_add(place->problems, place->file, value->line, value->column,
                 "%s: expected at most %d bytes as JSON, got %zu", what, MAX_VALUE_BYTES,
                 out->len - start);
    out->len = start;
  }
}

static int check_all(const Place *place, const YamlNode *settings, Buffer *out)
{
  static YamlNode none = { .type = YAML_MAP, .line = 1, .column = 1 };
  const Package *package = place->package;
  Problems *problems = place->problems;
  Buffer json = { 0 };
  size_t before = problems->count;
  uint32_t i;
  if (!settings || settings->type == YAML_NULL)
    settings = &none;
  problems->field = "settings";
  if (settings->type != YAML_MAP)
    place_expected(place, settings, "settings", "a map", settings);
  else if (settings->count > MAX_VALUES)
    problems_add(problems, place->file, settings->line, settings->column,
                 "settings: expected at most %d settings, got %zu", MAX_VALUES, settings->count);
  problems->field = NULL;
  if (problems->count > before)
    return UV_EINVAL;
  check_names(place, settings);
  buffer_char(&json, '{');
  for (i = 0; i < package->setting_count; i++) {
    char field[1040], what[224];
    snprintf(field, sizeof field, "settings.%.1023s", package->settings[i].name);
    snprintf(what, sizeof what, "settings.%.200s", package->settings[i].name);
    problems->field = field;
    add_setting(place, &package->settings[i], settings, what, &json);
  }
  problems->field = NULL;
  buffer_char(&json, '}');
  if (problems->count == before)
    buffer_append(out, json.bytes, json.len);
  buffer_free(&json);
  return problems->count == before ? 0 : UV_EINVAL;
}

// Place is for readers too; here nothing of the package is written.
static Package *borrowed(const Package *package)
{
  return (Package *)(uintptr_t)package;
}

int package_settings(const Package *package, const YamlNode *settings, Buffer *out,
                     Problems *problems, const char *file)
{
  Place place = { .package = borrowed(package),
                  .problems = problems,
                  .file = file ? file : "settings",
                  .is_unasked = !file };
  return check_all(&place, settings, out);
}

int package_settings_json(const Package *package, const YamlNode *settings, Buffer *out,
                          Problems *problems)
{
  Place place = {
    .package = borrowed(package), .problems = problems, .file = "settings", .is_json = true
  };
  return check_all(&place, settings, out);
}

const Setting *package_setting(const Package *package, const char *name)
{
  uint32_t i;
  for (i = 0; i < package->setting_count; i++) {
    if (strcmp(package->settings[i].name, name) == 0)
      return &package->settings[i];
  }
  return NULL;
}
