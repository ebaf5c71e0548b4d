// The encoder of bind_json.h. One walk measures a value before lua-cjson sees it, since lua-cjson
// ends the process when it runs out of memory. What lua-cjson cannot say (an empty array, a number
// of more than 14 digits, raw text, a string that is not UTF-8) is replaced in a copy of the tables
// around it by a marked string, and the mark in the output by the raw text. A value without any of
// these is not copied.
//
// All that is allocated here belongs to the Lua state, so an error may jump through.
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "../base/json.h"
#include "json_context.h"

enum {
  MAX_TABLES = 1000 * 1000,   // a small value can name one table very often
  BIG_TEXT_BYTES = 64 * 1024, // cjson's buffer is given back after such a text
  TEXT_BYTES = 300,
};

typedef enum { KEPT, CHANGED, FAILED } Prepared;

typedef struct {
  lua_State *L;
  int context, splices; // stack indices; splices holds nil until the first
  const char *mark;     // kept alive by the context
  size_t splice_count, splice_bytes;
  size_t bytes, tables;
  bool has_slash;
  int depth;
  int keys[JSON_MAX_DEPTH + 1]; // [depth]: stack index of the key being visited
  char error[TEXT_BYTES];
} Encoder;

// --- the walk -----------------------------------------------------------------------------------

// Writes where the walk is, as ".items[3].name". Returns the length.
static size_t write_path(const Encoder *e, char *out, size_t size)
{
  size_t len = 0;
  out[0] = '\0';
  for (int i = 1; i <= e->depth && len < size - 1; i++) {
    int n;
    if (lua_type(e->L, e->keys[i]) == LUA_TNUMBER)
      n = snprintf(out + len, size - len, "[%.14g]", lua_tonumber(e->L, e->keys[i]));
    else if (lua_type(e->L, e->keys[i]) == LUA_TSTRING)
      n = snprintf(out + len, size - len, ".%.40s", lua_tostring(e->L, e->keys[i]));
    else
      break;
    len += n > 0 ? (size_t)n : 0;
  }
  return len < size ? len : size - 1;
}

static Prepared refuse(Encoder *e, const char *what)
{
  char path[TEXT_BYTES / 2];
  size_t len = write_path(e, path, sizeof path);
  snprintf(e->error, sizeof e->error, "cannot encode %s%s%s as JSON", what, len ? " at " : "",
           path);
  return FAILED;
}

static Prepared add_bytes(Encoder *e, size_t bytes)
{
  e->bytes += bytes;
  if (e->bytes <= JSON_MAX_BYTES)
    return KEPT;
  snprintf(e->error, sizeof e->error, "cannot encode more than %d bytes as JSON", JSON_MAX_BYTES);
  return FAILED;
}

// Stack: [value, raw text] -> [marked string]
static Prepared splice(Encoder *e)
{
  lua_State *L = e->L;
  char marked[JSON_MARK_LEN + JSON_INDEX_LEN];
  if (lua_isnil(L, e->splices)) {
    lua_newtable(L);
    lua_replace(L, e->splices);
  }
  e->splice_bytes += lua_objlen(L, -1);
  memcpy(marked, e->mark, JSON_MARK_LEN);
  for (int i = 0; i < JSON_INDEX_LEN; i++)
    marked[JSON_MARK_LEN + i] = "0123456789abcdef"[e->splice_count >> 4 * (7 - i) & 15];
  lua_rawseti(L, e->splices, (int)++e->splice_count);
  lua_pop(L, 1);
  lua_pushlstring(L, marked, JSON_MARK_LEN + JSON_INDEX_LEN);
  return add_bytes(e, JSON_MARK_LEN + JSON_INDEX_LEN + 2) == FAILED ? FAILED : CHANGED;
}

// Whether a string of the value could pass for a marked one.
static bool looks_spliced(const Encoder *e, const char *text, size_t len)
{
  return len == JSON_MARK_LEN + JSON_INDEX_LEN && memcmp(text, e->mark, JSON_MARK_LEN) == 0;
}

// Measures the string at `index`; CHANGED: replace_string has to be called for it.
// Stack: unchanged
static Prepared measure_string(Encoder *e, int index)
{
  size_t len;
  const char *text = lua_tolstring(e->L, index, &len);
  JsonStringFacts facts = json_measure_string(text, len);
  e->has_slash |= facts.has_slash;
  if (add_bytes(e, facts.bytes) == FAILED)
    return FAILED;
  return facts.is_utf8 && !looks_spliced(e, text, len) ? KEPT : CHANGED;
}

// Stack: [string] -> [marked string]
static Prepared replace_string(Encoder *e)
{
  size_t len, written;
  const char *text = lua_tolstring(e->L, -1, &len);
  char *scratch = lua_newuserdata(e->L, 6 * len + 2);
  written = json_write_string(scratch, text, len);
  lua_pushlstring(e->L, scratch, written);
  lua_remove(e->L, -2);
  return splice(e);
}

