// One endpoint declaration: path, method or methods, and where its code is (see package_read.h).
#include <ctype.h>
#include <stdio.h>

#include "../base/file.h"
#include "../base/memory.h"
#include "package_read.h"

static const char *const METHODS[] = { "HEAD",   "GET",     "POST",  "PUT",
                                       "DELETE", "OPTIONS", "PATCH", NULL };

static const char *known_method(const char *text)
{
  size_t i;
  for (i = 0; METHODS[i]; i++) {
    if (strcmp(METHODS[i], text) == 0)
      return METHODS[i];
  }
  return NULL;
}

// "get" for GET, or a slip of the pen; NULL: neither.
static const char *near_method(const char *text)
{
  char upper[16];
  size_t i;
  for (i = 0; text[i] && i + 1 < sizeof upper; i++)
    upper[i] = (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i]);
  upper[i] = '\0';
  return known_method(upper) ? known_method(upper) : yaml_nearest(upper, METHODS);
}

static bool has_method(const Declaration *declaration, const char *method)
{
  size_t i;
  for (i = 0; declaration->methods && declaration->methods[i]; i++) {
    if (strcmp(declaration->methods[i], method) == 0)
      return true;
  }
  return false;
}

// Room for every method there is, so that nobody counts.
static void read_method(const Place *place, const YamlNode *node, const YamlNode *at,
                        Declaration *declaration)
{
  const char *method = node && node->type == YAML_STRING ? known_method(node->text) : NULL;
  size_t used = 0;
  if (!method) {
    const char *near = node && node->type == YAML_STRING ? near_method(node->text) : NULL;
    char expected[120];
    snprintf(expected, sizeof expected,
             "one of HEAD, GET, POST, PUT, DELETE, OPTIONS, PATCH in capitals%s%s%s",
             near ? " (" : "", near ? near : "", near ? "?)" : "");
    place_expected(place, at, "method", expected, node);
    return;
  }
  if (has_method(declaration, method)) {
    place_expected(place, at, "method", "each method once", node);
    return;
  }
  while (declaration->methods[used])
    used++;
  declaration->methods[used] = mem_string(method);
}

static void read_methods(const Place *place, const YamlNode *map, Declaration *declaration)
{
  const YamlNode *node = yaml_get(map, "method");
  size_t i;
  declaration->methods = mem_zero(sizeof METHODS / sizeof *METHODS, sizeof *declaration->methods);
  if (!node || node->type != YAML_LIST || node->count == 0) {
    read_method(place, node, node ? node : map, declaration);
    return;
  }
  for (i = 0; i < node->count; i++)
    read_method(place, node->items[i], node->items[i], declaration);
}

// "/:name" and "/{name}" are how others write what is "/<name>" here; both are text.
static void warn_foreign(const Place *place, const YamlNode *path)
{
  const char *at = path->text;
  while ((at = strchr(at, '/')) != NULL) {
    at++;
    if (*at == '{' || (*at == ':' && isalpha((unsigned char)at[1])))
      problems_warn(place->problems, place->file, path->line, path->column,
                    "path: '%.*s' is taken as it is written, a variable is '<%.*s>'",
                    (int)strcspn(at, "/"), at, (int)strcspn(at + 1, "}/"), at + 1);
  }
}

static void read_path(const Place *place, const YamlNode *map, Declaration *declaration)
{
  const YamlNode *node = yaml_get(map, "path");
  Err why = { 0 };
  int offset = 0;
  if (!node || node->type != YAML_STRING) {
    place_expected(place, node ? node : map, "path", "a string starting with '/'", node);
    return;
  }
  warn_foreign(place, node);
  declaration->rule = rule_parse(node->text, &offset, &why);
  if (!declaration->rule) {
    problems_add(place->problems, place->file, node->line,
                 node->column + (node->is_plain ? offset : 0), "path: %s", why.text);
  }
}

