// See database.h. WAL and synchronous=FULL: what was committed is on the disk.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/memory.h"
#include "../base/random.h"
#include "../base/scoreboard.h"
#include "database.h"
#include "statement.h"

enum {
  CHECK_BYTES = 64 * 1024 * 1024, // larger files are not checked at start: that takes too long
  LOCK_MS = 100,                  // then reads are answered, and it is tried again
};

typedef enum {
  FIND_CONVERSATION,
  READ_MESSAGES,
  PUT_CONVERSATION,
  PUT_MESSAGE,
  FIND_HOOK_ID,
  PUT_HOOK_ID,
  STATEMENT_COUNT,
} StatementName;

static const char *const statements[STATEMENT_COUNT] = {
  [FIND_CONVERSATION] =
      "SELECT number FROM conversations WHERE app_id = ?1 AND id = ?2 AND user = ?3",
  [READ_MESSAGES] = "SELECT role, content FROM messages WHERE conversation = ?1"
                    " ORDER BY number DESC LIMIT ?2",
  [PUT_CONVERSATION] = "INSERT INTO conversations (app_id, id, user, created_ms, updated_ms)"
                       " VALUES (?1, ?2, ?3, ?4, ?4)"
                       " ON CONFLICT (app_id, id) DO UPDATE SET updated_ms = ?4 RETURNING number",
  [PUT_MESSAGE] = "INSERT INTO messages (conversation, number, role, content, created_ms)"
                  " SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4"
                  " FROM messages WHERE conversation = ?1",
  [FIND_HOOK_ID] = "SELECT hook_id FROM hook_ids WHERE plugin = ?1 AND name = ?2",
  [PUT_HOOK_ID] =
      "INSERT INTO hook_ids (plugin, name, hook_id, created_ms) VALUES (?1, ?2, ?3, ?4)",
};

struct Database {
  sqlite3 *db;
  char *path;
  sqlite3_stmt *statements[STATEMENT_COUNT];
  Storage *storage;
  EndpointRows *endpoints;
  bool has_lock; // among the processes of this host
};

int database_failure(sqlite3 *db, const char *what, Err *err)
{
  int extended = sqlite3_extended_errcode(db), primary = extended & 0xff;
  int system = sqlite3_system_errno(db); // of some failure before, perhaps
  bool has_failed = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  bool is_full = primary == SQLITE_FULL || (has_failed && (system == ENOSPC || system == EDQUOT));
  if (primary == SQLITE_BUSY)
    return err_set(err, UV_EBUSY, "%s: the database is locked by another process", what);
  return err_set(err, is_full ? UV_ENOSPC : UV_EIO, "%s: %s", what,
                 is_full ? "no space left" : sqlite3_errstr(extended));
}

static int fail(Database *database, const char *what, Err *err)
{
  return database_failure(database->db, what, err);
}

// --- opening -------------------------------------------------------------------------------------

// Creates the file before SQLite does, so that nobody else can ever read it. The files that SQLite
// puts beside it take over its mode.
static int create_file(const char *path, Err *err)
{
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    int code = uv_translate_sys_error(errno);
    return err_set(err, code, "%s: cannot open the database: %s", path, uv_strerror(code));
  }
  close(fd);
  return 0;
}

// A verdict may have a first line that says only which database is meant.
static int on_check_row(void *context, int count, char **values, char **names)
{
  const char *text = count > 0 && values[0] ? values[0] : "?", *line = strchr(text, '\n');
  (void)names;
  snprintf(context, 128, "%s", line ? line + 1 : text);
  return 0;
}

// A damaged file is refused, and left as it is for whoever can repair it.
static int check(Database *database, Err *err)
{
  char verdict[128] = "";
  struct stat status;
  if (stat(database->path, &status) == 0 && status.st_size > CHECK_BYTES)
    return 0;
  if (sqlite3_exec(database->db, "PRAGMA quick_check(1)", on_check_row, verdict, NULL) ==
          SQLITE_OK &&
      strcmp(verdict, "ok") == 0)
    return 0;
  return err_set(err, UV_EIO, "%s: database corrupt: %s", database->path,
                 verdict[0] ? verdict : sqlite3_errmsg(database->db));
}

// Whether the schema is what the statements are for.
static bool fits(Database *database)
{
  return statements_prepare(database->db, statements, database->statements, STATEMENT_COUNT) ==
             SQLITE_OK &&
         storage_check(database->storage) == SQLITE_OK &&
         endpoint_rows_check(database->endpoints) == SQLITE_OK;
}

