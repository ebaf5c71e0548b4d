// The manifest, and what its reading has in common with the other files' (see package_read.h).
// Reading goes on after a problem, so that the author sees all of them at once.
#include "package.h"

#include <stdio.h>
#include <sys/stat.h>
#include <uv.h>

#include "../base/file.h"
#include "../base/memory.h"
#include "package_read.h"
#include "snapshot.h"

static const char MANIFEST[] = "manifest.yaml";

// --- messages and small readers ------------------------------------------------------------------

void place_expected(const Place *place, const YamlNode *at, const char *what, const char *expected,
                    const YamlNode *got)
{
  char shown[96];
  problems_add(place->problems, place->file, at ? at->line : 1, at ? at->column : 1,
               "%s%sexpected %s, got %s", what ? what : "", what ? ": " : "", expected,
               yaml_show(got, shown, sizeof shown));
}

void place_check_slips(const Place *place, const YamlNode *map, const char *what,
                       const char *const *known)
{
  size_t i, j;
  for (i = 0; i < map->count; i++) {
    const YamlNode *key = map->pairs[i].key;
    const char *nearest;
    for (j = 0; known[j] && strcmp(known[j], key->text) != 0; j++)
      ;
    nearest = known[j] ? NULL : yaml_nearest(key->text, known);
    if (nearest && !yaml_get(map, nearest)) {
      problems_add(place->problems, place->file, key->line, key->column,
                   "%s%s%s: unknown key, did you mean %s?", what ? what : "", what ? "." : "",
                   key->text, nearest);
    }
  }
}

bool place_bool(const YamlNode *node, bool *value)
{
  Span text = span_of(node->text);
  if (node->type == YAML_BOOL) {
    *value = node->integer != 0;
    return true;
  }
  if (node->type != YAML_STRING || !node->is_plain)
    return false;
  *value = span_is_ignoring_case(text, "yes") || span_is_ignoring_case(text, "on");
  return *value || span_is_ignoring_case(text, "no") || span_is_ignoring_case(text, "off");
}

int place_check_name(const YamlNode *node, Err *why)
{
  if (snapshot_holds(node->text))
    return 0;
  return err_set(why, UV_EINVAL, "is not served: hidden files and spec/ are left out");
}

YamlDoc *place_open(const Place *place, const YamlNode *node, const char *what)
{
  Buffer bytes = { 0 };
  Err why = { 0 };
  YamlDoc *doc = NULL;
  Place inner = *place;
  if (node->type != YAML_STRING || node->len == 0) {
    place_expected(place, node, what, "a file of the package or a map", node);
  } else if (place_check_name(node, &why) != 0 ||
             file_read_inside(place->package->dir, node->text, MAX_YAML_BYTES, &bytes, &why) != 0) {
    problems_add(place->problems, place->file, node->line, node->column,
                 "%s: expected a file of the package, got \"%s\", which %s", what, node->text,
                 why.text);
  } else {
    inner.file = node->text;
    doc = yaml_parse(bytes.bytes, bytes.len, &why);
    if (!doc)
      problems_add_placed(inner.problems, inner.file, why.text);
  }
  buffer_free(&bytes);
  return doc;
}

char *place_words(const Place *place, const YamlNode *node, const char *what)
{
  Buffer json = { 0 };
  size_t i, added = 0;
  if (!node || node->type == YAML_NULL)
    return NULL;
  if (node->type == YAML_LIST) {
    place_expected(place, node, what, "a map of languages", node);
    return NULL;
  }
  buffer_char(&json, '{');
  if (node->type != YAML_MAP) {
    buffer_string(&json, "\"en_US\":");
    buffer_json_string(&json, node->text, node->len);
  }
  for (i = 0; node->type == YAML_MAP && i < node->count; i++) {
    const YamlNode *key = node->pairs[i].key, *value = node->pairs[i].value;
    if (value->type == YAML_NULL)
      continue;
    if (value->type == YAML_MAP || value->type == YAML_LIST) {
      place_expected(place, value, what, "a string for each language", value);
      continue;
    }
    if (added++ > 0)
      buffer_char(&json, ',');
    buffer_json_string(&json, key->text, key->len);
    buffer_char(&json, ':');
    buffer_json_string(&json, value->text, value->len);
  }
  buffer_char(&json, '}');
  return buffer_take(&json);
}

// --- the manifest --------------------------------------------------------------------------------

static bool is_identifier(const char *text, size_t most, bool may_be_upper)
{
  size_t len = strspn(text, may_be_upper ? "abcdefghijklmnopqrstuvwxyz0123456789_-"
                                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         : "abcdefghijklmnopqrstuvwxyz0123456789_-");
  return len > 0 && len <= most && text[len] == '\0';
}

static bool is_author(const char *text)
{
  return is_identifier(text, 64, true);
}

static bool is_name(const char *text)
{
  return is_identifier(text, 128, false);
}

static bool is_plugin_word(const char *text)
{
  return strcmp(text, "plugin") == 0;
}

// Digits and dots first; then whatever PEP 440 or a pre-release may add.
static bool is_version(const char *text)
{
  size_t len = strlen(text), digits = strspn(text, "0123456789");
  return digits > 0 && text[digits] == '.' && len <= 64 &&
         strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+!-_") == len;
}

// Whether a key of the map is meant for `key`: it was told of as a slip of the pen.
static bool is_misspelt(const YamlNode *map, const char *key)
{
  const char *names[] = { key, NULL };
  size_t i;
  for (i = 0; map->type == YAML_MAP && i < map->count; i++) {
    if (map->pairs[i].key->text && yaml_nearest(map->pairs[i].key->text, names) &&
        strcmp(map->pairs[i].key->text, key) != 0)
      return true;
  }
  return false;
}

