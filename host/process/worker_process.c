// A worker's process: its store, its worker, the link to the master.
#include <stdio.h>
#include <stdlib.h>

#include "../base/log.h"
#include "../base/title.h"
#include "child.h"
#include "confine.h"
#include "link.h"
#include "worker.h"

enum { ORPHAN_DRAIN_MS = 800 };

typedef struct {
  Loop *loop;
  Store *store;
  Worker *worker;
  Link *link;
  Timer drain;
  uint32_t drain_ms, number;
} Process;

static void show_title(uint32_t number, const char *state)
{
  char name[48], short_name[16];
  snprintf(name, sizeof name, "worker %u%s", number, state);
  snprintf(short_name, sizeof short_name, "w%u", number);
  title_set(name, short_name);
}

static void on_stopped(void *context)
{
  Process *process = context;
  loop_stop(process->loop);
}

static void on_drain_over(Timer *timer)
{
  Process *process = (Process *)((char *)timer - offsetof(Process, drain));
  log_event(LOG_WARN, "not everything ended in time, breaking it off",
            LOG_I("drain_ms", process->drain_ms));
  worker_stop(process->worker, WORKER_STOP_NOW, on_stopped, process);
}

static void stop(Process *process, WorkerStop how, uint32_t drain_ms)
{
  show_title(process->number, ", ending");
  if (how != WORKER_STOP_NOW &&
      (!timer_is_running(&process->drain) || drain_ms < process->drain_ms)) {
    process->drain_ms = drain_ms;
    timer_start(process->loop, &process->drain, drain_ms, on_drain_over);
  }
  worker_stop(process->worker, how, on_stopped, process);
}

static void on_word(void *context, char word)
{
  Process *process = context;
  switch (word) {
  case LINK_LOOK:
    worker_look(process->worker);
    break;
  case LINK_RETIRE:
    stop(process, WORKER_RETIRE, worker_drain_ms(process->worker));
    break;
  case LINK_STOP:
    stop(process, WORKER_STOP, worker_drain_ms(process->worker));
    break;
  case LINK_STOP_NOW:
    stop(process, WORKER_STOP_NOW, 0);
    break;
  case LINK_LOST:
    log_write(LOG_ERROR, "the master is gone, ending", NULL);
    stop(process, WORKER_STOP, ORPHAN_DRAIN_MS);
    break;
  }
}

static void on_terminate(uv_signal_t *handle, int number)
{
  (void)number;
  on_word(handle->data, LINK_STOP);
}

static int start(Process *process, const ChildContext *context, Err *err)
{
  uint64_t version;
  Config *config = child_config(context->sources, &version, err);
  int rc = UV_EINVAL;
  if (!config)
    return rc;
  confine_worker(config);
  process->store = store_open(process->loop, config->data_dir, false, err);
  process->worker = worker_new(process->loop, process->store, false);
  if (process->store)
    rc = worker_follow(process->worker, config->data_dir, context->sources, version, err);
  if (rc == 0)
    rc = worker_start(process->worker, config, err);
  if (rc == 0) {
    worker_look(process->worker);
    rc = worker_listen(process->worker, context->public_fd, &config->limits, err);
  }
  if (rc == 0)
    worker_join(process->worker, context->passing_fds);
  config_free(config);
  return rc;
}

int worker_process(const ChildContext *context)
{
  Process process = { .number = context->number };
  uv_signal_t terminate;
  Err err = { 0 };
  char name[32];
  uint32_t tasks, states;
  int rc;
  snprintf(name, sizeof name, "worker %u", context->number);
  show_title(context->number, "");
  confine_loop();
  process.loop = loop_new(&err);
  if (!process.loop) {
    fprintf(stderr, "moonhook: %s\n", err.text);
    return EXIT_CANNOT_START;
  }
  process.link = link_new(process.loop, context->link_fd, on_word, &process);
  uv_signal_init(loop_uv(process.loop), &terminate);
  terminate.data = &process;
  uv_signal_start(&terminate, on_terminate, SIGTERM);
  rc = start(&process, context, &err);
  if (rc < 0) {
    log_event(LOG_ERROR, "worker not started", LOG_I("worker", context->number),
              LOG_S("error", err.text));
    worker_stop(process.worker ? process.worker
                               : (process.worker = worker_new(process.loop, NULL, false)),
                WORKER_STOP_NOW, on_stopped, &process);
  } else {
    scoreboard_mine()->is_ready = true;
    link_send(process.link, LINK_READY);
  }
  loop_run(process.loop);
  tasks = worker_live_tasks(process.worker);
  states = worker_live_states(process.worker);
  timer_stop(&process.drain);
  worker_free(process.worker);
  if (process.store)
    store_close(process.store);
  link_close(process.link);
  uv_close((uv_handle_t *)&terminate, NULL);
  uv_run(loop_uv(process.loop), UV_RUN_NOWAIT); // close callbacks
  child_log_closed(name, process.loop, tasks, states);
  loop_free(process.loop);
  return rc < 0 ? EXIT_CANNOT_START : 0;
}