static int set_up(Database *database, bool is_first, Err *err)
{
  sqlite3 *db = database->db;
  int rc;
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, DATABASE_BUSY_MS);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  if (sqlite3_exec(db,
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                   "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; "
                   "PRAGMA journal_size_limit = 16777216",
                   NULL, NULL, NULL) != SQLITE_OK) {
    if (sqlite3_errcode(db) == SQLITE_NOTADB)
      return err_set(err, UV_EINVAL, "%s: the file is not a database", database->path);
    if (sqlite3_errcode(db) == SQLITE_CORRUPT)
      return err_set(err, UV_EIO, "%s: database corrupt: %s", database->path, sqlite3_errmsg(db));
    return err_set(err, UV_EIO, "%s: cannot open the database: %s", database->path,
                   sqlite3_errmsg(db));
  }
  if ((is_first && (rc = check(database, err)) < 0) ||
      (rc = migrations_run(db, database->path, err)) < 0)
    return rc;
  database->storage = storage_open(db);
  database->endpoints = endpoint_rows_open(db);
  if (is_first && !fits(database))
    return err_set(err, UV_EIO, "%s: the schema is not as expected: %s", database->path,
                   sqlite3_errmsg(db));
  sqlite3_busy_timeout(db, 0); // from here on the thread waits, and does other things meanwhile
  return 0;
}

