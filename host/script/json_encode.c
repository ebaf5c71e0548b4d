// The encoder of bind_json.h: one walk that writes as it goes, and names the place of what JSON
// cannot say. It calls no Lua function, so it is never entered twice.
//
// The text grows in one buffer outside of any state, as far as the state has memory left for it; it
// is given back before the string is made, or right after. All else belongs to the Lua state, so an
// error may jump through.
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "../base/fast_paths.h"
#include "../base/json.h"
#include "json_context.h"
#include "json_lazy.h"
#include "json_view.h"

enum {
  MAX_TABLES = 1000 * 1000,    // a small value can name one table very often
  KEPT_TEXT_BYTES = 64 * 1024, // the buffer is given back after a longer text
  ERROR_BYTES = 300,
};

typedef struct {
  lua_State *L;
  size_t tables;
  size_t most; // bytes
  int depth;
  int keys[JSON_MAX_DEPTH + 1]; // [depth]: stack index of the key being visited
  char error[ERROR_BYTES];
} Encoder;

static Buffer out;
JsonMemory json_memory;

// --- refusals ------------------------------------------------------------------------------------

// Writes where the walk is, as ".items[3].name". Returns the length.
static size_t write_path(const Encoder *e, char *text, size_t size)
{
  size_t len = 0;
  text[0] = '\0';
  for (int i = 1; i <= e->depth && len < size - 1; i++) {
    int n;
    if (lua_type(e->L, e->keys[i]) == LUA_TNUMBER)
      n = snprintf(text + len, size - len, "[%.14g]", lua_tonumber(e->L, e->keys[i]));
    else if (lua_type(e->L, e->keys[i]) == LUA_TSTRING)
      n = snprintf(text + len, size - len, ".%.40s", lua_tostring(e->L, e->keys[i]));
    else
      break;
    len += n > 0 ? (size_t)n : 0;
  }
  return len < size ? len : size - 1;
}

static bool refuse(Encoder *e, const char *what)
{
  char path[ERROR_BYTES / 2];
  size_t len = write_path(e, path, sizeof path);
  snprintf(e->error, sizeof e->error, "cannot encode %s%s%s as JSON", what, len ? " at " : "",
           path);
  return false;
}

// At the deepest level: says whether the value contains itself. The first levels are enough of a
// path.
static bool refuse_depth(Encoder *e, int table)
{
  const void *found = lua_topointer(e->L, table);
  int depth = e->depth;
  e->depth = 4;
  for (int i = depth; i > 0; i--) {
    if (lua_topointer(e->L, e->keys[i] - 2) == found)
      return refuse(e, "a table that contains itself");
  }
  return refuse(e, "more than 128 levels");
}

// --- values --------------------------------------------------------------------------------------

static bool write_value(Encoder *e);

static bool check_size(Encoder *e)
{
  if (out.len <= e->most)
    return true;
  snprintf(e->error, sizeof e->error, "cannot encode more than %d bytes as JSON", JSON_MAX_BYTES);
  return false;
}

static bool fits(const Encoder *e, size_t len)
{
  return len <= e->most && out.len <= e->most - len;
}

static bool write_string(Encoder *e, int index)
{
  size_t len;
  const char *text = lua_tolstring(e->L, index, &len);
  if (!fits(e, len)) // escaped it is longer still
    out.len = e->most + 1;
  else
    buffer_json_string(&out, text, len);
  return check_size(e);
}

static bool write_number(Encoder *e)
{
  double number = lua_tonumber(e->L, -1);
  if (!isfinite(number))
    return refuse(e, isnan(number) ? "NaN" : "an infinite number");
  buffer_reserve(&out, JSON_NUMBER_BYTES);
  out.len += json_write_number(out.bytes + out.len, number);
  return check_size(e);
}

static bool write_raw(Encoder *e)
{
  size_t len = lua_objlen(e->L, -1);
  if (json_kind_of(e->L, -1) != KIND_RAW)
    return refuse(e, "userdata");
  if (!fits(e, len))
    out.len = e->most + 1;
  else
    buffer_append(&out, lua_touserdata(e->L, -1), len);
  return check_size(e);
}

