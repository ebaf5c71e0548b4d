// See keeper.h.
#include "keeper.h"

#include <stdlib.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "endpoint_book.h"
#include "keeper_parts.h"

void keeper_log_problems(const Problems *problems, const char *folder)
{
  size_t i;
  for (i = 0; i < problems->count; i++)
    log_event(LOG_ERROR, "plugin problem", LOG_S("folder", folder),
              LOG_S("error", problems->items[i].text));
}

// --- plugins -------------------------------------------------------------------------------------

static Served *find_folder(Keeper *keeper, const char *folder)
{
  Served *served;
  for (served = keeper->served; served; served = served->next) {
    if (strcmp(served->folder, folder) == 0)
      return served;
  }
  served = mem_zero(1, sizeof *served);
  served->folder = mem_string(folder);
  served->next = keeper->served;
  keeper->served = served;
  return served;
}

const Served *keeper_find_plugin(const Keeper *keeper, const char *name)
{
  const char *slash = strchr(name, '/');
  const Served *served;
  for (served = keeper->served; served; served = served->next) {
    if (!served->package || strcmp(served->name, slash ? slash + 1 : name) != 0)
      continue;
    if (!slash || (strncmp(served->package->author, name, (size_t)(slash - name)) == 0 &&
                   served->package->author[slash - name] == '\0'))
      return served;
  }
  return NULL;
}

static bool id_is_taken(const Keeper *keeper, const Served *mine, const char *id)
{
  const Served *served;
  for (served = keeper->served; served; served = served->next) {
    if (served != mine && served->id && strcmp(served->id, id) == 0)
      return true;
  }
  return false;
}

static void unload(Keeper *keeper, Served *served)
{
  if (served->id)
    worker_unload_plugin(keeper->worker, served->id);
  mem_free(served->name);
  mem_free(served->id);
  served->name = served->id = NULL;
  package_free(served->package);
  served->package = NULL;
  served->hash[0] = '\0';
}

static void set_error(Served *served, const char *text)
{
  mem_free(served->error);
  served->error = mem_string(text);
}

// The first problem stands for all; the log has them.
static void set_problem(Served *served, const Problems *problems)
{
  set_error(served, problems->count ? problems->items[0].text : "the package cannot be read");
}

// Loads the folder's present version if it is a new one. True when the live version changed.
static bool load(Keeper *keeper, Served *served)
{
  Problems problems = { 0 };
  char hash[CONTENT_HASH_LEN + 1], *dir = NULL;
  Package *package = NULL, *mine = NULL;
  char *id = NULL;
  Err err = { 0 };
  bool is_changed = false;
  if (snapshot_hash(served->folder, hash, &err) < 0) {
    set_error(served, err.text);
    log_event(LOG_ERROR, "plugin not read", LOG_S("folder", served->folder),
              LOG_S("error", err.text));
    return false;
  }
  if (strcmp(hash, served->hash) == 0)
    set_error(served, NULL);
  if (strcmp(hash, served->hash) == 0 || strcmp(hash, served->failed_hash) == 0)
    return false;
  memcpy(served->failed_hash, hash, sizeof hash);
  if (snapshot_make(served->folder, keeper->config->data_dir, hash, &dir, &err) < 0) {
    set_error(served, err.text);
    log_event(LOG_ERROR, "plugin not copied", LOG_S("folder", served->folder),
              LOG_S("error", err.text));
    return false;
  }
  package = package_read(dir, &problems);
  if (package)
    mine = package_read(dir, &problems);
  if (!mine) {
    set_problem(served, &problems);
    keeper_log_problems(&problems, served->folder);
    goto done;
  }
  id = package_id(package);
  if (id_is_taken(keeper, served, id)) {
    set_error(served, "another plugin has the same author and name");
    log_event(LOG_ERROR, "plugin not loaded", LOG_S("folder", served->folder),
              LOG_S("error", "another plugin has the same author and name"), LOG_S("plugin", id));
    goto done;
  }
  if (served->id && strcmp(served->id, id) != 0)
    unload(keeper, served);
  if (worker_load_plugin(keeper->worker, package, dir, hash, &err) < 0) {
    set_error(served, err.text);
    log_event(LOG_ERROR, "plugin not loaded", LOG_S("plugin", package->name),
              LOG_S("folder", served->folder), LOG_S("error", err.text),
              LOG_S("serving", served->hash[0] ? "the last good version" : "nothing"));
    goto done;
  }
  package = NULL; // the worker's
  mem_free(served->name);
  mem_free(served->id);
  package_free(served->package);
  served->name = mem_string(mine->name);
  served->id = mem_string(id);
  served->package = mine;
  mine = NULL;
  memcpy(served->hash, hash, sizeof hash);
  served->failed_hash[0] = '\0';
  set_error(served, NULL);
  is_changed = true;
  log_event(LOG_INFO, "plugin loaded", LOG_S("plugin", served->name),
            LOG_S("version", served->package->version), LOG_B("hash", served->hash, 12));
done:
  mem_free(id);
  package_free(package);
  package_free(mine);
  problems_free(&problems);
  mem_free(dir);
  return is_changed;
}

