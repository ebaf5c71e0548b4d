// The library's modules as chunks. Each is parsed once for all states of a runtime; the second
// state gets what the first one's became, which takes a third of the time.
#include "../base/fast_paths.h"
#include "../base/memory.h"
#include "bind.h"
#include "library.h"
#include "state_parts.h"

struct Chunk {
  char *name;
  Buffer code;
};

static int append(lua_State *L, const void *bytes, size_t len, void *code)
{
  (void)L;
  buffer_append(code, bytes, len);
  return 0;
}

static void keep(lua_State *L, Runtime *runtime, const char *name)
{
  struct Chunk *chunk;
  runtime->chunks =
      mem_resize(runtime->chunks, (runtime->chunk_count + 1) * sizeof *runtime->chunks);
  chunk = &runtime->chunks[runtime->chunk_count++];
  *chunk = (struct Chunk){ .name = mem_string(name) };
  lua_dump(L, append, &chunk->code);
}

static const struct Chunk *find(const Runtime *runtime, const char *name)
{
  uint32_t i;
  for (i = 0; i < runtime->chunk_count; i++) {
    if (strcmp(runtime->chunks[i].name, name) == 0)
      return &runtime->chunks[i];
  }
  return NULL;
}

void library_load(lua_State *L, Runtime *runtime, const char *name)
{
  const struct Chunk *chunk = find(runtime, name);
  const char *source = lua_pushfstring(L, "=%s", name);
  Span text;
  char *copy = NULL;
  int rc;
  if (chunk) {
    rc = luaL_loadbufferx(L, chunk->code.bytes, chunk->code.len, source, "b");
  } else if (library_module(runtime->library_path, name, &text, &copy)) {
    rc = luaL_loadbuffer(L, text.at, text.len, source);
    mem_free(copy);
    if (rc == 0 && !runtime->library_path && fast_paths_are_on()) // a folder's may change
      keep(L, runtime, name);
  } else {
    rc = luaL_error(L, "library module '%s' not found", name);
  }
  if (rc != 0)
    lua_error(L);
  lua_remove(L, -2);
}

void library_free(Runtime *runtime)
{
  uint32_t i;
  for (i = 0; i < runtime->chunk_count; i++) {
    mem_free(runtime->chunks[i].name);
    buffer_free(&runtime->chunks[i].code);
  }
  mem_free(runtime->chunks);
  runtime->chunks = NULL;
  runtime->chunk_count = 0;
}
