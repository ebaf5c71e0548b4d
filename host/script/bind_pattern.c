// host.pattern: string.find, match, gmatch and gsub over pattern.h. They read their arguments as
// LuaJIT's do, so that nobody can tell them apart. Where gsub has to call Lua the loop is Lua's
// (moonhook/pattern.lua), over `steps`; a C function that calls Lua could not be waited in.
#include "bind_pattern.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "../base/fast_paths.h"
#include "pattern.h"

typedef struct {
  const char *at;
  size_t len;
} Text;

static Text check_text(lua_State *L, int index)
{
  Text text;
  text.at = luaL_checklstring(L, index, &text.len);
  return text;
}

// An optional number as LuaJIT reads one: 32 bits, the smallest where it does not fit.
static int32_t check_int(lua_State *L, int index, int32_t otherwise)
{
  lua_Number number;
  if (lua_isnoneornil(L, index))
    return otherwise;
  number = luaL_checknumber(L, index);
  return number > -2147483649.0 && number < 2147483648.0 ? (int32_t)number : INT32_MIN;
}

// Where to begin: `init` counts from 1, from the end when it is negative.
static const char *check_init(lua_State *L, int index, Text subject)
{
  int64_t init = check_int(L, index, 1);
  init = init < 0 ? init + (int64_t)subject.len : init - 1;
  if (init < 0)
    init = 0;
  return subject.at + ((uint64_t)init > subject.len ? (int64_t)subject.len : init);
}

static void begin(Match *match, lua_State *L, int blame, Text subject, Text pattern)
{
  match_begin(match, L, blame, subject.at, subject.len, pattern.at);
}

// The first match from *at on, or the one at *at where the pattern says '^'.
static const char *search(Match *match, Text pattern, const char **at)
{
  if (*pattern.at == '^' && pattern.len > 0)
    return match_at(match, pattern.at + 1, *at);
  return match_search(match, pattern.at, at);
}

static int push_span(lua_State *L, Text subject, const char *start, const char *end)
{
  lua_pushinteger(L, start - subject.at + 1);
  lua_pushinteger(L, end - subject.at);
  return 2;
}

// memmem prepares itself with care, which does not pay for a short text.
static const char *find_plain(const char *at, size_t len, Text text)
{
  enum { MAX_SHORT = 16 };
  const char *end = at + len;
  if (text.len == 0)
    return at;
  if (text.len > MAX_SHORT || !fast_paths_are_on())
    return memmem(at, len, text.at, text.len);
  while (at && (size_t)(end - at) >= text.len) {
    at = memchr(at, *text.at, (size_t)(end - at) - text.len + 1);
    if (at && memcmp(at, text.at, text.len) == 0)
      return at;
    at = at ? at + 1 : NULL;
  }
  return NULL;
}

// find(subject, pattern, init?, is_plain?) -> first, last, captures...
static int l_find(lua_State *L)
{
  Text subject = check_text(L, 1), pattern = check_text(L, 2);
  const char *at = check_init(L, 3, subject), *end;
  Match match;
  if (lua_toboolean(L, 4) || pattern_is_plain(pattern.at, pattern.len)) {
    at = find_plain(at, subject.len - (size_t)(at - subject.at), pattern);
    end = at ? at + pattern.len : NULL;
    match.count = 0;
  } else {
    begin(&match, L, 1, subject, pattern);
    end = search(&match, pattern, &at);
  }
  if (!end) {
    lua_pushnil(L);
    return 1;
  }
  push_span(L, subject, at, end);
  return match.count ? 2 + match_push_captures(&match, at, end, false) : 2;
}

// match(subject, pattern, init?) -> captures...
static int l_match(lua_State *L)
{
  Text subject = check_text(L, 1), pattern = check_text(L, 2);
  const char *at = check_init(L, 3, subject), *end;
  Match match;
  begin(&match, L, 1, subject, pattern);
  end = search(&match, pattern, &at);
  if (end)
    return match_push_captures(&match, at, end, true);
  lua_pushnil(L);
  return 1;
}

