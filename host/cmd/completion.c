// moonhook completion SHELL: the table of verbs as a script for bash, zsh or fish.
#include <stdio.h>
#include <string.h>

#include "arguments.h"

// What completes the values called `name`; an empty Value when the shell cannot know them.
static Value value_of(const char *name, size_t len)
{
  const Value *value = value_find(name, len);
  return value ? *value : (Value){ NULL, VALUE_WORDS, "" };
}

// What completes the verb's places: the first of them that can be completed.
static Value place_value(const Verb *verb)
{
  const char *next = verb->places ? verb->places : "", *name;
  size_t len;
  bool is_optional, repeats;
  while ((next = verb_next_place(next, &name, &len, &is_optional, &repeats))) {
    if (value_find(name, len))
      return value_of(name, len);
  }
  return (Value){ NULL, VALUE_WORDS, "" };
}

// The verbs of a group (or of none) with a blank between.
static void print_names(const Verb *group)
{
  const Verb *verb;
  const char *gap = "";
  for (verb = verbs; verb->name; verb++) {
    if (group ? !verb_is_in(verb, group) : strchr(verb->name, ' ') != NULL)
      continue;
    printf("%s%s", gap, group ? strchr(verb->name, ' ') + 1 : verb->name);
    gap = " ";
  }
}

static void for_each_flag(const Verb *verb, void (*print)(const Verb *verb, const Flag *flag))
{
  const Flag *const *list;
  const Flag *flag;
  for (list = verb->flags; *list; list++) {
    for (flag = *list; flag->name; flag++)
      print(verb, flag);
  }
}

// The first line of a text, with a backslash before each of `odd`, and quotes as a shell wants them
// within single quotes.
static void print_text(const char *text, const char *odd)
{
  for (; *text && *text != '\n'; text++) {
    if (*text == '\'')
      fputs("'\\''", stdout);
    else
      printf(strchr(odd, *text) ? "\\%c" : "%c", *text);
  }
}

// --- bash ----------------------------------------------------------------------------------------

static void print_bash_value(Value value)
{
  switch (value.type) {
  case VALUE_FILE:
    fputs("_moonhook_files -f", stdout);
    break;
  case VALUE_FOLDER:
    fputs("_moonhook_files -d", stdout);
    break;
  case VALUE_COMMAND:
    printf("_moonhook_lines \"$(\"${COMP_WORDS[0]}\" %s 2>/dev/null)\"", value.text);
    break;
  case VALUE_VERBS:
    fputs("_moonhook_words '", stdout);
    print_names(NULL);
    fputs("'", stdout);
    break;
  case VALUE_WORDS:
    printf("_moonhook_words '%s'", value.text);
    break;
  }
}

static void print_bash_flag(const Verb *verb, const Flag *flag)
{
  (void)verb;
  if (!flag->value)
    return;
  printf("    %s) ", flag->name);
  print_bash_value(value_of(flag->value, strlen(flag->value)));
  puts("; return ;;");
}

static void print_bash_flag_name(const Verb *verb, const Flag *flag)
{
  (void)verb;
  printf("%s ", flag->name);
}

static void print_bash_verb(const Verb *verb)
{
  printf("  '%s')\n    case $previous in\n", verb->name);
  for_each_flag(verb, print_bash_flag);
  fputs("    esac\n    flags='", stdout);
  for_each_flag(verb, print_bash_flag_name);
  puts("--help'");
  fputs("    [[ $current == -* ]] || ", stdout);
  print_bash_value(place_value(verb));
  puts(" ;;");
}

