// See keeper.h.
#include "keeper.h"

#include <stdlib.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "endpoint_book.h"
#include "keeper_parts.h"
#include "trial.h"
#include "worker.h"

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

static void forget(Served *served)
{
  mem_free(served->name);
  mem_free(served->id);
  mem_free(served->dir);
  served->name = served->id = served->dir = NULL;
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

// What goes on when the folder's present version cannot be loaded.
static const char *what_goes_on(const Keeper *keeper, const Served *served)
{
  bool has_last = served->hash[0] != '\0';
  if (!has_last) { // after a start: perhaps take_last_good finds one
    char *dir, *hash;
    registry_find_folder(keeper->registry, served->folder, &dir, &hash);
    has_last = dir != NULL;
    mem_free(dir);
    mem_free(hash);
  }
  return has_last ? "the last good version" : "nothing";
}

// Checks the snapshot and makes it the version to serve. Without effect when it cannot be;
// `otherwise` is served then.
static int take_snapshot(Keeper *keeper, Served *served, const char *dir, const char *hash,
                         const char *otherwise)
{
  Problems problems = { 0 };
  Package *package = package_read(dir, &problems);
  char *id = package ? package_id(package) : NULL;
  Err err = { 0 };
  int rc = UV_EINVAL;
  if (!package) {
    set_problem(served, &problems);
    keeper_log_problems(&problems, served->folder);
  } else if (id_is_taken(keeper, served, id)) {
    set_error(served, "another plugin has the same author and name");
    log_event(LOG_ERROR, "plugin not loaded", LOG_S("folder", served->folder),
              LOG_S("error", "another plugin has the same author and name"), LOG_S("plugin", id));
  } else if ((keeper->needs_trials || !registry_has_plugin(keeper->registry, id, hash)) &&
             trial_load(dir, hash, &keeper->config->plugin_limits, &err) < 0) {
    set_error(served, err.text);
    log_event(LOG_ERROR, "plugin not loaded", LOG_S("plugin", package->name),
              LOG_S("folder", served->folder), LOG_S("error", err.text),
              LOG_S("serving", otherwise));
  } else {
    forget(served);
    served->name = mem_string(package->name);
    served->id = id;
    served->dir = mem_string(dir);
    served->package = package;
    snprintf(served->hash, sizeof served->hash, "%s", hash);
    keeper_log_warnings(&problems, served->folder);
    problems_free(&problems);
    return 0;
  }
  mem_free(id);
  package_free(package);
  problems_free(&problems);
  return rc;
}

// After a start with a broken version in the folder: the one that was served before it.
static bool take_last_good(Keeper *keeper, Served *served)
{
  char *dir, *hash, found[CONTENT_HASH_LEN + 1];
  bool is_taken = false;
  Err unused;
  registry_find_folder(keeper->registry, served->folder, &dir, &hash);
  if (dir && snapshot_hash(dir, found, &unused) == 0 && strcmp(found, hash) == 0)
    is_taken = take_snapshot(keeper, served, dir, hash, "nothing") == 0;
  if (is_taken)
    log_event(LOG_WARN, "serving the version before", LOG_S("plugin", served->id),
              LOG_S("folder", served->folder), LOG_B("hash", served->hash, 12));
  else if (dir)
    log_event(LOG_ERROR, "the version before cannot be served", LOG_S("folder", served->folder),
              LOG_S("why", "its copy in the data folder is not what it was"));
  mem_free(dir);
  mem_free(hash);
  return is_taken;
}

// At a start most folders hold what was served before it. NULL: this one does not.
static char *find_unchanged(const Keeper *keeper, const char *folder,
                            char hash[CONTENT_HASH_LEN + 1])
{
  char *dir, *known, *found = NULL;
  registry_find_folder(keeper->registry, folder, &dir, &known);
  if (known)
    found = snapshot_find(folder, keeper->config->data_dir, known);
  if (found)
    memcpy(hash, known, CONTENT_HASH_LEN + 1);
  mem_free(dir);
  mem_free(known);
  return found;
}

// Loads the folder's present version if it is a new one. True when the live version changed.
static bool load(Keeper *keeper, Served *served)
{
  char hash[CONTENT_HASH_LEN + 1];
  char *dir = served->id ? NULL : find_unchanged(keeper, served->folder, hash);
  Err err = { 0 };
  bool is_changed;
  if (!dir && snapshot_hash(served->folder, hash, &err) < 0) {
    set_error(served, err.text);
    log_event(LOG_ERROR, "plugin not read", LOG_S("folder", served->folder),
              LOG_S("error", err.text));
    return !served->id && take_last_good(keeper, served);
  }
  if (strcmp(hash, served->hash) == 0 && served->error) { // a change was taken back
    log_event(LOG_INFO, "plugin as before", LOG_S("plugin", served->name),
              LOG_S("folder", served->folder), LOG_B("hash", served->hash, 12));
    set_error(served, NULL);
    served->failed_hash[0] = '\0';
  }
  if (strcmp(hash, served->hash) == 0 || strcmp(hash, served->failed_hash) == 0) {
    mem_free(dir);
    return false;
  }
  if (!dir && snapshot_make(served->folder, keeper->config->data_dir, hash, &dir, &err) < 0) {
    set_error(served, err.text);
    log_event(LOG_ERROR, "plugin not copied", LOG_S("folder", served->folder),
              LOG_S("error", err.text));
    return !served->id && take_last_good(keeper, served);
  }
  memcpy(served->failed_hash, hash, sizeof hash); // a copy that failed may succeed the next time
  is_changed = take_snapshot(keeper, served, dir, hash, what_goes_on(keeper, served)) == 0;
  mem_free(dir);
  if (!is_changed)
    return !served->id && take_last_good(keeper, served);
  served->failed_hash[0] = '\0';
  set_error(served, NULL);
  served->is_news = true;
  return true;
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

// Forgets the folders that are gone. True when there was one.
static bool drop_unseen(Keeper *keeper)
{
  Served *served, **link;
  bool is_changed = false;
  for (link = &keeper->served; (served = *link);) {
    if (served->is_seen) {
      link = &served->next;
      continue;
    }
    log_event(LOG_INFO, "plugin removed", LOG_S("folder", served->folder));
    forget(served);
    *link = served->next;
    mem_free(served->folder);
    mem_free(served->error);
    mem_free(served);
    is_changed = true;
  }
  return is_changed;
}

// Looks at every plugin folder there is now. True when anything changed. What is gone goes first:
// a folder that has another name now holds the same plugin.
static bool load_all(Keeper *keeper)
{
  uint32_t count, i;
  char **folders = config_plugin_folders(keeper->config, &count);
  Served *served;
  bool is_changed;
  for (served = keeper->served; served; served = served->next)
    served->is_seen = false;
  for (i = 0; i < count; i++)
    find_folder(keeper, folders[i])->is_seen = true;
  is_changed = drop_unseen(keeper);
  for (i = 0; i < count; i++)
    is_changed |= load(keeper, find_folder(keeper, folders[i]));
  trial_end();
  config_folders_free(folders);
  return is_changed;
}

// --- changes -------------------------------------------------------------------------------------

static void told(Keeper *keeper)
{
  if (keeper->on_change)
    keeper->on_change(keeper->context);
}

static void publish(Keeper *keeper)
{
  keeper_apply_endpoints(keeper);
  keeper_tell_news(keeper);
}

static void on_plugins_change(void *context)
{
  Keeper *keeper = context;
  if (!load_all(keeper))
    return;
  publish(keeper);
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

static bool is_same_listen(const ConfigListen *a, const ConfigListen *b)
{
  return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void tell_restart(const Config *old, const Config *config)
{
  if (!is_same_listen(&old->public_listen, &config->public_listen) ||
      !is_same_listen(&old->admin_listen, &config->admin_listen) ||
      strcmp(old->data_dir, config->data_dir) != 0)
    log_write(LOG_WARN, "listening addresses and the data folder change with a restart only", NULL);
  if (old->log_level != config->log_level || old->log_format != config->log_format ||
      strcmp(old->ca_file ? old->ca_file : "", config->ca_file ? config->ca_file : "") != 0)
    log_write(LOG_WARN, "log and client.ca_file change with a restart only", NULL);
}

static void reload(Keeper *keeper)
{
  Err err;
  Config *config = config_read(&keeper->sources, &err), *old = keeper->config;
  if (config && old->file && !config->file) { // between two moments of an editor's saving
    err_set(&err, UV_ENOENT, "%s: no such file", old->file);
    config_free(config);
    config = NULL;
  }
  if (!config || worker_check_config(config, &err) < 0 ||
      scoreboard_put_config(config->text, config->text_len, &err) < 0) {
    log_event(LOG_ERROR, "configuration not loaded", LOG_S("error", err.text),
              LOG_S("serving", "the last good configuration"));
    config_free(config);
    return;
  }
  keeper->config = config;
  scoreboard_set_wishes(&(ScoreWishes){ config->workers, config->drain_ms, config->stuck_ms });
  scoreboard_raise();
  keeper_doubt_trials(keeper);
  load_all(keeper);
  publish(keeper);
  tell_restart(old, config);
  config_free(old);
  watch_all(keeper);
  log_event(LOG_INFO, "configuration loaded", LOG_S("file", config->file ? config->file : "-"));
  told(keeper);
}

void keeper_reload(Keeper *keeper)
{
  reload(keeper);
  keeper_try_suspects(); // those that are still served
}

Keeper *keeper_new(const KeeperOptions *options, Config *config, Err *err)
{
  Keeper *keeper = mem_zero(1, sizeof *keeper);
  keeper->registry = registry_open(config->data_dir, options->is_first, err);
  if (!keeper->registry) {
    mem_free(keeper);
    config_free(config);
    return NULL;
  }
  keeper->loop = options->loop;
  keeper->store = options->store;
  keeper->sources = *options->sources;
  keeper->public_port = options->public_port;
  keeper->config = config;
  keeper->watches = options->watches;
  keeper->on_change = options->on_change;
  keeper->on_publish = options->on_publish;
  keeper->context = options->context;
  keeper->book = endpoint_book_open(keeper, keeper->store, config->data_dir, err);
  if (!keeper->book) {
    registry_close(keeper->registry);
    config_free(config);
    mem_free(keeper);
    return NULL;
  }
  if (options->is_first)
    keeper_restore_suspects(keeper);
  keeper_begin_trials(keeper, options->is_first);
  load_all(keeper);
  publish(keeper);
  keeper_end_trials(keeper);
  // Not while workers run: requests under way may yet read files of the version they began with.
  if (options->is_alone)
    snapshot_sweep(config->data_dir, is_hash_used, keeper);
  watch_all(keeper);
  keeper_watch_suspects(keeper);
  return keeper;
}

void keeper_free(Keeper *keeper)
{
  unwatch(keeper);
  timer_stop(&keeper->suspects);
  timer_stop(&keeper->republish);
  registry_close(keeper->registry);
  endpoint_book_free(keeper->book);
  while (keeper->served) {
    Served *served = keeper->served;
    keeper->served = served->next;
    forget(served);
    mem_free(served->folder);
    mem_free(served->error);
    mem_free(served);
  }
  keeper_free_endpoints(keeper);
  config_free(keeper->config);
  mem_free(keeper->trial_terms);
  mem_free(keeper);
}

const Config *keeper_config(const Keeper *keeper)
{
  return keeper->config;
}
