--- A second look at the host's database, as another process would have it.
---
---   local database = require "spec.support.database"
---   local db = database.open(server.dir .. "/data/moonhook.db")
---   db:rows("SELECT count(*) FROM storage_items")  -- { { "3" } }: every value as text
---   db:run "BEGIN EXCLUSIVE"
---   db:close()
local ffi = require "ffi"

if not pcall(ffi.typeof, "sqlite3") then ffi.cdef [[
typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
int sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);
int sqlite3_close(sqlite3 *db);
int sqlite3_busy_timeout(sqlite3 *db, int ms);
const char *sqlite3_errmsg(sqlite3 *db);
int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int len, sqlite3_stmt **statement,
  const char **rest);
int sqlite3_step(sqlite3_stmt *statement);
int sqlite3_finalize(sqlite3_stmt *statement);
int sqlite3_column_count(sqlite3_stmt *statement);
int sqlite3_column_bytes(sqlite3_stmt *statement, int column);
const void *sqlite3_column_blob(sqlite3_stmt *statement, int column);
]] end
local sqlite = ffi.load "sqlite3"

local READWRITE, ROW, DONE = 2, 100, 101
local BUSY_MS = 5000

local Database = {}
Database.__index = Database

local database = {}

--- Opens a database that is there.
function database.open(path)
  local box = ffi.new "sqlite3 *[1]"
  local self = setmetatable({ _path = path }, Database)
  local rc = sqlite.sqlite3_open_v2(path, box, READWRITE, nil)
  self._db = box[0]
  if rc ~= 0 then error(path .. ": " .. ffi.string(sqlite.sqlite3_errmsg(self._db)), 2) end
  sqlite.sqlite3_busy_timeout(self._db, BUSY_MS)
  return self
end

local function check(self, ok, sql)
  if not ok then
    error(("%s: %s: %s"):format(self._path, sql, ffi.string(sqlite.sqlite3_errmsg(self._db))), 3)
  end
end

local function row_of(statement)
  local row = {}
  for i = 0, sqlite.sqlite3_column_count(statement) - 1 do
    local bytes = sqlite.sqlite3_column_blob(statement, i)
    row[i + 1] = bytes ~= nil and ffi.string(bytes, sqlite.sqlite3_column_bytes(statement, i)) or ""
  end
  return row
end

--- Runs one statement and gives its rows.
function Database:rows(sql)
  local box, rows = ffi.new "sqlite3_stmt *[1]", {}
  check(self, sqlite.sqlite3_prepare_v2(self._db, sql, -1, box, nil) == 0, sql)
  local rc = sqlite.sqlite3_step(box[0])
  while rc == ROW do
    rows[#rows + 1] = row_of(box[0])
    rc = sqlite.sqlite3_step(box[0])
  end
  sqlite.sqlite3_finalize(box[0])
  check(self, rc == DONE, sql)
  return rows
end

--- The same, for statements that give none, or for the first value of the first row.
function Database:run(sql)
  local row = self:rows(sql)[1]
  return row and row[1]
end

function Database:close()
  sqlite.sqlite3_close(self._db)
end

return database
