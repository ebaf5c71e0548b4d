// See trial.h. A fork, not a fresh program: a try then costs little. The child has one thread and a
// loop of its own, and leaves by _exit: nothing of its parent's is closed or flushed. It is kept
// for the next try, until trial_end; one that ended tells by that what became of the plugin that it
// was loading.
#include "trial.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "../base/clock.h"
#include "../base/fast_paths.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "../base/title.h"
#include "../dispatch/dispatch.h"
#include "../script/deadline.h"
#include "confine.h"

enum { MORE_BYTES = 256 * 1024 * 1024, BEAT_MS = 100, MESSAGE_BYTES = 8192, PATH_BYTES = 4096 };

static struct {
  pid_t pid; // 0: there is none
  int fd;
} child;

// --- the child -----------------------------------------------------------------------------------

// Loads the snapshot and lets go of it again.
static int load(Runtime *runtime, const char *dir, const char *hash, Err *err)
{
  Problems problems = { 0 };
  Package *package = package_read(dir, &problems);
  Generation *generation;
  if (!package) {
    err_set(err, UV_EINVAL, "%s", problems.count ? problems.items[0].text : "not readable");
    problems_free(&problems);
    return err->code;
  }
  problems_free(&problems);
  generation = generation_load(runtime, package, dir, hash, DISPATCH_ENTRY, dispatch_modules, err);
  if (!generation) {
    package_free(package);
    return UV_EINVAL;
  }
  generation_release(generation);
  return 0;
}

#if !defined(__SANITIZE_ADDRESS__)
static void limit_memory(void)
{
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  struct rlimit limit;
  if (!file)
    return;
  if (fscanf(file, "%ld", &pages) == 1 && pages > 0) {
    limit.rlim_cur = limit.rlim_max = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + MORE_BYTES;
    setrlimit(RLIMIT_AS, &limit);
  }
  fclose(file);
}
#endif

// Processor time for the next plugin; SIGPROF ends the process when it is over.
static void limit_time(void)
{
  struct itimerval time = { .it_value = { .tv_sec = TRIAL_CPU_S } };
  setitimer(ITIMER_PROF, &time, NULL);
}

// A message in: "DIR\0HASH\0"; a message out: what is wrong with it, after a '-', or "+".
static void child_main(int fd, const char *root, const PluginLimits *limits)
{
  Runtime runtime = { .library_path = getenv("MOONHOOK_LUA_PATH"), .plugin_limits = limits };
  struct rlimit core = { 0, 0 };
  char asked[MESSAGE_BYTES];
  ssize_t len;
  Err err = { 0 };
#if defined(__linux__)
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  title_set("trying plugins", "trial");
  log_forked();
  scoreboard_sit_down(NULL);
  signal(SIGPROF, SIG_DFL);
  setrlimit(RLIMIT_CORE, &core);
#if !defined(__SANITIZE_ADDRESS__)
  limit_memory();
#endif
  confine_trial(root);
  runtime.loop = loop_new(&err);
  if (!runtime.loop)
    _exit(1);
  deadline_start();
  while ((len = read(fd, asked, sizeof asked)) > 0) {
    char told[sizeof err.text + 1];
    limit_time();
    if (load(&runtime, asked, asked + strlen(asked) + 1, &err) == 0)
      snprintf(told, sizeof told, "+");
    else
      snprintf(told, sizeof told, "-%s", err.text);
    uv_run(loop_uv(runtime.loop), UV_RUN_NOWAIT); // states are closed by the loop
    if (write(fd, told, strlen(told)) < 0 || runtime.live_states > 0 || !fast_paths_are_on())
      break; // the next plugin gets a fresh process
  }
  _exit(0);
}

// --- the parent ----------------------------------------------------------------------------------

static uint64_t now_ms(void)
{
  return host_clock.monotonic_us() / 1000;
}

typedef enum { HEARD, ENDED, TOO_LATE } Heard;

