// See worker.h.
#include "worker.h"

#include <stdlib.h>

#include "../base/file.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "../script/channel.h"
#include "../script/deadline.h"
#include "../script/task.h"
#include "worker_parts.h"

enum {
  MAX_SOURCE_BYTES = 4 * 1024 * 1024,
  LOOK_AGAIN_MS = 5,
  NOW_GRACE_MS = 100,
  LEAVE_MS = 30,     // for the last words to leave
  RETIRED_MS = 1000, // that idle connections stay when a fresh worker takes over
};

static Stream *open_local(void *context, const char *kind, Span body, const char *passes)
{
  Worker *worker = context;
  return channel_open(worker->local, kind, body, passes);
}

// --- configuration -------------------------------------------------------------------------------

static int add_backend(Backends *backends, const ConfigBackend *backend, Err *err)
{
  uint32_t i;
  int rc = backends_add(backends, backend->type, backend->name, backend->url, backend->key,
                        backend->models_json, err);
  if (rc == 0 && backend->tenant_id)
    backends_set_tenant(backends, backend->tenant_id);
  for (i = 0; i < backend->app_count && rc == 0; i++)
    rc = backends_add_app(backends, backend->apps[i].app_id, backend->apps[i].key, err);
  return rc;
}

static Backends *make_backends(const Config *config, Err *err)
{
  Backends *backends = backends_new();
  uint32_t i;
  for (i = 0; i < config->backend_count; i++) {
    if (add_backend(backends, &config->backends[i], err) < 0) {
      backends_release(backends);
      return NULL;
    }
  }
  return backends;
}

static void append_app_ids(Buffer *json, const Backend *backend)
{
  uint32_t i;
  buffer_string(json, ",\"apps\":{");
  for (i = 0; i < backend->app_count; i++) {
    buffer_string(json, i ? "," : "");
    buffer_json_string(json, backend->apps[i].app_id, strlen(backend->apps[i].app_id));
    buffer_string(json, ":true");
  }
  buffer_char(json, '}');
}

// What plugins may know: names, types, models and app ids, no address and no key.
static char *make_catalogue(const Backends *backends, const Config *config)
{
  Buffer json = { 0 };
  uint32_t i;
  buffer_string(&json, "{\"backends\":{");
  for (i = 0; i < backends_count(backends); i++) {
    const Backend *backend = backends_at(backends, i);
    buffer_string(&json, i ? "," : "");
    buffer_json_string(&json, backend->name, strlen(backend->name));
    buffer_printf(&json, ":{\"type\":\"%s\"", backend_type_name(backend->type));
    if (backend->models_json)
      buffer_printf(&json, ",\"models\":%s", backend->models_json);
    if (backend->app_count)
      append_app_ids(&json, backend);
    buffer_char(&json, '}');
  }
  buffer_printf(&json, "},\"apps\":%s}", config->apps_catalog_json);
  return buffer_take(&json);
}

static void free_sources(Runtime *runtime)
{
  uint32_t i;
  for (i = 0; i < runtime->app_source_count; i++) {
    mem_free(runtime->app_sources[i].app_id);
    mem_free(runtime->app_sources[i].name);
    mem_free(runtime->app_sources[i].text);
  }
  mem_free(runtime->app_sources);
  runtime->app_sources = NULL;
  runtime->app_source_count = 0;
}

static void read_sources(Runtime *runtime, const Config *config)
{
  uint32_t i;
  free_sources(runtime);
  runtime->app_sources = mem_zero(config->app_source_count, sizeof *runtime->app_sources);
  for (i = 0; i < config->app_source_count; i++) {
    AppSource *source = &runtime->app_sources[i];
    Buffer text = { 0 };
    Err err;
    source->app_id = mem_string(config->app_sources[i].app_id);
    source->name = mem_string(config->app_sources[i].name);
    if (file_read(config->app_sources[i].path, MAX_SOURCE_BYTES, &text, &err) == 0) {
      source->len = text.len;
      source->text = buffer_take(&text);
    } else {
      snprintf(source->problem, sizeof source->problem, "%.190s", err.text);
      buffer_free(&text);
    }
  }
  runtime->app_source_count = config->app_source_count;
}

