// Verbs of the command line whose work is to ask, to arrange and to print: they are modules of the
// library (lua/moonhook/cli), run here in a Lua state of their own. Trusted code from the binary,
// with Lua's own libraries and host.tool (bind_tool.c); no plugin's code is ever loaded in it
// (docs/decisions/0032-verbs-in-lua.md).
#ifndef MOONHOOK_SCRIPT_TOOL_H
#define MOONHOOK_SCRIPT_TOOL_H

#include "../base/buffer.h"

// Runs the function that library module `entry` returns with the decoded JSON `input`. Returns the
// exit code that it gives; 1 after an error, which is told on stderr.
int tool_run(const char *entry, Span input);
// The same of a function that returns a text, which is appended to `answer`. 0, or a negative code
// after an error, which is told on stderr.
int tool_ask(const char *entry, Span input, Buffer *answer);

#endif
