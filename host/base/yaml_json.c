// JSON texts as trees (see yaml.h), so that one set of rules reads both. The text is checked by
// json_scan first; the builder below may rely on it.
#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "json.h"
#include "memory.h"
#include "utf8.h"
#include "yaml_tree.h"

typedef struct {
  const char *at; // every read stops within the document, because it is valid
  Err *err;
} Reader;

static YamlNode *read_value(Reader *reader, int depth);

static void skip_space(Reader *reader)
{
  while (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t')
    reader->at++;
}

static unsigned hex4(const char *at)
{
  char digits[5] = { at[0], at[1], at[2], at[3], '\0' };
  return (unsigned)strtoul(digits, NULL, 16);
}

static void append_utf8(Buffer *out, unsigned code)
{
  if (code < 0x80) {
    buffer_char(out, (char)code);
  } else if (code < 0x800) {
    buffer_char(out, (char)(0xc0 | code >> 6));
    buffer_char(out, (char)(0x80 | (code & 63)));
  } else if (code < 0x10000) {
    buffer_char(out, (char)(0xe0 | code >> 12));
    buffer_char(out, (char)(0x80 | (code >> 6 & 63)));
    buffer_char(out, (char)(0x80 | (code & 63)));
  } else {
    buffer_char(out, (char)(0xf0 | code >> 18));
    buffer_char(out, (char)(0x80 | (code >> 12 & 63)));
    buffer_char(out, (char)(0x80 | (code >> 6 & 63)));
    buffer_char(out, (char)(0x80 | (code & 63)));
  }
}

// Behind the backslash. Half a surrogate pair says nothing: U+FFFD.
static void read_escape(Reader *reader, Buffer *out)
{
  static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
  char c = *reader->at++;
  const char *found = strchr(letters, c);
  unsigned code;
  if (c != 'u') {
    buffer_char(out, found ? meant[found - letters] : c);
    return;
  }
  code = hex4(reader->at);
  reader->at += 4;
  if (code >= 0xd800 && code < 0xdc00 && reader->at[0] == '\\' && reader->at[1] == 'u') {
    unsigned low = hex4(reader->at + 2);
    if (low >= 0xdc00 && low < 0xe000) {
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      reader->at += 6;
    }
  }
  append_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
}

static YamlNode *read_string(Reader *reader)
{
  YamlNode *node = tree_node_new(YAML_STRING, 1, 1);
  Buffer text = { 0 };
  buffer_reserve(&text, 16);
  for (reader->at++; *reader->at != '"';) {
    const char *start = reader->at;
    while (*reader->at != '"' && *reader->at != '\\')
      reader->at++;
    buffer_append(&text, start, (size_t)(reader->at - start));
    if (*reader->at == '\\') {
      reader->at++;
      read_escape(reader, &text);
    }
  }
  reader->at++;
  node->len = text.len;
  node->text = buffer_take(&text);
  return node;
}

static YamlNode *read_number(Reader *reader)
{
  size_t len = strspn(reader->at, "0123456789+-.eE");
  char *text = mem_bytes(reader->at, len);
  YamlNode *node = tree_node_new(YAML_REAL, 1, 1);
  node->text = text;
  node->len = len;
  node->real = strtod(text, NULL);
  if (!strpbrk(text, ".eE")) {
    errno = 0;
    node->integer = strtoll(text, NULL, 10);
    if (errno == 0)
      node->type = YAML_INTEGER;
  }
  reader->at += len;
  return node;
}

static YamlNode *read_word(Reader *reader)
{
  bool is_null = *reader->at == 'n';
  size_t len = *reader->at == 'f' ? 5 : 4;
  YamlNode *node = tree_node_new(is_null ? YAML_NULL : YAML_BOOL, 1, 1);
  node->text = mem_bytes(reader->at, len);
  node->len = len;
  node->integer = *reader->at == 't';
  reader->at += len;
  return node;
}

static YamlNode *fail(YamlNode *node, Reader *reader, const char *text, const char *name)
{
  tree_node_free(node);
  err_set(reader->err, UV_EINVAL, text, name);
  return NULL;
}

static bool has_key(const YamlNode *map, const YamlNode *key)
{
  size_t i;
  for (i = 0; i < map->count; i++) {
    if (map->pairs[i].key->len == key->len &&
        memcmp(map->pairs[i].key->text, key->text, key->len) == 0)
      return true;
  }
  return false;
}

// A list or a map. Their brackets and commas stand where they must.
static YamlNode *read_group(Reader *reader, bool is_map, int depth)
{
  YamlNode *node = tree_node_new(is_map ? YAML_MAP : YAML_LIST, 1, 1), *key = NULL, *value;
  char end = is_map ? '}' : ']';
  if (depth > MAX_DEPTH)
    return fail(node, reader, "%s are nested too deeply", "values");
  reader->at++;
  for (skip_space(reader); *reader->at != end; skip_space(reader)) {
    if (*reader->at == ',')
      reader->at++;
    if (is_map) {
      skip_space(reader);
      key = read_string(reader);
      if (memchr(key->text, '\0', key->len) || has_key(node, key)) {
        fail(node, reader, "%.100s: expected each name once, and without a NUL", key->text);
        tree_node_free(key);
        return NULL;
      }
      skip_space(reader);
      reader->at++; // the colon
    }
    value = read_value(reader, depth + 1);
    if (!value) {
      tree_node_free(key);
      tree_node_free(node);
      return NULL;
    }
    if (is_map)
      tree_add_pair(node, key, value);
    else
      tree_add_item(node, value);
    key = NULL;
  }
  reader->at++;
  return node;
}

static YamlNode *read_value(Reader *reader, int depth)
{
  skip_space(reader);
  switch (*reader->at) {
  case '{':
  case '[':
    return read_group(reader, *reader->at == '{', depth);
  case '"':
    return read_string(reader);
  case 't':
  case 'f':
  case 'n':
    return read_word(reader);
  default:
    return read_number(reader);
  }
}

YamlNode *yaml_from_json(const char *text, size_t len, Err *err)
{
  JsonFacts facts;
  Reader reader = { .err = err };
  YamlNode *node;
  char *copy;
  if (json_scan(text, len, &facts, err) < 0)
    return NULL;
  copy = mem_bytes(text, len); // with a NUL behind it, for a number that ends the text
  reader.at = copy;
  node = read_value(&reader, 1);
  mem_free(copy);
  return node;
}

void yaml_node_free(YamlNode *node)
{
  tree_node_free(node);
}
