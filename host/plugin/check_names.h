// Names in Lua files that are not there: globals, modules, functions of the libraries. Looked for
// in the compiled code, in Lua (lua/moonhook/cli/names.lua).
#ifndef MOONHOOK_PLUGIN_CHECK_NAMES_H
#define MOONHOOK_PLUGIN_CHECK_NAMES_H

#include "package.h"

// The Lua files of the package in `dir`: those that snapshots hold, and the declared sources that
// are called otherwise. Relative, NULL-terminated; each and the array are the caller's. NULL after
// an error.
char **package_lua_files(const char *dir, const Package *package, Err *err);
// With `package` NULL all `files` are looked at, else those that its endpoints lead to.
void check_names(const char *dir, char *const *files, const Package *package, Problems *problems);
// The same of a workflow app, which is one file.
void check_app_names(const char *dir, const char *file, Problems *problems);

#endif
