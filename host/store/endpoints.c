// See endpoints.h.
#include "endpoints.h"

#include <stdio.h>

#include "../base/memory.h"
#include "call.h"

typedef struct {
  StoreCall call;
  StoredEndpoint endpoint; // a removal: id and version
  bool is_removal;
  int refusal;
  EndpointWritten on_done;
  void *context;
} Write;

void stored_endpoint_copy(StoredEndpoint *to, const StoredEndpoint *from)
{
  *to = *from;
  to->id = mem_string(from->id);
  to->plugin = mem_string(from->plugin);
  to->name = mem_string(from->name);
  to->hook_id = mem_string(from->hook_id);
  to->settings = mem_string(from->settings);
  to->secrets = mem_string(from->secrets);
  to->served = mem_string(from->served);
  to->limits = mem_string(from->limits);
  to->plugin_hash = mem_string(from->plugin_hash);
}

void stored_endpoint_clear(StoredEndpoint *endpoint)
{
  mem_free(endpoint->id);
  mem_free(endpoint->plugin);
  mem_free(endpoint->name);
  mem_free(endpoint->hook_id);
  mem_free(endpoint->settings);
  mem_free(endpoint->secrets);
  mem_free(endpoint->served);
  mem_free(endpoint->limits);
  mem_free(endpoint->plugin_hash);
  memset(endpoint, 0, sizeof *endpoint);
}

// --- writing -------------------------------------------------------------------------------------

static int run_write(Database *database, StoreCall *call, Err *err)
{
  Write *write = (Write *)call;
  EndpointRows *rows = database_endpoints(database);
  write->refusal = 0;
  if (write->is_removal)
    return endpoint_rows_remove(rows, write->endpoint.id, write->endpoint.version, &write->refusal,
                                err);
  return endpoint_rows_put(rows, &write->endpoint, &write->refusal, err);
}

static void deliver(StoreCall *call)
{
  Write *write = (Write *)call;
  write->on_done(write->context, call->code < 0 ? call->code : write->refusal, call->text);
}

static void free_call(StoreCall *call)
{
  Write *write = (Write *)call;
  stored_endpoint_clear(&write->endpoint);
  mem_free(write);
}

static const StoreCallType write_type = { true, run_write, deliver, free_call };

static Write *write_new(EndpointWritten on_done, void *context)
{
  Write *write = mem_zero(1, sizeof *write);
  write->call.type = &write_type;
  write->on_done = on_done;
  write->context = context;
  return write;
}

StoreCall *store_endpoint_put(Store *store, const StoredEndpoint *endpoint, EndpointWritten on_done,
                              void *context)
{
  Write *write = write_new(on_done, context);
  stored_endpoint_copy(&write->endpoint, endpoint);
  return store_submit(store, &write->call);
}

StoreCall *store_endpoint_remove(Store *store, const char *id, uint64_t version,
                                 EndpointWritten on_done, void *context)
{
  Write *write = write_new(on_done, context);
  write->endpoint.id = mem_string(id);
  write->endpoint.version = version;
  write->is_removal = true;
  return store_submit(store, &write->call);
}

// --- reading -------------------------------------------------------------------------------------

typedef struct {
  StoreCall call;
  StoredEndpoint *list;
  uint32_t count;
} Read;

static void free_list(Read *read)
{
  uint32_t i;
  for (i = 0; i < read->count; i++)
    stored_endpoint_clear(&read->list[i]);
  mem_free(read->list);
  read->list = NULL;
  read->count = 0;
}

static int run_read(Database *database, StoreCall *call, Err *err)
{
  Read *read = (Read *)call;
  free_list(read);
  return endpoint_rows_read(database_endpoints(database), &read->list, &read->count, err);
}

static const StoreCallType read_type = { false, run_read, NULL, NULL };

int store_endpoints_read(Store *store, StoredEndpoint **list, uint32_t *count, Err *err)
{
  Read read = { .call.type = &read_type };
  store_wait(store, &read.call);
  if (read.call.code < 0) {
    free_list(&read);
    return err_set(err, read.call.code, "%s", read.call.text);
  }
  *list = read.list;
  *count = read.count;
  return 0;
}
