// What outlives a restart: hook ids, conversations, plugins' storage (later endpoints, settings).
// Every call is asynchronous: one store thread runs the queued operations, all writes that wait
// together share one transaction (group commit); a write's callback comes after the commit is
// synced. While another process locks the database a call waits for it, two seconds at most.
#ifndef MOONHOOK_STORE_STORE_H
#define MOONHOOK_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/loop.h"

typedef struct Store Store;

const char *store_version(void); // of SQLite

// Opens or creates DATA/moonhook.db, runs the migrations. Errors: unreadable, not a database, a
// newer schema ("database is v7, this binary supports up to v2"). Without `is_first` another
// process of this host has opened it before: its pages are not checked again.
Store *store_open(Loop *loop, const char *data_dir, bool is_first, Err *err);
void store_close(Store *store); // waits for queued operations; callbacks that were due still come

// A pending operation, so that it can be detached: after store_detach its callback never comes. A
// write is done all the same.
typedef struct StoreCall StoreCall;
void store_detach(StoreCall *call);
uint32_t store_pending(const Store *store); // operations whose callbacks have not come yet

// --- conversations -------------------------------------------------------------------------------

// One stored message of a conversation.
typedef struct {
  char *role;    // "user", "assistant"
  char *content; // UTF-8 text
} StoredMessage;

typedef struct {
  int code; // 0, UV_ENOENT (no such conversation), UV_EIO, UV_ENOSPC
  char text[200];
  StoredMessage *messages; // oldest first
  uint32_t count;
} ConversationResult;

// The last `limit` messages of conversation `id` of app `app_id`, if it is that user's.
StoreCall *store_conversation_read(Store *store, const char *app_id, const char *id,
                                   const char *user, uint32_t limit,
                                   void (*on_done)(void *context, const ConversationResult *result),
                                   void *context);
// Appends one user message and one answer in one transaction; creates the conversation when it is
// new. Result: code and text only.
StoreCall *store_conversation_append(
    Store *store, const char *app_id, const char *id, const char *user, Span question, Span answer,
    void (*on_done)(void *context, const ConversationResult *result), void *context);

// Hook ids of endpoints declared without one, kept by the endpoint's identity (plugin and name).
// Synchronous, for the keeper at start and on config changes only. Gives the stored id, or stores
// a fresh random one and gives that.
int store_hook_id(Store *store, const char *plugin, const char *name, char *id, size_t size,
                  Err *err);

// --- plugins' storage ----------------------------------------------------------------------------

enum {
  STORAGE_KEY_BYTES = 256,
  STORAGE_VALUE_BYTES = 10 * 1024 * 1024,
  STORAGE_OVERHEAD_BYTES = 64,             // what a key costs beside its own bytes and the value's
  STORAGE_TOTAL_BYTES = 1024 * 1024 * 1024 // of all plugins together
};

typedef enum {
  STORAGE_GET,       // found, value
  STORAGE_EXIST,     // found
  STORAGE_LIST,      // keys, count, has_more
  STORAGE_SET,       // a key that is there loses its old expiry
  STORAGE_DELETE,    // found: it was there
  STORAGE_INCREMENT, // number; an absent key counts as 0; a key that is there keeps its expiry
  STORAGE_SWAP,      // found: it was as `old` says, and is `value` now
  STORAGE_ONCE,      // found: it was not there, and is now; keys of their own
} StorageVerb;

// Everything is borrowed; copied before store_storage returns.
typedef struct {
  StorageVerb verb;
  const char *plugin;   // whose storage
  uint64_t quota_bytes; // what the plugin may hold
  Span key;             // 1 to STORAGE_KEY_BYTES; of LIST: how the keys begin, may be empty
  Span value;           // SET, SWAP
  Span old;             // SWAP: what must be there; `at` NULL: nothing may be there
  Span after;           // LIST: only keys after this one
  uint32_t limit;       // LIST: how many at most
  int64_t by;           // INCREMENT
  uint64_t ttl_ms;      // 0: it stays for ever
} StorageRequest;

typedef struct {
  // 0, UV_EIO, UV_ENOSPC; UV_E2BIG: over the quota, UV_ERANGE: INCREMENT of what is no number, or
  // beyond 2^53. Nothing was written then.
  int code;
  char text[200];
  bool found;
  Buffer value; // may be taken
  int64_t number;
  Buffer keys; // each as two bytes of its length (machine order) and its bytes, in order
  uint32_t count;
  bool has_more;
} StorageResult;

StoreCall *store_storage(Store *store, const StorageRequest *request,
                         void (*on_done)(void *context, StorageResult *result), void *context);

#endif
