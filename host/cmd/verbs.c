// See verbs.h.
#include "verbs.h"

#include <stdarg.h>
#include <string.h>

#include "../base/yaml.h"
#include "check.h"

#define SERVE_FLAGS                                                                                \
  "Flags\n"                                                                                        \
  "  --config FILE        configuration; default: moonhook.yaml when it is there\n"                \
  "  --listen ADDR:PORT   public listener; default 127.0.0.1:8080, port 0 takes any\n"             \
  "  --admin ADDR:PORT    health and readiness; default 127.0.0.1:8081\n"                          \
  "  --data DIR           what must outlive a restart; default ./data\n"                           \
  "  --plugins DIR        a plugin, or a folder of plugins; may be repeated\n"                     \
  "  --log-level LEVEL    debug, info, warn or error; default info\n"                              \
  "  --log-format FORMAT  auto, json or pretty; default auto: pretty on a terminal\n"              \
  "\n"                                                                                             \
  "Every flag is also a key of the file and a variable: --data, data:, MOONHOOK_DATA.\n"           \
  "Flags win over variables, variables over the file.\n"

const Verb verbs[] = {
  { "dev", "[--config FILE] [--listen ADDR:PORT] ...",
    "serve while you write: watches, reloads, prints the URLs",
    "Examples\n"
    "  moonhook dev                          in a plugin's folder, or beside moonhook.yaml\n"
    "  moonhook dev --config examples/demo/moonhook.yaml\n"
    "  moonhook dev --plugins ./my_plugin --listen 127.0.0.1:9000\n"
    "\n"
    "Saves are served within 100 ms; a broken file keeps the last good version and prints the\n"
    "error. URLs go to stdout, everything else to stderr. When the default port is in use, the\n"
    "next free one is taken.\n"
    "\n" SERVE_FLAGS,
    cmd_dev },
  { "serve", "[--config FILE] [--listen ADDR:PORT] ...", "serve the configured endpoints",
    "Examples\n"
    "  moonhook serve --config /etc/moonhook/moonhook.yaml\n"
    "  moonhook serve --plugins ./plugins --data /var/lib/moonhook --listen 0.0.0.0:8080\n"
    "  MOONHOOK_LOG_LEVEL=warn moonhook serve\n"
    "\n"
    "SIGTERM stops: active requests end within 30 s, then it exits with 0; a second one breaks\n"
    "them off.\n"
    "SIGHUP reads the configuration and the plugins again.\n"
    "\n" SERVE_FLAGS "  --print-urls         a log record with the URL of each endpoint\n",
    cmd_serve },
  { "check", "DIR...", "find what is wrong in plugins, without running them",
    "Examples\n"
    "  moonhook check plugins/webapp_skins\n"
    "  moonhook check --json plugins/*\n"
    "\n"
    "Prints each problem as file:line:column: what: expected, got. Exits with 1 on any.\n"
    "\n"
    "Flags\n"
    "  --json    one JSON array of problems on stdout\n",
    cmd_check },
  { "version", "", "print the version and what it was built with",
    "Examples\n"
    "  moonhook version\n"
    "  moonhook version --json\n",
    cmd_version },
  { "help", "[VERB]", "print help",
    "Examples\n"
    "  moonhook help\n"
    "  moonhook help dev\n",
    cmd_help },
  { NULL, NULL, NULL, NULL, NULL },
};

const Verb *verb_find(const char *name)
{
  const Verb *verb;
  for (verb = verbs; verb->name; verb++) {
    if (strcmp(verb->name, name) == 0)
      return verb;
  }
  return NULL;
}

const char *verb_nearest(const char *name)
{
  const char *names[sizeof verbs / sizeof *verbs];
  size_t i;
  for (i = 0; i < sizeof verbs / sizeof *verbs; i++)
    names[i] = verbs[i].name;
  return yaml_nearest(name, names);
}

void verb_print_help(const Verb *verb, FILE *out)
{
  fprintf(out, "moonhook %s%s%s: %s\n\n%s", verb->name, *verb->arguments ? " " : "",
          verb->arguments, verb->summary, verb->help);
}

void verbs_print_help(FILE *out)
{
  const Verb *verb;
  fputs("Moonhook serves HTTP endpoints written as small Lua plugins.\n\n"
        "Examples\n"
        "  moonhook dev                 serve the plugin in this folder, reload it on save\n"
        "  moonhook check my_plugin     what is wrong with it\n"
        "  moonhook serve --config moonhook.yaml\n\n"
        "Verbs\n",
        out);
  for (verb = verbs; verb->name; verb++)
    fprintf(out, "  %-10s %s\n", verb->name, verb->summary);
  fputs("\nmoonhook help VERB shows a verb's flags.\n", out);
}

int verb_wants_help(int argc, char **argv)
{
  int i;
  for (i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      verb_print_help(verb_find(argv[0]), stdout);
      return 1;
    }
  }
  return 0;
}

int verb_usage(const char *verb, const char *format, ...)
{
  va_list args;
  fprintf(stderr, "moonhook %s: ", verb);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, "; see: moonhook help %s\n", verb);
  return 2;
}

int cmd_help(int argc, char **argv)
{
  const Verb *verb = argc > 1 ? verb_find(argv[1]) : NULL;
  if (argc > 1 && !verb)
    return verb_usage("help", "there is no verb '%s'", argv[1]);
  if (verb)
    verb_print_help(verb, stdout);
  else
    verbs_print_help(stdout);
  return 0;
}
