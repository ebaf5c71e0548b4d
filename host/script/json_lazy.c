// See json_lazy.h. A lazy table of a text holds one member, the text, under a key that no Lua code
// can have. One without its arrays has a metatable whose items are their names.
#include "json_lazy.h"

#include <lauxlib.h>

#include "../base/fast_paths.h"
#include "json_context.h"

static char text_key; // its address is the key

enum { BEHIND = 0 }; // in a metatable that names arrays: the one that the filled table gets

// What the scan of the last lazy text found. A lazy table keeps its text alive, so while one has a
// text at this address the facts are about that text.
static struct {
  const char *text;
  JsonFacts facts;
} last;

enum { EVENT, TASK_ID, ANSWER };

static const JsonWanted wanted_of_event = {
  .names = { { "event", 5 }, { "task_id", 7 }, { "answer", 6 } },
  .plain_values = ANSWER,
};

// --- making --------------------------------------------------------------------------------------

static void push_span(lua_State *L, Span span)
{
  if (span.at)
    lua_pushlstring(L, span.at, span.len);
  else
    lua_pushnil(L);
}

// Pushes a table that stands for the text at `index`. Stack: [] -> [event]
static void push_unread(lua_State *L, int index, int members)
{
  json_push_context(L);
  lua_createtable(L, 0, members);
  lua_pushlightuserdata(L, &text_key);
  lua_pushvalue(L, index);
  lua_rawset(L, -3);
  lua_rawgeti(L, -2, LAZY_META);
  lua_setmetatable(L, -2);
  lua_replace(L, -2);
}

// `before`: bytes of the piece in front of the text that was looked at.
// Stack: [text] -> [event, name, task id, members], and where its answer is, if it has one
static int push_lazy(lua_State *L, const char *text, const JsonWanted *wanted, size_t before)
{
  Span answer = wanted->values[ANSWER];
  push_unread(L, lua_gettop(L), (int)last.facts.sizes[0]);
  push_span(L, wanted->values[EVENT]);
  push_span(L, wanted->values[TASK_ID]);
  lua_pushinteger(L, (lua_Integer)last.facts.sizes[0]);
  if (!answer.at)
    return 4;
  before += (size_t)(answer.at - text);
  lua_pushinteger(L, (lua_Integer)before + 1);
  lua_pushinteger(L, (lua_Integer)(before + answer.len));
  return 6;
}

// Whether the text can stand for its table: an object, whose own names and wanted values are as
// they are written, on one line, since plugins frame it by lines.
static bool can_be_lazy(const char *text, size_t len, JsonWanted *wanted)
{
  Err err;
  return fast_paths_are_on() && len > 0 && text[0] == '{' &&
         json_scan_for(text, len, &last.facts, wanted, &err) == 0 && !wanted->is_odd &&
         !wanted->has_line_break;
}

