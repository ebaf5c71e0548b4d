// A whole host, from start to a clean end: a master with its keeper and workers (master.c), or all
// of it in this one process (run.c), which is what `moonhook dev` does.
#ifndef MOONHOOK_PROCESS_RUN_H
#define MOONHOOK_PROCESS_RUN_H

#include "config.h"

typedef struct {
  bool is_dev;      // watch, print URLs, error pages, move to the next free port; one process
  bool print_urls;  // a log record per endpoint
  bool checks_only; // finds out whether it could start, and says so
} RunOptions;

// Returns the exit code. Prints one line on stderr when it cannot start.
int run_host(const ConfigSources *sources, const RunOptions *options);
int run_master(const ConfigSources *sources, const RunOptions *options, Config *config);
int run_check(const ConfigSources *sources, Config *config);

// --- shared by the two

typedef struct {
  int public_fd, admin_fd; // -1: none
} Sockets;

int run_make_data_dir(const char *path, Err *err);
// What the processes of a host share: the scoreboard with the configuration's text, the metrics.
int run_open_shared(const Config *config, Err *err);
// Opens both; in `dev` the next free port is taken for a default one that is in use.
int run_open_sockets(const Config *config, bool is_dev, Sockets *sockets, Err *err);
void run_log_listening(const Config *config, const Sockets *sockets);

#endif
