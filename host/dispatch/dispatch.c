// See dispatch.h. The HTTP side of a hook request: on_head finds the endpoint and answers at once
// what needs no plugin; on_request starts the task; on_over tells the task that the client left.
#include "dispatch.h"

#include <stdio.h>

#include "../base/memory.h"
#include "../http/form.h"
#include "care.h"
#include "find_hook.h"
#include "hook_request.h"
#include "hook_task.h"
#include "passes.h"
#include "quarantine.h"
#include "record.h"
#include "renewal.h"

enum { CANCEL_GRACE_MS = 1000, UNWIND_MS = 1000, MAX_FREE_HOOKS = 64, MAX_KEPT_BYTES = 1024 };

const HostModule dispatch_modules[] = { { "host.http", luaopen_host_http }, { NULL, NULL } };

Dispatch *dispatch_new(Runtime *runtime, const DispatchConfig *config)
{
  Dispatch *dispatch = mem_zero(1, sizeof *dispatch);
  dispatch->runtime = runtime;
  dispatch->endpoints = endpoint_table_new();
  dispatch->generation = UINT64_MAX; // nothing was read
  dispatch_configure(dispatch, config);
  return dispatch;
}

void dispatch_configure(Dispatch *dispatch, const DispatchConfig *config)
{
  mem_free(dispatch->public_url);
  mem_free(dispatch->base_domain);
  mem_free(dispatch->config.proxies.blocks);
  dispatch->config = *config;
  dispatch->public_url = mem_string(config->public_url);
  dispatch->base_domain = mem_string(config->base_domain);
  dispatch->config.proxies.blocks = NULL;
  if (config->proxies.count > 0) {
    size_t size = config->proxies.count * sizeof *config->proxies.blocks;
    dispatch->config.proxies.blocks = mem_alloc(size);
    memcpy(dispatch->config.proxies.blocks, config->proxies.blocks, size);
  }
}

void dispatch_free(Dispatch *dispatch)
{
  while (dispatch->free_hooks) {
    HookRequest *hook = dispatch->free_hooks;
    dispatch->free_hooks = hook->next;
    header_list_free(&hook->headers);
    mem_free(hook);
  }
  endpoint_table_free(dispatch->endpoints);
  mem_free(dispatch->public_url);
  mem_free(dispatch->base_domain);
  mem_free(dispatch->config.proxies.blocks);
  mem_free(dispatch);
}

EndpointTable *dispatch_endpoints(Dispatch *dispatch)
{
  return dispatch->endpoints;
}

void dispatch_refresh(Dispatch *dispatch)
{
  uint64_t generation = scoreboard_generation(); // before the rows are read
  if (generation == dispatch->generation || !dispatch->config.refresh)
    return;
  if (dispatch->config.refresh(dispatch->config.refresh_context))
    dispatch->generation = generation;
}

static void end_hooks(Dispatch *dispatch, bool withdrawn_only, const char *code,
                      const char *message, uint32_t grace_ms)
{
  HookRequest *hook, *next;
  for (hook = dispatch->hooks; hook; hook = next) {
    const Endpoint *endpoint =
        hook->endpoint ? endpoint_table_find(dispatch->endpoints, span_of(hook->endpoint->hook_id))
                       : NULL;
    next = hook->next;
    if (!withdrawn_only || !endpoint || !endpoint->is_enabled)
      hook_task_fail(hook, code, message, grace_ms);
  }
}

void dispatch_end_all(Dispatch *dispatch, const char *code, const char *message, uint32_t grace_ms)
{
  end_hooks(dispatch, false, code, message, grace_ms);
}

void dispatch_end_withdrawn(Dispatch *dispatch, const char *code, const char *message,
                            uint32_t grace_ms)
{
  end_hooks(dispatch, true, code, message, grace_ms);
}

