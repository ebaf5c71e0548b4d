// See admin.h. Keys are checked here, at the request's head, before a byte of its body is kept: no
// key ever enters Lua.
#include "admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/per_second.h"
#include "../base/scoreboard.h"
#include "../dispatch/admin_dispatch.h"
#include "../script/task.h"
#include "admin_guard.h"
#include "admin_key.h"
#include "admin_metrics.h"
#include "config_show.h"
#include "endpoint_book_parts.h"
#include "endpoint_json.h"

enum { LOOK_AGAIN_MS = 5, MAX_RECORDS = 20 };

struct Admin {
  Loop *loop;
  HttpServer *server;
  Runtime runtime;
  AdminHost host;
  AdminDispatch *dispatch; // NULL before the first call: a start need not wait for its state
  AdminKey key;
  AdminGuard guard;
  PerSecond refusals; // that the log tells of
  bool is_ready;
  Timer look_again; // while closing: until the last task and the state are gone
  void (*on_closed)(void *context);
  void *context;
};

// --- small answers -------------------------------------------------------------------------------

static void reply_text(Request *request, int status, const char *type, const char *text)
{
  HeaderList headers = { 0 };
  header_list_add(&headers, span_of("Content-Type"), span_of(type));
  reply_full(request, status, &headers, text, strlen(text));
  header_list_free(&headers);
}

static void reply_with(Request *request, int status, const char *code, const char *message,
                       const char *name, const char *value)
{
  HeaderList headers = { 0 };
  header_list_add(&headers, span_of(name), span_of(value));
  reply_error(request, status, code, message, &headers);
  header_list_free(&headers);
}

static void reply_metrics(const Admin *admin, Request *request)
{
  Buffer text = { 0 };
  if (admin->host.context) // before admin_serve there is nothing to tell
    metrics_text(admin->host.context, &text);
  reply_text(request, 200, "text/plain; version=0.0.4; charset=utf-8",
             text.bytes ? text.bytes : "");
  buffer_free(&text);
}

static void reply_page(Admin *admin, Request *request)
{
  bool is_ready = span_is(request->path, "/readyz");
  const char *plain = "text/plain; charset=utf-8";
  if (!span_is(request->method, "GET") && !request->is_head)
    reply_with(request, 405, "method_not_allowed", "this address takes GET", "Allow", "GET, HEAD");
  else if (is_ready && (!admin->is_ready || scoreboard_is_stopping()))
    reply_text(request, 503, plain, "not ready\n");
  else if (span_is(request->path, "/metrics"))
    reply_metrics(admin, request);
  else
    reply_text(request, 200, plain, is_ready ? "ready\n" : "ok\n");
}

// --- the key -------------------------------------------------------------------------------------

// What follows "Bearer ", in any case; nothing else is a key.
static Span bearer(const Request *request)
{
  Span value = header_list_get(&request->headers, "Authorization");
  if (value.len < 7 || strncasecmp(value.at, "Bearer ", 7) != 0)
    return (Span){ "", 0 };
  value.at += 7;
  value.len -= 7;
  while (value.len > 0 && *value.at == ' ') {
    value.at++;
    value.len--;
  }
  return value;
}

// An address is locked after some, but there are many addresses.
static bool may_tell(Admin *admin)
{
  uint32_t dropped = per_second_look(&admin->refusals, loop_now_ms(admin->loop));
  if (dropped > 0)
    log_event(LOG_WARN, "admin keys refused and not told", LOG_I("count", dropped));
  return per_second_take(&admin->refusals, MAX_RECORDS);
}

// Answers 401 or 429 unless the request has the key.
static bool is_allowed(Admin *admin, Request *request)
{
  uint64_t now = host_clock.monotonic_us() / 1000;
  uint64_t wait = admin_guard_wait(&admin->guard, request->remote_addr, now);
  if (wait > 0) {
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%u", (unsigned)((wait + 999) / 1000));
    reply_with(request, 429, "too_many_attempts", "too many wrong keys, try again later",
               "Retry-After", seconds);
    return false;
  }
  if (admin_key_is(&admin->key, bearer(request))) {
    admin_guard_pass(&admin->guard, request->remote_addr);
    return true;
  }
  if (may_tell(admin))
    log_event(LOG_WARN, "admin key refused", LOG_S("client_ip", request->remote_addr));
  if (admin_guard_fail(&admin->guard, request->remote_addr, now))
    log_event(LOG_WARN, "admin address locked", LOG_S("client_ip", request->remote_addr),
              LOG_I("wrong_keys", GUARD_TRIES), LOG_I("for_ms", GUARD_LOCK_MS));
  reply_with(request, 401, "unauthorized", "expected Authorization: Bearer and the admin key",
             "WWW-Authenticate", "Bearer realm=\"moonhook\"");
  return false;
}

static bool has_dispatch(Admin *admin, Request *request)
{
  Err err;
  if (!admin->dispatch)
    admin->dispatch = admin_dispatch_new(&admin->runtime, &admin->host, &err);
  if (admin->dispatch)
    return true;
  log_event(LOG_ERROR, "admin API not loaded", LOG_S("error", err.text));
  reply_error(request, 500, "internal_error", "the admin API cannot be loaded", NULL);
  return false;
}