// The string member `name` of the table at `index`, or nil. Stack: [] -> [string or nil]
static void push_string_member(lua_State *L, int index, const char *name)
{
  lua_pushstring(L, name);
  lua_rawget(L, index);
  if (lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

static int l_decode_event(lua_State *L)
{
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  JsonWanted wanted = wanted_of_event;
  lua_settop(L, 1);
  last.text = text;
  if (can_be_lazy(text, len, &wanted))
    return push_lazy(L, text, &wanted, 0);
  last.text = NULL;
  if (!json_push_decoded(L, text, len, true)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (!lua_istable(L, 2))
    return 1;
  push_string_member(L, 2, "event");
  push_string_member(L, 2, "task_id");
  return 3;
}

static const char before[] = "{\"data\":", after[] = ",\"error\":\"\"}"; // of a frame
static const size_t before_len = sizeof before - 1, after_len = sizeof after - 1;

static int l_decode_framed_event(lua_State *L)
{
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  JsonWanted wanted = wanted_of_event;
  lua_settop(L, 1);
  if (len < before_len + after_len || memcmp(text, before, before_len) != 0 ||
      memcmp(text + len - after_len, after, after_len) != 0)
    return 0;
  len -= before_len + after_len;
  last.text = NULL;
  if (!can_be_lazy(text + before_len, len, &wanted))
    return 0;
  lua_pushlstring(L, text + before_len, len);
  last.text = lua_tostring(L, -1);
  return push_lazy(L, text + before_len, &wanted, before_len);
}

// Of a text at the top of the stack that was not scanned: one that was may have lain at its
// address.
static int push_alike(lua_State *L, int members)
{
  if (lua_tostring(L, -1) == last.text)
    last.text = NULL;
  push_unread(L, lua_gettop(L), members);
  return 1;
}

// Stack: [text, members] -> [event]
static int l_event_alike(lua_State *L)
{
  int members = (int)luaL_checkinteger(L, 2);
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  return push_alike(L, members);
}

// Stack: [frame, members] -> [event]
static int l_framed_event_alike(lua_State *L)
{
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  int members = (int)luaL_checkinteger(L, 2);
  luaL_argcheck(L, len > before_len + after_len, 1, "not a frame");
  lua_pushlstring(L, text + before_len, len - before_len - after_len);
  return push_alike(L, members);
}

// --- filling -------------------------------------------------------------------------------------

static bool is_lazy(lua_State *L, int index)
{
  int top = lua_gettop(L);
  bool is_lazy = lua_istable(L, index) && json_kind_of(L, index) == KIND_LAZY;
  lua_settop(L, top);
  return is_lazy;
}

// Stack: [text] -> anything
static void fill_with_text(lua_State *L, int index)
{
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  if (text != last.text) {
    Err err;
    last.text = NULL;
    json_scan(text, len, &last.facts, &err); // it was found good before
    last.text = text;
  }
  lua_pushlightuserdata(L, &text_key);
  lua_pushnil(L);
  lua_rawset(L, index);
  lua_pushnil(L);
  lua_setmetatable(L, index);
  json_fill_decoded(L, index, text, len, &last.facts); // the text is still on the stack
}

// Adds what its metatable names. Stack: anything is pushed
static void fill_with_arrays(lua_State *L, int index)
{
  int meta = lua_gettop(L) + 1, i, count;
  lua_getmetatable(L, index);
  json_push_context(L);
  lua_rawgeti(L, -1, ARRAY_META);
  count = (int)lua_objlen(L, meta);
  for (i = 1; i <= count; i++) {
    lua_rawgeti(L, meta, i);
    lua_newtable(L);
    lua_pushvalue(L, meta + 2);
    lua_setmetatable(L, -2);
    lua_rawset(L, index);
  }
  lua_rawgeti(L, meta, BEHIND);
  lua_setmetatable(L, index);
}

// Memory that runs out half-way leaves a table with some of its members; it also ends the task.
void json_fill(lua_State *L, int index)
{
  int top = lua_gettop(L);
  if (!is_lazy(L, index))
    return;
  luaL_checkstack(L, 8, "cannot decode");
  lua_pushlightuserdata(L, &text_key);
  lua_rawget(L, index);
  if (lua_isnil(L, -1))
    fill_with_arrays(L, index);
  else
    fill_with_text(L, index);
  lua_settop(L, top);
}

// Stack: [table] -> []
static int protected_fill(lua_State *L)
{
  json_fill(L, 1);
  return 0;
}

bool json_touch(lua_State *L, int index)
{
  bool is_filled;
  if (!is_lazy(L, index))
    return true;
  lua_pushcfunction(L, protected_fill);
  lua_pushvalue(L, index);
  is_filled = lua_pcall(L, 1, 0, 0) == 0;
  if (!is_filled)
    lua_pop(L, 1);
  return is_filled;
}

bool json_push_lazy_text(lua_State *L, int index)
{
  int top = lua_gettop(L);
  lua_pushnil(L);
  if (lua_next(L, index)) {
    lua_pop(L, 1);
    if (!lua_next(L, index)) { // nothing else is there
      lua_pushlightuserdata(L, &text_key);
      lua_rawget(L, index);
      if (!lua_isnil(L, -1))
        return true;
    }
  }
  lua_settop(L, top);
  return false;
}

// __index(table, name)
static int l_index(lua_State *L)
{
  lua_settop(L, 2);
  json_fill(L, 1);
  lua_rawget(L, 1);
  return 1;
}

// __newindex(table, name, value)
static int l_newindex(lua_State *L)
{
  lua_settop(L, 3);
  json_fill(L, 1);
  lua_settable(L, 1);
  return 0;
}

static int l_fill(lua_State *L)
{
  lua_settop(L, 1);
  json_fill(L, 1);
  return 0;
}

// Makes the metatable on top one of lazy tables. Stack: [..., lazies, metatable] -> the same
static void set_lazy(lua_State *L)
{
  lua_pushcfunction(L, l_index);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushvalue(L, -1);
  lua_pushboolean(L, 1);
  lua_rawset(L, -4);
}

// Upvalue: lazies. Stack: [names, behind] -> [metatable]
static int l_without_arrays(lua_State *L)
{
  int i, count;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (!fast_paths_are_on())
    return 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  json_push_new_meta(L, KIND_LAZY);
  set_lazy(L);
  count = (int)lua_objlen(L, 1);
  for (i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    lua_rawseti(L, -2, i);
  }
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, BEHIND);
  return 1;
}

void json_lazy_open(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "decode_event", l_decode_event },
    { "decode_framed_event", l_decode_framed_event },
    { "event_alike", l_event_alike },
    { "framed_event_alike", l_framed_event_alike },
    { "fill", l_fill },
    { NULL, NULL },
  };
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "lazies");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_without_arrays, 1);
  lua_setfield(L, -3, "without_arrays");
  if (fast_paths_are_on()) {
    json_push_new_meta(L, KIND_LAZY);
    set_lazy(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -5, LAZY_META);
    lua_setfield(L, -3, "lazy");
  }
  lua_pop(L, 1);
}
