// The master: see master_parts.h. It opens the sockets, keeps its processes alive, passes on what
// it is told, and ends when they have ended.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../base/metrics.h"
#include "../base/title.h"
#include "../http/server.h"
#include "data_lock.h"
#include "link.h"
#include "master_parts.h"

enum {
  MORE_MS = 3000,     // beyond the drain limit, until a process that does not end is killed
  NOW_MS = 1000,      // the same, at once
  BIND_AGAIN_MS = 20, // the processes of a master that was killed still let go of the port
  BIND_MS = 2000,
};

static struct {
  volatile sig_atomic_t stop, stop_number, hangup, child, upgrade;
} asked;

uint64_t master_now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// --- signals -------------------------------------------------------------------------------------

static void on_signal(int number)
{
  switch (number) {
  case SIGCHLD:
    asked.child = 1;
    break;
  case SIGHUP:
    asked.hangup = 1;
    break;
  case SIGUSR2:
    asked.upgrade = 1;
    break;
  default:
    asked.stop_number = number;
    asked.stop++;
  }
}

// They come while the master polls, and only then. In `*while_polling` what to let through.
static void set_signals(sigset_t *while_polling)
{
  static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR2 };
  struct sigaction action = { .sa_handler = on_signal };
  sigset_t blocked;
  size_t i;
  sigemptyset(&action.sa_mask);
  sigemptyset(&blocked);
  for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    sigaction(numbers[i], &action, NULL);
    sigaddset(&blocked, numbers[i]);
  }
  sigprocmask(SIG_SETMASK, &blocked, NULL);
  sigemptyset(while_polling);
}

// --- stopping ------------------------------------------------------------------------------------

static void dismiss_all(Master *master, ProcessRole role, char word, uint64_t ms)
{
  uint32_t i;
  for (i = 0; i < master->child_count; i++) {
    if (master->children[i].pid != 0 && master->children[i].role == role)
      children_dismiss(&master->children[i], word, ms);
  }
}

static void stop(Master *master)
{
  bool is_now = master->is_stopping;
  log_event(LOG_INFO, "stopping",
            LOG_S("signal", asked.stop_number == SIGINT ? "SIGINT" : "SIGTERM"),
            LOG_I("drain_ms", is_now ? 0 : master->drain_ms));
  notify_send("STOPPING=1");
  scoreboard_set_stopping();
  if (master->sockets.public_fd >= 0)
    close(master->sockets.public_fd);
  master->sockets.public_fd = -1;
  master->is_stopping = true;
  master->is_stopping_now = is_now;
  dismiss_all(master, PROCESS_WORKER, is_now ? LINK_STOP_NOW : LINK_STOP,
              is_now ? NOW_MS : master->drain_ms + MORE_MS);
}

// The keeper goes last: it tells that the host is stopping.
static void dismiss_keeper(Master *master)
{
  if (master->is_stopping && children_count(master, PROCESS_WORKER) == 0)
    dismiss_all(master, PROCESS_KEEPER, LINK_STOP, master->is_stopping_now ? NOW_MS : MORE_MS);
}

static bool has_stopped(const Master *master)
{
  return master->is_stopping && children_count(master, PROCESS_NONE) == 0;
}

// --- what the processes say ----------------------------------------------------------------------

// More workers, or fewer: as the configuration now says.
static void take_wishes(Master *master)
{
  ScoreWishes wishes = scoreboard_wishes();
  uint32_t i, before = master->workers;
  if (wishes.workers == 0)
    return;
  master->drain_ms = wishes.drain_ms;
  master->stuck_ms = wishes.stuck_ms;
  if (wishes.workers == before)
    return;
  log_event(LOG_INFO, "workers", LOG_I("before", before), LOG_I("now", wishes.workers));
  if (wishes.workers > before)
    master->worker_due_ms =
        mem_resize(master->worker_due_ms, wishes.workers * sizeof *master->worker_due_ms);
  master->workers = wishes.workers;
  for (i = before; i < wishes.workers; i++)
    master->worker_due_ms[i] = master_now_ms();
  for (i = 0; i < master->child_count; i++) {
    Child *child = &master->children[i];
    if (child->pid != 0 && child->line && child->role == PROCESS_WORKER &&
        child->number > wishes.workers && !child->is_leaving)
      children_dismiss(child, LINK_RETIRE, master->drain_ms + MORE_MS);
  }
}

