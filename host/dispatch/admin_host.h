// What the admin API asks of the process that it runs in, as functions that are given to it: it
// knows neither the keeper nor the store. All JSON is a whole value; secrets in it are masked.
#ifndef MOONHOOK_DISPATCH_ADMIN_HOST_H
#define MOONHOOK_DISPATCH_ADMIN_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"

typedef enum { ADMIN_CREATE, ADMIN_CHANGE, ADMIN_ROTATE, ADMIN_REMOVE, ADMIN_RESEAL } AdminVerb;

// A change of an endpoint (ADMIN_RESEAL: of all, their secrets sealed with a fresh key). Everything
// is borrowed until admin_host.change returns; `at` NULL: nothing said.
typedef struct {
  AdminVerb verb;
  Span id;       // but for ADMIN_CREATE and ADMIN_RESEAL
  Span plugin;   // ADMIN_CREATE: "name" or "author/name"
  Span name;     // of the endpoint
  Span slug;     // its hook id; nothing: a random one, or the one it has
  Span settings; // JSON object
  Span unset;    // JSON list of settings' names
  Span limits;   // JSON object of what it has instead of its plugin's; null: nothing
  int enabled;   // 1, 0, or -1: nothing said
} AdminChange;

typedef struct {
  // 0; UV_EINVAL: fields are wrong; UV_ENOENT: no such endpoint; UV_EPERM: it is of moonhook.yaml;
  // UV_EAGAIN: others keep changing it; UV_EIO, UV_ENOSPC: the store
  int code;
  char text[256];
  Buffer json;   // 0: the endpoint as it is now (removed: nothing); ADMIN_RESEAL: {"sealed":N}
  Buffer fields; // UV_EINVAL: [{"field":"settings.api_key","message":"..."}]
} AdminResult;

typedef struct AdminPending AdminPending;

typedef struct {
  void *context;
  // Appends a list of at most `limit` endpoints behind the id `after` ("" : from the first), of one
  // plugin ("author/name") or, with `at` NULL, of all; and to `next` the id to go on behind, if
  // there are more.
  void (*endpoints)(void *context, Span after, uint32_t limit, Span plugin, Buffer *json,
                    Buffer *next);
  bool (*endpoint)(void *context, Span id, Buffer *json); // false: none
  // One plugin ("author/name"), or a list of all with `at` NULL. False: none.
  bool (*plugins)(void *context, Span id, Buffer *json);
  // Lets a plugin that killed workers serve again, as if it had killed none.
  void (*release)(void *context, Span id);
  void (*catalogue)(void *context, Buffer *json); // {"backends":{...},"apps":{...}}
  void (*configuration)(void *context, Buffer *json);
  void (*status)(void *context, Buffer *json);
  // Begins a change; on_done comes later, once, with a result that it may take parts of. NULL: it
  // is over already, and `*now` (zeroed by the caller) says how. After `detach` on_done never
  // comes; the change is done all the same.
  AdminPending *(*change)(void *context, const AdminChange *change, AdminResult *now,
                          void (*on_done)(void *context, AdminResult *result), void *done_context);
  void (*detach)(AdminPending *pending);
} AdminHost;

#endif
