// The verbs of the command line, in the order in which help shows them.
#ifndef MOONHOOK_CMD_VERBS_H
#define MOONHOOK_CMD_VERBS_H

#include <stdio.h>

typedef struct {
  const char *name;
  const char *arguments;             // "[--config FILE] ..."
  const char *summary;               // one line
  const char *help;                  // examples first, then the flags; lines end with \n
  int (*run)(int argc, char **argv); // argv[0] is the verb; returns the exit code
} Verb;

extern const Verb verbs[]; // ended by a NULL name
const Verb *verb_find(const char *name);
// The closest verb's name to a mistyped one, or NULL.
const char *verb_nearest(const char *name);
void verb_print_help(const Verb *verb, FILE *out);
void verbs_print_help(FILE *out);

int cmd_serve(int argc, char **argv);
int cmd_dev(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv);

// True when the arguments ask for help; then it was printed to stdout.
int verb_wants_help(int argc, char **argv);
// Prints "moonhook VERB: TEXT" and where help is; returns 2.
int verb_usage(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
