// See arguments.h.
#include "arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../base/memory.h"

int arguments_refuse(const Arguments *arguments, const char *format, ...)
{
  va_list args;
  fprintf(stderr, "moonhook %s: ", arguments->verb->name);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, "; see: moonhook help %s\n", arguments->verb->name);
  return 2;
}

static int refuse_flag(const Arguments *arguments, const char *word, size_t len)
{
  char *name = mem_bytes(word, len);
  const char *near = verb_nearest_flag(arguments->verb, name);
  int rc = arguments_refuse(arguments, "unknown flag '%s'%s%s%s", name,
                            near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
  mem_free(name);
  return rc;
}

// A flag at words[*at], with its value there or behind it.
static int read_flag(Arguments *arguments, int count, char **words, int *at)
{
  const char *word = words[*at], *equals = strchr(word, '=');
  size_t len = equals ? (size_t)(equals - word) : strlen(word);
  const Flag *flag = verb_flag(arguments->verb, word, len);
  const char *value = equals ? equals + 1 : NULL;
  if (!flag)
    return refuse_flag(arguments, word, len);
  if (!flag->value && equals)
    return arguments_refuse(arguments, "%s takes no value", flag->name);
  if (flag->value && !equals) {
    if (*at + 1 == count)
      return arguments_refuse(arguments, "%s expects a value: %s", flag->name, flag->value);
    value = words[++*at];
  }
  arguments->given[arguments->given_count++] = (Given){ flag, value };
  return 0;
}

static int check_places(const Arguments *arguments)
{
  const char *next = arguments->verb->places, *name;
  size_t len, index = 0, room = 0;
  bool is_optional, repeats;
  while ((next = verb_next_place(next, &name, &len, &is_optional, &repeats))) {
    room = repeats ? (size_t)-1 : room + 1;
    if (!is_optional && index >= arguments->place_count)
      return arguments_refuse(arguments, "expected %.*s", (int)len, name);
    index++;
  }
  if (arguments->place_count > room)
    return arguments_refuse(arguments, "unexpected argument '%s'", arguments->places[room]);
  return 0;
}

static bool is_help(const char *word)
{
  return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int arguments_read(Arguments *arguments, const Verb *verb, int count, char **words)
{
  bool are_places_only = false;
  int i, rc = 0;
  *arguments = (Arguments){ .verb = verb };
  arguments->given = mem_zero((size_t)count + 1, sizeof *arguments->given);
  arguments->places = mem_zero((size_t)count + 1, sizeof *arguments->places);
  are_places_only = verb->passes_on;
  for (i = 0; i < (verb->passes_on ? count > 0 : count) && strcmp(words[i], "--") != 0; i++) {
    if (is_help(words[i])) {
      arguments->wants_help = true;
      return 0;
    }
  }
  for (i = 0; i < count && rc == 0; i++) {
    if (!are_places_only && strcmp(words[i], "--") == 0)
      are_places_only = true;
    else if (!are_places_only && words[i][0] == '-' && words[i][1] != '\0')
      rc = read_flag(arguments, count, words, &i);
    else
      arguments->places[arguments->place_count++] = words[i];
  }
  return rc == 0 ? check_places(arguments) : rc;
}

void arguments_free(Arguments *arguments)
{
  mem_free(arguments->given);
  mem_free(arguments->places);
  *arguments = (Arguments){ 0 };
}

bool arguments_have(const Arguments *arguments, const char *flag)
{
  size_t i;
  for (i = 0; i < arguments->given_count; i++) {
    if (strcmp(arguments->given[i].flag->name, flag) == 0)
      return true;
  }
  return false;
}

const char *arguments_value(const Arguments *arguments, const char *flag)
{
  size_t i;
  for (i = arguments->given_count; i > 0; i--) {
    if (strcmp(arguments->given[i - 1].flag->name, flag) == 0)
      return arguments->given[i - 1].value;
  }
  return NULL;
}

const char **arguments_values(const Arguments *arguments, const char *flag)
{
  const char **found = NULL;
  size_t i, count = 0;
  for (i = 0; i < arguments->given_count; i++) {
    if (strcmp(arguments->given[i].flag->name, flag) != 0)
      continue;
    found = mem_resize(found, (count + 2) * sizeof *found);
    found[count++] = arguments->given[i].value;
    found[count] = NULL;
  }
  return found;
}

const char *arguments_place(const Arguments *arguments, size_t index)
{
  return index < arguments->place_count ? arguments->places[index] : NULL;
}
