// The replying half of host.http: a plugin's Response becomes the HTTP reply.
#include <stdio.h>

#include "hook_task.h"

enum {
  LARGE_BYTES = 16 * 1024, // of a body
  MAX_HEADERS = 200,
  MAX_HEADER_BYTES = 64 * 1024, // names and values together
};

static int push_refusal(lua_State *L, const char *text)
{
  lua_pushnil(L);
  lua_pushstring(L, text);
  return 2;
}

// Reads the flat array at `index` into hook->headers; NULL, or what is wrong.
static const char *read_headers(lua_State *L, int index, HookRequest *hook)
{
  char *refusal = hook->dispatch->refusal;
  int i, count;
  header_list_clear(&hook->headers);
  if (!lua_istable(L, index))
    return NULL;
  count = (int)lua_objlen(L, index);
  for (i = 1; i + 1 <= count; i += 2) {
    Span name, value;
    lua_rawgeti(L, index, i);
    lua_rawgeti(L, index, i + 1);
    name.at = lua_tolstring(L, -2, &name.len);
    value.at = lua_tolstring(L, -1, &value.len);
    if (!name.at || !value.at || !header_is_valid(name, value))
      return "a header's name or value has characters that are not allowed";
    if (hook->headers.count == MAX_HEADERS ||
        hook->headers.bytes.len + name.len + value.len > MAX_HEADER_BYTES) {
      snprintf(refusal, sizeof hook->dispatch->refusal,
               "expected at most 200 headers of 64 KiB altogether, and %.100s is one too many",
               name.at);
      header_list_free(&hook->headers);
      return refusal;
    }
    header_list_add(&hook->headers, name, value);
    lua_pop(L, 2);
  }
  return NULL;
}

static int check_status(lua_State *L, int index)
{
  lua_Number number = lua_tonumber(L, index);
  int status = number >= 200 && number <= 599 ? (int)number : 0;
  return (lua_Number)status == number ? status : 0;
}

// What both kinds of reply with a head ask first; reads the headers. NULL, or what is wrong.
static const char *check_head(lua_State *L, HookRequest *hook, int status)
{
  if (hook->mode != REPLY_NONE)
    return "the request has its reply already";
  if (status == 0)
    return "status must be an integer 200..599";
  return read_headers(L, 3, hook);
}

// Sends hook->headers and the body.
static int send_whole(lua_State *L, HookRequest *hook, int status, const char *body, size_t len)
{
  if (!hook_request_has_room(hook, len)) { // until the client has read it
    push_refusal(L, task_no_room);
    lua_pushliteral(L, "plugin_memory_limit");
    return 3;
  }
  hook->mode = REPLY_WHOLE;
  reply_full(hook->request, status, &hook->headers, body, len);
  if (len >= LARGE_BYTES) // of others on_unsent tells, at the end of the turn
    hook_request_charge_unsent(hook, request_unsent_bytes(hook->request));
  lua_pushboolean(L, 1);
  return 1;
}

// reply(handle, status, headers, body) -> true | nil, message, code?
static int l_reply(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  int status = check_status(L, 2);
  size_t len;
  const char *body = luaL_checklstring(L, 4, &len), *problem;
  if (!hook)
    return request_push_closed(L);
  problem = check_head(L, hook, status);
  if (problem)
    return push_refusal(L, problem);
  return send_whole(L, hook, status, body, len);
}

// reply_text(handle, body): what a string that a handler returns means
static int l_reply_text(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  size_t len;
  const char *body = luaL_checklstring(L, 2, &len);
  if (!hook)
    return request_push_closed(L);
  if (hook->mode != REPLY_NONE)
    return push_refusal(L, "the request has its reply already");
  header_list_clear(&hook->headers);
  header_list_add(&hook->headers, span_of("Content-Type"), span_of("text/plain; charset=utf-8"));
  return send_whole(L, hook, 200, body, len);
}

// begin(handle, status, headers, mode, length?)
static int l_begin(lua_State *L)
{
  static const char *const modes[] = { "raw", "sse", NULL };
  HookRequest *hook = request_of_handle(L);
  int status = check_status(L, 2), mode = luaL_checkoption(L, 4, "raw", modes);
  lua_Number length = luaL_optnumber(L, 5, -1);
  const char *problem;
  if (!hook)
    return request_push_closed(L);
  problem = check_head(L, hook, status);
  if (problem)
    return push_refusal(L, problem);
  hook->status = status;
  hook->length = length >= 0 && length < 9e15 ? (int64_t)length : -1;
  hook->mode = mode == 1 ? REPLY_SSE : REPLY_RAW;
  lua_pushboolean(L, 1);
  return 1;
}

// finish(handle): ends the reply; the task goes on.
static int l_finish(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  if (!hook)
    return request_push_closed(L);
  hook_task_finish_reply(hook);
  lua_pushboolean(L, 1);
  return 1;
}

void request_add_reply_functions(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "reply", l_reply }, { "reply_text", l_reply_text },
    { "begin", l_begin }, { "finish", l_finish },
    { NULL, NULL },
  };
  const luaL_Reg *function;
  for (function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
}
