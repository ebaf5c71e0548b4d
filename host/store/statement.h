// Prepared statements, as every file of a database uses them: a table of texts, made into
// statements when the database is opened and run again and again until it is closed.
#ifndef MOONHOOK_STORE_STATEMENT_H
#define MOONHOOK_STORE_STATEMENT_H

#include <sqlite3.h>
#include <stddef.h>

// Fills `statements`, which is zero before. SQLITE_OK, or the code of the first that the schema
// does not fit; statements_finalize is due all the same.
int statements_prepare(sqlite3 *db, const char *const *texts, sqlite3_stmt **statements,
                       size_t count);
void statements_finalize(sqlite3_stmt **statements, size_t count);
// Binds a text, borrowed until statement_done.
void bind_string(sqlite3_stmt *stmt, int at, const char *text);
// Ready for the next use; what was bound is forgotten.
void statement_done(sqlite3_stmt *stmt);

#endif
