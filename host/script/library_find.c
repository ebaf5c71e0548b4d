// The Lua library's text: compiled in, or read from a folder while the library itself is developed.
#include <stdio.h>
#include <stdlib.h>

#include "../base/memory.h"
#include "bind.h"
#include "library.h"

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

// "moonhook.a.b" as "lua/moonhook/a/b.lua", or as a folder's init.lua.
static bool find_in_binary(const char *stem, Span *text)
{
  char path[200];
  const LibraryFile *file;
  snprintf(path, sizeof path, "lua/%s.lua", stem);
  file = library_find(path);
  if (!file) {
    snprintf(path, sizeof path, "lua/%s/init.lua", stem);
    file = library_find(path);
  }
  if (!file)
    return false;
  *text = (Span){ file->text, file->len };
  return true;
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

bool library_module(const char *folder, const char *name, Span *text, char **copy)
{
  char stem[128];
  size_t i;
  if (strlen(name) >= sizeof stem || strncmp(name, "moonhook", 8) != 0 || strstr(name, ".."))
    return false;
  for (i = 0; name[i]; i++)
    stem[i] = name[i] == '.' ? '/' : name[i];
  stem[i] = '\0';
  return folder ? find_in_folder(folder, stem, text, copy) : find_in_binary(stem, text);
}
