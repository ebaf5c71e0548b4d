// See event_frame.h.
#include "event_frame.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include <uv.h>

#include "../script/bind_json.h"
#include "../script/json_lazy.h"

void event_frame_data(Buffer *frame, Span data)
{
  const char *at = data.at, *end = data.at + data.len;
  for (;;) {
    const char *stop = at;
    while (stop < end && *stop != '\n' && *stop != '\r')
      stop++;
    buffer_append(frame, "data: ", 6);
    buffer_append(frame, at, (size_t)(stop - at));
    buffer_char(frame, '\n');
    if (stop == end)
      return;
    at = stop + 1 + (*stop == '\r' && stop + 1 < end && stop[1] == '\n');
  }
}

// The value is at the top of L.
static int add_line(lua_State *L, const char *name, Buffer *frame, Err *err)
{
  size_t len = 0;
  const char *text = lua_tolstring(L, -1, &len);
  if (!text || memchr(text, '\n', len) || memchr(text, '\r', len) || memchr(text, 0, len))
    return err_set(err, UV_EINVAL, "an event's `%s` must be one line", name);
  buffer_printf(frame, "%s: %s\n", name, text);
  return 0;
}

static int add_retry(lua_State *L, Buffer *frame, Err *err)
{
  double ms = lua_tonumber(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER || !(ms >= 0 && ms < 1e15) || ms != floor(ms))
    return err_set(err, UV_EINVAL, "an event's `retry` must be a whole number of milliseconds");
  buffer_printf(frame, "retry: %.0f\n", ms);
  return 0;
}

static int add_data(lua_State *L, Buffer *frame, Err *err)
{
  Buffer json = { 0 };
  Span text = { "", 0 };
  if (lua_istable(L, -1)) {
    Err why;
    if (json_encode_value(L, lua_gettop(L), &json, &why) < 0) {
      buffer_free(&json);
      return err_set(err, UV_EINVAL, "data: %.150s", why.text);
    }
    text = (Span){ json.bytes, json.len };
  } else if (!lua_isnil(L, -1)) {
    text.at = lua_tolstring(L, -1, &text.len);
    if (!text.at)
      return err_set(err, UV_EINVAL, "an event's `data` must be a string or a table, got a %s",
                     luaL_typename(L, -1));
  }
  event_frame_data(frame, text);
  buffer_free(&json);
  return 0;
}

static int add_field(lua_State *L, const char *name, Buffer *frame, Err *err)
{
  int rc = 0;
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  if (strcmp(name, "data") == 0)
    rc = add_data(L, frame, err);
  else if (!lua_isnil(L, -1))
    rc = strcmp(name, "retry") == 0 ? add_retry(L, frame, err) : add_line(L, name, frame, err);
  lua_pop(L, 1);
  return rc;
}

static const char *const fields[] = { "event", "id", "retry", "data" };
enum { FIELDS = sizeof fields / sizeof *fields };

static bool is_field(lua_State *L, int index)
{
  size_t i;
  for (i = 0; lua_type(L, index) == LUA_TSTRING && i < FIELDS; i++) {
    if (strcmp(lua_tostring(L, index), fields[i]) == 0)
      return true;
  }
  return false;
}

static int check_names(lua_State *L, Err *err)
{
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (is_field(L, -2))
      continue;
    if (lua_type(L, -2) == LUA_TSTRING)
      err_set(err, UV_EINVAL, "an event has no field '%.60s': it has event, id, retry and data",
              lua_tostring(L, -2));
    else
      err_set(err, UV_EINVAL, "an event is a table of event, id, retry and data, not a list");
    lua_pop(L, 2);
    return UV_EINVAL;
  }
  return 0;
}

int event_frame(lua_State *L, Buffer *frame, Err *err)
{
  int rc;
  size_t i;
  json_touch(L, lua_gettop(L));
  rc = check_names(L, err);
  for (i = 0; rc == 0 && i < FIELDS; i++)
    rc = add_field(L, fields[i], frame, err);
  buffer_char(frame, '\n');
  return rc;
}
