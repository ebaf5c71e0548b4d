// See dev_view.h. Fields come from clients and plugins: control characters are shown, not sent.
#include "dev_view.h"

#include <string.h>

static const char RED[] = "\033[31m", GREEN[] = "\033[32m", YELLOW[] = "\033[33m",
                  DIM[] = "\033[2m", PLAIN[] = "\033[0m";

typedef struct {
  Buffer *out;
  bool has_colour;
  const LogField *fields;
} View;

static Span field_text(const View *view, const char *key)
{
  const LogField *field;
  for (field = view->fields; field && field->type != LOG_END; field++) {
    if (strcmp(field->key, key) != 0)
      continue;
    if (field->type == LOG_BYTES)
      return (Span){ field->text, field->len };
    return field->type == LOG_STRING && field->text ? span_of(field->text) : (Span){ "", 0 };
  }
  return (Span){ "", 0 };
}

static double field_number(const View *view, const char *key)
{
  const LogField *field;
  for (field = view->fields; field && field->type != LOG_END; field++) {
    if (strcmp(field->key, key) == 0)
      return field->type == LOG_REAL ? field->number : (double)field->integer;
  }
  return 0;
}

static void colour(const View *view, const char *sequence)
{
  if (view->has_colour)
    buffer_string(view->out, sequence);
}

// Line breaks are kept where `indent` says what comes after one.
static void text(const View *view, Span from, const char *indent)
{
  size_t i;
  for (i = 0; i < from.len; i++) {
    unsigned char c = (unsigned char)from.at[i];
    if (c == '\n' && indent)
      buffer_printf(view->out, "\n%s", indent);
    else if (c == '\t')
      buffer_string(view->out, "  ");
    else if (c < 32 || c == 127)
      buffer_printf(view->out, "\\x%02x", c);
    else
      buffer_char(view->out, (char)c);
  }
}

// --- requests ------------------------------------------------------------------------------------

static const char *end_of(Span term)
{
  static const char *const words[][2] = { { "reply", "complete" },
                                          { "client", "the client left" },
                                          { "timeout", "timed out" },
                                          { "server", "broken off" } };
  size_t i;
  for (i = 0; i < sizeof words / sizeof *words; i++) {
    if (term.len == strlen(words[i][0]) && memcmp(term.at, words[i][0], term.len) == 0)
      return words[i][1];
  }
  return "ended";
}

static void show_request(const View *view)
{
  int status = (int)field_number(view, "status");
  Span term = field_text(view, "term");
  text(view, field_text(view, "method"), NULL);
  buffer_char(view->out, ' ');
  text(view, field_text(view, "path"), NULL);
  buffer_char(view->out, ' ');
  colour(view, status >= 500 || status == 0 ? RED : status >= 400 ? YELLOW : GREEN);
  if (status)
    buffer_integer(view->out, status);
  else
    buffer_string(view->out, "no reply");
  colour(view, PLAIN);
  colour(view, DIM);
  buffer_string(view->out, "  first ");
  buffer_decimal(view->out, field_number(view, "ttfb_ms"));
  buffer_string(view->out, " ms, total ");
  buffer_decimal(view->out, field_number(view, "dur_ms"));
  buffer_printf(view->out, " ms, %s", end_of(term));
  colour(view, PLAIN);
}

// --- failures ------------------------------------------------------------------------------------

static bool is_of_plugin(Span line)
{
  static const char *const others[] = { "moonhook.", "[C]", "stack traceback", "(", "inner " };
  size_t i;
  for (i = 0; i < sizeof others / sizeof *others; i++) {
    size_t len = strlen(others[i]);
    if (line.len >= len && memcmp(line.at, others[i], len) == 0)
      return false;
  }
  return line.len > 0;
}

// The plugin's frames, innermost first; the library's are not the author's.
static void show_frames(const View *view, Span traceback)
{
  const char *at = traceback.at, *end = at + traceback.len;
  while (at < end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    Span line;
    if (!stop)
      stop = end;
    while (at < stop && (*at == '\t' || *at == ' '))
      at++;
    line = (Span){ at, (size_t)(stop - at) };
    if (is_of_plugin(line)) {
      buffer_string(view->out, "\n    at ");
      text(view, line, NULL);
    }
    at = stop + 1;
  }
}

static void show_failure(const View *view)
{
  Span source = field_text(view, "source"), details = field_text(view, "details");
  colour(view, RED);
  buffer_string(view->out, "error ");
  colour(view, PLAIN);
  text(view, field_text(view, "error"), "    ");
  colour(view, DIM);
  buffer_string(view->out, "  [");
  text(view, field_text(view, "code"), NULL);
  buffer_string(view->out, "] ");
  text(view, field_text(view, "route"), NULL);
  colour(view, PLAIN);
  if (source.len > 0) {
    buffer_string(view->out, "\n    ");
    text(view, source, "    ");
  }
  show_frames(view, field_text(view, "traceback"));
  if (details.len > 0) {
    colour(view, DIM);
    buffer_string(view->out, "\n    ");
    text(view, details, "    ");
    colour(view, PLAIN);
  }
}

// The client's mistake, as the plugin sees it: what its reply says, and where that was said.
static void show_abort(const View *view)
{
  Span place = field_text(view, "place");
  colour(view, YELLOW);
  buffer_string(view->out, "abort ");
  colour(view, PLAIN);
  buffer_integer(view->out, (int)field_number(view, "status"));
  buffer_char(view->out, ' ');
  text(view, field_text(view, "code"), NULL);
  buffer_string(view->out, ": ");
  text(view, field_text(view, "message"), NULL);
  colour(view, DIM);
  if (place.len > 0) {
    buffer_string(view->out, "  at ");
    text(view, place, NULL);
  }
  colour(view, PLAIN);
}

bool dev_view(Buffer *out, bool has_colour, LogLevel level, const char *message,
              const LogField *fields)
{
  View view = { out, has_colour, fields };
  if (strcmp(message, "request") == 0)
    show_request(&view);
  else if (strcmp(message, "plugin failed") == 0 && level >= LOG_ERROR)
    show_failure(&view);
  else if (strcmp(message, "request aborted") == 0)
    show_abort(&view);
  else
    return false;
  return true;
}
