// The table of verbs as text for people.
#ifndef MOONHOOK_CMD_HELP_H
#define MOONHOOK_CMD_HELP_H

#include <stdio.h>

#include "verbs.h"

void help_print(FILE *out); // all verbs, a line each
void help_print_verb(const Verb *verb, FILE *out);

#endif
