// Looking things up in the table of verbs (see verbs.h).
#include <stdio.h>
#include <string.h>

#include "../base/yaml.h"
#include "verbs.h"

enum { MAX_NAMES = 64 };

const Verb *verb_find(const char *name)
{
  const Verb *verb;
  for (verb = verbs; verb->name; verb++) {
    if (strcmp(verb->name, name) == 0)
      return verb;
  }
  return NULL;
}

const Verb *verb_of(int argc, char **argv, int *used)
{
  const Verb *verb;
  char both[64];
  *used = 0;
  if (argc > 2) {
    snprintf(both, sizeof both, "%s %s", argv[1], argv[2]);
    if ((verb = verb_find(both))) {
      *used = 2;
      return verb;
    }
  }
  verb = argc > 1 && !strchr(argv[1], ' ') ? verb_find(argv[1]) : NULL;
  *used = verb ? 1 : 0;
  return verb;
}

bool verb_is_group(const Verb *verb)
{
  return !verb->run;
}

bool verb_is_in(const Verb *verb, const Verb *group)
{
  size_t len = strlen(group->name);
  return strncmp(verb->name, group->name, len) == 0 && verb->name[len] == ' ';
}

const char *verb_nearest(const Verb *group, const char *word)
{
  const char *names[MAX_NAMES];
  const Verb *verb;
  size_t count = 0;
  for (verb = verbs; verb->name && count < MAX_NAMES - 1; verb++) {
    if (group ? verb_is_in(verb, group) : !strchr(verb->name, ' '))
      names[count++] = group ? strchr(verb->name, ' ') + 1 : verb->name;
  }
  names[count] = NULL;
  return yaml_nearest(word, names);
}

const Flag *verb_flag(const Verb *verb, const char *name, size_t len)
{
  const Flag *const *list;
  const Flag *flag;
  for (list = verb->flags; *list; list++) {
    for (flag = *list; flag->name; flag++) {
      if (strlen(flag->name) == len && memcmp(flag->name, name, len) == 0)
        return flag;
    }
  }
  return NULL;
}

const char *verb_nearest_flag(const Verb *verb, const char *name)
{
  const char *names[MAX_NAMES];
  const Flag *const *list;
  const Flag *flag;
  size_t count = 0;
  for (list = verb->flags; *list; list++) {
    for (flag = *list; flag->name && count < MAX_NAMES - 1; flag++)
      names[count++] = flag->name;
  }
  names[count] = NULL;
  return yaml_nearest(name, names);
}

const Value *value_find(const char *name, size_t len)
{
  const Value *value;
  for (value = values; value->name; value++) {
    if (strlen(value->name) == len && memcmp(value->name, name, len) == 0)
      return value;
  }
  return NULL;
}

const char *verb_next_place(const char *places, const char **name, size_t *len, bool *is_optional,
                            bool *repeats)
{
  const char *end;
  places += strspn(places, " ");
  if (*places == '\0')
    return NULL;
  *is_optional = *places == '[';
  *name = places + *is_optional;
  end = places + strcspn(places, " ");
  *len = strcspn(*name, " ].");
  *repeats = memmem(places, (size_t)(end - places), "...", 3) != NULL;
  return end;
}
