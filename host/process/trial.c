// See trial.h. A fork, not a fresh program: a try then costs a few milliseconds. The child has one
// thread and a loop of its own, and leaves by _exit: nothing of its parent's is closed or flushed.
#include "trial.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "../dispatch/dispatch.h"
#include "../script/deadline.h"
#include "confine.h"

enum { MORE_BYTES = 256 * 1024 * 1024, BEAT_MS = 100 };

// --- the child -----------------------------------------------------------------------------------

static int load(const char *dir, const char *hash, const PluginLimits *limits, Err *err)
{
  Problems problems = { 0 };
  Package *package = package_read(dir, &problems);
  Runtime runtime = { .library_path = getenv("MOONHOOK_LUA_PATH"), .plugin_limits = limits };
  if (!package)
    return err_set(err, UV_EINVAL, "%s", problems.count ? problems.items[0].text : "not readable");
  runtime.loop = loop_new(err);
  if (!runtime.loop)
    return err->code;
  deadline_start();
  return generation_load(&runtime, package, dir, hash, DISPATCH_ENTRY, dispatch_modules, err)
             ? 0
             : UV_EINVAL;
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

static void child_main(int out, const char *dir, const char *hash, const PluginLimits *limits)
{
  struct rlimit cpu = { TRIAL_CPU_S, TRIAL_CPU_S + 1 }, core = { 0, 0 };
  Err err = { 0 };
#if defined(__linux__)
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  log_forked();
  scoreboard_sit_down(NULL);
  setrlimit(RLIMIT_CPU, &cpu);
  setrlimit(RLIMIT_CORE, &core);
#if !defined(__SANITIZE_ADDRESS__)
  limit_memory();
#endif
  confine_trial(dir);
  if (load(dir, hash, limits, &err) == 0)
    _exit(0);
  _exit(write(out, err.text, strlen(err.text)) < 0 ? 2 : 1);
}

// --- the parent ----------------------------------------------------------------------------------

static uint64_t now_ms(void)
{
  return host_clock.monotonic_us() / 1000;
}

// Takes what the child says, to its end. False: it takes too long.
static bool hear(int fd, char *text, size_t size)
{
  uint64_t until = now_ms() + TRIAL_MS;
  size_t len = 0;
  text[0] = '\0';
  for (;;) {
    struct pollfd in = { .fd = fd, .events = POLLIN };
    uint64_t now = now_ms();
    ssize_t rc;
    if (now >= until)
      return false;
    scoreboard_beat();
    if (poll(&in, 1, (int)(until - now < BEAT_MS ? until - now : BEAT_MS)) <= 0)
      continue;
    rc = read(fd, text + len, size - 1 - len);
    if (rc < 0 && errno == EINTR)
      continue;
    if (rc <= 0)
      return true;
    len += (size_t)rc;
    text[len] = '\0';
    if (len == size - 1)
      return true;
  }
}

static int verdict(int status, const char *text, Err *err)
{
  int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return 0;
  if (number == SIGXCPU)
    return err_set(err, UV_EINVAL, "loading it took more than %d s of processor time", TRIAL_CPU_S);
  if (number == SIGABRT)
    return err_set(err, UV_ENOMEM, "loading it took too much memory");
  if (number)
    return err_set(err, UV_EINVAL, "loading it ended the process with signal %d", number);
  return err_set(err, UV_EINVAL, "%s", text[0] ? text : "it cannot be loaded");
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
  int ends[2], status = 0;
  char text[sizeof err->text];
  bool is_done;
  pid_t pid;
  deadline_reaches_compiled_code(); // so that the child need not find out
  if (pipe(ends) != 0)
    return err_set(err, uv_translate_sys_error(errno), "cannot try it: %s", strerror(errno));
  pid = fork();
  if (pid < 0) {
    close(ends[0]);
    close(ends[1]);
    return err_set(err, uv_translate_sys_error(errno), "cannot try it: %s", strerror(errno));
  }
  if (pid == 0) {
    close(ends[0]);
    child_main(ends[1], dir, hash, limits);
  }
  close(ends[1]);
  is_done = hear(ends[0], text, sizeof text);
  close(ends[0]);
  if (!is_done)
    kill(pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  log_event(LOG_DEBUG, "plugin tried", LOG_S("hash", hash));
  if (!is_done)
    return err_set(err, UV_ETIMEDOUT, "loading it took more than %d s", TRIAL_MS / 1000);
  return verdict(status, text, err);
}
