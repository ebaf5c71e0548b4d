// A new binary, without a gap: the old one asks it whether it could start; if so it becomes it,
// with the sockets open and its processes as its children, which serve until the new ones do.
//
// What is handed on stands in the environment: "1 PUBLIC ADMIN LOCK PID:LINK:ROLE ...", descriptors
// and pids. The scoreboard is not: it would have to mean the same to both.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../base/title.h"
#include "link.h"
#include "master_parts.h"

#define VARIABLE "MOONHOOK_UPGRADE"

enum { CHECK_MS = 30000, MORE_MS = 3000 };

// --- in the new binary ---------------------------------------------------------------------------

static void set_cloexec(int fd, bool is_on)
{
  if (fd >= 0)
    fcntl(fd, F_SETFD, is_on ? FD_CLOEXEC : 0);
}

bool upgrade_adopt(Master *master)
{
  const char *text = getenv(VARIABLE);
  int used = 0, pid, link;
  char role;
  if (!text || sscanf(text, "1 %d %d %d%n", &master->sockets.public_fd, &master->sockets.admin_fd,
                      &master->lock_fd, &used) != 3)
    return false;
  set_cloexec(master->sockets.public_fd, true);
  set_cloexec(master->sockets.admin_fd, true);
  set_cloexec(master->lock_fd, true);
  for (text += used; sscanf(text, " %d:%d:%c%n", &pid, &link, &role, &used) == 3; text += used) {
    Child *child = &master->children[master->child_count++];
    *child = (Child){ .pid = pid, .link = link, .is_ready = true, .is_leaving = true };
    child->role = role == 'k' ? PROCESS_KEEPER : PROCESS_WORKER;
    child->started_ms = master->started_ms;
    set_cloexec(link, true);
    if (child->role == PROCESS_KEEPER) // its place is taken at once; clients wait in the socket
      children_dismiss(child, LINK_STOP, MORE_MS);
    if (master->child_count == MAX_CHILDREN / 2)
      break;
  }
  unsetenv(VARIABLE);
  master->is_upgrade = true;
  log_event(LOG_INFO, "upgrade: the new binary runs", LOG_I("pid", getpid()),
            LOG_S("version", MOONHOOK_VERSION));
  return true;
}

void upgrade_finish(Master *master)
{
  uint32_t i;
  for (i = 0; i < master->child_count; i++) {
    Child *child = &master->children[i];
    if (child->pid != 0 && !child->line && child->role == PROCESS_WORKER)
      children_dismiss(child, LINK_RETIRE, master->drain_ms + MORE_MS);
  }
}

// --- in the old one ------------------------------------------------------------------------------

void upgrade_remember(Master *master)
{
  const char *given = title_arguments()[0];
  char path[4096];
  ssize_t len;
  if (given[0] == '/' && access(given, X_OK) == 0) {
    master->binary = mem_string(given);
    return;
  }
  len = readlink("/proc/self/exe", path, sizeof path - 1);
  path[len > 0 ? len : 0] = '\0';
  master->binary = path[0] ? mem_string(path) : NULL;
}

// This program's arguments, and "--check" behind them. The caller frees the list, not the texts.
static char **check_arguments(void)
{
  static char check[] = "--check";
  char *const *given = title_arguments();
  char **list;
  size_t count = 0;
  while (given[count])
    count++;
  list = mem_zero(count + 2, sizeof *list);
  memcpy(list, given, count * sizeof *list);
  list[count] = check;
  return list;
}

static void become(Master *master)
{
  const char *path = master->binary;
  Buffer handed = { 0 };
  uint32_t i;
  buffer_printf(&handed, "1 %d %d %d", master->sockets.public_fd, master->sockets.admin_fd,
                master->lock_fd);
  set_cloexec(master->sockets.public_fd, false);
  set_cloexec(master->sockets.admin_fd, false);
  set_cloexec(master->lock_fd, false);
  for (i = 0; i < master->child_count; i++) {
    const Child *child = &master->children[i];
    if (child->pid == 0)
      continue;
    set_cloexec(child->link, false);
    buffer_printf(&handed, " %d:%d:%c", (int)child->pid, child->link,
                  child->role == PROCESS_KEEPER ? 'k' : 'w');
  }
  setenv(VARIABLE, handed.bytes, 1);
  log_event(LOG_INFO, "upgrade: becoming the new binary", LOG_S("path", path ? path : "-"));
  log_flush();
  if (path)
    execv(path, title_arguments());
  log_event(LOG_ERROR, "upgrade: the new binary cannot be started, going on",
            LOG_S("error", strerror(errno)));
  unsetenv(VARIABLE);
  set_cloexec(master->sockets.public_fd, true);
  set_cloexec(master->sockets.admin_fd, true);
  set_cloexec(master->lock_fd, true);
  for (i = 0; i < master->child_count; i++) {
    if (master->children[i].pid != 0)
      set_cloexec(master->children[i].link, true);
  }
  buffer_free(&handed);
}

void upgrade_begin(Master *master)
{
  const char *path = master->binary;
  char **list = check_arguments();
  if (master->check_pid != 0 || !path) {
    log_event(LOG_WARN, "upgrade: not now", LOG_S("why", path ? "one is going on" : "no path"));
  } else {
    log_event(LOG_INFO, "upgrade: asking the new binary", LOG_S("path", path));
    log_flush();
    master->check_pid = fork();
    if (master->check_pid == 0) {
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, NULL);
      execv(path, list);
      _exit(127);
    }
    if (master->check_pid < 0)
      master->check_pid = 0;
    master->check_end_ms = master_now_ms() + CHECK_MS;
  }
  mem_free(list);
}

void upgrade_look(Master *master)
{
  if (master->check_pid != 0 && master_now_ms() > master->check_end_ms)
    kill(master->check_pid, SIGKILL);
}

void upgrade_answered(Master *master, int status)
{
  master->check_pid = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !master->is_stopping) {
    become(master);
    return;
  }
  log_event(LOG_ERROR, "upgrade: the new binary could not start, going on with this one",
            LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
            LOG_I("code", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
}
