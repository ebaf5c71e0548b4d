// host.http: the request as Lua reads it, and the reply as Lua gives it. The handle is a number;
// when the request is over it names nothing any more, and every call says "closed".
#include <stdio.h>
#include <stdlib.h>

#include "../base/memory.h"
#include "../http/form.h"
#include "../script/bind_json.h"
#include "../script/slice.h"
#include "hook_task.h"

// --- handles -------------------------------------------------------------------------------------
//
// A handle is a place in this table and how often the place was given away before: no object to be
// made and collected for every request, and an old number finds nothing.

enum { PLACE_BITS = 21 }; // the rest of a double's 53 bits counts

typedef struct {
  HookRequest *hook; // NULL: free
  uint32_t uses;
  uint32_t next_free; // counted from 1
} Place;

static struct {
  Place *places;
  uint32_t count, first_free;
} handles;

static lua_Number open_handle(HookRequest *hook)
{
  Place *place;
  if (!handles.first_free) {
    uint32_t i, count = handles.count ? handles.count * 2 : 64;
    handles.places = mem_resize(handles.places, count * sizeof *handles.places);
    for (i = count; i > handles.count; i--) {
      handles.places[i - 1] = (Place){ .next_free = handles.first_free };
      handles.first_free = i;
    }
    handles.count = count;
  }
  hook->place = handles.first_free;
  place = &handles.places[hook->place - 1];
  handles.first_free = place->next_free;
  place->hook = hook;
  place->uses++;
  return (lua_Number)((uint64_t)place->uses << PLACE_BITS | (hook->place - 1));
}

void hook_request_close_handle(HookRequest *hook)
{
  Place *place;
  if (!hook->place)
    return;
  place = &handles.places[hook->place - 1];
  place->hook = NULL;
  place->next_free = handles.first_free;
  handles.first_free = hook->place;
  hook->place = 0;
}

// NULL: closed. A plugin could make up a number: it finds requests of its own state only.
HookRequest *request_of_handle(lua_State *L)
{
  lua_Number number = lua_tonumber(L, 1);
  uint64_t bits = number > 0 && number < 9007199254740992.0 ? (uint64_t)number : 0;
  uint64_t place = bits & ((1u << PLACE_BITS) - 1);
  HookRequest *hook;
  if (place >= handles.count || handles.places[place].uses != bits >> PLACE_BITS)
    return NULL;
  hook = handles.places[place].hook;
  return hook && generation_state(hook->generation) == state_of(L) ? hook : NULL;
}

// --- starting ------------------------------------------------------------------------------------

enum { MAX_GONE = 4 }; // endpoints whose settings a state may hold, beside an eighth

static const char settings_key; // its address names the table in the registry

// Stack: [] -> [all]; a new one when is_fresh, or when there is none
static void push_all_settings(lua_State *L, bool is_fresh)
{
  lua_pushlightuserdata(L, (void *)(uintptr_t)&settings_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!is_fresh && !lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&settings_key);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

// Counts one more in the table at the top. When it has more than there are endpoints, by some, it
// holds settings of such as are gone: a new table takes its place, and the others come again.
static void count_settings(lua_State *L, const HookRequest *hook)
{
  size_t live = endpoint_table_count(hook->dispatch->endpoints), count;
  lua_rawgeti(L, -1, 1);
  count = (size_t)lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (count > live + live / 8 + MAX_GONE) {
    lua_pop(L, 1);
    push_all_settings(L, true);
    count = 0;
  }
  lua_pushnumber(L, (lua_Number)(count + 1));
  lua_rawseti(L, -2, 1);
}

// Leaves { serial, settings } of the endpoint, or nil when it has none. Decoded once per state and
// change: the registry holds { count, [hook id] = { serial, settings } }. The rest of the table is
// for lua/moonhook/settings.lua.
static void push_settings(lua_State *L, const HookRequest *hook)
{
  Err err;
  if (strcmp(hook->endpoint->settings_json, "{}") == 0) {
    lua_pushnil(L);
    return;
  }
  push_all_settings(L, false);
  lua_getfield(L, -1, hook->endpoint->hook_id); // [all, entry]
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, 1);
    if ((uint32_t)lua_tonumber(L, -1) == hook->endpoint->serial) {
      lua_pop(L, 1);
      lua_replace(L, -2);
      return;
    }
    lua_pop(L, 2);
  } else {
    lua_pop(L, 1);
    count_settings(L, hook);
  }
  lua_createtable(L, 2, 0); // [all, entry]
  lua_pushnumber(L, hook->endpoint->serial);
  lua_rawseti(L, -2, 1);
  if (json_decode_plain(L, hook->endpoint->settings_json, strlen(hook->endpoint->settings_json),
                        &err) < 0)
    lua_newtable(L); // cannot be: they were checked and encoded by us
  lua_rawseti(L, -2, 2);
  lua_pushvalue(L, -1); // [all, entry, entry]
  lua_setfield(L, -3, hook->endpoint->hook_id);
  lua_replace(L, -2);
}

