// Tries whether a hook reaches compiled code: a loop that the JIT compiles, and a timer's signal
// that sets a hook meanwhile. Compiled code that does not look at hooks runs to the loop's end.
#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "../base/fast_paths.h"
#include "../base/scoreboard.h"
#include "deadline.h"

#define TURNS "3e7"

static lua_State *probed;

static void on_hook(lua_State *L, lua_Debug *where)
{
  (void)where;
  luaL_error(L, "reached");
}

static void on_alarm(int number)
{
  (void)number;
  lua_sethook(probed, on_hook, LUA_MASKCOUNT, 1);
}

// Stack: [] -> []
static bool run_loop(lua_State *L)
{
  static const char loop[] = "local turns = ...\n"
                             "for i = 1, " TURNS " do turns[1] = i end";
  bool is_reached;
  lua_newtable(L);
  if (luaL_loadstring(L, loop) != 0)
    return false;
  lua_pushvalue(L, 1);
  lua_pcall(L, 1, 0, 0);
  lua_sethook(L, NULL, 0, 0);
  lua_rawgeti(L, 1, 1);
  is_reached = lua_tonumber(L, -1) < strtod(TURNS, NULL);
  // When no code may be made at run time, it raises another error than ours, early.
  if (lua_type(L, 2) == LUA_TSTRING && !strstr(lua_tostring(L, 2), "reached"))
    is_reached = false;
  return is_reached;
}

static bool try_it(void)
{
  struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }, before;
  struct itimerval soon = { .it_value = { .tv_usec = 1000 } }, never = { 0 };
  bool is_reached;
  probed = luaL_newstate();
  if (!probed)
    return false;
  lua_pushcfunction(probed, luaopen_base);
  lua_call(probed, 0, 0);
  lua_pushcfunction(probed, luaopen_jit); // sets the compiler up
  lua_call(probed, 0, 0);
  lua_settop(probed, 0);
  if (!luaJIT_setmode(probed, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON)) {
    lua_close(probed);
    return false;
  }
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, &before);
  setitimer(ITIMER_REAL, &soon, NULL);
  is_reached = run_loop(probed);
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &before, NULL);
  lua_close(probed);
  return is_reached;
}

bool deadline_reaches_compiled_code(void)
{
  static enum { UNKNOWN, NO, YES } answer;
  bool can = false;
  // Else another process of this host tried.
  if (answer == UNKNOWN && !(fast_paths_are_on() && scoreboard_compiles(&can))) {
    const char *wish = getenv("MOONHOOK_JIT");
    can = (!wish || strcmp(wish, "off") != 0) && try_it();
    scoreboard_set_compiles(can);
  }
  if (answer == UNKNOWN)
    answer = can ? YES : NO;
  return answer == YES;
}
