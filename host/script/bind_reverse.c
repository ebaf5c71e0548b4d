// host.reverse: opens reverse calls and reads their streams. Lua names a backend and a kind; the
// path, the permission and the key are looked up here and never pass through Lua.
#include <string.h>

#include "../base/memory.h"
#include "../base/metrics.h"
#include "../reverse/backend_call.h"
#include "bind.h"
#include "slice.h"
#include "task.h"

#define HANDLE_TYPE "moonhook.reverse"

enum {
  WANT_NONE,
  WANT_HEAD,
  WANT_PIECE,
  MIN_KEY_BYTES = 8, // a shorter one is a word such as "none", which others may say, too
};

// One open call; lives in the userdata. The task owns it, the collector is a safety net.
typedef struct {
  TaskOwned owned;
  Stream *stream; // NULL: closed
  Task *task;
  State *state;
  Backends *backends; // the table that the call was opened with
  const Backend *backend;
  const char *key;       // that was sent; of the backend
  BackendCall *farewell; // to be made when the call is closed before its end; or NULL
  int want;              // what the task waits for
} Handle;

static void forget_farewell(Handle *handle)
{
  if (handle->farewell)
    backend_call_free(handle->farewell);
  mem_free(handle->farewell);
  handle->farewell = NULL;
}

static void handle_close(Handle *handle)
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
  forget_farewell(handle);
  if (handle->backends)
    backends_release(handle->backends);
  handle->backends = NULL;
}

static void on_release(TaskOwned *owned)
{
  handle_close((Handle *)owned); // first member
}

// The source stops at once, whatever the task waits for just now.
static void on_cancel(TaskOwned *owned, const char *code, const char *message)
{
  (void)code;
  (void)message;
  handle_close((Handle *)owned);
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

static Handle *push_handle(lua_State *L, const Backend *backend)
{
  Handle *handle = lua_newuserdata(L, sizeof *handle);
  memset(handle, 0, sizeof *handle);
  luaL_getmetatable(L, HANDLE_TYPE);
  lua_setmetatable(L, -2);
  handle->state = state_of(L);
  handle->backends = backends_hold(state_runtime(handle->state)->backends);
  handle->backend = backend;
  return handle;
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
  BackendCall prepared = { 0 };
  Handle *handle;
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
    handle->stream = runtime->local_open(runtime->local_context, kind_name, body);
  } else {
    BackendAsk ask = read_ask(L, runtime);
    if (backend_call_prepare(&prepared, backend, kind, &ask, body, &err) < 0)
      return push_unprepared(L, &err);
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

// farewell(handle, kind, body, options?) -> true | nil, code, message: the call to make when this
// one is closed before its end, by whomever; nobody waits for its answer. Without a kind: none.
static int l_farewell(lua_State *L)
{
  Handle *handle = luaL_checkudata(L, 1, HANDLE_TYPE);
  const char *kind_name = luaL_optstring(L, 2, NULL);
  uint32_t permission = kind_name ? backend_permission(kind_name) : 0;
  const BackendKind *kind;
  BackendAsk ask;
  Span body;
  Err err;
  body.at = luaL_optlstring(L, 3, "", &body.len);
  forget_farewell(handle);
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
    forget_farewell(handle);
    return push_unprepared(L, &err);
  }
  backend_call_own(handle->farewell);
  lua_pushboolean(L, 1);
  return 1;
}

// --- reading -------------------------------------------------------------------------------------

static int push_error(lua_State *L, Handle *handle)
{
  const StreamError *error = &handle->stream->error;
  bool has_time = error->retry_after_s >= 0;
  if (strcmp(error->code, "upstream_timeout") != 0)
    forget_farewell(handle); // there is nobody to say it to
  push_failure(L, error->code, error->message);
  if (has_time)
    lua_pushinteger(L, error->retry_after_s);
  handle_close(handle);
  return has_time ? 4 : 3;
}

// Pushes what an upstream said. Some repeat what they were told, when they refuse a key above all:
// the key itself is not for plugins.
static void push_said(lua_State *L, const Handle *handle, Span said)
{
  size_t key_len = handle->key ? strlen(handle->key) : 0;
  Buffer clean = { 0 };
  const char *found;
  while (key_len >= MIN_KEY_BYTES && said.len >= key_len &&
         (found = memmem(said.at, said.len, handle->key, key_len))) {
    buffer_append(&clean, said.at, (size_t)(found - said.at));
    buffer_string(&clean, "***");
    said.len -= (size_t)(found - said.at) + key_len;
    said.at = found + key_len;
  }
  if (clean.len) {
    buffer_append(&clean, said.at, said.len);
    slice_push_buffer(L, &clean);
  } else {
    lua_pushlstring(L, said.at ? said.at : "", said.len);
  }
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
  if ((status == STREAM_WAIT || status == STREAM_PIECE) &&
      !state_has_room(state_of(L), piece.len)) {
    handle_close(handle);
    return push_no_room(L);
  }
  switch (status) {
  case STREAM_WAIT:
    return -1;
  case STREAM_ERROR:
    return push_error(L, handle);
  case STREAM_END:
    forget_farewell(handle);
    handle_close(handle);
    lua_pushnil(L);
    return 1;
  case STREAM_PIECE:
    break;
  }
  if (handle->want == WANT_HEAD)
    lua_pushinteger(L, http_status);
  else
    push_said(L, handle, piece);
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
  Task *task = task_current(L);
  int count;
  if (!handle->stream && task && task_is_cancelled(task))
    return task_await(L, (TaskWait){ 0 }); // says why
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
  push_said(L, handle, value);
  return 1;
}

static int l_close(lua_State *L)
{
  handle_close(luaL_checkudata(L, 1, HANDLE_TYPE));
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
    { "open", l_open },   { "head", l_head },         { "read", l_read }, { "header", l_header },
    { "close", l_close }, { "farewell", l_farewell }, { "used", l_used }, { NULL, NULL },
  };
  luaL_newmetatable(L, HANDLE_TYPE);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  bind_catalogue(L);
  return 1;
}
