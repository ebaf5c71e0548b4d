// See backend_call.h.
#include "backend_call.h"

#include <uv.h>

enum { MAX_SEGMENT = 128 };

// --- the address ---------------------------------------------------------------------------------

// One segment of a path that means nothing but itself.
static bool is_segment(const char *text)
{
  size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
  return len > 0 && len <= MAX_SEGMENT && text[len] == '\0' && strspn(text, ".") < len;
}

static int append_path(Buffer *url, const BackendKind *kind, const char *arg, Err *err)
{
  const char *place = strstr(kind->path, "%s");
  if (!place && arg)
    return err_set(err, UV_EINVAL, "'%s' calls take no path_arg", kind->kind);
  if (place && (!arg || !is_segment(arg)))
    return err_set(err, UV_EINVAL, "'%s' calls need a path_arg of letters, digits, '.', '_', '-'",
                   kind->kind);
  if (!place) {
    buffer_string(url, kind->path);
  } else {
    buffer_append(url, kind->path, (size_t)(place - kind->path));
    buffer_string(url, arg);
    buffer_string(url, place + 2);
  }
  return 0;
}

// A URL that the backend signed, absolute or from its own root, goes to the one path that it may.
static int append_signed(Buffer *url, const Backend *backend, const BackendKind *kind,
                         const char *signed_url, Err *err)
{
  const char *query = signed_url ? strchr(signed_url, '?') : NULL;
  size_t len = query ? (size_t)(query - signed_url) : 0, path_len = strlen(kind->path);
  if (len < path_len || memcmp(signed_url + len - path_len, kind->path, path_len) != 0)
    return err_set(err, UV_EINVAL, "'%s' calls need a signed URL of %s", kind->kind, kind->path);
  if (*signed_url == '/')
    buffer_string(url, backend->url);
  buffer_string(url, signed_url);
  return 0;
}

// --- the headers ---------------------------------------------------------------------------------

// The key of one app, of the only one when none was named.
static const char *app_key(const Backend *backend, const char *app_id)
{
  uint32_t i;
  if (!app_id)
    return backend->app_count == 1 ? backend->apps[0].key : NULL;
  for (i = 0; i < backend->app_count; i++) {
    if (strcmp(backend->apps[i].app_id, app_id) == 0)
      return backend->apps[i].key;
  }
  return NULL;
}

static void add_bearer(HeaderList *headers, const char *key)
{
  Buffer value = { 0 };
  buffer_printf(&value, "Bearer %s", key);
  header_list_add(headers, span_of("Authorization"), (Span){ value.bytes, value.len });
  explicit_bzero(value.bytes, value.len);
  buffer_free(&value);
}

static int add_key(BackendCall *prepared, const Backend *backend, const BackendAsk *ask, Err *err)
{
  HeaderList *headers = &prepared->headers;
  const char *key = backend->key;
  prepared->key = key;
  if (backend->type == BACKEND_DIFY) {
    if (key)
      header_list_add(headers, span_of("X-Inner-Api-Key"), span_of(key));
    return 0;
  }
  if (backend->type == BACKEND_DIFY_SERVICE) {
    key = app_key(backend, ask->app_id);
    if (!key)
      return err_set(err, UV_ENOENT, "the backend '%s' has no key for the app '%s'", backend->name,
                     ask->app_id ? ask->app_id : "(none named)");
    prepared->key = key;
  }
  if (key)
    add_bearer(headers, key);
  return 0;
}

static const char *accepted(BodyDecoder decoder)
{
  switch (decoder) {
  case BODY_WHOLE:
    return "application/json";
  case BODY_BYTES:
    return "*/*";
  default:
    return "text/event-stream";
  }
}

// --- the body ------------------------------------------------------------------------------------

// Dify's inner API wants to know for whom each call is made; endpoints have no user.
static int splice_tenant(Buffer *out, const Backend *backend, Span body, Err *err)
{
  const char *tenant_id = backend->tenant_id ? backend->tenant_id : "";
  if (body.len < 2 || body.at[0] != '{')
    return err_set(err, UV_EINVAL, "a call to '%s' needs a JSON object", backend->name);
  buffer_string(out, "{\"tenant_id\":");
  buffer_json_string(out, tenant_id, strlen(tenant_id));
  buffer_string(out, ",\"user_id\":\"\"");
  if (body.at[1] != '}')
    buffer_char(out, ',');
  buffer_append(out, body.at + 1, body.len - 1);
  return 0;
}

// --- all of it -----------------------------------------------------------------------------------

// What may be refused.
static int fill(BackendCall *prepared, const Backend *backend, const BackendKind *kind,
                const BackendAsk *ask, Span body, Err *err)
{
  int rc;
  if (kind->is_signed)
    return append_signed(&prepared->url, backend, kind, ask->signed_url, err);
  buffer_string(&prepared->url, backend->url);
  if ((rc = append_path(&prepared->url, kind, ask->path_arg, err)) < 0 ||
      (rc = add_key(prepared, backend, ask, err)) < 0)
    return rc;
  return backend->type == BACKEND_DIFY ? splice_tenant(&prepared->body, backend, body, err) : 0;
}

int backend_call_prepare(BackendCall *prepared, const Backend *backend, const BackendKind *kind,
                         const BackendAsk *ask, Span body, Err *err)
{
  ClientCall *call = &prepared->call;
  int rc;
  *prepared = (BackendCall){ 0 };
  rc = fill(prepared, backend, kind, ask, body, err);
  if (rc < 0) {
    backend_call_free(prepared);
    return rc;
  }
  call->decoder = ask->is_streaming ? kind->stream_decoder : kind->decoder;
  if (body.len)
    header_list_add(&prepared->headers, span_of("Content-Type"),
                    span_of(ask->content_type ? ask->content_type : "application/json"));
  header_list_add(&prepared->headers, span_of("Accept"), span_of(accepted(call->decoder)));
  header_list_add(&prepared->headers, span_of("User-Agent"), span_of("moonhook"));
  call->method = kind->method;
  call->url = prepared->url.bytes;
  call->headers = &prepared->headers;
  call->body = prepared->body.len ? prepared->body.bytes : body.at;
  call->body_len = prepared->body.len ? prepared->body.len : body.len;
  call->times = ask->times;
  call->may_repeat = kind->may_repeat;
  call->kind = kind->kind;
  return 0;
}

void backend_call_own(BackendCall *prepared)
{
  ClientCall *call = &prepared->call;
  if (prepared->body.len)
    return;
  buffer_append(&prepared->body, call->body, call->body_len);
  call->body = prepared->body.bytes;
}

void backend_call_free(BackendCall *prepared)
{
  if (prepared->headers.bytes.bytes)
    explicit_bzero(prepared->headers.bytes.bytes, prepared->headers.bytes.len);
  header_list_free(&prepared->headers);
  buffer_free(&prepared->url);
  buffer_free(&prepared->body);
  *prepared = (BackendCall){ 0 };
}
