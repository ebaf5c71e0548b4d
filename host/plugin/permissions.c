// resource.permission of the manifest: what of the world the plugin may call (see package_read.h).
// A section that Dify has and we do not is let through with a warning: Dify adds to them.
#include <stdio.h>
#include <string.h>

#include "../reverse/backend.h"
#include "package_read.h"

enum { MAX_SECTIONS = 8 };

static const char *const switches[] = { "enabled", NULL };
static const char *const models[] = { "enabled", "llm",         "text_embedding", "rerank",
                                      "tts",     "speech2text", "moderation",     NULL };
static const char *const storage[] = { "enabled", "size", NULL };

// Beside network, which is network.c's.
static const struct {
  const char *name;
  const char *const *keys;
} sections[] = {
  { "tool", switches }, { "model", models },      { "node", switches },
  { "app", switches },  { "endpoint", switches }, { "storage", storage },
};

static const struct {
  const char *section, *key;
  uint32_t bit;
} permits[] = {
  { "app", "enabled", PERMIT_APP },
  { "tool", "enabled", PERMIT_TOOL },
  { "node", "enabled", PERMIT_NODE },
  { "storage", "enabled", PERMIT_STORAGE },
  { "model", "llm", PERMIT_LLM },
  { "model", "text_embedding", PERMIT_TEXT_EMBEDDING },
  { "model", "rerank", PERMIT_RERANK },
  { "model", "tts", PERMIT_TTS },
  { "model", "speech2text", PERMIT_SPEECH2TEXT },
  { "model", "moderation", PERMIT_MODERATION },
};

enum {
  ANY_MODEL = PERMIT_LLM | PERMIT_TEXT_EMBEDDING | PERMIT_RERANK | PERMIT_TTS | PERMIT_SPEECH2TEXT |
              PERMIT_MODERATION
};

static const char WHAT[] = "resource.permission";

// --- keys ----------------------------------------------------------------------------------------

// A slip of the pen is a problem; what is like nothing we know is a warning.
static void check_keys(const Place *place, const YamlNode *map, const char *what,
                       const char *const *known)
{
  Buffer list = { 0 };
  size_t i, j;
  place_check_slips(place, map, what, known);
  for (j = 0; known[j]; j++)
    buffer_printf(&list, "%s%s", j > 0 ? ", " : "", known[j]);
  for (i = 0; i < map->count; i++) {
    const YamlNode *key = map->pairs[i].key;
    const char *near = yaml_nearest(key->text, known);
    for (j = 0; known[j] && strcmp(known[j], key->text) != 0; j++)
      ;
    if (!known[j] && (!near || yaml_get(map, near)))
      problems_warn(place->problems, place->file, key->line, key->column,
                    "%s.%s: unknown key, it is ignored; known are %s", what, key->text, list.bytes);
  }
  buffer_free(&list);
}

static void check_section(const Place *place, const YamlNode *section, const char *name,
                          const char *const *keys)
{
  char what[64];
  snprintf(what, sizeof what, "%s.%s", WHAT, name);
  if (!section || section->type == YAML_NULL)
    return;
  if (section->type == YAML_MAP) {
    check_keys(place, section, what, keys);
    return;
  }
  place_expected(place, section, what, "a map such as { enabled: true }", section);
}

static void check_sections(const Place *place, const YamlNode *permission)
{
  const char *names[MAX_SECTIONS + 1] = { "network" };
  size_t i;
  for (i = 0; i < sizeof sections / sizeof *sections; i++) {
    names[i + 1] = sections[i].name;
    check_section(place, yaml_get(permission, sections[i].name), sections[i].name,
                  sections[i].keys);
  }
  check_keys(place, permission, WHAT, names);
}

// --- values --------------------------------------------------------------------------------------

// resource.permission.SECTION.KEY; absent is false.
static bool is_permitted(const Place *place, const YamlNode *permission, const char *section,
                         const char *key)
{
  const YamlNode *node = yaml_get(yaml_get(permission, section), key);
  char what[96];
  bool value = false;
  if (!node || node->type == YAML_NULL)
    return false;
  if (!place_bool(node, &value)) {
    snprintf(what, sizeof what, "%s.%s.%s", WHAT, section, key);
    place_expected(place, node, what, "true or false", node);
  }
  return value;
}

