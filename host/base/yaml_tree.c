// The nodes of YAML trees, and what makes one out of another: anchors, aliases, merges (see
// yaml.h). An alias becomes a copy of what it names, within a budget, so that whoever walks the
// tree needs no care.
#include "yaml_tree.h"
#include "memory.h"

enum { MAX_ALIASES = 100, MAX_COPIED_NODES = 10000, MAX_MERGED = 1000 };

// --- nodes ---------------------------------------------------------------------------------------

YamlNode *tree_node_new(YamlType type, int line, int column)
{
  YamlNode *node = mem_zero(1, sizeof *node);
  node->type = type;
  node->line = line;
  node->column = column;
  return node;
}

void tree_node_free(YamlNode *node)
{
  size_t i;
  if (!node)
    return;
  for (i = 0; i < node->count; i++) {
    if (node->type == YAML_LIST) {
      tree_node_free(node->items[i]);
    } else {
      tree_node_free(node->pairs[i].key);
      tree_node_free(node->pairs[i].value);
    }
  }
  mem_free(node->items);
  mem_free(node->pairs);
  mem_free(node->text);
  mem_free(node);
}

// Grows by doubling; `count` is the number of elements before the new one.
void *tree_with_room(void *block, size_t count, size_t size)
{
  if (count & (count - 1))
    return block;
  return mem_resize(block, (count ? count * 2 : 1) * size);
}

void tree_add_item(YamlNode *list, YamlNode *item)
{
  list->items = tree_with_room(list->items, list->count, sizeof *list->items);
  list->items[list->count++] = item;
}

void tree_add_pair(YamlNode *map, YamlNode *key, YamlNode *value)
{
  map->pairs = tree_with_room(map->pairs, map->count, sizeof *map->pairs);
  map->pairs[map->count++] = (YamlPair){ key, value };
}

// --- anchors and aliases -------------------------------------------------------------------------

// Returns where the anchor stands, or -1 for none. A name used again names the later node.
long tree_anchor_open(TreeBuilder *builder, const yaml_char_t *name)
{
  if (!name)
    return -1;
  builder->anchors = tree_with_room(builder->anchors, builder->anchor_count, sizeof(TreeAnchor));
  builder->anchors[builder->anchor_count] = (TreeAnchor){ mem_string((const char *)name), NULL };
  return (long)builder->anchor_count++;
}

void tree_anchor_set(TreeBuilder *builder, long at, YamlNode *node)
{
  if (at >= 0)
    builder->anchors[at].node = node;
}

static YamlNode *copy(TreeBuilder *builder, const YamlNode *from, int depth)
{
  YamlNode *node, *key, *value;
  size_t i;
  if (depth > MAX_DEPTH || ++builder->copied > MAX_COPIED_NODES)
    return NULL;
  node = tree_node_new(from->type, from->line, from->column);
  node->text = mem_string(from->text);
  node->len = from->len;
  node->is_plain = from->is_plain;
  node->integer = from->integer;
  node->real = from->real;
  for (i = 0; i < from->count; i++) {
    if (from->type == YAML_LIST) {
      value = copy(builder, from->items[i], depth + 1);
      if (value)
        tree_add_item(node, value);
    } else {
      key = copy(builder, from->pairs[i].key, depth + 1);
      value = key ? copy(builder, from->pairs[i].value, depth + 1) : NULL;
      if (value)
        tree_add_pair(node, key, value);
      else
        tree_node_free(key);
    }
    if (!value) {
      tree_node_free(node);
      return NULL;
    }
  }
  return node;
}

YamlNode *tree_build_alias(TreeBuilder *builder, yaml_event_t *event, int depth)
{
  size_t i = builder->anchor_count;
  YamlNode *node;
  while (i > 0 && strcmp(builder->anchors[i - 1].name, (const char *)event->data.alias.anchor) != 0)
    i--;
  if (i == 0)
    return tree_fail_event(builder, event, "expected the name of an anchor above");
  if (!builder->anchors[i - 1].node)
    return tree_fail_event(builder, event, "this alias stands inside what it names");
  if (++builder->aliases > MAX_ALIASES)
    return tree_fail_event(builder, event, "too many aliases: at most 100 are read");
  node = copy(builder, builder->anchors[i - 1].node, depth);
  return node ? node : tree_fail_event(builder, event, "this alias makes the document too large");
}

// --- merges --------------------------------------------------------------------------------------

// `<<: *base`: the pairs of the named map that this one does not have itself.
static bool merge(TreeBuilder *builder, YamlNode *map, const YamlNode *base, int depth)
{
  size_t i;
  for (i = 0; i < base->count; i++) {
    YamlNode *key, *value;
    if (map->count >= MAX_MERGED) // every key is compared with all others
      return false;
    if (yaml_key(map, base->pairs[i].key->text))
      continue;
    key = copy(builder, base->pairs[i].key, depth);
    value = key ? copy(builder, base->pairs[i].value, depth) : NULL;
    if (!value) {
      tree_node_free(key);
      return false;
    }
    tree_add_pair(map, key, value);
  }
  return true;
}

YamlNode *tree_build_merges(TreeBuilder *builder, YamlNode *map, int depth)
{
  size_t at = 0, i;
  YamlNode *key, *value;
  bool fits = true;
  while (at < map->count && strcmp(map->pairs[at].key->text, "<<") != 0)
    at++;
  if (at == map->count ||
      (map->pairs[at].value->type != YAML_MAP && map->pairs[at].value->type != YAML_LIST))
    return map;
  key = map->pairs[at].key;
  value = map->pairs[at].value;
  memmove(&map->pairs[at], &map->pairs[at + 1], (map->count - at - 1) * sizeof *map->pairs);
  map->count--;
  if (value->type == YAML_MAP)
    fits = merge(builder, map, value, depth + 1);
  for (i = 0; value->type == YAML_LIST && i < value->count && fits; i++)
    fits = value->items[i]->type == YAML_MAP && merge(builder, map, value->items[i], depth + 1);
  tree_add_item(builder->dropped, key);
  tree_add_item(builder->dropped, value);
  if (fits)
    return map;
  tree_node_free(map);
  return tree_fail_at(builder, key->line, key->column, "<<: expected maps of a few keys to merge");
}
