// Values of model-selector and app-selector (see package_read.h).
#include <stdio.h>

#include "package_read.h"

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

bool setting_may_hold(const Setting *setting, const char *model_type)
{
  return !setting->scope || scope_type(setting->scope, model_type) != NULL;
}

const char *setting_model_type(const Setting *setting)
{
  return setting->scope ? scope_type(setting->scope, NULL) : NULL;
}

typedef enum { A_NAME, A_NUMBER } MemberKind;

// YAML's 4 may be a model's name, and JSON's may not.
static bool is_of_kind(const Place *place, const YamlNode *node, MemberKind kind)
{
  if (!node || node->type == YAML_NULL || !node->text || node->len == 0)
    return false;
  if (!place->is_json)
    return true;
  if (kind == A_NUMBER)
    return node->type == YAML_INTEGER || node->type == YAML_REAL;
  return node->type == YAML_STRING;
}

static bool need_member(const Place *place, const YamlNode *map, const char *what, const char *key,
                        MemberKind kind, const char *expected)
{
  const YamlNode *node = yaml_get(map, key);
  char name[256];
  if (is_of_kind(place, node, kind))
    return true;
  snprintf(name, sizeof name, "%s.%s", what, key);
  place_expected(place, node ? node : map, name, expected, node);
  return false;
}

// A member that may be absent, and else is of this type.
static bool check_member(const Place *place, const YamlNode *map, const char *what, const char *key,
                         YamlType type, const char *expected)
{
  const YamlNode *node = yaml_get(map, key);
  char name[256];
  if (!node || node->type == YAML_NULL || node->type == type)
    return true;
  snprintf(name, sizeof name, "%s.%s", what, key);
  place_expected(place, node, name, expected, node);
  return false;
}

static bool check_model_type(const Place *place, const Setting *setting, const YamlNode *map,
                             const char *what)
{
  const YamlNode *type = yaml_get(map, "model_type");
  char name[256], expected[160];
  if (!type || type->type == YAML_NULL)
    return true;
  if (type->type == YAML_STRING && setting_may_hold(setting, type->text))
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
  bool is_good = true;
  if (strcmp(scope, "rerank") == 0) {
    is_good = need_member(place, map, what, "score_threshold", A_NUMBER, "a number") && is_good;
    is_good = need_member(place, map, what, "top_n", A_NUMBER, "a number") && is_good;
  }
  if (strcmp(scope, "tts") == 0)
    is_good = need_member(place, map, what, "voice", A_NAME, "a voice's name");
  return check_member(place, map, what, "completion_params", YAML_MAP, "a map") && is_good;
}

bool setting_model(const Place *place, const Setting *setting, const YamlNode *value,
                   const char *what, Buffer *out)
{
  const char *type = setting_model_type(setting);
  const YamlNode *given = yaml_get(value, "model_type");
  bool is_good;
  size_t i, written = 0;
  if (value->type != YAML_MAP) {
    place_expected(place, value, what, "a map with provider and model", value);
    return false;
  }
  is_good = need_member(place, value, what, "provider", A_NAME, "a backend's name");
  is_good = need_member(place, value, what, "model", A_NAME, "a model's name") && is_good;
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

bool setting_app(const Place *place, const YamlNode *value, const char *what, Buffer *out)
{
  const YamlNode *app_id = yaml_get(value, "app_id");
  char name[256];
  if (value->type != YAML_MAP) {
    place_expected(place, value, what, "a map with app_id", value);
    return false;
  }
  if (!need_member(place, value, what, "app_id", A_NAME, "an app's id"))
    return false;
  if (!check_member(place, value, what, "inputs", YAML_MAP, "a map") ||
      !check_member(place, value, what, "files", YAML_LIST, "a list"))
    return false;
  if (app_id->type != YAML_STRING) {
    snprintf(name, sizeof name, "%s.app_id", what);
    place_expected(place, app_id, name, "a string", app_id);
    return false;
  }
  yaml_to_json(value, out);
  return true;
}
