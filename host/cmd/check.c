// moonhook check DIR...: every problem of the packages, one a line on stdout. Reads each package as
// the host would, compiles its Lua files without running them, and says all that is wrong. Needs no
// configuration, no store, no network.
#include "check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/buffer.h"
#include "../base/file.h"
#include "../base/memory.h"
#include "../plugin/archive.h"
#include "../plugin/check_names.h"
#include "../plugin/snapshot.h"
#include "../script/syntax.h"
#include "arguments.h"

enum { MAX_SOURCE_BYTES = 4 * 1024 * 1024 };

// --- Lua sources ---------------------------------------------------------------------------------

void check_source(const char *dir, const char *file, Problems *problems)
{
  Buffer source = { 0 };
  Err why = { 0 };
  int line = 0, column = 0;
  if (file_read_inside(dir, file, MAX_SOURCE_BYTES, &source, &why) != 0)
    problems_add(problems, file, 0, 0, "%s", why.text);
  else if (syntax_check(source.bytes, source.len, &line, &column, &why) != 0)
    problems_add(problems, file, line, column, "%s", why.text);
  buffer_free(&source);
}

static void check_sources(const char *dir, const Package *package, Problems *problems)
{
  Err why = { 0 };
  char **files = package_lua_files(dir, package, &why);
  size_t i;
  if (!files) {
    const char *text = strstr(why.text, ": ");
    char *file = mem_bytes(why.text, text ? (size_t)(text - why.text) : 0);
    problems_add(problems, text ? file : dir, 0, 0, "%s", text ? text + 2 : why.text);
    mem_free(file);
    return;
  }
  for (i = 0; files[i]; i++)
    check_source(dir, files[i], problems);
  check_names(dir, files, package, problems);
  for (i = 0; files[i]; i++)
    mem_free(files[i]);
  mem_free(files);
}

// --- packages ------------------------------------------------------------------------------------

// A problem or a warning.
typedef struct {
  const Problem *problem;
  bool is_warning;
} Finding;

static int by_place(const void *a, const void *b)
{
  const Problem *left = ((const Finding *)a)->problem, *right = ((const Finding *)b)->problem;
  int order = strcmp(left->file ? left->file : "", right->file ? right->file : "");
  if (order != 0)
    return order;
  if (left->line != right->line)
    return left->line < right->line ? -1 : 1;
  return left->column < right->column ? -1 : left->column > right->column;
}

void check_report(Report *report, const char *place, const Problems *problems)
{
  size_t count = problems->count + problems->warning_count, i;
  Finding *all = mem_zero(count + 1, sizeof *all);
  for (i = 0; i < problems->count; i++)
    all[i] = (Finding){ &problems->items[i], false };
  for (i = 0; i < problems->warning_count; i++)
    all[problems->count + i] = (Finding){ &problems->warnings[i], true };
  qsort(all, count, sizeof *all, by_place);
  for (i = 0; i < count; i++) {
    if (all[i].is_warning)
      report_warning(report, place, all[i].problem);
    else
      report_problem(report, place, all[i].problem);
  }
  mem_free(all);
}

// Reads the package in `dir` and names it `place` in what it reports.
static Package *check_folder_as(Report *report, const char *dir, const char *place)
{
  Problems problems = { 0 };
  Package *package = package_read(dir, &problems);
  if (package_is_plugin(dir))
    check_sources(dir, package, &problems);
  check_report(report, place, &problems);
  problems_free(&problems);
  return package;
}

Package *check_package(Report *report, const char *place)
{
  Package *package = NULL;
  char *dir = NULL;
  Err err;
  if (!archive_is_one(place))
    return check_folder_as(report, place, place);
  if (snapshot_unpack(place, &dir, &err) != 0)
    report_text(report, err.text);
  else
    package = check_folder_as(report, dir, place);
  snapshot_discard(dir);
  return package;
}

// --- folders -------------------------------------------------------------------------------------

// What is no folder at all is said to be none; false: it is one, or an archive.
static bool refuse_place(Report *report, const char *place)
{
  struct stat status;
  Buffer text = { 0 };
  bool is_refused;
  if (stat(place, &status) != 0)
    buffer_printf(&text, "%s: expected a plugin's folder, there is none", place);
  else if (!S_ISDIR(status.st_mode) && !archive_is_one(place))
    buffer_printf(&text, "%s: expected a plugin's folder, got a file", place);
  if (text.len > 0)
    report_text(report, text.bytes);
  is_refused = text.len > 0;
  buffer_free(&text);
  return is_refused;
}

static void check_one(Report *report, const char *dir, size_t *count)
{
  if (refuse_place(report, dir))
    return;
  package_free(check_package(report, dir));
  ++*count;
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_plugin(const char *path)
{
  return package_is_plugin(path) || archive_is_one(path);
}

// A plugin's folder or archive, or a folder that holds some. One that is neither is reported as a
// plugin without a manifest.
static void check_folder(Report *report, const char *dir, size_t *packages)
{
  DIR *listing = is_plugin(dir) ? NULL : opendir(dir);
  struct dirent *entry;
  char **found = NULL;
  size_t count = 0, i;
  while (listing && (entry = readdir(listing))) {
    Buffer path = { 0 };
    buffer_printf(&path, "%s/%s", dir, entry->d_name);
    if (entry->d_name[0] != '.' && is_plugin(path.bytes)) {
      found = mem_resize(found, (count + 1) * sizeof *found);
      found[count++] = buffer_take(&path);
    }
    buffer_free(&path);
  }
  if (listing)
    closedir(listing);
  if (count == 0)
    check_one(report, dir, packages);
  else
    qsort(found, count, sizeof *found, by_text);
  for (i = 0; i < count; i++) {
    check_one(report, found[i], packages);
    mem_free(found[i]);
  }
  mem_free(found);
}

static void check_argument(Report *report, const char *argument, size_t *packages)
{
  size_t len = strlen(argument);
  char *dir;
  while (len > 1 && argument[len - 1] == '/')
    len--;
  dir = mem_bytes(argument, len);
  check_folder(report, dir, packages);
  mem_free(dir);
}

int cmd_check(const Arguments *arguments)
{
  Report report = { .is_json = arguments_have(arguments, "--json") };
  char what[40];
  size_t i, packages = 0;
  if (arguments->place_count == 0 && !is_plugin("."))
    return arguments_refuse(arguments, "expected DIR, as this folder has no manifest.yaml");
  if (arguments->place_count == 0)
    check_argument(&report, ".", &packages);
  for (i = 0; i < arguments->place_count; i++)
    check_argument(&report, arguments->places[i], &packages);
  snprintf(what, sizeof what, "%zu plugin%s", packages, packages == 1 ? "" : "s");
  return report_end(&report, what);
}
