// Whether Lua source text compiles, without running it.
#ifndef MOONHOOK_SCRIPT_SYNTAX_H
#define MOONHOOK_SCRIPT_SYNTAX_H

#include <stddef.h>

#include "../base/error.h"

// 0, or UV_EINVAL with err->text ("syntax: expected 'end', got '<eof>'") and its place in the text,
// from 1. Bytecode is refused.
int syntax_check(const char *source, size_t len, int *line, int *column, Err *err);

#endif
