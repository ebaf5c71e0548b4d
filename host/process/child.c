// See child.h.
#include "child.h"

#include <unistd.h>

#include "../base/log.h"
#include "../script/state.h"

Config *child_config(const ConfigSources *sources, uint64_t *version, Err *err)
{
  ConfigSources with_text = *sources;
  Buffer text = { 0 };
  Config *config;
  *version = scoreboard_config(&text);
  if (*version > 0) {
    with_text.text = text.bytes ? text.bytes : "";
    with_text.text_len = text.len;
  }
  config = config_read(&with_text, err);
  buffer_free(&text);
  return config;
}

void child_log_closed(const char *process, Loop *loop, uint32_t live_tasks, uint32_t live_states)
{
  log_event(LOG_INFO, "closed", LOG_S("process", process), LOG_I("pid", getpid()),
            LOG_I("open_handles", loop_open_handles(loop)), LOG_I("live_tasks", live_tasks),
            LOG_I("live_states", live_states), LOG_I("leaked_bytes", script_leaked_bytes()));
  log_flush();
}
