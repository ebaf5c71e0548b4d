// See hook_task.h.
#include "hook_task.h"

#include <stdio.h>

#include "../base/log.h"
#include "care.h"
#include "endpoint_secrets.h"
#include "event_frame.h"
#include "failure.h"

enum {
  AFTER_MS = 60000,
  MAX_MESSAGE_BYTES = 2048,
  MAX_TRACEBACK_BYTES = 3000,
  LARGE_BYTES = 16 * 1024, // of a piece
};

static void begin(HookRequest *hook)
{
  if (hook->is_begun)
    return;
  hook->is_begun = true;
  reply_begin(hook->request, hook->status, &hook->headers, hook->length);
  header_list_free(&hook->headers);
}

static void restart_clock(HookRequest *hook)
{
  timer_start(hook->dispatch->runtime->loop, &hook->deadline, hook->idle_ms, hook->deadline.on_due);
}

// Whether more than a quarter of the plugin's memory is what clients have not read.
static bool is_pressed(const HookRequest *hook)
{
  State *state = generation_state(hook->generation);
  return *state_unsent(state) > state_memory_cap(state) / 4;
}

static bool has_room(HookRequest *hook)
{
  if (!hook->request) // it broke while we wrote: on_over has cancelled the task
    return true;
  restart_clock(hook);
  hook->is_waiting = !request_wants_more(hook->request, is_pressed(hook));
  return !hook->is_waiting;
}

// Sends a piece. False: there is no memory to keep it until the client reads.
static bool send_piece(HookRequest *hook, const char *bytes, size_t len)
{
  // Small ones of a plugin whose clients read are not worth a look.
  if ((len >= LARGE_BYTES || is_pressed(hook)) && !hook_request_has_room(hook, len))
    return false;
  begin(hook);
  reply_piece(hook->request, bytes, len);
  if (len >= LARGE_BYTES) // of others on_unsent tells, at the end of the turn
    hook_request_charge_unsent(hook, request_unsent_bytes(hook->request));
  return true;
}

// --- server-sent events --------------------------------------------------------------------------

static bool send_event(HookRequest *hook, Span data)
{
  Buffer frame = { 0 };
  bool is_sent;
  event_frame_data(&frame, data);
  buffer_char(&frame, '\n');
  is_sent = send_piece(hook, frame.bytes, frame.len);
  buffer_free(&frame);
  return is_sent;
}

static bool on_event(Task *task, lua_State *L, const char **refusal)
{
  HookRequest *hook = task_owner(task);
  Dispatch *dispatch = hook->dispatch;
  Buffer frame = { 0 };
  Err err;
  if (hook->mode != REPLY_SSE) {
    *refusal = "coroutine.yield: expected a string (a piece of the reply), got a table; "
               "Response.sse takes events";
    return true;
  }
  if (event_frame(L, &frame, &err) < 0) {
    snprintf(dispatch->refusal, sizeof dispatch->refusal, "coroutine.yield: %.180s", err.text);
    *refusal = dispatch->refusal;
  } else if (hook->request && !send_piece(hook, frame.bytes, frame.len)) {
    *refusal = task_no_room;
  }
  buffer_free(&frame);
  return *refusal ? true : has_room(hook);
}

// --- pieces --------------------------------------------------------------------------------------

static bool on_piece(Task *task, Span piece, const char **refusal)
{
  HookRequest *hook = task_owner(task);
  if (hook->mode != REPLY_RAW && hook->mode != REPLY_SSE) {
    *refusal = "coroutine.yield: expected to be called in the function that is a Response's body";
    return true;
  }
  if (!hook->request)
    return true;
  if (hook->mode == REPLY_SSE && piece.len > 0 ? !send_event(hook, piece)
                                               : !send_piece(hook, piece.at, piece.len)) {
    *refusal = task_no_room;
    return true;
  }
  return has_room(hook);
}

// --- the end -------------------------------------------------------------------------------------

static bool wants_html(const Request *request)
{
  Span accept = header_list_get(&request->headers, "Accept");
  return accept.at && memmem(accept.at, accept.len, "text/html", 9) != NULL;
}

// The client, not a proxy on this machine.
static bool is_loopback(const HookRequest *hook)
{
  Forwarded forwarded;
  hook_request_forwarded(hook, &forwarded);
  return strncmp(forwarded.client, "127.", 4) == 0 || strcmp(forwarded.client, "::1") == 0;
}

