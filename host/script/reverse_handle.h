// One open reverse call of a task, as host.reverse knows it: bind_reverse.c opens and closes it,
// bind_reverse_read.c reads it.
#ifndef MOONHOOK_SCRIPT_REVERSE_HANDLE_H
#define MOONHOOK_SCRIPT_REVERSE_HANDLE_H

#include <lua.h>

#include "../reverse/backend_call.h"
#include "task.h"

typedef struct Expected Expected;

enum { WANT_NONE, WANT_HEAD, WANT_PIECE };

// Lives in the userdata. The task owns it, the collector is a safety net.
typedef struct {
  TaskOwned owned;
  Stream *stream; // NULL: closed
  Task *task;
  State *state;
  Backends *backends; // the table that the call was opened with
  const Backend *backend;
  const char *key;       // that was sent; of the backend
  BackendCall *farewell; // to be made when the call is closed before its end; or NULL
  Expected *expected;    // what expect() said; or NULL
  int want;              // what the task waits for
} ReverseHandle;

// The first argument of a function of the module, whose first upvalue is the handles' metatable;
// raises when it is no handle. Stack: unchanged
ReverseHandle *reverse_handle(lua_State *L);
void reverse_close(ReverseHandle *handle); // may come more than once
void reverse_forget_farewell(ReverseHandle *handle);
void reverse_forget_expected(ReverseHandle *handle);

int reverse_l_head(lua_State *L);
int reverse_l_read(lua_State *L);
int reverse_l_expect(lua_State *L);
int reverse_l_header(lua_State *L);

#endif
