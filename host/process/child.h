// What the master hands to the processes that it forks, and what they do with it. Each runs from
// here to its end and gives its exit code.
#ifndef MOONHOOK_PROCESS_CHILD_H
#define MOONHOOK_PROCESS_CHILD_H

#include "../base/loop.h"
#include "../base/scoreboard.h"
#include "run.h"

typedef struct {
  const ConfigSources *sources;
  const RunOptions *options;
  int public_fd, admin_fd, link_fd;
  int passing_fds[2]; // through which workers pass connections on: out, in
  uint32_t number;    // of a worker
  bool is_first;      // of the keeper: no worker runs yet
  bool is_alone;      // nor does one of the binary before an upgrade
} ChildContext;

enum { EXIT_CANNOT_START = 1 };

int keeper_process(const ChildContext *context);
int worker_process(const ChildContext *context);

// The configuration in force, from the scoreboard; its version in `*version`.
Config *child_config(const ConfigSources *sources, uint64_t *version, Err *err);
// Told before "closed" by each process that ends in order.
void child_log_closed(const char *process, Loop *loop, uint32_t live_tasks, uint32_t live_states);

#endif
