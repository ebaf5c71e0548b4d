// See sources.h.
#include "sources.h"

#include <stdint.h>
#include <unistd.h>

#include "../base/memory.h"

extern char **environ;

void sources_read(ConfigSources *sources, const Arguments *arguments)
{
  *sources = (ConfigSources){
    .environment = (const char *const *)environ,
    .file = arguments_value(arguments, "--config"),
    .listen = arguments_value(arguments, "--listen"),
    .admin = arguments_value(arguments, "--admin"),
    .data = arguments_value(arguments, "--data"),
    .plugins = arguments_values(arguments, "--plugins"),
    .workers = arguments_value(arguments, "--workers"),
    .log_level = arguments_value(arguments, "--log-level"),
    .log_format = arguments_value(arguments, "--log-format"),
  };
}

void sources_free(ConfigSources *sources)
{
  mem_free((void *)(uintptr_t)sources->plugins);
  sources->plugins = NULL;
}