// Stack: [number] -> [number or marked string]
static Prepared prepare_number(Encoder *e)
{
  double number = lua_tonumber(e->L, -1);
  char text[JSON_NUMBER_BYTES];
  if (!isfinite(number))
    return refuse(e, isnan(number) ? "NaN" : "an infinite number");
  if (add_bytes(e, 8) == FAILED)
    return FAILED;
  if (json_number_is_short(number))
    return KEPT;
  lua_pushlstring(e->L, text, json_write_number(text, number));
  return splice(e);
}

// Stack: [userdata] -> [marked string]
static Prepared prepare_raw(Encoder *e)
{
  size_t len = lua_objlen(e->L, -1);
  const char *text = lua_touserdata(e->L, -1);
  if (json_kind_of(e->L, -1) != KIND_RAW)
    return refuse(e, "userdata");
  if (add_bytes(e, len) == FAILED)
    return FAILED;
  lua_pushlstring(e->L, text, len);
  return splice(e);
}

static Prepared prepare_table(Encoder *e);

// Measures the value on top; replaces it by what lua-cjson shall see. Stack: [value] -> [value]
static Prepared prepare(Encoder *e)
{
  Prepared done;
  switch (lua_type(e->L, -1)) {
  case LUA_TNIL:
  case LUA_TBOOLEAN:
    return add_bytes(e, 5);
  case LUA_TNUMBER:
    return prepare_number(e);
  case LUA_TSTRING:
    done = measure_string(e, -1);
    return done == CHANGED ? replace_string(e) : done;
  case LUA_TTABLE:
    return prepare_table(e);
  case LUA_TLIGHTUSERDATA:
    return lua_touserdata(e->L, -1) ? refuse(e, "a light userdata") : add_bytes(e, 5);
  case LUA_TUSERDATA:
    return prepare_raw(e);
  case LUA_TFUNCTION:
    return refuse(e, "a function");
  default:
    return refuse(e, "a coroutine");
  }
}

// A table being walked. On the stack: [table, its copy or nil, metatable or nil, key ...]
typedef struct {
  int table, copy, meta; // stack indices
  int kind;
  size_t items, names;
  double last; // the greatest index
} TableWalk;

// Makes the copy unless there is one. Stack: unchanged
static void need_copy(lua_State *L, const TableWalk *walk)
{
  if (!lua_isnil(L, walk->copy))
    return;
  lua_createtable(L, (int)walk->items, (int)walk->names);
  lua_pushnil(L);
  while (lua_next(L, walk->table)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_replace(L, walk->copy);
}

// Counts the key; CHANGED: it is a name that has to be replaced. Stack: [key, value] -> the same
static Prepared measure_key(Encoder *e, TableWalk *walk)
{
  lua_State *L = e->L;
  if (lua_type(L, -2) == LUA_TSTRING) {
    walk->names++;
    return measure_string(e, -2);
  }
  if (lua_type(L, -2) == LUA_TNUMBER) {
    double index = lua_tonumber(L, -2);
    if (index < 1 || index != floor(index))
      return refuse(e, "a number as a member's name (use tostring)");
    walk->items++;
    walk->last = index > walk->last ? index : walk->last;
    return KEPT;
  }
  return refuse(e, "a member that has neither a name nor an index");
}

// One member of the table. Stack: [key, value] -> [key]
static Prepared prepare_member(Encoder *e, TableWalk *walk)
{
  lua_State *L = e->L;
  Prepared key = measure_key(e, walk), value;
  if (key == FAILED || add_bytes(e, 2) == FAILED || (value = prepare(e)) == FAILED)
    return FAILED;
  if (key == KEPT && value == KEPT) {
    lua_pop(L, 1);
    return KEPT;
  }
  need_copy(L, walk);
  lua_pushvalue(L, -2);
  if (key == CHANGED) {
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, walk->copy);
    if (replace_string(e) == FAILED)
      return FAILED;
  }
  lua_insert(L, -2); // [key, key or what stands for it, value]
  lua_rawset(L, walk->copy);
  return CHANGED;
}

// Members that were null when the table was decoded and have not been set since.
// Stack: unchanged; on failure the name lies where a key does.
static Prepared restore_nulls(Encoder *e, TableWalk *walk)
{
  lua_State *L = e->L;
  size_t count = lua_objlen(L, walk->meta);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, walk->meta, (int)i);
    lua_pushvalue(L, -1);
    lua_rawget(L, walk->table);
    if (lua_isnil(L, -1) && lua_type(L, -2) == LUA_TSTRING) {
      need_copy(L, walk);
      lua_pop(L, 1);
      lua_pushlightuserdata(L, NULL);
      if (prepare_member(e, walk) == FAILED)
        return FAILED;
      lua_pushvalue(L, -1);
      lua_pushlightuserdata(L, NULL);
      lua_rawset(L, walk->copy);
      lua_pop(L, 1);
    } else {
      lua_pop(L, 2);
    }
  }
  return KEPT;
}

