// The Lua library and the documentation, in the binary as text, and the library as bytecode, too.
// The arrays are made by the build from lua/moonhook/**/*.lua, docs/*.md and README.md
// (library.awk, .ci/compile_library.c).
#ifndef MOONHOOK_SCRIPT_LIBRARY_H
#define MOONHOOK_SCRIPT_LIBRARY_H

#include <stddef.h>

typedef struct {
  const char *path; // from the root of the source tree: "lua/moonhook/init.lua", "README.md"
  const char *text; // NUL-terminated
  size_t len;
} LibraryFile;

typedef struct {
  const char *bytes; // NULL: the file is not Lua
  size_t len;
} LibraryCode;

extern const LibraryFile library_files[]; // sorted by the bytes of the path
extern const LibraryCode library_codes[]; // of the same files
extern const size_t library_file_count;

#endif