// The oldest version but the live one that a running request holds; `*count`: how many there are.
static Generation *oldest(const Dispatch *dispatch, const PluginSlot *plugin, uint32_t *count)
{
  Generation *found = NULL;
  const HookRequest *hook, *other;
  *count = 0;
  for (hook = dispatch->hooks; hook; hook = hook->next) {
    if (!hook->task || !hook->endpoint || hook->endpoint->plugin != plugin ||
        hook->generation == plugin->live || task_is_cancelled(hook->task))
      continue;
    if (!found || generation_serial(hook->generation) < generation_serial(found))
      found = hook->generation;
    // Counted at the first request that holds it.
    for (other = dispatch->hooks; other != hook && other->generation != hook->generation;)
      other = other->next;
    *count += other == hook;
  }
  return found;
}

void dispatch_end_oldest(Dispatch *dispatch, const PluginSlot *plugin, uint32_t most,
                         const char *code, const char *message, uint32_t grace_ms)
{
  uint32_t count;
  Generation *generation = oldest(dispatch, plugin, &count);
  HookRequest *hook, *next;
  if (count <= most)
    return;
  for (hook = dispatch->hooks; hook; hook = next) {
    next = hook->next;
    if (hook->generation == generation)
      hook_task_fail(hook, code, message, grace_ms);
  }
}

// --- answers that need no plugin -----------------------------------------------------------------

static void reply_not_found(Request *request)
{
  reply_error(request, 404, "not_found", "there is nothing at this address", NULL);
}

// In `dev`, a 404 below a known hook tells which routes there are.
static void reply_routes(Request *request, const Package *package)
{
  Buffer text = { 0 };
  uint32_t i;
  buffer_string(&text, "there is nothing at this address; the plugin declares ");
  for (i = 0; i < package->declaration_count; i++) {
    const Declaration *declaration = &package->declarations[i];
    char **method;
    buffer_string(&text, i ? ", " : "");
    for (method = declaration->methods; *method; method++)
      buffer_printf(&text, "%s%s", method == declaration->methods ? "" : "|", *method);
    buffer_printf(&text, " %s", declaration->rule->text);
  }
  reply_error(request, 404, "not_found", text.bytes, NULL);
  buffer_free(&text);
}

static void reply_wrong_method(Request *request, const char *allow)
{
  HeaderList headers = { 0 };
  header_list_add(&headers, span_of("Allow"), span_of(allow));
  reply_error(request, 405, "method_not_allowed", "this address does not take this method",
              &headers);
  header_list_free(&headers);
}

static void reply_later(Request *request, const char *code, const char *message,
                        uint32_t retry_after_s)
{
  HeaderList headers = { 0 };
  char seconds[16];
  snprintf(seconds, sizeof seconds, "%u", retry_after_s);
  header_list_add(&headers, span_of("Retry-After"), span_of(seconds));
  reply_error(request, 503, code, message, &headers);
  header_list_free(&headers);
}

// The same address with a final slash, relative: its last segment, the slash, the query.
static void reply_add_slash(Request *request)
{
  HeaderList headers = { 0 };
  Buffer location = { 0 };
  Span path = request->path;
  size_t start = path.len;
  while (start > 0 && path.at[start - 1] != '/')
    start--;
  buffer_string(&location, "./"); // a segment may hold a colon
  buffer_append(&location, path.at + start, path.len - start);
  buffer_char(&location, '/');
  if (request->query.at) {
    buffer_char(&location, '?');
    buffer_append(&location, request->query.at, request->query.len);
  }
  header_list_add(&headers, span_of("Location"), (Span){ location.bytes, location.len });
  reply_full(request, 308, &headers, "", 0);
  header_list_free(&headers);
  buffer_free(&location);
}

// --- the handler ---------------------------------------------------------------------------------

static HookRequest *hook_new(Dispatch *dispatch)
{
  HookRequest *hook = dispatch->free_hooks;
  if (hook) {
    dispatch->free_hooks = hook->next;
    dispatch->free_hook_count--;
  } else {
    hook = mem_zero(1, sizeof *hook);
  }
  hook->next = dispatch->hooks;
  hook->link = &dispatch->hooks;
  if (hook->next)
    hook->next->link = &hook->next;
  dispatch->hooks = hook;
  return hook;
}

