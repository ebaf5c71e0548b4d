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
  { BACKEND_OPENAI, "llm", "POST", "/chat/completions", PERMIT_LLM, true,
    .stream_decoder = BODY_SSE },
  { BACKEND_OPENAI, "summary", "POST", "/chat/completions", PERMIT_LLM, true,
    .stream_decoder = BODY_SSE },
  { BACKEND_OPENAI, "parameter_extractor", "POST", "/chat/completions", PERMIT_NODE, true,
    .stream_decoder = BODY_SSE },
  { BACKEND_OPENAI, "question_classifier", "POST", "/chat/completions", PERMIT_NODE, true,
    .stream_decoder = BODY_SSE },
  { BACKEND_OPENAI, "text_embedding", "POST", "/embeddings", PERMIT_TEXT_EMBEDDING, true,
    .decoder = BODY_WHOLE },
  { BACKEND_OPENAI, "rerank", "POST", "/rerank", PERMIT_RERANK, true, .decoder = BODY_WHOLE },
  { BACKEND_OPENAI, "tts", "POST", "/audio/speech", PERMIT_TTS, true,
    .stream_decoder = BODY_BYTES },
  { BACKEND_OPENAI, "speech2text", "POST", "/audio/transcriptions", PERMIT_SPEECH2TEXT, true,
    .decoder = BODY_WHOLE },
  { BACKEND_OPENAI, "moderation", "POST", "/moderations", PERMIT_MODERATION, true,
    .decoder = BODY_WHOLE },
  { BACKEND_OPENAI, "models", "GET", "/models", 0, true, .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "app", "POST", "/inner/api/invoke/app", PERMIT_APP, false, .decoder = BODY_FRAMES,
    .stream_decoder = BODY_FRAMES },
  { BACKEND_DIFY, "fetch_app", "POST", "/inner/api/fetch/app/info", PERMIT_APP, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "llm", "POST", "/inner/api/invoke/llm", PERMIT_LLM, true, .decoder = BODY_FRAMES,
    .stream_decoder = BODY_FRAMES },
  { BACKEND_DIFY, "llm_structured_output", "POST", "/inner/api/invoke/llm/structured-output",
    PERMIT_LLM, true, .decoder = BODY_FRAMES, .stream_decoder = BODY_FRAMES },
  { BACKEND_DIFY, "text_embedding", "POST", "/inner/api/invoke/text-embedding",
    PERMIT_TEXT_EMBEDDING, true, .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "multimodal_embedding", "POST", "/inner/api/invoke/multimodal-embedding",
    PERMIT_TEXT_EMBEDDING, true, .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "rerank", "POST", "/inner/api/invoke/rerank", PERMIT_RERANK, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "multimodal_rerank", "POST", "/inner/api/invoke/multimodal-rerank", PERMIT_RERANK,
    true, .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "tts", "POST", "/inner/api/invoke/tts", PERMIT_TTS, true, .decoder = BODY_FRAMES,
    .stream_decoder = BODY_FRAMES },
  { BACKEND_DIFY, "speech2text", "POST", "/inner/api/invoke/speech2text", PERMIT_SPEECH2TEXT, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "moderation", "POST", "/inner/api/invoke/moderation", PERMIT_MODERATION, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "summary", "POST", "/inner/api/invoke/summary", PERMIT_LLM, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "tool", "POST", "/inner/api/invoke/tool", PERMIT_TOOL, false,
    .decoder = BODY_FRAMES, .stream_decoder = BODY_FRAMES },
  { BACKEND_DIFY, "parameter_extractor", "POST", "/inner/api/invoke/parameter-extractor",
    PERMIT_NODE, true, .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "question_classifier", "POST", "/inner/api/invoke/question-classifier",
    PERMIT_NODE, true, .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "upload_file", "POST", "/inner/api/upload/file/request", 0, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY, "upload_signed", "POST", "/files/upload/for-plugin", 0, false,
    .is_signed = true },
  { BACKEND_DIFY_SERVICE, "app_chat", "POST", "/chat-messages", PERMIT_APP, false,
    .stream_decoder = BODY_SSE },
  { BACKEND_DIFY_SERVICE, "app_completion", "POST", "/completion-messages", PERMIT_APP, false,
    .stream_decoder = BODY_SSE },
  { BACKEND_DIFY_SERVICE, "app_workflow", "POST", "/workflows/run", PERMIT_APP, false,
    .stream_decoder = BODY_SSE },
  { BACKEND_DIFY_SERVICE, "stop_chat", "POST", "/chat-messages/%s/stop", PERMIT_APP, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY_SERVICE, "stop_completion", "POST", "/completion-messages/%s/stop", PERMIT_APP,
    true, .decoder = BODY_WHOLE },
  { BACKEND_DIFY_SERVICE, "stop_workflow", "POST", "/workflows/tasks/%s/stop", PERMIT_APP, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY_SERVICE, "fetch_app", "GET", "/parameters", PERMIT_APP, true,
    .decoder = BODY_WHOLE },
  { BACKEND_DIFY_SERVICE, "app_info", "GET", "/info", PERMIT_APP, true, .decoder = BODY_WHOLE },
  { BACKEND_DIFY_SERVICE, "upload_file", "POST", "/files/upload", 0, false, .decoder = BODY_WHOLE },
  { BACKEND_LOCAL, "app", .permission = PERMIT_APP },
  { BACKEND_LOCAL, "fetch_app", .permission = PERMIT_APP },
  { BACKEND_LOCAL, "llm", .permission = PERMIT_LLM },
  { BACKEND_LOCAL, "llm_structured_output", .permission = PERMIT_LLM },
  { BACKEND_LOCAL, "summary", .permission = PERMIT_LLM },
  { BACKEND_LOCAL, "text_embedding", .permission = PERMIT_TEXT_EMBEDDING },
  { BACKEND_LOCAL, "rerank", .permission = PERMIT_RERANK },
  { BACKEND_LOCAL, "moderation", .permission = PERMIT_MODERATION },
  { BACKEND_LOCAL, "parameter_extractor", .permission = PERMIT_NODE },
  { BACKEND_LOCAL, "question_classifier", .permission = PERMIT_NODE },
  { BACKEND_LOCAL, "models", .permission = 0 },
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