// Leaves the path's variables as a table, or nil when the rule has none.
static void push_values(lua_State *L, const HookRequest *hook)
{
  uint32_t i;
  if (hook->capture_count == 0) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, (int)hook->capture_count);
  for (i = 0; i < hook->capture_count; i++) {
    const Capture *capture = &hook->captures[i];
    lua_pushstring(L, capture->part->text);
    if (capture->part->type == PART_INT || capture->part->type == PART_FLOAT) {
      char digits[64];
      snprintf(digits, sizeof digits, "%.*s", (int)capture->text.len, capture->text.at);
      lua_pushnumber(L, strtod(digits, NULL));
    } else {
      lua_pushlstring(L, capture->text.at, capture->text.len);
    }
    lua_rawset(L, -3);
  }
}

// Stack of co: [...] -> [..., handler, handle, values, settings as push_settings has them]
int hook_request_push(lua_State *co, void *owner)
{
  HookRequest *hook = owner;
  lua_State *L = state_lua(generation_state(hook->generation)); // where calls may be made
  generation_push_handler(hook->generation, co, hook->declaration);
  lua_pushnumber(co, open_handle(hook));
  push_values(co, hook);
  mem_free(hook->captures);
  hook->captures = NULL;
  push_settings(L, hook);
  lua_xmove(L, co, 1);
  return 4;
}

// --- reading -------------------------------------------------------------------------------------

int request_push_closed(lua_State *L)
{
  lua_pushnil(L);
  lua_pushliteral(L, "closed");
  return 2;
}

static void push_span(lua_State *L, Span span)
{
  if (span.at)
    lua_pushlstring(L, span.at, span.len);
  else
    lua_pushnil(L);
}

// The raw path behind the hook id.
static Span raw_path(const HookRequest *hook)
{
  Span path = hook->request->path;
  size_t prefix = 3 + strlen(hook->endpoint->hook_id);
  if (path.len >= prefix && memcmp(path.at, "/e/", 3) == 0 &&
      memcmp(path.at + 3, hook->endpoint->hook_id, prefix - 3) == 0)
    return (Span){ path.at + prefix, path.len - prefix };
  return path;
}

static void push_url(lua_State *L, const HookRequest *hook, bool has_path, bool has_query)
{
  Buffer url = { 0 };
  hook_request_url(hook, &url);
  if (has_path) {
    Span path = raw_path(hook);
    buffer_append(&url, path.at, path.len);
  }
  if (has_query && hook->request->query.at) {
    buffer_char(&url, '?');
    buffer_append(&url, hook->request->query.at, hook->request->query.len);
  }
  slice_push_buffer(L, &url);
}

static void push_host(lua_State *L, const HookRequest *hook)
{
  Forwarded forwarded;
  hook_request_forwarded(hook, &forwarded);
  push_span(L, forwarded.host.at ? forwarded.host : (Span){ "", 0 });
}

static void push_client(lua_State *L, const HookRequest *hook)
{
  Forwarded forwarded;
  hook_request_forwarded(hook, &forwarded);
  lua_pushstring(L, forwarded.client);
}

static void push_scheme(lua_State *L, const HookRequest *hook)
{
  HookPlaceOutside outside = hook_request_outside(hook);
  lua_pushstring(L, hook_url_scheme(&outside));
}

static int l_field(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  const char *name = luaL_checkstring(L, 2);
  Request *request;
  if (!hook)
    return request_push_closed(L);
  request = hook->request;
  if (strcmp(name, "method") == 0)
    push_span(L, request->method);
  else if (strcmp(name, "path") == 0)
    lua_pushlstring(L, hook->path.at, hook->path.len);
  else if (strcmp(name, "raw_target") == 0)
    push_span(L, request->target);
  else if (strcmp(name, "query") == 0)
    push_span(L, request->query);
  else if (strcmp(name, "host") == 0)
    push_host(L, hook);
  else if (strcmp(name, "remote_addr") == 0)
    push_client(L, hook);
  else if (strcmp(name, "id") == 0)
    lua_pushstring(L, request->id);
  else if (strcmp(name, "hook_id") == 0)
    lua_pushstring(L, hook->endpoint->hook_id);
  else if (strcmp(name, "hook_url") == 0)
    push_url(L, hook, false, false);
  else if (strcmp(name, "url") == 0)
    push_url(L, hook, true, true);
  else if (strcmp(name, "scheme") == 0)
    push_scheme(L, hook);
  else
    lua_pushnil(L);
  return 1;
}

