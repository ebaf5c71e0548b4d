// A call to a backend, made ready to be sent: its address, its headers with the key in them, its
// body. The one place where keys are used.
#ifndef MOONHOOK_REVERSE_BACKEND_CALL_H
#define MOONHOOK_REVERSE_BACKEND_CALL_H

#include "backend.h"
#include "client.h"

// What the caller has to say about a call. Strings are borrowed, NULL where there is nothing.
typedef struct {
  bool is_streaming;
  const char *content_type; // of the body; NULL: JSON
  const char *app_id;       // of dify-service: picks the key; NULL: its only app
  const char *path_arg;     // for the %s of the row's path
  const char *signed_url;   // of rows that are signed
  ClientTimes times;
} BackendAsk;

typedef struct {
  ClientCall call; // points into the rest, and to the caller's body unless it had to be changed
  Buffer url, body;
  HeaderList headers;
  const char *key; // the one that is sent, the backend's own; or NULL
} BackendCall;

// Returns 0, or a negative code with err->text and nothing to be freed: UV_ENOENT when the backend
// has no key for the app, UV_EINVAL when something asked for does not fit the row.
int backend_call_prepare(BackendCall *prepared, const Backend *backend, const BackendKind *kind,
                         const BackendAsk *ask, Span body, Err *err);
void backend_call_own(BackendCall *prepared);  // copies the body, so that the call can wait
void backend_call_free(BackendCall *prepared); // wipes the key

#endif