// Whether the indices are 1 to n, and alone.
static Prepared check_shape(Encoder *e, const TableWalk *walk)
{
  char what[80];
  size_t missing = 1;
  if (walk->items == 0 && walk->kind == KIND_ARRAY && walk->names > 0)
    return refuse(e, "an array with named members");
  if (walk->items == 0)
    return KEPT;
  if (walk->names > 0)
    return refuse(e, "a table with both items and named members");
  if (walk->last == (double)walk->items)
    return KEPT;
  for (;; missing++) {
    lua_rawgeti(e->L, walk->table, (int)missing);
    if (lua_isnil(e->L, -1))
      break;
    lua_pop(e->L, 1);
  }
  lua_pop(e->L, 1);
  snprintf(what, sizeof what, "an array whose item %zu is missing (use json.null)", missing);
  return refuse(e, what);
}

// At the deepest level: says whether the value contains itself. The first levels are enough of a
// path.
static Prepared refuse_depth(Encoder *e, int table)
{
  const void *found = lua_topointer(e->L, table);
  int depth = e->depth;
  e->depth = 4;
  for (int i = depth; i > 0; i--) {
    if (lua_topointer(e->L, e->keys[i] - 3) == found)
      return refuse(e, "a table that contains itself");
  }
  return refuse(e, "more than 128 levels");
}

// Stack: [table] -> [table, its copy, or a marked string]
static Prepared prepare_table(Encoder *e)
{
  lua_State *L = e->L;
  int top = lua_gettop(L);
  TableWalk walk = { .table = top, .copy = top + 1, .meta = top + 2 };
  Prepared done = KEPT;
  if (e->depth == JSON_MAX_DEPTH)
    return refuse_depth(e, top);
  if (++e->tables > MAX_TABLES)
    return refuse(e, "more than 1,000,000 tables");
  luaL_checkstack(L, 16, "cannot encode so many levels");
  lua_pushnil(L);
  walk.kind = json_kind_of(L, walk.table);
  if (walk.kind != KIND_NULLS)
    lua_pushnil(L);
  e->keys[++e->depth] = top + 3;
  lua_pushnil(L);
  while (lua_next(L, walk.table)) {
    if (prepare_member(e, &walk) == FAILED)
      return FAILED;
  }
  if (walk.kind == KIND_NULLS && restore_nulls(e, &walk) == FAILED)
    return FAILED;
  e->depth--;
  if (add_bytes(e, 2) == FAILED || check_shape(e, &walk) == FAILED)
    return FAILED;
  if (walk.kind == KIND_ARRAY && walk.items == 0) {
    lua_settop(L, top);
    lua_pushliteral(L, "[]");
    return splice(e);
  }
  if (!lua_isnil(L, walk.copy)) {
    lua_settop(L, walk.copy);
    lua_replace(L, walk.table);
    done = CHANGED;
  }
  lua_settop(L, top);
  return done;
}

// --- the output ------------------------------------------------------------------------

// Stack: [text of cjson] -> [text]
static void finish_text(Encoder *e)
{
  lua_State *L = e->L;
  size_t len, written;
  const char *text = lua_tolstring(L, -1, &len);
  Span *raw = lua_newuserdata(L, e->splice_count * sizeof *raw + 1);
  char *out = lua_newuserdata(L, len + e->splice_bytes + 1);
  for (size_t i = 0; i < e->splice_count; i++) {
    lua_rawgeti(L, e->splices, (int)i + 1);
    raw[i].at = lua_tolstring(L, -1, &raw[i].len);
    lua_pop(L, 1); // the table keeps it alive
  }
  written = json_splice(out, text, len, e->mark, raw, e->splice_count);
  lua_pushlstring(L, out, written);
}

// lua-cjson keeps its buffer at the greatest size it ever had. Stack: unchanged
static void give_back_buffer(const Encoder *e)
{
  for (int is_kept = 0; is_kept <= 1; is_kept++) {
    lua_rawgeti(e->L, e->context, CJSON_KEEP_BUFFER);
    lua_pushboolean(e->L, is_kept);
    lua_call(e->L, 1, 0);
  }
}

bool json_push_encoded(lua_State *L, int index)
{
  Encoder e = { .L = L };
  int top = lua_gettop(L);
  lua_pushvalue(L, index);
  json_push_context(L);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_insert(L, -2); // [context, splices, value]
  e.context = top + 1;
  e.splices = top + 2;
  lua_rawgeti(L, e.context, MARK);
  e.mark = lua_tostring(L, -1);
  lua_pop(L, 1);
  if (prepare(&e) == FAILED) {
    lua_settop(L, top);
    lua_pushstring(L, e.error);
    return false;
  }
  lua_rawgeti(L, e.context, CJSON_ENCODE);
  lua_insert(L, -2);
  lua_call(L, 1, 1); // what it could refuse has been refused
  if (e.bytes > BIG_TEXT_BYTES)
    give_back_buffer(&e);
  if (e.has_slash || e.splice_count > 0)
    finish_text(&e);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return true;
}
