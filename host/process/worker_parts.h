// What the files of the worker share: worker.c starts, configures and stops it, worker_registry.c
// follows what is served, worker_share.c takes connections. For these alone.
#ifndef MOONHOOK_PROCESS_WORKER_PARTS_H
#define MOONHOOK_PROCESS_WORKER_PARTS_H

#include "../store/registry.h"
#include "../store/secrets.h"
#include "worker.h"

// Requests that run on while their endpoint, or their version, is withdrawn.
struct Worker {
  Loop *loop;
  Runtime runtime;
  Dispatch *dispatch;
  State *local;
  HttpServer *server;
  PluginLimits plugin_limits; // the most that a plugin may have
  Secrets *secrets;           // of the settings that are sealed
  Registry *registry;         // NULL: it follows none
  ConfigSources sources;      // borrowed
  uint64_t version;           // of the registry, that the table has
  uint64_t config_version;
  uint32_t drain_ms;
  bool is_dev, is_http_gone, is_stopping;
  bool takes_passed;   // connections that others pass on
  uint32_t calm_looks; // since there was a reason to
  Timer look_again;    // while stopping: until the last task and state are gone
  Timer break_off;     // while stopping at once: what was told has left
  Timer withdrawn;     // until requests of disabled endpoints are ended
  Timer passed;        // until the next look at who takes what is passed on
  Timer retired;       // until idle connections are closed
  void (*on_stopped)(void *context);
  void *context;
};

void worker_look_passed(Worker *worker);
bool worker_refresh(void *worker); // DispatchConfig.refresh
void worker_unfollow(Worker *worker);

#endif
