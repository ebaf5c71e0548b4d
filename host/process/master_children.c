// The master's processes: how they are forked, what they are told, what becomes of a death.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "../base/log.h"
#include "child.h"
#include "link.h"
#include "master_parts.h"

enum { ORPHAN_MS = 1500, FAILED_START_MS = 250 };

static const char *name_of(const Child *child, char *text, size_t size)
{
  if (child->role == PROCESS_KEEPER)
    snprintf(text, size, "keeper");
  else
    snprintf(text, size, "worker %u", child->number);
  return text;
}

// --- in the child --------------------------------------------------------------------------------

// The master is gone. Who still turns his loop hears it there and ends in order; for who does not,
// this is the end.
static void on_orphaned(int number)
{
  struct itimerval soon = { .it_value = { ORPHAN_MS / 1000, ORPHAN_MS % 1000 * 1000 } };
  (void)number;
  setitimer(ITIMER_REAL, &soon, NULL);
}

#if !defined(__SANITIZE_ADDRESS__)
// Tells a fault of the process's own from somebody's kill: only the kernel's has a positive code.
static void on_fault(int number, siginfo_t *info, void *context)
{
  (void)context;
  if (info->si_code > 0)
    scoreboard_mine()->fault = number;
  signal(number, SIG_DFL);
  if (info->si_code <= 0)
    raise(number);
}

static void note_faults(void)
{
  static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
  static char room[16384];
  stack_t stack = { .ss_sp = room, .ss_size = sizeof room };
  struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
  size_t i;
  action.sa_sigaction = on_fault;
  sigemptyset(&action.sa_mask);
  sigaltstack(&stack, NULL);
  for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
    sigaction(numbers[i], &action, NULL);
}
#endif

static void set_signals(ProcessRole role)
{
  struct sigaction action = { .sa_handler = on_orphaned };
  sigset_t none;
  signal(SIGTERM, role == PROCESS_KEEPER ? SIG_IGN : SIG_DFL); // it ends when the workers have
  signal(SIGALRM, SIG_DFL);
  signal(SIGCHLD, SIG_DFL);
  signal(SIGINT, SIG_IGN); // of a terminal: the master's to hear
  signal(SIGHUP, SIG_IGN);
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR2, &action, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
#if !defined(__SANITIZE_ADDRESS__)
  note_faults();
#endif
}

static void child_main(Master *master, Child *child, int link)
{
  ChildContext context = { .sources = master->sources,
                           .options = master->options,
                           .public_fd = master->sockets.public_fd,
                           .admin_fd = master->sockets.admin_fd,
                           .link_fd = link,
                           .passing_fds = { master->passing_fds[0], master->passing_fds[1] },
                           .number = child->number,
                           .is_first = !master->has_keeper_been_ready,
                           .is_alone = !master->has_keeper_been_ready && !master->is_upgrade };
  pid_t parent = getppid();
  uint32_t i;
  int code;
#if defined(__linux__)
  prctl(PR_SET_PDEATHSIG, SIGUSR2);
#endif
  set_signals(child->role);
  log_forked();
  scoreboard_sit_down(child->line);
  for (i = 0; i < master->child_count; i++) {
    if (master->children[i].link >= 0 && &master->children[i] != child)
      close(master->children[i].link);
  }
  close(child->link);
  if (master->lock_fd >= 0)
    close(master->lock_fd);
  if (child->role == PROCESS_WORKER) {
    close(context.admin_fd);
  } else {
    close(context.passing_fds[0]);
    close(context.passing_fds[1]);
  }
  if (getppid() != parent)
    _exit(0);
  code = child->role == PROCESS_KEEPER ? keeper_process(&context) : worker_process(&context);
  log_flush();
  exit(code);
}

// --- starting ------------------------------------------------------------------------------------

static Child *free_place(Master *master)
{
  uint32_t i;
  for (i = 0; i < master->child_count; i++) {
    if (master->children[i].pid == 0)
      return &master->children[i];
  }
  return master->child_count < MAX_CHILDREN ? &master->children[master->child_count++] : NULL;
}

// 0, or a negative code: there is no means for it now.
static int start(Master *master, ProcessRole role, uint32_t number)
{
  Child *child = free_place(master);
  int ends[2];
  char name[32];
  pid_t pid;
  if (!child)
    return UV_ENOMEM;
  *child = (Child){ .role = role, .number = number, .link = -1 };
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return uv_translate_sys_error(errno);
  child->line = scoreboard_take_line(role, number);
  child->link = ends[0];
  child->started_ms = master_now_ms();
  log_flush();
  pid = fork();
  if (pid == 0) {
    child->pid = getpid();
    child_main(master, child, ends[1]);
  }
  close(ends[1]);
  if (pid < 0) {
    int code = uv_translate_sys_error(errno);
    close(ends[0]);
    child->link = -1;
    scoreboard_free_line(child->line);
    return code;
  }
  child->pid = pid;
  if (child->line)
    child->line->pid = pid;
  log_event(LOG_INFO, "process started", LOG_S("process", name_of(child, name, sizeof name)),
            LOG_I("pid", pid));
  return 0;
}

static void start_or_wait(Master *master, ProcessRole role, uint32_t number, uint64_t *due_ms)
{
  int rc = start(master, role, number);
  *due_ms = 0;
  if (rc == 0)
    return;
  log_event(LOG_ERROR, "cannot start a process", LOG_S("error", uv_strerror(rc)));
  *due_ms = master_now_ms() + FAILED_START_MS;
}

void children_start_keeper(Master *master)
{
  start_or_wait(master, PROCESS_KEEPER, 0, &master->keeper_due_ms);
}

