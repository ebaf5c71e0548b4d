// See registry.h. WAL, so that a reader never waits; synchronous=NORMAL, so that a power cut may
// take the last changes, which the keeper's next start writes again.
#include "registry.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "../base/memory.h"
#include "registry_parts.h"
#include "statement.h"

enum { SCHEMA = 2, BUSY_MS = 2000 };

static const char schema[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('version', 0), ('pruned', 0);"
    "CREATE TABLE plugins (id TEXT PRIMARY KEY, version INTEGER NOT NULL, is_gone INTEGER NOT NULL,"
    " dir TEXT NOT NULL, hash TEXT NOT NULL, folder TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE endpoints (hook_id TEXT PRIMARY KEY, version INTEGER NOT NULL,"
    " is_gone INTEGER NOT NULL, name TEXT NOT NULL, plugin TEXT NOT NULL, settings TEXT NOT NULL,"
    " is_enabled INTEGER NOT NULL, limits TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX plugin_versions ON plugins (version);"
    "CREATE INDEX endpoint_versions ON endpoints (version);"
    "CREATE INDEX plugin_tombstones ON plugins (id) WHERE is_gone;"
    "CREATE INDEX endpoint_tombstones ON endpoints (hook_id) WHERE is_gone;";

static const char *const statements[STATEMENT_COUNT] = {
  [PUT_PLUGIN] = "INSERT INTO plugins (id, version, is_gone, dir, hash, folder)"
                 " VALUES (?1, ?2, 0, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET version = ?2,"
                 " is_gone = 0, dir = ?3, hash = ?4, folder = ?5"
                 " WHERE is_gone OR dir <> ?3 OR hash <> ?4 OR folder <> ?5",
  [PUT_ENDPOINT] =
      "INSERT INTO endpoints (hook_id, version, is_gone, name, plugin, settings, is_enabled, "
      "limits)"
      " VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hook_id) DO UPDATE SET version = ?2,"
      " is_gone = 0, name = ?3, plugin = ?4, settings = ?5, is_enabled = ?6, limits = ?7"
      " WHERE is_gone OR name <> ?3 OR plugin <> ?4 OR settings <> ?5 OR is_enabled <> ?6"
      " OR limits <> ?7",
  [DROP_PLUGIN] = "UPDATE plugins SET version = ?2, is_gone = 1, dir = '', hash = ''"
                  " WHERE id = ?1 AND NOT is_gone",
  [DROP_ENDPOINT] = "UPDATE endpoints SET version = ?2, is_gone = 1, settings = ''"
                    " WHERE hook_id = ?1 AND NOT is_gone",
  [LIST_PLUGINS] = "SELECT id FROM plugins WHERE NOT is_gone",
  [LIST_ENDPOINTS] = "SELECT hook_id FROM endpoints WHERE NOT is_gone",
  [HAS_PLUGIN] = "SELECT 1 FROM plugins WHERE id = ?1 AND hash = ?2 AND NOT is_gone",
  [FIND_FOLDER] = "SELECT dir, hash FROM plugins WHERE folder = ?1 AND NOT is_gone",
  [FIND_SETTINGS] = "SELECT settings FROM endpoints WHERE hook_id = ?1 AND NOT is_gone",
  [READ_PLUGINS] = "SELECT id, is_gone, dir, hash, folder FROM plugins WHERE version > ?1",
  [READ_ENDPOINTS] = "SELECT hook_id, is_gone, name, plugin, settings, is_enabled, limits"
                     " FROM endpoints WHERE version > ?1",
  [READ_META] = "SELECT value FROM meta WHERE name = ?1",
  [WRITE_META] = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
};

// --- statements ----------------------------------------------------------------------------------

sqlite3_stmt *registry_statement(Registry *registry, StatementName name)
{
  return statement_get(registry->db, statements, registry->statements, name);
}

int registry_done(Registry *registry, sqlite3_stmt *stmt, int rc)
{
  statement_done(stmt);
  if (rc != SQLITE_DONE && rc != SQLITE_ROW && registry->failure.code == 0)
    err_set(&registry->failure, UV_EIO, "registry: %s", sqlite3_errmsg(registry->db));
  return rc;
}

void registry_execute(Registry *registry, const char *sql)
{
  if (registry->failure.code == 0 && sqlite3_exec(registry->db, sql, NULL, NULL, NULL) != SQLITE_OK)
    err_set(&registry->failure, UV_EIO, "registry: %s", sqlite3_errmsg(registry->db));
}

int64_t registry_meta(Registry *registry, const char *name)
{
  sqlite3_stmt *stmt = registry_statement(registry, READ_META);
  int64_t value = 0;
  int rc;
  bind_string(stmt, 1, name);
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW)
    value = sqlite3_column_int64(stmt, 0);
  registry_done(registry, stmt, rc);
  return value;
}

