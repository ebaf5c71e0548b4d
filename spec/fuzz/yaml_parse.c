// Any bytes through the YAML reader: no crash, no tree deeper than promised, every node has a
// place, every error has one too, and the JSON of what was read, read again, is the same JSON.
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/yaml.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void check(const YamlNode *node, int depth)
{
  char shown[24];
  size_t i;
  assert(depth <= 64);
  assert(node->line >= 1 && node->column >= 1);
  assert(strlen(yaml_show(node, shown, sizeof shown)) < sizeof shown);
  if (node->type != YAML_LIST && node->type != YAML_MAP)
    assert(node->text && strlen(node->text) == node->len);
  for (i = 0; i < node->count; i++) {
    if (node->type == YAML_LIST) {
      check(node->items[i], depth + 1);
    } else {
      check(node->pairs[i].key, depth + 1);
      check(node->pairs[i].value, depth + 1);
      assert(yaml_get(node, node->pairs[i].key->text) == node->pairs[i].value || i > 100);
    }
  }
}

// YAML 1.1 folds these, JSON does not.
static bool has_rare_line_breaks(const char *json)
{
  return strstr(json, "\xc2\x85") || strstr(json, "\xe2\x80\xa8") || strstr(json, "\xe2\x80\xa9");
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
  Err err = { 0 };
  Buffer json = { 0 }, again = { 0 };
  YamlDoc *doc = yaml_parse((const char *)bytes, len, &err), *second;
  int line, column;
  if (!doc) {
    assert(sscanf(err.text, "%d:%d: ", &line, &column) == 2 && line >= 1 && column >= 1);
    return 0;
  }
  check(yaml_root(doc), 1);
  yaml_to_json(yaml_root(doc), &json);
  second =
      has_rare_line_breaks(json.bytes)
          ? NULL
          : yaml_parse(json.bytes, json.len, &err); // may be refused: too large, a raw C1 control
  if (second) {
    yaml_to_json(yaml_root(second), &again);
    assert(again.len == json.len && memcmp(again.bytes, json.bytes, json.len) == 0);
  }
  yaml_doc_free(second);
  yaml_doc_free(doc);
  buffer_free(&json);
  buffer_free(&again);
  return 0;
}
