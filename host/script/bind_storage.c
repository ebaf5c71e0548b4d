// host.storage: what a plugin keeps. Its author and name are the space, the manifest says how much
// it may hold; both are the state's, so no plugin reaches another's. ttl: seconds, 0: for ever.
//   get(key) -> bytes, or nil                exist(key) -> boolean
//   set(key, value, ttl) -> true             delete(key) -> boolean: it was there
//   list(prefix, after or nil, limit) -> { keys }, has more
//   increment(key, by, ttl) -> number        swap(key, old or nil, new, ttl) -> boolean
//   once(key, ttl) -> boolean: it was not there
// Each may give WAIT, or nil, code, message.
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "../base/memory.h"
#include "bind.h"
#include "storage_faults.h"
#include "task.h"

#define LOCAL_SPACE "@apps" // of the local apps; no plugin can have this name

enum { LOCAL_BYTES = 64 * 1024 * 1024 };

typedef struct {
  Task *task;
  StoreCall *call; // NULL: done
  StorageVerb verb;
  StorageResult result;
  StorageFault fault;
  Timer delay; // until the result may be seen; only where there is a fault
} Operation;

static void operation_free(Operation *operation)
{
  timer_stop(&operation->delay);
  buffer_free(&operation->result.value);
  buffer_free(&operation->result.keys);
  mem_free(operation);
}

static void on_delay_over(Timer *timer)
{
  Operation *operation = (Operation *)((char *)timer - offsetof(Operation, delay));
  operation->fault.delay_ms = 0;
  task_ready(operation->task);
}

static void delay(Operation *operation)
{
  timer_start(state_runtime(task_state(operation->task))->loop, &operation->delay,
              operation->fault.delay_ms, on_delay_over);
}

static void on_done(void *context, StorageResult *result)
{
  Operation *operation = context;
  operation->call = NULL;
  operation->result = *result;
  memset(&result->value, 0, sizeof result->value); // taken
  memset(&result->keys, 0, sizeof result->keys);
  if (operation->fault.delay_ms > 0)
    delay(operation);
  else
    task_ready(operation->task);
}

static int push_problem(lua_State *co, const StorageResult *result)
{
  switch (result->code) {
  case UV_E2BIG:
    return push_failure(co, "quota_exceeded", result->text);
  case UV_ERANGE:
    return push_failure(co, "invalid_value", result->text);
  case UV_ENOSPC:
    return push_failure(co, "storage_full", result->text);
  default:
    return push_failure(co, "storage_unavailable", result->text);
  }
}

void bind_storage_keys(lua_State *L, const StorageResult *result)
{
  const char *at = result->keys.bytes;
  uint32_t i;
  lua_createtable(L, (int)result->count, 0);
  for (i = 0; i < result->count; i++) {
    uint16_t len;
    memcpy(&len, at, sizeof len);
    lua_pushlstring(L, at + sizeof len, len);
    lua_rawseti(L, -2, (int)i + 1);
    at += sizeof len + len;
  }
}

static int push_result(lua_State *co, StorageVerb verb, const StorageResult *result)
{
  if (result->code < 0)
    return push_problem(co, result);
  switch (verb) {
  case STORAGE_GET:
    if (result->found)
      lua_pushlstring(co, result->value.bytes ? result->value.bytes : "", result->value.len);
    else
      lua_pushnil(co);
    return 1;
  case STORAGE_LIST:
    bind_storage_keys(co, result);
    lua_pushboolean(co, result->has_more);
    return 2;
  case STORAGE_INCREMENT:
    lua_pushnumber(co, (lua_Number)result->number);
    return 1;
  default:
    lua_pushboolean(co, verb == STORAGE_SET || result->found);
    return 1;
  }
}

static int push(lua_State *co, void *op)
{
  Operation *operation = op;
  int count;
  if (operation->call || operation->fault.delay_ms > 0)
    return -1;
  count = push_result(co, operation->verb, &operation->result);
  operation_free(operation);
  return count;
}

static void cancel(void *op)
{
  Operation *operation = op;
  if (operation->call)
    store_detach(operation->call);
  operation_free(operation);
}

static Span check_bytes(lua_State *L, int at)
{
  Span span;
  span.at = luaL_checklstring(L, at, &span.len);
  return span;
}

static Span check_key(lua_State *L)
{
  Span key = check_bytes(L, 1);
  luaL_argcheck(L, key.len > 0 && key.len <= STORAGE_KEY_BYTES, 1, "1 to 256 bytes");
  return key;
}

static Span check_value(lua_State *L, int at)
{
  Span value = check_bytes(L, at);
  luaL_argcheck(L, value.len <= STORAGE_VALUE_BYTES, at, "too many bytes");
  return value;
}