static void send_page(HookRequest *hook, const TaskFailure *failure, int status)
{
  HeaderList headers = { 0 };
  Buffer html = { 0 };
  failure_page(failure, generation_state(hook->generation), hook->request->id, &html);
  header_list_add(&headers, span_of("Content-Type"), span_of("text/html; charset=utf-8"));
  reply_full(hook->request, status, &headers, html.bytes, html.len);
  header_list_free(&headers);
  buffer_free(&html);
}

// A stream that has begun cannot change its status: events can still say what happened, anything
// else just breaks off, so that it never looks finished.
static void break_stream(HookRequest *hook, const PublicFailure *public)
{
  if (hook->mode == REPLY_SSE) {
    Buffer event = { 0 };
    buffer_string(&event, "event: error\ndata: {\"error\":{\"code\":");
    buffer_json_string(&event, public->code, strlen(public->code));
    buffer_string(&event, ",\"message\":");
    buffer_json_string(&event, public->message, strlen(public->message));
    buffer_printf(&event, ",\"request_id\":\"%s\"}}\n\n", hook->request->id);
    reply_piece(hook->request, event.bytes, event.len);
    buffer_free(&event);
  }
  reply_abort(hook->request);
}

static void send_failure(HookRequest *hook, const TaskFailure *failure)
{
  PublicFailure public;
  if (hook->is_finished)
    return;
  failure_publish(failure, &public);
  if (hook->is_begun) {
    break_stream(hook, &public);
  } else if (hook->mode == REPLY_WHOLE) {
    return; // the reply is out already
  } else if (hook->dispatch->config.is_dev && public.status >= 500 && wants_html(hook->request) &&
             is_loopback(hook)) {
    send_page(hook, failure, public.status);
  } else {
    HeaderList headers = { 0 };
    if (public.status == 503) {
      char seconds[16];
      snprintf(seconds, sizeof seconds, "%d",
               failure->retry_after_s > 0 ? failure->retry_after_s : 1);
      header_list_add(&headers, span_of("Retry-After"), span_of(seconds));
    }
    reply_error(hook->request, public.status, public.code, public.message, &headers);
    header_list_free(&headers);
  }
}

// Where the handler begins; 0: it is no Lua function.
static int handler_line(const HookRequest *hook)
{
  lua_State *L = state_lua(generation_state(hook->generation));
  lua_Debug where = { .linedefined = 0 };
  generation_push_handler(hook->generation, L, hook->declaration);
  lua_pushliteral(L, "invoke");
  lua_rawget(L, -2);
  if (lua_isfunction(L, -1))
    lua_getinfo(L, ">S", &where);
  else
    lua_pop(L, 1);
  lua_pop(L, 1);
  return where.linedefined;
}

static const char *text_of(const Buffer *buffer)
{
  return buffer->bytes ? buffer->bytes : "";
}

// What a plugin said, as it may stand in the log.
static void clean(const HookRequest *hook, Span text, size_t most, Buffer *out)
{
  Buffer redacted = { 0 };
  // Short ones too, which are masked in failures only.
  endpoint_secrets_mask(hook->endpoint, text, &redacted);
  log_clean((Span){ text_of(&redacted), redacted.len }, most, out);
  buffer_free(&redacted);
}

// The plugin's innermost line in a traceback: "add.lua:6", or "".
static void append_place(Span traceback, Buffer *place)
{
  char file[256];
  int line;
  if (task_failure_place(traceback, file, sizeof file, &line))
    buffer_printf(place, "%s:%d", file, line);
}

// What moonhook.abort ends, and get_json in its name, is no accident: one line, no traceback.
static void log_abort(const HookRequest *hook, const Task *task, const TaskFailure *failure)
{
  const Package *package = generation_package(hook->generation);
  const Declaration *declaration = &package->declarations[hook->declaration];
  Buffer message = { 0 }, place = { 0 };
  clean(hook, failure->message, MAX_MESSAGE_BYTES, &message);
  append_place(failure->traceback, &place);
  log_event(failure->status < 500 ? LOG_INFO : LOG_WARN, "request aborted",
            LOG_S("request_id", task_request_id(task)), LOG_S("plugin", package->name),
            LOG_S("endpoint", hook->endpoint->name), LOG_S("route", declaration->rule->text),
            LOG_I("status", failure->status), LOG_S("code", failure->code),
            LOG_B("message", text_of(&message), message.len),
            LOG_B("place", text_of(&place), place.len));
  buffer_free(&message);
  buffer_free(&place);
}

