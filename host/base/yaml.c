// From libyaml's events to a tree (see yaml.h). The tree is a real tree: an alias becomes a copy of
// what it names, within a budget, so that whoever walks the tree needs no care. Recursion is
// bounded by MAX_DEPTH.
#include "yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <uv.h>
#include <yaml.h>

#include "file.h"
#include "memory.h"
#include "utf8.h"

enum {
  MAX_BYTES = 256 * 1024,
  MAX_DEPTH = 64,
  MAX_ALIASES = 100,
  MAX_COPIED_NODES = 10000,
  MAX_MERGED = 1000
};

typedef struct {
  char *name;
  YamlNode *node; // NULL while its own content is being read
} Anchor;

typedef struct {
  yaml_parser_t parser;
  const char *text;
  size_t len;
  Anchor *anchors;
  size_t anchor_count;
  int aliases, copied;
  YamlNode *dropped; // nodes taken out of the tree that an anchor may still name
  Err *err;
} Builder;

struct YamlDoc {
  YamlNode *root;
};

static YamlNode *build(Builder *builder, yaml_event_t *event, int depth);

// --- nodes ---------------------------------------------------------------------------------------

static YamlNode *node_new(YamlType type, int line, int column)
{
  YamlNode *node = mem_zero(1, sizeof *node);
  node->type = type;
  node->line = line;
  node->column = column;
  return node;
}

static void node_free(YamlNode *node)
{
  size_t i;
  if (!node)
    return;
  for (i = 0; i < node->count; i++) {
    if (node->type == YAML_LIST) {
      node_free(node->items[i]);
    } else {
      node_free(node->pairs[i].key);
      node_free(node->pairs[i].value);
    }
  }
  mem_free(node->items);
  mem_free(node->pairs);
  mem_free(node->text);
  mem_free(node);
}

// Grows by doubling; `count` is the number of elements before the new one.
static void *with_room(void *block, size_t count, size_t size)
{
  if (count & (count - 1))
    return block;
  return mem_resize(block, (count ? count * 2 : 1) * size);
}

static void add_item(YamlNode *list, YamlNode *item)
{
  list->items = with_room(list->items, list->count, sizeof *list->items);
  list->items[list->count++] = item;
}

static void add_pair(YamlNode *map, YamlNode *key, YamlNode *value)
{
  map->pairs = with_room(map->pairs, map->count, sizeof *map->pairs);
  map->pairs[map->count++] = (YamlPair){ key, value };
}

// --- errors --------------------------------------------------------------------------------------

static YamlNode *fail_at(Builder *builder, int line, int column, const char *what)
{
  err_set(builder->err, UV_EINVAL, "%d:%d: %s", line, column, what);
  return NULL;
}

static YamlNode *fail_event(Builder *builder, const yaml_event_t *event, const char *what)
{
  return fail_at(builder, (int)event->start_mark.line + 1, (int)event->start_mark.column + 1, what);
}

// Line and column (in characters) of a byte of the text.
static void place_of(const Builder *builder, size_t offset, int *line, int *column)
{
  size_t i;
  *line = 1;
  *column = 1;
  for (i = 0; i < offset && i < builder->len; i++) {
    if (builder->text[i] == '\n') {
      (*line)++;
      *column = 1;
    } else if (((unsigned char)builder->text[i] & 0xc0) != 0x80) {
      (*column)++;
    }
  }
}

// Whether the indentation of a line (from 1) holds a tab: the mistake behind most scanner errors.
static bool line_is_indented_with_tab(const Builder *builder, size_t line)
{
  const char *at = builder->text, *end = builder->text + builder->len;
  while (--line > 0 && at && at < end) {
    at = memchr(at, '\n', (size_t)(end - at));
    at = at ? at + 1 : NULL;
  }
  for (; at && at < end && (*at == ' ' || *at == '\t'); at++) {
    if (*at == '\t')
      return true;
  }
  return false;
}

