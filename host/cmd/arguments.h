// The command line of one verb, checked against the verb's entry in the table: every flag is one
// of its flags, every flag that takes a value has one, and there are as many places as it takes.
#ifndef MOONHOOK_CMD_ARGUMENTS_H
#define MOONHOOK_CMD_ARGUMENTS_H

#include "verbs.h"

typedef struct {
  const Flag *flag;
  const char *value; // NULL: it takes none
} Given;

struct Arguments {
  const Verb *verb;
  Given *given; // the flags, in order
  size_t given_count;
  const char **places; // the others, in order; NULL behind the last
  size_t place_count;
  bool wants_help; // --help or -h was among them; then nothing else was checked
};

// Reads what comes after the verb; the strings are borrowed. Returns 0, or 2 after having said on
// stderr what is wrong. Free in both cases.
int arguments_read(Arguments *arguments, const Verb *verb, int count, char **words);
void arguments_free(Arguments *arguments);

bool arguments_have(const Arguments *arguments, const char *flag);
const char *arguments_value(const Arguments *arguments, const char *flag); // the last; NULL: none
// All values of a flag, NULL-terminated; the caller frees the list. NULL: none.
const char **arguments_values(const Arguments *arguments, const char *flag);
const char *arguments_place(const Arguments *arguments, size_t index); // NULL: not given

// Prints "moonhook VERB: TEXT; see: moonhook help VERB" on stderr; returns 2.
int arguments_refuse(const Arguments *arguments, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
