// See bind_bed.h. Leaves: each checks its arguments, calls, pushes.
#include "bind_bed.h"

#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../script/bind.h"
#include "bind_bed_parts.h"
#include "client_socket.h"
#include "subject.h"
#include "upstream.h"

enum { MAX_BACKENDS = 32 };

Bed *bind_bed(lua_State *L)
{
  Err err = { 0 };
  Bed *bed = bed_get(&err);
  if (!bed)
    luaL_error(L, "%s", err.text);
  return bed;
}

Span bind_check_span(lua_State *L, int at)
{
  Span span;
  span.at = luaL_checklstring(L, at, &span.len);
  return span;
}

uint32_t bind_check_id(lua_State *L, int at)
{
  return (uint32_t)luaL_checkinteger(L, at);
}

// --- plugins -------------------------------------------------------------------------------------

// Fills in the strings of the array at `index`, borrowed from it.
static void check_strings(lua_State *L, int index, const char **out)
{
  int i, count;
  luaL_checktype(L, index, LUA_TTABLE);
  count = (int)lua_objlen(L, index);
  luaL_argcheck(L, count < MAX_BACKENDS, index, "too many");
  for (i = 0; i < count; i++) {
    lua_rawgeti(L, index, i + 1);
    out[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  out[count] = NULL;
}

static int l_load(lua_State *L)
{
  const char *names[MAX_BACKENDS], *models[MAX_BACKENDS];
  SubjectConfig config = { .dir = luaL_checkstring(L, 1),
                           .settings_json = luaL_checkstring(L, 2),
                           .has_storage = lua_toboolean(L, 3),
                           .names = names,
                           .models = models };
  Buffer problems = { 0 };
  Subject *subject;
  check_strings(L, 4, names);
  check_strings(L, 5, models);
  subject = subject_load(bind_bed(L), &config, &problems);
  if (!subject) {
    lua_pushnil(L);
    lua_pushlstring(L, problems.bytes, problems.len);
    buffer_free(&problems);
    return 2;
  }
  buffer_free(&problems);
  lua_pushinteger(L, subject->id);
  lua_pushinteger(L, subject_port(subject));
  lua_pushstring(L, subject->hook_id);
  lua_pushstring(L, subject->plugin_id);
  lua_pushinteger(L, http_server_port(subject->upstream));
  return 5;
}

// reload(plugin, { name, ... }, { text, ... }) -> true | nil, problems
static int l_reload(lua_State *L)
{
  const char *names[MAX_BACKENDS], *texts[MAX_BACKENDS];
  Span spans[MAX_BACKENDS];
  Subject *subject = subject_find(bind_bed(L), bind_check_id(L, 1));
  Buffer problems = { 0 };
  size_t i;
  int rc;
  check_strings(L, 2, names);
  check_strings(L, 3, texts);
  if (!subject)
    return luaL_error(L, "the plugin is closed");
  for (i = 0; texts[i]; i++) {
    lua_rawgeti(L, 3, (int)i + 1);
    spans[i].at = lua_tolstring(L, -1, &spans[i].len);
    lua_pop(L, 1);
  }
  rc = subject_reload(subject, names, spans, &problems);
  if (rc < 0) {
    lua_pushnil(L);
    lua_pushlstring(L, problems.bytes, problems.len);
  } else {
    lua_pushboolean(L, 1);
  }
  buffer_free(&problems);
  return rc < 0 ? 2 : 1;
}

static int l_close(lua_State *L)
{
  Bed *bed = bind_bed(L);
  Subject *subject = subject_find(bed, bind_check_id(L, 1));
  if (subject)
    subject_close(bed, subject);
  return 0;
}

static int l_live_tasks(lua_State *L)
{
  Subject *subject = subject_find(bind_bed(L), bind_check_id(L, 1));
  lua_pushinteger(L, subject ? (int)subject_live_tasks(subject) : 0);
  return 1;
}

// --- clients -------------------------------------------------------------------------------------

static int l_connect(lua_State *L)
{
  lua_pushinteger(L, client_socket_open(bind_bed(L), (int)luaL_checkinteger(L, 1))->id);
  return 1;
}

static int l_send(lua_State *L)
{
  ClientSocket *socket = client_socket_find(bind_bed(L), bind_check_id(L, 1));
  Span bytes = bind_check_span(L, 2);
  if (socket)
    client_socket_send(socket, bytes);
  return 0;
}

static int l_shut(lua_State *L)
{
  ClientSocket *socket = client_socket_find(bind_bed(L), bind_check_id(L, 1));
  if (socket)
    client_socket_shut(socket);
  return 0;
}

static int l_read(lua_State *L)
{
  ClientSocket *socket = client_socket_find(bind_bed(L), bind_check_id(L, 1));
  lua_pushlstring(L, socket && socket->in.len ? socket->in.bytes : "", socket ? socket->in.len : 0);
  lua_pushboolean(L, !socket || socket->is_eof);
  if (socket) {
    buffer_clear(&socket->in);
    socket->is_told = false;
  }
  return 2;
}

static int l_close_socket(lua_State *L)
{
  client_socket_close(bind_bed(L), bind_check_id(L, 1));
  return 0;
}

// --- upstreams -----------------------------------------------------------------------------------

static int l_call(lua_State *L)
{
  Call *call = upstream_find(bind_bed(L), bind_check_id(L, 1));
  Request *request = call ? call->request : NULL;
  uint32_t i;
  if (!call)
    return 0;
  lua_pushinteger(L, call->subject->id);
  lua_pushlstring(L, request->method.at, request->method.len);
  lua_pushlstring(L, request->target.at, request->target.len);
  lua_createtable(L, (int)request->headers.count * 2, 0);
  for (i = 0; i < request->headers.count; i++) {
    Span name = header_list_name(&request->headers, i);
    Span value = header_list_value(&request->headers, i);
    lua_pushlstring(L, name.at, name.len);
    lua_rawseti(L, -2, (int)i * 2 + 1);
    lua_pushlstring(L, value.at, value.len);
    lua_rawseti(L, -2, (int)i * 2 + 2);
  }
  lua_pushlstring(L, request->body.len ? request->body.bytes : "", request->body.len);
  return 5;
}

static int l_begin(lua_State *L)
{
  Call *call = upstream_find(bind_bed(L), bind_check_id(L, 1));
  int status = (int)luaL_checkinteger(L, 2), i, count;
  HeaderList headers = { 0 };
  luaL_argcheck(L, status >= 200 && status <= 599, 2, "a status from 200 to 599");
  luaL_checktype(L, 3, LUA_TTABLE);
  count = (int)lua_objlen(L, 3);
  for (i = 1; i < count; i += 2) { // strings, each of them: the library has seen to it
    Span name, value;
    lua_rawgeti(L, 3, i);
    lua_rawgeti(L, 3, i + 1);
    name.at = lua_tolstring(L, -2, &name.len);
    value.at = lua_tolstring(L, -1, &value.len);
    if (name.at && value.at && header_is_valid(name, value))
      header_list_add(&headers, name, value);
    lua_pop(L, 2);
  }
  if (call)
    reply_begin(call->request, status, &headers, -1);
  header_list_free(&headers);
  return 0;
}

static int l_piece(lua_State *L)
{
  Call *call = upstream_find(bind_bed(L), bind_check_id(L, 1));
  Span bytes = bind_check_span(L, 2);
  if (call)
    reply_piece(call->request, bytes.at, bytes.len);
  return 0;
}

static int l_finish(lua_State *L)
{
  Call *call = upstream_find(bind_bed(L), bind_check_id(L, 1));
  if (call)
    reply_end(call->request);
  return 0;
}

static int l_abort(lua_State *L)
{
  Call *call = upstream_find(bind_bed(L), bind_check_id(L, 1));
  if (call)
    reply_abort(call->request);
  return 0;
}

// --- time ----------------------------------------------------------------------------------------

static int l_next(lua_State *L)
{
  static const char *const names[] = { NULL, "data", "call", "over", "left", "timer" };
  bool has_end = !lua_isnoneornil(L, 1);
  Event event = bed_next(bind_bed(L), has_end ? (uint64_t)luaL_checknumber(L, 1) : UINT64_MAX);
  if (event.type == EVENT_NONE)
    return 0;
  lua_pushstring(L, names[event.type]);
  lua_pushinteger(L, event.id);
  return 2;
}

static int l_timer(lua_State *L)
{
  lua_Number delay_ms = luaL_checknumber(L, 1);
  luaL_argcheck(L, delay_ms >= 0 && delay_ms <= 1e10, 1, "milliseconds, zero or more");
  lua_pushinteger(L, bed_start_timer(bind_bed(L), (uint64_t)delay_ms));
  return 1;
}

static int l_now(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)bed_now_ms(bind_bed(L)));
  return 1;
}