static YamlNode *fail_parser(Builder *builder)
{
  const yaml_parser_t *parser = &builder->parser;
  const char *problem = parser->problem ? parser->problem : "not YAML";
  int line = (int)parser->problem_mark.line + 1, column = (int)parser->problem_mark.column + 1;
  if (parser->error == YAML_READER_ERROR)
    place_of(builder, parser->problem_offset, &line, &column);
  if (line_is_indented_with_tab(builder, (size_t)line))
    problem = "expected spaces, got a tab";
  err_set(builder->err, UV_EINVAL, "%d:%d: not YAML: %s%s%s", line, column, problem,
          parser->context ? ", " : "", parser->context ? parser->context : "");
  return NULL;
}

// --- scalars -------------------------------------------------------------------------------------

static bool is_one_of(const char *text, const char *const *words)
{
  for (; *words; words++) {
    if (strcmp(text, *words) == 0)
      return true;
  }
  return false;
}

// [-+]?[0-9]+ | 0x[0-9a-fA-F]+ | 0o[0-7]+
static bool read_integer(const char *text, int64_t *value)
{
  int base = 10;
  const char *digits = text + (*text == '-' || *text == '+');
  const char *allowed = "0123456789";
  if (strncmp(text, "0x", 2) == 0) {
    base = 16;
    digits = text + 2;
    allowed = "0123456789abcdefABCDEF";
  } else if (strncmp(text, "0o", 2) == 0) {
    base = 8;
    digits = text + 2;
    allowed = "01234567";
  }
  if (*digits == '\0' || digits[strspn(digits, allowed)] != '\0')
    return false;
  errno = 0;
  *value = strtoll(base == 10 ? text : digits, NULL, base);
  return errno == 0;
}

// [-+]? ( .digits | digits [. digits*] ) ( [eE] [-+]? digits )? | [-+]?.inf | .nan
static bool read_real(const char *text, double *value)
{
  static const char *const infinities[] = { ".inf", ".Inf", ".INF", NULL };
  static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };
  const char *at = text + (*text == '-' || *text == '+');
  size_t before, after = 0;
  if (is_one_of(at, infinities)) {
    *value = *text == '-' ? -INFINITY : INFINITY;
    return true;
  }
  if (is_one_of(text, nans)) {
    *value = NAN;
    return true;
  }
  before = strspn(at, "0123456789");
  at += before;
  if (*at == '.') {
    after = strspn(at + 1, "0123456789");
    at += 1 + after;
  }
  if (before + after == 0)
    return false;
  if (*at == 'e' || *at == 'E') {
    at += 1 + (at[1] == '-' || at[1] == '+');
    if (*at == '\0')
      return false;
    at += strspn(at, "0123456789");
  }
  if (*at != '\0')
    return false;
  *value = strtod(text, NULL); // the host never leaves the C locale's number format
  return true;
}

// What a plain scalar means by YAML 1.2's core schema.
static void resolve(YamlNode *node)
{
  static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
  static const char *const truths[] = { "true", "True", "TRUE", NULL };
  static const char *const lies[] = { "false", "False", "FALSE", NULL };
  if (is_one_of(node->text, nulls)) {
    node->type = YAML_NULL;
  } else if (is_one_of(node->text, truths)) {
    node->type = YAML_BOOL;
    node->integer = 1;
  } else if (is_one_of(node->text, lies)) {
    node->type = YAML_BOOL;
  } else if (read_integer(node->text, &node->integer)) {
    node->type = YAML_INTEGER;
    node->real = (double)node->integer;
  } else if (read_real(node->text, &node->real)) {
    node->type = YAML_REAL;
  }
}

static bool is_tag(const yaml_char_t *tag, const char *name)
{
  static const char prefix[] = "tag:yaml.org,2002:";
  const char *text = (const char *)tag;
  return strncmp(text, prefix, sizeof prefix - 1) == 0 &&
         strcmp(text + sizeof prefix - 1, name) == 0;
}

// Gives a scalar with an explicit tag its type; false when it does not fit, or is unknown.
static bool apply_tag(YamlNode *node, const yaml_char_t *tag)
{
  if (strcmp((const char *)tag, "!") == 0 || is_tag(tag, "str"))
    return true;
  resolve(node);
  if (is_tag(tag, "float") && node->type == YAML_INTEGER)
    node->type = YAML_REAL;
  return (is_tag(tag, "int") && node->type == YAML_INTEGER) ||
         (is_tag(tag, "float") && node->type == YAML_REAL) ||
         (is_tag(tag, "bool") && node->type == YAML_BOOL) ||
         (is_tag(tag, "null") && node->type == YAML_NULL);
}

