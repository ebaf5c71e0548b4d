// What outlives a restart: hook ids, conversations (later endpoints, settings, plugin storage).
// Every call is asynchronous: one store thread runs the queued operations, all writes that wait
// together share one transaction (group commit); a write's callback comes after the commit is
// synced.
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
// newer schema ("database is v7, this binary supports up to v1").
Store *store_open(Loop *loop, const char *data_dir, Err *err);
void store_close(Store *store); // waits for queued operations; callbacks that were due still come

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

// A pending operation, so that it can be detached: after store_detach its callback never comes.
typedef struct StoreCall StoreCall;
void store_detach(StoreCall *call);

// The last `limit` messages of conversation `id` of app `app_id`.
StoreCall *store_conversation_read(Store *store, const char *app_id, const char *id, uint32_t limit,
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

#endif
