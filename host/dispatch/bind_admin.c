// host.admin: what the admin API asks of its host. Texts are JSON.
//   endpoints(after, limit, plugin or nil) -> list, next or nil      endpoint(id) -> object or nil
//   plugins() -> list                                                plugin(id) -> object or nil
//   release(id): a plugin, from quarantine
//   catalogue() -> object   configuration() -> object   status() -> object
//   change(verb, fields) -> object or "" | WAIT | nil, code, message, fields
// `verb`: create, change, rotate, remove, reseal; `fields`: a table with id, plugin, name, slug,
// settings, unset, limits (JSON), enabled (boolean).
#include "bind_admin.h"

#include "../base/memory.h"
#include "../script/slice.h"
#include "../script/task.h"

enum { MAX_CURSOR_BYTES = 4096 };

typedef struct {
  Task *task;
  const AdminHost *host;
  AdminPending *pending; // NULL: done
  AdminResult result;
} Operation;

static const char host_key; // its address names the AdminHost in the registry

void bind_admin_host(State *state, const AdminHost *host)
{
  lua_State *L = state_lua(state);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&host_key);
  lua_pushlightuserdata(L, (void *)(uintptr_t)host);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

static const AdminHost *host_of(lua_State *L)
{
  const AdminHost *host;
  lua_pushlightuserdata(L, (void *)(uintptr_t)&host_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  host = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!host)
    luaL_error(L, "host.admin has no host yet");
  return host;
}

static Span opt_span(lua_State *L, int index)
{
  Span span = { NULL, 0 };
  if (!lua_isnoneornil(L, index))
    span.at = luaL_checklstring(L, index, &span.len);
  return span;
}

// Pushes the text, or nil when there is none, and frees it.
static int push_text(lua_State *L, Buffer *text)
{
  if (text->bytes)
    slice_push_buffer(L, text);
  else
    lua_pushnil(L);
  return 1;
}

static int l_endpoints(lua_State *L)
{
  const AdminHost *host = host_of(L);
  Span after = opt_span(L, 1), plugin = opt_span(L, 3);
  lua_Integer limit = luaL_checkinteger(L, 2);
  Buffer json = { 0 }, next = { 0 };
  luaL_argcheck(L, limit >= 1 && limit <= 1000, 2, "1 to 1000");
  if (!after.at)
    after = span_of("");
  slice_lift(L, MAX_CURSOR_BYTES); // the cursor is pushed while the list is ours
  host->endpoints(host->context, after, (uint32_t)limit, plugin, &json, &next);
  if (next.bytes)
    lua_pushlstring(L, next.bytes, next.len);
  else
    lua_pushnil(L);
  buffer_free(&next);
  slice_settle(L);
  push_text(L, &json);
  lua_insert(L, -2);
  return 2;
}

static int l_endpoint(lua_State *L)
{
  const AdminHost *host = host_of(L);
  Span id = { luaL_checkstring(L, 1), lua_objlen(L, 1) };
  Buffer json = { 0 };
  host->endpoint(host->context, id, &json);
  return push_text(L, &json);
}

static int l_plugins(lua_State *L)
{
  const AdminHost *host = host_of(L);
  Buffer json = { 0 };
  host->plugins(host->context, (Span){ NULL, 0 }, &json);
  return push_text(L, &json);
}

static int l_plugin(lua_State *L)
{
  const AdminHost *host = host_of(L);
  Span id = { luaL_checkstring(L, 1), lua_objlen(L, 1) };
  Buffer json = { 0 };
  host->plugins(host->context, id, &json);
  return push_text(L, &json);
}

static int l_release(lua_State *L)
{
  const AdminHost *host = host_of(L);
  host->release(host->context, (Span){ luaL_checkstring(L, 1), lua_objlen(L, 1) });
  return 0;
}

static int l_catalogue(lua_State *L)
{
  const AdminHost *host = host_of(L);
  Buffer json = { 0 };
  host->catalogue(host->context, &json);
  return push_text(L, &json);
}

