// See backend.h. The table at the top is the whole policy: a kind that is not listed for a type
// cannot be called, whatever a plugin asks for.
#include "backend.h"

#include <string.h>
#include <uv.h>

#include "../base/memory.h"
#include "url.h"

struct Backends {
  uint32_t holds;
  uint32_t count;
  Backend *items;
};

static const BackendKind kinds[] = {
  { BACKEND_OPENAI, "llm", "POST", "/chat/completions", PERMIT_LLM, true },
  { BACKEND_OPENAI, "text_embedding", "POST", "/embeddings", PERMIT_TEXT_EMBEDDING, true },
  { BACKEND_OPENAI, "models", "GET", "/models", 0, true },
  { BACKEND_LOCAL, "app", NULL, NULL, PERMIT_APP, false },
  { BACKEND_LOCAL, "llm", NULL, NULL, PERMIT_LLM, false },
  { BACKEND_LOCAL, "text_embedding", NULL, NULL, PERMIT_TEXT_EMBEDDING, false },
  { BACKEND_LOCAL, "models", NULL, NULL, 0, false },
};

enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

const BackendKind *backend_kind(BackendType type, const char *kind)
{
  size_t i;
  for (i = 0; i < KIND_COUNT; i++) {
    if (kinds[i].type == type && strcmp(kinds[i].kind, kind) == 0)
      return &kinds[i];
  }
  return NULL;
}

uint32_t backend_permission(const char *kind)
{
  size_t i;
  for (i = 0; i < KIND_COUNT; i++) {
    if (strcmp(kinds[i].kind, kind) == 0)
      return kinds[i].permission;
  }
  return 0;
}

const char *backend_type_name(BackendType type)
{
  switch (type) {
  case BACKEND_LOCAL:
    return "local";
  case BACKEND_OPENAI:
    return "openai";
  case BACKEND_DIFY:
    return "dify";
  case BACKEND_DIFY_SERVICE:
    return "dify-service";
  }
  return "unknown";
}

static Backend *append(Backends *backends, BackendType type, const char *name)
{
  Backend *backend;
  backends->items = mem_resize(backends->items, (backends->count + 1) * sizeof *backends->items);
  backend = &backends->items[backends->count++];
  *backend = (Backend){ .name = mem_string(name), .type = type };
  return backend;
}

Backends *backends_new(void)
{
  Backends *backends = mem_zero(1, sizeof *backends);
  backends->holds = 1;
  append(backends, BACKEND_LOCAL, "local");
  return backends;
}

Backends *backends_hold(Backends *backends)
{
  backends->holds++;
  return backends;
}

void backends_release(Backends *backends)
{
  uint32_t i;
  if (!backends || --backends->holds > 0)
    return;
  for (i = 0; i < backends->count; i++) {
    Backend *backend = &backends->items[i];
    if (backend->key)
      explicit_bzero(backend->key, strlen(backend->key));
    mem_free(backend->key);
    mem_free(backend->name);
    mem_free(backend->url);
    mem_free(backend->models_json);
  }
  mem_free(backends->items);
  mem_free(backends);
}

// A key travels in a header: what could end that header is refused here, once.
static bool is_header_safe(const char *key)
{
  for (; *key; key++) {
    if ((unsigned char)*key < ' ' || *key == 0x7f)
      return false;
  }
  return true;
}

int backends_add(Backends *backends, BackendType type, const char *name, const char *url,
                 const char *key, const char *models_json, Err *err)
{
  Backend *backend;
  Url parsed;
  const char *why = NULL;
  size_t len = url ? strlen(url) : 0;
  if (backends_find(backends, name))
    return err_set(err, UV_EEXIST, "backend %s: expected a name of its own, got it twice", name);
  if (type != BACKEND_LOCAL) {
    if (!url)
      return err_set(err, UV_EINVAL, "backend %s: expected a url, got none", name);
    if (url_parse(url, &parsed, &why) < 0)
      return err_set(err, UV_EINVAL, "backend %s: url: expected %s", name, why);
    if (strchr(parsed.target, '?'))
      return err_set(err, UV_EINVAL, "backend %s: url: expected no query after the path", name);
    while (len > 0 && url[len - 1] == '/')
      len--;
  }
  if (key && !is_header_safe(key))
    return err_set(err, UV_EINVAL, "backend %s: key: expected one line of text", name);
  backend = append(backends, type, name);
  backend->url = url ? mem_bytes(url, len) : NULL;
  backend->key = mem_string(key);
  backend->models_json = mem_string(models_json);
  return 0;
}

const Backend *backends_find(const Backends *backends, const char *name)
{
  uint32_t i;
  for (i = 0; i < backends->count; i++) {
    if (strcmp(backends->items[i].name, name) == 0)
      return &backends->items[i];
  }
  return NULL;
}

uint32_t backends_count(const Backends *backends)
{
  return backends->count;
}

const Backend *backends_at(const Backends *backends, uint32_t i)
{
  return i < backends->count ? &backends->items[i] : NULL;
}
