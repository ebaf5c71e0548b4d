// A whole host in this process: store, worker, keeper, signals, from start to a clean end.
#ifndef MOONHOOK_PROCESS_RUN_H
#define MOONHOOK_PROCESS_RUN_H

#include "config.h"

typedef struct {
  bool is_dev;     // watch, print URLs, error pages, move to the next free port
  bool print_urls; // a log record per endpoint
} RunOptions;

// Returns the exit code. Prints one line on stderr when it cannot start.
int run_host(const ConfigSources *sources, const RunOptions *options);

#endif
