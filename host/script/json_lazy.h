// Events that are passed on without being looked at: a chat app's event comes as JSON text, and
// most plugins send it on as it is. So its table stays empty and keeps the text; the first access
// by whomever fills it, in place, with what decode_plain would have given. Nobody can tell the two
// apart: an index or an assignment arrives at the table's metatable, and whatever looks into tables
// without asking metatables (pairs, next, rawget, setmetatable ...) is replaced in a state's
// globals by a version that fills first: lua/moonhook/lazy.lua. C code that does so calls
// json_touch.
//
//   host.json.decode_event(text)  -> event | false, its `event`, its `task_id` (strings or nil); of
//                                    one that is not filled also how many members it has and, if
//                                    its `answer` is a string, where that begins and ends
//   host.json.decode_framed_event(text)
//                                 -> the same for the data of {"data":{...},"error":""}; nil when
//                                    the text is not exactly of that form
//   host.json.event_alike(text, members)
//   host.json.framed_event_alike(text, members)
//                                 -> the event of a text that is like one of which they gave
//                                    members and a place, but for that place (json_like.h)
//   host.json.without_arrays(names, behind?)
//                                 -> a metatable for tables that shall also have empty arrays under
//                                    these names, and `behind` as their metatable: they are made
//                                    when somebody looks. nil when there are no lazy tables
//   host.json.lazies              the metatables of lazy tables: [metatable] = true
//   host.json.fill(value)         fills it if it is such a table
//   host.json.lazy                the metatable of such tables; nil when there are none
#ifndef MOONHOOK_SCRIPT_JSON_LAZY_H
#define MOONHOOK_SCRIPT_JSON_LAZY_H

#include <lua.h>
#include <stdbool.h>

#include "../base/json.h"

// Adds the functions and the metatable to the module on top. Stack: [context, module] -> the same
void json_lazy_open(lua_State *L);

// Fills the table at `index` (absolute) if it is lazy. May raise: out of memory. Stack: unchanged
void json_fill(lua_State *L, int index);
// The same, and does not raise; false: out of memory.
bool json_touch(lua_State *L, int index);
// Pushes the text of a lazy table that nobody has added anything to, or false. Stack: [] or [text]
bool json_push_lazy_text(lua_State *L, int index);

#endif
