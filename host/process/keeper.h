// The keeper: all that happens once per host. Reads packages, checks them, copies them to
// snapshots, hands them to the worker; gives endpoints their hook ids and settings; watches the
// folders and the configuration and does it again when they change. What is broken is logged and
// the last good version goes on.
#ifndef MOONHOOK_PROCESS_KEEPER_H
#define MOONHOOK_PROCESS_KEEPER_H

#include <stdio.h>

#include "config.h"
#include "worker.h"

typedef struct Keeper Keeper;

// Loads everything once. Takes `config`. Never fails for a plugin's sake: that is logged. With
// `watches`, follows changes; `on_change` (may be NULL) comes after each that was applied. NULL,
// and the config is not taken: what the store holds cannot be served (endpoint_book.h).
Keeper *keeper_new(Loop *loop, Worker *worker, Store *store, const ConfigSources *sources,
                   Config *config, bool watches, void (*on_change)(void *context), void *context,
                   Err *err);
void keeper_free(Keeper *keeper); // stops watching; before the worker is freed
const Config *keeper_config(const Keeper *keeper);

// Reads the configuration again and applies it; on an error the old one stays and it is logged.
void keeper_reload(Keeper *keeper);

// One line per endpoint and route, "METHOD URL  (plugin: endpoint)", to `out`.
void keeper_print_urls(const Keeper *keeper, FILE *out);
// A log record per endpoint with its URL.
void keeper_log_urls(const Keeper *keeper);

#endif