void registry_set_meta(Registry *registry, const char *name, int64_t value)
{
  sqlite3_stmt *stmt = registry_statement(registry, WRITE_META);
  bind_string(stmt, 1, name);
  sqlite3_bind_int64(stmt, 2, value);
  registry_done(registry, stmt, sqlite3_step(stmt));
}

// --- opening -------------------------------------------------------------------------------------

void registry_close(Registry *registry)
{
  if (!registry)
    return;
  statements_finalize(registry->statements, STATEMENT_COUNT);
  sqlite3_close(registry->db);
  registry_keys_free(&registry->plugins);
  registry_keys_free(&registry->endpoints);
  mem_free(registry);
}

static int user_version(sqlite3 *db)
{
  sqlite3_stmt *stmt = NULL;
  int version = -1;
  if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW)
    version = sqlite3_column_int(stmt, 0);
  sqlite3_finalize(stmt);
  return version;
}

static Registry *open_file(const char *path, bool may_create, Err *err)
{
  Registry *registry = mem_zero(1, sizeof *registry);
  int rc = SQLITE_OK;
  if (may_create) { // before SQLite does, so that nobody else can ever read it
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
      close(fd);
  }
  rc = sqlite3_open_v2(path, &registry->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  sqlite3_busy_timeout(registry->db, BUSY_MS);
  if (rc == SQLITE_OK)
    rc = sqlite3_exec(registry->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", NULL,
                      NULL, NULL);
  if (rc == SQLITE_OK && may_create && user_version(registry->db) == 0) {
    registry_execute(registry, "BEGIN IMMEDIATE");
    registry_execute(registry, schema);
    registry_execute(registry, "PRAGMA user_version = 2; COMMIT");
  }
  if (rc == SQLITE_OK && user_version(registry->db) != SCHEMA)
    err_set(&registry->failure, UV_EINVAL, "registry: another version's file");
  if (rc == SQLITE_OK && registry->failure.code == 0 && may_create)
    rc = statements_prepare(registry->db, statements, registry->statements, STATEMENT_COUNT);
  if (rc == SQLITE_OK && registry->failure.code == 0)
    return registry;
  err_set(err, UV_EIO, "%s: %s", path,
          registry->failure.code ? registry->failure.text : sqlite3_errmsg(registry->db));
  registry_close(registry);
  return NULL;
}

static void remove_file(const char *path)
{
  static const char *const ends[] = { "", "-wal", "-shm" };
  size_t i;
  for (i = 0; i < 3; i++) {
    Buffer name = { 0 };
    buffer_printf(&name, "%s%s", path, ends[i]);
    unlink(name.bytes);
    buffer_free(&name);
  }
}

Registry *registry_open(const char *data_dir, bool is_first, Err *err)
{
  Buffer path = { 0 };
  Registry *registry;
  buffer_printf(&path, "%s/registry.db", data_dir);
  registry = open_file(path.bytes, true, err);
  if (!registry && is_first) {
    remove_file(path.bytes);
    registry = open_file(path.bytes, true, err);
  }
  buffer_free(&path);
  return registry;
}

Registry *registry_follow(const char *data_dir, Err *err)
{
  Buffer path = { 0 };
  Registry *registry;
  buffer_printf(&path, "%s/registry.db", data_dir);
  registry = open_file(path.bytes, false, err);
  buffer_free(&path);
  return registry;
}

// --- what is served already ---------------------------------------------------------------------

bool registry_has_plugin(Registry *registry, const char *id, const char *hash)
{
  sqlite3_stmt *stmt = registry_statement(registry, HAS_PLUGIN);
  int rc;
  bind_string(stmt, 1, id);
  bind_string(stmt, 2, hash);
  rc = sqlite3_step(stmt);
  registry_done(registry, stmt, rc);
  return rc == SQLITE_ROW;
}

void registry_find_folder(Registry *registry, const char *folder, char **dir, char **hash)
{
  sqlite3_stmt *stmt = registry_statement(registry, FIND_FOLDER);
  int rc;
  *dir = *hash = NULL;
  bind_string(stmt, 1, folder);
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    *dir = mem_string((const char *)sqlite3_column_text(stmt, 0));
    *hash = mem_string((const char *)sqlite3_column_text(stmt, 1));
  }
  registry_done(registry, stmt, rc);
}