// Goes back to the free ones, with its buffers unless they grew large.
static void hook_free(Dispatch *dispatch, HookRequest *hook)
{
  HeaderList headers = hook->headers;
  *hook->link = hook->next;
  if (hook->next)
    hook->next->link = hook->link;
  mem_free(hook->decoded_path);
  mem_free(hook->captures);
  mem_free(hook->passes);
  timer_stop(&hook->deadline);
  if (hook->probe)
    quarantine_probe_over(hook->probe);
  generation_release(hook->generation);
  endpoint_release(hook->endpoint);
  if (dispatch->free_hook_count == MAX_FREE_HOOKS || headers.bytes.cap > MAX_KEPT_BYTES) {
    header_list_free(&headers);
    mem_free(hook);
    return;
  }
  header_list_clear(&headers);
  memset(hook, 0, sizeof *hook);
  hook->headers = headers;
  hook->next = dispatch->free_hooks;
  dispatch->free_hooks = hook;
  dispatch->free_hook_count++;
}

void hook_request_release(HookRequest *hook)
{
  if (!hook->request && !hook->task)
    hook_free(hook->dispatch, hook);
}

// The host that the client asked for. A proxy of ours may also have named the request already.
static Span look_behind_proxies(const Dispatch *dispatch, Request *request)
{
  Forwarded forwarded;
  Span id;
  if (dispatch->config.proxies.count == 0)
    return request->host;
  forwarded_read(&dispatch->config.proxies, request, &forwarded);
  id = header_list_get(&request->headers, "X-Request-Id");
  if (forwarded.is_trusted && forwarded_is_sane_id(id)) {
    memcpy(request->id, id.at, id.len);
    request->id[id.len] = '\0';
  }
  return forwarded.host;
}

// Most paths have nothing to decode: they are the request's own bytes.
static int read_path(HookRequest *hook, Span path, Err *err)
{
  Buffer decoded = { 0 };
  int rc = form_decode_path(path, &decoded, &hook->path, err);
  hook->decoded_path = decoded.bytes;
  return rc;
}

// A body that would not fit into the plugin's memory if nothing else was there is refused as too
// large, one that does not fit now later.
static void bound_body(const HookRequest *hook, Request *request)
{
  size_t most = state_memory_cap(generation_state(hook->generation));
  if (request->body_limit > most)
    request->body_limit = most;
}

static void on_head(void *context, Request *request)
{
  Dispatch *dispatch = context;
  HookPlace place;
  Endpoint *endpoint;
  HookRequest *hook;
  RouteMatch match;
  Suspect *probe;
  uint32_t retry_after_s;
  Err err;
  dispatch_refresh(dispatch);
  if (!find_hook(dispatch, request, look_behind_proxies(dispatch, request), &place) ||
      !(endpoint = endpoint_table_find(dispatch->endpoints, place.hook_id)) ||
      !endpoint->is_enabled) {
    reply_not_found(request);
    return;
  }
  if (!endpoint->plugin->live) {
    reply_error(request, 503, "plugin_unavailable", "the endpoint's plugin is not loaded", NULL);
    return;
  }
  switch (quarantine_admits(endpoint->plugin->name, generation_hash(endpoint->plugin->live), &probe,
                            &retry_after_s)) {
  case ADMITTED:
    break;
  case ADMITTED_ELSEWHERE:
    if (request_pass_on(request))
      return;
    break;
  case ADMITTED_LATER:
    reply_later(request, "plugin_quarantined",
                "the endpoint's plugin is out of service for a while", retry_after_s);
    return;
  }
  if (!renewal_look(dispatch, endpoint->plugin)) {
    reply_later(request, "plugin_memory_limit", "the endpoint's plugin is out of memory", 1);
    if (probe)
      quarantine_probe_over(probe);
    return;
  }
  hook = hook_new(dispatch);
  hook->probe = probe;
  if (read_path(hook, place.path, &err) < 0) {
    reply_error(request, 400, "bad_request", err.text, NULL);
    hook_free(dispatch, hook);
    return;
  }
  switch (router_match(endpoint->plugin->router, request->method, hook->path, &match)) {
  case ROUTE_FOUND:
    break;
  case ROUTE_NOT_FOUND:
    if (dispatch->config.is_dev)
      reply_routes(request, generation_package(endpoint->plugin->live));
    else
      reply_not_found(request);
    hook_free(dispatch, hook);
    return;
  case ROUTE_WRONG_METHOD:
    reply_wrong_method(request, match.allow);
    hook_free(dispatch, hook);
    return;
  case ROUTE_ADD_SLASH:
    reply_add_slash(request);
    hook_free(dispatch, hook);
    return;
  }
  hook->declaration = match.declaration;
  hook->capture_count = match.capture_count;
  if (match.capture_count > 0) {
    hook->captures = mem_alloc(match.capture_count * sizeof *hook->captures);
    memcpy(hook->captures, match.captures, match.capture_count * sizeof *hook->captures);
  }
  hook->dispatch = dispatch;
  hook->request = request;
  hook->generation = generation_hold(endpoint->plugin->live);
  hook->endpoint = endpoint_hold(endpoint);
  hook->idle_ms = hook_request_limits(hook).idle_ms;
  bound_body(hook, request);
  request->user = hook;
  scoreboard_mine()->in_flight++;
}

