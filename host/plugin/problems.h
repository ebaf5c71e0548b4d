// What is wrong with a package, place by place: "file:line:column: what: expected X, got Y". And
// what looks wrong, though the package loads: its warnings.
#ifndef MOONHOOK_PLUGIN_PROBLEMS_H
#define MOONHOOK_PLUGIN_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
  char *text;        // the whole line; the file is relative to the package
  char *file, *what; // its parts; file NULL: it is about no file
  char *field;       // "settings.api_key", where it is about one; or NULL
  int line, column;  // 0: the whole file
} Problem;

typedef struct {
  Problem *items;
  size_t count;
  Problem *warnings;
  size_t warning_count;
  const char *field; // of what is added from now on; borrowed
} Problems;          // start with { 0 }

// line 0: no place in the file is known (only "file: text"); file NULL: only the text.
void problems_add(Problems *problems, const char *file, int line, int column, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));
// A text that begins with the place, as yaml_parse says it: "line:column: what".
void problems_add_placed(Problems *problems, const char *file, const char *text);
void problems_warn(Problems *problems, const char *file, int line, int column, const char *format,
                   ...) __attribute__((format(printf, 5, 6)));
void problems_free(Problems *problems);

#endif
