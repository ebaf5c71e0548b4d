// moonhook serve and moonhook dev: one host, two tempers.
#include <unistd.h>

#include "../base/memory.h"
#include "../process/run.h"
#include "arguments.h"

extern char **environ;

static int run(const Arguments *arguments, bool is_dev)
{
  const char **plugins = arguments_values(arguments, "--plugins");
  const ConfigSources sources = {
    .environment = (const char *const *)environ,
    .file = arguments_value(arguments, "--config"),
    .listen = arguments_value(arguments, "--listen"),
    .admin = arguments_value(arguments, "--admin"),
    .data = arguments_value(arguments, "--data"),
    .plugins = plugins,
    .workers = arguments_value(arguments, "--workers"),
    .log_level = arguments_value(arguments, "--log-level"),
    .log_format = arguments_value(arguments, "--log-format"),
  };
  const RunOptions options = { .is_dev = is_dev,
                               .print_urls = arguments_have(arguments, "--print-urls") };
  int rc = run_host(&sources, &options);
  mem_free(plugins);
  return rc;
}

int cmd_serve(const Arguments *arguments)
{
  return run(arguments, false);
}

int cmd_dev(const Arguments *arguments)
{
  return run(arguments, true);
}
