// JSON for Lua: limits, empty arrays, nulls, raw fragments and exact numbers.
//
//   host.json.encode(value)       -> text | nil, message
//   host.json.must_encode(value)  -> text; raises the message at the caller's line
//   host.json.decode(text)        -> value | nil, message; null is json.null
//   host.json.decode_plain(text)  -> value | nil, message; a null member is nil and remembered, so
//                                    that the value is encoded with it again; in arrays json.null
//   host.json.array([table])      -> the table (or a new one), marked as a JSON array
//   host.json.is_array(value)     -> whether it is marked, or has a first item
//   host.json.raw(text)           -> a value encoded as this text | nil, message
//   host.json.text_like(known, first, last, text)
//                                 -> what host.reverse reads of a piece when it expects one that is
//                                    like `known`: the string that stands in `text` in place of its
//                                    bytes first..last (see json_like.h); nil: is not like it
//   host.json.null
//
// Limits: JSON_MAX_DEPTH, JSON_MAX_BYTES (base/json.h).
#ifndef MOONHOOK_SCRIPT_BIND_JSON_H
#define MOONHOOK_SCRIPT_BIND_JSON_H

#include <lua.h>
#include <stddef.h>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/json.h"

int luaopen_host_json(lua_State *L);

// For other C code; luaopen_host_json must have run in this state. Neither raises.
// Appends the value at `index` to `out`. 0, or UV_EINVAL and err->text with `out` as it was.
int json_encode_value(lua_State *L, int index, Buffer *out, Err *err);
// As decode_plain; a NUL stands behind the text. 0: pushes the value; UV_EINVAL: pushes nothing.
int json_decode_plain(lua_State *L, const char *text, size_t len, Err *err);
// The same for a text that json_scan found good, which gave the facts. May raise for memory, so it
// is for bindings. Stack: [] -> [value]
void json_push_checked(lua_State *L, const char *text, size_t len, const JsonFacts *facts);

#endif
