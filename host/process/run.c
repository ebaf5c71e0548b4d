// See run.h.
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/memory.h"
#include "admin.h"
#include "keeper.h"

typedef struct {
  Loop *loop;
  Store *store;
  Worker *worker;
  Keeper *keeper;
  Admin *admin;
  Config *config; // until the keeper takes it
  const RunOptions *options;
  uv_signal_t term, interrupt, hangup;
  Timer drain;    // while stopping
  uint32_t stops; // how often a signal asked
} Host;

enum { DRAIN_MS = 30000 };

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
  log_event(LOG_WARN, "not everything ended in time, breaking it off", LOG_I("drain_ms", DRAIN_MS));
  worker_stop(host->worker, true, on_stopped, host);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
  Host *host = handle->data;
  log_event(LOG_INFO, "stopping", LOG_S("signal", number == SIGINT ? "SIGINT" : "SIGTERM"));
  admin_set_ready(host->admin, false);
  if (host->stops == 0)
    timer_start(host->loop, &host->drain, DRAIN_MS, on_drain_over);
  worker_stop(host->worker, host->stops++ > 0, on_stopped, host);
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
  uv_close((uv_handle_t *)&host->term, NULL);
  uv_close((uv_handle_t *)&host->interrupt, NULL);
  uv_close((uv_handle_t *)&host->hangup, NULL);
  uv_run(loop_uv(host->loop), UV_RUN_NOWAIT); // close callbacks
  log_event(LOG_INFO, "closed", LOG_I("open_handles", loop_open_handles(host->loop)),
            LOG_I("live_tasks", tasks), LOG_I("live_states", states));
  log_flush();
  loop_free(host->loop);
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

static void log_ready(const Host *host)
{
  const Config *config = keeper_config(host->keeper);
  log_listener("admin", &config->admin_listen, admin_port(host->admin));
  log_listener("public", &config->public_listen, worker_port(host->worker));
}

static void on_change(void *context)
{
  Host *host = context;
  if (host->options->print_urls)
    keeper_log_urls(host->keeper);
}

static int make_data_dir(const char *path, Err *err)
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

// Everything that may fail, in order; what was made stays in `host` for close_down.
static int start(Host *host, const ConfigSources *sources, Err *err)
{
  const Config *config = host->config;
  bool is_dev = host->options->is_dev;
  int rc = make_data_dir(config->data_dir, err);
  if (rc < 0)
    return rc;
  host->store = store_open(host->loop, config->data_dir, err);
  if (!host->store)
    return err->code;
  host->worker = worker_new(host->loop, host->store, is_dev);
  rc = worker_start(host->worker, config, err);
  if (rc == 0)
    rc = worker_listen(host->worker, &config->public_listen, &config->limits,
                       is_dev && !config->public_listen.is_asked, err);
  if (rc < 0)
    return rc;
  host->admin =
      admin_new(host->loop, &config->admin_listen, is_dev && !config->admin_listen.is_asked, err);
  if (!host->admin)
    return err->code;
  host->keeper = keeper_new(host->loop, host->worker, host->store, sources, host->config, is_dev,
                            on_change, host, err);
  if (!host->keeper)
    return err->code;
  host->config = NULL; // the keeper's
  return admin_serve(host->admin, host->keeper, err);
}

int run_host(const ConfigSources *sources, const RunOptions *options)
{
  Host host = { .options = options };
  Err err = { 0 };
  bool is_pretty;
  int rc;
  host.config = config_read(sources, &err);
  host.loop = host.config ? loop_new(&err) : NULL;
  if (!host.loop) {
    fprintf(stderr, "moonhook: %s\n", err.text);
    config_free(host.config);
    return 1;
  }
  is_pretty = host.config->log_format == LOG_FORMAT_PRETTY ||
              (host.config->log_format == LOG_FORMAT_AUTO && isatty(STDERR_FILENO));
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); // a file that may not grow: an error like any other
  log_open(STDERR_FILENO, is_pretty, host.config->log_level);
  watch_signal(&host, &host.term, on_stop_signal, SIGTERM);
  watch_signal(&host, &host.interrupt, on_stop_signal, SIGINT);
  watch_signal(&host, &host.hangup, on_hangup, SIGHUP);
  rc = start(&host, sources, &err);
  if (rc < 0) {
    fprintf(stderr, "moonhook: %s\n", err.text);
    log_open(STDERR_FILENO, is_pretty, LOG_ERROR); // that line says it all
    if (!host.worker)
      host.worker = worker_new(host.loop, NULL, false);
    worker_stop(host.worker, true, on_stopped, &host);
  } else {
    admin_set_ready(host.admin, true);
    if (options->print_urls)
      keeper_log_urls(host.keeper);
    if (options->is_dev)
      keeper_print_urls(host.keeper, stdout);
    log_ready(&host);
    log_flush();
  }
  loop_run(host.loop);
  close_down(&host);
  return rc < 0;
}
