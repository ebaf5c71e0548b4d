// Stops Lua code at random moments, by what stops plugins' code: interrupts COUNT SEED FOLDER.
// After each stop the same state must still do its work; once it is closed nothing of it may be
// left. Says how many there were; any other end is a failure.
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "host/base/memory.h"
#include "host/script/deadline.h"
#include "host/script/task.h"

enum { STOPS_OF_A_STATE = 100, MAX_DELAY_US = 1000 };

static const char *const names[] = { "json",    "sort",    "gsub",   "coroutines", "garbage",
                                     "strings", "numbers", "caught", "bytes",      "sleep" };

static const char entry[] = "local DONE = require('host.task').DONE\n"
                            "local guard = require('moonhook.coroutines').guard\n"
                            "local function loop(handler, name)\n"
                            "  handler.invoke(name)\n"
                            "  return loop(coroutine.yield(DONE))\n"
                            "end\n"
                            "return function(...) guard() return loop(...) end\n";

typedef struct {
  Runtime *runtime;
  int handler_ref;
  const char *name;
  char code[40]; // of its failure, "" when it ended well
  char message[200];
} Run;

static void die(const char *what, const char *why)
{
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static uint32_t random_below(uint32_t limit)
{
  return (uint32_t)random() % limit;
}

static int luaopen_entry(lua_State *L)
{
  if (luaL_loadstring(L, entry) != 0)
    return lua_error(L);
  lua_call(L, 0, 1);
  return 1;
}

static const HostModule modules[] = { { "host.entry", luaopen_entry }, { NULL, NULL } };

// --- tasks ---------------------------------------------------------------------------------------

static int push_run(lua_State *co, void *owner)
{
  const Run *run = owner;
  lua_rawgeti(co, LUA_REGISTRYINDEX, run->handler_ref);
  lua_pushstring(co, run->name);
  return 2;
}

static bool on_piece(Task *task, Span piece, const char **refusal)
{
  (void)task;
  (void)piece;
  *refusal = "no pieces here";
  return true;
}

static void on_end(Task *task, const TaskFailure *failure)
{
  Run *run = task_owner(task);
  run->code[0] = '\0';
  if (failure) {
    snprintf(run->code, sizeof run->code, "%s", failure->code);
    snprintf(run->message, sizeof run->message, "%.*s", (int)failure->message.len,
             failure->message.at ? failure->message.at : "");
  }
  loop_stop(run->runtime->loop);
}

static const TaskEvents events = { on_piece, NULL, on_end };

static void on_alarm(int number)
{
  (void)number;
  deadline_expire();
}

static void set_alarm(uint32_t after_us)
{
  struct itimerval alarm = { .it_value = { .tv_usec = after_us } };
  if (after_us > 0)
    alarm.it_interval.tv_usec = 100; // the first may come while no Lua code runs
  setitimer(ITIMER_REAL, &alarm, NULL);
}

static void run(State *state, Run *what, const char *name)
{
  what->name = name;
  task_start(state, &events, what, push_run);
  loop_run(what->runtime->loop);
}

static void stop_once(State *state, Run *what)
{
  const char *name = names[random_below(sizeof names / sizeof *names)];
  set_alarm(1 + random_below(MAX_DELAY_US));
  run(state, what, name);
  set_alarm(0);
  if (strcmp(what->code, "plugin_cpu_limit") != 0)
    die(name, what->code[0] ? what->message : "it ended by itself");
  run(state, what, "check");
  if (what->code[0])
    die("after a stop", what->message);
}

// --- states --------------------------------------------------------------------------------------

typedef struct {
  Job job;
  JobGroup group;
  Runtime *runtime;
} Wait;

static void on_turn(Job *job)
{
  Wait *wait = (Wait *)job; // first member
  if (wait->runtime->live_states == 0)
    loop_stop(wait->runtime->loop);
  else
    job_post(wait->runtime->loop, job);
}

static void close_state(Runtime *runtime, State *state)
{
  Wait wait = { .runtime = runtime };
  wait.job.run = on_turn;
  wait.job.group = &wait.group;
  state_release(state);
  job_post(runtime->loop, &wait.job);
  loop_run(runtime->loop);
  if (script_leaked_bytes() > 0)
    die("a closed state", "it left memory behind");
}

static State *open_state(Runtime *runtime, const char *folder, Run *what)
{
  StateConfig config = {
    .name = "interrupts", .root = folder, .entry = "host.entry", .modules = modules
  };
  Err err;
  State *state = state_new(runtime, &config, &err);
  if (!state)
    die("a state", err.text);
  what->handler_ref = state_load_handler(state, "workloads.lua", &err);
  if (what->handler_ref < 0)
    die("the workloads", err.text);
  return state;
}

int main(int argc, char **argv)
{
  struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
  long count, done = 0;
  Runtime runtime = { 0 };
  Err err;
  if (argc != 4)
    die("usage", "interrupts COUNT SEED FOLDER");
  count = strtol(argv[1], NULL, 10);
  srandom((unsigned)strtoul(argv[2], NULL, 10));
  sigaction(SIGALRM, &action, NULL);
  runtime.loop = loop_new(&err);
  if (!runtime.loop)
    die("the loop", err.text);
  while (done < count) {
    Run what = { .runtime = &runtime };
    State *state = open_state(&runtime, argv[3], &what);
    int i;
    for (i = 0; i < STOPS_OF_A_STATE && done < count; i++, done++)
      stop_once(state, &what);
    close_state(&runtime, state);
  }
  task_free_unused(&runtime);
  if (runtime.live_tasks > 0 || loop_open_handles(runtime.loop) > 0)
    die("the end", "something is still open");
  loop_free(runtime.loop);
  printf("%ld stopped, compiled: %s\n", done, script_compiles() ? "yes" : "no");
  return 0;
}
