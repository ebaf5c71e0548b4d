// host.web: HTTP calls that plugin code addresses itself. Whether a call may be made is decided
// here and below, for each hop of a redirect anew: the permission, the scheme, the manifest's
// hosts, and, when the name is looked up, the address (reverse/policy.h).
#include <string.h>
#include <strings.h>

#include "../reverse/url.h"
#include "bind.h"
#include "slice.h"
#include "task.h"

#define CALL_TYPE "moonhook.web"

enum { MAX_HEADERS = 200, MAX_HEADER_BYTES = 64 * 1024, NUMBER_BYTES = 64, DAY_MS = 86400000 };

typedef enum { WANT_NONE, WANT_ROOM, WANT_HEAD, WANT_PIECE } Want;

// One open call; lives in the userdata. The task owns it, the collector is a safety net.
typedef struct {
  TaskOwned owned;
  Stream *stream; // NULL: closed
  Task *task;     // that waits
  State *state;
  Want want;
} Call;

static void close_stream(Call *call, Stream *stream)
{
  if (!stream)
    return;
  state_use(call->state, USE_CALL, -1);
  stream->class->close(stream);
}

static void call_close(Call *call)
{
  Stream *stream = call->stream;
  call->stream = NULL;
  call->want = WANT_NONE;
  task_disown(&call->owned);
  close_stream(call, stream);
}

static void on_release(TaskOwned *owned)
{
  call_close((Call *)owned); // first member
}

// The client left: the upstream is left at once, whatever the task does meanwhile. The task goes on
// owning the call, since its list is being walked.
static void on_cancel(TaskOwned *owned, const char *code, const char *message)
{
  Call *call = (Call *)owned;
  Stream *stream = call->stream;
  (void)code;
  (void)message;
  call->stream = NULL;
  call->want = WANT_NONE;
  close_stream(call, stream);
}

static void on_ready(Stream *stream)
{
  Call *call = stream->owner;
  if (call->want != WANT_NONE)
    task_ready(call->task);
}

// --- opening -------------------------------------------------------------------------------------

// Scheme, host and port of a URL, as the calls below understand them. 0, or 3 values for a refusal.
static int check_url(lua_State *L, const char *text, Url *url)
{
  const char *why = NULL;
  if (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)
    return push_failure(L, "blocked_scheme", "expected a URL that begins with http:// or https://");
  if (url_parse(text, url, &why) < 0) {
    lua_pushnil(L);
    lua_pushliteral(L, "blocked_host");
    lua_pushfstring(L, "expected %s", why);
    return 3;
  }
  return 0;
}

// parse(url) -> scheme, host, port, target | nil, code, message
static int l_parse(lua_State *L)
{
  Url url;
  int refused = check_url(L, luaL_checkstring(L, 1), &url);
  if (refused)
    return refused;
  lua_pushstring(L, url.is_tls ? "https" : "http");
  lua_pushfstring(L, url.is_ipv6 ? "[%s]" : "%s", url.host);
  lua_pushinteger(L, url.port);
  lua_pushstring(L, url.target);
  return 4;
}

static uint32_t option_ms(lua_State *L, const char *name, uint32_t otherwise)
{
  lua_Number ms;
  lua_getfield(L, 5, name);
  ms = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  lua_pop(L, 1);
  return ms >= 1 && ms <= DAY_MS ? (uint32_t)ms : otherwise;
}

// A flat array { name, value, ... } of strings; false when it holds too much.
static bool take_headers(lua_State *L, int index, HeaderList *headers)
{
  size_t i, count = lua_objlen(L, index);
  for (i = 1; i < count; i += 2) {
    Span name, value;
    lua_rawgeti(L, index, (int)i);
    lua_rawgeti(L, index, (int)i + 1);
    name.at = lua_tolstring(L, -2, &name.len);
    value.at = lua_tolstring(L, -1, &value.len);
    if (!name.at || !value.at || headers->count == MAX_HEADERS ||
        headers->bytes.len + name.len + value.len > MAX_HEADER_BYTES)
      return false;
    header_list_add(headers, name, value);
    lua_pop(L, 2);
  }
  return true;
}

static int refuse_host(lua_State *L, const char *host)
{
  lua_pushnil(L);
  lua_pushliteral(L, "blocked_host");
  lua_pushfstring(L, "%s is not among the hosts that the plugin's manifest names", host);
  return 3;
}

