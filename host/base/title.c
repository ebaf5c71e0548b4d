// See title.h.
#include "title.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "buffer.h"
#include "memory.h"

extern char **environ;

static struct {
  // Copies of the arguments and of the environment, and lists of the same texts that others may
  // change: unsetenv does.
  char **arguments, **words;
  char **texts, **environment;
  char *at;    // where the system looks for the arguments
  size_t size; // of them and of the environment behind them
  size_t used; // bytes that may hold other than NULs from the first on
} title;

static char **copy_list(char **list, bool copies_texts)
{
  size_t count = 0, i;
  char **copy;
  while (list[count])
    count++;
  copy = mem_zero(count + 1, sizeof *copy);
  for (i = 0; i < count; i++)
    copy[i] = copies_texts ? mem_string(list[i]) : list[i];
  return copy;
}

// Extends the room by the texts of a list, as far as they follow each other without a gap.
static void take_room(char **list)
{
  for (; *list; list++) {
    if (*list == title.at + title.size)
      title.size += strlen(*list) + 1;
  }
}

char **title_open(int argc, char **argv)
{
  if (argc < 1)
    return argv;
  title.at = argv[0];
  take_room(argv);
  title.used = title.size;
  take_room(environ);
  title.arguments = copy_list(argv, true);
  title.texts = copy_list(environ, true);
  environ = title.environment = copy_list(title.texts, false);
  return title.words = copy_list(title.arguments, false);
}

char *const *title_arguments(void)
{
  return title.arguments;
}

// Linux reads on into the environment when the last byte of the arguments is no NUL. A shorter text
// is filled up with NULs.
static void show(const char *text)
{
  size_t len = strlen(text);
  if (title.size == 0)
    return;
  if (len >= title.size)
    len = title.size - 1;
  memcpy(title.at, text, len);
  memset(title.at + len, 0, len < title.used ? title.used - len : 1);
  title.used = len > title.used ? len : title.used;
}

void title_set(const char *name, const char *short_name)
{
  char text[64];
  snprintf(text, sizeof text, "moonhook: %s", name);
  show(text);
#if defined(__linux__)
  snprintf(text, sizeof text, "moonhook%s%s", short_name ? ":" : "", short_name ? short_name : "");
  prctl(PR_SET_NAME, text);
#else
  (void)short_name;
#endif
}

void title_set_with_arguments(const char *name)
{
  Buffer text = { 0 };
  char *const *argument = title.arguments;
  buffer_printf(&text, "moonhook: %s", name);
  for (; argument && *argument; argument++)
    buffer_printf(&text, "%s%s", argument == title.arguments ? " (" : " ", *argument);
  buffer_string(&text, ")");
  show(text.bytes);
  buffer_free(&text);
}
