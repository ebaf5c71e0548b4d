// See hook_failure.h.
#include "hook_failure.h"

#include <string.h>

#include "../base/log.h"
#include "dispatch_state.h"
#include "endpoint_secrets.h"
#include "failure.h"

enum { MAX_MESSAGE_BYTES = 2048, MAX_TRACEBACK_BYTES = 3000, MAX_RECORDS = 100 };

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

// A plugin that fails for every client would fill the disk.
static bool may_tell(HookRequest *hook)
{
  PluginSlot *plugin = hook->endpoint->plugin;
  uint32_t dropped = per_second_look(&plugin->failures, loop_now_ms(hook->dispatch->runtime->loop));
  if (dropped > 0)
    log_event(LOG_WARN, "failures of the plugin not told", LOG_S("plugin", plugin->name),
              LOG_I("count", dropped));
  return per_second_take(&plugin->failures, MAX_RECORDS);
}

void hook_failure_log(HookRequest *hook, const Task *task, const TaskFailure *failure)
{
  if (!may_tell(hook))
    return;
  if (failure_is_abort(failure))
    log_abort(hook, task, failure);
  else
    log_failure(hook, task, failure);
}