static DispatchConfig dispatch_config(const Worker *worker, const Config *config)
{
  return (
      DispatchConfig){ .public_url = config->public_url,
                       .base_domain = config->base_domain,
                       .proxies = { config->trusted_proxies.list, config->trusted_proxies.count },
                       .is_dev = worker->is_dev,
                       .refresh = worker->registry ? worker_refresh : NULL,
                       .refresh_context = (void *)(uintptr_t)worker };
}

int worker_check_config(const Config *config, Err *err)
{
  Backends *backends = make_backends(config, err);
  if (!backends)
    return err->code;
  backends_release(backends);
  return 0;
}

int worker_configure(Worker *worker, const Config *config, Err *err)
{
  Runtime *runtime = &worker->runtime;
  DispatchConfig dispatch = dispatch_config(worker, config);
  Backends *backends = make_backends(config, err);
  if (!backends)
    return err->code;
  if (runtime->backends)
    backends_release(runtime->backends);
  mem_free(runtime->catalogue_json);
  mem_free(runtime->apps_json);
  runtime->backends = backends;
  runtime->catalogue_json = make_catalogue(backends, config);
  runtime->apps_json = mem_string(config->apps_json);
  read_sources(runtime, config);
  runtime->catalogue_version++;
  runtime->client_times = config->client_times;
  worker->plugin_limits = config->plugin_limits;
  runtime->plugin_limits = &worker->plugin_limits;
  // The same rules keep the same policy, and with it the open connections.
  if (!runtime->http_policy || !policy_equals(runtime->http_policy, config->http_policy)) {
    policy_release(runtime->http_policy);
    runtime->http_policy = policy_hold(config->http_policy);
  }
  runtime->demo_pause_ms = config->demo_pause_ms;
  runtime->demo_seed = config->demo_seed;
  worker->drain_ms = config->drain_ms;
  if (worker->dispatch)
    dispatch_configure(worker->dispatch, &dispatch);
  if (worker->server)
    http_server_set_limits(worker->server, &config->limits);
  return 0;
}

Worker *worker_new(Loop *loop, Store *store, bool is_dev)
{
  Worker *worker = mem_zero(1, sizeof *worker);
  worker->loop = loop;
  worker->is_dev = is_dev;
  worker->runtime.loop = loop;
  worker->runtime.store = store;
  worker->runtime.library_path = getenv("MOONHOOK_LUA_PATH");
  worker->runtime.local_open = open_local;
  worker->runtime.local_context = worker;
  return worker;
}

int worker_start(Worker *worker, const Config *config, Err *err)
{
  StateConfig local = {
    .role = ROLE_LOCAL, .name = "local", .permissions = PERMIT_ALL, .entry = "moonhook.serve_local"
  };
  ClientConfig client = { .ca_file = config->ca_file };
  DispatchConfig dispatch = dispatch_config(worker, config);
  int rc;
  worker->runtime.client = client_new(worker->loop, &client, err);
  if (!worker->runtime.client)
    return err->code;
  if (worker_configure(worker, config, err) < 0)
    return err->code;
  worker->dispatch = dispatch_new(&worker->runtime, &dispatch);
  rc = deadline_start();
  if (rc < 0)
    return err_set(err, rc, "cannot start the clock of Lua code: %s", uv_strerror(rc));
  worker->local = state_new(&worker->runtime, &local, err);
  return worker->local ? 0 : err->code;
}

// --- what is served ------------------------------------------------------------------------------

EndpointTable *worker_endpoints(Worker *worker)
{
  return dispatch_endpoints(worker->dispatch);
}

// --- stopping ------------------------------------------------------------------------------------
// Requests first, then the states that they ran in, then what these states used.

static void look_again(Worker *worker);

static void on_look_again(Timer *timer)
{
  look_again((Worker *)((char *)timer - offsetof(Worker, look_again)));
}

