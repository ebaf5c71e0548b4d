// Names in Lua files that are not there: globals, modules, functions of the libraries. Looked for
// in the compiled code, in Lua (lua/moonhook/cli/names.lua).
#ifndef MOONHOOK_CMD_CHECK_NAMES_H
#define MOONHOOK_CMD_CHECK_NAMES_H

#include "../plugin/package.h"

// `files` are the package's Lua files, relative to `dir`, ended by NULL. With `package` NULL they
// are all looked at, else those that its endpoints lead to.
void check_names(const char *dir, char *const *files, const Package *package, Problems *problems);
// The same of a workflow app, which is one file.
void check_app_names(const char *dir, const char *file, Problems *problems);

#endif
