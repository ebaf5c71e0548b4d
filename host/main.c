// The command line: finds the verb, runs it.
#include <stdio.h>
#include <string.h>

#include "cmd/verbs.h"

int main(int argc, char **argv)
{
  const Verb *verb;
  const char *near;
  if (argc < 2) {
    verbs_print_help(stderr);
    return 2;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
    argv[1] = (char[]){ "help" };
  if (strcmp(argv[1], "--version") == 0)
    argv[1] = (char[]){ "version" };
  verb = verb_find(argv[1]);
  if (verb)
    return verb->run(argc - 1, argv + 1);
  near = verb_nearest(argv[1]);
  fprintf(stderr, "moonhook: there is no verb '%s'%s%s%s; see: moonhook help\n", argv[1],
          near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
  return 2;
}