static uint64_t check_ttl(lua_State *L, int at)
{
  lua_Number ttl = luaL_checknumber(L, at);
  luaL_argcheck(L, ttl >= 0 && ttl <= 1e10, at, "seconds");
  return ttl > 0 && ttl < 0.001 ? 1 : (uint64_t)(ttl * 1000);
}

// The operation fails without having reached the store.
static void fail(Operation *operation)
{
  operation->result.code = operation->fault.code;
  snprintf(operation->result.text, sizeof operation->result.text, "%s",
           operation->fault.code == UV_ENOSPC ? "the disk is full" : "the store failed");
  if (operation->fault.delay_ms > 0)
    delay(operation);
  else
    task_ready(operation->task);
}

static StorageFault next_fault(StorageFaults *faults)
{
  StorageFault fault = { 0, 0 };
  if (!faults || faults->count == 0)
    return fault;
  if (faults->at < faults->count)
    fault = faults->list[faults->at++];
  else if (faults->is_lasting)
    fault = faults->list[faults->count - 1];
  return fault;
}

static int start(lua_State *L, StorageRequest request)
{
  State *state = state_of(L);
  Store *store = state_runtime(state)->store;
  bool is_local = state_role(state) == ROLE_LOCAL;
  Operation *operation;
  if (!(state_permissions(state) & PERMIT_STORAGE))
    return push_failure(L, "permission_denied",
                        "permission denied, you need to enable storage access in plugin manifest");
  if (!task_current(L))
    return task_await(L, (TaskWait){ 0 });
  if (!store)
    return push_failure(L, "storage_unavailable", "no store is open");
  request.plugin = is_local ? LOCAL_SPACE : state_id(state);
  request.quota_bytes = is_local ? LOCAL_BYTES : state_storage_bytes(state);
  operation = mem_zero(1, sizeof *operation);
  operation->task = task_current(L);
  operation->verb = request.verb;
  operation->fault = next_fault(state_runtime(state)->storage_faults);
  if (operation->fault.code != 0)
    fail(operation);
  else
    operation->call = store_storage(store, &request, on_done, operation);
  return task_await_kept(L, (TaskWait){ operation, push, cancel });
}

static int l_get(lua_State *L)
{
  return start(L, (StorageRequest){ .verb = STORAGE_GET, .key = check_key(L) });
}

static int l_exist(lua_State *L)
{
  return start(L, (StorageRequest){ .verb = STORAGE_EXIST, .key = check_key(L) });
}

static int l_list(lua_State *L)
{
  StorageRequest request = { .verb = STORAGE_LIST, .key = check_bytes(L, 1) };
  lua_Integer limit = luaL_checkinteger(L, 3);
  luaL_argcheck(L, request.key.len <= STORAGE_KEY_BYTES, 1, "at most 256 bytes");
  luaL_argcheck(L, limit >= 1 && limit <= 1000, 3, "1 to 1000");
  if (!lua_isnoneornil(L, 2))
    request.after = check_bytes(L, 2);
  request.limit = (uint32_t)limit;
  return start(L, request);
}

static int l_set(lua_State *L)
{
  return start(L, (StorageRequest){ .verb = STORAGE_SET,
                                    .key = check_key(L),
                                    .value = check_value(L, 2),
                                    .ttl_ms = check_ttl(L, 3) });
}

static int l_delete(lua_State *L)
{
  return start(L, (StorageRequest){ .verb = STORAGE_DELETE, .key = check_key(L) });
}

static int l_increment(lua_State *L)
{
  lua_Number by = luaL_checknumber(L, 2);
  luaL_argcheck(L, by >= -9007199254740992.0 && by <= 9007199254740992.0, 2, "an integer");
  return start(L, (StorageRequest){ .verb = STORAGE_INCREMENT,
                                    .key = check_key(L),
                                    .by = (int64_t)by,
                                    .ttl_ms = check_ttl(L, 3) });
}

static int l_swap(lua_State *L)
{
  StorageRequest request = {
    .verb = STORAGE_SWAP, .key = check_key(L), .value = check_value(L, 3), .ttl_ms = check_ttl(L, 4)
  };
  if (!lua_isnil(L, 2))
    request.old = check_bytes(L, 2);
  return start(L, request);
}

static int l_once(lua_State *L)
{
  return start(
      L, (StorageRequest){ .verb = STORAGE_ONCE, .key = check_key(L), .ttl_ms = check_ttl(L, 2) });
}

int luaopen_host_storage(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "get", l_get },   { "exist", l_exist },   { "list", l_list },
    { "set", l_set },   { "delete", l_delete }, { "increment", l_increment },
    { "swap", l_swap }, { "once", l_once },     { NULL, NULL },
  };
  const luaL_Reg *function;
  lua_createtable(L, 0, 8);
  for (function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  return 1;
}