static void read_source(const Place *place, const YamlNode *map, Declaration *declaration)
{
  static const char *const known[] = { "source", NULL };
  static const char what[] = "extra.lua.source", expected[] = "the path of a Lua file";
  const YamlNode *extra = yaml_get(map, "extra"), *lua = yaml_get(extra, "lua");
  const YamlNode *python = yaml_get(extra, "python"), *source = yaml_get(lua, "source");
  Err why = { 0 };
  size_t i;
  if (!lua && python) {
    problems_add(place->problems, place->file, python->line, python->column,
                 "%s: expected %s beside or instead of extra.python, got nothing", what, expected);
    return;
  }
  if (!lua && yaml_get(map, "source") && yaml_get(map, "source")->type == YAML_STRING) {
    source = yaml_get(map, "source");
    problems_add(place->problems, place->file, source->line, source->column,
                 "source: expected it in extra.lua: extra: { lua: { source: %.200s } }",
                 source->text);
    return;
  }
  for (i = 0; lua && lua->type == YAML_MAP && i < lua->count; i++) {
    const YamlNode *key = lua->pairs[i].key;
    const char *nearest = yaml_nearest(key->text, known);
    if (strcmp(key->text, "source") != 0) {
      problems_add(place->problems, place->file, key->line, key->column,
                   "extra.lua.%s: unknown key%s%s%s", key->text, nearest ? ", did you mean " : "",
                   nearest ? nearest : "", nearest ? "?" : "");
    }
  }
  if (!source || source->type != YAML_STRING || source->len == 0) {
    place_expected(place,
                   source  ? source
                   : lua   ? lua
                   : extra ? extra
                           : map,
                   what, expected, source || !lua || lua->type == YAML_MAP ? source : lua);
  } else if (place_check_name(source, &why) != 0 ||
             file_check_inside(place->package->dir, source->text, &why) != 0) {
    problems_add(place->problems, place->file, source->line, source->column,
                 "%s: expected a file of the package, got \"%s\", which %s", what, source->text,
                 why.text);
  } else {
    const char *path = source->text;
    while (path[0] == '.' && path[1] == '/')
      path += 2;
    declaration->source = mem_string(path);
  }
}

// The first method that both serve on the same path, or NULL.
static const char *conflict(const Declaration *a, const Declaration *b)
{
  size_t i;
  if (!a->rule || !b->rule || !rule_is_same(a->rule, b->rule))
    return NULL;
  for (i = 0; a->methods[i]; i++) {
    if (has_method(b, a->methods[i]))
      return a->methods[i];
  }
  return NULL;
}

static void check_conflicts(const Place *place, const YamlNode *map, const Declaration *declaration)
{
  const YamlNode *path = yaml_get(map, "path");
  uint32_t i;
  for (i = 0; i < place->package->declaration_count; i++) {
    const Declaration *other = &place->package->declarations[i];
    const char *method = conflict(declaration, other);
    if (!method)
      continue;
    problems_add(place->problems, place->file, path->line, path->column,
                 "path: expected a path and method of its own, got %s %s, which %s:%d:%d has too",
                 method, declaration->rule->text, other->file, other->line, other->column);
    return;
  }
}

void declaration_read(const Place *place, const YamlNode *node)
{
  static const char *const known[] = { "path", "method", "hidden", "extra", NULL };
  const YamlNode *hidden = yaml_get(node, "hidden");
  Package *package = place->package;
  Declaration declaration = { 0 };
  if (node->type != YAML_MAP) {
    place_expected(place, node, NULL, "a map with path, method and extra.lua.source", node);
    return;
  }
  declaration.file = mem_string(place->file);
  declaration.line = node->line;
  declaration.column = node->column;
  place_check_slips(place, node, NULL, known);
  read_path(place, node, &declaration);
  read_methods(place, node, &declaration);
  read_source(place, node, &declaration);
  if (hidden && hidden->type != YAML_NULL && !place_bool(hidden, &declaration.is_hidden))
    place_expected(place, hidden, "hidden", "true or false", hidden);
  check_conflicts(place, node, &declaration);
  package->declarations = mem_resize(package->declarations, (package->declaration_count + 1) *
                                                                sizeof *package->declarations);
  package->declarations[package->declaration_count++] = declaration;
}

void declaration_free(Declaration *declaration)
{
  size_t i;
  for (i = 0; declaration->methods && declaration->methods[i]; i++)
    mem_free(declaration->methods[i]);
  mem_free(declaration->methods);
  rule_free(declaration->rule);
  mem_free(declaration->file);
  mem_free(declaration->source);
}
