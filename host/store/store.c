// See store.h. The loop puts calls into a queue; the thread takes all that wait at once, answers
// the reads, does the writes in one transaction, and hands everything back through one uv_async.
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/memory.h"
#include "database.h"

typedef enum { CALL_READ, CALL_APPEND, CALL_HOOK_ID } CallKind;

struct StoreCall {
  StoreCall *next;
  CallKind kind;
  char *first, *second; // app id and conversation id; plugin and name
  char *user;
  Buffer question, answer;
  uint32_t limit;
  ConversationResult result;
  char hook_id[64];
  void (*on_done)(void *context, const ConversationResult *result); // NULL once detached
  void *context;
  bool is_synchronous, is_done; // somebody sleeps until it is done; he frees it
};

typedef struct {
  StoreCall *first, **last; // *last is where the next one goes
} CallQueue;

struct Store {
  Loop *loop;
  Database *database; // the thread's
  uv_thread_t thread;
  uv_mutex_t mutex; // guards all below
  uv_cond_t has_work, has_answer;
  CallQueue waiting, done;
  bool is_closing;
  uv_async_t async;
};

// --- queues --------------------------------------------------------------------------------------

static void queue_init(CallQueue *queue)
{
  queue->first = NULL;
  queue->last = &queue->first;
}

static void queue_put(CallQueue *queue, StoreCall *call)
{
  call->next = NULL;
  *queue->last = call;
  queue->last = &call->next;
}

static StoreCall *queue_take_all(CallQueue *queue)
{
  StoreCall *calls = queue->first;
  queue_init(queue);
  return calls;
}

static void call_free(StoreCall *call)
{
  uint32_t i;
  for (i = 0; i < call->result.count; i++) {
    mem_free(call->result.messages[i].role);
    mem_free(call->result.messages[i].content);
  }
  mem_free(call->result.messages);
  mem_free(call->first);
  mem_free(call->second);
  mem_free(call->user);
  buffer_free(&call->question);
  buffer_free(&call->answer);
  mem_free(call);
}

// --- the thread ----------------------------------------------------------------------------------

static void set_result(StoreCall *call, int code, const Err *err)
{
  call->result.code = code;
  call->result.text[0] = '\0';
  if (code < 0)
    snprintf(call->result.text, sizeof call->result.text, "%.*s", (int)sizeof call->result.text - 1,
             err->text);
}

static int write_one(Database *database, StoreCall *call, Err *err)
{
  Span question = { call->question.bytes, call->question.len };
  Span answer = { call->answer.bytes, call->answer.len };
  if (call->kind == CALL_HOOK_ID)
    return database_hook_id(database, call->first, call->second, call->hook_id,
                            sizeof call->hook_id, err);
  return database_append(database, call->first, call->second, call->user, question, answer, err);
}

// The writes among the calls from `first` up to `end`, in one transaction.
static int write_together(Database *database, StoreCall *first, StoreCall *end, Err *err)
{
  StoreCall *call;
  int code = database_begin(database, err);
  if (code < 0)
    return code;
  for (call = first; call != end && code == 0; call = call->next) {
    if (call->kind != CALL_READ)
      code = write_one(database, call, err);
  }
  if (code == 0)
    return database_commit(database, err);
  database_rollback(database);
  return code;
}

static void do_writes(Database *database, StoreCall *calls)
{
  Err err = { 0 };
  StoreCall *call;
  uint32_t count = 0;
  int code;
  for (call = calls; call; call = call->next)
    count += call->kind != CALL_READ;
  if (count == 0)
    return;
  code = write_together(database, calls, NULL, &err);
  for (call = calls; call; call = call->next) {
    if (call->kind == CALL_READ)
      continue;
    if (code < 0 && count > 1) { // one bad write shall not spoil the others'
      int own = write_together(database, call, call->next, &err);
      set_result(call, own, &err);
    } else {
      set_result(call, code, &err);
    }
  }
}

static void do_reads(Database *database, StoreCall *calls)
{
  Err err = { 0 };
  for (; calls; calls = calls->next) {
    if (calls->kind == CALL_READ)
      set_result(
          calls,
          database_read(database, calls->first, calls->second, calls->limit, &calls->result, &err),
          &err);
  }
}

static void hand_back(Store *store, StoreCall *calls)
{
  StoreCall *call, *next;
  uv_mutex_lock(&store->mutex);
  for (call = calls; call; call = next) {
    next = call->next;
    call->is_done = true;
    if (!call->is_synchronous)
      queue_put(&store->done, call);
  }
  uv_cond_broadcast(&store->has_answer);
  uv_async_send(&store->async);
  uv_mutex_unlock(&store->mutex);
}

static void thread_main(void *argument)
{
  Store *store = argument;
  for (;;) {
    StoreCall *calls;
    uv_mutex_lock(&store->mutex);
    while (!store->waiting.first && !store->is_closing)
      uv_cond_wait(&store->has_work, &store->mutex);
    calls = queue_take_all(&store->waiting);
    uv_mutex_unlock(&store->mutex);
    if (!calls)
      return;
    do_reads(store->database, calls);
    do_writes(store->database, calls);
    hand_back(store, calls);
  }
}