static Heard hear(char *text, size_t size)
{
  uint64_t until = now_ms() + TRIAL_MS;
  for (;;) {
    struct pollfd in = { .fd = child.fd, .events = POLLIN };
    uint64_t now = now_ms();
    ssize_t rc;
    if (now >= until)
      return TOO_LATE;
    scoreboard_beat();
    if (poll(&in, 1, (int)(until - now < BEAT_MS ? until - now : BEAT_MS)) <= 0)
      continue;
    rc = read(child.fd, text, size - 1);
    if (rc < 0 && errno == EINTR)
      continue;
    if (rc <= 0)
      return ENDED;
    text[rc] = '\0';
    return HEARD;
  }
}

// Ends the child; how it ended.
static int end(bool is_killed)
{
  int status = 0;
  if (is_killed)
    kill(child.pid, SIGKILL);
  close(child.fd);
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
    ;
  child.pid = 0;
  return status;
}

static int start(const char *dir, const PluginLimits *limits, Err *err)
{
  const char *slash = strrchr(dir, '/');
  char root[PATH_BYTES];
  int ends[2];
  if (child.pid != 0)
    return 0;
  snprintf(root, sizeof root, "%.*s", slash ? (int)(slash - dir) : 1, slash ? dir : ".");
  deadline_reaches_compiled_code(); // so that the child need not find out
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return err_set(err, uv_translate_sys_error(errno), "cannot try it: %s", strerror(errno));
  child.pid = fork();
  if (child.pid == 0) {
    close(ends[0]);
    child_main(ends[1], root, limits);
  }
  close(ends[1]);
  child.fd = ends[0];
  if (child.pid > 0)
    return 0;
  child.pid = 0;
  close(ends[0]);
  return err_set(err, uv_translate_sys_error(errno), "cannot try it: %s", strerror(errno));
}

void trial_end(void)
{
  if (child.pid != 0)
    end(false);
}

// Of a child that ended while it was loading.
static int verdict(int status, Err *err)
{
  int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (number == SIGPROF)
    return err_set(err, UV_EINVAL, "loading it took more than %d s of processor time", TRIAL_CPU_S);
  if (number == SIGABRT)
    return err_set(err, UV_ENOMEM, "loading it took too much memory");
  if (number)
    return err_set(err, UV_EINVAL, "loading it ended the process with signal %d", number);
  return err_set(err, UV_EINVAL, "it cannot be loaded");
}

void trial_terms(const PluginLimits *limits, Buffer *text)
{
#if defined(__linux__)
  struct stat program;
  if (getenv("MOONHOOK_LUA_PATH") || stat("/proc/self/exe", &program) != 0)
    return;
  buffer_printf(text, "program %llu/%llu of %lld bytes at %lld.%09ld, ",
                (unsigned long long)program.st_dev, (unsigned long long)program.st_ino,
                (long long)program.st_size, (long long)program.st_mtim.tv_sec,
                program.st_mtim.tv_nsec);
  buffer_printf(text, "compiled %d, limits %u %u %u %llu", deadline_reaches_compiled_code(),
                limits->cpu_ms, limits->head_ms, limits->idle_ms,
                (unsigned long long)limits->memory_bytes);
#else
  (void)limits;
  (void)text;
#endif
}

int trial_load(const char *dir, const char *hash, const PluginLimits *limits, Err *err)
{
  char asked[MESSAGE_BYTES], text[sizeof err->text + 1];
  int len = snprintf(asked, sizeof asked, "%s%c%s", dir, 0, hash);
  int rc, status = 0, tries;
  if (len >= (int)sizeof asked)
    return err_set(err, UV_ENAMETOOLONG, "cannot try it: the path is too long");
  log_event(LOG_DEBUG, "plugin tried", LOG_S("hash", hash));
  // A child that left in order, after the plugin before, has not tried this one: once more.
  for (tries = 0; tries < 2 && WIFEXITED(status) && WEXITSTATUS(status) == 0; tries++) {
    rc = start(dir, limits, err);
    if (rc < 0)
      return rc;
    send(child.fd, asked, (size_t)len + 1, MSG_NOSIGNAL);
    switch (hear(text, sizeof text)) {
    case HEARD:
      return text[0] == '+' ? 0 : err_set(err, UV_EINVAL, "%s", text + 1);
    case ENDED:
      status = end(false);
      break;
    default:
      end(true);
      return err_set(err, UV_ETIMEDOUT, "loading it took more than %d s", TRIAL_MS / 1000);
    }
  }
  return verdict(status, err);
}
