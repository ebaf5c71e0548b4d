// See hook_task.h.
#include "hook_task.h"

#include <stdio.h>

#include "../base/log.h"
#include "care.h"
#include "endpoint_secrets.h"
#include "event_frame.h"
#include "failure.h"
#include "hook_failure.h"
#include "passes.h"

enum {
  AFTER_MS = 60000,
  LARGE_BYTES = 16 * 1024, // of a piece
};

static void begin(HookRequest *hook)
{
  if (hook->is_begun)
    return;
  hook->is_begun = true;
  care_began(hook);
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

static void on_end(Task *task, const TaskFailure *failure)
{
  HookRequest *hook = task_owner(task);
  hook->task = NULL;
  timer_stop(&hook->deadline);
  care_ended(hook);
  if (failure && strcmp(failure->code, hook->told ? hook->told : "cancelled") != 0)
    hook_failure_log(hook, task, failure);
  if (!hook->request) {
    hook_request_release(hook);
    return;
  }
  if (failure && hook->has_left && strcmp(failure->code, "cancelled") == 0) {
    reply_abort(hook->request);
  } else if (failure) {
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

// A request that came with its client's end would start calls that nobody waits for, and those,
// where they lead back here, others.
static bool has_left(Task *task)
{
  HookRequest *hook = task_owner(task);
  if (!hook->request || !request_has_left(hook->request))
    return false;
  hook->has_left = true;
  return true;
}

static const char *passes(Task *task)
{
  return passes_field(task_owner(task));
}

static const TaskEvents events = { .on_piece = on_piece,
                                   .on_event = on_event,
                                   .has_left = has_left,
                                   .passes = passes,
                                   .on_end = on_end };

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
  hook_failure_log(hook, task, &failure);
  hook->told = code;
  if (hook->request)
    send_failure(hook, &failure);
  hook->mode = REPLY_WHOLE; // whatever it still yields has nowhere to go
  task_cancel(task, code, text, grace_ms);
}

void hook_task_time_is_up(HookRequest *hook, uint32_t grace_ms)
{
  hook_task_fail(hook, "plugin_timeout", "no answer in time", grace_ms);
}
