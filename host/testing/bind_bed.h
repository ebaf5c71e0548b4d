// host.testbed: the test bed as the spec's Lua code sees it; lua/moonhook/testing/ is built on it.
// Plugins, sockets and calls are numbers; one that is over is just not found any more.
//   load(dir, settings_json, has_storage, { name, ... }, { models_json, ... })
//       -> plugin, port, hook_id, "author#1/name", upstream's port | nil, problems
//   reload(plugin, { file, ... }, { text, ... }) -> true | nil, problems
//   storage_faults(plugin, { "ok"|"fail"|"full", delay_ms, ... }, is_lasting)
//   close(plugin)                       live_tasks(plugin) -> number
//   connect(port) -> socket             send(socket, bytes)          shut(socket)
//   read(socket) -> bytes, is_eof       close_socket(socket)
//   call(call) -> plugin, method, target, { name, value, ... }, body | nil: it is over
//   begin(call, status, { name, value, ... })   piece(call, bytes)   finish(call)   abort(call)
//   next(until_ms or nil) -> "data" | "call" | "over" | "left" | "timer", id | nil: see bed_next
//   timer(delay_ms) -> id               now() -> ms since the bed was made; time() -> seconds, wall
//   log(from) -> JSON lines, the next `from`
//   storage(plugin, "get"|"set"|"delete"|"list", key, value, ttl_ms) -> value, or true, or { keys }
#ifndef MOONHOOK_TESTING_BIND_BED_H
#define MOONHOOK_TESTING_BIND_BED_H

#include <lua.h>

int luaopen_host_testbed(lua_State *L);

#endif
