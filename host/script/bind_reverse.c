// host.reverse: opens reverse calls and reads their streams. Lua names a backend and a kind; the
// path, the permission and the key are looked up here and never pass through Lua.
#include <string.h>

#include "../base/memory.h"
#include "bind.h"
#include "task.h"

#define HANDLE_TYPE "moonhook.reverse"

enum { WANT_NONE, WANT_HEAD, WANT_PIECE };

// One open call; lives in the userdata. The task owns it, the collector is a safety net.
typedef struct {
  TaskOwned owned;
  Stream *stream; // NULL: closed
  Task *task;
  Backends *backends; // the table that the call was opened with
  int want;           // what the task waits for
} Handle;

static void handle_close(Handle *handle)
{
  Stream *stream = handle->stream;
  handle->stream = NULL;
  handle->want = WANT_NONE;
  task_disown(&handle->owned);
  if (stream)
    stream->class->close(stream);
  if (handle->backends)
    backends_release(handle->backends);
  handle->backends = NULL;
}

static void on_release(TaskOwned *owned)
{
  handle_close((Handle *)owned); // first member
}

static void on_ready(Stream *stream)
{
  Handle *handle = stream->owner;
  if (handle->want != WANT_NONE)
    task_ready(handle->task);
}

// --- opening -------------------------------------------------------------------------------------

static const char *permission_name(uint32_t bit)
{
  static const char *const names[] = { "app",        "llm",  "text-embedding", "rerank",
                                       "tts",        "speech2text", "moderation", "tool",
                                       "node",       "storage",     "network" };
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    if (bit == 1u << i)
      return names[i];
  }
  return "this";
}

static uint32_t option_ms(lua_State *L, const char *name, uint32_t otherwise)
{
  lua_Number ms;
  if (!lua_istable(L, 4))
    return otherwise;
  lua_getfield(L, 4, name);
  ms = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  lua_pop(L, 1);
  return ms >= 0 && ms <= 86400000.0 ? (uint32_t)ms : otherwise;
}

static bool option_is_set(lua_State *L, const char *name)
{
  bool is_set;
  if (!lua_istable(L, 4))
    return false;
  lua_getfield(L, 4, name);
  is_set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is_set;
}

static Stream *open_http(lua_State *L, const Backend *backend, const BackendKind *kind, Span body)
{
  Runtime *runtime = state_runtime(state_of(L));
  HeaderList headers = { 0 };
  Buffer url = { 0 }, key = { 0 };
  Stream *stream;
  ClientCall call = { .method = kind->method, .body = body.at, .body_len = body.len };
  call.times = runtime->client_times;
  call.times.first_byte_ms = option_ms(L, "first_byte_ms", call.times.first_byte_ms);
  call.times.idle_ms = option_ms(L, "idle_ms", call.times.idle_ms);
  call.times.total_ms = option_ms(L, "total_ms", call.times.total_ms);
  call.decoder = option_is_set(L, "stream") ? BODY_SSE : BODY_WHOLE;
  call.may_repeat = kind->may_repeat;
  buffer_printf(&url, "%s%s", backend->url, kind->path);
  if (body.len)
    header_list_add(&headers, span_of("Content-Type"), span_of("application/json"));
  header_list_add(&headers, span_of("Accept"),
                  span_of(call.decoder == BODY_SSE ? "text/event-stream" : "application/json"));
  header_list_add(&headers, span_of("User-Agent"), span_of("moonhook"));
  if (backend->key) {
    buffer_printf(&key, "Bearer %s", backend->key);
    header_list_add(&headers, span_of("Authorization"), (Span){ key.bytes, key.len });
  }
  call.url = url.bytes;
  call.headers = &headers;
  stream = client_open(runtime->client, &call);
  if (key.len)
    explicit_bzero(key.bytes, key.len);
  explicit_bzero(headers.bytes.bytes, headers.bytes.len);
  buffer_free(&key);
  buffer_free(&url);
  header_list_free(&headers);
  return stream;
}

static int refuse(lua_State *L, const char *code, const char *format, const char *a, const char *b)
{
  lua_pushnil(L);
  lua_pushstring(L, code);
  lua_pushfstring(L, format, a, b);
  return 3;
}

// open(backend, kind, body, options?) -> handle | nil, code, message
static int l_open(lua_State *L)
{
  State *state = state_of(L);
  Runtime *runtime = state_runtime(state);
  const char *name = luaL_checkstring(L, 1), *kind_name = luaL_checkstring(L, 2);
  uint32_t permission = backend_permission(kind_name);
  Task *task = task_current(L);
  const Backend *backend = backends_find(runtime->backends, name);
  const BackendKind *kind;
  Handle *handle;
  Span body;
  body.at = luaL_checklstring(L, 3, &body.len);
  if ((state_permissions(state) & permission) != permission)
    return refuse(L, "permission_denied",
                  "permission denied, you need to enable %s access in plugin manifest",
                  permission_name(permission), NULL);
  if (!task || task_is_cancelled(task))
    return task_await(L, (TaskWait){ 0 });
  if (!backend)
    return refuse(L, "not_found", "no backend named '%s' is configured", name, NULL);
  kind = backend_kind(backend->type, kind_name);
  if (!kind)
    return refuse(L, "unsupported", "backend '%s' does not carry '%s' calls", name, kind_name);

  handle = lua_newuserdata(L, sizeof *handle);
  memset(handle, 0, sizeof *handle);
  luaL_getmetatable(L, HANDLE_TYPE);
  lua_setmetatable(L, -2);
  handle->task = task;
  handle->backends = backends_hold(runtime->backends);
  handle->stream = backend->type == BACKEND_LOCAL
                       ? runtime->local_open(runtime->local_context, kind_name, body)
                       : open_http(L, backend, kind, body);
  handle->stream->owner = handle;
  handle->stream->on_ready = on_ready;
  handle->owned.release = on_release;
  task_own(task, &handle->owned);
  return 1;
}