static int l_time(lua_State *L)
{
  bind_bed(L);
  lua_pushnumber(L, (lua_Number)host_clock.wall_ms() / 1000);
  return 1;
}

// --- log -----------------------------------------------------------------------------------------

static int l_log(lua_State *L)
{
  Bed *bed = bind_bed(L);
  off_t at = (off_t)luaL_checknumber(L, 1);
  Buffer text = { 0 };
  ssize_t got;
  log_flush();
  do {
    buffer_reserve(&text, 16384);
    got = pread(bed->log_fd, text.bytes + text.len, 16384, at + (off_t)text.len);
    text.len += got > 0 ? (size_t)got : 0;
  } while (got > 0);
  lua_pushlstring(L, text.bytes, text.len);
  lua_pushnumber(L, (lua_Number)(at + (off_t)text.len));
  buffer_free(&text);
  return 2;
}

int luaopen_host_testbed(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "load", l_load },
    { "reload", l_reload },
    { "storage_faults", bind_bed_faults },
    { "close", l_close },
    { "live_tasks", l_live_tasks },
    { "connect", l_connect },
    { "send", l_send },
    { "shut", l_shut },
    { "read", l_read },
    { "close_socket", l_close_socket },
    { "call", l_call },
    { "begin", l_begin },
    { "piece", l_piece },
    { "finish", l_finish },
    { "abort", l_abort },
    { "next", l_next },
    { "timer", l_timer },
    { "now", l_now },
    { "time", l_time },
    { "log", l_log },
    { "storage", bind_bed_storage },
    { NULL, NULL },
  };
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