// Upvalues: subject, pattern, offset of the next.
static int next_of_gmatch(lua_State *L)
{
  Text subject, pattern;
  const char *at, *end;
  Match match;
  lua_settop(L, 0);
  subject.at = lua_tolstring(L, lua_upvalueindex(1), &subject.len);
  pattern.at = lua_tolstring(L, lua_upvalueindex(2), &pattern.len);
  at = subject.at + lua_tointeger(L, lua_upvalueindex(3));
  begin(&match, L, 1, subject, pattern);
  end = match_search(&match, pattern.at, &at);
  if (!end)
    return 0;
  lua_pushinteger(L, end - subject.at + (end == at));
  lua_replace(L, lua_upvalueindex(3));
  return match_push_captures(&match, at, end, true);
}

// gmatch(subject, pattern) -> iterator. A '^' is a character like others.
static int l_gmatch(lua_State *L)
{
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_of_gmatch, 3);
  return 1;
}

// --- gsub ----------------------------------------------------------------------------------------

// Bytes that grow; from the second block on they are userdata, kept at the index `slot`.
typedef struct {
  int slot;
  char *bytes;
  size_t len, room;
} Output;

typedef struct {
  Match match;
  Text subject, pattern;
  const char *at;          // where to look next
  const char *kept;        // what is not in the output yet
  const char *start, *end; // of the match
  int32_t limit, count;
  Output out;
} Gsub;

static void add(Gsub *gsub, const char *bytes, size_t len)
{
  Output *out = &gsub->out;
  if (len > out->room - out->len) {
    lua_State *L = gsub->match.L;
    size_t room = (out->len + len) * 2;
    char *more = lua_newuserdata(L, room);
    memcpy(more, out->bytes, out->len);
    lua_replace(L, out->slot);
    out->bytes = more;
    out->room = room;
  }
  memcpy(out->bytes + out->len, bytes, len);
  out->len += len;
}

static void add_match(Gsub *gsub)
{
  add(gsub, gsub->start, (size_t)(gsub->end - gsub->start));
}

static void add_capture(Gsub *gsub, int index)
{
  Match *match = &gsub->match;
  const Capture *capture = &match->captures[index];
  size_t len;
  const char *bytes;
  if (index < match->count && capture->len >= 0) {
    add(gsub, capture->start, (size_t)capture->len);
    return;
  }
  match_push_capture(match, index, gsub->start, gsub->end);
  bytes = lua_tolstring(match->L, -1, &len);
  add(gsub, bytes, len);
  lua_pop(match->L, 1);
}

// The replacement's text, %0 to %9 filled in.
static void add_text(Gsub *gsub, Text text)
{
  const char *p = text.at, *text_end = text.at + text.len, *mark;
  while ((mark = memchr(p, '%', (size_t)(text_end - p)))) {
    add(gsub, p, (size_t)(mark - p));
    p = mark + 1; // at the last it is the zero byte, and goes in
    if (*p == '0')
      add_match(gsub);
    else if (*p >= '1' && *p <= '9')
      add_capture(gsub, *p - '1');
    else
      add(gsub, p, 1);
    if (++p > text_end)
      return;
  }
  add(gsub, p, (size_t)(text_end - p));
}

// The value on top of the stack, which is popped; nil or false: the match stays.
static void add_value(Gsub *gsub)
{
  lua_State *L = gsub->match.L;
  if (!lua_toboolean(L, -1)) {
    add_match(gsub);
  } else if (lua_isstring(L, -1)) {
    size_t len;
    const char *bytes = lua_tolstring(L, -1, &len);
    add(gsub, bytes, len);
  } else {
    const char *type = luaL_typename(L, -1);
    match_raise(&gsub->match, lua_pushfstring(L, "invalid replacement value (a %s)", type));
  }
  lua_pop(L, 1);
}

static void gsub_begin(Gsub *gsub, lua_State *L, int blame, Text subject, Text pattern)
{
  gsub->subject = subject;
  gsub->pattern = pattern;
  gsub->at = gsub->kept = subject.at;
  gsub->start = gsub->end = NULL;
  gsub->count = 0;
  begin(&gsub->match, L, blame, subject, pattern);
}