static void became_ready(Master *master, Child *child)
{
  uint32_t i;
  child->is_ready = true;
  if (child->role == PROCESS_KEEPER && !master->has_keeper_been_ready) {
    master->has_keeper_been_ready = true;
    for (i = 0; i < master->workers; i++)
      children_start_worker(master, i + 1);
  }
}

static void hear(Master *master, Child *child)
{
  char words[64];
  ssize_t len = recv(child->link, words, sizeof words, MSG_DONTWAIT), i;
  if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
    close(child->link); // its death follows
    child->link = -1;
  }
  for (i = 0; i < len; i++) {
    if (words[i] == LINK_READY) {
      became_ready(master, child);
    } else if (words[i] == LINK_CHANGED) {
      take_wishes(master);
      children_tell(master, PROCESS_WORKER, LINK_LOOK);
    }
  }
}

static bool are_all_ready(const Master *master)
{
  uint32_t i, ready = 0;
  for (i = 0; i < master->child_count; i++) {
    const Child *child = &master->children[i];
    ready += child->pid != 0 && child->line && child->role == PROCESS_WORKER && child->is_ready &&
             child->number <= master->workers;
  }
  return ready == master->workers;
}

static void look_whether_up(Master *master, const Config *config)
{
  if (master->is_up || !master->has_keeper_been_ready || !are_all_ready(master))
    return;
  master->is_up = true;
  upgrade_finish(master);
  run_log_listening(config, &master->sockets);
  notify_send("READY=1");
}

// --- the loop ------------------------------------------------------------------------------------

static void take_signals(Master *master)
{
  if (asked.child) {
    asked.child = 0;
    children_reap(master);
  }
  while (asked.stop > 0) {
    asked.stop--;
    stop(master);
  }
  if (asked.hangup) {
    asked.hangup = 0;
    if (!master->is_stopping)
      children_tell(master, PROCESS_KEEPER, LINK_RELOAD);
  }
  if (asked.upgrade) {
    asked.upgrade = 0;
    if (!master->is_stopping)
      upgrade_begin(master);
  }
}

static void sleep_and_hear(Master *master, const sigset_t *while_polling, uint32_t ms)
{
  struct pollfd fds[MAX_CHILDREN];
  Child *children[MAX_CHILDREN];
  struct timespec timeout = { ms / 1000, (long)(ms % 1000) * 1000000 };
  nfds_t count = 0, i;
  uint32_t at;
  for (at = 0; at < master->child_count; at++) {
    if (master->children[at].pid == 0 || master->children[at].link < 0)
      continue;
    children[count] = &master->children[at];
    fds[count++] = (struct pollfd){ .fd = master->children[at].link, .events = POLLIN };
  }
  if (ppoll(fds, count, &timeout, while_polling) <= 0)
    return;
  for (i = 0; i < count; i++) {
    if (fds[i].revents)
      hear(master, children[i]);
  }
}