static int l_header(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  Span name;
  name.at = luaL_checklstring(L, 2, &name.len);
  if (!hook)
    return request_push_closed(L);
  if (span_is_ignoring_case(name, "Dify-Hook-Id"))
    lua_pushstring(L, hook->endpoint->hook_id);
  else if (span_is_ignoring_case(name, "Dify-Hook-Url"))
    push_url(L, hook, true, false);
  else if (hook_request_hides(hook, name) || strlen(name.at) != name.len)
    lua_pushnil(L);
  else
    push_span(L, header_list_get(&hook->request->headers, name.at));
  return 1;
}

static int push_pair(lua_State *L, int count, Span name, Span value)
{
  push_span(L, name);
  lua_rawseti(L, -2, count + 1);
  lua_pushlstring(L, value.at ? value.at : "", value.len);
  lua_rawseti(L, -2, count + 2);
  return count + 2;
}

static void push_list(lua_State *L, const HeaderList *list)
{
  uint32_t i;
  int count = 0;
  lua_createtable(L, (int)list->count * 2, 0);
  for (i = 0; i < list->count; i++)
    count = push_pair(L, count, header_list_name(list, i), header_list_value(list, i));
}

static int l_headers(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  const HeaderList *list;
  uint32_t i;
  int count = 0;
  if (!hook)
    return request_push_closed(L);
  list = &hook->request->headers;
  lua_createtable(L, (int)list->count * 2 + 4, 0);
  for (i = 0; i < list->count; i++) {
    if (!hook_request_hides(hook, header_list_name(list, i)))
      count = push_pair(L, count, header_list_name(list, i), header_list_value(list, i));
  }
  count = push_pair(L, count, span_of("Dify-Hook-Id"), span_of(hook->endpoint->hook_id));
  lua_pushliteral(L, "Dify-Hook-Url");
  lua_rawseti(L, -2, count + 1);
  push_url(L, hook, true, false);
  lua_rawseti(L, -2, count + 2);
  return 1;
}

static int l_args(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  HeaderList pairs = { 0 };
  if (!hook)
    return request_push_closed(L);
  form_decode_query(hook->request->query, &pairs);
  push_list(L, &pairs);
  header_list_free(&pairs);
  return 1;
}

static int l_body(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  if (!hook)
    return request_push_closed(L);
  lua_pushlstring(L, hook->request->body.bytes ? hook->request->body.bytes : "",
                  hook->request->body.len);
  return 1;
}

static void set_span(lua_State *L, const char *name, Span span)
{
  push_span(L, span);
  lua_setfield(L, -2, name);
}

static int l_form(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  Form form = { 0 };
  Err err;
  uint32_t i;
  if (!hook)
    return request_push_closed(L);
  if (form_parse(header_list_get(&hook->request->headers, "Content-Type"),
                 (Span){ hook->request->body.bytes ? hook->request->body.bytes : "",
                         hook->request->body.len },
                 &form, &err) < 0) {
    form_free(&form);
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    return 2;
  }
  push_list(L, &form.fields);
  lua_createtable(L, (int)form.file_count, 0);
  for (i = 0; i < form.file_count; i++) {
    const FormFile *file = &form.files[i];
    lua_createtable(L, 0, 5);
    set_span(L, "name", file->name);
    set_span(L, "filename", file->filename);
    set_span(L, "content_type", file->content_type);
    set_span(L, "body", file->body.at ? file->body : (Span){ "", 0 });
    push_list(L, &file->headers);
    lua_setfield(L, -2, "headers");
    lua_rawseti(L, -2, (int)i + 1);
  }
  form_free(&form);
  return 2;
}

int luaopen_host_http(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "declared", l_declared }, { "field", l_field }, { "header", l_header },
    { "headers", l_headers },   { "args", l_args },   { "body", l_body },
    { "form", l_form },         { "json", l_json },   { NULL, NULL },
  };
  const luaL_Reg *function;
  lua_newtable(L);
  for (function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  request_add_reply_functions(L);
  return 1;
}
