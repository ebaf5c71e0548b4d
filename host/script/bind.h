// The C modules that library code may require, and what they share. One file each, leaves: check
// the arguments, call, push. None calls a Lua function, none raises for the world's failures.
#ifndef MOONHOOK_SCRIPT_BIND_H
#define MOONHOOK_SCRIPT_BIND_H

#include "../base/buffer.h"
#include "library.h"
#include "state.h"

int luaopen_host_timer(lua_State *L);
int luaopen_host_log(lua_State *L);
int luaopen_host_package(lua_State *L);
int luaopen_host_library(lua_State *L);
int luaopen_host_fast_paths(lua_State *L);
int luaopen_host_clock(lua_State *L);
int luaopen_host_reverse(lua_State *L);
void bind_catalogue(lua_State *L); // adds its functions to the module at the top of the stack
int luaopen_host_store(lua_State *L);
int luaopen_host_storage(lua_State *L);
void bind_storage_keys(lua_State *L, const StorageResult *result); // pushes a list of them
int luaopen_host_web(lua_State *L);
int luaopen_host_json(lua_State *L);
int luaopen_host_bytes(lua_State *L);
int luaopen_host_crypto(lua_State *L);
int luaopen_host_pattern(lua_State *L);

// An embedded file by its path in the repository, or NULL.
const LibraryFile *library_find(const char *path);
bool library_code(const char *name, Span *code); // of a library module in the binary
// A library module's text; `*copy` is what the caller frees, or NULL.
bool library_module(const char *folder, const char *name, Span *text, char **copy);

#endif
