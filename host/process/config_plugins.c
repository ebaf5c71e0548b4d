// Where plugins are, and the folders that follow from where the host was started (see config.h).
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "../base/memory.h"
#include "../plugin/archive.h"
#include "../plugin/package.h"
#include "config_read.h"

static bool is_folder(const char *path)
{
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void clear_plugin_dirs(Config *config)
{
  config_free_texts(config->plugin_dirs, config->plugin_dir_count);
  config->plugin_dirs = NULL;
  config->plugin_dir_count = 0;
}

static int add_plugin_dir(const Reader *reader, const char *path)
{
  Config *config = reader->config;
  char *dir = config_path(reader, path);
  int rc = is_folder(dir) || archive_is_one(dir) ? 0 : UV_ENOENT;
  if (rc == 0)
    config_add_text(&config->plugin_dirs, &config->plugin_dir_count, dir);
  mem_free(dir);
  return rc;
}

// `plugins:` in the file: one folder or archive, or a list of them.
int config_plugins(const Reader *reader, const YamlNode *node)
{
  size_t i, count = node->type == YAML_LIST ? node->count : 1;
  clear_plugin_dirs(reader->config);
  reader->config->plugins_origin = (ConfigOrigin){ CONFIG_FILE, node->line, node->column, NULL };
  for (i = 0; i < count; i++) {
    const YamlNode *item = node->type == YAML_LIST ? node->items[i] : node;
    if (item->type != YAML_STRING || item->len == 0)
      return config_expected(reader, item, "plugins", "a folder, an archive, or a list of them",
                             item);
    if (add_plugin_dir(reader, item->text) != 0)
      return config_expected(reader, item, "plugins", "a folder or .difypkg file that exists",
                             item);
  }
  return 0;
}

// MOONHOOK_PLUGINS: folders and archives with ':' between them.
int config_plugins_variable(const Reader *reader, const char *text)
{
  char *copy = mem_string(text), *rest = NULL, *dir;
  int rc = 0;
  clear_plugin_dirs(reader->config);
  reader->config->plugins_origin = (ConfigOrigin){ CONFIG_VARIABLE, 0, 0, "PLUGINS" };
  for (dir = strtok_r(copy, ":", &rest); dir && rc == 0; dir = strtok_r(NULL, ":", &rest)) {
    if (add_plugin_dir(reader, dir) != 0)
      rc = config_fail(
          reader, NULL,
          "MOONHOOK_PLUGINS: expected folders or .difypkg files that exist, got \"%.200s\"", dir);
  }
  mem_free(copy);
  return rc;
}

int config_plugins_flag(const Reader *reader, const char *const *dirs)
{
  clear_plugin_dirs(reader->config);
  reader->config->plugins_origin = (ConfigOrigin){ CONFIG_FLAG, 0, 0, "--plugins" };
  for (; *dirs; dirs++) {
    if (add_plugin_dir(reader, *dirs) != 0)
      return config_fail(
          reader, NULL, "--plugins: expected a folder or .difypkg file that exists, got \"%.200s\"",
          *dirs);
  }
  return 0;
}

// Whether the folder of the file (without one, the working folder) is a plugin itself.
static bool is_in_plugin(const Reader *reader)
{
  return package_is_plugin(reader->dir ? reader->dir : ".");
}

// ./plugins beside the file, else the folder itself if it is a plugin.
void config_default_plugins(const Reader *reader)
{
  char *beside = config_path(reader, "plugins");
  if (is_folder(beside))
    add_plugin_dir(reader, "plugins");
  else if (is_in_plugin(reader))
    add_plugin_dir(reader, ".");
  mem_free(beside);
}

// Inside a plugin's own folder the data must not become part of the plugin: hidden folders are not.
void config_default_data(const Reader *reader)
{
  if (!reader->config->data_dir)
    reader->config->data_dir = config_path(reader, is_in_plugin(reader) ? ".moonhook" : "data");
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_plugin(const char *path)
{
  return package_is_plugin(path) || archive_is_one(path);
}

static void add_plugins_of(const char *dir, char ***found, uint32_t *count)
{
  DIR *listing = opendir(dir);
  struct dirent *entry;
  while (listing && (entry = readdir(listing))) {
    Buffer path = { 0 };
    if (entry->d_name[0] == '.')
      continue;
    buffer_printf(&path, "%s/%s", dir, entry->d_name);
    if (is_plugin(path.bytes))
      config_add_text(found, count, path.bytes);
    buffer_free(&path);
  }
  if (listing)
    closedir(listing);
}

char **config_plugin_folders(const Config *config, uint32_t *count)
{
  char **found = mem_zero(1, sizeof *found);
  uint32_t i, kept = 0;
  *count = 0;
  for (i = 0; i < config->plugin_dir_count; i++) {
    if (is_plugin(config->plugin_dirs[i]))
      config_add_text(&found, count, config->plugin_dirs[i]);
    else
      add_plugins_of(config->plugin_dirs[i], &found, count);
  }
  qsort(found, *count, sizeof *found, by_text);
  for (i = 0; i < *count; i++) { // one folder may have been named twice
    if (kept > 0 && strcmp(found[kept - 1], found[i]) == 0)
      mem_free(found[i]);
    else
      found[kept++] = found[i];
  }
  found[kept] = NULL;
  *count = kept;
  return found;
}

void config_folders_free(char **folders)
{
  size_t i;
  for (i = 0; folders && folders[i]; i++)
    mem_free(folders[i]);
  mem_free(folders);
}
