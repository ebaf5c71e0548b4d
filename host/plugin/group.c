// The endpoint group: its settings, as a list or as a map from name to item, and its endpoints,
// each a file or a map (see package_read.h).
#include "package_read.h"

static void read_settings(const Place *place, const YamlNode *settings)
{
  size_t i;
  if (!settings || settings->type == YAML_NULL)
    return;
  if (settings->type != YAML_LIST && settings->type != YAML_MAP) {
    place_expected(place, settings, "settings", "a list or a map", settings);
    return;
  }
  for (i = 0; i < settings->count; i++) {
    if (settings->type == YAML_LIST)
      setting_read(place, settings->items[i], NULL);
    else
      setting_read(place, settings->pairs[i].value, settings->pairs[i].key);
  }
}

static void read_endpoint(const Place *place, const YamlNode *node)
{
  YamlDoc *doc;
  Place inner = *place;
  if (node->type == YAML_MAP) {
    declaration_read(place, node);
    return;
  }
  doc = place_open(place, node, "endpoints");
  if (!doc)
    return;
  inner.file = node->text;
  declaration_read(&inner, yaml_root(doc));
  yaml_doc_free(doc);
}

void group_read(const Place *place, const YamlNode *node)
{
  static const char *const known[] = { "settings", "endpoints", NULL };
  const YamlNode *endpoints = yaml_get(node, "endpoints");
  size_t i;
  if (node->type != YAML_MAP) {
    place_expected(place, node, NULL, "a map with settings and endpoints", node);
    return;
  }
  place_check_slips(place, node, NULL, known);
  read_settings(place, yaml_get(node, "settings"));
  if (!endpoints || endpoints->type != YAML_LIST || endpoints->count == 0) {
    place_expected(place, endpoints ? endpoints : node, "endpoints", "a list of endpoints",
                   endpoints);
    return;
  }
  for (i = 0; i < endpoints->count; i++) {
    if (place->package->declaration_count >= MAX_DECLARATIONS) {
      problems_add(place->problems, place->file, endpoints->line, endpoints->column,
                   "endpoints: expected at most %d endpoints in a plugin", MAX_DECLARATIONS);
      return;
    }
    read_endpoint(place, endpoints->items[i]);
  }
}