static void run(Master *master, const Config *config, const sigset_t *while_polling)
{
  uint64_t notified_ms = 0;
  uint32_t every_ms = notify_watchdog_ms();
  while (!has_stopped(master)) {
    uint32_t ms;
    take_signals(master);
    if (master->has_failed && !master->is_stopping) {
      master->is_stopping = master->is_stopping_now = true;
      dismiss_all(master, PROCESS_WORKER, LINK_STOP_NOW, NOW_MS);
    }
    children_start_due(master);
    children_kill_late(master);
    upgrade_look(master);
    look_whether_up(master, config);
    ms = watchdog_look(master);
    if (every_ms > 0 && master->is_up && master_now_ms() - notified_ms >= every_ms) {
      notified_ms = master_now_ms();
      notify_send("WATCHDOG=1");
    }
    log_flush();
    dismiss_keeper(master);
    if (!has_stopped(master))
      sleep_and_hear(master, while_polling, master->keeper_due_ms > 0 ? 10 : ms);
  }
}

// --- starting ------------------------------------------------------------------------------------

// What a killed master left behind lets go of the port within a moment.
static int open_sockets(Master *master, const Config *config, Err *err)
{
  uint64_t until_ms = master_now_ms() + BIND_MS;
  struct timespec pause = { 0, BIND_AGAIN_MS * 1000000L };
  Sockets *sockets = &master->sockets;
  int rc;
  if (notify_take_sockets(sockets))
    return 0;
  while ((rc = run_open_sockets(config, false, sockets, err)) == UV_EADDRINUSE &&
         master->was_killed && master_now_ms() < until_ms) {
    if (sockets->public_fd >= 0)
      close(sockets->public_fd);
    nanosleep(&pause, NULL);
  }
  return rc;
}

// Open here all the time: what is on its way to a worker that dies waits for the next.
static int open_passing(Master *master, Err *err)
{
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, master->passing_fds) != 0)
    return err_set(err, uv_translate_sys_error(errno), "cannot make a pair of sockets: %s",
                   strerror(errno));
  return 0;
}

static int start(Master *master, const Config *config, Err *err)
{
  int rc = 0;
  if (!upgrade_adopt(master)) {
    rc = run_make_data_dir(config->data_dir, err);
    if (rc == 0)
      rc = master->lock_fd = data_lock_take(config->data_dir, &master->was_killed, err);
    if (rc >= 0)
      rc = open_sockets(master, config, err);
  }
  if (rc == 0)
    rc = run_open_shared(config, err);
  if (rc == 0)
    rc = open_passing(master, err);
  if (rc == 0)
    children_start_keeper(master);
  return rc;
}

int run_master(const ConfigSources *sources, const RunOptions *options, Config *config)
{
  Master *master = mem_zero(1, sizeof *master);
  sigset_t while_polling;
  Err err = { 0 };
  int code, i;
  master->sources = sources;
  master->options = options;
  master->sockets = (Sockets){ -1, -1 };
  master->passing_fds[0] = master->passing_fds[1] = -1;
  master->lock_fd = -1;
  master->workers = config->workers;
  master->drain_ms = config->drain_ms;
  master->stuck_ms = config->stuck_ms;
  master->worker_due_ms = mem_zero(config->workers, sizeof *master->worker_due_ms);
  master->started_ms = master_now_ms();
  upgrade_remember(master);
  title_set_with_arguments("master");
  set_signals(&while_polling);
  if (start(master, config, &err) < 0) {
    fprintf(stderr, "moonhook: %s\n", err.text);
    code = 1;
  } else {
    run(master, config, &while_polling);
    code = master->has_failed && master->exit_code == 0 ? 1 : master->exit_code;
    if (master->is_up)
      log_event(LOG_INFO, "stopped", LOG_I("pid", getpid()));
  }
  log_flush();
  if (master->sockets.public_fd >= 0)
    close(master->sockets.public_fd);
  if (master->sockets.admin_fd >= 0)
    close(master->sockets.admin_fd);
  for (i = 0; i < 2; i++) {
    if (master->passing_fds[i] >= 0)
      close(master->passing_fds[i]);
  }
  data_lock_drop(master->lock_fd, master->is_up);
  scoreboard_close();
  metrics_close();
  mem_free(master->worker_due_ms);
  mem_free(master->binary);
  mem_free(master);
  config_free(config);
  return code;
}
