// YAML documents as trees that remember where each node stood, read from libyaml's events.
// Stricter than YAML: refuses aliases beyond a small budget, depth over 64, duplicate keys, unknown
// tags, more than 256 KiB, text that is not UTF-8, more than one document.
#ifndef MOONHOOK_BASE_YAML_H
#define MOONHOOK_BASE_YAML_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"

typedef enum {
  YAML_NULL, // also an empty plain scalar
  YAML_BOOL, // true, false (any usual capitalisation); yes/no/on/off stay strings (YAML 1.2)
  YAML_INTEGER,
  YAML_REAL,
  YAML_STRING,
  YAML_LIST,
  YAML_MAP,
} YamlType;

typedef struct YamlNode YamlNode;

typedef struct {
  YamlNode *key; // always YAML_STRING as far as `text` goes; its type is what a value would have
  YamlNode *value;
} YamlPair;

struct YamlNode {
  YamlType type;
  int line, column; // of its first character, both from 1
  char *text;       // scalars: the scalar's text, NUL-terminated (a NUL inside is refused)
  size_t len;
  bool is_plain;    // a scalar without quotes, so that byte i of its text stands in column + i
  int64_t integer;  // YAML_INTEGER; YAML_BOOL as 0 or 1
  double real;      // YAML_REAL, and YAML_INTEGER too
  YamlNode **items; // YAML_LIST
  YamlPair *pairs;  // YAML_MAP, in order
  size_t count;     // of items or pairs
};

typedef struct YamlDoc YamlDoc;

// Parses text. On failure returns NULL and err->text is "line:column: what" (no file name).
YamlDoc *yaml_parse(const char *text, size_t len, Err *err);
YamlNode *yaml_root(YamlDoc *doc); // never NULL; an empty document is YAML_NULL
void yaml_doc_free(YamlDoc *doc);  // NULL is fine (libyaml has a yaml_free of its own)

// The tree of a JSON text; places are all 1:1, and a string may hold a NUL. Refuses what json_scan
// refuses, depth over 64, a name that stands twice in an object or holds a NUL. Free with
// yaml_node_free.
YamlNode *yaml_from_json(const char *text, size_t len, Err *err);
void yaml_node_free(YamlNode *node); // NULL is fine

YamlNode *yaml_get(const YamlNode *map, const char *key); // NULL: absent, or not a map
YamlNode *yaml_key(const YamlNode *map, const char *key); // the key's own node, for its place
const char *yaml_type_name(const YamlNode *node);         // "a string", "a list", ... for messages
// Short rendering for messages: `"text"`, `12`, `a list of 3`. At most `size` bytes with the NUL.
const char *yaml_show(const YamlNode *node, char *text, size_t size);
void yaml_to_json(const YamlNode *node, Buffer *out);

// Of `names` (NULL-terminated), the one closest to `word` within a few edits, else the first that
// goes on where `word` ends ("api_key_file" for "api_key"), or NULL.
const char *yaml_nearest(const char *word, const char *const *names);

#endif