static void on_client_closed(void *context)
{
  Worker *worker = context;
  worker_unfollow(worker);
  worker->on_stopped(worker->context);
}

static void look_again(Worker *worker)
{
  if (worker->runtime.live_tasks == 0) {
    if (worker->local)
      state_release(worker->local);
    worker->local = NULL;
    if (worker->dispatch)
      dispatch_free(worker->dispatch);
    worker->dispatch = NULL;
  }
  if (worker->runtime.live_states > 0)
    timer_start(worker->loop, &worker->look_again, LOOK_AGAIN_MS, on_look_again);
  else if (worker->runtime.client)
    client_close(worker->runtime.client, on_client_closed, worker);
  else
    on_client_closed(worker);
}

static void on_http_closed(void *context)
{
  Worker *worker = context;
  worker->is_http_gone = true;
  timer_stop(&worker->passed);
  if (worker->server)
    http_server_free(worker->server);
  worker->server = NULL;
  look_again(worker);
}

static void on_retired(Timer *timer)
{
  Worker *worker = (Worker *)((char *)timer - offsetof(Worker, retired));
  if (worker->server)
    http_server_stop(worker->server, false, on_http_closed, worker);
}

static void on_break_off(Timer *timer)
{
  Worker *worker = (Worker *)((char *)timer - offsetof(Worker, break_off));
  timer_stop(&worker->retired);
  if (worker->server)
    http_server_stop(worker->server, true, on_http_closed, worker);
}

// Streams of events hear why they end, and what was written leaves first.
static void stop_now(Worker *worker)
{
  if (worker->dispatch)
    dispatch_end_all(worker->dispatch, "server_shutdown", "the server is stopping", NOW_GRACE_MS);
  task_cancel_all(&worker->runtime, "server_shutdown", "the server is stopping", NOW_GRACE_MS);
  if (!timer_is_running(&worker->break_off))
    timer_start(worker->loop, &worker->break_off, LEAVE_MS, on_break_off);
}

void worker_stop(Worker *worker, WorkerStop how, void (*on_stopped)(void *context), void *context)
{
  bool was_stopping = worker->is_stopping;
  worker->is_stopping = true;
  worker->on_stopped = on_stopped;
  worker->context = context;
  scoreboard_mine()->is_draining = true;
  timer_stop(&worker->withdrawn);
  if (worker->takes_passed && worker->server) // what was sent before it said so
    http_server_take_passed(worker->server);
  worker_look_passed(worker);
  if (worker->is_http_gone)
    how = how == WORKER_STOP_NOW ? how : WORKER_STOP;
  if (!worker->server && !worker->is_http_gone) { // it never listened
    on_http_closed(worker);
  } else if (how == WORKER_STOP_NOW) {
    stop_now(worker);
  } else if (how == WORKER_STOP && worker->server) {
    timer_stop(&worker->retired);
    http_server_stop(worker->server, false, on_http_closed, worker);
  } else if (!was_stopping && worker->server) {
    http_server_retire(worker->server);
    timer_start(worker->loop, &worker->retired, RETIRED_MS, on_retired);
  }
}

void worker_free(Worker *worker)
{
  deadline_stop();
  timer_stop(&worker->break_off);
  timer_stop(&worker->retired);
  timer_stop(&worker->passed);
  worker_unfollow(worker);
  runtime_close(&worker->runtime);
  if (worker->runtime.backends)
    backends_release(worker->runtime.backends);
  policy_release(worker->runtime.http_policy);
  mem_free(worker->runtime.catalogue_json);
  mem_free(worker->runtime.apps_json);
  free_sources(&worker->runtime);
  mem_free(worker);
}

uint32_t worker_drain_ms(const Worker *worker)
{
  return worker->drain_ms;
}

uint32_t worker_live_tasks(const Worker *worker)
{
  return worker->runtime.live_tasks;
}

uint32_t worker_live_states(const Worker *worker)
{
  return worker->runtime.live_states;
}
