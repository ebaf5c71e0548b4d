// See help.h. moonhook help, and --help of every verb.
#include "help.h"

#include <stdint.h>
#include <string.h>

#include "arguments.h"

// "moonhook endpoint add PLUGIN [flags]"
static void print_usage(const Verb *verb, FILE *out)
{
  fprintf(out, "moonhook %s", verb->name);
  if (verb_is_group(verb))
    fputs(" VERB", out);
  else if (*verb->places)
    fprintf(out, " %s", verb->places);
  if (verb->flags[0])
    fputs(" [FLAGS]", out);
}

static void print_indented(const char *lines, FILE *out)
{
  while (*lines) {
    size_t len = strcspn(lines, "\n");
    fprintf(out, "  %.*s\n", (int)len, lines);
    lines += len + (lines[len] == '\n');
  }
}

static void print_flags(const Verb *verb, FILE *out)
{
  const Flag *const *list;
  const Flag *flag;
  int width = 0;
  for (list = verb->flags; *list; list++) {
    for (flag = *list; flag->name; flag++) {
      int len = (int)(strlen(flag->name) + (flag->value ? 1 + strlen(flag->value) : 0));
      width = len > width ? len : width;
    }
  }
  if (verb->flags[0])
    fputs("\nFlags\n", out);
  for (list = verb->flags; *list; list++) {
    for (flag = *list; flag->name; flag++) {
      const char *text = flag->summary;
      int len = fprintf(out, "  %s%s%s", flag->name, flag->value ? " " : "",
                        flag->value ? flag->value : "");
      for (;;) {
        size_t line = strcspn(text, "\n");
        fprintf(out, "%*s%.*s\n", width + 4 - len, "", (int)line, text);
        if (text[line] == '\0')
          break;
        text += line + 1;
        len = 0;
      }
    }
  }
}

static void print_verbs(const Verb *group, FILE *out)
{
  const Verb *verb;
  fputs("\nVerbs\n", out);
  for (verb = verbs; verb->name; verb++) {
    if (verb_is_in(verb, group))
      fprintf(out, "  %-20s %s\n", verb->name, verb->summary);
  }
}

void help_print_verb(const Verb *verb, FILE *out)
{
  print_usage(verb, out);
  fprintf(out, ": %s\n\nExamples\n", verb->summary);
  print_indented(verb->examples, out);
  if (verb_is_group(verb))
    print_verbs(verb, out);
  if (verb->text && *verb->text)
    fprintf(out, "\n%s", verb->text);
  print_flags(verb, out);
}

void help_print(FILE *out)
{
  const Verb *verb;
  fputs("Moonhook serves HTTP endpoints written as small Lua plugins.\n\n"
        "Examples\n"
        "  moonhook dev                 serve the plugin in this folder, reload it on save\n"
        "  moonhook check my_plugin     what is wrong with it\n"
        "  moonhook serve --config moonhook.yaml\n\n"
        "Verbs\n",
        out);
  for (verb = verbs; verb->name; verb++) {
    if (!strchr(verb->name, ' '))
      fprintf(out, "  %-12s %s\n", verb->name, verb->summary);
  }
  fputs("\nmoonhook help VERB shows a verb's flags.\n", out);
}

int cmd_help(const Arguments *arguments)
{
  const char *first = arguments_place(arguments, 0), *second = arguments_place(arguments, 1);
  char *words[] = { NULL, (char *)(uintptr_t)first, (char *)(uintptr_t)second };
  const Verb *verb;
  int used, count = (int)arguments->place_count;
  if (count == 0) {
    help_print(stdout);
    return 0;
  }
  verb = verb_of(count + 1, words, &used);
  if (!verb || used != count) {
    const Verb *group = verb && verb_is_group(verb) ? verb : NULL;
    const char *word = verb ? second : first;
    const char *near = word ? verb_nearest(group, word) : NULL;
    return arguments_refuse(arguments, "there is no verb '%s'%s%s%s", word,
                            near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
  }
  help_print_verb(verb, stdout);
  return 0;
}