static void print_bash(void)
{
  const Verb *verb;
  puts("# Completes moonhook's commands in bash: source <(moonhook completion bash)\n"
       "_moonhook_lines() {\n"
       "  local IFS=$'\\n'\n"
       "  compopt -o filenames 2>/dev/null # names may hold blanks\n"
       "  mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$current\")\n"
       "}\n\n"
       "_moonhook_files() {\n"
       "  compopt -o filenames 2>/dev/null\n"
       "  mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$current\")\n"
       "}\n\n"
       "_moonhook_words() {\n"
       "  local IFS=$' \\n'\n"
       "  mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$current\")\n"
       "  [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null\n"
       "}\n\n"
       "_moonhook() {\n"
       "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
       "  local verb=${COMP_WORDS[1]} flags=\n"
       "  COMPREPLY=()\n"
       "  if [[ $current == = ]]; then # bash cuts --flag=value into three words\n"
       "    current=\n"
       "  elif [[ $previous == = ]]; then\n"
       "    previous=${COMP_WORDS[COMP_CWORD-2]}\n"
       "  fi");
  fputs("  if ((COMP_CWORD == 1)); then\n    _moonhook_words '", stdout);
  print_names(NULL);
  puts(" --help --version'\n    return\n  fi\n  case $verb in");
  for (verb = verbs; verb->name; verb++) {
    if (!verb_is_group(verb))
      continue;
    printf("  %s)\n    if ((COMP_CWORD == 2)); then\n      _moonhook_words '", verb->name);
    print_names(verb);
    puts(" --help'\n      return\n    fi\n    verb+=\" ${COMP_WORDS[2]}\" ;;");
  }
  puts("  esac\n  case $verb in");
  for (verb = verbs; verb->name; verb++) {
    if (!verb_is_group(verb))
      print_bash_verb(verb);
  }
  puts("  esac\n"
       "  [[ ${#COMPREPLY[@]} -gt 0 ]] || _moonhook_words \"$flags\"\n"
       "}\n"
       "complete -F _moonhook moonhook");
}

// --- zsh -----------------------------------------------------------------------------------------

static void print_zsh_value(Value value)
{
  switch (value.type) {
  case VALUE_FILE:
    fputs("_files", stdout);
    break;
  case VALUE_FOLDER:
    fputs("_files -/", stdout);
    break;
  case VALUE_COMMAND:
    printf("{compadd -- ${(f)\"$(moonhook %s 2>/dev/null)\"}}", value.text);
    break;
  case VALUE_VERBS:
    fputs("(", stdout);
    print_names(NULL);
    fputs(")", stdout);
    break;
  case VALUE_WORDS:
    printf(*value.text ? "(%s)" : " ", value.text);
    break;
  }
}

static void print_zsh_flag(const Verb *verb, const Flag *flag)
{
  (void)verb;
  printf(" \\\n      '*%s%s[", flag->name, flag->value ? "=" : "");
  print_text(flag->summary, "[]:\\");
  fputs("]", stdout);
  if (flag->value) {
    fputs(":", stdout);
    print_text(flag->value, ":\\");
    fputs(":", stdout);
    print_zsh_value(value_of(flag->value, strlen(flag->value)));
  }
  fputs("'", stdout);
}

static void print_zsh_verb(const Verb *verb)
{
  const char *subverb = strchr(verb->name, ' ');
  printf("  '%s')\n    shift %d words; (( CURRENT -= %d ))\n    _arguments", verb->name,
         subverb ? 2 : 1, subverb ? 2 : 1);
  for_each_flag(verb, print_zsh_flag);
  fputs(" \\\n      '--help[print help]' \\\n      '*: :", stdout);
  print_zsh_value(place_value(verb));
  puts("' ;;");
}

static void print_zsh_names(const Verb *group)
{
  const Verb *verb;
  for (verb = verbs; verb->name; verb++) {
    const char *subverb = strchr(verb->name, ' ');
    if (group ? !verb_is_in(verb, group) : subverb != NULL)
      continue;
    printf("      '%s:", subverb ? subverb + 1 : verb->name);
    print_text(verb->summary, ":\\");
    puts("'");
  }
}

