// See report.h.
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_json(Report *report, const char *severity, Span file, int line, int column,
                     const char *what)
{
  buffer_string(&report->json, report->json.len > 0 ? ",\n{" : "{");
  if (file.len > 0) {
    buffer_string(&report->json, "\"file\":");
    buffer_json_string(&report->json, file.at, file.len);
    buffer_char(&report->json, ',');
  }
  if (line > 0)
    buffer_printf(&report->json, "\"line\":%d,\"column\":%d,", line, column);
  buffer_printf(&report->json, "\"severity\":\"%s\",\"message\":", severity);
  buffer_json_string(&report->json, what, strlen(what));
  buffer_char(&report->json, '}');
}

static void print_line(const Buffer *file, const Problem *problem, bool is_warning)
{
  if (problem->file && problem->line > 0)
    printf("%s:%d:%d: ", file->bytes, problem->line, problem->column);
  else if (problem->file)
    printf("%s: ", file->bytes);
  printf("%s%s\n", is_warning ? "warning: " : "", problem->what);
}

static void show(Report *report, const char *dir, const Problem *problem, bool is_warning)
{
  Buffer file = { 0 };
  if (problem->file && dir && strcmp(dir, ".") != 0)
    buffer_printf(&file, "%s/", dir);
  buffer_string(&file, problem->file ? problem->file : "");
  if (report->is_json)
    add_json(report, is_warning ? "warning" : "error", (Span){ file.bytes, file.len },
             problem->line, problem->column, problem->what);
  else
    print_line(&file, problem, is_warning);
  buffer_free(&file);
}

void report_problem(Report *report, const char *dir, const Problem *problem)
{
  show(report, dir, problem, false);
  report->problems++;
}

void report_warning(Report *report, const char *dir, const Problem *problem)
{
  show(report, dir, problem, true);
  report->warnings++;
}

// Finds ":LINE:COLUMN: " in a text; *what is behind it. 0: there is none.
static size_t find_place(const char *text, int *line, int *column, const char **what)
{
  const char *at;
  for (at = strchr(text, ':'); at; at = strchr(at + 1, ':')) {
    int used = 0;
    if (sscanf(at, ":%d:%d: %n", line, column, &used) == 2 && used > 0) {
      *what = at + used;
      return (size_t)(at - text);
    }
  }
  return 0;
}

void report_text(Report *report, const char *text)
{
  int line = 0, column = 0;
  const char *what = text;
  size_t len = find_place(text, &line, &column, &what);
  if (report->is_json)
    add_json(report, "error", (Span){ text, len }, len ? line : 0, column, what);
  else
    puts(text);
  report->problems++;
}

int report_end(Report *report, const char *what)
{
  if (report->is_json)
    printf("[%s]\n", report->json.bytes ? report->json.bytes : "");
  buffer_free(&report->json);
  fprintf(stderr, "checked %s: ", what);
  if (report->problems == 0)
    fputs("no problem", stderr);
  else
    fprintf(stderr, "%zu problem%s", report->problems, report->problems == 1 ? "" : "s");
  if (report->warnings > 0)
    fprintf(stderr, ", %zu warning%s", report->warnings, report->warnings == 1 ? "" : "s");
  fputc('\n', stderr);
  return report->problems == 0 ? 0 : 1;
}
