// moonhook serve and moonhook dev: one host, two tempers.
#include <string.h>
#include <unistd.h>

#include "../base/memory.h"
#include "../base/yaml.h"
#include "../process/run.h"
#include "verbs.h"

extern char **environ;

typedef struct {
  const char *name;
  const char **value;
} Flag;

static const char *nearest_flag(const char *name, const Flag *flags)
{
  const char *names[16];
  size_t i;
  for (i = 0; i < 15 && flags[i].name; i++)
    names[i] = flags[i].name;
  names[i] = NULL;
  return yaml_nearest(name, names);
}

// Reads argv into `sources` and `options`; 0, or the exit code. `plugins` has room for argc.
static int read_flags(int argc, char **argv, ConfigSources *sources, RunOptions *options,
                      const char **plugins)
{
  const char *plugin = NULL;
  const Flag flags[] = { { "--config", &sources->file },
                         { "--listen", &sources->listen },
                         { "--admin", &sources->admin },
                         { "--data", &sources->data },
                         { "--workers", &sources->workers },
                         { "--log-level", &sources->log_level },
                         { "--log-format", &sources->log_format },
                         { "--plugins", &plugin },
                         { NULL, NULL } };
  size_t plugin_count = 0;
  int i;
  for (i = 1; i < argc; i++) {
    const char *argument = argv[i], *equals = strchr(argument, '=');
    size_t len = equals ? (size_t)(equals - argument) : strlen(argument);
    const Flag *flag;
    if (strcmp(argument, "--print-urls") == 0) {
      options->print_urls = true;
      continue;
    }
    for (flag = flags; flag->name; flag++) {
      if (strlen(flag->name) == len && strncmp(flag->name, argument, len) == 0)
        break;
    }
    if (!flag->name) {
      const char *near = nearest_flag(argument, flags);
      return verb_usage(argv[0], "unknown argument '%s'%s%s%s", argument,
                        near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (!equals && i + 1 == argc)
      return verb_usage(argv[0], "%s expects a value", flag->name);
    *flag->value = equals ? equals + 1 : argv[++i];
    if (plugin)
      plugins[plugin_count++] = plugin;
    plugin = NULL;
  }
  if (plugin_count)
    sources->plugins = plugins;
  return 0;
}

static int run(int argc, char **argv, bool is_dev)
{
  ConfigSources sources = { .environment = (const char *const *)environ };
  RunOptions options = { .is_dev = is_dev };
  const char **plugins;
  int rc;
  if (verb_wants_help(argc, argv))
    return 0;
  plugins = mem_zero((size_t)argc + 1, sizeof *plugins);
  rc = read_flags(argc, argv, &sources, &options, plugins);
  if (rc == 0)
    rc = run_host(&sources, &options);
  mem_free(plugins);
  return rc;
}

int cmd_serve(int argc, char **argv)
{
  return run(argc, argv, false);
}

int cmd_dev(int argc, char **argv)
{
  return run(argc, argv, true);
}
