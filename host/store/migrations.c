// The schema, version by version. A version that was released is never changed; a new one is added
// at the end. The version stands in the file's user_version, ours is told from other programs'
// files by the application_id.
#include <stdio.h>

#include "database.h"

enum { APPLICATION_ID = 0x4d6f6f6e }; // "Moon"

static const char *const migrations[] = {
  // 1: hook ids, conversations of local apps
  "CREATE TABLE hook_ids ("
  "  plugin TEXT NOT NULL, name TEXT NOT NULL, hook_id TEXT NOT NULL UNIQUE,"
  "  created_ms INTEGER NOT NULL, PRIMARY KEY (plugin, name)) WITHOUT ROWID;"
  "CREATE TABLE conversations ("
  "  number INTEGER PRIMARY KEY, app_id TEXT NOT NULL, id TEXT NOT NULL, user TEXT NOT NULL,"
  "  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, UNIQUE (app_id, id));"
  "CREATE TABLE messages ("
  "  conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,"
  "  number INTEGER NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL,"
  "  created_ms INTEGER NOT NULL, PRIMARY KEY (conversation, number)) WITHOUT ROWID;",
  // 2: plugins' storage. kind 0: session.storage, 1: session:once. expires_ms 0: never. The value
  // comes last, so that the rest of a row can be read without it.
  "CREATE TABLE storage_spaces ("
  "  number INTEGER PRIMARY KEY, plugin TEXT NOT NULL UNIQUE, used_bytes INTEGER NOT NULL);"
  "CREATE TABLE storage_items ("
  "  number INTEGER PRIMARY KEY, space INTEGER NOT NULL REFERENCES storage_spaces (number),"
  "  kind INTEGER NOT NULL, key BLOB NOT NULL, expires_ms INTEGER NOT NULL,"
  "  cost_bytes INTEGER NOT NULL, value BLOB NOT NULL, UNIQUE (space, kind, key));"
  "CREATE INDEX storage_expiry ON storage_items (space, expires_ms) WHERE expires_ms > 0;",
  // 3: endpoints made by the admin API. settings: as they were given, secrets: those of them that
  // are secret, sealed; served: what handlers get, computed with the plugin's version plugin_hash,
  // sealed when there are secrets. version counts the changes.
  "CREATE TABLE endpoints ("
  "  id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, plugin TEXT NOT NULL,"
  "  name TEXT NOT NULL, hook_id TEXT NOT NULL UNIQUE, is_enabled INTEGER NOT NULL,"
  "  settings TEXT NOT NULL, secrets TEXT NOT NULL, served TEXT NOT NULL,"
  "  plugin_hash TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL)"
  " WITHOUT ROWID;",
  // 4: what an endpoint has instead of its plugin's limits, a JSON object
  "ALTER TABLE endpoints ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';",
};

enum { NEWEST = sizeof migrations / sizeof *migrations };

static int number_of(sqlite3 *db, const char *pragma, int *number)
{
  sqlite3_stmt *statement = NULL;
  int rc = sqlite3_prepare_v2(db, pragma, -1, &statement, NULL);
  if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
    *number = sqlite3_column_int(statement, 0);
    rc = SQLITE_OK;
  }
  sqlite3_finalize(statement);
  return rc;
}

static int fail(sqlite3 *db, const char *path, const char *what, Err *err)
{
  return err_set(err, UV_EIO, "%s: %s: %s", path, what, sqlite3_errmsg(db));
}

static int migrate(sqlite3 *db, const char *path, int version, Err *err)
{
  char head[96];
  snprintf(head, sizeof head, "PRAGMA application_id = %d; PRAGMA user_version = %d",
           APPLICATION_ID, version + 1);
  if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_exec(db, migrations[version], NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_exec(db, head, NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
    return 0;
  fail(db, path, "cannot bring the database up to date", err);
  sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return UV_EIO;
}

int migrations_run(sqlite3 *db, const char *path, Err *err)
{
  int version = 0, application = 0, tables = 0;
  if (number_of(db, "PRAGMA user_version", &version) != SQLITE_OK ||
      number_of(db, "PRAGMA application_id", &application) != SQLITE_OK ||
      number_of(db, "SELECT count(*) FROM sqlite_schema", &tables) != SQLITE_OK)
    return fail(db, path, "cannot read the database", err);
  if (application != APPLICATION_ID && (application != 0 || version != 0 || tables != 0))
    return err_set(err, UV_EINVAL, "%s: the database belongs to another program", path);
  if (version > NEWEST || version < 0)
    return err_set(err, UV_EINVAL, "%s: database is v%d, this binary supports up to v%d", path,
                   version, NEWEST);
  for (; version < NEWEST; version++) {
    int rc = migrate(db, path, version, err);
    if (rc < 0)
      return rc;
  }
  return 0;
}
