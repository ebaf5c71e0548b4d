// The page that `dev` shows an author whose plugin raised.
#include <stdio.h>
#include <stdlib.h>

#include "failure.h"

enum { LINES_AROUND = 4, LINES_BEFORE = 2, LINES_AFTER = 1, MAX_LINE = 120 };

static void escape(Buffer *html, const char *text, size_t len)
{
  size_t i;
  for (i = 0; i < len; i++) {
    if (text[i] == '<')
      buffer_string(html, "&lt;");
    else if (text[i] == '>')
      buffer_string(html, "&gt;");
    else if (text[i] == '&')
      buffer_string(html, "&amp;");
    else if (text[i] == '"')
      buffer_string(html, "&quot;");
    else
      buffer_char(html, text[i]);
  }
}

static void append_source(Buffer *html, const State *state, const char *file, int line)
{
  Buffer text = { 0 };
  const char *at;
  int number = 1;
  if (state_read_file(state, file, &text, NULL) < 0 || !text.bytes) {
    buffer_free(&text);
    return;
  }
  buffer_string(html, "<pre class=source>");
  for (at = text.bytes; *at; number++) {
    size_t len = strcspn(at, "\n");
    if (number >= line - LINES_AROUND && number <= line + LINES_AROUND) {
      buffer_printf(html, "<span%s><b>%4d</b>  ", number == line ? " class=here" : "", number);
      escape(html, at, len);
      buffer_string(html, "\n</span>");
    }
    at += len + (at[len] == '\n');
  }
  buffer_string(html, "</pre>");
  buffer_free(&text);
}

void failure_source(Span message, const State *state, Buffer *text)
{
  Buffer source = { 0 };
  char file[256];
  const char *at;
  int line, number = 1;
  if (!task_failure_place(message, file, sizeof file, &line))
    return;
  if (state_read_file(state, file, &source, NULL) == 0 && source.bytes) {
    for (at = source.bytes; *at; number++) {
      size_t len = strcspn(at, "\n");
      if (number >= line - LINES_BEFORE && number <= line + LINES_AFTER)
        buffer_printf(text, "%s%s%4d | %.*s", text->len ? "\n" : "", number == line ? "> " : "  ",
                      number, (int)(len < MAX_LINE ? len : MAX_LINE), at);
      at += len + (at[len] == '\n');
    }
  }
  buffer_free(&source);
}

// Frames of the plugin's own files first, then the library's and the host's.
static void append_frames(Buffer *html, Span traceback)
{
  int pass;
  buffer_string(html, "<pre>");
  for (pass = 0; pass < 2; pass++) {
    const char *at = traceback.at, *end = traceback.at + traceback.len;
    while (at && at < end) {
      const char *stop = memchr(at, '\n', (size_t)(end - at));
      size_t len = (size_t)((stop ? stop : end) - at);
      char file[256];
      int line;
      bool is_plugin = task_failure_place((Span){ at, len }, file, sizeof file, &line);
      if (is_plugin == (pass == 0) && len > 0) {
        buffer_printf(html, "<span%s>", is_plugin ? "" : " class=other");
        escape(html, at, len);
        buffer_string(html, "\n</span>");
      }
      at = stop ? stop + 1 : end;
    }
  }
  buffer_string(html, "</pre>");
}

void failure_page(const TaskFailure *failure, const State *state, const char *request_id,
                  Buffer *html)
{
  char file[256];
  int line;
  buffer_string(
      html,
      "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
      "content='width=device-width'><title>The plugin raised an error</title><style>"
      ":root{color-scheme:light dark}body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;"
      "padding:0 1rem}h1{font-size:1.2rem}pre{overflow:auto;padding:1rem;border-radius:.5rem;"
      "background:light-dark(#f4f4f6,#222);font-size:.9rem}.here{background:light-dark(#fdd,#622);"
      "display:block}.source span{display:block}.other{opacity:.6}code{overflow-wrap:anywhere}"
      "</style><h1>The plugin raised an error</h1><p><code>");
  escape(html, failure->message.at, failure->message.len);
  buffer_string(html, "</code></p>");
  if (task_failure_place(failure->message, file, sizeof file, &line) ||
      task_failure_place(failure->traceback, file, sizeof file, &line)) {
    buffer_string(html, "<p>");
    escape(html, file, strlen(file));
    buffer_printf(html, ", line %d</p>", line);
    append_source(html, state, file, line);
  }
  append_frames(html, failure->traceback);
  buffer_printf(html,
                "<p>Code <code>%s</code>, request <code>%s</code>. Only <code>moonhook dev</code> "
                "shows this page.</p></html>",
                failure->code, request_id);
}
