// One record as a line of JSON, or for a terminal. For log.c alone, which has the lock.
#ifndef MOONHOOK_BASE_LOG_LINE_H
#define MOONHOOK_BASE_LOG_LINE_H

#include "log.h"

enum { LOG_LINE_BYTES = 4096 }; // at most, the final newline included; Linux's PIPE_BUF

typedef struct {
  bool is_pretty, has_colour;
  LogLayout layout; // of some records of the pretty log; NULL: none
} LogStyle;

// Appends the line; what does not fit is cut, and the line says so.
void log_line_add(Buffer *lines, const LogStyle *style, LogLevel level, const char *message,
                  const LogField *fields);

// Writes what the fields are in a line of JSON; returns the length, or 0 where they do not fit.
size_t log_line_fields(char *to, size_t room, const LogField *fields, uint32_t count);

#endif