static Call *new_call(lua_State *L)
{
  Call *call = lua_newuserdata(L, sizeof *call);
  memset(call, 0, sizeof *call);
  luaL_getmetatable(L, CALL_TYPE);
  lua_setmetatable(L, -2);
  return call;
}

// open(method, url, headers, body, times) -> call | nil, code, message
// body: a string, or true: it comes by send. times: connect_ms, first_byte_ms, idle_ms, total_ms.
static int l_open(lua_State *L)
{
  State *state = state_of(L);
  Runtime *runtime = state_runtime(state);
  Task *task = task_current(L);
  const ClientTimes *times = &runtime->client_times;
  ClientCall out = { .method = luaL_checkstring(L, 1),
                     .url = luaL_checkstring(L, 2),
                     .decoder = BODY_BYTES,
                     .is_raw = true,
                     .policy = runtime->http_policy };
  HeaderList headers = { 0 };
  Call *call;
  Url url;
  int refused;
  bool has_headers;
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_checktype(L, 5, LUA_TTABLE);
  out.streams_body = lua_type(L, 4) == LUA_TBOOLEAN;
  if (!out.streams_body)
    out.body = luaL_checklstring(L, 4, &out.body_len);
  if (!(state_permissions(state) & PERMIT_NETWORK))
    return push_failure(L, "permission_denied",
                        "permission denied, you need to enable network access in plugin manifest");
  if (!task || task_is_cancelled(task))
    return task_await(L, (TaskWait){ 0 });
  refused = check_url(L, out.url, &url);
  if (refused)
    return refused;
  if (!state_may_reach(state, url.host))
    return refuse_host(L, url.host);
  out.times = (ClientTimes){ option_ms(L, "connect_ms", times->connect_ms),
                             option_ms(L, "first_byte_ms", times->first_byte_ms),
                             option_ms(L, "idle_ms", times->idle_ms),
                             option_ms(L, "total_ms", times->total_ms) };

  refused = task_refuse_call(task, L);
  if (refused)
    return refused;

  if (!state_has_room(state, out.body_len))
    return push_no_room(L);

  call = new_call(L);
  slice_lift(L, MAX_HEADERS * 2 * NUMBER_BYTES); // numbers become strings, the list is ours
  has_headers = take_headers(L, 3, &headers);
  slice_settle(L);
  if (!has_headers) {
    header_list_free(&headers);
    return push_failure(L, "invalid_param", "expected at most 200 headers of 64 KiB altogether");
  }
  if (runtime->web_relay) {
    header_list_add(&headers, span_of("X-Moonhook-Url"), span_of(out.url));
    out.url = runtime->web_relay;
    out.policy = NULL;
  } else {
    task_add_passes(task, &headers);
  }
  out.headers = &headers;
  call->stream = client_open(runtime->client, &out);
  header_list_free(&headers);
  call->state = state;
  state_use(state, USE_CALL, 1);
  charge_to(&call->stream->charge, state_charges(state));
  call->stream->owner = call;
  call->stream->on_ready = on_ready;
  call->owned.release = on_release;
  call->owned.cancel = on_cancel;
  call->task = task;
  task_own(task, &call->owned);
  return 1;
}

// --- waiting -------------------------------------------------------------------------------------

static int push_error(lua_State *L, Call *call)
{
  const StreamError *error = &call->stream->error;
  bool has_time = error->retry_after_s >= 0;
  push_failure(L, error->code, error->message);
  if (has_time)
    lua_pushinteger(L, error->retry_after_s);
  call_close(call);
  return has_time ? 4 : 3;
}

// Pushes what the call has; -1 when it has nothing yet.
static int push_result(lua_State *L, Call *call)
{
  Stream *stream = call->stream;
  StreamStatus status;
  Span piece = { NULL, 0 };
  int http_status = 0;
  if (call->want == WANT_ROOM) {
    ClientRoom room = client_room(stream);
    if (room == CLIENT_FULL)
      return -1;
    lua_pushboolean(L, room == CLIENT_ROOM);
    return 1;
  }
  status = call->want == WANT_HEAD ? stream->class->head(stream, &http_status)
                                   : stream->class->read(stream, &piece);
  if ((status == STREAM_WAIT || status == STREAM_PIECE) &&
      !state_has_room(state_of(L), piece.len)) {
    call_close(call);
    return push_no_room(L);
  }
  switch (status) {
  case STREAM_WAIT:
    return -1;
  case STREAM_ERROR:
    return push_error(L, call);
  case STREAM_END:
    call_close(call);
    lua_pushnil(L);
    return 1;
  case STREAM_PIECE:
    break;
  }
  if (call->want == WANT_HEAD)
    lua_pushinteger(L, http_status);
  else
    lua_pushlstring(L, piece.at ? piece.at : "", piece.len);
  return 1;
}

