// See registry.h. A transaction counts what it changes: rows that are put as they were are none.
#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "registry_parts.h"
#include "statement.h"

enum { MAX_TOMBSTONES = 1000 };

// --- keys that were put --------------------------------------------------------------------------

static void keys_add(RegistryKeys *keys, const char *key)
{
  if (keys->count == keys->cap) {
    keys->cap = keys->cap ? keys->cap * 2 : 16;
    keys->items = mem_resize(keys->items, keys->cap * sizeof *keys->items);
  }
  keys->items[keys->count++] = mem_string(key);
}

void registry_keys_free(RegistryKeys *keys)
{
  while (keys->count > 0)
    mem_free(keys->items[--keys->count]);
  mem_free(keys->items);
  *keys = (RegistryKeys){ 0 };
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool keys_have(const RegistryKeys *keys, const char *key)
{
  return keys->count > 0 &&
         bsearch(&key, keys->items, keys->count, sizeof *keys->items, by_text) != NULL;
}

// --- writing -------------------------------------------------------------------------------------

static void run(Registry *registry, sqlite3_stmt *stmt)
{
  if (registry->failure.code == 0 &&
      registry_done(registry, stmt, sqlite3_step(stmt)) == SQLITE_DONE)
    registry->changes += (uint32_t)sqlite3_changes(registry->db);
}

static void prune(Registry *registry)
{
  registry_set_meta(registry, "pruned", registry->version);
  registry_execute(registry,
                   "DELETE FROM plugins WHERE is_gone; DELETE FROM endpoints WHERE is_gone");
}

void registry_begin(Registry *registry)
{
  registry->failure.code = 0;
  registry->changes = 0;
  registry_keys_free(&registry->plugins);
  registry_keys_free(&registry->endpoints);
  registry_execute(registry, "BEGIN IMMEDIATE");
  registry->version = registry->failure.code == 0 ? registry_meta(registry, "version") + 1 : 0;
}

void registry_put_plugin(Registry *registry, const RegistryPlugin *plugin)
{
  sqlite3_stmt *stmt = registry_statement(registry, PUT_PLUGIN);
  keys_add(&registry->plugins, plugin->id);
  bind_string(stmt, 1, plugin->id);
  sqlite3_bind_int64(stmt, 2, registry->version);
  bind_string(stmt, 3, plugin->dir);
  bind_string(stmt, 4, plugin->hash);
  bind_string(stmt, 5, plugin->folder);
  run(registry, stmt);
}

void registry_put_endpoint(Registry *registry, const RegistryEndpoint *endpoint)
{
  sqlite3_stmt *stmt = registry_statement(registry, PUT_ENDPOINT);
  keys_add(&registry->endpoints, endpoint->hook_id);
  bind_string(stmt, 1, endpoint->hook_id);
  sqlite3_bind_int64(stmt, 2, registry->version);
  bind_string(stmt, 3, endpoint->name);
  bind_string(stmt, 4, endpoint->plugin);
  bind_string(stmt, 5, endpoint->settings);
  sqlite3_bind_int(stmt, 6, endpoint->is_enabled);
  bind_string(stmt, 7, endpoint->limits);
  run(registry, stmt);
}

static void drop(Registry *registry, StatementName name, const char *key)
{
  sqlite3_stmt *stmt = registry_statement(registry, name);
  bind_string(stmt, 1, key);
  sqlite3_bind_int64(stmt, 2, registry->version);
  run(registry, stmt);
}

void registry_remove_endpoint(Registry *registry, const char *hook_id)
{
  drop(registry, DROP_ENDPOINT, hook_id);
}

static void drop_others(Registry *registry, RegistryKeys *put, StatementName list,
                        StatementName remove)
{
  sqlite3_stmt *stmt = registry_statement(registry, list);
  RegistryKeys others = { 0 };
  size_t i;
  int rc;
  if (registry->failure.code != 0)
    return;
  if (put->count > 0)
    qsort(put->items, put->count, sizeof *put->items, by_text);
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *key = (const char *)sqlite3_column_text(stmt, 0);
    if (!keys_have(put, key))
      keys_add(&others, key);
  }
  registry_done(registry, stmt, rc);
  for (i = 0; i < others.count; i++)
    drop(registry, remove, others.items[i]);
  registry_keys_free(&others);
}

void registry_remove_others(Registry *registry)
{
  drop_others(registry, &registry->plugins, LIST_PLUGINS, DROP_PLUGIN);
  drop_others(registry, &registry->endpoints, LIST_ENDPOINTS, DROP_ENDPOINT);
}

// Tombstones are kept for readers that have not seen them; one who is far behind reads everything.
static bool has_many_tombstones(Registry *registry)
{
  sqlite3_stmt *stmt = NULL;
  bool has_many = false;
  if (sqlite3_prepare_v2(registry->db,
                         "SELECT (SELECT count(*) FROM endpoints WHERE is_gone)"
                         " + (SELECT count(*) FROM plugins WHERE is_gone)",
                         -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW)
    has_many = sqlite3_column_int(stmt, 0) > MAX_TOMBSTONES;
  sqlite3_finalize(stmt);
  return has_many;
}

int registry_commit(Registry *registry, bool *is_changed, Err *err)
{
  *is_changed = registry->changes > 0;
  if (registry->failure.code == 0 && *is_changed) {
    registry_set_meta(registry, "version", registry->version);
    if (has_many_tombstones(registry))
      prune(registry);
  }
  registry_execute(registry, "COMMIT");
  if (registry->failure.code == 0)
    return 0;
  if (!sqlite3_get_autocommit(registry->db))
    sqlite3_exec(registry->db, "ROLLBACK", NULL, NULL, NULL);
  *is_changed = false;
  return err_set(err, registry->failure.code, "%s", registry->failure.text);
}
