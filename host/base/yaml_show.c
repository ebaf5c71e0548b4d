// Looking at YAML trees (see yaml.h): finding keys, words for messages, JSON. yaml.c makes them.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "utf8.h"
#include "yaml.h"

static const YamlPair *find_pair(const YamlNode *map, const char *key)
{
  size_t i;
  for (i = 0; map && map->type == YAML_MAP && i < map->count; i++) {
    if (strcmp(map->pairs[i].key->text, key) == 0)
      return &map->pairs[i];
  }
  return NULL;
}

YamlNode *yaml_get(const YamlNode *map, const char *key)
{
  const YamlPair *pair = find_pair(map, key);
  return pair ? pair->value : NULL;
}

YamlNode *yaml_key(const YamlNode *map, const char *key)
{
  const YamlPair *pair = find_pair(map, key);
  return pair ? pair->key : NULL;
}

const char *yaml_type_name(const YamlNode *node)
{
  static const char *const names[] = {
    [YAML_NULL] = "nothing",  [YAML_BOOL] = "true or false", [YAML_INTEGER] = "an integer",
    [YAML_REAL] = "a number", [YAML_STRING] = "a string",    [YAML_LIST] = "a list",
    [YAML_MAP] = "a map",
  };
  return node ? names[node->type] : "nothing";
}

// A string in quotes, cut between characters, control characters as '?'.
static void show_string(const YamlNode *node, char *text, size_t size)
{
  size_t i = 0, n, used = 0;
  bool is_cut = false;
  if (size < 8) {
    snprintf(text, size, "...");
    return;
  }
  text[used++] = '"';
  while (i < node->len && !is_cut) {
    n = utf8_length(node->text + i, node->len - i);
    if (used + n + 5 > size) {
      is_cut = true;
    } else {
      memcpy(text + used, node->text + i, n);
      if (n == 1 && ((unsigned char)node->text[i] < 0x20 || node->text[i] == 0x7f))
        text[used] = '?';
      used += n;
      i += n;
    }
  }
  snprintf(text + used, size - used, "%s", is_cut ? "...\"" : "\"");
}

const char *yaml_show(const YamlNode *node, char *text, size_t size)
{
  if (!node || node->type == YAML_NULL)
    snprintf(text, size, "nothing");
  else if (node->type == YAML_STRING)
    show_string(node, text, size);
  else if (node->type == YAML_LIST && node->count == 0)
    snprintf(text, size, "an empty list");
  else if (node->type == YAML_LIST)
    snprintf(text, size, "a list of %zu", node->count);
  else if (node->type == YAML_MAP)
    snprintf(text, size, "a map");
  else
    snprintf(text, size, "%s", node->text);
  return text;
}

static void real_to_json(double value, Buffer *out)
{
  char text[40];
  if (!isfinite(value)) { // JSON has no word for it
    buffer_string(out, "null");
    return;
  }
  snprintf(text, sizeof text, "%.15g", value + 0.0); // minus zero is zero
  if (strtod(text, NULL) < value || strtod(text, NULL) > value)
    snprintf(text, sizeof text, "%.17g", value);
  buffer_string(out, text);
}

void yaml_to_json(const YamlNode *node, Buffer *out)
{
  size_t i;
  switch (node->type) {
  case YAML_NULL:
    buffer_string(out, "null");
    break;
  case YAML_BOOL:
    buffer_string(out, node->integer ? "true" : "false");
    break;
  case YAML_INTEGER:
    buffer_printf(out, "%" PRId64, node->integer);
    break;
  case YAML_REAL:
    real_to_json(node->real, out);
    break;
  case YAML_STRING:
    buffer_json_string(out, node->text, node->len);
    break;
  case YAML_LIST:
    buffer_char(out, '[');
    for (i = 0; i < node->count; i++) {
      if (i > 0)
        buffer_char(out, ',');
      yaml_to_json(node->items[i], out);
    }
    buffer_char(out, ']');
    break;
  case YAML_MAP:
    buffer_char(out, '{');
    for (i = 0; i < node->count; i++) {
      if (i > 0)
        buffer_char(out, ',');
      buffer_json_string(out, node->pairs[i].key->text, node->pairs[i].key->len);
      buffer_char(out, ':');
      yaml_to_json(node->pairs[i].value, out);
    }
    buffer_char(out, '}');
    break;
  }
}

enum { MAX_WORD = 48 };

// Edits (insert, delete, replace, swap of neighbours) that make one word the other.
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
  size_t rows[3][MAX_WORD + 1];
  size_t *before = rows[0], *last = rows[1], *row = rows[2], *spare, i, j;
  for (j = 0; j <= b_len; j++)
    last[j] = j;
  for (i = 1; i <= a_len; i++) {
    row[0] = i;
    for (j = 1; j <= b_len; j++) {
      size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
      if (last[j] + 1 < best)
        best = last[j] + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
          before[j - 2] + 1 < best)
        best = before[j - 2] + 1;
      row[j] = best;
    }
    spare = before;
    before = last;
    last = row;
    row = spare;
  }
  return last[b_len];
}

const char *yaml_nearest(const char *word, const char *const *names)
{
  const char *found = NULL;
  size_t len = strlen(word), best = len < 4 ? 1 : len < 9 ? 2 : 3, edits;
  if (len == 0 || len > MAX_WORD)
    return NULL;
  for (best++; *names; names++) {
    size_t name_len = strlen(*names);
    if (name_len == 0 || name_len > MAX_WORD)
      continue;
    if (!found && len > 2 && strncmp(*names, word, len) == 0 &&
        ((*names)[len] == '_' || (*names)[len] == '-'))
      found = *names; // api_key for api_key_file; a close one still wins
    edits = distance(word, len, *names, name_len);
    if (edits < best && edits < name_len) {
      best = edits;
      found = *names;
    }
  }
  return found;
}
