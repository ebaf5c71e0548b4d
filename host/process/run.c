// See run.h.
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../base/metrics.h"
#include "../base/scoreboard.h"
#include "admin.h"
#include "child.h"
#include "data_lock.h"
#include "dev_view.h"
#include "keeper.h"
#include "keys.h"
#include "worker.h"

typedef struct {
  Loop *loop;
  Store *store;
  Worker *worker;
  Keeper *keeper;
  Admin *admin;
  Config *config;  // until the keeper takes it
  Sockets sockets; // until worker and admin take them
  int lock_fd;     // of the data folder; -1: none
  const RunOptions *options;
  uv_signal_t term, interrupt, hangup;
  Timer drain;    // while stopping
  uint32_t stops; // how often a signal asked
  Keys keys;
} Host;

enum { PORTS_TRIED = 20 };

#define KEYS_HELP "keys: u prints the URLs, r reads everything again, c clears, q ends\n"

// --- stopping ------------------------------------------------------------------------------------

static void on_admin_closed(void *context)
{
  Host *host = context;
  loop_stop(host->loop);
}

static void on_stopped(void *context)
{
  Host *host = context;
  if (host->admin)
    admin_close(host->admin, on_admin_closed, host);
  else
    loop_stop(host->loop);
}

static void on_drain_over(Timer *timer)
{
  Host *host = (Host *)((char *)timer - offsetof(Host, drain));
  log_write(LOG_WARN, "not everything ended in time, breaking it off", NULL);
  worker_stop(host->worker, WORKER_STOP_NOW, on_stopped, host);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
  Host *host = handle->data;
  log_event(LOG_INFO, "stopping", LOG_S("signal", number == SIGINT ? "SIGINT" : "SIGTERM"));
  admin_set_ready(host->admin, false);
  if (host->stops == 0)
    timer_start(host->loop, &host->drain, worker_drain_ms(host->worker), on_drain_over);
  worker_stop(host->worker, host->stops++ > 0 ? WORKER_STOP_NOW : WORKER_STOP, on_stopped, host);
}

// --- keys ----------------------------------------------------------------------------------------

static void on_key(void *context, char key)
{
  Host *host = context;
  switch (key) {
  case 'u':
    keeper_print_urls(host->keeper, stdout);
    break;
  case 'r':
    keeper_reload(host->keeper);
    break;
  case 'c':
    fputs("\033[H\033[2J\033[3J", stderr);
    break;
  case 'q':
    on_stop_signal(&host->interrupt, SIGINT);
    break;
  case 'h':
  case '?':
    fputs(KEYS_HELP, stderr);
    break;
  default:
    break;
  }
}

static void on_hangup(uv_signal_t *handle, int number)
{
  Host *host = handle->data;
  (void)number;
  keeper_reload(host->keeper);
}

static void watch_signal(Host *host, uv_signal_t *handle, uv_signal_cb on_signal, int number)
{
  uv_signal_init(loop_uv(host->loop), handle);
  handle->data = host;
  uv_signal_start(handle, on_signal, number);
  uv_unref((uv_handle_t *)handle);
}

// Frees everything, however far the start came; the worker has stopped.
static void close_down(Host *host)
{
  uint32_t tasks = worker_live_tasks(host->worker), states = worker_live_states(host->worker);
  timer_stop(&host->drain);
  if (host->keeper)
    keeper_free(host->keeper);
  config_free(host->config);
  worker_free(host->worker);
  if (host->store)
    store_close(host->store);
  keys_close(&host->keys);
  uv_close((uv_handle_t *)&host->term, NULL);
  uv_close((uv_handle_t *)&host->interrupt, NULL);
  uv_close((uv_handle_t *)&host->hangup, NULL);
  uv_run(loop_uv(host->loop), UV_RUN_NOWAIT); // close callbacks
  child_log_closed("host", host->loop, tasks, states);
  loop_free(host->loop);
  scoreboard_close();
  metrics_close();
  data_lock_drop(host->lock_fd, true);
}

