// See problems.h.
#include "problems.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "../base/buffer.h"
#include "../base/memory.h"

// A person reads them; after so many the first are what matters.
enum { MAX_PROBLEMS = 100 };

static void add(Problem **list, size_t *count, const Problem *at, const char *format, va_list args)
{
  char what[1024];
  Buffer text = { 0 };
  Problem problem = *at;
  if (*count > MAX_PROBLEMS)
    return;
  vsnprintf(what, sizeof what, format, args);
  if (*count == MAX_PROBLEMS) {
    problem.line = 0;
    snprintf(what, sizeof what, "there are more problems, which are not shown");
  }
  if (!at->file)
    buffer_string(&text, what);
  else if (problem.line > 0)
    buffer_printf(&text, "%s:%d:%d: %s", at->file, problem.line, problem.column, what);
  else
    buffer_printf(&text, "%s: %s", at->file, what);
  problem.column = problem.line > 0 ? problem.column : 0;
  problem.text = buffer_take(&text);
  problem.file = mem_string(at->file);
  problem.what = mem_string(what);
  problem.field = mem_string(at->field);
  *list = mem_resize(*list, (*count + 1) * sizeof **list);
  (*list)[(*count)++] = problem;
}

// `file` and `field` are copied.
static Problem place(const Problems *problems, const char *file, int line, int column)
{
  return (Problem){ .file = (char *)(uintptr_t)file,
                    .field = (char *)(uintptr_t)problems->field,
                    .line = line,
                    .column = column };
}

void problems_add(Problems *problems, const char *file, int line, int column, const char *format,
                  ...)
{
  const Problem at = place(problems, file, line, column);
  va_list args;
  va_start(args, format);
  add(&problems->items, &problems->count, &at, format, args);
  va_end(args);
}

void problems_warn(Problems *problems, const char *file, int line, int column, const char *format,
                   ...)
{
  const Problem at = place(problems, file, line, column);
  va_list args;
  va_start(args, format);
  add(&problems->warnings, &problems->warning_count, &at, format, args);
  va_end(args);
}

void problems_add_placed(Problems *problems, const char *file, const char *text)
{
  int line = 0, column = 0, used = 0;
  if (sscanf(text, "%d:%d: %n", &line, &column, &used) < 2 || used == 0)
    line = used = 0;
  problems_add(problems, file, line, column, "%s", text + used);
}

static void free_list(Problem *list, size_t count)
{
  size_t i;
  for (i = 0; i < count; i++) {
    mem_free(list[i].text);
    mem_free(list[i].file);
    mem_free(list[i].what);
    mem_free(list[i].field);
  }
  mem_free(list);
}

void problems_free(Problems *problems)
{
  free_list(problems->items, problems->count);
  free_list(problems->warnings, problems->warning_count);
  *problems = (Problems){ 0 };
}
