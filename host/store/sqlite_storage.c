// See storage_parts.h: the statements, and what only reads.
#include "storage_parts.h"

#include "../base/memory.h"

#define LIVES " (i.expires_ms = 0 OR i.expires_ms > ?1) "

static const char *const statements[STATEMENT_COUNT] = {
  [FIND_SPACE] = "SELECT number, used_bytes FROM storage_spaces WHERE plugin = ?1",
  [PUT_SPACE] = "INSERT INTO storage_spaces (plugin, used_bytes) VALUES (?1, 0)",
  [ADD_USED] = "UPDATE storage_spaces SET used_bytes = used_bytes + ?2 WHERE number = ?1",
  [SUM_USED] = "SELECT coalesce(sum(used_bytes), 0) FROM storage_spaces",
  [FIND_ITEM] = "SELECT number, cost_bytes, expires_ms FROM storage_items"
                " WHERE space = ?1 AND kind = ?2 AND key = ?3",
  [PUT_ITEM] = "INSERT INTO storage_items (space, kind, key, expires_ms, cost_bytes, value)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
  [CHANGE_ITEM] = "UPDATE storage_items SET expires_ms = ?2, cost_bytes = ?3, value = ?4"
                  " WHERE number = ?1",
  [REMOVE_ITEM] = "DELETE FROM storage_items WHERE number = ?1",
  [READ_VALUE] = "SELECT value FROM storage_items WHERE number = ?1",
  [READ_ITEM] = "SELECT i.value FROM storage_spaces s"
                " JOIN storage_items i ON i.space = s.number"
                " WHERE s.plugin = ?2 AND i.kind = 0 AND i.key = ?3 AND" LIVES,
  [FIND_LIVE] = "SELECT 1 FROM storage_spaces s JOIN storage_items i ON i.space = s.number"
                " WHERE s.plugin = ?2 AND i.kind = 0 AND i.key = ?3 AND" LIVES,
  [LIST_KEYS] = "SELECT i.key FROM storage_spaces s JOIN storage_items i ON i.space = s.number"
                " WHERE s.plugin = ?2 AND i.kind = 0 AND i.key >= ?3 AND i.key < ?4 AND" LIVES
                " ORDER BY i.key LIMIT ?5",
  // Space by space, as the index has them. ?3: of this space, or NULL: of all.
  [FIND_EXPIRED] = "SELECT i.number, i.space, i.cost_bytes FROM storage_spaces s"
                   " CROSS JOIN storage_items i ON i.space = s.number"
                   " WHERE (?3 IS NULL OR s.number = ?3)"
                   " AND i.expires_ms > 0 AND i.expires_ms <= ?1 LIMIT ?2",
  [NEXT_EXPIRY] = "SELECT min((SELECT min(expires_ms) FROM storage_items"
                  " WHERE space = s.number AND expires_ms > 0)) FROM storage_spaces s",
};

// --- statements ----------------------------------------------------------------------------------

Storage *storage_open(sqlite3 *db)
{
  Storage *storage = mem_zero(1, sizeof *storage);
  storage->db = db;
  return storage;
}

int storage_check(Storage *storage)
{
  return statements_prepare(storage->db, statements, storage->statements, STATEMENT_COUNT);
}

sqlite3_stmt *storage_statement(Storage *storage, StatementName name)
{
  return statement_get(storage->db, statements, storage->statements, name);
}

void storage_close(Storage *storage)
{
  if (!storage)
    return;
  statements_finalize(storage->statements, STATEMENT_COUNT);
  mem_free(storage);
}

int storage_failure(Storage *storage, Err *err)
{
  return database_failure(storage->db, "the plugins' storage", err);
}

void bind_bytes(sqlite3_stmt *stmt, int at, Span bytes)
{
  sqlite3_bind_blob64(stmt, at, bytes.at ? bytes.at : "", bytes.len, SQLITE_STATIC);
}

Span column_bytes(sqlite3_stmt *stmt, int column)
{
  Span bytes;
  bytes.at = sqlite3_column_blob(stmt, column);
  bytes.len = (size_t)sqlite3_column_bytes(stmt, column);
  return bytes;
}

