// host.reverse: opens reverse calls and reads their streams. Lua names a backend and a kind; the
// path, the permission and the key are looked up here and never pass through Lua.
//
//   open(backend, kind, body, options?) -> handle | nil, code, message
//   head(handle) -> status | WAIT | nil, code, message, retry_after_s?
//   read(handle) -> piece | WAIT | nil at the end | nil, code, message, retry_after_s?
//   expect(handle, known, first, last, is_whole): pieces that are `known` but for the string whose
//     inside is at first..last come as that inside, or whole, and `true` behind them
//   expect(handle): none does any more
//   header(handle, name) -> string | nil, after head
//   farewell(handle, kind, body, options?) -> true | nil, code, message: the call to make when this
//     one is closed before its end, by whomever; nobody waits for its answer. Without a kind: none.
//   close(handle)
#include <string.h>

#include "../base/memory.h"
#include "../base/metrics.h"
#include "bind.h"
#include "reverse_handle.h"

#define HANDLE_TYPE "moonhook.reverse"

ReverseHandle *reverse_handle(lua_State *L)
{
  ReverseHandle *handle = lua_touserdata(L, 1);
  bool is_one = false;
  if (handle && lua_getmetatable(L, 1)) {
    is_one = lua_rawequal(L, -1, lua_upvalueindex(1));
    lua_pop(L, 1);
  }
  if (!is_one)
    luaL_typerror(L, 1, HANDLE_TYPE);
  return handle;
}

void reverse_forget_farewell(ReverseHandle *handle)
{
  if (handle->farewell)
    backend_call_free(handle->farewell);
  mem_free(handle->farewell);
  handle->farewell = NULL;
}

void reverse_close(ReverseHandle *handle)
{
  Stream *stream = handle->stream;
  handle->stream = NULL;
  handle->want = WANT_NONE;
  task_disown(&handle->owned);
  if (stream) {
    state_use(handle->state, USE_CALL, -1);
    stream->class->close(stream);
  }
  if (stream && handle->farewell)
    client_notify(state_runtime(handle->state)->client, &handle->farewell->call);
  reverse_forget_farewell(handle);
  reverse_forget_expected(handle);
  if (handle->backends)
    backends_release(handle->backends);
  handle->backends = NULL;
}

static void on_release(TaskOwned *owned)
{
  reverse_close((ReverseHandle *)owned); // first member
}

// The source stops at once, whatever the task waits for just now.
static void on_cancel(TaskOwned *owned, const char *code, const char *message)
{
  (void)code;
  (void)message;
  reverse_close((ReverseHandle *)owned);
}

static void on_ready(Stream *stream)
{
  ReverseHandle *handle = stream->owner;
  if (handle->want != WANT_NONE)
    task_ready(handle->task);
}

// --- opening -------------------------------------------------------------------------------------

