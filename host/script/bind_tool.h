// host.tool: what a verb of the command line needs of the system.
//
//   call(method, url, headers, body, timeout_ms) -> status, body | nil, message
//                                  `headers`: { name, value, ... }; waits for the whole answer
//   is_terminal(fd)             -> boolean
//   read_hidden()               -> a line of standard input, not shown while it is typed | nil
//   stat(path)                  -> { type = "file"|"folder"|"other", mode, is_mine,
//                                  changed_ms } | nil, message
//   may_write(folder)           -> true | nil, message; makes a file there and removes it
//   connect(host, port, timeout_ms) -> true | nil, message
//   listen(host, port)          -> true | nil, message; the port could be had
//   open_files()                -> soft limit, hard limit; -1: none
//   wall_ms()                   -> milliseconds since 1970
//   nearest(word, list)         -> the closest of the list | nil
//   hint(name)                  -> what plugins have instead of a global they do not have | nil
#ifndef MOONHOOK_SCRIPT_BIND_TOOL_H
#define MOONHOOK_SCRIPT_BIND_TOOL_H

#include <lua.h>

int luaopen_host_tool(lua_State *L);

#endif