static YamlNode *fail_tag(Builder *builder, const yaml_event_t *event, const yaml_char_t *tag)
{
  char what[160];
  snprintf(what, sizeof what, "expected a plain value, got the tag %.100s", (const char *)tag);
  return fail_event(builder, event, what);
}

static YamlNode *build_scalar(Builder *builder, yaml_event_t *event)
{
  const yaml_char_t *tag = event->data.scalar.tag;
  YamlNode *node =
      node_new(YAML_STRING, (int)event->start_mark.line + 1, (int)event->start_mark.column + 1);
  node->text = mem_bytes(event->data.scalar.value, event->data.scalar.length);
  node->len = event->data.scalar.length;
  node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  if (strlen(node->text) != node->len) { // "\0" in double quotes
    node_free(node);
    return fail_event(builder, event, "expected text, got a NUL character");
  }
  if (tag && !apply_tag(node, tag)) {
    node_free(node);
    return fail_tag(builder, event, tag);
  }
  if (!tag && event->data.scalar.plain_implicit)
    resolve(node);
  return node;
}

// --- anchors and aliases -------------------------------------------------------------------------

// Returns where the anchor stands, or -1 for none. A name used again names the later node.
static long anchor_open(Builder *builder, const yaml_char_t *name)
{
  if (!name)
    return -1;
  builder->anchors = with_room(builder->anchors, builder->anchor_count, sizeof(Anchor));
  builder->anchors[builder->anchor_count] = (Anchor){ mem_string((const char *)name), NULL };
  return (long)builder->anchor_count++;
}

static void anchor_set(Builder *builder, long at, YamlNode *node)
{
  if (at >= 0)
    builder->anchors[at].node = node;
}

static YamlNode *copy(Builder *builder, const YamlNode *from, int depth)
{
  YamlNode *node, *key, *value;
  size_t i;
  if (depth > MAX_DEPTH || ++builder->copied > MAX_COPIED_NODES)
    return NULL;
  node = node_new(from->type, from->line, from->column);
  node->text = mem_string(from->text);
  node->len = from->len;
  node->is_plain = from->is_plain;
  node->integer = from->integer;
  node->real = from->real;
  for (i = 0; i < from->count; i++) {
    if (from->type == YAML_LIST) {
      value = copy(builder, from->items[i], depth + 1);
      if (value)
        add_item(node, value);
    } else {
      key = copy(builder, from->pairs[i].key, depth + 1);
      value = key ? copy(builder, from->pairs[i].value, depth + 1) : NULL;
      if (value)
        add_pair(node, key, value);
      else
        node_free(key);
    }
    if (!value) {
      node_free(node);
      return NULL;
    }
  }
  return node;
}

static YamlNode *build_alias(Builder *builder, yaml_event_t *event, int depth)
{
  size_t i = builder->anchor_count;
  YamlNode *node;
  while (i > 0 && strcmp(builder->anchors[i - 1].name, (const char *)event->data.alias.anchor) != 0)
    i--;
  if (i == 0)
    return fail_event(builder, event, "expected the name of an anchor above");
  if (!builder->anchors[i - 1].node)
    return fail_event(builder, event, "this alias stands inside what it names");
  if (++builder->aliases > MAX_ALIASES)
    return fail_event(builder, event, "too many aliases: at most 100 are read");
  node = copy(builder, builder->anchors[i - 1].node, depth);
  return node ? node : fail_event(builder, event, "this alias makes the document too large");
}

// --- lists and maps ------------------------------------------------------------------------------

static YamlNode *build_list(Builder *builder, yaml_event_t *start, int depth)
{
  YamlNode *list =
      node_new(YAML_LIST, (int)start->start_mark.line + 1, (int)start->start_mark.column + 1);
  for (;;) {
    yaml_event_t event;
    YamlNode *item;
    if (!yaml_parser_parse(&builder->parser, &event)) {
      node_free(list);
      return fail_parser(builder);
    }
    if (event.type == YAML_SEQUENCE_END_EVENT) {
      yaml_event_delete(&event);
      return list;
    }
    item = build(builder, &event, depth + 1);
    yaml_event_delete(&event);
    if (!item) {
      node_free(list);
      return NULL;
    }
    add_item(list, item);
  }
}