int registry_keep(Registry *registry, const char *name, const char *kept, Err *err)
{
  sqlite3_stmt *stmt = registry_statement(registry, WRITE_META);
  registry->failure.code = 0;
  bind_string(stmt, 1, name);
  bind_string(stmt, 2, kept);
  registry_done(registry, stmt, sqlite3_step(stmt));
  return registry->failure.code ? err_set(err, registry->failure.code, "%s", registry->failure.text)
                                : 0;
}

// The text that a statement finds by its one key; the caller's; NULL: none.
static char *find_text(Registry *registry, StatementName name, const char *key)
{
  sqlite3_stmt *stmt = registry_statement(registry, name);
  char *found = NULL;
  int rc;
  bind_string(stmt, 1, key);
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW && sqlite3_column_text(stmt, 0))
    found = mem_string((const char *)sqlite3_column_text(stmt, 0));
  registry_done(registry, stmt, rc);
  return found;
}

char *registry_find_settings(Registry *registry, const char *hook_id)
{
  return find_text(registry, FIND_SETTINGS, hook_id);
}

char *registry_kept(Registry *registry, const char *name)
{
  return find_text(registry, READ_META, name);
}

// --- reading -------------------------------------------------------------------------------------

static const char *text(sqlite3_stmt *stmt, int column)
{
  const char *value = (const char *)sqlite3_column_text(stmt, column);
  return value ? value : "";
}

static void read_plugins(Registry *registry, int64_t since, const RegistryReader *reader,
                         void *context)
{
  sqlite3_stmt *stmt = registry_statement(registry, READ_PLUGINS);
  int rc;
  sqlite3_bind_int64(stmt, 1, since);
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    RegistryPlugin plugin = { text(stmt, 0), text(stmt, 2), text(stmt, 3), text(stmt, 4) };
    reader->on_plugin(context, &plugin, sqlite3_column_int(stmt, 1) != 0);
  }
  registry_done(registry, stmt, rc);
}

static void read_endpoints(Registry *registry, int64_t since, const RegistryReader *reader,
                           void *context)
{
  sqlite3_stmt *stmt = registry_statement(registry, READ_ENDPOINTS);
  int rc;
  sqlite3_bind_int64(stmt, 1, since);
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    RegistryEndpoint endpoint = {
      text(stmt, 0), text(stmt, 2), text(stmt, 3), text(stmt, 4), sqlite3_column_int(stmt, 5) != 0,
      text(stmt, 6)
    };
    reader->on_endpoint(context, &endpoint, sqlite3_column_int(stmt, 1) != 0);
  }
  registry_done(registry, stmt, rc);
}

int registry_read(Registry *registry, uint64_t *version, const RegistryReader *reader,
                  void *context, Err *err)
{
  int64_t newest = 0, since = (int64_t)*version;
  registry->failure.code = 0;
  registry_execute(registry, "BEGIN"); // one moment for all of it
  if (registry->failure.code == 0) {
    newest = registry_meta(registry, "version");
    if (since > 0 && (since < registry_meta(registry, "pruned") || since > newest)) {
      reader->on_all(context);
      since = 0;
    }
    if (newest != since) {
      read_plugins(registry, since, reader, context);
      read_endpoints(registry, since, reader, context);
    }
    registry_execute(registry, "COMMIT");
  }
  if (!sqlite3_get_autocommit(registry->db))
    sqlite3_exec(registry->db, "ROLLBACK", NULL, NULL, NULL);
  if (registry->failure.code != 0)
    return err_set(err, registry->failure.code, "%s", registry->failure.text);
  *version = (uint64_t)newest;
  return 0;
}