void children_start_worker(Master *master, uint32_t number)
{
  start_or_wait(master, PROCESS_WORKER, number, &master->worker_due_ms[number - 1]);
}

void children_start_due(Master *master)
{
  uint64_t now_ms = master_now_ms();
  uint32_t i;
  if (master->is_stopping)
    return;
  if (master->keeper_due_ms > 0 && master->keeper_due_ms <= now_ms)
    children_start_keeper(master);
  for (i = 0; i < master->workers && master->has_keeper_been_ready; i++) {
    if (master->worker_due_ms[i] > 0 && master->worker_due_ms[i] <= now_ms)
      children_start_worker(master, i + 1);
  }
}

// --- telling -------------------------------------------------------------------------------------

void children_tell_one(Child *child, char word)
{
  if (child->pid != 0 && child->link >= 0)
    send(child->link, &word, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void children_tell(Master *master, ProcessRole role, char word)
{
  uint32_t i;
  for (i = 0; i < master->child_count; i++) {
    if (role == PROCESS_NONE || master->children[i].role == role)
      children_tell_one(&master->children[i], word);
  }
}

void children_dismiss(Child *child, char word, uint64_t ms)
{
  uint64_t end_ms = master_now_ms() + ms;
  child->is_leaving = true;
  if (child->line)
    child->line->is_draining = true;
  if (child->end_ms == 0 || end_ms < child->end_ms)
    child->end_ms = end_ms;
  if (child->last_word != word)
    children_tell_one(child, word);
  child->last_word = word;
}

void children_kill_late(Master *master)
{
  uint64_t now_ms = master_now_ms();
  char name[32];
  uint32_t i;
  for (i = 0; i < master->child_count; i++) {
    Child *child = &master->children[i];
    bool is_late = child->end_ms > 0 && now_ms >= child->end_ms;
    if (!child->is_ready && child->line && now_ms - child->started_ms > START_MS)
      is_late = true;
    if (child->pid == 0 || !is_late || child->was_killed)
      continue;
    log_event(LOG_WARN, "process does not end, killing it",
              LOG_S("process", name_of(child, name, sizeof name)), LOG_I("pid", child->pid));
    child->was_killed = true;
    kill(child->pid, SIGKILL);
  }
}

uint32_t children_count(const Master *master, ProcessRole role)
{
  uint32_t i, count = 0;
  for (i = 0; i < master->child_count; i++)
    count +=
        master->children[i].pid != 0 && (role == PROCESS_NONE || master->children[i].role == role);
  return count;
}

Child *children_find(Master *master, pid_t pid)
{
  uint32_t i;
  for (i = 0; i < master->child_count; i++) {
    if (master->children[i].pid == pid)
      return &master->children[i];
  }
  return NULL;
}

// --- ending --------------------------------------------------------------------------------------

static void log_death(const Child *child, int status, uint32_t pause_ms)
{
  char name[32], how[48];
  if (WIFSIGNALED(status))
    snprintf(how, sizeof how, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    snprintf(how, sizeof how, "exit code %d", WEXITSTATUS(status));
  log_event(LOG_ERROR, "process died", LOG_S("process", name_of(child, name, sizeof name)),
            LOG_I("pid", child->pid), LOG_S("how", how),
            LOG_S("ran", child->line && child->line->is_in_lua ? child->line->plugin : "-"),
            LOG_I("age_ms", master_now_ms() - child->started_ms), LOG_I("again_in_ms", pause_ms));
}

static void died(Master *master, Child *child, int status)
{
  bool is_orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  int cause = WIFSIGNALED(status) ? WTERMSIG(status) : 256 + WEXITSTATUS(status);
  uint64_t now_ms = master_now_ms();
  uint32_t pause_ms = 0;
  if (!is_orderly && !child->is_leaving)
    pause_ms = restarts_note(&master->restarts, cause, now_ms);
  if (!child->is_ready && WIFEXITED(status) && pause_ms == 0)
    pause_ms = FAILED_START_MS;
  if (!is_orderly && (master->is_up || WIFSIGNALED(status))) // else it said itself why
    log_death(child, status, pause_ms);
  if (!child->was_killed && WIFEXITED(status) && (master->is_stopping || !master->is_up))
    master->exit_code = master->exit_code ? master->exit_code : WEXITSTATUS(status);
  if (child->role == PROCESS_WORKER && !is_orderly)
    watchdog_note_death(child, status);
  if (child->link >= 0)
    close(child->link);
  scoreboard_free_line(child->line);
  if (!child->is_ready && !master->is_up && child->line)
    master->has_failed = true; // it told why
  if (!child->is_leaving && child->line) {
    if (child->role == PROCESS_KEEPER)
      master->keeper_due_ms = now_ms + pause_ms;
    else if (child->number <= master->workers)
      master->worker_due_ms[child->number - 1] = now_ms + pause_ms;
  }
  *child = (Child){ .link = -1 };
  scoreboard_raise(); // it may have died between a commit and its announcement
  children_tell(master, PROCESS_WORKER, LINK_LOOK);
}

void children_reap(Master *master)
{
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
    Child *child = children_find(master, pid);
    if (pid == master->check_pid && !WIFSTOPPED(status) && !WIFCONTINUED(status)) {
      upgrade_answered(master, status);
      continue;
    }
    if (!child)
      continue;
    if (WIFSTOPPED(status))
      child->stopped_ms = master_now_ms();
    else if (WIFCONTINUED(status))
      child->stopped_ms = 0;
    else
      died(master, child, status);
  }
}