static int by_text_then_place(const void *a, const void *b)
{
  const YamlNode *left = *(YamlNode *const *)a, *right = *(YamlNode *const *)b;
  int order = strcmp(left->text, right->text);
  if (order != 0)
    return order;
  if (left->line != right->line)
    return left->line < right->line ? -1 : 1;
  return left->column < right->column ? -1 : left->column > right->column;
}

// Sorted, because a map of 60,000 keys compared pair by pair would keep a core busy for seconds.
static const YamlNode *second_of_same_name(const YamlNode *map)
{
  YamlNode **keys = mem_alloc(map->count * sizeof(YamlNode *));
  const YamlNode *found = NULL;
  size_t i;
  for (i = 0; i < map->count; i++)
    keys[i] = map->pairs[i].key;
  qsort(keys, map->count, sizeof *keys, by_text_then_place);
  for (i = 1; i < map->count && !found; i++) {
    if (strcmp(keys[i - 1]->text, keys[i]->text) == 0)
      found = keys[i];
  }
  mem_free(keys);
  return found;
}

// `<<: *base`: the pairs of the named map that this one does not have itself.
static bool merge(Builder *builder, YamlNode *map, const YamlNode *base, int depth)
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
      node_free(key);
      return false;
    }
    add_pair(map, key, value);
  }
  return true;
}

static YamlNode *build_merges(Builder *builder, YamlNode *map, int depth)
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
  add_item(builder->dropped, key);
  add_item(builder->dropped, value);
  if (fits)
    return map;
  node_free(map);
  return fail_at(builder, key->line, key->column, "<<: expected maps of a few keys to merge");
}

// Reads one event's node as a key; NULL after an error.
static YamlNode *build_key(Builder *builder, yaml_event_t *event, int depth)
{
  YamlNode *key = build(builder, event, depth);
  if (key && (key->type == YAML_LIST || key->type == YAML_MAP)) {
    node_free(key);
    return fail_event(builder, event, "expected a name as key, got a list or a map");
  }
  return key;
}

static YamlNode *build_map(Builder *builder, yaml_event_t *start, int depth)
{
  YamlNode *map =
      node_new(YAML_MAP, (int)start->start_mark.line + 1, (int)start->start_mark.column + 1);
  YamlNode *key = NULL, *value;
  const YamlNode *again;
  for (;;) {
    yaml_event_t event;
    bool is_end;
    if (!yaml_parser_parse(&builder->parser, &event)) {
      fail_parser(builder);
      goto fail;
    }
    is_end = event.type == YAML_MAPPING_END_EVENT;
    value = NULL;
    if (!is_end && !key) {
      key = build_key(builder, &event, depth + 1);
      value = key;
    } else if (!is_end) {
      value = build(builder, &event, depth + 1);
      if (value)
        add_pair(map, key, value);
      if (value)
        key = NULL;
    }
    yaml_event_delete(&event);
    if (is_end)
      break;
    if (!value)
      goto fail;
  }
  again = second_of_same_name(map);
  if (again) {
    char what[128];
    snprintf(what, sizeof what, "%.80s: this key stands here twice", again->text);
    fail_at(builder, again->line, again->column, what);
    goto fail;
  }
  return build_merges(builder, map, depth);
fail:
  node_free(key);
  node_free(map);
  return NULL;
}

// The node that starts with `event`; NULL after an error, which is then in builder->err.
static YamlNode *build(Builder *builder, yaml_event_t *event, int depth)
{
  YamlNode *node;
  long anchor;
  if (depth > MAX_DEPTH)
    return fail_event(builder, event, "nested too deeply: at most 64 levels are read");
  switch (event->type) {
  case YAML_ALIAS_EVENT:
    return build_alias(builder, event, depth);
  case YAML_SCALAR_EVENT:
    anchor = anchor_open(builder, event->data.scalar.anchor);
    node = build_scalar(builder, event);
    break;
  case YAML_SEQUENCE_START_EVENT:
    if (event->data.sequence_start.tag && !is_tag(event->data.sequence_start.tag, "seq"))
      return fail_tag(builder, event, event->data.sequence_start.tag);
    anchor = anchor_open(builder, event->data.sequence_start.anchor);
    node = build_list(builder, event, depth);
    break;
  case YAML_MAPPING_START_EVENT:
    if (event->data.mapping_start.tag && !is_tag(event->data.mapping_start.tag, "map"))
      return fail_tag(builder, event, event->data.mapping_start.tag);
    anchor = anchor_open(builder, event->data.mapping_start.anchor);
    node = build_map(builder, event, depth);
    break;
  default:
    return fail_event(builder, event, "not YAML");
  }
  anchor_set(builder, anchor, node);
  return node;
}