int statement_run(Storage *storage, sqlite3_stmt *stmt, Err *err)
{
  int rc = sqlite3_step(stmt);
  statement_done(stmt);
  return rc == SQLITE_DONE ? 0 : storage_failure(storage, err);
}

int statement_step(Storage *storage, sqlite3_stmt *stmt, bool *has_row, Err *err)
{
  int rc = sqlite3_step(stmt);
  *has_row = rc == SQLITE_ROW;
  if (rc == SQLITE_ROW || rc == SQLITE_DONE)
    return 0;
  statement_done(stmt);
  return storage_failure(storage, err);
}

int compare_bytes(Span a, Span b)
{
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len ? memcmp(a.at, b.at, len) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

// --- reading -------------------------------------------------------------------------------------

static int read_item(Storage *storage, const StorageRequest *request, uint64_t now_ms,
                     StorageResult *result, Err *err)
{
  bool wants_value = request->verb == STORAGE_GET;
  sqlite3_stmt *read = storage_statement(storage, wants_value ? READ_ITEM : FIND_LIVE);
  int code;
  sqlite3_bind_int64(read, 1, (int64_t)now_ms);
  bind_string(read, 2, request->plugin);
  bind_bytes(read, 3, request->key);
  code = statement_step(storage, read, &result->found, err);
  if (code < 0)
    return code;
  if (result->found && wants_value) {
    Span value = column_bytes(read, 0);
    buffer_append(&result->value, value.at, value.len);
  }
  statement_done(read);
  return 0;
}

// Keys begin with the prefix when they are >= it and < its successor: the prefix with its last byte
// that is not 0xff raised by one. Where there is no such byte, one that no key can reach.
static void put_successor(Buffer *bytes, Span prefix)
{
  size_t i;
  while (prefix.len > 0 && (unsigned char)prefix.at[prefix.len - 1] == 0xff)
    prefix.len--;
  if (prefix.len == 0) {
    for (i = 0; i <= STORAGE_KEY_BYTES; i++)
      buffer_char(bytes, '\xff');
    return;
  }
  buffer_append(bytes, prefix.at, prefix.len);
  bytes->bytes[bytes->len - 1] = (char)((unsigned char)bytes->bytes[bytes->len - 1] + 1);
}

static void put_key(StorageResult *result, Span key)
{
  uint16_t len = (uint16_t)key.len;
  buffer_append(&result->keys, &len, sizeof len);
  buffer_append(&result->keys, key.at, key.len);
  result->count++;
}

static int list_keys(Storage *storage, const StorageRequest *request, uint64_t now_ms,
                     StorageResult *result, Err *err)
{
  sqlite3_stmt *list = storage_statement(storage, LIST_KEYS);
  Buffer from = { 0 }, to = { 0 };
  int rc;
  if (request->after.at && compare_bytes(request->after, request->key) >= 0) {
    buffer_append(&from, request->after.at, request->after.len);
    buffer_char(&from, '\0'); // the next key there can be
  } else {
    buffer_append(&from, request->key.at, request->key.len);
  }
  put_successor(&to, request->key);
  sqlite3_bind_int64(list, 1, (int64_t)now_ms);
  bind_string(list, 2, request->plugin);
  bind_bytes(list, 3, (Span){ from.bytes, from.len });
  bind_bytes(list, 4, (Span){ to.bytes, to.len });
  sqlite3_bind_int64(list, 5, (int64_t)request->limit + 1);
  while ((rc = sqlite3_step(list)) == SQLITE_ROW) {
    if (result->count == request->limit)
      result->has_more = true;
    else
      put_key(result, column_bytes(list, 0));
  }
  statement_done(list);
  buffer_free(&from);
  buffer_free(&to);
  return rc == SQLITE_DONE ? 0 : storage_failure(storage, err);
}

int storage_run(Storage *storage, const StorageRequest *request, uint64_t now_ms,
                StorageResult *result, Err *err)
{
  if (request->verb == STORAGE_GET || request->verb == STORAGE_EXIST)
    return read_item(storage, request, now_ms, result, err);
  if (request->verb == STORAGE_LIST)
    return list_keys(storage, request, now_ms, result, err);
  return storage_write(storage, request, now_ms, result, err);
}
