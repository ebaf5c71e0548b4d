// The memory of one Lua state: what its allocator gave out, and what is kept for its code outside
// of it (base/charge.h adds that to `bytes`). The cap holds only while Lua code runs: the host's
// own calls into the state never fail, and no error crosses a C function that owns something.
//
// Code that passes the cap is stopped at its next instruction. Until then small allocations are
// still given, up to an eighth above: LuaJIT loses count of some that are refused halfway (a
// closure whose upvalue is).
//
// Near the cap LuaJIT's collector, which by default waits until the garbage is as large as what
// lives, would leave a plugin half of its memory. So from a quarter of the cap on (the tight mark)
// it is told to work harder; below, it costs what it always does.
#ifndef MOONHOOK_SCRIPT_ACCOUNT_H
#define MOONHOOK_SCRIPT_ACCOUNT_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "blocks.h"

// Zero-initialise; then account_set_cap.
typedef struct Account {
  size_t bytes;  // now
  size_t unsent; // of them: of replies that their clients have not read
  size_t watch;  // an allocation that would pass it is looked at; SIZE_MAX: none is
  size_t tight, cap;
  bool is_armed;    // the cap holds
  bool is_tight;    // the collector works hard
  bool is_large;    // it works harder than usual
  bool wants_tight; // the tight mark was passed and the collector does not know yet
  bool is_over;     // the cap was passed, since account_arm
  Blocks blocks;
  // Something of the two happened: have account_hook called at the next instruction.
  void (*notice)(struct Account *account);
} Account;

void account_set_cap(Account *account, size_t cap);
bool account_has_room(const Account *account, size_t bytes); // for `bytes` more below the cap
lua_Alloc account_allocator(void);                           // its data is the Account
void account_arm(Account *account);
void account_lift(Account *account);

#endif
