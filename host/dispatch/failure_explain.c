// What the log says to the author about a failure: the message with a place in front of it, and a
// hint behind it where a name tells what was meant.
#include <stdio.h>
#include <string.h>

#include "../script/names.h"
#include "failure.h"

// The word between quotes behind `before` in the message; false when it is not there.
static bool find_word(Span message, const char *before, char *word, size_t size)
{
  const char *found = memmem(message.at, message.len, before, strlen(before)), *end;
  size_t left;
  if (!found)
    return false;
  found += strlen(before);
  left = message.len - (size_t)(found - message.at);
  end = memchr(found, '\'', left);
  if (!end || (size_t)(end - found) >= size)
    return false;
  snprintf(word, size, "%.*s", (int)(end - found), found);
  return true;
}

static void explain_global(const char *name, Buffer *text)
{
  const char *hint = names_hint(name), *near = hint ? NULL : names_nearest(name);
  if (hint)
    buffer_printf(text, ": %s", hint);
  else if (near)
    buffer_printf(text, ", did you mean '%s'?", near);
}

static void explain_field(const char *name, const Package *package, Buffer *text)
{
  uint32_t i;
  for (i = 0; i < package->setting_count; i++) {
    if (strcmp(package->settings[i].name, name) == 0) {
      buffer_printf(text, ": the setting `%s` is not set for this endpoint", name);
      return;
    }
  }
}

// The line of the manifest that permits what was refused.
static void explain_permission(Span message, Buffer *text)
{
  static const char *const lines[][2] = {
    { "enable app access", "app: { enabled: true }" },
    { "enable llm access", "model: { enabled: true, llm: true }" },
    { "enable text-embedding access", "model: { enabled: true, text_embedding: true }" },
    { "enable rerank access", "model: { enabled: true, rerank: true }" },
    { "enable tts access", "model: { enabled: true, tts: true }" },
    { "enable speech2text access", "model: { enabled: true, speech2text: true }" },
    { "enable moderation access", "model: { enabled: true, moderation: true }" },
    { "enable tool access", "tool: { enabled: true }" },
    { "enable node access", "node: { enabled: true }" },
    { "enable storage access", "storage: { enabled: true, size: 1048576 }" },
    { "enable network access", "network: { enabled: true }" },
  };
  size_t i;
  for (i = 0; i < sizeof lines / sizeof *lines; i++) {
    if (memmem(message.at, message.len, lines[i][0], strlen(lines[i][0]))) {
      buffer_printf(text, " (resource: { permission: { %s } })", lines[i][1]);
      return;
    }
  }
}

static bool has_place(Span message)
{
  size_t i;
  for (i = 0; i + 5 < message.len && message.at[i] != ' ' && message.at[i] != '\n'; i++) {
    if (memcmp(message.at + i, ".lua:", 5) == 0)
      return true;
  }
  return false;
}

void failure_explain(const TaskFailure *failure, const Package *package, const char *source,
                     int line, Buffer *text)
{
  char word[80], file[256];
  bool returns = false; // it was called by a `return`, which leaves no line
  if (!has_place(failure->message) && failure->status == 0) {
    bool is_known = task_failure_place(failure->traceback, file, sizeof file, &line);
    buffer_string(text, is_known ? file : source);
    if (line > 0)
      buffer_printf(text, ":%d", line);
    buffer_string(text, ": ");
    returns = !is_known && line > 0 && strcmp(failure->code, "plugin_error") == 0;
  }
  buffer_append(text, failure->message.at, failure->message.len);
  if (returns)
    buffer_string(text, " (in a `return` of the handler that begins at this line)");
  if (strcmp(failure->code, "permission_denied") == 0)
    explain_permission(failure->message, text);
  else if (find_word(failure->message, "global '", word, sizeof word))
    explain_global(word, text);
  else if (find_word(failure->message, "field '", word, sizeof word) ||
           find_word(failure->message, "local '", word, sizeof word))
    explain_field(word, package, text);
}