// --- reading -------------------------------------------------------------------------------------

static int push_error(lua_State *L, Handle *handle)
{
  StreamError error = handle->stream->error;
  handle_close(handle);
  push_failure(L, error.code, error.message);
  if (error.retry_after_s < 0)
    return 3;
  lua_pushinteger(L, error.retry_after_s);
  return 4;
}

// Pushes what the stream has; -1 when it has nothing yet.
static int push_result(lua_State *L, Handle *handle)
{
  Stream *stream = handle->stream;
  Span piece = { NULL, 0 };
  int http_status = 200;
  StreamStatus status;
  if (handle->want == WANT_HEAD)
    status = stream->class->head ? stream->class->head(stream, &http_status) : STREAM_PIECE;
  else
    status = stream->class->read(stream, &piece);
  switch (status) {
  case STREAM_WAIT:
    return -1;
  case STREAM_ERROR:
    return push_error(L, handle);
  case STREAM_END:
    handle_close(handle);
    lua_pushnil(L);
    return 1;
  case STREAM_PIECE:
    break;
  }
  if (handle->want == WANT_HEAD)
    lua_pushinteger(L, http_status);
  else
    lua_pushlstring(L, piece.at ? piece.at : "", piece.len);
  return 1;
}

static int push_waited(lua_State *co, void *op)
{
  Handle *handle = op;
  int count;
  if (!handle->stream)
    return push_failure(co, "closed", "the call is closed");
  count = push_result(co, handle);
  if (count >= 0)
    handle->want = WANT_NONE;
  return count;
}

static void cancel_wait(void *op)
{
  Handle *handle = op;
  if (handle)
    handle_close(handle); // the source stops at once, the task will be told
}

static int read_or_wait(lua_State *L, int want)
{
  Handle *handle = luaL_checkudata(L, 1, HANDLE_TYPE);
  int count;
  if (!handle->stream)
    return push_failure(L, "closed", "the call is closed");
  handle->want = want;
  count = push_result(L, handle);
  if (count >= 0) {
    handle->want = WANT_NONE;
    return count;
  }
  handle->task = task_current(L);
  return task_await(L, (TaskWait){ handle, push_waited, cancel_wait });
}

static int l_head(lua_State *L)
{
  return read_or_wait(L, WANT_HEAD);
}

static int l_read(lua_State *L)
{
  return read_or_wait(L, WANT_PIECE);
}

// header(handle, name) -> string | nil, after head
static int l_header(lua_State *L)
{
  Handle *handle = luaL_checkudata(L, 1, HANDLE_TYPE);
  const char *name = luaL_checkstring(L, 2);
  const HeaderList *headers;
  Span value;
  if (!handle->stream || !handle->stream->class->head)
    return 0;
  headers = client_reply_headers(handle->stream);
  value = headers ? header_list_get(headers, name) : (Span){ NULL, 0 };
  if (!value.at)
    return 0;
  lua_pushlstring(L, value.at, value.len);
  return 1;
}

static int l_close(lua_State *L)
{
  handle_close(luaL_checkudata(L, 1, HANDLE_TYPE));
  return 0;
}

// --- what may be known of backends and apps ------------------------------------------------------

static int l_catalogue(lua_State *L)
{
  Runtime *runtime = state_runtime(state_of(L));
  lua_pushstring(L, runtime->catalogue_json ? runtime->catalogue_json : "{}");
  lua_pushinteger(L, (lua_Integer)runtime->catalogue_version);
  return 2;
}

static int l_apps(lua_State *L)
{
  Runtime *runtime = state_runtime(state_of(L));
  lua_pushstring(L, runtime->apps_json ? runtime->apps_json : "{}");
  lua_pushinteger(L, (lua_Integer)runtime->catalogue_version);
  return 2;
}

static int l_demo(lua_State *L)
{
  Runtime *runtime = state_runtime(state_of(L));
  lua_pushinteger(L, (lua_Integer)runtime->demo_pause_ms);
  lua_pushinteger(L, (lua_Integer)runtime->demo_seed);
  return 2;
}

int luaopen_host_reverse(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "open", l_open },   { "head", l_head },           { "read", l_read }, { "header", l_header },
    { "close", l_close }, { "catalogue", l_catalogue }, { NULL, NULL },
  };
  static const luaL_Reg local_functions[] = {
    { "apps", l_apps },
    { "demo", l_demo },
    { NULL, NULL },
  };
  const luaL_Reg *function;
  luaL_newmetatable(L, HANDLE_TYPE);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_newtable(L);
  for (function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  for (function = local_functions; function->name && state_role(state_of(L)) == ROLE_LOCAL;
       function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  return 1;
}
