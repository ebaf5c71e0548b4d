// Checking plugins, for `check` and `config check`.
#ifndef MOONHOOK_CMD_CHECK_H
#define MOONHOOK_CMD_CHECK_H

#include "../plugin/package.h"
#include "report.h"

// Reads the package in a folder or archive as the host would and compiles its Lua files; reports
// what is wrong.
// Returns the package, which the caller frees; NULL when it has a problem.
Package *check_package(Report *report, const char *place);
// Compiles one Lua file, which is named relative to `dir`.
void check_source(const char *dir, const char *file, Problems *problems);
// Problems and warnings in the order of their places; files are relative to `dir` (or NULL).
void check_report(Report *report, const char *dir, const Problems *problems);

#endif