Database *database_open(const char *path, bool is_first, Err *err)
{
  Database *database;
  if (create_file(path, err) < 0)
    return NULL;
  database = mem_zero(1, sizeof *database);
  database->path = mem_string(path);
  if (sqlite3_open_v2(path, &database->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
      SQLITE_OK) {
    err_set(err, UV_EIO, "%s: cannot open the database: %s", path, sqlite3_errmsg(database->db));
  } else if (set_up(database, is_first, err) == 0) {
    return database;
  }
  database_close(database);
  return NULL;
}

void database_close(Database *database)
{
  if (!database)
    return;
  storage_close(database->storage);
  endpoint_rows_close(database->endpoints);
  statements_finalize(database->statements, STATEMENT_COUNT);
  sqlite3_close(database->db);
  mem_free(database->path);
  mem_free(database);
}

// --- statements ----------------------------------------------------------------------------------

static sqlite3_stmt *statement(Database *database, StatementName name)
{
  return statement_get(database->db, statements, database->statements, name);
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text, size_t len)
{
  sqlite3_bind_text64(stmt, at, text, len, SQLITE_STATIC, SQLITE_UTF8);
}

// SQLite's own way of waiting lets a process starve: they take turns at a lock of ours, and
// SQLite's is for strangers.
static void unlock(Database *database)
{
  if (database->has_lock)
    scoreboard_unlock_store();
  database->has_lock = false;
}

int database_begin(Database *database, Err *err)
{
  int code;
  if (scoreboard_lock_store(LOCK_MS) != 0)
    return err_set(err, UV_EBUSY, "cannot begin to write: another process is writing");
  database->has_lock = true;
  if (sqlite3_exec(database->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK)
    return 0;
  code = fail(database, "cannot begin to write", err);
  unlock(database);
  return code;
}

int database_commit(Database *database, Err *err)
{
  int code;
  if (sqlite3_exec(database->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) {
    unlock(database);
    return 0;
  }
  code = fail(database, "cannot write", err);
  database_rollback(database);
  return code;
}

void database_rollback(Database *database)
{
  if (!sqlite3_get_autocommit(database->db)) // some failures have rolled back already
    sqlite3_exec(database->db, "ROLLBACK", NULL, NULL, NULL);
  unlock(database);
}

Storage *database_storage(Database *database)
{
  return database->storage;
}

EndpointRows *database_endpoints(Database *database)
{
  return database->endpoints;
}

// --- conversations -------------------------------------------------------------------------------

static void take_message(sqlite3_stmt *stmt, StoredMessage *message)
{
  const void *role = sqlite3_column_text(stmt, 0), *content = sqlite3_column_text(stmt, 1);
  message->role = mem_bytes(role ? role : "", (size_t)sqlite3_column_bytes(stmt, 0));
  message->content = mem_bytes(content ? content : "", (size_t)sqlite3_column_bytes(stmt, 1));
}

static void reverse(StoredMessage *messages, uint32_t count)
{
  uint32_t i;
  for (i = 0; i < count / 2; i++) {
    StoredMessage other = messages[i];
    messages[i] = messages[count - 1 - i];
    messages[count - 1 - i] = other;
  }
}

int database_read(Database *database, const char *app_id, const char *id, const char *user,
                  uint32_t limit, ConversationResult *result, Err *err)
{
  sqlite3_stmt *find = statement(database, FIND_CONVERSATION);
  sqlite3_stmt *read = statement(database, READ_MESSAGES);
  uint32_t cap = 0;
  int rc;
  bind_string(find, 1, app_id);
  bind_string(find, 2, id);
  bind_string(find, 3, user);
  rc = sqlite3_step(find);
  if (rc == SQLITE_ROW)
    sqlite3_bind_int64(read, 1, sqlite3_column_int64(find, 0));
  statement_done(find);
  if (rc == SQLITE_DONE)
    return err_set(err, UV_ENOENT, "no such conversation");
  if (rc != SQLITE_ROW)
    return fail(database, "cannot read the conversation", err);
  sqlite3_bind_int64(read, 2, limit);
  while ((rc = sqlite3_step(read)) == SQLITE_ROW) {
    if (result->count == cap) {
      cap = cap ? cap * 2 : 16;
      result->messages = mem_resize(result->messages, cap * sizeof *result->messages);
    }
    take_message(read, &result->messages[result->count++]);
  }
  statement_done(read);
  if (rc != SQLITE_DONE)
    return fail(database, "cannot read the conversation", err);
  reverse(result->messages, result->count);
  return 0;
}

static int put_message(Database *database, int64_t conversation, const char *role, Span content,
                       int64_t now_ms)
{
  sqlite3_stmt *put = statement(database, PUT_MESSAGE);
  int rc;
  sqlite3_bind_int64(put, 1, conversation);
  bind_string(put, 2, role);
  bind_text(put, 3, content.at ? content.at : "", content.len);
  sqlite3_bind_int64(put, 4, now_ms);
  rc = sqlite3_step(put);
  statement_done(put);
  return rc;
}

int database_append(Database *database, const char *app_id, const char *id, const char *user,
                    Span question, Span answer, Err *err)
{
  sqlite3_stmt *put = statement(database, PUT_CONVERSATION);
  int64_t now_ms = (int64_t)host_clock.wall_ms(), number = 0;
  int rc;
  bind_string(put, 1, app_id);
  bind_string(put, 2, id);
  bind_string(put, 3, user);
  sqlite3_bind_int64(put, 4, now_ms);
  rc = sqlite3_step(put);
  if (rc == SQLITE_ROW) {
    number = sqlite3_column_int64(put, 0);
    rc = sqlite3_step(put); // RETURNING: the statement is complete only now
  }
  statement_done(put);
  if (rc == SQLITE_DONE)
    rc = put_message(database, number, "user", question, now_ms);
  if (rc == SQLITE_DONE)
    rc = put_message(database, number, "assistant", answer, now_ms);
  return rc == SQLITE_DONE ? 0 : fail(database, "cannot write the conversation", err);
}

// --- hook ids ------------------------------------------------------------------------------------

int database_hook_id(Database *database, const char *plugin, const char *name, char *id,
                     size_t size, Err *err)
{
  sqlite3_stmt *find = statement(database, FIND_HOOK_ID), *put = statement(database, PUT_HOOK_ID);
  char fresh[HOOK_ID_LEN + 1];
  int rc;
  bind_string(find, 1, plugin);
  bind_string(find, 2, name);
  rc = sqlite3_step(find);
  if (rc == SQLITE_ROW)
    snprintf(id, size, "%s", (const char *)sqlite3_column_text(find, 0));
  statement_done(find);
  if (rc == SQLITE_ROW)
    return 0;
  if (rc != SQLITE_DONE)
    return fail(database, "cannot read the hook ids", err);
  random_base32(fresh, HOOK_ID_LEN);
  bind_string(put, 1, plugin);
  bind_string(put, 2, name);
  bind_string(put, 3, fresh);
  sqlite3_bind_int64(put, 4, (int64_t)host_clock.wall_ms());
  rc = sqlite3_step(put);
  statement_done(put);
  if (rc != SQLITE_DONE)
    return fail(database, "cannot write a hook id", err);
  snprintf(id, size, "%s", fresh);
  return 0;
}

const char *store_version(void)
{
  return sqlite3_libversion();
}
