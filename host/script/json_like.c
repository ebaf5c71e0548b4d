// Texts that repeat: the events of a model's stream differ in one string. Once it was decoded where
// that string stands, and what the rest says, only the string has to be read of the next one.
#include <lauxlib.h>

#include "../base/fast_paths.h"
#include "../base/json.h"
#include "../base/utf8.h"
#include "json_context.h"

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
    n = utf8_length(text + i, len - i);
    if (n == 0)
      return false;
    i += n;
  }
  return true;
}

// See bind_json.h.
int json_l_text_like(lua_State *L)
{
  size_t known_len, len, before, after;
  const char *known = luaL_checklstring(L, 1, &known_len);
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
  const char *text = luaL_checklstring(L, 4, &len);
  luaL_argcheck(L, first >= 1 && (size_t)first <= known_len, 2, "not a place in the text");
  luaL_argcheck(L, last >= first - 1 && (size_t)last <= known_len, 3, "not a place in the text");
  before = (size_t)first - 1;
  after = known_len - (size_t)last;
  if (!fast_paths_are_on() || len < before + after || memcmp(text, known, before) != 0 ||
      memcmp(text + len - after, known + known_len - after, after) != 0 ||
      !is_plain(text + before, len - before - after))
    return 0;
  lua_pushlstring(L, text + before, len - before - after);
  return 1;
}