static void print_zsh(void)
{
  const Verb *verb;
  puts("#compdef moonhook\n"
       "# Completes moonhook's commands in zsh.\n"
       "_moonhook() {\n"
       "  local verb=$words[2]\n"
       "  local -a names\n"
       "  if (( CURRENT == 2 )); then\n"
       "    names=(");
  print_zsh_names(NULL);
  puts("    )\n    _describe verb names\n    return\n  fi\n  case $verb in");
  for (verb = verbs; verb->name; verb++) {
    if (!verb_is_group(verb))
      continue;
    printf("  %s)\n    if (( CURRENT == 3 )); then\n      names=(\n", verb->name);
    print_zsh_names(verb);
    puts("      )\n      _describe verb names\n      return\n    fi\n"
         "    verb=\"$verb $words[3]\" ;;");
  }
  puts("  esac\n  case $verb in");
  for (verb = verbs; verb->name; verb++) {
    if (!verb_is_group(verb))
      print_zsh_verb(verb);
  }
  puts("  esac\n}\nif [[ $funcstack[1] == _moonhook ]]; then\n  _moonhook \"$@\"\n"
       "else\n  compdef _moonhook moonhook\nfi");
}

// --- fish ----------------------------------------------------------------------------------------

static void print_fish_value(Value value)
{
  switch (value.type) {
  case VALUE_FILE:
    fputs(" -r -F", stdout);
    break;
  case VALUE_FOLDER:
    fputs(" -x -a '(__fish_complete_directories)'", stdout);
    break;
  case VALUE_COMMAND:
    printf(" -x -a '(moonhook %s 2>/dev/null)'", value.text);
    break;
  case VALUE_VERBS:
    fputs(" -x -a '", stdout);
    print_names(NULL);
    fputs("'", stdout);
    break;
  case VALUE_WORDS:
    printf(*value.text ? " -x -a '%s'" : " -x", value.text);
    break;
  }
}

// Within fish's single quotes a quote is \', and so is a backslash doubled.
static void print_fish_text(const char *text)
{
  for (; *text && *text != '\n'; text++)
    printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void print_fish_flag(const Verb *verb, const Flag *flag)
{
  printf("complete -c moonhook -n '__moonhook_is \"%s\"' -l %s", verb->name, flag->name + 2);
  if (flag->value)
    print_fish_value(value_of(flag->value, strlen(flag->value)));
  fputs(" -d '", stdout);
  print_fish_text(flag->summary);
  puts("'");
}

static void print_fish_verb(const Verb *verb)
{
  const char *subverb = strchr(verb->name, ' ');
  Value value = place_value(verb);
  if (subverb)
    printf("complete -c moonhook -n '__moonhook_ends_with %.*s' -a %s -d '",
           (int)(subverb - verb->name), verb->name, subverb + 1);
  else
    printf("complete -c moonhook -n __moonhook_ends_with -a %s -d '", verb->name);
  print_fish_text(verb->summary);
  puts("'");
  if (verb_is_group(verb))
    return;
  for_each_flag(verb, print_fish_flag);
  if (value.type == VALUE_WORDS && !*value.text)
    return;
  printf("complete -c moonhook -n '__moonhook_is \"%s\"'", verb->name);
  print_fish_value(value);
  puts("");
}

static void print_fish(void)
{
  const Verb *verb;
  puts("# Completes moonhook's commands in fish.\n"
       "function __moonhook_is\n"
       "    set -l words (commandline -opc)\n"
       "    string match -q -- \"$argv[1] *\" \"$words[2..-1] \"\n"
       "end\n\n"
       "function __moonhook_ends_with\n"
       "    set -l words (commandline -opc)\n"
       "    test \"$words[2..-1]\" = \"$argv\"\n"
       "end\n\n"
       "complete -c moonhook -f\n"
       "complete -c moonhook -l help -d 'print help'");
  for (verb = verbs; verb->name; verb++)
    print_fish_verb(verb);
}

int cmd_completion(const Arguments *arguments)
{
  const char *shell = arguments_place(arguments, 0);
  if (strcmp(shell, "bash") == 0)
    print_bash();
  else if (strcmp(shell, "zsh") == 0)
    print_zsh();
  else if (strcmp(shell, "fish") == 0)
    print_fish();
  else
    return arguments_refuse(arguments, "expected bash, zsh or fish, got '%s'", shell);
  return 0;
}
