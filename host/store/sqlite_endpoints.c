// See database.h and endpoints.h: the rows of endpoints.
#include "../base/memory.h"
#include "database.h"
#include "endpoints.h"
#include "statement.h"

typedef enum {
  READ_ALL,
  READ_VERSION,
  FIND_HOOK,
  INSERT,
  UPDATE,
  REMOVE,
  STATEMENT_COUNT
} StatementName;

static const char *const statements[STATEMENT_COUNT] = {
  [READ_ALL] = "SELECT id, version, plugin, name, hook_id, is_enabled, settings, secrets, served,"
               " plugin_hash, created_ms, updated_ms, limits FROM endpoints ORDER BY id",
  [READ_VERSION] = "SELECT version FROM endpoints WHERE id = ?1",
  [FIND_HOOK] = "SELECT 1 FROM endpoints WHERE hook_id = ?1 AND id <> ?2"
                " UNION ALL SELECT 1 FROM hook_ids WHERE hook_id = ?1",
  [INSERT] = "INSERT INTO endpoints (id, version, plugin, name, hook_id, is_enabled, settings,"
             " secrets, served, plugin_hash, created_ms, updated_ms, limits)"
             " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
  [UPDATE] = "UPDATE endpoints SET version = ?2, plugin = ?3, name = ?4, hook_id = ?5,"
             " is_enabled = ?6, settings = ?7, secrets = ?8, served = ?9, plugin_hash = ?10,"
             " created_ms = ?11, updated_ms = ?12, limits = ?13 WHERE id = ?1",
  [REMOVE] = "DELETE FROM endpoints WHERE id = ?1",
};

struct EndpointRows {
  sqlite3 *db;
  sqlite3_stmt *statements[STATEMENT_COUNT];
};

EndpointRows *endpoint_rows_open(sqlite3 *db)
{
  EndpointRows *rows = mem_zero(1, sizeof *rows);
  rows->db = db;
  return rows;
}

int endpoint_rows_check(EndpointRows *rows)
{
  return statements_prepare(rows->db, statements, rows->statements, STATEMENT_COUNT);
}

static sqlite3_stmt *statement(EndpointRows *rows, StatementName name)
{
  return statement_get(rows->db, statements, rows->statements, name);
}

void endpoint_rows_close(EndpointRows *rows)
{
  if (!rows)
    return;
  statements_finalize(rows->statements, STATEMENT_COUNT);
  mem_free(rows);
}

static int fail(const EndpointRows *rows, const char *what, Err *err)
{
  return database_failure(rows->db, what, err);
}

// --- reading -------------------------------------------------------------------------------------

static char *text_at(sqlite3_stmt *stmt, int column)
{
  const void *text = sqlite3_column_text(stmt, column);
  return mem_bytes(text ? text : "", (size_t)sqlite3_column_bytes(stmt, column));
}

static void take_row(sqlite3_stmt *stmt, StoredEndpoint *endpoint)
{
  *endpoint = (StoredEndpoint){
    .id = text_at(stmt, 0),
    .version = (uint64_t)sqlite3_column_int64(stmt, 1),
    .plugin = text_at(stmt, 2),
    .name = text_at(stmt, 3),
    .hook_id = text_at(stmt, 4),
    .is_enabled = sqlite3_column_int(stmt, 5) != 0,
    .settings = text_at(stmt, 6),
    .secrets = text_at(stmt, 7),
    .served = text_at(stmt, 8),
    .plugin_hash = text_at(stmt, 9),
    .created_ms = (uint64_t)sqlite3_column_int64(stmt, 10),
    .updated_ms = (uint64_t)sqlite3_column_int64(stmt, 11),
    .limits = text_at(stmt, 12),
  };
}

int endpoint_rows_read(EndpointRows *rows, StoredEndpoint **list, uint32_t *count, Err *err)
{
  sqlite3_stmt *read = statement(rows, READ_ALL);
  uint32_t room = 0;
  int rc;
  while ((rc = sqlite3_step(read)) == SQLITE_ROW) {
    if (*count == room) {
      room = room ? room * 2 : 64;
      *list = mem_resize(*list, room * sizeof **list);
    }
    take_row(read, &(*list)[(*count)++]);
  }
  if (rc != SQLITE_DONE)
    rc = fail(rows, "cannot read the endpoints", err);
  else
    rc = 0;
  statement_done(read);
  return rc;
}

