// Any bytes through the JSON reader that makes trees: it takes what json_scan takes (but for depth,
// and for names that stand twice or hold a NUL), and the JSON of the tree, read again, is the same
// JSON.
#include <assert.h>
#include <stdlib.h>

#include "host/base/json.h"
#include "host/base/yaml.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void check(const YamlNode *node, int depth)
{
  size_t i;
  assert(depth <= 65);
  if (node->type != YAML_LIST && node->type != YAML_MAP)
    assert(node->text && node->text[node->len] == '\0');
  for (i = 0; i < node->count; i++) {
    if (node->type == YAML_LIST)
      check(node->items[i], depth + 1);
    else
      check(node->pairs[i].value, depth + 1);
  }
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
  Err err = { 0 };
  Buffer json = { 0 }, again = { 0 };
  JsonFacts facts;
  bool is_json = json_scan((const char *)bytes, len, &facts, &err) == 0;
  YamlNode *tree = yaml_from_json((const char *)bytes, len, &err), *second;
  assert(is_json || !tree);
  if (!tree) {
    assert(err.text[0]);
    return 0;
  }
  check(tree, 1);
  yaml_to_json(tree, &json);
  second = yaml_from_json(json.bytes, json.len, &err);
  assert(second);
  yaml_to_json(second, &again);
  assert(again.len == json.len && memcmp(again.bytes, json.bytes, json.len) == 0);
  yaml_node_free(second);
  yaml_node_free(tree);
  buffer_free(&json);
  buffer_free(&again);
  return 0;
}
