// Lua's own pattern functions, with a budget (see pattern.h).
//
//   host.pattern.find, match, gmatch  as string.find, match, gmatch
//   host.pattern.gsub    as string.gsub, but the replacement is a text or a table that has no
//                        metatable; for a function it only checks the arguments
//   host.pattern.steps(subject, pattern, limit?, is_key?) -> step, for a gsub that calls Lua:
//   step(value for the match before) -> captures of the next match | nil, text, count
//                        is_key: the first capture only. Errors name the line of the calling
//                        function's caller
#ifndef MOONHOOK_SCRIPT_BIND_PATTERN_H
#define MOONHOOK_SCRIPT_BIND_PATTERN_H

#include <lua.h>

int luaopen_host_pattern(lua_State *L);

#endif
