// What went wrong in a task, read from the error object that it raised.
#ifndef MOONHOOK_SCRIPT_TASK_FAILURE_H
#define MOONHOOK_SCRIPT_TASK_FAILURE_H

#include "task.h"

void task_failure_set_code(TaskFailure *failure, const char *code);
// Reads the error object at the top of `co`: code and status into `failure`, its message into
// `text`, further fields of an Error into `details`. Runs no code of the plugin's.
void task_failure_read(lua_State *co, TaskFailure *failure, Buffer *text, Buffer *details);

// Finds the first "FILE.lua:LINE:" in a text; false when there is none.
bool task_failure_place(Span text, char *file, size_t size, int *line);

#endif
