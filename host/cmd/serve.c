// moonhook serve and moonhook dev: one host, two tempers.
#include "../process/run.h"
#include "sources.h"

static int run(const Arguments *arguments, bool is_dev)
{
  const RunOptions options = { .is_dev = is_dev,
                               .print_urls = arguments_have(arguments, "--print-urls"),
                               .checks_only = !is_dev && arguments_have(arguments, "--check") };
  ConfigSources sources;
  int rc;
  sources_read(&sources, arguments);
  rc = run_host(&sources, &options);
  sources_free(&sources);
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
