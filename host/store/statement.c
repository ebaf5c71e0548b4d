// See statement.h.
#include "statement.h"

sqlite3_stmt *statement_get(sqlite3 *db, const char *const *texts, sqlite3_stmt **statements,
                            size_t at)
{
  if (!statements[at])
    sqlite3_prepare_v3(db, texts[at], -1, SQLITE_PREPARE_PERSISTENT, &statements[at], NULL);
  return statements[at];
}

int statements_prepare(sqlite3 *db, const char *const *texts, sqlite3_stmt **statements,
                       size_t count)
{
  size_t i;
  int rc = SQLITE_OK;
  for (i = 0; i < count && rc == SQLITE_OK; i++) {
    if (!statement_get(db, texts, statements, i))
      rc = sqlite3_errcode(db);
  }
  return rc;
}

void statements_finalize(sqlite3_stmt **statements, size_t count)
{
  size_t i;
  for (i = 0; i < count; i++)
    sqlite3_finalize(statements[i]);
}

void bind_string(sqlite3_stmt *stmt, int at, const char *text)
{
  sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

void statement_done(sqlite3_stmt *stmt)
{
  if (!stmt)
    return;
  sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt); // what was bound is borrowed
}
