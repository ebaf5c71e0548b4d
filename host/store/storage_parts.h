// How the storage of plugins is spread over files: sqlite_storage.c has the statements and reads,
// storage_room.c keeps the account, storage_write.c writes. For these three alone.
#ifndef MOONHOOK_STORE_STORAGE_PARTS_H
#define MOONHOOK_STORE_STORAGE_PARTS_H

#include "database.h"
#include "statement.h"

enum { KIND_ITEM = 0, KIND_ONCE = 1 };

typedef enum {
  FIND_SPACE,
  PUT_SPACE,
  ADD_USED,
  SUM_USED,
  FIND_ITEM,
  PUT_ITEM,
  CHANGE_ITEM,
  REMOVE_ITEM,
  READ_VALUE,
  READ_ITEM,
  FIND_LIVE,
  LIST_KEYS,
  FIND_EXPIRED,
  NEXT_EXPIRY,
  STATEMENT_COUNT,
} StatementName;

struct Storage {
  sqlite3 *db;
  sqlite3_stmt *statements[STATEMENT_COUNT];
};

// What is found under a key, for a write.
typedef struct {
  int64_t space, used_bytes, item; // item 0: there is none
  int64_t cost_bytes, expires_ms;
} Place;

sqlite3_stmt *storage_statement(Storage *storage, StatementName name);
int storage_failure(Storage *storage, Err *err);
void bind_bytes(sqlite3_stmt *stmt, int at, Span bytes);
Span column_bytes(sqlite3_stmt *stmt, int column);
int compare_bytes(Span a, Span b); // as memcmp; the longer one is greater
// Runs a statement that gives no row.
int statement_run(Storage *storage, sqlite3_stmt *stmt, Err *err);
// Steps a statement that gives at most one row. `*has_row`: its columns can be read until
// statement_done.
int statement_step(Storage *storage, sqlite3_stmt *stmt, bool *has_row, Err *err);

// Finds what stands under the request's key; makes the plugin's space, removes an expired item.
int storage_find(Storage *storage, const StorageRequest *request, int kind, uint64_t now_ms,
                 Place *place, Err *err);
int storage_remove(Storage *storage, int64_t space, int64_t item, int64_t cost_bytes, Err *err);
int storage_add_used(Storage *storage, int64_t space, int64_t bytes, Err *err);
// Is there room for so many bytes more? If not, the refusal stands in the result.
int storage_check_room(Storage *storage, const StorageRequest *request, uint64_t now_ms,
                       int64_t more, Place *place, StorageResult *result, Err *err);
int storage_write(Storage *storage, const StorageRequest *request, uint64_t now_ms,
                  StorageResult *result, Err *err);

#endif
