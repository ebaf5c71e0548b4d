// See check_names.h.
#include "check_names.h"

#include <stdint.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/yaml.h"
#include "../script/tool.h"
#include "snapshot.h"

// --- files ---------------------------------------------------------------------------------------

static bool is_lua(const char *path)
{
  size_t len = strlen(path);
  return len > 4 && strcmp(path + len - 4, ".lua") == 0;
}

static bool has_file(char *const *files, const char *file)
{
  for (; *files; files++) {
    if (strcmp(*files, file) == 0)
      return true;
  }
  return false;
}

char **package_lua_files(const char *dir, const Package *package, Err *err)
{
  char **files = snapshot_files(dir, err);
  size_t count = 0, i;
  uint32_t number;
  if (!files)
    return NULL;
  for (i = 0; files[i]; i++) {
    if (is_lua(files[i]))
      files[count++] = files[i];
    else
      mem_free(files[i]);
  }
  files[count] = NULL;
  for (number = 0; package && number < package->declaration_count; number++) {
    const char *source = package->declarations[number].source;
    if (has_file(files, source))
      continue;
    files = mem_resize(files, (count + 2) * sizeof *files);
    files[count++] = mem_string(source);
    files[count] = NULL;
  }
  return files;
}

// --- names ---------------------------------------------------------------------------------------

static void append_text(Buffer *json, const char *text)
{
  buffer_json_string(json, text, strlen(text));
}

static void append_files(Buffer *json, char *const *files)
{
  size_t i;
  for (i = 0; files[i]; i++) {
    buffer_string(json, i > 0 ? "," : "");
    append_text(json, files[i]);
  }
}

static void append_variables(Buffer *json, const Package *package)
{
  const char *comma = "";
  uint32_t i, j;
  for (i = 0; i < package->declaration_count; i++) {
    const Rule *rule = package->declarations[i].rule;
    for (j = 0; j < rule->count; j++) {
      if (rule->parts[j].type == PART_STATIC)
        continue;
      buffer_string(json, comma);
      append_text(json, rule->parts[j].text);
      comma = ",";
    }
  }
}

// What the manifest permits, the settings that it declares, and the variables of its paths.
static void append_manifest(Buffer *json, const Package *package)
{
  Buffer names = { 0 };
  uint32_t i;
  permissions_name(package->permissions, &names);
  buffer_string(json, ",\"permissions\":");
  buffer_json_string(json, names.bytes, names.len);
  buffer_string(json, ",\"settings\":[");
  for (i = 0; i < package->setting_count; i++) {
    buffer_string(json, i > 0 ? "," : "");
    append_text(json, package->settings[i].name);
  }
  buffer_string(json, "],\"variables\":[");
  append_variables(json, package);
  buffer_string(json, "]");
  buffer_free(&names);
}

static int number(const YamlNode *problem, const char *key)
{
  const YamlNode *node = yaml_get(problem, key);
  return node ? (int)node->integer : 0;
}

static void add(Problems *problems, const YamlNode *problem)
{
  const YamlNode *is_warning = yaml_get(problem, "is_warning");
  const char *file = yaml_get(problem, "file")->text;
  const char *message = yaml_get(problem, "message")->text;
  int line = number(problem, "line"), column = number(problem, "column");
  if (is_warning && is_warning->integer)
    problems_warn(problems, file, line, column, "%s", message);
  else
    problems_add(problems, file, line, column, "%s", message);
}

static void ask(Buffer *input, Problems *problems)
{
  Buffer answer = { 0 };
  YamlNode *list = NULL;
  Err err;
  size_t i;
  if (tool_ask("moonhook.cli.names", (Span){ input->bytes, input->len }, &answer) == 0)
    list = yaml_from_json(answer.bytes, answer.len, &err);
  for (i = 0; list && list->type == YAML_LIST && i < list->count; i++)
    add(problems, list->items[i]);
  yaml_node_free(list);
  buffer_free(&answer);
  buffer_free(input);
}

void check_names(const char *dir, char *const *files, const Package *package, Problems *problems)
{
  Buffer input = { 0 };
  uint32_t i;
  buffer_string(&input, "{\"dir\":");
  append_text(&input, dir);
  buffer_string(&input, ",\"files\":[");
  append_files(&input, files);
  buffer_string(&input, "],\"sources\":[");
  for (i = 0; package && i < package->declaration_count; i++) {
    buffer_string(&input, i > 0 ? "," : "");
    append_text(&input, package->declarations[i].source);
  }
  buffer_string(&input, "],\"is_app\":false");
  if (package)
    append_manifest(&input, package);
  buffer_string(&input, "}");
  ask(&input, problems);
}

void check_app_names(const char *dir, const char *file, Problems *problems)
{
  Buffer input = { 0 };
  buffer_string(&input, "{\"dir\":");
  append_text(&input, dir);
  buffer_string(&input, ",\"files\":[");
  append_text(&input, file);
  buffer_string(&input, "],\"sources\":[],\"is_app\":true}");
  ask(&input, problems);
}
