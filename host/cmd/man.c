// moonhook man: the table of verbs as a manual page, for man(1).
#include <stdio.h>
#include <string.h>

#include "arguments.h"

// Text as roff shows it: nothing in it is a request, and hyphens can be copied into a shell.
static void print_text(const char *text, size_t len)
{
  size_t i;
  for (i = 0; i < len; i++) {
    bool starts_line = i == 0 || text[i - 1] == '\n';
    if (starts_line && (text[i] == '.' || text[i] == '\''))
      fputs("\\&", stdout);
    if (text[i] == '\\')
      fputs("\\e", stdout);
    else if (text[i] == '-')
      fputs("\\-", stdout);
    else
      putchar(text[i]);
  }
}

static void print_string(const char *text)
{
  print_text(text, strlen(text));
}

static void print_flag(const Flag *flag)
{
  fputs(".TP\n\\fB", stdout);
  print_string(flag->name);
  fputs("\\fR", stdout);
  if (flag->value)
    printf(" \\fI%s\\fR", flag->value);
  puts("");
  print_string(flag->summary);
  puts("");
}

// Paragraphs are apart by empty lines, which roff would print as they are.
static void print_paragraphs(const char *text)
{
  const char *end;
  for (; *text; text = end + strspn(end, "\n")) {
    end = strstr(text, "\n\n");
    if (!end)
      end = text + strlen(text);
    puts(".PP");
    print_text(text, (size_t)(end - text));
    if (end[-1] != '\n')
      puts("");
  }
}

static void print_verb(const Verb *verb)
{
  const Flag *const *list;
  const Flag *flag;
  printf(".SS \"moonhook %s", verb->name);
  if (verb->places && *verb->places)
    printf(" %s", verb->places);
  puts("\"");
  print_string(verb->summary);
  puts(".");
  if (verb->text)
    print_paragraphs(verb->text);
  for (list = verb->flags; *list; list++) {
    for (flag = *list; flag->name; flag++)
      print_flag(flag);
  }
  puts(".PP\n.nf\n.RS");
  print_string(verb->examples);
  puts(".RE\n.fi");
}

int cmd_man(const Arguments *arguments)
{
  const Verb *verb;
  (void)arguments;
  puts(".TH MOONHOOK 1 \"\" \"moonhook " MOONHOOK_VERSION "\" \"Moonhook\"\n"
       ".SH NAME\nmoonhook \\- serves HTTP endpoints written as small Lua plugins\n"
       ".SH SYNOPSIS\n\\fBmoonhook\\fR \\fIVERB\\fR [\\fIARGUMENTS\\fR]\n"
       ".SH DESCRIPTION\n"
       "Moonhook gives each endpoint a URL and runs a plugin\\(aqs Lua code for every request.\n"
       "What is asked for goes to standard output, everything else to standard error.\n"
       ".SH COMMANDS");
  for (verb = verbs; verb->name; verb++)
    print_verb(verb);
  puts(".SH ENVIRONMENT\n"
       "Each key of the configuration that is one value is also a variable: \\fIlog.level\\fR is\n"
       "\\fBMOONHOOK_LOG_LEVEL\\fR. \\fBmoonhook config print\\fR shows what holds, and from "
       "where.\n"
       "\\fBNO_COLOR\\fR, when it is set, keeps colours out of the log on a terminal.\n"
       ".SH FILES\n"
       ".TP\n\\fImoonhook.yaml\\fR\n"
       "The configuration, in the working folder unless \\fB\\-\\-config\\fR or\n"
       "\\fBMOONHOOK_CONFIG\\fR names another.\n"
       ".TP\n\\fIdata/\\fR\n"
       "What must outlive a restart.\n"
       ".SH EXIT STATUS\n"
       "0 when it went well, 1 when it did not, 2 for a command line that makes no sense.");
  return 0;
}