// --- starting ------------------------------------------------------------------------------------

static void log_listener(const char *name, const ConfigListen *listen, int port)
{
  bool is_v6 = strchr(listen->host, ':') != NULL;
  char address[80];
  snprintf(address, sizeof address, "%s%s%s:%d", is_v6 ? "[" : "", listen->host, is_v6 ? "]" : "",
           port);
  log_event(LOG_INFO, "listening", LOG_S("listener", name), LOG_S("address", address));
  if (listen->port != 0 && listen->port != port)
    log_event(LOG_WARN, "the default port is in use, took the next free one",
              LOG_S("listener", name), LOG_I("wanted", listen->port), LOG_I("port", port));
}

void run_log_listening(const Config *config, const Sockets *sockets)
{
  log_listener("admin", &config->admin_listen, http_bound_port(sockets->admin_fd));
  log_listener("public", &config->public_listen, http_bound_port(sockets->public_fd));
}

static int open_socket(const ConfigListen *listen, bool may_move, Err *err)
{
  int port = listen->port, tries = may_move && !listen->is_asked && port ? PORTS_TRIED : 1, fd;
  do
    fd = http_bind(listen->host, port++, err);
  while (fd < 0 && --tries > 0 && err->code == UV_EADDRINUSE);
  return fd;
}

int run_open_sockets(const Config *config, bool is_dev, Sockets *sockets, Err *err)
{
  sockets->admin_fd = -1;
  sockets->public_fd = open_socket(&config->public_listen, is_dev, err);
  if (sockets->public_fd >= 0)
    sockets->admin_fd = open_socket(&config->admin_listen, is_dev, err);
  return sockets->admin_fd >= 0 ? 0 : err->code;
}

static void on_change(void *context)
{
  Host *host = context;
  worker_look(host->worker);
  if (host->options->print_urls)
    keeper_log_urls(host->keeper);
}

static void on_publish(void *context)
{
  Host *host = context;
  worker_look(host->worker);
}

int run_make_data_dir(const char *path, Err *err)
{
  char *copy = mem_string(path), *at;
  int rc = 0;
  for (at = copy + 1; rc == 0; at++) {
    char saved = *at;
    if (saved != '/' && saved != '\0')
      continue;
    *at = '\0';
    if (mkdir(copy, 0700) != 0 && errno != EEXIST)
      rc = err_set(err, uv_translate_sys_error(errno), "data: %s: %s", copy,
                   uv_strerror(uv_translate_sys_error(errno)));
    *at = saved;
    if (saved == '\0')
      break;
  }
  mem_free(copy);
  return rc;
}

int run_open_shared(const Config *config, Err *err)
{
  int rc = scoreboard_open(err);
  if (rc == 0)
    rc = metrics_open(err);
  return rc == 0 ? scoreboard_put_config(config->text, config->text_len, err) : rc;
}

// Everything that may fail, in order; what was made stays in `host` for close_down.
static int start(Host *host, const ConfigSources *sources, Err *err)
{
  const Config *config = host->config;
  KeeperOptions options = { .loop = host->loop,
                            .sources = sources,
                            .watches = true,
                            .is_first = true,
                            .is_alone = true,
                            .on_change = on_change,
                            .on_publish = on_publish,
                            .context = host };
  bool unused;
  int rc = run_make_data_dir(config->data_dir, err);
  if (rc == 0)
    rc = host->lock_fd = data_lock_take(config->data_dir, &unused, err);
  if (rc >= 0)
    rc = run_open_shared(config, err);
  if (rc < 0)
    return rc;
  scoreboard_sit_down(scoreboard_take_line(PROCESS_WORKER, 1));
  host->store = store_open(host->loop, config->data_dir, true, err);
  if (!host->store)
    return err->code;
  rc = run_open_sockets(config, true, &host->sockets, err);
  if (rc < 0)
    return rc;
  options.store = host->store;
  options.public_port = http_bound_port(host->sockets.public_fd);
  host->config = NULL; // the keeper's
  host->keeper = keeper_new(&options, (Config *)(uintptr_t)config, err);
  if (!host->keeper)
    return err->code;
  host->worker = worker_new(host->loop, host->store, true);
  rc = worker_follow(host->worker, config->data_dir, sources, scoreboard_config_version(), err);
  if (rc == 0)
    rc = worker_start(host->worker, config, err);
  if (rc < 0)
    return rc;
  worker_look(host->worker);
  rc = worker_listen(host->worker, host->sockets.public_fd, &config->limits, err);
  if (rc < 0)
    return rc;
  host->admin = admin_new(host->loop, host->sockets.admin_fd, err);
  if (!host->admin)
    return err->code;
  return admin_serve(host->admin, host->keeper, err);
}

