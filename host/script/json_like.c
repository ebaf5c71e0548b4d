// See json_like.h.
#include "json_like.h"

#include <lauxlib.h>

#include "../base/fast_paths.h"
#include "../base/json.h"
#include "../base/utf8.h"

// Whether the bytes can stand in a JSON string and mean themselves.
static bool is_plain(const char *text, size_t len)
{
  size_t i = 0, n;
  while (i < len) {
    unsigned char c;
    i += json_plain_run(text + i, len - i);
    if (i == len)
      break;
    c = (unsigned char)text[i];
    if (c < 0x20 || c == '"' || c == '\\')
      return false;
    n = c < 0x80 ? 1 : utf8_length(text + i, len - i);
    if (n == 0)
      return false;
    i += n;
  }
  return true;
}

bool json_is_like(Span known, size_t before, size_t after, Span text, Span *found)
{
  if (text.len <= before + after || !fast_paths_are_on() ||
      memcmp(text.at, known.at, before) != 0 ||
      memcmp(text.at + text.len - after, known.at + known.len - after, after) != 0)
    return false;
  *found = (Span){ text.at + before, text.len - before - after };
  return is_plain(found->at, found->len);
}

// See bind_json.h.
int json_l_text_like(lua_State *L)
{
  Span known, text, found;
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
  known.at = luaL_checklstring(L, 1, &known.len);
  text.at = luaL_checklstring(L, 4, &text.len);
  luaL_argcheck(L, first >= 1 && (size_t)first <= known.len, 2, "not a place in the text");
  luaL_argcheck(L, last >= first - 1 && (size_t)last <= known.len, 3, "not a place in the text");
  if (!json_is_like(known, (size_t)first - 1, known.len - (size_t)last, text, &found))
    return 0;
  lua_pushlstring(L, found.at, found.len);
  return 1;
}