static int l_configuration(lua_State *L)
{
  const AdminHost *host = host_of(L);
  Buffer json = { 0 };
  host->configuration(host->context, &json);
  return push_text(L, &json);
}

static int l_status(lua_State *L)
{
  const AdminHost *host = host_of(L);
  Buffer json = { 0 };
  host->status(host->context, &json);
  return push_text(L, &json);
}

// --- changes -------------------------------------------------------------------------------------

static void operation_free(Operation *operation)
{
  buffer_free(&operation->result.json);
  buffer_free(&operation->result.fields);
  mem_free(operation);
}

static void on_done(void *context, AdminResult *result)
{
  Operation *operation = context;
  operation->pending = NULL;
  operation->result = *result;
  memset(&result->json, 0, sizeof result->json); // taken
  memset(&result->fields, 0, sizeof result->fields);
  task_ready(operation->task);
}

static const char *code_name(int code)
{
  switch (code) {
  case UV_EINVAL:
    return "invalid_fields";
  case UV_ENOENT:
    return "not_found";
  case UV_EPERM:
    return "not_editable";
  case UV_EAGAIN:
    return "conflict";
  case UV_ENOSPC:
    return "storage_full";
  default:
    return "storage_unavailable";
  }
}

static int push_result(lua_State *L, const AdminResult *result)
{
  if (result->code == 0) {
    lua_pushlstring(L, result->json.bytes ? result->json.bytes : "", result->json.len);
    return 1;
  }
  push_failure(L, code_name(result->code), result->text);
  lua_pushlstring(L, result->fields.bytes ? result->fields.bytes : "[]",
                  result->fields.bytes ? result->fields.len : 2);
  return 4;
}

static int push(lua_State *co, void *op)
{
  Operation *operation = op;
  int count;
  if (operation->pending)
    return -1;
  count = push_result(co, &operation->result);
  operation_free(operation);
  return count;
}

static void cancel(void *op)
{
  Operation *operation = op;
  if (operation->pending)
    operation->host->detach(operation->pending);
  operation_free(operation);
}

// The text of a field of the table at 2; it stays on the stack, so that it stays alive.
static Span field(lua_State *L, const char *name)
{
  lua_getfield(L, 2, name);
  return opt_span(L, lua_gettop(L));
}

static int l_change(lua_State *L)
{
  static const char *const verbs[] = { "create", "change", "rotate", "remove", "reseal", NULL };
  const AdminHost *host = host_of(L);
  AdminChange change = { .verb = (AdminVerb)luaL_checkoption(L, 1, NULL, verbs), .enabled = -1 };
  Operation *operation;
  luaL_checktype(L, 2, LUA_TTABLE);
  change.id = field(L, "id");
  change.plugin = field(L, "plugin");
  change.name = field(L, "name");
  change.slug = field(L, "slug");
  change.settings = field(L, "settings");
  change.unset = field(L, "unset");
  change.limits = field(L, "limits");
  lua_getfield(L, 2, "enabled");
  if (!lua_isnil(L, -1))
    change.enabled = lua_toboolean(L, -1);
  luaL_argcheck(L, change.id.at || change.verb == ADMIN_CREATE || change.verb == ADMIN_RESEAL, 2,
                "an id is missing");
  luaL_argcheck(L, change.plugin.at || change.verb != ADMIN_CREATE, 2, "a plugin is missing");
  if (!task_current(L))
    return task_await(L, (TaskWait){ 0 });
  operation = mem_zero(1, sizeof *operation);
  operation->task = task_current(L);
  operation->host = host;
  operation->pending = host->change(host->context, &change, &operation->result, on_done, operation);
  if (!operation->pending) {
    int count = push_result(L, &operation->result);
    operation_free(operation);
    return count;
  }
  return task_await(L, (TaskWait){ operation, push, cancel });
}

int luaopen_host_admin(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "endpoints", l_endpoints },
    { "endpoint", l_endpoint },
    { "plugins", l_plugins },
    { "plugin", l_plugin },
    { "release", l_release },
    { "catalogue", l_catalogue },
    { "configuration", l_configuration },
    { "status", l_status },
    { "change", l_change },
    { NULL, NULL },
  };
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
