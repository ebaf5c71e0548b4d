// See storage_parts.h. A plugin's items stand in a space; the space's used_bytes is the sum of
// their costs, changed together with them, so that the quota is checked before anything is written.
// An expired item is not there for anybody, but is paid for until it is removed: by the sweep, by
// whoever writes that key, or when room is short.
#include <stdio.h>

#include "../base/memory.h"
#include "storage_parts.h"

enum { ROOM_SWEEP_ITEMS = 10000 };

int storage_add_used(Storage *storage, int64_t space, int64_t bytes, Err *err)
{
  sqlite3_stmt *add = storage_statement(storage, ADD_USED);
  sqlite3_bind_int64(add, 1, space);
  sqlite3_bind_int64(add, 2, bytes);
  return statement_run(storage, add, err);
}

int storage_remove(Storage *storage, int64_t space, int64_t item, int64_t cost_bytes, Err *err)
{
  sqlite3_stmt *remove = storage_statement(storage, REMOVE_ITEM);
  int code;
  sqlite3_bind_int64(remove, 1, item);
  code = statement_run(storage, remove, err);
  return code < 0 ? code : storage_add_used(storage, space, -cost_bytes, err);
}

// Finds the plugin's space, or makes it.
static int find_space(Storage *storage, const char *plugin, Place *place, Err *err)
{
  sqlite3_stmt *find = storage_statement(storage, FIND_SPACE),
               *put = storage_statement(storage, PUT_SPACE);
  bool has_row;
  int code;
  bind_string(find, 1, plugin);
  code = statement_step(storage, find, &has_row, err);
  if (code < 0)
    return code;
  if (has_row) {
    place->space = sqlite3_column_int64(find, 0);
    place->used_bytes = sqlite3_column_int64(find, 1);
  }
  statement_done(find);
  if (has_row)
    return 0;
  bind_string(put, 1, plugin);
  code = statement_run(storage, put, err);
  place->space = sqlite3_last_insert_rowid(storage->db);
  return code;
}

int storage_find(Storage *storage, const StorageRequest *request, int kind, uint64_t now_ms,
                 Place *place, Err *err)
{
  sqlite3_stmt *find = storage_statement(storage, FIND_ITEM);
  bool has_row;
  int code = find_space(storage, request->plugin, place, err);
  if (code < 0)
    return code;
  sqlite3_bind_int64(find, 1, place->space);
  sqlite3_bind_int(find, 2, kind);
  bind_bytes(find, 3, request->key);
  code = statement_step(storage, find, &has_row, err);
  if (code < 0)
    return code;
  if (has_row) {
    place->item = sqlite3_column_int64(find, 0);
    place->cost_bytes = sqlite3_column_int64(find, 1);
    place->expires_ms = sqlite3_column_int64(find, 2);
  }
  statement_done(find);
  if (!has_row || place->expires_ms == 0 || place->expires_ms > (int64_t)now_ms)
    return 0;
  code = storage_remove(storage, place->space, place->item, place->cost_bytes, err); // expired
  *place = (Place){ .space = place->space, .used_bytes = place->used_bytes - place->cost_bytes };
  return code;
}

// Removes expired items, of one space or (0) of all, and counts the bytes that became free.
static int remove_expired(Storage *storage, int64_t space, uint64_t now_ms, uint32_t limit,
                          int64_t *freed_bytes, Err *err)
{
  sqlite3_stmt *find = storage_statement(storage, FIND_EXPIRED);
  struct {
    int64_t item, space, cost_bytes;
  } *items = mem_alloc(limit * sizeof *items);
  uint32_t count = 0, i;
  int code = 0, rc;
  sqlite3_bind_int64(find, 1, (int64_t)now_ms);
  sqlite3_bind_int64(find, 2, limit);
  if (space)
    sqlite3_bind_int64(find, 3, space);
  while ((rc = sqlite3_step(find)) == SQLITE_ROW && count < limit) {
    items[count].item = sqlite3_column_int64(find, 0);
    items[count].space = sqlite3_column_int64(find, 1);
    items[count++].cost_bytes = sqlite3_column_int64(find, 2);
  }
  statement_done(find);
  if (rc != SQLITE_DONE)
    code = storage_failure(storage, err);
  *freed_bytes = 0;
  for (i = 0; i < count && code == 0; i++) {
    code = storage_remove(storage, items[i].space, items[i].item, items[i].cost_bytes, err);
    *freed_bytes += items[i].cost_bytes;
  }
  mem_free(items);
  return code;
}

static int total_used(Storage *storage, int64_t *bytes, Err *err)
{
  sqlite3_stmt *sum = storage_statement(storage, SUM_USED);
  bool has_row;
  int code = statement_step(storage, sum, &has_row, err);
  if (code < 0)
    return code;
  *bytes = has_row ? sqlite3_column_int64(sum, 0) : 0;
  statement_done(sum);
  return 0;
}

static void refuse(StorageResult *result, const char *whose, int64_t wanted, int64_t limit)
{
  result->code = UV_E2BIG;
  snprintf(result->text, sizeof result->text,
           "allocated size is greater than max storage size%s: %lld of %lld bytes", whose,
           (long long)wanted, (long long)limit);
}

int storage_check_room(Storage *storage, const StorageRequest *request, uint64_t now_ms,
                       int64_t more, Place *place, StorageResult *result, Err *err)
{
  int64_t freed, total, quota = (int64_t)request->quota_bytes;
  int code;
  if (more <= 0)
    return 0;
  if (place->used_bytes + more > quota) {
    code = remove_expired(storage, place->space, now_ms, ROOM_SWEEP_ITEMS, &freed, err);
    if (code < 0)
      return code;
    place->used_bytes -= freed;
  }
  if (place->used_bytes + more > quota) {
    refuse(result, "", place->used_bytes + more, quota);
    return 0;
  }
  code = total_used(storage, &total, err);
  if (code < 0)
    return code;
  if (total + more > STORAGE_TOTAL_BYTES)
    refuse(result, " of all plugins", total + more, STORAGE_TOTAL_BYTES);
  return 0;
}

int storage_sweep(Storage *storage, uint64_t now_ms, uint32_t limit, uint64_t *due_ms, Err *err)
{
  sqlite3_stmt *next = storage_statement(storage, NEXT_EXPIRY);
  int64_t freed;
  bool has_row = false;
  int code = remove_expired(storage, 0, now_ms, limit, &freed, err);
  if (code == 0)
    code = statement_step(storage, next, &has_row, err);
  if (code < 0)
    return code;
  *due_ms = UINT64_MAX;
  if (has_row && sqlite3_column_type(next, 0) != SQLITE_NULL)
    *due_ms = (uint64_t)sqlite3_column_int64(next, 0);
  statement_done(next);
  return 0;
}
