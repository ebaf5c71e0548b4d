// The keeper's process: the store's first opening, the keeper, the admin listener.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/title.h"
#include "admin.h"
#include "child.h"
#include "keeper.h"
#include "link.h"

typedef struct {
  Loop *loop;
  Store *store;
  Keeper *keeper;
  Admin *admin;
  Link *link;
  const RunOptions *options;
  bool is_stopping;
} Process;

static void on_admin_closed(void *context)
{
  Process *process = context;
  process->admin = NULL;
  loop_stop(process->loop);
}

// Told a second time, the admin listener is closing already.
static void stop(Process *process)
{
  if (process->is_stopping)
    return;
  process->is_stopping = true;
  if (process->admin)
    admin_close(process->admin, on_admin_closed, process);
  else
    loop_stop(process->loop);
}

static void on_word(void *context, char word)
{
  Process *process = context;
  switch (word) {
  case LINK_RELOAD:
    keeper_reload(process->keeper);
    break;
  case LINK_STOP:
  case LINK_STOP_NOW:
  case LINK_RETIRE:
    stop(process);
    break;
  case LINK_LOST:
    log_write(LOG_ERROR, "the master is gone, ending", NULL);
    stop(process);
    break;
  }
}

static void on_change(void *context)
{
  Process *process = context;
  link_send(process->link, LINK_CHANGED);
  if (process->options->print_urls)
    keeper_log_urls(process->keeper);
}

static void on_publish(void *context)
{
  Process *process = context;
  link_send(process->link, LINK_CHANGED);
}

static int start(Process *process, const ChildContext *context, Err *err)
{
  uint64_t version;
  Config *config = child_config(context->sources, &version, err);
  KeeperOptions options = { .loop = process->loop,
                            .sources = context->sources,
                            .public_port = http_bound_port(context->public_fd),
                            .is_first = context->is_first,
                            .is_alone = context->is_alone,
                            .on_change = on_change,
                            .on_publish = on_publish,
                            .context = process };
  close(context->public_fd);
  if (!config)
    return UV_EINVAL;
  process->store = store_open(process->loop, config->data_dir, context->is_first, err);
  if (!process->store) {
    config_free(config);
    return err->code;
  }
  options.store = process->store;
  process->keeper = keeper_new(&options, config, err);
  if (!process->keeper)
    return err->code;
  process->admin = admin_new(process->loop, context->admin_fd, err);
  if (!process->admin)
    return err->code;
  return admin_serve(process->admin, process->keeper, err);
}

int keeper_process(const ChildContext *context)
{
  Process process = { .options = context->options };
  Err err = { 0 };
  int rc;
  title_set("keeper", "keeper");
  process.loop = loop_new(&err);
  if (!process.loop) {
    fprintf(stderr, "moonhook: %s\n", err.text);
    return EXIT_CANNOT_START;
  }
  process.link = link_new(process.loop, context->link_fd, on_word, &process);
  rc = start(&process, context, &err);
  if (rc < 0) {
    if (context->is_first)
      fprintf(stderr, "moonhook: %s\n", err.text);
    else
      log_event(LOG_ERROR, "keeper not started", LOG_S("error", err.text));
    if (process.admin)
      admin_close(process.admin, on_admin_closed, &process);
    if (process.admin)
      loop_run(process.loop);
  } else {
    admin_set_ready(process.admin, true);
    if (context->options->print_urls)
      keeper_log_urls(process.keeper);
    log_flush();
    scoreboard_mine()->is_ready = true;
    link_send(process.link, LINK_READY);
    loop_run(process.loop);
  }
  if (process.keeper)
    keeper_free(process.keeper);
  if (process.store)
    store_close(process.store);
  link_close(process.link);
  uv_run(loop_uv(process.loop), UV_RUN_NOWAIT); // close callbacks
  if (rc == 0)
    child_log_closed("keeper", process.loop, 0, 0);
  loop_free(process.loop);
  return rc < 0 ? EXIT_CANNOT_START : 0;
}
