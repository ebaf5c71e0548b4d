// See problems.h.
#include "problems.h"

#include <stdarg.h>
#include <stdio.h>

#include "../base/buffer.h"
#include "../base/memory.h"

// A person reads them; after so many the first are what matters.
enum { MAX_PROBLEMS = 100 };

void problems_add(Problems *problems, const char *file, int line, int column, const char *format,
                  ...)
{
  char what[1024];
  va_list args;
  Buffer text = { 0 };
  Problem *problem;
  if (problems->count > MAX_PROBLEMS)
    return;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  if (problems->count == MAX_PROBLEMS) {
    line = 0;
    snprintf(what, sizeof what, "there are more problems, which are not shown");
  }
  if (line > 0)
    buffer_printf(&text, "%s:%d:%d: %s", file, line, column, what);
  else
    buffer_printf(&text, "%s: %s", file, what);
  problems->items = mem_resize(problems->items, (problems->count + 1) * sizeof *problems->items);
  problem = &problems->items[problems->count++];
  *problem = (Problem){ .line = line, .column = line > 0 ? column : 0 };
  problem->text = buffer_take(&text);
  problem->file = mem_string(file);
  problem->what = mem_string(what);
  problem->field = mem_string(problems->field);
}

void problems_free(Problems *problems)
{
  size_t i;
  for (i = 0; i < problems->count; i++) {
    mem_free(problems->items[i].text);
    mem_free(problems->items[i].file);
    mem_free(problems->items[i].what);
    mem_free(problems->items[i].field);
  }
  mem_free(problems->items);
  *problems = (Problems){ 0 };
}
