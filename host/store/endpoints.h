// The truth about endpoints that were made through the admin API, one row each. Endpoints of
// moonhook.yaml are not here. Every change is a whole row, written only if nobody changed it
// meanwhile; one process, the keeper, writes them.
#ifndef MOONHOOK_STORE_ENDPOINTS_H
#define MOONHOOK_STORE_ENDPOINTS_H

#include "store.h"

typedef struct StoredEndpoint {
  char *id;         // "ep_" and 26 characters, later ones sort behind earlier ones
  uint64_t version; // 1 when it is made, one more with each change
  char *plugin;     // "author/name"
  char *name;
  char *hook_id;
  bool is_enabled;
  char *settings;    // JSON object: what was given, without the secrets
  char *secrets;     // JSON object: name of a secret setting = its JSON text, sealed
  char *served;      // what handlers get, a JSON object; sealed when there are secrets
  char *limits;      // JSON object: what it has instead of its plugin's limits
  char *plugin_hash; // the plugin's version that `served` was made with
  uint64_t created_ms, updated_ms; // wall clock
} StoredEndpoint;

void stored_endpoint_copy(StoredEndpoint *to, const StoredEndpoint *from);
void stored_endpoint_clear(StoredEndpoint *endpoint); // frees what it holds

// Every row, by id. Synchronous, for the keeper at start. The caller clears each and frees `*list`.
int store_endpoints_read(Store *store, StoredEndpoint **list, uint32_t *count, Err *err);

// `code`: 0; UV_EEXIST: the hook id is another endpoint's; UV_EAGAIN: the row was changed
// meanwhile; UV_ENOENT: it is gone; UV_EIO, UV_ENOSPC. Nothing was written unless it is 0.
typedef void (*EndpointWritten)(void *context, int code, const char *text);

// Writes the row. Version 1: a new one; else the row must be there with the version before.
StoreCall *store_endpoint_put(Store *store, const StoredEndpoint *endpoint, EndpointWritten on_done,
                              void *context);
// Removes the row if it still has this version.
StoreCall *store_endpoint_remove(Store *store, const char *id, uint64_t version,
                                 EndpointWritten on_done, void *context);

#endif