static void forget_key(char *key)
{
  if (key)
    explicit_bzero(key, strlen(key));
  mem_free(key);
}

void backends_release(Backends *backends)
{
  uint32_t i, j;
  if (!backends || --backends->holds > 0)
    return;
  for (i = 0; i < backends->count; i++) {
    Backend *backend = &backends->items[i];
    forget_key(backend->key);
    mem_free(backend->name);
    mem_free(backend->url);
    mem_free(backend->models_json);
    mem_free(backend->tenant_id);
    for (j = 0; j < backend->app_count; j++) {
      mem_free(backend->apps[j].app_id);
      forget_key(backend->apps[j].key);
    }
    mem_free(backend->apps);
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

void backends_set_tenant(Backends *backends, const char *tenant_id)
{
  Backend *backend = &backends->items[backends->count - 1];
  mem_free(backend->tenant_id);
  backend->tenant_id = mem_string(tenant_id);
}

int backends_add_app(Backends *backends, const char *app_id, const char *key, Err *err)
{
  Backend *backend = &backends->items[backends->count - 1];
  if (!is_header_safe(key))
    return err_set(err, UV_EINVAL, "backend %s: the key of app %s: expected one line of text",
                   backend->name, app_id);
  backend->apps = mem_resize(backend->apps, (backend->app_count + 1) * sizeof *backend->apps);
  backend->apps[backend->app_count++] = (BackendApp){ mem_string(app_id), mem_string(key) };
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
