// host.log: write(level, message, fields?) - a record under the plugin's name; lines are cut at 4
// KiB.
#include <string.h>

#include "../base/log.h"
#include "bind.h"
#include "json_lazy.h"
#include "task.h"

enum { MAX_FIELDS = 16, MAX_TEXT = 4096 };

// Keys go into the line as they are.
static bool is_plain_name(const char *text, size_t len)
{
  return len > 0 && len <= 64 &&
         strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

static int l_log_write(lua_State *L)
{
  static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
  LogField fields[MAX_FIELDS + 3] = { LOG_S("plugin", state_name(state_of(L))) };
  int level = luaL_checkoption(L, 1, "info", levels), count = 1, limit = MAX_FIELDS;
  Task *task = task_current(L);
  size_t len;
  const char *message = luaL_checklstring(L, 2, &len);
  char text[MAX_TEXT + 1];
  if (len > MAX_TEXT)
    len = MAX_TEXT;
  memcpy(text, message, len);
  text[len] = '\0';
  if (task && *task_request_id(task)) {
    fields[count++] = (LogField)LOG_S("request_id", task_request_id(task));
    limit++;
  }
  if (lua_istable(L, 3)) {
    json_fill(L, 3);
    lua_pushnil(L);
    while (count <= limit && lua_next(L, 3)) {
      if (lua_type(L, -2) == LUA_TSTRING && is_plain_name(lua_tostring(L, -2), lua_objlen(L, -2))) {
        LogField *field = &fields[count];
        field->key = lua_tostring(L, -2);
        if (lua_type(L, -1) == LUA_TSTRING) {
          field->type = LOG_BYTES;
          field->text = lua_tolstring(L, -1, &field->len);
          field->len = field->len > MAX_TEXT ? MAX_TEXT : field->len;
          count++;
        } else if (lua_type(L, -1) == LUA_TNUMBER) {
          field->type = LOG_REAL;
          field->number = lua_tonumber(L, -1);
          count++;
        } else if (lua_isboolean(L, -1)) {
          field->type = LOG_BOOL;
          field->integer = lua_toboolean(L, -1);
          count++;
        }
      }
      lua_pop(L, 1);
    }
  }
  fields[count].type = LOG_END;
  log_write((LogLevel)level, text, fields);
  return 0;
}

int luaopen_host_log(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_log_write);
  lua_setfield(L, -2, "write");
  return 1;
}