static uint64_t read_storage_size(const Place *place, const YamlNode *permission)
{
  const YamlNode *node = yaml_get(yaml_get(permission, "storage"), "size");
  if (!node || node->type == YAML_NULL)
    return 1024 * 1024;
  if (node->type == YAML_INTEGER && node->integer >= 1024 && node->integer <= 1024 * 1024 * 1024)
    return (uint64_t)node->integer;
  place_expected(place, node, "resource.permission.storage.size",
                 "a number of bytes from 1024 to 1073741824", node);
  return 0;
}

static void read_values(const Place *place, const YamlNode *permission)
{
  const YamlNode *model = yaml_get(permission, "model");
  bool has_models = is_permitted(place, permission, "model", "enabled");
  uint32_t bits = 0;
  size_t i;
  for (i = 0; i < sizeof permits / sizeof *permits; i++) {
    if (is_permitted(place, permission, permits[i].section, permits[i].key))
      bits |= permits[i].bit;
  }
  if (!has_models && (bits & ANY_MODEL) && !yaml_get(model, "enabled"))
    problems_warn(place->problems, place->file, model->line, model->column,
                  "%s.model: no model may be called without enabled: true beside the kinds", WHAT);
  if (!has_models)
    bits &= ~(uint32_t)ANY_MODEL;
  if (network_read(place, yaml_get(permission, "network")))
    bits |= PERMIT_NETWORK;
  if (bits & PERMIT_STORAGE)
    place->package->storage_bytes = read_storage_size(place, permission);
  place->package->permissions = bits;
}

void permissions_read(const Place *place, const YamlNode *resource)
{
  static const char *const known[] = { "memory", "permission", NULL };
  const YamlNode *permission = yaml_get(resource, "permission");
  if (resource && resource->type != YAML_MAP && resource->type != YAML_NULL)
    place_expected(place, resource, "resource", "a map", resource);
  else if (resource)
    place_check_slips(place, resource, "resource", known);
  if (permission && permission->type != YAML_MAP && permission->type != YAML_NULL)
    place_expected(place, permission, WHAT, "a map", permission);
  else if (permission)
    check_sections(place, permission);
  read_values(place, permission);
}

void permissions_name(uint32_t permissions, Buffer *out)
{
  size_t i;
  for (i = 0; i < sizeof permits / sizeof *permits; i++) {
    if (permissions & permits[i].bit)
      buffer_printf(out, "%s.%s ", permits[i].section, permits[i].key);
  }
  if (permissions & PERMIT_NETWORK)
    buffer_string(out, "network.enabled");
}

// --- settings that need one ----------------------------------------------------------------------

// Whether a model that the setting may hold may be called.
static bool may_call_model(const Setting *setting, uint32_t permissions)
{
  static const struct {
    const char *type;
    uint32_t bit;
  } types[] = { { "llm", PERMIT_LLM },
                { "text-embedding", PERMIT_TEXT_EMBEDDING },
                { "rerank", PERMIT_RERANK },
                { "tts", PERMIT_TTS },
                { "speech2text", PERMIT_SPEECH2TEXT },
                { "moderation", PERMIT_MODERATION } };
  size_t i;
  for (i = 0; i < sizeof types / sizeof *types; i++) {
    if ((permissions & types[i].bit) && setting_may_hold(setting, types[i].type))
      return true;
  }
  return false;
}

// What the manifest must say so that the plugin can use such a setting; NULL: nothing more.
static const char *missing_for(const Setting *setting, uint32_t permissions)
{
  switch (setting->type) {
  case SETTING_APP:
    return permissions & PERMIT_APP ? NULL : "app: { enabled: true }";
  case SETTING_TOOLS:
    return permissions & PERMIT_TOOL ? NULL : "tool: { enabled: true }";
  case SETTING_MODEL:
    if (may_call_model(setting, permissions))
      return NULL;
    return setting_may_hold(setting, "llm") ? "model: { enabled: true, llm: true }"
                                            : "model: { enabled: true, ... } with its kind";
  case SETTING_TEXT:
  case SETTING_SECRET:
  case SETTING_SELECT:
  case SETTING_BOOLEAN:
    break;
  }
  return NULL;
}

void permissions_check_settings(const Place *place)
{
  const Package *package = place->package;
  uint32_t i;
  for (i = 0; i < package->setting_count; i++) {
    const Setting *setting = &package->settings[i];
    const char *missing = missing_for(setting, package->permissions);
    if (missing)
      problems_warn(place->problems, setting->file, setting->line, setting->column,
                    "settings.%.100s: the plugin may not call what is chosen here: the manifest "
                    "lacks resource: { permission: { %s } }",
                    setting->name, missing);
  }
}
