// Stops Lua code at random moments, by what stops plugins' code: interrupts COUNT SEED FOLDER.
// States have random amounts of memory, so that some code is stopped for that; some has calls to an
// upstream in flight, half-read streams, spawned functions and timers. After each stop the same
// state must still do its work; once it is closed nothing of it, or kept for it, may be left. Says
// how many there were; any other end is a failure.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "host/base/log.h"
#include "host/script/deadline.h"
#include "host/script/task.h"
#include "upstream.h"

enum { STOPS_OF_A_STATE = 100, MAX_DELAY_US = 1000, MAX_HOG_US = 20000, SLICE_MS = 2000 };

static const char *const names[] = { "json",    "sort",    "gsub",    "coroutines",
                                     "garbage", "strings", "numbers", "caught",
                                     "bytes",   "sleep",   "hog",     "streams",
                                     "halves",  "answers", "beside",  "bodies" };

static const char entry[] = "local DONE = require('host.task').DONE\n"
                            "local guard = require('moonhook.coroutines').guard\n"
                            "local exchange = require 'moonhook.session.exchange'\n"
                            "local spawn = require 'moonhook.session.spawn'\n"
                            "local function loop(handler, name)\n"
                            "  if name == nil then\n"
                            "    handler()\n"
                            "    return loop(coroutine.yield(DONE))\n"
                            "  end\n"
                            "  handler.invoke(name, exchange, spawn)\n"
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

static long memory_stops;

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

static const TaskEvents events = { .on_piece = on_piece, .on_end = on_end };

static pthread_t loop_thread;

static void on_alarm(int number)
{
  if (pthread_equal(pthread_self(), loop_thread))
    deadline_expire();
  else
    pthread_kill(loop_thread, number);
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

static bool is_stopped(const Run *what)
{
  return strcmp(what->code, "plugin_cpu_limit") == 0 ||
         strcmp(what->code, "plugin_memory_limit") == 0;
}

static void stop_once(State *state, Run *what)
{
  const char *name = names[random_below(sizeof names / sizeof *names)];
  set_alarm(1 + random_below(strcmp(name, "hog") == 0 ? MAX_HOG_US : MAX_DELAY_US));
  run(state, what, name);
  set_alarm(0);
  if (!is_stopped(what))
    die(name, what->code[0] ? what->message : "it ended by itself");
  memory_stops += strcmp(what->code, "plugin_memory_limit") == 0;
  run(state, what, "check");
  if (strcmp(what->code, "plugin_memory_limit") == 0) // of what others left: it is collected now
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
  if (script_leaked_bytes() > 0) {
    char why[80];
    snprintf(why, sizeof why, "it left %zd bytes behind", (ssize_t)script_leaked_bytes());
    die("a closed state", why);
  }
}

static State *open_state(Runtime *runtime, const char *folder, Run *what)
{
  StateConfig config = {
    .name = "interrupts",
    .root = folder,
    .entry = "host.entry",
    .modules = modules,
    .permissions = PERMIT_ALL,
    .limits = { .memory_bytes = (4 + random_below(60)) * 1024 * 1024, .slice_ms = SLICE_MS },
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

static void add_backend(Runtime *runtime, const char *name, int port)
{
  char url[80];
  Err err;
  snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", port, name);
  if (backends_add(runtime->backends, BACKEND_OPENAI, name, url, "key", NULL, &err) < 0)
    die("a backend", err.text);
}

static void on_client_closed(void *context)
{
  loop_stop(context);
}

int main(int argc, char **argv)
{
  struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
  long count, done = 0;
  Runtime runtime = { 0 };
  ClientConfig client = { 0 };
  int port;
  pid_t upstream;
  Err err;
  if (argc != 4)
    die("usage", "interrupts COUNT SEED FOLDER");
  count = strtol(argv[1], NULL, 10);
  srandom((unsigned)strtoul(argv[2], NULL, 10));
  upstream = upstream_start(&port);
  if (upstream < 0)
    die("the upstream", strerror(errno));
  loop_thread = pthread_self();
  log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_ERROR);
  sigaction(SIGALRM, &action, NULL);
  runtime.loop = loop_new(&err);
  if (!runtime.loop)
    die("the loop", err.text);
  if (deadline_start() < 0) // as in a host, for what the alarm does not stop
    die("the ticker", "it does not start");
  runtime.client = client_new(runtime.loop, &client, &err);
  if (!runtime.client)
    die("the client", err.text);
  runtime.client_times =
      (ClientTimes){ .connect_ms = 2000, .first_byte_ms = 2000, .idle_ms = 2000 };
  runtime.backends = backends_new();
  add_backend(&runtime, "sse", port);
  add_backend(&runtime, "whole", port);
  add_backend(&runtime, "silent", port);
  add_backend(&runtime, "never", port);
  while (done < count) {
    Run what = { .runtime = &runtime };
    State *state = open_state(&runtime, argv[3], &what);
    int i;
    for (i = 0; i < STOPS_OF_A_STATE && done < count; i++, done++)
      stop_once(state, &what);
    close_state(&runtime, state);
  }
  client_close(runtime.client, on_client_closed, runtime.loop);
  loop_run(runtime.loop);
  backends_release(runtime.backends);
  upstream_stop(upstream);
  deadline_stop();
  runtime_close(&runtime);
  if (runtime.live_tasks > 0 || loop_open_handles(runtime.loop) > 0)
    die("the end", "something is still open");
  loop_free(runtime.loop);
  printf("%ld stopped, %ld of them for memory, compiled: %s\n", done, memory_stops,
         script_compiles() ? "yes" : "no");
  return 0;
}
