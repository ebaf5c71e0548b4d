// The decoder of bind_json.h: a strict check (base/json_scan.c), which also counts what each table
// will hold, then one pass that makes the values. That pass reads only text that was found good, so
// it has no errors of its own.
//
// All that is allocated here belongs to the Lua state, so an error may jump through.
#include <lauxlib.h>
#include <stdlib.h>

#include "../base/fast_paths.h"
#include "../base/json.h"
#include "../base/utf8.h"
#include "bind_json.h"
#include "json_context.h"

enum {
  MAX_SHARED_NULLS = 8, // names; a metatable that tells of more is not kept for others
  LEVEL_SLOTS = 16,     // of the stack: table, names that are null, key, value, work
};

typedef struct {
  lua_State *L;
  const char *text; // a NUL stands behind it
  size_t len, at;
  const JsonFacts *facts;
  size_t opened;                    // tables so far
  int context, array_meta, scratch; // stack indices
  bool is_plain;
} Decoder;

static void push_value(Decoder *d);

// --- strings and numbers -------------------------------------------------------------------------

static unsigned hex4(const char *digits)
{
  unsigned value = 0;
  int i;
  for (i = 0; i < 4; i++) {
    char c = digits[i];
    value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  }
  return value;
}

static char plain_escape(char letter)
{
  switch (letter) {
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return letter;
  }
}

// Reads the escape at `text` (behind the backslash), writes what it means; returns its length.
static size_t unescape(const char *text, char *out, size_t *written)
{
  unsigned code;
  size_t used = 5;
  if (text[0] != 'u') {
    out[0] = plain_escape(text[0]);
    *written = 1;
    return 1;
  }
  code = hex4(text + 1);
  if (code >= 0xd800 && code < 0xdc00) { // the second half follows: the check saw to it
    code = 0x10000 + ((code - 0xd800) << 10) + (hex4(text + 7) - 0xdc00);
    used = 11;
  }
  *written = utf8_write(out, code);
  return used;
}

// Stack: [] -> [string]
static void push_escaped(Decoder *d, size_t stop)
{
  lua_State *L = d->L;
  char *out = lua_touserdata(L, d->scratch);
  size_t len = 0, n;
  if (!out) { // one for all strings: none becomes longer than the text
    out = lua_newuserdata(L, d->len);
    lua_replace(L, d->scratch);
  }
  for (; d->text[d->at] != '"'; stop = d->at) {
    while (d->text[stop] != '\\' && d->text[stop] != '"')
      stop++;
    memcpy(out + len, d->text + d->at, stop - d->at);
    len += stop - d->at;
    d->at = stop;
    if (d->text[stop] == '"')
      break;
    d->at += 1 + unescape(d->text + stop + 1, out + len, &n);
    len += n;
  }
  d->at++;
  lua_pushlstring(L, out, len);
}

// d->at is at the opening quote. Stack: [] -> [string]
static void push_string(Decoder *d)
{
  const char *start = d->text + ++d->at, *quote = memchr(start, '"', d->len - d->at), *slash;
  size_t len = (size_t)(quote - start);
  slash = d->facts->escapes > 0 ? memchr(start, '\\', len) : NULL;
  if (slash) {
    push_escaped(d, (size_t)(slash - d->text));
    return;
  }
  d->at += len + 1;
  lua_pushlstring(d->L, start, len);
}