// --- the loop's side -----------------------------------------------------------------------------

static void deliver(Store *store)
{
  StoreCall *call, *next;
  uv_mutex_lock(&store->mutex);
  call = queue_take_all(&store->done);
  uv_mutex_unlock(&store->mutex);
  for (; call; call = next) {
    next = call->next;
    if (call->on_done)
      call->on_done(call->context, &call->result);
    call_free(call);
  }
}

static void on_async(uv_async_t *async)
{
  deliver(async->data);
}

static StoreCall *call_new(CallKind kind, const char *first, const char *second)
{
  StoreCall *call = mem_zero(1, sizeof *call);
  call->kind = kind;
  call->first = mem_string(first);
  call->second = mem_string(second);
  return call;
}

static StoreCall *submit(Store *store, StoreCall *call)
{
  uv_mutex_lock(&store->mutex);
  queue_put(&store->waiting, call);
  uv_cond_signal(&store->has_work);
  uv_mutex_unlock(&store->mutex);
  return call;
}

void store_detach(StoreCall *call)
{
  call->on_done = NULL; // read by the loop's thread only
}

StoreCall *store_conversation_read(Store *store, const char *app_id, const char *id, uint32_t limit,
                                   void (*on_done)(void *context, const ConversationResult *result),
                                   void *context)
{
  StoreCall *call = call_new(CALL_READ, app_id, id);
  call->limit = limit;
  call->on_done = on_done;
  call->context = context;
  return submit(store, call);
}

StoreCall *store_conversation_append(
    Store *store, const char *app_id, const char *id, const char *user, Span question, Span answer,
    void (*on_done)(void *context, const ConversationResult *result), void *context)
{
  StoreCall *call = call_new(CALL_APPEND, app_id, id);
  call->user = mem_string(user ? user : "");
  buffer_append(&call->question, question.at, question.len);
  buffer_append(&call->answer, answer.at, answer.len);
  call->on_done = on_done;
  call->context = context;
  return submit(store, call);
}

int store_hook_id(Store *store, const char *plugin, const char *name, char *id, size_t size,
                  Err *err)
{
  StoreCall *call = call_new(CALL_HOOK_ID, plugin, name);
  int code;
  call->is_synchronous = true;
  submit(store, call);
  uv_mutex_lock(&store->mutex);
  while (!call->is_done)
    uv_cond_wait(&store->has_answer, &store->mutex);
  uv_mutex_unlock(&store->mutex);
  code = call->result.code;
  if (code < 0)
    err_set(err, code, "%s", call->result.text);
  else
    snprintf(id, size, "%s", call->hook_id);
  call_free(call);
  return code;
}

// --- opening and closing -------------------------------------------------------------------------

// Makes the folder and those above it; ours is for its owner only.
static int make_folder(const char *dir, Err *err)
{
  char *path = mem_string(dir), *slash;
  int code = 0;
  for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0755); // when it fails, the last one will too
    *slash = '/';
  }
  if (mkdir(path, 0700) < 0 && errno != EEXIST) {
    code = uv_translate_sys_error(errno);
    err_set(err, code, "%s: cannot make the data folder: %s", dir, uv_strerror(code));
  }
  mem_free(path);
  return code;
}

Store *store_open(Loop *loop, const char *data_dir, Err *err)
{
  Store *store;
  Database *database;
  Buffer path = { 0 };
  if (make_folder(data_dir, err) < 0)
    return NULL;
  buffer_printf(&path, "%s/moonhook.db", data_dir);
  database = database_open(path.bytes, err);
  buffer_free(&path);
  if (!database)
    return NULL;
  store = mem_zero(1, sizeof *store);
  store->loop = loop;
  store->database = database;
  queue_init(&store->waiting);
  queue_init(&store->done);
  uv_mutex_init(&store->mutex);
  uv_cond_init(&store->has_work);
  uv_cond_init(&store->has_answer);
  uv_async_init(loop_uv(loop), &store->async, on_async);
  uv_unref((uv_handle_t *)&store->async);
  store->async.data = store;
  if (uv_thread_create(&store->thread, thread_main, store) < 0)
    abort(); // base/memory.h: a host without means for itself ends
  return store;
}

static void on_async_closed(uv_handle_t *handle)
{
  mem_free(handle->data);
}

void store_close(Store *store)
{
  if (!store)
    return;
  uv_mutex_lock(&store->mutex);
  store->is_closing = true;
  uv_cond_signal(&store->has_work);
  uv_mutex_unlock(&store->mutex);
  uv_thread_join(&store->thread);
  deliver(store);
  database_close(store->database);
  uv_cond_destroy(&store->has_work);
  uv_cond_destroy(&store->has_answer);
  uv_mutex_destroy(&store->mutex);
  uv_close((uv_handle_t *)&store->async, on_async_closed);
}