// A required scalar of the manifest; a copy, or NULL after a problem.
static char *read_required(const Place *place, const YamlNode *root, const char *key,
                           bool (*is_good)(const char *text), const char *expected)
{
  const YamlNode *node = yaml_get(root, key);
  if (node && node->text && node->type != YAML_NULL && is_good(node->text))
    return mem_string(node->text);
  if (node || !is_misspelt(root, key))
    place_expected(place, node ? node : root, key, expected, node);
  return NULL;
}

static void read_group_file(const Place *place, const YamlNode *name)
{
  YamlDoc *doc = place_open(place, name, "plugins.endpoints");
  Place inner = *place;
  if (!doc)
    return;
  inner.file = name->text;
  group_read(&inner, yaml_root(doc));
  yaml_doc_free(doc);
}

// One item of plugins.endpoints: a group's file, a group, or (the smallest plugin) an endpoint.
static void read_group(const Place *place, const YamlNode *node)
{
  if (node->type != YAML_MAP)
    read_group_file(place, node);
  else if (yaml_get(node, "path") || yaml_get(node, "method"))
    declaration_read(place, node);
  else
    group_read(place, node);
}

static void read_groups(const Place *place, const YamlNode *root)
{
  static const char *const known[] = { "endpoints",   "tools",    "models", "agent_strategies",
                                       "datasources", "triggers", NULL };
  const YamlNode *plugins = yaml_get(root, "plugins");
  const YamlNode *groups = yaml_get(plugins, "endpoints");
  size_t i, before = place->problems->count;
  if (plugins && plugins->type == YAML_MAP)
    place_check_slips(place, plugins, "plugins", known);
  if (!groups && (plugins ? is_misspelt(plugins, "endpoints") : is_misspelt(root, "plugins")))
    return;
  if (!groups || groups->type == YAML_NULL || (groups->type == YAML_LIST && groups->count == 0)) {
    place_expected(place,
                   groups    ? groups
                   : plugins ? plugins
                             : root,
                   "plugins.endpoints", "a list with the endpoint group's file", groups);
    return;
  }
  if (groups->type == YAML_LIST) {
    for (i = 0; i < groups->count; i++)
      read_group(place, groups->items[i]);
  } else {
    read_group(place, groups);
  }
  if (place->package->declaration_count == 0 && place->problems->count == before)
    place_expected(place, groups, "plugins.endpoints", "at least one endpoint", NULL);
}

static void read_manifest(const Place *place, const YamlNode *root)
{
  static const char *const known[] = { "version",    "type",        "author",  "name",
                                       "label",      "description", "icon",    "icon_dark",
                                       "created_at", "privacy",     "repo",    "tags",
                                       "meta",       "resource",    "plugins", "verified",
                                       "limits",     NULL };
  Package *package = place->package;
  if (root->type != YAML_MAP) {
    place_expected(place, root, NULL, "a map with version, type, author, name and plugins", root);
    return;
  }
  place_check_slips(place, root, NULL, known);
  package->version = read_required(place, root, "version", is_version, "a version such as 0.1.0");
  mem_free(read_required(place, root, "type", is_plugin_word, "the word plugin"));
  package->author =
      read_required(place, root, "author", is_author, "1 to 64 letters, digits, '_' or '-'");
  package->name = read_required(place, root, "name", is_name,
                                "1 to 128 lower-case letters, digits, '_' or '-'");
  package->label_json = place_words(place, yaml_get(root, "label"), "label");
  permissions_read(place, yaml_get(root, "resource"));
  limits_read(place, yaml_get(root, "limits"));
  read_groups(place, root);
  permissions_check_settings(place);
}

// --- packages ------------------------------------------------------------------------------------

Package *package_read(const char *dir, Problems *problems)
{
  Package *package = mem_zero(1, sizeof *package);
  Place place = { .package = package, .problems = problems, .file = MANIFEST };
  Buffer bytes = { 0 };
  Err why = { 0 };
  YamlDoc *doc = NULL;
  size_t before = problems->count;
  package->dir = mem_string(dir);
  if (file_read_inside(dir, MANIFEST, MAX_YAML_BYTES, &bytes, &why) != 0) {
    problems_add(problems, MANIFEST, 0, 0, "%s", why.text);
  } else {
    doc = yaml_parse(bytes.bytes, bytes.len, &why);
    if (doc)
      read_manifest(&place, yaml_root(doc));
    else
      problems_add_placed(problems, MANIFEST, why.text);
  }
  yaml_doc_free(doc);
  buffer_free(&bytes);
  if (problems->count == before)
    return package;
  package_free(package);
  return NULL;
}

Package *package_hold(Package *package)
{
  package->holders++;
  return package;
}

void package_free(Package *package)
{
  uint32_t i;
  if (!package)
    return;
  if (package->holders > 0) {
    package->holders--;
    return;
  }
  for (i = 0; i < package->setting_count; i++)
    setting_free(&package->settings[i]);
  for (i = 0; i < package->declaration_count; i++)
    declaration_free(&package->declarations[i]);
  mem_free(package->settings);
  mem_free(package->declarations);
  network_free(package);
  mem_free(package->dir);
  mem_free(package->name);
  mem_free(package->author);
  mem_free(package->version);
  mem_free(package->label_json);
  mem_free(package);
}

bool package_is_plugin(const char *dir)
{
  Err unused;
  return file_check_inside(dir, MANIFEST, &unused) == 0;
}

char *package_id(const Package *package)
{
  Buffer id = { 0 };
  buffer_printf(&id, "%s/%s", package->author, package->name);
  return buffer_take(&id);
}
