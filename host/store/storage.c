// See store.h: plugins' storage, as the loop asks for it.
#include "../base/clock.h"
#include "../base/memory.h"
#include "call.h"

typedef struct {
  StoreCall call;
  StorageRequest request; // its spans and its plugin point into `bytes`
  Buffer bytes;
  StorageResult result;
  void (*on_done)(void *context, StorageResult *result);
  void *context;
} StorageCall;

static void clear(StorageResult *result)
{
  buffer_free(&result->value);
  buffer_free(&result->keys);
  memset(result, 0, sizeof *result);
}

static int run(Database *database, StoreCall *call, Err *err)
{
  StorageCall *storage = (StorageCall *)call;
  clear(&storage->result);
  return storage_run(database_storage(database), &storage->request, host_clock.wall_ms(),
                     &storage->result, err);
}

static void deliver(StoreCall *call)
{
  StorageCall *storage = (StorageCall *)call;
  if (call->code < 0) {
    storage->result.code = call->code;
    memcpy(storage->result.text, call->text, sizeof call->text);
  }
  storage->on_done(storage->context, &storage->result);
}

static void free_call(StoreCall *call)
{
  StorageCall *storage = (StorageCall *)call;
  clear(&storage->result);
  buffer_free(&storage->bytes);
  mem_free(storage);
}

static const StoreCallType read_type = { false, run, deliver, free_call };
static const StoreCallType write_type = { true, run, deliver, free_call };

// Copies into the call's own bytes, which have room for it.
static Span keep(StorageCall *storage, Span span)
{
  Span kept = { storage->bytes.bytes + storage->bytes.len, span.len };
  if (!span.at)
    return (Span){ 0 };
  buffer_append(&storage->bytes, span.at, span.len);
  return kept;
}

StoreCall *store_storage(Store *store, const StorageRequest *request,
                         void (*on_done)(void *context, StorageResult *result), void *context)
{
  bool is_read = request->verb == STORAGE_GET || request->verb == STORAGE_EXIST ||
                 request->verb == STORAGE_LIST;
  StorageCall *storage = mem_zero(1, sizeof *storage);
  Span plugin = { request->plugin, strlen(request->plugin) + 1 };
  storage->call.type = is_read ? &read_type : &write_type;
  if (request->ttl_ms > 0)
    storage->call.expires_ms = host_clock.wall_ms() + request->ttl_ms;
  storage->request = *request;
  buffer_reserve(&storage->bytes, plugin.len + request->key.len + request->value.len +
                                      request->old.len + request->after.len);
  storage->request.plugin = keep(storage, plugin).at;
  storage->request.key = keep(storage, request->key);
  storage->request.value = keep(storage, request->value);
  storage->request.old = keep(storage, request->old);
  storage->request.after = keep(storage, request->after);
  storage->on_done = on_done;
  storage->context = context;
  return store_submit(store, &storage->call);
}
