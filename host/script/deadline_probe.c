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

// FEW make the loop compiled; MANY take longer than the timer does.
enum { FEW = 1000, MANY = 30000000, SOON_US = 100, TRIES = 10 };

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

// Stack: [turns, loop, ...] -> [turns, loop], and an error's text where it gives false.
static bool turn(lua_State *L, int count)
{
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, count);
  return lua_pcall(L, 2, 0, 0) == 0;
}

// How far the loop came. Stack as it is.
static int turned(lua_State *L)
{
  int turns;
  lua_rawgeti(L, 1, 1);
  turns = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return turns;
}

// Stack: [] -> [...]
static bool run_loop(lua_State *L)
{
  static const char loop[] = "local turns, count = ...\n"
                             "for i = 1, count do turns[1] = i end";
  struct itimerval soon = { .it_value = { .tv_usec = SOON_US } }, never = { 0 };
  bool is_through = false;
  int tries;
  lua_newtable(L);
  // When no code may be made at run time, that raises an error here.
  if (luaL_loadstring(L, loop) != 0 || !turn(L, FEW))
    return false;
  // A signal that came before the loop began says nothing about it.
  for (tries = 0; tries < TRIES && !is_through && turned(L) <= FEW; tries++) {
    setitimer(ITIMER_REAL, &soon, NULL);
    is_through = turn(L, MANY);
    setitimer(ITIMER_REAL, &never, NULL);
    lua_sethook(L, NULL, 0, 0);
  }
  return !is_through && turned(L) > FEW && turned(L) < MANY &&
         strstr(lua_tostring(L, -1), "reached") != NULL;
}

static bool try_it(void)
{
  struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }, before;
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
  is_reached = run_loop(probed);
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
