// JSON for Lua: lua-cjson with limits, empty arrays, nulls, raw fragments and exact numbers.
//
//   host.json.encode(value)       -> text | nil, message
//   host.json.must_encode(value)  -> text; raises the message at the caller's line
//   host.json.decode(text)        -> value | nil, message; null is json.null
//   host.json.decode_plain(text)  -> value | nil, message; a null member is nil and remembered, so
//                                    that the value is encoded with it again; in arrays json.null
//   host.json.array([table])      -> the table (or a new one), marked as a JSON array
//   host.json.is_array(value)     -> whether it is marked, or has a first item
//   host.json.raw(text)           -> a value encoded as this text | nil, message
//   host.json.null
//
// Limits: JSON_MAX_DEPTH, JSON_MAX_BYTES (base/json.h).
#ifndef MOONHOOK_SCRIPT_BIND_JSON_H
#define MOONHOOK_SCRIPT_BIND_JSON_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

int luaopen_host_json(lua_State *L);

// For other bindings, inside a protected call (they raise only when Lua is out of memory; nothing
// is leaked then). luaopen_host_json must have run in this state.
// Stack: [] -> [text], or [message] and false.
bool json_push_encoded(lua_State *L, int index);
// Stack: [] -> [value], or [message] and false. is_plain: as decode_plain.
bool json_push_decoded(lua_State *L, const char *text, size_t len, bool is_plain);

#endif
