// The SQLite file: one connection, its statements, its schema. Used by the store's thread only.
#ifndef MOONHOOK_STORE_DATABASE_H
#define MOONHOOK_STORE_DATABASE_H

#include <sqlite3.h>

#include "store.h"

typedef struct Database Database;
typedef struct Storage Storage;
typedef struct EndpointRows EndpointRows;

enum { DATABASE_BUSY_MS = 2000 }; // how long another process may hold the lock

// Opens or creates the file (mode 0600), checks it, brings its schema up to date. All calls below
// return 0 or a code with err->text: UV_ENOSPC, UV_EIO, UV_EBUSY (locked by another process: they
// do not wait), or what they say.
Database *database_open(const char *path, bool is_first, Err *err);
void database_close(Database *database); // NULL is fine

int database_begin(Database *database, Err *err);
int database_commit(Database *database, Err *err); // synced when it returns 0; rolled back if not
void database_rollback(Database *database);

// Fills result->messages and count; the caller frees. UV_ENOENT: no such conversation.
int database_read(Database *database, const char *app_id, const char *id, const char *user,
                  uint32_t limit, ConversationResult *result, Err *err);
int database_append(Database *database, const char *app_id, const char *id, const char *user,
                    Span question, Span answer, Err *err);
int database_hook_id(Database *database, const char *plugin, const char *name, char *id,
                     size_t size, Err *err);
Storage *database_storage(Database *database);
EndpointRows *database_endpoints(Database *database);

// The last failure's code and text. No SQL in it: it may reach a log that others read.
int database_failure(sqlite3 *db, const char *what, Err *err);

// sqlite_storage.c: plugins' storage. Writes run inside a transaction. A refusal (quota, no number)
// is no failure: it changes nothing, stands in result->code and text, and 0 is returned.
Storage *storage_open(sqlite3 *db);
int storage_check(Storage *storage);  // SQLITE_OK: the schema fits
void storage_close(Storage *storage); // NULL is fine
int storage_run(Storage *storage, const StorageRequest *request, uint64_t now_ms,
                StorageResult *result, Err *err);
// Removes at most `limit` expired items; `*due_ms`: when the next one expires, UINT64_MAX: none.
int storage_sweep(Storage *storage, uint64_t now_ms, uint32_t limit, uint64_t *due_ms, Err *err);

// sqlite_endpoints.c: endpoints made by the admin API. Writes run inside a transaction. A refusal
// (taken, changed meanwhile, gone) is no failure: it changes nothing, stands in *refusal, and 0 is
// returned.
struct StoredEndpoint;
EndpointRows *endpoint_rows_open(sqlite3 *db);
int endpoint_rows_check(EndpointRows *rows);  // SQLITE_OK: the schema fits
void endpoint_rows_close(EndpointRows *rows); // NULL is fine
int endpoint_rows_read(EndpointRows *rows, struct StoredEndpoint **list, uint32_t *count, Err *err);
int endpoint_rows_put(EndpointRows *rows, const struct StoredEndpoint *endpoint, int *refusal,
                      Err *err);
int endpoint_rows_remove(EndpointRows *rows, const char *id, uint64_t version, int *refusal,
                         Err *err);

// migrations.c: brings an open database to the newest schema. `path` is for messages.
int migrations_run(sqlite3 *db, const char *path, Err *err);

#endif