// --- the handler ---------------------------------------------------------------------------------

static bool is_below(Span path, const char *prefix)
{
  size_t len = strlen(prefix);
  return path.len >= len && memcmp(path.at, prefix, len) == 0;
}

static void on_head(void *context, Request *request)
{
  Admin *admin = context;
  if (span_is(request->path, "/healthz") || span_is(request->path, "/readyz") ||
      span_is(request->path, "/metrics"))
    reply_page(admin, request);
  else if (!is_below(request->path, "/api/"))
    reply_error(request, 404, "not_found", "there is nothing at this address", NULL);
  else if (!admin->host.context)
    reply_with(request, 503, "not_ready", "the server is starting", "Retry-After", "1");
  else if (is_allowed(admin, request) && has_dispatch(admin, request))
    admin_dispatch_head(admin->dispatch, request);
}

static void on_request(void *context, Request *request)
{
  Admin *admin = context;
  admin_dispatch_request(admin->dispatch, request);
}

static void on_drain(void *context, Request *request)
{
  Admin *admin = context;
  if (request->user)
    admin_dispatch_drain(admin->dispatch, request);
}

static void on_over(void *context, Request *request, bool is_complete, const char *ended_by)
{
  Admin *admin = context;
  if (request->user)
    admin_dispatch_over(admin->dispatch, request, is_complete, ended_by);
}

static const HttpHandler handler = { on_head, on_request, on_drain, on_over, NULL };

// --- what the API asks ---------------------------------------------------------------------------

static void host_endpoints(void *context, Span after, uint32_t limit, Span plugin, Buffer *json,
                           Buffer *next)
{
  endpoint_json_page(context, after, limit, plugin, json, next);
}

static bool host_endpoint(void *context, Span id, Buffer *json)
{
  return endpoint_json_find(context, id, json);
}

static bool host_plugins(void *context, Span id, Buffer *json)
{
  return plugin_json_list(context, id, json);
}

static void host_release(void *context, Span id)
{
  keeper_release_suspects(context, id.at);
}

static void host_catalogue(void *context, Buffer *json)
{
  catalogue_json(context, json);
}

static void host_configuration(void *context, Buffer *json)
{
  config_show_json(keeper_config(context), json);
}

static void host_status(void *context, Buffer *json)
{
  status_json(context, json);
}

static AdminPending *host_change(void *context, const AdminChange *change, AdminResult *now,
                                 void (*on_done)(void *context, AdminResult *result),
                                 void *done_context)
{
  Keeper *keeper = context;
  return endpoint_book_change(keeper->book, change, now, on_done, done_context);
}

int admin_serve(Admin *admin, Keeper *keeper, Err *err)
{
  const Config *config = keeper_config(keeper);
  char *path = config_admin_key_file(config);
  bool is_made;
  int rc;
  rc = admin_key_open(path, !config->admin_key_file, &admin->key, &is_made, err);
  if (rc == 0)
    log_event(LOG_INFO, is_made ? "admin key made" : "admin key read", LOG_S("path", path));
  mem_free(path);
  if (rc < 0)
    return rc;
  admin->host = (AdminHost){ .context = keeper,
                             .endpoints = host_endpoints,
                             .endpoint = host_endpoint,
                             .plugins = host_plugins,
                             .release = host_release,
                             .catalogue = host_catalogue,
                             .configuration = host_configuration,
                             .status = host_status,
                             .change = host_change,
                             .detach = endpoint_book_detach };
  return 0;
}

// --- opening and closing -------------------------------------------------------------------------

Admin *admin_new(Loop *loop, int fd, Err *err)
{
  Admin *admin = mem_zero(1, sizeof *admin);
  HttpLimits limits = http_limits_default();
  admin->loop = loop;
  admin->runtime.loop = loop;
  admin->runtime.library_path = getenv("MOONHOOK_LUA_PATH");
  limits.max_connections = 256;
  admin->server = http_server_new(loop, fd, &limits, &handler, admin, err);
  if (admin->server)
    return admin;
  mem_free(admin);
  return NULL;
}

void admin_set_ready(Admin *admin, bool is_ready)
{
  admin->is_ready = is_ready;
}

static void look_again(Admin *admin);

static void on_look_again(Timer *timer)
{
  look_again((Admin *)((char *)timer - offsetof(Admin, look_again)));
}

static void look_again(Admin *admin)
{
  void (*on_closed)(void *) = admin->on_closed;
  void *context = admin->context;
  if (admin->runtime.live_tasks == 0 && admin->dispatch) {
    admin_dispatch_free(admin->dispatch);
    admin->dispatch = NULL;
  }
  if (admin->runtime.live_states > 0) {
    timer_start(admin->loop, &admin->look_again, LOOK_AGAIN_MS, on_look_again);
    return;
  }
  runtime_close(&admin->runtime);
  mem_free(admin);
  on_closed(context);
}

static void on_server_closed(void *context)
{
  Admin *admin = context;
  http_server_free(admin->server);
  look_again(admin);
}

void admin_close(Admin *admin, void (*on_closed)(void *context), void *context)
{
  admin->on_closed = on_closed;
  admin->context = context;
  http_server_stop(admin->server, true, on_server_closed, admin);
}
