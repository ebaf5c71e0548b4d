// moonhook serve and moonhook dev: one host, two tempers.
#include "../process/run.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buffer.h"
#include "../base/memory.h"
#include "../plugin/archive.h"
#include "../plugin/package.h"
#include "sources.h"

static int run(const Arguments *arguments, const ConfigSources *sources, bool is_dev)
{
  const RunOptions options = { .is_dev = is_dev,
                               .print_urls = arguments_have(arguments, "--print-urls"),
                               .checks_only = !is_dev && arguments_have(arguments, "--check") };
  return run_host(sources, &options);
}

int cmd_serve(const Arguments *arguments)
{
  ConfigSources sources;
  int rc;
  sources_read(&sources, arguments);
  rc = run(arguments, &sources, false);
  sources_free(&sources);
  return rc;
}

// --- dev -----------------------------------------------------------------------------------------

static char *join(const char *dir, const char *name)
{
  Buffer path = { 0 };
  buffer_printf(&path, "%s/%s", dir, name);
  return buffer_take(&path);
}

// `dev DIR` serves what `dev` would serve there; flags say otherwise as ever.
static int run_in(const Arguments *arguments, ConfigSources *sources, const char *dir)
{
  char *file = join(dir, "moonhook.yaml"), *plugins = join(dir, "plugins"), *data = NULL;
  const char *const folders[] = { access(plugins, F_OK) == 0 ? plugins : dir, NULL };
  bool is_plugin = package_is_plugin(dir);
  int rc;
  if (!sources->file && access(file, F_OK) == 0)
    sources->file = file;
  if (!sources->file && !sources->plugins)
    sources->plugins = folders;
  if (!sources->file && !sources->data && !getenv("MOONHOOK_DATA"))
    sources->data = data = archive_is_one(dir) ? NULL : join(dir, is_plugin ? ".moonhook" : "data");
  rc = run(arguments, sources, true);
  mem_free(file);
  mem_free(plugins);
  mem_free(data);
  return rc;
}

int cmd_dev(const Arguments *arguments)
{
  const char *dir = arguments_place(arguments, 0);
  ConfigSources sources;
  const char *const *given;
  struct stat status;
  int rc;
  if (dir && stat(dir, &status) != 0)
    return arguments_refuse(arguments, "expected a plugin's folder, there is no '%s'", dir);
  sources_read(&sources, arguments);
  given = sources.plugins;
  rc = dir ? run_in(arguments, &sources, dir) : run(arguments, &sources, true);
  sources.plugins = given;
  sources_free(&sources);
  return rc;
}
