// host.log: write(level, message, fields?) - a record under the plugin's name and the request. What
// is secret, or looks like it, is masked; texts are cut at 4 KiB.
#include <string.h>

#include "../base/log.h"
#include "../base/mask.h"
#include "bind.h"
#include "json_lazy.h"
#include "json_view.h"
#include "task.h"

enum { MAX_FIELDS = 16, MAX_TEXT = 4096 };

// The host's own names mean what the host says: a second one in a line would be taken for it.
static const char *key_of(const char *name)
{
  static const char *const names[][2] = {
    { "time", "field.time" },         { "level", "field.level" },
    { "msg", "field.msg" },           { "plugin", "field.plugin" },
    { "endpoint", "field.endpoint" }, { "request_id", "field.request_id" },
    { "process", "field.process" },   { "pid", "field.pid" },
  };
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(name, names[i][0]) == 0)
      return names[i][1];
  }
  return name;
}

// Keys go into the line as they are.
static bool is_plain_name(const char *text, size_t len)
{
  return len > 0 && len <= 64 &&
         strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

// The fields of the table at index 3, as far as they are plain; `texts` keeps what they point to.
static int read_fields(lua_State *L, LogField *fields, Buffer *texts)
{
  int count = 0;
  json_fill(L, 3);
  json_look_behind(L, 3);
  lua_pushnil(L);
  while (count < MAX_FIELDS && lua_next(L, 3)) {
    LogField *field = &fields[count];
    Span text = { NULL, 0 };
    *field = (LogField){ .type = LOG_END };
    if (lua_type(L, -2) != LUA_TSTRING || !is_plain_name(lua_tostring(L, -2), lua_objlen(L, -2))) {
      lua_pop(L, 1);
      continue;
    }
    field->key = key_of(lua_tostring(L, -2));
    if (lua_type(L, -1) == LUA_TSTRING) {
      text.at = lua_tolstring(L, -1, &text.len);
      field->type = LOG_BYTES;
      if (mask_is_secret_name(field->key))
        text = span_of(MASK);
      log_clean(text, MAX_TEXT, &texts[count]);
      field->text = texts[count].bytes ? texts[count].bytes : "";
      field->len = texts[count].len;
    } else if (lua_type(L, -1) == LUA_TNUMBER) {
      field->type = LOG_REAL;
      field->number = lua_tonumber(L, -1);
    } else if (lua_isboolean(L, -1)) {
      field->type = LOG_BOOL;
      field->integer = lua_toboolean(L, -1);
    }
    count += field->type != LOG_END;
    lua_pop(L, 1);
  }
  return count;
}

static int l_log_write(lua_State *L)
{
  static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
  LogField fields[MAX_FIELDS + 3] = { LOG_S("plugin", state_name(state_of(L))) };
  Buffer texts[MAX_FIELDS] = { { 0 } }, text = { 0 };
  int level = luaL_checkoption(L, 1, "info", levels), count = 1, i;
  Task *task = task_current(L);
  Span message;
  message.at = luaL_checklstring(L, 2, &message.len);
  if (!log_wants((LogLevel)level) || !state_may_log(state_of(L), task && !task_may_log(task)))
    return 0;
  if (task && *task_request_id(task))
    fields[count++] = (LogField)LOG_S("request_id", task_request_id(task));
  if (lua_istable(L, 3))
    count += read_fields(L, fields + count, texts);
  fields[count].type = LOG_END;
  log_clean(message, MAX_TEXT, &text);
  log_write((LogLevel)level, text.bytes ? text.bytes : "", fields);
  buffer_free(&text);
  for (i = 0; i < MAX_FIELDS; i++)
    buffer_free(&texts[i]);
  return 0;
}

int luaopen_host_log(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_log_write);
  lua_setfield(L, -2, "write");
  return 1;
}