// Stack: [] -> [number]
static void push_number(Decoder *d)
{
  static const double powers[] = { 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
  const char *start = d->text + d->at, *at = start;
  bool is_negative = *at == '-';
  uint64_t digits = 0;
  unsigned count = 0, places = 0;
  double number;
  at += is_negative;
  for (; *at >= '0' && *at <= '9'; at++, count++)
    digits = digits * 10 + (uint64_t)(*at - '0');
  if (*at == '.') {
    for (at++; *at >= '0' && *at <= '9'; at++, places++)
      digits = digits * 10 + (uint64_t)(*at - '0');
  }
  if ((*at | 32) == 'e' || count + places > 15) {
    char *end;
    number = strtod(start, &end);
    at = end;
  } else { // digits and power are exact, so the quotient is the double nearest to the decimal
    number = (double)digits / powers[places];
    number = is_negative ? -number : number;
  }
  d->at = (size_t)(at - d->text);
  lua_pushnumber(d->L, number);
}

// --- nulls ---------------------------------------------------------------------------------------
//
// The names of an object's null members are told by its metatable. Texts of one kind have the same
// nulls, so the last metatables are kept and shared.

static size_t null_slot(lua_State *L, int names, int count)
{
  uintptr_t hash = 0;
  int i;
  for (i = 0; i < count; i++)
    hash = hash * 31 + ((uintptr_t)lua_tostring(L, names + i) >> 3); // strings are interned
  return (hash ^ hash >> 7) % NULL_METAS;
}

static bool tells_of(lua_State *L, int meta, int names, int count)
{
  bool is_same = lua_istable(L, meta) && lua_objlen(L, meta) == (size_t)count;
  int i;
  for (i = 0; is_same && i < count; i++) {
    lua_rawgeti(L, meta, i + 1);
    is_same = lua_rawequal(L, -1, names + i);
    lua_pop(L, 1);
  }
  return is_same;
}

// Stack: [table, ... names] -> [table], which has the metatable
static void set_nulls(Decoder *d, int table, int count)
{
  lua_State *L = d->L;
  int slot = FIRST_NULL_META + (int)null_slot(L, table + 1, count), i;
  lua_rawgeti(L, d->context, slot);
  if (!fast_paths_are_on() || !tells_of(L, lua_gettop(L), table + 1, count)) {
    lua_pop(L, 1);
    json_push_new_meta(L, KIND_NULLS);
    for (i = 0; i < count; i++) {
      lua_pushvalue(L, table + 1 + i);
      lua_rawseti(L, -2, i + 1);
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, d->context, slot);
  }
  lua_setmetatable(L, table);
  lua_settop(L, table);
}

// Notes the null member whose name is on top, and forgets what came before under that name.
// Stack: [table, ... names, name] -> [table, ... names]
static void note_null(Decoder *d, int table, int *count)
{
  lua_State *L = d->L;
  int i;
  lua_pushvalue(L, -1);
  lua_rawget(L, table);
  if (!lua_isnil(L, -1)) {
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, table);
  }
  lua_pop(L, 1);
  if (*count < MAX_SHARED_NULLS) {
    ++*count;
    return;
  }
  if (!lua_getmetatable(L, table)) { // too many to be shared: the first ones move there
    json_push_new_meta(L, KIND_NULLS);
    for (i = 0; i < MAX_SHARED_NULLS; i++) {
      lua_pushvalue(L, table + 1 + i);
      lua_rawseti(L, -2, i + 1);
    }
    lua_pushvalue(L, -1);
    lua_setmetatable(L, table);
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
  lua_pop(L, 1);
}

// --- tables --------------------------------------------------------------------------------------

static void skip_some_space(Decoder *d)
{
  while ((unsigned char)d->text[d->at] <= ' ' && d->at < d->len)
    d->at++;
}

// Most tokens have none in front of them.
static inline void skip_space(Decoder *d)
{
  if ((unsigned char)d->text[d->at] <= ' ')
    skip_some_space(d);
}

static int size_of_next(Decoder *d)
{
  size_t index = d->opened++;
  return index < JSON_COUNTED_TABLES ? (int)d->facts->sizes[index] : 0;
}

// d->at is behind the bracket. Stack: [] -> [table]
static void push_array(Decoder *d)
{
  lua_State *L = d->L;
  int count = 0;
  lua_createtable(L, size_of_next(d), 0);
  skip_space(d);
  if (d->text[d->at] == ']') {
    lua_pushvalue(L, d->array_meta);
    lua_setmetatable(L, -2);
  }
  while (d->text[d->at] != ']') {
    push_value(d);
    lua_rawseti(L, -2, ++count);
    skip_space(d);
    if (d->text[d->at] == ',')
      d->at++;
    skip_space(d);
  }
  d->at++;
}

// d->at is behind the bracket of the object that goes into the table on top. Stack: unchanged
static void fill_object(Decoder *d)
{
  lua_State *L = d->L;
  int table = lua_gettop(L), nulls = 0;
  skip_space(d);
  while (d->text[d->at] != '}') {
    push_string(d);
    skip_space(d);
    d->at++; // the colon
    skip_space(d);
    if (d->is_plain && d->text[d->at] == 'n') {
      d->at += 4;
      note_null(d, table, &nulls);
    } else {
      push_value(d);
      lua_rawset(L, table);
    }
    skip_space(d);
    if (d->text[d->at] == ',')
      d->at++;
    skip_space(d);
  }
  d->at++;
  if (nulls > 0 && lua_getmetatable(L, table))
    lua_settop(L, table); // it has one of its own
  else if (nulls > 0)
    set_nulls(d, table, nulls);
}

// d->at is behind the bracket. Stack: [] -> [table]
static void push_object(Decoder *d)
{
  lua_createtable(d->L, 0, size_of_next(d));
  fill_object(d);
}

// d->at is at the value's first character. Stack: [] -> [value]
static void push_value(Decoder *d)
{
  switch (d->text[d->at]) {
  case '"':
    push_string(d);
    break;
  case '{':
    d->at++;
    luaL_checkstack(d->L, LEVEL_SLOTS, "cannot decode so many levels");
    push_object(d);
    break;
  case '[':
    d->at++;
    luaL_checkstack(d->L, LEVEL_SLOTS, "cannot decode so many levels");
    push_array(d);
    break;
  case 't':
    d->at += 4;
    lua_pushboolean(d->L, 1);
    break;
  case 'f':
    d->at += 5;
    lua_pushboolean(d->L, 0);
    break;
  case 'n':
    d->at += 4;
    lua_pushlightuserdata(d->L, NULL);
    break;
  default:
    push_number(d);
  }
}

// Stack: [] -> [context, array's metatable, scratch]
static Decoder begin(lua_State *L, const char *text, size_t len, const JsonFacts *facts,
                     bool is_plain)
{
  int top = lua_gettop(L);
  Decoder decoder = { L, text, len, 0, facts, 0, top + 1, top + 2, top + 3, is_plain };
  luaL_checkstack(L, LEVEL_SLOTS, "cannot decode");
  json_push_context(L);
  lua_rawgeti(L, decoder.context, ARRAY_META);
  lua_pushnil(L);
  skip_space(&decoder);
  return decoder;
}

static void push_document(lua_State *L, const char *text, size_t len, const JsonFacts *facts,
                          bool is_plain)
{
  Decoder decoder = begin(L, text, len, facts, is_plain);
  push_value(&decoder);
  if (is_plain && lua_islightuserdata(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_replace(L, decoder.context);
  lua_settop(L, decoder.context);
}

bool json_push_decoded(lua_State *L, const char *text, size_t len, bool is_plain)
{
  JsonFacts facts;
  Err err;
  if (json_scan(text, len, &facts, &err) < 0) {
    lua_pushstring(L, err.text);
    return false;
  }
  push_document(L, text, len, &facts, is_plain);
  return true;
}

void json_push_checked(lua_State *L, const char *text, size_t len, const JsonFacts *facts)
{
  push_document(L, text, len, facts, true);
}

void json_fill_decoded(lua_State *L, int index, const char *text, size_t len,
                       const JsonFacts *facts)
{
  int top = lua_gettop(L);
  Decoder decoder = begin(L, text, len, facts, true);
  decoder.at++; // the bracket
  decoder.opened++;
  lua_pushvalue(L, index);
  fill_object(&decoder);
  lua_settop(L, top);
}
