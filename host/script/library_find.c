// The Lua library: compiled in, or read from a folder while the library itself is developed.
#include <stdio.h>
#include <stdlib.h>

#include "../base/memory.h"
#include "bind.h"
#include "library.h"

enum { STEM_SIZE = 128 };

const LibraryFile *library_find(const char *path)
{
  size_t low = 0, high = library_file_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(path, library_files[middle].path);
    if (order == 0)
      return &library_files[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

// "moonhook/a/b" as "lua/moonhook/a/b.lua", or as a folder's init.lua.
static const LibraryFile *find_in_binary(const char *stem)
{
  char path[200];
  const LibraryFile *file;
  snprintf(path, sizeof path, "lua/%s.lua", stem);
  file = library_find(path);
  if (!file) {
    snprintf(path, sizeof path, "lua/%s/init.lua", stem);
    file = library_find(path);
  }
  return file;
}

static bool read_whole(const char *path, Buffer *out)
{
  FILE *file = fopen(path, "rb");
  size_t got;
  if (!file)
    return false;
  do {
    buffer_reserve(out, 16384);
    got = fread(out->bytes + out->len, 1, 16384, file);
    out->len += got;
  } while (got > 0);
  fclose(file);
  return true;
}

static bool find_in_folder(const char *folder, const char *stem, Span *text, char **copy)
{
  char path[1024];
  Buffer bytes = { 0 };
  snprintf(path, sizeof path, "%s/%s.lua", folder, stem);
  if (!read_whole(path, &bytes)) {
    snprintf(path, sizeof path, "%s/%s/init.lua", folder, stem);
    if (!read_whole(path, &bytes))
      return false;
  }
  text->len = bytes.len;
  text->at = *copy = buffer_take(&bytes);
  return true;
}

// "moonhook.a.b" as "moonhook/a/b". False: it is no such name.
static bool stem_of(const char *name, char stem[STEM_SIZE])
{
  size_t i;
  if (strlen(name) >= STEM_SIZE || strncmp(name, "moonhook", 8) != 0 || strstr(name, ".."))
    return false;
  for (i = 0; name[i]; i++)
    stem[i] = name[i] == '.' ? '/' : name[i];
  stem[i] = '\0';
  return true;
}

bool library_module(const char *folder, const char *name, Span *text, char **copy)
{
  char stem[STEM_SIZE];
  const LibraryFile *file;
  if (!stem_of(name, stem))
    return false;
  if (folder)
    return find_in_folder(folder, stem, text, copy);
  file = find_in_binary(stem);
  if (file)
    *text = (Span){ file->text, file->len };
  return file != NULL;
}

bool library_code(const char *name, Span *code)
{
  char stem[STEM_SIZE];
  const LibraryFile *file = stem_of(name, stem) ? find_in_binary(stem) : NULL;
  const LibraryCode *found = file ? &library_codes[file - library_files] : NULL;
  if (!found || !found->bytes)
    return false;
  *code = (Span){ found->bytes, found->len };
  return true;
}
