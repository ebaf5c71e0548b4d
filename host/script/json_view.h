// Views: an object that may be read and not written. A view is an empty table; reading a member
// goes to the object by the view's metatable, writing one to a function that raises. Whatever looks
// into tables without asking metatables is replaced in a state's globals by a version that looks
// behind views first (lua/moonhook/lazy.lua); C code that does so calls json_look_behind.
//
//   host.json.view(object, refuse)  -> a view; refuse(view, name) is called for a write
//   host.json.behind(value)         -> the object behind it, or nothing when it is no view
//
// Lists cannot have views: `#` asks no metatable.
#ifndef MOONHOOK_SCRIPT_JSON_VIEW_H
#define MOONHOOK_SCRIPT_JSON_VIEW_H

#include <lua.h>
#include <stdbool.h>

bool json_is_view(lua_State *L, int index); // absolute. Stack: unchanged
// Puts the object in the place of the view at `index` (absolute), if it is one. Stack: unchanged
void json_look_behind(lua_State *L, int index);

int json_l_view(lua_State *L);
int json_l_behind(lua_State *L);

#endif
