// The backends that reverse calls go to, with their addresses and keys. Keys never leave C: a
// plugin names a backend and a kind of call; this table knows which kinds a backend type carries,
// on which path, and which permission the kind needs.
#ifndef MOONHOOK_REVERSE_BACKEND_H
#define MOONHOOK_REVERSE_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/header_list.h"

typedef enum { BACKEND_LOCAL, BACKEND_OPENAI, BACKEND_DIFY, BACKEND_DIFY_SERVICE } BackendType;

// Permission bits of a generation; the names are the manifest's.
enum {
  PERMIT_APP = 1 << 0,
  PERMIT_LLM = 1 << 1,
  PERMIT_TEXT_EMBEDDING = 1 << 2,
  PERMIT_RERANK = 1 << 3,
  PERMIT_TTS = 1 << 4,
  PERMIT_SPEECH2TEXT = 1 << 5,
  PERMIT_MODERATION = 1 << 6,
  PERMIT_TOOL = 1 << 7,
  PERMIT_NODE = 1 << 8,
  PERMIT_STORAGE = 1 << 9,
  PERMIT_NETWORK = 1 << 10,
  PERMIT_ALL = (1 << 11) - 1,
};

// An app of a `dify-service` backend; its key says which app it is.
typedef struct {
  char *app_id, *key;
} BackendApp;

typedef struct {
  char *name;
  BackendType type;
  char *url;         // base, without a final slash; NULL for local
  char *key;         // NULL when none; wiped when freed
  char *models_json; // {"llm":["gpt-4o"],"text-embedding":[...]} or NULL
  char *tenant_id;   // of dify; NULL when none
  BackendApp *apps;  // of dify-service
  uint32_t app_count;
} Backend;

typedef struct Backends Backends; // reference-counted: a call in flight keeps its own

Backends *backends_new(void); // holds `local` already
Backends *backends_hold(Backends *backends);
void backends_release(Backends *backends);
// Copies its arguments. Errors: a name twice, a URL that is not http(s)://host[:port][/path].
int backends_add(Backends *backends, BackendType type, const char *name, const char *url,
                 const char *key, const char *models_json, Err *err);
// More about the backend that was added last; copied.
void backends_set_tenant(Backends *backends, const char *tenant_id);
int backends_add_app(Backends *backends, const char *app_id, const char *key, Err *err);
const Backend *backends_find(const Backends *backends, const char *name);
uint32_t backends_count(const Backends *backends);
const Backend *backends_at(const Backends *backends, uint32_t i);
const char *backend_type_name(BackendType type); // "local", "openai", "dify", "dify-service"

// What a 2xx reply's body is cut into.
typedef enum { BODY_WHOLE, BODY_BYTES, BODY_SSE, BODY_FRAMES } BodyDecoder;

// How a kind of call ("app", "llm", "text_embedding", "models") travels on a backend type.
typedef struct {
  BackendType type;
  const char *kind;
  const char *method;
  const char *path;    // appended to the backend's url; %s stands for one segment that Lua names
  uint32_t permission; // PERMIT_*; 0: always allowed
  bool may_repeat;     // retried on connect errors, 408, 409, 429, 5xx before the first byte
  BodyDecoder decoder; // of a call that asked for no stream
  BodyDecoder stream_decoder;
  bool is_signed; // goes where the backend says, to a URL that ends with `path`; without a key
} BackendKind;
// NULL: the type does not carry the kind.
const BackendKind *backend_kind(BackendType type, const char *kind);
// The permission that a kind needs, whatever the backend (0 for an unknown kind).
uint32_t backend_permission(const char *kind);

#endif
