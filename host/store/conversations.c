// See store.h: conversations of local apps, and hook ids.
#include <stdio.h>

#include "../base/memory.h"
#include "call.h"

typedef struct {
  StoreCall call;
  char *app_id, *id, *user;
  Buffer question, answer;
  uint32_t limit;
  ConversationResult result;
  void (*on_done)(void *context, const ConversationResult *result);
  void *context;
} Conversation;

static void clear(ConversationResult *result)
{
  uint32_t i;
  for (i = 0; i < result->count; i++) {
    mem_free(result->messages[i].role);
    mem_free(result->messages[i].content);
  }
  mem_free(result->messages);
  memset(result, 0, sizeof *result);
}

static int run_read(Database *database, StoreCall *call, Err *err)
{
  Conversation *conversation = (Conversation *)call;
  clear(&conversation->result);
  return database_read(database, conversation->app_id, conversation->id, conversation->user,
                       conversation->limit, &conversation->result, err);
}

static int run_append(Database *database, StoreCall *call, Err *err)
{
  Conversation *conversation = (Conversation *)call;
  Span question = { conversation->question.bytes, conversation->question.len };
  Span answer = { conversation->answer.bytes, conversation->answer.len };
  return database_append(database, conversation->app_id, conversation->id, conversation->user,
                         question, answer, err);
}

static void deliver(StoreCall *call)
{
  Conversation *conversation = (Conversation *)call;
  conversation->result.code = call->code;
  memcpy(conversation->result.text, call->text, sizeof call->text);
  conversation->on_done(conversation->context, &conversation->result);
}

static void free_call(StoreCall *call)
{
  Conversation *conversation = (Conversation *)call;
  clear(&conversation->result);
  mem_free(conversation->app_id);
  mem_free(conversation->id);
  mem_free(conversation->user);
  buffer_free(&conversation->question);
  buffer_free(&conversation->answer);
  mem_free(conversation);
}

static const StoreCallType read_type = { false, run_read, deliver, free_call };
static const StoreCallType append_type = { true, run_append, deliver, free_call };

static Conversation *conversation_new(const StoreCallType *type, const char *app_id, const char *id)
{
  Conversation *conversation = mem_zero(1, sizeof *conversation);
  conversation->call.type = type;
  conversation->app_id = mem_string(app_id);
  conversation->id = mem_string(id);
  return conversation;
}

StoreCall *store_conversation_read(Store *store, const char *app_id, const char *id,
                                   const char *user, uint32_t limit,
                                   void (*on_done)(void *context, const ConversationResult *result),
                                   void *context)
{
  Conversation *conversation = conversation_new(&read_type, app_id, id);
  conversation->user = mem_string(user ? user : "");
  conversation->limit = limit;
  conversation->on_done = on_done;
  conversation->context = context;
  return store_submit(store, &conversation->call);
}

StoreCall *store_conversation_append(
    Store *store, const char *app_id, const char *id, const char *user, Span question, Span answer,
    void (*on_done)(void *context, const ConversationResult *result), void *context)
{
  Conversation *conversation = conversation_new(&append_type, app_id, id);
  conversation->user = mem_string(user ? user : "");
  buffer_append(&conversation->question, question.at, question.len);
  buffer_append(&conversation->answer, answer.at, answer.len);
  conversation->on_done = on_done;
  conversation->context = context;
  return store_submit(store, &conversation->call);
}

// --- hook ids ------------------------------------------------------------------------------------

typedef struct {
  StoreCall call;
  const char *plugin, *name; // borrowed: who asks waits
  char hook_id[64];
} HookId;

static int run_hook_id(Database *database, StoreCall *call, Err *err)
{
  HookId *hook_id = (HookId *)call;
  return database_hook_id(database, hook_id->plugin, hook_id->name, hook_id->hook_id,
                          sizeof hook_id->hook_id, err);
}

static const StoreCallType hook_id_type = { true, run_hook_id, NULL, NULL };

int store_hook_id(Store *store, const char *plugin, const char *name, char *id, size_t size,
                  Err *err)
{
  HookId hook_id = { .call.type = &hook_id_type, .plugin = plugin, .name = name };
  store_wait(store, &hook_id.call);
  if (hook_id.call.code < 0)
    return err_set(err, hook_id.call.code, "%s", hook_id.call.text);
  snprintf(id, size, "%s", hook_id.hook_id);
  return 0;
}
