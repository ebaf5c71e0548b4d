// The command line: finds the verb, reads its arguments, runs it.
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/title.h"
#include "cmd/arguments.h"
#include "cmd/help.h"

// A word that is no verb. `group`: where it was looked for; NULL: everywhere.
static int refuse_verb(const Verb *group, const char *word)
{
  const char *near = verb_nearest(group, word);
  fprintf(stderr, "moonhook%s%s: there is no verb '%s'%s%s%s; see: moonhook help%s%s\n",
          group ? " " : "", group ? group->name : "", word, near ? ", did you mean '" : "",
          near ? near : "", near ? "'?" : "", group ? " " : "", group ? group->name : "");
  return 2;
}

static bool is_help(const char *word)
{
  return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run(const Verb *verb, int count, char **words)
{
  Arguments arguments;
  int rc = arguments_read(&arguments, verb, count, words);
  if (rc == 0 && arguments.wants_help)
    help_print_verb(verb, stdout);
  else if (rc == 0)
    rc = verb->run(&arguments);
  arguments_free(&arguments);
  return rc;
}

int main(int argc, char **argv)
{
  static char help[] = "help", version[] = "version";
  const Verb *verb;
  int used;
  mem_set_up();
  argv = title_open(argc, argv);
  if (argc < 2) {
    help_print(stderr);
    return 2;
  }
  if (is_help(argv[1]))
    argv[1] = help;
  if (strcmp(argv[1], "--version") == 0)
    argv[1] = version;
  verb = verb_of(argc, argv, &used);
  if (!verb)
    return refuse_verb(NULL, argv[1]);
  if (!verb_is_group(verb))
    return run(verb, argc - 1 - used, argv + 1 + used);
  if (argc > 2 && !is_help(argv[2]))
    return refuse_verb(verb, argv[2]);
  help_print_verb(verb, argc > 2 ? stdout : stderr);
  return argc > 2 ? 0 : 2;
}