int dispatch_begin(Dispatch *dispatch, Request *request, Endpoint *endpoint, Err *err)
{
  HookRequest *hook = hook_new(dispatch);
  hook->dispatch = dispatch;
  hook->generation = generation_hold(endpoint->plugin->live);
  hook->endpoint = endpoint_hold(endpoint);
  hook->idle_ms = hook_request_limits(hook).idle_ms;
  if (read_path(hook, request->path, err) < 0) {
    hook_free(dispatch, hook);
    return err->code;
  }
  hook->request = request;
  request->user = hook;
  scoreboard_mine()->in_flight++;
  return 0;
}

static void on_deadline(Timer *timer)
{
  HookRequest *hook = (HookRequest *)((char *)timer - offsetof(HookRequest, deadline));
  if (hook->is_finished) {
    hook_task_time_is_up(hook, UNWIND_MS);
    return;
  }
  if (hook->is_begun && hook->is_waiting) { // it is the client who is slow: HTTP's own clock runs
    timer_start(hook->dispatch->runtime->loop, timer, hook->idle_ms, on_deadline);
    return;
  }
  hook_task_time_is_up(hook, UNWIND_MS);
}

static void on_request(void *context, Request *request)
{
  Dispatch *dispatch = context;
  HookRequest *hook = request->user;
  if (request->body.len > 0) {
    if (!hook_request_has_room(hook, request->body.len)) {
      reply_later(request, "plugin_memory_limit", "the endpoint's plugin is out of memory", 1);
      return;
    }
    hook_request_charge_body(hook);
  }
  timer_start(dispatch->runtime->loop, &hook->deadline, hook_request_limits(hook).head_ms,
              on_deadline);
  if (!care_start(hook)) {
    timer_stop(&hook->deadline);
    reply_later(request, "overloaded", "too many requests wait for the endpoint's plugin", 10);
  }
}

static void on_drain(void *context, Request *request)
{
  HookRequest *hook = request->user;
  (void)context;
  if (!hook || !hook->is_waiting)
    return;
  hook->is_waiting = false;
  if (hook->task)
    task_continue(hook->task);
}

static void on_over(void *context, Request *request, bool is_complete, const char *ended_by)
{
  HookRequest *hook = request->user;
  record_request(context, request, hook, ended_by);
  if (!hook)
    return;
  request->user = NULL;
  scoreboard_mine()->in_flight--;
  care_leave(hook);
  if (hook->task) {
    task_keep_request_id(hook->task);
    passes_keep(hook);
  }
  hook->request = NULL;
  hook_request_discharge(hook);
  hook_request_close_handle(hook);
  if (!hook->is_finished)
    timer_stop(&hook->deadline);
  if (hook->task && !is_complete)
    task_cancel(hook->task, "cancelled", "the client left", CANCEL_GRACE_MS);
  else if (hook->task && hook->is_waiting)
    task_continue(hook->task);
  hook_request_release(hook);
}

static void on_unsent(void *context, Request *request, size_t bytes)
{
  (void)context;
  if (request->user)
    hook_request_charge_unsent(request->user, bytes);
}

const HttpHandler dispatch_handler = { on_head, on_request, on_drain, on_over, on_unsent };
