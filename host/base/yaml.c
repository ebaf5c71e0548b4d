// From libyaml's events to a tree (see yaml.h). Recursion is bounded by MAX_DEPTH.
#include "yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "memory.h"
#include "utf8.h"
#include "yaml_tree.h"

enum { MAX_BYTES = 256 * 1024 };

struct YamlDoc {
  YamlNode *root;
};

static YamlNode *build(TreeBuilder *builder, yaml_event_t *event, int depth);

// --- errors --------------------------------------------------------------------------------------

YamlNode *tree_fail_at(TreeBuilder *builder, int line, int column, const char *what)
{
  err_set(builder->err, UV_EINVAL, "%d:%d: %s", line, column, what);
  return NULL;
}

YamlNode *tree_fail_event(TreeBuilder *builder, const yaml_event_t *event, const char *what)
{
  return tree_fail_at(builder, (int)event->start_mark.line + 1, (int)event->start_mark.column + 1,
                      what);
}

// Line and column (in characters) of a byte of the text.
static void place_of(const TreeBuilder *builder, size_t offset, int *line, int *column)
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
static bool line_is_indented_with_tab(const TreeBuilder *builder, size_t line)
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

// What to look for where libyaml's own words help nobody; "" where they do.
static const char *mend_of(const char *problem)
{
  if (strstr(problem, "did not find expected") || strstr(problem, "block collection") ||
      strstr(problem, "block end"))
    return " (do this line and the ones above begin in the right column?)";
  if (strstr(problem, "mapping values are not allowed"))
    return " (is it indented too far, or is there a second ': ' in the line? quote the value then)";
  if (strstr(problem, "could not find expected ':'"))
    return " (is a ': ' missing after the key?)";
  return "";
}

static YamlNode *fail_parser(TreeBuilder *builder)
{
  const yaml_parser_t *parser = &builder->parser;
  const char *problem = parser->problem ? parser->problem : "not YAML";
  int line = (int)parser->problem_mark.line + 1, column = (int)parser->problem_mark.column + 1;
  if (parser->error == YAML_READER_ERROR)
    place_of(builder, parser->problem_offset, &line, &column);
  if (line_is_indented_with_tab(builder, (size_t)line))
    problem = "expected spaces, got a tab";
  err_set(builder->err, UV_EINVAL, "%d:%d: not YAML: %s%s%s%s", line, column, problem,
          parser->context ? ", " : "", parser->context ? parser->context : "", mend_of(problem));
  return NULL;
}

YamlNode *tree_fail_tag(TreeBuilder *builder, const yaml_event_t *event, const yaml_char_t *tag)
{
  char what[160];
  snprintf(what, sizeof what, "expected a plain value, got the tag %.100s", (const char *)tag);
  return tree_fail_event(builder, event, what);
}

// --- lists and maps ------------------------------------------------------------------------------

