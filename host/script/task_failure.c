// See task_failure.h.
#include "task_failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_lazy.h"

void task_failure_set_code(TaskFailure *failure, const char *code)
{
  snprintf(failure->code, sizeof failure->code, "%s", code);
}

// Appends the string and number fields of the table at `index`, but what an Error tells anyway.
static void describe_fields(lua_State *co, int index, Buffer *text)
{
  lua_pushnil(co);
  while (text->len < 1024 && lua_next(co, index)) {
    const char *name = lua_type(co, -2) == LUA_TSTRING ? lua_tostring(co, -2) : NULL;
    bool is_told = name && (strcmp(name, "message") == 0 || strcmp(name, "status") == 0);
    if (name && !is_told && lua_type(co, -1) == LUA_TSTRING)
      buffer_printf(text, " %s=\"%.300s\"", name, lua_tostring(co, -1));
    else if (name && !is_told && lua_type(co, -1) == LUA_TNUMBER)
      buffer_printf(text, " %s=%.14g", name, lua_tonumber(co, -1));
    lua_pop(co, 1);
  }
}

// Reads the error object at the top of `co` without running any code of the plugin's.
void task_failure_read(lua_State *co, TaskFailure *failure, Buffer *text, Buffer *details)
{
  int top = lua_gettop(co);
  task_failure_set_code(failure, "plugin_error");
  if (top == 0) {
    buffer_string(text, "error object is missing");
  } else if (lua_type(co, top) == LUA_TSTRING) {
    size_t len;
    const char *message = lua_tolstring(co, top, &len);
    buffer_append(text, message, len > 4096 ? 4096 : len);
  } else if (lua_istable(co, top)) {
    bool is_ours = false;
    json_touch(co, top);
    if (lua_getmetatable(co, top)) {
      lua_pushliteral(co, "__moonhook_error");
      lua_rawget(co, -2);
      is_ours = lua_toboolean(co, -1);
      lua_pop(co, 2);
    }
    if (is_ours) {
      size_t len = 0;
      const char *message;
      lua_pushliteral(co, "code");
      lua_rawget(co, top);
      if (lua_type(co, -1) == LUA_TSTRING)
        task_failure_set_code(failure, lua_tostring(co, -1));
      lua_pushliteral(co, "status");
      lua_rawget(co, top);
      failure->status = (int)lua_tointeger(co, -1);
      lua_pushliteral(co, "retry_after_s");
      lua_rawget(co, top);
      failure->retry_after_s = (int)lua_tointeger(co, -1);
      lua_pushliteral(co, "message");
      lua_rawget(co, top);
      message = lua_type(co, -1) == LUA_TSTRING ? lua_tolstring(co, -1, &len) : "";
      buffer_append(text, message, len > 4096 ? 4096 : len);
      lua_settop(co, top);
      describe_fields(co, top, details);
    } else {
      buffer_string(text, "error object is a table");
      describe_fields(co, top, text);
    }
  } else {
    buffer_printf(text, "error object is %s%s", lua_isnil(co, top) ? "" : "a ",
                  luaL_typename(co, top));
  }
}

bool task_failure_place(Span text, char *file, size_t size, int *line)
{
  size_t i;
  for (i = 0; i + 5 < text.len; i++) {
    size_t start = i;
    if (memcmp(text.at + i, ".lua:", 5) != 0)
      continue;
    while (start > 0 && !strchr(" \t\n\"'<(", text.at[start - 1]))
      start--;
    *line = atoi(text.at + i + 5);
    if (*line > 0 && i + 4 - start < size) {
      snprintf(file, size, "%.*s", (int)(i + 4 - start), text.at + start);
      return true;
    }
  }
  return false;
}
