// Shared by the files that make YAML trees (yaml.c, yaml_tree.c, yaml_scalar.c). For nobody else.
#ifndef MOONHOOK_BASE_YAML_TREE_H
#define MOONHOOK_BASE_YAML_TREE_H

#include <yaml.h>

#include "yaml.h"

enum { MAX_DEPTH = 64 };

typedef struct {
  char *name;
  YamlNode *node; // NULL while its own content is being read
} TreeAnchor;

typedef struct {
  yaml_parser_t parser;
  const char *text;
  size_t len;
  TreeAnchor *anchors;
  size_t anchor_count;
  int aliases, copied;
  YamlNode *dropped; // nodes taken out of the tree that an anchor may still name
  Err *err;
} TreeBuilder;

// --- yaml_tree.c: nodes, and copies of them ---

YamlNode *tree_node_new(YamlType type, int line, int column);
void tree_node_free(YamlNode *node);
void *tree_with_room(void *block, size_t count, size_t size);
void tree_add_item(YamlNode *list, YamlNode *item);
void tree_add_pair(YamlNode *map, YamlNode *key, YamlNode *value);
// An anchor's place in builder->anchors, or -1 when there is no name.
long tree_anchor_open(TreeBuilder *builder, const yaml_char_t *name);
void tree_anchor_set(TreeBuilder *builder, long at, YamlNode *node);
YamlNode *tree_build_alias(TreeBuilder *builder, yaml_event_t *event, int depth);
// The map with what its `<<` names merged in; NULL after an error, the map is then freed.
YamlNode *tree_build_merges(TreeBuilder *builder, YamlNode *map, int depth);

// --- yaml_scalar.c ---

YamlNode *tree_build_scalar(TreeBuilder *builder, yaml_event_t *event);
bool tree_is_tag(const yaml_char_t *tag, const char *name);

// --- yaml.c: errors; all return NULL ---

YamlNode *tree_fail_at(TreeBuilder *builder, int line, int column, const char *what);
YamlNode *tree_fail_event(TreeBuilder *builder, const yaml_event_t *event, const char *what);
YamlNode *tree_fail_tag(TreeBuilder *builder, const yaml_event_t *event, const yaml_char_t *tag);

#endif
