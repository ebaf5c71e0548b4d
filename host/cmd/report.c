// See report.h.
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_json(Report *report, Span file, int line, int column, const char *what)
{
  buffer_string(&report->json, report->problems > 0 ? ",\n{" : "{");
  if (file.len > 0) {
    buffer_string(&report->json, "\"file\":");
    buffer_json_string(&report->json, file.at, file.len);
    buffer_char(&report->json, ',');
  }
  if (line > 0)
    buffer_printf(&report->json, "\"line\":%d,\"column\":%d,", line, column);
  buffer_string(&report->json, "\"message\":");
  buffer_json_string(&report->json, what, strlen(what));
  buffer_char(&report->json, '}');
}

void report_problem(Report *report, const char *dir, const Problem *problem)
{
  Buffer file = { 0 };
  if (dir && strcmp(dir, ".") != 0)
    buffer_printf(&file, "%s/", dir);
  buffer_string(&file, problem->file);
  if (report->is_json)
    add_json(report, (Span){ file.bytes, file.len }, problem->line, problem->column, problem->what);
  else
    printf("%.*s%s\n", (int)(file.len - strlen(problem->file)), file.bytes, problem->text);
  report->problems++;
  buffer_free(&file);
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
    add_json(report, (Span){ text, len }, len ? line : 0, column, what);
  else
    puts(text);
  report->problems++;
}

int report_end(Report *report, const char *what)
{
  if (report->is_json)
    printf("[%s]\n", report->json.bytes ? report->json.bytes : "");
  buffer_free(&report->json);
  if (report->problems == 0)
    fprintf(stderr, "checked %s: no problem\n", what);
  else
    fprintf(stderr, "checked %s: %zu problem%s\n", what, report->problems,
            report->problems == 1 ? "" : "s");
  return report->problems == 0 ? 0 : 1;
}