// --- documents -----------------------------------------------------------------------------------

// Consumes one event and checks its type.
static bool expect(Builder *builder, yaml_event_type_t type, const char *otherwise)
{
  yaml_event_t event;
  bool is_it;
  if (!yaml_parser_parse(&builder->parser, &event)) {
    fail_parser(builder);
    return false;
  }
  is_it = event.type == type;
  if (!is_it)
    fail_event(builder, &event, otherwise);
  yaml_event_delete(&event);
  return is_it;
}

static YamlNode *build_document(Builder *builder)
{
  yaml_event_t event;
  YamlNode *root;
  if (!expect(builder, YAML_STREAM_START_EVENT, "not YAML"))
    return NULL;
  if (!yaml_parser_parse(&builder->parser, &event))
    return fail_parser(builder);
  if (event.type == YAML_STREAM_END_EVENT) {
    yaml_event_delete(&event);
    root = node_new(YAML_NULL, 1, 1);
    root->text = mem_string("");
    return root;
  }
  yaml_event_delete(&event);
  if (!yaml_parser_parse(&builder->parser, &event))
    return fail_parser(builder);
  root = build(builder, &event, 1);
  yaml_event_delete(&event);
  if (root && (!expect(builder, YAML_DOCUMENT_END_EVENT, "not YAML") ||
               !expect(builder, YAML_STREAM_END_EVENT, "expected one document, got a second"))) {
    node_free(root);
    return NULL;
  }
  return root;
}

YamlDoc *yaml_parse(const char *text, size_t len, Err *err)
{
  Builder builder = { .text = text, .len = len, .err = err };
  YamlDoc *doc;
  YamlNode *root;
  size_t good = 0, n;
  if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
    builder.text = text += 3;
    builder.len = len -= 3;
  }
  if (len > MAX_BYTES) {
    err_set(err, UV_EFBIG, "1:1: expected at most 256 KiB of YAML, got %zu bytes", len);
    return NULL;
  }
  while (good < len && text[good] != '\0' && (n = utf8_length(text + good, len - good)) > 0)
    good += n;
  if (good < len) {
    int line, column;
    place_of(&builder, good, &line, &column);
    fail_at(&builder, line, column,
            text[good] == '\0' ? "not UTF-8 text: a NUL byte" : "not UTF-8 text");
    return NULL;
  }
  if (!yaml_parser_initialize(&builder.parser))
    abort(); // no memory: crash-only
  builder.dropped = node_new(YAML_LIST, 0, 0);
  yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, len);
  root = build_document(&builder);
  yaml_parser_delete(&builder.parser);
  node_free(builder.dropped);
  while (builder.anchor_count > 0)
    mem_free(builder.anchors[--builder.anchor_count].name);
  mem_free(builder.anchors);
  if (!root)
    return NULL;
  doc = mem_zero(1, sizeof *doc);
  doc->root = root;
  return doc;
}

YamlDoc *yaml_read(const char *path, Err *err)
{
  Buffer bytes = { 0 };
  Err why = { 0 };
  YamlDoc *doc;
  if (file_read(path, MAX_BYTES + 4, &bytes, err) != 0) {
    buffer_free(&bytes);
    return NULL;
  }
  doc = yaml_parse(bytes.bytes, bytes.len, &why);
  if (!doc)
    err_set(err, why.code, "%s:%s", path, why.text);
  buffer_free(&bytes);
  return doc;
}

YamlNode *yaml_root(YamlDoc *doc)
{
  return doc->root;
}

void yaml_doc_free(YamlDoc *doc)
{
  if (!doc)
    return;
  node_free(doc->root);
  mem_free(doc);
}
