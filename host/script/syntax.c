// See syntax.h. LuaJIT's messages give a line and the token they stopped at; the column is where
// that token stands in the line.
#include "syntax.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char EXPECTED[] = " expected", NEAR[] = " near ";

// The token's column if it stands in the line only once, else that of the line's first character.
static int column_of(const char *source, size_t source_len, int line, const char *message)
{
  const char *stop = source + source_len, *at = source, *token = strstr(message, " near '");
  const char *end, *found;
  size_t len;
  int start;
  while (line-- > 1 && at) {
    at = memchr(at, '\n', (size_t)(stop - at));
    at = at ? at + 1 : NULL;
  }
  if (!at || at == stop)
    return 1;
  end = memchr(at, '\n', (size_t)(stop - at));
  if (!end)
    end = stop;
  for (start = 1; at + start <= end && (at[start - 1] == ' ' || at[start - 1] == '\t');)
    start++;
  if (!token)
    return start;
  token += strlen(" near '");
  if (strcmp(token, "<eof>'") == 0)
    return (int)(end - at) + 1;
  len = strlen(token);
  len -= len > 0 && token[len - 1] == '\'';
  found = len > 0 ? memmem(at, (size_t)(end - at), token, len) : NULL;
  if (!found || memmem(found + 1, (size_t)(end - found - 1), token, len))
    return start;
  return (int)(found - at) + 1;
}

// "'=' expected near 'x'" says "expected '=', got 'x'", as our own messages do.
static int retell(const char *message, Err *err)
{
  const char *expected = strstr(message, EXPECTED), *near = strstr(message, NEAR), *rest;
  if (!expected || !near || near < expected)
    return err_set(err, UV_EINVAL, "syntax: %s", message);
  rest = expected + strlen(EXPECTED);
  return err_set(err, UV_EINVAL, "syntax: expected %.*s%.*s, got %s", (int)(expected - message),
                 message, (int)(near - rest), rest, near + strlen(NEAR));
}

int syntax_check(const char *source, size_t len, int *line, int *column, Err *err)
{
  lua_State *L;
  int rc = 0;
  *line = *column = 1;
  if (len > 0 && source[0] == '\x1b')
    return err_set(err, UV_EINVAL, "expected Lua source text, got bytecode");
  L = luaL_newstate();
  if (!L)
    abort(); // no memory: crash-only
  if (luaL_loadbufferx(L, len > 0 ? source : "", len, "=lua", "t") != 0) {
    const char *message = lua_tostring(L, -1); // "lua:LINE: text"
    const char *text = message ? strchr(message, ':') : NULL;
    if (text) {
      *line = atoi(text + 1);
      text = strchr(text + 1, ':');
    }
    text = text ? text + 1 + (text[1] == ' ') : "does not compile";
    *column = column_of(source, len, *line, text);
    rc = retell(text, err);
  }
  lua_close(L);
  return rc;
}
