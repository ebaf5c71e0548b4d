// The Lua library and the documentation, compiled into the binary as text. The array is made by the
// build from lua/moonhook/**/*.lua, docs/*.md and README.md (library.awk).
#ifndef MOONHOOK_SCRIPT_LIBRARY_H
#define MOONHOOK_SCRIPT_LIBRARY_H

#include <stddef.h>

typedef struct {
  const char *path; // from the root of the source tree: "lua/moonhook/init.lua", "README.md"
  const char *text; // NUL-terminated
  size_t len;
} LibraryFile;

extern const LibraryFile library_files[]; // sorted by the bytes of the path
extern const size_t library_file_count;

#endif