// --- writing -------------------------------------------------------------------------------------

// `*version`: of the row, 0 when there is none.
static int read_version(EndpointRows *rows, const char *id, uint64_t *version, Err *err)
{
  sqlite3_stmt *read = statement(rows, READ_VERSION);
  int rc;
  *version = 0;
  bind_string(read, 1, id);
  rc = sqlite3_step(read);
  if (rc == SQLITE_ROW)
    *version = (uint64_t)sqlite3_column_int64(read, 0);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE)
    rc = fail(rows, "cannot read an endpoint", err);
  else
    rc = 0;
  statement_done(read);
  return rc;
}

static int is_taken(EndpointRows *rows, const StoredEndpoint *endpoint, bool *is, Err *err)
{
  sqlite3_stmt *find = statement(rows, FIND_HOOK);
  int rc;
  bind_string(find, 1, endpoint->hook_id);
  bind_string(find, 2, endpoint->id);
  rc = sqlite3_step(find);
  *is = rc == SQLITE_ROW;
  if (rc != SQLITE_ROW && rc != SQLITE_DONE)
    rc = fail(rows, "cannot read the hook ids", err);
  else
    rc = 0;
  statement_done(find);
  return rc;
}

static int write_row(EndpointRows *rows, sqlite3_stmt *put, const StoredEndpoint *endpoint,
                     Err *err)
{
  int rc;
  bind_string(put, 1, endpoint->id);
  sqlite3_bind_int64(put, 2, (int64_t)endpoint->version);
  bind_string(put, 3, endpoint->plugin);
  bind_string(put, 4, endpoint->name);
  bind_string(put, 5, endpoint->hook_id);
  sqlite3_bind_int(put, 6, endpoint->is_enabled);
  bind_string(put, 7, endpoint->settings);
  bind_string(put, 8, endpoint->secrets);
  bind_string(put, 9, endpoint->served);
  bind_string(put, 10, endpoint->plugin_hash);
  sqlite3_bind_int64(put, 11, (int64_t)endpoint->created_ms);
  sqlite3_bind_int64(put, 12, (int64_t)endpoint->updated_ms);
  bind_string(put, 13, endpoint->limits);
  rc = sqlite3_step(put) == SQLITE_DONE ? 0 : fail(rows, "cannot write an endpoint", err);
  statement_done(put);
  return rc;
}

int endpoint_rows_put(EndpointRows *rows, const StoredEndpoint *endpoint, int *refusal, Err *err)
{
  uint64_t version;
  bool is_used = false;
  int rc = read_version(rows, endpoint->id, &version, err);
  if (rc == 0)
    rc = is_taken(rows, endpoint, &is_used, err);
  if (rc < 0)
    return rc;
  if (is_used)
    *refusal = UV_EEXIST;
  else if (version == 0 && endpoint->version > 1)
    *refusal = UV_ENOENT;
  else if (version != endpoint->version - 1)
    *refusal = UV_EAGAIN;
  if (*refusal)
    return 0;
  return write_row(rows, statement(rows, version ? UPDATE : INSERT), endpoint, err);
}

int endpoint_rows_remove(EndpointRows *rows, const char *id, uint64_t version, int *refusal,
                         Err *err)
{
  sqlite3_stmt *remove = statement(rows, REMOVE);
  uint64_t found;
  int rc = read_version(rows, id, &found, err);
  if (rc < 0)
    return rc;
  if (found != version) {
    *refusal = found == 0 ? UV_ENOENT : UV_EAGAIN;
    return 0;
  }
  bind_string(remove, 1, id);
  rc = sqlite3_step(remove) == SQLITE_DONE ? 0 : fail(rows, "cannot remove an endpoint", err);
  statement_done(remove);
  return rc;
}