// Finds the next match and puts what stands before it into the output.
static bool gsub_next(Gsub *gsub)
{
  const char *subject_end = gsub->match.subject_end;
  bool is_over = gsub->count > 0 && *gsub->pattern.at == '^';
  if (is_over || gsub->count >= gsub->limit || gsub->at > subject_end)
    return false;
  gsub->start = gsub->at;
  gsub->end = search(&gsub->match, gsub->pattern, &gsub->start);
  if (!gsub->end)
    return false;
  gsub->count++;
  add(gsub, gsub->kept, (size_t)(gsub->start - gsub->kept));
  gsub->kept = gsub->end;
  gsub->at = gsub->end == gsub->start ? gsub->end + 1 : gsub->end;
  return true;
}

static void gsub_push_text(Gsub *gsub)
{
  lua_State *L = gsub->match.L;
  if (gsub->count == 0) {
    lua_pushlstring(L, gsub->subject.at, gsub->subject.len);
    return;
  }
  add(gsub, gsub->kept, (size_t)(gsub->match.subject_end - gsub->kept));
  lua_pushlstring(L, gsub->out.bytes, gsub->out.len);
}

// gsub(subject, pattern, text|table, limit?) -> text, count
static int l_gsub(lua_State *L)
{
  Text subject = check_text(L, 1), pattern = check_text(L, 2), text = { "", 0 };
  int type = lua_type(L, 3);
  bool is_text = type == LUA_TSTRING || type == LUA_TNUMBER;
  char first[1024];
  Gsub gsub;
  luaL_argcheck(L, is_text || type == LUA_TTABLE || type == LUA_TFUNCTION, 3,
                "string/function/table expected");
  gsub.limit = check_int(L, 4, (int32_t)(subject.len + 1));
  if (type == LUA_TFUNCTION)
    return luaL_error(L, "gsub: a function is called by moonhook.pattern");
  if (is_text)
    text = check_text(L, 3);
  lua_settop(L, 4);
  gsub.out = (Output){ 4, first, 0, sizeof first };
  gsub_begin(&gsub, L, 1, subject, pattern);
  while (gsub_next(&gsub)) {
    if (is_text) {
      add_text(&gsub, text);
    } else {
      match_push_capture(&gsub.match, 0, gsub.start, gsub.end);
      lua_rawget(L, 3);
      add_value(&gsub);
    }
  }
  gsub_push_text(&gsub);
  lua_pushinteger(L, gsub.count);
  return 2;
}

typedef struct {
  Gsub gsub;
  bool is_key; // for a table, which is asked for the first capture only
  char first[256];
} Stepper;

// step(value for the match before) -> captures... | nil, text, count
// Upvalues: subject, pattern, Stepper, output.
static int l_step(lua_State *L)
{
  Stepper *stepper = lua_touserdata(L, lua_upvalueindex(3));
  Gsub *gsub = &stepper->gsub;
  gsub->match.L = L; // a coroutine may begin it and another end it
  lua_settop(L, 1);
  if (gsub->count > 0)
    add_value(gsub);
  if (gsub_next(gsub)) {
    if (!stepper->is_key)
      return match_push_captures(&gsub->match, gsub->start, gsub->end, true);
    match_push_capture(&gsub->match, 0, gsub->start, gsub->end);
    return 1;
  }
  lua_pushnil(L);
  gsub_push_text(gsub);
  lua_pushinteger(L, gsub->count);
  return 3;
}

// steps(subject, pattern, limit?, is_key?) -> step
static int l_steps(lua_State *L)
{
  Text subject = check_text(L, 1), pattern = check_text(L, 2);
  int32_t limit = check_int(L, 3, (int32_t)(subject.len + 1));
  bool is_key = lua_toboolean(L, 4);
  Stepper *stepper;
  lua_settop(L, 2);
  stepper = lua_newuserdata(L, sizeof *stepper);
  stepper->is_key = is_key;
  stepper->gsub.limit = limit;
  stepper->gsub.out = (Output){ lua_upvalueindex(4), stepper->first, 0, sizeof stepper->first };
  gsub_begin(&stepper->gsub, L, 2, subject, pattern);
  lua_pushnil(L);
  lua_pushcclosure(L, l_step, 4);
  return 1;
}

int luaopen_host_pattern(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "find", l_find }, { "match", l_match }, { "gmatch", l_gmatch },
    { "gsub", l_gsub }, { "steps", l_steps }, { NULL, NULL },
  };
  lua_newtable(L);
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
  return 1;
}
