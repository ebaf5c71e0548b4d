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
  const RunOptions *options;
  uv_signal_t term, interrupt, hangup;
  uint32_t stops; // how often a signal asked
} Host;

static int give_up(const Err *err)
{
  log_flush();
  fprintf(stderr, "moonhook: %s\n", err->text);
  return 1;
}

// --- stopping ------------------------------------------------------------------------------------

static void on_admin_closed(void *context)
{
  Host *host = context;
  loop_stop(host->loop);
}

static void on_stopped(void *context)
{
  Host *host = context;
  admin_close(host->admin, on_admin_closed, host);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
  Host *host = handle->data;
  log_event(LOG_INFO, "stopping", LOG_S("signal", number == SIGINT ? "SIGINT" : "SIGTERM"));
  admin_set_ready(host->admin, false);
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

static void close_down(Host *host)
{
  uint32_t tasks = worker_live_tasks(host->worker), states = worker_live_states(host->worker);
  keeper_free(host->keeper);
  worker_free(host->worker);
  store_close(host->store);
  uv_close((uv_handle_t *)&host->term, NULL);
  uv_close((uv_handle_t *)&host->interrupt, NULL);
  uv_close((uv_handle_t *)&host->hangup, NULL);
  uv_run(loop_uv(host->loop), UV_RUN_NOWAIT); // close callbacks
  log_event(LOG_INFO, "closed", LOG_I("open_handles", loop_open_handles(host->loop)), LOG_I("live_tasks", tasks),
            LOG_I("live_states", states));
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

int run_host(const ConfigSources *sources, const RunOptions *options)
{
  Host host = { .options = options };
  Err err = { 0 };
  Config *config = config_read(sources, &err);
  bool is_pretty;
  if (!config)
    return give_up(&err);
  is_pretty = config->log_format == LOG_FORMAT_PRETTY ||
              (config->log_format == LOG_FORMAT_AUTO && isatty(STDERR_FILENO));
  signal(SIGPIPE, SIG_IGN);
  log_open(STDERR_FILENO, is_pretty, config->log_level);
  host.loop = loop_new(&err);
  if (!host.loop || make_data_dir(config->data_dir, &err) < 0)
    return give_up(&err);
  host.store = store_open(host.loop, config->data_dir, &err);
  if (!host.store)
    return give_up(&err);
  host.worker = worker_new(host.loop, host.store, config, options->is_dev, &err);
  if (!host.worker)
    return give_up(&err);
  if (worker_listen(host.worker, &config->public_listen, &config->limits,
                    options->is_dev && !config->public_listen.is_asked, &err) < 0)
    return give_up(&err);
  host.admin = admin_new(host.loop, &config->admin_listen,
                         options->is_dev && !config->admin_listen.is_asked, &err);
  if (!host.admin)
    return give_up(&err);
  watch_signal(&host, &host.term, on_stop_signal, SIGTERM);
  watch_signal(&host, &host.interrupt, on_stop_signal, SIGINT);
  watch_signal(&host, &host.hangup, on_hangup, SIGHUP);
  host.keeper = keeper_new(host.loop, host.worker, host.store, sources, config, options->is_dev,
                           on_change, &host);
  admin_set_ready(host.admin, true);
  if (options->print_urls)
    keeper_log_urls(host.keeper);
  if (options->is_dev)
    keeper_print_urls(host.keeper, stdout);
  log_ready(&host);
  log_flush();
  loop_run(host.loop);
  close_down(&host);
  return 0;
}
