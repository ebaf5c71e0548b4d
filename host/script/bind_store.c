// host.store, for the local state: conversations of local apps.
//   conversation_read(app_id, id, limit, user) -> { role, content, ... } | WAIT | nil, code,
//   message conversation_append(app_id, id, user, question, answer) -> true | WAIT | nil, code,
//   message
#include "../base/memory.h"
#include "bind.h"
#include "task.h"

typedef struct {
  Task *task;
  StoreCall *call;
  bool is_read, is_done;
  int code;
  char text[200];
  StoredMessage *messages; // copies
  uint32_t count;
} Operation;

static void operation_free(Operation *operation)
{
  uint32_t i;
  for (i = 0; i < operation->count; i++) {
    mem_free(operation->messages[i].role);
    mem_free(operation->messages[i].content);
  }
  mem_free(operation->messages);
  mem_free(operation);
}

static void on_done(void *context, const ConversationResult *result)
{
  Operation *operation = context;
  uint32_t i;
  operation->call = NULL;
  operation->is_done = true;
  operation->code = result->code;
  memcpy(operation->text, result->text, sizeof operation->text);
  if (result->count) {
    operation->messages = mem_zero(result->count, sizeof *operation->messages);
    for (i = 0; i < result->count; i++) {
      operation->messages[i].role = mem_string(result->messages[i].role);
      operation->messages[i].content = mem_string(result->messages[i].content);
    }
    operation->count = result->count;
  }
  task_ready(operation->task);
}

static int push(lua_State *co, void *op)
{
  Operation *operation = op;
  uint32_t i;
  if (!operation->is_done)
    return -1;
  if (operation->code != 0) {
    const char *code = operation->code == UV_ENOENT   ? "not_found"
                       : operation->code == UV_ENOSPC ? "storage_full"
                                                      : "storage_unavailable";
    push_failure(co, code, operation->text);
    operation_free(operation);
    return 3;
  }
  if (!operation->is_read) {
    operation_free(operation);
    lua_pushboolean(co, 1);
    return 1;
  }
  lua_createtable(co, (int)operation->count * 2, 0);
  for (i = 0; i < operation->count; i++) {
    lua_pushstring(co, operation->messages[i].role);
    lua_rawseti(co, -2, (int)(2 * i + 1));
    lua_pushstring(co, operation->messages[i].content);
    lua_rawseti(co, -2, (int)(2 * i + 2));
  }
  operation_free(operation);
  return 1;
}

static void cancel(void *op)
{
  Operation *operation = op;
  if (operation->call)
    store_detach(operation->call);
  operation_free(operation);
}

static Operation *operation_new(lua_State *L, bool is_read)
{
  Operation *operation = mem_zero(1, sizeof *operation);
  operation->task = task_current(L);
  operation->is_read = is_read;
  return operation;
}

static int l_conversation_read(lua_State *L)
{
  Store *store = state_runtime(state_of(L))->store;
  const char *app_id = luaL_checkstring(L, 1), *id = luaL_checkstring(L, 2);
  lua_Integer limit = luaL_checkinteger(L, 3);
  const char *user = luaL_optstring(L, 4, "");
  Operation *operation;
  if (!store || !task_current(L))
    return push_failure(L, "storage_unavailable", "no store is open");
  operation = operation_new(L, true);
  operation->call = store_conversation_read(store, app_id, id, user,
                                            (uint32_t)(limit > 0 ? limit : 0), on_done, operation);
  return task_await(L, (TaskWait){ operation, push, cancel });
}

static int l_conversation_append(lua_State *L)
{
  Store *store = state_runtime(state_of(L))->store;
  const char *app_id = luaL_checkstring(L, 1), *id = luaL_checkstring(L, 2);
  const char *user = luaL_optstring(L, 3, "");
  Operation *operation;
  Span question, answer;
  question.at = luaL_checklstring(L, 4, &question.len);
  answer.at = luaL_checklstring(L, 5, &answer.len);
  if (!store || !task_current(L))
    return push_failure(L, "storage_unavailable", "no store is open");
  operation = operation_new(L, false);
  operation->call =
      store_conversation_append(store, app_id, id, user, question, answer, on_done, operation);
  return task_await(L, (TaskWait){ operation, push, cancel });
}

int luaopen_host_store(lua_State *L)
{
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, l_conversation_read);
  lua_setfield(L, -2, "conversation_read");
  lua_pushcfunction(L, l_conversation_append);
  lua_setfield(L, -2, "conversation_append");
  return 1;
}