static const char *permission_name(uint32_t bit)
{
  static const char *const names[] = { "app",  "llm",         "text-embedding", "rerank",
                                       "tts",  "speech2text", "moderation",     "tool",
                                       "node", "storage",     "network" };
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

// A string among the options; borrowed as long as they are on the stack.
static const char *option_string(lua_State *L, const char *name)
{
  const char *text = NULL;
  if (!lua_istable(L, 4))
    return NULL;
  lua_getfield(L, 4, name);
  if (lua_type(L, -1) == LUA_TSTRING)
    text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

static BackendAsk read_ask(lua_State *L, const Runtime *runtime)
{
  BackendAsk ask = { .times = runtime->client_times };
  ask.times.first_byte_ms = option_ms(L, "first_byte_ms", ask.times.first_byte_ms);
  ask.times.idle_ms = option_ms(L, "idle_ms", ask.times.idle_ms);
  ask.times.total_ms = option_ms(L, "total_ms", ask.times.total_ms);
  ask.is_streaming = option_is_set(L, "stream");
  ask.content_type = option_string(L, "content_type");
  ask.app_id = option_string(L, "app_id");
  ask.path_arg = option_string(L, "path_arg");
  ask.signed_url = option_string(L, "signed_url");
  return ask;
}

// Stack: pushes nil, code, message
static int push_unprepared(lua_State *L, const Err *err)
{
  return push_failure(L, err->code == UV_ENOENT ? "not_found" : "invalid_param", err->text);
}

static int refuse(lua_State *L, const char *code, const char *format, const char *a, const char *b)
{
  lua_pushnil(L);
  lua_pushstring(L, code);
  lua_pushfstring(L, format, a, b);
  return 3;
}

static int refuse_permission(lua_State *L, uint32_t permission)
{
  return refuse(L, "permission_denied",
                "permission denied, you need to enable %s access in plugin manifest",
                permission_name(permission), NULL);
}

static ReverseHandle *push_handle(lua_State *L, const Backend *backend)
{
  ReverseHandle *handle = lua_newuserdata(L, sizeof *handle);
  memset(handle, 0, sizeof *handle);
  luaL_getmetatable(L, HANDLE_TYPE);
  lua_setmetatable(L, -2);
  handle->state = state_of(L);
  handle->backends = backends_hold(state_runtime(handle->state)->backends);
  handle->backend = backend;
  return handle;
}

static int l_open(lua_State *L)
{
  State *state = state_of(L);
  Runtime *runtime = state_runtime(state);
  const char *name = luaL_checkstring(L, 1), *kind_name = luaL_checkstring(L, 2);
  uint32_t permission = backend_permission(kind_name);
  Task *task = task_current(L);
  const Backend *backend = backends_find(runtime->backends, name);
  const BackendKind *kind;
  BackendCall prepared = { 0 };
  ReverseHandle *handle;
  int refused;
  Span body;
  Err err;
  body.at = luaL_checklstring(L, 3, &body.len);
  if ((state_permissions(state) & permission) != permission)
    return refuse_permission(L, permission);
  if (!task || task_is_cancelled(task))
    return task_await(L, (TaskWait){ 0 });
  if (!backend)
    return refuse(L, "not_found", "no backend named '%s' is configured", name, NULL);
  kind = backend_kind(backend->type, kind_name);
  if (!kind)
    return refuse(L, "unsupported", "backend '%s' does not carry '%s' calls", name, kind_name);

  refused = task_refuse_call(task, L);
  if (refused)
    return refused;

  if (!state_has_room(state, body.len))
    return push_no_room(L);

  handle = push_handle(L, backend);
  if (backend->type == BACKEND_LOCAL) {
    handle->stream =
        runtime->local_open(runtime->local_context, kind_name, body, task_passes(task));
  } else {
    BackendAsk ask = read_ask(L, runtime);
    if (backend_call_prepare(&prepared, backend, kind, &ask, body, &err) < 0)
      return push_unprepared(L, &err);
    task_add_passes(task, &prepared.headers);
    handle->stream = client_open(runtime->client, &prepared.call);
    handle->key = prepared.key;
    backend_call_free(&prepared);
  }
  handle->task = task;
  state_use(state, USE_CALL, 1);
  charge_to(&handle->stream->charge, state_charges(state));
  handle->stream->owner = handle;
  handle->stream->on_ready = on_ready;
  handle->owned.release = on_release;
  handle->owned.cancel = on_cancel;
  task_own(task, &handle->owned);
  return 1;
}

static int l_farewell(lua_State *L)
{
  ReverseHandle *handle = reverse_handle(L);
  const char *kind_name = luaL_optstring(L, 2, NULL);
  uint32_t permission = kind_name ? backend_permission(kind_name) : 0;
  const BackendKind *kind;
  BackendAsk ask;
  Span body;
  Err err;
  body.at = luaL_optlstring(L, 3, "", &body.len);
  reverse_forget_farewell(handle);
  if (!kind_name || !handle->stream) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if ((state_permissions(state_of(L)) & permission) != permission)
    return refuse_permission(L, permission);
  kind = backend_kind(handle->backend->type, kind_name);
  if (!kind || !kind->path)
    return refuse(L, "unsupported", "backend '%s' does not carry '%s' calls", handle->backend->name,
                  kind_name);
  ask = read_ask(L, state_runtime(handle->state));
  handle->farewell = mem_zero(1, sizeof *handle->farewell);
  if (backend_call_prepare(handle->farewell, handle->backend, kind, &ask, body, &err) < 0) {
    reverse_forget_farewell(handle);
    return push_unprepared(L, &err);
  }
  backend_call_own(handle->farewell);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_close(lua_State *L)
{
  reverse_close(reverse_handle(L));
  return 0;
}

static void add_tokens(const char *plugin, const char *backend, const char *type, lua_Number count)
{
  enum { MOST = 1 << 30 }; // of one call: a server may say anything
  if (count >= 1 && count <= MOST)
    atomic_fetch_add_explicit(&metrics_series(METRIC_TOKENS, plugin, backend, type, 0)->count,
                              (uint64_t)count, memory_order_relaxed);
}

// used(backend, prompt_tokens, completion_tokens), for /metrics
static int l_used(lua_State *L)
{
  const char *plugin = state_name(state_of(L)), *backend = luaL_checkstring(L, 1);
  add_tokens(plugin, backend, "prompt", luaL_checknumber(L, 2));
  add_tokens(plugin, backend, "completion", luaL_checknumber(L, 3));
  return 0;
}

int luaopen_host_reverse(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "open", l_open },
    { "head", reverse_l_head },
    { "read", reverse_l_read },
    { "expect", reverse_l_expect },
    { "header", reverse_l_header },
    { "close", l_close },
    { "farewell", l_farewell },
    { "used", l_used },
    { NULL, NULL },
  };
  const luaL_Reg *function;
  luaL_newmetatable(L, HANDLE_TYPE);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_close, 1);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  for (function = functions; function->name; function++) {
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, function->func, 1);
    lua_setfield(L, -2, function->name);
  }
  bind_catalogue(L);
  return 1;
}