static void log_failure(const HookRequest *hook, const Task *task, const TaskFailure *failure)
{
  const Package *package = generation_package(hook->generation);
  const Declaration *declaration = &package->declarations[hook->declaration];
  Buffer text = { 0 }, message = { 0 }, details = { 0 }, traceback = { 0 }, source = { 0 };
  failure_explain(failure, package, declaration->source, handler_line(hook), &text);
  clean(hook, (Span){ text.bytes, text.len }, MAX_MESSAGE_BYTES, &message);
  clean(hook, failure->details, MAX_MESSAGE_BYTES, &details);
  clean(hook, failure->traceback, MAX_TRACEBACK_BYTES, &traceback);
  if (hook->dispatch->config.is_dev)
    failure_source((Span){ text.bytes, text.len }, generation_state(hook->generation), &source);
  log_event(LOG_ERROR, "plugin failed", LOG_S("request_id", task_request_id(task)),
            LOG_S("plugin", package->name), LOG_S("endpoint", hook->endpoint->name),
            LOG_S("route", declaration->rule->text), LOG_S("code", failure->code),
            LOG_B("error", text_of(&message), message.len),
            LOG_B("details", text_of(&details), details.len),
            LOG_B("traceback", text_of(&traceback), traceback.len),
            LOG_B("source", text_of(&source), source.len));
  buffer_free(&message);
  buffer_free(&details);
  buffer_free(&traceback);
  buffer_free(&source);
  buffer_free(&text);
}

static void on_end(Task *task, const TaskFailure *failure)
{
  HookRequest *hook = task_owner(task);
  hook->task = NULL;
  timer_stop(&hook->deadline);
  care_ended(hook);
  if (failure && failure_is_abort(failure))
    log_abort(hook, task, failure);
  else if (failure && strcmp(failure->code, "cancelled") != 0)
    log_failure(hook, task, failure);
  if (!hook->request) {
    hook_request_release(hook);
    return;
  }
  if (failure) {
    send_failure(hook, failure);
  } else if (!hook->is_finished && (hook->mode == REPLY_RAW || hook->mode == REPLY_SSE)) {
    begin(hook);
    reply_end(hook->request);
  }
}

void hook_task_finish_reply(HookRequest *hook)
{
  if (hook->is_finished || !hook->request || hook->mode == REPLY_NONE)
    return;
  if (hook->mode != REPLY_WHOLE) {
    begin(hook);
    reply_end(hook->request);
  }
  hook->mode = REPLY_WHOLE;
  hook->is_finished = true;
  timer_start(hook->dispatch->runtime->loop, &hook->deadline, AFTER_MS, hook->deadline.on_due);
}

static const TaskEvents events = { on_piece, on_event, on_end };

void hook_task_start(HookRequest *hook)
{
  hook->task = task_start(generation_state(hook->generation), &events, hook, hook_request_push);
  task_set_request_id(hook->task, hook->request->id);
  task_set_slice(hook->task, hook->endpoint->limits.cpu_ms);
  task_set_place(hook->task, hook->endpoint->name, generation_hash(hook->generation));
}

void hook_task_fail(HookRequest *hook, const char *code, const char *text, uint32_t grace_ms)
{
  TaskFailure failure = { .message = span_of(text) };
  Task *task = hook->task;
  snprintf(failure.code, sizeof failure.code, "%s", code);
  if (hook->is_queued) {
    care_leave(hook);
    timer_stop(&hook->deadline);
    send_failure(hook, &failure);
    return;
  }
  if (!task || task_is_cancelled(task) || (!hook->request && !hook->is_finished))
    return;
  log_failure(hook, task, &failure);
  if (hook->request)
    send_failure(hook, &failure);
  hook->mode = REPLY_WHOLE; // whatever it still yields has nowhere to go
  task_cancel(task, code, text, grace_ms);
}

void hook_task_time_is_up(HookRequest *hook, uint32_t grace_ms)
{
  hook_task_fail(hook, "plugin_timeout", "no answer in time", grace_ms);
}
