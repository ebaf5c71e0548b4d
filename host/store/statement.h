// Prepared statements, as every file of a database uses them: a table of texts, each made into a
// statement when it is first used and run again and again until the database is closed.
#ifndef MOONHOOK_STORE_STATEMENT_H
#define MOONHOOK_STORE_STATEMENT_H

#include <sqlite3.h>
#include <stddef.h>

// One of them. NULL when the schema does not fit: SQLite's functions take it, sqlite3_step says
// SQLITE_MISUSE, and the database has the failure.
sqlite3_stmt *statement_get(sqlite3 *db, const char *const *texts, sqlite3_stmt **statements,
                            size_t at);
// Makes all of them at once, where a schema that does not fit shall be found at once. SQLITE_OK, or
// the code of the first that it does not fit.
int statements_prepare(sqlite3 *db, const char *const *texts, sqlite3_stmt **statements,
                       size_t count);
void statements_finalize(sqlite3_stmt **statements, size_t count);
// Binds a text, borrowed until statement_done.
void bind_string(sqlite3_stmt *stmt, int at, const char *text);
// Ready for the next use; what was bound is forgotten.
void statement_done(sqlite3_stmt *stmt);

#endif