static int push_waited(lua_State *co, void *op)
{
  Call *call = op;
  int count;
  if (!call->stream)
    return push_failure(co, "closed", "the call is closed");
  count = push_result(co, call);
  if (count >= 0)
    call->want = WANT_NONE;
  return count;
}

static void cancel_wait(void *op)
{
  if (op)
    call_close(op); // the upstream is left at once, the task will be told
}

static int now_or_wait(lua_State *L, Call *call, Want want)
{
  Task *task = task_current(L);
  int count;
  if (!call->stream && task && task_is_cancelled(task))
    return task_await(L, (TaskWait){ 0 }); // says why
  if (!call->stream)
    return push_failure(L, "closed", "the call is closed");
  call->want = want;
  count = push_result(L, call);
  if (count >= 0) {
    call->want = WANT_NONE;
    return count;
  }
  call->task = task;
  return task_await(L, (TaskWait){ .op = call, .push = push_waited, .cancel = cancel_wait });
}

// send(call, bytes) -> true, or WAIT then true; false: nothing more is wanted
static int l_send(lua_State *L)
{
  Call *call = luaL_checkudata(L, 1, CALL_TYPE);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  if (!state_has_room(state_of(L), len))
    return push_no_room(L);
  if (call->stream)
    client_send(call->stream, bytes, len);
  return now_or_wait(L, call, WANT_ROOM);
}

static int l_send_end(lua_State *L)
{
  Call *call = luaL_checkudata(L, 1, CALL_TYPE);
  if (call->stream)
    client_send_end(call->stream);
  return 0;
}

// head(call) -> status | WAIT | nil, code, message, retry_after_s?
static int l_head(lua_State *L)
{
  return now_or_wait(L, luaL_checkudata(L, 1, CALL_TYPE), WANT_HEAD);
}

// read(call) -> piece | WAIT | nil at the end | nil, code, message
static int l_read(lua_State *L)
{
  return now_or_wait(L, luaL_checkudata(L, 1, CALL_TYPE), WANT_PIECE);
}

// --- the reply -----------------------------------------------------------------------------------

// headers(call) -> { name, value, ... }, after head
static int l_headers(lua_State *L)
{
  Call *call = luaL_checkudata(L, 1, CALL_TYPE);
  const HeaderList *headers = call->stream ? client_reply_headers(call->stream) : NULL;
  uint32_t i, count = headers ? headers->count : 0;
  lua_createtable(L, (int)count * 2, 0);
  for (i = 0; i < count; i++) {
    Span name = header_list_name(headers, i), value = header_list_value(headers, i);
    lua_pushlstring(L, name.at, name.len);
    lua_rawseti(L, -2, (int)i * 2 + 1);
    lua_pushlstring(L, value.at, value.len);
    lua_rawseti(L, -2, (int)i * 2 + 2);
  }
  return 1;
}

// events(call): from here on read gives the data of server-sent events
static int l_events(lua_State *L)
{
  Call *call = luaL_checkudata(L, 1, CALL_TYPE);
  if (call->stream)
    client_decode(call->stream, BODY_SSE);
  return 0;
}

// event(call) -> name of the event that read gave last, the stream's last id; "" for none
static int l_event(lua_State *L)
{
  Call *call = luaL_checkudata(L, 1, CALL_TYPE);
  lua_pushstring(L, call->stream ? client_event_name(call->stream) : "");
  lua_pushstring(L, call->stream ? client_event_id(call->stream) : "");
  return 2;
}

static int l_close(lua_State *L)
{
  call_close(luaL_checkudata(L, 1, CALL_TYPE));
  return 0;
}

int luaopen_host_web(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "parse", l_parse }, { "open", l_open },       { "send", l_send }, { "send_end", l_send_end },
    { "head", l_head },   { "headers", l_headers }, { "read", l_read }, { "events", l_events },
    { "event", l_event }, { "close", l_close },     { NULL, NULL },
  };
  const luaL_Reg *function;
  luaL_newmetatable(L, CALL_TYPE);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_newtable(L);
  for (function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  return 1;
}