static YamlNode *build_list(TreeBuilder *builder, yaml_event_t *start, int depth)
{
  YamlNode *list =
      tree_node_new(YAML_LIST, (int)start->start_mark.line + 1, (int)start->start_mark.column + 1);
  for (;;) {
    yaml_event_t event;
    YamlNode *item;
    if (!yaml_parser_parse(&builder->parser, &event)) {
      tree_node_free(list);
      return fail_parser(builder);
    }
    if (event.type == YAML_SEQUENCE_END_EVENT) {
      yaml_event_delete(&event);
      return list;
    }
    item = build(builder, &event, depth + 1);
    yaml_event_delete(&event);
    if (!item) {
      tree_node_free(list);
      return NULL;
    }
    tree_add_item(list, item);
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

// Reads one event's node as a key; NULL after an error.
static YamlNode *build_key(TreeBuilder *builder, yaml_event_t *event, int depth)
{
  YamlNode *key = build(builder, event, depth);
  if (key && (key->type == YAML_LIST || key->type == YAML_MAP)) {
    tree_node_free(key);
    return tree_fail_event(builder, event, "expected a name as key, got a list or a map");
  }
  return key;
}

static YamlNode *build_map(TreeBuilder *builder, yaml_event_t *start, int depth)
{
  YamlNode *map =
      tree_node_new(YAML_MAP, (int)start->start_mark.line + 1, (int)start->start_mark.column + 1);
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
        tree_add_pair(map, key, value);
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
    tree_fail_at(builder, again->line, again->column, what);
    goto fail;
  }
  return tree_build_merges(builder, map, depth);
fail:
  tree_node_free(key);
  tree_node_free(map);
  return NULL;
}

// The node that starts with `event`; NULL after an error, which is then in builder->err.
static YamlNode *build(TreeBuilder *builder, yaml_event_t *event, int depth)
{
  YamlNode *node;
  long anchor;
  if (depth > MAX_DEPTH)
    return tree_fail_event(builder, event, "nested too deeply: at most 64 levels are read");
  switch (event->type) {
  case YAML_ALIAS_EVENT:
    return tree_build_alias(builder, event, depth);
  case YAML_SCALAR_EVENT:
    anchor = tree_anchor_open(builder, event->data.scalar.anchor);
    node = tree_build_scalar(builder, event);
    break;
  case YAML_SEQUENCE_START_EVENT:
    if (event->data.sequence_start.tag && !tree_is_tag(event->data.sequence_start.tag, "seq"))
      return tree_fail_tag(builder, event, event->data.sequence_start.tag);
    anchor = tree_anchor_open(builder, event->data.sequence_start.anchor);
    node = build_list(builder, event, depth);
    break;
  case YAML_MAPPING_START_EVENT:
    if (event->data.mapping_start.tag && !tree_is_tag(event->data.mapping_start.tag, "map"))
      return tree_fail_tag(builder, event, event->data.mapping_start.tag);
    anchor = tree_anchor_open(builder, event->data.mapping_start.anchor);
    node = build_map(builder, event, depth);
    break;
  default:
    return tree_fail_event(builder, event, "not YAML");
  }
  tree_anchor_set(builder, anchor, node);
  return node;
}

// --- documents -----------------------------------------------------------------------------------

// Consumes one event and checks its type.
static bool expect(TreeBuilder *builder, yaml_event_type_t type, const char *otherwise)
{
  yaml_event_t event;
  bool is_it;
  if (!yaml_parser_parse(&builder->parser, &event)) {
    fail_parser(builder);
    return false;
  }
  is_it = event.type == type;
  if (!is_it)
    tree_fail_event(builder, &event, otherwise);
  yaml_event_delete(&event);
  return is_it;
}

static YamlNode *build_document(TreeBuilder *builder)
{
  yaml_event_t event;
  YamlNode *root;
  if (!expect(builder, YAML_STREAM_START_EVENT, "not YAML"))
    return NULL;
  if (!yaml_parser_parse(&builder->parser, &event))
    return fail_parser(builder);
  if (event.type == YAML_STREAM_END_EVENT) {
    yaml_event_delete(&event);
    root = tree_node_new(YAML_NULL, 1, 1);
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
    tree_node_free(root);
    return NULL;
  }
  return root;
}

YamlDoc *yaml_parse(const char *text, size_t len, Err *err)
{
  TreeBuilder builder = { .text = text, .len = len, .err = err };
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
    tree_fail_at(&builder, line, column,
                 text[good] == '\0' ? "not UTF-8 text: a NUL byte" : "not UTF-8 text");
    return NULL;
  }
  if (!yaml_parser_initialize(&builder.parser))
    abort(); // no memory: crash-only
  builder.dropped = tree_node_new(YAML_LIST, 0, 0);
  yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, len);
  root = build_document(&builder);
  yaml_parser_delete(&builder.parser);
  tree_node_free(builder.dropped);
  while (builder.anchor_count > 0)
    mem_free(builder.anchors[--builder.anchor_count].name);
  mem_free(builder.anchors);
  if (!root)
    return NULL;
  doc = mem_zero(1, sizeof *doc);
  doc->root = root;
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
  tree_node_free(doc->root);
  mem_free(doc);
}
