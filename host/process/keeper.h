// The keeper: all that happens once per host. Reads packages, checks them, copies them to
// snapshots, publishes them in the registry; gives endpoints their hook ids and settings; watches
// the folders and the configuration and does it again when they change. What is broken is logged
// and the last good version goes on.
#ifndef MOONHOOK_PROCESS_KEEPER_H
#define MOONHOOK_PROCESS_KEEPER_H

#include <stdio.h>

#include "../store/store.h"
#include "config.h"

typedef struct Keeper Keeper;

typedef struct {
  Loop *loop;
  Store *store;
  const ConfigSources *sources;      // copied
  int public_port;                   // for URLs
  bool watches;                      // follows changes of the files
  bool is_first;                     // no worker runs yet
  bool is_alone;                     // nor does one of a master before this
  void (*on_change)(void *context);  // after each change of files that was applied; may be NULL
  void (*on_publish)(void *context); // after a single endpoint was published; may be NULL
  void *context;
} KeeperOptions;

// Loads and publishes everything once. Takes `config`, also when it fails: only for its own files'
// sake. What is wrong with a plugin is logged.
Keeper *keeper_new(const KeeperOptions *options, Config *config, Err *err);
void keeper_free(Keeper *keeper); // stops watching
const Config *keeper_config(const Keeper *keeper);

// Reads the configuration again and applies it; on an error the old one stays and it is logged.
void keeper_reload(Keeper *keeper);

// One line per endpoint and route, "METHOD URL  (plugin: endpoint)", to `out`.
void keeper_print_urls(const Keeper *keeper, FILE *out);
// A log record per endpoint with its URL.
void keeper_log_urls(const Keeper *keeper);
// In `dev`: when no plugin was found, what to do about it.
void keeper_tell_nothing(const Keeper *keeper);

#endif