// --- tables --------------------------------------------------------------------------------------
//
// A table being written stands on the stack as [table, metatable or nil, key ...]: keys[depth] - 2.

// Writes the member whose name is on the stack before its value. Stack: [name, value] -> [name]
static bool write_member(Encoder *e, bool is_first)
{
  if (!is_first)
    buffer_char(&out, ',');
  if (!write_string(e, -2))
    return false;
  buffer_char(&out, ':');
  if (!write_value(e))
    return false;
  lua_pop(e->L, 1);
  return true;
}

// Members that were null when the table was decoded and have not been set since. Stack: unchanged;
// on failure the name lies where a key does.
static bool write_nulls(Encoder *e, int table, int meta, bool is_first)
{
  lua_State *L = e->L;
  size_t count = lua_objlen(L, meta);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, meta, (int)i);
    lua_pushvalue(L, -1);
    lua_rawget(L, table);
    if (lua_isnil(L, -1) && lua_type(L, -2) == LUA_TSTRING) {
      if (!write_member(e, is_first))
        return false;
      is_first = false;
      lua_pop(L, 1);
    } else {
      lua_pop(L, 2);
    }
  }
  return true;
}

// Whether the keys are indices 1 to n and nothing else; gives n. For tables whose items are not in
// the order of their indices, and to say what is wrong.
static bool count_items(Encoder *e, int table, int kind, size_t *count)
{
  lua_State *L = e->L;
  size_t items = 0, missing = 1;
  size_t names = kind == KIND_NULLS ? lua_objlen(L, table + 1) : 0;
  double last = 0;
  char what[80];
  lua_pushnil(L);
  for (; lua_next(L, table); lua_pop(L, 1)) {
    double index = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
    if (lua_type(L, -2) == LUA_TSTRING) {
      names++;
      continue;
    }
    if (lua_type(L, -2) != LUA_TNUMBER)
      return refuse(e, "a member that has neither a name nor an index");
    if (index < 1 || index != floor(index))
      return refuse(e, "a number as a member's name (use tostring)");
    items++;
    last = index > last ? index : last;
  }
  *count = items;
  e->depth--; // what follows is about the table
  if (items == 0 && kind == KIND_ARRAY)
    return refuse(e, "an array with named members");
  if (names > 0)
    return refuse(e, "a table with both items and named members");
  if (last == (double)items) {
    e->depth++;
    return true;
  }
  for (;; missing++) {
    lua_rawgeti(L, table, (int)missing);
    if (lua_isnil(L, -1))
      break;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  snprintf(what, sizeof what, "an array whose item %zu is missing (use json.null)", missing);
  return refuse(e, what);
}

// Writes the items one by one by their index. Stack: unchanged
static bool write_items(Encoder *e, int table, size_t count)
{
  lua_State *L = e->L;
  buffer_char(&out, '[');
  for (size_t i = 1; i <= count; i++) {
    if (i > 1)
      buffer_char(&out, ',');
    lua_pushinteger(L, (lua_Integer)i);
    lua_rawgeti(L, table, (int)i);
    if (!write_value(e))
      return false;
    lua_pop(L, 2);
  }
  buffer_char(&out, ']');
  return true;
}

typedef enum { WRITTEN, MIXED, REFUSED } Walked;

// Writes a table whose keys are all names, or indices in their order. Stack: [nil] -> []
static Walked walk_table(Encoder *e, int table, int kind)
{
  lua_State *L = e->L;
  double expected = 0; // the next index; 0 among names
  bool is_first = true;
  for (; lua_next(L, table); is_first = false) {
    if (lua_type(L, -2) == LUA_TSTRING && expected == 0 && kind != KIND_ARRAY) {
      if (is_first)
        buffer_char(&out, '{');
      if (!write_member(e, is_first))
        return REFUSED;
      continue;
    }
    if (is_first)
      expected = 1;
    if (expected == 0 || lua_type(L, -2) != LUA_TNUMBER || lua_tonumber(L, -2) != expected ||
        !fast_paths_are_on()) {
      lua_pop(L, 2);
      return MIXED;
    }
    expected++;
    buffer_char(&out, is_first ? '[' : ',');
    if (!write_value(e))
      return REFUSED;
    lua_pop(L, 1);
  }
  if (is_first)
    buffer_char(&out, kind == KIND_ARRAY ? '[' : '{');
  if (kind == KIND_NULLS && expected > 0)
    return MIXED;
  if (kind == KIND_NULLS && !write_nulls(e, table, table + 1, is_first))
    return REFUSED;
  buffer_char(&out, expected > 0 || kind == KIND_ARRAY ? ']' : '}');
  return WRITTEN;
}

// Stack: [table] -> [table]; on failure the keys of the path lie above
static bool write_table(Encoder *e)
{
  lua_State *L = e->L;
  int table = lua_gettop(L), kind;
  size_t start = out.len, count = 0;
  Walked walked;
  if (e->depth == JSON_MAX_DEPTH)
    return refuse_depth(e, table);
  if (++e->tables > MAX_TABLES)
    return refuse(e, "more than 1,000,000 tables");
  luaL_checkstack(L, 16, "cannot encode so many levels");
  kind = json_kind_of(L, table);
  if (kind == KIND_LAZY) {
    json_fill(L, table);
    kind = json_kind_of(L, table);
  } else if (kind == KIND_VIEW) {
    json_look_behind(L, table);
    kind = json_kind_of(L, table);
  }
  if (kind != KIND_NULLS)
    lua_pushnil(L);
  e->keys[++e->depth] = table + 2;
  lua_pushnil(L);
  walked = walk_table(e, table, kind);
  if (walked == REFUSED)
    return false;
  if (walked == MIXED) {
    if (!count_items(e, table, kind, &count))
      return false;
    out.len = start;
    if (!write_items(e, table, count))
      return false;
  }
  e->depth--;
  lua_settop(L, table);
  return check_size(e);
}

// Stack: [value] -> [value]
static bool write_value(Encoder *e)
{
  switch (lua_type(e->L, -1)) {
  case LUA_TNIL:
    buffer_append(&out, "null", 4);
    return true;
  case LUA_TBOOLEAN:
    buffer_string(&out, lua_toboolean(e->L, -1) ? "true" : "false");
    return true;
  case LUA_TNUMBER:
    return write_number(e);
  case LUA_TSTRING:
    return write_string(e, -1);
  case LUA_TTABLE:
    return write_table(e);
  case LUA_TLIGHTUSERDATA:
    if (lua_touserdata(e->L, -1))
      return refuse(e, "a light userdata");
    buffer_append(&out, "null", 4);
    return true;
  case LUA_TUSERDATA:
    return write_raw(e);
  case LUA_TFUNCTION:
    return refuse(e, "a function");
  default:
    return refuse(e, "a coroutine");
  }
}

bool json_push_encoded(lua_State *L, int index)
{
  Encoder e; // not cleared: it is large, and most texts are short
  int top = lua_gettop(L);
  bool is_written;
  size_t room = json_memory.room ? json_memory.room(L) : JSON_MAX_BYTES;
  if (lua_istable(L, index) && json_kind_of(L, index) == KIND_LAZY && json_push_lazy_text(L, index))
    return true;
  lua_settop(L, top);
  out.len = 0;
  e.L = L;
  e.tables = 0;
  e.depth = 0;
  e.most = room < JSON_MAX_BYTES ? room : JSON_MAX_BYTES;
  lua_pushvalue(L, index);
  is_written = write_value(&e);
  lua_settop(L, top);
  if (!is_written && out.len > e.most && e.most < JSON_MAX_BYTES) {
    buffer_free(&out);
    json_memory.refuse(L);
  }
  if (is_written)
    lua_pushlstring(L, out.bytes, out.len);
  else
    lua_pushstring(L, e.error);
  if (out.cap > KEPT_TEXT_BYTES)
    buffer_free(&out);
  return is_written;
}
