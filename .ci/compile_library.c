// Compiles the library for the binary: prints C that has, for each file of library_files, the
// bytecode that LuaJIT makes of it, or nothing where it is not Lua. Run by the build, with the
// LuaJIT that the binary has.
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "host/script/library.h"

static const char DIR[] = "lua/", END[] = ".lua", INIT[] = "/init";

static int print(lua_State *L, const void *bytes, size_t len, void *count)
{
  const unsigned char *at = bytes;
  size_t i;
  (void)L;
  for (i = 0; i < len; i++)
    printf("%s\\%03o", (*(size_t *)count)++ % 24 ? "" : "\"\n  \"", at[i]);
  return 0;
}

// The name by which it is required: "moonhook.a.b" for lua/moonhook/a/b.lua.
static void name_of(const char *path, char *name, size_t size)
{
  size_t len;
  char *at;
  snprintf(name, size, "=%s", path + strlen(DIR));
  len = strlen(name) - strlen(END);
  if (len > strlen(INIT) && strncmp(name + len - strlen(INIT), INIT, strlen(INIT)) == 0)
    len -= strlen(INIT);
  name[len] = '\0';
  for (at = name; *at; at++) {
    if (*at == '/')
      *at = '.';
  }
}

static int is_lua(const char *path)
{
  size_t len = strlen(path);
  return strncmp(path, DIR, strlen(DIR)) == 0 && len > strlen(END) &&
         strcmp(path + len - strlen(END), END) == 0;
}

int main(void)
{
  lua_State *L = luaL_newstate();
  size_t i;
  if (!L)
    return 1;
  printf("// Made by .ci/compile_library.c; see library.h.\n#include \"host/script/library.h\"\n\n"
         "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n");
  for (i = 0; i < library_file_count; i++) {
    const LibraryFile *file = &library_files[i];
    char name[256];
    size_t count = 0;
    if (!is_lua(file->path))
      continue;
    name_of(file->path, name, sizeof name);
    if (luaL_loadbuffer(L, file->text, file->len, name) != 0) {
      fprintf(stderr, "%s\n", lua_tostring(L, -1));
      return 1;
    }
    printf("\nstatic const char code_%zu[] = \"", i);
    lua_dump(L, print, &count);
    printf("\";\n");
    lua_settop(L, 0);
  }
  printf("\nconst LibraryCode library_codes[] = {\n");
  for (i = 0; i < library_file_count; i++) {
    if (is_lua(library_files[i].path))
      printf("  { code_%zu, sizeof(code_%zu) - 1 },\n", i, i);
    else
      printf("  { 0, 0 },\n");
  }
  printf("};\n");
  lua_close(L);
  return 0;
}