static bool is_hash_used(void *context, const char *hash)
{
  Keeper *keeper = context;
  const Served *served;
  for (served = keeper->served; served; served = served->next) {
    if (strcmp(served->hash, hash) == 0)
      return true;
  }
  return false;
}

// Looks at every plugin folder there is now. True when anything changed.
static bool load_all(Keeper *keeper)
{
  uint32_t count, i;
  char **folders = config_plugin_folders(keeper->config, &count);
  Served *served, **link;
  bool is_changed = false;
  for (served = keeper->served; served; served = served->next)
    served->is_seen = false;
  for (i = 0; i < count; i++) {
    served = find_folder(keeper, folders[i]);
    served->is_seen = true;
    is_changed |= load(keeper, served);
  }
  config_folders_free(folders);
  for (link = &keeper->served; (served = *link);) {
    if (served->is_seen) {
      link = &served->next;
      continue;
    }
    log_event(LOG_INFO, "plugin removed", LOG_S("folder", served->folder));
    unload(keeper, served);
    *link = served->next;
    mem_free(served->folder);
    mem_free(served->error);
    mem_free(served);
    is_changed = true;
  }
  return is_changed;
}

// --- changes -------------------------------------------------------------------------------------

static void told(Keeper *keeper)
{
  if (keeper->on_change)
    keeper->on_change(keeper->context);
}

static void on_plugins_change(void *context)
{
  Keeper *keeper = context;
  if (!load_all(keeper))
    return;
  keeper_apply_endpoints(keeper);
  told(keeper);
}

static void on_config_change(void *context)
{
  keeper_reload(context);
}

static void unwatch(Keeper *keeper)
{
  uint32_t i;
  for (i = 0; i < keeper->watch_count; i++)
    watch_close(keeper->watch[i]);
  mem_free(keeper->watch);
  keeper->watch = NULL;
  keeper->watch_count = 0;
}

static void add_watch(Keeper *keeper, const char *path, void (*on_event)(void *context))
{
  Err err;
  Watch *watch = watch_new(keeper->loop, path, on_event, keeper, &err);
  if (watch)
    keeper->watch[keeper->watch_count++] = watch;
  else
    log_event(LOG_WARN, "not watched", LOG_S("path", path), LOG_S("error", err.text));
}

static void watch_all(Keeper *keeper)
{
  const Config *config = keeper->config;
  uint32_t i;
  unwatch(keeper);
  if (!keeper->watches)
    return;
  keeper->watch = mem_zero(config->plugin_dir_count + config->watched_count, sizeof *keeper->watch);
  for (i = 0; i < config->plugin_dir_count; i++)
    add_watch(keeper, config->plugin_dirs[i], on_plugins_change);
  for (i = 0; i < config->watched_count; i++)
    add_watch(keeper, config->watched[i], on_config_change);
}

void keeper_reload(Keeper *keeper)
{
  Err err;
  Config *config = config_read(&keeper->sources, &err), *old = keeper->config;
  if (config && old->file && !config->file) { // between two moments of an editor's saving
    err_set(&err, UV_ENOENT, "%s: no such file", old->file);
    config_free(config);
    config = NULL;
  }
  if (!config || worker_configure(keeper->worker, config, &err) < 0) {
    log_event(LOG_ERROR, "configuration not loaded", LOG_S("error", err.text),
              LOG_S("serving", "the last good configuration"));
    config_free(config);
    return;
  }
  keeper->config = config;
  load_all(keeper);
  keeper_apply_endpoints(keeper);
  config_free(old);
  watch_all(keeper);
  log_event(LOG_INFO, "configuration loaded", LOG_S("file", config->file ? config->file : "-"));
  told(keeper);
}

Keeper *keeper_new(Loop *loop, Worker *worker, Store *store, const ConfigSources *sources,
                   Config *config, bool watches, void (*on_change)(void *context), void *context,
                   Err *err)
{
  Keeper *keeper = mem_zero(1, sizeof *keeper);
  keeper->loop = loop;
  keeper->worker = worker;
  keeper->store = store;
  keeper->sources = *sources;
  keeper->config = config;
  keeper->watches = watches;
  keeper->on_change = on_change;
  keeper->context = context;
  keeper->book = endpoint_book_open(keeper, store, config->data_dir, err);
  if (!keeper->book) {
    mem_free(keeper);
    return NULL;
  }
  load_all(keeper);
  snapshot_sweep(config->data_dir, is_hash_used, keeper);
  keeper_apply_endpoints(keeper);
  watch_all(keeper);
  return keeper;
}

void keeper_free(Keeper *keeper)
{
  unwatch(keeper);
  endpoint_book_free(keeper->book);
  while (keeper->served) {
    Served *served = keeper->served;
    keeper->served = served->next;
    package_free(served->package);
    mem_free(served->name);
    mem_free(served->id);
    mem_free(served->folder);
    mem_free(served->error);
    mem_free(served);
  }
  keeper_free_endpoints(keeper);
  config_free(keeper->config);
  mem_free(keeper);
}

const Config *keeper_config(const Keeper *keeper)
{
  return keeper->config;
}