// All of it in this process.
static int run_single(const ConfigSources *sources, const RunOptions *options, Config *config)
{
  Host host = { .options = options, .config = config, .sockets = { -1, -1 }, .lock_fd = -1 };
  Err err = { 0 };
  int rc;
  host.loop = loop_new(&err);
  if (!host.loop) {
    fprintf(stderr, "moonhook: %s\n", err.text);
    config_free(config);
    return 1;
  }
  watch_signal(&host, &host.term, on_stop_signal, SIGTERM);
  watch_signal(&host, &host.interrupt, on_stop_signal, SIGINT);
  watch_signal(&host, &host.hangup, on_hangup, SIGHUP);
  rc = start(&host, sources, &err);
  if (rc < 0) {
    fprintf(stderr, "moonhook: %s\n", err.text);
    log_open(STDERR_FILENO, false, LOG_ERROR); // that line says it all
    if (!host.worker)
      host.worker = worker_new(host.loop, NULL, false);
    worker_stop(host.worker, WORKER_STOP_NOW, on_stopped, &host);
  } else {
    scoreboard_mine()->is_ready = true;
    admin_set_ready(host.admin, true);
    if (options->print_urls)
      keeper_log_urls(host.keeper);
    keeper_print_urls(host.keeper, stdout);
    keeper_tell_nothing(host.keeper);
    run_log_listening(keeper_config(host.keeper), &host.sockets);
    log_flush();
    keys_open(&host.keys, host.loop, on_key, &host);
    if (host.keys.is_open)
      fputs(KEYS_HELP, stderr);
  }
  loop_run(host.loop);
  close_down(&host);
  return rc < 0;
}

// Reads and makes everything that needs no port and no data; talks to nobody.
int run_check(const ConfigSources *sources, Config *config)
{
  Err err = { 0 };
  Loop *loop = loop_new(&err);
  Worker *worker = loop ? worker_new(loop, NULL, false) : NULL;
  int rc = worker ? worker_start(worker, config, &err) : UV_ENOMEM;
  (void)sources;
  if (rc < 0)
    fprintf(stderr, "moonhook: %s\n", err.text);
  fflush(stderr);
  log_flush();
  _exit(rc < 0); // nothing is taken apart
}

int run_host(const ConfigSources *sources, const RunOptions *options)
{
  Problems problems = { 0 };
  Config *config = config_read_all(sources, &problems);
  ConfigSources named = *sources;
  char *file;
  bool is_pretty;
  size_t i;
  int rc;
  for (i = 0; i < problems.count; i++)
    fprintf(stderr, "moonhook: %s\n", problems.items[i].text);
  problems_free(&problems);
  if (!config)
    return 1;
  is_pretty = config->log_format == LOG_FORMAT_PRETTY ||
              (config->log_format == LOG_FORMAT_AUTO && isatty(STDERR_FILENO));
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); // a file that may not grow: an error like any other
  log_open(STDERR_FILENO, is_pretty, config->log_level);
  log_set_layout(options->is_dev ? dev_view : NULL);
  file = mem_string(config->file);
  named.file = file; // the one that was found, from now on
  if (options->checks_only)
    rc = run_check(&named, config);
  else if (options->is_dev)
    rc = run_single(&named, options, config);
  else
    rc = run_master(&named, options, config);
  mem_free(file);
  return rc;
}
