// moonhook config print: what holds, and from where. moonhook config check: what serve would refuse
// or complain about, without starting it.
#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "../plugin/check_names.h"
#include "../process/choices.h"
#include "../process/config_show.h"
#include "check.h"
#include "sources.h"

// --- print ---------------------------------------------------------------------------------------

static void print_values(const Config *config)
{
  uint32_t count, i;
  ConfigValue *list = config_values(config, &count);
  int key_width = 0, value_width = 0;
  for (i = 0; i < count; i++) {
    int key = (int)strlen(list[i].key), value = (int)strlen(list[i].json);
    key_width = key > key_width && key <= 48 ? key : key_width;
    value_width = value > value_width && value <= 40 ? value : value_width;
  }
  for (i = 0; i < count; i++)
    printf("%-*s  %-*s  %s\n", key_width, list[i].key, value_width, list[i].json,
           list[i].place ? list[i].place : list[i].origin);
  config_values_free(list, count);
}

int cmd_config_print(const Arguments *arguments)
{
  ConfigSources sources;
  Config *config;
  Err err;
  sources_read(&sources, arguments);
  config = config_read(&sources, &err);
  sources_free(&sources);
  if (!config) {
    fprintf(stderr, "moonhook: %s\n", err.text);
    return 1;
  }
  if (arguments_have(arguments, "--json")) {
    Buffer json = { 0 };
    config_show_json(config, &json);
    puts(json.bytes);
    buffer_free(&json);
  } else {
    print_values(config);
  }
  config_free(config);
  return 0;
}

// --- check ---------------------------------------------------------------------------------------

static const Package *find_package(Package **packages, uint32_t count, const char *name)
{
  uint32_t i;
  for (i = 0; i < count; i++) {
    char *id = packages[i] ? package_id(packages[i]) : NULL;
    bool is_it = id && (strcmp(packages[i]->name, name) == 0 || strcmp(id, name) == 0);
    mem_free(id);
    if (is_it)
      return packages[i];
  }
  return NULL;
}

// The name or id nearest to one that no plugin has, or NULL.
static char *near_plugin(Package **packages, uint32_t count, const char *name)
{
  const char **names = mem_zero(count + 1, sizeof *names), *near;
  char **ids = mem_zero(count + 1, sizeof *ids), *found;
  uint32_t i, used = 0;
  for (i = 0; i < count; i++) {
    if (packages[i])
      names[used++] = strchr(name, '/') ? (ids[i] = package_id(packages[i])) : packages[i]->name;
  }
  near = yaml_nearest(name, names);
  found = near ? mem_string(near) : NULL;
  for (i = 0; i < count; i++)
    mem_free(ids[i]);
  mem_free(ids);
  mem_free(names);
  return found;
}

// `are_whole`: every plugin could be read, so that one which is missing is not there.
static void check_endpoint(Report *report, const Config *config, const ConfigEndpoint *endpoint,
                           Package **packages, uint32_t package_count, bool are_whole)
{
  const Package *package = find_package(packages, package_count, endpoint->plugin);
  Problems problems = { 0 };
  Buffer settings = { 0 };
  if (!package && are_whole) {
    char *near = near_plugin(packages, package_count, endpoint->plugin);
    problems_add(&problems, config->file, endpoint->line, endpoint->column,
                 "endpoints.plugin: expected a plugin that is there, got \"%.100s\"%s%s%s",
                 endpoint->plugin, near ? ", did you mean " : "", near ? near : "",
                 near ? "?" : "");
    mem_free(near);
  }
  if (package &&
      package_settings(package, endpoint->settings, &settings, &problems, config->file) == 0)
    choices_check(config, package, endpoint->settings, config->file, &problems);
  check_report(report, NULL, &problems);
  problems_free(&problems);
  buffer_free(&settings);
}

static void check_app_source(Report *report, const Config *config, const ConfigAppSource *source)
{
  Problems problems = { 0 };
  const char *slash = strrchr(source->path, '/');
  char *dir = slash ? mem_bytes(source->path, (size_t)(slash - source->path)) : mem_string(".");
  const char *folder = *dir ? dir : "/", *file = slash ? slash + 1 : source->path;
  (void)config;
  check_source(folder, file, &problems);
  check_app_names(folder, file, &problems);
  check_report(report, folder, &problems);
  problems_free(&problems);
  mem_free(dir);
}

static void check_whole(Report *report, const Config *config)
{
  uint32_t count, i;
  char **folders = config_plugin_folders(config, &count);
  Package **packages = mem_zero(count + 1, sizeof *packages);
  bool are_whole = true;
  for (i = 0; i < count; i++) {
    packages[i] = check_package(report, folders[i]);
    are_whole &= packages[i] != NULL;
  }
  for (i = 0; i < config->endpoint_count; i++)
    check_endpoint(report, config, &config->endpoints[i], packages, count, are_whole);
  for (i = 0; i < config->app_source_count; i++)
    check_app_source(report, config, &config->app_sources[i]);
  for (i = 0; i < count; i++)
    package_free(packages[i]);
  mem_free(packages);
  config_folders_free(folders);
}

int cmd_config_check(const Arguments *arguments)
{
  Report report = { .is_json = arguments_have(arguments, "--json") };
  ConfigSources sources;
  Problems problems = { 0 };
  Config *config;
  char what[300];
  int rc;
  sources_read(&sources, arguments);
  config = config_read_all(&sources, &problems);
  sources_free(&sources);
  if (config)
    check_whole(&report, config);
  check_report(&report, NULL, &problems);
  problems_free(&problems);
  snprintf(what, sizeof what, "%.280s",
           config && config->file ? config->file : "the configuration");
  rc = report_end(&report, what);
  config_free(config);
  return rc;
}
